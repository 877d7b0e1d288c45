//! Redis followed channel by channel: nobody misses anything, and nothing is subscribed to that nobody follows.

use fastrand::Rng;
use loadtest::{
    Client, Crowd, Event, FluxClient, Launch, Publisher, Redis, Reply, Server, Tally, Told, eventually, words,
};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

/// As short as the server allows, so that channels are left and come back all the time.
const LINGER: &str = "100ms";

fn launch(redis: &Redis) -> Launch {
    Launch::with_redis(redis).option("--redis-subscribe", "channels").option("--redis-linger", LINGER)
}

/// Channels that somebody here follows; beside them each instance subscribes to its canary.
fn channels(publisher: &mut Publisher) -> usize {
    let all = words(&publisher.command(&["PUBSUB", "CHANNELS"]).unwrap());
    all.iter().filter(|name| !name.starts_with(b"fanout:canary:")).count()
}

/// How often Redis has been given a command.
fn calls(publisher: &mut Publisher, command: &str) -> u64 {
    let reply = publisher.command(&["INFO", "commandstats"]).unwrap();
    let Reply::BulkString(text) = reply else { panic!("{reply:?}") };
    let text = String::from_utf8(text.to_vec()).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{command}:calls=")));
    line.and_then(|line| line.split(',').next()?.parse().ok()).unwrap_or(0)
}

#[test]
fn only_what_somebody_follows_is_sent_here() {
    let redis = Redis::start().unwrap();
    let server = launch(&redis).start().unwrap();
    let mut publisher = redis.publisher().unwrap();
    assert_eq!(channels(&mut publisher), 0);
    let mut alice = Client::listen(server.address, "alice").unwrap();
    assert_eq!(publisher.publish("alice", "1").unwrap(), 1);
    assert_eq!(publisher.publish("bob", "2").unwrap(), 0);
    assert_eq!(publisher.publish("alice", "3").unwrap(), 1);
    assert_eq!([alice.text(), alice.text()].map(Option::unwrap), ["1", "3"]);
    drop(alice);
    eventually("the channel is left", || (channels(&mut publisher) == 0).then_some(()));
    assert_eq!(publisher.publish("alice", "4").unwrap(), 0);
}

#[test]
fn flux_channels_are_followed_one_by_one_too_on_every_instance() {
    let redis = Redis::start().unwrap();
    let servers = [launch(&redis).start().unwrap(), launch(&redis).start().unwrap()];
    let mut publisher = redis.publisher().unwrap();
    let mut clients = servers.each_ref().map(|server| FluxClient::connect(server.address).unwrap());
    for client in &mut clients {
        assert_eq!(client.subscribe("room"), Some(Told::Subscribed("room".to_owned())));
    }
    assert_eq!(channels(&mut publisher), 1);
    assert_eq!(publisher.command(&["PUBLISH", "flux:another room", "0"]).unwrap(), Reply::Integer(0));
    clients[0].broadcast("room", "1").unwrap();
    assert_eq!(clients[1].told(), Some(Told::message("room", "1")));
    for client in &mut clients {
        assert_eq!(client.unsubscribe("room"), Some(Told::Unsubscribed("room".to_owned())));
    }
    eventually("the channel is left", || (channels(&mut publisher) == 0).then_some(()));
}

/// Usernames, and how far their events are. Sequences begin with 1.
struct Town {
    usernames: Vec<String>,
    /// The last event whose publication was begun.
    begun: Vec<AtomicU64>,
    /// The last event that Redis has taken.
    taken: Vec<AtomicU64>,
    is_over: AtomicBool,
}

impl Town {
    fn of(users: usize) -> Self {
        let zeroes = || (0..users).map(|_| AtomicU64::new(0)).collect();
        let usernames = (0..users).map(|user| format!("user-{user}")).collect();
        Self { usernames, begun: zeroes(), taken: zeroes(), is_over: AtomicBool::new(false) }
    }

    /// Publishes to anybody until it is over.
    fn publish(&self, mut publisher: Publisher, mut random: Rng) {
        while !self.is_over.load(SeqCst) {
            let user = random.usize(..self.usernames.len());
            let sequence = self.begun[user].load(SeqCst) + 1;
            self.begun[user].store(sequence, SeqCst);
            let username = &self.usernames[user];
            publisher.publish(username, Event { username, sequence }.json()).unwrap();
            self.taken[user].store(sequence, SeqCst);
        }
    }

    /// A client comes, stays for a moment and goes; gives how many events it got. What was begun after its 101 must come;
    /// of what came before it may see the end, and never a hole or anything twice.
    fn visit(&self, server: &Server, random: &mut Rng) -> u64 {
        let user = random.usize(..self.usernames.len());
        let mut client = Client::listen(server.address, &self.usernames[user]).unwrap();
        let begun = self.begun[user].load(SeqCst);
        // For some events, or for none: who goes at once is among them.
        thread::sleep(Duration::from_millis(random.u64(..40)));
        let taken = self.taken[user].load(SeqCst);
        let (mut first, mut last) = (None, begun);
        while last < taken || (first.is_none() && begun < taken) {
            let text = client.text().unwrap_or_else(|| panic!("user {user}: {taken} was published, {last} came"));
            let event = Event::parse(text.as_bytes()).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(event.username, self.usernames[user]);
            match first {
                None => assert!(event.sequence <= begun + 1, "user {user}: {} follows {begun}", event.sequence),
                Some(_) => assert_eq!(event.sequence, last + 1, "user {user}"),
            }
            first = first.or(Some(event.sequence));
            last = event.sequence;
        }
        if random.bool() {
            client.close();
        }
        first.map_or(0, |first| last - first + 1)
    }
}

#[test]
fn users_come_and_go_and_nobody_misses_what_is_published_after_the_101() {
    const USERS: usize = 40;
    const VISITORS: u64 = 4;
    const VISITS: u64 = 150;
    let redis = Redis::start().unwrap();
    let server = launch(&redis).start().unwrap();
    let town = Town::of(USERS);
    let got: u64 = thread::scope(|scope| {
        let publisher = redis.publisher().unwrap();
        scope.spawn(|| town.publish(publisher, Rng::with_seed(1)));
        let visits = |seed| {
            let mut random = Rng::with_seed(seed);
            (0..VISITS).map(|_| town.visit(&server, &mut random)).sum::<u64>()
        };
        let visitors: Vec<_> = (0..VISITORS).map(|visitor| scope.spawn(move || visits(visitor + 2))).collect();
        let got: Vec<_> = visitors.into_iter().map(thread::ScopedJoinHandle::join).collect();
        town.is_over.store(true, SeqCst);
        got.into_iter().map(Result::unwrap).sum()
    });
    assert!(got > VISITORS * VISITS, "{got} events came: too few to prove anything");

    let mut publisher = redis.publisher().unwrap();
    eventually("every channel is left", || (channels(&mut publisher) == 0).then_some(()));
    let (asked, left) = (calls(&mut publisher, "subscribe"), calls(&mut publisher, "unsubscribe"));
    assert!(left > 20 && asked > USERS as u64, "channels were left {left} times and asked for {asked} times");
    assert_eq!(server.count("/broker/reconnects"), 0);
}

/// One event for each username, to everybody.
fn publish_to_all(redis: &Redis, usernames: &[String], sequence: u64) {
    let mut publisher = redis.publisher().unwrap();
    for username in usernames {
        publisher.send_event(username, Event { username, sequence }.json()).unwrap();
    }
    let receivers: i64 = usernames.iter().map(|_| publisher.receivers().unwrap()).sum();
    assert_eq!(usize::try_from(receivers), Ok(usernames.len()), "each channel is subscribed to once");
}

#[test]
fn after_redis_was_cut_or_restarted_everybody_gets_events_again() {
    const USERS: usize = 2_000;
    let mut redis = Redis::start().unwrap();
    let server = launch(&redis).start().unwrap();
    let usernames: Vec<String> = (0..USERS).map(|user| format!("user-{user}")).collect();
    let mut crowd = Crowd::connect(server.address, usernames.clone(), 1).unwrap();
    let mut delivered = 0;
    let mut check = |redis: &Redis, sequence| {
        publish_to_all(redis, &usernames, sequence);
        delivered += USERS as u64;
        crowd.gather(delivered, Duration::from_secs(5)).unwrap();
        assert_eq!(crowd.tally(), &Tally::faultless(delivered));
    };
    check(&redis, 0);

    redis.publisher().unwrap().command(&["CLIENT", "KILL", "TYPE", "pubsub"]).unwrap();
    eventually("it reconnects", || (server.count("/broker/reconnects") == 1).then_some(()));
    check(&redis, 1);

    redis.kill();
    server.wait_for_status("/ready", 503);
    let mut newcomer = Client::connect(server.address, "/ws?username=late&meta=1").unwrap();
    redis.restart().unwrap();
    server.wait_for_status("/ready", 200);
    check(&redis, 2);
    let gap: serde_json::Value = serde_json::from_str(&newcomer.text().unwrap()).unwrap();
    assert_eq!(gap["type"], "fanout.gap", "whoever came meanwhile is told too");
    let mut publisher = redis.publisher().unwrap();
    publisher.publish("late", "at last").unwrap();
    assert_eq!(newcomer.text().as_deref(), Some("at last"));
    assert_eq!(channels(&mut publisher), USERS + 1);
}
