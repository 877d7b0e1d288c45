//! Who gets in while places, time or descriptors are short, and what those hear who do not.

use super::*;
use crate::engine::topic::Topic;
use std::collections::HashSet;

/// What a client that wants to connect got.
fn enter(site: Site, peer: &str, fields: &str) -> (Visit, Result<Box<Adoption>, Reply>) {
    knock(site, peer, upgrade("?ok=1", fields))
}

/// The refusal is counted, explained, and says when to come back: never earlier or later, and not always the same.
fn check_refused(site: impl Fn() -> Site, status: u16, reason: Refused, seconds: std::ops::RangeInclusive<u32>) {
    let mut told = HashSet::new();
    for _ in 0..60 {
        let (visit, outcome) = enter(site(), LOCAL, "");
        let reply = outcome.err().unwrap_or_else(|| panic!("{} gets in", reason.label()));
        assert_eq!(reply.status, status, "{reply:?}");
        assert!(reply.json()["error"].is_string() && reply.json()["hint"].is_string(), "{reply:?}");
        assert_eq!(refused(&visit), [(reason, 1)]);
        told.insert(reply.field("retry-after").unwrap().parse::<u32>().unwrap());
    }
    assert!(told.iter().all(|seconds_told| seconds.contains(seconds_told)), "{}: {told:?}", reason.label());
    assert!(told.len() > 1, "{}: {told:?}", reason.label());
}

fn census(per_user_max: u32, per_address_max: u32) -> Census {
    Census::new(Places { per_user_max, per_address_max })
}

/// A family whose connections are placed by one topic.
fn keyed(mut site: Site, topic: &Topic) -> Site {
    let topic = topic.clone();
    site.families[0].admit =
        Box::new(move |_| Ok(Admission { protocol: Box::new(Stub), placement: Placement::Keyed(topic.clone()) }));
    site
}

#[test]
fn a_full_or_leaving_server_says_when_to_come_back() {
    let full = || {
        let mut full = site();
        full.registry.shards[0].admitted.add(4);
        full.registry.shards[1].admitted.add(6);
        full.families[0].admit = Box::new(|_| panic!("the cheap reasons come first"));
        full
    };
    check_refused(full, 503, Refused::Full, 3..=7);
    let leaving = || {
        let leaving = site();
        leaving.registry.draining.store(true, std::sync::atomic::Ordering::Release);
        leaving
    };
    check_refused(leaving, 503, Refused::Draining, 1..=3);
}

#[test]
fn a_shard_that_is_behind_takes_nobody_on_and_says_when_to_come_back() {
    let behind = |milliseconds: u64| {
        let mut site = site();
        site.settings.overload_after = Some(Duration::from_secs(5));
        site.registry.shards[1].entrance.behind_us.set(milliseconds * 1_000);
        site
    };
    check_refused(|| behind(5_000), 503, Refused::Overloaded, 1..=10);
    assert!(enter(behind(4_999), LOCAL, "").1.is_ok());
    let mut unlimited = behind(60_000);
    unlimited.settings.overload_after = None;
    assert!(enter(unlimited, LOCAL, "").1.is_ok());
    let mut visit = Visit::to(behind(60_000), LOCAL);
    assert_eq!(visit.ask(get("/health")).status, 200, "pages are served all the same");
}

#[test]
fn a_shard_that_is_behind_is_sent_nobody_and_the_others_are() {
    let hasher = TopicHasher::with_key((1, 2));
    let owner = |topic: &Topic| Placement::Keyed(topic.clone()).owner(NodeId::shard(1), 2).index();
    for name in ["a", "b", "c", "d", "e", "f"] {
        let topic = hasher.prefixed("topic:", name);
        let mut site = keyed(site(), &topic);
        site.settings.overload_after = Some(Duration::from_secs(5));
        site.registry.shards[0].entrance.behind_us.set(6_000_000);
        let (visit, outcome) = enter(site, LOCAL, "");
        assert_eq!(outcome.is_err(), owner(&topic) == 0, "{name}");
        assert_eq!(refused(&visit).is_empty(), owner(&topic) == 1, "{name}");
    }
}

#[test]
fn who_has_too_many_connections_is_refused_until_one_ends_wherever_it_is() {
    let alice = TopicHasher::with_key((1, 2)).prefixed("workflow:events:", "alice");
    for (per_user, per_address, reason) in [(2, 0, Refused::UserFull), (0, 2, Refused::AddressFull)] {
        let census = census(per_user, per_address);
        let site = || Site { census: census.clone(), ..keyed(site(), &alice) };
        let [first, second] = [(); 2].map(|()| enter(site(), LOCAL, "").1.expect("there is a place"));
        check_refused(site, 429, reason, 5..=15);
        // On its way to another shard, or seated there: the place goes with it.
        drop(first);
        let third = enter(site(), LOCAL, "").1.expect("there is a place again");
        check_refused(site, 429, reason, 5..=15);
        drop((second, third));
        assert_eq!(census.len(), 0);
    }
}

#[test]
fn no_place_is_lost_by_whoever_does_not_get_in() {
    let census = census(1, 1);
    let mut full = Site { census: census.clone(), ..site() };
    full.settings.connections_max = 0;
    assert_eq!(enter(full, LOCAL, "").1.err().unwrap().status, 503);
    let (visit, outcome) = enter(Site { census: census.clone(), ..site() }, LOCAL, "Sec-WebSocket-Version: 8\r\n");
    assert_eq!((outcome.err().unwrap().status, refused(&visit)), (426, vec![(Refused::BadRequest, 1)]));
    let mut visit = Visit::to(Site { census: census.clone(), ..site() }, LOCAL);
    visit.send(UPGRADE);
    drop(visit);
    assert_eq!(census.len(), 0);
}

#[test]
fn addresses_behind_a_trusted_proxy_count_apart_and_go_along() {
    let census = census(0, 1);
    let site = || {
        let mut site = Site { census: census.clone(), ..site() };
        site.settings.trusted_proxies = vec!["10.0.0.0/8".parse().unwrap()];
        site
    };
    let ask = |peer: &str, client: &str| enter(site(), peer, &format!("X-Forwarded-For: {client}\r\n")).1;
    let first = ask("10.0.0.1:5", "192.0.2.1").unwrap();
    assert_eq!(first.peer, "192.0.2.1:0".parse().unwrap());
    let second = ask("10.0.0.1:5", "192.0.2.2").unwrap();
    assert_eq!(ask("10.0.0.2:6", "192.0.2.1").err().unwrap().status, 429);
    let stranger = ask("192.0.2.9:7", "192.0.2.1").expect("what a stranger says of himself is not believed");
    assert_eq!(stranger.peer, "192.0.2.9:7".parse().unwrap());
    assert_eq!(ask("192.0.2.9:8", "192.0.2.77").err().unwrap().status, 429);
    drop((first, second, stranger));
}

#[test]
fn the_private_door_counts_whom_it_refuses() {
    let mut visit = Visit::to(site(), "192.0.2.1:5");
    assert_eq!(visit.ask(get("/admin/stats")).status, 403);
    assert_eq!(visit.ask(post("/publish/alice", "{}")).status, 403);
    assert_eq!(refused(&visit), [(Refused::PrivateDoor, 2)]);
}

#[test]
fn what_is_no_request_is_counted() {
    for (words, status) in [("?\n".to_owned(), 400), (get(&"a".repeat(20_000)), 431)] {
        let mut visit = Visit::new();
        assert_eq!(visit.ask(words).status, status);
        assert_eq!(refused(&visit), [(Refused::BadHead, 1)]);
    }
}

#[test]
fn while_descriptors_are_short_only_who_is_awaited_for_long_makes_room() {
    let second = Duration::from_secs(1);
    let here = |visit: &mut Visit| {
        visit.front.make_room(visit.now);
        visit.front.len() == 1
    };
    let counts = |visit: &Visit| {
        let metrics = visit.front.site.metrics();
        (metrics.http_timeouts.get(), metrics.entrance.evicted.get())
    };
    let mut slow = Visit::new();
    slow.send("GET /");
    slow.turn();
    slow.wait(second.mul_f64(0.9));
    assert!(here(&mut slow), "it has a second");
    slow.wait(second.mul_f64(0.2));
    assert!(!here(&mut slow) && slow.reply().status == 408);
    assert_eq!(counts(&slow), (0, 1), "it had not had all of its time");

    let mut idle = Visit::new();
    idle.ask(get("/health"));
    assert!(here(&mut idle), "the next request may be on its way");
    idle.wait(2 * second);
    assert!(!here(&mut idle) && idle.has_ended());
    assert_eq!(counts(&idle), (0, 1));

    let mut busy = Visit::new();
    let event = post("/publish/alice", "{}");
    busy.send(&event[..event.len() - 1]);
    busy.turn();
    busy.wait(2 * second);
    assert!(here(&mut busy), "a request that is under way is served");
    assert_eq!(counts(&busy), (0, 0));
}
