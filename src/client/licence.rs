//! What a client is licensed for at a moment. It is not stored but derived each time, from the
//! believed activation and the clocks (PROTOCOL 11).

use core::fmt;
use core::time::Duration;

use super::Client;
use crate::discovery::Hosts;
use crate::policy;
use crate::time::{Millis, Minutes, Now, UnixTime};
use crate::trust::{self, Verifier};
use crate::wire::{HostId, KeyId, LicenceStatus, Method};

/// The state of a licence and how long it stays so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Licence {
    /// The status; only [`LicenceStatus::Licensed`] is activated.
    pub status: LicenceStatus,
    /// Time left in it; `None` when there is no limit.
    pub left: Option<Duration>,
}

/// The activation that a client holds, whether or not it still counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ActivationInfo {
    /// Who granted it.
    pub by: ActivatedBy,
    /// The id of the key that signed it, the host's or the authority's; `None` by phone.
    pub host_id: Option<HostId>,
    /// The time there when it was granted; 0 by phone.
    pub host_time: UnixTime,
    /// The count it was granted on; with a key, the activations that were left on it; 0 by phone.
    pub count: u32,
    /// How long it lasts; `None` for ever.
    pub validity: Option<Duration>,
    /// The wait until the renewal, as the client obeys it.
    pub renewal_interval: Minutes,
}

/// Who granted an activation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ActivatedBy {
    /// A host, by its count.
    Count,
    /// The authority, by the key of this number.
    Key(KeyId),
    /// The vendor by phone, by the key of this number.
    Phone(KeyId),
}

/// The product was rearmed by hand as often as it allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct RearmLimitReached {
    /// How often it allows.
    pub limit: u8,
}

impl<V: Verifier, H: Hosts> Client<'_, V, H> {
    /// The licence at this moment.
    #[must_use]
    pub fn licence(&self, now: Now) -> Licence {
        let (status, left) = self.standing(now);
        Licence { status, left: left.map(Millis::as_duration) }
    }

    /// Whether the product is activated at this moment.
    #[must_use]
    pub fn is_activated(&self, now: Now) -> bool {
        self.standing(now).0 == LicenceStatus::Licensed
    }

    /// The activation it holds, also when that has ended or the hardware no longer matches.
    #[must_use]
    pub fn activation(&self) -> Option<ActivationInfo> {
        let activation = self.record.activation.as_ref()?;
        let response = activation.response();
        let key_id = activation.request().key_id();
        let by_phone = activation.is_by_phone::<H>();
        let by = match activation.method::<H>() {
            Method::Count => ActivatedBy::Count,
            Method::Key if by_phone => ActivatedBy::Phone(key_id),
            Method::Key => ActivatedBy::Key(key_id),
        };
        let signer = || trust::host_id(&response.certificate().public_key());
        Some(ActivationInfo {
            by,
            host_id: (!by_phone).then(signer),
            host_time: response.host_time(),
            count: response.count(),
            validity: activation.validity::<_, H>(self.product).map(Minutes::as_duration),
            renewal_interval: policy::bounded_interval(response.renewal_interval()),
        })
    }

    /// The status of the licence, and the time left in it.
    pub(super) fn standing(&self, now: Now) -> (LicenceStatus, Option<Millis>) {
        let (limits, held) = (&self.product.limits, self.record.activation.as_ref());
        let (mut status, span, limit) = match held {
            None => (LicenceStatus::InitialGrace, &self.record.grace, Some(limits.initial_grace)),
            Some(held) => (LicenceStatus::Licensed, &held.age, held.validity::<_, H>(self.product)),
        };
        let mut left = limit.map(|limit| span.left_of(limit.as_millis(), now));
        if let Some(since) = held.and_then(|held| held.out_of_tolerance) {
            status = LicenceStatus::OutOfToleranceGrace;
            // No change of hardware prolongs anything: this grace ends with the activation at the
            // latest.
            let grace = since.left_of(limits.tolerance_grace.as_millis(), now);
            left = Some(left.map_or(grace, |left| left.min(grace)));
        }
        if left == Some(Millis::ZERO) {
            return (LicenceStatus::Notification, None);
        }
        (status, left)
    }
}

impl fmt::Display for RearmLimitReached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "this product can be rearmed {} times, and was", self.limit)
    }
}

impl core::error::Error for RearmLimitReached {}
