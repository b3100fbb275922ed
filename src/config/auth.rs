//! `authConfig`: credentials for a server's upstream, checked. What they are never reaches a message.

use serde_json::{Map, Value};

use super::error::Problems;
use super::item::{Choice, Item};
use super::server::{VALUE_CHARS_MAX, is_token, is_url, plain};

/// Values of `type`: the keys it needs, and those it may have.
const TYPE: Choice<(&[&str], &[&str])> = Choice {
    known: &[
        ("bearer", (&["token"], &[])),
        ("basic", (&["username", "password"], &[])),
        ("apiKey", (&["in", "name", "value"], &[])),
        (
            "oauth2",
            (
                &["tokenUrl", "clientId"],
                &["clientSecret", "scopes", "audience", "refreshToken", "clientAuth"],
            ),
        ),
    ],
    later: &[],
};

/// Values of `in`.
const KEY_PLACE: Choice<&str> =
    Choice { known: &[("header", "header"), ("query", "query"), ("cookie", "cookie")], later: &[] };

/// Values of `clientAuth`.
const CLIENT_AUTH: Choice<&str> = Choice { known: &[("basic", "basic"), ("post", "post")], later: &[] };

/// Most scopes, and most security schemes, a person gives.
const NAMES_MAX: usize = 100;

/// Reads `authConfig`: credentials, or an object of such by the names of the document's security schemes.
pub(super) fn read(item: &Item<'_>, problems: &mut Problems) -> Option<Value> {
    let members = item.members(problems);
    if members.is_empty() || !members.iter().all(Item::is_object) {
        return one(item, problems);
    }
    if members.len() > NAMES_MAX {
        item.wrong(problems, &format!("has more than {NAMES_MAX} security schemes"));
        return None;
    }
    let read = members.iter().filter_map(|scheme| Some((scheme.key.to_owned(), one(scheme, problems)?)));
    Some(Value::Object(read.collect()))
}

/// One set of credentials.
fn one(item: &Item<'_>, problems: &mut Problems) -> Option<Value> {
    if !item.is_object() {
        return None;
    }
    let Some(kind) = item.get("type") else {
        item.wrong(problems, "has no type: \"bearer\" or \"basic\" or \"apiKey\" or \"oauth2\"");
        return None;
    };
    let (needed, optional) = kind.choice(problems, &TYPE)?;
    for key in needed.iter().filter(|key| item.get(key).is_none()) {
        item.wrong(problems, &format!("has no {key}, which its type needs"));
    }
    let query = item.get("in").is_some_and(|place| place.node.text() == Some("query"));
    let names: Vec<_> = needed.iter().chain(optional).copied().chain(["type"]).collect();
    let mut auth = Map::new();
    for item in item.members(problems) {
        let value = if names.contains(&item.key) {
            member(&item, query, problems)
        } else {
            item.unknown(problems, &names, &[]);
            None
        };
        auth.extend(value.map(|value| (item.key.to_owned(), value)));
    }
    Some(Value::Object(auth))
}

/// One key of a set of credentials; `query` is whether an API key goes into the query.
fn member(item: &Item<'_>, query: bool, problems: &mut Problems) -> Option<Value> {
    let text = match item.key {
        "type" => item.text(problems),
        "in" => item.choice(problems, &KEY_PLACE),
        "clientAuth" => item.choice(problems, &CLIENT_AUTH),
        "name" if !query => item.matching(problems, "the name of a header or cookie", is_token),
        "tokenUrl" => item.matching(problems, "an http or https URL", is_url),
        "scopes" => {
            let scopes = item.items(problems, NAMES_MAX)?;
            let good = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
            let scopes =
                scopes.iter().filter_map(|scope| scope.matching(problems, "the name of a scope", good));
            return Some(scopes.map(plain).collect());
        }
        "password" | "clientSecret" => item.line(problems, 0..=VALUE_CHARS_MAX),
        _ => item.line(problems, 1..=VALUE_CHARS_MAX),
    };
    text.map(|text| plain(text).into())
}
