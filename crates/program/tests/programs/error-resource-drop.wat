(component
  (type $r (resource (rep i32)))
  (core func $drop (canon resource.drop $r))
  (core module $m (import "" "drop" (func $drop (param i32))) (func (export "run") (call $drop (i32.const 0))))
  (core instance $i (instantiate $m (with "" (instance (export "drop" (func $drop))))))
  (func (export "run") (canon lift (core func $i "run"))))
;; =>
;; error: the canonical built-in `resource.drop` is not supported yet (used by function 1 (`run`) of core module 0)
