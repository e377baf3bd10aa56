//! Escapes: what guests try to get out of a preopened folder, as tables of cases. Each runs with
//! both ways to resolve paths, and in memory.

use super::*;
use mintage_wasi::filesystem::{SetTime, SetTimes};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::time::SystemTime;

const SECRET: &[u8] = b"the secret outside";
const INSIDE: &[u8] = b"inside";

/// A folder, `jail`, that is preopened, and one beside it that must stay as it is.
///
/// ```text
/// jail/file.txt            outside/secret.txt
/// jail/dir/inner.txt       outside/dir/
/// jail/dir/deep/leaf.txt
/// jail/(links, see `LINKS`)
/// ```
struct World {
    root: TempDir,
    outside: Vec<(PathBuf, Vec<u8>, SystemTime)>,
}

/// Symbolic links that the host has made in the folder. `OUTSIDE` is the absolute path of the
/// folder outside.
const LINKS: &[(&str, &str)] = &[
    ("in", "dir/inner.txt"),
    ("in-dir", "dir"),
    ("in-dotted", "./dir/../dir/./inner.txt"),
    ("in-slash", "dir/"),
    ("dangling-in", "made.txt"),
    ("absolute", "OUTSIDE/secret.txt"),
    ("absolute-dir", "OUTSIDE"),
    ("absolute-new", "OUTSIDE/new.txt"),
    ("up", "../outside/secret.txt"),
    ("up-dir", "../outside"),
    ("up-dir-slash", "../outside/"),
    ("up-new", "../outside/new.txt"),
    ("dots", ".."),
    ("dots-slash", "../"),
    ("around", "dir/../../outside/secret.txt"),
    ("around-in-dir", "in-dir/../../outside/secret.txt"),
    ("dir/up", "../../outside/secret.txt"),
    ("dir/up-dir", "../../outside"),
    ("dir/deep/up-dir", "../../../outside"),
    ("chain-1", "chain-2"),
    ("chain-2", "dir/chain-3"),
    ("dir/chain-3", "../chain-4"),
    ("chain-4", "../outside/secret.txt"),
    ("dir-chain-1", "dir/dir-chain-2"),
    ("dir/dir-chain-2", "../up-dir"),
    ("new-chain-1", "new-chain-2"),
    ("new-chain-2", "up-new"),
    ("loop", "loop"),
    ("loop-a", "loop-b"),
    ("loop-b", "dir/../loop-a"),
    ("loop-dir", "loop-dir/x"),
    ("system-root", "/"),
    ("etc", "/etc/passwd"),
    ("proc-root", "/proc/self/root"),
    ("proc-cwd", "/proc/self/cwd"),
    ("proc-fd", "/proc/self/fd"),
    ("dev-null", "/dev/null"),
    ("out-and-in", "../jail/file.txt"),
    ("far-up", "../../../../../../../../../../../../etc/passwd"),
];

impl World {
    fn new() -> World {
        let root = folder();
        let path = |name: &str| root.path().join(name);
        fs::create_dir_all(path("jail/dir/deep")).unwrap();
        fs::create_dir_all(path("jail/empty")).unwrap();
        fs::create_dir_all(path("outside/dir")).unwrap();
        fs::write(path("jail/file.txt"), INSIDE).unwrap();
        fs::write(path("jail/dir/inner.txt"), INSIDE).unwrap();
        fs::write(path("jail/dir/deep/leaf.txt"), INSIDE).unwrap();
        fs::write(path("outside/secret.txt"), SECRET).unwrap();
        let outside = path("outside");
        for (name, target) in LINKS {
            let target = target.replace("OUTSIDE", outside.to_str().unwrap());
            symlink(target, path("jail").join(name)).unwrap();
        }
        let mut world = World {
            root,
            outside: Vec::new(),
        };
        world.outside = world.state();
        world
    }

    fn jail(&self) -> PathBuf {
        self.root.path().join("jail")
    }

    /// Returns all that there is outside: paths, contents and times.
    fn state(&self) -> Vec<(PathBuf, Vec<u8>, SystemTime)> {
        let mut state = Vec::new();
        let mut folders = vec![self.root.path().join("outside")];
        while let Some(folder) = folders.pop() {
            let modified = folder.metadata().unwrap().modified().unwrap();
            state.push((folder.clone(), Vec::new(), modified));
            for entry in fs::read_dir(&folder).unwrap() {
                let path = entry.unwrap().path();
                match path.is_dir() {
                    true => folders.push(path),
                    false => {
                        let modified = path.metadata().unwrap().modified().unwrap();
                        state.push((path.clone(), fs::read(&path).unwrap(), modified));
                    }
                }
            }
        }
        // The folder that both are in.
        let parent = self.root.path().to_owned();
        let mut names: Vec<_> = fs::read_dir(&parent)
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        names.sort();
        let modified = parent.metadata().unwrap().modified().unwrap();
        state.push((parent, format!("{names:?}").into_bytes(), modified));
        state.sort();
        state
    }
}

/// What a guest does with a path.
#[derive(Clone, Copy, Debug)]
enum Op {
    /// Opens a file and reads it, following links.
    Read,
    /// Opens a file and reads it, where the last link is not followed.
    ReadNoFollow,
    /// Opens a file and writes to it.
    Write,
    Create,
    CreateNew,
    Truncate,
    /// Opens a directory and lists it.
    List,
    /// Opens a directory, and a file in it: `secret.txt`.
    Through,
    /// Opens a directory, and creates a file in it: `new.txt`.
    CreateIn,
    Stat,
    StatNoFollow,
    Hash,
    Times,
    Mkdir,
    Rmdir,
    Unlink,
    ReadLink,
    /// Creates a symbolic link with this path and the target `file.txt`.
    Symlink,
    /// Creates a symbolic link with this target.
    SymlinkTo,
    /// Renames `file.txt` to this path.
    RenameTo,
    /// Renames this path to `got.txt`.
    RenameFrom,
    /// Makes this path a hard link of `file.txt`.
    LinkTo,
    /// Makes `got.txt` a hard link of this path.
    LinkFrom,
}

/// What must become of it.
#[derive(Clone, Copy, Debug)]
enum Expect {
    /// It works, on something inside.
    Inside,
    /// It fails with one of these errors.
    Fails(&'static [Errno]),
}

use Errno::{
    Busy, Exist, Invalid, IsDirectory, Loop, NameTooLong, NoEntry, NotDirectory, NotEmpty,
    NotPermitted,
};

use Expect::{Fails, Inside};
use Op::*;

/// The path leads out.
const DENIED: Expect = Fails(&[NotPermitted]);

/// The escapes: what is done, and with which path.
const CASES: &[(Op, &str, Expect)] = &[
    // `..` at each position.
    (Read, "..", DENIED),
    (Read, "../", DENIED),
    (Read, "./..", DENIED),
    (Read, "../outside/secret.txt", DENIED),
    (Read, "../jail/file.txt", DENIED),
    (Read, "dir/../../outside/secret.txt", DENIED),
    (Read, "dir/deep/../../../outside/secret.txt", DENIED),
    (Read, "./dir/./../.././outside/secret.txt", DENIED),
    (Read, "dir/..//..//outside/secret.txt", DENIED),
    (Read, "dir/../../jail/file.txt", DENIED),
    (Read, "../../../../../../../../etc/passwd", DENIED),
    (Read, "missing/../../outside/secret.txt", Fails(&[NoEntry])),
    (
        Read,
        "file.txt/../../outside/secret.txt",
        Fails(&[NotDirectory]),
    ),
    (Read, "dir/../file.txt", Inside),
    (Read, "dir/deep/../../file.txt", Inside),
    (Read, "in-dir/../file.txt", Inside),
    (List, "..", DENIED),
    (List, "dir/../..", DENIED),
    (List, "dir/..", Inside),
    (Stat, "..", DENIED),
    (Stat, "dir/../..", DENIED),
    (StatNoFollow, "dir/../../outside", DENIED),
    (Hash, "../outside/secret.txt", DENIED),
    (Times, "../outside/secret.txt", DENIED),
    (Times, "..", DENIED),
    (Mkdir, "../made", DENIED),
    (Mkdir, "dir/../../made", DENIED),
    (Rmdir, "../outside/dir", DENIED),
    (Rmdir, "..", DENIED),
    (Unlink, "../outside/secret.txt", DENIED),
    (ReadLink, "../jail/up", DENIED),
    (Symlink, "../made", DENIED),
    (RenameTo, "../made.txt", DENIED),
    (RenameTo, "../outside/secret.txt", DENIED),
    (RenameTo, "dir/../../made.txt", DENIED),
    (RenameFrom, "../outside/secret.txt", DENIED),
    (LinkTo, "../outside/made.txt", DENIED),
    (LinkFrom, "../outside/secret.txt", DENIED),
    (Create, "../outside/new.txt", DENIED),
    (CreateNew, "../new.txt", DENIED),
    (Truncate, "../outside/secret.txt", DENIED),
    // Absolute paths.
    (Read, "/etc/passwd", DENIED),
    (Read, "/", DENIED),
    (Read, "//etc/passwd", DENIED),
    (Read, "/proc/self/cwd/Cargo.toml", DENIED),
    (List, "/", DENIED),
    (Create, "/tmp/mintage-escape", DENIED),
    (Mkdir, "/tmp/mintage-escape", DENIED),
    (Symlink, "/tmp/mintage-escape", DENIED),
    (RenameTo, "/tmp/mintage-escape", DENIED),
    (LinkTo, "/tmp/mintage-escape", DENIED),
    (Stat, "/", DENIED),
    // Absolute links.
    (Read, "absolute", DENIED),
    (ReadNoFollow, "absolute", Fails(&[Loop])),
    (Read, "absolute-dir/secret.txt", DENIED),
    (ReadNoFollow, "absolute-dir/secret.txt", DENIED),
    (Write, "absolute", DENIED),
    (Truncate, "absolute", DENIED),
    (List, "absolute-dir", DENIED),
    (Through, "absolute-dir", DENIED),
    (Stat, "absolute", DENIED),
    (StatNoFollow, "absolute", Inside),
    (StatNoFollow, "absolute-dir/", DENIED),
    (Create, "absolute-new", DENIED),
    (CreateNew, "absolute-new", Fails(&[Exist])),
    (Create, "absolute-dir/new.txt", DENIED),
    (List, "system-root", DENIED),
    (Read, "system-root/etc/passwd", DENIED),
    (Read, "etc", DENIED),
    (Write, "dev-null", DENIED),
    // Relative links that lead out.
    (Read, "up", DENIED),
    (Write, "up", DENIED),
    (Truncate, "up", DENIED),
    (Read, "up-dir/secret.txt", DENIED),
    (Read, "up-dir-slash/secret.txt", DENIED),
    (Read, "around", DENIED),
    (Read, "around-in-dir", DENIED),
    (Read, "dir/up", DENIED),
    (Read, "dir/up-dir/secret.txt", DENIED),
    (Read, "dir/deep/up-dir/secret.txt", DENIED),
    (Read, "in-dir/up", DENIED),
    (Read, "far-up", DENIED),
    (Read, "out-and-in", DENIED),
    (Read, "dots/outside/secret.txt", DENIED),
    (Read, "dots-slash/outside/secret.txt", DENIED),
    (Read, "dir/../dots/outside/secret.txt", DENIED),
    (List, "dots", DENIED),
    (List, "dots/", DENIED),
    (List, "up-dir", DENIED),
    (List, "up-dir/", DENIED),
    (Through, "up-dir", DENIED),
    (CreateIn, "up-dir", DENIED),
    (Stat, "up", DENIED),
    (Hash, "up", DENIED),
    (Times, "up", DENIED),
    (Mkdir, "up-dir/made", DENIED),
    (Mkdir, "dir/up-dir/made", DENIED),
    (Rmdir, "up-dir/dir", DENIED),
    (Unlink, "up-dir/secret.txt", DENIED),
    (Symlink, "up-dir/made", DENIED),
    (RenameTo, "up-dir/secret.txt", DENIED),
    (RenameFrom, "up-dir/secret.txt", DENIED),
    (LinkTo, "up-dir/made.txt", DENIED),
    (LinkFrom, "up-dir/secret.txt", DENIED),
    (ReadLink, "up-dir/secret.txt", DENIED),
    // Chains and loops of links.
    (Read, "chain-1", DENIED),
    (Write, "chain-1", DENIED),
    (Read, "dir-chain-1/secret.txt", DENIED),
    (List, "dir-chain-1", DENIED),
    (Create, "new-chain-1", DENIED),
    (Read, "loop", Fails(&[Loop])),
    (Read, "loop-a", Fails(&[Loop])),
    (Create, "loop-a", Fails(&[Loop])),
    (Stat, "loop-b", Fails(&[Loop])),
    (List, "loop/", Fails(&[Loop])),
    (Read, "loop-dir", Fails(&[Loop])),
    (Mkdir, "loop-a/made", Fails(&[Loop])),
    // `O_CREAT` through a dangling link.
    (Create, "up-new", DENIED),
    (CreateNew, "up-new", Fails(&[Exist])),
    (Create, "up-dir/new.txt", DENIED),
    (Create, "dangling-in", Inside),
    (CreateNew, "dangling-in", Fails(&[Exist])),
    (Mkdir, "up-new", Fails(&[Exist])),
    (Symlink, "up-new", Fails(&[Exist])),
    // Links at the end that are not followed: the links themselves are inside.
    (Unlink, "up", Inside),
    (Unlink, "absolute-dir", Inside),
    (Rmdir, "up-dir", Fails(&[NotDirectory])),
    (ReadLink, "up", Inside),
    (RenameFrom, "up", Inside),
    (RenameTo, "up", Inside),
    (LinkFrom, "up", Inside),
    (LinkTo, "up", Fails(&[Exist])),
    // Trailing slashes, which make the system follow a link.
    (Unlink, "up-dir/", Fails(&[NotDirectory])),
    (Rmdir, "up-dir/", DENIED),
    (Rmdir, "absolute-dir/", DENIED),
    (Rmdir, "dots/", DENIED),
    (ReadLink, "up-dir/", DENIED),
    (ReadLink, "absolute-dir/", DENIED),
    (StatNoFollow, "up-dir/", DENIED),
    (StatNoFollow, "up-dir//", DENIED),
    (ReadNoFollow, "up-dir/", DENIED),
    (RenameFrom, "up-dir/", Fails(&[NotDirectory])),
    (RenameTo, "up-dir/", Fails(&[NotDirectory])),
    (LinkFrom, "up-dir/", DENIED),
    (LinkFrom, "file.txt/", Fails(&[NotDirectory])),
    (LinkTo, "up-new/", Fails(&[NotDirectory])),
    (Symlink, "up-new/", Fails(&[NotDirectory])),
    (Symlink, "dir/", Fails(&[Exist])),
    (Symlink, "made/", Fails(&[NoEntry])),
    (Mkdir, "up-new/", Fails(&[Exist])),
    (Create, "up-new/", Fails(&[IsDirectory, NotPermitted])),
    (Create, "made.txt/", Fails(&[IsDirectory])),
    (Read, "file.txt/", Fails(&[NotDirectory])),
    (Read, "file.txt/.", Fails(&[NotDirectory])),
    (Stat, "file.txt/", Fails(&[NotDirectory])),
    (Unlink, "file.txt/", Fails(&[NotDirectory])),
    (List, "dir///", Inside),
    (List, "in-dir/", Inside),
    // `/proc`, and links of its kind.
    (Read, "proc-root/etc/passwd", DENIED),
    (List, "proc-cwd", DENIED),
    (List, "proc-fd", DENIED),
    (Read, "proc-fd/0", DENIED),
    // Names that are not names.
    (Read, "", Fails(&[NoEntry])),
    (Create, "", Fails(&[NoEntry])),
    (Mkdir, "", Fails(&[NoEntry])),
    (Read, "file.txt\0", Fails(&[Invalid])),
    (Read, "\0", Fails(&[Invalid])),
    (Read, "dir\0/../../outside/secret.txt", Fails(&[Invalid])),
    (Create, "new.txt\0/../..", Fails(&[Invalid])),
    (Mkdir, "made\0", Fails(&[Invalid])),
    (SymlinkTo, "../outside\0", Fails(&[Invalid])),
    (Mkdir, ".", Fails(&[Exist])),
    (Rmdir, ".", Fails(&[Invalid])),
    (Rmdir, "dir/.", Fails(&[Invalid])),
    (Rmdir, "dir/..", Fails(&[NotEmpty])),
    (Unlink, ".", Fails(&[IsDirectory])),
    (RenameFrom, ".", Fails(&[Busy])),
    (RenameTo, "dir/..", Fails(&[Busy])),
    (Symlink, ".", Fails(&[Exist])),
    (ReadLink, ".", Fails(&[Invalid])),
    // Backslashes and what other systems take for separators are parts of names.
    (Read, "..\\outside\\secret.txt", Fails(&[NoEntry])),
    (Read, "dir\\..\\..\\outside", Fails(&[NoEntry])),
    (Create, "C:\\new.txt", Inside),
    (Read, "\u{2215}etc\u{2215}passwd", Fails(&[NoEntry])),
    (
        Read,
        "\u{ff0e}\u{ff0e}/outside/secret.txt",
        Fails(&[NoEntry]),
    ),
    (Read, "...", Fails(&[NoEntry])),
    (Read, ".. /outside/secret.txt", Fails(&[NoEntry])),
    // Targets that a guest gives to new links.
    (SymlinkTo, "/etc/passwd", DENIED),
    (SymlinkTo, "/", DENIED),
    (SymlinkTo, "", Fails(&[NoEntry])),
    (SymlinkTo, "../outside/secret.txt", Inside),
];

/// Does it, and returns what was read.
fn attempt(jail: &OpenDirectory, op: Op, path: &str) -> Result<Vec<u8>, Errno> {
    let listed = |directory: &OpenDirectory| Ok(format!("{:?}", names(directory)?).into_bytes());
    let nothing = |()| Vec::new();
    let no_follow = |options| jail.open(path, false, options, false);
    match op {
        Read => match jail.open(path, true, &READ, false)? {
            Descriptor::File(file) => read(&file, 0, 100),
            Descriptor::Directory(directory) => listed(&directory),
        },
        ReadNoFollow => match no_follow(&READ)? {
            Descriptor::File(file) => read(&file, 0, 100),
            Descriptor::Directory(directory) => listed(&directory),
        },
        Write => write(&open_file(jail, path, &WRITE)?, 0, b"written").map(|_| Vec::new()),
        Create => write(&open_file(jail, path, &CREATE)?, 0, b"written").map(|_| Vec::new()),
        CreateNew => open_file(jail, path, &CREATE_NEW).map(|_| Vec::new()),
        Truncate => open_file(jail, path, &TRUNCATE).map(|_| Vec::new()),
        List => listed(&open_directory(jail, path)?),
        Through => contents(&open_directory(jail, path)?, "secret.txt"),
        CreateIn => create(&open_directory(jail, path)?, "new.txt", b"written").map(nothing),
        Stat => jail.stat_at(path, true).map(|_| Vec::new()),
        StatNoFollow => jail.stat_at(path, false).map(|_| Vec::new()),
        Hash => jail.metadata_hash_at(path, true).map(|_| Vec::new()),
        Times => {
            let times = SetTimes {
                accessed: SetTime::To(SystemTime::UNIX_EPOCH),
                modified: SetTime::To(SystemTime::UNIX_EPOCH),
            };
            jail.set_times_at(path, true, &times).map(nothing)
        }
        Mkdir => jail.create_directory(path).map(nothing),
        Rmdir => jail.remove_directory(path).map(nothing),
        Unlink => jail.remove_file(path).map(nothing),
        ReadLink => jail.read_link(path).map(String::into_bytes),
        Symlink => jail.create_symlink("file.txt", path).map(nothing),
        SymlinkTo => {
            jail.create_symlink(path, "link-of-guest")?;
            // What the guest has made does not lead out either.
            match contents(jail, "link-of-guest") {
                Err(NotPermitted) => Ok(Vec::new()),
                result => result,
            }
        }
        RenameTo => jail.rename("file.txt", jail, path).map(nothing),
        RenameFrom => {
            jail.rename(path, jail, "got.txt")?;
            match contents(jail, "got.txt") {
                Err(NotPermitted) => Ok(Vec::new()),
                result => result,
            }
        }
        LinkTo => jail.link("file.txt", jail, path).map(nothing),
        LinkFrom => {
            jail.link(path, jail, "got.txt")?;
            match contents(jail, "got.txt") {
                Err(NotPermitted) => Ok(Vec::new()),
                result => result,
            }
        }
    }
}

#[test]
fn no_path_leads_out() {
    assert!(CASES.len() >= 60);
    let mut failures = Vec::new();
    for implementation in IMPLEMENTATIONS {
        for &(op, path, expected) in CASES {
            // Each case has a world of its own, since some change it.
            let world = World::new();
            let result = attempt(&implementation.open(&world.jail()), op, path);
            let as_expected = match (&result, expected) {
                (Ok(bytes), Inside) => bytes != SECRET,
                (Err(error), Fails(errors)) => errors.contains(error),
                _ => false,
            };
            if !as_expected {
                failures.push(format!(
                    "{implementation:?}: {op:?} {path:?}: {result:?}, expected {expected:?}"
                ));
            }
            if world.state() != world.outside {
                failures.push(format!(
                    "{implementation:?}: {op:?} {path:?} changed what is outside"
                ));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// The table tests something: the links of the world lead out for a process without a sandbox.
#[test]
fn links_of_the_world_lead_out() {
    let world = World::new();
    for link in [
        "absolute",
        "up",
        "around",
        "chain-1",
        "dir/up",
        "dir-chain-1/secret.txt",
    ] {
        assert_eq!(fs::read(world.jail().join(link)).unwrap(), SECRET, "{link}");
    }
}

#[test]
fn directories_that_are_open_are_roots_of_their_own() {
    for implementation in IMPLEMENTATIONS {
        let world = World::new();
        let jail = implementation.open(&world.jail());
        let dir = open_directory(&jail, "dir").unwrap();
        assert_eq!(contents(&dir, "inner.txt").unwrap(), INSIDE);
        for path in ["..", "../file.txt", "deep/../../file.txt", "up", "chain-3"] {
            let result = contents(&dir, path);
            assert_eq!(result, Err(NotPermitted), "{implementation:?}: {path}");
        }
        // `.` of it is no way out, either.
        let dot = open_directory(&dir, ".").unwrap();
        assert_eq!(contents(&dot, "../file.txt"), Err(NotPermitted));
        let back = open_directory(&dir, "deep/..").unwrap();
        assert_eq!(contents(&back, "../file.txt"), Err(NotPermitted));
        assert_eq!(contents(&back, "inner.txt").unwrap(), INSIDE);
    }
}

#[test]
fn long_names_and_deep_paths() {
    for implementation in IMPLEMENTATIONS {
        let world = World::new();
        let jail = implementation.open(&world.jail());
        let name = "n".repeat(300);
        let long = "x/".repeat(3000);
        for path in [
            &name,
            &format!("dir/{name}"),
            &format!("{name}/../file.txt"),
            &long,
        ] {
            let results = [
                contents(&jail, path).map(|_| ()),
                create(&jail, path, b""),
                jail.create_directory(path),
                jail.stat_at(path, false).map(|_| ()),
                jail.rename("file.txt", &jail, path),
                jail.create_symlink("file.txt", path),
            ];
            for result in results {
                assert_eq!(result, Err(NameTooLong), "{implementation:?}");
            }
        }
        let result = jail.create_symlink(&long, "to-long");
        assert_eq!(result, Err(NameTooLong), "{implementation:?}");
        // 1000 directories deep, and back: more than a process may have open.
        let mut base = jail.clone();
        for _ in 0..10 {
            for depth in 0..100 {
                let path = "d/".repeat(depth + 1);
                base.create_directory(&path).unwrap();
            }
            base = open_directory(&base, &"d/".repeat(100)).unwrap();
        }
        create(&base, "bottom.txt", INSIDE).unwrap();
        let down = "d/".repeat(1000);
        let bottom = format!("{down}bottom.txt");
        assert_eq!(contents(&jail, &bottom).unwrap(), INSIDE);
        let there_and_back = format!("{}{}", "d/".repeat(700), "../".repeat(350));
        let path = format!("{there_and_back}{}bottom.txt", "d/".repeat(650));
        assert!(path.len() < 4096);
        assert_eq!(
            contents(&jail, &path).unwrap(),
            INSIDE,
            "{implementation:?}"
        );
        let out = format!("{}{}", "d/".repeat(500), "../".repeat(501));
        assert_eq!(
            contents(&jail, &out),
            Err(NotPermitted),
            "{implementation:?}"
        );
    }
}

#[test]
fn forty_links_are_followed_and_no_more() {
    for implementation in IMPLEMENTATIONS {
        let world = World::new();
        symlink("file.txt", world.jail().join("l0")).unwrap();
        for index in 1..50 {
            symlink(
                format!("l{}", index - 1),
                world.jail().join(format!("l{index}")),
            )
            .unwrap();
        }
        let jail = implementation.open(&world.jail());
        assert_eq!(
            contents(&jail, "l39").unwrap(),
            INSIDE,
            "{implementation:?}"
        );
        assert_eq!(contents(&jail, "l40"), Err(Loop), "{implementation:?}");
        assert_eq!(contents(&jail, "l49"), Err(Loop), "{implementation:?}");
    }
}

/// Links of `/proc` lead where no path leads to.
#[test]
fn magic_links() {
    let outside = World::new();
    let folder = fs::File::open(outside.root.path().join("outside")).unwrap();
    let fd = std::os::fd::AsRawFd::as_raw_fd(&folder);
    for resolution in [PathResolution::Beneath, PathResolution::Walk] {
        let proc = preopen(&SystemFilesystem::open_with("/proc/self", resolution).unwrap());
        let paths = [
            "root/etc/passwd".to_owned(),
            "cwd/Cargo.toml".to_owned(),
            "exe".to_owned(),
            format!("fd/{fd}/secret.txt"),
            format!("fd/{fd}"),
            "fd/../root".to_owned(),
            "task/../root".to_owned(),
            "ns/mnt".to_owned(),
        ];
        for path in paths {
            let result = contents(&proc, &path);
            let denied = matches!(result, Err(NotPermitted | Loop | NoEntry));
            assert!(denied, "{resolution:?}: {path}: {result:?}");
            let listed = open_directory(&proc, &path).map(|_| ());
            assert!(listed.is_err(), "{resolution:?}: {path} was opened");
            assert!(proc.stat_at(&path, true).is_err(), "{resolution:?}: {path}");
        }
        // What is not a link works, though its size is 0.
        assert!(!contents(&proc, "status").unwrap().is_empty());
    }
}

/// Hard links to files outside are files inside; a guest cannot make one.
#[test]
fn hard_links() {
    for implementation in IMPLEMENTATIONS {
        let world = World::new();
        let jail = implementation.open(&world.jail());
        let outside = implementation.open(&world.root.path().join("outside"));
        // From one preopened folder to another is fine, and goes to a name in it.
        let linked = outside.link("secret.txt", &jail, "dir/hard.txt");
        match implementation {
            Implementation::System(_) => {
                linked.unwrap();
                assert_eq!(contents(&jail, "dir/hard.txt").unwrap(), SECRET);
                assert_eq!(jail.stat_at("dir/hard.txt", false).unwrap().links, 2);
            }
            Implementation::Memory => assert_eq!(linked, Err(Errno::CrossDevice)),
        }
        assert_eq!(jail.link("dir", &jail, "dir-2"), Err(NotPermitted));
        assert_eq!(jail.link("dir/", &jail, "dir-2"), Err(NotPermitted));
        assert_eq!(
            jail.link("up-dir/secret.txt", &jail, "x"),
            Err(NotPermitted)
        );
        assert_eq!(jail.link("file.txt", &outside, "../x"), Err(NotPermitted));
        assert_eq!(jail.link("file.txt", &outside, "/tmp/x"), Err(NotPermitted));
    }
}

#[test]
fn renames_across_preopens() {
    for implementation in IMPLEMENTATIONS {
        let world = World::new();
        let jail = implementation.open(&world.jail());
        let other = World::new();
        let other = implementation.open(&other.jail());
        for to in [
            "../x",
            "up-dir/x",
            "absolute-dir/x",
            "dir/../../x",
            "/tmp/x",
        ] {
            let result = jail.rename("file.txt", &other, to);
            assert_eq!(result, Err(NotPermitted), "{implementation:?}: {to}");
            let result = other.rename(to, &jail, "x");
            assert_eq!(result, Err(NotPermitted), "{implementation:?}: {to}");
        }
        let moved = jail.rename("file.txt", &other, "moved.txt");
        match implementation {
            Implementation::System(_) => {
                moved.unwrap();
                assert_eq!(contents(&other, "moved.txt").unwrap(), INSIDE);
            }
            Implementation::Memory => assert_eq!(moved, Err(Errno::CrossDevice)),
        }
        // A link that leads out goes on to lead nowhere, wherever it is moved.
        if let Implementation::System(_) = implementation {
            jail.rename("dir/up-dir", &other, "dir/deep/moved").unwrap();
            assert_eq!(contents(&other, "dir/deep/moved/secret.txt"), Err(NoEntry));
        }
    }
}

/// A folder with fewer rights cannot be left by moving its files.
#[test]
fn rights_do_not_grow_by_moving() {
    let world = World::new();
    let folder = |dir, file| {
        let files = SystemFilesystem::open(world.jail()).unwrap();
        preopen_with(&files, dir, file)
    };
    let all = folder(DirPerms::all(), FilePerms::all());
    let fewer = [
        folder(DirPerms::READ, FilePerms::all()),
        folder(DirPerms::all(), FilePerms::READ),
        folder(DirPerms::READ, FilePerms::READ),
    ];
    for fewer in &fewer {
        for (from, to) in [(fewer, &all), (&all, fewer)] {
            assert_eq!(from.rename("file.txt", to, "x"), Err(NotPermitted));
            assert_eq!(from.link("file.txt", to, "x"), Err(NotPermitted));
        }
    }
}

/// Names that are not Unicode text: a guest is told, and gets on.
#[test]
fn names_that_are_not_unicode() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    for resolution in [PathResolution::Beneath, PathResolution::Walk] {
        let world = World::new();
        let name = OsStr::from_bytes(b"not \xff unicode");
        fs::write(world.jail().join("empty").join(name), INSIDE).unwrap();
        fs::write(world.jail().join("empty/unicode"), INSIDE).unwrap();
        symlink(name, world.jail().join("to-name")).unwrap();
        symlink(
            OsStr::from_bytes(b"../outside/\xff"),
            world.jail().join("to-out"),
        )
        .unwrap();
        let jail = preopen(&SystemFilesystem::open_with(world.jail(), resolution).unwrap());
        let mut stream = open_directory(&jail, "empty")
            .unwrap()
            .read_directory()
            .unwrap();
        let mut entries = [stream.next_entry(), stream.next_entry()];
        entries.sort_by_key(Result::is_err);
        let [entry, error] = entries;
        assert_eq!(entry.unwrap().unwrap().1, "unicode");
        assert_eq!(error.unwrap_err(), Errno::IllegalByteSequence);
        assert_eq!(stream.next_entry().unwrap(), None);
        assert_eq!(jail.read_link("to-name"), Err(Errno::IllegalByteSequence));
        let result = contents(&jail, "to-out");
        assert!(matches!(
            result,
            Err(NotPermitted | Errno::IllegalByteSequence)
        ));
    }
}
