//! Entries of a cache that leave out what another entry, their base, has.

use crate::shared_code::{check, instance_of, program, shared};
use mintage::{Cache, CacheConfig, Component, Config, Engine, FunctionStore, PoolConfig};
use std::fs::{self, File, FileTimes, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, SystemTime};
use tempfile::TempDir;

/// The most parts that an entry borrows.
const PARTS: usize = 8;
/// The number of numbers in the footer: three for each part, and one more.
const NUMBERS: usize = 3 * PARTS + 1;
/// The size of what follows the chunks in an entry: footer and tag.
const END: usize = 32 + NUMBERS * 8 + 32;

/// A folder with a cache, and one with files that are compiled.
struct Fixture {
    files: TempDir,
    cache: CacheConfig,
    config: Config,
}

/// A cache and an engine of their own, as another process has them.
struct Process {
    cache: Cache,
    engine: Engine,
}

impl Fixture {
    fn new() -> Fixture {
        // Compiling the components of all tests takes time once. Functions are not kept in the
        // cache's folder then.
        static FUNCTIONS: LazyLock<Arc<FunctionStore>> =
            LazyLock::new(|| Arc::new(FunctionStore::new(64 << 20)));
        let files = tempfile::tempdir().unwrap();
        let mut cache = CacheConfig::new();
        cache.with_directory(files.path().join("cache"));
        let mut config = Config::new();
        config
            .enable_incremental_compilation(FUNCTIONS.clone())
            .unwrap();
        Fixture {
            files,
            cache,
            config,
        }
    }

    fn start(&self) -> Process {
        let cache = Cache::new(self.cache.clone()).unwrap();
        let engine = Engine::new(self.config.clone().cache(Some(cache.clone()))).unwrap();
        Process { cache, engine }
    }

    /// Returns the path of a component whose answer is `answer`.
    fn file(&self, answer: u32) -> PathBuf {
        let path = self.files.path().join(format!("{answer}.wasm"));
        if !path.exists() {
            fs::write(&path, wat::parse_str(program(answer)).unwrap()).unwrap();
        }
        path
    }

    /// Compiles a component, which the cache does not have, and returns the path of its entry.
    fn add(&self, answer: u32) -> PathBuf {
        let before = self.entries();
        let process = self.start();
        check(&process.load(&self.file(answer)), answer);
        assert_eq!(process.cache.cache_misses(), 1);
        assert!(process.cache.last_error().is_none());
        let mut added = self.entries();
        added.retain(|path| !before.contains(path));
        let [path] = &added[..] else {
            panic!("expected one more entry than {before:?}: {added:?}")
        };
        path.clone()
    }

    /// Loads a component if the cache has it.
    fn find(&self, answer: u32) -> Option<Component> {
        let (component, _) = Component::from_cache(&self.start().engine, &self.file(answer))?;
        Some(component)
    }

    fn entries(&self) -> Vec<PathBuf> {
        let Ok(files) = fs::read_dir(self.files.path().join("cache")) else {
            return Vec::new();
        };
        let mut paths: Vec<_> = files.map(|file| file.unwrap().path()).collect();
        paths.retain(|path| path.file_name().unwrap().len() == 64);
        paths
    }
}

impl Process {
    fn load(&self, path: &Path) -> Component {
        Component::from_file(&self.engine, path).unwrap()
    }
}

/// Returns the bytes that a file takes on the disk.
fn size(path: &Path) -> u64 {
    fs::metadata(path).unwrap().blocks() * 512
}

/// Returns whether an entry borrows from another one.
fn borrows(entry: &Path) -> bool {
    let bytes = fs::read(entry).unwrap();
    bytes[bytes.len() - END..][..32] != [0; 32]
}

fn used(path: &Path) -> SystemTime {
    fs::metadata(path).unwrap().modified().unwrap()
}

fn set_used(path: &Path, time: SystemTime) {
    let times = FileTimes::new().set_modified(time);
    File::open(path).unwrap().set_times(times).unwrap();
}

#[test]
fn an_entry_leaves_out_what_another_one_has() {
    let fixture = Fixture::new();
    let [first, second, third] = [1, 2, 3].map(|answer| fixture.add(answer));
    assert!(!borrows(&first) && borrows(&second) && borrows(&third));
    let (whole, rest) = (size(&first), size(&second));
    // All chunks of the machine code but one, and all of the data but one.
    assert!(3 * rest < whole, "{whole} bytes, then {rest}");
    let stats = fixture.start().cache.stats().unwrap();
    assert_eq!(stats.entries, 3);
    assert!(stats.bytes <= whole + rest + size(&third));
    // The entries of both have the same length.
    assert_eq!(
        fs::metadata(&first).unwrap().len(),
        fs::metadata(&second).unwrap().len()
    );

    let process = fixture.start();
    for answer in [2, 3, 1] {
        let component = process.load(&fixture.file(answer));
        check(&component, answer);
        let artifact = component.serialize().unwrap();
        let compiled = fs::read(fixture.file(answer)).unwrap();
        assert!(artifact == process.engine.precompile_component(&compiled).unwrap());
    }
    assert_eq!(process.cache.cache_hits(), 3);
    assert_eq!(process.cache.clear().unwrap().entries, 3);
}

/// Other components map the missing chunks from the base, not from the file that lacks them.
#[test]
fn components_share_what_is_borrowed() {
    let fixture = Fixture::new();
    for answer in 1..=3 {
        fixture.add(answer);
    }
    let artifact = fixture.find(3).unwrap().serialize().unwrap();
    for order in [[2, 2, 3, 1], [2, 3, 1, 2], [1, 2, 3, 1], [3, 1, 2, 2]] {
        let process = fixture.start();
        let mut before: Option<(Component, u32)> = None;
        for answer in order {
            let component = process.load(&fixture.file(answer));
            check(&component, answer);
            if let Some((before, answer)) = before.replace((component, answer)) {
                assert!(shared(&process.engine) > 1 << 19);
                check(&before, answer);
            }
            // Only the new component is left.
            let (component, answer) = before.as_ref().unwrap();
            check(component, *answer);
        }
        assert_eq!(process.cache.cache_hits(), 4);
        // One from memory, which shares the rest with the last one, and outlives it.
        // SAFETY: the compiler made the artifact.
        let copy = unsafe { Component::deserialize(&process.engine, &artifact) }.unwrap();
        drop(before);
        check(&copy, 3);
        let again = process.load(&fixture.file(2));
        check(&again, 2);
        drop(copy);
        check(&again, 2);
        assert!(again.serialize().unwrap() == fixture.find(2).unwrap().serialize().unwrap());
        drop(again);
        assert_eq!(shared(&process.engine), 0);
    }
}

/// Instances map the pages of the image that are borrowed from the base, and others from the entry.
#[test]
fn instances_map_the_image_from_both_files() {
    let fixture = Fixture::new();
    let paths = [1, 2].map(|answer| fixture.add(answer));
    let component = fixture.find(2).unwrap();
    // The sizes of what instances have mapped.
    let mapped = || {
        let maps = fs::read_to_string("/proc/self/maps").unwrap();
        paths.each_ref().map(|path| {
            let path = path.to_str().unwrap();
            let lines = maps.lines();
            let lines = lines.filter(|line| line.ends_with(path) && line.contains(" rw-p "));
            let sizes = lines.map(|line| {
                let (start, end) = line.split_once(' ').unwrap().0.split_once('-').unwrap();
                let [start, end] = [start, end].map(|at| u64::from_str_radix(at, 16).unwrap());
                end - start
            });
            sizes.sum::<u64>()
        })
    };
    assert_eq!(mapped(), [0, 0]);
    let store = instance_of(&component);
    let [base, own] = mapped();
    assert!(base > 3 * own && own > 0, "{base}, {own}");
    drop(store);
    check(&component, 2);
}

#[test]
fn without_a_base_an_entry_is_not_found() {
    let fixture = Fixture::new();
    let [first, second] = [1, 2].map(|answer| fixture.add(answer));
    let [first_bytes, second_bytes] = [&first, &second].map(|path| fs::read(path).unwrap());
    let third = fixture.add(3);
    let third_bytes = fs::read(&third).unwrap();
    fs::remove_file(&third).unwrap();
    let elsewhere = fixture.files.path().join("elsewhere");
    let write = |bytes: &[u8]| fs::write(&first, bytes).unwrap();
    let text = first_bytes.len() / 2;
    let changes: [&dyn Fn(); 10] = [
        &|| fs::remove_file(&first).unwrap(),
        &|| write(&[]),
        &|| write(&first_bytes[..100]),
        &|| write(&first_bytes[..text]),
        // An entry that borrows, for a base.
        &|| write(&second_bytes),
        &|| write(&third_bytes),
        &|| {
            let mut bytes = first_bytes.clone();
            bytes[text] ^= 1;
            write(&bytes);
        },
        &|| fs::set_permissions(&first, Permissions::from_mode(0o620)).unwrap(),
        &|| {
            fs::rename(&first, &elsewhere).unwrap();
            symlink(&elsewhere, &first).unwrap();
        },
        &|| {
            fs::remove_file(&first).unwrap();
            fs::create_dir(&first).unwrap();
        },
    ];
    for (number, change) in changes.iter().enumerate() {
        check(&fixture.find(2).unwrap(), 2);
        let loaded = fixture.find(2).unwrap();
        change();
        assert!(fixture.find(2).is_none(), "{number}");
        // It is compiled again, and is whole now.
        let process = fixture.start();
        check(&process.load(&fixture.file(2)), 2);
        assert!(!borrows(&second), "{number}");
        check(&fixture.find(2).unwrap(), 2);
        // Files are truncated here, which no one but a test does.
        drop(loaded);

        let _ = fs::remove_dir(&first).or_else(|_| fs::remove_file(&first));
        write(&first_bytes);
        fs::set_permissions(&first, Permissions::from_mode(0o600)).unwrap();
        fs::write(&second, &second_bytes).unwrap();
    }
    check(&fixture.find(1).unwrap(), 1);
    // A base without its last bytes, which are not part of the artifact, has all that is borrowed.
    write(&first_bytes[..first_bytes.len() - 1]);
    check(&fixture.find(2).unwrap(), 2);
    assert!(fixture.find(1).is_none());
}

#[test]
fn damage_of_what_follows_the_artifact_is_noticed() {
    let fixture = Fixture::new();
    for path in [1, 2].map(|answer| fixture.add(answer)) {
        let answer = 1 + u32::from(borrows(&path));
        let good = fs::read(&path).unwrap();
        let try_with = |bytes: &[u8]| {
            fs::write(&path, bytes).unwrap();
            fixture.find(answer)
        };
        let footer = good.len() - END;
        for at in footer - 64..good.len() {
            let mut bytes = good.clone();
            bytes[at] ^= 1 << (at % 8);
            assert!(try_with(&bytes).is_none(), "{at}");
        }
        // Numbers that are far out of range, or a little.
        for number in 0..NUMBERS {
            for value in [0, 1, 4096, 1 << 20, 1 << 32, u64::MAX - 4095, u64::MAX] {
                let place = footer + 32 + 8 * number..footer + 40 + 8 * number;
                let mut bytes = good.clone();
                bytes[place.clone()].copy_from_slice(&value.to_le_bytes());
                let is_same = bytes[place.clone()] == good[place];
                assert_eq!(try_with(&bytes).is_some(), is_same, "{number}: {value}");
            }
        }
        for len in [0, 1, END - 1, END, END + 1, footer, good.len() - 1] {
            assert!(try_with(&good[..len]).is_none());
            assert!(try_with(&good[good.len() - len..]).is_none());
        }
        assert!(try_with(&[&good[..], b"\0"].concat()).is_none());
        check(&try_with(&good).unwrap(), answer);
    }
}

/// The secret alone does not make the engine take a part of a chunk from a base.
#[test]
fn chunks_are_borrowed_whole() {
    let fixture = Fixture::new();
    fixture.add(1);
    let path = fixture.add(2);
    let good = fs::read(&path).unwrap();
    let (footer, tag) = (good.len() - END, good.len() - 32);
    let artifact = fixture.find(2).unwrap().serialize().unwrap();
    let secret = fs::read(fixture.files.path().join("cache/secret")).unwrap();
    let key: Vec<u8> = (path.file_name().unwrap().to_str().unwrap().as_bytes())
        .chunks(2)
        .map(|digits| u8::from_str_radix(str::from_utf8(digits).unwrap(), 16).unwrap())
        .collect();
    let forge = |parts: &[[u64; 3]]| {
        let mut bytes = good.clone();
        let mut numbers = parts.as_flattened().to_vec();
        numbers.resize(NUMBERS - 1, 0);
        let numbers = numbers.iter().flat_map(|number| number.to_le_bytes());
        bytes.splice(footer + 32..tag - 8, numbers);
        let mut hasher = blake3::Hasher::new_keyed(secret[..].try_into().unwrap());
        hasher.update(&artifact);
        hasher.update(&bytes[artifact.len()..tag]);
        hasher.update(&key);
        bytes.splice(tag.., *hasher.finalize().as_bytes());
        // The file has all bytes, so any part of a base that has the same will do.
        bytes.splice(..artifact.len(), artifact.iter().copied());
        fs::write(&path, bytes).unwrap();
        fixture.find(2)
    };
    let numbers = good[footer + 32..tag - 8].as_chunks().0.iter();
    let numbers: Vec<_> = numbers.map(|bytes| u64::from_le_bytes(*bytes)).collect();
    let parts = numbers.as_chunks::<3>().0;
    // Machine code is most of an entry.
    let [start, base_start, len] = *parts.iter().max_by_key(|[_, _, len]| *len).unwrap();
    let none = [0; 3];
    let chunk = 256 << 10;
    assert!(len > 2 * chunk && start == base_start);
    let one = [start, base_start, chunk];
    let next = [start + chunk, base_start + chunk, chunk];
    let good: [&[_]; 5] = [
        parts,
        &[[start, base_start, len]],
        &[one],
        &[one, next],
        &[none, none, one, next],
    ];
    for parts in good {
        check(&forge(parts).unwrap(), 2);
    }
    let bad: [&[_]; 7] = [
        // A part of a chunk, and one that begins within a page.
        &[[start, base_start, 4096]],
        &[[start + 4096, base_start + 4096, chunk]],
        &[[start + 1, base_start + 1, chunk]],
        // The first page, which both have of their own.
        &[[0, 0, 4096]],
        // Twice the same, or in another order.
        &[one, one],
        &[next, one],
        // Nothing, of a base.
        &[],
    ];
    for parts in bad {
        assert!(forge(parts).is_none(), "{parts:?}");
    }
}

#[test]
fn processes_may_add_the_same_at_once() {
    let fixture = Fixture::new();
    for answer in 1..=3 {
        fixture.file(answer);
    }
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let fixture = &fixture;
            scope.spawn(move || {
                for round in 0..3 {
                    let answer = 1 + (thread + round) % 3;
                    let process = fixture.start();
                    check(&process.load(&fixture.file(answer)), answer);
                    if thread == 0 && round == 1 {
                        process.cache.clear().unwrap();
                    }
                }
            });
        }
    });
    for answer in 1..=3 {
        fixture.start().load(&fixture.file(answer));
    }
    // Two that have borrowed from each other are not found. Then one of them is whole.
    for answer in 1..=3 {
        fixture.start().load(&fixture.file(answer));
        check(&fixture.find(answer).unwrap(), answer);
    }
}

#[test]
fn a_base_is_kept_for_those_that_borrow() {
    let mut fixture = Fixture::new();
    let [first, second] = [1, 2].map(|answer| fixture.add(answer));
    assert!(used(&first) >= used(&second));
    let old = SystemTime::now() - Duration::from_secs(7200);
    set_used(&first, old);
    set_used(&second, old);
    assert!(fixture.find(2).is_some());
    assert!(used(&second) > old && used(&first) >= used(&second));
    // The base was used a moment ago, but before the entry.
    set_used(&first, used(&second) - Duration::from_secs(1));
    assert!(fixture.find(2).is_some());
    assert!(used(&first) >= used(&second));

    // The oldest entries are removed. A base is none of them, even for the one that is added.
    set_used(&second, old + Duration::from_secs(1));
    set_used(&first, old + Duration::from_secs(2));
    fixture
        .cache
        .with_file_count_soft_limit(2)
        .with_file_count_limit_percent_if_deleting(100);
    let third = fixture.add(3);
    assert!(first.exists() && !second.exists() && borrows(&third));
    check(&fixture.find(3).unwrap(), 3);

    // An entry is stored whole if the limits have no room for it and its base.
    fixture
        .cache
        .with_file_count_soft_limit(100)
        .with_files_total_size_soft_limit(size(&first) * 11 / 10)
        .with_files_total_size_limit_percent_if_deleting(100);
    fs::remove_file(&third).unwrap();
    let second = fixture.add(2);
    assert!(!borrows(&second) && !first.exists());
    check(&fixture.find(2).unwrap(), 2);
}

#[test]
fn entries_are_stored_whole_if_nothing_may_be_shared() {
    let mut fixture = Fixture::new();
    let [first, second] = [1, 2].map(|answer| fixture.add(answer));
    let mut pool = PoolConfig::default();
    pool.share_code(false);
    let sharing = fixture.config.clone();
    fixture.config.pool(&pool);
    // One that borrows is copied.
    let process = fixture.start();
    let loaded = [2, 1].map(|answer| process.load(&fixture.file(answer)));
    assert_eq!(
        (process.cache.cache_hits(), shared(&process.engine)),
        (2, 0)
    );
    check(&loaded[0], 2);
    check(&loaded[1], 1);
    let file = |path: &Path| {
        let maps = fs::read_to_string("/proc/self/maps").unwrap();
        maps.contains(path.to_str().unwrap())
    };
    assert!(file(&first) && !file(&second));
    let third = fixture.add(3);
    assert!(!borrows(&third));
    fixture.config = sharing;
    assert!(borrows(&fixture.add(4)));
}
