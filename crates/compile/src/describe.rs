//! The description of a component as text, for `mintage inspect`: its program and its slab layout.

use anyhow::Result;
use mintage_environ::component::ComponentInterface;
use mintage_environ::layout::SlabLayout;
use mintage_environ::{Features, Tunables};
use std::fmt::Write;

/// Returns the program of the component in `bytes` and its slab layout, as text.
///
/// # Errors
///
/// Returns the errors that [`compile`](crate::compile) returns in its phases `program` and
/// `layout`.
pub fn describe(bytes: &[u8], tunables: &Tunables) -> Result<String> {
    let program = mintage_program::build(bytes, tunables)?;
    let layout = SlabLayout::compute(&program.shape, tunables)?;
    let mut text = program.to_string();
    write_layout(&layout, &mut text)?;
    Ok(text)
}

/// Returns the imports and exports of the component in `bytes`, with their types. All features are
/// on.
///
/// # Errors
///
/// Returns an error if the bytes are not a valid component.
pub fn interface(bytes: &[u8]) -> Result<ComponentInterface> {
    mintage_program::interface(bytes, Features::all())
}

fn write_layout(layout: &SlabLayout, out: &mut String) -> Result<()> {
    writeln!(out, "slab {:#x} bytes of address space", layout.size)?;
    for (id, domain) in layout.domains.iter() {
        let (start, ctx, end) = (domain.start, domain.ctx, domain.end);
        writeln!(out, "  {id:?} {start:#x}..{end:#x}, ctx {ctx:#x}")?;
        if let Some(heap) = &domain.heap {
            let (offset, minimum, capacity) = (heap.offset, heap.minimum, heap.capacity);
            writeln!(
                out,
                "    GC heap ctx{offset:+#x}, two halves of {minimum} to {capacity} bytes"
            )?;
        }
        for (table, place) in layout.tables.iter().filter(|(_, place)| place.domain == id) {
            let (offset, minimum, maximum) = (place.offset, place.minimum, place.maximum);
            writeln!(
                out,
                "    {table:?} ctx{offset:+#x}, {minimum} to {maximum} entries"
            )?;
        }
        for (memory, place) in layout
            .memories
            .iter()
            .filter(|(_, place)| place.domain == id)
        {
            let (offset, minimum, capacity) = (place.offset, place.minimum, place.capacity);
            let check = match place.needs_check(0, 16) {
                true => "explicit bounds checks",
                false => "bounds checked by guard pages",
            };
            writeln!(
                out,
                "    {memory:?} ctx+{offset:#x}, {minimum} to {capacity} bytes, {check}"
            )?;
        }
        let globals = layout
            .globals
            .values()
            .filter(|slot| slot.domain == id)
            .count();
        writeln!(out, "    head from {:#x}: {globals} globals", domain.head)?;
    }
    Ok(())
}
