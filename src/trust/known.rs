//! Certificates that need not be verified again.

use super::response::verify_unless;
use super::{Expected, Untrusted, Verified, Verifier, label};
use crate::cursor::part;
use crate::wire::{CertificateView, Frame, ResponseView};

/// The two certificates that verified last, for a client that hears the same one or two hosts again
/// and again: each costs it one signature then, not two.
///
/// It keeps 128 bits of a digest of each, not the certificates. To pass for one of them, a
/// forger has to find a second certificate with the same 128 bits. That two of his own making
/// collide is of no use to him: a digest includes the root key's signature, which he cannot foresee.
///
/// It lives in memory only and belongs to one set of root keys.
#[derive(Clone, Debug, Default)]
pub(crate) struct KnownCertificates {
    latest: Mark,
    other: Mark,
}

/// All zero when there is none: no certificate has that digest.
type Mark = [u8; 16];

const NONE: Mark = [0; 16];

impl KnownCertificates {
    pub(crate) const fn new() -> Self {
        Self { latest: NONE, other: NONE }
    }

    /// [`verify_response`](super::verify_response), which remembers the certificate that it
    /// verifies, and verifies none that is remembered or the same as `held`, which has been verified.
    pub(crate) fn verify<'f, V: Verifier>(
        &mut self,
        frame: &'f Frame,
        expected: &Expected<'_, V>,
        held: Option<CertificateView<'_>>,
    ) -> Result<Verified<ResponseView<'f>>, Untrusted> {
        let mut known = false;
        let verified = verify_unless(frame, expected, |certificate| {
            let is_held = held.is_some_and(|held| held.bytes() == certificate.bytes());
            known = is_held || self.recognises(certificate);
            known
        })?;
        if !known {
            self.remember(verified.certificate());
        }
        Ok(verified)
    }

    /// Of two others, the one that was not heard for longer is forgotten.
    fn remember(&mut self, certificate: CertificateView<'_>) {
        self.other = core::mem::replace(&mut self.latest, mark(certificate));
    }

    /// Whether a certificate is one of those remembered, which makes it the latest.
    fn recognises(&mut self, certificate: CertificateView<'_>) -> bool {
        if self.latest == NONE {
            return false; // nothing to compare with: save the digest
        }
        let mark = mark(certificate);
        if self.other == mark {
            core::mem::swap(&mut self.latest, &mut self.other);
        }
        self.latest == mark
    }
}

fn mark(certificate: CertificateView<'_>) -> Mark {
    *part::<0, _, _>(&label::CERTIFICATE.hash(&[certificate.bytes()]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::EpochMinute;
    use crate::trust::{Root, Signer, SigningKey, check_certificate, sign_certificate};
    use crate::wire::{Certificate, Claims, Coverage, Role};

    fn certificate(serial: u64) -> Verified<Certificate> {
        let root = SigningKey::from_seed(&[1; 32]);
        let claims = Claims {
            public_key: root.public_key(),
            serial,
            not_before: EpochMinute(0),
            not_after: EpochMinute(1),
            root_id: 1,
            coverage: Coverage { family: 1, rank: 1, generation: 1 },
            role: Role::Host,
        };
        let Ok(certificate) = sign_certificate(&claims, &root);
        let roots = [Root::new(1, &root.public_key()).unwrap()];
        check_certificate(&certificate, &roots).unwrap()
    }

    /// `recognises` and `remember` of a certificate that stands nowhere.
    impl KnownCertificates {
        fn knows(&mut self, certificate: &Certificate) -> bool {
            self.recognises(CertificateView::at(&certificate.emit()))
        }

        fn learns(&mut self, certificate: &Certificate) {
            self.remember(CertificateView::at(&certificate.emit()));
        }
    }

    #[test]
    fn the_two_heard_last_are_known() {
        let [a, b, c] = [1, 2, 3].map(certificate);
        let mut known = KnownCertificates::new();
        assert!(!known.knows(&a));
        known.learns(&a);
        assert!(known.knows(&a) && !known.knows(&b));
        known.learns(&b);
        assert!(known.knows(&b) && known.knows(&a), "a is the latest now");
        known.learns(&c);
        assert!(known.knows(&a) && known.knows(&c) && !known.knows(&b));
    }

    #[test]
    fn every_bit_of_a_certificate_counts() {
        let verified = certificate(1);
        let mut known = KnownCertificates::new();
        known.learns(&verified);
        let bytes = verified.emit();
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            if let Ok(other) = Certificate::parse(&flipped) {
                assert!(!known.knows(&other), "bit {bit}");
            }
        }
    }
}
