//! What a client is told at build time (the product) and at start (the machine).

use core::num::NonZeroU32;

use super::record::method_of;
use super::step::Rejection;
use crate::discovery::Hosts;
use crate::fingerprint::{Fingerprint, Matching};
use crate::policy;
use crate::time::Minutes;
use crate::trust::{Expected, KnownCertificates, Root, TagKey, Verified, Verifier, VerifyingKey};
use crate::wire::{
    ActivationId, ApplicationId, CountedId, Coverage, Frame, KeyId, Name, RequestView,
    ResponseView, Validity,
};

/// The product that is to be activated, as its vendor built it.
///
/// All of it belongs into the product itself. Above all the root keys must not come from anything
/// that the customer can change. They also say which implementation of Ed25519, `V`, is used.
#[derive(Clone, Debug)]
pub struct Product<'a, V = VerifyingKey> {
    /// The product.
    pub application_id: ApplicationId,
    /// Its edition.
    pub activation_id: ActivationId,
    /// The pool it is counted in.
    pub counted_id: CountedId,
    /// Its place in the catalogue, which a host's certificate must cover.
    pub coverage: Coverage,
    /// Its threshold: the count from which it is activated.
    pub required_count: NonZeroU32,
    /// How much hardware may change.
    pub matching: Matching,
    /// Number of the setup key that ships in every unit.
    pub key_id: KeyId,
    /// The setup key's tag key.
    pub tag_key: TagKey,
    /// The vendor's root keys.
    pub roots: &'a [Root<V>],
    /// What time and tries the product allows.
    pub limits: Limits,
}

/// What time and tries a product allows; see the constants of [`policy`] for the defaults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Limits {
    /// The longest activation that is used, whatever a host grants.
    pub maximum_validity: Validity,
    /// Grace after the first start.
    pub initial_grace: Minutes,
    /// Grace after the hardware has changed too much.
    pub tolerance_grace: Minutes,
    /// How often the product may be rearmed by hand.
    pub rearms: u8,
    /// Wait between tries until a host says another, bounded to 15 to 43,200 minutes.
    pub activation_interval: Minutes,
}

impl Limits {
    /// 180 days of validity at most, 30 days of either grace, 3 rearms, a try every 2 hours.
    pub const DEFAULT: Self = Self {
        maximum_validity: Validity::For(policy::VALIDITY),
        initial_grace: policy::INITIAL_GRACE,
        tolerance_grace: policy::INITIAL_GRACE,
        rearms: policy::REARM_LIMIT,
        activation_interval: policy::ACTIVATION_INTERVAL,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl<V> Product<'_, V> {
    /// Whether a request was made by this edition of this product.
    pub(super) fn made(&self, request: RequestView<'_>) -> bool {
        request.application_id() == self.application_id
            && request.activation_id() == self.activation_id
            && request.counted_id() == self.counted_id
    }
}

impl<V: Verifier> Product<'_, V> {
    /// A stored answer to a request, if it can be believed.
    pub(super) fn answer<'f, H: Hosts>(
        &self,
        request: &Frame,
        answer: &'f Frame,
        known: &mut KnownCertificates,
    ) -> Result<Verified<ResponseView<'f>>, Rejection> {
        let expected = Expected {
            request,
            method: method_of::<H>(request),
            product: self.coverage,
            roots: self.roots,
            known_certificate: None,
        };
        known.verify(answer, &expected, None).map_err(Rejection::Untrusted)
    }
}

/// The machine that the client runs on.
#[derive(Clone, Copy, Debug)]
pub struct Machine<'a> {
    /// Its hardware, made with [`trust::fingerprint`](crate::trust::fingerprint).
    pub fingerprint: Fingerprint,
    /// Its name, for people.
    pub workstation_name: Name<'a>,
    /// Whether it is a virtual machine.
    pub virtual_machine: bool,
}
