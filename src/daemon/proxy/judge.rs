//! Whether an answer is worth keeping.

use std::boxed::Box;
use std::string::String;
use std::vec::Vec;

use super::identity::Group;
use super::pair::{Pair, check_form};
use crate::daemon::ProductFile;
use crate::fingerprint::Matching;
use crate::trust::{Expected, Root, Untrusted, verify_response};
use crate::wire::{
    self, ActivationId, ApplicationId, Coverage, Frame, Method, Refusal, frame_from_slice,
};

/// Judges answers: by their form alone, or with the root keys of product files as the machines will.
#[derive(Debug, Default)]
pub struct Judge {
    products: Vec<KnownProduct>,
}

/// A product whose file is at hand.
#[derive(Debug)]
pub(super) struct KnownProduct {
    name: String,
    application_id: ApplicationId,
    activation_id: ActivationId,
    coverage: Coverage,
    pub(super) matching: Matching,
    roots: Vec<Root>,
}

/// What an answer that can be kept says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The machine is activated.
    Granted(Box<Pair>),
    /// It is not.
    Refused(Refusal),
}

impl Judge {
    /// With these products; without any, only form is judged.
    ///
    /// # Errors
    ///
    /// What is wrong with a file, for people.
    pub fn new(files: &[ProductFile]) -> Result<Self, String> {
        files
            .iter()
            .map(KnownProduct::of)
            .collect::<Result<_, _>>()
            .map(|products| Self { products })
    }

    /// The name of the product that a request is of, where its file is at hand.
    #[must_use]
    pub fn product_name(&self, request: &wire::Request<'_>) -> Option<&str> {
        self.find(request.application_id, request.activation_id).map(|known| known.name.as_str())
    }

    /// Whether a request can be judged: there are no product files, or one is of its product.
    #[must_use]
    pub fn covers(&self, request: &wire::Request<'_>) -> bool {
        self.products.is_empty() || self.product_name(request).is_some()
    }

    /// Judges an answer to a request.
    ///
    /// # Errors
    ///
    /// It is not to be kept.
    pub fn judge(&self, request: &Frame, answer: &[u8]) -> Result<Verdict, Untrusted> {
        let answer = frame_from_slice(answer)?;
        let asked = wire::Request::parse(request)?;
        let response = match self.find(asked.application_id, asked.activation_id) {
            Some(known) => {
                let expected = Expected {
                    request,
                    method: Method::Key,
                    product: known.coverage,
                    roots: &known.roots,
                    known_certificate: None,
                };
                verify_response(answer, &expected)?.into_inner()
            }
            None => check_form(request, answer)?,
        };
        Ok(match response.body.verdict {
            wire::Verdict::Granted { .. } => {
                Verdict::Granted(Box::new(Pair::of_granted(request, answer)))
            }
            wire::Verdict::Refused(refusal) => Verdict::Refused(refusal),
        })
    }

    /// The rule by which a product's machines are compared.
    pub(super) fn matching(&self, group: Group) -> Option<&Matching> {
        let (application_id, activation_id) = group.product;
        self.find(application_id, activation_id).map(|known| &known.matching)
    }

    fn find(
        &self,
        application_id: ApplicationId,
        activation_id: ActivationId,
    ) -> Option<&KnownProduct> {
        self.products.iter().find(|known| {
            known.application_id == application_id && known.activation_id == activation_id
        })
    }
}

impl KnownProduct {
    fn of(file: &ProductFile) -> Result<Self, String> {
        let roots = file.roots()?;
        let product = file.for_client(&roots)?;
        let (application_id, activation_id) = (product.application_id, product.activation_id);
        Ok(Self {
            name: file.name.clone(),
            application_id,
            activation_id,
            coverage: file.coverage(),
            matching: file.matching(),
            roots,
        })
    }
}
