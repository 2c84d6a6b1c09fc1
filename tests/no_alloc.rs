//! Neither end allocates: a counting allocator watches a whole exchange, and all around it.

#[path = "discovery/captured.rs"]
mod captured;
mod common;

use std::net::IpAddr;

use allocation_counter::measure;
use captured::Captured;
use common::{ONE_HOST, Vendor, bench, machine, now};
use headcount::client::{Client, Event, IMAGE_LEN, Outcome, Step};
use headcount::discovery::message::Query;
use headcount::fingerprint::Matching;
use headcount::host::Source;
use headcount::phone::{self, Confirmation, InstallationId, Machine};
use headcount::storage::{Found, Kind, MemoryStore, Slots, image_len};
use headcount::table::{CmidTable, Sighting};
use headcount::time::{EpochMinute, Now};
use headcount::trust::{
    MasterKey, ProductKey, Root, Signer, SigningKey, TagKey, seal_enrolment_request,
    verify_enrolment_request,
};
use headcount::wire::{
    ActivationId, ApplicationId, Cmid, EnrolmentRequest, Frame, KeyId, KeyKind, Name, Nonce,
};
use rand::SeedableRng;
use rand::rngs::StdRng;

const SLOT: usize = image_len(IMAGE_LEN);

/// Runs it once and fails when it allocates.
fn without_allocation<T>(what: &str, run: impl FnOnce() -> T) -> T {
    let mut result = None;
    let counted = measure(|| result = Some(run()));
    assert_eq!(counted.count_total, 0, "{what} allocates");
    result.unwrap()
}

#[test]
fn the_counter_counts() {
    let counted = measure(|| drop(std::hint::black_box(Box::new(1))));
    assert_eq!(counted.count_total, 1);
}

/// Drives a client until it sends or waits.
fn send(
    client: &mut Client<'_>,
    slots: &mut Slots<MemoryStore<SLOT>>,
    buffer: &mut [u8],
    now: Now,
    rng: &mut StdRng,
) -> Option<Frame> {
    loop {
        match client.poll(now, rng) {
            Step::Save => slots.save(&client.image(now), buffer).unwrap(),
            Step::Report(event) => assert!(matches!(event, Event::StatusChanged { .. })),
            Step::Send { .. } => return client.pending_frame().copied(),
            Step::Wait { .. } => return None,
        }
    }
}

#[test]
fn a_whole_life_of_exchanges_allocates_nothing() {
    bench!(vendor, bench);
    let product = vendor.product(1);
    let mut rng = StdRng::seed_from_u64(1);
    let mut buffer = [0; SLOT];
    let mut snapshot = [0; 4_096];
    let source = Source::from(IpAddr::from([192, 0, 2, 1]));

    without_allocation("an exchange", || {
        let store = MemoryStore::<SLOT>::new();
        let (mut slots, found) = Slots::open(store, Kind::Client, &mut buffer).unwrap();
        assert_eq!(found, Found::Nothing);
        let mut client = Client::new(&product, machine(0), ONE_HOST, now(0), &mut rng);
        for week in 0..4 {
            let at = now(week * 8 * common::DAY);
            let frame = send(&mut client, &mut slots, &mut buffer, at, &mut rng).unwrap();
            client.handle_response(at, &mut rng, &[0; 250]).unwrap_err();
            bench.host.handle(at, source, &[0; 250], &vendor.host_key).unwrap_err();
            let answer = bench.host.handle(at, source, &frame, &vendor.host_key).unwrap();
            let outcome = client.handle_response(at, &mut rng, &answer);
            assert_eq!(outcome, Ok(Outcome::Activated { count: 1 }));
            assert_eq!(send(&mut client, &mut slots, &mut buffer, at, &mut rng), None);
        }
        // Both start again.
        let at = now(25 * common::DAY);
        let store = slots.into_store();
        let (_, found) = Slots::open(store, Kind::Client, &mut buffer).unwrap();
        let Found::Whole { payload, .. } = found else { panic!("nothing was stored") };
        let client = Client::resume(&product, machine(0), ONE_HOST, payload, at, &mut rng).unwrap();
        assert!(client.is_activated(at));
        let length = bench.host.snapshot(at, &mut snapshot).unwrap();
        assert_eq!(bench.host.restore(at, &snapshot[..length]).unwrap().pools, 1);
        assert_eq!(bench.host.pools(at).next().unwrap().count, Some(1));
    });
}

#[test]
fn tables_allocate_nothing() {
    let sightings: Vec<_> = (1..100_u128)
        .map(|n| Sighting {
            required_count: core::num::NonZeroU32::new(25).unwrap(),
            cmid: Cmid::new(n.to_be_bytes()).unwrap(),
            previous_cmid: Cmid::new((n / 3).to_be_bytes()),
            fingerprint: machine(0).fingerprint,
        })
        .collect();
    without_allocation("the table", || {
        let mut table = CmidTable::<50>::new([7; 16]);
        let mut copy = CmidTable::<50>::new([8; 16]);
        for (minute, sighting) in (0..).zip(&sightings) {
            let seen = table.observe(EpochMinute(minute * 700), sighting, &Matching::DEFAULT);
            assert!(seen.count > 0);
        }
        table.rekey([9; 16]);
        copy.restore(table.limit(), table.records()).unwrap();
        assert_eq!(copy.count(), table.count());
        assert!(table.expire(EpochMinute(1_000_000)) > 0);
    });
}

#[test]
fn keys_and_enrolment_allocate_nothing() {
    let mut rng = StdRng::seed_from_u64(2);
    without_allocation("keys and enrolment", || {
        let key = MasterKey::from_bytes([3; 32]).product_key(KeyKind::Host, KeyId(1));
        let again = ProductKey::from_text(key.to_text().as_str()).unwrap();
        let tag_key: TagKey = again.tag_key();
        let (host_key, _seed) = SigningKey::generate(&mut rng);
        let request = EnrolmentRequest {
            platform_rank: 1,
            key_id: KeyId(1),
            public_key: host_key.public_key(),
            host_time: None,
            nonce: Nonce([1; 16]),
            fingerprint: machine(0).fingerprint,
            host_name: Name::EMPTY,
        };
        let Ok(frame) = seal_enrolment_request(&request, &host_key, &tag_key);
        verify_enrolment_request(&frame, &tag_key).unwrap();
        Vendor::new()
    });
}

#[test]
fn phone_allocates_nothing() {
    let root = SigningKey::from_seed(&[5; 32]);
    let roots = [Root::new(1, &root.public_key()).unwrap()];
    let tag_key = TagKey::from_bytes([6; 32]);
    let machine = Machine {
        key_id: KeyId(1),
        application_id: ApplicationId([1; 16]),
        activation_id: ActivationId([2; 16]),
        cmid: Cmid::new([3; 16]).unwrap(),
        fingerprint: machine(0).fingerprint,
    };
    let text = InstallationId::for_machine(&machine, &tag_key).to_string();
    let answer = text.parse::<InstallationId>().unwrap().confirm(&root).unwrap().to_string();
    without_allocation("activation by phone", || {
        let id = InstallationId::for_machine(&machine, &tag_key);
        assert!(
            id.groups()
                .iter()
                .zip(text.split('-'))
                .enumerate()
                .all(|(index, (group, told))| { phone::check_group(index, told) == Ok(*group) })
        );
        let confirmation: Confirmation = answer.parse().unwrap();
        assert_eq!(confirmation.verify(&id, &roots), Ok(1));
        answer[1..].parse::<Confirmation>().unwrap_err();
    });
}

#[test]
fn asking_a_resolver_does_not_allocate() {
    let case = Captured::named("srv");
    let (record_type, name, mut random) = case.asked();
    let found = without_allocation("a question to a resolver", || {
        let query = Query::new(record_type, &name, &mut random);
        let answer = query.answer(case.answer).unwrap();
        let addresses = answer.services().map(|host| answer.addresses(&host.target).count());
        addresses.sum::<usize>()
    });
    assert_eq!(found, 5);
}
