//! Both directions of one socket in one task: what waits is written while something is awaited.

use super::outbox::Outbox;
use super::receive_buffer::ReceiveBuffer;
use crate::ear::{Ear, Sleep, Watched};
use futures_lite::future::yield_now;
use std::future::{Future, poll_fn};
use std::io;
use std::net::{Shutdown, TcpStream};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// How long a connection that ends may take over its last words.
const LAST_WORDS_TIMEOUT: Duration = Duration::from_secs(1);

/// Reads that may follow each other without a pause: four chunks of the largest kind, 256 KiB, are what a shard takes in
/// one turn.
const READS_BETWEEN_PAUSES: u32 = 4;

/// Bytes read and thrown away after the last words: a close with bytes unread would reset the connection, and the
/// other side might never see them.
const LINGER_BYTES_MAX: usize = 256 * 1024;

/// A socket with its receive buffer and its outbox.
pub struct Duplex {
    stream: Watched<TcpStream>,
    ear: Ear,
    silence: Option<Silence>,
    /// What was received.
    pub buffer: ReceiveBuffer,
    outbox: Rc<Outbox>,
    /// Reads since the socket was last found empty.
    reads: u32,
}

/// How long nothing was heard.
struct Silence {
    limit: Duration,
    heard: Instant,
    alarm: Sleep,
}

/// What came of waiting for the other side.
#[derive(Debug)]
pub enum Event {
    /// Bytes arrived.
    Received,
    /// Nothing arrived for as long as [`Duplex::with_silence`] says.
    Quiet,
    /// The other side closed.
    Closed,
    /// The outbox was cut.
    Cut,
    /// The socket broke.
    Broken(io::Error),
}

impl Duplex {
    /// Takes over a non-blocking `stream`; reads in chunks of `chunk_bytes`.
    ///
    /// # Errors
    /// Where the epoll set cannot take it.
    pub fn new(ear: &Ear, stream: TcpStream, outbox: Rc<Outbox>, chunk_bytes: usize) -> io::Result<Self> {
        let (stream, buffer) = (ear.watch(stream)?, ReceiveBuffer::new(chunk_bytes));
        Ok(Self { stream, ear: ear.clone(), silence: None, buffer, outbox, reads: 0 })
    }

    /// Says [`Event::Quiet`] each time that nothing was heard for so long.
    #[must_use]
    pub fn with_silence(mut self, limit: Duration) -> Self {
        self.silence = Some(Silence { limit, heard: Instant::now(), alarm: self.ear.sleep(limit) });
        self
    }

    /// Writes whatever waits or comes to wait, until something is received. While the outbox is not calm, nothing is
    /// read: an answer that is not fetched stops further questions. What the other side said before it went is read
    /// even where it no longer listens.
    pub async fn receive(&mut self) -> Event {
        poll_fn(|context| {
            self.outbox.register(context);
            let end = self.write_waiting(context);
            if matches!(end, Some(Event::Cut)) {
                return Poll::Ready(Event::Cut);
            }
            if end.is_none() && !self.outbox.is_calm() {
                return Poll::Pending;
            }
            match self.stream.poll_read(context, self.buffer.room()) {
                Poll::Pending => end.map_or_else(|| self.poll_silence(context), Poll::Ready),
                Poll::Ready(Ok(0)) => Poll::Ready(Event::Closed),
                Poll::Ready(Ok(bytes)) => {
                    self.buffer.note_received(bytes);
                    self.reads = if self.stream.is_readable() { self.reads + 1 } else { 0 };
                    if let Some(silence) = &mut self.silence {
                        silence.heard = Instant::now();
                    }
                    Poll::Ready(Event::Received)
                }
                Poll::Ready(Err(error)) => Poll::Ready(Event::Broken(error)),
            }
        })
        .await
    }

    /// The alarm is set again only when it goes off: a busy connection does not pay for it.
    fn poll_silence(&mut self, context: &mut Context<'_>) -> Poll<Event> {
        let Some(silence) = &mut self.silence else { return Poll::Pending };
        while Pin::new(&mut silence.alarm).poll(context).is_ready() {
            let quiet = silence.heard.elapsed();
            if quiet >= silence.limit {
                silence.heard = Instant::now();
            }
            silence.alarm = self.ear.sleep(silence.limit.saturating_sub(silence.heard.elapsed()));
            if quiet >= silence.limit {
                return Poll::Ready(Event::Quiet);
            }
        }
        Poll::Pending
    }

    /// Whether everything that had arrived was read.
    pub fn is_drained(&self) -> bool {
        self.reads == 0
    }

    /// Lets others run if this socket has kept its task from waiting for a while. What comes between two pauses reaches
    /// clients together, so a full buffer is no reason for one.
    pub async fn pause_if_due(&self) {
        if self.reads > 0 && self.reads.is_multiple_of(READS_BETWEEN_PAUSES) {
            yield_now().await;
        }
    }

    /// Writes until the outbox is calm; says why that will not happen, if so.
    pub async fn calm(&mut self) -> Option<Event> {
        self.write_until(Outbox::is_calm).await
    }

    /// Writes what waits and closes; gives that up after a second.
    pub async fn close(mut self) {
        let ear = self.ear.clone();
        let last_words = async {
            if self.write_until(Outbox::is_empty).await.is_none() && self.stream.get().shutdown(Shutdown::Write).is_ok()
            {
                self.linger().await;
            }
        };
        // Whatever goes wrong here, the connection is over.
        let _ = ear.within(LAST_WORDS_TIMEOUT, last_words).await;
    }

    async fn linger(&mut self) {
        let mut lingered_bytes = 0;
        while lingered_bytes < LINGER_BYTES_MAX && matches!(self.receive().await, Event::Received) {
            let bytes = self.buffer.received().len();
            lingered_bytes += bytes;
            self.buffer.pass_over(bytes);
        }
    }

    async fn write_until(&mut self, is_done: impl Fn(&Outbox) -> bool) -> Option<Event> {
        poll_fn(|context| {
            self.outbox.register(context);
            match self.write_waiting(context) {
                Some(end) => Poll::Ready(Some(end)),
                None if is_done(&self.outbox) => Poll::Ready(None),
                None => Poll::Pending,
            }
        })
        .await
    }

    fn write_waiting(&mut self, context: &mut Context<'_>) -> Option<Event> {
        if self.outbox.is_cut() {
            return Some(Event::Cut);
        }
        let stream = &self.stream;
        let written = self.outbox.drain(|bytes| match stream.poll_write(context, bytes) {
            Poll::Pending => Ok(0),
            Poll::Ready(Ok(0)) => Err(io::ErrorKind::WriteZero.into()),
            Poll::Ready(written) => written,
        });
        written.err().map(Event::Broken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ear;
    use glommio::Placement;
    use socket2::SockRef;
    use std::io::Write;
    use std::net::TcpListener;

    /// What a duplex hears, in order, of somebody who says something and resets the connection before this side writes.
    fn heard_of_a_reset(words: &'static [u8]) -> (Vec<u8>, Event) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let near = TcpStream::connect(listener.local_addr().expect("bound")).expect("it listens");
        let (mut far, _) = listener.accept().expect("just connected");
        near.set_nonblocking(true).expect("a socket");
        far.write_all(words).expect("there is room");
        SockRef::from(&far).set_linger(Some(Duration::ZERO)).expect("a socket");
        drop(far);
        let executor = ear::executor(Placement::Unbound).make().expect("an executor");
        executor.run(async move {
            let ear = Ear::new(Duration::ZERO).expect("descriptors are left");
            let outbox = Rc::new(Outbox::new(1024));
            outbox.offer(|out| out.extend_from_slice(b"a question"));
            let mut duplex = Duplex::new(&ear, near, outbox, 4096).expect("it can be watched");
            let hearing = async move {
                loop {
                    match duplex.receive().await {
                        Event::Received => {}
                        end => return (duplex.buffer.received().to_vec(), end),
                    }
                }
            };
            ear.hear_until(hearing).await
        })
    }

    #[test]
    fn what_was_said_before_a_reset_is_heard_though_writing_fails() {
        let (heard, end) = heard_of_a_reset(b"last words");
        assert_eq!(heard, b"last words");
        assert!(matches!(end, Event::Broken(_) | Event::Closed), "{end:?}");
    }
}
