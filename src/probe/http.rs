//! As much of an HTTP/1.1 client as a question needs: one request on a connection of its own, an answer of bounded
//! size. It follows nothing and keeps nothing.

use std::time::Instant;

use super::Fault;
use super::stream;
use crate::config::probe::Place;

/// Largest head of an answer, in bytes.
const HEAD_BYTES_MAX: usize = 32 * 1024;
/// Largest answer, in bytes.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// What is asked for.
#[derive(Debug)]
pub(super) struct Request<'a> {
    /// Where.
    pub(super) place: &'a Place,
    /// `GET`.
    pub(super) method: &'a str,
    /// `/health`.
    pub(super) path: &'a str,
    /// Beside those that every request has; each with its value and the end of its line.
    pub(super) headers: &'a str,
    /// May be empty.
    pub(super) body: &'a str,
}

/// What came back.
#[derive(Debug)]
pub(super) struct Answer {
    /// 200.
    pub(super) status: u16,
    /// Status line and headers.
    head: String,
    /// Without its chunks.
    pub(super) body: Vec<u8>,
}

impl Answer {
    /// Whether it says yes.
    pub(super) const fn is_good(&self) -> bool {
        matches!(self.status, 200..=299)
    }

    /// The value of a header.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        header(&self.head, name)
    }
}

/// Asks for a page: 2xx is well.
pub(super) fn get(place: &Place, path: &str, by: Instant) -> Result<(), Fault> {
    let request = Request { place, method: "GET", path, headers: "Accept: */*\r\n", body: "" };
    // The body says no more than the status.
    let answer = exchange(&request, by, &|_| true)?;
    if answer.is_good() { Ok(()) } else { Err(Fault::said(format!("answered {}", answer.status))) }
}

/// Sends a request and reads the answer, until its end or until its body is `enough`.
pub(super) fn exchange(
    request: &Request<'_>,
    by: Instant,
    enough: &dyn Fn(&[u8]) -> bool,
) -> Result<Answer, Fault> {
    let Request { place, method, path, headers, body } = request;
    let host = match place {
        Place::Net(..) => place.to_string(),
        Place::Socket(_) => "localhost".to_owned(),
    };
    let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    let text = format!(
        "{method} {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: mcp-init/{}\r\nConnection: close\r\n\
         {headers}{length}\r\n{body}",
        env!("CARGO_PKG_VERSION")
    );
    let mut stream = stream::connect(place, by)?;
    stream.send(text.as_bytes(), by)?;
    let mut received = Vec::new();
    let mut bytes = [0; 4096];
    loop {
        let count = stream.receive(&mut bytes, by)?;
        received.extend_from_slice(bytes.get(..count).unwrap_or_default());
        let at_end = count == 0 || received.len() > ANSWER_BYTES_MAX;
        if let Some(answer) = understand(&received, at_end, enough)? {
            return Ok(answer);
        }
        if at_end {
            return Err(Fault::said(if received.is_empty() {
                "closed the connection without an answer"
            } else {
                "broke off its answer"
            }));
        }
    }
}

/// The answer, once there is enough of it.
fn understand(
    received: &[u8],
    at_end: bool,
    enough: &dyn Fn(&[u8]) -> bool,
) -> Result<Option<Answer>, Fault> {
    let garbage = || Fault::said("answered something that is no HTTP");
    let start = b"HTTP/1.";
    if !received.iter().zip(start).all(|(one, other)| one == other) {
        return Err(garbage());
    }
    let Some(end) = received.windows(4).position(|window| window == b"\r\n\r\n") else {
        return if received.len() > HEAD_BYTES_MAX { Err(garbage()) } else { Ok(None) };
    };
    let (head, rest) = received.split_at(end);
    let head = String::from_utf8_lossy(head).into_owned();
    let status = head.split([' ', '\r']).nth(1).and_then(|word| word.parse().ok()).ok_or_else(garbage)?;
    let rest = rest.get(4..).unwrap_or_default();
    // An interim answer is followed by the one that counts.
    if (100..200).contains(&status) {
        return understand(rest, at_end, enough);
    }
    let (body, whole) = if header(&head, "transfer-encoding").is_some_and(|how| how.contains("chunked")) {
        joined(rest)
    } else {
        let length = header(&head, "content-length").and_then(|length| length.parse::<usize>().ok());
        let none = matches!(status, 204 | 304);
        (
            rest.to_vec(),
            none || length.is_some_and(|length| rest.len() >= length) || (length.is_none() && at_end),
        )
    };
    if whole || enough(&body) {
        return Ok(Some(Answer { status, head, body }));
    }
    Ok(None)
}

/// The value of a header.
fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut pairs = head.lines().skip(1).filter_map(|line| line.split_once(':'));
    pairs.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}

/// Chunks put together, and whether the last one is among them.
fn joined(mut rest: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    loop {
        let Some(end) = rest.windows(2).position(|window| window == b"\r\n") else { return (body, false) };
        let (line, after) = rest.split_at(end);
        let digits = line.split(|byte| *byte == b';').next().unwrap_or_default();
        let size =
            std::str::from_utf8(digits).ok().and_then(|text| usize::from_str_radix(text.trim(), 16).ok());
        let Some(size) = size else { return (body, false) };
        if size == 0 {
            return (body, true);
        }
        let chunk = after.get(2..).unwrap_or_default();
        body.extend_from_slice(chunk.get(..size.min(chunk.len())).unwrap_or_default());
        let Some(next) = chunk.get(size.saturating_add(2)..) else { return (body, false) };
        rest = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, at_end: bool) -> Result<Option<(u16, String)>, Fault> {
        let answer = understand(text.as_bytes(), at_end, &|body| body.ends_with(b"enough"))?;
        Ok(answer.map(|answer| (answer.status, String::from_utf8(answer.body).unwrap())))
    }

    #[test]
    fn an_answer_is_read_in_every_form_it_may_have() {
        let ok = |body: &str| Ok(Some((200, body.to_owned())));
        assert_eq!(read("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", false), ok("hi"));
        assert_eq!(read("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi", false), Ok(None));
        assert_eq!(read("HTTP/1.0 200 OK\r\n\r\nhi", false), Ok(None));
        assert_eq!(read("HTTP/1.0 200 OK\r\n\r\nhi", true), ok("hi"));
        let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
        assert_eq!(read(&format!("{chunked}2\r\nhi\r\n3;x=y\r\n yo\r\n0\r\n\r\n"), false), ok("hi yo"));
        assert_eq!(read(&format!("{chunked}2\r\nhi\r\n3\r\n y"), false), Ok(None));
        assert_eq!(read(&format!("{chunked}6\r\nenough\r\n"), false), ok("enough"));
        assert_eq!(
            read("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No\r\n\r\n", false),
            Ok(Some((204, String::new())))
        );
    }

    #[test]
    fn what_is_no_http_is_told_at_its_first_byte() {
        for text in ["S", "HTTP/2", "{\"jsonrpc\"", "HTTP/1.1 none\r\n\r\n"] {
            assert!(read(text, false).is_err(), "{text}");
        }
        assert_eq!(read("HTTP/1", false), Ok(None));
    }

    #[test]
    fn no_bytes_break_the_reader() {
        let text =
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffff\r\nhi\r\n0\r\n\r\n";
        for from in 0..text.len() {
            for to in from..text.len() {
                drop(understand(&text[from..to], true, &|_| false));
                drop(joined(&text[from..to]));
            }
        }
    }
}
