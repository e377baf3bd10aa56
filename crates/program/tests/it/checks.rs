//! The check of `build_checked` is called throughout the phases, and its error ends them.

use anyhow::bail;
use mintage_environ::Tunables;
use mintage_program::build_checked;
use std::sync::atomic::{AtomicUsize, Ordering};

const FUNCTIONS: usize = 50;
const INSTANCES: usize = 30;

/// A component with that many functions, and that many instances of their module.
fn component() -> Vec<u8> {
    let functions = "(func (drop (i32.const 1)))".repeat(FUNCTIONS);
    let instances = "(core instance (instantiate $m))".repeat(INSTANCES);
    wat::parse_str(format!(
        "(component (core module $m {functions}) {instances})"
    ))
    .unwrap()
}

/// Builds the component with a check that fails at call `limit`. Returns the number of calls, and
/// the error, if any.
fn build_until(limit: usize) -> (usize, Option<String>) {
    let calls = AtomicUsize::new(0);
    let check = || {
        if calls.fetch_add(1, Ordering::Relaxed) == limit {
            bail!("stopped")
        }
        Ok(())
    };
    let error = build_checked(&component(), &Tunables::default(), &check).err();
    let error = error.map(|error| format!("{error:#}"));
    (calls.into_inner(), error)
}

#[test]
fn bodies_and_definitions_are_checked_one_by_one() {
    let (all, error) = build_until(usize::MAX);
    assert_eq!(error, None);
    // While parsing, validating and inlining.
    assert!(all >= 2 * FUNCTIONS + INSTANCES, "{all} calls");
    for limit in 0..all {
        let (calls, error) = build_until(limit);
        let error = error.unwrap_or_default();
        assert!(error.ends_with("stopped"), "call {limit}: {error}");
        assert!(calls <= limit + 1 + FUNCTIONS, "call {limit} of {calls}");
    }
}
