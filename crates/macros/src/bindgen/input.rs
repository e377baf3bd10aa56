//! [`Input`]: the options of `bindgen!`.

use super::rules;
use crate::definition::default_crate;
use indexmap::IndexMap;
use mintage_bindgen::{FunctionFlags, Options, Ownership};
use proc_macro2::TokenStream;
use quote::ToTokens;
use std::collections::HashSet;
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Error, Ident, LitBool, LitStr, Result, Token, braced, bracketed};

/// The package around the value of the option `interfaces`.
const INTERFACES_PACKAGE: &str = "mintage:interfaces";

/// The options, for messages.
const OPTIONS: &[&str] = &[
    "world",
    "path",
    "inline",
    "interfaces",
    "features",
    "all_features",
    "imports",
    "exports",
    "with",
    "named_imports",
    "trappable_error_type",
    "ownership",
    "additional_derives",
    "anyhow",
    "require_store_data_send",
    "skip_mut_forwarding_impls",
    "include_component_type",
    "include_generated_code_from_file",
    "debug",
    "stringify",
    "crate",
    "wasmtime_crate",
    "async",
    "trappable_imports",
    "tracing",
    "verbose_tracing",
];

/// The input of `bindgen!`.
pub struct Input {
    pub world: Option<String>,
    pub paths: Vec<String>,
    pub inline: Option<String>,
    /// The features whose unstable items there are; all if there is no list.
    pub features: Option<Vec<String>>,
    /// The macro becomes the text of the code.
    pub stringify: bool,
    /// The code is in a file that the compiler reads.
    pub is_from_file: bool,
    pub options: Options,
}

impl Parse for Input {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let mut parsed = Input {
            world: None,
            paths: Vec::new(),
            inline: None,
            features: None,
            stringify: false,
            is_from_file: false,
            options: Options::new(default_crate().to_token_stream()),
        };
        if input.is_empty() {
            return Ok(parsed);
        }
        if input.peek(LitStr) || input.peek(Token![in]) {
            if input.peek(LitStr) {
                parsed.world = Some(input.parse::<LitStr>()?.value());
            }
            if input.parse::<Option<Token![in]>>()?.is_some() {
                parsed.paths.push(input.parse::<LitStr>()?.value());
            }
            return Ok(parsed);
        }
        let options;
        braced!(options in input);
        let mut seen = HashSet::new();
        while !options.is_empty() {
            let name = options.call(Ident::parse_any)?;
            if !seen.insert(name.to_string()) {
                let message = format!("the option `{name}` is given twice");
                return Err(Error::new(name.span(), message));
            }
            options.parse::<Token![:]>()?;
            parsed.option(&name, &options)?;
            if options.parse::<Option<Token![,]>>()?.is_none() && !options.is_empty() {
                return Err(options.error("expected `,` between options"));
            }
        }
        if seen.contains("interfaces") && (seen.contains("inline") || seen.contains("world")) {
            return Err(input.error("`interfaces` takes the place of `inline` and `world`"));
        }
        Ok(parsed)
    }
}

impl Input {
    /// Parses the value of an option.
    fn option(&mut self, name: &Ident, input: ParseStream<'_>) -> Result<()> {
        let options = &mut self.options;
        match name.to_string().as_str() {
            "world" => self.world = Some(text(input)?),
            "path" => self.paths = one_or_more(input)?,
            "inline" => self.inline = Some(text(input)?),
            "interfaces" => self.interfaces(&text(input)?),
            "features" => self.features = Some(one_or_more(input)?),
            "all_features" => {
                if !flag(input)? {
                    self.features.get_or_insert_default();
                }
            }
            "imports" => options.imports.push(rules::rules(input)?),
            "exports" => options.exports.push(rules::rules(input)?),
            "async" => {
                let (imports, exports) = rules::asynchronous(input)?;
                options.imports.push(imports);
                options.exports.push(exports);
            }
            "trappable_imports" => options.imports.push(rules::trappable(input)?),
            "tracing" | "verbose_tracing" => {
                let is_on = flag(input)?;
                let flags = FunctionFlags {
                    tracing: is_on && name == "tracing",
                    verbose_tracing: is_on && name == "verbose_tracing",
                    ..FunctionFlags::default()
                };
                options.imports.push(rules::all(flags));
                options.exports.push(rules::all(flags));
            }
            "with" => options.with = pairs(input)?,
            "named_imports" => options.named_imports = pairs(input)?,
            "trappable_error_type" => options.trappable_error_types = pairs(input)?,
            "ownership" => options.ownership = ownership(input)?,
            "additional_derives" => options.additional_derives = paths(input)?,
            "anyhow" => options.anyhow = flag(input)?,
            "require_store_data_send" => options.require_store_data_send = flag(input)?,
            "skip_mut_forwarding_impls" => options.skip_mut_forwarding_impls = flag(input)?,
            "include_component_type" => options.include_component_type = flag(input)?,
            "include_generated_code_from_file" | "debug" => self.is_from_file |= flag(input)?,
            "stringify" => self.stringify = flag(input)?,
            "crate" | "wasmtime_crate" => {
                let path = input.call(syn::Path::parse_mod_style)?;
                options.krate = path.to_token_stream();
            }
            _ => {
                let known: Vec<_> = OPTIONS.iter().map(|name| format!("`{name}`")).collect();
                let known = known.join(", ");
                return Err(Error::new(
                    name.span(),
                    format!("unknown option `{name}`; the options are {known}"),
                ));
            }
        }
        Ok(())
    }

    /// Makes a world of a list of imports.
    fn interfaces(&mut self, imports: &str) {
        let package = INTERFACES_PACKAGE;
        self.inline = Some(format!(
            "package {package}; world interfaces {{ {imports} }}"
        ));
        self.world = Some(format!("{package}/interfaces"));
        self.options.interfaces_only = true;
    }
}

fn text(input: ParseStream<'_>) -> Result<String> {
    Ok(input.parse::<LitStr>()?.value())
}

fn flag(input: ParseStream<'_>) -> Result<bool> {
    Ok(input.parse::<LitBool>()?.value)
}

/// Parses a string, or a list of them.
pub fn one_or_more(input: ParseStream<'_>) -> Result<Vec<String>> {
    if input.peek(LitStr) {
        return Ok(vec![text(input)?]);
    }
    let list;
    bracketed!(list in input);
    let strings: Punctuated<LitStr, Token![,]> = list.call(Punctuated::parse_terminated)?;
    Ok(strings.iter().map(LitStr::value).collect())
}

/// Parses a list of paths.
fn paths(input: ParseStream<'_>) -> Result<Vec<TokenStream>> {
    let list;
    bracketed!(list in input);
    let paths: Punctuated<syn::Path, Token![,]> = list.call(Punctuated::parse_terminated)?;
    Ok(paths.iter().map(ToTokens::to_token_stream).collect())
}

/// Parses `{ "name": path, ... }`, where `=>` may stand for the colon.
fn pairs(input: ParseStream<'_>) -> Result<IndexMap<String, TokenStream>> {
    let list;
    braced!(list in input);
    let mut pairs = IndexMap::new();
    while !list.is_empty() {
        let name = match list.peek(LitStr) {
            true => list.parse::<LitStr>()?,
            false => {
                let word = list.call(Ident::parse_any)?;
                LitStr::new(&word.to_string(), word.span())
            }
        };
        match list.peek(Token![=>]) {
            true => _ = list.parse::<Token![=>]>()?,
            false => _ = list.parse::<Token![:]>()?,
        }
        let ty: syn::Type = list.parse()?;
        if pairs.insert(name.value(), ty.to_token_stream()).is_some() {
            let message = format!("`{}` is given twice", name.value());
            return Err(Error::new(name.span(), message));
        }
        if list.parse::<Option<Token![,]>>()?.is_none() && !list.is_empty() {
            return Err(list.error("expected `,`"));
        }
    }
    Ok(pairs)
}

/// Parses `Owning`, or `Borrowing { duplicate_if_necessary: true }`.
fn ownership(input: ParseStream<'_>) -> Result<Ownership> {
    let word = input.call(Ident::parse_any)?;
    match word.to_string().as_str() {
        "Owning" => Ok(Ownership::Owning),
        "Borrowing" => {
            let fields;
            braced!(fields in input);
            let field = fields.call(Ident::parse_any)?;
            if field != "duplicate_if_necessary" {
                return Err(Error::new(
                    field.span(),
                    "expected `duplicate_if_necessary`",
                ));
            }
            fields.parse::<Token![:]>()?;
            let duplicate_if_necessary = flag(&fields)?;
            fields.parse::<Option<Token![,]>>()?;
            Ok(Ownership::Borrowing {
                duplicate_if_necessary,
            })
        }
        _ => Err(Error::new(
            word.span(),
            "expected `Owning` or `Borrowing { duplicate_if_necessary: true }`",
        )),
    }
}
