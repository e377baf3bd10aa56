//! Kernels: programs that run long enough to measure their machine code alone.

use crate::guest::{Guest, text};

/// A function `func(n: u32) -> u64` that does its work `n` times and returns a checksum.
#[derive(Debug, Clone, Copy)]
pub struct Kernel {
    /// The name in reports.
    pub name: &'static str,
    /// The component.
    pub guest: Guest,
    /// The function.
    pub export: &'static str,
    /// The parameter, chosen so that a call takes some tenths of a millisecond.
    pub n: u32,
    /// The expected result.
    pub answer: u64,
}

/// All kernels.
pub const KERNELS: [Kernel; 11] = [
    kernel(
        "matrix multiply",
        text!("kernels/matrix-multiply.wat"),
        4,
        4_699_868_712_843_345_920,
    ),
    kernel(
        "SHA-256",
        text!("kernels/sha256.wat"),
        500,
        17_422_712_190_034_586_945,
    ),
    kernel(
        "base64",
        text!("kernels/base64.wat"),
        30,
        5_098_150_409_366_027_779,
    ),
    kernel("sort", text!("kernels/sort.wat"), 3, 5_799_879_810_248_400),
    kernel(
        "n-body",
        text!("kernels/n-body.wat"),
        2000,
        4_627_167_811_248_423_153,
    ),
    kernel(
        "SIMD dot product",
        text!("kernels/dot-product.wat"),
        100,
        5_165_242_892_109_962_092,
    ),
    kernel(
        "interpreter",
        text!("kernels/interpreter.wat"),
        10_000,
        2_166_244_737_989_633_838,
    ),
    kernel(
        "allocator",
        text!("kernels/allocator.wat"),
        200,
        110_336_670_092_288,
    ),
    script("JavaScript: JSON", "json", 2, 13_657),
    script("JavaScript: regex", "regex", 2, 5_704),
    script("JavaScript: sort", "sort", 2, 131_347),
];

const fn kernel(name: &'static str, guest: Guest, n: u32, answer: u64) -> Kernel {
    Kernel {
        name,
        guest,
        export: "run",
        n,
        answer,
    }
}

const fn script(name: &'static str, export: &'static str, n: u32, answer: u64) -> Kernel {
    Kernel {
        name,
        guest: Guest::Greet,
        export,
        n,
        answer,
    }
}
