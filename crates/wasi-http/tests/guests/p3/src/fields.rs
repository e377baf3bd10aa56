//! Fields, options and requests that are not sent.

use crate::{no_trailers, text};
use wasip3::http::types::{
    Fields, HeaderError, Method, Request, RequestOptions, RequestOptionsError, Response, Scheme,
};

fn assert_immutable(fields: &Fields) {
    let is_immutable = |error| matches!(error, HeaderError::Immutable);
    assert!(fields.append("a", b"1").is_err_and(is_immutable));
    assert!(fields.set("a", &[b"1".to_vec()]).is_err_and(is_immutable));
    assert!(fields.delete("a").is_err_and(is_immutable));
    assert!(fields.get_and_delete("a").is_err_and(is_immutable));
}

pub fn fields(request: &Request) -> Response {
    let fields = Fields::new();
    fields.append("Accept", b"text/html").unwrap();
    fields.append("accept", b"*/*").unwrap();
    assert_eq!(
        fields.get("ACCEPT"),
        [b"text/html".to_vec(), b"*/*".to_vec()]
    );
    assert!(fields.has("accept") && !fields.has("other") && !fields.has("not a name"));
    assert!(fields.get("not a name").is_empty());
    fields.set("accept", &[b"1".to_vec()]).unwrap();
    let copy = fields.clone();
    assert_eq!(fields.get_and_delete("accept").unwrap(), [b"1".to_vec()]);
    assert!(fields.get_and_delete("accept").unwrap().is_empty());
    fields.delete("accept").unwrap();
    assert!(fields.copy_all().is_empty());
    assert_eq!(copy.copy_all(), [("accept".to_string(), b"1".to_vec())]);
    copy.append("accept", b"2").unwrap();

    let is_invalid = |error| matches!(error, HeaderError::InvalidSyntax);
    let is_forbidden = |error| matches!(error, HeaderError::Forbidden);
    assert!(fields.append("not a name", b"1").is_err_and(is_invalid));
    assert!(fields.append("a", b"1\r\nb: 2").is_err_and(is_invalid));
    assert!(
        fields
            .append("content-length", b"many")
            .is_err_and(is_invalid)
    );
    for name in ["Host", "connection", "Transfer-Encoding", "upgrade"] {
        assert!(fields.append(name, b"1").is_err_and(is_forbidden), "{name}");
        let list = [(name.to_string(), b"1".to_vec())];
        assert!(Fields::from_list(&list).is_err_and(is_forbidden));
    }

    // Those of messages are immutable, and their clones are not.
    assert_immutable(&request.get_headers());
    request.get_headers().clone().append("a", b"1").unwrap();
    let (response, _) = Response::new(copy, None, no_trailers());
    assert_immutable(&response.get_headers());
    let (request, _) = Request::new(Fields::new(), None, no_trailers(), None);
    assert_immutable(&request.get_headers());
    text(200, "ok\n")
}

/// Grows fields beyond the limits of the host.
pub fn limits() -> Response {
    let is_too_large = |error| matches!(error, HeaderError::SizeExceeded);
    let fields = Fields::new();
    let value = vec![b'x'; 10_000];
    let mut count = 0;
    while fields
        .append("a", &value)
        .map_err(|error| assert!(is_too_large(error)))
        .is_ok()
    {
        count += 1;
    }
    assert!(fields.set("b", &[value.clone()]).is_err_and(is_too_large));
    assert_eq!(fields.get("a").len(), count);
    let mut copies = vec![fields];
    // All fields together have a limit as well.
    let many = loop {
        let fields = Fields::new();
        if fields.append("a", &value).is_err() {
            break copies.len();
        }
        copies.push(fields);
    };
    text(200, &format!("{count} {many}\n"))
}

pub fn options() -> Response {
    let options = RequestOptions::new();
    assert_eq!(options.get_connect_timeout(), None);
    options.set_connect_timeout(Some(1)).unwrap();
    options.set_first_byte_timeout(Some(u64::MAX)).unwrap();
    options.set_between_bytes_timeout(Some(3)).unwrap();
    let copy = options.clone();
    copy.set_connect_timeout(None).unwrap();
    assert_eq!(options.get_connect_timeout(), Some(1));
    assert_eq!(options.get_first_byte_timeout(), Some(u64::MAX));
    let (request, _) = Request::new(Fields::new(), None, no_trailers(), Some(options));
    let options = request.get_options().unwrap();
    assert_eq!(options.get_between_bytes_timeout(), Some(3));
    let changed = options.set_connect_timeout(None);
    assert!(matches!(changed, Err(RequestOptionsError::Immutable)));
    let (request, _) = Request::new(Fields::new(), None, no_trailers(), None);
    assert!(request.get_options().is_none());
    text(200, "ok\n")
}

pub fn requests() -> Response {
    let (request, _) = Request::new(Fields::new(), None, no_trailers(), None);
    assert!(matches!(request.get_method(), Method::Get));
    assert_eq!(request.get_path_with_query(), None);
    assert!(request.get_scheme().is_none() && request.get_authority().is_none());
    request.set_method(&Method::Other("BREW".into())).unwrap();
    assert!(matches!(request.get_method(), Method::Other(name) if name == "BREW"));
    request.set_method(&Method::Other("POST".into())).unwrap();
    assert!(matches!(request.get_method(), Method::Post));
    request
        .set_scheme(Some(&Scheme::Other("coap+tcp".into())))
        .unwrap();
    request.set_authority(Some("example.com:80")).unwrap();
    for path in ["a/b", "../..", "?a", "@evil.org/", "*", "//", "/a?b"] {
        request.set_path_with_query(Some(path)).unwrap();
        assert_eq!(request.get_path_with_query().as_deref(), Some(path));
    }
    for method in ["", "a b", "a\r\n"] {
        request
            .set_method(&Method::Other(method.into()))
            .unwrap_err();
    }
    for scheme in ["", "1a", "a/b", "a b"] {
        request
            .set_scheme(Some(&Scheme::Other(scheme.into())))
            .unwrap_err();
    }
    for authority in ["user@a", "user:pass@a", "a:1", "[::1]:1"] {
        request.set_authority(Some(authority)).unwrap();
        assert_eq!(request.get_authority().as_deref(), Some(authority));
    }
    request.set_authority(Some("example.com:80")).unwrap();
    for authority in ["", "a b", "user@", "user@a:x", "a:x", "a/b", "a:99999"] {
        request.set_authority(Some(authority)).unwrap_err();
    }
    for path in ["/a#b", "#", "a b", "//a b", "a\r\nb"] {
        request.set_path_with_query(Some(path)).unwrap_err();
    }
    assert_eq!(request.get_authority().as_deref(), Some("example.com:80"));
    assert_eq!(request.get_path_with_query().as_deref(), Some("/a?b"));
    request.set_path_with_query(None).unwrap();
    assert_eq!(request.get_path_with_query(), None);

    let (response, _) = Response::new(Fields::new(), None, no_trailers());
    assert_eq!(response.get_status_code(), 200);
    for status in [0, 99, 600, 999, 1000, 65535] {
        response.set_status_code(status).unwrap_err();
    }
    // It is an error to send this one.
    response.set_status_code(100).unwrap();
    response.set_status_code(418).unwrap();
    assert_eq!(response.get_status_code(), 418);
    text(200, "ok\n")
}
