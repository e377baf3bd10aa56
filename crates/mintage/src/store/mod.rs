//! [`Store`]: the owner of instances and of the host's data; entry into guests, and the way back
//! from a guest to its store.
//!
//! Aliasing: while a guest runs, its store is reachable only through the raw pointer that was made
//! from the caller's exclusive reference and handed to the runtime. The caller does not touch its
//! reference until the call is over; a host function that the guest calls makes a new exclusive
//! reference from the pointer, and drops it before it returns.

mod fuel;
mod handles;
mod interrupt;
mod limits;
mod linked;

pub(crate) use handles::{HostHandles, LendingCall, Origin};
pub use interrupt::InterruptHandle;
pub(crate) use limits::GrowthLimiter;
pub use limits::{ResourceLimiter, StoreLimits, StoreLimitsBuilder};
pub(crate) use linked::{Destructor, Linked, Reexports};

use self::fuel::Fuel;
use self::interrupt::Interruption;
use self::limits::{HostState, Used};
use crate::abi::HandleContext;
use crate::error::{Result, ensure, handle_trap, stopped};
use crate::types::Scope;
use crate::{Component, Engine, Trap};
use mintage_environ::component::{CoreCallee, Resource};
use mintage_environ::{DomainId, LiftId, limit};
use mintage_runtime::{
    Callee, Current, Growth, HostAccess, HostCall, HostFunc, HostTable, Limiter, Limits,
    StoreState, StoreWords,
};
use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Words of an argument array that is large enough for every lifted function: 16 flat parameters,
/// one result.
pub(crate) const LIFT_WORDS: usize = 16;

/// Bytes of host memory that the values which a guest passes in one call may take, unless the store
/// says otherwise.
const DEFAULT_HOSTCALL_FUEL: usize = 128 << 20;

/// Owns component instances and the host's data of type `T`. Its instances live as long as it does.
///
/// # Stacks
///
/// A call into a guest takes up to [`Config::max_wasm_stack`](crate::Config::max_wasm_stack) bytes
/// of the calling thread's stack, and keeps 256 KiB below for host functions. Where less than that
/// is left, for the first call or for one that a host function makes, the call fails with
/// [`Trap::StackOverflow`].
///
/// Calls on one thread end in the reverse order of their beginning, as calls of functions do. A
/// host that makes them on several stacks (coroutines, green threads) must keep that order, too:
/// until a call has ended, other calls of the same thread may begin, but these must end first. A
/// call must end on the thread on which it began. That holds for a stack that is dropped and
/// unwound while a host function waits on it as well. When a host function returns to its guest out
/// of order or on another thread, the process is aborted with a message on standard error.
///
/// # Drop
///
/// Dropping a store runs no guest code: destructors of resources that the host or a guest still
/// owns are not called. A host that needs them calls
/// [`ResourceAny::resource_drop`](crate::ResourceAny::resource_drop) before.
pub struct Store<T: 'static> {
    inner: Allocation<T>,
}

/// The memory of a store, which does not move: guests know its address while they run.
///
/// What is current in the store is written by machine code and by the runtime while there is an
/// exclusive reference to the rest. So references are made to `inner` alone, never to the whole.
struct Allocation<T: 'static>(NonNull<Allocated<T>>);

struct Allocated<T: 'static> {
    // First, since it has the instances, which use what is current.
    inner: StoreInner<T>,
    current: Current,
}

// SAFETY: the allocation owns its contents, as a box does. What is current is used only through an
// exclusive reference to the store, and holds pointers only while guests run.
unsafe impl<T: Send> Send for Allocation<T> where StoreInner<T>: Send {}

impl<T> Allocation<T> {
    fn new(inner: impl FnOnce(NonNull<Current>) -> StoreInner<T>) -> Self {
        let mut allocation = Box::<Allocated<T>>::new_uninit();
        let place = allocation.as_mut_ptr();
        // SAFETY: both fields are within the new allocation, and each is written once.
        unsafe {
            let current = &raw mut (*place).current;
            current.write(Current::new());
            (&raw mut (*place).inner).write(inner(NonNull::new_unchecked(current)));
        }
        Self(NonNull::from(Box::leak(allocation)).cast())
    }

    /// Takes the contents out of the allocation.
    fn into_inner(self) -> StoreInner<T> {
        let place = ManuallyDrop::new(self).0;
        // SAFETY: `new` leaked the box, and `self`, which would free it, is forgotten.
        unsafe { Box::from_raw(place.as_ptr()) }.inner
    }
}

impl<T> Drop for Allocation<T> {
    fn drop(&mut self) {
        // SAFETY: `new` leaked the box, and nothing else frees it.
        drop(unsafe { Box::from_raw(self.0.as_ptr()) });
    }
}

impl<T> Deref for Allocation<T> {
    type Target = StoreInner<T>;

    #[inline]
    fn deref(&self) -> &StoreInner<T> {
        // SAFETY: the allocation lives as long as `self`, whose borrow covers the field.
        unsafe { &(*self.0.as_ptr()).inner }
    }
}

impl<T> DerefMut for Allocation<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut StoreInner<T> {
        // SAFETY: as above.
        unsafe { &mut (*self.0.as_ptr()).inner }
    }
}

pub(crate) struct StoreInner<T> {
    pub opaque: StoreOpaque,
    pub host: HostState<T>,
}

/// What does not depend on the host's data.
pub(crate) struct StoreOpaque {
    /// Different for each store of the process.
    pub id: u64,
    pub engine: Engine,
    pub instances: Vec<StoreInstance>,
    /// What the instances have together.
    used: Used,
    pub hostcall_fuel: usize,
    /// What stops its guests; none when the engine is not interruptible.
    interruption: Option<Interruption>,
    /// What they may still execute; none when the engine does not count.
    fuel: Option<Fuel>,
    /// The resources that the host holds.
    pub handles: HostHandles,
    /// What is current in the store, beside this in one allocation.
    current: CurrentPointer,
}

/// The address of what is current in a store.
struct CurrentPointer(NonNull<Current>);

// SAFETY: the pointer is used only through an exclusive reference to its store, or by a guest of
// it while there is one.
unsafe impl Send for CurrentPointer {}
// SAFETY: as above.
unsafe impl Sync for CurrentPointer {}

/// An instance in a store.
pub(crate) struct StoreInstance {
    pub runtime: mintage_runtime::Instance,
    pub component: Component,
    pub linked: Arc<Linked>,
    /// Whether the instance must not be entered (`may_enter` in CanonicalABI.md, reversed): its
    /// code is on the stack, or stopped there for good.
    pub active: bool,
}

impl<T> Store<T> {
    /// An empty store.
    pub fn new(engine: &Engine, data: T) -> Store<T> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        let inner = |current| StoreInner {
            opaque: StoreOpaque {
                id,
                handles: HostHandles::new(id),
                engine: engine.clone(),
                instances: Vec::new(),
                used: Used::default(),
                hostcall_fuel: DEFAULT_HOSTCALL_FUEL,
                interruption: Interruption::new(engine),
                fuel: Fuel::new(engine),
                current: CurrentPointer(current),
            },
            host: HostState {
                limiter: None,
                data,
            },
        };
        Store {
            inner: Allocation::new(inner),
        }
    }

    /// The host's data.
    pub fn data(&self) -> &T {
        &self.inner.host.data
    }

    /// The host's data.
    pub fn data_mut(&mut self) -> &mut T {
        &mut self.inner.host.data
    }

    /// The host's data, without the store.
    pub fn into_data(self) -> T {
        self.inner.into_inner().host.data
    }

    /// The engine.
    pub fn engine(&self) -> &Engine {
        &self.inner.opaque.engine
    }

    /// Where in the host's data the limits of this store's guests are found:
    /// [`StoreLimits`](crate::StoreLimits), or a [`ResourceLimiter`] of the host's own. It is asked
    /// when an instance is made and when something grows. Without one, the limits are those of
    /// `StoreLimits::default()`.
    pub fn limiter(
        &mut self,
        limiter: impl (FnMut(&mut T) -> &mut dyn ResourceLimiter) + Send + Sync + 'static,
    ) {
        self.inner.host.limiter = Some(Box::new(limiter));
    }

    /// Bytes of host memory that the values which a guest passes to the host in one call may take.
    pub fn hostcall_fuel(&self) -> usize {
        self.inner.opaque.hostcall_fuel
    }

    /// Sets [`hostcall_fuel`](Self::hostcall_fuel); default: 128 MiB. Lists can overlap in guest
    /// memory, so without a limit a guest could make the host allocate far more than the guest has.
    pub fn set_hostcall_fuel(&mut self, bytes: usize) {
        self.inner.opaque.hostcall_fuel = bytes;
    }

    /// Sets how much the guests of this store may execute from now on: each operator costs one, but
    /// for `nop`, `drop`, `block`, `loop`, `else`, `end`, `return` and `unreachable`, which cost
    /// nothing, and entering a function costs one. When what comes next costs more than is left,
    /// the guest traps with [`Trap::OutOfFuel`]. A new store has no fuel.
    ///
    /// Operators that follow each other without a branch or call are paid together before the first
    /// is executed; so a guest that traps between them has paid for all. What the engine does for a
    /// guest costs nothing more: `memory.fill` costs one, however long it is, and so does the call
    /// of a function of another component, besides what that executes. With
    /// [`Config::fuel_by_length`](crate::Config::fuel_by_length) both cost more where they are
    /// longer.
    ///
    /// # Errors
    ///
    /// When the engine was made without [`Config::consume_fuel`](crate::Config::consume_fuel).
    pub fn set_fuel(&mut self, fuel: u64) -> Result<()> {
        Fuel::set(self.inner.opaque.fuel.as_ref(), fuel)
    }

    /// How much the guests of this store may still execute; see [`set_fuel`](Self::set_fuel).
    ///
    /// # Errors
    ///
    /// When the engine was made without [`Config::consume_fuel`](crate::Config::consume_fuel).
    pub fn get_fuel(&self) -> Result<u64> {
        Fuel::get(self.inner.opaque.fuel.as_ref())
    }

    /// What interrupts the guests of this store, from any thread. It stays valid when the store is
    /// dropped, without effect.
    ///
    /// # Errors
    ///
    /// When the engine was made without [`Config::interruptible`](crate::Config::interruptible).
    pub fn interrupt_handle(&self) -> Result<InterruptHandle> {
        Interruption::handle(self.inner.opaque.interruption.as_ref())
    }

    /// Takes back all [`InterruptHandle::interrupt`] so far, so that guests run again. A deadline
    /// stays. An instance that was stopped cannot be entered again, as after any trap; a new one
    /// can.
    pub fn clear_interrupt(&mut self) {
        if let Some(interruption) = &self.inner.opaque.interruption {
            interruption.clear_interrupt();
        }
    }

    /// Makes guest code trap with [`Trap::Interrupt`] that runs or is called when `after` has
    /// passed from now on, until [`clear_deadline`](Self::clear_deadline). Takes the place of an
    /// earlier deadline, passed or not. Time in host functions counts, but they are not
    /// interrupted.
    ///
    /// The first deadline of an engine starts a thread, which watches the deadlines of all its
    /// stores until the engine is dropped. An `after` that is beyond what the clock can count is no
    /// deadline.
    ///
    /// # Errors
    ///
    /// When the engine was made without [`Config::interruptible`](crate::Config::interruptible), or
    /// the system gives no thread. There is no deadline then.
    pub fn set_deadline(&mut self, after: Duration) -> Result<()> {
        let StoreOpaque {
            interruption,
            engine,
            ..
        } = &mut self.inner.opaque;
        Interruption::set_deadline(interruption.as_mut(), engine, after)
    }

    /// Takes back the deadline, if there is one, whether it has passed or not.
    pub fn clear_deadline(&mut self) {
        if let Some(interruption) = &mut self.inner.opaque.interruption {
            interruption.clear_deadline();
        }
    }
}

impl<T: std::fmt::Debug> std::fmt::Debug for Store<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store")
            .field("data", &self.inner.host.data)
            .finish_non_exhaustive()
    }
}

/// A shared reference to a [`Store`].
pub struct StoreContext<'a, T: 'static>(pub(crate) &'a StoreInner<T>);

impl<T> Clone for StoreContext<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for StoreContext<'_, T> {}

impl<'a, T> StoreContext<'a, T> {
    /// The host's data.
    pub fn data(&self) -> &'a T {
        &self.0.host.data
    }

    /// The engine.
    pub fn engine(&self) -> &'a Engine {
        &self.0.opaque.engine
    }

    /// See [`Store::get_fuel`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn get_fuel(&self) -> Result<u64> {
        Fuel::get(self.0.opaque.fuel.as_ref())
    }
}

/// An exclusive reference to a [`Store`]: what host functions get.
pub struct StoreContextMut<'a, T: 'static>(pub(crate) &'a mut StoreInner<T>);

impl<T> StoreContextMut<'_, T> {
    /// The host's data.
    pub fn data(&self) -> &T {
        &self.0.host.data
    }

    /// The host's data.
    pub fn data_mut(&mut self) -> &mut T {
        &mut self.0.host.data
    }

    /// The engine.
    pub fn engine(&self) -> &Engine {
        &self.0.opaque.engine
    }

    /// See [`Store::get_fuel`]. In a host function it is what the guest has left for what follows
    /// the call.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn get_fuel(&self) -> Result<u64> {
        Fuel::get(self.0.opaque.fuel.as_ref())
    }

    /// See [`Store::set_fuel`]. In a host function it is what the guest has for what follows the
    /// call.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn set_fuel(&mut self, fuel: u64) -> Result<()> {
        Fuel::set(self.0.opaque.fuel.as_ref(), fuel)
    }
}

/// What gives a [`StoreContext`].
pub trait AsContext {
    /// The host's data.
    type Data: 'static;

    /// The store.
    fn as_context(&self) -> StoreContext<'_, Self::Data>;
}

/// What gives a [`StoreContextMut`].
pub trait AsContextMut: AsContext {
    /// The store.
    fn as_context_mut(&mut self) -> StoreContextMut<'_, Self::Data>;
}

impl<T: 'static> AsContext for Store<T> {
    type Data = T;

    #[inline]
    fn as_context(&self) -> StoreContext<'_, T> {
        StoreContext(&self.inner)
    }
}

impl<T: 'static> AsContextMut for Store<T> {
    #[inline]
    fn as_context_mut(&mut self) -> StoreContextMut<'_, T> {
        StoreContextMut(&mut self.inner)
    }
}

impl<T: 'static> AsContext for StoreContext<'_, T> {
    type Data = T;

    #[inline]
    fn as_context(&self) -> StoreContext<'_, T> {
        *self
    }
}

impl<T: 'static> AsContext for StoreContextMut<'_, T> {
    type Data = T;

    #[inline]
    fn as_context(&self) -> StoreContext<'_, T> {
        StoreContext(self.0)
    }
}

impl<T: 'static> AsContextMut for StoreContextMut<'_, T> {
    #[inline]
    fn as_context_mut(&mut self) -> StoreContextMut<'_, T> {
        StoreContextMut(self.0)
    }
}

impl<S: AsContext> AsContext for &S {
    type Data = S::Data;

    #[inline]
    fn as_context(&self) -> StoreContext<'_, S::Data> {
        S::as_context(self)
    }
}

impl<S: AsContext> AsContext for &mut S {
    type Data = S::Data;

    #[inline]
    fn as_context(&self) -> StoreContext<'_, S::Data> {
        S::as_context(self)
    }
}

impl<S: AsContextMut> AsContextMut for &mut S {
    #[inline]
    fn as_context_mut(&mut self) -> StoreContextMut<'_, S::Data> {
        S::as_context_mut(self)
    }
}

impl StoreOpaque {
    /// See [`Interruption::keep_deadline`].
    #[inline(always)]
    fn keep_deadline(&mut self) -> Result<()> {
        Interruption::keep_deadline(self.interruption.as_mut(), &self.engine)
    }
}

impl<T> StoreInner<T> {
    /// What a guest that may call out reaches of this store.
    #[inline]
    fn host_access(&mut self) -> HostAccess {
        HostAccess::Functions(NonNull::from(self).cast())
    }

    /// Calls the `post-return` function of a lift, if it has one, with the flat results of the call
    /// before. The guest cannot call out meanwhile (`may_leave`).
    ///
    /// # Panics
    ///
    /// When there is no such instance or lift.
    #[inline]
    pub fn post_return(
        &mut self,
        instance: usize,
        lift: LiftId,
        words: &mut [u64; LIFT_WORDS],
    ) -> Result<()> {
        let instance = &mut self.opaque.instances[instance];
        match instance.component.code().lift(lift).post_return {
            Some(post_return) => {
                instance.call_post_return(lift, &post_return, words, &mut self.host)
            }
            None => Ok(()),
        }
    }

    /// Makes an instance and runs its start functions: its number in the store.
    ///
    /// # Errors
    ///
    /// When a limit is reached or a start function does not return. A failed instance stays in the
    /// store until its end, and cannot be entered.
    pub fn instantiate(
        &mut self,
        component: &Component,
        imports: &Arc<HostTable>,
        linked: &Arc<Linked>,
    ) -> Result<usize>
    where
        T: 'static,
    {
        ensure!(
            Engine::same(component.engine(), &self.opaque.engine),
            "the component belongs to another `Engine` than the store"
        );
        self.opaque.keep_deadline()?;
        let allowance = self.host.allowance();
        let index = self.opaque.instances.len();
        let config = self.opaque.engine.config();
        let layout = component.code().layout();
        ensure!(
            layout.size <= config.max_address_space,
            limit!(
                AddressSpace,
                "an instance of the component takes {} GiB of address space for its {} memories and {} \
             tables, more than the {} GiB that `Config::max_instance_address_space` allows; raise \
             it, or reduce `Config::memory_reservation` (for 64-bit memories, \
             `Config::memory64_reservation`)",
                layout.size.div_ceil(1 << 30),
                layout.memories.len(),
                layout.tables.len(),
                config.max_address_space >> 30
            )
        );
        let used = allowance.admit(self.opaque.used, layout)?;
        let limits = Limits {
            limiter: self.host.limiter.is_some().then_some(Limiter {
                growing: growing::<T>,
                failed: growth_failed::<T>,
            }),
            handles: allowance.handles,
            stack_bytes: config.max_wasm_stack,
        };
        let words = StoreWords {
            interrupt: self.opaque.interruption.as_ref().map(Interruption::word),
            fuel: self.opaque.fuel.as_ref().map(Fuel::counter),
        };
        let code = component.code();
        let image = self.host.admit(code)?;
        let (tag, current) = (index as u64, self.opaque.current.0);
        let state = StoreState { words, current };
        // SAFETY: what is current in the store stays where it is until the store is dropped, and
        // with it its instances.
        let runtime =
            unsafe { mintage_runtime::instantiate(code, image, imports, limits, tag, state) }
                .inspect_err(|_| self.host.release(Growth::at_start(code, image)))?;
        self.opaque.used = used;
        let handle = runtime.handle();
        self.opaque.instances.push(StoreInstance {
            runtime,
            component: component.clone(),
            linked: linked.clone(),
            active: true,
        });
        // SAFETY: the instance was pushed to the store, which never drops one before itself, and
        // the store is borrowed exclusively. Its host functions were made by `host.rs` for a linker
        // of the same `T`, which `InstancePre<T>` and the type of `self` tie together, and expect
        // the store's pointer. No other reference to the store or into the instance's memories is
        // used until the call is over.
        unsafe { mintage_runtime::run_initializers(handle, self.host_access()) }
            .map_err(stopped)?;
        self.opaque.instances[index].active = false;
        Ok(index)
    }

    /// Calls the core function of a lift.
    ///
    /// # Panics
    ///
    /// When there is no such instance or lift.
    #[inline]
    pub fn call_lift(
        &mut self,
        instance: usize,
        lift: LiftId,
        words: &mut [u64; LIFT_WORDS],
    ) -> Result<()> {
        self.opaque.keep_deadline()?;
        let StoreInstance {
            runtime, component, ..
        } = &self.opaque.instances[instance];
        let callee = component.code().lift(lift).callee;
        let (handle, domain) = (runtime.handle(), component.lift(lift).options.domain);
        // SAFETY: the instance is in the store, which is borrowed exclusively and never drops an
        // instance before itself. `callee` is the lift's core function in the instance's own code,
        // and its canonical options name its domain. A lifted function has at most 16 parameters
        // and one result, none of them a vector; the caller lowered values of the lift's type. On
        // host functions and references see `instantiate`.
        let result = unsafe {
            mintage_runtime::call(
                handle,
                domain,
                &callee,
                words.as_mut_ptr(),
                self.host_access(),
            )
        };
        result.map_err(stopped)
    }

    /// Calls any core function of an instance that is not active, or has just been made so.
    ///
    /// # Errors
    ///
    /// When the artifact has no code for the function, it traps, or there are too few words.
    pub fn call_core(
        &mut self,
        instance: usize,
        domain: DomainId,
        callee: CoreCallee,
        words: &mut [u64],
    ) -> Result<()> {
        let StoreInstance {
            runtime, component, ..
        } = &self.opaque.instances[instance];
        let signature = &component.interface().signatures[callee.sig];
        ensure!(
            words.len() >= signature.array_words(),
            "too few words for a function of type {signature}"
        );
        let callee = component.code().callee(callee)?;
        let handle = runtime.handle();
        self.opaque.keep_deadline()?;
        // SAFETY: as in `call_lift`; the words are enough for the signature, and the caller
        // converted values of its types.
        let result = unsafe {
            mintage_runtime::call(
                handle,
                domain,
                &callee,
                words.as_mut_ptr(),
                self.host_access(),
            )
        };
        result.map_err(stopped)
    }
}

impl<T: 'static> StoreInner<T> {
    /// Runs the destructor of a resource that the host has owned.
    ///
    /// # Errors
    ///
    /// When the instance cannot be entered, or the destructor fails.
    pub fn destroy(&mut self, origin: Origin, rep: u32) -> Result<()> {
        let Origin { instance, resource } = origin;
        let number = instance as usize;
        let instance = &mut self.opaque.instances[number];
        match instance.component.interface().resources[resource] {
            Resource::Imported { .. } => match instance.linked.destructor::<T>(resource).cloned() {
                Some(destructor) => destructor(StoreContextMut(self), rep),
                None => Ok(()),
            },
            Resource::Defined { dtor: None, .. } => Ok(()),
            Resource::Defined {
                domain,
                dtor: Some(dtor),
            } => {
                if instance.active {
                    return Err(Trap::CannotEnterComponent.into());
                }
                instance.active = true;
                // The verifier of the program has seen to it that a destructor takes one `i32` and
                // gives nothing.
                self.call_core(number, domain, dtor, &mut [u64::from(rep)])?;
                self.opaque.instances[number].active = false;
                Ok(())
            }
        }
    }
}

impl StoreInstance {
    /// The instance and what handles of calls in `domain` mean; `instance` is its number.
    pub fn with_handles<'a>(
        &'a self,
        host: &'a mut HostHandles,
        instance: usize,
        domain: DomainId,
        lends_to: Option<LendingCall>,
    ) -> (HandleContext<'a>, &'a mintage_runtime::Instance) {
        let handles = HandleContext {
            host,
            linked: &self.linked,
            instance: instance as u32,
            domain,
            lends_to,
        };
        (handles, &self.runtime)
    }

    /// The instance's types; `instance` is its number in `store`.
    pub fn scope(&self, store: u64, instance: u32) -> Scope {
        Scope::instance(&self.component, &self.linked, store, instance)
    }

    fn call_post_return(
        &mut self,
        lift: LiftId,
        callee: &Callee,
        words: &mut [u64; LIFT_WORDS],
        mut limiter: &mut dyn GrowthLimiter,
    ) -> Result<()> {
        let domain = self.component.lift(lift).options.domain;
        // SAFETY: the instance is borrowed exclusively. `callee` is of its own code; validation
        // gave it the flat results of the lift, of which there is at most one, as parameters. A
        // host function that it calls sees that this is no pointer to a store.
        let result = unsafe {
            mintage_runtime::call_confined(
                self.runtime.handle(),
                domain,
                callee,
                words.as_mut_ptr(),
                limiter_access(&mut limiter),
            )
        };
        result.map_err(stopped)
    }
}

/// What a guest that must not call out, but may grow, reaches of the host. The result is valid as
/// long as `limiter` is.
#[inline]
pub(crate) fn limiter_access(limiter: &mut &mut dyn GrowthLimiter) -> HostAccess {
    HostAccess::Limiter(NonNull::from(limiter).cast())
}

/// Returns the limiter that a guest in a store of `T` reaches; none if no guest runs.
///
/// # Safety
///
/// `host` was made by `host_access` of a store of `T` or by `limiter_access`, and what it was made
/// from is used by no one else as long as the result lives.
unsafe fn limiter<'a, T: 'static>(host: HostAccess) -> Option<&'a mut dyn GrowthLimiter> {
    match host {
        HostAccess::Nothing => None,
        // SAFETY: as the caller promises: it was made from a reference of this type.
        HostAccess::Limiter(limiter) => unsafe {
            Some(&mut **limiter.cast::<&mut dyn GrowthLimiter>().as_ptr())
        },
        // SAFETY: likewise.
        HostAccess::Functions(store) => unsafe {
            Some(&mut (*store.cast::<StoreInner<T>>().as_ptr()).host)
        },
    }
}

/// What the runtime asks when something of a guest in a store of `T` is to grow.
///
/// # Safety
///
/// As [`limiter`]: machine code has left for this and goes on afterwards.
unsafe fn growing<T: 'static>(host: HostAccess, growth: &Growth) -> anyhow::Result<bool> {
    // SAFETY: as the caller promises.
    match unsafe { limiter::<T>(host) } {
        Some(limiter) => Ok(limiter.growing(growth)?),
        None => Ok(false),
    }
}

/// What the runtime tells when the system refused growth.
///
/// # Safety
///
/// As [`growing`].
unsafe fn growth_failed<T: 'static>(
    host: HostAccess,
    growth: &Growth,
    error: anyhow::Error,
) -> anyhow::Result<()> {
    // SAFETY: as the caller promises.
    match unsafe { limiter::<T>(host) } {
        Some(limiter) => Ok(limiter.failed(growth, error.into())?),
        None => Ok(()),
    }
}

/// A call under way between the host and an instance, in either direction. If its type has borrows,
/// it is the scope that handles are lent or borrowed for: these loans and borrows end when it is
/// dropped, however the call ends: by its results, an error, or a panic.
pub(crate) struct CallScope<'s, T: 'static> {
    pub store: &'s mut StoreInner<T>,
    /// The number of the instance.
    pub instance: usize,
    lends_to: Option<LendingCall>,
}

impl<'s, T: 'static> CallScope<'s, T> {
    /// Begins a call, whose type has borrows if `borrows` says so.
    #[inline]
    pub fn new(store: &'s mut StoreInner<T>, instance: usize, borrows: bool) -> Self {
        let StoreOpaque {
            instances, handles, ..
        } = &mut store.opaque;
        let lends_to = borrows.then(|| LendingCall {
            guest: instances[instance].runtime.enter_call(),
            host: handles.enter(),
        });
        Self {
            store,
            instance,
            lends_to,
        }
    }

    /// Returns what handles are lent to, if the type of the call has borrows.
    #[inline]
    pub fn lends_to(&self) -> Option<LendingCall> {
        self.lends_to
    }

    /// Ends the scope after the callee has returned.
    ///
    /// # Errors
    ///
    /// When the callee still has handles that were lent to it.
    #[inline]
    pub fn exit(&mut self) -> Result<()> {
        let Some(call) = self.lends_to.take() else {
            return Ok(());
        };
        let StoreOpaque {
            instances, handles, ..
        } = &mut self.store.opaque;
        handles.exit(call.host);
        let exited = instances[self.instance].runtime.exit_call(call.guest);
        exited.map_err(handle_trap)
    }

    #[cold]
    fn abandon(&mut self, call: LendingCall) {
        let StoreOpaque {
            instances, handles, ..
        } = &mut self.store.opaque;
        handles.exit(call.host);
        instances[self.instance].runtime.abandon_call(call.guest);
    }
}

impl<T: 'static> Drop for CallScope<'_, T> {
    #[inline]
    fn drop(&mut self) {
        if let Some(call) = self.lends_to.take() {
            self.abandon(call);
        }
    }
}

/// A guest's call of a host function.
pub(crate) struct GuestCall<'a, T: 'static> {
    pub store: StoreContextMut<'a, T>,
    /// The number in the store of the instance that calls.
    pub instance: usize,
    /// The argument words, in which the results are left.
    pub words: &'a mut [u64],
    /// The memory that words point into, when it is the host that calls.
    pub scratch: Option<&'a mut Vec<u8>>,
}

/// What machine code calls when a guest drops a resource of the host.
pub(crate) fn host_destructor<T: 'static>(destructor: &Destructor<T>) -> HostFunc {
    let destructor = destructor.clone();
    host_func(1, move |call: GuestCall<'_, T>| {
        destructor(call.store, call.words[0] as u32)
    })
}

/// A host function for guests in stores of host data `T`.
///
/// The result may only be linked to instances that are made in stores of `T`:
/// [`InstancePre`](crate::InstancePre) sees to it. A guest that must not call out (`may_leave`)
/// traps.
pub(crate) fn host_func<T: 'static>(
    words: usize,
    f: impl Fn(GuestCall<'_, T>) -> Result<()> + Send + Sync + 'static,
) -> HostFunc {
    HostFunc::new(words, move |call: HostCall<'_>| {
        // The limiter alone is there for a guest that runs as `realloc` or `post-return`.
        let HostAccess::Functions(pointer) = call.host else {
            return Err(Trap::CannotLeaveComponent.into());
        };
        // SAFETY: the pointer was made by `host_access` from an exclusive reference to a store,
        // which is not used until the call into the guest is over, and so after this function has
        // returned. The store is of `T` by the rule above.
        let store = unsafe { &mut *pointer.cast::<StoreInner<T>>().as_ptr() };
        // SAFETY: the instance is the one whose code runs now, on this thread.
        let instance = unsafe { call.instance.instance() }.tag();
        let result = f(GuestCall {
            store: StoreContextMut(store),
            instance: instance as usize,
            words: call.words,
            scratch: None,
        });
        // SAFETY: as above; the function has given back its reference.
        let store = unsafe { &mut *pointer.cast::<StoreInner<T>>().as_ptr() };
        // The function may have forked the process.
        Ok(result.and_then(|()| store.opaque.keep_deadline())?)
    })
}
