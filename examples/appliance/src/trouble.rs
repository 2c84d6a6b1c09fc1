//! Why a firmware cannot go on, and the exit status that says so.

use headcount::host::{RestoreFailure, SnapshotTooLong};
use headcount::storage::{Corrupt, SaveError, SlotState};
use headcount::transport::OpenError;
use headcount::wire::Malformed;

use crate::arguments::Wrong;
use crate::board::Broken;
use crate::board::files::FileError;
use crate::board::flash::FlashError;
use crate::exit::Exit;

/// The reason, for the log.
#[derive(Clone, Copy, Debug, defmt::Format)]
pub enum Trouble {
    /// An argument is wrong.
    Argument(Wrong<'static>),
    /// The board is broken.
    Board(Broken),
    /// A file that stands for a part of the board cannot be used.
    File {
        /// Which.
        path: &'static str,
        /// Why.
        error: FileError,
    },
    /// The flash cannot be read.
    Flash(FlashError),
    /// The state cannot be saved.
    Save(SaveError<FlashError>),
    /// The counts do not fit into the memory that was set aside for them.
    Snapshot(SnapshotTooLong),
    /// The stored state was whole, but its content breaks a rule.
    State(Corrupt),
    /// The stored counts were whole, but their content breaks a rule.
    Counts(RestoreFailure),
    /// Neither slot of the flash holds a whole image, and it is not the first one that was cut.
    Slots {
        /// The first slot.
        a: SlotState,
        /// The second slot.
        b: SlotState,
    },
    /// The host's key is not 64 hexadecimal digits.
    Key,
    /// The host's certificate is not 120 bytes that are one.
    Certificate(Option<Malformed>),
    /// The certificate is for another key.
    OtherKey,
    /// The host's port does not open.
    Port(OpenError),
}

impl Trouble {
    /// Names the file of an error.
    pub const fn with(path: &'static str) -> impl Fn(FileError) -> Self {
        move |error| Self::File { path, error }
    }

    /// How the run ends for this reason.
    pub const fn exit(&self) -> Exit {
        match self {
            Self::Argument(_) => Exit::Usage,
            Self::Board(_)
            | Self::File { .. }
            | Self::Flash(_)
            | Self::Save(_)
            | Self::Snapshot(_)
            | Self::Port(_) => Exit::Failed,
            Self::State(_)
            | Self::Counts(_)
            | Self::Slots { .. }
            | Self::Key
            | Self::Certificate(_)
            | Self::OtherKey => Exit::Damaged,
        }
    }
}

/// Lets `?` turn what goes wrong into a [`Trouble`].
macro_rules! from {
    ($($reason:ty => $variant:ident),+ $(,)?) => {
        $(impl From<$reason> for Trouble {
            fn from(reason: $reason) -> Self {
                Self::$variant(reason)
            }
        })+
    };
}

from! {
    Wrong<'static> => Argument,
    Broken => Board,
    FlashError => Flash,
    SaveError<FlashError> => Save,
    SnapshotTooLong => Snapshot,
    Corrupt => State,
    RestoreFailure => Counts,
    OpenError => Port,
}
