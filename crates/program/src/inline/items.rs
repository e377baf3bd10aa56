//! What the index spaces of components hold while they are instantiated abstractly.

use crate::ir::CanonBuiltin;
use crate::parse::ComponentIndex;
use indexmap::IndexMap;
use mintage_environ::component::{CanonOptions, CoreCallee, InterfaceType, Lower};
use mintage_environ::{
    CoreInstanceId, DomainId, FuncKey, GlobalId, ImportId, MemoryId, ModuleId, ResourceId, SigId,
    TableId, TagId, Trap,
};
use std::rc::Rc;

/// The exports of a component instance.
pub(super) type Exports<'p> = IndexMap<&'p str, Item<'p>>;

/// An item of a component.
#[derive(Clone)]
pub(super) enum Item<'p> {
    Func(FuncItem),
    Instance(Rc<Exports<'p>>),
    /// A component of the binary, with the items that it captures from the components around it.
    Component(ComponentIndex, Rc<[Item<'p>]>),
    Module(ModuleId),
    Type(TypeItem),
    /// A module that the root imports under this name, and that the host has not given: it cannot
    /// be instantiated.
    HostModule(Rc<str>),
    /// A component that the root imports, which hosts cannot give.
    HostComponent,
}

/// A component function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FuncItem {
    /// A function of the host.
    Import(ImportId),
    /// A lifted core function, by its place in the list of lifts.
    Lift(usize),
}

/// A type of a component.
#[derive(Clone, Copy, Debug)]
pub(super) enum TypeItem {
    Resource(ResourceId),
    Value(InterfaceType),
    /// The type of a function, instance or component.
    Static,
}

/// An item of a core instance.
#[derive(Clone, Copy, Debug)]
pub(super) enum CoreItem {
    Func(CoreFunc),
    Memory(MemoryId),
    Table(TableId),
    Global(GlobalId),
    Tag(TagId),
}

/// A core function: all are of the domain in which they are named, since core items never cross
/// components.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CoreFunc {
    pub key: FuncKey,
    pub sig: SigId,
}

impl From<CoreFunc> for CoreCallee {
    fn from(CoreFunc { key, sig }: CoreFunc) -> Self {
        CoreCallee { key, sig }
    }
}

/// An entry of the core instance index space.
pub(super) enum CoreInstanceItem<'p> {
    Instance(CoreInstanceId),
    /// Items put together by the component.
    Bag(IndexMap<&'p str, CoreItem>),
}

/// What a `LowerImport` key stands for until reachability has numbered lowers and adapters.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Trampoline {
    /// A lowered host function.
    Lower(Lower),
    /// A lifted function, lowered.
    Adapter {
        /// Its place in the list of lifts.
        lift: usize,
        /// The caller's options.
        lower: CanonOptions,
        sig: SigId,
    },
    /// A canonical built-in.
    Canon(CanonBuiltin),
    /// Something that is not supported yet; an error if it can be called.
    Unsupported {
        /// What it is.
        what: String,
        domain: DomainId,
        sig: SigId,
    },
}

/// A run-time step of instantiation.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    /// Applies the active data segment `segment` of an instance.
    Data {
        instance: CoreInstanceId,
        segment: usize,
        memory: MemoryId,
        offset: u64,
    },
    /// Applies the active element segment `segment` of an instance.
    Elem {
        instance: CoreInstanceId,
        segment: usize,
        table: TableId,
        offset: u64,
    },
    Start {
        domain: DomainId,
        callee: CoreCallee,
    },
    Trap(Trap),
}
