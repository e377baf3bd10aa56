(module (func))
;; =>
;; error: the input is a core WebAssembly module, not a component; compile it with `Component::from_module`
