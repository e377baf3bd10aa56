//! The resource `request-options`.

use super::bindings::http::types::{HostRequestOptions, RequestOptionsError as OptionsErrorCode};
use super::error::RequestOptionsError;
use crate::convert::nanoseconds;
use crate::{RequestOptions, WasiHttpCtxView};
use mintage::{Resource, Result};
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

/// A value that is shared, and may be immutable. A mutable one is copied before it is changed.
#[derive(Debug)]
pub enum MaybeMutable<T> {
    /// It can be changed.
    Mutable(Arc<T>),
    /// It cannot be changed.
    Immutable(Arc<T>),
}

impl<T> MaybeMutable<T> {
    /// Makes a mutable value.
    pub fn new_mutable(value: impl Into<Arc<T>>) -> Self {
        MaybeMutable::Mutable(value.into())
    }

    /// Makes a mutable value that is the default.
    pub fn new_mutable_default() -> Self
    where
        T: Default,
    {
        Self::new_mutable(T::default())
    }

    /// Makes an immutable value.
    pub fn new_immutable(value: impl Into<Arc<T>>) -> Self {
        MaybeMutable::Immutable(value.into())
    }

    /// Returns the value.
    pub fn into_arc(self) -> Arc<T> {
        match self {
            MaybeMutable::Mutable(value) | MaybeMutable::Immutable(value) => value,
        }
    }

    /// Returns the value to change it, or `None` if it is immutable.
    pub fn get_mut(&mut self) -> Option<&mut T>
    where
        T: Clone,
    {
        match self {
            MaybeMutable::Mutable(value) => Some(Arc::make_mut(value)),
            MaybeMutable::Immutable(_) => None,
        }
    }
}

impl<T> Deref for MaybeMutable<T> {
    type Target = Arc<T>;

    fn deref(&self) -> &Arc<T> {
        match self {
            MaybeMutable::Mutable(value) | MaybeMutable::Immutable(value) => value,
        }
    }
}

impl<T> From<MaybeMutable<T>> for Arc<T> {
    fn from(value: MaybeMutable<T>) -> Self {
        value.into_arc()
    }
}

type Options = MaybeMutable<RequestOptions>;

impl WasiHttpCtxView<'_> {
    /// Returns one of the timeouts, in nanoseconds.
    fn timeout(
        &mut self,
        options: &Resource<Options>,
        timeout: impl FnOnce(&RequestOptions) -> Option<Duration>,
    ) -> Result<Option<u64>> {
        Ok(timeout(self.table.get(options)?).map(nanoseconds))
    }

    /// Sets one of the timeouts.
    fn set_timeout(
        &mut self,
        options: &Resource<Options>,
        value: Option<u64>,
        timeout: impl FnOnce(&mut RequestOptions) -> &mut Option<Duration>,
    ) -> Result<(), RequestOptionsError> {
        let options = self
            .table
            .get_mut(options)
            .map_err(RequestOptionsError::trap)?;
        let options = options.get_mut().ok_or(OptionsErrorCode::Immutable)?;
        *timeout(options) = value.map(Duration::from_nanos);
        Ok(())
    }
}

impl HostRequestOptions for WasiHttpCtxView<'_> {
    fn new(&mut self) -> Result<Resource<Options>> {
        Ok(self.table.push(Options::new_mutable_default())?)
    }

    fn get_connect_timeout(&mut self, options: Resource<Options>) -> Result<Option<u64>> {
        self.timeout(&options, |options| options.connect_timeout)
    }

    fn set_connect_timeout(
        &mut self,
        options: Resource<Options>,
        timeout: Option<u64>,
    ) -> Result<(), RequestOptionsError> {
        self.set_timeout(&options, timeout, |options| &mut options.connect_timeout)
    }

    fn get_first_byte_timeout(&mut self, options: Resource<Options>) -> Result<Option<u64>> {
        self.timeout(&options, |options| options.first_byte_timeout)
    }

    fn set_first_byte_timeout(
        &mut self,
        options: Resource<Options>,
        timeout: Option<u64>,
    ) -> Result<(), RequestOptionsError> {
        self.set_timeout(&options, timeout, |options| &mut options.first_byte_timeout)
    }

    fn get_between_bytes_timeout(&mut self, options: Resource<Options>) -> Result<Option<u64>> {
        self.timeout(&options, |options| options.between_bytes_timeout)
    }

    fn set_between_bytes_timeout(
        &mut self,
        options: Resource<Options>,
        timeout: Option<u64>,
    ) -> Result<(), RequestOptionsError> {
        self.set_timeout(&options, timeout, |options| {
            &mut options.between_bytes_timeout
        })
    }

    fn clone(&mut self, options: Resource<Options>) -> Result<Resource<Options>> {
        let options = Options::new_mutable(self.table.get(&options)?.deref().clone());
        Ok(self.table.push(options)?)
    }

    fn drop(&mut self, options: Resource<Options>) -> Result<()> {
        self.table.delete(options)?;
        Ok(())
    }
}
