//! Flux while Redis is away: who broadcasts is told, who listens goes on afterwards.

use loadtest::{FluxClient, Launch, Received, Redis, Server, Told, eventually};
use std::iter;
use std::time::Duration;

/// One check with each way of subscribing to Redis.
fn in_both_ways(check: impl Fn(Redis, Launch)) {
    for subscribe in ["patterns", "channels"] {
        let redis = Redis::start().unwrap();
        let launch = Launch::with_redis(&redis).option("--redis-subscribe", subscribe);
        check(redis, launch);
    }
}

fn following(server: &Server, target: &str, channel: &str) -> FluxClient {
    FluxClient::connect_to(server.address, target).unwrap().following(channel)
}

/// Broadcasts until one is taken: the connection that publishes comes back in its own time, and says so until then.
fn broadcast_again(sender: &mut FluxClient, listener: &mut FluxClient, payload: &str) {
    let message = Told::message("room", payload);
    eventually("a broadcast is taken", || {
        sender.broadcast("room", payload).unwrap();
        // Either the listener hears it or the sender hears that nobody will.
        loop {
            if let Some(told) = heard_now(listener) {
                assert_eq!(told, message);
                return Some(());
            }
            if let Some(told) = heard_now(sender) {
                assert_eq!(told, Told::error_about("room", "unavailable"));
                return None;
            }
        }
    });
}

/// What a client is told within a moment, if anything.
fn heard_now(client: &mut FluxClient) -> Option<Told> {
    match client.client().receive(Duration::from_millis(20)) {
        Received::Text(text) => Some(Told::read(&text)),
        Received::Silence => None,
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_broadcast_while_redis_is_away_is_refused_and_service_resumes_on_the_same_connections() {
    in_both_ways(|mut redis, launch| {
        const BROADCASTS: usize = 20;
        let server = launch.start().unwrap();
        let mut sender = FluxClient::connect(server.address).unwrap();
        let mut listener = following(&server, "/flux/ws", "room");
        broadcast_again(&mut sender, &mut listener, r#""before""#);
        for outage in 0..2 {
            redis.kill();
            for number in 0..BROADCASTS {
                sender.broadcast("room", &number.to_string()).unwrap();
            }
            for number in 0..BROADCASTS {
                let told = sender.told();
                assert_eq!(
                    told,
                    Some(Told::error_about("room", "unavailable")),
                    "broadcast {number} of outage {outage}"
                );
            }
            server.wait_for_status("/flux/ready", 503);
            let refused = Some(Told::error_about("room", "unavailable"));
            sender.broadcast("room", "0").unwrap();
            assert_eq!(sender.told(), refused, "once the outage is known");
            assert_eq!(sender.ping(), Some(Told::Pong));
            redis.restart().unwrap();
            server.wait_for_status("/flux/ready", 200);
            broadcast_again(&mut sender, &mut listener, &format!(r#""after {outage}""#));
        }
        assert_eq!(listener.ping(), Some(Told::Pong), "nothing of what was refused was delivered");
    });
}

#[test]
fn events_from_elsewhere_come_again_once_redis_is_back() {
    in_both_ways(|mut redis, launch| {
        let server = launch.start().unwrap();
        let mut listeners: Vec<FluxClient> = (0..4).map(|_| following(&server, "/flux/ws", "room")).collect();
        redis.kill();
        server.wait_for_status("/flux/ready", 503);
        redis.restart().unwrap();
        server.wait_for_status("/flux/ready", 200);
        redis.publisher().unwrap().command(&["PUBLISH", "flux:room", "1"]).unwrap();
        for listener in &mut listeners {
            assert_eq!(listener.told(), Some(Told::message("room", "1")));
        }
    });
}

#[test]
fn what_is_subscribed_while_redis_is_away_is_followed_once_it_is_back() {
    in_both_ways(|mut redis, launch| {
        let server = launch.start().unwrap();
        let mut client = following(&server, "/flux/ws", "old");
        redis.kill();
        server.wait_for_status("/flux/ready", 503);
        client.say(r#"{"type":"subscribe","channel":"new"}"#).unwrap();
        client.say(r#"{"type":"unsubscribe","channel":"old"}"#).unwrap();
        redis.restart().unwrap();
        let mut told = [client.told(), client.told()];
        told.sort_by_key(|told| matches!(told, Some(Told::Unsubscribed(_))));
        assert_eq!(told, [Some(Told::Subscribed("new".into())), Some(Told::Unsubscribed("old".into()))]);
        server.wait_for_status("/flux/ready", 200);
        let mut publisher = redis.publisher().unwrap();
        publisher.command(&["PUBLISH", "flux:old", "1"]).unwrap();
        publisher.command(&["PUBLISH", "flux:new", "2"]).unwrap();
        assert_eq!(client.told(), Some(Told::message("new", "2")));
    });
}

#[test]
fn those_who_asked_for_notices_hear_of_the_gap_and_of_the_end_and_nobody_else() {
    let mut redis = Redis::start().unwrap();
    let server = Launch::with_redis(&redis).start().unwrap();
    let mut told = following(&server, "/flux/ws?meta=1", "room");
    let mut untold = following(&server, "/flux/ws?meta=0", "room");
    redis.kill();
    server.wait_for_status("/flux/ready", 503);
    redis.restart().unwrap();
    server.wait_for_status("/flux/ready", 200);
    redis.publisher().unwrap().command(&["PUBLISH", "flux:room", "1"]).unwrap();
    assert_eq!(told.told(), Some(Told::Notice("fanout.gap".into())));
    assert_eq!((told.told(), untold.told()), (Some(Told::message("room", "1")), Some(Told::message("room", "1"))));
    server.terminate().unwrap();
    assert_eq!(told.told(), Some(Told::Notice("fanout.draining".into())));
    assert_eq!(told.client().close_code(), Some(1012));
    assert_eq!(untold.client().text(), None, "it is closed without a word of it");
}

#[test]
fn what_redis_forbids_is_answered_as_forbidden() {
    let redis = Redis::start().unwrap();
    let mut publisher = redis.publisher().unwrap();
    let grant = "on >a-password ~* &* +@all -publish";
    let words: Vec<&str> = ["ACL", "SETUSER", "listener"].into_iter().chain(grant.split(' ')).collect();
    publisher.command(&words).unwrap();
    let launch = Launch::with_redis(&redis).option("--redis-user", "listener");
    let server = launch.variable("REDIS_PASSWORD", "a-password").start_unready().unwrap();
    let mut client = following(&server, "/flux/ws", "room");
    client.broadcast("room", "1").unwrap();
    assert_eq!(client.told(), Some(Told::error_about("room", "forbidden")));
    publisher.command(&["PUBLISH", "flux:room", "2"]).unwrap();
    assert_eq!(client.told(), Some(Told::message("room", "2")));
}

#[test]
fn what_is_too_much_while_redis_pauses_is_refused_and_all_the_rest_arrives_once_in_order() {
    /// More than may wait anywhere: 16 384 before the connection to Redis and 1 024 on it.
    const BROADCASTS: u64 = 20_000;
    let redis = Redis::start().unwrap();
    let launch = Launch::with_redis(&redis).option("--client-messages-per-second", "0");
    // All answers may wait for the sender, and all messages for the listener.
    let server = launch.option("--outbound-max", "64MiB").start().unwrap();
    let mut listener = following(&server, "/flux/ws", "room");
    let mut sender = FluxClient::connect(server.address).unwrap();
    broadcast_again(&mut sender, &mut listener, r#""before""#);
    let mut publisher = redis.publisher().unwrap();
    publisher.command(&["CLIENT", "PAUSE", "60000", "WRITE"]).unwrap();
    for number in 0..BROADCASTS {
        sender.broadcast("room", &number.to_string()).unwrap();
    }
    let refusal = Told::error_about("room", "unavailable");
    assert_eq!(sender.told().as_ref(), Some(&refusal), "while Redis pauses");
    publisher.command(&["CLIENT", "UNPAUSE"]).unwrap();

    let mut refused = 1;
    let mut heard = Vec::new();
    eventually("each was refused or heard", || {
        refused += iter::from_fn(|| heard_now(&mut sender)).inspect(|told| assert_eq!(*told, refusal)).count() as u64;
        heard.extend(iter::from_fn(|| heard_now(&mut listener)).map(number_of));
        (refused + heard.len() as u64 >= BROADCASTS).then_some(())
    });
    assert_eq!(refused + heard.len() as u64, BROADCASTS);
    assert!(heard.is_sorted_by(|one, next| one < next), "in order and once each");
    assert_eq!((heard_now(&mut sender), heard_now(&mut listener)), (None, None));
}

#[test]
fn what_was_taken_before_a_drain_is_still_published() {
    const BROADCASTS: u64 = 150;
    let redis = Redis::start().unwrap();
    let [leaving, staying] = [(); 2].map(|()| Launch::with_redis(&redis).start().unwrap());
    let mut listener = following(&staying, "/flux/ws", "room");
    let mut sender = FluxClient::connect(leaving.address).unwrap();
    broadcast_again(&mut sender, &mut listener, r#""before""#);
    let mut publisher = redis.publisher().unwrap();
    // Redis is back before the instance that leaves gives up on it.
    publisher.command(&["CLIENT", "PAUSE", "400", "WRITE"]).unwrap();
    let padding = " ".repeat(50_000);
    for number in 0..BROADCASTS {
        sender.broadcast("room", &format!("{padding}{number}")).unwrap();
    }
    assert_eq!(sender.ping(), Some(Told::Pong), "all of it was taken");
    drop(sender);
    leaving.terminate().unwrap();
    for number in 0..BROADCASTS {
        assert_eq!(listener.told().map(number_of), Some(number));
    }
}

fn number_of(told: Told) -> u64 {
    match told {
        Told::Message { payload, .. } => payload.parse().unwrap(),
        other => panic!("{other:?}"),
    }
}
