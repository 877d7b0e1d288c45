//! The proxies of `deploy/` in front of three instances: clients pass, spread evenly, and come back after a loss.

mod proxy;

use loadtest::{Client, FluxClient, Launch, Redis, Server, Told, eventually, knock};
use proxy::{Proxy, status};
use std::net::SocketAddr;

const CLIENTS: u64 = 30;

fn start(redis: &Redis, address: Option<SocketAddr>) -> Server {
    let launch = Launch::with_redis(redis).option("--trusted-proxies", "127.0.0.1");
    match address {
        Some(address) => launch.option("--listen", &address.to_string()).start().unwrap(),
        None => launch.start().unwrap(),
    }
}

fn following(address: SocketAddr) -> FluxClient {
    FluxClient::connect(address).unwrap().following("room")
}

/// Each of them has its share of all clients, give or take one.
fn check_shares(instances: &[&Server], total: u64) {
    let share = total / instances.len() as u64;
    for instance in instances {
        let own = instance.count("/total/connections");
        assert!(own.abs_diff(share) <= 1, "{own} clients of {total} on one of {}", instances.len());
    }
}

/// Everybody broadcasts once and hears everybody else.
fn check_room(clients: &mut [FluxClient]) {
    for sender in 0..clients.len() {
        clients[sender].broadcast("room", &sender.to_string()).unwrap();
        for (number, client) in clients.iter_mut().enumerate() {
            if number != sender {
                assert_eq!(client.told(), Some(Told::message("room", &sender.to_string())), "{number} from {sender}");
            }
        }
    }
}

fn check_pages(address: SocketAddr) {
    let table = [
        ("GET", "/flux/health", 200),
        ("HEAD", "/flux/health", 200),
        ("POST", "/flux/health", 405),
        ("GET", "/flux/ready", 200),
        ("GET", "/flux/", 200),
        ("GET", "/flux", 200),
        ("GET", "/ws", 426),
        ("GET", "/flux/ws", 426),
        ("GET", "/flux/nowhere", 404),
        ("GET", "/admin/stats", 404),
        ("POST", "/publish/alice", 404),
        ("GET", "/metrics", 404),
        ("GET", "/fluxx", 404),
    ];
    for (method, page, expected) in table {
        assert_eq!(status(address, method, page), Some(expected), "{method} {page}");
    }
}

/// What a client says about its own address is not taken for the proxy's word.
fn check_address(address: SocketAddr, instances: &[&Server]) {
    let lies = "X-Forwarded-For: 203.0.113.9\r\nForwarded: for=203.0.113.9\r\n";
    let (answer, liar) = knock(address, "/ws?username=liar", lies);
    assert_eq!(answer.status, 101, "{answer:?}");
    let mut rows = instances.iter().map(|instance| instance.get("/admin/connections?filter=liar").unwrap().json());
    let found = rows.find_map(|rows| rows["connections"][0]["address"].as_str().map(str::to_owned));
    assert!(found.as_deref().is_some_and(|found| found.starts_with("127.0.0.1")), "{found:?}");
    drop(liar);
    for instance in instances {
        instance.wait_until("/total/connections", 0);
    }
}

/// New clients go where the fewest are, once the proxy tries the restarted instance again.
fn check_return(proxy: &Proxy, again: &Server, share: u64) {
    let mut newcomers = Vec::new();
    newcomers.push(eventually("the restarted instance gets clients", || {
        let client = following(proxy.address);
        (again.count("/total/connections") == 1).then_some(client)
    }));
    newcomers.extend((1..share).map(|_| following(proxy.address)));
    assert_eq!(again.count("/total/connections"), share);
    check_room(&mut newcomers);
}

fn check(start_proxy: impl Fn(&[&Server; 3]) -> Proxy) {
    let redis = Redis::start().unwrap();
    let (first, second, third) = (start(&redis, None), start(&redis, None), start(&redis, None));
    let proxy = start_proxy(&[&first, &second, &third]);
    check_pages(proxy.address);
    check_address(proxy.address, &[&first, &second, &third]);
    let mut clients: Vec<FluxClient> = (0..CLIENTS).map(|_| following(proxy.address)).collect();
    check_shares(&[&first, &second, &third], CLIENTS);
    check_room(&mut clients);
    let mut listener = Client::listen(proxy.address, "alice b").unwrap();
    redis.publisher().unwrap().publish("alice b", "an event").unwrap();
    assert_eq!(listener.text().as_deref(), Some("an event"));
    drop(listener);

    let address = third.address;
    drop(third);
    for client in &mut clients {
        // Those who are still connected answer; the others come back, through the proxy as before.
        if client.ping() != Some(Told::Pong) {
            *client = following(proxy.address);
        }
    }
    check_shares(&[&first, &second], CLIENTS);
    check_room(&mut clients);
    let again = start(&redis, Some(address));
    check_return(&proxy, &again, CLIENTS / 3);
}

#[test]
fn clients_pass_nginx_evenly_and_come_back_after_an_instance_was_killed() {
    check(Proxy::nginx);
}

#[test]
fn clients_pass_caddy_evenly_and_come_back_after_an_instance_was_killed() {
    check(Proxy::caddy);
}

#[test]
fn clients_pass_haproxy_evenly_and_come_back_after_an_instance_was_killed() {
    check(Proxy::haproxy);
}
