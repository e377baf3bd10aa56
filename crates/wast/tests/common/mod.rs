//! What the tests of components that ask for a lot share.

use mintage::{Component, Config, Engine};
use std::fs;
use std::time::{Duration, Instant};

/// The longest that a component may take, on a slow machine under load.
const MAX_TIME: Duration = Duration::from_secs(60);
/// The most memory that a component may take, beyond what the process had before.
const MAX_MEMORY: u64 = 1 << 30;

/// What must come of a component.
pub enum Outcome {
    /// An error that contains the text.
    Error(&'static str),
    /// No error.
    Fine,
}

/// A name, how the component is made, and what must come of it.
pub type Case = (&'static str, fn() -> Vec<u8>, Outcome);

/// Compiles a component and checks what comes of it, and what that takes.
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

/// The highest memory use of the process, in bytes; 0 where the system does not tell.
fn peak_memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kilobytes.unwrap_or(0) << 10
}
