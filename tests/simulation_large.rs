//! Ten thousand machines and one host, for two years of virtual time, in seconds.
//!
//! What is real: the host, for every one of the million requests, with its tags, its table, its
//! snapshots; and every sixteenth machine, a real client that verifies real signatures. What is
//! not: the other machines follow the client's rules (`policy`) without being one. Each sends the
//! same two frames all its life, one before it is activated and one after (a host does not look
//! whether a nonce is new), and believes the host's decision before it is signed: a signature and
//! its verification for each of a million exchanges take minutes.
//!
//! They can be had: `HEADCOUNT_SIM_SAMPLE=1` makes every machine a real client, 100 every hundredth.
//! `HEADCOUNT_SIM_SEED` replays a run that failed; it prints its seed.
//!
//! Two laws are checked for each machine, at each request: nobody is activated but by an answer to
//! its own request whose count meets the threshold, and nobody asks before the interval is over,
//! less its spread, that the last answer or the lack of one demands.

mod common;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::IpAddr;
use std::thread;

use common::{IDS, KEY_ID, ONE_HOST, SERVED, Vendor, drive, machine};
use headcount::client::{self, Client, Outcome};
use headcount::fingerprint::{Fingerprint, Matching};
use headcount::host::{Host, Pool, Settings, Source};
use headcount::policy;
use headcount::time::{Instant, Minutes, Now, UnixTime};
use headcount::trust::{TagSchedule, sign_response};
use headcount::wire::{
    Cmid, Frame, LicenceStatus, Method, Name, Nonce, Request, ResponseBody, Validity, Verdict,
};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

const MACHINES: usize = 10_000;
/// Of these, one in so many is a real client, unless the environment says otherwise.
const SAMPLE: usize = 16;
const THRESHOLD: u32 = 5_000;
const RECORDS: usize = 10_240;

const SECOND: u64 = 1_000;
const MINUTE: u64 = 60 * SECOND;
const DAY: u64 = 24 * 60 * MINUTE;
const END: u64 = 730 * DAY;
/// The host is restarted every month, and once stays away for a week.
const MONTH: u64 = 30 * DAY;
const OUTAGE: std::ops::Range<u64> = 300 * DAY..307 * DAY;

enum Member<'a> {
    Real { client: Box<Client<'a>>, rng: Box<StdRng> },
    Model { frames: Box<[Frame; 2]>, activated_until: u64 },
}

/// When a machine asked last, and the interval that it has to keep since, without the spread.
#[derive(Clone, Copy, Default)]
struct Rest {
    since: u64,
    least: Minutes,
}

impl Rest {
    /// A request goes out, and nothing is heard of it yet.
    fn end(&mut self, time: u64) {
        let (waited, least) = (time - self.since, u64::from(self.least.0) * MINUTE);
        assert!(
            waited * 10 >= least * 9,
            "asked after {waited} ms, {:?} are the interval",
            self.least
        );
        *self = Self { since: time, least: policy::ACTIVATION_INTERVAL };
    }

    /// The answer to it activates.
    fn renewed(&mut self, answer: &ResponseBody) {
        let Verdict::Granted { validity: Validity::For(validity), .. } = answer.verdict else {
            panic!("{:?}", answer.verdict);
        };
        self.least = policy::bounded_interval(answer.renewal_interval).min(Minutes(validity.0 / 2));
    }
}

struct Site<'a> {
    members: Vec<Member<'a>>,
    rests: Vec<Rest>,
    queue: BinaryHeap<Reverse<(u64, usize)>>,
    rng: StdRng,
    exchanges: u32,
    /// Requests in each minute.
    load: Vec<u32>,
}

type SiteHost<'a> = Host<'a, RECORDS, 1024>;

fn now(time: u64) -> Now {
    let clock = UnixTime::from_secs(common::EPOCH + time / SECOND);
    Now::new(Instant::from_millis(time), Some(clock))
}

impl<'a> Site<'a> {
    fn new(product: &'a client::Product<'a>, seed: u64, sample: usize) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let tags = TagSchedule::new(&product.tag_key);
        let members = (0..MACHINES).map(|index| {
            if index % sample == 0 {
                let machine = machine(index as u16);
                let client = Client::new(product, machine, ONE_HOST, now(0), &mut rng);
                Member::Real { client: Box::new(client), rng: Box::new(StdRng::from_rng(&mut rng)) }
            } else {
                let mut cmid = [0; 16];
                rng.fill_bytes(&mut cmid);
                let frames = [false, true].map(|renewal| tags.seal(&request(cmid, index, renewal)));
                Member::Model { frames: Box::new(frames), activated_until: 0 }
            }
        });
        let members = members.collect();
        let queue = (0..MACHINES).map(|index| Reverse((0, index))).collect();
        let rests = vec![Rest::default(); MACHINES];
        let load = vec![0; (END / MINUTE) as usize + 1];
        Self { members, rests, queue, rng, exchanges: 0, load }
    }

    /// Runs to a time with this host, or without one.
    fn run_until(&mut self, end: u64, mut host: Option<&mut SiteHost<'_>>, vendor: &Vendor) {
        while self.queue.peek().is_some_and(|due| due.0.0 < end) {
            let Some(Reverse((time, index))) = self.queue.pop() else { break };
            let next = match &mut self.members[index] {
                Member::Real { .. } => self.run_client(index, time, host.as_deref_mut(), vendor),
                Member::Model { .. } => self.run_model(index, time, host.as_deref_mut()),
            };
            self.queue.push(Reverse((next, index)));
        }
    }

    fn run_model(&mut self, index: usize, time: u64, host: Option<&mut SiteHost<'_>>) -> u64 {
        let random = self.rng.next_u32();
        let retry = time + policy::spread(policy::ACTIVATION_INTERVAL, random).0;
        let Member::Model { frames, activated_until } = &mut self.members[index] else {
            return retry;
        };
        assert!(*activated_until == 0 || time < *activated_until, "an activation ended");
        let rest = &mut self.rests[index];
        rest.end(time);
        let Some(host) = host else { return retry };
        self.exchanges += 1;
        self.load[(time / MINUTE) as usize] += 1;
        let frame = &frames[usize::from(*activated_until > 0)];
        let body = host.decide(now(time), source(index), frame).unwrap();
        let Verdict::Granted { count, .. } = body.verdict else { panic!("refused") };
        assert!(!body.duplicate && count as usize <= MACHINES);
        if count < THRESHOLD {
            return retry;
        }
        rest.renewed(&body);
        let validity = policy::VALIDITY.as_millis();
        *activated_until = time + validity.0;
        time + policy::renewal_wait(body.renewal_interval, Some(validity), random).0
    }

    fn run_client(
        &mut self,
        index: usize,
        time: u64,
        mut host: Option<&mut SiteHost<'_>>,
        vendor: &Vendor,
    ) -> u64 {
        let Member::Real { client, rng } = &mut self.members[index] else { return END };
        let now = now(time);
        let was_activated = client.activation().is_some();
        assert_eq!(client.is_activated(now), was_activated);
        while let Some(frame) = drive(client, now, rng, &mut Vec::new()) {
            let rest = &mut self.rests[index];
            rest.end(time);
            let Some(host) = host.as_deref_mut() else {
                client.give_up(now, rng, client::Failure::NoAnswer);
                continue;
            };
            self.exchanges += 1;
            self.load[(time / MINUTE) as usize] += 1;
            let body = host.decide(now, source(index), &frame).unwrap();
            let Ok(answer) = sign_response(&body, &vendor.host_key);
            let Verdict::Granted { count: granted, .. } = body.verdict else { panic!("refused") };
            match client.handle_response(now, rng, &answer).unwrap() {
                Outcome::Refused(refusal) => panic!("{refusal:?}"),
                Outcome::Activated { count } => {
                    assert!(count >= THRESHOLD && count == granted);
                    rest.renewed(&body);
                }
                Outcome::BelowThreshold { count, .. } => {
                    assert!(count < THRESHOLD && count == granted);
                    assert!(!client.is_activated(now), "activated below the threshold");
                }
            }
        }
        assert!(!was_activated || client.is_activated(now), "an activation ended");
        let client::Step::Wait { until } = client.poll(now, rng) else { return time };
        until.as_millis()
    }

    fn activated(&self, time: u64) -> usize {
        let is_activated = |member: &&Member<'_>| match member {
            Member::Real { client, .. } => client.is_activated(now(time)),
            Member::Model { activated_until, .. } => time < *activated_until,
        };
        self.members.iter().filter(is_activated).count()
    }
}

fn request(cmid: [u8; 16], index: usize, renewal: bool) -> Request<'static> {
    Request {
        virtual_machine: false,
        renewal,
        licence_status: if renewal { LicenceStatus::Licensed } else { LicenceStatus::InitialGrace },
        method: Method::Count,
        required_count: THRESHOLD.try_into().unwrap(),
        time_left: Minutes(1),
        application_id: IDS.0,
        activation_id: IDS.1,
        counted_id: IDS.2,
        cmid: Cmid::from_random(cmid),
        previous_cmid: None,
        client_time: None,
        nonce: Nonce(cmid),
        fingerprint: Fingerprint::new([index as u16 + 1; 8]),
        workstation_name: Name::EMPTY,
        key_id: KEY_ID,
    }
}

fn source(index: usize) -> Source {
    let [.., a, b] = index.to_be_bytes();
    Source::from(IpAddr::from([10, 0, a, b]))
}

fn run(seed: u64, sample: usize) {
    let vendor = Vendor::new();
    let keys = vendor.setup_keys();
    let product = vendor.product(THRESHOLD);
    let mut site = Site::new(&product, seed, sample);
    let mut snapshot = vec![0; SiteHost::snapshot_capacity(1)];
    let mut length = None;
    let mut start = 0;
    while start < END {
        if OUTAGE.contains(&start) {
            site.run_until(OUTAGE.end, None, &vendor);
            start = OUTAGE.end;
        }
        let end = END.min(start + MONTH - start % MONTH);
        let mut pools = vec![Pool::<RECORDS>::new(IDS.2, &SERVED, Matching::DEFAULT)];
        let certificate = Some(vendor.certificate);
        let mut host =
            SiteHost::new(&mut pools, &keys, certificate, Settings::DEFAULT, [start as u8; 16]);
        if let Some(length) = length {
            assert_eq!(host.restore(now(start), &snapshot[..length]).unwrap().pools, 1);
        }
        if start == 0 {
            site.run_until(DAY, Some(&mut host), &vendor);
            assert_eq!(site.activated(DAY), MACHINES, "on the first day");
        }
        site.run_until(end, Some(&mut host), &vendor);
        let status = host.pools(now(end)).next().unwrap();
        assert_eq!(status.count, Some(MACHINES as u32));
        assert_eq!(
            (status.counters.requests, host.counters().granted),
            (site.exchanges, site.exchanges)
        );
        assert_eq!(host.counters().frames(), site.exchanges);
        assert_eq!(site.activated(end), MACHINES, "on day {}", end / DAY);
        length = Some(host.snapshot(now(end), &mut snapshot).unwrap());
        start = end;
    }
    // Two years of a request a week, and two to begin with.
    assert!((1_000_000..1_100_000).contains(&site.exchanges), "{}", site.exchanges);
    let ordinary =
        site.load[..(OUTAGE.start / MINUTE) as usize].iter().skip((DAY / MINUTE) as usize);
    let busiest = ordinary.max().copied().unwrap_or_default();
    assert!(busiest <= 30, "the site asks together: {busiest} in a minute");
    let after =
        site.load[(OUTAGE.end / MINUTE) as usize..].iter().max().copied().unwrap_or_default();
    assert!(after <= 200, "after the outage the site asks together: {after} in a minute");
}

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().expect("a number"))
}

#[test]
fn ten_thousand_machines_for_two_years() {
    let seed = variable("HEADCOUNT_SIM_SEED").unwrap_or(1);
    let sample = variable("HEADCOUNT_SIM_SAMPLE").map_or(SAMPLE, |sample| sample as usize);
    // The table is half a megabyte, and unoptimised code moves it over the stack.
    let builder = thread::Builder::new().stack_size(32 << 20);
    let runner = builder.spawn(move || run(seed, sample)).unwrap();
    if let Err(panic) = runner.join() {
        eprintln!("reproduce with HEADCOUNT_SIM_SEED={seed} HEADCOUNT_SIM_SAMPLE={sample}");
        std::panic::resume_unwind(panic);
    }
}
