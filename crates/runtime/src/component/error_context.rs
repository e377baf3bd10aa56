//! Error contexts: messages for people, which guests and hosts pass on (CanonicalABI.md, `canon
//! error-context.new`).
//!
//! The specification lets a host change or drop a message, so that no guest depends on its text.
//! Here only the beginning of a message is kept, and the messages of one root instance have a
//! common limit. A guest can make as many error contexts as it can have handles. Without the limit,
//! each of them could hold as much of the host's memory as the guest has itself.

use crate::bulk::Pauses;
use crate::component::transcode;
use mintage_environ::Trap;
use mintage_environ::component::{MAX_STRING_BYTE_LENGTH, StringEncoding, UTF16_TAG};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The most bytes of a message that are kept.
const MAX_MESSAGE: usize = 1 << 10;
/// The most bytes of messages that the guests of one root instance can make the host keep. Later
/// messages are empty.
const MAX_MESSAGES: usize = 1 << 20;

/// A value of type `error-context`: a message for people. Copies share the message.
#[derive(Clone)]
pub struct ErrorContext(Arc<Message>);

struct Message {
    text: Box<str>,
    /// The count that includes these bytes; `None` for the host's.
    room: Option<Arc<AtomicUsize>>,
}

impl Drop for Message {
    fn drop(&mut self) {
        if let Some(used) = &self.room {
            used.fetch_sub(self.text.len(), Ordering::Relaxed);
        }
    }
}

/// The number of bytes that the messages of one root instance's guests take. It is made with the
/// first message, since most instances have none.
#[derive(Default)]
pub(crate) struct MessageRoom(Option<Arc<AtomicUsize>>);

impl MessageRoom {
    /// Makes an error context of the beginning of `text`. Its message is empty if the limit is
    /// reached.
    pub fn keep(&mut self, text: &str) -> ErrorContext {
        let text = beginning(text);
        let used = self.0.get_or_insert_default();
        // Relaxed, here and where it is given back: only the sum matters.
        let fits = |used: usize| {
            used.checked_add(text.len())
                .filter(|&used| used <= MAX_MESSAGES)
        };
        let kept = used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits)
            .is_ok();
        ErrorContext(Arc::new(Message {
            text: if kept { text.into() } else { "".into() },
            room: Some(used.clone()),
        }))
    }
}

/// Returns the beginning of `text` that is kept.
fn beginning(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_MESSAGE)]
}

impl ErrorContext {
    /// Makes an error context of the host. Only the first 1,024 bytes of the message are kept.
    pub fn new(message: impl AsRef<str>) -> Self {
        Self(Arc::new(Message {
            text: beginning(message.as_ref()).into(),
            room: None,
        }))
    }

    /// Returns the message, which is empty if it was not kept.
    pub fn debug_message(&self) -> &str {
        &self.0.text
    }

    /// Encodes the message. Returns the bytes, and their number of code units, with the tag of
    /// encodings that have one.
    pub(crate) fn encode(&self, encoding: StringEncoding) -> (Vec<u8>, u32) {
        let text = self.debug_message();
        let utf16 = || -> Vec<u8> { text.encode_utf16().flat_map(u16::to_le_bytes).collect() };
        let latin1 =
            || -> Option<Vec<u8>> { text.chars().map(|char| u8::try_from(char).ok()).collect() };
        // A message has at most 1,024 bytes, and no encoding takes more than twice as many.
        match encoding {
            StringEncoding::Utf8 => (text.into(), text.len() as u32),
            StringEncoding::Utf16 => {
                let bytes = utf16();
                let units = bytes.len() as u32 / 2;
                (bytes, units)
            }
            StringEncoding::CompactUtf16 => match latin1() {
                Some(bytes) => {
                    let units = bytes.len() as u32;
                    (bytes, units)
                }
                None => {
                    let bytes = utf16();
                    let units = bytes.len() as u32 / 2;
                    (bytes, units | UTF16_TAG)
                }
            },
        }
    }
}

impl PartialEq for ErrorContext {
    fn eq(&self, other: &Self) -> bool {
        self.debug_message() == other.debug_message()
    }
}

impl Eq for ErrorContext {}

impl fmt::Debug for ErrorContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ErrorContext")
            .field(&self.debug_message())
            .finish()
    }
}

/// The character set of a string in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Characters {
    Utf8,
    Utf16,
    Latin1,
}

/// Returns the character set of a guest's string, its length in bytes, and the alignment of its
/// pointer (`load_string_from_range`). The tag of `units` is the highest bit of an index into its
/// memory.
pub(crate) fn string_place(
    encoding: StringEncoding,
    units: u64,
    index64: bool,
) -> Result<(Characters, u64, u64), Trap> {
    let tag = if index64 {
        1 << 63
    } else {
        u64::from(UTF16_TAG)
    };
    let (characters, bytes, align) = match encoding {
        StringEncoding::Utf8 => (Characters::Utf8, units, 1),
        StringEncoding::CompactUtf16 if units & tag == 0 => (Characters::Latin1, units, 2),
        StringEncoding::Utf16 => (Characters::Utf16, units.saturating_mul(2), 2),
        StringEncoding::CompactUtf16 => (Characters::Utf16, (units ^ tag).saturating_mul(2), 2),
    };
    match bytes <= u64::from(MAX_STRING_BYTE_LENGTH) {
        true => Ok((characters, bytes, align)),
        false => Err(Trap::StringTooLong),
    }
}

/// Checks all of a guest's string and returns its beginning.
pub(crate) fn decode_beginning(
    characters: Characters,
    bytes: &[u8],
    pauses: Pauses<'_>,
) -> Result<String, Trap> {
    match characters {
        Characters::Utf8 => {
            transcode::check_utf8(bytes, pauses)?;
            // One more character than is kept may be cut.
            let kept = &bytes[..bytes.len().min(MAX_MESSAGE + 4)];
            let kept = kept.utf8_chunks().next().map_or("", |chunk| chunk.valid());
            Ok(beginning(kept).to_owned())
        }
        Characters::Latin1 => Ok(bytes
            .iter()
            .take(MAX_MESSAGE)
            .map(|&byte| char::from(byte))
            .collect()),
        Characters::Utf16 => {
            let (units, _) = bytes.as_chunks::<2>();
            transcode::check_utf16(units, pauses)?;
            let mut text = String::new();
            let mut chars = char::decode_utf16(units.iter().map(|&unit| u16::from_le_bytes(unit)))
                .map_while(Result::ok);
            while text.len() < MAX_MESSAGE
                && let Some(char) = chars.next()
            {
                text.push(char);
            }
            Ok(text)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use StringEncoding::{CompactUtf16, Utf8, Utf16};

    fn decode(characters: Characters, bytes: &[u8]) -> Result<String, Trap> {
        decode_beginning(characters, bytes, Pauses::NEVER)
    }

    #[test]
    fn messages_are_cut_at_a_character() {
        let long = "ä".repeat(MAX_MESSAGE);
        for cut in [ErrorContext::new(&long), MessageRoom::default().keep(&long)] {
            assert_eq!(cut.debug_message().len(), MAX_MESSAGE);
        }
        let odd = ErrorContext::new(format!("a{long}"));
        assert_eq!(odd.debug_message().len(), MAX_MESSAGE - 1);
    }

    #[test]
    fn the_limit_of_messages_is_shared_and_released() {
        let mut room = MessageRoom::default();
        let text = "x".repeat(MAX_MESSAGE);
        let mut kept: Vec<_> = (0..MAX_MESSAGES / MAX_MESSAGE)
            .map(|_| room.keep(&text))
            .collect();
        assert!(kept.iter().all(|kept| kept.debug_message() == text));
        assert_eq!(room.keep(&text).debug_message(), "");
        assert_eq!(ErrorContext::new(&text).debug_message(), text);
        kept.pop();
        assert_eq!(room.keep(&text).debug_message(), text);
        drop(kept);
        assert_eq!(room.0.unwrap().load(Ordering::Relaxed), 0);
    }

    #[test]
    fn encodings_round_trip() {
        for text in ["", "plain", "käse", "😀 and more"] {
            for encoding in [Utf8, Utf16, CompactUtf16] {
                let (bytes, units) = ErrorContext::new(text).encode(encoding);
                let (characters, size, _) = string_place(encoding, units.into(), false).unwrap();
                assert_eq!(size, bytes.len() as u64, "{text} {encoding:?}");
                assert_eq!(decode(characters, &bytes).unwrap(), text, "{encoding:?}");
            }
        }
    }

    #[test]
    fn invalid_strings_are_refused() {
        for index64 in [false, true] {
            assert_eq!(
                string_place(Utf16, 1 << 62, index64),
                Err(Trap::StringTooLong)
            );
            assert_eq!(
                string_place(Utf8, u64::MAX, index64),
                Err(Trap::StringTooLong)
            );
        }
        // The tag is the highest bit of the memory's indexes.
        let tagged = u64::from(UTF16_TAG) | 3;
        assert_eq!(
            string_place(CompactUtf16, tagged, false),
            Ok((Characters::Utf16, 6, 2))
        );
        assert_eq!(
            string_place(CompactUtf16, tagged, true),
            Err(Trap::StringTooLong)
        );
        assert_eq!(
            string_place(CompactUtf16, 1 << 63 | 3, true),
            Ok((Characters::Utf16, 6, 2))
        );
        assert_eq!(decode(Characters::Utf8, b"a\xff"), Err(Trap::InvalidUtf8));
        // The part that is not kept is checked, too.
        let mut late = vec![b'x'; 4 * MAX_MESSAGE];
        late.push(0xff);
        assert_eq!(decode(Characters::Utf8, &late), Err(Trap::InvalidUtf8));
        assert_eq!(
            decode(Characters::Utf16, &[0, 0xd8]),
            Err(Trap::InvalidUtf16)
        );
        assert_eq!(
            decode(Characters::Utf16, &[0, 0xdc]),
            Err(Trap::InvalidUtf16)
        );
    }
}
