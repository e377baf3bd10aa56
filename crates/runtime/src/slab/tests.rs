//! Tests of slabs: filled, written all over, and reset.

use super::*;
use crate::code::{Code, LoadCheck, Others};
use crate::pool::{Pool, PoolConfig};
use crate::sys::mmap::FileMapping;
use crate::sys::pagemap::Pagemap;
use mintage_compile::NoProgress;
use mintage_environ::Tunables;

#[test]
fn slabs_hold_the_image_and_are_reset_to_it() {
    // Two memories, one with long and short runs in its image, and tables on both sides of the copy
    // threshold.
    let (data, functions) = ("0123456789abcdef".repeat(3000), "$f ".repeat(3000));
    let component = format!(
        r#"(component
             (core module $m
               (memory 20) (memory 2) (memory 0)
               (data (i32.const 100) "short") (data (i32.const 70000) "{data}") (data
                 (i32.const 200000) "{data}")
               (data (memory 1) (i32.const 65530) "over a page")
               (func $f) (table 3000 funcref) (table 5 funcref)
               (elem (table 0) (i32.const 0) func {functions}) (elem (table 1)
                 (i32.const 4) func $f)
               (global (export "g") (mut i64) (i64.const -1))
               (func (export "all") (drop (call_indirect 0 (result i32) (i32.const 0)))
                 (table.set 1 (i32.const 0) (table.get 0 (i32.const 0)))))
             (core instance (instantiate $m)))"#
    );
    let tunables = Tunables {
        core_exports: true,
        ..Tunables::default()
    };
    let bytes = wat::parse_str(component).unwrap();
    let artifact = mintage_compile::compile(&bytes, &tunables, &NoProgress)
        .unwrap_or_else(|error| panic!("{error:?}"));
    let check = LoadCheck {
        tunables,
        ..LoadCheck::default()
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("artifact");
    std::fs::write(&path, &artifact).unwrap();
    let whole = [(0, &artifact[..])];
    let mut all_known_uses = 0;
    for (mapping, pagemap) in [
        // SAFETY: no one else knows the file.
        (unsafe { FileMapping::open(&path) }.unwrap(), true),
        (
            FileMapping::of_parts(artifact.len(), &whole, true).unwrap(),
            false,
        ),
        (
            FileMapping::of_parts(artifact.len(), &whole, false).unwrap(),
            true,
        ),
        (
            FileMapping::of_parts(artifact.len(), &whole, false).unwrap(),
            false,
        ),
    ] {
        let has_file = mapping.has_file();
        let pool = Pool::new(PoolConfig::new().keep_resident(KEEP).pagemap_scan(pagemap));
        // SAFETY: the compiler made the artifact.
        let code = unsafe { Code::publish(mapping, Others::None, &check, &pool) }.unwrap();
        assert_eq!(!code.image().mapped().is_empty(), has_file);
        assert!(!code.image().runs().is_empty() && !code.image().patches().is_empty());
        let mut slab = code.acquire(code.image()).unwrap();
        assert_eq!(slab.difference(), None);
        slab.fill();
        assert_eq!(slab.difference(), None);
        let mut known_uses = 0;
        for seed in 0..30 {
            match slab.written.clone() {
                Some(known) if seed % 3 > 0 => {
                    known_uses += 1;
                    for part in known {
                        // SAFETY: the part is accessible, and the test alone has it.
                        unsafe {
                            slab.base()
                                .as_ptr()
                                .add(part.start)
                                .write_bytes(0x5a, part.len())
                        };
                    }
                }
                _ => {
                    scribble(&code, &slab, seed);
                    slab.written = None;
                }
            }
            if seed % 4 == 3 {
                swap_out(&slab);
            }
            assert!(count_mappings(&slab) <= code.image().mappings());
            slab = slab.reset(code.shelf()).unwrap();
            assert_eq!(slab.difference(), None, "seed {seed}");
            assert!(count_mappings(&slab) <= code.image().mappings());
            if let Some(pagemap) = pool.pagemap() {
                let mut kept = 0;
                let unfilled = slab.unfilled.borrow();
                for part in code.image().accessible() {
                    slab.scan_written(
                        pagemap,
                        part.clone(),
                        |_| (),
                        |pages| {
                            // Missing pages are in memory only because the comparison has read
                            // them.
                            if !unfilled.iter().any(|part| part.contains(&pages.start)) {
                                kept += pages.len();
                            }
                        },
                    )
                    .unwrap();
                }
                assert!(
                    kept + slab.tables.bytes() <= KEEP,
                    "seed {seed}: {kept} bytes"
                );
            }
            slab.fill();
            assert_eq!(slab.difference(), None, "seed {seed}, filled");
        }
        assert!(known_uses == 0 || pagemap);
        all_known_uses += known_uses;
    }
    // Where the system is short of memory, it may be none in one of the cases.
    assert_eq!(all_known_uses > 0, Pagemap::get().is_some());
}

/// The system may merge pages of zeros with its own, as if no one had written to them: here, pages
/// whose image is not zero.
#[test]
fn pages_that_the_system_has_merged_count_as_written() {
    let data = "d".repeat(40_000);
    let text = format!(
        r#"(component (core module $m (memory 8) (data (i32.const 65536) "{data}") (data
          (i32.const 262144) "e"))
             (core instance (instantiate $m)))"#
    );
    let artifact = mintage_compile::compile(
        &wat::parse_str(text).unwrap(),
        &Tunables::default(),
        &NoProgress,
    )
    .unwrap();
    for memfd in [true, false] {
        let pool = Pool::new(PoolConfig::new().memfd(memfd));
        // SAFETY: the compiler made the artifact.
        let code = unsafe { Code::from_bytes(&artifact, &LoadCheck::default(), &pool) }.unwrap();
        if pool.pagemap().is_none() {
            // Then a reset does not look at pages. It discards them, which brings back the image
            // only where its own mapping still is.
            return;
        }
        let slab = code.acquire(code.image()).unwrap();
        slab.fill();
        let memory = code.layout().memory_start(MemoryId::from_u32(0)) as usize;
        for offset in [65536, 65536 + 8192, 262144] {
            let at = slab.base().as_ptr().wrapping_add(memory + offset).cast();
            // A new page of zeros that is read looks the same to the system.
            //
            // SAFETY: the page is in the slab, which the test alone uses.
            unsafe {
                let (access, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE);
                let flags = flags | libc::MAP_ANONYMOUS | libc::MAP_FIXED;
                assert_eq!(libc::mmap(at, 4096, access, flags, -1, 0), at);
                assert_eq!(at.cast::<u8>().read_volatile(), 0);
            }
        }
        let slab = slab.reset(code.shelf()).unwrap();
        slab.fill();
        assert_eq!(slab.difference(), None);
    }
}

/// Bytes that the slabs of the tests keep in memory.
const KEEP: usize = 256 << 10;

/// Counts the mappings of the slab that the system lists.
fn count_mappings(slab: &Slab) -> usize {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let base = slab.base().as_ptr() as usize;
    let mut count = 0;
    // The end of the last mapping, with its permissions and what it is of.
    let mut last = (0, "", "");
    for line in maps.lines() {
        let mut columns = line.split_whitespace();
        let (start, end) = columns.next().unwrap().split_once('-').unwrap();
        let [start, end] = [start, end].map(|at| usize::from_str_radix(at, 16).unwrap());
        let [permissions, .., inode] = [(); 4].map(|()| columns.next().unwrap());
        // An emulator shows parts of a mapping that became accessible one after the other.
        let goes_on = last == (start, permissions, inode) && inode == "0";
        if start < base + slab.image().size() && base < end && !goes_on {
            count += 1;
        }
        last = (end, permissions, inode);
    }
    count
}

/// Moves written pages to swap space, if there is any.
fn swap_out(slab: &Slab) {
    for part in slab.image().accessible() {
        // SAFETY: the range is of the slab, and its contents do not change.
        let result = unsafe {
            let start = slab.base().as_ptr().add(part.start);
            libc::madvise(start.cast(), part.len(), libc::MADV_PAGEOUT)
        };
        assert_eq!(result, 0);
    }
}

/// Writes all over a slab, as guest and host may: single bytes, long stretches, and the parts that
/// memories grow into.
fn scribble(code: &Code, slab: &Slab, seed: u64) {
    let mut state = seed;
    let mut random = |below: usize| {
        // Knuth's generator; its high bits are good.
        state = state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (state >> 33) as usize % below
    };
    let write = |offset: usize, len: usize| {
        // SAFETY: the callers below stay within what is accessible, and the test alone has the
        // slab.
        unsafe { slab.base().as_ptr().add(offset).write_bytes(0xa5, len) }
    };
    let accessible = code.image().accessible();
    // Every other time more than a reset keeps in memory.
    let (writes, lengths) = match seed % 2 {
        0 => (8, &[1, 8, 5000][..]),
        _ => (200, &[1, 8, 5000, 2 * KEEP][..]),
    };
    for _ in 0..random(writes) {
        let part = &accessible[random(accessible.len())];
        let offset = random(part.len());
        let len = lengths[random(lengths.len())].min(part.len() - offset);
        write(part.start + offset, len);
    }
    for id in code.layout().memories.keys() {
        let (mut size, start) = (
            code.layout().memories[id].minimum,
            code.layout().memory_start(id),
        );
        for _ in 0..random(4) {
            let grown = size + (1 + random(3) as u64) * 65536;
            slab.grow_memory(code.layout(), id, size, grown).unwrap();
            write((start + size) as usize, (grown - size) as usize);
            size = grown;
        }
    }
}

#[test]
fn differences_from_the_image_are_found() {
    let bytes =
        wat::parse_str("(component (core module $m (memory 1)) (core instance (instantiate $m)))")
            .unwrap();
    let artifact = mintage_compile::compile(&bytes, &Tunables::default(), &NoProgress).unwrap();
    // SAFETY: the compiler made the artifact.
    let code = unsafe {
        Code::from_bytes(
            &artifact,
            &LoadCheck::default(),
            &Pool::new(&PoolConfig::new()),
        )
    }
    .unwrap();
    let slab = code.acquire(code.image()).unwrap();
    let end = code.image().accessible().last().unwrap().end;
    // SAFETY: the byte is the last one of the memory.
    unsafe { slab.base().as_ptr().add(end - 1).write(1) };
    assert_eq!(slab.difference(), Some(end - PAGE as usize));
}
