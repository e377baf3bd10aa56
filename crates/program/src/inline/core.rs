//! Core instances: resolves imports, numbers definitions over the whole program, and applies
//! segments.

use super::constants::{Const, ConstScope, Global};
use super::items::{CoreFunc, CoreInstanceItem, CoreItem, FuncDef, Step};
use super::{Frame, Inliner, Item, MAX_INSTANCES, TableStart};
use crate::ir::{ImageData, ImageElems, Module, Tag};
use crate::parse::CoreModule;
use anyhow::{Context, Result, bail, ensure};
use indexmap::IndexMap;
use mintage_environ::layout::{GlobalShape, MemoryShape, TableShape};
use mintage_environ::{
    CoreInstanceId, DomainId, ErrorKind, FuncIndex, FuncKey, GlobalId, Index, MemoryId, ModuleId,
    Printable, TableId, TagId, Trap, limit, unsupported,
};
use std::collections::HashMap;
use wasmparser::{DataKind, ElementItems, ElementKind, Export, ExternalKind, Instance};

/// A core instance with its index spaces resolved, and the state of its segments after
/// instantiation.
pub(crate) struct InstanceState {
    pub module: ModuleId,
    pub domain: DomainId,
    /// Imported functions, each with the type that it was defined with.
    pub imported_funcs: Vec<CoreFunc>,
    pub memories: Vec<MemoryId>,
    pub tables: Vec<TableId>,
    pub globals: Vec<GlobalId>,
    pub tags: Vec<TagId>,
    pub data: Vec<SegmentState>,
    pub elems: Vec<SegmentState>,
    /// Values of the element segments that are not [`SegmentState::Dropped`], by segment.
    pub elem_values: HashMap<usize, Box<[Const]>>,
}

/// The state of a segment after instantiation, as code sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SegmentState {
    /// Empty: it is applied to the image, or only declares functions.
    Dropped,
    /// Not applied.
    Passive,
    /// Applied by a run-time step, then dropped.
    Applied,
}

impl InstanceState {
    /// Returns function `func` of this instance. `id` is the number of this instance, and `module`
    /// is its module.
    pub fn func(&self, id: CoreInstanceId, module: &Module<'_>, func: FuncIndex) -> CoreFunc {
        match self.imported_funcs.get(func.index()) {
            Some(&imported) => imported,
            None => CoreFunc {
                def: FuncDef::Core { instance: id, func },
                sig: module.funcs[func],
            },
        }
    }

    /// Returns the item at `index` of an index space.
    pub(super) fn item(
        &self,
        id: CoreInstanceId,
        module: &Module<'_>,
        kind: ExternalKind,
        index: u32,
    ) -> CoreItem {
        let at = index as usize;
        match kind {
            ExternalKind::Func | ExternalKind::FuncExact => {
                CoreItem::Func(self.func(id, module, FuncIndex::from_u32(index)))
            }
            ExternalKind::Memory => CoreItem::Memory(self.memories[at]),
            ExternalKind::Table => CoreItem::Table(self.tables[at]),
            ExternalKind::Global => CoreItem::Global(self.globals[at]),
            ExternalKind::Tag => CoreItem::Tag(self.tags[at]),
        }
    }
}

/// Makes the scope of constant expressions of a core instance. Borrows only parts of the inliner.
macro_rules! scope {
    ($inliner:ident, $id:ident, $instance:expr, $module:ident) => {
        ConstScope {
            id: $id,
            instance: $instance,
            module: &$module.ir,
            globals: &$inliner.out.globals,
            types: &$inliner.out.interface.objects,
            statics: &mut $inliner.out.statics,
            budget: &mut $inliner.budget,
        }
    };
}

impl<'p, 'a> Inliner<'p, 'a> {
    /// Executes a core instance definition.
    pub(super) fn core_instance(
        &mut self,
        frame: &mut Frame<'p>,
        instance: &'p Instance<'a>,
    ) -> Result<()> {
        let item = match instance {
            Instance::Instantiate { module_index, args } => {
                let module = match &frame.modules[*module_index as usize] {
                    Item::Module(id) => *id,
                    Item::HostModule(name) => bail!(ErrorKind::Link.error(format!(
                        "the component instantiates the core module `{name}`, which it imports; \
                         give the module when compiling (`CodeBuilder::core_module`), or bundle it \
                         into the component"
                    ))),
                    _ => bail!("a core instance is made from something other than a core module"),
                };
                self.budget.spend(args.len())?;
                let args = args
                    .iter()
                    .map(|arg| (arg.name, &frame.core_instances[arg.index as usize]))
                    .collect();
                let id = self.instantiate_module(frame, module, &args);
                let id = id.with_context(|| {
                    let name = self.parsed.modules[module]
                        .ir
                        .name
                        .map_or(String::new(), |name| format!(" (`{}`)", Printable(name)));
                    format!("while instantiating core module {}{name}", module.as_u32())
                })?;
                CoreInstanceItem::Instance(id)
            }
            Instance::FromExports(exports) => {
                self.budget.spend(exports.len())?;
                let items = exports
                    .iter()
                    .map(|export| Ok((export.name, frame.core_item(export)?)));
                CoreInstanceItem::Bag(items.collect::<Result<IndexMap<_, _>>>()?)
            }
        };
        frame.core_instances.push(item);
        Ok(())
    }

    /// Returns the item that a core instance exports as `name`.
    pub(super) fn core_export(
        &self,
        instance: &CoreInstanceItem<'p>,
        name: &str,
    ) -> Result<CoreItem> {
        let item = match instance {
            CoreInstanceItem::Instance(id) => {
                let state = &self.out.instances[*id];
                let module = &self.parsed.modules[state.module];
                module
                    .exports
                    .get(name)
                    .map(|&(kind, index)| state.item(*id, &module.ir, kind, index))
            }
            CoreInstanceItem::Bag(items) => items.get(name).copied(),
        };
        item.with_context(|| format!("the core instance does not export `{}`", Printable(name)))
    }

    fn instantiate_module(
        &mut self,
        frame: &Frame<'p>,
        module_id: ModuleId,
        args: &HashMap<&str, &CoreInstanceItem<'p>>,
    ) -> Result<CoreInstanceId> {
        let parsed = self.parsed;
        let module = &parsed.modules[module_id];
        let id = self.out.instances.next_index();
        ensure!(
            id.index() < MAX_INSTANCES,
            limit!(
                ComponentSize,
                "the component has more than {MAX_INSTANCES} core instances; instantiate fewer \
                 modules"
            )
        );
        // Functions cost little: a bit each in the reachability walk.
        let items = [
            module.imports.len(),
            module.tables.len(),
            module.memories.len(),
            module.globals.len(),
            module.tags.len(),
        ];
        self.budget
            .spend(items.iter().sum::<usize>() + module.data.len() + module.ir.funcs.len() / 64)?;

        let mut state = InstanceState {
            module: module_id,
            domain: frame.domain,
            imported_funcs: Vec::with_capacity(module.ir.imported_funcs as usize),
            memories: Vec::new(),
            tables: Vec::new(),
            globals: Vec::new(),
            tags: Vec::new(),
            data: Vec::new(),
            elems: Vec::new(),
            elem_values: HashMap::new(),
        };
        for import in &module.imports {
            let arg = args.get(import.module).with_context(|| {
                format!("the argument `{}` is missing", Printable(import.module))
            })?;
            match self.core_export(arg, import.name)? {
                CoreItem::Func(func) => state.imported_funcs.push(func),
                CoreItem::Memory(id) => state.memories.push(id),
                CoreItem::Table(id) => state.tables.push(id),
                CoreItem::Global(id) => state.globals.push(id),
                CoreItem::Tag(id) => state.tags.push(id),
            }
        }
        self.define(id, &mut state, module)?;
        self.apply_elements(id, &mut state, module)?;
        self.apply_data(id, &mut state, module)?;
        if let Some(start) = module.start
            && !self.trapped
        {
            self.out.steps.push(Step::Start {
                domain: frame.domain,
                callee: state.func(id, &module.ir, start),
            });
            self.started = true;
        }
        self.out.instances.push(state);
        Ok(id)
    }

    /// Adds the memories, tags, globals and tables of `module` to the program.
    fn define(
        &mut self,
        id: CoreInstanceId,
        state: &mut InstanceState,
        module: &CoreModule<'a>,
    ) -> Result<()> {
        let domain = state.domain;
        let shape = &mut self.out.shape;
        for memory in &module.memories {
            state.memories.push(shape.memories.push(MemoryShape {
                domain,
                minimum: memory.initial,
                maximum: memory.maximum,
                page_size_log2: memory.page_size_log2.unwrap_or(16) as u8,
                index64: memory.memory64,
            }));
        }
        for &sig in &module.tags {
            let index = state.tags.len() as u32;
            let name = module.tag_names.get(&index).copied();
            let tag = Tag { domain, sig, name };
            state.tags.push(self.out.tags.push(tag));
        }
        for (ty, init) in &module.globals {
            let mut scope = scope!(self, id, state, module);
            let global = Global {
                mutable: ty.mutable,
                init: scope.eval(init)?,
            };
            let ty = module
                .ir
                .val_type(ty.content_type)
                .with_context(|| unsupported!("a global has a type that is not supported yet"))?;
            state
                .globals
                .push(self.out.shape.globals.push(GlobalShape { domain, ty }));
            self.out.globals.push(global);
        }
        for (ty, init) in &module.tables {
            let mut scope = scope!(self, id, state, module);
            let fill = init
                .as_ref()
                .map_or(Ok(Const::Null), |init| scope.eval(init))?;
            let element = module
                .ir
                .ref_type(ty.element_type)
                .with_context(|| unsupported!("a table has a type that is not supported yet"))?;
            state.tables.push(self.out.shape.tables.push(TableShape {
                domain,
                minimum: ty.initial,
                maximum: ty.maximum,
                index64: ty.table64,
            }));
            self.out.tables.push(TableStart { element, fill });
        }
        Ok(())
    }

    fn apply_elements(
        &mut self,
        id: CoreInstanceId,
        state: &mut InstanceState,
        module: &CoreModule<'a>,
    ) -> Result<()> {
        for (segment, element) in module.elements.iter().enumerate() {
            let mut scope = scope!(self, id, &*state, module);
            let mut segment_state = SegmentState::Dropped;
            match &element.kind {
                ElementKind::Declared => {}
                ElementKind::Passive => segment_state = SegmentState::Passive,
                ElementKind::Active {
                    table_index,
                    offset_expr,
                } => {
                    let table = state.tables[table_index.unwrap_or(0) as usize];
                    let offset = scope.offset(offset_expr)?;
                    if self.trapped {
                        // Later steps never run.
                    } else if self.started
                        && !is_own(
                            table_index.unwrap_or(0),
                            state.tables.len(),
                            module.tables.len(),
                        )
                    {
                        segment_state = SegmentState::Applied;
                        self.out.steps.push(Step::Elem {
                            instance: id,
                            segment,
                            table,
                            offset,
                        });
                    } else {
                        let values = values(&mut scope, &element.items)?;
                        self.apply_to_table(table, offset, values);
                    }
                }
            }
            if segment_state != SegmentState::Dropped {
                let mut scope = scope!(self, id, &*state, module);
                let values = values(&mut scope, &element.items)?;
                state.elem_values.insert(segment, values);
            }
            state.elems.push(segment_state);
        }
        Ok(())
    }

    fn apply_to_table(&mut self, table: TableId, offset: u64, values: Box<[Const]>) {
        let end = offset.checked_add(values.len() as u64);
        if end.is_none_or(|end| end > self.out.shape.tables[table].minimum) {
            self.trap(Trap::TableOutOfBounds);
        } else if !values.is_empty() {
            // An offset in the bounds of a table is below 2^32.
            self.out.image_elems.push(ImageElems {
                table,
                offset: offset as u32,
                values,
            });
        }
    }

    fn apply_data(
        &mut self,
        id: CoreInstanceId,
        state: &mut InstanceState,
        module: &CoreModule<'a>,
    ) -> Result<()> {
        for (segment, data) in module.data.iter().enumerate() {
            let mut segment_state = SegmentState::Dropped;
            match &data.kind {
                DataKind::Passive => segment_state = SegmentState::Passive,
                DataKind::Active {
                    memory_index,
                    offset_expr,
                } => {
                    let mut scope = scope!(self, id, &*state, module);
                    let offset = scope.offset(offset_expr)?;
                    let memory = state.memories[*memory_index as usize];
                    let shape = &self.out.shape.memories[memory];
                    let size = u128::from(shape.minimum) << shape.page_size_log2;
                    if self.trapped {
                        // Later steps never run.
                    } else if self.started
                        && !is_own(*memory_index, state.memories.len(), module.memories.len())
                    {
                        segment_state = SegmentState::Applied;
                        self.out.steps.push(Step::Data {
                            instance: id,
                            segment,
                            memory,
                            offset,
                        });
                    } else if u128::from(offset) + data.data.len() as u128 > size {
                        self.trap(Trap::MemoryOutOfBounds);
                    } else if !data.data.is_empty() {
                        self.out.image_data.push(ImageData {
                            memory,
                            offset,
                            bytes: data.data,
                        });
                    }
                }
            }
            state.data.push(segment_state);
        }
        Ok(())
    }

    fn trap(&mut self, trap: Trap) {
        self.out.steps.push(Step::Trap(trap));
        self.trapped = true;
    }
}

/// Returns whether entry `index` of an index space is one that the module defines: the last `own`
/// of
/// `all` entries. No code can have changed these before the module is instantiated.
fn is_own(index: u32, all: usize, own: usize) -> bool {
    index as usize >= all - own
}

/// Returns the values of an element segment.
fn values(scope: &mut ConstScope<'_, '_>, items: &ElementItems<'_>) -> Result<Box<[Const]>> {
    match items {
        ElementItems::Functions(section) => {
            scope.budget.spend(section.count() as usize)?;
            section
                .clone()
                .into_iter()
                .map(|func| Ok(scope.func(FuncIndex::from_u32(func?))))
                .collect()
        }
        ElementItems::Expressions(_, section) => {
            scope.budget.spend(section.count() as usize)?;
            section
                .clone()
                .into_iter()
                .map(|expr| scope.eval(&expr?))
                .collect()
        }
    }
}

impl Frame<'_> {
    fn core_item(&self, export: &Export<'_>) -> Result<CoreItem> {
        let at = export.index as usize;
        Ok(match export.kind {
            ExternalKind::Func | ExternalKind::FuncExact => CoreItem::Func(self.core_funcs[at]),
            ExternalKind::Memory => CoreItem::Memory(self.core_memories[at]),
            ExternalKind::Table => CoreItem::Table(self.core_tables[at]),
            ExternalKind::Global => CoreItem::Global(self.core_globals[at]),
            ExternalKind::Tag => CoreItem::Tag(self.core_tags[at]),
        })
    }
}

/// The number of a core instance is part of function keys, and fits into them.
const _: () = assert!(MAX_INSTANCES < 1 << FuncKey::NAMESPACE_BITS);
