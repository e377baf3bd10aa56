//! [`Host`]: the data of a request's store, and [`Template`], which makes it.

use super::lines::{Kind, Lines};
use super::log::Log;
use crate::host::{HostOptions, HostParts};
use mintage::error::{Context, Result};
use mintage::{Engine, ResourceTable, Store, StoreLimits};
use mintage_wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};
use mintage_wasi_http::server::RequestInfo;
use mintage_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView, default_hooks};
use std::sync::Arc;

/// The data of a request's store.
pub(crate) struct Host {
    limits: StoreLimits,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    table: ResourceTable,
}

impl WasiView for Host {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

impl WasiHttpView for Host {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView {
            ctx: &mut self.http,
            table: &mut self.table,
            hooks: default_hooks(),
        }
    }
}

/// Makes the stores of requests.
pub(super) struct Template {
    parts: HostParts,
    http: WasiHttpCtx,
    pub limits: StoreLimits,
    fuel: Option<u64>,
    hostcall_fuel: Option<usize>,
    max_resources: Option<usize>,
    stdout: Option<Arc<Log>>,
    stderr: Option<Arc<Log>>,
}

impl Template {
    /// Opens the folders that the options name, and checks the other options. Output of guests goes
    /// to `log`.
    ///
    /// # Errors
    ///
    /// Like [`HostOptions::prepare`].
    pub fn new(
        options: &HostOptions,
        limits: StoreLimits,
        fuel: Option<u64>,
        log: &Arc<Log>,
    ) -> Result<Template> {
        let keys = options.keys();
        let output = |is_off: bool| (!is_off).then(|| log.clone());
        Ok(Template {
            parts: options.prepare()?,
            http: options.http()?,
            limits,
            fuel,
            hostcall_fuel: keys.hostcall_fuel,
            max_resources: keys.max_resources,
            stdout: output(keys.no_stdout),
            stderr: output(keys.no_stderr),
        })
    }

    /// Makes the store of a request.
    ///
    /// # Errors
    ///
    /// If the process has too many open files.
    pub fn store(&self, engine: &Engine, request: &RequestInfo) -> Result<Store<Host>> {
        self.store_numbered(engine, request.number)
    }

    /// Makes the store of a request with this number.
    ///
    /// # Errors
    ///
    /// As [`store`](Self::store).
    pub fn store_numbered(&self, engine: &Engine, number: u64) -> Result<Store<Host>> {
        let mut wasi = WasiCtxBuilder::new();
        self.parts.give(&mut wasi)?;
        if let Some(log) = &self.stdout {
            wasi.stdout(Lines::new(log, Kind::Output, number));
        }
        if let Some(log) = &self.stderr {
            wasi.stderr(Lines::new(log, Kind::Error, number));
        }
        let mut table = ResourceTable::new();
        if let Some(count) = self.max_resources {
            table.set_max_capacity(count);
        }
        let host = Host {
            limits: self.limits.clone(),
            wasi: wasi.build(),
            http: self.http.clone(),
            table,
        };
        let mut store = Store::new(engine, host);
        store.limiter(|host| &mut host.limits);
        if let Some(bytes) = self.hostcall_fuel {
            store.set_hostcall_fuel(bytes);
        }
        // An artifact may consume fuel although the user sets no limit.
        if self.fuel.is_some() || store.counts_fuel() {
            store
                .set_fuel(self.fuel.unwrap_or(u64::MAX))
                .context("the artifact does not consume fuel; compile it with `--consume-fuel`")?;
        }
        Ok(store)
    }
}
