//! Texts that people type: product keys, host ids, identifiers, names (PROTOCOL 1 and 7).
#![no_main]

use arbitrary::Unstructured;
use headcount::trust::{MasterKey, ProductKey};
use headcount::wire::{
    Cmid, HostId, InvalidKeyText, KeyId, KeyKind, KeyText, NAME_LEN, Name, UncheckedKey,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    check_key_text(&text);
    check_host_id(&text);
    check_name(&text);
    check_id(&text);
    check_key(&mut Unstructured::new(bytes)).unwrap_or_default();
});

/// The text as the crate would write it, worked out a second time.
fn canonical(text: &str) -> String {
    let symbols = text.chars().filter(|c| !matches!(c, '-' | ' ')).map(|c| match c {
        'I' | 'L' | 'i' | 'l' => '1',
        'O' | 'o' => '0',
        other => other.to_ascii_uppercase(),
    });
    let symbols: Vec<char> = symbols.collect();
    let groups = symbols.chunks(5).map(|group| group.iter().collect::<String>());
    groups.collect::<Vec<_>>().join("-")
}

fn check_key_text(text: &str) {
    match UncheckedKey::from_text(text) {
        Ok(unchecked) => {
            assert_eq!(unchecked.to_text().as_str(), canonical(text));
            let again = UncheckedKey::from_text(unchecked.to_text().as_str());
            assert_eq!(again.as_ref(), Ok(&unchecked));
        }
        Err(InvalidKeyText::Check) => panic!("the check bits are not looked at here"),
        Err(refused) => {
            assert!(!refused.to_string().is_empty());
            assert_eq!(ProductKey::from_text(text), Err(refused));
        }
    }
    match ProductKey::from_text(text) {
        Ok(key) => {
            let written = key.to_text();
            assert_eq!(written.as_str(), canonical(text));
            let again = ProductKey::from_text(written.as_str()).expect("we wrote it");
            assert_eq!(again, key);
            assert_eq!(again.tag_key().expose(), key.tag_key().expose());
        }
        Err(refused) => assert!(!refused.to_string().is_empty()),
    }
}

fn check_key(u: &mut Unstructured<'_>) -> arbitrary::Result<()> {
    let kinds = [KeyKind::Host, KeyKind::MultipleActivation, KeyKind::ClientSetup];
    let (kind, key_id) = (*u.choose(&kinds)?, KeyId(u.arbitrary()?));
    let key = MasterKey::from_bytes(u.arbitrary()?).product_key(kind, key_id);
    assert_eq!((key.kind(), key.key_id()), (kind, key_id));
    let text = key.to_text();
    assert_eq!(text.as_str(), canonical(text.as_str()));
    assert_eq!(ProductKey::from_text(text.as_str()).as_ref(), Ok(&key));

    // Typed as people do it, it is the same key.
    let mut typed = String::new();
    for symbol in text.as_str().chars() {
        match (u.int_in_range(0..=3)?, symbol) {
            (0, '1') => typed.push('l'),
            (1, '1') => typed.push('I'),
            (0, '0') => typed.push('o'),
            (_, '-') if u.arbitrary()? => {}
            (2, symbol) => typed.extend([' ', symbol]),
            (3, symbol) => typed.push(symbol.to_ascii_lowercase()),
            (_, symbol) => typed.push(symbol),
        }
    }
    assert_eq!(ProductKey::from_text(&typed).as_ref(), Ok(&key), "{typed}");

    // Mistyped in one place it is another key, or, nearly always, none.
    let mut mistyped = text.as_str().as_bytes().to_vec();
    let symbols = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    let (place, symbol) = (u.choose_index(KeyText::LEN)?, *u.choose(symbols)?);
    if mistyped[place] != b'-' && mistyped[place] != symbol {
        mistyped[place] = symbol;
        assert_ne!(ProductKey::from_text(&String::from_utf8_lossy(&mistyped)), Ok(key));
    }
    Ok(())
}

fn check_host_id(text: &str) {
    match text.parse::<HostId>() {
        Ok(id) => {
            let digits = |text: &str| text.replace(['-', ' '], "");
            let written = id.to_string();
            assert_eq!(digits(&written), digits(text));
            assert_eq!(written.parse(), Ok(id));
            assert_eq!(digits(&written).parse(), Ok(id.as_u128()));
        }
        Err(refused) => assert!(!refused.to_string().is_empty()),
    }
}

fn check_name(text: &str) {
    let name = Name::truncated(text);
    assert_eq!(Name::new(name.as_str()), Ok(name));
    assert!(text.starts_with(name.as_str()));
    assert_eq!(Name::new(text).is_ok(), text.len() <= NAME_LEN && !text.contains('\0'));
    if let Ok(whole) = Name::new(text) {
        assert_eq!(whole, name);
    }
    let bytes = name.to_bytes();
    assert_eq!(String::from_utf8_lossy(&bytes).trim_end_matches('\0'), name.as_str());
}

fn check_id(text: &str) {
    if let Ok(cmid) = text.parse::<Cmid>() {
        assert_eq!(cmid.to_string().parse(), Ok(cmid));
        assert_eq!(Cmid::new(*cmid.as_bytes()), Some(cmid));
    }
}
