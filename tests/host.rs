//! The host alone: what it checks, in which order, and what it counts (PROTOCOL 9 and 10).

mod common;

use core::num::NonZeroU32;
use core::time::Duration;

use common::{
    Bench, COVERAGE, DAY, EPOCH, HOUR, IDS, KEY_ID, MINUTE, SERVED, Vendor, bench, clocks, machine,
    now, pool, running,
};
use headcount::fingerprint::Matching;
use headcount::host::{
    Host, HostCounters, Pool, PoolStatus, Product, RateLimit, Settings, Silence, Source,
};
use headcount::time::{EpochMinute, Instant, Minutes, Now, UnixTime};
use headcount::trust::{TagKey, TagSchedule};
use headcount::wire::{
    ActivationId, ApplicationId, Cmid, CountedId, Coverage, Fault, Frame, KeyId, LicenceStatus,
    Malformed, Method, Nonce, Refusal, Request, Response, Verdict,
};

/// A request by machine `n`, without a clock, in initial grace, of threshold 25.
fn request(n: u16) -> Request<'static> {
    let mut cmid = [0xcc; 16];
    cmid[14..].copy_from_slice(&n.to_be_bytes());
    let machine = machine(n);
    Request {
        virtual_machine: machine.virtual_machine,
        renewal: false,
        licence_status: LicenceStatus::InitialGrace,
        method: Method::Count,
        required_count: NonZeroU32::new(25).unwrap(),
        time_left: Minutes::from_days(30),
        application_id: IDS.0,
        activation_id: IDS.1,
        counted_id: IDS.2,
        cmid: Cmid::new(cmid).unwrap(),
        previous_cmid: None,
        client_time: None,
        nonce: Nonce([n as u8; 16]),
        fingerprint: machine.fingerprint,
        workstation_name: machine.workstation_name,
        key_id: KEY_ID,
    }
}

fn sealed(vendor: &Vendor, request: &Request<'_>) -> Frame {
    TagSchedule::new(&vendor.tag_key).seal(request)
}

impl Bench<'_> {
    /// What a request is answered.
    fn ask(&mut self, now: Now, request: &Request<'_>) -> Result<Verdict, Silence> {
        let frame = self.handle(now, &sealed(self.vendor, request))?;
        Ok(Response::parse(&frame).unwrap().body.verdict)
    }

    /// The count that a request is granted.
    fn count(&mut self, now: Now, request: &Request<'_>) -> u32 {
        match self.ask(now, request) {
            Ok(Verdict::Granted { count, .. }) => count,
            other => panic!("{other:?}"),
        }
    }

    fn pool(&mut self, now: Now) -> PoolStatus {
        self.host.pools(now).next().unwrap()
    }
}

#[test]
fn a_broken_clock_does_not_make_records_live_for_ever() {
    bench!(vendor, bench);
    let broken = |secs: u64, calendar| {
        Now::new(Instant::from_millis(secs * 1_000), Some(UnixTime::from_secs(calendar)))
    };
    // The first question starts the tables' time; by the first request the clock is set.
    assert_eq!(bench.pool(broken(0, u64::MAX)).count, None);
    assert_eq!(bench.count(broken(0, EPOCH), &request(1)), 1);
    assert_eq!(bench.pool(broken(30 * DAY - 1, EPOCH)).count, Some(1));
    assert_eq!(bench.pool(broken(30 * DAY, EPOCH)).count, Some(0));

    // Also when it breaks while the host is down.
    assert_eq!(bench.count(broken(31 * DAY, EPOCH), &request(1)), 1);
    let mut snapshot = [0; 4_096];
    let length = bench.host.snapshot(broken(31 * DAY, EPOCH), &mut snapshot).unwrap();
    let (keys, mut pools) = (vendor.setup_keys(), [pool()]);
    let mut bench = Bench::new(&vendor, &mut pools, &keys, Some(vendor.certificate));
    assert_eq!(bench.host.restore(broken(0, u64::MAX), &snapshot[..length]).unwrap().pools, 1);
    assert_eq!(bench.count(broken(1, EPOCH), &request(2)), 1, "the first has ended");
    assert_eq!(bench.pool(broken(30 * DAY + 60, EPOCH)).count, Some(0));
}

/// Everything that can be wrong with a request, in the order in which it is found out.
const WRONGS: [Wrong; 9] = [
    Wrong::Malformed,
    Wrong::RateLimited,
    Wrong::UnknownKey,
    Wrong::BadTag,
    Wrong::Method,
    Wrong::Product,
    Wrong::Coverage,
    Wrong::Dates,
    Wrong::Clock,
];

#[derive(Clone, Copy, Debug, PartialEq)]
enum Wrong {
    Malformed,
    RateLimited,
    UnknownKey,
    BadTag,
    Method,
    Product,
    Coverage,
    Dates,
    Clock,
}

impl Wrong {
    fn reason(self) -> Result<Verdict, Silence> {
        match self {
            Self::Malformed => {
                Err(Silence::Malformed(Malformed { offset: 204, fault: Fault::Reserved }))
            }
            Self::RateLimited => Err(Silence::RateLimited),
            Self::UnknownKey => Err(Silence::UnknownKey(KeyId(78))),
            Self::BadTag => Err(Silence::BadTag),
            Self::Method | Self::Coverage => Ok(Verdict::Refused(Refusal::NotCovered)),
            Self::Product => Ok(Verdict::Refused(Refusal::UnknownProduct)),
            Self::Dates => Ok(Verdict::Refused(Refusal::NotEnrolled)),
            Self::Clock => Ok(Verdict::Refused(Refusal::ClockSkew)),
        }
    }
}

/// An edition that the host serves, but its certificate does not cover.
const HIGH: ActivationId = ActivationId([4; 16]);
const WITH_HIGH: [Product; 2] = [
    SERVED[0],
    Product {
        application_id: IDS.0,
        activation_id: HIGH,
        coverage: Coverage { rank: COVERAGE.rank + 1, ..COVERAGE },
    },
];

/// What a host says of a request with these faults, and what it has counted then.
fn wrong(
    vendor: &Vendor,
    wrongs: &[Wrong],
) -> (Result<Verdict, Silence>, HostCounters, PoolStatus) {
    let is = |wrong| wrongs.contains(&wrong);
    let keys = vendor.setup_keys();
    let mut pools = [Pool::<50>::new(IDS.2, &WITH_HIGH, Matching::DEFAULT)];
    let yesterday = UnixTime::from_secs(EPOCH - DAY).minute();
    let certificate = vendor.certify(|claims| {
        if is(Wrong::Dates) {
            claims.not_after = yesterday;
        }
    });
    let mut settings = Settings::DEFAULT;
    settings.rate_limit = RateLimit { burst: 1, interval: Duration::from_secs(1) };
    let mut host = Host::<50, 16>::new(&mut pools, &keys, Some(certificate), settings, [9; 16]);
    if is(Wrong::RateLimited) {
        let junk = sealed(vendor, &Request { key_id: KeyId(1), ..request(9) });
        assert_eq!(host.decide(now(0), Source::UNKNOWN, &junk), Err(Silence::UnknownKey(KeyId(1))));
    }
    let mut request = request(1);
    if is(Wrong::UnknownKey) {
        request.key_id = KeyId(78);
    }
    if is(Wrong::Method) {
        request.method = Method::Key;
    }
    if is(Wrong::Product) {
        request.application_id = ApplicationId([0; 16]);
    }
    if is(Wrong::Coverage) {
        request.activation_id = HIGH;
    }
    if is(Wrong::Clock) {
        request.client_time = Some(UnixTime::from_secs(EPOCH - 240 * MINUTE - 1));
    }
    let mut frame = sealed(vendor, &request);
    if is(Wrong::BadTag) {
        frame = TagSchedule::new(&TagKey::from_bytes([0; 32])).seal(&request);
    }
    if is(Wrong::Malformed) {
        frame[204] = 1;
    }
    let decision = host.decide(now(0), Source::UNKNOWN, &frame).map(|body| body.verdict);
    let counters = *host.counters();
    let pool = host.pools(now(0)).next().unwrap();
    (decision, counters, pool)
}

#[test]
fn a_request_that_is_wrong_in_two_ways_gets_the_first_reason() {
    let vendor = Vendor::new();
    let (fine, counters, _) = wrong(&vendor, &[]);
    assert!(matches!(fine, Ok(Verdict::Granted { count: 1, .. })), "{fine:?}");
    assert_eq!((counters.granted, counters.frames()), (1, 1));
    for (position, first) in WRONGS.iter().enumerate() {
        for second in &WRONGS[position..] {
            let (decision, ..) = wrong(&vendor, &[*first, *second]);
            assert_eq!(decision, first.reason(), "{first:?} and {second:?}");
        }
    }
    let (decision, ..) = wrong(&vendor, &WRONGS);
    assert_eq!(decision, WRONGS[0].reason());
}

#[test]
fn a_refused_request_leaves_no_trace_in_the_table() {
    let vendor = Vendor::new();
    for wrongs in WRONGS {
        let (decision, counters, pool) = wrong(&vendor, &[wrongs]);
        assert_eq!((pool.count, pool.limit), (None, 0), "{wrongs:?}");
        assert_eq!(pool.counters.required_count, 0);
        let before = u32::from(wrongs == Wrong::RateLimited);
        assert_eq!(counters.frames(), 1 + before, "{wrongs:?}");
        assert_eq!(counters.granted, 0);
        match decision {
            Ok(Verdict::Refused(refusal)) => {
                assert_eq!(counters.refused[usize::from(refusal.code()) - 1], 1);
            }
            Err(silence) => assert!(counters.silent[silence.index()] >= 1),
            Ok(Verdict::Granted { .. }) => panic!("{wrongs:?}"),
        }
        // Of the refused, those count for the pool whose product it knows.
        let of_pool = matches!(wrongs, Wrong::Coverage | Wrong::Dates | Wrong::Clock);
        let expected = u32::from(of_pool);
        assert_eq!((pool.counters.requests, pool.counters.failed), (expected, expected));
    }
}

#[test]
fn frames_of_another_length_are_silence() {
    bench!(vendor, bench);
    let frame = sealed(&vendor, &request(1));
    let longer = [&frame[..], &[0]].concat();
    for bytes in [&frame[..0], &frame[..249], &longer] {
        let fault = Fault::Length(bytes.len());
        let offset = bytes.len().min(250) as u16;
        let silence = Silence::Malformed(Malformed { offset, fault });
        assert_eq!(bench.handle(now(0), bytes), Err(silence));
    }
    assert_eq!((bench.host.counters().frames(), bench.host.counters().silent[0]), (3, 3));
}

#[test]
fn a_clients_clock_may_be_240_minutes_off_to_the_second() {
    bench!(vendor, bench);
    let host = EPOCH + DAY;
    for (clock, granted) in [
        (host, true),
        (host - 240 * MINUTE, true),
        (host - 240 * MINUTE - 1, false),
        (host + 240 * MINUTE, true),
        (host + 240 * MINUTE + 1, false),
        (1, false),
        (u64::MAX, false),
    ] {
        let request = Request { client_time: Some(UnixTime::from_secs(clock)), ..request(1) };
        let verdict = bench.ask(now(DAY), &request).unwrap();
        assert_eq!(matches!(verdict, Verdict::Granted { .. }), granted, "{clock}");
        if !granted {
            assert_eq!(verdict, Verdict::Refused(Refusal::ClockSkew));
        }
    }
}

#[test]
fn a_certificate_is_valid_from_its_first_to_its_last_minute() {
    let vendor = Vendor::new();
    let keys = vendor.setup_keys();
    let mut pools = [pool()];
    let first = UnixTime::from_secs(EPOCH + HOUR).minute();
    let last = UnixTime::from_secs(EPOCH + 2 * HOUR).minute();
    let certificate = vendor.certify(|claims| {
        (claims.not_before, claims.not_after) = (first, last);
    });
    let mut bench = Bench::new(&vendor, &mut pools, &keys, Some(certificate));
    for (secs, granted) in [
        (HOUR - 1, false),
        (HOUR, true),
        (2 * HOUR, true),
        (2 * HOUR + 59, true),
        (2 * HOUR + 60, false),
    ] {
        // The test's epoch is a whole minute.
        let verdict = bench.ask(now(secs), &request(1)).unwrap();
        assert_eq!(matches!(verdict, Verdict::Granted { .. }), granted, "{secs}");
        if !granted {
            assert_eq!(verdict, Verdict::Refused(Refusal::NotEnrolled));
        }
    }
    assert_eq!(first.start(), UnixTime::from_secs(EPOCH + HOUR));
    assert_ne!(first, EpochMinute(0));
}

#[test]
fn a_product_must_be_covered_in_family_rank_and_generation() {
    let vendor = Vendor::new();
    let keys = vendor.setup_keys();
    let Coverage { family, rank, generation } = COVERAGE;
    for (coverage, covered) in [
        (COVERAGE, true),
        (Coverage { rank: rank + 1, generation: generation + 1, ..COVERAGE }, true),
        (Coverage { rank: rank - 1, ..COVERAGE }, false),
        (Coverage { generation: generation - 1, ..COVERAGE }, false),
        (Coverage { family: family + 1, ..COVERAGE }, false),
        (Coverage { family: family - 1, ..COVERAGE }, false),
    ] {
        let certificate = vendor.certify(|claims| claims.coverage = coverage);
        let mut pools = [pool()];
        let mut bench = Bench::new(&vendor, &mut pools, &keys, Some(certificate));
        let verdict = bench.ask(now(0), &request(1)).unwrap();
        assert_eq!(matches!(verdict, Verdict::Granted { .. }), covered, "{coverage:?}");
        if !covered {
            assert_eq!(verdict, Verdict::Refused(Refusal::NotCovered));
        }
    }
}

#[test]
fn each_of_the_three_ids_leads_to_the_pool() {
    bench!(vendor, bench);
    let other = [8; 16];
    for request in [
        Request { application_id: ApplicationId(other), ..request(1) },
        Request { activation_id: ActivationId(other), ..request(1) },
        Request { counted_id: CountedId(other), ..request(1) },
    ] {
        let verdict = bench.ask(now(0), &request);
        assert_eq!(verdict, Ok(Verdict::Refused(Refusal::UnknownProduct)));
    }
    assert_eq!(bench.pool(now(0)).counters.requests, 0);
}

#[test]
fn a_host_without_a_clock_is_silent() {
    bench!(vendor, bench);
    assert_eq!(bench.ask(running(0), &request(1)), Err(Silence::NoClock));
    assert_eq!(bench.pool(running(0)).count, None);
    assert_eq!(bench.count(now(1), &request(1)), 1, "until it is told the time");
}

#[test]
fn a_source_that_asks_too_often_meets_silence() {
    let vendor = Vendor::new();
    let (keys, mut pools) = (vendor.setup_keys(), [pool()]);
    let rate_limit = RateLimit { burst: 2, interval: Duration::from_secs(60) };
    let settings = Settings { rate_limit, ..Settings::DEFAULT };
    let certificate = Some(vendor.certificate);
    let mut host = Host::<50, 16>::new(&mut pools, &keys, certificate, settings, [9; 16]);
    let frame = sealed(&vendor, &request(1));
    let source = |n| Source::from(std::net::IpAddr::from([192, 0, 2, n]));
    let mut ask = |at, n| host.decide(now(at), source(n), &frame).map(|_| ());
    assert_eq!((ask(0, 1), ask(0, 1)), (Ok(()), Ok(())));
    assert_eq!(ask(0, 1), Err(Silence::RateLimited));
    assert_eq!(ask(0, 2), Ok(()), "another source");
    assert_eq!((ask(60, 1), ask(60, 1)), (Ok(()), Err(Silence::RateLimited)));
    let counters = host.counters();
    assert_eq!((counters.granted, counters.silent[1], counters.frames()), (4, 2, 6));
}

#[test]
fn requests_are_counted_by_the_status_they_name() {
    bench!(vendor, bench);
    for (n, licence_status) in (1..).zip(LicenceStatus::ALL) {
        for _ in 0..n {
            bench.count(now(0), &Request { licence_status, ..request(n) });
        }
    }
    // A refused one counts by its status too.
    let late = Some(UnixTime::from_secs(1));
    bench.ask(now(0), &Request { client_time: late, ..request(1) }).unwrap();
    let PoolStatus { count, counters, .. } = bench.pool(now(0));
    assert_eq!(count, Some(7));
    assert_eq!(counters.by_licence_status, [1, 2, 4, 4, 5, 6, 7]);
    assert_eq!((counters.requests, counters.failed, counters.required_count), (29, 1, 25));
}

#[test]
fn a_calendar_that_jumps_neither_ends_records_nor_keeps_them() {
    let year = 365 * DAY.cast_signed();
    for jump in [year, 20 * year, -year, -50 * year] {
        bench!(vendor, bench);
        assert_eq!(bench.count(now(0), &request(1)), 1);
        assert_eq!(bench.count(clocks(DAY, jump), &request(2)), 2, "{jump}");
        assert_eq!(bench.pool(clocks(30 * DAY - 1, jump)).count, Some(2));
        assert_eq!(bench.pool(clocks(30 * DAY, 0)).count, Some(1));
        assert_eq!(bench.pool(clocks(31 * DAY, jump)).count, Some(0));
    }
}

#[test]
fn the_time_a_host_was_down_counts_when_its_clock_is_set_later() {
    let vendor = Vendor::new();
    let keys = vendor.setup_keys();
    let snapshot = |host: &mut Host<'_, 50, 16>, now| {
        let mut snapshot = vec![0; Host::<50, 16>::snapshot_capacity(1)];
        let length = host.snapshot(now, &mut snapshot).unwrap();
        snapshot.truncate(length);
        snapshot
    };
    let mut pools = [pool()];
    let mut bench = Bench::new(&vendor, &mut pools, &keys, Some(vendor.certificate));
    bench.count(now(0), &request(1));
    bench.count(now(20 * DAY), &request(2));
    let mut saved = snapshot(&mut bench.host, now(20 * DAY));

    // Off for twelve days less an hour. It runs an hour before it is told the time, and is
    // restarted once within it.
    let in_1970 = Now::new(running(0).monotonic, Some(UnixTime::from_secs(5)));
    for unset in [running(0), in_1970] {
        let mut pools = [pool()];
        let mut bench = Bench::new(&vendor, &mut pools, &keys, Some(vendor.certificate));
        assert_eq!(bench.host.restore(unset, &saved).unwrap().pools, 1);
        assert_eq!(bench.pool(unset).count, Some(2));
        let later = Now::new(running(HOUR / 2).monotonic, unset.clock);
        saved = snapshot(&mut bench.host, later);
    }
    let mut pools = [pool()];
    let mut bench = Bench::new(&vendor, &mut pools, &keys, Some(vendor.certificate));
    assert_eq!(bench.host.restore(running(0), &saved).unwrap().pools, 1);
    let told = |at| Now::new(running(at).monotonic, now(31 * DAY + at).clock);
    assert_eq!(bench.pool(told(0)).count, Some(1), "the first has had its 30 days");
    assert_eq!(bench.pool(told(19 * DAY - 60)).count, Some(1));
    assert_eq!(bench.pool(told(19 * DAY)).count, Some(0), "the second, too, and no later");
}

/// The example at the end of PROTOCOL 10.
#[test]
fn two_products_in_one_pool_are_counted_together() {
    let low = ActivationId([5; 16]);
    let products =
        [SERVED[0], Product { application_id: IDS.0, activation_id: low, coverage: COVERAGE }];
    let vendor = Vendor::new();
    let keys = vendor.setup_keys();
    let mut pools = [Pool::new(IDS.2, &products, Matching::DEFAULT)];
    let mut bench = Bench::new(&vendor, &mut pools, &keys, Some(vendor.certificate));
    let of_low = |n| Request {
        activation_id: low,
        required_count: NonZeroU32::new(5).unwrap(),
        ..request(n)
    };
    let virtual_one = Request { virtual_machine: true, ..request(3) };
    let requests = [request(1), request(2), virtual_one, of_low(4), of_low(5)];
    for (count, request) in (1..).zip(&requests) {
        assert_eq!(bench.count(now(0), request), count);
        assert_eq!(bench.count(now(0), request), count, "asking again changes nothing");
    }
    assert_eq!(bench.pool(now(0)).limit, 50);
}

#[test]
fn a_machine_that_rearms_is_counted_once_and_a_clone_is_told() {
    bench!(vendor, bench);
    let flag = |bench: &mut Bench<'_>, request: &Request<'_>| {
        let answer = bench.handle(now(0), &sealed(&vendor, request)).unwrap();
        Response::parse(&answer).unwrap().body.duplicate
    };
    assert!(!flag(&mut bench, &request(1)));
    let clone = Request { fingerprint: machine(2).fingerprint, ..request(1) };
    assert!(flag(&mut bench, &clone));
    assert_eq!(bench.pool(now(0)).count, Some(1));
    let rearmed = Request { cmid: request(2).cmid, previous_cmid: Some(request(1).cmid), ..clone };
    assert!(!flag(&mut bench, &rearmed));
    assert_eq!(bench.pool(now(0)).count, Some(1), "its old record is gone");
    assert_eq!(bench.count(now(0), &request(1)), 2);
    // A previous CMID of other hardware is left alone.
    let stranger = Request { previous_cmid: Some(request(1).cmid), ..request(3) };
    assert_eq!(bench.count(now(0), &stranger), 3);
}
