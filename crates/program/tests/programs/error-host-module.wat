(component
  (import "m" (core module $m))
  (core instance (instantiate $m)))
;; =>
;; error: in the component definition at byte 0x19: the component instantiates the core module `m`, which it imports; give the module when compiling (`CodeBuilder::core_module`), or bundle it into the component
