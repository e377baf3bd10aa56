(component (core module (tag (param i32))))
;; =>
;; domain0: no memory
