//! Random numbers of the host: secure ones of the system, insecure ones, and a seed.

use mintage::HasData;
use rand_core::{Rng, SeedableRng, TryRng};
use std::convert::Infallible;
use std::fmt;

/// The most bytes that a guest gets from one request, by default: 64 MiB.
pub const DEFAULT_MAX_SIZE: u64 = 64 << 20;

/// The random numbers of a guest. By default, secure ones are the system's (`getrandom(2)`), and
/// the others are seeded by it.
pub struct WasiRandomCtx {
    pub(crate) random: Box<dyn Rng + Send>,
    pub(crate) insecure_random: Box<dyn Rng + Send>,
    pub(crate) insecure_random_seed: u128,
    pub(crate) max_size: u64,
}

impl Default for WasiRandomCtx {
    fn default() -> Self {
        let mut seed = [0; 16];
        SystemRandom.fill_bytes(&mut seed);
        WasiRandomCtx {
            random: thread_rng(),
            insecure_random: Box::new(Insecure::from_rng(&mut SystemRandom)),
            insecure_random_seed: u128::from_le_bytes(seed),
            max_size: DEFAULT_MAX_SIZE,
        }
    }
}

impl fmt::Debug for WasiRandomCtx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WasiRandomCtx")
            .field("max_size", &self.max_size)
            .finish_non_exhaustive()
    }
}

/// Names [`WasiRandomCtx`] as what implements the interfaces of `wasi:random`.
#[derive(Debug)]
pub struct WasiRandom;

impl HasData for WasiRandom {
    type Data<'a> = &'a mut WasiRandomCtx;
}

/// Data of a store that has a [`WasiRandomCtx`]. What has a [`WasiView`](crate::WasiView) has one.
pub trait WasiRandomView: Send {
    /// Returns the random numbers.
    fn random(&mut self) -> &mut WasiRandomCtx;
}

/// Creates a source of secure random numbers: those of the system.
pub fn thread_rng() -> Box<dyn Rng + Send> {
    Box::new(SystemRandom)
}

/// The system's random numbers. Every number comes from the system, so neither a fork nor an image
/// of the host's memory can repeat one.
#[derive(Clone, Copy, Debug)]
struct SystemRandom;

impl TryRng for SystemRandom {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.fill_bytes(&mut bytes);
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.fill_bytes(&mut bytes);
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, mut buffer: &mut [u8]) -> Result<(), Infallible> {
        while !buffer.is_empty() {
            match rustix::rand::getrandom(&mut *buffer, rustix::rand::GetRandomFlags::empty()) {
                Ok(count) => buffer = &mut buffer[count..],
                Err(rustix::io::Errno::INTR) => {}
                // The system has had the call since Linux 3.17. Without it there is no secure
                // number to give, and none may be made up.
                Err(error) => panic!("the system has no random numbers: {error}"),
            }
        }
        Ok(())
    }
}

/// Fast numbers that look random and can be foreseen: xorshift128+ of S. Vigna.
#[derive(Clone, Debug)]
struct Insecure([u64; 2]);

impl SeedableRng for Insecure {
    type Seed = [u8; 16];

    fn from_seed(seed: [u8; 16]) -> Self {
        let (low, high) = seed.split_at(8);
        let word = |bytes: &[u8]| {
            bytes
                .iter()
                .fold(0, |word, &byte| word << 8 | u64::from(byte))
        };
        // All zeros would stay zeros.
        Insecure([word(low) | 1, word(high)])
    }
}

impl TryRng for Insecure {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok((self.next_u64() >> 32) as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let [mut x, y] = self.0;
        x ^= x << 23;
        x ^= x >> 17;
        x ^= y ^ (y >> 26);
        self.0 = [y, x];
        Ok(x.wrapping_add(y))
    }

    fn try_fill_bytes(&mut self, buffer: &mut [u8]) -> Result<(), Infallible> {
        for piece in buffer.chunks_mut(8) {
            let bytes = self.next_u64().to_le_bytes();
            piece.copy_from_slice(&bytes[..piece.len()]);
        }
        Ok(())
    }
}

/// Bytes that repeat, for guests whose runs must be equal.
///
/// ```
/// use mintage_wasi::{Deterministic, Rng, WasiCtx};
///
/// let mut numbers = Deterministic::new(vec![1, 2, 3]);
/// let mut bytes = [0; 5];
/// numbers.fill_bytes(&mut bytes);
/// assert_eq!(bytes, [1, 2, 3, 1, 2]);
/// let ctx = WasiCtx::builder()
///     .secure_random(numbers)
///     .insecure_random(Deterministic::new(vec![7]))
///     .insecure_random_seed(7)
///     .build();
/// # drop(ctx);
/// ```
#[derive(Clone, Debug)]
pub struct Deterministic {
    bytes: Vec<u8>,
    next: usize,
}

impl Deterministic {
    /// Creates a source that repeats `bytes` for ever.
    ///
    /// # Panics
    ///
    /// When there are none.
    pub fn new(bytes: Vec<u8>) -> Self {
        assert!(!bytes.is_empty(), "nothing to repeat");
        Deterministic { bytes, next: 0 }
    }

    fn next_byte(&mut self) -> u8 {
        let byte = self.bytes[self.next];
        self.next = (self.next + 1) % self.bytes.len();
        byte
    }
}

impl TryRng for Deterministic {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(u32::from_be_bytes([(); 4].map(|()| self.next_byte())))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(u64::from_be_bytes([(); 8].map(|()| self.next_byte())))
    }

    fn try_fill_bytes(&mut self, buffer: &mut [u8]) -> Result<(), Infallible> {
        buffer.fill_with(|| self.next_byte());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_differ() {
        let mut ctx = WasiRandomCtx::default();
        for random in [&mut ctx.random, &mut ctx.insecure_random] {
            let (mut one, mut other) = ([0; 37], [0; 37]);
            random.fill_bytes(&mut one);
            random.fill_bytes(&mut other);
            assert_ne!(one, other);
            assert_ne!(random.next_u64(), random.next_u64());
        }
        let mut zeros = Insecure::from_seed([0; 16]);
        assert_ne!(zeros.next_u64(), zeros.next_u64());
    }

    #[test]
    fn deterministic_numbers_repeat() {
        let mut numbers = Deterministic::new(vec![1, 2, 3]);
        assert_eq!(numbers.next_u32(), 0x01020301);
        assert_eq!(numbers.next_u64(), 0x0203010203010203);
    }
}
