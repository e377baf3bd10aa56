//! Conversion of the validator's component types to those of the interface.
//!
//! A resource type of the validator stands for a different resource in each component instance. So
//! each instance has a [`TypeScope`], which maps the resource types in scope to resources. It
//! learns them by walking a type and an item of that type together ([`TypeScope::bind`]).

use super::Budget;
use super::items::{Exports, Item, TypeItem};
use anyhow::{Context, Result, bail};
use mintage_environ::component::{ComponentTypes, FuncType, InterfaceType, Record, Variant};
use mintage_environ::{FuncTypeId, ResourceId};
use std::collections::HashMap;
use wasmparser::PrimitiveValType;
use wasmparser::component_types::{
    self as valid, ComponentAnyTypeId, ComponentDefinedType, ComponentDefinedTypeId,
    ComponentEntityType, ComponentFuncTypeId, ComponentInstanceTypeId, ComponentValType,
};
use wasmparser::types::TypesRef;

/// The message for a type that the validator names and does not know.
pub(super) const UNKNOWN: &str = "a type is unknown to the validator (a bug in Mintage)";

/// The types of one component instance.
pub(super) struct TypeScope<'p> {
    /// The validated types of the component.
    pub types: TypesRef<'p>,
    resources: HashMap<valid::ResourceId, ResourceId>,
    converted: HashMap<ComponentDefinedTypeId, InterfaceType>,
}

impl<'p> TypeScope<'p> {
    pub fn new(types: TypesRef<'p>) -> Self {
        Self {
            types,
            resources: HashMap::new(),
            converted: HashMap::new(),
        }
    }

    /// Records that the component defines `resource` at `type_index`.
    pub fn define_resource(&mut self, type_index: u32, resource: ResourceId) -> Result<()> {
        match self.types.component_any_type_at(type_index) {
            ComponentAnyTypeId::Resource(id) => self.resources.insert(id.resource(), resource),
            _ => bail!("type {type_index} is not a resource type"),
        };
        Ok(())
    }

    /// Returns the resource that `id` stands for. If it is unknown, adds a new one to `types`.
    pub fn resource_or_new(
        &mut self,
        id: valid::ResourceId,
        types: &mut ComponentTypes,
    ) -> ResourceId {
        *self
            .resources
            .entry(id)
            .or_insert_with(|| types.add_resource())
    }

    /// Learns from `item` which resources the resource types in its type `ty` stand for.
    pub fn bind(
        &mut self,
        ty: &ComponentEntityType,
        item: &Item<'_>,
        budget: &mut Budget,
    ) -> Result<()> {
        match (ty, item) {
            (ComponentEntityType::Instance(ty), Item::Instance(exports)) => {
                self.bind_instance(*ty, exports, budget)
            }
            (
                ComponentEntityType::Type {
                    created: ComponentAnyTypeId::Resource(id),
                    ..
                },
                &Item::Type(TypeItem::Resource(resource)),
            ) => {
                self.resources.insert(id.resource(), resource);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Does the same as [`bind`](Self::bind) for an instance. The validator makes sure that types
    /// nest at most 100 deep.
    pub fn bind_instance(
        &mut self,
        ty: ComponentInstanceTypeId,
        exports: &Exports<'_>,
        budget: &mut Budget,
    ) -> Result<()> {
        let ty = self.types.get(ty).context(UNKNOWN)?;
        budget.spend(ty.exports.len())?;
        for (name, export) in &ty.exports {
            if let Some(item) = exports.get(name.as_str()) {
                self.bind(&export.ty, item, budget)?;
            }
        }
        Ok(())
    }

    /// Converts a type to an item.
    pub fn type_item(
        &mut self,
        ty: ComponentAnyTypeId,
        types: &mut ComponentTypes,
        budget: &mut Budget,
    ) -> Result<TypeItem> {
        Ok(match ty {
            ComponentAnyTypeId::Resource(id) => TypeItem::Resource(self.resource(id.resource())?),
            ComponentAnyTypeId::Defined(id) => TypeItem::Value(self.defined(id, types, budget)?),
            ComponentAnyTypeId::Func(_)
            | ComponentAnyTypeId::Instance(_)
            | ComponentAnyTypeId::Component(_) => TypeItem::Static,
        })
    }

    /// Converts a function type.
    pub fn func(
        &mut self,
        id: ComponentFuncTypeId,
        types: &mut ComponentTypes,
        budget: &mut Budget,
    ) -> Result<FuncTypeId> {
        let ty = self.types.get(id).context(UNKNOWN)?;
        budget.spend(ty.params.len())?;
        let params = ty
            .params
            .iter()
            .map(|(name, ty)| Ok((name.as_str().into(), self.value(*ty, types, budget)?)));
        let params = params.collect::<Result<_>>()?;
        let result = ty
            .result
            .map(|ty| self.value(ty, types, budget))
            .transpose()?;
        Ok(types.intern_func(FuncType {
            params,
            result,
            is_async: ty.async_,
        }))
    }

    fn resource(&self, id: valid::ResourceId) -> Result<ResourceId> {
        self.resources
            .get(&id)
            .copied()
            .context("a resource type is used without a definition (a bug in Mintage)")
    }

    /// Converts a value type as a definition writes it.
    pub fn written_value(
        &mut self,
        ty: wasmparser::ComponentValType,
        types: &mut ComponentTypes,
        budget: &mut Budget,
    ) -> Result<InterfaceType> {
        match ty {
            wasmparser::ComponentValType::Primitive(ty) => Ok(primitive(ty)),
            wasmparser::ComponentValType::Type(index) => {
                let id = self.types.component_defined_type_at(index);
                self.defined(id, types, budget)
            }
        }
    }

    fn value(
        &mut self,
        ty: ComponentValType,
        types: &mut ComponentTypes,
        budget: &mut Budget,
    ) -> Result<InterfaceType> {
        match ty {
            ComponentValType::Primitive(ty) => Ok(primitive(ty)),
            ComponentValType::Type(id) => self.defined(id, types, budget),
        }
    }

    fn optional(
        &mut self,
        ty: Option<ComponentValType>,
        types: &mut ComponentTypes,
        budget: &mut Budget,
    ) -> Result<Option<InterfaceType>> {
        ty.map(|ty| self.value(ty, types, budget)).transpose()
    }

    /// Converts a value type. The validator makes sure that types nest at most 100 deep.
    fn defined(
        &mut self,
        id: ComponentDefinedTypeId,
        types: &mut ComponentTypes,
        budget: &mut Budget,
    ) -> Result<InterfaceType> {
        if let Some(&ty) = self.converted.get(&id) {
            return Ok(ty);
        }
        budget.spend(1)?;
        let ty = match self.types.get(id).context(UNKNOWN)? {
            ComponentDefinedType::Primitive(ty) => primitive(*ty),
            ComponentDefinedType::Record(record) => {
                budget.spend(record.fields.len())?;
                let fields = record
                    .fields
                    .iter()
                    .map(|(name, ty)| Ok((name.as_str().into(), self.value(*ty, types, budget)?)));
                let fields = fields.collect::<Result<_>>()?;
                types.intern_record(Record { fields })
            }
            ComponentDefinedType::Variant(variant) => {
                budget.spend(variant.cases.len())?;
                let cases = variant.cases.iter();
                let cases = cases.map(|(name, case)| {
                    Ok((name.as_str().into(), self.optional(case.ty, types, budget)?))
                });
                let cases = cases.collect::<Result<_>>()?;
                types.intern_variant(Variant { cases })
            }
            ComponentDefinedType::List { element, .. } => {
                let element = self.value(*element, types, budget)?;
                types.intern_list(element)
            }
            ComponentDefinedType::Tuple(tuple) => {
                budget.spend(tuple.types.len())?;
                let elements = tuple
                    .types
                    .iter()
                    .map(|ty| self.value(*ty, types, budget))
                    .collect::<Result<_>>()?;
                types.intern_tuple(elements)
            }
            ComponentDefinedType::Flags(names) => {
                types.intern_flags(names.iter().map(|name| name.as_str().into()).collect())
            }
            ComponentDefinedType::Enum(names) => {
                types.intern_enum(names.iter().map(|name| name.as_str().into()).collect())
            }
            ComponentDefinedType::Option { ty, .. } => {
                let payload = self.value(*ty, types, budget)?;
                types.intern_option(payload)
            }
            ComponentDefinedType::Result { ok, err, .. } => {
                let (ok, err) = (
                    self.optional(*ok, types, budget)?,
                    self.optional(*err, types, budget)?,
                );
                types.intern_result(ok, err)
            }
            ComponentDefinedType::Own(id) => InterfaceType::Own(self.resource(id.resource())?),
            ComponentDefinedType::Borrow(id) => {
                InterfaceType::Borrow(self.resource(id.resource())?)
            }
            ComponentDefinedType::Map { key, value, .. } => {
                let (key, value) = (
                    self.value(*key, types, budget)?,
                    self.value(*value, types, budget)?,
                );
                types.intern_map(key, value)
            }
            ComponentDefinedType::FixedLengthList {
                element, length, ..
            } => {
                budget.spend(*length as usize)?;
                let element = self.value(*element, types, budget)?;
                types.intern_fixed_length_list(element, *length)
            }
            ComponentDefinedType::Future { ty, .. } => {
                let value = self.optional(*ty, types, budget)?;
                types.intern_future(value)
            }
            ComponentDefinedType::Stream { ty, .. } => {
                let element = self.optional(*ty, types, budget)?;
                types.intern_stream(element)
            }
        };
        self.converted.insert(id, ty);
        Ok(ty)
    }
}

fn primitive(ty: PrimitiveValType) -> InterfaceType {
    match ty {
        PrimitiveValType::Bool => InterfaceType::Bool,
        PrimitiveValType::S8 => InterfaceType::S8,
        PrimitiveValType::U8 => InterfaceType::U8,
        PrimitiveValType::S16 => InterfaceType::S16,
        PrimitiveValType::U16 => InterfaceType::U16,
        PrimitiveValType::S32 => InterfaceType::S32,
        PrimitiveValType::U32 => InterfaceType::U32,
        PrimitiveValType::S64 => InterfaceType::S64,
        PrimitiveValType::U64 => InterfaceType::U64,
        PrimitiveValType::F32 => InterfaceType::F32,
        PrimitiveValType::F64 => InterfaceType::F64,
        PrimitiveValType::Char => InterfaceType::Char,
        PrimitiveValType::String => InterfaceType::String,
        PrimitiveValType::ErrorContext => InterfaceType::ErrorContext,
    }
}
