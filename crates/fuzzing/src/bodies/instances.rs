//! Instances that reuse memory do what they would do in fresh memory: no state of one instance
//! reaches the next.

use crate::engines::{Mintage, Oracle, Twins};
use crate::guests::LinkedModules;
use crate::guests::modules::arguments;
use crate::verdict::{Failure, Outcome, Verdict, skip_if_exhausted};
use arbitrary::Unstructured;

/// Programs of a case.
const PROGRAMS: usize = 3;

/// Instances that exist at a time.
const PLACES: usize = 4;

/// Steps of a case.
const STEPS: usize = 60;

/// Instantiates, calls and drops instances of a few programs in random order, so that their memory
/// is reused. Sometimes replaces an instance by one made from its snapshot. Compares each instance
/// with a twin in fresh memory.
///
/// # Errors
///
/// If something differs.
pub fn instances(u: &mut Unstructured<'_>, engine: &Mintage) -> Verdict {
    let programs = (0..PROGRAMS)
        .map(|_| LinkedModules::arbitrary(u, engine.settings().canonical_nans))
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

fn run(
    u: &mut Unstructured<'_>,
    engine: &Mintage,
    programs: &[LinkedModules],
) -> Result<Outcome, String> {
    // Compiled twice, because a compiled program keeps the memory of its instances for later ones.
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
    // Keeps the twins in fresh memory alive, so that their memory is not reused.
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

/// Returns a number below `count`, or 0 if the input is used up.
fn choose(u: &mut Unstructured<'_>, count: usize) -> usize {
    u.choose_index(count).unwrap_or(0)
}

/// Calls a random function. Returns whether it has trapped.
fn call(
    u: &mut Unstructured<'_>,
    program: &LinkedModules,
    twins: &mut Twins<'_>,
) -> Result<bool, String> {
    let module = choose(u, program.modules.len());
    let Ok(func) = u.choose(&program.modules[module].funcs) else {
        return Ok(false);
    };
    match arguments(u, &func.params) {
        Ok(Some(args)) => Ok(twins.call(module, &func.name, &args)?.is_err()),
        _ => Ok(false),
    }
}
