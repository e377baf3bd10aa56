//! [`DebugInfo`]: what an embedder keeps with code.

use std::any::Any;
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;

/// What an embedder keeps with code to explain the frames of a backtrace.
#[derive(Clone)]
pub struct DebugInfo(pub Arc<dyn Any + Send + Sync + UnwindSafe + RefUnwindSafe>);

impl fmt::Debug for DebugInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DebugInfo").finish_non_exhaustive()
    }
}

impl PartialEq for DebugInfo {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for DebugInfo {}
