//! The program verifier: checks the invariants of a [`Program`] from the result alone.
//!
//! It shares no code with the phases that build a program. It reads the function bodies itself to
//! check that nothing reachable has been dropped.

mod functions;
mod interface;
mod state;
mod values;

use crate::ir::{Const, Program};
use anyhow::{Context, Result, bail, ensure};
use mintage_environ::component::CoreCallee;
use mintage_environ::{DomainId, FuncKey, ImportId, MemoryId, TableId, TypeId, ValType};
use std::collections::HashSet;

/// Checks the invariants of `program` from the result alone.
///
/// # Errors
///
/// The first invariant that does not hold.
pub fn verify(program: &Program<'_>) -> Result<()> {
    let verifier = Verifier {
        program,
        reachable: program.reachable.iter().copied().collect(),
    };
    verifier.shape().context("shape")?;
    for (id, instance) in program.instances.iter() {
        verifier
            .instance(id, instance)
            .with_context(|| format!("{id:?}"))?;
    }
    verifier.segments()?;
    verifier.objects()?;
    verifier.image().context("image")?;
    verifier.interface()?;
    verifier.initializers()?;
    verifier.reachable()
}

struct Verifier<'v, 'a> {
    program: &'v Program<'a>,
    reachable: HashSet<FuncKey>,
}

impl Verifier<'_, '_> {
    /// Checks that a reference refers to a reachable function or to an object of the domain.
    fn value(&self, value: Const, domain: DomainId) -> Result<()> {
        match value {
            Const::Func(callee) => self.callee(callee, domain),
            Const::Object(at) => {
                let owner = self
                    .program
                    .statics
                    .get(at as usize)
                    .map(|object| object.domain);
                ensure!(owner == Some(domain), "{value:?} is not of {domain:?}");
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Checks that a value can be an entry of a table.
    fn entry(&self, value: Const, table: TableId) -> Result<()> {
        let element = self.program.tables[table].element;
        // A table that is not used contains null, even if its type excludes null.
        let matches = value == Const::Null || self.has_type(value, ValType::Ref(element));
        ensure!(matches, "{value:?} is not a {element}");
        self.value(value, self.program.shape.tables[table].domain)
    }

    /// Checks a function that the host calls, which needs an entry trampoline.
    fn host_callee(&self, callee: CoreCallee, domain: DomainId) -> Result<()> {
        self.callee(callee, domain)?;
        ensure!(
            self.program.entries.contains(&callee.sig),
            "there is no entry for {}",
            callee.key
        );
        Ok(())
    }

    /// Checks a function that machine code calls.
    fn callee(&self, callee: CoreCallee, domain: DomainId) -> Result<()> {
        self.exists(callee, domain)?;
        ensure!(
            self.reachable.contains(&callee.key),
            "{} is not reachable",
            callee.key
        );
        Ok(())
    }

    /// Checks that a function exists, has the signature, and runs in the domain.
    fn exists(&self, callee: CoreCallee, domain: DomainId) -> Result<()> {
        let CoreCallee { key, sig } = callee;
        let (actual_sig, actual_domain) = match key {
            FuncKey::CoreFunc { instance, func } => {
                let Some(instance) = self.program.instances.get(instance) else {
                    bail!("{key} has no instance")
                };
                let Some(module) = self.program.modules.get(instance.module) else {
                    bail!("{key} has no module")
                };
                ensure!(func.as_u32() >= module.imported_funcs, "{key} is an import");
                let Some(&sig) = module.funcs.get(func) else {
                    bail!("{key} does not exist")
                };
                (sig, instance.domain)
            }
            FuncKey::LowerImport(id) => match self.program.interface.lowers.get(id) {
                Some(lower) => (lower.sig, lower.options.domain),
                None => bail!("{key} does not exist"),
            },
            FuncKey::Adapter(id) => match self.program.adapters.get(id) {
                Some(adapter) => (adapter.sig, adapter.lower.domain),
                None => bail!("{key} does not exist"),
            },
            FuncKey::Canon(id) => match self.program.canons.get(id) {
                Some(builtin) => (builtin.sig, builtin.options.domain),
                None => bail!("{key} does not exist"),
            },
            FuncKey::Entry(_)
            | FuncKey::Builtin(_)
            | FuncKey::Start(_)
            | FuncKey::Return(_)
            | FuncKey::Copy(_) => bail!("{key} is not a WebAssembly function"),
        };
        ensure!(
            actual_sig == sig,
            "{key} has {actual_sig:?} and not {sig:?}"
        );
        ensure!(
            actual_domain == domain,
            "{key} runs in {actual_domain:?} and not in {domain:?}"
        );
        Ok(())
    }

    fn memory(&self, id: MemoryId, domain: DomainId) -> Result<()> {
        let actual = self
            .program
            .shape
            .memories
            .get(id)
            .map(|memory| memory.domain);
        ensure!(actual == Some(domain), "{id:?} is not of {domain:?}");
        Ok(())
    }

    fn table(&self, id: TableId, domain: DomainId) -> Result<()> {
        let actual = self.program.shape.tables.get(id).map(|table| table.domain);
        ensure!(actual == Some(domain), "{id:?} is not of {domain:?}");
        Ok(())
    }

    fn import(&self, id: ImportId) -> Result<()> {
        ensure!(
            self.program.interface.import_funcs.get(id).is_some(),
            "{id:?} does not exist"
        );
        Ok(())
    }

    fn defined(&self, ty: TypeId) -> Result<()> {
        let exists = match ty {
            TypeId::Func(id) => self.program.interface.signatures.get(id).is_some(),
            TypeId::Object(id) => self.program.interface.objects.get(id).is_some(),
        };
        ensure!(exists, "{ty:?} does not exist");
        Ok(())
    }
}
