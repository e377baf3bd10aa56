//! `wasi:clocks`.

use super::bindings::LinkOptions;
use super::bindings::clocks::{monotonic_clock, system_clock, timezone, types};
use crate::clocks::{WasiClocks, WasiClocksCtxView, WasiClocksView, instant_after, nanoseconds};
use crate::io::Readiness;
use crate::io::fd::wait_for;
use mintage::{Accessor, Linker, Result};
use std::time::Duration;

/// Defines `wasi:clocks`, without its unstable interfaces.
///
/// # Errors
///
/// If an interface is already defined.
pub fn add_to_linker<T: WasiClocksView + 'static>(linker: &mut Linker<T>) -> Result<()> {
    add_to_linker_with_options(linker, &LinkOptions::default())
}

/// Does the same as [`add_to_linker`], and defines the unstable features in `options` as well.
///
/// # Errors
///
/// If an interface is already defined.
pub fn add_to_linker_with_options<T: WasiClocksView + 'static>(
    linker: &mut Linker<T>,
    options: &LinkOptions,
) -> Result<()> {
    types::add_to_linker::<T, WasiClocks>(linker, T::clocks)?;
    monotonic_clock::add_to_linker::<T, WasiClocks>(linker, T::clocks)?;
    system_clock::add_to_linker::<T, WasiClocks>(linker, T::clocks)?;
    timezone::add_to_linker::<T, WasiClocks>(linker, &options.into(), T::clocks)
}

impl types::Host for WasiClocksCtxView<'_> {}

impl monotonic_clock::Host for WasiClocksCtxView<'_> {
    fn now(&mut self) -> Result<u64> {
        Ok(self.ctx.monotonic.now())
    }

    fn get_resolution(&mut self) -> Result<u64> {
        Ok(self.ctx.monotonic.resolution())
    }
}

impl<T> monotonic_clock::HostWithStore<T> for WasiClocks {
    async fn wait_until(accessor: &Accessor<T, Self>, when: u64) -> Result<()> {
        let now = accessor.with(|mut access| access.get().ctx.monotonic.now());
        wait(when.saturating_sub(now)).await;
        Ok(())
    }

    async fn wait_for(_: &Accessor<T, Self>, how_long: u64) -> Result<()> {
        wait(how_long).await;
        Ok(())
    }
}

/// Waits for a number of nanoseconds.
async fn wait(nanoseconds: u64) {
    if nanoseconds > 0 {
        wait_for(Readiness::At(instant_after(Duration::from_nanos(
            nanoseconds,
        ))))
        .await;
    }
}

impl system_clock::Host for WasiClocksCtxView<'_> {
    fn now(&mut self) -> Result<system_clock::Instant> {
        let since = self.ctx.wall.now();
        Ok(system_clock::Instant {
            // 2^63 seconds are beyond what any clock tells.
            seconds: i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
            nanoseconds: since.subsec_nanos(),
        })
    }

    fn get_resolution(&mut self) -> Result<u64> {
        Ok(nanoseconds(self.ctx.wall.resolution()))
    }
}

/// A guest does not learn the time zone of its host.
impl timezone::Host for WasiClocksCtxView<'_> {
    fn iana_id(&mut self) -> Result<Option<String>> {
        Ok(None)
    }

    fn utc_offset(&mut self, _: timezone::Instant) -> Result<Option<i64>> {
        Ok(None)
    }

    fn to_debug_string(&mut self) -> Result<String> {
        Ok("none".to_string())
    }
}
