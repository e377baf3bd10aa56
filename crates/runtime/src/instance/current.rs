//! [`Current`]: what is current in a store while its guests run, shared by machine code and the
//! runtime.

use crate::component::handles::HandleError;
use mintage_environ::{ExitRecord, ObjectTypeId};
use std::any::Any;
use std::cell::{Cell, UnsafeCell};
use std::ptr::NonNull;

/// What a running guest may reach of the host.
#[derive(Clone, Copy, Debug)]
pub enum HostAccess {
    /// Nothing: no guest runs, or none that calls out.
    Nothing,
    /// Host functions and the limiter. The pointer is for the host functions, which know its type.
    Functions(NonNull<()>),
    /// The limiter alone, in a call that must not call out (`realloc`, `post-return`). The pointer
    /// is for the limiter, which knows its type.
    Limiter(NonNull<()>),
}

/// What a host function left behind when it did not succeed.
pub enum Failure {
    /// It returned an error.
    Error(anyhow::Error),
    /// It panicked with this payload.
    Panic(Box<dyn Any + Send>),
}

/// What is current in a store while its guests run. There is one for each store; the control
/// blocks of all its instances point at it.
///
/// What is not here: the stack limit, which machine code compares in each function and therefore
/// has in the control block, and the innermost call, which belongs to the thread, since that is
/// all that a signal handler has.
#[repr(C)]
pub struct Current {
    /// Where machine code left for the host last. Written by machine code.
    exit: UnsafeCell<ExitRecord>,
    /// What the guest that runs may reach of the host.
    host: Cell<HostAccess>,
    /// What the host function that ended the innermost call left.
    pub failure: Cell<Option<Failure>>,
    /// What the builtin that is about to trap knows of the handle in question.
    pub handle_error: Cell<Option<HandleError>>,
    /// The type of the exception that no one caught, when the innermost call ends with one.
    pub thrown: Cell<Option<ObjectTypeId>>,
}

// Machine code writes the exit record through a pointer to the whole.
const _: () = assert!(std::mem::offset_of!(Current, exit) == 0);

impl Current {
    /// Creates the state of a store in which no guest runs.
    pub const fn new() -> Self {
        Current {
            exit: UnsafeCell::new(ExitRecord { fp: 0, pc: 0 }),
            host: Cell::new(HostAccess::Nothing),
            failure: Cell::new(None),
            handle_error: Cell::new(None),
            thrown: Cell::new(None),
        }
    }

    /// Returns the place that machine code writes its exit record to.
    pub fn exit_record(&self) -> *mut ExitRecord {
        self.exit.get()
    }

    /// Returns where machine code left last.
    pub fn exit(&self) -> ExitRecord {
        // SAFETY: only machine code of the store's instances writes the record, in calls on the
        // one thread that uses the store, and not while this runs.
        unsafe { *self.exit.get() }
    }

    /// Puts back an earlier exit record.
    pub fn set_exit(&self, exit: ExitRecord) {
        // SAFETY: as above; there is never a reference into the cell.
        unsafe { *self.exit.get() = exit };
    }

    /// Returns what the guest that runs may reach of the host.
    #[inline]
    pub fn host(&self) -> HostAccess {
        self.host.get()
    }

    /// Sets what the guest that runs may reach of the host.
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
