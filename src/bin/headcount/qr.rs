//! A text as a QR code in the terminal.

use std::io::IsTerminal;

use qrcode::render::unicode::Dense1x2;
use qrcode::{EcLevel, QrCode};

use crate::output::{Exit, Output, Problem};

/// Black on white, whatever the terminal's own colours are.
const COLOURS: (&str, &str) = ("\x1b[30;107m", "\x1b[0m");

/// Prints the code. Digits and upper-case letters take the least room.
pub(crate) fn show(text: &str, output: Output) -> Result<(), Problem> {
    let (begin, end) = if std::io::stdout().is_terminal() { COLOURS } else { ("", "") };
    for line in picture(text)?.lines() {
        output.line(format_args!("{begin}{line}{end}"));
    }
    Ok(())
}

fn picture(text: &str) -> Result<String, Problem> {
    // A screen does not get dirty: the lowest correction makes the largest squares.
    let code = QrCode::with_error_correction_level(text, EcLevel::L)
        .map_err(|error| Problem::new(Exit::Failed, format!("no QR code: {error}")))?;
    Ok(code.render::<Dense1x2>().module_dimensions(1, 1).build())
}
