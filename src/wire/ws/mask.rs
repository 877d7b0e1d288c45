//! The masking of a client's payload (RFC 6455 §5.3), eight bytes at a time.

/// A masking key, turned so that its first byte is the next one to use.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mask([u8; 4]);

impl Mask {
    pub(super) const fn new(key: [u8; 4]) -> Self {
        Self(key)
    }

    /// Masks or unmasks the next part of a payload in place; the part after it goes on where this one ended.
    pub(super) fn apply(&mut self, payload: &mut [u8]) {
        let [a, b, c, d] = self.0;
        let key = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
        let (words, rest) = payload.as_chunks_mut::<8>();
        for word in words {
            *word = (u64::from_ne_bytes(*word) ^ key).to_ne_bytes();
        }
        for (byte, key) in rest.iter_mut().zip(self.0.into_iter().cycle()) {
            *byte ^= key;
        }
        self.0.rotate_left(payload.len() % 4);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_in_parts_is_unmasked_like_the_whole() {
        let mut random = fastrand::Rng::with_seed(1);
        for round in 0..2_000 {
            let key: [u8; 4] = std::array::from_fn(|_| random.u8(..));
            let clear: Vec<u8> = (0..random.usize(..100)).map(|_| random.u8(..)).collect();
            let mut payload: Vec<u8> =
                clear.iter().zip(key.into_iter().cycle()).map(|(byte, key)| byte ^ key).collect();
            let mut mask = Mask::new(key);
            let mut rest = &mut payload[..];
            while !rest.is_empty() {
                let (part, after) = rest.split_at_mut(random.usize(..=rest.len()));
                mask.apply(part);
                rest = after;
            }
            assert_eq!(payload, clear, "round {round}");
        }
    }
}
