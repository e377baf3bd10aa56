//! Guests of older versions of WASI 0.2, and of newer ones.

use crate::common::{Host, MODES, encode, engine, guest, guest_of, linker, run_with};
use mintage::component::Component;
use mintage_wasi::p2::pipe::MemoryOutputPipe;

const HELLO: &str = r#"(data (i32.const 128) "hello")
    (func $run (result i32) (call $print (i32.const 128) (i32.const 5)) (i32.const 0))"#;

fn says_hello(bytes: &[u8]) {
    for mode in MODES {
        let stdout = MemoryOutputPipe::new(100);
        let result = run_with(bytes, mode, |builder| {
            builder.stdout(stdout.clone());
        });
        result.unwrap().unwrap();
        assert_eq!(stdout.contents(), "hello");
    }
}

#[test]
fn every_patch_version_runs() {
    for patch in 0..=15 {
        says_hello(&guest_of(&format!("0.2.{patch}"), HELLO));
    }
}

#[test]
fn a_guest_may_export_another_version_than_it_imports() {
    let text = wasmprinter::print_bytes(guest(HELLO)).unwrap();
    let text = text.replace("wasi:cli/run@0.2.12", "wasi:cli/run@0.2.0");
    says_hello(&wat::parse_str(text).unwrap());
}

#[test]
fn other_versions_are_refused_by_name() {
    let bytes = wasmprinter::print_bytes(guest(HELLO)).unwrap();
    let bytes = wat::parse_str(bytes.replace("wasi:cli/stdout@0.2.12", "wasi:cli/stdout@0.3.0"));
    let component = Component::new(engine(false), bytes.unwrap()).unwrap();
    for mode in MODES {
        let pre = linker(engine(false), mode).instantiate_pre(&component);
        let error = format!("{:#}", pre.err().unwrap());
        assert!(error.contains("wasi:cli/stdout@0.3.0"), "{error}");
    }
}

#[test]
fn instances_of_types_only_need_no_definition() {
    let text = r#"(component
        (import "wasi:http/types@0.2.0" (instance
            (type $method (variant (case "get") (case "other" string)))
            (export "method" (type (eq $method)))))
        (core module $m (func (export "run") (result i32) (i32.const 0)))
        (core instance $i (instantiate $m))
        (func $run (result (result)) (canon lift (core func $i "run")))
        (instance $exports (export "run" (func $run)))
        (export "wasi:cli/run@0.2.0" (instance $exports)))"#;
    for mode in MODES {
        run_with(&wat::parse_str(text).unwrap(), mode, |_| {})
            .unwrap()
            .unwrap();
    }
}

#[test]
fn what_is_not_a_command_is_refused_by_name() {
    let component = Component::new(engine(false), "(component)").unwrap();
    let pre = linker(engine(false), MODES[0])
        .instantiate_pre(&component)
        .unwrap();
    let error = mintage_wasi::p2::bindings::sync::CommandPre::<Host>::new(pre);
    let error = format!("{:#}", error.err().unwrap());
    assert!(error.contains("wasi:cli/run@0.2.12"), "{error}");
}

/// The WIT of the project has what guests import.
#[test]
fn the_wit_has_all_versions() {
    let minimal = "(module (memory (export \"memory\") 1)
        (func (export \"cabi_realloc\") (param i32 i32 i32 i32) (result i32) (unreachable))
        (func (export \"wasi:cli/run@0.2.12#run\") (result i32) (i32.const 0)))";
    for mode in MODES {
        run_with(&encode(minimal, "0.2.12"), mode, |_| {})
            .unwrap()
            .unwrap();
    }
}
