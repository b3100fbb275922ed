//! One tool's way back to HTTP: from checked arguments to a request. Compiled from the document, which is
//! gone; every argument knows its place from the table made then.

use std::sync::Arc;

use http::Method;
use http::header::{HeaderName, HeaderValue};
use http::uri::PathAndQuery;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::body::{self, Body, Format, Ready};
use super::catalogue::Record;
use super::encode::{self, Keeps, Style};
use super::{Arguments, Catalogue, Security, validate};
use crate::openapi::{Base, Place};

/// Names of parameters that make an answer smaller, as APIs call them.
const NARROWING: [&str; 22] = [
    "cursor", "count", "fields", "filter", "first", "from", "limit", "max", "offset", "page", "pagesize",
    "perpage", "q", "query", "search", "select", "since", "size", "skip", "take", "top", "until",
];

/// How to call one operation.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Route {
    /// Its method.
    pub(super) method: Box<str>,
    /// Index of its base in the catalogue.
    pub(super) base: usize,
    /// Its path, in pieces.
    pub(super) path: Vec<Piece>,
    /// What the document writes behind a `?` in the path.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub(super) query: Box<str>,
    /// Its parameters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) parameters: Vec<Parameter>,
    /// Its body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) body: Option<Body>,
    /// Who may call it.
    #[serde(default, skip_serializing_if = "<[_]>::is_empty")]
    pub(super) security: Security,
    /// For `Accept`; empty when the document does not say.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub(super) accept: Box<str>,
    /// The answer to give instead of a call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) mock: Option<Mock>,
}

/// A piece of a path.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Piece {
    /// As it is written, encoded.
    Text(Box<str>),
    /// A parameter, by its index.
    Parameter(usize),
}

/// One parameter.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Parameter {
    /// Name of the argument it takes.
    pub(super) argument: Box<str>,
    /// Name on the wire.
    pub(super) wire: Box<str>,
    /// Where it goes.
    pub(super) place: Place,
    /// How it is written.
    pub(super) style: Style,
    /// Whether its parts are written one by one.
    pub(super) explode: bool,
    /// Whether reserved characters are written as they are.
    pub(super) allow_reserved: bool,
}

/// An answer made from the document.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Mock {
    /// As the document writes it.
    pub(crate) status: Box<str>,
    /// Its media type, when there is a body.
    pub(crate) media_type: Option<Box<str>>,
    /// Its body as text, when the document has or allows one.
    pub(crate) body: Option<Box<str>>,
}

/// A request that waits for a base, credentials and a socket.
#[derive(Debug)]
pub(crate) struct Prepared<'a> {
    /// Its method.
    pub(crate) method: Method,
    /// Where it goes; `None` when nothing is called.
    pub(crate) base: Option<&'a Base>,
    /// Path below the base, and query.
    pub(crate) target: String,
    /// From parameters; `Cookie` among them.
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    /// `Content-Type` and body.
    pub(crate) body: Option<Ready>,
    /// What is the same for every call of the tool.
    pub(crate) tool: Arc<Callable>,
}

/// A tool, parsed for calls.
#[derive(Debug)]
pub(crate) struct Callable {
    /// Its name.
    pub(super) name: Box<str>,
    /// Its method.
    method: Method,
    /// What its arguments must be.
    input_schema: Value,
    /// Arguments that would make the answer smaller.
    pub(crate) narrowing: Box<[Box<str>]>,
    /// What structured content must conform to.
    pub(crate) output_schema: Option<Value>,
    /// For `Accept`; absent when the document does not say.
    pub(crate) accept: Option<HeaderValue>,
    /// Whether the document wants an argument told by a header of the client's request (`x-mcp-header`).
    has_headers: bool,
    /// How to call it.
    route: Route,
}

impl Callable {
    /// Parses the rest of a record.
    fn new(record: Record) -> Result<Self, String> {
        let Record { tool, route, .. } = record;
        let input_schema = serde_json::from_str(tool.input_schema.get())
            .map_err(|error| format!("the tool's schema is broken: {error}"))?;
        let method = Method::from_bytes(route.method.as_bytes())
            .map_err(|_| format!("cannot call {}: its method is none of HTTP", tool.name))?;
        let output_schema = tool.output_schema.and_then(|schema| serde_json::from_str(schema.get()).ok());
        let accept = HeaderValue::from_str(&route.accept).ok().filter(|accept| !accept.is_empty());
        let (name, narrowing) = (tool.name, route.narrowing());
        let has_headers = tool.input_schema.get().contains("x-mcp-header");
        Ok(Self { name, method, input_schema, narrowing, output_schema, accept, has_headers, route })
    }

    /// Who may call it.
    pub(crate) fn security(&self) -> &Security {
        &self.route.security
    }

    /// The answer to give instead of a call.
    pub(crate) fn mock(&self) -> Option<&Mock> {
        self.route.mock.as_ref()
    }
}

impl Prepared<'_> {
    /// The target without its query, which may hold what is nobody's business.
    pub(crate) fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }
}

impl Catalogue {
    /// Checks a call's arguments and makes its request. An error is for the model to read.
    pub(crate) fn prepare(&self, index: usize, mut arguments: Arguments) -> Result<Prepared<'_>, String> {
        let tool = self.callable(index)?;
        let (schema, route) = (&tool.input_schema, &tool.route);
        route.settle(schema, &mut arguments);
        let problems = validate::problems(schema, &arguments);
        if !problems.is_empty() {
            return Err(format!("cannot call {}: {}", tool.name, problems.join("; ")));
        }
        let cannot = |reason| format!("cannot call {}: {reason}", tool.name);
        Ok(Prepared {
            method: tool.method.clone(),
            base: self.base(route.base),
            target: route.target(&arguments).map_err(cannot)?,
            headers: route.headers(schema, &arguments).map_err(cannot)?,
            body: match &route.body {
                Some(body) => body.make(arguments, |name| route.parameter(name).is_some()).map_err(cannot)?,
                None => None,
            },
            tool,
        })
    }

    /// Whether an argument of a tool is to be told by a header of the client's request too; so if nobody knows.
    pub(crate) fn has_headers(&self, index: usize) -> bool {
        self.callable(index).map_or(true, |tool| tool.has_headers)
    }

    /// A tool, parsed, as it is kept while it is called again and again.
    fn callable(&self, index: usize) -> Result<Arc<Callable>, String> {
        if let Some(tool) = self.warm.get(index) {
            return Ok(tool);
        }
        let (record, text_bytes) =
            self.record(index).map_err(|error| format!("cannot read the tool: {error}"))?;
        let tool = Arc::new(Callable::new(record)?);
        self.warm.keep(index, text_bytes, &tool);
        Ok(tool)
    }
}

impl Route {
    /// Leaves out nulls that mean nothing, and reads numbers from texts where that is the same request.
    fn settle(&self, schema: &Value, arguments: &mut Arguments) {
        let nothing = Value::Null;
        let property =
            |name: &str| schema.get("properties").and_then(|all| all.get(name)).unwrap_or(&nothing);
        let deletes = self.body.as_ref().is_some_and(|body| body.format == Format::MergePatch);
        arguments.retain(|name, value| {
            !value.is_null()
                || (self.parameter(name).is_none()
                    && (deletes || validate::admits_null(schema, property(name))))
        });
        for parameter in &self.parameters {
            if let Some(value) = arguments.get_mut(&*parameter.argument) {
                validate::from_text(property(&parameter.argument), value);
            }
        }
    }

    /// The parameter an argument is for.
    fn parameter(&self, argument: &str) -> Option<&Parameter> {
        self.parameters.iter().find(|parameter| *parameter.argument == *argument)
    }

    /// The arguments that would make the answer smaller.
    fn narrowing(&self) -> Box<[Box<str>]> {
        let narrows = |parameter: &&Parameter| {
            let letters = parameter.wire.chars().filter(char::is_ascii_alphabetic);
            let plain: String = letters.map(|c| c.to_ascii_lowercase()).collect();
            parameter.place == Place::Query
                && NARROWING.iter().any(|name| plain == *name || plain == format!("max{name}"))
        };
        self.parameters.iter().filter(narrows).map(|parameter| parameter.argument.clone()).collect()
    }

    /// The parameters of a place that have a value.
    fn given<'a>(
        &'a self,
        place: Place,
        arguments: &'a Arguments,
    ) -> impl Iterator<Item = (&'a Parameter, &'a Value)> {
        let here = self.parameters.iter().filter(move |parameter| parameter.place == place);
        here.filter_map(|parameter| Some((parameter, arguments.get(&*parameter.argument)?)))
    }

    /// Path and query.
    fn target(&self, arguments: &Arguments) -> Result<String, String> {
        let mut target = String::new();
        for piece in &self.path {
            match piece {
                Piece::Text(text) => target.push_str(text),
                Piece::Parameter(index) => target.push_str(&self.in_path(*index, arguments)?),
            }
        }
        // Two parameters side by side may make together what neither may be.
        if target.split('/').any(encode::climbs) {
            return Err("the arguments make a path that leads out of the operation's own".to_owned());
        }
        let mut separator = '?';
        let mut append = |text: &str| {
            target.push(separator);
            target.push_str(text);
            separator = '&';
        };
        if !self.query.is_empty() {
            append(&self.query);
        }
        for (parameter, value) in self.given(Place::Query, arguments) {
            for (key, value) in parameter.pairs(value) {
                append(&format!("{key}={value}"));
            }
        }
        for (_, value) in self.given(Place::Querystring, arguments) {
            append(&body::whole_query(value));
        }
        // Whatever slipped through would be refused here rather than sent.
        target.parse::<PathAndQuery>().map_err(|_| "the arguments make no valid URL".to_owned())?;
        Ok(target)
    }

    /// One path parameter, encoded whole: it stays one piece of the path.
    fn in_path(&self, index: usize, arguments: &Arguments) -> Result<String, String> {
        let missing = || "a path parameter is missing".to_owned();
        let parameter = self.parameters.get(index).ok_or_else(missing)?;
        let name = &parameter.argument;
        let value = arguments.get(&**name).ok_or_else(|| format!("argument \"{name}\" is missing"))?;
        let (style, explode) = (parameter.style, parameter.explode);
        let text = encode::flat(&parameter.wire, value, style, explode, Keeps::Unreserved);
        if text.is_empty() {
            return Err(format!("argument \"{name}\" is empty, and it is a part of the path"));
        }
        if encode::climbs(&text) {
            return Err(format!("argument \"{name}\" has \".\" or \"..\" as a part, which a path may not"));
        }
        Ok(text)
    }

    /// Header parameters, and one `Cookie` from all cookie parameters.
    fn headers(
        &self,
        schema: &Value,
        arguments: &Arguments,
    ) -> Result<Vec<(HeaderName, HeaderValue)>, String> {
        let mut headers = Vec::new();
        for (parameter, value) in self.given(Place::Header, arguments) {
            let (style, explode) = (parameter.style, parameter.explode);
            let text = encode::flat(&parameter.wire, value, style, explode, Keeps::All);
            let refused = || format!("argument \"{}\" holds what no header may", parameter.argument);
            let name = parameter.wire.parse::<HeaderName>().map_err(|_| refused())?;
            headers.push((name, HeaderValue::from_bytes(text.as_bytes()).map_err(|_| refused())?));
        }
        let mut cookies: Vec<String> = Vec::new();
        for (parameter, value) in self.given(Place::Cookie, arguments) {
            // Its members become cookies of their own, and a session must not be one of them.
            let unknown =
                if parameter.explode { validate::unnamed(schema, &parameter.argument, value) } else { None };
            if let Some(member) = unknown {
                return Err(format!("argument \"{}\" has no member {member:?}", parameter.argument));
            }
            let pairs = parameter.pairs(value);
            if pairs.iter().any(|(_, value)| value.contains(';')) {
                let name = &parameter.argument;
                return Err(format!("argument \"{name}\" has a \";\", which would end the cookie"));
            }
            cookies.extend(pairs.into_iter().map(|(key, value)| format!("{key}={value}")));
        }
        if !cookies.is_empty() {
            let value = HeaderValue::try_from(cookies.join("; "));
            headers.push((http::header::COOKIE, value.map_err(|_| "a cookie is not valid".to_owned())?));
        }
        Ok(headers)
    }
}

impl Parameter {
    /// The pairs of a query or cookie parameter.
    fn pairs(&self, value: &Value) -> Vec<(String, String)> {
        let keeps = match (self.style, self.place) {
            (Style::Cookie, _) => Keeps::All,
            // A semicolon would end a cookie.
            (_, Place::Cookie) => Keeps::Unreserved,
            _ if self.allow_reserved => Keeps::Reserved,
            _ => Keeps::Unreserved,
        };
        encode::pairs(&self.wire, value, self.style, self.explode, keeps)
    }
}
