//! The check must notice each difference between artifact and plan. Instead of the artifact, the
//! tests change the plan.

use super::*;
use crate::limits::{CompileLimits, Spent};
use crate::{LaidOut, NoProgress, Options, functions, image, link, write};
use mintage_codegen::Compiler;
use mintage_environ::layout::SlabLayout;
use mintage_environ::{
    CatchSite, CpuFeatures, DomainId, FrameSlots, StackMap, TargetRequest, Trap, Tunables,
};
use mintage_program::Const;

const KITCHEN: &str = include_str!("../../tests/kitchen.wat");

/// Compiles the component, lets `change` modify the plan, and verifies the artifact.
fn with_written(change: impl FnOnce(&mut Written<'_>)) -> Result<()> {
    with_written_for("x86_64-unknown-linux-gnu", change)
}

fn with_written_for(triple: &str, change: impl FnOnce(&mut Written<'_>)) -> Result<()> {
    let bytes = wat::parse_str(KITCHEN)?;
    let tunables = Tunables {
        core_exports: true,
        ..Tunables::default()
    };
    let target = TargetRequest {
        triple: Some(triple.into()),
        features: CpuFeatures::Baseline,
    };
    let compiler = Compiler::new(&target, &tunables)?;
    let program = mintage_program::build(&bytes, &tunables)?;
    let layout = SlabLayout::compute(&program.shape, &tunables)?;
    let limits = CompileLimits::new();
    let generated = functions::generate(
        LaidOut { program, layout },
        &compiler,
        &Spent::new(&limits),
        &NoProgress,
    )?;
    let linked = link::link(generated, &compiler.target())?;
    let imaged = image::build(linked)?;
    let mut written = write::write(imaged, &compiler.target(), &tunables, &Options::default())?;
    change(&mut written);
    verify(&written)
}

#[test]
fn every_kind_of_difference_is_noticed() {
    type Change = fn(&mut Written<'_>);
    fn function<'a>(
        written: &'a mut Written<'_>,
        with: impl Fn(&PlacedFunction) -> bool,
    ) -> &'a mut PlacedFunction {
        written
            .imaged
            .linked
            .functions
            .iter_mut()
            .find(|function| with(function))
            .expect("there is one")
    }
    fn program<'a, 'b>(written: &'a mut Written<'b>) -> &'a mut Program<'b> {
        &mut written.imaged.linked.laid_out.program
    }
    let cases: &[(&str, Change)] = &[
        ("the artifact is truncated", |w| w.artifact.truncate(5000)),
        ("functions instead of", |w| {
            _ = w.imaged.linked.functions.pop()
        }),
        ("has another ordinal", |w| {
            w.imaged.linked.functions.swap(0, 1)
        }),
        ("is misaligned", |w| {
            function(w, |_| true).compiled.alignment = 1 << 20
        }),
        ("its machine code differs at 0x1", |w| {
            function(w, |_| true).compiled.code[1] ^= 1
        }),
        ("instructions after it", |w| {
            _ = function(w, |_| true).compiled.code.pop()
        }),
        ("it is shorter", |w| {
            function(w, |_| true).compiled.code.extend([0; 200])
        }),
        ("its machine code differs", |w| {
            function(w, |f| !f.compiled.relocations.is_empty())
                .compiled
                .relocations[0]
                .addend += 1;
        }),
        ("its machine code differs", |w| {
            function(w, |f| !f.compiled.relocations.is_empty())
                .compiled
                .relocations[0]
                .target = RelocationTarget::TextBase;
        }),
        ("its traps differ", |w| {
            function(w, |_| true)
                .compiled
                .traps
                .push((99, Trap::Interrupt))
        }),
        ("its traps differ", |w| {
            _ = function(w, |f| !f.compiled.traps.is_empty())
                .compiled
                .traps
                .pop()
        }),
        ("its handler for the call at 0x1", |w| {
            let site = CatchSite {
                return_offset: 1,
                frame_size: 8,
                handlers: [(None, 2)].into(),
            };
            function(w, |_| true).compiled.catches.push(site)
        }),
        ("its stack map for the call at 0x1", |w| {
            let map = StackMap {
                return_offset: 1,
                slots: FrameSlots::new([8]).unwrap().into(),
            };
            function(w, |_| true).compiled.stack_maps.push(map)
        }),
        ("its stack map for the call at", |w| {
            let instances = program(w).instances.values_mut();
            instances.for_each(|instance| instance.domain = DomainId::from_u32(7));
        }),
        ("has address", |w| {
            function(w, |f| !f.compiled.addresses.is_empty())
                .compiled
                .addresses
                .push((1 << 20, 7))
        }),
        ("it has more addresses", |w| {
            function(w, |f| f.compiled.addresses.len() > 2)
                .compiled
                .addresses
                .truncate(1)
        }),
        ("the layout differs", |w| {
            w.imaged.linked.laid_out.layout.size += 1 << 20
        }),
        ("data0 differs", |w| {
            program(w)
                .data
                .values_mut()
                .for_each(|bytes| *bytes = b"other")
        }),
        ("elem0 differs", |w| {
            program(w)
                .elems
                .values_mut()
                .for_each(|values| values[0] = Const::Null)
        }),
        ("the slab differs", |w| {
            program(w).image_data[0].bytes = b"Over a page"
        }),
        ("the slab differs", |w| program(w).image_data.swap(0, 1)),
        ("bytes that were never written", |w| {
            _ = program(w).image_data.remove(0)
        }),
        ("the slab differs", |w| program(w).image_elems.swap(0, 1)),
        ("the slab differs", |w| {
            program(w).image_elems[0].values[0] = Const::Null
        }),
        ("the slab differs", |w| {
            let globals = &mut program(w).globals;
            globals
                .values_mut()
                .filter(|global| global.init == Const::I64(-2))
                .for_each(|global| global.init = Const::I64(-3));
        }),
    ];
    with_written(|_| ()).unwrap();
    for (message, change) in cases {
        let error = match with_written(change) {
            Ok(()) => "nothing".to_string(),
            Err(error) => format!("{error:#}"),
        };
        assert!(
            error.contains(message),
            "expected {message:?}, got {error:?}"
        );
    }
}

/// The relocations of aarch64. Those of all functions are exercised by the file tests.
#[test]
fn differences_in_branches_and_addresses_are_noticed() {
    use RelocationKind::{Branch26, Page21, PageOffset12};
    const AARCH64: &str = "aarch64-unknown-linux-gnu";
    fn relocation<'a>(
        written: &'a mut Written<'_>,
        kind: RelocationKind,
    ) -> &'a mut mintage_codegen::Relocation {
        let functions = &mut written.imaged.linked.functions;
        functions
            .iter_mut()
            .flat_map(|function| &mut function.compiled.relocations)
            .find(|relocation| relocation.kind == kind)
            .expect("there is one")
    }
    with_written_for(AARCH64, |_| ()).unwrap();
    for (kind, addend) in [(Branch26, 4), (Page21, 0x1000), (PageOffset12, 4)] {
        let changed = with_written_for(AARCH64, |written| {
            relocation(written, kind).addend += addend
        });
        let error = format!("{:#}", changed.unwrap_err());
        assert!(
            error.contains("its machine code differs"),
            "{kind:?}: {error}"
        );
    }
    let other = with_written_for(AARCH64, |written| {
        relocation(written, Branch26).target = RelocationTarget::TextBase;
    });
    assert!(other.is_err());
}

#[test]
fn veneers_are_read_and_nothing_else() {
    let words = |words: [u32; 3]| words.map(u32::to_le_bytes).concat();
    let mut text = vec![0; 0x3000];
    let veneer = [
        0x9000_0010 | 1 << 29,
        0x9100_0210 | 0x124 << 10,
        0xd61f_0200,
    ];
    text[0x1ff8..0x2004].copy_from_slice(&words(veneer));
    assert_eq!(veneer_target(&text, 0x1ff8), Some(0x2124));
    // Backwards, to the page before.
    text[0x1ff8..0x2004].copy_from_slice(&words([0xf0ff_fff0, veneer[1], veneer[2]]));
    assert_eq!(veneer_target(&text, 0x1ff8), Some(0x124));
    for at in [0, 0x1ffc, 0x2ffc, 0x3000, usize::MAX] {
        assert_eq!(veneer_target(&text, at), None);
    }
    for bit in [0, 4, 24, 31] {
        for word in 0..3 {
            let mut changed = veneer;
            changed[word] ^= 1 << bit;
            assert_eq!(veneer_target(&words(changed), 0), None, "{word} {bit}");
        }
    }
}
