//! The options of the command that are settings of the library, and errors in terms of these
//! options.

use clap::builder::{StringValueParser, TypedValueParser};
use clap::error::ErrorKind;
use mintage::error::{Result, ensure};
use mintage::{CompileLimits, Config, PoolConfig, StoreLimits, StoreLimitsBuilder};
use mintage_environ::Feature;
use std::borrow::Cow;
use std::path::Path;
use std::time::Duration;

/// Settings that are part of the machine code, and of an artifact.
#[derive(clap::Args, Debug, Default)]
pub(crate) struct CodeSettings {
    /// Turn a feature of components on, or off with `=n`: `-W map,simd=n`; `-W help` lists them
    #[arg(short = 'W', long = "wasm", value_name = "FEATURE[=y|n]", value_delimiter = ',', value_parser = Switches)]
    features: Vec<Switch>,

    /// Reserve this much address space for each 32-bit memory to grow into [default: 4G]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    memory_reservation: Option<u64>,

    /// Reserve this much address space for each 64-bit memory that declares no maximum [default:
    /// 16G]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    memory64_reservation: Option<u64>,

    /// Keep this much inaccessible address space after each memory [default: 2G]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    memory_guard_size: Option<u64>,

    /// Reserve so many entries for each table to grow into [default: 1048576]
    #[arg(long, value_name = "COUNT")]
    table_reservation: Option<u32>,

    /// Reserve this much address space for each heap of objects [default: 512M, at most 1G]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    gc_heap_reservation: Option<u64>,

    /// Let relaxed SIMD have the same results on every processor
    #[arg(long)]
    relaxed_simd_deterministic: bool,

    /// Let arithmetic on floats make no NaN but the canonical one
    #[arg(long)]
    nan_canonicalization: bool,

    /// Let bulk operations (copies, fills, arguments of components) consume fuel by their length,
    /// too
    #[arg(long)]
    fuel_by_length: bool,

    /// Give up when compiling takes longer than this many seconds
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    max_compile_time: Option<Duration>,

    /// Give up when the machine code and its tables take more than this [default: 2G]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    max_code_size: Option<u64>,

    /// Give up when a function has more values than this for the code generator [default: 16777216]
    #[arg(long, value_name = "COUNT")]
    max_function_values: Option<usize>,
}

impl CodeSettings {
    /// Applies what the user gave to `config`.
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
                "`--gc-heap-reservation` can be 1G at most"
            );
            config.gc_heap_reservation(bytes as u32);
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

    /// Fails if any is given: `path` is an artifact, which has its settings.
    pub(crate) fn refuse(&self, path: &Path) -> Result<()> {
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
                "`{}` is compiled already; give `{option}` to `mintage compile`",
                path.display()
            )
        }
        Ok(())
    }
}

/// Limits on what the instances of a component take.
#[derive(clap::Args, Debug)]
pub(crate) struct Limits {
    /// Let guests use this much stack [default: 512K]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    max_wasm_stack: Option<u64>,

    /// Let an instance take this much address space [default: 1T]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    max_address_space: Option<u64>,

    /// Let each memory have this much at most
    #[arg(long, value_name = "SIZE", value_parser = size)]
    max_memory_size: Option<u64>,

    /// Let all memories, tables and heaps of objects together have this much at most
    #[arg(long, value_name = "SIZE", value_parser = size)]
    max_total_memory_size: Option<u64>,

    /// Let each table have so many entries at most
    #[arg(long, value_name = "COUNT")]
    max_table_elements: Option<usize>,

    /// Let an instance have so many handles of resources at most [default: 1048576]
    #[arg(long, value_name = "COUNT")]
    max_handles: Option<usize>,

    /// Let an instance have so many memories at most [default: 10000]
    #[arg(long, value_name = "COUNT")]
    max_memories: Option<usize>,

    /// Let an instance have so many tables at most [default: 10000]
    #[arg(long, value_name = "COUNT")]
    max_tables: Option<usize>,
}

impl Limits {
    /// Applies the limits that hold for all stores to `config`.
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

/// A time in seconds: `2`, `0.5`.
pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().map_err(|_| "not a number of seconds")?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

/// A number of bytes: `65536`, `64K`, `64KiB`, `2G`.
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
        _ => return Err("expected a number of bytes, or one with K, M, G or T (of 1024)".into()),
    };
    let number: u64 = number
        .parse()
        .map_err(|_| "expected a number of bytes".to_string())?;
    number
        .checked_mul(1 << shift)
        .ok_or_else(|| "so many bytes do not exist".to_string())
}

/// A feature (or all of them) turned on or off.
#[derive(Clone, Copy, Debug)]
struct Switch {
    feature: Option<&'static Feature>,
    on: bool,
}

/// Reads a [`Switch`]; `help` lists the features.
#[derive(Clone)]
struct Switches;

impl TypedValueParser for Switches {
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
            None if text == "help" => return Err(help()),
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
                "there is no feature `{name}`; `-W help` lists them"
            ))),
        }
    }
}

/// Whether two names differ in `-` and `_` at most.
fn same(a: &str, b: &str) -> bool {
    a.replace('_', "-") == b.replace('_', "-")
}

/// The name of a feature, as `-W` takes it.
fn option_name(feature: &Feature) -> String {
    feature.name.replace('_', "-")
}

/// The list of features, as an outcome of reading arguments: it goes to standard output, and the
/// exit code is 0.
fn help() -> clap::Error {
    let command = clap::Command::new("features").override_help(list());
    let asked = command.try_get_matches_from(["features", "--help"]);
    asked.expect_err("asking for help is an early end of reading arguments")
}

fn list() -> String {
    let mut text = "Features for `-W FEATURE[=y|n]`:\n\n".to_string();
    for feature in Feature::ALL {
        let default = if feature.default { "on" } else { "off" };
        text += &format!(
            "  {:<20} {default:<3}  {}\n",
            option_name(feature),
            feature.doc
        );
    }
    text + "\n`all` is all of them; the second column is the default.\n"
}

/// Settings of the library that are not features, and the option that sets each.
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

/// Advice in the library's errors that is of no use at a shell.
const LIBRARY_ADVICE: &str = ", or change what `Store::limiter` was given";

/// Returns the message with the command's options in the place of the library's settings.
///
/// Errors of the library name its settings in one form, between backticks. Whoever runs the command
/// cannot call these, but can give the option that does.
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

    /// Settings that errors name, but which no command has use for, with the reason.
    const WITHOUT_OPTION: &[(&str, &str)] = &[
        ("Config::core_exports", "tests only"),
        (
            "PoolConfig::total_component_instances",
            "commands make one instance",
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
                    && !["cli", "tests", "target"]
                        .iter()
                        .any(|name| path.ends_with(name))
                {
                    folders.push(path);
                } else if path.extension().is_some_and(|extension| extension == "rs") {
                    let text = fs::read_to_string(&path).unwrap();
                    // Comments may name what they like.
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

    /// The settings that a line names between backticks. Names that are put in at run time have
    /// braces.
    fn settings(line: &str) -> impl Iterator<Item = &str> {
        let inside = line.split('`').skip(1).step_by(2);
        inside.filter(|text| {
            let ours = [
                "Config::",
                "CompileLimits::",
                "PoolConfig::",
                "StoreLimitsBuilder::",
            ];
            ours.iter().any(|prefix| text.starts_with(prefix)) && !text.contains('{')
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
