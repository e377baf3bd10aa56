//! The structs that machine code shares with the runtime, each defined by one macro table.

use std::sync::atomic::AtomicU64;

/// Expands to the `repr(C)` struct, one offset constant per field (`offsets::field`), and a test of
/// each.
macro_rules! machine_struct {
    (
        $(#[$doc:meta])*
        $name:ident in $offsets:ident {
            $($(#[$field_doc:meta])* $field:ident: $ty:ty = $offset:literal,)*
        }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        #[repr(C)]
        pub struct $name {
            $($(#[$field_doc])* pub $field: $ty,)*
        }

        /// Byte offsets of the fields from the start of the struct.
        pub mod $offsets {
            $(
                $(#[$field_doc])*
                #[allow(non_upper_case_globals, reason = "an offset has the name of its field")]
                pub const $field: i32 = $offset;
            )*
        }

        $(const _: () = assert!(std::mem::offset_of!($name, $field) == $offset);)*
    };
}

machine_struct! {
    /// The part of each domain that machine code shares with the runtime. It ends at `ctx`, so that
    /// a displacement of one byte reaches each field. It is not part of the image: the runtime
    /// writes it when an instance is used for the first time.
    ControlBlock in control_offsets {
        /// The lowest stack address that wasm code may use. Each outermost entry writes it.
        stack_limit: u64 = 0,
        /// The store's interrupt word, which all its instances share and any thread may write: a
        /// set of [`interrupt_bits`](crate::interrupt_bits). If it is not zero, the guest asks the
        /// runtime at the next loop head or function entry whether to go on. Unused if
        /// `Tunables::interruptible` is off.
        interrupt: *const AtomicU64 = 8,
        /// The store's fuel, which all its instances share. Unused if `Tunables::consume_fuel` is
        /// off.
        fuel: *const FuelWords = 16,
        /// The host table: a [`HostImport`](crate::HostImport) for each `LowerId`, then the
        /// destructor of each resource type of the host.
        host_imports: *const HostImport = 24,
        /// The builtin pointer array: the addresses of all builtins, then that of the raise stub.
        builtins: *const usize = 32,
        /// The current state of the store, the same for all its instances. It starts with an
        /// [`ExitRecord`](crate::ExitRecord), which is all that machine code knows of it.
        current: *mut ExitRecord = 40,
        /// Canonical ABI flags of the component instance: `MAY_LEAVE`.
        flags: u64 = 48,
        /// The addresses of the bytes of all data segments, by `DataId`. They never change, and the
        /// bytes of a dropped segment remain readable.
        data_segments: *const *const u8 = 56,
        /// The runtime's data of the root instance, the same in all domains. Machine code does not
        /// use it.
        instance: *const () = 64,
        /// Unused. Keeps the size of the block fixed.
        reserved: [u64; 7] = 72,
    }
}

impl ControlBlock {
    /// The size of the block in bytes. It starts at `ctx - SIZE`.
    pub const SIZE: i32 = 128;
    /// The bit of `flags` that is set while the instance may call out (`may_leave`).
    pub const MAY_LEAVE: u64 = 2;

    /// Returns the `ctx`-relative offset of the field at `offset`, one of [`control_offsets`].
    pub const fn from_ctx(offset: i32) -> i32 {
        offset - Self::SIZE
    }
}

const _: () = assert!(size_of::<ControlBlock>() == ControlBlock::SIZE as usize);

/// The fuel of a store. Only the thread that uses the store reads or writes it.
#[derive(Debug)]
#[repr(C)]
pub struct FuelWords {
    /// Counts consumed fuel upwards. Guests trap before it would overflow.
    pub counter: AtomicU64,
    /// If the counter is larger than this, the guest asks the runtime at the next loop head or
    /// function entry whether to go on.
    pub pause: AtomicU64,
}

impl FuelWords {
    /// The byte offset of `counter`.
    pub const COUNTER: i32 = 0;
    /// The byte offset of `pause`.
    pub const PAUSE: i32 = 8;
}

const _: () = {
    assert!(std::mem::offset_of!(FuelWords, counter) == FuelWords::COUNTER as usize);
    assert!(std::mem::offset_of!(FuelWords, pause) == FuelWords::PAUSE as usize);
};

/// The bits of a store's interrupt word. Each has its own owner, so that clearing one leaves the
/// others.
pub mod interrupt_bits {
    /// An interrupt handle stopped the guest.
    pub const STOPPED: u64 = 1;
    /// The store's deadline has passed.
    pub const EXPIRED: u64 = 2;
    /// The engine's epoch has reached the store's epoch deadline. The store decides what follows.
    pub const EPOCH: u64 = 4;
    /// The bits that end the guest's call in any case.
    pub const ENDING: u64 = STOPPED | EXPIRED;
}

machine_struct! {
    /// The place where wasm code last called out of machine code. The trampolines of host functions
    /// and builtins store it, for backtraces and the walk over frames.
    ExitRecord in exit_offsets {
        /// The frame pointer of the trampoline: the first frame of the walk. The pcs of its callers
        /// are the return addresses in the frames.
        fp: u64 = 0,
    }
}

machine_struct! {
    /// A resolved host function: one entry of the host table.
    ///
    /// The function gets `ctx`, `data` and an array of 8-byte words with the arguments, to which it
    /// writes the results. It returns zero, or one if it failed and left its error with the
    /// runtime.
    HostImport in host_import_offsets {
        /// The function.
        func: unsafe extern "C" fn(ctx: *mut u8, data: *const (), args: *mut u64) -> u32 = 0,
        /// The function's first argument after `ctx`.
        data: *const () = 8,
    }
}
