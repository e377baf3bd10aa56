//! Phase 3: reachability. Keeps what exports, starts and what these can reach need, numbers it, and
//! gives the [`Program`].
//!
//! The walk is exact for direct calls and conservative for the rest: a function whose reference
//! stands in a table that any reachable code touches, in an element segment that reachable code
//! names, or in a global, is reachable.

use crate::adapters;
use crate::inline::{Inlined, InstanceState, SegmentState, Step, Trampoline};
use crate::ir::{
    Adapter, CanonBuiltin, CanonOp, Const, CoreInstance, ImageElems, Program, StaticObject,
    StaticValues, TableInit, Tag,
};
use crate::parse::{Parsed, Use};
use anyhow::{Result, bail, ensure};
use mintage_environ::component::{
    CanonOptions, ComponentInterface, CoreCallee, CoreItem, Initializer, InterfaceType, Lower,
    Resource,
};
use mintage_environ::layout::HeapShape;
use mintage_environ::objects::{ObjectLayout, Stored};
use mintage_environ::{
    AdapterId, CanonId, CoreInstanceId, DataId, DomainId, ElemId, FuncIndex, FuncKey, Index,
    IndexVec, LowerId, MemoryId, Printable, ResourceId, SigId, TableId, limit, unsupported,
};
use std::collections::{BTreeSet, HashMap};

/// The most bytes of function bodies that are compiled beyond those that stand in the component: a
/// module that is instantiated again is compiled again. At about a megabyte a second on one
/// processor, this is half a minute.
const MAX_REPEATED_CODE: usize = 32 << 20;
/// What a function counts for besides the bytes of its body: the smallest take about as much time
/// and room as bodies of this size.
const FUNCTION_COST: usize = 32;

/// Drops what is not reachable.
pub(crate) fn reach<'a>(parsed: Parsed<'a>, mut inlined: Inlined<'a>) -> Result<Program<'a>> {
    let mut walk = Walk::new(&parsed, &inlined);
    walk.roots();
    walk.run()?;
    walk.check_supported()?;
    let main_memories = walk.main_memories();
    let heaps = walk.heaps();
    let Walk {
        functions,
        trampolines,
        tables,
        named_data,
        named_elems,
        ..
    } = walk;
    let mut lowers = IndexVec::new();
    let mut adapters = IndexVec::new();
    let mut canons = IndexVec::new();
    let mut renumbered = HashMap::new();
    for (old, trampoline) in inlined.trampolines.iter().enumerate() {
        let key = match trampoline {
            _ if trampolines[old].is_none() => continue,
            Trampoline::Lower(lower) => FuncKey::LowerImport(lowers.push(lower.clone())),
            Trampoline::Adapter { lift, lower, sig } => {
                let lift = inlined.lifts[*lift].clone();
                FuncKey::Adapter(adapters.push(Adapter {
                    ty: lift.ty,
                    lift,
                    lower: lower.clone(),
                    sig: *sig,
                }))
            }
            Trampoline::Canon(builtin) => FuncKey::Canon(canons.push(builtin.clone())),
            Trampoline::Unsupported { .. } => continue,
        };
        renumbered.insert(old as u32, key);
    }
    let reachable = functions.iter().flat_map(|(instance, set)| {
        set.iter().map(move |func| FuncKey::CoreFunc {
            instance,
            func: FuncIndex::from_u32(func),
        })
    });
    let reachable = reachable.chain(lowers.keys().map(FuncKey::LowerImport));
    let reachable = reachable.chain(adapters.keys().map(FuncKey::Adapter));
    let reachable = reachable.chain(canons.keys().map(FuncKey::Canon));
    let mut reachable: Vec<FuncKey> = reachable.collect();
    reachable.sort_unstable();
    inlined.shape.domains = main_memories;
    inlined.shape.heaps = heaps;
    let calls = Calls {
        lowers,
        adapters,
        canons,
        reachable,
    };
    let finish = Finish {
        renumbered,
        tables,
        named_data,
        named_elems,
    };
    finish.program(parsed, inlined, calls)
}

/// A set of small numbers.
#[derive(Clone, Default)]
struct BitSet(Vec<u64>);

impl BitSet {
    fn with_room(items: usize) -> Self {
        Self(vec![0; items.div_ceil(64)])
    }

    /// Adds `item`; whether it is new.
    fn insert(&mut self, item: u32) -> bool {
        let word = &mut self.0[item as usize / 64];
        let bit = 1 << (item % 64);
        let new = *word & bit == 0;
        *word |= bit;
        new
    }

    fn contains(&self, item: u32) -> bool {
        self.0[item as usize / 64] & 1 << (item % 64) != 0
    }

    fn iter(&self) -> impl Iterator<Item = u32> {
        self.0.iter().enumerate().flat_map(|(i, &word)| {
            let bits = std::iter::successors(Some(word), |&rest| Some(rest & rest.wrapping_sub(1)));
            bits.take_while(|&rest| rest != 0)
                .map(move |rest| i as u32 * 64 + rest.trailing_zeros())
        })
    }
}

/// How reachable code uses a table.
#[derive(Clone, Copy, Default)]
struct TableUse {
    touched: bool,
    mutable: bool,
}

/// The walk over the graph of functions.
struct Walk<'w, 'a> {
    parsed: &'w Parsed<'a>,
    inlined: &'w Inlined<'a>,
    /// Places in `image_elems` of the segments of each table.
    image_elems: IndexVec<TableId, Vec<usize>>,
    todo: Vec<(CoreInstanceId, FuncIndex)>,
    todo_trampolines: Vec<usize>,
    functions: IndexVec<CoreInstanceId, BitSet>,
    /// How many bytes of function bodies can still be reached.
    code_left: usize,
    /// For each trampoline that is reachable, what reached it first.
    trampolines: Vec<Option<From>>,
    tables: IndexVec<TableId, TableUse>,
    named_data: IndexVec<CoreInstanceId, BitSet>,
    named_elems: IndexVec<CoreInstanceId, BitSet>,
    /// Component instances whose code needs an object heap.
    heaps: BTreeSet<DomainId>,
}

/// Why something is reachable.
#[derive(Clone, Copy)]
enum From {
    Root(&'static str),
    Function(CoreInstanceId, FuncIndex),
}

impl<'w, 'a> Walk<'w, 'a> {
    fn new(parsed: &'w Parsed<'a>, inlined: &'w Inlined<'a>) -> Self {
        let mut image_elems: IndexVec<TableId, Vec<usize>> =
            inlined.tables.keys().map(|_| Vec::new()).collect();
        for (at, elems) in inlined.image_elems.iter().enumerate() {
            image_elems[elems.table].push(at);
        }
        let sets = |size: fn(&InstanceState, &Parsed<'_>) -> usize| {
            inlined
                .instances
                .values()
                .map(|state| BitSet::with_room(size(state, parsed)))
                .collect()
        };
        let bodies = parsed.modules.values().flat_map(|module| &module.ir.bodies);
        let code = bodies
            .map(|body| body.bytes.len() + FUNCTION_COST)
            .sum::<usize>();
        Self {
            parsed,
            inlined,
            image_elems,
            code_left: code + MAX_REPEATED_CODE,
            todo: Vec::new(),
            todo_trampolines: Vec::new(),
            functions: sets(|state, parsed| parsed.modules[state.core.module].ir.funcs.len()),
            trampolines: vec![None; inlined.trampolines.len()],
            tables: inlined.tables.keys().map(|_| TableUse::default()).collect(),
            named_data: sets(|state, _| state.data.len()),
            named_elems: sets(|state, _| state.elems.len()),
            heaps: BTreeSet::new(),
        }
    }

    fn roots(&mut self) {
        let interface = &self.inlined.interface;
        for lift in interface.lifts.values() {
            self.key(lift.callee.key, From::Root("an export"));
            self.options(&lift.options, From::Root("an export"));
            // The host can drop what it is given.
            interface.types.visit_func(lift.ty, |ty| {
                if let InterfaceType::Own(resource) = ty {
                    self.dtor(resource, From::Root("an export"));
                }
            });
            lift.post_return
                .iter()
                .for_each(|callee| self.key(callee.key, From::Root("an export")));
        }
        for step in &self.inlined.steps {
            match *step {
                Step::Start { callee, .. } => self.key(callee.key, From::Root("a start function")),
                Step::Elem {
                    instance,
                    segment,
                    table,
                    ..
                } => {
                    self.table(table, true);
                    self.elem(instance, segment, From::Root("an element segment"));
                }
                Step::Data { .. } | Step::Trap(_) => {}
            }
        }
        for global in self.inlined.globals.values() {
            self.value(global.init, From::Root("a global"));
        }
        for object in &self.inlined.statics.objects {
            self.heaps.insert(object.domain);
            object
                .values
                .iter()
                .for_each(|value| self.value(value, From::Root("an object")));
        }
        for export in &interface.core_exports {
            match export.item {
                CoreItem::Func(callee, _) => self.key(callee.key, From::Root("a core export")),
                CoreItem::Table(table) => self.table(table, true),
                CoreItem::Memory(_) | CoreItem::Global(..) => {}
            }
        }
    }

    fn run(&mut self) -> Result<()> {
        loop {
            if let Some((instance, func)) = self.todo.pop() {
                self.spend_code(instance, func)?;
                self.function(instance, func);
            } else if let Some(id) = self.todo_trampolines.pop() {
                self.trampoline(id);
            } else {
                return Ok(());
            }
        }
    }

    fn spend_code(&mut self, instance: CoreInstanceId, func: FuncIndex) -> Result<()> {
        let module = self.inlined.instances[instance].core.module;
        let ir = &self.parsed.modules[module].ir;
        let size = ir.bodies[(func.as_u32() - ir.imported_funcs) as usize]
            .bytes
            .len()
            + FUNCTION_COST;
        match self.code_left.checked_sub(size) {
            Some(left) => self.code_left = left,
            None => bail!(limit!(
                ComponentSize,
                "the component instantiates core modules so often (core module {} among them) that \
                 more than {} MiB of code would be compiled again; instantiate fewer of them",
                module.as_u32(),
                MAX_REPEATED_CODE >> 20
            )),
        }
        Ok(())
    }

    /// Something drops handles of `resource`.
    fn dtor(&mut self, resource: ResourceId, from: From) {
        if let Resource::Defined {
            dtor: Some(dtor), ..
        } = &self.inlined.interface.resources[resource]
        {
            self.key(dtor.key, from);
        }
    }

    fn function(&mut self, instance: CoreInstanceId, func: FuncIndex) {
        let (parsed, inlined) = (self.parsed, self.inlined);
        let core = &inlined.instances[instance].core;
        let module = &parsed.modules[core.module];
        let facts = &module.facts[(func.as_u32() - module.ir.imported_funcs) as usize];
        let from = From::Function(instance, func);
        for &callee in &facts.functions {
            let callee = core.callee(instance, &module.ir, FuncIndex::from_u32(callee));
            self.key(callee.key, from);
        }
        for fact in &facts.uses {
            match *fact {
                Use::TableRead(table) => self.table(core.tables[table as usize], false),
                Use::TableWrite(table) => self.table(core.tables[table as usize], true),
                Use::Data(segment) => _ = self.named_data[instance].insert(segment),
                Use::Element(segment) => self.elem(instance, segment as usize, from),
                Use::Heap => _ = self.heaps.insert(core.domain),
            }
        }
    }

    fn key(&mut self, key: FuncKey, from: From) {
        match key {
            FuncKey::CoreFunc { instance, func } => {
                if self.functions[instance].insert(func.as_u32()) {
                    self.todo.push((instance, func));
                }
            }
            FuncKey::LowerImport(id) => {
                let reached = &mut self.trampolines[id.index()];
                if reached.is_none() {
                    *reached = Some(from);
                    self.todo_trampolines.push(id.index());
                }
            }
            // Abstract instantiation names no others.
            FuncKey::Entry(_) | FuncKey::Builtin(_) | FuncKey::Adapter(_) | FuncKey::Canon(_) => {}
        }
    }

    /// What a trampoline calls. Chains of them can be as long as components nest, so this does not
    /// recurse.
    fn trampoline(&mut self, id: usize) {
        let Some(from) = self.trampolines[id] else {
            return;
        };
        let inlined = self.inlined;
        match &inlined.trampolines[id] {
            Trampoline::Lower(lower) => self.options(&lower.options, from),
            Trampoline::Adapter { lift, lower, .. } => {
                let lift = &inlined.lifts[*lift];
                self.key(lift.callee.key, from);
                self.options(&lift.options, from);
                lift.post_return
                    .iter()
                    .for_each(|callee| self.key(callee.key, from));
                self.options(lower, from);
            }
            Trampoline::Canon(builtin) => {
                self.options(&builtin.options, from);
                if let CanonOp::ResourceDrop(resource) = builtin.op {
                    self.dtor(resource, from);
                }
            }
            Trampoline::Unsupported { .. } => {}
        }
    }

    fn options(&mut self, options: &CanonOptions, from: From) {
        options
            .realloc
            .iter()
            .for_each(|callee| self.key(callee.key, from));
    }

    fn value(&mut self, value: Const, from: From) {
        if let Const::Func(callee) = value {
            self.key(callee.key, from);
        }
    }

    fn table(&mut self, id: TableId, write: bool) {
        let table = &mut self.tables[id];
        table.mutable |= write;
        if std::mem::replace(&mut table.touched, true) {
            return;
        }
        let inlined = self.inlined;
        let from = From::Root("a table");
        self.value(inlined.tables[id].fill, from);
        for at in std::mem::take(&mut self.image_elems[id]) {
            inlined.image_elems[at]
                .values
                .iter()
                .for_each(|&value| self.value(value, from));
        }
    }

    fn elem(&mut self, instance: CoreInstanceId, segment: usize, from: From) {
        if self.named_elems[instance].insert(segment as u32)
            && let Some(values) = self.inlined.instances[instance].elem_values.get(&segment)
        {
            values.iter().for_each(|&value| self.value(value, from));
        }
    }

    /// The memory that `ctx` of each domain points at: the one that the most reachable code uses,
    /// where a function counts for the first memory of its instance.
    fn main_memories(&self) -> IndexVec<DomainId, Option<MemoryId>> {
        let shape = &self.inlined.shape;
        let mut weights: IndexVec<MemoryId, usize> = shape.memories.keys().map(|_| 0).collect();
        for (id, functions) in self.functions.iter() {
            let core = &self.inlined.instances[id].core;
            let module = &self.parsed.modules[core.module].ir;
            if let Some(&memory) = core.memories.first() {
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

    /// The object heaps of the component instances that need one.
    fn heaps(&self) -> Vec<HeapShape> {
        let heap = |&domain: &DomainId| HeapShape {
            domain,
            initial: self.inlined.statics.size(domain),
        };
        self.heaps.iter().map(heap).collect()
    }

    /// Fails when something that is not supported is reachable.
    fn check_supported(&self) -> Result<()> {
        for (trampoline, from) in self.inlined.trampolines.iter().zip(&self.trampolines) {
            if let (Trampoline::Unsupported { what, .. }, Some(from)) = (trampoline, from) {
                bail!(unsupported!(
                    "{what} is not supported yet (used by {})",
                    self.describe(*from)
                ));
            }
        }
        let exported = self
            .inlined
            .interface
            .lifts
            .values()
            .map(|lift| &lift.options);
        let reached = self.inlined.trampolines.iter().zip(&self.trampolines);
        let lowered = reached.filter_map(|(trampoline, from)| match (trampoline, from) {
            (Trampoline::Lower(lower), Some(_)) => Some(&lower.options),
            _ => None,
        });
        for options in exported.chain(lowered) {
            let memory = options.memory.map(|id| &self.inlined.shape.memories[id]);
            ensure!(
                !memory.is_some_and(|memory| memory.index64),
                unsupported!(
                    "component instance {} passes values to or from the host through a 64-bit \
                     memory, which is supported between components only; put a component with a \
                     32-bit memory in between",
                    options.domain.as_u32()
                )
            );
        }
        adapters::check_sizes(self.inlined, &self.trampolines)?;
        Ok(())
    }

    fn describe(&self, from: From) -> String {
        match from {
            From::Root(what) => what.into(),
            From::Function(instance, func) => {
                let module = self.inlined.instances[instance].core.module;
                let names = &self.parsed.modules[module].ir.names;
                let name = names
                    .binary_search_by_key(&func, |&(func, _)| func)
                    .ok()
                    .map(|at| format!(" (`{}`)", Printable(names[at].1)));
                let name = name.unwrap_or_default();
                format!(
                    "function {}{name} of core module {}",
                    func.as_u32(),
                    module.as_u32()
                )
            }
        }
    }
}

/// The functions that are reachable, numbered.
struct Calls {
    lowers: IndexVec<LowerId, Lower>,
    adapters: IndexVec<AdapterId, Adapter>,
    canons: IndexVec<CanonId, CanonBuiltin>,
    reachable: Vec<FuncKey>,
}

/// Puts the program together.
struct Finish {
    /// The final key of each trampoline that is reachable.
    renumbered: HashMap<u32, FuncKey>,
    tables: IndexVec<TableId, TableUse>,
    named_data: IndexVec<CoreInstanceId, BitSet>,
    named_elems: IndexVec<CoreInstanceId, BitSet>,
}

impl Finish {
    /// Gives every function that the interface and the canonical built-ins call its final name. A
    /// destructor that nothing reaches is left out.
    fn name_callees(
        &self,
        interface: &mut ComponentInterface,
        adapters: &mut IndexVec<AdapterId, Adapter>,
        canons: &mut IndexVec<CanonId, CanonBuiltin>,
        reachable: &[FuncKey],
    ) {
        for lower in interface.lowers.values_mut() {
            lower.options.realloc = lower.options.realloc.map(|callee| self.callee(callee));
        }
        let adapted = adapters.values_mut().map(|adapter| &mut adapter.lift);
        for lift in interface.lifts.values_mut().chain(adapted) {
            lift.callee = self.callee(lift.callee);
            lift.post_return = lift.post_return.map(|callee| self.callee(callee));
            lift.options.realloc = lift.options.realloc.map(|callee| self.callee(callee));
        }
        for adapter in adapters.values_mut() {
            adapter.lower.realloc = adapter.lower.realloc.map(|callee| self.callee(callee));
        }
        for builtin in canons.values_mut() {
            builtin.options.realloc = builtin.options.realloc.map(|callee| self.callee(callee));
        }
        for resource in interface.resources.values_mut() {
            if let Resource::Defined { dtor, .. } = resource {
                let reached = |callee: &CoreCallee| reachable.binary_search(&callee.key).is_ok();
                *dtor = dtor.map(|callee| self.callee(callee)).filter(reached);
            }
        }
        for export in &mut interface.core_exports {
            if let CoreItem::Func(callee, _) = &mut export.item {
                *callee = self.callee(*callee);
            }
        }
    }

    fn program<'a>(
        self,
        parsed: Parsed<'a>,
        inlined: Inlined<'a>,
        calls: Calls,
    ) -> Result<Program<'a>> {
        let Calls {
            lowers,
            mut adapters,
            mut canons,
            reachable,
        } = calls;
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
            mut interface,
            ..
        } = inlined;
        let mut data = IndexVec::new();
        let mut elems = IndexVec::new();
        let mut program_instances: IndexVec<CoreInstanceId, CoreInstance> = IndexVec::new();
        let ids = instances.keys();
        for (id, state) in ids.zip(instances.into_values()) {
            let InstanceState {
                mut core,
                data: data_states,
                elems: elem_states,
                mut elem_values,
            } = state;
            core.imported_funcs
                .iter_mut()
                .for_each(|callee| *callee = self.callee(*callee));
            for (segment, state) in data_states.into_iter().enumerate() {
                let kept = is_kept(state, self.named_data[id].contains(segment as u32));
                core.data.push(kept.then(|| {
                    shape.data.push(core.domain);
                    data.push(parsed.modules[core.module].data[segment].data)
                }));
            }
            for (segment, state) in elem_states.into_iter().enumerate() {
                let kept = is_kept(state, self.named_elems[id].contains(segment as u32));
                let values = elem_values.remove(&segment).filter(|_| kept);
                core.elems.push(values.map(|values| {
                    shape.elems.push(core.domain);
                    elems.push(self.values(values))
                }));
            }
            program_instances.push(core);
        }

        interface.lowers = lowers;
        self.name_callees(&mut interface, &mut adapters, &mut canons, &reachable);
        interface.initializers = steps
            .into_iter()
            .filter_map(|step| self.initializer(step, &program_instances))
            .collect();

        let tables = tables.iter().map(|(id, start)| {
            let TableUse { touched, mutable } = self.tables[id];
            TableInit {
                element: start.element,
                fill: if touched {
                    self.value(start.fill)
                } else {
                    Const::Null
                },
                mutable,
            }
        });
        let image_elems = image_elems
            .into_iter()
            .filter(|elems| self.tables[elems.table].touched);
        let image_elems = image_elems
            .map(|elems| ImageElems {
                values: self.values(elems.values),
                ..elems
            })
            .collect();
        let statics = statics.objects.into_iter().map(|object| StaticObject {
            values: match object.values {
                StaticValues::Each(values) => StaticValues::Each(self.values(values)),
                StaticValues::Same(value, count) => StaticValues::Same(self.value(value), count),
            },
            ..object
        });
        let exception = |tag: &Tag<'_>| {
            let fields = interface.signatures[tag.sig].params.iter();
            Ok(ObjectLayout::of_fields(fields.map(|&ty| Stored::of(ty)))?.0)
        };
        let defined = interface
            .objects
            .iter()
            .map(|(_, ty)| Ok(ty.layout.clone()));
        let objects = defined
            .chain(tags.values().map(exception))
            .collect::<Result<_>>();
        let mut globals = globals;
        globals
            .values_mut()
            .for_each(|global| global.init = self.value(global.init));
        Ok(Program {
            modules: parsed
                .modules
                .into_values()
                .map(|module| module.ir)
                .collect(),
            entries: entries(&interface),
            instances: program_instances,
            shape,
            tables: tables.collect(),
            globals,
            objects: objects?,
            tags,
            data,
            elems,
            image_data,
            image_elems,
            statics: statics.collect(),
            interface,
            adapters,
            canons,
            reachable,
        })
    }

    fn initializer(
        &self,
        step: Step,
        instances: &IndexVec<CoreInstanceId, CoreInstance>,
    ) -> Option<Initializer> {
        Some(match step {
            Step::Data {
                instance,
                segment,
                memory,
                offset,
            } => {
                let data: DataId = instances[instance].data[segment]?;
                Initializer::Data {
                    data,
                    memory,
                    offset,
                }
            }
            Step::Elem {
                instance,
                segment,
                table,
                offset,
            } => {
                let elem: ElemId = instances[instance].elems[segment]?;
                Initializer::Elem {
                    elem,
                    table,
                    offset,
                }
            }
            Step::Start { domain, callee } => Initializer::Start {
                domain,
                callee: self.callee(callee),
            },
            Step::Trap(trap) => Initializer::Trap(trap),
        })
    }

    fn key(&self, key: FuncKey) -> FuncKey {
        match key {
            FuncKey::LowerImport(old) => self
                .renumbered
                .get(&old.as_u32())
                .copied()
                .unwrap_or(FuncKey::LowerImport(CoreInstance::NEVER_CALLED)),
            other => other,
        }
    }

    fn callee(&self, callee: CoreCallee) -> CoreCallee {
        CoreCallee {
            key: self.key(callee.key),
            ..callee
        }
    }

    fn value(&self, value: Const) -> Const {
        match value {
            Const::Func(callee) => Const::Func(self.callee(callee)),
            other => other,
        }
    }

    fn values(&self, values: Box<[Const]>) -> Box<[Const]> {
        values.into_iter().map(|value| self.value(value)).collect()
    }
}

/// Whether a segment has a length at run time.
fn is_kept(state: SegmentState, named: bool) -> bool {
    match state {
        SegmentState::Dropped => false,
        SegmentState::Passive => named,
        SegmentState::Applied => true,
    }
}

/// The signatures of all core functions that the host calls.
fn entries(interface: &ComponentInterface) -> Vec<SigId> {
    let lifts = interface.lifts.values().flat_map(|lift| {
        [Some(lift.callee), lift.post_return, lift.options.realloc]
            .into_iter()
            .flatten()
    });
    let reallocs = interface
        .lowers
        .values()
        .filter_map(|lower| lower.options.realloc);
    let starts = interface
        .initializers
        .iter()
        .filter_map(|initializer| match initializer {
            Initializer::Start { callee, .. } => Some(*callee),
            _ => None,
        });
    let core = interface
        .core_exports
        .iter()
        .filter_map(|export| match export.item {
            CoreItem::Func(callee, _) => Some(callee),
            _ => None,
        });
    let dtors = interface
        .resources
        .values()
        .filter_map(|resource| match resource {
            Resource::Defined { dtor, .. } => *dtor,
            Resource::Imported { .. } => None,
        });
    let signatures: BTreeSet<SigId> = lifts
        .chain(reallocs)
        .chain(starts)
        .chain(core)
        .chain(dtors)
        .map(|callee| callee.sig)
        .collect();
    signatures.into_iter().collect()
}
