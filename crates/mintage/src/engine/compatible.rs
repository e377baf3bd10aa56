//! Settings by the names that hosts of Wasmtime use: those that mean nothing here, and those that
//! have another name.

use super::{Config, OptLevel};

/// Settings for hosts that port from Wasmtime. Those without effect are accepted so that the host
/// need not remove them.
impl Config {
    /// Has the effect of [`opt_level`](Self::opt_level).
    pub fn cranelift_opt_level(&mut self, level: OptLevel) -> &mut Self {
        self.opt_level(level)
    }

    /// Has no effect. No setting is needed for asynchronous calls.
    pub fn async_support(&mut self, _enable: bool) -> &mut Self {
        self
    }

    /// Has no effect. Components are what the engine runs.
    pub fn wasm_component_model(&mut self, _enable: bool) -> &mut Self {
        self
    }

    /// Has no effect. Multiple results are part of each version of WebAssembly that components use.
    pub fn wasm_multi_value(&mut self, _enable: bool) -> &mut Self {
        self
    }

    /// Has no effect. Reference types are part of each version of WebAssembly that components use.
    pub fn wasm_reference_types(&mut self, _enable: bool) -> &mut Self {
        self
    }

    /// Has no effect. Bulk operations are part of each version of WebAssembly that components use.
    pub fn wasm_bulk_memory(&mut self, _enable: bool) -> &mut Self {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_without_effect_change_nothing() {
        let mut config = Config::new();
        config
            .async_support(true)
            .wasm_component_model(true)
            .wasm_multi_value(true)
            .wasm_reference_types(true)
            .wasm_bulk_memory(true);
        assert_eq!(format!("{config:?}"), format!("{:?}", Config::new()));
        config.cranelift_opt_level(OptLevel::SpeedAndSize);
        assert_eq!(config.tunables.opt_level, OptLevel::SpeedAndSize);
    }
}
