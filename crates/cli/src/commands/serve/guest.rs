//! [`Loader`]: loads and links the component, explains one that cannot serve, and warms it up.

use super::host::{Host, Template};
use crate::cache::CacheOptions;
use crate::input::{Precompiled, Source};
use crate::load;
use crate::settings::{CodeSettings, Limits};
use http::Request;
use http::header::HOST;
use mintage::component::types::ComponentItem;
use mintage::error::{Context, Error, Result, bail, ensure};
use mintage::{Component, Config, Engine, LinkError, Linker, PoolConfig, Store};
use mintage_wasi_http::server::{MAX_KEPT_INSTANCES, ProxyPre, warm_up};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// The most slots for idle instances that are kept for each component.
const MAX_IDLE: u32 = 256;

/// Instances beyond those of requests: while a request ends, another may begin.
const SPARE: u32 = 64;

/// The interfaces of components that serve, without the last part of their versions.
const HANDLERS: [&str; 2] = ["wasi:http/handler@0.3.", "wasi:http/incoming-handler@0.2."];

/// The longest that the request of `--warm-up` may take if requests have no time-out.
const WARM_UP_TIME: Duration = Duration::from_secs(60);

/// Loads the component, at the start and when its file changes.
pub(super) struct Loader {
    pub source: Source,
    pub precompiled: Precompiled,
    pub limits: Limits,
    pub settings: CodeSettings,
    pub cache: CacheOptions,
    pub warm_up: Option<String>,
    /// The time-out of requests.
    pub timeout: Option<Duration>,
    pub max_requests: usize,
    /// Set if instances are kept for further requests.
    pub keeps_instances: bool,
    pub template: Arc<Template>,
}

impl Loader {
    /// Compiles or loads the component, links it, and warms it up.
    ///
    /// # Errors
    ///
    /// If it cannot be loaded or linked, does not serve, or its request of `--warm-up` fails.
    pub fn load(&self) -> Result<ProxyPre<Host>> {
        let mut config = Config::new();
        self.limits.apply(&mut config);
        let keys = self.settings.wasm_keys();
        let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX - SPARE);
        let kept = match self.keeps_instances {
            true => MAX_KEPT_INSTANCES,
            false => 0,
        };
        let instances = count(self.max_requests.saturating_add(kept)) + SPARE;
        let mut pool: PoolConfig = self.limits.pool();
        pool.total_component_instances(instances)
            .total_stacks(instances)
            .max_unused_warm_slots(instances.min(MAX_IDLE));
        config
            .pool(&pool)
            .interruptible(true)
            .epoch_interruption(true)
            .consume_fuel(keys.fuel.is_some())
            .wasm_backtrace_details(mintage::WasmBacktraceDetails::Enable);
        let cache = self.cache.open()?;
        let (app, source) = (self.source.app.display(), &self.source);
        let loaded = load::component(&config, &self.settings, source, &self.precompiled, cache)
            .map_err(|error| explain_settings(error, &self.source.app))?;
        check(&loaded.component, &self.source.app, loaded.is_module)?;
        let engine = loaded.component.engine();
        let mut linker = Linker::<Host>::new(engine);
        mintage_wasi::p2::add_to_linker_async(&mut linker)?;
        mintage_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
        mintage_wasi::p3::add_to_linker(&mut linker)?;
        mintage_wasi_http::p3::add_to_linker(&mut linker)?;
        let link = |component: &Component| -> Result<ProxyPre<Host>> {
            let pre = linker.instantiate_pre(component);
            let pre = pre.map_err(|error| explain_imports(error, &self.source.app))?;
            ProxyPre::new(pre).with_context(|| {
                format!("`{app}` exports another handler than that of `wasi:http` 0.2 or 0.3")
            })
        };
        let guest = link(&loaded.component)?;
        // An artifact has its own settings.
        self.store(engine)?
            .set_deadline(Duration::from_secs(60))
            .with_context(|| {
                format!("`{app}` cannot be interrupted; compile it with `--interruptible`")
            })?;
        let Some(path) = &self.warm_up else {
            return Ok(guest);
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let answer = |guest: &ProxyPre<Host>| -> Result<Component> {
            let request = Request::get(path.as_str()).header(HOST, "localhost");
            let request = request.body(String::new()).context("`--warm-up`")?;
            let mut store = self.store(engine)?;
            store.set_deadline(self.timeout.unwrap_or(WARM_UP_TIME))?;
            let (status, warm) = runtime.block_on(warm_up(guest, store, request))?;
            ensure!(
                !status.is_server_error(),
                "it answers the request for `{path}` by {status}"
            );
            Ok(warm)
        };
        let warm = answer(&guest)
            .with_context(|| format!("cannot warm up `{app}` by the request for `{path}`"))?;
        let warm = link(&warm)?;
        // The guest may be one that cannot do without the resources that it has lost.
        answer(&warm).with_context(|| {
            format!(
                "cannot warm up `{app}`: it answers the request for `{path}` once, and then fails \
                 in the state that it is left in"
            )
        })?;
        Ok(warm)
    }

    /// Makes the store of a guest that serves no client.
    fn store(&self, engine: &Engine) -> Result<Store<Host>> {
        let mut store = self.template.store_numbered(engine, 0)?;
        // It shares its thread with no one, so it need not yield.
        store.set_epoch_deadline(u64::MAX / 2);
        Ok(store)
    }
}

/// Fails for a component that does not serve, and says what it is.
fn check(component: &Component, app: &Path, is_module: bool) -> Result<()> {
    let (app, engine) = (app.display(), component.engine());
    let ty = component.component_type();
    let exports: Vec<(&str, bool)> = ty
        .exports(engine)
        .map(|(name, item)| {
            let is_instance = matches!(item.ty, ComponentItem::ComponentInstance(_));
            (name, is_instance)
        })
        .collect();
    let starts = |start: &str| exports.iter().any(|(name, _)| name.starts_with(start));
    if HANDLERS.iter().any(|handler| starts(handler)) {
        return Ok(());
    }
    if is_module {
        let advice = match starts("_start") {
            true => "it is a program, which `mintage run` runs",
            false => "`mintage run --invoke` calls its functions",
        };
        bail!(
            "`{app}` is a core module; expected a component that exports \
             `wasi:http/handler` or `wasi:http/incoming-handler`; {advice}"
        );
    }
    let advice = if exports.is_empty() {
        "it exports nothing".to_string()
    } else {
        let most = 5;
        let names: Vec<_> = exports
            .iter()
            .take(most)
            .map(|(name, _)| format!("`{name}`"))
            .collect();
        let more = match exports.len().saturating_sub(most) {
            0 => String::new(),
            count => format!(" and {count} more"),
        };
        let advice = match starts("wasi:cli/run@") {
            true => "it is a program, which `mintage run` runs",
            false => "`mintage run --invoke` calls its functions",
        };
        format!("it exports {}{more}; {advice}", names.join(", "))
    };
    bail!(
        "`{app}` exports neither `wasi:http/handler` of WASI 0.3 nor `wasi:http/incoming-handler` \
         of 0.2, so it cannot serve; {advice}"
    )
}

/// Adds to an error of an artifact how it is made for a server.
fn explain_settings(error: Error, app: &Path) -> Error {
    match format!("{error:#}").contains("`interruptible` = false") {
        true => error.context(format!(
            "`{}` cannot be interrupted; compile it with `--interruptible`",
            app.display()
        )),
        false => error,
    }
}

/// Adds to an error what provides the imports that are missing.
fn explain_imports(error: Error, app: &Path) -> Error {
    let app = app.display();
    let Some(link) = error.downcast_ref::<LinkError>() else {
        return error.context(format!("cannot link `{app}`"));
    };
    let all = |start: &str| {
        let mut names = link.imports().iter().map(|import| import.name());
        names.all(|name| name.starts_with(start))
    };
    let advice = if all(HANDLERS[0]) {
        "it is a middleware; add the component that handles its requests with `--plug FILE`"
    } else if all("wasi:") {
        "they are not in the part of WASI that this command has"
    } else {
        "add a component that implements an import with `--plug FILE`"
    };
    error.context(format!(
        "cannot link `{app}`: nothing provides some of its imports; {advice}"
    ))
}
