//! The power goes off while the firmware stores its state.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use headcount_qemu::machine::{Product, count, exchange};
use headcount_qemu::seed;
use headcount_qemu::site::{Deaf, Site, THIS_MACHINE};
use headcount_qemu::state::Flash;
use rand::RngExt;

/// How many cuts each firmware gets unless `CUTS` says otherwise.
const CUTS: u64 = 50;
/// A slow flash: a save takes longer than all else.
const SLOW_FLASH: &str = "flash-cycles=1000000";

/// Machines that ask the host in turn: fewer than it can count.
const MACHINES: u64 = 40;

#[test]
fn a_host_whose_power_is_cut_keeps_all_that_it_told_anybody() {
    let mut rng = seed::generator();
    let cuts = seed::number("CUTS", CUTS);
    let site = Site::new();
    let product = Product::read(&site.join("vendor/products/station.product.toml"));
    let flash = || Flash::read(&site.join("host.flash"));

    // How long one exchange takes here and now.
    let start = Instant::now();
    let first = site.host(&[SLOW_FLASH, "answers=1"]);
    let ready = Instant::now();
    exchange(first.address, &product.request(0, &mut rng)).expect("an answer");
    let one_exchange = ready.elapsed();
    first.firmware.expect(0);
    println!("an exchange takes {one_exchange:?}, a run {:?}", start.elapsed());

    let (mut machine, mut stored, mut cut_saves) = (0, flash(), 0);
    for cut in 0..cuts {
        let granted = stored.snapshot().expect("the first save").counters.granted;
        let machines = stored.machines();
        let host = site.host(&[SLOW_FLASH]);
        assert!(host.firmware.lines().iter().any(|line| line.contains("stored state: Whole")));
        let requests: Vec<_> =
            (0..8).map(|next| product.request((machine + next) % MACHINES, &mut rng)).collect();
        let delay = one_exchange.mul_f64(rng.random_range(0.0..2.0));
        let answered = AtomicU64::new(0);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for request in &requests {
                    let Ok(answer) = exchange(host.address, request) else { return };
                    assert!((1..=MACHINES as u32).contains(&count(&answer)));
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            });
            std::thread::sleep(delay);
            host.firmware.cut();
        });

        // Saved first, then told: nothing that was told is lost. One more may be saved.
        let answered = answered.into_inner();
        let after = flash();
        let now = after.snapshot().expect("a whole image").counters.granted;
        let told = granted + answered as u32;
        assert!((told..=told + 1).contains(&now), "cut {cut}: {granted} + {answered}, then {now}");
        assert!(after.machines() >= machines, "cut {cut}");
        assert!(after.machines() <= machines + answered as u32 + 1, "cut {cut}");
        cut_saves += u64::from(after.has_a_cut_save() && after != stored);
        (machine, stored) = ((machine + answered) % MACHINES, after);
    }
    println!("{cut_saves} of {cuts} cuts hit a save");
    assert!(10 * cut_saves >= cuts, "the cuts prove nothing");

    let granted = stored.snapshot().unwrap().counters.granted;
    let host = site.host(&["answers=1"]);
    exchange(host.address, &product.request(machine, &mut rng)).expect("an answer");
    let ended = host.firmware.expect(0);
    assert_eq!(ended.number("HostCounters", "granted"), granted + 1);
}

#[test]
fn a_client_whose_power_is_cut_is_activated_exactly_when_it_was() {
    let mut rng = seed::generator();
    let cuts = seed::number("CUTS", CUTS);
    let site = Site::new();
    // As often as a client renews at all: each renewal is stored.
    site.configure_program("renewal_interval_minutes = 10080", "renewal_interval_minutes = 15");
    let host = site.host_that_counted(4);
    let address = format!("{THIS_MACHINE}:{}", host.tcp);
    let deaf = Deaf::new();

    // How long all of it takes here and now, from power-on to the activation that is stored.
    let start = Instant::now();
    site.client("unit", &address, &[SLOW_FLASH, "state=first.flash"]).expect(0);
    let one_run = start.elapsed();
    // In an hour of its own time, which is when it stores how long it ran, it renews four times. That
    // hour must be longer than what it stores meanwhile takes.
    let hour = 2 * one_run.as_millis() as u64;
    let speed = format!("speed={}", 3_600_000_u64.div_ceil(hour));
    println!("a run takes {one_run:?}, {speed}");

    let path = site.join("unit.flash");
    let (mut cut_saves, mut activated, mut renewals) = (0, 0, 0);
    for cut in 0..cuts {
        // Every third unit is new. The others have been through the cuts before.
        if cut % 3 == 0 {
            let _ = std::fs::remove_file(&path);
        }
        let before = Stored::read(&path);
        let arguments = [SLOW_FLASH, "state=unit.flash", &speed, "minutes=10000000"];
        let unit = site.client("unit", &address, &arguments);
        std::thread::sleep(one_run.mul_f64(rng.random_range(0.0..2.0)));
        let ended = unit.cut();
        let after = Stored::read(&path);
        cut_saves += u64::from(after.flash.has_a_cut_save() && after.flash != before.flash);

        // Without anybody who could activate it now.
        let rebooted = site.client("unit", &deaf.address(), &["state=unit.flash"]).ended();
        let is_activated = match rebooted.code {
            Some(0) => true,
            Some(5) => false,
            other => panic!("cut {cut}: {other:?} {:#?} {:#?}", ended.log, rebooted.log),
        };
        activated += u64::from(is_activated);
        let told = ended.lines("answers: Activated");
        renewals += if before.activated { told } else { told.saturating_sub(1) };
        let context = || format!("cut {cut}: {:#?} {:#?}", ended.log, rebooted.log);
        assert!(!is_activated || before.activated || told > 0, "out of nothing: {}", context());
        // The newest may be lost, not the one before it.
        assert!(is_activated || !before.activated, "lost: {}", context());
        assert!(is_activated || told < 2, "lost: {}", context());
        assert!(after.flash.sequence() >= before.flash.sequence(), "{}", context());
        assert!(after.floor >= before.floor, "{}", context());
        assert!(before.cmid.is_none() || after.cmid == before.cmid, "{}", context());
    }
    println!("{cut_saves} of {cuts} cuts hit a save, {activated} an activation");
    println!("it renewed {renewals} times");
    assert!(10 * cut_saves >= cuts && activated > 0, "the cuts prove nothing");
    host.stop();
}

/// What a client has stored.
struct Stored {
    flash: Flash,
    activated: bool,
    cmid: Option<String>,
    /// Seconds since 1970.
    floor: u64,
}

impl Stored {
    fn read(path: &Path) -> Self {
        let flash = Flash::read(path);
        let client = flash.client();
        Self {
            activated: client.as_ref().is_some_and(|client| client.activation.is_some()),
            cmid: client.as_ref().map(|client| client.cmid.to_string()),
            floor: client.map_or(0, |client| client.floor.as_secs()),
            flash,
        }
    }
}
