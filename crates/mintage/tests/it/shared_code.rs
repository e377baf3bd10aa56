//! Machine code and contents of memories that several components have are in memory once.

use mintage::{Component, Config, Engine, Linker, PoolConfig, Result, Store, Trap};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

/// The number of functions in the table. Their machine code takes about a megabyte.
const FUNCTIONS: u32 = 4000;

/// The pages of data that all components have, from 128 KiB on: 512 KiB.
const PAGES: u32 = 128;
/// The page of these of which each component has its own.
const OWN_PAGE: u32 = 50;

/// Returns the address of a page of the data.
fn address(page: u32) -> u32 {
    (128 << 10) + 4096 * page
}

/// Returns the letter that a page is full of.
fn letter(page: u32) -> u8 {
    b'a' + (page % 26) as u8
}

/// A component whose `answer` is of its own, while its other functions are those of all: `call`
/// returns the number of the function if `x` is 0. `peek` reads a byte, and `poke` writes one.
pub fn program(answer: u32) -> String {
    let data: String = (0..PAGES)
        .flat_map(|page| [char::from(letter(page)); 4096])
        .collect();
    let mut text = format!(
        r#"(component (core module $m
            (memory 16)
            (data (i32.const 60000) "{answer}")
            (data (i32.const {}) "{data}")
            (data (i32.const {}) "{answer}")
            (func (export "peek") (param i32) (result i32) (i32.load8_u (local.get 0)))
            (func (export "poke") (param i32) (i32.store8 (local.get 0) (i32.const 0)))
            (func (export "answer") (result i32) (i32.const {answer}))
            (type $f (func (param i32) (result i32)))
            (table {FUNCTIONS} funcref)
            (func (export "call") (param i32 i32) (result i32)
                (call_indirect (type $f) (local.get 1) (local.get 0)))"#,
        address(0),
        address(OWN_PAGE) + 4000,
    );
    for number in 0..FUNCTIONS {
        let step = format!(
            "(local.set 0 (i32.xor
                (i32.mul (local.get 0) (i32.const {})) (i32.load (local.get 0))))",
            2 * number + 3
        );
        let steps = step.repeat(20);
        write!(
            text,
            "(func $f{number} (type $f) {steps} (i32.const {number}))
            (elem (i32.const {number}) $f{number})"
        )
        .unwrap();
    }
    text.push_str(
        r#") (core instance $i (instantiate $m))
        (func (export "answer") (result u32) (canon lift (core func $i "answer")))
        (func (export "peek") (param "at" u32) (result u8) (canon lift (core func $i "peek")))
        (func (export "poke") (param "at" u32) (canon lift (core func $i "poke")))
        (func (export "call") (param "f" u32) (param "x" u32) (result u32)
            (canon lift (core func $i "call"))))"#,
    );
    text
}

/// Checks that the component's functions and its data are its own, and those of all.
pub fn check(component: &Component, answer: u32) {
    let engine = component.engine();
    let mut store = Store::new(engine, ());
    let instance = Linker::new(engine)
        .instantiate(&mut store, component)
        .unwrap();
    let get = instance.get_typed_func::<(), (u32,)>(&mut store, "answer");
    assert_eq!(get.unwrap().call(&mut store, ()).unwrap(), (answer,));
    let call = instance.get_typed_func::<(u32, u32), (u32,)>(&mut store, "call");
    let call = call.unwrap();
    for f in (0..FUNCTIONS).step_by(101).chain([FUNCTIONS - 1]) {
        assert_eq!(call.call(&mut store, (f, 0)).unwrap(), (f,));
    }
    // A trap finds its place in the text.
    let error = call.call(&mut store, (1, 1 << 31)).unwrap_err();
    let trap = error.downcast_ref::<Trap>();
    assert_eq!(trap, Some(&Trap::MemoryOutOfBounds), "{error:?}");
    check_data(component, answer);
}

/// Makes an instance. Its store keeps it.
pub fn instance_of(component: &Component) -> Store<()> {
    let engine = component.engine();
    let mut store = Store::new(engine, ());
    let linker = Linker::new(engine);
    linker.instantiate(&mut store, component).unwrap();
    store
}

/// Checks the contents of the memory, and that no instance sees the bytes that another one writes.
fn check_data(component: &Component, answer: u32) {
    let engine = component.engine();
    for write in [true, false] {
        let mut store = Store::new(engine, ());
        let instance = Linker::new(engine)
            .instantiate(&mut store, component)
            .unwrap();
        let peek = instance.get_typed_func::<(u32,), (u8,)>(&mut store, "peek");
        let poke = instance.get_typed_func::<(u32,), ()>(&mut store, "poke");
        let (peek, poke) = (peek.unwrap(), poke.unwrap());
        let read = |store: &mut _, at: u32| peek.call(store, (at,)).unwrap().0;
        assert_eq!(read(&mut store, address(0) - 1), 0);
        assert_eq!(read(&mut store, address(PAGES)), 0);
        let own = answer.to_string().into_bytes()[0];
        assert_eq!(read(&mut store, address(OWN_PAGE) + 4000), own);
        for page in 0..PAGES {
            let at = address(page);
            assert_eq!(read(&mut store, at + 7), letter(page), "{page}");
            if write {
                poke.call(&mut store, (at + 7,)).unwrap();
                assert_eq!(read(&mut store, at + 7), 0);
            }
            assert_eq!(read(&mut store, at + 8), letter(page), "{page}");
        }
    }
}

pub fn shared(engine: &Engine) -> usize {
    engine.metrics().shared_code_bytes
}

fn precompile(answers: &[u32]) -> Vec<Vec<u8>> {
    let engine = Engine::default();
    let compile = |&answer| engine.precompile_component(program(answer).as_bytes());
    answers.iter().map(compile).collect::<Result<_>>().unwrap()
}

fn load(engine: &Engine, artifact: &[u8]) -> Component {
    // SAFETY: `precompile` made it.
    unsafe { Component::deserialize(engine, artifact) }.unwrap()
}

fn load_file(engine: &Engine, path: &Path) -> Component {
    // SAFETY: a test wrote what `precompile` made. It changes only files of dropped components.
    unsafe { Component::deserialize_file(engine, path) }.unwrap()
}

#[test]
fn components_share_all_but_what_differs() {
    let artifacts = precompile(&[1, 2, 3]);
    let engine = Engine::default();
    let first = load(&engine, &artifacts[0]);
    assert_eq!(shared(&engine), 0);
    let second = load(&engine, &artifacts[1]);
    // The first maps its own file. The answer is in a chunk that differs.
    let once = shared(&engine);
    assert!(once > 1 << 19, "{once}");
    let third = load(&engine, &artifacts[2]);
    assert_eq!(shared(&engine), 2 * once);
    check(&first, 1);
    check(&second, 2);
    check(&third, 3);
    drop(first);
    drop(second);
    assert_eq!(shared(&engine), once);
    // The third keeps the file of the first, in which all of the first's code is.
    let again = load(&engine, &artifacts[0]);
    check(&again, 1);
    check(&third, 3);
    // The artifact is what it was.
    assert!(third.serialize().unwrap() == artifacts[2]);
    assert!(shared(&engine) > 2 * once);
    drop((again, third));
    assert_eq!(shared(&engine), 0);
}

#[test]
fn equal_components_share_more() {
    let artifacts = precompile(&[1, 2]);
    let load_both = |artifacts: [&[u8]; 2]| {
        let engine = Engine::default();
        let both = artifacts.map(|artifact| load(&engine, artifact));
        (shared(&engine), both)
    };
    let (different, _) = load_both([&artifacts[0], &artifacts[1]]);
    let (equal, both) = load_both([&artifacts[0], &artifacts[0]]);
    assert!(equal > different, "{equal}, {different}");
    both.iter().for_each(|component| check(component, 1));
}

/// Writes artifacts to files. Every second one has the answer 1, and the others 2.
fn files(folder: &Path, count: usize) -> Vec<PathBuf> {
    let artifacts = precompile(&[1, 2]);
    let write = |number| {
        let path = folder.join(format!("{number}"));
        fs::write(&path, &artifacts[number % 2]).unwrap();
        path
    };
    (0..count).map(write).collect()
}

#[test]
fn files_of_hosts_are_copied_when_many_have_the_same_code() {
    let folder = tempfile::tempdir().unwrap();
    let paths = files(folder.path(), 6);
    let engine = Engine::default();
    let mut few: Vec<_> = paths[..3]
        .iter()
        .map(|path| load_file(&engine, path))
        .collect();
    assert_eq!(shared(&engine), 0);
    let fourth = load_file(&engine, &paths[3]);
    let once = shared(&engine);
    assert!(once > 1 << 19, "{once}");
    let fifth = load_file(&engine, &paths[4]);
    assert_eq!(shared(&engine), 2 * once);
    // A host may change a file when its component is gone: the same file, not another one of that
    // name.
    few.clear();
    drop(fourth);
    for path in &paths[..4] {
        fs::write(path, vec![0xcc; 1 << 16]).unwrap();
    }
    let sixth = load_file(&engine, &paths[5]);
    check(&fifth, 1);
    check(&sixth, 2);
    drop((fifth, sixth));
    assert_eq!(shared(&engine), 0);
}

#[test]
fn damaged_code_is_not_passed_on() {
    let folder = tempfile::tempdir().unwrap();
    let paths = files(folder.path(), 5);
    // The text is most of the artifact.
    let mut damaged = fs::read(&paths[3]).unwrap();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 0xff;
    fs::write(&paths[3], damaged).unwrap();
    let engine = Engine::default();
    let whole = [0, 1, 2].map(|number| load_file(&engine, &paths[number]));
    // The code of files is not compared with its hash. That of this component does not run.
    let fourth = load_file(&engine, &paths[3]);
    assert_eq!(shared(&engine), 0);
    let fifth = load_file(&engine, &paths[4]);
    assert!(shared(&engine) > 0);
    check(&fifth, 1);
    drop(fourth);
    check(&whole[1], 2);
    check(&fifth, 1);
}

#[test]
fn a_host_can_turn_sharing_off() {
    let artifacts = precompile(&[1]);
    let mut pool = PoolConfig::default();
    pool.share_code(false);
    let engine = Engine::new(Config::new().pool(&pool)).unwrap();
    let both = [(); 2].map(|()| load(&engine, &artifacts[0]));
    assert_eq!(shared(&engine), 0);
    both.iter().for_each(|component| check(component, 1));
}
