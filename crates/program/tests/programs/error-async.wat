(component (import "f" (func async)))
;; =>
;; error: unsupported component at byte 0xb: async component functions require the component model async feature (the async ABI of components: not supported yet; use synchronous functions, without streams and futures)
