//! YAML of `deploy/`, read by Python's parser.

use loadtest::{foreign_packages, succeed};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// The last document of a file.
pub(crate) fn document(path: &Path) -> Value {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/foreign/yaml_to_json.py");
    let json = succeed(Command::new(foreign_packages("python").join("bin/python")).arg(script).arg(path));
    serde_json::from_str(&json).unwrap()
}
