//! A text that is open in the editor. Several plug-ins may hold it, so it is behind a lock.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

/// An open text. Clones are the same text.
#[derive(Clone, Debug)]
pub struct Text {
    name: Arc<str>,
    content: Arc<Mutex<Content>>,
}

#[derive(Debug, Default)]
struct Content {
    text: String,
    /// Remarks with their lines, by number.
    remarks: BTreeMap<u64, (u32, String)>,
    next_remark: u64,
}

/// A change: bytes `start..end` become `text`.
#[derive(Clone, Debug)]
pub struct Edit {
    /// The first byte that is replaced.
    pub start: u32,
    /// The end of the bytes that are replaced.
    pub end: u32,
    /// What replaces them.
    pub text: String,
}

/// The reason why a list of edits was refused, with the index of an edit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EditError {
    /// The edit is not within the text, or not at the borders of characters.
    OutOfRange(u32),
    /// The edit starts before the end of the previous one.
    OutOfOrder(u32),
}

impl Text {
    /// Opens a text.
    pub fn new(name: &str, text: &str) -> Text {
        let content = Content {
            text: text.to_string(),
            ..Content::default()
        };
        Text {
            name: name.into(),
            content: Arc::new(Mutex::new(content)),
        }
    }

    /// Returns the name of its file.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns a copy of the text.
    pub fn text(&self) -> String {
        self.lock().text.clone()
    }

    /// Replaces the whole text.
    pub fn set_text(&self, text: String) {
        self.lock().text = text;
    }

    /// Makes all `edits` or none, and returns the new length.
    ///
    /// # Errors
    ///
    /// If an edit is not within the text, or the edits are not in order.
    pub fn edit(&self, edits: &[Edit]) -> Result<usize, EditError> {
        let mut content = self.lock();
        let mut changed = String::with_capacity(content.text.len());
        let mut done = 0;
        for (index, edit) in (0..).zip(edits) {
            let (start, end) = (edit.start as usize, edit.end as usize);
            if start < done {
                return Err(EditError::OutOfOrder(index));
            }
            let kept = content.text.get(done..start);
            let replaced = content.text.get(start..end);
            let (Some(kept), Some(_)) = (kept, replaced) else {
                return Err(EditError::OutOfRange(index));
            };
            changed.push_str(kept);
            changed.push_str(&edit.text);
            done = end;
        }
        changed.push_str(&content.text[done..]);
        content.text = changed;
        Ok(content.text.len())
    }

    /// Shows a remark at a line. It is shown until the returned value is dropped.
    pub fn remark(&self, line: u32, text: String) -> Remark {
        let mut content = self.lock();
        let number = content.next_remark;
        content.next_remark += 1;
        content.remarks.insert(number, (line, text));
        Remark {
            on: self.clone(),
            number,
        }
    }

    /// Returns the remarks that are shown, each with its line.
    pub fn remarks(&self) -> Vec<(u32, String)> {
        self.lock().remarks.values().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Content> {
        // No code panics while it holds the lock, so the content is whole in any case.
        self.content
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// A remark that is shown.
#[derive(Debug)]
pub struct Remark {
    on: Text,
    number: u64,
}

impl Drop for Remark {
    fn drop(&mut self) {
        self.on.lock().remarks.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edit(start: u32, end: u32, text: &str) -> Edit {
        let text = text.to_string();
        Edit { start, end, text }
    }

    #[test]
    fn all_edits_or_none() {
        let text = Text::new("a", "zwölf Boxer");
        let two = [edit(0, 6, "12"), edit(12, 12, "!")];
        assert_eq!(text.edit(&two), Ok(9));
        assert_eq!(text.text(), "12 Boxer!");
        let refused = [edit(0, 2, "x"), edit(1, 3, "y")];
        assert_eq!(text.edit(&refused), Err(EditError::OutOfOrder(1)));
        assert_eq!(text.edit(&[edit(3, 30, "")]), Err(EditError::OutOfRange(0)));
        assert_eq!(text.edit(&[edit(3, 2, "")]), Err(EditError::OutOfRange(0)));
        let inside = Text::new("a", "ö");
        assert_eq!(
            inside.edit(&[edit(1, 2, "")]),
            Err(EditError::OutOfRange(0))
        );
        assert_eq!(text.text(), "12 Boxer!");
    }

    #[test]
    fn a_remark_is_shown_until_it_is_dropped() {
        let text = Text::new("a", "");
        let first = text.remark(1, "one".into());
        let second = text.remark(2, "two".into());
        drop(first);
        assert_eq!(text.remarks(), [(2, "two".to_string())]);
        drop(second);
        assert_eq!(text.remarks(), []);
    }
}
