//! What `fanout doctor` is asked for.

use super::super::doctor::{DoctorOrder, Load, Strictness, Through};
use super::super::form::Form;
use super::super::url::Url;
use super::{Command, Host, check_refused, run_on};
use std::time::Duration;

fn order(words: &str) -> DoctorOrder {
    match run_on(&Host::pretend(2), &format!("doctor {words}"), "") {
        Ok(Command::Doctor(_, order)) => *order,
        other => panic!("{words}: {other:?}"),
    }
}

#[test]
fn a_doctor_writes_for_people_and_forgives_warnings_unless_told_otherwise() {
    let usual = DoctorOrder { form: Form::Text, strictness: Strictness::Failures, through: None, capacity: None };
    assert_eq!(order(""), usual);
    assert_eq!(order("--strict"), DoctorOrder { strictness: Strictness::Warnings, ..usual.clone() });
    assert_eq!(order("--json --shards 1"), DoctorOrder { form: Form::Json, ..usual });
}

#[test]
fn a_proxy_is_named_and_waited_behind() {
    let through = |patience| {
        let url = Url::parse("https://proxy.example/base").unwrap();
        Some(Through { url, patience: Duration::from_secs(patience) })
    };
    assert_eq!(order("--through wss://proxy.example/base/").through, through(75));
    assert_eq!(order("--through https://proxy.example/base --patience 0").through, through(0));
}

#[test]
fn a_measurement_has_a_length_and_a_load() {
    let seconds = Duration::from_secs;
    let usual = Load { time: seconds(5), clients: None, rate: 1.0, event_bytes: 256 };
    assert_eq!(order("--capacity").capacity, Some(usual));
    let other = Load { time: seconds(1), clients: Some(5000), rate: 0.5, event_bytes: 1024 };
    assert_eq!(order("--capacity=1s --clients 5000 --rate 0.5 --bytes 1KiB").capacity, Some(other));
}

#[test]
fn mistakes_are_refused_in_one_sentence() {
    let url = "--through does not name a server; allowed: http(s)://host[:port][/base] without user and query";
    for (words, sentence) in [
        ("--through nowhere", url),
        ("--through http://user:secret@h", url),
        ("--through ws://h --patience 2h", "--patience is `2h`; allowed: a duration up to 1h, such as 75s"),
        ("--patience 2s", "--through is missing; --help says what it may be"),
        ("--capacity=2m", "--capacity is `2m`; allowed: a duration up to 1m, such as 5s"),
        ("--capacity=0", "--capacity is `0`; allowed: a duration up to 1m, such as 5s"),
        ("--capacity --clients none", "--clients is `none`; allowed: a number from 1 to 4294967295"),
        ("--capacity --rate 0", "--rate is `0`; allowed: a number above 0 up to 1000000, such as 0.5"),
        ("--capacity --rate NaN", "--rate is `NaN`; allowed: a number above 0 up to 1000000, such as 0.5"),
        ("--capacity --bytes 1MiB", "--bytes is `1MiB`; allowed: a size from 1B to 64KiB"),
        ("--rate 3", "--capacity is missing; --help says what it may be"),
    ] {
        check_refused(&format!("doctor {words}"), "", sentence);
    }
}
