//! The body of an operation as its tool takes it: which of the document's media types is sent, and what of its
//! schema an argument cannot be asked for (files, XML). Made once, from the document.

use std::sync::LazyLock;

use super::body::{Field, Format};
use super::encode::Style;
use super::{file, words};
use crate::openapi::{Members, Node, Object, Operation, Resolver, Schema, Tree};
use http::Method;

/// A schema that says nothing.
pub(super) static ANYTHING: LazyLock<Tree> = LazyLock::new(|| Tree::known("true"));

/// A body as the document has it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    /// Its request body object.
    pub(super) value: Node<'a>,
    /// The media type to send.
    pub(super) media_type: &'a str,
    /// Its schema.
    pub(super) schema: Node<'a>,
    /// How the members of a form are encoded.
    encoding: Option<Members<'a>>,
}

/// What kinds of media types there are, the ones that suit a model best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    /// JSON.
    Json,
    /// Whatever the caller likes.
    Any,
    /// JSON merge patch.
    MergePatch,
    /// JSON under another name.
    OtherJson,
    /// A form.
    Form,
    /// Parts.
    Multipart,
    /// Text for people.
    Plain,
    /// YAML.
    Yaml,
    /// XML.
    Xml,
    /// Text of another kind.
    OtherText,
    /// Bytes of any kind.
    Octets,
    /// Bytes of a known kind.
    OtherBytes,
}

impl Kind {
    /// The kind of a media type.
    fn of(media_type: &str) -> Self {
        let essence = essence(media_type);
        let has = |marks: &[&str]| marks.iter().any(|mark| essence.contains(mark));
        if has(&["jsonl", "ndjson", "json-seq"]) {
            return Self::OtherText;
        }
        match &*essence {
            "application/json" => Self::Json,
            "*/*" | "application/*" => Self::Any,
            "application/octet-stream" => Self::Octets,
            "application/x-www-form-urlencoded" => Self::Form,
            "text/plain" | "text/*" => Self::Plain,
            _ if has(&["merge-patch+json"]) => Self::MergePatch,
            _ if has(&["json"]) => Self::OtherJson,
            _ if essence.starts_with("multipart/") => Self::Multipart,
            _ if has(&["yaml"]) => Self::Yaml,
            _ if has(&["xml"]) => Self::Xml,
            _ if essence.starts_with("text/") || has(&["csv", "graphql", "javascript", "sql"]) => {
                Self::OtherText
            }
            _ => Self::OtherBytes,
        }
    }
}

/// The body of an operation; `None` where it has none to send.
pub(super) fn asked<'a>(
    operation: &Operation<'a>,
    resolver: Resolver<Node<'a>>,
) -> Result<Option<Asked<'a>>, String> {
    let Some(written) = operation.value.get("requestBody") else {
        return Ok(None);
    };
    let value = resolver.follow(written).map_err(|reason| reason.to_string())?;
    let content = value.get("content").and_then(Node::as_object);
    // In 3.2 a media type may be a reference.
    let kinds = content.into_iter().flatten().map(|(media_type, media)| {
        let media = resolver.follow(media).unwrap_or(media);
        let schema =
            media.get("schema").or_else(|| media.get("itemSchema")).unwrap_or_else(|| ANYTHING.root());
        let encoding = media.get("encoding").and_then(Node::as_object);
        (rank(media_type, schema, resolver), Asked { value, media_type, schema, encoding })
    });
    let best = kinds.min_by_key(|(rank, _)| *rank).map(|(_, asked)| asked);
    // Bodies that HTTP gives no meaning are sent only where a call must have one.
    let has_no_body = matches!(operation.method, Method::GET | Method::HEAD | Method::TRACE);
    Ok(best.filter(|asked| !has_no_body || asked.is_required() || Kind::of(asked.media_type) == Kind::Json))
}

/// Which of several media types is sent: the lowest.
fn rank(media_type: &str, schema: Node<'_>, resolver: Resolver<Node<'_>>) -> (Kind, bool) {
    let schema = resolver.follow(schema).unwrap_or(schema);
    let members = schema.get("properties").and_then(Node::as_object);
    let has_files = members.into_iter().flatten().any(|(_, member)| {
        let member = resolver.follow(member).unwrap_or(member);
        let says_file = |schema: Node<'_>| {
            is_file_by(
                |keyword| schema.get(keyword).and_then(Node::as_str),
                schema.get("contentEncoding").is_some(),
            )
        };
        says_file(member)
            || member.get("items").is_some_and(|items| says_file(resolver.follow(items).unwrap_or(items)))
    });
    let kind = match Kind::of(media_type) {
        // A file cannot stand in these, whatever the document says.
        Kind::Json | Kind::Form | Kind::OtherJson if has_files => Kind::Plain,
        kind => kind,
    };
    // Of several JSON patches, one whose schema is a list comes after one whose schema is an object.
    (kind, schema.get("type").is_some_and(|kind| kind.as_str() == Some("array")))
}

/// A media type without its parameters.
pub(super) fn essence(media_type: &str) -> String {
    media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// Whether a media type is JSON.
pub(super) fn is_json(media_type: &str) -> bool {
    matches!(Kind::of(media_type), Kind::Json | Kind::Any | Kind::MergePatch | Kind::OtherJson)
}

/// Whether a schema is one of bytes.
fn is_file(schema: &Schema<'_>) -> bool {
    is_file_by(
        |keyword| schema.get(keyword).and_then(Schema::as_str),
        schema.get("contentEncoding").is_some(),
    )
}

/// Whether a schema that says these texts is one of bytes.
fn is_file_by<'a>(says: impl Fn(&str) -> Option<&'a str>, has_encoding: bool) -> bool {
    // 3.1 says it by a type of content, unless that is encoded into the text.
    let is_content =
        says("contentMediaType").is_some_and(|kind| !matches!(Kind::of(kind), Kind::Json | Kind::Plain));
    says("format").is_some_and(|format| matches!(format, "binary" | "file"))
        || says("type") == Some("file")
        || (is_content && !has_encoding)
}

impl Asked<'_> {
    /// Whether every call has one.
    pub(super) fn is_required(&self) -> bool {
        self.value.get("required").is_some_and(Node::is_true)
    }

    /// What stands behind `Content-Type`.
    pub(super) fn content_type(&self, format: &Format) -> String {
        let fallback = match format {
            Format::Json | Format::MergePatch => "application/json",
            Format::Text => "text/plain",
            Format::Form(_) => "application/x-www-form-urlencoded",
            // The argument may say more.
            Format::Bytes | Format::Multipart(_) => return self.media_type.to_owned(),
        };
        if self.media_type.contains('*') { fallback.to_owned() } else { self.media_type.to_owned() }
    }

    /// How it is written. What an argument cannot be is taken out of its schema.
    pub(super) fn format<'b>(&self, schema: &mut Schema<'b>, defs: &Object<'b>) -> Format {
        let kind = Kind::of(self.media_type);
        let is_text = schema.get("type").is_some_and(|kind| kind.is("string"));
        match kind {
            Kind::Any | Kind::Plain | Kind::OtherText if is_file(schema) => bytes(schema, self.media_type),
            Kind::MergePatch => {
                admit_nulls(schema);
                Format::MergePatch
            }
            Kind::Json | Kind::Any | Kind::OtherJson => Format::Json,
            Kind::Form => Format::Form(self.fields(schema, defs, false)),
            Kind::Multipart => Format::Multipart(self.fields(schema, defs, true)),
            Kind::Plain if schema.get("properties").is_none() => Format::Text,
            Kind::Plain | Kind::Yaml | Kind::Xml | Kind::OtherText => {
                text(schema, self.media_type, kind == Kind::Xml);
                Format::Text
            }
            // A type nobody knows, with members: most likely JSON under a name of its own.
            Kind::OtherBytes if schema.get("properties").is_some() => Format::Json,
            Kind::OtherBytes if is_text && !is_file(schema) && schema.get("format").is_none() => Format::Text,
            Kind::Octets | Kind::OtherBytes => bytes(schema, self.media_type),
        }
    }

    /// The fields of a form that are not written in the usual way; files among them are made arguments.
    fn fields<'b>(&self, schema: &mut Schema<'b>, defs: &Object<'b>, may_have_files: bool) -> Vec<Field> {
        let mut fields = Vec::new();
        let members = schema.get_mut("properties").and_then(Schema::as_object_mut);
        for (name, member) in members.into_iter().flat_map(Object::iter_mut) {
            let encoding = self.encoding.and_then(|all| all.get(name));
            let media_type = encoding.and_then(|said| said.get("contentType")).and_then(Node::as_str);
            let is_file = may_have_files && make_file(member, defs, media_type);
            let style = encoding.and_then(|said| style(said, member));
            let allow_reserved =
                encoding.is_some_and(|said| said.get("allowReserved").is_some_and(Node::is_true));
            if is_file || style.is_some() || allow_reserved || media_type.is_some() {
                let media_type = media_type.map(Into::into);
                fields.push(Field { name: name.into(), style, allow_reserved, media_type, is_file });
            }
        }
        fields
    }
}

/// The style of a form's field, where the document says anything of it.
fn style(encoding: Node<'_>, member: &Schema<'_>) -> Option<(Style, bool)> {
    let explode = encoding.get("explode").and_then(Node::as_bool);
    let style = match encoding.get("style").and_then(Node::as_str) {
        Some("spaceDelimited") => Style::Space,
        Some("pipeDelimited") => Style::Pipe,
        Some("tabDelimited") => Style::Tab,
        Some("deepObject") => Style::Deep,
        Some(_) => Style::Form,
        None => {
            explode?;
            Style::Form
        }
    };
    let explode = explode.unwrap_or(matches!(style, Style::Form | Style::Deep));
    // An object that dissolves into its members takes the names of other fields: it must be asked for.
    let is_said = encoding.get("style").is_some();
    let dissolves = !is_said && style == Style::Form && explode && member.get("properties").is_some();
    (!dissolves).then_some((style, explode))
}

/// Makes an argument of a member that is a file, or a list of files; false if it is neither.
fn make_file<'a>(member: &mut Schema<'a>, defs: &Object<'a>, media_type: Option<&str>) -> bool {
    let target =
        member.get("$ref").and_then(Schema::as_str).and_then(|target| target.strip_prefix("#/$defs/"));
    if let Some(target) = target.and_then(|name| defs.get(name))
        && is_file(target)
    {
        *member = target.clone();
    }
    let is_binary = media_type.is_some_and(|kind| Kind::of(kind) >= Kind::Octets);
    let is_text = |schema: &Schema<'_>| schema.get("type").is_none_or(|kind| kind.is("string"));
    if is_file(member) || (is_binary && is_text(member)) {
        as_file(member, None);
        return true;
    }
    match member.get_mut("items") {
        Some(items) if is_file(items) || (is_binary && is_text(items)) => {
            as_file(items, None);
            true
        }
        _ => false,
    }
}

/// A schema of a text.
fn text_of<'a>(description: String) -> Schema<'a> {
    let mut schema = Object::default();
    schema.push("type", "string");
    schema.push("description", description);
    schema.into()
}

/// Replaces a schema by one of a file.
fn as_file(schema: &mut Schema<'_>, media_type: Option<&str>) {
    let words = schema.get("description").and_then(Schema::as_str).map(str::trim).unwrap_or_default();
    let of =
        media_type.filter(|kind| !kind.contains('*')).map(|kind| format!(" ({kind})")).unwrap_or_default();
    let words = if words.is_empty() { String::new() } else { format!("{words}{of}\n") };
    *schema = text_of(format!("{words}{}", file::HINT));
}

/// Bytes as an argument.
fn bytes(schema: &mut Schema<'_>, media_type: &str) -> Format {
    as_file(schema, Some(media_type));
    Format::Bytes
}

/// Text as an argument; of what it should hold, the names are told.
fn text(schema: &mut Schema<'_>, media_type: &str, is_xml: bool) {
    let members = schema.get("properties").and_then(Schema::as_object);
    let names: Vec<&str> = members.into_iter().flat_map(Object::keys).take(30).collect();
    let essence = essence(media_type);
    let kind = essence.rsplit('/').next().unwrap_or_default();
    let mut said = format!("{} text", if is_xml { "XML" } else { kind });
    if !names.is_empty() {
        said = format!("{said} with: {}", names.join(", "));
    }
    let own = schema.get("description").and_then(Schema::as_str).map(str::trim).unwrap_or_default();
    if !own.is_empty() {
        said = format!("{own}\n{said}");
    }
    *schema = text_of(words::shortened(&said));
}

/// In a merge patch, null stands for a member that is to go.
fn admit_nulls(schema: &mut Schema<'_>) {
    let members = schema.get_mut("properties").and_then(Schema::as_object_mut);
    for (_, member) in members.into_iter().flat_map(Object::iter_mut) {
        let admits_any = member.as_object().is_none_or(Object::is_empty);
        if let (Some(map), false) = (member.as_object_mut(), admits_any) {
            if map.contains_key("$ref") {
                *member = Schema::one("anyOf", vec![member.take(), Schema::one("type", "null")]);
            } else {
                crate::openapi::admit_null(map);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_of_media_types_are_told_apart() {
        let kind = |media_type| Kind::of(media_type);
        assert_eq!(kind("application/json; charset=utf-8"), Kind::Json);
        assert_eq!(kind("application/vnd.api+json"), Kind::OtherJson);
        assert_eq!(kind("application/strategic-merge-patch+json"), Kind::MergePatch);
        assert_eq!(kind("application/apply-patch+yaml"), Kind::Yaml);
        assert_eq!(kind("application/atom+xml"), Kind::Xml);
        assert_eq!(kind("application/x-ndjson"), Kind::OtherText);
        assert_eq!(kind("image/*"), Kind::OtherBytes);
        assert_eq!(kind("MULTIPART/mixed"), Kind::Multipart);
    }
}
