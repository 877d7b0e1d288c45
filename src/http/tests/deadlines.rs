//! Nobody holds a connection longer than the work takes.

use super::*;

const BEFORE: Duration = Duration::from_millis(900);
const AFTER: Duration = Duration::from_millis(200);

/// The exchange is there until just before `seconds` have passed, and gone just after.
fn check_gone_after(visit: &mut Visit, seconds: u64) {
    assert!(visit.is_there_after(Duration::from_secs(seconds - 1) + BEFORE), "gone before {seconds} s");
    assert!(!visit.is_there_after(AFTER), "still there after {seconds} s");
}

fn timeouts(visit: &Visit) -> u64 {
    visit.front.site.registry.shards[1].http_timeouts.get()
}

#[test]
fn a_head_must_arrive_within_5_s_of_the_accept() {
    let mut visit = Visit::new();
    check_gone_after(&mut visit, 5);
    assert!(visit.has_ended(), "who said nothing is told nothing");
    assert_eq!(timeouts(&visit), 1);

    let mut visit = Visit::new();
    visit.wait(Duration::from_secs(3));
    visit.send("G");
    visit.turn();
    check_gone_after(&mut visit, 2);
    assert_eq!(visit.reply().status, 408);
    assert!(visit.has_ended());
    assert_eq!(timeouts(&visit), 1);
}

#[test]
fn a_byte_now_and_then_buys_no_time() {
    let mut visit = Visit::new();
    for byte in b"GET " {
        visit.send([*byte]);
        visit.turn();
        assert!(visit.is_there_after(Duration::from_secs(1)));
    }
    check_gone_after(&mut visit, 1);
}

#[test]
fn an_idle_connection_is_kept_for_75_s_after_each_answer() {
    let mut visit = Visit::new();
    for _ in 0..3 {
        assert_eq!(visit.ask(get("/health")).status, 200);
        assert!(visit.is_there_after(Duration::from_secs(70)));
    }
    assert_eq!(visit.ask(get("/health")).status, 200);
    check_gone_after(&mut visit, 75);
    assert!(visit.has_ended());
    assert_eq!(timeouts(&visit), 0, "it owed nothing");
}

#[test]
fn the_next_head_must_arrive_within_5_s_of_its_first_byte() {
    let mut visit = Visit::new();
    visit.ask(get("/health"));
    visit.wait(Duration::from_secs(60));
    visit.send("GET");
    visit.turn();
    check_gone_after(&mut visit, 5);
    assert_eq!(visit.reply().status, 408);
    assert_eq!(timeouts(&visit), 1);
}

#[test]
fn a_part_of_a_head_behind_a_request_has_5_s_too() {
    let mut visit = Visit::new();
    visit.ask(get("/health") + "GET");
    check_gone_after(&mut visit, 5);
}

#[test]
fn a_body_must_arrive_within_30_s() {
    let mut visit = Visit::new();
    visit.send("POST /publish/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n");
    visit.turn();
    for _ in 0..4 {
        visit.wait(Duration::from_secs(5));
        visit.send("x");
        assert!(matches!(visit.turn(), Step::Stay));
    }
    check_gone_after(&mut visit, 10);
    assert_eq!(visit.reply().status, 408);
    assert_eq!(timeouts(&visit), 1);
}

#[test]
fn a_response_must_be_read_within_10_s() {
    let mut visit = Visit::new();
    socket2::SockRef::from(visit.front.socket(visit.key)).set_send_buffer_size(4096).unwrap();
    socket2::SockRef::from(&visit.client).set_recv_buffer_size(4096).unwrap();
    visit.client.set_nonblocking(true).unwrap();
    let unsent = loop {
        let sent = visit.client.write(get("/metrics").as_bytes());
        if sent.is_ok() {
            visit.turn();
        }
        let unsent = visit.front.exchanges[visit.key].is_sending();
        if unsent && matches!(visit.front.writable(visit.key, visit.now), Step::AwaitWritable) {
            break unsent;
        }
    };
    assert!(unsent && visit.front.interest(visit.key) == Interest::Writable);
    check_gone_after(&mut visit, 10);
    assert_eq!(timeouts(&visit), 0);
}

#[test]
fn a_client_that_does_not_close_after_the_last_answer_is_closed_within_2_s() {
    let mut visit = Visit::new();
    assert_eq!(visit.ask("GET /health HTTP/1.0\r\n\r\n").status, 200);
    assert!(visit.has_ended());
    visit.send("more that nobody reads");
    assert!(matches!(visit.turn(), Step::Stay));
    check_gone_after(&mut visit, 2);
}

#[test]
fn a_client_that_closes_after_the_last_answer_is_gone_at_once() {
    let mut visit = Visit::new();
    assert_eq!(visit.ask("GET /health HTTP/1.0\r\n\r\n").status, 200);
    visit.client.shutdown(std::net::Shutdown::Write).unwrap();
    assert!(matches!(visit.turn(), Step::Gone));
    visit.wait(Duration::from_secs(100));
    assert_eq!(timeouts(&visit), 0, "its deadline is stale");
}

#[test]
fn deadlines_cost_no_more_memory_the_more_requests_there_are() {
    let mut visit = Visit::new();
    for _ in 0..1_000 {
        visit.ask(get("/health"));
        visit.send("GET");
        visit.turn();
        visit.ask(&get("/health")[3..]);
        visit.wait(Duration::from_millis(100));
    }
    let mut entries = Vec::new();
    visit.front.wheel.advance(visit.now.after(Duration::from_secs(100)), &mut entries);
    assert!(entries.len() <= 100_usize.div_ceil(5) + 1, "{} entries for one exchange", entries.len());
}
