//! What a function under construction refers to.

use crate::abi;
use cranelift_codegen::ir::{
    AliasRegion, AliasRegionData, ExtFuncData, ExternalName, FuncRef, Function, GlobalValue,
    GlobalValueData, SigRef, Signature,
};
use hashbrown::HashMap;
use mintage_environ::{Builtin, FuncKey, GlobalId, MemoryId, SigId, TableId};

/// What memory accesses touch: no two of them overlap, so a store to one leaves what was loaded
/// from another valid.
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
    /// The words with the sizes of memories and tables and the lengths of segments.
    Sizes,
    /// The store's counter of fuel.
    Fuel,
    /// The words that say where the next object goes.
    HeapWords,
    /// The contents of objects.
    Objects,
}

/// Globals with a region of their own, per function: each region costs the code generator some work
/// in every block.
const MAX_GLOBAL_REGIONS: usize = 64;

/// The signatures, functions, symbols and alias regions that a function refers to, each declared
/// once.
#[derive(Default)]
pub(crate) struct Declarations {
    signatures: HashMap<SigId, SigRef>,
    functions: HashMap<FuncKey, FuncRef>,
    /// By function (none is the start of the text) and addend.
    symbols: HashMap<(Option<FuncKey>, i64), GlobalValue>,
    regions: HashMap<Region, AliasRegion>,
    global_regions: usize,
}

impl Declarations {
    /// Forgets everything, for the next function.
    pub fn clear(&mut self) {
        self.signatures.clear();
        self.functions.clear();
        self.symbols.clear();
        self.regions.clear();
        self.global_regions = 0;
    }

    /// The signature `sig` of a wasm function.
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

    /// A function that is called directly.
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

    /// The trampoline of a builtin of the runtime.
    pub fn builtin(&mut self, func: &mut Function, builtin: Builtin) -> FuncRef {
        self.function(func, FuncKey::Builtin(builtin), |func| {
            func.import_signature(abi::builtin_signature(builtin))
        })
    }

    /// The address of the first byte of the text.
    pub fn text_base(&mut self, func: &mut Function) -> GlobalValue {
        self.symbol(func, None, 0)
    }

    /// The offset of a function in the text plus `addend`: a constant that the linker fills in.
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
                // A near symbol is an address relative to the pc, a far one the symbol's absolute
                // value.
                colocated: key.is_none(),
                tls: false,
            })
        })
    }

    /// The alias region of `region`.
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
                description: format!("{region:?}").into(),
            })
        })
    }
}
