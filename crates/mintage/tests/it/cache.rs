//! `Config::cache`: what is found again, and what never is.

use mintage::{Cache, CacheConfig, Component, Config, Engine, Linker, Store};
use std::fs::{self, File, FileTimes, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use tempfile::TempDir;

/// Returns a component whose function `f` returns `value`.
fn component(value: u32) -> String {
    format!(
        r#"(component
            (core module $m (func (export "f") (result i32) (i32.const {value})))
            (core instance $i (instantiate $m))
            (func (export "f") (result u32) (canon lift (core func $i "f"))))"#
    )
}

fn call(component: &Component) -> u32 {
    let engine = component.engine();
    let mut store = Store::new(engine, ());
    let instance = Linker::new(engine)
        .instantiate(&mut store, component)
        .unwrap();
    let f = instance
        .get_typed_func::<(), (u32,)>(&mut store, "f")
        .unwrap();
    f.call(&mut store, ()).unwrap().0
}

fn cache_in(folder: &Path) -> Cache {
    let mut config = CacheConfig::new();
    config.with_directory(folder);
    Cache::new(config).unwrap()
}

/// Compiles with a cache and engine of its own, as another process does. Returns what the function
/// of the component returns, and whether the cache had it.
fn compile(folder: &Path, bytes: impl AsRef<[u8]>) -> (u32, bool) {
    compile_with(&cache_in(folder), &mut Config::new(), bytes)
}

fn compile_with(cache: &Cache, config: &mut Config, bytes: impl AsRef<[u8]>) -> (u32, bool) {
    let (hits, misses) = (cache.cache_hits(), cache.cache_misses());
    let engine = Engine::new(config.cache(Some(cache.clone()))).unwrap();
    let component = Component::new(&engine, bytes).unwrap();
    let counted = cache.cache_hits() + cache.cache_misses() - hits - misses;
    assert_eq!(counted, 1);
    (call(&component), cache.cache_hits() > hits)
}

/// Returns the paths of the entries.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path());
    let name = |path: &PathBuf| path.file_name().unwrap().len();
    files.filter(|path| name(path) == 64).collect()
}

fn folder() -> (TempDir, PathBuf) {
    let temporary = tempfile::tempdir().unwrap();
    // It does not exist yet, and neither does the folder around it.
    let folder = temporary.path().join("cache/mintage");
    (temporary, folder)
}

#[test]
fn components_are_found_again() {
    let (_temporary, folder) = folder();
    assert_eq!(compile(&folder, component(1)), (1, false));
    assert_eq!(compile(&folder, component(1)), (1, true));
    assert_eq!(compile(&folder, component(2)), (2, false));
    assert_eq!(compile(&folder, component(1)), (1, true));
    let cache = cache_in(&folder);
    let stats = cache.stats().unwrap();
    assert_eq!(stats.entries, 2);
    let sizes = entries(&folder)
        .into_iter()
        .map(|path| fs::metadata(path).unwrap().len());
    assert_eq!(stats.bytes, sizes.collect::<Vec<_>>().iter().sum::<u64>());
    for (path, mode) in [(folder.join("secret"), 0o600), (folder.clone(), 0o700)]
        .into_iter()
        .chain(entries(&folder).into_iter().map(|path| (path, 0o600)))
    {
        let actual = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(actual, mode, "{}", path.display());
    }
    assert!(cache.last_error().is_none());
}

#[test]
fn files_are_found_again() {
    let (temporary, folder) = folder();
    for bytes in [
        component(1).into_bytes(),
        wat::parse_str(component(2)).unwrap(),
    ] {
        let path = temporary.path().join("app");
        fs::write(&path, bytes).unwrap();
        for hits in [0, 1] {
            let cache = cache_in(&folder);
            let engine = Engine::new(Config::new().cache(Some(cache.clone()))).unwrap();
            Component::from_file(&engine, &path).unwrap();
            assert_eq!((cache.cache_hits(), cache.cache_misses()), (hits, 1 - hits));
        }
    }
}

#[test]
fn settings_are_part_of_the_key() {
    let (_temporary, folder) = folder();
    let cache = cache_in(&folder);
    let limits = mintage::CompileLimits::new().code_size(1 << 20).clone();
    let configs: [&dyn Fn(&mut Config); 4] = [
        &|_| {},
        &|config| _ = config.opt_level(mintage::OptLevel::None),
        &|config| _ = config.interruptible(true),
        &|config| _ = config.compile_limits(&limits),
    ];
    for hit in [false, true] {
        for (i, set) in configs.iter().enumerate() {
            let mut config = Config::new();
            set(&mut config);
            assert_eq!(
                compile_with(&cache, &mut config, component(1)),
                (1, hit),
                "{i}"
            );
        }
    }
    // Settings of the host are not.
    assert!(compile_with(&cache, Config::new().max_wasm_stack(1 << 18), component(1)).1);
    assert_eq!(entries(&folder).len(), 4);
}

#[test]
fn damaged_entries_are_compiled_again() {
    let (_temporary, folder) = folder();
    compile(&folder, component(1));
    let [path] = &entries(&folder)[..] else {
        panic!("expected one entry")
    };
    let good = fs::read(path).unwrap();
    let mut damaged = Vec::new();
    for at in (0..good.len())
        .step_by(good.len() / 60)
        .chain(good.len() - 33..good.len())
    {
        let mut bytes = good.clone();
        bytes[at] ^= 0x10;
        damaged.push(bytes);
    }
    let cuts = [
        0,
        1,
        31,
        32,
        33,
        good.len() / 2,
        good.len() - 32,
        good.len() - 1,
    ];
    damaged.extend(cuts.map(|len| good[..len].to_vec()));
    damaged.push([&good[..], b"more"].concat());
    for bytes in damaged {
        fs::write(path, bytes).unwrap();
        assert_eq!(compile(&folder, component(1)), (1, false));
        assert_eq!(compile(&folder, component(1)), (1, true));
    }
}

#[test]
fn entries_of_others_are_not_used() {
    let (temporary, folder) = folder();
    compile(&folder, component(1));
    let first = entries(&folder)[0].clone();
    compile(&folder, component(2));
    let second = entries(&folder)
        .into_iter()
        .find(|path| *path != first)
        .unwrap();
    let misses = || assert_eq!(compile(&folder, component(1)), (1, false));
    let hits = || assert_eq!(compile(&folder, component(1)), (1, true));

    // The entry of another component, under this name.
    fs::copy(&second, &first).unwrap();
    misses();
    // An entry that others can change.
    fs::set_permissions(&first, Permissions::from_mode(0o620)).unwrap();
    misses();
    hits();
    // A link to an entry, which others may be able to change.
    let elsewhere = temporary.path().join("elsewhere");
    fs::rename(&first, &elsewhere).unwrap();
    symlink(&elsewhere, &first).unwrap();
    misses();
    // A folder. Nothing can be renamed to its place.
    fs::remove_file(&first).unwrap();
    fs::create_dir(&first).unwrap();
    misses();
    fs::remove_dir(&first).unwrap();
    misses();
    // An entry that another secret made.
    let secret = folder.join("secret");
    let old = fs::read(&secret).unwrap();
    fs::write(&secret, [7; 32]).unwrap();
    misses();
    hits();
    let forged = entries(&folder);
    fs::write(&secret, &old).unwrap();
    hits();
    for path in forged {
        if path != first {
            fs::copy(&path, &first).unwrap();
            misses();
        }
    }
}

#[test]
fn a_secret_that_others_may_know_is_replaced() {
    let (_temporary, folder) = folder();
    let secret = folder.join("secret");
    compile(&folder, component(1));
    for change in [
        (|path| fs::set_permissions(path, Permissions::from_mode(0o640)).unwrap()) as fn(&Path),
        |path| fs::write(path, [0; 31]).unwrap(),
        |path| fs::write(path, "").unwrap(),
        |path| fs::remove_file(path).unwrap(),
    ] {
        let old = fs::read(&secret).unwrap();
        change(&secret);
        assert_eq!(compile(&folder, component(1)), (1, false));
        assert_eq!(compile(&folder, component(1)), (1, true));
        let new = fs::read(&secret).unwrap();
        assert!(new.len() == 32 && new != old);
        assert_eq!(
            fs::metadata(&secret).unwrap().permissions().mode() & 0o777,
            0o600
        );
    }
}

#[test]
fn a_folder_that_cannot_be_used_is_not_an_error() {
    let temporary = tempfile::tempdir().unwrap();
    let file = temporary.path().join("file");
    fs::write(&file, "").unwrap();
    let cache = cache_in(&file.join("cache"));
    let engine = Engine::new(Config::new().cache(Some(cache.clone()))).unwrap();
    assert_eq!(call(&Component::new(&engine, component(1)).unwrap()), 1);
    let error = format!("{:#}", cache.last_error().unwrap());
    assert!(
        error.contains("cannot read the secret of the cache"),
        "{error}"
    );
    assert!(cache.last_error().is_none());
    assert!(cache.stats().is_err());

    // No room for an entry.
    let full = Path::new("/proc/self/cache");
    let cache = cache_in(full);
    let engine = Engine::new(Config::new().cache(Some(cache.clone()))).unwrap();
    assert_eq!(call(&Component::new(&engine, component(1)).unwrap()), 1);
    let error = format!("{:#}", cache.last_error().unwrap());
    assert!(error.contains("cannot create the cache folder"), "{error}");
    assert_eq!(cache.stats().unwrap().entries, 0);

    let mut config = CacheConfig::new();
    config.with_directory("relative");
    let error = Cache::new(config).unwrap_err().to_string();
    assert!(
        error.contains("`relative` is not an absolute path"),
        "{error}"
    );
}

#[test]
fn what_was_not_used_for_longest_is_removed() {
    let (_temporary, folder) = folder();
    let mut config = CacheConfig::new();
    config
        .with_directory(&folder)
        .with_file_count_soft_limit(4)
        .with_file_count_limit_percent_if_deleting(75);
    let cache = Cache::new(config.clone()).unwrap();
    let compile = |value| compile_with(&cache, &mut Config::new(), component(value)).1;
    let old = SystemTime::now() - Duration::from_secs(7200);
    let age = |path: &Path, seconds| {
        let times = FileTimes::new().set_modified(old + Duration::from_secs(seconds));
        File::open(path).unwrap().set_times(times).unwrap();
    };
    let mut known = Vec::new();
    for value in 0..4 {
        compile(value);
        let new = entries(&folder)
            .into_iter()
            .find(|path| !known.contains(path))
            .unwrap();
        age(&new, u64::from(value));
        known.push(new);
    }
    // A use makes an entry young.
    assert!(compile(0));
    // What a killed process left behind, and what one is writing.
    fs::write(folder.join("a.tmp"), "").unwrap();
    age(&folder.join("a.tmp"), 0);
    fs::write(folder.join("b.tmp"), "").unwrap();
    fs::write(folder.join("not ours"), "").unwrap();
    compile(4);
    let left = entries(&folder);
    assert_eq!(left.len(), 3);
    assert!(left.contains(&known[0]) && left.contains(&known[3]));
    assert!(!folder.join("a.tmp").exists() && folder.join("b.tmp").exists());

    // By size, too. One that alone is too large is not kept.
    let size = fs::metadata(&known[0]).unwrap().len();
    for (limit, expected) in [(size * 2, 2), (size - 1, 2)] {
        let mut config = config.clone();
        config
            .with_files_total_size_soft_limit(limit)
            .with_files_total_size_limit_percent_if_deleting(100);
        let cache = Cache::new(config).unwrap();
        compile_with(&cache, &mut Config::new(), component(limit as u32));
        assert_eq!(entries(&folder).len(), expected, "{limit}");
    }
    assert_eq!(cache.clear().unwrap().entries, 2);
    assert!(folder.join("not ours").exists() && !folder.join("b.tmp").exists());
    assert_eq!(cache.stats().unwrap().entries, 0);
}

#[test]
fn loaded_components_outlive_their_entries() {
    let (_temporary, folder) = folder();
    compile(&folder, component(5));
    let cache = cache_in(&folder);
    let engine = Engine::new(Config::new().cache(Some(cache.clone()))).unwrap();
    let loaded = Component::new(&engine, component(5)).unwrap();
    assert_eq!((cache.cache_hits(), cache.clear().unwrap().entries), (1, 1));
    compile(&folder, component(5));
    assert_eq!(call(&loaded), 5);
}

/// Threads with caches of their own stand for processes: nothing but the folder is shared.
#[test]
fn a_folder_can_be_shared() {
    let (_temporary, folder) = folder();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let folder = &folder;
            scope.spawn(move || {
                for round in 0..6 {
                    let value = (thread + round) % 3;
                    assert_eq!(compile(folder, component(value)).0, value);
                    if thread == 0 && round == 3 {
                        cache_in(folder).clear().unwrap();
                    }
                }
            });
        }
    });
    for value in 0..3 {
        compile(&folder, component(value));
        assert_eq!(compile(&folder, component(value)), (value, true));
    }
    assert_eq!(entries(&folder).len(), 3);
}

#[test]
fn engines_that_compile_nothing_take_nothing_from_a_cache() {
    let (_temporary, folder) = folder();
    compile(&folder, component(1));
    let cache = cache_in(&folder);
    let mut config = Config::new();
    config.enable_compiler(false).cache(Some(cache.clone()));
    let engine = Engine::new(&config).unwrap();
    assert!(Component::new(&engine, component(1)).is_err());
    assert_eq!((cache.cache_hits(), cache.cache_misses()), (0, 0));
}
