//! What an authority must answer (PROTOCOL 5, 6, 9, 14), reckoned with the numbers of machines, hosts
//! and keys: a model that knows nothing of frames and records.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use headcount::authority::{ANSWERS_PER_MACHINE, ActivationOutcome, CatalogueProduct};
use headcount::fingerprint::{Fingerprint, Matching};
use headcount::phone::{InstallationId, Machine as MachineParts};
use headcount::time::{EpochMinute, UnixTime};
use headcount::trust::{MasterKey, Root, Signer, SigningKey, sign_certificate};
use headcount::wire::{
    ActivationId, ApplicationId, Certificate, Claims, Cmid, Coverage, Frame, KeyId, KeyKind,
    Method, Refusal, Role,
};

/// The right time when a script begins.
pub(crate) const START: u64 = 1_800_000_000;
pub(crate) const HOUR: u64 = 3_600;
pub(crate) const DAY: u64 = 24 * HOUR;
pub(crate) const ROOT_ID: u16 = 1;
/// The authority's own certificates end so long after the start.
pub(crate) const CERTIFIED_DAYS: u64 = 60;
pub(crate) const HOST_CERTIFICATE_DAYS: u32 = 40;

/// MAKs 1 and 2 and host keys 1 and 2 are issued, of different worth; number 3 never was.
pub(crate) const KEYS: u8 = 3;
pub(crate) const CMIDS: u8 = 2;
pub(crate) const HOSTS: u8 = 3;

pub(crate) const HIGHEST: Coverage = Coverage { family: 7, rank: 3, generation: 3 };
pub(crate) const LOWER: Coverage = Coverage { family: 7, rank: 1, generation: 3 };
pub(crate) const OTHER: Coverage = Coverage { family: 8, rank: 0, generation: 0 };

pub(crate) struct ProductRule {
    pub(crate) coverage: Coverage,
    pub(crate) tolerance: u8,
    pub(crate) in_catalogue: bool,
}

/// The first is covered by both MAKs, the second by MAK 1, the third by no certificate, and the
/// fourth is another vendor's.
pub(crate) const PRODUCTS: [ProductRule; 4] = [
    ProductRule { coverage: LOWER, tolerance: 2, in_catalogue: true },
    ProductRule { coverage: HIGHEST, tolerance: 0, in_catalogue: true },
    ProductRule { coverage: OTHER, tolerance: 2, in_catalogue: true },
    ProductRule { coverage: LOWER, tolerance: 2, in_catalogue: false },
];

pub(crate) static MASTER: LazyLock<MasterKey> = LazyLock::new(|| MasterKey::from_bytes([1; 32]));
pub(crate) static ROOT: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::from_seed(&[2; 32]));
pub(crate) static ROOTS: LazyLock<[Root; 1]> =
    LazyLock::new(|| [Root::new(ROOT_ID, &ROOT.public_key()).expect("a usable key")]);
/// The authority's own key, and the one that replaces it.
pub(crate) static SIGNERS: LazyLock<[SigningKey; 2]> =
    LazyLock::new(|| [[3; 32], [4; 32]].map(|seed| SigningKey::from_seed(&seed)));
pub(crate) static CERTIFICATES: LazyLock<[Certificate; 2]> = LazyLock::new(|| {
    [0, 1].map(|index: usize| {
        let claims = Claims {
            public_key: SIGNERS[index].public_key(),
            serial: index as u64,
            not_before: EpochMinute(0),
            not_after: UnixTime::from_secs(START + CERTIFIED_DAYS * DAY).minute(),
            root_id: ROOT_ID,
            coverage: HIGHEST,
            role: Role::Authority,
        };
        let Ok(certificate) = sign_certificate(&claims, &*ROOT);
        certificate
    })
});
pub(crate) static HOST_SIGNERS: LazyLock<[SigningKey; HOSTS as usize]> =
    LazyLock::new(|| [[5; 32], [6; 32], [7; 32]].map(|seed| SigningKey::from_seed(&seed)));
pub(crate) static CATALOGUE: LazyLock<Vec<CatalogueProduct>> = LazyLock::new(|| {
    let products = (0..).zip(&PRODUCTS).filter(|(_, rule)| rule.in_catalogue);
    products
        .map(|(number, rule)| CatalogueProduct {
            application_id: application(number),
            activation_id: edition(number),
            coverage: rule.coverage,
            matching: Matching { weights: [1; 8], tolerance: rule.tolerance.into() },
        })
        .collect()
});

/// The first two are editions of one application.
pub(crate) const fn application(product: u8) -> ApplicationId {
    ApplicationId([1 + product / 2; 16])
}

pub(crate) const fn edition(product: u8) -> ActivationId {
    ActivationId([1 + product; 16])
}

/// Neighbours differ in one component.
pub(crate) fn hardware(number: u8) -> Fingerprint {
    Fingerprint::new(core::array::from_fn(|index| if index < number.into() { 7 } else { 8 }))
}

/// Who asks for activation by key, by numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Machine {
    pub(crate) key: u8,
    pub(crate) product: u8,
    pub(crate) cmid: u8,
    pub(crate) hardware: u8,
}

impl Machine {
    pub(crate) fn key_id(self) -> KeyId {
        KeyId(self.key.into())
    }

    pub(crate) fn cmid(self) -> Cmid {
        Cmid::new([1 + self.cmid; 16]).expect("not zero")
    }

    /// In how many components the hardware differs.
    pub(crate) fn distance(self, other: Self) -> u8 {
        self.hardware.abs_diff(other.hardware)
    }

    pub(crate) fn phone_id(self) -> InstallationId {
        let parts = MachineParts {
            key_id: self.key_id(),
            application_id: application(self.product),
            activation_id: edition(self.product),
            cmid: self.cmid(),
            fingerprint: hardware(self.hardware),
        };
        let mak = MASTER.product_key(KeyKind::MultipleActivation, self.key_id());
        InstallationId::for_machine(&parts, &mak.tag_key())
    }
}

/// What a model says of a machine's place on its key.
pub(crate) struct Place {
    pub(crate) machine: Machine,
    pub(crate) counted: bool,
    pub(crate) left: u32,
}

/// What a machine's frame says besides.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    pub(crate) machine: Machine,
    pub(crate) method: Method,
    pub(crate) client_time: Option<UnixTime>,
    pub(crate) frame: Frame,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct HostAsks {
    pub(crate) key: u8,
    pub(crate) host: u8,
    pub(crate) rank: u8,
}

/// How things are at the authority when it is asked.
#[derive(Clone, Copy)]
pub(crate) struct Circumstances {
    pub(crate) time: u64,
    pub(crate) on_line: bool,
    /// Which of its keys the authority signs with.
    pub(crate) signer: usize,
}

impl Circumstances {
    /// Whether the authority's own certificates have ended.
    pub(crate) fn is_uncertified(&self) -> bool {
        self.time > START + CERTIFIED_DAYS * DAY + 59
    }

    pub(crate) fn unix_time(&self) -> UnixTime {
        UnixTime::from_secs(self.time)
    }
}

/// What must be true, in one transaction or after it.
#[derive(Clone, Default)]
pub(crate) struct Model {
    /// By MAK: its limit, and whether it is blocked.
    pub(crate) maks: BTreeMap<u8, (u32, bool)>,
    /// Every machine that has used up an activation, by frame or phone.
    pub(crate) counted: BTreeSet<Machine>,
    /// Those of them whose CMID and hardware a frame has told.
    pub(crate) told: BTreeSet<Machine>,
    /// Answers by frame, oldest first, each with the authority's key of the time.
    pub(crate) answers: Vec<(Machine, Frame, Frame, usize)>,
    /// By host key: hosts, activations for each, whether it is blocked.
    pub(crate) host_keys: BTreeMap<u8, (u32, u32, bool)>,
    pub(crate) enrolled: BTreeMap<(u8, u8), u32>,
    pub(crate) enrolments: Vec<(Frame, Frame)>,
    /// What a host was last told by phone: the certificate's end and the text.
    pub(crate) phoned: BTreeMap<HostAsks, (u64, String)>,
    pub(crate) next_serial: u64,
}

impl Model {
    pub(crate) fn new() -> Self {
        Self {
            maks: BTreeMap::from([(1, (3, false)), (2, (2, false))]),
            host_keys: BTreeMap::from([(1, (2, 3, false)), (2, (1, 2, false))]),
            next_serial: 1,
            ..Self::default()
        }
    }

    /// PROTOCOL 5, "By key", from rule 3 on.
    pub(crate) fn activation(&self, asked: &Asked, now: &Circumstances) -> ActivationOutcome {
        let machine = asked.machine;
        let refused = ActivationOutcome::Refused;
        let Some((_, blocked)) =
            self.maks.get(&machine.key).filter(|_| asked.method == Method::Key)
        else {
            let by_count = asked.method == Method::Count;
            return refused(if by_count { Refusal::NotCovered } else { Refusal::UnknownKey });
        };
        if *blocked {
            return refused(Refusal::KeyBlocked);
        }
        if self.answer(&asked.frame, now.signer).is_some() {
            return ActivationOutcome::Repeated;
        }
        let rule = &PRODUCTS[usize::from(machine.product)];
        if !rule.in_catalogue || !covers(machine.key, rule) || rule.coverage.family != 7 {
            return refused(Refusal::NotCovered);
        }
        if now.is_uncertified() {
            return refused(Refusal::NotEnrolled);
        }
        let skew = asked.client_time.map(|time| time.as_secs().abs_diff(now.time));
        if now.on_line && skew.is_some_and(|skew| skew > 240 * 60) {
            return refused(Refusal::ClockSkew);
        }
        match self.place(machine, true) {
            Some(Place { counted, left, .. }) => ActivationOutcome::Granted { counted, left },
            None => refused(Refusal::KeyExhausted),
        }
    }

    /// Which counted machine it is, whether it is a new one, and how many are left after it.
    pub(crate) fn place(&self, machine: Machine, by_frame: bool) -> Option<Place> {
        let (limit, _) = self.maks[&machine.key];
        let counted = self.counted.iter().filter(|other| other.key == machine.key).count() as u32;
        let tolerance = PRODUCTS[usize::from(machine.product)].tolerance;
        let known = if self.counted.contains(&machine) {
            Some(machine)
        } else {
            let told = self.told.iter().filter(|_| by_frame);
            let similar = told.filter(|other| {
                (other.key, other.cmid) == (machine.key, machine.cmid)
                    && other.distance(machine) <= tolerance
            });
            similar
                .copied()
                .min_by_key(|other| (other.distance(machine), other.phone_id().machine()))
        };
        if let Some(machine) = known {
            return Some(Place { machine, counted: false, left: limit.saturating_sub(counted) });
        }
        (counted < limit).then(|| Place { machine, counted: true, left: limit - counted - 1 })
    }

    pub(crate) fn answer(&self, frame: &Frame, signer: usize) -> Option<Frame> {
        let (_, _, answer, by) = self.answers.iter().rev().find(|(_, asked, ..)| asked == frame)?;
        (*by == signer).then_some(*answer)
    }

    /// Remembers a grant and its answer; which counted machine it is of is returned.
    pub(crate) fn remember(&mut self, asked: &Asked, answer: Frame, signer: usize) -> Machine {
        let Asked { machine: asking, frame, .. } = *asked;
        let Some(Place { machine, .. }) = self.place(asking, true) else {
            panic!("it was granted")
        };
        self.counted.insert(machine);
        if machine == asking {
            self.told.insert(machine);
        }
        self.answers.push((machine, frame, answer, signer));
        let of_machine = self.answers.iter().filter(|(other, ..)| *other == machine).count();
        if of_machine > ANSWERS_PER_MACHINE {
            let oldest = self.answers.iter().position(|(other, ..)| *other == machine);
            self.answers.remove(oldest.expect("there are more than ten"));
        }
        machine
    }

    /// Which activation it would be, or why not; PROTOCOL 6.
    pub(crate) fn enrolment(&self, asks: HostAsks) -> Result<u32, Refusal> {
        let (hosts, activations, _) = self.usable(asks.key)?;
        let others = self.enrolled.keys().filter(|(key, _)| *key == asks.key).count();
        match self.enrolled.get(&(asks.key, asks.host)) {
            None if others < hosts as usize && activations > 0 => Ok(1),
            Some(used) if *used < activations => Ok(used + 1),
            _ => Err(Refusal::KeyExhausted),
        }
    }

    pub(crate) fn usable(&self, key: u8) -> Result<(u32, u32, bool), Refusal> {
        match self.host_keys.get(&key) {
            None => Err(Refusal::UnknownKey),
            Some((_, _, true)) => Err(Refusal::KeyBlocked),
            Some(key) => Ok(*key),
        }
    }

    pub(crate) fn enrol(&mut self, asks: HostAsks, activation: u32) {
        self.enrolled.insert((asks.key, asks.host), activation);
        self.next_serial += 1;
    }
}

/// Whether a MAK covers a product.
pub(crate) fn covers(mak: u8, rule: &ProductRule) -> bool {
    mak_coverage(mak).covers(&rule.coverage)
}

pub(crate) const fn mak_coverage(mak: u8) -> Coverage {
    if mak == 1 { HIGHEST } else { LOWER }
}
