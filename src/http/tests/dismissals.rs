//! `POST /admin/disconnect`: from the request to every shard and back.

use super::*;
use crate::engine::message::Origin;
use crate::inspection::{self, Seat, Whom};

const PATH: &str = "/admin/disconnect";

fn dismissal(step: Step) -> (Ticket, Whom) {
    let Step::Ask(ticket, Question::Dismiss(whom)) = step else { panic!("somebody is to go") };
    (ticket, whom)
}

fn answer(visit: &mut Visit, closed: usize) -> Step {
    visit.front.answered(visit.key, NodeId::shard(0), inspection::Reply::Dismissed(closed), visit.now)
}

#[test]
fn whom_an_administrator_names_goes_to_every_shard_and_their_sum_to_him() {
    let hasher = site().hasher;
    for (body, expected) in [
        ("{\"username\":\"alice\"}", Whom::Followers(hasher.prefixed("workflow:events:", "alice"))),
        ("{\"username\":\"a \\u20ac*/\"}", Whom::Followers(hasher.prefixed("workflow:events:", "a €*/"))),
        (
            "{\"connection\":\"00000000-0000-4000-8000-0000000000ff\"}",
            Whom::Publisher(Origin(0x4000_8000_0000_0000_00ff)),
        ),
        ("{\"connection\":\"1-4294967297\"}", Whom::Seat("1-4294967297".parse::<Seat>().unwrap())),
    ] {
        let mut visit = Visit::new();
        visit.send(post(PATH, body));
        let (ticket, whom) = dismissal(visit.turn());
        assert_eq!(whom, expected);
        let asker = Asker::Request(slotmap::Key::data(&visit.key).as_ffi());
        assert_eq!(ticket, Ticket { node: NodeId::shard(1), asker });
        assert_eq!(visit.front.interest(visit.key), Interest::Nothing);
        answer(&mut visit, 2);
        assert_eq!(visit.front.interest(visit.key), Interest::Nothing, "one shard of two has answered");
        answer(&mut visit, 3);
        let reply = visit.reply();
        assert_eq!((reply.status, reply.json()), (200, serde_json::json!({ "closed": 5 })));
        assert!(matches!(answer(&mut visit, 1), Step::Stay), "a late answer changes nothing");
        assert_eq!(visit.ask(get("/health")).status, 200, "the connection persists");
    }
}

#[test]
fn who_names_nobody_is_told_how() {
    let long = format!("{{\"username\":\"{}\"}}", "x".repeat(256));
    for (body, status) in [
        ("", 400),
        ("alice", 400),
        ("[]", 400),
        ("{}", 400),
        ("{\"user\":\"alice\"}", 400),
        ("{\"username\":7}", 400),
        ("{\"username\":\"\"}", 400),
        ("{\"username\":\"a\\u0000\"}", 400),
        ("{\"connection\":\"7\"}", 400),
        ("{\"username\":\"a\",\"connection\":\"00000000-0000-4000-8000-0000000000ff\"}", 400),
        (&long, 400),
        (&" ".repeat(4_097), 413),
    ] {
        let reply = Visit::new().ask(post(PATH, body));
        assert_eq!(reply.status, status, "{body}: {reply:?}");
        assert!(reply.json()["hint"].as_str().unwrap().contains("username"), "{reply:?}");
    }
    let reply = Visit::new().ask(get(PATH));
    assert_eq!((reply.status, reply.field("allow")), (405, Some("POST")));
}

#[test]
fn a_shard_that_does_not_answer_is_waited_for_ten_seconds() {
    let mut visit = Visit::new();
    visit.send(post(PATH, "{\"username\":\"alice\"}"));
    dismissal(visit.turn());
    answer(&mut visit, 1);
    assert!(visit.is_there_after(Duration::from_secs(9)));
    assert!(!visit.is_there_after(Duration::from_secs(2)));
    assert_eq!(visit.reply().status, 504);
    assert!(matches!(answer(&mut visit, 1), Step::Gone));
}
