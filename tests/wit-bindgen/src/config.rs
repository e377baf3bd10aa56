//! The configuration of tests and sources: TOML in the comments at the start of their files.

use mintage::error::{Context, Result};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// The configuration in `test.wit`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct TestConfig {
    /// Whether the test needs the async ABI. Not used: here, the same features are on in all tests.
    #[serde(default, rename = "async")]
    _needs_async: bool,
    /// Whether the test needs `error-context`.
    #[serde(default)]
    pub error_context: bool,
    /// Whether generators get their default arguments.
    pub default_bindgen_args: Option<bool>,
    /// The world of the calling component. The default is `runner`.
    pub runner: Option<String>,
    /// The worlds of the called components. The default is `test`.
    pub dependencies: Option<Words>,
    /// The file with instructions for composing the components.
    pub wac: Option<String>,
}

impl TestConfig {
    /// Returns the world of the calling component.
    pub fn runner(&self) -> &str {
        self.runner.as_deref().unwrap_or("runner")
    }

    /// Returns the worlds of the called components.
    pub fn dependencies(&self) -> Vec<String> {
        match &self.dependencies {
            Some(words) => words.to_vec(),
            None => vec!["test".to_string()],
        }
    }
}

/// The configuration in a source file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SourceConfig {
    /// Arguments for the generator of bindings.
    #[serde(default)]
    pub args: Words,
    /// Options for Wasmtime. Not used: here, the same features are on in all tests.
    #[serde(default, rename = "wasmtime-flags")]
    _engine_flags: Words,
    /// Settings that depend on the language.
    #[serde(default)]
    pub lang: LanguageConfig,
}

/// The configuration for the compiler of a source. Keys of languages without a compiler are
/// ignored.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct LanguageConfig {
    /// Arguments for rustc.
    #[serde(default)]
    pub rustflags: Words,
    /// Rust files to compile as crates that the source uses.
    #[serde(default)]
    pub externs: Vec<String>,
    /// Whether the component is linked dynamically.
    #[serde(default)]
    pub link_shared: bool,
    /// Rust files to compile as dynamic libraries that the source uses.
    #[serde(default)]
    pub extern_dylibs: Vec<String>,
    /// Arguments for the C or C++ compiler.
    #[serde(default)]
    pub cflags: Words,
    /// Arguments for the C or C++ linker.
    #[serde(default)]
    pub ldflags: Words,
}

/// Words, as a list or as text with spaces between them.
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
    /// Returns the words as a list.
    pub fn to_vec(&self) -> Vec<String> {
        match self {
            Words::Text(text) => text.split_whitespace().map(str::to_string).collect(),
            Words::List(words) => words.clone(),
        }
    }
}

/// Parses the TOML in the lines at the start of `text` that begin with `comment`.
///
/// # Errors
///
/// Fails if the TOML is malformed or has unknown keys.
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
