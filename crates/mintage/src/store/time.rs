//! Limits on the time of a store's guests, as hosts set them: fuel, interruption, deadlines and
//! epochs.

use super::check_in::OnEpoch;
use super::fuel::Fuel;
use super::interrupt::Interruption;
use super::{InterruptHandle, Store, StoreContext, StoreContextMut, UpdateDeadline};
use crate::error::Result;
use std::time::Duration;

/// Limits on the time of guests.
///
/// | limit | stops guests | cost | set by |
/// |---|---|---|---|
/// | deadline | at a time | a test at each loop head | [`set_deadline`](Self::set_deadline) |
/// | handle | when any thread says so | the same | [`interrupt_handle`](Self::interrupt_handle) |
/// | epoch | when the host has counted so far | the same | [`set_epoch_deadline`][epoch] |
/// | fuel | after so many operators | counting in each block | [`set_fuel`](Self::set_fuel) |
///
/// [epoch]: Self::set_epoch_deadline
impl<T> Store<T> {
    /// Sets the fuel that guests of this store may consume from now on. A new store has no fuel.
    ///
    /// Entering a function and executing an operator cost one unit each. The operators `nop`,
    /// `drop`, `block`, `loop`, `else`, `end`, `return` and `unreachable` cost nothing. If there is
    /// not enough fuel for what comes next, the guest traps with
    /// [`Trap::OutOfFuel`](crate::Trap::OutOfFuel).
    ///
    /// The operators of a basic block are paid for together before the first one executes, so a
    /// guest that traps among them has paid for all. Work of the engine costs nothing extra:
    /// `memory.fill` costs one unit whatever its length, and so does a call from one component to
    /// another, besides what the callee executes. With
    /// [`Config::fuel_by_length`](crate::Config::fuel_by_length), both also cost in proportion to
    /// their length.
    ///
    /// # Errors
    ///
    /// If the engine was created without [`Config::consume_fuel`](crate::Config::consume_fuel).
    pub fn set_fuel(&mut self, fuel: u64) -> Result<()> {
        Fuel::set(self.inner.host.time.fuel.as_ref(), fuel)
    }

    /// Returns the fuel that guests of this store have left; see [`set_fuel`](Self::set_fuel).
    ///
    /// # Errors
    ///
    /// If the engine was created without [`Config::consume_fuel`](crate::Config::consume_fuel).
    pub fn get_fuel(&self) -> Result<u64> {
        Fuel::get(self.inner.host.time.fuel.as_ref())
    }

    /// Returns whether guests of this store consume fuel.
    #[doc(hidden)]
    pub fn counts_fuel(&self) -> bool {
        self.inner.host.time.fuel.is_some()
    }

    /// Returns a handle that interrupts the guests of this store from any thread. The handle stays
    /// valid when the store is dropped, but has no effect then.
    ///
    /// # Errors
    ///
    /// If the engine was created without [`Config::interruptible`](crate::Config::interruptible).
    pub fn interrupt_handle(&self) -> Result<InterruptHandle> {
        Interruption::handle(self.inner.host.time.interruption.as_ref())
    }

    /// Cancels all calls of [`InterruptHandle::interrupt`] so far, so that guests can run again. A
    /// deadline is not cancelled. As after any trap, an instance that was stopped cannot be entered
    /// again; new instances can.
    pub fn clear_interrupt(&mut self) {
        if let Some(interruption) = &self.inner.host.time.interruption {
            interruption.clear_interrupt();
        }
    }

    /// Sets a deadline: after `after`, running or newly called guest code traps with
    /// [`Trap::Interrupt`](crate::Trap::Interrupt), until
    /// [`clear_deadline`](Self::clear_deadline). This replaces an earlier deadline, whether it has
    /// passed or not. Time in host functions counts, but host functions are not interrupted.
    ///
    /// An asynchronous host function that waits is dropped when the deadline passes. If the process
    /// is forked while it waits, the deadline does not end its waiting in the child: the guest
    /// traps when the function has returned.
    ///
    /// The first deadline of an engine starts a thread, which watches the deadlines of all stores
    /// of the engine until the engine is dropped. If `after` is too long for the clock, there is no
    /// deadline.
    ///
    /// # Errors
    ///
    /// If the engine was created without [`Config::interruptible`](crate::Config::interruptible),
    /// or if the system cannot start the thread. There is no deadline then.
    pub fn set_deadline(&mut self, after: Duration) -> Result<()> {
        self.inner.set_deadline(after)
    }

    /// Removes the deadline, if there is one, whether it has passed or not.
    pub fn clear_deadline(&mut self) {
        self.inner.clear_deadline();
    }

    /// Sets the fuel after which guests yield to the executor, in an asynchronous call; `None`, the
    /// default, for never. Guests yield at the next function entry or loop head. This changes
    /// neither the fuel that they consume nor the fuel that they have.
    ///
    /// A synchronous call cannot yield. It fails where it would have to.
    ///
    /// # Errors
    ///
    /// If the engine was created without [`Config::consume_fuel`](crate::Config::consume_fuel), or
    /// if the interval is 0.
    pub fn fuel_async_yield_interval(&mut self, interval: Option<u64>) -> Result<()> {
        Fuel::set_interval(self.inner.host.time.fuel.as_mut(), interval)
    }

    /// Sets the epoch deadline: guests check in as soon as
    /// [`Engine::increment_epoch`](crate::Engine::increment_epoch) has been called `ticks` times
    /// from now on. They do so at each function entry and loop head. What follows is set by
    /// [`epoch_deadline_trap`](Self::epoch_deadline_trap), which is the default,
    /// [`epoch_deadline_callback`](Self::epoch_deadline_callback) or
    /// [`epoch_deadline_async_yield_and_update`](Self::epoch_deadline_async_yield_and_update).
    ///
    /// The deadline of a new store is 0, so its guests trap until this is called. If the sum of
    /// `ticks` and the present epoch is too large, there is no deadline. Without
    /// [`Config::epoch_interruption`](crate::Config::epoch_interruption), this has no effect.
    ///
    /// If all that a host wants is to stop a guest at a time, [`set_deadline`](Self::set_deadline)
    /// is more exact, and needs no thread of the host that counts epochs.
    ///
    /// A single long operation, such as `memory.fill`, is done before the guest checks in. By
    /// contrast, `set_deadline` and [`interrupt_handle`](Self::interrupt_handle) end it half done.
    ///
    /// ```
    /// # #[cfg(feature = "compiler")]
    /// # fn main() -> mintage::Result<()> {
    /// use mintage::{Component, Config, Engine, Linker, Store, Trap, UpdateDeadline};
    ///
    /// let engine = Engine::new(Config::new().epoch_interruption(true))?;
    /// let component = Component::new(
    ///     &engine,
    ///     r#"(component
    ///         (core module $m (func (export "spin") (loop (br 0))))
    ///         (core instance $i (instantiate $m))
    ///         (func (export "spin") (canon lift (core func $i "spin"))))"#,
    /// )?;
    /// let mut store = Store::new(&engine, 0);
    /// store.set_epoch_deadline(1);
    /// store.epoch_deadline_callback(|mut store| {
    ///     *store.data_mut() += 1;
    ///     Ok(match *store.data() {
    ///         3 => UpdateDeadline::Interrupt,
    ///         _ => UpdateDeadline::Continue(1),
    ///     })
    /// });
    /// let instance = Linker::new(&engine).instantiate(&mut store, &component)?;
    /// let spin = instance.get_typed_func::<(), ()>(&mut store, "spin")?;
    /// std::thread::spawn(move || {
    ///     loop {
    ///         std::thread::sleep(std::time::Duration::from_millis(5));
    ///         engine.increment_epoch();
    ///     }
    /// });
    /// let error = spin.call(&mut store, ()).unwrap_err();
    /// assert_eq!(error.downcast_ref(), Some(&Trap::Interrupt));
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "compiler"))]
    /// # fn main() {}
    /// ```
    pub fn set_epoch_deadline(&mut self, ticks: u64) {
        self.inner.host.time.set_epoch_deadline(ticks);
    }

    /// Makes guests trap with [`Trap::Interrupt`](crate::Trap::Interrupt) when the epoch deadline
    /// has passed. This is the default.
    pub fn epoch_deadline_trap(&mut self) {
        self.inner.host.time.on_epoch = OnEpoch::Trap;
    }

    /// Makes guests ask `callback` when the epoch deadline has passed. It gets the store as a host
    /// function does, and decides whether the guest traps, goes on or yields. An error ends the
    /// guest's call with that error.
    ///
    /// While the callback runs, guests that it calls trap if the deadline has still passed. The
    /// callback is not asked for `realloc` and `post-return` functions, which run while values are
    /// converted. If such functions go on for more than a second past the deadline, they trap.
    pub fn epoch_deadline_callback<F>(&mut self, callback: F)
    where
        F: FnMut(StoreContextMut<'_, T>) -> Result<UpdateDeadline> + Send + Sync + 'static,
    {
        self.inner.host.time.on_epoch = OnEpoch::Callback(Box::new(callback));
    }

    /// Makes guests yield to the executor when the epoch deadline has passed. When the future of
    /// the call is polled again, the guest goes on, and the new deadline is `delta` epochs after
    /// the one at that time.
    ///
    /// A synchronous call cannot yield. It fails where it would have to.
    pub fn epoch_deadline_async_yield_and_update(&mut self, delta: u64) {
        self.inner.host.time.on_epoch = OnEpoch::Yield(delta);
    }
}

impl<T> StoreContext<'_, T> {
    /// Returns the fuel that is left, as [`Store::get_fuel`] does.
    ///
    /// # Errors
    ///
    /// As [`Store::get_fuel`].
    pub fn get_fuel(&self) -> Result<u64> {
        Fuel::get(self.0.host.time.fuel.as_ref())
    }
}

/// Limits on the time of guests, as in [`Store`].
impl<T> StoreContextMut<'_, T> {
    /// Returns the fuel that is left, as [`Store::get_fuel`] does. In a host function, this is the
    /// fuel that the guest has after the call.
    ///
    /// # Errors
    ///
    /// As [`Store::get_fuel`].
    pub fn get_fuel(&self) -> Result<u64> {
        Fuel::get(self.0.host.time.fuel.as_ref())
    }

    /// Sets the fuel, as [`Store::set_fuel`] does. In a host function, this is the fuel that the
    /// guest has after the call.
    ///
    /// # Errors
    ///
    /// As [`Store::set_fuel`].
    pub fn set_fuel(&mut self, fuel: u64) -> Result<()> {
        Fuel::set(self.0.host.time.fuel.as_ref(), fuel)
    }

    /// Does the same as [`Store::fuel_async_yield_interval`].
    ///
    /// # Errors
    ///
    /// As [`Store::fuel_async_yield_interval`].
    pub fn fuel_async_yield_interval(&mut self, interval: Option<u64>) -> Result<()> {
        Fuel::set_interval(self.0.host.time.fuel.as_mut(), interval)
    }

    /// Does the same as [`Store::set_epoch_deadline`].
    pub fn set_epoch_deadline(&mut self, ticks: u64) {
        self.0.host.time.set_epoch_deadline(ticks);
    }

    /// Does the same as [`Store::epoch_deadline_trap`].
    pub fn epoch_deadline_trap(&mut self) {
        self.0.host.time.on_epoch = OnEpoch::Trap;
    }

    /// Does the same as [`Store::epoch_deadline_async_yield_and_update`].
    pub fn epoch_deadline_async_yield_and_update(&mut self, delta: u64) {
        self.0.host.time.on_epoch = OnEpoch::Yield(delta);
    }
}
