//! How rows are written: a version, then the value. Other versions are refused, and so is anything
//! after the value.

use std::vec::Vec;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{EnrolmentRecord, KeyRecord, MachineRecord, StoreError};
use crate::wire::Frame;

/// A kind of row.
pub(super) trait Row: Serialize + DeserializeOwned {
    /// The table, for errors.
    const TABLE: &'static str;
    /// The version of the encoding, which begins every row. Whoever changes the type counts it up.
    const VERSION: u8 = 1;
}

impl Row for KeyRecord {
    const TABLE: &'static str = "keys";
}

impl Row for EnrolmentRecord {
    const TABLE: &'static str = "enrolments";
}

/// A machine, and whose answers are kept for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct MachineRow {
    pub(super) record: MachineRecord,
    /// Digests of the requests whose answers are kept, the latest last.
    pub(super) answered: Vec<[u8; 32]>,
}

impl Row for MachineRow {
    const TABLE: &'static str = "machines";
}

/// An answer that was given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct AnswerRow {
    /// Key and place of the machine that it was given to; `None` for a host. The same request may
    /// have been answered for another machine before, which then has it no more.
    pub(super) owner: Option<(u32, u32)>,
    /// The frame without the zeros at its end: a signature that can be made again is not stored.
    frame: Vec<u8>,
}

impl Row for AnswerRow {
    const TABLE: &'static str = "answers";
}

impl AnswerRow {
    pub(super) fn new(owner: Option<(u32, u32)>, frame: &Frame) -> Self {
        let end =
            frame.iter().rposition(|byte| *byte != 0).map_or(0, |last| last.saturating_add(1));
        Self { owner, frame: frame.iter().take(end).copied().collect() }
    }

    pub(super) fn frame(&self) -> Result<Frame, StoreError> {
        let mut frame = [0; size_of::<Frame>()];
        match frame.get_mut(..self.frame.len()) {
            Some(head) => head.copy_from_slice(&self.frame),
            None => return Err(damaged::<Self>("longer than a frame")),
        }
        Ok(frame)
    }
}

pub(super) fn encode<R: Row>(row: &R) -> Result<Vec<u8>, StoreError> {
    postcard::to_extend(row, std::vec![R::VERSION])
        .map_err(|_| damaged::<R>("it cannot be written"))
}

pub(super) fn decode<R: Row>(bytes: &[u8]) -> Result<R, StoreError> {
    let (version, rest) = bytes.split_first().ok_or(damaged::<R>("it is empty"))?;
    if *version != R::VERSION {
        return Err(damaged::<R>("a version that this program does not know"));
    }
    match postcard::take_from_bytes(rest) {
        Ok((row, [])) => Ok(row),
        Ok(_) => Err(damaged::<R>("it goes on after its end")),
        Err(_) => Err(damaged::<R>("it does not make sense")),
    }
}

pub(super) const fn damaged<R: Row>(reason: &'static str) -> StoreError {
    StoreError::Row { table: R::TABLE, reason }
}
