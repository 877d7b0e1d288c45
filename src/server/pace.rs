//! How long a shard's work takes, recorded on its own and shared with those who ask once a second.

use crate::ear::Tick;
use crate::metrics::{NodeMetrics, Span, microseconds, span_histogram};
use hdrhistogram::Histogram;
use std::sync::Arc;
use std::time::Duration;

/// How often the record is shared.
const SHARED_EVERY: Duration = Duration::from_secs(1);

/// One shard's record.
pub(super) struct Pace {
    spans: [Histogram<u64>; Span::ALL.len()],
    shared_again: Tick,
    metrics: Arc<NodeMetrics>,
}

impl Pace {
    pub(super) fn new(metrics: Arc<NodeMetrics>, now: Tick) -> Self {
        Self { spans: Span::ALL.map(|_| span_histogram()), shared_again: now, metrics }
    }

    /// A turn has ended.
    pub(super) fn turn(&mut self, lasted: Duration) {
        self.spans[Span::Turn as usize].saturating_record(microseconds(lasted));
    }

    /// A turn has given everything to the kernel, `lasted` after it began; its first event was received at `received_us`
    /// by the wall clock, where it is `now_us`. Both spans are those of the event that had to wait for longest.
    pub(super) fn delivered(&mut self, lasted: Duration, received_us: u64, now_us: u64) {
        let to_kernel_us = microseconds(lasted);
        let to_shard_us = now_us.saturating_sub(to_kernel_us).saturating_sub(received_us);
        self.spans[Span::ToShard as usize].saturating_record(to_shard_us);
        self.spans[Span::ToKernel as usize].saturating_record(to_kernel_us);
    }

    /// Shares what was recorded, now and then.
    pub(super) fn share(&mut self, now: Tick) {
        if now >= self.shared_again {
            self.shared_again = now.after(SHARED_EVERY);
            for (span, own) in Span::ALL.into_iter().zip(&mut self.spans) {
                self.metrics.share_spans(span, own);
            }
        }
    }
}
