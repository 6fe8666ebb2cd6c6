//! Randomness as a function: (root seed, purpose, client, attempt) to a generator.
//!
//! Never a shared stream: what one client draws does not depend on what another did before, so the
//! same seed gives the same plan whatever the sockets do. ChaCha8, because its output is fixed
//! across versions of `rand`, which `StdRng`'s is not.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

/// What a draw is for; part of the key, so that two purposes never share numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Purpose {
    /// When a client arrives in the ramp.
    Arrival = 1,
    /// When a load publishes.
    Publish = 2,
    /// Which clients a fault hits.
    FaultTargets = 3,
    /// A reconnect's jitter.
    Jitter = 4,
    /// What fills a payload.
    Payload = 5,
}

/// The generator for one draw.
#[must_use]
pub fn rng(seed: u64, purpose: Purpose, client: u64, attempt: u64) -> ChaCha8Rng {
    let mut key = [0_u8; 32];
    for (slot, word) in key.chunks_exact_mut(8).zip([seed, purpose as u64, client, attempt]) {
        slot.copy_from_slice(&word.to_le_bytes());
    }
    ChaCha8Rng::from_seed(key)
}

#[cfg(test)]
mod tests {
    use rand::Rng;

    use super::*;

    #[test]
    fn equal_keys_draw_alike_and_each_part_of_the_key_counts() {
        let first = |seed, purpose, client, attempt| rng(seed, purpose, client, attempt).next_u64();
        let base = first(1, Purpose::Jitter, 2, 3);
        assert_eq!(base, first(1, Purpose::Jitter, 2, 3));
        for other in [
            first(9, Purpose::Jitter, 2, 3),
            first(1, Purpose::Arrival, 2, 3),
            first(1, Purpose::Jitter, 9, 3),
            first(1, Purpose::Jitter, 2, 9),
        ] {
            assert_ne!(base, other);
        }
    }
}
