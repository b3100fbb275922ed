//! From bytes to a document that says it is `OpenAPI`: JSON or YAML, told apart by how they begin. No file and no
//! socket here.

use serde_json::Value;

use super::{DocumentError, bounded, swagger, yaml};

/// Reads JSON or YAML; an error says the line and column. `name` is how the document is called in messages.
pub(super) fn parse(name: &str, bytes: &[u8]) -> Result<Value, DocumentError> {
    let cannot = |line: usize, column: usize, reason: &str| {
        DocumentError::new(format!("cannot parse document {name}: line {line}, column {column}: {reason}"))
    };
    let text = text(bytes).map_err(|reason| cannot(1, 1, reason))?;
    let json = match serde_json::from_str(&text) {
        Ok(document) => return Ok(document),
        Err(error) => error,
    };
    let starts = text.trim_start().chars().next();
    let yaml = match starts {
        None => return Err(cannot(1, 1, "it is empty")),
        Some('<') => return Err(cannot(1, 1, "it is neither JSON nor YAML (it looks like HTML)")),
        // Almost all broken JSON is YAML of another meaning: what begins like JSON must call itself YAML.
        Some('{' | '[') if !is_called_yaml(name) => return Err(json_error(&json, cannot)),
        Some(_) => yaml::parse(&text),
    };
    match yaml {
        // One word is YAML too, and no document.
        Ok(document @ (Value::Object(_) | Value::Array(_))) => Ok(document),
        Ok(_) => Err(cannot(1, 1, "it is neither JSON nor YAML that holds an object")),
        Err(error) => Err(cannot(error.line, error.column, &error.reason)),
    }
}

/// Whether a document's name says that it is YAML.
fn is_called_yaml(name: &str) -> bool {
    let end = name.rsplit('.').next().unwrap_or_default();
    end.eq_ignore_ascii_case("yaml") || end.eq_ignore_ascii_case("yml")
}

/// The error of JSON, its place told in our own words.
fn json_error(
    error: &serde_json::Error,
    cannot: impl Fn(usize, usize, &str) -> DocumentError,
) -> DocumentError {
    let (line, column, whole) = (error.line(), error.column(), error.to_string());
    let place = format!(" at line {line} column {column}");
    cannot(line, column, whole.strip_suffix(&place).unwrap_or(&whole))
}

/// The text, whichever Unicode encoding it is in.
fn text(bytes: &[u8]) -> Result<std::borrow::Cow<'_, str>, &'static str> {
    let units = |from: fn([u8; 2]) -> u16| -> Vec<u16> {
        let pairs = bytes.get(2..).unwrap_or_default().chunks_exact(2);
        pairs.filter_map(|pair| <[u8; 2]>::try_from(pair).ok().map(from)).collect()
    };
    let units = match bytes {
        [0xff, 0xfe, ..] => units(u16::from_le_bytes),
        [0xfe, 0xff, ..] => units(u16::from_be_bytes),
        _ => {
            let plain = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
            return std::str::from_utf8(plain).map(Into::into).map_err(|_| "it is no UTF-8 text");
        }
    };
    String::from_utf16(&units).map(Into::into).map_err(|_| "it is no UTF-16 text")
}

/// Refuses what is neither `OpenAPI` 3 nor Swagger 2, and says what it is.
pub(super) fn check_version(document: &Value, name: &str) -> Result<(), DocumentError> {
    let found = match (document.get("openapi"), document.get("swagger")) {
        (Some(version), _) if is_three(version) => return Ok(()),
        (_, Some(_)) if swagger::is_swagger(document) => return Ok(()),
        (Some(version), _) => format!("openapi {}", plain(version)),
        (None, Some(version)) => format!("swagger {}", plain(version)),
        (None, None) => "neither \"openapi\" nor \"swagger\"".to_owned(),
    };
    let message = format!("cannot use document {name}: not OpenAPI 3 and not Swagger 2.0 (found {found})");
    Err(DocumentError::new(message))
}

/// Whether a version is one of 3. YAML without quotes makes a number of `3.0`.
fn is_three(version: &Value) -> bool {
    match version {
        Value::String(text) => text.trim() == "3" || text.trim().starts_with("3."),
        other => other.as_f64().is_some_and(|number| (3.0..4.0).contains(&number)),
    }
}

/// A version as a person wrote it, short.
fn plain(version: &Value) -> String {
    let text = version.as_str().map_or_else(|| version.to_string(), str::to_owned);
    bounded(&text, 20)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_mistake_says_where_it_is() {
        let text = |bytes: &[u8]| parse("api.json", bytes).unwrap_err().to_string();
        assert_eq!(
            text(b"{\n  \"openapi\": \"3.0.0\",\n  oops\n}"),
            "cannot parse document api.json: line 3, column 3: key must be a string"
        );
        assert!(text(b"openapi: 3.0.0\npaths: [a]]").contains("line 2, column"));
        assert!(text(b"<html>").contains("HTML"));
        assert!(text(b" \n").contains("empty"));
        assert!(text(b"plain words").contains("neither JSON nor YAML"));
        assert!(text(b"a: \xff").contains("UTF-8"));
    }

    #[test]
    fn json_and_yaml_are_read_in_any_unicode() {
        let document = json!({"openapi": "3.1.0", "é": [1]});
        let texts =
            ["{\"openapi\": \"3.1.0\", \"é\": [1]}", "openapi: 3.1.0\né: [1]", "{openapi: 3.1.0, é: [1],}"];
        for text in texts {
            assert_eq!(parse("x.yaml", text.as_bytes()), Ok(document.clone()));
            let marked: Vec<u8> = "\u{feff}".bytes().chain(text.bytes()).collect();
            assert_eq!(parse("x.yml", &marked), Ok(document.clone()));
            let wide: Vec<u8> =
                "\u{feff}".encode_utf16().chain(text.encode_utf16()).flat_map(u16::to_be_bytes).collect();
            assert_eq!(parse("x.yml", &wide), Ok(document.clone()));
        }
    }

    #[test]
    fn versions_are_told_apart() {
        let text = |document: Value| check_version(&document, "x").map_err(|e| e.to_string());
        for good in [
            json!({"openapi": "3.0.3"}),
            json!({"openapi": "3.2.0"}),
            json!({"openapi": 3.0}),
            json!({"swagger": "2.0"}),
            json!({"swagger": 2.0}),
        ] {
            assert_eq!(text(good), Ok(()));
        }
        let old = text(json!({"swaggerVersion": "1.2", "swagger": "1.2"})).unwrap_err();
        assert!(old.contains("not OpenAPI 3 and not Swagger 2.0 (found swagger 1.2)"), "{old}");
        assert!(text(json!({"openapi": 4})).unwrap_err().contains("found openapi 4"));
        assert!(text(json!([])).unwrap_err().contains("neither"));
    }
}
