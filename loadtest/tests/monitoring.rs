//! Metrics, rules and dashboard as a real Prometheus reads them.

#[path = "monitoring/cases.rs"]
mod cases;
#[path = "monitoring/prometheus.rs"]
mod prometheus;
#[path = "monitoring/query.rs"]
mod query;

use cases::CASES;
use loadtest::{Client, Launch, Redis, Scratch, Server, eventually};
use prometheus::{Prometheus, RULES};
use query::selectors;
use serde_json::Value;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

const DASHBOARD: &str = include_str!("../../deploy/grafana.json");

/// A server that has delivered something.
fn busy_server(redis: &Redis) -> (Server, Client) {
    let server = Launch::with_redis(redis).start().unwrap();
    let mut client = Client::listen(server.address, "alice").unwrap();
    server.publisher().unwrap().publish("alice", "an event").unwrap();
    assert_eq!(client.text().as_deref(), Some("an event"));
    (server, client)
}

fn check_promtool(arguments: &[&str], directory: &Path, input: &str) {
    let mut command = Command::new("promtool");
    command.args(arguments).current_dir(directory);
    let process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut process = process.unwrap_or_else(|error| panic!("promtool (scripts/test installs it): {error}"));
    // One that does not want it has ended already.
    drop(process.stdin.take().expect("it was asked for").write_all(input.as_bytes()));
    let Output { status, stdout, stderr } = process.wait_with_output().unwrap();
    let (said, complained) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(status.success() && complained.trim().is_empty(), "promtool {arguments:?}: {said}{complained}");
}

#[test]
fn prometheus_own_linter_finds_nothing_wrong_with_the_page_of_metrics() {
    let redis = Redis::start().unwrap();
    let (server, _client) = busy_server(&redis);
    let answer = server.get("/metrics").unwrap();
    assert_eq!(answer.header("Content-Type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    check_promtool(&["check", "metrics"], &std::env::temp_dir(), &answer.text());
}

#[test]
fn no_name_of_a_user_or_a_channel_is_in_the_metrics() {
    let redis = Redis::start().unwrap();
    let (server, _client) = busy_server(&redis);
    let text = server.get("/metrics").unwrap().text();
    assert!(!text.contains("alice"), "{text}");
}

/// Every expression of the dashboard, with the variables as a viewer has them who has chosen nothing.
fn dashboard_queries() -> Vec<String> {
    fn collect(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(members) => {
                found.extend(members.get("expr").and_then(Value::as_str).map(str::to_owned));
                members.values().for_each(|member| collect(member, found));
            }
            Value::Array(values) => values.iter().for_each(|value| collect(value, found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    collect(&serde_json::from_str(DASHBOARD).unwrap(), &mut found);
    found.iter().map(|query| query.replace("$__rate_interval", "1m").replace("$instance", ".*")).collect()
}

/// Names and queries of all rules as Prometheus has read them.
fn rules(prometheus: &Prometheus) -> Vec<(String, String)> {
    let data = prometheus.api("rules", "type", "alert");
    let groups = data["groups"].as_array().unwrap().iter();
    let rules = groups.flat_map(|group| group["rules"].as_array().unwrap());
    rules.map(|rule| (rule["name"].as_str().unwrap().to_owned(), rule["query"].as_str().unwrap().to_owned())).collect()
}

fn is_empty(data: &Value) -> bool {
    data.as_array().or(data["result"].as_array()).is_none_or(Vec::is_empty)
}

#[test]
fn every_query_of_rules_and_dashboard_asks_for_series_that_there_are() {
    let redis = Redis::start().unwrap();
    let (server, _client) = busy_server(&redis);
    let prometheus = Prometheus::of(server.address);
    let rates = "sum(rate(fanout_frames_sent_total[1m]))";
    eventually("there are rates", || (!is_empty(&prometheus.api("query", "query", rates))).then_some(()));
    let (rules, dashboard) = (rules(&prometheus), dashboard_queries());
    assert!(rules.len() >= 15 && dashboard.len() >= 40, "{} rules, {} queries", rules.len(), dashboard.len());
    for query in rules.iter().map(|(_, query)| query).chain(&dashboard) {
        prometheus.api("query", "query", query);
        for selector in selectors(query) {
            assert!(
                !is_empty(&prometheus.api("series", "match[]", &selector)),
                "{selector} selects nothing, in {query}"
            );
        }
        assert!(query.starts_with("ALERTS{") || !selectors(query).is_empty(), "{query} asks for nothing of ours");
    }
    // Panels compare nothing with a limit: there is a line in each of them.
    for query in dashboard.iter().filter(|query| !query.starts_with("ALERTS{") && !query.contains(" > ")) {
        assert!(!is_empty(&prometheus.api("query", "query", query)), "{query} has no answer");
    }
}

#[test]
fn prometheus_tells_when_the_broker_is_gone_and_when_it_is_back() {
    let mut redis = Redis::start().unwrap();
    let (server, _client) = busy_server(&redis);
    let prometheus = Prometheus::of(server.address);
    let alerts = "ALERTS{alertname=\"FanoutBrokerAway\"}";
    let is_quiet = || is_empty(&prometheus.api("query", "query", alerts));
    eventually("it is scraped", || (!is_empty(&prometheus.api("query", "query", "fanout_ready == 1"))).then_some(()));
    assert!(is_quiet());
    redis.kill();
    eventually("the alert is pending", || (!is_quiet()).then_some(()));
    redis.restart().unwrap();
    eventually("the alert is over", || is_quiet().then_some(()));
    drop(server);
}

#[test]
fn every_alert_fires_when_it_should() {
    let names: Vec<&str> = RULES.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert_eq!(names, CASES.map(|(name, ..)| name), "each has one case");
    assert_eq!(RULES.matches("\n          do: \"").count(), names.len(), "each says what to do");
    let scratch = Scratch::new();
    scratch.write("alerts.yaml", RULES);
    scratch.write("cases.yaml", cases::tests());
    check_promtool(&["check", "rules", "--lint-fatal", "alerts.yaml"], scratch.path(), "");
    check_promtool(&["test", "rules", "cases.yaml"], scratch.path(), "");
}
