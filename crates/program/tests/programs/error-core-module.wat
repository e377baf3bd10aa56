(module (func))
;; =>
;; error: the input is a core WebAssembly module, not a component; wrap it with `wasm-tools component new`
