(component (core module (tag (param i32))))
;; =>
;; error: invalid component at byte 0x1b: exceptions proposal not enabled (exceptions: not supported yet; compile without them (`panic = "abort"`, `-fno-exceptions`, no `setjmp`))
