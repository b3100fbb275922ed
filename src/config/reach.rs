//! `socket`, `clients`, `forwardHeaders` and `upstream` of `mcpConfig`: who reaches a server, and how it reaches
//! its upstream. Checked here, and passed on to the runner as they are.

use std::path::Path;
use std::time::Duration;

use serde_json::{Map, Value};

use super::error::Problems;
use super::item::{Choice, Item};
use super::server::{VALUE_CHARS_MAX, is_token, plain};

/// Keys of `mcpConfig` that are read here.
pub(super) const KEYS: [&str; 4] = ["socket", "clients", "forwardHeaders", "upstream"];

/// Keys of `clients`.
const CLIENTS: [&str; 5] = ["token", "tls", "hosts", "origins", "sessions"];

/// Keys of `clients.tls`.
const TLS: [&str; 3] = ["certificate", "key", "ca"];

/// Keys of `upstream`.
const UPSTREAM: [&str; 11] = [
    "ca",
    "certificate",
    "key",
    "proxy",
    "socket",
    "connectTimeout",
    "timeout",
    "retries",
    "concurrency",
    "rate",
    "redirects",
];

/// Values of `upstream.redirects`.
const REDIRECTS: Choice<&str> =
    Choice { known: &[("none", "none"), ("same", "same"), ("any", "any")], later: &[] };

/// Longest path of a socket: the kernel's own bound.
const SOCKET_BYTES_MAX: usize = 107;

/// Most hosts, origins or headers a person gives.
const NAMES_MAX: usize = 100;

/// Longest time for a connection or a call.
const TIME_MAX: Duration = Duration::from_hours(24);

/// Reads one of [`KEYS`].
pub(super) fn read(item: &Item<'_>, problems: &mut Problems) -> Option<Value> {
    match item.key {
        "socket" => socket(item, problems),
        "clients" => clients(item, problems),
        "forwardHeaders" => {
            names(item, problems, "the name of a header", |text| is_token(text) && !is_one_hops(text))
        }
        _ => upstream(item, problems),
    }
}

/// Whether clients of other machines prove who they are.
pub(super) fn guards(clients: Option<&Item<'_>>) -> bool {
    let tls = clients.and_then(|clients| clients.get("tls"));
    clients.is_some_and(|clients| clients.get("token").is_some())
        || tls.is_some_and(|tls| tls.get("ca").is_some())
}

/// Whether a header speaks of one connection only, or is HTTP's own to decide.
fn is_one_hops(name: &str) -> bool {
    let names = [
        "connection",
        "content-length",
        "host",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ];
    names.iter().any(|other| name.eq_ignore_ascii_case(other))
}

/// The path of a socket.
fn socket(item: &Item<'_>, problems: &mut Problems) -> Option<Value> {
    let path = item.path(problems)?;
    if path.as_os_str().len() > SOCKET_BYTES_MAX {
        item.wrong(
            problems,
            &format!("is longer than {SOCKET_BYTES_MAX} bytes, the most that a socket's path can have"),
        );
        return None;
    }
    written(&path)
}

/// The path of a file.
fn file(item: &Item<'_>, problems: &mut Problems) -> Option<Value> {
    written(&item.path(problems)?)
}

/// A path as the runner reads it.
fn written(path: &Path) -> Option<Value> {
    path.to_str().map(|path| plain(path).into())
}

/// A list of names.
fn names(
    item: &Item<'_>,
    problems: &mut Problems,
    wanted: &str,
    good: impl Fn(&str) -> bool,
) -> Option<Value> {
    let names = item.items(problems, NAMES_MAX)?;
    Some(names.iter().filter_map(|name| name.matching(problems, wanted, &good)).map(plain).collect())
}

/// The members of an object, each read by `key`; what that does not know is told.
fn object(
    item: &Item<'_>,
    problems: &mut Problems,
    known: &[&str],
    key: impl Fn(&Item<'_>, &mut Problems) -> Option<Value>,
) -> Option<Value> {
    let mut read = Map::new();
    for member in item.members(problems) {
        if known.contains(&member.key) {
            read.extend(key(&member, problems).map(|value| (member.key.to_owned(), value)));
        } else {
            member.unknown(problems, known, &[]);
        }
    }
    item.is_object().then_some(Value::Object(read))
}

/// Tells of a file without the other that it needs.
fn needs_both(item: &Item<'_>, problems: &mut Problems, one: &str, other: &str) {
    if item.get(one).is_some() && item.get(other).is_none() {
        item.wrong(problems, &format!("has no {other}, which goes with its {one}"));
    }
}

/// `clients`
fn clients(item: &Item<'_>, problems: &mut Problems) -> Option<Value> {
    object(item, problems, &CLIENTS, |item, problems| match item.key {
        "token" => {
            let good = |text: &str| text.len() >= 16 && text.bytes().all(|byte| byte.is_ascii_graphic());
            let text = item.longest(problems, VALUE_CHARS_MAX)?;
            if !good(text) {
                // What it is is not repeated.
                item.wrong(problems, "must be 16 or more letters, digits and signs, without spaces");
                return None;
            }
            Some(plain(text).into())
        }
        "tls" => {
            needs_both(item, problems, "certificate", "key");
            needs_both(item, problems, "key", "certificate");
            if item.is_object() && item.get("certificate").is_none() && item.get("key").is_none() {
                item.wrong(problems, "has no certificate and no key, files in PEM");
            }
            object(item, problems, &TLS, file)
        }
        "hosts" => {
            names(item, problems, "the name of a host", |text| !text.is_empty() && !text.contains(['/', ' ']))
        }
        "origins" => names(item, problems, "an origin, like \"https://app.example\"", is_origin),
        _ => item.boolean(problems).map(Value::Bool),
    })
}

/// `upstream`
fn upstream(item: &Item<'_>, problems: &mut Problems) -> Option<Value> {
    needs_both(item, problems, "certificate", "key");
    needs_both(item, problems, "key", "certificate");
    object(item, problems, &UPSTREAM, |item, problems| match item.key {
        "ca" | "certificate" | "key" => file(item, problems),
        "socket" => socket(item, problems),
        "proxy" => {
            let text = item.longest(problems, 2048)?;
            let host = text.strip_prefix("http://").unwrap_or_default();
            if text != "none"
                && !(host.starts_with(|c: char| c != '/') && host.bytes().all(|byte| byte.is_ascii_graphic()))
            {
                // It may hold a password.
                item.wrong(problems, "must be \"none\" or a URL like \"http://proxy.example:3128\"");
                return None;
            }
            Some(plain(text).into())
        }
        "connectTimeout" | "timeout" => {
            let time = item.duration(problems, Duration::from_millis(1))?;
            if time > TIME_MAX {
                item.wrong(problems, "is longer than a day");
                return None;
            }
            u64::try_from(time.as_millis()).ok().map(Value::from)
        }
        "retries" => item.count(problems, 0..=10, "").map(Value::from),
        "concurrency" => item.count(problems, 1..=10_000, "").map(Value::from),
        "rate" => {
            item.matching(problems, "calls in a time, like \"10/1s\"", is_rate).map(|text| plain(text).into())
        }
        _ => item.choice(problems, &REDIRECTS).map(Value::from),
    })
}

/// Whether a text is a page's origin: scheme, host, perhaps a port, and no more.
fn is_origin(text: &str) -> bool {
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).unwrap_or_default();
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte);
    !host.is_empty() && text.len() <= 256 && host.bytes().all(good)
}

/// Whether a text is calls in a time.
fn is_rate(text: &str) -> bool {
    let Some((calls, time)) = text.split_once('/') else {
        return false;
    };
    let digits =
        !calls.starts_with('0') && calls.len() <= 6 && calls.bytes().all(|byte| byte.is_ascii_digit());
    digits && !calls.is_empty() && super::duration(time).is_some_and(|time| !time.is_zero())
}
