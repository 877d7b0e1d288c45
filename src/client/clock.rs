//! The time as it is printed: UTC, as in the server's log.

use time::UtcDateTime;

/// Now, to the millisecond: `2026-11-22T04:50:58.123Z`.
pub(super) fn now() -> String {
    let now = UtcDateTime::now();
    format!("{}T{}", now.date(), of(now))
}

/// This time of a day now, as in front of a line: `04:50:58.123Z`.
pub(super) fn now_of_day() -> String {
    of(UtcDateTime::now())
}

/// The same of any time, in microseconds since 1970.
pub(super) fn of_day(at_us: u64) -> String {
    of(UtcDateTime::from_unix_timestamp_nanos(i128::from(at_us) * 1_000).unwrap_or(UtcDateTime::UNIX_EPOCH))
}

/// Three digits behind the second, always, or they would come and go.
fn of(time: UtcDateTime) -> String {
    let (hour, minute, second, millisecond) = time.as_hms_milli();
    format!("{hour:02}:{minute:02}:{second:02}.{millisecond:03}Z")
}

#[cfg(test)]
mod tests {
    use super::of_day;

    #[test]
    fn times_have_three_digits_behind_the_second() {
        for (at_us, expected) in [
            (0, "00:00:00.000Z"),
            (1_000, "00:00:00.001Z"),
            (1_795_322_858_120_999, "04:47:38.120Z"),
            (1_795_322_858_000_000, "04:47:38.000Z"),
            (u64::MAX, "00:00:00.000Z"),
        ] {
            assert_eq!(of_day(at_us), expected);
        }
    }
}
