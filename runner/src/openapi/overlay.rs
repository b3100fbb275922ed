//! Overlays (Overlay Specification 1.0): a list of changes to a document that somebody else writes.

use serde_json::Value;

use super::DocumentError;
use super::jsonpath::Path;

/// Makes an overlay's changes, in their order. Notes name the actions that changed nothing.
pub(super) fn apply(
    document: &mut Value,
    overlay: &Value,
    name: &str,
    notes: &mut Vec<String>,
) -> Result<(), DocumentError> {
    let cannot = |reason: String| DocumentError::new(format!("cannot use overlay {name}: {reason}"));
    let is_one = match overlay.get("overlay") {
        Some(Value::String(version)) => version.starts_with("1."),
        Some(version) => version.as_f64().is_some_and(|version| (1.0..2.0).contains(&version)),
        None => return Err(cannot("it has no \"overlay\", the version it is written in".to_owned())),
    };
    if !is_one {
        return Err(cannot("it is not of version 1".to_owned()));
    }
    let actions = overlay.get("actions").and_then(Value::as_array);
    let actions = actions.ok_or_else(|| cannot("it has no actions".to_owned()))?;
    for (index, action) in actions.iter().enumerate() {
        let target = action.get("target").and_then(Value::as_str).unwrap_or_default();
        let wrong = |reason: String| cannot(format!("target {target:?} of actions[{index}]: {reason}"));
        let path = Path::parse(target).map_err(wrong)?;
        let found = path.find(document, document).into_iter().map(|(pointer, _)| pointer);
        let found: Vec<String> = found.collect();
        if found.is_empty() {
            notes.push(format!("overlay {name}: target {target:?} of actions[{index}] is nowhere"));
        }
        if action.get("remove") == Some(&Value::Bool(true)) {
            // The last first: those before keep their places.
            found.iter().rev().for_each(|pointer| remove(document, pointer));
        } else if let Some(update) = action.get("update") {
            for pointer in &found {
                if let Some(target) = document.pointer_mut(pointer) {
                    merge(target, update);
                }
            }
        }
    }
    Ok(())
}

/// Takes out one place.
fn remove(document: &mut Value, pointer: &str) {
    let Some((parent, key)) = pointer.rsplit_once('/') else {
        return;
    };
    match document.pointer_mut(parent) {
        Some(Value::Object(map)) => drop(map.shift_remove(&key.replace("~1", "/").replace("~0", "~"))),
        Some(Value::Array(list)) => {
            if let Some(index) = key.parse::<usize>().ok().filter(|index| *index < list.len()) {
                list.remove(index);
            }
        }
        _ => {}
    }
}

/// Objects are merged, lists grow, all else is replaced.
fn merge(target: &mut Value, update: &Value) {
    match (target, update) {
        (Value::Object(target), Value::Object(update)) => {
            for (key, value) in update {
                match target.get_mut(key) {
                    Some(there) => merge(there, value),
                    None => drop(target.insert(key.clone(), value.clone())),
                }
            }
        }
        (Value::Array(target), Value::Array(update)) => target.extend(update.iter().cloned()),
        (Value::Array(target), one) => target.push(one.clone()),
        (target, update) => *target = update.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn actions_change_what_they_aim_at() {
        let mut document = json!({"info": {"title": "T"}, "paths": {
            "/a": {"get": {"tags": ["x"], "parameters": [{"name": "p"}, {"name": "q"}, {"name": "r"}]},
                "post": {"deprecated": true}},
            "/b": {"get": {}}}});
        let overlay = json!({"overlay": "1.0.0", "actions": [
            {"target": "$.info", "update": {"description": "D", "contact": {"name": "N"}}},
            {"target": "$.paths.*.get", "update": {"tags": ["y"], "x-mcp-title": "t"}},
            {"target": "$.paths['/a'].get.parameters[?@.name=='p' || @.name=='q']", "remove": true},
            {"target": "$.paths['/a'].get.parameters", "update": {"name": "s"}},
            {"target": "$.paths.*[?@.deprecated]", "remove": true},
            {"target": "$.servers", "remove": true},
        ]});
        let mut notes = Vec::new();
        apply(&mut document, &overlay, "o.yaml", &mut notes).unwrap();
        assert_eq!(
            document,
            json!({"info": {"title": "T", "description": "D", "contact": {"name": "N"}}, "paths": {
                "/a": {"get": {"tags": ["x", "y"], "parameters": [{"name": "r"}, {"name": "s"}], "x-mcp-title": "t"}},
                "/b": {"get": {"tags": ["y"], "x-mcp-title": "t"}}}})
        );
        assert_eq!(notes, ["overlay o.yaml: target \"$.servers\" of actions[5] is nowhere"]);
    }

    #[test]
    fn what_is_no_overlay_is_refused() {
        let text =
            |overlay: Value| apply(&mut json!({}), &overlay, "o", &mut Vec::new()).unwrap_err().to_string();
        assert_eq!(
            text(json!({"openapi": "3.0.0"})),
            "cannot use overlay o: it has no \"overlay\", the version it is written in"
        );
        assert!(text(json!({"overlay": "2.0.0"})).contains("not of version 1"));
        assert!(text(json!({"overlay": "1.0.0"})).contains("no actions"));
        let wrong = text(json!({"overlay": 1.0, "actions": [{"target": "paths", "remove": true}]}));
        assert_eq!(
            wrong,
            "cannot use overlay o: target \"paths\" of actions[0]: \"$\" is missing before \"paths\""
        );
    }
}
