//! Which schedules a simulation plays: the same few on every test run, or as many as `scripts/simulate` asks for.

use std::env;
use std::io::Write;
use std::ops::Range;

/// Schedules of each simulation per test run: a few seconds.
const SEEDS: u64 = 400;

/// The first seed, and how many there are.
const FIRST: &str = "FANOUT_SIMULATE_SEED";
const COUNT: &str = "FANOUT_SIMULATE_SEEDS";

/// Schedules between two signs of life, at least, and how many signs there are at most.
const STEP_MIN: u64 = 100;
const SIGNS_MAX: u64 = 100;

/// Plays a simulation with one seed after the other. Whether those of every test run are among them is the answer: only
/// then it is certain that together they bring about what they are for.
pub(super) fn play(simulation: &str, mut schedule: impl FnMut(u64)) -> bool {
    let asked = asked();
    let seeds = asked.clone().unwrap_or(0..SEEDS);
    let step = STEP_MIN.max((seeds.end - seeds.start) / SIGNS_MAX);
    for seed in seeds.clone() {
        let running = Running { simulation, seed };
        schedule(seed);
        drop(running);
        let played = seed + 1 - seeds.start;
        if asked.is_some() && (played.is_multiple_of(step) || seed + 1 == seeds.end) {
            sign_of_life(simulation, played, &seeds);
        }
    }
    seeds.start == 0 && seeds.end >= SEEDS
}

/// The seeds in the environment, if one of the variables is set.
fn asked() -> Option<Range<u64>> {
    let number = |name: &str| {
        let text = env::var(name).ok()?;
        Some(text.parse::<u64>().unwrap_or_else(|_| panic!("{name} must be a whole number, and is {text:?}")))
    };
    let (first, count) = (number(FIRST), number(COUNT));
    (first.is_some() || count.is_some()).then(|| first.unwrap_or(0)..first.unwrap_or(0) + count.unwrap_or(1))
}

fn sign_of_life(simulation: &str, played: u64, seeds: &Range<u64>) {
    let end = if played == seeds.end - seeds.start { '\n' } else { '\r' };
    eprint!("{simulation}: {played} of {} schedules{end}", seeds.end - seeds.start);
    std::io::stderr().flush().expect("standard error");
}

/// A schedule under way: if it fails, it says how to see that again.
struct Running<'a> {
    simulation: &'a str,
    seed: u64,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let Self { simulation, seed } = self;
            eprintln!("{simulation}: seed {seed} fails; to see it again: scripts/simulate --seed {seed}");
        }
    }
}
