//! A proxy in front of the server: whether it lets clients pass, at once and for long.

mod guest;

use super::version;
use crate::client::question::PATIENCE;
use crate::client::{Failure, Requests};
use crate::config::doctor::Through;
use crate::config::span::Span;
use crate::config::url::Url;
use crate::config::{Check, Config, Networks};
use guest::{Guest, Outside, Silence};
use serde_json::Value;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Who gets an event later than this gets it from a buffer.
const PASSAGE_MAX: Duration = Duration::from_secs(1);

/// What came through the proxy within [`PASSAGE_MAX`], and when.
#[derive(Clone, Debug)]
struct Passage {
    /// An event, if one could be published; else why not.
    event: Result<Option<Duration>, String>,
    /// The answer to a ping.
    pong: Option<Duration>,
}

/// What was found, in the order of the looking: where nobody gets in there is no more to see.
pub(super) fn report(config: &Config, through: &Through) -> Vec<Check> {
    let page = format!("{}/", config.flux.base_path);
    let about = Requests::within(PATIENCE, &through.url, None).and_then(|requests| requests.get(&page));
    let mut guest = match Guest::come(config, through) {
        Ok(guest) => guest,
        Err(outside) => return vec![refusal(&through.url, outside)],
    };
    let mut checks = vec![
        Check::fine("proxy upgrade", format!("WebSocket clients are let in through {}", through.url)),
        server(&page, about),
        delay(&passage(config, &mut guest)),
        addresses(seen(config, &guest), &config.trusted_proxies),
    ];
    if !through.patience.is_zero() {
        checks.push(silence(&guest.fall_silent(through.patience), config.heartbeat.ping_interval));
    }
    checks
}

fn refusal(place: &Url, outside: Outside) -> Check {
    let what = "proxy upgrade";
    let (status, failure) = match outside {
        Outside::Unheard(failure) => (0, failure),
        Outside::Answered(status, body) => (status, Failure::refused(&place.to_string(), status, &body)),
    };
    let cure = match status {
        300..400 => "name with --through where it leads, most often https:// instead of http://",
        401 => "give JWT_HS256_SECRET as the server has it: the token for this is signed with it",
        404 => "let the proxy pass /ws to the server, as deploy/nginx.conf does",
        // Without the two fields the server sees an ordinary request.
        400 | 426 => {
            "let the proxy pass on the upgrade; nginx: proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; \
             proxy_set_header Connection \"upgrade\";"
        }
        502 | 504 => "see whether the server runs where the proxy looks for it (nginx: proxy_pass)",
        _ => return Check::failure(what, failure.sentence, failure.hint.unwrap_or_default()),
    };
    Check::failure(what, failure.sentence, cure)
}

/// By the page about itself.
fn server(page: &str, about: Result<Value, Failure>) -> Check {
    let what = "proxy server";
    let detail = match about.map(|about| version::of_about(&about)) {
        Ok(Some(version)) => return Check::fine(what, format!("fanout {version} is behind it")),
        Ok(None) => format!("{page} is not a fanout's"),
        Err(failure) => failure.sentence,
    };
    Check::warning(what, detail, format!("let the proxy pass {page}, or see whether it leads to the right server"))
}

/// Publishes an event at the server of these settings, and pings.
fn passage(config: &Config, guest: &mut Guest) -> Passage {
    let since = Instant::now();
    let name = guest.username.clone();
    let event = publish(config, &name).map(|()| guest.hear(&name, since, PASSAGE_MAX));
    Passage { event, pong: guest.ping(PASSAGE_MAX) }
}

/// The name is its own event.
fn publish(config: &Config, username: &str) -> Result<(), String> {
    let path = format!("/publish/{username}");
    let (server, receipt) = at_the_door(config, |door| door.post(&path, username.as_bytes()))?;
    match receipt["receivers"].as_u64() {
        Some(0) => Err(format!("{server} is not the server behind it")),
        _ => Ok(()),
    }
}

/// What the server of these settings says behind its private door.
fn at_the_door(
    config: &Config,
    ask: impl FnOnce(&Requests<'_>) -> Result<Value, Failure>,
) -> Result<(Url, Value), String> {
    let server = Url::of_listener(config.listen).ok_or("the settings name no port")?;
    let door = Requests::within(PATIENCE, &server, config.admin_token.as_ref());
    let said = door.and_then(|door| ask(&door)).map_err(|failure| failure.sentence)?;
    Ok((server, said))
}

fn delay(passage: &Passage) -> Check {
    let (what, milliseconds) = ("proxy delay", |time: Duration| format!("{:.1} ms", time.as_secs_f64() * 1e3));
    match (&passage.event, passage.pong) {
        (Ok(Some(time)), _) => Check::fine(what, format!("an event arrives after {}", milliseconds(*time))),
        (Err(why), Some(time)) => {
            let pong = milliseconds(time);
            Check::fine(what, format!("a ping is answered after {pong}; no event could be published: {why}"))
        }
        (Ok(None), Some(_)) => Check::warning(
            what,
            "a ping is answered, but an event that is published here does not arrive",
            "see whether the proxy leads to a server of the same broker and --workflow-prefix",
        ),
        (_, None) => Check::failure(
            what,
            "nothing that the server sends arrives within a second",
            "let the proxy pass on at once what it gets (nginx: proxy_buffering off)",
        ),
    }
}

/// The guest's address, and the one that the server sees; else why nobody can say.
fn seen(config: &Config, guest: &Guest) -> Result<[SocketAddr; 2], String> {
    let path = format!("/admin/connections?filter={}", guest.username);
    let (server, rows) = at_the_door(config, |door| door.get(&path))?;
    let seen = rows["connections"][0]["address"].as_str().and_then(|address| address.parse::<SocketAddr>().ok());
    let seen = seen.ok_or_else(|| format!("{server} is not the server behind it"))?;
    let own = guest.address().map_err(|error| error.to_string())?;
    Ok([own, seen].map(|address| SocketAddr::new(address.ip().to_canonical(), address.port())))
}

/// Whether the proxy's word is taken for whose connection it is. What it says of a client has no port.
fn addresses(seen: Result<[SocketAddr; 2], String>, trusted: &Networks) -> Check {
    let what = "proxy addresses";
    let field = "nginx: proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; proxy_set_header Forwarded \"\";";
    match seen {
        Ok([own, seen]) if seen.port() == 0 || seen == own => {
            Check::fine(what, format!("the server knows clients by their own address, us by {}", seen.ip()))
        }
        Ok([_, seen]) if trusted.as_slice().iter().any(|network| network.contains(&seen.ip())) => {
            let detail =
                format!("the server trusts the proxy at {}, which does not say who its clients are", seen.ip());
            Check::warning(what, detail, format!("let it say so in one field; {field}"))
        }
        Ok([_, seen]) => {
            let proxy = seen.ip();
            let detail = format!("to the server every client is {proxy}: limits for an address are for all together");
            Check::warning(
                what,
                detail,
                format!("start it with --trusted-proxies {proxy}, and let that say who; {field}"),
            )
        }
        Err(why) => Check::warning(
            what,
            format!("nobody can say by which the server knows clients: {why}"),
            "ask on the server's machine, with its settings and ADMIN_TOKEN",
        ),
    }
}

fn silence(silence: &Silence, ping_interval: Option<Duration>) -> Check {
    let what = "proxy silence";
    let &Silence { pings, length, ref end } = silence;
    let seconds = length.as_secs_f64();
    let Some(end) = end else {
        return Check::fine(what, format!("still connected after {seconds:.1} s, with {pings} pings of the server"));
    };
    let detail = format!("cut after {seconds:.1} s without a word, and {pings} pings of the server before: {end}");
    let interval = ping_interval.map_or("--ping-interval".to_owned(), |interval| Span(interval).to_string());
    let shorter = Span(Duration::from_secs((length.as_secs() * 2 / 3).max(1)));
    let cure = format!(
        "raise the proxy's time-outs above the {interval} between two pings (nginx: proxy_read_timeout and \
         proxy_send_timeout; HAProxy: timeout tunnel), or start the server with --ping-interval {shorter}"
    );
    Check::failure(what, detail, cure)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Verdict;
    use crate::doctor::tests::expect;

    #[test]
    fn a_refusal_is_told_with_its_status_and_a_cure() {
        let place = Url::parse("http://proxy.example").expect("a URL");
        let body = br#"{"error":"not a WebSocket request","hint":"a proxy must pass on Upgrade"}"#;
        for (status, body, words) in [
            (426, &body[..], "426: not a WebSocket request; let the proxy pass on the upgrade"),
            (301, b"<html>", "answers 301; name with --through"),
            (401, b"", "JWT_HS256_SECRET"),
            (404, b"", "pass /ws"),
            (502, b"", "proxy_pass"),
            (503, br#"{"error":"too many connections","hint":"come back later"}"#, "come back later"),
            (200, b"<html>", "is a fanout server there"),
        ] {
            expect(&refusal(&place, Outside::Answered(status, body.to_vec())), Verdict::Failure, &[words]);
        }
        let unheard = Outside::Unheard(Failure::new("nobody").with("start it"));
        expect(&refusal(&place, unheard), Verdict::Failure, &["nobody; start it"]);
    }

    #[test]
    fn whoever_does_not_say_that_it_is_a_fanout_is_a_warning() {
        let said = |about: &str| server("/flux/", Ok(serde_json::from_str(about).expect("JSON")));
        expect(&said(r#"{"name":"fanout","version":"0.1.0"}"#), Verdict::Fine, &["fanout 0.1.0"]);
        expect(&said(r#"{"status":"ok"}"#), Verdict::Warning, &["is not a fanout's", "let the proxy pass /flux/"]);
        expect(&server("/flux/", Err(Failure::new("silence"))), Verdict::Warning, &["silence"]);
    }

    #[test]
    fn events_that_wait_in_the_proxy_are_told_from_those_of_another_server() {
        let (soon, why) = (Some(Duration::from_micros(1234)), || Err("no door".to_owned()));
        let table = [
            (Ok(soon), soon, Verdict::Fine, "after 1.2 ms"),
            (Ok(soon), None, Verdict::Fine, "after 1.2 ms"),
            (why(), soon, Verdict::Fine, "no event could be published: no door"),
            (Ok(None), soon, Verdict::Warning, "the same broker"),
            (Ok(None), None, Verdict::Failure, "proxy_buffering off"),
            (why(), None, Verdict::Failure, "proxy_buffering off"),
        ];
        for (event, pong, verdict, words) in table {
            expect(&delay(&Passage { event, pong }), verdict, &[words]);
        }
    }

    #[test]
    fn a_proxy_whose_word_is_not_taken_is_a_warning() {
        let trusted = Networks::parse("10.0.0.0/8").expect("a network");
        for (seen, verdict, words) in [
            ("192.0.2.1:0", Verdict::Fine, "us by 192.0.2.1"),
            ("192.0.2.1:4000", Verdict::Fine, "us by 192.0.2.1"),
            ("192.0.2.1:4001", Verdict::Warning, "--trusted-proxies 192.0.2.1"),
            ("198.51.100.1:7", Verdict::Warning, "--trusted-proxies 198.51.100.1"),
            ("10.0.0.1:7", Verdict::Warning, "trusts the proxy at 10.0.0.1"),
        ] {
            let addresses_of = ["192.0.2.1:4000", seen].map(|address| address.parse().expect("an address"));
            expect(&addresses(Ok(addresses_of), &trusted), verdict, &[words]);
        }
        expect(&addresses(Err("no door".to_owned()), &trusted), Verdict::Warning, &["no door", "ADMIN_TOKEN"]);
    }

    #[test]
    fn a_cut_is_a_failure_and_says_after_how_long() {
        let heard = |pings, seconds, end: Option<&str>| {
            let found = Silence { pings, length: Duration::from_secs(seconds), end: end.map(str::to_owned) };
            silence(&found, Some(Duration::from_secs(54)))
        };
        expect(&heard(1, 75, None), Verdict::Fine, &["after 75.0 s", "1 pings"]);
        let words = ["after 30.0 s", "above the 54s", "--ping-interval 20s", "reset"];
        expect(&heard(0, 30, Some("reset")), Verdict::Failure, &words);
    }
}
