//! What the kernel knows of one TCP connection, asked over netlink (`sock_diag(7)`): is it the network, or the client?

use crate::inspection::{TcpState, WaitsFor};
use netlink_packet_core::{NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload};
use netlink_packet_sock_diag::SockDiagMessage;
use netlink_packet_sock_diag::constants::{AF_INET, AF_INET6, IPPROTO_TCP};
use netlink_packet_sock_diag::inet::nlas::{Nla, TcpInfo};
use netlink_packet_sock_diag::inet::{ExtensionFlags, InetRequest, SocketId, StateFlags};
use netlink_sys::protocols::NETLINK_SOCK_DIAG;
use netlink_sys::{Socket, SocketAddr as NetlinkAddress};
use rustix::io::Errno;
use std::io;
use std::net::SocketAddr;

/// An answer about one socket: some 400 bytes.
const ANSWER_BYTES_MAX: usize = 4096;

/// Asks about the connection between these two ends. The kernel answers while it is asked: nothing waits.
pub(super) fn ask(own: SocketAddr, other: SocketAddr) -> io::Result<TcpState> {
    let socket = Socket::new(NETLINK_SOCK_DIAG)?;
    socket.set_non_blocking(true)?;
    socket.connect(&NetlinkAddress::new(0, 0))?;
    socket.send(&question(own, other), 0)?;
    let mut answer = Vec::with_capacity(ANSWER_BYTES_MAX);
    socket.recv(&mut answer, 0)?;
    let unknown = || io::Error::from(Errno::PROTO);
    let message = NetlinkMessage::<SockDiagMessage>::deserialize(&answer).map_err(|_| unknown())?;
    let NetlinkPayload::InnerMessage(SockDiagMessage::InetResponse(response)) = message.payload else {
        return Err(unknown());
    };
    let info = response.nlas.iter().find_map(|nla| if let Nla::TcpInfo(info) = nla { Some(info) } else { None });
    info.map(state).ok_or_else(unknown)
}

fn question(own: SocketAddr, other: SocketAddr) -> Vec<u8> {
    let socket_id = SocketId {
        source_port: own.port(),
        destination_port: other.port(),
        source_address: own.ip(),
        destination_address: other.ip(),
        interface_id: 0,
        // Any socket with these ends: there is one.
        cookie: [0xff; 8],
    };
    let request = InetRequest {
        family: if own.is_ipv4() { AF_INET } else { AF_INET6 },
        protocol: IPPROTO_TCP,
        extensions: ExtensionFlags::INFO,
        states: StateFlags::all(),
        socket_id,
    };
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST;
    let mut message = NetlinkMessage::new(header, SockDiagMessage::InetRequest(request).into());
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    bytes
}

fn state(info: &TcpInfo) -> TcpState {
    TcpState {
        round_trip_us: info.rtt,
        unacknowledged: info.unacked,
        retransmitted: info.total_retrans,
        not_sent_bytes: info.notsent_bytes,
        window_bytes: info.snd_wnd,
        waits_for: waits_for(info),
    }
}

/// A window with no room for a segment more than is out is the client's doing; what was lost, or is out and not
/// acknowledged, the network's.
fn waits_for(info: &TcpInfo) -> WaitsFor {
    let in_flight = info.bytes_sent.saturating_sub(info.bytes_retrans).saturating_sub(info.bytes_acked);
    let room = u64::from(info.snd_wnd).saturating_sub(in_flight);
    if info.notsent_bytes > 0 && room < u64::from(info.snd_mss) {
        WaitsFor::Client
    } else if info.unacked > 0 || info.notsent_bytes > 0 || info.lost > 0 {
        WaitsFor::Network
    } else {
        WaitsFor::Nothing
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn the_kernel_says_why_a_socket_takes_no_more() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let listener = TcpListener::bind(address).unwrap();
            let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let mut server = listener.accept().unwrap().0;
            let ask = |server: &TcpStream| ask(server.local_addr().unwrap(), server.peer_addr().unwrap());
            assert_eq!(ask(&server).unwrap().waits_for, WaitsFor::Nothing);
            server.set_nonblocking(true).unwrap();
            while server.write(&[0; 16_384]).is_ok() {}
            let full = ask(&server).unwrap();
            assert_eq!(full.waits_for, WaitsFor::Client, "{full:?}");
            assert!(full.not_sent_bytes > 0, "{full:?}");
            drop((client, listener));
        }
    }

    #[test]
    fn who_is_unknown_to_the_kernel_is_an_error() {
        let nobody = "127.0.0.1:1".parse().unwrap();
        assert!(ask(nobody, nobody).is_err());
    }
}
