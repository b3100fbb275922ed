//! Sample values from a document: its own examples, else values its schemas allow. Never random: the same
//! document gives the same sample.

use serde_json::{Map, Value, json};

use super::{List, Node, Resolver};

/// Values made for one sample, at most.
const NODES_MAX: usize = 1_000;
/// Longest chain of references that is followed.
const NEST_MAX: usize = 40;
/// Deepest nest of schemas that is filled in.
const DEPTH_MAX: usize = 10;

/// A sample of an operation's successful answer.
#[derive(Debug, PartialEq)]
pub(crate) struct Sample {
    /// As the document writes it: `200`, `2XX`, `default`.
    pub(crate) status: String,
    /// Its media type; `None` when the answer has no body.
    pub(crate) media_type: Option<String>,
    /// Its body; `None` when there is none, or none that can be made from the document.
    pub(crate) body: Option<Value>,
}

/// Makes samples of one document.
#[derive(Debug)]
pub(crate) struct Examples<'a> {
    /// Follows its references.
    resolver: Resolver<Node<'a>>,
    /// References being filled in, outermost first.
    nest: Vec<&'a str>,
    /// Values made so far.
    nodes: usize,
}

impl<'a> Examples<'a> {
    /// For a document.
    pub(crate) fn new(resolver: Resolver<Node<'a>>) -> Self {
        Self { resolver, nest: Vec::new(), nodes: 0 }
    }

    /// The answer an operation gives when all is well: the lowest 2xx, JSON where there is a choice.
    pub(crate) fn answer(mut self, operation: Node<'a>) -> Sample {
        let responses = operation.get("responses").and_then(Node::as_object);
        let good = responses.into_iter().flatten().filter(|(status, _)| status.starts_with('2'));
        let default = responses.and_then(|all| Some(("default", all.get("default")?)));
        let Some((status, response)) = good.min_by_key(|(status, _)| *status).or(default) else {
            return Sample { status: "200".to_owned(), media_type: None, body: None };
        };
        let response = self.resolver.follow(response).unwrap_or(response);
        let content = response.get("content").and_then(Node::as_object);
        let is_json = |media_type: &str| media_type.contains("json") || media_type == "*/*";
        let json = content.and_then(|mut all| all.find(|(media_type, _)| is_json(media_type)));
        let media = json.or_else(|| content.and_then(|mut all| all.next()));
        let Some((media_type, media)) = media else {
            return Sample { status: status.to_owned(), media_type: None, body: None };
        };
        let body = self.media(media, is_json(media_type));
        Sample { status: status.to_owned(), media_type: Some(media_type.to_owned()), body }
    }

    /// A sample of a media type object. Only JSON is made up from a schema.
    fn media(&mut self, media: Node<'a>, is_json: bool) -> Option<Value> {
        if let Some(example) = media.get("example") {
            return Some(example.value());
        }
        let examples = media.get("examples").and_then(Node::as_object);
        for (_, written) in examples.into_iter().flatten() {
            if let Some(value) = self.resolver.follow(written).ok().and_then(|example| example.get("value")) {
                return Some(value.value());
            }
        }
        if is_json { self.schema(media.get("schema")?, 0) } else { None }
    }

    /// A value that a schema allows; `None` inside a cycle and beyond the bounds.
    fn schema(&mut self, schema: Node<'a>, depth: usize) -> Option<Value> {
        if let Some(target) = schema.reference() {
            if self.nest.contains(&target) || self.nest.len() > NEST_MAX {
                return None;
            }
            self.nest.push(target);
            let value = self.resolver.lookup(target).ok().and_then(|found| self.schema(found, depth));
            self.nest.pop();
            return value;
        }
        self.nodes += 1;
        if self.nodes > NODES_MAX || depth > DEPTH_MAX {
            return None;
        }
        if let Some(own) = own_sample(schema) {
            return Some(own.value());
        }
        if let Some(parts) = schema.get("allOf").and_then(Node::as_array) {
            return self.all_of(schema, parts, depth);
        }
        for either in ["oneOf", "anyOf"] {
            let choices = schema.get(either).and_then(Node::as_array);
            let made = choices.into_iter().flatten().find_map(|choice| self.schema(choice, depth + 1));
            if let Some(Value::Object(mut object)) = made {
                object.extend(self.properties(schema, depth));
                return Some(Value::Object(object));
            }
            if made.is_some() {
                return made;
            }
        }
        self.typed(schema, depth)
    }

    /// The parts of an `allOf`, put together where they are objects.
    fn all_of(&mut self, schema: Node<'a>, parts: List<'a>, depth: usize) -> Option<Value> {
        let mut object = Map::new();
        let mut other = None;
        for part in parts {
            match self.schema(part, depth + 1) {
                Some(Value::Object(part)) => object.extend(part),
                made => other = other.or(made),
            }
        }
        object.extend(self.properties(schema, depth));
        if object.is_empty() && other.is_some() { other } else { Some(Value::Object(object)) }
    }

    /// The properties of an object, without those only a caller sends and those that lead into a cycle.
    fn properties(&mut self, schema: Node<'a>, depth: usize) -> Map<String, Value> {
        let mut object = Map::new();
        let properties = schema.get("properties").and_then(Node::as_object);
        for (name, property) in properties.into_iter().flatten() {
            if !property.get("writeOnly").is_some_and(Node::is_true)
                && let Some(value) = self.schema(property, depth + 1)
            {
                object.insert(name.to_owned(), value);
            }
        }
        object
    }

    /// A value of a schema's type.
    fn typed(&mut self, schema: Node<'a>, depth: usize) -> Option<Value> {
        let written = schema.get("type");
        let kind = match written.and_then(Node::as_array) {
            Some(mut kinds) => kinds.find(|kind| kind.as_str() != Some("null")).and_then(Node::as_str),
            None => written.and_then(Node::as_str),
        };
        let kind = kind.or_else(|| schema.get("properties").map(|_| "object"));
        Some(match kind.or_else(|| schema.get("items").map(|_| "array"))? {
            "object" => Value::Object(self.properties(schema, depth)),
            "array" => {
                let item = schema.get("items").and_then(|items| self.schema(items, depth + 1));
                Value::Array(item.into_iter().collect())
            }
            "integer" => number(schema).filter(Value::is_i64).unwrap_or_else(|| json!(1)),
            "number" => number(schema).unwrap_or_else(|| json!(1.5)),
            "boolean" => json!(true),
            "string" => json!(string(schema)),
            "null" => Value::Null,
            _ => return None,
        })
    }
}

/// The sample a schema brings itself.
fn own_sample(schema: Node<'_>) -> Option<Node<'_>> {
    let list = |key: &str| schema.get(key).and_then(Node::as_array).and_then(|mut list| list.next());
    schema
        .get("example")
        .or_else(|| list("examples"))
        .or_else(|| schema.get("default").filter(|default| !default.is_null()))
        .or_else(|| schema.get("const"))
        .or_else(|| list("enum"))
}

/// The least number a schema allows, when it says one.
fn number(schema: Node<'_>) -> Option<Value> {
    schema.get("minimum").filter(|least| least.is_number()).map(Node::value)
}

/// A string of a schema's format, long enough.
fn string(schema: Node<'_>) -> String {
    let format = schema.get("format").and_then(Node::as_str).unwrap_or_default();
    let text = match format {
        "date" => "2026-01-31",
        "date-time" => "2026-01-31T12:00:00Z",
        "time" => "12:00:00Z",
        "duration" => "PT1H",
        "email" => "someone@example.com",
        "hostname" => "example.com",
        "ipv4" => "192.0.2.1",
        "ipv6" => "2001:db8::1",
        "uri" | "url" | "uri-reference" => "https://example.com/",
        "uuid" => "00000000-0000-4000-8000-000000000000",
        "byte" => "bW9jaw==",
        _ => "string",
    };
    let least = schema.get("minLength").and_then(Node::as_u64).unwrap_or(0);
    let least = usize::try_from(least).unwrap_or(0).min(1_000);
    if text.len() >= least || !format.is_empty() {
        return text.to_owned();
    }
    text.chars().cycle().take(least).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::openapi::Document;

    /// The sample body of a document's one response.
    fn body(media: &Value, schemas: &Value) -> Option<Value> {
        let document = json!({"components": {"schemas": schemas},
            "op": {"responses": {"404": {}, "201": {"content": {"text/plain": {}, "application/json": media}}}}});
        let document = Document::from(document);
        let sample = Examples::new(document.resolver()).answer(document.root().get("op").unwrap());
        assert_eq!((sample.status.as_str(), sample.media_type.as_deref()), ("201", Some("application/json")));
        sample.body
    }

    #[test]
    fn examples_of_the_document_come_first() {
        let schema = json!({"type": "integer", "example": 3});
        assert_eq!(body(&json!({"example": 1, "schema": schema}), &json!({})), Some(json!(1)));
        assert_eq!(
            body(&json!({"examples": {"a": {"value": 2}}, "schema": schema}), &json!({})),
            Some(json!(2))
        );
        assert_eq!(body(&json!({"schema": schema}), &json!({})), Some(json!(3)));
        assert_eq!(
            body(&json!({"schema": {"type": "string", "enum": ["x", "y"]}}), &json!({})),
            Some(json!("x"))
        );
    }

    #[test]
    fn schemas_are_filled_in_and_cycles_end() {
        let node = json!({"type": "object", "properties": {
            "id": {"type": "string", "format": "uuid"},
            "size": {"type": "integer", "minimum": 5},
            "secret": {"type": "string", "writeOnly": true},
            "children": {"type": "array", "items": {"$ref": "#/components/schemas/node"}},
            "parent": {"$ref": "#/components/schemas/node"}}});
        let media = json!({"schema": {"allOf": [{"$ref": "#/components/schemas/node"},
            {"properties": {"ok": {"type": ["null", "boolean"]}}}]}});
        assert_eq!(
            body(&media, &json!({"node": node})),
            Some(
                json!({"id": "00000000-0000-4000-8000-000000000000", "size": 5, "children": [], "ok": true})
            )
        );
    }

    #[test]
    fn no_content_has_no_body() {
        let document = Document::from(json!({"op": {"responses": {"204": {"description": "gone"}}}}));
        let sample = Examples::new(document.resolver()).answer(document.root().get("op").unwrap());
        assert_eq!(sample, Sample { status: "204".to_owned(), media_type: None, body: None });
    }
}
