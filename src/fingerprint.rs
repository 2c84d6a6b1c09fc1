//! Hardware fingerprints: eight 16-bit component digests and the rule by which two of them match
//! (PROTOCOL 8). Making one from component bytes needs the digest and lives in
//! [`trust`](crate::trust::fingerprint).

use core::fmt;

/// Number of hardware components in a fingerprint.
pub const COMPONENTS: usize = 8;

/// Eight component digests; 0 stands for a component that the machine does not have.
///
/// `Debug` and `defmt` print only which components are present: the digests identify a machine.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Fingerprint([u16; COMPONENTS]);

impl Fingerprint {
    /// A machine without any component: it matches only machines that have none either, or few
    /// and light enough ones for the tolerance.
    pub const EMPTY: Self = Self([0; COMPONENTS]);

    /// From the eight component digests, in the order of the components.
    #[must_use]
    pub const fn new(components: [u16; COMPONENTS]) -> Self {
        Self(components)
    }

    /// The eight component digests.
    #[must_use]
    pub const fn components(&self) -> &[u16; COMPONENTS] {
        &self.0
    }

    /// From the sixteen bytes of a frame (big-endian).
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        let (pairs, _) = bytes.as_chunks::<2>();
        let mut components = [0; COMPONENTS];
        for (component, pair) in components.iter_mut().zip(pairs) {
            *component = u16::from_be_bytes(*pair);
        }
        Self(components)
    }

    /// The sixteen bytes of a frame (big-endian).
    #[must_use]
    pub fn to_bytes(self) -> [u8; 16] {
        let mut bytes = [0; 16];
        let (pairs, _) = bytes.as_chunks_mut::<2>();
        for (pair, component) in pairs.iter_mut().zip(self.0) {
            *pair = component.to_be_bytes();
        }
        bytes
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fingerprint(")?;
        for component in self.0 {
            f.write_str(if component == 0 { "-" } else { "x" })?;
        }
        f.write_str(")")
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Fingerprint {
    fn format(&self, f: defmt::Formatter<'_>) {
        let present = self.0.iter().filter(|component| **component != 0).count();
        defmt::write!(f, "Fingerprint({=usize} of 8)", present);
    }
}

/// A product's rule of how much hardware may change before a machine counts as another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Matching {
    /// Weight of each component, 0 to 255; 0 means that the component does not matter.
    pub weights: [u8; COMPONENTS],
    /// The highest sum of the weights of differing components that is still a match.
    pub tolerance: u16,
}

impl Matching {
    /// All eight components weigh 1 and two of them may differ.
    pub const DEFAULT: Self = Self { weights: [1; COMPONENTS], tolerance: 2 };

    /// Whether two fingerprints are of the same machine. A component differs when it is present in
    /// both and unequal, or present in one only.
    #[must_use]
    pub fn same_machine(&self, a: &Fingerprint, b: &Fingerprint) -> bool {
        self.difference(a, b) <= self.tolerance
    }

    /// Sum of the weights of the components that differ: 0 to 2,040.
    #[must_use]
    pub fn difference(&self, a: &Fingerprint, b: &Fingerprint) -> u16 {
        let components = a.0.iter().zip(&b.0).zip(self.weights);
        components
            .filter(|((a, b), _)| a != b)
            .fold(0, |sum: u16, (_, weight)| sum.saturating_add(u16::from(weight)))
    }
}

impl Default for Matching {
    fn default() -> Self {
        Self::DEFAULT
    }
}
