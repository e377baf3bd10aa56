(component
  (import "c" (component $c))
  (instance (instantiate $c)))
;; =>
;; error: in the component definition at byte 0x18: instantiating a component that the host imports is not supported; bundle it into the component
