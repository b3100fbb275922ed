//! Arguments against a tool's input schema: the common part of JSON Schema, with messages a model can act
//! on. Keywords it does not know are ignored: the upstream has the last word.

use serde_json::{Map, Value};

use crate::openapi::{Resolver, bounded};

/// Problems told in one answer.
const PROBLEMS_MAX: usize = 8;
/// Deepest nest of values and references that is looked into.
const DEPTH_MAX: usize = 48;
/// Elements of a list that are held against each other.
const UNIQUE_MAX: usize = 1_000;
/// Names or values listed in one message.
const LISTED_MAX: usize = 40;

/// All problems found, up to a bound; none is good.
pub(super) fn problems(schema: &Value, arguments: &Map<String, Value>) -> Vec<String> {
    let mut check = Check { root: Resolver::new(schema), problems: Vec::new() };
    check.object(schema, arguments, "", 0);
    check.problems.truncate(PROBLEMS_MAX);
    check.problems
}

/// Whether a schema lets a value be null; one that says nothing of types does.
pub(super) fn admits_null(root: &Value, schema: &Value) -> bool {
    problems_of(root, schema, &Value::Null).is_empty()
}

/// A member of an object that the schema of its argument does not name.
pub(super) fn unnamed<'a>(root: &Value, argument: &str, value: &'a Value) -> Option<&'a str> {
    let resolver = Resolver::new(root);
    let written = root.get("properties").and_then(|all| all.get(argument));
    let schema = written.and_then(|schema| resolver.follow(schema).ok());
    let parts = schema.and_then(|schema| schema.get("allOf")).and_then(Value::as_array).into_iter().flatten();
    let parts: Vec<&Value> = parts.filter_map(|part| resolver.follow(part).ok()).chain(schema).collect();
    let is_named =
        |name: &str| parts.iter().any(|part| part.get("properties").is_some_and(|p| p.get(name).is_some()));
    value.as_object()?.keys().map(String::as_str).find(|name| !is_named(name))
}

/// Reads a number or a truth from a text where a schema wants one. On the wire of a path, a query or a
/// header they are the same.
pub(super) fn from_text(schema: &Value, value: &mut Value) {
    let Value::String(text) = value else {
        return;
    };
    let admits = |name: &str| types(schema).any(|kind| kind == name);
    if admits("string") || types(schema).next().is_none() {
        return;
    }
    let parsed = serde_json::from_str::<Value>(text.trim()).ok();
    let fits = |parsed: &Value| match parsed {
        Value::Number(number) => admits("number") || (admits("integer") && !number.is_f64()),
        Value::Bool(_) => admits("boolean"),
        _ => false,
    };
    if let Some(parsed) = parsed.filter(fits) {
        *value = parsed;
    }
}

/// What is wrong with one value.
fn problems_of(root: &Value, schema: &Value, value: &Value) -> Vec<String> {
    let mut check = Check { root: Resolver::new(root), problems: Vec::new() };
    check.value(schema, value, "it", 0);
    check.problems
}

/// The types a schema names.
fn types(schema: &Value) -> impl Iterator<Item = &str> {
    let (one, many) = match schema.get("type") {
        Some(Value::String(kind)) => (Some(kind.as_str()), None),
        Some(Value::Array(kinds)) => (None, Some(kinds)),
        _ => (None, None),
    };
    one.into_iter().chain(many.into_iter().flatten().filter_map(Value::as_str))
}

/// One run over a tree of values.
struct Check<'a> {
    /// Follows references into the tool's own `$defs`.
    root: Resolver<&'a Value>,
    /// What was found.
    problems: Vec<String>,
}

impl<'a> Check<'a> {
    /// Notes a problem of the value at `path`.
    fn note(&mut self, path: &str, problem: &str) {
        self.problems.push(format!("{path} {problem}"));
    }

    /// One value.
    fn value(&mut self, schema: &'a Value, value: &Value, path: &str, depth: usize) {
        if depth > DEPTH_MAX || self.problems.len() > PROBLEMS_MAX {
            return;
        }
        if *schema == Value::Bool(false) {
            return self.note(path, "is not allowed");
        }
        if let Some(target) = schema.get("$ref").and_then(Value::as_str)
            && let Ok(target) = self.root.lookup(target)
        {
            self.value(target, value, path, depth + 1);
        }
        if !is_of_type(schema, value) {
            let wanted: Vec<_> = types(schema).collect();
            return self.note(path, &format!("must be {}, not {}", wanted.join(" or "), shown(value)));
        }
        if let Some(allowed) = schema.get("enum").and_then(Value::as_array)
            && !allowed.iter().any(|one| is_same(one, value))
        {
            return self.note(path, &format!("must be one of {}, not {}", listed(allowed), shown(value)));
        }
        if let Some(only) = schema.get("const")
            && !is_same(only, value)
        {
            return self.note(path, &format!("must be {}, not {}", shown(only), shown(value)));
        }
        self.bounds(schema, value, path);
        match value {
            Value::Object(map) => self.object(schema, map, path, depth),
            Value::Array(list) => self.list(schema, list, path, depth),
            _ => {}
        }
        self.combined(schema, value, path, depth);
    }

    /// The properties of an object. At the top, `path` is empty and they are arguments.
    fn object(&mut self, schema: &'a Value, map: &Map<String, Value>, path: &str, depth: usize) {
        let properties = schema.get("properties").and_then(Value::as_object);
        let required = schema.get("required").and_then(Value::as_array);
        for name in required.into_iter().flatten().filter_map(Value::as_str) {
            if !map.contains_key(name) {
                let missing = at(path, name);
                let hint = properties.and_then(|all| all.get(name)).map(hint).unwrap_or_default();
                self.problems.push(format!("{missing} is required but missing{hint}"));
            }
        }
        let others = schema.get("additionalProperties");
        for (name, value) in map {
            match (properties.and_then(|all| all.get(name)), others) {
                (Some(property), _) => self.value(property, value, &at(path, name), depth + 1),
                (None, Some(Value::Bool(false))) if schema.get("patternProperties").is_none() => {
                    let known =
                        properties.into_iter().flat_map(Map::keys).map(|name| Value::from(name.as_str()));
                    let known: Vec<Value> = known.collect();
                    let known = if known.is_empty() { "nothing".to_owned() } else { listed(&known) };
                    self.note(&at(path, name), &format!("is unknown; known here: {known}"));
                }
                (None, Some(other)) => self.value(other, value, &at(path, name), depth + 1),
                (None, None) => {}
            }
        }
    }

    /// The elements of a list.
    fn list(&mut self, schema: &'a Value, list: &[Value], path: &str, depth: usize) {
        let first = schema.get("prefixItems").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let rest = schema.get("items");
        for (index, value) in list.iter().enumerate() {
            if let Some(item) = first.get(index).or(rest) {
                self.value(item, value, &format!("{path}[{index}]"), depth + 1);
            }
        }
    }

    /// Limits of numbers, lengths and counts.
    fn bounds(&mut self, schema: &Value, value: &Value, path: &str) {
        let limit = |keyword: &str| schema.get(keyword).and_then(Value::as_f64);
        let count = |keyword: &str| {
            schema.get(keyword).and_then(Value::as_u64).and_then(|limit| usize::try_from(limit).ok())
        };
        match value {
            Value::Number(number) => {
                let number = number.as_f64().unwrap_or(0.0);
                let broken = [
                    limit("minimum").filter(|limit| number < *limit).map(|limit| format!("at least {limit}")),
                    limit("maximum").filter(|limit| number > *limit).map(|limit| format!("at most {limit}")),
                    limit("exclusiveMinimum")
                        .filter(|limit| number <= *limit)
                        .map(|limit| format!("over {limit}")),
                    limit("exclusiveMaximum")
                        .filter(|limit| number >= *limit)
                        .map(|limit| format!("under {limit}")),
                ];
                let step = limit("multipleOf").filter(|step| *step > 0.0 && !is_multiple(number, *step));
                let step = step.map(|step| format!("a multiple of {step}"));
                for wanted in broken.into_iter().flatten().chain(step) {
                    self.note(path, &format!("must be {wanted}, not {number}"));
                }
            }
            Value::String(text) => {
                let length = text.chars().count();
                self.size(path, length, count("minLength"), count("maxLength"), "characters");
            }
            Value::Array(list) => {
                self.size(path, list.len(), count("minItems"), count("maxItems"), "elements");
                if schema.get("uniqueItems") == Some(&Value::Bool(true))
                    && let Some(twice) = twice(list)
                {
                    self.note(path, &format!("must not have an element twice, as it has {}", shown(twice)));
                }
            }
            Value::Object(map) => {
                self.size(path, map.len(), count("minProperties"), count("maxProperties"), "properties");
            }
            Value::Null | Value::Bool(_) => {}
        }
    }

    /// One size against its limits.
    fn size(&mut self, path: &str, size: usize, least: Option<usize>, most: Option<usize>, unit: &str) {
        if let Some(least) = least.filter(|least| size < *least) {
            self.note(path, &format!("must have at least {least} {unit}, not {size}"));
        }
        if let Some(most) = most.filter(|most| size > *most) {
            self.note(path, &format!("must have at most {most} {unit}, not {size}"));
        }
    }

    /// `allOf`, `anyOf`, `oneOf`. More than one match of a `oneOf` is let through: documents overlap far
    /// more often than they mean to.
    fn combined(&mut self, schema: &'a Value, value: &Value, path: &str, depth: usize) {
        for part in schema.get("allOf").and_then(Value::as_array).into_iter().flatten() {
            self.value(part, value, path, depth + 1);
        }
        for either in ["anyOf", "oneOf"] {
            let Some(choices) = schema.get(either).and_then(Value::as_array) else {
                continue;
            };
            let attempts = choices.iter().map(|choice| {
                let mut attempt = Check { root: self.root, problems: Vec::new() };
                attempt.value(choice, value, path, depth + 1);
                (!is_of_type(choice, value), attempt.problems)
            });
            // The choice that comes nearest is the one worth a message.
            let best = attempts.min_by_key(|(is_other_type, problems)| {
                (!problems.is_empty(), *is_other_type, problems.len())
            });
            self.problems.extend(best.into_iter().flat_map(|(_, problems)| problems));
        }
    }
}

/// The name of a property below a path.
fn at(path: &str, name: &str) -> String {
    if path.is_empty() { format!("argument \"{name}\"") } else { format!("{path}.{name}") }
}

/// What a missing property is, in brackets.
fn hint(schema: &Value) -> String {
    let kind: Vec<_> = types(schema).collect();
    let words = schema.get("description").and_then(Value::as_str).map(|words| bounded(words, 120));
    match (kind.is_empty(), words) {
        (true, None) => String::new(),
        (false, None) => format!(" ({})", kind.join(" or ")),
        (true, Some(words)) => format!(" ({words})"),
        (false, Some(words)) => format!(" ({}: {words})", kind.join(" or ")),
    }
}

/// Whether a value has one of the types a schema names.
fn is_of_type(schema: &Value, value: &Value) -> bool {
    let mut kinds = types(schema).peekable();
    if kinds.peek().is_none() {
        return true;
    }
    kinds.any(|kind| match (kind, value) {
        ("null", Value::Null)
        | ("boolean", Value::Bool(_))
        | ("string", Value::String(_))
        | ("array", Value::Array(_))
        | ("object", Value::Object(_))
        | ("number", Value::Number(_)) => true,
        ("integer", Value::Number(number)) => {
            !number.is_f64() || number.as_f64().is_some_and(|number| number.fract() == 0.0)
        }
        _ => false,
    })
}

/// Equality as JSON Schema has it: `1.0` is `1`.
fn is_same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        _ => one == other,
    }
}

/// Whether a number is so many times a step; nearly, as fractions of ten are none of two.
fn is_multiple(number: f64, step: f64) -> bool {
    let times = number / step;
    (times - times.round()).abs() <= 1e-9 * times.abs().max(1.0)
}

/// An element that a list has twice, of its first ones: each is held against each.
fn twice(list: &[Value]) -> Option<&Value> {
    let list = list.get(..UNIQUE_MAX).unwrap_or(list);
    list.iter()
        .enumerate()
        .find(|(at, one)| list.iter().take(*at).any(|other| is_same(one, other)))
        .map(|(_, one)| one)
}

/// A value, short.
fn shown(value: &Value) -> String {
    bounded(&value.to_string(), 80)
}

/// Values with commas, not all of a long list.
fn listed(values: &[Value]) -> String {
    let mut text: Vec<String> = values.iter().take(LISTED_MAX).map(shown).collect();
    if values.len() > LISTED_MAX {
        text.push(format!("… ({} in all)", values.len()));
    }
    text.join(", ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The problems of arguments, joined.
    #[expect(clippy::needless_pass_by_value, reason = "reads better at every call")]
    fn check(schema: Value, arguments: Value) -> String {
        problems(&schema, arguments.as_object().unwrap()).join("; ")
    }

    #[test]
    fn messages_say_what_to_do() {
        let schema = json!({"type": "object", "additionalProperties": false, "required": ["owner"], "properties": {
            "owner": {"type": "string", "description": "The account."},
            "page": {"type": "integer", "minimum": 1},
            "state": {"enum": ["open", "closed"]},
            "labels": {"type": "array", "maxItems": 2, "items": {"type": "string"}}}});
        let one = |arguments| check(schema.clone(), arguments);
        assert_eq!(one(json!({})), "argument \"owner\" is required but missing (string: The account.)");
        let page = one(json!({"owner": "a", "page": "x"}));
        assert_eq!(page, "argument \"page\" must be integer, not \"x\"");
        assert_eq!(one(json!({"owner": "a", "page": 0})), "argument \"page\" must be at least 1, not 0");
        let state = one(json!({"owner": "a", "state": "o"}));
        assert_eq!(state, "argument \"state\" must be one of \"open\", \"closed\", not \"o\"");
        let labels = one(json!({"owner": "a", "labels": ["a", 1]}));
        assert_eq!(labels, "argument \"labels\"[1] must be string, not 1");
        assert!(one(json!({"owner": "a", "labels": ["a", "b", "c"]})).contains("at most 2 elements"));
        let unknown = one(json!({"owner": "a", "pgae": 1}));
        assert_eq!(
            unknown,
            "argument \"pgae\" is unknown; known here: \"owner\", \"page\", \"state\", \"labels\""
        );
        assert_eq!(one(json!({"owner": "a", "page": 2.0, "state": "open", "labels": []})), "");
        let schema = json!({"properties": {"step": {"multipleOf": 0.1}, "set": {"uniqueItems": true}}});
        let one = |arguments| check(schema.clone(), arguments);
        assert_eq!(one(json!({"step": 0.25})), "argument \"step\" must be a multiple of 0.1, not 0.25");
        let set = one(json!({"set": [2, "a", 2.0]}));
        assert_eq!(set, "argument \"set\" must not have an element twice, as it has 2.0");
        assert_eq!(one(json!({"step": 0.3, "set": [1, "1", [1], null]})), "");
    }

    #[test]
    fn references_and_choices_are_followed() {
        let schema = json!({"properties": {"tree": {"$ref": "#/$defs/node"},
            "either": {"oneOf": [{"type": "string"}, {"type": "object", "required": ["a"]}]}},
            "$defs": {"node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}}},
                "loop": {"allOf": [{"$ref": "#/$defs/loop"}]}}});
        let deep = check(schema.clone(), json!({"tree": {"next": {"next": 5}}}));
        assert_eq!(deep, "argument \"tree\".next.next must be object, not 5");
        assert_eq!(
            check(schema.clone(), json!({"either": {}})),
            "argument \"either\".a is required but missing"
        );
        assert_eq!(check(schema.clone(), json!({"either": "x"})), "");
        let looping = json!({"properties": {"x": {"$ref": "#/$defs/loop"}}, "$defs": schema["$defs"]});
        assert_eq!(check(looping, json!({"x": 1})), "");
    }

    #[test]
    fn null_and_texts_are_told_by_the_schema() {
        let admits = |schema: Value| admits_null(&schema, &schema);
        assert!(admits(json!({"type": ["string", "null"]})));
        assert!(admits(json!({"anyOf": [{"type": "string"}, {"type": "null"}]})));
        assert!(!admits(json!({"type": "string"})));
        let read = |schema: Value, mut value: Value| {
            from_text(&schema, &mut value);
            value
        };
        assert_eq!(read(json!({"type": "integer"}), json!("5")), json!(5));
        assert_eq!(read(json!({"type": "boolean"}), json!("true")), json!(true));
        assert_eq!(read(json!({"type": ["string", "integer"]}), json!("5")), json!("5"));
        assert_eq!(read(json!({"type": "integer"}), json!("five")), json!("five"));
        assert_eq!(read(json!({}), json!("5")), json!("5"));
    }
}
