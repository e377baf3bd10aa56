//! Wraps core modules in a component. Mintage runs components only, so the modules of a core script
//! become core instances of a component.

use crate::{collector, spectest};
use hashbrown::{HashMap, HashSet};
use mintage::error::{Result, bail};
use std::rc::Rc;
use wasm_encoder::{ComponentBuilder, Encode, Module, ModuleArg, RawSection, Section};
use wasmparser::{BinaryReader, ImportSectionReader, Imports, Parser, Payload};

/// Builds a component that contains `module` but does not instantiate it. It is valid exactly if
/// the module is.
pub(crate) fn validation_only(module: &[u8]) -> Vec<u8> {
    let mut component = ComponentBuilder::default();
    component.core_module_raw(None, module);
    component.finish()
}

/// A valid core module that can be instantiated in a component.
pub(crate) struct CoreModule {
    /// The binary. Its imports have unique pairs of names, which components require.
    pub(crate) bytes: Vec<u8>,
    /// One instantiation argument per imported module name: the name in `bytes` and the name in the
    /// script.
    args: Vec<(String, String)>,
    /// Whether the module defines a memory, a table, a mutable global or a tag. Instances of such a
    /// module cannot be copied, since their identity matters.
    pub(crate) has_state: bool,
}

impl CoreModule {
    /// Parses a module and makes its import names unique.
    ///
    /// # Errors
    ///
    /// Fails if the module is malformed.
    pub(crate) fn parse(bytes: &[u8]) -> Result<CoreModule> {
        let mut module = CoreModule {
            bytes: bytes.to_vec(),
            args: Vec::new(),
            has_state: false,
        };
        for payload in Parser::new(0).parse_all(bytes) {
            match payload? {
                Payload::ImportSection(section) => {
                    let range = section.range();
                    let (start, end) = (range.start as usize, range.end as usize);
                    if let Some(renamed) = module.read_imports(bytes, section)? {
                        let header = section_start(bytes, start, end)?;
                        let section = RawSection {
                            id: wasm_encoder::SectionId::Import.into(),
                            data: &renamed,
                        };
                        module.bytes.truncate(header);
                        section.append_to(&mut module.bytes);
                        module.bytes.extend_from_slice(&bytes[end..]);
                    }
                }
                Payload::MemorySection(section) => module.has_state |= section.count() > 0,
                Payload::TableSection(section) => module.has_state |= section.count() > 0,
                Payload::TagSection(section) => module.has_state |= section.count() > 0,
                Payload::GlobalSection(section) => {
                    for global in section {
                        module.has_state |= global?.ty.mutable;
                    }
                }
                _ => {}
            }
        }
        Ok(module)
    }

    /// Returns the module names that the module in the script imports from.
    pub(crate) fn imported_modules(&self) -> impl Iterator<Item = &str> {
        self.args.iter().map(|(_, original)| original.as_str())
    }

    /// Fills in `args`. If pairs of names are repeated, returns the contents of an import section
    /// with unique ones: the second import of `"m" "x"` gets another module name, and the same
    /// instance as argument.
    fn read_imports(
        &mut self,
        bytes: &[u8],
        section: ImportSectionReader<'_>,
    ) -> Result<Option<Vec<u8>>> {
        let end = section.range().end as usize;
        let mut imports = Vec::new();
        for import in section {
            let Imports::Single(start, import) = import? else {
                bail!("compact imports are not supported")
            };
            imports.push((start as usize, import.module, import.name));
        }
        let ends = imports
            .iter()
            .skip(1)
            .map(|import| import.0)
            .chain([end])
            .collect::<Vec<_>>();
        let mut used = imports
            .iter()
            .map(|import| import.1.to_string())
            .collect::<HashSet<_>>();
        let mut aliases: HashMap<(&str, usize), String> = HashMap::new();
        let mut seen: HashMap<(&str, &str), usize> = HashMap::new();
        let mut contents = Vec::new();
        imports.len().encode(&mut contents);
        for (&(start, module, name), end) in imports.iter().zip(ends) {
            let repeated = seen.entry((module, name)).or_insert(0);
            let alias = aliases.entry((module, *repeated)).or_insert_with(|| {
                let alias = match *repeated {
                    0 => module.to_string(),
                    count => unused_name(&mut used, module, count),
                };
                self.args.push((alias.clone(), module.to_string()));
                alias
            });
            *repeated += 1;
            alias.as_str().encode(&mut contents);
            name.encode(&mut contents);
            let mut reader = BinaryReader::new(&bytes[start..end], start as u64);
            reader.read_string()?;
            reader.read_string()?;
            contents.extend_from_slice(&bytes[reader.original_position() as usize..end]);
        }
        Ok(seen.values().any(|&count| count > 1).then_some(contents))
    }
}

/// Returns the offset of the import section with contents `start..end`. Its header, the section id
/// and the size in LEB128, comes before `start`.
fn section_start(bytes: &[u8], start: usize, end: usize) -> Result<usize> {
    let is_header = |&header: &usize| {
        let mut reader = BinaryReader::new(&bytes[header + 1..start], 0);
        let import_section: u8 = wasm_encoder::SectionId::Import.into();
        bytes[header] == import_section
            && reader
                .read_var_u32()
                .is_ok_and(|size| size as usize == end - start)
            && reader.eof()
    };
    match (8..start.saturating_sub(1)).rev().take(5).find(is_header) {
        Some(header) => Ok(header),
        None => bail!("the import section at {start} has no header"),
    }
}

/// Returns a module name that is not in `used`, and adds it.
fn unused_name(used: &mut HashSet<String>, module: &str, mut count: usize) -> String {
    loop {
        let name = format!("{module}#{count}");
        if used.insert(name.clone()) {
            return name;
        }
        count += 1;
    }
}

/// An instance of a module or component that is linked with others.
pub(crate) struct Member<M = CoreModule> {
    /// The module or component.
    pub(crate) module: Rc<M>,
    /// The position of the member that provides each imported name. An import that neither a member
    /// nor the runner provides makes the component invalid.
    pub(crate) providers: HashMap<String, usize>,
}

/// A component of linked core modules.
pub(crate) struct LinkedModules {
    /// The binary of the component.
    pub(crate) bytes: Vec<u8>,
    /// Index of the core instance that is the first member. The other members follow.
    pub(crate) first_instance: u32,
}

/// Builds a module that scripts import without defining it.
type MakeModule = fn() -> Module;

/// The modules that the runner provides, by name.
const PROVIDED: [(&str, MakeModule); 2] = [
    (spectest::NAME, spectest::module),
    (collector::NAME, collector::module),
];

/// Builds a component that instantiates `members` in order, each linked to earlier ones and to the
/// modules that the runner provides.
pub(crate) fn linked(members: &[Member]) -> LinkedModules {
    let mut component = ComponentBuilder::default();
    let mut provided = HashMap::new();
    for (name, module) in PROVIDED {
        let imports = |member: &Member| {
            let mut names = member.module.imported_modules();
            names.any(|import| import == name) && !member.providers.contains_key(name)
        };
        if members.iter().any(imports) {
            let module = component.core_module(None, &module());
            provided.insert(name, component.core_instantiate(None, module, []));
        }
    }
    let first_instance = provided.len() as u32;
    for member in members {
        let module = component.core_module_raw(None, &member.module.bytes);
        let args = member.module.args.iter().filter_map(|(alias, original)| {
            let provider = match member.providers.get(original) {
                Some(&position) => first_instance + position as u32,
                None => *provided.get(original.as_str())?,
            };
            Some((alias.as_str(), ModuleArg::Instance(provider)))
        });
        component.core_instantiate(None, module, args.collect::<Vec<_>>());
    }
    LinkedModules {
        bytes: component.finish(),
        first_instance,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasmparser::Validator;

    fn member(text: &str, providers: &[(&str, usize)]) -> Member {
        let module = CoreModule::parse(&wat::parse_str(text).unwrap()).unwrap();
        let providers = providers
            .iter()
            .map(|&(name, position)| (name.to_string(), position))
            .collect();
        Member {
            module: Rc::new(module),
            providers,
        }
    }

    fn validate(members: &[Member]) -> Result<(), String> {
        Validator::new()
            .validate_all(&linked(members).bytes)
            .map(drop)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn every_item_of_spectest_can_be_imported() {
        let text = r#"(module
            (import "spectest" "print" (func))
            (import "spectest" "print_i32" (func (param i32)))
            (import "spectest" "print_i64" (func (param i64)))
            (import "spectest" "print_f32" (func (param f32)))
            (import "spectest" "print_f64" (func (param f64)))
            (import "spectest" "print_i32_f32" (func (param i32 f32)))
            (import "spectest" "print_f64_f64" (func (param f64 f64)))
            (import "spectest" "global_i32" (global i32))
            (import "spectest" "global_i64" (global i64))
            (import "spectest" "global_f32" (global f32))
            (import "spectest" "global_f64" (global f64))
            (import "spectest" "memory" (memory 1 2))
            (import "spectest" "table" (table 10 20 funcref)))"#;
        validate(&[member(text, &[])]).unwrap();
    }

    #[test]
    fn repeated_imports_get_separate_arguments() {
        let text = r#"(module
            (import "spectest" "print_i32" (func $a (param i32)))
            (import "spectest" "print_i32" (func $b (param i32)))
            (import "spectest#1" "x" (global i32))
            (import "spectest" "print_i64" (func $c (param i64)))
            (func (export "run") (call $a (i32.const 1)) (call $b (i32.const 2)) (call $c
              (i64.const 3))))"#;
        let provider = member(r#"(module (global (export "x") i32 (i32.const 0)))"#, &[]);
        let member = member(text, &[("spectest#1", 0)]);
        assert_eq!(member.module.args.len(), 3, "{:?}", member.module.args);
        validate(&[provider, member]).unwrap();
    }

    #[test]
    fn unknown_and_mistyped_imports_are_invalid() {
        let unknown =
            validate(&[member(r#"(module (import "none" "x" (func)))"#, &[])]).unwrap_err();
        assert!(unknown.contains("none"), "{unknown}");
        let mistyped = validate(&[member(
            r#"(module (import "spectest" "print" (func (result i32))))"#,
            &[],
        )])
        .unwrap_err();
        assert!(mistyped.contains("mismatch"), "{mistyped}");
    }

    #[test]
    fn mutable_definitions_and_tags_are_state() {
        for (text, has_state) in [
            (
                r#"(module (func (export "f")) (global i32 (i32.const 1)))"#,
                false,
            ),
            ("(module (memory 0))", true),
            ("(module (table 0 funcref))", true),
            ("(module (global (mut i32) (i32.const 1)))", true),
            ("(module (tag))", true),
        ] {
            assert_eq!(member(text, &[]).module.has_state, has_state, "{text}");
        }
    }
}
