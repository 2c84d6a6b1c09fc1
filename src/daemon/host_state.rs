//! A host's folder and memory: key, certificate, counts, and how they get there and back.

use core::fmt;
use std::borrow::ToOwned;
use std::boxed::Box;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::string::{String, ToString};
use std::vec::Vec;

use zeroize::Zeroizing;

use super::files::{self, FileError, Secrecy};
use super::product_file::ProductFile;
use crate::host::{Host, Pool, Product, Restored, Settings, SetupKey};
use crate::storage::{FileStore, Found, Kind, SaveError, Slot, SlotState, Slots, image_len};
use crate::time::Now;
use crate::trust::{ProductKey, Root, Signer, SigningKey};
use crate::wire::{CERTIFICATE_LEN, Certificate, CountedId, Frame};

/// Machines that a pool of the daemon can count: enough for thresholds up to 4,096.
pub const POOL_CAPACITY: usize = 8_192;

/// Sources that the daemon's rate limit remembers at once.
pub const SOURCES: usize = 4_096;

/// The daemon's host.
pub type DaemonHost = Host<'static, POOL_CAPACITY, SOURCES>;

/// The files in a host's folder.
#[derive(Clone, Debug)]
pub struct HostFiles {
    folder: PathBuf,
}

impl HostFiles {
    /// The files in `folder`.
    #[must_use]
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Makes the folder and a new host key. A key that exists is never overwritten.
    pub fn init(&self, rng: &mut impl rand_core::CryptoRng) -> Result<SigningKey, FileError> {
        files::create_private_dir(&self.folder)?;
        let (key, seed) = SigningKey::generate(rng);
        files::write_new_secret(&self.key_path(), &seed)?;
        Ok(key)
    }

    /// Whether there is a host key: a host was set up here, or that was begun.
    #[must_use]
    pub fn has_key(&self) -> bool {
        self.key_path().exists()
    }

    /// The host key.
    pub fn read_key(&self) -> Result<SigningKey, FileError> {
        files::read_secret(&self.key_path()).map(|seed| SigningKey::from_seed(&seed))
    }

    /// The certificate; `None` before the first enrolment.
    pub fn read_certificate(&self) -> Result<Option<Certificate>, FileError> {
        let path = self.certificate_path();
        if !path.exists() {
            return Ok(None);
        }
        let bytes = files::read(&path)?;
        let bytes: &[u8; CERTIFICATE_LEN] = bytes
            .as_slice()
            .try_into()
            .map_err(|_| FileError::new(&path, "cannot understand", "not 120 bytes long"))?;
        Certificate::parse(bytes)
            .map(Some)
            .map_err(|malformed| FileError::new(&path, "cannot understand", malformed))
    }

    /// Stores the certificate of an enrolment that has been verified.
    pub fn write_certificate(&self, certificate: &Certificate) -> Result<(), FileError> {
        files::write(&self.certificate_path(), &certificate.emit(), Secrecy::Public)
    }

    /// The enrolment request in a file that waits for its answer.
    pub fn read_pending_enrolment(&self) -> Result<Frame, FileError> {
        let path = self.folder.join("enrolment.request");
        let bytes = files::read(&path)?;
        let length = bytes.len();
        bytes.try_into().map_err(|_| {
            FileError::new(&path, "cannot understand", std::format!("{length} bytes, not 250"))
        })
    }

    /// Remembers an enrolment request until its answer comes.
    pub fn write_pending_enrolment(&self, frame: &Frame) -> Result<(), FileError> {
        files::write(&self.folder.join("enrolment.request"), frame, Secrecy::Public)
    }

    /// The enrolment request that was sent on line and had no answer that could be used. What is no
    /// frame is passed over: a new one can be made.
    pub(super) fn read_unanswered_enrolment(&self) -> Result<Option<Frame>, FileError> {
        let path = self.unanswered_path();
        if !path.exists() {
            return Ok(None);
        }
        Ok(files::read(&path)?.try_into().ok())
    }

    /// Remembers an enrolment request before it is sent.
    pub(super) fn write_unanswered_enrolment(&self, frame: &Frame) -> Result<(), FileError> {
        files::write(&self.unanswered_path(), frame, Secrecy::Public)
    }

    /// Forgets it, where there is one.
    pub(super) fn forget_unanswered_enrolment(&self) -> Result<(), FileError> {
        files::remove(&self.unanswered_path())
    }

    /// Keeps other processes from serving with this folder: each would save its own counts over the
    /// other's.
    pub fn lock(&self) -> Result<HostLock, FileError> {
        let lock = files::try_lock(&self.folder)?;
        let lock = lock.ok_or_else(|| {
            FileError::new(&self.folder, "cannot lock", "another host runs with this folder")
        })?;
        Ok(HostLock { _file: lock })
    }

    /// Opens the counts for reading and saving.
    pub fn open_state(&self) -> Result<LoadedState, StateError> {
        let fail = |error: std::io::Error| {
            StateError::File(FileError::new(&self.folder, "cannot read the state in", error))
        };
        let store = FileStore::open(&self.folder, "host").map_err(fail)?;
        let mut buffer = std::vec![0; room_for(&store)];
        let (slots, found) = Slots::open(store, Kind::Host, &mut buffer).map_err(fail)?;
        let (snapshot, other) = match found {
            Found::Nothing => (None, SlotState::Empty),
            Found::Whole { payload, other, .. } => (Some(payload.to_vec()), other),
            Found::Damaged { a, b } => {
                let folder = self.folder.clone();
                let reason = std::format!("first copy: {a}; second copy: {b}");
                return Err(if is_newer(a) || is_newer(b) {
                    StateError::NewerVersion { folder, reason }
                } else {
                    StateError::Damaged { folder, reason }
                });
            }
        };
        Ok(LoadedState { slots, buffer, snapshot, other })
    }

    fn key_path(&self) -> PathBuf {
        self.folder.join("host.key")
    }

    fn certificate_path(&self) -> PathBuf {
        self.folder.join("host.certificate")
    }

    /// Apart from one that travels by file: a host that runs asks by itself, and must not make the
    /// answer useless that somebody brings.
    fn unanswered_path(&self) -> PathBuf {
        self.folder.join("enrolment.sent")
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

/// The buffer that both copies of the state fit into. What they hold is another matter than what
/// this host counts today: its products may have been more.
fn room_for(store: &FileStore) -> usize {
    /// While `host status` looks, a host that runs may save a longer one.
    const GROWTH: u64 = 1 << 20;
    /// No state of 800 full pools is longer.
    const LARGEST: u64 = 256 << 20;
    let length = |slot| std::fs::metadata(store.path(slot)).map_or(0, |metadata| metadata.len());
    let longest = length(Slot::A).max(length(Slot::B)).min(LARGEST);
    usize::try_from(longest.saturating_add(GROWTH)).unwrap_or(usize::MAX)
}

fn is_newer(slot: SlotState) -> bool {
    matches!(slot, SlotState::Damaged(damage) if damage.is_newer_version())
}

/// A host's folder, held against other processes for as long as this lives.
#[derive(Debug)]
#[must_use = "dropping it gives the folder free"]
pub struct HostLock {
    _file: File,
}

/// A host's counts on disk, and the means to save newer ones.
pub struct LoadedState {
    slots: Slots<FileStore>,
    buffer: Vec<u8>,
    /// What was saved last; `None` on a host that never saved.
    pub snapshot: Option<Vec<u8>>,
    /// The older copy, which the next save replaces.
    pub other: SlotState,
}

impl LoadedState {
    /// Gives the counts back to a host. `None` when there are none.
    pub fn restore(&self, host: &mut DaemonHost, now: Now) -> Result<Option<Restored>, StateError> {
        let Some(snapshot) = &self.snapshot else { return Ok(None) };
        host.restore(now, snapshot).map(Some).map_err(|failure| StateError::Damaged {
            folder: self.folder(),
            reason: failure.to_string(),
        })
    }

    /// Saves a snapshot.
    pub fn save(&mut self, snapshot: &[u8]) -> Result<(), String> {
        let needed = image_len(snapshot.len());
        if self.buffer.len() < needed {
            self.buffer.resize(needed, 0);
        }
        self.slots.save(snapshot, &mut self.buffer).map_err(|error| match error {
            // It names the file.
            SaveError::Store(error) => error.to_string(),
            error => error.to_string(),
        })
    }

    fn folder(&self) -> PathBuf {
        self.slots.store().path(Slot::A).parent().map(Path::to_owned).unwrap_or_default()
    }
}

impl fmt::Debug for LoadedState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let saved = self.snapshot.as_ref().map(Vec::len);
        f.debug_struct("LoadedState").field("snapshot_len", &saved).finish_non_exhaustive()
    }
}

/// A host's counts could not be read.
#[derive(Debug)]
pub enum StateError {
    /// The files cannot be read.
    File(FileError),
    /// They can, but neither copy is whole.
    Damaged {
        /// Where.
        folder: PathBuf,
        /// How.
        reason: String,
    },
    /// A newer version of this program has written them.
    NewerVersion {
        /// Where.
        folder: PathBuf,
        /// What both copies are.
        reason: String,
    },
}

impl fmt::Display for StateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(error) => error.fmt(f),
            Self::Damaged { folder, reason } => {
                write!(f, "the saved counts in {} are damaged ({reason})", folder.display())
            }
            Self::NewerVersion { folder, reason } => write!(
                f,
                "the saved counts in {} are of a newer version of headcount ({reason})",
                folder.display()
            ),
        }
    }
}

impl core::error::Error for StateError {}

/// What a host refers to for as long as it lives: pools and setup keys. A process has one host, so
/// it is never given back.
#[derive(Debug)]
pub struct HostMemory {
    pools: &'static mut [Pool<'static, POOL_CAPACITY>],
    keys: &'static [SetupKey],
}

impl HostMemory {
    /// Memory for the products of these files. Products with one counted id are counted together,
    /// so they must agree on how fingerprints match; and no two setup keys may have one id.
    pub fn for_products(files: &[ProductFile]) -> Result<Self, String> {
        let mut pools: Vec<(CountedId, &ProductFile, Vec<Product>)> = Vec::new();
        let mut keys: Vec<(&ProductFile, ProductKey)> = Vec::new();
        for file in files {
            let (counted_id, product, key) =
                file.for_host().map_err(|reason| std::format!("{}: {reason}", file.name))?;
            // Requests name a key by its id alone.
            match keys.iter().find(|(_, known)| known.key_id() == key.key_id()) {
                None => keys.push((file, key)),
                Some((_, known)) if *known == key => {}
                Some((other, _)) => {
                    return Err(std::format!(
                        "{} and {} have different setup keys with the same id, {}: one of the files \
                         is another vendor's, or was edited",
                        other.name,
                        file.name,
                        key.key_id().0
                    ));
                }
            }
            match pools.iter_mut().find(|(id, ..)| *id == counted_id) {
                None => pools.push((counted_id, file, Vec::from([product]))),
                Some((_, first, products)) => {
                    if first.matching() != file.matching() {
                        return Err(std::format!(
                            "{} and {} are counted together, but their weights or tolerance differ",
                            first.name,
                            file.name
                        ));
                    }
                    products.push(product);
                }
            }
        }
        let pools: Vec<_> = pools
            .into_iter()
            .map(|(id, file, products)| Pool::new(id, products.leak(), file.matching()))
            .collect();
        let keys: Vec<_> =
            keys.iter().map(|(_, key)| SetupKey::new(key.key_id(), &key.tag_key())).collect();
        Ok(Self { pools: Box::leak(pools.into_boxed_slice()), keys: keys.leak() })
    }

    /// A host in this memory.
    #[must_use]
    pub fn into_host(
        self,
        certificate: Option<Certificate>,
        settings: Settings,
        rng: &mut impl rand_core::CryptoRng,
    ) -> DaemonHost {
        let mut hash_key = Zeroizing::new([0; 16]);
        rng.fill_bytes(&mut *hash_key);
        Host::new(self.pools, self.keys, certificate, settings, *hash_key)
    }
}

/// The root keys that all of `files` name, each once.
pub fn all_roots(files: &[ProductFile]) -> Result<Vec<Root>, String> {
    let mut roots: Vec<Root> = Vec::new();
    for file in files {
        for root in file.roots().map_err(|reason| std::format!("{}: {reason}", file.name))? {
            if !roots.iter().any(|known| known.id() == root.id()) {
                roots.push(root);
            }
        }
    }
    Ok(roots)
}

/// Whether a certificate was made for this key.
#[must_use]
pub fn is_for(certificate: &Certificate, key: &SigningKey) -> bool {
    certificate.claims.public_key == key.public_key()
}
