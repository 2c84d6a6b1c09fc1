//! Hosts and clients together, for months and years of virtual time.
//!
//! The laws that hold at every moment stand in `common/sim`; the tests here add what each scenario
//! must lead to. To look into a random scenario that failed, set `HEADCOUNT_SIM_SEED` to the seed
//! that was printed; `HEADCOUNT_SIM_SEEDS=1000` runs that many.

mod common;
#[path = "common/sim/mod.rs"]
mod sim;

use headcount::client::Event;
use headcount::host::Settings;
use headcount::wire::LicenceStatus;
use sim::{Action, Clock, DAY, HOUR, Identity, Millis, Net, Plan, Restart, SECOND, Sim};

/// Random scenarios that are run unless the environment says otherwise.
const SEEDS: u64 = 6;

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().expect("a number"))
}

/// Prints the seed when the scenario panics.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("reproduce with HEADCOUNT_SIM_SEED={}", self.0);
        }
    }
}

#[test]
fn random_scenarios_keep_the_laws_and_end_well() {
    let seeds = match variable("HEADCOUNT_SIM_SEED") {
        Some(seed) => seed..=seed,
        None => 1..=variable("HEADCOUNT_SIM_SEEDS").unwrap_or(SEEDS),
    };
    for seed in seeds {
        let _seed = Seed(seed);
        Plan::random(seed).run();
    }
}

const ONE: [Settings; 1] = [Settings::DEFAULT];
const TWO: [Settings; 2] = [Settings::DEFAULT; 2];

/// A site that was set up within an hour, as it is a day later.
fn site(seed: u64, hosts: &[Settings], machines: usize, threshold: u32) -> Sim {
    let mut sim = Sim::new(seed, hosts);
    sim.add_site(machines, threshold, HOUR);
    sim.run_until(DAY);
    sim
}

/// Lets days pass, and checks at each midnight how many machines are activated.
fn expect_activated(sim: &mut Sim, machines: usize, until: Millis) {
    while sim.time < until {
        sim.run_until((sim.time + DAY).min(until));
        assert_eq!(sim.activated(), machines, "on day {}", sim.time / DAY);
    }
}

#[test]
fn twenty_five_machines_stay_activated_on_a_bad_network() {
    let mut sim = Sim::new(1, &ONE);
    sim.at(0, Action::Net(Net::BAD));
    sim.add_site(25, 25, HOUR);
    sim.run_until(DAY);
    expect_activated(&mut sim, 25, 200 * DAY);
    assert_eq!(sim.count(0), Some(25));
}

#[test]
fn twenty_four_machines_are_never_activated() {
    let mut sim = site(2, &ONE, 24, 25);
    expect_activated(&mut sim, 0, 40 * DAY);
    assert_eq!(sim.count(0), Some(24));
    for node in &sim.clients {
        let (from, to) = (LicenceStatus::InitialGrace, LicenceStatus::Notification);
        let [(at, event)] = node.reports[..] else { panic!("{:?}", node.reports) };
        assert_eq!(event, Event::StatusChanged { from, to });
        // The calendar counts whole seconds.
        assert_eq!((at - node.first_boot + SECOND) / DAY, 30);
    }
    sim.add_site(1, 25, 0);
    let day = sim.time + DAY;
    sim.run_until(day);
    assert_eq!(sim.activated(), 25, "the twenty-fifth activates all");
}

#[test]
fn a_low_threshold_is_met_by_machines_of_a_high_one() {
    let mut sim = site(3, &ONE, 4, 25);
    assert_eq!((sim.count(0), sim.activated()), (Some(4), 0));
    sim.add_site(1, 5, 0);
    expect_activated(&mut sim, 1, 30 * DAY);
    assert_eq!(sim.count(0), Some(5));
    // The four others' requests keep all five counted, and the one activated.
    expect_activated(&mut sim, 1, 60 * DAY);
}

#[test]
fn two_hundred_days_without_a_host_end_in_reminders_and_a_host_mends_it() {
    let mut sim = site(4, &ONE, 25, 25);
    assert_eq!(sim.activated(), 25);
    sim.at(10 * DAY, Action::HostDown(0));
    sim.at(210 * DAY, Action::HostUp(0, Restart::Snapshot(0)));
    expect_activated(&mut sim, 25, 180 * DAY);
    expect_activated(&mut sim, 25, 181 * DAY);
    sim.run_until(200 * DAY);
    assert_eq!(sim.activated(), 0);
    for node in &sim.clients {
        let warnings = node.reports.iter().filter(|(_, e)| matches!(e, Event::ExpiresSoon { .. }));
        assert!((29..=31).contains(&warnings.count()), "one warning a day");
    }
    // All records have ended meanwhile: the count starts over.
    sim.run_until(210 * DAY);
    assert_eq!(sim.count(0), Some(0));
    sim.run_until(211 * DAY);
    assert_eq!((sim.count(0), sim.activated()), (Some(25), 25));
}

#[test]
fn a_second_host_bears_the_loss_of_the_first() {
    let mut sim = site(5, &TWO, 30, 25);
    assert_eq!((sim.count(0), sim.count(1)), (Some(30), None));
    sim.at(2 * DAY, Action::HostDown(0));
    sim.at(202 * DAY, Action::HostUp(0, Restart::Snapshot(0)));
    expect_activated(&mut sim, 30, 204 * DAY);
    assert_eq!((sim.count(0), sim.count(1)), (Some(0), Some(30)));
    sim.at(204 * DAY, Action::HostDown(1));
    expect_activated(&mut sim, 30, 250 * DAY);
    assert_eq!(sim.count(0), Some(30));
}

#[test]
fn clocks_that_jump_neither_end_activations_nor_change_the_count() {
    let year = 365 * 24 * 3_600;
    let mut sim = Sim::new(6, &ONE);
    for n in 0..25 {
        let clock = if n % 5 == 0 { Clock::Off(5_000) } else { Clock::RIGHT };
        let client = sim.add(Identity { clock, ..Identity::default() });
        sim.at(0, Action::ClientOn(client));
    }
    for (month, off) in [(1, year), (2, -year), (3, 20 * year), (4, -20 * year), (5, 15_000)] {
        sim.at(month * 30 * DAY, Action::HostClock(0, Clock::Off(off)));
        sim.at((month * 30 + 5) * DAY, Action::HostClock(0, Clock::RIGHT));
    }
    sim.at(190 * DAY, Action::HostClock(0, Clock::None));
    sim.at(195 * DAY, Action::HostClock(0, Clock::RIGHT));
    sim.run_until(DAY);
    while sim.time < 220 * DAY {
        let tomorrow = sim.time + DAY;
        expect_activated(&mut sim, 25, tomorrow);
        assert_eq!(sim.count(0), Some(25));
    }
}

#[test]
fn a_clients_clock_ends_its_activation_only_while_it_is_wrong() {
    let year = 365 * 24 * 3_600;
    let mut sim = site(7, &ONE, 25, 25);
    sim.at(20 * DAY, Action::ClientClock(0, Clock::Off(year)));
    sim.at(21 * DAY, Action::ClientClock(1, Clock::Off(-year)));
    sim.at(22 * DAY, Action::ClientClock(2, Clock::None));
    sim.run_until(25 * DAY);
    assert_eq!(sim.clients[0].status(sim.time), Some(LicenceStatus::Notification));
    assert_eq!(sim.activated(), 24);
    sim.at(26 * DAY, Action::ClientClock(0, Clock::RIGHT));
    expect_activated(&mut sim, 25, 27 * DAY);
    // A clock that was set back prevents renewals, but not the end.
    expect_activated(&mut sim, 25, 180 * DAY);
    sim.run_until(202 * DAY);
    assert_eq!(sim.clients[1].status(sim.time), Some(LicenceStatus::Notification));
    assert_eq!(sim.activated(), 24);
}

#[test]
fn machines_without_a_clock_live_on_running_time() {
    let mut sim = Sim::new(8, &ONE);
    for _ in 0..5 {
        let identity = Identity { threshold: 5, clock: Clock::None, ..Identity::default() };
        let client = sim.add(identity);
        sim.at(0, Action::ClientOn(client));
    }
    sim.run_until(DAY);
    sim.at(DAY, Action::HostDown(0));
    // A restart every ten days, and one machine that is off for half a year.
    for tens in 1..20 {
        sim.at(tens * 10 * DAY, Action::ClientOff(0));
        sim.at(tens * 10 * DAY, Action::ClientOn(0));
    }
    sim.at(10 * DAY, Action::ClientOff(1));
    sim.at(195 * DAY, Action::ClientOn(1));
    sim.run_until(175 * DAY);
    assert_eq!(sim.activated(), 4, "all that are on");
    sim.run_until(202 * DAY);
    let status = |sim: &Sim, client: usize| sim.clients[client].status(sim.time);
    assert_eq!(status(&sim, 0), Some(LicenceStatus::Notification), "lost at most a day a restart");
    assert_eq!(status(&sim, 1), Some(LicenceStatus::Licensed), "it did not run");
    assert_eq!(status(&sim, 2), Some(LicenceStatus::Notification));
}

#[test]
fn a_clock_that_is_set_late_tells_how_long_the_host_was_down() {
    let mut sim = site(15, &ONE, 25, 25);
    sim.at(10 * DAY, Action::HostDown(0));
    sim.at(60 * DAY, Action::HostClock(0, Clock::None));
    sim.at(60 * DAY, Action::HostUp(0, Restart::Snapshot(0)));
    let set = 60 * DAY + 5 * HOUR;
    sim.at(set, Action::HostClock(0, Clock::RIGHT));
    sim.run_until(set - 1);
    assert_eq!(sim.count(0), Some(25), "a host without a clock cannot know, and answers nobody");
    sim.run_until(set);
    assert_eq!((sim.count(0), sim.activated()), (Some(0), 25));
    sim.run_until(61 * DAY);
    assert_eq!(sim.count(0), Some(25));
}

#[test]
fn machines_that_are_rearmed_by_hand_are_counted_once() {
    let mut sim = site(14, &ONE, 25, 25);
    for client in 0..25 {
        for times in 0..3 {
            let at = (20 + times) * DAY + client as Millis * HOUR / 2;
            sim.at(at, Action::Rearm(client));
        }
    }
    sim.run_until(24 * DAY);
    while sim.time < 60 * DAY {
        let tomorrow = sim.time + DAY;
        expect_activated(&mut sim, 25, tomorrow);
        assert_eq!(sim.count(0), Some(25));
    }
}

#[test]
fn clones_of_one_image_end_up_as_so_many_machines() {
    let mut sim = Sim::new(9, &ONE);
    let original = sim.add(Identity::default());
    // Started once, so that it has a CMID, but never on the network.
    sim.at(0, Action::Net(Net::CUT));
    sim.at(1, Action::ClientOn(original));
    sim.at(2, Action::ClientOff(original));
    sim.run_until(HOUR);
    for _ in 0..29 {
        let clone = sim.add(Identity { imaged_from: Some(original), ..Identity::default() });
        sim.at(HOUR, Action::ClientOn(clone));
    }
    sim.at(HOUR, Action::ClientOn(original));
    sim.at(HOUR, Action::Net(Net::GOOD));
    sim.run_until(2 * DAY);
    assert_eq!((sim.count(0), sim.activated()), (Some(30), 30));
    let mut cmids: Vec<_> = sim.clients.iter().map(|node| node.client().cmid()).collect();
    cmids.sort_unstable();
    cmids.dedup();
    assert_eq!(cmids.len(), 30);
    expect_activated(&mut sim, 30, 60 * DAY);
    assert_eq!(sim.count(0), Some(30));
}

#[test]
fn clones_of_an_activated_image_are_not_activated_by_it() {
    let mut sim = site(10, &ONE, 5, 5);
    sim.at(DAY, Action::HostDown(0));
    sim.run_until(DAY + 1);
    for _ in 0..3 {
        let clone = sim.add(Identity { threshold: 5, imaged_from: Some(0), ..Identity::default() });
        sim.at(sim.time, Action::ClientOn(clone));
    }
    expect_activated(&mut sim, 5, 3 * DAY);
    let status = sim.clients[6].status(sim.time);
    assert_eq!(status, Some(LicenceStatus::OutOfToleranceGrace));
    sim.at(3 * DAY, Action::HostUp(0, Restart::Snapshot(0)));
    sim.run_until(4 * DAY);
    expect_activated(&mut sim, 8, 60 * DAY);
    assert_eq!(sim.count(0), Some(8), "the original was asked for anew and is counted again");
}

#[test]
fn nightly_power_cuts_of_the_whole_site_do_no_harm() {
    let mut sim = site(11, &ONE, 25, 25);
    for night in 1..60 {
        let cut = night * DAY + HOUR;
        sim.at(cut, Action::HostDown(0));
        sim.at(cut, Action::HostUp(0, Restart::Snapshot(0)));
        for client in 0..25 {
            sim.at(cut, Action::ClientOff(client));
            sim.at(cut + HOUR, Action::ClientOn(client));
        }
    }
    sim.run_until(DAY + 2 * HOUR);
    let before = sim.answers();
    while sim.time < 60 * DAY {
        sim.run_until(sim.time + DAY);
        assert_eq!((sim.count(0), sim.activated()), (Some(25), 25));
    }
    // Machines that know the time go on with their week; nobody asks because of a start.
    let renewals = sim.answers() - before;
    assert!((25 * 7..25 * 11).contains(&renewals), "{renewals}");
}

#[test]
fn an_old_snapshot_is_counted_up_again_by_renewals() {
    let mut sim = site(12, &ONE, 10, 5);
    sim.add_site(20, 25, 0);
    for week in 1..8 {
        sim.at(week * 7 * DAY, Action::HostDown(0));
        // The first ones know only ten machines.
        sim.at(week * 7 * DAY + HOUR, Action::HostUp(0, Restart::Snapshot(week as usize * 6)));
    }
    sim.run_until(2 * DAY);
    expect_activated(&mut sim, 30, 60 * DAY);
    assert_eq!(sim.count(0), Some(30));
}

#[test]
fn an_empty_host_is_counted_up_again_by_renewals() {
    let mut sim = site(13, &ONE, 30, 25);
    sim.at(10 * DAY, Action::HostDown(0));
    sim.at(10 * DAY, Action::HostUp(0, Restart::Empty));
    sim.run_until(10 * DAY + 1);
    assert_eq!(sim.count(0), None);
    expect_activated(&mut sim, 30, 19 * DAY);
    assert_eq!(sim.count(0), Some(30));
}
