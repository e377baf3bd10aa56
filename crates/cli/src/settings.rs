//! Command-line options for the library's settings, and error messages that name these options.

use crate::groups::{Group, Key, Pair, PairParser, help, number, store, switch, value, wrong};
use crate::values::{size, time};
use clap::builder::{StringValueParser, TypedValueParser};
use mintage::error::{Result, ensure};
use mintage::{
    CompileLimits, Config, Inlining, OptLevel, PoolConfig, StoreLimits, StoreLimitsBuilder,
};
use mintage_environ::Feature;
use std::borrow::Cow;
use std::path::Path;
use std::time::Duration;

/// Settings that affect compilation. An artifact keeps them.
#[derive(clap::Args, Debug, Default)]
pub(crate) struct CodeSettings {
    /// Turn WebAssembly features on, or off with `=n`: `-W map,simd=n`; other keys set limits: `-W
    /// fuel=1000`; `-W help` lists all
    #[arg(
        short = 'W',
        long = "wasm",
        value_name = "KEY[=VALUE]",
        value_delimiter = ',',
        value_parser = WasmParser
    )]
    wasm: Vec<WasmOption>,

    /// Optimize for: 0 compile time, 1 speed of the code (the default), 2 speed and size of the
    /// code; `-O help` lists more
    #[arg(
        short = 'O',
        long = "optimize",
        visible_alias = "opt-level",
        value_name = "LEVEL|KEY=VALUE",
        value_delimiter = ',',
        value_parser = OptimizeParser
    )]
    optimize: Vec<Pair>,

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

    /// Fail if compilation takes longer than this: `500ms`, or plain seconds
    #[arg(long, value_name = "TIME", value_parser = time)]
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
        let (wasm, optimize) = (self.wasm_keys(), OPTIMIZE.collect(&self.optimize));
        for option in &self.wasm {
            match option {
                WasmOption::Feature(Some(feature), on) => _ = config.wasm_feature(feature, *on),
                WasmOption::Feature(None, on) => Feature::ALL
                    .iter()
                    .for_each(|feature| _ = config.wasm_feature(feature, *on)),
                WasmOption::Key(_) => {}
            }
        }
        if let Some(level) = optimize.level {
            config.opt_level(level);
        }
        if let Some(on) = optimize.inlining {
            config.compiler_inlining(match on {
                true => Inlining::Yes,
                false => Inlining::No,
            });
        }
        if let Some(bytes) = self.memory_reservation.or(optimize.memory_reservation) {
            config.memory_reservation(bytes);
        }
        if let Some(bytes) = self.memory64_reservation {
            config.memory64_reservation(bytes);
        }
        if let Some(bytes) = self.memory_guard_size.or(optimize.memory_guard_size) {
            config.memory_guard_size(bytes);
        }
        if let Some(entries) = self.table_reservation {
            config.table_reservation(entries);
        }
        if let Some(bytes) = self.gc_heap_reservation.or(optimize.gc_heap_reservation) {
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
        config
            .relaxed_simd_deterministic(self.relaxed_simd_deterministic || wasm.relaxed_simd)
            .cranelift_nan_canonicalization(self.nan_canonicalization || wasm.nan_canonicalization)
            .fuel_by_length(self.fuel_by_length);
        Ok(())
    }

    /// Returns the keys of `-W` that are not features.
    pub(crate) fn wasm_keys(&self) -> WasmKeys {
        WASM.collect(self.wasm.iter().filter_map(|option| match option {
            WasmOption::Key(pair) => Some(pair),
            WasmOption::Feature(..) => None,
        }))
    }

    /// Fails if any setting is given, since the artifact at `path` has its own.
    pub(crate) fn ensure_none(&self, path: &Path) -> Result<()> {
        let CodeSettings {
            wasm,
            optimize,
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
        let (wasm_keys, features) = (self.wasm_keys(), |option: &WasmOption| {
            matches!(option, WasmOption::Feature(..))
        });
        let code_keys = wasm_keys.nan_canonicalization || wasm_keys.relaxed_simd;
        let given = [
            ("-W", code_keys || wasm.iter().any(features)),
            ("-O", !optimize.is_empty()),
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
#[derive(clap::Args, Debug, Default)]
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
    #[arg(
        long,
        visible_alias = "max-total-memory-size",
        value_name = "SIZE",
        value_parser = size
    )]
    max_memory: Option<u64>,

    /// Maximum number of entries of each table
    #[arg(long, value_name = "COUNT")]
    max_table_elements: Option<usize>,

    /// Maximum number of stacks of threads that wait [default: 1000]
    #[arg(long, value_name = "COUNT")]
    max_stacks: Option<usize>,

    /// Maximum number of resource handles [default: 1048576]
    #[arg(long, value_name = "COUNT")]
    max_handles: Option<usize>,

    /// Maximum number of memories [default: 10000]
    #[arg(long, value_name = "COUNT")]
    max_memories: Option<usize>,

    /// Maximum number of tables [default: 10000]
    #[arg(long, value_name = "COUNT")]
    max_tables: Option<usize>,

    /// Trap where growing a memory or a table exceeds a limit, instead of reporting it to the guest
    #[arg(long)]
    trap_on_grow_failure: bool,
}

impl Limits {
    /// Applies the limits of an engine to `config`.
    pub(crate) fn apply(&self, config: &mut Config) {
        if let Some(bytes) = self.max_wasm_stack {
            config.max_wasm_stack(bytes as usize);
        }
        if let Some(bytes) = self.max_address_space {
            config.max_instance_address_space(bytes);
        }
        config.pool(&self.pool());
    }

    /// Returns the settings of a pool with the limits of an engine.
    pub(crate) fn pool(&self) -> PoolConfig {
        let mut pool = PoolConfig::new();
        if let Some(bytes) = self.max_address_space {
            pool.total_address_space(bytes);
        }
        pool
    }

    /// Sets the maximum size of all memories together, unless the user has.
    pub(crate) fn max_memory_or(&mut self, bytes: u64) {
        self.max_memory.get_or_insert(bytes);
    }

    /// Adopts limits that are given as keys of `-W`, unless there is an option for them.
    pub(crate) fn adopt(&mut self, keys: &WasmKeys) {
        self.max_wasm_stack = self.max_wasm_stack.or(keys.max_wasm_stack);
        self.max_memory_size = self.max_memory_size.or(keys.max_memory_size);
        self.max_table_elements = self.max_table_elements.or(keys.max_table_elements);
        self.max_memories = self.max_memories.or(keys.max_memories);
        self.max_tables = self.max_tables.or(keys.max_tables);
        self.trap_on_grow_failure |= keys.trap_on_grow_failure;
    }

    /// Returns the limits of a store.
    pub(crate) fn of_store(&self) -> StoreLimits {
        let mut limits = StoreLimitsBuilder::new().trap_on_grow_failure(self.trap_on_grow_failure);
        if let Some(bytes) = self.max_memory_size {
            limits = limits.memory_size(bytes as usize);
        }
        if let Some(bytes) = self.max_memory {
            limits = limits.total_memory_size(bytes as usize);
        }
        if let Some(entries) = self.max_table_elements {
            limits = limits.table_elements(entries);
        }
        if let Some(count) = self.max_stacks {
            limits = limits.stacks(count);
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

/// A key of `-W`.
#[derive(Clone, Debug)]
enum WasmOption {
    /// A feature, or all features if `None`, that is turned on or off.
    Feature(Option<&'static Feature>, bool),
    /// Another key.
    Key(Pair),
}

/// The keys of `-W` that are not features.
#[derive(Debug, Default)]
pub(crate) struct WasmKeys {
    pub fuel: Option<u64>,
    pub timeout: Option<Duration>,
    pub interruptible: bool,
    nan_canonicalization: bool,
    relaxed_simd: bool,
    max_wasm_stack: Option<u64>,
    max_memory_size: Option<u64>,
    max_table_elements: Option<usize>,
    max_memories: Option<usize>,
    max_tables: Option<usize>,
    trap_on_grow_failure: bool,
}

static WASM: Group<WasmKeys> = Group {
    letter: 'W',
    keys: &[
        Key {
            name: "fuel",
            value: "=N",
            doc: "the same as --fuel N",
            set: |keys, text| store(&mut keys.fuel, value(text, number).map(Some)),
        },
        Key {
            name: "timeout",
            value: "=TIME",
            doc: "the same as --timeout TIME",
            set: |keys, text| store(&mut keys.timeout, value(text, time).map(Some)),
        },
        Key {
            name: "epoch-interruption",
            value: "[=y|n]",
            doc: "make guest code interruptible",
            set: |keys, text| store(&mut keys.interruptible, switch(text)),
        },
        Key {
            name: "nan-canonicalization",
            value: "[=y|n]",
            doc: "the same as --nan-canonicalization",
            set: |keys, text| store(&mut keys.nan_canonicalization, switch(text)),
        },
        Key {
            name: "relaxed-simd-deterministic",
            value: "[=y|n]",
            doc: "the same as --relaxed-simd-deterministic",
            set: |keys, text| store(&mut keys.relaxed_simd, switch(text)),
        },
        Key {
            name: "max-wasm-stack",
            value: "=SIZE",
            doc: "the same as --max-wasm-stack SIZE",
            set: |keys, text| store(&mut keys.max_wasm_stack, value(text, size).map(Some)),
        },
        Key {
            name: "max-memory-size",
            value: "=SIZE",
            doc: "the same as --max-memory-size SIZE",
            set: |keys, text| store(&mut keys.max_memory_size, value(text, size).map(Some)),
        },
        Key {
            name: "max-table-elements",
            value: "=N",
            doc: "the same as --max-table-elements N",
            set: |keys, text| store(&mut keys.max_table_elements, value(text, number).map(Some)),
        },
        Key {
            name: "max-memories",
            value: "=N",
            doc: "the same as --max-memories N",
            set: |keys, text| store(&mut keys.max_memories, value(text, number).map(Some)),
        },
        Key {
            name: "max-tables",
            value: "=N",
            doc: "the same as --max-tables N",
            set: |keys, text| store(&mut keys.max_tables, value(text, number).map(Some)),
        },
        Key {
            name: "trap-on-grow-failure",
            value: "[=y|n]",
            doc: "the same as --trap-on-grow-failure",
            set: |keys, text| store(&mut keys.trap_on_grow_failure, switch(text)),
        },
    ],
    // Parts of WebAssembly that are always on, and settings that nothing here depends on.
    ignored: &[
        "async-stack-size",
        "async-stack-zeroing",
        "branch-hinting",
        "bulk-memory",
        "component-model",
        "concurrency-support",
        "gc-support",
        "max-instances",
        "multi-value",
        "reference-types",
    ],
};

/// Parses a key of `-W`. The value `help` lists the keys instead.
#[derive(Clone)]
struct WasmParser;

impl TypedValueParser for WasmParser {
    type Value = WasmOption;

    fn parse_ref(
        &self,
        command: &clap::Command,
        arg: Option<&clap::Arg>,
        value: &std::ffi::OsStr,
    ) -> Result<WasmOption, clap::Error> {
        let text = StringValueParser::new().parse_ref(command, arg, value)?;
        if text == "help" {
            return Err(help(list_features() + "\n" + &WASM.list()));
        }
        let pair = Pair::split(&text);
        if WASM.has(&pair) {
            WASM.check(&pair).map_err(wrong)?;
            return Ok(WasmOption::Key(pair));
        }
        let (name, on) = match text.split_once('=') {
            None => (text.as_str(), true),
            Some((name, on)) => match switch(Some(on)) {
                Ok(on) => (name, on),
                Err(_) => {
                    return Err(wrong(format!("write `-W {name}=y` or `-W {name}=n`")));
                }
            },
        };
        if name == "all" || same(name, "all-proposals") {
            return Ok(WasmOption::Feature(None, on));
        }
        let known = |feature: &&Feature| {
            let long = feature.setter.trim_start_matches("wasm_");
            same(feature.name, name) || same(long, name)
        };
        match Feature::ALL.iter().find(known) {
            Some(feature) => Ok(WasmOption::Feature(Some(feature), on)),
            None => Err(wrong(format!(
                "there is no feature `{name}`; `-W help` lists the features"
            ))),
        }
    }
}

/// The keys of `-O`.
#[derive(Debug, Default)]
struct OptimizeKeys {
    level: Option<OptLevel>,
    inlining: Option<bool>,
    memory_reservation: Option<u64>,
    memory_guard_size: Option<u64>,
    gc_heap_reservation: Option<u64>,
}

static OPTIMIZE: Group<OptimizeKeys> = Group {
    letter: 'O',
    keys: &[
        Key {
            name: "opt-level",
            value: "=0|1|2|s",
            doc: "0 compile time, 1 speed of the code, 2 or s speed and size of the code",
            set: |keys, text| store(&mut keys.level, value(text, opt_level).map(Some)),
        },
        Key {
            name: "inlining",
            value: "[=y|n]",
            doc: "compile small functions into their callers (default: y)",
            set: |keys, text| store(&mut keys.inlining, switch(text).map(Some)),
        },
        Key {
            name: "memory-reservation",
            value: "=SIZE",
            doc: "the same as --memory-reservation SIZE",
            set: |keys, text| store(&mut keys.memory_reservation, value(text, size).map(Some)),
        },
        Key {
            name: "memory-guard-size",
            value: "=SIZE",
            doc: "the same as --memory-guard-size SIZE",
            set: |keys, text| store(&mut keys.memory_guard_size, value(text, size).map(Some)),
        },
        Key {
            name: "gc-heap-reservation",
            value: "=SIZE",
            doc: "the same as --gc-heap-reservation SIZE",
            set: |keys, text| store(&mut keys.gc_heap_reservation, value(text, size).map(Some)),
        },
    ],
    // How memory is allocated is not a setting here: there is one way.
    ignored: &[
        "dynamic-*",
        "gc-heap-*",
        "guard-before-linear-memory",
        "memory-guaranteed-dense-image-size",
        "memory-init-cow",
        "memory-may-move",
        "memory-reservation-for-growth",
        "pooling-*",
        "regalloc-algorithm",
        "signals-based-traps",
        "static-*",
        "table-lazy-init",
    ],
};

/// Parses a key of `-O`, or a level alone.
#[derive(Clone)]
struct OptimizeParser;

impl TypedValueParser for OptimizeParser {
    type Value = Pair;

    fn parse_ref(
        &self,
        command: &clap::Command,
        arg: Option<&clap::Arg>,
        value: &std::ffi::OsStr,
    ) -> Result<Pair, clap::Error> {
        let text = value.to_str().unwrap_or_default();
        let is_level = text == "s" || text.starts_with(|c: char| c.is_ascii_digit());
        match is_level {
            true => {
                opt_level(text).map_err(|error| wrong(format!("'{text}': {error}")))?;
                Ok(Pair::split(&format!("opt-level={text}")))
            }
            false => PairParser(&OPTIMIZE).parse_ref(command, arg, value),
        }
    }
}

fn opt_level(text: &str) -> Result<OptLevel, String> {
    match text {
        "0" => Ok(OptLevel::None),
        "1" => Ok(OptLevel::Speed),
        "2" | "s" => Ok(OptLevel::SpeedAndSize),
        _ => Err("expected 0, 1 or 2".into()),
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
    ("Config::target", "--target"),
    ("Config::cpu", "--cpu"),
    ("Config::consume_fuel(true)", "--consume-fuel"),
    ("Config::interruptible(true)", "--interruptible"),
    ("CompileLimits::time", "--max-compile-time"),
    ("CompileLimits::code_size", "--max-code-size"),
    ("CompileLimits::function_values", "--max-function-values"),
    ("PoolConfig::total_address_space", "--max-address-space"),
    (
        "PoolConfig::total_component_instances",
        "--max-concurrent-requests",
    ),
    ("PoolConfig::total_stacks", "--max-concurrent-requests"),
    ("StoreLimitsBuilder::memory_size", "--max-memory-size"),
    ("StoreLimitsBuilder::total_memory_size", "--max-memory"),
    ("StoreLimitsBuilder::table_elements", "--max-table-elements"),
    ("StoreLimitsBuilder::stacks", "--max-stacks"),
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

    /// Settings that errors name but for which there is no option, with the reason.
    const WITHOUT_OPTION: &[(&str, &str)] = &[
        ("Config::core_exports", "tests only"),
        (
            "Config::enable_compiler(false)",
            "a command that compiles has a compiler",
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
