//! Sets of flags: the macro `flags!`.

use crate::definition::{Names, crate_of};
use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::parse::{Parse, ParseStream};
use syn::{Attribute, Error, Ident, Path, Result, Token, Visibility, braced};

/// `Name { const FIRST; const SECOND; }`.
pub struct Flags {
    /// Other attributes than `component`, such as documentation.
    attributes: Vec<Attribute>,
    /// The path of the crate `mintage`.
    krate: Path,
    visibility: Visibility,
    ident: Ident,
    flags: Vec<Flag>,
}

struct Flag {
    /// Other attributes than `component`, such as documentation.
    attributes: Vec<Attribute>,
    ident: Ident,
    names: Names,
}

impl Parse for Flags {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let attributes = input.call(Attribute::parse_outer)?;
        let visibility = match input.parse()? {
            Visibility::Inherited => Visibility::Public(Token![pub](input.span())),
            given => given,
        };
        let ident = input.parse()?;
        let body;
        braced!(body in input);
        let mut flags = Vec::new();
        while !body.is_empty() {
            let attributes = body.call(Attribute::parse_outer)?;
            body.parse::<Token![const]>()?;
            let ident: Ident = body.parse()?;
            if body.parse::<Option<Token![;]>>()?.is_none() && !body.is_empty() {
                return Err(body.error("expected `;` after a flag"));
            }
            flags.push(Flag {
                names: Names::of_part(&ident, &attributes)?,
                attributes: others(attributes),
                ident,
            });
        }
        Ok(Flags {
            krate: crate_of(&attributes)?,
            attributes: others(attributes),
            visibility,
            ident,
            flags,
        })
    }
}

/// Leaves out the attributes that the macro itself understands.
fn others(attributes: Vec<Attribute>) -> Vec<Attribute> {
    let mut attributes = attributes;
    attributes.retain(|attribute| !attribute.path().is_ident("component"));
    attributes
}

/// The most flags of a type: those of one 32-bit word (CanonicalABI.md, `flags`).
const MAX_FLAGS: usize = 32;

/// Returns the set and its implementations.
pub fn expand(flags: &Flags) -> Result<TokenStream> {
    let Flags {
        attributes,
        krate,
        visibility,
        ident,
        flags,
    } = flags;
    if flags.is_empty() || flags.len() > MAX_FLAGS {
        return Err(Error::new(
            ident.span(),
            format!(
                "a type has 1 to {MAX_FLAGS} flags, and this has {}",
                flags.len()
            ),
        ));
    }
    let count = flags.len();
    let docs = flags.iter().map(|flag| &flag.attributes);
    let idents: Vec<_> = flags.iter().map(|flag| &flag.ident).collect();
    let names = flags.iter().map(|flag| &flag.names);
    let bits = 0..flags.len() as u32;
    let (operators, conversions) = (operators(ident), conversions(ident, names, count));
    Ok(quote! {
        #(#attributes)*
        #[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
        #visibility struct #ident(u32);

        impl #ident {
            #(
                #(#docs)*
                #visibility const #idents: Self = Self(1 << #bits);
            )*

            /// Returns the set without flags.
            #visibility const fn empty() -> Self {
                Self(0)
            }

            /// Returns the set of all flags.
            #visibility const fn all() -> Self {
                Self(#(Self::#idents.0)|*)
            }

            /// Returns whether there is no flag.
            #visibility const fn is_empty(&self) -> bool {
                self.0 == 0
            }

            /// Returns whether all flags of `other` are in the set.
            #visibility const fn contains(&self, other: Self) -> bool {
                self.0 & other.0 == other.0
            }

            /// Returns whether any flag of `other` is in the set.
            #visibility const fn intersects(&self, other: Self) -> bool {
                self.0 & other.0 != 0
            }

            /// Adds the flags of `other`.
            #visibility fn insert(&mut self, other: Self) {
                self.0 |= other.0;
            }

            /// Removes the flags of `other`.
            #visibility fn remove(&mut self, other: Self) {
                self.0 &= !other.0;
            }

            /// Returns the flags as bits, the first one lowest.
            #visibility fn as_array(&self) -> [u32; 1] {
                [self.0]
            }
        }

        const _: () = {
            use #krate::__internal as internal;

            #operators

            impl ::core::fmt::Debug for #ident {
                fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                    let names = [#((::core::stringify!(#idents), Self::#idents.0)),*];
                    internal::debug_flags(f, ::core::stringify!(#ident), self.0, &names)
                }
            }

            #conversions
        };
    })
}

/// Returns the operators of a set.
fn operators(ident: &Ident) -> TokenStream {
    quote! {
        impl ::core::ops::BitOr for #ident {
            type Output = Self;
            fn bitor(self, other: Self) -> Self {
                Self(self.0 | other.0)
            }
        }

        impl ::core::ops::BitOrAssign for #ident {
            fn bitor_assign(&mut self, other: Self) {
                self.0 |= other.0;
            }
        }

        impl ::core::ops::BitAnd for #ident {
            type Output = Self;
            fn bitand(self, other: Self) -> Self {
                Self(self.0 & other.0)
            }
        }

        impl ::core::ops::BitAndAssign for #ident {
            fn bitand_assign(&mut self, other: Self) {
                self.0 &= other.0;
            }
        }

        impl ::core::ops::BitXor for #ident {
            type Output = Self;
            fn bitxor(self, other: Self) -> Self {
                Self(self.0 ^ other.0)
            }
        }

        impl ::core::ops::BitXorAssign for #ident {
            fn bitxor_assign(&mut self, other: Self) {
                self.0 ^= other.0;
            }
        }

        impl ::core::ops::Sub for #ident {
            type Output = Self;
            fn sub(self, other: Self) -> Self {
                Self(self.0 & !other.0)
            }
        }

        impl ::core::ops::Not for #ident {
            type Output = Self;
            fn not(self) -> Self {
                Self(!self.0 & Self::all().0)
            }
        }
    }
}

/// Returns the conversions of a set of `count` flags from and to the values of guests.
fn conversions(
    ident: &Ident,
    names: impl Iterator<Item = impl ToTokens>,
    count: usize,
) -> TokenStream {
    quote! {
        impl internal::ComponentType for #ident {
            const ABI: internal::CanonicalAbi = internal::CanonicalAbi::flags(#count);
            const NEEDS_TYPE: bool = false;

            fn matches(
                ty: internal::InterfaceType,
                types: &internal::InstanceTypes<'_>,
            ) -> bool {
                internal::flags_match(ty, types, Self::NAMES)
            }

            fn describe() -> internal::String {
                internal::flags_text(Self::NAMES)
            }
        }

        impl #ident {
            const NAMES: &[&[&str]] = &[#(#names),*];
        }

        impl internal::Lower for #ident {
            fn lower_flat(
                &self,
                _: &mut internal::LowerContext<'_>,
                _: internal::InterfaceType,
                dst: &mut [u64],
            ) -> internal::Result<()> {
                dst[0] = u64::from(self.0);
                internal::Ok(())
            }

            fn lower_memory(
                &self,
                cx: &mut internal::LowerContext<'_>,
                _: internal::InterfaceType,
                offset: usize,
            ) -> internal::Result<()> {
                let size = <Self as internal::ComponentType>::SIZE;
                cx.write_bytes(offset, &self.0.to_le_bytes()[..size]);
                internal::Ok(())
            }
        }

        impl internal::Lift for #ident {
            fn lift_flat(
                _: &mut internal::LiftContext<'_>,
                _: internal::InterfaceType,
                src: &[u64],
            ) -> internal::Result<Self> {
                // Other bits are ignored (`unpack_flags_from_int`).
                internal::Ok(Self(src[0] as u32 & Self::all().0))
            }

            fn lift_memory(
                _: &mut internal::LiftContext<'_>,
                _: internal::InterfaceType,
                bytes: &[u8],
            ) -> internal::Result<Self> {
                internal::Ok(Self(internal::read_flags(bytes) & Self::all().0))
            }
        }
    }
}
