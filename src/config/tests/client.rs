//! What the client subcommands are told, and where they find their server.

use super::super::Form;
use super::super::client::ClientOrder;
use super::super::wish::{Notices, Talk, Until, Whose, Wish};
use super::{Command, Host, run_on};
use std::time::Duration;

fn order(arguments: &str, environment: &str) -> ClientOrder {
    match run_on(&Host::pretend(2), arguments, environment) {
        Ok(Command::Client(order)) => *order,
        other => panic!("{arguments}: {other:?}"),
    }
}

#[test]
fn a_server_is_where_url_says_or_where_one_of_this_machine_listens() {
    for (arguments, environment, expected) in [
        ("publish a b", "", "http://127.0.0.1:8084"),
        ("publish a b", "PORT=9000", "http://127.0.0.1:9000"),
        ("publish a b", "PROFILE=flux", "http://127.0.0.1:3004"),
        ("publish a b", "LISTEN=0.0.0.0:80", "http://127.0.0.1:80"),
        ("publish a b --listen [::]:80", "LISTEN=0.0.0.0:81", "http://[::1]:80"),
        ("publish a b --url https://x.example/base/", "LISTEN=nonsense", "https://x.example:443/base"),
        ("publish a b --url http://x", "SHARDS=nonsense AUTH=token", "http://x:80"),
    ] {
        assert_eq!(order(arguments, environment).server.url.to_string(), expected, "{arguments} {environment}");
    }
}

#[test]
fn the_words_behind_a_subcommand_say_what_is_wanted() {
    let Wish::Publish(publish) = order("publish alice - --quiet", "").wish else { panic!("it publishes") };
    assert_eq!((publish.username.as_str(), publish.event, publish.talk), ("alice", None, Talk::Silence));
    let Wish::Publish(publish) = order("publish alice -5", "").wish else { panic!("it publishes") };
    assert_eq!((publish.event.as_deref(), publish.talk), (Some("-5"), Talk::Receipt));
    let Wish::Listen(listen) = order("listen a b --channel c --channel d --meta --json --count 3", "").wish else {
        panic!("it listens")
    };
    assert_eq!((listen.usernames.join(" "), listen.channels.join(" ")), ("a b".to_owned(), "c d".to_owned()));
    assert_eq!((listen.form, listen.notices), (Form::Json, Notices::Wanted));
    assert_eq!(listen.until, Until { count: Some(3), time: None });
    let Wish::Trace(trace) = order("trace --connection 0-7 --for 10s", "").wish else { panic!("it traces") };
    assert_eq!(trace.whose, Whose::Connection("0-7".to_owned()));
    assert_eq!(trace.until, Until { count: None, time: Some(Duration::from_secs(10)) });
}

#[test]
fn tokens_come_from_the_environment_and_are_never_shown() {
    let order = order("listen a", "ADMIN_TOKEN=an-administrator FANOUT_TOKEN=a.b.c");
    let tokens = [&order.server.admin_token, &order.server.client_token];
    assert_eq!(
        tokens.map(|token| token.as_ref().map(super::super::secret::Secret::expose)),
        [Some("an-administrator"), Some("a.b.c")]
    );
    let shown = format!("{order:?}");
    assert!(!shown.contains("an-administrator") && !shown.contains("a.b.c"), "{shown}");
}

#[test]
fn what_a_client_cannot_mean_is_refused_in_one_sentence() {
    for (arguments, environment, expected) in [
        ("publish a", "", "<EVENT>"),
        ("publish a b --url localhost:80", "", "--url does not name a server"),
        ("publish a b --url http://user:secret@x", "", "--url does not name a server"),
        ("publish a b", "LISTEN=127.0.0.1:0", "names no port"),
        ("publish a b", "ADMIN_TOKEN=short", "ADMIN_TOKEN is ***"),
        ("listen", "", "Name a username or a --channel"),
        ("listen a --count 0", "", "--count is `0`; allowed"),
        ("listen a --for 10", "", "--for is `10`; allowed: a duration"),
        ("listen a --for 0s", "", "--for is `0s`"),
        ("listen a", "FANOUT_TOKEN=ä.b", "FANOUT_TOKEN is ***"),
        ("trace", "", "--username is missing"),
        ("trace --username a --channel b", "", "exclude each other"),
        ("trace --username a --username b", "", "--username is given twice"),
    ] {
        let refusal = run_on(&Host::pretend(2), arguments, environment).expect_err(arguments).to_string();
        assert!(refusal.contains(expected) && !refusal.contains("secret"), "{arguments}: {refusal}");
        assert_eq!(refusal.trim_end().lines().count(), 1, "{arguments}: {refusal}");
    }
}
