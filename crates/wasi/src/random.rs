//! Random numbers of the host: secure ones of the system, insecure ones, and a seed.

use mintage::{HasData, InPlaceList, Linker, Result, StoreContextMut, ensure};
use rand_core::{Rng, TryRng};
use std::convert::Infallible;
use std::fmt;

/// The most bytes that a guest gets from one request, by default: 64 MiB.
pub const DEFAULT_MAX_SIZE: u64 = 64 << 20;

/// The random numbers of a guest. By default, secure ones are the system's (`getrandom(2)`), and
/// the others are seeded by it.
pub struct WasiRandomCtx {
    pub(crate) random: Box<dyn Rng + Send>,
    pub(crate) insecure_random: Box<dyn Rng + Send>,
    /// A seed is made when a guest asks for it.
    pub(crate) insecure_random_seed: Option<u128>,
    pub(crate) max_size: u64,
}

impl Default for WasiRandomCtx {
    fn default() -> Self {
        WasiRandomCtx {
            random: thread_rng(),
            insecure_random: Box::new(Insecure::default()),
            insecure_random_seed: None,
            max_size: DEFAULT_MAX_SIZE,
        }
    }
}

impl WasiRandomCtx {
    /// Returns the seed, which is the same at each call.
    fn insecure_seed(&mut self) -> u128 {
        *self.insecure_random_seed.get_or_insert_with(|| {
            let mut seed = [0; 16];
            fill_by_system(&mut seed);
            u128::from_le_bytes(seed)
        })
    }

    /// Returns the halves of the seed.
    pub(crate) fn seed_halves(&mut self) -> (u64, u64) {
        let seed = self.insecure_seed();
        (seed as u64, (seed >> 64) as u64)
    }

    /// Returns how many bytes a guest gets that asks for `len`.
    ///
    /// # Errors
    ///
    /// If these are too many, and it gets no fewer.
    fn size(&self, len: u64, excess: Excess) -> Result<usize> {
        match excess {
            Excess::Fails => {
                ensure!(
                    len <= self.max_size,
                    "the guest asks for {len} random bytes at once; \
                     `WasiCtxBuilder::max_random_size` allows {}",
                    self.max_size
                );
                Ok(len as usize)
            }
            // There is at least one.
            Excess::IsLeftOut => Ok(len.min(self.max_size.max(1)) as usize),
        }
    }

    /// Returns bytes that `fill` fills.
    ///
    /// # Errors
    ///
    /// As [`size`](Self::size).
    pub(crate) fn bytes(&mut self, len: u64, excess: Excess, fill: Fill) -> Result<Vec<u8>> {
        let mut bytes = vec![0; self.size(len, excess)?];
        fill(self, &mut bytes);
        Ok(bytes)
    }

    pub(crate) fn fill(&mut self, bytes: &mut [u8]) {
        self.random.fill_bytes(bytes);
    }

    pub(crate) fn fill_insecurely(&mut self, bytes: &mut [u8]) {
        self.insecure_random.fill_bytes(bytes);
    }
}

/// Fills a buffer with random bytes.
type Fill = fn(&mut WasiRandomCtx, &mut [u8]);

/// What happens to a request for more bytes than a guest may have at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Excess {
    /// It fails.
    Fails,
    /// The guest gets as many as it may have, and can ask again.
    IsLeftOut,
}

/// Defines `wasi:random/random` and `wasi:random/insecure`, whose functions have the same names in
/// all versions. They are defined by hand, so that lists are filled in the guest's memory.
///
/// # Errors
///
/// If a name is already defined.
pub(crate) fn add_to_linker<T: WasiRandomView + 'static>(
    linker: &mut Linker<T>,
    version: &str,
    excess: Excess,
) -> Result<()> {
    let mut instance = linker.instance(&format!("wasi:random/random@{version}"))?;
    instance.func_wrap("get-random-bytes", move |store, (len,)| {
        Ok((filled(store, len, excess, WasiRandomCtx::fill)?,))
    })?;
    instance.func_wrap("get-random-u64", |mut store: StoreContextMut<'_, T>, ()| {
        Ok((store.data_mut().random().random.next_u64(),))
    })?;
    let mut instance = linker.instance(&format!("wasi:random/insecure@{version}"))?;
    instance.func_wrap("get-insecure-random-bytes", move |store, (len,)| {
        Ok((filled(store, len, excess, WasiRandomCtx::fill_insecurely)?,))
    })?;
    instance.func_wrap(
        "get-insecure-random-u64",
        |mut store: StoreContextMut<'_, T>, ()| {
            Ok((store.data_mut().random().insecure_random.next_u64(),))
        },
    )
}

/// Implements the traits of the bindings `$bindings` of a version of `wasi:random`. `$seed` is the
/// name of the function that returns the seed.
macro_rules! hosts {
    ($bindings:path, $excess:expr, $seed:ident) => {
        const _: () = {
            use rand_core::Rng as _;
            use $bindings as bindings;
            use $crate::random::WasiRandomCtx;

            impl bindings::random::Host for WasiRandomCtx {
                fn get_random_bytes(&mut self, len: u64) -> mintage::Result<Vec<u8>> {
                    self.bytes(len, $excess, WasiRandomCtx::fill)
                }

                fn get_random_u64(&mut self) -> mintage::Result<u64> {
                    Ok(self.random.next_u64())
                }
            }

            impl bindings::insecure::Host for WasiRandomCtx {
                fn get_insecure_random_bytes(&mut self, len: u64) -> mintage::Result<Vec<u8>> {
                    self.bytes(len, $excess, WasiRandomCtx::fill_insecurely)
                }

                fn get_insecure_random_u64(&mut self) -> mintage::Result<u64> {
                    Ok(self.insecure_random.next_u64())
                }
            }

            impl bindings::insecure_seed::Host for WasiRandomCtx {
                fn $seed(&mut self) -> mintage::Result<(u64, u64)> {
                    Ok(self.seed_halves())
                }
            }
        };
    };
}

pub(crate) use hosts;

/// Returns a list of bytes in the guest's memory, which `fill` fills.
///
/// # Errors
///
/// As [`WasiRandomCtx::size`].
fn filled<T: WasiRandomView + 'static>(
    mut store: StoreContextMut<'_, T>,
    len: u64,
    excess: Excess,
    fill: Fill,
) -> Result<InPlaceList> {
    let len = store.data_mut().random().size(len, excess)?;
    Ok(InPlaceList::with_data(len, move |block, data: &mut T| {
        fill(data.random(), block);
        Ok(block.len())
    }))
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
    Box::new(SystemRandom::default())
}

/// Bytes that are asked of the system at once. A system call for each number would take most of the
/// time of a small request.
const BUFFER: usize = 512;

/// Requests of more bytes than this go to the system.
const SMALL: usize = 64;

/// The system's random numbers, with a buffer for small ones. A process that was forked does not
/// use the buffer of its parent. Bytes that were used are overwritten.
#[derive(Default)]
struct SystemRandom {
    /// Bytes that have not been used yet.
    bytes: Vec<u8>,
    /// The process that the bytes are for.
    process: u64,
}

impl SystemRandom {
    #[cold]
    fn refill(&mut self, process: u64) {
        self.bytes.resize(BUFFER, 0);
        fill_by_system(&mut self.bytes);
        self.process = process;
    }
}

/// Fills a buffer by `getrandom(2)`.
fn fill_by_system(mut buffer: &mut [u8]) {
    while !buffer.is_empty() {
        match rustix::rand::getrandom(&mut *buffer, rustix::rand::GetRandomFlags::empty()) {
            Ok(count) => buffer = &mut buffer[count..],
            Err(rustix::io::Errno::INTR) => {}
            // The system has had the call since Linux 3.17. Without it there is no secure
            // number to give, and none may be made up.
            Err(error) => panic!("the system has no random numbers: {error}"),
        }
    }
}

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

    fn try_fill_bytes(&mut self, buffer: &mut [u8]) -> Result<(), Infallible> {
        if buffer.len() > SMALL {
            fill_by_system(buffer);
            return Ok(());
        }
        let process = mintage::process_id();
        if self.bytes.len() < buffer.len() || self.process != process {
            self.refill(process);
        }
        let rest = self.bytes.len() - buffer.len();
        buffer.copy_from_slice(&self.bytes[rest..]);
        self.bytes[rest..].fill(0);
        self.bytes.truncate(rest);
        Ok(())
    }
}

/// Fast numbers that look random and can be foreseen: xorshift128+ of S. Vigna. The first number
/// seeds it.
#[derive(Clone, Debug, Default)]
struct Insecure(Option<[u64; 2]>);

impl Insecure {
    fn seeded() -> [u64; 2] {
        let mut seed = [0; 16];
        fill_by_system(&mut seed);
        let seed = u128::from_le_bytes(seed);
        // All zeros would stay zeros.
        [seed as u64 | 1, (seed >> 64) as u64]
    }
}

impl TryRng for Insecure {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok((self.next_u64() >> 32) as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let [mut x, y] = *self.0.get_or_insert_with(Insecure::seeded);
        x ^= x << 23;
        x ^= x >> 17;
        x ^= y ^ (y >> 26);
        self.0 = Some([y, x]);
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
    }

    #[test]
    fn small_numbers_come_from_a_buffer_once() {
        let mut random = SystemRandom::default();
        let first = random.next_u64();
        assert_eq!(random.bytes.len(), BUFFER - 8);
        let place = random.bytes.as_ptr();
        let mut large = [0; SMALL + 1];
        random.fill_bytes(&mut large);
        assert_eq!(random.bytes.len(), BUFFER - 8);
        let mut numbers: Vec<u64> = (0..200).map(|_| random.next_u64()).collect();
        // The buffer has not moved, so that no bytes are left behind.
        assert_eq!(random.bytes.as_ptr(), place);
        numbers.push(first);
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), 201);
    }

    /// As after a fork.
    #[test]
    fn another_process_has_numbers_of_its_own() {
        let mut parent = SystemRandom::default();
        parent.next_u64();
        let mut child = SystemRandom {
            bytes: parent.bytes.clone(),
            process: parent.process ^ 1,
        };
        assert_ne!(parent.next_u64(), child.next_u64());
        assert_eq!(child.process, parent.process);
    }

    #[test]
    fn deterministic_numbers_repeat() {
        let mut numbers = Deterministic::new(vec![1, 2, 3]);
        assert_eq!(numbers.next_u32(), 0x01020301);
        assert_eq!(numbers.next_u64(), 0x0203010203010203);
    }
}
