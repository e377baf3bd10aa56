(component (core module (func) (func $wrong (result i32) i64.const 1)))
;; =>
;; error: in function 1 (`wrong`) of core module 0: invalid component at byte 0x2b: type mismatch: expected i32, found i64
