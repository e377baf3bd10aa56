//! Transcoding of strings between component instances (CanonicalABI.md, `store_string_into_range`).
//!
//! Adapters in machine code check places, call `realloc`, and decide what follows. The functions
//! here only read one place and write another. They work on slices. `builtins/transcode.rs` has the
//! functions that machine code calls with addresses.
//!
//! A UTF-16 code unit is two bytes in little endian order, so places need no alignment.
//!
//! A string may have about 2^28 bytes, and is processed in pieces ([`Pauses`]). No piece ends
//! within a character.

use crate::bulk::Pauses;
use mintage_environ::Trap;

/// A UTF-16 code unit.
pub type Unit = [u8; 2];

/// Bytes or units that are tested together where most characters are simple. The compiler
/// vectorizes these tests.
const CHUNK: usize = 16;

/// Checks UTF-8.
pub fn check_utf8(src: &[u8], pauses: Pauses<'_>) -> Result<(), Trap> {
    for_pieces(src, pauses, utf8_end, |piece| utf8(piece).map(drop))
}

/// Checks UTF-16.
pub fn check_utf16(src: &[Unit], pauses: Pauses<'_>) -> Result<(), Trap> {
    for_pieces(src, pauses, utf16_end, check_units)
}

/// Calls `work` for all of `src`, piece by piece. `end` returns the length of the next piece: at
/// most its second argument, and not much less.
#[inline]
fn for_pieces<'s, T>(
    mut src: &'s [T],
    pauses: Pauses<'_>,
    end: impl Fn(&[T], usize) -> usize,
    mut work: impl FnMut(&'s [T]) -> Result<(), Trap>,
) -> Result<(), Trap> {
    while src.len() > pauses.piece() {
        let (piece, rest) = src.split_at(end(src, pauses.piece()));
        work(piece)?;
        pauses.check()?;
        src = rest;
    }
    work(src)
}

/// Transcodes a string, piece by piece, with a function that returns how much it has written.
/// Returns the total.
#[inline]
pub fn in_pieces<S, D>(
    dst: &mut [D],
    src: &[S],
    pauses: Pauses<'_>,
    end: impl Fn(&[S], usize) -> usize,
    mut transcode: impl FnMut(&mut [D], &[S]) -> Result<usize, Trap>,
) -> Result<usize, Trap> {
    let mut written = 0;
    for_pieces(src, pauses, end, |piece| {
        written += transcode(&mut dst[written..], piece)?;
        Ok(())
    })?;
    Ok(written)
}

/// Returns the end of a piece that may end anywhere.
pub fn any_end<T>(_: &[T], most: usize) -> usize {
    most
}

/// Returns the end of a piece of UTF-8 that is not within a character. The piece has at most `most`
/// bytes, which is at least four and less than the whole.
pub fn utf8_end(bytes: &[u8], most: usize) -> usize {
    let starts = |&end: &usize| bytes[end] & 0xc0 != 0x80;
    // Four continuation bytes in a row are an error wherever the string is divided.
    (most - 3..=most).rev().find(starts).unwrap_or(most)
}

/// Returns the end of a piece of UTF-16 that is not within a character.
pub fn utf16_end(units: &[Unit], most: usize) -> usize {
    let is_first_half = u16::from_le_bytes(units[most - 1]) & 0xfc00 == 0xd800;
    most - usize::from(is_first_half)
}

/// Checks a piece of UTF-8.
fn utf8(bytes: &[u8]) -> Result<&str, Trap> {
    from_utf8(bytes).ok_or(Trap::InvalidUtf8)
}

/// Returns the bytes as a string, if they are UTF-8.
#[inline]
pub fn from_utf8(bytes: &[u8]) -> Option<&str> {
    /// The length from which on `simdutf8` is faster, whatever the text. It does not speed up
    /// shorter strings, most of which are ASCII.
    const LONG: usize = 64;
    if bytes.len() < LONG && bytes.is_ascii() {
        // SAFETY: ASCII is UTF-8.
        return Some(unsafe { str::from_utf8_unchecked(bytes) });
    }
    simdutf8::basic::from_utf8(bytes).ok()
}

/// Copies UTF-8 to the start of a place. Returns the number of bytes.
pub fn copy_utf8(dst: &mut [u8], src: &[u8]) -> Result<usize, Trap> {
    utf8(src)?;
    dst[..src.len()].copy_from_slice(src);
    Ok(src.len())
}

/// Copies UTF-16 to the start of a place. Returns the number of units.
pub fn copy_utf16(dst: &mut [Unit], src: &[Unit]) -> Result<usize, Trap> {
    check_units(src)?;
    dst[..src.len()].copy_from_slice(src);
    Ok(src.len())
}

/// Returns whether a unit is half of a surrogate pair.
fn is_surrogate(unit: Unit) -> bool {
    u16::from_le_bytes(unit) & 0xf800 == 0xd800
}

/// Checks a piece of UTF-16.
fn check_units(mut src: &[Unit]) -> Result<(), Trap> {
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

/// Returns how many items at the start are `simple`. It may stop up to a chunk early.
fn run<T: Copy>(items: &[T], simple: impl Fn(T) -> bool) -> usize {
    let all = |chunk: &[T]| chunk.iter().fold(true, |all, &item| all & simple(item));
    let whole = items
        .chunks_exact(CHUNK)
        .take_while(|chunk| all(chunk))
        .count()
        * CHUNK;
    whole
        + items[whole..]
            .iter()
            .take(CHUNK)
            .take_while(|&&item| simple(item))
            .count()
}

/// Returns the first character of UTF-16, which is not empty, and the rest.
fn next_utf16(src: &[Unit]) -> Result<(char, &[Unit]), Trap> {
    let mut units = src.iter().map(|&unit| u16::from_le_bytes(unit));
    let mut decoder = char::decode_utf16(units.by_ref().take(2));
    match decoder.next() {
        Some(Ok(char)) => Ok((char, &src[char.len_utf16()..])),
        _ => Err(Trap::InvalidUtf16),
    }
}

/// Converts Latin-1 to UTF-16, in a place of as many units. Returns their number.
pub fn latin1_to_utf16(dst: &mut [Unit], src: &[u8]) -> usize {
    for (unit, &byte) in dst.iter_mut().zip(src) {
        *unit = [byte, 0];
    }
    src.len()
}

/// Converts UTF-8 to UTF-16, in a place of as many units as there are bytes. Returns the number of
/// units.
pub fn utf8_to_utf16(dst: &mut [Unit], src: &[u8]) -> Result<usize, Trap> {
    let mut rest = utf8(src)?;
    let mut end = 0;
    while !rest.is_empty() {
        let ascii = run(rest.as_bytes(), |byte| byte.is_ascii());
        let (simple, others) = rest.split_at(ascii);
        latin1_to_utf16(&mut dst[end..], simple.as_bytes());
        end += ascii;
        let mut chars = others.chars();
        // Characters that are not ASCII seldom occur alone.
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

/// Copies the ASCII characters at the start of a string to a place of as many bytes. Returns their
/// number.
fn ascii<T: Copy>(
    dst: &mut [u8],
    src: &[T],
    pauses: Pauses<'_>,
    is_ascii: impl Fn(T) -> bool,
    copy: impl Fn(&mut [u8], &[T]),
) -> Result<usize, Trap> {
    let mut count = 0;
    while count < src.len() {
        let rest = &src[count..];
        let ascii = run(&rest[..rest.len().min(pauses.piece())], &is_ascii);
        if ascii == 0 {
            break;
        }
        copy(&mut dst[count..][..ascii], &rest[..ascii]);
        count += ascii;
        if count < src.len() {
            pauses.check()?;
        }
    }
    Ok(count)
}

/// [`ascii`] of Latin-1.
pub fn latin1_ascii(dst: &mut [u8], src: &[u8], pauses: Pauses<'_>) -> Result<usize, Trap> {
    ascii(
        dst,
        src,
        pauses,
        |byte| byte.is_ascii(),
        <[u8]>::copy_from_slice,
    )
}

/// Converts Latin-1 to UTF-8, in a place of twice as many bytes. Returns the number of bytes.
pub fn latin1_to_utf8(dst: &mut [u8], src: &[u8]) -> usize {
    let mut end = 0;
    for &byte in src {
        end += char::from(byte).encode_utf8(&mut dst[end..]).len();
    }
    end
}

fn is_ascii(unit: Unit) -> bool {
    u16::from_le_bytes(unit) < 0x80
}

/// [`ascii`] of UTF-16.
pub fn utf16_ascii(dst: &mut [u8], src: &[Unit], pauses: Pauses<'_>) -> Result<usize, Trap> {
    ascii(dst, src, pauses, is_ascii, narrow)
}

/// Copies the low bytes of units.
fn narrow(dst: &mut [u8], src: &[Unit]) {
    for (byte, &unit) in dst.iter_mut().zip(src) {
        *byte = unit[0];
    }
}

/// Converts UTF-16 to UTF-8, in a place of three times as many bytes as there are units. Returns
/// the number of bytes.
pub fn utf16_to_utf8(dst: &mut [u8], src: &[Unit]) -> Result<usize, Trap> {
    let mut rest = src;
    let mut end = 0;
    while !rest.is_empty() {
        let ascii = run(rest, is_ascii);
        narrow(&mut dst[end..], &rest[..ascii]);
        end += ascii;
        rest = &rest[ascii..];
        // Characters that are not ASCII seldom occur alone.
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

/// Converts UTF-8 to Latin-1, in a place of as many bytes. Returns the number of bytes, or `None`
/// if a character does not fit.
pub fn utf8_to_latin1(
    dst: &mut [u8],
    src: &[u8],
    pauses: Pauses<'_>,
) -> Result<Option<usize>, Trap> {
    let mut fits = true;
    let count = in_pieces(dst, src, pauses, utf8_end, |dst, src| {
        let text = utf8(src)?;
        let mut end = 0;
        // The rest after a character that does not fit is only checked.
        let mut chars = text.chars();
        while fits && let Some(char) = chars.next() {
            match u8::try_from(char) {
                Ok(byte) => dst[end] = byte,
                Err(_) => fits = false,
            }
            end += 1;
        }
        Ok(end)
    })?;
    Ok(fits.then_some(count))
}

/// Converts UTF-16 to Latin-1, in a place of as many bytes as there are units. Returns whether
/// every character fits.
pub fn utf16_to_latin1(dst: &mut [u8], src: &[Unit], pauses: Pauses<'_>) -> Result<bool, Trap> {
    let mut fits = true;
    in_pieces(dst, src, pauses, utf16_end, |dst, src| {
        check_units(src)?;
        fits = fits && src.iter().fold(true, |fits, unit| fits & (unit[1] == 0));
        if fits {
            narrow(dst, src);
        }
        Ok(src.len())
    })?;
    Ok(fits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bulk::tests::{RUNNING, STOPPED, of_piece};
    use proptest::prelude::*;

    fn utf16(text: &str) -> Vec<Unit> {
        text.encode_utf16().map(u16::to_le_bytes).collect()
    }

    fn units(units: &[u16]) -> Vec<Unit> {
        units.iter().map(|unit| unit.to_le_bytes()).collect()
    }

    /// Returns `text` in Latin-1, if it fits.
    fn latin1(text: &str) -> Option<Vec<u8>> {
        text.chars().map(|char| u8::try_from(char).ok()).collect()
    }

    /// Compares every pair of encodings with the standard library, in one go and in pieces.
    fn check(text: &str) {
        for pauses in [4, 5, 7, 33].map(|piece| of_piece(&RUNNING, piece)) {
            check_with(text, pauses);
        }
        check_with(text, Pauses::NEVER);
    }

    fn check_with(text: &str, pauses: Pauses<'_>) {
        let (utf8, utf16) = (text.as_bytes(), utf16(text));
        assert_eq!(check_utf8(utf8, pauses), Ok(()));
        assert_eq!(check_utf16(&utf16, pauses), Ok(()));
        let mut bytes = vec![0; utf8.len()];
        assert_eq!(
            in_pieces(&mut bytes, utf8, pauses, utf8_end, copy_utf8),
            Ok(utf8.len())
        );
        assert_eq!(bytes, utf8);
        let mut copy = vec![[0; 2]; utf16.len()];
        assert_eq!(
            in_pieces(&mut copy, &utf16, pauses, utf16_end, copy_utf16),
            Ok(utf16.len())
        );
        assert_eq!(copy, utf16);
        let mut wide = vec![[0; 2]; utf8.len()];
        assert_eq!(
            in_pieces(&mut wide, utf8, pauses, utf8_end, utf8_to_utf16),
            Ok(utf16.len())
        );
        assert_eq!(wide[..utf16.len()], utf16);

        let mut narrow = vec![0; utf16.len() * 3];
        let ascii = utf16_ascii(&mut narrow, &utf16, pauses).unwrap();
        assert_eq!(ascii, text.bytes().take_while(u8::is_ascii).count());
        let rest = in_pieces(
            &mut narrow[ascii..],
            &utf16[ascii..],
            pauses,
            utf16_end,
            utf16_to_utf8,
        )
        .unwrap();
        assert_eq!(&narrow[..ascii + rest], utf8);

        let latin1 = latin1(text);
        let mut bytes = vec![0; utf8.len()];
        let count = utf8_to_latin1(&mut bytes, utf8, pauses).unwrap();
        assert_eq!(count.map(|count| &bytes[..count]), latin1.as_deref());
        let mut bytes = vec![0; utf16.len()];
        assert_eq!(
            utf16_to_latin1(&mut bytes, &utf16, pauses),
            Ok(latin1.is_some())
        );
        let Some(latin1) = latin1 else { return };
        assert_eq!(bytes, latin1);
        let mut wide = vec![[0; 2]; latin1.len()];
        let to_wide = |dst: &mut [Unit], src: &[u8]| Ok(latin1_to_utf16(dst, src));
        assert_eq!(
            in_pieces(&mut wide, &latin1, pauses, any_end, to_wide),
            Ok(utf16.len())
        );
        assert_eq!(wide, utf16);
        let mut bytes = vec![0; latin1.len() * 2];
        let ascii = latin1_ascii(&mut bytes, &latin1, pauses).unwrap();
        assert_eq!(ascii, text.bytes().take_while(u8::is_ascii).count());
        let to_utf8 = |dst: &mut [u8], src: &[u8]| Ok(latin1_to_utf8(dst, src));
        let rest = in_pieces(
            &mut bytes[ascii..],
            &latin1[ascii..],
            pauses,
            any_end,
            to_utf8,
        )
        .unwrap();
        assert_eq!(&bytes[..ascii + rest], utf8);
    }

    /// Invalid strings are invalid in pieces, wherever these end.
    #[test]
    fn invalid_strings_in_pieces() {
        for wrong in [
            &b"\x80"[..],
            b"\xc3",
            b"\xf0\x9f\x98",
            b"\x80\x80\x80\x80\x80\x80",
            b"\xed\xa0\x80",
        ] {
            for (before, piece) in
                (0..12).flat_map(|before| (4..9).map(move |piece| (before, piece)))
            {
                let string = [
                    &"a".repeat(before).into_bytes()[..],
                    wrong,
                    "ä€😀".as_bytes(),
                ]
                .concat();
                let pauses = of_piece(&RUNNING, piece);
                assert_eq!(
                    check_utf8(&string, pauses),
                    Err(Trap::InvalidUtf8),
                    "{string:x?} {piece}"
                );
                let mut bytes = vec![0; string.len()];
                assert_eq!(
                    utf8_to_latin1(&mut bytes, &string, pauses),
                    Err(Trap::InvalidUtf8)
                );
            }
        }
        for wrong in [
            &[0xd800][..],
            &[0xdc00],
            &[0xd800, 0xd800, 0xdc00],
            &[0xdc00, 0xd800],
        ] {
            for (before, piece) in
                (0..12).flat_map(|before| (4..9).map(move |piece| (before, piece)))
            {
                let string =
                    units(&[&vec![0x61; before][..], wrong, &[0xd83d, 0xde00, 0x61]].concat());
                let pauses = of_piece(&RUNNING, piece);
                assert_eq!(
                    check_utf16(&string, pauses),
                    Err(Trap::InvalidUtf16),
                    "{string:x?} {piece}"
                );
                let mut bytes = vec![0; string.len()];
                assert_eq!(
                    utf16_to_latin1(&mut bytes, &string, pauses),
                    Err(Trap::InvalidUtf16)
                );
            }
        }
    }

    #[test]
    fn long_strings_are_interrupted() {
        let (bytes, units) = ([b'a'; 100], [[b'a', 0]; 100]);
        let (mut narrow, mut wide) = ([0; 300], [[0; 2]; 100]);
        let pauses = of_piece(&STOPPED, 99);
        assert_eq!(check_utf8(&bytes, pauses), Err(Trap::Interrupt));
        assert_eq!(check_utf16(&units, pauses), Err(Trap::Interrupt));
        assert_eq!(
            latin1_ascii(&mut narrow, &bytes, pauses),
            Err(Trap::Interrupt)
        );
        assert_eq!(
            utf16_ascii(&mut narrow, &units, pauses),
            Err(Trap::Interrupt)
        );
        assert_eq!(
            utf8_to_latin1(&mut narrow, &bytes, pauses),
            Err(Trap::Interrupt)
        );
        assert_eq!(
            utf16_to_latin1(&mut narrow, &units, pauses),
            Err(Trap::Interrupt)
        );
        let converted = in_pieces(&mut wide, &bytes, pauses, utf8_end, utf8_to_utf16);
        assert_eq!(converted, Err(Trap::Interrupt));
        let short = in_pieces(&mut wide, &bytes[..99], pauses, utf8_end, utf8_to_utf16);
        assert_eq!(short, Ok(99));
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
            for (before, after) in [
                (0, 0),
                (1, 0),
                (0, 1),
                (CHUNK, 0),
                (CHUNK - 1, CHUNK),
                (CHUNK, CHUNK),
            ] {
                let string = units(&[&padding[..before], wrong, &padding[..after]].concat());
                let mut bytes = vec![0; string.len() * 3];
                assert_eq!(utf16_to_utf8(&mut bytes, &string), Err(Trap::InvalidUtf16));
                assert_eq!(
                    utf16_to_latin1(&mut bytes, &string, Pauses::NEVER),
                    Err(Trap::InvalidUtf16)
                );
                assert_eq!(
                    copy_utf16(&mut string.clone(), &string),
                    Err(Trap::InvalidUtf16)
                );
            }
        }
    }

    #[test]
    fn invalid_utf8_is_refused() {
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
                assert_eq!(
                    utf8_to_latin1(&mut bytes, string, Pauses::NEVER),
                    Err(Trap::InvalidUtf8)
                );
                assert_eq!(
                    utf8_to_utf16(&mut vec![[0; 2]; string.len()], string),
                    Err(Trap::InvalidUtf8)
                );
            }
        }
    }

    proptest! {
        #[test]
        fn any_text(
            text in any::<String>(),
            prefix in "[a-z]{0,40}",
            mixed in "[a-zä-ü\u{100}\u{10000}]{0,80}",
            narrow in "[a-z\u{80}-\u{ff}]{0,80}",
        ) {
            let prefixed = [&text, &narrow].map(|text| prefix.clone() + text);
            for text in [&text, &mixed, &narrow, &prefixed[0], &prefixed[1]] {
                check(text);
            }
        }

        /// Any units: the result is that of the standard library.
        #[test]
        fn any_units(
            raw in proptest::collection::vec(
                prop_oneof![any::<u16>(), 0xd7f0..0xe010u16, 0x60..0x90u16],
                0..70,
            ),
        ) {
            let string = units(&raw);
            let mut bytes = vec![0; string.len() * 3];
            let expected = String::from_utf16(&raw).ok();
            let count = utf16_to_utf8(&mut bytes, &string);
            let found = count.ok().map(|count| &bytes[..count]);
            prop_assert_eq!(found, expected.as_ref().map(|text| text.as_bytes()));
            prop_assert_eq!(check_units(&string).is_ok(), expected.is_some());
        }
    }
}
