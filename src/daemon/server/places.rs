//! How many connections may be open, over all listeners.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use crate::daemon::ServerLimits;
use crate::host::Source;

/// Connections open now, in all and for each source.
#[derive(Default)]
pub(super) struct Places(Mutex<Taken>);

#[derive(Default)]
struct Taken {
    all: usize,
    by_source: HashMap<Source, usize>,
}

/// A connection's place, given back when dropped.
pub(super) struct Place {
    places: Arc<Places>,
    source: Source,
}

impl Places {
    /// A place for a connection from `peer`, unless there are too many already.
    pub(super) fn take(self: Arc<Self>, peer: IpAddr, limits: &ServerLimits) -> Option<Place> {
        let source = Source::from(peer);
        {
            let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let Taken { all, by_source } = &mut *taken;
            let of_source = by_source.get(&source).copied().unwrap_or(0);
            if *all >= limits.connections || of_source >= limits.connections_per_source {
                return None;
            }
            *all = all.saturating_add(1);
            by_source.insert(source, of_source.saturating_add(1));
        }
        Some(Place { places: self, source })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.0.lock().unwrap_or_else(PoisonError::into_inner);
        taken.all = taken.all.saturating_sub(1);
        let left = taken.by_source.get_mut(&self.source).map(|of_source| {
            *of_source = of_source.saturating_sub(1);
            *of_source
        });
        if left == Some(0) {
            taken.by_source.remove(&self.source);
        }
    }
}
