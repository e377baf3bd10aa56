//! The rules of fields.

use wasip2::http::types::{Fields, HeaderError};

/// Checks the rules, and returns what is left to compare.
pub fn check(case: &str) -> String {
    match case {
        "syntax" => syntax(),
        "order" => order(),
        "clone" => clones(),
        "long" => long(),
        _ => unreachable!(),
    }
    "ok".to_string()
}

fn syntax() {
    let fields = Fields::new();
    for name in ["", "a b", "a:", "ä", "a\n", "(", "a\0"] {
        assert!(matches!(fields.append(name, b"x"), Err(HeaderError::InvalidSyntax)), "{name}");
        assert!(matches!(fields.set(name, &[]), Err(HeaderError::InvalidSyntax)), "{name}");
        assert!(matches!(fields.delete(name), Err(HeaderError::InvalidSyntax)), "{name}");
        assert!(!fields.has(name) && fields.get(name).is_empty());
        let list = [(name.to_string(), b"x".to_vec())];
        assert!(matches!(Fields::from_list(&list), Err(HeaderError::InvalidSyntax)), "{name}");
    }
    for value in [&b"a\n"[..], b"\r", b"\0", b"\x7f"] {
        assert!(matches!(fields.append("a", value), Err(HeaderError::InvalidSyntax)));
        assert!(matches!(fields.set("a", &[value.to_vec()]), Err(HeaderError::InvalidSyntax)));
    }
    for name in [
        "connection", "Keep-Alive", "proxy-authenticate", "PROXY-authorization",
        "proxy-connection", "transfer-encoding", "upgrade", "host", "http2-settings",
    ] {
        assert!(matches!(fields.append(name, b"x"), Err(HeaderError::Forbidden)), "{name}");
        assert!(matches!(fields.set(name, &[b"x".to_vec()]), Err(HeaderError::Forbidden)));
        assert!(matches!(fields.delete(name), Err(HeaderError::Forbidden)), "{name}");
    }
    for length in ["", "+1", "-1", "1 ", "0x1", "18446744073709551616"] {
        let result = fields.append("content-length", length.as_bytes());
        assert!(matches!(result, Err(HeaderError::InvalidSyntax)), "{length}");
    }
    fields.append("content-length", b"18446744073709551615").unwrap();
    assert!(fields.append("Content-Length", b"5").is_err(), "there is one length");
    assert!(fields.set("content-length", &[b"5".to_vec(), b"5".to_vec()]).is_err());
    fields.set("content-length", &[b"5".to_vec()]).unwrap();
    assert_eq!(fields.entries(), [("content-length".to_string(), b"5".to_vec())]);
}

fn order() {
    let fields = Fields::from_list(&[
        ("B".to_string(), b"1".to_vec()),
        ("a".to_string(), b"2".to_vec()),
        ("b".to_string(), b"3".to_vec()),
    ])
    .unwrap();
    // Binary values, and one that is empty.
    fields.append("b", b"\x80\xff\t").unwrap();
    fields.append("a", b"").unwrap();
    assert_eq!(fields.get("b"), [&b"1"[..], b"3", b"\x80\xff\t"]);
    assert_eq!(fields.get("A"), [&b"2"[..], b""]);
    let entries = fields.entries();
    let names: Vec<&str> = entries.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["b", "b", "b", "a", "a"]);
    fields.set("B", &[b"4".to_vec(), b"5".to_vec()]).unwrap();
    assert_eq!(fields.get("b"), [b"4", b"5"]);
    fields.set("b", &[]).unwrap();
    assert!(!fields.has("b") && fields.has("a"));
    fields.delete("a").unwrap();
    fields.delete("a").unwrap();
    assert!(fields.entries().is_empty());
}

fn clones() {
    let fields = Fields::new();
    fields.append("a", b"1").unwrap();
    let clone = fields.clone();
    clone.append("a", b"2").unwrap();
    assert_eq!(fields.get("a"), [b"1"]);
    assert_eq!(clone.get("a"), [b"1", b"2"]);
    let response = wasip2::http::types::OutgoingResponse::new(fields);
    let headers = response.headers();
    assert!(matches!(headers.append("b", b"1"), Err(HeaderError::Immutable)));
    assert!(matches!(headers.set("b", &[]), Err(HeaderError::Immutable)));
    assert!(matches!(headers.delete("a"), Err(HeaderError::Immutable)));
    let clone = headers.clone();
    clone.append("b", b"1").unwrap();
    assert!(!headers.has("b"));
}

fn long() {
    // What is dropped counts no more.
    for _ in 0..100 {
        let fields = Fields::new();
        fields.append("long", &[b'x'; 100_000]).unwrap();
        assert_eq!(fields.get("long")[0].len(), 100_000);
        fields.delete("long").unwrap();
        fields.append("long", &[b'x'; 100_000]).unwrap();
    }
}
