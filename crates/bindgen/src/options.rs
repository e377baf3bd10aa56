//! The choices of the user of the generator.

use anyhow::{Result, bail};
use indexmap::{IndexMap, IndexSet};
use proc_macro2::TokenStream;

/// Options of the generator.
pub struct Options {
    /// The path of the crate `mintage`.
    pub krate: TokenStream,
    /// Modules and types that stand for interfaces and resources: `ns:pkg/iface` or
    /// `ns:pkg/iface.resource` to a Rust path.
    pub with: IndexMap<String, TokenStream>,
    /// Rules for imported functions. The first that matches counts.
    pub imports: Vec<FunctionRule>,
    /// Error types of the WIT world that host functions return as a Rust type of the host:
    /// `ns:pkg/iface/type` to a Rust path.
    pub trappable_error_types: IndexMap<String, TokenStream>,
    /// Traits that all records, variants and enums derive besides.
    pub additional_derives: Vec<TokenStream>,
}

impl Options {
    /// Creates options with nothing but the path of the crate `mintage`.
    pub fn new(krate: TokenStream) -> Self {
        Options {
            krate,
            with: IndexMap::new(),
            imports: Vec::new(),
            trappable_error_types: IndexMap::new(),
            additional_derives: Vec::new(),
        }
    }
}

/// Which functions have which flags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionRule {
    /// The name of a function with that of its interface, such as `ns:pkg/iface/f`; the name of an
    /// interface or package; or `None` for all.
    pub filter: Option<String>,
    /// Their flags.
    pub flags: FunctionFlags,
}

/// The choices for one function.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FunctionFlags {
    /// The host's function returns a `Result` whose error ends the guest's call.
    pub trappable: bool,
}

/// Which options were of use, so that those which fit nothing are reported.
#[derive(Default)]
pub(crate) struct Used {
    with: IndexSet<String>,
    errors: IndexSet<String>,
    rules: IndexSet<usize>,
}

impl Used {
    /// Finds a replacement by any of these names, the most specific first.
    pub fn with(&mut self, options: &Options, names: &[String]) -> Option<TokenStream> {
        let name = names.iter().find(|name| options.with.contains_key(*name))?;
        self.with.insert(name.clone());
        options.with.get(name).cloned()
    }

    /// Finds the host's type for an error type by any of these names.
    pub fn error_type(&mut self, options: &Options, names: &[String]) -> Option<TokenStream> {
        let types = &options.trappable_error_types;
        let name = names.iter().find(|name| types.contains_key(*name))?;
        self.errors.insert(name.clone());
        types.get(name).cloned()
    }

    /// Finds the flags of an imported function by its names, the most specific first.
    pub fn flags(&mut self, options: &Options, names: &[String]) -> FunctionFlags {
        let matches = |rule: &FunctionRule| match &rule.filter {
            None => true,
            Some(filter) => names.contains(filter),
        };
        match options.imports.iter().position(matches) {
            Some(number) => {
                self.rules.insert(number);
                options.imports[number].flags
            }
            None => FunctionFlags::default(),
        }
    }

    /// Fails if an option fits nothing in the world.
    pub fn check(&self, options: &Options) -> Result<()> {
        if let Some(name) = options.with.keys().find(|name| !self.with.contains(*name)) {
            bail!(
                "`with` names `{name}`, but the world has no such interface or resource among its \
                 imports"
            );
        }
        let mut errors = options.trappable_error_types.keys();
        if let Some(name) = errors.find(|name| !self.errors.contains(*name)) {
            bail!(
                "`trappable_error_type` names `{name}`, but no imported function has it as its \
                 error"
            );
        }
        for (number, rule) in options.imports.iter().enumerate() {
            if let Some(filter) = &rule.filter
                && !self.rules.contains(&number)
            {
                bail!("`imports` names `{filter}`, but no imported function has this name");
            }
        }
        Ok(())
    }
}
