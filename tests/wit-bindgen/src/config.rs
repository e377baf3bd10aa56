//! What the files of a test say about themselves: TOML in the comments that they start with.

use mintage::error::{Context, Result};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// What `test.wit` says.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct TestConfig {
    /// Whether the test needs the async ABI.
    #[serde(default, rename = "async")]
    pub needs_async: bool,
    /// Whether it needs `error-context`.
    #[serde(default)]
    pub error_context: bool,
    /// Whether generators get the arguments that they otherwise always get.
    pub default_bindgen_args: Option<bool>,
    /// The world of the component that calls; `runner` unless given.
    pub runner: Option<String>,
    /// The worlds of the components that are called; `test` unless given.
    pub dependencies: Option<Words>,
    /// The file that tells how the components are composed.
    pub wac: Option<String>,
}

impl TestConfig {
    /// The world of the component that calls.
    pub fn runner(&self) -> &str {
        self.runner.as_deref().unwrap_or("runner")
    }

    /// The worlds of the components that are called.
    pub fn dependencies(&self) -> Vec<String> {
        match &self.dependencies {
            Some(words) => words.to_vec(),
            None => vec!["test".to_string()],
        }
    }
}

/// What a source file says.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SourceConfig {
    /// Arguments for the generator of bindings.
    #[serde(default)]
    pub args: Words,
    /// What another engine needs to be told; this one has the same features switched on for all
    /// tests.
    #[serde(default, rename = "wasmtime-flags")]
    _engine_flags: Words,
    /// What depends on the language.
    #[serde(default)]
    pub lang: LanguageConfig,
}

/// What a source file says to the compiler of its language. (The other languages' keys are read by
/// nobody here.)
#[derive(Clone, Debug, Default, Deserialize)]
pub struct LanguageConfig {
    /// Arguments for rustc.
    #[serde(default)]
    pub rustflags: Words,
    /// Rust files to be compiled as crates that this one uses.
    #[serde(default)]
    pub externs: Vec<String>,
    /// Whether the component is linked dynamically.
    #[serde(default)]
    pub link_shared: bool,
    /// Rust files to be compiled as dynamic libraries that this one uses.
    #[serde(default)]
    pub extern_dylibs: Vec<String>,
    /// Arguments for the compiler of C or C++.
    #[serde(default)]
    pub cflags: Words,
    /// Arguments for the linker of C.
    #[serde(default)]
    pub ldflags: Words,
}

/// Words, as a list or as text with blanks between them.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Words {
    /// `'a b'`
    Text(String),
    /// `['a', 'b']`
    List(Vec<String>),
}

impl Default for Words {
    fn default() -> Self {
        Words::List(Vec::new())
    }
}

impl Words {
    /// The words, one by one.
    pub fn to_vec(&self) -> Vec<String> {
        match self {
            Words::Text(text) => text.split_whitespace().map(str::to_string).collect(),
            Words::List(words) => words.clone(),
        }
    }
}

/// Reads the TOML in the lines that `text` starts with and that start with `comment`.
///
/// # Errors
///
/// When it is not what is expected.
pub fn parse<T: DeserializeOwned>(text: &str, comment: &str) -> Result<T> {
    let mut toml = String::new();
    for line in text.lines().map_while(|line| line.strip_prefix(comment)) {
        toml.push_str(line);
        toml.push('\n');
    }
    toml::from_str(&toml).context("cannot read the TOML in its first lines")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_text_or_lists() {
        let text =
            "//@ args = '--a b'\n//@ [lang]\n//@ cflags = ['-O', '-g x']\nint x; //@ args = 'c'\n";
        let config: SourceConfig = parse(text, "//@").unwrap();
        assert_eq!(config.args.to_vec(), ["--a", "b"]);
        assert_eq!(config.lang.cflags.to_vec(), ["-O", "-g x"]);
        assert!(!config.lang.link_shared);
    }

    #[test]
    fn worlds_have_default_names() {
        let config: TestConfig = parse("package a:b;", "//@").unwrap();
        assert_eq!(
            (config.runner(), config.dependencies()),
            ("runner", vec!["test".to_string()])
        );
        let config: TestConfig = parse("//@ dependencies = 'a b'\n", "//@").unwrap();
        assert_eq!(config.dependencies(), ["a", "b"]);
    }

    #[test]
    fn unknown_keys_are_errors() {
        assert!(parse::<TestConfig>("//@ asynk = true", "//@").is_err());
        assert!(parse::<SourceConfig>("//@ arg = 'x'", "//@").is_err());
    }
}
