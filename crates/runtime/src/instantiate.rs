//! Instantiation: from code, image and imports to an instance whose start functions have run.

use crate::builtins;
use crate::code::Callee;
use crate::entry::{Stopped, TrapReport, call};
use crate::instance::{self, HostAccess, HostTable, Instance, InstanceHandle, Limits, StoreState};
use crate::slab::Image;
use anyhow::Result;
use mintage_environ::component::Initializer;
use mintage_environ::{DomainId, Trap};
use std::ptr::NonNull;
use std::sync::Arc;

/// Makes an instance of the code of `imports` that starts with `image`, one of that code's, and
/// calls the functions in `imports`. Its start functions have not run; see [`Initializers`].
///
/// `tag` is the caller's own number for the instance, which [`Instance::tag`] returns.
///
/// # Errors
///
/// If `image` is not one of the component of `imports`, `store` lacks a word that the code uses, a
/// limit of the pool is reached, or the system gives no address space.
///
/// # Safety
///
/// `store.current` stays where it is as long as the instance lives, and one thread at a time uses
/// all instances that share it.
pub unsafe fn instantiate(
    image: &Arc<Image>,
    imports: &Arc<HostTable>,
    limits: Limits,
    tag: u64,
    store: StoreState,
) -> Result<Instance> {
    let builtins = builtins::addresses();
    // SAFETY: as the caller promises.
    unsafe { Instance::new(image, imports, limits, tag, store, builtins) }
}

/// The steps of instantiation that are not part of the image: start functions, and the segments
/// behind them. If their result depends on nothing but the component, it becomes the image of later
/// instances, and there are no steps for them.
#[derive(Debug, Default)]
pub struct Initializers {
    /// The number of the next step.
    next: usize,
}

impl Initializers {
    /// Runs the steps up to the next start function. Returns that function, which the caller calls
    /// before this is called again, or `None` if all steps are done.
    ///
    /// # Errors
    ///
    /// If a segment does not fit, which is a trap.
    ///
    /// # Safety
    ///
    /// The instance lives, and is not used by others. Nothing but start functions that this
    /// returned was called before, all by the same `Initializers`.
    pub unsafe fn next_start(
        &mut self,
        instance: InstanceHandle,
    ) -> Result<Option<(DomainId, Callee)>, Box<Stopped>> {
        // SAFETY: the caller promises that the instance lives.
        let data = unsafe { instance.data() };
        if data.slab().image().started() {
            return Ok(None);
        }
        while let Some(initializer) = data.code().interface().initializers.get(self.next) {
            self.next += 1;
            let result = match *initializer {
                Initializer::Data {
                    data: segment,
                    memory,
                    offset,
                } => {
                    let result =
                        builtins::init_memory(data, memory, offset, data.data_segment(segment));
                    data.drop_data(segment);
                    result
                }
                Initializer::Elem {
                    elem,
                    table,
                    offset,
                } => {
                    let result = builtins::init_table(data, table, offset, data.elem_segment(elem));
                    data.drop_elem(elem);
                    result
                }
                Initializer::Start { domain, callee } => {
                    let callee = data
                        .code()
                        .callee(callee)
                        .map_err(Stopped::without_frames)?;
                    return Ok(Some((domain, callee)));
                }
                Initializer::Trap(trap) => Err(trap),
            };
            result.map_err(|trap: Trap| {
                data.poisoned.set(true);
                Stopped::Trap(TrapReport::without_frames(trap))
            })?;
        }
        instance::keep_started(data);
        Ok(None)
    }
}

/// Runs all [`Initializers`] of an instance.
///
/// # Errors
///
/// As [`call`](crate::call).
///
/// # Safety
///
/// As [`call`](crate::call). It is called once per instance, before any other call.
pub unsafe fn run_initializers(
    instance: InstanceHandle,
    host: HostAccess,
) -> Result<(), Box<Stopped>> {
    let mut initializers = Initializers::default();
    // SAFETY: as the caller promises.
    while let Some((domain, callee)) = unsafe { initializers.next_start(instance)? } {
        // SAFETY: the function belongs to this domain and has neither parameters nor results. The
        // caller promises the rest.
        unsafe {
            let is_task = instance.enter_task(domain).map_err(|trap| {
                instance.data().poisoned.set(true);
                Stopped::Trap(TrapReport::without_frames(trap))
            })?;
            call(
                instance,
                domain,
                &callee,
                NonNull::dangling().as_ptr(),
                host,
            )?;
            if is_task {
                instance.exit_task();
            }
        };
    }
    Ok(())
}
