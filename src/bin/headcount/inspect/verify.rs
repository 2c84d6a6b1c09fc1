//! What a product's keys, and the request that a frame answers, tell of it.

use headcount::client;
use headcount::daemon::ProductFile;
use headcount::phone;
use headcount::time::UnixTime;
use headcount::trust::{self, Expected, ParsedRequest, Root, TagSchedule};
use headcount::wire::{
    Certificate, Digest, EnrolmentRequest, EnrolmentResponse, Frame, KeyId, Kind, Method, Request,
    Response,
};

use super::report::{CheckResult, Report};
use crate::output::{Exit, Problem};

/// What there is to check with.
#[derive(Debug, Default)]
pub(super) struct Against {
    pub(super) product: Option<ProductFile>,
    pub(super) request: Option<Frame>,
}

/// A product with its roots, ready to verify.
struct Keys {
    name: String,
    product: client::Product<'static>,
    roots: Vec<Root>,
}

const NO_PRODUCT: &str = "it takes the product's keys: --product FILE";

impl Against {
    /// Checks a frame that is well formed.
    pub(super) fn frame(&self, report: &mut Report, frame: &Frame) -> Result<(), Problem> {
        let keys = self.keys()?;
        match Kind::of(frame) {
            Ok(Kind::Request) => request(report, frame, keys.as_ref()),
            Ok(Kind::Response) => self.response(report, frame, keys.as_ref()),
            Ok(Kind::EnrolmentRequest) => {
                let possession = trust::check_possession(frame)
                    .map(|()| "the sender holds the public key that the request names");
                result(report, "signature", Some(possession), "");
                report.check(
                    "tag",
                    CheckResult::NotChecked,
                    "it takes the host key; the authority checks it when it enrols",
                );
            }
            Ok(Kind::EnrolmentResponse) => self.enrolment_response(report, frame, keys.as_ref()),
            Err(_) => {}
        }
        Ok(())
    }

    fn response(&self, report: &mut Report, frame: &Frame, keys: Option<&Keys>) {
        let Ok(response) = Response::parse(frame) else { return };
        let certificate = &response.body.certificate;
        let signatures = keys.map(|keys| {
            trust::check_response_signatures(frame, &keys.roots)
                .map(|()| "certificate by the root key, frame by the certificate's key")
        });
        result(report, "signatures", signatures, NO_PRODUCT);
        covers(report, certificate, keys);
        dates(report, certificate, response.body.host_time, "at the host's time");
        self.answers(report, response.body.request_digest);
        if let (Some(keys), Some(request)) = (keys, &self.request) {
            result(report, "response", Some(keys.believe(request, frame)), "");
        }
    }

    fn enrolment_response(&self, report: &mut Report, frame: &Frame, keys: Option<&Keys>) {
        let Ok(response) = EnrolmentResponse::parse(frame) else { return };
        let signatures = keys.map(|keys| {
            trust::check_enrolment_signatures(frame, &keys.roots)
                .map(|()| "frame and certificate by the root key")
        });
        result(report, "signatures", signatures, NO_PRODUCT);
        if let Ok(certificate) = &response.body.outcome {
            covers(report, certificate, keys);
        }
        self.answers(report, response.body.request_digest);
        if let (Some(keys), Some(request)) = (keys, &self.request) {
            let believed = EnrolmentRequest::parse(request)
                .map_err(|malformed| format!("the request is malformed: {malformed}"))
                .and_then(|asked| {
                    let key = &asked.public_key;
                    trust::verify_enrolment_response(frame, request, key, &keys.roots)
                        .map(|_| "the host that asked would believe it")
                        .map_err(|untrusted| untrusted.to_string())
                });
            result(report, "response", Some(believed), "");
        }
    }

    /// Checks a certificate.
    pub(super) fn certificate(
        &self,
        report: &mut Report,
        certificate: &Certificate,
        now: UnixTime,
    ) -> Result<(), Problem> {
        let keys = self.keys()?;
        let signature = keys.as_ref().map(|keys| {
            trust::check_certificate(certificate, &keys.roots).map(|_| "by the root key")
        });
        result(report, "signature", signature, NO_PRODUCT);
        covers(report, certificate, keys.as_ref());
        dates(report, certificate, now, "now");
        Ok(())
    }

    /// Checks the pair of frames of a stored activation.
    pub(super) fn activation(
        &self,
        report: &mut Report,
        request: &Frame,
        response: &Frame,
    ) -> Result<(), Problem> {
        let keys = self.keys()?;
        let believed = keys.map(|keys| keys.believe(request, response));
        result(report, "activation", believed, NO_PRODUCT);
        Ok(())
    }

    fn keys(&self) -> Result<Option<Keys>, Problem> {
        let Some(file) = &self.product else { return Ok(None) };
        let wrong = |reason| Problem::new(Exit::Usage, format!("{}: {reason}", file.name));
        let roots = file.roots().map_err(wrong)?;
        let product = file.for_client(&[]).map_err(wrong)?;
        Ok(Some(Keys { name: file.name.clone(), product, roots }))
    }

    fn answers(&self, report: &mut Report, digest: Digest) {
        let answers = self.request.as_ref().map(|request| {
            if trust::request_digest(request) == digest {
                Ok("it answers the request")
            } else {
                Err("it answers another request")
            }
        });
        result(report, "request", answers, "it takes the request that it answers: --request FILE");
    }
}

impl Keys {
    /// Whether a client of the product would believe a response to a request of its own.
    fn believe(&self, request: &Frame, response: &Frame) -> Result<&'static str, String> {
        let Self { name, product, roots } = self;
        let parsed = Request::parse(request)
            .map_err(|malformed| format!("the request is malformed: {malformed}"))?;
        if !is_made_by(&parsed, product) {
            return Err(format!("the request is of another product than {name}"));
        }
        if phone::is_record(response) {
            return phone::verify_record(response, request, roots)
                .map(|_| "the vendor has confirmed it by phone")
                .map_err(|untrusted| untrusted.to_string());
        }
        let expected = Expected {
            request,
            method: parsed.method,
            product: product.coverage,
            roots,
            known_certificate: None,
        };
        trust::verify_response(response, &expected)
            .map(|_| "the client that asked would believe it")
            .map_err(|untrusted| untrusted.to_string())
    }
}

fn request(report: &mut Report, frame: &Frame, keys: Option<&Keys>) {
    let Ok(parsed) = ParsedRequest::parse(frame) else { return };
    let Some(Keys { name, product, .. }) = keys else {
        report.check("tag", CheckResult::NotChecked, NO_PRODUCT);
        return;
    };
    let made = is_made_by(&parsed.unverified(), product);
    let (made, verb) =
        if made { (CheckResult::Good, "are") } else { (CheckResult::Bad, "are not") };
    report.check("product", made, format!("the ids {verb} those of {name}"));
    let KeyId(named) = parsed.key_id();
    let KeyId(own) = product.key_id;
    if parsed.unverified().method == Method::Key {
        report.check("tag", CheckResult::NotChecked, "it takes the machine's own product key");
    } else if named == own {
        let verified = parsed
            .verify(&TagSchedule::new(&product.tag_key))
            .map(|_| "the sender holds the product's setup key");
        result(report, "tag", Some(verified), "");
    } else {
        let words = format!("the request names key {named}, the setup key of {name} is {own}");
        report.check("tag", CheckResult::Bad, words);
    }
}

fn is_made_by(request: &Request<'_>, product: &client::Product<'_>) -> bool {
    request.application_id == product.application_id
        && request.activation_id == product.activation_id
        && request.counted_id == product.counted_id
}

fn covers(report: &mut Report, certificate: &Certificate, keys: Option<&Keys>) {
    let Some(Keys { name, product, .. }) = keys else { return };
    if certificate.claims.coverage.covers(&product.coverage) {
        report.check("coverage", CheckResult::Good, format!("the certificate covers {name}"));
    } else {
        report.check(
            "coverage",
            CheckResult::Bad,
            format!("the certificate does not cover {name}"),
        );
    }
}

fn dates(report: &mut Report, certificate: &Certificate, time: UnixTime, when: &str) {
    if certificate.claims.valid_at(time) {
        report.check("dates", CheckResult::Good, format!("the certificate is valid {when}"));
    } else {
        report.check("dates", CheckResult::Bad, format!("the certificate is not valid {when}"));
    }
}

fn result<E: ToString>(
    report: &mut Report,
    name: &'static str,
    outcome: Option<Result<&str, E>>,
    takes: &str,
) {
    match outcome {
        None => report.check(name, CheckResult::NotChecked, takes),
        Some(Ok(words)) => report.check(name, CheckResult::Good, words),
        Some(Err(error)) => report.check(name, CheckResult::Bad, error.to_string()),
    }
}
