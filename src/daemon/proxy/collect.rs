//! Requests into the store, from files of any name in any folder.

use core::fmt;
use std::borrow::ToOwned;
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::string::{String, ToString};
use std::vec::Vec;

use super::identity::Identity;
use super::pair::PAIR_LEN;
use super::store::{Contents, Entry, Store, parse_request};
use crate::daemon::files::{self, FileError};
use crate::wire::{FRAME_LEN, Frame, Kind, Request};

/// The longest name that a machine's files have.
const LONGEST_STEM: usize = 100;

/// What became of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Collected {
    /// A machine that was not in the store, under this name.
    New(String),
    /// A new request of a machine that has its answer: it will be given that.
    Activated(String),
    /// A new request of a machine whose earlier one did not get it an answer.
    Replaced(String),
    /// A new request of a machine that waits for its answer: it needs no second one.
    Waiting(String),
    /// The request that is in the store already.
    Known(String),
    /// No request that could be answered; why.
    Rejected(String),
}

/// Collects into a store.
pub struct Collection<'a> {
    store: &'a Store,
    machines: BTreeMap<String, Entry>,
    /// Whose request each frame is.
    frames: HashMap<Frame, String>,
}

impl fmt::Debug for Collection<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Collection").field("machines", &self.machines).finish_non_exhaustive()
    }
}

impl<'a> Collection<'a> {
    /// Begins with what is in the store.
    #[must_use]
    pub fn new(store: &'a Store, contents: &Contents) -> Self {
        let machines = contents.machines.iter();
        Self {
            store,
            frames: machines.clone().map(|entry| (entry.request, entry.stem.clone())).collect(),
            machines: machines.map(|entry| (entry.stem.clone(), entry.clone())).collect(),
        }
    }

    /// Takes a file, which is 250 bytes or their hexadecimal digits.
    ///
    /// # Errors
    ///
    /// The store cannot be written to. What is wrong with the file is no error.
    pub fn take(&mut self, path: &Path) -> Result<Collected, FileError> {
        let bytes = match files::read(path) {
            Ok(bytes) => bytes,
            Err(error) => return Ok(Collected::Rejected(error.reason)),
        };
        let frame = match parse_request(&binary(&bytes)) {
            Ok(frame) => frame,
            Err(reason) => return Ok(Collected::Rejected(explain(&binary(&bytes), &reason))),
        };
        if let Some(stem) = self.frames.get(&frame) {
            return Ok(Collected::Known(stem.clone()));
        }
        let (stem, earlier) = self.place(&stem_of(path), &frame);
        let collected = match earlier {
            None => Collected::New(stem.clone()),
            Some(Entry { pair: Some(_), .. }) => Collected::Activated(stem.clone()),
            Some(Entry { failure: Some(_), .. }) => Collected::Replaced(stem.clone()),
            Some(_) => return Ok(Collected::Waiting(stem)),
        };
        self.store.keep_request(&stem, &frame)?;
        let pair = earlier.and_then(|entry| entry.pair);
        self.frames.insert(frame, stem.clone());
        self.machines.insert(stem.clone(), Entry { stem, request: frame, pair, failure: None });
        Ok(collected)
    }

    /// The name for a request, and the machine that has it already. Another machine's name is not
    /// taken: a number is added.
    fn place(&self, wanted: &str, frame: &Frame) -> (String, Option<&Entry>) {
        let identity = Request::parse(frame).ok().as_ref().map(Identity::of);
        let is_same = |entry: &Entry| match (identity, entry.identity()) {
            (Some(new), Some(old)) => new.is_same(&old, None),
            _ => false,
        };
        let names = (2_u32..).map(|number| std::format!("{wanted}-{number}"));
        for stem in core::iter::once(wanted.to_string()).chain(names) {
            match self.machines.get(&stem) {
                Some(entry) if !is_same(entry) => {}
                entry => return (stem, entry),
            }
        }
        // Nobody has so many machines.
        (wanted.to_string(), None)
    }
}

/// The frame's bytes, whether they stand there as they are or as digits.
pub(super) fn binary(bytes: &[u8]) -> Vec<u8> {
    let is_binary = bytes.len() == FRAME_LEN || bytes.len() == PAIR_LEN && bytes.starts_with(b"HC");
    let text = core::str::from_utf8(bytes).ok().filter(|text| !is_binary && !text.is_empty());
    text.and_then(files::from_hex).unwrap_or_else(|| bytes.to_vec())
}

/// Why bytes are no request, better than that a byte is wrong where they are something else.
fn explain(bytes: &[u8], reason: &str) -> String {
    if bytes.len() == PAIR_LEN && bytes.starts_with(b"HC") {
        return "an answer with its request, not a request".into();
    }
    match <&Frame>::try_from(bytes).ok().and_then(|frame| Kind::of(frame).ok()) {
        Some(Kind::Response) => "an answer, not a request".into(),
        Some(Kind::EnrolmentRequest) => "a host's request for enrolment, not a machine's".into(),
        Some(Kind::EnrolmentResponse) => "an answer to a host, not a machine's request".into(),
        _ => std::format!("not a request: {reason}"),
    }
}

/// A machine's name in the store: its file's name without the ends that say what it is, of letters and
/// digits that every file system has.
fn stem_of(path: &Path) -> String {
    const ENDS: [&str; 6] = [".bin", ".hex", ".txt", ".frame", ".req", ".request"];
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let mut name = name.as_ref();
    while let Some(rest) = ENDS.iter().find_map(|end| name.strip_suffix(end)) {
        name = rest;
    }
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' };
    let stem: String = name.chars().map(plain).take(LONGEST_STEM).collect();
    match stem.trim_matches(['.', '-']) {
        "" => "machine".into(),
        stem => stem.into(),
    }
}

/// The files that a path names: itself, or what lies in the folder, by name, without hidden files.
/// Folders in it are listed, too, and are rejected as files. What is neither, such as a pipe, would be
/// waited for, and is passed over.
pub fn files_in(path: &Path) -> Result<Vec<PathBuf>, FileError> {
    if !path.is_dir() {
        return Ok(std::vec![path.to_owned()]);
    }
    let fail = |error| FileError::new(path, "cannot read", error);
    let mut found = Vec::new();
    for file in fs::read_dir(path).map_err(fail)? {
        let file = file.map_err(fail)?;
        let path = file.path();
        // Of a link it is what it leads to that counts; one that leads nowhere is to be told of.
        let is_for_reading =
            fs::metadata(&path).map_or(true, |found| found.is_file() || found.is_dir());
        if is_for_reading && !file.file_name().to_string_lossy().starts_with('.') {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// The paths in a list: one in each line, relative to the list's own folder. Empty lines and those
/// that begin with `#` are passed over.
pub fn read_list(path: &Path) -> Result<Vec<PathBuf>, FileError> {
    let bytes = files::read(path)?;
    let text = core::str::from_utf8(&bytes)
        .map_err(|error| FileError::new(path, "cannot understand", error))?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let lines = text.lines().map(str::trim);
    Ok(lines
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| folder.join(line))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_files_without_what_says_what_they_are() {
        for (path, stem) in [
            ("in/ward-3.bin", "ward-3"),
            ("ward-3.request.bin", "ward-3"),
            ("ward-3.example.org", "ward-3.example.org"),
            ("Öffnung 3.hex", "_ffnung_3"),
            ("..bin", "machine"),
            ("-rf.txt", "rf"),
            ("request.bin", "request"),
            (".request.bin", "machine"),
        ] {
            assert_eq!(stem_of(Path::new(path)), stem, "{path}");
        }
        assert_eq!(stem_of(Path::new(&"x".repeat(250))).len(), LONGEST_STEM);
    }
}
