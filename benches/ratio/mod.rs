//! Two things measured in turns, and what one costs of the other.
//!
//! Criterion measures one after the other, so on a machine that does other work too it compares two
//! moments as much as two things. Here short batches alternate, and of each the fastest counts.

use std::time::{Duration, Instant};

/// Batches of each.
const BATCHES: usize = 400;

/// Time of one operation of `a` and of `b` in their fastest batches. Each call does `operations`
/// and says how long these took.
fn fastest(
    operations: u32,
    mut a: impl FnMut() -> Duration,
    mut b: impl FnMut() -> Duration,
) -> (Duration, Duration) {
    let mut least = (Duration::MAX, Duration::MAX);
    for _ in 0..BATCHES {
        least = (least.0.min(a()), least.1.min(b()));
    }
    (least.0 / operations, least.1 / operations)
}

/// Prints what `a` costs of `b`, beside the goal. Only under `cargo bench`: in a test run there is
/// nothing to measure.
pub(crate) fn ratio(
    name: &str,
    goal: f64,
    operations: u32,
    a: impl FnMut() -> Duration,
    b: impl FnMut() -> Duration,
) {
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let (a, b) = fastest(operations, a, b);
    let ratio = a.as_secs_f64() / b.as_secs_f64();
    let verdict = if ratio <= goal { "reached" } else { "missed" };
    println!("{name}: {a:?} / {b:?} = {ratio:.3} (goal: at most {goal}, {verdict})");
}

/// How long `operation` takes `operations` times in a row.
pub(crate) fn timed<T>(operations: u32, mut operation: impl FnMut() -> T) -> Duration {
    let begun = Instant::now();
    for _ in 0..operations {
        std::hint::black_box(operation());
    }
    begun.elapsed()
}
