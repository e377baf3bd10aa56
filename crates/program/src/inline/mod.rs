//! Phase 2: abstract instantiation. Executes the definitions of the root component and of every
//! component that it instantiates, with symbols as values. This resolves each alias, argument and
//! import to the item that it will be at run time.
//!
//! The inliner keeps its own stack of [`Frame`]s, one for each component that is being
//! instantiated, so that nesting does not use the host's stack. A few hundred bytes can ask for
//! 2^100 component instances, so every step draws on a [`Budget`].

mod canon;
mod constants;
mod core;
mod interface;
mod items;
mod types;

pub(crate) use self::core::{InstanceState, SegmentState};
pub(crate) use constants::{Const, Global, Statics};
pub(crate) use items::{CanonLiftId, CoreFunc, CoreItem, FuncDef, Step, Trampoline, TrampolineId};

use crate::Check;
use crate::ir::{ImageData, ImageElems, Tag};
use crate::parse::{Capture, ComponentIndex, DefinitionKind, OuterRef, Parsed};
use anyhow::{Context, Result, bail, ensure};
use indexmap::{IndexMap, IndexSet};
use items::{CoreInstanceItem, Exports, FuncItem, Item};
use mintage_environ::component::{
    AnnotatedItems, ComponentTypes, Export, Import, ImportFunc, LiftedFunc, Resource,
};
use mintage_environ::layout::Shape;
use mintage_environ::{
    CoreInstanceId, DomainId, GlobalId, ImportId, IndexVec, ObjectTypes, RefType, ResourceId,
    Signatures, TableId, TagId, Tunables, limit, unsupported,
};
use std::collections::HashMap;
use std::rc::Rc;
use types::TypeScope;
use wasmparser::{ComponentExternalKind, ComponentInstance, ComponentInstantiationArg};

/// The most core instances, and the most component instances, of one component.
const MAX_INSTANCES: usize = 10_000;
/// The most steps of abstract instantiation. A step takes at most a few hundred bytes and less than
/// a microsecond. The largest known components, with a hundred core instances of ten thousand table
/// entries each, take about a million steps.
const MAX_STEPS: u64 = 8_000_000;

/// The result of abstract instantiation: everything that the component defines, reachable or not.
pub(crate) struct Inlined<'a> {
    pub instances: IndexVec<CoreInstanceId, InstanceState>,
    pub shape: Shape,
    pub tables: IndexVec<TableId, TableStart>,
    pub globals: IndexVec<GlobalId, Global>,
    pub tags: IndexVec<TagId, Tag<'a>>,
    pub image_data: Vec<ImageData<'a>>,
    pub image_elems: Vec<ImageElems<CoreFunc>>,
    pub statics: Statics,
    /// The steps of instantiation at run time.
    pub steps: Vec<Step>,
    /// Canonical definitions that make core functions, by [`TrampolineId`]. Equal definitions share
    /// an entry.
    pub trampolines: IndexSet<Trampoline>,
    pub interface: InlinedInterface<'a>,
}

/// The parts of a `ComponentInterface`, before core functions have keys.
#[derive(Default)]
pub(crate) struct InlinedInterface<'a> {
    pub types: ComponentTypes,
    pub signatures: Signatures,
    pub objects: ObjectTypes,
    pub imports: IndexMap<Box<str>, Import>,
    pub import_funcs: IndexVec<ImportId, ImportFunc>,
    pub resources: IndexVec<ResourceId, Resource<CoreFunc>>,
    /// Canonical definitions that make component functions.
    pub lifts: IndexVec<CanonLiftId, LiftedFunc<CoreFunc>>,
    /// The lifts that exports name, by `LiftId`.
    pub exported_lifts: IndexSet<CanonLiftId>,
    pub exports: IndexMap<Box<str>, Export>,
    pub annotated_imports: AnnotatedItems,
    pub annotated_exports: AnnotatedItems,
    /// Exports of core instances, for `Tunables::core_exports`.
    pub core_exports: Vec<InlinedCoreExport<'a>>,
}

/// An export of a core instance.
pub(crate) struct InlinedCoreExport<'a> {
    pub instance: CoreInstanceId,
    pub domain: DomainId,
    pub name: &'a str,
    pub item: CoreItem,
}

/// A table before segments are applied.
pub(crate) struct TableStart {
    /// The type of its entries.
    pub element: RefType,
    /// The value that fills it.
    pub fill: Const,
}

/// Instantiates the root of `parsed` abstractly.
pub(crate) fn inline<'a>(
    parsed: &Parsed<'a>,
    tunables: &Tunables,
    check: Check<'_>,
) -> Result<Inlined<'a>> {
    let mut inliner = Inliner {
        parsed,
        budget: Budget { left: MAX_STEPS },
        trapped: false,
        started: false,
        out: Inlined {
            instances: IndexVec::new(),
            shape: Shape::default(),
            tables: IndexVec::new(),
            globals: IndexVec::new(),
            tags: IndexVec::new(),
            image_data: Vec::new(),
            image_elems: Vec::new(),
            statics: Statics::default(),
            steps: Vec::new(),
            trampolines: IndexSet::new(),
            interface: InlinedInterface {
                signatures: parsed.signatures.clone(),
                objects: parsed.objects.clone(),
                ..InlinedInterface::default()
            },
        },
    };
    inliner.run(check)?;
    if tunables.core_exports {
        inliner.list_core_exports();
    }
    Ok(inliner.out)
}

/// The number of steps that are left.
struct Budget {
    left: u64,
}

impl Budget {
    fn spend(&mut self, steps: usize) -> Result<()> {
        match self.left.checked_sub(steps as u64) {
            Some(left) => self.left = left,
            None => bail!(limit!(
                ComponentSize,
                "the component is too large: instantiating all its nested components and modules \
                 takes more than {MAX_STEPS} steps; instantiate fewer of them"
            )),
        }
        Ok(())
    }
}

struct Inliner<'p, 'a> {
    parsed: &'p Parsed<'a>,
    budget: Budget,
    /// Whether a step before this point always traps, so that later steps are never executed.
    trapped: bool,
    /// Whether a start function runs before this point, so that the contents of memories and tables
    /// of earlier instances are unknown.
    started: bool,
    out: Inlined<'a>,
}

/// A component that is being instantiated.
struct Frame<'p> {
    component: ComponentIndex,
    /// The definition to execute next.
    next: usize,
    domain: DomainId,
    /// Arguments by name. Empty for the root, which imports from the host.
    args: HashMap<&'p str, Item<'p>>,
    captures: Rc<[Item<'p>]>,
    /// The index space of types, with the identity of resources.
    types: TypeScope<'p>,
    core_funcs: Vec<CoreFunc>,
    core_memories: Vec<mintage_environ::MemoryId>,
    core_tables: Vec<TableId>,
    core_globals: Vec<GlobalId>,
    core_tags: Vec<TagId>,
    core_instances: Vec<CoreInstanceItem<'p>>,
    modules: Vec<Item<'p>>,
    components: Vec<Item<'p>>,
    instances: Vec<Rc<Exports<'p>>>,
    funcs: Vec<FuncItem>,
    exports: Exports<'p>,
}

impl<'p, 'a> Inliner<'p, 'a> {
    fn run(&mut self, check: Check<'_>) -> Result<()> {
        let root = self.frame(self.parsed.root, HashMap::new(), Rc::new([]))?;
        let mut stack = vec![root];
        while let Some(frame) = stack.last_mut() {
            let component = &self.parsed.components[frame.component.0];
            let Some(definition) = component.definitions.get(frame.next) else {
                let Some(finished) = stack.pop() else { break };
                match stack.last_mut() {
                    Some(parent) => {
                        let ty = parent
                            .types
                            .types
                            .component_instance_at(parent.instances.len() as u32);
                        let exports = Rc::new(finished.exports);
                        parent.types.bind_instance(ty, &exports, &mut self.budget)?;
                        parent.instances.push(exports);
                    }
                    None => self.export_root(&finished)?,
                }
                continue;
            };
            frame.next += 1;
            self.budget.spend(1)?;
            check()?;
            let at = || {
                format!(
                    "in the component definition at byte {:#x}",
                    definition.offset
                )
            };
            if let Some(child) = self.execute(frame, &definition.kind).with_context(at)? {
                stack.push(child);
            }
        }
        Ok(())
    }

    /// Returns a frame that instantiates `component` in a new domain.
    fn frame(
        &mut self,
        component: ComponentIndex,
        args: HashMap<&'p str, Item<'p>>,
        captures: Rc<[Item<'p>]>,
    ) -> Result<Frame<'p>> {
        let domain = self.out.shape.domains.push(None);
        ensure!(
            self.out.shape.domains.len() <= MAX_INSTANCES,
            limit!(
                ComponentSize,
                "the component has more than {MAX_INSTANCES} nested component instances; \
                 instantiate fewer of them"
            )
        );
        Ok(Frame {
            component,
            next: 0,
            domain,
            args,
            captures,
            types: TypeScope::new(self.parsed.components[component.0].types.as_ref()),
            core_funcs: Vec::new(),
            core_memories: Vec::new(),
            core_tables: Vec::new(),
            core_globals: Vec::new(),
            core_tags: Vec::new(),
            core_instances: Vec::new(),
            modules: Vec::new(),
            components: Vec::new(),
            instances: Vec::new(),
            funcs: Vec::new(),
            exports: Exports::new(),
        })
    }

    /// Executes a definition. An instantiation of a component returns the frame to execute next.
    fn execute(
        &mut self,
        frame: &mut Frame<'p>,
        definition: &'p DefinitionKind<'a>,
    ) -> Result<Option<Frame<'p>>> {
        match definition {
            DefinitionKind::Import { name } => {
                let item = match frame.component == self.parsed.root && frame.domain.as_u32() == 0 {
                    true => self.import_from_host(frame, name)?,
                    false => match frame.args.get(name) {
                        Some(item) => item.clone(),
                        None => bail!("the argument `{name}` is missing"),
                    },
                };
                if let Some(import) = frame.types.types.component_item_for_import(name) {
                    frame.types.bind(&import.ty, &item, &mut self.budget)?;
                }
                frame.push(item);
            }
            DefinitionKind::Module(id) => frame.modules.push(Item::Module(*id)),
            DefinitionKind::Component(id) => {
                let captures = &self.parsed.components[id.0].captures;
                self.budget.spend(captures.len())?;
                let captures = captures
                    .iter()
                    .map(|capture| frame.captured(*capture))
                    .collect::<Result<_>>()?;
                frame.components.push(Item::Component(*id, captures));
            }
            DefinitionKind::CoreInstance(instance) => self.core_instance(frame, instance)?,
            DefinitionKind::Instance(ComponentInstance::Instantiate {
                component_index,
                args,
            }) => {
                return self.instantiate(frame, *component_index, args).map(Some);
            }
            DefinitionKind::Instance(ComponentInstance::FromExports(exports)) => {
                self.budget.spend(exports.len())?;
                let items = exports.iter().map(|export| {
                    let item = self.item(frame, export.kind, export.index)?;
                    Ok((export.name.name, item))
                });
                let items = items.collect::<Result<_>>()?;
                frame.instances.push(Rc::new(items));
            }
            DefinitionKind::Resource { type_index, dtor } => {
                let resource = self.out.interface.types.add_resource();
                let dtor = dtor.map(|dtor| frame.core_funcs[dtor as usize]);
                self.out.interface.resources.push(Resource::Defined {
                    domain: frame.domain,
                    dtor,
                });
                frame.types.define_resource(*type_index, resource)?;
            }
            DefinitionKind::AliasExport { instance, name } => {
                match frame.instances[*instance as usize].get(name) {
                    Some(item) => frame.push(item.clone()),
                    None => bail!("the instance does not export `{name}`"),
                }
            }
            DefinitionKind::AliasCoreExport { instance, name } => {
                let item = self.core_export(&frame.core_instances[*instance as usize], name)?;
                frame.push_core(item);
            }
            DefinitionKind::OuterModule(outer) => {
                let item = frame.captured(Capture::Module(*outer))?;
                frame.modules.push(item);
            }
            DefinitionKind::OuterComponent(outer) => {
                let item = frame.captured(Capture::Component(*outer))?;
                frame.components.push(item);
            }
            DefinitionKind::Canon(canon) => self.canon(frame, canon)?,
            DefinitionKind::Export(export) => {
                let item = self.item(frame, export.kind, export.index)?;
                if let Some(ty) = frame
                    .types
                    .types
                    .component_item_for_export(export.name.name)
                {
                    frame.types.bind(&ty.ty, &item, &mut self.budget)?;
                }
                frame.exports.insert(export.name.name, item.clone());
                frame.push(item);
            }
        }
        Ok(None)
    }

    fn instantiate(
        &mut self,
        frame: &mut Frame<'p>,
        component: u32,
        args: &'p [ComponentInstantiationArg<'a>],
    ) -> Result<Frame<'p>> {
        let (id, captures) = match &frame.components[component as usize] {
            Item::Component(id, captures) => (*id, captures.clone()),
            _ => {
                bail!(unsupported!(
                    "instantiating a component that the host imports is not supported; bundle it \
                     into the component"
                ))
            }
        };
        self.budget.spend(args.len())?;
        let args = args
            .iter()
            .map(|arg| Ok((arg.name, self.item(frame, arg.kind, arg.index)?)));
        let args = args.collect::<Result<_>>()?;
        self.frame(id, args, captures)
    }

    /// Returns an item of an index space of `frame`.
    fn item(
        &mut self,
        frame: &mut Frame<'p>,
        kind: ComponentExternalKind,
        index: u32,
    ) -> Result<Item<'p>> {
        let at = index as usize;
        Ok(match kind {
            ComponentExternalKind::Module => frame.modules[at].clone(),
            ComponentExternalKind::Component => frame.components[at].clone(),
            ComponentExternalKind::Instance => Item::Instance(frame.instances[at].clone()),
            ComponentExternalKind::Func => Item::Func(frame.funcs[at]),
            ComponentExternalKind::Type => {
                let ty = frame.types.types.component_any_type_at(index);
                Item::Type(frame.types.type_item(
                    ty,
                    &mut self.out.interface.types,
                    &mut self.budget,
                )?)
            }
            ComponentExternalKind::Value => {
                bail!(unsupported!("component values are not supported yet"))
            }
        })
    }

    /// Adds the exports of all core instances, for `Tunables::core_exports`.
    fn list_core_exports(&mut self) {
        for (instance, state) in self.out.instances.iter() {
            let module = &self.parsed.modules[state.module];
            for (&name, &(kind, index)) in &module.exports {
                self.out.interface.core_exports.push(InlinedCoreExport {
                    instance,
                    domain: state.domain,
                    name,
                    item: state.item(instance, &module.ir, kind, index),
                });
            }
        }
    }
}

impl<'p> Frame<'p> {
    /// Adds an item to the index space of its kind.
    fn push(&mut self, item: Item<'p>) {
        match item {
            Item::Module(_) | Item::HostModule(_) => self.modules.push(item),
            Item::Component(..) | Item::HostComponent => self.components.push(item),
            Item::Instance(exports) => self.instances.push(exports),
            Item::Func(func) => self.funcs.push(func),
            // The validator keeps types.
            Item::Type(_) => {}
        }
    }

    fn push_core(&mut self, item: CoreItem) {
        match item {
            CoreItem::Func(func) => self.core_funcs.push(func),
            CoreItem::Memory(id) => self.core_memories.push(id),
            CoreItem::Table(id) => self.core_tables.push(id),
            CoreItem::Global(id) => self.core_globals.push(id),
            CoreItem::Tag(id) => self.core_tags.push(id),
        }
    }

    /// Returns the module or component that an outer alias of this component, or a capture of a
    /// component in it, refers to.
    fn captured(&self, capture: Capture) -> Result<Item<'p>> {
        let item = match capture {
            Capture::Module(OuterRef::Own(index)) => self.modules.get(index as usize),
            Capture::Component(OuterRef::Own(index)) => self.components.get(index as usize),
            Capture::Module(OuterRef::Captured(position))
            | Capture::Component(OuterRef::Captured(position)) => self.captures.get(position),
        };
        item.cloned()
            .context("an outer alias refers to an item that does not exist")
    }
}
