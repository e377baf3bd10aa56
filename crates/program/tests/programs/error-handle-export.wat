(component
  (import "r" (type $r (sub resource)))
  (core module $m (func (export "f") (param i32)))
  (core instance $m (instantiate $m))
  (func (export "f") (param "r" (own $r)) (canon lift (core func $m "f"))))
;; =>
;; error: exporting a function that takes or gives resource handles is not supported yet: func(r: own<resource0>)
