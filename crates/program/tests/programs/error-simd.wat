(component
  (core module $m (func $first) (func $vector (result i32) v128.const i64x2 0 0 i8x16.extract_lane_s 0)))
;; =>
;; error: in function 1 (`vector`) of core module 0: invalid component at byte 0x29: SIMD support is not enabled (SIMD: not supported yet; compile without it (`-C target-feature=-simd128`, `-mno-simd128`))
