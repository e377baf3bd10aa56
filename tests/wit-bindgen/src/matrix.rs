//! Runs cases in each cell of a matrix of settings.

use crate::wasi::{self, Host};
use mintage::error::{Context, Result, format_err};
use mintage::{Component, Config, Engine, Linker, OptLevel, Store, block_on};
use std::any::Any;
use std::panic::{self, AssertUnwindSafe};

/// A cell of the matrix {optimized or not} x {guard pages or explicit bounds checks}.
pub struct Cell {
    /// The name in reports.
    pub name: &'static str,
    engine: Engine,
}

/// Returns all cells.
///
/// # Errors
///
/// Fails if an engine cannot be created.
pub fn cells() -> Result<Vec<Cell>> {
    let rows = [
        ("optimized, guard pages", OptLevel::Speed, true),
        ("optimized, explicit checks", OptLevel::Speed, false),
        ("unoptimized, guard pages", OptLevel::None, true),
        ("unoptimized, explicit checks", OptLevel::None, false),
    ];
    let cell = |(name, opt_level, guard): (_, _, bool)| {
        let mut config = Config::new();
        config.opt_level(opt_level);
        config
            .wasm_component_model_map(true)
            .wasm_component_model_fixed_length_lists(true);
        if !guard {
            config.memory_reservation(64 << 20).memory_guard_size(0);
        }
        let engine = Engine::new(&config)?;
        Ok(Cell { name, engine })
    };
    rows.into_iter().map(cell).collect()
}

/// Runs a composed component twice. It passes if its export `run` returns. The second instance
/// reuses the memory of the first.
///
/// # Errors
///
/// Fails if the component does not pass. The error contains the output of the guest.
pub fn run(cell: &Cell, bytes: &[u8]) -> Result<()> {
    // A panic is a defect of the engine. The other cases still run.
    panic::catch_unwind(AssertUnwindSafe(|| run_twice(cell, bytes)))
        .unwrap_or_else(|payload| Err(panicked(&*payload)))
}

fn run_twice(cell: &Cell, bytes: &[u8]) -> Result<()> {
    let component = Component::from_binary(&cell.engine, bytes).context("cannot compile")?;
    let mut linker = Linker::new(&cell.engine);
    wasi::define(&mut linker, &component)?;
    let linked = linker.instantiate_pre(&component).context("cannot link")?;
    for round in ["first", "second"] {
        let mut store = Store::new(&cell.engine, Host::default());
        let call = |store: &mut Store<Host>| {
            let instance = linked.instantiate(&mut *store)?;
            let run = instance.get_typed_func::<(), ()>(&mut *store, "run")?;
            block_on(run.call_async(store, ()))
        };
        call(&mut store).with_context(|| {
            format!(
                "{round} instance; the guest wrote {:?}",
                store.data().output()
            )
        })?;
    }
    Ok(())
}

fn panicked(payload: &(dyn Any + Send)) -> mintage::Error {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| payload.downcast_ref::<&str>().copied());
    format_err!("panicked: {}", text.unwrap_or("the payload is not text"))
}
