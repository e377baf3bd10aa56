//! The resource `fields`.

use super::bindings::http::types::HostFields;
use super::error::{HeaderError, HeaderResult, header_error};
use crate::{FieldMap, WasiHttpCtxView};
use mintage::{Resource, Result};

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
        self.get_and_delete(fields, name).map(|_| ())
    }

    fn get_and_delete(
        &mut self,
        fields: Resource<FieldMap>,
        name: String,
    ) -> HeaderResult<Vec<Vec<u8>>> {
        let fields = self.table.get_mut(&fields).map_err(HeaderError::trap)?;
        let removed = fields.remove_all(self.hooks, name);
        let removed = removed.map_err(header_error)?.into_iter();
        Ok(removed.map(|value| value.as_bytes().to_vec()).collect())
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

    fn copy_all(&mut self, fields: Resource<FieldMap>) -> Result<Vec<(String, Vec<u8>)>> {
        Ok(self.table.get(&fields)?.entries())
    }

    fn clone(&mut self, fields: Resource<FieldMap>) -> Result<Resource<FieldMap>> {
        let fields = self.table.get(&fields)?.clone_counted(self.ctx.counts());
        Ok(self.table.push(fields)?)
    }

    fn drop(&mut self, fields: Resource<FieldMap>) -> Result<()> {
        self.table.delete(fields)?;
        Ok(())
    }
}
