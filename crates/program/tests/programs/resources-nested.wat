;; A resource defined by a nested component is another one for each instance of it.
(component
  (component $c
    (type $r (resource (rep i32)))
    (export $r2 "r" (type $r)))
  (instance $a (instantiate $c))
  (instance $b (instantiate $c))
  (component $user
    (import "r" (type $r (sub resource)))
    (export "same" (type $r)))
  (alias export $a "r" (type $ar))
  (instance $u (instantiate $user (with "r" (type $ar))))
  (export "a" (instance $a))
  (export "b" (instance $b))
  (export "u" (instance $u)))
;; =>
;; export a: instance
;;   export r: resource0
;; export b: instance
;;   export r: resource1
;; export u: instance
;;   export same: resource0
;; resource0: of domain1
;; resource1: of domain2
;; domain0: no memory
;; domain1: no memory
;; domain2: no memory
;; domain3: no memory
