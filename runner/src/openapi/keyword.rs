//! The keywords of JSON Schema that reach a tool, and what each must hold. What is not here is dropped: a
//! client's validator refuses a whole tool for one ill-formed keyword. No references here.

use super::Node;
use super::pattern::is_portable;
use http::HeaderName;

/// What a keyword holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Holds {
    /// A schema, or a boolean.
    Schema,
    /// A non-empty list of schemas.
    Schemas,
    /// Schemas by name.
    Named,
    /// Anything, copied as it is.
    Data,
    /// A list of anything.
    List,
    /// A number.
    Number,
    /// A whole number, not negative.
    Count,
    /// True or false.
    Flag,
    /// Words for a reader, bounded.
    Words,
    /// Text for a machine.
    Text,
    /// A regular expression.
    Pattern,
    /// The end of a header's name.
    Header,
}

/// What a keyword holds; `None` for one that is dropped or handled by name (`type`, `required`, `$ref`).
pub(super) fn holds(keyword: &str) -> Option<Holds> {
    Some(match keyword {
        "additionalProperties"
        | "contains"
        | "else"
        | "if"
        | "items"
        | "not"
        | "propertyNames"
        | "then"
        | "unevaluatedItems"
        | "unevaluatedProperties" => Holds::Schema,
        "allOf" | "anyOf" | "oneOf" | "prefixItems" => Holds::Schemas,
        "dependentSchemas" | "patternProperties" | "properties" => Holds::Named,
        "const" | "default" => Holds::Data,
        "enum" | "examples" => Holds::List,
        "exclusiveMaximum" | "exclusiveMinimum" | "maximum" | "minimum" | "multipleOf" => Holds::Number,
        "maxContains" | "maxItems" | "maxLength" | "maxProperties" | "minContains" | "minItems"
        | "minLength" | "minProperties" => Holds::Count,
        "deprecated" | "readOnly" | "uniqueItems" | "writeOnly" => Holds::Flag,
        "description" | "title" => Holds::Words,
        "contentEncoding" | "contentMediaType" | "format" => Holds::Text,
        "pattern" => Holds::Pattern,
        // Clients of 2026-07-28 say such an argument in a header as well (`Mcp-Param-…`), for who routes by it.
        "x-mcp-header" => Holds::Header,
        _ => return None,
    })
}

/// The seven types, by name.
pub(super) fn is_type(name: &str) -> bool {
    matches!(name, "array" | "boolean" | "integer" | "null" | "number" | "object" | "string")
}

/// Whether a plain value may stand behind a keyword of this kind.
pub(super) fn fits(holds: Holds, value: Node<'_>) -> bool {
    match holds {
        Holds::Schema | Holds::Schemas | Holds::Named | Holds::Data => true,
        Holds::List => value.as_array().is_some_and(|list| !list.is_empty()),
        Holds::Number => value.is_number(),
        Holds::Count => value.as_u64().is_some(),
        Holds::Flag => value.is_boolean(),
        Holds::Words | Holds::Text => value.is_string(),
        Holds::Pattern => value.as_str().is_some_and(is_portable),
        // As a name by itself it must be one, too.
        Holds::Header => value.as_str().is_some_and(|name| name.parse::<HeaderName>().is_ok()),
    }
}
