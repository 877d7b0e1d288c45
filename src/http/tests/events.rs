//! `POST /publish`: from the request to the broker and back.

use super::*;
use crate::metrics::Drop;

fn publication(step: Step) -> Publication {
    let Step::Publish(publication) = step else { panic!("an event is published") };
    publication
}

#[test]
fn an_event_goes_to_the_broker_and_its_answer_to_the_client() {
    for (path, body, topic) in [
        ("/publish/alice", "{}", "workflow:events:alice"),
        ("/publish/a%20b%2Fc+d", "x", "workflow:events:a b/c+d"),
        ("/publish/%E2%82%AC*?x=y", "", "workflow:events:€*"),
        ("/publish/alice", &"ü".repeat(50_000), "workflow:events:alice"),
    ] {
        let mut visit = Visit::new();
        visit.send(post(path, body));
        let mut step = visit.turn();
        while let Step::Stay = step {
            step = visit.turn();
        }
        let publication = publication(step);
        assert_eq!(publication.topic.name(), topic.as_bytes());
        assert_eq!(publication.payload, body);
        let ticket = publication.ticket.unwrap();
        let asker = Asker::Request(slotmap::Key::data(&visit.key).as_ffi());
        assert_eq!(ticket, Ticket { node: NodeId::shard(1), asker });
        assert_eq!(visit.front.interest(visit.key), Interest::Nothing);
        assert!(matches!(visit.front.published(visit.key, Ok(3), visit.now), Step::Stay));
        let reply = visit.reply();
        assert_eq!((reply.status, reply.json()), (202, serde_json::json!({ "receivers": 3 })));
        assert_eq!(visit.ask(get("/health")).status, 200, "the connection persists");
    }
}

#[test]
fn what_the_broker_says_becomes_a_status() {
    for (outcome, status, retry) in [
        (PublishError::Unavailable, 503, Some("1")),
        (PublishError::Overloaded, 503, Some("1")),
        (PublishError::Refused, 502, None),
    ] {
        let mut visit = Visit::new();
        visit.send(post("/publish/alice", "{}"));
        publication(visit.turn());
        visit.front.published(visit.key, Err(outcome), visit.now);
        let reply = visit.reply();
        assert_eq!((reply.status, reply.field("retry-after")), (status, retry), "{outcome:?}");
    }
}

#[test]
fn what_is_no_event_is_refused() {
    let long = format!("/publish/{}", "x".repeat(256));
    let head = |path: &str, length: usize| {
        format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n").into_bytes()
    };
    for (request, status, connection) in [
        ([head("/publish/alice", 2), b"\xff\xfe".to_vec()].concat(), 400, None),
        ([head("/publish/alice", 2), b"\xc3(".to_vec()].concat(), 400, None),
        ([head("/publish/", 2), b"{}".to_vec()].concat(), 400, None),
        ([head("/publish/a/b", 2), b"{}".to_vec()].concat(), 400, None),
        ([head("/publish/%zz", 2), b"{}".to_vec()].concat(), 400, None),
        ([head("/publish/%ff", 2), b"{}".to_vec()].concat(), 400, None),
        ([head("/publish/%0a", 2), b"{}".to_vec()].concat(), 400, None),
        ([head(&long, 2), b"{}".to_vec()].concat(), 400, None),
        (head("/publish/alice", 100_001), 413, Some("close")),
        (head("/publish/alice", usize::MAX), 413, Some("close")),
        (
            b"POST /publish/a HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec(),
            411,
            Some("close"),
        ),
    ] {
        let mut visit = Visit::new();
        let reply = visit.ask(&request);
        let context = request.escape_ascii().to_string();
        assert_eq!((reply.status, reply.field("connection")), (status, connection), "{context}");
        assert!(connection.is_some() || visit.ask(get("/health")).status == 200, "{context}");
        let dropped = [Drop::EventTooBig, Drop::NotUtf8].map(|reason| visit.front.site.metrics().dropped(reason).get());
        let is_wrong = |wrong| u64::from(context.starts_with("POST /publish/alice ") && status == wrong);
        assert_eq!(dropped, [is_wrong(413), is_wrong(400)], "{context}");
    }
}

#[test]
fn a_client_that_waits_for_a_go_ahead_gets_it_or_the_refusal() {
    let head = |length: usize| {
        format!(
            "POST /publish/a HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: {length}\r\n\r\n"
        )
    };
    let mut visit = Visit::new();
    assert_eq!(visit.ask(head(2)).status, 100);
    visit.send("{}");
    assert_eq!(publication(visit.turn()).payload, "{}");

    let mut visit = Visit::new();
    visit.send(head(2) + "{}");
    assert_eq!(publication(visit.turn()).payload, "{}", "who sends at once is not told to");

    let mut visit = Visit::new();
    assert_eq!(visit.ask(head(100_001)).status, 413);
}

#[test]
fn requests_behind_an_event_wait_for_its_answer() {
    let mut visit = Visit::new();
    visit.send([post("/publish/a", "1"), post("/publish/b", "22"), get("/nothing")].concat());
    assert_eq!(publication(visit.turn()).payload, "1");
    assert_eq!(publication(visit.front.published(visit.key, Ok(5), visit.now)).payload, "22");
    assert!(matches!(visit.front.published(visit.key, Ok(6), visit.now), Step::Stay));
    assert_eq!(visit.reply().json()["receivers"], 5);
    assert_eq!(visit.reply().json()["receivers"], 6);
    assert_eq!(visit.reply().status, 404);
}

#[test]
fn a_broker_that_does_not_answer_is_not_waited_for() {
    let mut visit = Visit::new();
    visit.send(post("/publish/a", "1"));
    publication(visit.turn());
    assert!(visit.is_there_after(Duration::from_secs(9)));
    assert!(!visit.is_there_after(Duration::from_secs(1)));
    let reply = visit.reply();
    assert_eq!((reply.status, reply.field("connection")), (504, Some("close")));
    assert!(matches!(visit.front.published(visit.key, Ok(1), visit.now), Step::Gone), "a late answer");
}

#[test]
fn a_client_that_breaks_off_while_the_broker_works_is_gone() {
    let mut visit = Visit::new();
    visit.send(post("/publish/a", "1"));
    publication(visit.turn());
    assert!(matches!(visit.front.readable(visit.key, &mut visit.scratch, visit.now), Step::Stay));
    socket2::SockRef::from(&visit.client).set_linger(Some(Duration::ZERO)).unwrap();
    visit.client = TcpStream::connect(TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()).unwrap();
    assert!(matches!(visit.front.readable(visit.key, &mut visit.scratch, visit.now), Step::Gone));
}

#[test]
fn a_drain_waits_for_the_broker() {
    let mut visit = Visit::new();
    visit.send(post("/publish/a", "1"));
    publication(visit.turn());
    visit.front.drain();
    assert_eq!(visit.front.len(), 1);
    visit.front.published(visit.key, Ok(1), visit.now);
    let reply = visit.reply();
    assert_eq!((reply.status, reply.field("connection")), (202, Some("close")));
}
