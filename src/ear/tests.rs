//! Descriptors, timers and tasks, heard on real nodes.

use super::*;
use std::future::poll_fn;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::mpsc;
use std::task::Poll;
use std::thread;

/// More than the executor can count references to a task (16 bits).
const ROUNDS: usize = 70_000;

/// Nothing here takes so long.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs a node that listens until it is done.
fn on_a_node<F: Future<Output = ()> + 'static>(node: impl FnOnce(Ear) -> F + Send + 'static) {
    let (ended, end) = mpsc::channel();
    let run = move || async move {
        let ear = Ear::new(Duration::ZERO).expect("descriptors are left");
        ear.hear_until(node(ear.clone())).await;
        ended.send(()).expect("the test waits");
    };
    let _executor = executor(Placement::Unbound).spawn(run).expect("io_uring is available");
    // Not joined: a node that has missed something never ends.
    end.recv_timeout(PATIENCE).expect("the node neither panics nor misses anything");
}

/// Both ends of a connection, the near one for a node.
fn connection() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let far = TcpStream::connect(listener.local_addr().expect("bound")).expect("a listener");
    let (near, _) = listener.accept().expect("somebody connects");
    near.set_nonblocking(true).expect("a socket");
    (far, near)
}

async fn read(stream: &Watched<TcpStream>, room: &mut [u8]) -> usize {
    poll_fn(|context| stream.poll_read(context, room)).await.expect("the other side breaks nothing")
}

#[test]
fn a_task_hears_its_socket_as_often_as_there_is_something_to_hear() {
    let (mut far, near) = connection();
    far.set_nodelay(true).expect("a socket");
    thread::spawn(move || while far.write_all(b"?").and_then(|()| far.read_exact(&mut [0])).is_ok() {});
    on_a_node(|ear| async move {
        let near = ear.watch(near).expect("a new set takes it");
        for _ in 0..ROUNDS {
            assert_eq!(read(&near, &mut [0; 8]).await, 1);
            poll_fn(|context| near.poll_write(context, b"!")).await.expect("it has room");
        }
    });
}

#[test]
fn an_end_that_came_together_with_the_last_bytes_is_heard() {
    let (mut far, near) = connection();
    far.write_all(b"the last bytes").and_then(|()| far.shutdown(Shutdown::Write)).expect("it is open");
    on_a_node(|ear| async move {
        let near = ear.watch(near).expect("a new set takes it");
        ear.sleep(Duration::from_millis(20)).await;
        let mut room = [0; 64];
        assert_eq!(read(&near, &mut room).await, 14);
        assert_eq!(read(&near, &mut room).await, 0);
    });
}

#[test]
fn what_is_longer_than_the_room_is_read_to_its_end() {
    let (mut far, near) = connection();
    far.write_all(&[7; 1_000]).expect("it has room");
    on_a_node(|ear| async move {
        let near = ear.watch(near).expect("a new set takes it");
        let mut bytes = 0;
        while bytes < 1_000 {
            bytes += read(&near, &mut [0; 100]).await;
        }
        drop(far);
        assert_eq!(read(&near, &mut [0; 100]).await, 0);
    });
}

#[test]
fn a_node_hears_its_own_sockets_by_their_tokens() {
    let (mut far, near) = UnixStream::pair().expect("descriptors are left");
    let ear = Ear::new(Duration::ZERO).expect("descriptors are left");
    let mut ready = Vec::new();
    ear.add(&near, 7, Interest::Reads).expect("a new set takes it");
    ear.listen(Some(Duration::ZERO), &mut ready).expect("a valid set");
    assert!(ready.is_empty(), "{ready:?}");
    far.write_all(b"?").expect("it has room");
    for _ in 0..2 {
        ear.listen(None, &mut ready).expect("a valid set");
        let heard = ready.drain(..).map(|socket| (socket.token, socket.is_readable, socket.is_writable));
        assert!(heard.eq([(7, true, false)]), "it is readable for as long as nobody reads it");
    }
    ear.change(&near, 7, Interest::Writes).expect("it is in the set");
    ear.listen(None, &mut ready).expect("a valid set");
    assert!(ready.drain(..).all(|socket| socket.is_writable && !socket.is_readable));
    ear.remove(&near).expect("it is in the set");
    ear.listen(Some(Duration::ZERO), &mut ready).expect("a valid set");
    assert!(ready.is_empty(), "{ready:?}");
}

#[test]
fn sleeps_end_in_the_order_of_their_moments_and_bound_what_is_waited_for() {
    on_a_node(|ear| async move {
        let (said, heard) = mpsc::channel();
        for length_ms in [30, 10, 20] {
            let (said, sleep) = (said.clone(), ear.sleep(Duration::from_millis(length_ms)));
            ear.spawn(async move {
                sleep.await;
                said.send(length_ms).expect("the test listens");
            })
            .detach();
        }
        let forever = poll_fn(|_| Poll::<()>::Pending);
        assert!(ear.within(Duration::from_millis(40), forever).await.is_none());
        assert_eq!(ear.within(PATIENCE, async { 1 }).await, Some(1));
        assert!(heard.try_iter().eq([10, 20, 30]));
        assert!(ear.0.timers.borrow().shorten(None).is_none(), "who stops waiting leaves nothing behind");
    });
}

#[test]
fn a_task_that_was_cancelled_is_gone_before_the_node_sleeps() {
    on_a_node(|ear| async move {
        for _ in 0..10 {
            let task = ear.spawn(poll_fn(|_| Poll::<()>::Pending));
            ear.sleep(Duration::from_millis(1)).await;
            assert_eq!(task.cancel().await, None);
        }
    });
}

#[test]
fn work_elsewhere_blocks_nobody_and_its_panic_is_an_error() {
    on_a_node(|ear| async move {
        let (release, released) = mpsc::channel();
        let elsewhere = ear.clone();
        let work = ear.spawn(async move { elsewhere.elsewhere(move || released.recv()).await });
        ear.sleep(Duration::from_millis(5)).await;
        release.send(5).expect("it waits");
        assert_eq!(work.await.expect("a thread is left"), Ok(5));
        assert!(ear.elsewhere(|| panic!("on purpose")).await.is_err());
    });
}

#[test]
fn a_node_that_spins_hears_as_well() {
    let ear = Ear::new(Duration::from_millis(5)).expect("descriptors are left");
    let (mut far, near) = UnixStream::pair().expect("descriptors are left");
    ear.add(&near, 7, Interest::Reads).expect("a new set takes it");
    let mut ready = Vec::new();
    let (began, mut looks) = (Instant::now(), 0);
    while ear.0.quiet_since.get().is_none_or(|since| since.elapsed() < Duration::from_millis(5)) {
        // On a busy machine the spin may be over before this look begins: then it sleeps, but not for ever.
        ear.listen(Some(Duration::from_millis(50)), &mut ready).expect("a valid set");
        looks += 1;
    }
    assert!(looks > 1 && began.elapsed() < PATIENCE, "{looks} looks");
    far.write_all(b"?").expect("it has room");
    ear.listen(None, &mut ready).expect("a valid set");
    assert_eq!(ready.len(), 1);
}
