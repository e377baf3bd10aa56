//! Races: a second thread swaps directories for links, and moves them, while a guest uses them.

use super::*;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// How long each race takes, at least.
const TIME: Duration = Duration::from_millis(100);
/// How long a race takes at most, in which no attempt works.
const MAX_TIME: Duration = Duration::from_secs(20);

const RESOLUTIONS: [PathResolution; 2] = [PathResolution::Beneath, PathResolution::Walk];

struct Race {
    root: TempDir,
}

impl Race {
    fn new() -> Race {
        let root = folder();
        let race = Race { root };
        fs::create_dir_all(race.path("jail/swap/sub")).unwrap();
        fs::create_dir_all(race.path("jail/keep")).unwrap();
        fs::create_dir_all(race.path("outside/sub")).unwrap();
        for folder in ["jail/swap", "jail/swap/sub", "jail/keep"] {
            fs::write(race.path(folder).join("file.txt"), "inside").unwrap();
        }
        for folder in ["outside", "outside/sub"] {
            fs::write(race.path(folder).join("file.txt"), "secret").unwrap();
        }
        race
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }

    /// Runs `attack` over and over while another thread runs `change` over and over. Returns how
    /// often `attack` returned `true`.
    fn run(&self, change: impl Fn() + Sync, mut attack: impl FnMut() -> bool) -> (usize, usize) {
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(Relaxed) {
                    change();
                }
            });
            let start = Instant::now();
            let (mut yes, mut no) = (0, 0);
            // On a busy machine, the other thread may be slow to leave a moment in which it works.
            while start.elapsed() < TIME || yes == 0 && start.elapsed() < MAX_TIME {
                match attack() {
                    true => yes += 1,
                    false => no += 1,
                }
            }
            stop.store(true, Relaxed);
            (yes, no)
        })
    }

    /// Swaps a directory for a link to the folder outside, and back.
    fn swap(&self) {
        fs::rename(self.path("jail/swap"), self.path("jail/away")).unwrap();
        symlink("../outside", self.path("jail/swap")).unwrap();
        fs::remove_file(self.path("jail/swap")).unwrap();
        fs::rename(self.path("jail/away"), self.path("jail/swap")).unwrap();
    }

    fn outside(&self) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(self.path("outside"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

/// A race that no attack ever gets through tests nothing, unless it was also seen to work inside.
fn check((inside, refused): (usize, usize)) {
    assert!(inside > 0, "{refused} attempts, and none worked inside");
}

#[test]
fn reading_through_a_directory_that_becomes_a_link() {
    for resolution in RESOLUTIONS {
        for path in [
            "swap/file.txt",
            "swap/sub/file.txt",
            "keep/../swap/file.txt",
            "swap/sub/../file.txt",
        ] {
            let race = Race::new();
            let jail =
                preopen(&SystemFilesystem::open_with(race.path("jail"), resolution).unwrap());
            check(race.run(
                || race.swap(),
                || match contents(&jail, path) {
                    Ok(bytes) => {
                        assert_eq!(bytes, b"inside", "{resolution:?}: {path}");
                        true
                    }
                    Err(_) => false,
                },
            ));
        }
    }
}

#[test]
fn changing_through_a_directory_that_becomes_a_link() {
    type Attack = fn(&OpenDirectory) -> Result<(), Errno>;
    let attacks: [(&str, Attack); 6] = [
        ("create", |jail| create(jail, "swap/new.txt", b"written")),
        ("mkdir", |jail| {
            jail.create_directory("swap/new")?;
            jail.remove_directory("swap/new")
        }),
        ("unlink", |jail| {
            create(jail, "swap/file.txt", b"written")?;
            jail.remove_file("swap/file.txt")
        }),
        ("rename", |jail| {
            create(jail, "keep/moved.txt", b"written")?;
            jail.rename("keep/moved.txt", jail, "swap/moved.txt")
        }),
        ("symlink", |jail| {
            jail.create_symlink("file.txt", "swap/link")?;
            jail.remove_file("swap/link")
        }),
        ("link", |jail| {
            let _ = jail.remove_file("swap/hard.txt");
            jail.link("keep/file.txt", jail, "swap/hard.txt")
        }),
    ];
    for resolution in RESOLUTIONS {
        for (name, attack) in attacks {
            let race = Race::new();
            let jail =
                preopen(&SystemFilesystem::open_with(race.path("jail"), resolution).unwrap());
            check(race.run(|| race.swap(), || attack(&jail).is_ok()));
            assert_eq!(
                race.outside(),
                ["file.txt", "sub"],
                "{resolution:?}: {name}"
            );
            let secret = fs::read(race.path("outside/file.txt")).unwrap();
            assert_eq!(secret, b"secret", "{resolution:?}: {name}");
        }
    }
}

/// The last name becomes a link between two system calls.
#[test]
fn a_file_that_becomes_a_link() {
    for resolution in RESOLUTIONS {
        let race = Race::new();
        let jail = preopen(&SystemFilesystem::open_with(race.path("jail"), resolution).unwrap());
        let target = race.path("jail/keep/file.txt");
        let swap = || {
            fs::rename(&target, race.path("jail/keep/away")).unwrap();
            symlink("../../outside/file.txt", &target).unwrap();
            fs::rename(race.path("jail/keep/away"), &target).unwrap();
        };
        let mut follow = false;
        check(race.run(swap, || {
            follow = !follow;
            let opened = jail.open("keep/file.txt", follow, &READ, false);
            match opened {
                Ok(opened) => {
                    let bytes = read(opened.file().unwrap(), 0, 100).unwrap();
                    assert_eq!(bytes, b"inside", "{resolution:?}");
                    true
                }
                Err(_) => false,
            }
        }));
        check(race.run(swap, || {
            let written = open_file(&jail, "keep/file.txt", &WRITE)
                .and_then(|file| write(&file, 0, b"inside"));
            written.is_ok()
        }));
        let secret = fs::read(race.path("outside/file.txt")).unwrap();
        assert_eq!(secret, b"secret", "{resolution:?}");
    }
}

/// A directory moves out of the folder while a path leads through it, and `..` follows: its new
/// parent is outside.
#[test]
fn a_directory_that_moves_out() {
    for resolution in RESOLUTIONS {
        let race = Race::new();
        let jail = preopen(&SystemFilesystem::open_with(race.path("jail"), resolution).unwrap());
        let change = || {
            let (inside, outside) = (race.path("jail/swap/sub"), race.path("outside/moved"));
            fs::rename(&inside, &outside).unwrap();
            fs::rename(&outside, &inside).unwrap();
        };
        for path in [
            "swap/sub/../file.txt",
            "swap/sub/../../keep/file.txt",
            "swap/sub/.././file.txt",
        ] {
            check(race.run(change, || match contents(&jail, path) {
                Ok(bytes) => {
                    assert_eq!(bytes, b"inside", "{resolution:?}: {path}");
                    true
                }
                Err(_) => false,
            }));
        }
    }
}
