//! Preview 1, for core modules.
