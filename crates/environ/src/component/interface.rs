//! What a compiled component asks of its host and gives to it: the part of an artifact that the
//! embedding API reads.

use super::types::{ComponentTypes, InterfaceType};
use crate::{
    CoreInstanceId, DataId, DomainId, ElemId, FuncKey, FuncTypeId, GlobalId, ImportId, IndexVec,
    LiftId, LowerId, MemoryId, ObjectTypes, ResourceId, SigId, Signatures, TableId, Trap, ValType,
};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

/// The encoding of a guest's strings (`string-encoding` canonical option).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[repr(u32)]
pub enum StringEncoding {
    /// UTF-8.
    #[default]
    Utf8,
    /// UTF-16, little endian.
    Utf16,
    /// Latin-1, or UTF-16 when the tag bit of the length is set.
    CompactUtf16,
}

impl StringEncoding {
    /// The encoding with this number: the inverse of `as u32`, which machine code passes to
    /// builtins.
    pub const fn from_u32(raw: u32) -> Option<Self> {
        match raw {
            0 => Some(Self::Utf8),
            1 => Some(Self::Utf16),
            2 => Some(Self::CompactUtf16),
            _ => None,
        }
    }
}

/// A core function that the host calls, with the signature that selects its entry adapter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CoreCallee {
    /// The function.
    pub key: FuncKey,
    /// Its signature.
    pub sig: SigId,
}

/// Canonical options of a lift or lower (CanonicalABI.md, "Canonical ABI Options").
///
/// `F` is the name of a core function. It is a [`CoreCallee`] except while the program is built.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CanonOptions<F = CoreCallee> {
    /// The component instance that the options belong to.
    pub domain: DomainId,
    /// `string-encoding`.
    pub string_encoding: StringEncoding,
    /// `memory`.
    pub memory: Option<MemoryId>,
    /// `realloc`.
    pub realloc: Option<F>,
}

impl<F> CanonOptions<F> {
    /// Renames the core functions.
    pub fn map<G>(self, name: impl FnMut(F) -> G) -> CanonOptions<G> {
        let Self {
            domain,
            string_encoding,
            memory,
            realloc,
        } = self;
        CanonOptions {
            domain,
            string_encoding,
            memory,
            realloc: realloc.map(name),
        }
    }

    /// Returns the core functions that the options name.
    pub fn functions(&self) -> impl Iterator<Item = &F> {
        self.realloc.iter()
    }
}

/// A core function of the component, lifted (`canon lift`). `F` is the name of a core function, as
/// in [`CanonOptions`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lift<F = CoreCallee> {
    /// Its component type.
    pub ty: FuncTypeId,
    /// The core function.
    pub callee: F,
    /// Options.
    pub options: CanonOptions<F>,
    /// `post-return`.
    pub post_return: Option<F>,
}

impl<F> Lift<F> {
    /// Renames the core functions.
    pub fn map<G>(self, mut name: impl FnMut(F) -> G) -> Lift<G> {
        let Self {
            ty,
            callee,
            options,
            post_return,
        } = self;
        Lift {
            ty,
            callee: name(callee),
            options: options.map(&mut name),
            post_return: post_return.map(name),
        }
    }

    /// Returns the core functions that calling the lifted function can call directly.
    pub fn functions(&self) -> impl Iterator<Item = &F> {
        let own = [Some(&self.callee), self.post_return.as_ref()];
        own.into_iter().flatten().chain(self.options.functions())
    }
}

/// A host function, lowered (`canon lower`). `F` is the name of a core function, as in
/// [`CanonOptions`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Lower<F = CoreCallee> {
    /// The host function.
    pub import: ImportId,
    /// Options.
    pub options: CanonOptions<F>,
    /// The core signature that the guest sees.
    pub sig: SigId,
}

impl<F> Lower<F> {
    /// Renames the core functions.
    pub fn map<G>(self, name: impl FnMut(F) -> G) -> Lower<G> {
        let Self {
            import,
            options,
            sig,
        } = self;
        Lower {
            import,
            options: options.map(name),
            sig,
        }
    }
}

/// A function that the root component imports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportFunc {
    /// Names from the root inwards: one for a function at the root, two for a function of an
    /// imported instance, ...
    pub path: Box<[Box<str>]>,
    /// Its type.
    pub ty: FuncTypeId,
}

/// An import of the root component.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Import {
    /// A function.
    Func(ImportId),
    /// An instance with its items.
    Instance(IndexMap<Box<str>, Import>),
    /// A value type.
    Type(InterfaceType),
    /// A resource type, given by the host.
    Resource(ResourceId),
    /// An item that plays no part at run time: a component or function type.
    Static,
}

/// What a resource type is. There is one for each resource type that the root imports, and one for
/// each time that a component which defines the type is instantiated. `F` is the name of a core
/// function, as in [`CanonOptions`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Resource<F = CoreCallee> {
    /// A resource of the host.
    Imported {
        /// Names from the root inwards, where the type is imported first; other imports may be
        /// equal to it.
        path: Box<[Box<str>]>,
    },
    /// A resource of a component instance.
    Defined {
        /// The instance.
        domain: DomainId,
        /// The destructor, with the representation as its parameter. `None` also when nothing can
        /// drop a handle.
        dtor: Option<F>,
    },
}

impl<F> Resource<F> {
    /// Renames the core functions.
    pub fn map<G>(self, name: impl FnMut(F) -> G) -> Resource<G> {
        match self {
            Resource::Imported { path } => Resource::Imported { path },
            Resource::Defined { domain, dtor } => Resource::Defined {
                domain,
                dtor: dtor.map(name),
            },
        }
    }

    /// Returns the destructor that the component defines.
    pub fn dtor(&self) -> Option<&F> {
        match self {
            Resource::Imported { .. } => None,
            Resource::Defined { dtor, .. } => dtor.as_ref(),
        }
    }
}

/// An export of the root component.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Export {
    /// A function of the component.
    Func(LiftId),
    /// A function of the host, exported again.
    ImportedFunc(ImportId),
    /// An instance with its items.
    Instance(IndexMap<Box<str>, Export>),
    /// A value type.
    Type(InterfaceType),
    /// A resource type.
    Resource(ResourceId),
    /// An item that plays no part at run time: a component, a core module, a component or function
    /// type.
    Static,
}

/// A step of instantiation that is not part of the image, in order. The image holds every data and
/// element segment that is in bounds and goes to a memory or table which no code can have seen: all
/// segments before the first start function, and those behind it that go to a memory or table of
/// their own core instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Initializer {
    /// Copies a whole data segment to a constant place (an active segment behind a start function),
    /// then drops it.
    Data {
        /// The segment.
        data: DataId,
        /// Where to.
        memory: MemoryId,
        /// Byte offset in the memory.
        offset: u64,
    },
    /// Copies a whole element segment to a constant place (an active segment behind a start
    /// function), then drops it.
    Elem {
        /// The segment.
        elem: ElemId,
        /// Where to.
        table: TableId,
        /// First entry.
        offset: u64,
    },
    /// Calls a core start function, which has no parameters and results.
    Start {
        /// The domain whose `ctx` it gets.
        domain: DomainId,
        /// The function.
        callee: CoreCallee,
    },
    /// Traps: a segment is out of bounds.
    Trap(Trap),
}

/// All that the embedding API needs to know of a component.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ComponentInterface {
    /// Component types.
    pub types: ComponentTypes,
    /// Core function types.
    pub signatures: Signatures,
    /// Struct and array types.
    pub objects: ObjectTypes,
    /// Imports by name.
    pub imports: IndexMap<Box<str>, Import>,
    /// All imported functions, nested ones included.
    pub import_funcs: IndexVec<ImportId, ImportFunc>,
    /// Lowered host functions that reachable code can call: the host table.
    pub lowers: IndexVec<LowerId, Lower>,
    /// All resource types.
    pub resources: IndexVec<ResourceId, Resource>,
    /// Lifted core functions that exports name.
    pub lifts: IndexVec<LiftId, Lift>,
    /// Exports by name.
    pub exports: IndexMap<Box<str>, Export>,
    /// Run-time steps of instantiation.
    pub initializers: Vec<Initializer>,
    /// Exports of core instances, listed only when `Tunables::core_exports` is set.
    pub core_exports: Vec<CoreExport>,
}

impl ComponentInterface {
    /// The resource types of the host, in the order in which their destructors follow the lowered
    /// functions in the host table.
    pub fn host_resources(&self) -> impl Iterator<Item = (ResourceId, &[Box<str>])> {
        self.resources
            .iter()
            .filter_map(|(id, resource)| match resource {
                Resource::Imported { path } => Some((id, &**path)),
                Resource::Defined { .. } => None,
            })
    }

    /// The entry of the host table with the destructor of a resource type of the host.
    pub fn host_dtor(&self, resource: ResourceId) -> Option<usize> {
        let position = self.host_resources().position(|(id, _)| id == resource)?;
        Some(self.lowers.len() + position)
    }
}

/// An export of a core instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CoreExport {
    /// The instance.
    pub instance: CoreInstanceId,
    /// The export's name.
    pub name: Box<str>,
    /// What it is.
    pub item: CoreItem,
}

/// An item of a core instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CoreItem {
    /// A function and the domain whose `ctx` it gets.
    Func(CoreCallee, DomainId),
    /// A memory.
    Memory(MemoryId),
    /// A table.
    Table(TableId),
    /// A global and its type. An immutable global has its value in the image, too.
    Global(GlobalId, ValType),
}
