//! The program as text, for `mintage inspect` and tests. It is compact and stable, and shows every
//! decision.

use crate::ir::{Const, Program, StaticValues};
use mintage_environ::component::{
    CanonOptions, CoreCallee, CoreItem, Export, Import, Initializer, Resource, StringEncoding,
};
use mintage_environ::{CoreInstanceId, FuncKey, Printable, RefType};
use std::fmt::{self, Display, Formatter};

/// The most values of a segment that are written.
const MAX_VALUES: usize = 8;
/// The most segments of the image that are listed. If there are more, only their number is written.
const MAX_SEGMENTS: usize = 32;

impl Display for Program<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.imports(f)?;
        self.exports(f)?;
        self.resources(f)?;
        self.domains(f)?;
        self.instances(f)?;
        self.objects(f)?;
        self.image(f)?;
        self.initializers(f)?;
        self.core_exports(f)?;
        self.functions(f)
    }
}

impl Program<'_> {
    fn imports(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let interface = &self.interface;
        let mut todo: Vec<_> = interface
            .imports
            .iter()
            .rev()
            .map(|(name, import)| (0, name, import))
            .collect();
        while let Some((depth, name, import)) = todo.pop() {
            write!(f, "{:1$}import {name}: ", "", depth * 2)?;
            match import {
                Import::Func(id) => {
                    writeln!(
                        f,
                        "{id:?} = {}",
                        interface.types.display_func(interface.import_funcs[*id].ty)
                    )?;
                }
                Import::Instance(items) => {
                    writeln!(f, "instance")?;
                    todo.extend(
                        items
                            .iter()
                            .rev()
                            .map(|(name, import)| (depth + 1, name, import)),
                    );
                }
                Import::Type(ty) => writeln!(f, "type {}", interface.types.display(*ty))?,
                Import::Resource(id) => writeln!(f, "{id:?}")?,
                Import::Static(item) => writeln!(f, "static {item:?}")?,
            }
        }
        Ok(())
    }

    fn exports(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let interface = &self.interface;
        let mut todo: Vec<_> = interface
            .exports
            .iter()
            .rev()
            .map(|(name, export)| (0, name, export))
            .collect();
        while let Some((depth, name, export)) = todo.pop() {
            write!(f, "{:1$}export {name}: ", "", depth * 2)?;
            match export {
                Export::Func(id) => writeln!(
                    f,
                    "{id:?} = {}",
                    interface.types.display_func(interface.lifts[*id].ty)
                )?,
                Export::ImportedFunc(id) => writeln!(f, "{id:?}")?,
                Export::Instance(items) => {
                    writeln!(f, "instance")?;
                    todo.extend(
                        items
                            .iter()
                            .rev()
                            .map(|(name, export)| (depth + 1, name, export)),
                    );
                }
                Export::Type(ty) => writeln!(f, "type {}", interface.types.display(*ty))?,
                Export::Resource(id) => writeln!(f, "{id:?}")?,
                Export::Static(item) => writeln!(f, "static {item:?}")?,
            }
        }
        for (id, lift) in interface.lifts.iter() {
            write!(f, "{id:?}: ")?;
            self.callee(f, lift.callee)?;
            self.options(f, &lift.options)?;
            if let Some(post_return) = lift.post_return {
                write!(f, " post-return={}", post_return.key)?;
            }
            if let Some(callback) = lift.callback {
                write!(f, " callback={}", callback.key)?;
            }
            writeln!(f, " calls={}", interface.lift_calls[id])?;
        }
        for (id, lower) in interface.lowers.iter() {
            write!(
                f,
                "{id:?}: {:?} {}",
                lower.import, interface.signatures[lower.sig]
            )?;
            self.options(f, &lower.options)?;
            writeln!(f)?;
        }
        for (id, adapter) in self.adapters.iter() {
            write!(
                f,
                "{id:?}: {} from",
                interface.types.display_func(adapter.ty)
            )?;
            self.options(f, &adapter.lower)?;
            write!(f, " to ")?;
            self.callee(f, adapter.lift.callee)?;
            self.options(f, &adapter.lift.options)?;
            if let Some(post_return) = adapter.lift.post_return {
                write!(f, " post-return={}", post_return.key)?;
            }
            if let Some(callback) = adapter.lift.callback {
                write!(f, " callback={}", callback.key)?;
            }
            if let Some(task) = &interface.tasks[id] {
                write!(f, " calls={}", task.calls)?;
            }
            writeln!(f)?;
        }
        Ok(())
    }

    /// Writes resource types and canonical built-ins.
    fn resources(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (id, resource) in self.interface.resources.iter() {
            match resource {
                Resource::Imported { path } => {
                    writeln!(f, "{id:?}: imported as {}", path.join(" "))?
                }
                Resource::Defined { domain, dtor } => {
                    write!(f, "{id:?}: of {domain:?}")?;
                    match dtor {
                        Some(dtor) => writeln!(f, " dtor={}", dtor.key)?,
                        None => writeln!(f)?,
                    }
                }
            }
        }
        for (id, builtin) in self.canons.iter() {
            write!(f, "{}: {}", FuncKey::Canon(id), builtin.op.name())?;
            if let Some(resource) = builtin.op.resource() {
                write!(f, " {resource:?}")?;
            }
            self.options(f, &builtin.options)?;
            writeln!(f)?;
        }
        Ok(())
    }

    fn domains(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (id, main) in self.shape.domains.iter() {
            match main {
                Some(memory) => writeln!(f, "{id:?}: main {memory:?}")?,
                None => writeln!(f, "{id:?}: no memory")?,
            }
        }
        let limits = |minimum: u64, maximum: Option<u64>| match maximum {
            Some(maximum) => format!("{minimum}..{maximum}"),
            None => format!("{minimum}.."),
        };
        for (id, memory) in self.shape.memories.iter() {
            writeln!(
                f,
                "{id:?}: {:?} {} pages",
                memory.domain,
                limits(memory.minimum, memory.maximum)
            )?;
        }
        for (id, table) in self.shape.tables.iter() {
            let init = &self.tables[id];
            let mutable = if init.mutable { " mutable" } else { "" };
            write!(
                f,
                "{id:?}: {:?} {} entries{mutable}",
                table.domain,
                limits(table.minimum, table.maximum)
            )?;
            match init.element {
                RefType::FUNC => {}
                element => write!(f, " of {element}")?,
            }
            match init.fill {
                Const::Null => writeln!(f)?,
                fill => writeln!(f, " filled with {fill}")?,
            }
        }
        for (id, global) in self.shape.globals.iter() {
            let mutable = if self.globals[id].mutable { "mut " } else { "" };
            writeln!(
                f,
                "{id:?}: {:?} {mutable}{} = {}",
                global.domain, global.ty, self.globals[id].init
            )?;
        }
        for (id, tag) in self.tags.iter() {
            write!(
                f,
                "{id:?}: {:?} {}",
                tag.domain, self.interface.signatures[tag.sig]
            )?;
            match tag.name {
                Some(name) => writeln!(f, " ({})", Printable(name))?,
                None => writeln!(f)?,
            }
        }
        Ok(())
    }

    fn instances(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (id, instance) in self.instances.iter() {
            write!(f, "{id:?}: {:?}", instance.module)?;
            if let Some(name) = self.modules[instance.module].name {
                write!(f, " ({name})")?;
            }
            write!(f, " in {:?}", instance.domain)?;
            list(
                f,
                "memories",
                instance.memories.iter().map(|id| format!("{id:?}")),
            )?;
            list(
                f,
                "tables",
                instance.tables.iter().map(|id| format!("{id:?}")),
            )?;
            list(
                f,
                "globals",
                instance.globals.iter().map(|id| format!("{id:?}")),
            )?;
            list(f, "tags", instance.tags.iter().map(|id| format!("{id:?}")))?;
            let segment = |id: Option<String>| id.unwrap_or_else(|| "-".into());
            let data = instance
                .data
                .iter()
                .map(|id| segment(id.map(|id| format!("{id:?}"))));
            let elems = instance
                .elems
                .iter()
                .map(|id| segment(id.map(|id| format!("{id:?}"))));
            if instance.data.iter().any(Option::is_some) {
                list(f, "data", data)?;
            }
            if instance.elems.iter().any(Option::is_some) {
                list(f, "elems", elems)?;
            }
            writeln!(f)?;
            for (func, callee) in instance.imported_funcs.iter().enumerate() {
                match callee.key {
                    FuncKey::LowerImport(id) if id == crate::CoreInstance::NEVER_CALLED => {
                        writeln!(f, "  f{func} = never called")?;
                    }
                    key => writeln!(f, "  f{func} = {key}")?,
                }
            }
        }
        for (id, data) in self.data.iter() {
            writeln!(f, "{id:?}: {} bytes", data.len())?;
        }
        for (id, values) in self.elems.iter() {
            writeln!(f, "{id:?}: {}", Values(values))?;
        }
        Ok(())
    }

    fn image(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.image_data.len() > MAX_SEGMENTS {
            let bytes = self
                .image_data
                .iter()
                .map(|data| data.bytes.len())
                .sum::<usize>();
            writeln!(
                f,
                "image: {} data segments, {bytes} bytes",
                self.image_data.len()
            )?;
        } else {
            for data in &self.image_data {
                writeln!(
                    f,
                    "image: {:?} {:#x}: {} bytes",
                    data.memory,
                    data.offset,
                    data.bytes.len()
                )?;
            }
        }
        if self.image_elems.len() > MAX_SEGMENTS {
            let values = self
                .image_elems
                .iter()
                .map(|elems| elems.values.len())
                .sum::<usize>();
            writeln!(
                f,
                "image: {} element segments, {values} entries",
                self.image_elems.len()
            )?;
        } else {
            for elems in &self.image_elems {
                writeln!(
                    f,
                    "image: {:?} {}: {}",
                    elems.table,
                    elems.offset,
                    Values(&elems.values)
                )?;
            }
        }
        Ok(())
    }

    /// Writes object types, and the objects that are in heaps from the start.
    fn objects(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (id, ty) in self.interface.objects.iter() {
            writeln!(f, "{id:?}: {ty}, {} subtypes", ty.subtypes)?;
        }
        for (at, object) in self.statics.iter().enumerate().take(MAX_SEGMENTS) {
            let (domain, ty, reference) = (object.domain, object.ty, object.reference);
            write!(f, "static{at}: {domain:?} {ty:?} at {reference:#x}: ")?;
            match &object.values {
                StaticValues::Each(values) => writeln!(f, "{}", Values(values))?,
                StaticValues::Same(value, count) => writeln!(f, "{count} times {value}")?,
            }
        }
        if self.statics.len() > MAX_SEGMENTS {
            writeln!(f, "{} static objects in all", self.statics.len())?;
        }
        Ok(())
    }

    fn initializers(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for initializer in &self.interface.initializers {
            match initializer {
                Initializer::Data {
                    data,
                    memory,
                    offset,
                } => writeln!(f, "then: {data:?} to {memory:?} {offset:#x}")?,
                Initializer::Elem {
                    elem,
                    table,
                    offset,
                } => writeln!(f, "then: {elem:?} to {table:?} {offset}")?,
                Initializer::Start { domain, callee } => {
                    writeln!(f, "then: call {} in {domain:?}", callee.key)?
                }
                Initializer::Trap(trap) => writeln!(f, "then: {trap}")?,
            }
        }
        Ok(())
    }

    fn core_exports(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for export in &self.interface.core_exports {
            write!(f, "core export {:?} {}: ", export.instance, export.name)?;
            match export.item {
                CoreItem::Func(callee, _) => {
                    self.callee(f, callee)?;
                    writeln!(f)?;
                }
                CoreItem::Memory(id) => writeln!(f, "{id:?}")?,
                CoreItem::Table(id) => writeln!(f, "{id:?}")?,
                CoreItem::Global(id, ty) => writeln!(f, "{id:?} {ty}")?,
            }
        }
        Ok(())
    }

    /// Writes the reachable functions as ranges, and the signatures of entries.
    fn functions(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut ranges: Vec<(CoreInstanceId, u32, u32)> = Vec::new();
        for key in &self.reachable {
            let FuncKey::CoreFunc { instance, func } = *key else {
                continue;
            };
            match ranges.last_mut() {
                Some((last, _, end)) if *last == instance && *end + 1 == func.as_u32() => *end += 1,
                _ => ranges.push((instance, func.as_u32(), func.as_u32())),
            }
        }
        for (id, instance) in self.instances.iter() {
            let own = ranges.iter().filter(|(instance, ..)| *instance == id);
            let count = own
                .clone()
                .map(|(_, start, end)| end - start + 1)
                .sum::<u32>();
            write!(
                f,
                "reachable in {id:?}: {count} of {}",
                self.modules[instance.module].bodies.len()
            )?;
            if own.clone().count() <= MAX_SEGMENTS {
                let range = |&(_, start, end): &(_, u32, u32)| {
                    if start == end {
                        format!("f{start}")
                    } else {
                        format!("f{start}-f{end}")
                    }
                };
                list(f, ":", own.map(range))?;
            }
            writeln!(f)?;
        }
        for &sig in &self.entries {
            writeln!(f, "entry {}", self.interface.signatures[sig])?;
        }
        Ok(())
    }

    fn callee(&self, f: &mut Formatter<'_>, callee: CoreCallee) -> fmt::Result {
        write!(
            f,
            "{} {}",
            callee.key, self.interface.signatures[callee.sig]
        )
    }

    fn options(&self, f: &mut Formatter<'_>, options: &CanonOptions) -> fmt::Result {
        write!(f, " in {:?}", options.domain)?;
        match options.string_encoding {
            StringEncoding::Utf8 => {}
            StringEncoding::Utf16 => write!(f, " utf16")?,
            StringEncoding::CompactUtf16 => write!(f, " latin1+utf16")?,
        }
        if let Some(memory) = options.memory {
            write!(f, " memory={memory:?}")?;
        }
        if let Some(realloc) = options.realloc {
            write!(f, " realloc={}", realloc.key)?;
        }
        if options.is_async {
            write!(f, " async")?;
        }
        Ok(())
    }
}

fn list(f: &mut Formatter<'_>, name: &str, items: impl Iterator<Item = String>) -> fmt::Result {
    let items = items.collect::<Vec<_>>();
    if items.is_empty() {
        return Ok(());
    }
    // Lists are written as `, name a b c`, and after a colon directly.
    let separator = if name == ":" { "" } else { ", " };
    write!(f, "{separator}{name} {}", items.join(" "))
}

/// The first values of a segment.
struct Values<'v>(&'v [Const]);

impl Display for Values<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let shown = self
            .0
            .iter()
            .take(MAX_VALUES)
            .map(|value| value.to_string())
            .collect::<Vec<_>>();
        write!(f, "[{}", shown.join(", "))?;
        if self.0.len() > MAX_VALUES {
            write!(f, ", ... {} in all", self.0.len())?;
        }
        f.write_str("]")
    }
}

impl Display for Const {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Const::I32(value) => write!(f, "{value}"),
            Const::I64(value) => write!(f, "{value}"),
            Const::F32(bits) => write!(f, "{:?}", f32::from_bits(*bits)),
            Const::F64(bits) => write!(f, "{:?}", f64::from_bits(*bits)),
            Const::V128(bits) => write!(f, "{bits:#034x}"),
            Const::Null => f.write_str("null"),
            Const::Func(callee) => write!(f, "{}", callee.key),
            Const::I31(value) => write!(f, "i31 {value}"),
            Const::Object(at) => write!(f, "static{at}"),
        }
    }
}
