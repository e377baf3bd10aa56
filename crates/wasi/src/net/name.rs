//! Names of hosts: which texts are names or addresses.
//!
//! The rules are those of hosts in URLs, without international names: these have to be in their
//! ASCII form, `xn--...`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What a guest looks up.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Name<'a> {
    /// There is nothing to look up.
    Address(IpAddr),
    Domain(&'a str),
}

/// The longest name of the domain name system, with a dot at the end.
const MAX_LENGTH: usize = 254;

impl<'a> Name<'a> {
    /// Parses a name. Returns `None` if it cannot be one.
    pub fn parse(text: &'a str) -> Option<Self> {
        if let Some(inside) = text.strip_prefix('[') {
            let address = inside.strip_suffix(']')?.parse().ok()?;
            return Some(Name::Address(IpAddr::V6(address)));
        }
        if let Ok(address) = text.parse::<Ipv6Addr>() {
            return Some(Name::Address(IpAddr::V6(address)));
        }
        let is_allowed = |byte: u8| byte.is_ascii_graphic() && !b"#%/:<>?@[\\]^|".contains(&byte);
        if text.is_empty() || text.len() > MAX_LENGTH || !text.bytes().all(is_allowed) {
            return None;
        }
        let labels = text.strip_suffix('.').unwrap_or(text);
        if labels
            .split('.')
            .any(|label| label.is_empty() || label.len() > 63)
        {
            return None;
        }
        match labels.rsplit('.').next().and_then(number) {
            Some(_) => Some(Name::Address(IpAddr::V4(ipv4(labels)?))),
            None if ends_in_digits(labels) => None,
            None => Some(Name::Domain(text)),
        }
    }
}

/// Returns whether the last label has nothing but digits, and so is no name.
fn ends_in_digits(labels: &str) -> bool {
    let last = labels.rsplit('.').next().unwrap_or_default();
    last.bytes().all(|byte| byte.is_ascii_digit())
}

/// Parses a number as C does: `0x` begins a hexadecimal one, and `0` an octal one.
fn number(text: &str) -> Option<u32> {
    let hexadecimal = text.strip_prefix("0x").or(text.strip_prefix("0X"));
    match (hexadecimal, text.strip_prefix('0')) {
        _ if text.contains('+') => None,
        (Some(""), _) | (None, Some("")) => Some(0),
        (Some(digits), _) => u32::from_str_radix(digits, 16).ok(),
        (None, Some(digits)) => u32::from_str_radix(digits, 8).ok(),
        (None, None) => text.parse().ok(),
    }
}

/// Parses an address of one to four numbers, of which the last one fills all remaining bytes.
fn ipv4(text: &str) -> Option<Ipv4Addr> {
    let mut numbers = Vec::new();
    for part in text.split('.') {
        if numbers.len() == 4 {
            return None;
        }
        numbers.push(number(part)?);
    }
    let last = numbers.pop()?;
    let mut address = 0;
    for (index, number) in numbers.iter().enumerate() {
        address |= u32::from(u8::try_from(*number).ok()?) << (24 - 8 * index);
    }
    let room = u32::MAX >> (8 * numbers.len());
    (last <= room).then(|| Ipv4Addr::from_bits(address | last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_names_or_addresses() {
        let address = |text: &str| Some(Name::Address(text.parse().unwrap()));
        let long = "a".repeat(64);
        let cases = [
            ("localhost", Some(Name::Domain("localhost"))),
            ("example.com", Some(Name::Domain("example.com"))),
            ("example.com.", Some(Name::Domain("example.com."))),
            ("xn--mnchen-3ya.de", Some(Name::Domain("xn--mnchen-3ya.de"))),
            ("_srv.a-b.c", Some(Name::Domain("_srv.a-b.c"))),
            ("1.2.3.4.com", Some(Name::Domain("1.2.3.4.com"))),
            ("127.0.0.1", address("127.0.0.1")),
            ("127.0.0.1.", address("127.0.0.1")),
            ("0.0.0.0", address("0.0.0.0")),
            ("127.1", address("127.0.0.1")),
            ("0x7f.1", address("127.0.0.1")),
            ("0177.0.0.01", address("127.0.0.1")),
            ("2130706433", address("127.0.0.1")),
            ("1.65536", address("1.1.0.0")),
            ("::", address("::")),
            ("::1", address("::1")),
            ("[::1]", address("::1")),
            ("2001:db8::5", address("2001:db8::5")),
            ("", None),
            (".", None),
            (" ", None),
            ("a..b", None),
            (".a", None),
            ("a b", None),
            ("a\0b", None),
            ("a.b<&>", None),
            ("127.0.0.1:80", None),
            ("[::1]:80", None),
            ("[::1", None),
            ("[127.0.0.1]", None),
            ("http://example.com/", None),
            ("localhost:80", None),
            ("user@host", None),
            ("256.0.0.1", None),
            ("1.2.3.4.5", None),
            ("1.2.3.256", None),
            ("1.16777216", None),
            ("4294967296", None),
            ("a.1", None),
            ("1.2.3.08", None),
            ("m\u{fc}nchen.de", None),
            (long.as_str(), None),
        ];
        for (text, expected) in cases {
            assert_eq!(Name::parse(text), expected, "{text:?}");
        }
        assert_eq!(Name::parse(&"a.".repeat(128)), None);
    }
}
