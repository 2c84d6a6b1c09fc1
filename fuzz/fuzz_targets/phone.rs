//! Numbers that are told by phone (PROTOCOL 14). The input is a text that somebody typed, and the
//! material of ids that are written, read again and mistyped.
#![no_main]

use std::fmt::Display;
use std::str::FromStr;

use headcount::phone::{
    Confirmation, GROUP_DIGITS, Group, GroupFault, HostConfirmation, HostInstallationId,
    InstallationId, InvalidGroup, InvalidNumber, Machine, check_group, verify_record,
};
use headcount::trust::{Signer, host_id};
use headcount::wire::{ActivationId, ApplicationId, Cmid, FRAME_LEN, KeyId, PublicKey};
use headcount_fuzz::{host_key, ops, outsider_key, root_key, roots, tag_key};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(text) = std::str::from_utf8(bytes) {
        check_text(text);
    }
    check_values(bytes);
});

fn check_text(text: &str) {
    let machine = check_number::<InstallationId>(text);
    let confirmation = check_number::<Confirmation>(text);
    let host = check_number::<HostInstallationId>(text);
    let certificate = check_number::<HostConfirmation>(text);
    let read = [machine.is_some(), confirmation.is_some(), host.is_some(), certificate.is_some()];
    assert!(read.into_iter().filter(|read| *read).count() <= 1, "one text is two numbers");
    // Nobody has signed what somebody typed.
    let id = id(&[7; 64]);
    if let Some(confirmation) = confirmation {
        assert!(confirmation.verify(&id, roots()).is_err());
    }
    if let Some(certificate) = certificate {
        assert!(certificate.verify(&host_key().public_key(), roots()).is_err());
    }
    for index in [0, 9, 31] {
        match check_group(index, text) {
            Ok(group) => assert_eq!(group.to_string(), plain(text)),
            Err(InvalidGroup { group, .. }) => assert_eq!(group, index + 1),
        }
    }
}

/// What is read is written again with the same digits; what is not is refused with a reason.
fn check_number<T: FromStr<Err = InvalidNumber> + Display>(text: &str) -> Option<T> {
    match text.parse::<T>() {
        Ok(number) => {
            assert_eq!(plain(&number.to_string()), plain(text));
            Some(number)
        }
        Err(invalid) => {
            assert!(!invalid.to_string().is_empty());
            None
        }
    }
}

fn plain(text: &str) -> String {
    text.chars().filter(|character| *character != '-' && !character.is_whitespace()).collect()
}

fn id(material: &[u8; 64]) -> InstallationId {
    let (chunks, _) = material.as_chunks::<16>();
    let machine = Machine {
        key_id: KeyId(u32::from(material[63])),
        application_id: ApplicationId(chunks[0]),
        activation_id: ActivationId(chunks[1]),
        cmid: Cmid::from_random(chunks[2]),
        fingerprint: ops::fingerprint(material[62]),
    };
    InstallationId::for_machine(&machine, tag_key())
}

fn check_values(bytes: &[u8]) {
    let Some((material, slips)) = bytes.split_first_chunk::<64>() else { return };
    let id = id(material);
    assert!(id.is_tagged_with(tag_key()));
    let public_key = PublicKey(*material.first_chunk().expect("it is longer"));
    let host = HostInstallationId::for_host(KeyId(9), material[40], &public_key, tag_key());
    assert_eq!(host.public_key(), public_key, "{}", host_id(&public_key));
    check_slips(&id.groups(), slips, |text| text.parse::<InstallationId>().map(|read| read == id));
    check_slips(&host.groups(), slips, |text| {
        text.parse::<HostInstallationId>().map(|read| read == host)
    });
    let Ok(confirmation) = id.confirm(root_key());
    check_slips(&confirmation.groups(), slips, |text| {
        text.parse::<Confirmation>().map(|read| read == confirmation)
    });
    assert_eq!(confirmation.verify(&id, roots()), Ok(1));
    let Ok(forged) = id.confirm(outsider_key());
    assert!(forged.verify(&id, roots()).is_err());
    // For no request that it is not of.
    let request = [material[0]; FRAME_LEN];
    assert!(verify_record(&confirmation.record(&id, &request), &request, roots()).is_err());
}

/// A wrong digit, or two neighbours that changed places: found, and in its group.
fn check_slips(groups: &[Group], slips: &[u8], read: impl Fn(&str) -> Result<bool, InvalidNumber>) {
    let right: Vec<String> = groups.iter().map(Group::to_string).collect();
    assert_eq!(read(&right.join("-")), Ok(true));
    assert_eq!(read(&right.concat()), Ok(true));
    for slip in slips.chunks_exact(2).take(8) {
        let [at, digit] = [slip[0], slip[1]].map(usize::from);
        let group = at / GROUP_DIGITS % right.len();
        let place = at % GROUP_DIGITS;
        let mut typed = right.clone();
        let mut digits = typed[group].clone().into_bytes();
        if digit % 11 < 10 {
            digits[place] = b'0' + (digit % 11) as u8;
        } else {
            digits.swap(place, (place + 1).min(GROUP_DIGITS - 1));
        }
        typed[group] = String::from_utf8(digits).expect("digits");
        let result = read(&typed.join(" "));
        if typed == right {
            assert_eq!(result, Ok(true));
        } else {
            let invalid = InvalidGroup { group: group + 1, fault: GroupFault::CheckDigit };
            assert_eq!(result, Err(InvalidNumber::Group(invalid)));
        }
    }
}
