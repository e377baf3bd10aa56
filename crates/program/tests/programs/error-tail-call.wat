(component (core module (func $f return_call $f)))
;; =>
;; error: in function 0 (`f`) of core module 0: invalid component at byte 0x21: tail calls support is not enabled (tail calls: not supported yet; compile without them (`-C target-feature=-tail-call`, `-mno-tail-call`))
