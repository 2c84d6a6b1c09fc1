//! The form of a vector file: what each section holds. A field that is not listed here is an error,
//! because a vector that says something nobody checks would only seem to pass.

use std::collections::BTreeMap;
use std::str::FromStr;

use serde::de::Error;
use serde::{Deserialize, Deserializer};

/// Bytes of any number, written in hex.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Bytes(pub(crate) Vec<u8>);

/// `N` bytes, written in hex.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Hex<const N: usize>(pub(crate) [u8; N]);

/// A value written as its own text form, such as a UUID.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Text<T>(pub(crate) T);

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let digits = text.chars().map(|c| c.to_digit(16).map(|digit| digit as u8));
        let digits: Option<Vec<u8>> = digits.collect();
        match digits.as_deref().map(<[u8]>::as_chunks::<2>) {
            Some((pairs, [])) => Ok(Self(pairs.iter().map(|[a, b]| a << 4 | b).collect())),
            _ => Err(D::Error::custom(format_args!("not hex: {text:?}"))),
        }
    }
}

impl<'de, const N: usize> Deserialize<'de> for Hex<N> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let Bytes(bytes) = Bytes::deserialize(from)?;
        let length = bytes.len();
        let bytes = bytes.try_into();
        bytes.map(Self).map_err(|_| D::Error::custom(format_args!("{length} bytes, not {N}")))
    }
}

impl<'de, T: FromStr<Err: std::fmt::Display>> Deserialize<'de> for Text<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        text.parse().map(Self).map_err(|why| D::Error::custom(format_args!("{text:?}: {why}")))
    }
}

/// `product_keys`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProductKeyCase {
    pub(crate) kind: u8,
    pub(crate) key_id: u32,
    pub(crate) secret: Hex<9>,
    pub(crate) text: String,
    pub(crate) tag_key: Hex<32>,
}

/// `roots`: by root id
pub(crate) type Roots = BTreeMap<u16, KeyPair>;

/// A key of `roots`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeyPair {
    pub(crate) seed: Hex<32>,
    pub(crate) public: Hex<32>,
}

/// `hosts`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HostCase {
    pub(crate) seed: Hex<32>,
    pub(crate) public: Hex<32>,
    pub(crate) host_id: String,
}

/// `product`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Product {
    pub(crate) application_id: Text<headcount::wire::ApplicationId>,
    pub(crate) activation_id: Text<headcount::wire::ActivationId>,
    pub(crate) counted_id: Text<headcount::wire::CountedId>,
    pub(crate) setup_key: String,
    pub(crate) tag_key: Hex<32>,
    pub(crate) family: u16,
    pub(crate) rank: u8,
    pub(crate) generation: u8,
    pub(crate) threshold: std::num::NonZeroU32,
}

/// `fingerprints`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FingerprintCase {
    pub(crate) application_id: Text<headcount::wire::ApplicationId>,
    pub(crate) components: [Option<Bytes>; headcount::fingerprint::COMPONENTS],
    pub(crate) fingerprint: Hex<16>,
}

/// `requests`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RequestCase {
    pub(crate) fields: RequestFields,
    pub(crate) frame: Hex<250>,
}

/// The fields of a request, as numbers and bytes
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RequestFields {
    pub(crate) flags: u16,
    pub(crate) licence_status: u8,
    pub(crate) method: u8,
    pub(crate) required_count: std::num::NonZeroU32,
    pub(crate) minutes_left: u32,
    pub(crate) application_id: Text<headcount::wire::ApplicationId>,
    pub(crate) activation_id: Text<headcount::wire::ActivationId>,
    pub(crate) counted_id: Text<headcount::wire::CountedId>,
    pub(crate) cmid: Text<headcount::wire::Cmid>,
    pub(crate) previous_cmid: Hex<16>,
    pub(crate) client_time: u64,
    pub(crate) nonce: Hex<16>,
    pub(crate) fingerprint: Hex<16>,
    pub(crate) workstation_name: String,
    pub(crate) key_id: u32,
}

/// `malformed_requests`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MalformedCase {
    pub(crate) why: String,
    pub(crate) frame: Bytes,
}

/// `exchanges`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExchangeCase {
    pub(crate) request: Hex<250>,
    pub(crate) response: Bytes,
    pub(crate) expect: String,
    pub(crate) why: String,
}

/// `enrolments`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EnrolmentCase {
    pub(crate) tag_key: Hex<32>,
    pub(crate) request: Hex<250>,
    pub(crate) response: Hex<250>,
}

/// `table_traces`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Trace {
    pub(crate) capacity: usize,
    pub(crate) weights: [u8; headcount::fingerprint::COMPONENTS],
    pub(crate) tolerance: u16,
    pub(crate) steps: Vec<TraceStep>,
}

/// One request of a trace, and what the table then holds
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TraceStep {
    pub(crate) at: u32,
    pub(crate) cmid: Text<headcount::wire::Cmid>,
    pub(crate) required: std::num::NonZeroU32,
    pub(crate) fingerprint: Hex<16>,
    pub(crate) previous: Hex<16>,
    pub(crate) count: u32,
    pub(crate) limit: u32,
    pub(crate) duplicate: bool,
}
