//! The choices of the user of the generator.

use indexmap::IndexMap;
use proc_macro2::TokenStream;

/// Options of the generator.
pub struct Options {
    /// The path of the crate `mintage`.
    pub krate: TokenStream,
    /// Modules and types that stand for interfaces and resources: `ns:pkg/iface` or
    /// `ns:pkg/iface.resource` to a Rust path. A package or namespace stands for all its
    /// interfaces.
    pub with: IndexMap<String, TokenStream>,
    /// Interfaces that a component may import under several names: `ns:pkg/iface` to the Rust type
    /// that tells them apart.
    pub named_imports: IndexMap<String, TokenStream>,
    /// Rules for imported functions. A function has the flags that any of the sets gives it.
    pub imports: Vec<FunctionRules>,
    /// Rules for exported functions, in the same way.
    pub exports: Vec<FunctionRules>,
    /// Error types of WIT that host functions return as a Rust type of the host:
    /// `ns:pkg/iface.type` to a Rust path. Only functions with the flag `trappable` do.
    pub trappable_error_types: IndexMap<String, TokenStream>,
    /// Traits that all records, variants and enums derive besides.
    pub additional_derives: Vec<TokenStream>,
    /// Whether types of parameters of exported functions own their strings and lists.
    pub ownership: Ownership,
    /// Generate the interfaces without the world around them.
    pub interfaces_only: bool,
    /// The data of stores is `Send` even where no function is asynchronous.
    pub require_store_data_send: bool,
    /// Host functions return `anyhow::Result` in place of the one of `mintage`.
    pub anyhow: bool,
    /// Do not implement the hosts' traits for `&mut` of what implements them.
    pub skip_mut_forwarding_impls: bool,
    /// Add a constant with the world in the binary format of WIT packages.
    pub include_component_type: bool,
}

impl Options {
    /// Creates options with nothing but the path of the crate `mintage`.
    pub fn new(krate: TokenStream) -> Self {
        Options {
            krate,
            with: IndexMap::new(),
            named_imports: IndexMap::new(),
            imports: Vec::new(),
            exports: Vec::new(),
            trappable_error_types: IndexMap::new(),
            additional_derives: Vec::new(),
            ownership: Ownership::Owning,
            interfaces_only: false,
            require_store_data_send: false,
            anyhow: false,
            skip_mut_forwarding_impls: false,
            include_component_type: false,
        }
    }
}

/// The way in which generated types hold strings and lists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ownership {
    /// All types own what they hold.
    #[default]
    Owning,
    /// Types that are only parameters of exported functions borrow what they hold.
    Borrowing {
        /// A type that is such a parameter and something else as well becomes two types: `XParam`,
        /// which borrows, and `XResult`, which owns.
        duplicate_if_necessary: bool,
    },
}

/// A set of rules: which functions have which flags.
#[derive(Clone, Debug, Default)]
pub struct FunctionRules {
    /// The rules. The rule with the most specific name counts, and among rules of the same name
    /// the first.
    pub rules: Vec<FunctionRule>,
    /// The flags of functions that no rule names.
    pub default: FunctionFlags,
}

/// A rule for some functions.
#[derive(Clone, Debug)]
pub struct FunctionRule {
    /// The functions.
    pub filter: Filter,
    /// Their flags.
    pub flags: FunctionFlags,
}

/// The functions that a rule is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filter {
    /// A function by its full name, such as `ns:pkg/iface.f`, or all functions of an interface,
    /// package or namespace. At the world itself, the name of a function is its full name.
    Path(String),
    /// All functions of this name, whatever their interface. Older spellings of options have such
    /// names.
    Function(String),
}

/// The choices for one function.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FunctionFlags {
    /// The function is asynchronous in Rust.
    pub asynchronous: bool,
    /// The host's function gets the store, not only the data that implements the interface.
    pub store: bool,
    /// The host's function returns a `Result` whose error ends the guest's call.
    pub trappable: bool,
    /// Calls are spans of the crate `tracing`, with events for arguments and result.
    pub tracing: bool,
    /// Events show lists in full.
    pub verbose_tracing: bool,
    /// The function goes on while others do: an `async func` of WIT, or an exported function or a
    /// destructor that is asynchronous and gets the store. Rules do not set this.
    pub concurrent: bool,
    /// The rule holds only where its name is that of the function, not of something around it.
    pub exact: bool,
}

impl FunctionFlags {
    /// Returns all flags of either.
    #[must_use]
    pub fn union(self, other: FunctionFlags) -> FunctionFlags {
        FunctionFlags {
            asynchronous: self.asynchronous || other.asynchronous,
            store: self.store || other.store,
            trappable: self.trappable || other.trappable,
            tracing: self.tracing || other.tracing,
            verbose_tracing: self.verbose_tracing || other.verbose_tracing,
            concurrent: self.concurrent || other.concurrent,
            exact: self.exact || other.exact,
        }
    }
}
