//! Documents of 2.0 and what becomes of them.

use super::*;

/// A document with one operation, translated, and that operation.
fn operation(document: &Value, path: &str, method: &str) -> Value {
    translate(document.clone())["paths"][path][method].clone()
}

#[test]
fn bodies_and_forms_become_request_bodies() {
    let document = json!({"swagger": "2.0", "consumes": ["application/json"],
        "definitions": {"Pet": {"type": "object"}},
        "parameters": {"pet": {"in": "body", "name": "pet", "required": true, "schema": {"$ref": "#/definitions/Pet"}}},
        "paths": {"/pets": {
            "parameters": [{"in": "query", "name": "q", "type": "string", "maxLength": 3, "description": "words"}],
            "post": {"parameters": [{"$ref": "#/parameters/pet"}]},
            "put": {"consumes": ["application/x-www-form-urlencoded", "multipart/form-data"], "parameters": [
                {"in": "formData", "name": "photo", "type": "file", "required": true},
                {"in": "formData", "name": "tags", "type": "array", "items": {"type": "string"},
                 "collectionFormat": "multi", "description": "some"}]}}}});
    let post = operation(&document, "/pets", "post");
    assert_eq!(
        post["requestBody"],
        json!({"required": true, "content": {"application/json": {"schema": {"$ref": "#/definitions/Pet"}}}})
    );
    assert_eq!(
        post["parameters"],
        json!([{"in": "query", "name": "q", "description": "words", "schema": {"type": "string", "maxLength": 3}}])
    );
    let put = operation(&document, "/pets", "put");
    assert_eq!(
        put["requestBody"],
        json!({"required": true, "content": {"multipart/form-data": {
            "schema": {"type": "object", "required": ["photo"], "properties": {
                "photo": {"type": "string", "format": "binary"},
                "tags": {"type": "array", "items": {"type": "string"}, "description": "some"}}},
            "encoding": {"tags": {"style": "form", "explode": true}}}}})
    );
}

#[test]
fn lists_keep_their_format() {
    let style = |format: &str| {
        let document = json!({"swagger": 2.0, "paths": {"/a": {"get": {"parameters": [{"in": "query", "name": "a",
            "type": "array", "items": {"type": "string"}, "collectionFormat": format}]}}}});
        let parameter = operation(&document, "/a", "get")["parameters"][0].clone();
        (parameter["style"].as_str().unwrap().to_owned(), parameter["explode"].as_bool().unwrap())
    };
    assert_eq!(style("csv"), ("form".to_owned(), false));
    assert_eq!(style("multi"), ("form".to_owned(), true));
    assert_eq!(style("ssv"), ("spaceDelimited".to_owned(), false));
    assert_eq!(style("tsv"), ("tabDelimited".to_owned(), false));
    assert_eq!(style("pipes"), ("pipeDelimited".to_owned(), false));
}

#[test]
fn responses_get_their_media_types() {
    let document = json!({"swagger": "2.0", "produces": ["application/json", "text/csv"],
        "responses": {"Gone": {"description": "gone", "schema": {"type": "string"}}},
        "paths": {"/a": {"get": {"responses": {
            "200": {"description": "ok", "schema": {"type": "object"}, "examples": {"text/csv": "a,b"}},
            "204": {"description": "nothing"},
            "410": {"$ref": "#/responses/Gone"}}},
            "put": {"produces": [], "responses": {"200": {"schema": {"type": "file"}}}}}}});
    let responses = operation(&document, "/a", "get")["responses"].clone();
    assert_eq!(
        responses["200"],
        json!({"description": "ok", "content": {"application/json": {"schema": {"type": "object"}},
            "text/csv": {"schema": {"type": "object"}, "example": "a,b"}}})
    );
    assert_eq!(responses["204"], json!({"description": "nothing"}));
    assert_eq!(responses["410"]["content"]["application/json"]["schema"], json!({"type": "string"}));
    let file = operation(&document, "/a", "put")["responses"]["200"]["content"].clone();
    assert_eq!(file, json!({"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}));
}

#[test]
fn hosts_become_servers() {
    let url = |top: Value| {
        let mut document = json!({"swagger": "2.0", "paths": {"/a": {"get": {"schemes": ["http"]}}}});
        document.as_object_mut().unwrap().extend(top.as_object().unwrap().clone());
        let translated = translate(document);
        let own = translated["paths"]["/a"]["get"]["servers"][0]["url"].as_str().map(str::to_owned);
        (translated["servers"][0]["url"].as_str().unwrap().to_owned(), own)
    };
    let own = |text: &str| Some(text.to_owned());
    assert_eq!(
        url(json!({"host": "a.example", "basePath": "/v1", "schemes": ["http", "https", "wss"]})),
        ("https://a.example/v1".to_owned(), own("http://a.example/v1"))
    );
    assert_eq!(url(json!({"host": "a.example:8080"})).0, "//a.example:8080/");
    assert_eq!(url(json!({"basePath": "/v1"})), ("/v1".to_owned(), None));
    assert_eq!(
        url(json!({"host": "a.example", "schemes": ["http"]})),
        ("http://a.example/".to_owned(), None)
    );
}

#[test]
fn security_keeps_its_meaning() {
    let document = json!({"swagger": "2.0", "paths": {}, "securityDefinitions": {
        "b": {"type": "basic"}, "k": {"type": "apiKey", "in": "query", "name": "key"},
        "o": {"type": "oauth2", "flow": "application", "tokenUrl": "https://a/t", "scopes": {"r": "read"}}}});
    assert_eq!(
        translate(document)["components"]["securitySchemes"],
        json!({"b": {"type": "http", "scheme": "basic"}, "k": {"type": "apiKey", "in": "query", "name": "key"},
            "o": {"type": "oauth2", "flows": {"clientCredentials": {"tokenUrl": "https://a/t",
                "scopes": {"r": "read"}}}}})
    );
}
