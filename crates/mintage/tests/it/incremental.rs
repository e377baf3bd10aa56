//! `Config::enable_incremental_compilation`: what is compiled once, and what a store cannot change.

use mintage::{Cache, CacheConfig, CacheStore, Config, Engine, FunctionStore};
use std::borrow::Cow;
use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// Functions with loops, calls, traps, constants, jump tables, exceptions and references to objects
/// in their frames. `$front` is text of functions before all others, `$data` the data.
fn component(front: &str, data: &str) -> String {
    format!(
        r#"(component
            (core module $M
                (type $pair (struct (field (mut i32)) (field (ref null $pair))))
                (tag $bad (param i32))
                (memory 1)
                (data (i32.const 8) "{data}")
                {front}
                (func $sum (param $n i32) (result i32) (local $sum i32)
                    (loop $more
                        (local.set $sum (i32.add (local.get $sum) (i32.load8_u (local.get $n))))
                        (br_if $more (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
                    (i32.div_s (local.get $sum) (i32.load (i32.const 100))))
                (func $choose (param $n i32) (result f64)
                    (block $a (block $b (block $c (block $d
                        (br_table $a $b $c $d (local.get $n)))
                        (return (f64.const 1.5)))
                        (return (f64.const 2.5)))
                        (return (f64.const 3.5)))
                    (f64.const 4.5))
                (func $throw (param i32) (throw $bad (local.get 0)))
                (func $catch (param i32) (result i32)
                    (block $h (result i32)
                        (try_table (catch $bad $h) (call $throw (local.get 0)))
                        (i32.const 0)))
                (func (export "all") (param i32) (result i32) (local $a (ref null $pair))
                    (local.set $a (struct.new $pair (i32.const 30) (ref.null $pair)))
                    (local.set $a (struct.new $pair (i32.const 4) (local.get $a)))
                    (drop (call $choose (local.get 0)))
                    (drop (call $catch (local.get 0)))
                    (drop (call $sum (local.get 0)))
                    (drop (memory.grow (i32.const 1)))
                    (struct.get $pair 0 (local.get $a))))
            (core instance $m (instantiate $M))
            (func (export "all") (param "n" u32) (result u32) (canon lift (core func $m "all"))))"#
    )
}

/// The same in an engine with a cache in a folder. Data make it large enough for that.
fn component_in_cache(front: &str, letter: &str) -> String {
    component(front, &letter.repeat(300 << 10)).replace("(memory 1)", "(memory 6)")
}

fn with_store(config: &Config, store: &Arc<impl CacheStore + 'static>) -> Engine {
    let mut config = config.clone();
    config
        .enable_incremental_compilation(store.clone())
        .unwrap();
    Engine::new(&config).unwrap()
}

fn configs() -> Vec<Config> {
    let mut configs = vec![Config::new(); 3];
    configs[1].interruptible(true).consume_fuel(true);
    configs[2].generate_address_map(false);
    configs
}

#[test]
fn other_data_compile_nothing() {
    for config in configs() {
        let store = Arc::new(FunctionStore::new(1 << 20));
        let engine = with_store(&config, &store);
        let plain = Engine::new(&config).unwrap();
        let mut compiled = 0;
        for data in ["first", "second", "something longer"] {
            let text = component("", data);
            let artifact = engine.precompile_component(text.as_bytes()).unwrap();
            assert!(artifact == plain.precompile_component(text.as_bytes()).unwrap());
            if compiled == 0 {
                compiled = store.misses();
                assert!(compiled >= 5, "{compiled}");
            }
            assert_eq!(store.misses(), compiled, "{data}");
        }
    }
}

/// Other functions have other numbers, places and callees then. Functions that nobody calls are not
/// compiled at all.
#[test]
fn a_function_more_compiles_that_function() {
    for config in configs() {
        let store = Arc::new(FunctionStore::new(1 << 20));
        let engine = with_store(&config, &store);
        let plain = Engine::new(&config).unwrap();
        for (front, compiled) in [
            ("", None),
            // The list of the component's functions.
            (
                "(func (export \"new\") (param i64) (drop (local.get 0)))",
                Some(1),
            ),
            (
                // The list, the function itself, and the entry to functions of its type.
                "(func $new (drop (call $sum (i32.const 77)))) (start $new)",
                Some(3),
            ),
        ] {
            let text = component(front, "data");
            let before = store.misses();
            let artifact = engine.precompile_component(text.as_bytes()).unwrap();
            assert!(artifact == plain.precompile_component(text.as_bytes()).unwrap());
            if let Some(compiled) = compiled {
                assert_eq!(store.misses() - before, compiled, "{front}");
            }
        }
    }
}

/// Compiles one text after the other, and compares how many entries each added to the store.
fn assert_misses(texts: &[(String, Option<u64>)]) {
    for config in configs() {
        let store = Arc::new(FunctionStore::new(1 << 20));
        let engine = with_store(&config, &store);
        let plain = Engine::new(&config).unwrap();
        for (text, compiled) in texts {
            let before = store.misses();
            let artifact = engine.precompile_component(text.as_bytes()).unwrap();
            assert!(artifact == plain.precompile_component(text.as_bytes()).unwrap());
            if let Some(compiled) = *compiled {
                assert_eq!(store.misses() - before, compiled, "{text}");
            }
        }
    }
}

/// The others are not even looked for under their intermediate code.
#[test]
fn another_body_compiles_that_function() {
    let text = |number: u32, data: &str| {
        format!(
            r#"(component
                (core module $m
                    (memory 1)
                    (data (i32.const 0) "{data}")
                    (global $end (mut i32) (i32.const {}))
                    (func $number (result i32) (block (result i32) (i32.const {number})))
                    (func (export "f") (result i32) (i32.add (call $number) (i32.const 1)))
                    (func (export "g") (result i32) (i32.load8_u (global.get $end))))
                (core instance $i (instantiate $m))
                (func (export "f") (result u32) (canon lift (core func $i "f")))
                (func (export "g") (result u32) (canon lift (core func $i "g"))))"#,
            data.len()
        )
    };
    assert_misses(&[
        (text(1, "data"), None),
        (text(2, "data"), Some(1)),
        (text(3, "other data"), Some(1)),
        (text(3, "data"), Some(0)),
        // The list has the function as it was last. Its code is still there.
        (text(1, "data"), Some(0)),
    ]);
}

/// The function has no code of its own, unless fuel is consumed: then it has, and its callers stay
/// the same.
#[test]
fn another_body_of_an_inlined_function_compiles_its_callers() {
    let text = |number: u32, other: &str| {
        format!(
            r#"(component
                (core module $m
                    (func $number (result i32) (i32.const {number}))
                    (func $other (result i32) {other})
                    (func (export "f") (result i32) (i32.add (call $number) (i32.const 1)))
                    (func (export "g") (result i32) (i32.add (call $other) (i32.const 1))))
                (core instance $i (instantiate $m))
                (func (export "f") (result u32) (canon lift (core func $i "f")))
                (func (export "g") (result u32) (canon lift (core func $i "g"))))"#,
        )
    };
    let (small, large) = ("(i32.const 7)", "(block (result i32) (i32.const 7))");
    assert_misses(&[
        (text(1, small), None),
        // The list, and the function or its caller.
        (text(2, small), Some(2)),
        (text(1, small), Some(0)),
        (text(1, large), None),
        // The list.
        (text(2, large), Some(1)),
        (text(2, small), Some(0)),
    ]);
}

/// Functions are found without a look at their bodies then, but their places are other ones.
#[test]
fn functions_behind_other_data_have_places_of_their_own() {
    let text = |name: &str, data: &str| {
        format!(
            r#"(component
                (core module $data (memory 1) (data (i32.const 0) "{data}"))
                (core instance (instantiate $data))
                (core module $m (func ${name} (export "f") unreachable))
                (core instance $i (instantiate $m))
                (func (export "f") (canon lift (core func $i "f"))))"#
        )
    };
    for config in configs() {
        let store = Arc::new(FunctionStore::new(1 << 20));
        let engine = with_store(&config, &store);
        let plain = Engine::new(&config).unwrap();
        let mut compiled = None;
        for (name, data) in [
            ("f", ""),
            ("f", "some data"),
            ("other", "other data, longer"),
        ] {
            let text = text(name, data);
            let artifact = engine.precompile_component(text.as_bytes()).unwrap();
            assert!(artifact == plain.precompile_component(text.as_bytes()).unwrap());
            let misses = store.misses();
            assert_eq!(*compiled.get_or_insert(misses), misses, "{data}");
        }
    }
}

/// Whatever machine code depends on outside of a function's body, and each setting.
#[test]
fn a_change_that_is_not_in_a_function_is_noticed() {
    let text = r#"(component
        (core module $m
            (type $pair (struct (field (mut i32)) (field (mut i32))))
            (type $f (func (param i32) (result i32)))
            (memory (export "memory") 1)
            (table 3 funcref)
            (elem (i32.const 0) $double)
            (global $constant i32 (i32.const 7))
            (global $mutable (mut i32) (i32.const 1))
            (func $double (type $f) (i32.mul (local.get 0) (i32.const 2)))
            (func $triple (type $f) (i32.mul (local.get 0) (i32.const 3)))
            (func (export "run") (param i32 i32) (result i32)
                (struct.new $pair (local.get 0) (global.get $constant))
                (drop (struct.get $pair 1))
                (global.set $mutable (i32.load (local.get 0)))
                (call_indirect (type $f) (local.get 1) (i32.const 0))))
        (core instance $i (instantiate $m))
        (func (export "run") (param "a" u32) (param "b" u32) (result u32)
            (canon lift (core func $i "run"))))"#;
    let memory = r#"(memory (export "memory") 1)"#;
    let pair = "(struct (field (mut i32)) (field (mut i32)))";
    let changes = [
        ("", ""),
        (memory, r#"(memory (export "memory") 2)"#),
        (memory, r#"(memory (export "memory") 1 1)"#),
        (memory, r#"(memory (export "memory") 1) (memory i64 1)"#),
        ("(table 3 funcref)", "(table 4 funcref)"),
        ("(i32.const 0) $double", "(i32.const 0) $triple"),
        ("(i32.const 0) $double", "(i32.const 1) $triple $double"),
        ("i32 (i32.const 7)", "i32 (i32.const 8)"),
        ("i32 (i32.const 7)", "(mut i32) (i32.const 7)"),
        (
            "(global $mutable",
            "(global (mut i64) (i64.const 1)) (global $mutable",
        ),
        (pair, "(struct (field i32) (field (mut i32)))"),
        (pair, "(sub (struct (field (mut i32)) (field (mut i32))))"),
        (r#"(param "a" u32)"#, r#"(param "a" s32)"#),
        (r#"(param "a" u32)"#, r#"(param "other" u32)"#),
        ("(result u32)", "(result s8)"),
    ];
    let store = Arc::new(FunctionStore::new(4 << 20));
    let mut shared = Config::new();
    shared.enable_incremental_compilation(store).unwrap();
    let settings: [fn(&mut Config) -> &mut Config; 7] = [
        |config| config,
        |config| config.interruptible(true),
        |config| config.consume_fuel(true),
        |config| config.generate_address_map(false),
        |config| config.cranelift_nan_canonicalization(true),
        |config| config.memory_reservation(1 << 20),
        |config| config.memory_guard_size(0),
    ];
    for set in settings {
        let (mut with, mut without) = (shared.clone(), Config::new());
        let with = Engine::new(set(&mut with)).unwrap();
        let without = Engine::new(set(&mut without)).unwrap();
        for (from, to) in changes {
            assert!(text.contains(from), "{from}");
            let text = text.replacen(from, to, 1);
            let compile = |engine: &Engine| engine.precompile_component(text.as_bytes()).unwrap();
            assert!(compile(&with) == compile(&without), "{to}");
        }
    }
}

/// What an [`Untrusted`] store does to entries.
type Damage = fn(&[u8], &HashMap<Vec<u8>, Vec<u8>>) -> Vec<u8>;

/// A store that returns something else than it was given.
struct Untrusted {
    entries: Mutex<HashMap<Vec<u8>, Vec<u8>>>,
    damage: Damage,
}

impl std::fmt::Debug for Untrusted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Untrusted")
    }
}

impl CacheStore for Untrusted {
    fn get(&self, key: &[u8]) -> Option<Cow<'_, [u8]>> {
        let entries = self.entries.lock().unwrap();
        entries
            .contains_key(key)
            .then(|| (self.damage)(key, &entries).into())
    }

    fn insert(&self, key: &[u8], value: Vec<u8>) -> bool {
        self.entries.lock().unwrap().insert(key.into(), value);
        true
    }
}

#[test]
fn what_a_store_makes_up_is_not_used() {
    let damages: [(&str, Damage); 7] = [
        ("nothing", |_, _| Vec::new()),
        ("nothing for some", |key, entries| match key[0] % 3 {
            0 => Vec::new(),
            _ => entries[key].clone(),
        }),
        ("short", |_, _| vec![0; 31]),
        ("another function", |key, entries| {
            let other = entries.iter().find(|(other, _)| *other != key);
            other.unwrap().1.clone()
        }),
        ("cut", |key, entries| {
            let entry = &entries[key];
            entry[..entry.len() - 1].into()
        }),
        ("longer", |key, entries| [&entries[key][..], &[0]].concat()),
        ("one bit", |key, entries| {
            let mut entry = entries[key].clone();
            let at = usize::from(key[0]) * 7 % entry.len();
            entry[at] ^= 1 << (key[1] % 8);
            entry
        }),
    ];
    let text = component("", "data");
    let expected = Engine::default()
        .precompile_component(text.as_bytes())
        .unwrap();
    for (name, damage) in damages {
        let store = Arc::new(Untrusted {
            entries: Mutex::default(),
            damage,
        });
        let engine = with_store(&Config::new(), &store);
        for _ in 0..2 {
            let artifact = engine.precompile_component(text.as_bytes()).unwrap();
            assert!(artifact == expected, "{name}");
        }
    }
}

/// Entries of another secret are not used either.
#[test]
fn configurations_do_not_share_entries() {
    let store = Arc::new(FunctionStore::new(1 << 20));
    let text = component("", "data");
    with_store(&Config::new(), &store)
        .precompile_component(text.as_bytes())
        .unwrap();
    let compiled = store.misses();
    with_store(&Config::new(), &store)
        .precompile_component(text.as_bytes())
        .unwrap();
    assert_eq!((store.hits(), store.misses()), (0, 2 * compiled));
}

#[test]
fn a_store_keeps_what_was_used_last() {
    let store = FunctionStore::new(10_000);
    let value = |number: u8| vec![number; 900];
    for number in 0..100 {
        assert!(store.insert(&[number], value(number)));
        assert!(store.size() <= 10_000, "{}", store.size());
        assert_eq!(store.get(&[0]).as_deref(), Some(&value(0)[..]), "{number}");
    }
    assert_eq!(store.get(&[99]).as_deref(), Some(&value(99)[..]));
    assert_eq!(store.get(&[50]), None);
    assert!(!store.insert(&[1], vec![0; 9_000]), "too large");
    assert!(store.insert(&[99], vec![7]), "replaced");
    assert_eq!(store.get(&[99]).as_deref(), Some(&[7][..]));
}

/// Compiles with a cache and engine of its own, as another process does. Returns the artifact.
fn compile_in(folder: &Path, config: &Config, text: &str) -> Vec<u8> {
    let mut cached = CacheConfig::new();
    cached.with_directory(folder);
    let cache = Cache::new(cached).unwrap();
    let mut config = config.clone();
    let engine = Engine::new(config.cache(Some(cache.clone()))).unwrap();
    let artifact = engine.precompile_component(text.as_bytes()).unwrap();
    let error = cache.last_error();
    assert!(error.is_none(), "{error:?}");
    artifact
}

fn packs(folder: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(folder).unwrap();
    let mut packs: Vec<_> = files
        .map(|file| file.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "functions"))
        .collect();
    packs.sort();
    packs
}

/// Returns the size of the file of functions beside those in `before`.
fn added(folder: &Path, before: &[PathBuf]) -> Option<u64> {
    let mut new = packs(folder);
    new.retain(|path| !before.contains(path));
    assert!(new.len() <= 1, "{new:?}");
    Some(fs::metadata(new.first()?).unwrap().len())
}

#[test]
fn functions_are_kept_in_the_cache_folder() {
    let plain = Engine::default();
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let compile = |text: &str| {
        let artifact = compile_in(folder, &Config::new(), text);
        assert!(artifact == plain.precompile_component(text.as_bytes()).unwrap());
    };
    compile(&component_in_cache("", "a"));
    let all = added(folder, &[]).unwrap();
    let first = packs(folder);
    // Other data.
    compile(&component_in_cache("", "b"));
    assert_eq!(packs(folder), first);
    // Another function, and the entry of its type.
    let front = "(func $new (drop (call $sum (i32.const 77)))) (start $new)";
    compile(&component_in_cache(front, "b"));
    let new = added(folder, &first).unwrap();
    assert!(new < all / 2, "{new} of {all} bytes");
    let mode = fs::metadata(&first[0]).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // Another setting is other code.
    let before = packs(folder);
    let mut config = Config::new();
    config.interruptible(true);
    compile_in(folder, &config, &component_in_cache("", "a"));
    assert!(added(folder, &before).is_some());
    // A small component takes and leaves nothing.
    let before = packs(folder);
    compile_in(
        folder,
        &Config::new(),
        &component("(func (export \"x\"))", "a"),
    );
    assert_eq!(packs(folder), before);
}

#[test]
fn damaged_files_of_functions_are_not_used() {
    let plain = Engine::default();
    let text = component_in_cache("", "a");
    let expected = plain.precompile_component(text.as_bytes()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    compile_in(folder, &Config::new(), &text);
    let path = packs(folder).remove(0);
    let whole = fs::read(&path).unwrap();
    let with = |at: usize, bytes: &[u8]| {
        let mut damaged = whole.clone();
        damaged[at..at + bytes.len()].copy_from_slice(bytes);
        damaged
    };
    let mut cases = vec![Vec::new(), vec![0; 100], with(0, b"X")];
    for len in [1, 8, 15, 16, 17, 63, 64, 65, 1000, whole.len() - 1] {
        cases.push(whole[..len].to_vec());
    }
    // The count, and an element of the index: key, offset, size.
    for count in [0, 1, 1 << 18, (1 << 18) + 1, u64::MAX / 48, u64::MAX] {
        cases.push(with(8, &count.to_le_bytes()));
    }
    for at in [16 + 32, 16 + 40] {
        for number in [0, 1, whole.len() as u64, 1 << 40, u64::MAX - 10, u64::MAX] {
            cases.push(with(at, &number.to_le_bytes()));
        }
    }
    // A bit in each part of the file.
    for at in (16..whole.len()).step_by(whole.len() / 50) {
        cases.push(with(at, &[whole[at] ^ 4]));
    }
    for damaged in cases {
        for other in packs(folder) {
            fs::remove_file(other).unwrap();
        }
        fs::write(&path, damaged).unwrap();
        assert!(compile_in(folder, &Config::new(), &text) == expected);
    }
    // Neither those that were made with another secret, nor a link or a folder in its place.
    for other in packs(folder) {
        fs::remove_file(other).unwrap();
    }
    fs::write(&path, &whole).unwrap();
    fs::remove_file(folder.join("secret")).unwrap();
    assert!(compile_in(folder, &Config::new(), &text) == expected);
    assert_eq!(packs(folder).len(), 2);
    for other in packs(folder) {
        fs::remove_file(other).unwrap();
    }
    fs::create_dir(&path).unwrap();
    symlink("/dev/zero", folder.join("link.functions")).unwrap();
    assert!(compile_in(folder, &Config::new(), &text) == expected);
}

#[test]
fn files_of_functions_are_joined_and_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let text = |number: u64| {
        let front = format!("(func $new (drop (call $sum (i32.const {number})))) (start $new)");
        component_in_cache(&front, "a")
    };
    for number in 0..40 {
        compile_in(folder, &Config::new(), &text(number));
        assert!(packs(folder).len() < 16);
    }
    // Nothing was lost.
    let before = packs(folder);
    for number in 0..40 {
        compile_in(folder, &Config::new(), &text(number));
    }
    assert_eq!(packs(folder), before);

    // They count as files of the cache, and one is at most a quarter of it.
    let mut config = CacheConfig::new();
    config.with_directory(folder);
    let cache = Cache::new(config.clone()).unwrap();
    let size = before
        .iter()
        .map(|path| fs::metadata(path).unwrap().len())
        .sum::<u64>();
    assert_eq!(cache.stats().unwrap().bytes, size);
    assert_eq!(cache.clear().unwrap().bytes, size);
    assert_eq!(packs(folder), before[..0]);
    config.with_files_total_size_soft_limit(4000);
    let cache = Cache::new(config).unwrap();
    let engine = Engine::new(Config::new().cache(Some(cache.clone()))).unwrap();
    engine.precompile_component(text(0).as_bytes()).unwrap();
    let kept = packs(folder)
        .iter()
        .map(|path| fs::metadata(path).unwrap().len())
        .sum::<u64>();
    assert!((1..=1016).contains(&kept), "{kept}");
}
