//! Signals with other causes than machine code, and the ends of stacks. Each scenario runs on the
//! main thread of a process of its own.

#[path = "it/common.rs"]
mod common;
#[path = "it/scenarios.rs"]
mod scenarios;

use common::*;
use mintage_environ::Trap;
use mintage_runtime::{Code, Limits};
use scenarios::Scenario;
use std::ffi::c_int;
use std::mem::MaybeUninit;
use std::process::ExitCode;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering::SeqCst};

const SCENARIOS: &[Scenario] = &[
    (
        "an earlier handler gets faults outside machine code only",
        earlier_handler,
        None,
    ),
    (
        "an earlier handler without siginfo gets signals",
        plain_handler,
        None,
    ),
    ("ignored signals stay ignored", ignored, None),
    (
        "the default action follows a fault outside machine code",
        default_action,
        Some(libc::SIGSEGV),
    ),
    (
        "the default action follows a signal that was sent",
        default_sent,
        Some(libc::SIGILL),
    ),
    (
        "a fault in a host function is not a trap",
        fault_in_host,
        Some(libc::SIGSEGV),
    ),
    (
        "a fault of the standard library's handler",
        std_handler,
        Some(libc::SIGSEGV),
    ),
    (
        "stack overflow on the main thread",
        main_thread_overflow,
        None,
    ),
];

fn main() -> ExitCode {
    scenarios::run(SCENARIOS)
}

/// Installs an action for a signal.
fn install(signal: c_int, handler: usize, flags: c_int) {
    // SAFETY: zeros are a valid action, and the handlers below have the type that their flags say.
    unsafe {
        let mut action: libc::sigaction = MaybeUninit::zeroed().assume_init();
        action.sa_sigaction = handler;
        action.sa_flags = flags;
        assert_eq!(libc::sigaction(signal, &action, ptr::null_mut()), 0);
    }
}

/// A guest that can trap by signal.
fn guest() -> Arc<Code> {
    code_with_host(
        r#"(memory 1)
           (func $load (export "load") (param i32) (result i32) (i32.load (local.get 0)))
           (func (export "call") (result i32) (call $f (i32.const 1)))
           (func $down (export "down") (result i32) (i32.add (call $down) (i32.const 1)))"#,
    )
}

fn trap_in(code: &Arc<Code>) {
    let instance = instantiate(code);
    assert_trap(
        invoke(instance.handle(), "load", &[1 << 20]),
        Trap::MemoryOutOfBounds,
        &["load"],
    );
}

/// Makes a page that no one may access.
fn forbidden_page() -> *mut u8 {
    // SAFETY: a new mapping touches nothing that exists.
    let page = unsafe {
        libc::mmap(
            ptr::null_mut(),
            4096,
            libc::PROT_NONE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            -1,
            0,
        )
    };
    assert_ne!(page, libc::MAP_FAILED);
    page.cast()
}

static PAGE: AtomicPtr<u8> = AtomicPtr::new(ptr::null_mut());
static HANDLED: AtomicUsize = AtomicUsize::new(0);

extern "C" fn open_the_page(_: c_int, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    let page = PAGE.load(SeqCst);
    // SAFETY: the kernel gives a valid pointer, and the page is the scenario's own.
    unsafe {
        assert_eq!((*info).si_addr().cast(), page);
        assert_eq!(libc::mprotect(page.cast(), 4096, libc::PROT_READ), 0);
    }
    HANDLED.fetch_add(1, SeqCst);
}

extern "C" fn count(_: c_int) {
    HANDLED.fetch_add(1, SeqCst);
}

fn earlier_handler() {
    install(
        libc::SIGSEGV,
        open_the_page as *const () as usize,
        libc::SA_SIGINFO,
    );
    let code = guest();
    trap_in(&code);
    assert_eq!(HANDLED.load(SeqCst), 0);
    for round in 1..3 {
        let page = forbidden_page();
        PAGE.store(page, SeqCst);
        // SAFETY: the handler makes the page readable.
        assert_eq!(unsafe { page.read_volatile() }, 0);
        assert_eq!(HANDLED.load(SeqCst), round);
        trap_in(&code);
    }
    // The same from a host function, where a call is active.
    let table = table(&code, |_| {
        let page = forbidden_page();
        PAGE.store(page, SeqCst);
        // SAFETY: as above.
        assert_eq!(unsafe { page.read_volatile() }, 0);
        Ok(())
    });
    let instance = instantiate_with(&table, Limits::default());
    invoke(instance.handle(), "call", &[]).unwrap();
    assert_eq!(HANDLED.load(SeqCst), 3);
}

fn plain_handler() {
    install(libc::SIGFPE, count as *const () as usize, 0);
    trap_in(&guest());
    // SAFETY: there is a handler.
    unsafe { libc::raise(libc::SIGFPE) };
    assert_eq!(HANDLED.load(SeqCst), 1);
}

fn ignored() {
    install(libc::SIGSEGV, libc::SIG_IGN, 0);
    trap_in(&guest());
    // SAFETY: the signal is ignored.
    unsafe { libc::raise(libc::SIGSEGV) };
    trap_in(&guest());
}

fn default_action() {
    install(libc::SIGSEGV, libc::SIG_DFL, 0);
    trap_in(&guest());
    // SAFETY: this ends the process, as it should.
    unsafe { forbidden_page().read_volatile() };
}

fn default_sent() {
    install(libc::SIGILL, libc::SIG_DFL, 0);
    trap_in(&guest());
    // SAFETY: this ends the process, as it should.
    unsafe { libc::raise(libc::SIGILL) };
}

fn fault_in_host() {
    let code = guest();
    let table = table(&code, |_| {
        // SAFETY: this ends the process, as it should.
        unsafe { forbidden_page().read_volatile() };
        Ok(())
    });
    let _ = invoke(
        instantiate_with(&table, Limits::default()).handle(),
        "call",
        &[],
    );
}

fn std_handler() {
    trap_in(&guest());
    // SAFETY: this ends the process, as it should.
    unsafe { forbidden_page().write_volatile(1) };
}

fn main_thread_overflow() {
    let code = guest();
    // This is more than the main thread has. The end of its stack must cut the limit off.
    for stack_bytes in [256 << 10, 1 << 30] {
        let instance = instantiate_with(
            &table(&code, |_| Ok(())),
            Limits {
                stack_bytes,
                ..Limits::default()
            },
        );
        for _ in 0..2 {
            let report = trap(invoke(instance.handle(), "down", &[]));
            assert_eq!(
                (report.trap, report.backtrace.frames.len()),
                (Trap::StackOverflow, 20)
            );
        }
    }
    trap_in(&code);
}
