//! Swagger 2.0 as `OpenAPI` 3.0: bodies, forms, collection formats, media types, hosts and security schemes take
//! their new places. Schemas stay where they are, and references to them hold. No file and no socket here.

use serde_json::{Map, Value, json};

use super::Resolver;
use super::resolve::reference;

/// The methods a path item may have in 2.0.
const METHODS: [&str; 7] = ["get", "post", "put", "patch", "delete", "head", "options"];
/// Keywords of a parameter that are its schema's in 3.0.
const OF_SCHEMA: [&str; 18] = [
    "type",
    "format",
    "items",
    "default",
    "maximum",
    "exclusiveMaximum",
    "minimum",
    "exclusiveMinimum",
    "maxLength",
    "minLength",
    "pattern",
    "maxItems",
    "minItems",
    "uniqueItems",
    "enum",
    "multipleOf",
    "x-nullable",
    "example",
];

/// Whether a document says that it is Swagger 2.
pub(super) fn is_swagger(document: &Value) -> bool {
    let version = document.get("swagger");
    version.is_some_and(|version| {
        version.as_str().map_or(version == 2 || version == 2.0, |v| v.starts_with('2'))
    })
}

/// Rewrites a document of 2.0.
pub(super) fn translate(mut document: Value) -> Value {
    let (paths, servers, schemes) = {
        let translator = Translator { document: &document, resolver: Resolver::new(&document) };
        (translator.paths(), translator.servers(), translator.security_schemes())
    };
    if let Value::Object(top) = &mut document {
        top.shift_remove("swagger");
        top.insert("openapi".to_owned(), "3.0.3".into());
        top.insert("paths".to_owned(), paths);
        top.insert("servers".to_owned(), servers);
        top.insert("components".to_owned(), json!({ "securitySchemes": schemes }));
    }
    document
}

/// Reads a document of 2.0.
struct Translator<'a> {
    /// The whole of it.
    document: &'a Value,
    /// Its references.
    resolver: Resolver<&'a Value>,
}

impl<'a> Translator<'a> {
    /// All path items.
    fn paths(&self) -> Value {
        let paths = self.document.get("paths").and_then(Value::as_object);
        let translated = paths.into_iter().flatten().map(|(path, written)| {
            // What leads nowhere is left as it is: whoever reads it will say why.
            let item = self.resolver.follow(written).ok().and_then(Value::as_object);
            (path.clone(), item.map_or_else(|| written.clone(), |item| self.item(item)))
        });
        Value::Object(translated.collect())
    }

    /// One path item. Its parameters become those of each operation: a form cannot be shared in 3.0.
    fn item(&self, item: &'a Map<String, Value>) -> Value {
        let mut made = Map::new();
        let shared = item.get("parameters").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        for (key, value) in item {
            if METHODS.contains(&key.as_str()) && value.is_object() {
                made.insert(key.clone(), self.operation(value, shared));
            } else if key != "parameters" {
                made.insert(key.clone(), value.clone());
            }
        }
        Value::Object(made)
    }

    /// One operation.
    fn operation(&self, operation: &'a Value, shared: &'a [Value]) -> Value {
        let own = operation.get("parameters").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let (mut parameters, mut form, mut body) = (Vec::new(), Vec::new(), None);
        let mut seen: Vec<(&str, &str)> = Vec::new();
        for written in own.iter().chain(shared) {
            let Ok(parameter) = self.resolver.follow(written) else {
                parameters.push(written.clone());
                continue;
            };
            let text = |key: &str| parameter.get(key).and_then(Value::as_str).unwrap_or_default();
            let identity = (text("in"), text("name"));
            if seen.contains(&identity) {
                continue;
            }
            seen.push(identity);
            match identity.0 {
                "body" => body = body.or(Some(parameter)),
                "formData" => form.push(parameter),
                _ => parameters.push(plain_parameter(parameter)),
            }
        }
        let mut made: Map<String, Value> = operation.as_object().cloned().unwrap_or_default();
        made.insert("parameters".to_owned(), Value::Array(parameters));
        let consumes = self.media_types(operation, "consumes");
        if let Some(body) = body {
            made.insert("requestBody".to_owned(), whole_body(body, &consumes));
        } else if !form.is_empty() {
            made.insert("requestBody".to_owned(), form_body(&form, &consumes));
        }
        let produces = self.media_types(operation, "produces");
        if let Some(responses) = operation.get("responses").and_then(Value::as_object) {
            let translated = responses.iter().map(|(status, written)| {
                let response = self.resolver.follow(written).unwrap_or(written);
                (status.clone(), translated_response(response, &produces))
            });
            made.insert("responses".to_owned(), Value::Object(translated.collect()));
        }
        if let Some(server) = self.own_server(operation) {
            made.insert("servers".to_owned(), server);
        }
        Value::Object(made)
    }

    /// `consumes` or `produces` of an operation, else of the document; often empty.
    fn media_types(&self, operation: &'a Value, key: &str) -> Vec<&'a str> {
        let own = operation.get(key).or_else(|| self.document.get(key));
        own.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
    }

    /// The document's one server: the safest of its schemes, its host, its base path.
    fn servers(&self) -> Value {
        json!([{ "url": self.server_url(self.document.get("schemes")) }])
    }

    /// The server of an operation with schemes of its own, where they exclude the document's.
    fn own_server(&self, operation: &Value) -> Option<Value> {
        let own = self.server_url(Some(operation.get("schemes")?));
        (own != self.server_url(self.document.get("schemes"))).then(|| json!([{ "url": own }]))
    }

    /// The URL for some schemes; relative where the document names no host.
    fn server_url(&self, schemes: Option<&Value>) -> String {
        let text = |key: &str| self.document.get(key).and_then(Value::as_str).unwrap_or_default().trim();
        let path = text("basePath").trim_start_matches('/');
        let host = text("host").trim_end_matches('/');
        if host.is_empty() {
            return format!("/{path}");
        }
        let named = schemes.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        let all: Vec<&str> = named.filter(|scheme| matches!(*scheme, "http" | "https")).collect();
        match all.iter().find(|scheme| **scheme == "https").or(all.first()) {
            Some(scheme) => format!("{scheme}://{host}/{path}"),
            None if host.contains("://") => format!("{host}/{path}"),
            None => format!("//{host}/{path}"),
        }
    }

    /// `securityDefinitions` as `securitySchemes`.
    fn security_schemes(&self) -> Value {
        let defined = self.document.get("securityDefinitions").and_then(Value::as_object);
        let translated = defined.into_iter().flatten().map(|(name, scheme)| {
            let scheme = self.resolver.follow(scheme).unwrap_or(scheme);
            (name.clone(), security_scheme(scheme))
        });
        Value::Object(translated.collect())
    }
}

/// A parameter of the path, the query or a header.
fn plain_parameter(parameter: &Value) -> Value {
    let Some(map) = parameter.as_object() else {
        return parameter.clone();
    };
    let mut made: Map<String, Value> = map
        .iter()
        .filter(|(key, _)| !OF_SCHEMA.contains(&key.as_str()) && *key != "collectionFormat")
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    if !made.contains_key("schema") {
        made.insert("schema".to_owned(), schema_of(map));
    }
    let is_list = map.get("type").is_some_and(|kind| kind == "array");
    if is_list || map.contains_key("collectionFormat") {
        let (style, explode) = collection(map);
        // In a path or a header there is only one way, and it has no name in common with the query's.
        if map.get("in").is_some_and(|place| place == "query") {
            made.insert("style".to_owned(), style.into());
        }
        made.insert("explode".to_owned(), explode.into());
    }
    Value::Object(made)
}

/// The schema among a parameter's keywords.
fn schema_of(map: &Map<String, Value>) -> Value {
    if let Some(schema) = map.get("schema") {
        return schema.clone();
    }
    if map.get("type").is_some_and(|kind| kind == "file") {
        return json!({"type": "string", "format": "binary"});
    }
    let kept = map.iter().filter(|(key, _)| OF_SCHEMA.contains(&key.as_str()));
    Value::Object(kept.map(|(key, value)| (key.clone(), value.clone())).collect())
}

/// `collectionFormat` as style and explode.
fn collection(map: &Map<String, Value>) -> (&'static str, bool) {
    match map.get("collectionFormat").and_then(Value::as_str) {
        Some("multi") => ("form", true),
        Some("ssv") => ("spaceDelimited", false),
        Some("tsv") => ("tabDelimited", false),
        Some("pipes") => ("pipeDelimited", false),
        _ => ("form", false),
    }
}

/// The body parameter as a request body.
fn whole_body(body: &Value, consumes: &[&str]) -> Value {
    let schema = body.get("schema").cloned().unwrap_or_else(|| json!({}));
    let media_types = if consumes.is_empty() { &["application/json"][..] } else { consumes };
    let content =
        media_types.iter().map(|media_type| ((*media_type).to_owned(), json!({ "schema": schema })));
    let mut made = Map::new();
    for key in ["description", "required"] {
        made.extend(body.get(key).map(|value| (key.to_owned(), value.clone())));
    }
    made.insert("content".to_owned(), Value::Object(content.collect()));
    Value::Object(made)
}

/// The form parameters as a request body.
fn form_body(form: &[&Value], consumes: &[&str]) -> Value {
    let (mut properties, mut encoding, mut required) = (Map::new(), Map::new(), Vec::new());
    let mut has_file = false;
    for map in form.iter().filter_map(|parameter| parameter.as_object()) {
        let Some(name) = map.get("name").and_then(Value::as_str) else {
            continue;
        };
        let mut schema = schema_of(map);
        if let (Some(schema), Some(words)) = (schema.as_object_mut(), map.get("description")) {
            schema.insert("description".to_owned(), words.clone());
        }
        has_file |= map.get("type").is_some_and(|kind| kind == "file");
        if map.get("type").is_some_and(|kind| kind == "array") {
            let (style, explode) = collection(map);
            encoding.insert(name.to_owned(), json!({ "style": style, "explode": explode }));
        }
        if map.get("required") == Some(&Value::Bool(true)) {
            required.push(Value::from(name));
        }
        properties.insert(name.to_owned(), schema);
    }
    let mut schema = json!({ "type": "object", "properties": properties });
    let is_required = !required.is_empty();
    if is_required && let Some(schema) = schema.as_object_mut() {
        schema.insert("required".to_owned(), required.into());
    }
    let is_form = |media_type: &&&str| media_type.contains("form");
    let mut media_types: Vec<&str> = consumes.iter().filter(is_form).copied().collect();
    if has_file {
        media_types.retain(|media_type| media_type.starts_with("multipart/"));
    }
    if media_types.is_empty() {
        media_types.push(if has_file { "multipart/form-data" } else { "application/x-www-form-urlencoded" });
    }
    let content = media_types
        .iter()
        .map(|media_type| ((*media_type).to_owned(), json!({ "schema": schema, "encoding": encoding })));
    json!({ "required": is_required, "content": Value::Object(content.collect()) })
}

/// A response with its content.
fn translated_response(response: &Value, produces: &[&str]) -> Value {
    let Some(map) = response.as_object().filter(|_| reference(response).is_none()) else {
        return response.clone();
    };
    let kept = map.iter().filter(|(key, _)| !matches!(key.as_str(), "schema" | "examples" | "headers"));
    let mut made: Map<String, Value> = kept.map(|(key, value)| (key.clone(), value.clone())).collect();
    let Some(schema) = map.get("schema") else {
        return Value::Object(made);
    };
    let is_file = schema.get("type").is_some_and(|kind| kind == "file");
    let fallback = if is_file { "application/octet-stream" } else { "application/json" };
    let media_types = if produces.is_empty() { &[fallback][..] } else { produces };
    let content = media_types.iter().map(|media_type| {
        let mut media = Map::new();
        let schema = if is_file { json!({"type": "string", "format": "binary"}) } else { schema.clone() };
        media.insert("schema".to_owned(), schema);
        let example = map.get("examples").and_then(|examples| examples.get(*media_type));
        media.extend(example.map(|example| ("example".to_owned(), example.clone())));
        ((*media_type).to_owned(), Value::Object(media))
    });
    made.insert("content".to_owned(), Value::Object(content.collect()));
    Value::Object(made)
}

/// A security scheme.
fn security_scheme(scheme: &Value) -> Value {
    let text = |key: &str| scheme.get(key).and_then(Value::as_str).unwrap_or_default();
    match text("type") {
        "basic" => json!({"type": "http", "scheme": "basic"}),
        "oauth2" => {
            let flow = match text("flow") {
                "application" => "clientCredentials",
                "accessCode" => "authorizationCode",
                other => other,
            };
            let mut made = Map::new();
            for key in ["authorizationUrl", "tokenUrl", "scopes"] {
                made.extend(scheme.get(key).map(|value| (key.to_owned(), value.clone())));
            }
            json!({"type": "oauth2", "flows": { flow: made }})
        }
        _ => scheme.clone(),
    }
}

#[cfg(test)]
#[path = "swagger_tests.rs"]
mod tests;
