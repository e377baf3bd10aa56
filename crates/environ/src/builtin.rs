//! The builtins: the functions of the runtime that machine code calls, listed once.
//!
//! To add a builtin, add a row to [`builtins!`](crate::builtins). The compiler then asks for its
//! function in the runtime: an `extern "C"` function with the row's parameters after `ctx`.

use serde::{Deserialize, Serialize};

/// The type of a builtin's parameter or result, as machine code sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BuiltinType {
    /// A 32-bit integer.
    I32,
    /// A 64-bit integer, a table entry or a reference.
    I64,
}

/// The result of a builtin, as machine code sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BuiltinResult {
    /// No result: the builtin does not return.
    Never,
    /// No result. The builtin returns a 32-bit word to its trampoline: zero, or the code of the
    /// [`Trap`](crate::Trap) to raise.
    TrapCode,
    /// As [`TrapCode`](Self::TrapCode), but the trampoline preserves all registers: machine code
    /// calls it in cold blocks of hot loops, whose registers the call must not cost.
    ColdTrapCode,
    /// A 64-bit value. If the builtin returns `GROWTH_ENDED - n` instead, with a small `n`, its
    /// trampoline raises the trap with code `n`, or for `n = 0` the error that the builtin left
    /// with the runtime. See [`GROWTH_ENDED`].
    Growth,
    /// A value.
    Value(BuiltinType),
    /// A 32-bit value. The builtin returns a 64-bit word to its trampoline: the value in the low
    /// half, and zero or the code of the [`Trap`](crate::Trap) to raise in the high half.
    Fallible(BuiltinType),
    /// As [`Fallible`](Self::Fallible), but the builtin may suspend its caller.
    Suspending(BuiltinType),
}

/// Calls the given macro with a row for each builtin: documentation, variant, snake-case name,
/// parameters after `ctx`, result.
///
/// Memories, tables, segments, domains and resources are passed as their program-wide number.
#[macro_export]
macro_rules! builtins {
    ($callback:ident) => {
        $callback! {
            /// Grows memory `memory` by `delta` pages. Returns the old size in pages, or -1.
            MemoryGrow memory_grow(memory: I32, delta: I64) -> Growth;
            /// Grows table `table` by `delta` entries set to `init`. Returns the old size, or -1.
            TableGrow table_grow(table: I32, init: I64, delta: I64) -> Growth;
            /// Sets `len` entries, starting at `dst`, to `value`.
            TableFill table_fill(table: I32, dst: I64, value: I64, len: I64) -> TrapCode;
            /// Copies `len` entries between two tables, which may be the same one.
            TableCopy table_copy(
                dst_table: I32, src_table: I32, dst: I64, src: I64, len: I64
            ) -> TrapCode;
            /// Copies `len` entries of element segment `elem`, starting at `src`, to table `table`
            /// at `dst`.
            TableInit table_init(table: I32, elem: I32, dst: I64, src: I32, len: I32) -> TrapCode;
            /// Allocates `size` bytes for an object in the GC heap of `domain`, for which machine
            /// code found no room below the allocation limit. Returns the reference.
            HeapAllocate heap_allocate(domain: I32, size: I64) -> Fallible(I32);
            /// Unwinds to the handler for `exception`, a reference to an object of `domain`.
            Throw throw(domain: I32, exception: I64) -> Never;
            /// Copies `len` entries of element segment `elem`, starting at `src`, to address `dst`:
            /// the low `size` bytes of each. Machine code has checked the destination.
            ArrayInitElem array_init_elem(
                dst: I64, elem: I32, src: I32, len: I32, size: I32
            ) -> TrapCode;
            /// Fills `len` bytes at address `dst`, which machine code has checked, with a repeating
            /// pattern of 16 bytes: those of `low`, then those of `high`.
            FillBytes fill_bytes(dst: I64, low: I64, high: I64, len: I64) -> TrapCode;
            /// Copies `len` bytes between addresses that may overlap. Machine code has checked them
            /// here and in the transcoders below.
            CopyBytes copy_bytes(dst: I64, src: I64, len: I64) -> TrapCode;
            /// Validates and copies UTF-8 of `len` bytes.
            CopyUtf8 copy_utf8(dst: I64, src: I64, len: I64) -> TrapCode;
            /// Validates and copies UTF-16 of `len` code units.
            CopyUtf16 copy_utf16(dst: I64, src: I64, len: I64) -> TrapCode;
            /// Transcodes Latin-1 of `len` bytes to UTF-16 of as many code units.
            Latin1ToUtf16 latin1_to_utf16(dst: I64, src: I64, len: I64) -> TrapCode;
            /// Transcodes UTF-8 of `len` bytes to UTF-16. Returns the number of code units, at most
            /// `len`.
            Utf8ToUtf16 utf8_to_utf16(dst: I64, src: I64, len: I64) -> Fallible(I32);
            /// Copies the ASCII prefix of Latin-1 of `len` bytes. Returns its length.
            Latin1Ascii latin1_ascii(dst: I64, src: I64, len: I64) -> Fallible(I32);
            /// Transcodes Latin-1 of `len` bytes to UTF-8. Returns the number of bytes, at most
            /// twice `len`.
            Latin1ToUtf8 latin1_to_utf8(dst: I64, src: I64, len: I64) -> Fallible(I32);
            /// Narrows the ASCII prefix of UTF-16 of `len` code units to bytes. Returns its length.
            Utf16Ascii utf16_ascii(dst: I64, src: I64, len: I64) -> Fallible(I32);
            /// Transcodes UTF-16 of `len` code units to UTF-8. Returns the number of bytes, at most
            /// three times `len`.
            Utf16ToUtf8 utf16_to_utf8(dst: I64, src: I64, len: I64) -> Fallible(I32);
            /// Transcodes UTF-8 of `len` bytes to Latin-1. Returns the number of bytes, at most
            /// `len`, or [`NOT_LATIN1`](crate::builtin::NOT_LATIN1).
            Utf8ToLatin1 utf8_to_latin1(dst: I64, src: I64, len: I64) -> Fallible(I32);
            /// Transcodes UTF-16 of `len` code units to Latin-1. Returns the number of bytes, which
            /// is `len`, or [`NOT_LATIN1`](crate::builtin::NOT_LATIN1).
            Utf16ToLatin1 utf16_to_latin1(dst: I64, src: I64, len: I64) -> Fallible(I32);
            /// Adds an owning handle of `resource` to the table of `domain` and returns its index.
            /// Machine code tests `may_leave`, here and for the next two.
            ResourceNew resource_new(domain: I32, resource: I32, rep: I32) -> Fallible(I32);
            /// Returns the representation of the resource of a handle.
            ResourceRep resource_rep(domain: I32, resource: I32, handle: I32) -> Fallible(I32);
            /// Removes a handle. Returns 1 if it owned its resource, which the caller must then
            /// destroy, and 0 otherwise. Writes the representation, 4 bytes, to the address `rep`.
            ResourceDrop resource_drop(
                domain: I32, resource: I32, handle: I32, rep: I64
            ) -> Fallible(I32);
            /// Moves an owning handle from one table to another. Returns its new index.
            TransferOwn transfer_own(
                src_domain: I32, dst_domain: I32, resource: I32, handle: I32
            ) -> Fallible(I32);
            /// Lends the resource of a handle of `src_domain` to `dst_domain` for `call`. Returns
            /// the index of a new handle in `dst_domain`, or the representation if `dst_domain`
            /// defines the resource.
            TransferBorrow transfer_borrow(
                call: I32, src_domain: I32, dst_domain: I32, resource: I32, handle: I32
            ) -> Fallible(I32);
            /// Lends the resource of a handle of `domain` to the component instance that defines
            /// the resource. Returns the representation. [`EndLoan`](Self::EndLoan) ends the loan.
            Lend lend(domain: I32, resource: I32, handle: I32) -> Fallible(I32);
            /// Ends a loan of a handle of `domain`.
            EndLoan end_loan(domain: I32, handle: I32) -> TrapCode;
            /// Creates an error context from the message of `units` code units at `ptr`, a tagged
            /// number if `encoding` tags lengths. Returns its handle in the table of `domain`.
            /// Machine code tests `may_leave`, here and for the next three.
            ErrorContextNew error_context_new(
                domain: I32, memory: I32, encoding: I32, ptr: I64, units: I64
            ) -> Fallible(I32);
            /// Returns the length of an error context's message in an encoding: a number of code
            /// units, tagged if `encoding` tags lengths.
            ErrorContextUnits error_context_units(
                domain: I32, handle: I32, encoding: I32
            ) -> Fallible(I32);
            /// Writes an error context's message to the address `dst`, where `room` bytes are
            /// available: enough for the whole message.
            ErrorContextMessage error_context_message(
                domain: I32, handle: I32, encoding: I32, dst: I64, room: I64
            ) -> TrapCode;
            /// Removes the handle of an error context.
            ErrorContextDrop error_context_drop(domain: I32, handle: I32) -> TrapCode;
            /// Shares an error context of `src_domain` with `dst_domain`. Returns the new handle.
            TransferErrorContext transfer_error_context(
                src_domain: I32, dst_domain: I32, handle: I32
            ) -> Fallible(I32);
            /// Opens the scope of a call that borrows handles and returns its
            /// [`CallId`](crate::CallId).
            EnterCall enter_call() -> Value(I32);
            /// Closes the scope of `call`, after its results are lifted, and ends its loans. Traps
            /// unless all handles lent to it were dropped.
            ExitCall exit_call(call: I32) -> TrapCode;
            /// Calls the callee of adapter `adapter` as a task. The caller's core arguments are at
            /// the address `words`, from word 1 on. Returns the state of the subtask, with its
            /// handle if it has not returned. To a synchronous caller it returns when the subtask
            /// has, with a flat result in word 1.
            CallTask call_task(adapter: I32, words: I64) -> Suspending(I32);
            /// Notes that a synchronous task runs in `domain` from now on. Returns its number.
            EnterTask enter_task(domain: I32) -> Fallible(I32);
            /// Ends a synchronous task.
            ExitTask exit_task(task: I32) -> TrapCode;
            /// `task.return` in `domain`, with the values at the address `words`. `shape` is the
            /// number of the result's type and options.
            TaskReturn task_return(domain: I32, shape: I32, words: I64) -> Suspending(I32);
            /// `task.cancel` in `domain`.
            TaskCancel task_cancel(domain: I32) -> TrapCode;
            /// Adds `delta` to the backpressure counter of `domain`.
            Backpressure backpressure(domain: I32, delta: I32) -> TrapCode;
            /// Returns word `slot` of the current thread's storage.
            ContextGet context_get(domain: I32, slot: I32) -> Value(I64);
            /// Sets word `slot` of the current thread's storage.
            ContextSet context_set(domain: I32, slot: I32, value: I64) -> TrapCode;
            /// `subtask.cancel`, which waits unless `is_async` is 1.
            SubtaskCancel subtask_cancel(
                domain: I32, handle: I32, is_async: I32
            ) -> Suspending(I32);
            /// `subtask.drop`.
            SubtaskDrop subtask_drop(domain: I32, handle: I32) -> TrapCode;
            /// `waitable-set.new`.
            WaitableSetNew waitable_set_new(domain: I32) -> Fallible(I32);
            /// `waitable-set.wait`. The low half of `place` is the domain, the high half the
            /// memory.
            WaitableSetWait waitable_set_wait(
                place: I64, set: I32, pointer: I64
            ) -> Suspending(I32);
            /// `waitable-set.poll`, as above.
            WaitableSetPoll waitable_set_poll(place: I64, set: I32, pointer: I64) -> Fallible(I32);
            /// `waitable-set.drop`.
            WaitableSetDrop waitable_set_drop(domain: I32, set: I32) -> TrapCode;
            /// `waitable.join`.
            WaitableJoin waitable_join(domain: I32, waitable: I32, set: I32) -> TrapCode;
            /// Creates a stream or future of type `value`
            /// ([`AsyncValue::to_u32`](crate::component::AsyncValue::to_u32)). Returns the handle
            /// of the readable end, and writes that of the writable one, 4 bytes, to the address
            /// `writable`.
            EndNew end_new(domain: I32, value: I32, writable: I64) -> Fallible(I32);
            /// Reads or writes. The low half of `end` is the handle, the high half the number of
            /// the built-in. Returns what happened, or [`BLOCKED`](crate::builtin::BLOCKED).
            EndCopy end_copy(end: I64, pointer: I64, length: I64) -> Suspending(I32);
            /// Ends the read or write of an end that is under way. The low half of `end` is the
            /// handle, the high half the domain; `value` is the type; `flags` are of
            /// [`end_flags`](crate::builtin::end_flags).
            EndCancel end_cancel(end: I64, value: I32, flags: I32) -> Suspending(I32);
            /// Removes an end. As above; of the flags, only `WRITES` is used.
            EndDrop end_drop(end: I64, value: I32, flags: I32) -> TrapCode;
            /// Connects two ends.
            EndForward end_forward(
                domain: I32, value: I32, readable: I32, writable: I32
            ) -> TrapCode;
            /// Moves the readable end of a stream or future to another table. Returns its handle.
            TransferEnd transfer_end(
                src_domain: I32, dst_domain: I32, value: I32, handle: I32
            ) -> Fallible(I32);
            /// `thread.index`.
            ThreadIndex thread_index(domain: I32) -> Fallible(I32);
            /// Creates a thread for the function at `index` of table `table`, which must have the
            /// signature `sig`. Returns its index.
            ThreadNew thread_new(
                domain: I32, table: I32, sig: I32, index: I64, argument: I64
            ) -> Fallible(I32);
            /// `thread.resume-later`.
            ThreadResumeLater thread_resume_later(domain: I32, thread: I32) -> TrapCode;
            /// Suspends the current thread or lets it yield, and may resume another one: one of
            /// [`thread_switch`](crate::builtin::thread_switch).
            ThreadSwitch thread_switch(domain: I32, switch: I32, thread: I32) -> Suspending(I32);
            /// Asks the store whether the guest goes on, because the interrupt word is not zero or
            /// the fuel counter has passed the pause. The fuel may have changed afterwards.
            CheckIn check_in() -> ColdTrapCode;
        }
    };
}

macro_rules! define {
    ($(
        $(#[$doc:meta])*
        $variant:ident $name:ident($($param:ident: $ty:ident),*)
            -> $result:ident $(($result_ty:ident))?;
    )*) => {
        /// A function of the runtime that machine code calls. Its number is its index in the
        /// builtin pointer array.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[repr(u32)]
        pub enum Builtin {
            $($(#[$doc])* $variant,)*
        }

        impl Builtin {
            /// Every builtin, in numeric order.
            pub const ALL: &[Builtin] = &[$(Builtin::$variant),*];

            /// Returns the builtin's name, for symbols and messages.
            pub const fn name(self) -> &'static str {
                match self { $(Builtin::$variant => stringify!($name),)* }
            }

            /// Returns the types of the parameters after `ctx`.
            pub const fn params(self) -> &'static [BuiltinType] {
                match self { $(Builtin::$variant => &[$(BuiltinType::$ty),*],)* }
            }

            /// Returns the kind of result.
            pub const fn result(self) -> BuiltinResult {
                match self {
                    $(Builtin::$variant => {
                        BuiltinResult::$result $((BuiltinType::$result_ty))?
                    })*
                }
            }
        }
    };
}

builtins!(define);

/// The value that a builtin with [`BuiltinResult::Growth`] returns to end the call with an error of
/// the host. It is neither a size nor the -1 of refused growth. To trap, the builtin returns this
/// number minus the code of the trap.
pub const GROWTH_ENDED: u64 = u64::MAX - 1;

/// The value that a transcoder returns instead of a length if a character does not fit Latin-1.
/// Lengths are below 2^28.
pub const NOT_LATIN1: u32 = u32::MAX;

/// What [`EndCopy`](Builtin::EndCopy) and [`EndCancel`](Builtin::EndCancel) return while a copy is
/// under way, and [`SubtaskCancel`](Builtin::SubtaskCancel) while a subtask has not ended.
pub const BLOCKED: u32 = u32::MAX;

/// The word of the array of [`FuncKey::Return`](crate::FuncKey::Return) that has the caller's
/// pointer for the result. Before it are the arguments of `task.return`.
pub const RESULT_POINTER: usize = crate::component::MAX_FLAT_PARAMS;

/// Flags of the built-ins on ends of streams and futures.
pub mod end_flags {
    /// The end is the writable one.
    pub const WRITES: u32 = 1;
    /// The built-in has the option `async`.
    pub const ASYNC: u32 = 2;
}

/// The kinds of [`ThreadSwitch`](Builtin::ThreadSwitch).
pub mod thread_switch {
    /// The bit of those that leave the current thread ready.
    pub const YIELD: u32 = 1;
    /// The bit of those that resume another thread, which must be suspended.
    pub const RESUME: u32 = 2;
    /// The bit of those that resume another thread if it is ready.
    pub const PROMOTE: u32 = 4;
}

impl Builtin {
    /// The number of builtins. The builtin pointer array has one more entry, [`RAISE_SLOT`].
    pub const COUNT: usize = Self::ALL.len();

    /// Returns the builtin with this number, if there is one.
    pub fn from_u32(raw: u32) -> Option<Self> {
        Self::ALL.get(raw as usize).copied()
    }

    /// Returns the builtin's number.
    pub const fn as_u32(self) -> u32 {
        self as u32
    }
}

/// The index of the last entry of the builtin pointer array, after all builtins: the address of the
/// raise stub, `extern "C" fn(ctx, trap_code: u32) -> !`. Code 0 ends the call with the error that
/// a host function left with the runtime.
pub const RAISE_SLOT: usize = Builtin::COUNT;
