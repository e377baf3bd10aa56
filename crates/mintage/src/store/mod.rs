//! [`Store`]: the owner of instances and of the host's data.
//!
//! | file | what it has |
//! |---|---|
//! | `context.rs` | [`StoreContext`], [`StoreContextMut`]: references to a store |
//! | `instance.rs` | the instances of a store |
//! | `entry.rs` | entry into guests, and the way back to the store |
//! | `allocation.rs` | the memory of a store, which guests point into |
//! | `scope.rs`, `handles.rs` | the resources that the host holds, lends and borrows |
//! | `linked.rs` | what the imports of an instance were resolved to |
//! | `limits.rs`, `fuel.rs`, `interrupt.rs` | limits on space and time |

#[allow(
    unsafe_code,
    reason = "a store and what machine code writes, in one allocation"
)]
mod allocation;
mod context;
mod entries;
#[allow(
    unsafe_code,
    reason = "entry into guests, and the way from a guest back to its store"
)]
mod entry;
mod fuel;
mod handles;
mod instance;
mod interrupt;
mod limits;
mod linked;
mod scope;

pub use context::{AsContext, AsContextMut, StoreContext, StoreContextMut};
pub(crate) use entry::{HostFuncCall, LIFT_WORDS, host_destructor, host_func, limiter_access};
pub(crate) use handles::{HostHandle, HostHandles, LendingCall, ResourceOrigin};
pub(crate) use instance::StoreInstance;
pub use interrupt::InterruptHandle;
pub(crate) use limits::GrowthLimiter;
pub use limits::{ResourceLimiter, StoreLimits, StoreLimitsBuilder};
pub(crate) use linked::{Destructor, LinkedImports};
pub(crate) use scope::CallScope;

use self::allocation::{Allocation, CurrentPointer};
use self::fuel::Fuel;
use self::interrupt::Interruption;
use self::limits::{HostState, Used};
use crate::Engine;
use crate::error::Result;
use crate::types::{StoreId, StoreInstanceId};
use mintage_environ::IndexVec;
use std::time::Duration;

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
/// [`Trap::StackOverflow`](crate::Trap::StackOverflow).
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

pub(crate) struct StoreInner<T> {
    pub opaque: StoreOpaque,
    pub host: HostState<T>,
}

/// What does not depend on the host's data.
pub(crate) struct StoreOpaque {
    pub id: StoreId,
    pub engine: Engine,
    pub instances: IndexVec<StoreInstanceId, StoreInstance>,
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

impl<T> Store<T> {
    /// An empty store.
    pub fn new(engine: &Engine, data: T) -> Store<T> {
        let id = StoreId::new();
        let inner = |current| StoreInner {
            opaque: StoreOpaque {
                id,
                handles: HostHandles::new(id),
                engine: engine.clone(),
                instances: IndexVec::new(),
                used: Used::default(),
                hostcall_fuel: DEFAULT_HOSTCALL_FUEL,
                interruption: Interruption::new(engine),
                fuel: Fuel::new(engine),
                current,
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
    /// the guest traps with [`Trap::OutOfFuel`](crate::Trap::OutOfFuel). A new store has no fuel.
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

    /// Sets a deadline: `after` from now on, guest code that runs or is called traps with
    /// [`Trap::Interrupt`](crate::Trap::Interrupt), until [`clear_deadline`](Self::clear_deadline).
    /// It replaces an earlier deadline, passed or not. Time in host functions counts, but they are
    /// not interrupted.
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

impl StoreOpaque {
    /// Returns an instance by the store and the number that name it, if it is one of this store.
    #[inline]
    pub fn instance(&self, store: StoreId, id: StoreInstanceId) -> Option<&StoreInstance> {
        self.instances.get(id).filter(|_| self.id == store)
    }

    /// See [`Interruption::keep_deadline`].
    #[inline(always)]
    fn keep_deadline(&mut self) -> Result<()> {
        Interruption::keep_deadline(self.interruption.as_mut(), &self.engine)
    }
}
