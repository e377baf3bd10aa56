//! [`Store`]: the owner of instances and of the host's data.
//!
//! | file | what it has |
//! |---|---|
//! | `context.rs` | [`StoreContext`], [`StoreContextMut`]: references to a store |
//! | `instance.rs`, `instances.rs` | the instances of a store, their creation and their end |
//! | `entry.rs` | entry into guests, and the way back to the store |
//! | `allocation.rs` | the memory of a store, which guests point into |
//! | `suspend.rs`, `waiting.rs` | calls that wait for a host function, and that function |
//! | `tasks/` | the event loop: calls that are tasks, and futures of the host |
//! | `streams.rs` | the streams and futures that the host has an end of |
//! | `polled.rs` | how a future of the host finds the store that polls it |
//! | `scope.rs`, `handles.rs` | the resources that the host holds, lends and borrows |
//! | `linked.rs` | what the imports of an instance were resolved to |
//! | `limits.rs`, `admission.rs` | limits on space, and what a new instance takes of it |
//! | `growth.rs` | the host's answers to guests that want to grow |
//! | `time.rs`, `fuel.rs`, `interrupt.rs` | limits on time |
//! | `backtrace.rs` | the wasm functions that wait for a host function |
//! | `compatible.rs` | methods for hosts that port |
//! | `hook.rs` | the hook of calls between host and guests |
//! | `check_in.rs` | whether a guest at such a limit traps or goes on |
//! | `watch.rs` | how a host function that blocks learns of such a limit |

mod admission;
#[allow(
    unsafe_code,
    reason = "a store and what machine code writes, in one allocation"
)]
mod allocation;
mod backtrace;
mod check_in;
mod compatible;
mod context;
mod entries;
#[allow(
    unsafe_code,
    reason = "entry into guests, and the way from a guest back to its store"
)]
mod entry;
mod exclusive;
mod fuel;
mod growth;
mod handles;
mod hook;
#[allow(unsafe_code, reason = "what threads may do that share a store")]
mod instance;
mod instances;
mod interrupt;
mod limits;
mod linked;
#[allow(
    unsafe_code,
    reason = "futures of the host find the store that polls them"
)]
mod polled;
#[allow(unsafe_code, reason = "a scope gives its store away for a time")]
mod scope;
mod streams;
#[allow(unsafe_code, reason = "entry into guests that may be suspended")]
mod suspend;
#[allow(unsafe_code, reason = "entry into guests whose calls are tasks")]
mod tasks;
mod time;
#[allow(
    unsafe_code,
    reason = "the store is borrowed by the host function that waits"
)]
mod waiting;
mod watch;

pub use check_in::UpdateDeadline;
pub use context::{AsContext, AsContextMut, StoreContext, StoreContextMut};
pub(crate) use entries::Entries;
pub(crate) use entry::{
    HostFuncCall, LIFT_WORDS, Started, async_host_func, concurrent_host_func, host_destructor,
    host_func, limiter_access,
};
pub(crate) use growth::GrowthLimiter;
pub(crate) use handles::{HostCallId, HostHandle, HostHandles, LendingCall, ResourceOrigin};
pub use hook::{CallHook, HostFunctionName};
pub(crate) use instance::StoreInstance;
pub use interrupt::InterruptHandle;
pub use limits::{ResourceLimiter, ResourceLimiterAsync, StoreLimits, StoreLimitsBuilder};
pub(crate) use linked::{Destructor, LinkedImports};
pub(crate) use polled::{NotPolled, with_polled};
pub(crate) use scope::CallScope;
pub(crate) use streams::{GuestEnd, HeldEnd, HostSide, Side, Stream, StreamId};
pub(crate) use tasks::{CallEnd, HostTaskId, QueuedCall, QueuedCallId, Running};
pub(crate) use waiting::with_context;
pub(crate) use waiting::{HostRest, HostResult, Waiting, cannot_wait};
pub use watch::InterruptWatch;

use self::allocation::{Allocation, CurrentPointer};
use self::check_in::TimeLimits;
use self::exclusive::Exclusive;
use self::growth::{FindLimiter, HostState};
use self::instances::Instances;
use self::limits::Used;
use self::tasks::{Concurrency, LazyHostTasks};
use crate::Engine;
use crate::error::{Error, Result, dropped, wrong_store};
use crate::types::{StoreId, StoreInstanceId};

/// Default limit, in bytes, on the host memory for values that a guest passes in one call.
const DEFAULT_HOSTCALL_FUEL: usize = 128 << 20;

/// Owns component instances and the host's data of type `T`. Its instances live as long as it does,
/// unless [`drop_instance`](Self::drop_instance) ends one before.
///
/// Use one store for each unit of isolation, such as a request. Dropping the store frees all of its
/// instances.
///
/// ```
/// use mintage::{Engine, Store};
///
/// let engine = Engine::default();
/// let mut store = Store::new(&engine, Vec::new());
/// store.data_mut().push("host data, which host functions can reach");
/// assert_eq!(store.into_data().len(), 1);
/// ```
///
/// # Stacks
///
/// A call into a guest uses up to [`Config::max_wasm_stack`](crate::Config::max_wasm_stack) bytes
/// of the calling thread's stack, and keeps a reserve of 256 KiB for host functions. If nothing is
/// left above the reserve, a call fails with [`Trap::StackOverflow`](crate::Trap::StackOverflow),
/// be it the first call or one that a host function makes.
///
/// The calls on one thread end in the reverse order of their beginning, as function calls do. A
/// host that calls guests on several stacks of one thread (coroutines, green threads) must keep
/// that order: a call that begins while another one is under way must end before it. A call must
/// end on the thread on which it began. Both rules also hold for a stack that is dropped and
/// unwound while a host function waits on it. If a host function returns to its guest out of order
/// or on another thread, the process is aborted with a message on standard error. The same holds
/// when a future of a host function has been polled.
///
/// An asynchronous call has a stack of its own. Host functions that are not asynchronous run there,
/// and so does an asynchronous one when it is polled for the first time. Such calls may be nested
/// in each other, each polled by a host function of the one before, but not more than 200 deep: the
/// next one fails with [`Trap::StackOverflow`](crate::Trap::StackOverflow).
///
/// # Drop
///
/// Dropping a store runs no guest code. The destructors of resources that the host or a guest still
/// owns are not called. A host that needs them calls
/// [`ResourceAny::resource_drop`](crate::ResourceAny::resource_drop) first.
pub struct Store<T: 'static> {
    inner: Allocation<T>,
}

pub(crate) struct StoreInner<T: 'static> {
    pub opaque: StoreOpaque,
    pub host: HostState<T>,
}

/// The part of a store that does not depend on the type of the host's data.
pub(crate) struct StoreOpaque {
    pub id: StoreId,
    pub engine: Engine,
    /// The futures of the host that go on while guests do. (Dropped before the instances.)
    pub tasks: LazyHostTasks,
    pub instances: Instances<StoreInstance>,
    /// The sums over all instances that limits apply to.
    used: Used,
    pub hostcall_fuel: usize,
    /// The instances that may have tasks.
    pub concurrent: Vec<StoreInstanceId>,
    /// See [`Config::schedule_seed`](crate::Config::schedule_seed).
    pub schedule_seed: Option<u64>,
    /// The resources that the host holds.
    pub handles: HostHandles,
    /// The current state of the store, beside this in one allocation.
    current: CurrentPointer,
}

impl<T> Store<T> {
    /// Creates a store without instances.
    pub fn new(engine: &Engine, data: T) -> Store<T> {
        let (id, caps) = (StoreId::new(), engine.config().caps);
        // Nothing is called and nothing depends on settings while the store is put together, so
        // that it is made in its place rather than copied there.
        let inner = |current| StoreInner {
            opaque: StoreOpaque {
                id,
                handles: HostHandles::new(id),
                engine: engine.clone(),
                tasks: LazyHostTasks::default(),
                concurrent: Vec::new(),
                schedule_seed: engine.config().schedule_seed,
                instances: Instances::default(),
                used: Used::default(),
                hostcall_fuel: DEFAULT_HOSTCALL_FUEL,
                current,
            },
            host: HostState {
                limiter: None,
                caps,
                time: TimeLimits::none(),
                watches_crossings: false,
                hook: None,
                hooked: None,
                concurrency: Concurrency::default(),
                data,
            },
        };
        let mut store = Store {
            inner: Allocation::new(inner),
        };
        store.inner.host.time.begin(engine);
        store
    }

    /// Returns the host's data.
    pub fn data(&self) -> &T {
        &self.inner.host.data
    }

    /// Returns the host's data.
    pub fn data_mut(&mut self) -> &mut T {
        &mut self.inner.host.data
    }

    /// Drops the store and returns the host's data.
    pub fn into_data(self) -> T {
        self.inner.into_host().data
    }

    /// Returns the engine.
    pub fn engine(&self) -> &Engine {
        &self.inner.opaque.engine
    }

    /// Sets the limiter of this store's guests: [`StoreLimits`], or a [`ResourceLimiter`] of the
    /// host's own, to be found in the host's data. It is asked when an instance is created and when
    /// something grows. Without a limiter, the limits are those of `StoreLimits::default()`.
    pub fn limiter(
        &mut self,
        limiter: impl (FnMut(&mut T) -> &mut dyn ResourceLimiter) + Send + Sync + 'static,
    ) {
        self.inner.host.limiter = Some(FindLimiter::Sync(Box::new(limiter)));
    }

    /// Sets a limiter that may wait before it answers. Otherwise as [`limiter`](Self::limiter),
    /// which this replaces.
    pub fn limiter_async(
        &mut self,
        limiter: impl (FnMut(&mut T) -> &mut dyn ResourceLimiterAsync) + Send + Sync + 'static,
    ) {
        self.inner.host.limiter = Some(FindLimiter::Async(Box::new(limiter)));
    }

    /// Sets the seed of the order in which asynchronous code of instances goes on that are made
    /// from now on, in place of [`Config::schedule_seed`](crate::Config::schedule_seed).
    pub fn set_schedule_seed(&mut self, seed: Option<u64>) {
        self.inner.opaque.schedule_seed = seed;
    }

    /// Returns the limit, in bytes, on the host memory for values that a guest passes in one call.
    pub fn hostcall_fuel(&self) -> usize {
        self.inner.opaque.hostcall_fuel
    }

    /// Sets the limit, in bytes, on the host memory for values that a guest passes in one call;
    /// default: 128 MiB. Lists can overlap in guest memory, so without a limit a guest could make
    /// the host allocate far more memory than the guest has.
    pub fn set_hostcall_fuel(&mut self, bytes: usize) {
        self.inner.opaque.hostcall_fuel = bytes;
    }
}

impl<T: std::fmt::Debug> std::fmt::Debug for Store<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store")
            .field("data", &self.inner.host.data)
            .finish_non_exhaustive()
    }
}

impl<T> StoreInner<T> {
    /// See [`TimeLimits::keep_deadline`].
    #[inline(always)]
    fn keep_deadline(&mut self) -> Result<()> {
        self.host.time.keep_deadline(&self.opaque.engine)
    }
}

impl StoreOpaque {
    /// Returns an instance by the store and the number that name it. Errors say that `what` belongs
    /// to it.
    ///
    /// # Errors
    ///
    /// If it is an instance of another store, or was dropped.
    #[inline]
    pub fn instance(
        &self,
        store: StoreId,
        id: StoreInstanceId,
        what: &str,
    ) -> Result<&StoreInstance> {
        match self.instances.get(id) {
            Some(instance) if self.id == store => Ok(instance),
            _ => Err(self.no_instance(store, what)),
        }
    }

    #[cold]
    fn no_instance(&self, store: StoreId, what: &str) -> Error {
        match self.id == store {
            true => dropped(what),
            false => wrong_store(what),
        }
    }
}
