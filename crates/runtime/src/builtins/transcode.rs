//! Transcoding as machine code calls it.
//!
//! # Safety
//!
//! For all of the functions, `src` and `dst` are accessible places in memories of one instance,
//! which only this thread uses. They have the sizes that the safe functions of [`transcode`]
//! require. They may overlap.

use crate::bulk::Pauses;
use crate::component::transcode::{self, Unit, any_end, in_pieces, utf8_end, utf16_end};
use crate::instance::InstanceData;
use mintage_environ::Trap;
use mintage_environ::builtin::NOT_LATIN1;
use std::borrow::Cow;
use std::slice;

/// A string in a memory: its address and its length in items.
struct SourceString<T>(*const T, usize);

impl<T: Copy> SourceString<T> {
    /// Returns the string, and the place of `len` items for the result. If they overlap, the string
    /// is copied first. Both can be in one memory if a component instance calls itself.
    ///
    /// # Safety
    ///
    /// As for the whole module.
    #[inline(always)]
    unsafe fn with<'s, D>(
        &self,
        dst: *mut D,
        len: usize,
        pauses: Pauses<'_>,
    ) -> Result<(Cow<'s, [T]>, &'s mut [D]), Trap> {
        // SAFETY: as for the whole module. If the places overlap, this slice is gone before the
        // other is made.
        let mut src = Cow::Borrowed(unsafe { slice::from_raw_parts(self.0, self.1) });
        let src_range = (self.0.addr(), self.0.addr() + size_of_val(&*src));
        let dst_range = (dst.addr(), dst.addr() + len * size_of::<D>());
        if src_range.0 < dst_range.1 && dst_range.0 < src_range.1 {
            src = Cow::Owned(copied(&src, pauses)?);
        }
        // SAFETY: as for the whole module. The string is elsewhere.
        Ok((src, unsafe { slice::from_raw_parts_mut(dst, len) }))
    }
}

/// Copies a string.
#[cold]
#[inline(never)]
fn copied<T: Copy>(src: &[T], pauses: Pauses<'_>) -> Result<Vec<T>, Trap> {
    let mut copy = Vec::with_capacity(src.len());
    pauses.run(src.len(), |piece| copy.extend_from_slice(&src[piece]))?;
    Ok(copy)
}

/// Encodes a length for the trampoline: the value, or the code of a trap in the high half.
fn length(result: Result<usize, Trap>) -> u64 {
    match result {
        Ok(length) => u64::from(length as u32),
        Err(trap) => u64::from(trap as u8) << 32,
    }
}

/// Encodes success for the trampoline: zero, or the code of a trap.
fn code(result: Result<usize, Trap>) -> u32 {
    result.map_or_else(|trap| trap as u32, |_| 0)
}

macro_rules! raw {
    ($(
        $name:ident: [$src_ty:ty] -> [$dst_ty:ty; $times:literal], $word:ident -> $result:ty,
        $transcode:expr;
    )*) => {$(
        pub unsafe extern "C" fn $name(ctx: *mut u8, dst: u64, src: u64, len: u64) -> $result {
            // SAFETY: as for the whole module.
            let pauses = unsafe { InstanceData::of_ctx(ctx) }.pauses(len as usize);
            let source = SourceString(src as *const $src_ty, len as usize);
            // SAFETY: as for the whole module.
            let places = unsafe { source.with(dst as *mut $dst_ty, len as usize * $times, pauses) };
            $word(places.and_then(|(src, dst)| $transcode(dst, &src, pauses)))
        }
    )*};
}

/// Divides the work of a function into pieces.
macro_rules! pieces {
    ($end:ident, $transcode:expr) => {
        |dst: &mut [_], src: &[_], pauses| in_pieces(dst, src, pauses, $end, $transcode)
    };
}

raw! {
    copy_utf8: [u8] -> [u8; 1], code -> u32, pieces!(utf8_end, transcode::copy_utf8);
    copy_utf16: [Unit] -> [Unit; 1], code -> u32, pieces!(utf16_end, transcode::copy_utf16);
    latin1_to_utf16: [u8] -> [Unit; 1], code -> u32,
        pieces!(any_end, |dst, src| Ok(transcode::latin1_to_utf16(dst, src)));
    utf8_to_utf16: [u8] -> [Unit; 1], length -> u64, pieces!(utf8_end, transcode::utf8_to_utf16);
    latin1_ascii: [u8] -> [u8; 1], length -> u64, transcode::latin1_ascii;
    latin1_to_utf8: [u8] -> [u8; 2], length -> u64,
        pieces!(any_end, |dst, src| Ok(transcode::latin1_to_utf8(dst, src)));
    utf16_ascii: [Unit] -> [u8; 1], length -> u64, transcode::utf16_ascii;
    utf16_to_utf8: [Unit] -> [u8; 3], length -> u64, pieces!(utf16_end, transcode::utf16_to_utf8);
    utf8_to_latin1: [u8] -> [u8; 1], length -> u64, |dst: &mut [u8], src: &[u8], pauses| {
        let count = transcode::utf8_to_latin1(dst, src, pauses);
        count.map(|count| count.unwrap_or(NOT_LATIN1 as usize))
    };
    utf16_to_latin1: [Unit] -> [u8; 1], length -> u64, |dst: &mut [u8], src: &[Unit], pauses| {
        let fits = transcode::utf16_to_latin1(dst, src, pauses);
        fits.map(|fits| if fits { src.len() } else { NOT_LATIN1 as usize })
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The string lies within the place of the result.
    #[test]
    fn overlapping_places() {
        let mut memory = *b"--gr\xc3\xbc\xc3\x9fe--------";
        let base = memory.as_mut_ptr() as u64;
        // SAFETY: both places are in the array: 7 bytes, and 7 units.
        let places = unsafe {
            SourceString((base + 2) as *const u8, 7).with((base + 1) as *mut Unit, 7, Pauses::NEVER)
        };
        let (src, dst) = places.unwrap();
        assert_eq!(transcode::utf8_to_utf16(dst, &src), Ok(5));
        assert_eq!(&memory[1..11], b"g\0r\0\xfc\0\xdf\0e\0");
    }
}
