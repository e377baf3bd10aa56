//! The types that modules define, numbered over the whole component.
//!
//! The validator gives equal types one id, whichever modules define them, and a supertype a smaller id than its subtypes. What
//! is left is to number them so that the subtypes of each type are a range behind it.

use anyhow::{Context, Result, bail, ensure};
use mintage_environ::{HeapType, RefType, SigId, Signature, Signatures, TypeId, ValType};
use std::collections::HashMap;
use wasmparser::types::{CoreTypeId, TypesRef};
use wasmparser::{AbstractHeapType, CompositeInnerType, FuncType, SubType, UnpackedIndex};

/// The numbers of all types.
pub(super) struct Numbers {
    /// In order of the ids.
    types: Vec<(CoreTypeId, TypeId)>,
    /// The function types.
    pub signatures: Signatures,
}

impl Numbers {
    /// Numbers the types with the given ids, which may be repeated; the supertypes of each must be among them.
    pub fn new(types: TypesRef<'_>, mut ids: Vec<CoreTypeId>) -> Result<Numbers> {
        ids.sort_unstable();
        ids.dedup();
        let forest = Forest::new(types, &ids)?;
        let number = |(at, &id): (usize, &CoreTypeId)| {
            let number = forest.numbers[forest.equal[at]];
            (id, TypeId::Func(SigId::from_u32(number)))
        };
        let mut numbers = Numbers {
            types: ids.iter().enumerate().map(number).collect(),
            signatures: Signatures::default(),
        };
        for at in forest.in_order() {
            let sub_type = forest.types[at];
            let CompositeInnerType::Func(ty) = &sub_type.composite_type.inner else {
                bail!("a struct or array type is not supported yet")
            };
            let signature = numbers
                .signature(ty)
                .context("a function type uses a value type that is not supported yet")?;
            let sig = match is_plain(types, ids[at], sub_type) {
                true => numbers.signatures.intern(signature),
                false => numbers.signatures.declare(signature, forest.sizes[at] - 1),
            };
            ensure!(
                sig.as_u32() == forest.numbers[at],
                "a function type has two numbers (a bug in Mintage)"
            );
        }
        Ok(numbers)
    }

    /// The number of a type.
    pub fn get(&self, id: CoreTypeId) -> Option<TypeId> {
        let at = self.types.binary_search_by_key(&id, |&(id, _)| id).ok()?;
        Some(self.types[at].1)
    }

    fn signature(&self, ty: &FuncType) -> Option<Signature> {
        let resolve = |index| match index {
            UnpackedIndex::Id(id) => self.get(id),
            UnpackedIndex::Module(_) | UnpackedIndex::RecGroup(_) => None,
        };
        let convert = |types: &[wasmparser::ValType]| {
            let types = types.iter().map(|&ty| val_type(ty, resolve));
            types.collect::<Option<Box<[_]>>>()
        };
        Some(Signature {
            params: convert(ty.params())?,
            results: convert(ty.results())?,
        })
    }
}

/// The trees of subtypes. All lists go by the place of a type in the sorted list of ids, so that a supertype stands before
/// its subtypes.
struct Forest<'t> {
    types: Vec<&'t SubType>,
    /// The first type that equals each: itself, but where the validator keeps equal types apart, which it does
    /// unless types can refer to types.
    equal: Vec<usize>,
    /// How many types the tree below each type has, itself included.
    sizes: Vec<u32>,
    /// The numbers: a walk over the trees, each type before its subtypes.
    numbers: Vec<u32>,
}

impl<'t> Forest<'t> {
    fn new(types: TypesRef<'t>, ids: &[CoreTypeId]) -> Result<Forest<'t>> {
        let mut forest = Forest {
            types: Vec::with_capacity(ids.len()),
            equal: Vec::with_capacity(ids.len()),
            sizes: vec![1; ids.len()],
            numbers: vec![0; ids.len()],
        };
        let mut supertypes = Vec::with_capacity(ids.len());
        let mut plain: HashMap<&FuncType, usize> = HashMap::new();
        for (at, &id) in ids.iter().enumerate() {
            let ty = types.get(id).context("a type is not known (a bug in Mintage)")?;
            forest.types.push(ty);
            forest.equal.push(match &ty.composite_type.inner {
                CompositeInnerType::Func(func) if is_plain(types, id, ty) => *plain.entry(func).or_insert(at),
                _ => at,
            });
            let supertype = types.supertype_of(id).map(|supertype| ids.binary_search(&supertype));
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
        // The first number that is free, for a tree of its own and among the subtypes of each type.
        let mut free = 0;
        let mut free_below = vec![0; ids.len()];
        for (at, supertype) in supertypes.iter().enumerate() {
            if forest.equal[at] == at {
                let next = match *supertype {
                    Some(supertype) => &mut free_below[supertype],
                    None => &mut free,
                };
                forest.numbers[at] = *next;
                *next += forest.sizes[at];
                free_below[at] = forest.numbers[at] + 1;
            }
        }
        Ok(forest)
    }

    /// The types, each once, in order of their numbers.
    fn in_order(&self) -> impl Iterator<Item = usize> {
        let mut order: Vec<usize> = (0..self.types.len()).filter(|&at| self.equal[at] == at).collect();
        order.sort_unstable_by_key(|&at| self.numbers[at]);
        order.into_iter()
    }
}

/// Whether `(func ...)` by itself declares the type.
fn is_plain(types: TypesRef<'_>, id: CoreTypeId, ty: &SubType) -> bool {
    ty.is_final && ty.supertype_idxs.is_empty() && types.rec_group_elements(types.rec_group_id_of(id)).len() == 1
}

/// A core value type, or `None` when it is not supported. `resolve` finds the types that it refers to.
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
    let heap = match ty.heap_type() {
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
        wasmparser::HeapType::Abstract { shared: true, .. } | wasmparser::HeapType::Exact(_) => return None,
    };
    Some(RefType {
        nullable: ty.is_nullable(),
        heap,
    })
}
