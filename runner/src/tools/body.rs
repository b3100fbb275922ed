//! The body of a request, from the arguments that are no parameters: JSON, forms, parts, text and bytes. What
//! each argument stands for was decided when the document was compiled.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Arguments;
use super::encode::{self, Keeps, Style, percent};
use super::file;
use super::multipart::Parts;

/// The plan of a body.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Body {
    /// The argument that is the whole body; none when all arguments that are no parameters are its members.
    pub(super) argument: Option<Box<str>>,
    /// Members with another name on the wire: argument, then wire.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) renamed: Vec<(Box<str>, Box<str>)>,
    /// For `Content-Type`; may have a wildcard where the argument says more (files).
    pub(super) media_type: Box<str>,
    /// Whether an empty one is sent when no member is given.
    pub(super) is_required: bool,
    /// How it is written.
    pub(super) format: Format,
}

/// How a body is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Format {
    /// One JSON text.
    Json,
    /// JSON in which null means to delete.
    MergePatch,
    /// A text, as it is.
    Text,
    /// Bytes.
    Bytes,
    /// `a=1&b=2`, with the fields that are not written in the usual way.
    Form(Vec<Field>),
    /// Parts, likewise.
    Multipart(Vec<Field>),
}

/// How a field of a form, or a part, is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Field {
    /// Its name on the wire.
    pub(super) name: Box<str>,
    /// The style and whether it explodes, where the document says one.
    pub(super) style: Option<(Style, bool)>,
    /// Whether reserved characters are written as they are.
    pub(super) allow_reserved: bool,
    /// Its media type, where the document says one.
    pub(super) media_type: Option<Box<str>>,
    /// Whether it is a file, or a list of files.
    pub(super) is_file: bool,
}

/// A body that is ready: its `Content-Type` and its bytes.
pub(super) type Ready = (String, Vec<u8>);

impl Body {
    /// The body of a call; `is_parameter` tells the arguments that are none of it. None when it is left out.
    pub(super) fn make(
        &self,
        mut arguments: Arguments,
        is_parameter: impl Fn(&str) -> bool,
    ) -> Result<Option<Ready>, String> {
        let value = if let Some(argument) = &self.argument {
            let Some(value) = arguments.shift_remove(&**argument) else {
                return Ok(None);
            };
            value
        } else {
            let members = arguments.into_iter().filter(|(name, _)| !is_parameter(name));
            let members: Arguments = members.map(|(name, value)| (self.wire(name), value)).collect();
            if members.is_empty() && !self.is_required {
                return Ok(None);
            }
            Value::Object(members)
        };
        let named = |reason: String| match &self.argument {
            Some(argument) => format!("argument \"{argument}\" {reason}"),
            None => reason,
        };
        self.write(&value).map(Some).map_err(named)
    }

    /// A member's name on the wire.
    fn wire(&self, argument: String) -> String {
        let found = self.renamed.iter().find(|(from, _)| **from == *argument);
        found.map(|(_, to)| to.to_string()).unwrap_or(argument)
    }

    /// Writes a value in the body's format.
    fn write(&self, value: &Value) -> Result<Ready, String> {
        let plain = |bytes: Vec<u8>| (self.media_type.to_string(), bytes);
        Ok(match &self.format {
            // A value in memory is always JSON.
            Format::Json | Format::MergePatch => plain(serde_json::to_vec(value).unwrap_or_default()),
            Format::Text => plain(encode::text(value).into_bytes()),
            Format::Bytes => {
                let file = file::read(&encode::text(value))?;
                // The document's type is kept unless it leaves the choice.
                let is_open =
                    self.media_type.contains('*') || &*self.media_type == "application/octet-stream";
                let fallback =
                    if self.media_type.contains('*') { "application/octet-stream" } else { &self.media_type };
                let media_type = file.media_type.filter(|_| is_open).unwrap_or_else(|| fallback.to_owned());
                (media_type, file.bytes)
            }
            Format::Form(fields) => plain(form(members(value)?, fields).into_bytes()),
            Format::Multipart(fields) => {
                let mut parts = Parts::default();
                for (name, value) in members(value)? {
                    let field = fields.iter().find(|field| *field.name == **name);
                    part(&mut parts, name, value, field)
                        .map_err(|reason| format!("member \"{name}\" {reason}"))?;
                }
                parts.finish(&self.media_type)
            }
        })
    }
}

/// The members of a form.
fn members(value: &Value) -> Result<&Arguments, String> {
    value.as_object().ok_or_else(|| "must be an object: its members are the fields of a form".to_owned())
}

/// `application/x-www-form-urlencoded`.
fn form(members: &Arguments, fields: &[Field]) -> String {
    let mut pairs = Vec::new();
    for (name, value) in members.iter().filter(|(_, value)| !value.is_null()) {
        let field = fields.iter().find(|field| *field.name == **name);
        let keeps =
            if field.is_some_and(|field| field.allow_reserved) { Keeps::Reserved } else { Keeps::Unreserved };
        let (style, explode) = match field.and_then(|field| field.style) {
            Some(said) => said,
            // The usual way for what has parts and no style (3.1.1): a list is repeated, an object is JSON.
            None if value.is_object() => (Style::Json, false),
            None => (Style::Form, true),
        };
        pairs.extend(encode::pairs(name, value, style, explode, keeps));
    }
    let written: Vec<String> = pairs.into_iter().map(|(key, value)| format!("{key}={value}")).collect();
    written.join("&")
}

/// Adds a member as one part, or as one for each of its elements.
fn part(parts: &mut Parts, name: &str, value: &Value, field: Option<&Field>) -> Result<(), String> {
    let style = field.filter(|field| !field.is_file).and_then(|field| field.style);
    if let Some((style, explode)) = style.filter(|_| value.is_array() || value.is_object()) {
        for (name, text) in encode::plain_pairs(name, value, style, explode) {
            parts.text(&name, None, &text);
        }
        return Ok(());
    }
    let values = if let Value::Array(list) = value { list.as_slice() } else { std::slice::from_ref(value) };
    for value in values.iter().filter(|value| !value.is_null()) {
        let media_type = field.and_then(|field| field.media_type.as_deref());
        if field.is_some_and(|field| field.is_file) {
            parts.file(name, media_type, file::read(&encode::text(value))?);
        } else if value.is_object()
            || value.is_array()
            || media_type.is_some_and(|kind| kind.contains("json"))
        {
            parts.text(name, Some(media_type.unwrap_or("application/json")), &value.to_string());
        } else {
            parts.text(name, media_type, &encode::text(value));
        }
    }
    Ok(())
}

/// A text as `application/x-www-form-urlencoded` has it, for what is a whole query.
pub(super) fn whole_query(value: &Value) -> String {
    match value {
        Value::Object(members) => form(members, &[]),
        other => {
            let mut out = String::new();
            percent(&mut out, &encode::text(other), Keeps::Query);
            out
        }
    }
}
