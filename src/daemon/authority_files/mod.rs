//! The vendor's folder: root key, master key, products, and the database of what was issued.

mod config;

pub use config::{AuthorityConfig, RootConfig, ServiceConfig};

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::vec::Vec;

use super::authority_service::{AuthorityRoot, RootSigner, SignerProcess};
use super::authority_store::{KeyRecord, RedbDatabase};
use super::files::{self, FileError, Secrecy};
use super::product_file::{ProductFile, RootKey};
use crate::trust::{MasterKey, ProductKey, Signer, SigningKey};

const CONFIG_HEADER: &str = "\
# An authority: the vendor's side of headcount. Keep this folder to yourself and back it up: root.key
# and master.key cannot be made again, and who has them can issue anything in your name.

";

/// A vendor's folder, locked for as long as this value lives. [`Access`](super::Access) waits for
/// it.
#[derive(Debug)]
pub struct AuthorityFiles {
    folder: PathBuf,
    config: AuthorityConfig,
    database: Arc<RedbDatabase>,
    /// Held, not used: dropping it unlocks.
    _lock: File,
}

impl AuthorityFiles {
    /// Makes a new authority in a folder that is empty or does not exist yet: root key, master
    /// key and an empty database.
    pub fn init(
        folder: &Path,
        root_id: u16,
        certificate_validity_days: u32,
        rng: &mut impl rand_core::CryptoRng,
    ) -> Result<Self, FileError> {
        prepare(folder)?;
        let lock = files::try_lock(folder)?.ok_or_else(|| {
            FileError::new(folder, "cannot lock", "another command works in this folder")
        })?;
        let (root, seed) = SigningKey::generate(rng);
        files::write_new_secret(&folder.join(ROOT_KEY), &seed)?;
        let mut master = zeroize::Zeroizing::new([0; 32]);
        rng.fill_bytes(&mut *master);
        files::write_new_secret(&folder.join(MASTER_KEY), &master)?;
        files::create_private_dir(&folder.join(PRODUCTS))?;
        let database = Arc::new(RedbDatabase::create(&folder.join(RedbDatabase::FILE))?);
        let config = AuthorityConfig {
            use_root: root_id,
            certificate_validity_days,
            max_clock_skew_minutes: None,
            service: ServiceConfig::default(),
            roots: Vec::from([RootConfig {
                id: root_id,
                public_key: files::to_hex(&root.public_key().0),
                file: Some(ROOT_KEY.into()),
                signer: None,
            }]),
        };
        // Last: a folder with this file is complete.
        files::write_toml(&folder.join(CONFIG), CONFIG_HEADER, &config, Secrecy::Secret)?;
        Ok(Self { folder: folder.into(), config, database, _lock: lock })
    }

    /// Opens an authority; `None` while another process has it.
    pub fn try_open(folder: &Path) -> Result<Option<Self>, FileError> {
        // A folder that is no authority gets no lock.
        Self::read_config(folder)?;
        files::try_lock(folder)?.map(|lock| Self::with_lock(folder, lock)).transpose()
    }

    fn with_lock(folder: &Path, lock: File) -> Result<Self, FileError> {
        // Not before: another process may just have changed it.
        let config = Self::read_config(folder)?;
        let database = Arc::new(RedbDatabase::open(&folder.join(RedbDatabase::FILE))?);
        Ok(Self { folder: folder.into(), config, database, _lock: lock })
    }

    /// What the vendor has decided, also while another process has the folder.
    pub fn read_config(folder: &Path) -> Result<AuthorityConfig, FileError> {
        let path = folder.join(CONFIG);
        let config: AuthorityConfig = files::read_toml(&path)?;
        config.check().map_err(|reason| FileError::new(&path, "cannot use", reason))?;
        Ok(config)
    }

    /// What the vendor has decided.
    #[must_use]
    pub const fn config(&self) -> &AuthorityConfig {
        &self.config
    }

    /// Decides otherwise.
    pub fn set_config(&mut self, config: AuthorityConfig) -> Result<(), FileError> {
        let path = self.folder.join(CONFIG);
        config.check().map_err(|reason| FileError::new(&path, "will not write", reason))?;
        files::write_toml(&path, CONFIG_HEADER, &config, Secrecy::Secret)?;
        self.config = config;
        Ok(())
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// All root keys as product files name them, the one in use first.
    #[must_use]
    pub fn roots(&self) -> Vec<RootKey> {
        let in_use = self.config.root_in_use().into_iter();
        let others = self.config.roots.iter().filter(|root| root.id != self.config.use_root);
        in_use.chain(others).map(RootConfig::root_key).collect()
    }

    /// The root key in use, ready to sign, and the others.
    pub fn open_roots(&self) -> Result<(AuthorityRoot, Vec<AuthorityRoot>), FileError> {
        let in_use = self.open_root_in_use()?;
        let others = self.config.roots.iter().filter(|root| root.id != self.config.use_root);
        let others = others.map(|root| self.open_root(root)).collect::<Result<_, _>>()?;
        Ok((in_use, others))
    }

    /// The key of the authority's own by which it answers activations, made when there is none.
    pub fn service_key(
        &self,
        rng: &mut impl rand_core::CryptoRng,
    ) -> Result<SigningKey, FileError> {
        let path = self.folder.join(SERVICE_KEY);
        if path.exists() {
            return read_signing_key(&path);
        }
        let (key, seed) = SigningKey::generate(rng);
        files::write_new_secret(&path, &seed).map(|()| key)
    }

    /// Makes a new root key, which products do not know yet and nothing is signed by.
    pub fn add_root(
        &mut self,
        id: u16,
        rng: &mut impl rand_core::CryptoRng,
    ) -> Result<RootKey, FileError> {
        let (key, seed) = SigningKey::generate(rng);
        let file = PathBuf::from(std::format!("root-{id}.key"));
        let root = RootConfig {
            id,
            public_key: files::to_hex(&key.public_key().0),
            file: Some(file.clone()),
            signer: None,
        };
        let mut config = self.config.clone();
        config.roots.push(root.clone());
        let taken = self.config.roots.iter().any(|root| root.id == id);
        if !taken {
            files::write_new_secret(&self.folder.join(file), &seed)?;
        }
        self.set_config(config)?;
        Ok(root.root_key())
    }

    /// Where the file of a product is.
    pub fn product_path(&self, name: &str) -> Result<PathBuf, FileError> {
        let products = self.folder.join(PRODUCTS);
        check_name(name)
            .map(|()| products.join(std::format!("{name}.product.toml")))
            .map_err(|reason| FileError::new(Path::new(name), "cannot use", reason))
    }

    /// Reads a product by its name.
    pub fn read_product(&self, name: &str) -> Result<ProductFile, FileError> {
        ProductFile::read(&self.product_path(name)?)
    }

    /// All products, by name.
    pub fn read_products(&self) -> Result<Vec<ProductFile>, FileError> {
        let folder = self.folder.join(PRODUCTS);
        let entries = fs::read_dir(&folder).and_then(Iterator::collect::<io::Result<Vec<_>>>);
        let entries = entries.map_err(|error| FileError::new(&folder, "cannot read", error))?;
        let mut paths: Vec<_> = entries.into_iter().map(|entry| entry.path()).collect();
        paths.retain(|path| path.to_string_lossy().ends_with(".product.toml"));
        paths.sort();
        paths.iter().map(|path| ProductFile::read(path)).collect()
    }

    /// Writes the file of a new product, and returns where.
    pub fn write_new_product(&self, product: &ProductFile) -> Result<PathBuf, FileError> {
        let path = self.product_path(&product.name)?;
        if path.exists() {
            return Err(FileError::new(&path, "will not overwrite", "it exists"));
        }
        product.write(&path).map(|()| path)
    }

    /// The vendor's records.
    #[must_use]
    pub const fn database(&self) -> &Arc<RedbDatabase> {
        &self.database
    }

    /// Derives a product key of the register.
    pub fn product_key(&self, record: &KeyRecord) -> Result<ProductKey, FileError> {
        let master = self.read_master()?;
        Ok(master.product_key(record.terms.kind().into(), record.key_id()))
    }

    /// The key from which all product keys are derived.
    pub fn read_master(&self) -> Result<MasterKey, FileError> {
        files::read_private(&self.folder.join(MASTER_KEY)).map(|key| MasterKey::from_bytes(*key))
    }

    fn open_root_in_use(&self) -> Result<AuthorityRoot, FileError> {
        match self.config.root_in_use() {
            Some(root) => self.open_root(root),
            None => Err(FileError::new(&self.folder.join(CONFIG), "cannot use", "no root in use")),
        }
    }

    fn open_root(&self, root: &RootConfig) -> Result<AuthorityRoot, FileError> {
        let config = self.folder.join(CONFIG);
        let fail = |path: &Path, reason: &str| FileError::new(path, "cannot use", reason);
        let public = root.public_key().ok_or_else(|| fail(&config, "a root's public_key"))?;
        let signer = match (&root.file, root.signer.as_deref()) {
            (Some(file), _) => {
                let path = self.folder.join(file);
                let key = read_signing_key(&path)?;
                if key.public_key() != public {
                    // Certificates that no product would believe must not be made.
                    return Err(fail(&path, "not the root key that authority.toml names"));
                }
                RootSigner::Key(key)
            }
            (None, Some([program, arguments @ ..])) => {
                RootSigner::Process(SignerProcess::new(program.clone(), arguments.to_vec(), public))
            }
            (None, _) => return Err(fail(&config, "a root without file and signer")),
        };
        Ok(AuthorityRoot { id: root.id, signer })
    }
}

const CONFIG: &str = "authority.toml";
const ROOT_KEY: &str = "root.key";
const SERVICE_KEY: &str = "authority.key";
const MASTER_KEY: &str = "master.key";
const PRODUCTS: &str = "products";

/// Reads a key that signs from a file that its owner alone may read.
pub fn read_signing_key(path: &Path) -> Result<SigningKey, FileError> {
    files::read_private(path).map(|seed| SigningKey::from_seed(&seed))
}

/// Whether a product's name can be a file's name everywhere.
fn check_name(name: &str) -> Result<(), &'static str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if !(1..=64).contains(&name.len()) {
        Err("a product's name has 1 to 64 characters")
    } else if !name.chars().all(plain) || name.starts_with(['.', '-']) {
        Err(
            "a product's name has letters, digits, '-', '_' and '.', and begins with neither '.' nor '-'",
        )
    } else {
        Ok(())
    }
}

/// A folder that holds nothing yet and that only its owner may enter.
fn prepare(folder: &Path) -> Result<(), FileError> {
    files::create_private_dir(folder)?;
    let fail = |error: io::Error| FileError::new(folder, "cannot use", error);
    if fs::read_dir(folder).map_err(fail)?.next().is_some() {
        return Err(FileError::new(folder, "will not overwrite", "the folder is not empty"));
    }
    #[cfg(unix)]
    fs::set_permissions(folder, std::os::unix::fs::PermissionsExt::from_mode(0o700))
        .map_err(fail)?;
    Ok(())
}
