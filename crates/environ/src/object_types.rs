//! Struct and array types, numbered so that subtypes are ranges.

use crate::objects::{ObjectLayout, Stored};
use crate::{IndexVec, ObjectTypeId, ValType};
use anyhow::Result;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The type of a field or element (core specification, "Aggregate Types").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum StorageType {
    /// The low 8 bits of an `i32`.
    I8,
    /// The low 16 bits of an `i32`.
    I16,
    /// A value.
    Val(ValType),
}

impl StorageType {
    /// Returns the representation in an object.
    pub fn stored(self) -> Stored {
        let packed = |size| Stored {
            size,
            traced: false,
        };
        match self {
            StorageType::I8 => packed(1),
            StorageType::I16 => packed(2),
            StorageType::Val(ty) => Stored::of(ty),
        }
    }

    /// Returns the type of the operand that it is read to and written from.
    pub const fn unpacked(self) -> ValType {
        match self {
            StorageType::I8 | StorageType::I16 => ValType::I32,
            StorageType::Val(ty) => ty,
        }
    }
}

impl fmt::Display for StorageType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StorageType::I8 => f.write_str("i8"),
            StorageType::I16 => f.write_str("i16"),
            StorageType::Val(ty) => ty.fmt(f),
        }
    }
}

/// The contents of a type's objects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ObjectKind {
    /// A struct: the type of each field, and its offset. Fields are laid out in order, so that
    /// those of a supertype are at the same offsets in its subtypes.
    Struct(Box<[(StorageType, u32)]>),
    /// An array: the type of its elements.
    Array(StorageType),
}

/// A struct or array type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectType {
    /// The contents of its objects.
    pub kind: ObjectKind,
    /// The layout of its objects.
    pub layout: ObjectLayout,
    /// The number of proper subtypes, whose numbers follow this type's own.
    pub subtypes: u32,
}

impl ObjectType {
    /// Makes a struct type.
    ///
    /// # Errors
    ///
    /// Returns an error if an object takes more than 4 GiB.
    pub fn structure(fields: &[StorageType], subtypes: u32) -> Result<ObjectType> {
        let (layout, offsets) = ObjectLayout::of_fields(fields.iter().map(|field| field.stored()))?;
        Ok(ObjectType {
            kind: ObjectKind::Struct(fields.iter().copied().zip(offsets).collect()),
            layout,
            subtypes,
        })
    }

    /// Makes an array type.
    pub fn array(element: StorageType, subtypes: u32) -> ObjectType {
        ObjectType {
            kind: ObjectKind::Array(element),
            layout: ObjectLayout::of_elements(element.stored()),
            subtypes,
        }
    }
}

/// All struct and array types of a program.
///
/// Structs come first, and the trees of subtypes are numbered in pre-order. A type and its
/// subtypes, all structs, and all arrays are therefore ranges of numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectTypes(IndexVec<ObjectTypeId, ObjectType>);

/// A range of type numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ObjectTypeRange {
    /// The first number.
    pub first: u32,
    /// The number of types.
    pub count: u32,
}

impl ObjectTypeRange {
    /// Returns whether `id` is in the range.
    pub const fn contains(self, id: ObjectTypeId) -> bool {
        id.as_u32().wrapping_sub(self.first) < self.count
    }
}

impl ObjectTypes {
    /// Adds a type. Its subtypes must be added right after it, and all structs before all arrays.
    pub fn declare(&mut self, ty: ObjectType) -> ObjectTypeId {
        self.0.push(ty)
    }

    /// Returns the type with this number, if there is one.
    pub fn get(&self, id: ObjectTypeId) -> Option<&ObjectType> {
        self.0.get(id)
    }

    /// Returns the number of types.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns whether there are no types.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns all types in the order of their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (ObjectTypeId, &ObjectType)> {
        self.0.iter()
    }

    /// Returns the range of a type and its subtypes.
    pub fn range(&self, id: ObjectTypeId) -> ObjectTypeRange {
        ObjectTypeRange {
            first: id.as_u32(),
            count: self.0[id].subtypes + 1,
        }
    }

    /// Returns whether `id` is `other` or a subtype of it.
    pub fn is_subtype(&self, id: ObjectTypeId, other: ObjectTypeId) -> bool {
        id.as_u32().wrapping_sub(other.as_u32()) <= self.0[other].subtypes
    }

    /// Returns the range of all structs.
    pub fn structs(&self) -> ObjectTypeRange {
        let is_struct = |ty: &ObjectType| matches!(ty.kind, ObjectKind::Struct(_));
        ObjectTypeRange {
            first: 0,
            count: self.0.as_slice().partition_point(is_struct) as u32,
        }
    }

    /// Returns the range of all arrays.
    pub fn arrays(&self) -> ObjectTypeRange {
        let first = self.structs().count;
        ObjectTypeRange {
            first,
            count: self.0.len() as u32 - first,
        }
    }
}

impl std::ops::Index<ObjectTypeId> for ObjectTypes {
    type Output = ObjectType;

    fn index(&self, id: ObjectTypeId) -> &ObjectType {
        &self.0[id]
    }
}

impl fmt::Display for ObjectType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            ObjectKind::Struct(fields) => {
                f.write_str("struct")?;
                for (storage, offset) in fields {
                    write!(f, " {storage} at {offset}")?;
                }
                write!(f, ", {} bytes", self.layout.size)
            }
            ObjectKind::Array(element) => write!(f, "array of {element}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RefType;

    #[test]
    fn fields_of_a_supertype_keep_their_offsets() {
        let types = [
            StorageType::I8,
            StorageType::Val(ValType::Ref(RefType::FUNC)),
            StorageType::I16,
            StorageType::Val(ValType::Ref(RefType::EXTERN)),
            StorageType::Val(ValType::V128),
            StorageType::I8,
        ];
        let fields = |count: usize| match ObjectType::structure(&types[..count], 0).unwrap().kind {
            ObjectKind::Struct(fields) => fields,
            ObjectKind::Array(_) => unreachable!("`structure` makes a struct"),
        };
        let all = fields(types.len());
        assert_eq!(
            all.iter().map(|field| field.1).collect::<Vec<_>>(),
            [4, 8, 16, 20, 24, 40]
        );
        for count in 0..types.len() {
            assert_eq!(fields(count)[..], all[..count]);
        }
    }

    #[test]
    fn subtypes_structs_and_arrays_are_ranges() {
        let mut types = ObjectTypes::default();
        let structure = |subtypes| ObjectType::structure(&[], subtypes).unwrap();
        let base = types.declare(structure(2));
        let sub = types.declare(structure(1));
        let subsub = types.declare(structure(0));
        let other = types.declare(structure(0));
        let array = types.declare(ObjectType::array(StorageType::I8, 0));
        let all = [base, sub, subsub, other, array];
        let subtypes = |of: ObjectTypeId| all.map(|id| types.is_subtype(id, of));
        assert_eq!(subtypes(base), [true, true, true, false, false]);
        assert_eq!(subtypes(sub), [false, true, true, false, false]);
        assert_eq!(subtypes(array), [false, false, false, false, true]);
        assert_eq!(types.range(sub), ObjectTypeRange { first: 1, count: 2 });
        assert_eq!(types.structs(), ObjectTypeRange { first: 0, count: 4 });
        assert_eq!(types.arrays(), ObjectTypeRange { first: 4, count: 1 });
    }
}
