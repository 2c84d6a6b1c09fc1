//! The proxy's store: a folder with one file for each machine and kind. Every file is written whole or
//! not at all, and what a machine's files say together is right after each of them: so the store may
//! be cut off, copied and read at any moment.

use core::fmt;
use std::borrow::ToOwned;
use std::collections::BTreeMap;
use std::fs::{self, DirEntry, File};
use std::io;
use std::path::{Path, PathBuf};
use std::string::{String, ToString};
use std::vec::Vec;

use super::failure::Failure;
use super::identity::Identity;
use super::pair::Pair;
use crate::daemon::files::{self, FileError, Secrecy};
use crate::wire::{Frame, Method, Request, frame_from_slice};

/// What says that a folder is a store.
const MARK: &str = "headcount-proxy";
const MARK_TEXT: &[u8] = b"headcount proxy store, version 1\n";

const REQUEST: &str = "request";
const ANSWER: &str = "answer";
const FAILURE: &str = "failure";

/// A store that this process alone may change, for as long as the value lives.
#[derive(Debug)]
pub struct Store {
    folder: PathBuf,
    _lock: File,
}

/// What is in a store.
#[derive(Debug, Default)]
pub struct Contents {
    /// The machines, by name.
    pub machines: Vec<Entry>,
    /// Files that cannot be understood.
    pub damaged: Vec<Damage>,
}

/// A machine in the store. `Debug` hides its request, which has the whole CMID in it.
#[derive(Clone)]
pub struct Entry {
    /// What its files are called, without what follows the last dot.
    pub stem: String,
    pub(super) request: Frame,
    /// The answer, with the request that it answers: this one, or an earlier one of the machine.
    pub pair: Option<Pair>,
    /// Why there is no answer, if somebody asked for one.
    pub failure: Option<Failure>,
}

/// A file that cannot be understood. The others go on without it.
#[derive(Clone, Debug)]
pub struct Damage {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub reason: String,
}

impl Store {
    /// Opens a store, and makes it if there is none: in a new folder or an empty one.
    pub fn create(folder: &Path) -> Result<Self, FileError> {
        let mark = folder.join(MARK);
        let is_new = match fs::read_dir(folder) {
            // What may lie there is the mark that somebody was about to write.
            Ok(mut files) => !mark.exists() && files.all(|file| is_unfinished_mark(&file)),
            Err(_) => true,
        };
        if is_new {
            files::create_private_dir(folder)?;
            files::write(&mark, MARK_TEXT, Secrecy::Secret)?;
        }
        Self::open(folder)
    }

    /// Opens a store to change it.
    pub fn open(folder: &Path) -> Result<Self, FileError> {
        check_mark(folder)?;
        match files::try_lock(folder)? {
            Some(lock) => Ok(Self { folder: folder.to_owned(), _lock: lock }),
            None => Err(FileError::new(
                folder,
                "cannot use",
                "another command is at work in this store",
            )),
        }
    }

    /// What is in it.
    pub fn contents(&self) -> Result<Contents, FileError> {
        Contents::read(&self.folder)
    }

    /// Where it is.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn keep_request(&self, stem: &str, request: &Frame) -> Result<(), FileError> {
        files::write(&self.file(stem, REQUEST), request, Secrecy::Secret)
    }

    /// Keeps a machine's answer. What went wrong before is no longer of interest.
    pub fn keep_answer(&self, stem: &str, pair: &Pair) -> Result<(), FileError> {
        files::write(&self.file(stem, ANSWER), &pair.to_bytes(), Secrecy::Secret)?;
        // With an answer beside it, nobody reads it any more.
        let _ = fs::remove_file(self.file(stem, FAILURE));
        Ok(())
    }

    /// Keeps why a machine has no answer.
    pub fn keep_failure(&self, stem: &str, failure: &Failure) -> Result<(), FileError> {
        files::write_toml(&self.file(stem, FAILURE), "", failure, Secrecy::Secret)
    }

    fn file(&self, stem: &str, kind: &str) -> PathBuf {
        self.folder.join(std::format!("{stem}.{kind}"))
    }
}

fn is_unfinished_mark(file: &io::Result<DirEntry>) -> bool {
    file.as_ref().is_ok_and(|file| file.file_name().to_string_lossy().starts_with(MARK))
}

/// Makes sure that a folder is a store, before anything is read from or written to it.
fn check_mark(folder: &Path) -> Result<(), FileError> {
    let unusable = |reason: &str| Err(FileError::new(folder, "cannot use", reason));
    match fs::read(folder.join(MARK)) {
        Ok(text) if text == MARK_TEXT => Ok(()),
        Ok(_) => unusable("a store of another version of this program"),
        Err(_) => unusable("this is not a proxy's store"),
    }
}

impl Contents {
    /// Reads a store, which another process may be changing.
    pub fn read(folder: &Path) -> Result<Self, FileError> {
        check_mark(folder)?;
        let fail = |error| FileError::new(folder, "cannot read", error);
        let mut found: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
        for file in fs::read_dir(folder).map_err(fail)? {
            let path = file.map_err(fail)?.path();
            let kind = path.extension().and_then(|kind| kind.to_str()).unwrap_or_default();
            if let (Some(stem), REQUEST | ANSWER | FAILURE) = (path.file_stem(), kind) {
                found.entry(stem.to_string_lossy().into_owned()).or_default().push(path);
            }
        }
        let mut contents = Self::default();
        for (stem, paths) in found {
            let entry = contents.entry(stem, &paths);
            contents.machines.extend(entry);
        }
        Ok(contents)
    }

    /// Puts together what a machine's files say.
    fn entry(&mut self, stem: String, paths: &[PathBuf]) -> Option<Entry> {
        let of_kind =
            |kind: &str| paths.iter().find(|path| path.extension().is_some_and(|is| is == kind));
        let request = of_kind(REQUEST).and_then(|path| self.understood(path, parse_request));
        let pair = of_kind(ANSWER).and_then(|path| {
            self.understood(path, |bytes| Pair::parse(bytes).map_err(|unfit| unfit.to_string()))
        });
        // A pair has a request in it, so that one file of the two is enough.
        let request = request.or_else(|| pair.as_ref().map(|pair| *pair.request()))?;
        let failure = of_kind(FAILURE).filter(|_| pair.is_none()).and_then(|path| {
            self.understood(path, |_| {
                files::read_toml::<Failure>(path).map_err(|error| error.reason)
            })
        });
        let failure = failure.filter(|failure| failure.is_of(&request));
        Some(Entry { stem, request, pair, failure })
    }

    /// Reads a file. One that is damaged is noted; one that has gone meanwhile is as if it had not been.
    fn understood<T>(
        &mut self,
        path: &Path,
        parse: impl FnOnce(&[u8]) -> Result<T, String>,
    ) -> Option<T> {
        let parsed =
            files::read(path).map_err(|error| error.reason).and_then(|bytes| parse(&bytes));
        match parsed {
            Ok(value) => Some(value),
            Err(_) if !path.exists() => None,
            Err(reason) => {
                self.damaged.push(Damage { path: path.to_owned(), reason });
                None
            }
        }
    }
}

/// Reads a request that is the authority's to answer.
pub(super) fn parse_request(bytes: &[u8]) -> Result<Frame, String> {
    let frame = frame_from_slice(bytes).map_err(|malformed| malformed.to_string())?;
    let request = Request::parse(frame).map_err(|malformed| malformed.to_string())?;
    match request.method {
        Method::Key => Ok(*frame),
        Method::Count => Err("this request asks a host by count, not the authority by key".into()),
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry")
            .field("stem", &self.stem)
            .field("is_answered", &self.pair.is_some())
            .field("failure", &self.failure)
            .finish_non_exhaustive()
    }
}

impl Entry {
    /// The frame that the authority is asked with.
    #[must_use]
    pub const fn frame(&self) -> &Frame {
        &self.request
    }

    /// What it says. `None` never happens: it was read when it was collected.
    #[must_use]
    pub fn request(&self) -> Option<Request<'_>> {
        Request::parse(&self.request).ok()
    }

    /// Whether the answer is one to an earlier request of the machine.
    #[must_use]
    pub fn is_activated_again(&self) -> bool {
        self.pair.is_some_and(|pair| *pair.request() != self.request)
    }

    pub(super) fn identity(&self) -> Option<Identity> {
        self.request().as_ref().map(Identity::of)
    }
}
