//! Function bodies: one pass validates a body and notes what the function refers to. Bodies are
//! read in parallel.

use super::error::wasm_error;
use super::module::CoreModule;
use crate::Check;
use crate::ir::Body;
use anyhow::{Result, bail};
use mintage_environ::{IndexVec, ModuleId, Printable};
use rayon::prelude::*;
use wasmparser::{
    FrameKind, FrameStack, FuncToValidate, FuncValidator, FuncValidatorAllocations, FunctionBody,
    ValidatorResources, VisitOperator, VisitSimdOperator,
};

/// The items that a function refers to, by index in the module: edges of the reference graph.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FuncFacts {
    /// Functions that it calls or takes a reference of, sorted, without duplicates.
    pub functions: Box<[u32]>,
    /// Tables and segments that it uses, sorted, without duplicates.
    pub uses: Box<[Use]>,
}

/// A use of a table, a segment, the GC heap or a reference to a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Use {
    /// Reads a table: calls, gets or copies entries.
    TableRead(u32),
    /// Changes entries or the size of a table.
    TableWrite(u32),
    /// Copies from a data segment, or drops it.
    Data(u32),
    /// Copies from an element segment, or drops it.
    Element(u32),
    /// Makes or uses GC objects or exceptions.
    Heap,
    /// Calls references to functions.
    Reference,
}

/// A function body that has not been validated yet.
pub(super) struct Unvalidated<'a> {
    pub module: ModuleId,
    pub function: FuncToValidate<ValidatorResources>,
    pub body: FunctionBody<'a>,
}

/// Returns the body as the program keeps it.
pub(super) fn describe<'a>(body: &FunctionBody<'a>) -> Result<Body<'a>> {
    let Ok(offset) = usize::try_from(body.range().start) else {
        bail!("the component is larger than the address space")
    };
    Ok(Body {
        bytes: body.as_bytes(),
        offset,
    })
}

/// Validates all bodies, and adds the facts of each to its module.
///
/// # Errors
///
/// The error of the first invalid function.
pub(super) fn validate_all(
    bodies: Vec<Unvalidated<'_>>,
    modules: &mut IndexVec<ModuleId, CoreModule<'_>>,
    check: Check<'_>,
) -> Result<()> {
    let owners: Vec<ModuleId> = bodies.iter().map(|body| body.module).collect();
    let validate = |scratch: &mut Scratch, body: Unvalidated<'_>| {
        check().map_err(Failure::Stopped)?;
        validate(scratch, &body)
            .map_err(|error| Failure::Invalid(error, body.module, body.function.index))
    };
    let facts: Vec<_> = match rayon::current_thread_index() {
        Some(_) => bodies
            .into_par_iter()
            .map_init(Scratch::default, validate)
            .collect(),
        None => {
            let mut scratch = Scratch::default();
            bodies
                .into_iter()
                .map(|body| validate(&mut scratch, body))
                .collect()
        }
    };
    for (module, facts) in owners.into_iter().zip(facts) {
        match facts {
            Ok(facts) => modules[module].facts.push(facts),
            Err(Failure::Stopped(error)) => return Err(error),
            Err(Failure::Invalid(error, id, function)) => {
                let module = &modules[id].ir;
                let name = module
                    .names
                    .iter()
                    .find(|(index, _)| index.as_u32() == function);
                let name = name.map_or(String::new(), |(_, name)| {
                    format!(" (`{}`)", Printable(name))
                });
                return Err(wasm_error(error).context(format!(
                    "in function {function}{name} of core module {}",
                    id.as_u32()
                )));
            }
        }
    }
    Ok(())
}

/// The reason why a body was not validated.
enum Failure {
    /// The check that precedes each body failed.
    Stopped(anyhow::Error),
    /// The body, of a function of a module, is invalid.
    Invalid(wasmparser::Error, ModuleId, u32),
}

/// Buffers that a worker reuses for each function.
#[derive(Default)]
struct Scratch {
    allocations: FuncValidatorAllocations,
    collector: Collector,
}

#[derive(Default)]
struct Collector {
    functions: Vec<u32>,
    uses: Vec<Use>,
}

impl Collector {
    fn take(&mut self) -> FuncFacts {
        self.functions.sort_unstable();
        self.functions.dedup();
        self.uses.sort_unstable();
        self.uses.dedup();
        let facts = FuncFacts {
            functions: self.functions.as_slice().into(),
            uses: self.uses.as_slice().into(),
        };
        self.functions.clear();
        self.uses.clear();
        facts
    }
}

fn validate(scratch: &mut Scratch, unvalidated: &Unvalidated<'_>) -> wasmparser::Result<FuncFacts> {
    let Unvalidated { function, body, .. } = unvalidated;
    let copy = || FuncToValidate {
        resources: function.resources.clone(),
        index: function.index,
        ty: function.ty,
        features: function.features,
    };
    let mut validator = copy().into_validator(std::mem::take(&mut scratch.allocations));
    match validate_and_collect(&mut validator, body, &mut scratch.collector) {
        Ok(()) => {
            scratch.allocations = validator.into_allocations();
            Ok(scratch.collector.take())
        }
        Err(error) => {
            scratch.collector.take();
            // The validator alone also decodes operators of proposals that are off, so its error is
            // more precise.
            copy()
                .into_validator(FuncValidatorAllocations::default())
                .validate(body)?;
            Err(error)
        }
    }
}

fn validate_and_collect(
    validator: &mut FuncValidator<ValidatorResources>,
    body: &FunctionBody<'_>,
    collector: &mut Collector,
) -> wasmparser::Result<()> {
    let mut reader = body.get_binary_reader();
    validator.read_locals(&mut reader)?;
    reader.set_features(*validator.features());
    while !reader.eof() {
        let position = reader.original_position();
        reader.visit_operator(&mut Collecting {
            collector,
            validator: validator.visitor(position),
        })??;
    }
    reader.finish_expression(&validator.visitor(reader.original_position()))
}

/// Validates an operator with `V`, and notes what it refers to.
struct Collecting<'c, V> {
    collector: &'c mut Collector,
    validator: V,
}

impl<V: FrameStack> FrameStack for Collecting<'_, V> {
    fn current_frame(&self) -> Option<FrameKind> {
        self.validator.current_frame()
    }
}

/// Notes the items that an operator refers to.
macro_rules! note {
    ($c:expr, Call $function:ident) => {
        $c.functions.push($function)
    };
    ($c:expr, ReturnCall $function:ident) => {
        $c.functions.push($function)
    };
    ($c:expr, RefFunc $function:ident) => {
        $c.functions.push($function)
    };
    ($c:expr, CallIndirect $type_index:ident $table:ident) => {
        $c.uses.push(Use::TableRead($table))
    };
    ($c:expr, ReturnCallIndirect $type_index:ident $table:ident) => {
        $c.uses.push(Use::TableRead($table))
    };
    ($c:expr, CallRef $type_index:ident) => {
        $c.uses.push(Use::Reference)
    };
    ($c:expr, ReturnCallRef $type_index:ident) => {
        $c.uses.push(Use::Reference)
    };
    ($c:expr, TableGet $table:ident) => {
        $c.uses.push(Use::TableRead($table))
    };
    ($c:expr, TableSet $table:ident) => {
        $c.uses.push(Use::TableWrite($table))
    };
    ($c:expr, TableGrow $table:ident) => {
        $c.uses.push(Use::TableWrite($table))
    };
    ($c:expr, TableFill $table:ident) => {
        $c.uses.push(Use::TableWrite($table))
    };
    ($c:expr, TableCopy $dst:ident $src:ident) => {
        $c.uses
            .extend([Use::TableWrite($dst), Use::TableRead($src)])
    };
    ($c:expr, TableInit $element:ident $table:ident) => {
        $c.uses
            .extend([Use::TableWrite($table), Use::Element($element)])
    };
    ($c:expr, ElemDrop $element:ident) => {
        $c.uses.push(Use::Element($element))
    };
    ($c:expr, MemoryInit $data:ident $memory:ident) => {
        $c.uses.push(Use::Data($data))
    };
    ($c:expr, DataDrop $data:ident) => {
        $c.uses.push(Use::Data($data))
    };
    ($c:expr, Throw $tag:ident) => {
        $c.uses.push(Use::Heap)
    };
    ($c:expr, ArrayNewData $ty:ident $data:ident) => {
        $c.uses.push(Use::Data($data))
    };
    ($c:expr, ArrayInitData $ty:ident $data:ident) => {
        $c.uses.push(Use::Data($data))
    };
    ($c:expr, ArrayNewElem $ty:ident $element:ident) => {
        $c.uses.push(Use::Element($element))
    };
    ($c:expr, ArrayInitElem $ty:ident $element:ident) => {
        $c.uses.push(Use::Element($element))
    };
    ($c:expr, TryTable $table:ident) => {
        $c.uses.push(Use::Heap)
    };
    ($c:expr, $($other:tt)*) => {};
}

/// Notes what every operator of a proposal uses.
macro_rules! note_proposal {
    ($c:expr, gc) => {
        $c.uses.push(Use::Heap)
    };
    ($c:expr, $other:ident) => {};
}

macro_rules! visitor {
    ($(@$proposal:ident $op:ident $({ $($arg:ident: $ty:ty),* })? => $visit:ident
      ($($ann:tt)*))*) => {
        $(
            #[inline(always)]
            fn $visit(&mut self $($(, $arg: $ty)*)?) -> Self::Output {
                note_proposal!(self.collector, $proposal);
                note!(self.collector, $op $($($arg)*)?);
                self.validator.$visit($($($arg),*)?)
            }
        )*
    };
}

#[allow(unused_variables, reason = "notes use only some of the immediates")]
impl<'a, V: VisitOperator<'a, Output = wasmparser::Result<()>>> VisitOperator<'a>
    for Collecting<'_, V>
{
    type Output = wasmparser::Result<()>;

    /// Vector operators refer only to memories, so there is nothing to note.
    fn simd_visitor(&mut self) -> Option<&mut dyn VisitSimdOperator<'a, Output = Self::Output>> {
        self.validator.simd_visitor()
    }

    wasmparser::for_each_visit_operator!(visitor);
}
