//! Constant expressions. They read only immutable globals, so all of them are evaluated at compile
//! time. The objects that they create are in the GC heap from the start.

use super::items::CoreFunc;
use super::{Budget, InstanceState};
use crate::ir::{self, Module, StaticObject, StaticValues};
use anyhow::{Context, Result, bail, ensure};
use mintage_environ::layout::HeapLayout;
use mintage_environ::{
    CoreInstanceId, DomainId, FuncIndex, GlobalId, IndexVec, ObjectKind, ObjectTypeId, ObjectTypes,
    StorageType, ValType, limit, unsupported,
};
use std::collections::HashMap;
use wasmparser::{ConstExpr, Operator};

/// A value that refers to functions by their definitions.
pub(crate) type Const = ir::Const<CoreFunc>;
/// A global whose value refers to functions by their definitions.
pub(crate) type Global = ir::Global<CoreFunc>;

/// The most bytes of objects with which one component instance starts.
const MAX_STATIC: u64 = 256 << 20;

/// The objects that constant expressions have created so far.
#[derive(Default)]
pub(crate) struct Statics {
    pub objects: Vec<StaticObject<CoreFunc>>,
    /// The reference to the next object of each domain.
    next: HashMap<DomainId, u64>,
}

impl Statics {
    /// Returns the bytes of objects with which a domain starts.
    pub fn size(&self, domain: DomainId) -> u64 {
        self.next
            .get(&domain)
            .map_or(0, |next| next - HeapLayout::FIRST)
    }

    /// Adds an object of `size` bytes, and returns the reference to it.
    fn add(
        &mut self,
        domain: DomainId,
        ty: ObjectTypeId,
        size: u64,
        values: StaticValues<CoreFunc>,
    ) -> Result<Const> {
        let next = self.next.entry(domain).or_insert(HeapLayout::FIRST);
        let reference = *next;
        *next += size;
        ensure!(
            *next - HeapLayout::FIRST <= MAX_STATIC,
            limit!(
                ComponentSize,
                "the objects that constant expressions of one component instance make take more \
                 than {} MiB",
                MAX_STATIC >> 20
            )
        );
        self.objects.push(StaticObject {
            domain,
            reference: u32::try_from(reference)?,
            ty,
            values,
        });
        Ok(Const::Object(u32::try_from(self.objects.len() - 1)?))
    }
}

/// The items that constant expressions of a core instance can refer to, and the objects that they
/// create.
pub(super) struct ConstScope<'s, 'a> {
    pub id: CoreInstanceId,
    pub instance: &'s InstanceState,
    pub module: &'s Module<'a>,
    pub globals: &'s IndexVec<GlobalId, Global>,
    pub types: &'s ObjectTypes,
    pub statics: &'s mut Statics,
    pub budget: &'s mut Budget,
}

impl ConstScope<'_, '_> {
    /// Evaluates a valid constant expression.
    pub fn eval(&mut self, expr: &ConstExpr<'_>) -> Result<Const> {
        let mut stack = Vec::new();
        let mut reader = expr.get_operators_reader();
        loop {
            let value = match reader.read()? {
                Operator::I32Const { value } => Const::I32(value),
                Operator::I64Const { value } => Const::I64(value),
                Operator::F32Const { value } => Const::F32(value.bits()),
                Operator::F64Const { value } => Const::F64(value.bits()),
                Operator::V128Const { value } => Const::V128(value.into()),
                Operator::RefNull { .. } => Const::Null,
                Operator::RefFunc { function_index } => {
                    self.func(FuncIndex::from_u32(function_index))
                }
                Operator::GlobalGet { global_index } => {
                    self.globals[self.instance.globals[global_index as usize]].init
                }
                Operator::I32Add => binary(&mut stack, i32::wrapping_add, i64::wrapping_add)?,
                Operator::I64Add => binary(&mut stack, i32::wrapping_add, i64::wrapping_add)?,
                Operator::I32Sub => binary(&mut stack, i32::wrapping_sub, i64::wrapping_sub)?,
                Operator::I64Sub => binary(&mut stack, i32::wrapping_sub, i64::wrapping_sub)?,
                Operator::I32Mul => binary(&mut stack, i32::wrapping_mul, i64::wrapping_mul)?,
                Operator::I64Mul => binary(&mut stack, i32::wrapping_mul, i64::wrapping_mul)?,
                // Both hierarchies represent values in the same way.
                Operator::AnyConvertExtern | Operator::ExternConvertAny => pop(&mut stack)?,
                Operator::RefI31 => Const::I31(pop_i32(&mut stack)? & (u32::MAX >> 1)),
                Operator::End => return pop(&mut stack),
                other => self.object(&other, &mut stack)?,
            };
            stack.push(value);
        }
    }

    /// Evaluates an operator that creates an object.
    fn object(&mut self, operator: &Operator<'_>, stack: &mut Vec<Const>) -> Result<Const> {
        let (type_index, values) = match *operator {
            Operator::StructNew { struct_type_index } => {
                let fields = self.fields(struct_type_index)?.len();
                (
                    struct_type_index,
                    StaticValues::Each(self.take(stack, fields)?),
                )
            }
            Operator::StructNewDefault { struct_type_index } => {
                let fields = self.fields(struct_type_index)?.iter();
                let zeros = fields.map(|&(storage, _)| zero(storage)).collect();
                (struct_type_index, StaticValues::Each(zeros))
            }
            Operator::ArrayNew { array_type_index } => {
                let length = pop_i32(stack)?;
                (array_type_index, StaticValues::Same(pop(stack)?, length))
            }
            Operator::ArrayNewDefault { array_type_index } => {
                let length = pop_i32(stack)?;
                let ObjectKind::Array(element) = self.kind(array_type_index)? else {
                    bail!("type {array_type_index} is not an array type")
                };
                (array_type_index, StaticValues::Same(zero(*element), length))
            }
            Operator::ArrayNewFixed {
                array_type_index,
                array_size,
            } => {
                let values = self.take(stack, array_size as usize)?;
                (array_type_index, StaticValues::Each(values))
            }
            ref other => bail!(unsupported!(
                "{other:?} in a constant expression is not supported yet"
            )),
        };
        let ty = self.object_type(type_index)?;
        let length = match &values {
            StaticValues::Each(values) => u32::try_from(values.len())?,
            StaticValues::Same(_, length) => *length,
        };
        let size = self.types[ty].layout.size_of(length);
        self.statics.add(self.instance.domain, ty, size, values)
    }

    fn object_type(&self, index: u32) -> Result<ObjectTypeId> {
        self.module
            .object_type(index)
            .with_context(|| format!("type {index} is not a struct or array type"))
    }

    fn kind(&self, type_index: u32) -> Result<&ObjectKind> {
        Ok(&self.types[self.object_type(type_index)?].kind)
    }

    fn fields(&self, type_index: u32) -> Result<&[(StorageType, u32)]> {
        match self.kind(type_index)? {
            ObjectKind::Struct(fields) => Ok(fields),
            ObjectKind::Array(_) => bail!("type {type_index} is not a struct type"),
        }
    }

    /// Takes `count` values off the stack.
    fn take(&mut self, stack: &mut Vec<Const>, count: usize) -> Result<Box<[Const]>> {
        self.budget.spend(count)?;
        let rest = stack
            .len()
            .checked_sub(count)
            .context("a constant expression lacks values")?;
        Ok(stack.split_off(rest).into())
    }

    /// Evaluates the offset of an active segment.
    pub fn offset(&mut self, expr: &ConstExpr<'_>) -> Result<u64> {
        match self.eval(expr)? {
            Const::I32(offset) => Ok(u64::from(offset as u32)),
            Const::I64(offset) => Ok(offset as u64),
            other => bail!("the offset of a segment is {other:?}"),
        }
    }

    /// Returns the reference to a function.
    pub fn func(&self, func: FuncIndex) -> Const {
        Const::Func(self.instance.func(self.id, self.module, func))
    }
}

fn pop(stack: &mut Vec<Const>) -> Result<Const> {
    stack.pop().context("a constant expression has no value")
}

fn pop_i32(stack: &mut Vec<Const>) -> Result<u32> {
    match pop(stack)? {
        Const::I32(value) => Ok(value as u32),
        other => bail!("{other:?} is not an i32"),
    }
}

/// Returns the default value of a field or element.
fn zero(storage: StorageType) -> Const {
    match storage.unpacked() {
        ValType::I32 => Const::I32(0),
        ValType::I64 => Const::I64(0),
        ValType::F32 => Const::F32(0),
        ValType::F64 => Const::F64(0),
        ValType::V128 => Const::V128(0),
        ValType::Ref(_) => Const::Null,
    }
}

fn binary(
    stack: &mut Vec<Const>,
    op32: fn(i32, i32) -> i32,
    op64: fn(i64, i64) -> i64,
) -> Result<Const> {
    let (b, a) = (stack.pop(), stack.pop());
    match (a, b) {
        (Some(Const::I32(a)), Some(Const::I32(b))) => Ok(Const::I32(op32(a, b))),
        (Some(Const::I64(a)), Some(Const::I64(b))) => Ok(Const::I64(op64(a, b))),
        _ => bail!("arithmetic on {a:?} and {b:?} in a constant expression"),
    }
}
