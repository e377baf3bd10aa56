//! Components of the suites with changed bytes. The engine must reject or compile them, and never
//! panic.

use crate::component_model;
use mintage::{Component, Config, Engine, OptLevel};
use std::panic::{self, AssertUnwindSafe};
use wast::lexer::Lexer;
use wast::parser::{self, ParseBuffer};
use wast::{Wast, WastDirective};

/// Number of changed copies of each component.
const COPIES: usize = 20;

/// Returns the binaries of the components that a script defines.
fn components(text: &str) -> Vec<Vec<u8>> {
    let mut lexer = Lexer::new(text);
    lexer.allow_confusing_unicode(true);
    let buffer = ParseBuffer::new_with_lexer(lexer).unwrap();
    let wast = parser::parse::<Wast<'_>>(&buffer).unwrap();
    let encode = |directive| match directive {
        WastDirective::Module(mut module) | WastDirective::ModuleDefinition(mut module) => {
            module.encode().ok()
        }
        WastDirective::AssertInvalid { mut module, .. } => module.encode().ok(),
        _ => None,
    };
    wast.directives.into_iter().filter_map(encode).collect()
}

/// A generator of pseudo-random numbers (xorshift) with a fixed seed.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % limit
    }
}

/// Changes a few bytes after the header: to a random value, by one, or to a byte from elsewhere.
fn damage(bytes: &mut [u8], numbers: &mut Numbers) {
    let start = 8.min(bytes.len());
    let room = bytes.len() - start;
    if room == 0 {
        return;
    }
    for _ in 0..=numbers.below(3) {
        let at = start + numbers.below(room);
        bytes[at] = match numbers.below(4) {
            0 => numbers.below(256) as u8,
            1 => bytes[at].wrapping_add(1),
            2 => bytes[at].wrapping_sub(1),
            _ => bytes[start + numbers.below(room)],
        };
    }
}

#[test]
fn damaged_components_are_refused_or_compiled() {
    let mut config = Config::new();
    config
        .opt_level(OptLevel::None)
        .debug_verifier(false)
        .wasm_all_features();
    let engine = Engine::new(&config).unwrap();
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    let (mut accepted, mut refused, mut panicked) = (0, 0, Vec::new());
    for script in component_model::scripts() {
        for (index, component) in components(&script.text).into_iter().enumerate() {
            for copy in 0..COPIES {
                let mut bytes = component.clone();
                damage(&mut bytes, &mut numbers);
                let compile = || Component::new(&engine, &bytes).is_ok();
                match panic::catch_unwind(AssertUnwindSafe(compile)) {
                    Ok(true) => accepted += 1,
                    Ok(false) => refused += 1,
                    Err(_) => {
                        panicked.push(format!("{}, component {index}, copy {copy}", script.name))
                    }
                }
            }
        }
    }
    println!("{accepted} damaged components are accepted, {refused} refused");
    assert!(panicked.is_empty(), "{panicked:#?}");
    assert!(
        accepted > 100 && refused > 1000,
        "{accepted} accepted, {refused} refused"
    );
}
