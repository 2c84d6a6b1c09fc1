//! A request that the authority has answered: what it asked and what it got.

use headcount::daemon::{Answered, Command, KeyTerms, Reply, date, files};
use headcount::trust;
use headcount::wire::{
    EnrolmentBody, EnrolmentRequest, EnrolmentResponse, FRAME_LEN, Frame, KeyId, Kind, Refusal,
    Request, Response, Verdict,
};
use serde_json::{Value, json};

use super::asking::{Asked, unexpected};
use super::covers;
use crate::output::{Exit, Output, Problem};

/// A request and its answer.
pub(super) struct AnsweredFrame {
    request: Frame,
    answer: Frame,
    told: Answered,
}

/// The two kinds of requests, with their answers.
enum Exchange<'a> {
    Enrolment(Box<(EnrolmentRequest<'a>, EnrolmentBody)>),
    Activation(Box<Request<'a>>, Verdict),
}

impl AnsweredFrame {
    /// Has a request answered.
    pub(super) fn ask(authority: &Asked, request: &Frame) -> Result<Self, Problem> {
        let told = match authority.one(&Command::Answer(files::to_hex(request)))? {
            Reply::Answered(told) => *told,
            other => return Err(unexpected(&other)),
        };
        let answer = files::from_hex(&told.answer)
            .and_then(|answer| <[u8; FRAME_LEN]>::try_from(answer).ok())
            .ok_or_else(|| Problem::new(Exit::Failed, "the authority's answer is no frame"))?;
        Ok(Self { request: *request, answer, told })
    }

    pub(super) const fn frame(&self) -> &Frame {
        &self.answer
    }

    fn exchange(&self) -> Result<Exchange<'_>, Problem> {
        let unreadable = |malformed| Problem::new(Exit::Failed, malformed);
        match Kind::of(&self.request).map_err(unreadable)? {
            Kind::EnrolmentRequest => Ok(Exchange::Enrolment(Box::new((
                EnrolmentRequest::parse(&self.request).map_err(unreadable)?,
                EnrolmentResponse::parse(&self.answer).map_err(unreadable)?.body,
            )))),
            _ => Ok(Exchange::Activation(
                Box::new(Request::parse(&self.request).map_err(unreadable)?),
                Response::parse(&self.answer).map_err(unreadable)?.body.verdict,
            )),
        }
    }

    /// All of it for machines.
    pub(super) fn document(&self) -> Result<Value, Problem> {
        let mut document = match self.exchange()? {
            Exchange::Enrolment(enrolled) => enrolment(&enrolled.0, &enrolled.1),
            Exchange::Activation(request, verdict) => activation(&request, verdict),
        };
        document["repeated"] = json!(self.told.repeated);
        Ok(document)
    }

    /// One line for people.
    pub(super) fn summary(&self) -> Result<String, Problem> {
        let again = if self.told.repeated { ", the same answer as before" } else { "" };
        if let Some(refused) = self.refused()? {
            return Ok(refused.cause().to_owned());
        }
        Ok(match self.exchange()? {
            Exchange::Enrolment(enrolled) => {
                let (request, body) = &*enrolled;
                let end = body.outcome.map(|granted| date(granted.claims.not_after.start()));
                format!(
                    "host {:?} enrolled with key {} until {}{again}",
                    request.host_name.as_str(),
                    request.key_id.0,
                    end.unwrap_or_default()
                )
            }
            Exchange::Activation(request, verdict) => {
                let left = match verdict {
                    Verdict::Granted { count, .. } => count,
                    Verdict::Refused(_) => 0,
                };
                let again = match (self.told.repeated, self.told.counted) {
                    (false, false) => ", which had activated it before",
                    _ => again,
                };
                format!(
                    "machine activated with key {}{again}; {left} activations left",
                    request.key_id.0
                )
            }
        })
    }

    /// What was granted to a host, in some lines.
    pub(super) fn report(&self, output: Output) -> Result<(), Problem> {
        let Exchange::Enrolment(enrolled) = self.exchange()? else {
            output.line(self.summary()?);
            return Ok(());
        };
        let (request, body) = *enrolled;
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
        let when = if self.told.repeated { "were" } else { "are" };
        output.line(format_args!(
            "  {} activations of this host and {} more hosts {when} left on key {key_id}",
            body.activations_left, body.hosts_left
        ));
        if self.told.repeated {
            output.line("  This request was answered before: the same answer, not counted again.");
        }
        Ok(())
    }

    /// The refusal, if it is one.
    pub(super) fn refused(&self) -> Result<Option<Problem>, Problem> {
        let (id, refusal) = match self.exchange()? {
            Exchange::Enrolment(enrolled) => match enrolled.1.outcome {
                Err(refusal) => (enrolled.0.key_id.0, refusal),
                Ok(_) => return Ok(None),
            },
            Exchange::Activation(request, Verdict::Refused(refusal)) => (request.key_id.0, refusal),
            Exchange::Activation(..) => return Ok(None),
        };
        let (cause, advice) = self.reason(id, refusal);
        Ok(Some(
            Problem::new(Exit::Refused, format!("{cause} (status {})", refusal.code()))
                .advise(format_args!("{advice}\n  The answer says so, too: nothing was counted.")),
        ))
    }

    fn reason(&self, id: u32, refusal: Refusal) -> (String, String) {
        let limit = |flag: &str| {
            format!(
                "Raise it with 'headcount authority key limit {id} {flag} N', or issue another key."
            )
        };
        let terms = self.told.key.as_ref().map(|key| key.terms);
        match (refusal, terms) {
            (Refusal::UnknownKey, _) => (
                format!("key {id} is not in the register as a key of this kind"),
                "Was the database put back to an older copy? See 'headcount authority key list'."
                    .to_owned(),
            ),
            (Refusal::KeyBlocked, _) => (
                format!("key {id} is blocked"),
                format!("Lift it with 'headcount authority key unblock {id}', or issue another."),
            ),
            (Refusal::KeyExhausted, Some(KeyTerms::Host { activations, .. }))
                if self.told.enrolled > 0 =>
            {
                (
                    format!("this host has used its {activations} activations of key {id}"),
                    limit("--activations"),
                )
            }
            (Refusal::KeyExhausted, Some(KeyTerms::Host { hosts, .. })) => (
                format!("the {hosts} hosts of key {id} are used"),
                format!("'headcount authority key show {id}' lists them. {}", limit("--hosts")),
            ),
            (Refusal::KeyExhausted, Some(KeyTerms::Mak { activations })) => (
                format!("the {activations} activations of key {id} are used"),
                limit("--activations"),
            ),
            (Refusal::NotCovered, _) => (
                format!("key {id} does not cover that product, or no product of this id is known"),
                "'headcount authority key show' and 'product list' tell what each covers."
                    .to_owned(),
            ),
            (other, _) => {
                (format!("refused: {}", other.name()), "See 'headcount explain'.".to_owned())
            }
        }
    }
}

fn enrolment(request: &EnrolmentRequest<'_>, body: &EnrolmentBody) -> Value {
    let certificate = body.outcome.ok().map(|certificate| {
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
        "kind": "enrolment",
        "host_name": request.host_name.as_str(),
        "host_id": trust::host_id(&request.public_key).to_string(),
        "key_id": request.key_id.0,
        "status": body.outcome.err().map_or(0, Refusal::code),
        "certificate": certificate,
        "hosts_left": body.hosts_left,
        "activations_left": body.activations_left,
    })
}

fn activation(request: &Request<'_>, verdict: Verdict) -> Value {
    let (status, left) = match verdict {
        Verdict::Granted { count, .. } => (0, Some(count)),
        Verdict::Refused(refusal) => (refusal.code(), None),
    };
    json!({
        "kind": "activation",
        "machine_name": request.workstation_name.as_str(),
        "cmid": request.cmid.to_string(),
        "key_id": request.key_id.0,
        "status": status,
        "activations_left": left,
    })
}
