//! Refusals of the system. Each scenario is a process of its own, because it limits the process.
//! Either there is another way or a clear error, and what is given back can be used again.

#[path = "it/common.rs"]
mod common;
#[path = "it/scenarios.rs"]
mod scenarios;

use common::*;
use mintage_runtime::{
    Code, Growth, HostAccess, Instance, Limiter, Limits, LoadCheck, Permit, Pool, PoolConfig,
    StoreWords, run_initializers,
};
use scenarios::Scenario;
use std::process::ExitCode;
use std::ptr;
use std::sync::Arc;

const SCENARIOS: &[Scenario] = &[
    ("address space ends", address_space, None),
    ("mappings end", mappings, None),
    ("idle slabs give mappings back", idle_mappings, None),
    ("memory ends", memory_ends, None),
    (
        "memory ends while a start function runs",
        memory_ends_in_start,
        None,
    ),
    (
        "memory ends where the host grows one",
        memory_ends_for_host,
        None,
    ),
    (
        "memory ends for more of a GC heap than is needed",
        memory_ends_for_heap,
        None,
    ),
    ("memory is not taken back", no_advice, None),
    ("files in memory are refused", no_memfd, None),
    ("the scan of page tables is unknown", no_scan, None),
    ("the scan tells of another process", forked, None),
    ("page faults are not counted", no_fault_count, None),
    ("file descriptors end", no_descriptors, None),
];

fn main() -> ExitCode {
    scenarios::run(SCENARIOS)
}

/// A guest with an image, a start function, and growth.
fn guest(pages: u32) -> Vec<u8> {
    artifact(&format!(
        r#"(component (core module $m
             (memory (export "memory") {pages}) (data (i32.const 65536) "{}")
             (func $start (i32.store8 (i32.const 7) (i32.const 7)) (memory.fill (i32.const 10000)
               (i32.const 1) (i32.const 50000)))
             (start $start)
             (func (export "store") (param i32 i32) (i32.store8 (local.get 0) (local.get 1)))
             (func (export "load") (param i32) (result i32) (i32.load8_u (local.get 0)))
             (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0))))
           (core instance (instantiate $m)))"#,
        "0123456789abcdef".repeat(1000)
    ))
}

fn load(artifact: &[u8], pool: &Arc<Pool>) -> Arc<Code> {
    let check = LoadCheck {
        tunables: tunables(),
        ..LoadCheck::default()
    };
    // SAFETY: the compiler made it.
    unsafe { Code::from_bytes(artifact, &check, pool) }.unwrap()
}

fn mint(code: &Arc<Code>) -> anyhow::Result<Instance> {
    let (imports, words) = (table(code, |_| Ok(())), StoreWords::default());
    let instance = new_instance(&imports, Limits::default(), words)?;
    // SAFETY: the instance is new, and there are no host functions.
    unsafe { run_initializers(instance.handle(), HostAccess::Nothing) }.unwrap();
    Ok(instance)
}

/// Uses instances one after the other. Each must find what the first one found.
fn exercise(code: &Arc<Code>) {
    for round in 0..5 {
        let instance = mint(code).unwrap();
        let bytes = instance.memory(memory(code, "memory"));
        assert_eq!(
            (bytes[7], bytes[9999], bytes[10000], &bytes[65536..65540]),
            (7, 0, 1, &b"0123"[..])
        );
        assert!(bytes[100_000..].iter().all(|&byte| byte == 0));
        // One of these pages was not written by any earlier instance.
        for at in [7, 9999, 10000, 65540, 131_000, 100_000 + round * 5000] {
            invoke(instance.handle(), "store", &[at, 200]).unwrap();
        }
        assert_eq!(invoke(instance.handle(), "grow", &[1]).unwrap() as u32, 2);
        invoke(instance.handle(), "store", &[131_072, 200]).unwrap();
    }
}

fn set_limit(resource: libc::__rlimit_resource_t, value: u64) {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: plain calls with valid pointers.
    unsafe {
        assert_eq!(libc::getrlimit(resource, &mut limit), 0);
        limit.rlim_cur = value.min(limit.rlim_max);
        assert_eq!(libc::setrlimit(resource, &limit), 0);
    }
}

/// Returns a line of `/proc/self/status`, in bytes.
fn status(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace()
        .nth(1)
        .unwrap()
        .parse::<u64>()
        .unwrap()
        << 10
}

fn address_space() {
    let pool = pool();
    let [first, second] = [(); 2].map(|()| load(&guest(2), &pool));
    set_limit(libc::RLIMIT_AS, status("VmSize") + (20 << 30));
    // Six gigabytes each.
    let mut live: Vec<Instance> = (0..3).map(|_| mint(&first).unwrap()).collect();
    let error = format!("{:#}", mint(&first).err().unwrap());
    for part in [
        "no slab of 7 GiB",
        "the pool has mapped",
        "(`ulimit -v`)",
        "Cannot allocate memory",
    ] {
        assert!(error.contains(part), "{error}");
    }
    live.pop();
    live.push(mint(&first).unwrap());
    // Idle slabs of one component are unmapped for another.
    drop(live);
    let live: Vec<Instance> = (0..3).map(|_| mint(&second).unwrap()).collect();
    assert!(mint(&first).is_err());
    drop(live);
    exercise(&first);
}

/// Takes mappings until the system gives no more. Returns the start and the length of the region.
fn take_all_mappings() -> (*mut libc::c_void, usize) {
    const PAGE: usize = 4096;
    let len = 200_000 * PAGE;
    // SAFETY: a new mapping, whose pages no one uses. Every other page gets another protection
    // until that fails.
    unsafe {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        let region = libc::mmap(ptr::null_mut(), len, libc::PROT_NONE, flags, -1, 0);
        assert_ne!(region, libc::MAP_FAILED);
        for page in (0..len / PAGE).step_by(2) {
            if libc::mprotect(region.byte_add(page * PAGE), PAGE, libc::PROT_READ) != 0 {
                return (region, len);
            }
        }
    }
    panic!("the system has no limit of mappings")
}

fn mappings() {
    let code = load(&guest(2), &pool());
    exercise(&code);
    let live = mint(&code).unwrap();
    let (region, len) = take_all_mappings();
    let error = format!("{:#}", mint(&code).err().unwrap());
    assert!(
        error.contains("mappings that `vm.max_map_count` allows"),
        "{error}"
    );
    // Live instances continue, and growth needs no further mapping.
    assert_eq!(invoke(live.handle(), "load", &[7]).unwrap() as u32, 7);
    assert_eq!(invoke(live.handle(), "grow", &[1]).unwrap() as u32, 2);
    drop(live);
    // SAFETY: the region is ours, and no one uses it.
    assert_eq!(unsafe { libc::munmap(region, len) }, 0);
    exercise(&code);
}

fn idle_mappings() {
    let pool = pool();
    let [first, second] = [(); 2].map(|()| load(&guest(2), &pool));
    drop((0..10).map(|_| mint(&first).unwrap()).collect::<Vec<_>>());
    take_all_mappings();
    let live = mint(&second).unwrap();
    assert_eq!(invoke(live.handle(), "load", &[7]).unwrap() as u32, 7);
}

fn memory_ends() {
    let pool = pool();
    let [small, large] = [2, 2000].map(|pages| load(&guest(pages), &pool));
    let instance = mint(&small).unwrap();
    set_limit(libc::RLIMIT_DATA, status("VmData") + (32 << 20));
    // The guest is told by the result; nothing traps.
    assert_eq!(
        invoke(instance.handle(), "grow", &[1000]).unwrap() as i32,
        -1
    );
    assert_eq!(invoke(instance.handle(), "grow", &[10]).unwrap() as i32, 2);
    invoke(instance.handle(), "store", &[12 * 65536 - 1, 1]).unwrap();
    let error = format!("{:#}", mint(&large).err().unwrap());
    assert!(error.contains("the system gives no slab"), "{error}");
    drop(instance);
    exercise(&small);
}

/// A heap grows to twice of what is used, or else to what is needed.
fn memory_ends_for_heap() {
    let code = load(
        &artifact(
            r#"(component (core module $m
                 (type $bytes (array (mut i8)))
                 (global $first (mut (ref null $bytes)) (ref.null $bytes))
                 (global $second (mut (ref null $bytes)) (ref.null $bytes))
                 (func (export "first") (param i32)
                   (global.set $first (array.new $bytes (i32.const 1) (local.get 0))))
                 (func (export "second") (param i32)
                   (global.set $second (array.new $bytes (i32.const 2) (local.get 0))))
                 (func (export "sum") (result i32) (i32.add
                   (array.get_u $bytes (global.get $first) (i32.const 1000000))
                   (array.get_u $bytes (global.get $second) (i32.const 1000000)))))
               (core instance (instantiate $m)))"#,
        ),
        &pool(),
    );
    let instance = mint(&code).unwrap();
    let handle = instance.handle();
    invoke(handle, "first", &[8 << 20]).unwrap();
    // Both halves are to grow from 8 to 24 MiB. There is room for 16 of them.
    set_limit(libc::RLIMIT_DATA, status("VmData") + (28 << 20));
    invoke(handle, "second", &[8 << 20]).unwrap();
    assert_eq!(invoke(handle, "sum", &[]).unwrap(), 3);
    // Not even what is needed.
    invoke(handle, "first", &[64 << 20]).unwrap_err();
    drop(instance);
    let instance = mint(&code).unwrap();
    invoke(instance.handle(), "first", &[1 << 20]).unwrap();
}

/// The limiter expects the host pointer of a call, so it is not called outside of one.
fn memory_ends_for_host() {
    unsafe fn growing(_: HostAccess, growth: &Growth) -> anyhow::Result<Permit> {
        panic!("asked about {growth:?} outside of a call")
    }
    unsafe fn failed(_: HostAccess, growth: &Growth, _: anyhow::Error) -> anyhow::Result<()> {
        panic!("told of {growth:?} outside of a call")
    }
    let code = load(&guest(2), &pool());
    let (imports, words) = (table(&code, |_| Ok(())), StoreWords::default());
    let limits = Limits {
        limiter: Some(Limiter { growing, failed }),
        ..Limits::default()
    };
    let mut instance = new_instance(&imports, limits, words).unwrap();
    let id = memory(&code, "memory");
    set_limit(libc::RLIMIT_DATA, status("VmData") + (32 << 20));
    assert_eq!(instance.memory_grow(id, 1000), None);
    assert_eq!(instance.memory_grow(id, 10), Some(2));
}

/// What a start function did without memory does not become the image of instances that have
/// memory.
fn memory_ends_in_start() {
    let artifact = artifact(
        r#"(component (core module $m
             (memory (export "memory") 1)
             (func $start (i32.store (i32.const 0) (memory.grow (i32.const 1000))))
             (start $start))
           (core instance (instantiate $m)))"#,
    );
    let code = load(&artifact, &pool());
    let grown = || mint(&code).unwrap().memory(memory(&code, "memory"))[0];
    set_limit(libc::RLIMIT_DATA, status("VmData") + (32 << 20));
    assert_eq!((grown(), grown()), (0xff, 0xff));
    set_limit(libc::RLIMIT_DATA, libc::RLIM_INFINITY);
    assert_eq!((grown(), grown()), (1, 1));
}

/// A slab that cannot be reset is not used again.
fn no_advice() {
    let code = load(&guest(2), &pool());
    refuse(libc::SYS_madvise, None, libc::EINVAL);
    // SAFETY: nothing is at that address.
    let result = unsafe { libc::madvise(ptr::null_mut(), 0, libc::MADV_DONTNEED) };
    assert_eq!(result, -1);
    exercise(&code);
}

/// The child has the page table file that its parent opened.
fn forked() {
    let code = load(&guest(2), &pool());
    exercise(&code);
    // SAFETY: the process has no other thread.
    let child = unsafe { libc::fork() };
    if child == 0 {
        // A page that is not written in the parent.
        invoke(mint(&code).unwrap().handle(), "store", &[125_000, 200]).unwrap();
        return exercise(&code);
    }
    let mut status = -1;
    // SAFETY: plain call with a valid pointer.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    assert_eq!(status, 0);
}

/// Makes a system call fail with `error`, only if its second argument is `argument`, if one is
/// given.
fn refuse(call: libc::c_long, argument: Option<u32>, error: i32) {
    let statement = |code: u32, k: u32| libc::sock_filter {
        code: code as u16,
        jt: 0,
        jf: 0,
        k,
    };
    let load = |offset: u32| statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, offset);
    let end = |verdict: u32| statement(libc::BPF_RET | libc::BPF_K, verdict);
    // Skips `skip` statements unless the loaded value is `k`.
    let unless = |k: u32, skip: u8| libc::sock_filter {
        jf: skip,
        ..statement(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, k)
    };
    // `struct seccomp_data`: the number at 0, the arguments, of 8 bytes each, at 16.
    let mut filter = vec![load(0)];
    match argument {
        Some(argument) => filter.extend([unless(call as u32, 3), load(24), unless(argument, 1)]),
        None => filter.push(unless(call as u32, 1)),
    }
    filter.extend([
        end(libc::SECCOMP_RET_ERRNO | error as u32),
        end(libc::SECCOMP_RET_ALLOW),
    ]);
    let program = libc::sock_fprog {
        len: filter.len() as u16,
        filter: filter.as_mut_ptr(),
    };
    // SAFETY: plain calls; the program is valid while they run.
    unsafe {
        assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
        assert_eq!(
            libc::prctl(
                libc::PR_SET_SECCOMP,
                libc::SECCOMP_MODE_FILTER,
                &raw const program
            ),
            0
        );
    }
}

fn no_memfd() {
    refuse(libc::SYS_memfd_create, None, libc::EPERM);
    // SAFETY: the name is a C string.
    assert_eq!(unsafe { libc::memfd_create(c"refused".as_ptr(), 0) }, -1);
    exercise(&load(&guest(2), &pool()));
}

fn no_scan() {
    // `PAGEMAP_SCAN`. Kernels before Linux 6.7 return another error, which would prove nothing.
    refuse(libc::SYS_ioctl, Some(0xc060_6610), libc::EXDEV);
    // SAFETY: there is no such file.
    assert_eq!(unsafe { libc::ioctl(-1, 0xc060_6610) }, -1);
    assert_eq!(
        std::io::Error::last_os_error().raw_os_error(),
        Some(libc::EXDEV)
    );
    exercise(&load(&guest(2), &pool()));
}

/// Each thread seems to have had no page faults at all.
fn no_fault_count() {
    refuse(libc::SYS_getrusage, None, 0);
    // SAFETY: zeros are valid for the struct, which the call would write.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        assert_eq!(libc::getrusage(libc::RUSAGE_THREAD, &raw mut usage), 0);
        usage
    };
    assert_eq!(usage.ru_minflt, 0);
    exercise(&load(&guest(2), &pool()));
}

/// Neither files in memory nor the page table can be opened.
fn no_descriptors() {
    let artifact = guest(2);
    set_limit(libc::RLIMIT_NOFILE, 0);
    assert!(std::fs::File::open("/proc/self/pagemap").is_err());
    exercise(&load(&artifact, &pool()));
    exercise(&load(
        &artifact,
        &Pool::new(PoolConfig::new().background_reset(true)),
    ));
}
