//! Stored images under cuts, rot and other versions, in memory and (feature `std`) in files.

#[path = "storage/device.rs"]
mod device;
#[cfg(feature = "std")]
#[path = "storage/files.rs"]
mod files;

use device::{Device, Failure, MEDIA};
use headcount::storage::{
    Damage, ENVELOPE_LEN, Found, Kind, MemoryStore, SaveError, Slot, SlotState, Slots, Store,
    VERSION, image_len,
};
use proptest::prelude::*;

const BUFFER: usize = image_len(64);

fn open(device: &mut Device) -> (Slots<&mut Device>, Option<Vec<u8>>) {
    let mut buffer = [0; BUFFER];
    let (slots, found) = Slots::open(device, Kind::Client, &mut buffer).unwrap();
    let payload = match found {
        Found::Whole { payload, .. } => Some(payload.to_vec()),
        Found::Nothing | Found::Damaged { .. } => None,
    };
    (slots, payload)
}

fn save(device: &mut Device, payload: &[u8]) -> Result<(), SaveError<Failure>> {
    open(device).0.save(payload, &mut [0; BUFFER])
}

fn loaded(device: &mut Device) -> Option<Vec<u8>> {
    open(device).1
}

/// A memory store with these bytes in its slots.
fn memory(a: &[u8], b: &[u8]) -> MemoryStore<BUFFER> {
    let mut store = MemoryStore::new();
    store.write(Slot::A, a).unwrap();
    store.write(Slot::B, b).unwrap();
    store
}

fn look(a: &[u8], b: &[u8]) -> Option<Vec<u8>> {
    let mut buffer = [0; BUFFER];
    match Slots::open(memory(a, b), Kind::Client, &mut buffer).unwrap().1 {
        Found::Whole { payload, .. } => Some(payload.to_vec()),
        Found::Nothing | Found::Damaged { .. } => None,
    }
}

/// What an image alone in slot A counts as.
fn state_of(image: &[u8]) -> SlotState {
    let mut buffer = [0; BUFFER];
    match Slots::open(memory(image, &[]), Kind::Client, &mut buffer).unwrap().1 {
        Found::Whole { sequence, .. } => SlotState::Whole(sequence),
        Found::Nothing => SlotState::Empty,
        Found::Damaged { a, b } => {
            assert_eq!(b, SlotState::Empty);
            a
        }
    }
}

/// The image with its checksum made to fit again.
fn resealed(mut image: Vec<u8>) -> Vec<u8> {
    let covered = image.len() - 4;
    let checksum = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC).checksum(&image[..covered]);
    image[covered..].copy_from_slice(&checksum.to_be_bytes());
    image
}

fn image(kind: Kind, payload: &[u8]) -> Vec<u8> {
    let mut buffer = [0; BUFFER];
    let (mut slots, _) = Slots::open(MemoryStore::<BUFFER>::new(), kind, &mut buffer).unwrap();
    slots.save(payload, &mut buffer).unwrap();
    slots.store().image(Slot::A).to_vec()
}

#[test]
fn images_are_these_bytes() {
    // Made with Python's struct and zlib.crc32.
    let host = b"HCST\x01\x02\0\0\0\0\0\0\0\0\0\x01\0\0\0\x05state";
    assert_eq!(image(Kind::Host, b"state")[..25], host[..]);
    assert_eq!(image(Kind::Host, b"state")[25..], [0xc2, 0xc4, 0x23, 0xe2]);
    let empty = b"HCST\x01\x01\0\0\0\0\0\0\0\0\0\x01\0\0\0\0";
    assert_eq!(image(Kind::Client, b"")[..20], empty[..]);
    assert_eq!(image(Kind::Client, b"")[20..], [0x24, 0xec, 0xce, 0x3d]);
    assert_eq!(ENVELOPE_LEN, 24);
}

#[test]
fn saves_go_to_the_two_slots_in_turn() {
    let mut device = Device::default();
    let mut buffer = [0; BUFFER];
    let (mut slots, _) = Slots::open(&mut device, Kind::Client, &mut buffer).unwrap();
    for payload in [b"1", b"2", b"3"] {
        slots.save(payload, &mut buffer).unwrap();
    }
    assert_eq!(device.writes, [Slot::A, Slot::B, Slot::A]);
    assert_eq!(loaded(&mut device).unwrap(), b"3");
    // And after every restart too.
    for payload in [b"4", b"5", b"6"] {
        save(&mut device, payload).unwrap();
        assert_eq!(loaded(&mut device).unwrap(), payload);
    }
    assert_eq!(device.writes[3..], [Slot::B, Slot::A, Slot::B]);
    let (_, found) = Slots::open(&mut device, Kind::Client, &mut buffer).unwrap();
    let other = SlotState::Whole(5);
    assert_eq!(found, Found::Whole { payload: b"6", slot: Slot::B, sequence: 6, other });
}

#[test]
fn cut_at_any_byte_the_older_image_is_loaded() {
    for medium in MEDIA {
        for earlier in 1..4_u8 {
            let mut before = Device::new(medium);
            for number in 1..=earlier {
                // Of changing length, so that a tail of the older one stays on EEPROM.
                save(&mut before, &vec![number; 40 - 9 * usize::from(number)]).unwrap();
            }
            let older = loaded(&mut before).unwrap();
            let newer = [0xa5; 17];
            let effort = before.effort(image_len(newer.len()));
            for power in 0..=effort {
                let mut device = before.clone();
                device.power = Some(power);
                let saved = save(&mut device, &newer);
                device.power = None;
                let expected = if power == effort { &newer[..] } else { &older };
                assert_eq!(saved.is_ok(), power == effort);
                assert_eq!(loaded(&mut device).unwrap(), expected, "{medium:?}, {power}");
                // And the next save works as ever.
                save(&mut device, b"next").unwrap();
                assert_eq!(loaded(&mut device).unwrap(), b"next");
            }
        }
    }
}

#[test]
fn first_save_cut_leaves_damage_and_the_next_one_repairs_it() {
    for medium in MEDIA {
        let effort = Device::new(medium).effort(image_len(3));
        for power in 0..effort {
            let mut device = Device::new(medium);
            device.power = Some(power);
            save(&mut device, b"one").unwrap_err();
            device.power = None;
            assert_eq!(loaded(&mut device), None);
            save(&mut device, b"two").unwrap();
            assert_eq!(loaded(&mut device).unwrap(), b"two", "{medium:?}, {power}");
        }
    }
}

#[test]
fn failed_save_leaves_the_newest_and_can_be_repeated() {
    let mut device = Device::default();
    let mut buffer = [0; BUFFER];
    save(&mut device, b"old").unwrap();
    device.power = Some(30);
    let (mut slots, _) = Slots::open(&mut device, Kind::Client, &mut buffer).unwrap();
    slots.save(b"first try", &mut buffer).unwrap_err();
    slots.save(b"second try", &mut buffer).unwrap_err();
    assert_eq!(device.writes, [Slot::A, Slot::B, Slot::B]);
    device.power = None;
    assert_eq!(loaded(&mut device).unwrap(), b"old");
}

#[test]
fn every_single_bit_flip_is_found() {
    let mut device = Device::default();
    save(&mut device, b"older").unwrap();
    save(&mut device, b"newer").unwrap();
    let [a, b] = device.slots;
    for bit in 0..b.len() * 8 {
        let mut flipped = b.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(look(&a, &flipped).unwrap(), b"older", "bit {bit}");
        assert!(matches!(state_of(&flipped), SlotState::Damaged(_)), "bit {bit}");
        let mut flipped = a.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(look(&flipped, &b).unwrap(), b"newer", "bit {bit}");
    }
}

#[test]
fn every_burst_of_two_bytes_is_found() {
    let whole = image(Kind::Client, b"state");
    for index in 0..whole.len() - 1 {
        for (x, y) in [(0xff, 0xff), (0x80, 0x01), (0x01, 0x80), (0x55, 0xaa)] {
            let mut torn = whole.clone();
            torn[index] ^= x;
            torn[index + 1] ^= y;
            assert!(matches!(state_of(&torn), SlotState::Damaged(_)), "byte {index}");
        }
    }
}

#[test]
fn damage_is_named() {
    let whole = image(Kind::Client, b"state");
    let changed = |index: usize, value: u8| {
        let mut image = whole.clone();
        image[index] = value;
        state_of(&resealed(image))
    };
    assert_eq!(state_of(&whole), SlotState::Whole(1));
    assert_eq!(state_of(&[0xff; BUFFER]), SlotState::Empty);
    assert_eq!(state_of(&[0; BUFFER]), SlotState::Damaged(Damage::Magic));
    assert_eq!(changed(0, b'h'), SlotState::Damaged(Damage::Magic));
    assert_eq!(changed(4, 0), SlotState::Damaged(Damage::Version(0)));
    assert_eq!(changed(4, 2), SlotState::Damaged(Damage::Version(2)));
    assert_eq!(changed(5, 2), SlotState::Damaged(Damage::Kind(2)));
    assert_eq!(changed(7, 1), SlotState::Damaged(Damage::Reserved));
    assert_eq!(changed(15, 9), SlotState::Whole(9));
    let length = BUFFER + 1;
    assert_eq!(
        changed(19, (length - ENVELOPE_LEN) as u8),
        SlotState::Damaged(Damage::TooLong { length, buffer: BUFFER })
    );
    for length in 1..whole.len() {
        let image = if length < 20 { ENVELOPE_LEN } else { whole.len() };
        let cut = Damage::Truncated { length, image };
        assert_eq!(state_of(&whole[..length]), SlotState::Damaged(cut));
    }
    // What follows an image is ignored.
    assert_eq!(state_of(&[&whole[..], &[7; 9]].concat()), SlotState::Whole(1));
}

#[test]
fn newer_versions_image_is_told_from_a_damaged_one() {
    let mut newer = image(Kind::Client, b"what a later version writes");
    newer[4] = VERSION + 1;
    newer[15] = 7;
    let newer = resealed(newer);
    let mut buffer = [0; BUFFER];
    let (mut slots, found) =
        Slots::open(memory(&newer, &newer), Kind::Client, &mut buffer).unwrap();
    let Found::Damaged { a: SlotState::Damaged(a), b: SlotState::Damaged(b) } = found else {
        panic!("{found:?}");
    };
    assert!(a.is_newer_version() && b.is_newer_version());
    assert_eq!(a.to_string(), "written by a newer version: format 2, known is 1");
    assert!(!Damage::Version(0).is_newer_version());

    // Started afresh on purpose, it counts on from there: later, this is the newest state.
    slots.save(b"fresh", &mut buffer).unwrap();
    let (_, found) = Slots::open(slots.into_store(), Kind::Client, &mut buffer).unwrap();
    let other = SlotState::Damaged(Damage::Version(2));
    assert_eq!(found, Found::Whole { payload: b"fresh", slot: Slot::A, sequence: 8, other });
}

#[test]
fn first_save_goes_where_least_is_lost() {
    let cut = &image(Kind::Client, b"state")[..23];
    let host = image(Kind::Host, b"state");
    for (a, b, first) in [
        (&[][..], &[][..], Slot::A),
        (cut, &[], Slot::B),
        (&[], cut, Slot::A),
        (cut, cut, Slot::A),
        (&host, cut, Slot::B),
        (cut, &host, Slot::A),
        (&host, &[0xff; 9], Slot::B),
    ] {
        let mut buffer = [0; BUFFER];
        let (mut slots, _) = Slots::open(memory(a, b), Kind::Client, &mut buffer).unwrap();
        slots.save(b"new", &mut buffer).unwrap();
        assert_eq!(
            state_of(slots.store().image(first)),
            SlotState::Whole(match (a, b) {
                _ if [a, b].contains(&&host[..]) => 2,
                _ => 1,
            })
        );
    }
}

#[test]
fn unreadable_slot_is_an_error_only_without_a_whole_image() {
    let mut device = Device::default();
    save(&mut device, b"one").unwrap();
    device.unreadable = [false, true];
    let mut buffer = [0; BUFFER];
    let (_, found) = Slots::open(&mut device, Kind::Client, &mut buffer).unwrap();
    let other = SlotState::Unreadable;
    assert_eq!(found, Found::Whole { payload: b"one", slot: Slot::A, sequence: 1, other });
    for unreadable in [[true, false], [true, true]] {
        device.unreadable = unreadable;
        let error = Slots::open(&mut device, Kind::Client, &mut buffer).unwrap_err();
        assert_eq!(error, Failure::Unreadable(Slot::A));
    }
}

#[test]
fn a_slot_that_fails_at_the_second_reading_gives_way_to_the_older_image() {
    let mut device = Device::default();
    for payload in [b"one", b"two", b"now"] {
        save(&mut device, payload).unwrap();
    }
    assert_eq!(device.writes.last(), Some(&Slot::A), "the newest is the one that is read twice");
    device.readings = [Some(1), None];
    assert_eq!(loaded(&mut device).as_deref(), Some(b"two".as_slice()));
}

#[test]
fn buffer_too_short_is_the_callers_fault_and_changes_nothing() {
    let mut device = Device::default();
    save(&mut device, b"old").unwrap();
    for available in 0..image_len(5) {
        let (mut slots, _) = open(&mut device);
        let error = slots.save(b"state", &mut vec![0; available]).unwrap_err();
        assert_eq!(error, SaveError::Buffer { needed: image_len(5), available });
        // Opening with it neither panics nor takes the image for none.
        let mut buffer = vec![0; available];
        let (_, found) = Slots::open(&mut device, Kind::Client, &mut buffer).unwrap();
        let whole = matches!(found, Found::Whole { payload: b"old", .. });
        assert_eq!(whole, available >= image_len(3));
        assert_ne!(found, Found::Nothing);
    }
    assert_eq!(device.writes, [Slot::A]);
    assert_eq!(loaded(&mut device).unwrap(), b"old");
}

#[test]
fn highest_sequence_number_is_the_last() {
    let mut last = image(Kind::Client, b"last");
    last[8..16].copy_from_slice(&u64::MAX.to_be_bytes());
    let mut buffer = [0; BUFFER];
    let store = memory(&resealed(last), &[]);
    let (mut slots, _) = Slots::open(store, Kind::Client, &mut buffer).unwrap();
    assert_eq!(slots.save(b"more", &mut buffer), Err(SaveError::Exhausted));
}

#[test]
fn debug_does_not_show_the_payload() {
    let mut buffer = [0; BUFFER];
    let store = memory(&image(Kind::Client, b"\xab\xab\xab"), &[]);
    let (slots, found) = Slots::open(store, Kind::Client, &mut buffer).unwrap();
    let shown = format!("{found:?} {slots:?}");
    assert!(!shown.contains("171") && !shown.contains("ab"), "{shown}");
}

#[derive(Clone, Debug)]
enum Step {
    Save(Vec<u8>),
    /// A save during which the power fails after this part of the work, in 1/256.
    Cut(Vec<u8>, u8),
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let payload = || proptest::collection::vec(any::<u8>(), 0..40);
    prop_oneof![
        payload().prop_map(Step::Save),
        (payload(), any::<u8>()).prop_map(|(payload, part)| Step::Cut(payload, part)),
        Just(Step::Restart),
    ]
}

proptest! {
    /// Loading yields what was saved last, or what was being saved; never anything else.
    #[test]
    fn loads_what_was_saved_last(
        medium in prop::sample::select(&MEDIA[..]),
        steps in proptest::collection::vec(step(), 1..40),
    ) {
        let mut device = Device::new(medium);
        let mut buffer = [0; BUFFER];
        let mut saved: Option<Vec<u8>> = None;
        for step in steps {
            // What a cut leaves may be whole, when the bytes that are missing were there before.
            let mut tried = None;
            match step {
                Step::Save(payload) => {
                    save(&mut device, &payload).unwrap();
                    saved = Some(payload);
                }
                Step::Cut(payload, part) => {
                    let effort = device.effort(image_len(payload.len()));
                    device.power = Some(effort * usize::from(part) / 256);
                    save(&mut device, &payload).unwrap_err();
                    device.power = None;
                    tried = Some(payload);
                }
                Step::Restart => {
                    let (_, found) = Slots::open(&mut device, Kind::Host, &mut buffer).unwrap();
                    prop_assert!(!matches!(found, Found::Whole { .. }), "of another kind");
                }
            }
            let found = loaded(&mut device);
            if found.is_some() && found == tried {
                saved = tried;
            }
            prop_assert_eq!(&found, &saved);
        }
    }

    /// Any bytes are looked at without a panic, and what is whole has the checksum it should.
    #[test]
    fn any_bytes_are_looked_at(
        a in proptest::collection::vec(any::<u8>(), 0..BUFFER),
        kind in 0..4_u8, version in 0..3_u8, length in 0..70_u8, seal in any::<bool>(),
    ) {
        let mut image = a;
        if image.len() >= ENVELOPE_LEN {
            image[..8].copy_from_slice(&[b'H', b'C', b'S', b'T', version, kind, 0, 0]);
            image[16..20].copy_from_slice(&[0, 0, 0, length]);
            image = if seal { resealed(image) } else { image };
        }
        let whole = seal && (version, kind) == (1, 1)
            && image.len() == image_len(usize::from(length));
        prop_assert_eq!(matches!(state_of(&image), SlotState::Whole(_)), whole);
    }
}
