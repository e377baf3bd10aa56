//! The reference graph of a component: what can run, and what it refers to.
//!
//! The graph is not stored. Its edges are computed from what the parser noted about each function
//! body and from the result of abstract instantiation. [`super::walk`] marks the nodes that the
//! roots reach. Another analysis, such as one that asks which functions can suspend, walks the same
//! edges.
//!
//! Edges are exact for direct calls and conservative for indirect ones: a function that touches a
//! table refers to everything that is in the table at the start.

use crate::inline::{
    CanonLiftId, Const, CoreFunc, CoreItem, FuncDef, Inlined, InstanceState, Step, Trampoline,
};
use crate::ir::CanonOp;
use crate::parse::{FuncFacts, Parsed, Use};
use mintage_environ::component::{CanonOptions, InterfaceType};
use mintage_environ::{
    CoreInstanceId, DomainId, FuncIndex, Index, IndexVec, ModuleId, ResourceId, TableId,
};

/// A node of the graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Node {
    /// A core function.
    Func(FuncDef),
    /// A table whose entries code or the host can call or copy.
    Table(TableId),
    /// A table that code, the host or a run-time initializer can change.
    MutableTable(TableId),
    /// An element segment of an instance.
    Elem(CoreInstanceId, u32),
    /// A data segment of an instance.
    Data(CoreInstanceId, u32),
    /// The GC heap of a component instance.
    Heap(DomainId),
}

/// The graph of one component.
pub(super) struct Graph<'g, 'a> {
    pub parsed: &'g Parsed<'a>,
    pub inlined: &'g Inlined<'a>,
    /// The positions in `Inlined::image_elems` of the segments of each table.
    image_elems: IndexVec<TableId, Vec<usize>>,
}

impl<'g, 'a> Graph<'g, 'a> {
    pub fn new(parsed: &'g Parsed<'a>, inlined: &'g Inlined<'a>) -> Self {
        let mut image_elems: IndexVec<TableId, Vec<usize>> =
            inlined.tables.keys().map(|_| Vec::new()).collect();
        for (at, elems) in inlined.image_elems.iter().enumerate() {
            image_elems[elems.table].push(at);
        }
        Self {
            parsed,
            inlined,
            image_elems,
        }
    }

    /// Calls `visit` with each node that is used without being referred to by another one, and with
    /// the reason.
    pub fn roots(&self, visit: &mut impl FnMut(Node, &'static str)) {
        let interface = &self.inlined.interface;
        for &lift in &interface.exported_lifts {
            let visit = &mut |node| visit(node, "an export");
            self.lift(lift, visit);
            // The host can drop the handles that it is given.
            interface.types.visit_func(interface.lifts[lift].ty, |ty| {
                if let InterfaceType::Own(resource) = ty {
                    self.dtor(resource, visit);
                }
            });
        }
        for step in &self.inlined.steps {
            match *step {
                Step::Start { callee, .. } => visit(Node::Func(callee.def), "a start function"),
                Step::Elem {
                    instance,
                    segment,
                    table,
                    ..
                } => {
                    visit(Node::MutableTable(table), "an element segment");
                    visit(Node::Elem(instance, segment as u32), "an element segment");
                }
                Step::Data { .. } | Step::Trap(_) => {}
            }
        }
        for global in self.inlined.globals.values() {
            value(global.init, &mut |node| visit(node, "a global"));
        }
        for object in &self.inlined.statics.objects {
            visit(Node::Heap(object.domain), "an object");
            for field in object.values.iter() {
                value(field, &mut |node| visit(node, "an object"));
            }
        }
        for export in &interface.core_exports {
            match export.item {
                CoreItem::Func(func) => visit(Node::Func(func.def), "a core export"),
                CoreItem::Table(table) => visit(Node::MutableTable(table), "a core export"),
                CoreItem::Memory(_) | CoreItem::Global(_) | CoreItem::Tag(_) => {}
            }
        }
    }

    /// Calls `visit` with each node that `node` refers to. Some come more than once.
    pub fn edges(&self, node: Node, visit: &mut impl FnMut(Node)) {
        match node {
            Node::Func(FuncDef::Core { instance, func }) => self.body(instance, func, visit),
            Node::Func(FuncDef::Trampoline(id)) => {
                self.trampoline(&self.inlined.trampolines[id.index()], visit);
            }
            Node::MutableTable(table) => visit(Node::Table(table)),
            Node::Table(table) => {
                value(self.inlined.tables[table].fill, visit);
                for &at in &self.image_elems[table] {
                    values(&self.inlined.image_elems[at].values, visit);
                }
            }
            Node::Elem(instance, segment) => {
                let state = &self.inlined.instances[instance];
                if let Some(elems) = state.elem_values.get(&(segment as usize)) {
                    values(elems, visit);
                }
            }
            Node::Data(..) | Node::Heap(_) => {}
        }
    }

    /// Returns the size in bytes of the body of a core function.
    pub fn body_size(&self, instance: CoreInstanceId, func: FuncIndex) -> usize {
        let module = &self.parsed.modules[self.inlined.instances[instance].module].ir;
        let body = (func.as_u32() - module.imported_funcs) as usize;
        module.bodies[body].bytes.len()
    }

    /// Returns whether a core function calls references to functions.
    pub fn calls_references(&self, instance: CoreInstanceId, func: FuncIndex) -> bool {
        let facts = self.facts(self.inlined.instances[instance].module, func);
        facts.uses.contains(&Use::Reference)
    }

    fn facts(&self, module: ModuleId, func: FuncIndex) -> &'g FuncFacts {
        let module = &self.parsed.modules[module];
        &module.facts[(func.as_u32() - module.ir.imported_funcs) as usize]
    }

    fn body(&self, id: CoreInstanceId, func: FuncIndex, visit: &mut impl FnMut(Node)) {
        let instance: &InstanceState = &self.inlined.instances[id];
        let module = &self.parsed.modules[instance.module];
        let facts = self.facts(instance.module, func);
        for &callee in &facts.functions {
            let callee = instance.func(id, &module.ir, FuncIndex::from_u32(callee));
            visit(Node::Func(callee.def));
        }
        for fact in &facts.uses {
            visit(match *fact {
                Use::Reference => continue,
                Use::TableRead(table) => Node::Table(instance.tables[table as usize]),
                Use::TableWrite(table) => Node::MutableTable(instance.tables[table as usize]),
                Use::Data(segment) => Node::Data(id, segment),
                Use::Element(segment) => Node::Elem(id, segment),
                Use::Heap => Node::Heap(instance.domain),
            });
        }
    }

    fn trampoline(&self, trampoline: &Trampoline, visit: &mut impl FnMut(Node)) {
        match trampoline {
            Trampoline::Lower(lower) => options(&lower.options, visit),
            Trampoline::Adapter { lift, lower, .. } => {
                self.lift(*lift, visit);
                options(lower, visit);
            }
            Trampoline::Canon(builtin) => {
                options(&builtin.options, visit);
                match builtin.op {
                    CanonOp::ResourceDrop(resource) => self.dtor(resource, visit),
                    CanonOp::ThreadNewIndirect(table, _) => visit(Node::Table(table)),
                    _ => {}
                }
            }
            Trampoline::Unsupported { .. } => {}
        }
    }

    fn lift(&self, lift: CanonLiftId, visit: &mut impl FnMut(Node)) {
        for func in self.inlined.interface.lifts[lift].functions() {
            visit(Node::Func(func.def));
        }
    }

    /// Visits the destructor of `resource`.
    fn dtor(&self, resource: ResourceId, visit: &mut impl FnMut(Node)) {
        if let Some(dtor) = self.inlined.interface.resources[resource].dtor() {
            visit(Node::Func(dtor.def));
        }
    }
}

fn options(options: &CanonOptions<CoreFunc>, visit: &mut impl FnMut(Node)) {
    for func in options.functions() {
        visit(Node::Func(func.def));
    }
}

fn values(values: &[Const], visit: &mut impl FnMut(Node)) {
    for &item in values {
        value(item, visit);
    }
}

fn value(value: Const, visit: &mut impl FnMut(Node)) {
    if let Const::Func(func) = value {
        visit(Node::Func(func.def));
    }
}
