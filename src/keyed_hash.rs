//! The hash behind tables whose entries strangers choose.

/// SipHash-1-3 of sixteen bytes. Whoever does not know the key cannot choose bytes that collide.
///
/// The `siphasher` crate, against which it is tested, unrolls the rounds: three times the code on a
/// 32-bit processor.
#[inline(never)]
pub(crate) fn keyed_hash(key: &[u8; 16], bytes: &[u8; 16]) -> u64 {
    const LENGTH: u64 = 16 << 56;
    let ([k0, k1], [m0, m1]) = (words(key), words(bytes));
    let mut v = [
        k0 ^ 0x736f_6d65_7073_6575,
        k1 ^ 0x646f_7261_6e64_6f6d,
        k0 ^ 0x6c79_6765_6e65_7261,
        k1 ^ 0x7465_6462_7974_6573,
    ];
    // A round for each word of the message, the last of which is its length, and three to finish.
    for (word, finish) in [(m0, 0), (m1, 0), (LENGTH, 0), (0, 0xff), (0, 0), (0, 0)] {
        v[2] ^= finish;
        v[3] ^= word;
        round(&mut v);
        v[0] ^= word;
    }
    v[0] ^ v[1] ^ v[2] ^ v[3]
}

fn round(v: &mut [u64; 4]) {
    // Both halves of a round are the same on other words, but for how far they rotate.
    for [r1, r3] in [[13, 16], [17, 21]] {
        let [v0, v1, v2, v3] = *v;
        let a = v0.wrapping_add(v1);
        let b = v2.wrapping_add(v3);
        *v = [b, v1.rotate_left(r1) ^ a, a.rotate_left(32), v3.rotate_left(r3) ^ b];
    }
}

fn words(bytes: &[u8; 16]) -> [u64; 2] {
    let value = u128::from_le_bytes(*bytes);
    [value as u64, (value >> 64) as u64]
}

#[cfg(test)]
mod tests {
    use siphasher::sip::SipHasher13;

    use super::*;

    #[test]
    fn it_is_siphash_1_3() {
        let mut key = [0; 16];
        for number in 0..1_000_u32 {
            let bytes: [u8; 16] =
                core::array::from_fn(|at| (number.wrapping_mul(2_654_435_761) >> at) as u8);
            assert_eq!(keyed_hash(&key, &bytes), SipHasher13::new_with_key(&key).hash(&bytes));
            key = bytes;
        }
    }
}
