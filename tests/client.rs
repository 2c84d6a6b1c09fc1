//! The client alone: every answer in these tests is made by hand (PROTOCOL 11).

mod common;

use core::time::Duration;

use common::{
    Always, DAY, EPOCH, HOUR, MINUTE, ONE_HOST, THREE_HOSTS, TWO_HOSTS, Vendor, clocks, drive,
    machine, now, running,
};
use headcount::client::{
    self, Client, Discard, Event, Failure, IMAGE_LEN, Limits, Outcome, Rejection, Step,
};
use headcount::fingerprint::Fingerprint;
use headcount::policy::{self, Skew};
use headcount::time::{Instant, Minutes, Now, UnixTime};
use headcount::trust::{
    Expected, Root, Signer, SigningKey, Untrusted, request_digest, sign_response, verify_response,
};
use headcount::wire::{
    ActivationId, Frame, LicenceStatus, Method, Refusal, Request, ResponseBody, Role, Validity,
    Verdict,
};
use rand::SeedableRng;
use rand::rngs::StdRng;

const THRESHOLD: u32 = 5;

/// A granted answer to `frame`, with default intervals and the calendar of `at` seconds.
fn granted(vendor: &Vendor, frame: &Frame, at: u64, count: u32) -> ResponseBody {
    ResponseBody {
        verdict: Verdict::Granted { count, validity: Validity::For(policy::VALIDITY) },
        duplicate: false,
        activation_interval: policy::ACTIVATION_INTERVAL,
        renewal_interval: policy::RENEWAL_INTERVAL,
        host_time: UnixTime::from_secs(EPOCH + at),
        request_digest: request_digest(frame),
        certificate: vendor.certificate,
    }
}

fn signed(vendor: &Vendor, body: &ResponseBody) -> Frame {
    let Ok(frame) = sign_response(body, &vendor.host_key);
    frame
}

/// A client, its driver, and a vendor that answers as a test wants.
struct Rig<'a> {
    vendor: &'a Vendor,
    product: &'a client::Product<'a>,
    client: Client<'a>,
    rng: StdRng,
    events: Vec<Event>,
}

impl<'a> Rig<'a> {
    fn new(vendor: &'a Vendor, product: &'a client::Product<'a>) -> Self {
        Self::with_hosts(vendor, product, ONE_HOST, now(0))
    }

    fn with_hosts(
        vendor: &'a Vendor,
        product: &'a client::Product<'a>,
        hosts: core::num::NonZeroU8,
        now: Now,
    ) -> Self {
        let mut rng = StdRng::seed_from_u64(1);
        let client = Client::new(product, machine(0), hosts, now, &mut rng);
        Self { vendor, product, client, rng, events: Vec::new() }
    }

    /// The frame that goes out now, if one does.
    fn drive(&mut self, now: Now) -> Option<Frame> {
        drive(&mut self.client, now, &mut self.rng, &mut self.events)
    }

    fn answer(&mut self, now: Now, body: &ResponseBody) -> Result<Outcome, Discard> {
        let frame = signed(self.vendor, body);
        self.client.handle_response(now, &mut self.rng, &frame)
    }

    /// Asks, and is answered with this count by a host whose calendar is right at `at` seconds.
    fn exchange(&mut self, now: Now, at: u64, count: u32) -> Result<Outcome, Discard> {
        let frame = self.drive(now).expect("a request");
        let body = granted(self.vendor, &frame, at, count);
        self.answer(now, &body)
    }

    fn activate(&mut self, now: Now, at: u64) {
        let activated = Outcome::Activated { count: THRESHOLD };
        assert_eq!(self.exchange(now, at, THRESHOLD), Ok(activated));
        assert_eq!(self.drive(now), None);
        self.events.clear();
    }

    fn fail(&mut self, now: Now) {
        self.drive(now).expect("a request");
        self.client.give_up(now, &mut self.rng, Failure::NoAnswer);
    }

    /// The same device after a restart, from what it would store at `stored`.
    fn restart(&mut self, stored: Now, now: Now) {
        let image = self.client.image(stored);
        self.resume(&image, now).unwrap();
    }

    fn resume(&mut self, image: &[u8], now: Now) -> Result<(), headcount::storage::Corrupt> {
        self.client =
            Client::resume(self.product, machine(0), ONE_HOST, image, now, &mut self.rng)?;
        Ok(())
    }

    fn status(&self, now: Now) -> LicenceStatus {
        self.client.licence(now).status
    }

    /// When the client wants to be called next.
    fn wakes_at(&mut self, now: Now) -> Instant {
        assert_eq!(self.drive(now), None);
        let Step::Wait { until } = self.client.poll(now, &mut self.rng) else { panic!("no wait") };
        until
    }
}

macro_rules! rig {
    ($vendor:ident, $rig:ident) => {
        let $vendor = Vendor::new();
        let product = $vendor.product(THRESHOLD);
        let mut $rig = Rig::new(&$vendor, &product);
    };
}

// Offsets of fields in the image.
mod image {
    pub(crate) const CMID: usize = 0;
    pub(crate) const IS_COUNTED: usize = 33;
    pub(crate) const GRACE: usize = 34;
    pub(crate) const IS_OUT_OF_TOLERANCE: usize = 50;
    pub(crate) const HAS_ACTIVATION: usize = 75;
    pub(crate) const AGE_SINCE: usize = 76;
    pub(crate) const REQUEST: usize = 92;
}

#[test]
fn an_edited_age_does_not_prolong_the_validity() {
    rig!(vendor, rig);
    rig.activate(now(0), 0);
    let mut image = rig.client.image(now(0));
    let later = (EPOCH + 179 * DAY).to_be_bytes();
    assert_eq!(image[image::AGE_SINCE..][..8], EPOCH.to_be_bytes());
    image[image::AGE_SINCE..][..8].copy_from_slice(&later);
    rig.resume(&image, now(179 * DAY)).unwrap();
    assert_eq!(rig.status(now(180 * DAY - 1)), LicenceStatus::Licensed);
    assert_eq!(rig.status(now(180 * DAY)), LicenceStatus::Notification);
}

#[test]
fn a_short_activation_is_warned_about_only_when_its_renewal_failed() {
    rig!(vendor, rig);
    let short = |frame: &Frame, at| ResponseBody {
        verdict: Verdict::Granted {
            count: THRESHOLD,
            validity: Validity::For(Minutes::from_days(2)),
        },
        ..granted(&vendor, frame, at, THRESHOLD)
    };
    let frame = rig.drive(now(0)).unwrap();
    rig.answer(now(0), &short(&frame, 0)).unwrap();
    assert_eq!(rig.drive(now(DAY - 1)), None);
    rig.events.clear();
    let frame = rig.drive(now(DAY)).expect("renews after half the validity");
    rig.answer(now(DAY), &short(&frame, DAY)).unwrap();
    rig.drive(now(DAY));
    assert_eq!(rig.events, []);

    rig.fail(now(2 * DAY));
    assert_eq!(rig.drive(now(2 * DAY)), None);
    assert_eq!(rig.events, [Event::ExpiresSoon { left: Duration::from_secs(DAY) }]);
}

#[test]
fn the_initial_grace_ends_after_thirty_days_to_the_millisecond() {
    rig!(vendor, rig);
    rig.exchange(now(0), 0, 1).unwrap();
    let end = Instant::from_millis(30 * DAY * 1_000);
    let just_before = Now::new(Instant::from_millis(end.as_millis() - 1), now(30 * DAY - 1).clock);
    let licence = rig.client.licence(just_before);
    assert_eq!(licence.status, LicenceStatus::InitialGrace);
    assert_eq!(licence.left, Some(Duration::from_millis(1)));
    assert_eq!(rig.client.licence(now(30 * DAY)).status, LicenceStatus::Notification);
    assert_eq!(rig.client.licence(now(30 * DAY)).left, None, "notification has no end");

    // The client wakes up for it although nothing is to be asked.
    rig.fail(just_before);
    assert_eq!(rig.wakes_at(just_before), end);
    assert_eq!(rig.events, []);
    rig.drive(now(30 * DAY));
    let (from, to) = (LicenceStatus::InitialGrace, LicenceStatus::Notification);
    assert_eq!(rig.events, [Event::StatusChanged { from, to }]);
    rig.drive(now(30 * DAY));
    assert_eq!(rig.events.len(), 1, "said once");
}

#[test]
fn waits_reach_ten_percent_to_either_side() {
    let vendor = Vendor::new();
    let product = vendor.product(THRESHOLD);
    for (mut rng, retry, renewal) in [
        (Always(0), 6_480_000, 544_320_000),
        // The upper edge itself is not reached.
        (Always(u32::MAX), 7_919_999, 665_279_999),
    ] {
        let mut client = Client::new(&product, machine(0), ONE_HOST, now(0), &mut rng);
        let rounds = [(0, 1), (retry, 1), (2 * retry, THRESHOLD), (2 * retry + renewal, THRESHOLD)];
        for (millis, count) in rounds {
            let at = |millis| Now::new(Instant::from_millis(millis), now(millis / 1_000).clock);
            if millis > 0 {
                let early = drive(&mut client, at(millis - 1), &mut rng, &mut Vec::new());
                assert_eq!(early, None);
            }
            let frame = drive(&mut client, at(millis), &mut rng, &mut Vec::new()).expect("on time");
            let answer = signed(&vendor, &granted(&vendor, &frame, millis / 1_000, count));
            client.handle_response(at(millis), &mut rng, &answer).unwrap();
        }
    }
}

#[test]
fn a_hosts_intervals_prevail_within_bounds() {
    rig!(vendor, rig);
    for (sent, shortest, longest) in
        [(1, 810, 990), (60, 3_240, 3_960), (u32::MAX, 2_332_800, 2_851_200)]
    {
        let frame = rig.drive(now(0)).unwrap();
        let body =
            ResponseBody { activation_interval: Minutes(sent), ..granted(&vendor, &frame, 0, 1) };
        rig.answer(now(0), &body).unwrap();
        let until = rig.wakes_at(now(0));
        // A checkpoint comes first where the wait is longer than a day.
        let due = if sent == u32::MAX { now(DAY).monotonic } else { until };
        assert_eq!(until, due);
        if sent != u32::MAX {
            assert!((shortest * 1_000..longest * 1_000).contains(&until.as_millis()), "{until:?}");
        }
        rig.client.ask_now(now(0));
    }
}

#[test]
fn hosts_are_asked_in_turn_and_the_one_that_answers_is_remembered() {
    let vendor = Vendor::new();
    let product = vendor.product(THRESHOLD);
    let mut rig = Rig::with_hosts(&vendor, &product, THREE_HOSTS, now(0));
    let asked = |rig: &mut Rig<'_>, now: Now| loop {
        match rig.client.poll(now, &mut rig.rng) {
            Step::Send { host } => return host,
            Step::Wait { .. } => panic!("nobody is asked"),
            _ => {}
        }
    };
    for host in [0, 1, 2] {
        assert_eq!(asked(&mut rig, now(0)), host);
        rig.client.give_up(now(0), &mut rig.rng, Failure::NoAnswer);
    }
    assert_eq!(rig.drive(now(0)), None, "each once");
    // In the next round the second answers.
    assert_eq!(asked(&mut rig, now(8_000)), 0);
    rig.client.give_up(now(8_000), &mut rig.rng, Failure::NoAnswer);
    assert_eq!(asked(&mut rig, now(8_000)), 1);
    let frame = *rig.client.pending_frame().unwrap();
    rig.answer(now(8_000), &granted(&vendor, &frame, 8_000, 1)).unwrap();
    // From then on it is the first, and after it comes the third.
    for host in [1, 2, 0] {
        assert_eq!(asked(&mut rig, now(16_000)), host);
        rig.client.give_up(now(16_000), &mut rig.rng, Failure::NoAnswer);
    }
    rig.client.prefer_host(2);
    assert_eq!(asked(&mut rig, now(24_000)), 2);
    rig.client.give_up(now(24_000), &mut rig.rng, Failure::NoAnswer);
    rig.client.prefer_host(3);
    assert_eq!(asked(&mut rig, now(24_000)), 0, "a round goes on as it began");
}

#[test]
fn whatever_a_host_refuses_an_activation_stays_and_the_next_host_is_asked() {
    let vendor = Vendor::new();
    let product = vendor.product(THRESHOLD);
    for refusal in Refusal::ALL {
        let mut rig = Rig::with_hosts(&vendor, &product, TWO_HOSTS, now(0));
        rig.activate(now(0), 0);
        let week = now(8 * DAY);
        let refuse = |frame: &Frame| ResponseBody {
            verdict: Verdict::Refused(refusal),
            ..granted(&vendor, frame, 8 * DAY, 0)
        };
        for _ in 0..2 {
            let frame = rig.drive(week).expect("both hosts");
            let outcome = Outcome::Refused(refusal);
            assert_eq!(rig.answer(week, &refuse(&frame)), Ok(outcome));
            assert_eq!(rig.client.last_attempt(), Some(Ok(outcome)));
        }
        assert_eq!(rig.drive(week), None);
        assert_eq!(rig.status(week), LicenceStatus::Licensed);
        assert_eq!(rig.drive(now(8 * DAY + 6_479)), None);
        assert!(rig.drive(now(8 * DAY + 7_920)).is_some(), "again after the interval");
        assert_eq!(rig.status(now(180 * DAY)), LicenceStatus::Notification);
    }
}

#[test]
fn a_count_that_falls_below_the_threshold_ends_no_activation() {
    rig!(vendor, rig);
    rig.activate(now(0), 0);
    let below = Outcome::BelowThreshold { count: 1, required: THRESHOLD };
    assert_eq!(rig.exchange(now(8 * DAY), 8 * DAY, 1), Ok(below));
    assert_eq!(rig.status(now(180 * DAY - 1)), LicenceStatus::Licensed);
    assert_eq!(rig.status(now(180 * DAY)), LicenceStatus::Notification);
    assert_eq!(rig.drive(now(8 * DAY + 6_479)), None);
    assert!(rig.drive(now(8 * DAY + 7_920)).is_some());
}

#[test]
fn a_duplicate_takes_a_new_cmid_once() {
    rig!(vendor, rig);
    rig.activate(now(0), 0);
    let old = rig.client.cmid();
    let week = now(8 * DAY);
    let duplicate = |frame: &Frame, count| ResponseBody {
        duplicate: true,
        ..granted(&vendor, frame, 8 * DAY, count)
    };
    let first = rig.drive(week).unwrap();
    rig.answer(week, &duplicate(&first, 1)).unwrap();
    let second = rig.drive(week).expect("asks again at once");
    assert_eq!(rig.events, [Event::Rearmed]);
    let fresh = rig.client.cmid();
    assert_ne!(fresh, old);
    let request = Request::parse(&second).unwrap();
    assert_eq!((request.cmid, request.previous_cmid), (fresh, Some(old)));
    assert_eq!(rig.status(week), LicenceStatus::Licensed);

    // The flag on the answer to that changes nothing any more.
    rig.answer(week, &duplicate(&second, 1)).unwrap();
    assert_eq!(rig.client.cmid(), fresh);
    assert_eq!(rig.drive(week), None);

    // Until the next activation the old CMID's activation holds over a restart.
    rig.restart(week, week);
    assert_eq!((rig.client.cmid(), rig.status(week)), (fresh, LicenceStatus::Licensed));
    let third = rig.drive(now(16 * DAY)).unwrap();
    assert_eq!(Request::parse(&third).unwrap().previous_cmid, Some(old));
    rig.answer(now(16 * DAY), &granted(&vendor, &third, 16 * DAY, THRESHOLD)).unwrap();
    rig.restart(now(16 * DAY), now(16 * DAY));
    assert_eq!(rig.status(now(16 * DAY)), LicenceStatus::Licensed);
    let fourth = rig.drive(now(24 * DAY)).unwrap();
    assert_eq!(Request::parse(&fourth).unwrap().previous_cmid, None);
}

#[test]
fn a_duplicate_that_is_activated_at_once_keeps_that_over_a_restart() {
    rig!(vendor, rig);
    let frame = rig.drive(now(0)).unwrap();
    let body = ResponseBody { duplicate: true, ..granted(&vendor, &frame, 0, THRESHOLD) };
    rig.answer(now(0), &body).unwrap();
    assert!(rig.drive(now(0)).is_some(), "asks again under its new CMID");
    rig.restart(now(0), now(1));
    assert_eq!(rig.status(now(1)), LicenceStatus::Licensed);
    // A second duplicate, before the host has activated the first new CMID, does not lose it.
    let frame = rig.drive(now(8 * DAY)).unwrap();
    let body = ResponseBody { duplicate: true, ..granted(&vendor, &frame, 8 * DAY, 1) };
    rig.answer(now(8 * DAY), &body).unwrap();
    rig.drive(now(8 * DAY));
    rig.restart(now(8 * DAY), now(9 * DAY));
    assert_eq!(rig.status(now(9 * DAY)), LicenceStatus::Licensed);
}

#[test]
fn rearming_by_hand_is_counted_over_restarts() {
    rig!(vendor, rig);
    rig.activate(now(0), 0);
    let counted = rig.client.cmid();
    for left in [2, 1, 0] {
        rig.client.rearm(now(DAY), &mut rig.rng).unwrap();
        assert_eq!(rig.status(now(DAY)), LicenceStatus::InitialGrace);
        assert_eq!(rig.client.activation(), None);
        rig.restart(now(DAY), now(2 * DAY));
        assert_eq!(rig.client.rearms_left(), left);
        let request = rig.drive(now(2 * DAY)).unwrap();
        // The one that the host has a record of, however often it was rearmed since.
        assert_eq!(Request::parse(&request).unwrap().previous_cmid, Some(counted));
    }
    let limit = rig.client.rearm(now(2 * DAY), &mut rig.rng).unwrap_err();
    assert_eq!(limit.limit, 3);
    assert_eq!(rig.status(now(31 * DAY - 1)), LicenceStatus::InitialGrace);
    assert_eq!(rig.status(now(31 * DAY)), LicenceStatus::Notification);
}

#[test]
fn a_rearm_names_the_cmid_that_a_host_has_counted() {
    rig!(vendor, rig);
    let previous = |rig: &mut Rig<'_>, at| {
        let frame = rig.drive(now(at)).unwrap();
        Request::parse(&frame).unwrap().previous_cmid
    };
    // Nobody has counted the first one: it is as good as any.
    let first = rig.client.cmid();
    rig.client.rearm(now(0), &mut rig.rng).unwrap();
    assert_eq!(previous(&mut rig, 0), Some(first));
    // A refusal counts nobody.
    let frame = *rig.client.pending_frame().unwrap();
    let refusal = Verdict::Refused(Refusal::UnknownProduct);
    let body = ResponseBody { verdict: refusal, ..granted(&vendor, &frame, 0, 1) };
    rig.answer(now(0), &body).unwrap();
    rig.client.rearm(now(0), &mut rig.rng).unwrap();
    assert_eq!(previous(&mut rig, 0), Some(first));
    // From here on the host knows this one, below the threshold though it is.
    let frame = *rig.client.pending_frame().unwrap();
    rig.answer(now(0), &granted(&vendor, &frame, 0, 1)).unwrap();
    let counted = rig.client.cmid();
    rig.restart(now(0), now(DAY));
    rig.client.rearm(now(DAY), &mut rig.rng).unwrap();
    assert_eq!(previous(&mut rig, DAY), Some(counted));
}

#[test]
fn an_answer_to_a_request_from_before_a_rearm_is_nobodys() {
    rig!(vendor, rig);
    let frame = rig.drive(now(0)).unwrap();
    rig.client.rearm(now(0), &mut rig.rng).unwrap();
    let body = granted(&vendor, &frame, 0, THRESHOLD);
    assert_eq!(rig.answer(now(0), &body), Err(Discard::NotAsked));
    assert!(rig.drive(now(0)).is_some());
    assert_eq!(rig.answer(now(0), &body), Err(Discard::Untrusted(Untrusted::OtherRequest)));
    assert!(!rig.client.is_activated(now(0)));
}

#[test]
fn other_hardware_is_out_of_tolerance_until_it_returns_or_is_activated() {
    rig!(vendor, rig);
    let product = rig.product;
    rig.activate(now(0), 0);
    let image = rig.client.image(now(0));
    let resume = |components, rng: &mut StdRng| {
        let mut machine = machine(0);
        machine.fingerprint = Fingerprint::new(components);
        Client::resume(product, machine, ONE_HOST, &image, now(DAY), rng).unwrap()
    };
    // Two components may differ, also by absence.
    let tolerated = resume([1, 1, 1, 1, 1, 1, 9, 0], &mut rig.rng);
    assert_eq!(tolerated.licence(now(DAY)).status, LicenceStatus::Licensed);

    rig.client = resume([1, 1, 1, 1, 1, 9, 9, 9], &mut rig.rng);
    let licence = rig.client.licence(now(DAY));
    assert_eq!(licence.status, LicenceStatus::OutOfToleranceGrace);
    assert_eq!(licence.left, Some(Duration::from_secs(30 * DAY)));
    let request = rig.drive(now(DAY)).expect("asks at once");
    let request = Request::parse(&request).unwrap();
    assert_eq!(request.licence_status, LicenceStatus::OutOfToleranceGrace);
    assert!(!request.renewal);
    assert_eq!(rig.status(now(31 * DAY)), LicenceStatus::Notification);

    // The hardware returns, at a later start or while it runs.
    let later = rig.client.image(now(2 * DAY));
    rig.resume(&later, now(3 * DAY)).unwrap();
    assert_eq!(rig.status(now(3 * DAY)), LicenceStatus::Licensed);
    rig.client.set_machine(machine(5), now(3 * DAY));
    assert_eq!(rig.status(now(3 * DAY)), LicenceStatus::OutOfToleranceGrace);
    rig.client.set_machine(machine(0), now(3 * DAY));
    assert_eq!(rig.status(now(3 * DAY)), LicenceStatus::Licensed);

    // Or the new hardware is activated.
    rig.client.set_machine(machine(5), now(3 * DAY));
    rig.exchange(now(3 * DAY), 3 * DAY, THRESHOLD).unwrap();
    assert_eq!(rig.status(now(3 * DAY)), LicenceStatus::Licensed);
    let image = rig.client.image(now(3 * DAY));
    let mut machine = machine(5);
    machine.fingerprint = Fingerprint::new([6; 8]);
    let resumed = Client::resume(product, machine, ONE_HOST, &image, now(4 * DAY), &mut rig.rng);
    assert_eq!(resumed.unwrap().licence(now(4 * DAY)).status, LicenceStatus::Licensed);
}

#[test]
fn a_change_of_hardware_prolongs_no_activation() {
    rig!(vendor, rig);
    let product = rig.product;
    rig.activate(now(0), 0);
    let image = rig.client.image(now(0));
    let mut resumed = |at: u64| {
        let changed = machine(5);
        Client::resume(product, changed, ONE_HOST, &image, now(at), &mut rig.rng).unwrap()
    };
    // Ten days are left of the activation, and so of the grace.
    let client = resumed(170 * DAY);
    let licence = client.licence(now(170 * DAY));
    assert_eq!(licence.status, LicenceStatus::OutOfToleranceGrace);
    assert_eq!(licence.left, Some(Duration::from_secs(10 * DAY)));
    assert_eq!(client.licence(now(180 * DAY)).status, LicenceStatus::Notification);
    // What has ended does not come back to life.
    assert_eq!(resumed(180 * DAY).licence(now(180 * DAY)).status, LicenceStatus::Notification);
}

#[test]
fn the_hosts_activation_interval_prevails_over_a_restart() {
    rig!(vendor, rig);
    let frame = rig.drive(now(0)).unwrap();
    let seldom = ResponseBody {
        activation_interval: Minutes(10 * 60),
        ..granted(&vendor, &frame, 0, THRESHOLD)
    };
    rig.answer(now(0), &seldom).unwrap();
    rig.restart(now(0), now(20 * DAY));
    // The renewal is overdue and fails; the next try is as the host said.
    let start = rig.wakes_at(now(20 * DAY)).as_millis().div_ceil(1_000);
    rig.drive(now(start)).expect("the renewal");
    rig.client.give_up(now(start), &mut rig.rng, Failure::NoAnswer);
    let next = rig.wakes_at(now(start)).as_millis() / 1_000;
    assert!((start + 9 * HOUR..=start + 11 * HOUR).contains(&next), "{start} {next}");
}

#[test]
fn a_clock_set_forward_ends_the_licence_only_while_it_lasts() {
    rig!(vendor, rig);
    rig.activate(now(0), 0);
    let ahead = clocks(DAY, (300 * DAY).cast_signed());
    assert_eq!(rig.status(ahead), LicenceStatus::Notification);
    let request = rig.drive(ahead).expect("asks: the activation seems to have ended");
    let (from, to) = (LicenceStatus::Licensed, LicenceStatus::Notification);
    assert_eq!(rig.events, [Event::StatusChanged { from, to }]);
    // A host with the right time is believed by nobody whose clock is wrong.
    let body = granted(&vendor, &request, DAY, THRESHOLD);
    let skew = Discard::ClockSkew(Skew::Ahead(299 * DAY));
    assert_eq!(rig.answer(ahead, &body), Err(skew));
    rig.client.give_up(ahead, &mut rig.rng, Failure::Discarded(skew));
    assert_eq!(rig.drive(ahead), None);

    assert_eq!(rig.status(now(DAY + 1)), LicenceStatus::Licensed);
    assert_eq!(rig.drive(now(DAY + 1)), None);
    assert_eq!(rig.events[1], Event::StatusChanged { from: to, to: from });
    // Nothing of it is left after a restart either.
    let image = rig.client.image(ahead);
    rig.resume(&image, now(DAY + 2)).unwrap();
    assert_eq!(rig.status(now(180 * DAY - 1)), LicenceStatus::Licensed);
}

#[test]
fn a_clock_set_back_gains_nothing_beyond_running_time() {
    rig!(vendor, rig);
    rig.activate(now(0), 0);
    let back = |ran| clocks(ran, -(1_000 * DAY).cast_signed());
    assert_eq!(rig.status(back(180 * DAY - 1)), LicenceStatus::Licensed);
    assert_eq!(rig.status(back(180 * DAY)), LicenceStatus::Notification);
    // Running time is stored.
    let image = rig.client.image(back(100 * DAY));
    rig.resume(&image, back(0)).unwrap();
    assert_eq!(rig.status(back(80 * DAY - 1)), LicenceStatus::Licensed);
    assert_eq!(rig.status(back(80 * DAY)), LicenceStatus::Notification);
}

#[test]
fn without_a_clock_running_time_counts_and_is_saved_hourly() {
    let vendor = Vendor::new();
    let product = vendor.product(THRESHOLD);
    let mut rig = Rig::with_hosts(&vendor, &product, ONE_HOST, running(0));
    let frame = rig.drive(running(0)).unwrap();
    assert_eq!(Request::parse(&frame).unwrap().client_time, None);
    rig.answer(running(0), &granted(&vendor, &frame, 0, THRESHOLD)).unwrap();

    let mut saves = Vec::new();
    for quarter in 0..=4 * 96 {
        let at = running(quarter * HOUR / 4);
        loop {
            match rig.client.poll(at, &mut rig.rng) {
                Step::Save => saves.push((quarter, rig.client.image(at))),
                Step::Wait { .. } => break,
                _ => {}
            }
        }
    }
    let quarters: Vec<_> = saves.iter().map(|(quarter, _)| *quarter).collect();
    assert_eq!(quarters, (0..=96).map(|hour| 4 * hour).collect::<Vec<_>>());

    // Power fails within the hour after: that is the most that is lost.
    rig.resume(&saves[96].1, running(7)).unwrap();
    assert_eq!(rig.status(running(7 + 176 * DAY - 1)), LicenceStatus::Licensed);
    assert_eq!(rig.status(running(7 + 176 * DAY)), LicenceStatus::Notification);
    // Nobody can tell how long it was off, so it asks soon: within a tenth of the interval.
    assert!(rig.wakes_at(running(7)) <= running(7 + 720).monotonic);
    assert!(rig.drive(running(7 + 720)).is_some());
}

#[test]
fn a_device_without_a_clock_that_runs_eight_hours_a_day_leaves_its_grace() {
    let vendor = Vendor::new();
    let product = vendor.product(THRESHOLD);
    let mut rig = Rig::with_hosts(&vendor, &product, ONE_HOST, running(0));
    let mut days = 0;
    while rig.status(running(0)) == LicenceStatus::InitialGrace {
        days += 1;
        assert!(days <= 200, "grace for ever");
        let mut saved = None;
        for minute in 0..8 * 60 {
            let at = running(minute * MINUTE);
            loop {
                match rig.client.poll(at, &mut rig.rng) {
                    Step::Save => saved = Some(rig.client.image(at)),
                    Step::Send { .. } => rig.client.give_up(at, &mut rig.rng, Failure::NoAnswer),
                    Step::Wait { .. } => break,
                    Step::Report(_) => {}
                }
            }
        }
        // Its power is cut every evening.
        rig.resume(&saved.unwrap(), running(0)).unwrap();
    }
    assert!((90..=30 * 24 / 7 + 1).contains(&days), "30 days of 7 to 8 hours, not {days}");
}

#[test]
fn a_clock_that_was_never_set_at_the_first_start_takes_no_grace_away() {
    let vendor = Vendor::new();
    let product = vendor.product(THRESHOLD);
    let in_2000 = clocks(0, 946_684_800 - EPOCH.cast_signed());
    let mut rig = Rig::with_hosts(&vendor, &product, ONE_HOST, in_2000);
    rig.drive(in_2000);
    // A minute later the network sets it, a quarter of a century on.
    assert_eq!(rig.status(now(MINUTE)), LicenceStatus::InitialGrace);
    assert_eq!(rig.status(now(30 * DAY - 1)), LicenceStatus::InitialGrace);
    assert_eq!(rig.status(now(30 * DAY)), LicenceStatus::Notification);
}

#[test]
fn hosts_may_be_240_minutes_behind_the_latest_time_ever_accepted() {
    let vendor = Vendor::new();
    let product = vendor.product(THRESHOLD);
    let mut rig = Rig::with_hosts(&vendor, &product, ONE_HOST, running(0));
    assert_eq!(rig.client.floor(), None);
    rig.exchange(running(0), DAY, 1).unwrap();
    let floor = Some(UnixTime::from_secs(EPOCH + DAY));
    assert_eq!(rig.client.floor(), floor);
    let edge = DAY - 240 * MINUTE;
    let below = Discard::BelowFloor { behind: 240 * MINUTE + 1 };
    assert_eq!(rig.exchange(running(DAY), edge - 1, THRESHOLD), Err(below));
    let frame = *rig.client.pending_frame().unwrap();
    assert!(rig.answer(running(DAY), &granted(&vendor, &frame, edge, THRESHOLD)).is_ok());
    assert_eq!(rig.client.floor(), floor, "it never falls");
    // It survives restarts and rearming.
    rig.client.rearm(running(DAY), &mut rig.rng).unwrap();
    rig.restart(running(DAY), running(0));
    assert_eq!(rig.client.floor(), floor);
    assert_eq!(rig.exchange(running(0), edge - 1, THRESHOLD), Err(below));
}

#[test]
fn a_clients_clock_may_be_240_minutes_from_the_hosts() {
    let vendor = Vendor::new();
    let product = vendor.product(THRESHOLD);
    let edge = 240 * MINUTE;
    for (host, expected) in [
        (DAY + edge, Ok(())),
        (DAY + edge + 1, Err(Discard::ClockSkew(Skew::Behind(edge + 1)))),
        (DAY - edge, Ok(())),
        (DAY - edge - 1, Err(Discard::ClockSkew(Skew::Ahead(edge + 1)))),
    ] {
        let mut rig = Rig::with_hosts(&vendor, &product, ONE_HOST, now(DAY));
        assert_eq!(rig.exchange(now(DAY), host, 1).map(|_| ()), expected, "{host}");
    }
}

#[test]
fn a_missing_renewal_is_warned_about_daily_for_thirty_days() {
    rig!(vendor, rig);
    rig.activate(now(0), 0);
    let mut warnings = Vec::new();
    let mut at = 8 * DAY;
    while at < 181 * DAY {
        if rig.drive(now(at)).is_some() {
            rig.client.give_up(now(at), &mut rig.rng, Failure::NoAnswer);
        }
        rig.drive(now(at));
        let said = rig.events.drain(..).filter(|event| matches!(event, Event::ExpiresSoon { .. }));
        warnings.extend(said.map(|event| (at / DAY, event)));
        at += HOUR / 2;
    }
    let days: Vec<_> = warnings.iter().map(|(day, _)| *day).collect();
    assert_eq!(days, (150..180).collect::<Vec<_>>());
    let left = Duration::from_secs(30 * DAY);
    assert_eq!(warnings[0].1, Event::ExpiresSoon { left });
}

#[test]
fn a_bad_answer_leaves_the_request_pending_for_a_good_one() {
    rig!(vendor, rig);
    let frame = rig.drive(now(0)).unwrap();
    let good = granted(&vendor, &frame, 0, THRESHOLD);
    let other_root = SigningKey::from_seed(&[9; 32]);
    let certify = |change: &dyn Fn(&mut headcount::wire::Claims)| ResponseBody {
        certificate: vendor.certify(change),
        ..good
    };
    let mut forged = vendor.certificate;
    forged.signature.0[0] ^= 1;
    let elsewhere = common::sign(&vendor.certificate.claims, &other_root);
    let perpetual = Verdict::Granted { count: THRESHOLD, validity: Validity::Perpetual };
    let early = UnixTime::from_secs(EPOCH - 1).minute();
    let bad = [
        (
            ResponseBody { request_digest: request_digest(&[0; 250]), ..good },
            Untrusted::OtherRequest,
        ),
        (certify(&|claims| claims.root_id = 2), Untrusted::UnknownRoot(2)),
        (ResponseBody { certificate: forged, ..good }, Untrusted::CertificateSignature),
        (ResponseBody { certificate: elsewhere, ..good }, Untrusted::CertificateSignature),
        (certify(&|claims| claims.role = Role::Authority), Untrusted::WrongRole(Role::Authority)),
        (
            certify(&|claims| claims.coverage.rank = 0),
            Untrusted::NotCovered {
                certificate: headcount::wire::Coverage { rank: 0, ..common::COVERAGE },
                product: common::COVERAGE,
            },
        ),
        (ResponseBody { verdict: perpetual, ..good }, Untrusted::Perpetual),
        (
            certify(&|claims| claims.not_after = early),
            Untrusted::OutsideDates { host_time: good.host_time },
        ),
        (
            certify(&|claims| claims.public_key = other_root.public_key()),
            Untrusted::ResponseSignature,
        ),
    ];
    let before = rig.client.image(now(0));
    for (body, untrusted) in &bad {
        let discard = Discard::Untrusted(*untrusted);
        assert_eq!(rig.answer(now(0), body), Err(discard));
        assert_eq!(rig.client.pending_frame(), Some(&frame));
    }
    let whole = signed(&vendor, &good);
    for cut in [0, 1, 249] {
        let result = rig.client.handle_response(now(0), &mut rig.rng, &whole[..cut]);
        assert!(matches!(result, Err(Discard::Untrusted(Untrusted::Malformed(_)))), "{result:?}");
    }
    assert_eq!(rig.client.image(now(0)), before, "nothing has changed");
    assert_eq!(rig.answer(now(0), &good), Ok(Outcome::Activated { count: THRESHOLD }));
    assert_eq!(rig.answer(now(0), &good), Err(Discard::NotAsked), "once");
}

#[test]
fn a_driver_that_never_answers_does_not_stop_the_client() {
    let vendor = Vendor::new();
    let product = vendor.product(THRESHOLD);
    let mut rig = Rig::with_hosts(&vendor, &product, TWO_HOSTS, now(0));
    let first = rig.drive(now(0)).unwrap();
    assert_eq!(rig.wakes_at(now(0)), now(120).monotonic);
    assert_eq!(rig.drive(now(119)), None);
    let second = rig.drive(now(120)).expect("the next host");
    assert_ne!(first, second);
    assert_eq!(rig.client.last_attempt(), Some(Err(Failure::NoAnswer)));
    // An answer to the first comes too late.
    let late = granted(&vendor, &first, 120, THRESHOLD);
    assert_eq!(rig.answer(now(120), &late), Err(Discard::Untrusted(Untrusted::OtherRequest)));
    assert_eq!(rig.drive(now(240)), None);
    assert!(rig.client.pending_frame().is_none());
    // Giving up when nothing is pending is harmless.
    rig.client.give_up(now(240), &mut rig.rng, Failure::NoAnswer);
    assert!(rig.wakes_at(now(240)) > now(240 + 6_479).monotonic);
}

#[test]
fn an_image_that_no_client_made_is_corrupt() {
    rig!(vendor, rig);
    rig.activate(now(0), 0);
    let image = rig.client.image(now(0));
    for length in (0..IMAGE_LEN).chain([IMAGE_LEN + 1]) {
        let mut bytes = image.to_vec();
        bytes.resize(length, 0);
        assert!(rig.resume(&bytes, now(0)).is_err(), "{length} bytes");
    }
    for offset in [image::IS_COUNTED, image::IS_OUT_OF_TOLERANCE, image::HAS_ACTIVATION] {
        for value in 2..=255 {
            let mut edited = image;
            edited[offset] = value;
            assert_eq!(rig.resume(&edited, now(0)).unwrap_err().offset, offset);
        }
    }
    let mut nobody = image;
    nobody[image::CMID..][..16].fill(0);
    assert_eq!(rig.resume(&nobody, now(0)).unwrap_err().offset, image::CMID);
    assert!(rig.resume(&image, now(0)).is_ok());
}

#[test]
fn no_byte_of_the_image_outside_the_activation_can_prolong_it() {
    rig!(vendor, rig);
    rig.activate(now(0), 0);
    let image = rig.client.image(now(0));
    for offset in 0..image::REQUEST {
        for flip in [0x01, 0x80, 0xff] {
            let mut edited = image;
            edited[offset] ^= flip;
            if rig.resume(&edited, now(DAY)).is_err() {
                continue;
            }
            // With a calendar the age is what the signed time says.
            assert_ne!(rig.status(now(180 * DAY)), LicenceStatus::Licensed, "byte {offset}");
        }
    }
    assert_eq!(rig.resume(&image, now(DAY)), Ok(()));
    assert_eq!(image[image::GRACE..][..8], EPOCH.to_be_bytes(), "the offsets are right");
}

#[test]
fn what_is_stored_for_another_machine_edition_or_vendor_is_rejected() {
    rig!(vendor, rig);
    let product = rig.product;
    rig.activate(now(0), 0);
    let image = rig.client.image(now(0));
    let rejection = |product: &client::Product<'_>, image: &[u8]| {
        let mut rng = StdRng::seed_from_u64(2);
        let mut client =
            Client::resume(product, machine(0), ONE_HOST, image, now(1), &mut rng).unwrap();
        assert_eq!(client.licence(now(1)).status, LicenceStatus::InitialGrace);
        assert_eq!(client.activation(), None);
        match client.poll(now(1), &mut rng) {
            Step::Report(Event::StoredActivationRejected(rejection)) => rejection,
            step => panic!("{step:?}"),
        }
    };
    let mut copied = image;
    copied[image::CMID] ^= 1;
    assert_eq!(rejection(product, &copied), Rejection::OtherMachine);

    let edition = client::Product { activation_id: ActivationId([9; 16]), ..product.clone() };
    assert_eq!(rejection(&edition, &image), Rejection::OtherProduct);

    let other = SigningKey::from_seed(&[9; 32]).public_key();
    let roots = [Root::new(1, &other).unwrap()];
    let elsewhere = client::Product { roots: &roots, ..product.clone() };
    let untrusted = Rejection::Untrusted(Untrusted::CertificateSignature);
    assert_eq!(rejection(&elsewhere, &image), untrusted);
    let unknown = client::Product { roots: &[], ..product.clone() };
    assert_eq!(rejection(&unknown, &image), Rejection::Untrusted(Untrusted::UnknownRoot(1)));

    let dearer = vendor.product(THRESHOLD + 1);
    assert_eq!(rejection(&dearer, &image), Rejection::NotActivating);
}

#[test]
fn a_certificate_that_was_verified_is_not_verified_again_but_another_one_is() {
    rig!(vendor, rig);
    rig.activate(now(0), 0);
    let frame = rig.drive(now(8 * DAY)).unwrap();
    let good = granted(&vendor, &frame, 8 * DAY, THRESHOLD);
    // One that differs in its signature only, as a forger's would.
    let mut forged = good;
    forged.certificate.signature.0[5] ^= 1;
    let untrusted = Discard::Untrusted(Untrusted::CertificateSignature);
    assert_eq!(rig.answer(now(8 * DAY), &forged), Err(untrusted));
    // Another genuine one is believed: hosts renew theirs.
    let renewed = ResponseBody { certificate: vendor.certify(|claims| claims.serial = 2), ..good };
    assert!(rig.answer(now(8 * DAY), &renewed).is_ok());

    // Whoever knows the certificate needs no root key for it.
    let expected = Expected {
        request: &frame,
        method: Method::Count,
        product: common::COVERAGE,
        roots: &vendor.roots,
        known_certificate: None,
    };
    let answer = signed(&vendor, &good);
    let known = verify_response(&answer, &expected).unwrap().certificate();
    let rootless = Expected { roots: &[], ..expected };
    assert_eq!(verify_response(&answer, &rootless), Err(Untrusted::UnknownRoot(1)));
    let knowing = Expected { known_certificate: Some(&known), ..rootless };
    assert!(verify_response(&answer, &knowing).is_ok());
    let answer = signed(&vendor, &renewed);
    assert_eq!(verify_response(&answer, &knowing), Err(Untrusted::UnknownRoot(1)));
}

#[test]
fn the_products_own_maximum_caps_the_validity() {
    let vendor = Vendor::new();
    let limits =
        Limits { maximum_validity: Validity::For(Minutes::from_days(10)), ..Limits::DEFAULT };
    let product = client::Product { limits, ..vendor.product(THRESHOLD) };
    let mut rig = Rig::new(&vendor, &product);
    rig.activate(now(0), 0);
    assert_eq!(rig.status(now(10 * DAY - 1)), LicenceStatus::Licensed);
    assert_eq!(rig.status(now(10 * DAY)), LicenceStatus::Notification);
    assert!(rig.drive(now(5 * DAY)).is_some(), "renews after half of it");
}

#[test]
fn a_validity_of_nothing_does_not_make_a_client_ask_without_a_pause() {
    rig!(vendor, rig);
    for round in 0..20 {
        let at = round * 8_000;
        let frame = rig.drive(now(at)).expect("a request a round");
        let verdict = Verdict::Granted { count: THRESHOLD, validity: Validity::For(Minutes(0)) };
        let body = ResponseBody { verdict, ..granted(&vendor, &frame, at, THRESHOLD) };
        rig.answer(now(at), &body).unwrap();
        assert_eq!(rig.drive(now(at)), None);
        assert_eq!(rig.drive(now(at + 809)), None);
        assert_ne!(rig.status(now(at)), LicenceStatus::Licensed);
    }
}

#[test]
fn a_site_that_starts_together_does_not_ask_together() {
    rig!(vendor, rig);
    rig.activate(now(0), 0);
    let image = rig.client.image(now(0));
    let mut starts = Vec::new();
    for seed in 0..100 {
        rig.rng = StdRng::seed_from_u64(seed);
        rig.resume(&image, now(20 * DAY)).unwrap();
        starts.push(rig.wakes_at(now(20 * DAY)).since(now(20 * DAY).monotonic).as_secs());
    }
    assert!(starts.iter().all(|wait| *wait <= 720), "a renewal that is due comes soon");
    assert!(starts.iter().filter(|wait| **wait < 360).count() > 30);
    assert!(starts.iter().filter(|wait| **wait > 360).count() > 30);
    // One whose week is not over goes on with it.
    rig.resume(&image, now(3 * DAY)).unwrap();
    assert_eq!(rig.drive(now(6 * DAY)), None);
    assert!(rig.drive(now(7 * DAY + DAY)).is_some());
}

/// A state of the client, and how it is reached.
#[derive(Clone, Copy, Debug)]
enum State {
    New,
    Asking,
    Waiting,
    Licensed,
    Renewing,
    OutOfTolerance,
    Ended,
}

impl State {
    const ALL: [Self; 7] = [
        Self::New,
        Self::Asking,
        Self::Waiting,
        Self::Licensed,
        Self::Renewing,
        Self::OutOfTolerance,
        Self::Ended,
    ];

    /// A client in this state, and the time then.
    fn reach<'a>(self, vendor: &'a Vendor, product: &'a client::Product<'a>) -> (Rig<'a>, u64) {
        let mut rig = Rig::new(vendor, product);
        let mut at = 0;
        match self {
            Self::New => {}
            Self::Asking => {
                rig.drive(now(0)).unwrap();
            }
            Self::Waiting => {
                rig.exchange(now(0), 0, 1).unwrap();
            }
            Self::Licensed => rig.activate(now(0), 0),
            Self::Renewing => {
                rig.activate(now(0), 0);
                at = 8 * DAY;
                rig.drive(now(at)).unwrap();
            }
            Self::OutOfTolerance => {
                rig.activate(now(0), 0);
                rig.client.set_machine(machine(9), now(0));
                rig.fail(now(0));
            }
            Self::Ended => {
                rig.activate(now(0), 0);
                at = 181 * DAY;
                rig.fail(now(at));
            }
        }
        (rig, at)
    }
}

/// Something that happens to a client.
#[derive(Clone, Copy, Debug)]
enum Input {
    Poll,
    Enough,
    TooFew,
    Refused,
    Junk,
    GiveUp,
    AskNow,
    Rearm,
    Restart,
}

/// What a state becomes: the status, and whether a request is pending after a poll.
#[rustfmt::skip]
const TRANSITIONS: [(Input, [(LicenceStatus, bool); 7]); 9] = {
    use LicenceStatus::{
        InitialGrace as G, Licensed as L, Notification as N, OutOfToleranceGrace as O,
    };
    const NO: bool = false;
    const YES: bool = true;
    [
        //               New       Asking    Waiting   Licensed  Renewing  OutOfTol. Ended
        (Input::Poll,    [(G, YES), (G, YES), (G, NO),  (L, NO),  (L, YES), (O, NO),  (N, NO)]),
        // Without a pending request no answer counts.
        (Input::Enough,  [(G, YES), (L, NO),  (G, NO),  (L, NO),  (L, NO),  (O, NO),  (N, NO)]),
        (Input::TooFew,  [(G, YES), (G, NO),  (G, NO),  (L, NO),  (L, NO),  (O, NO),  (N, NO)]),
        (Input::Refused, [(G, YES), (G, NO),  (G, NO),  (L, NO),  (L, NO),  (O, NO),  (N, NO)]),
        (Input::Junk,    [(G, YES), (G, YES), (G, NO),  (L, NO),  (L, YES), (O, NO),  (N, NO)]),
        (Input::GiveUp,  [(G, YES), (G, NO),  (G, NO),  (L, NO),  (L, NO),  (O, NO),  (N, NO)]),
        (Input::AskNow,  [(G, YES), (G, YES), (G, YES), (L, YES), (L, YES), (O, YES), (N, YES)]),
        (Input::Rearm,   [(G, YES), (G, YES), (G, YES), (G, YES), (G, YES), (G, YES), (G, YES)]),
        // After a start, whoever is not activated asks; a renewal that is due comes soon. The
        // hardware is the right one again.
        (Input::Restart, [(G, YES), (G, YES), (G, YES), (L, NO),  (L, NO),  (L, NO),  (N, YES)]),
    ]
};

#[test]
fn every_input_in_every_state_leads_where_the_table_says() {
    let vendor = Vendor::new();
    let product = vendor.product(THRESHOLD);
    for (input, row) in TRANSITIONS {
        for (state, expected) in State::ALL.into_iter().zip(row) {
            let (mut rig, at) = state.reach(&vendor, &product);
            let time = now(at);
            let pending = rig.client.pending_frame().copied();
            let frame = pending.unwrap_or([0; 250]);
            let answer = match input {
                Input::Enough => Some(granted(&vendor, &frame, at, THRESHOLD)),
                Input::TooFew => Some(granted(&vendor, &frame, at, 1)),
                Input::Refused => Some(ResponseBody {
                    verdict: Verdict::Refused(Refusal::Busy),
                    ..granted(&vendor, &frame, at, 0)
                }),
                _ => None,
            };
            if let Some(body) = answer {
                let result = rig.answer(time, &body);
                assert_eq!(result.is_ok(), pending.is_some(), "{input:?} in {state:?}");
                assert!(result.is_ok() || result == Err(Discard::NotAsked));
            }
            match input {
                Input::Junk => {
                    rig.client.handle_response(time, &mut rig.rng, b"junk").unwrap_err();
                }
                Input::GiveUp => rig.client.give_up(time, &mut rig.rng, Failure::NoAnswer),
                Input::AskNow => rig.client.ask_now(time),
                Input::Rearm => rig.client.rearm(time, &mut rig.rng).unwrap(),
                Input::Restart => rig.restart(time, time),
                _ => {}
            }
            // Calling more often than needed is harmless.
            for _ in 0..2 {
                rig.drive(time);
                let got = (rig.status(time), rig.client.pending_frame().is_some());
                assert_eq!(got, expected, "{input:?} in {state:?}");
            }
        }
    }
}
