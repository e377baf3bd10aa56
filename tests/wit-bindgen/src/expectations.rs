//! The list of expected failures, `exclusions.txt`. Each line has a name and a reason.
//!
//! The name is that of a source that does not compile (`rust/dylibs/test.rs`), or of a case that
//! does not pass (`lists:runner.c+test.rs`). To keep the list current, an entry whose source
//! compiles or whose case passes is a problem, and so is an entry whose name does not exist.

use indexmap::IndexMap;
use mintage::error::{Context, Result, bail};
use std::sync::atomic::{AtomicBool, Ordering};

/// The entries of the list.
#[derive(Debug, Default)]
pub struct Expectations {
    entries: IndexMap<String, Entry>,
}

#[derive(Debug)]
struct Entry {
    reason: String,
    used: AtomicBool,
}

impl Expectations {
    /// Parses a list.
    ///
    /// # Errors
    ///
    /// Fails if an entry has no reason or is listed twice.
    pub fn parse(text: &str) -> Result<Expectations> {
        let mut entries = IndexMap::new();
        for line in text
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
        {
            let (name, reason) = line
                .split_once(char::is_whitespace)
                .with_context(|| format!("`{line}`: no reason"))?;
            let entry = Entry {
                reason: reason.trim().to_string(),
                used: AtomicBool::new(false),
            };
            if entries.insert(name.to_string(), entry).is_some() {
                bail!("`{name}` is listed twice");
            }
        }
        Ok(Expectations { entries })
    }

    /// Returns the reason why the source or case `name` fails, if it is listed. Marks the entry as
    /// used.
    pub fn reason(&self, name: &str) -> Option<&str> {
        let entry = self.entries.get(name)?;
        entry.used.store(true, Ordering::Relaxed);
        Some(&entry.reason)
    }

    /// Returns the names of entries that have not been used.
    pub fn unused(&self) -> impl Iterator<Item = &str> {
        let unused = |(_, entry): &(&String, &Entry)| !entry.used.load(Ordering::Relaxed);
        self.entries
            .iter()
            .filter(unused)
            .map(|(name, _)| name.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_names_with_reasons() {
        let list = Expectations::parse("# why\n a/b  not for us\n\nc:d+e known\n").unwrap();
        assert_eq!(list.reason("a/b"), Some("not for us"));
        assert_eq!(list.reason("a"), None);
        assert_eq!(list.unused().collect::<Vec<_>>(), ["c:d+e"]);
    }

    #[test]
    fn entries_need_reasons_and_stand_once() {
        assert!(Expectations::parse("a").is_err());
        assert!(Expectations::parse("a why\na why").is_err());
    }
}
