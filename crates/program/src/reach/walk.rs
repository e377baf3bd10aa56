//! The walk over the reference graph from its roots.

use super::bit_set::BitSet;
use super::graph::{Graph, Node};
use crate::inline::{FuncDef, InstanceState, TrampolineId};
use anyhow::{Result, bail};
use mintage_environ::{CoreInstanceId, DomainId, FuncIndex, IndexVec, Printable, TableId, limit};
use std::collections::BTreeSet;

/// The most bytes of function bodies that are compiled again because their module is instantiated
/// more than once. At about a megabyte a second on one processor, this is half a minute.
const MAX_REPEATED_CODE: usize = 32 << 20;
/// What a function counts for in addition to the bytes of its body. The smallest functions take
/// about as much time and room as bodies of this size.
const FUNCTION_COST: usize = 32;

/// The nodes that the roots reach.
pub(super) struct Reached {
    /// Core functions by index in their module.
    pub functions: IndexVec<CoreInstanceId, BitSet>,
    /// The reason why each trampoline is reachable, or `None` if it is not.
    pub trampolines: IndexVec<TrampolineId, Option<Reason>>,
    pub tables: IndexVec<TableId, TableUse>,
    /// Data segments that code names, by index in their module.
    pub data: IndexVec<CoreInstanceId, BitSet>,
    /// Element segments that code names, by index in their module.
    pub elems: IndexVec<CoreInstanceId, BitSet>,
    /// Component instances whose code needs a GC heap.
    pub heaps: BTreeSet<DomainId>,
}

/// The use that reachable code makes of a table.
#[derive(Clone, Copy, Default)]
pub(super) struct TableUse {
    pub touched: bool,
    pub mutable: bool,
}

/// Why something is reachable: the root or the core function that led to it first.
#[derive(Clone, Copy)]
pub(super) enum Reason {
    Root(&'static str),
    Function(CoreInstanceId, FuncIndex),
}

impl Reason {
    /// Returns the reason as words in a message.
    pub fn describe(self, graph: &Graph<'_, '_>) -> String {
        match self {
            Reason::Root(name) => name.into(),
            Reason::Function(instance, func) => {
                let module = graph.inlined.instances[instance].module;
                let names = &graph.parsed.modules[module].ir.names;
                let name = match names.binary_search_by_key(&func, |&(func, _)| func) {
                    Ok(at) => format!(" (`{}`)", Printable(names[at].1)),
                    Err(_) => String::new(),
                };
                let (func, module) = (func.as_u32(), module.as_u32());
                format!("function {func}{name} of core module {module}")
            }
        }
    }
}

impl Reached {
    /// Walks the graph.
    ///
    /// # Errors
    ///
    /// If more code is reachable than may be compiled.
    pub fn compute(graph: &Graph<'_, '_>) -> Result<Reached> {
        let mut reached = Reached::new(graph);
        let mut code = CodeBudget::new(graph);
        let mut todo: Vec<(Node, Reason)> = Vec::new();
        graph.roots(&mut |node, name| reached.push(node, Reason::Root(name), &mut todo));
        while let Some((node, reason)) = todo.pop() {
            let reason = match node {
                Node::Func(FuncDef::Core { instance, func }) => {
                    code.spend(graph, instance, func)?;
                    Reason::Function(instance, func)
                }
                Node::Table(_) | Node::MutableTable(_) => Reason::Root("a table"),
                _ => reason,
            };
            graph.edges(node, &mut |node| reached.push(node, reason, &mut todo));
        }
        Ok(reached)
    }

    fn new(graph: &Graph<'_, '_>) -> Reached {
        let Graph {
            parsed, inlined, ..
        } = graph;
        let sets = |bound: &dyn Fn(&InstanceState) -> usize| {
            let bounds = inlined.instances.values().map(bound);
            bounds.map(BitSet::new).collect()
        };
        Reached {
            functions: sets(&|instance| parsed.modules[instance.module].ir.funcs.len()),
            trampolines: inlined.trampolines.iter().map(|_| None).collect(),
            tables: inlined.tables.keys().map(|_| TableUse::default()).collect(),
            data: sets(&|instance| instance.data.len()),
            elems: sets(&|instance| instance.elems.len()),
            heaps: BTreeSet::new(),
        }
    }

    /// Marks `node`, and adds it to `todo` if it is new.
    fn push(&mut self, node: Node, reason: Reason, todo: &mut Vec<(Node, Reason)>) {
        if self.mark(node, reason) {
            todo.push((node, reason));
        }
    }

    /// Marks `node` as reachable. Returns whether it is new.
    fn mark(&mut self, node: Node, reason: Reason) -> bool {
        match node {
            Node::Func(FuncDef::Core { instance, func }) => {
                self.functions[instance].insert(func.as_u32())
            }
            Node::Func(FuncDef::Trampoline(id)) => {
                let known = &mut self.trampolines[id];
                let new = known.is_none();
                known.get_or_insert(reason);
                new
            }
            Node::Table(id) => !std::mem::replace(&mut self.tables[id].touched, true),
            Node::MutableTable(id) => !std::mem::replace(&mut self.tables[id].mutable, true),
            Node::Elem(instance, segment) => self.elems[instance].insert(segment),
            Node::Data(instance, segment) => self.data[instance].insert(segment),
            Node::Heap(domain) => self.heaps.insert(domain),
        }
    }
}

/// The bytes of function bodies that can still be reached.
struct CodeBudget {
    left: usize,
}

impl CodeBudget {
    fn new(graph: &Graph<'_, '_>) -> Self {
        let modules = graph.parsed.modules.values();
        let bodies = modules.flat_map(|module| &module.ir.bodies);
        let once = bodies.map(|body| body.bytes.len() + FUNCTION_COST);
        Self {
            left: once.sum::<usize>() + MAX_REPEATED_CODE,
        }
    }

    fn spend(
        &mut self,
        graph: &Graph<'_, '_>,
        instance: CoreInstanceId,
        func: FuncIndex,
    ) -> Result<()> {
        let size = graph.body_size(instance, func) + FUNCTION_COST;
        match self.left.checked_sub(size) {
            Some(left) => self.left = left,
            None => bail!(limit!(
                ComponentSize,
                "the component instantiates core modules so often (core module {} among them) that \
                 more than {} MiB of code would be compiled again; instantiate fewer of them",
                graph.inlined.instances[instance].module.as_u32(),
                MAX_REPEATED_CODE >> 20
            )),
        }
        Ok(())
    }
}
