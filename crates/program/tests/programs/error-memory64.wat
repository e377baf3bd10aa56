(component (core module (memory i64 1)))
;; =>
;; domain0: no memory
