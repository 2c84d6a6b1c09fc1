//! A host with its power and its clock, and the laws of the host: (b), (f).

use std::collections::HashMap;
use std::time::Duration;

use headcount::fingerprint::Matching;
use headcount::host::{Host, HostCounters, Pool, Settings, SetupKey};
use headcount::table::RECORD_LIFE;
use headcount::time::{Instant, Now, UnixTime};
use headcount::trust::sign_response;
use headcount::wire::{Frame, Refusal, Verdict};

use super::{Clock, Millis, Rearm, SECOND, Sim};
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
    /// What the calendar showed, if it is known.
    calendar: Option<UnixTime>,
    frames: Tally,
    asked: HashMap<usize, Millis>,
}

/// How long a host was down, which its calendar has not told it yet.
struct Untold {
    /// What the calendar showed when the last snapshot was taken.
    calendar: UnixTime,
    down: Millis,
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
    /// What the calendar is still to tell, and time that the records' age will never know of.
    untold: Option<Untold>,
    lost: Millis,
    /// Whether it ever came up with a snapshot that was not its latest.
    rewound: bool,
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
            untold: None,
            lost: 0,
            rewound: false,
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
            self.asked.clone_from(&saved.asked);
            let down = time - saved.at + self.untold.take().map_or(0, |untold| untold.down);
            match saved.calendar {
                Some(calendar) => self.untold = Some(Untold { calendar, down }),
                None => self.lost += down,
            }
        } else {
            self.asked.clear();
            (self.untold, self.lost) = (None, 0);
        }
        self.rewound |= matches!(restart, Restart::Snapshot(nights) if nights > 0);
        self.host = Some(host);
        self.be_told(time);
    }

    /// A calendar that shows no earlier time than the snapshot's has told how long the host was
    /// down, whether that is true or not.
    fn be_told(&mut self, time: Millis) {
        let Some(clock) = self.clock.read(time).filter(|_| self.host.is_some()) else { return };
        let ran = Duration::from_millis(time - self.booted_at);
        let told = self.untold.take_if(|untold| clock >= untold.calendar);
        if let Some(Untold { calendar, down }) = told {
            let told = clock.since(calendar).saturating_sub(ran).as_millis() as Millis;
            self.lost += down.saturating_sub(told);
        }
    }

    /// Power off, after a last snapshot.
    pub(super) fn stop(&mut self, time: Millis) {
        self.save(time);
        self.host = None;
    }

    pub(super) fn save(&mut self, time: Millis) {
        self.be_told(time);
        let now = self.now(time);
        let Some(host) = &mut self.host else { return };
        let mut bytes = vec![0; SimHost::snapshot_capacity(1)];
        let length = host.snapshot(now, &mut bytes).unwrap();
        bytes.truncate(length);
        let ran = Duration::from_millis(time - self.booted_at);
        let calendar = match &self.untold {
            Some(untold) => Some(untold.calendar.after(ran)),
            None => self.clock.read(time),
        };
        let (frames, asked) = (self.frames, self.asked.clone());
        self.saved.push(Saved { bytes, at: time, calendar, frames, asked });
    }

    pub(super) fn count(&mut self, time: Millis) -> Option<u32> {
        self.be_told(time);
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

    /// Law (b). A machine that took a new CMID may be counted under both until the old record ends,
    /// where the host that has that record cannot drop it: it hears of the previous CMID from other
    /// hardware; or from nobody, because another host activated the machine first. One that rearmed
    /// by hand names the CMID that hosts have counted, as far as it knows.
    pub(super) fn check_count(&mut self, host: usize) {
        let time = self.time;
        let Some(count) = self.count(host) else { return };
        let node = &self.hosts[host];
        let untold = node.lost + node.untold.as_ref().map_or(0, |untold| untold.down);
        // Tables count whole minutes; so does each restore.
        let life = RECORD_LIFE.as_duration().as_millis() as Millis + untold + 120 * SECOND;
        let machines = node.asked.values().filter(|at| time - **at < life).count();
        let certain = self.hosts.len() == 1 && !self.net_was_bad && !node.rewound;
        let twice = |rearm: &&Rearm| {
            let told = rearm.by_hand && certain && !self.clients[rearm.client].obscure;
            time - rearm.at < life && !told
        };
        let rearms = self.rearms.iter().filter(twice).count();
        assert!(
            count as usize <= machines + rearms,
            "law (b): host {host} counts {count}, {machines} machines asked, {rearms} rearmed"
        );
    }
}
