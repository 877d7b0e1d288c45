//! Cores: how they are listed, and who sits on which.

use std::fmt;

/// Core numbers the kernel's affinity sets can name: 0 to 1023 (`CPU_SETSIZE`, `sched_setaffinity(2)`).
pub const CORES_MAX: usize = 1024;

/// Shards a machine with fewer cores may still be told to run. Each pair of shards owns two rings and each executor
/// about 8 MiB, and a shared core gains nothing: beyond this it is a mistake.
pub const SHARDS_BEYOND_CORES_MAX: usize = 64;

/// From this many cores on the broker gets one of its own.
pub const CORES_FOR_OWN_BROKER: usize = 4;

/// Cores as typed, ascending and without duplicates: `0,2-3`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoreList(Vec<usize>);

impl CoreList {
    /// Reads numbers and ranges. `None` for anything else, for a core listed twice, and from [`CORES_MAX`] up.
    pub fn parse(text: &str) -> Option<Self> {
        let mut cores = Vec::new();
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = (core(first)?, core(last)?);
            if first > last || cores.len() + (last - first) >= CORES_MAX {
                return None;
            }
            cores.extend(first..=last);
        }
        cores.sort_unstable();
        let listed = cores.len();
        cores.dedup();
        (cores.len() == listed).then_some(Self(cores))
    }

    /// The cores, ascending; at least one.
    pub fn as_slice(&self) -> &[usize] {
        &self.0
    }
}

/// Cores written as [`CoreList::parse`] reads them, ranges joined.
pub struct Ranges<'a>(
    /// Ascending.
    pub &'a [usize],
);

impl fmt::Display for Ranges<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let runs = self.0.chunk_by(|a, b| a + 1 == *b).map(|run| match run {
            [only] => only.to_string(),
            [first, .., last] => format!("{first}-{last}"),
            [] => String::new(),
        });
        f.write_str(&runs.collect::<Vec<_>>().join(","))
    }
}

/// Where the broker is told to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BrokerSeat {
    /// On a core of its own with [`CORES_FOR_OWN_BROKER`] cores or more, else beside the first shard.
    Auto,
    /// Beside the first shard.
    BesideFirstShard,
    /// On this core.
    Core(usize),
}

impl BrokerSeat {
    /// Reads `auto`, `none` or a core number.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "auto" => Some(Self::Auto),
            "none" => Some(Self::BesideFirstShard),
            number => core(number).map(Self::Core),
        }
    }
}

/// Who sits where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seating {
    /// The core of each shard; at least one.
    pub shards: Vec<usize>,
    /// The broker's own core; `None` is beside the first shard.
    pub broker: Option<usize>,
}

impl Seating {
    /// Seats the broker, then `shards` (default: one per core that is left) from the first core on, and from the first
    /// again when there are more shards than cores.
    ///
    /// `auto` takes a core away from the shards only where they were not told to use every one of them.
    pub fn of(cores: &[usize], shards: Option<usize>, broker: BrokerSeat) -> Self {
        assert!(!cores.is_empty() && shards != Some(0), "a server has at least one core and one shard");
        let broker = match broker {
            BrokerSeat::Core(core) => Some(core),
            BrokerSeat::BesideFirstShard => None,
            BrokerSeat::Auto => {
                let to_spare = cores.len() >= CORES_FOR_OWN_BROKER && shards.is_none_or(|count| count < cores.len());
                cores.last().filter(|_| to_spare).copied()
            }
        };
        let mut left: Vec<usize> = cores.iter().copied().filter(|core| Some(*core) != broker).collect();
        if left.is_empty() {
            left = cores.to_vec();
        }
        let count = shards.unwrap_or(left.len());
        Self { shards: left.iter().copied().cycle().take(count).collect(), broker }
    }
}

fn core(digits: &str) -> Option<usize> {
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().ok()).flatten().filter(|core| *core < CORES_MAX)
}

#[cfg(test)]
mod tests {
    use super::{BrokerSeat, CoreList, Ranges, Seating};

    #[test]
    fn core_lists_read_and_print() {
        let table = [
            ("0", Some("0")),
            ("0,2-3", Some("0,2-3")),
            ("3,1,2", Some("1-3")),
            ("0-1023", Some("0-1023")),
            ("1024", None),
            ("0,0", None),
            ("0-2,1", None),
            ("3-2", None),
            ("", None),
            ("0,", None),
            ("-1", None),
            ("1-", None),
            ("+1", None),
            ("a", None),
            ("0-1-2", None),
            ("99999999999999999999", None),
        ];
        for (text, expected) in table {
            let printed = CoreList::parse(text).map(|list| Ranges(list.as_slice()).to_string());
            assert_eq!(printed.as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn random_lists_never_panic_and_stay_bounded() {
        let mut random = fastrand::Rng::with_seed(5);
        let letters: Vec<char> = "0123456789,-- é".chars().collect();
        for _ in 0..50_000 {
            let text: String = (0..random.usize(0..16)).map(|_| letters[random.usize(0..letters.len())]).collect();
            assert!(CoreList::parse(&text).is_none_or(|list| list.as_slice().len() <= super::CORES_MAX), "{text}");
        }
    }

    #[test]
    fn everybody_finds_a_seat() {
        use BrokerSeat::{Auto, BesideFirstShard, Core};
        type Row = (&'static [usize], Option<usize>, BrokerSeat, &'static [usize], Option<usize>);
        let table: [Row; 11] = [
            (&[0], None, Auto, &[0], None),
            (&[0, 1], None, Auto, &[0, 1], None),
            (&[0, 1, 2, 3], None, Auto, &[0, 1, 2], Some(3)),
            (&[0, 1, 2, 3], None, BesideFirstShard, &[0, 1, 2, 3], None),
            (&[0, 1, 2, 3], Some(4), Auto, &[0, 1, 2, 3], None),
            (&[0, 1, 2, 3], Some(2), Auto, &[0, 1], Some(3)),
            (&[0, 1], Some(4), Auto, &[0, 1, 0, 1], None),
            (&[0, 1], None, Core(0), &[1], Some(0)),
            (&[0, 1], None, Core(5), &[0, 1], Some(5)),
            (&[1], None, Core(1), &[1], Some(1)),
            (&[4, 6, 7, 9, 11], Some(9), Core(6), &[4, 7, 9, 11, 4, 7, 9, 11, 4], Some(6)),
        ];
        for (cores, count, seat, shards, broker) in table {
            let expected = Seating { shards: shards.to_vec(), broker };
            assert_eq!(Seating::of(cores, count, seat), expected, "{cores:?} {count:?} {seat:?}");
        }
    }
}
