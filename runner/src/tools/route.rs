//! One tool's way back to HTTP: from checked arguments to a request. Compiled from the document, which is
//! gone; every argument knows its place from the table made then.

use http::Method;
use http::header::{HeaderName, HeaderValue};
use http::uri::PathAndQuery;
use serde_json::Value;

use super::encode::{self, Keeps, Style};
use super::{Arguments, Catalogue, Security, validate};
use crate::openapi::{Base, Place};

/// How to call one operation.
#[derive(Debug)]
pub(super) struct Route {
    /// Its method.
    pub(super) method: Method,
    /// Index of its base in the catalogue.
    pub(super) base: usize,
    /// Its path, in pieces.
    pub(super) path: Box<[Piece]>,
    /// What the document writes behind a `?` in the path.
    pub(super) query: Box<str>,
    /// Its parameters.
    pub(super) parameters: Box<[Parameter]>,
    /// Its body.
    pub(super) body: Body,
    /// Who may call it.
    pub(super) security: Security,
    /// The answer to give instead of a call.
    pub(super) mock: Option<Mock>,
}

/// A piece of a path.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// As it is written, encoded.
    Text(Box<str>),
    /// A parameter, by its index.
    Parameter(usize),
}

/// One parameter.
#[derive(Debug)]
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

/// The body of a request, which is JSON.
#[derive(Debug)]
pub(super) enum Body {
    /// None.
    None,
    /// One argument is the whole body.
    Whole {
        /// The argument.
        argument: Box<str>,
        /// For `Content-Type`.
        media_type: Box<str>,
    },
    /// All arguments that are no parameters are the body's members.
    Members {
        /// Those with another name on the wire: argument, then wire.
        renamed: Box<[(Box<str>, Box<str>)]>,
        /// For `Content-Type`.
        media_type: Box<str>,
        /// Whether an empty object is sent when there are no members.
        is_required: bool,
    },
}

/// An answer made from the document.
#[derive(Debug)]
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
    pub(crate) method: &'a Method,
    /// Where it goes; `None` when nothing is called.
    pub(crate) base: Option<&'a Base>,
    /// Path below the base, and query.
    pub(crate) target: String,
    /// From parameters; `Cookie` among them.
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    /// `Content-Type` and body.
    pub(crate) body: Option<(&'a str, Vec<u8>)>,
    /// Who may call it.
    pub(crate) security: &'a Security,
    /// The answer to give instead.
    pub(crate) mock: Option<&'a Mock>,
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
        let (Some(tool), Some(route)) = (self.tools.get(index), self.routes.get(index)) else {
            return Err("there is no such tool".to_owned());
        };
        // Parsed for this call only.
        let schema: Value = serde_json::from_str(tool.input_schema.get())
            .map_err(|error| format!("the tool's schema is broken: {error}"))?;
        route.settle(&schema, &mut arguments);
        let problems = validate::problems(&schema, &arguments);
        if !problems.is_empty() {
            return Err(format!("cannot call {}: {}", tool.name, problems.join("; ")));
        }
        let cannot = |reason| format!("cannot call {}: {reason}", tool.name);
        Ok(Prepared {
            method: &route.method,
            base: self.bases.get(route.base),
            target: route.target(&arguments).map_err(cannot)?,
            headers: route.headers(&arguments).map_err(cannot)?,
            body: route.body(arguments),
            security: &route.security,
            mock: route.mock.as_ref(),
        })
    }
}

impl Route {
    /// Leaves out nulls that mean nothing, and reads numbers from texts where that is the same request.
    fn settle(&self, schema: &Value, arguments: &mut Arguments) {
        let nothing = Value::Null;
        let property =
            |name: &str| schema.get("properties").and_then(|all| all.get(name)).unwrap_or(&nothing);
        arguments.retain(|name, value| {
            !value.is_null()
                || (self.parameter(name).is_none() && validate::admits_null(schema, property(name)))
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
    fn headers(&self, arguments: &Arguments) -> Result<Vec<(HeaderName, HeaderValue)>, String> {
        let mut headers = Vec::new();
        for (parameter, value) in self.given(Place::Header, arguments) {
            let (style, explode) = (parameter.style, parameter.explode);
            let text = encode::flat(&parameter.wire, value, style, explode, Keeps::All);
            let refused = || format!("argument \"{}\" holds what no header may", parameter.argument);
            let name = parameter.wire.parse::<HeaderName>().map_err(|_| refused())?;
            headers.push((name, HeaderValue::from_bytes(text.as_bytes()).map_err(|_| refused())?));
        }
        let pairs =
            self.given(Place::Cookie, arguments).flat_map(|(parameter, value)| parameter.pairs(value));
        let cookies: Vec<String> = pairs.map(|(key, value)| format!("{key}={value}")).collect();
        if !cookies.is_empty() {
            let value = HeaderValue::try_from(cookies.join("; "));
            headers.push((http::header::COOKIE, value.map_err(|_| "a cookie is not valid".to_owned())?));
        }
        Ok(headers)
    }

    /// The body, from what is left of the arguments.
    fn body(&self, mut arguments: Arguments) -> Option<(&str, Vec<u8>)> {
        let (media_type, value) = match &self.body {
            Body::None => return None,
            Body::Whole { argument, media_type } => (media_type, arguments.shift_remove(&**argument)?),
            Body::Members { renamed, media_type, is_required } => {
                let is_member = |name: &str| self.parameter(name).is_none();
                let wire = |argument: String| {
                    let found = renamed.iter().find(|(from, _)| **from == *argument);
                    found.map(|(_, to)| to.to_string()).unwrap_or(argument)
                };
                let members: Arguments = arguments
                    .into_iter()
                    .filter(|(name, _)| is_member(name))
                    .map(|(name, value)| (wire(name), value))
                    .collect();
                if members.is_empty() && !is_required {
                    return None;
                }
                (media_type, Value::Object(members))
            }
        };
        // A value in memory is always JSON.
        Some((media_type, serde_json::to_vec(&value).unwrap_or_default()))
    }
}

impl Parameter {
    /// The pairs of a query or cookie parameter.
    fn pairs(&self, value: &Value) -> Vec<(String, String)> {
        let keeps = if self.allow_reserved { Keeps::Reserved } else { Keeps::Unreserved };
        encode::pairs(&self.wire, value, self.style, self.explode, keeps)
    }
}
