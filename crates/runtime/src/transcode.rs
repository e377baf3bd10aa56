//! Transcoding of strings between component instances (CanonicalABI.md, `store_string_into_range`).
//!
//! The adapters in machine code check places, call `realloc` and decide what follows; the functions here only read one
//! place and write another. Each comes in two layers: a safe function over slices, which the tests see, and in [`raw`] the
//! form that machine code calls, over addresses.
//!
//! A UTF-16 code unit is two bytes in little endian order, so that no place needs to be aligned.

use mintage_environ::Trap;
use mintage_environ::builtin::NOT_LATIN1;

/// A UTF-16 code unit.
type Unit = [u8; 2];

/// Bytes or units that are looked at together where runs of simple characters are expected; the compiler makes vectors of them.
const CHUNK: usize = 16;

/// Checks UTF-8.
fn utf8(bytes: &[u8]) -> Result<&str, Trap> {
    from_utf8(bytes).ok_or(Trap::InvalidUtf8)
}

/// The string that the bytes are, if they are UTF-8.
#[inline]
pub fn from_utf8(bytes: &[u8]) -> Option<&str> {
    /// From here on the vectors of `simdutf8` are faster, whatever the text. It does nothing about shorter ones, most of which are
    /// ASCII.
    const LONG: usize = 64;
    if bytes.len() < LONG && bytes.is_ascii() {
        // SAFETY: ASCII is UTF-8.
        return Some(unsafe { str::from_utf8_unchecked(bytes) });
    }
    simdutf8::basic::from_utf8(bytes).ok()
}

/// Copies UTF-8 to a place of the same size.
fn copy_utf8(dst: &mut [u8], src: &[u8]) -> Result<(), Trap> {
    utf8(src)?;
    dst.copy_from_slice(src);
    Ok(())
}

/// Copies UTF-16 to a place of the same size.
fn copy_utf16(dst: &mut [Unit], src: &[Unit]) -> Result<(), Trap> {
    check_utf16(src)?;
    dst.copy_from_slice(src);
    Ok(())
}

/// Whether a unit is half of a pair.
fn is_surrogate(unit: Unit) -> bool {
    u16::from_le_bytes(unit) & 0xf800 == 0xd800
}

fn check_utf16(mut src: &[Unit]) -> Result<(), Trap> {
    while !src.is_empty() {
        let simple = run(src, |unit| !is_surrogate(unit));
        src = &src[simple..];
        if !src.is_empty() {
            let (_, rest) = next_utf16(src)?;
            src = rest;
        }
    }
    Ok(())
}

/// How many items at the start are all `simple`; it may stop up to a chunk early.
fn run<T: Copy>(items: &[T], simple: impl Fn(T) -> bool) -> usize {
    let all = |chunk: &[T]| chunk.iter().fold(true, |all, &item| all & simple(item));
    let whole = items.chunks_exact(CHUNK).take_while(|chunk| all(chunk)).count() * CHUNK;
    whole
        + items[whole..]
            .iter()
            .take(CHUNK)
            .take_while(|&&item| simple(item))
            .count()
}

/// The first character of UTF-16 that is not empty, and what follows.
fn next_utf16(src: &[Unit]) -> Result<(char, &[Unit]), Trap> {
    let mut units = src.iter().map(|&unit| u16::from_le_bytes(unit));
    let mut decoder = char::decode_utf16(units.by_ref().take(2));
    match decoder.next() {
        Some(Ok(char)) => Ok((char, &src[char.len_utf16()..])),
        _ => Err(Trap::InvalidUtf16),
    }
}

/// Latin-1 to UTF-16 in a place of as many units.
fn latin1_to_utf16(dst: &mut [Unit], src: &[u8]) {
    for (unit, &byte) in dst.iter_mut().zip(src) {
        *unit = [byte, 0];
    }
}

/// UTF-8 to UTF-16 in a place of as many units as there are bytes: the number of units.
fn utf8_to_utf16(dst: &mut [Unit], src: &[u8]) -> Result<usize, Trap> {
    let mut rest = utf8(src)?;
    let mut end = 0;
    while !rest.is_empty() {
        let ascii = run(rest.as_bytes(), |byte| byte.is_ascii());
        let (simple, others) = rest.split_at(ascii);
        latin1_to_utf16(&mut dst[end..], simple.as_bytes());
        end += ascii;
        let mut chars = others.chars();
        // Characters that are not ASCII seldom come alone.
        for char in chars.by_ref().take(CHUNK) {
            for unit in char.encode_utf16(&mut [0; 2]) {
                dst[end] = unit.to_le_bytes();
                end += 1;
            }
        }
        rest = chars.as_str();
    }
    Ok(end)
}

/// Copies the ASCII characters at the start of Latin-1 to a place of as many bytes: how many they are.
fn latin1_ascii(dst: &mut [u8], src: &[u8]) -> usize {
    let mut count = 0;
    while count < src.len() {
        let ascii = run(&src[count..], |byte| byte.is_ascii());
        if ascii == 0 {
            break;
        }
        dst[count..][..ascii].copy_from_slice(&src[count..][..ascii]);
        count += ascii;
    }
    count
}

/// Latin-1 to UTF-8 in a place of twice as many bytes: the number of bytes.
fn latin1_to_utf8(dst: &mut [u8], src: &[u8]) -> usize {
    let mut end = 0;
    for &byte in src {
        end += char::from(byte).encode_utf8(&mut dst[end..]).len();
    }
    end
}

fn is_ascii(unit: Unit) -> bool {
    u16::from_le_bytes(unit) < 0x80
}

/// Copies the ASCII characters at the start of UTF-16 to a place of as many bytes: how many they are.
fn utf16_ascii(dst: &mut [u8], src: &[Unit]) -> usize {
    let mut count = 0;
    while count < src.len() {
        let ascii = run(&src[count..], is_ascii);
        if ascii == 0 {
            break;
        }
        narrow(&mut dst[count..], &src[count..][..ascii]);
        count += ascii;
    }
    count
}

/// The low bytes of units.
fn narrow(dst: &mut [u8], src: &[Unit]) {
    for (byte, &unit) in dst.iter_mut().zip(src) {
        *byte = unit[0];
    }
}

/// UTF-16 to UTF-8 in a place of three times as many bytes as there are units: the number of bytes.
fn utf16_to_utf8(dst: &mut [u8], src: &[Unit]) -> Result<usize, Trap> {
    let mut rest = src;
    let mut end = 0;
    while !rest.is_empty() {
        let ascii = run(rest, is_ascii);
        narrow(&mut dst[end..], &rest[..ascii]);
        end += ascii;
        rest = &rest[ascii..];
        // Characters that are not ASCII seldom come alone.
        for _ in 0..CHUNK {
            if rest.is_empty() {
                break;
            }
            let char;
            (char, rest) = next_utf16(rest)?;
            end += char.encode_utf8(&mut dst[end..]).len();
        }
    }
    Ok(end)
}

/// UTF-8 to Latin-1 in a place of as many bytes: the number of bytes, or `None` when a character does not fit.
fn utf8_to_latin1(dst: &mut [u8], src: &[u8]) -> Result<Option<usize>, Trap> {
    let mut end = 0;
    for char in utf8(src)?.chars() {
        let Ok(byte) = u8::try_from(char) else { return Ok(None) };
        dst[end] = byte;
        end += 1;
    }
    Ok(Some(end))
}

/// UTF-16 to Latin-1 in a place of as many bytes as there are units: whether every character fits.
fn utf16_to_latin1(dst: &mut [u8], src: &[Unit]) -> Result<bool, Trap> {
    check_utf16(src)?;
    let fits = src.iter().fold(true, |fits, unit| fits & (unit[1] == 0));
    if fits {
        narrow(dst, src);
    }
    Ok(fits)
}

/// The functions as machine code calls them.
///
/// # Safety
///
/// All of them: `src` and `dst` are places of the sizes that the safe functions above ask for, in accessible parts of the
/// memories of one instance, which is used by this thread only. They may overlap.
pub mod raw {
    use super::*;
    use std::borrow::Cow;
    use std::slice;

    /// A string in some memory.
    struct Source<T>(*const T, usize);

    impl<T: Copy> Source<T> {
        /// The string and the place of `len` items that it goes to. A string that overlaps this place is copied first: both
        /// can be in one memory when a component instance calls itself.
        ///
        /// # Safety
        ///
        /// As for the whole module.
        unsafe fn with<'s, D>(&self, dst: *mut D, len: usize) -> (Cow<'s, [T]>, &'s mut [D]) {
            // SAFETY: as for the whole module; the slice is gone before the other one is made, if they overlap.
            let mut src = Cow::Borrowed(unsafe { slice::from_raw_parts(self.0, self.1) });
            let src_range = (self.0.addr(), self.0.addr() + size_of_val(&*src));
            let dst_range = (dst.addr(), dst.addr() + len * size_of::<D>());
            if src_range.0 < dst_range.1 && dst_range.0 < src_range.1 {
                src = Cow::Owned(src.into_owned());
            }
            // SAFETY: as for the whole module; the string is elsewhere.
            (src, unsafe { slice::from_raw_parts_mut(dst, len) })
        }
    }

    /// The word that a fallible builtin gives: trap code in the high half, value in the low half.
    fn word(result: Result<u32, Trap>) -> u64 {
        match result {
            Ok(value) => u64::from(value),
            Err(trap) => u64::from(trap as u8) << 32,
        }
    }

    /// The word of a builtin that gives nothing but may trap.
    fn code(result: Result<(), Trap>) -> u32 {
        result.map_or_else(|trap| trap as u32, |()| 0)
    }

    macro_rules! raw {
        ($($name:ident($src:ident: [$src_ty:ty], $dst:ident: [$dst_ty:ty; $times:literal]) -> $result:ty $body:block)*) => {$(
            pub unsafe extern "C" fn $name(_ctx: *mut u8, dst: u64, src: u64, len: u64) -> $result {
                let source = Source(src as *const $src_ty, len as usize);
                // SAFETY: as for the whole module.
                let ($src, $dst) = unsafe { source.with(dst as *mut $dst_ty, len as usize * $times) };
                $body
            }
        )*};
    }

    raw! {
        copy_utf8(src: [u8], dst: [u8; 1]) -> u32 { code(super::copy_utf8(dst, &src)) }
        copy_utf16(src: [Unit], dst: [Unit; 1]) -> u32 { code(super::copy_utf16(dst, &src)) }
        latin1_to_utf16(src: [u8], dst: [Unit; 1]) -> () { super::latin1_to_utf16(dst, &src); }
        utf8_to_utf16(src: [u8], dst: [Unit; 1]) -> u64 {
            word(super::utf8_to_utf16(dst, &src).map(|units| units as u32))
        }
        latin1_ascii(src: [u8], dst: [u8; 1]) -> u64 { super::latin1_ascii(dst, &src) as u64 }
        latin1_to_utf8(src: [u8], dst: [u8; 2]) -> u64 { super::latin1_to_utf8(dst, &src) as u64 }
        utf16_ascii(src: [Unit], dst: [u8; 1]) -> u64 { super::utf16_ascii(dst, &src) as u64 }
        utf16_to_utf8(src: [Unit], dst: [u8; 3]) -> u64 {
            word(super::utf16_to_utf8(dst, &src).map(|bytes| bytes as u32))
        }
        utf8_to_latin1(src: [u8], dst: [u8; 1]) -> u64 {
            word(super::utf8_to_latin1(dst, &src).map(|bytes| bytes.map_or(NOT_LATIN1, |bytes| bytes as u32)))
        }
        utf16_to_latin1(src: [Unit], dst: [u8; 1]) -> u64 {
            let fits = super::utf16_to_latin1(dst, &src);
            word(fits.map(|fits| if fits { src.len() as u32 } else { NOT_LATIN1 }))
        }
    }

    /// Copies `len` bytes.
    pub unsafe extern "C" fn copy_bytes(_ctx: *mut u8, dst: u64, src: u64, len: u64) {
        // SAFETY: as for the whole module.
        unsafe { std::ptr::copy(src as *const u8, dst as *mut u8, len as usize) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn utf16(text: &str) -> Vec<Unit> {
        text.encode_utf16().map(u16::to_le_bytes).collect()
    }

    fn units(units: &[u16]) -> Vec<Unit> {
        units.iter().map(|unit| unit.to_le_bytes()).collect()
    }

    /// Latin-1, if `text` fits it.
    fn latin1(text: &str) -> Option<Vec<u8>> {
        text.chars().map(|char| u8::try_from(char).ok()).collect()
    }

    /// Every pair of encodings against the standard library.
    fn check(text: &str) {
        let (utf8, utf16) = (text.as_bytes(), utf16(text));
        let mut bytes = vec![0; utf8.len()];
        assert_eq!(copy_utf8(&mut bytes, utf8), Ok(()));
        assert_eq!(bytes, utf8);
        let mut copy = vec![[0; 2]; utf16.len()];
        assert_eq!(copy_utf16(&mut copy, &utf16), Ok(()));
        assert_eq!(copy, utf16);
        let mut wide = vec![[0; 2]; utf8.len()];
        assert_eq!(utf8_to_utf16(&mut wide, utf8), Ok(utf16.len()));
        assert_eq!(wide[..utf16.len()], utf16);

        let mut narrow = vec![0; utf16.len() * 3];
        let ascii = utf16_ascii(&mut narrow, &utf16);
        assert_eq!(ascii, text.bytes().take_while(u8::is_ascii).count());
        let rest = utf16_to_utf8(&mut narrow[ascii..], &utf16[ascii..]).unwrap();
        assert_eq!(&narrow[..ascii + rest], utf8);

        let latin1 = latin1(text);
        let mut bytes = vec![0; utf8.len()];
        let count = utf8_to_latin1(&mut bytes, utf8).unwrap();
        assert_eq!(count.map(|count| &bytes[..count]), latin1.as_deref());
        let mut bytes = vec![0; utf16.len()];
        assert_eq!(utf16_to_latin1(&mut bytes, &utf16), Ok(latin1.is_some()));
        let Some(latin1) = latin1 else { return };
        assert_eq!(bytes, latin1);
        let mut wide = vec![[0; 2]; latin1.len()];
        latin1_to_utf16(&mut wide, &latin1);
        assert_eq!(wide, utf16);
        let mut bytes = vec![0; latin1.len() * 2];
        let ascii = latin1_ascii(&mut bytes, &latin1);
        assert_eq!(ascii, text.bytes().take_while(u8::is_ascii).count());
        let rest = latin1_to_utf8(&mut bytes[ascii..], &latin1[ascii..]);
        assert_eq!(&bytes[..ascii + rest], utf8);
    }

    #[test]
    fn edges() {
        let long = "0123456789abcdef";
        for text in [
            "",
            "a",
            "\u{7f}\u{80}",
            "\u{ff}\u{100}",
            "\u{d7ff}\u{e000}",
            "\u{ffff}\u{10000}\u{10ffff}",
            "\0",
        ] {
            check(text);
            check(&format!("{long}{text}"));
            check(&format!("{long}{long}{text}{long}"));
            check(&format!("a{text}{long}"));
        }
    }

    #[test]
    fn unpaired_surrogates() {
        let padding = [0x61; CHUNK];
        for wrong in [
            &[0xd800][..],
            &[0xdfff],
            &[0xdc00, 0xd800],
            &[0xd800, 0x61],
            &[0xd800, 0xd800, 0xdc00],
            &[0xdbff, 0xe000],
        ] {
            for (before, after) in [(0, 0), (1, 0), (0, 1), (CHUNK, 0), (CHUNK - 1, CHUNK), (CHUNK, CHUNK)] {
                let string = units(&[&padding[..before], wrong, &padding[..after]].concat());
                let mut bytes = vec![0; string.len() * 3];
                assert_eq!(utf16_to_utf8(&mut bytes, &string), Err(Trap::InvalidUtf16));
                assert_eq!(utf16_to_latin1(&mut bytes, &string), Err(Trap::InvalidUtf16));
                assert_eq!(copy_utf16(&mut string.clone(), &string), Err(Trap::InvalidUtf16));
            }
        }
    }

    #[test]
    fn wrong_bytes() {
        for wrong in [
            &b"\xff"[..],
            b"\xc3",
            b"\xc0\x80",
            b"\xed\xa0\x80",
            b"\xf4\x90\x80\x80",
            b"\xe2\x98",
            b"a\x80",
        ] {
            let string = [&[b'a'; 70][..], wrong, b"b"].concat();
            for string in [wrong, &string] {
                let mut bytes = vec![0; string.len()];
                assert_eq!(copy_utf8(&mut bytes, string), Err(Trap::InvalidUtf8));
                assert_eq!(utf8_to_latin1(&mut bytes, string), Err(Trap::InvalidUtf8));
                assert_eq!(
                    utf8_to_utf16(&mut vec![[0; 2]; string.len()], string),
                    Err(Trap::InvalidUtf8)
                );
            }
        }
    }

    /// The raw form, where the string lies within the place that it goes to.
    #[test]
    fn overlapping_places() {
        let mut memory = *b"--gr\xc3\xbc\xc3\x9fe--------";
        let base = memory.as_mut_ptr() as u64;
        // SAFETY: both places are in the array: 7 bytes, and 7 units.
        let word = unsafe { raw::utf8_to_utf16(std::ptr::null_mut(), base + 1, base + 2, 7) };
        assert_eq!(word, 5);
        assert_eq!(&memory[1..11], b"g\0r\0\xfc\0\xdf\0e\0");
    }

    proptest! {
        #[test]
        fn any_text(text in any::<String>(), prefix in "[a-z]{0,40}", mixed in "[a-zä-ü\u{100}\u{10000}]{0,80}", narrow in "[a-z\u{80}-\u{ff}]{0,80}") {
            for text in [&text, &mixed, &narrow, &(prefix.clone() + &text), &(prefix.clone() + &narrow)] {
                check(text);
            }
        }

        /// Any units: the result is that of the standard library.
        #[test]
        fn any_units(raw in proptest::collection::vec(prop_oneof![any::<u16>(), 0xd7f0..0xe010u16, 0x60..0x90u16], 0..70)) {
            let string = units(&raw);
            let mut bytes = vec![0; string.len() * 3];
            let expected = String::from_utf16(&raw).ok();
            let count = utf16_to_utf8(&mut bytes, &string);
            prop_assert_eq!(count.ok().map(|count| &bytes[..count]), expected.as_ref().map(|text| text.as_bytes()));
            prop_assert_eq!(check_utf16(&string).is_ok(), expected.is_some());
        }
    }
}
