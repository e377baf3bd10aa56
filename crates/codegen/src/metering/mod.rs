//! Limits on what a guest executes: the interrupt word and fuel.

mod fuel;
mod interrupt;

pub(crate) use fuel::{Meter, pay_bytes};
pub(crate) use interrupt::check as check_interrupt;
