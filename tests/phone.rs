//! Numbers that are told by phone: groups and what is wrong with them, the four numbers against
//! another implementation, the record that a client stores.

use std::fmt::Display;
use std::str::FromStr;

use headcount::fingerprint::Fingerprint;
use headcount::phone::{
    Confirmation, GROUP_DIGITS, Group, GroupFault, HostConfirmation, HostInstallationId,
    InstallationId, InvalidGroup, InvalidNumber, Machine, NumberKind, Unconfirmed, UntrustedRecord,
    check_group, is_record, verify_record, whole_days,
};
use headcount::time::EpochMinute;
use headcount::trust::{
    MasterKey, Root, Signer, SigningKey, TagKey, TagSchedule, Untrusted, host_id, sign_certificate,
};
use headcount::wire::{
    ActivationId, ApplicationId, Certificate, Claims, Cmid, Coverage, Frame, KeyId, KeyKind,
    LicenceStatus, Method, Name, Nonce, PublicKey, Request, Role,
};
use proptest::prelude::*;
use serde::Deserialize;

/// Made by another implementation, in Python on OpenSSL.
const VECTORS: &str = include_str!("phone/vectors.json");

#[derive(Deserialize)]
struct Vectors {
    root: String,
    root_seed: String,
    authority_master: String,
    machines: Vec<MachineVector>,
    hosts: Vec<HostVector>,
}

#[derive(Deserialize)]
struct MachineVector {
    key_id: u32,
    application_id: String,
    activation_id: String,
    cmid: String,
    fingerprint: String,
    tag_key: String,
    product_digest: String,
    machine_digest: String,
    tag: String,
    id_bytes: String,
    digest: String,
    installation: String,
    signature: String,
    confirmation: String,
}

#[derive(Deserialize)]
struct HostVector {
    key_id: u32,
    platform_rank: u8,
    public_key: String,
    tag_key: String,
    digest: String,
    installation: String,
    certificate: String,
    confirmation: String,
}

fn vectors() -> Vectors {
    serde_json::from_str(VECTORS).unwrap()
}

fn hex<const N: usize>(text: &str) -> [u8; N] {
    assert_eq!(text.len(), 2 * N);
    core::array::from_fn(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap())
}

impl Vectors {
    fn root(&self) -> SigningKey {
        SigningKey::from_seed(&hex(&self.root_seed))
    }

    fn roots(&self) -> [Root; 2] {
        let other = SigningKey::from_seed(&[9; 32]);
        let root = Root::new(1, &PublicKey(hex(&self.root))).unwrap();
        [Root::new(2, &other.public_key()).unwrap(), root]
    }
}

impl MachineVector {
    fn machine(&self) -> Machine {
        Machine {
            key_id: KeyId(self.key_id),
            application_id: ApplicationId(hex(&self.application_id)),
            activation_id: ActivationId(hex(&self.activation_id)),
            cmid: Cmid::new(hex(&self.cmid)).unwrap(),
            fingerprint: Fingerprint::from_bytes(hex(&self.fingerprint)),
        }
    }

    fn tag_key(&self) -> TagKey {
        TagKey::from_bytes(hex(&self.tag_key))
    }

    fn id(&self) -> InstallationId {
        InstallationId::for_machine(&self.machine(), &self.tag_key())
    }

    fn confirmation(&self) -> Confirmation {
        self.confirmation.parse().unwrap()
    }

    /// A request of the machine's, by key.
    fn request(&self) -> Request<'static> {
        let Machine { key_id, application_id, activation_id, cmid, fingerprint } = self.machine();
        Request {
            virtual_machine: false,
            renewal: false,
            licence_status: LicenceStatus::Notification,
            method: Method::Key,
            required_count: 25.try_into().unwrap(),
            time_left: headcount::time::Minutes(0),
            application_id,
            activation_id,
            counted_id: headcount::wire::CountedId([1; 16]),
            cmid,
            previous_cmid: None,
            client_time: None,
            nonce: Nonce([7; 16]),
            fingerprint,
            workstation_name: Name::default(),
            key_id,
        }
    }

    fn seal(&self, request: &Request<'_>) -> Frame {
        TagSchedule::new(&self.tag_key()).seal(request)
    }
}

/// Reads a number and writes it again.
type Read = fn(&str) -> Result<String, InvalidNumber>;

/// All numbers of the vectors, as text and with how each is read.
fn texts() -> Vec<(NumberKind, String, Read)> {
    fn read<T: FromStr<Err = InvalidNumber> + Display>(
        text: &str,
    ) -> Result<String, InvalidNumber> {
        text.parse().map(|number: T| number.to_string())
    }
    let Vectors { machines, hosts, .. } = vectors();
    let machines = machines.into_iter().flat_map(|machine| {
        [
            (NumberKind::Installation, machine.installation, read::<InstallationId> as Read),
            (NumberKind::Confirmation, machine.confirmation, read::<Confirmation>),
        ]
    });
    let hosts = hosts.into_iter().flat_map(|host| {
        [
            (NumberKind::HostInstallation, host.installation, read::<HostInstallationId> as Read),
            (NumberKind::HostConfirmation, host.confirmation, read::<HostConfirmation>),
        ]
    });
    machines.chain(hosts).collect()
}

#[test]
fn machines_agree_with_another_implementation() {
    let vectors = vectors();
    let master = MasterKey::from_bytes(hex(&vectors.authority_master));
    for vector in &vectors.machines {
        let (machine, tag_key) = (vector.machine(), vector.tag_key());
        let mak = master.product_key(KeyKind::MultipleActivation, machine.key_id);
        assert_eq!(mak.tag_key().expose(), tag_key.expose());
        let id = InstallationId::for_machine(&machine, &tag_key);
        assert_eq!(id.to_string(), vector.installation);
        assert_eq!(vector.installation.parse(), Ok(id));
        assert_eq!(id.key_id(), machine.key_id);
        assert_eq!(id.machine(), machine.digest());
        assert_eq!(id.machine().0, hex(&vector.machine_digest));
        assert_eq!(id.digest().0, hex(&vector.digest));
        assert!(id.is_of(machine.application_id, machine.activation_id));
        assert!(!id.is_of(machine.application_id, ActivationId([0; 16])));
        assert!(id.is_tagged_with(&tag_key));
        assert!(!id.is_tagged_with(&TagKey::from_bytes([0; 32])));

        let confirmation = id.confirm(&vectors.root()).unwrap();
        assert_eq!(confirmation.to_string(), vector.confirmation);
        assert_eq!(vector.confirmation(), confirmation);
        assert_eq!(confirmation.verify(&id, &vectors.roots()), Ok(1));
        let [other, _] = vectors.roots();
        assert_eq!(confirmation.verify(&id, &[other]), Err(Unconfirmed));
        let record = confirmation.record(&id, &vector.seal(&vector.request()));
        assert_eq!(record[64..97], hex::<33>(&vector.id_bytes));
        assert_eq!(record[186..], hex::<64>(&vector.signature));
    }
}

#[test]
fn hosts_agree_with_another_implementation() {
    let vectors = vectors();
    let master = MasterKey::from_bytes(hex(&vectors.authority_master));
    for vector in &vectors.hosts {
        let host = PublicKey(hex(&vector.public_key));
        let (key_id, rank) = (KeyId(vector.key_id), vector.platform_rank);
        let tag_key = TagKey::from_bytes(hex(&vector.tag_key));
        let derived = master.product_key(KeyKind::Host, key_id).tag_key();
        assert_eq!(derived.expose(), tag_key.expose());
        let id = HostInstallationId::for_host(key_id, rank, &host, &tag_key);
        assert_eq!(id.to_string(), vector.installation);
        assert_eq!(vector.installation.parse(), Ok(id));
        assert_eq!((id.key_id(), id.platform_rank(), id.public_key()), (key_id, rank, host));
        assert_eq!(id.digest().0, hex(&vector.digest));
        assert!(id.is_tagged_with(&tag_key));
        assert!(!id.is_tagged_with(&TagKey::from_bytes([0; 32])));

        let certificate = Certificate::parse(&hex(&vector.certificate)).unwrap();
        let confirmation = HostConfirmation::from_certificate(&certificate).unwrap();
        assert_eq!(confirmation.to_string(), vector.confirmation);
        assert_eq!(vector.confirmation.parse(), Ok(confirmation));
        let verified = confirmation.verify(&host, &vectors.roots());
        // One of them names a root key that nobody has.
        if certificate.claims.root_id == 1 {
            assert_eq!(verified.unwrap().into_inner(), certificate);
        } else {
            let id = certificate.claims.root_id;
            assert_eq!(verified.unwrap_err(), Untrusted::UnknownRoot(id));
            assert_eq!(confirmation.certificate(&host), certificate);
        }
    }
}

/// What PROTOCOL 14 shows is what the vectors have.
#[test]
fn the_worked_example_is_right() {
    let text = include_str!("../docs/protocol.md");
    let (_, section) = text.split_once("## 14. By phone").unwrap();
    let (_, example) = section.split_once("### An example").unwrap();
    let (example, _) = example.split_once("## Appendix").unwrap();
    let words: Vec<&str> = example.split_whitespace().collect();
    let vectors = vectors();
    let (machine, host) = (&vectors.machines[0], &vectors.hosts[0]);
    // Groups are numbered, bytes stand in lines of 32.
    let grouped = |number: &str| {
        let groups = number.split('-').enumerate();
        groups.flat_map(|(index, group)| [format!("{}:", index + 1), group.into()]).collect()
    };
    let shown: [Vec<String>; 9] = [
        grouped(&machine.installation),
        grouped(&machine.confirmation),
        grouped(&host.installation),
        grouped(&host.confirmation),
        vec![machine.tag_key.clone()],
        vec!["product".into(), machine.product_digest.clone()],
        vec!["machine".into(), machine.machine_digest.clone()],
        vec!["tag".into(), machine.tag.clone()],
        vec![machine.signature[..64].into(), machine.signature[64..].into()],
    ];
    for expected in shown {
        assert!(words.windows(expected.len()).any(|shown| shown == expected), "{expected:?}");
    }
    assert!(words.contains(&&*machine.id_bytes));
    let [a, b] = [&host.tag_key[..32], &host.tag_key[32..]];
    assert!(example.contains(&format!("`{a}` `{b}`")));
    let key = MasterKey::from_bytes(hex(&vectors.authority_master))
        .product_key(KeyKind::MultipleActivation, KeyId(machine.key_id));
    assert!(example.contains(key.to_text().as_str()));
    // The machine is that of the exchange in the appendix.
    let (_, appendix) = text.split_once("## Appendix").unwrap();
    for id in [&machine.application_id, &machine.activation_id, &machine.cmid, &machine.fingerprint]
    {
        let bytes: Vec<_> =
            id.as_bytes().chunks(2).map(|b| std::str::from_utf8(b).unwrap()).collect();
        assert!(appendix.contains(&bytes.join(" ")), "{id}");
    }
    assert!(appendix.replace(' ', "").contains(&host.public_key[..32]));
    // The states on the way to the check digit of the second group.
    let group = &machine.installation[8..15];
    let states: Vec<_> = (1..=6).map(|digits| damm(1, &group[..digits]).to_string()).collect();
    let trail = format!("{} to {}", states[..5].join(", "), states[5]);
    assert!(example.split_whitespace().collect::<Vec<_>>().join(" ").contains(&trail), "{trail}");
    assert_eq!(states[5], group[6..]);
}

/// The table of PROTOCOL 14, read from the page.
fn damm(start: usize, digits: &str) -> usize {
    let (_, page) = include_str!("../docs/protocol.md").split_once("## 14. By phone").unwrap();
    let (_, table) = page.split_once("0 1 2 3 4 5 6 7 8 9\n").unwrap();
    let rows: Vec<Vec<usize>> = table
        .lines()
        .take(10)
        .map(|row| row.split_whitespace().skip(1).map(|entry| entry.parse().unwrap()).collect())
        .collect();
    digits.bytes().fold(start, |state, digit| rows[state][usize::from(digit - b'0')])
}

#[test]
fn groups_are_those_of_the_protocols_table() {
    for (_, text, _) in texts() {
        for (index, group) in text.split('-').enumerate() {
            assert_eq!(damm(index % 10, group), 0);
            assert_eq!(check_group(index, group).unwrap().to_string(), group);
        }
    }
}

#[test]
fn numbers_are_read_as_people_write_them() {
    for (_, text, read) in texts() {
        assert_eq!(read(&text).as_ref(), Ok(&text));
        for written in [
            text.replace('-', ""),
            text.replace('-', " "),
            text.replace('-', " - "),
            text.replace('-', "\r\n"),
            format!(" {}\n", text.replacen('-', "", 3)),
            text.chars().flat_map(|digit| [digit, ' ']).collect(),
        ] {
            assert_eq!(read(&written).as_ref(), Ok(&text), "{written:?}");
        }
    }
}

/// Every wrong digit, and every two neighbours that changed places, also over the end of a group.
#[test]
fn every_slip_of_a_digit_is_found_and_its_group_named() {
    for (_, text, read) in texts() {
        let groups: Vec<&str> = text.split('-').collect();
        for (index, group) in groups.iter().enumerate() {
            let wrong = |typed: &str| {
                let invalid = InvalidGroup { group: index + 1, fault: GroupFault::CheckDigit };
                assert_eq!(check_group(index, typed), Err(invalid));
                let mut groups = groups.clone();
                groups[index] = typed;
                for separator in ["-", ""] {
                    let whole = read(&groups.join(separator));
                    assert_eq!(whole, Err(InvalidNumber::Group(invalid)), "{typed}");
                }
            };
            for at in 0..GROUP_DIGITS {
                for digit in b'0'..=b'9' {
                    let mut typed = group.as_bytes().to_vec();
                    if typed[at] != digit {
                        typed[at] = digit;
                        wrong(std::str::from_utf8(&typed).unwrap());
                    }
                }
            }
            for at in 0..GROUP_DIGITS - 1 {
                let mut typed = group.as_bytes().to_vec();
                typed.swap(at, at + 1);
                if typed != group.as_bytes() {
                    wrong(std::str::from_utf8(&typed).unwrap());
                }
            }
        }
    }
}

#[test]
fn groups_in_other_places_are_found() {
    for (_, text, read) in texts() {
        let groups: Vec<&str> = text.split('-').collect();
        for a in 0..groups.len() {
            for b in (a + 1..groups.len()).filter(|b| (b - a) % 10 != 0) {
                let mut typed = groups.clone();
                typed.swap(a, b);
                let invalid = InvalidGroup { group: a + 1, fault: GroupFault::CheckDigit };
                assert_eq!(read(&typed.join("-")), Err(InvalidNumber::Group(invalid)));
            }
        }
    }
}

#[test]
fn a_digit_too_few_or_too_many_is_found_where_it_is() {
    for (kind, text, read) in texts() {
        let groups: Vec<String> = text.split('-').map(Into::into).collect();
        for index in 0..groups.len() {
            for (typed, digits) in [(&groups[index][1..], 6), (&*format!("{}0", groups[index]), 8)]
            {
                let fault = GroupFault::Length(digits);
                let invalid = InvalidGroup { group: index + 1, fault };
                assert_eq!(check_group(index, typed), Err(invalid));
                let mut groups = groups.clone();
                groups[index] = typed.into();
                assert_eq!(read(&groups.join(" ")), Err(InvalidNumber::Group(invalid)));
            }
        }
        let group = |group, fault| Err(InvalidNumber::Group(InvalidGroup { group, fault }));
        assert_eq!(read(&text.replacen('-', "x", 1)), group(2, GroupFault::Character));
        assert_eq!(
            read(&text.replacen(|c: char| c != '-', "é", 1)),
            group(1, GroupFault::Character)
        );
        // Whole groups too few, or something more at the end.
        let count = kind.groups();
        let digits = |found| Err(InvalidNumber::Digits { found, expected: kind });
        assert_eq!(read(&groups[..count - 1].join("-")), digits(7 * (count - 1)));
        assert_eq!(read(&format!("{}-{}", text, groups[0])), digits(7 * (count + 1)));
        assert_eq!(read(""), digits(0));
        assert_eq!(read("- -"), digits(0));
    }
}

#[test]
fn one_number_is_not_another() {
    let texts = texts();
    for (kind, _, read) in &texts {
        for (other, text, _) in texts.iter().filter(|(other, ..)| other != kind) {
            let found = 7 * other.groups();
            let digits = InvalidNumber::Digits { found, expected: *kind };
            assert_eq!(read(text), Err(digits));
            assert!(digits.to_string().contains(other.name()), "{digits}");
        }
    }
}

/// A number in groups whose check digits fit, whatever the number is.
fn grouped(digits: &str) -> String {
    let groups = digits.as_bytes().chunks(6).map(|group| std::str::from_utf8(group).unwrap());
    let groups = groups.enumerate();
    let groups: Vec<_> =
        groups.map(|(index, group)| format!("{group}{}", damm(index % 10, group))).collect();
    groups.join("-")
}

#[test]
fn groups_that_are_right_but_no_such_number_are_refused() {
    for (kind, text, read) in texts() {
        let content = Err(InvalidNumber::Content { expected: kind });
        let digits = 6 * kind.groups();
        assert_eq!(read(&grouped(&"9".repeat(digits))), content, "more bits than the number has");
        assert_eq!(read(&grouped(&"0".repeat(digits))), content, "kind 0");
        let same: String = text.split('-').map(|group| &group[..6]).collect();
        assert_eq!(read(&grouped(&same)), Ok(text));
    }
}

/// A decimal number and a power of two.
fn plus_power_of_two(digits: &str, power: usize) -> String {
    let mut addend = vec![0; digits.len()];
    *addend.last_mut().unwrap() = 1;
    let sum = |a: &[u8], b: &[u8]| {
        let mut carry = 0;
        let mut sum: Vec<u8> = Vec::new();
        for (a, b) in a.iter().zip(b).rev() {
            sum.push((a + b + carry) % 10);
            carry = (a + b + carry) / 10;
        }
        assert_eq!(carry, 0, "it has more digits");
        sum.into_iter().rev().collect::<Vec<u8>>()
    };
    for _ in 0..power {
        addend = sum(&addend, &addend);
    }
    let digits: Vec<u8> = digits.bytes().map(|digit| digit - b'0').collect();
    sum(&digits, &addend).iter().map(|digit| char::from(b'0' + digit)).collect()
}

#[test]
fn another_kind_and_reserved_bits_are_refused() {
    for (kind, text, read) in texts() {
        let (bits, reserved) = match kind {
            NumberKind::Installation => (259, 4..4),
            NumberKind::HostInstallation => (338, 4..4),
            NumberKind::Confirmation => (518, 4..6),
            NumberKind::HostConfirmation => (637, 4..13),
        };
        let digits: String = text.split('-').map(|group| &group[..6]).collect();
        let with = |bit: usize| read(&grouped(&plus_power_of_two(&digits, bits - 1 - bit)));
        for bit in (3..4).chain(reserved.clone()) {
            assert_eq!(with(bit), Err(InvalidNumber::Content { expected: kind }), "bit {bit}");
        }
        assert!(with(bits - 9).is_ok(), "a bit of the tag or signature");
    }
}

#[test]
fn groups_that_were_read_one_by_one_make_the_number() {
    let groups = |text: &str| -> [Group; Confirmation::GROUPS] {
        let groups: Vec<_> =
            text.split('-').enumerate().map(|(i, g)| check_group(i, g).unwrap()).collect();
        groups.try_into().unwrap()
    };
    let machine = &vectors().machines[0];
    let text = &machine.confirmation;
    assert_eq!(Confirmation::from_groups(&groups(text)), Ok(machine.confirmation()));
    assert_eq!(Confirmation::from_groups(&groups(text)).unwrap().groups(), groups(text));
}

#[test]
fn nothing_shows_whole_ids_by_accident() {
    let Vectors { machines, hosts, .. } = vectors();
    let id = machines[0].id();
    assert_eq!(format!("{id:?}"), "InstallationId(key 1, MachineDigest(..dafb))");
    assert_eq!(format!("{:?}", id.groups()[1]), "Group(2)");
    let host: HostInstallationId = hosts[0].installation.parse().unwrap();
    assert_eq!(format!("{host:?}"), "HostInstallationId(key 900)");
}

#[test]
fn a_host_confirmation_holds_whole_days_and_32_bits_only() {
    let day = 24 * 60;
    let (first, last) = whole_days(EpochMinute(5 * day + 17), EpochMinute(9 * day));
    assert_eq!((first.0, last.0), (5 * day, 10 * day - 1));
    assert_eq!(whole_days(first, last), (first, last));
    let (_, last) = whole_days(first, EpochMinute(u32::MAX));
    assert_eq!(last.0, 65_536 * day - 1);

    let root = vectors().root();
    let host = SigningKey::from_seed(&[5; 32]).public_key();
    let exact = Claims {
        public_key: host,
        serial: u32::MAX.into(),
        not_before: EpochMinute(20_000 * day),
        not_after: EpochMinute(20_365 * day - 1),
        root_id: 1,
        coverage: Coverage { family: 1, rank: 2, generation: 3 },
        role: Role::Host,
    };
    let told = |claims: Claims| {
        let certificate = sign_certificate(&claims, &root).unwrap();
        let confirmation = HostConfirmation::from_certificate(&certificate)?;
        assert_eq!(confirmation.certificate(&host), certificate, "{}", host_id(&host));
        Some(())
    };
    assert_eq!(told(exact), Some(()));
    for claims in [
        Claims { serial: 1 << 32, ..exact },
        Claims { not_before: EpochMinute(20_000 * day + 1), ..exact },
        Claims { not_after: EpochMinute(20_365 * day), ..exact },
        Claims { not_after: EpochMinute(u32::MAX), ..exact },
        Claims { role: Role::Authority, ..exact },
    ] {
        assert_eq!(told(claims), None, "{claims:?}");
    }
}

#[test]
fn a_record_is_believed_as_it_was_written_and_not_otherwise() {
    let vectors = vectors();
    let roots = vectors.roots();
    let vector = &vectors.machines[0];
    let (id, confirmation) = (vector.id(), vector.confirmation());
    let request = vector.seal(&vector.request());
    let record = confirmation.record(&id, &request);
    assert!(is_record(&record) && !is_record(&request));
    assert_eq!(verify_record(&record, &request, &roots), Ok(1));
    for bit in 0..record.len() * 8 {
        let mut flipped = record;
        flipped[bit / 8] ^= 0x80 >> (bit % 8);
        assert!(verify_record(&flipped, &request, &roots).is_err(), "bit {bit}");
        let mut flipped = request;
        flipped[bit / 8] ^= 0x80 >> (bit % 8);
        let refused = verify_record(&record, &flipped, &roots);
        assert_eq!(refused, Err(UntrustedRecord::Changed), "bit {bit}");
    }
    // Written anew for another request of the same machine, as who has lost the first one may.
    let again = Request { nonce: Nonce([8; 16]), renewal: true, ..vector.request() };
    let again = vector.seal(&again);
    assert_eq!(verify_record(&confirmation.record(&id, &again), &again, &roots), Ok(1));
}

proptest! {
    #[test]
    fn any_machine_and_host_come_back_from_their_text(
        bytes in proptest::array::uniform32(any::<u8>()),
        more in proptest::array::uniform32(any::<u8>()),
        key_id in any::<u32>(),
        rank in any::<u8>(),
    ) {
        let (a, b) = bytes.split_at(16);
        let machine = Machine {
            key_id: KeyId(key_id),
            application_id: ApplicationId(a.try_into().unwrap()),
            activation_id: ActivationId(b.try_into().unwrap()),
            cmid: Cmid::from_random(more[..16].try_into().unwrap()),
            fingerprint: Fingerprint::from_bytes(more[16..].try_into().unwrap()),
        };
        let tag_key = TagKey::from_bytes(more);
        let id = InstallationId::for_machine(&machine, &tag_key);
        prop_assert_eq!(id.to_string().parse(), Ok(id));
        prop_assert_eq!(InstallationId::from_groups(&id.groups()), Ok(id));
        prop_assert_eq!((id.key_id(), id.machine()), (machine.key_id, machine.digest()));
        prop_assert!(id.is_tagged_with(&tag_key));

        let id = HostInstallationId::for_host(KeyId(key_id), rank, &PublicKey(bytes), &tag_key);
        prop_assert_eq!(id.to_string().parse(), Ok(id));
        prop_assert_eq!(id.public_key(), PublicKey(bytes));
        prop_assert_eq!(id.platform_rank(), rank);
        prop_assert!(id.is_tagged_with(&tag_key));
    }

    /// Any text at all is read or refused, and what is read is written again the same.
    #[test]
    fn any_text_may_be_read(text in "[-0-9 x]{0,300}", digits in "[0-9]{192}") {
        let mut numbers = vec![text];
        numbers.extend([13, 17, 26, 32].map(|groups| grouped(&digits[..6 * groups])));
        for text in &numbers {
            let plain = |text: &str| text.replace(['-', ' '], "");
            if let Ok(number) = text.parse::<InstallationId>() {
                prop_assert_eq!(plain(&number.to_string()), plain(text));
            }
            if let Ok(number) = text.parse::<HostInstallationId>() {
                prop_assert_eq!(plain(&number.to_string()), plain(text));
            }
            if let Ok(number) = text.parse::<Confirmation>() {
                prop_assert_eq!(plain(&number.to_string()), plain(text));
            }
            if let Ok(number) = text.parse::<HostConfirmation>() {
                prop_assert_eq!(plain(&number.to_string()), plain(text));
            }
        }
    }
}
