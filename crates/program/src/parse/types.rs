//! The types that modules define, numbered over the whole component.
//!
//! The validator gives equal types one id, whichever modules define them, and a supertype a smaller
//! id than its subtypes. What is left is to number them so that the subtypes of each type are a
//! range behind it.

use anyhow::{Context, Result, bail, ensure};
use mintage_environ::{
    HeapType, ObjectType, ObjectTypeId, ObjectTypes, RefType, SigId, Signature, Signatures,
    StorageType, TypeId, ValType, unsupported,
};
use std::collections::HashMap;
use wasmparser::types::{CoreTypeId, TypesRef};
use wasmparser::{AbstractHeapType, CompositeInnerType, FuncType, SubType, UnpackedIndex};

/// The numbers of all types.
pub(super) struct Numbers {
    /// In order of the ids.
    types: Vec<(CoreTypeId, TypeId)>,
    /// The function types.
    pub signatures: Signatures,
    /// The struct and array types.
    pub objects: ObjectTypes,
}

impl Numbers {
    /// Numbers the types with the given ids, which may be repeated; the supertypes of each must be
    /// among them.
    pub fn new(types: TypesRef<'_>, mut ids: Vec<CoreTypeId>) -> Result<Numbers> {
        ids.sort_unstable();
        ids.dedup();
        let forest = Forest::new(types, &ids)?;
        let number = |(at, &id): (usize, &CoreTypeId)| (id, forest.numbers[forest.equal[at]]);
        let mut numbers = Numbers {
            types: ids.iter().enumerate().map(number).collect(),
            signatures: Signatures::default(),
            objects: ObjectTypes::default(),
        };
        for at in forest.in_order() {
            let is_plain = is_plain(types, ids[at], forest.types[at]);
            let number = numbers.declare(forest.types[at], is_plain, forest.sizes[at] - 1)?;
            ensure!(
                number == forest.numbers[at],
                "a type has the numbers {number:?} and {:?} (a bug in Mintage)",
                forest.numbers[at]
            );
        }
        Ok(numbers)
    }

    /// The number of a type.
    pub fn get(&self, id: CoreTypeId) -> Option<TypeId> {
        let at = self.types.binary_search_by_key(&id, |&(id, _)| id).ok()?;
        Some(self.types[at].1)
    }

    /// Adds the type with the next number of its kind.
    fn declare(&mut self, ty: &SubType, is_plain: bool, subtypes: u32) -> Result<TypeId> {
        Ok(match &ty.composite_type.inner {
            CompositeInnerType::Func(ty) => {
                let signature = self.signature(ty);
                let signature = signature.with_context(|| {
                    unsupported!("a function type uses a value type that is not supported yet")
                })?;
                TypeId::Func(match is_plain {
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

/// The trees of subtypes. All lists go by the place of a type in the sorted list of ids, so that a
/// supertype stands before its subtypes.
struct Forest<'t> {
    types: Vec<&'t SubType>,
    /// The first type that equals each: itself, but where the validator keeps equal types apart,
    /// which it does unless types can refer to types.
    equal: Vec<usize>,
    /// How many types the tree below each type has, itself included.
    sizes: Vec<u32>,
    /// The numbers: a walk over the trees, each type before its subtypes.
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
        let mut plain: HashMap<&FuncType, usize> = HashMap::new();
        for (at, &id) in ids.iter().enumerate() {
            let ty = types
                .get(id)
                .context("a type is not known (a bug in Mintage)")?;
            forest.types.push(ty);
            forest.equal.push(match &ty.composite_type.inner {
                CompositeInnerType::Func(func) if is_plain(types, id, ty) => {
                    *plain.entry(func).or_insert(at)
                }
                _ => at,
            });
            let supertype = types
                .supertype_of(id)
                .map(|supertype| ids.binary_search(&supertype));
            supertypes.push(match supertype {
                Some(Ok(supertype)) if supertype < at => Some(supertype),
                None => None,
                Some(_) => bail!("a type stands before its supertype (a bug in Mintage)"),
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
        // The first numbers that are free, for trees of their own and among the subtypes of each
        // type.
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
            // Where types are kept apart that are equal, only the first of them takes a number.
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

    /// The types, each once, in order of their numbers.
    fn in_order(&self) -> impl Iterator<Item = usize> {
        let mut order: Vec<usize> = (0..self.types.len())
            .filter(|&at| self.equal[at] == at)
            .collect();
        order.sort_unstable_by_key(|&at| self.numbers[at]);
        order.into_iter()
    }
}

/// Whether `(func ...)` by itself declares the type.
fn is_plain(types: TypesRef<'_>, id: CoreTypeId, ty: &SubType) -> bool {
    ty.is_final
        && ty.supertype_idxs.is_empty()
        && types.rec_group_elements(types.rec_group_id_of(id)).len() == 1
}

/// A core value type, or `None` when it is not supported. `resolve` finds the types that it refers
/// to.
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

/// A reference type, or `None` when it is not supported.
pub(crate) fn ref_type(
    ty: wasmparser::RefType,
    resolve: impl FnOnce(UnpackedIndex) -> Option<TypeId>,
) -> Option<RefType> {
    Some(RefType {
        nullable: ty.is_nullable(),
        heap: heap_type(ty.heap_type(), resolve)?,
    })
}

/// What a reference refers to, or `None` when it is not supported.
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
