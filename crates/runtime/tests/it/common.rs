//! Guests from text, whose core exports are called by name.

#![allow(dead_code, reason = "each test binary uses a part")]

use mintage_compile::NoProgress;
use mintage_environ::component::{CoreCallee, CoreItem};
use mintage_environ::{DomainId, MemoryId, TableId, Trap, Tunables};
use mintage_runtime::{
    Code, Current, HostAccess, HostCall, HostFunc, HostTable, Instance, InstanceHandle, Limits,
    LoadCheck, Pool, PoolConfig, StackPool, Stopped, StoreState, StoreWords, TrapReport, call,
    run_initializers,
};
use std::ptr::{self, NonNull};
use std::sync::Arc;

/// The settings of all tests. Every core export can be called.
pub fn tunables() -> Tunables {
    Tunables {
        core_exports: true,
        ..Tunables::default()
    }
}

pub fn artifact(component: &str) -> Vec<u8> {
    let bytes = wat::parse_str(component).unwrap_or_else(|error| panic!("{error}"));
    mintage_compile::compile(&bytes, &tunables(), &NoProgress)
        .unwrap_or_else(|error| panic!("{error:?}"))
}

pub fn load(artifact: &[u8]) -> Arc<Code> {
    load_with(
        artifact,
        &LoadCheck {
            tunables: tunables(),
            ..LoadCheck::default()
        },
    )
}

/// Makes a pool with default settings.
pub fn pool() -> Arc<Pool> {
    Pool::new(&PoolConfig::default())
}

pub fn load_with(artifact: &[u8], check: &LoadCheck) -> Arc<Code> {
    // SAFETY: the compiler made it.
    unsafe { Code::from_bytes(artifact, check, &pool()) }
        .unwrap_or_else(|error| panic!("{error:?}"))
}

pub fn load_in(artifact: &[u8], pool: &Arc<Pool>) -> Arc<Code> {
    let check = LoadCheck {
        tunables: tunables(),
        ..LoadCheck::default()
    };
    // SAFETY: the compiler made it.
    unsafe { Code::from_bytes(artifact, &check, pool) }.unwrap_or_else(|error| panic!("{error:?}"))
}

/// Compiles a component of one core module with the given fields.
pub fn code(fields: &str) -> Arc<Code> {
    load(&artifact(&format!(
        "(component (core module $m {fields}) (core instance (instantiate $m)))"
    )))
}

/// Compiles a component of one core module that imports `host` `f`, a function from `u32` to `u32`.
pub fn code_with_host(fields: &str) -> Arc<Code> {
    load(&artifact(&format!(
        r#"(component
            (import "f" (func $f (param "x" u32) (result u32)))
            (core func $lowered (canon lower (func $f)))
            (core module $m (import "host" "f" (func $f (param i32) (result i32))) {fields})
            (core instance (instantiate $m (with "host" (instance (export "f" (func $lowered))))))
        )"#
    )))
}

/// Makes a host table in which each host function of `code` is `function`.
pub fn table<F>(code: &Arc<Code>, function: F) -> Arc<HostTable>
where
    F: Fn(HostCall<'_>) -> anyhow::Result<()> + Send + Sync + 'static,
{
    let function = HostFunc::new(1, function);
    let functions = vec![function; code.interface().lowers.len()];
    HostTable::new(code, functions, &stacks()).unwrap()
}

pub fn instantiate(code: &Arc<Code>) -> Instance {
    instantiate_with(&table(code, |_| panic!("not called")), Limits::default())
}

pub fn instantiate_with(table: &Arc<HostTable>, limits: Limits) -> Instance {
    instantiate_in(table, limits, store(StoreWords::default()))
}

/// Instantiates in a store, whose other instances only this thread uses.
pub fn instantiate_in(table: &Arc<HostTable>, limits: Limits, store: StoreState) -> Instance {
    let image = table.code().image();
    // SAFETY: the store's state is never freed, and this thread alone uses its instances.
    let instance = unsafe { mintage_runtime::instantiate(image, table, limits, 7, store) }.unwrap();
    // SAFETY: the instance is new, and the tests' host functions that run in start functions expect
    // null.
    unsafe { run_initializers(instance.handle(), HostAccess::Nothing) }
        .unwrap_or_else(|stopped| panic!("{stopped:?}"));
    instance
}

/// Makes an instance in a store of its own, whose start functions have not run.
pub fn new_instance(
    table: &Arc<HostTable>,
    limits: Limits,
    words: StoreWords,
) -> anyhow::Result<Instance> {
    let image = table.code().image();
    // SAFETY: the store's state is never freed, and no other instance uses it.
    unsafe { mintage_runtime::instantiate(image, table, limits, 7, store(words)) }
}

/// Returns stacks for calls that can be suspended.
pub fn stacks() -> Arc<StackPool> {
    StackPool::new(0, 512 << 10, &PoolConfig::new())
}

/// Returns the state of a new store, which is never freed.
pub fn store(words: StoreWords) -> StoreState {
    let current = NonNull::from(Box::leak(Box::new(Current::new())));
    StoreState {
        words,
        current,
        check_in: None,
        hooks: None,
        schedule_seed: None,
    }
}

/// Returns the access of host functions that expect `host`.
pub fn access(host: *mut ()) -> HostAccess {
    NonNull::new(host).map_or(HostAccess::Nothing, HostAccess::Functions)
}

/// Returns what [`access`] was made of.
pub fn pointer(access: HostAccess) -> *mut () {
    match access {
        HostAccess::Functions(host) => host.as_ptr(),
        HostAccess::Nothing
        | HostAccess::Suspending(_)
        | HostAccess::Limiter(_)
        | HostAccess::Confined(_) => ptr::null_mut(),
    }
}

/// Returns what [`access`] was made of, as host functions get it.
pub fn host_pointer(host: Option<NonNull<()>>) -> *mut () {
    host.map_or(ptr::null_mut(), NonNull::as_ptr)
}

fn export(code: &Code, name: &str) -> CoreItem {
    let exports = &code.interface().core_exports;
    exports
        .iter()
        .find(|export| &*export.name == name)
        .unwrap_or_else(|| panic!("no export {name}"))
        .item
}

pub fn function(code: &Code, name: &str) -> (CoreCallee, DomainId) {
    match export(code, name) {
        CoreItem::Func(callee, domain) => (callee, domain),
        item => panic!("{name} is {item:?}"),
    }
}

pub fn memory(code: &Code, name: &str) -> MemoryId {
    match export(code, name) {
        CoreItem::Memory(id) => id,
        item => panic!("{name} is {item:?}"),
    }
}

pub fn exported_table(code: &Code, name: &str) -> TableId {
    match export(code, name) {
        CoreItem::Table(id) => id,
        item => panic!("{name} is {item:?}"),
    }
}

/// Calls an export with the parameters `args`. Returns its first result word.
pub fn invoke(instance: InstanceHandle, name: &str, args: &[u64]) -> Result<u64, Stopped> {
    invoke_with(instance, name, args, ptr::null_mut())
}

pub fn invoke_with(
    instance: InstanceHandle,
    name: &str,
    args: &[u64],
    host: *mut (),
) -> Result<u64, Stopped> {
    // SAFETY: the tests' instances live throughout.
    let code = unsafe { instance.instance() }.code().clone();
    let (callee, domain) = function(&code, name);
    let signature = &code.interface().signatures[callee.sig];
    assert_eq!(args.len(), signature.params.len());
    let mut words = vec![0; signature.array_words().max(1)];
    words[..args.len()].copy_from_slice(args);
    // SAFETY: the instance lives, the words are as many as the signature needs, the host pointer is
    // what the test's host functions expect, and no test holds on to a reference into a memory.
    let called = unsafe {
        call(
            instance,
            domain,
            &code.callee(callee).unwrap(),
            words.as_mut_ptr(),
            access(host),
        )
    };
    called.map_err(|stopped| *stopped)?;
    Ok(words[0])
}

/// Returns the trap that ended a call.
pub fn trap(result: Result<u64, Stopped>) -> TrapReport {
    match result {
        Err(Stopped::Trap(report)) => report,
        other => panic!("{other:?} is not a trap"),
    }
}

/// Returns the error of the host that ended a call.
pub fn host_error<T: std::fmt::Debug>(result: Result<T, Stopped>) -> String {
    match result {
        Err(Stopped::Host { error, .. }) => error.to_string(),
        other => panic!("{other:?} is not an error of the host"),
    }
}

/// Returns the literal that the host panicked with.
pub fn host_panic<T: std::fmt::Debug>(result: Result<T, Stopped>) -> &'static str {
    match result {
        Err(Stopped::Panic(payload)) => payload.downcast_ref::<&'static str>().unwrap(),
        other => panic!("{other:?} is not a panic of the host"),
    }
}

/// Returns the names of a report's frames.
pub fn names(report: &TrapReport) -> Vec<&str> {
    report
        .backtrace
        .frames
        .iter()
        .map(|frame| frame.name.as_deref().unwrap_or("?"))
        .collect()
}

pub fn assert_trap(result: Result<u64, Stopped>, expected: Trap, frames: &[&str]) {
    let report = trap(result);
    assert_eq!(report.trap, expected, "{report}");
    assert_eq!(names(&report), frames, "{report}");
}
