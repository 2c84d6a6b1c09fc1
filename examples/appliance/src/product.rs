//! The product: what its vendor compiles in. **The values are those of a demonstration vendor whose
//! secret keys are public: replace them all.**
//!
//! They come from the product files that `headcount authority product add` writes, here
//! `vendor/products/`. None of them may come from anything that a customer can change, above all
//! not the root key: whoever chooses the root key chooses which hosts are believed.

use core::num::NonZeroU32;

use headcount::client::Limits;
use headcount::fingerprint::{Fingerprint, Matching};
use headcount::host::SetupKey;
use headcount::trust::{self, ProductKey, Root};
use headcount::wire::{ActivationId, ApplicationId, CountedId, Coverage, PublicKey};
use headcount::{client, host};

/// The product line.
const APPLICATION_ID: ApplicationId =
    ApplicationId(uuid(0x3095_1976_fc70_42f4_ba08_7ff8_e116_e2b8));

/// The pool: all editions are counted together.
pub const COUNTED_ID: CountedId = CountedId(uuid(0x806d_1e87_6022_44d7_8b25_6ba0_2978_6dae));

/// The small edition, which needs few machines on a site. The firmware `client` is one.
const APPLIANCE: Edition = Edition {
    activation_id: ActivationId(uuid(0x334a_b864_6d00_4bc3_8738_55c4_83a0_5ace)),
    threshold: NonZeroU32::new(5).unwrap(),
    setup_key: "C0000-01913-YQHCR-MHKX8-GDXJX",
};

/// The large edition. Its machines are computers that run the `headcount` program.
const STATION: Edition = Edition {
    activation_id: ActivationId(uuid(0x8384_8e2c_7578_47d8_899e_1cc8_f1be_8c95)),
    threshold: NonZeroU32::new(25).unwrap(),
    setup_key: "C0000-02DM0-FJ1ZZ-X11YD-HPWVX",
};

/// Where the editions stand in the vendor's catalogue: what a host's certificate must cover.
const COVERAGE: Coverage = Coverage { family: 7, rank: 1, generation: 1 };

/// Which units are one machine: the mainboard (serial number) or the network controller (MAC address)
/// may be replaced. Both, or one of them together with the processor, make another machine.
pub const MATCHING: Matching = Matching { weights: [2, 2, 1, 0, 0, 0, 0, 0], tolerance: 2 };

/// The vendor's root key, public half.
const ROOT_ID: u16 = 1;
const ROOT_PUBLIC_KEY: PublicKey = PublicKey([
    0xd1, 0x14, 0xb3, 0x39, 0xc6, 0x5d, 0xcb, 0xa6, 0xed, 0xbc, 0x1e, 0x7b, 0x68, 0xf4, 0xe6, 0x4c,
    0xc2, 0x58, 0x2f, 0x1f, 0x97, 0x79, 0x91, 0x5a, 0x76, 0x31, 0x3c, 0x62, 0xd1, 0xac, 0x53, 0xe7,
]);

/// What sets one edition apart.
struct Edition {
    activation_id: ActivationId,
    threshold: NonZeroU32,
    /// The same in every unit. It keeps other products out of the count, and is no secret that an
    /// activation rests on.
    setup_key: &'static str,
}

/// Machines that the host can count: twice the highest threshold.
pub const CAPACITY: usize = 50;
const _: () = assert!(CAPACITY >= 2 * STATION.threshold.get() as usize);

/// What the host serves.
pub static SERVED: [host::Product; 2] = [APPLIANCE.served(), STATION.served()];

/// The setup keys by which the host knows requests for what it serves.
pub fn setup_keys() -> [SetupKey; 2] {
    [APPLIANCE, STATION].map(|edition| {
        let key = edition.setup_key();
        SetupKey::new(key.key_id(), &key.tag_key())
    })
}

/// The root keys that a client believes.
///
/// # Panics
///
/// The constant is no Ed25519 key: at the first start of a firmware, never at a later one.
pub fn roots() -> [Root; 1] {
    [Root::new(ROOT_ID, &ROOT_PUBLIC_KEY).expect("a constant that was tried")]
}

/// What the client is.
pub fn client(roots: &[Root]) -> client::Product<'_> {
    let setup_key = APPLIANCE.setup_key();
    client::Product {
        application_id: APPLICATION_ID,
        activation_id: APPLIANCE.activation_id,
        counted_id: COUNTED_ID,
        coverage: COVERAGE,
        required_count: APPLIANCE.threshold,
        matching: MATCHING,
        key_id: setup_key.key_id(),
        tag_key: setup_key.tag_key(),
        roots,
        limits: Limits::DEFAULT,
    }
}

/// What tells one unit from another, in the order of [`MATCHING`]'s weights.
pub fn fingerprint(serial: &str, mac_address: [u8; 6], processor: u32) -> Fingerprint {
    let processor = processor.to_be_bytes();
    let components: [Option<&[u8]>; 8] = [
        Some(serial.as_bytes()),
        Some(&mac_address),
        Some(&processor),
        None,
        None,
        None,
        None,
        None,
    ];
    trust::fingerprint(APPLICATION_ID, &components)
}

impl Edition {
    const fn served(&self) -> host::Product {
        let activation_id = self.activation_id;
        host::Product { application_id: APPLICATION_ID, activation_id, coverage: COVERAGE }
    }

    fn setup_key(&self) -> ProductKey {
        ProductKey::from_text(self.setup_key).expect("a constant that was tried")
    }
}

/// The 16 bytes of a UUID.
const fn uuid(number: u128) -> [u8; 16] {
    number.to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arguments::from_hex;

    const FILES: [(&Edition, &str); 2] = [
        (&APPLIANCE, include_str!("../vendor/products/appliance.product.toml")),
        (&STATION, include_str!("../vendor/products/station.product.toml")),
    ];

    /// The value of a field, as the file writes it.
    fn field<'a>(file: &'a str, name: &str) -> &'a str {
        let mut fields = file.lines().filter_map(|line| line.split_once(" = "));
        fields.find(|(given, _)| *given == name).expect("the file has it").1.trim_matches('"')
    }

    fn number(file: &str, name: &str) -> u32 {
        field(file, name).parse().expect("a number")
    }

    #[test]
    fn the_constants_are_those_of_the_product_files() {
        for (edition, file) in FILES {
            assert_eq!(Ok(APPLICATION_ID), field(file, "application_id").parse());
            assert_eq!(Ok(edition.activation_id), field(file, "activation_id").parse());
            assert_eq!(Ok(COUNTED_ID), field(file, "counted_id").parse());
            assert_eq!(u32::from(COVERAGE.family), number(file, "family"));
            assert_eq!(u32::from(COVERAGE.rank), number(file, "rank"));
            assert_eq!(u32::from(COVERAGE.generation), number(file, "generation"));
            assert_eq!(edition.threshold.get(), number(file, "threshold"));
            assert_eq!(edition.setup_key, field(file, "setup_key"));
            assert_eq!(u32::from(MATCHING.tolerance), number(file, "tolerance"));
            let weights = field(file, "weights").trim_matches(['[', ']']).split(", ");
            assert!(weights.map(|weight| weight.parse::<u8>().unwrap()).eq(MATCHING.weights));
            assert_eq!(u32::from(ROOT_ID), number(file, "id"));
            assert_eq!(Some(ROOT_PUBLIC_KEY.0), from_hex(field(file, "public_key")));
        }
    }

    #[test]
    fn the_keys_can_be_used() {
        assert_eq!(client(&roots()).required_count, APPLIANCE.threshold);
        assert_eq!(setup_keys().len(), SERVED.len());
    }

    #[test]
    fn one_part_may_change_and_not_two() {
        let unit = fingerprint("4711", [2, 0, 0, 0, 0, 1], 7);
        assert!(MATCHING.same_machine(&unit, &fingerprint("4711", [2, 0, 0, 0, 0, 9], 7)));
        assert!(MATCHING.same_machine(&unit, &fingerprint("4712", [2, 0, 0, 0, 0, 1], 7)));
        assert!(!MATCHING.same_machine(&unit, &fingerprint("4712", [2, 0, 0, 0, 0, 9], 7)));
        assert!(!MATCHING.same_machine(&unit, &fingerprint("4712", [2, 0, 0, 0, 0, 1], 8)));
    }
}
