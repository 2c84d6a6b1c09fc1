//! A host with one pool of 50: two requests, a restart in between, junk, counters. State is kept in
//! two slots. What a firmware has besides is a network and a clock.
#![no_std]
#![no_main]

use core::hint::black_box;

use headcount::fingerprint::Matching;
use headcount::host::{Host, Pool, Settings, SetupKey, Source};
use headcount::storage::{Found, Kind, MemoryStore, Slots, image_len};
use headcount::time::Now;
use headcount::wire::{Certificate, Frame};
use headcount_firmware::vendor::{self, now};
use headcount_firmware::{board, exchange};
use static_cell::StaticCell;

type Site = Host<'static, 50, 16>;

const SNAPSHOT_LEN: usize = Site::snapshot_capacity(1);
const SLOT_LEN: usize = image_len(SNAPSHOT_LEN);

static POOLS: StaticCell<[Pool<'static, 50>; 1]> = StaticCell::new();
static KEYS: StaticCell<[SetupKey; 1]> = StaticCell::new();
static HOST: StaticCell<Site> = StaticCell::new();
static STORE: StaticCell<MemoryStore<SLOT_LEN>> = StaticCell::new();

// What a host with one pool of 50 keeps in memory.
const _: () = assert!(size_of::<Site>() + size_of::<Pool<'static, 50>>() <= 4_096);

#[cortex_m_rt::entry]
fn main() -> ! {
    board::exit(life().is_some())
}

/// `None` as soon as something is not as it should be.
fn life() -> Option<()> {
    #[cfg(not(feature = "no-panic"))]
    let signer = headcount::trust::SigningKey::from_seed(black_box(&vendor::HOST_SEED));
    #[cfg(feature = "no-panic")]
    let signer = headcount_firmware::ed25519::NoSigner;
    let certificate = Certificate::parse(black_box(&exchange::CERTIFICATE)).ok()?;
    let keys = KEYS.try_init([SetupKey::new(vendor::KEY_ID, black_box(&vendor::TAG_KEY))])?;
    // Made where it stays. As a constant it would lie in flash, too: not all of its bytes are zero.
    let pools =
        POOLS.try_init_with(|| [Pool::new(vendor::POOL, &vendor::SERVED, Matching::DEFAULT)])?;
    let host = HOST.try_init_with(|| {
        let certificate = Some(certificate);
        Host::new(pools, keys, certificate, Settings::DEFAULT, vendor::HASH_KEY)
    })?;
    let store = STORE.try_init_with(MemoryStore::new)?;
    let answer = |host: &mut Site, now: Now, frame: &[u8]| {
        host.handle(now, Source::UNKNOWN, black_box(frame), &signer).ok()
    };

    is_as_expected(&answer(host, now(0), &exchange::REQUEST)?, &exchange::RESPONSE)?;
    let store = save(host, store, now(0))?;
    answer(host, now(0), &exchange::RESPONSE).is_none().then_some(())?;
    restore(host, store, now(1))?;
    let day = now(vendor::RENEWAL_DAY);
    is_as_expected(&answer(host, day, &exchange::RENEWAL)?, &exchange::RENEWAL_RESPONSE)?;
    let status = host.pools(day).next()?;
    (status.count == Some(1) && host.counters().frames() == 2).then_some(())
}

/// All of an answer but its signature, which may be a stand-in.
fn is_as_expected(answer: &Frame, expected: &Frame) -> Option<()> {
    (answer.first_chunk::<186>() == expected.first_chunk()).then_some(())
}

fn save(
    host: &mut Site,
    store: &'static mut MemoryStore<SLOT_LEN>,
    now: Now,
) -> Option<&'static mut MemoryStore<SLOT_LEN>> {
    let mut buffer = [0; SLOT_LEN];
    let (mut slots, found) = Slots::open(store, Kind::Host, &mut buffer).ok()?;
    matches!(found, Found::Nothing).then_some(())?;
    let mut snapshot = [0; SNAPSHOT_LEN];
    let length = host.snapshot(now, &mut snapshot).ok()?;
    slots.save(snapshot.get(..length)?, &mut buffer).ok()?;
    Some(slots.into_store())
}

fn restore(host: &mut Site, store: &'static mut MemoryStore<SLOT_LEN>, now: Now) -> Option<()> {
    let mut buffer = [0; SLOT_LEN];
    let (_, found) = Slots::open(store, Kind::Host, &mut buffer).ok()?;
    let Found::Whole { payload, .. } = found else { return None };
    let restored = host.restore(now, payload).ok()?;
    (restored.pools == 1).then_some(())
}
