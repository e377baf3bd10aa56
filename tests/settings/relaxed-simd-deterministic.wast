;; With `Config::relaxed_simd_deterministic` each operator has the same result on all processors.
(module
  (func (export "i8x16.swizzle") (param v128 v128) (result v128) (i8x16.relaxed_swizzle (local.get 0) (local.get 1)))
  (func (export "i32x4.trunc_f32x4_s") (param v128) (result v128) (i32x4.relaxed_trunc_f32x4_s (local.get 0)))
  (func (export "i32x4.trunc_f32x4_u") (param v128) (result v128) (i32x4.relaxed_trunc_f32x4_u (local.get 0)))
  (func (export "i32x4.trunc_f64x2_s") (param v128) (result v128) (i32x4.relaxed_trunc_f64x2_s_zero (local.get 0)))
  (func (export "i32x4.trunc_f64x2_u") (param v128) (result v128) (i32x4.relaxed_trunc_f64x2_u_zero (local.get 0)))
  (func (export "f32x4.madd") (param v128 v128 v128) (result v128)
    (f32x4.relaxed_madd (local.get 0) (local.get 1) (local.get 2)))
  (func (export "f32x4.nmadd") (param v128 v128 v128) (result v128)
    (f32x4.relaxed_nmadd (local.get 0) (local.get 1) (local.get 2)))
  (func (export "f64x2.madd") (param v128 v128 v128) (result v128)
    (f64x2.relaxed_madd (local.get 0) (local.get 1) (local.get 2)))
  (func (export "f64x2.nmadd") (param v128 v128 v128) (result v128)
    (f64x2.relaxed_nmadd (local.get 0) (local.get 1) (local.get 2)))
  (func (export "i8x16.laneselect") (param v128 v128 v128) (result v128)
    (i8x16.relaxed_laneselect (local.get 0) (local.get 1) (local.get 2)))
  (func (export "i16x8.laneselect") (param v128 v128 v128) (result v128)
    (i16x8.relaxed_laneselect (local.get 0) (local.get 1) (local.get 2)))
  (func (export "i64x2.laneselect") (param v128 v128 v128) (result v128)
    (i64x2.relaxed_laneselect (local.get 0) (local.get 1) (local.get 2)))
  (func (export "f32x4.min") (param v128 v128) (result v128) (f32x4.relaxed_min (local.get 0) (local.get 1)))
  (func (export "f32x4.max") (param v128 v128) (result v128) (f32x4.relaxed_max (local.get 0) (local.get 1)))
  (func (export "f64x2.min") (param v128 v128) (result v128) (f64x2.relaxed_min (local.get 0) (local.get 1)))
  (func (export "f64x2.max") (param v128 v128) (result v128) (f64x2.relaxed_max (local.get 0) (local.get 1)))
  (func (export "i16x8.q15mulr") (param v128 v128) (result v128) (i16x8.relaxed_q15mulr_s (local.get 0) (local.get 1)))
  (func (export "i16x8.dot") (param v128 v128) (result v128)
    (i16x8.relaxed_dot_i8x16_i7x16_s (local.get 0) (local.get 1)))
  (func (export "i32x4.dot_add") (param v128 v128 v128) (result v128)
    (i32x4.relaxed_dot_i8x16_i7x16_add_s (local.get 0) (local.get 1) (local.get 2)))
)
;; An index out of range selects zero, whatever its low bits are.
(assert_return (invoke "i8x16.swizzle"
    (v128.const i8x16 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16)
    (v128.const i8x16 0 15 16 17 31 32 127 128 -1 3 2 1 0 64 143 255))
  (v128.const i8x16 1 16 0 0 0 0 0 0 0 4 3 2 1 0 0 0))
(assert_return (invoke "i32x4.trunc_f32x4_s" (v128.const f32x4 nan -1e10 1e10 -1.9)) (v128.const i32x4 0 0x80000000 0x7fffffff -1))
(assert_return (invoke "i32x4.trunc_f32x4_u" (v128.const f32x4 nan -1 1e10 3e9)) (v128.const i32x4 0 0 -1 3000000000))
(assert_return (invoke "i32x4.trunc_f64x2_s" (v128.const f64x2 nan 1e10)) (v128.const i32x4 0 0x7fffffff 0 0))
(assert_return (invoke "i32x4.trunc_f64x2_u" (v128.const f64x2 -1 1e10)) (v128.const i32x4 0 -1 0 0))
;; One rounding: (1 + 2^-12)^2 - (1 + 2^-11) is 2^-24, and 0 with two.
(assert_return (invoke "f32x4.madd"
    (v128.const f32x4 0x1.001p+0 1 2 3) (v128.const f32x4 0x1.001p+0 2 3 4) (v128.const f32x4 -0x1.002p+0 1 1 1))
  (v128.const f32x4 0x1p-24 3 7 13))
(assert_return (invoke "f32x4.nmadd"
    (v128.const f32x4 0x1.001p+0 1 2 3) (v128.const f32x4 0x1.001p+0 2 3 4) (v128.const f32x4 0x1.002p+0 1 1 1))
  (v128.const f32x4 -0x1p-24 -1 -5 -11))
(assert_return (invoke "f64x2.madd"
    (v128.const f64x2 0x1.0000001p+0 2) (v128.const f64x2 0x1.0000001p+0 3) (v128.const f64x2 -0x1.0000002p+0 4))
  (v128.const f64x2 0x1p-56 10))
(assert_return (invoke "f64x2.nmadd"
    (v128.const f64x2 0x1.0000001p+0 2) (v128.const f64x2 0x1.0000001p+0 3) (v128.const f64x2 0x1.0000002p+0 4))
  (v128.const f64x2 -0x1p-56 -2))
;; Bit by bit.
(assert_return (invoke "i8x16.laneselect"
    (v128.const i64x2 0x5555555555555555 -1) (v128.const i64x2 0xaaaaaaaaaaaaaaaa 0) (v128.const i64x2 0xf00ff00f80017ffe 0x8000000000000001))
  (v128.const i64x2 0x5aa55aa52aabd554 0x8000000000000001))
(assert_return (invoke "i16x8.laneselect"
    (v128.const i16x8 -1 -1 -1 -1 -1 -1 -1 -1) (v128.const i16x8 0 0 0 0 0 0 0 0) (v128.const i16x8 0x8000 1 -1 0 0x80 0x7fff 2 3))
  (v128.const i16x8 0x8000 1 -1 0 0x80 0x7fff 2 3))
(assert_return (invoke "i64x2.laneselect" (v128.const i64x2 -1 -1) (v128.const i64x2 0 0) (v128.const i64x2 0x8000000000000000 7))
  (v128.const i64x2 0x8000000000000000 7))
(assert_return (invoke "f32x4.min" (v128.const f32x4 0 -0 nan 1) (v128.const f32x4 -0 0 1 nan))
  (v128.const f32x4 -0 -0 nan:canonical nan:canonical))
(assert_return (invoke "f32x4.max" (v128.const f32x4 0 -0 nan 1) (v128.const f32x4 -0 0 1 nan))
  (v128.const f32x4 0 0 nan:canonical nan:canonical))
(assert_return (invoke "f64x2.min" (v128.const f64x2 0 1) (v128.const f64x2 -0 nan)) (v128.const f64x2 -0 nan:canonical))
(assert_return (invoke "f64x2.max" (v128.const f64x2 -0 nan) (v128.const f64x2 0 1)) (v128.const f64x2 0 nan:canonical))
(assert_return (invoke "i16x8.q15mulr"
    (v128.const i16x8 -32768 -32768 16384 1 0 32767 -1 2) (v128.const i16x8 -32768 32767 16384 1 0 32767 -1 16384))
  (v128.const i16x8 32767 -32767 8192 0 0 32766 0 1))
;; Signed times signed, although the second operand should have only 7 bits.
(assert_return (invoke "i16x8.dot"
    (v128.const i8x16 1 2 127 127 -128 -128 3 4 0 0 0 0 0 0 0 0) (v128.const i8x16 -1 -2 127 127 127 127 5 6 0 0 0 0 0 0 0 0))
  (v128.const i16x8 -5 32258 -32512 39 0 0 0 0))
(assert_return (invoke "i32x4.dot_add"
    (v128.const i8x16 1 2 127 127 -128 -128 3 4 0 0 0 0 0 0 0 0) (v128.const i8x16 -1 -2 127 127 127 127 5 6 0 0 0 0 0 0 0 0)
    (v128.const i32x4 1000000 -1 2 3))
  (v128.const i32x4 1032253 -32474 2 3))
