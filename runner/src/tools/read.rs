//! From operations to records, each for itself and so side by side where there are processors. What a record has to
//! know of the others (its name, its base) is not known here.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

use super::catalogue::{About, Record};
use super::compile::{CompileOptions, Target};
use super::filter::Facts;
use super::route::{Mock, Route};
use super::{Tool, input, security, words};
use crate::openapi::{
    Base, Builder, Document, Examples, Node, Operation, Place, Resolver, operations, output,
};

/// Bytes of a mock answer's body.
const MOCK_BYTES_MAX: usize = 64 << 10;
/// Bytes of one tool's output schema.
const OUTPUT_BYTES_MAX: usize = 2 << 10;
/// Bytes of all output schemas of a catalogue together; where they are more there are none.
pub(super) const OUTPUTS_BYTES_MAX: usize = 32 << 10;

/// What an operation came to.
#[derive(Debug)]
pub(super) enum Found {
    /// Nothing: the configuration or the document leaves it out.
    LeftOut,
    /// No tool: how a person finds it, and why.
    Skipped(String, String),
    /// A tool, but for what others have a say in.
    Tool(Box<Half>),
}

/// A tool, but for what others have a say in.
#[derive(Debug)]
pub(super) struct Half {
    /// What it wants to be called.
    pub(super) id: Option<String>,
    /// Where calls go; `None`: where those of the document go.
    pub(super) server: Option<Result<Base, String>>,
    /// All else. Its name and its base are still to come.
    pub(super) record: Record,
}

/// Reads the operations of all paths in their order, on so many threads.
pub(super) fn all(document: &Document, options: &CompileOptions, threads: usize) -> Vec<Found> {
    let resolver = document.resolver();
    let outputs_bytes = AtomicUsize::new(0);
    let reader = Reader { document, resolver, builder: Builder::new(resolver), options, outputs_bytes };
    let paths = document.paths();
    let next = AtomicUsize::new(0);
    // Who is done takes the next path that nobody has: some take a hundred times as long as others.
    let work = || {
        let mut done = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some((path, written)) = paths.get(at) else {
                return done;
            };
            done.push((at, reader.path(path, *written)));
        }
    };
    let mut all = thread::scope(|scope| {
        // A thread that cannot be had is one less.
        let spawn = |_| thread::Builder::new().spawn_scoped(scope, work).ok();
        let others: Vec<_> = (1..threads).filter_map(spawn).collect();
        let mut all = work();
        for other in others {
            all.extend(other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        all
    });
    all.sort_unstable_by_key(|(at, _)| *at);
    all.into_iter().flat_map(|(_, found)| found).collect()
}

/// Reads operations of one document.
struct Reader<'a, 'b> {
    /// It.
    document: &'a Document,
    /// Its references.
    resolver: Resolver<Node<'a>>,
    /// Its schemas.
    builder: Builder<'a>,
    /// The configuration.
    options: &'b CompileOptions,
    /// Bytes of all output schemas so far.
    outputs_bytes: AtomicUsize,
}

impl<'a> Reader<'a, '_> {
    /// The operations of a path.
    fn path(&self, path: &'a str, written: Option<Node<'a>>) -> Vec<Found> {
        let Some(written) = written else {
            return vec![Found::Skipped(path.to_owned(), "it is more than JSON allows".to_owned())];
        };
        let read = |found: Result<Operation<'a>, (&str, String)>| match found {
            Ok(operation) if !self.wants(&operation) => Found::LeftOut,
            Ok(operation) => match self.half(&operation) {
                Ok(half) => Found::Tool(Box::new(half)),
                Err(reason) => Found::Skipped(operation.label(), reason),
            },
            Err((path, reason)) => Found::Skipped(path.to_owned(), reason),
        };
        operations(self.resolver, path, written).into_iter().map(read).collect()
    }

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

    /// The schema of an operation's answers. Once all of them are too much, they are not needed.
    fn output(&self, operation: &Operation<'a>) -> Option<Box<RawValue>> {
        if self.outputs_bytes.load(Ordering::Relaxed) > OUTPUTS_BYTES_MAX {
            return None;
        }
        let schema = to_raw_value(&output(operation.value, self.resolver, OUTPUT_BYTES_MAX)?).ok()?;
        self.outputs_bytes.fetch_add(schema.get().len(), Ordering::Relaxed);
        Some(schema)
    }

    /// An operation, as far as it is about nothing else.
    fn half(&self, operation: &Operation<'a>) -> Result<Half, String> {
        let options = self.options;
        let supplied = |place: Place, name: &str| options.is_supplied(place, name);
        let input = input::read(operation, self.resolver, self.builder, &supplied)?;
        let input_schema = to_raw_value(&input.schema);
        let record = Record {
            tool: Tool {
                name: Box::default(),
                title: words::title(operation),
                description: words::description(operation),
                input_schema: input_schema.map_err(|error| format!("its schema is no JSON: {error}"))?,
                output_schema: self.output(operation),
                annotations: words::annotations(operation),
            },
            about: About {
                operation: operation.label().into(),
                tags: operation.tags().into_iter().map(Into::into).collect(),
            },
            route: Route {
                method: operation.method.as_str().into(),
                base: 0,
                path: input.path,
                query: input.query.into(),
                parameters: input.parameters,
                body: input.body,
                security: security::read(self.document.root(), operation.value),
                accept: operation.accept(self.resolver).into(),
                mock: (options.target == Target::Mock).then(|| self.mock(operation)),
            },
        };
        Ok(Half {
            id: words::id(operation).map(str::to_owned),
            server: operation.server(options.url_of(self.document.root())),
            record,
        })
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
