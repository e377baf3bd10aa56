//! [`CacheConfig`]: the settings of a cache, and the file that they can be in.

use crate::error::{Context, Result, bail, ensure, format_err};
use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The settings of a [`Cache`](super::Cache).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheConfig {
    directory: Option<PathBuf>,
    file_count: u64,
    total_size: u64,
    file_count_percent: u8,
    total_size_percent: u8,
}

impl Default for CacheConfig {
    fn default() -> Self {
        CacheConfig {
            directory: None,
            // Listing so many files takes about 10 ms, which each addition does.
            file_count: 4096,
            total_size: 1 << 30,
            file_count_percent: 70,
            total_size_percent: 70,
        }
    }
}

/// The name of the folder in the user's folders for caches and settings.
const NAME: &str = "mintage";

impl CacheConfig {
    /// Creates the default settings.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads settings from a file in TOML.
    ///
    /// Without a path, the file is `mintage/cache.toml` in `XDG_CONFIG_HOME` or `~/.config`. If it
    /// does not exist, the settings are the defaults. All settings are optional:
    ///
    /// ```toml
    /// [cache]
    /// directory = "/var/cache/app"
    /// files-total-size-soft-limit = "512Mi"
    /// file-count-soft-limit = "1000"
    /// files-total-size-limit-percent-if-deleting = "70%"
    /// file-count-limit-percent-if-deleting = "70%"
    /// ```
    ///
    /// Numbers may have a suffix: K, M or G for powers of 1000; Ki, Mi or Gi for powers of 1024.
    /// Other settings that Wasmtime has in such a file are accepted and have no effect.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, or has an unknown or malformed setting, which the error names
    /// with its line.
    pub fn from_file(path: Option<&Path>) -> Result<CacheConfig> {
        let (path, is_required) = match path {
            Some(path) => (path.to_path_buf(), true),
            None => match user_folder("XDG_CONFIG_HOME", ".config") {
                Some(folder) => (folder.join("cache.toml"), false),
                None => return Ok(CacheConfig::new()),
            },
        };
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound && !is_required => {
                return Ok(CacheConfig::new());
            }
            Err(error) => {
                return Err(error).with_context(|| format!("cannot read `{}`", path.display()));
            }
        };
        Self::parse(&text).with_context(|| format!("cannot use `{}`", path.display()))
    }

    /// Parses the part of TOML that such a file needs: one table of strings, numbers and booleans.
    fn parse(text: &str) -> Result<CacheConfig> {
        let mut config = CacheConfig::new();
        let mut table = "";
        for (number, line) in text.lines().enumerate() {
            let parsed = config.read_line(line.trim(), &mut table);
            parsed.map_err(|error| format_err!("line {}: {error:#}", number + 1))?;
        }
        Ok(config)
    }

    /// Reads one line, which is in `table` or begins one.
    fn read_line<'a>(&mut self, line: &'a str, table: &mut &'a str) -> Result<()> {
        if line.is_empty() || line.starts_with('#') {
            return Ok(());
        }
        if let Some(name) = line
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
        {
            *table = name.trim();
            return Ok(());
        }
        ensure!(*table == "cache", "expected `[cache]` before this");
        let pair = line.split_once('=');
        let (name, value) = pair.context("expected `setting = value`")?;
        self.set(name.trim(), unquoted(value.trim())?)
    }

    fn set(&mut self, name: &str, value: &str) -> Result<()> {
        match name {
            "directory" => {
                self.directory = Some(value.into());
                self.resolved_directory()?;
            }
            "file-count-soft-limit" => self.file_count = quantity(value)?,
            "files-total-size-soft-limit" => self.total_size = quantity(value)?,
            "file-count-limit-percent-if-deleting" => self.file_count_percent = percent(value)?,
            "files-total-size-limit-percent-if-deleting" => {
                self.total_size_percent = percent(value)?;
            }
            // The cache has no thread, compresses nothing, and takes uses from the future as they
            // are.
            "enabled"
            | "worker-event-queue-size"
            | "baseline-compression-level"
            | "optimized-compression-level"
            | "optimized-compression-usage-counter-threshold"
            | "cleanup-interval"
            | "optimizing-compression-task-timeout"
            | "allowed-clock-drift-for-files-from-future" => {}
            _ => bail!("there is no setting `{name}`"),
        }
        Ok(())
    }

    /// Returns the folder, if one is set.
    pub fn directory(&self) -> Option<&PathBuf> {
        self.directory.as_ref()
    }

    /// Sets the folder, which must be an absolute path; default: `mintage` in `XDG_CACHE_HOME` or
    /// `~/.cache`.
    pub fn with_directory(&mut self, directory: impl Into<PathBuf>) -> &mut Self {
        self.directory = Some(directory.into());
        self
    }

    /// Returns the folder that a cache with these settings uses.
    pub(super) fn resolved_directory(&self) -> Result<PathBuf> {
        match &self.directory {
            Some(directory) => {
                ensure!(
                    directory.is_absolute(),
                    "the cache folder `{}` is not an absolute path",
                    directory.display()
                );
                Ok(directory.clone())
            }
            None => user_folder("XDG_CACHE_HOME", ".cache").context(
                "there is no place for a cache: neither `XDG_CACHE_HOME` nor `HOME` is an absolute \
                 path",
            ),
        }
    }

    /// Returns how many entries the folder may have.
    pub fn file_count_soft_limit(&self) -> u64 {
        self.file_count
    }

    /// Sets how many entries the folder may have; default: 4096. Beyond it, those that were not
    /// used for longest are removed.
    pub fn with_file_count_soft_limit(&mut self, limit: u64) -> &mut Self {
        self.file_count = limit;
        self
    }

    /// Returns how many bytes the entries may take on the disk.
    pub fn files_total_size_soft_limit(&self) -> u64 {
        self.total_size
    }

    /// Sets how many bytes the entries may take on the disk; default: 1 GiB. Beyond it, those that
    /// were not used for longest are removed. A component whose machine code alone is larger is not
    /// kept.
    pub fn with_files_total_size_soft_limit(&mut self, limit: u64) -> &mut Self {
        self.total_size = limit;
        self
    }

    /// Returns the part of the limit of entries that is left after a removal, in percent.
    pub fn file_count_limit_percent_if_deleting(&self) -> u8 {
        self.file_count_percent
    }

    /// Sets the part of the limit of entries that is left after a removal, in percent; default: 70.
    pub fn with_file_count_limit_percent_if_deleting(&mut self, percent: u8) -> &mut Self {
        self.file_count_percent = percent;
        self
    }

    /// Returns the part of the limit of bytes that is left after a removal, in percent.
    pub fn files_total_size_limit_percent_if_deleting(&self) -> u8 {
        self.total_size_percent
    }

    /// Sets the part of the limit of bytes that is left after a removal, in percent; default: 70.
    pub fn with_files_total_size_limit_percent_if_deleting(&mut self, percent: u8) -> &mut Self {
        self.total_size_percent = percent;
        self
    }

    /// Returns the limits of entries and of bytes after a removal.
    pub(super) fn limits_after_removal(&self) -> (u64, u64) {
        let part = |limit: u64, percent: u8| {
            let part = u128::from(limit) * u128::from(percent.min(100)) / 100;
            part as u64
        };
        (
            part(self.file_count, self.file_count_percent),
            part(self.total_size, self.total_size_percent),
        )
    }
}

/// Defines setters without effect: the name of each, and the type of its value.
macro_rules! ignored {
    ($($setter:ident($ty:ty) $reason:literal;)*) => {
        /// Settings without effect, for hosts that port from Wasmtime.
        impl CacheConfig {
            $(
                #[doc = concat!("Has no effect. ", $reason)]
                pub fn $setter(&mut self, _: $ty) -> &mut Self {
                    self
                }
            )*
        }
    };
}

ignored! {
    with_worker_event_queue_size(u64) "The cache has no thread.";
    with_baseline_compression_level(i32) "Entries are mapped, so they are not compressed.";
    with_optimized_compression_level(i32) "Entries are mapped, so they are not compressed.";
    with_optimized_compression_usage_counter_threshold(u64)
        "Entries are mapped, so they are not compressed.";
    with_optimizing_compression_task_timeout(Duration)
        "Entries are mapped, so they are not compressed.";
    with_cleanup_interval(Duration) "The limits are checked when an entry is added.";
    with_allowed_clock_drift_for_files_from_future(Duration)
        "An entry from the future counts as used at that time.";
}

/// Returns this program's folder in a folder of the user, which an environment variable names, or
/// which is at `path` in the home folder.
fn user_folder(variable: &str, path: &str) -> Option<PathBuf> {
    let absolute = |name: &str| {
        let path = PathBuf::from(env::var_os(name)?);
        path.is_absolute().then_some(path)
    };
    let folder = absolute(variable).or_else(|| Some(absolute("HOME")?.join(path)))?;
    Some(folder.join(NAME))
}

/// Removes the quotes of a string, and a comment after a value.
fn unquoted(value: &str) -> Result<&str> {
    for quote in ['"', '\''] {
        if let Some(rest) = value.strip_prefix(quote) {
            let (text, rest) = rest.split_once(quote).context("the string has no end")?;
            let rest = rest.trim();
            ensure!(
                rest.is_empty() || rest.starts_with('#'),
                "`{rest}` after the value is not expected"
            );
            ensure!(
                quote == '\'' || !text.contains('\\'),
                "escapes are not supported; write the string between single quotes"
            );
            return Ok(text);
        }
    }
    Ok(value.split('#').next().unwrap_or_default().trim())
}

/// Parses a number that may have a suffix.
fn quantity(text: &str) -> Result<u64> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, suffix) = text.split_at(digits);
    let unit: u64 = match suffix.trim() {
        "" => 1,
        "K" => 1000,
        "M" => 1_000_000,
        "G" => 1_000_000_000,
        "Ki" => 1 << 10,
        "Mi" => 1 << 20,
        "Gi" => 1 << 30,
        _ => bail!("`{text}` is not a number with a suffix of K, M, G, Ki, Mi or Gi"),
    };
    let number: Option<u64> = number.parse().ok();
    number
        .and_then(|number| number.checked_mul(unit))
        .with_context(|| format!("`{text}` is not a number of 64 bits"))
}

fn percent(text: &str) -> Result<u8> {
    let number = text.trim_end_matches('%').trim().parse().ok();
    number
        .filter(|percent| *percent <= 100)
        .with_context(|| format!("`{text}` is not a number of percent"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_set_what_they_name() {
        let config = CacheConfig::parse(
            "# ours\n[cache]\nenabled = true\ndirectory = '/a b/c' # here\n\
             files-total-size-soft-limit = \"512Mi\"\nfile-count-soft-limit=7\n\
             files-total-size-limit-percent-if-deleting = \"50%\"\n",
        );
        let mut expected = CacheConfig::new();
        expected
            .with_directory("/a b/c")
            .with_files_total_size_soft_limit(512 << 20)
            .with_file_count_soft_limit(7)
            .with_files_total_size_limit_percent_if_deleting(50);
        assert_eq!(config.unwrap(), expected);
        assert_eq!(expected.limits_after_removal(), (4, 256 << 20));
        assert_eq!(CacheConfig::parse("").unwrap(), CacheConfig::new());
    }

    #[test]
    fn errors_name_the_line() {
        for (text, message) in [
            ("[cache]\nfly = 1", "line 2: there is no setting `fly`"),
            ("a = 1", "line 1: expected `[cache]`"),
            ("[cache]\n\ndirectory", "line 3: expected `setting = value`"),
            (
                "[cache]\ndirectory = \"a\"",
                "line 2: the cache folder `a` is not an absolute path",
            ),
            ("[cache]\ndirectory = \"/a", "line 2: the string has no end"),
            (
                "[cache]\nfile-count-soft-limit = 1T",
                "line 2: `1T` is not a number",
            ),
            (
                "[cache]\nfile-count-soft-limit = 99999999999G",
                "not a number of 64 bits",
            ),
            (
                "[cache]\nfile-count-limit-percent-if-deleting = 101",
                "`101` is not a number of percent",
            ),
        ] {
            let error = format!("{:#}", CacheConfig::parse(text).unwrap_err());
            assert!(error.contains(message), "{text:?}: {error}");
        }
    }
}
