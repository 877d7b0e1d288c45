//! A server without a descriptor left: those inside notice nothing, those outside wait, and nobody is lost.

use loadtest::{Client, Launch, RawSocket, Server, eventually, upgrade_request};
use std::collections::HashSet;
use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

const CLIENTS: usize = 60;
const WAITING: usize = 5;
/// Longer than the server needs to hear that clients wait and to look for descriptors several times.
const A_WHILE: Duration = Duration::from_millis(800);

/// Gives the running server another limit of open files.
fn limit(server: &Server, files: usize) {
    let (pid, files) = (server.pid().to_string(), format!("--nofile={files}:1000"));
    assert!(Command::new("prlimit").args(["--pid", &pid, &files]).status().unwrap().success());
}

/// The limit that leaves the server so many descriptors: those it has are not the lowest numbers without a gap.
fn limit_that_leaves(server: &Server, left: usize) -> usize {
    let files = fs::read_dir(format!("/proc/{}/fd", server.pid())).unwrap();
    let taken: HashSet<usize> =
        files.map(|file| file.unwrap().file_name().to_str().unwrap().parse().unwrap()).collect();
    (0..).filter(|number| !taken.contains(number)).nth(left).unwrap()
}

fn crowd(server: &Server) -> Vec<Client> {
    let clients =
        (0..CLIENTS).map(|number| Client::listen(server.address, &format!("user-{number}")).unwrap()).collect();
    server.wait_until("/total/connections", CLIENTS as u64);
    clients
}

/// Each of them gets an event.
fn check_served(server: &Server, clients: &mut [Client], event: &str) {
    let mut publisher = server.publisher().unwrap();
    for (number, client) in clients.iter_mut().enumerate() {
        publisher.publish(&format!("user-{number}"), event).unwrap();
        assert_eq!(client.text().as_deref(), Some(event), "user-{number}");
    }
}

/// Clients that ask to come in and have no answer yet.
fn queue(server: &Server) -> Vec<RawSocket> {
    let ask = |number| {
        let mut socket = RawSocket::connect(server.address).unwrap();
        socket.send(upgrade_request(&format!("/ws?username=late-{number}"), "").as_bytes()).unwrap();
        socket
    };
    (0..WAITING).map(ask).collect()
}

/// The log says it once, and each pause counts once.
fn check_told(server: &Server) {
    eventually("it is said", || server.log().contains("accepting connections again").then_some(()));
    let pauses = server.log().matches("accepting connections pauses").count();
    assert!((1..=2).contains(&pauses), "once for each shard: {pauses}\n{}", server.log());
    assert_eq!(server.metric("fanout_accept_pauses_total"), pauses as u64, "a pause is one, however long it is");
}

fn check(files_left: usize, make_room: impl Fn(&Server, &mut Vec<Client>)) {
    let server = Launch::embedded().start().unwrap();
    let mut clients = crowd(&server);
    let mut publisher = server.publisher().unwrap();
    publisher.publish("user-0", "the publisher is connected").unwrap();
    assert!(clients[0].text().is_some());
    limit(&server, limit_that_leaves(&server, files_left));
    let mut waiting = queue(&server);
    let begun = Instant::now();
    while begun.elapsed() < A_WHILE {
        for (number, client) in clients.iter_mut().enumerate() {
            publisher.publish(&format!("user-{number}"), "meanwhile").unwrap();
            assert_eq!(client.text().as_deref(), Some("meanwhile"), "user-{number}");
        }
    }
    let answers: Vec<Vec<u8>> = waiting.iter_mut().map(|socket| socket.rest(Duration::from_millis(1)).bytes).collect();
    let answered = answers.iter().filter(|answer| answer.starts_with(b"HTTP/1.1 101 ")).count();
    assert!(answered <= files_left.min(2), "{answered} have one of the last descriptors: one for each shard at most");
    make_room(&server, &mut clients);
    for (mut socket, answer) in waiting.into_iter().zip(answers) {
        if answer.is_empty() {
            assert_eq!(socket.answer().unwrap().status, 101, "nobody who waits is sent away");
        }
    }
    check_told(&server);
    check_served(&server, &mut clients, "afterwards");
}

#[test]
fn without_a_descriptor_those_inside_are_served_and_those_outside_get_in_once_there_are_some() {
    check(0, |server, _| limit(server, 1_000));
}

#[test]
fn the_last_descriptors_are_kept_for_the_server_and_clients_that_leave_make_room() {
    check(8, |_, clients| clients.truncate(CLIENTS / 4));
}

#[test]
fn connections_that_say_nothing_give_way_to_clients() {
    let server = Launch::embedded().through(&["prlimit", "--nofile=250:250"]).start().unwrap();
    let mut publisher = server.publisher().unwrap();
    // Most of them have asked for something and are kept for longer than anybody here waits.
    let silent: Vec<RawSocket> = (0..400)
        .map(|number| {
            let mut socket = RawSocket::connect(server.address).unwrap();
            if number % 8 > 0 {
                socket.send(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
            }
            socket
        })
        .collect();
    let mut client = Client::listen(server.address, "alice").unwrap();
    publisher.publish("alice", "hello").unwrap();
    assert_eq!(client.text().as_deref(), Some("hello"));
    drop(silent);
    server.wait_for_status("/health", 200);
}
