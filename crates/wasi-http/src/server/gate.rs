//! [`Gate`]: counts and limits the requests in progress.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Counts the requests whose guests live. Cheap to clone; all clones count together.
#[derive(Clone, Debug)]
pub(super) struct Gate {
    // Alone on its cache lines, since all threads write it.
    under_way: Arc<Padded>,
    max: usize,
}

#[derive(Debug, Default)]
#[repr(align(128))]
struct Padded(AtomicUsize);

/// One of those that may be under way. It counts until it is dropped.
#[derive(Debug)]
pub(super) struct Permit(Arc<Padded>);

impl Gate {
    pub fn new(max: usize) -> Gate {
        Gate {
            under_way: Arc::default(),
            max,
        }
    }

    /// Sets how many may be under way.
    pub fn set_max(&mut self, max: usize) {
        self.max = max;
    }

    /// Returns the number that is under way.
    pub fn under_way(&self) -> usize {
        self.under_way.0.load(Ordering::Relaxed)
    }

    /// Counts one more, unless as many are under way as may be.
    pub fn enter(&self) -> Option<Permit> {
        let before = self.under_way.0.fetch_add(1, Ordering::Relaxed);
        // Dropped where it is one too many.
        let permit = Permit(self.under_way.clone());
        (before < self.max).then_some(permit)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_than_the_limit_enter() {
        let gate = Gate::new(2);
        let first = gate.enter().unwrap();
        let _second = gate.clone().enter().unwrap();
        assert!(gate.enter().is_none());
        assert_eq!(gate.under_way(), 2);
        drop(first);
        assert!(gate.enter().is_some());
        assert_eq!(gate.under_way(), 1);
        assert!(Gate::new(0).enter().is_none());
    }
}
