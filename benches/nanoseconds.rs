//! Nanoseconds of each step that a message takes through the server, without the kernel. For people: compare runs on
//! one machine. `cargo bench --bench nanoseconds`; with `-- --test` each step runs once.

mod steps;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use std::time::{Duration, Instant};
use steps::{Case, Step, for_each_step};

/// Times one case of a step. Only its runs count; the clock is read around each, which adds about 40 ns to a run.
fn time(criterion: &mut Criterion, name: &str, case_name: &str, step: impl Step) {
    let mut case = Case::new(case_name, step);
    let mut group = criterion.benchmark_group(name);
    group.throughput(Throughput::Elements(case.units()));
    group.bench_function(BenchmarkId::from_parameter(case_name), |bencher| {
        bencher.iter_custom(|runs| (0..runs).map(|_| timed_run(&mut case)).sum());
    });
    group.finish();
}

fn timed_run(case: &mut Case<impl Step>) -> Duration {
    let began = Instant::now();
    black_box(&mut *case).run();
    let took = began.elapsed();
    case.rest();
    took
}

macro_rules! time_all {
    ($($name:ident: $kind:ident { $($case:ident => $make:ident($($size:expr)?),)+ })+) => {
        fn all(criterion: &mut Criterion) {
            $($(time(criterion, stringify!($name), stringify!($case), steps::$kind::$make($($size)?));)+)+
        }
    };
}
for_each_step!(time_all);

criterion_group! {
    name = steps_of_a_message;
    config = Criterion::default().warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
    targets = all
}
criterion_main!(steps_of_a_message);
