//! Stands in for the helper crate of the peer's tests, whose source needs the peer's internals.

/// Engines and settings for tests of the component API.
pub mod component {
    use wasmtime::{Config, Engine};

    /// Returns the settings that tests change.
    pub fn config() -> Config {
        let mut config = Config::new();
        config.wasm_component_model(true);
        config
    }

    /// Returns an engine with default settings.
    pub fn engine() -> Engine {
        Engine::new(&config()).unwrap()
    }

    /// Returns an engine with maps.
    pub fn map_engine() -> Engine {
        let mut config = config();
        config.wasm_component_model_map(true);
        Engine::new(&config).unwrap()
    }

    /// Returns an engine whose stores make asynchronous calls.
    pub fn async_engine() -> Engine {
        Engine::default()
    }
}
