//! Variants and enums: Rust enums with and without payloads.

use crate::Trait;
use crate::definition::{Case, Definition};
use proc_macro2::TokenStream;
use quote::quote;

/// Returns the implementation of one trait for a variant.
pub fn expand(definition: &Definition, cases: &[Case], implemented: Trait) -> TokenStream {
    match implemented {
        Trait::ComponentType => component_type(definition, cases),
        Trait::Lift => lift(definition, cases),
        Trait::Lower => lower(definition, cases),
    }
}

/// Returns the implementation of one trait for an enum.
pub fn expand_enum(definition: &Definition, cases: &[Case], implemented: Trait) -> TokenStream {
    match implemented {
        Trait::ComponentType => enum_component_type(definition, cases),
        // The cases of an enum are those of a variant without payloads.
        Trait::Lift => lift(definition, cases),
        Trait::Lower => lower(definition, cases),
    }
}

fn component_type(definition: &Definition, cases: &[Case]) -> TokenStream {
    let layouts = layouts(cases);
    let names = cases.iter().map(|case| &case.names);
    let texts = cases
        .iter()
        .map(|Case { names, payload, .. }| match payload {
            Some(ty) => quote! {
                (#names, internal::Some(<#ty as internal::ComponentType>::describe))
            },
            None => quote!((#names, internal::None)),
        });
    let payloads = cases.iter().map(|case| match &case.payload {
        Some(ty) => quote!(internal::Some(<#ty as internal::ComponentType>::matches)),
        None => quote!(internal::None),
    });
    let items = quote! {
        const ABI: internal::CanonicalAbi = internal::CanonicalAbi::variant_of(#layouts);

        fn matches(
            ty: internal::InterfaceType,
            types: &internal::InstanceTypes<'_>,
        ) -> bool {
            internal::variant_matches(ty, types, &[
                #(internal::Part { names: #names, matches: #payloads }),*
            ])
        }

        fn describe() -> internal::String {
            internal::variant_text(&[#(#texts),*])
        }
    };
    definition.implement("ComponentType", &items)
}

fn enum_component_type(definition: &Definition, cases: &[Case]) -> TokenStream {
    let layouts = layouts(cases);
    let names: Vec<_> = cases.iter().map(|case| &case.names).collect();
    let items = quote! {
        const ABI: internal::CanonicalAbi = internal::CanonicalAbi::variant_of(#layouts);

        fn matches(
            ty: internal::InterfaceType,
            types: &internal::InstanceTypes<'_>,
        ) -> bool {
            internal::enum_matches(ty, types, &[#(#names),*])
        }

        fn describe() -> internal::String {
            internal::enum_text(&[#(#names),*])
        }
    };
    definition.implement("ComponentType", &items)
}

/// The layouts of the payloads, of type `&[Option<CanonicalAbi>]`.
fn layouts(cases: &[Case]) -> TokenStream {
    let layouts = cases.iter().map(|case| match &case.payload {
        Some(ty) => quote!(internal::Some(<#ty as internal::ComponentType>::ABI)),
        None => quote!(internal::None),
    });
    quote!(&[#(#layouts),*])
}

fn lower(definition: &Definition, cases: &[Case]) -> TokenStream {
    let (layouts, count) = (layouts(cases), cases.len());
    let flat = cases.iter().enumerate().map(|(i, case)| {
        let ident = &case.ident;
        let number = i as u32;
        match &case.payload {
            Some(_) => quote! {
                Self::#ident(value) => {
                    internal::lower_payload_flat(#number, value, cx.case_type(ty, #i), cx, dst)
                }
            },
            None => quote!(Self::#ident => internal::lower_case_flat(#number, dst),),
        }
    });
    let memory = cases.iter().enumerate().map(|(i, case)| {
        let ident = &case.ident;
        let number = i as u32;
        match &case.payload {
            Some(_) => quote! {
                Self::#ident(value) => {
                    cx.write_discriminant(offset, #number, #count);
                    let payload = internal::CanonicalAbi::payload_offset(#layouts) as usize;
                    let ty = cx.case_type(ty, #i);
                    internal::lower_payload_memory(value, ty, cx, offset + payload)
                }
            },
            None => quote! {
                Self::#ident => {
                    cx.write_discriminant(offset, #number, #count);
                    internal::Ok(())
                }
            },
        }
    });
    let items = quote! {
        fn lower_flat(
            &self,
            cx: &mut internal::LowerContext<'_>,
            ty: internal::InterfaceType,
            dst: &mut [u64],
        ) -> internal::Result<()> {
            match self {
                #(#flat)*
            }
        }

        fn lower_memory(
            &self,
            cx: &mut internal::LowerContext<'_>,
            ty: internal::InterfaceType,
            offset: usize,
        ) -> internal::Result<()> {
            match self {
                #(#memory)*
            }
        }
    };
    definition.implement("Lower", &items)
}

fn lift(definition: &Definition, cases: &[Case]) -> TokenStream {
    let (layouts, count) = (layouts(cases), cases.len());
    let flat = cases.iter().enumerate().map(|(i, case)| {
        let ident = &case.ident;
        let number = i as u32;
        match &case.payload {
            Some(_) => quote! {
                #number => internal::Ok(Self::#ident(
                    internal::lift_payload_flat(cx.case_type(ty, #i), cx, src)?,
                )),
            },
            None => quote!(#number => internal::Ok(Self::#ident),),
        }
    });
    let memory = cases.iter().enumerate().map(|(i, case)| {
        let ident = &case.ident;
        let number = i as u32;
        match &case.payload {
            Some(_) => quote! {
                #number => {
                    let payload = internal::CanonicalAbi::payload_offset(#layouts) as usize;
                    internal::Ok(Self::#ident(
                        internal::lift_payload_memory(cx.case_type(ty, #i), cx, &bytes[payload..])?,
                    ))
                }
            },
            None => quote!(#number => internal::Ok(Self::#ident),),
        }
    });
    let items = quote! {
        fn lift_flat(
            cx: &mut internal::LiftContext<'_>,
            ty: internal::InterfaceType,
            src: &[u64],
        ) -> internal::Result<Self> {
            match internal::LiftContext::flat_discriminant(src[0], #count)? {
                #(#flat)*
                case => internal::no_such_case(case),
            }
        }

        fn lift_memory(
            cx: &mut internal::LiftContext<'_>,
            ty: internal::InterfaceType,
            bytes: &[u8],
        ) -> internal::Result<Self> {
            match internal::LiftContext::memory_discriminant(bytes, #count)? {
                #(#memory)*
                case => internal::no_such_case(case),
            }
        }
    };
    definition.implement("Lift", &items)
}
