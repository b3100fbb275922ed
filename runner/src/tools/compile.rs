//! From a document to a catalogue. Everything a call needs is kept there; the document is dropped.

use std::collections::BTreeMap;

use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

use super::catalogue::{Draft, Record};
use super::filter::Filter;
use super::name::Names;
use super::read::{self, Found};
use super::{Skipped, pages, words};
use crate::config::{AuthConfig, KeyPlace};
use crate::openapi::{
    Base, Document, DocumentError, Operation, Place, Resolver, bounded, document_server, is_url, output,
};

/// Bytes of one tool's output schema.
const OUTPUT_BYTES_MAX: usize = 2 << 10;
/// Bytes of all output schemas of a catalogue together; where they are more there are none.
const OUTPUTS_BYTES_MAX: usize = 32 << 10;
/// Characters of an API's title.
const TITLE_MAX: usize = 100;

/// Where calls go.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Target {
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
    pub(super) target: Target,
    /// Where the document was read, if from a URL.
    document_url: Option<String>,
    /// Parameters the configuration gives, which are no arguments.
    supplied: Vec<(Place, String)>,
    /// Which operations become tools.
    pub(super) filter: Filter,
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
    pub(super) fn is_supplied(&self, place: Place, name: &str) -> bool {
        self.supplied.iter().any(|(other, given)| {
            *other == place
                && if place == Place::Header { name.eq_ignore_ascii_case(given) } else { name == given }
        })
    }
}

/// Makes a tool of every operation it can, on so many threads. Nothing of it refers to the document.
pub(crate) fn compile(
    document: &Document,
    options: &CompileOptions,
    threads: usize,
) -> Result<Draft, DocumentError> {
    let mut compiler = Compiler {
        document: document.read(),
        resolver: document.resolver(),
        options,
        names: Names::default(),
        bases: Vec::new(),
        outputs_bytes: 0,
        draft: Draft::default(),
    };
    let mut skipped = Vec::new();
    for found in read::all(document, options, threads).into_iter().flatten() {
        let (operation, reason) = match found {
            Found::LeftOut => {
                compiler.draft.head.left_out += 1;
                continue;
            }
            Found::Tool(operation, record) => match compiler.add(&operation, *record)? {
                Ok(()) => continue,
                Err(reason) => (operation.label(), reason),
            },
            Found::Skipped(operation, reason) => (operation, reason),
        };
        skipped.push(Skipped { operation, reason });
    }
    let (mut draft, document) = (compiler.draft, compiler.document);
    let title = document.pointer("/info/title").and_then(Value::as_str).unwrap_or_default();
    draft.head.title = bounded(title, TITLE_MAX);
    draft.head.skipped = skipped;
    draft.head.bases = compiler.bases.iter().map(ToString::to_string).collect();
    let pages = pages::pages(document, std::mem::take(&mut draft.tally));
    draft.head.instructions = pages::instructions(document, &pages);
    draft.add_pages(&pages);
    Ok(draft)
}

/// A catalogue as it grows: all that one tool needs to know of the others.
struct Compiler<'a> {
    /// What is compiled, but for what only references lead to.
    document: &'a Value,
    /// Its references.
    resolver: Resolver<'a>,
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
    /// Adds a tool. The inner error is about this operation, the outer one ends it all.
    fn add(
        &mut self,
        operation: &Operation<'a>,
        mut record: Record,
    ) -> Result<Result<(), String>, DocumentError> {
        record.route.base = match self.base(operation)? {
            Ok(base) => base,
            Err(reason) => return Ok(Err(reason)),
        };
        record.tool.output_schema = self.output(operation);
        record.tool.name = self.names.tool(words::id(operation), &operation.label());
        Ok(self.draft.add(&record))
    }

    /// The schema of an operation's answers. Once all of them are too much, there are none.
    fn output(&mut self, operation: &Operation<'a>) -> Option<Box<RawValue>> {
        if self.outputs_bytes > OUTPUTS_BYTES_MAX {
            return None;
        }
        let schema = to_raw_value(&output(operation.value, self.resolver, OUTPUT_BYTES_MAX)?).ok()?;
        self.outputs_bytes += schema.get().len();
        if self.outputs_bytes > OUTPUTS_BYTES_MAX {
            self.draft = std::mem::take(&mut self.draft).without_output_schemas();
            return None;
        }
        Some(schema)
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
}
