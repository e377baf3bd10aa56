//! Records: structs with named fields.

use crate::Trait;
use crate::definition::{Definition, Field};
use proc_macro2::TokenStream;
use quote::quote;

/// Returns the implementation of one trait.
pub fn expand(definition: &Definition, fields: &[Field], implemented: Trait) -> TokenStream {
    match implemented {
        Trait::ComponentType => component_type(definition, fields),
        Trait::Lift => lift(definition, fields),
        Trait::Lower => lower(definition, fields),
    }
}

fn component_type(definition: &Definition, fields: &[Field]) -> TokenStream {
    let (types, names): (Vec<_>, Vec<_>) = fields.iter().map(|f| (&f.ty, &f.names)).unzip();
    let items = quote! {
        const ABI: internal::CanonicalAbi = internal::CanonicalAbi::record_of(&[
            #(<#types as internal::ComponentType>::ABI),*
        ]);

        fn matches(
            ty: internal::InterfaceType,
            types: &internal::InstanceTypes<'_>,
        ) -> bool {
            internal::record_matches(ty, types, &[
                #(internal::Part {
                    names: #names,
                    matches: <#types as internal::ComponentType>::matches,
                }),*
            ])
        }

        fn describe() -> internal::String {
            internal::record_text(&[
                #((#names, <#types as internal::ComponentType>::describe)),*
            ])
        }
    };
    definition.implement("ComponentType", &items)
}

fn lower(definition: &Definition, fields: &[Field]) -> TokenStream {
    let (types, members): (Vec<_>, Vec<_>) = fields.iter().map(|f| (&f.ty, &f.member)).unzip();
    let numbers = 0..fields.len();
    let numbers_in_memory = numbers.clone();
    let items = quote! {
        fn lower_flat(
            &self,
            cx: &mut internal::LowerContext<'_>,
            ty: internal::InterfaceType,
            dst: &mut [u64],
        ) -> internal::Result<()> {
            let fields = cx.record_types(ty);
            let rest = dst;
            #(
                let (words, rest) =
                    rest.split_at_mut(<#types as internal::ComponentType>::FLAT);
                internal::Lower::lower_flat(&self.#members, cx, fields[#numbers].1, words)?;
            )*
            internal::Ok(())
        }

        fn lower_memory(
            &self,
            cx: &mut internal::LowerContext<'_>,
            ty: internal::InterfaceType,
            offset: usize,
        ) -> internal::Result<()> {
            let fields = cx.record_types(ty);
            let mut end = 0;
            #(
                let start =
                    <#types as internal::ComponentType>::ABI.next_field(&mut end, false);
                internal::Lower::lower_memory(
                    &self.#members,
                    cx,
                    fields[#numbers_in_memory].1,
                    offset + start as usize,
                )?;
            )*
            internal::Ok(())
        }
    };
    definition.implement("Lower", &items)
}

fn lift(definition: &Definition, fields: &[Field]) -> TokenStream {
    let (types, members): (Vec<_>, Vec<_>) = fields.iter().map(|f| (&f.ty, &f.member)).unzip();
    let numbers = 0..fields.len();
    let numbers_in_memory = numbers.clone();
    let items = quote! {
        fn lift_flat(
            cx: &mut internal::LiftContext<'_>,
            ty: internal::InterfaceType,
            src: &[u64],
        ) -> internal::Result<Self> {
            let fields = cx.record_types(ty);
            let mut rest = src;
            internal::Ok(Self {
                #(#members: {
                    let (words, behind) =
                        rest.split_at(<#types as internal::ComponentType>::FLAT);
                    rest = behind;
                    <#types as internal::Lift>::lift_flat(cx, fields[#numbers].1, words)?
                }),*
            })
        }

        fn lift_memory(
            cx: &mut internal::LiftContext<'_>,
            ty: internal::InterfaceType,
            bytes: &[u8],
        ) -> internal::Result<Self> {
            let fields = cx.record_types(ty);
            let mut end = 0;
            internal::Ok(Self {
                #(#members: {
                    let start = <#types as internal::ComponentType>::ABI
                        .next_field(&mut end, false) as usize;
                    <#types as internal::Lift>::lift_memory(
                        cx,
                        fields[#numbers_in_memory].1,
                        &bytes[start..end as usize],
                    )?
                }),*
            })
        }
    };
    definition.implement("Lift", &items)
}
