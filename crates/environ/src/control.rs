//! The structs that machine code reads and writes besides guest data, each defined by one macro
//! table.

use std::sync::atomic::AtomicU64;

/// Expands to the `repr(C)` struct, one offset constant per field (`offsets::field`), and a test of
/// each.
macro_rules! machine_struct {
    ($(#[$doc:meta])* $name:ident in $offsets:ident { $($(#[$field_doc:meta])* $field:ident: $ty:ty = $offset:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        #[repr(C)]
        pub struct $name {
            $($(#[$field_doc])* pub $field: $ty,)*
        }

        /// Byte offsets of the fields from the start of the struct.
        pub mod $offsets {
            $($(#[$field_doc])* #[allow(non_upper_case_globals, reason = "an offset is named as its field")]
            pub const $field: i32 = $offset;)*
        }

        $(const _: () = assert!(std::mem::offset_of!($name, $field) == $offset);)*
    };
}

machine_struct! {
    /// What machine code needs at a constant place of each domain: it ends at `ctx`, so that each
    /// field is one byte of displacement away. The first use of an instance writes it; it is no
    /// part of the image.
    ControlBlock in control_offsets {
        /// The lowest stack address that wasm code may use. Written by each outermost entry.
        stack_limit: u64 = 0,
        /// The store's interrupt word, the same for all its instances and written by any thread:
        /// non-zero asks the guest to stop at the next loop head, function entry or piece of a bulk
        /// operation. Not read where `Tunables::interruptible` is off.
        interrupt: *const AtomicU64 = 8,
        /// The store's counter of fuel, the same for all its instances: guests stop before it would
        /// overflow. Used only by code that is compiled with `Tunables::consume_fuel`.
        fuel: *const AtomicU64 = 16,
        /// The host table: one [`HostImport`](crate::HostImport) per `LowerId`, then one per
        /// resource type of the host, its destructor.
        host_imports: *const HostImport = 24,
        /// Addresses of the builtins and, behind them, of the raise stub.
        builtins: *const usize = 32,
        /// What is current in the store, the same for all its instances. It starts with an
        /// [`ExitRecord`](crate::ExitRecord), which is all that machine code knows of it.
        current: *mut ExitRecord = 40,
        /// Canonical ABI flags of the component instance: `MAY_LEAVE`.
        flags: u64 = 48,
        /// Addresses of the bytes of all data segments, by number. They never change, and dropping
        /// a segment leaves them readable.
        data_segments: *const *const u8 = 56,
        /// The runtime's data of the root instance, the same in all domains. Machine code does not
        /// use it.
        instance: *const () = 64,
        /// Free for later use; keeps the block's size fixed.
        reserved: [u64; 7] = 72,
    }
}

impl ControlBlock {
    /// Bytes that the block takes; it lies at `ctx - SIZE`.
    pub const SIZE: i32 = 128;
    /// Bit of `flags`: the instance may call out.
    pub const MAY_LEAVE: u64 = 2;

    /// The offset from `ctx` of the field at `offset` (one of [`control_offsets`]).
    pub const fn from_ctx(offset: i32) -> i32 {
        offset - Self::SIZE
    }
}

const _: () = assert!(size_of::<ControlBlock>() == ControlBlock::SIZE as usize);

machine_struct! {
    /// Where wasm code left for the host, stored by host-call and builtin trampolines, for
    /// backtraces.
    ExitRecord in exit_offsets {
        /// The frame pointer of the trampoline: the first frame of the walk.
        fp: u64 = 0,
        /// A pc inside the trampoline. (Callers' pcs are the return addresses found in the frames.)
        pc: u64 = 8,
    }
}

machine_struct! {
    /// A resolved host function: one entry of the host table.
    ///
    /// The function gets `ctx`, `data` and the array of 8-byte argument words, in which it leaves
    /// the results; it returns zero, or one when it failed and left its error in the runtime's
    /// data.
    HostImport in host_import_offsets {
        /// The function.
        func: unsafe extern "C" fn(ctx: *mut u8, data: *const (), args: *mut u64) -> u32 = 0,
        /// Its first argument after `ctx`.
        data: *const () = 8,
    }
}
