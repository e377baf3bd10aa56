//! Finds the functions that are compiled into their callers, in the place of calls.
//!
//! Such a function has no control flow of its own, and its code is about as small as a call: a few
//! operators, or a call of another function and nothing else. So code does not grow, however often
//! the function is called, and a chain of such functions never becomes a tree.

use crate::ir::{Body, Module};
use mintage_environ::FuncIndex;
use wasmparser::{BinaryReader, FunctionBody};

/// The largest size in bytes of the body of an inlinable function.
const MAX_BYTES: usize = 64;
/// The largest number of locals that it declares, besides its parameters.
const MAX_LOCALS: u32 = 8;
/// The largest number of its operators, not counting constants and those that only move values.
const MAX_OPERATORS: usize = 4;

/// Returns the inlinable functions of a module whose bodies are valid, in order.
pub(crate) fn functions(module: &Module<'_>) -> Vec<FuncIndex> {
    let bodies = (module.imported_funcs..).zip(&module.bodies);
    bodies
        .filter(|(_, body)| is_inlinable(body))
        .map(|(index, _)| FuncIndex::from_u32(index))
        .collect()
}

fn is_inlinable(body: &Body<'_>) -> bool {
    body.bytes.len() <= MAX_BYTES && has_few_operators(body).is_ok_and(|has_few| has_few)
}

/// Returns whether a function has few operators, all of them without control flow.
fn has_few_operators(body: &Body<'_>) -> wasmparser::Result<bool> {
    let function = FunctionBody::new(BinaryReader::new(body.bytes, 0));
    let mut locals = function.get_locals_reader()?;
    let mut declared = 0;
    for _ in 0..locals.get_count() {
        declared += u64::from(locals.read()?.0);
    }
    if declared > MAX_LOCALS.into() {
        return Ok(false);
    }
    let mut operators = function.get_operators_reader()?;
    let (mut constants, mut others) = (0, 0);
    // The constants that a call needs, which may be the index in a table.
    let mut calls = Vec::new();
    while !operators.eof() {
        let (_, offset) = operators.read_with_offset()?;
        // The opcodes of one byte (WebAssembly 3.0, "Binary Format", "Instructions").
        match body.bytes[offset as usize] {
            // `nop`, `end`, `drop`, `local.*`.
            0x01 | 0x0b | 0x1a | 0x20..=0x22 => {}
            // `*.const`.
            0x41..=0x44 => constants += 1,
            // `call`, `call_indirect`.
            0x10 => calls.push(0),
            0x11 => calls.push(1),
            // `select`, `global.*`, loads, stores, `memory.size`, numeric instructions.
            0x1b | 0x23 | 0x24 | 0x28..=0x3f | 0x45..=0xc4 => others += 1,
            _ => return Ok(false),
        }
    }
    Ok(match calls[..] {
        [] => others <= MAX_OPERATORS,
        [needed] => others == 0 && constants <= needed,
        _ => false,
    })
}
