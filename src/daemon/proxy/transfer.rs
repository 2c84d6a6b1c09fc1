//! Requests out and answers in by files, where there is no way to the authority; and answers out to
//! the machines.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::string::String;
use std::vec::Vec;

use super::asking::Ended;
use super::collect::{binary, files_in};
use super::judge::Judge;
use super::pair::PAIR_LEN;
use super::store::{Entry, parse_request};
use crate::daemon::files::{self, FileError, Secrecy};
use crate::trust::request_digest;
use crate::wire::{FRAME_LEN, Frame, Response, frame_from_slice};

/// A request that was to be exported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exported {
    /// It is in this file.
    Written(PathBuf),
    /// It holds the machine's name, which nobody asked to export.
    HoldsName,
}

/// Writes requests into a folder, for the authority to answer off line. Files are named by what tells
/// nothing of the machine: the beginning of the request's digest. With `names` they have the machines'
/// names, and requests that hold one go as well.
pub fn export<'e>(
    entries: &[&'e Entry],
    folder: &Path,
    names: bool,
) -> Result<Vec<(&'e Entry, Exported)>, FileError> {
    fs::create_dir_all(folder)
        .map_err(|error| FileError::new(folder, "cannot create folder", error))?;
    let written = entries.iter().map(|entry| {
        let holds_name = entry.request().is_some_and(|it| !it.workstation_name.as_str().is_empty());
        if holds_name && !names {
            return Ok((*entry, Exported::HoldsName));
        }
        let digest = files::to_hex(&request_digest(&entry.request).0);
        let name = if names { &entry.stem } else { digest.get(..16).unwrap_or_default() };
        let path = folder.join(std::format!("{name}.request"));
        files::write(&path, &entry.request, Secrecy::Public)?;
        Ok((*entry, Exported::Written(path)))
    });
    written.collect()
}

/// A file that was to be imported.
#[derive(Debug)]
pub struct Imported<'e> {
    /// The file.
    pub path: PathBuf,
    /// The machine whose request it answers, and the answer: judged, not yet kept.
    pub answer: Result<(&'e Entry, Ended), Unused>,
}

/// Why a file changes nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unused {
    /// The machine of this name has its answer.
    Known(String),
    /// It is an answer to no request of the store.
    Stranger,
    /// It is no answer; why.
    Rejected(String),
}

/// Reads answers from a folder or file, whatever they are called: an answer says which request it is
/// to. Requests that lie there, as after an export into the same folder, are passed over.
pub fn import<'e>(
    machines: &'e [Entry],
    from: &Path,
    judge: &Judge,
) -> Result<Vec<Imported<'e>>, FileError> {
    let by_digest: HashMap<[u8; 32], &Entry> =
        machines.iter().map(|entry| (request_digest(&entry.request).0, entry)).collect();
    let mut imported = Vec::new();
    for path in files_in(from)? {
        let answer = match files::read(&path).map(|bytes| binary(&bytes)) {
            Err(error) => Err(Unused::Rejected(error.reason)),
            Ok(bytes) if parse_request(&bytes).is_ok() => continue,
            Ok(bytes) => {
                answer_in(&bytes).map_err(Unused::Rejected).and_then(|(digest, answer)| {
                    let entry = by_digest.get(&digest).ok_or(Unused::Stranger)?;
                    judged(entry, &answer, judge)
                })
            }
        };
        imported.push(Imported { path, answer });
    }
    Ok(imported)
}

/// An answer, alone or after its request, and the digest of the request that it is to.
fn answer_in(bytes: &[u8]) -> Result<([u8; 32], Frame), String> {
    let answer = match bytes.len() {
        PAIR_LEN => bytes.get(FRAME_LEN..).unwrap_or_default(),
        _ => bytes,
    };
    let answer: &Frame =
        frame_from_slice(answer).map_err(|malformed| std::format!("not an answer: {malformed}"))?;
    let response =
        Response::parse(answer).map_err(|malformed| std::format!("not an answer: {malformed}"))?;
    Ok((response.body.request_digest.0, *answer))
}

fn judged<'e>(
    entry: &'e Entry,
    answer: &Frame,
    judge: &Judge,
) -> Result<(&'e Entry, Ended), Unused> {
    if !entry.request().is_some_and(|request| judge.covers(&request)) {
        return Err(Unused::Rejected(std::format!(
            "an answer to {}, of whose product none of the product files is",
            entry.stem
        )));
    }
    match judge.judge(&entry.request, answer) {
        // Whatever comes late takes nothing away.
        _ if entry.pair.is_some() => Err(Unused::Known(entry.stem.clone())),
        Ok(verdict) => Ok((entry, Ended::Answered(verdict))),
        Err(untrusted) => Ok((entry, Ended::NotTrusted(untrusted))),
    }
}

/// What became of a machine's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivered {
    /// It is in this file.
    Written(PathBuf),
    /// It was in this file already.
    Known(PathBuf),
    /// There is none yet.
    NoAnswer,
}

/// Writes a machine's answer into a folder: its request and the answer to it, 500 bytes.
pub fn deliver(entry: &Entry, folder: &Path) -> Result<Delivered, FileError> {
    let Some(pair) = &entry.pair else { return Ok(Delivered::NoAnswer) };
    let bytes = pair.to_bytes();
    let path = folder.join(std::format!("{}.answer", entry.stem));
    if fs::read(&path).is_ok_and(|before| before == bytes) {
        return Ok(Delivered::Known(path));
    }
    files::write(&path, &bytes, Secrecy::Public)?;
    Ok(Delivered::Written(path))
}
