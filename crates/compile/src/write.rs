//! Phase `write`: the artifact.

use crate::image::Imaged;
use crate::link::PlacedFunction;
use crate::{LaidOut, Options};
use anyhow::{Context, Result};
use mintage_artifact::{
    Contents, Function, Metadata, Piece, encode_addresses, encode_stack_maps, encode_traps,
    encode_unwind,
};
use mintage_environ::{
    CatchSite, FuncKey, IndexVec, ObjectTypeId, StackMap, Target, Tunables, ValType,
};
use mintage_program::{Module, Program};
use std::collections::HashMap;
use std::sync::Arc;

/// An artifact, and the plan from which it was written.
pub(crate) struct Written<'a> {
    pub imaged: Imaged<'a>,
    pub artifact: Vec<u8>,
}

/// Writes the artifact.
pub(crate) fn write<'a>(
    imaged: Imaged<'a>,
    target: &Target,
    tunables: &Tunables,
    options: &Options,
) -> Result<Written<'a>> {
    let linked = &imaged.linked;
    let LaidOut { program, .. } = &linked.laid_out;
    let encoded: Vec<(Vec<u8>, Vec<u8>)> = linked
        .functions
        .iter()
        .map(|function| {
            (
                encode_traps(&function.compiled.traps),
                encode_addresses(&function.compiled.addresses),
            )
        })
        .collect();
    let functions: Vec<Function<'_>> = linked
        .functions
        .iter()
        .zip(&encoded)
        .map(|(function, (traps, addresses))| Function {
            key: function.compiled.key,
            offset: function.offset,
            size: function.compiled.code.len() as u32,
            traps,
            addresses,
            name: function_name(program, function.compiled.key),
        })
        .collect();
    let module_name = |instance: &mintage_program::CoreInstance| {
        Some(truncated(program.modules.get(instance.module)?.name?))
    };
    let modules: Vec<_> = program.instances.values().map(module_name).collect();
    let image: Vec<Piece<'_>> = imaged.image.pieces().collect();
    let elems: IndexVec<_, _> = program
        .elems
        .values()
        .map(|values| linked.words(values))
        .collect::<Result<Vec<_>>>()
        .context("element segments")?
        .into();
    let artifact = mintage_artifact::write(Contents {
        metadata: metadata(&linked.laid_out, target, tunables),
        text: &linked.text,
        functions: &functions,
        modules: &modules,
        image: &image,
        unwind: &unwind(&linked.functions)?,
        stack_maps: &stack_maps(program, &linked.functions)?,
        data: &program.data,
        elems: &elems,
        symbols: options.symbols,
    })?;
    Ok(Written { imaged, artifact })
}

/// Returns the metadata, without file ranges.
fn metadata(laid_out: &LaidOut<'_>, target: &Target, tunables: &Tunables) -> Metadata {
    let LaidOut { program, layout } = laid_out;
    let globals = program.shape.globals.iter().zip(program.globals.values());
    let traced_globals =
        globals.filter(|((_, shape), global)| global.mutable && shape.ty.is_traced());
    let traced_tables = program
        .tables
        .iter()
        .filter(|(_, table)| table.mutable && ValType::Ref(table.element).is_traced());
    let tag_name = |tag: &mintage_program::Tag<'_>| tag.name.map(truncated).map(Box::from);
    Metadata {
        target: target.clone(),
        tunables: tunables.clone(),
        interface: program.interface.clone(),
        layout: layout.clone(),
        objects: program.objects.clone(),
        traced_globals: traced_globals.map(|((id, _), _)| id).collect(),
        traced_tables: traced_tables.map(|(id, _)| id).collect(),
        tags: program.tags.values().map(tag_name).collect(),
        ..Metadata::default()
    }
}

/// Encodes the table of exception handlers.
fn unwind(functions: &[PlacedFunction]) -> Result<Vec<u8>> {
    let is_core =
        |function: &PlacedFunction| matches!(function.compiled.key, FuncKey::CoreFunc { .. });
    let core_end = functions.partition_point(is_core);
    let core_end = functions
        .get(core_end)
        .map_or(u32::MAX, |function| function.offset);
    let mut sites = Vec::new();
    for PlacedFunction { offset, compiled } in functions {
        let mut placed = HashMap::new();
        for site in &compiled.catches {
            let place = |&(ty, handler): &(Option<ObjectTypeId>, u32)| (ty, offset + handler);
            let handlers: &mut Arc<[_]> = placed
                .entry(Arc::as_ptr(&site.handlers))
                .or_insert_with(|| site.handlers.iter().map(place).collect());
            sites.push(CatchSite {
                return_offset: offset + site.return_offset,
                frame_size: site.frame_size,
                handlers: handlers.clone(),
            });
        }
    }
    encode_unwind(core_end, &sites)
}

/// Encodes the table of stack maps.
fn stack_maps(program: &Program<'_>, functions: &[PlacedFunction]) -> Result<Vec<u8>> {
    let mut maps = Vec::new();
    for PlacedFunction { offset, compiled } in functions {
        let FuncKey::CoreFunc { instance, .. } = compiled.key else {
            continue;
        };
        let domain = program
            .instances
            .get(instance)
            .context("a function has no core instance")?
            .domain;
        maps.extend(compiled.stack_maps.iter().map(|map| {
            let map = StackMap {
                return_offset: offset + map.return_offset,
                slots: map.slots.clone(),
            };
            (domain, map)
        }));
    }
    encode_stack_maps(&maps)
}

/// Returns a function's name in the name section of its module.
fn function_name<'a>(program: &Program<'a>, key: FuncKey) -> Option<&'a str> {
    let FuncKey::CoreFunc { instance, func } = key else {
        return None;
    };
    let module: &Module<'a> = program
        .modules
        .get(program.instances.get(instance)?.module)?;
    let index = module
        .names
        .binary_search_by_key(&func, |&(named, _)| named)
        .ok()?;
    Some(truncated(module.names[index].1))
}

/// The maximum length in bytes of a name in an artifact, which has the names of a module once for
/// each of its instances.
const MAX_NAME: usize = 512;

/// Returns the first [`MAX_NAME`] bytes of a name, or fewer at the boundary of a character.
fn truncated(name: &str) -> &str {
    &name[..name.floor_char_boundary(MAX_NAME)]
}
