//! [`EngineWeak`]: a reference to an engine that does not keep it.

use super::{Engine, EngineInner};
use std::fmt;
use std::sync::{Arc, Weak};

/// A reference to an [`Engine`] that does not keep it alive, for example in a thread that begins
/// epochs as long as there is an engine.
///
/// ```
/// use mintage::{Config, Engine};
/// use std::time::Duration;
///
/// # fn main() -> mintage::Result<()> {
/// let engine = Engine::new(Config::new().epoch_interruption(true))?;
/// let weak = engine.weak();
/// let ticker = std::thread::spawn(move || {
///     while let Some(engine) = weak.upgrade() {
///         engine.increment_epoch();
///         drop(engine);
///         std::thread::sleep(Duration::from_millis(1));
///     }
/// });
/// drop(engine);
/// ticker.join().unwrap();
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct EngineWeak(Weak<EngineInner>);

impl EngineWeak {
    /// Returns the engine, unless it is gone.
    pub fn upgrade(&self) -> Option<Engine> {
        self.0.upgrade().map(|inner| Engine { inner })
    }
}

impl Engine {
    /// Returns a reference that does not keep the engine alive.
    pub fn weak(&self) -> EngineWeak {
        EngineWeak(Arc::downgrade(&self.inner))
    }
}

impl fmt::Debug for EngineWeak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EngineWeak").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weak_references_do_not_keep_an_engine() {
        let engine = Engine::default();
        let weak = engine.weak();
        let upgraded = weak.clone().upgrade().unwrap();
        assert!(Engine::same(&engine, &upgraded));
        drop((engine, upgraded));
        assert!(weak.upgrade().is_none());
        assert!(EngineWeak::default().upgrade().is_none());
    }
}
