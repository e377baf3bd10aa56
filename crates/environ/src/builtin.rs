//! The builtins: what machine code asks of the runtime. Listed once, here.
//!
//! To add one: add a row to [`builtins!`](crate::builtins), then follow the compiler's errors in
//! the runtime, which implements each row as an `extern "C"` function of the row's shape with `ctx`
//! in front.

use serde::{Deserialize, Serialize};

/// The type of a builtin's parameter or result, as machine code sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BuiltinType {
    /// A 32-bit integer.
    I32,
    /// A 64-bit integer, a table entry or a reference.
    I64,
}

/// What a builtin gives back to machine code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BuiltinResult {
    /// Nothing; the builtin does not return.
    Never,
    /// Nothing; the builtin returns a 32-bit word to its trampoline: zero, or the code of a
    /// [`Trap`](crate::Trap) to raise.
    TrapCode,
    /// A 64-bit value, or one from [`GROWTH_ENDED`] down: how far below it is the trap code to
    /// raise, 0 for the error that the builtin left with the runtime.
    Growth,
    /// A value.
    Value(BuiltinType),
    /// A 32-bit value; the builtin returns a 64-bit word to its trampoline: the value in the low
    /// half, and in the high half zero or the code of a [`Trap`](crate::Trap) to raise.
    Fallible(BuiltinType),
}

/// Calls the given macro with every builtin: documentation, variant, snake-case name, parameters,
/// result.
///
/// Parameters come after `ctx`. Memories, tables and segments are passed as their program-wide
/// number.
#[macro_export]
macro_rules! builtins {
    ($callback:ident) => {
        $callback! {
            /// Grows memory `memory` by `delta` pages: the old size in pages, or -1.
            MemoryGrow memory_grow(memory: I32, delta: I64) -> Growth;
            /// Grows table `table` by `delta` entries set to `init`: the old size, or -1.
            TableGrow table_grow(table: I32, init: I64, delta: I64) -> Growth;
            /// Sets `len` entries from `dst` on to `value`.
            TableFill table_fill(table: I32, dst: I64, value: I64, len: I64) -> TrapCode;
            /// Copies `len` entries between tables, which may be one and the same.
            TableCopy table_copy(dst_table: I32, src_table: I32, dst: I64, src: I64, len: I64) -> TrapCode;
            /// Copies `len` entries from element segment `elem` at `src` to table `table` at `dst`.
            TableInit table_init(table: I32, elem: I32, dst: I64, src: I32, len: I32) -> TrapCode;
            /// A reference to `size` bytes for a new object in the heap of `domain`, behind what
            /// machine code could allocate itself.
            HeapAllocate heap_allocate(domain: I32, size: I64) -> Fallible(I32);
            /// Goes on where `exception`, a reference to an object of `domain`, is caught.
            Throw throw(domain: I32, exception: I64) -> Never;
            /// Copies `len` entries of element segment `elem` from `src` on to an address that
            /// machine code has checked, the low `size` bytes of each.
            ArrayInitElem array_init_elem(dst: I64, elem: I32, src: I32, len: I32, size: I32) -> TrapCode;
            /// Fills `len` bytes from address `dst` on, which machine code has checked, with the 16
            /// bytes of `low` and `high` again and again.
            FillBytes fill_bytes(dst: I64, low: I64, high: I64, len: I64) -> TrapCode;
            /// Copies `len` bytes between addresses that machine code has checked, as in the copies
            /// that follow. The two may overlap.
            CopyBytes copy_bytes(dst: I64, src: I64, len: I64) -> TrapCode;
            /// Copies UTF-8.
            CopyUtf8 copy_utf8(dst: I64, src: I64, len: I64) -> TrapCode;
            /// Copies UTF-16 of `len` units.
            CopyUtf16 copy_utf16(dst: I64, src: I64, len: I64) -> TrapCode;
            /// Latin-1 of `len` bytes to UTF-16 of as many units.
            Latin1ToUtf16 latin1_to_utf16(dst: I64, src: I64, len: I64) -> TrapCode;
            /// UTF-8 of `len` bytes to UTF-16 of at most as many units: how many.
            Utf8ToUtf16 utf8_to_utf16(dst: I64, src: I64, len: I64) -> Fallible(I32);
            /// Copies the ASCII characters at the start of Latin-1: how many.
            Latin1Ascii latin1_ascii(dst: I64, src: I64, len: I64) -> Fallible(I32);
            /// Latin-1 of `len` bytes to UTF-8 of at most twice as many: how many.
            Latin1ToUtf8 latin1_to_utf8(dst: I64, src: I64, len: I64) -> Fallible(I32);
            /// Narrows the ASCII characters at the start of UTF-16 of `len` units: how many.
            Utf16Ascii utf16_ascii(dst: I64, src: I64, len: I64) -> Fallible(I32);
            /// UTF-16 of `len` units to UTF-8 of at most three times as many bytes: how many.
            Utf16ToUtf8 utf16_to_utf8(dst: I64, src: I64, len: I64) -> Fallible(I32);
            /// UTF-8 of `len` bytes to Latin-1 of at most as many: how many, or
            /// [`NOT_LATIN1`](crate::builtin::NOT_LATIN1).
            Utf8ToLatin1 utf8_to_latin1(dst: I64, src: I64, len: I64) -> Fallible(I32);
            /// UTF-16 of `len` units to Latin-1 of as many bytes: how many, or
            /// [`NOT_LATIN1`](crate::builtin::NOT_LATIN1).
            Utf16ToLatin1 utf16_to_latin1(dst: I64, src: I64, len: I64) -> Fallible(I32);
            /// Adds an owning handle of `resource` to the table of `domain`: its index. This and
            /// the next two leave it to machine code to test `may_leave`.
            ResourceNew resource_new(domain: I32, resource: I32, rep: I32) -> Fallible(I32);
            /// The representation of the resource behind a handle.
            ResourceRep resource_rep(domain: I32, resource: I32, handle: I32) -> Fallible(I32);
            /// Removes a handle: 1 when it owned its resource, which the caller then destroys, and
            /// 0 otherwise. Writes the representation, 4 bytes, to the address `rep`.
            ResourceDrop resource_drop(domain: I32, resource: I32, handle: I32, rep: I64) -> Fallible(I32);
            /// Moves an owning handle from one table to another: its index there.
            TransferOwn transfer_own(src_domain: I32, dst_domain: I32, resource: I32, handle: I32) -> Fallible(I32);
            /// Lends the resource behind a handle of `src_domain` to `dst_domain` for `call`.
            /// Returns the index of a new handle there, or the representation if `dst_domain`
            /// defines the resource.
            TransferBorrow transfer_borrow(call: I32, src_domain: I32, dst_domain: I32, resource: I32, handle: I32) -> Fallible(I32);
            /// Makes an error context of the message at `ptr` with `units` code units, tagged where
            /// `encoding` tags them: its handle in the table of `domain`. This and the next three
            /// leave it to machine code to test `may_leave`.
            ErrorContextNew error_context_new(domain: I32, memory: I32, encoding: I32, ptr: I64, units: I64) -> Fallible(I32);
            /// The length of an error context's message in an encoding, in code units, tagged where
            /// `encoding` tags them.
            ErrorContextUnits error_context_units(domain: I32, handle: I32, encoding: I32) -> Fallible(I32);
            /// Writes an error context's message to the address `dst`, which has room for `room`
            /// bytes: for all of it.
            ErrorContextMessage error_context_message(domain: I32, handle: I32, encoding: I32, dst: I64, room: I64) -> TrapCode;
            /// Removes the handle of an error context.
            ErrorContextDrop error_context_drop(domain: I32, handle: I32) -> TrapCode;
            /// Gives an error context of `src_domain` to `dst_domain`, too: its handle there.
            TransferErrorContext transfer_error_context(src_domain: I32, dst_domain: I32, handle: I32) -> Fallible(I32);
            /// Opens the scope of a call that borrows handles and returns its [`CallId`](crate::CallId).
            EnterCall enter_call() -> Value(I32);
            /// Closes the scope of `call` and ends its loans. Traps unless all handles lent to it
            /// were dropped. Comes after the lifting of results.
            ExitCall exit_call(call: I32) -> TrapCode;
        }
    };
}

macro_rules! define {
    ($($(#[$doc:meta])* $variant:ident $name:ident($($param:ident: $ty:ident),*) -> $result:ident $(($result_ty:ident))?;)*) => {
        /// A function of the runtime that machine code calls. Its number is its place in the
        /// builtin pointer array.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[repr(u32)]
        pub enum Builtin {
            $($(#[$doc])* $variant,)*
        }

        impl Builtin {
            /// Every builtin, in numeric order.
            pub const ALL: &[Builtin] = &[$(Builtin::$variant),*];

            /// The builtin's name, for symbols and messages.
            pub const fn name(self) -> &'static str {
                match self { $(Builtin::$variant => stringify!($name),)* }
            }

            /// The parameters after `ctx`.
            pub const fn params(self) -> &'static [BuiltinType] {
                match self { $(Builtin::$variant => &[$(BuiltinType::$ty),*],)* }
            }

            /// What comes back.
            pub const fn result(self) -> BuiltinResult {
                match self { $(Builtin::$variant => BuiltinResult::$result $((BuiltinType::$result_ty))?,)* }
            }
        }
    };
}

builtins!(define);

/// The result of growth that ends the call with an error of the host. It is neither a size nor the
/// -1 of growth that is refused. Growth that traps returns this less the code of the trap.
pub const GROWTH_ENDED: u64 = u64::MAX - 1;

/// What a transcoder gives in place of a length, which is always below 2^28, when a character does
/// not fit Latin-1.
pub const NOT_LATIN1: u32 = u32::MAX;

impl Builtin {
    /// The number of builtins. The builtin pointer array has one more entry, [`RAISE_SLOT`].
    pub const COUNT: usize = Self::ALL.len();

    /// The builtin with this number.
    pub fn from_u32(raw: u32) -> Option<Self> {
        Self::ALL.get(raw as usize).copied()
    }

    /// The builtin's number.
    pub const fn as_u32(self) -> u32 {
        self as u32
    }
}

/// The entry of the builtin pointer array behind the builtins: the address of the raise stub,
/// `extern "C" fn(ctx, trap_code: u32) -> !`. Code 0 ends the call with the error that a host
/// function left behind.
pub const RAISE_SLOT: usize = Builtin::COUNT;
