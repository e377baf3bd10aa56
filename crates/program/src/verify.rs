//! The program verifier: checks the invariants of a [`Program`] from the result alone. It shares no
//! code with the phases that build one, and reads the function bodies itself to see that nothing
//! reachable was dropped.

mod values;

use crate::ir::{Adapter, CanonBuiltin, CanonOp, Const, CoreInstance, Program};
use anyhow::{Context, Result, bail, ensure};
use mintage_environ::component::{
    CanonOptions, ComponentInterface, CoreCallee, CoreItem, Export, Import, Initializer,
    LiftedFunc, LoweredImport, Resource,
};
use mintage_environ::{
    CoreInstanceId, DomainId, FuncIndex, FuncKey, ImportId, MemoryId, Signature, TableId, TypeId,
    ValType,
};
use std::collections::HashSet;
use wasmparser::{BinaryReader, FunctionBody, Operator};

/// Checks the invariants of `program` from the result alone.
///
/// # Errors
///
/// Names the first invariant that does not hold.
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
    fn shape(&self) -> Result<()> {
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

    fn instance(&self, id: CoreInstanceId, instance: &CoreInstance) -> Result<()> {
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

    /// Every run-time segment belongs to exactly one segment of one instance.
    fn segments(&self) -> Result<()> {
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

    fn image(&self) -> Result<()> {
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

    fn interface(&self) -> Result<()> {
        let interface = &self.program.interface;
        for (id, lift) in interface.lifts.iter() {
            self.lift(lift).with_context(|| format!("{id:?}"))?;
        }
        for (id, lower) in interface.lowers.iter() {
            self.lower(lower).with_context(|| format!("{id:?}"))?;
        }
        for (id, adapter) in self.program.adapters.iter() {
            self.adapter(adapter).with_context(|| format!("{id:?}"))?;
        }
        for (id, resource) in interface.resources.iter() {
            self.resource(resource).with_context(|| format!("{id:?}"))?;
        }
        for (id, builtin) in self.program.canons.iter() {
            self.canon(builtin).with_context(|| format!("{id:?}"))?;
        }
        let mut imports: Vec<_> = interface
            .imports
            .iter()
            .map(|(name, import)| (vec![name.clone()], import))
            .collect();
        let mut seen = HashSet::new();
        while let Some((path, import)) = imports.pop() {
            match import {
                Import::Func(id) => {
                    let Some(func) = interface.import_funcs.get(*id) else {
                        bail!("{id:?} does not exist")
                    };
                    ensure!(
                        *func.path == path[..],
                        "{id:?} stands at {path:?} and not at {:?}",
                        func.path
                    );
                    seen.insert(*id);
                }
                Import::Instance(items) => {
                    let nested =
                        |(name, import)| ([&path[..], &[Box::clone(name)]].concat(), import);
                    imports.extend(items.iter().map(nested));
                }
                Import::Type(_) | Import::Resource(_) | Import::Static => {}
            }
        }
        ensure!(
            seen.len() == interface.import_funcs.len(),
            "an imported function stands nowhere in the imports"
        );
        let mut exports: Vec<&Export> = interface.exports.values().collect();
        while let Some(export) = exports.pop() {
            match export {
                Export::Func(id) => {
                    ensure!(interface.lifts.get(*id).is_some(), "{id:?} does not exist")
                }
                Export::ImportedFunc(id) => self.import(*id)?,
                Export::Instance(items) => exports.extend(items.values()),
                Export::Type(_) | Export::Resource(_) | Export::Static => {}
            }
        }
        for export in &interface.core_exports {
            let core = self
                .program
                .instances
                .get(export.instance)
                .context("a core export has no instance")?;
            match export.item {
                CoreItem::Func(callee, domain) => {
                    ensure!(
                        domain == core.domain,
                        "the core export `{}` has another domain",
                        export.name
                    );
                    self.host_callee(callee, domain)?;
                }
                CoreItem::Memory(memory) => self.memory(memory, core.domain)?,
                CoreItem::Table(table) => self.table(table, core.domain)?,
                CoreItem::Global(global, ty) => {
                    let shape = self.program.shape.globals.get(global);
                    ensure!(
                        shape.is_some_and(|shape| shape.ty == ty),
                        "the core export `{}` has another type",
                        export.name
                    );
                }
            }
        }
        Ok(())
    }

    fn lift(&self, lift: &LiftedFunc) -> Result<()> {
        let ComponentInterface {
            types, signatures, ..
        } = &self.program.interface;
        self.options(&lift.options, true)?;
        ensure!(
            !self.index64(&lift.options),
            "the host is given a 64-bit memory"
        );
        self.host_callee(lift.callee, lift.options.domain)?;
        let index64 = self.index64(&lift.options);
        let signature = types.core_signature(types.func(lift.ty), index64, false);
        ensure!(
            signatures[lift.callee.sig] == signature,
            "the core function has another signature than {signature}"
        );
        if let Some(post_return) = lift.post_return {
            self.host_callee(post_return, lift.options.domain)?;
            let expected = Signature::new(&signature.results, &[]);
            ensure!(
                signatures[post_return.sig] == expected,
                "post-return has another signature than {expected}"
            );
        }
        Ok(())
    }

    fn lower(&self, lower: &LoweredImport) -> Result<()> {
        let ComponentInterface {
            types,
            signatures,
            import_funcs,
            ..
        } = &self.program.interface;
        self.options(&lower.options, true)?;
        ensure!(
            !self.index64(&lower.options),
            "the host is given a 64-bit memory"
        );
        self.import(lower.import)?;
        let index64 = self.index64(&lower.options);
        let signature =
            types.core_signature(types.func(import_funcs[lower.import].ty), index64, true);
        ensure!(
            signatures.get(lower.sig) == Some(&signature),
            "the lowered signature is not {signature}"
        );
        Ok(())
    }

    /// Both sides agree with the type, and nothing of it is called by the host: no entries are
    /// needed.
    fn adapter(&self, adapter: &Adapter) -> Result<()> {
        let ComponentInterface {
            types, signatures, ..
        } = &self.program.interface;
        let Adapter {
            ty,
            lift,
            lower,
            sig,
        } = adapter;
        self.options(lower, false)?;
        self.options(&lift.options, false)?;
        self.callee(lift.callee, lift.options.domain)?;
        ensure!(lift.ty == *ty, "lift and lower have different types");
        let lowered = types.core_signature(types.func(*ty), self.index64(lower), true);
        ensure!(
            signatures.get(*sig) == Some(&lowered),
            "the lowered signature is not {lowered}"
        );
        let lifted = types.core_signature(types.func(*ty), self.index64(&lift.options), false);
        ensure!(
            signatures.get(lift.callee.sig) == Some(&lifted),
            "the core function has another signature than {lifted}"
        );
        if let Some(post_return) = lift.post_return {
            self.callee(post_return, lift.options.domain)?;
            let expected = Signature::new(&lifted.results, &[]);
            ensure!(
                signatures.get(post_return.sig) == Some(&expected),
                "post-return has another signature than {expected}"
            );
        }
        Ok(())
    }

    fn resource(&self, resource: &Resource) -> Result<()> {
        match resource {
            Resource::Imported { path } => {
                let mut items = Some(&self.program.interface.imports);
                let mut found = None;
                for name in path {
                    found = items.and_then(|items| items.get(name));
                    items = match found {
                        Some(Import::Instance(inner)) => Some(inner),
                        _ => None,
                    };
                }
                ensure!(
                    matches!(found, Some(Import::Resource(_))),
                    "no resource type is imported as {path:?}"
                );
            }
            Resource::Defined { domain, dtor } => {
                ensure!(
                    self.program.shape.domains.get(*domain).is_some(),
                    "{domain:?} does not exist"
                );
                if let Some(dtor) = dtor {
                    self.host_callee(*dtor, *domain)?;
                    let expected = Signature::new(&[ValType::I32], &[]);
                    ensure!(
                        self.program.interface.signatures[dtor.sig] == expected,
                        "its destructor has another signature than {expected}"
                    );
                }
            }
        }
        Ok(())
    }

    fn canon(&self, builtin: &CanonBuiltin) -> Result<()> {
        let CanonBuiltin { op, options, sig } = builtin;
        self.options(options, false)?;
        let domain = options.domain;
        ensure!(
            self.program.shape.domains.get(domain).is_some(),
            "{domain:?} does not exist"
        );
        if let Some(id) = op.resource() {
            let Some(resource) = self.program.interface.resources.get(id) else {
                bail!("{id:?} does not exist")
            };
            let defined_here =
                matches!(resource, Resource::Defined { domain: owner, .. } if *owner == domain);
            ensure!(
                defined_here || matches!(op, CanonOp::ResourceDrop(_)),
                "{} of {id:?} in {domain:?}, which does not define it",
                op.name()
            );
        }
        let pointer = self.pointer(options);
        let i32 = ValType::I32;
        let (expected, needs_memory, needs_realloc) = match op {
            CanonOp::ResourceNew(_) | CanonOp::ResourceRep(_) => {
                (Signature::new(&[i32], &[i32]), false, false)
            }
            CanonOp::ResourceDrop(_) | CanonOp::ErrorContextDrop => {
                (Signature::new(&[i32], &[]), false, false)
            }
            CanonOp::ErrorContextNew => (Signature::new(&[pointer; 2], &[i32]), true, false),
            CanonOp::ErrorContextDebugMessage => (Signature::new(&[i32, pointer], &[]), true, true),
        };
        let name = op.name();
        ensure!(
            !needs_memory || options.memory.is_some(),
            "{name} has no memory"
        );
        ensure!(
            !needs_realloc || options.realloc.is_some(),
            "{name} has no realloc"
        );
        ensure!(
            self.program.interface.signatures.get(*sig) == Some(&expected),
            "{name} has another signature than {expected}"
        );
        Ok(())
    }

    /// Whether the memory of the options has 64-bit indexes. It is known to exist.
    fn index64(&self, options: &CanonOptions) -> bool {
        let memory = options
            .memory
            .and_then(|id| self.program.shape.memories.get(id));
        memory.is_some_and(|memory| memory.index64)
    }

    /// The type of pointers.
    fn pointer(&self, options: &CanonOptions) -> ValType {
        match self.index64(options) {
            true => ValType::I64,
            false => ValType::I32,
        }
    }

    /// Options of a lift or lower; `host` says whether the host is on the other side.
    fn options(&self, options: &CanonOptions, host: bool) -> Result<()> {
        if let Some(memory) = options.memory {
            self.memory(memory, options.domain)?;
        }
        if let Some(realloc) = options.realloc {
            match host {
                true => self.host_callee(realloc, options.domain)?,
                false => self.callee(realloc, options.domain)?,
            }
            let pointer = self.pointer(options);
            let expected = Signature::new(&[pointer; 4], &[pointer]);
            ensure!(
                self.program.interface.signatures[realloc.sig] == expected,
                "realloc has another signature"
            );
        }
        Ok(())
    }

    fn initializers(&self) -> Result<()> {
        let Program {
            shape,
            data,
            elems,
            interface,
            ..
        } = self.program;
        for (at, initializer) in interface.initializers.iter().enumerate() {
            match *initializer {
                Initializer::Data {
                    data: id, memory, ..
                } => {
                    ensure!(data.get(id).is_some(), "{id:?} does not exist");
                    self.memory(memory, shape.data[id])?;
                }
                Initializer::Elem { elem, table, .. } => {
                    ensure!(elems.get(elem).is_some(), "{elem:?} does not exist");
                    self.table(table, shape.elems[elem])?;
                    ensure!(
                        self.program.tables[table].mutable,
                        "{table:?} is changed and not mutable"
                    );
                }
                Initializer::Start { domain, callee } => {
                    self.host_callee(callee, domain)?;
                    let signature = &interface.signatures[callee.sig];
                    ensure!(
                        *signature == Signature::new(&[], &[]),
                        "a start function has the signature {signature}"
                    );
                }
                Initializer::Trap(_) => ensure!(
                    at + 1 == interface.initializers.len(),
                    "a step follows a trap"
                ),
            }
        }
        Ok(())
    }

    /// The list of reachable functions is sorted, names only what exists, and is closed: whatever a
    /// reachable function names is reachable.
    fn reachable(&self) -> Result<()> {
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
                FuncKey::Entry(_) | FuncKey::Builtin(_) => bail!("{key} is listed as reachable"),
            }
        }
        ensure!(
            lowers == interface.lowers.len(),
            "a lowered import is not reachable"
        );
        ensure!(adapted == adapters.len(), "an adapter is not reachable");
        ensure!(
            builtins == canons.len(),
            "a canonical built-in is not reachable"
        );
        Ok(())
    }

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
                Operator::Call { function_index } | Operator::RefFunc { function_index } => {
                    func(function_index)?
                }
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

    /// A reference must be to a reachable function, or to an object, of the domain.
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

    /// The value of a table's entry is one of its type.
    fn entry(&self, value: Const, table: TableId) -> Result<()> {
        let element = self.program.tables[table].element;
        // A table that nothing uses holds null, whatever its type.
        let matches = value == Const::Null || self.has_type(value, ValType::Ref(element));
        ensure!(matches, "{value:?} is no {element}");
        self.value(value, self.program.shape.tables[table].domain)
    }

    /// A function that the host calls must have an entry adapter.
    fn host_callee(&self, callee: CoreCallee, domain: DomainId) -> Result<()> {
        self.callee(callee, domain)?;
        ensure!(
            self.program.entries.contains(&callee.sig),
            "there is no entry for {}",
            callee.key
        );
        Ok(())
    }

    fn callee(&self, callee: CoreCallee, domain: DomainId) -> Result<()> {
        self.exists(callee, domain)?;
        ensure!(
            self.reachable.contains(&callee.key),
            "{} is not reachable",
            callee.key
        );
        Ok(())
    }

    /// The function exists, has the signature, and runs in the domain.
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
            FuncKey::Entry(_) | FuncKey::Builtin(_) => bail!("{key} is no wasm function"),
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
