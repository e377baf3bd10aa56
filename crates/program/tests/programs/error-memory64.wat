(component (core module (memory i64 1)))
;; =>
;; error: invalid component at byte 0x15: memory64 must be enabled for 64-bit memories (64-bit memories: not supported yet; compile for a 32-bit target (`wasm32-...`))
