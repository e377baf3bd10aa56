//! The unsafe heart: mappings, slabs, entry, traps.
