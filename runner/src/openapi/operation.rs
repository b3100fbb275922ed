//! The operations of a document, each with the parameters and the server that hold for it. Reads only.

use super::{Base, Members, Node, Resolver, Unresolved, server};
use http::Method;
use serde::{Deserialize, Serialize};

/// The methods of a path item, in the order tools are listed in when a path has several.
const METHODS: [(&str, Method); 8] = [
    ("get", Method::GET),
    ("post", Method::POST),
    ("put", Method::PUT),
    ("patch", Method::PATCH),
    ("delete", Method::DELETE),
    ("head", Method::HEAD),
    ("options", Method::OPTIONS),
    ("trace", Method::TRACE),
];

/// Media types that one `Accept` names.
const ACCEPTED_MAX: usize = 6;

/// Where a parameter goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Place {
    /// Into the path.
    Path,
    /// Into the query.
    Query,
    /// Into a header.
    Header,
    /// Into the `Cookie` header.
    Cookie,
    /// It is the whole query (3.2).
    Querystring,
}

impl Place {
    /// From the document's `in`.
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "path" => Self::Path,
            "query" => Self::Query,
            "header" => Self::Header,
            "cookie" => Self::Cookie,
            "querystring" => Self::Querystring,
            _ => return None,
        })
    }

    /// As the document says it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::Query => "query",
            Self::Header => "header",
            Self::Cookie => "cookie",
            Self::Querystring => "querystring",
        }
    }
}

/// One parameter of an operation, references followed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Parameter<'a> {
    /// Where it goes.
    pub(crate) place: Place,
    /// Its name there.
    pub(crate) name: &'a str,
    /// Its parameter object.
    pub(crate) value: Node<'a>,
}

impl<'a> Parameter<'a> {
    /// Whether a call must give it.
    pub(crate) fn is_required(&self) -> bool {
        self.place == Place::Path || self.value.get("required").is_some_and(Node::is_true)
    }

    /// Its schema, and the media type it is to be written in where it has one (`content`).
    pub(crate) fn schema(&self) -> (Option<Node<'a>>, Option<&'a str>) {
        let content = self.value.get("content").and_then(Node::as_object).and_then(|mut all| all.next());
        match (self.value.get("schema"), content) {
            (None, Some((media_type, media))) => (media.get("schema"), Some(media_type)),
            (schema, _) => (schema, None),
        }
    }
}

/// One operation where it stands in the document.
#[derive(Debug)]
pub(crate) struct Operation<'a> {
    /// Its method.
    pub(crate) method: Method,
    /// Its path, as written.
    pub(crate) path: &'a str,
    /// Its operation object.
    pub(crate) value: Node<'a>,
    /// The path item it is in.
    item: Node<'a>,
}

impl<'a> Operation<'a> {
    /// How a person finds it: `GET /pets`.
    pub(crate) fn label(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    /// Its `operationId`, when it has one.
    pub(crate) fn id(&self) -> Option<&'a str> {
        self.value.get("operationId")?.as_str().filter(|id| !id.trim().is_empty())
    }

    /// What it says under a keyword, else what its path says.
    pub(crate) fn says(&self, keyword: &str) -> Option<Node<'a>> {
        self.value.get(keyword).or_else(|| self.item.get(keyword))
    }

    /// Its tags.
    pub(crate) fn tags(&self) -> Vec<&'a str> {
        let tags = self.value.get("tags").and_then(Node::as_array);
        tags.into_iter().flatten().filter_map(Node::as_str).collect()
    }

    /// Whether callers are to use something else.
    pub(crate) fn is_deprecated(&self) -> bool {
        self.value.get("deprecated").is_some_and(Node::is_true)
    }

    /// What to ask for with `Accept`: the media types of its successful answers, JSON first. Empty when it says
    /// none.
    pub(crate) fn accept(&self, resolver: Resolver<Node<'a>>) -> String {
        let responses = self.value.get("responses").and_then(Node::as_object);
        let good = responses.into_iter().flatten().filter(|(status, _)| status.starts_with('2'));
        let contents =
            good.filter_map(|(_, response)| resolver.follow(response).ok()?.get("content")?.as_object());
        let allowed = |c: char| c.is_ascii_alphanumeric() || "/+-._*; =\"".contains(c);
        let mut kinds: Vec<&str> = Vec::new();
        for kind in contents.flatten().map(|(kind, _)| kind.trim()) {
            if kind.contains('/') && kind.chars().all(allowed) && !kinds.contains(&kind) {
                kinds.push(kind);
            }
        }
        // Sorted without changing the order among equals.
        kinds.sort_by_key(|kind| (*kind != "application/json", !kind.contains("json"), kind.contains('*')));
        kinds.truncate(ACCEPTED_MAX);
        if kinds.is_empty() || kinds == ["*/*"] {
            return String::new();
        }
        kinds.retain(|kind| *kind != "*/*");
        format!("{}, */*;q=0.1", kinds.join(", "))
    }

    /// Its own parameters and those of its path, its own winning. A parameter that can be left out and makes
    /// no sense is left out.
    pub(crate) fn parameters(&self, resolver: Resolver<Node<'a>>) -> Result<Vec<Parameter<'a>>, Unresolved> {
        let mut all: Vec<Parameter<'a>> = Vec::new();
        for holder in [self.item, self.value] {
            let Some(list) = holder.get("parameters").and_then(Node::as_array) else {
                continue;
            };
            for written in list {
                let value = resolver.follow(written)?;
                let place = value.get("in").and_then(Node::as_str).and_then(Place::parse);
                let name = value.get("name").and_then(Node::as_str).filter(|name| !name.is_empty());
                let name = name.or_else(|| (place == Some(Place::Querystring)).then_some("query"));
                let (Some(place), Some(name)) = (place, name) else {
                    continue;
                };
                let parameter = Parameter { place, name, value };
                match all.iter_mut().find(|other| other.place == place && other.name == name) {
                    Some(other) => *other = parameter,
                    None => all.push(parameter),
                }
            }
        }
        Ok(all)
    }

    /// The server of the operation, else of its path; `None` when neither has one.
    pub(crate) fn server(&self, document_url: Option<&str>) -> Option<Result<Base, String>> {
        server::first(self.value, document_url).or_else(|| server::first(self.item, document_url))
    }
}

/// The server of a whole document. One without servers has `/`, by the specification.
pub(crate) fn document_server(document: Node<'_>, document_url: Option<&str>) -> Result<Base, String> {
    server::first(document, document_url).unwrap_or_else(|| {
        server::relative("/", document_url)
            .map_err(|_| "it names no server and it was not read from a URL".to_owned())
    })
}

/// The operations of a path, in their order, from what is written of it. What cannot be read comes back as the path
/// and the reason.
pub(crate) fn operations<'a>(
    resolver: Resolver<Node<'a>>,
    path: &'a str,
    written: Node<'a>,
) -> Vec<Result<Operation<'a>, (&'a str, String)>> {
    let mut found = Vec::new();
    let item = match resolver.follow(written) {
        Ok(item) => item,
        Err(reason) => return vec![Err((path, reason.to_string()))],
    };
    // A path item may hold a reference and methods beside it.
    for holder in [Some(item), written.reference().is_some().then_some(written)].into_iter().flatten() {
        let methods = holder.as_object();
        found.extend(methods.into_iter().flat_map(|methods| in_item(path, holder, methods)).map(Ok));
        let additional = holder.get("additionalOperations").and_then(Node::as_object);
        found.extend(additional.into_iter().flat_map(|methods| additional_in(path, holder, methods)));
    }
    found
}

/// The operations of one path item.
fn in_item<'a>(path: &'a str, item: Node<'a>, methods: Members<'a>) -> impl Iterator<Item = Operation<'a>> {
    let query = Method::from_bytes(b"QUERY").ok().map(|method| ("query", method));
    METHODS.into_iter().chain(query).filter_map(move |(name, method)| {
        let value = methods.get(name).filter(|value| value.is_object())?;
        Some(Operation { method, path, value, item })
    })
}

/// The operations of a path item whose methods have no keyword of their own (3.2).
fn additional_in<'a>(
    path: &'a str,
    item: Node<'a>,
    methods: Members<'a>,
) -> impl Iterator<Item = Result<Operation<'a>, (&'a str, String)>> {
    methods.filter(|(_, value)| value.is_object()).map(move |(name, value)| {
        match Method::from_bytes(name.as_bytes()) {
            // This one would turn the connection into something else.
            Ok(method) if method != Method::CONNECT => Ok(Operation { method, path, value, item }),
            _ => Err((path, format!("{name:?} is no method of HTTP that can be sent"))),
        }
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::openapi::Document;

    /// All operations of a document.
    fn all(document: &Document) -> Vec<Result<Operation<'_>, (&str, String)>> {
        let paths = document.paths().into_iter();
        paths.flat_map(|(path, written)| operations(document.resolver(), path, written.unwrap())).collect()
    }

    #[test]
    fn operations_come_in_order_with_their_parameters() {
        let document = json!({
            "paths": {
                "/b/{id}": {
                    "parameters": [
                        {"name": "id", "in": "path"},
                        {"name": "page", "in": "query", "description": "of the path"},
                        {"name": "odd", "in": "nowhere"},
                    ],
                    "delete": {},
                    "get": {"parameters": [{"$ref": "#/components/parameters/page"}]},
                },
                "/a": {"$ref": "#/nowhere"},
            },
            "components": {"parameters": {"page": {"name": "page", "in": "query", "required": true}}},
        });
        let document = Document::from(document);
        let (resolver, found) = (document.resolver(), all(&document));
        let labels: Vec<_> = found
            .iter()
            .map(|f| f.as_ref().map_or_else(|(path, _)| format!("bad {path}"), Operation::label))
            .collect();
        assert_eq!(labels, ["GET /b/{id}", "DELETE /b/{id}", "bad /a"]);
        let parameters = found[0].as_ref().unwrap().parameters(resolver).unwrap();
        let names: Vec<_> = parameters.iter().map(|p| (p.name, p.place, p.is_required())).collect();
        assert_eq!(names, [("id", Place::Path, true), ("page", Place::Query, true)]);
    }

    #[test]
    fn the_nearest_server_wins() {
        let document = json!({
            "servers": [{"url": "https://root.example/v1"}],
            "paths": {"/a": {
                "servers": [{"url": "https://path.example"}],
                "get": {"servers": [{"url": "https://own.example"}]},
                "put": {},
            }, "/b": {"get": {}}},
        });
        let document = Document::from(document);
        let found = all(&document);
        let own = |at: usize| {
            let server = found[at].as_ref().unwrap().server(None);
            server.map(|base| base.unwrap().to_string())
        };
        assert_eq!(own(0).as_deref(), Some("https://own.example"));
        assert_eq!(own(1).as_deref(), Some("https://path.example"));
        assert_eq!(own(2), None);
        assert_eq!(document_server(document.root(), None).unwrap().to_string(), "https://root.example/v1");
    }

    #[test]
    fn a_document_without_servers_lives_where_it_was_read() {
        let nothing = Document::from(json!({}));
        let base = document_server(nothing.root(), Some("https://a.example/x/api.json"));
        assert_eq!(base.unwrap().to_string(), "https://a.example");
        assert!(document_server(nothing.root(), None).unwrap_err().contains("names no server"));
    }
}
