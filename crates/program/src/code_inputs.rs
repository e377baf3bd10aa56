//! [`CodeInputs`]: the part of a program that the machine code of all functions depends on.

use crate::{Global, Module, Program};
use serde::ser::{Serialize, Serializer};

/// All of a program that the machine code of each of its functions may depend on, to be
/// serialized: everything but the contents of memories and of mutable globals, the bodies of
/// functions that are not compiled into others, and where in the component these are. A function
/// depends on these inputs and its own body, but on no other body.
///
/// Functions whose inputs and bodies are the same bytes have the same machine code, for one layout
/// and the same settings. Every field of a program is named here, so that none is forgotten.
pub struct CodeInputs<'p, 'a>(pub &'p Program<'a>);

impl Serialize for CodeInputs<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Program {
            modules,
            instances,
            shape,
            tables,
            globals,
            tags,
            objects,
            // Machine code has the numbers of segments alone. Their lengths are in the shape.
            data: _,
            elems,
            // They are in memory before code runs.
            image_data: _,
            image_elems,
            statics,
            interface,
            adapters,
            canons,
            end_canons,
            reachable,
            entries,
        } = self.0;
        let modules: Vec<_> = modules.values().map(ModuleInputs).collect();
        // Machine code has the values of immutable ones. Those of others are in memory.
        let value = |global: &Global| (!global.mutable).then_some(global.init);
        let globals: Vec<_> = globals.values().map(value).collect();
        let data = (instances, shape, tables, globals, tags, objects);
        let constants = (elems, image_elems, statics);
        let functions = (adapters, canons, end_canons, reachable, entries);
        (modules, data, constants, interface, functions).serialize(serializer)
    }
}

struct ModuleInputs<'m, 'a>(&'m Module<'a>);

impl Serialize for ModuleInputs<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Module {
            types,
            funcs,
            imported_funcs,
            // Each of the others matters to its own function.
            bodies: _,
            inlinable,
            // For messages and symbols.
            names: _,
            name: _,
        } = self.0;
        let bodies = inlinable.iter().map(|&func| self.0.body(func));
        let bodies: Vec<_> = bodies.map(|body| body.map(|body| body.bytes)).collect();
        (types, funcs, imported_funcs, inlinable, bodies).serialize(serializer)
    }
}
