//! Doing what is asked, in the vendor's folder.

use std::boxed::Box;
use std::string::String;
use std::sync::{Arc, OnceLock};

use super::command::{Command, Failure, KeyDetails, ProductDetails, Reply, ServiceStatus};
use crate::daemon::authority_files::AuthorityFiles;
use crate::daemon::authority_service::{Desk, DeskSettings};
use crate::daemon::authority_store::{
    Database, EnrolmentRecord, KeyRecord, KeyTerms, MachineRecord, NewKey,
};
use crate::daemon::product_file::ProductFile;
use crate::os::system_rng;
use crate::time::{Minutes, UnixTime};
use crate::wire::KeyId;

/// Rows that are read at once for a listing. Whoever reads it may be slow; the database waits for
/// nobody between pages.
const PAGE: usize = 256;

/// Hands on what is told. `false` when nobody listens any more.
pub(super) type Tell<'a> = &'a mut dyn FnMut(Reply) -> bool;

/// The vendor's folder with all that works in it.
#[derive(Debug)]
pub struct Office {
    pub(super) files: Arc<AuthorityFiles>,
    /// Made when it is needed: listings do without the keys.
    desk: OnceLock<Arc<Desk>>,
    /// Set when the desk has products and certificates: enrolments do without them.
    stocked: OnceLock<()>,
}

impl Office {
    /// An office that reads the vendor's keys when they are needed.
    #[must_use]
    pub fn new(files: AuthorityFiles) -> Self {
        Self { files: Arc::new(files), desk: OnceLock::new(), stocked: OnceLock::new() }
    }

    /// The office of a service, which looks after products and certificates itself.
    #[must_use]
    pub fn with_desk(files: Arc<AuthorityFiles>, desk: Arc<Desk>) -> Self {
        Self { files, desk: desk.into(), stocked: ().into() }
    }

    /// The folder.
    #[must_use]
    pub fn files(&self) -> &AuthorityFiles {
        &self.files
    }

    /// Does what is asked, and tells it. What is told last is [`Reply::Done`] or
    /// [`Reply::Failed`].
    ///
    /// `now` is the authority's clock. `tell` returns `false` when nobody listens any more; then no
    /// more is told, and what was begun is done all the same.
    pub fn handle(&self, command: &Command, now: UnixTime, tell: Tell<'_>) {
        let last = match self.try_to(command, now, tell) {
            Ok(()) => Reply::Done,
            Err(failure) => Reply::Failed(failure),
        };
        tell(last);
    }

    fn try_to(&self, command: &Command, now: UnixTime, tell: Tell<'_>) -> Result<(), Failure> {
        match command {
            Command::NewKey(key) => {
                tell(self.new_key(key, now)?);
            }
            Command::Key(id) => {
                let key = self.key(*id)?;
                let text = self.files.product_key(&key.record)?.to_text();
                tell(Reply::Key(KeyDetails { text: Some(text.as_str().into()), ..key }));
            }
            Command::Keys => self.tell_keys(tell)?,
            Command::Block { key_id, blocked } => {
                let blocked = *blocked;
                tell(self.change_key(*key_id, |key| Ok(KeyRecord { blocked, ..key }))?);
            }
            Command::Limit { key_id, hosts, activations } => {
                tell(self.change_key(*key_id, |key| limit(key, *hosts, *activations))?);
            }
            Command::NewProduct(product) => {
                tell(self.new_product(product, now)?);
            }
            Command::Products => {
                for file in self.files.read_products()? {
                    if !tell(self.product(file)?) {
                        break;
                    }
                }
            }
            Command::Enrolments(key_id) => self.tell_enrolments(*key_id, tell)?,
            Command::Machines(key_id) => self.tell_machines(*key_id, tell)?,
            Command::Answer(request) => {
                tell(self.answer(request, now)?);
            }
            Command::Confirm(id) => {
                tell(self.confirm(id, now)?);
            }
            Command::Status => {
                tell(self.status()?);
            }
        }
        Ok(())
    }

    fn status(&self) -> Result<Reply, Failure> {
        let desk = self.desk()?;
        let (products, certificates) = desk.sizes();
        let requests = desk.counters().all().map(|(name, count)| (name.into(), count));
        Ok(Reply::Status(ServiceStatus {
            root: self.files.config().use_root,
            products,
            certificates,
            requests: requests.into(),
        }))
    }

    /// The vendor's keys.
    pub(super) fn desk(&self) -> Result<&Desk, Failure> {
        if let Some(desk) = self.desk.get() {
            return Ok(desk);
        }
        let desk = self.read_desk()?;
        Ok(self.desk.get_or_init(|| Arc::new(desk)))
    }

    /// The vendor's keys and products: what enrolling takes.
    pub(super) fn enrolling_desk(&self) -> Result<&Desk, Failure> {
        let desk = self.desk()?;
        let (products, _) = desk.sizes();
        if products == 0 {
            desk.stock(&self.files.read_products()?).map_err(Failure::failed)?;
        }
        Ok(desk)
    }

    /// The vendor's keys, products and certificates.
    pub(super) fn stocked_desk(&self, now: UnixTime) -> Result<&Desk, Failure> {
        let desk = self.desk()?;
        if self.stocked.get().is_none() {
            let renewed = desk.renew(&self.files.read_products()?, now, &**self.files.database());
            renewed.map_err(Failure::failed)?;
            self.stocked.get_or_init(|| ());
        }
        Ok(desk)
    }

    fn read_desk(&self) -> Result<Desk, Failure> {
        let (root, others) = self.files.open_roots()?;
        let config = self.files.config();
        let settings = DeskSettings {
            host_certificate: Minutes::from_days(config.certificate_validity_days),
            own_certificate: Minutes::from_days(config.service.own_certificate_days),
            max_skew: None,
        };
        let key = self.files.service_key(&mut system_rng())?;
        Ok(Desk::new(self.files.read_master()?, key, root, others, settings))
    }

    fn new_key(&self, key: &NewKey, now: UnixTime) -> Result<Reply, Failure> {
        if let Some(product) = &key.product {
            self.files.read_product(product).map_err(|error| {
                Failure::from(error)
                    .advise("'headcount authority product list' shows the products there are.")
            })?;
        }
        let (record, text) = self.issue(key, now)?;
        Ok(Reply::Key(KeyDetails { record, usage: <_>::default(), text: Some(text) }))
    }

    /// Enters a key in the register, then derives it.
    fn issue(&self, key: &NewKey, now: UnixTime) -> Result<(KeyRecord, String), Failure> {
        let record = self.files.database().write(|records| records.add_key(key, now))??;
        let text = self.files.product_key(&record)?.to_text();
        Ok((record, text.as_str().into()))
    }

    fn key(&self, id: u32) -> Result<KeyDetails, Failure> {
        let (record, usage) =
            self.files.database().key(KeyId(id))?.ok_or_else(|| Failure::no_key(id))?;
        Ok(KeyDetails { record, usage, text: None })
    }

    fn change_key(
        &self,
        id: u32,
        change: impl FnOnce(KeyRecord) -> Result<KeyRecord, Failure>,
    ) -> Result<Reply, Failure> {
        self.files.database().write(|records| {
            let (record, usage) = records.key(KeyId(id))?.ok_or_else(|| Failure::no_key(id))?;
            let record = change(record)?;
            records.set_key(&record)?;
            Ok(Reply::Key(KeyDetails { record, usage, text: None }))
        })?
    }

    fn tell_keys(&self, tell: Tell<'_>) -> Result<(), Failure> {
        let mut after = None;
        loop {
            let page = self.files.database().keys(after, PAGE)?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            after = Some(last.key_id());
            for (record, usage) in page {
                if !tell(Reply::Key(KeyDetails { record, usage, text: None })) {
                    return Ok(());
                }
            }
        }
    }

    fn tell_enrolments(&self, key_id: Option<u32>, tell: Tell<'_>) -> Result<(), Failure> {
        let key_id = self.issued(key_id)?;
        let mut last: Option<EnrolmentRecord> = None;
        loop {
            let page = self.files.database().enrolments(key_id, last.as_ref(), PAGE)?;
            let Some(end) = page.last() else { return Ok(()) };
            last = Some(end.clone());
            if !page.into_iter().all(|one| tell(Reply::Enrolment(one))) {
                return Ok(());
            }
        }
    }

    fn tell_machines(&self, key_id: Option<u32>, tell: Tell<'_>) -> Result<(), Failure> {
        let key_id = self.issued(key_id)?;
        let mut last: Option<MachineRecord> = None;
        loop {
            let page = self.files.database().machines(key_id, last.as_ref(), PAGE)?;
            let Some(end) = page.last() else { return Ok(()) };
            last = Some(end.clone());
            if !page.into_iter().all(|one| tell(Reply::Machine(one))) {
                return Ok(());
            }
        }
    }

    /// A key that is asked about, which there must be.
    fn issued(&self, key_id: Option<u32>) -> Result<Option<KeyId>, Failure> {
        key_id.map(|id| self.key(id).map(|key| key.record.key_id())).transpose()
    }

    fn new_product(&self, product: &ProductFile, now: UnixTime) -> Result<Reply, Failure> {
        let path = self.files.product_path(&product.name)?;
        if path.exists() {
            let cause = std::format!("there is a product {} already", product.name);
            let advice = std::format!("It is defined in {}.", path.display());
            return Err(Failure::usage(cause).advise(&advice));
        }
        let ids = |file: &ProductFile| (file.application_id.clone(), file.activation_id.clone());
        let products = self.files.read_products()?;
        if let Some(other) = products.iter().find(|other| ids(other) == ids(product)) {
            let cause =
                std::format!("{} has the same application id and activation id", other.name);
            return Err(Failure::usage(cause).advise(
                "Give each edition an activation id of its own, or none to get a new one.",
            ));
        }
        let key = NewKey {
            terms: KeyTerms::Setup,
            product: Some(product.name.clone()),
            family: product.family,
            rank: product.rank,
            generation: product.generation,
            note: None,
        };
        let (record, setup_key) = self.issue(&key, now)?;
        let file = ProductFile { setup_key, roots: self.files.roots(), ..product.clone() };
        let path = self.files.write_new_product(&file)?;
        if let Some(desk) = self.desk.get() {
            let products = self.files.read_products()?;
            desk.renew(&products, now, &**self.files.database()).map_err(|error| {
                Failure::failed(error)
                    .advise("The product is defined; the service tries again by itself.")
            })?;
        }
        Ok(Reply::Product(Box::new(ProductDetails { file, path, setup_key_id: record.id })))
    }

    fn product(&self, file: ProductFile) -> Result<Reply, Failure> {
        let path = self.files.product_path(&file.name)?;
        let (_, _, key) = file.for_host().map_err(Failure::usage)?;
        let setup_key_id = key.key_id().0;
        Ok(Reply::Product(Box::new(ProductDetails { file, path, setup_key_id })))
    }
}

/// A key with other limits.
fn limit(
    key: KeyRecord,
    new_hosts: Option<u32>,
    new_activations: Option<u32>,
) -> Result<KeyRecord, Failure> {
    let terms = match (key.terms, new_hosts) {
        (KeyTerms::Host { hosts, activations }, _) => KeyTerms::Host {
            hosts: new_hosts.unwrap_or(hosts),
            activations: new_activations.unwrap_or(activations),
        },
        (KeyTerms::Mak { activations }, None) => {
            KeyTerms::Mak { activations: new_activations.unwrap_or(activations) }
        }
        (KeyTerms::Mak { .. }, Some(_)) => {
            return Err(Failure::usage("--hosts is for host keys only"));
        }
        (KeyTerms::Setup, _) => return Err(Failure::usage("a setup key has no limits")),
    };
    Ok(KeyRecord { terms, ..key })
}
