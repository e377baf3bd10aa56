//! Goldens: what is generated for each WIT file in `goldens/`. `BLESS=1` writes them anew.
//!
//! Comments at the start of a file are options, such as `// imports: default = async | trappable`.
//! The expected text of a file that cannot be generated is its error, as a comment.

use indexmap::IndexMap;
use mintage_bindgen::{
    Filter, FunctionFlags, FunctionRule, FunctionRules, Options, Ownership, generate,
};
use proc_macro2::TokenStream;
use quote::quote;
use std::fs;
use std::path::Path;
use wit_parser::Resolve;

/// Parses the value of an option that is a list of flags.
fn flags(text: &str) -> FunctionFlags {
    let mut flags = FunctionFlags::default();
    for flag in text.split('|') {
        match flag.trim() {
            "async" => flags.asynchronous = true,
            "store" => flags.store = true,
            "trappable" => flags.trappable = true,
            "tracing" => flags.tracing = true,
            "verbose_tracing" => flags.verbose_tracing = true,
            "exact" => flags.exact = true,
            flag => panic!("unknown flag `{flag}`"),
        }
    }
    flags
}

/// Adds the rule `name = flags` to the only set of rules.
fn add_rule(sets: &mut Vec<FunctionRules>, rule: &str) {
    if sets.is_empty() {
        sets.push(FunctionRules::default());
    }
    let (name, value) = rule.split_once(" = ").unwrap();
    let flags = flags(value);
    match name {
        "default" => sets[0].default = flags,
        path => sets[0].rules.push(FunctionRule {
            filter: Filter::Path(path.to_string()),
            flags,
        }),
    }
}

/// Adds the pair `name = path` to an option.
fn add_pair(map: &mut IndexMap<String, TokenStream>, pair: &str) {
    let (name, rust) = pair.split_once(" = ").unwrap();
    map.insert(name.to_string(), rust.parse().unwrap());
}

fn options(wit: &str) -> Options {
    let mut options = Options::new(quote!(::mintage));
    for line in wit.lines() {
        let Some((option, value)) = line.strip_prefix("// ").and_then(|l| l.split_once(": "))
        else {
            break;
        };
        match option {
            "imports" => add_rule(&mut options.imports, value),
            "exports" => add_rule(&mut options.exports, value),
            "with" => add_pair(&mut options.with, value),
            "named_imports" => add_pair(&mut options.named_imports, value),
            "trappable_error_type" => add_pair(&mut options.trappable_error_types, value),
            "additional_derives" => options.additional_derives.push(value.parse().unwrap()),
            "ownership" => {
                options.ownership = Ownership::Borrowing {
                    duplicate_if_necessary: value == "duplicate_if_necessary",
                };
            }
            "crate" => options.krate = value.parse().unwrap(),
            "interfaces" => options.interfaces_only = value == "true",
            "require_store_data_send" => options.require_store_data_send = value == "true",
            "skip_mut_forwarding_impls" => options.skip_mut_forwarding_impls = value == "true",
            "anyhow" => options.anyhow = value == "true",
            "include_component_type" => options.include_component_type = value == "true",
            _ => panic!("unknown option `{option}`"),
        }
    }
    options
}

fn generated(name: &str, wit: &str) -> anyhow::Result<String> {
    let mut resolve = Resolve {
        all_features: true,
        ..Resolve::default()
    };
    let package = resolve.push_str(name, wit)?;
    let world = resolve.select_world(&[package], None)?;
    let tokens = generate(&options(wit), &mut resolve, world)?;
    let file = syn::parse2(tokens.clone()).unwrap_or_else(|error| panic!("{error}: {tokens}"));
    Ok(prettyplease::unparse(&file))
}

#[test]
fn goldens() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens");
    let mut different = Vec::new();
    let mut seen = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "wit") {
            continue;
        }
        seen += 1;
        let wit = fs::read_to_string(&path).unwrap();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let text = generated(&name, &wit).unwrap_or_else(|error| format!("// {error:#}\n"));
        assert!(!text.contains("unsafe"), "{name} has `unsafe` code");
        let golden = path.with_extension("txt");
        if std::env::var_os("BLESS").is_some() {
            fs::write(&golden, text).unwrap();
        } else if fs::read_to_string(&golden).unwrap_or_default() != text {
            different.push(name);
        }
    }
    assert!(seen > 0, "there are no goldens");
    assert!(
        different.is_empty(),
        "what is generated for {different:?} has changed; `BLESS=1` writes the goldens anew"
    );
}
