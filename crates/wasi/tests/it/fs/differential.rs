//! Random operations, on which all file systems agree: the system's with both ways to resolve
//! paths, and the one in memory.

use super::*;
use mintage_wasi::filesystem::FileType;
use std::fmt::Write as _;

/// Sequences of operations, each with file systems of its own.
const SEQUENCES: u64 = 300;
/// Operations of a sequence.
const OPERATIONS: usize = 50;

/// Random numbers that depend on the seed alone.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 32) as usize % bound
    }

    /// Makes a path of few names, so that operations meet what others have made.
    fn path(&mut self) -> String {
        let mut path = String::new();
        for index in 0..[1, 1, 2, 2, 2, 3, 4][self.below(7)] {
            if index > 0 {
                path.push_str(["/", "/", "/", "//"][self.below(4)]);
            }
            path.push_str(["a", "b", "c", "d", "a", "b", ".", ".."][self.below(8)]);
        }
        path.push_str(["", "", "", "", "", "", "/", "//"][self.below(8)]);
        path
    }
}

#[derive(Debug)]
enum Operation {
    Open(String, bool, OpenOptions),
    Write(String),
    Stat(String, bool),
    Mkdir(String),
    Rmdir(String),
    Unlink(String),
    ReadLink(String),
    Symlink(String, String),
    Link(String, String),
    Rename(String, String),
}

impl Operation {
    fn random(random: &mut Random) -> Operation {
        let path = random.path();
        match random.below(16) {
            0..3 => {
                let options = [READ, WRITE, CREATE, CREATE_NEW, TRUNCATE, DIRECTORY];
                let options = options[random.below(options.len())];
                Operation::Open(path, random.below(2) == 0, options)
            }
            3 | 4 => Operation::Write(path),
            5 => Operation::Stat(path, random.below(2) == 0),
            6..9 => Operation::Mkdir(path),
            9 => Operation::Rmdir(path),
            10 => Operation::Unlink(path),
            11 => Operation::ReadLink(path),
            12 | 13 => Operation::Symlink(random.path(), path),
            14 => Operation::Link(random.path(), path),
            _ => Operation::Rename(random.path(), path),
        }
    }

    /// Does it, and returns what a guest can tell of the outcome.
    fn run(&self, base: &OpenDirectory) -> Result<String, Errno> {
        let done = |()| String::new();
        match self {
            Operation::Open(path, follow, options) => {
                match base.open(path, *follow, options, false)? {
                    Descriptor::File(file) if options.write => Ok(file.stat()?.size.to_string()),
                    Descriptor::File(file) => Ok(format!("{:?}", read(&file, 0, 100)?)),
                    Descriptor::Directory(directory) => Ok(format!("{:?}", names(&directory)?)),
                }
            }
            Operation::Write(path) => create(base, path, path.as_bytes()).map(done),
            Operation::Stat(path, follow) => {
                let stat = base.stat_at(path, *follow)?;
                // Sizes and links of directories are the file system's own business.
                Ok(match stat.kind {
                    FileType::Directory => "directory".to_owned(),
                    kind => format!("{kind:?}, {} bytes, {} links", stat.size, stat.links),
                })
            }
            Operation::Mkdir(path) => base.create_directory(path).map(done),
            Operation::Rmdir(path) => base.remove_directory(path).map(done),
            Operation::Unlink(path) => base.remove_file(path).map(done),
            Operation::ReadLink(path) => base.read_link(path),
            Operation::Symlink(target, path) => base.create_symlink(target, path).map(done),
            Operation::Link(from, to) => base.link(from, base, to).map(done),
            Operation::Rename(from, to) => base.rename(from, base, to).map(done),
        }
    }
}

/// Lists all that is in a directory, and what is in that.
fn tree(directory: &OpenDirectory, indent: usize, text: &mut String) {
    for name in names(directory).unwrap() {
        let stat = directory.stat_at(&name, false).unwrap();
        let _ = write!(text, "{:indent$}{name}: {:?}", "", stat.kind);
        match stat.kind {
            FileType::Directory => {
                text.push('\n');
                let opened = directory.open(&name, false, &DIRECTORY, false).unwrap();
                tree(opened.directory().unwrap(), indent + 2, text);
            }
            FileType::SymbolicLink => {
                let _ = writeln!(text, " to {}", directory.read_link(&name).unwrap());
            }
            _ => {
                let _ = writeln!(text, " {:?}", contents(directory, &name).unwrap());
            }
        }
    }
}

/// Runs one sequence. Returns how many operations worked.
///
/// # Errors
///
/// With the operations up to the first on which the file systems do not agree.
fn run(seed: u64) -> Result<usize, String> {
    let folders: Vec<_> = IMPLEMENTATIONS.iter().map(|_| folder()).collect();
    // The root is inside of a folder, to which `..` must not lead.
    let open = |(implementation, folder): (&Implementation, &TempDir)| {
        let root = folder.path().join("root");
        std::fs::create_dir(&root).unwrap();
        implementation.open(&root)
    };
    let opened: Vec<_> = IMPLEMENTATIONS.iter().zip(&folders).map(open).collect();
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let (mut log, mut worked) = (String::new(), 0);
    for base in &opened {
        for directory in ["a", "b", "a/a", "a/b", "b/a", "b/a/b"] {
            base.create_directory(directory).unwrap();
        }
        create(base, "c", b"in the root").unwrap();
        create(base, "a/b/c", b"below").unwrap();
        for (target, path) in [
            ("a", "d"),
            ("../b/", "a/d"),
            ("../../c", "b/a/c"),
            ("d/d", "b/d"),
        ] {
            base.create_symlink(target, path).unwrap();
        }
    }
    for _ in 0..OPERATIONS {
        let operation = Operation::random(&mut random);
        let results: Vec<_> = opened.iter().map(|base| operation.run(base)).collect();
        let _ = writeln!(log, "{operation:?}: {results:?}");
        if results.iter().any(|result| *result != results[0]) {
            return Err(log);
        }
        worked += usize::from(results[0].is_ok());
    }
    let trees = opened.iter().map(|base| {
        let mut text = String::new();
        tree(base, 0, &mut text);
        text
    });
    let trees: Vec<_> = trees.collect();
    match trees.iter().all(|tree| *tree == trees[0]) {
        true => Ok(worked),
        false => Err(format!("{log}{trees:#?}")),
    }
}

#[test]
fn all_file_systems_agree() {
    let (mut worked, mut failed) = (0, Vec::new());
    for seed in 1..=SEQUENCES {
        match run(seed) {
            Ok(count) => worked += count,
            Err(log) => failed.push((seed, log)),
        }
    }
    let last = |log: &str| log.lines().last().unwrap_or_default().to_owned();
    let short: Vec<_> = failed.iter().map(|(seed, log)| (seed, last(log))).collect();
    let first = failed.first().map_or("", |(_, log)| log);
    assert!(failed.is_empty(), "{first}\nin short: {short:#?}");
    let all = SEQUENCES as usize * OPERATIONS;
    assert!(
        worked > all / 10,
        "only {worked} of {all} operations worked"
    );
}
