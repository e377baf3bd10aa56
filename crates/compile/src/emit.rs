//! Phase `write`: the artifact's bytes.

use crate::image::{Imaged, PAGE_SIZE};
use crate::{LaidOut, Options};
use anyhow::{Context, Result};
use mintage_artifact::{Contents, Function, Metadata, encode_addresses, encode_traps};
use mintage_environ::{FuncKey, IndexVec, Target, Tunables};
use mintage_program::{Module, Program};

/// An artifact, and the plan that it was made by.
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
    let LaidOut { program, layout } = &linked.laid_out;
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
    let module_name = |instance: &mintage_program::CoreInstance| program.modules.get(instance.module)?.name;
    let modules: Vec<_> = program.instances.values().map(module_name).collect();
    let image: Vec<(u64, &[u8; PAGE_SIZE])> = imaged.image.pages().collect();
    let elems: IndexVec<_, _> = program
        .elems
        .values()
        .map(|values| linked.words(values))
        .collect::<Result<Vec<_>>>()
        .context("element segments")?
        .into();
    let metadata = Metadata {
        target: target.clone(),
        tunables: tunables.clone(),
        interface: program.interface.clone(),
        layout: layout.clone(),
        ..Metadata::default()
    };
    let artifact = mintage_artifact::write(Contents {
        metadata,
        text: &linked.text,
        functions: &functions,
        modules: &modules,
        image: &image,
        data: &program.data,
        elems: &elems,
        symbols: options.symbols,
    })?;
    Ok(Written { imaged, artifact })
}

/// The name that a function's module gives it.
fn function_name<'a>(program: &Program<'a>, key: FuncKey) -> Option<&'a str> {
    let FuncKey::CoreFunc { instance, func } = key else {
        return None;
    };
    let module: &Module<'a> = program.modules.get(program.instances.get(instance)?.module)?;
    let index = module.names.binary_search_by_key(&func, |&(named, _)| named).ok()?;
    Some(module.names[index].1)
}
