//! The authority's keys, rules and catalogue.

use core::convert::Infallible;
use core::fmt;
use std::string::String;
use std::sync::{Arc, PoisonError, RwLock};
use std::vec::Vec;

use super::catalogue::{self, Catalogue, serves_on, text};
use super::counters::AuthorityCounters;
use super::root::AuthorityRoot;
use super::signer_process::SignerError;
use crate::authority::{
    ActivationError, Authority, Decision, EnrolmentAnswer, EnrolmentError, ExaminedActivation,
    ExaminedEnrolment, KeyService, Ledger,
};
use crate::daemon::authority_store::{Database, Records};
use crate::daemon::product_file::ProductFile;
use crate::phone::InstallationId;
use crate::policy;
use crate::time::{Minutes, UnixTime};
use crate::trust::{MasterKey, Signer as _, SigningKey, UntrustedEnrolment};
use crate::wire::{Frame, KeyId, Role};

/// The authority's keys, rules and catalogue: all that answers are made from, but for the records.
pub struct Desk {
    master: MasterKey,
    key: SigningKey,
    root: AuthorityRoot,
    others: Vec<AuthorityRoot>,
    settings: DeskSettings,
    catalogue: RwLock<Arc<Catalogue>>,
    counters: Arc<AuthorityCounters>,
}

/// By which rules the authority answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeskSettings {
    /// How long a host's certificate lasts.
    pub host_certificate: Minutes,
    /// How long a certificate of the authority's own key lasts. It is renewed when a third is left.
    pub own_certificate: Minutes,
    /// How far a sender's clock may be from the authority's. `None` never refuses an activation,
    /// whose request may have been carried by hand, and refuses an enrolment beyond
    /// [`CLOCK_TOLERANCE`](policy::CLOCK_TOLERANCE).
    pub max_skew: Option<Minutes>,
}

/// A believable request.
pub(super) enum Examined {
    Activation(ExaminedActivation),
    Enrolment(ExaminedEnrolment),
}

impl Desk {
    /// `key` is the authority's own, by which it answers activations. `root` issues certificates;
    /// `others` do so only for families with a product that does not know it.
    ///
    /// There are no certificates yet, and no products: [`renew`](Self::renew) makes them.
    #[must_use]
    pub fn new(
        master: MasterKey,
        key: SigningKey,
        root: AuthorityRoot,
        others: Vec<AuthorityRoot>,
        settings: DeskSettings,
    ) -> Self {
        let (catalogue, counters) = (RwLock::default(), Arc::default());
        Self { master, key, root, others, settings, catalogue, counters }
    }

    /// Takes up the vendor's products, and has the root keys issue certificates of the authority's
    /// own key where a product family has none or an old one. Returns how many were issued.
    ///
    /// What could be had is used whatever the result.
    ///
    /// # Errors
    ///
    /// A product file, a root key or the database failed. Try again some time later.
    pub fn renew<D: Database>(
        &self,
        files: &[ProductFile],
        now: UnixTime,
        database: &D,
    ) -> Result<usize, String> {
        let mut catalogue = self.stocked(files)?;
        let known = core::mem::take(&mut catalogue.certificates);
        let certificates = &mut catalogue.certificates;
        let (mut issued, mut result) = (0_usize, Ok(()));
        let roots: Vec<_> = self.roots().collect();
        for family in catalogue::families(files, &roots) {
            let lasts = self.settings.own_certificate;
            let old =
                known.iter().find(|known| known.claims.coverage.family == family.coverage.family);
            if let Some(old) = old.filter(|old| serves_on(old, &family, lasts, now)) {
                certificates.push(*old);
                continue;
            }
            let serial = database.write(|records: &mut dyn Records<Error = D::Error>| {
                records.take_serial().map_err(text)
            });
            let certificate = serial.map_err(text).flatten().and_then(|serial| {
                let root = self.authority(family.root, lasts);
                let key = self.key.public_key();
                root.certify(key, Role::Authority, family.coverage, serial, now).map_err(text)
            });
            match certificate {
                Ok(certificate) => {
                    issued = issued.saturating_add(1);
                    certificates.push(certificate);
                }
                Err(error) => {
                    certificates.extend(old);
                    result = Err(error);
                }
            }
        }
        self.take_up(catalogue);
        result.map(|()| issued)
    }

    /// Takes up the vendor's products without a look at certificates: enrolling hosts needs none.
    ///
    /// # Errors
    ///
    /// A product file failed.
    pub fn stock(&self, files: &[ProductFile]) -> Result<(), String> {
        self.stocked(files).map(|catalogue| self.take_up(catalogue))
    }

    /// A catalogue of these products, with the certificates that there are.
    fn stocked(&self, files: &[ProductFile]) -> Result<Catalogue, String> {
        let roots: Vec<_> = self.roots().collect();
        let families = catalogue::families(files, &roots);
        Ok(Catalogue {
            products: catalogue::products(files)?,
            confirmed_by: catalogue::known_roots(files, &roots),
            enrolled_by: families
                .iter()
                .map(|family| (family.coverage.family, family.root.id))
                .collect(),
            certificates: self.catalogue().certificates.clone(),
        })
    }

    fn take_up(&self, catalogue: Catalogue) {
        *self.catalogue.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(catalogue);
    }

    /// What became of the requests that were answered from here.
    #[must_use]
    pub const fn counters(&self) -> &Arc<AuthorityCounters> {
        &self.counters
    }

    /// How many products there are, and how many certificates of the authority's own key.
    #[must_use]
    pub fn sizes(&self) -> (usize, usize) {
        let catalogue = self.catalogue();
        (catalogue.products.len(), catalogue.certificates.len())
    }

    /// The root key that enrols hosts.
    pub(super) const fn root(&self) -> &AuthorityRoot {
        &self.root
    }

    pub(super) fn examine_activation(&self, frame: &Frame) -> Result<Examined, String> {
        let catalogue = self.catalogue();
        self.key_service(&catalogue).examine(frame).map(Examined::Activation).map_err(text)
    }

    pub(super) fn examine_enrolment(&self, frame: &Frame) -> Result<Examined, String> {
        self.enrolling().examine_enrolment(frame).map(Examined::Enrolment).map_err(text)
    }

    pub(super) fn decide_activation<L: Ledger>(
        &self,
        examined: &ExaminedActivation,
        now: UnixTime,
        ledger: &mut L,
    ) -> Result<Decision, ActivationError<Infallible, L::Error>> {
        let catalogue = self.catalogue();
        self.key_service(&catalogue).decide(examined, now, ledger)
    }

    pub(super) fn conclude_enrolment<L: Ledger>(
        &self,
        examined: &ExaminedEnrolment,
        now: UnixTime,
        serial: u64,
        ledger: &mut L,
    ) -> Result<EnrolmentAnswer, EnrolmentError<SignerError, L::Error>> {
        let request = examined.request().map_err(|malformed| {
            EnrolmentError::Untrusted(UntrustedEnrolment::Malformed(malformed))
        })?;
        let authority = self.enrolling_with(request.key_id, ledger);
        let authority = authority.map_err(EnrolmentError::Ledger)?;
        authority.conclude_enrolment(examined, now, serial, ledger)
    }

    /// Signs what is durable.
    pub(super) fn sign(&self, decision: &Decision) -> Frame {
        let catalogue = Catalogue::default();
        match self.key_service(&catalogue).sign(decision) {
            Ok(answer) => answer.frame,
            Err(never) => match never {},
        }
    }

    /// Status 8; `None` when nobody could believe it.
    pub(super) fn busy_activation(
        &self,
        examined: &ExaminedActivation,
        now: UnixTime,
    ) -> Option<Frame> {
        let catalogue = self.catalogue();
        self.key_service(&catalogue).busy(examined, now).ok().map(|answer| answer.frame)
    }

    /// Status 8; `None` when the root key is elsewhere, which sockets do not wait for.
    pub(super) fn busy_enrolment(
        &self,
        examined: &ExaminedEnrolment,
        now: UnixTime,
    ) -> Option<Frame> {
        if !self.root().signer.is_here() {
            return None;
        }
        self.enrolling().busy_enrolment(examined, now).ok().map(|answer| answer.frame)
    }

    pub(in crate::daemon) fn enrolling(&self) -> Authority<'_, super::RootSigner> {
        self.enrolling_by(&self.root)
    }

    /// As [`enrolling`](Self::enrolling), with a root key that all products of the host key's family
    /// know: a host believes no other, not even that it is refused. Where there is none, the one in
    /// use.
    pub(in crate::daemon) fn enrolling_with<L: Ledger>(
        &self,
        key_id: KeyId,
        ledger: &mut L,
    ) -> Result<Authority<'_, super::RootSigner>, L::Error> {
        let family = ledger.host_key(key_id)?.map(|key| key.coverage.family);
        let catalogue = self.catalogue();
        let id = family.and_then(|family| catalogue.enrolled_by.get(&family).copied());
        let root = self.roots().find(|root| Some(root.id) == id);
        Ok(self.enrolling_by(root.unwrap_or(&self.root)))
    }

    fn enrolling_by<'a>(&'a self, root: &'a AuthorityRoot) -> Authority<'a, super::RootSigner> {
        let authority = self.authority(root, self.settings.host_certificate);
        // Who enrols on line has just asked.
        let max_skew = Some(self.settings.max_skew.unwrap_or(policy::CLOCK_TOLERANCE));
        Authority { max_skew, ..authority }
    }

    /// As [`enrolling`](Self::enrolling), with a root key that the machine's product knows: a
    /// confirmation by another one is worth nothing to it. `None` when it knows none of them.
    pub(in crate::daemon) fn confirming(
        &self,
        id: &InstallationId,
    ) -> Option<Authority<'_, super::RootSigner>> {
        let catalogue = self.catalogue();
        let mut products = catalogue.products.iter().zip(&catalogue.confirmed_by);
        let product =
            products.find(|(product, _)| id.is_of(product.application_id, product.activation_id));
        let root = match product {
            Some((_, known)) => self.roots().find(|root| Some(root.id) == *known)?,
            // It is refused, so nothing is signed.
            None => &self.root,
        };
        Some(self.authority(root, self.settings.host_certificate))
    }

    /// The one in use first.
    fn roots(&self) -> impl Iterator<Item = &AuthorityRoot> {
        core::iter::once(&self.root).chain(&self.others)
    }

    fn authority<'a>(
        &'a self,
        root: &'a AuthorityRoot,
        certificate_validity: Minutes,
    ) -> Authority<'a, super::RootSigner> {
        Authority {
            master: &self.master,
            root_id: root.id,
            root: &root.signer,
            certificate_validity,
            max_skew: self.settings.max_skew,
        }
    }

    pub(in crate::daemon) fn key_service<'a>(
        &'a self,
        catalogue: &'a Catalogue,
    ) -> KeyService<'a, SigningKey> {
        KeyService {
            master: &self.master,
            signer: &self.key,
            certificates: &catalogue.certificates,
            products: &catalogue.products,
            max_skew: self.settings.max_skew,
            activation_interval: policy::ACTIVATION_INTERVAL,
            renewal_interval: policy::RENEWAL_INTERVAL,
        }
    }

    pub(in crate::daemon) fn catalogue(&self) -> Arc<Catalogue> {
        self.catalogue.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk")
            .field("root", &self.root)
            .field("others", &self.others)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
