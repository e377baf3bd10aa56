//! Random core modules that import from each other.

use arbitrary::Unstructured;
use mintage::core::{CoreRef, CoreVal};
use mintage::error::Result;
use mintage_environ::Features;
use std::convert::Infallible;
use wasm_encoder::reencode::{self, Reencode, RoundtripReencoder};
use wasm_encoder::{ComponentBuilder, ImportSection, ModuleArg, TypeSection};
use wasmparser::types::EntityType;
use wasmparser::{
    AbstractHeapType, FuncType, HeapType, Parser, RefType, ValType, Validator, WasmFeatures,
};

/// The size in bytes that a memory may grow to in every engine: small enough to compare it, and to
/// grow without a large reservation.
pub const MEMORY_LIMIT: usize = 2 << 20;

/// The number of entries that a table may grow to in every engine.
pub const TABLE_LIMIT: usize = 10_000;

/// Core modules that import from earlier ones.
pub struct LinkedModules {
    /// The modules, in the order in which they are instantiated.
    pub modules: Vec<Module>,
}

/// A module of [`LinkedModules`].
pub struct Module {
    /// The binary.
    pub bytes: Vec<u8>,
    /// Its exported functions.
    pub funcs: Vec<ExportedFunc>,
    /// Names of its exported globals.
    pub globals: Vec<String>,
    /// Names of its exported memories.
    pub memories: Vec<String>,
    /// The exports that a later module may import.
    imports: Vec<(String, EntityType)>,
    /// The types of the functions among `imports`, in order.
    types: Vec<FuncType>,
}

/// An exported function.
#[derive(Clone, Debug)]
pub struct ExportedFunc {
    /// The export's name.
    pub name: String,
    /// The types of its parameters.
    pub params: Vec<ValType>,
}

/// Returns all features of the core language that Mintage supports.
pub fn features() -> Features {
    Features {
        gc: true,
        custom_page_sizes: true,
        ..Features::default()
    }
}

/// Returns the name by which modules import from the module at `index`.
pub fn module_name(index: usize) -> String {
    format!("m{index}")
}

impl LinkedModules {
    /// Returns one to three random modules that use supported features.
    ///
    /// WebAssembly does not determine the bits of a NaN. The modules canonicalize NaNs themselves,
    /// unless `canonical_nans` says that the engines do.
    ///
    /// # Errors
    ///
    /// If the input is used up.
    pub fn arbitrary(
        u: &mut Unstructured<'_>,
        canonical_nans: bool,
    ) -> arbitrary::Result<LinkedModules> {
        let features = mintage_program::wasm_features(features());
        let mut linked = LinkedModules {
            modules: Vec::new(),
        };
        let count = [1, 1, 1, 2, 2, 3][u.choose_index(6)?];
        for _ in 0..count {
            let mut config = config(u, features, canonical_nans)?;
            config.available_imports = Some(linked.available_imports());
            let mut module = wasm_smith::Module::new(config, u)?;
            let fuel = [200, 1000, 5000][u.choose_index(3)?];
            module
                .ensure_termination(fuel)
                .map_err(|_| arbitrary::Error::IncorrectFormat)?;
            let bytes = unshared(&module.to_bytes()).and_then(|bytes| Module::new(bytes, features));
            linked
                .modules
                .push(bytes.map_err(|_| arbitrary::Error::IncorrectFormat)?);
        }
        Ok(linked)
    }

    /// Returns a module that imports everything that the modules so far export.
    fn available_imports(&self) -> Vec<u8> {
        let (mut types, mut imports) = (TypeSection::new(), ImportSection::new());
        let mut encoder = RoundtripReencoder;
        for (index, module) in self.modules.iter().enumerate() {
            let mut func_types = module.types.iter();
            for (name, ty) in &module.imports {
                let ty = match *ty {
                    EntityType::Func(_) => {
                        let count = types.len();
                        let ty = func_types.next().expect("one type for each function");
                        types
                            .ty()
                            .func_type(&encoder.func_type(ty.clone()).expect("no concrete types"));
                        wasm_encoder::EntityType::Function(count)
                    }
                    EntityType::Memory(ty) => encoder.memory_type(ty).expect("limits").into(),
                    EntityType::Table(ty) => {
                        encoder.table_type(ty).expect("no concrete types").into()
                    }
                    EntityType::Global(ty) => {
                        encoder.global_type(ty).expect("no concrete types").into()
                    }
                    EntityType::Tag(_) | EntityType::FuncExact(_) => continue,
                };
                imports.import(&module_name(index), name, ty);
            }
        }
        let mut module = wasm_encoder::Module::new();
        module.section(&types).section(&imports);
        module.finish()
    }

    /// Returns a component that instantiates the modules in order.
    pub fn component(&self) -> Vec<u8> {
        let mut component = ComponentBuilder::default();
        let names: Vec<String> = (0..self.modules.len()).map(module_name).collect();
        for (index, module) in self.modules.iter().enumerate() {
            let id = component.core_module_raw(None, &module.bytes);
            let args = names[..index].iter().map(String::as_str);
            let args = args.zip((0..).map(ModuleArg::Instance)).collect::<Vec<_>>();
            component.core_instantiate(None, id, args);
        }
        component.finish()
    }

    /// Returns the modules as files: name and content.
    pub fn guests(&self) -> Vec<(String, Vec<u8>)> {
        let modules = self.modules.iter().enumerate();
        modules
            .map(|(index, module)| (format!("{}.wasm", module_name(index)), module.bytes.clone()))
            .collect()
    }
}

impl Module {
    /// Reads the exports of a module.
    ///
    /// # Errors
    ///
    /// If the module is invalid.
    pub fn new(bytes: Vec<u8>, features: WasmFeatures) -> Result<Module> {
        let types = Validator::new_with_features(features).validate_all(&bytes)?;
        let mut module = Module {
            bytes: Vec::new(),
            funcs: Vec::new(),
            globals: Vec::new(),
            memories: Vec::new(),
            imports: Vec::new(),
            types: Vec::new(),
        };
        let refs = types.as_ref();
        for (name, ty) in refs.core_exports().into_iter().flatten() {
            let name = name.to_string();
            let importable = match ty {
                EntityType::Func(id) => {
                    let ty = types[id].unwrap_func();
                    let params = ty.params().to_vec();
                    module.funcs.push(ExportedFunc {
                        name: name.clone(),
                        params,
                    });
                    // The type of an imported function is written as a plain `(func ...)`: it is
                    // final, has no supertype, and is alone in its recursion group.
                    let sub = &types[id];
                    let group = refs.rec_group_elements(refs.rec_group_id_of(id));
                    let importable = sub.is_final
                        && sub.supertype_idxs.is_empty()
                        && group.len() == 1
                        && ty
                            .params()
                            .iter()
                            .chain(ty.results())
                            .all(|&ty| is_abstract(ty));
                    if importable {
                        module.types.push(ty.clone());
                    }
                    importable
                }
                EntityType::Global(ty) => {
                    module.globals.push(name.clone());
                    is_abstract(ty.content_type)
                }
                EntityType::Memory(ty) => {
                    module.memories.push(name.clone());
                    // The generator cannot read imported memories with custom page sizes.
                    ty.page_size_log2.is_none()
                }
                EntityType::Table(ty) => is_abstract(ValType::Ref(ty.element_type)),
                EntityType::Tag(_) | EntityType::FuncExact(_) => false,
            };
            if importable {
                module.imports.push((name, ty));
            }
        }
        module.bytes = bytes;
        Ok(module)
    }
}

/// Returns the module with its shared memories made unshared. Shared memories are not supported,
/// and atomic operators do not need them.
fn unshared(bytes: &[u8]) -> Result<Vec<u8>> {
    struct Unshare;
    impl Reencode for Unshare {
        type Error = Infallible;

        fn memory_type(
            &mut self,
            ty: wasmparser::MemoryType,
        ) -> Result<wasm_encoder::MemoryType, reencode::Error<Infallible>> {
            let ty = RoundtripReencoder.memory_type(ty)?;
            Ok(wasm_encoder::MemoryType {
                shared: false,
                ..ty
            })
        }
    }
    let mut module = wasm_encoder::Module::new();
    Unshare.parse_core_module(&mut module, Parser::new(0), bytes)?;
    Ok(module.finish())
}

/// Returns whether a type does not refer to a type of its module, so that it means the same in
/// another module.
fn is_abstract(ty: ValType) -> bool {
    let ValType::Ref(ty) = ty else { return true };
    !matches!(ty.heap_type(), HeapType::Concrete(_) | HeapType::Exact(_))
}

/// Returns settings of the generator: sizes that keep a case short, and some of the features.
fn config(
    u: &mut Unstructured<'_>,
    features: WasmFeatures,
    canonical_nans: bool,
) -> arbitrary::Result<wasm_smith::Config> {
    let mut some = |flags: WasmFeatures| -> arbitrary::Result<bool> {
        Ok(features.contains(flags) && u.ratio(3, 4)?)
    };
    let mut config = wasm_smith::Config {
        export_everything: true,
        bulk_memory_enabled: some(WasmFeatures::BULK_MEMORY)?,
        compact_imports_enabled: some(WasmFeatures::COMPACT_IMPORTS)?,
        custom_page_sizes_enabled: some(WasmFeatures::CUSTOM_PAGE_SIZES)?,
        exceptions_enabled: some(WasmFeatures::EXCEPTIONS)?,
        extended_const_enabled: some(WasmFeatures::EXTENDED_CONST)?,
        gc_enabled: some(WasmFeatures::GC | WasmFeatures::FUNCTION_REFERENCES)?,
        memory64_enabled: some(WasmFeatures::MEMORY64)?,
        multi_value_enabled: some(WasmFeatures::MULTI_VALUE)?,
        // Without reference types, the generator fails on segments of types other than `funcref`,
        // which it generates nevertheless.
        reference_types_enabled: true,
        relaxed_simd_enabled: some(WasmFeatures::RELAXED_SIMD)?,
        saturating_float_to_int_enabled: some(WasmFeatures::SATURATING_FLOAT_TO_INT)?,
        sign_extension_ops_enabled: some(WasmFeatures::SIGN_EXTENSION)?,
        simd_enabled: some(WasmFeatures::SIMD)?,
        tail_call_enabled: some(WasmFeatures::TAIL_CALL)?,
        threads_enabled: some(WasmFeatures::THREADS)?,
        limit_arrays_in_const_exprs: true,
        wide_arithmetic_enabled: some(WasmFeatures::WIDE_ARITHMETIC)?,
        ..wasm_smith::Config::default()
    };
    let many_memories = some(WasmFeatures::MULTI_MEMORY)?;
    config.max_memories = if many_memories {
        u.int_in_range(1..=3)?
    } else {
        1
    };
    config.max_tables = u.int_in_range(1..=4)?;
    config.min_types = 4;
    config.min_funcs = u.int_in_range(1..=6)?;
    config.min_globals = u.int_in_range(0..=3)?;
    config.min_memories = u32::from(u.ratio(4, 5)?);
    config.min_tables = u32::from(u.ratio(1, 2)?);
    config.max_instructions = u.int_in_range(10..=300)?;
    config.max_data_segments = 4;
    config.max_element_segments = 4;
    config.max_elements = 10;
    config.max_tags = 4;
    let memory = u.choose(&[0, 1, 1, 2, 4, 16])? << 16;
    config.max_memory32_bytes = memory;
    config.max_memory64_bytes = u128::from(memory);
    config.max_table_elements = u.int_in_range(0..=1000)?;
    config.memory_max_size_required = u.arbitrary()?;
    config.table_max_size_required = u.arbitrary()?;
    config.canonicalize_nans = !canonical_nans;
    // The generator does not know which relaxed operators produce NaNs.
    config.relaxed_simd_enabled &= canonical_nans;
    config.allow_floats = u.ratio(4, 5)?;
    config.disallow_traps = u.ratio(1, 2)?;
    config.allow_start_export = u.ratio(1, 8)?;
    Ok(config)
}

/// Returns random arguments of the given types, or `None` if a host cannot make a value of one of
/// them.
pub fn arguments(
    u: &mut Unstructured<'_>,
    params: &[ValType],
) -> arbitrary::Result<Option<Vec<CoreVal>>> {
    params.iter().map(|&ty| argument(u, ty)).collect()
}

fn argument(u: &mut Unstructured<'_>, ty: ValType) -> arbitrary::Result<Option<CoreVal>> {
    Ok(Some(match ty {
        ValType::I32 => CoreVal::I32(integer(u)? as i32),
        ValType::I64 => CoreVal::I64(integer(u)? as i64),
        ValType::F32 => {
            CoreVal::F32(float(u)?.map_or(u.arbitrary()?, |value| (value as f32).to_bits()))
        }
        ValType::F64 => CoreVal::F64(float(u)?.map_or(u.arbitrary()?, f64::to_bits)),
        ValType::V128 => CoreVal::V128(u.arbitrary()?),
        ValType::Ref(ty) => return reference(u, ty),
    }))
}

/// Returns a reference that a host can make, or `None` if there is none of this type.
fn reference(u: &mut Unstructured<'_>, ty: RefType) -> arbitrary::Result<Option<CoreVal>> {
    let HeapType::Abstract {
        ty: heap,
        shared: false,
    } = ty.heap_type()
    else {
        return Ok(None);
    };
    let word: u32 = u.arbitrary()?;
    let null = ty.is_nullable() && word.is_multiple_of(4);
    let some = |reference| if null { CoreRef::Null } else { reference };
    Ok(match heap {
        AbstractHeapType::Extern => Some(CoreVal::ExternRef(some(CoreRef::Host(word >> 2)))),
        AbstractHeapType::Any | AbstractHeapType::Eq | AbstractHeapType::I31 => {
            Some(CoreVal::AnyRef(some(CoreRef::I31(word >> 1))))
        }
        _ if !ty.is_nullable() => None,
        AbstractHeapType::Func | AbstractHeapType::NoFunc => Some(CoreVal::FuncRef(0)),
        AbstractHeapType::NoExtern => Some(CoreVal::ExternRef(CoreRef::Null)),
        AbstractHeapType::Exn | AbstractHeapType::NoExn => Some(CoreVal::ExnRef(CoreRef::Null)),
        AbstractHeapType::Struct | AbstractHeapType::Array | AbstractHeapType::None => {
            Some(CoreVal::AnyRef(CoreRef::Null))
        }
        _ => None,
    })
}

/// Returns a number that is small, large, near a power of two, or any.
fn integer(u: &mut Unstructured<'_>) -> arbitrary::Result<u64> {
    let any: u64 = u.arbitrary()?;
    Ok(match u.choose_index(4)? {
        0 => any % 16,
        1 => !(any % 16),
        2 => (1 << (any % 64)) - (any >> 63),
        _ => any,
    })
}

/// Returns a float at a boundary of some conversion, or `None` for any bits.
fn float(u: &mut Unstructured<'_>) -> arbitrary::Result<Option<f64>> {
    const BORDERS: [f64; 12] = [
        0.0,
        -0.0,
        0.5,
        -1.0,
        2147483648.0,
        -2147483649.0,
        4294967296.0,
        9223372036854775808.0,
        -9223372036854777856.0,
        18446744073709551616.0,
        f64::INFINITY,
        f64::NAN,
    ];
    Ok(match u.arbitrary()? {
        true => Some(*u.choose(&BORDERS)?),
        false => None,
    })
}
