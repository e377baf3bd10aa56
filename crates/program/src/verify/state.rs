//! Checks the initial state: shapes, instances, segments and the image.

use super::Verifier;
use crate::ir::{CoreInstance, Program};
use anyhow::{Context, Result, bail, ensure};
use mintage_environ::{CoreInstanceId, FuncIndex, FuncKey, TypeId};
use std::collections::HashSet;

impl Verifier<'_, '_> {
    pub(super) fn shape(&self) -> Result<()> {
        let Program {
            shape,
            tables,
            globals,
            tags,
            objects,
            data,
            elems,
            ..
        } = self.program;
        ensure!(!shape.domains.is_empty(), "there is no domain");
        ensure!(
            shape.tables.len() == tables.len(),
            "tables and their initial contents differ in number"
        );
        ensure!(
            shape.globals.len() == globals.len(),
            "globals and their values differ in number"
        );
        ensure!(
            shape.data.len() == data.len(),
            "data segments and their domains differ in number"
        );
        ensure!(
            shape.elems.len() == elems.len(),
            "element segments and their domains differ in number"
        );
        let memories = shape.memories.values().map(|memory| memory.domain);
        let tables = shape.tables.values().map(|table| table.domain);
        let global_domains = shape.globals.values().map(|global| global.domain);
        let segments = shape.data.values().chain(shape.elems.values()).copied();
        for domain in memories.chain(tables).chain(global_domains).chain(segments) {
            ensure!(
                shape.domains.get(domain).is_some(),
                "{domain:?} does not exist"
            );
        }
        for (id, &main) in shape.domains.iter() {
            match main {
                Some(memory) => self.memory(memory, id)?,
                None => ensure!(
                    shape.memories.values().all(|memory| memory.domain != id),
                    "{id:?} has memories and no main memory"
                ),
            }
        }
        ensure!(
            tags.len() <= objects.len(),
            "there are more tags than types of objects"
        );
        for (id, tag) in tags.iter() {
            ensure!(
                shape.domains.get(tag.domain).is_some(),
                "{id:?} has no domain"
            );
            self.defined(TypeId::Func(tag.sig))?;
        }
        for (id, global) in globals.iter() {
            let ty = shape.globals[id].ty;
            let matches = self.has_type(global.init, ty);
            ensure!(matches, "{id:?} of type {ty} starts as {:?}", global.init);
            self.value(global.init, shape.globals[id].domain)?;
        }
        Ok(())
    }

    pub(super) fn instance(&self, id: CoreInstanceId, instance: &CoreInstance) -> Result<()> {
        let Some(module) = self.program.modules.get(instance.module) else {
            bail!("it has no module")
        };
        let imported = module.imported_funcs as usize;
        ensure!(
            module.funcs.len() == imported + module.bodies.len(),
            "functions and bodies differ in number"
        );
        ensure!(
            instance.imported_funcs.len() == imported,
            "imported functions are missing"
        );
        for (func, &callee) in instance.imported_funcs.iter().enumerate() {
            let declared = module.funcs[FuncIndex::from_u32(func as u32)];
            ensure!(
                self.program
                    .interface
                    .signatures
                    .is_subtype(callee.sig, declared),
                "it imports {} as of {declared:?}",
                callee.key
            );
            match callee.key {
                FuncKey::LowerImport(CoreInstance::NEVER_CALLED) => {}
                FuncKey::CoreFunc {
                    instance: other, ..
                } => {
                    ensure!(
                        other < id,
                        "it imports a function of {other:?}, which is not instantiated yet"
                    );
                    self.exists(callee, instance.domain)?;
                }
                _ => self.exists(callee, instance.domain)?,
            }
        }
        for &memory in &instance.memories {
            self.memory(memory, instance.domain)?;
        }
        for &table in &instance.tables {
            self.table(table, instance.domain)?;
        }
        for &global in &instance.globals {
            let domain = self
                .program
                .shape
                .globals
                .get(global)
                .map(|global| global.domain);
            ensure!(
                domain == Some(instance.domain),
                "{global:?} is not of {:?}",
                instance.domain
            );
        }
        for &tag in &instance.tags {
            let domain = self.program.tags.get(tag).map(|tag| tag.domain);
            ensure!(
                domain == Some(instance.domain),
                "{tag:?} is not of {:?}",
                instance.domain
            );
        }
        let types = module.types.iter().copied();
        for ty in types.chain(module.funcs.values().copied().map(TypeId::Func)) {
            self.defined(ty)?;
        }
        Ok(())
    }

    /// Checks that every run-time segment belongs to exactly one segment of one instance.
    pub(super) fn segments(&self) -> Result<()> {
        let shape = &self.program.shape;
        let (mut data, mut elems) = (HashSet::new(), HashSet::new());
        for (id, instance) in self.program.instances.iter() {
            for segment in instance.data.iter().flatten() {
                ensure!(
                    shape.data.get(*segment) == Some(&instance.domain),
                    "{segment:?} of {id:?} has another domain"
                );
                ensure!(data.insert(*segment), "{segment:?} has two owners");
            }
            for segment in instance.elems.iter().flatten() {
                ensure!(
                    shape.elems.get(*segment) == Some(&instance.domain),
                    "{segment:?} of {id:?} has another domain"
                );
                ensure!(elems.insert(*segment), "{segment:?} has two owners");
                for &value in &self.program.elems[*segment] {
                    self.value(value, instance.domain)
                        .with_context(|| format!("{segment:?}"))?;
                }
            }
        }
        ensure!(
            data.len() == shape.data.len() && elems.len() == shape.elems.len(),
            "a segment has no owner"
        );
        Ok(())
    }

    pub(super) fn image(&self) -> Result<()> {
        let Program {
            shape,
            tables,
            image_data,
            image_elems,
            ..
        } = self.program;
        for data in image_data {
            let Some(memory) = shape.memories.get(data.memory) else {
                bail!("{:?} does not exist", data.memory)
            };
            let size = u128::from(memory.minimum) << memory.page_size_log2;
            let end = u128::from(data.offset) + data.bytes.len() as u128;
            ensure!(
                end <= size,
                "data at {:#x} leaves {:?}",
                data.offset,
                data.memory
            );
        }
        for elems in image_elems {
            let Some(table) = shape.tables.get(elems.table) else {
                bail!("{:?} does not exist", elems.table)
            };
            let end = u64::from(elems.offset) + elems.values.len() as u64;
            ensure!(
                end <= table.minimum,
                "elements at {} leave {:?}",
                elems.offset,
                elems.table
            );
            for &value in &elems.values {
                self.entry(value, elems.table)
                    .with_context(|| format!("{:?}", elems.table))?;
            }
        }
        for (id, table) in tables.iter() {
            self.entry(table.fill, id)
                .with_context(|| format!("{id:?}"))?;
        }
        Ok(())
    }
}
