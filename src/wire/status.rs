//! Licence statuses, methods and status codes (PROTOCOL 3 and 9).

use super::error::Fault;

/// The state of a client's licence, as its requests say it (PROTOCOL 3, offset 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub enum LicenceStatus {
    /// Not licensed, and no grace runs.
    Unlicensed = 0,
    /// Activated.
    Licensed = 1,
    /// Never activated yet, within the time after installation.
    InitialGrace = 2,
    /// The hardware changed beyond the tolerance.
    OutOfToleranceGrace = 3,
    /// Grace of a copy that is not genuine; no part of this crate enters it.
    NonGenuineGrace = 4,
    /// Grace or validity is over: reminders, full function.
    Notification = 5,
    /// Grace extended by the vendor; no part of this crate enters it.
    ExtendedGrace = 6,
}

impl LicenceStatus {
    /// All statuses, in the order of their numbers.
    pub const ALL: [Self; 7] = [
        Self::Unlicensed,
        Self::Licensed,
        Self::InitialGrace,
        Self::OutOfToleranceGrace,
        Self::NonGenuineGrace,
        Self::Notification,
        Self::ExtendedGrace,
    ];

    /// A stable name in lower case with underscores, for logs and JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unlicensed => "unlicensed",
            Self::Licensed => "licensed",
            Self::InitialGrace => "initial_grace",
            Self::OutOfToleranceGrace => "out_of_tolerance_grace",
            Self::NonGenuineGrace => "non_genuine_grace",
            Self::Notification => "notification",
            Self::ExtendedGrace => "extended_grace",
        }
    }

    pub(super) fn from_wire(value: u8) -> Result<Self, Fault> {
        match value {
            0 => Ok(Self::Unlicensed),
            1 => Ok(Self::Licensed),
            2 => Ok(Self::InitialGrace),
            3 => Ok(Self::OutOfToleranceGrace),
            4 => Ok(Self::NonGenuineGrace),
            5 => Ok(Self::Notification),
            6 => Ok(Self::ExtendedGrace),
            other => Err(Fault::LicenceStatus(other)),
        }
    }
}

/// Who is asked for activation (PROTOCOL 3, offset 7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub enum Method {
    /// A host, by count.
    Count = 0,
    /// The authority, by multiple activation key.
    Key = 1,
}

impl Method {
    pub(super) fn from_wire(value: u8) -> Result<Self, Fault> {
        match value {
            0 => Ok(Self::Count),
            1 => Ok(Self::Key),
            other => Err(Fault::Method(other)),
        }
    }
}

/// Why a host or the authority refuses: status codes 1 to 8 (PROTOCOL 9).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u16)]
pub enum Refusal {
    /// The host has no pool for these ids.
    UnknownProduct = 1,
    /// Certificate or key does not cover this product, or the method is not this service's.
    NotCovered = 2,
    /// The client's clock is more than 240 minutes away.
    ClockSkew = 3,
    /// The host's certificate is not valid now.
    NotEnrolled = 4,
    /// The authority does not know the key.
    UnknownKey = 5,
    /// No activations or hosts are left on the key.
    KeyExhausted = 6,
    /// The vendor has blocked the key.
    KeyBlocked = 7,
    /// The authority limits the rate; try after the activation interval.
    Busy = 8,
}

impl Refusal {
    /// All refusals, in the order of their codes.
    pub const ALL: [Self; 8] = [
        Self::UnknownProduct,
        Self::NotCovered,
        Self::ClockSkew,
        Self::NotEnrolled,
        Self::UnknownKey,
        Self::KeyExhausted,
        Self::KeyBlocked,
        Self::Busy,
    ];

    /// The status code on the wire, 1 to 8.
    #[must_use]
    pub const fn code(self) -> u16 {
        self as u16
    }

    /// A stable name in lower case with underscores, for logs and JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::UnknownProduct => "unknown_product",
            Self::NotCovered => "not_covered",
            Self::ClockSkew => "clock_skew",
            Self::NotEnrolled => "not_enrolled",
            Self::UnknownKey => "unknown_key",
            Self::KeyExhausted => "key_exhausted",
            Self::KeyBlocked => "key_blocked",
            Self::Busy => "busy",
        }
    }

    /// `Ok(None)` is success, code 0.
    pub(super) fn from_wire(code: u16) -> Result<Option<Self>, Fault> {
        Ok(Some(match code {
            0 => return Ok(None),
            1 => Self::UnknownProduct,
            2 => Self::NotCovered,
            3 => Self::ClockSkew,
            4 => Self::NotEnrolled,
            5 => Self::UnknownKey,
            6 => Self::KeyExhausted,
            7 => Self::KeyBlocked,
            8 => Self::Busy,
            _ => return Err(Fault::Status(code)),
        }))
    }

    pub(super) const fn to_wire(refusal: Option<Self>) -> u16 {
        match refusal {
            None => 0,
            Some(refusal) => refusal.code(),
        }
    }
}
