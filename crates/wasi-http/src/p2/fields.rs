//! The resource `fields`, and what the interface `types` has besides resources.

use super::bindings::http::types::{ErrorCode, Host, HostFields};
use super::body::BodyError;
use super::error::{error_code, header_error};
use super::{HeaderError, HeaderResult, HttpError};
use crate::{Error, FieldMap, WasiHttpCtxView};
use mintage::{Resource, Result};
use mintage_wasi::p2::IoError;

/// Adds what a guest drops its resource by when it has children.
macro_rules! delete {
    ($view:expr, $resource:expr, $what:literal) => {
        mintage::error::Context::context(
            $view.table.delete($resource),
            concat!(
                "a resource `",
                $what,
                "` is dropped before what was made from it"
            ),
        )
    };
}
pub(super) use delete;

impl Host for WasiHttpCtxView<'_> {
    fn convert_error_code(&mut self, error: HttpError) -> Result<ErrorCode> {
        error.downcast()
    }

    fn convert_header_error(
        &mut self,
        error: HeaderError,
    ) -> Result<super::bindings::http::types::HeaderError> {
        error.downcast()
    }

    fn http_error_code(&mut self, error: Resource<IoError>) -> Result<Option<ErrorCode>> {
        let error = self.table.get(&error)?;
        if let Some(code) = error.downcast_ref::<ErrorCode>() {
            return Ok(Some(code.clone()));
        }
        let error = match error.downcast_ref::<BodyError>() {
            Some(error) => Some(&*error.0),
            None => error.downcast_ref::<Error>(),
        };
        Ok(error.map(|error| error_code(self.hooks, error)))
    }
}

impl HostFields for WasiHttpCtxView<'_> {
    fn new(&mut self) -> Result<Resource<FieldMap>> {
        let fields = FieldMap::new_counted(self.ctx.counts());
        Ok(self.table.push(fields)?)
    }

    fn from_list(&mut self, entries: Vec<(String, Vec<u8>)>) -> HeaderResult<Resource<FieldMap>> {
        let mut fields = FieldMap::new_counted(self.ctx.counts());
        for (name, value) in entries {
            let appended = fields.append(self.hooks, name, value);
            appended.map_err(header_error)?;
        }
        self.table.push(fields).map_err(HeaderError::trap)
    }

    fn get(&mut self, fields: Resource<FieldMap>, name: String) -> Result<Vec<Vec<u8>>> {
        Ok(self.table.get(&fields)?.values_of(&name))
    }

    fn has(&mut self, fields: Resource<FieldMap>, name: String) -> Result<bool> {
        Ok(self.table.get(&fields)?.has(&name))
    }

    fn set(
        &mut self,
        fields: Resource<FieldMap>,
        name: String,
        values: Vec<Vec<u8>>,
    ) -> HeaderResult<()> {
        let fields = self.table.get_mut(&fields).map_err(HeaderError::trap)?;
        fields.set(self.hooks, name, values).map_err(header_error)
    }

    fn delete(&mut self, fields: Resource<FieldMap>, name: String) -> HeaderResult<()> {
        let fields = self.table.get_mut(&fields).map_err(HeaderError::trap)?;
        let removed = fields.remove_all(self.hooks, name);
        removed.map(|_| ()).map_err(header_error)
    }

    fn append(
        &mut self,
        fields: Resource<FieldMap>,
        name: String,
        value: Vec<u8>,
    ) -> HeaderResult<()> {
        let fields = self.table.get_mut(&fields).map_err(HeaderError::trap)?;
        let appended = fields.append(self.hooks, name, value);
        appended.map(|_| ()).map_err(header_error)
    }

    fn entries(&mut self, fields: Resource<FieldMap>) -> Result<Vec<(String, Vec<u8>)>> {
        Ok(self.table.get(&fields)?.entries())
    }

    fn clone(&mut self, fields: Resource<FieldMap>) -> Result<Resource<FieldMap>> {
        let fields = self.table.get(&fields)?.clone_counted(self.ctx.counts());
        Ok(self.table.push(fields)?)
    }

    fn drop(&mut self, fields: Resource<FieldMap>) -> Result<()> {
        delete!(self, fields, "fields")?;
        Ok(())
    }
}
