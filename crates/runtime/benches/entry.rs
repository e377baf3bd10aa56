//! The costs of loading, instantiating, calling and trapping.
//!
//! `MINTAGE_COMPONENT=path` also loads and instantiates the component in that file.

#[path = "../tests/it/common.rs"]
mod common;

use common::*;
use criterion::{Criterion, criterion_group, criterion_main};
use mintage_runtime::{Code, HostAccess, Limits, LoadCheck, Pool, PoolConfig, StoreWords, call};
use std::hint::black_box;

fn calls(criterion: &mut Criterion) {
    let code = code_with_host(
        r#"(memory 1)
           (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
           (func (export "host") (param i32) (result i32) (call $f (local.get 0)))
           (func (export "hosts") (param i32) (result i32)
             (loop $next
               (drop (call $f (i32.const 1)))
               (br_if $next (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
             (i32.const 0))
           (func (export "load") (param i32) (result i32) (i32.load (local.get 0)))
           (func (export "unreachable") (unreachable))
           (func (export "copy") (param i32) (memory.copy (i32.const 0) (i32.const 64)
             (local.get 0)))"#,
    );
    let table = table(&code, |_| Ok(()));
    let instance = instantiate_with(&table, Limits::default());
    let mut bench = |name: &str, export: &str, args: [u64; 2]| {
        let (core, domain) = function(&code, export);
        let callee = code.callee(core).unwrap();
        criterion.bench_function(name, |bencher| {
            bencher.iter(|| {
                let mut words = args;
                // SAFETY: the instance lives, two words are enough for these functions, and the
                // host functions use no pointer.
                let result = unsafe {
                    call(
                        instance.handle(),
                        domain,
                        &callee,
                        words.as_mut_ptr(),
                        HostAccess::Nothing,
                    )
                };
                // Only what a caller reads. Copying what was just stored in parts would cost as
                // much as the call.
                black_box((result.is_ok(), words[0] as u32))
            });
        });
    };
    bench("call", "add", [1, 2]);
    bench("call and one host call", "host", [1, 0]);
    bench("1000 host calls", "hosts", [1000, 0]);
    bench("memory.copy of 8 bytes", "copy", [8, 0]);
    bench("trap by signal", "load", [1 << 20, 0]);
    bench("trap by unreachable", "unreachable", [0, 0]);
}

fn instances(criterion: &mut Criterion) {
    let small = code(r#"(memory 1) (data (i32.const 0) "image") (func (export "f"))"#);
    let mut bench = |name: &str, code| {
        let (table, store) = (table(code, |_| Ok(())), store(StoreWords::default()));
        criterion.bench_function(&format!("instantiate {name}"), |bencher| {
            bencher.iter(|| instantiate_in(&table, Limits::default(), store.clone()))
        });
    };
    bench("small", &small);
    let Ok(path) = std::env::var("MINTAGE_COMPONENT") else {
        return;
    };
    let component = std::fs::read(path).unwrap();
    let tunables = mintage_environ::Tunables::default();
    let artifact =
        mintage_compile::compile(&component, &tunables, &mintage_compile::NoProgress).unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &artifact).unwrap();
    let check = LoadCheck {
        tunables,
        ..LoadCheck::default()
    };
    let pool = Pool::new(&PoolConfig::default());
    // SAFETY: the compiler made the file, and no one changes it.
    let open = || unsafe { Code::open(file.path(), &check, &pool) }.unwrap();
    let code = open();
    println!(
        "{} image runs, {} bytes",
        code.metadata().image.len(),
        artifact.len()
    );
    bench("component", &code);
    criterion.bench_function("open component", |bencher| bencher.iter(open));
    criterion.bench_function("load component from bytes", |bencher| {
        bencher.iter(|| load_with(&artifact, &check))
    });
}

criterion_group!(benches, calls, instances);
criterion_main!(benches);
