//! Core modules as components.
//!
//! A core module becomes the only module of a component: its imports are host functions over
//! numbers, and its exported functions over numbers are those of the component.
//!
//! ```text
//! (component
//!   (import "m0" (instance (export "f0" (func (param "p0" s32) (result s32))) ...))
//!   (core module $module ...)
//!   (core func $f0 (canon lower (func "m0" "f0")))                     ;; no memory
//!   (core instance $i (instantiate $module (with "env" (instance (export "foo" (func $f0))))))
//!   (func (export "e0") (canon lift (core func $i "_start"))))
//! ```
//!
//! Names of core modules are any text, and those of components are not. So the component has
//! numbers for names, and a custom section with the names of the module, which [`finish`] puts back
//! when the program is built. Host and artifact never see the numbers.
//!
//! Core modules may import a name twice, as AssemblyScript's do, but not in a component. The copies
//! get names of their own.
//!
//! A lowered function cannot name the module's memory, which does not exist before the module is
//! instantiated with the function. [`finish`] adds this as well: each host function gets the
//! memory.

use crate::parse::{check_header, error_in, wasm_error};
use crate::{Program, wasm_features};
use anyhow::{Context, Error, Result, bail, ensure};
use indexmap::IndexMap;
use mintage_environ::component::{ComponentInterface, Import, MAX_FLAT_PARAMS, MAX_FLAT_RESULTS};
use mintage_environ::{Features, MemoryId, Printable, invalid, unsupported};
use std::borrow::Cow;
use std::collections::HashMap;
use wasm_encoder::{
    ComponentBuilder, ComponentExportKind, ComponentSection, ComponentTypeRef, ComponentValType,
    CustomSection, Encode, ExportKind, ImportSection, InstanceType, ModuleArg, PrimitiveValType,
    RawSection, Section,
};
use wasmparser::types::{CoreTypeId, EntityType, Types, TypesRef};
use wasmparser::{
    BinaryReader, CompositeInnerType, ExternalKind, FuncType, Import as CoreImport, Parser,
    Payload, TypeRef, ValType, ValidPayload, Validator,
};

/// The name of the custom section with the names of a module.
const SECTION: &str = "mintage.core-names";
/// The name under which modules export the memory that their host functions use.
const MEMORY: &str = "memory";

/// Returns a component around the core module in `bytes`.
///
/// Its imports are instances with the names of the modules that the module imports from, and
/// functions over `s32`, `s64`, `f32` and `f64` in them. It exports each function whose parameters
/// and result are such numbers, under its own name.
///
/// Function bodies are not validated.
///
/// # Errors
///
/// If the bytes are not a core module, if it is invalid, or if it imports anything else than
/// functions over numbers.
pub fn wrap(bytes: &[u8], features: Features) -> Result<Vec<u8>> {
    ensure!(
        Parser::is_core_wasm(bytes),
        invalid!("the input is not a core module in binary form")
    );
    let Module { types, memory } = Module::read(bytes, features)?;
    let types = types.as_ref();
    let imports = imports(types)?;
    let mut names = Names::default();
    let mut component = ComponentBuilder::default();

    let mut instances = Vec::new();
    for (at, (module, functions)) in imports.iter().enumerate() {
        let instance = format!("m{at}");
        let mut ty = InstanceType::new();
        for (at, (function, signature)) in functions.iter().enumerate() {
            let name = format!("f{at}");
            function_type(ty.ty().function(), signature);
            ty.export(&*name, ComponentTypeRef::Func(at as u32));
            names.add(&format!("{instance}.{name}"), function);
        }
        let ty = component.type_instance(None, &ty);
        instances.push(component.import(&*instance, ComponentTypeRef::Instance(ty)));
        names.add(&instance, module);
    }
    let (bytes, copies) = without_copies(bytes)?;
    let module = component.core_module_raw(None, &bytes);
    let aliases: Vec<Vec<u32>> = instances
        .iter()
        .zip(imports.values())
        .map(|(&instance, functions)| {
            let names = (0..functions.len()).map(|at| format!("f{at}"));
            names
                .map(|name| component.alias_export(instance, &name, ComponentExportKind::Func))
                .collect()
        })
        .collect();
    let lowered: Vec<Vec<u32>> = aliases
        .into_iter()
        .map(|functions| {
            let lower = |function| component.lower_func(None, function, []);
            functions.into_iter().map(lower).collect()
        })
        .collect();
    let mut arguments = Vec::new();
    for ((module, functions), lowered) in imports.iter().zip(lowered) {
        let mut exports: Vec<_> = functions
            .keys()
            .zip(lowered)
            .map(|(&name, function)| (name, ExportKind::Func, function))
            .collect();
        for copy in copies.iter().filter(|copy| copy.module == *module) {
            let original = functions.get_index_of(copy.original);
            let original = original.and_then(|at| exports.get(at)).copied();
            let (_, kind, function) = original.context("a copied import has no original")?;
            exports.push((&copy.name, kind, function));
        }
        let instance = component.core_instantiate_exports(None, exports);
        arguments.push((*module, ModuleArg::Instance(instance)));
    }
    let instance = component.core_instantiate(None, module, arguments);

    let exports = exports(types)?;
    let functions: Vec<u32> = exports
        .iter()
        .map(|(name, _)| component.core_alias_export(None, instance, name, ExportKind::Func))
        .collect();
    let types: Vec<u32> = exports
        .iter()
        .map(|(_, signature)| {
            let (ty, encoder) = component.type_function(None);
            function_type(encoder, signature);
            ty
        })
        .collect();
    let lifted: Vec<u32> = functions
        .into_iter()
        .zip(types)
        .map(|(function, ty)| component.lift_func(None, function, ty, []))
        .collect();
    for (at, ((name, _), function)) in exports.iter().zip(lifted).enumerate() {
        let export = format!("e{at}");
        component.export(&*export, ComponentExportKind::Func, function, None);
        names.add(&export, name);
    }
    names.with_memory = memory;
    Ok(names.prepend(&component.finish()))
}

/// A valid core module.
struct Module {
    types: Types,
    /// Whether host functions get its memory.
    memory: bool,
}

impl Module {
    fn read(bytes: &[u8], features: Features) -> Result<Module> {
        let mut validator = Validator::new_with_features(wasm_features(features));
        let mut root = None;
        for payload in Parser::new(0).parse_all(bytes) {
            let payload = payload.map_err(|error| error_in("core module", error))?;
            if let Payload::ExportSection(section) = &payload {
                for export in section.clone() {
                    let export = export.map_err(wasm_error)?;
                    ensure!(
                        export.name != MEMORY
                            || export.kind != ExternalKind::Memory
                            || export.index == 0,
                        unsupported!(
                            "the module exports memory {} as `{MEMORY}`, but host functions use \
                             its first memory; export that one",
                            export.index
                        )
                    );
                }
            }
            let valid = validator.payload(&payload);
            if let ValidPayload::End(types) =
                valid.map_err(|error| error_in("core module", error))?
            {
                root = Some(types);
            }
        }
        let types = root.context(invalid!("the module has no end"))?;
        let reference = types.as_ref();
        let memory = reference.memory_count() > 0 && !reference.memory_at(0).memory64;
        Ok(Module { types, memory })
    }
}

/// The imports of a module: the names that it imports from, with the functions.
type Imports<'t> = IndexMap<&'t str, IndexMap<&'t str, &'t FuncType>>;

/// Returns the imports of a module.
///
/// # Errors
///
/// If one of them is not a function over numbers.
fn imports(types: TypesRef<'_>) -> Result<Imports<'_>> {
    let mut imports = Imports::new();
    let mut refused = Vec::new();
    for (module, name, ty) in types.core_imports().into_iter().flatten() {
        let full_name = || format!("`{}.{}`", Printable(module), Printable(name));
        let ty = match ty {
            EntityType::Func(id) | EntityType::FuncExact(id) => function(types, id)?,
            other => {
                refused.push(format!("{} ({})", full_name(), kind(other)));
                continue;
            }
        };
        if let Err(why) = over_numbers(ty) {
            refused.push(format!("{} (a function with {why})", full_name()));
            continue;
        }
        let known = *imports.entry(module).or_default().entry(name).or_insert(ty);
        if known != ty {
            refused.push(format!("{} (with two types)", full_name()));
        }
    }
    if !refused.is_empty() {
        bail!(unsupported!(
            "a core module can import functions over numbers only, which the host defines; this \
             one imports {}",
            refused.join(", ")
        ));
    }
    Ok(imports)
}

/// An import that was a copy of another one.
struct Copied<'m> {
    module: &'m str,
    /// The name of both.
    original: &'m str,
    /// The new name of the copy.
    name: String,
}

/// Returns a module, all of whose imports are functions, with new names for imports that are copies
/// of others.
fn without_copies(bytes: &[u8]) -> Result<(Cow<'_, [u8]>, Vec<Copied<'_>>)> {
    let sections = Parser::new(0).parse_all(bytes);
    let sections = sections
        .collect::<Result<Vec<_>, _>>()
        .map_err(wasm_error)?;
    let imports = sections.iter().find_map(|section| match section {
        Payload::ImportSection(imports) => Some(imports.clone().into_imports()),
        _ => None,
    });
    let imports = imports.into_iter().flatten();
    let imports: Vec<CoreImport<'_>> = imports.collect::<Result<_, _>>().map_err(wasm_error)?;
    // The names that are in use, and whether an import has had each.
    let names = imports
        .iter()
        .map(|import| ((import.module, Cow::Borrowed(import.name)), false));
    let mut names: HashMap<(&str, Cow<'_, str>), bool> = names.collect();
    if names.len() == imports.len() {
        return Ok((bytes.into(), Vec::new()));
    }
    let mut copies = Vec::new();
    let mut renamed = ImportSection::new();
    for CoreImport { module, name, ty } in imports {
        let TypeRef::Func(ty) = ty else {
            bail!("a module with other imports than functions has none that can be copies")
        };
        let ty = wasm_encoder::EntityType::Function(ty);
        if names.insert((module, name.into()), true) == Some(false) {
            renamed.import(module, name, ty);
            continue;
        }
        let mut free = (2..).map(|number| format!("{name}#{number}"));
        let free = free.find(|free| !names.contains_key(&(module, Cow::Borrowed(free))));
        let free = free.context("no name is free")?;
        renamed.import(module, &free, ty);
        names.insert((module, free.clone().into()), true);
        copies.push(Copied {
            module,
            original: name,
            name: free,
        });
    }
    let mut out = bytes.get(..8).context("the module has no header")?.to_vec();
    for section in &sections {
        if let Payload::ImportSection(_) = section {
            Section::append_to(&renamed, &mut out);
        } else if let Some((id, range)) = section.as_section() {
            let data = bytes.get(range.start as usize..range.end as usize);
            let data = data.context(invalid!("the module ends within a section"))?;
            Section::append_to(&RawSection { id, data }, &mut out);
        }
    }
    Ok((out.into(), copies))
}

/// Returns the exported functions of a module that are functions over numbers.
///
/// # Errors
///
/// If the validator does not know a type.
fn exports(types: TypesRef<'_>) -> Result<Vec<(&str, &FuncType)>> {
    let mut exports = Vec::new();
    for (name, ty) in types.core_exports().into_iter().flatten() {
        if let EntityType::Func(id) | EntityType::FuncExact(id) = ty {
            exports.push((name, function(types, id)?));
        }
    }
    exports.retain(|(_, ty)| over_numbers(ty).is_ok());
    Ok(exports)
}

/// Returns the type of a function.
fn function(types: TypesRef<'_>, id: CoreTypeId) -> Result<&FuncType> {
    let ty = types.get(id).map(|ty| &ty.composite_type.inner);
    match ty {
        Some(CompositeInnerType::Func(ty)) => Ok(ty),
        _ => bail!("the validator lost a type (a bug in Mintage)"),
    }
}

/// Names the kind of an import.
fn kind(ty: EntityType) -> &'static str {
    match ty {
        EntityType::Func(_) | EntityType::FuncExact(_) => "a function",
        EntityType::Table(_) => "a table",
        EntityType::Memory(_) => "a memory",
        EntityType::Global(_) => "a global",
        EntityType::Tag(_) => "a tag",
    }
}

/// Checks that a function passes between host and module without a memory. The error says what it
/// has instead.
fn over_numbers(ty: &FuncType) -> Result<(), String> {
    let mut values = ty.params().iter().chain(ty.results());
    if let Some(value) = values.find(|&&value| number(value).is_none()) {
        return Err(format!("a value of type `{value}`"));
    }
    match (ty.params().len(), ty.results().len()) {
        (params, _) if params > MAX_FLAT_PARAMS => Err(format!("{params} parameters")),
        (_, results) if results > MAX_FLAT_RESULTS => Err(format!("{results} results")),
        _ => Ok(()),
    }
}

/// Returns the type in a component of a number of a core module.
fn number(ty: ValType) -> Option<PrimitiveValType> {
    match ty {
        ValType::I32 => Some(PrimitiveValType::S32),
        ValType::I64 => Some(PrimitiveValType::S64),
        ValType::F32 => Some(PrimitiveValType::F32),
        ValType::F64 => Some(PrimitiveValType::F64),
        ValType::V128 | ValType::Ref(_) => None,
    }
}

/// Writes the type of a function over numbers.
fn function_type(mut encoder: wasm_encoder::ComponentFuncTypeEncoder<'_>, ty: &FuncType) {
    let numbers = |types: &[ValType]| -> Vec<_> {
        let numbers = types.iter().filter_map(|&ty| number(ty));
        numbers.map(ComponentValType::Primitive).collect()
    };
    let names: Vec<_> = (0..ty.params().len()).map(|at| format!("p{at}")).collect();
    let params = names.iter().map(|name| &**name);
    let params: Vec<_> = params.zip(numbers(ty.params())).collect();
    encoder.params(params).result(numbers(ty.results()).pop());
}

/// The contents of the custom section.
#[derive(Default)]
struct Names {
    /// Whether the host functions get the memory of the module.
    with_memory: bool,
    /// The path of each import or export in the component, joined by dots, and its name in the
    /// module.
    names: Vec<(String, String)>,
}

impl Names {
    fn add(&mut self, path: &str, name: &str) {
        self.names.push((path.into(), name.into()));
    }

    /// Returns a component with the section as its first one.
    fn prepend(&self, component: &[u8]) -> Vec<u8> {
        let mut data = vec![self.with_memory.into()];
        self.names.len().encode(&mut data);
        for (path, name) in &self.names {
            path.encode(&mut data);
            name.encode(&mut data);
        }
        let section = CustomSection {
            name: SECTION.into(),
            data: data.into(),
        };
        let (header, rest) = component.split_at(8);
        let mut bytes = header.to_vec();
        ComponentSection::append_to_component(&section, &mut bytes);
        bytes.extend_from_slice(rest);
        bytes
    }

    /// Reads the section, if the component in `bytes` has one.
    fn read(bytes: &[u8]) -> Result<Option<Names>> {
        check_header(bytes)?;
        let Some(Ok(Payload::CustomSection(section))) = Parser::new(0).parse_all(bytes).nth(1)
        else {
            return Ok(None);
        };
        if section.name() != SECTION {
            return Ok(None);
        }
        let mut reader = BinaryReader::new(section.data(), section.data_offset());
        let mut names = Names {
            with_memory: reader.read_u8().map_err(wasm_error)? != 0,
            names: Vec::new(),
        };
        for _ in 0..reader.read_var_u32().map_err(wasm_error)? {
            let [path, name] = [(); 2].map(|()| reader.read_string().map_err(wasm_error));
            names.add(path?, name?);
        }
        Ok(Some(names))
    }
}

/// Puts the names of the core module back into the program of the component in `bytes`, if [`wrap`]
/// made the component, and gives its host functions the module's memory.
///
/// # Errors
///
/// If the component was changed after it was made.
pub(crate) fn finish(bytes: &[u8], program: &mut Program<'_>) -> Result<()> {
    let Some(names) = Names::read(bytes)? else {
        return Ok(());
    };
    names.put_back(&mut program.interface)?;
    if !names.with_memory {
        return Ok(());
    }
    let id = MemoryId::from_u32(0);
    for lower in program.interface.lowers.values_mut() {
        let memory = program.shape.memories.get(id);
        let fits =
            memory.is_some_and(|memory| memory.domain == lower.options.domain && !memory.index64);
        ensure!(fits, changed());
        lower.options.memory = Some(id);
    }
    Ok(())
}

/// As [`finish`], for an interface without a program.
pub(crate) fn finish_interface(bytes: &[u8], interface: &mut ComponentInterface) -> Result<()> {
    match Names::read(bytes)? {
        Some(names) => names.put_back(interface),
        None => Ok(()),
    }
}

impl Names {
    /// Puts the names of the module in the place of those of the component.
    fn put_back(&self, interface: &mut ComponentInterface) -> Result<()> {
        let names = self.names.iter();
        let names: HashMap<&str, &str> = names.map(|(path, name)| (&**path, &**name)).collect();
        let found = |path: &str| names.get(path).copied().ok_or_else(changed);
        for func in interface.import_funcs.values_mut() {
            let path = func.path.join(".");
            let instance = func.path.first().ok_or_else(changed)?;
            func.path = [found(instance)?, found(&path)?].map(Box::from).into();
        }
        let mut imports = IndexMap::new();
        for (instance, import) in std::mem::take(&mut interface.imports) {
            let Import::Instance(items) = import else {
                bail!(changed())
            };
            let mut named = IndexMap::new();
            for (name, item) in items {
                insert(&mut named, found(&format!("{instance}.{name}"))?, item)?;
            }
            insert(&mut imports, found(&instance)?, Import::Instance(named))?;
        }
        interface.imports = imports;
        let mut exports = IndexMap::new();
        for (name, export) in std::mem::take(&mut interface.exports) {
            insert(&mut exports, found(&name)?, export)?;
        }
        interface.exports = exports;
        Ok(())
    }
}

/// Adds an item under a name that no other has.
fn insert<T>(items: &mut IndexMap<Box<str>, T>, name: &str, item: T) -> Result<()> {
    ensure!(items.insert(name.into(), item).is_none(), changed());
    Ok(())
}

fn changed() -> Error {
    invalid!("the component was made of a core module, and was changed since then").into()
}
