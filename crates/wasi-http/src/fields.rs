//! [`FieldMap`]: headers and trailers with the rules of `wasi:http`.

use crate::WasiHttpHooks;
use crate::counts::Counts;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use smallvec::SmallVec;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// The headers that guests neither see nor set unless hooks say otherwise: those of one connection,
/// and `host`, which is the authority of a request.
pub const DEFAULT_FORBIDDEN_HEADERS: [HeaderName; 9] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    HeaderName::from_static("proxy-connection"),
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::HOST,
    HeaderName::from_static("http2-settings"),
];

/// The fields of a request, a response or a trailer. Clones share one map until one of them is
/// changed.
///
/// Fields that come from elsewhere, or belong to a request or a response, are immutable. Others
/// have a limit in bytes: of names, values, and [`OVERHEAD`](Self::OVERHEAD) for each of them.
///
/// ```
/// use mintage_wasi_http::{FieldMap, FieldMapError, default_hooks};
///
/// let mut fields = FieldMap::new_mutable(1000);
/// fields.append(default_hooks(), "Accept", b"text/html".to_vec())?;
/// assert_eq!(fields.get("accept").unwrap(), "text/html");
/// let host = fields.append(default_hooks(), "host", b"example.com".to_vec());
/// assert_eq!(host, Err(FieldMapError::Forbidden));
/// fields.set_immutable();
/// assert_eq!(fields.remove_all(default_hooks(), "accept"), Err(FieldMapError::Immutable));
/// # Ok::<(), FieldMapError>(())
/// ```
#[derive(Clone, Debug)]
pub struct FieldMap {
    map: Arc<Map>,
    /// The most bytes, or `None` if this is immutable.
    limit: Option<usize>,
    /// Counts the bytes of changed fields.
    counts: Option<Arc<Counts>>,
}

#[derive(Debug, Default)]
struct Map {
    headers: HeaderMap,
    /// In bytes.
    size: usize,
    /// Counts the bytes, if a guest has made or received them.
    counts: Option<Arc<Counts>>,
}

impl Clone for Map {
    fn clone(&self) -> Self {
        if let Some(counts) = &self.counts {
            counts.add_fields_unchecked(self.size);
        }
        Map {
            headers: self.headers.clone(),
            size: self.size,
            counts: self.counts.clone(),
        }
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        if let Some(counts) = &self.counts {
            counts.remove_fields(self.size);
        }
    }
}

impl Map {
    /// Makes room for fields: `removed` bytes go and `added` come.
    fn resize(&mut self, limit: usize, removed: usize, added: usize) -> Result<(), FieldMapError> {
        let size = self.size - removed + added;
        if size > limit {
            return Err(FieldMapError::TotalSizeTooBig);
        }
        if let Some(counts) = &self.counts {
            if size > self.size && !counts.add_fields(size - self.size) {
                return Err(FieldMapError::TotalSizeTooBig);
            }
            counts.remove_fields(self.size.saturating_sub(size));
        }
        self.size = size;
        Ok(())
    }

    /// Returns the bytes of a name and its values, 0 if there are none.
    fn size_of(&self, name: &HeaderName) -> usize {
        let values = self.headers.get_all(name).iter().map(value_size).sum();
        match values {
            0 => 0,
            values => values + name_size(name),
        }
    }
}

impl Default for FieldMap {
    /// Creates an empty map that is immutable.
    fn default() -> Self {
        FieldMap {
            map: Arc::default(),
            limit: None,
            counts: None,
        }
    }
}

impl FieldMap {
    /// The bytes that each name and each value counts besides its text.
    pub const OVERHEAD: usize = 40;

    /// Creates an immutable map, without the headers that the hooks forbid.
    pub fn new_immutable(hooks: &mut dyn WasiHttpHooks, mut headers: HeaderMap) -> Self {
        let names = headers.keys();
        let forbidden = names.filter(|name| hooks.is_forbidden_header(name));
        for name in forbidden.cloned().collect::<SmallVec<[HeaderName; 4]>>() {
            headers.remove(&name);
        }
        FieldMap {
            map: Arc::new(Map {
                size: size(&headers),
                headers,
                counts: None,
            }),
            limit: None,
            counts: None,
        }
    }

    /// Creates an empty map that takes `limit` bytes.
    pub fn new_mutable(limit: usize) -> Self {
        FieldMap {
            map: Arc::default(),
            limit: Some(limit),
            counts: None,
        }
    }

    /// Creates an empty map of a guest.
    pub(crate) fn new_counted(counts: &Arc<Counts>) -> Self {
        FieldMap {
            map: Arc::new(Map {
                headers: HeaderMap::new(),
                size: 0,
                counts: Some(counts.clone()),
            }),
            limit: Some(counts.limits.field_size),
            counts: Some(counts.clone()),
        }
    }

    /// Counts the bytes of fields that a guest receives.
    ///
    /// # Errors
    ///
    /// If the guest may not have so many.
    pub(crate) fn count(&mut self, counts: &Arc<Counts>) -> Result<(), FieldMapError> {
        match Arc::get_mut(&mut self.map) {
            Some(map) if map.counts.is_none() => {
                if !counts.add_fields(map.size) {
                    return Err(FieldMapError::TotalSizeTooBig);
                }
                map.counts = Some(counts.clone());
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Returns fields of a guest that are equal to these and can be changed.
    pub(crate) fn clone_counted(&self, counts: &Arc<Counts>) -> Self {
        FieldMap {
            map: self.map.clone(),
            limit: Some(counts.limits.field_size),
            counts: Some(counts.clone()),
        }
    }

    /// Sets the values of a name, in place of those that it has. Without values, it is removed.
    ///
    /// # Errors
    ///
    /// If the map is immutable or too large, the name or a value has a wrong syntax, or the name is
    /// forbidden. Then nothing has changed.
    pub fn set(
        &mut self,
        hooks: &mut dyn WasiHttpHooks,
        name: impl AsRef<str>,
        values: Vec<Vec<u8>>,
    ) -> Result<(), FieldMapError> {
        let name = parse_name(hooks, name.as_ref())?;
        if name == header::CONTENT_LENGTH && values.len() > 1 {
            return Err(FieldMapError::InvalidHeaderValue);
        }
        let values = values.into_iter().map(|value| parse_value(&name, value));
        let values = values.collect::<Result<Vec<_>, _>>()?;
        let (map, limit) = self.mutable()?;
        let removed = map.size_of(&name);
        if values.is_empty() {
            map.resize(limit, removed, 0)?;
            map.headers.remove(&name);
            return Ok(());
        }
        let added = values.iter().map(value_size).sum::<usize>() + name_size(&name);
        map.headers.try_reserve(values.len())?;
        map.resize(limit, removed, added)?;
        map.headers.remove(&name);
        for value in values {
            map.headers.try_append(name.clone(), value)?;
        }
        Ok(())
    }

    /// Removes all values of a name, and returns them.
    ///
    /// # Errors
    ///
    /// If the map is immutable, or the name has a wrong syntax or is forbidden.
    pub fn remove_all(
        &mut self,
        hooks: &mut dyn WasiHttpHooks,
        name: impl AsRef<str>,
    ) -> Result<Vec<HeaderValue>, FieldMapError> {
        let name = parse_name(hooks, name.as_ref())?;
        let (map, limit) = self.mutable()?;
        map.resize(limit, map.size_of(&name), 0)?;
        Ok(match map.headers.entry(name) {
            header::Entry::Occupied(entry) => entry.remove_entry_mult().1.collect(),
            header::Entry::Vacant(_) => Vec::new(),
        })
    }

    /// Adds a value of a name after those that it has, and returns whether it had any.
    ///
    /// # Errors
    ///
    /// As [`set`](Self::set).
    pub fn append(
        &mut self,
        hooks: &mut dyn WasiHttpHooks,
        name: impl AsRef<str>,
        value: Vec<u8>,
    ) -> Result<bool, FieldMapError> {
        let name = parse_name(hooks, name.as_ref())?;
        let value = parse_value(&name, value)?;
        let (map, limit) = self.mutable()?;
        let is_present = map.headers.contains_key(&name);
        if is_present && name == header::CONTENT_LENGTH {
            return Err(FieldMapError::InvalidHeaderValue);
        }
        let name_size = if is_present { 0 } else { name_size(&name) };
        map.headers.try_reserve(1)?;
        map.resize(limit, 0, name_size + value_size(&value))?;
        map.headers.try_append(name, value)?;
        Ok(is_present)
    }

    fn mutable(&mut self) -> Result<(&mut Map, usize), FieldMapError> {
        let limit = self.limit.ok_or(FieldMapError::Immutable)?;
        if let Some(counts) = &self.counts
            && self.map.counts.is_none()
        {
            if !counts.add_fields(self.map.size) {
                return Err(FieldMapError::TotalSizeTooBig);
            }
            self.map = Arc::new(Map {
                headers: self.map.headers.clone(),
                size: self.map.size,
                counts: Some(counts.clone()),
            });
        }
        Ok((Arc::make_mut(&mut self.map), limit))
    }

    /// Returns copies of the values of a name, none if it is not a name.
    pub(crate) fn values_of(&self, name: &str) -> Vec<Vec<u8>> {
        let Ok(name) = HeaderName::from_bytes(name.as_bytes()) else {
            return Vec::new();
        };
        let values = self.get_all(name).iter();
        values.map(|value| value.as_bytes().to_vec()).collect()
    }

    /// Returns whether there is a value of a name.
    pub(crate) fn has(&self, name: &str) -> bool {
        let name = HeaderName::from_bytes(name.as_bytes());
        name.is_ok_and(|name| self.contains_key(name))
    }

    /// Returns copies of all names and values.
    pub(crate) fn entries(&self) -> Vec<(String, Vec<u8>)> {
        self.iter()
            .map(|(name, value)| (name.as_str().to_string(), value.as_bytes().to_vec()))
            .collect()
    }

    /// Allows changes, up to `limit` bytes.
    pub fn set_mutable(&mut self, limit: usize) {
        self.limit = Some(limit);
    }

    /// Forbids changes.
    pub fn set_immutable(&mut self) {
        self.limit = None;
    }

    /// Returns the size in bytes, which limits apply to.
    pub fn size(&self) -> usize {
        self.map.size
    }
}

impl Deref for FieldMap {
    type Target = HeaderMap;

    fn deref(&self) -> &HeaderMap {
        &self.map.headers
    }
}

impl From<FieldMap> for HeaderMap {
    fn from(fields: FieldMap) -> HeaderMap {
        match Arc::try_unwrap(fields.map) {
            Ok(mut map) => std::mem::take(&mut map.headers),
            Err(shared) => shared.headers.clone(),
        }
    }
}

/// Returns the size of all names and values.
fn size(headers: &HeaderMap) -> usize {
    let names = headers.keys().map(name_size).sum::<usize>();
    names + headers.values().map(value_size).sum::<usize>()
}

fn name_size(name: &HeaderName) -> usize {
    name.as_str().len() + FieldMap::OVERHEAD
}

fn value_size(value: &HeaderValue) -> usize {
    value.len() + FieldMap::OVERHEAD
}

fn parse_name(hooks: &mut dyn WasiHttpHooks, name: &str) -> Result<HeaderName, FieldMapError> {
    let name = HeaderName::from_bytes(name.as_bytes())?;
    match hooks.is_forbidden_header(&name) {
        true => Err(FieldMapError::Forbidden),
        false => Ok(name),
    }
}

fn parse_value(name: &HeaderName, value: Vec<u8>) -> Result<HeaderValue, FieldMapError> {
    if *name == header::CONTENT_LENGTH && parse_content_length(&value).is_none() {
        return Err(FieldMapError::InvalidHeaderValue);
    }
    Ok(HeaderValue::try_from(value)?)
}

/// Parses the value of `content-length`: decimal digits and nothing else.
fn parse_content_length(value: &[u8]) -> Option<u64> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(value).ok()?.parse().ok()
}

/// Returns the value of `content-length`, or `None` if there is none.
///
/// # Errors
///
/// If it is not a number, or there are several.
pub(crate) fn content_length(headers: &HeaderMap) -> Result<Option<u64>, FieldMapError> {
    let mut values = headers.get_all(header::CONTENT_LENGTH).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => parse_content_length(value.as_bytes())
            .map(Some)
            .ok_or(FieldMapError::InvalidHeaderValue),
        _ => Err(FieldMapError::InvalidHeaderValue),
    }
}

/// The reason why a [`FieldMap`] was not changed.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub enum FieldMapError {
    /// The map is immutable.
    Immutable,
    /// The map has too many names, more than 24,576.
    TooManyFields,
    /// The map would be larger than its limit, or all fields of the guest together than theirs.
    TotalSizeTooBig,
    /// The name is not a name of a header.
    InvalidHeaderName,
    /// The value is not a value of a header, or not one of this header.
    InvalidHeaderValue,
    /// The name is forbidden.
    Forbidden,
}

impl fmt::Display for FieldMapError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FieldMapError::Immutable => "the fields are immutable",
            FieldMapError::TooManyFields => "there are too many fields",
            FieldMapError::TotalSizeTooBig => {
                "the fields are larger than `WasiHttpCtx::set_field_size_limit` or \
                 `set_total_field_size_limit` allow"
            }
            FieldMapError::InvalidHeaderName => "the name of the field is invalid",
            FieldMapError::InvalidHeaderValue => "the value of the field is invalid",
            FieldMapError::Forbidden => "the name of the field is forbidden",
        })
    }
}

impl std::error::Error for FieldMapError {}

impl From<header::MaxSizeReached> for FieldMapError {
    fn from(_: header::MaxSizeReached) -> Self {
        FieldMapError::TooManyFields
    }
}

impl From<header::InvalidHeaderName> for FieldMapError {
    fn from(_: header::InvalidHeaderName) -> Self {
        FieldMapError::InvalidHeaderName
    }
}

impl From<header::InvalidHeaderValue> for FieldMapError {
    fn from(_: header::InvalidHeaderValue) -> Self {
        FieldMapError::InvalidHeaderValue
    }
}
