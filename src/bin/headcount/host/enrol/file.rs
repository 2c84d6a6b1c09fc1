//! Enrolment by file or QR code: request out, answer in.

use std::path::Path;

use headcount::daemon::files::{self, Secrecy};
use headcount::daemon::{Clock, EnrolmentKey, SystemClock};
use headcount::trust;
use serde_json::json;

use super::{refused, report};
use crate::host::Installed;
use crate::inspect::read_frame;
use crate::output::{Exit, Output, Problem};
use crate::qr;

pub(super) fn request(
    host: &Installed,
    key: &EnrolmentKey,
    out: Option<&Path>,
    as_qr_code: bool,
    output: Output,
) -> Result<Exit, Problem> {
    let applicant = host.applicant()?;
    let frame = applicant.request(key, SystemClock::start().now().clock);
    // Remembered first: an answer to a request that is forgotten could not be taken.
    host.files.write_pending_enrolment(&frame)?;
    let id = trust::host_id(&applicant.public_key()).to_string();
    if let Some(out) = out {
        files::write(out, &frame, Secrecy::Public)?;
        output.line(format_args!("Wrote the request of host {id} to {}.", out.display()));
    }
    // The alphabet of upper-case letters and digits takes the least room.
    let digits = files::to_hex(&frame).to_uppercase();
    if as_qr_code {
        qr::show(&digits, output)?;
        output.line(format_args!("This is the request of host {id}."));
    }
    output.document(&json!({
        "request": out.map(|out| out.display().to_string()),
        "host_id": id, "key_id": key.key_id.0,
        "hexadecimal": as_qr_code.then_some(digits),
    }));
    output.line(
        "Send it to the vendor, and take the answer with: headcount host enrol --response FILE \
         --config DIR",
    );
    Ok(Exit::Done)
}

pub(super) fn apply(host: &Installed, answer: &Path, output: Output) -> Result<Exit, Problem> {
    let request = host.files.read_pending_enrolment().map_err(|error| {
        Problem::from(error).advise("Make a request first: headcount host enrol --request FILE")
    })?;
    // A host without products knows no root key, and would believe nothing.
    host.products()?;
    let frame = read_frame(answer)?;
    let judged = host.applicant()?.judge(&frame, &request).map_err(|error| {
        Problem::new(Exit::NotTrusted, error)
            .advise("Take the answer to the newest request, from the products' own vendor.")
    })?;
    let certificate = judged.map_err(refused)?;
    host.files.write_certificate(&certificate)?;
    report(&certificate, output);
    Ok(Exit::Done)
}
