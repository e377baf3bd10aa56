//! Traps: the closed list of reasons for which a guest is stopped.

use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! traps {
    ($($(#[$doc:meta])* $code:literal $variant:ident $message:literal;)*) => {
        /// The reason for which a guest was stopped (core specification, "Traps"; CanonicalABI.md,
        /// `trap_if`).
        ///
        /// The discriminant is the trap's code in machine code and in artifacts, from 1 to 250.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[non_exhaustive]
        #[repr(u8)]
        pub enum Trap {
            $($(#[$doc])* $variant = $code,)*
        }

        impl Trap {
            /// Every trap, in the order of codes.
            pub const ALL: &[Trap] = &[$(Trap::$variant),*];

            /// Returns the trap with this code, if there is one.
            pub const fn from_code(code: u8) -> Option<Trap> {
                match code { $($code => Some(Trap::$variant),)* _ => None }
            }

            /// Returns the message, without the prefix "wasm trap: ".
            pub const fn message(self) -> &'static str {
                match self { $(Trap::$variant => $message,)* }
            }
        }
    };
}

traps! {
    /// The stack limit of the store was reached.
    1 StackOverflow "call stack exhausted";
    /// A load, store or bulk operation was out of bounds of its memory or data segment.
    2 MemoryOutOfBounds "out of bounds memory access";
    /// An atomic access was not aligned.
    3 HeapMisaligned "unaligned atomic";
    /// A table access was out of bounds of its table or element segment.
    4 TableOutOfBounds "undefined element: out of bounds table access";
    /// An indirect call used a null entry.
    5 IndirectCallToNull "uninitialized element";
    /// An indirect call found a function of another type.
    6 BadSignature "indirect call type mismatch";
    /// A signed division or a truncation overflowed.
    7 IntegerOverflow "integer overflow";
    /// An integer was divided by zero.
    8 IntegerDivisionByZero "integer divide by zero";
    /// A NaN was converted to an integer.
    9 BadConversionToInteger "invalid conversion to integer";
    /// The `unreachable` instruction was executed.
    10 UnreachableCodeReached "wasm `unreachable` instruction executed";
    /// The interrupt word of the store was set.
    11 Interrupt "interrupt";
    /// The store ran out of fuel.
    12 OutOfFuel "all fuel consumed by WebAssembly";
    /// A null reference was used where the operation requires a non-null one.
    13 NullReference "null reference";
    /// A component instance was entered when this is not allowed (`may_enter`).
    14 CannotEnterComponent "cannot enter component instance";
    /// A component instance called out when this is not allowed (`may_leave`).
    15 CannotLeaveComponent "cannot leave component instance";
    /// A pointer passed to an adapter is not a multiple of its type's alignment.
    16 UnalignedPointer "unaligned pointer";
    /// Spilled parameters or results are out of bounds of their memory.
    17 PointerOutOfBounds "pointer out of bounds of memory";
    /// A string is out of bounds of its memory.
    18 StringOutOfBounds "string content out-of-bounds";
    /// A list is out of bounds of its memory.
    19 ListOutOfBounds "list content out-of-bounds";
    /// A string has more bytes than `MAX_STRING_BYTE_LENGTH`.
    20 StringTooLong "string too long";
    /// A list has more bytes than `MAX_LIST_BYTE_LENGTH`.
    21 ListTooLong "list too long";
    /// The discriminant of a variant is not that of a case.
    22 InvalidDiscriminant "invalid variant discriminant";
    /// A `char` is not a Unicode scalar value.
    23 InvalidChar "invalid `char` bit pattern";
    /// A string is not UTF-8.
    24 InvalidUtf8 "invalid utf-8";
    /// A string is not UTF-16: it has an unpaired surrogate.
    25 InvalidUtf16 "invalid utf-16";
    /// `realloc` returned an unaligned pointer.
    26 ReallocUnaligned "unaligned pointer: realloc return: result not aligned";
    /// `realloc` returned a block for spilled parameters that is out of bounds.
    27 ReallocOutOfBounds "realloc return: beyond end of memory";
    /// `realloc` returned a block for a string that is out of bounds.
    28 ReallocStringOutOfBounds
        "string content out-of-bounds: realloc return: beyond end of memory";
    /// `realloc` returned a block for a list that is out of bounds.
    29 ReallocListOutOfBounds "list content out-of-bounds: realloc return: beyond end of memory";
    /// An atomic wait on an unshared memory, which would never end.
    36 AtomicWaitNonSharedMemory "atomic wait: expected shared memory";
    /// The component instance has no handle with this index.
    40 UnknownHandle "unknown handle index";
    /// A handle is used as one of another resource type.
    41 WrongHandleType "handle index used with the wrong type";
    /// A handle was dropped or transferred while it was lent to a call (`num_lends`).
    42 HandleLent "cannot remove owned resource while borrowed";
    /// A borrowed handle was transferred as an owning one.
    43 NotOwned "cannot lift own resource from a borrow";
    /// A call returned without having dropped the handles lent to it (`num_borrows`).
    44 BorrowsRemain "borrow handles still remain at the end of the call";
    /// The handle table of a component instance is full, or the host has no memory to grow it.
    45 HandleTableFull "resource table has no free keys";
    /// The live objects leave no room for another one in their GC heap.
    50 HeapExhausted "GC heap exhausted";
    /// An object is larger than a GC heap can ever be.
    51 AllocationTooLarge "allocation size too large";
    /// An exception propagated out of the component instance that threw it.
    52 UncaughtException "uncaught exception";
    /// All threads wait, and nothing can ever happen.
    60 Deadlock "deadlock detected: event loop cannot make further progress";
    /// A function whose type is not `async` waits, and no other thread of its component instance
    /// can run.
    61 CannotBlock "cannot block a synchronous task before returning";
    /// A thread is to be resumed that is not suspended.
    62 CannotResumeThread "cannot resume thread which is not suspended";
    /// A callback returned a number that is not a code.
    63 UnsupportedCallbackCode "unsupported callback code";
    /// A built-in would wait for a waitable that is in a set.
    64 WaitableInSet "waitable cannot be used synchronously while added to a waitable set";
    /// A waitable set was dropped that has members or waiters.
    65 SetInUse "cannot drop waitable set with waiters";
    /// A subtask was dropped whose end its caller does not know of.
    66 SubtaskUnresolved "cannot drop a subtask which has not yet resolved";
    /// The writable end of a future was dropped before a value was written.
    67 FutureUnwritten "cannot drop future write end without first writing a value";
    /// An end of a stream or future was used in a state in which it must not be.
    68 EndUnusable "stream or future cannot be used now";
    /// Both ends of a stream or future of other values than numbers copy in one component instance.
    69 SameInstanceCopy
        "cannot read from and write to intra-component future/stream with non-numeric payload";
    /// `task.return` with another type or other options than those of the task.
    70 TaskReturnMismatch
        "invalid `task.return` signature and/or options for current task";
    /// The last thread of a task ended, and the task has given no result.
    71 NoTaskResult "task ended without `task.return` or `task.cancel`";
    /// A task gave a second result.
    72 TaskResolved "`task.return` or `task.cancel` called more than once for current task";
    /// `task.cancel` in a task that was not asked to end.
    73 TaskNotCancelled "`task.cancel` called by task which has not been cancelled";
    /// The counter of `backpressure.inc` is out of range.
    74 BackpressureOverflow "backpressure counter overflow";
    /// `subtask.cancel` of a subtask that has ended, or for the second time.
    75 SubtaskCancelled "`subtask.cancel` called after terminal status delivered";
    /// A read or write of more values than a buffer may have.
    76 CopyTooLong "stream read/write count too large";
    /// There are too many tasks, threads or waitables.
    77 TooManyTasks "too many tasks, threads or waitables in one instance";
    /// A built-in was called where no task runs.
    78 NoTask "canonical built-in called outside of a task";
    /// An array access was out of bounds.
    55 ArrayOutOfBounds "out of bounds array access";
    /// A reference was cast to a type that its referent does not have.
    56 CastFailure "cast failure";
}

impl fmt::Display for Trap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "wasm trap: {}", self.message())
    }
}

impl std::error::Error for Trap {}
