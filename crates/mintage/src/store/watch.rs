//! [`InterruptWatch`]: how a host function that blocks learns that its guest is to stop.

use super::StoreContextMut;
use super::check_in::CheckedIn;
use crate::Trap;
use crate::engine::wake::InterruptTarget;
use crate::error::Result;
use mintage_environ::interrupt_bits::{ENDING, EPOCH};
use std::sync::atomic::Ordering;
use std::task::Waker;

/// Tells a host function that blocks its thread that the guest's call is to end; see
/// [`StoreContextMut::interrupt_watch`].
///
/// ```
/// # #[cfg(feature = "compiler")]
/// # fn main() -> mintage::Result<()> {
/// use mintage::{Component, Config, Engine, Linker, Store, StoreContextMut, Trap};
/// use std::sync::Arc;
/// use std::task::{Wake, Waker};
/// use std::thread::{self, Thread};
/// use std::time::Duration;
///
/// struct Unpark(Thread);
///
/// impl Wake for Unpark {
///     fn wake(self: Arc<Self>) {
///         self.0.unpark();
///     }
/// }
///
/// /// Waits for ever, or until the call of the guest is to end.
/// fn wait(mut store: StoreContextMut<'_, ()>, (): ()) -> mintage::Result<()> {
///     let waker = Waker::from(Arc::new(Unpark(thread::current())));
///     let watch = store.interrupt_watch().expect("the engine is interruptible");
///     loop {
///         while !watch.is_raised(&waker) {
///             thread::park();
///         }
///         store.check_in()?;
///     }
/// }
///
/// let engine = Engine::new(Config::new().interruptible(true))?;
/// let component = Component::new(
///     &engine,
///     r#"(component
///         (import "wait" (func $wait))
///         (core func $wait (canon lower (func $wait)))
///         (core module $m (import "" "wait" (func $wait)) (func (export "run") (call $wait)))
///         (core instance $i (instantiate $m
///             (with "" (instance (export "wait" (func $wait))))))
///         (func (export "run") (canon lift (core func $i "run"))))"#,
/// )?;
/// let mut linker = Linker::new(&engine);
/// linker.root().func_wrap("wait", wait)?;
/// let mut store = Store::new(&engine, ());
/// let instance = linker.instantiate(&mut store, &component)?;
/// let run = instance.get_typed_func::<(), ()>(&mut store, "run")?;
/// store.set_deadline(Duration::from_millis(10))?;
/// let error = run.call(&mut store, ()).unwrap_err();
/// assert_eq!(error.downcast_ref(), Some(&Trap::Interrupt));
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "compiler"))]
/// # fn main() {}
/// ```
#[derive(Debug)]
pub struct InterruptWatch {
    target: InterruptTarget,
    has_epochs: bool,
}

impl InterruptWatch {
    /// Returns whether the guest would now check in, because of a handle, the deadline or the epoch
    /// deadline. If not, `waker` is woken once a handle or the deadline changes that. Epochs wake
    /// no one, since they may begin in a signal handler: see [`has_epochs`](Self::has_epochs).
    pub fn is_raised(&self, waker: &Waker) -> bool {
        // A handle that is used meanwhile finds the waker.
        let ended = self.target.is_ended(waker);
        ended || self.target.word.load(Ordering::SeqCst) & (ENDING | EPOCH) != 0
    }

    /// Returns whether the engine has epochs, so that a host function that blocks for longer must
    /// ask again from time to time.
    pub fn has_epochs(&self) -> bool {
        self.has_epochs
    }
}

impl Drop for InterruptWatch {
    fn drop(&mut self) {
        self.target.forget_task();
    }
}

/// What host functions need that block their thread.
impl<T> StoreContextMut<'_, T> {
    /// Returns what tells a host function that blocks that the guest's call is to end, or `None` if
    /// the guests of the engine cannot be interrupted. A host function has one at a time.
    ///
    /// An asynchronous host function needs none: if the call is to end, its future is dropped.
    pub fn interrupt_watch(&self) -> Option<InterruptWatch> {
        let interruption = self.0.host.time.interruption.as_ref()?;
        Some(InterruptWatch {
            target: interruption.target().clone(),
            has_epochs: interruption.epoch().is_some(),
        })
    }

    /// Does what guests do at each loop head if they are to be interrupted: returns an error if the
    /// call is to end, and otherwise lets it go on, if need be after it has asked the callback of
    /// [`Store::epoch_deadline_callback`](crate::Store::epoch_deadline_callback).
    ///
    /// # Errors
    ///
    /// [`Trap::Interrupt`](crate::Trap::Interrupt) if the call is to end, the error of the
    /// callback, or an error if the guest is to yield, which a host function cannot do for it. The
    /// host function returns it.
    pub fn check_in(&mut self) -> Result<()> {
        match self.0.check_in()? {
            CheckedIn::GoOn => Ok(()),
            CheckedIn::Trap => Err(Trap::Interrupt.into()),
            CheckedIn::Yield(until) => Err(until.cannot_yield()),
        }
    }
}
