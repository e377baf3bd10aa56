//! Images of instances: after their start functions, or whenever the host asks.

use super::Instance;
use super::data::InstanceData;
use crate::code::Code;
use crate::slab::Image;
use anyhow::{Context, Result, ensure};
use mintage_environ::limit;
use std::sync::Arc;

/// Keeps the state of an instance as the image of later ones, if that is exact. Its initializers
/// have just run to their end, and nothing else has.
///
/// It is exact if the initializers changed nothing but the slab, and if everything that they
/// depended on is the same for the next instance: no host function was called, and no limiter
/// refused growth. That they ended shows that they were not interrupted.
pub fn keep_started(data: &InstanceData) {
    let code = data.imports.code();
    // If fuel is counted, each instance pays for its own start.
    if !code.settle_start() || code.metadata().tunables.consume_fuel {
        return;
    }
    if !data.is_all_in_slab() {
        // Another store may have other limits.
        code.leave_start_open();
        return;
    }
    // If there is no memory for it, or it is too large, each instance runs its start functions.
    if let Ok(Some(image)) = capture(data) {
        code.keep_started(image);
    }
}

/// What a snapshot does with the handles that an instance has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnapshotHandles {
    /// It fails if there are any.
    Refuse,
    /// Other instances have them, too. Those of resources that the host owns are retired: they can
    /// be dropped, and any other use is a trap.
    Retire,
}

impl Instance {
    /// Returns the same code with instances that start with the present state of this one. No start
    /// functions run for them.
    ///
    /// # Errors
    ///
    /// If a call into the instance was stopped, the instance has handles that `handles` does not
    /// allow, tasks of it are under way, its contents are too large or too scattered, or the system
    /// gives no memory for them.
    pub fn snapshot(&mut self, handles: SnapshotHandles) -> Result<Arc<Code>> {
        let data = self.data();
        ensure!(
            !data.poisoned.get(),
            "a call into the instance was stopped, and what it holds is in no known state"
        );
        let kept = match handles {
            SnapshotHandles::Refuse => {
                ensure!(
                    data.handles.borrow().are_empty(),
                    "the instance holds handles of resources or error contexts, which other \
                     instances could not use; have the guest drop them before, or retire them \
                     (`Instance::snapshot_retiring_handles`)"
                );
                None
            }
            SnapshotHandles::Retire => {
                data.with_handles(|handles, resources| handles.retired(resources))
            }
        };
        ensure!(
            data.is_idle(),
            "tasks of the instance are under way, or it has waitable sets, streams or futures, \
             which other instances could not use; have them end before"
        );
        let image = capture(data)?.with_context(|| {
            limit!(
                SnapshotSize,
                "the instance has written more than {} MiB, or in too many places",
                Image::MAX_KEPT >> 20
            )
        })?;
        Ok(data.imports.code().with_image(image, kept))
    }
}

/// Captures the contents of an instance. Returns `None` if they are too large.
fn capture(data: &InstanceData) -> Result<Option<Image>> {
    let pool = data.code().shelf().pool();
    let (slab, sizes) = (data.slab(), data.sizes());
    slab.image().capture(
        data.code().layout(),
        slab,
        sizes,
        pool.pagemap(),
        pool.config().memfd,
    )
}
