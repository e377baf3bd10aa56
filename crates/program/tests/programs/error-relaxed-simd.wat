(component
  (core module $m (func $first) (func $vector (result v128) v128.const i64x2 0 0 v128.const i64x2 0 0 i8x16.relaxed_swizzle)))
;; =>
;; error: in function 1 (`vector`) of core module 0: invalid component at byte 0x4d: relaxed SIMD support is not enabled (relaxed SIMD: not supported yet; compile without it (`-C target-feature=-relaxed-simd`, `-mno-relaxed-simd`))
