(component
  (core module $m (func $first) (func $vector (result v128) v128.const i64x2 0 0 v128.const i64x2 0 0 i8x16.relaxed_swizzle)))
;; =>
;; domain0: no memory
