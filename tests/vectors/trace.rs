//! Following a trace: a table's capacity is part of its type, a trace's is a number.

use headcount::fingerprint::{Fingerprint, Matching};
use headcount::table::{CmidTable, Observation, Sighting};
use headcount::time::EpochMinute;
use headcount::wire::Cmid;

use super::check::{Checked, ensure};
use super::form::{Hex, Text, Trace};

type Observe<'a> = &'a mut dyn FnMut(EpochMinute, &Sighting, &Matching) -> Observation;

/// Calls `follow::<N>(..)` for the `N` that equals the capacity, when it is among those listed.
macro_rules! with_capacity {
    ($capacity:expr, $trace:expr, [$($n:literal)*]) => {
        match $capacity {
            $($n => with_table::<$n>($trace),)*
            other => Err(format!("capacity {other} is not among those this test is compiled for")),
        }
    };
}

/// Feeds every step to a table of the trace's capacity.
pub(crate) fn follow(trace: &Trace) -> Checked {
    with_capacity!(trace.capacity, trace, [
        1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32
        33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60 61 62
        63 64 65 66 70 72 75 80 90 96 99 100 101 110 120 125 127 128 129 150 160 192 200 250 255
        256 257 300 400 500 512 600 750 800 1000 1024 2000 2048 4096 5000 8192 10_000 16_384 65_536
    ])
}

fn with_table<const N: usize>(trace: &Trace) -> Checked {
    // No step may depend on the hash key, so any will do.
    let mut table = Box::new(CmidTable::<N>::new([0x5a; 16]));
    steps(trace, &mut |at, sighting, matching| table.observe(at, sighting, matching))
}

fn steps(trace: &Trace, observe: Observe<'_>) -> Checked {
    ensure(!trace.steps.is_empty(), || "it has no steps".into())?;
    let matching = Matching { weights: trace.weights, tolerance: trace.tolerance };
    for (index, step) in trace.steps.iter().enumerate() {
        let (Text(cmid), Hex(previous), Hex(fingerprint)) =
            (step.cmid, step.previous, step.fingerprint);
        let sighting = Sighting {
            required_count: step.required,
            cmid,
            previous_cmid: Cmid::new(previous),
            fingerprint: Fingerprint::from_bytes(fingerprint),
        };
        let seen = observe(EpochMinute(step.at), &sighting, &matching);
        let seen = (seen.count, seen.limit, seen.duplicate());
        let expected = (step.count, step.limit, step.duplicate);
        ensure(seen == expected, || {
            format!("step {index}: (count, limit, duplicate) is {seen:?}, expected {expected:?}")
        })?;
    }
    Ok(())
}
