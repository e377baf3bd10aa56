//! Goldens: what is generated for each WIT file in `goldens/`. `BLESS=1` writes them anew.
//!
//! Comments at the start of a file that begin with `// trappable: ` and the like are options.

use mintage_bindgen::{FunctionFlags, FunctionRule, Options, generate};
use quote::quote;
use std::fs;
use std::path::Path;
use wit_parser::Resolve;

fn options(wit: &str) -> Options {
    let mut options = Options::new(quote!(::mintage));
    for line in wit.lines() {
        let Some((option, value)) = line.strip_prefix("// ").and_then(|l| l.split_once(": "))
        else {
            break;
        };
        let path = |text: &str| text.parse().unwrap();
        match option {
            "trappable" => options.imports.push(FunctionRule {
                filter: (value != "default").then(|| value.to_string()),
                flags: FunctionFlags { trappable: true },
            }),
            "with" => {
                let (name, rust) = value.split_once(" = ").unwrap();
                options.with.insert(name.to_string(), path(rust));
            }
            "trappable_error_type" => {
                let (name, rust) = value.split_once(" = ").unwrap();
                options
                    .trappable_error_types
                    .insert(name.to_string(), path(rust));
            }
            _ => panic!("unknown option `{option}`"),
        }
    }
    options
}

fn generated(name: &str, wit: &str) -> anyhow::Result<String> {
    let mut resolve = Resolve::default();
    let package = resolve.push_str(name, wit)?;
    let world = resolve.select_world(&[package], None)?;
    let tokens = generate(&options(wit), &resolve, world)?;
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
        let golden = path.with_extension("txt");
        if std::env::var_os("BLESS").is_some() {
            fs::write(&golden, text).unwrap();
        } else if fs::read_to_string(&golden).unwrap_or_default() != text {
            different.push(name);
        }
    }
    assert!(seen > 0, "there are goldens");
    assert!(
        different.is_empty(),
        "what is generated for {different:?} has changed; `BLESS=1` writes the goldens anew"
    );
}
