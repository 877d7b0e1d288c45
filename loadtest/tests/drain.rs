//! SIGTERM: everyone is told to come back, and the server leaves.

use loadtest::{Client, ClientFrame, Launch, Opcode, PATIENCE, RawSocket, eventually};
use std::thread;
use std::time::Duration;

/// Twenty clients hear from a server that leaves when they are to come back.
fn check_goodbyes(window: &str, username: impl Fn(u32) -> String) {
    let mut server = Launch::embedded().option("--drain-window", window).start().unwrap();
    let mut clients: Vec<_> =
        (0..20).map(|number| Client::listen(server.address, &username(number)).unwrap()).collect();
    server.wait_until("/total/connections", 20);
    server.terminate().unwrap();
    for client in &mut clients {
        assert_eq!(client.close_code(), Some(1012));
    }
    assert_eq!(server.wait(PATIENCE).unwrap().code(), Some(0));
}

#[test]
fn sigterm_closes_every_client_with_1012_and_exits_0() {
    check_goodbyes("5s", |number| format!("user-{number}"));
}

#[test]
fn a_window_of_no_time_is_time_for_every_goodbye() {
    check_goodbyes("0s", |_| "alice".to_owned());
}

#[test]
fn those_who_asked_for_notices_are_told_before_the_close() {
    let mut server = Launch::embedded().start().unwrap();
    let mut client = Client::connect(server.address, "/ws?username=alice&meta=1").unwrap();
    server.wait_until("/total/connections", 1);
    server.terminate().unwrap();
    let notice = client.text().unwrap();
    let notice: serde_json::Value = serde_json::from_str(&notice).unwrap();
    assert_eq!(notice["type"], "fanout.draining");
    assert_eq!(client.close_code(), Some(1012));
    assert_eq!(server.wait(PATIENCE).unwrap().code(), Some(0));
}

const PING_INTERVAL: Duration = Duration::from_secs(1);

/// A window above the patience of this test, in which a quarter of a minute or more lies between most closes.
#[test]
fn goodbyes_are_spread_over_the_window_and_each_client_is_told_its_own_moment() {
    let window = Duration::from_secs(600);
    let launch = Launch::embedded().option("--drain-window", "10m").option("--pong-timeout", "1m");
    let server = launch.option("--ping-interval", &format!("{}s", PING_INTERVAL.as_secs())).start().unwrap();
    let connect = |_| Client::connect(server.address, "/ws?username=alice&meta=1").unwrap();
    let mut clients: Vec<Client> = (0..40).map(connect).collect();
    server.wait_until("/total/connections", 40);
    server.terminate().unwrap();
    let mut moments: Vec<u64> = clients.iter_mut().map(moment_of_return).collect();
    moments.sort_unstable();
    let (first, last) = (moments[0], moments[39]);
    assert!(u128::from(last) < window.as_millis(), "{moments:?}");
    assert!(u128::from(last - first) > window.as_millis() / 2, "all over the window: {moments:?}");
    // The next heartbeat of each falls due, and is no goodbye.
    thread::sleep(2 * PING_INTERVAL);
    server.publisher().unwrap().publish("alice", "still here").unwrap();
    let still_here = clients.iter_mut().filter_map(Client::text).filter(|text| text == "still here").count();
    assert!(still_here > 20, "{still_here} of 40 are still served");
}

/// What the notice of a drain says to this client.
fn moment_of_return(client: &mut Client) -> u64 {
    let notice: serde_json::Value = serde_json::from_str(&client.text().expect("a notice")).unwrap();
    assert_eq!(notice["type"], "fanout.draining");
    notice["reconnect_after_ms"].as_u64().expect("a number of milliseconds")
}

#[test]
fn what_waits_for_a_client_reaches_it_before_the_close() {
    // More than the kernel takes for a client that does not read.
    const EVENTS: usize = 60;
    let launch = Launch::embedded().option("--outbound-max", "16MiB").option("--drain-window", "5s");
    let mut server = launch.start().unwrap();
    let mut slow = RawSocket::connect_narrow(server.address, 4096).unwrap().upgrade("/ws?username=slow").unwrap();
    server.wait_until("/total/connections", 1);
    let (mut publisher, event) = (server.publisher().unwrap(), "x".repeat(16 * 1024));
    for _ in 0..EVENTS {
        publisher.publish("slow", &event).unwrap();
    }
    server.wait_until("/total/late", 1);
    server.terminate().unwrap();
    eventually("its turn has come", || server.log().contains("code=1012").then_some(()));
    for number in 0..EVENTS {
        let (opcode, payload) = slow.frame().unwrap();
        assert!(opcode == Opcode::TEXT && payload.len() == event.len(), "event {number}");
    }
    assert_eq!(slow.close_code(), Some(1012));
    drop(slow);
    assert_eq!(server.wait(PATIENCE).unwrap().code(), Some(0));
}

#[test]
fn clients_that_never_answer_do_not_hold_up_the_end() {
    let mut server = Launch::embedded().option("--drain-window", "1s").start().unwrap();
    let silent: Vec<_> = (0..5).map(|_| RawSocket::upgraded(server.address, "/ws?username=silent").unwrap()).collect();
    let mut half_a_request = RawSocket::connect(server.address).unwrap();
    half_a_request.send(b"GET /health HT").unwrap();
    server.wait_until("/total/connections", 5);
    server.terminate().unwrap();
    assert_eq!(server.wait(PATIENCE).unwrap().code(), Some(0));
    drop(silent);
}

#[test]
fn a_shard_without_clients_stays_for_as_long_as_another_has_one() {
    let server = Launch::embedded().option("--shards", "2").option("--drain-window", "10m").start().unwrap();
    let sits_on_the_first = |name: &String| {
        let row = server.get(&format!("/admin/connections?filter={name}")).unwrap().json();
        row["connections"][0]["shard"] == 0
    };
    // The first shard's thread has the broker, too, and would stay for that.
    let listen = |number| format!("user-{number}-");
    let _client = (0..).map(listen).find_map(|name| {
        let client = Client::listen(server.address, &name).unwrap();
        sits_on_the_first(&name).then_some(client)
    });
    server.wait_until("/total/connections", 1);
    server.terminate().unwrap();
    eventually("both shards drain", || RawSocket::connect(server.address).is_err().then_some(()));
    // A shard that leaves has gone by then.
    thread::sleep(Duration::from_millis(500));
    let threads = std::fs::read_dir(format!("/proc/{}/task", server.pid())).unwrap();
    let name =
        |thread: std::io::Result<std::fs::DirEntry>| std::fs::read_to_string(thread.unwrap().path().join("comm"));
    let names: Vec<String> = threads.filter_map(|thread| name(thread).ok()).collect();
    assert!(names.iter().any(|name| name.starts_with("shard-1")), "{names:?}");
}

#[test]
fn a_server_that_drains_is_not_ready_and_a_second_signal_ends_it_at_once() {
    // A window above the patience of this test: only the second signal can end the server in time.
    let mut server = Launch::embedded().option("--drain-window", "60s").start().unwrap();
    let mut clients: Vec<_> =
        (0..50).map(|_| RawSocket::upgraded(server.address, "/ws?username=stubborn").unwrap()).collect();
    clients[0].send(&ClientFrame::new(Opcode::PING, "still here").bytes()).unwrap();
    server.wait_until("/total/connections", 50);
    server.terminate().unwrap();
    eventually("the server is not ready any more", || {
        server.get("/ready").map_or(true, |answer| answer.status == 503).then_some(())
    });
    server.terminate().unwrap();
    server.wait(Duration::from_secs(20)).unwrap();
}
