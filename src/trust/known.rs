//! Certificates that need not be verified again.

use super::response::verify_unless;
use super::{Expected, Untrusted, Verified, Verifier, label};
use crate::wire::{self, Certificate, Frame};

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
    latest: Option<Mark>,
    other: Option<Mark>,
}

type Mark = [u8; 16];

impl KnownCertificates {
    pub(crate) const fn new() -> Self {
        Self { latest: None, other: None }
    }

    /// [`verify_response`](super::verify_response), which remembers the certificate that it
    /// verifies, and verifies none that is remembered. The response itself is not read yet: it would
    /// take space on the stack.
    pub(crate) fn verify<'f, V: Verifier>(
        &mut self,
        frame: &'f Frame,
        expected: &Expected<'_, V>,
    ) -> Result<Verified<&'f Frame>, Untrusted> {
        let mut known = false;
        let verified = verify_unless(frame, expected, |certificate| {
            known = expected.knows(certificate) || self.recognises(certificate);
            known
        })?;
        if !known {
            self.remember_sender(verified)?;
        }
        Ok(verified)
    }

    #[inline(never)]
    fn remember_sender(&mut self, frame: Verified<&Frame>) -> Result<(), Untrusted> {
        self.remember(&frame.response()?.certificate());
        Ok(())
    }

    /// Of two others, the one that was not heard for longer is forgotten.
    fn remember(&mut self, certificate: &Verified<Certificate>) {
        self.other = self.latest.replace(mark(certificate));
    }

    /// Whether a certificate is one of those remembered, which makes it the latest.
    fn recognises(&mut self, certificate: &Certificate) -> bool {
        if self.latest.is_none() {
            return false; // nothing to compare with: save the digest
        }
        let mark = Some(mark(certificate));
        if self.other == mark {
            core::mem::swap(&mut self.latest, &mut self.other);
        }
        self.latest == mark
    }
}

fn mark(certificate: &Certificate) -> Mark {
    let digest = label::CERTIFICATE.hash(&[&certificate.emit()]);
    let (mark, _) = wire::split::<32, 16, 16>(&digest);
    *mark
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::EpochMinute;
    use crate::trust::{Root, Signer, SigningKey, check_certificate, sign_certificate};
    use crate::wire::{Claims, Coverage, Role};

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

    #[test]
    fn the_two_heard_last_are_known() {
        let [a, b, c] = [1, 2, 3].map(certificate);
        let mut known = KnownCertificates::new();
        assert!(!known.recognises(&a));
        known.remember(&a);
        assert!(known.recognises(&a) && !known.recognises(&b));
        known.remember(&b);
        assert!(known.recognises(&b) && known.recognises(&a), "a is the latest now");
        known.remember(&c);
        assert!(known.recognises(&a) && known.recognises(&c) && !known.recognises(&b));
    }

    #[test]
    fn every_bit_of_a_certificate_counts() {
        let verified = certificate(1);
        let mut known = KnownCertificates::new();
        known.remember(&verified);
        let bytes = verified.emit();
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            if let Ok(other) = Certificate::parse(&flipped) {
                assert!(!known.recognises(&other), "bit {bit}");
            }
        }
    }
}
