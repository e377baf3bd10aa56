//! From the form in which Cranelift returns a compiled function to [`UnboundFunction`].

use crate::isa;
use crate::unbound::{NO_LOCATION, UnboundFunction, UnboundRelocation};
use anyhow::{Context as _, Result, bail};
use cranelift_codegen::ir::{
    ExternalName, Function, SourceLoc, TrapCode, UserExternalName, UserStackMap,
};
use cranelift_codegen::isa::TargetIsa;
use cranelift_codegen::{
    CompiledCode, Final, FinalizedMachCallSite, FinalizedMachExceptionHandler, FinalizedMachReloc,
    FinalizedRelocTarget, MachSrcLoc,
};
use mintage_environ::{
    Builtin, CatchSite, FrameSlots, FuncKey, Handlers, ObjectTypeId, StackMap, Trap,
};
use std::collections::HashSet;
use std::hash::Hash;
use std::ops::Range;
use std::sync::Arc;

/// Copies the result of one compilation out of the code generator, whose own form of it is too
/// large to keep.
///
/// # Errors
///
/// When the code has a reference that a linker of position-independent text cannot resolve. That is
/// an internal error, because no instruction that this crate emits needs such a reference.
pub(crate) fn copy_out(
    compiled: &CompiledCode,
    func: &Function,
    isa: &dyn TargetIsa,
    address_map: bool,
) -> Result<UnboundFunction> {
    let buffer = &compiled.buffer;
    let relocations = buffer.relocs().iter().map(relocation);
    let mut relocations = relocations.collect::<Result<Vec<_>>>()?;
    relocations.sort_by_key(|relocation| relocation.offset);
    let traps = buffer
        .traps()
        .iter()
        .map(|site| Ok((site.offset, trap(site.code)?)));
    let mut traps = traps.collect::<Result<Vec<_>>>()?;
    traps.sort_by_key(|&(offset, _)| offset);
    let sites = buffer
        .call_sites()
        .filter(|site| !site.exception_handlers.is_empty());
    let mut lists = HashSet::new();
    let mut catches = sites
        .map(|site| catch_site(site, &mut lists))
        .collect::<Result<Vec<_>>>()?;
    catches.sort_by_key(|site| site.return_offset);
    let mut sets = HashSet::new();
    let stack_maps = buffer.user_stack_maps().iter();
    let mut stack_maps = stack_maps
        .map(|(offset, span, map)| stack_map(*offset, *span, map, &mut sets))
        .collect::<Result<Vec<_>>>()?;
    stack_maps.retain(|map| !map.slots.is_empty());
    stack_maps.sort_by_key(|map| map.return_offset);
    let mut code = buffer.data().to_vec();
    isa::adapt(isa, &mut code, &traps);
    let addresses = if address_map {
        let start = func.params.base_srcloc();
        addresses(start, buffer.get_srclocs_sorted(), buffer.total_size())
    } else {
        Vec::new()
    };
    let check_in = FuncKey::Builtin(Builtin::CheckIn);
    let check_in = UserExternalName::new(check_in.namespace(), check_in.index());
    let names = func.params.user_named_funcs();
    let check_in = names.iter().find(|(_, name)| **name == check_in);
    let check_ins = relocations
        .iter()
        .filter(|call| check_in.is_some_and(|(name, _)| call.name == name.as_u32()));
    let check_ins: Vec<u32> = check_ins.map(|call| call.offset).collect();
    let starts = &compiled.bb_starts;
    let mut blocks = func.layout.blocks();
    let loops = if blocks.any(|block| func.is_effectively_cold(block)) {
        let edges = back_edges(starts, &isa::backward_branches(isa, &code));
        loops(starts, &edges, &check_ins, buffer.total_size())
    } else {
        loops(starts, &compiled.bb_edges, &check_ins, buffer.total_size())
    };
    let alignment = isa::function_alignment(isa, !loops.is_empty());
    Ok(UnboundFunction {
        code,
        alignment: buffer.alignment.max(alignment),
        loops,
        relocations,
        traps,
        catches,
        stack_maps,
        addresses,
    })
}

/// Returns the edges, between the starts of blocks, that `branches` make. What does not go to the
/// start of a block is not a branch.
///
/// The code generator's own edges are wrong if a function has cold blocks: it counts blocks as they
/// were before cold ones moved to the end, and takes their offsets from a list in the final order.
/// So the loops are those of the machine code then, except those that jump tables make.
fn back_edges(starts: &[u32], branches: &[(u32, u32)]) -> Vec<(u32, u32)> {
    let mut starts = starts.to_vec();
    starts.sort_unstable();
    let edges = branches.iter().filter_map(|&(from, to)| {
        starts.binary_search(&to).ok()?;
        let following = starts.partition_point(|&start| start <= from);
        Some((starts[following.checked_sub(1)?], to))
    });
    edges.collect()
}

/// The size in bytes up to which a loop is kept together.
const LONG_LOOP: u32 = 256;

/// Returns the loops among the blocks that start at `starts`, given their branches. Each backward
/// branch makes one: from the block that it goes to, to the end of the block that it is in. A long
/// loop is cut to its first block. Where many branches go back to one block, as in interpreters,
/// that block runs most often.
///
/// A block that checks in with the store, by a call at one of `check_ins`, is at the end of the
/// function and goes back to the code that it belongs to. That is not a loop.
pub(crate) fn loops(
    starts: &[u32],
    edges: &[(u32, u32)],
    check_ins: &[u32],
    code_size: u32,
) -> Vec<Range<u32>> {
    let mut starts = starts.to_vec();
    starts.sort_unstable();
    let end = |block: u32| {
        let next = starts.partition_point(|&start| start <= block);
        starts.get(next).copied().unwrap_or(code_size)
    };
    let checks_in = |block: u32| {
        let calls = check_ins.partition_point(|&call| call < block);
        check_ins.get(calls).is_some_and(|&call| call < end(block))
    };
    let back = edges
        .iter()
        .filter(|&&(from, to)| to <= from && !checks_in(from));
    let mut loops: Vec<Range<u32>> = back
        .map(|&(from, to)| match end(from) {
            end if end - to <= LONG_LOOP => to..end,
            _ => to..end(to),
        })
        .collect();
    loops.sort_unstable_by_key(|range| (range.start, range.end));
    loops
}

/// Converts a stack map. The code generator counts slots from the stack pointer, which is `span`
/// bytes below the frame pointer.
fn stack_map(
    return_offset: u32,
    span: u32,
    map: &UserStackMap,
    sets: &mut HashSet<Arc<FrameSlots>>,
) -> Result<StackMap> {
    let slots = FrameSlots::new(map.entries().map(|(_, offset)| span - offset));
    let slots =
        slots.context("internal error: a GC reference is not in an aligned word of its frame")?;
    Ok(StackMap {
        return_offset,
        slots: share(Arc::new(slots), sets),
    })
}

/// Returns the member of `known` that equals `item`, which becomes a member if there is none.
fn share<T: Eq + Hash + ?Sized>(item: Arc<T>, known: &mut HashSet<Arc<T>>) -> Arc<T> {
    if let Some(known) = known.get(&item) {
        return known.clone();
    }
    known.insert(item.clone());
    item
}

fn catch_site(
    site: FinalizedMachCallSite<'_>,
    lists: &mut HashSet<Arc<Handlers>>,
) -> Result<CatchSite> {
    let handlers = site
        .exception_handlers
        .iter()
        .map(|handler| match *handler {
            FinalizedMachExceptionHandler::Tag(tag, offset) => {
                Ok((Some(ObjectTypeId::from_u32(tag.as_u32())), offset))
            }
            FinalizedMachExceptionHandler::Default(offset) => Ok((None, offset)),
            FinalizedMachExceptionHandler::Context(_) => {
                bail!("internal error: an exception table has a context")
            }
        });
    let handlers = handlers.collect::<Result<Arc<[_]>>>()?;
    Ok(CatchSite {
        return_offset: site.ret_addr,
        frame_size: site
            .frame_offset
            .context("internal error: a call with handlers has no frame size")?,
        handlers: share(handlers, lists),
    })
}

fn relocation(reloc: &FinalizedMachReloc) -> Result<UnboundRelocation> {
    let Some(kind) = isa::relocation_kind(reloc.kind) else {
        bail!(
            "internal error: unexpected relocation {} at offset {:#x} of the code",
            reloc.kind,
            reloc.offset
        )
    };
    let name = match &reloc.target {
        FinalizedRelocTarget::ExternalName(ExternalName::User(name)) => name.as_u32(),
        other => bail!(
            "internal error: unexpected reference to {other:?} at offset {:#x} of the code",
            reloc.offset
        ),
    };
    Ok(UnboundRelocation {
        offset: reloc.offset,
        kind,
        name,
        addend: reloc.addend,
    })
}

/// Converts Cranelift's code of a trap.
pub(crate) fn trap(code: TrapCode) -> Result<Trap> {
    Ok(match code {
        TrapCode::STACK_OVERFLOW => Trap::StackOverflow,
        TrapCode::HEAP_OUT_OF_BOUNDS => Trap::MemoryOutOfBounds,
        TrapCode::INTEGER_OVERFLOW => Trap::IntegerOverflow,
        TrapCode::INTEGER_DIVISION_BY_ZERO => Trap::IntegerDivisionByZero,
        TrapCode::BAD_CONVERSION_TO_INTEGER => Trap::BadConversionToInteger,
        user => match Trap::from_code(user.as_raw().get()) {
            Some(trap) => trap,
            None => bail!("internal error: unexpected trap code {user}"),
        },
    })
}

/// Converts ranges with gaps to a list in which each entry holds up to the next one, and locations
/// to distances from `start`, the location of the function. The first entry is for the prologue,
/// and has that location.
fn addresses(start: SourceLoc, ranges: &[MachSrcLoc<Final>], code_size: u32) -> Vec<(u32, u32)> {
    let mut list: Vec<(u32, u32)> = Vec::with_capacity(ranges.len());
    let mut push = |offset: u32, location: u32| {
        if list.last().is_some_and(|&(last, _)| last == offset) {
            list.pop();
        }
        let location = match location {
            NO_LOCATION => NO_LOCATION,
            location => location.wrapping_sub(start.bits()),
        };
        let before = list.last().map_or(NO_LOCATION, |&(_, location)| location);
        if before != location {
            list.push((offset, location));
        }
    };
    if !ranges.is_empty() {
        push(0, start.bits());
    }
    for range in ranges.iter().filter(|range| range.start < range.end) {
        // The first byte is the function's own, whatever instruction it belongs to.
        push(range.start.max(1), range.loc.bits());
        if range.end < code_size {
            push(range.end, NO_LOCATION);
        }
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_backward_branch_makes_a_loop() {
        let starts = [0, 10, 20, 50, 40];
        // A block that repeats itself, in a loop with the same head; the last block; and forward
        // branches.
        let edges = [
            (0, 10),
            (0, 40),
            (10, 10),
            (20, 10),
            (20, 40),
            (50, 50),
            (40, 50),
        ];
        assert_eq!(loops(&starts, &edges, &[], 57), [10..20, 10..40, 50..57]);
        assert_eq!(loops(&starts, &edges, &[5, 51], 57), [10..20, 10..40]);
        assert_eq!(loops(&[0], &[], &[], 9), []);
        assert_eq!(
            loops(&[0, 8, 20, 600], &[(600, 8)], &[], 700),
            std::slice::from_ref(&(8..20)),
            "long"
        );
    }

    #[test]
    fn branches_to_starts_of_blocks_are_edges() {
        let starts = [8, 50, 20];
        let branches = [(30, 20), (60, 8), (61, 9), (4, 4), (20, 20)];
        assert_eq!(
            back_edges(&starts, &branches),
            [(20, 20), (50, 8), (20, 20)]
        );
    }

    #[test]
    fn addresses_merge_ranges_and_fill_gaps() {
        let range = |start, end, loc| MachSrcLoc {
            start,
            end,
            loc: SourceLoc::new(loc),
        };
        let ranges = [
            range(4, 8, 100),
            range(8, 12, 100),
            range(12, 14, 101),
            range(20, 24, 102),
            range(24, 30, u32::MAX),
            range(30, 40, 103),
        ];
        let expected = [
            (0, 0),
            (4, 10),
            (12, 11),
            (14, u32::MAX),
            (20, 12),
            (24, u32::MAX),
            (30, 13),
        ];
        let start = SourceLoc::new(90);
        assert_eq!(addresses(start, &ranges, 40), expected);
        assert_eq!(addresses(start, &[], 10), []);
    }
}
