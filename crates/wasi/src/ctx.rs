//! [`WasiCtx`]: what a guest has of the host, and [`WasiView`]: where it is in a store's data.

use crate::cli::{StdinStream, StdoutStream, WasiCliCtx, WasiCliCtxView, WasiCliView};
use crate::clocks::{HostMonotonicClock, HostWallClock, WasiClocksCtx};
use crate::clocks::{WasiClocksCtxView, WasiClocksView};
use crate::fs::{DirPerms, FilePerms, Filesystem, SystemFilesystem, WasiFilesystemCtx};
use crate::fs::{WasiFilesystemCtxView, WasiFilesystemView};
use crate::net::{AllowList, SocketAddrUse, WasiSocketsCtx};
use crate::net::{WasiSocketsCtxView, WasiSocketsView};
use crate::random::{WasiRandomCtx, WasiRandomView};
use mintage::ResourceTable;
use rand_core::Rng;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;

/// What a guest has of the host. Made by a [`WasiCtxBuilder`].
#[derive(Debug)]
pub struct WasiCtx {
    pub(crate) cli: WasiCliCtx,
    pub(crate) clocks: WasiClocksCtx,
    pub(crate) filesystem: WasiFilesystemCtx,
    pub(crate) random: WasiRandomCtx,
    pub(crate) sockets: WasiSocketsCtx,
    max_resources: usize,
}

/// Resources take about 200 bytes each, so this is 20 MB.
const DEFAULT_MAX_RESOURCES: usize = 100_000;

impl Default for WasiCtx {
    fn default() -> Self {
        WasiCtx {
            cli: WasiCliCtx::default(),
            clocks: WasiClocksCtx::default(),
            filesystem: WasiFilesystemCtx::default(),
            random: WasiRandomCtx::default(),
            sockets: WasiSocketsCtx::default(),
            max_resources: DEFAULT_MAX_RESOURCES,
        }
    }
}

impl WasiCtx {
    /// Creates a builder.
    pub fn builder() -> WasiCtxBuilder {
        WasiCtxBuilder::new()
    }

    /// Returns the command line and the standard streams.
    pub fn cli(&mut self) -> &mut WasiCliCtx {
        &mut self.cli
    }

    /// Returns the clocks.
    pub fn clocks(&mut self) -> &mut WasiClocksCtx {
        &mut self.clocks
    }

    /// Returns the file systems.
    pub fn filesystem(&mut self) -> &mut WasiFilesystemCtx {
        &mut self.filesystem
    }

    /// Returns the random numbers.
    pub fn random(&mut self) -> &mut WasiRandomCtx {
        &mut self.random
    }

    /// Returns the sockets.
    pub fn sockets(&mut self) -> &mut WasiSocketsCtx {
        &mut self.sockets
    }
}

/// Makes a [`WasiCtx`]. By default a guest has nothing of the host: see [the crate](crate).
///
/// ```
/// use mintage_wasi::WasiCtxBuilder;
///
/// let ctx = WasiCtxBuilder::new()
///     .inherit_stdio()
///     .args(&["program", "--verbose"])
///     .env("LANG", "C")
///     .build();
/// # drop(ctx);
/// ```
#[derive(Debug, Default)]
pub struct WasiCtxBuilder {
    /// Made when something is set.
    ctx: Option<WasiCtx>,
    built: bool,
}

impl WasiCtxBuilder {
    /// Creates a builder.
    pub fn new() -> Self {
        Self::default()
    }

    fn ctx(&mut self) -> &mut WasiCtx {
        self.ctx.get_or_insert_default()
    }

    /// Sets the standard input; by default it is empty.
    pub fn stdin(&mut self, stdin: impl StdinStream + 'static) -> &mut Self {
        self.ctx().cli.stdin = Box::new(stdin);
        self
    }

    /// Sets the standard output; by default it is thrown away.
    pub fn stdout(&mut self, stdout: impl StdoutStream + 'static) -> &mut Self {
        self.ctx().cli.stdout = Box::new(stdout);
        self
    }

    /// Sets the standard error; by default it is thrown away.
    pub fn stderr(&mut self, stderr: impl StdoutStream + 'static) -> &mut Self {
        self.ctx().cli.stderr = Box::new(stderr);
        self
    }

    /// Makes the standard input that of the host's process.
    pub fn inherit_stdin(&mut self) -> &mut Self {
        self.stdin(std::io::stdin())
    }

    /// Makes the standard output that of the host's process.
    pub fn inherit_stdout(&mut self) -> &mut Self {
        self.stdout(std::io::stdout())
    }

    /// Makes the standard error that of the host's process.
    pub fn inherit_stderr(&mut self) -> &mut Self {
        self.stderr(std::io::stderr())
    }

    /// Makes the standard streams those of the host's process.
    pub fn inherit_stdio(&mut self) -> &mut Self {
        self.inherit_stdin().inherit_stdout().inherit_stderr()
    }

    /// Adds variables to the environment: names and values.
    pub fn envs(&mut self, env: &[(impl AsRef<str>, impl AsRef<str>)]) -> &mut Self {
        for (name, value) in env {
            self.env(name, value);
        }
        self
    }

    /// Adds a variable to the environment.
    pub fn env(&mut self, name: impl AsRef<str>, value: impl AsRef<str>) -> &mut Self {
        let variable = (name.as_ref().to_string(), value.as_ref().to_string());
        self.ctx().cli.environment.push(variable);
        self
    }

    /// Adds the environment of the host's process. Variables that are not valid UTF-8 are left out,
    /// since a guest cannot have them.
    pub fn inherit_env(&mut self) -> &mut Self {
        let variables = std::env::vars_os().filter_map(|(name, value)| {
            let (name, value) = (name.into_string().ok()?, value.into_string().ok()?);
            Some((name, value))
        });
        self.ctx().cli.environment.extend(variables);
        self
    }

    /// Adds arguments. The first one of all is the name of the program.
    pub fn args(&mut self, args: &[impl AsRef<str>]) -> &mut Self {
        for arg in args {
            self.arg(arg);
        }
        self
    }

    /// Adds an argument. The first one is the name of the program.
    pub fn arg(&mut self, arg: impl AsRef<str>) -> &mut Self {
        self.ctx().cli.arguments.push(arg.as_ref().to_string());
        self
    }

    /// Adds the arguments of the host's process.
    ///
    /// # Panics
    ///
    /// When one is not valid UTF-8.
    pub fn inherit_args(&mut self) -> &mut Self {
        self.ctx().cli.arguments.extend(std::env::args());
        self
    }

    /// Sets the directory in which the guest starts; by default there is none.
    pub fn initial_cwd(&mut self, path: impl AsRef<str>) -> &mut Self {
        self.ctx().cli.initial_cwd = Some(path.as_ref().to_string());
        self
    }

    /// Gives the guest a folder of the host, under the path `guest_path`; by default it has none.
    ///
    /// Nothing outside of the folder can be reached by paths in it. The permissions apply besides
    /// those that the process of the host has.
    ///
    /// ```
    /// use mintage_wasi::{DirPerms, FilePerms, WasiCtxBuilder};
    ///
    /// # fn main() -> mintage::Result<()> {
    /// let ctx = WasiCtxBuilder::new()
    ///     .preopened_dir("src", "/source", DirPerms::READ, FilePerms::READ)?
    ///     .preopened_dir(".", "/work", DirPerms::all(), FilePerms::all())?
    ///     .build();
    /// # drop(ctx);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// If `host_path` is not a folder that the host may open.
    pub fn preopened_dir(
        &mut self,
        host_path: impl AsRef<Path>,
        guest_path: impl AsRef<str>,
        dir_perms: DirPerms,
        file_perms: FilePerms,
    ) -> mintage::Result<&mut Self> {
        let host_path = host_path.as_ref();
        let folder = SystemFilesystem::open(host_path).map_err(|error| {
            mintage::Error::from(error)
                .context(format!("cannot open the folder `{}`", host_path.display()))
        })?;
        self.preopened_filesystem(&folder, guest_path, dir_perms, file_perms)
    }

    /// Gives the guest a file system, under the path `guest_path`: one in memory, for example, or
    /// one of the host's own. See [`Filesystem`].
    ///
    /// # Errors
    ///
    /// If the file system has no root.
    pub fn preopened_filesystem(
        &mut self,
        filesystem: &dyn Filesystem,
        guest_path: impl AsRef<str>,
        dir_perms: DirPerms,
        file_perms: FilePerms,
    ) -> mintage::Result<&mut Self> {
        let guest_path = guest_path.as_ref();
        self.ctx()
            .filesystem
            .preopen(filesystem, guest_path, dir_perms, file_perms)
            .map_err(|error| {
                mintage::Error::from(error)
                    .context(format!("cannot open the root of `{guest_path}`"))
            })?;
        Ok(self)
    }

    /// Sets how many files, directories and streams of them the guest may have open at a time,
    /// besides its preopened folders; default: 1024. What is beyond that fails with "too many open
    /// files".
    pub fn max_descriptors(&mut self, max: usize) -> &mut Self {
        self.ctx().filesystem.set_max_descriptors(max);
        self
    }

    /// Does nothing: files are always read and written on the thread of the guest, which is faster.
    pub fn allow_blocking_current_thread(&mut self, allow: bool) -> &mut Self {
        let _ = allow;
        self
    }

    /// Sets the source of secure random numbers; by default the system's.
    pub fn secure_random(&mut self, random: impl Rng + Send + 'static) -> &mut Self {
        self.ctx().random.random = Box::new(random);
        self
    }

    /// Sets the source of insecure random numbers.
    pub fn insecure_random(&mut self, random: impl Rng + Send + 'static) -> &mut Self {
        self.ctx().random.insecure_random = Box::new(random);
        self
    }

    /// Sets the seed that a guest gets for its hash tables.
    pub fn insecure_random_seed(&mut self, seed: u128) -> &mut Self {
        self.ctx().random.insecure_random_seed = Some(seed);
        self
    }

    /// Sets the most bytes of random numbers that a guest gets from one request; default: 64 MiB. A
    /// request for more traps.
    pub fn max_random_size(&mut self, bytes: u64) -> &mut Self {
        self.ctx().random.max_size = bytes;
        self
    }

    /// Sets the time of day; by default the system's.
    pub fn wall_clock(&mut self, clock: impl HostWallClock + 'static) -> &mut Self {
        self.ctx().clocks.wall = Box::new(clock);
        self
    }

    /// Sets the monotonic clock; by default the system's, from 0 on.
    pub fn monotonic_clock(&mut self, clock: impl HostMonotonicClock + 'static) -> &mut Self {
        self.ctx().clocks.monotonic = Box::new(clock);
        self
    }

    /// Allows the guest to use all addresses that the host's process can, by any protocol; by
    /// default none. [`allow_tcp`](Self::allow_tcp) and [`allow_udp`](Self::allow_udp) can exclude
    /// a protocol. Names are another matter:
    /// [`allow_ip_name_lookup`](Self::allow_ip_name_lookup).
    pub fn inherit_network(&mut self) -> &mut Self {
        self.ctx().sockets.rules.allow_all();
        self
    }

    /// Sets which addresses the guest may use, and what for; by default none.
    ///
    /// Of this, [`inherit_network`](Self::inherit_network) and
    /// [`socket_addr_check`](Self::socket_addr_check), the last one holds.
    pub fn socket_addr_list(&mut self, list: AllowList) -> &mut Self {
        self.ctx().sockets.rules.set_list(list);
        self
    }

    /// Sets a function that decides, each time that the guest uses an address, whether it may.
    ///
    /// ```
    /// use mintage_wasi::WasiCtxBuilder;
    /// use mintage_wasi::sockets::SocketAddrUse;
    ///
    /// let ctx = WasiCtxBuilder::new()
    ///     .socket_addr_check(|address, usage| {
    ///         let allowed = address.ip().is_loopback() || usage == SocketAddrUse::TcpBind;
    ///         Box::pin(async move { allowed })
    ///     })
    ///     .build();
    /// # drop(ctx);
    /// ```
    pub fn socket_addr_check<F>(&mut self, check: F) -> &mut Self
    where
        F: Fn(SocketAddr, SocketAddrUse) -> Pin<Box<dyn Future<Output = bool> + Send + Sync>>
            + Send
            + Sync
            + 'static,
    {
        self.ctx().sockets.rules.set_check(check);
        self
    }

    /// Sets whether the guest may look up the addresses of names; default: false.
    pub fn allow_ip_name_lookup(&mut self, enable: bool) -> &mut Self {
        self.ctx().sockets.rules.set_name_lookup(enable);
        self
    }

    /// Sets whether the guest may have UDP sockets. By default it may, unless only TCP is allowed
    /// by name. What it may do with them is up to
    /// [`inherit_network`](Self::inherit_network) and its like.
    pub fn allow_udp(&mut self, enable: bool) -> &mut Self {
        self.ctx().sockets.rules.set_udp(enable);
        self
    }

    /// Sets whether the guest may have TCP sockets. By default it may, unless only UDP is allowed
    /// by name. What it may do with them is up to
    /// [`inherit_network`](Self::inherit_network) and its like.
    pub fn allow_tcp(&mut self, enable: bool) -> &mut Self {
        self.ctx().sockets.rules.set_tcp(enable);
        self
    }

    /// Sets how many sockets the guest may have at a time; default: 1024. Accepted ones count as
    /// well. What is beyond that fails with "new socket limit".
    pub fn max_sockets(&mut self, max: usize) -> &mut Self {
        self.ctx().sockets.set_max_sockets(max);
        self
    }

    /// Sets how many names the guest may look up at a time; default: 8. What is beyond that fails
    /// for now.
    pub fn max_name_lookups(&mut self, max: usize) -> &mut Self {
        self.ctx().sockets.set_max_name_lookups(max);
        self
    }

    /// Sets the most resources that the guest may have in the host's table: streams, pollables,
    /// files, sockets and the like; default: 100,000. A request for one more fails. What else the
    /// host has in the table counts as well.
    pub fn max_resources(&mut self, resources: usize) -> &mut Self {
        self.ctx().max_resources = resources;
        self
    }

    /// Makes the context.
    ///
    /// # Panics
    ///
    /// When it has already been made.
    pub fn build(&mut self) -> WasiCtx {
        assert!(!self.built, "`WasiCtxBuilder::build` was called twice");
        self.built = true;
        self.ctx.take().unwrap_or_default()
    }
}

/// Data of a store that has a [`WasiCtx`] and a table of resources.
///
/// ```
/// use mintage_wasi::{ResourceTable, WasiCtx, WasiCtxView, WasiView};
///
/// struct Host {
///     ctx: WasiCtx,
///     table: ResourceTable,
/// }
///
/// impl WasiView for Host {
///     fn ctx(&mut self) -> WasiCtxView<'_> {
///         WasiCtxView { ctx: &mut self.ctx, table: &mut self.table }
///     }
/// }
/// ```
pub trait WasiView: Send {
    /// Returns the context and the table.
    fn ctx(&mut self) -> WasiCtxView<'_>;
}

impl<T: ?Sized + WasiView> WasiView for &mut T {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        T::ctx(self)
    }
}

impl<T: ?Sized + WasiView> WasiView for Box<T> {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        T::ctx(self)
    }
}

/// A context with the table that has the guest's resources.
#[derive(Debug)]
pub struct WasiCtxView<'a> {
    /// What the guest has of the host.
    pub ctx: &'a mut WasiCtx,
    /// The guest's resources: streams, pollables, files and sockets.
    pub table: &'a mut ResourceTable,
}

impl WasiCtxView<'_> {
    /// Limits the table to what the context allows. Every interface gets its view by way of this.
    fn limited(self) -> Self {
        let most = self.ctx.max_resources.min(self.table.max_capacity());
        self.table.set_max_capacity(most);
        self
    }
}

impl<T: WasiView> WasiCliView for T {
    fn cli(&mut self) -> WasiCliCtxView<'_> {
        let WasiCtxView { ctx, table } = self.ctx().limited();
        WasiCliCtxView {
            ctx: &mut ctx.cli,
            table,
        }
    }
}

impl<T: WasiView> WasiClocksView for T {
    fn clocks(&mut self) -> WasiClocksCtxView<'_> {
        let WasiCtxView { ctx, table } = self.ctx().limited();
        WasiClocksCtxView {
            ctx: &mut ctx.clocks,
            table,
        }
    }
}

impl<T: WasiView> WasiFilesystemView for T {
    fn filesystem(&mut self) -> WasiFilesystemCtxView<'_> {
        let WasiCtxView { ctx, table } = self.ctx().limited();
        WasiFilesystemCtxView {
            ctx: &mut ctx.filesystem,
            table,
        }
    }
}

impl<T: WasiView> WasiSocketsView for T {
    fn sockets(&mut self) -> WasiSocketsCtxView<'_> {
        let WasiCtxView { ctx, table } = self.ctx().limited();
        WasiSocketsCtxView {
            ctx: &mut ctx.sockets,
            table,
        }
    }
}

impl<T: WasiView> WasiRandomView for T {
    fn random(&mut self) -> &mut WasiRandomCtx {
        &mut self.ctx().ctx.random
    }
}

/// Returns the table of a store's data, limited to what the context allows.
pub(crate) fn table_of<T: WasiView>(data: &mut T) -> &mut ResourceTable {
    data.ctx().limited().table
}
