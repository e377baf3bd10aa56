(component (core module (func $f return_call $f)))
;; =>
;; domain0: no memory
