//! Exceptions: `throw`, `throw_ref`, `try_table`, and calls during which exceptions may be caught.
//!
//! An exception is a GC object. Each clause of a `try_table` is a landing block, which takes the
//! reference to the exception, loads the values that the clause asks for and jumps to its label. A
//! call inside a `try_table` lists the landing blocks of all clauses around it. The runtime finds
//! them by the return address. Calls elsewhere list nothing, so code outside of a `try_table` pays
//! nothing. The tag of a clause is known when compiling.

use super::Translator;
use crate::abi::POINTER;
use crate::emit::{Values, trap_code};
use anyhow::Result;
use cranelift_codegen::ir::{
    Block, BlockArg, BlockCall, ExceptionTableData, ExceptionTableItem, ExceptionTag, FuncRef,
    InstBuilder, SigRef, Value, types,
};
use hashbrown::HashSet;
use mintage_environ::objects::{self, ObjectLayout, Stored};
use mintage_environ::{Builtin, ObjectTypeId, Signature, TagId, Trap};
use smallvec::SmallVec;
use std::rc::Rc;
use wasmparser::{Catch, Operator, TryTable};

/// The charge for each handler of a call, in arguments. A handler is an edge of the control flow
/// graph, on which everything live is passed. Ordinary code has a handful per call, because an
/// inner handler hides outer ones of the same type. The time that edges take grows with the square
/// of their number: the 65,536 that this allows take some seconds.
const HANDLER_COST: usize = 256;

/// A landing block for exceptions of one type or of any.
#[derive(Clone, Copy)]
struct Handler {
    /// The type; `None` for any.
    ty: Option<ObjectTypeId>,
    landing: Block,
}

/// An open `try_table`.
pub(super) struct CatchScope {
    /// The handlers of an exception that is thrown here: the clauses of this `try_table`, then
    /// those around it. Each type is listed once, and nothing follows a clause that catches
    /// everything.
    handlers: Rc<[Handler]>,
    /// Its own landing blocks, which calls may still be connected to.
    landings: SmallVec<[Block; 4]>,
}

/// The callee of a call.
#[derive(Clone, Copy)]
pub(super) enum Callee {
    /// A function by name.
    Direct(FuncRef),
    /// The function at an address.
    Indirect(SigRef, Value),
}

impl<'a> Translator<'a, '_> {
    pub(super) fn exception_operator(&mut self, operator: &Operator<'a>) -> Result<bool> {
        match operator {
            Operator::Throw { tag_index } => self.throw(*tag_index)?,
            Operator::ThrowRef => {
                let exception = self.pop();
                self.ins().trapz(exception, trap_code(Trap::NullReference));
                self.raise(exception, None)?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn tag(&self, index: u32) -> TagId {
        self.instance.tags[index as usize]
    }

    /// Returns the signature whose parameters are the values of an exception of a tag.
    fn payload(&self, tag: TagId) -> &'a Signature {
        &self.input.program.interface.signatures[self.input.program.tags[tag].sig]
    }

    fn throw(&mut self, tag: u32) -> Result<()> {
        let tag = self.tag(tag);
        let types = &self.payload(tag).params;
        let (layout, offsets) = ObjectLayout::of_fields(types.iter().map(|&ty| Stored::of(ty)))?;
        let ty = self.input.program.exception_type(tag);
        let size = self.iconst(types::I64, i64::from(layout.size));
        let exception = self.allocate(objects::header(ty), size)?;
        let values: Values = self.top(types.len()).into();
        for ((&ty, &offset), value) in types.iter().zip(&offsets).zip(values) {
            self.store_new_field(exception, offset, Stored::of(ty), value)?;
        }
        self.raise(exception, Some(ty))
    }

    /// Throws `exception`, which is not null and is of type `ty` if that is known.
    fn raise(&mut self, exception: Value, ty: Option<ObjectTypeId>) -> Result<()> {
        self.reachable = false;
        let handlers = self.scopes.last().map(|scope| scope.handlers.clone());
        let mut handlers = handlers.iter().flat_map(|handlers| handlers.iter());
        let caught = match ty {
            Some(_) => handlers.find(|handler| handler.ty.is_none() || handler.ty == ty),
            None => handlers.next().filter(|handler| handler.ty.is_none()),
        };
        if let Some(handler) = caught {
            self.ins().jump(handler.landing, [&exception.into()]);
            return Ok(());
        }
        let domain = self.iconst(types::I32, i64::from(self.instance.domain.as_u32()));
        let callee = self.declarations.builtin(self.builder.func, Builtin::Throw);
        let callee = Callee::Direct(callee);
        let arguments = [self.ctx, domain, exception];
        match ty {
            // No handler in this function catches it.
            Some(_) => self.plain_call(callee, &arguments),
            None => self.catching_call(callee, &arguments),
        };
        self.ins().trap(trap_code(Trap::UnreachableCodeReached));
        Ok(())
    }

    /// Opens the scope of a `try_table`, whose block is opened next.
    pub(super) fn open_scope(&mut self, table: &TryTable) -> Result<()> {
        let body = self.builder.create_block();
        self.ins().jump(body, []);
        self.builder.seal_block(body);
        let mut own: SmallVec<[Handler; 4]> = SmallVec::new();
        for clause in &table.catches {
            own.push(self.landing(clause)?);
        }
        self.builder.switch_to_block(body);

        let landings = own.iter().map(|handler| handler.landing).collect();
        let outer = self.scopes.last().map(|scope| scope.handlers.clone());
        let outer = outer.iter().flat_map(|handlers| handlers.iter().copied());
        let mut listed = HashSet::new();
        let mut handlers = Vec::new();
        for handler in own.into_iter().chain(outer) {
            if listed.insert(handler.ty) {
                handlers.push(handler);
            }
            if handler.ty.is_none() {
                break;
            }
        }
        self.charge(handlers.len());
        self.scopes.push(CatchScope {
            handlers: handlers.into(),
            landings,
        });
        Ok(())
    }

    /// Closes the scope of the innermost `try_table`.
    pub(super) fn close_scope(&mut self) {
        if let Some(scope) = self.scopes.pop() {
            scope
                .landings
                .iter()
                .for_each(|&landing| self.builder.seal_block(landing));
        }
    }

    /// Emits the landing block of a clause.
    fn landing(&mut self, clause: &Catch) -> Result<Handler> {
        let (tag, label, with_reference) = match *clause {
            Catch::One { tag, label } => (Some(tag), label, false),
            Catch::OneRef { tag, label } => (Some(tag), label, true),
            Catch::All { label } => (None, label, false),
            Catch::AllRef { label } => (None, label, true),
        };
        let tag = tag.map(|tag| self.tag(tag));
        let landing = self.builder.create_block();
        let exception = self.builder.append_block_param(landing, POINTER);
        self.builder.declare_value_needs_stack_map(exception);
        self.builder.set_cold_block(landing);
        self.builder.switch_to_block(landing);
        self.meter.reload(&mut self.builder);
        let mut values: SmallVec<[BlockArg; 8]> = SmallVec::new();
        if let Some(tag) = tag {
            let types = &self.payload(tag).params;
            let (_, offsets) = ObjectLayout::of_fields(types.iter().map(|&ty| Stored::of(ty)))?;
            for (&ty, &offset) in types.iter().zip(&offsets) {
                values.push(self.load_existing_field(exception, offset, ty)?.into());
            }
        }
        if with_reference {
            values.push(exception.into());
        }
        self.charge_copies(values.len());
        let (target, _) = self.label(label);
        self.ins().jump(target, &values);
        Ok(Handler {
            ty: tag.map(|tag| self.input.program.exception_type(tag)),
            landing,
        })
    }

    /// Calls a function that may throw. Returns its results.
    pub(super) fn catching_call(&mut self, callee: Callee, arguments: &[Value]) -> Values {
        let Some(scope) = self.scopes.last() else {
            return self.plain_call(callee, arguments);
        };
        let handlers = scope.handlers.clone();
        if handlers.is_empty() {
            return self.plain_call(callee, arguments);
        }
        self.charge(handlers.len() * HANDLER_COST);
        self.charge_live_references();
        let func = &mut *self.builder.func;
        let signature = match callee {
            Callee::Direct(callee) => func.dfg.ext_funcs[callee].signature,
            Callee::Indirect(signature, _) => signature,
        };
        let results = func.dfg.signatures[signature].returns.clone();
        let rest = self.builder.create_block();
        for result in &results {
            self.builder.append_block_param(rest, result.value_type);
        }
        let pool = &mut self.builder.func.dfg.value_lists;
        let returned = (0..results.len() as u32).map(BlockArg::TryCallRet);
        let returned = BlockCall::new(rest, returned, pool);
        let mut items = Vec::with_capacity(handlers.len());
        for handler in handlers.iter() {
            let caught = BlockCall::new(handler.landing, [BlockArg::TryCallExn(0)], pool);
            items.push(match handler.ty {
                Some(ty) => ExceptionTableItem::Tag(ExceptionTag::from_u32(ty.as_u32()), caught),
                None => ExceptionTableItem::Default(caught),
            });
        }
        let table = ExceptionTableData::new(signature, returned, items);
        let table = self.builder.func.dfg.exception_tables.push(table);
        match callee {
            Callee::Direct(callee) => self.ins().try_call(callee, arguments, table),
            Callee::Indirect(_, code) => self.ins().try_call_indirect(code, arguments, table),
        };
        self.builder.seal_block(rest);
        self.builder.switch_to_block(rest);
        self.builder.block_params(rest).into()
    }

    /// Calls a function that does not throw, or whose exceptions no handler here catches. Returns
    /// its results.
    pub(super) fn plain_call(&mut self, callee: Callee, arguments: &[Value]) -> Values {
        self.charge_live_references();
        let call = match callee {
            Callee::Direct(callee) => self.ins().call(callee, arguments),
            Callee::Indirect(signature, code) => {
                self.ins().call_indirect(signature, code, arguments)
            }
        };
        self.builder.inst_results(call).into()
    }
}
