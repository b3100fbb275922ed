//! One JSON-RPC message, read no deeper than its own members: what they hold is passed on as it was written.
//! What any method means is not known here.

use std::borrow::Cow;
use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

/// JSON-RPC: there is no such method.
pub(super) const METHOD_NOT_FOUND: i32 = -32601;

/// JSON-RPC: the parameters are wrong.
pub(super) const INVALID_PARAMS: i32 = -32602;

/// JSON-RPC: this is no request.
pub(super) const INVALID_REQUEST: i32 = -32600;

/// JSON-RPC: this is no JSON.
pub(super) const PARSE_ERROR: i32 = -32700;

/// The server that should have answered is not there.
pub(super) const UNAVAILABLE: i32 = -32000;

/// The members of an object, each as it was written.
pub(super) type Fields = BTreeMap<String, Box<RawValue>>;

/// Any message.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Message<'a> {
    /// Always `2.0`; what others write there is not looked at.
    #[serde(borrow, default)]
    jsonrpc: Cow<'a, str>,
    /// Of a request or an answer.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<&'a RawValue>,
    /// Of a request or a notification.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub(super) method: Option<Cow<'a, str>>,
    /// Of a request or a notification.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub(super) params: Option<&'a RawValue>,
    /// Of an answer.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub(super) result: Option<&'a RawValue>,
    /// Of an answer.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<&'a RawValue>,
}

/// What a message is.
#[derive(Debug)]
pub(super) enum Kind<'a> {
    /// Wants an answer.
    Request(&'a RawValue, &'a str),
    /// Wants none.
    Notification(&'a str),
    /// Is one.
    Answer(&'a RawValue, Answer),
    /// Makes no sense.
    Nonsense,
}

/// How a request ended.
#[derive(Debug, Clone)]
pub(super) enum Answer {
    /// Well.
    Result(Box<RawValue>),
    /// With this object of `code` and `message`.
    Error(Box<RawValue>),
}

impl<'a> Message<'a> {
    /// Reads a message.
    pub(super) fn parse(text: &'a [u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(text)
    }

    /// A request.
    pub(super) fn request(id: &'a RawValue, method: &'a str, params: Option<&'a RawValue>) -> Self {
        Self { id: Some(id), ..Self::notification(method, params) }
    }

    /// A notification.
    pub(super) fn notification(method: &'a str, params: Option<&'a RawValue>) -> Self {
        Self { method: Some(method.into()), params, ..Self::default() }
    }

    /// An answer to the request of this id.
    pub(super) fn answer(id: &'a RawValue, answer: &'a Answer) -> Self {
        match answer {
            Answer::Result(result) => Self { id: Some(id), result: Some(result), ..Self::default() },
            Answer::Error(error) => Self { id: Some(id), error: Some(error), ..Self::default() },
        }
    }

    /// What it is.
    pub(super) fn kind(&self) -> Kind<'_> {
        match (self.method.as_deref(), self.id, self.result, self.error) {
            (Some(method), Some(id), _, _) => Kind::Request(id, method),
            (Some(method), None, _, _) => Kind::Notification(method),
            (None, Some(id), _, Some(error)) => Kind::Answer(id, Answer::Error(error.to_owned())),
            (None, Some(id), Some(result), None) => Kind::Answer(id, Answer::Result(result.to_owned())),
            (None, ..) => Kind::Nonsense,
        }
    }

    /// Its text, without a line break: those between the values of what others wrote become spaces.
    pub(super) fn to_bytes(&self) -> Bytes {
        let whole = Self {
            jsonrpc: "2.0".into(),
            id: self.id,
            method: self.method.clone(),
            params: self.params,
            result: self.result,
            error: self.error,
        };
        let mut text = serde_json::to_vec(&whole).unwrap_or_default();
        for byte in text.iter_mut().filter(|byte| matches!(byte, b'\n' | b'\r')) {
            *byte = b' ';
        }
        text.into()
    }
}

impl Answer {
    /// A failure in our own words.
    pub(super) fn failure(code: i32, message: &str) -> Self {
        Self::Error(raw(&serde_json::json!({"code": code, "message": message})))
    }

    /// A failure that says more.
    pub(super) fn failure_with(code: i32, message: &str, data: &serde_json::Value) -> Self {
        Self::Error(raw(&serde_json::json!({"code": code, "message": message, "data": data})))
    }

    /// `{}`.
    pub(super) fn empty() -> Self {
        Self::Result(raw(&Fields::new()))
    }

    /// The code, where it is an error.
    pub(super) fn code(&self) -> Option<i64> {
        match self {
            Self::Result(_) => None,
            Self::Error(error) => fields(error)?.get("code")?.get().parse().ok(),
        }
    }
}

/// A value's text.
pub(super) fn raw(value: &impl Serialize) -> Box<RawValue> {
    to_raw_value(value).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

/// The members of an object; `None` if it is none.
pub(super) fn fields(raw: &RawValue) -> Option<Fields> {
    serde_json::from_str(raw.get()).ok()
}

/// The member `name` of an object, if it is a string.
pub(super) fn text(raw: Option<&RawValue>, name: &str) -> Option<String> {
    serde_json::from_str(fields(raw?)?.get(name)?.get()).ok()
}

/// Whether asking twice is as good as asking once.
pub(super) fn is_repeatable(method: &str) -> bool {
    method.ends_with("/list") || matches!(method, "resources/read" | "prompts/get" | "completion/complete")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_stays_as_it_was() {
        let text = br#"{"jsonrpc":"2.0","id":"a\u00e9","method":"x/y","params":{"n":12345678901234567890123,"b":[1.10]}}"#;
        let message = Message::parse(text).unwrap();
        assert!(matches!(message.kind(), Kind::Request(_, "x/y")));
        assert_eq!(message.to_bytes().as_ref(), text);
    }

    #[test]
    fn a_message_is_one_line_whatever_it_was() {
        let message =
            Message::parse(b"{\"id\":1,\r\n\"method\":\"m\",\"params\":{\n\"a\":\"\\n\"\r}}").unwrap();
        let line = message.to_bytes();
        assert!(!line.contains(&b'\n') && !line.contains(&b'\r'));
        let again: serde_json::Value = serde_json::from_slice(&line).unwrap();
        assert_eq!(again["params"]["a"], "\n");
    }

    #[test]
    fn kinds_are_told_apart() {
        let kind = |text: &str| format!("{:?}", Message::parse(text.as_bytes()).unwrap().kind());
        assert!(kind(r#"{"method":"m"}"#).starts_with("Notification"));
        assert!(kind(r#"{"id":1,"result":{}}"#).starts_with("Answer"));
        assert!(kind(r#"{"id":1,"error":{"code":1}}"#).contains("Error"));
        assert_eq!(kind(r#"{"id":null,"error":{"code":1}}"#), "Nonsense");
        assert_eq!(kind("{}"), "Nonsense");
        assert_eq!(Answer::failure(-32601, "x").code(), Some(-32601));
    }
}
