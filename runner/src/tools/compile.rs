//! From a document to a catalogue. Everything a call needs is kept there; the document is dropped.

use std::collections::BTreeMap;

use serde_json::Value;

use super::catalogue::Draft;
use super::filter::Filter;
use super::name::Names;
use super::read::{self, Found, Half, OUTPUTS_BYTES_MAX};
use super::{Skipped, pages};
use crate::config::{AuthConfig, KeyPlace};
use crate::openapi::{Base, Document, DocumentError, Node, Place, bounded, document_server, is_url};

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

    /// Where a document was read. In 3.2 it may say itself where it is.
    pub(super) fn url_of<'a>(&'a self, document: Node<'a>) -> Option<&'a str> {
        let said = document.get("$self").and_then(Node::as_str).filter(|url| is_url(url));
        said.or(self.document_url.as_deref())
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
    let found = read::all(document, options, threads);
    let document = document.root();
    let mut compiler = Compiler {
        document,
        options,
        has_outputs: outputs_bytes(&found) <= OUTPUTS_BYTES_MAX,
        names: Names::default(),
        bases: Vec::new(),
    };
    let (mut draft, mut skipped) = (Draft::default(), Vec::new());
    let mut records = Vec::with_capacity(found.len());
    for found in found {
        match found {
            Found::LeftOut => draft.head.left_out += 1,
            Found::Skipped(operation, reason) => skipped.push(Skipped { operation, reason }),
            Found::Tool(mut half) => match compiler.complete(&mut half)? {
                Ok(()) => records.push(half.record),
                Err(reason) => {
                    skipped.push(Skipped { operation: half.record.about.operation.to_string(), reason });
                }
            },
        }
    }
    draft.add_all(&records, threads);
    let title =
        document.get("info").and_then(|info| info.get("title")).and_then(Node::as_str).unwrap_or_default();
    draft.head.title = bounded(title, TITLE_MAX);
    draft.head.skipped = skipped;
    draft.head.bases = compiler.bases.iter().map(ToString::to_string).collect();
    let pages = pages::pages(document, std::mem::take(&mut draft.tally));
    draft.head.instructions = pages::instructions(document, &pages);
    draft.add_pages(&pages);
    Ok(draft)
}

/// Bytes of all output schemas.
fn outputs_bytes(found: &[Found]) -> usize {
    let bytes = found.iter().map(|found| match found {
        Found::Tool(half) => half.record.tool.output_schema.as_ref().map_or(0, |schema| schema.get().len()),
        Found::LeftOut | Found::Skipped(..) => 0,
    });
    bytes.sum()
}

/// A catalogue as it grows: all that one tool needs to know of the others.
struct Compiler<'a> {
    /// What is compiled.
    document: Node<'a>,
    /// The configuration.
    options: &'a CompileOptions,
    /// Whether tools tell what their answers look like.
    has_outputs: bool,
    /// Names of tools.
    names: Names,
    /// Where calls go.
    bases: Vec<Base>,
}

impl Compiler<'_> {
    /// Completes a tool. The inner error is about this operation, the outer one ends it all.
    fn complete(&mut self, half: &mut Half) -> Result<Result<(), String>, DocumentError> {
        let record = &mut half.record;
        record.route.base = match self.base(half.server.take())? {
            Ok(base) => base,
            Err(reason) => return Ok(Err(reason)),
        };
        record.tool.name = self.names.tool(half.id.as_deref(), &record.about.operation);
        if !self.has_outputs {
            record.tool.output_schema = None;
        }
        Ok(Ok(()))
    }

    /// The index of the base that a server is. That the document has none is an error of the configuration, not of
    /// one operation.
    fn base(&mut self, server: Option<Result<Base, String>>) -> Result<Result<usize, String>, DocumentError> {
        let base = match &self.options.target {
            Target::Mock => return Ok(Ok(0)),
            Target::Base(base) => base.clone(),
            Target::Document => match server {
                Some(Ok(base)) => base,
                Some(Err(reason)) => return Ok(Err(reason)),
                None => {
                    document_server(self.document, self.options.url_of(self.document)).map_err(|reason| {
                        let line =
                            format!("cannot tell from the document where calls go: {reason}; set baseUrl");
                        DocumentError::new(line)
                    })?
                }
            },
        };
        let bases = &mut self.bases;
        Ok(Ok(bases.iter().position(|other| *other == base).unwrap_or_else(|| {
            bases.push(base);
            bases.len() - 1
        })))
    }
}
