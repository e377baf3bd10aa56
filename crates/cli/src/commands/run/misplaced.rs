//! Explains options that come after the file, where they are arguments of the program.

use super::Args;
use crate::input::Source;
use crate::load::Loaded;
use crate::{WrongUsage, note};
use clap::{CommandFactory, Parser};
use mintage::error::{Result, bail};
use std::borrow::Cow;
use std::ffi::OsString;

/// The command alone, as which its options are looked up.
#[derive(Parser)]
struct Alone {
    #[command(flatten)]
    _args: Args,
}

/// Returns whether `text` is an option of this command.
fn is_option(text: &str) -> bool {
    let name = text.split('=').next().unwrap_or_default();
    let command = Alone::command();
    let mut options = command.get_arguments();
    match name.strip_prefix("--") {
        Some(long) => options.any(|arg| {
            arg.get_long() == Some(long)
                || arg
                    .get_visible_aliases()
                    .is_some_and(|names| names.contains(&long))
        }),
        None => {
            let mut letters = name.strip_prefix('-').unwrap_or_default().chars();
            let letter = letters.next();
            letter.is_some() && options.any(|arg| arg.get_short() == letter)
        }
    }
}

/// Returns the call that is made. For a function of a core module, arguments may follow the file:
/// `--invoke add app.wasm 1 2`.
///
/// # Errors
///
/// Fails if one of these arguments is an option of this command.
pub(super) fn invoke<'a>(
    invoke: Option<&'a str>,
    loaded: &Loaded,
    source: &Source,
    args: &[&OsString],
) -> Result<Option<Cow<'a, str>>> {
    let Some(call) = invoke else {
        return Ok(None);
    };
    if !loaded.is_module || args.is_empty() || call.contains(['(', '@']) || call == "-" {
        return Ok(Some(call.into()));
    }
    let mut values = Vec::new();
    for arg in args {
        let arg = arg.to_string_lossy();
        if is_option(&arg) {
            bail!(misplaced(source, &arg));
        }
        values.push(arg);
    }
    Ok(Some(format!("{call}({})", values.join(", ")).into()))
}

/// Fails if there are arguments, for a function that does not get them.
pub(super) fn refuse(source: &Source, args: &[&OsString]) -> Result<()> {
    match args.first() {
        Some(first) => bail!(misplaced(source, &first.to_string_lossy())),
        None => Ok(()),
    }
}

/// Makes the error for an argument where no program is run.
fn misplaced(source: &Source, argument: &str) -> WrongUsage {
    let app = source.app.display();
    WrongUsage(match is_option(argument) {
        true => format!(
            "`{argument}` comes after `{app}`, so it is an argument for a program; options of this \
             command come before the file"
        ),
        false => format!(
            "`{argument}` comes after `{app}`, but a called function takes its arguments from \
             `--invoke 'name(arguments)'`"
        ),
    })
}

/// Says that the first argument of a program that has failed may be meant for this command.
pub(super) fn mention(source: &Source, args: &[&OsString]) {
    let Some(first) = args.first().map(|arg| arg.to_string_lossy()) else {
        return;
    };
    if first.starts_with("--") && is_option(&first) {
        note(&format!(
            "`{first}` comes after `{}`, so the program got it; options of this command come \
             before the file",
            source.app.display()
        ));
    }
}
