//! `wasi:clocks`.

use super::bindings::clocks::{monotonic_clock, wall_clock};
use crate::clocks::{WasiClocksCtxView, instant_after};
use crate::io::{DynPollable, Pollable, Readiness, subscribe};
use mintage::{Resource, Result};
use std::time::{Duration, Instant};

impl From<Duration> for wall_clock::Datetime {
    fn from(since: Duration) -> Self {
        wall_clock::Datetime {
            seconds: since.as_secs(),
            nanoseconds: since.subsec_nanos(),
        }
    }
}

impl wall_clock::Host for WasiClocksCtxView<'_> {
    fn now(&mut self) -> Result<wall_clock::Datetime> {
        Ok(self.ctx.wall.now().into())
    }

    fn resolution(&mut self) -> Result<wall_clock::Datetime> {
        Ok(self.ctx.wall.resolution().into())
    }
}

impl monotonic_clock::Host for WasiClocksCtxView<'_> {
    fn now(&mut self) -> Result<u64> {
        Ok(self.ctx.monotonic.now())
    }

    fn resolution(&mut self) -> Result<u64> {
        Ok(self.ctx.monotonic.resolution())
    }

    fn subscribe_instant(&mut self, when: u64) -> Result<Resource<DynPollable>> {
        let after = when.saturating_sub(self.ctx.monotonic.now());
        self.subscribe_duration(after)
    }

    fn subscribe_duration(&mut self, after: u64) -> Result<Resource<DynPollable>> {
        let alarm = Alarm(instant_after(Duration::from_nanos(after)));
        let alarm = self.table.push(alarm)?;
        subscribe(self.table, alarm)
    }
}

/// Is ready from an instant on.
struct Alarm(Instant);

#[async_trait::async_trait]
impl Pollable for Alarm {
    async fn ready(&mut self) {
        #[cfg(feature = "tokio")]
        tokio::time::sleep_until(self.0.into()).await;
        #[cfg(not(feature = "tokio"))]
        std::thread::sleep(self.0.saturating_duration_since(Instant::now()));
    }

    fn readiness(&self) -> Readiness<'_> {
        Readiness::At(self.0)
    }
}
