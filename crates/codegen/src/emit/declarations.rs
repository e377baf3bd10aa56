//! [`Declarations`]: the signatures, functions, symbols and alias regions that a function under
//! construction refers to.

use crate::abi;
use cranelift_codegen::ir::{
    AliasRegion, AliasRegionData, ExtFuncData, ExternalName, FuncRef, Function, GlobalValue,
    GlobalValueData, SigRef, Signature,
};
use hashbrown::HashMap;
use mintage_environ::{Builtin, FuncKey, GlobalId, MemoryId, SigId, TableId};

/// A part of memory that accesses touch. Regions do not overlap, so a store to one leaves what was
/// loaded from another valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Region {
    /// The contents of a memory.
    Memory(MemoryId),
    /// The entries of a table.
    Table(TableId),
    /// A global.
    Global(GlobalId),
    /// All globals that have no region of their own.
    OtherGlobals,
    /// The words that hold sizes of memories and tables and lengths of segments.
    Sizes,
    /// The store's fuel counter.
    Fuel,
    /// The words that hold the next free place of the GC heap and its limit.
    HeapWords,
    /// The contents of GC objects.
    Objects,
}

impl Region {
    fn kind(self) -> &'static str {
        match self {
            Region::Memory(_) => "memory",
            Region::Table(_) => "table",
            Region::Global(_) | Region::OtherGlobals => "global",
            Region::Sizes => "sizes",
            Region::Fuel => "fuel",
            Region::HeapWords => "heap words",
            Region::Objects => "objects",
        }
    }
}

/// The number of globals in a function that have a region of their own. Each region costs the code
/// generator some work in every block.
const MAX_GLOBAL_REGIONS: usize = 64;

/// The declarations of one function, each made once.
#[derive(Default)]
pub(crate) struct Declarations {
    signatures: HashMap<SigId, SigRef>,
    functions: HashMap<FuncKey, FuncRef>,
    /// By function (`None` is the start of the text) and addend.
    symbols: HashMap<(Option<FuncKey>, i64), GlobalValue>,
    regions: HashMap<Region, AliasRegion>,
    global_regions: usize,
}

impl Declarations {
    /// Forgets everything before the next function.
    pub fn clear(&mut self) {
        self.signatures.clear();
        self.functions.clear();
        self.symbols.clear();
        self.regions.clear();
        self.global_regions = 0;
    }

    /// Returns signature `sig` of wasm functions, which `make` makes when it is first needed.
    pub fn signature(
        &mut self,
        func: &mut Function,
        sig: SigId,
        make: impl FnOnce() -> Signature,
    ) -> SigRef {
        *self
            .signatures
            .entry(sig)
            .or_insert_with(|| func.import_signature(make()))
    }

    /// Returns a function to be called directly. `signature` gives its signature when it is first
    /// needed.
    pub fn function(
        &mut self,
        func: &mut Function,
        key: FuncKey,
        signature: impl FnOnce(&mut Function) -> SigRef,
    ) -> FuncRef {
        if let Some(&known) = self.functions.get(&key) {
            return known;
        }
        let signature = signature(func);
        let name = func.declare_imported_user_function(abi::external_name(key));
        let declared = func.import_function(ExtFuncData {
            name: ExternalName::user(name),
            signature,
            colocated: true,
            patchable: false,
        });
        self.functions.insert(key, declared);
        declared
    }

    /// Returns the trampoline of a builtin of the runtime.
    pub fn builtin(&mut self, func: &mut Function, builtin: Builtin) -> FuncRef {
        self.function(func, FuncKey::Builtin(builtin), |func| {
            func.import_signature(abi::builtin_signature(builtin))
        })
    }

    /// Returns the address of the first byte of the text.
    pub fn text_base(&mut self, func: &mut Function) -> GlobalValue {
        self.symbol(func, None, 0)
    }

    /// Returns the offset of a function in the text plus `addend`, a constant that the linker fills
    /// in.
    pub fn text_offset(&mut self, func: &mut Function, key: FuncKey, addend: i64) -> GlobalValue {
        self.symbol(func, Some(key), addend)
    }

    fn symbol(&mut self, func: &mut Function, key: Option<FuncKey>, addend: i64) -> GlobalValue {
        *self.symbols.entry((key, addend)).or_insert_with(|| {
            let name =
                func.declare_imported_user_function(key.map_or(abi::TEXT_BASE, abi::external_name));
            func.create_global_value(GlobalValueData::Symbol {
                name: ExternalName::user(name),
                offset: addend.into(),
                // A colocated symbol is an address relative to the pc. Any other is the absolute
                // value of the symbol.
                colocated: key.is_none(),
                tls: false,
            })
        })
    }

    /// Returns the alias region of `region`.
    pub fn region(&mut self, func: &mut Function, mut region: Region) -> AliasRegion {
        if let Some(&known) = self.regions.get(&region) {
            return known;
        }
        if let Region::Global(_) = region {
            if self.global_regions == MAX_GLOBAL_REGIONS {
                region = Region::OtherGlobals;
            } else {
                self.global_regions += 1;
            }
        }
        let next = self.regions.len() as u32;
        *self.regions.entry(region).or_insert_with(|| {
            func.dfg.alias_regions.insert(AliasRegionData {
                user_id: next,
                // Numbers of the program would make equal functions differ.
                description: region.kind().into(),
            })
        })
    }
}
