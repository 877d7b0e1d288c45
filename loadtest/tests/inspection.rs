//! What an administrator sees from outside: who is connected, what is busy, and what has become of one event.

use loadtest::{Client, FluxClient, Launch, RawSocket, Redis, Server, eventually};
use serde_json::Value;

/// Somebody who looks at one target's events, again and again.
struct Looker<'a> {
    server: &'a Server,
    target: &'a str,
    cursor: String,
    seen: Vec<Value>,
}

impl<'a> Looker<'a> {
    fn new(server: &'a Server, target: &'a str) -> Self {
        let mut looker = Self { server, target, cursor: String::new(), seen: Vec::new() };
        looker.look();
        looker
    }

    fn look(&mut self) -> Value {
        let page = format!("/admin/trace?{}&cursor={}", self.target, self.cursor);
        let answer = self.server.get(&page).unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
        let told = answer.json();
        self.cursor = told["cursor"].to_string().replace('"', "");
        self.seen.extend(told["records"].as_array().unwrap().iter().cloned());
        told
    }

    /// The first record of this kind that was not asked for yet; whatever came before it is passed over.
    fn find(&mut self, what: &str) -> Value {
        eventually(&format!("{what} is recorded"), || {
            let place = self.seen.iter().position(|record| record["what"] == what);
            if place.is_none() {
                self.look();
            }
            place.map(|place| self.seen.drain(..=place).next_back().expect("it was found"))
        })
    }
}

fn rows(server: &Server, page: &str, list: &str) -> Vec<Value> {
    server.get(page).unwrap().json()[list].as_array().unwrap_or_else(|| panic!("{page} has {list}")).clone()
}

#[test]
fn an_event_is_followed_from_the_broker_to_each_connection() {
    let server = Launch::embedded().option("--shards", "2").start().unwrap();
    let mut alice = Client::listen(server.address, "alice").unwrap();
    let mut publisher = server.publisher().unwrap();
    let mut looker = Looker::new(&server, "username=alice");
    assert_eq!(looker.look()["following"], 1);
    let here = looker.find("here");
    publisher.publish("alice", "{\"type\":\"test\"}").unwrap();
    publisher.publish("bob", "not hers").unwrap();
    let (received, matched, written) = (looker.find("received"), looker.find("matched"), looker.find("written"));
    assert_eq!((&received["node"], &received["followers"]), (&"broker".into(), &1.into()));
    assert_eq!(received["preview"], "{\"type\":\"test\"}");
    assert_eq!((&matched["event"], &written["event"]), (&received["event"], &received["event"]));
    assert_eq!(written["connection"], here["connection"]);
    assert!(written["took_us"].as_u64() >= matched["took_us"].as_u64(), "{written}");
    assert_eq!(alice.text().as_deref(), Some("{\"type\":\"test\"}"));
    drop(alice);
    let closed = looker.find("closed");
    assert_eq!((&closed["connection"], &closed["code"]), (&here["connection"], &"1006".into()));
    let is_hers = |record: &Value| record["preview"] != "not hers";
    assert!(looker.seen.iter().all(is_hers), "nobody else's events are among them");
}

#[test]
fn an_event_that_reaches_nobody_says_where_it_ended() {
    let server = Launch::embedded().start().unwrap();
    let _bob = Client::listen(server.address, "bob").unwrap();
    let mut publisher = server.publisher().unwrap();
    let mut looker = Looker::new(&server, "username=alice");
    publisher.publish("alice", "hello").unwrap();
    let received = looker.find("received");
    assert_eq!((&received["followers"], &looker.look()["following"]), (&0.into(), &0.into()));
    let _ = publisher.publish("alice", [0xff]);
    assert_eq!(looker.find("dropped")["reason"], "not_utf8");
    assert!(looker.seen.iter().all(|record| record["what"] != "matched"), "no shard has seen it");
    let broker = &server.stats()["broker"];
    assert_eq!((&broker["events_in"], &broker["events_unfollowed"]), (&1.into(), &1.into()));
}

#[test]
fn a_client_that_reads_too_slowly_is_seen_to_wait_and_to_be_closed() {
    let server = Launch::embedded().option("--shards", "1").start().unwrap();
    let slow = RawSocket::connect_narrow(server.address, 4096).unwrap().upgrade("/ws?username=alice").unwrap();
    server.wait_until("/total/connections", 1);
    let mut publisher = server.publisher().unwrap();
    let mut looker = Looker::new(&server, "username=alice");
    let seat = looker.find("here")["connection"].clone();
    let event = "x".repeat(64 * 1024);
    let waits = eventually("an event waits", || {
        publisher.publish("alice", &event).unwrap();
        looker.look();
        looker.seen.iter().find(|record| record["what"] == "waits").cloned()
    });
    assert_eq!(waits["connection"], seat);
    assert!(waits["queued_bytes"].as_u64() > Some(0), "{waits}");
    let row = rows(&server, "/admin/connections?filter=alice&tcp=1", "connections").remove(0);
    assert_eq!(row["id"], seat);
    assert!(row["late_ms"].is_u64() && row["queued_bytes"].as_u64() > Some(0), "{row}");
    let tcp = &row["tcp"];
    assert!(tcp["round_trip_us"].is_u64() && tcp["notsent_bytes"].as_u64() > Some(0), "the kernel says why: {row}");
    eventually("it is closed", || {
        publisher.publish("alice", &event).unwrap();
        (server.count("/total/closed/4001") == 1).then_some(())
    });
    assert_eq!(looker.find("closed")["code"], "4001");
    drop(slow);
}

#[test]
fn one_connection_of_many_is_followed_by_its_id() {
    let server = Launch::embedded().option("--shards", "2").start().unwrap();
    let mut clients: Vec<Client> = (0..3).map(|_| Client::listen(server.address, "alice").unwrap()).collect();
    let seats = rows(&server, "/admin/connections?filter=events:alice", "connections");
    assert_eq!(seats.len(), 3);
    let target = format!("connection={}", seats[0]["id"].as_str().unwrap());
    let mut looker = Looker::new(&server, &target);
    server.publisher().unwrap().publish("alice", "hello").unwrap();
    assert_eq!(looker.find("written")["connection"], seats[0]["id"]);
    for client in &mut clients {
        assert_eq!(client.text().as_deref(), Some("hello"));
    }
    looker.look();
    assert!(looker.seen.iter().all(|record| record["what"] != "written"), "the others are not looked at");
}

#[test]
fn a_channel_says_who_has_published_himself_and_what_was_no_json() {
    let server = Launch::embedded().start().unwrap();
    let mut ann = FluxClient::connect(server.address).unwrap().following("news");
    let mut ben = FluxClient::connect(server.address).unwrap().following("news");
    let mut looker = Looker::new(&server, "channel=news");
    ann.broadcast("news", "{\"a\":1}").unwrap();
    ben.told().unwrap();
    let own = looker.find("own");
    looker.look();
    let written: Vec<&Value> = looker.seen.iter().filter(|record| record["what"] == "written").collect();
    assert!(written.iter().all(|record| record["connection"] != own["connection"]), "{own}, {written:?}");
    server.publisher().unwrap().command(&["PUBLISH", "flux:news", "no json"]).unwrap();
    assert_eq!(looker.find("dropped")["reason"], "not_json");
}

#[test]
fn a_gap_of_the_source_is_part_of_the_story() {
    let mut redis = Redis::start().unwrap();
    let server = Launch::with_redis(&redis).start().unwrap();
    let _alice = Client::listen(server.address, "alice").unwrap();
    let mut looker = Looker::new(&server, "username=alice");
    redis.kill();
    server.wait_for_status("/ready", 503);
    assert_eq!(looker.look()["broker"]["connected"], false);
    redis.restart().unwrap();
    looker.find("gap");
    server.wait_for_status("/ready", 200);
    assert_eq!(looker.look()["broker"]["connected"], true);
}

#[test]
fn connections_are_found_sorted_counted_and_put_out_one_by_one() {
    let server = Launch::embedded().option("--shards", "2").start().unwrap();
    let names = ["alice", "alice", "bob", "carol"];
    let mut clients: Vec<Client> = names.map(|name| Client::listen(server.address, name).unwrap()).into();
    let _flux = FluxClient::connect(server.address).unwrap().following("a").following("b");
    let count = |page: &str| server.get(page).unwrap().json()["matched"].as_u64().unwrap();
    assert_eq!(count("/admin/connections"), 5);
    assert_eq!(count("/admin/connections?filter=alice"), 2);
    assert_eq!(count("/admin/connections?filter=127.0.0.1"), 5);
    assert_eq!(count("/admin/connections?filter=nobody"), 0);
    assert_eq!(rows(&server, "/admin/connections?limit=3", "connections").len(), 3);
    let most = rows(&server, "/admin/connections?sort=topics", "connections").remove(0);
    assert_eq!((&most["topics_total"], most["topics"].as_array().map(Vec::len)), (&2.into(), Some(2)));
    let by_age = rows(&server, "/admin/connections?sort=age", "connections");
    let ages: Vec<u64> = by_age.iter().map(|row| row["age_ms"].as_u64().unwrap()).collect();
    assert!(ages.is_sorted_by(|older, newer| older >= newer), "{ages:?}");
    let bob = rows(&server, "/admin/connections?filter=bob", "connections").remove(0);
    assert_eq!(server.dismiss("connection", bob["id"].as_str().unwrap()), 1);
    assert_eq!(clients[2].close_code(), Some(4002));
    server.wait_until("/total/connections", 4);
    assert_eq!(server.dismiss("connection", bob["id"].as_str().unwrap()), 0, "an id is never given again");
}

#[test]
fn the_busiest_topics_come_first() {
    let server = Launch::embedded().option("--shards", "2").start().unwrap();
    let names = ["quiet", "busy", "busy", "busier"];
    let _clients: Vec<Client> = names.map(|name| Client::listen(server.address, name).unwrap()).into();
    assert_eq!(rows(&server, "/admin/topics", "topics").len(), 3, "nothing is counted before somebody looks");
    let mut publisher = server.publisher().unwrap();
    for (name, events) in [("busy", 2), ("busier", 5)] {
        (0..events).for_each(|_| assert!(publisher.publish(name, "x").unwrap() > 0));
    }
    let expected = serde_json::json!([
        { "topic": "workflow:events:busier", "followers": 1, "events": 5 },
        { "topic": "workflow:events:busy", "followers": 2, "events": 2 },
    ]);
    eventually("all are counted", || {
        (Value::from(rows(&server, "/admin/topics?limit=2", "topics")) == expected).then_some(())
    });
}

#[test]
fn who_asks_for_nonsense_is_told_what_to_ask_for() {
    let server = Launch::embedded().start().unwrap();
    for page in [
        "/admin/trace",
        "/admin/trace?username=",
        "/admin/trace?username=a&channel=b",
        "/admin/trace?connection=7",
        "/admin/trace?username=a&cursor=x",
        "/admin/trace?username=%zz",
        "/admin/connections?sort=best",
        "/admin/connections?limit=-1",
        "/admin/topics?limit=many",
    ] {
        let answer = server.get(page).unwrap();
        assert_eq!(answer.status, 400, "{page}: {answer:?}");
        assert!(answer.json()["hint"].is_string(), "{page}: {answer:?}");
    }
    for number in 0..8 {
        assert_eq!(server.get(&format!("/admin/trace?username={number}")).unwrap().status, 200);
    }
    let answer = server.get("/admin/trace?username=more").unwrap();
    assert_eq!((answer.status, answer.header("Retry-After")), (429, Some("5")), "{answer:?}");
}
