//! A stopwatch with named laps.

use std::time::{Duration, Instant};

/// A stopwatch that measures consecutive steps.
pub struct Clock {
    last: Instant,
    laps: Vec<(&'static str, Duration)>,
}

impl Clock {
    /// Starts the first lap.
    pub fn start() -> Clock {
        Clock {
            last: Instant::now(),
            laps: Vec::new(),
        }
    }

    /// Ends the current lap under the name `name` and starts the next one.
    pub fn lap(&mut self, name: &'static str) {
        let now = Instant::now();
        self.laps.push((name, now - self.last));
        self.last = now;
    }

    /// Prints all laps to standard error, so that standard output contains only the result.
    pub fn report(&self) {
        for (name, time) in &self.laps {
            eprintln!("{name:>12} {:>14.3} ms", time.as_secs_f64() * 1e3);
        }
    }
}
