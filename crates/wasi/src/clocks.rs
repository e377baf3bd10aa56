//! Clocks of the host: [`HostMonotonicClock`] and [`HostWallClock`].

use crate::Errno;
use mintage::{HasData, ResourceTable};
use std::time::{Duration, Instant, SystemTime};

/// The time of day of a guest.
pub trait HostWallClock: Send {
    /// Returns the shortest time that the clock can tell.
    fn resolution(&self) -> Duration;

    /// Returns the time since 1970-01-01 00:00 UTC.
    fn now(&self) -> Duration;
}

/// The clock of a guest that never goes back.
pub trait HostMonotonicClock: Send {
    /// Returns the shortest time that the clock can tell, in nanoseconds.
    fn resolution(&self) -> u64;

    /// Returns the time since an instant that the clock has chosen, in nanoseconds.
    fn now(&self) -> u64;
}

/// The system's time of day.
#[derive(Clone, Copy, Debug, Default)]
pub struct WallClock;

impl WallClock {
    /// Creates the clock.
    pub fn new() -> Self {
        WallClock
    }
}

impl HostWallClock for WallClock {
    fn resolution(&self) -> Duration {
        resolution(rustix::time::ClockId::Realtime)
    }

    fn now(&self) -> Duration {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        // A system whose clock is before 1970 has no time that WASI 0.2 could express.
        since.unwrap_or_default()
    }
}

/// The system's monotonic clock, from the instant on at which this was created.
#[derive(Clone, Copy, Debug)]
pub struct MonotonicClock {
    start: Instant,
}

impl Default for MonotonicClock {
    fn default() -> Self {
        Self::new()
    }
}

impl MonotonicClock {
    /// Creates a clock that starts at 0.
    pub fn new() -> Self {
        MonotonicClock {
            start: Instant::now(),
        }
    }
}

impl HostMonotonicClock for MonotonicClock {
    fn resolution(&self) -> u64 {
        nanoseconds(resolution(rustix::time::ClockId::Monotonic))
    }

    fn now(&self) -> u64 {
        nanoseconds(self.start.elapsed())
    }
}

/// Creates the system's monotonic clock.
pub fn monotonic_clock() -> Box<dyn HostMonotonicClock + Send> {
    Box::new(MonotonicClock::new())
}

/// Creates the system's time of day.
pub fn wall_clock() -> Box<dyn HostWallClock + Send> {
    Box::new(WallClock)
}

fn resolution(clock: rustix::time::ClockId) -> Duration {
    let resolution = rustix::time::clock_getres(clock);
    Duration::try_from(resolution).unwrap_or(Duration::from_nanos(1))
}

/// Converts a time to nanoseconds: up to 584 years.
pub(crate) fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// Returns the instant after a time.
pub(crate) fn instant_after(after: Duration) -> Instant {
    const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);
    let now = Instant::now();
    // If the system cannot express the instant, a hundred years are as good.
    let at = now
        .checked_add(after)
        .or_else(|| now.checked_add(100 * YEAR));
    at.unwrap_or(now)
}

/// Returns the system's time of day at a number of seconds since 1970, or before, and nanoseconds
/// after that.
///
/// # Errors
///
/// [`Errno::Overflow`] if the system cannot express it.
pub(crate) fn system_time(seconds: impl Into<i128>, nanoseconds: u32) -> Result<SystemTime, Errno> {
    let seconds = seconds.into();
    let distance = u64::try_from(seconds.unsigned_abs()).map_err(|_| Errno::Overflow)?;
    let distance = Duration::from_secs(distance);
    let time = match seconds < 0 {
        true => SystemTime::UNIX_EPOCH.checked_sub(distance),
        false => SystemTime::UNIX_EPOCH.checked_add(distance),
    };
    time.and_then(|time| time.checked_add(Duration::from_nanos(nanoseconds.into())))
        .ok_or(Errno::Overflow)
}

/// The clocks of a guest. By default those of the system.
pub struct WasiClocksCtx {
    pub(crate) wall: Box<dyn HostWallClock + Send>,
    pub(crate) monotonic: Box<dyn HostMonotonicClock + Send>,
}

impl Default for WasiClocksCtx {
    fn default() -> Self {
        WasiClocksCtx {
            wall: wall_clock(),
            monotonic: monotonic_clock(),
        }
    }
}

impl std::fmt::Debug for WasiClocksCtx {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WasiClocksCtx").finish_non_exhaustive()
    }
}

/// Names [`WasiClocksCtxView`] as what implements the interfaces of `wasi:clocks`.
#[derive(Debug)]
pub struct WasiClocks;

impl HasData for WasiClocks {
    type Data<'a> = WasiClocksCtxView<'a>;
}

/// Data of a store that has a [`WasiClocksCtx`]. What has a [`WasiView`](crate::WasiView) has one.
pub trait WasiClocksView: Send {
    /// Returns the context and the table.
    fn clocks(&mut self) -> WasiClocksCtxView<'_>;
}

/// A context with the table that has the guest's resources.
#[derive(Debug)]
pub struct WasiClocksCtxView<'a> {
    /// The context.
    pub ctx: &'a mut WasiClocksCtx,
    /// The guest's resources.
    pub table: &'a mut ResourceTable,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_that_the_system_cannot_express_are_errors() {
        let time = system_time(5u64, 7).unwrap();
        let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap();
        assert_eq!(since, Duration::new(5, 7));
        let before = SystemTime::UNIX_EPOCH - Duration::from_millis(1700);
        assert_eq!(system_time(-2i64, 300_000_000), Ok(before));
        assert_eq!(
            system_time(i128::from(i64::MIN) - 1, 0),
            Err(Errno::Overflow)
        );
        assert_eq!(system_time(u64::MAX, 0), Err(Errno::Overflow));
        assert_eq!(system_time(u64::MAX, u32::MAX), Err(Errno::Overflow));
        assert_eq!(nanoseconds(Duration::MAX), u64::MAX);
        assert!(instant_after(Duration::MAX) > instant_after(Duration::from_secs(1 << 20)));
    }

    #[test]
    fn the_systems_clocks_go_on() {
        let clock = MonotonicClock::new();
        let before = clock.now();
        assert!(clock.now() >= before);
        assert!((1..1_000_000_000).contains(&clock.resolution()));
        // 2020-01-01.
        assert!(WallClock.now() > Duration::from_secs(1_577_836_800));
        assert!(WallClock.resolution() > Duration::ZERO);
    }
}
