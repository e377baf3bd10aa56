//! The macro `bindgen!`: its options, and the WIT that they name.

use crate::definition::default_crate;
use anyhow::Context as _;
use mintage_bindgen::{FunctionFlags, FunctionRule, Options};
use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote};
use std::path::{Path, PathBuf};
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Error, Ident, LitBool, LitStr, Result, Token, braced, bracketed, token};
use wit_parser::{PackageId, Resolve};

/// The input of `bindgen!`.
pub struct Input {
    world: Option<String>,
    paths: Vec<String>,
    inline: Option<String>,
    features: Vec<String>,
    all_features: bool,
    options: Options,
}

impl Parse for Input {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let mut parsed = Input {
            world: None,
            paths: Vec::new(),
            inline: None,
            features: Vec::new(),
            all_features: false,
            options: Options::new(default_crate().to_token_stream()),
        };
        if input.is_empty() {
            return Ok(parsed);
        }
        if input.peek(LitStr) {
            parsed.world = Some(input.parse::<LitStr>()?.value());
            if input.parse::<Option<Token![in]>>()?.is_some() {
                parsed.paths.push(input.parse::<LitStr>()?.value());
            }
            return Ok(parsed);
        }
        let options;
        braced!(options in input);
        while !options.is_empty() {
            parsed.option(&options)?;
            if options.parse::<Option<Token![,]>>()?.is_none() && !options.is_empty() {
                return Err(options.error("expected `,` between options"));
            }
        }
        Ok(parsed)
    }
}

impl Input {
    /// Parses one option with its value.
    fn option(&mut self, input: ParseStream<'_>) -> Result<()> {
        let name = input.call(Ident::parse_any)?;
        input.parse::<Token![:]>()?;
        match name.to_string().as_str() {
            "world" => self.world = Some(input.parse::<LitStr>()?.value()),
            "path" => self.paths = one_or_more(input)?,
            "inline" => self.inline = Some(input.parse::<LitStr>()?.value()),
            "features" => self.features = one_or_more(input)?,
            "all_features" => self.all_features = input.parse::<LitBool>()?.value,
            "crate" | "wasmtime_crate" => {
                let path = input.call(syn::Path::parse_mod_style)?;
                self.options.krate = path.to_token_stream();
            }
            "imports" => self.options.imports = rules(input)?,
            "exports" => {
                // The only flags of exports are those that are refused.
                rules(input)?;
            }
            "trappable_imports" => self.options.imports = trappable_imports(input)?,
            "with" => {
                for (name, path) in pairs(input)? {
                    self.options.with.insert(name, path);
                }
            }
            "trappable_error_type" => {
                for (name, path) in pairs(input)? {
                    self.options.trappable_error_types.insert(name, path);
                }
            }
            "additional_derives" => {
                let list;
                bracketed!(list in input);
                let derives: Punctuated<syn::Path, Token![,]> =
                    list.call(Punctuated::parse_terminated)?;
                let derives = derives.iter().map(ToTokens::to_token_stream);
                self.options.additional_derives = derives.collect();
            }
            "ownership" => match input.call(Ident::parse_any)? {
                owning if owning == "Owning" => {}
                other => return Err(unsupported(&other)),
            },
            // Stores need not be `Send` for what is generated.
            "require_store_data_send" => _ = input.parse::<LitBool>()?,
            "async" if !input.parse::<LitBool>()?.value => {}
            "async"
            | "tracing"
            | "verbose_tracing"
            | "named_imports"
            | "anyhow"
            | "include_generated_code_from_file"
            | "generate_unchecked" => {
                return Err(unsupported(&name));
            }
            _ => {
                return Err(Error::new(
                    name.span(),
                    "unknown option; known are `world`, `path`, `inline`, `features`, \
                     `all_features`, `imports`, `exports`, `with`, `trappable_error_type`, \
                     `additional_derives`, `ownership`, `require_store_data_send` and `crate`",
                ));
            }
        }
        Ok(())
    }
}

fn unsupported(name: &Ident) -> Error {
    Error::new(
        name.span(),
        format!("`{name}` is not supported by `bindgen!` yet"),
    )
}

/// Parses a string, or a list of them.
fn one_or_more(input: ParseStream<'_>) -> Result<Vec<String>> {
    if input.peek(LitStr) {
        return Ok(vec![input.parse::<LitStr>()?.value()]);
    }
    let list;
    bracketed!(list in input);
    let strings: Punctuated<LitStr, Token![,]> = list.call(Punctuated::parse_terminated)?;
    Ok(strings.iter().map(LitStr::value).collect())
}

/// Parses `{ "name": path, ... }`, where `=>` may stand for the colon.
fn pairs(input: ParseStream<'_>) -> Result<Vec<(String, TokenStream)>> {
    let list;
    braced!(list in input);
    let mut pairs = Vec::new();
    while !list.is_empty() {
        let name = match list.peek(LitStr) {
            true => list.parse::<LitStr>()?.value(),
            false => list.call(Ident::parse_any)?.to_string(),
        };
        match list.peek(Token![=>]) {
            true => _ = list.parse::<Token![=>]>()?,
            false => _ = list.parse::<Token![:]>()?,
        }
        let ty: syn::Type = list.parse()?;
        pairs.push((name, ty.to_token_stream()));
        if list.parse::<Option<Token![,]>>()?.is_none() && !list.is_empty() {
            return Err(list.error("expected `,`"));
        }
    }
    Ok(pairs)
}

/// Parses `{ "function": flag | flag, default: flag }`.
fn rules(input: ParseStream<'_>) -> Result<Vec<FunctionRule>> {
    let list;
    braced!(list in input);
    let mut rules = Vec::new();
    while !list.is_empty() {
        let filter = match list.peek(LitStr) {
            true => Some(list.parse::<LitStr>()?.value()),
            false => match list.call(Ident::parse_any)? {
                word if word == "default" => None,
                word => {
                    return Err(Error::new(word.span(), "expected a name or `default`"));
                }
            },
        };
        list.parse::<Token![:]>()?;
        let mut flags = FunctionFlags::default();
        loop {
            let flag = list.call(Ident::parse_any)?;
            match flag.to_string().as_str() {
                "trappable" => flags.trappable = true,
                "async" | "store" | "tracing" | "verbose_tracing" | "ignore_wit" | "exact"
                | "task_exit" => return Err(unsupported(&flag)),
                _ => {
                    return Err(Error::new(
                        flag.span(),
                        "unknown flag; `trappable` is known",
                    ));
                }
            }
            if list.parse::<Option<Token![|]>>()?.is_none() {
                break;
            }
        }
        rules.push(FunctionRule { filter, flags });
        if list.parse::<Option<Token![,]>>()?.is_none() && !list.is_empty() {
            return Err(list.error("expected `,`"));
        }
    }
    // The default is for what no other rule fits, wherever it is written.
    rules.sort_by_key(|rule| rule.filter.is_none());
    Ok(rules)
}

/// Parses the older spelling of which imports are trappable: `true`, or a list of names.
fn trappable_imports(input: ParseStream<'_>) -> Result<Vec<FunctionRule>> {
    let flags = FunctionFlags { trappable: true };
    if input.peek(LitBool) {
        let all = input.parse::<LitBool>()?.value;
        return Ok(match all {
            true => vec![FunctionRule {
                filter: None,
                flags,
            }],
            false => Vec::new(),
        });
    }
    if !input.peek(token::Bracket) {
        return Err(input.error("expected `true`, `false` or a list of names"));
    }
    let names = one_or_more(input)?;
    let rules = names.into_iter().map(|name| FunctionRule {
        filter: Some(name),
        flags,
    });
    Ok(rules.collect())
}

/// Generates the bindings.
pub fn expand(input: &Input) -> Result<TokenStream> {
    let root = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let root = root.unwrap_or_default();
    let generated = resolve(input, &root).and_then(|(resolve, packages, files)| {
        let world = resolve.select_world(&packages, input.world.as_deref())?;
        let bindings = mintage_bindgen::generate(&input.options, &resolve, world)?;
        // The compiler runs the macro again when a file changes that the code includes.
        let files = files.iter().map(|file| {
            quote!(
                const _: &str = include_str!(#file);
            )
        });
        Ok(quote!(#bindings #(#files)*))
    });
    generated.map_err(|error| Error::new(Span::call_site(), format!("{error:#}")))
}

/// Parses the WIT that the options name. Returns its packages and the files that were read.
fn resolve(input: &Input, root: &Path) -> anyhow::Result<(Resolve, Vec<PackageId>, Vec<String>)> {
    let mut resolve = Resolve {
        all_features: input.all_features,
        ..Resolve::default()
    };
    resolve.features.extend(input.features.iter().cloned());
    let mut packages = Vec::new();
    let mut files = Vec::new();
    let mut read = |resolve: &mut Resolve, path: &Path| -> anyhow::Result<()> {
        let pushed = resolve.push_path(path);
        let (package, sources) =
            pushed.with_context(|| format!("cannot read the WIT of `{}`", path.display()))?;
        files.extend(
            sources
                .paths()
                .filter_map(|path| path.to_str().map(str::to_string)),
        );
        packages.push(package);
        Ok(())
    };
    for path in &input.paths {
        read(&mut resolve, &root.join(path))?;
    }
    let default = root.join("wit");
    match &input.inline {
        Some(inline) => {
            if input.paths.is_empty() && default.is_dir() {
                read(&mut resolve, &default)?;
            }
            let package = resolve.push_str("inline.wit", inline)?;
            // The world is that of the inline package.
            packages = vec![package];
        }
        None if input.paths.is_empty() => read(&mut resolve, &default)?,
        None => {}
    }
    Ok((resolve, packages, files))
}
