//! Several instances behind one Redis: everybody gets everything once, in one order, whoever comes and goes.

use loadtest::{Client, Event, FluxClient, Launch, Redis, Server, Told};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

const INSTANCES: usize = 3;
const CLIENTS: usize = 30;
const CHANNELS: usize = 5;
/// The last message of every channel.
const END: &str = r#""end""#;

/// Who broadcast a message, and which of its messages it is.
type Stamp = (usize, u64);

/// Both ways of subscribing to Redis are one to the clients: instances may differ in it.
const SUBSCRIBE: [&str; INSTANCES] = ["patterns", "channels", "channels"];

/// The instance of this number, on a free port or on the one it had.
fn start(redis: &Redis, number: usize, address: Option<SocketAddr>) -> Server {
    let launch = Launch::with_redis(redis).option("--redis-subscribe", SUBSCRIBE[number]);
    let launch = launch.option("--client-messages-per-second", "0");
    match address {
        Some(address) => launch.option("--listen", &address.to_string()).start().unwrap(),
        None => launch.start().unwrap(),
    }
}

fn channel_of(client: usize) -> String {
    format!("channel {}", client % CHANNELS)
}

fn following(address: SocketAddr, channel: &str) -> FluxClient {
    FluxClient::connect(address).unwrap().following(channel)
}

fn payload((sender, number): Stamp) -> String {
    format!(r#"{{"from":{sender},"n":{number}}}"#)
}

fn stamp(payload: &str) -> Stamp {
    let json: serde_json::Value = serde_json::from_str(payload).unwrap();
    let sender = json["from"].as_u64().and_then(|sender| usize::try_from(sender).ok());
    (sender.unwrap(), json["n"].as_u64().unwrap())
}

/// The next message of this channel; `None` for its last one and at the end of the connection.
fn next(client: &mut FluxClient, channel: &str) -> Option<Stamp> {
    match client.told()? {
        Told::Message { channel: own, payload } => {
            assert_eq!(own, channel);
            (payload != END).then(|| stamp(&payload))
        }
        other => panic!("{channel}: {other:?}"),
    }
}

/// Everything until the last message of the channel.
fn all(client: &mut FluxClient, channel: &str) -> Vec<Stamp> {
    std::iter::from_fn(|| next(client, channel)).collect()
}

fn end_every_channel(redis: &Redis) {
    let mut publisher = redis.publisher().unwrap();
    for number in 0..CHANNELS {
        publisher.command(&["PUBLISH", &format!("flux:{}", channel_of(number)), END]).unwrap();
    }
}

/// What everybody else said.
fn without(said: &[Stamp], sender: usize) -> Vec<Stamp> {
    said.iter().copied().filter(|stamp| stamp.0 != sender).collect()
}

/// Each sender's messages, in the order in which a witness heard them.
fn by_sender(said: &[Stamp]) -> BTreeMap<usize, Vec<u64>> {
    let mut senders: BTreeMap<usize, Vec<u64>> = BTreeMap::new();
    for (sender, number) in said {
        senders.entry(*sender).or_default().push(*number);
    }
    senders
}

/// The witnesses of all channels, who say nothing themselves: what they heard is what was said.
fn witnesses(server: &Server) -> Vec<FluxClient> {
    (0..CHANNELS).map(|number| following(server.address, &channel_of(number))).collect()
}

/// What was said in each channel: so many messages and then the last one.
fn said(redis: &Redis, witnesses: &mut [FluxClient], messages: &[usize]) -> Vec<Vec<Stamp>> {
    let hear = |(number, witness): (usize, &mut FluxClient)| {
        let channel = channel_of(number);
        let said: Vec<_> = (0..messages[number]).map_while(|_| next(witness, &channel)).collect();
        assert_eq!(said.len(), messages[number], "messages in {channel}");
        said
    };
    let said = witnesses.iter_mut().enumerate().map(hear).collect();
    end_every_channel(redis);
    for (number, witness) in witnesses.iter_mut().enumerate() {
        assert_eq!(next(witness, &channel_of(number)), None, "more than was said");
    }
    said
}

#[test]
fn clients_of_three_instances_hear_each_channel_in_one_order_and_never_themselves() {
    const MESSAGES: usize = 40;
    let redis = Redis::start().unwrap();
    let servers: Vec<Server> = (0..INSTANCES).map(|number| start(&redis, number, None)).collect();
    let mut witnesses = witnesses(&servers[0]);
    let connect = |number: usize| following(servers[number % INSTANCES].address, &channel_of(number));
    let mut clients: Vec<FluxClient> = (0..CLIENTS).map(connect).collect();
    let everybody = Barrier::new(CLIENTS);
    thread::scope(|scope| {
        for (number, client) in clients.iter_mut().enumerate() {
            let everybody = &everybody;
            scope.spawn(move || {
                everybody.wait();
                for message in 0..MESSAGES as u64 {
                    client.broadcast(&channel_of(number), &payload((number, message))).unwrap();
                }
            });
        }
    });
    let said = said(&redis, &mut witnesses, &[CLIENTS / CHANNELS * MESSAGES; CHANNELS]);
    for (number, client) in clients.iter_mut().enumerate() {
        let (channel, said) = (channel_of(number), &said[number % CHANNELS]);
        assert_eq!(by_sender(said)[&number], (0..MESSAGES as u64).collect::<Vec<_>>(), "said by {number}");
        assert_eq!(all(client, &channel), without(said, number), "heard by {number}");
    }
}

/// Says numbers in its channel, one every few milliseconds, until it is told to stop: how many.
fn say_on(client: &mut FluxClient, sender: usize, stop: &AtomicBool) -> usize {
    const PAUSE: Duration = Duration::from_millis(4);
    /// Nobody may be left to say stop: half a minute of it is enough.
    const MESSAGES_MAX: u64 = 7_500;
    let spoken = (0..MESSAGES_MAX).take_while(|number| {
        client.broadcast(&channel_of(sender), &payload((sender, *number))).unwrap();
        thread::sleep(PAUSE);
        !stop.load(Ordering::Relaxed)
    });
    spoken.count() + 1
}

/// A client whose instance was killed.
struct Refugee {
    number: usize,
    client: FluxClient,
    /// What it heard until then.
    before: Vec<Stamp>,
}

/// Hears its connection end, and comes back there.
fn flee(number: usize, mut client: FluxClient, to: SocketAddr) -> Refugee {
    let before = all(&mut client, &channel_of(number));
    Refugee { number, client: following(to, &channel_of(number)), before }
}

/// Kills the last instance, restarts it, and lets its clients come back to the first and to itself.
fn disturb(
    redis: &Redis,
    victim: Server,
    clients: Vec<(usize, FluxClient)>,
    pace: &mut Pace,
) -> (Server, Vec<Refugee>) {
    let (address, elsewhere) = (victim.address, pace.first);
    pace.wait_a_while();
    drop(victim);
    let (early, late): (Vec<_>, Vec<_>) = clients.into_iter().partition(|(number, _)| number % 2 == 0);
    let flee_to = |to| move |(number, client)| flee(number, client, to);
    let mut refugees: Vec<Refugee> = early.into_iter().map(flee_to(elsewhere)).collect();
    pace.wait_a_while();
    let again = start(redis, 2, Some(address));
    refugees.extend(late.into_iter().map(flee_to(address)));
    pace.wait_a_while();
    (again, refugees)
}

/// Somebody who listens to the first channel, to know that it goes on.
struct Pace {
    client: FluxClient,
    first: SocketAddr,
}

impl Pace {
    fn wait_a_while(&mut self) {
        const MESSAGES: usize = 100;
        let heard = (0..MESSAGES).map_while(|_| next(&mut self.client, &channel_of(0))).count();
        assert_eq!(heard, MESSAGES, "the others go on");
    }
}

#[test]
fn an_instance_that_is_killed_and_restarted_costs_nobody_else_anything() {
    let redis = Redis::start().unwrap();
    let (first, second, victim) = (start(&redis, 0, None), start(&redis, 1, None), start(&redis, 2, None));
    let addresses = [first.address, second.address, victim.address];
    let mut witnesses = witnesses(&first);
    let connect = |number: usize| (number, following(addresses[number % INSTANCES], &channel_of(number)));
    let (theirs, mut survivors): (Vec<_>, Vec<_>) =
        (0..CLIENTS).map(connect).partition(|(number, _)| number % INSTANCES == INSTANCES - 1);
    let mut pace = Pace { client: following(second.address, &channel_of(0)), first: first.address };
    let stop = AtomicBool::new(false);
    let (counts, (_again, mut refugees)) = thread::scope(|scope| {
        let stop = &stop;
        let talk = |(number, client): &'_ mut (usize, FluxClient)| (*number, say_on(client, *number, stop));
        let talkers: Vec<_> = survivors.iter_mut().map(|survivor| scope.spawn(move || talk(survivor))).collect();
        let disturbed = disturb(&redis, victim, theirs, &mut pace);
        stop.store(true, Ordering::Relaxed);
        let counts: BTreeMap<usize, usize> = talkers.into_iter().map(|talker| talker.join().unwrap()).collect();
        (counts, disturbed)
    });

    let mut messages = [0; CHANNELS];
    for (number, count) in &counts {
        messages[number % CHANNELS] += count;
    }
    let said = said(&redis, &mut witnesses, &messages);
    for (number, client) in &mut survivors {
        let (channel, said) = (channel_of(*number), &said[*number % CHANNELS]);
        assert_eq!(by_sender(said)[number], (0..counts[number] as u64).collect::<Vec<_>>(), "said by {number}");
        assert_eq!(all(client, &channel), without(said, *number), "heard by {number}");
    }
    for Refugee { number, client, before } in &mut refugees {
        let (after, said) = (all(client, &channel_of(*number)), &said[*number % CHANNELS]);
        assert!(!before.is_empty() && said.starts_with(before), "{number} heard otherwise before: {before:?}");
        assert!(!after.is_empty() && said.ends_with(&after), "{number} heard otherwise after: {after:?}");
        assert!(before.len() + after.len() <= said.len(), "{number} heard something twice");
    }
}

#[test]
fn workflow_events_reach_everybody_connected_while_an_instance_is_killed_and_restarted() {
    const USERNAMES: [&str; 2] = ["alice", "bob"];
    const EVENTS: u64 = 50;
    let redis = Redis::start().unwrap();
    let mut servers: Vec<Server> = (0..INSTANCES).map(|number| start(&redis, number, None)).collect();
    let mut publisher = redis.publisher().unwrap();
    let listen =
        |server: &Server| USERNAMES.map(|username| (username, Client::listen(server.address, username).unwrap()));
    let mut clients: Vec<_> = servers.iter().flat_map(listen).collect();
    let mut hear = |clients: &mut [(&str, Client)], round: u64| {
        for sequence in round * EVENTS..(round + 1) * EVENTS {
            for username in USERNAMES {
                publisher.publish(username, Event { username, sequence }.json()).unwrap();
            }
        }
        for (username, client) in clients {
            let due = round * EVENTS..(round + 1) * EVENTS;
            let heard: Vec<_> = due.clone().map_while(|_| client.text()).collect();
            let due: Vec<_> = due.map(|sequence| Event { username, sequence }.json()).collect();
            assert_eq!(heard, due, "{username} in round {round}");
        }
    };
    hear(&mut clients, 0);
    let victim = servers.pop().unwrap();
    let address = victim.address;
    drop(victim);
    for (_, client) in clients.drain(clients.len() - USERNAMES.len()..) {
        let mut client = client;
        assert_eq!(client.close_code(), Some(1006));
    }
    clients.extend(listen(&servers[0]));
    hear(&mut clients, 1);
    let again = start(&redis, 2, Some(address));
    clients.extend(listen(&again));
    hear(&mut clients, 2);
    for username in USERNAMES {
        publisher.publish(username, "end").unwrap();
    }
    for (username, client) in &mut clients {
        assert_eq!(client.text().as_deref(), Some("end"), "{username} got more than was published");
    }
}
