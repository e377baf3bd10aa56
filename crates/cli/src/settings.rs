//! Command-line options for the library's settings, and error messages that name these options.

use clap::builder::{StringValueParser, TypedValueParser};
use clap::error::ErrorKind;
use mintage::error::{Result, ensure};
use mintage::{CompileLimits, Config, PoolConfig, StoreLimits, StoreLimitsBuilder};
use mintage_environ::Feature;
use std::borrow::Cow;
use std::path::Path;
use std::time::Duration;

/// Settings that affect compilation. An artifact keeps them.
#[derive(clap::Args, Debug, Default)]
pub(crate) struct CodeSettings {
    /// Turn WebAssembly features on, or off with `=n`: `-W map,simd=n`; `-W help` lists them
    #[arg(
        short = 'W',
        long = "wasm",
        value_name = "FEATURE[=y|n]",
        value_delimiter = ',',
        value_parser = SwitchParser
    )]
    features: Vec<Switch>,

    /// Address space to reserve for each 32-bit memory, which is the most it can grow to [default:
    /// 4G]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    memory_reservation: Option<u64>,

    /// Address space to reserve for each 64-bit memory that declares no maximum [default: 16G]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    memory64_reservation: Option<u64>,

    /// Size of the inaccessible guard region after each memory [default: 2G]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    memory_guard_size: Option<u64>,

    /// Number of entries to reserve for each table, which is the most it can grow to [default:
    /// 1048576]
    #[arg(long, value_name = "COUNT")]
    table_reservation: Option<u32>,

    /// Address space to reserve for each GC heap, at most 1G [default: 512M]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    gc_heap_reservation: Option<u64>,

    /// Make relaxed SIMD operators return the same results on every processor
    #[arg(long)]
    relaxed_simd_deterministic: bool,

    /// Make floating-point arithmetic return only the canonical NaN
    #[arg(long)]
    nan_canonicalization: bool,

    /// Charge fuel for the length of bulk operations, such as copies, fills and passed strings
    #[arg(long)]
    fuel_by_length: bool,

    /// Fail if compilation takes longer than this many seconds
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    max_compile_time: Option<Duration>,

    /// Fail if the machine code and its tables are larger than this [default: 2G]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    max_code_size: Option<u64>,

    /// Fail if a function has more values than this in the code generator [default: 16777216]
    #[arg(long, value_name = "COUNT")]
    max_function_values: Option<usize>,
}

impl CodeSettings {
    /// Applies the settings to `config`.
    pub(crate) fn apply(&self, config: &mut Config) -> Result<()> {
        for Switch { feature, on } in &self.features {
            match feature {
                Some(feature) => _ = config.wasm_feature(feature, *on),
                None => Feature::ALL
                    .iter()
                    .for_each(|feature| _ = config.wasm_feature(feature, *on)),
            }
        }
        if let Some(bytes) = self.memory_reservation {
            config.memory_reservation(bytes);
        }
        if let Some(bytes) = self.memory64_reservation {
            config.memory64_reservation(bytes);
        }
        if let Some(bytes) = self.memory_guard_size {
            config.memory_guard_size(bytes);
        }
        if let Some(entries) = self.table_reservation {
            config.table_reservation(entries);
        }
        if let Some(bytes) = self.gc_heap_reservation {
            ensure!(
                bytes <= 1 << 30,
                "`--gc-heap-reservation` must be at most 1G"
            );
            config.gc_heap_reservation(bytes);
        }
        let mut limits = CompileLimits::new();
        limits.time(self.max_compile_time);
        if let Some(bytes) = self.max_code_size {
            limits.code_size(bytes as usize);
        }
        if let Some(values) = self.max_function_values {
            limits.function_values(values);
        }
        config.compile_limits(&limits);
        config.relaxed_simd_deterministic(self.relaxed_simd_deterministic);
        config.cranelift_nan_canonicalization(self.nan_canonicalization);
        config.fuel_by_length(self.fuel_by_length);
        Ok(())
    }

    /// Fails if any setting is given, since the artifact at `path` has its own.
    pub(crate) fn ensure_none(&self, path: &Path) -> Result<()> {
        let CodeSettings {
            features,
            memory_reservation,
            memory64_reservation,
            memory_guard_size,
            table_reservation,
            gc_heap_reservation,
            relaxed_simd_deterministic,
            nan_canonicalization,
            fuel_by_length,
            max_compile_time,
            max_code_size,
            max_function_values,
        } = self;
        let given = [
            ("-W", !features.is_empty()),
            ("--memory-reservation", memory_reservation.is_some()),
            ("--memory64-reservation", memory64_reservation.is_some()),
            ("--memory-guard-size", memory_guard_size.is_some()),
            ("--table-reservation", table_reservation.is_some()),
            ("--gc-heap-reservation", gc_heap_reservation.is_some()),
            ("--relaxed-simd-deterministic", *relaxed_simd_deterministic),
            ("--nan-canonicalization", *nan_canonicalization),
            ("--fuel-by-length", *fuel_by_length),
            ("--max-compile-time", max_compile_time.is_some()),
            ("--max-code-size", max_code_size.is_some()),
            ("--max-function-values", max_function_values.is_some()),
        ];
        if let Some((option, _)) = given.iter().find(|(_, given)| *given) {
            mintage::error::bail!(
                "`{}` is already compiled; pass `{option}` to `mintage compile`",
                path.display()
            )
        }
        Ok(())
    }
}

/// Limits on the resources of a component's instance.
#[derive(clap::Args, Debug)]
pub(crate) struct Limits {
    /// Stack space for guest code [default: 512K]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    max_wasm_stack: Option<u64>,

    /// Address space that an instance may reserve [default: 1T]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    max_address_space: Option<u64>,

    /// Maximum size of each memory
    #[arg(long, value_name = "SIZE", value_parser = size)]
    max_memory_size: Option<u64>,

    /// Maximum size of all memories, tables and GC heaps together
    #[arg(long, value_name = "SIZE", value_parser = size)]
    max_total_memory_size: Option<u64>,

    /// Maximum number of entries of each table
    #[arg(long, value_name = "COUNT")]
    max_table_elements: Option<usize>,

    /// Maximum number of resource handles [default: 1048576]
    #[arg(long, value_name = "COUNT")]
    max_handles: Option<usize>,

    /// Maximum number of memories [default: 10000]
    #[arg(long, value_name = "COUNT")]
    max_memories: Option<usize>,

    /// Maximum number of tables [default: 10000]
    #[arg(long, value_name = "COUNT")]
    max_tables: Option<usize>,
}

impl Limits {
    /// Applies the limits of an engine to `config`.
    pub(crate) fn apply(&self, config: &mut Config) {
        if let Some(bytes) = self.max_wasm_stack {
            config.max_wasm_stack(bytes as usize);
        }
        if let Some(bytes) = self.max_address_space {
            config.max_instance_address_space(bytes);
            config.pool(PoolConfig::new().total_address_space(bytes));
        }
    }

    /// Returns the limits of a store.
    pub(crate) fn of_store(&self) -> StoreLimits {
        let mut limits = StoreLimitsBuilder::new();
        if let Some(bytes) = self.max_memory_size {
            limits = limits.memory_size(bytes as usize);
        }
        if let Some(bytes) = self.max_total_memory_size {
            limits = limits.total_memory_size(bytes as usize);
        }
        if let Some(entries) = self.max_table_elements {
            limits = limits.table_elements(entries);
        }
        if let Some(count) = self.max_handles {
            limits = limits.handles(count);
        }
        if let Some(count) = self.max_memories {
            limits = limits.memories(count);
        }
        if let Some(count) = self.max_tables {
            limits = limits.tables(count);
        }
        limits.build()
    }
}

/// Parses a time in seconds: `2`, `0.5`.
pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().map_err(|_| "expected a number of seconds")?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

/// Parses a number of bytes: `65536`, `64K`, `64KiB`, `2G`.
fn size(text: &str) -> Result<u64, String> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = unit
        .strip_suffix("iB")
        .filter(|unit| !unit.is_empty())
        .unwrap_or(unit);
    let shift = match unit {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        "T" => 40,
        _ => {
            return Err(
                "expected a number of bytes, optionally in units of K, M, G or T (powers of 1024)"
                    .into(),
            );
        }
    };
    let number: u64 = number
        .parse()
        .map_err(|_| "expected a number of bytes".to_string())?;
    number
        .checked_mul(1 << shift)
        .ok_or_else(|| "the number of bytes does not fit 64 bits".to_string())
}

/// A feature that is turned on or off.
#[derive(Clone, Copy, Debug)]
struct Switch {
    /// The feature, or all features if `None`.
    feature: Option<&'static Feature>,
    on: bool,
}

/// Parses a [`Switch`]. The value `help` lists the features instead.
#[derive(Clone)]
struct SwitchParser;

impl TypedValueParser for SwitchParser {
    type Value = Switch;

    fn parse_ref(
        &self,
        command: &clap::Command,
        arg: Option<&clap::Arg>,
        value: &std::ffi::OsStr,
    ) -> Result<Switch, clap::Error> {
        let text = StringValueParser::new().parse_ref(command, arg, value)?;
        let wrong = |message: String| clap::Error::raw(ErrorKind::ValueValidation, message + "\n");
        let (name, on) = match text.split_once('=') {
            None if text == "help" => return Err(feature_help()),
            None => (text.as_str(), true),
            Some((name, "y" | "yes" | "on" | "true")) => (name, true),
            Some((name, "n" | "no" | "off" | "false")) => (name, false),
            Some((name, _)) => return Err(wrong(format!("write `-W {name}=y` or `-W {name}=n`"))),
        };
        if name == "all" {
            return Ok(Switch { feature: None, on });
        }
        let known = |feature: &&Feature| {
            let long = feature.setter.trim_start_matches("wasm_");
            same(feature.name, name) || same(long, name)
        };
        match Feature::ALL.iter().find(known) {
            Some(feature) => Ok(Switch {
                feature: Some(feature),
                on,
            }),
            None => Err(wrong(format!(
                "there is no feature `{name}`; `-W help` lists the features"
            ))),
        }
    }
}

/// Compares two names, with `-` and `_` being equal.
fn same(a: &str, b: &str) -> bool {
    a.replace('_', "-") == b.replace('_', "-")
}

/// Returns the name of a feature for `-W`.
fn option_name(feature: &Feature) -> String {
    feature.name.replace('_', "-")
}

/// Returns the list of features as the "error" by which clap prints a help text: it goes to
/// standard output, and the exit code is 0.
fn feature_help() -> clap::Error {
    let command = clap::Command::new("features").override_help(list_features());
    let matches = command.try_get_matches_from(["features", "--help"]);
    matches.expect_err("`--help` ends parsing with an error")
}

fn list_features() -> String {
    let mut text = "Features for `-W FEATURE[=y|n]`:\n\n".to_string();
    for feature in Feature::ALL {
        let default = if feature.default { "on" } else { "off" };
        text += &format!(
            "  {:<20} {default:<3}  {}\n",
            option_name(feature),
            feature.doc
        );
    }
    text + "\n`all` stands for all features. The second column is the default.\n"
}

/// The library's settings that are not features, and the option for each.
const OPTIONS: &[(&str, &str)] = &[
    ("Config::memory_reservation", "--memory-reservation"),
    ("Config::memory64_reservation", "--memory64-reservation"),
    ("Config::memory_guard_size", "--memory-guard-size"),
    ("Config::table_reservation", "--table-reservation"),
    ("Config::gc_heap_reservation", "--gc-heap-reservation"),
    (
        "Config::relaxed_simd_deterministic",
        "--relaxed-simd-deterministic",
    ),
    (
        "Config::cranelift_nan_canonicalization",
        "--nan-canonicalization",
    ),
    ("Config::max_wasm_stack", "--max-wasm-stack"),
    ("Config::max_instance_address_space", "--max-address-space"),
    ("Config::consume_fuel(true)", "--consume-fuel"),
    ("Config::interruptible(true)", "--interruptible"),
    ("CompileLimits::time", "--max-compile-time"),
    ("CompileLimits::code_size", "--max-code-size"),
    ("CompileLimits::function_values", "--max-function-values"),
    ("PoolConfig::total_address_space", "--max-address-space"),
    ("StoreLimitsBuilder::memory_size", "--max-memory-size"),
    (
        "StoreLimitsBuilder::total_memory_size",
        "--max-total-memory-size",
    ),
    ("StoreLimitsBuilder::table_elements", "--max-table-elements"),
    ("StoreLimitsBuilder::handles", "--max-handles"),
    ("StoreLimitsBuilder::memories", "--max-memories"),
    ("StoreLimitsBuilder::tables", "--max-tables"),
];

/// Advice in the library's errors that does not help users of the command.
const LIBRARY_ADVICE: &str = ", or change what `Store::limiter` was given";

/// Replaces the names of the library's settings in an error message with the command's options.
///
/// Errors of the library name its settings between backticks, for example
/// `` `Config::memory_reservation` ``.
pub(crate) fn in_terms_of_options(message: &str) -> Cow<'_, str> {
    if !message.contains("`Config::")
        && !OPTIONS.iter().any(|(setting, _)| message.contains(setting))
    {
        return message.into();
    }
    let mut message = message.replace(LIBRARY_ADVICE, "");
    for (setting, option) in OPTIONS {
        message = message.replace(&format!("`{setting}`"), &format!("`{option}`"));
    }
    for feature in Feature::ALL {
        let setting = format!("`Config::{}`", feature.setter);
        message = message.replace(&setting, &format!("`-W {}`", option_name(feature)));
    }
    message.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn sizes_have_units() {
        for (text, bytes) in [
            ("0", 0),
            ("65536", 65536),
            ("64K", 65536),
            ("64KiB", 65536),
            ("2G", 2 << 30),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in [
            "",
            "K",
            "iB",
            "1iB",
            "64k",
            "1.5G",
            "-1",
            "1KB",
            "99999999T",
        ] {
            assert!(size(text).is_err(), "{text}");
        }
    }

    /// Settings that errors name but for which there is no option, with the reason.
    const WITHOUT_OPTION: &[(&str, &str)] = &[
        ("Config::core_exports", "tests only"),
        (
            "Config::enable_compiler(false)",
            "a command that compiles has a compiler",
        ),
        (
            "PoolConfig::total_component_instances",
            "a command creates one instance",
        ),
        (
            "PoolConfig::total_stacks",
            "a command makes no asynchronous calls",
        ),
    ];

    #[test]
    fn every_setting_that_errors_name_has_an_option() {
        let mut found = 0;
        let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("..")];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir()
                    // The settings in `compatible` are those of other hosts, not of this command.
                    && !["cli", "tests", "target", "compatible"]
                        .iter()
                        .any(|name| path.ends_with(name))
                {
                    folders.push(path);
                } else if path.extension().is_some_and(|extension| extension == "rs") {
                    let text = fs::read_to_string(&path).unwrap();
                    let code = text
                        .lines()
                        .filter(|line| !line.trim_start().starts_with("//"));
                    for setting in code.flat_map(settings) {
                        let excused = WITHOUT_OPTION.iter().any(|(name, _)| *name == setting);
                        let text = format!("`{setting}`");
                        let known = in_terms_of_options(&text) != text;
                        assert!(excused || known, "{setting} in {}", path.display());
                        found += 1;
                    }
                }
            }
        }
        assert!(found > 10, "{found}");
    }

    /// Returns the settings that a line names between backticks. Names with braces are completed at
    /// run time, and those with quotes by a macro.
    fn settings(line: &str) -> impl Iterator<Item = &str> {
        let inside = line.split('`').skip(1).step_by(2);
        inside.filter(|text| {
            let ours = [
                "Config::",
                "CompileLimits::",
                "PoolConfig::",
                "StoreLimitsBuilder::",
            ];
            ours.iter().any(|prefix| text.starts_with(prefix)) && !text.contains(['{', '"'])
        })
    }

    #[test]
    fn messages_name_options() {
        for feature in Feature::ALL {
            let message = format!("no (which `Config::{}` turns on)", feature.setter);
            let expected = format!("no (which `-W {}` turns on)", option_name(feature));
            assert_eq!(in_terms_of_options(&message), expected);
        }
        assert_eq!(
            in_terms_of_options("`Config::x` is unknown"),
            "`Config::x` is unknown"
        );
    }
}
