(component
  (import "m" (core module $m))
  (core instance (instantiate $m)))
;; =>
;; error: in the component definition at byte 0x19: instantiating a core module that the host imports is not supported; bundle it into the component
