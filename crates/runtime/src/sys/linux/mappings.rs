//! The number of mappings: what the process may have, and how much of it slabs may take.

use std::fs::File;
use std::io::{self, Read};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Returns how many mappings the process may have.
pub fn max_mappings() -> usize {
    static MAX: OnceLock<usize> = OnceLock::new();
    *MAX.get_or_init(|| {
        let setting = std::fs::read_to_string("/proc/sys/vm/max_map_count").ok();
        // The default of Linux.
        setting
            .and_then(|text| text.trim().parse().ok())
            .unwrap_or(65530)
    })
}

/// Mappings that the slabs of all engines have or may need.
static SLAB_MAPPINGS: AtomicUsize = AtomicUsize::new(0);

/// Returns how many mappings the slabs of all engines may have together: seven eighths of what the
/// process may have. The rest is left to the host, which can start no thread and allocate no memory
/// without any.
pub fn max_slab_mappings() -> usize {
    max_mappings() / 8 * 7
}

/// Returns how many mappings the slabs of all engines may have while any of them is idle: three
/// quarters of what the process may have.
pub fn max_idle_mappings() -> usize {
    max_mappings() / 4 * 3
}

/// Returns how many mappings the slabs of all engines have or may need.
pub fn slab_mappings() -> usize {
    // Relaxed, here and below: nothing is read because of the count.
    SLAB_MAPPINGS.load(Ordering::Relaxed)
}

/// A slab's share of the count of mappings, until it is dropped.
#[derive(Debug)]
pub struct SlabMappings(usize);

impl SlabMappings {
    /// Counts `count` more mappings, unless the slabs of all engines would then have more than
    /// `limit`.
    pub fn reserve(count: usize, limit: usize) -> Option<SlabMappings> {
        let add = |total: usize| total.checked_add(count).filter(|&total| total <= limit);
        let result = SLAB_MAPPINGS.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
        result.is_ok().then_some(SlabMappings(count))
    }

    /// Returns the number of mappings.
    pub fn count(&self) -> usize {
        self.0
    }
}

impl Drop for SlabMappings {
    fn drop(&mut self) {
        SLAB_MAPPINGS.fetch_sub(self.0, Ordering::Relaxed);
    }
}

/// Describes the limits of address space and mappings, for errors.
pub fn describe_limits() -> String {
    let limit = rustix::process::getrlimit(rustix::process::Resource::As).current;
    let space = match limit {
        Some(bytes) => format!(
            "the process's limit of address space is {} MiB (`ulimit -v`)",
            bytes >> 20
        ),
        None => "the process's address space has no limit of its own".to_owned(),
    };
    match count_mappings() {
        Ok(count) => format!(
            "{space}; it has {count} of the {} mappings that `vm.max_map_count` allows",
            max_mappings()
        ),
        Err(_) => format!(
            "{space}; `vm.max_map_count` allows {} mappings",
            max_mappings()
        ),
    }
}

/// Counts the mappings that the process has: the lines of a file, which is read piece by piece,
/// because there may be no memory left.
fn count_mappings() -> io::Result<usize> {
    let mut file = File::open("/proc/self/maps")?;
    let mut piece = [0; 4096];
    let mut lines = 0;
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(lines),
            len => lines += piece[..len].iter().filter(|&&byte| byte == b'\n').count(),
        }
    }
}
