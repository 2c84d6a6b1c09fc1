//! A confirmation as a client stores it: in the place of a response, laid out like one
//! (PROTOCOL 14).

use core::fmt;

use super::machine::{InstallationId, Machine, Unconfirmed};
use crate::cursor::{part, place};
use crate::trust::{Root, Verifier, confirming_root, request_digest};
use crate::wire::{FRAME_LEN, Frame, Malformed, Method, Request, Signature};

/// The header of a frame of kind 5, which is stored and never sent (PROTOCOL 2).
const HEADER: [u8; 4] = *b"HC\x01\x05";

mod field {
    pub(super) const VALIDITY: usize = 20;
    pub(super) const DIGEST: usize = 32;
    pub(super) const INSTALLATION: usize = 64;
    pub(super) const SIGNATURE: usize = 186;
}

/// Whether 250 bytes in the place of a response claim to be a confirmation record.
#[must_use]
pub fn is_record(frame: &Frame) -> bool {
    *part::<0, 4, _>(frame) == HEADER
}

/// Writes the record.
pub(super) fn emit(id: &InstallationId, request: &Frame, signature: &Signature) -> Frame {
    let mut record = [0; FRAME_LEN];
    let to = &mut record;
    place::<0, _, _>(to, HEADER);
    place::<{ field::VALIDITY }, _, _>(to, [0xff; 4]);
    place::<{ field::DIGEST }, _, _>(to, request_digest(request).0);
    place::<{ field::INSTALLATION }, _, _>(to, id.0);
    place::<{ field::SIGNATURE }, _, _>(to, signature.0);
    record
}

/// Checks a stored record: that it is one and unchanged, that it is for this request, which is by
/// key, that the installation id in it is of the machine, product and key that the request names,
/// and that one of the root keys has confirmed it. The root's id is returned.
///
/// What is not checked here is what is not checked of an answer either: whether the request is of
/// this machine.
pub fn verify_record<V: Verifier>(
    record: &Frame,
    request: &Frame,
    roots: &[Root<V>],
) -> Result<u16, UntrustedRecord> {
    let id = InstallationId(*part::<{ field::INSTALLATION }, _, _>(record));
    let signature = Signature(*part::<{ field::SIGNATURE }, _, _>(record));
    // The digest of the request, and zeros wherever nothing else stands.
    if *record != emit(&id, request, &signature) {
        return Err(UntrustedRecord::Changed);
    }
    let request = Request::parse(request).map_err(UntrustedRecord::Request)?;
    if request.method != Method::Key || !id.is_of_machine(&Machine::of(&request)) {
        return Err(UntrustedRecord::OtherMachine);
    }
    confirming_root(&id.0, &signature, roots).ok_or(UntrustedRecord::Unconfirmed)
}

/// Why a stored confirmation record activates nothing, in the order in which it is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum UntrustedRecord {
    /// It is no record, is not for the request beside it, or was edited.
    Changed,
    /// The request beside it is malformed.
    Request(Malformed),
    /// The request beside it is not by key, or its machine, product or key is not the one that was
    /// confirmed.
    OtherMachine,
    /// None of the vendor's root keys has signed it.
    Unconfirmed,
}

impl fmt::Display for UntrustedRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Changed => f.write_str("the record does not belong to the stored request"),
            Self::Request(malformed) => write!(f, "the stored request is malformed: {malformed}"),
            Self::OtherMachine => {
                f.write_str("the confirmation is for another machine, product or key")
            }
            Self::Unconfirmed => Unconfirmed.fmt(f),
        }
    }
}

impl core::error::Error for UntrustedRecord {}
