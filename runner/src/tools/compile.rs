//! From a document to a catalogue. Everything a call needs is kept there; the document is dropped.

use std::collections::BTreeMap;

use serde_json::Value;
use serde_json::value::to_raw_value;

use super::catalogue::{About, Draft, Record};
use super::filter::{Facts, Filter};
use super::name::Names;
use super::route::{Mock, Route};
use super::{Skipped, Tool, input, pages, security, words};
use crate::config::{AuthConfig, KeyPlace};
use crate::openapi::{
    Base, Builder, DocumentError, Examples, Operation, Place, Resolver, bounded, document_server, is_url,
    operations, output,
};

/// Bytes of a mock answer's body.
const MOCK_BYTES_MAX: usize = 64 << 10;
/// Bytes of one tool's output schema.
const OUTPUT_BYTES_MAX: usize = 2 << 10;
/// Bytes of all output schemas of a catalogue together; where they are more there are none.
const OUTPUTS_BYTES_MAX: usize = 32 << 10;
/// Characters of an API's title.
const TITLE_MAX: usize = 100;

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
    /// Which operations become tools.
    filter: Filter,
}

/// The parameters that the configuration gives: a call need not, and cannot.
pub(crate) fn supplied<'a>(
    auth: impl IntoIterator<Item = &'a AuthConfig>,
    custom_headers: &BTreeMap<String, String>,
) -> Vec<(Place, String)> {
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
    supplied
}

impl CompileOptions {
    /// From the configuration's own values.
    pub(crate) fn new(
        document: &Value,
        base_url: Option<&str>,
        supplied: Vec<(Place, String)>,
        filter: Filter,
    ) -> Result<Self, DocumentError> {
        let target = match base_url {
            None => Target::Document,
            Some("mock") => Target::Mock,
            Some(url) => Target::Base(
                Base::parse(url)
                    .map_err(|reason| DocumentError::new(format!("cannot use baseUrl: {reason}")))?,
            ),
        };
        let document_url = document.as_str().filter(|source| is_url(source)).map(str::to_owned);
        Ok(Self { target, document_url, supplied, filter })
    }

    /// Whether the configuration gives a parameter.
    fn is_supplied(&self, place: Place, name: &str) -> bool {
        self.supplied.iter().any(|(other, given)| {
            *other == place
                && if place == Place::Header { name.eq_ignore_ascii_case(given) } else { name == given }
        })
    }
}

/// Makes a tool of every operation it can. Nothing of it refers to the document.
pub(crate) fn compile(document: &Value, options: &CompileOptions) -> Result<Draft, DocumentError> {
    let resolver = Resolver::new(document);
    let mut compiler = Compiler {
        document,
        resolver,
        builder: Builder::new(document),
        options,
        names: Names::default(),
        bases: Vec::new(),
        outputs_bytes: 0,
        draft: Draft::default(),
    };
    let mut skipped = Vec::new();
    for found in operations(document, resolver) {
        let (operation, reason) = match &found {
            Ok(operation) if !compiler.wants(operation) => {
                compiler.draft.head.left_out += 1;
                continue;
            }
            Ok(operation) => match compiler.add(operation)? {
                Ok(()) => continue,
                Err(reason) => (operation.label(), reason),
            },
            Err((path, reason)) => ((*path).to_owned(), reason.clone()),
        };
        skipped.push(Skipped { operation, reason });
    }
    let (mut draft, outputs_bytes) = (compiler.draft, compiler.outputs_bytes);
    if outputs_bytes > OUTPUTS_BYTES_MAX {
        draft = draft.without_output_schemas();
    }
    let title = document.pointer("/info/title").and_then(Value::as_str).unwrap_or_default();
    draft.head.title = bounded(title, TITLE_MAX);
    draft.head.skipped = skipped;
    draft.head.bases = compiler.bases.iter().map(ToString::to_string).collect();
    let pages = pages::pages(document, std::mem::take(&mut draft.tally));
    draft.head.instructions = pages::instructions(document, &pages);
    draft.add_pages(&pages);
    Ok(draft)
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
    /// Where calls go.
    bases: Vec<Base>,
    /// Bytes of all output schemas.
    outputs_bytes: usize,
    /// What is done.
    draft: Draft,
}

impl<'a> Compiler<'a> {
    /// Whether an operation is to become a tool at all.
    fn wants(&self, operation: &Operation<'a>) -> bool {
        let facts = Facts {
            tags: &operation.tags(),
            path: operation.path,
            method: operation.method.as_str(),
            operation_id: operation.id().unwrap_or_default(),
            deprecated: operation.is_deprecated(),
        };
        !words::is_hidden(operation) && self.options.filter.keeps(facts)
    }

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
        let output_schema = output(operation.value, self.resolver, OUTPUT_BYTES_MAX)
            .filter(|_| self.outputs_bytes <= OUTPUTS_BYTES_MAX)
            .and_then(|schema| to_raw_value(&schema).ok());
        self.outputs_bytes += output_schema.as_ref().map_or(0, |schema| schema.get().len());
        let mock = (options.target == Target::Mock).then(|| self.mock(operation));
        let record = Record {
            tool: Tool {
                name: self.names.tool(words::id(operation), &operation.label()),
                title: words::title(operation),
                description: words::description(operation),
                input_schema,
                output_schema,
                annotations: words::annotations(operation),
            },
            about: About {
                operation: operation.label().into(),
                tags: operation.tags().into_iter().map(Into::into).collect(),
            },
            route: Route {
                method: operation.method.as_str().into(),
                base,
                path: input.path,
                query: input.query.into(),
                parameters: input.parameters,
                body: input.body,
                security: security::read(self.document, operation.value),
                accept: operation.accept(self.resolver).into(),
                mock,
            },
        };
        Ok(self.draft.add(&record))
    }

    /// The index of an operation's base. That the document has none is an error of the configuration, not
    /// of one operation.
    fn base(&mut self, operation: &Operation<'a>) -> Result<Result<usize, String>, DocumentError> {
        // In 3.2 a document may say itself where it is.
        let said = self.document.get("$self").and_then(Value::as_str).filter(|url| is_url(url));
        let document_url = said.or(self.options.document_url.as_deref());
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
        let bases = &mut self.bases;
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
