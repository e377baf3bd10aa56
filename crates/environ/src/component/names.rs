//! Versions in the names of interfaces.

use semver::Version;

/// Splits the name of an interface, `ns:pkg/iface@x.y.z`, into the part on which compatibility
/// depends, and the version. Names with the same first part are semver-compatible: it has the
/// version up to the first number that is not zero. `None` for names without version, with an
/// invalid one, or with a pre-release, which is compatible with itself only.
pub fn compatible_version(name: &str) -> Option<(String, Version)> {
    let (base, version) = name.split_once('@')?;
    let version = Version::parse(version).ok()?;
    if !version.pre.is_empty() {
        return None;
    }
    let key = match (version.major, version.minor, version.patch) {
        (0, 0, patch) => format!("{base}@0.0.{patch}"),
        (0, minor, _) => format!("{base}@0.{minor}"),
        (major, ..) => format!("{base}@{major}"),
    };
    Some((key, version))
}
