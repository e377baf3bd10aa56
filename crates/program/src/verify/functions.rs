//! Checks that the list of reachable functions is closed under the references of their bodies.

use super::Verifier;
use crate::ir::{CoreInstance, Program};
use anyhow::{Context, Result, bail, ensure};
use mintage_environ::{CoreInstanceId, FuncIndex, FuncKey};
use wasmparser::{BinaryReader, FunctionBody, Operator};

impl Verifier<'_, '_> {
    /// Checks that the list of reachable functions is sorted, that its functions exist, and that
    /// all functions they refer to are reachable.
    pub(super) fn reachable(&self) -> Result<()> {
        let Program {
            reachable,
            entries,
            interface,
            instances,
            modules,
            adapters,
            canons,
            ..
        } = self.program;
        ensure!(
            reachable.windows(2).all(|pair| pair[0] < pair[1]),
            "the list of reachable functions is not sorted"
        );
        ensure!(
            entries.windows(2).all(|pair| pair[0] < pair[1]),
            "the list of entries is not sorted"
        );
        let (mut lowers, mut adapted, mut builtins) = (0, 0, 0);
        for &key in reachable {
            match key {
                FuncKey::LowerImport(id) => {
                    ensure!(interface.lowers.get(id).is_some(), "{key} does not exist");
                    lowers += 1;
                }
                FuncKey::Adapter(id) => {
                    ensure!(adapters.get(id).is_some(), "{key} does not exist");
                    adapted += 1;
                }
                FuncKey::Canon(id) => {
                    ensure!(canons.get(id).is_some(), "{key} does not exist");
                    builtins += 1;
                }
                FuncKey::CoreFunc { instance: id, func } => {
                    let Some(instance) = instances.get(id) else {
                        bail!("{key} has no instance")
                    };
                    let module = &modules[instance.module];
                    let body = func.as_u32().checked_sub(module.imported_funcs);
                    let body = body.and_then(|body| module.bodies.get(body as usize));
                    let Some(body) = body else {
                        bail!("{key} has no body")
                    };
                    let reader = BinaryReader::new(body.bytes, body.offset as u64);
                    self.body(id, instance, &FunctionBody::new(reader))
                        .with_context(|| format!("{key}"))?;
                }
                FuncKey::Start(id) | FuncKey::Return(id) => {
                    let task = interface.tasks.get(id).and_then(Option::as_ref);
                    ensure!(task.is_some(), "{key} has no task");
                }
                FuncKey::Copy(id) => {
                    let pair = interface.copies.get(id.as_u32() as usize);
                    ensure!(pair.is_some(), "{key} does not exist");
                }
                FuncKey::Entry(_) | FuncKey::Builtin(_) => bail!("{key} is listed as reachable"),
            }
        }
        ensure!(
            lowers == interface.lowers.len(),
            "a lowered import is not reachable"
        );
        ensure!(adapted == adapters.len(), "an adapter is not reachable");
        for (id, task) in interface.tasks.iter() {
            let needed = task.iter().flat_map(|task| {
                let returns = task.is_async.then_some(FuncKey::Return(id));
                returns.into_iter().chain([FuncKey::Start(id)])
            });
            for key in needed {
                ensure!(self.reachable.contains(&key), "{key} is not reachable");
            }
        }
        ensure!(
            builtins == canons.len(),
            "a canonical built-in is not reachable"
        );
        Ok(())
    }

    /// Checks the references of a function body.
    fn body(
        &self,
        id: CoreInstanceId,
        instance: &CoreInstance,
        body: &FunctionBody<'_>,
    ) -> Result<()> {
        let func = |index: u32| {
            let module = &self.program.modules[instance.module];
            let key = instance.callee(id, module, FuncIndex::from_u32(index)).key;
            ensure!(
                self.reachable.contains(&key),
                "it names {key}, which is not reachable"
            );
            Ok(())
        };
        let changed = |table: u32| {
            let table = instance.tables[table as usize];
            ensure!(
                self.program.tables[table].mutable,
                "it changes {table:?}, which is not mutable"
            );
            Ok(())
        };
        for operator in body.get_operators_reader()? {
            match operator? {
                Operator::Call { function_index }
                | Operator::ReturnCall { function_index }
                | Operator::RefFunc { function_index } => func(function_index)?,
                Operator::TableSet { table }
                | Operator::TableGrow { table }
                | Operator::TableFill { table }
                | Operator::TableInit { table, .. }
                | Operator::TableCopy {
                    dst_table: table, ..
                } => changed(table)?,
                _ => {}
            }
        }
        Ok(())
    }
}
