//! What a successful answer looks like, as a schema that every answer conforms to: the type, the members and
//! the elements, and nothing that a server may see otherwise than its document. Small, or not at all.

use serde_json::Value;

use super::{Node, Object, Resolver, Schema, within};

/// Deepest nest of members.
const DEPTH_MAX: usize = 5;
/// Characters of a member's description.
const WORDS_MAX: usize = 80;

/// The schema of an operation's answer, if it is sure to be a JSON object and its schema stays small.
pub(crate) fn output<'a>(
    operation: Node<'a>,
    resolver: Resolver<Node<'a>>,
    bytes_max: usize,
) -> Option<Schema<'a>> {
    let responses = operation.get("responses")?.as_object()?;
    let mut good = responses.filter(|(status, _)| status.starts_with('2'));
    let (status, response) = good.next()?;
    if good.next().is_some() || matches!(status, "204" | "205") {
        return None;
    }
    let mut content = resolver.follow(response).ok()?.get("content")?.as_object()?;
    let (media_type, media) = content.next().filter(|_| content.next().is_none())?;
    if !media_type.contains("json") || media_type.contains("seq") || media_type.contains("jsonl") {
        return None;
    }
    let mut outline = Outline { resolver, left: bytes_max };
    let schema = outline.schema(media.get("schema")?, 0)?;
    let is_object = schema.get("type").is_some_and(|kind| kind.is("object"));
    let says_anything =
        schema.get("properties").and_then(Schema::as_object).is_some_and(|all| !all.is_empty());
    (is_object && says_anything).then_some(schema)
}

/// A schema being outlined.
struct Outline<'a> {
    /// Follows references.
    resolver: Resolver<Node<'a>>,
    /// Bytes that may still be written.
    left: usize,
}

impl<'a> Outline<'a> {
    /// One schema; `None` when it grows too large.
    fn schema(&mut self, value: Node<'a>, depth: usize) -> Option<Schema<'a>> {
        let value = self.resolver.follow(value).ok()?;
        let mut made = Object::default();
        let mut members = Object::default();
        self.members(value, depth, &mut members)?;
        if let Some(kind) = kind(value, !members.is_empty()) {
            self.spend(20)?;
            made.push("type", kind);
        }
        if let Some(words) = value.get("description").and_then(Node::as_str).filter(|_| depth > 0) {
            let first = words.trim().lines().next().unwrap_or_default();
            self.spend(first.len().min(WORDS_MAX) + 18)?;
            made.push("description", within(first, WORDS_MAX));
        }
        if !members.is_empty() {
            made.push("properties", members);
        }
        if let Some(items) = value.get("items").filter(|items| items.is_object()) {
            let items = if depth < DEPTH_MAX { self.schema(items, depth + 1)? } else { Schema::empty() };
            made.push("items", items);
        }
        Some(made.into())
    }

    /// The members of an object, those of the parts of an `allOf` among them.
    fn members(&mut self, value: Node<'a>, depth: usize, members: &mut Object<'a>) -> Option<()> {
        if depth >= DEPTH_MAX {
            return Some(());
        }
        for part in value.get("allOf").and_then(Node::as_array).into_iter().flatten() {
            let part = self.resolver.follow(part).ok()?;
            self.spend(1)?;
            self.members(part, depth + 1, members)?;
        }
        for (name, member) in value.get("properties").and_then(Node::as_object).into_iter().flatten() {
            if !member.get("writeOnly").is_some_and(Node::is_true) {
                self.spend(name.len() + 6)?;
                let schema = self.schema(member, depth + 1)?;
                members.insert(name, schema);
            }
        }
        Some(())
    }

    /// Takes from the budget.
    fn spend(&mut self, bytes: usize) -> Option<()> {
        self.left = self.left.checked_sub(bytes)?;
        Some(())
    }
}

/// The one type of a schema, where it has one and null is not another.
fn kind(value: Node<'_>, has_members: bool) -> Option<Schema<'_>> {
    let is_nullable =
        ["nullable", "x-nullable"].into_iter().any(|key| value.get(key).is_some_and(Node::is_true));
    let name = match value.get("type") {
        Some(name) => name.as_str().filter(|name| super::keyword::is_type(name))?,
        None if has_members => "object",
        None if value.get("items").is_some() => "array",
        None => return None,
    };
    (!is_nullable).then(|| name.into())
}

/// Takes out of an answer what its schema has otherwise; false when that is the answer itself.
pub(crate) fn conform(value: &mut Value, schema: &Value) -> bool {
    let kind = schema.get("type").and_then(Value::as_str);
    let is_of_kind = match kind {
        None => true,
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("boolean") => value.is_boolean(),
        Some("integer") => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        Some("number") => value.is_number(),
        Some(_) => value.is_null(),
    };
    if let (Some(members), Value::Object(map)) =
        (schema.get("properties").and_then(Value::as_object), &mut *value)
    {
        map.retain(|name, value| members.get(name).is_none_or(|member| conform(value, member)));
    }
    let fits = match (schema.get("items"), value) {
        (Some(items), Value::Array(list)) => list.iter_mut().all(|value| conform(value, items)),
        _ => true,
    };
    is_of_kind && fits
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::openapi::Document;

    #[test]
    fn only_what_is_sure_is_said() {
        let document = json!({"s": {"Pet": {"allOf": [{"$ref": "#/s/Base"}], "type": "object", "required": ["id"],
            "properties": {"tags": {"type": "array", "items": {"type": "string", "enum": ["a"]}},
                "owner": {"type": "object", "nullable": true, "description": "Who.\nMore."},
                "secret": {"type": "string", "writeOnly": true}}},
            "Base": {"properties": {"id": {"type": "integer", "maximum": 5}}},
            "Node": {"type": "object", "properties": {"next": {"$ref": "#/s/Node"}, "n": {"type": "integer"}}}}});
        let document = Document::from(document);
        let of = |responses: Value, bytes_max| {
            let whole = json!({"s": document.root().get("s").unwrap().value(), "responses": responses});
            let whole = Document::from(whole);
            serde_json::to_value(output(whole.root(), whole.resolver(), bytes_max)?).ok()
        };
        let schema = |responses: Value| of(responses, 2_000);
        let json = |name: &str| json!({"content": {"application/json": {"schema": {"$ref": format!("#/s/{name}")}}}});
        assert_eq!(
            schema(json!({"200": json("Pet"), "404": json("Base")})).unwrap(),
            json!({"type": "object", "properties": {"id": {"type": "integer"},
                "tags": {"type": "array", "items": {"type": "string"}}, "owner": {"description": "Who."}}})
        );
        assert_eq!(schema(json!({"200": json("Pet"), "204": {}})), None);
        assert_eq!(schema(json!({"204": {}})), None);
        assert_eq!(schema(json!({"200": {"content": {"text/csv": {"schema": {"type": "object"}}}}})), None);
        assert!(schema(json!({"200": json("Node")})).is_some(), "a cycle has an end");
        let small = of(json!({"200": json("Node")}), 50);
        assert_eq!(small, None);
    }

    #[test]
    fn answers_are_made_to_conform() {
        let schema = json!({"type": "object", "properties": {"id": {"type": "integer"}, "name": {"type": "string"},
            "list": {"type": "array", "items": {"type": "object", "properties": {"a": {"type": "boolean"}}}}}});
        let mut answer = json!({"id": "7", "name": "x", "more": 1, "list": [{"a": 1, "b": 2}]});
        assert!(conform(&mut answer, &schema));
        assert_eq!(answer, json!({"name": "x", "more": 1, "list": [{"b": 2}]}));
        let mut answer = json!({"list": ["x"]});
        assert!(conform(&mut answer, &schema));
        assert_eq!(answer, json!({}));
        assert!(!conform(&mut json!([]), &schema));
    }
}
