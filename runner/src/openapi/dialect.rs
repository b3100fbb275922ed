//! What `OpenAPI` 3.0 says otherwise than JSON Schema 2020-12, keyword by keyword. No references here.

use serde_json::{Map, Value, json};

use super::{Members, Node, keyword};

/// What several keywords say together: types, `required`, `nullable`, exclusive bounds, examples.
pub(super) fn complete(schema: &mut Map<String, Value>, map: Members<'_>) {
    if let Some(required) = map.get("required").and_then(Node::as_array) {
        let mut names: Vec<Value> = Vec::new();
        for name in required.filter_map(Node::as_str) {
            if !names.iter().any(|other| *other == name) {
                names.push(name.into());
            }
        }
        if !names.is_empty() {
            schema.insert("required".to_owned(), Value::Array(names));
        }
    }
    if let Some(kind) = type_of(schema, map) {
        schema.insert("type".to_owned(), kind);
    }
    for (bound, plain) in [("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")] {
        if map.get(bound).is_some_and(Node::is_true)
            && let Some(limit) = schema.remove(plain)
        {
            schema.insert(bound.to_owned(), limit);
        }
    }
    if let Some(example) = map.get("example").filter(|example| example.is_small())
        && !schema.contains_key("examples")
    {
        schema.insert("examples".to_owned(), json!([example.value()]));
    }
    if schema.get("type").is_some_and(|kind| kind == "array")
        && !schema.contains_key("items")
        && !schema.contains_key("prefixItems")
    {
        schema.insert("items".to_owned(), json!({}));
    }
    // The second is how documents of 2.0 say it.
    if ["nullable", "x-nullable"].into_iter().any(|keyword| map.get(keyword).is_some_and(Node::is_true)) {
        admit_null(schema);
    }
}

/// The type: as written where it is one, else what the keywords beside it are about.
fn type_of(schema: &Map<String, Value>, map: Members<'_>) -> Option<Value> {
    let written = map.get("type");
    if let Some(kind) = written.and_then(Node::as_str).filter(|kind| keyword::is_type(kind)) {
        return Some(kind.into());
    }
    if let Some(kinds) = written.and_then(Node::as_array) {
        let kinds = kinds.filter_map(Node::as_str).filter(|kind| keyword::is_type(kind));
        let mut kinds: Vec<Value> = kinds.map(Value::from).collect();
        return match kinds.len() {
            0 => None,
            1 => kinds.pop(),
            _ => Some(Value::Array(kinds)),
        };
    }
    match () {
        () if schema.contains_key("properties") => Some(json!("object")),
        () if schema.contains_key("items") => Some(json!("array")),
        () => None,
    }
}

/// `nullable: true` of 3.0: the value may also be null, whatever else is said.
pub(crate) fn admit_null(schema: &mut Map<String, Value>) {
    if let Some(values) = schema.get_mut("enum").and_then(Value::as_array_mut)
        && !values.contains(&Value::Null)
    {
        values.push(Value::Null);
    }
    match schema.get_mut("type") {
        Some(Value::Array(kinds)) if !kinds.contains(&json!("null")) => kinds.push(json!("null")),
        Some(Value::Array(_)) => {}
        Some(kind) if *kind != "null" => *kind = json!([kind.take(), "null"]),
        Some(_) => {}
        None => {
            for either in ["anyOf", "oneOf"] {
                if let Some(list) = schema.get_mut(either).and_then(Value::as_array_mut) {
                    list.push(json!({"type": "null"}));
                    return;
                }
            }
            if let Some(all) = schema.remove("allOf") {
                schema.insert("anyOf".to_owned(), json!([{"allOf": all}, {"type": "null"}]));
            }
        }
    }
}

/// The size of a value as text, nearly.
pub(super) fn bytes_of(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 6,
        Value::String(text) => text.len() + 3,
        Value::Array(list) => list.iter().map(bytes_of).sum::<usize>() + 2,
        Value::Object(map) => {
            map.iter().map(|(key, value)| key.len() + 4 + bytes_of(value)).sum::<usize>() + 2
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::openapi::Tree;

    /// A flat schema through `complete`, with the keywords that are copied already there.
    fn completed(map: &Value) -> Value {
        let tree = Tree::of(map).unwrap();
        let map = tree.root().as_object().unwrap();
        let copied = |(key, value): &(&str, Node<'_>)| {
            keyword::holds(key).is_some_and(|holds| keyword::fits(holds, *value))
        };
        let mut schema: Map<String, Value> =
            map.filter(copied).map(|(key, value)| (key.to_owned(), value.value())).collect();
        complete(&mut schema, map);
        Value::Object(schema)
    }

    #[test]
    fn nullable_keeps_the_type_and_the_enum_whole() {
        assert_eq!(
            completed(&json!({"type": "string", "enum": ["a"], "nullable": true})),
            json!({"type": ["string", "null"], "enum": ["a", null]})
        );
        assert_eq!(completed(&json!({"type": "string", "nullable": false})), json!({"type": "string"}));
        assert_eq!(completed(&json!({"nullable": true})), json!({}));
        assert_eq!(
            completed(&json!({"allOf": [{}], "nullable": true})),
            json!({"anyOf": [{"allOf": [{}]}, {"type": "null"}]})
        );
        assert_eq!(
            completed(&json!({"oneOf": [{}], "nullable": true})),
            json!({"oneOf": [{}, {"type": "null"}]})
        );
    }

    #[test]
    fn boolean_bounds_become_numbers() {
        assert_eq!(
            completed(&json!({"type": "integer", "minimum": 0, "exclusiveMinimum": true})),
            json!({"type": "integer", "exclusiveMinimum": 0})
        );
        assert_eq!(
            completed(&json!({"type": "integer", "maximum": 5, "exclusiveMaximum": false})),
            json!({"type": "integer", "maximum": 5})
        );
    }

    #[test]
    fn ill_formed_keywords_are_left_out() {
        assert_eq!(
            completed(&json!({"type": "file", "required": true, "enum": [], "minLength": -1, "x-a": 1})),
            json!({})
        );
        assert_eq!(
            completed(&json!({"type": ["string"], "required": ["a", "a", 1]})),
            json!({"type": "string", "required": ["a"]})
        );
        assert_eq!(completed(&json!({"type": "array"})), json!({"type": "array", "items": {}}));
        assert_eq!(completed(&json!({"example": 7})), json!({"examples": [7]}));
    }
}
