//! [`WasiHttpCtx`] and [`WasiHttpView`]: what a store has for `wasi:http`.

use crate::allow::{Destinations, ParseDestinationError};
#[cfg(feature = "default-send-request")]
use crate::client::Client;
use crate::counts::{Counts, Limits};
use crate::hooks::WasiHttpHooks;
use crate::p3::Released;
use http::Uri;
use mintage::{HasData, ResourceTable};
use std::sync::Arc;
use tokio::sync::oneshot::error::TryRecvError;

/// Names [`WasiHttpCtxView`] as what implements `wasi:http`, in the functions `add_to_linker` of
/// [bindings](crate::p2::bindings).
pub struct WasiHttp;

impl HasData for WasiHttp {
    type Data<'a> = WasiHttpCtxView<'a>;
}

/// The data of a store that has `wasi:http`.
///
/// ```
/// use mintage_wasi::ResourceTable;
/// use mintage_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView, default_hooks};
///
/// struct Host {
///     http: WasiHttpCtx,
///     table: ResourceTable,
/// }
///
/// impl WasiHttpView for Host {
///     fn http(&mut self) -> WasiHttpCtxView<'_> {
///         WasiHttpCtxView {
///             ctx: &mut self.http,
///             table: &mut self.table,
///             hooks: default_hooks(),
///         }
///     }
/// }
/// ```
pub trait WasiHttpView: Send {
    /// Returns the parts of the data that belong to `wasi:http`.
    fn http(&mut self) -> WasiHttpCtxView<'_>;
}

impl<T: WasiHttpView + ?Sized> WasiHttpView for &mut T {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        T::http(self)
    }
}

impl<T: WasiHttpView + ?Sized> WasiHttpView for Box<T> {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        T::http(self)
    }
}

/// The parts of a store's data that belong to `wasi:http`.
pub struct WasiHttpCtxView<'a> {
    /// What the host does its own way; [`default_hooks`](crate::default_hooks) if nothing.
    pub hooks: &'a mut dyn WasiHttpHooks,
    /// The resources of the guest.
    pub table: &'a mut ResourceTable,
    /// The limits of the guest, and where it may send requests to.
    pub ctx: &'a mut WasiHttpCtx,
}

impl WasiHttpCtxView<'_> {
    /// Limits the table to what the context allows. Every interface gets its view by way of this.
    pub(crate) fn limited(self) -> Self {
        let most = self.ctx.config().limits.resources;
        let most = most.min(self.table.max_capacity());
        self.table.set_max_capacity(most);
        self
    }
}

/// The limits of a guest, and where it may send requests to.
///
/// A host that serves requests clones one context for the store of each, which costs no allocation.
/// Clones share the client and the rules, but not what guests have used up of their limits.
///
/// ```
/// use mintage_wasi_http::WasiHttpCtx;
///
/// let mut ctx = WasiHttpCtx::new();
/// ctx.allow_destination("https://*.example.com")?;
/// ctx.set_max_outgoing_requests(8);
/// # Ok::<(), mintage_wasi_http::ParseDestinationError>(())
/// ```
#[derive(Debug)]
pub struct WasiHttpCtx {
    /// What the host has set, if anything.
    config: Option<Arc<Config>>,
    /// What the guest has. It is there once it is needed.
    counts: Option<Arc<Counts>>,
    /// Bodies of outgoing requests of 0.3 that may still need the store.
    sending: Vec<Released>,
}

/// What a host sets.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub limits: Limits,
    pub destinations: Destinations,
    #[cfg(feature = "default-send-request")]
    pub client: Option<Client>,
}

impl Config {
    const DEFAULT: Config = Config {
        limits: Limits::DEFAULT,
        destinations: Destinations::none(),
        #[cfg(feature = "default-send-request")]
        client: None,
    };
}

static DEFAULT: Config = Config::DEFAULT;

impl Clone for WasiHttpCtx {
    fn clone(&self) -> Self {
        WasiHttpCtx {
            config: self.config.clone(),
            ..Self::new()
        }
    }
}

impl Default for WasiHttpCtx {
    fn default() -> Self {
        Self::new()
    }
}

impl WasiHttpCtx {
    /// Creates a context with the default limits, which allows no outgoing requests.
    pub fn new() -> Self {
        WasiHttpCtx {
            config: None,
            counts: None,
            sending: Vec::new(),
        }
    }

    fn config(&self) -> &Config {
        self.config.as_deref().unwrap_or(&DEFAULT)
    }

    /// Returns what the host has set, to keep it for a request.
    #[cfg(feature = "default-send-request")]
    pub(crate) fn route(&self) -> Route {
        Route(self.config.clone())
    }

    fn config_mut(&mut self) -> &mut Config {
        // Counts have a copy of the limits.
        self.counts = None;
        Arc::make_mut(self.config.get_or_insert_with(|| Arc::new(Config::DEFAULT)))
    }

    pub(crate) fn counts(&mut self) -> &Arc<Counts> {
        let limits = self.config().limits;
        self.counts.get_or_insert_with(|| Counts::new(limits))
    }

    /// Notes the body of an outgoing request. The limits of requests and of bodies limit their
    /// number.
    pub(crate) fn note_sending(&mut self, body: Released) {
        self.sending
            .retain_mut(|body| matches!(body.try_recv(), Err(TryRecvError::Empty)));
        self.sending.push(body);
    }

    /// Takes the bodies of outgoing requests that may still need the store.
    #[cfg(feature = "server")]
    pub(crate) fn take_sending(&mut self) -> Vec<Released> {
        std::mem::take(&mut self.sending)
    }

    /// Returns whether the guest has bodies of 0.2 that it has not ended.
    #[cfg(feature = "server")]
    pub(crate) fn has_open_bodies(&self) -> bool {
        self.counts
            .as_ref()
            .is_some_and(|counts| counts.has_open_bodies())
    }

    /// Sets the most bytes of one `fields` that a guest makes. By default 128 KiB. Each name and
    /// each value counts [`FieldMap::OVERHEAD`](crate::FieldMap::OVERHEAD) more than it has. A
    /// guest that goes beyond traps.
    pub fn set_field_size_limit(&mut self, limit: usize) {
        self.config_mut().limits.field_size = limit;
    }

    /// Sets the most bytes of all `fields` together that a guest has made or received in responses.
    /// By default 4 MiB. A guest that makes more traps. A response with more fails with
    /// `HTTP-response-header-section-size`.
    pub fn set_total_field_size_limit(&mut self, limit: usize) {
        self.config_mut().limits.total_field_size = limit;
    }

    /// Sets the most outgoing bodies that are not sent yet. By default 128. Each keeps some memory:
    /// see [`WasiHttpHooks::p2_outgoing_body_chunk_size`]. A guest that makes more traps.
    pub fn set_max_outgoing_bodies(&mut self, max: usize) {
        self.config_mut().limits.outgoing_bodies = max;
    }

    /// Sets the most outgoing requests, from when they are handled until the response and its body
    /// are dropped. By default 128. Beyond that, guests get `connection-limit-reached`.
    pub fn set_max_outgoing_requests(&mut self, max: usize) {
        self.config_mut().limits.outgoing_requests = max;
    }

    /// Sets the most resources in the table, those of other interfaces included. By default
    /// 100,000.
    pub fn set_max_resources(&mut self, max: usize) {
        self.config_mut().limits.resources = max;
    }

    /// Sets where the guest may send requests to. By default nowhere: guests get
    /// `HTTP-request-denied`.
    pub fn set_destinations(&mut self, destinations: Destinations) {
        self.config_mut().destinations = destinations;
    }

    /// Allows requests to all destinations, those in the host's own network included.
    pub fn allow_all_destinations(&mut self) {
        self.set_destinations(Destinations::all());
    }

    /// Allows requests to a destination as well, for example `https://api.example.com` or
    /// `*.example.com:8443`: see [`Destinations`].
    ///
    /// # Errors
    ///
    /// If it cannot be parsed.
    pub fn allow_destination(&mut self, destination: &str) -> Result<(), ParseDestinationError> {
        self.config_mut()
            .destinations
            .allow(destination)
            .map(|_| ())
    }

    /// Allows requests to URIs for which `check` returns `true` as well.
    pub fn allow_destinations_if(&mut self, check: impl Fn(&Uri) -> bool + Send + Sync + 'static) {
        self.config_mut().destinations.allow_if(check);
    }

    /// Sets the client that sends requests. By default, it is [`Client::shared`].
    #[cfg(feature = "default-send-request")]
    pub fn set_client(&mut self, client: Client) {
        self.config_mut().client = Some(client);
    }
}

/// What a request of a guest brings along of its context.
#[cfg(feature = "default-send-request")]
#[derive(Clone)]
pub(crate) struct Route(Option<Arc<Config>>);

#[cfg(feature = "default-send-request")]
impl Route {
    pub fn config(&self) -> &Config {
        self.0.as_deref().unwrap_or(&DEFAULT)
    }
}
