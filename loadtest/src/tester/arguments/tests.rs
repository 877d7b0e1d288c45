use super::{Arguments, Command};
use crate::Scratch;
use crate::tester::dialect;
use crate::tester::plan::{Load, Plan, Publish};
use crate::tester::scenario;
use clap::Parser;

fn plan(line: &str) -> Result<Plan, String> {
    let words = ["fanout-loadtest"].into_iter().chain(line.split_whitespace());
    let arguments = Arguments::try_parse_from(words).map_err(|error| error.to_string())?;
    let Command::Load(load) = &arguments.command else { panic!("{line} is no load") };
    let (scenario, run) = load.parts();
    run.plan(scenario)
}

fn refused(line: &str, part: &str) {
    let reason = plan(line).expect_err(line);
    assert!(reason.contains(part), "{line}: {reason}");
}

#[test]
fn the_help_is_consistent() {
    Arguments::described().debug_assert();
}

#[test]
fn without_flags_a_scenario_has_its_own_defaults() {
    let fanout = plan("fanout").unwrap();
    assert_eq!((fanout.clients, fanout.users, fanout.load, fanout.size.0), (1_000, 1, Load::Rate(100.0), 256));
    assert_eq!(fanout.publishers, 1);
    let users = plan("users").unwrap();
    assert_eq!((users.clients, users.users, users.load, users.publishers), (1_000, 1_000, Load::Rate(1_000.0), 4));
}

#[test]
fn clients_and_users_follow_from_each_other() {
    let table = [
        ("fanout --clients 3000", (3_000, 1)),
        ("users --users 5000", (5_000, 5_000)),
        ("users --users 5000 --clients 10000", (10_000, 5_000)),
        ("users --clients 200", (200, 200)),
        ("users --clients 4000", (4_000, 1_000)),
    ];
    for (line, expected) in table {
        let plan = plan(line).unwrap();
        assert_eq!((plan.clients, plan.users), expected, "{line}");
    }
}

#[test]
fn what_does_not_fit_is_refused_in_a_sentence() {
    let table = [
        ("fanout --rate 0", "--rate 0"),
        ("fanout --rate -1", "--rate -1"),
        ("fanout --rate nan", "--rate NaN"),
        ("fanout --window 0", "--window 0"),
        ("fanout --rate 1 --window 1", "give one"),
        ("fanout --size 47", "--size 47"),
        ("fanout --size 64K", "a size is bytes"),
        ("fanout --url http://127.0.0.1/", "ws://"),
        ("fanout --url ws://127.0.0.1/ws?username=alice", "--url does not"),
        ("users --url ws://127.0.0.1/a --publish-to a", "users need {user}"),
        ("fanout --clients 0", "--clients 0"),
        ("fanout --users 0", "--users 0"),
        ("fanout --clients 5 --users 6", "more than --clients"),
        ("fanout --clients 100000000", "open files"),
        ("fanout --seconds 0", "--seconds 0"),
        ("fanout --seconds -1", "--seconds -1"),
        ("fanout --warmup -1", "--warmup -1"),
        ("fanout --threads 0", "--threads 0"),
        ("fanout --publishers 0", "--publishers 0"),
        ("fanout --protocol gopher", "there are workflow"),
        ("fanout --slo p98=1ms", "a goal is"),
        ("fanout --server-pid 4294967295", "no such process"),
        ("fanout --source here", "--source here"),
        ("connect --ramp -1", "--ramp -1"),
        ("connect --ramp nan", "--ramp NaN"),
        ("connect --rate 5", "publishes no events"),
        ("idle --window 5", "publishes no events"),
        ("storm --window 5", "has no --window"),
        ("storm --stagger -1", "--stagger -1"),
        ("storm --clients 4294967295", "too many clients"),
        ("slow --slow-share 100%", "--slow-share 100%"),
        ("slow --slow-share much", "--slow-share much"),
        ("slow --clients 10 --users 10", "leaves 9 clients"),
        ("soak --churn -1", "--churn -1"),
        ("soak --clients 1", "nobody who stays"),
        ("soak --churn 0 --window 4", "has no --window"),
        ("capacity --window 5", "has no --window"),
        ("fanout --ramp 5", "--ramp is no setting of fanout"),
        ("fanout --sizes 64,1", "--size 1"),
        ("fanout --publish-http ws://127.0.0.1/{user}", "http://"),
        ("fanout --publish-http http://127.0.0.1/{user} --redis 127.0.0.1:1", "cannot be used"),
        ("fanout --publish-tcp 127.0.0.1:1", "only listen"),
        ("fanout --publish-ws ws://127.0.0.1:1/", "only listen"),
        ("fanout --protocol nats --publish-tcp localhost", "has no port"),
        ("fanout --protocol ws --publish-ws http://127.0.0.1:1/", "ws://"),
        ("fanout --protocol nats --publish-to fixed", "--publish-to does not"),
        ("fanout --protocol mqtt --publish-tcp 127.0.0.1:1 --redis 127.0.0.1:2", "cannot be used"),
        ("fanout --scenario /nowhere.toml", "/nowhere.toml"),
    ];
    for (line, part) in table {
        refused(line, part);
    }
}

/// The files in `loadtest/scenarios`.
fn scenario_file(name: &str) -> String {
    format!("{}/scenarios/{name}.toml", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_scenario_files_are_the_scenarios() {
    for name in scenario::TABLE.iter().map(|scenario| scenario.name) {
        let from_file = plan(&format!("{name} --scenario {}", scenario_file(name))).unwrap();
        assert_eq!(from_file.settings(), plan(name).unwrap().settings(), "{name}");
    }
}

#[test]
fn flags_win_over_the_file() {
    let file = scenario_file("fanout");
    let changed = plan(&format!("fanout --scenario {file} --window 7 --clients 12")).unwrap();
    assert_eq!((changed.load, changed.clients, changed.seconds), (Load::Window(7), 12, 10.0));
}

#[test]
fn a_file_with_a_name_that_is_no_flag_is_refused() {
    let scratch = Scratch::new();
    let file = scratch.write("scenario.toml", "clients = 5\nclient = 6\n");
    let reason = plan(&format!("fanout --scenario {}", file.display())).unwrap_err();
    assert!(reason.contains("client") && reason.contains("unknown"), "{reason}");
    scratch.write("scenario.toml", "size = \"1KiB\"\nslo = [\"p99=5ms\"]\nrate = 7\n");
    let read = plan(&format!("fanout --scenario {}", file.display())).unwrap();
    assert_eq!((read.size.0, read.slo[0].to_string().as_str(), read.load), (1_024, "p99=5ms", Load::Rate(7.0)));
}

#[test]
fn events_go_where_they_are_told_to() {
    let Publish::Redis { address, channel } = plan("fanout --redis redis.test:7").unwrap().publish else {
        panic!("--redis publishes to Redis")
    };
    assert_eq!((address.as_str(), channel.0.as_str()), ("redis.test:7", "workflow:events:{user}"));
    let http = plan("fanout --publish-http http://127.0.0.1:8084/publish/{user}").unwrap();
    assert!(matches!(http.publish, Publish::Http { .. }), "{http:?}");
    assert_eq!(http.publishers, 1);
}

#[test]
fn clients_that_publish_name_a_channel_as_clients_do() {
    let table = [
        ("--protocol flux", "flux:{channel}"),
        ("--protocol flux --publish-ws ws://127.0.0.1:8084/flux/ws", "{channel}"),
        ("--protocol flux --publish-ws ws://127.0.0.1:8084/flux/ws --publish-to a-{channel}", "a-{channel}"),
        ("--protocol nats --redis 127.0.0.1:1", "{channel}"),
    ];
    for (words, expected) in table {
        let settings = plan(&format!("users {words}")).unwrap().settings();
        assert_eq!(settings.get("publish-to").map(String::as_str), Some(expected), "{words}");
    }
}

#[test]
fn every_protocol_knows_where_its_server_is_and_how_events_get_there() {
    let table = [
        ("workflow", "redis=127.0.0.1:6379"),
        ("flux", "redis=127.0.0.1:6379"),
        ("nchan", "publish-http=http://127.0.0.1:8080/pub/{channel}"),
        ("nats", "publish-tcp=127.0.0.1:4222"),
        ("mqtt", "publish-tcp=127.0.0.1:1883"),
        ("ws", "publish-ws=ws://127.0.0.1:8080/publish"),
        ("socketio", "publish-ws=ws://127.0.0.1:3000/socket.io/?EIO=4&transport=websocket"),
    ];
    assert_eq!(
        table.map(|(protocol, _)| protocol).to_vec(),
        dialect::TABLE.iter().map(|d| d.name()).collect::<Vec<_>>()
    );
    for (protocol, expected) in table {
        let settings = plan(&format!("users --protocol {protocol}")).unwrap().settings();
        let (flag, place) = expected.split_once('=').unwrap();
        assert_eq!(settings.get(flag).map(String::as_str), Some(place), "{protocol}");
    }
}
