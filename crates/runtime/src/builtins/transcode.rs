//! Transcoding as machine code calls it.
//!
//! # Safety
//!
//! All of the functions: `src` and `dst` are places of the sizes that the safe functions of
//! [`transcode`] ask for, in accessible parts of the memories of one instance, which is used by
//! this thread only. They may overlap.

use crate::bulk::Pauses;
use crate::component::transcode::{self, Unit, any_end, in_pieces, utf8_end, utf16_end};
use crate::instance::InstanceData;
use mintage_environ::Trap;
use mintage_environ::builtin::NOT_LATIN1;
use std::borrow::Cow;
use std::slice;

/// A string in some memory.
struct SourceString<T>(*const T, usize);

impl<T: Copy> SourceString<T> {
    /// The string and the place of `len` items that it goes to. A string that overlaps this
    /// place is copied first: both can be in one memory when a component instance calls itself.
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
        // SAFETY: as for the whole module; the slice is gone before the other one is made, if
        // they overlap.
        let mut src = Cow::Borrowed(unsafe { slice::from_raw_parts(self.0, self.1) });
        let src_range = (self.0.addr(), self.0.addr() + size_of_val(&*src));
        let dst_range = (dst.addr(), dst.addr() + len * size_of::<D>());
        if src_range.0 < dst_range.1 && dst_range.0 < src_range.1 {
            src = Cow::Owned(copied(&src, pauses)?);
        }
        // SAFETY: as for the whole module; the string is elsewhere.
        Ok((src, unsafe { slice::from_raw_parts_mut(dst, len) }))
    }
}

/// A copy of a string.
#[cold]
#[inline(never)]
fn copied<T: Copy>(src: &[T], pauses: Pauses<'_>) -> Result<Vec<T>, Trap> {
    let mut copy = Vec::with_capacity(src.len());
    pauses.run(src.len(), |piece| copy.extend_from_slice(&src[piece]))?;
    Ok(copy)
}

/// The word of a builtin that gives a length: trap code in the high half, value in the low
/// half.
fn length(result: Result<usize, Trap>) -> u64 {
    match result {
        Ok(length) => u64::from(length as u32),
        Err(trap) => u64::from(trap as u8) << 32,
    }
}

/// The word of a builtin that gives nothing but may trap.
fn code(result: Result<usize, Trap>) -> u32 {
    result.map_or_else(|trap| trap as u32, |_| 0)
}

macro_rules! raw {
    ($($name:ident: [$src_ty:ty] -> [$dst_ty:ty; $times:literal], $word:ident -> $result:ty, $transcode:expr;)*) => {$(
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

/// A function without pieces of its own.
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

    /// The raw form, where the string lies within the place that it goes to.
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
