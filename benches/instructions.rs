//! Instructions of each step that a message takes through the server, under valgrind: the same number at every run, so
//! that a change of 2 % is one. `scripts/bench --instructions` prints them, `--gate` compares them with those that were
//! accepted, which stand in `instructions.json`.
#![expect(missing_docs, reason = "the macros make public items")]

mod steps;

use gungraun::prelude::*;
use steps::{Case, Step, for_each_step};

fn rest<S: Step>(mut case: Case<S>) {
    case.rest();
}

macro_rules! count {
    ($($name:ident: $kind:ident { $($case:ident => $make:ident($($size:expr)?),)+ })+) => {
        $(
            #[library_benchmark(teardown = rest)]
            $(#[bench::$case(Case::new(stringify!($case), steps::$kind::$make($($size)?)))])+
            fn $name(mut case: Case<steps::$kind>) -> Case<steps::$kind> {
                case.run();
                case
            }
        )+
        library_benchmark_group!(name = steps_of_a_message, benchmarks = [$($name),+]);
    };
}
for_each_step!(count);

main!(library_benchmark_groups = steps_of_a_message);
