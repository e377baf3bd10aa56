//! The items of component index spaces during abstract instantiation.
//!
//! A core function is a [`CoreFunc`] here. It gets its `FuncKey` from reachability, which numbers
//! the canonical definitions that are compiled.

use crate::ir::CanonBuiltin;
use crate::parse::ComponentIndex;
use indexmap::IndexMap;
use mintage_environ::component::{CanonOptions, InterfaceType, LoweredImport};
use mintage_environ::{
    CoreInstanceId, DomainId, FuncIndex, GlobalId, ImportId, Index, MemoryId, ModuleId, ResourceId,
    SigId, TableId, TagId, Trap,
};
use std::rc::Rc;

/// The exports of a component instance.
pub(super) type Exports<'p> = IndexMap<&'p str, Item<'p>>;

/// An item of a component.
#[derive(Clone)]
pub(super) enum Item<'p> {
    Func(FuncItem),
    Instance(Rc<Exports<'p>>),
    /// A component of the binary, with the items that it captures from enclosing components.
    Component(ComponentIndex, Rc<[Item<'p>]>),
    Module(ModuleId),
    Type(TypeItem),
    /// A module that the root imports under this name and that the host has not supplied. It cannot
    /// be instantiated.
    HostModule(Rc<str>),
    /// A component that the root imports. Hosts cannot supply components.
    HostComponent,
}

/// A component function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FuncItem {
    /// A function of the host.
    Import(ImportId),
    /// A lifted core function.
    Lift(CanonLiftId),
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
pub(crate) enum CoreItem {
    Func(CoreFunc),
    Memory(MemoryId),
    Table(TableId),
    Global(GlobalId),
    Tag(TagId),
}

/// A core function by its definition. It belongs to the component instance that names it, since
/// core items never cross components.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct CoreFunc {
    pub def: FuncDef,
    pub sig: SigId,
}

/// The definition of a core function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum FuncDef {
    /// Function `func` of a core module; not an import.
    Core {
        instance: CoreInstanceId,
        func: FuncIndex,
    },
    /// A canonical definition.
    Trampoline(TrampolineId),
}

macro_rules! index {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub(crate) struct $name(u32);

        impl Index for $name {
            fn from_u32(raw: u32) -> Self {
                Self(raw)
            }

            fn as_u32(self) -> u32 {
                self.0
            }
        }
    )*};
}

index! {
    /// A `canon lift` of any component instance. Those that exports name have a `LiftId` besides.
    CanonLiftId;
    /// A canonical definition that makes a core function.
    TrampolineId;
}

/// An entry of the core instance index space.
pub(super) enum CoreInstanceItem<'p> {
    Instance(CoreInstanceId),
    /// Items that the component groups.
    Bag(IndexMap<&'p str, CoreItem>),
}

/// A canonical definition that makes a core function.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Trampoline {
    /// A lowered host function.
    Lower(LoweredImport<CoreFunc>),
    /// A lifted function, lowered.
    Adapter {
        lift: CanonLiftId,
        /// The caller's options.
        lower: CanonOptions<CoreFunc>,
        sig: SigId,
    },
    /// A canonical built-in.
    Canon(CanonBuiltin<CoreFunc>),
    /// A definition that is not supported: an error if it can be called.
    Unsupported {
        /// Its name in messages.
        what: String,
        domain: DomainId,
        sig: SigId,
    },
}

/// A step of instantiation at run time.
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
        callee: CoreFunc,
    },
    Trap(Trap),
}
