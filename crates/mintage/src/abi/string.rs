//! Strings in the three encodings (`load_string`, `store_string`).
//!
//! Lowering knows the exact length in the guest's encoding before it asks for memory, so there is
//! one `realloc` call; the specification lets the host choose how it got the string.

use super::context::{is_aligned, read_u32};
use super::list::lift_from;
use super::{
    CanonicalAbi, ComponentType, InstanceTypes, InterfaceType, Lift, LiftContext, Lower,
    LowerContext,
};
use crate::Trap;
use crate::error::{Result, ensure, trap, trap_unless};
use mintage_environ::component::{MAX_STRING_BYTE_LENGTH, StringEncoding, UTF16_TAG};
use std::borrow::Cow;

/// The most bytes that a string may take in guest memory.
const MAX_BYTES: usize = MAX_STRING_BYTE_LENGTH as usize;

impl LowerContext<'_> {
    /// Stores a string in the guest's encoding: its pointer and its length in code units, tagged
    /// where it must be.
    #[inline]
    pub(super) fn lower_string(&mut self, string: &str) -> Result<(u32, u32)> {
        match self.options.encoding {
            StringEncoding::Utf8 => {
                let offset = self.allocate_string(1, string.len())?;
                self.write_bytes(offset, string.as_bytes());
                Ok((offset as u32, string.len() as u32))
            }
            StringEncoding::Utf16 => self.lower_utf16(string),
            StringEncoding::CompactUtf16 => {
                let Some(len) = latin1_len(string) else {
                    let (offset, len) = self.lower_utf16(string)?;
                    return Ok((offset, len | UTF16_TAG));
                };
                let offset = self.allocate_string(2, len)?;
                self.write_items(offset, len, string.chars().map(|c| [u32::from(c) as u8]));
                Ok((offset as u32, len as u32))
            }
        }
    }

    fn lower_utf16(&mut self, string: &str) -> Result<(u32, u32)> {
        let units = string.encode_utf16().count();
        let offset = self.allocate_string(2, units * 2)?;
        self.write_items(offset, units, string.encode_utf16().map(u16::to_le_bytes));
        Ok((offset as u32, units as u32))
    }

    #[inline]
    fn allocate_string(&mut self, align: u32, size: usize) -> Result<usize> {
        ensure!(
            size <= MAX_BYTES,
            "string of {size} bytes is longer than the limit of {MAX_BYTES}"
        );
        self.allocate(align, size)
    }
}

/// Returns the number of characters of a string, if none is past U+00FF.
fn latin1_len(string: &str) -> Option<usize> {
    if string.is_ascii() {
        return Some(string.len());
    }
    string
        .chars()
        .try_fold(0, |len, c| (u32::from(c) < 0x100).then_some(len + 1))
}

impl<'a> LiftContext<'a> {
    /// Returns the string at `pointer` with `len` code units, tagged or not: as it is in memory, if
    /// its encoding is that of Rust.
    pub(super) fn view_string(&mut self, pointer: u32, len: u32) -> Result<Cow<'a, str>> {
        if self.options.encoding != StringEncoding::Utf8 {
            return self.lift_string(pointer, len).map(Cow::Owned);
        }
        let bytes = self.string_bytes(pointer, len as usize, 1)?;
        match mintage_runtime::from_utf8(bytes) {
            Some(string) => Ok(Cow::Borrowed(string)),
            None => bad_utf8(bytes).map(Cow::Owned),
        }
    }

    /// Checks that a string can be at `pointer` with `len` code units, tagged or not, without
    /// looking at it.
    pub(super) fn check_string(&mut self, pointer: u32, len: u32) -> Result<()> {
        let (size, align) = match self.options.encoding {
            StringEncoding::Utf8 => (len as usize, 1),
            StringEncoding::Utf16 => (len as usize * 2, 2),
            StringEncoding::CompactUtf16 if len & UTF16_TAG != 0 => {
                ((len ^ UTF16_TAG) as usize * 2, 2)
            }
            StringEncoding::CompactUtf16 => (len as usize, 2),
        };
        self.string_bytes(pointer, size, align).map(|_| ())
    }

    /// Returns the string at `pointer` with `len` code units, tagged or not
    /// (`load_string_from_range`).
    #[inline]
    pub(crate) fn lift_string(&mut self, pointer: u32, len: u32) -> Result<String> {
        match self.options.encoding {
            StringEncoding::Utf8 => {
                let bytes = self.copied_string_bytes(pointer, len as usize, 1)?;
                match mintage_runtime::from_utf8(bytes) {
                    Some(string) => Ok(string.to_owned()),
                    None => bad_utf8(bytes),
                }
            }
            StringEncoding::Utf16 => self.lift_utf16(pointer, len),
            StringEncoding::CompactUtf16 if len & UTF16_TAG != 0 => {
                self.lift_utf16(pointer, len ^ UTF16_TAG)
            }
            StringEncoding::CompactUtf16 => {
                let bytes = self.copied_string_bytes(pointer, len as usize, 2)?;
                Ok(bytes.iter().copied().map(char::from).collect())
            }
        }
    }

    fn lift_utf16(&mut self, pointer: u32, units: u32) -> Result<String> {
        let bytes = self.copied_string_bytes(pointer, units as usize * 2, 2)?;
        let units = bytes
            .chunks_exact(2)
            .map(|unit| u16::from_le_bytes([unit[0], unit[1]]));
        // A surrogate pair takes four bytes in both encodings, a single unit at most three.
        let mut string = String::with_capacity(bytes.len());
        for c in char::decode_utf16(units) {
            match c {
                Ok(c) => string.push(c),
                Err(error) => trap!(Trap::InvalidUtf16, "invalid utf-16: {error}"),
            }
        }
        Ok(string)
    }

    /// Returns the bytes of a string that will be copied. Inlined, so that `align` is a constant.
    #[inline(always)]
    fn copied_string_bytes(&mut self, pointer: u32, size: usize, align: u32) -> Result<&'a [u8]> {
        let bytes = self.string_bytes(pointer, size, align)?;
        // No encoding grows by more than a half on its way to UTF-8, except Latin-1, which can
        // double.
        self.charge(size, if align == 1 { 1 } else { 2 })?;
        Ok(bytes)
    }

    /// Returns the bytes of a string. Inlined, so that `align` is a constant.
    #[inline(always)]
    fn string_bytes(&mut self, pointer: u32, size: usize, align: u32) -> Result<&'a [u8]> {
        trap_unless!(
            Trap::StringTooLong,
            size <= MAX_BYTES,
            "string of {size} bytes is longer than the limit of {MAX_BYTES}"
        );
        trap_unless!(
            Trap::UnalignedPointer,
            is_aligned(pointer, align),
            "unaligned pointer: {pointer:#x} of a string is not a multiple of {align}"
        );
        let memory = self.memory();
        match memory
            .get(pointer as usize..)
            .and_then(|memory| memory.get(..size))
        {
            Some(bytes) => Ok(bytes),
            None => trap!(
                Trap::StringOutOfBounds,
                "string pointer/length out of bounds of memory: {size} bytes at {pointer:#x}, the \
                 memory has {:#x}",
                memory.len()
            ),
        }
    }
}

/// Finds the place of the error, which the fast validation does not report.
#[cold]
fn bad_utf8(bytes: &[u8]) -> Result<String> {
    match std::str::from_utf8(bytes) {
        Ok(string) => Ok(string.to_owned()),
        Err(error) => trap!(Trap::InvalidUtf8, "{error}"),
    }
}

impl ComponentType for str {
    const ABI: CanonicalAbi = CanonicalAbi::POINTER_PAIR;
    const NEEDS_TYPE: bool = false;

    fn matches(ty: InterfaceType, _types: &InstanceTypes<'_>) -> bool {
        ty == InterfaceType::String
    }

    fn describe() -> String {
        "string".into()
    }
}

impl Lower for str {
    #[inline]
    fn lower_flat(
        &self,
        cx: &mut LowerContext<'_>,
        _ty: InterfaceType,
        dst: &mut [u64],
    ) -> Result<()> {
        let (pointer, len) = cx.lower_string(self)?;
        dst[0] = u64::from(pointer);
        dst[1] = u64::from(len);
        Ok(())
    }

    fn lower_memory(
        &self,
        cx: &mut LowerContext<'_>,
        _ty: InterfaceType,
        offset: usize,
    ) -> Result<()> {
        let (pointer, len) = cx.lower_string(self)?;
        cx.write(offset, pointer.to_le_bytes());
        cx.write(offset + 4, len.to_le_bytes());
        Ok(())
    }
}

/// Implements the traits for a type that holds a `str`.
macro_rules! string_type {
    (<$($generics:lifetime)?> $ty:ty) => {
        impl<$($generics)?> ComponentType for $ty {
            const ABI: CanonicalAbi = <str as ComponentType>::ABI;
            const NEEDS_TYPE: bool = false;

            fn matches(ty: InterfaceType, types: &InstanceTypes<'_>) -> bool {
                <str as ComponentType>::matches(ty, types)
            }

            fn describe() -> String {
                <str as ComponentType>::describe()
            }
        }

        impl<$($generics)?> Lower for $ty {
            #[inline]
            fn lower_flat(
                &self,
                cx: &mut LowerContext<'_>,
                ty: InterfaceType,
                dst: &mut [u64],
            ) -> Result<()> {
                str::lower_flat(self, cx, ty, dst)
            }

            fn lower_memory(
                &self,
                cx: &mut LowerContext<'_>,
                ty: InterfaceType,
                offset: usize,
            ) -> Result<()> {
                str::lower_memory(self, cx, ty, offset)
            }
        }
    };
}

string_type!(<> String);
string_type!(<'a> Cow<'a, str>);

impl Lift for String {
    #[inline]
    fn lift_flat(cx: &mut LiftContext<'_>, _ty: InterfaceType, src: &[u64]) -> Result<Self> {
        cx.lift_string(src[0] as u32, src[1] as u32)
    }

    fn lift_memory(cx: &mut LiftContext<'_>, _ty: InterfaceType, bytes: &[u8]) -> Result<Self> {
        cx.lift_string(read_u32(bytes, 0), read_u32(bytes, 4))
    }
}

lift_from!([] Box<str>, String);
lift_from!([] Cow<'static, str>, String);
lift_from!([] std::sync::Arc<str>, String);
