//! What a row came to.

use super::finding::Finding;
use crate::tester::record::Run;

/// Lines of the table, and what they rest on.
#[derive(Debug, Default)]
pub struct Section {
    /// Lines of the table.
    pub findings: Vec<Finding>,
    /// The runs behind them.
    pub runs: Vec<Run>,
}
