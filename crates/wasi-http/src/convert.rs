//! Conversions between types of WIT, which each version of `wasi:http` has its own of, and those
//! of the crate `http`.

use http::uri::{Authority, PathAndQuery, Scheme, Uri};
use mintage::{Result, ensure, format_err};
use std::time::Duration;

/// Defines the conversions of `method` and `scheme` of one version.
macro_rules! conversions {
    ($($types:ident)::+) => {
        impl From<http::Method> for $($types)::+::Method {
            fn from(method: http::Method) -> Self {
                match method.as_str() {
                    "GET" => Self::Get,
                    "HEAD" => Self::Head,
                    "POST" => Self::Post,
                    "PUT" => Self::Put,
                    "DELETE" => Self::Delete,
                    "CONNECT" => Self::Connect,
                    "OPTIONS" => Self::Options,
                    "TRACE" => Self::Trace,
                    "PATCH" => Self::Patch,
                    other => Self::Other(other.to_string()),
                }
            }
        }

        impl TryFrom<$($types)::+::Method> for http::Method {
            type Error = http::method::InvalidMethod;

            fn try_from(
                method: $($types)::+::Method,
            ) -> std::result::Result<Self, Self::Error> {
                use $($types)::+::Method;
                Ok(match method {
                    Method::Get => http::Method::GET,
                    Method::Head => http::Method::HEAD,
                    Method::Post => http::Method::POST,
                    Method::Put => http::Method::PUT,
                    Method::Delete => http::Method::DELETE,
                    Method::Connect => http::Method::CONNECT,
                    Method::Options => http::Method::OPTIONS,
                    Method::Trace => http::Method::TRACE,
                    Method::Patch => http::Method::PATCH,
                    Method::Other(other) => http::Method::from_bytes(other.as_bytes())?,
                })
            }
        }

        impl From<&http::uri::Scheme> for $($types)::+::Scheme {
            fn from(scheme: &http::uri::Scheme) -> Self {
                match scheme.as_str() {
                    "http" => Self::Http,
                    "https" => Self::Https,
                    other => Self::Other(other.to_string()),
                }
            }
        }

        impl TryFrom<$($types)::+::Scheme> for http::uri::Scheme {
            type Error = mintage::Error;

            fn try_from(scheme: $($types)::+::Scheme) -> mintage::Result<Self> {
                use $($types)::+::Scheme;
                match scheme {
                    Scheme::Http => Ok(http::uri::Scheme::HTTP),
                    Scheme::Https => Ok(http::uri::Scheme::HTTPS),
                    Scheme::Other(other) => crate::convert::parse_scheme(&other),
                }
            }
        }
    };
}

pub(crate) use conversions;

/// Parses a scheme.
///
/// # Errors
///
/// If it is not a letter, and then letters, digits and `+-.`.
pub(crate) fn parse_scheme(text: &str) -> Result<Scheme> {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    ensure!(
        text.starts_with(|first: char| first.is_ascii_alphabetic()) && text.bytes().all(is_part),
        "the scheme {text:?} is invalid"
    );
    Ok(text.parse()?)
}

/// Parses an authority: perhaps a user, a host, and a port if there is a colon.
pub(crate) fn parse_authority(text: &str) -> Result<Authority> {
    let authority: Authority = text.parse()?;
    ensure!(!authority.host().is_empty(), "{text:?} has no host");
    let after_host = &text[text.rfind(['@', ']']).unwrap_or(0)..];
    ensure!(
        !after_host.contains(':') || authority.port_u16().is_some(),
        "the port of {text:?} is not a number"
    );
    Ok(authority)
}

/// Parses a path and a query, both of which may be empty. A path must begin with a slash, so that
/// it cannot become a part of the authority.
pub(crate) fn parse_path(text: &str) -> Result<PathAndQuery> {
    if text.is_empty() {
        return Ok(ROOT);
    }
    ensure!(
        text.starts_with(['/', '?']),
        "the path {text:?} begins with no slash"
    );
    ensure!(!text.contains('#'), "the path {text:?} has a fragment");
    let parsed = match text.starts_with('?') {
        true => format!("/{text}").parse(),
        false => text.parse(),
    };
    parsed.map_err(|error| format_err!("the path {text:?} is invalid: {error}"))
}

/// The path of a request that has none.
const ROOT: PathAndQuery = PathAndQuery::from_static("/");

/// Puts a URI together that a request can be sent to.
///
/// # Errors
///
/// If the authority has a user, which no sender may write (RFC 9110, section 4.2.4).
pub(crate) fn uri_to_send(
    scheme: Scheme,
    authority: Authority,
    path: Option<PathAndQuery>,
) -> Result<Uri> {
    ensure!(
        !authority.as_str().contains('@'),
        "the authority {authority} has a user"
    );
    let uri = Uri::builder().scheme(scheme).authority(authority);
    Ok(uri.path_and_query(path.unwrap_or(ROOT)).build()?)
}

/// Returns a timeout that was given in nanoseconds.
pub(crate) fn nanoseconds(timeout: Duration) -> u64 {
    u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::{parse_authority, uri_to_send};
    use http::uri::Scheme;

    #[test]
    fn no_user_is_sent() {
        for authority in ["u@a", "u:p@a:1", "@a"] {
            let authority = parse_authority(authority).unwrap();
            let error = uri_to_send(Scheme::HTTP, authority, None).unwrap_err();
            assert!(error.to_string().ends_with("has a user"), "{error}");
        }
        let uri = uri_to_send(Scheme::HTTP, parse_authority("a:1").unwrap(), None);
        assert_eq!(uri.unwrap(), "http://a:1/");
    }
}
