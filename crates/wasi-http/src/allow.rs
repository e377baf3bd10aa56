//! [`Destinations`]: where guests may send requests to.

use http::Uri;
use http::uri::Scheme;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// A host's own rule.
type Check = Arc<dyn Fn(&Uri) -> bool + Send + Sync>;

/// The destinations of outgoing requests that a host allows. By default there are none.
///
/// A destination is `[SCHEME://]HOST[:PORT]`. Without a scheme, it allows `http` and `https`.
/// Without a port, it allows the default port of the scheme, and with `:*` all ports. `HOST` is a
/// name, an address (IPv6 in brackets), or `*.NAME` for all names that end in `.NAME`.
///
/// ```
/// use mintage_wasi_http::Destinations;
///
/// let mut destinations = Destinations::none();
/// destinations.allow("https://*.example.com")?.allow("http://[::1]:8080")?;
/// assert!(destinations.allows(&"https://api.example.com/v1".parse().unwrap()));
/// assert!(!destinations.allows(&"http://api.example.com/v1".parse().unwrap()));
/// assert!(!destinations.allows(&"https://api.example.com:22".parse().unwrap()));
/// assert!(destinations.allows(&"http://[::1]:8080/".parse().unwrap()));
/// # Ok::<(), mintage_wasi_http::ParseDestinationError>(())
/// ```
#[derive(Clone, Default)]
pub struct Destinations {
    all: bool,
    list: Vec<Destination>,
    checks: Vec<Check>,
}

impl Destinations {
    /// Allows nothing.
    pub const fn none() -> Self {
        Destinations {
            all: false,
            list: Vec::new(),
            checks: Vec::new(),
        }
    }

    /// Allows everything.
    pub fn all() -> Self {
        Destinations {
            all: true,
            ..Self::none()
        }
    }

    /// Allows a destination as well.
    ///
    /// # Errors
    ///
    /// If it cannot be parsed.
    pub fn allow(&mut self, destination: &str) -> Result<&mut Self, ParseDestinationError> {
        self.list.push(destination.parse()?);
        Ok(self)
    }

    /// Allows what `check` returns `true` for as well. It gets the URI of a request.
    pub fn allow_if(&mut self, check: impl Fn(&Uri) -> bool + Send + Sync + 'static) -> &mut Self {
        self.checks.push(Arc::new(check));
        self
    }

    /// Returns whether a request to `uri` is allowed.
    pub fn allows(&self, uri: &Uri) -> bool {
        self.all
            || self.list.iter().any(|destination| destination.matches(uri))
            || self.checks.iter().any(|check| check(uri))
    }
}

impl fmt::Debug for Destinations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Destinations")
            .field("all", &self.all)
            .field("list", &self.list)
            .field("checks", &self.checks.len())
            .finish()
    }
}

#[derive(Clone, Debug)]
struct Destination {
    scheme: Option<Scheme>,
    /// In lower case. All names that end in it, if it begins with a dot.
    host: String,
    port: Port,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Port {
    Default,
    All,
    One(u16),
}

impl Destination {
    fn matches(&self, uri: &Uri) -> bool {
        let (Some(scheme), Some(authority)) = (uri.scheme(), uri.authority()) else {
            return false;
        };
        let default = default_port(scheme);
        let port = authority.port_u16().or(default);
        let host = authority.host().trim_end_matches('.');
        self.scheme.as_ref().is_none_or(|own| own == scheme)
            && match self.port {
                Port::Default => default.is_some() && port == default,
                Port::All => true,
                Port::One(own) => port == Some(own),
            }
            && match self.host.starts_with('.') {
                // There is something before the dot.
                true => host.len() > self.host.len() && ends_with(host, &self.host),
                false => host.eq_ignore_ascii_case(&self.host),
            }
    }
}

fn ends_with(host: &str, end: &str) -> bool {
    let start = host.len() - end.len();
    host.as_bytes()[start..].eq_ignore_ascii_case(end.as_bytes())
}

/// Returns the default port of `http` and `https`.
pub(crate) fn default_port(scheme: &Scheme) -> Option<u16> {
    match scheme.as_str() {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    }
}

/// The error of a destination that cannot be parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseDestinationError(String);

impl fmt::Display for ParseDestinationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} is not a destination; expected `[SCHEME://]HOST[:PORT]`, such as \
             `https://api.example.com` or `*.example.com:8443`",
            self.0
        )
    }
}

impl std::error::Error for ParseDestinationError {}

impl FromStr for Destination {
    type Err = ParseDestinationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || ParseDestinationError(text.to_string());
        let (scheme, rest) = match text.split_once("://") {
            Some((scheme, rest)) => (Some(Scheme::try_from(scheme).map_err(|_| error())?), rest),
            None => (None, text),
        };
        let (host, port) = match rest.rsplit_once(':') {
            // A colon inside of brackets is part of the address.
            Some((host, port)) if !port.contains(']') => match port {
                "*" => (host, Port::All),
                port => (host, Port::One(port.parse().map_err(|_| error())?)),
            },
            _ => (rest, Port::Default),
        };
        let name = host.strip_prefix("*.").unwrap_or(host);
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        let is_valid = match name
            .strip_prefix('[')
            .and_then(|name| name.strip_suffix(']'))
        {
            Some(address) => name == host && address.parse::<std::net::Ipv6Addr>().is_ok(),
            None => !name.is_empty() && !name.starts_with('.') && name.bytes().all(is_name),
        };
        if !is_valid {
            return Err(error());
        }
        let host = host.strip_prefix('*').unwrap_or(host);
        Ok(Destination {
            scheme,
            host: host.trim_end_matches('.').to_ascii_lowercase(),
            port,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destinations_are_matched() {
        let allows = |destination: &str, uri: &str| {
            let mut destinations = Destinations::none();
            destinations.allow(destination).unwrap();
            destinations.allows(&uri.parse().unwrap())
        };
        assert!(allows("example.com", "http://example.com/"));
        assert!(allows("Example.com", "https://EXAMPLE.COM./x?y"));
        assert!(!allows("example.com", "https://example.com:444/"));
        assert!(allows("example.com:*", "https://example.com:444/"));
        assert!(allows("example.com:443", "https://example.com/"));
        assert!(!allows("example.com:443", "http://example.com/"));
        assert!(!allows("example.com", "http://example.com.evil.org/"));
        assert!(!allows("example.com", "http://notexample.com/"));
        assert!(!allows("example.com", "http://example.com@evil.org/"));
        assert!(!allows("*.example.com", "http://example.com/"));
        assert!(!allows("*.example.com", "http://notexample.com/"));
        assert!(!allows("*.example.com", "http://.example.com/"));
        assert!(allows("*.example.com", "http://a.b.example.com/"));
        assert!(allows("[::1]:80", "http://[::1]/"));
        assert!(!allows("127.0.0.1", "http://127.0.0.2/"));
        assert!(!Destinations::none().allows(&"http://a/".parse().unwrap()));
        assert!(Destinations::all().allows(&"http://a/".parse().unwrap()));
        let mut own = Destinations::none();
        own.allow_if(|uri| uri.path().starts_with("/public/"));
        assert!(own.allows(&"http://a/public/x".parse().unwrap()));
        assert!(!own.allows(&"http://a/private/x".parse().unwrap()));
    }

    #[test]
    fn destinations_that_make_no_sense_are_errors() {
        for text in [
            "",
            "*",
            "*.",
            "https://",
            "a b",
            "a:x",
            "a:70000",
            "[::1",
            "[x]",
            "*.[::1]",
            "a/b",
            "user@a",
            "http://a/",
            "..",
        ] {
            let error = Destinations::none().allow(text).unwrap_err();
            assert!(error.to_string().contains("is not a destination"), "{text}");
        }
    }
}
