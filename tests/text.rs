//! What people read and type: names, product keys, host ids, identifiers, and what `Debug` must not
//! show (PROTOCOL 1, 7 and 8).

use std::fmt::Debug;

use headcount::fingerprint::Fingerprint;
use headcount::trust::{MasterKey, ProductKey, SigningKey, TagKey, TagSchedule, host_id};
use headcount::wire::{
    ActivationId, ApplicationId, Cmid, CountedId, HostId, InvalidHostId, InvalidKeyText,
    InvalidName, KeyId, KeyKind, KeyText, NAME_LEN, Name, PublicKey, Request, Signature,
    UncheckedKey,
};
use proptest::array::uniform32;
use proptest::prelude::*;

use self::values::{plain_request, schedule, text};

#[path = "wire/values.rs"]
#[expect(dead_code, reason = "shared with the tests of the frames")]
mod values;

const KINDS: [KeyKind; 3] = [KeyKind::Host, KeyKind::MultipleActivation, KeyKind::ClientSetup];
const SYMBOLS: &[u8] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

proptest! {
    #[test]
    fn names_are_cut_between_characters(text in text()) {
        let name = Name::truncated(&text);
        prop_assert_eq!(Name::new(name.as_str()), Ok(name));
        let before_zero = text.split('\0').next().unwrap();
        prop_assert!(before_zero.starts_with(name.as_str()));
        let next = before_zero[name.as_str().len()..].chars().next();
        prop_assert!(next.is_none_or(|c| name.as_str().len() + c.len_utf8() > NAME_LEN));
    }

    #[test]
    fn product_keys_come_back(
        master in uniform32(any::<u8>()),
        kind in prop::sample::select(&KINDS[..]),
        key_id in any::<u32>(),
        wrong in (0..KeyText::LEN, prop::sample::select(SYMBOLS)),
    ) {
        let key = MasterKey::from_bytes(master).product_key(kind, KeyId(key_id));
        let text = key.to_text();
        prop_assert_eq!(ProductKey::from_text(text.as_str()), Ok(key.clone()));
        prop_assert_eq!(ProductKey::from_text(&text.as_str().to_lowercase()), Ok(key.clone()));
        prop_assert_eq!((key.kind(), key.key_id()), (kind, KeyId(key_id)));

        // One wrong symbol passes the 18 check bits once in 262,144 times.
        let (place, symbol) = wrong;
        let mut mistyped = text.as_str().as_bytes().to_vec();
        if mistyped[place] != b'-' && mistyped[place] != symbol {
            mistyped[place] = symbol;
            let mistyped = String::from_utf8(mistyped).unwrap();
            if let Ok(other) = ProductKey::from_text(&mistyped) {
                let written = other.to_text();
                prop_assert_eq!(written.as_str(), mistyped.as_str());
            }
        }
    }

    #[test]
    fn host_ids_come_back(key in uniform32(any::<u8>())) {
        let id = host_id(&PublicKey(key));
        let text = id.to_string();
        prop_assert_eq!(text.len(), 41);
        prop_assert_eq!(text.parse(), Ok(id));
        prop_assert_eq!(text.replace('-', "").parse(), Ok(id));
        prop_assert_eq!(text.replace('-', " ").parse(), Ok(id));
    }
}

#[test]
fn names_have_0_to_64_bytes() {
    let full = "x".repeat(NAME_LEN);
    assert_eq!(Name::new(&full).unwrap().as_str(), full);
    assert_eq!(Name::new("").unwrap(), Name::EMPTY);
    let long = "x".repeat(NAME_LEN + 1);
    assert_eq!(Name::new(&long), Err(InvalidName::TooLong(65)));
    assert_eq!(Name::truncated(&long).as_str(), full);
    assert_eq!(Name::new("a\0"), Err(InvalidName::ZeroByte(1)));
    assert_eq!(Name::truncated("a\0b").as_str(), "a");

    // 64 is not a multiple of 3: the 22nd character would end at byte 66.
    let kana = "ル".repeat(30);
    assert_eq!(Name::truncated(&kana).as_str().len(), 63);
    assert_eq!(Name::new(&"é".repeat(32)).unwrap().as_str().len(), NAME_LEN);
    assert_eq!(Name::truncated(&format!("x{}", "é".repeat(32))).as_str().len(), 63);

    let frame = schedule()
        .seal(&Request { workstation_name: Name::new(&full).unwrap(), ..plain_request() });
    assert_eq!(Request::parse(&frame).unwrap().workstation_name.as_str(), full);
}

#[test]
fn product_keys_are_read_as_people_type_them() {
    let key = MasterKey::from_bytes([9; 32]).product_key(KeyKind::ClientSetup, KeyId(0x0108_4210));
    let text = key.to_text().as_str().to_owned();
    assert!(text.contains('0') && text.contains('1'), "else this tests less: {text}");
    for typed in [
        text.to_lowercase(),
        text.replace('-', ""),
        text.replace('-', " "),
        format!("  {text} -"),
        text.replace('0', "O").replace('1', "I"),
        text.replace('0', "o").replace('1', "l"),
        text.replace('1', "L"),
        text.replace('1', "i"),
    ] {
        assert_eq!(ProductKey::from_text(&typed), Ok(key.clone()), "{typed}");
    }

    let refused = |text: &str| ProductKey::from_text(text).unwrap_err();
    assert_eq!(refused(""), InvalidKeyText::Length(0));
    assert_eq!(refused(&text[..28]), InvalidKeyText::Length(24));
    assert_eq!(refused(&format!("{text}0")), InvalidKeyText::Length(26));
    let with_u = format!("{}U{}", &text[..7], &text[8..]);
    assert_eq!(refused(&with_u), InvalidKeyText::Symbol(7), "symbols are counted, not hyphens");
    for foreign in ["u", "_", "é", "０", "\t", "\n", "\0", "ſ"] {
        let typed = format!("{}{foreign}{}", &text[..1], &text[2..]);
        assert_eq!(refused(&typed), InvalidKeyText::Symbol(2), "{typed:?}");
    }
    for (first, kind) in [("0", 0), ("G", 4), ("M", 5), ("R", 6), ("W", 7)] {
        assert_eq!(refused(&format!("{first}{}", &text[1..])), InvalidKeyText::Kind(kind));
    }
    let last = if text.ends_with('7') { "8" } else { "7" };
    assert_eq!(refused(&format!("{}{last}", &text[..28])), InvalidKeyText::Check);
    assert!(UncheckedKey::from_text(&format!("{}{last}", &text[..28])).is_ok());
}

#[test]
fn host_ids_are_35_digits_below_2_to_the_116() {
    let largest = HostId::from_digest(&[0xff; 32]);
    assert_eq!(largest.as_u128(), (1 << 116) - 1);
    assert_eq!(largest.to_string(), "83076-74973-65572-42056-48794-12675-21535".to_owned());
    let smallest = HostId::from_digest(&[0; 32]);
    assert_eq!(smallest.to_string(), "00000-00000-00000-00000-00000-00000-00000");

    let read = |text: &str| text.parse::<HostId>();
    assert_eq!(
        read("83076-74973-65572-42056-48794-12675-21536"),
        Err(InvalidHostId::Range),
        "2^116"
    );
    assert_eq!(read(&"9".repeat(35)), Err(InvalidHostId::Range));
    assert_eq!(read(&"9".repeat(34)), Err(InvalidHostId::Length(34)));
    assert_eq!(read(&"0".repeat(400)), Err(InvalidHostId::Length(400)));
    assert_eq!(read(""), Err(InvalidHostId::Length(0)));
    assert_eq!(read("12345-6789x"), Err(InvalidHostId::Character(10)));
    assert_eq!(read("１"), Err(InvalidHostId::Character(0)));
}

/// `Debug` of a value must show none of these bytes, neither in hex nor as a list of numbers.
#[track_caller]
fn hides(value: &impl Debug, secret: &[u8]) {
    for shown in [format!("{value:?}"), format!("{value:#?}"), format!("{value:02x?}")] {
        let shown = shown.to_lowercase();
        for pair in secret.windows(4) {
            let [a, b, c, d] = pair else { unreachable!() };
            let forms = [
                format!("{a:02x}{b:02x}{c:02x}{d:02x}"),
                format!("{a}, {b}, {c}, {d}"),
                format!("{a:02x}, {b:02x}, {c:02x}, {d:02x}"),
            ];
            assert!(forms.iter().all(|form| !shown.contains(form)), "{shown}");
        }
    }
}

#[test]
fn debug_shows_no_secret_and_no_machine() {
    let secret: [u8; 32] = std::array::from_fn(|i| 0xa0 + u8::try_from(i).unwrap());
    let machine: [u8; 16] = std::array::from_fn(|i| 0x60 + u8::try_from(i).unwrap());
    hides(&TagKey::from_bytes(secret), &secret);
    hides(&MasterKey::from_bytes(secret), &secret);
    hides(&SigningKey::from_seed(&secret), &secret);
    hides(&TagSchedule::new(&TagKey::from_bytes(secret)), &secret);

    let key = MasterKey::from_bytes(secret).product_key(KeyKind::Host, KeyId(5));
    let text = key.to_text();
    let unchecked = UncheckedKey::from_text(text.as_str()).unwrap();
    hides(&key, &unchecked.secret);
    hides(&unchecked, &unchecked.secret);
    hides(&text, text.as_str().as_bytes());
    assert!(!format!("{key:?} {unchecked:?} {text:?}").contains(&text.as_str()[12..17]));

    let cmid = Cmid::new(machine).unwrap();
    assert_eq!(format!("{cmid:?}"), "Cmid(..6e6f)");
    let fingerprint = Fingerprint::from_bytes(machine);
    assert_eq!(format!("{fingerprint:?}"), "Fingerprint(xxxxxxxx)");
    let request = Request { cmid, fingerprint, previous_cmid: Some(cmid), ..plain_request() };
    hides(&request, &machine);
    hides(&Signature([0xab; 64]), &[0xab; 64]);
}

#[test]
fn identifiers_are_written_as_uuids() {
    let text = "01234567-89ab-cdef-0123-456789abcdef";
    let cmid: Cmid = text.parse().unwrap();
    assert_eq!(cmid.to_string(), text);
    assert_eq!(text.replace('-', "").to_uppercase().parse(), Ok(cmid));
    assert!("00000000-0000-0000-0000-000000000000".parse::<Cmid>().is_err());
    assert!("0123".parse::<ApplicationId>().is_err());
    assert_eq!(text.parse::<CountedId>().unwrap().to_string(), text);
    assert_eq!(text.parse::<ActivationId>().unwrap().0, *cmid.as_bytes());
    // Whatever a generator yields, a random CMID is none of the forbidden ones.
    for random in [[0; 16], [0xff; 16]] {
        assert_ne!(Cmid::from_random(random).as_bytes(), &[0; 16]);
    }
}
