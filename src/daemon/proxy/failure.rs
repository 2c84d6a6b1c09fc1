//! Why a machine has no answer, as the store remembers it.

use std::string::{String, ToString};

use serde::{Deserialize, Serialize};

use crate::daemon::files;
use crate::time::UnixTime;
use crate::trust::request_digest;
use crate::wire::{Frame, Refusal};

/// Why a machine has no answer yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Failure {
    /// What happened.
    pub kind: FailureKind,
    /// The status code of a refusal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The reason, for people.
    pub reason: String,
    /// When, in seconds since 1970.
    pub at: u64,
    /// How many runs ended like this or in another failure.
    pub runs: u32,
    /// Digest of the request, so that nothing is said of a later one.
    request: String,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The authority refused.
    Refused,
    /// Nobody answered.
    NobodyAnswered,
    /// What came is no answer that can be kept.
    NotTrusted,
}

impl Failure {
    /// A failure of a request, after another one of the same request if there was one.
    pub(super) fn new(
        kind: FailureKind,
        (status, reason): (Option<u16>, String),
        request: &Frame,
        at: UnixTime,
        before: Option<&Self>,
    ) -> Self {
        let runs = before.map_or(0, |before| before.runs).saturating_add(1);
        Self { kind, status, reason, at: at.as_secs(), runs, request: digest(request) }
    }

    /// Whether it is of this request.
    pub(super) fn is_of(&self, request: &Frame) -> bool {
        self.request == digest(request)
    }

    /// Whether asking again would help only if somebody did something first. A busy authority says
    /// itself that it is for now.
    #[must_use]
    pub fn is_final(&self) -> bool {
        self.kind == FailureKind::Refused && self.status != Some(Refusal::Busy.code())
    }
}

impl FailureKind {
    /// A stable name in lower case with underscores, for JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::NobodyAnswered => "nobody_answered",
            Self::NotTrusted => "not_trusted",
        }
    }
}

/// What a refusal means for who runs the proxy.
pub(super) fn refusal_reason(refusal: Refusal) -> (Option<u16>, String) {
    let reason = match refusal {
        Refusal::UnknownProduct => "the product is unknown",
        Refusal::NotCovered => "the key is not for this product",
        Refusal::ClockSkew => "the machine's clock and the authority's are too far apart",
        Refusal::NotEnrolled => "the authority's certificate is not valid now",
        Refusal::UnknownKey => "the key is unknown",
        Refusal::KeyExhausted => "the key is used up",
        Refusal::KeyBlocked => "the key is blocked",
        Refusal::Busy => "the authority is busy",
    };
    (Some(refusal.code()), reason.to_string())
}

fn digest(request: &Frame) -> String {
    files::to_hex(&request_digest(request).0)
}
