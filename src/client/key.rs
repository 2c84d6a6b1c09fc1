//! Activation by key: which key a client takes, and activations that are brought to it.

use core::fmt;

use rand_core::CryptoRng;

use super::phone::{Confirmed, is_by_phone};
use super::record::Activation;
use super::span::Span;
use super::step::{Outcome, Rejection};
use super::{Client, Phase, Product};
use crate::discovery::{Hosts, InstalledKey, Keyed, Numbered};
use crate::policy;
use crate::time::Now;
use crate::trust::{ProductKey, Untrusted, Verifier};
use crate::wire::{Frame, KeyKind, Method, RequestView, Verdict};

/// What a product key that somebody gives a client makes of it.
#[derive(Clone, Debug)]
pub enum KeyChoice {
    /// The product's own setup key: it asks hosts, as it does without any key.
    ByCount,
    /// A multiple activation key: it asks the authority.
    ByKey(InstalledKey),
}

/// Why a product key is none for a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum WrongKey {
    /// It is a host key, which is a secret of those who run hosts.
    HostKey,
    /// It is the setup key of another product.
    OtherSetupKey,
}

impl KeyChoice {
    /// What this key means to this product.
    ///
    /// Whether a multiple activation key covers the product only the authority can tell.
    ///
    /// # Errors
    ///
    /// It is no key for a client of this product.
    pub fn of<V>(product: &Product<'_, V>, key: &ProductKey) -> Result<Self, WrongKey> {
        match key.kind() {
            KeyKind::MultipleActivation => {
                Ok(Self::ByKey(InstalledKey { key_id: key.key_id(), tag_key: key.tag_key() }))
            }
            KeyKind::Host => Err(WrongKey::HostKey),
            KeyKind::ClientSetup => {
                let own = key.key_id() == product.key_id && key.tag_key() == product.tag_key;
                if own { Ok(Self::ByCount) } else { Err(WrongKey::OtherSetupKey) }
            }
        }
    }

    /// The key to install; none to ask hosts.
    #[must_use]
    pub const fn installed(&self) -> Option<&InstalledKey> {
        match self {
            Self::ByCount => None,
            Self::ByKey(key) => Some(key),
        }
    }
}

impl<V: Verifier, H: Hosts> Client<'_, V, H> {
    /// The key that requests are made with, in place of the product's setup key.
    pub(super) fn installed(&self) -> Option<&InstalledKey> {
        if H::BY_KEY { self.hosts.key() } else { None }
    }

    /// Whether there is nothing to ask for: the authority has granted it for ever.
    pub(super) fn is_settled(&self, now: Now) -> bool {
        let held = self.record.activation.as_ref();
        held.is_some_and(|held| held.is_never_renewed::<H>() && self.is_as_installed(held))
            && self.is_activated(now)
    }

    /// Whether this activation is by the key that is installed, or by count where none is.
    pub(super) fn is_as_installed(&self, activation: &Activation) -> bool {
        match self.installed() {
            Some(key) => {
                activation.method::<H>() == Method::Key
                    && activation.request().key_id() == key.key_id
            }
            None => activation.method::<H>() == Method::Count,
        }
    }
}

impl<'k, V: Verifier, H: Hosts> Client<'_, V, Keyed<'k, H>> {
    /// From now on asks the authority with this key, or hosts without one: as after a start, at the
    /// next [`poll`](Self::poll) unless it is activated just so. A request on its way is dropped. An
    /// activation by another key, or the other way, stays until this way has granted one.
    ///
    /// Keys are not part of [`image`](Self::image): the driver stores them apart, where only it reads.
    pub fn install(&mut self, now: Now, rng: &mut impl CryptoRng, key: Option<&'k InstalledKey>) {
        self.hosts.install(key);
        self.begin_again(now, rng);
    }

    /// Drops what is on its way, and asks or rests as after a start.
    fn begin_again(&mut self, now: Now, rng: &mut impl CryptoRng) {
        self.phase = Phase::Resting { until: now.monotonic, retry_at: now.monotonic };
        self.rest_after_start(now, rng);
    }

    /// Takes an activation by key that was carried here, as a file, by a proxy or by phone: a request
    /// of this machine, and the authority's answer to it or the record of a
    /// [confirmation](crate::phone::Confirmation::record). A request that waits is dropped.
    ///
    /// It is believed like a stored activation, so it may be old, and no clock is compared. The
    /// request must carry a fingerprint that matches this machine's, and its CMID becomes the
    /// machine's: one whose disk was made anew is again what it was, and nothing is counted twice.
    /// A genuine refusal changes nothing. When it is by another key than the one that is installed, the
    /// client goes on to ask with that one.
    ///
    /// # Errors
    ///
    /// It is not believed, and has changed nothing.
    pub fn take_stored(
        &mut self,
        now: Now,
        rng: &mut impl CryptoRng,
        request: &Frame,
        answer: &Frame,
    ) -> Result<Outcome, Rejection> {
        let (product, machine) = (self.product, &self.machine);
        let asked = RequestView::parse(request)
            .map_err(|malformed| Rejection::Untrusted(Untrusted::Malformed(malformed)))?;
        if asked.method() != Method::Key {
            return Err(Rejection::ByCount);
        }
        if !product.made(asked) {
            return Err(Rejection::OtherProduct);
        }
        if !product.matching.same_machine(&asked.fingerprint(), &machine.fingerprint) {
            return Err(Rejection::OtherHardware);
        }
        let activation = if is_by_phone::<Keyed<'k, H>>(answer) {
            let confirmed = Confirmed::verify(answer, request, product)?;
            Activation::confirmed(request, confirmed, Span::begin(now, self.record.floor))
        } else {
            let answer = product.answer::<Keyed<'k, H>>(request, answer, &mut self.known)?;
            if let Verdict::Refused(refusal) = answer.verdict() {
                return Ok(Outcome::Refused(refusal));
            }
            Activation::new(request, answer, Span::begin_at(answer.host_time(), now))
        };
        let granted = activation.response();
        self.record.adopt(asked.cmid());
        self.record.floor = self.record.floor.max(granted.host_time());
        if let Some(interval) = activation.activation_interval::<Keyed<'k, H>>() {
            self.activation_interval = policy::bounded_interval(interval);
        }
        let outcome = Outcome::Activated { count: granted.count() };
        self.record.activation = Some(activation);
        self.begin_again(now, rng);
        self.unsaved = true;
        self.last_attempt = Some(Ok(outcome));
        Ok(outcome)
    }
}

impl<V: Verifier> Client<'_, V, Keyed<'_, Numbered>> {
    /// As [`prefer_host`](Client::prefer_host) of a client that only counts.
    pub const fn prefer_host(&mut self, host: u8) {
        self.hosts.hosts_mut().prefer(host);
    }
}

impl fmt::Display for WrongKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::HostKey => "this is a host key: it enrols hosts and belongs on no client",
            Self::OtherSetupKey => "this is the setup key of another product",
        })
    }
}

impl core::error::Error for WrongKey {}
