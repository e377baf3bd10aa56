//! Tuples: values of tuple types, and the lists of parameters and results.

use super::traits::ListElement;
use super::{
    CanonicalAbi, ComponentNamedList, ComponentType, InstanceTypes, InterfaceType, Lift,
    LiftContext, Lower, LowerContext,
};
use crate::error::Result;

/// Types for fields that do not use theirs.
const UNUSED: &[InterfaceType] = &[InterfaceType::Bool; 17];

macro_rules! tuple {
    ($count:literal $($name:ident $index:tt)*) => {
        impl<$($name: ComponentType),*> ComponentType for ($($name,)*) {
            const ABI: CanonicalAbi = CanonicalAbi::record_of(&[$($name::ABI),*]);
            const NEEDS_TYPE: bool = false $(|| $name::NEEDS_TYPE)*;

            fn matches(ty: InterfaceType, types: &InstanceTypes<'_>) -> bool {
                let InterfaceType::Tuple(id) = ty else { return false };
                let fields = types.tuple(id);
                types.fixed_length_list(id).is_none()
                    && fields.len() == $count
                    $(&& $name::matches(fields[$index], types))*
            }

            fn describe() -> String {
                let fields: [String; $count] = [$($name::describe()),*];
                format!("tuple<{}>", fields.join(", "))
            }
        }

        impl<$($name: ComponentType),*> ComponentNamedList for ($($name,)*) {
            const ELEMENTS: &'static [ListElement] =
                &[$(ListElement { matches: $name::matches, describe: $name::describe }),*];
        }

        #[allow(unused, non_snake_case, reason = "the empty tuple uses nothing")]
        impl<$($name: Lower),*> Lower for ($($name,)*) {
            #[inline]
            fn lower_flat(
                &self,
                cx: &mut LowerContext<'_>,
                ty: InterfaceType,
                dst: &mut [u64],
            ) -> Result<()> {
                let fields = if Self::NEEDS_TYPE { cx.tuple_types(ty) } else { UNUSED };
                let mut rest = dst;
                $(
                    let ($name, behind) = rest.split_at_mut($name::FLAT);
                    self.$index.lower_flat(cx, fields[$index], $name)?;
                    rest = behind;
                )*
                Ok(())
            }

            #[inline]
            fn lower_memory(
                &self,
                cx: &mut LowerContext<'_>,
                ty: InterfaceType,
                offset: usize,
            ) -> Result<()> {
                let fields = if Self::NEEDS_TYPE { cx.tuple_types(ty) } else { UNUSED };
                let mut end = 0;
                $(
                    let field = $name::ABI.next_field(&mut end, false) as usize;
                    self.$index.lower_memory(cx, fields[$index], offset + field)?;
                )*
                Ok(())
            }
        }

        #[allow(unused, non_snake_case, reason = "the empty tuple uses nothing")]
        impl<$($name: Lift),*> Lift for ($($name,)*) {
            #[inline]
            fn lift_flat(cx: &mut LiftContext<'_>, ty: InterfaceType, src: &[u64]) -> Result<Self> {
                let fields = if Self::NEEDS_TYPE { cx.tuple_types(ty) } else { UNUSED };
                let mut rest = src;
                $(
                    let ($name, behind) = rest.split_at($name::FLAT);
                    let $name = $name::lift_flat(cx, fields[$index], $name)?;
                    rest = behind;
                )*
                Ok(($($name,)*))
            }

            #[inline]
            fn lift_memory(
                cx: &mut LiftContext<'_>,
                ty: InterfaceType,
                bytes: &[u8],
            ) -> Result<Self> {
                let fields = if Self::NEEDS_TYPE { cx.tuple_types(ty) } else { UNUSED };
                let mut end = 0;
                $(
                    let start = $name::ABI.next_field(&mut end, false) as usize;
                    let field = &bytes[start..][..$name::SIZE];
                    let $name = $name::lift_memory(cx, fields[$index], field)?;
                )*
                Ok(($($name,)*))
            }
        }
    };
}

tuple!(0);
tuple!(1 A 0);
tuple!(2 A 0 B 1);
tuple!(3 A 0 B 1 C 2);
tuple!(4 A 0 B 1 C 2 D 3);
tuple!(5 A 0 B 1 C 2 D 3 E 4);
tuple!(6 A 0 B 1 C 2 D 3 E 4 F 5);
tuple!(7 A 0 B 1 C 2 D 3 E 4 F 5 G 6);
tuple!(8 A 0 B 1 C 2 D 3 E 4 F 5 G 6 H 7);
tuple!(9 A 0 B 1 C 2 D 3 E 4 F 5 G 6 H 7 I 8);
tuple!(10 A 0 B 1 C 2 D 3 E 4 F 5 G 6 H 7 I 8 J 9);
tuple!(11 A 0 B 1 C 2 D 3 E 4 F 5 G 6 H 7 I 8 J 9 K 10);
tuple!(12 A 0 B 1 C 2 D 3 E 4 F 5 G 6 H 7 I 8 J 9 K 10 L 11);
tuple!(13 A 0 B 1 C 2 D 3 E 4 F 5 G 6 H 7 I 8 J 9 K 10 L 11 M 12);
tuple!(14 A 0 B 1 C 2 D 3 E 4 F 5 G 6 H 7 I 8 J 9 K 10 L 11 M 12 N 13);
tuple!(15 A 0 B 1 C 2 D 3 E 4 F 5 G 6 H 7 I 8 J 9 K 10 L 11 M 12 N 13 O 14);
tuple!(16 A 0 B 1 C 2 D 3 E 4 F 5 G 6 H 7 I 8 J 9 K 10 L 11 M 12 N 13 O 14 P 15);
tuple!(17 A 0 B 1 C 2 D 3 E 4 F 5 G 6 H 7 I 8 J 9 K 10 L 11 M 12 N 13 O 14 P 15 Q 16);
