//! Groups of options, written as `-S KEY[=VALUE],...`: the spelling of other WebAssembly commands.
//!
//! To add a key, add a row to the table of its group.

use clap::builder::{StringValueParser, TypedValueParser};
use clap::error::ErrorKind;
use std::ffi::OsStr;

/// A key of a group, which sets something in a `T`.
pub(crate) struct Key<T> {
    pub name: &'static str,
    /// The form of the value, for the list of keys.
    pub value: &'static str,
    pub doc: &'static str,
    /// Sets the value.
    pub set: fn(&mut T, Option<&str>) -> Result<(), String>,
}

/// A group of options.
pub(crate) struct Group<T: 'static> {
    pub letter: char,
    pub keys: &'static [Key<T>],
    /// Keys of other commands that are accepted without effect. One that ends in `*` stands for all
    /// with this start.
    pub ignored: &'static [&'static str],
}

/// A key that was given, with its value.
#[derive(Clone, Debug)]
pub(crate) struct Pair {
    key: String,
    value: Option<String>,
}

impl Pair {
    /// Splits `KEY=VALUE`. Keys may be written with `_`.
    pub(crate) fn split(text: &str) -> Pair {
        match text.split_once('=') {
            Some((key, value)) => Pair {
                key: key.replace('_', "-"),
                value: Some(value.into()),
            },
            None => Pair {
                key: text.replace('_', "-"),
                value: None,
            },
        }
    }
}

impl<T: Default> Group<T> {
    /// Returns what the pairs set. They have been parsed, so all of them are valid.
    pub(crate) fn collect<'a>(&self, pairs: impl IntoIterator<Item = &'a Pair>) -> T {
        let mut target = T::default();
        for pair in pairs {
            let _ = self.apply(&mut target, pair);
        }
        target
    }

    /// Returns whether the group has the key.
    pub(crate) fn has(&self, pair: &Pair) -> bool {
        self.find(pair).is_some() || self.ignores(pair)
    }

    fn find(&self, pair: &Pair) -> Option<&Key<T>> {
        self.keys.iter().find(|key| key.name == pair.key)
    }

    fn ignores(&self, pair: &Pair) -> bool {
        self.ignored
            .iter()
            .any(|name| match name.strip_suffix('*') {
                Some(start) => pair.key.starts_with(start),
                None => *name == pair.key,
            })
    }

    fn apply(&self, target: &mut T, pair: &Pair) -> Result<(), String> {
        let Some(key) = self.find(pair) else {
            return Ok(());
        };
        let letter = self.letter;
        (key.set)(target, pair.value.as_deref())
            .map_err(|error| format!("`-{letter} {}`: {error}", key.name))
    }

    /// Checks a pair: that the group has the key, and that the value is valid.
    pub(crate) fn check(&self, pair: &Pair) -> Result<(), String> {
        if !self.has(pair) {
            let (letter, key) = (self.letter, &pair.key);
            return Err(format!(
                "there is no key `{key}`; `-{letter} help` lists the keys"
            ));
        }
        self.apply(&mut T::default(), pair)
    }

    /// Returns the list of keys.
    pub(crate) fn list(&self) -> String {
        let mut text = format!("Keys for `-{} KEY[=VALUE],...`:\n\n", self.letter);
        for key in self.keys {
            let name = format!("{}{}", key.name, key.value);
            text += &format!("  {name:<34} {}\n", key.doc);
        }
        text
    }
}

/// Parses the pairs of a group. `help` lists its keys instead.
pub(crate) struct PairParser<T: 'static>(pub &'static Group<T>);

impl<T> Clone for PairParser<T> {
    fn clone(&self) -> Self {
        PairParser(self.0)
    }
}

impl<T: Default + Send + Sync> TypedValueParser for PairParser<T> {
    type Value = Pair;

    fn parse_ref(
        &self,
        command: &clap::Command,
        arg: Option<&clap::Arg>,
        value: &OsStr,
    ) -> Result<Pair, clap::Error> {
        let text = StringValueParser::new().parse_ref(command, arg, value)?;
        if text == "help" {
            return Err(help(self.0.list()));
        }
        let pair = Pair::split(&text);
        self.0.check(&pair).map_err(wrong)?;
        Ok(pair)
    }
}

/// Returns the error of a wrong value.
pub(crate) fn wrong(message: String) -> clap::Error {
    clap::Error::raw(ErrorKind::ValueValidation, message + "\n")
}

/// Returns a text as the "error" by which clap prints a help text: it goes to standard output, and
/// the exit code is 0.
pub(crate) fn help(text: String) -> clap::Error {
    let command = clap::Command::new("help").override_help(text);
    let matches = command.try_get_matches_from(["help", "--help"]);
    matches.expect_err("`--help` ends parsing with an error")
}

/// Parses a switch: `key`, `key=y` or `key=n`.
pub(crate) fn switch(value: Option<&str>) -> Result<bool, String> {
    match value {
        None | Some("y" | "yes" | "on" | "true") => Ok(true),
        Some("n" | "no" | "off" | "false") => Ok(false),
        Some(other) => Err(format!("write `=y` or `=n`, not `={other}`")),
    }
}

/// Parses a value that must be given.
pub(crate) fn value<T>(
    value: Option<&str>,
    parse: impl FnOnce(&str) -> Result<T, String>,
) -> Result<T, String> {
    parse(value.ok_or("a value is missing: write `KEY=VALUE`")?)
}

/// Stores a value that was parsed.
pub(crate) fn store<T>(place: &mut T, value: Result<T, String>) -> Result<(), String> {
    *place = value?;
    Ok(())
}

/// Parses a number.
pub(crate) fn number<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse()
        .map_err(|_| format!("`{text}` is not a number that fits"))
}
