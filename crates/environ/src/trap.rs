//! Traps: the closed list of reasons why a guest was stopped.

use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! traps {
    ($($(#[$doc:meta])* $code:literal $variant:ident $message:literal;)*) => {
        /// Why a guest was stopped (core specification, "Traps"; Canonical ABI, `trap_if`).
        ///
        /// The discriminant is the trap's code in machine code and in artifacts: 1 to 250.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[non_exhaustive]
        #[repr(u8)]
        pub enum Trap {
            $($(#[$doc])* $variant = $code,)*
        }

        impl Trap {
            /// Every trap, in order of its code.
            pub const ALL: &[Trap] = &[$(Trap::$variant),*];

            /// The trap with this code.
            pub const fn from_code(code: u8) -> Option<Trap> {
                match code { $($code => Some(Trap::$variant),)* _ => None }
            }

            /// The text that follows "wasm trap: ".
            pub const fn message(self) -> &'static str {
                match self { $(Trap::$variant => $message,)* }
            }
        }
    };
}

traps! {
    /// The stack limit of the store was reached.
    1 StackOverflow "call stack exhausted";
    /// A load, store or bulk operation left its memory or its data segment.
    2 MemoryOutOfBounds "out of bounds memory access";
    /// An atomic access was not aligned.
    3 HeapMisaligned "unaligned atomic";
    /// A table access left its table or its element segment.
    4 TableOutOfBounds "undefined element: out of bounds table access";
    /// An indirect call met a null entry.
    5 IndirectCallToNull "uninitialized element";
    /// An indirect call met a function of another type.
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
    /// A null reference was used where a value is needed.
    13 NullReference "null reference";
    /// A component instance was entered while it must not be (`may_enter`).
    14 CannotEnterComponent "cannot enter component instance";
    /// A component instance called out while it must not (`may_leave`).
    15 CannotLeaveComponent "cannot leave component instance";
    /// A pointer given to an adapter is no multiple of its type's alignment.
    16 UnalignedPointer "unaligned pointer";
    /// Spilled parameters or results are not within memory.
    17 PointerOutOfBounds "pointer out of bounds of memory";
    /// A string is not within memory.
    18 StringOutOfBounds "string content out-of-bounds";
    /// A list is not within memory.
    19 ListOutOfBounds "list content out-of-bounds";
    /// A string has more bytes than `MAX_STRING_BYTE_LENGTH`.
    20 StringTooLong "string too long";
    /// A list has more bytes than `MAX_LIST_BYTE_LENGTH`.
    21 ListTooLong "list too long";
    /// The discriminant of a variant names no case.
    22 InvalidDiscriminant "invalid variant discriminant";
    /// A `char` is no Unicode scalar value.
    23 InvalidChar "invalid `char` bit pattern";
    /// A string is not UTF-8.
    24 InvalidUtf8 "invalid utf-8";
    /// A string is not UTF-16: it has an unpaired surrogate.
    25 InvalidUtf16 "invalid utf-16";
    /// `realloc` gave an unaligned pointer.
    26 ReallocUnaligned "unaligned pointer: realloc return: result not aligned";
    /// `realloc` gave a block for spilled parameters that is not within memory.
    27 ReallocOutOfBounds "realloc return: beyond end of memory";
    /// `realloc` gave a block for a string that is not within memory.
    28 ReallocStringOutOfBounds "string content out-of-bounds: realloc return: beyond end of memory";
    /// `realloc` gave a block for a list that is not within memory.
    29 ReallocListOutOfBounds "list content out-of-bounds: realloc return: beyond end of memory";
    /// An atomic wait on a memory that is not shared, which would be for ever.
    36 AtomicWaitNonSharedMemory "atomic wait: expected shared memory";
    /// A handle index names no handle of the component instance.
    40 UnknownHandle "unknown handle index";
    /// A handle is of another resource type than the one that it is used as.
    41 WrongHandleType "handle index used with the wrong type";
    /// A handle was dropped or given away while it is lent to a call (`num_lends`).
    42 HandleLent "cannot remove owned resource while borrowed";
    /// A borrowed handle was given away as an owned one.
    43 NotOwned "cannot lift own resource from a borrow";
    /// A call returned, and handles that were lent to it were not dropped (`num_borrows`).
    44 BorrowsRemain "borrow handles still remain at the end of the call";
    /// The handle table of a component instance has as many entries as it can have, or as the host
    /// has memory for.
    45 HandleTableFull "resource table has no free keys";
    /// The objects that are reachable leave no room for another one in their heap.
    50 HeapExhausted "object heap exhausted";
    /// An object is larger than a heap can ever be.
    51 AllocationTooLarge "allocation size too large";
    /// An exception left the component instance that threw it.
    52 UncaughtException "uncaught exception";
    /// An array access left the array.
    55 ArrayOutOfBounds "out of bounds array access";
    /// A reference was cast to a type that what it refers to is not of.
    56 CastFailure "cast failure";
}

impl fmt::Display for Trap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "wasm trap: {}", self.message())
    }
}

impl std::error::Error for Trap {}
