//! Enrolment on line: one exchange with the authority (PROTOCOL 6).
//!
//! Each certificate that is granted uses up one of the activations that the host key has for this
//! host. So a request whose answer never came is sent again as it is: if it was granted, the
//! authority answers with the same certificate and counts nothing.

use core::fmt;
use std::net::SocketAddr;

use super::{Applicant, EnrolmentKey, RenewalDates};
use crate::daemon::exchange::{ExchangeError, Transport, exchange};
use crate::daemon::files::FileError;
use crate::daemon::resolver::Resolver;
use crate::discovery::Host;
use crate::os::system_rng;
use crate::time::UnixTime;
use crate::trust::UntrustedGrant;
use crate::wire::{self, Certificate, Frame, Refusal};

/// What the authority answered, by a frame that it has signed.
pub type EnrolmentVerdict = Result<Certificate, Refusal>;

/// Why there is no answer.
#[derive(Debug)]
pub enum NotEnrolled {
    /// The request could not be remembered, and so was not sent.
    File(FileError),
    /// Nobody answered, or nobody who is to be believed.
    Exchange(ExchangeError<UntrustedGrant>),
}

impl Applicant {
    /// Asks the authority at `place` for a certificate. `clock` is the host's.
    ///
    /// The certificate is not stored: until it is ([`accept`](Self::accept)), the same request is
    /// sent again, and gets the same certificate.
    pub async fn ask(
        &self,
        key: &EnrolmentKey,
        place: &Host,
        transport: Transport,
        clock: Option<UnixTime>,
    ) -> Result<EnrolmentVerdict, NotEnrolled> {
        let found = Resolver::of_system().addresses_of(place, &mut system_rng()).await;
        let addresses =
            found.map_err(|reason| NotEnrolled::Exchange(ExchangeError::Unknown(reason)))?;
        let before = self.files.read_unanswered_enrolment()?;
        if let Some(before) = before.filter(|before| self.still_says(before, key)) {
            let answered = self.exchange(&before, &addresses, transport).await?;
            if !is_stale(&answered, clock) {
                return self.settle(answered);
            }
        }
        let request = self.request(key, clock);
        // Remembered first: the answer may be lost after it was counted.
        self.files.write_unanswered_enrolment(&request)?;
        let answered = self.exchange(&request, &addresses, transport).await?;
        self.settle(answered)
    }

    /// Stores a certificate that [`ask`](Self::ask) brought. The next request is a new one.
    pub fn accept(&self, certificate: &Certificate) -> Result<(), FileError> {
        self.files.write_certificate(certificate)?;
        self.files.forget_unanswered_enrolment()
    }

    /// A refusal has used up nothing, and the same request may be too old when the cause is mended.
    fn settle(&self, answered: EnrolmentVerdict) -> Result<EnrolmentVerdict, NotEnrolled> {
        if answered.is_err() {
            self.files.forget_unanswered_enrolment()?;
        }
        Ok(answered)
    }

    /// One exchange, with one address after the other until one answers.
    async fn exchange(
        &self,
        request: &Frame,
        addresses: &[SocketAddr],
        transport: Transport,
    ) -> Result<EnrolmentVerdict, NotEnrolled> {
        let judge = |answer: &[u8]| self.judge(wire::frame_from_slice(answer)?, request);
        let mut failure = ExchangeError::Unknown("there is none".into());
        for address in addresses {
            match exchange(transport, *address, request, judge).await {
                Ok(answered) => return Ok(answered),
                Err(error) => failure = error,
            }
        }
        Err(NotEnrolled::Exchange(failure))
    }
}

/// Whether the answer is to a request that was made too long ago: refused for the time in it, which
/// tells that it was not granted before either, or granted when that was, and so about to end.
fn is_stale(answered: &EnrolmentVerdict, clock: Option<UnixTime>) -> bool {
    match answered {
        Ok(certificate) => clock.is_some_and(|clock| RenewalDates::of(certificate).is_near(clock)),
        Err(refusal) => *refusal == Refusal::ClockSkew,
    }
}

impl From<FileError> for NotEnrolled {
    fn from(error: FileError) -> Self {
        Self::File(error)
    }
}

impl fmt::Display for NotEnrolled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(error) => error.fmt(f),
            Self::Exchange(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for NotEnrolled {}
