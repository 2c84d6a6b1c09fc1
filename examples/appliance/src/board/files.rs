//! Files of the machine that QEMU runs on. They stand for what a real unit has in fuses and
//! protected pages, written in the factory.

use core::ffi::CStr;

use semihosting::fs::File;
use semihosting::io::Read;

/// The longest path, with the zero byte at its end.
const PATH_LEN: usize = 256;

/// A file cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, defmt::Format)]
pub enum FileError {
    /// The path is longer than 255 bytes.
    Path,
    /// There is no such file, or it may not be read or written.
    Open,
    /// Reading or writing failed.
    Transfer,
    /// It has more bytes than there is place for.
    TooLong,
}

/// Reads a whole file, and returns what of the buffer it fills.
pub fn read<'b>(path: &str, buffer: &'b mut [u8]) -> Result<&'b [u8], FileError> {
    let mut file = with_c_path(path, |path| File::open(path).map_err(|_| FileError::Open))?;
    let mut length = 0;
    loop {
        let place = &mut buffer[length..];
        // One byte more than there is place for tells a whole file from a cut one.
        let mut one_more = [0];
        let place = if place.is_empty() { &mut one_more[..] } else { place };
        match file.read(place).map_err(|_| FileError::Transfer)? {
            0 => return Ok(&buffer[..length]),
            _ if length == buffer.len() => return Err(FileError::TooLong),
            count => length += count,
        }
    }
}

/// Where [`entropy`] comes from.
pub const ENTROPY: &str = "/dev/urandom";

/// 32 bytes that nobody can guess. This is the place for a true random number generator: every
/// nonce and a machine's id come from here. A seed that repeats makes machines that share an id.
pub fn entropy() -> Result<[u8; 32], FileError> {
    let mut seed = [0; 32];
    let mut file = with_c_path(ENTROPY, |path| File::open(path).map_err(|_| FileError::Open))?;
    file.read_exact(&mut seed).map_err(|_| FileError::Transfer)?;
    Ok(seed)
}

/// Calls `f` with a path as semihosting wants it.
pub(super) fn with_c_path<T>(
    path: &str,
    f: impl FnOnce(&CStr) -> Result<T, FileError>,
) -> Result<T, FileError> {
    let mut bytes = [0; PATH_LEN];
    let place = bytes.get_mut(..path.len()).ok_or(FileError::Path)?;
    place.copy_from_slice(path.as_bytes());
    f(CStr::from_bytes_until_nul(&bytes).map_err(|_| FileError::Path)?)
}
