//! A pool: the products whose machines are counted together, and the table that counts them.

use super::counters::PoolCounters;
use crate::fingerprint::Matching;
use crate::table::{CmidTable, Observation, Sighting};
use crate::time::EpochMinute;
use crate::wire::{ActivationId, ApplicationId, CountedId, Coverage, RequestView};

/// A product that a host serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Product {
    /// The product.
    pub application_id: ApplicationId,
    /// Its edition.
    pub activation_id: ActivationId,
    /// Its place in the vendor's catalogue, which the host's certificate must cover.
    pub coverage: Coverage,
}

/// Products counted together under one counted id, with room for `N` machines (PROTOCOL 10).
///
/// # In firmware
///
/// A pool is most of a host's memory: 2.9 KiB for 50 machines. `static_cell` makes it where it stays
/// for good, without a copy on the stack. As a constant in a `static` it would take as much flash
/// again, because not all of its bytes are zero.
///
/// ```
/// use headcount::fingerprint::Matching;
/// use headcount::host::{Host, Pool, Product, Settings, SetupKey};
/// use headcount::wire::{Certificate, CountedId};
/// use static_cell::StaticCell;
///
/// static POOLS: StaticCell<[Pool<'static, 50>; 1]> = StaticCell::new();
/// static HOST: StaticCell<Host<'static, 50, 16>> = StaticCell::new();
///
/// fn start(
///     id: CountedId, products: &'static [Product], keys: &'static [SetupKey],
///     certificate: Certificate, random: [u8; 16],
/// ) -> &'static mut Host<'static, 50, 16> {
///     let pools = POOLS.init_with(|| [Pool::new(id, products, Matching::DEFAULT)]);
///     HOST.init_with(|| Host::new(pools, keys, Some(certificate), Settings::DEFAULT, random))
/// }
/// ```
///
/// On a core without compare-and-swap, as a Cortex-M0, the firmware adds `portable-atomic` with its
/// feature `critical-section`.
#[derive(Debug)]
pub struct Pool<'a, const N: usize> {
    pub(super) counted_id: CountedId,
    pub(super) products: &'a [Product],
    pub(super) matching: Matching,
    pub(super) table: CmidTable<N>,
    pub(super) counters: PoolCounters,
}

impl<'a, const N: usize> Pool<'a, N> {
    /// An empty pool. `matching` tells two machines with one CMID apart (PROTOCOL 8).
    #[must_use]
    pub const fn new(counted_id: CountedId, products: &'a [Product], matching: Matching) -> Self {
        Self {
            counted_id,
            products,
            matching,
            // The host sets the real hash key.
            table: CmidTable::new([0; 16]),
            counters: PoolCounters {
                requests: 0,
                failed: 0,
                required_count: 0,
                by_licence_status: [0; 7],
            },
        }
    }

    /// This pool and the product, when the request's three ids lead here.
    pub(super) fn product(&mut self, request: RequestView<'_>) -> Option<(&mut Self, &'a Product)> {
        if self.counted_id != request.counted_id() {
            return None;
        }
        let product = self.products.iter().find(|product| {
            product.application_id == request.application_id()
                && product.activation_id == request.activation_id()
        })?;
        Some((self, product))
    }

    pub(super) fn observe(&mut self, now: EpochMinute, request: RequestView<'_>) -> Observation {
        let sighting = Sighting {
            required_count: request.required_count(),
            cmid: request.cmid(),
            previous_cmid: request.previous_cmid(),
            fingerprint: request.fingerprint(),
        };
        self.table.observe(now, &sighting, &self.matching)
    }

    pub(super) fn status(&mut self, now: EpochMinute) -> PoolStatus {
        self.table.expire(now);
        PoolStatus {
            counted_id: self.counted_id,
            count: self.table.count(),
            limit: self.table.limit(),
            capacity: self.table.capacity(),
            counters: self.counters,
        }
    }
}

/// What an administrator wants to know of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct PoolStatus {
    /// Which pool.
    pub counted_id: CountedId,
    /// Machines counted now; `None`, shown as −1, when nobody has asked yet.
    pub count: Option<u32>,
    /// How many records the table keeps now; 0 when nobody has asked yet.
    pub limit: u32,
    /// How many it can keep.
    pub capacity: u32,
    /// What the pool was asked.
    pub counters: PoolCounters,
}
