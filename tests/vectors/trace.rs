//! Following a trace: a table's capacity is part of its type, a trace's is a number.

use std::num::NonZeroU32;

use headcount::fingerprint::{Fingerprint, Matching};
use headcount::table::{CmidTable, Observation, Sighting};
use headcount::time::EpochMinute;
use headcount::wire::Cmid;

use super::check::{Checked, ensure};
use super::form::{Hex, Text, Trace};

type Observe<'a> = &'a mut dyn FnMut(EpochMinute, &Sighting, &Matching) -> Observation;

/// Calls `with_table::<N>(..)` for the `N` that equals the capacity, when it is among those listed.
macro_rules! with_capacity {
    ($trace:expr, [$($n:literal)*]) => {
        match $trace.capacity {
            $($n => with_table::<$n>($trace),)*
            _ => with_limit($trace),
        }
    };
}

/// Feeds every step to a table of the trace's capacity.
pub(crate) fn follow(trace: &Trace) -> Checked {
    with_capacity!(trace, [
        1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32 33
        34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63
        64 65 66 67 68 69 70 71 72 73 74 75 76 77 78 79 80 81 82 83 84 85 86 87 88 89 90 91 92 93
        94 95 96 97 98 99 100 101 102 103 104 105 106 107 108 109 110 111 112 113 114 115 116 117
        118 119 120 121 122 123 124 125 126 127 128
        256 512 1024 2048 4096 8192 16_384 32_768 65_536
    ])
}

fn with_table<const N: usize>(trace: &Trace) -> Checked {
    // No step may depend on the hash key, so any will do.
    let mut table = Box::new(CmidTable::<N>::new([0x5a; 16]));
    steps(trace, &mut |at, sighting, matching| table.observe(at, sighting, matching))
}

/// The most records that a trace of any other capacity may keep.
const LARGEST: usize = 65_536;

/// Follows a trace of a capacity that no table is compiled for: in a larger one, whose limit is
/// raised from outside, as a snapshot's is, to what a table of that capacity would have.
fn with_limit(trace: &Trace) -> Checked {
    ensure((1..=LARGEST).contains(&trace.capacity), || {
        format!("capacity {}: this test has room for {LARGEST}", trace.capacity)
    })?;
    let capacity = trace.capacity as u32;
    let mut table = Box::new(CmidTable::<LARGEST>::new([0x5a; 16]));
    steps(trace, &mut |at, sighting, matching| {
        let limit = sighting.required_count.get().saturating_mul(2).min(capacity);
        if limit > table.limit() {
            let records: Vec<_> = table.records().collect();
            table.restore(limit, records).expect("a table's own records fit");
        }
        // The least that can be required: it leaves the limit alone.
        let sighting = Sighting { required_count: NonZeroU32::MIN, ..*sighting };
        table.observe(at, &sighting, matching)
    })
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
