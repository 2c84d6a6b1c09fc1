//! Randomness that can be repeated.

use rand::SeedableRng;
use rand::rngs::StdRng;

/// A generator whose seed is printed; `SEED` in the environment repeats a run.
pub fn generator() -> StdRng {
    let seed = std::env::var("SEED")
        .ok()
        .map_or_else(rand::random, |seed| seed.parse().expect("SEED: a number"));
    println!("SEED={seed}");
    StdRng::seed_from_u64(seed)
}

/// A number from the environment.
pub fn number(name: &str, otherwise: u64) -> u64 {
    let set = std::env::var(name).ok();
    set.map_or(otherwise, |number| number.parse().unwrap_or_else(|_| panic!("{name}: a number")))
}
