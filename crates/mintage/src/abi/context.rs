//! The contexts of lowering and lifting: guest memory, `realloc`, types, and the checks of
//! everything that a guest says.

use super::guest::Guest;
use super::view::ViewedMemory;
use super::{CanonicalAbi, ComponentTypes, HandleContext, InterfaceType, Lift, Lower};
use crate::Trap;
use crate::error::{Error, Result, abi_trap, bail, trap, trap_unless};
use mintage_environ::component::{Record, StringEncoding};
use mintage_environ::{MemoryId, limit};
use mintage_runtime::Instance;

/// The most bytes that a list may take in guest memory.
pub(crate) const MAX_LIST_BYTE_LENGTH: usize =
    mintage_environ::component::MAX_LIST_BYTE_LENGTH as usize;

/// The types of a call's values, and the encoding of the guest's strings.
#[derive(Clone, Copy)]
pub(crate) struct AbiOptions<'a> {
    pub types: &'a ComponentTypes,
    pub encoding: StringEncoding,
}

/// The parameters or results of a call, to be lifted.
pub(crate) enum LiftSource<'a> {
    /// Flat words.
    Flat(&'a [u64]),
    /// The bytes of a tuple.
    Memory(&'a [u8]),
}

impl LiftSource<'_> {
    /// Lifts the values as a tuple of type `ty`.
    #[inline]
    pub fn lift<V: Lift>(self, cx: &mut LiftContext<'_>, ty: InterfaceType) -> Result<V> {
        match self {
            LiftSource::Flat(words) => V::lift_flat(cx, ty, words),
            LiftSource::Memory(bytes) => V::lift_memory(cx, ty, bytes),
        }
    }
}

/// The place that the parameters or results of a call are lowered to.
pub(crate) enum LowerTarget<'a> {
    /// Flat words.
    Flat(&'a mut [u64]),
    /// The offset of a tuple in memory.
    Memory(usize),
}

impl LowerTarget<'_> {
    /// Lowers the values, a tuple of type `ty`.
    #[inline]
    pub fn lower<V: Lower>(
        self,
        cx: &mut LowerContext<'_>,
        ty: InterfaceType,
        values: &V,
    ) -> Result<()> {
        match self {
            LowerTarget::Flat(words) => values.lower_flat(cx, ty, words),
            LowerTarget::Memory(offset) => values.lower_memory(cx, ty, offset),
        }
    }
}

/// The types inside a type. Each method is for one kind of type and returns nothing for others,
/// which `matches` rules out.
macro_rules! type_accessors {
    ($context:ident) => {
        impl<'a> $context<'a> {
            /// Returns the component's types.
            #[inline]
            pub fn types(&self) -> &'a ComponentTypes {
                self.options.types
            }

            /// Returns the types of a tuple's fields.
            #[inline]
            pub fn tuple_types(&self, ty: InterfaceType) -> &'a [InterfaceType] {
                match ty {
                    InterfaceType::Tuple(id) => self.options.types.tuple(id),
                    _ => &[],
                }
            }

            /// Returns the fields of a record.
            pub fn record_types(&self, ty: InterfaceType) -> &'a [(Box<str>, InterfaceType)] {
                match ty {
                    InterfaceType::Record(id) => {
                        let Record { fields } = self.options.types.record(id);
                        fields
                    }
                    _ => &[],
                }
            }

            /// Returns the type of a list's elements, of a map's entries, or of an option's
            /// payload, and `ty` itself for other types.
            #[inline]
            pub fn element_type(&self, ty: InterfaceType) -> InterfaceType {
                match ty {
                    InterfaceType::Option(id) => *self.options.types.option(id),
                    _ => self.options.types.element(ty).unwrap_or(ty),
                }
            }

            /// Returns the payload types of a result's cases.
            pub fn result_types(
                &self,
                ty: InterfaceType,
            ) -> (Option<InterfaceType>, Option<InterfaceType>) {
                match ty {
                    InterfaceType::Result(id) => *self.options.types.result(id),
                    _ => (None, None),
                }
            }

            /// Returns the payload type of case `case` of a variant.
            pub fn case_type(&self, ty: InterfaceType, case: usize) -> Option<InterfaceType> {
                match ty {
                    InterfaceType::Variant(id) => self.options.types.variant(id).cases.get(case)?.1,
                    _ => None,
                }
            }
        }
    };
}

/// Passes host values to a guest.
pub struct LowerContext<'a> {
    pub(super) options: AbiOptions<'a>,
    pub(super) guest: Guest<'a>,
    pub(super) handles: Option<HandleContext<'a>>,
}

type_accessors!(LowerContext);

impl<'a> LowerContext<'a> {
    #[inline]
    pub(crate) fn new(
        options: AbiOptions<'a>,
        guest: Guest<'a>,
        handles: Option<HandleContext<'a>>,
    ) -> Self {
        Self {
            options,
            guest,
            handles,
        }
    }

    /// Allocates a block of `size` bytes, aligned to `align`, with the guest's `realloc`. Returns
    /// its offset in [`memory`](Self::memory).
    ///
    /// # Errors
    ///
    /// When the guest traps, or returns a block that is not aligned or not in bounds.
    pub fn allocate(&mut self, align: u32, size: usize) -> Result<usize> {
        self.guest.allocate(align, size)
    }

    /// Returns the guest's memory, for any use: other threads may write to it as well.
    ///
    /// Prefer [`write`](Self::write) and [`write_bytes`](Self::write_bytes) where they suffice.
    /// After this call the engine no longer knows which pages were written, so the reset of the
    /// instance has to ask the system.
    #[inline]
    pub fn memory(&mut self) -> &mut [u8] {
        self.guest.shared_bytes()
    }

    /// Writes an array of bytes to guest memory.
    ///
    /// # Panics
    ///
    /// When they do not lie within memory.
    #[inline]
    pub fn write<const N: usize>(&mut self, offset: usize, bytes: [u8; N]) {
        self.guest.write(offset, &bytes);
    }

    /// Writes bytes to guest memory.
    ///
    /// # Panics
    ///
    /// When they do not lie within memory.
    #[inline]
    pub fn write_bytes(&mut self, offset: usize, bytes: &[u8]) {
        self.guest.write(offset, bytes);
    }

    /// Writes `count` items of `N` bytes to guest memory.
    ///
    /// # Panics
    ///
    /// When they do not lie within memory.
    #[inline]
    pub(crate) fn write_items<const N: usize>(
        &mut self,
        offset: usize,
        count: usize,
        items: impl Iterator<Item = [u8; N]>,
    ) {
        self.guest.write_items(offset, count, items);
    }

    /// Writes the discriminant of a variant with `cases` cases.
    ///
    /// # Panics
    ///
    /// When it does not lie within memory.
    pub fn write_discriminant(&mut self, offset: usize, case: u32, cases: usize) {
        match mintage_environ::component::discriminant_size(cases) {
            1 => self.write(offset, [case as u8]),
            2 => self.write(offset, (case as u16).to_le_bytes()),
            _ => self.write(offset, case.to_le_bytes()),
        }
    }

    /// Checks the guest's pointer to the results, of layout `abi`. Returns its offset in memory.
    pub(crate) fn result_area(&mut self, pointer: u32, abi: CanonicalAbi) -> Result<usize> {
        self.guest.refresh();
        let size = self.guest.size();
        check_pointer(pointer, abi, size)
    }

    /// Returns whether the guest trapped meanwhile.
    #[inline]
    pub(crate) fn trapped(&self) -> bool {
        self.guest.trapped()
    }
}

/// Returns whether a pointer is a multiple of `align`, a power of two, without the division that
/// takes longer than all other checks.
#[inline]
pub(crate) fn is_aligned(pointer: u32, align: u32) -> bool {
    pointer & (align - 1) == 0
}

/// Checks that a value of layout `abi` can lie at `pointer` in a memory of `size` bytes.
#[inline]
fn check_pointer(pointer: u32, abi: CanonicalAbi, size: usize) -> Result<usize> {
    let CanonicalAbi {
        size32, align32, ..
    } = abi;
    let start = pointer as usize;
    match is_aligned(pointer, align32) && start + size32 as usize <= size {
        true => Ok(start),
        false => Err(bad_pointer(pointer, size32, align32, size)),
    }
}

/// Returns the error for a pointer of a guest to a value that cannot lie there.
#[cold]
fn bad_pointer(pointer: u32, size32: u32, align32: u32, memory: usize) -> Error {
    match is_aligned(pointer, align32) {
        false => abi_trap(
            Trap::UnalignedPointer,
            format!("unaligned pointer: {pointer:#x} is not a multiple of {align32}"),
        ),
        true => abi_trap(
            Trap::PointerOutOfBounds,
            format!(
                "pointer out of bounds of memory: {size32} bytes at {pointer:#x}, the memory has \
                 {memory:#x}"
            ),
        ),
    }
}

/// The guest's memory, or the instance that has it.
#[derive(Clone, Copy)]
enum View<'a> {
    /// An instance whose memory is not looked up yet.
    Instance(&'a Instance),
    /// Memory.
    Memory(&'a [u8]),
}

/// Takes values from a guest.
pub struct LiftContext<'a> {
    pub(super) options: AbiOptions<'a>,
    view: View<'a>,
    /// The memory of the instance; none if the function has none, or the values come from the host.
    memory: Option<MemoryId>,
    /// Bytes of host memory that the values of this call may still take.
    budget: usize,
    /// The handles of the call, and the instance that they belong to.
    pub(super) handles: Option<(HandleContext<'a>, &'a Instance)>,
}

type_accessors!(LiftContext);

impl<'a> LiftContext<'a> {
    #[inline]
    pub(crate) fn new(
        options: AbiOptions<'a>,
        instance: &'a Instance,
        memory: Option<MemoryId>,
        budget: usize,
        handles: HandleContext<'a>,
    ) -> Self {
        Self {
            options,
            view: View::Instance(instance),
            memory,
            budget,
            handles: Some((handles, instance)),
        }
    }

    #[inline]
    pub(crate) fn with_handles(
        mut self,
        handles: HandleContext<'a>,
        instance: &'a Instance,
    ) -> Self {
        self.handles = Some((handles, instance));
        self
    }

    /// Lifts values from a memory that does not belong to a guest.
    pub(crate) fn of_memory(options: AbiOptions<'a>, memory: &'a [u8], budget: usize) -> Self {
        Self {
            options,
            view: View::Memory(memory),
            memory: None,
            budget,
            handles: None,
        }
    }

    /// Returns the guest's memory.
    #[inline]
    pub fn memory(&mut self) -> &'a [u8] {
        match self.view {
            View::Memory(memory) => memory,
            View::Instance(instance) => {
                let memory = self.memory.map_or(&[][..], |id| instance.memory(id));
                self.view = View::Memory(memory);
                memory
            }
        }
    }

    /// Returns the name of the guest's memory, for views of what is lifted.
    ///
    /// # Errors
    ///
    /// When the values do not come from a guest.
    pub(super) fn viewed_memory(&self) -> Result<ViewedMemory> {
        match (&self.handles, self.memory) {
            (Some((handles, _)), Some(memory)) => Ok(ViewedMemory {
                store: handles.host.store,
                instance: handles.instance,
                domain: handles.domain,
                memory,
                encoding: self.options.encoding,
            }),
            _ => bail!(
                "`WasmStr` and `WasmList` are views of a guest's memory, and this value is not in \
                 one; use `String` or `Vec`"
            ),
        }
    }

    /// Charges the call for `count` values of `size` bytes of host memory. Call it before reserving
    /// memory for a number of values that a guest chose.
    ///
    /// # Errors
    ///
    /// When the call exceeds its limit. (Lists can overlap in guest memory, so a guest
    /// could otherwise make the host copy far more than the guest's memory holds.)
    #[inline]
    pub fn charge(&mut self, count: usize, size: usize) -> Result<()> {
        match count
            .checked_mul(size)
            .and_then(|bytes| self.budget.checked_sub(bytes))
        {
            Some(rest) => {
                self.budget = rest;
                Ok(())
            }
            None => bail!(limit!(
                HostcallFuel,
                "the values that the guest passes need more host memory than \
                 `Store::set_hostcall_fuel` allows for one call"
            )),
        }
    }

    /// Returns the discriminant in a flat word, of a variant with `cases` cases.
    ///
    /// # Errors
    ///
    /// When there is no such case.
    #[inline]
    pub fn flat_discriminant(word: u64, cases: usize) -> Result<u32> {
        let discriminant = word as u32;
        trap_unless!(
            Trap::InvalidDiscriminant,
            (discriminant as usize) < cases,
            "invalid variant discriminant {discriminant}: the type has {cases} cases"
        );
        Ok(discriminant)
    }

    /// Returns the discriminant at the start of the bytes of a variant with `cases` cases.
    ///
    /// # Errors
    ///
    /// When there is no such case.
    #[inline]
    pub fn memory_discriminant(bytes: &[u8], cases: usize) -> Result<u32> {
        let word = match mintage_environ::component::discriminant_size(cases) {
            1 => u32::from(bytes[0]),
            2 => u32::from(u16::from_le_bytes([bytes[0], bytes[1]])),
            _ => read_u32(bytes, 0),
        };
        Self::flat_discriminant(u64::from(word), cases)
    }

    /// Returns the bytes of a value of layout `abi` at `pointer`.
    #[inline]
    pub(crate) fn spilled(&mut self, pointer: u32, abi: CanonicalAbi) -> Result<&'a [u8]> {
        let memory = self.memory();
        let start = check_pointer(pointer, abi, memory.len())?;
        Ok(&memory[start..][..abi.size32 as usize])
    }

    /// Returns the bytes of a list of `len` elements of `size` bytes, aligned to `align`
    /// (`load_list_from_range`).
    ///
    /// # Errors
    ///
    /// When the list is too long, not aligned, or not within memory.
    pub fn list(&mut self, pointer: u32, len: u32, size: usize, align: u32) -> Result<&'a [u8]> {
        let memory = self.memory();
        let bytes = size.saturating_mul(len as usize);
        trap_unless!(
            Trap::ListTooLong,
            bytes <= MAX_LIST_BYTE_LENGTH,
            "list of {bytes} bytes is longer than the limit of {MAX_LIST_BYTE_LENGTH}"
        );
        trap_unless!(
            Trap::UnalignedPointer,
            is_aligned(pointer, align),
            "unaligned pointer: {pointer:#x} of a list is not a multiple of {align}"
        );
        match memory
            .get(pointer as usize..)
            .and_then(|memory| memory.get(..bytes))
        {
            Some(list) => Ok(list),
            None => trap!(
                Trap::ListOutOfBounds,
                "list pointer/length out of bounds of memory: {bytes} bytes at {pointer:#x}, the \
                 memory has {:#x}",
                memory.len()
            ),
        }
    }
}

/// Reads the `u32` at `offset` of a value's bytes.
#[inline]
pub(crate) fn read_u32(bytes: &[u8], offset: usize) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[offset..offset + 4]);
    u32::from_le_bytes(word)
}
