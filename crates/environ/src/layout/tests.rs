//! Layouts of small shapes, and what the check refuses.

use super::compute::{Head, MAX_BELOW_CTX, MAX_HEAP};
use super::*;
use crate::{Tunables, ValType};
use anyhow::Result;

fn memory(domain: u32, minimum: u64) -> MemoryShape {
    MemoryShape {
        domain: DomainId::from_u32(domain),
        minimum,
        maximum: None,
        page_size_log2: 16,
        index64: false,
    }
}

#[test]
fn main_memory_is_at_ctx_and_the_rest_follows() {
    let mut shape = Shape::default();
    let first = shape.memories.push(memory(0, 1));
    let main = shape.memories.push(memory(0, 2));
    shape.domains.push(Some(main));
    let other = shape.memories.push(memory(1, 0));
    shape.domains.push(Some(other));
    shape.tables.push(TableShape {
        domain: DomainId::from_u32(1),
        minimum: 3,
        maximum: Some(5),
        index64: false,
    });
    for ty in [ValType::I32, ValType::V128, ValType::F64] {
        shape.globals.push(GlobalShape {
            domain: DomainId::from_u32(1),
            ty,
        });
    }
    let layout = SlabLayout::compute(&shape, &Tunables::default()).unwrap();
    layout.verify(&shape).unwrap();
    assert_eq!(layout.memories[main].offset, 0);
    assert_eq!(layout.memories[first].offset, 6 << 30);
    assert_eq!(layout.tables[TableId::from_u32(0)].capacity, 8);
    assert!(!layout.memories[main].needs_check(0x7fff_fff0, 8));
    assert!(layout.memories[main].needs_check(0x8000_0000, 1));
}

#[test]
fn heaps_lie_below_tables_within_their_reservation() {
    let mut shape = Shape::default();
    shape.domains.push(None);
    let id = shape.domains.push(None);
    shape.heaps.push(HeapShape {
        domain: id,
        initial: REGION_ALIGN,
    });
    shape.tables.push(TableShape {
        domain: id,
        minimum: 3,
        maximum: None,
        index64: false,
    });
    for (reservation, capacity) in [
        (1 << 20, 7 * REGION_ALIGN),
        (u32::MAX, (MAX_HEAP - REGION_ALIGN * 2) / 2),
    ] {
        let tunables = Tunables {
            gc_heap_reservation: reservation,
            ..Tunables::default()
        };
        let layout = SlabLayout::compute(&shape, &tunables).unwrap();
        assert_eq!(layout.domains[DomainId::from_u32(0)].heap, None);
        let heap = layout.domains[id].heap.as_ref().unwrap();
        assert_eq!(
            (heap.static_size(), heap.minimum),
            (REGION_ALIGN, REGION_ALIGN)
        );
        assert_eq!(heap.capacity, capacity);
        let end = layout.heap_start(id, heap) + heap.span();
        assert!(end < layout.table_start(TableId::from_u32(0)));
    }
    let tunables = Tunables {
        gc_heap_reservation: 1 << 16,
        ..Tunables::default()
    };
    let error = SlabLayout::compute(&shape, &tunables)
        .unwrap_err()
        .to_string();
    assert!(error.contains("gc_heap_reservation"), "{error}");
}

#[test]
fn too_large_minimum_is_an_error_that_names_the_setting() {
    let mut shape = Shape::default();
    let id = shape.memories.push(memory(0, 100));
    shape.domains.push(Some(id));
    let tunables = Tunables {
        memory_reservation: 1 << 20,
        ..Tunables::default()
    };
    let error = SlabLayout::compute(&shape, &tunables)
        .unwrap_err()
        .to_string();
    assert!(error.contains("memory_reservation"), "{error}");
}

/// The layout of a single 64-bit memory with these numbers of pages.
fn wide(minimum: u64, maximum: Option<u64>, tunables: &Tunables) -> Result<MemoryLayout> {
    let mut shape = Shape::default();
    let id = shape.memories.push(MemoryShape {
        maximum,
        index64: true,
        ..memory(0, minimum)
    });
    shape.domains.push(Some(id));
    let layout = SlabLayout::compute(&shape, tunables)?;
    assert!(layout.memories[id].needs_check(0, 1));
    Ok(layout.memories[id].clone())
}

#[test]
fn memories_with_64_bit_indexes_reserve_what_they_may_need() {
    let default = Tunables::default();
    let gib = |bytes: u64| (bytes << 30) >> 16;
    for (minimum, maximum, capacity) in [
        (0, None, 16),
        (gib(5), None, 16),
        (gib(20), None, 20),
        (0, Some(gib(1)), 1),
        (gib(2), Some(gib(2)), 2),
        (0, Some(gib(40)), 40),
        (0, Some(1 << 48), 128),
        (gib(200), Some(u64::MAX), 200),
    ] {
        let layout = wide(minimum, maximum, &default).unwrap();
        let expected = (minimum << 16, capacity << 30, (capacity + 2) << 30);
        let actual = (layout.minimum, layout.capacity, layout.reserved);
        assert_eq!(actual, expected, "{minimum} {maximum:?}");
    }
    // What 32-bit memories may take has no part in it, nor the other way round.
    let small = Tunables {
        memory_reservation: 1 << 20,
        memory64_reservation: 8 << 30,
        ..Tunables::default()
    };
    assert_eq!(wide(0, None, &small).unwrap().capacity, 8 << 30);
    for (minimum, tunables) in [
        (1 << 48, default.clone()),
        (u64::MAX, default.clone()),
        (
            0,
            Tunables {
                memory64_reservation: u64::MAX,
                ..default.clone()
            },
        ),
        (
            0,
            Tunables {
                memory64_reservation: 1 << 16,
                memory_guard: u64::MAX,
                ..default
            },
        ),
    ] {
        let error = wide(minimum, None, &tunables).unwrap_err().to_string();
        assert!(error.contains("address space"), "{error}");
    }
}

#[test]
fn memories_with_32_bit_indexes_use_4_gib_at_most() {
    let mut shape = Shape::default();
    let id = shape.memories.push(memory(0, 1));
    shape.domains.push(Some(id));
    let tunables = Tunables {
        memory_reservation: 16 << 30,
        ..Tunables::default()
    };
    let layout = SlabLayout::compute(&shape, &tunables).unwrap();
    assert_eq!(layout.memories[id].capacity, 4 << 30);
    assert!(!layout.memories[id].needs_check(0, 1));
}

#[test]
fn parts_are_in_order_and_the_ends_of_heads_are_copied() {
    let mut shape = Shape::default();
    let main = shape.memories.push(memory(0, 1));
    let domain = shape.domains.push(Some(main));
    // More globals than fit in the first 64 KiB of a head.
    for _ in 0..10_000 {
        shape.globals.push(GlobalShape {
            domain,
            ty: ValType::V128,
        });
    }
    shape.tables.push(TableShape {
        domain,
        minimum: 3,
        maximum: Some(5),
        index64: false,
    });
    shape.heaps.push(HeapShape { domain, initial: 8 });
    let layout = SlabLayout::compute(&shape, &Tunables::default()).unwrap();
    let DomainLayout {
        head, ctx, heap, ..
    } = &layout.domains[domain];
    let heap = heap.as_ref().unwrap();
    let (start, [first, second]) = (layout.heap_start(domain, heap), heap.halves());
    let parts = layout
        .parts()
        .into_iter()
        .map(|part| (part.start, part.copied));
    let expected = [
        (start + HeapLayout::FIRST, false),
        (start + first, false),
        (start + second, false),
        (layout.table_start(TableId::from_u32(0)), false),
        (*head, false),
        (ctx - REGION_ALIGN, true),
        (*ctx, false),
    ];
    assert_eq!(parts.collect::<Vec<_>>(), expected);
    assert_eq!(ctx - head, 3 * REGION_ALIGN);
}

#[test]
fn nothing_in_a_head_is_too_far_from_ctx() {
    let mut head = Head(MAX_BELOW_CTX - 24);
    assert_eq!(head.take(8).unwrap(), i32::MIN + 16);
    assert_eq!(head.take(16).unwrap(), i32::MIN);
    assert!(head.take(4).unwrap_err().to_string().contains("globals"));
}

#[test]
fn overlapping_globals_are_seen() {
    let mut shape = Shape::default();
    shape.domains.push(None);
    for ty in [ValType::I64, ValType::I32] {
        shape.globals.push(GlobalShape {
            domain: DomainId::from_u32(0),
            ty,
        });
    }
    let mut layout = SlabLayout::compute(&shape, &Tunables::default()).unwrap();
    // The number lies in the upper half of the other one.
    layout.globals[GlobalId::from_u32(1)].offset = layout.globals[GlobalId::from_u32(0)].offset + 4;
    let error = layout.verify(&shape).unwrap_err().to_string();
    assert!(error.contains("overlaps"), "{error}");
}
