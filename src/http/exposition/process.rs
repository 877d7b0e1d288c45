//! The process in `/metrics`, under the names that Prometheus' own libraries give it.

use super::encode_level;
use crate::metrics::{Process, Registry};
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;
use std::fmt;

/// What cannot be read is left out, and so is a limit that there is not.
pub(super) fn encode(registry: &Registry, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let process = Process::look();
    let help = "When the process began to serve, since 1970";
    encoder
        .encode_descriptor("process_start_time", help, Some(&Unit::Seconds), MetricType::Gauge)?
        .encode_gauge(&registry.started_at.as_secs_f64())?;
    encoder
        .encode_descriptor("process_cpu", "Processor time, user and system", Some(&Unit::Seconds), MetricType::Counter)?
        .encode_counter::<NoLabelSet, f64, u64>(&process.cpu.as_secs_f64(), None)?;
    let levels = [
        ("process_resident_memory_bytes", "Memory in use", process.resident_bytes),
        ("process_open_fds", "Files that are open, sockets included", process.open_files),
        ("process_max_fds", "Files that may be open", process.open_files_max),
    ];
    for (name, help, level) in levels {
        level.map_or(Ok(()), |level| encode_level(name, help, level, encoder))?;
    }
    Ok(())
}
