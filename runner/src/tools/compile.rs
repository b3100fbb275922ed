//! From a document to a catalogue. Everything a call needs is kept here; the document is dropped.

use std::collections::BTreeMap;

use http::Method;
use serde_json::Value;
use serde_json::value::to_raw_value;

use super::name::Names;
use super::route::{Mock, Route};
use super::{Annotations, Catalogue, Skipped, Tool, input, security};
use crate::config::{AuthConfig, KeyPlace};
use crate::openapi::{
    Base, Builder, DocumentError, Examples, Operation, Place, Resolver, bounded, document_server, is_url,
    operations,
};

/// Characters of a tool's description.
const DESCRIPTION_MAX: usize = 1_200;
/// Characters of a tool's title.
const TITLE_MAX: usize = 200;
/// Bytes of a mock answer's body.
const MOCK_BYTES_MAX: usize = 64 << 10;

/// Where calls go.
#[derive(Debug, PartialEq, Eq)]
enum Target {
    /// To the servers of the document.
    Document,
    /// To one base, whatever the document says.
    Base(Base),
    /// Nowhere: the document's own samples are the answers.
    Mock,
}

/// What the configuration says about a catalogue.
#[derive(Debug)]
pub(crate) struct CompileOptions {
    /// Where calls go.
    target: Target,
    /// Where the document was read, if from a URL.
    document_url: Option<String>,
    /// Parameters the configuration gives, which are no arguments.
    supplied: Vec<(Place, String)>,
}

impl CompileOptions {
    /// From the configuration's own values.
    pub(crate) fn new<'a>(
        source: &Value,
        base_url: Option<&str>,
        auth: impl IntoIterator<Item = &'a AuthConfig>,
        custom_headers: &BTreeMap<String, String>,
    ) -> Result<Self, DocumentError> {
        let target = match base_url {
            None => Target::Document,
            Some("mock") => Target::Mock,
            Some(url) => Target::Base(
                Base::parse(url)
                    .map_err(|reason| DocumentError::new(format!("cannot use baseUrl: {reason}")))?,
            ),
        };
        let mut supplied: Vec<_> =
            custom_headers.keys().map(|name| (Place::Header, name.to_ascii_lowercase())).collect();
        for auth in auth {
            if let AuthConfig::ApiKey { place, name, .. } = auth {
                supplied.push(match place {
                    KeyPlace::Header => (Place::Header, name.to_ascii_lowercase()),
                    KeyPlace::Query => (Place::Query, name.clone()),
                    KeyPlace::Cookie => (Place::Cookie, name.clone()),
                });
            }
        }
        let document_url = source.as_str().filter(|source| is_url(source)).map(str::to_owned);
        Ok(Self { target, document_url, supplied })
    }

    /// Whether the configuration gives a parameter.
    fn is_supplied(&self, place: Place, name: &str) -> bool {
        self.supplied.iter().any(|(other, given)| {
            *other == place
                && if place == Place::Header { name.eq_ignore_ascii_case(given) } else { name == given }
        })
    }
}

impl Catalogue {
    /// Makes a tool of every operation it can. The document ends here.
    #[expect(clippy::needless_pass_by_value, reason = "whoever compiles a document is done with it")]
    pub(crate) fn compile(
        document: Value,
        options: &CompileOptions,
    ) -> Result<(Self, Vec<Skipped>), DocumentError> {
        let resolver = Resolver::new(&document);
        let mut compiler = Compiler {
            document: &document,
            resolver,
            builder: Builder::new(&document),
            options,
            names: Names::default(),
            catalogue: Self { tools: Vec::new(), routes: Vec::new(), bases: Vec::new() },
        };
        let mut skipped = Vec::new();
        for found in operations(&document, resolver) {
            let (operation, reason) = match &found {
                Ok(operation) => match compiler.add(operation)? {
                    Ok(()) => continue,
                    Err(reason) => (operation.label(), reason),
                },
                Err((path, reason)) => ((*path).to_owned(), reason.clone()),
            };
            skipped.push(Skipped { operation, reason });
        }
        let mut catalogue = compiler.catalogue;
        catalogue.tools.shrink_to_fit();
        catalogue.routes.shrink_to_fit();
        Ok((catalogue, skipped))
    }
}

/// A catalogue as it grows.
struct Compiler<'a> {
    /// What is compiled.
    document: &'a Value,
    /// Its references.
    resolver: Resolver<'a>,
    /// Its schemas.
    builder: Builder<'a>,
    /// The configuration.
    options: &'a CompileOptions,
    /// Names of tools.
    names: Names,
    /// What is done.
    catalogue: Catalogue,
}

impl<'a> Compiler<'a> {
    /// Adds a tool. The inner error is about this operation, the outer one ends it all.
    fn add(&mut self, operation: &Operation<'a>) -> Result<Result<(), String>, DocumentError> {
        let options = self.options;
        let supplied = |place, name: &str| options.is_supplied(place, name);
        let input = match input::read(operation, self.resolver, self.builder, &supplied) {
            Ok(input) => input,
            Err(reason) => return Ok(Err(reason)),
        };
        let base = match self.base(operation)? {
            Ok(base) => base,
            Err(reason) => return Ok(Err(reason)),
        };
        let input_schema = match to_raw_value(&input.schema) {
            Ok(schema) => schema,
            Err(error) => return Ok(Err(format!("its schema is no JSON: {error}"))),
        };
        let mock = (options.target == Target::Mock).then(|| self.mock(operation));
        let before = self.catalogue.routes.last().map(|route| &route.security);
        let security = security::read(self.document, operation.value, before);
        self.catalogue.routes.push(Route {
            method: operation.method.clone(),
            base,
            path: input.path.into(),
            query: input.query.into(),
            parameters: input.parameters.into(),
            body: input.body,
            security,
            mock,
        });
        let words =
            |keyword: &str| operation.value.get(keyword).and_then(Value::as_str).unwrap_or_default().trim();
        let title = bounded(words("summary"), TITLE_MAX);
        self.catalogue.tools.push(Tool {
            name: self.names.tool(operation.id(), &operation.label()),
            title: (!title.is_empty()).then(|| title.into()),
            description: describe(operation, words("summary"), words("description")).into(),
            input_schema,
            annotations: annotations(&operation.method),
        });
        Ok(Ok(()))
    }

    /// The index of an operation's base. That the document has none is an error of the configuration, not
    /// of one operation.
    fn base(&mut self, operation: &Operation<'a>) -> Result<Result<usize, String>, DocumentError> {
        let document_url = self.options.document_url.as_deref();
        let base = match &self.options.target {
            Target::Mock => return Ok(Ok(0)),
            Target::Base(base) => base.clone(),
            Target::Document => match operation.server(document_url) {
                Some(Ok(base)) => base,
                Some(Err(reason)) => return Ok(Err(reason)),
                None => document_server(self.document, document_url).map_err(|reason| {
                    let line = format!("cannot tell from the document where calls go: {reason}; set baseUrl");
                    DocumentError::new(line)
                })?,
            },
        };
        let bases = &mut self.catalogue.bases;
        Ok(Ok(bases.iter().position(|other| *other == base).unwrap_or_else(|| {
            bases.push(base);
            bases.len() - 1
        })))
    }

    /// The answer an operation gives without being called.
    fn mock(&self, operation: &Operation<'a>) -> Mock {
        let sample = Examples::new(self.resolver).answer(operation.value);
        let body = sample.body.map(|body| match body {
            // An example of a text is the text.
            Value::String(text) if !sample.media_type.as_deref().unwrap_or("json").contains("json") => text,
            body => body.to_string(),
        });
        Mock {
            status: sample.status.into(),
            media_type: sample.media_type.map(Into::into),
            body: body.filter(|body| body.len() <= MOCK_BYTES_MAX).map(Into::into),
        }
    }
}

/// Words for a model: what it does, whether to avoid it, and in the last resort where it is.
fn describe(operation: &Operation<'_>, summary: &str, description: &str) -> String {
    let mut text = String::new();
    if operation.value.get("deprecated") == Some(&Value::Bool(true)) {
        text.push_str("Deprecated. ");
    }
    match (summary, description) {
        ("", "") => text.push_str(&operation.label()),
        (one, "") | ("", one) => text.push_str(one),
        // Many documents say the same twice.
        (summary, description) if description.starts_with(summary) => text.push_str(description),
        (summary, description) => {
            text.push_str(summary);
            text.push_str("\n\n");
            text.push_str(description);
        }
    }
    bounded(&text, DESCRIPTION_MAX)
}

/// What a method promises (RFC 9110).
fn annotations(method: &Method) -> Annotations {
    let read_only = method.is_safe();
    Annotations { read_only, destructive: !read_only, idempotent: method.is_idempotent() }
}
