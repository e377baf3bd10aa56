//! The numbers of the types that modules define, over the whole component.
//!
//! The validator gives equal types the same id, in whichever module they are defined, and gives a
//! supertype a smaller id than its subtypes. This module numbers types so that the subtypes of each
//! type follow it as one range.

use anyhow::{Context, Result, bail, ensure};
use mintage_environ::{
    HeapType, ObjectType, ObjectTypeId, ObjectTypes, RefType, SigId, Signature, Signatures,
    StorageType, TypeId, ValType, unsupported,
};
use std::collections::HashMap;
use wasmparser::types::{CoreTypeId, TypesRef};
use wasmparser::{AbstractHeapType, CompositeInnerType, FuncType, SubType, UnpackedIndex};

/// The numbers of all types.
pub(super) struct TypeNumbers {
    /// Sorted by id.
    types: Vec<(CoreTypeId, TypeId)>,
    /// The function types.
    pub signatures: Signatures,
    /// The struct and array types.
    pub objects: ObjectTypes,
}

impl TypeNumbers {
    /// Numbers the types with the given ids. Ids may be repeated, and must include the supertypes
    /// of each type.
    pub fn new(types: TypesRef<'_>, mut ids: Vec<CoreTypeId>) -> Result<TypeNumbers> {
        ids.sort_unstable();
        ids.dedup();
        let forest = Forest::new(types, &ids)?;
        let number = |(at, &id): (usize, &CoreTypeId)| (id, forest.numbers[forest.equal[at]]);
        let mut numbers = TypeNumbers {
            types: ids.iter().enumerate().map(number).collect(),
            signatures: Signatures::default(),
            objects: ObjectTypes::default(),
        };
        for at in forest.in_order() {
            let is_standalone = is_standalone(types, ids[at], forest.types[at]);
            let number = numbers.declare(forest.types[at], is_standalone, forest.sizes[at] - 1)?;
            ensure!(
                number == forest.numbers[at],
                "a type has the numbers {number:?} and {:?} (a bug in Mintage)",
                forest.numbers[at]
            );
        }
        Ok(numbers)
    }

    /// Returns the number of a type.
    pub fn get(&self, id: CoreTypeId) -> Option<TypeId> {
        let at = self.types.binary_search_by_key(&id, |&(id, _)| id).ok()?;
        Some(self.types[at].1)
    }

    /// Adds the type with the next number of its kind.
    fn declare(&mut self, ty: &SubType, is_standalone: bool, subtypes: u32) -> Result<TypeId> {
        Ok(match &ty.composite_type.inner {
            CompositeInnerType::Func(ty) => {
                let signature = self.signature(ty);
                let signature = signature.with_context(|| {
                    unsupported!("a function type uses a value type that is not supported yet")
                })?;
                TypeId::Func(match is_standalone {
                    true => self.signatures.intern(signature),
                    false => self.signatures.declare(signature, subtypes),
                })
            }
            CompositeInnerType::Struct(ty) => {
                let fields = ty
                    .fields
                    .iter()
                    .map(|field| self.storage_type(field.element_type));
                let fields = fields.collect::<Option<Vec<_>>>();
                let fields = fields.with_context(|| {
                    unsupported!("a struct type uses a field type that is not supported yet")
                })?;
                TypeId::Object(
                    self.objects
                        .declare(ObjectType::structure(&fields, subtypes)?),
                )
            }
            CompositeInnerType::Array(ty) => {
                let element = self.storage_type(ty.0.element_type);
                let element = element.with_context(|| {
                    unsupported!("an array type uses an element type that is not supported yet")
                })?;
                TypeId::Object(self.objects.declare(ObjectType::array(element, subtypes)))
            }
            CompositeInnerType::Cont(_) => {
                bail!(unsupported!("continuation types are not supported yet"))
            }
        })
    }

    fn signature(&self, ty: &FuncType) -> Option<Signature> {
        let convert = |types: &[wasmparser::ValType]| {
            let types = types.iter().map(|&ty| self.val_type(ty));
            types.collect::<Option<Box<[_]>>>()
        };
        Some(Signature {
            params: convert(ty.params())?,
            results: convert(ty.results())?,
        })
    }

    fn storage_type(&self, ty: wasmparser::StorageType) -> Option<StorageType> {
        Some(match ty {
            wasmparser::StorageType::I8 => StorageType::I8,
            wasmparser::StorageType::I16 => StorageType::I16,
            wasmparser::StorageType::Val(ty) => StorageType::Val(self.val_type(ty)?),
        })
    }

    fn val_type(&self, ty: wasmparser::ValType) -> Option<ValType> {
        val_type(ty, |index| match index {
            UnpackedIndex::Id(id) => self.get(id),
            UnpackedIndex::Module(_) | UnpackedIndex::RecGroup(_) => None,
        })
    }
}

/// The trees of subtypes. All lists are indexed by the position of a type in the sorted list of
/// ids, in which a supertype comes before its subtypes.
struct Forest<'t> {
    types: Vec<&'t SubType>,
    /// The first type that equals each type. This is the type itself, unless the validator gives
    /// equal types different ids, as it does when types cannot refer to each other.
    equal: Vec<usize>,
    /// The number of types in the tree below each type, including itself.
    sizes: Vec<u32>,
    /// The numbers, in preorder: each type comes before its subtypes.
    numbers: Vec<TypeId>,
}

impl<'t> Forest<'t> {
    fn new(types: TypesRef<'t>, ids: &[CoreTypeId]) -> Result<Forest<'t>> {
        let mut forest = Forest {
            types: Vec::with_capacity(ids.len()),
            equal: Vec::with_capacity(ids.len()),
            sizes: vec![1; ids.len()],
            numbers: Vec::with_capacity(ids.len()),
        };
        let mut supertypes = Vec::with_capacity(ids.len());
        let mut standalone: HashMap<&FuncType, usize> = HashMap::new();
        for (at, &id) in ids.iter().enumerate() {
            let ty = types
                .get(id)
                .context("a type is not known (a bug in Mintage)")?;
            forest.types.push(ty);
            forest.equal.push(match &ty.composite_type.inner {
                CompositeInnerType::Func(func) if is_standalone(types, id, ty) => {
                    *standalone.entry(func).or_insert(at)
                }
                _ => at,
            });
            let supertype = types
                .supertype_of(id)
                .map(|supertype| ids.binary_search(&supertype));
            supertypes.push(match supertype {
                Some(Ok(supertype)) if supertype < at => Some(supertype),
                None => None,
                Some(_) => bail!("a type comes before its supertype (a bug in Mintage)"),
            });
        }
        for (at, supertype) in supertypes.iter().enumerate().rev() {
            if let Some(supertype) = *supertype {
                forest.sizes[supertype] += forest.sizes[at];
            }
        }
        forest.number(&supertypes);
        Ok(forest)
    }

    fn number(&mut self, supertypes: &[Option<usize>]) {
        let is_struct =
            |ty: &&&SubType| matches!(ty.composite_type.inner, CompositeInnerType::Struct(_));
        // The next free numbers: of roots of each kind, and among the subtypes of each type.
        let (mut functions, mut structs, mut arrays) =
            (0, 0, self.types.iter().filter(is_struct).count() as u32);
        let mut free_below = vec![0; self.types.len()];
        for (at, supertype) in supertypes.iter().enumerate() {
            let inner = &self.types[at].composite_type.inner;
            let free = match (*supertype, inner) {
                (Some(supertype), _) => &mut free_below[supertype],
                (None, CompositeInnerType::Struct(_)) => &mut structs,
                (None, CompositeInnerType::Array(_)) => &mut arrays,
                (None, CompositeInnerType::Func(_) | CompositeInnerType::Cont(_)) => &mut functions,
            };
            let number = *free;
            // Among equal types with different ids, only the first takes a number.
            if self.equal[at] == at {
                *free += self.sizes[at];
                free_below[at] = number + 1;
            }
            self.numbers.push(match inner {
                CompositeInnerType::Struct(_) | CompositeInnerType::Array(_) => {
                    TypeId::Object(ObjectTypeId::from_u32(number))
                }
                CompositeInnerType::Func(_) | CompositeInnerType::Cont(_) => {
                    TypeId::Func(SigId::from_u32(number))
                }
            });
        }
    }

    /// Returns the positions of the types in order of their numbers, without duplicates.
    fn in_order(&self) -> impl Iterator<Item = usize> {
        let mut order: Vec<usize> = (0..self.types.len())
            .filter(|&at| self.equal[at] == at)
            .collect();
        order.sort_unstable_by_key(|&at| self.numbers[at]);
        order.into_iter()
    }
}

/// Returns whether the type can be written as a plain `(func ...)`: it is final, has no supertype,
/// and is alone in its recursion group.
fn is_standalone(types: TypesRef<'_>, id: CoreTypeId, ty: &SubType) -> bool {
    ty.is_final
        && ty.supertype_idxs.is_empty()
        && types.rec_group_elements(types.rec_group_id_of(id)).len() == 1
}

/// Converts a core value type, or returns `None` if it is not supported. `resolve` looks up the
/// types that it refers to.
pub(crate) fn val_type(
    ty: wasmparser::ValType,
    resolve: impl FnOnce(UnpackedIndex) -> Option<TypeId>,
) -> Option<ValType> {
    Some(match ty {
        wasmparser::ValType::I32 => ValType::I32,
        wasmparser::ValType::I64 => ValType::I64,
        wasmparser::ValType::F32 => ValType::F32,
        wasmparser::ValType::F64 => ValType::F64,
        wasmparser::ValType::V128 => ValType::V128,
        wasmparser::ValType::Ref(ty) => ValType::Ref(ref_type(ty, resolve)?),
    })
}

/// Converts a reference type, or returns `None` if it is not supported.
pub(crate) fn ref_type(
    ty: wasmparser::RefType,
    resolve: impl FnOnce(UnpackedIndex) -> Option<TypeId>,
) -> Option<RefType> {
    Some(RefType {
        nullable: ty.is_nullable(),
        heap: heap_type(ty.heap_type(), resolve)?,
    })
}

/// Converts a heap type, or returns `None` if it is not supported.
pub(crate) fn heap_type(
    ty: wasmparser::HeapType,
    resolve: impl FnOnce(UnpackedIndex) -> Option<TypeId>,
) -> Option<HeapType> {
    Some(match ty {
        wasmparser::HeapType::Concrete(index) => HeapType::Concrete(resolve(index)?),
        wasmparser::HeapType::Abstract { shared: false, ty } => match ty {
            AbstractHeapType::Func => HeapType::Func,
            AbstractHeapType::NoFunc => HeapType::NoFunc,
            AbstractHeapType::Extern => HeapType::Extern,
            AbstractHeapType::NoExtern => HeapType::NoExtern,
            AbstractHeapType::Exn => HeapType::Exn,
            AbstractHeapType::NoExn => HeapType::NoExn,
            AbstractHeapType::Any => HeapType::Any,
            AbstractHeapType::Eq => HeapType::Eq,
            AbstractHeapType::I31 => HeapType::I31,
            AbstractHeapType::Struct => HeapType::Struct,
            AbstractHeapType::Array => HeapType::Array,
            AbstractHeapType::None => HeapType::None,
            AbstractHeapType::Cont | AbstractHeapType::NoCont => return None,
        },
        wasmparser::HeapType::Abstract { shared: true, .. } | wasmparser::HeapType::Exact(_) => {
            return None;
        }
    })
}
