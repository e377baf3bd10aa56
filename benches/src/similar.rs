//! Metrics of components that share most of their machine code with others: in the compiler, in
//! memory, and in a cache.
//!
//! The JavaScript guest is changed in its bytes. The pairs of other guests differ in one line of
//! their source, and `recompile.py` builds them.

use crate::contender::{Calls, Contender};
use crate::guest::{self, Guest};
use crate::lab::Lab;
use crate::memory;
use crate::metrics::{Cadence, Group, Metric, NAME, Probe, each, expect, row, size};
use anyhow::{Context, Result, ensure};
use std::fs;
use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// A component before and after a change.
#[derive(Clone, Copy)]
enum Change {
    /// A text in the JavaScript guest.
    Text,
    /// A function in the middle of the JavaScript guest, which gets longer.
    Function,
    /// A pair that `recompile.py` builds.
    Pair {
        /// The name of the files.
        name: &'static str,
        /// The name of the metric of compiling the first one.
        first: &'static str,
        /// The change.
        what: &'static str,
    },
}

/// Returns a pair that `recompile.py` builds.
const fn pair(name: &'static str, first: &'static str, what: &'static str) -> Change {
    Change::Pair { name, first, what }
}

const PAIRS: [Change; 4] = [
    pair("rust", "compile, Rust", "a line of Rust is new"),
    pair("c", "compile, C", "a line of C is new"),
    pair("c-text", "", "a text in C is longer"),
    pair("python", "compile, Python", "a line of Python is new"),
];

/// Returns the metrics. Those of pairs are left out if they have not been built.
pub(crate) fn metrics<C: Contender>() -> Vec<Metric<C>> {
    let group = Group::Similar;
    let mut metrics = Vec::new();
    let changes = [Change::Text, Change::Function].into_iter().chain(PAIRS);
    let changes: Vec<_> = changes.filter(|change| change.exists()).collect();
    for &change in &changes {
        let few = |name: String, prepare: fn(Change) -> Result<Probe<'static>>| Metric {
            cadence: Cadence::Few,
            ..row(group, name, move |_| prepare(change))
        };
        metrics.extend(change.first().map(|name| few(name.into(), compile::<C>)));
        metrics.push(few(change.recompiled(), recompile::<C>));
    }
    for change in changes {
        metrics.push(size(group, change.added_code(), move |_| {
            added_code::<C>(change)
        }));
    }
    for count in [1, 10, 100] {
        let name = format!("machine code of {count} JavaScript components, each");
        metrics.push(size(group, name, move |_| code::<C>(count)));
    }
    for count in [1, 10] {
        let name = format!("cache of {count} JavaScript components, each");
        metrics.push(size(group, name, move |_| cache::<C>(count)));
    }
    metrics.extend([
        size(
            group,
            "held, 10 JavaScript components from files, each",
            |lab| held(lab, true),
        ),
        size(
            group,
            "held, 10 JavaScript components compiled, each",
            |lab| held(lab, false),
        ),
    ]);
    metrics
}

/// Returns the names of the metrics that [`metrics`] leaves out.
pub fn missing() -> Vec<String> {
    let missing = PAIRS.iter().filter(|change| !change.exists());
    let names = |change: &Change| {
        let first = change.first().map(str::to_string);
        first
            .into_iter()
            .chain([change.recompiled(), change.added_code()])
    };
    missing.flat_map(names).collect()
}

impl Change {
    fn what(self) -> &'static str {
        match self {
            Self::Text => "only the data are new",
            Self::Function => "a function is longer",
            Self::Pair { what, .. } => what,
        }
    }

    /// The name of the metric of compiling the first component, unless it is another row's.
    fn first(&self) -> Option<&'static str> {
        match *self {
            Self::Pair { first, .. } if !first.is_empty() => Some(first),
            _ => None,
        }
    }

    fn recompiled(self) -> String {
        format!("compile, {}", self.what())
    }

    fn added_code(self) -> String {
        format!("machine code of a second one, {}", self.what())
    }

    fn exists(self) -> bool {
        match self {
            Self::Pair { name, .. } => ["before", "after"]
                .iter()
                .all(|version| path(name, version).is_file()),
            _ => true,
        }
    }

    fn before(self) -> Result<Vec<u8>> {
        match self {
            Self::Pair { name, .. } => read(name, "before"),
            _ => Guest::Greet.wasm(),
        }
    }

    fn after(self) -> Result<Vec<u8>> {
        match self {
            Self::Text => with_text(&text(1)),
            Self::Function => with_longer_function(&Guest::Greet.wasm()?),
            Self::Pair { name, .. } => read(name, "after"),
        }
    }
}

fn path(name: &str, version: &str) -> PathBuf {
    guest::in_target(&format!("recompile/{name}-{version}.wasm"))
}

fn read(name: &str, version: &str) -> Result<Vec<u8>> {
    let path = path(name, version);
    fs::read(&path).with_context(|| format!("cannot read {}", path.display()))
}

/// Compiles the first component of a pair.
fn compile<C: Contender>(change: Change) -> Result<Probe<'static>> {
    let wasm = change.before()?;
    each(move || {
        let start = Instant::now();
        let component = C::with_functions()?.compile(&wasm)?;
        let time = start.elapsed();
        drop(component);
        Ok(time)
    })
}

/// Compiles a component after a change, by an engine that has compiled it as it was before.
fn recompile<C: Contender>(change: Change) -> Result<Probe<'static>> {
    let (before, after) = (change.before()?, change.after()?);
    each(move || {
        let host = C::with_functions()?;
        let first = host.compile(&before)?;
        let start = Instant::now();
        let second = host.compile(&after)?;
        let time = start.elapsed();
        drop((first, second));
        Ok(time)
    })
}

/// Measures the machine code that a component adds in memory, while it is there as it was before.
fn added_code<C: Contender>(change: Change) -> Result<Probe<'static>> {
    let host = C::with_functions()?;
    let first = host.compile(&change.before()?)?;
    let before = memory::machine_code()?;
    let second = host.compile(&change.after()?)?;
    let added = memory::machine_code()?.saturating_sub(before);
    drop((first, second));
    Ok(Probe::Size(added))
}

/// The text in the JavaScript guest that is changed.
const OLD: &[u8; 7] = b"Hello, ";

/// Returns another text.
fn text(number: u64) -> String {
    format!("He{number:03}, ")
}

/// Returns the JavaScript guest with another text in its data.
fn with_text(text: &str) -> Result<Vec<u8>> {
    let mut wasm = Guest::Greet.wasm()?;
    replace(&mut wasm, OLD, text.as_bytes())?;
    Ok(wasm)
}

/// Replaces `old` by `new`, of the same length, wherever it is.
pub(crate) fn replace(bytes: &mut [u8], old: &[u8], new: &[u8]) -> Result<()> {
    ensure!(old.len() == new.len(), "a text has another length");
    let places = bytes.windows(old.len()).enumerate();
    let places = places.filter_map(|(place, found)| (found == old).then_some(place));
    let places: Vec<_> = places.collect();
    ensure!(!places.is_empty(), "the JavaScript guest has another text");
    for place in places {
        bytes[place..place + new.len()].copy_from_slice(new);
    }
    Ok(())
}

/// Checks a greeting with the text of this number.
fn check<C: Contender>(live: &mut C::Live, number: u64) -> Result<()> {
    let greet = <C as Calls<(&'static str,), (String,)>>::func(live, "greet")?;
    let (greeting,) = C::call(live, &greet, (NAME,))?;
    expect(greeting, format!("{}{NAME}!", text(number)))
}

/// Measures the machine code of components that differ in their data, in memory.
fn code<C: Contender>(count: u64) -> Result<Probe<'static>> {
    let host = C::with_functions()?;
    let before = memory::machine_code()?;
    let first = host.compile(&with_text(&text(0))?)?;
    let mut components = Vec::new();
    for number in 1..count {
        let (old, new) = (text(0), text(number));
        let wasm = with_text(&new)?;
        components.push(host.compile_with(&wasm, &first, old.as_bytes(), new.as_bytes())?);
    }
    components.insert(0, first);
    let taken = memory::machine_code()?.saturating_sub(before);
    for (number, component) in (0..).zip(&components) {
        check::<C>(&mut host.instantiate(&host.link(component)?)?, number)?;
    }
    Ok(Probe::Size(taken / count))
}

/// Measures the files of a cache with components that differ in their data.
fn cache<C: Contender>(count: u64) -> Result<Probe<'static>> {
    let folder = tempfile::tempdir()?;
    let host = C::with_cache(folder.path())?;
    for number in 0..count {
        host.compile(&with_text(&text(number))?)?;
    }
    Ok(Probe::Size(size_of_files(folder.path())? / count))
}

fn size_of_files(folder: &Path) -> Result<u64> {
    let mut sum = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        sum += match metadata.is_dir() {
            true => size_of_files(&entry.path())?,
            // Files may have holes, which take no space on the disk.
            false => metadata.len().min(metadata.blocks() * 512),
        };
    }
    Ok(sum)
}

/// Measures the memory of components that differ in their data, each with an instance that has
/// handled one call. They are loaded from files, or stay as they were compiled.
fn held<C: Contender>(lab: &Lab<C>, from_files: bool) -> Result<Probe<'_>> {
    const COMPONENTS: u64 = 10;
    let host = C::with_functions()?;
    let compile = |number| host.compile(&with_text(&text(number))?);
    // The memory of the compiler itself does not count.
    drop(compile(0)?);
    let mut artifacts = Vec::new();
    if from_files {
        for number in 0..COMPONENTS {
            let artifact = C::serialize(&compile(number)?)?;
            artifacts.push(lab.write(&format!("greet-{number}"), &artifact)?);
        }
    }
    let before = memory::held()?;
    let mut lives = Vec::new();
    for number in 0..COMPONENTS {
        let mut live = match artifacts.get(number as usize) {
            Some(artifact) => host.instantiate(&host.link(&host.load(artifact)?)?)?,
            None => host.instantiate(&host.link(&compile(number)?)?)?,
        };
        check::<C>(&mut live, number)?;
        lives.push(live);
    }
    let taken = memory::held()?.saturating_sub(before);
    drop(lives);
    Ok(Probe::Size(taken / COMPONENTS))
}

/// Returns instructions that leave everything as it was, but not for a compiler to see. Their
/// machine code is longer than the gap after most functions.
fn more() -> Vec<u8> {
    // i32.const (twice), i32.load, i32.store
    let at = |address| [0x41, address, 0x41, address, 0x28, 0, 0, 0x36, 0, 0];
    (0..20).flat_map(at).collect()
}

/// Returns a component with more instructions in a function in the middle of its largest module.
fn with_longer_function(component: &[u8]) -> Result<Vec<u8>> {
    const MODULE: u8 = 1;
    const CODE: u8 = 10;
    let module_place = largest(component, MODULE)?;
    let module = &component[module_place.contents.clone()];
    let code_place = largest(module, CODE)?;
    let code = &module[code_place.contents.clone()];

    let mut at = 0;
    let count = number(code, &mut at)?;
    let mut start = at;
    let mut body = sized(code, &mut at)?;
    for _ in 0..count / 2 {
        start = at;
        body = sized(code, &mut at)?;
    }
    let body = &code[body];
    let mut instructions = 0;
    for _ in 0..number(body, &mut instructions)? {
        number(body, &mut instructions)?;
        // The type of locals: references may have a second byte, which no function here has.
        instructions += 1;
    }
    let (locals, instructions) = body.split_at(instructions);
    let longer = with_size(&[locals, &more(), instructions].concat());
    let code = [&code[..start], &longer, &code[at..]].concat();
    let module = code_place.replaced(module, &code);
    Ok(module_place.replaced(component, &module))
}

/// A section of a module or component.
struct Section {
    /// The place of the size and the contents.
    sized: Range<usize>,
    contents: Range<usize>,
}

impl Section {
    /// Returns a copy of `binary` with other contents of the section.
    fn replaced(&self, binary: &[u8], contents: &[u8]) -> Vec<u8> {
        let (before, after) = (&binary[..self.sized.start], &binary[self.sized.end..]);
        [before, &with_size(contents), after].concat()
    }
}

/// Returns the largest section of a kind in a module or component.
fn largest(binary: &[u8], kind: u8) -> Result<Section> {
    let mut largest: Option<Section> = None;
    // After magic and version.
    let mut at = 8;
    while let Some(&found) = binary.get(at) {
        at += 1;
        let start = at;
        let contents = sized(binary, &mut at)?;
        let len = contents.len();
        if found == kind
            && largest
                .as_ref()
                .is_none_or(|other| other.contents.len() < len)
        {
            largest = Some(Section {
                sized: start..at,
                contents,
            });
        }
    }
    largest.with_context(|| format!("the guest has no section {kind}"))
}

/// Reads a size. Returns the place of what follows it, which `at` then is after.
fn sized(bytes: &[u8], at: &mut usize) -> Result<Range<usize>> {
    let len = number(bytes, at)?;
    let place = *at..*at + len;
    ensure!(place.end <= bytes.len(), "the guest ends early");
    *at = place.end;
    Ok(place)
}

/// Returns contents after their size.
fn with_size(contents: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(contents.len() + 5);
    let mut rest = contents.len();
    while rest >= 0x80 {
        bytes.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    bytes.push(rest as u8);
    bytes.extend(contents);
    bytes
}

/// Reads a number of 32 bits.
fn number(bytes: &[u8], at: &mut usize) -> Result<usize> {
    let mut number = 0;
    for shift in [0, 7, 14, 21, 28] {
        let byte = *bytes.get(*at).context("the guest ends early")?;
        *at += 1;
        number |= usize::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(number);
        }
    }
    anyhow::bail!("the guest has a number that is too long")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_gets_longer() -> Result<()> {
        let component = |more: &str| {
            wat::parse_str(format!(
                r#"(component
                    (core module (memory 1))
                    (core module
                        (memory 1)
                        (func (nop))
                        (func (param i32) (local i64 f32 f32) {more} (drop (local.get 0)))
                        (func (nop) (nop))))"#
            ))
        };
        let at = |address: u32| {
            format!(
                "(i32.store align=1 (i32.const {address})
                    (i32.load align=1 (i32.const {address})))"
            )
        };
        let more: String = (0..20).map(at).collect();
        assert_eq!(with_longer_function(&component("")?)?, component(&more)?);
        Ok(())
    }
}
