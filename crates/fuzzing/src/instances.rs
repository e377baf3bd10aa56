//! Instances that come and go do what they would do alone: nothing of one is left for the next.

use crate::mintage::Mintage;
use crate::modules::{Linked, arguments};
use crate::oracle::Oracle;
use crate::twins::Twins;
use crate::verdict::{Failure, Outcome, Verdict, skip_if_exhausted};
use arbitrary::Unstructured;

/// Programs of a case.
const PROGRAMS: usize = 3;

/// Instances that live at a time.
const PLACES: usize = 4;

/// Steps of a case.
const STEPS: usize = 60;

/// Instantiates, calls and drops instances of a few programs in any order, so that their memory is
/// used again, and now and then goes on with an instance of a snapshot; each is compared with a
/// twin that has memory which nobody used before.
///
/// # Errors
///
/// When something differs.
pub fn instances(u: &mut Unstructured<'_>, engine: &Mintage) -> Verdict {
    let programs = (0..PROGRAMS)
        .map(|_| Linked::arbitrary(u, engine.settings().canonical_nans))
        .collect::<arbitrary::Result<Vec<_>>>();
    skip_if_exhausted(programs.map(|programs| {
        run(u, engine, &programs).map_err(|difference| {
            let guests = programs.iter().enumerate().flat_map(|(number, program)| {
                let guests = program.guests().into_iter();
                guests.map(move |(name, bytes)| (format!("p{number}-{name}"), bytes))
            });
            let what = format!(
                "{}, here: memory used before; there: fresh memory: {difference}",
                engine.name()
            );
            Failure::new(what, guests)
        })
    }))
}

fn run(u: &mut Unstructured<'_>, engine: &Mintage, programs: &[Linked]) -> Result<Outcome, String> {
    // Compiled twice, since a compiled program keeps the memory of its instances for the next ones.
    let compile = || {
        programs
            .iter()
            .map(|program| engine.compile(program))
            .collect::<Result<Vec<_>, _>>()
    };
    let (Ok(reused), Ok(fresh)) = (compile(), compile()) else {
        return Ok(Outcome::Skipped("the modules are refused"));
    };
    let mut places: [Option<(usize, Twins<'_>)>; PLACES] = [const { None }; PLACES];
    // What the twins used must not be used again.
    let mut kept = Vec::new();
    for _ in 0..STEPS {
        if u.is_empty() {
            break;
        }
        let at = choose(u, PLACES);
        let ends = match &mut places[at] {
            None => {
                let number = choose(u, PROGRAMS);
                let twins = Twins::new(&programs[number], [&*reused[number], &*fresh[number]])?;
                places[at] = twins.ok().map(|twins| (number, twins));
                false
            }
            Some((number, twins)) => match choose(u, 12) {
                0 | 1 => true,
                2 => twins.replace_first(false).map(|()| false)?,
                3 => twins.replace_first(true).map(|()| false)?,
                _ => call(u, &programs[*number], twins)?,
            },
        };
        if ends {
            kept.extend(places[at].take().map(|(_, twins)| twins.into_second()));
        }
    }
    Ok(Outcome::Held)
}

/// A number below `count`; 0 when the input is used up.
fn choose(u: &mut Unstructured<'_>, count: usize) -> usize {
    u.choose_index(count).unwrap_or(0)
}

/// Calls a function: whether it has trapped.
fn call(u: &mut Unstructured<'_>, program: &Linked, twins: &mut Twins<'_>) -> Result<bool, String> {
    let module = choose(u, program.modules.len());
    let Ok(func) = u.choose(&program.modules[module].funcs) else {
        return Ok(false);
    };
    match arguments(u, &func.params) {
        Ok(Some(args)) => Ok(twins.call(module, &func.name, &args)?.is_err()),
        _ => Ok(false),
    }
}
