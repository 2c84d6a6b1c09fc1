//! A host's own enrolment: the host key it enrols with, what it asks, how it asks on line, and how it
//! does that again before its certificate ends.

mod config;
mod keeper;
mod key;
mod online;
mod record;
mod request;
mod schedule;

pub use config::EnrolmentConfig;
pub use keeper::CertificateKeeper;
pub use key::{EnrolmentKey, NoHostKey};
pub use online::{EnrolmentVerdict, NotEnrolled};
pub use record::FailedRenewal;
pub use request::Applicant;
pub use schedule::RenewalDates;
