//! What `fanout doctor` is asked for.

use super::super::doctor::{DoctorOrder, Form, Strictness};
use super::{Command, Host, run_on};

#[test]
fn a_doctor_writes_for_people_and_forgives_warnings_unless_told_otherwise() {
    let order = |words: &str| match run_on(&Host::pretend(2), &format!("doctor {words}"), "") {
        Ok(Command::Doctor(_, order)) => order,
        other => panic!("{words}: {other:?}"),
    };
    assert_eq!(order(""), DoctorOrder { form: Form::Text, strictness: Strictness::Failures });
    assert_eq!(order("--json --shards 1"), DoctorOrder { form: Form::Json, strictness: Strictness::Failures });
    assert_eq!(order("--strict"), DoctorOrder { form: Form::Text, strictness: Strictness::Warnings });
}
