//! Answering requests that were carried here, and installation ids that were read out.
//!
//! The sender's clock is never compared: what was carried by hand is as old as its journey.

use core::convert::Infallible;
use core::fmt::{Debug, Display};
use std::boxed::Box;
use std::string::ToString;

use super::command::{Answered, Confirmed, Failure, FailureKind, Reply};
use super::office::Office;
use crate::authority::{
    ActivationAnswer, ActivationError, ActivationOutcome, Authority, EnrolmentError,
    EnrolmentOutcome, KeyService, PhoneError, UntrustedActivation,
};
use crate::daemon::authority_store::{Database, StoreError};
use crate::daemon::files;
use crate::phone::{GROUP_DIGITS, HostInstallationId, InstallationId, InvalidNumber};
use crate::time::UnixTime;
use crate::trust::UntrustedEnrolment;
use crate::wire::{Frame, KeyId, Kind, Refusal, frame_from_slice};

impl Office {
    /// Answers a request, and says what it is worth.
    pub(super) fn answer(&self, request: &str, now: UnixTime) -> Result<Reply, Failure> {
        let bytes = files::from_hex(request)
            .ok_or_else(|| Failure::usage("the request is not in hexadecimal digits"))?;
        let frame = frame_from_slice(&bytes).map_err(distrust_form)?;
        match Kind::of(frame).map_err(distrust_form)? {
            Kind::EnrolmentRequest => self.enrol(frame, now),
            Kind::Request => self.activate(frame, now),
            other => Err(Failure::new(
                FailureKind::NotTrusted,
                std::format!("this is no request but {other:?}"),
            )
            .advise("'headcount inspect' shows what it is.")),
        }
    }

    fn enrol(&self, frame: &Frame, now: UnixTime) -> Result<Reply, Failure> {
        let desk = self.enrolling_desk()?;
        let examined = desk
            .enrolling()
            .examine_enrolment(frame)
            .map_err(|error| distrust_enrolment(&error))?;
        let request = examined.request().map_err(distrust_form)?;
        let (answer, enrolled) = self.files.database().write(|mut records| {
            let serial = records.next_serial()?;
            let authority = desk.enrolling_with(request.key_id, &mut records)?;
            let authority = Authority { max_skew: None, ..authority };
            let answer = authority
                .conclude_enrolment(&examined, now, serial, &mut records)
                .map_err(|error| match error {
                    EnrolmentError::Untrusted(untrusted) => distrust_enrolment(&untrusted),
                    EnrolmentError::Signer(error) => unsigned(&error),
                    EnrolmentError::Ledger(error) => error.into(),
                })?;
            let enrolled = records.activations(request.key_id, &request.public_key)?;
            Ok::<_, Failure>((answer, enrolled))
        })??;
        Ok(Reply::Answered(Box::new(Answered {
            answer: files::to_hex(&answer.frame),
            repeated: answer.outcome == EnrolmentOutcome::Repeated,
            counted: matches!(answer.outcome, EnrolmentOutcome::Granted { .. }),
            key: self.files.database().key(request.key_id)?.map(|(key, _)| key),
            enrolled,
        })))
    }

    fn activate(&self, frame: &Frame, now: UnixTime) -> Result<Reply, Failure> {
        let desk = self.stocked_desk(now)?;
        let catalogue = desk.catalogue();
        let service = KeyService { max_skew: None, ..desk.key_service(&catalogue) };
        let examined = service.examine(frame).map_err(|error| distrust_activation(&error))?;
        let decision = self
            .files
            .database()
            .write(|mut records| service.decide(&examined, now, &mut records))?
            .map_err(no_answer)?;
        // It is durable now, so it may be signed.
        let signed: Result<_, Infallible> = service.sign(&decision);
        let Ok(ActivationAnswer { frame, outcome }) = signed;
        let key_id = examined.request().key_id;
        Ok(Reply::Answered(Box::new(Answered {
            answer: files::to_hex(&frame),
            repeated: outcome == ActivationOutcome::Repeated,
            counted: matches!(outcome, ActivationOutcome::Granted { counted: true, .. }),
            key: self.files.database().key(key_id)?.map(|(key, _)| key),
            enrolled: 0,
        })))
    }

    /// Confirms an installation id, of a machine or a host: their lengths tell which.
    pub(super) fn confirm(&self, id: &str, now: UnixTime) -> Result<Reply, Failure> {
        let digits = id.chars().filter(char::is_ascii_digit).count();
        if digits > InstallationId::GROUPS * GROUP_DIGITS {
            self.confirm_host(&id.parse().map_err(|error| misread(&error))?, now)
        } else {
            self.confirm_machine(&id.parse().map_err(|error| misread(&error))?, now)
        }
    }

    fn confirm_machine(&self, id: &InstallationId, now: UnixTime) -> Result<Reply, Failure> {
        let desk = self.stocked_desk(now)?;
        let catalogue = desk.catalogue();
        let products = desk.key_service(&catalogue).products;
        let authority = desk.confirming(id).ok_or_else(|| {
            Failure::failed("the product knows none of the root keys of authority.toml")
                .advise("Are the [[roots]] in its file as 'headcount authority root list' shows?")
        })?;
        let confirmed = self
            .files
            .database()
            .write(|mut records| authority.answer_installation(id, products, now, &mut records))?;
        let confirmed = confirmed.map_err(|error| unconfirmed(&error, id.key_id()))?;
        Ok(Reply::Confirmed(Box::new(Confirmed {
            confirmation: confirmed.confirmation.to_string(),
            key_id: id.key_id().0,
            repeated: !confirmed.counted,
            activations_left: confirmed.left,
            hosts_left: None,
            valid_until: None,
        })))
    }

    fn confirm_host(&self, id: &HostInstallationId, now: UnixTime) -> Result<Reply, Failure> {
        let desk = self.enrolling_desk()?;
        let confirmed = self.files.database().write(|mut records| {
            let serial = records.next_serial().map_err(PhoneError::Ledger)?;
            let authority = desk.enrolling_with(id.key_id(), &mut records);
            let authority = authority.map_err(PhoneError::Ledger)?;
            authority.answer_host_installation(id, now, serial, &mut records)
        })?;
        let confirmed = confirmed.map_err(|error| unconfirmed(&error, id.key_id()))?;
        Ok(Reply::Confirmed(Box::new(Confirmed {
            confirmation: confirmed.confirmation.to_string(),
            key_id: id.key_id().0,
            repeated: confirmed.outcome == EnrolmentOutcome::Repeated,
            activations_left: confirmed.activations_left,
            hosts_left: Some(confirmed.hosts_left),
            valid_until: Some(confirmed.certificate.claims.not_after.start().as_secs()),
        })))
    }
}

fn distrust(cause: &impl ToString, advice: &str) -> Failure {
    Failure::new(FailureKind::NotTrusted, cause.to_string()).advise(advice)
}

#[expect(clippy::needless_pass_by_value, reason = "as `map_err` passes it")]
fn distrust_form(error: impl ToString) -> Failure {
    distrust(&error, "'headcount inspect' shows what it is. Was the file sent as it is?")
}

fn distrust_enrolment(untrusted: &UntrustedEnrolment) -> Failure {
    match untrusted {
        UntrustedEnrolment::Tag => distrust(
            untrusted,
            "The host key that made it was not issued by this authority, or the request was changed \
             on the way.",
        ),
        UntrustedEnrolment::Possession => distrust(
            untrusted,
            "Whoever made it does not have the host's private key: ask the host for a new request.",
        ),
        UntrustedEnrolment::Malformed(_) => distrust_form(untrusted),
    }
}

fn distrust_activation(untrusted: &UntrustedActivation) -> Failure {
    match untrusted {
        UntrustedActivation::Tag => distrust(
            untrusted,
            "The key that made it was not issued by this authority, or the request was changed on \
             the way.",
        ),
        UntrustedActivation::Malformed(_) => distrust_form(untrusted),
    }
}

fn no_answer<S: Display>(error: ActivationError<S, StoreError>) -> Failure {
    match error {
        ActivationError::Untrusted(untrusted) => distrust_activation(&untrusted),
        ActivationError::NoCertificate => {
            Failure::failed("the authority's own key has no certificate: no product is defined")
                .advise("Define one: headcount authority product add")
        }
        ActivationError::Signer(error) => unsigned(&error),
        ActivationError::Ledger(error) => error.into(),
    }
}

fn unsigned(error: &impl Display) -> Failure {
    Failure::failed(std::format!("the root key could not sign: {error}"))
}

fn misread(error: &InvalidNumber) -> Failure {
    Failure::usage(error).advise("Have it read out again; each group has its own check digit.")
}

fn unconfirmed<S: Debug + Display>(error: &PhoneError<S, StoreError>, KeyId(id): KeyId) -> Failure {
    match error {
        PhoneError::Tag => distrust(
            error,
            "The key was not issued by this authority, or groups of two ids were mixed up.",
        ),
        PhoneError::Refused(refusal) => refused(*refusal, id),
        PhoneError::Untellable => Failure::failed(error),
        PhoneError::Signer(error) => unsigned(error),
        PhoneError::Ledger(error) => error.clone().into(),
    }
}

fn refused(refusal: Refusal, id: u32) -> Failure {
    let code = refusal.code();
    let (cause, advice) = match refusal {
        Refusal::UnknownKey => (
            std::format!("key {id} is not in the register as a key of this kind"),
            "Was the database put back to an older copy? See 'headcount authority key list'."
                .to_string(),
        ),
        Refusal::KeyBlocked => (
            std::format!("key {id} is blocked"),
            std::format!("Lift it with 'headcount authority key unblock {id}', or issue another."),
        ),
        Refusal::KeyExhausted => (
            std::format!("key {id} is used up"),
            std::format!(
                "'headcount authority key show {id}' tells more. Raise its limit with 'headcount \
                 authority key limit {id}', or issue another key."
            ),
        ),
        Refusal::NotCovered => (
            std::format!("key {id} does not cover that product"),
            "'headcount authority key show' and 'product list' tell what each covers.".to_string(),
        ),
        other => (std::format!("refused: {}", other.name()), "See 'headcount explain'.".into()),
    };
    Failure::refused(refusal, std::format!("{cause} (status {code})")).advise(&advice)
}
