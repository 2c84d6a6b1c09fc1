//! The vendor's products, and the certificates by which the authority's own key is believed for
//! them.

use std::collections::{BTreeMap, BTreeSet};
use std::string::{String, ToString};
use std::vec::Vec;

use super::root::AuthorityRoot;
use crate::authority::CatalogueProduct;
use crate::daemon::product_file::{ProductFile, RootKey};
use crate::time::{Minutes, UnixTime};
use crate::trust::Signer as _;
use crate::wire::{Certificate, Coverage};

/// What is answered with: swapped whole when it changes.
#[derive(Clone, Debug, Default)]
pub(in crate::daemon) struct Catalogue {
    pub(super) products: Vec<CatalogueProduct>,
    /// By which root key each of the products is confirmed by phone, if they know any; as
    /// `products` is ordered.
    pub(super) confirmed_by: Vec<Option<u16>>,
    /// By which root key the hosts of a family are enrolled, where all its products know one.
    pub(super) enrolled_by: BTreeMap<u16, u16>,
    /// Of role authority, one for each family.
    pub(super) certificates: Vec<Certificate>,
}

/// A family, and the root key that its certificate is to come from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Family<'r> {
    pub(super) coverage: Coverage,
    pub(super) root: &'r AuthorityRoot,
}

/// The products as the authority's rules know them.
pub(super) fn products(files: &[ProductFile]) -> Result<Vec<CatalogueProduct>, String> {
    files.iter().map(ProductFile::for_authority).collect()
}

/// The first root key that each product knows, by its id, if there is one.
pub(super) fn known_roots(files: &[ProductFile], roots: &[&AuthorityRoot]) -> Vec<Option<u16>> {
    let known = |file| roots.iter().find(|root| knows(file, root)).map(|root| root.id);
    files.iter().map(known).collect()
}

/// The families of these products, each with the first root key that all its products know.
pub(super) fn families<'r>(files: &[ProductFile], roots: &[&'r AuthorityRoot]) -> Vec<Family<'r>> {
    let mut known: BTreeMap<u16, BTreeSet<usize>> = BTreeMap::new();
    for file in files {
        let of_file = roots.iter().enumerate().filter(|(_, root)| knows(file, root));
        let of_file: BTreeSet<_> = of_file.map(|(index, _)| index).collect();
        known
            .entry(file.family)
            .and_modify(|all| all.retain(|index| of_file.contains(index)))
            .or_insert(of_file);
    }
    let mut families = Vec::new();
    for (family, known) in known {
        match known.first().and_then(|index| roots.get(*index)) {
            Some(root) => families.push(Family { coverage: whole(family), root }),
            None => {
                tracing::warn!(
                    family,
                    "no root key of authority.toml is known to all its products"
                );
            }
        }
    }
    families
}

/// A certificate that can be used on: for this key, of that root, and not near its end.
pub(super) fn serves_on(
    certificate: &Certificate,
    family: &Family<'_>,
    lasts: Minutes,
    now: UnixTime,
) -> bool {
    let claims = &certificate.claims;
    let third = UnixTime::from_secs(now.as_secs().saturating_add(u64::from(lasts.0 / 3) * 60));
    claims.coverage == family.coverage && claims.root_id == family.root.id && claims.valid_at(third)
}

/// The whole family, so that a product of a higher group needs no other certificate.
const fn whole(family: u16) -> Coverage {
    Coverage { family, rank: u8::MAX, generation: u8::MAX }
}

fn knows(file: &ProductFile, root: &AuthorityRoot) -> bool {
    let key = RootKey::new(root.id, &root.signer.public_key());
    file.roots
        .iter()
        .any(|known| known.id == key.id && known.public_key.eq_ignore_ascii_case(&key.public_key))
}

/// What an error says, for those who only pass it on.
#[expect(clippy::needless_pass_by_value, reason = "map_err hands errors over")]
pub(super) fn text<E: ToString>(error: E) -> String {
    error.to_string()
}
