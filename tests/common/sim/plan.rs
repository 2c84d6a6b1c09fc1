//! Random scenarios: a bad season, then a quiet time in which everything must come right.

use headcount::host::{RateLimit, Settings};
use headcount::time::Minutes;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};

use super::{Action, Clock, DAY, HOUR, Identity, Millis, Net, Restart, Sim};

/// How long the bad time lasts.
const BAD: Millis = 120 * DAY;
/// How long the quiet time lasts: longer than a record lives and an activation is renewed.
const QUIET: Millis = 50 * DAY;

/// A world and what happens to it, all of it from one seed.
pub(crate) struct Plan {
    sim: Sim,
    rng: StdRng,
    thresholds: Vec<u32>,
    clocks: Vec<Clock>,
    hosts: usize,
}

impl Plan {
    pub(crate) fn random(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let settings: Vec<_> = (0..rng.random_range(1..=2)).map(|_| settings(&mut rng)).collect();
        let mut plan = Self {
            sim: Sim::new(seed, &settings),
            rng,
            thresholds: Vec::new(),
            clocks: Vec::new(),
            hosts: settings.len(),
        };
        plan.add_machines();
        for _ in 0..plan.rng.random_range(10..60) {
            plan.add_trouble();
        }
        plan.calm_down();
        plan
    }

    /// Runs it, and checks that the quiet time has mended everything.
    pub(crate) fn run(mut self) {
        let end = BAD + QUIET;
        self.sim.run_until(end);
        let machines = self.thresholds.len();
        let limit = 2 * self.thresholds.iter().max().unwrap();
        let count = self.sim.count(0).unwrap();
        assert_eq!(count as usize, machines.min(limit as usize), "machines counted in the end");
        for (index, node) in self.sim.clients.iter().enumerate() {
            let threshold = self.thresholds[index];
            if count >= threshold && node.can_believe(end) {
                assert!(node.is_activated(end), "machine {index} of threshold {threshold}");
            }
        }
    }

    fn add_machines(&mut self) {
        let machines = *[3, 5, 8, 24, 25, 28].choose(&mut self.rng).unwrap();
        for _ in 0..machines {
            let threshold = *[5, 25].choose(&mut self.rng).unwrap();
            let clock = match self.rng.random_range(0..10) {
                0 | 1 => Clock::None,
                2 => Clock::Off(self.rng.random_range(-5_000..5_000)),
                _ => Clock::RIGHT,
            };
            let client = self.sim.add(Identity { threshold, clock, ..Identity::default() });
            self.thresholds.push(threshold);
            self.clocks.push(clock);
            let at = self.rng.random_range(0..5 * DAY);
            self.sim.at(at, Action::ClientOn(client));
        }
    }

    fn add_trouble(&mut self) {
        let at = self.rng.random_range(0..BAD);
        let rng = &mut self.rng;
        let client = rng.random_range(0..self.thresholds.len());
        let host = rng.random_range(0..self.hosts);
        // All trouble ends with the bad time.
        let mut after = |longest| (at + rng.random_range(0..longest)).min(BAD - 1);
        let (soon, later) = (after(3 * DAY), after(40 * DAY));
        let clock = wrong_clock(rng);
        let sim = &mut self.sim;
        match rng.random_range(0..9) {
            0 => {
                sim.at(at, Action::HostDown(host));
                sim.at(later, Action::HostUp(host, restart(rng)));
            }
            // Power fails and comes back.
            1 | 2 => {
                sim.at(at, Action::ClientOff(client));
                sim.at(soon, Action::ClientOn(client));
            }
            3 => {
                sim.at(at, Action::ClientOff(client));
                sim.at(later, Action::ClientOn(client));
            }
            4 => {
                sim.at(at, Action::ClientClock(client, clock));
                sim.at(later, Action::ClientClock(client, self.clocks[client]));
            }
            5 => {
                sim.at(at, Action::HostClock(host, clock));
                sim.at(soon, Action::HostClock(host, Clock::RIGHT));
            }
            6 => {
                let loss = rng.random_range(0.0..0.4);
                sim.at(at, Action::Net(Net { loss, ..Net::BAD }));
                sim.at(later, Action::Net(Net::GOOD));
            }
            7 => sim.at(at, Action::Rearm(client)),
            _ => {
                let hardware = rng.random_range(1_000..2_000);
                sim.at(at, Action::ClientOff(client));
                sim.at(at, Action::Hardware(client, hardware));
                sim.at((at + HOUR).min(BAD - 1), Action::ClientOn(client));
            }
        }
    }

    /// In the end one host is there, and all machines: whether two hosts that share them both
    /// reach a threshold is another question.
    fn calm_down(&mut self) {
        let sim = &mut self.sim;
        sim.at(BAD, Action::Net(Net { loss: 0.1, ..Net::GOOD }));
        for host in 0..self.hosts {
            sim.at(BAD, Action::HostDown(host));
        }
        sim.at(BAD, Action::HostClock(0, Clock::RIGHT));
        sim.at(BAD, Action::HostUp(0, restart(&mut self.rng)));
        for (client, clock) in self.clocks.iter().enumerate() {
            sim.at(BAD, Action::ClientClock(client, *clock));
            sim.at(BAD + HOUR, Action::ClientOff(client));
            sim.at(BAD + HOUR, Action::ClientOn(client));
        }
    }
}

fn settings(rng: &mut StdRng) -> Settings {
    Settings {
        activation_interval: *[Minutes(360), Minutes(720), Minutes(1_440)].choose(rng).unwrap(),
        renewal_interval: Minutes::from_days(*[1, 7, 20].choose(rng).unwrap()),
        validity: Minutes::from_days(*[30, 180].choose(rng).unwrap()),
        rate_limit: RateLimit::DEFAULT,
    }
}

fn restart(rng: &mut StdRng) -> Restart {
    match rng.random_range(0..6) {
        0 => Restart::Empty,
        1 => Restart::Snapshot(rng.random_range(1..40)),
        _ => Restart::Snapshot(0),
    }
}

fn wrong_clock(rng: &mut StdRng) -> Clock {
    let year = 365 * 24 * 3_600;
    match rng.random_range(0..5) {
        0 => Clock::None,
        1 => Clock::Off(rng.random_range(-20_000..20_000)),
        2 => Clock::Off(-10 * year),
        3 => Clock::Off(year),
        _ => Clock::Off(rng.random_range(-year..year)),
    }
}
