//! What files of the user the program may write over: none.

use std::path::{Path, PathBuf};

use headcount::daemon::{ClientConfig, HostConfig, ProductFile};

use crate::output::{Exit, Problem};

/// Names in the folder of a host or client that are the program's own.
const RESERVED: [&str; 3] = [HostConfig::FILE, ClientConfig::FILE, "state"];

/// A product file that is to be copied into the folder of a host or client.
pub(crate) struct NewProduct {
    /// Its name there, by which the configuration refers to it.
    pub(crate) file_name: String,
    pub(crate) file: ProductFile,
}

impl NewProduct {
    /// Reads a product file, and makes sure that its name can be kept.
    pub(crate) fn read(path: &Path) -> Result<Self, Problem> {
        let usage = |reason: &str| {
            let cause = format!("{}: {reason}", path.display());
            Problem::new(Exit::Usage, cause).advise("Rename the file.")
        };
        let name = path.file_name().ok_or_else(|| usage("this names no file"))?;
        // The configuration is text.
        let name = name.to_str().ok_or_else(|| usage("the file's name is not UTF-8"))?;
        if RESERVED.contains(&name) {
            return Err(usage("a file of this name is the folder's own"));
        }
        Ok(Self { file_name: name.to_owned(), file: ProductFile::read(path)? })
    }

    /// Reads several, of which none may take another's place.
    pub(crate) fn read_all(paths: &[PathBuf]) -> Result<Vec<Self>, Problem> {
        let mut products: Vec<Self> = Vec::new();
        for path in paths {
            let product = Self::read(path)?;
            if products.iter().any(|other| other.file_name == product.file_name) {
                let cause = format!("two product files are named {}", product.file_name);
                return Err(Problem::new(Exit::Usage, cause)
                    .advise("Rename one: in the host's folder it would overwrite the other."));
            }
            products.push(product);
        }
        Ok(products)
    }

    pub(crate) fn write(&self, folder: &Path) -> Result<(), Problem> {
        Ok(self.file.write(&folder.join(&self.file_name))?)
    }
}

/// Makes sure that what is written does not take the place of what is read, by whatever path.
pub(crate) fn keep_apart(read: &Path, written: &Path) -> Result<(), Problem> {
    let same = match (read.canonicalize(), written.canonicalize()) {
        (Ok(read), Ok(written)) => read == written,
        _ => read == written,
    };
    if !same {
        return Ok(());
    }
    let cause = format!("the output would overwrite {}", read.display());
    Err(Problem::new(Exit::Usage, cause).advise("Give it another name."))
}
