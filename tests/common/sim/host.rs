//! A host with its power and its clock, and the laws of the host: (b), (f).

use std::collections::HashMap;

use headcount::fingerprint::Matching;
use headcount::host::{Host, HostCounters, Pool, Settings, SetupKey};
use headcount::table::RECORD_LIFE;
use headcount::time::{Instant, Now};
use headcount::trust::sign_response;
use headcount::wire::{Frame, Refusal, Verdict};

use super::{Clock, Millis, SECOND, Sim};
use crate::common::{IDS, SERVED, Vendor};

/// Machines that each host's table has room for.
const RECORDS: usize = 64;
type SimHost = Host<'static, RECORDS, 64>;

/// How a host comes up again.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Restart {
    /// With the snapshot of this many nights ago: 0 is the latest.
    Snapshot(usize),
    /// With nothing.
    Empty,
}

/// A snapshot, and what the simulation knew when it was taken.
struct Saved {
    bytes: Vec<u8>,
    at: Millis,
    clock: Clock,
    frames: Tally,
}

/// Frames by what became of them.
#[derive(Clone, Copy, Default)]
struct Tally {
    granted: u32,
    refused: u32,
    silent: u32,
}

pub(crate) struct HostNode {
    vendor: &'static Vendor,
    settings: Settings,
    pub(crate) clock: Clock,
    host: Option<SimHost>,
    booted_at: Millis,
    saved: Vec<Saved>,
    frames: Tally,
    pub(crate) answers: u64,
    /// When each machine's last request was granted.
    asked: HashMap<usize, Millis>,
    /// Time that the records' age knows nothing of: down, with a calendar that could not tell.
    untold: Millis,
}

impl HostNode {
    /// A host that is up and has never been asked.
    pub(super) fn new(vendor: &'static Vendor, settings: Settings) -> Self {
        let mut node = Self {
            vendor,
            settings,
            clock: Clock::RIGHT,
            host: None,
            booted_at: 0,
            saved: Vec::new(),
            frames: Tally::default(),
            answers: 0,
            asked: HashMap::new(),
            untold: 0,
        };
        node.start(0, Restart::Empty);
        node
    }

    pub(super) fn start(&mut self, time: Millis, restart: Restart) {
        self.booted_at = time;
        // Once for each start: the host borrows them for good.
        let pools = Box::leak(Box::new([Pool::new(IDS.2, &SERVED, Matching::DEFAULT)]));
        let keys: &'static [SetupKey] = Box::leak(Box::new(self.vendor.setup_keys()));
        let certificate = Some(self.vendor.certificate);
        let mut host = SimHost::new(pools, keys, certificate, self.settings, [9; 16]);
        self.frames = Tally::default();
        let saved = match restart {
            Restart::Empty => None,
            Restart::Snapshot(nights) => self.saved.iter().rev().nth(nights),
        };
        if let Some(saved) = saved {
            let restored = host.restore(self.now(time), &saved.bytes).unwrap();
            assert_eq!((restored.pools, restored.left_out), (1, 0));
            self.frames = saved.frames;
            if saved.clock != self.clock || self.clock == Clock::None {
                self.untold += time - saved.at;
            }
        }
        self.host = Some(host);
    }

    /// Power off, after a last snapshot.
    pub(super) fn stop(&mut self, time: Millis) {
        self.save(time);
        self.host = None;
    }

    pub(super) fn save(&mut self, time: Millis) {
        let now = self.now(time);
        let Some(host) = &mut self.host else { return };
        let mut bytes = vec![0; SimHost::snapshot_capacity(1)];
        let length = host.snapshot(now, &mut bytes).unwrap();
        bytes.truncate(length);
        self.saved.push(Saved { bytes, at: time, clock: self.clock, frames: self.frames });
    }

    pub(super) fn count(&mut self, time: Millis) -> Option<u32> {
        let now = self.now(time);
        self.host.as_mut()?.pools(now).next()?.count
    }

    pub(super) fn is_sane(&self) -> bool {
        self.host.is_some() && self.clock.is_sane()
    }

    fn now(&self, time: Millis) -> Now {
        Now::new(Instant::from_millis(time - self.booted_at), self.clock.read(time))
    }
}

impl Sim {
    /// A frame arrives at a host; what it answers.
    pub(super) fn deliver_to_host(
        &mut self,
        host: usize,
        client: usize,
        frame: &Frame,
    ) -> Option<Frame> {
        let node = &mut self.hosts[host];
        let now = node.now(self.time);
        let decision = node.host.as_mut()?.decide(now, Self::source(client), frame);
        let answer = if let Ok(body) = decision {
            node.answers += 1;
            match body.verdict {
                Verdict::Granted { count, .. } => {
                    node.frames.granted += 1;
                    node.asked.insert(client, self.time);
                    self.clients[client].remember_grant(frame, count);
                }
                Verdict::Refused(_) => node.frames.refused += 1,
            }
            let Ok(answer) = sign_response(&body, &node.vendor.host_key);
            Some(answer)
        } else {
            node.frames.silent += 1;
            None
        };
        self.check_counters(host);
        if answer.is_some() {
            self.check_count(host);
        }
        answer
    }

    /// Law (f).
    fn check_counters(&self, host: usize) {
        let node = &self.hosts[host];
        let Some(running) = &node.host else { return };
        let HostCounters { granted, refused, silent } = running.counters();
        let Tally { granted: of_granted, refused: of_refused, silent: of_silent } = node.frames;
        assert_eq!(refused.len(), Refusal::ALL.len());
        assert_eq!(
            (*granted, refused.iter().sum(), silent.iter().sum()),
            (of_granted, of_refused, of_silent),
            "law (f): the counters of host {host}"
        );
        assert_eq!(running.counters().frames(), of_granted + of_refused + of_silent, "law (f)");
    }

    /// Law (b). A machine that took a new CMID may be counted under both until the old record ends:
    /// only the host that hears of the previous CMID, from the same hardware, can drop it.
    pub(super) fn check_count(&mut self, host: usize) {
        let Some(count) = self.count(host) else { return };
        let node = &self.hosts[host];
        // Tables count whole minutes; so does each restore.
        let life = RECORD_LIFE.as_duration().as_millis() as Millis + node.untold + 120 * SECOND;
        let recently = |at: &&Millis| self.time - **at < life;
        let machines = node.asked.values().filter(recently).count();
        let rearms = self.rearms.iter().filter(recently).count();
        assert!(
            count as usize <= machines + rearms,
            "law (b): host {host} counts {count}, {machines} machines asked, {rearms} rearmed"
        );
    }
}
