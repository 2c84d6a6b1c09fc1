//! The table of machines, from 64 to 65,536 records: look-up must not slow down as it grows.
#![allow(missing_docs, clippy::unwrap_used)]

mod ratio;

use std::hint::black_box;
use std::num::NonZeroU32;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use headcount::fingerprint::{Fingerprint, Matching};
use headcount::table::{CmidTable, Sighting};
use headcount::time::EpochMinute;
use headcount::wire::Cmid;
use ratio::{ratio, timed};

const NOW: EpochMinute = EpochMinute(30_000_000);

/// Machines in an order that no cache foresees: a multiplication by an odd number visits every
/// number of 64 bits once.
fn machine(number: u64) -> Sighting {
    let scattered = u128::from((number + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    Sighting {
        required_count: NonZeroU32::MAX,
        cmid: Cmid::new((scattered << 64 | scattered).to_be_bytes()).unwrap(),
        previous_cmid: None,
        fingerprint: Fingerprint::new([7; 8]),
    }
}

/// A full table; its thread of construction has room for it on its stack.
#[expect(clippy::unnecessary_box_returns, reason = "3.7 MB would not fit on the stack")]
fn full<const N: usize>() -> Box<CmidTable<N>> {
    let build = || {
        let mut table = Box::new(CmidTable::new([7; 16]));
        for number in 0..N as u64 {
            let _ = table.observe(NOW, &machine(number), &Matching::DEFAULT);
        }
        table
    };
    let builder = std::thread::Builder::new().stack_size(8 * size_of::<CmidTable<N>>() + (1 << 20));
    builder.spawn(build).unwrap().join().unwrap()
}

/// Machines that the table knows, in scattered order.
fn known<const N: usize>() -> impl FnMut() -> Sighting {
    let mut number: u64 = 0;
    move || {
        number = number.wrapping_add(0x9E37_79B9);
        machine(number % N as u64)
    }
}

/// Machines that it has never seen.
fn unknown<const N: usize>() -> impl FnMut() -> Sighting {
    let mut number = N as u64;
    move || {
        number += 1;
        machine(number)
    }
}

fn observe<const N: usize>(criterion: &mut Criterion) {
    let mut table = full::<N>();
    let mut group = criterion.benchmark_group("observe");
    group.throughput(Throughput::Elements(1));
    let mut next = known::<N>();
    group.bench_function(BenchmarkId::new("renew", N), |bencher| {
        bencher.iter(|| table.observe(NOW, black_box(&next()), &Matching::DEFAULT));
    });
    let mut next = unknown::<N>();
    group.bench_function(BenchmarkId::new("add_and_evict", N), |bencher| {
        bencher.iter(|| table.observe(NOW, black_box(&next()), &Matching::DEFAULT));
    });
    group.finish();
}

fn growth() {
    const OPERATIONS: u32 = 10_000;
    let (mut small, mut large) = (full::<64>(), full::<65_536>());
    let mut run = |name, small_next: &mut dyn FnMut() -> _, large_next: &mut dyn FnMut() -> _| {
        ratio(
            name,
            3.0,
            OPERATIONS,
            || timed(OPERATIONS, || large.observe(NOW, &large_next(), &Matching::DEFAULT)),
            || timed(OPERATIONS, || small.observe(NOW, &small_next(), &Matching::DEFAULT)),
        );
    };
    run("renew, 65,536 : 64", &mut known::<64>(), &mut known::<65_536>());
    run("add and evict, 65,536 : 64", &mut unknown::<64>(), &mut unknown::<65_536>());
}

fn all(criterion: &mut Criterion) {
    observe::<64>(criterion);
    observe::<1_024>(criterion);
    observe::<8_192>(criterion);
    observe::<65_536>(criterion);
    growth();
}

criterion_group!(benches, all);
criterion_main!(benches);
