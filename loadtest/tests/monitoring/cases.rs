//! One case for each alert: what is scraped, a sample a minute, and when it fires, it and no other.

use serde_json::{Value, json};

/// Series and their samples, as promtool writes them.
type Scraped = &'static [(&'static str, &'static str)];

/// An alert, minutes after which it fires, and over what; an instance answers where nothing is said of that.
pub(super) const CASES: [(&str, u32, Scraped); 20] = [
    ("FanoutDown", 3, &[("up", "0+0x9")]),
    ("FanoutMissing", 8, &[("up", "1+0x1 stale")]),
    ("FanoutRestarts", 20, &[("process_start_time_seconds", "1+0x4 2+0x4 3+0x4 4+0x9")]),
    ("FanoutNotReady", 3, &[("fanout_ready", "0+0x9")]),
    ("FanoutLedgerDiffers", 5, &[(r#"fanout_ledger_difference{shard="0"}"#, "0 0 -3+0x9")]),
    ("FanoutBrokerAway", 3, &[("fanout_broker_connected", "1 0+0x9")]),
    ("FanoutCanariesLost", 7, &[("fanout_broker_canaries_lost_total", "0+1x9")]),
    ("FanoutCanaryDenied", 15, &[("fanout_broker_canary_denied", "1+0x19")]),
    ("FanoutGap", 7, &[("fanout_broker_reconnects_total", "0+0x4 1+0x4")]),
    ("FanoutEventsUnusable", 7, &[(r#"fanout_dropped_total{shard="broker",reason="not_utf8"}"#, "0+0x4 1+0x4")]),
    (
        "FanoutDropsFrames",
        12,
        &[
            (r#"fanout_dropped_total{shard="0",reason="slow_consumer"}"#, "0+20x14"),
            (r#"fanout_frames_offered_total{shard="0"}"#, "0+10000x14"),
        ],
    ),
    (
        "FanoutManyLate",
        7,
        &[(r#"fanout_late_connections{shard="0"}"#, "10+0x9"), (r#"fanout_connections{shard="0"}"#, "100+0x9")],
    ),
    ("FanoutQueuesOverBudget", 7, &[(r#"fanout_slow_consumers_total{shard="0",cause="over_budget"}"#, "0+0x4 5+0x4")]),
    ("FanoutTurnsClientsAway", 7, &[(r#"fanout_refused_total{shard="0",reason="overloaded"}"#, "0+60x9")]),
    ("FanoutKeysUnusable", 7, &[(r#"fanout_key_reloads_failed_total{shard="0"}"#, "0+0x4 1+0x4")]),
    (
        "FanoutEventsSlow",
        12,
        &[
            (r#"fanout_stage_seconds_bucket{shard="0",stage="to_kernel",le="0.01"}"#, "0+900x14"),
            (r#"fanout_stage_seconds_bucket{shard="0",stage="to_kernel",le="0.1"}"#, "0+1000x14"),
            (r#"fanout_stage_seconds_bucket{shard="0",stage="to_kernel",le="+Inf"}"#, "0+1000x14"),
        ],
    ),
    ("FanoutBehind", 5, &[(r#"fanout_behind_seconds{shard="0"}"#, "3+60x9")]),
    ("FanoutDescriptorsShort", 8, &[("process_open_fds", "950+0x9"), ("process_max_fds", "1000+0x9")]),
    ("FanoutAcceptingPauses", 7, &[(r#"fanout_accept_pauses_total{shard="0"}"#, "0+0x4 1+0x4")]),
    (
        "FanoutMemoryGrows",
        1560,
        &[("process_resident_memory_bytes", "100+1x1600"), (r#"fanout_connections{shard="0"}"#, "50+0x1600")],
    ),
];

/// There is an instance, and it answers.
const UP: (&str, &str) = ("up", "1+0x1600");

/// What every day brings: a restart, few slow clients, strangers, one lost stamp, one client too many.
const DAY: Scraped = &[
    ("up", "1+0x59"),
    ("process_start_time_seconds", "1+0x29 2+0x29"),
    ("fanout_ready", "1+0x29 0 1+0x29"),
    (r#"fanout_ledger_difference{shard="0"}"#, "0+0x59"),
    ("fanout_broker_connected", "1+0x59"),
    ("fanout_broker_canaries_lost_total", "0+0x39 1+0x19"),
    ("fanout_broker_canary_denied", "0+0x59"),
    ("fanout_broker_reconnects_total", "1+0x59"),
    (r#"fanout_dropped_total{shard="0",reason="connection_closed"}"#, "0+100x59"),
    (r#"fanout_dropped_total{shard="0",reason="oldest"}"#, "0+1x59"),
    (r#"fanout_frames_offered_total{shard="0"}"#, "0+10000x59"),
    (r#"fanout_late_connections{shard="0"}"#, "2+0x59"),
    (r#"fanout_connections{shard="0"}"#, "20+10x59"),
    (r#"fanout_slow_consumers_total{shard="0",cause="queue_full"}"#, "0+5x59"),
    (r#"fanout_refused_total{shard="0",reason="token_bad"}"#, "0+60x59"),
    (r#"fanout_refused_total{shard="0",reason="full"}"#, "0+0x29 1+0x29"),
    (r#"fanout_behind_seconds{shard="0"}"#, "0+0x39 4 0+0x19"),
    ("process_open_fds", "50+10x59"),
    ("process_max_fds", "1000+0x59"),
    (r#"fanout_accept_pauses_total{shard="0"}"#, "3+0x59"),
];

/// What `promtool test rules` reads beside `alerts.yaml`: JSON is YAML.
pub(super) fn tests() -> String {
    let firing = |name: &str| json!([{ "labels": format!("{{alertname=\"{name}\"}}"), "value": 1 }]);
    let alerts = CASES.map(|(name, minutes, scraped)| {
        test(name, scraped, ("count by (alertname) (ALERTS{alertstate=\"firing\"})", minutes), &firing(name))
    });
    // At any moment of it.
    let query = "count by (alertname) (count_over_time(ALERTS{alertstate=\"firing\"}[1h]))";
    let day = test("nothing fires on a calm day", DAY, (query, 58), &json!([]));
    let tests: Vec<Value> = alerts.into_iter().chain([day]).collect();
    json!({ "rule_files": ["alerts.yaml"], "evaluation_interval": "1m", "tests": tests }).to_string()
}

fn test(name: &str, scraped: Scraped, (query, minutes): (&str, u32), expected: &Value) -> Value {
    let answers = Some(&UP).filter(|(up, _)| scraped.iter().all(|(series, _)| series != up));
    let series = scraped.iter().chain(answers).map(|(series, values)| {
        let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
        json!({ "series": format!("{name}{{job=\"fanout\",instance=\"a:1\",{labels}"), "values": values })
    });
    json!({
        "name": name,
        "interval": "1m",
        "input_series": series.collect::<Vec<_>>(),
        "promql_expr_test": [{ "expr": query, "eval_time": format!("{minutes}m"), "exp_samples": expected }],
    })
}
