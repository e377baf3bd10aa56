//! Memories, tables, images, limits and loading through the whole pipeline.

use crate::common::*;
use mintage_environ::layout::HeapLayout;
use mintage_environ::{DomainId, Trap, Tunables};
use mintage_runtime::{
    Code, Growth, HostAccess, HostTable, Instance, InstanceHandle, Limiter, Limits, LoadCheck,
    Permit, Stopped, StoreWords,
};
use std::ptr;
use std::sync::{Arc, mpsc};
use std::thread;

const GROWING: &str = r#"
    (memory (export "memory") 1 3) (data (i32.const 16) "image")
    (table $t (export "table") 2 5 funcref) (func $f) (elem (i32.const 1) func $f)
    (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
    (func (export "size") (result i32) (memory.size))
    (func $load (export "load") (param i32) (result i32) (i32.load8_u (local.get 0)))
    (func (export "store") (param i32 i32) (i32.store8 (local.get 0) (local.get 1)))
    (func (export "grow_table") (param i32) (result i32) (table.grow $t (ref.func $f)
      (local.get 0)))
    (func (export "table_size") (result i32) (table.size $t))"#;

#[test]
fn memories_grow_in_place_up_to_their_maximum() {
    let code = code(GROWING);
    let mut instance = instantiate(&code);
    let handle = instance.handle();
    let id = memory(&code, "memory");
    let (base, _) = instance.memory_raw(id);
    assert_eq!(&instance.memory(id)[16..21], b"image");
    assert_trap(
        invoke(handle, "load", &[1 << 16]),
        Trap::MemoryOutOfBounds,
        &["load"],
    );
    assert_eq!(invoke(handle, "grow", &[1]).unwrap() as u32, 1);
    assert_eq!(invoke(handle, "load", &[1 << 16]).unwrap() as u32, 0);
    invoke(handle, "store", &[(2 << 16) - 1, 9]).unwrap();
    assert_eq!(instance.memory_raw(id), (base, 2 << 16));
    assert_eq!(instance.memory_mut(id)[(2 << 16) - 1], 9);
    assert_trap(
        invoke(handle, "load", &[2 << 16]),
        Trap::MemoryOutOfBounds,
        &["load"],
    );
    assert_eq!(invoke(handle, "grow", &[2]).unwrap() as i32, -1);
    assert_eq!(
        invoke(handle, "grow", &[u64::from(u32::MAX)]).unwrap() as i32,
        -1
    );
    assert_eq!(instance.memory_grow(id, 1), Some(2));
    assert_eq!(instance.memory_grow(id, 1), None);
    assert_eq!(invoke(handle, "grow", &[0]).unwrap() as u32, 3);
    assert_eq!(invoke(handle, "size", &[]).unwrap() as u32, 3);
}

/// The page faults of one thread do not tell what other threads write.
#[test]
fn pages_that_other_threads_write_are_reset() {
    let code = code(
        r#"(memory (export "memory") 4)
           (func (export "store") (param i32) (i32.store8 (local.get 0) (i32.const 9)))"#,
    );
    let id = memory(&code, "memory");
    let store =
        |instance: InstanceHandle, at: u64| invoke(instance, "store", &[at]).map(drop).unwrap();
    // After the first instances, the slab knows which pages are written.
    for page in [0, 0, 0, 1, 2, 3, 4, 5] {
        let mut instance = instantiate(&code);
        assert!(
            instance.memory(id).iter().all(|&byte| byte == 0),
            "before page {page}"
        );
        let handle = instance.handle();
        store(handle, 5);
        thread::scope(|scope| {
            match page {
                // On this thread only, whose faults count.
                0..2 => store(handle, 20_000 * page),
                2 | 3 => drop(scope.spawn(|| store(handle, 20_000 * page))),
                _ => {
                    let bytes = &mut instance.memory_mut(id)[20_000 * page as usize..];
                    scope.spawn(|| bytes[0] = 7);
                }
            }
        });
    }
    // Made here, used and dropped elsewhere.
    for page in [8, 9] {
        let instance = instantiate(&code);
        assert!(
            instance.memory(id).iter().all(|&byte| byte == 0),
            "before page {page}"
        );
        thread::scope(|scope| {
            scope.spawn(move || {
                store(instance.handle(), 20_000 * page);
                drop(instance);
            });
        });
    }
    assert!(instantiate(&code).memory(id).iter().all(|&byte| byte == 0));
}

/// Returns how many page faults the current thread has had.
fn page_faults() -> i64 {
    // SAFETY: zeros are valid for the struct, which the call writes.
    unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        assert_eq!(libc::getrusage(libc::RUSAGE_THREAD, &raw mut usage), 0);
        usage.ru_minflt + usage.ru_majflt
    }
}

/// Takes page faults until the current thread has had `until`.
fn take_page_faults(until: i64) {
    while page_faults() < until {
        // SAFETY: a new mapping of one page, which no one else uses.
        unsafe {
            let (access, flags) = (
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            );
            let page = libc::mmap(ptr::null_mut(), 4096, access, flags, -1, 0);
            assert_ne!(page, libc::MAP_FAILED);
            page.cast::<u8>().write_volatile(1);
            assert_eq!(libc::munmap(page, 4096), 0);
        }
    }
}

/// A component with 64 pages of memory, and its first instance, whose slab knows which of them are
/// written.
fn known(code: &Arc<Code>) -> Instance {
    for _ in 0..3 {
        invoke(instantiate(code).handle(), "store", &[5]).unwrap();
    }
    let instance = instantiate(code);
    invoke(instance.handle(), "store", &[5]).unwrap();
    instance
}

const KNOWN: &str = r#"
    (memory (export "memory") 64) (func (export "store") (param i32) (i32.store8 (local.get 0)
      (i32.const 9)))"#;

/// The last thread that uses or drops an instance has had no page fault, but another thread has
/// written to a new page.
#[test]
fn page_faults_are_counted_per_thread() {
    let code = code(KNOWN);
    let id = memory(&code, "memory");
    take_page_faults(page_faults() + 2000);
    let (to, given) = mpsc::channel::<(Instance, u64, i64)>();
    let (back, returned) = mpsc::channel();
    // One thread that lives throughout, since starting one takes page faults.
    let other = thread::spawn(move || {
        for (instance, at, faults) in given {
            match faults {
                0 => drop(invoke(instance.handle(), "store", &[at]).unwrap()),
                _ => take_page_faults(faults),
            }
            back.send((faults == 0).then_some(instance)).unwrap();
        }
    });
    for round in 0..20 {
        let at = 100_000 + round * 20_000;
        let instance = known(&code);
        if round % 2 == 0 {
            to.send((instance, at, 0)).unwrap();
            let instance = returned.recv().unwrap().unwrap();
            invoke(instance.handle(), "store", &[5]).unwrap();
        } else {
            let faults = page_faults();
            invoke(instance.handle(), "store", &[at]).unwrap();
            to.send((instance, at, faults)).unwrap();
            assert!(returned.recv().unwrap().is_none());
        }
        let written = instantiate(&code)
            .memory(id)
            .iter()
            .position(|&byte| byte != 0);
        assert_eq!(written, None, "round {round}");
    }
    drop(to);
    other.join().unwrap();
}

/// The system may replace small pages by a huge one at any time, if some of them are present. The
/// others can then be written without a page fault.
#[test]
fn huge_pages_hide_no_writes() {
    let code = code(KNOWN);
    let id = memory(&code, "memory");
    for page in [1, 100, 511, 512, 700, 1000] {
        let instance = known(&code);
        let (base, len) = instance.memory_raw(id);
        drop(instance);
        let start = base
            .as_ptr()
            .map_addr(|address| address.next_multiple_of(2 << 20));
        let len = len - (start as usize - base.as_ptr() as usize);
        // This is what `khugepaged` does when it scans the memory. It has no effect if the system
        // has no huge pages.
        //
        // SAFETY: the memory is the process's own, and its contents stay.
        unsafe { libc::madvise(start.cast(), len & !((2 << 20) - 1), MADV_COLLAPSE) };
        invoke(instantiate(&code).handle(), "store", &[page * 4096]).unwrap();
        let written = instantiate(&code)
            .memory(id)
            .iter()
            .position(|&byte| byte != 0);
        assert_eq!(written, None, "page {page}");
    }
}

/// `MADV_COLLAPSE` (Linux 6.1).
const MADV_COLLAPSE: libc::c_int = 25;

#[test]
fn the_next_instance_sees_nothing_of_the_last_one() {
    let code = code(GROWING);
    let (id, table) = (memory(&code, "memory"), exported_table(&code, "table"));
    let mut bases = Vec::new();
    for round in 0..20 {
        let instance = instantiate(&code);
        let handle = instance.handle();
        bases.push(instance.memory_raw(id).0);
        assert_eq!(
            (&instance.memory(id)[16..21], instance.memory(id).len()),
            (&b"image"[..], 1 << 16)
        );
        assert!(
            instance.memory(id)[21..].iter().all(|&byte| byte == 0),
            "round {round}"
        );
        assert_eq!(
            (instance.table_size(table), instance.table_get(table, 0)),
            (2, Some(0))
        );
        assert_trap(
            invoke(handle, "load", &[1 << 16]),
            Trap::MemoryOutOfBounds,
            &["load"],
        );
        invoke(handle, "store", &[17, 1]).unwrap();
        invoke(handle, "store", &[60000, 1]).unwrap();
        assert_eq!(invoke(handle, "grow", &[2]).unwrap() as u32, 1);
        invoke(handle, "store", &[(3 << 16) - 1, 1]).unwrap();
        assert_eq!(invoke(handle, "grow_table", &[3]).unwrap() as u32, 2);
    }
    bases.dedup();
    assert_eq!(bases.len(), 1, "the slab is used again");
}

#[test]
fn tables_grow_in_place_up_to_their_maximum() {
    let code = code(GROWING);
    let mut instance = instantiate(&code);
    let handle = instance.handle();
    let id = exported_table(&code, "table");
    let f = instance.table_get(id, 1).unwrap();
    assert!(f != 0 && instance.table_get(id, 0) == Some(0) && instance.table_get(id, 2).is_none());
    assert_eq!(invoke(handle, "grow_table", &[2]).unwrap() as u32, 2);
    assert_eq!(
        (instance.table_size(id), instance.table_get(id, 3)),
        (4, Some(f))
    );
    assert_eq!(invoke(handle, "grow_table", &[2]).unwrap() as i32, -1);
    // SAFETY: null is a value of every table.
    unsafe {
        assert_eq!(instance.table_grow(id, 0, 1), Some(4));
        assert_eq!(instance.table_grow(id, 0, u64::MAX), None);
        assert_eq!(instance.table_set(id, 3, 0), Some(()));
        assert_eq!(instance.table_set(id, 5, 0), None);
    }
    assert_eq!(
        (instance.table_get(id, 3), instance.table_get(id, 4)),
        (Some(0), Some(0))
    );
    assert_eq!(invoke(handle, "table_size", &[]).unwrap() as u32, 5);
}

/// The questions to a limiter, and its answers: it allows everything up to the limit of memories
/// and tables.
#[derive(Default)]
struct Asked {
    limit: u64,
    questions: Vec<Growth>,
    failures: usize,
}

/// # Safety
///
/// `host` points to an [`Asked`] that no one else uses.
unsafe fn growing(host: HostAccess, growth: &Growth) -> anyhow::Result<Permit> {
    // SAFETY: as the caller promises.
    let asked = unsafe { &mut *pointer(host).cast::<Asked>() };
    asked.questions.push(*growth);
    match asked.limit {
        0 => anyhow::bail!("the limiter refuses"),
        1 => panic!("the limiter panics"),
        limit if growth.desired <= limit => Ok(Permit::Granted),
        _ => Ok(Permit::Refused),
    }
}

/// # Safety
///
/// As [`growing`].
unsafe fn failed(host: HostAccess, _: &Growth, error: anyhow::Error) -> anyhow::Result<()> {
    // SAFETY: as the caller promises.
    unsafe { (*pointer(host).cast::<Asked>()).failures += 1 };
    Err(error)
}

#[test]
fn a_limiter_is_asked_before_anything_grows() {
    let code = code(GROWING);
    let limits = Limits {
        limiter: Some(Limiter { growing, failed }),
        ..Limits::default()
    };
    let instance = instantiate_with(&table(&code, |_| Ok(())), limits);
    let mut asked = Asked::default();
    let mut grow = |limit: u64, name: &str, delta: u64| {
        asked = Asked {
            limit,
            ..Asked::default()
        };
        let result = invoke_with(instance.handle(), name, &[delta], (&raw mut asked).cast());
        assert_eq!(asked.failures, 0);
        let asked = asked
            .questions
            .iter()
            .map(|growth| (growth.current, growth.desired, growth.maximum));
        (result.map(|word| word as i32), asked.collect::<Vec<_>>())
    };
    let pages = |pages: u64| pages << 16;
    assert_eq!(
        (
            grow(pages(2), "grow", 2).0.unwrap(),
            grow(pages(2), "grow", 1).0.unwrap()
        ),
        (-1, 1)
    );
    // Growth beyond the maximum, or by nothing, is not asked about.
    for (delta, old) in [(2, -1), (0, 2)] {
        let (result, questions) = grow(0, "grow", delta);
        assert_eq!((result.unwrap(), questions), (old, vec![]));
    }
    let (result, questions) = grow(0, "grow", 1);
    let question = vec![(pages(2), pages(3), pages(3))];
    assert_eq!(host_error(result), "the limiter refuses");
    assert_eq!(questions, question);
    let (result, questions) = grow(1, "grow", 1);
    assert_eq!(host_panic(result), "the limiter panics");
    assert_eq!(questions, question);

    assert_eq!(grow(3, "grow_table", 2).0.unwrap(), -1);
    let (result, questions) = grow(3, "grow_table", 1);
    assert_eq!((result.unwrap(), questions), (2, vec![(2, 3, 5)]));
    assert!(matches!(
        grow(0, "grow_table", 1).0,
        Err(Stopped::Host { .. })
    ));
    let sizes: Vec<_> = Growth::at_start(&code, code.image())
        .map(|growth| (growth.current, growth.desired))
        .collect();
    assert_eq!(sizes, [(0, pages(1)), (0, 2)]);
}

#[test]
fn bulk_operations_and_segments() {
    let code = code(
        r#"(memory (export "memory") 1)
           (table $a 4 funcref) (table $b 4 funcref)
           (data $passive "0123456789")
           (elem $e func $one $two)
           (func $one (result i32) (i32.const 1)) (func $two (result i32) (i32.const 2))
           (func $init (export "init") (param i32 i32 i32) (memory.init $passive (local.get 0)
             (local.get 1) (local.get 2)))
           (func (export "drop") (data.drop $passive) (elem.drop $e))
           (func $copy (export "copy") (param i32 i32 i32) (memory.copy (local.get 0) (local.get 1)
             (local.get 2)))
           (func $table_init (export "table_init") (param i32 i32 i32) (table.init $a $e
             (local.get 0) (local.get 1) (local.get 2)))
           (func $table_copy (export "table_copy") (param i32 i32 i32) (table.copy $b $a
             (local.get 0) (local.get 1) (local.get 2)))
           (func $table_fill (export "table_fill") (param i32 i32) (table.fill $b (local.get 0)
             (ref.func $two) (local.get 1)))
           (func $call (export "call") (param i32) (result i32) (call_indirect $b (result i32)
             (local.get 0)))"#,
    );
    let instance = instantiate(&code);
    let handle = instance.handle();
    let bytes =
        |range: std::ops::Range<usize>| instance.memory(memory(&code, "memory"))[range].to_vec();
    invoke(handle, "init", &[100, 2, 5]).unwrap();
    assert_eq!(bytes(100..106), b"23456\0");
    invoke(handle, "copy", &[101, 100, 5]).unwrap();
    assert_eq!(bytes(100..107), b"223456\0");
    assert_trap(
        invoke(handle, "init", &[100, 6, 5]),
        Trap::MemoryOutOfBounds,
        &["init"],
    );
    assert_trap(
        invoke(handle, "copy", &[65535, 0, 2]),
        Trap::MemoryOutOfBounds,
        &["copy"],
    );
    assert_trap(
        invoke(handle, "copy", &[0, u64::from(u32::MAX), 2]),
        Trap::MemoryOutOfBounds,
        &["copy"],
    );

    invoke(handle, "table_init", &[1, 0, 2]).unwrap();
    invoke(handle, "table_copy", &[0, 1, 2]).unwrap();
    assert_eq!(invoke(handle, "call", &[0]).unwrap() as u32, 1);
    assert_eq!(invoke(handle, "call", &[1]).unwrap() as u32, 2);
    invoke(handle, "table_fill", &[2, 2]).unwrap();
    assert_eq!(invoke(handle, "call", &[3]).unwrap() as u32, 2);
    assert_trap(
        invoke(handle, "table_fill", &[3, 2]),
        Trap::TableOutOfBounds,
        &["table_fill"],
    );
    assert_trap(
        invoke(handle, "table_init", &[0, 1, 2]),
        Trap::TableOutOfBounds,
        &["table_init"],
    );
    assert_trap(
        invoke(handle, "table_copy", &[3, 0, 2]),
        Trap::TableOutOfBounds,
        &["table_copy"],
    );

    invoke(handle, "drop", &[]).unwrap();
    invoke(handle, "init", &[0, 0, 0]).unwrap();
    assert_trap(
        invoke(handle, "init", &[0, 0, 1]),
        Trap::MemoryOutOfBounds,
        &["init"],
    );
    assert_trap(
        invoke(handle, "table_init", &[0, 0, 1]),
        Trap::TableOutOfBounds,
        &["table_init"],
    );
    // One instance dropped the segments, and the other still has them.
    invoke(instantiate(&code).handle(), "init", &[0, 0, 10]).unwrap();
}

#[test]
fn start_functions_run_in_order_with_the_segments_behind_them() {
    let code = load(&artifact(
        r#"(component
             (core module $first
               (memory (export "memory") 1)
               (func $start (i32.store8 (i32.const 0) (i32.const 1)))
               (start $start))
             (core instance $a (instantiate $first))
             (core module $second
               (import "a" "memory" (memory 1))
               (data (i32.const 0) "\40")
               (func $start (i32.store8 (i32.const 1) (i32.add (i32.load8_u (i32.const 0))
                 (i32.const 1))))
               (start $start)
               (func (export "load") (result i32) (i32.load16_u (i32.const 0))))
             (core instance (instantiate $second (with "a" (instance $a)))))"#,
    ));
    assert_eq!(
        invoke(instantiate(&code).handle(), "load", &[]).unwrap() as u32,
        0x4140
    );
}

#[test]
fn a_thousand_instances_live_at_once() {
    let code = code(GROWING);
    let instances: Vec<Instance> = (0..1000).map(|_| instantiate(&code)).collect();
    for (number, instance) in instances.iter().enumerate() {
        invoke(instance.handle(), "store", &[16, number as u64 % 251]).unwrap();
    }
    for (number, instance) in instances.iter().enumerate() {
        assert_eq!(
            invoke(instance.handle(), "load", &[16]).unwrap(),
            number as u64 % 251
        );
        assert_eq!(
            invoke(instance.handle(), "load", &[17]).unwrap(),
            u64::from(b'm')
        );
    }
}

#[test]
fn a_large_image_is_mapped_privately() {
    // 64 KiB of data, more than what is copied.
    let data = "0123456789abcdef".repeat(4096);
    let fields = format!(
        r#"(memory (export "memory") 4) (data (i32.const 65536) "{data}")
           (func (export "store") (param i32 i32) (i32.store8 (local.get 0) (local.get 1)))"#
    );
    let artifact = artifact(&format!(
        "(component (core module $m {fields}) (core instance (instantiate $m)))"
    ));
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &artifact).unwrap();
    let check = LoadCheck {
        tunables: tunables(),
        level: mintage_artifact::Check::Full,
    };
    // SAFETY: the compiler made the file, and no one changes it.
    let opened = unsafe { Code::open(file.path(), &check, &pool()) }.unwrap();
    for code in [opened, load(&artifact)] {
        let id = memory(&code, "memory");
        let first = instantiate(&code);
        assert_eq!(first.memory(id)[65536..][..data.len()], *data.as_bytes());
        invoke(first.handle(), "store", &[65536, 0xff]).unwrap();
        assert_eq!(first.memory(id)[65536], 0xff);
        assert_eq!(instantiate(&code).memory(id)[65536], b'0');
    }
    assert_eq!(std::fs::read(file.path()).unwrap(), artifact);
}

#[test]
fn mismatched_artifacts_are_refused() {
    let artifact = artifact("(component)");
    let check = LoadCheck {
        tunables: Tunables::default(),
        ..LoadCheck::default()
    };
    let refused = |bytes: &[u8], check: &LoadCheck| {
        // SAFETY: the compiler made it, or it is refused before anything in it is used.
        let result = unsafe { Code::from_bytes(bytes, check, &pool()) };
        format!("{:?}", result.err().unwrap())
    };
    assert!(
        refused(&artifact, &check).contains("core_exports"),
        "{}",
        refused(&artifact, &check)
    );
    let check = LoadCheck {
        tunables: tunables(),
        ..check
    };
    for len in [0, 1, 64, artifact.len() / 2] {
        refused(&artifact[..len], &check);
    }
    // SAFETY: there is no such file.
    let opened = unsafe { Code::open("/nonexistent/artifact".as_ref(), &check, &pool()) };
    let error = format!("{:?}", opened.err().unwrap());
    assert!(error.contains("/nonexistent/artifact"), "{error}");
}

#[test]
fn host_tables_are_of_one_component() {
    let (first, second) = (code(GROWING), code(GROWING));
    let table = HostTable::new(&first, Vec::new(), &stacks()).unwrap();
    let (limits, words) = (Limits::default(), StoreWords::default());
    // SAFETY: the store's state is never freed.
    let instantiated =
        unsafe { mintage_runtime::instantiate(second.image(), &table, limits, 0, store(words)) };
    let error = instantiated.err().unwrap().to_string();
    assert!(error.contains("another component"), "{error}");
    let needy = code_with_host(r#"(func (export "call") (result i32) (call $f (i32.const 1)))"#);
    let error = HostTable::new(&needy, Vec::new(), &stacks())
        .err()
        .unwrap()
        .to_string();
    assert!(
        error.contains("needs 1 host functions, and 0 were given"),
        "{error}"
    );
}

/// References are numbers, and most of the heap is inaccessible.
#[test]
fn references_to_no_object_have_no_type() {
    let code = code(
        r#"(type $pair (struct (field i64 i64)))
           (global $never_moves (ref $pair) (struct.new $pair (i64.const 1) (i64.const 2)))
           (func (export "new") (param i32) (result i32)
             (loop $next
               (drop (struct.new_default $pair))
               (br_if $next (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
             (ref.is_null (global.get $never_moves)))"#,
    );
    let (root, instance) = (DomainId::from_u32(0), instantiate(&code));
    let heap = code.layout().domains[root].heap.clone().unwrap();
    let [first, second] = heap.halves();
    let typed = || {
        // Around the bounds of what is accessible: the null page, static objects, both halves.
        let references = [0, HeapLayout::FIRST, first, second]
            .into_iter()
            .flat_map(|start| (start..start + HeapLayout::FIRST).step_by(8));
        references
            .filter(|&reference| instance.object_type(root, reference).is_some())
            .count()
    };
    let at_start = typed();
    assert_eq!(at_start as u64, heap.initial / 8);
    invoke(instance.handle(), "new", &[10]).unwrap();
    // An object has a header of 8 bytes and two fields.
    assert_eq!(typed(), at_start + 10 * 3);
    for reference in [
        0,
        1,
        HeapLayout::FIRST + 1,
        heap.span(),
        u64::MAX,
        u64::MAX - 7,
    ] {
        assert_eq!(instance.object_type(root, reference), None);
    }
}
