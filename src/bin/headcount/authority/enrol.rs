//! `headcount authority enrol`: the answer to a host's request.

use std::path::PathBuf;

use clap::Args;
use headcount::authority::EnrolmentOutcome;
use headcount::daemon::files::{self, Secrecy};
use headcount::daemon::{AuthorityFiles, Database, EnrolError, KeyTerms, date};
use headcount::time::UnixTime;
use headcount::trust::{self, UntrustedEnrolment};
use headcount::wire::{EnrolmentBody, EnrolmentRequest, EnrolmentResponse, KeyId, Refusal};
use serde_json::{Value, json};

use super::{FolderArgument, covers, not_done, now};
use crate::folder::keep_apart;
use crate::inspect::read_frame;
use crate::output::{Exit, Output, Problem};

/// Answer a host's enrolment request with a certificate, or a refusal.
///
/// Both are files of 250 bytes. The same request gets the same answer, and is counted once. A
/// refusal is written too, for the host to show.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  headcount authority enrol request.bin --out response.bin --dir vendor

Exit codes: 0 enrolled, 4 refused (the answer says so), 6 not to be trusted (no answer).")]
pub(super) struct Arguments {
    /// The host's request: 250 bytes, or their hexadecimal digits; - for standard input.
    request: PathBuf,
    /// Write the answer to this file.
    #[arg(long, value_name = "RESPONSE")]
    out: PathBuf,
    #[command(flatten)]
    folder: FolderArgument,
}

pub(super) fn run(arguments: &Arguments, output: Output) -> Result<Exit, Problem> {
    let Arguments { request, out, folder } = arguments;
    keep_apart(request, out)?;
    let frame = read_frame(request)?;
    let authority = folder.open()?;
    let now = now();
    let answer = authority.enrol(&frame, now).map_err(|error| match error {
        EnrolError::File(error) => error.into(),
        EnrolError::Store(error) => not_done(error),
        EnrolError::Signer(error) => not_done(error),
        EnrolError::Untrusted(untrusted) => distrust(&untrusted),
    })?;
    files::write(out, &answer.frame, Secrecy::Public)?;

    let unreadable = |malformed| Problem::new(Exit::Failed, malformed);
    let request = EnrolmentRequest::parse(&frame).map_err(unreadable)?;
    let response = EnrolmentResponse::parse(&answer.frame).map_err(unreadable)?;
    let host = Host { request: &request, body: &response.body, authority: &authority };
    let mut document = host.document();
    document["response"] = json!(out.display().to_string());
    if let EnrolmentOutcome::Refused(refusal) = answer.outcome {
        document["status"] = json!(refusal.code());
        return Err(host.refused(refusal, now).with_details(document));
    }
    let repeated = answer.outcome == EnrolmentOutcome::Repeated;
    document["repeated"] = json!(repeated);
    output.document(&document);
    host.report(repeated, output);
    output.line(format_args!(
        "Wrote {}. The host takes it with: headcount host enrol --config DIR --apply FILE",
        out.display()
    ));
    Ok(Exit::Done)
}

/// A host that asked, and its answer.
struct Host<'a> {
    request: &'a EnrolmentRequest<'a>,
    body: &'a EnrolmentBody,
    authority: &'a AuthorityFiles,
}

impl Host<'_> {
    fn document(&self) -> Value {
        let certificate = self.body.outcome.ok().map(|certificate| {
            let claims = certificate.claims;
            json!({
                "serial": claims.serial,
                "not_before": date(claims.not_before.start()),
                "not_after": date(claims.not_after.start()),
                "family": claims.coverage.family,
                "rank": claims.coverage.rank,
                "generation": claims.coverage.generation,
            })
        });
        json!({
            "host_name": self.request.host_name.as_str(),
            "host_id": trust::host_id(&self.request.public_key).to_string(),
            "key_id": self.request.key_id.0,
            "status": 0,
            "certificate": certificate,
            "hosts_left": self.body.hosts_left,
            "activations_left": self.body.activations_left,
        })
    }

    fn report(&self, repeated: bool, output: Output) {
        let Self { request, body, .. } = self;
        let KeyId(key_id) = request.key_id;
        output.line(format_args!(
            "Enrolled {:?}, host id {}.",
            request.host_name.as_str(),
            trust::host_id(&request.public_key)
        ));
        if let Ok(certificate) = &body.outcome {
            let claims = &certificate.claims;
            output.line(format_args!(
                "  certificate {} covers {}, valid until {}",
                claims.serial,
                covers(claims.coverage),
                date(claims.not_after.start())
            ));
        }
        let when = if repeated { "were" } else { "are" };
        output.line(format_args!(
            "  {} activations of this host and {} more hosts {when} left on key {key_id}",
            body.activations_left, body.hosts_left
        ));
        if repeated {
            output.line("  This request was answered before: the same answer, not counted again.");
        }
    }

    fn refused(&self, refusal: Refusal, now: UnixTime) -> Problem {
        let KeyId(id) = self.request.key_id;
        let limits = match self.authority.key(id).ok().flatten().map(|(key, _)| key.terms) {
            Some(KeyTerms::Host { hosts, activations }) => (hosts, activations),
            _ => (0, 0),
        };
        let (cause, advice) = match refusal {
            Refusal::UnknownKey => (
                format!("key {id} is not in the register as a host key"),
                "Was the register put back to an older copy? See 'headcount authority key list'."
                    .to_owned(),
            ),
            Refusal::KeyBlocked => (
                format!("key {id} is blocked"),
                format!("Lift it with 'headcount authority key unblock {id}', or issue another."),
            ),
            Refusal::KeyExhausted if self.is_known() => (
                format!("this host has used its {} activations of key {id}", limits.1),
                "Issue another key.".to_owned(),
            ),
            Refusal::KeyExhausted => (
                format!("the {} hosts of key {id} are used", limits.0),
                format!("'headcount authority key show {id}' lists them. Issue another key."),
            ),
            Refusal::ClockSkew => (
                format!(
                    "the host's clock shows {}, this one {}",
                    self.request.host_time.map(date).unwrap_or_default(),
                    date(now)
                ),
                "Set the wrong one, or leave max_clock_skew_minutes out of authority.toml for \
                 requests that travel by hand."
                    .to_owned(),
            ),
            other => (format!("refused: {}", other.name()), "See 'headcount explain'.".to_owned()),
        };
        Problem::new(Exit::Refused, format!("{cause} (status {})", refusal.code()))
            .advise(format_args!("{advice}\n  The answer says so, too: nothing was counted."))
    }

    /// Whether the key has enrolled this host before.
    fn is_known(&self) -> bool {
        let key_id = Some(self.request.key_id);
        let enrolments = self.authority.database().enrolments(key_id, None, usize::MAX);
        let mut enrolments = enrolments.unwrap_or_default().into_iter();
        enrolments.any(|done| done.public_key == self.request.public_key.0)
    }
}

fn distrust(untrusted: &UntrustedEnrolment) -> Problem {
    let advice = match untrusted {
        UntrustedEnrolment::Tag => {
            "The host key that made it was not issued by this authority, or the request was changed \
             on the way."
        }
        UntrustedEnrolment::Possession => {
            "Whoever made it does not have the host's private key: ask the host for a new request."
        }
        UntrustedEnrolment::Malformed(_) => {
            "'headcount inspect' shows what it is. Was the file sent as it is?"
        }
    };
    Problem::new(Exit::NotTrusted, untrusted).advise(advice)
}
