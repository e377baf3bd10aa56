//! The [`Program`]: a component with all nesting resolved, as plain data.

use crate::parse;
use mintage_environ::component::{CanonOptions, ComponentInterface, CoreCallee, LiftedFunc};
use mintage_environ::layout::Shape;
use mintage_environ::objects::ObjectLayout;
use mintage_environ::{
    AdapterId, CanonId, CoreInstanceId, DataId, DomainId, ElemId, FuncIndex, FuncKey, FuncTypeId,
    GlobalId, HeapType, IndexVec, LowerId, MemoryId, ModuleId, ObjectTypeId, RefType, ResourceId,
    SigId, TableId, TagId, TypeId, ValType,
};
use wasmparser::UnpackedIndex;

/// A component as a closed world: every core instance, every import resolved, only the host's
/// functions open.
///
/// Borrows the component's bytes: function bodies and segments are not copied.
pub struct Program<'a> {
    /// Core modules, each once, however often it is instantiated.
    pub modules: IndexVec<ModuleId, Module<'a>>,
    /// Core instances in start order.
    pub instances: IndexVec<CoreInstanceId, CoreInstance>,
    /// Memories, tables, globals and run-time segments of all domains: the input of the slab
    /// layout.
    pub shape: Shape,
    /// The type of each table's entries, and what is in it at the start. Parallel to
    /// `shape.tables`.
    pub tables: IndexVec<TableId, TableInit>,
    /// Mutability and initial value of each global. Parallel to `shape.globals`.
    pub globals: IndexVec<GlobalId, Global>,
    /// The tags of exceptions.
    pub tags: IndexVec<TagId, Tag<'a>>,
    /// All types of objects: exceptions of each tag come last, in order of tags.
    pub objects: IndexVec<ObjectTypeId, ObjectLayout>,
    /// Data segments with run-time length, by program-wide number.
    pub data: IndexVec<DataId, &'a [u8]>,
    /// Element segments with run-time length, by program-wide number.
    pub elems: IndexVec<ElemId, Box<[Const]>>,
    /// Bytes that stand in memories before any code runs, in order (later ones overwrite earlier
    /// ones); all in bounds.
    pub image_data: Vec<ImageData<'a>>,
    /// Element segments that stand in tables before any code runs, in order; all in bounds.
    pub image_elems: Vec<ImageElems>,
    /// Objects that stand in heaps before any code runs.
    pub statics: Vec<StaticObject>,
    /// Imports, exports, lifts, lowers, types, signatures and run-time initializers.
    pub interface: ComponentInterface,
    /// Calls between component instances that reachable code can make.
    pub adapters: IndexVec<AdapterId, Adapter>,
    /// Canonical built-ins that reachable code can call.
    pub canons: IndexVec<CanonId, CanonBuiltin>,
    /// The keys of all functions to generate except builtins and entry adapters: reachable core
    /// functions, lowered imports, adapters and canonical built-ins, in key order.
    pub reachable: Vec<FuncKey>,
    /// The signatures of the core functions that the host calls, in order, each once: these need
    /// entry adapters.
    pub entries: Vec<SigId>,
}

/// A core module as it stands in the binary, with its types interned.
pub struct Module<'a> {
    /// The module's type index space.
    pub types: Vec<TypeId>,
    /// Type of every function, imports first, as the module declares it: an imported function can
    /// be of a subtype.
    pub funcs: IndexVec<FuncIndex, SigId>,
    /// How many functions are imported.
    pub imported_funcs: u32,
    /// Bodies of the functions that are not imported: the bytes between size field and end, and
    /// where they start in the component.
    pub bodies: Vec<Body<'a>>,
    /// Function names, sorted by index, each function once: those of the name section, else those
    /// of exports.
    pub names: Vec<(FuncIndex, &'a str)>,
    /// The module's own name, if the name section gives one.
    pub name: Option<&'a str>,
}

impl Module<'_> {
    /// The function type at `index` of the module's type index space; `None` when another type or
    /// none stands there.
    pub fn func_type(&self, index: u32) -> Option<SigId> {
        match self.types.get(index as usize) {
            Some(&TypeId::Func(sig)) => Some(sig),
            _ => None,
        }
    }

    /// The struct or array type at `index` of the module's type index space, likewise.
    pub fn object_type(&self, index: u32) -> Option<ObjectTypeId> {
        match self.types.get(index as usize) {
            Some(&TypeId::Object(id)) => Some(id),
            _ => None,
        }
    }

    /// A value type as the module's code and sections write it, or `None` when it is not supported.
    pub fn val_type(&self, ty: wasmparser::ValType) -> Option<ValType> {
        parse::val_type(ty, |index| self.type_at(index))
    }

    /// A reference type as the module writes it, likewise.
    pub fn ref_type(&self, ty: wasmparser::RefType) -> Option<RefType> {
        parse::ref_type(ty, |index| self.type_at(index))
    }

    /// What a reference refers to, as the module writes it, likewise.
    pub fn heap_type(&self, ty: wasmparser::HeapType) -> Option<HeapType> {
        parse::heap_type(ty, |index| self.type_at(index))
    }

    fn type_at(&self, index: UnpackedIndex) -> Option<TypeId> {
        match index {
            UnpackedIndex::Module(index) => self.types.get(index as usize).copied(),
            UnpackedIndex::RecGroup(_) | UnpackedIndex::Id(_) => None,
        }
    }
}

impl Program<'_> {
    /// The type of the exceptions of a tag.
    pub fn exception_type(&self, tag: TagId) -> ObjectTypeId {
        ObjectTypeId::from_u32((self.objects.len() - self.tags.len()) as u32 + tag.as_u32())
    }
}

/// A tag: what kind of exception one is.
#[derive(Clone, Copy, Debug)]
pub struct Tag<'a> {
    /// The component instance that it belongs to.
    pub domain: DomainId,
    /// Its function type: an exception carries the parameters.
    pub sig: SigId,
    /// Its name in the name section of the module that defines it, else that of its first export.
    pub name: Option<&'a str>,
}

/// The body of a function.
#[derive(Clone, Copy)]
pub struct Body<'a> {
    /// Locals and code.
    pub bytes: &'a [u8],
    /// Byte offset in the component.
    pub offset: usize,
}

/// One instantiation of a core module, with its index spaces resolved to program-wide entities.
pub struct CoreInstance {
    /// The module.
    pub module: ModuleId,
    /// The component instance that it belongs to: its `ctx`.
    pub domain: DomainId,
    /// What each imported function is, with its own type; functions behind these are the instance's
    /// own. A host function that no reachable code calls has no number and stands as
    /// [`NEVER_CALLED`](Self::NEVER_CALLED).
    pub imported_funcs: Vec<CoreCallee>,
    /// The module's memory index space.
    pub memories: Vec<MemoryId>,
    /// The module's table index space.
    pub tables: Vec<TableId>,
    /// The module's global index space.
    pub globals: Vec<GlobalId>,
    /// The module's tag index space.
    pub tags: Vec<TagId>,
    /// Data segments by index in the module: their run-time number, or `None` when no reachable
    /// code names the segment (an active segment that was applied to the image and is dropped from
    /// the start; naming it acts on an empty segment).
    pub data: Vec<Option<DataId>>,
    /// Element segments by index in the module, likewise.
    pub elems: Vec<Option<ElemId>>,
}

impl CoreInstance {
    /// The number that stands for an imported function which nothing reachable calls.
    pub const NEVER_CALLED: LowerId = LowerId::from_u32(u32::MAX);

    /// Function `func` of this instance of `module`, which has the number `id`: its key, and the
    /// type that it was defined with.
    pub fn callee(&self, id: CoreInstanceId, module: &Module<'_>, func: FuncIndex) -> CoreCallee {
        match self.imported_funcs.get(func.as_u32() as usize) {
            Some(&callee) => callee,
            None => CoreCallee {
                key: FuncKey::CoreFunc { instance: id, func },
                sig: module.funcs[func],
            },
        }
    }
}

/// A call from one component instance to another: a `canon lower` of a `canon lift`, fused. `F` is
/// the name of a core function, as in [`CanonOptions`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adapter<F = CoreCallee> {
    /// The component function's type.
    pub ty: FuncTypeId,
    /// The side of the callee: its core function, options and `post-return`.
    pub lift: LiftedFunc<F>,
    /// The side of the caller.
    pub lower: CanonOptions<F>,
    /// The core signature that the caller sees.
    pub sig: SigId,
}

impl<F> Adapter<F> {
    pub(crate) fn map<G>(self, mut name: impl FnMut(F) -> G) -> Adapter<G> {
        let Self {
            ty,
            lift,
            lower,
            sig,
        } = self;
        Adapter {
            ty,
            lift: lift.map(&mut name),
            lower: lower.map(name),
            sig,
        }
    }
}

/// A canonical built-in with its options (CanonicalABI.md, "Canonical Definitions"). `F` is the
/// name of a core function, as in [`CanonOptions`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CanonBuiltin<F = CoreCallee> {
    /// The built-in, with its immediates.
    pub op: CanonOp,
    /// Its options. The component instance is always set, the others where its definition names
    /// them.
    pub options: CanonOptions<F>,
    /// The core signature.
    pub sig: SigId,
}

impl<F> CanonBuiltin<F> {
    pub(crate) fn map<G>(self, name: impl FnMut(F) -> G) -> CanonBuiltin<G> {
        let Self { op, options, sig } = self;
        CanonBuiltin {
            op,
            options: options.map(name),
            sig,
        }
    }
}

/// The canonical built-ins.
///
/// To add one: add a variant, its row in [`name`](Self::name) and in the verifier's `canon`, and
/// its function to the code generator's `canon` folder. Abstract instantiation makes it of the
/// validator's definition (`inline/canon.rs`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CanonOp {
    /// Makes an owning handle of a representation.
    ResourceNew(ResourceId),
    /// Gets the representation behind a handle.
    ResourceRep(ResourceId),
    /// Removes a handle, and destroys what it owned.
    ResourceDrop(ResourceId),
    /// Makes a handle of a new error context with the message in memory.
    ErrorContextNew,
    /// Writes the message of an error context, and where it is.
    ErrorContextDebugMessage,
    /// Removes a handle of an error context.
    ErrorContextDrop,
}

impl CanonOp {
    /// Returns the name of the built-in in the text format.
    pub fn name(self) -> &'static str {
        match self {
            CanonOp::ResourceNew(_) => "resource.new",
            CanonOp::ResourceRep(_) => "resource.rep",
            CanonOp::ResourceDrop(_) => "resource.drop",
            CanonOp::ErrorContextNew => "error-context.new",
            CanonOp::ErrorContextDebugMessage => "error-context.debug-message",
            CanonOp::ErrorContextDrop => "error-context.drop",
        }
    }

    /// Returns the resource type whose handles it is for, if it is for those of one.
    pub fn resource(self) -> Option<ResourceId> {
        match self {
            CanonOp::ResourceNew(id) | CanonOp::ResourceRep(id) | CanonOp::ResourceDrop(id) => {
                Some(id)
            }
            CanonOp::ErrorContextNew
            | CanonOp::ErrorContextDebugMessage
            | CanonOp::ErrorContextDrop => None,
        }
    }
}

/// A value that is known at compile time. `F` is the name of a core function, as in
/// [`CanonOptions`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Const<F = CoreCallee> {
    /// 32-bit integer.
    I32(i32),
    /// 64-bit integer.
    I64(i64),
    /// Bits of a 32-bit float.
    F32(u32),
    /// Bits of a 64-bit float.
    F64(u64),
    /// Bits of a vector.
    V128(u128),
    /// Null reference of any type.
    Null,
    /// Reference to a function; always reachable.
    Func(F),
    /// A 31-bit integer, in the low bits of this one, as a reference.
    I31(u32),
    /// Reference to an object of the domain that stands in the heap from the start, by its place in
    /// [`Program::statics`].
    Object(u32),
}

impl<F> Const<F> {
    pub(crate) fn map<G>(self, name: impl FnOnce(F) -> G) -> Const<G> {
        match self {
            Const::I32(value) => Const::I32(value),
            Const::I64(value) => Const::I64(value),
            Const::F32(bits) => Const::F32(bits),
            Const::F64(bits) => Const::F64(bits),
            Const::V128(bits) => Const::V128(bits),
            Const::Null => Const::Null,
            Const::Func(func) => Const::Func(name(func)),
            Const::I31(value) => Const::I31(value),
            Const::Object(at) => Const::Object(at),
        }
    }
}

/// An object that a constant expression makes. It never moves, so that references to it are
/// constants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StaticObject<F = CoreCallee> {
    /// Whose heap it is in.
    pub domain: DomainId,
    /// The reference to it.
    pub reference: u32,
    /// Its type.
    pub ty: ObjectTypeId,
    /// The values of its fields or elements.
    pub values: StaticValues<F>,
}

impl<F> StaticObject<F> {
    pub(crate) fn map<G>(self, name: impl FnMut(F) -> G) -> StaticObject<G> {
        let Self {
            domain,
            reference,
            ty,
            values,
        } = self;
        StaticObject {
            domain,
            reference,
            ty,
            values: values.map(name),
        }
    }
}

/// The values of an object's fields or elements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StaticValues<F = CoreCallee> {
    /// One for each.
    Each(Box<[Const<F>]>),
    /// So many times the same.
    Same(Const<F>, u32),
}

impl<F: Copy> StaticValues<F> {
    /// The values in order, but only one of many that are the same.
    pub fn iter(&self) -> impl Iterator<Item = Const<F>> {
        let (each, same) = match self {
            StaticValues::Each(values) => (&values[..], None),
            StaticValues::Same(value, _) => (&[][..], Some(*value)),
        };
        each.iter().copied().chain(same)
    }
}

impl<F> StaticValues<F> {
    fn map<G>(self, mut name: impl FnMut(F) -> G) -> StaticValues<G> {
        match self {
            StaticValues::Each(values) => {
                let values = values.into_iter().map(|value| value.map(&mut name));
                StaticValues::Each(values.collect())
            }
            StaticValues::Same(value, count) => StaticValues::Same(value.map(name), count),
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            StaticValues::Each(values) => values.len(),
            StaticValues::Same(_, count) => *count as usize,
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A global; its domain and type stand in `Shape::globals`.
#[derive(Clone, Copy, Debug)]
pub struct Global<F = CoreCallee> {
    /// Whether code can write it. An immutable global is the constant `init` in machine code.
    pub mutable: bool,
    /// Its initial value.
    pub init: Const<F>,
}

impl<F> Global<F> {
    pub(crate) fn map<G>(self, name: impl FnOnce(F) -> G) -> Global<G> {
        let Self { mutable, init } = self;
        Global {
            mutable,
            init: init.map(name),
        }
    }
}

/// The initial contents of a table.
#[derive(Clone, Debug)]
pub struct TableInit {
    /// The type of its entries.
    pub element: RefType,
    /// What every entry holds before segments are applied.
    pub fill: Const,
    /// Whether reachable code, an export to the host or a run-time initializer can change the table
    /// or its size.
    pub mutable: bool,
}

/// Part of an active data segment.
pub struct ImageData<'a> {
    /// The memory.
    pub memory: MemoryId,
    /// Byte offset in the memory.
    pub offset: u64,
    /// The bytes.
    pub bytes: &'a [u8],
}

/// An active element segment.
pub struct ImageElems<F = CoreCallee> {
    /// The table.
    pub table: TableId,
    /// First entry.
    pub offset: u32,
    /// The values.
    pub values: Box<[Const<F>]>,
}

impl<F> ImageElems<F> {
    pub(crate) fn map<G>(self, mut name: impl FnMut(F) -> G) -> ImageElems<G> {
        let Self {
            table,
            offset,
            values,
        } = self;
        let values = values.into_iter().map(|value| value.map(&mut name));
        ImageElems {
            table,
            offset,
            values: values.collect(),
        }
    }
}
