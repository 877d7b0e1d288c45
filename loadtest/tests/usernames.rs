//! What a username may be, and that matching is exact.

use loadtest::{Client, Launch, Redis, Server, knock};

/// The query as it is typed, and the name it means.
const GOOD: &[(&str, &str)] = &[
    ("username=alice", "alice"),
    ("username=Alice", "Alice"),
    ("username=%61licia", "alicia"),
    ("username=a+b", "a b"),
    ("username=a%2Bb", "a+b"),
    ("username=a%20%20b", "a  b"),
    ("username=*", "*"),
    ("username=a*", "a*"),
    ("username=al?ce", "al?ce"),
    ("username=%5Bab%5D", "[ab]"),
    // Typed in another way, the same name.
    ("username=[ab]", "[ab]"),
    ("username=a%5C%5C", "a\\\\"),
    ("username=%E6%97%A5%E6%9C%AC", "日本"),
    ("username=e%CC%81", "e\u{301}"),
    ("username=%C3%A9", "é"),
    ("username=x%3Aevents%3Ay", "x:events:y"),
    ("username=%26%3D%23%2F", "&=#/"),
    ("other=1&username=last&more=2", "last"),
    ("meta=0&username=meta", "meta"),
];

fn check_names(server: &Server) {
    let mut publisher = server.publisher().unwrap();

    let longest = "n".repeat(255);
    let longest_query = format!("username={longest}");
    let good: Vec<_> = GOOD.iter().copied().chain([(longest_query.as_str(), longest.as_str())]).collect();
    let connect = |query: &str| Client::connect(server.address, &format!("/ws?{query}"));
    let mut clients: Vec<_> = good
        .iter()
        .map(|&(query, name)| (name, connect(query).unwrap_or_else(|refused| panic!("{query}: {refused:?}"))))
        .collect();
    server.wait_until("/total/connections", good.len() as u64);
    let mut names: Vec<&str> = good.iter().map(|&(_, name)| name).collect();
    names.sort_unstable();
    names.dedup();
    server.wait_until("/total/topics", names.len() as u64);
    for round in 0..2 {
        for name in &names {
            publisher.publish(name, format!("{round} for {name}")).unwrap();
        }
    }
    for (name, client) in &mut clients {
        for round in 0..2 {
            assert_eq!(client.text(), Some(format!("{round} for {name}")));
        }
    }
}

#[test]
fn every_name_gets_its_own_events_from_redis() {
    let redis = Redis::start().unwrap();
    check_names(&Launch::with_redis(&redis).start().unwrap());
}

#[test]
fn every_name_gets_its_own_events_from_the_embedded_broker() {
    check_names(&Launch::embedded().start().unwrap());
}

#[test]
fn what_is_no_username_is_turned_away_before_any_upgrade() {
    let server = Launch::embedded().start().unwrap();
    let too_long = format!("?username={}", "n".repeat(256));
    let too_long_decoded = format!("?username={}", "%C3%A9".repeat(128));
    let table = [
        "",
        "?",
        "?username",
        "?username=",
        "?user=alice",
        "?USERNAME=alice",
        "?username=alice&username=alice",
        "?username=alice&username=bob",
        "?username=%zz",
        "?username=%4",
        "?username=%",
        "?username=a%00b",
        "?username=%0A",
        "?username=%7F",
        "?username=%C2%85",
        "?username=%FF",
        "?username=%C3",
        "?username=%ED%A0%80",
        &too_long,
        &too_long_decoded,
    ];
    for query in table {
        let (answer, _) = knock(server.address, &format!("/ws{query}"), "");
        assert_eq!(answer.status, 400, "/ws{query}");
        let json = answer.json();
        for key in ["error", "hint"] {
            assert!(json[key].as_str().is_some_and(|text| !text.is_empty()), "/ws{query}: {json}");
        }
    }
    assert_eq!(server.count("/total/connections"), 0);
}
