//! [`CodeInputs`]: the part of a program that its machine code depends on.

use crate::{Body, Module, Program};
use serde::ser::{Serialize, Serializer};

/// All of a program that its machine code depends on, to be serialized: everything but the contents
/// of memories, and where in the component a function is.
///
/// Programs whose inputs are the same bytes have the same machine code, for one layout and the same
/// settings. Every field of a program is named here, so that none is forgotten.
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
            bodies,
            // For messages and symbols.
            names: _,
            name: _,
        } = self.0;
        let bodies: Vec<_> = bodies.iter().map(BodyInputs).collect();
        (types, funcs, imported_funcs, bodies).serialize(serializer)
    }
}

struct BodyInputs<'b, 'a>(&'b Body<'a>);

impl Serialize for BodyInputs<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Locations in machine code are relative to the function's.
        let Body { bytes, offset: _ } = self.0;
        serializer.serialize_bytes(bytes)
    }
}
