;; Six levels of ten instantiations each.
(component
  (component $l0 (core module $m (func)) (core instance (instantiate $m)))
  (component $l1 (alias outer 1 $l0 (component $c))
    (instance (instantiate $c)) (instance (instantiate $c)) (instance (instantiate $c)) (instance (instantiate $c)) (instance (instantiate $c))
    (instance (instantiate $c)) (instance (instantiate $c)) (instance (instantiate $c)) (instance (instantiate $c)) (instance (instantiate $c)))
  (component $l2 (alias outer 1 $l1 (component $c))
    (instance (instantiate $c)) (instance (instantiate $c)) (instance (instantiate $c)) (instance (instantiate $c)) (instance (instantiate $c))
    (instance (instantiate $c)) (instance (instantiate $c)) (instance (instantiate $c)) (instance (instantiate $c)) (instance (instantiate $c)))
  (component $l3 (alias outer 1 $l2 (component $c))
    (instance (instantiate $c)) (instance (instantiate $c)) (instance (instantiate $c)) (instance (instantiate $c)) (instance (instantiate $c))
    (instance (instantiate $c)) (instance (instantiate $c)) (instance (instantiate $c)) (instance (instantiate $c)) (instance (instantiate $c)))
  (component $l4 (alias outer 1 $l3 (component $c))
    (instance (instantiate $c)) (instance (instantiate $c)) (instance (instantiate $c)) (instance (instantiate $c)) (instance (instantiate $c))
    (instance (instantiate $c)) (instance (instantiate $c)) (instance (instantiate $c)) (instance (instantiate $c)) (instance (instantiate $c)))
  (component $l5 (alias outer 1 $l4 (component $c))
    (instance (instantiate $c)) (instance (instantiate $c)) (instance (instantiate $c)) (instance (instantiate $c)) (instance (instantiate $c))
    (instance (instantiate $c)) (instance (instantiate $c)) (instance (instantiate $c)) (instance (instantiate $c)) (instance (instantiate $c)))
  (instance (instantiate $l5)))
;; =>
;; error: in the component definition at byte 0x87: the component has more than 10000 nested component instances; instantiate fewer of them
