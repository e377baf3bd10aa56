//! Phase `link`: places all functions in one text, in the order of keys, and resolves relocations.
//!
//! Relocations depend only on offsets within the text, so that the text runs at any address.
//!
//! | file | what it has |
//! |---|---|
//! | `mod.rs` | the phase: the places of functions, relocations |
//! | `isa.rs` | the instructions that are added or filled in, for each processor |
//! | `islands.rs` | veneers, for branches that do not reach the whole text |

mod isa;
mod islands;

use crate::LaidOut;
use crate::functions::Generated;
use anyhow::{Context, Result, bail, ensure};
use isa::Isa;
use islands::Islands;
use mintage_codegen::{CompiledFunction, Relocation, RelocationKind, RelocationTarget};
use mintage_environ::component::CoreCallee;
use mintage_environ::{FuncEntry, FuncKey, Target, limit};
use std::ops::Range;

/// The maximum size of the text in bytes, such that a signed 32-bit distance reaches from any place
/// to any other.
pub(crate) const MAX_TEXT: usize = i32::MAX as usize;

/// The size of a cache line in bytes, which is also the unit in which processors cache decoded
/// instructions.
const LINE: usize = 64;

/// A program with its linked machine code.
pub(crate) struct LinkedProgram<'a> {
    pub laid_out: LaidOut<'a>,
    pub text: Vec<u8>,
    /// The functions in the order of keys and offsets.
    pub functions: Vec<PlacedFunction>,
}

/// A function and its offset in the text.
pub(crate) struct PlacedFunction {
    pub offset: u32,
    pub compiled: CompiledFunction,
}

impl LinkedProgram<'_> {
    /// Returns the function `key`.
    pub fn find(&self, key: FuncKey) -> Option<&PlacedFunction> {
        find(&self.functions, key)
    }

    /// Returns the table entry of a function.
    pub fn entry(&self, callee: CoreCallee) -> Result<FuncEntry> {
        let function = self.find(callee.key);
        let function = function
            .with_context(|| format!("function {} is referred to, but not compiled", callee.key))?;
        Ok(FuncEntry::new(function.offset, callee.sig))
    }
}

fn find(functions: &[PlacedFunction], key: FuncKey) -> Option<&PlacedFunction> {
    let index = functions
        .binary_search_by_key(&key, |function| function.compiled.key)
        .ok()?;
    Some(&functions[index])
}

/// Places the functions and resolves their relocations.
pub(crate) fn link<'a>(generated: Generated<'a>, target: &Target) -> Result<LinkedProgram<'a>> {
    let Generated {
        laid_out,
        functions,
    } = generated;
    let (text, functions) = link_functions(functions, Isa::of(target)?)?;
    Ok(LinkedProgram {
        laid_out,
        text,
        functions,
    })
}

/// Places the functions in a text and resolves their relocations.
fn link_functions(
    functions: Vec<CompiledFunction>,
    isa: Isa,
) -> Result<(Vec<u8>, Vec<PlacedFunction>)> {
    let mut text = isa.stub.to_vec();
    text.reserve_exact(
        functions
            .iter()
            .map(|function| function.code.len() + function.alignment as usize)
            .sum(),
    );
    let mut islands = Islands::new(isa, &functions);
    let mut placed = Vec::with_capacity(functions.len());
    for compiled in functions {
        islands.make_place(&mut text, isa, &compiled);
        let offset = place(&mut text, &compiled, isa.padding)
            .with_context(|| format!("function {}", compiled.key))?;
        placed.push(PlacedFunction { offset, compiled });
    }
    islands.finish(&mut text, isa);
    ensure_size(text.len())?;
    islands.resolve(&mut text, &placed)?;
    for function in &placed {
        for relocation in &function.compiled.relocations {
            resolve(&mut text, &placed, &islands, function.offset, relocation).with_context(
                || {
                    format!(
                        "function {}, relocation at {:#x}",
                        function.compiled.key, relocation.offset
                    )
                },
            )?;
        }
    }
    Ok((text, placed))
}

/// Appends a function's code and returns its offset.
fn place(text: &mut Vec<u8>, function: &CompiledFunction, padding: u8) -> Result<u32> {
    ensure!(!function.code.is_empty(), "it has no machine code");
    ensure!(
        function.alignment.is_power_of_two(),
        "its alignment is {}",
        function.alignment
    );
    let offset = best_offset(text.len(), function);
    ensure_size(offset.saturating_add(function.code.len()))?;
    text.resize(offset, padding);
    text.extend_from_slice(&function.code);
    Ok(offset as u32)
}

/// Fails if a text of this size is too large.
fn ensure_size(bytes: usize) -> Result<()> {
    ensure!(
        bytes <= MAX_TEXT,
        limit!(
            ComponentSize,
            "the machine code of the component exceeds 2 GiB, the range of calls; instantiate \
             fewer core modules"
        )
    );
    Ok(())
}

/// Returns the offset of a function that follows `end`: of the aligned offsets within a cache line,
/// the first at which its loops touch the fewest lines.
fn best_offset(end: usize, function: &CompiledFunction) -> usize {
    let first = end.next_multiple_of(function.alignment as usize);
    let cost = |offset: usize| -> usize {
        let surplus = |range: &Range<u32>| {
            let (start, end) = (offset + range.start as usize, offset + range.end as usize);
            let touched = end.div_ceil(LINE) - start / LINE;
            let least = range.len().div_ceil(LINE);
            // Relative to the size, since one more line matters most in a short loop.
            (touched - least) * 1024 / least
        };
        function.loops.iter().map(surplus).sum()
    };
    let candidates = (first..first + LINE).step_by(function.alignment as usize);
    candidates
        .min_by_key(|&offset| cost(offset))
        .unwrap_or(first)
}

/// Resolves a relocation of the function at `start`.
fn resolve(
    text: &mut [u8],
    placed: &[PlacedFunction],
    islands: &Islands,
    start: u32,
    relocation: &Relocation,
) -> Result<()> {
    let target = match relocation.target {
        RelocationTarget::TextBase => 0,
        RelocationTarget::Func(key) => match find(placed, key) {
            Some(function) => i64::from(function.offset),
            None => bail!("it refers to {key}, which is not compiled"),
        },
    };
    // A text has at most 2 GiB, so that these sums do not overflow.
    let place = i64::from(start) + i64::from(relocation.offset);
    let value = target
        .checked_add(relocation.addend)
        .context("its addend is out of range")?;
    match relocation.kind {
        RelocationKind::PcRelative4 => {
            let distance = value
                .checked_sub(place)
                .and_then(|distance| i32::try_from(distance).ok());
            let distance = distance.context("its target is out of reach")?;
            write(text, place, &distance.to_le_bytes())
        }
        RelocationKind::TextOffset8 => write(text, place, &value.to_le_bytes()),
        RelocationKind::Branch26 => {
            let distance = value
                .checked_sub(place)
                .context("its target is out of reach")?;
            if isa::patch_branch(text, place, distance)? {
                return Ok(());
            }
            let veneer = match relocation.target {
                RelocationTarget::Func(key) if relocation.addend == 0 => islands.veneer(place, key),
                _ => None,
            };
            let reached = match veneer {
                Some(veneer) => isa::patch_branch(text, place, veneer - place)?,
                None => false,
            };
            // The chunk is one function that is larger than the reach of a branch.
            ensure!(
                reached,
                limit!(
                    ComponentSize,
                    "its target is out of reach; split the function"
                )
            );
            Ok(())
        }
        RelocationKind::Page21 => isa::patch_page(text, place, value),
        RelocationKind::PageOffset12 => isa::patch_page_offset(text, place, value),
    }
}

fn write(text: &mut [u8], place: i64, bytes: &[u8]) -> Result<()> {
    let place = usize::try_from(place)?;
    let bytes_there = text
        .get_mut(place..)
        .and_then(|text| text.get_mut(..bytes.len()));
    bytes_there
        .context("it is not within the text")?
        .copy_from_slice(bytes);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use mintage_environ::{LowerId, SigId};

    fn lower(number: u32) -> FuncKey {
        FuncKey::LowerImport(LowerId::from_u32(number))
    }

    fn function(key: FuncKey, len: usize, alignment: u32) -> CompiledFunction {
        CompiledFunction {
            key,
            code: vec![0x90; len],
            alignment,
            loops: vec![],
            relocations: vec![],
            traps: vec![],
            catches: vec![],
            stack_maps: vec![],
            addresses: vec![],
        }
    }

    fn isa(triple: &str) -> Isa {
        Isa::of(&Target {
            triple: triple.into(),
            cpu_features: vec![],
        })
        .unwrap()
    }

    #[test]
    fn functions_are_aligned_and_never_at_offset_zero() {
        let x64 = isa("x86_64-unknown-linux-gnu");
        let mut text = x64.stub.to_vec();
        assert_eq!(
            place(&mut text, &function(lower(0), 3, 1), x64.padding).unwrap(),
            2
        );
        assert_eq!(
            place(&mut text, &function(lower(1), 5, 16), x64.padding).unwrap(),
            16
        );
        assert_eq!(
            text,
            [&[0x0f, 0x0b, 0x90, 0x90, 0x90][..], &[0xcc; 11], &[0x90; 5]].concat()
        );
        for (len, alignment, message) in [
            (0, 16, "no machine code"),
            (1, 0, "alignment"),
            (1, 48, "alignment"),
        ] {
            let error = place(&mut text, &function(lower(2), len, alignment), x64.padding)
                .unwrap_err()
                .to_string();
            assert!(error.contains(message), "{error}");
        }
    }

    #[test]
    fn loops_touch_few_lines() {
        let looped = |loops: &[(u32, u32)]| CompiledFunction {
            loops: loops.iter().map(|&(start, end)| start..end).collect(),
            ..function(lower(0), 256, 16)
        };
        for (loops, expected) in [
            // Without loops, and if the loop is in one line already, the first offset is taken.
            (vec![], 16),
            (vec![(0, 40)], 16),
            // At 16, it would extend from 58 to 68.
            (vec![(42, 52)], 32),
            // The gap is less than a line.
            (vec![(0, 64)], 64),
            // At 64, the long loop would touch one of four lines less, but the short one would
            // touch two instead of one.
            (vec![(0, 192), (56, 72)], 16),
        ] {
            assert_eq!(best_offset(2, &looped(&loops)), expected, "{loops:?}");
        }
    }

    /// Resolves relocations of a function at 64 in a text of 96 bytes, with another function at 32.
    #[test]
    fn relocations_are_resolved_or_refused() {
        use RelocationKind::{Branch26, Page21, PageOffset12, PcRelative4, TextOffset8};
        let place = |key, offset| PlacedFunction {
            offset,
            compiled: function(key, 1, 1),
        };
        let placed = [place(lower(0), 32), place(lower(1), 64)];
        let func = |key| RelocationTarget::Func(key);
        let signature = i64::from(FuncEntry::signature_word(SigId::from_u32(6))) << 32;
        let islands = Islands::new(isa("aarch64-unknown-linux-gnu"), &[]);
        let resolve = |kind, target, addend, offset| {
            let mut text = vec![0; 96];
            resolve(
                &mut text,
                &placed,
                &islands,
                64,
                &Relocation {
                    offset,
                    kind,
                    target,
                    addend,
                },
            )?;
            anyhow::Ok(i64::from_le_bytes(
                text[64 + offset as usize..][..8].try_into()?,
            ))
        };
        let good = [
            (PcRelative4, func(lower(0)), -4, 8, i64::from(-44i32 as u32)),
            (PcRelative4, func(lower(1)), -4, 8, i64::from(-12i32 as u32)),
            (
                PcRelative4,
                RelocationTarget::TextBase,
                -4,
                8,
                i64::from(-76i32 as u32),
            ),
            (TextOffset8, func(lower(0)), signature, 16, 7 << 32 | 32),
            (Branch26, func(lower(0)), 0, 8, 0x03ff_fff6),
            (Branch26, func(lower(1)), 8, 8, 0),
            (Page21, func(lower(0)), 0x5000, 8, 1 << 29 | 1 << 5),
            (PageOffset12, func(lower(0)), 0, 8, 32 << 10),
        ];
        for (kind, target, addend, offset, expected) in good {
            assert_eq!(
                resolve(kind, target, addend, offset).unwrap(),
                expected,
                "{kind:?} {target:?}"
            );
        }
        let bad = [
            (
                PcRelative4,
                func(lower(7)),
                0,
                8,
                "lower[7], which is not compiled",
            ),
            (
                PcRelative4,
                func(lower(0)),
                (1 << 31) + 40,
                8,
                "out of reach",
            ),
            (PcRelative4, func(lower(0)), i64::MIN, 8, "out of reach"),
            (Branch26, func(lower(0)), 2, 8, "out of reach"),
            (Branch26, func(lower(0)), 1 << 28, 8, "out of reach"),
            (Branch26, func(lower(0)), i64::MIN, 8, "out of reach"),
            (Page21, func(lower(0)), 1 << 32, 8, "out of reach"),
            (Branch26, func(lower(0)), 0, 32, "not within the text"),
            (PageOffset12, func(lower(0)), 0, 29, "not within the text"),
            (TextOffset8, func(lower(0)), i64::MAX, 8, "out of range"),
            (PcRelative4, func(lower(0)), 0, 29, "not within the text"),
            (
                TextOffset8,
                func(lower(0)),
                0,
                u32::MAX,
                "not within the text",
            ),
        ];
        for (kind, target, addend, offset, message) in bad {
            let error = resolve(kind, target, addend, offset)
                .unwrap_err()
                .to_string();
            assert!(error.contains(message), "{error}");
        }
    }
    /// Returns the target of the branch at `place`: directly, or through a veneer.
    fn branch_target(text: &[u8], place: usize) -> (usize, bool) {
        let word = |at: usize| u32::from_le_bytes(text[at..][..4].try_into().unwrap());
        let distance = (word(place) << 6) as i32 >> 6;
        let target = place.wrapping_add_signed(distance as isize * 4);
        if text[target..][..4] == [1; 4] {
            return (target, false);
        }
        let [page, add, jump] = [0, 4, 8].map(|at| word(target + at));
        assert_eq!(page & 0x9f00_001f, 0x9000_0010);
        assert_eq!(add & 0xffc0_03ff, 0x9100_0210);
        assert_eq!(jump, 0xd61f_0200);
        let pages = (page >> 5 & 0x7_ffff) << 2 | page >> 29 & 3;
        let pages = (pages << 11) as i32 >> 11;
        let page = (target >> 12).wrapping_add_signed(pages as isize) << 12;
        (page + (add >> 10 & 0xfff) as usize, true)
    }

    /// Links functions of `size` bytes, each of which calls all of them, from its first and its
    /// last place. Returns the number of calls that go through veneers.
    fn link_calls(isa: Isa, count: u32, size: usize) -> usize {
        let branch = |offset: usize, callee| Relocation {
            offset: offset as u32,
            kind: RelocationKind::Branch26,
            target: RelocationTarget::Func(lower(callee)),
            addend: 0,
        };
        let functions = (0..count).map(|number| {
            let mut function = function(lower(number), size, 32);
            function.code[..4].fill(1);
            let starts = (0..count).map(|callee| branch(4 + 4 * callee as usize, callee));
            let ends =
                (0..count).map(|callee| branch(size - 4 * (count - callee) as usize, callee));
            function.relocations = starts.chain(ends).collect();
            function
        });
        let (text, placed) = link_functions(functions.collect(), isa).unwrap();
        let mut through_veneers = 0;
        for function in &placed {
            for relocation in &function.compiled.relocations {
                let RelocationTarget::Func(callee) = relocation.target else {
                    unreachable!()
                };
                let place = function.offset + relocation.offset;
                let (target, veneer) = branch_target(&text, place as usize);
                assert_eq!(target, find(&placed, callee).unwrap().offset as usize);
                through_veneers += usize::from(veneer);
            }
        }
        through_veneers
    }

    #[test]
    fn calls_out_of_reach_go_through_veneers() {
        let isa = isa("aarch64-unknown-linux-gnu");
        assert_eq!(link_calls(isa, 10, 1 << 10), 0);
        // The first and the last function are out of reach of each other, at both ends.
        assert!(link_calls(isa, 9, 16 << 20) >= 4);
        // One function after the other, each with an island.
        assert!(link_calls(isa, 5, 40 << 20) >= 4);
    }

    #[test]
    fn a_function_can_be_too_large_for_branches() {
        let isa = isa("aarch64-unknown-linux-gnu");
        let mut function = function(lower(1), 130 << 20, 4);
        function.relocations = vec![Relocation {
            offset: 0,
            kind: RelocationKind::Branch26,
            target: RelocationTarget::Func(lower(2)),
            addend: 0,
        }];
        let callee = CompiledFunction {
            key: lower(2),
            relocations: vec![],
            code: vec![0; 4],
            ..function.clone()
        };
        let error = link_functions(vec![function, callee], isa).err().unwrap();
        assert!(
            format!("{error:#}").contains("out of reach; split"),
            "{error:#}"
        );
    }
}
