//! `headcount host enrol`: a request for the vendor, and the vendor's answer.

use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Args;
use headcount::daemon::files::{self, Secrecy};
use headcount::daemon::{Clock, MachineFacts, SystemClock, all_roots, date, system_rng};
use headcount::trust::{self, ProductKey, Signer};
use headcount::wire::{
    self, Certificate, EnrolmentRequest, Frame, KeyKind, Malformed, Name, Nonce, Refusal,
};
use rand_core::Rng;
use serde_json::json;
use zeroize::Zeroizing;

use super::{ConfigArgument, Installed};
use crate::folder::keep_apart;
use crate::output::{Exit, Output, Problem};

/// Ask the vendor for a certificate (--out), and take the answer (--apply).
///
/// Both are files of 250 bytes that travel by any means; the host needs no network for it.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  headcount host enrol --config /etc/headcount --key-file host-key.txt --out request.bin
  headcount host enrol --config /etc/headcount --apply response.bin")]
pub(crate) struct Arguments {
    #[command(flatten)]
    config: ConfigArgument,
    /// Write a request to this file.
    #[arg(long, value_name = "FILE", conflicts_with = "apply", required_unless_present = "apply")]
    out: Option<PathBuf>,
    /// The host key from the vendor. Other users of this machine may see it: prefer --key-file.
    #[arg(long, value_name = "KEY", conflicts_with = "apply")]
    key: Option<String>,
    /// A file with the host key in its first line, or - for standard input. Empty lines and those
    /// that begin with # are passed over.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["apply", "key"])]
    key_file: Option<PathBuf>,
    /// Take the vendor's answer from this file.
    #[arg(long, value_name = "FILE")]
    apply: Option<PathBuf>,
}

pub(super) fn run(arguments: &Arguments, output: Output) -> Result<Exit, Problem> {
    let host = Installed::read(&arguments.config)?;
    match (&arguments.out, &arguments.apply) {
        (Some(out), _) => {
            if let Some(key_file) = &arguments.key_file {
                keep_apart(key_file, out)?;
            }
            request(&host, &arguments.host_key()?, out, output)
        }
        (None, Some(answer)) => apply(&host, answer, output),
        // clap asks for one of them.
        (None, None) => Err(Problem::new(Exit::Usage, "either --out or --apply, please")),
    }
}

impl Arguments {
    fn host_key(&self) -> Result<ProductKey, Problem> {
        let text = Zeroizing::new(match (&self.key, &self.key_file) {
            (Some(key), _) => key.clone(),
            (None, Some(path)) => read_text(path)?,
            (None, None) => {
                return Err(Problem::new(Exit::Usage, "no host key")
                    .advise("Give the vendor's host key with --key-file FILE or --key KEY."));
            }
        });
        let key = ProductKey::from_text(key_in(&text)).map_err(|error| {
            Problem::new(Exit::Usage, error).advise("Compare it with the original.")
        })?;
        if key.kind() == KeyKind::Host {
            return Ok(key);
        }
        Err(Problem::new(Exit::Usage, "this product key is not a host key")
            .advise("Setup keys are in product files; hosts are enrolled with a host key."))
    }
}

/// The key in a file: its first line that is no comment. So what 'authority key new' prints can be
/// handed on as it is.
fn key_in(text: &str) -> &str {
    let mut lines = text.lines().map(str::trim);
    lines.find(|line| !line.is_empty() && !line.starts_with('#')).unwrap_or_default()
}

fn read_text(path: &Path) -> Result<String, Problem> {
    let bytes = if path == Path::new("-") {
        let mut bytes = Vec::new();
        let read = std::io::stdin().lock().take(1_024).read_to_end(&mut bytes);
        read.map_err(|error| Problem::new(Exit::Failed, format!("cannot read the key: {error}")))?;
        bytes
    } else {
        files::read(path)?
    };
    String::from_utf8(bytes).map_err(|_| Problem::new(Exit::Usage, "the key is not text"))
}

fn request(
    host: &Installed,
    key: &ProductKey,
    out: &Path,
    output: Output,
) -> Result<Exit, Problem> {
    let signer = host.files.read_key()?;
    let facts = MachineFacts::of_this_machine();
    let name = if host.config.name.is_empty() { &facts.name } else { &host.config.name };
    let application_id =
        host.products.first().and_then(|product| product.application_id.parse().ok());
    let mut nonce = [0; 16];
    system_rng().fill_bytes(&mut nonce);
    let request = EnrolmentRequest {
        platform_rank: host.config.platform_rank,
        key_id: key.key_id(),
        public_key: signer.public_key(),
        host_time: SystemClock::start().now().clock,
        nonce: Nonce(nonce),
        fingerprint: application_id.map(|id| facts.fingerprint(id)).unwrap_or_default(),
        host_name: Name::truncated(name),
    };
    let frame = match trust::seal_enrolment_request(&request, &signer, &key.tag_key()) {
        Ok(frame) => frame,
        Err(never) => match never {},
    };
    // Remembered first: an answer to a request that is forgotten could not be taken.
    host.files.write_pending_enrolment(&frame)?;
    files::write(out, &frame, Secrecy::Public)?;
    let id = trust::host_id(&signer.public_key());
    let out = out.display();
    output.document(&json!({
        "request": out.to_string(), "host_id": id.to_string(), "key_id": key.key_id().0,
    }));
    output.line(format_args!("Wrote the request of host {id} to {out}."));
    output.line(
        "Send it to the vendor, and take the answer with: headcount host enrol --config DIR --apply \
         FILE",
    );
    Ok(Exit::Done)
}

fn apply(host: &Installed, answer: &Path, output: Output) -> Result<Exit, Problem> {
    let request = host.files.read_pending_enrolment().map_err(|error| {
        Problem::from(error).advise("Make a request first: headcount host enrol --out FILE")
    })?;
    let bytes = files::read(answer)?;
    let frame: &Frame = wire::frame_from_slice(&bytes).map_err(|error| malformed(answer, error))?;
    let signer = host.files.read_key()?;
    let roots = all_roots(host.products()?).map_err(|error| Problem::new(Exit::Usage, error))?;
    let response = trust::verify_enrolment_response(frame, &request, &signer.public_key(), &roots)
        .map_err(|error| {
            Problem::new(Exit::NotTrusted, error)
                .advise("Take the answer to the newest request, from the products' own vendor.")
        })?;
    let certificate = response.body.outcome.map_err(refused)?;
    host.files.write_certificate(&certificate)?;
    report(&certificate, output);
    Ok(Exit::Done)
}

fn report(certificate: &Certificate, output: Output) {
    let claims = &certificate.claims;
    let (from, to) = (date(claims.not_before.start()), date(claims.not_after.start()));
    output.document(&json!({
        "serial": claims.serial, "not_before": from, "not_after": to,
        "family": claims.coverage.family, "rank": claims.coverage.rank,
        "generation": claims.coverage.generation,
    }));
    output.line(format_args!(
        "Enrolled: certificate {} is valid from {from} to {to}.",
        claims.serial
    ));
    output.line("A host that runs already takes it at its next start.");
}

fn malformed(path: &Path, error: Malformed) -> Problem {
    Problem::new(Exit::NotTrusted, format!("{}: {error}", path.display()))
        .advise("Was the file sent as it is, not as text or in an archive?")
}

fn refused(refusal: Refusal) -> Problem {
    let cause = format!("the vendor refused: {} (status {})", refusal.name(), refusal.code());
    Problem::new(Exit::Refused, cause)
        .advise(format_args!("'headcount explain {}' tells why and what to do.", refusal.name()))
}
