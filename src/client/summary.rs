//! What a stored client state says, for people who look at it without the product.

use core::fmt;

use super::record::IMAGE_LEN;
use crate::cursor::Reader;
use crate::storage::Corrupt;
use crate::time::UnixTime;
use crate::wire::{Cmid, Frame};

/// The content of a client's stored state. Nothing of it is verified: whether the activation in it
/// counts only the product can tell.
#[derive(Clone, Debug)]
pub struct ImageSummary {
    /// The machine.
    pub cmid: Cmid,
    /// The CMID before a rearm, until the next activation.
    pub previous_cmid: Option<Cmid>,
    /// How often it was rearmed by hand.
    pub rearms_used: u8,
    /// Whether a host has counted the machine under this CMID.
    pub counted: bool,
    /// Time since the first start or the last rearm by hand.
    pub grace: StoredSpan,
    /// Time since the hardware was found changed beyond the tolerance.
    pub out_of_tolerance: Option<StoredSpan>,
    /// The latest host time ever accepted; 0 when none was.
    pub floor: UnixTime,
    /// The activation.
    pub activation: Option<StoredActivation>,
}

/// Time since a mark, as it is stored: what both clocks said when the state was saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct StoredSpan {
    /// The calendar at the mark; `None` when there was none.
    pub since: Option<UnixTime>,
    /// Seconds that the device was running since, up to the save.
    pub ran_secs: u64,
}

/// The pair of frames on which a stored activation rests. `Debug` hides the request, which has the
/// whole CMID in it.
#[derive(Clone)]
pub struct StoredActivation {
    /// Time since the host's time in the response.
    pub age: StoredSpan,
    /// The request.
    pub request: Frame,
    /// The response to it.
    pub response: Frame,
}

impl ImageSummary {
    /// Where the request of an activation begins in the state.
    pub const REQUEST_OFFSET: usize = IMAGE_LEN - 2 * crate::wire::FRAME_LEN;
    /// Where the response of an activation begins in the state.
    pub const RESPONSE_OFFSET: usize = IMAGE_LEN - crate::wire::FRAME_LEN;
}

/// Reads a client's stored state (the payload of its [`Image`](crate::storage::Image)), field by
/// field, without believing it.
pub fn describe_image(image: &[u8]) -> Result<ImageSummary, Corrupt> {
    let mut reader = Reader::new(image);
    let cmid = reader.checked(Reader::array, Cmid::new);
    let previous_cmid = Cmid::new(reader.array());
    let rearms_used = reader.u8();
    let counted = reader.flag();
    let grace = span(&mut reader);
    let is_out_of_tolerance = reader.flag();
    let out_of_tolerance = span(&mut reader);
    let floor = UnixTime::from_secs(reader.u64());
    let has_activation = reader.flag();
    let age = span(&mut reader);
    let (request, response) = (reader.array(), reader.array());
    reader.finish()?;
    // Where there is none, the reading did not end well.
    let cmid = cmid.ok_or(Corrupt { offset: 0 })?;
    Ok(ImageSummary {
        cmid,
        previous_cmid,
        rearms_used,
        counted,
        grace,
        out_of_tolerance: is_out_of_tolerance.then_some(out_of_tolerance),
        floor,
        activation: has_activation.then_some(StoredActivation { age, request, response }),
    })
}

fn span(reader: &mut Reader<'_>) -> StoredSpan {
    let since = reader.u64();
    let since = (since != 0).then_some(UnixTime::from_secs(since));
    StoredSpan { since, ran_secs: reader.u64() }
}

impl fmt::Debug for StoredActivation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredActivation").field("age", &self.age).finish_non_exhaustive()
    }
}
