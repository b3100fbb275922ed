//! A service's file as others may see it: compact, before substitution, literal secrets as `***`.

use super::json::{Kind, Member, Node};
use super::substitute::is_reference;

/// What stands for a secret.
const MASK: &str = "***";

/// What stands for a document.
const INLINE: &str = "(inline)";

/// Parts of names whose values are secret.
const SECRET_WORDS: [&str; 6] = ["token", "secret", "password", "key", "authorization", "cookie"];

/// Secret keys of `authConfig` and `clients`.
const SECRET_KEYS: [&str; 5] = ["token", "password", "value", "clientSecret", "refreshToken"];

/// What a value is a part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Within {
    /// Nothing special.
    Plain,
    /// `authConfig` or `clients`
    Auth,
    /// `env` or `customHeaders`
    Names,
    /// A secret: every string in it.
    Secret,
}

/// The JSON of a value.
pub(super) fn shown(node: &Node) -> String {
    let mut out = String::new();
    write(&mut out, node, Within::Plain);
    out
}

/// Appends the JSON of a value.
fn write(out: &mut String, node: &Node, within: Within) {
    match &node.kind {
        Kind::Null | Kind::Void => out.push_str("null"),
        Kind::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Kind::Number(_) if within == Within::Secret => string(out, MASK),
        Kind::Number(text) => out.push_str(text),
        Kind::Text { text, .. } if within == Within::Secret && !is_reference(text) => string(out, MASK),
        Kind::Text { text, .. } => string(out, &without_credentials(text)),
        Kind::Opaque(_) => string(out, INLINE),
        Kind::List(items) => {
            for (index, item) in items.iter().enumerate() {
                out.push(if index == 0 { '[' } else { ',' });
                write(out, item, within);
            }
            out.push_str(if items.is_empty() { "[]" } else { "]" });
        }
        Kind::Object(members) => {
            for (index, member) in members.iter().enumerate() {
                out.push(if index == 0 { '{' } else { ',' });
                string(out, &member.key);
                out.push(':');
                write(out, &member.value, inside(member, within));
            }
            out.push_str(if members.is_empty() { "{}" } else { "}" });
        }
    }
}

/// What the value of a member is a part of.
fn inside(member: &Member, within: Within) -> Within {
    let key = &*member.key;
    match within {
        Within::Secret => Within::Secret,
        Within::Auth if SECRET_KEYS.contains(&key) => Within::Secret,
        Within::Names if is_secret_name(key) => Within::Secret,
        // Credentials may stand under the names of security schemes.
        Within::Auth => Within::Auth,
        Within::Plain | Within::Names => match key {
            "authConfig" | "clients" => Within::Auth,
            "env" | "customHeaders" => Within::Names,
            _ => Within::Plain,
        },
    }
}

/// Whether what goes by this name is a secret.
fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET_WORDS.iter().any(|word| name.contains(word))
}

/// A URL with user, password and query as `***`; any other text as it is.
fn without_credentials(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://").filter(|_| text.starts_with("http")) else {
        return text.to_owned();
    };
    let (place, query) = rest.split_once('?').map_or((rest, ""), |(place, _)| (place, "?***"));
    let (host, path) = place.split_at_checked(place.find('/').unwrap_or(place.len())).unwrap_or((place, ""));
    match host.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}://{MASK}@{host}{path}{query}"),
        None => format!("{scheme}://{host}{path}{query}"),
    }
}

/// Appends a JSON string.
fn string(out: &mut String, text: &str) {
    // Writing a string as JSON cannot fail.
    out.push_str(&serde_json::to_string(text).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::json;

    #[test]
    fn secrets_are_masked_and_references_are_not() {
        let text = r#"{ "mcpConfig": { "authConfig": { "type": "bearer", "token": "abc" }, "port": 1e3,
            "customHeaders": { "X-Api-Key": "k", "Cookie": "${COOKIE}", "X-Team": "tools" },
            "baseUrl": "https://me:pw@pets.example/v1?key=1", "openApiData": { "paths": {} } },
            "env": { "DB_PASSWORD": "p", "TOKEN": "Bearer ${T}", "HOME": "/h", "S": "\n" }, "args": [], "x": {} }"#;
        let shown = shown(&json::parse(text).unwrap());
        let wanted = concat!(
            r#"{"mcpConfig":{"authConfig":{"type":"bearer","token":"***"},"port":1e3,"#,
            r#""customHeaders":{"X-Api-Key":"***","Cookie":"${COOKIE}","X-Team":"tools"},"#,
            r#""baseUrl":"https://***@pets.example/v1?***","openApiData":"(inline)"},"#,
            r#""env":{"DB_PASSWORD":"***","TOKEN":"***","HOME":"/h","S":"\n"},"args":[],"x":{}}"#,
        );
        assert_eq!(shown, wanted);
    }

    #[test]
    fn so_are_those_of_security_schemes_and_of_clients() {
        let text = r#"{ "authConfig": { "a": { "type": "oauth2", "clientSecret": "s", "refreshToken": "r" } },
            "clients": { "token": "t" }, "upstream": { "proxy": "http://u:p@proxy:3128" } }"#;
        let wanted = concat!(
            r#"{"authConfig":{"a":{"type":"oauth2","clientSecret":"***","refreshToken":"***"}},"#,
            r#""clients":{"token":"***"},"upstream":{"proxy":"http://***@proxy:3128"}}"#,
        );
        assert_eq!(shown(&json::parse(text).unwrap()), wanted);
    }
}
