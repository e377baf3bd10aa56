//! `LinkOptions`: which `@unstable` items are defined in a linker.

use crate::names::{ident, snake};
use crate::{Generator, Scope};
use proc_macro2::TokenStream;
use quote::quote;
use std::collections::BTreeSet;
use wit_parser::{InterfaceId, Stability, WorldItem};

impl Generator<'_> {
    /// Returns the features that an interface or the world, with all that it imports, has items of.
    fn features(&self, scope: &Scope) -> BTreeSet<String> {
        let mut features = BTreeSet::new();
        match scope.interface {
            Some(interface) => self.add_interface_features(interface, &mut features),
            None => {
                let world = &self.resolve.worlds[self.world];
                add(&world.stability, &mut features);
                for item in world.imports.values() {
                    match item {
                        WorldItem::Interface { id, stability, .. } => {
                            add(stability, &mut features);
                            self.add_interface_features(*id, &mut features);
                        }
                        WorldItem::Function(function) => add(&function.stability, &mut features),
                        WorldItem::Type { id, .. } => {
                            add(&self.resolve.types[*id].stability, &mut features);
                        }
                    }
                }
            }
        }
        features
    }

    fn add_interface_features(&self, interface: InterfaceId, features: &mut BTreeSet<String>) {
        let interface = &self.resolve.interfaces[interface];
        add(&interface.stability, features);
        for &ty in interface.types.values() {
            add(&self.resolve.types[ty].stability, features);
        }
        for function in interface.functions.values() {
            add(&function.stability, features);
        }
    }

    /// Returns whether there are options for a linker.
    pub fn has_options(&self, scope: &Scope) -> bool {
        !self.features(scope).is_empty()
    }

    /// Generates `LinkOptions`, if there is a feature.
    pub fn link_options(&self, scope: &Scope) -> TokenStream {
        let features = self.features(scope);
        if features.is_empty() {
            return TokenStream::new();
        }
        let fields: Vec<_> = features
            .iter()
            .map(|feature| ident(&snake(feature)))
            .collect();
        let docs = features.iter().map(|feature| {
            let docs = format!(" Defines what is part of the feature `{feature}`.");
            quote!(#[doc = #docs])
        });
        quote! {
            /// The features whose unstable items are defined in a linker: at first none.
            #[derive(Clone, Debug, Default)]
            pub struct LinkOptions {
                #(#fields: bool,)*
            }

            impl LinkOptions {
                #(
                    #docs
                    pub fn #fields(&mut self, enabled: bool) -> &mut Self {
                        self.#fields = enabled;
                        self
                    }
                )*
            }
        }
    }

    /// Generates the conversions of the world's `LinkOptions` to those of an interface.
    pub fn link_options_from_world(&self, interface: &Scope, module: &TokenStream) -> TokenStream {
        let features = self.features(interface);
        if features.is_empty() {
            return TokenStream::new();
        }
        let fields: Vec<_> = features
            .iter()
            .map(|feature| ident(&snake(feature)))
            .collect();
        quote! {
            impl ::core::convert::From<LinkOptions> for #module::LinkOptions {
                fn from(options: LinkOptions) -> Self {
                    Self::from(&options)
                }
            }

            impl ::core::convert::From<&LinkOptions> for #module::LinkOptions {
                fn from(options: &LinkOptions) -> Self {
                    let mut converted = Self::default();
                    #(converted.#fields(options.#fields);)*
                    converted
                }
            }
        }
    }

    /// Returns the parameter for `LinkOptions`, if there are any.
    pub fn options_parameter(&self, scope: &Scope) -> Option<TokenStream> {
        let module = match (scope.interface, &scope.id) {
            (Some(interface), Some(_)) => {
                let placed = &self.plan.interfaces[&interface];
                let module = self.path_from(scope, placed);
                quote!(#module::)
            }
            _ => TokenStream::new(),
        };
        self.has_options(scope)
            .then(|| quote!(options: &#module LinkOptions,))
    }

    /// Returns the argument for `LinkOptions`, if there are any.
    pub fn options_argument(&self, scope: &Scope) -> Option<TokenStream> {
        self.has_options(scope).then(|| quote!(options,))
    }

    /// Returns statements that run if the feature of an item is enabled.
    pub fn gated(&self, stability: &Stability, statements: TokenStream) -> TokenStream {
        match stability {
            Stability::Unstable { feature, .. } => {
                let feature = ident(&snake(feature));
                quote!(if options.#feature { #statements })
            }
            Stability::Unknown | Stability::Stable { .. } => statements,
        }
    }
}

fn add(stability: &Stability, features: &mut BTreeSet<String>) {
    if let Stability::Unstable { feature, .. } = stability {
        features.insert(feature.clone());
    }
}
