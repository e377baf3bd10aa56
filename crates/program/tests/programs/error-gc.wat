(component (core module (type (struct))))
;; =>
;; error: invalid component at byte 0x15: struct indexed types not supported without the gc feature (garbage collection: not supported yet; compile for linear memory)
