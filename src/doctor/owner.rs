//! Which program listens on a port, as far as `/proc` shows (`proc(5)`).

use std::fs::{read_dir, read_link, read_to_string};

/// `st` of a listening socket.
const LISTENING: &str = "0A";

/// The name and number of the process that listens on this port of this machine; nothing where it is another user's.
pub(super) fn of_port(port: u16) -> Option<String> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(|path| read_to_string(path).unwrap_or_default());
    let sockets: Vec<String> =
        tables.iter().flat_map(|table| listening(table, port)).map(|inode| format!("socket:[{inode}]")).collect();
    let processes = read_dir("/proc").ok()?.flatten();
    let mut numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let number = numbers.find(|number| {
        let files = read_dir(format!("/proc/{number}/fd")).into_iter().flatten().flatten();
        let mut targets = files.filter_map(|file| read_link(file.path()).ok());
        targets.any(|target| sockets.iter().any(|socket| target.as_os_str() == socket.as_str()))
    })?;
    let name = read_to_string(format!("/proc/{number}/comm")).ok()?;
    Some(format!("{} (process {number})", name.trim()))
}

/// The inodes of the sockets that listen on this port.
fn listening(table: &str, port: u16) -> impl Iterator<Item = &str> {
    table.lines().filter_map(move |line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [_, local, _, LISTENING, _, _, _, _, _, inode, ..] = fields[..] else { return None };
        let (_, digits) = local.rsplit_once(':')?;
        (u16::from_str_radix(digits, 16) == Ok(port)).then_some(inode)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn a_port_is_found_in_the_kernels_table() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
                     0: 0100007F:1F94 00000000:0000 0A 00000000:00000000 00:00000000 00000000  0  0 4242 1 0 100\n\
                     1: 0100007F:1F94 0100007F:9999 01 00000000:00000000 00:00000000 00000000  0  0 4243 1 0 100\n\
                     2: 0100007F:1F95 00000000:0000 0A 00000000:00000000 00:00000000 00000000  0  0 4244 1 0 100\n\
                     3: short\n";
        assert_eq!(listening(table, 8084).collect::<Vec<_>>(), ["4242"]);
        assert_eq!(listening(table, 8086).count(), 0);
    }

    #[test]
    fn the_process_that_listens_is_named() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let owner = of_port(port).expect("it is this process");
        assert!(owner.ends_with(&format!("(process {})", std::process::id())), "{owner}");
        drop(listener);
        assert_eq!(of_port(port), None);
    }
}
