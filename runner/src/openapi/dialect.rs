//! What `OpenAPI` 3.0 says otherwise than JSON Schema 2020-12, keyword by keyword. No references here.

use super::{Members, Node, Object, Schema, keyword};

/// What several keywords say together: types, `required`, `nullable`, exclusive bounds, examples.
pub(super) fn complete<'a>(schema: &mut Object<'a>, map: Members<'a>) {
    if let Some(required) = map.get("required").and_then(Node::as_array) {
        let mut names: Vec<Schema<'a>> = Vec::new();
        for name in required.filter_map(Node::as_str) {
            if !names.iter().any(|other| other.is(name)) {
                names.push(name.into());
            }
        }
        if !names.is_empty() {
            schema.insert("required", names);
        }
    }
    if let Some(kind) = type_of(schema, map) {
        schema.insert("type", kind);
    }
    for (bound, plain) in [("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")] {
        if map.get(bound).is_some_and(Node::is_true)
            && let Some(limit) = schema.remove(plain)
        {
            schema.insert(bound, limit);
        }
    }
    if let Some(example) = map.get("example").filter(|example| example.is_small())
        && !schema.contains_key("examples")
    {
        schema.insert("examples", vec![Schema::Node(example)]);
    }
    if schema.get("type").is_some_and(|kind| kind.is("array"))
        && !schema.contains_key("items")
        && !schema.contains_key("prefixItems")
    {
        schema.insert("items", Schema::empty());
    }
    // The second is how documents of 2.0 say it.
    if ["nullable", "x-nullable"].into_iter().any(|keyword| map.get(keyword).is_some_and(Node::is_true)) {
        admit_null(schema);
    }
}

/// The type: as written where it is one, else what the keywords beside it are about.
fn type_of<'a>(schema: &Object<'a>, map: Members<'a>) -> Option<Schema<'a>> {
    let written = map.get("type");
    if let Some(kind) = written.and_then(Node::as_str).filter(|kind| keyword::is_type(kind)) {
        return Some(kind.into());
    }
    if let Some(kinds) = written.and_then(Node::as_array) {
        let kinds = kinds.filter_map(Node::as_str).filter(|kind| keyword::is_type(kind));
        let mut kinds: Vec<Schema<'a>> = kinds.map(Schema::from).collect();
        return match kinds.len() {
            0 => None,
            1 => kinds.pop(),
            _ => Some(kinds.into()),
        };
    }
    match () {
        () if schema.contains_key("properties") => Some("object".into()),
        () if schema.contains_key("items") => Some("array".into()),
        () => None,
    }
}

/// `nullable: true` of 3.0: the value may also be null, whatever else is said.
pub(crate) fn admit_null(schema: &mut Object<'_>) {
    if let Some(values) = schema.get_mut("enum").and_then(Schema::as_list_mut)
        && !values.iter().any(Schema::is_null)
    {
        values.push(Schema::Null);
    }
    match schema.get_mut("type") {
        Some(Schema::List(kinds)) if !kinds.iter().any(|kind| kind.is("null")) => kinds.push("null".into()),
        Some(Schema::List(_)) => {}
        Some(kind) if !kind.is("null") => *kind = vec![kind.take(), "null".into()].into(),
        Some(_) => {}
        None => {
            let null = Schema::one("type", "null");
            for either in ["anyOf", "oneOf"] {
                if let Some(list) = schema.get_mut(either).and_then(Schema::as_list_mut) {
                    list.push(null);
                    return;
                }
            }
            if let Some(all) = schema.remove("allOf") {
                schema.insert("anyOf", vec![Schema::one("allOf", all), null]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::openapi::Tree;

    /// A flat schema through `complete`, with the keywords that are copied already there.
    fn completed(map: &Value) -> Value {
        let tree = Tree::of(map).unwrap();
        let map = tree.root().as_object().unwrap();
        let copied = |(key, value): &(&str, Node<'_>)| {
            keyword::holds(key).is_some_and(|holds| keyword::fits(holds, *value))
        };
        let mut schema = Object::default();
        map.filter(copied).for_each(|(key, value)| schema.insert(key, Schema::Node(value)));
        complete(&mut schema, map);
        serde_json::to_value(Schema::from(schema)).unwrap()
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
