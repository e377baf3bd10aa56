//! jaq [-n] FILTER [FILE]: runs a filter of jq over JSON values, of a file or standard input, and
//! prints the results in one line each.
//!
//! The exit code is 2 if the input cannot be read, 3 if the filter is wrong, 5 if it fails.

use jaq_core::load::{Arena, File, Loader};
use jaq_core::{Compiler, Ctx, Vars, data, unwrap_valr};
use jaq_json::{Val, read};
use std::io::{self, BufWriter, Read, Write};
use std::process::ExitCode;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err((code, message)) => {
            eprintln!("jaq: {message}");
            ExitCode::from(code)
        }
    }
}

fn run() -> Result<(), (u8, String)> {
    let mut args: Vec<String> = std::env::args().skip(1).collect();
    let without_input = args.first().is_some_and(|arg| arg == "-n");
    if without_input {
        args.remove(0);
    }
    let code = args.first().ok_or((3, "no filter".to_string()))?;
    let cannot_read = |error: io::Error| (2, error.to_string());
    let mut bytes = Vec::new();
    match args.get(1) {
        _ if without_input => bytes.extend(b"null"),
        Some(path) => bytes = std::fs::read(path).map_err(cannot_read)?,
        None => _ = io::stdin().read_to_end(&mut bytes).map_err(cannot_read)?,
    }

    let definitions = jaq_core::defs()
        .chain(jaq_std::defs())
        .chain(jaq_json::defs());
    let functions = jaq_core::funs()
        .chain(jaq_std::funs())
        .chain(jaq_json::funs());
    let arena = Arena::default();
    let modules = Loader::new(definitions)
        .load(
            &arena,
            File {
                code: code.as_str(),
                path: (),
            },
        )
        .map_err(|_| (3, format!("`{code}` is not a filter")))?;
    let filter = Compiler::default()
        .with_funs(functions)
        .compile(modules)
        .map_err(|_| (3, format!("`{code}` has an unknown name")))?;

    let mut out = BufWriter::new(io::stdout().lock());
    for value in read::parse_many(&bytes) {
        let value: Val = value.map_err(|error| (2, error.to_string()))?;
        let ctx = Ctx::<data::JustLut<Val>>::new(&filter.lut, Vars::new([]));
        for result in filter.id.run((ctx, value)).map(unwrap_valr) {
            let result = result.map_err(|error| (5, error.to_string()))?;
            writeln!(out, "{result}").map_err(cannot_read)?;
        }
    }
    out.flush().map_err(cannot_read)
}
