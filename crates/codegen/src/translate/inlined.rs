//! Inlining: the body of a small function in the place of a call.
//!
//! The functions that are inlined have no control flow ([`Module::inlinable`]), so their operators
//! are translated as if they were the caller's, and their locals are values rather than variables.
//! A function that is inlined may call another one that is, and so on, up to [`MAX_DEPTH`].
//!
//! The code has the location of the call: how far apart two functions are in the component must not
//! change the code of one of them. So a backtrace does not have the inlined function.

use super::Translator;
use crate::emit::Values;
use anyhow::{Context as _, Result};
use mintage_environ::{CoreInstanceId, FuncIndex, FuncKey, SigId};
use mintage_program::Body;
use wasmparser::{BinaryReader, FunctionBody, Operator};

/// The largest number of functions that are inlined into each other.
const MAX_DEPTH: usize = 4;

impl<'a> Translator<'a, '_> {
    /// Translates the body of function `key`, of signature `sig`, in the place of a call with
    /// arguments from the operand stack. Returns whether it did, which is false if the function is
    /// not inlined.
    pub(super) fn inline(&mut self, key: FuncKey, sig: SigId) -> Result<bool> {
        let FuncKey::CoreFunc { instance, func } = key else {
            return Ok(false);
        };
        let input = self.input;
        if !input.tunables.inlines()
            || self.inlined_into >= MAX_DEPTH
            || !input.program.is_inlinable(key)
        {
            return Ok(false);
        }
        let (module, instance_id) = (self.module, self.instance_id);
        self.enter_instance(instance)?;
        let locals = self.locals.inlined.take();
        self.inlined_into += 1;

        let body = *self.defined_body(func)?;
        let values = self.values();
        let result = self.inlined_body(&body, sig);

        self.inlined_into -= 1;
        if self.inlined_into == 0 {
            // They count twice: without inlining, code has hardly a value for each of its bytes.
            self.charge(self.values() - values);
        }
        self.locals.inlined = locals;
        (self.module, self.instance_id) = (module, instance_id);
        self.instance = &input.program.instances[instance_id];
        result.map(|()| true)
    }

    /// Makes the indices that follow those of a core instance.
    fn enter_instance(&mut self, id: CoreInstanceId) -> Result<()> {
        let program = self.input.program;
        let instance = program.instances.get(id);
        self.instance = instance.context("internal error: no such core instance")?;
        self.module = &program.modules[self.instance.module];
        self.instance_id = id;
        Ok(())
    }

    /// Returns the body of a function of the current instance.
    fn defined_body(&self, func: FuncIndex) -> Result<&'a Body<'a>> {
        let body = self.module.body(func);
        body.context("internal error: an imported function has no body")
    }

    fn inlined_body(&mut self, body: &Body<'a>, sig: SigId) -> Result<()> {
        let parameters = self.signatures()[sig].params.len();
        let mut locals: Values = self.top(parameters).into();
        self.stack.truncate(self.stack.len() - parameters);

        let body = FunctionBody::new(BinaryReader::new(body.bytes, body.offset as u64));
        let mut reader = body.get_locals_reader()?;
        for _ in 0..reader.get_count() {
            let (count, ty) = reader.read()?;
            let ty = self.operand_type(ty);
            let zero = self.zero(ty);
            locals.extend((0..count).map(|_| zero));
        }
        self.locals.inlined = Some(locals);
        let mut operators = body.get_operators_reader()?;
        while self.reachable {
            match operators.read()? {
                // The results are on top of the operand stack.
                Operator::End => break,
                operator => self.operator(&operator)?,
            }
        }
        Ok(())
    }
}
