//! Which functions of the host each exported function and each task may call, and whether it waits.
//!
//! This follows the edges of the reference graph, with one difference: a reference to a function
//! that one function stores and another one calls is an edge of the first alone. So code that calls
//! what may have been stored by other code may call everything.

use super::graph::{Graph, Node};
use super::walk::Reached;
use crate::inline::{CoreFunc, FuncDef, Trampoline, TrampolineId};
use crate::ir::CanonOp;
use indexmap::IndexSet;
use mintage_environ::Index;
use mintage_environ::component::{CanonOptions, HostCalls, LiftedFunc, Resource};

/// The search for strongly connected components (Tarjan's algorithm). All nodes of a component may
/// call the same.
pub(super) struct HostCallsSearch<'s, 'a> {
    graph: &'s Graph<'s, 'a>,
    reached: &'s Reached,
    /// The nodes that were visited, in this order.
    nodes: IndexSet<Node>,
    /// The results for `nodes`, in the same order.
    known: Vec<Known>,
    /// The nodes whose component is not complete.
    open: Vec<usize>,
}

struct Known {
    /// The host functions that the node may call, as found so far.
    calls: HostCalls,
    /// The earliest open node that the node reaches, as found so far. `None` if its component is
    /// complete.
    earliest: Option<usize>,
}

/// A node on the way from the start of the search to where it is now.
struct Step {
    node: usize,
    /// The number of successors that are to be visited before this node is left.
    rest: usize,
}

impl<'s, 'a> HostCallsSearch<'s, 'a> {
    pub fn new(graph: &'s Graph<'s, 'a>, reached: &'s Reached) -> Self {
        Self {
            graph,
            reached,
            nodes: IndexSet::new(),
            known: Vec::new(),
            open: Vec::new(),
        }
    }

    /// Returns the functions of the host that a lifted function may call, and whether it waits.
    pub fn of_lift(&mut self, lift: &LiftedFunc<CoreFunc>) -> HostCalls {
        let functions = lift.functions().map(|func| Node::Func(func.def));
        functions.fold(HostCalls::NONE, |calls, node| calls | self.of(node))
    }

    /// Returns the functions of the host that `start` may call, and whether it waits.
    fn of(&mut self, start: Node) -> HostCalls {
        let mut successors = vec![start];
        let mut path: Vec<Step> = Vec::new();
        loop {
            let entered = path.last().map_or(0, |step| step.rest);
            if successors.len() > entered {
                let next = successors.pop().expect("there are more than none");
                let (node, is_new) = self.nodes.insert_full(next);
                if is_new {
                    path.push(Step {
                        node,
                        rest: successors.len(),
                    });
                    self.enter(next, node, &mut successors);
                } else {
                    self.join(path.last(), node);
                }
                continue;
            }
            let Some(Step { node, .. }) = path.pop() else {
                let node = self.nodes.get_index_of(&start);
                return self.known[node.expect("it was visited")].calls;
            };
            if self.known[node].earliest == Some(node) {
                self.complete(node);
            }
            self.join(path.last(), node);
        }
    }

    /// Notes a new node, and adds its successors.
    fn enter(&mut self, node: Node, at: usize, successors: &mut Vec<Node>) {
        let calls = self.own_calls(node);
        self.known.push(Known {
            calls,
            earliest: Some(at),
        });
        self.open.push(at);
        // Nothing can be added to everything.
        if calls != HostCalls::ALL {
            self.graph.edges(node, &mut |next| {
                if matches!(next, Node::Func(_) | Node::Table(_)) {
                    successors.push(next);
                }
            });
        }
    }

    /// Adds the results of a successor to the last node of the path.
    fn join(&mut self, from: Option<&Step>, successor: usize) {
        let Some(&Step { node, .. }) = from else {
            return;
        };
        let Known { calls, earliest } = self.known[successor];
        let known = &mut self.known[node];
        known.calls = known.calls | calls;
        // `None` stands for a complete component, which reaches no open node.
        known.earliest = known.earliest.into_iter().chain(earliest).min();
    }

    /// Completes the component whose first node is `first`.
    fn complete(&mut self, first: usize) {
        let calls = self.known[first].calls;
        while let Some(node) = self.open.pop() {
            self.known[node] = Known {
                calls,
                earliest: None,
            };
            if node == first {
                break;
            }
        }
    }

    /// Returns the host functions that a node calls directly.
    fn own_calls(&self, node: Node) -> HostCalls {
        let calls_all = match node {
            Node::Func(FuncDef::Core { instance, func }) => {
                self.graph.calls_references(instance, func)
            }
            Node::Func(FuncDef::Trampoline(id)) => return self.trampoline_calls(id),
            Node::Table(table) => self.reached.tables[table].mutable,
            Node::MutableTable(_) | Node::Elem(..) | Node::Data(..) | Node::Heap(_) => false,
        };
        match calls_all {
            true => HostCalls::ALL,
            false => HostCalls::NONE,
        }
    }

    /// Returns the host functions that a canonical definition calls directly. One that waits lets
    /// other threads run, which may call anything.
    fn trampoline_calls(&self, id: TrampolineId) -> HostCalls {
        let interface = &self.graph.inlined.interface;
        let may_wait = |ty, options: &CanonOptions<CoreFunc>| {
            interface.types.func(ty).is_async && !options.is_async
        };
        match &self.graph.inlined.trampolines[id.index()] {
            Trampoline::Lower(lower)
                if may_wait(interface.import_funcs[lower.import].ty, &lower.options) =>
            {
                HostCalls::ALL
            }
            Trampoline::Lower(lower) => HostCalls::import(lower.import),
            Trampoline::Adapter { lift, lower, .. }
                if may_wait(interface.lifts[*lift].ty, lower) =>
            {
                HostCalls::ALL
            }
            Trampoline::Canon(builtin) if builtin.may_wait() => HostCalls::ALL,
            Trampoline::Canon(builtin) if builtin.op.asks_for_task() => HostCalls::ASKS_FOR_TASK,
            Trampoline::Canon(builtin) => match builtin.op {
                CanonOp::ResourceDrop(resource) => match interface.resources[resource] {
                    Resource::Imported { .. } => HostCalls::DESTRUCTORS,
                    Resource::Defined { .. } => HostCalls::NONE,
                },
                _ => HostCalls::NONE,
            },
            Trampoline::Adapter { .. } | Trampoline::Unsupported { .. } => HostCalls::NONE,
        }
    }
}
