//! How many connections a user and an address may have: exactly so many, on all shards together, and none is lost.

use loadtest::{Answer, Client, Launch, PATIENCE, RawSocket, Server, eventually, knock, upgrade_request};
use std::thread;
use std::time::Instant;

const SHARDS: &str = "4";

/// A server whose users spread over its shards from their third connection on.
fn limited(flag: &str, places: usize) -> Launch {
    let launch = Launch::embedded().option("--shards", SHARDS).option("--spread-above", "2");
    launch.option(flag, &places.to_string())
}

fn ask(server: &Server, username: &str, fields: &str) -> (Answer, RawSocket) {
    knock(server.address, &format!("/ws?username={username}"), fields)
}

fn admit(server: &Server, username: &str) -> RawSocket {
    let (answer, socket) = ask(server, username, "");
    assert_eq!(answer.status, 101, "{username}: {answer:?}");
    socket
}

/// There is no place, the answer says so, and it is counted.
fn check_refused(server: &Server, username: &str, reason: &str) {
    let counter = format!("/total/refused/{reason}");
    let before = server.count(&counter);
    let (answer, _) = ask(server, username, "");
    assert_eq!(answer.status, 429, "{answer:?}");
    let seconds: u32 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((5..=15).contains(&seconds), "{answer:?}");
    assert!(answer.json()["hint"].as_str().unwrap().contains("--max-connections-per-"), "{answer:?}");
    assert_eq!(server.count(&counter), before + 1);
}

/// Comes back until there is a place, which there is as soon as the server has heard that one is free.
fn admit_soon(server: &Server, username: &str) -> RawSocket {
    eventually("a place is free", || Some(ask(server, username, "")).filter(|(answer, _)| answer.status == 101)).1
}

/// Exactly so many places are free for this user.
fn check_free(server: &Server, username: &str, places: usize, reason: &str) {
    let sockets: Vec<RawSocket> = (0..places).map(|_| admit_soon(server, username)).collect();
    check_refused(server, username, reason);
    drop(sockets);
    server.wait_until("/total/connections", 0);
}

#[test]
fn a_user_has_so_many_connections_on_all_shards_together_and_others_are_not_touched() {
    let server = limited("--max-connections-per-user", 9).start().unwrap();
    let mut sockets: Vec<RawSocket> = (0..9).map(|_| admit(&server, "alice")).collect();
    check_refused(&server, "alice", "user_full");
    drop(admit(&server, "bob"));
    let seats = server.stats()["shards"].as_array().unwrap().iter().filter(|shard| shard["connections"] != 0).count();
    assert!(seats > 1, "her connections are on {seats} shards");
    // One that ends by its own will, one that is cut, one that an administrator ends.
    sockets.pop().unwrap().send(&[0x88, 0x80, 0, 0, 0, 0]).unwrap();
    sockets.push(admit_soon(&server, "alice"));
    drop(sockets.pop());
    sockets.push(admit_soon(&server, "alice"));
    check_refused(&server, "alice", "user_full");
    loadtest::exchange(
        server.address,
        "POST /admin/disconnect HTTP/1.1\r\nHost: localhost\r\nContent-Length: 20\r\n\r\n{\"username\":\"alice\"}",
    )
    .unwrap();
    for socket in &mut sockets {
        assert_eq!(socket.close_code(), Some(4002));
    }
    drop(sockets);
    check_free(&server, "alice", 9, "user_full");
}

#[test]
fn who_rushes_in_from_everywhere_gets_no_more_places_than_there_are() {
    let server = limited("--max-connections-per-user", 7).start().unwrap();
    for _ in 0..5 {
        let sockets: Vec<(Answer, RawSocket)> = thread::scope(|scope| {
            let rush = || (0..10).map(|_| ask(&server, "alice", "")).collect::<Vec<_>>();
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(rush)).collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(sockets.iter().filter(|(answer, _)| answer.status == 101).count(), 7);
        drop(sockets);
        server.wait_until("/total/connections", 0);
    }
    assert_eq!(server.count("/total/refused/user_full"), 5 * 33);
}

#[test]
fn a_place_is_given_back_wherever_a_connection_ends() {
    let server = limited("--max-connections-per-user", 3).start().unwrap();
    let request = upgrade_request("/ws?username=alice", "");
    for round in 0..400 {
        let mut socket = RawSocket::connect(server.address).unwrap();
        // Cut within the request, on its way to another shard, before its answer, or after.
        let sent = if round % 3 == 0 { round % request.len() } else { request.len() };
        socket.send(&request.as_bytes()[..sent]).unwrap();
        if round % 3 == 1 && round % 7 == 0 {
            // Whoever is gone too slowly for this one makes it a refusal, which has to be no loss either.
            drop(socket.answer());
        }
    }
    check_free(&server, "alice", 3, "user_full");
}

#[test]
fn an_address_has_so_many_connections_and_behind_a_proxy_each_client_has_its_own() {
    let server = limited("--max-connections-per-address", 2).option("--trusted-proxies", "127.0.0.1").start().unwrap();
    let through_proxy =
        |name: &str, client: &str| ask(&server, name, &format!("X-Forwarded-For: 9.9.9.9, {client}\r\n"));
    let first: Vec<_> = ["a", "b"].map(|name| through_proxy(name, "192.0.2.1")).into();
    assert!(first.iter().all(|(answer, _)| answer.status == 101));
    let (answer, _) = through_proxy("c", "192.0.2.1");
    assert_eq!((answer.status, server.count("/total/refused/address_full")), (429, 1), "{answer:?}");
    let second: Vec<_> = ["2001:db8::1", "2001:db8::2"].map(|client| through_proxy("d", client)).into();
    assert!(second.iter().all(|(answer, _)| answer.status == 101));
    assert_eq!(through_proxy("e", "2001:db8::3").0.status, 429, "all of it one /64");
    for remote in ["remote=192.0.2.1:0", "remote=[2001:db8::2]:0"] {
        eventually(remote, || server.log().contains(remote).then_some(()));
    }
    assert!(!server.log().contains("9.9.9.9"), "what a client writes in front is nobody's address");
    // What comes without a word from a proxy is the peer's own.
    let own = [admit(&server, "f"), admit(&server, "g")];
    check_refused(&server, "h", "address_full");
    drop((first, second, own));
    check_free(&server, "f", 2, "address_full");
}

#[test]
fn who_is_no_trusted_proxy_speaks_for_nobody_else() {
    let server = limited("--max-connections-per-address", 2).option("--trusted-proxies", "10.0.0.0/8").start().unwrap();
    let liar =
        |client: &str| ask(&server, "alice", &format!("X-Forwarded-For: {client}\r\nForwarded: for={client}\r\n"));
    let sockets: Vec<_> = (0..4).map(|number| liar(&format!("192.0.2.{number}"))).collect();
    let statuses: Vec<u16> = sockets.iter().map(|(answer, _)| answer.status).collect();
    assert_eq!(statuses, [101, 101, 429, 429]);
    assert!(!server.log().contains("192.0.2."));
}

#[test]
fn a_server_with_limits_drains_like_any_other_and_those_inside_get_their_events() {
    let mut server = limited("--max-connections-per-user", 5).option("--drain-window", "1s").start().unwrap();
    let mut clients: Vec<Client> = (0..5).map(|_| Client::listen(server.address, "alice").unwrap()).collect();
    server.publisher().unwrap().publish("alice", "for all five").unwrap();
    for client in &mut clients {
        assert_eq!(client.text().as_deref(), Some("for all five"));
    }
    let mut half_way = RawSocket::connect(server.address).unwrap();
    half_way.send(b"GET /ws?username=bob HTTP/1.1\r\n").unwrap();
    let begun = Instant::now();
    server.terminate().unwrap();
    assert!(clients.iter_mut().all(|client| client.close_code() == Some(1012)));
    drop((clients, half_way));
    assert!(server.wait(PATIENCE).unwrap().success(), "after {:?}", begun.elapsed());
    assert!(!server.log().contains("panicked"), "{}", server.log());
}
