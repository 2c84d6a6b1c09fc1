//! Which of several hosts to try first: priority and weight (RFC 2782).

use core::num::NonZeroU32;

use rand_core::Rng;

/// The place of a host among the others of its service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Rank {
    /// All hosts of a lower value are tried first.
    pub priority: u16,
    /// Among hosts of one priority, how often it is tried first, relative to the others. Of weight 0,
    /// hardly ever while there are others.
    pub weight: u16,
}

/// The next one to try, as its index among all; `None` are those that were tried, and come out no
/// more. Called again and again, it gives the order of RFC 2782.
///
/// "Hardly ever" is exact: the RFC draws from 0 to the sum of the weights, both included, and one of
/// weight 0 is meant by 0 alone. Where the RFC leaves the order of equals open, it is drawn as well.
/// Only the first 65,536 are looked at, so that no sum of weights is too large.
pub fn choose<R>(ranks: R, rng: &mut impl Rng) -> Option<usize>
where
    R: Iterator<Item = Option<Rank>> + Clone,
{
    let ranks = ranks.take(1 << 16);
    let priority = ranks.clone().flatten().map(|rank| rank.priority).min()?;
    let weights = ranks
        .enumerate()
        .filter_map(|(index, rank)| rank.map(|rank| (index, rank)))
        .filter(|(_, rank)| rank.priority == priority)
        .map(|(index, rank)| (index, u32::from(rank.weight)));
    let sum = weights.clone().fold(0_u32, |sum, (_, weight)| sum.saturating_add(weight));
    let drawn = up_to(sum, rng);
    if drawn > 0 {
        let mut running = 0_u32;
        return weights
            .filter(|(_, weight)| *weight > 0)
            .find(|(_, weight)| {
                running = running.saturating_add(*weight);
                running >= drawn
            })
            .map(|(index, _)| index);
    }
    // The first of those in front, where weight 0 stands before the others.
    let has_zeros = weights.clone().any(|(_, weight)| weight == 0);
    let mut front = weights.filter(|(_, weight)| (*weight == 0) == has_zeros);
    let last = u32::try_from(front.clone().count()).unwrap_or(u32::MAX).saturating_sub(1);
    let place = usize::try_from(up_to(last, rng)).unwrap_or(usize::MAX);
    front.nth(place).map(|(index, _)| index)
}

/// Draws for one number, at most. With true randomness they are not enough once in 2^64 times; a source
/// that is stuck makes the client choose badly, not hang.
const DRAWS: u32 = 64;

/// A number from 0 to `last`, each as likely as the others.
fn up_to(last: u32, rng: &mut impl Rng) -> u32 {
    let Some(count) = last.checked_add(1).and_then(NonZeroU32::new) else {
        return rng.next_u32();
    };
    // Above the largest multiple of `count`, the first numbers would come once more than the last. At
    // least every other draw is below it.
    let excess = (u32::MAX % count).wrapping_add(1) % count;
    let mut drawn = rng.next_u32();
    for _ in 1..DRAWS {
        if drawn <= u32::MAX.wrapping_sub(excess) {
            break;
        }
        drawn = rng.next_u32();
    }
    drawn % count
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use rand::SeedableRng as _;
    use rand::rngs::StdRng;

    use super::*;

    fn rank(priority: u16, weight: u16) -> Rank {
        Rank { priority, weight }
    }

    /// All indexes in the order in which they are chosen.
    fn order(ranks: &[Rank], rng: &mut impl Rng) -> Vec<usize> {
        let mut left: Vec<_> = ranks.iter().copied().map(Some).collect();
        let mut order = Vec::new();
        while let Some(index) = choose(left.iter().copied(), rng) {
            assert!(left[index].take().is_some(), "chosen twice");
            order.push(index);
        }
        order
    }

    /// How often each is the first of 100,000.
    fn firsts(ranks: &[Rank]) -> Vec<u32> {
        let mut rng = StdRng::seed_from_u64(2782);
        let mut firsts = std::vec![0; ranks.len()];
        for _ in 0..100_000 {
            firsts[choose(ranks.iter().copied().map(Some), &mut rng).unwrap()] += 1;
        }
        firsts
    }

    /// Pearson's statistic of counts against probabilities.
    fn chi_squared(counts: &[u32], probabilities: &[f64]) -> f64 {
        let total = f64::from(counts.iter().sum::<u32>());
        counts
            .iter()
            .zip(probabilities)
            .map(|(count, probability)| {
                let expected = total * probability;
                (f64::from(*count) - expected).powi(2) / expected
            })
            .sum()
    }

    #[test]
    fn every_one_comes_once_and_lower_priorities_first() {
        let ranks = [rank(20, 5), rank(10, 0), rank(20, 0), rank(0, 1), rank(10, 65_535)];
        let mut rng = StdRng::seed_from_u64(1);
        for _ in 0..1_000 {
            let order = order(&ranks, &mut rng);
            assert_eq!(order.len(), ranks.len());
            assert!(order.is_sorted_by_key(|index| ranks[*index].priority));
        }
        assert!(order(&[], &mut rng).is_empty());
    }

    /// The distribution that RFC 2782 describes, by its own words: zeros in front, a number from 0 to
    /// the sum, the first whose running sum reaches it; the order within the two groups drawn.
    #[test]
    fn firsts_are_distributed_as_the_rfc_says() {
        // 11 numbers, 0 is for one of the two of weight 0.
        let counts = firsts(&[rank(1, 7), rank(1, 0), rank(1, 3), rank(1, 0)]);
        let odds = [7.0 / 11.0, 0.5 / 11.0, 3.0 / 11.0, 0.5 / 11.0];
        // 99.99 % of a right distribution's are below 21.1, with three degrees of freedom.
        assert!(chi_squared(&counts, &odds) < 21.1, "{counts:?}");
        // Without any of weight 0, what 0 means falls to the one in front, each as often.
        let counts = firsts(&[rank(1, 1), rank(1, 2), rank(1, 6)]);
        let odds = [1.0, 2.0, 6.0].map(|weight| (weight + 1.0 / 3.0) / 10.0);
        assert!(chi_squared(&counts, &odds) < 18.4, "{counts:?}");
        // Of weight 0 alone, all alike.
        let counts = firsts(&[rank(1, 0); 5]);
        assert!(chi_squared(&counts, &[0.2; 5]) < 23.5, "{counts:?}");
        // A higher priority value never, as long as there is a lower one.
        assert_eq!(firsts(&[rank(2, 9), rank(1, 0)]), [0, 100_000]);
    }

    /// The second place is drawn among those left, by their weights alone.
    #[test]
    fn whole_orders_are_distributed_as_the_rfc_says() {
        let ranks = [rank(0, 1), rank(0, 2), rank(0, 7)];
        let mut rng = StdRng::seed_from_u64(7);
        let orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
        let mut counts = [0; 6];
        for _ in 0..60_000 {
            let order = order(&ranks, &mut rng);
            counts[orders.iter().position(|known| order == known).unwrap()] += 1;
        }
        let odds = orders.map(|[first, second, _]| {
            let weight = |index: usize| f64::from(ranks[index].weight);
            let left = 10.0 - weight(first);
            (weight(first) + 1.0 / 3.0) / 11.0 * ((weight(second) + 0.5) / (left + 1.0))
        });
        assert!((odds.iter().sum::<f64>() - 1.0).abs() < 1e-9);
        assert!(chi_squared(&counts, &odds) < 25.7, "{counts:?}");
    }

    #[test]
    fn numbers_are_drawn_without_favour() {
        let mut rng = StdRng::seed_from_u64(3);
        let mut counts = [0_u32; 3];
        for _ in 0..30_000 {
            // A plain remainder shows nothing with so small a number, so a large one is tried
            // below.
            counts[up_to(2, &mut rng) as usize] += 1;
        }
        assert!(chi_squared(&counts, &[1.0 / 3.0; 3]) < 18.4, "{counts:?}");
        let most = 3_000_000_000;
        let above = (0..10_000).filter(|_| up_to(most - 1, &mut rng) >= most / 2).count();
        assert!(
            (4_800..5_200).contains(&above),
            "{above}: the upper half is as likely as the lower"
        );
        assert!((0..100).all(|_| up_to(0, &mut rng) == 0));
    }

    /// A source of randomness that always says the same.
    struct Stuck(u32);

    impl rand_core::TryRng for Stuck {
        type Error = core::convert::Infallible;

        fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
            Ok(self.0)
        }

        fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
            Ok(u64::from(self.0) << 32 | u64::from(self.0))
        }

        fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Self::Error> {
            bytes.fill(self.0 as u8);
            Ok(())
        }
    }

    #[test]
    fn a_source_that_is_stuck_does_not_stop_it() {
        let ranks = [rank(10, 75), rank(10, 3), rank(10, 0), rank(20, 0), rank(20, 0)];
        for number in [0, 1, u32::MAX / 2, u32::MAX] {
            let mut order = order(&ranks, &mut Stuck(number));
            assert!(order.iter().take(3).all(|index| *index < 3), "{order:?}");
            order.sort_unstable();
            assert_eq!(order, [0, 1, 2, 3, 4]);
        }
    }
}
