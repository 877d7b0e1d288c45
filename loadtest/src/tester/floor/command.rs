//! `PUBLISH name event` as a publisher sends it, found where it lies and turned into a WebSocket frame there.

use std::io;
use std::ops::Range;

const HEAD: &[u8] = b"*3\r\n$7\r\nPUBLISH\r\n";

/// FIN and the opcode of text (RFC 6455 §5.2).
const FINAL_TEXT: u8 = 0x81;

/// One command at the front of some bytes: where its parts lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Publish {
    /// The channel's name.
    pub(super) name: Range<usize>,
    /// The event.
    pub(super) event: Range<usize>,
}

impl Publish {
    /// The command that begins at `from`; `None` until it is whole.
    ///
    /// # Errors
    /// For anything but `PUBLISH` with two arguments, in the form in which every client library sends it.
    pub(super) fn parse(bytes: &[u8], from: usize) -> io::Result<Option<Self>> {
        let head = &bytes[from..bytes.len().min(from + HEAD.len())];
        if *head != HEAD[..head.len()] {
            return Err(io::Error::other("the floor understands PUBLISH and nothing else"));
        }
        let Some(name) = bulk_string(bytes, from + HEAD.len())? else { return Ok(None) };
        let event = bulk_string(bytes, name.end + 2)?;
        Ok(event.map(|event| Self { name, event }))
    }

    /// Where the next command begins.
    pub(super) fn end(&self) -> usize {
        self.event.end + 2
    }

    /// Writes the frame's header over the length line in front of the event, and says where the frame lies.
    pub(super) fn seal(&self, bytes: &mut [u8]) -> Range<usize> {
        let length = self.event.len();
        let mut header = [FINAL_TEXT, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let header = match (u8::try_from(length), u16::try_from(length)) {
            (Ok(short @ 0..=125), _) => {
                header[1] = short;
                &header[..2]
            }
            (_, Ok(medium)) => {
                header[1] = 126;
                header[2..4].copy_from_slice(&medium.to_be_bytes());
                &header[..4]
            }
            _ => {
                header[1] = 127;
                header[2..].copy_from_slice(&(length as u64).to_be_bytes());
                &header[..]
            }
        };
        // `\r\n$`, the digits of the length and `\r\n` are never shorter than the header for that length.
        let frame = self.event.start - header.len()..self.event.end;
        bytes[frame.start..self.event.start].copy_from_slice(header);
        frame
    }
}

/// Where the string of `$length\r\nstring\r\n` lies; `None` until it is whole.
fn bulk_string(bytes: &[u8], from: usize) -> io::Result<Option<Range<usize>>> {
    let mut length = 0_usize;
    for (place, &byte) in bytes.iter().enumerate().skip(from) {
        match byte {
            b'$' if place == from => {}
            b'0'..=b'9' if place > from && length < 1 << 32 => length = length * 10 + usize::from(byte - b'0'),
            b'\r' if place > from + 1 => {
                let string = place + 2..place + 2 + length;
                return Ok((bytes.len() >= string.end + 2).then_some(string));
            }
            _ => return Err(io::Error::other("this is no string of RESP")),
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Opcode, ServerFrame};

    #[test]
    fn a_command_is_found_once_it_is_whole() {
        for length in [0, 9, 10, 125, 126, 65_535, 65_536] {
            let event = "e".repeat(length);
            let command =
                format!("before*3\r\n$7\r\nPUBLISH\r\n$21\r\nworkflow:events:alice\r\n${length}\r\n{event}\r\n");
            let command = command.as_bytes();
            for cut in [0, 10, HEAD.len(), HEAD.len() + 4, command.len() - 7] {
                assert_eq!(Publish::parse(&command[..6 + cut], 6).expect("a beginning"), None, "{cut} bytes");
            }
            let mut bytes = [command, b"behind"].concat();
            let publish = Publish::parse(&bytes, 6).expect("a command").expect("it is whole");
            assert_eq!(&bytes[publish.name.clone()], b"workflow:events:alice");
            assert_eq!(publish.end(), command.len());

            let frame = publish.seal(&mut bytes);
            let frame = ServerFrame::parse(&bytes[frame]).expect("a frame").expect("it is whole");
            assert_eq!((frame.opcode, frame.is_final, frame.payload), (Opcode::TEXT, true, event.as_bytes()));
            assert_eq!(&bytes[publish.name.clone()], b"workflow:events:alice", "the name is left alone");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for bytes in [
            "*1\r\n$4\r\nPING\r\n",
            "GET / HTTP/1.1\r\n",
            "*3\r\n$7\r\nPUBLISH\r\n:1\r\n",
            "*3\r\n$7\r\nPUBLISH\r\n$\r\n",
        ] {
            assert!(Publish::parse(bytes.as_bytes(), 0).is_err(), "{bytes:?}");
        }
    }
}
