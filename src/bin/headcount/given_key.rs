//! A product key that somebody gives the program.

use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Args;
use headcount::daemon::files;
use headcount::trust::ProductKey;
use zeroize::Zeroizing;

use crate::output::{Exit, Problem};

/// Where a product key comes from.
#[derive(Args)]
pub(crate) struct KeyArguments {
    /// The product key. Other users of this machine may see it: prefer --key-file.
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// A file with the product key in its first line, or - for standard input. Empty lines and those
    /// that begin with # are passed over.
    #[arg(long, value_name = "FILE", conflicts_with = "key")]
    key_file: Option<PathBuf>,
}

/// Whatever prints arguments prints no key.
impl std::fmt::Debug for KeyArguments {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyArguments").field("key_file", &self.key_file).finish_non_exhaustive()
    }
}

impl KeyArguments {
    /// The file that it is in, if it is.
    pub(crate) fn file(&self) -> Option<&Path> {
        self.key_file.as_deref()
    }

    /// The key, if one is given.
    pub(crate) fn read(&self) -> Result<Option<ProductKey>, Problem> {
        match (&self.key, &self.key_file) {
            (Some(key), _) => parse(key).map(Some),
            (None, Some(path)) => read(path).map(Some),
            (None, None) => Ok(None),
        }
    }
}

/// The key that a text is.
pub(crate) fn parse(text: &str) -> Result<ProductKey, Problem> {
    ProductKey::from_text(text.trim())
        .map_err(|error| Problem::new(Exit::Usage, error).advise("Compare it with the original."))
}

/// The key in a file: its first line that is no comment. So what 'authority key new' prints can be
/// handed on as it is.
pub(crate) fn read(path: &Path) -> Result<ProductKey, Problem> {
    let bytes = Zeroizing::new(if path == Path::new("-") {
        let mut bytes = Vec::new();
        let read = std::io::stdin().lock().take(1_024).read_to_end(&mut bytes);
        read.map_err(|error| Problem::new(Exit::Failed, format!("cannot read the key: {error}")))?;
        bytes
    } else {
        files::read(path)?
    });
    let text = std::str::from_utf8(&bytes)
        .map_err(|_| Problem::new(Exit::Usage, "the key is not text"))?;
    let mut lines = text.lines().map(str::trim);
    let line = lines.find(|line| !line.is_empty() && !line.starts_with('#'));
    parse(line.unwrap_or_default())
}
