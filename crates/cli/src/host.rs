//! Options for what a guest has of the host: folders, environment, network.
//!
//! [`HostOptions`] are what the user has written. [`HostOptions::prepare`] opens and checks what
//! they name, once; the result gives it to any number of guests.

use crate::WrongUsage;
use crate::groups::{Group, Key, Pair, PairParser, number, store, switch, value};
use mintage::error::{Error, Result, bail};
use mintage_wasi::WasiCtxBuilder;
use mintage_wasi::filesystem::{DirPerms, FilePerms, SystemFilesystem};
use mintage_wasi::sockets::{AddressRange, AllowList};
use mintage_wasi_http::{Destinations, WasiHttpCtx};
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Options for what a guest has of the host: nothing, unless they say otherwise.
#[derive(clap::Args, Debug)]
pub(crate) struct HostOptions {
    /// Give the program a folder: HOST is its path here, GUEST the one that the program sees (by
    /// default the same); `:ro` at the end makes it read-only; can be given several times
    #[arg(long = "dir", value_name = "HOST[::GUEST][:ro]")]
    dirs: Vec<Preopen>,

    /// Set an environment variable, or with the name alone pass it on; can be given several times
    #[arg(long = "env", value_name = "NAME[=VALUE]")]
    env: Vec<Variable>,

    /// Pass on all environment variables; `--env` adds to them
    #[arg(long)]
    inherit_env: bool,

    /// The folder in which the program starts: a path as it sees it
    #[arg(long, value_name = "GUEST")]
    cwd: Option<String>,

    /// Let the program use all addresses of the network
    #[arg(long)]
    inherit_network: bool,

    /// Let the program connect by TCP to these addresses: `127.0.0.1:80`, `10.0.0.0/8:*`,
    /// `[::1]:8000-8999`; can be given several times
    #[arg(long, value_name = "ADDR", value_parser = AddressRange::from_str)]
    tcp_connect: Vec<AddressRange>,

    /// Let the program accept connections by TCP at these addresses; can be given several times
    #[arg(long, value_name = "ADDR", value_parser = AddressRange::from_str)]
    tcp_listen: Vec<AddressRange>,

    /// Let the program send to these addresses by UDP; can be given several times
    #[arg(long, value_name = "ADDR", value_parser = AddressRange::from_str)]
    udp_connect: Vec<AddressRange>,

    /// Let the program receive at these addresses by UDP; can be given several times
    #[arg(long, value_name = "ADDR", value_parser = AddressRange::from_str)]
    udp_listen: Vec<AddressRange>,

    /// Let the program send HTTP requests to this destination: `https://api.example.com`,
    /// `*.example.com:8443`; can be given several times
    #[arg(long, value_name = "DEST", value_parser = destination)]
    http_connect: Vec<String>,

    /// Let the program look up the addresses of names
    #[arg(long)]
    allow_ip_name_lookup: bool,

    /// More keys: `-S inherit-env,cwd=/`; `-S help` lists them
    #[arg(
        short = 'S',
        long = "wasi",
        value_name = "KEY[=VALUE]",
        value_delimiter = ',',
        value_parser = PairParser(&WASI)
    )]
    wasi: Vec<Pair>,
}

/// Checks a destination of HTTP requests.
fn destination(text: &str) -> Result<String, String> {
    let mut destinations = Destinations::default();
    match destinations.allow(text) {
        Ok(_) => Ok(text.into()),
        Err(error) => Err(error.to_string()),
    }
}

/// A folder for the program.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Preopen {
    host: PathBuf,
    guest: String,
    is_read_only: bool,
}

impl FromStr for Preopen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (text, is_read_only) = match text.strip_suffix(":ro") {
            Some(text) => (text, true),
            None => (text, false),
        };
        let (host, guest) = text.split_once("::").unwrap_or((text, text));
        if host.is_empty() || guest.is_empty() {
            return Err("expected HOST or HOST::GUEST, both of which are paths of folders".into());
        }
        Ok(Preopen {
            host: host.into(),
            guest: guest.into(),
            is_read_only,
        })
    }
}

/// An environment variable.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Variable {
    name: String,
    /// `None` for the one of this process.
    value: Option<String>,
}

impl FromStr for Variable {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value.to_string())),
            None => (text, None),
        };
        if name.is_empty() {
            return Err("the name is missing: write NAME=VALUE, or NAME to pass it on".into());
        }
        Ok(Variable {
            name: name.into(),
            value,
        })
    }
}

/// The keys of `-S`.
#[derive(Debug, Default)]
pub(crate) struct WasiKeys {
    inherit_env: bool,
    inherit_network: bool,
    name_lookup: bool,
    tcp: Option<bool>,
    udp: Option<bool>,
    pub no_stdin: bool,
    pub no_stdout: bool,
    pub no_stderr: bool,
    cwd: Option<String>,
    max_random_size: Option<u64>,
    pub max_resources: Option<usize>,
    pub hostcall_fuel: Option<usize>,
    max_fields_size: Option<usize>,
}

static WASI: Group<WasiKeys> = Group {
    letter: 'S',
    keys: &[
        Key {
            name: "inherit-env",
            value: "[=y|n]",
            doc: "the same as --inherit-env",
            set: |keys, text| store(&mut keys.inherit_env, switch(text)),
        },
        Key {
            name: "inherit-network",
            value: "[=y|n]",
            doc: "the same as --inherit-network",
            set: |keys, text| store(&mut keys.inherit_network, switch(text)),
        },
        Key {
            name: "allow-ip-name-lookup",
            value: "[=y|n]",
            doc: "the same as --allow-ip-name-lookup",
            set: |keys, text| store(&mut keys.name_lookup, switch(text)),
        },
        Key {
            name: "tcp",
            value: "[=y|n]",
            doc: "let the program have TCP sockets (on)",
            set: |keys, text| store(&mut keys.tcp, switch(text).map(Some)),
        },
        Key {
            name: "udp",
            value: "[=y|n]",
            doc: "let the program have UDP sockets (on)",
            set: |keys, text| store(&mut keys.udp, switch(text).map(Some)),
        },
        Key {
            name: "inherit-stdin",
            value: "[=y|n]",
            doc: "pass on standard input (on)",
            set: |keys, text| store(&mut keys.no_stdin, switch(text).map(|on| !on)),
        },
        Key {
            name: "inherit-stdout",
            value: "[=y|n]",
            doc: "pass on standard output (on)",
            set: |keys, text| store(&mut keys.no_stdout, switch(text).map(|on| !on)),
        },
        Key {
            name: "inherit-stderr",
            value: "[=y|n]",
            doc: "pass on standard error (on)",
            set: |keys, text| store(&mut keys.no_stderr, switch(text).map(|on| !on)),
        },
        Key {
            name: "cwd",
            value: "=GUEST",
            doc: "the same as --cwd GUEST",
            set: |keys, text| {
                store(
                    &mut keys.cwd,
                    value(text, |text| Ok(text.to_string())).map(Some),
                )
            },
        },
        Key {
            name: "max-random-size",
            value: "=BYTES",
            doc: "most random bytes that one request returns",
            set: |keys, text| store(&mut keys.max_random_size, value(text, number).map(Some)),
        },
        Key {
            name: "max-resources",
            value: "=N",
            doc: "most resources that the program has at a time",
            set: |keys, text| store(&mut keys.max_resources, value(text, number).map(Some)),
        },
        Key {
            name: "hostcall-fuel",
            value: "=BYTES",
            doc: "most bytes that one call passes to the host",
            set: |keys, text| store(&mut keys.hostcall_fuel, value(text, number).map(Some)),
        },
        Key {
            name: "max-http-fields-size",
            value: "=BYTES",
            doc: "most bytes of one set of headers that the program makes",
            set: |keys, text| store(&mut keys.max_fields_size, value(text, number).map(Some)),
        },
        Key {
            name: "threads",
            value: "=n",
            doc: "not supported",
            set: |_, text| refuse(text, "threads of WASI are not supported"),
        },
        Key {
            name: "nn",
            value: "=n",
            doc: "not supported",
            set: |_, text| refuse(text, "neural networks of WASI are not supported"),
        },
        Key {
            name: "listenfd",
            value: "=n",
            doc: "not supported",
            set: |_, text| refuse(text, "sockets that are passed on are not supported"),
        },
    ],
    // What a program imports decides which interfaces it gets.
    ignored: &[
        "cli",
        "common",
        "http",
        "cli-exit-with-code",
        "preview0",
        "preview2",
        "p3",
    ],
};

/// Fails for a switch that is on, with the reason.
fn refuse(value: Option<&str>, reason: &str) -> Result<(), String> {
    match switch(value) {
        Ok(false) => Ok(()),
        _ => Err(reason.to_string()),
    }
}

impl HostOptions {
    /// Returns the keys of `-S`.
    pub(crate) fn keys(&self) -> WasiKeys {
        WASI.collect(&self.wasi)
    }

    /// Opens the folders that the options name, and checks the other options.
    ///
    /// # Errors
    ///
    /// Fails if a folder cannot be opened, if two folders have one name, or if a variable is not
    /// there or not valid UTF-8.
    pub(crate) fn prepare(&self) -> Result<HostParts> {
        let keys = self.keys();
        Ok(HostParts {
            environment: self.environment(&keys)?,
            cwd: self.cwd.clone().or_else(|| keys.cwd.clone()),
            folders: self.folders()?,
            network: match self.inherit_network || keys.inherit_network {
                true => Network::All,
                false => self.network(),
            },
            name_lookup: self.allow_ip_name_lookup || keys.name_lookup,
            tcp: keys.tcp,
            udp: keys.udp,
            max_random_size: keys.max_random_size,
        })
    }

    /// Makes what a guest has for HTTP requests of its own.
    ///
    /// # Errors
    ///
    /// Fails if a destination is not one, which the parser has found already.
    pub(crate) fn http(&self) -> Result<WasiHttpCtx> {
        let keys = self.keys();
        let mut http = WasiHttpCtx::new();
        if self.inherit_network || keys.inherit_network {
            http.allow_all_destinations();
        }
        if let Some(bytes) = keys.max_fields_size {
            http.set_field_size_limit(bytes);
        }
        for destination in &self.http_connect {
            http.allow_destination(destination)?;
        }
        Ok(http)
    }

    fn environment(&self, keys: &WasiKeys) -> Result<Vec<(String, String)>> {
        // A later value of a name replaces an earlier one.
        let mut variables: Vec<(String, String)> = Vec::new();
        let mut set = |name: String, value: String| match variables
            .iter_mut()
            .find(|(other, _)| *other == name)
        {
            Some((_, old)) => *old = value,
            None => variables.push((name, value)),
        };
        if self.inherit_env || keys.inherit_env {
            for (name, value) in std::env::vars_os() {
                // A program cannot have one that is not valid UTF-8.
                if let (Ok(name), Ok(value)) = (name.into_string(), value.into_string()) {
                    set(name, value);
                }
            }
        }
        for Variable { name, value } in &self.env {
            let value = match value {
                Some(value) => value.clone(),
                None => inherited(name)?,
            };
            set(name.clone(), value);
        }
        Ok(variables)
    }

    fn network(&self) -> Network {
        let mut list = AllowList::new();
        for range in &self.tcp_connect {
            list.tcp_connect(range.clone());
        }
        for range in &self.tcp_listen {
            list.tcp_listen(range.clone());
        }
        for range in &self.udp_connect {
            list.udp_connect(range.clone());
        }
        for range in &self.udp_listen {
            list.udp_listen(range.clone());
        }
        match list == AllowList::new() {
            true => Network::None,
            false => Network::List(list),
        }
    }

    fn folders(&self) -> Result<Vec<Folder>> {
        let mut folders = Vec::new();
        for (i, dir) in self.dirs.iter().enumerate() {
            let Preopen {
                host,
                guest,
                is_read_only,
            } = dir;
            if let Some(other) = self.dirs[..i].iter().find(|other| other.guest == *guest) {
                bail!(WrongUsage(format!(
                    "`--dir` gives the program `{guest}` twice, as `{}` and as `{}`; name one of \
                     them otherwise with `--dir HOST::GUEST`",
                    other.host.display(),
                    host.display()
                )));
            }
            let opened = SystemFilesystem::open(host).map_err(|error| {
                let cannot = format!("cannot open the folder `{}`", host.display());
                explain_folder(Error::from(error).context(cannot), host)
            })?;
            folders.push(Folder {
                opened,
                guest: guest.clone(),
                is_read_only: *is_read_only,
            });
        }
        Ok(folders)
    }
}

/// Resources of the host that guests get, opened and checked.
#[derive(Debug)]
pub(crate) struct HostParts {
    environment: Vec<(String, String)>,
    cwd: Option<String>,
    folders: Vec<Folder>,
    network: Network,
    name_lookup: bool,
    tcp: Option<bool>,
    udp: Option<bool>,
    max_random_size: Option<u64>,
}

/// The addresses that guests may use.
#[derive(Debug)]
enum Network {
    None,
    List(AllowList),
    All,
}

/// A folder that is open.
#[derive(Debug)]
struct Folder {
    opened: SystemFilesystem,
    guest: String,
    is_read_only: bool,
}

impl HostParts {
    /// Gives a guest what there is.
    ///
    /// # Errors
    ///
    /// Fails if the system has no more file descriptors.
    pub(crate) fn give(&self, builder: &mut WasiCtxBuilder) -> Result<()> {
        builder.envs(&self.environment);
        if let Some(cwd) = &self.cwd {
            builder.initial_cwd(cwd);
        }
        for folder in &self.folders {
            let (dirs, files) = match folder.is_read_only {
                true => (DirPerms::READ, FilePerms::READ),
                false => (DirPerms::all(), FilePerms::all()),
            };
            builder.preopened_filesystem(&folder.opened, &folder.guest, dirs, files)?;
        }
        match &self.network {
            Network::None => {}
            Network::List(list) => _ = builder.socket_addr_list(list.clone()),
            Network::All => _ = builder.inherit_network(),
        }
        builder.allow_ip_name_lookup(self.name_lookup);
        if let Some(allow) = self.tcp {
            builder.allow_tcp(allow);
        }
        if let Some(allow) = self.udp {
            builder.allow_udp(allow);
        }
        if let Some(bytes) = self.max_random_size {
            builder.max_random_size(bytes);
        }
        Ok(())
    }
}

/// Adds advice to the error of a folder that cannot be opened.
fn explain_folder(error: Error, host: &Path) -> Error {
    let advice = match std::fs::metadata(host) {
        Ok(metadata) if !metadata.is_dir() => {
            "it is a file; `--dir` takes the folder that has it".to_string()
        }
        Err(_) if host.to_string_lossy().contains(':') => format!(
            "`--dir` is written HOST::GUEST, so `{}` is all of the path here",
            host.display()
        ),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            "the folder does not exist; create it first".to_string()
        }
        _ => return error.context(format!("`--dir {}`", host.display())),
    };
    error.context(format!("`--dir {}`: {advice}", host.display()))
}

/// Returns the value of a variable of this process.
fn inherited(name: &str) -> Result<String> {
    match std::env::var(name) {
        Ok(value) => Ok(value),
        Err(std::env::VarError::NotPresent) => {
            bail!("`--env {name}`: the variable is not set here; write `--env {name}=VALUE`")
        }
        Err(std::env::VarError::NotUnicode(_)) => {
            bail!("`--env {name}`: the value is not valid UTF-8, which a program cannot have")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_parsed() {
        let preopen = |host: &str, guest: &str, is_read_only| {
            Ok(Preopen {
                host: host.into(),
                guest: guest.into(),
                is_read_only,
            })
        };
        for (text, expected) in [
            (".", preopen(".", ".", false)),
            ("a/b", preopen("a/b", "a/b", false)),
            ("a::b", preopen("a", "b", false)),
            ("a:ro", preopen("a", "a", true)),
            ("a::/:ro", preopen("a", "/", true)),
            ("a:b::c", preopen("a:b", "c", false)),
            ("a::b::c", preopen("a", "b::c", false)),
        ] {
            assert_eq!(text.parse(), expected, "{text}");
        }
        for text in ["", "::", "a::", "::b", ":ro"] {
            assert!(text.parse::<Preopen>().is_err(), "{text}");
        }
    }

    #[test]
    fn variables_are_parsed() {
        for (text, name, value) in [
            ("A=1", "A", Some("1")),
            ("A=", "A", Some("")),
            ("A=b=c", "A", Some("b=c")),
            ("A", "A", None),
        ] {
            let expected = Variable {
                name: name.into(),
                value: value.map(Into::into),
            };
            assert_eq!(text.parse(), Ok(expected), "{text}");
        }
        for text in ["", "=1"] {
            assert!(text.parse::<Variable>().is_err(), "{text}");
        }
    }
}
