//! Which functions have which flags: the options `imports` and `exports`, and the older spellings
//! `async`, `trappable_imports`, `tracing` and `verbose_tracing`.

use super::input::one_or_more;
use mintage_bindgen::{Filter, FunctionFlags, FunctionRule, FunctionRules};
use syn::ext::IdentExt;
use syn::parse::ParseStream;
use syn::{Error, Ident, LitBool, LitStr, Result, Token, braced, token};

/// Parses `{ "function": flag | flag, default: flag }`.
pub fn rules(input: ParseStream<'_>) -> Result<FunctionRules> {
    let list;
    braced!(list in input);
    let mut rules = FunctionRules::default();
    while !list.is_empty() {
        let path = match list.peek(LitStr) {
            true => Some(list.parse::<LitStr>()?.value()),
            false => match list.call(Ident::parse_any)? {
                word if word == "default" => None,
                word => {
                    let message = "expected the name of a function as a string, or `default`";
                    return Err(Error::new(word.span(), message));
                }
            },
        };
        list.parse::<Token![:]>()?;
        let flags = flags(&list)?;
        match path {
            Some(path) => rules.rules.push(FunctionRule {
                filter: Filter::Path(path),
                flags,
            }),
            None => rules.default = flags,
        }
        if list.parse::<Option<Token![,]>>()?.is_none() && !list.is_empty() {
            return Err(list.error("expected `,` between rules"));
        }
    }
    Ok(rules)
}

/// Parses flags, separated by `|`.
fn flags(input: ParseStream<'_>) -> Result<FunctionFlags> {
    let mut flags = FunctionFlags::default();
    loop {
        let flag = input.call(Ident::parse_any)?;
        match flag.to_string().as_str() {
            "async" => flags.asynchronous = true,
            "store" => flags.store = true,
            "trappable" => flags.trappable = true,
            "tracing" => flags.tracing = true,
            "verbose_tracing" => flags.verbose_tracing = true,
            "exact" => flags.exact = true,
            _ => {
                return Err(Error::new(
                    flag.span(),
                    format!(
                        "unknown flag `{flag}`; flags are `async`, `store`, `trappable`, \
                         `tracing`, `verbose_tracing` and `exact`"
                    ),
                ));
            }
        }
        if input.parse::<Option<Token![|]>>()?.is_none() || input.is_empty() {
            return Ok(flags);
        }
    }
}

/// Returns rules that give flags to all functions.
pub fn all(flags: FunctionFlags) -> FunctionRules {
    FunctionRules {
        rules: Vec::new(),
        default: flags,
    }
}

/// Returns rules that give flags to functions by their names without interfaces.
fn named(names: Vec<String>, flags: FunctionFlags, default: FunctionFlags) -> FunctionRules {
    let rules = names.into_iter().map(|name| FunctionRule {
        filter: Filter::Function(name),
        flags,
    });
    FunctionRules {
        rules: rules.collect(),
        default,
    }
}

/// Parses the value of `async`: `true`, `false`, `{ only_imports: [...] }` or
/// `{ except_imports: [...] }`. Returns the rules for imports and those for exports.
pub fn asynchronous(input: ParseStream<'_>) -> Result<(FunctionRules, FunctionRules)> {
    let (on, off) = (
        FunctionFlags {
            asynchronous: true,
            ..FunctionFlags::default()
        },
        FunctionFlags::default(),
    );
    if !input.peek(token::Brace) {
        let flags = match input.parse::<LitBool>()?.value {
            true => on,
            false => off,
        };
        return Ok((all(flags), all(flags)));
    }
    let choice;
    braced!(choice in input);
    let word = choice.call(Ident::parse_any)?;
    choice.parse::<Token![:]>()?;
    let names = one_or_more(&choice)?;
    choice.parse::<Option<Token![,]>>()?;
    let imports = match word.to_string().as_str() {
        "only_imports" => named(names, on, off),
        "except_imports" => named(names, off, on),
        _ => {
            return Err(Error::new(
                word.span(),
                "expected `only_imports` or `except_imports`",
            ));
        }
    };
    match choice.is_empty() {
        true => Ok((imports, all(on))),
        false => Err(choice.error("expected one of `only_imports` and `except_imports`")),
    }
}

/// Parses the value of `trappable_imports`: `true`, `false`, or a list of names.
pub fn trappable(input: ParseStream<'_>) -> Result<FunctionRules> {
    let flags = FunctionFlags {
        trappable: true,
        ..FunctionFlags::default()
    };
    if input.peek(token::Bracket) {
        return Ok(named(one_or_more(input)?, flags, FunctionFlags::default()));
    }
    if !input.peek(LitBool) {
        return Err(input.error("expected `true`, `false` or a list of names"));
    }
    Ok(match input.parse::<LitBool>()?.value {
        true => all(flags),
        false => all(FunctionFlags::default()),
    })
}
