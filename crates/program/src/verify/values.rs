//! Checks that values have their types, and that static objects fit theirs.

use super::Verifier;
use crate::ir::Const;
use anyhow::{Context, Result, bail, ensure};
use mintage_environ::component::ComponentInterface;
use mintage_environ::layout::HeapLayout;
use mintage_environ::{DomainId, HeapType, ObjectKind, RefType, TypeId, ValType};
use std::collections::HashMap;
use std::iter;

impl Verifier<'_, '_> {
    /// Returns whether a value has a type.
    pub(super) fn has_type(&self, value: Const, ty: ValType) -> bool {
        let ComponentInterface {
            signatures,
            objects,
            ..
        } = &self.program.interface;
        let ValType::Ref(RefType { nullable, heap }) = ty else {
            return matches!(
                (value, ty),
                (Const::I32(_), ValType::I32)
                    | (Const::I64(_), ValType::I64)
                    | (Const::F32(_), ValType::F32)
                    | (Const::F64(_), ValType::F64)
                    | (Const::V128(_), ValType::V128)
            );
        };
        match (value, heap) {
            (Const::Null, _) => nullable,
            (Const::Func(_), HeapType::Func) => true,
            (Const::Func(callee), HeapType::Concrete(TypeId::Func(ty))) => {
                signatures.is_subtype(callee.sig, ty)
            }
            (Const::I31(_), HeapType::I31) => true,
            (Const::I31(_) | Const::Object(_), HeapType::Any | HeapType::Extern) => true,
            (Const::I31(_) | Const::Object(_), HeapType::Eq) => true,
            (Const::Object(at), heap) => {
                self.program
                    .statics
                    .get(at as usize)
                    .is_some_and(|object| match heap {
                        HeapType::Struct => objects.structs().contains(object.ty),
                        HeapType::Array => objects.arrays().contains(object.ty),
                        HeapType::Concrete(TypeId::Object(ty)) => objects.is_subtype(object.ty, ty),
                        _ => false,
                    })
            }
            _ => false,
        }
    }

    /// Checks that static objects have the fields of their types, and are consecutive in their
    /// heaps.
    pub(super) fn objects(&self) -> Result<()> {
        let mut ends: HashMap<DomainId, u64> = HashMap::new();
        for (at, object) in self.program.statics.iter().enumerate() {
            let place = || format!("static{at}");
            let Some(ty) = self.program.interface.objects.get(object.ty) else {
                bail!("{} has no type", place())
            };
            let end = ends.entry(object.domain).or_insert(HeapLayout::FIRST);
            ensure!(
                u64::from(object.reference) == *end,
                "{} is at {:#x} and not at {end:#x}",
                place(),
                object.reference
            );
            let types: Box<dyn Iterator<Item = ValType>> = match &ty.kind {
                ObjectKind::Struct(fields) => {
                    ensure!(
                        fields.len() == object.values.len(),
                        "{} lacks fields",
                        place()
                    );
                    Box::new(fields.iter().map(|(storage, _)| storage.unpacked()))
                }
                ObjectKind::Array(element) => Box::new(iter::repeat(element.unpacked())),
            };
            *end += ty.layout.size_of(object.values.len() as u32);
            for (value, ty) in object.values.iter().zip(types) {
                // A value that is repeated 0 times is listed as well.
                let matches = object.values.is_empty() || self.has_type(value, ty);
                ensure!(matches, "{} holds {value:?} as {ty}", place());
                self.value(value, object.domain).with_context(place)?;
            }
        }
        for heap in &self.program.shape.heaps {
            let end = ends.remove(&heap.domain).unwrap_or(HeapLayout::FIRST);
            ensure!(
                end == HeapLayout::FIRST + heap.initial,
                "the static objects of {:?} end at {end:#x}",
                heap.domain
            );
        }
        ensure!(ends.is_empty(), "a static object is in no heap");
        Ok(())
    }
}
