//! Schemas of documents, as tools show them.

use serde_json::{Value, json};

use super::*;
use crate::openapi::Document;
use crate::openapi::resolve::Look;

/// The schema at `pointer`, and its definitions.
fn build(document: &Value, pointer: &str) -> (Value, Value) {
    let document = Document::from(document.clone());
    let root = document.root().find(pointer).unwrap();
    let mut built = Builder::new(document.resolver()).build(&[root]).unwrap();
    let value = |schema: Schema<'_>| serde_json::to_value(schema).unwrap();
    (value(built.schemas.remove(0)), value(built.defs.into()))
}

#[test]
fn references_are_replaced() {
    let document = json!({"openapi": "3.1.0",
        "s": {"$ref": "#/a"},
        "a": {"properties": {"b": {"$ref": "#/b", "description": "beside"}}},
        "b": {"type": "string", "description": "own", "xml": {}}});
    let (schema, defs) = build(&document, "/s");
    assert_eq!(
        schema,
        json!({"properties": {"b": {"type": "string", "description": "beside"}}, "type": "object"})
    );
    assert_eq!(defs, json!({}));
}

#[test]
fn a_cycle_becomes_a_definition() {
    let document = json!({"openapi": "3.0.0",
        "node": {"type": "object", "properties": {
            "name": {"type": "string"},
            "next": {"$ref": "#/node"},
            "others": {"type": "array", "items": {"$ref": "#/pair"}}}},
        "pair": {"type": "object", "properties": {"left": {"$ref": "#/node"}}}});
    let (schema, defs) = build(&document, "/node");
    assert_eq!(schema.pointer("/properties/next"), Some(&json!({"$ref": "#/$defs/node"})));
    assert_eq!(defs.pointer("/node/properties/next"), Some(&json!({"$ref": "#/$defs/node"})));
    let text = format!("{schema}{defs}");
    assert!(!text.contains("{}"), "a cycle was cut: {text}");
}

#[test]
fn large_schemas_share_definitions_and_end_in_types() {
    // Each level refers twice to the next: replaced everywhere this is 2^20 schemas.
    let mut document = json!({"openapi": "3.0.0"});
    for level in 0..20 {
        let next = json!({"$ref": format!("#/s{}", level + 1)});
        document[format!("s{level}")] = json!({"type": "object", "description": "x".repeat(500),
            "properties": {"a": next, "b": next}});
    }
    document["s20"] = json!({"type": "string"});
    let (_, defs) = build(&document, "/s0");
    assert_eq!(defs.as_object().unwrap().len(), 20);

    for level in 0..400 {
        document[format!("s{level}")] = json!({"type": "object", "description": "x".repeat(500),
            "properties": {"a": {"$ref": format!("#/s{}", level + 1)}}});
    }
    document["s400"] = json!({"type": "string"});
    let (schema, defs) = build(&document, "/s0");
    let size = schema.to_string().len() + defs.to_string().len();
    assert!(size < 2 * DEFS_BYTES_MAX, "{size} bytes");
    let text = defs.to_string();
    assert!(text.contains(r#""a":{"type":"object"}"#), "the furthest are types");
}

#[test]
fn read_only_properties_cannot_be_set() {
    let document = json!({"openapi": "3.0.0",
        "base": {"required": ["id", "kind"], "properties": {"kind": {"type": "string"}}},
        "id": {"type": "string", "readOnly": true},
        "s": {"allOf": [{"$ref": "#/base"}, {"properties": {"id": {"$ref": "#/id"}}}]}});
    let (schema, _) = build(&document, "/s");
    assert_eq!(schema.pointer("/allOf/0/required"), Some(&json!(["kind"])));
    assert_eq!(schema.pointer("/allOf/1/properties"), Some(&json!({})));
}

#[test]
fn what_leads_nowhere_is_an_error_of_this_schema() {
    let document = Document::from(json!({"openapi": "3.0.0", "s": {"items": {"$ref": "#/nope"}}}));
    let error = Builder::new(document.resolver()).build(&[document.root().get("s").unwrap()]).unwrap_err();
    assert!(error.to_string().contains("#/nope"));
}

#[test]
fn words_of_the_dialect_are_not_schemas() {
    let document = json!({"openapi": "3.1.0", "s": {
        "properties": {"$ref": {"type": "string"}, "enum": {"type": "integer"}},
        "additionalProperties": false, "enum": [{"$ref": "#/not-a-reference"}]}});
    let (schema, _) = build(&document, "/s");
    assert_eq!(schema.pointer("/properties/$ref"), Some(&json!({"type": "string"})));
    assert_eq!(schema.pointer("/additionalProperties"), Some(&json!(false)));
    assert_eq!(schema.pointer("/enum/0/$ref"), Some(&json!("#/not-a-reference")));
}

#[test]
fn expressions_that_not_every_client_reads_are_left_out() {
    let document = json!({"openapi": "3.1.0", "s": {"properties": {
        "a": {"type": "string", "pattern": "^[a-z]+$"},
        "b": {"type": "string", "pattern": "^\\p{L}+$"},
        "c": {"patternProperties": {"^x-": {"type": "string"}}, "additionalProperties": false},
        "d": {"patternProperties": {"^x-": {}, "[\\w-.]": {}}, "additionalProperties": false, "maxProperties": 2}}}});
    let (schema, _) = build(&document, "/s");
    let member = |name: &str| schema["properties"][name].clone();
    assert_eq!(member("a"), json!({"type": "string", "pattern": "^[a-z]+$"}));
    assert_eq!(member("b"), json!({"type": "string"}));
    assert_eq!(
        member("c"),
        json!({"patternProperties": {"^x-": {"type": "string"}}, "additionalProperties": false})
    );
    assert_eq!(member("d"), json!({"maxProperties": 2}));
}
