//! Compiles components with extreme demands and measures time and memory.

use mintage::{Component, Config, Engine};
use std::fs;
use std::time::{Duration, Instant};

/// Maximum compile time of a component, on a slow machine under load.
const MAX_TIME: Duration = Duration::from_secs(60);
/// Maximum increase of the process's memory, in bytes.
const MAX_MEMORY: u64 = 1 << 30;

/// The expected outcome.
pub enum Outcome {
    /// An error that contains the text.
    Error(&'static str),
    /// No error.
    Fine,
}

/// A name, a function that builds a component, and the expected outcome.
pub type Case = (&'static str, fn() -> Vec<u8>, Outcome);

/// Compiles a component and checks the outcome, the time and the memory.
pub fn check(name: &str, bytes: &[u8], expected: Outcome) {
    let engine = Engine::new(Config::new().debug_verifier(false)).unwrap();
    let before = peak_memory();
    let start = Instant::now();
    let outcome = Component::new(&engine, bytes).map(drop);
    let time = start.elapsed();
    let memory = peak_memory().saturating_sub(before);
    let outcome = outcome.map_err(|error| format!("{error:#}"));
    println!(
        "{name}: {} bytes, {time:.1?}, {} MiB, {outcome:.200?}",
        bytes.len(),
        memory >> 20
    );
    match (&outcome, expected) {
        (Ok(()), Outcome::Fine) => {}
        (Err(actual), Outcome::Error(text)) if actual.contains(text) => {}
        (outcome, Outcome::Fine) => panic!("{name}: {outcome:?}"),
        (outcome, Outcome::Error(text)) => {
            panic!("{name}: {outcome:?} instead of an error with `{text}`")
        }
    }
    assert!(time < MAX_TIME, "{name}: takes {time:?}");
    assert!(memory < MAX_MEMORY, "{name}: takes {memory} bytes");
}

/// Returns the peak memory of the process in bytes, or 0 if the system does not provide it.
fn peak_memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kilobytes.unwrap_or(0) << 10
}
