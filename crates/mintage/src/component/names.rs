//! Look-up of names with semver-compatible versions.

use hashbrown::HashMap;
use mintage_environ::component::compatible_version;
use semver::Version;

/// A map by name in which `ns:pkg/iface@x.y.z` is also found by a compatible version of itself.
///
/// An exact name comes first. Otherwise, of all compatible names the one of the highest version is
/// found.
#[derive(Clone)]
pub(crate) struct NameMap<V> {
    exact: HashMap<Box<str>, V>,
    /// From the name with the compatible part of its version to the full name of the highest such
    /// version.
    compatible: HashMap<String, (Version, Box<str>)>,
}

impl<V> Default for NameMap<V> {
    fn default() -> Self {
        Self {
            exact: HashMap::new(),
            compatible: HashMap::new(),
        }
    }
}

impl<V> NameMap<V> {
    /// The value of `name` or of a compatible name.
    pub fn get(&self, name: &str) -> Option<&V> {
        self.exact
            .get(name)
            .or_else(|| self.exact.get(self.full_name(name)?))
    }

    /// Returns the full name of the value that [`get`](Self::get) finds.
    pub fn full_name(&self, name: &str) -> Option<&str> {
        if let Some((name, _)) = self.exact.get_key_value(name) {
            return Some(name);
        }
        let (key, _) = compatible_version(name)?;
        Some(&self.compatible.get(&key)?.1)
    }

    /// Returns whether the names are equal but for semver-compatible versions.
    pub fn are_compatible(a: &str, b: &str) -> bool {
        a == b
            || match (compatible_version(a), compatible_version(b)) {
                (Some((a, _)), Some((b, _))) => a == b,
                _ => false,
            }
    }

    /// The value of exactly `name`.
    pub fn get_exact(&self, name: &str) -> Option<&V> {
        self.exact.get(name)
    }

    /// The value of exactly `name`, which is made when there is none.
    pub fn get_or_insert_with(&mut self, name: &str, value: impl FnOnce() -> V) -> &mut V {
        if !self.exact.contains_key(name) {
            self.set(name, value());
        }
        self.exact
            .get_mut(name)
            .expect("the value was just looked up or set")
    }

    /// Sets the value of `name`.
    pub fn set(&mut self, name: &str, value: V) {
        if let Some((key, version)) = compatible_version(name) {
            match self.compatible.get_mut(&key) {
                Some((highest, _)) if *highest > version => {}
                Some(entry) => *entry = (version, name.into()),
                None => {
                    self.compatible.insert(key, (version, name.into()));
                }
            }
        }
        self.exact.insert(name.into(), value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compatible_versions_are_found_and_others_are_not() {
        let mut names = NameMap::default();
        for name in [
            "a:b/c@1.0.0",
            "a:b/c@1.2.0",
            "a:b/c@1.1.0",
            "a:b/d@0.2.9",
            "a:b/e@0.0.3",
            "a:b/f@1.0.0-rc.1",
            "plain",
        ] {
            names.set(name, name);
        }
        for (name, found) in [
            ("a:b/c@1.0.0", Some("a:b/c@1.0.0")),
            ("a:b/c@1.1.7", Some("a:b/c@1.2.0")),
            ("a:b/c@1.9.0", Some("a:b/c@1.2.0")),
            ("a:b/c@2.0.0", None),
            ("a:b/c@1.0.0-rc.1", None),
            ("a:b/c", None),
            ("a:b/d@0.2.12", Some("a:b/d@0.2.9")),
            ("a:b/d@0.3.0", None),
            ("a:b/e@0.0.3", Some("a:b/e@0.0.3")),
            ("a:b/e@0.0.4", None),
            ("a:b/f@1.0.0-rc.1", Some("a:b/f@1.0.0-rc.1")),
            ("a:b/f@1.0.0", None),
            ("plain", Some("plain")),
            ("other", None),
        ] {
            assert_eq!(names.get(name).copied(), found, "{name}");
        }
    }
}
