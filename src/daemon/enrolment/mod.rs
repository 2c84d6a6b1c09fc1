//! A host's own enrolment: the host key it enrols with, what it asks, and how it asks on line.

mod config;
mod key;
mod online;
mod request;

pub use config::EnrolmentConfig;
pub use key::{EnrolmentKey, NoHostKey};
pub use online::{Answered, NotEnrolled};
pub use request::Applicant;
