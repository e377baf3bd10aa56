//! Rules on who may use whom: crates, the folders of a crate, facts of system and processor.

use crate::File;
use crate::rules::code;

/// The crates that each crate of the project may depend on (development dependencies aside).
const CRATES: &[(&str, &[&str])] = &[
    ("environ", &[]),
    ("program", &["environ"]),
    ("codegen", &["environ", "program"]),
    ("artifact", &["environ"]),
    ("compile", &["artifact", "codegen", "environ", "program"]),
    ("runtime", &["artifact", "environ"]),
    ("bindgen", &[]),
    ("macros", &["bindgen"]),
    (
        "mintage",
        &["artifact", "compile", "environ", "macros", "runtime"],
    ),
    ("wast", &["mintage"]),
    ("wasi", &["mintage"]),
    ("wasi-io", &["mintage", "wasi"]),
    ("wasi-http", &["mintage", "wasi"]),
    (
        "cli",
        &[
            "artifact",
            "environ",
            "mintage",
            "wasi",
            "wasi-http",
            "wast",
        ],
    ),
    ("fuzzing", &["artifact", "environ", "mintage", "program"]),
];

/// Dependencies between crates that are not allowed, and crates without a row.
pub fn crates(files: &[File]) -> Vec<String> {
    let mut complaints = Vec::new();
    for file in files {
        let Some(name) = file.path.strip_prefix("crates/") else {
            continue;
        };
        let name = name.strip_suffix("/Cargo.toml");
        let Some(name) = name.filter(|name| !name.contains('/')) else {
            continue;
        };
        let Some((_, allowed)) = CRATES.iter().find(|(row, _)| *row == name) else {
            complaints.push(format!("{name} has no row in the table of this rule"));
            continue;
        };
        for dependency in dependencies(&file.text) {
            if !allowed.contains(&dependency) {
                complaints.push(format!("{name} depends on {dependency}"));
            }
        }
    }
    complaints
}

/// The crates of the project that a manifest names as ordinary dependencies.
fn dependencies(manifest: &str) -> impl Iterator<Item = &str> {
    let sections = manifest.split("\n[").skip(1);
    let ordinary = sections.filter(|section| {
        let heading = section.lines().next().unwrap_or_default();
        heading == "dependencies]" || heading.ends_with(".dependencies]")
    });
    ordinary.flat_map(str::lines).filter_map(|line| {
        let name = line.split(['.', ' ', '=']).next()?;
        name.strip_prefix("mintage-")
            .or((name == "mintage").then_some(name))
    })
}

/// The crates whose folders have layers: the documentation of their root has a table of them.
const LAYERED: &[&str] = &["codegen", "mintage", "runtime", "wasi"];

/// A folder of a crate, or a file beside its root, with those that it may use.
#[derive(Debug, PartialEq, Eq)]
struct Layer {
    name: String,
    uses: Vec<String>,
}

/// Reads the table of a crate's folders. It is one of two kinds. In text, the heading is
/// `folder  may use  ...` and each row names what a folder may use, or `-`. In Markdown, the
/// heading is `| folder | ...`, and each folder may use all those above it.
fn layers(root: &str) -> Result<Vec<Layer>, String> {
    let mut lines = root
        .lines()
        .map(|line| line.trim_start_matches("//!").trim());
    let heading = lines.by_ref().find(|line| {
        line.starts_with("| folder |") || line.starts_with("folder ") && line.contains("may use")
    });
    let heading = heading.ok_or("the documentation of the root has no table of folders")?;
    let mut layers: Vec<Layer> = Vec::new();
    let is_markdown = heading.starts_with('|');
    for row in lines {
        if row.is_empty() || row.starts_with("```") || is_markdown && !row.starts_with('|') {
            break;
        }
        if row.starts_with("|---") || row.starts_with("|-") {
            continue;
        }
        let layer = match is_markdown {
            true => Layer {
                name: row.split('`').nth(1).unwrap_or_default().to_string(),
                uses: layers.iter().map(|layer| layer.name.clone()).collect(),
            },
            false => {
                let mut columns = row.split("  ").filter(|column| !column.is_empty());
                let name = columns.next().unwrap_or_default().trim().to_string();
                let uses = columns.next().unwrap_or_default().split_whitespace();
                let uses = uses.filter(|name| *name != "-").map(str::to_string);
                Layer {
                    name,
                    uses: uses.collect(),
                }
            }
        };
        for used in &layer.uses {
            if !layers.iter().any(|above| above.name == *used) {
                return Err(format!(
                    "`{}` may use `{used}`, which is not above it",
                    layer.name
                ));
            }
        }
        layers.push(layer);
    }
    Ok(layers)
}

/// Uses between the folders of a crate that its table does not allow.
pub fn folders(files: &[File]) -> Vec<String> {
    let mut complaints = Vec::new();
    for name in LAYERED {
        let source = format!("crates/{name}/src/");
        let root = files
            .iter()
            .find(|file| file.path == format!("{source}lib.rs"));
        let Some(root) = root else {
            complaints.push(format!("{source}lib.rs is gone"));
            continue;
        };
        match layers(&root.text) {
            Ok(layers) => complaints.extend(misused(files, &source, &layers)),
            Err(error) => complaints.push(format!("{}: {error}", root.path)),
        }
    }
    complaints
}

/// Modules that any folder may use, since they have nothing but macros or tests.
const UNLAYERED: &[&str] = &["lib", "filetests", "variance"];

fn misused(files: &[File], source: &str, layers: &[Layer]) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut seen = 0;
    for file in files {
        let Some(inside) = file.path.strip_prefix(source) else {
            continue;
        };
        let folder = inside
            .split('/')
            .next()
            .unwrap_or(inside)
            .trim_end_matches(".rs");
        if UNLAYERED.contains(&folder) || inside.ends_with("/tests.rs") {
            continue;
        }
        let Some(layer) = layers.iter().find(|layer| layer.name == folder) else {
            complaints.push(format!("{}: `{folder}` is not in the table", file.path));
            continue;
        };
        seen += 1;
        let production = file
            .text
            .split("\n#[cfg(test)]\nmod tests")
            .next()
            .unwrap_or("");
        for (number, line) in code(production) {
            for used in line.split("crate::").skip(1) {
                let end = used.find(|c: char| !c.is_alphanumeric() && c != '_');
                let used = &used[..end.unwrap_or(used.len())];
                let is_layer = layers.iter().any(|layer| layer.name == used);
                if is_layer && used != folder && !layer.uses.iter().any(|name| name == used) {
                    complaints.push(format!("{}:{number}: `crate::{used}`", file.path));
                }
            }
        }
    }
    if seen == 0 {
        complaints.push(format!("{source} has no files"));
    }
    complaints
}

/// Words that name facts of the operating system.
const SYSTEM: &[&str] = &["libc::", "rustix::", "std::os::", "target_os", "target_env"];
/// Words that name facts of the processor.
const PROCESSOR: &[&str] = &[
    "asm!",
    "target_arch",
    "is_x86_feature_detected",
    "x86_64",
    "X86_64",
    "is_aarch64_feature_detected",
    "AARCH64",
    "Aarch64",
];

/// Facts of system or processor outside of their folders, in the crates that could have them, and
/// extensions of `InstanceData` outside of its folder.
pub fn facts(files: &[File]) -> Vec<String> {
    let mut complaints = Vec::new();
    for file in files {
        if file.path.ends_with("/tests.rs") {
            continue;
        }
        let place = |source: &str| file.path.strip_prefix(source).map(str::to_string);
        let runtime = place("crates/runtime/src/");
        let codegen = place("crates/codegen/src/");
        if file.path.ends_with("/tests.rs") {
            continue;
        }
        let production = file
            .text
            .split("\n#[cfg(test)]\nmod tests")
            .next()
            .unwrap_or("");
        for (number, line) in code(production) {
            let has = |words: &[&str]| words.iter().any(|word| line.contains(word));
            let is_misplaced = match (&runtime, &codegen) {
                (Some(inside), _) => {
                    let in_arch = inside.starts_with("arch");
                    let in_sys = inside.starts_with("sys");
                    // `arch` reads the registers of a signal's context.
                    has(SYSTEM) && !in_sys && !(in_arch && line.contains("libc::"))
                        || has(PROCESSOR) && !in_arch
                        || line.starts_with("impl InstanceData") && !inside.starts_with("instance/")
                }
                (_, Some(inside)) => {
                    has(SYSTEM)
                        || has(PROCESSOR)
                            && !matches!(inside.as_str(), "isa.rs")
                            && !inside.starts_with("isa/")
                            && inside != "filetests.rs"
                }
                (None, None) => false,
            };
            if is_misplaced {
                complaints.push(format!("{}:{number}: {}", file.path, line.trim()));
            }
        }
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file;

    #[test]
    fn crates_depend_downwards() {
        let manifest = "[package]\nname = \"x\"\n\n[dependencies]\n\
                        mintage-runtime.workspace = true\nmintage-environ = \"1\"\n\
                        serde = \"1\"\n\n[dev-dependencies]\nmintage = \"1\"\n";
        let files = [
            file("crates/artifact/Cargo.toml", manifest),
            file("crates/strange/Cargo.toml", ""),
        ];
        assert_eq!(
            crates(&files),
            [
                "artifact depends on runtime",
                "strange has no row in the table of this rule"
            ]
        );
    }

    const TEXT: &str = "//! Crate.\n//!\n//! ```text\n//! folder  may use  what it is\n\
                        //! low     -        the floor\n//! high    low      the roof\n//! ```\n";
    const MARKDOWN: &str =
        "//! | folder | has |\n//! |---|---|\n//! | `low` | floor |\n//! | `high` | roof |\n//!\n";

    #[test]
    fn tables_of_both_kinds_are_read() {
        let layer = |name: &str, uses: &[&str]| Layer {
            name: name.to_string(),
            uses: uses.iter().map(|name| name.to_string()).collect(),
        };
        let expected = Ok(vec![layer("low", &[]), layer("high", &["low"])]);
        assert_eq!(layers(TEXT), expected);
        assert_eq!(layers(MARKDOWN), expected);
        assert!(layers("//! Nothing.").is_err());
        assert!(layers(&TEXT.replace("low     - ", "low     high")).is_err());
    }

    #[test]
    fn folders_use_those_above_them() {
        let layers = layers(TEXT).unwrap();
        let files = [
            file("src/low/mod.rs", "use crate::high::Roof;\n// crate::high\n"),
            file("src/high.rs", "use crate::low::Floor;\n"),
            file("src/other.rs", ""),
        ];
        assert_eq!(
            misused(&files, "src/", &layers),
            [
                "src/low/mod.rs:1: `crate::high`",
                "src/other.rs: `other` is not in the table"
            ]
        );
        assert_eq!(misused(&[], "src/", &layers), ["src/ has no files"]);
    }

    #[test]
    fn facts_have_one_place() {
        let system = "let id = libc::getpid();\n";
        let processor = "#[cfg(target_arch = \"x86_64\")]\n";
        let runtime =
            |folder: &str, text: &str| file(&format!("crates/runtime/src/{folder}/a.rs"), text);
        let files = [
            runtime("sys", system),
            runtime("arch", processor),
            runtime("instance", "impl InstanceData {\n"),
            runtime(
                "pool",
                &format!("{system}{processor}impl InstanceData {{\n"),
            ),
            file("crates/codegen/src/isa.rs", processor),
            file("crates/codegen/src/abi.rs", processor),
            file("crates/cli/src/main.rs", system),
        ];
        let places: Vec<_> = facts(&files)
            .into_iter()
            .map(|complaint| complaint.split(": ").next().unwrap().to_string())
            .collect();
        let pool = "crates/runtime/src/pool/a.rs";
        let expected = [1, 2, 3].map(|line| format!("{pool}:{line}"));
        assert_eq!(places[..3], expected);
        assert_eq!(places[3..], ["crates/codegen/src/abi.rs:1"]);
    }
}
