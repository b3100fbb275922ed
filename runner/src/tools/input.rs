//! The input of one tool: which argument stands for which parameter or part of the body, and the schema of
//! them all. Made once, from the document.

use std::sync::LazyLock;

use super::body::{Body, Format};
use super::encode::Style;
use super::name::Names;
use super::payload::{self, ANYTHING, Asked, is_json};
use super::route::{Parameter, Piece};
use super::template::Template;
use crate::openapi::{self, Builder, Built, Node, Object, Operation, Place, Resolver, Schema, Tree, bounded};
use http::HeaderName;

/// Characters of an argument's description.
const WORDS_MAX: usize = 600;
/// Headers that are not an argument's to set, whatever a document says: the runner, its configuration or
/// HTTP itself decides.
const HEADERS_NEVER_SET: [&str; 15] = [
    "accept",
    "authorization",
    "connection",
    "content-length",
    "content-type",
    "cookie",
    "expect",
    "host",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// What a tool takes, and where it goes.
#[derive(Debug)]
pub(super) struct Input<'a> {
    /// JSON Schema of the arguments.
    pub(super) schema: Schema<'a>,
    /// The path in pieces.
    pub(super) path: Vec<Piece>,
    /// What is written behind a `?` in the path.
    pub(super) query: String,
    /// The table of parameters.
    pub(super) parameters: Vec<Parameter>,
    /// The plan of the body.
    pub(super) body: Option<Body>,
}

/// A path parameter that the document uses and does not declare.
static UNDECLARED: LazyLock<Tree> = LazyLock::new(|| Tree::known(r#"{"schema": {"type": "string"}}"#));

/// Reads an operation. `is_supplied` tells the parameters that the configuration gives.
pub(super) fn read<'a>(
    operation: &Operation<'a>,
    resolver: Resolver<Node<'a>>,
    builder: Builder<'a>,
    is_supplied: &dyn Fn(Place, &str) -> bool,
) -> Result<Input<'a>, String> {
    let template = Template::parse(operation.path)?;
    let body = payload::asked(operation, resolver)?;
    let asked = parameters(operation, resolver, &template, is_supplied)?;

    let parameters = asked.iter().map(|parameter| parameter.schema().0.unwrap_or_else(|| ANYTHING.root()));
    let roots: Vec<Node<'_>> = parameters.chain(body.map(|body| body.schema)).collect();
    let Built { mut schemas, defs } = builder.build(&roots).map_err(|reason| reason.to_string())?;
    let body_schema = if body.is_some() { schemas.pop() } else { None };

    let mut input = Gathered::default();
    let mut table = Vec::with_capacity(asked.len());
    for (parameter, schema) in asked.iter().zip(schemas) {
        let name = input.names.argument(parameter.name, parameter.place.name());
        input.properties.push(name.to_string(), described(schema, parameter.value));
        if parameter.is_required() {
            input.required.push(name.to_string().into());
        }
        table.push(row(parameter, name));
    }
    let body = body.zip(body_schema).map(|(asked, mut schema)| {
        let format = asked.format(&mut schema, &defs);
        input.take_body(&asked, schema, format)
    });
    Ok(Input {
        schema: input.schema(defs),
        path: template.pieces,
        query: template.query,
        parameters: table,
        body,
    })
}

/// The parameters an operation's tool has: those of the path in its order, then the others in theirs.
fn parameters<'a>(
    operation: &Operation<'a>,
    resolver: Resolver<Node<'a>>,
    template: &Template<'a>,
    is_supplied: &dyn Fn(Place, &str) -> bool,
) -> Result<Vec<openapi::Parameter<'a>>, String> {
    let declared = operation.parameters(resolver).map_err(|reason| reason.to_string())?;
    let in_path = template.names.iter().map(|name| {
        let known = declared.iter().find(|p| p.place == Place::Path && p.name == *name).copied();
        known.unwrap_or(openapi::Parameter { place: Place::Path, name, value: UNDECLARED.root() })
    });
    let others = declared.iter().copied().filter(|parameter| match parameter.place {
        Place::Path => false,
        Place::Query => {
            !is_supplied(Place::Query, parameter.name)
                && !template.in_query.iter().any(|(key, _)| *key == parameter.name)
        }
        Place::Header => is_free_header(parameter.name) && !is_supplied(Place::Header, parameter.name),
        place => !is_supplied(place, parameter.name),
    });
    let in_query = template.in_query.iter().map(|(key, name)| {
        let known = declared.iter().find(|parameter| parameter.name == *name || parameter.name == *key);
        let value = known.map_or_else(|| UNDECLARED.root(), |parameter| parameter.value);
        openapi::Parameter { place: Place::Query, name: key, value }
    });
    Ok(in_path.chain(in_query).chain(others).collect())
}

/// Whether a header parameter may be set by a call.
fn is_free_header(name: &str) -> bool {
    name.parse::<HeaderName>().is_ok_and(|name| !HEADERS_NEVER_SET.contains(&name.as_str()))
}

/// A parameter's schema with the parameter's own words.
fn described<'a>(schema: Schema<'a>, holder: Node<'a>) -> Schema<'a> {
    let mut schema = if let Schema::Object(schema) = schema { schema } else { Object::default() };
    if let Some(words) = holder.get("description").and_then(Node::as_str).filter(|words| !words.is_empty()) {
        schema.insert("description", bounded(words, WORDS_MAX));
    }
    if holder.get("deprecated").is_some_and(Node::is_true) {
        schema.insert("deprecated", true);
    }
    schema.into()
}

/// A parameter's row in the table. What a style does not say is what the specification says.
fn row(parameter: &openapi::Parameter<'_>, argument: Box<str>) -> Parameter {
    let (_, media_type) = parameter.schema();
    let style = parameter.value.get("style").and_then(Node::as_str).unwrap_or_default();
    let style = match (media_type.is_some_and(is_json), parameter.place, style) {
        (true, ..) => Style::Json,
        (_, Place::Path, "label") => Style::Label,
        (_, Place::Path, "matrix") => Style::Matrix,
        (_, Place::Query, "spaceDelimited") => Style::Space,
        (_, Place::Query, "pipeDelimited") => Style::Pipe,
        (_, Place::Query, "tabDelimited") => Style::Tab,
        (_, Place::Query, "deepObject") => Style::Deep,
        (_, Place::Cookie, "cookie") => Style::Cookie,
        (_, Place::Query | Place::Cookie | Place::Querystring, _) => Style::Form,
        (_, Place::Path | Place::Header, _) => Style::Simple,
    };
    let flag = |keyword: &str| parameter.value.get(keyword).and_then(Node::as_bool);
    Parameter {
        argument,
        wire: parameter.name.into(),
        place: parameter.place,
        style,
        explode: flag("explode").unwrap_or(matches!(style, Style::Form | Style::Cookie | Style::Deep)),
        allow_reserved: flag("allowReserved").unwrap_or(false),
    }
}

/// The input as it grows.
#[derive(Default)]
struct Gathered<'a> {
    /// Names of arguments.
    names: Names,
    /// Their schemas.
    properties: Object<'a>,
    /// Those every call gives.
    required: Vec<Schema<'a>>,
}

impl<'a> Gathered<'a> {
    /// Takes the body in: its members side by side with the parameters where that says the same, else the
    /// whole as one argument.
    fn take_body(&mut self, asked: &Asked<'a>, schema: Schema<'a>, format: Format) -> Body {
        let media_type = asked.content_type(&format).into();
        let is_required = asked.is_required();
        let mut schema = match schema {
            Schema::Object(schema) if self.can_take_members(&schema, is_required, &format) => schema,
            schema => {
                let argument = self.names.argument("body", "request");
                if is_required {
                    self.required.push(argument.to_string().into());
                }
                self.properties.push(argument.to_string(), described_body(schema, asked.value));
                let renamed = Vec::new();
                return Body { argument: Some(argument), renamed, media_type, is_required, format };
            }
        };
        let mut renamed = Vec::new();
        let required = schema.remove("required");
        let required = required.as_ref().map_or(&[][..], Schema::as_list);
        if let Some(Schema::Object(members)) = schema.remove("properties") {
            for (wire, member) in members {
                let argument = self.names.argument(&wire, "body");
                if required.iter().any(|name| name.is(&wire)) {
                    self.required.push(argument.to_string().into());
                }
                self.properties.push(argument.to_string(), member);
                if *argument != *wire {
                    renamed.push((argument, wire.into()));
                }
            }
        }
        Body { argument: None, renamed, media_type, is_required, format }
    }

    /// Whether a body is a plain object none of whose members has a parameter's name, and nothing is lost
    /// when they stand at the top: no keyword about the object as a whole, no members under names unknown,
    /// and none required in a body that may be left out.
    fn can_take_members(&self, schema: &Object<'_>, is_required: bool, format: &Format) -> bool {
        if matches!(format, Format::Text | Format::Bytes) {
            return false;
        }
        let is_plain = schema.iter().all(|(keyword, value)| match keyword {
            "properties" | "title" | "description" | "default" | "examples" | "deprecated" => true,
            "type" => value.is("object"),
            "additionalProperties" => value.is_false(),
            "required" => is_required,
            _ => false,
        });
        let members = schema.get("properties").and_then(Schema::as_object);
        let is_new = |name: &str| !self.names.is_taken(name);
        let required = schema.get("required").map_or(&[][..], Schema::as_list);
        let is_known = |name: &Schema<'_>| {
            name.as_str().is_some_and(|name| members.is_some_and(|all| all.contains_key(name)))
        };
        is_plain
            && members.is_some_and(|members| !members.is_empty() && members.keys().all(is_new))
            && required.iter().all(is_known)
    }

    /// The schema of all arguments.
    fn schema(self, defs: Object<'a>) -> Schema<'a> {
        let mut schema = Object::default();
        schema.push("type", "object");
        schema.push("properties", self.properties);
        if !self.required.is_empty() {
            schema.push("required", self.required);
        }
        schema.push("additionalProperties", false);
        if !defs.is_empty() {
            schema.push("$defs", defs);
        }
        schema.into()
    }
}

/// The whole body's schema; the request body's words serve where it has none of its own.
fn described_body<'a>(schema: Schema<'a>, holder: Node<'a>) -> Schema<'a> {
    if schema.get("description").is_some() { schema } else { described(schema, holder) }
}
