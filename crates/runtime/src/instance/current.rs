//! [`Current`]: the state of a store while its guests run, which machine code and the runtime
//! share.

use crate::component::handles::HandleError;
use mintage_environ::{ExitRecord, ObjectTypeId};
use std::any::Any;
use std::cell::{Cell, UnsafeCell};
use std::ptr::NonNull;

/// The access of a running guest to the host.
#[derive(Clone, Copy, Debug)]
pub enum HostAccess {
    /// None: no guest runs, or none that may call out.
    Nothing,
    /// Host functions and the limiter. The pointer is for the host functions, which know its type.
    Functions(NonNull<()>),
    /// The same, in a call that host functions can suspend.
    Suspending(NonNull<Suspending>),
    /// The limiter alone, in a call that must not call out (`realloc`, `post-return`). The pointer
    /// is for the limiter, which knows its type.
    Limiter(NonNull<()>),
    /// The same, in a call that the runtime makes for a guest (`task.return`, copies of streams).
    /// The pointer is that for host functions.
    Confined(NonNull<()>),
}

/// What a call that can be suspended gives its host functions.
#[derive(Debug)]
pub struct Suspending {
    /// The pointer for the host functions.
    pub host: NonNull<()>,
    /// The call, which `entry` knows.
    pub call: NonNull<()>,
}

impl HostAccess {
    /// Returns the pointer for host functions, if the guest may call them.
    ///
    /// # Safety
    ///
    /// The guest's call is under way.
    #[inline]
    pub unsafe fn functions(self) -> Option<NonNull<()>> {
        match self {
            HostAccess::Functions(host) => Some(host),
            // SAFETY: the call, which is under way, keeps this.
            HostAccess::Suspending(call) => Some(unsafe { call.as_ref() }.host),
            HostAccess::Nothing | HostAccess::Limiter(_) | HostAccess::Confined(_) => None,
        }
    }

    /// Returns the access of a call that the runtime makes for a guest with this access. It neither
    /// calls out nor is it suspended.
    ///
    /// # Safety
    ///
    /// As [`functions`](Self::functions).
    pub unsafe fn confined(self) -> HostAccess {
        // SAFETY: as the caller promises.
        match unsafe { self.functions() } {
            Some(host) => HostAccess::Confined(host),
            None => self,
        }
    }
}

/// The failure of a host function.
pub enum Failure {
    /// It returned an error.
    Error(anyhow::Error),
    /// It panicked with this payload.
    Panic(Box<dyn Any + Send>),
}

/// The state of a store while its guests run. There is one for each store, and the control blocks
/// of all its instances point to it.
///
/// Two things are not here. The stack limit is in the control block, because machine code compares
/// it in each function. The innermost call belongs to the thread, because a signal handler knows
/// nothing else.
#[repr(C)]
pub struct Current {
    /// The place where machine code last left for the host. Written by machine code.
    exit: UnsafeCell<ExitRecord>,
    /// The access of the running guest to the host.
    host: Cell<HostAccess>,
    /// The failure of the host function that ended the innermost call.
    pub failure: Cell<Option<Failure>>,
    /// Details about the handle because of which a builtin is about to trap.
    pub handle_error: Cell<Option<HandleError>>,
    /// The type of the exception that no one caught, if that ended the innermost call.
    pub thrown: Cell<Option<ObjectTypeId>>,
}

// Machine code writes the exit record through a pointer to the whole.
const _: () = assert!(std::mem::offset_of!(Current, exit) == 0);

impl Current {
    /// Creates the state of a store in which no guest runs.
    pub const fn new() -> Self {
        Current {
            exit: UnsafeCell::new(ExitRecord { fp: 0 }),
            host: Cell::new(HostAccess::Nothing),
            failure: Cell::new(None),
            handle_error: Cell::new(None),
            thrown: Cell::new(None),
        }
    }

    /// Returns where machine code writes its exit record.
    pub fn exit_record(&self) -> *mut ExitRecord {
        self.exit.get()
    }

    /// Returns where machine code last left for the host.
    pub fn exit(&self) -> ExitRecord {
        // SAFETY: only machine code of the store's instances writes the record, in calls on the
        // one thread that uses the store, and not while this runs.
        unsafe { *self.exit.get() }
    }

    /// Restores an earlier exit record.
    pub fn set_exit(&self, exit: ExitRecord) {
        // SAFETY: as above; there is never a reference into the cell.
        unsafe { *self.exit.get() = exit };
    }

    /// Returns the access of the running guest to the host.
    #[inline]
    pub fn host(&self) -> HostAccess {
        self.host.get()
    }

    /// Sets the access of the running guest to the host.
    #[inline]
    pub fn set_host(&self, host: HostAccess) {
        self.host.set(host);
    }
}

impl Default for Current {
    fn default() -> Self {
        Self::new()
    }
}
