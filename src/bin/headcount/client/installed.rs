//! A client on disk: configuration, product, stored state.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use headcount::client::{Client, IMAGE_LEN, Machine, Product};
use headcount::daemon::files::{self, FileError};
use headcount::daemon::{
    ClientConfig, HostSearch, MachineFacts, ProductFile, Resolver, Transport, parse_host,
};
use headcount::discovery::{Finder, Host, InstalledKey, Keyed, Settings};
use headcount::storage::{FileStore, Found, Kind, Slots, image_len};
use headcount::time::Now;
use headcount::trust::{Root, VerifyingKey};
use headcount::wire::{ApplicationId, Name};
use rand_core::CryptoRng;

use super::last_host::LastHost;
use super::{ConfigArgument, key_file};
use crate::output::{Exit, Problem};

/// How long one command waits for another that works on the same state, as the authority's do.
const LOCK_PATIENCE: Duration = Duration::from_secs(5);
const LOCK_POLL: Duration = Duration::from_millis(50);

/// Hosts of a list in DNS that are tried; of more, the first ones in the order of RFC 2782.
pub(super) const LIST_LEN: usize = 32;

/// The client of this program: it finds its hosts by itself, or asks the authority by key.
pub(super) type FindingClient<'a> = Client<'a, VerifyingKey, Keyed<'a, Finder<'a, LIST_LEN>>>;

/// What a client refers to, read from its files.
pub(super) struct Installed {
    pub(super) config: ClientConfig,
    pub(super) product_file: ProductFile,
    pub(super) search: HostSearch,
    pub(super) resolver: Resolver,
    /// The multiple activation key, where one is installed.
    pub(super) key: Option<InstalledKey>,
    roots: Vec<Root>,
    facts: MachineFacts,
    folder: PathBuf,
}

/// The client's state on disk, held by this process alone.
pub(super) struct State {
    slots: Slots<FileStore>,
    image: Option<Vec<u8>>,
    _lock: File,
}

impl Installed {
    pub(super) fn read(argument: &ConfigArgument) -> Result<Self, Problem> {
        let config = ClientConfig::read(&argument.config).map_err(|error| {
            Problem::from(error).advise("'headcount client init DIR' makes a new client's folder.")
        })?;
        let product_file = config.read_product()?;
        let roots = product_file.roots().map_err(|error| Problem::new(Exit::Usage, error))?;
        let (facts, folder) = (config.machine_facts(), config.state_folder());
        let found = config.host_search(&facts.name);
        let (search, resolver) = found.map_err(|reason| Problem::new(Exit::Usage, reason))?;
        let key = key_file::read(&folder).map_err(|error| {
            Problem::from(error).advise(
                "Remove this file, then install the key again: 'headcount client install-key'.",
            )
        })?;
        Ok(Self { config, product_file, search, resolver, key, roots, facts, folder })
    }

    pub(super) fn product(&self) -> Result<Product<'_>, Problem> {
        self.product_file.for_client(&self.roots).map_err(|error| Problem::new(Exit::Usage, error))
    }

    pub(super) fn machine(&self, application_id: ApplicationId) -> Machine<'_> {
        Machine {
            fingerprint: self.facts.fingerprint(application_id),
            workstation_name: Name::truncated(&self.facts.name),
            virtual_machine: self.config.machine.virtual_machine,
        }
    }

    /// Leaves the machine's name out of what it sends.
    pub(super) fn withhold_name(&mut self) {
        self.facts.name.clear();
    }

    /// The folder of its state.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where the authority is: as the command line says, or the configuration, or the product file.
    pub(super) fn authority(&self, given: Option<&str>) -> Result<Option<Host>, Problem> {
        let place = given.or(self.config.authority.as_deref());
        let place = place.or(self.product_file.authority.as_deref());
        let host = place.map(parse_host).transpose();
        host.map_err(|reason| Problem::new(Exit::Usage, reason))
    }

    /// Heeds what the command line says of hosts.
    pub(super) fn override_search(
        &mut self,
        hosts: &[String],
        transport: Option<Transport>,
    ) -> Result<(), Problem> {
        if !hosts.is_empty() {
            let hosts = hosts.iter().map(|host| parse_host(host)).collect::<Result<_, _>>();
            self.search.hosts = hosts.map_err(|reason| Problem::new(Exit::Usage, reason))?;
        }
        self.search.transport = transport.unwrap_or(self.search.transport);
        Ok(())
    }

    /// Opens the state for this process alone.
    pub(super) fn open(&self) -> Result<State, Problem> {
        files::create_private_dir(&self.folder)?;
        let lock = self.lock()?;
        let fail =
            |error: std::io::Error| FileError::new(&self.folder, "cannot read the state in", error);
        let store = FileStore::open(&self.folder, "client").map_err(fail)?;
        let mut buffer = [0; image_len(IMAGE_LEN)];
        let (slots, found) = Slots::open(store, Kind::Client, &mut buffer).map_err(fail)?;
        let image = match found {
            Found::Nothing => None,
            Found::Whole { payload, .. } => Some(payload.to_vec()),
            Found::Damaged { a, b } => {
                return Err(self.damaged(&format!("first copy: {a:?}, second copy: {b:?}")));
            }
        };
        Ok(State { slots, image, _lock: lock })
    }

    /// The client as it was left, or a new one. It remembers the host that answered last.
    pub(super) fn client<'a>(
        &'a self,
        product: &'a Product<'a>,
        settings: &'a Settings<'a>,
        state: &State,
        now: Now,
        rng: &mut impl CryptoRng,
    ) -> Result<FindingClient<'a>, Problem> {
        self.client_with(self.key.as_ref(), product, settings, state, now, rng)
    }

    /// The same with another key than the one that is installed, or none to ask hosts.
    pub(super) fn client_with<'a>(
        &'a self,
        key: Option<&'a InstalledKey>,
        product: &'a Product<'a>,
        settings: &'a Settings<'a>,
        state: &State,
        now: Now,
        rng: &mut impl CryptoRng,
    ) -> Result<FindingClient<'a>, Problem> {
        let machine = self.machine(product.application_id);
        let mut finder = Finder::new(settings);
        if let Some(LastHost { host, addresses }) = self.last_host() {
            finder.remember(host, &addresses);
        }
        let finder = Keyed::new(finder, key);
        match &state.image {
            None => Ok(Client::new_with(product, machine, finder, now, rng)),
            Some(image) => Client::resume_with(product, machine, finder, image, now, rng)
                .map_err(|corrupt| self.damaged(&corrupt.to_string())),
        }
    }

    /// The host that answered last, for the next run.
    pub(super) fn last_host(&self) -> Option<LastHost> {
        LastHost::read(&self.folder)
    }

    /// Keeps the host that the client remembers, and where it was.
    pub(super) fn remember_host(&self, client: &FindingClient<'_>) -> Result<(), FileError> {
        let Some(host) = client.hosts().hosts().remembered().cloned() else { return Ok(()) };
        let addresses = client.hosts().hosts().remembered_addresses().to_vec();
        LastHost { host, addresses }.write(&self.folder)
    }

    fn lock(&self) -> Result<File, Problem> {
        let path = self.folder.join("lock");
        let open = OpenOptions::new().create(true).write(true).truncate(false).open(&path);
        let file = open.map_err(|error| FileError::new(&path, "cannot open", error))?;
        let start = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::WouldBlock) if start.elapsed() < LOCK_PATIENCE => {
                    std::thread::sleep(LOCK_POLL);
                }
                Err(TryLockError::WouldBlock) => {
                    let cause = "another headcount works on this client's state";
                    return Err(Problem::new(Exit::Failed, cause)
                        .advise("It may be waiting for a host. Try again when it is done."));
                }
                Err(TryLockError::Error(error)) => {
                    return Err(FileError::new(&path, "cannot lock", error).into());
                }
            }
        }
    }

    fn damaged(&self, reason: &str) -> Problem {
        let cause = format!("the state in {} is damaged ({reason})", self.folder.display());
        Problem::new(Exit::Damaged, cause).advise(
            "Move client.a and client.b out of the folder: the machine then gets a new id and asks \
             for activation afresh.",
        )
    }
}

impl State {
    pub(super) fn save(&mut self, image: &[u8; IMAGE_LEN]) -> Result<(), Problem> {
        let mut buffer = [0; image_len(IMAGE_LEN)];
        self.slots
            .save(image, &mut buffer)
            .map_err(|error| Problem::new(Exit::Failed, format!("cannot save the state: {error}")))
    }
}
