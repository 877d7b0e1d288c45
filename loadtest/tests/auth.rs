//! Who gets in: tokens in every place, their end on living connections, keys that change, and who is put out again.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use loadtest::{
    Client, FluxClient, Launch, Opcode, RawSocket, Refused, Scratch, Server, Told, binary, eventually, exchange, knock,
    succeed,
};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

const SECRET: &str = "hush-a-secret-of-thirty-two-bytes";

fn guarded() -> Launch {
    Launch::embedded().option("--auth", "token").variable("JWT_HS256_SECRET", SECRET)
}

/// What `fanout token` prints for these words.
fn token(words: &[&str]) -> String {
    let mut command = Command::new(binary());
    succeed(command.arg("token").args(words).env("JWT_HS256_SECRET", SECRET)).trim().to_owned()
}

/// Every way to bring a token: what is added to the query, and header fields.
fn ways(token: &str) -> [(String, String); 4] {
    [
        (String::new(), format!("Authorization: Bearer {token}\r\n")),
        (String::new(), format!("Sec-WebSocket-Protocol: fanout.token, fanout.token.{token}\r\n")),
        (String::new(), format!("Cookie: theme=dark; fanout_token={token}\r\n")),
        (format!("&token={token}"), String::new()),
    ]
}

fn check(server: &Server, token: &str, status: u16) {
    for (query, fields) in ways(token) {
        let (answer, _) = knock(server.address, &format!("/ws?username=alice{query}"), &fields);
        assert_eq!(answer.status, status, "{query} {fields:?}: {answer:?}");
        let challenge = answer.header("WWW-Authenticate").unwrap_or_default();
        assert_eq!(challenge.starts_with("Bearer"), status == 401, "{answer:?}");
        assert!(status == 101 || answer.json()["hint"].is_string(), "{answer:?}");
        let echo = answer.header("Sec-WebSocket-Protocol");
        let expected = (status == 101 && fields.contains("fanout.token,")).then_some("fanout.token");
        assert_eq!(echo, expected, "only the marker is sent back");
    }
}

#[test]
fn a_token_lets_in_its_user_from_every_place_and_nobody_else() {
    let server = guarded().start().unwrap();
    check(&server, &token(&["--sub", "alice"]), 101);
    check(&server, &token(&["--sub", "service", "--usernames", "bob,alice"]), 101);
    check(&server, &token(&["--sub", "bob"]), 403);
    check(&server, &format!("{}x", token(&["--sub", "alice"])), 401);
    check(&server, "a.b.c", 401);
    assert_eq!(knock(server.address, "/ws?username=alice", "").0.status, 401, "no token at all");
    let expired = token(&["--sub", "alice", "--expires", "1ms"]);
    eventually("the token has expired", || {
        (knock(server.address, &format!("/ws?username=alice&token={expired}"), "").0.status == 401).then_some(())
    });
    assert_eq!(server.get("/health").unwrap().status, 200, "pages ask for no token");
}

#[test]
fn whoever_is_let_in_gets_the_events_and_flux_wants_any_subject() {
    let server = guarded().start().unwrap();
    let alice = token(&["--sub", "alice"]);
    let mut client = Client::connect(server.address, &format!("/ws?username=alice&token={alice}")).unwrap();
    server.publisher().unwrap().publish("alice", "hello").unwrap();
    assert_eq!(client.text().as_deref(), Some("hello"));
    let refused = Client::connect(server.address, "/flux/ws").unwrap_err();
    assert!(matches!(refused, Refused::Status(401, _)), "{refused:?}");
    let mut flux = Client::connect(server.address, &format!("/flux/ws?token={alice}")).unwrap();
    assert!(flux.text().unwrap().contains("clientId"));
}

/// The texts until the connection ends, and its close code.
fn last_words(mut socket: RawSocket) -> (Vec<Value>, Option<u16>) {
    let mut texts = Vec::new();
    while let Ok((opcode, payload)) = socket.frame() {
        match opcode {
            Opcode::TEXT => texts.push(serde_json::from_slice(&payload).unwrap()),
            Opcode::CLOSE => {
                assert_eq!(&payload[2..], b"token expired");
                return (texts, payload.first_chunk().map(|&code| u16::from_be_bytes(code)));
            }
            _ => {}
        }
    }
    (texts, None)
}

#[test]
fn a_connection_ends_with_its_token_and_is_told_before_if_it_asked() {
    let server = guarded().start().unwrap();
    let sockets = ["/ws?username=alice", "/ws?username=alice&meta=1", "/flux/ws?meta=1"].map(|target| {
        let fields = format!("Authorization: Bearer {}\r\n", token(&["--sub", "alice", "--expires", "2s"]));
        let (answer, socket) = knock(server.address, target, &fields);
        assert_eq!(answer.status, 101, "{answer:?}");
        socket
    });
    let lasting = token(&["--sub", "alice"]);
    let mut lasting = Client::connect(server.address, &format!("/ws?username=alice&token={lasting}")).unwrap();
    let [silent, told, flux] = sockets.map(last_words);
    assert_eq!(silent, (vec![], Some(4003)));
    for (texts, code) in [told, flux] {
        let notice = texts.last().expect("a notice came");
        assert_eq!((&notice["type"], code), (&json!("fanout.expiring"), Some(4003)), "{texts:?}");
        assert!(notice["expires_in_ms"].as_u64().is_some_and(|left| (1..=1_000).contains(&left)), "{notice}");
    }
    server.wait_until("/total/closed/4003", 3);
    server.wait_until("/total/connections", 1);
    server.publisher().unwrap().publish("alice", "still here").unwrap();
    assert_eq!(lasting.text().as_deref(), Some("still here"));
}

/// One key pair for ES256.
struct Issuer(EncodingKey);

impl Issuer {
    fn new() -> Self {
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).unwrap();
        Self(EncodingKey::from_ec_der(document.as_ref()))
    }

    fn jwk(&self, kid: &str) -> Value {
        let mut jwk = json!(Jwk::from_encoding_key(&self.0, Algorithm::ES256).unwrap());
        jwk["kid"] = json!(kid);
        jwk
    }

    fn token(&self, kid: &str) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let header = Header { kid: Some(kid.to_owned()), ..Header::new(Algorithm::ES256) };
        jsonwebtoken::encode(&header, &json!({ "sub": "alice", "exp": now + 600 }), &self.0).unwrap()
    }
}

const KEYS: &str = "keys.json";

fn set_of(keys: &[Value]) -> String {
    json!({ "keys": keys }).to_string()
}

#[test]
fn keys_in_a_file_are_found_by_their_kid_and_change_with_it() {
    let (scratch, old, current, next) = (Scratch::new(), Issuer::new(), Issuer::new(), Issuer::new());
    let path = scratch.write(KEYS, set_of(&[old.jwk("old"), current.jwk("current")]));
    let launch = Launch::embedded().option("--auth", "token").option("--jwt-keys", path.to_str().unwrap());
    let server = launch.start().unwrap();
    let status = |token: &str| knock(server.address, &format!("/ws?username=alice&token={token}"), "").0.status;
    for (token, expected) in [
        (old.token("old"), 101),
        (current.token("current"), 101),
        (current.token("old"), 401),
        (next.token("next"), 401),
    ] {
        assert_eq!(status(&token), expected);
    }
    scratch.write(KEYS, "{\"keys\":[");
    // A shard looks at the file when somebody knocks.
    eventually("the broken file is in the log", || {
        assert_eq!(status(&current.token("current")), 101, "the keys stay as they were");
        server.log().contains("stay as they were").then_some(())
    });
    // Each shard looks for itself; several knocks reach both.
    scratch.write(KEYS, set_of(&[current.jwk("current"), next.jwk("next")]));
    let settled = || (0..8).all(|_| status(&next.token("next")) == 101 && status(&old.token("old")) == 401);
    eventually("every shard has the new keys", || settled().then_some(()));
    assert_eq!(status(&current.token("current")), 101, "who stayed in the file was never out");
}

#[test]
fn an_administrator_disconnects_a_user_on_every_shard_and_one_flux_client() {
    let server = Launch::embedded().option("--spread-above", "2").start().unwrap();
    let mut alices: Vec<Client> = (0..9).map(|_| Client::listen(server.address, "alice").unwrap()).collect();
    let mut bob = Client::listen(server.address, "bob").unwrap();
    let [mut kicked, mut kept] = [(); 2].map(|()| FluxClient::connect(server.address).unwrap());
    server.wait_until("/total/connections", 12);
    for shard in ["/shards/0/connections", "/shards/1/connections"] {
        assert!(server.count(shard) >= 2, "alice sits on both shards");
    }
    assert_eq!(server.dismiss("username", "alice"), 9);
    for alice in &mut alices {
        assert_eq!(alice.close_code(), Some(4002));
    }
    assert_eq!(server.dismiss("username", "alice"), 0);
    assert_eq!(server.dismiss("connection", kicked.id()), 1);
    assert_eq!(kicked.client().close_code(), Some(4002));
    assert_eq!(server.dismiss("connection", kicked.id()), 0);
    server.wait_until("/total/closed/4002", 10);
    for line in ["whom=workflow:events:alice closed=9", &format!("whom={} closed=1", kicked.id())] {
        eventually("whom is in the log", || server.log().contains(line).then_some(()));
    }
    assert_eq!(kept.ping(), Some(Told::Pong));
    server.publisher().unwrap().publish("bob", "still here").unwrap();
    assert_eq!(bob.text().as_deref(), Some("still here"));
}

#[test]
fn neither_log_nor_printout_holds_a_token_or_a_secret() {
    let launch = guarded().variable("ADMIN_TOKEN", "hush-an-admin-token").option("--log-level", "trace,glommio=off");
    let server = launch.start().unwrap();
    let (good, foreign) = (token(&["--sub", "alice"]), token(&["--sub", "bob"]));
    for token in [&good, &foreign, &format!("{good}x")] {
        for (query, fields) in ways(token) {
            knock(server.address, &format!("/ws?username=alice{query}"), &fields);
            knock(server.address, &format!("/nowhere?a=b{query}"), &fields);
        }
    }
    let denied = exchange(
        server.address,
        "GET /admin/stats HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer hush-an-admin-tokes\r\n\r\n",
    );
    assert!(!denied.unwrap().text().contains("hush"));
    eventually("connects are in the log", || server.log().contains("disconnected").then_some(()));
    let mut print = Command::new(binary());
    let printed = succeed(
        print
            .args(["--print-config", "--auth", "token"])
            .env("JWT_HS256_SECRET", SECRET)
            .env("ADMIN_TOKEN", "hush-an-admin-token"),
    );
    assert!(printed.contains("jwt-hs256-secret = ***"), "{printed}");
    for text in [server.log(), printed] {
        for secret in ["hush", &good, &foreign, good.rsplit('.').next().unwrap()] {
            assert!(!text.contains(secret), "{secret} in\n{text}");
        }
    }
}

#[test]
fn a_start_that_could_check_no_token_is_refused() {
    let scratch = Scratch::new();
    let keys = scratch.write(KEYS, "{\"keys\":[{\"kty\":\"oct\",\"k\":\"aHVzaA\"}]}");
    let with_keys =
        |path: &Path| Launch::embedded().option("--auth", "token").option("--jwt-keys", path.to_str().unwrap());
    for (launch, code, words) in [
        (Launch::embedded().option("--auth", "token"), 2, "JWT_HS256_SECRET"),
        (Launch::embedded().variable("JWT_HS256_SECRET", "hush"), 2, "32 bytes"),
        (Launch::embedded().option("--auth", "perhaps"), 2, "none or token"),
        (with_keys(Path::new("/nowhere/keys.json")), 1, "/nowhere/keys.json"),
        (with_keys(&keys), 1, "too short"),
    ] {
        let (found, log) = launch.refusal().unwrap();
        assert_eq!(found, Some(code), "{log}");
        assert!(log.contains(words) && !log.contains("hush") && !log.contains("aHVzaA"), "{log}");
    }
}

#[test]
fn the_start_says_whether_anybody_is_asked() {
    let open = Launch::embedded().start().unwrap();
    assert!(open.log().contains("anybody may listen as anybody"), "{}", open.log());
    assert!(!open.log().contains("NOBODY IS ASKED"), "nobody else reaches this address: {}", open.log());
    let server = guarded().start().unwrap();
    assert!(server.log().contains("clients need a token"), "{}", server.log());
    assert!(!server.log().contains("anybody may"), "{}", server.log());
}
