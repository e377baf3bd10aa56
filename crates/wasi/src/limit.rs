//! [`DescriptorLimit`]: how many descriptors, streams or sockets a guest may have open.

use crate::Errno;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// The default limit, which is that of processes on most systems.
const DEFAULT_MAX: usize = 1024;

/// Counts what one guest has open.
#[derive(Debug)]
pub(crate) struct DescriptorLimit {
    open: AtomicUsize,
    max: AtomicUsize,
}

impl Default for DescriptorLimit {
    fn default() -> Self {
        DescriptorLimit {
            open: AtomicUsize::new(0),
            max: AtomicUsize::new(DEFAULT_MAX),
        }
    }
}

impl DescriptorLimit {
    /// Sets how many can be open at a time.
    pub fn set_max(&self, max: usize) {
        self.max.store(max, Relaxed);
    }

    /// Counts one more, until the slot is dropped.
    ///
    /// # Errors
    ///
    /// [`Errno::TooManyFiles`] if there are as many as there can be.
    pub fn open(self: &Arc<Self>) -> Result<Arc<Slot>, Errno> {
        let max = self.max.load(Relaxed);
        let counted = self
            .open
            .fetch_update(Relaxed, Relaxed, |open| (open < max).then_some(open + 1));
        match counted {
            Ok(_) => Ok(Arc::new(Slot {
                limit: self.clone(),
            })),
            Err(_) => Err(Errno::TooManyFiles),
        }
    }
}

/// One open descriptor or stream.
#[derive(Debug)]
pub(crate) struct Slot {
    limit: Arc<DescriptorLimit>,
}

impl Slot {
    /// Counts one more under the same limit.
    pub fn another(&self) -> Result<Arc<Slot>, Errno> {
        self.limit.open()
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.limit.open.fetch_sub(1, Relaxed);
    }
}
