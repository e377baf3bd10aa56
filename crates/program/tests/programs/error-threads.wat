(component (core module (memory 1 1 shared)))
;; =>
;; error: invalid component at byte 0x15: threads must be enabled for shared memories (threads: not supported yet; compile without shared memory and atomics (`-C target-feature=-atomics`, no `-pthread`))
