//! Which requests are of one machine.

use crate::fingerprint::{Fingerprint, Matching};
use crate::wire::{ActivationId, ApplicationId, Cmid, KeyId, Request};

/// What a machine is known by: its product, its key and its hardware. Its CMID is not part of that: a
/// disk that is written anew has another.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity {
    group: Group,
    cmid: Cmid,
    fingerprint: Fingerprint,
}

/// Machines of one product with one key. Only these are compared.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Group {
    pub(super) product: (ApplicationId, ActivationId),
    key: KeyId,
}

impl Identity {
    pub(super) const fn of(request: &Request<'_>) -> Self {
        let Request { application_id, activation_id, key_id, cmid, fingerprint, .. } = *request;
        let group = Group { product: (application_id, activation_id), key: key_id };
        Self { group, cmid, fingerprint }
    }

    pub(super) const fn group(&self) -> Group {
        self.group
    }

    /// Whether two requests are of one machine: of the same hardware, or by the rule of the product
    /// where it is known. Hardware that has no component tells nothing, so there the CMID must agree.
    pub(super) fn is_same(&self, other: &Self, rule: Option<&Matching>) -> bool {
        let exactly = self.fingerprint == other.fingerprint;
        let alike = exactly
            || rule.is_some_and(|rule| rule.same_machine(&self.fingerprint, &other.fingerprint));
        let says_nothing = [self, other].iter().any(|one| one.fingerprint == Fingerprint::EMPTY);
        self.group == other.group && alike && (!says_nothing || self.cmid == other.cmid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(cmid: u8, components: [u16; 8]) -> Identity {
        let product = (ApplicationId([1; 16]), ActivationId([2; 16]));
        let group = Group { product, key: KeyId(3) };
        let cmid = Cmid::from_random([cmid; 16]);
        Identity { group, cmid, fingerprint: Fingerprint::new(components) }
    }

    #[test]
    fn hardware_decides_and_the_product_says_how_much_may_differ() {
        let machine = identity(1, [7; 8]);
        assert!(machine.is_same(&identity(2, [7; 8]), None));
        let changed = identity(2, [7, 7, 7, 7, 7, 7, 8, 8]);
        assert!(!machine.is_same(&changed, None));
        assert!(machine.is_same(&changed, Some(&Matching::DEFAULT)));
        assert!(!machine.is_same(&identity(2, [8; 8]), Some(&Matching::DEFAULT)));
        let mut other_key = machine;
        other_key.group.key = KeyId(4);
        assert!(!machine.is_same(&other_key, None));
    }

    #[test]
    fn hardware_without_components_is_nobodys() {
        let rule = Some(&Matching::DEFAULT);
        assert!(!identity(1, [0; 8]).is_same(&identity(2, [0; 8]), None));
        assert!(identity(1, [0; 8]).is_same(&identity(1, [0; 8]), None));
        assert!(!identity(1, [0; 8]).is_same(&identity(2, [5, 0, 0, 0, 0, 0, 0, 0]), rule));
    }
}
