//! The time as it is printed: UTC, as in the server's log.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Now, to the millisecond: `2026-11-22T04:50:58.123Z`.
pub(super) fn now() -> String {
    stamp(microseconds(OffsetDateTime::now_utc()))
}

/// This time of a day now, as in front of a line: `04:50:58.123Z`.
pub(super) fn now_of_day() -> String {
    of_day(microseconds(OffsetDateTime::now_utc()))
}

/// The same of any time, in microseconds since 1970.
pub(super) fn of_day(at_us: u64) -> String {
    let stamp = stamp(at_us);
    stamp.split_once('T').map_or(stamp.clone(), |(_, time)| time.to_owned())
}

fn stamp(at_us: u64) -> String {
    // Whole milliseconds, or the digits would come and go.
    let milliseconds = i128::from(at_us / 1_000);
    let time =
        OffsetDateTime::from_unix_timestamp_nanos(milliseconds * 1_000_000).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let text = time.format(&Rfc3339).unwrap_or_default();
    let (date, rest) = text.split_once('T').unwrap_or(("", &text));
    let (seconds, fraction) = rest.trim_end_matches('Z').split_once('.').unwrap_or((rest.trim_end_matches('Z'), ""));
    format!("{date}T{seconds}.{fraction:0<3}Z")
}

fn microseconds(time: OffsetDateTime) -> u64 {
    u64::try_from(time.unix_timestamp_nanos() / 1_000).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::{of_day, stamp};

    #[test]
    fn times_have_three_digits_behind_the_second() {
        for (at_us, expected) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (1_000, "1970-01-01T00:00:00.001Z"),
            (1_795_322_858_120_999, "2026-11-22T04:47:38.120Z"),
            (1_795_322_858_000_000, "2026-11-22T04:47:38.000Z"),
        ] {
            assert_eq!(stamp(at_us), expected);
            assert_eq!(of_day(at_us), expected[11..]);
        }
    }
}
