//! From operations to records, each for itself and so side by side where there are processors. What a record has to
//! know of the others (its name, its base) is not known here.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use serde_json::Value;
use serde_json::value::to_raw_value;

use super::catalogue::{About, Record};
use super::compile::{CompileOptions, Target};
use super::filter::Facts;
use super::route::{Mock, Route};
use super::{Tool, input, security, words};
use crate::openapi::{Builder, Document, Examples, Operation, Place, Resolver, operations};

/// Bytes of a mock answer's body.
const MOCK_BYTES_MAX: usize = 64 << 10;

/// What an operation came to.
#[derive(Debug)]
pub(super) enum Found<'a> {
    /// Nothing: the configuration or the document leaves it out.
    LeftOut,
    /// No tool: how a person finds it, and why.
    Skipped(String, String),
    /// A tool without a name and a base.
    Tool(Operation<'a>, Box<Record>),
}

/// Reads the operations of all paths in their order, on so many threads.
pub(super) fn all<'a>(
    document: &'a Document,
    options: &CompileOptions,
    threads: usize,
) -> Vec<Vec<Found<'a>>> {
    let resolver = document.resolver();
    let reader = Reader { document, resolver, builder: Builder::new(resolver), options };
    let paths = document.paths();
    let next = AtomicUsize::new(0);
    // Who is done takes the next path that nobody has: some take a hundred times as long as others.
    let work = || {
        let mut done = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(path) = paths.get(at) else {
                return done;
            };
            done.push((at, reader.path(path)));
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
    all.into_iter().map(|(_, found)| found).collect()
}

/// Reads operations of one document.
struct Reader<'a, 'b> {
    /// It.
    document: &'a Document,
    /// Its references.
    resolver: Resolver<'a>,
    /// Its schemas.
    builder: Builder<'a>,
    /// The configuration.
    options: &'b CompileOptions,
}

impl<'a> Reader<'a, '_> {
    /// The operations of a path.
    fn path(&self, path: &'a str) -> Vec<Found<'a>> {
        let read = |found: Result<Operation<'a>, (&str, String)>| match found {
            Ok(operation) if !self.wants(&operation) => Found::LeftOut,
            Ok(operation) => match self.record(&operation) {
                Ok(record) => Found::Tool(operation, Box::new(record)),
                Err(reason) => Found::Skipped(operation.label(), reason),
            },
            Err((path, reason)) => Found::Skipped(path.to_owned(), reason),
        };
        operations(self.document, path).into_iter().map(read).collect()
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

    /// The record of an operation, as far as it is about nothing else.
    fn record(&self, operation: &Operation<'a>) -> Result<Record, String> {
        let options = self.options;
        let supplied = |place: Place, name: &str| options.is_supplied(place, name);
        let input = input::read(operation, self.resolver, self.builder, &supplied)?;
        let input_schema = to_raw_value(&input.schema);
        Ok(Record {
            tool: Tool {
                name: Box::default(),
                title: words::title(operation),
                description: words::description(operation),
                input_schema: input_schema.map_err(|error| format!("its schema is no JSON: {error}"))?,
                output_schema: None,
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
                security: security::read(self.document.read(), operation.value),
                accept: operation.accept(self.resolver).into(),
                mock: (options.target == Target::Mock).then(|| self.mock(operation)),
            },
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
