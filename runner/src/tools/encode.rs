//! Values as text on the wire: percent-encoding and the styles of parameters. Knows no schema.

use std::fmt::Write;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::openapi::percent_decoded;

/// How a parameter is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Style {
    /// `a,b` in paths and headers.
    Simple,
    /// `.a.b` in paths.
    Label,
    /// `;name=a` in paths.
    Matrix,
    /// `name=a` in queries and cookies.
    Form,
    /// `name=a` in cookies, nothing encoded (3.2).
    Cookie,
    /// `name=a%20b` in queries.
    Space,
    /// `name=a%7Cb` in queries.
    Pipe,
    /// `name=a%09b` in queries (of 2.0).
    Tab,
    /// `name[key]=a` in queries.
    Deep,
    /// One JSON text (`content: application/json`).
    Json,
}

/// Which characters are written as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keeps {
    /// RFC 3986's unreserved ones.
    Unreserved,
    /// The reserved ones too, except those that would end the query or its pair (`allowReserved`).
    Reserved,
    /// All: the text goes where percent-encoding means nothing.
    All,
    /// What a path written in a document may hold; its own escapes stay.
    Path,
    /// What a query written in a document may hold; its own escapes stay.
    Query,
}

/// Appends a text, encoded.
pub(super) fn percent(out: &mut String, text: &str, keeps: Keeps) {
    if keeps == Keeps::All {
        out.push_str(text);
        return;
    }
    for byte in text.bytes() {
        let is_kept = byte.is_ascii_alphanumeric()
            || matches!(byte, b'-' | b'.' | b'_' | b'~')
            || match keeps {
                Keeps::Unreserved | Keeps::All => false,
                Keeps::Reserved => b":/?@!$'()*,;[]".contains(&byte),
                Keeps::Path => b"/:@!$&'()*+,;=%".contains(&byte),
                Keeps::Query => b"/:@!$&'()*+,;=%?".contains(&byte),
            };
        if is_kept {
            out.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
}

/// A text, encoded so that it stays one piece wherever it is put.
pub(crate) fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    percent(&mut out, text, Keeps::Unreserved);
    out
}

/// A value as plain text. `5.0` is written as the integer it is; what has parts is written as JSON.
pub(super) fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => {
            let text = number.to_string();
            text.strip_suffix(".0").map_or_else(|| text.clone(), str::to_owned)
        }
        other => other.to_string(),
    }
}

/// The elements of a list, the keys and values of an object, or the value itself; nulls are left out.
enum Parts<'a> {
    /// Neither list nor object.
    One(&'a Value),
    /// A list.
    Many(Vec<&'a Value>),
    /// An object.
    Keyed(Vec<(&'a str, &'a Value)>),
}

/// Takes a value apart.
fn parts(value: &Value) -> Parts<'_> {
    match value {
        Value::Array(list) => Parts::Many(list.iter().filter(|value| !value.is_null()).collect()),
        Value::Object(map) => {
            let pairs = map.iter().filter(|(_, value)| !value.is_null());
            Parts::Keyed(pairs.map(|(key, value)| (key.as_str(), value)).collect())
        }
        one => Parts::One(one),
    }
}

/// A value of a path or a header in its style.
pub(super) fn flat(name: &str, value: &Value, style: Style, explode: bool, keeps: Keeps) -> String {
    let encoded = |plain: &str| {
        let mut out = String::new();
        percent(&mut out, plain, keeps);
        out
    };
    if style == Style::Json {
        return encoded(&value.to_string());
    }
    let name = encoded(name);
    let (lead, separator) = match (style, explode) {
        (Style::Label, true) => (".".to_owned(), "."),
        (Style::Label, false) => (".".to_owned(), ","),
        (Style::Matrix, true) => (String::new(), ""),
        (Style::Matrix, false) => (format!(";{name}="), ","),
        _ => (String::new(), ","),
    };
    let lone_matrix = style == Style::Matrix && explode;
    let pieces: Vec<String> = match parts(value) {
        Parts::One(one) if lone_matrix => vec![format!(";{name}={}", encoded(&text(one)))],
        Parts::One(one) => vec![encoded(&text(one))],
        Parts::Many(list) if lone_matrix => {
            list.iter().map(|value| format!(";{name}={}", encoded(&text(value)))).collect()
        }
        Parts::Many(list) => list.iter().map(|value| encoded(&text(value))).collect(),
        Parts::Keyed(pairs) => {
            let (open, between) =
                if lone_matrix { (";", "=") } else { ("", if explode { "=" } else { "," }) };
            let one = |(key, value): &(&str, &Value)| {
                format!("{open}{}{between}{}", encoded(key), encoded(&text(value)))
            };
            pairs.iter().map(one).collect()
        }
    };
    format!("{lead}{}", pieces.join(separator))
}

/// The pairs of a query or a cookie parameter, encoded. An empty list or object gives none.
pub(super) fn pairs(
    name: &str,
    value: &Value,
    style: Style,
    explode: bool,
    keeps: Keeps,
) -> Vec<(String, String)> {
    let key = encoded(name);
    let encoded_value = |value: &Value| {
        let mut out = String::new();
        percent(&mut out, &text(value), keeps);
        out
    };
    let separator = match style {
        Style::Space => "%20",
        Style::Pipe => "%7C",
        Style::Tab => "%09",
        _ => ",",
    };
    match (parts(value), style) {
        (_, Style::Json) => vec![(key, encoded_value(&Value::String(value.to_string())))],
        (Parts::Keyed(_) | Parts::Many(_), Style::Deep) => {
            let mut out = Vec::new();
            deep(&key, value, keeps, &mut out);
            out
        }
        (Parts::One(one), _) => vec![(key, encoded_value(one))],
        (Parts::Many(list), _) if explode => {
            list.iter().map(|value| (key.clone(), encoded_value(value))).collect()
        }
        (Parts::Keyed(pairs), _) if explode => {
            pairs.iter().map(|(key, value)| (encoded(key), encoded_value(value))).collect()
        }
        (Parts::Many(list), _) if list.is_empty() => Vec::new(),
        (Parts::Many(list), _) => {
            vec![(key, list.iter().map(|value| encoded_value(value)).collect::<Vec<_>>().join(separator))]
        }
        (Parts::Keyed(pairs), _) if pairs.is_empty() => Vec::new(),
        (Parts::Keyed(pairs), _) => {
            let flat = pairs.iter().flat_map(|(key, value)| [encoded(key), encoded_value(value)]);
            vec![(key, flat.collect::<Vec<_>>().join(separator))]
        }
    }
}

/// The pairs of a part's style, nothing encoded: parts have room for everything.
pub(super) fn plain_pairs(name: &str, value: &Value, style: Style, explode: bool) -> Vec<(String, String)> {
    let separator = match style {
        Style::Space => " ",
        Style::Pipe => "|",
        Style::Tab => "\t",
        _ => ",",
    };
    let flat = match (parts(value), style) {
        (_, Style::Deep) | (Parts::One(_), _) => None,
        (Parts::Many(list), _) if !explode => Some(list.into_iter().map(text).collect::<Vec<_>>()),
        (Parts::Keyed(pairs), _) if !explode => {
            Some(pairs.into_iter().flat_map(|(key, value)| [key.to_owned(), text(value)]).collect())
        }
        _ => None,
    };
    if let Some(flat) = flat {
        return vec![(name.to_owned(), flat.join(separator))];
    }
    let decoded = |key: String| String::from_utf8_lossy(&percent_decoded(key.as_bytes())).into_owned();
    let pairs = pairs(name, value, style, explode, Keeps::All);
    pairs.into_iter().map(|(key, value)| (decoded(key), value)).collect()
}

/// `key[a][b]=value`, with the brackets escaped, as every server undoes it.
fn deep(key: &str, value: &Value, keeps: Keeps, out: &mut Vec<(String, String)>) {
    let mut below = |part: &str, value: &Value| {
        deep(&format!("{key}%5B{}%5D", encoded(part)), value, keeps, out);
    };
    match parts(value) {
        Parts::Keyed(pairs) => pairs.iter().for_each(|(part, value)| below(part, value)),
        Parts::Many(list) => {
            list.iter().enumerate().for_each(|(index, value)| below(&index.to_string(), value));
        }
        Parts::One(one) => {
            let mut encoded = String::new();
            percent(&mut encoded, &text(one), keeps);
            out.push((key.to_owned(), encoded));
        }
    }
}

/// Whether one part of a path would lead out of its place once somebody decodes it, however often.
pub(super) fn climbs(segment: &str) -> bool {
    let mut decoded = segment.as_bytes().to_vec();
    loop {
        let parts = decoded.split(|byte| matches!(byte, b'/' | b'\\'));
        // What follows a semicolon is a parameter that some servers cut off before they look.
        let names = parts.map(|part| part.split(|byte| *byte == b';').next().unwrap_or_default());
        if names.into_iter().any(|name| matches!(name, b"." | b"..")) {
            return true;
        }
        let again = percent_decoded(&decoded);
        if again == decoded {
            return false;
        }
        decoded = again;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Pairs as a query string.
    fn query(value: &Value, style: Style, explode: bool) -> String {
        let pairs = pairs("p", value, style, explode, Keeps::Unreserved);
        pairs.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join("&")
    }

    #[test]
    fn queries_follow_their_style() {
        let list = json!(["a b", null, "c,d"]);
        let object = json!({"x": 1, "y": true, "z": null});
        assert_eq!(query(&list, Style::Form, true), "p=a%20b&p=c%2Cd");
        assert_eq!(query(&list, Style::Form, false), "p=a%20b,c%2Cd");
        assert_eq!(query(&list, Style::Space, false), "p=a%20b%20c%2Cd");
        assert_eq!(query(&list, Style::Pipe, false), "p=a%20b%7Cc%2Cd");
        assert_eq!(query(&object, Style::Form, true), "x=1&y=true");
        assert_eq!(query(&object, Style::Form, false), "p=x,1,y,true");
        assert_eq!(query(&object, Style::Deep, true), "p%5Bx%5D=1&p%5By%5D=true");
        assert_eq!(
            query(&json!({"a": {"b": [1, 2]}}), Style::Deep, true),
            "p%5Ba%5D%5Bb%5D%5B0%5D=1&p%5Ba%5D%5Bb%5D%5B1%5D=2"
        );
        assert_eq!(query(&json!({"a": 1}), Style::Json, false), "p=%7B%22a%22%3A1%7D");
        assert_eq!(query(&json!([]), Style::Form, true), "");
        assert_eq!(query(&json!([]), Style::Form, false), "");
        assert_eq!(query(&json!(5.0), Style::Form, true), "p=5");
        assert_eq!(query(&json!("a&b=c#d+é"), Style::Form, true), "p=a%26b%3Dc%23d%2B%C3%A9");
    }

    #[test]
    fn parts_follow_their_style_unencoded() {
        let object = json!({"x y": "1,2", "z": ["%"]});
        let one = |name: &str, text: &str| (name.to_owned(), text.to_owned());
        assert_eq!(plain_pairs("p q", &object, Style::Form, false), [one("p q", "x y,1,2,z,[\"%\"]")]);
        assert_eq!(plain_pairs("p", &object, Style::Deep, true), [one("p[x y]", "1,2"), one("p[z][0]", "%")]);
        assert_eq!(plain_pairs("p", &json!({"a": "é"}), Style::Form, true), [one("a", "é")]);
        assert_eq!(plain_pairs("p", &json!(["a", 1]), Style::Pipe, false), [one("p", "a|1")]);
    }

    #[test]
    fn paths_follow_their_style() {
        let list = json!([3, 4]);
        let object = json!({"r": 1, "g": 2});
        let path = |value: &Value, style, explode| flat("p", value, style, explode, Keeps::Unreserved);
        assert_eq!(path(&json!("a/b"), Style::Simple, false), "a%2Fb");
        assert_eq!(path(&list, Style::Simple, false), "3,4");
        assert_eq!(path(&object, Style::Simple, true), "r=1,g=2");
        assert_eq!(path(&object, Style::Simple, false), "r,1,g,2");
        assert_eq!(path(&list, Style::Label, true), ".3.4");
        assert_eq!(path(&list, Style::Label, false), ".3,4");
        assert_eq!(path(&list, Style::Matrix, false), ";p=3,4");
        assert_eq!(path(&list, Style::Matrix, true), ";p=3;p=4");
        assert_eq!(path(&object, Style::Matrix, true), ";r=1;g=2");
        assert_eq!(path(&json!(5), Style::Matrix, false), ";p=5");
    }

    #[test]
    fn climbing_is_seen_through_every_layer() {
        for bad in ["..", ".", "%2e%2e", "%2E.", "%252e%252e", "a%2F..%2Fb", "a%5c..", "..%3Bx", "%25252e."] {
            assert!(climbs(bad), "{bad}");
        }
        for good in ["...", "a..b", ".hidden", "v1.2", "100%25", "%zz", ""] {
            assert!(!climbs(good), "{good}");
        }
    }
}
