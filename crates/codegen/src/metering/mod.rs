//! Limits on what a guest executes: the interrupt word and fuel.

mod check_in;
mod fuel;

pub(crate) use check_in::check_in;
pub(crate) use fuel::{Meter, pay_bytes};
