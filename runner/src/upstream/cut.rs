//! Answers that are too large for a model: their head, their shape, and how to ask for less. No HTTP here.

use serde_json::{Map, Value};

use crate::openapi::bounded;

/// Bytes of an answer's text: what clients let through is 25,000 tokens, nearly.
pub(super) const TEXT_BYTES_MAX: usize = 96 << 10;
/// How much is kept of lists, objects and texts: each step less than the one before.
const STEPS: [(usize, usize); 8] =
    [(500, 8_000), (200, 2_000), (100, 1_000), (50, 500), (20, 300), (10, 200), (5, 100), (2, 60)];
/// Places that are told of in words.
const PLACES_MAX: usize = 12;

/// A cut answer.
#[derive(Debug, PartialEq)]
pub(super) struct Cut {
    /// What is left of it.
    pub(super) value: Value,
    /// What was cut, in words.
    pub(super) shape: String,
}

/// Cuts JSON to a size; `None` when it is no larger.
pub(super) fn json(value: &Value, text_bytes: usize) -> Option<Cut> {
    if text_bytes <= TEXT_BYTES_MAX {
        return None;
    }
    let mut last = None;
    for (items_max, chars_max) in STEPS {
        let mut cutter = Cutter { items_max, chars_max, places: Vec::new(), more: 0 };
        let value = cutter.cut(value, "");
        let bytes = value.to_string().len();
        let shape = cutter.shape();
        last = Some(Cut { value, shape });
        if bytes <= TEXT_BYTES_MAX {
            return last;
        }
    }
    // A nest of small things that is large in all: its top is what is left.
    last.map(|cut| Cut { value: outline(&cut.value, 3), shape: "deeper parts are left out".to_owned() })
}

/// Cuts a text to a size; `None` when it is no larger.
pub(super) fn text(text: &str) -> Option<String> {
    if text.len() <= TEXT_BYTES_MAX {
        return None;
    }
    let mut edge = TEXT_BYTES_MAX;
    while !text.is_char_boundary(edge) {
        edge -= 1;
    }
    let head = text.get(..edge).unwrap_or_default();
    // A line that is cut in two helps nobody, unless there are no lines.
    let whole_lines = head.rfind('\n').filter(|end| *end > TEXT_BYTES_MAX / 2);
    Some(whole_lines.and_then(|end| head.get(..end)).unwrap_or(head).to_owned())
}

/// Words for what was cut, and what to do about it.
pub(super) fn hint(total_bytes: usize, shape: &str, narrowing: &[Box<str>]) -> String {
    let mut words = format!("Cut: the whole answer has {total_bytes} bytes");
    if !shape.is_empty() {
        words.push_str("; ");
        words.push_str(shape);
    }
    words.push('.');
    words.push_str(&advice(narrowing));
    words
}

/// What to do about an answer that is too large; begins with a space.
pub(super) fn advice(narrowing: &[Box<str>]) -> String {
    if narrowing.is_empty() {
        return " This operation has no argument that would make it smaller.".to_owned();
    }
    format!(" To get less, or the rest, use the arguments {}.", narrowing.join(", "))
}

/// One attempt.
struct Cutter {
    /// Elements kept of a list, members of an object.
    items_max: usize,
    /// Characters kept of a text.
    chars_max: usize,
    /// What was cut, in words.
    places: Vec<String>,
    /// What else was.
    more: usize,
}

impl Cutter {
    /// A value, smaller.
    fn cut(&mut self, value: &Value, path: &str) -> Value {
        match value {
            Value::Array(list) => {
                if list.len() > self.items_max {
                    self.note(path, &format!("{} of {} elements", self.items_max, list.len()));
                }
                let kept = list.iter().take(self.items_max);
                kept.map(|value| self.cut(value, &format!("{path}[]"))).collect()
            }
            Value::Object(map) => {
                // Objects that are tables have many members; records have few, and keep them all.
                let most = self.items_max.max(40);
                if map.len() > most {
                    self.note(path, &format!("{most} of {} members", map.len()));
                }
                let kept = map.iter().take(most);
                let kept: Map<String, Value> = kept
                    .map(|(key, value)| (key.clone(), self.cut(value, &format!("{path}.{key}"))))
                    .collect();
                Value::Object(kept)
            }
            Value::String(text) if text.len() > self.chars_max => {
                let kept = bounded(text, self.chars_max);
                if kept.len() < text.len() {
                    self.note(path, &format!("{} of {} characters", self.chars_max, text.chars().count()));
                }
                kept.into()
            }
            other => other.clone(),
        }
    }

    /// Notes a place, once for all elements of a list.
    fn note(&mut self, path: &str, what: &str) {
        let name = if path.is_empty() { "the whole" } else { path.trim_start_matches('.') };
        let known = format!("{name}: ");
        if self.places.iter().any(|place| place.starts_with(&known)) {
            return;
        }
        if self.places.len() < PLACES_MAX {
            self.places.push(format!("{known}{what} shown"));
        } else {
            self.more += 1;
        }
    }

    /// All of it in words.
    fn shape(self) -> String {
        let mut shape = self.places.join(", ");
        if self.more > 0 {
            shape.push_str(", and more");
        }
        shape
    }
}

/// The upper levels of a value.
fn outline(value: &Value, levels: usize) -> Value {
    match value {
        Value::Array(list) if levels > 0 => {
            list.iter().take(5).map(|value| outline(value, levels - 1)).collect()
        }
        Value::Object(map) if levels > 0 => {
            let kept = map.iter().take(40).map(|(key, value)| (key.clone(), outline(value, levels - 1)));
            Value::Object(kept.collect())
        }
        Value::Array(_) => Value::Array(Vec::new()),
        Value::Object(_) => Value::Object(Map::new()),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn large_json_keeps_its_shape() {
        let item = json!({"id": 7, "text": "x".repeat(100)});
        let whole = json!({"total": 5000, "items": vec![item; 5000], "log": "y".repeat(50_000)});
        let bytes = whole.to_string().len();
        let cut = json(&whole, bytes).unwrap();
        let kept = cut.value["items"].as_array().unwrap().len();
        assert!((50..=500).contains(&kept), "{kept}");
        assert!(cut.value.to_string().len() <= TEXT_BYTES_MAX);
        assert_eq!(cut.value["total"], 5000);
        assert!(cut.shape.contains(&format!("items: {kept} of 5000 elements shown")), "{}", cut.shape);
        assert!(cut.shape.contains("log: "), "{}", cut.shape);
        assert_eq!(json(&json!({"a": 1}), 7), None);
    }

    #[test]
    fn whatever_it_is_it_gets_small() {
        let mut deep = json!({"text": "x".repeat(500)});
        for _ in 0..6 {
            deep = json!([deep, deep, deep, deep, deep]);
        }
        let table: Map<String, Value> =
            (0..20_000).map(|n| (n.to_string(), json!({"a": n, "b": [n, n]}))).collect();
        for whole in [deep, Value::Object(table), json!(["x".repeat(300_000)])] {
            let cut = json(&whole, whole.to_string().len()).unwrap();
            assert!(cut.value.to_string().len() <= TEXT_BYTES_MAX);
        }
    }

    #[test]
    fn large_text_ends_with_a_line() {
        let whole = "0123456789 é\n".repeat(20_000);
        let kept = text(&whole).unwrap();
        assert!(kept.len() <= TEXT_BYTES_MAX && kept.ends_with('é'));
        assert_eq!(text("short"), None);
        assert!(text(&"é".repeat(100_000)).is_some());
    }
}
