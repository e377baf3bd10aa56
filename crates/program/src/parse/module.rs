//! Core modules: their sections as plain data.

use super::body::FuncFacts;
use super::error::wasm_error;
use super::types::TypeNumbers;
use crate::ir;
use anyhow::{Context, Result, bail};
use indexmap::IndexMap;
use mintage_environ::{FuncIndex, Index, IndexVec, SigId, unsupported};
use std::collections::HashMap;
use wasmparser::types::{CoreTypeId, Types};
use wasmparser::{
    ConstExpr, Data, Element, Export, ExternalKind, GlobalType, KnownCustom, MemoryType, Name,
    NameSectionReader, Payload, Table, TableInit, TableType, TypeRef,
};

/// The error for a module with a shared memory. Components have no threads that could share it.
const SHARED_MEMORY: &str = "a core module has a shared memory, which is not supported; compile \
    without it (no `-pthread`, no `--shared-memory`; atomic operators may stay)";

/// A valid core module.
pub(crate) struct CoreModule<'a> {
    /// The part that code generation needs.
    pub ir: ir::Module<'a>,
    pub imports: Vec<CoreImport<'a>>,
    /// The tables that it defines, with the expression that fills them.
    pub tables: Vec<(TableType, Option<ConstExpr<'a>>)>,
    /// The memories that it defines.
    pub memories: Vec<MemoryType>,
    /// The globals that it defines.
    pub globals: Vec<(GlobalType, ConstExpr<'a>)>,
    pub exports: IndexMap<&'a str, (ExternalKind, u32)>,
    pub start: Option<FuncIndex>,
    pub elements: Vec<Element<'a>>,
    pub data: Vec<Data<'a>>,
    /// The function types of the tags that it defines. Exceptions of a tag carry the parameters.
    pub tags: Vec<SigId>,
    /// Names of tags, by index: those of the name section, else those of exports.
    pub tag_names: HashMap<u32, &'a str>,
    /// The references of each function that it defines.
    pub facts: Vec<FuncFacts>,
}

/// An import of a core module.
pub(crate) struct CoreImport<'a> {
    pub module: &'a str,
    pub name: &'a str,
}

/// A core module that is being read, or whose types do not have numbers yet.
pub(super) struct ModuleBuilder<'a> {
    pub ir: ir::Module<'a>,
    module: CoreModuleParts<'a>,
    /// The validator's id of each type.
    pub types: Vec<CoreTypeId>,
    /// The type index of each function, imports first.
    funcs: Vec<u32>,
    /// The type index of each tag that it defines.
    tags: Vec<u32>,
}

#[derive(Default)]
struct CoreModuleParts<'a> {
    imports: Vec<CoreImport<'a>>,
    tables: Vec<(TableType, Option<ConstExpr<'a>>)>,
    memories: Vec<MemoryType>,
    globals: Vec<(GlobalType, ConstExpr<'a>)>,
    exports: IndexMap<&'a str, (ExternalKind, u32)>,
    start: Option<FuncIndex>,
    elements: Vec<Element<'a>>,
    data: Vec<Data<'a>>,
    tag_names: HashMap<u32, &'a str>,
}

impl<'a> ModuleBuilder<'a> {
    pub fn new() -> Self {
        let ir = ir::Module {
            types: Vec::new(),
            funcs: IndexVec::new(),
            imported_funcs: 0,
            bodies: Vec::new(),
            inlinable: Vec::new(),
            names: Vec::new(),
            name: None,
        };
        Self {
            ir,
            module: CoreModuleParts::default(),
            types: Vec::new(),
            funcs: Vec::new(),
            tags: Vec::new(),
        }
    }

    /// Takes the types after all sections have been read.
    pub fn end(&mut self, types: &Types) {
        let types = types.as_ref();
        self.types = (0..types.core_type_count_in_module())
            .map(|index| types.core_type_at_in_module(index))
            .collect();
    }

    pub fn finish(mut self, numbers: &TypeNumbers) -> Result<CoreModule<'a>> {
        let types = self.types.iter().map(|&id| numbers.get(id));
        self.ir.types = types
            .collect::<Option<_>>()
            .context("a type has no number (a bug in Mintage)")?;
        let funcs = self.funcs.iter().map(|&ty| self.ir.func_type(ty));
        self.ir.funcs = funcs
            .collect::<Option<_>>()
            .context("a function has no function type")?;
        let tags = self.tags.iter().map(|&ty| self.ir.func_type(ty));
        let tags = tags
            .collect::<Option<_>>()
            .context("a tag has no function type")?;
        self.complete_names();
        let CoreModuleParts {
            imports,
            tables,
            memories,
            globals,
            exports,
            start,
            elements,
            data,
            tag_names,
        } = self.module;
        Ok(CoreModule {
            ir: self.ir,
            imports,
            tables,
            memories,
            globals,
            exports,
            start,
            elements,
            data,
            tags,
            tag_names,
            facts: Vec::new(),
        })
    }

    /// Reads a valid section.
    pub fn section(&mut self, payload: Payload<'a>) -> Result<()> {
        match self.read_section(payload).map_err(wasm_error)? {
            Some(what) => bail!(unsupported!("{what}")),
            None => Ok(()),
        }
    }

    /// Reads a section, and returns an error if something in it is not supported.
    fn read_section(&mut self, payload: Payload<'a>) -> wasmparser::Result<Option<&'static str>> {
        let module = &mut self.module;
        match payload {
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    let import = import?;
                    if let TypeRef::Memory(MemoryType { shared: true, .. }) = import.ty {
                        return Ok(Some(SHARED_MEMORY));
                    }
                    if let TypeRef::Func(ty) | TypeRef::FuncExact(ty) = import.ty {
                        self.ir.imported_funcs += 1;
                        self.funcs.push(ty);
                    }
                    module.imports.push(CoreImport {
                        module: import.module,
                        name: import.name,
                    });
                }
            }
            Payload::FunctionSection(section) => {
                for ty in section {
                    self.funcs.push(ty?);
                }
            }
            Payload::TableSection(section) => {
                for table in section {
                    let Table { ty, init } = table?;
                    let init = match init {
                        TableInit::RefNull => None,
                        TableInit::Expr(expr) => Some(expr),
                    };
                    module.tables.push((ty, init));
                }
            }
            Payload::MemorySection(section) => {
                module.memories = section.into_iter().collect::<Result<_, _>>()?;
                if module.memories.iter().any(|memory| memory.shared) {
                    return Ok(Some(SHARED_MEMORY));
                }
            }
            Payload::TagSection(section) => {
                for tag in section {
                    self.tags.push(tag?.func_type_idx);
                }
            }
            Payload::GlobalSection(section) => {
                for global in section {
                    let global = global?;
                    module.globals.push((global.ty, global.init_expr));
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    let Export { name, kind, index } = export?;
                    module.exports.insert(name, (kind, index));
                }
            }
            Payload::StartSection { func, .. } => module.start = Some(FuncIndex::from_u32(func)),
            Payload::ElementSection(section) => {
                module.elements = section.into_iter().collect::<Result<_, _>>()?
            }
            Payload::DataSection(section) => {
                module.data = section.into_iter().collect::<Result<_, _>>()?
            }
            Payload::CustomSection(section) => {
                if let KnownCustom::Name(names) = section.as_known() {
                    self.names(names);
                }
            }
            // The validator keeps the types.
            _ => {}
        }
        Ok(None)
    }

    /// Names exported functions and tags without a name by their first export, and drops names of
    /// functions that do not exist.
    fn complete_names(&mut self) {
        let functions = self.ir.funcs.len();
        let names = &mut self.ir.names;
        names.retain(|(func, _)| func.index() < functions);
        let named = names.len();
        for (&name, &(kind, index)) in &self.module.exports {
            if kind == ExternalKind::Tag {
                self.module.tag_names.entry(index).or_insert(name);
            }
            let func = FuncIndex::from_u32(index);
            let is_named = names[..named]
                .binary_search_by_key(&func, |&(func, _)| func)
                .is_ok();
            if kind == ExternalKind::Func && !is_named {
                names.push((func, name));
            }
        }
        names.sort_by_key(|&(func, _)| func);
        names.dedup_by_key(|&mut (func, _)| func);
    }

    /// Reads a name section up to the first malformed part, as the specification asks.
    fn names(&mut self, section: NameSectionReader<'a>) {
        for subsection in section {
            match subsection {
                Ok(Name::Module { name, .. }) => self.ir.name = Some(name),
                Ok(Name::Function(names)) => {
                    let names = names.map_while(Result::ok);
                    self.ir.names = names
                        .map(|naming| (FuncIndex::from_u32(naming.index), naming.name))
                        .collect();
                }
                Ok(Name::Tag(names)) => {
                    let names = names.into_iter().map_while(Result::ok);
                    self.module.tag_names =
                        names.map(|naming| (naming.index, naming.name)).collect();
                }
                Ok(_) => {}
                Err(_) => return,
            }
        }
    }
}
