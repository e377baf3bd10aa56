//! Runs .wast scripts, each module wrapped as a component.
