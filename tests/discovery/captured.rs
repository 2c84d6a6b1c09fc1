//! What a real resolver answered (README.md beside this file), and answers made by hand.
#![allow(dead_code, reason = "each test takes the parts it needs")]

use core::convert::Infallible;

use headcount::discovery::DomainName;
use headcount::discovery::message::{Query, RecordType};
use rand::{TryCryptoRng, TryRng};

pub(crate) struct Captured {
    pub(crate) file: &'static str,
    pub(crate) query: &'static [u8],
    pub(crate) answer: &'static [u8],
}

macro_rules! captured {
    ($($file:literal),* $(,)?) => {
        /// Everything in this directory.
        pub(crate) const CAPTURED: &[Captured] = &[$(Captured {
            file: $file,
            query: include_bytes!(concat!($file, ".query.bin")),
            answer: include_bytes!(concat!($file, ".answer.bin")),
        }),*];
    };
}

captured!(
    "srv",
    "srv-alias",
    "srv-none",
    "srv-odd",
    "srv-truncated",
    "srv-many",
    "srv-nxdomain",
    "srv-nodata",
    "srv-refused",
    "srv-servfail",
    "a",
    "a-alias",
    "a-loop",
    "a-chain-8",
    "a-chain-9",
    "a-nodata",
    "aaaa",
    "aaaa-upper",
    "dnsmasq-srv",
    "dnsmasq-a-alias",
    "dnsmasq-nxdomain",
);

impl Captured {
    pub(crate) fn named(file: &str) -> &'static Self {
        CAPTURED.iter().find(|case| case.file == file).expect("a file of this directory")
    }

    /// The question again, with the same id and the same mixture of cases.
    pub(crate) fn query(&self) -> Query {
        let (record_type, name, mut random) = self.asked();
        let query = Query::new(record_type, &name, &mut random);
        assert_eq!(query.as_bytes(), self.query, "{}", self.file);
        query
    }

    /// What it is made of.
    pub(crate) fn asked(&self) -> (RecordType, DomainName, Replay) {
        let end = self.query.len() - 11;
        let (question, kind) = self.query[12..end].split_at(end - 12 - 4);
        let mut name = String::new();
        let mut random = Replay([0; 34]);
        random.0[..2].copy_from_slice(&self.query[..2]);
        let mut rest = question;
        while let [length @ 1..=63, tail @ ..] = rest {
            let (label, tail) = tail.split_at(usize::from(*length));
            for byte in label {
                let bit = name.len() + 1;
                if byte.is_ascii_uppercase() {
                    random.0[2 + bit / 8] |= 1 << (bit % 8);
                }
                name.push(char::from(*byte));
            }
            name.push('.');
            rest = tail;
        }
        let record_type = match kind {
            [0, 1, ..] => RecordType::A,
            [0, 28, ..] => RecordType::Aaaa,
            _ => RecordType::Srv,
        };
        (record_type, DomainName::parse(&name).unwrap(), random)
    }
}

/// Gives out these bytes, from the start with each call.
pub(crate) struct Replay(pub(crate) [u8; 34]);

impl TryRng for Replay {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        unreachable!("a query fills bytes")
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        unreachable!("a query fills bytes")
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        bytes.copy_from_slice(&self.0[..bytes.len()]);
        Ok(())
    }
}

impl TryCryptoRng for Replay {}

/// A message made by hand: the question's name begins at byte 12.
#[derive(Clone)]
pub(crate) struct Message(pub(crate) Vec<u8>);

/// A pointer to the question's name.
pub(crate) const QUESTION: &[u8] = &[0xC0, 12];

pub(crate) const SRV: u16 = 33;
pub(crate) const CNAME: u16 = 5;

impl Message {
    /// An answer without records: RA, RD and success.
    pub(crate) fn answer_to(query: &Query) -> Self {
        let mut bytes = query.as_bytes()[..query.as_bytes().len() - 11].to_vec();
        bytes[2] |= 0x80;
        bytes[3] |= 0x80;
        bytes[11] = 0;
        Self(bytes)
    }

    /// Adds a record to the answer section. Nothing may stand in the other two.
    pub(crate) fn record(self, owner: &[u8], kind: u16, ttl: u32, data: &[u8]) -> Self {
        self.record_of(6, owner, kind, 1, ttl, data)
    }

    /// Adds one to the section whose counter stands at this byte: 6, 8 or 10.
    pub(crate) fn record_of(
        mut self,
        section: usize,
        owner: &[u8],
        kind: u16,
        class: u16,
        ttl: u32,
        data: &[u8],
    ) -> Self {
        let count = u16::from_be_bytes([self.0[section], self.0[section + 1]]) + 1;
        self.0[section..section + 2].copy_from_slice(&count.to_be_bytes());
        self.0.extend_from_slice(owner);
        self.0.extend_from_slice(&kind.to_be_bytes());
        self.0.extend_from_slice(&class.to_be_bytes());
        self.0.extend_from_slice(&ttl.to_be_bytes());
        self.0.extend_from_slice(&u16::try_from(data.len()).unwrap().to_be_bytes());
        self.0.extend_from_slice(data);
        self
    }

    /// Where the next byte will stand, as a pointer.
    pub(crate) fn here(&self) -> [u8; 2] {
        (0xC000 | u16::try_from(self.0.len()).unwrap()).to_be_bytes()
    }
}

/// A name as it stands in a message.
pub(crate) fn wire(name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for label in name.split('.').filter(|label| !label.is_empty()) {
        bytes.push(u8::try_from(label.len()).unwrap());
        bytes.extend_from_slice(label.as_bytes());
    }
    bytes.push(0);
    bytes
}

/// The data of an SRV record.
pub(crate) fn srv(priority: u16, weight: u16, port: u16, target: &[u8]) -> Vec<u8> {
    let numbers = [priority, weight, port].map(u16::to_be_bytes);
    [numbers.concat().as_slice(), target].concat()
}
