//! Activation by phone: what is stored in the place of an answer (PROTOCOL 14).

use super::Product;
use super::record::Activation;
use super::step::Rejection;
use crate::discovery::Hosts;
use crate::phone;
use crate::time::Minutes;
use crate::trust::Verifier;
use crate::wire::Frame;

/// A confirmation record that a root key has signed, for the request beside it.
#[derive(Clone, Copy)]
pub(super) struct Confirmed<'f>(&'f Frame);

impl<'f> Confirmed<'f> {
    pub(super) fn verify(
        record: &'f Frame,
        request: &Frame,
        product: &Product<'_, impl Verifier>,
    ) -> Result<Self, Rejection> {
        phone::verify_record(record, request, product.roots)
            .map(|_| Self(record))
            .map_err(Rejection::Unconfirmed)
    }

    pub(super) const fn record(self) -> &'f Frame {
        self.0
    }
}

/// Whether what is stored in the place of an answer says that it came by phone. To a client that only
/// counts it is malformed.
pub(super) fn is_by_phone<H: Hosts>(answer: &Frame) -> bool {
    H::BY_KEY && phone::is_record(answer)
}

impl Activation {
    /// Whether it was granted by phone: then it has neither host time nor certificate.
    pub(super) fn is_by_phone<H: Hosts>(&self) -> bool {
        is_by_phone::<H>(self.response().frame())
    }

    /// How long to wait between tries, as who granted it says.
    pub(super) fn activation_interval<H: Hosts>(&self) -> Option<Minutes> {
        (!self.is_by_phone::<H>()).then(|| self.response().activation_interval())
    }
}
