//! Which credentials an operation asks for, by the names of the document's security schemes. What they are is
//! not known here.

use crate::openapi::Node;

/// What an operation asks of its caller: alternatives, each the names of the schemes it takes together.
pub(crate) type Security = Box<[Box<[Box<str>]>]>;

/// The operation's own, else the document's.
pub(super) fn read(document: Node<'_>, operation: Node<'_>) -> Security {
    let written = operation.get("security").or_else(|| document.get("security")).and_then(Node::as_array);
    let names = |one: Node<'_>| Some(one.as_object()?.map(|(name, _)| name.into()).collect());
    written.into_iter().flatten().filter_map(names).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::openapi::Document;

    #[test]
    fn an_operations_own_wins_and_nothing_is_something() {
        let document = Document::from(json!({"security": [{"a": []}, {"b": ["read"], "c": []}]}));
        let names = |operation: Value| {
            let security = read(document.root(), Document::from(operation).root());
            security.iter().map(|one| one.join("+")).collect::<Vec<_>>()
        };
        assert_eq!(names(json!({})), ["a", "b+c"]);
        assert_eq!(names(json!({"security": [{"d": []}, {}]})), ["d", ""]);
        assert!(names(json!({"security": []})).is_empty());
    }
}
