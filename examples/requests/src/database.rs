//! The database: a map with the latency of a network.

use std::collections::HashMap;
use std::time::Duration;

/// Keys and values.
#[derive(Debug, Default)]
pub struct Database {
    values: HashMap<String, Vec<u8>>,
    latency: Duration,
}

impl Database {
    /// Creates a database whose answers take as long as `latency`.
    pub fn new(latency: Duration) -> Database {
        Database {
            values: HashMap::new(),
            latency,
        }
    }

    /// Sets the value of a key.
    pub fn insert(&mut self, key: &str, value: &[u8]) {
        self.values.insert(key.to_string(), value.to_vec());
    }

    /// Returns the value of a key. The key `never` is on a machine that does not answer.
    pub async fn get(&self, key: &str) -> Option<Vec<u8>> {
        if key == "never" {
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(self.latency).await;
        self.values.get(key).cloned()
    }
}
