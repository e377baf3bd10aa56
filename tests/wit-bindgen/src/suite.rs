//! Finds the tests in the package: folders with a `test.wit` and sources of components in several
//! languages.
//!
//! One of the worlds in `test.wit` is the runner, which calls the others. A source whose file name
//! starts with that of a world is a component of that world. A *case* is a choice of one source per
//! world.

use crate::config::{self, SourceConfig, TestConfig};
use mintage::error::{Context, Result, ensure};
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// The language of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Language {
    /// `.rs`
    Rust,
    /// `.c`
    C,
    /// `.cpp`
    Cpp,
    /// `.wat`
    Wat,
    /// `.cs`
    CSharp,
    /// `.d`
    D,
    /// `.go`
    Go,
    /// `.mbt`
    MoonBit,
}

impl Language {
    /// All languages: file extension, language, name, and the reason why sources are not built, if
    /// any.
    const ALL: [(&'static str, Language, &'static str, Option<&'static str>); 8] = [
        ("rs", Language::Rust, "Rust", None),
        ("c", Language::C, "C", None),
        ("cpp", Language::Cpp, "C++", None),
        ("wat", Language::Wat, "WAT", None),
        ("cs", Language::CSharp, "C#", Some("no toolchain is set up")),
        ("d", Language::D, "D", Some("no toolchain is set up")),
        ("go", Language::Go, "Go", Some("no toolchain is set up")),
        (
            "mbt",
            Language::MoonBit,
            "MoonBit",
            Some("no toolchain is set up"),
        ),
    ];

    fn row(self) -> (&'static str, Language, &'static str, Option<&'static str>) {
        Self::ALL[self as usize]
    }

    fn of(path: &Path) -> Option<Language> {
        let extension = path.extension()?;
        let row = Self::ALL.iter().find(|row| extension == row.0)?;
        Some(row.1)
    }

    /// Returns the reason why sources in this language are not built.
    pub fn unsupported(self) -> Option<&'static str> {
        self.row().3
    }

    /// Returns the start of lines with configuration.
    fn comment(self) -> &'static str {
        match self {
            Language::Wat => ";;@",
            _ => "//@",
        }
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.row().2)
    }
}

/// The source of a component.
#[derive(Clone, Debug)]
pub struct Source {
    /// The names of test and file: `lists/runner.c`.
    pub name: String,
    /// The path of the file.
    pub path: PathBuf,
    /// The language of the source.
    pub language: Language,
    /// The world that the component implements.
    pub world: String,
    /// The configuration in the file.
    pub config: SourceConfig,
}

impl Source {
    /// Returns the name of the file.
    pub fn file_name(&self) -> &str {
        self.name
            .rsplit('/')
            .next()
            .expect("a split gives one part at least")
    }
}

/// A test.
#[derive(Clone, Debug)]
pub struct Test {
    /// The path of the folder, relative to the folder of all tests.
    pub name: String,
    /// The folder.
    pub folder: PathBuf,
    /// The configuration in `test.wit`.
    pub config: TestConfig,
    /// The components of all its worlds.
    pub sources: Vec<Source>,
}

/// A choice of a component for each world of a test.
#[derive(Clone, Debug)]
pub struct Case<'a> {
    /// The test.
    pub test: &'a Test,
    /// The calling component.
    pub runner: &'a Source,
    /// The called components, in the order of the test's worlds.
    pub called: Vec<&'a Source>,
}

impl Test {
    /// Returns the path of the WIT: a file, or the folder if it has dependencies.
    pub fn wit(&self) -> PathBuf {
        match self.folder.join("deps").is_dir() {
            true => self.folder.clone(),
            false => self.folder.join("test.wit"),
        }
    }

    /// Returns all cases whose sources `usable` accepts.
    pub fn cases<'a>(&'a self, usable: impl Fn(&Source) -> bool) -> Vec<Case<'a>> {
        let of_world = |world: &str| -> Vec<&'a Source> {
            let sources = self.sources.iter().filter(|source| source.world == world);
            sources.filter(|source| usable(source)).collect()
        };
        let mut choices = vec![Vec::new()];
        for world in self.config.dependencies() {
            let sources = of_world(&world);
            let longer = |choice: Vec<&'a Source>| {
                sources
                    .iter()
                    .map(move |source| choice.iter().chain([source]).copied().collect())
                    .collect::<Vec<_>>()
            };
            choices = choices.into_iter().flat_map(longer).collect();
        }
        let mut cases = Vec::new();
        for runner in of_world(self.config.runner()) {
            cases.extend(choices.iter().map(|called| Case {
                test: self,
                runner,
                called: called.clone(),
            }));
        }
        cases
    }
}

impl Case<'_> {
    /// Returns the components, the runner first.
    pub fn components(&self) -> impl Iterator<Item = &Source> {
        [self.runner].into_iter().chain(self.called.iter().copied())
    }

    /// Returns the names of the test and the files: `lists:runner.c+test.rs`.
    pub fn name(&self) -> String {
        let files = self.components().map(Source::file_name).collect::<Vec<_>>();
        format!("{}:{}", self.test.name, files.join("+"))
    }

    /// Returns the languages of caller and callees: `C > Rust`.
    pub fn languages(&self) -> String {
        let mut called = self
            .called
            .iter()
            .map(|source| source.language.to_string())
            .collect::<Vec<_>>();
        called.dedup();
        format!("{} > {}", self.runner.language, called.join(", "))
    }
}

/// Finds all tests in `folder` and its subfolders, sorted by name.
///
/// # Errors
///
/// Fails if files cannot be read, or have a malformed configuration.
pub fn discover(folder: &Path) -> Result<Vec<Test>> {
    let mut tests = Vec::new();
    visit(folder, folder, &mut tests)?;
    ensure!(
        !tests.is_empty(),
        "there are no tests in {}",
        folder.display()
    );
    tests.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(tests)
}

fn visit(root: &Path, folder: &Path, tests: &mut Vec<Test>) -> Result<()> {
    if folder.join("test.wit").is_file() {
        let test = load(root, folder).with_context(|| format!("test {}", folder.display()))?;
        tests.push(test);
        return Ok(());
    }
    for path in entries(folder)? {
        if path.is_dir() {
            visit(root, &path, tests)?;
        }
    }
    Ok(())
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let read = || {
        fs::read_dir(folder)?
            .map(|entry| Ok(entry?.path()))
            .collect::<std::io::Result<Vec<_>>>()
    };
    let mut paths = read().with_context(|| format!("cannot read {}", folder.display()))?;
    paths.sort();
    Ok(paths)
}

fn load(root: &Path, folder: &Path) -> Result<Test> {
    let name = folder
        .strip_prefix(root)
        .expect("the walk stays inside")
        .to_string_lossy()
        .into_owned();
    let config: TestConfig = config::parse(&fs::read_to_string(folder.join("test.wit"))?, "//@")?;
    let worlds = [config.runner().to_string()]
        .into_iter()
        .chain(config.dependencies())
        .collect::<Vec<_>>();
    let mut sources = Vec::new();
    for path in entries(folder)? {
        let file_name = path
            .file_name()
            .expect("an entry has a name")
            .to_string_lossy()
            .into_owned();
        let (Some(language), Some(world)) = (
            Language::of(&path),
            worlds.iter().find(|world| file_name.starts_with(*world)),
        ) else {
            continue;
        };
        let config = match language.unsupported() {
            // Configuration for a language without a compiler is not read.
            Some(_) => SourceConfig::default(),
            None => config::parse(&fs::read_to_string(&path)?, language.comment())
                .context(file_name.clone())?,
        };
        sources.push(Source {
            name: format!("{name}/{file_name}"),
            path,
            language,
            world: world.clone(),
            config,
        });
    }
    Ok(Test {
        name,
        folder: folder.into(),
        config,
        sources,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(name: &str, world: &str) -> Source {
        Source {
            name: format!("t/{name}"),
            path: name.into(),
            language: Language::of(Path::new(name)).unwrap(),
            world: world.into(),
            config: SourceConfig::default(),
        }
    }

    #[test]
    fn languages_are_in_order() {
        for (index, row) in Language::ALL.iter().enumerate() {
            assert_eq!(row.1 as usize, index);
        }
    }

    #[test]
    fn cases_are_all_choices() {
        let sources = [
            ("r.c", "r"),
            ("r.rs", "r"),
            ("a.c", "a"),
            ("a.rs", "a"),
            ("b.rs", "b"),
            ("b.go", "b"),
        ];
        let test = Test {
            name: "t".into(),
            folder: PathBuf::new(),
            config: config::parse("//@ runner = 'r'\n//@ dependencies = ['a', 'b']", "//@")
                .unwrap(),
            sources: sources
                .iter()
                .map(|(name, world)| source(name, world))
                .collect(),
        };
        let cases = test.cases(|source| source.language.unsupported().is_none());
        let names = cases.iter().map(Case::name).collect::<Vec<_>>();
        assert_eq!(
            names,
            [
                "t:r.c+a.c+b.rs",
                "t:r.c+a.rs+b.rs",
                "t:r.rs+a.c+b.rs",
                "t:r.rs+a.rs+b.rs"
            ]
        );
        assert_eq!(cases[0].languages(), "C > C, Rust");
        assert_eq!(test.cases(|_| true).len(), 8);
    }
}
