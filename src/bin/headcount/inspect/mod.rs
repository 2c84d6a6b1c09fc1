//! `headcount inspect`: what a file is, field by field, and what is wrong with it.

mod frame;
mod report;
mod show;
mod state;
mod text;
mod verify;

use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Args;
use headcount::daemon::{Clock, ProductFile, SystemClock, files};
use headcount::wire::{CERTIFICATE_LEN, Certificate, FRAME_LEN, Frame};
use zeroize::Zeroizing;

use crate::output::{Exit, Output, Problem};
use report::{Encoding, Report, Source};
use text::Text;
use verify::Against;

const EXAMPLES: &str = "\
Examples:
  headcount inspect request.bin
  headcount inspect response.bin --product router.product.toml --request request.bin
  headcount inspect /var/lib/headcount/host.a
  xxd -p request.bin | headcount inspect -
  echo C0000-2D77A-CJ63W-T42AE-BD32P | headcount inspect -

Exit codes: 0 understood, 1 malformed or unknown, 6 a tag or signature does not verify,
7 a damaged state image.";

/// Say what a frame, certificate, product key, host id or state image is, field by field.
///
/// Frames may be binary or hexadecimal digits. Of malformed input it says what is wrong and at
/// which byte, and shows the fields before it. A product key's secret is never shown.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The file, or - for standard input.
    file: PathBuf,
    /// Check tag and signatures with the keys of this product file.
    #[arg(long, value_name = "FILE")]
    product: Option<PathBuf>,
    /// The request that a response should answer (binary or hexadecimal digits).
    #[arg(long, value_name = "FILE")]
    request: Option<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments, output: Output) -> Result<Exit, Problem> {
    let against = Against {
        product: arguments.product.as_deref().map(ProductFile::read).transpose()?,
        request: arguments.request.as_deref().map(read_frame).transpose()?,
    };
    let bytes = read(&arguments.file)?;
    let (mut report, source) = inspect(&bytes, &against)?;
    if report.what.ends_with("state") {
        name_slot(&mut report, &arguments.file);
    }
    output.line(report.text(&source));
    output.document(&report.document(&source));
    Ok(report.exit())
}

/// Reads a frame that may be in hexadecimal digits.
pub(crate) fn read_frame(path: &Path) -> Result<Frame, Problem> {
    let bytes = read_bytes(path)?;
    headcount::wire::frame_from_slice(&bytes).copied().map_err(|malformed| {
        Problem::new(Exit::NotTrusted, format!("{}: {malformed}", path.display()))
            .advise("Was the file sent as it is, not cut and not in an archive?")
    })
}

/// Reads bytes from a file, or standard input where it is named `-`: as they are, or as hexadecimal
/// digits. No frame is a text of such digits.
pub(crate) fn read_bytes(path: &Path) -> Result<Zeroizing<Vec<u8>>, Problem> {
    let bytes = read(path)?;
    let decoded = core::str::from_utf8(&bytes).ok().and_then(files::from_hex);
    Ok(decoded.filter(|decoded| !decoded.is_empty()).map_or(bytes, Zeroizing::new))
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, Problem> {
    if path != Path::new("-") {
        return Ok(files::read(path).map(Zeroizing::new)?);
    }
    let mut bytes = Zeroizing::new(Vec::new());
    std::io::stdin().lock().take(files::LARGEST).read_to_end(&mut bytes).map_err(|error| {
        Problem::new(Exit::Failed, format!("cannot read standard input: {error}"))
    })?;
    Ok(bytes)
}

fn inspect(bytes: &[u8], against: &Against) -> Result<(Report, Source), Problem> {
    let source = |encoding| Source { length: bytes.len(), encoding };
    // Frames and images have control characters near their start, text has none but white space.
    let is_text = |text: &str| !text.chars().any(|c| c.is_control() && !c.is_whitespace());
    match core::str::from_utf8(bytes) {
        Ok(text) if is_text(text) => match text::inspect(text) {
            Text::Described(report) => Ok((report, source(Encoding::Text))),
            Text::Bytes(bytes) => {
                let source = Source { length: bytes.len(), encoding: Encoding::Hexadecimal };
                Ok((binary(&bytes, against)?, source))
            }
        },
        _ => Ok((binary(bytes, against)?, source(Encoding::Binary))),
    }
}

fn binary(bytes: &[u8], against: &Against) -> Result<Report, Problem> {
    if bytes.starts_with(b"HCST") {
        let (mut report, activation) = state::inspect(bytes);
        if let Some((request, response)) = activation {
            against.activation(&mut report, &request, &response)?;
        }
        return Ok(report);
    }
    if bytes.starts_with(b"HC") || bytes.len() == FRAME_LEN {
        let mut report = frame::inspect(bytes);
        if let (None, Ok(frame)) = (&report.fault, bytes.try_into()) {
            against.frame(&mut report, frame)?;
        }
        return Ok(report);
    }
    if let Ok(bytes) = <&[u8; CERTIFICATE_LEN]>::try_from(bytes) {
        let mut report = frame::inspect_certificate(bytes);
        if let Ok(certificate) = Certificate::parse(bytes) {
            let now = SystemClock::start().now().clock.unwrap_or_default();
            against.certificate(&mut report, &certificate, now)?;
        }
        return Ok(report);
    }
    if !bytes.is_empty() && bytes.iter().all(|byte| *byte == 0xff) {
        return Ok(Report::new("empty_slot", "An empty slot of a state image (erased flash)"));
    }
    Ok(Report::unknown(match bytes.len() {
        32 => "32 bytes: a key, secret or public, or a digest; which, nobody can tell",
        64 => "64 bytes: a signature, or two keys or digests; which, nobody can tell",
        _ => "no frame, certificate or state image: it begins like none of them",
    }))
}

/// A state image does not say which slot it is in; the file's name does.
fn name_slot(report: &mut Report, path: &Path) {
    let slot = match path.extension().and_then(|extension| extension.to_str()) {
        Some("a") => "a",
        Some("b") => "b",
        _ => return,
    };
    let other = if slot == "a" { "b" } else { "a" };
    report.notes.push(format!(
        "Slot {slot}, by the file's name. In use is the one with the higher sequence: compare {}.",
        path.with_extension(other).display()
    ));
}
