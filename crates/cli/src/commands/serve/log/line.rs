//! The text of a line about a request.

use mintage_wasi_http::server::{Answer, Failure, RequestInfo};
use std::fmt::Write;
use std::time::{Duration, SystemTime};

/// The form of lines about requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// `TIME [NUMBER] PEER "METHOD TARGET VERSION" STATUS BYTES DURATION`
    Text,
    /// One JSON object per line
    Json,
}

/// Returns the line about a request that was answered.
pub(super) fn answered(
    format: Format,
    now: SystemTime,
    request: &RequestInfo,
    answer: Answer,
) -> String {
    let micros = answer.took.as_micros();
    match format {
        Format::Text => {
            let status = answer
                .status
                .map_or("-".into(), |status| status.as_u16().to_string());
            let end = if answer.is_complete {
                ""
            } else {
                " broken off"
            };
            format!(
                "{} [{}] {} \"{}\" {status} {} {}.{:03}ms{end}\n",
                time(now),
                request.number,
                peer(request),
                head(request),
                answer.bytes,
                micros / 1000,
                micros % 1000,
            )
        }
        Format::Json => {
            let mut line = json_head(now, request);
            // Writing to a string does not fail.
            let _ = match answer.status {
                Some(status) => write!(line, ",\"status\":{}", status.as_u16()),
                None => write!(line, ",\"status\":null"),
            };
            let _ = writeln!(
                line,
                ",\"bytes\":{},\"seconds\":{}.{:06},\"complete\":{}}}",
                answer.bytes,
                micros / 1_000_000,
                micros % 1_000_000,
                answer.is_complete
            );
            line
        }
    }
}

/// Returns the lines about a failure: with its causes and the backtrace of the guest.
pub(super) fn failed(
    format: Format,
    now: SystemTime,
    request: &RequestInfo,
    failure: &Failure,
) -> String {
    let mut text = failure.to_string();
    if let Some(error) = failure.error() {
        let described = crate::described(error);
        let _ = write!(text, "\n{}", described.trim_end());
    }
    match format {
        Format::Text => {
            let (time, number) = (time(now), request.number);
            format!("{time} [{number}] \"{}\" {text}\n", head(request))
        }
        Format::Json => format!(
            "{},\"failure\":{}}}\n",
            json_head(now, request),
            json(&text)
        ),
    }
}

fn json_head(now: SystemTime, request: &RequestInfo) -> String {
    format!(
        "{{\"time\":\"{}\",\"request\":{},\"peer\":{},\"method\":{},\"target\":{},\"version\":\
         \"{:?}\"",
        time(now),
        request.number,
        json(&peer(request)),
        json(request.method.as_str()),
        json(&request.uri.to_string()),
        request.version
    )
}

/// Returns the first line of a request. It has no control characters and no quotes.
fn head(request: &RequestInfo) -> String {
    let text = format!("{} {} {:?}", request.method, request.uri, request.version);
    let escape = |c: char| c.is_control() || c == '"' || c == '\\' || !c.is_ascii();
    match text.contains(escape) {
        true => text.escape_default().to_string(),
        false => text,
    }
}

fn peer(request: &RequestInfo) -> String {
    request.peer.map_or("-".into(), |peer| peer.to_string())
}

/// Returns a text as a string of JSON.
fn json(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted += "\\n",
            c if c < ' ' || c == '\u{7f}' => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted + "\""
}

/// Returns a time in UTC, as in RFC 3339.
fn time(now: SystemTime) -> String {
    let since = now.duration_since(SystemTime::UNIX_EPOCH);
    // A clock before 1970 has no better text.
    let since: Duration = since.unwrap_or_default();
    let (days, seconds) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    let (year, month, day) = date(days);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:03}Z",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60,
        since.subsec_millis()
    )
}

/// Returns the date that is so many days after 1970-01-01: year, month, day.
fn date(mut days: u64) -> (u64, u64, u64) {
    let is_leap = |year: u64| {
        let of = |count| year.is_multiple_of(count);
        (of(4) && !of(100)) || of(400)
    };
    // 400 years have the same number of days, wherever they begin.
    const ERA: u64 = 146_097;
    let mut year = 1970 + days / ERA * 400;
    days %= ERA;
    loop {
        let length = if is_leap(year) { 366 } else { 365 };
        if days < length {
            break;
        }
        days -= length;
        year += 1;
    }
    let february = if is_leap(year) { 29 } else { 28 };
    let lengths = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 0;
    while days >= lengths[month] {
        days -= lengths[month];
        month += 1;
    }
    (year, month as u64 + 1, days + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_calendar() {
        let at = |seconds: u64, millis| {
            SystemTime::UNIX_EPOCH + Duration::from_secs(seconds) + Duration::from_millis(millis)
        };
        for (seconds, millis, text) in [
            (0, 0, "1970-01-01T00:00:00.000Z"),
            (951_782_399, 999, "2000-02-28T23:59:59.999Z"),
            (951_782_400, 0, "2000-02-29T00:00:00.000Z"),
            (1_709_251_200, 5, "2024-03-01T00:00:00.005Z"),
            (4_107_542_400, 0, "2100-03-01T00:00:00.000Z"),
            (1_798_761_599, 0, "2026-12-31T23:59:59.000Z"),
            (16_725_225_600, 0, "2500-01-01T00:00:00.000Z"),
        ] {
            assert_eq!(time(at(seconds, millis)), text);
        }
    }

    #[test]
    fn texts_are_quoted() {
        assert_eq!(json("a\"b\\c\n\u{1}ä"), "\"a\\\"b\\\\c\\n\\u0001ä\"");
    }
}
