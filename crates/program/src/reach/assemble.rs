//! Assembles the program from what is reachable.

use super::keys::{Keys, Numbered};
use super::walk::{Reached, TableUse};
use crate::inline::{
    CoreItem as InlinedItem, Inlined, InlinedInterface, InstanceState, SegmentState, Step,
};
use crate::ir::{Const, CoreInstance, Program, TableInit, Tag};
use crate::parse::Parsed;
use anyhow::Result;
use mintage_environ::component::{
    ComponentInterface, CoreExport, CoreItem, HostCalls, Initializer, Resource,
};
use mintage_environ::layout::{HeapShape, Shape};
use mintage_environ::objects::{ObjectLayout, Stored};
use mintage_environ::{
    CoreInstanceId, DataId, DomainId, ElemId, IndexVec, LiftId, MemoryId, ObjectTypeId,
    ObjectTypes, Signatures, TagId,
};

/// Assembles the program.
pub(super) fn program<'a>(
    parsed: Parsed<'a>,
    inlined: Inlined<'a>,
    reached: &Reached,
    numbered: Numbered,
    lift_calls: IndexVec<LiftId, HostCalls>,
) -> Result<Program<'a>> {
    let main_memories = main_memories(&parsed, &inlined, reached);
    let heaps = heaps(&inlined, reached);
    let Numbered {
        lowers,
        adapters,
        canons,
        mut concurrent,
        reachable,
        keys,
    } = numbered;
    let Inlined {
        instances,
        mut shape,
        tables,
        globals,
        tags,
        image_data,
        image_elems,
        statics,
        steps,
        trampolines: _,
        interface,
    } = inlined;
    shape.domains = main_memories;
    shape.heaps = heaps;
    let name = |func| keys.callee(func);

    let mut data = IndexVec::new();
    let mut elems = IndexVec::new();
    let mut kept_instances = IndexVec::new();
    let ids = instances.keys();
    for (id, state) in ids.zip(instances.into_values()) {
        let mut segments = Segments {
            shape: &mut shape,
            data: &mut data,
            elems: &mut elems,
        };
        kept_instances.push(segments.instance(id, state, &parsed, reached, &keys));
    }

    let mut interface = self::interface(interface, &shape, &keys);
    interface.lowers = lowers;
    let tasks = interface.lifts.values().zip(lift_calls.values());
    interface.lift_tasks = tasks
        .map(|(lift, &calls)| concurrent.task(&interface.types, lift, calls))
        .collect();
    interface.lift_calls = lift_calls;
    interface.tasks = concurrent.tasks;
    interface.concurrent_domains = concurrent.domains.into_iter().collect();
    interface.return_shapes = concurrent.return_shapes.into_iter().collect();
    interface.end_ops = concurrent.end_ops;
    interface.copies = concurrent.copies;
    interface.thread_starts = concurrent.thread_starts.into_iter().collect();
    for resource in interface.resources.values_mut() {
        if let Resource::Defined { dtor, .. } = resource {
            *dtor = dtor.filter(|callee| reachable.binary_search(&callee.key).is_ok());
        }
    }
    let initializers = steps.into_iter();
    interface.initializers = initializers
        .filter_map(|step| initializer(step, &kept_instances, &keys))
        .collect();

    let tables = tables.iter().map(|(id, start)| {
        let TableUse { touched, mutable } = reached.tables[id];
        TableInit {
            element: start.element,
            fill: match touched {
                true => start.fill.map(name),
                false => Const::Null,
            },
            mutable,
        }
    });
    let image_elems = image_elems
        .into_iter()
        .filter(|elems| reached.tables[elems.table].touched)
        .map(|elems| elems.map(name));
    let statics = statics.objects.into_iter().map(|object| object.map(name));
    let globals = globals.into_values().map(|global| global.map(name));
    let modules = parsed.modules.into_values().map(|module| module.ir);
    Ok(Program {
        modules: modules.collect(),
        entries: interface.entries(),
        instances: kept_instances,
        shape,
        tables: tables.collect(),
        globals: globals.collect(),
        objects: objects(&interface.objects, &interface.signatures, &tags)?,
        tags,
        data,
        elems,
        image_data,
        image_elems: image_elems.collect(),
        statics: statics.collect(),
        interface,
        adapters,
        canons,
        end_canons: concurrent.end_canons,
        reachable,
    })
}

/// Returns the interface of a component of which nothing is compiled. It has no lowers and no
/// initializers, and the keys of core functions are meaningless.
pub(crate) fn interface_alone(inlined: Inlined<'_>) -> ComponentInterface {
    let keys = Keys::none(&inlined);
    interface(inlined.interface, &inlined.shape, &keys)
}

/// Returns the interface, without lowers and initializers.
fn interface(inlined: InlinedInterface<'_>, shape: &Shape, keys: &Keys) -> ComponentInterface {
    let InlinedInterface {
        types,
        signatures,
        objects,
        imports,
        import_funcs,
        resources,
        lifts,
        exported_lifts,
        exports,
        annotated_imports,
        annotated_exports,
        core_exports,
    } = inlined;
    let name = |func| keys.callee(func);
    let lifts = exported_lifts
        .iter()
        .map(|&lift| lifts[lift].clone().map(name));
    let resources = resources.into_values().map(|resource| resource.map(name));
    let core_exports = core_exports.iter().filter_map(|export| {
        Some(CoreExport {
            instance: export.instance,
            name: export.name.into(),
            item: match export.item {
                InlinedItem::Func(func) => CoreItem::Func(name(func), export.domain),
                InlinedItem::Memory(id) => CoreItem::Memory(id),
                InlinedItem::Table(id) => CoreItem::Table(id),
                InlinedItem::Global(id) => CoreItem::Global(id, shape.globals[id].ty),
                InlinedItem::Tag(_) => return None,
            },
        })
    });
    ComponentInterface {
        types,
        signatures,
        objects,
        imports,
        import_funcs,
        lowers: IndexVec::new(),
        resources: resources.collect(),
        lifts: lifts.collect(),
        lift_tasks: IndexVec::new(),
        lift_calls: IndexVec::new(),
        tasks: IndexVec::new(),
        concurrent_domains: Vec::new(),
        return_shapes: Vec::new(),
        end_ops: IndexVec::new(),
        copies: Vec::new(),
        thread_starts: Vec::new(),
        exports,
        annotated_imports,
        annotated_exports,
        initializers: Vec::new(),
        core_exports: core_exports.collect(),
    }
}

/// The lists of segments that are not empty at run time.
struct Segments<'s, 'a> {
    shape: &'s mut Shape,
    data: &'s mut IndexVec<DataId, &'a [u8]>,
    elems: &'s mut IndexVec<ElemId, Box<[Const]>>,
}

impl<'a> Segments<'_, 'a> {
    fn instance(
        &mut self,
        id: CoreInstanceId,
        state: InstanceState,
        parsed: &Parsed<'a>,
        reached: &Reached,
        keys: &Keys,
    ) -> CoreInstance {
        let InstanceState {
            module,
            domain,
            imported_funcs,
            memories,
            tables,
            globals,
            tags,
            data,
            elems,
            mut elem_values,
        } = state;
        let name = |func| keys.callee(func);
        let data = data.into_iter().enumerate().map(|(segment, state)| {
            let bytes = parsed.modules[module].data[segment].data;
            is_kept(state, reached.data[id].contains(segment as u32)).then(|| {
                self.shape.data.push(domain);
                self.data.push(bytes)
            })
        });
        let data = data.collect();
        let elems = elems.into_iter().enumerate().map(|(segment, state)| {
            let values = elem_values.remove(&segment);
            let values =
                values.filter(|_| is_kept(state, reached.elems[id].contains(segment as u32)));
            values.map(|values| {
                self.shape.elems.push(domain);
                self.elems
                    .push(values.into_iter().map(|value| value.map(name)).collect())
            })
        });
        CoreInstance {
            module,
            domain,
            imported_funcs: imported_funcs.into_iter().map(name).collect(),
            memories,
            tables,
            globals,
            tags,
            data,
            elems: elems.collect(),
        }
    }
}

/// Returns whether a segment is not empty at run time. `named` says whether reachable code names
/// it.
fn is_kept(state: SegmentState, named: bool) -> bool {
    match state {
        SegmentState::Dropped => false,
        SegmentState::Passive => named,
        SegmentState::Applied => true,
    }
}

fn initializer(
    step: Step,
    instances: &IndexVec<CoreInstanceId, CoreInstance>,
    keys: &Keys,
) -> Option<Initializer> {
    Some(match step {
        Step::Data {
            instance,
            segment,
            memory,
            offset,
        } => Initializer::Data {
            data: instances[instance].data[segment]?,
            memory,
            offset,
        },
        Step::Elem {
            instance,
            segment,
            table,
            offset,
        } => Initializer::Elem {
            elem: instances[instance].elems[segment]?,
            table,
            offset,
        },
        Step::Start { domain, callee } => Initializer::Start {
            domain,
            callee: keys.callee(callee),
        },
        Step::Trap(trap) => Initializer::Trap(trap),
    })
}

/// Returns the main memory of each domain, which `ctx` points at: the one that the most reachable
/// code uses. A function counts for the first memory of its instance.
fn main_memories(
    parsed: &Parsed<'_>,
    inlined: &Inlined<'_>,
    reached: &Reached,
) -> IndexVec<DomainId, Option<MemoryId>> {
    let shape = &inlined.shape;
    let mut weights: IndexVec<MemoryId, usize> = shape.memories.keys().map(|_| 0).collect();
    for (id, functions) in reached.functions.iter() {
        let instance = &inlined.instances[id];
        let module = &parsed.modules[instance.module].ir;
        if let Some(&memory) = instance.memories.first() {
            let bodies = functions
                .iter()
                .map(|func| &module.bodies[(func - module.imported_funcs) as usize]);
            weights[memory] += bodies.map(|body| body.bytes.len()).sum::<usize>();
        }
    }
    let mut main = shape.domains.clone();
    for (id, memory) in shape.memories.iter() {
        let main = &mut main[memory.domain];
        if main.is_none_or(|best| weights[id] > weights[best]) {
            *main = Some(id);
        }
    }
    main
}

/// Returns the GC heaps of the component instances that need one.
fn heaps(inlined: &Inlined<'_>, reached: &Reached) -> Vec<HeapShape> {
    let heap = |&domain: &DomainId| HeapShape {
        domain,
        initial: inlined.statics.size(domain),
    };
    reached.heaps.iter().map(heap).collect()
}

/// Returns the layouts of all object types. Those of exceptions follow those that modules define.
fn objects(
    defined: &ObjectTypes,
    signatures: &Signatures,
    tags: &IndexVec<TagId, Tag<'_>>,
) -> Result<IndexVec<ObjectTypeId, ObjectLayout>> {
    let exception = |tag: &Tag<'_>| {
        let fields = signatures[tag.sig].params.iter();
        Ok(ObjectLayout::of_fields(fields.map(|&ty| Stored::of(ty)))?.0)
    };
    let defined = defined.iter().map(|(_, ty)| Ok(ty.layout.clone()));
    defined.chain(tags.values().map(exception)).collect()
}
