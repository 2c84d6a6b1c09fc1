//! Rate limit for each source, in fixed memory.
//!
//! It stands before the tag, so it costs a hash and four comparisons. Each source has one number:
//! the time at which its credit is whole again (the generic cell rate algorithm). Sources live in
//! sets of four, found by a keyed hash; a new one replaces the one in its set with the most credit,
//! which loses the least by it. Whoever has many addresses gets their credit many times over: the
//! limit keeps one machine from costing the host all its signatures, nothing more.

use core::fmt;
use core::net::IpAddr;
use core::time::Duration;

use crate::keyed_hash::keyed_hash;
use crate::time::{Instant, Millis};

const WAYS: usize = 4;

/// Whom a frame came from, as far as the rate limit tells senders apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Source([u8; 16]);

impl Source {
    /// For transports without addresses: everybody is one source.
    pub const UNKNOWN: Self = Self([0; 16]);
}

/// An IPv4 address stands for itself, an IPv6 address for its /64 network, since one machine may
/// use all of that.
impl From<IpAddr> for Source {
    fn from(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(v4) => Self(v4.to_ipv6_mapped().octets()),
            IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some() => Self(v6.octets()),
            IpAddr::V6(v6) => {
                let network = v6.to_bits() >> 64 << 64;
                Self(network.to_be_bytes())
            }
        }
    }
}

/// How often one source may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct RateLimit {
    /// Requests at once after a quiet time; at least 1 counts.
    pub burst: u32,
    /// Time in which a source earns one more request, counted in whole milliseconds, rounded up;
    /// zero switches the limit off.
    pub interval: Duration,
}

impl RateLimit {
    /// 1,000 at once, then 10 in a second: a whole site behind one address after a power cut.
    pub const DEFAULT: Self = Self { burst: 1_000, interval: Duration::from_millis(100) };

    /// No limit.
    pub const OFF: Self = Self { burst: 1, interval: Duration::ZERO };
}

/// Remembers `SOURCES` sources, a multiple of 4. `Debug` hides the hash key.
pub(crate) struct RateLimiter<const SOURCES: usize> {
    /// Time in which a source earns one more request; none when there is no limit.
    interval: Millis,
    /// The most that a source may have used: its burst but for one request.
    ahead: Millis,
    hash_key: [u8; 16],
    places: [Place; SOURCES],
}

/// A source and when its credit is whole again. An unused place is whole since ever.
#[derive(Clone, Copy, Debug)]
struct Place {
    source: Source,
    whole_at: Instant,
}

impl<const SOURCES: usize> RateLimiter<SOURCES> {
    pub(crate) fn new(limit: RateLimit, hash_key: [u8; 16]) -> Self {
        const { assert!(SOURCES >= WAYS && SOURCES.is_multiple_of(WAYS)) };
        let place = Place { source: Source::UNKNOWN, whole_at: Instant::ZERO };
        // What the clock cannot show would never use up any credit.
        let RateLimit { burst, interval } = limit;
        let part = interval.subsec_nanos().div_ceil(1_000_000);
        let interval = Millis::from_secs(interval.as_secs()).0.saturating_add(part.into());
        let ahead = interval.saturating_mul(burst.saturating_sub(1).into());
        let [interval, ahead] = [interval, ahead].map(Millis);
        Self { interval, ahead, hash_key, places: [place; SOURCES] }
    }

    /// Whether this source may ask now. A refused attempt costs it nothing.
    pub(crate) fn allows(&mut self, source: Source, now: Instant) -> bool {
        let Self { interval, ahead, .. } = *self;
        if interval == Millis::ZERO {
            return true;
        }
        let Some(place) = self.place(source) else { return true };
        let whole_at = place.whole_at.max(now);
        // With `n` requests of credit used, whole_at - now is n intervals.
        if whole_at.millis_since(now) > ahead {
            return false;
        }
        place.whole_at = whole_at.after(interval);
        true
    }

    fn place(&mut self, source: Source) -> Option<&mut Place> {
        let sets = self.places.as_chunks_mut::<WAYS>().0;
        // Scaled to the number of sets: cheaper than a remainder, and as even.
        let hash = u64::from(keyed_hash(&self.hash_key, &source.0) as u32);
        let index = hash.wrapping_mul(sets.len() as u64) >> 32;
        let set = sets.get_mut(index as usize)?;
        let known = set.iter().position(|place| place.source == source);
        let chosen = known.or_else(|| {
            let places = set.iter().enumerate();
            places.min_by_key(|(_, place)| place.whole_at).map(|(index, _)| index)
        })?;
        let place = set.get_mut(chosen)?;
        if known.is_none() {
            *place = Place { source, whole_at: Instant::ZERO };
        }
        Some(place)
    }
}

impl<const SOURCES: usize> fmt::Debug for RateLimiter<SOURCES> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimiter")
            .field("interval", &self.interval)
            .field("ahead", &self.ahead)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: RateLimit = RateLimit { burst: 3, interval: Duration::from_secs(10) };

    fn source(n: u8) -> Source {
        Source::from(IpAddr::from([192, 0, 2, n]))
    }

    fn at(secs: u64) -> Instant {
        Instant::from_millis(secs * 1000)
    }

    #[test]
    fn burst_then_one_an_interval() {
        let mut limiter = RateLimiter::<4>::new(LIMIT, [1; 16]);
        for _ in 0..3 {
            assert!(limiter.allows(source(1), at(100)));
        }
        assert!(!limiter.allows(source(1), at(100)));
        assert!(!limiter.allows(source(1), at(109)));
        assert!(limiter.allows(source(1), at(110)));
        assert!(!limiter.allows(source(1), at(119)));
        assert!(limiter.allows(source(2), at(119)), "another source has its own credit");
    }

    #[test]
    fn credit_never_exceeds_the_burst() {
        let mut limiter = RateLimiter::<4>::new(LIMIT, [1; 16]);
        let allowed = (0..10).filter(|_| limiter.allows(source(1), at(1_000_000))).count();
        assert_eq!(allowed, 3);
    }

    #[test]
    fn a_flood_of_sources_does_not_free_the_busiest() {
        let mut limiter = RateLimiter::<4>::new(LIMIT, [1; 16]);
        while limiter.allows(source(0), at(100)) {}
        for n in 1..=200 {
            assert!(limiter.allows(source(n), at(100)));
        }
        assert!(!limiter.allows(source(0), at(100)));
    }

    #[test]
    fn zero_interval_is_off() {
        let mut limiter = RateLimiter::<4>::new(RateLimit::OFF, [1; 16]);
        assert!((0..10_000).all(|_| limiter.allows(source(1), at(1))));
    }

    #[test]
    fn an_interval_below_a_millisecond_limits_too() {
        for (micros, millis) in [(1, 1), (999, 1), (1_000, 1), (1_001, 2)] {
            let limit = RateLimit { burst: 1, interval: Duration::from_micros(micros) };
            let mut limiter = RateLimiter::<4>::new(limit, [1; 16]);
            let mut allows = |at| limiter.allows(source(1), Instant::from_millis(at));
            assert!(allows(100));
            assert!(!allows(100 + millis - 1), "{micros}");
            assert!(allows(100 + millis), "{micros}");
        }
    }

    #[test]
    fn an_ipv6_network_is_one_source_and_ipv4_is_the_same_in_both_forms() {
        let v6 = |text: &str| Source::from(text.parse::<IpAddr>().unwrap());
        assert_eq!(v6("2001:db8::1"), v6("2001:db8::ffff:1"));
        assert_ne!(v6("2001:db8::1"), v6("2001:db8:0:1::1"));
        assert_eq!(v6("::ffff:192.0.2.1"), v6("192.0.2.1"));
        assert_ne!(v6("::ffff:192.0.2.2"), v6("192.0.2.1"));
    }
}
