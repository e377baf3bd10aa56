(component (core module (memory 1 1 shared)))
;; =>
;; error: a core module has a shared memory, which is not supported; compile without it (no `-pthread`, no `--shared-memory`; atomic operators may stay)
