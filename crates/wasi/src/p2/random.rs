//! `wasi:random`.

use super::VERSION;
use super::bindings::random::{insecure, insecure_seed, random};
use crate::WasiView;
use crate::random::{WasiRandom, WasiRandomCtx};
use mintage::{InPlaceList, Linker, Result, StoreContextMut, ensure};
use rand_core::Rng;

/// Defines `wasi:random`. The functions that fill lists are defined by hand, so that they fill the
/// guest's memory.
///
/// # Errors
///
/// If a name is already defined.
pub(super) fn add_to_linker<T: WasiView + 'static>(linker: &mut Linker<T>) -> Result<()> {
    let mut instance = linker.instance(&format!("wasi:random/random@{VERSION}"))?;
    instance.func_wrap("get-random-bytes", |store, (len,)| {
        Ok((filled(store, len, |ctx, block| {
            ctx.random.fill_bytes(block)
        })?,))
    })?;
    instance.func_wrap("get-random-u64", |mut store: StoreContextMut<'_, T>, ()| {
        Ok((store.data_mut().ctx().ctx.random.random.next_u64(),))
    })?;
    let mut instance = linker.instance(&format!("wasi:random/insecure@{VERSION}"))?;
    instance.func_wrap("get-insecure-random-bytes", |store, (len,)| {
        Ok((filled(store, len, |ctx, block| {
            ctx.insecure_random.fill_bytes(block)
        })?,))
    })?;
    instance.func_wrap(
        "get-insecure-random-u64",
        |mut store: StoreContextMut<'_, T>, ()| {
            Ok((store.data_mut().ctx().ctx.random.insecure_random.next_u64(),))
        },
    )?;
    insecure_seed::add_to_linker::<T, WasiRandom>(linker, |data| &mut data.ctx().ctx.random)
}

/// Returns a list of `len` bytes in the guest's memory, which `fill` fills.
///
/// # Errors
///
/// If the guest asks for too many.
fn filled<T: WasiView + 'static>(
    mut store: StoreContextMut<'_, T>,
    len: u64,
    fill: fn(&mut WasiRandomCtx, &mut [u8]),
) -> Result<InPlaceList> {
    let len = store.data_mut().ctx().ctx.random.check_size(len)?;
    Ok(InPlaceList::with_data(len, move |block, data: &mut T| {
        fill(&mut data.ctx().ctx.random, block);
        Ok(block.len())
    }))
}

impl WasiRandomCtx {
    fn check_size(&self, len: u64) -> Result<usize> {
        ensure!(
            len <= self.max_size,
            "the guest asks for {len} random bytes at once; `WasiCtxBuilder::max_random_size` \
             allows {}",
            self.max_size
        );
        Ok(len as usize)
    }

    fn bytes(&mut self, len: u64, fill: fn(&mut WasiRandomCtx, &mut [u8])) -> Result<Vec<u8>> {
        let mut bytes = vec![0; self.check_size(len)?];
        fill(self, &mut bytes);
        Ok(bytes)
    }
}

impl random::Host for WasiRandomCtx {
    fn get_random_bytes(&mut self, len: u64) -> Result<Vec<u8>> {
        self.bytes(len, |ctx, bytes| ctx.random.fill_bytes(bytes))
    }

    fn get_random_u64(&mut self) -> Result<u64> {
        Ok(self.random.next_u64())
    }
}

impl insecure::Host for WasiRandomCtx {
    fn get_insecure_random_bytes(&mut self, len: u64) -> Result<Vec<u8>> {
        self.bytes(len, |ctx, bytes| ctx.insecure_random.fill_bytes(bytes))
    }

    fn get_insecure_random_u64(&mut self) -> Result<u64> {
        Ok(self.insecure_random.next_u64())
    }
}

impl insecure_seed::Host for WasiRandomCtx {
    fn insecure_seed(&mut self) -> Result<(u64, u64)> {
        let seed = WasiRandomCtx::insecure_seed(self);
        Ok((seed as u64, (seed >> 64) as u64))
    }
}
