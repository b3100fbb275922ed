//! Bodies of every kind: what their tool asks for, and what is sent.

use serde_json::{Value, json};

use super::tests::{one, prepare, schema};

/// A tool of one operation with this content.
fn tool(content: &Value) -> super::Catalogue {
    one("post", "/a", &json!({"requestBody": {"required": true, "content": content}}))
}

/// The content type and the body of a good call.
fn sent(content: &Value, arguments: &Value) -> (String, String) {
    let catalogue = tool(content);
    let (media_type, body) = prepare(&catalogue, arguments).unwrap().body.unwrap();
    (media_type, String::from_utf8(body).unwrap())
}

/// The properties a tool asks for.
fn asked(content: &Value) -> Value {
    schema(&tool(content))["properties"].clone()
}

#[test]
fn forms_are_encoded_field_by_field() {
    let content = json!({"application/x-www-form-urlencoded": {
        "schema": {"type": "object", "required": ["name"], "properties": {
            "name": {"type": "string"}, "n": {"type": "integer"}, "tags": {"type": "array", "items": {"type": "string"}},
            "csv": {"type": "array", "items": {"type": "string"}}, "deep": {"type": "object"},
            "more": {"type": "object"}, "url": {"type": "string"}, "gone": {"type": "string"}}},
        "encoding": {"csv": {"style": "form", "explode": false}, "deep": {"style": "deepObject", "explode": true},
            "url": {"allowReserved": true}}}});
    let arguments = json!({"name": "a b&c", "n": 3, "tags": ["x", "y"], "csv": ["p", "q"],
        "deep": {"k": {"l": 1}}, "more": {"z": 1}, "url": "https://h/?a=b", "gone": null});
    assert_eq!(
        sent(&content, &arguments),
        (
            "application/x-www-form-urlencoded".to_owned(),
            "name=a%20b%26c&n=3&tags=x&tags=y&csv=p,q&deep%5Bk%5D%5Bl%5D=1&more=%7B%22z%22%3A1%7D\
             &url=https://h/?a%3Db"
                .to_owned()
        )
    );
}

#[test]
fn files_go_as_parts() {
    let content = json!({"multipart/form-data": {"schema": {"type": "object", "required": ["photo"], "properties": {
        "photo": {"type": "string", "format": "binary", "description": "The photo."},
        "more": {"type": "array", "items": {"type": "string", "format": "binary"}},
        "note": {"type": "string"}, "meta": {"type": "object"}, "ids": {"type": "array", "items": {"type": "integer"}}}},
        "encoding": {"photo": {"contentType": "image/png, image/jpeg"}}}});
    let offered = asked(&content);
    let words = offered["photo"]["description"].as_str().unwrap();
    assert!(words.starts_with("The photo.\nFile content: text as it is, or a data URI"), "{words}");
    assert_eq!(offered["photo"]["type"], "string");
    assert!(offered["photo"].get("format").is_none());
    let (media_type, body) = sent(
        &content,
        &json!({"photo": "data:image/png;name=me.png;base64,UE5H", "more": ["one", "data:text/csv,a%2Cb"],
            "note": "hi", "meta": {"a": 1}, "ids": [1, 2]}),
    );
    let boundary = media_type.strip_prefix("multipart/form-data; boundary=").unwrap();
    let parts: Vec<&str> = body.split(boundary).collect();
    let part = |index: usize| parts[index].trim_start_matches("\r\n").trim_end_matches("\r\n--").to_owned();
    let disposition = "Content-Disposition: form-data; name=";
    assert_eq!(
        part(1),
        format!("{disposition}\"photo\"; filename=\"me.png\"\r\nContent-Type: image/png\r\n\r\nPNG")
    );
    assert_eq!(
        part(2),
        format!(
            "{disposition}\"more\"; filename=\"more\"\r\nContent-Type: application/octet-stream\r\n\r\none"
        )
    );
    assert_eq!(
        part(3),
        format!("{disposition}\"more\"; filename=\"more.csv\"\r\nContent-Type: text/csv\r\n\r\na,b")
    );
    assert_eq!(part(4), format!("{disposition}\"note\"\r\n\r\nhi"));
    assert_eq!(
        part(5),
        format!("{disposition}\"meta\"\r\nContent-Type: application/json\r\n\r\n{{\"a\":1}}")
    );
    assert_eq!(
        (part(6), part(7)),
        (format!("{disposition}\"ids\"\r\n\r\n1"), format!("{disposition}\"ids\"\r\n\r\n2"))
    );
    let catalogue = tool(&content);
    let error = prepare(&catalogue, &json!({"photo": "data:image/png;base64,!"})).unwrap_err();
    assert!(error.contains("member \"photo\" holds no valid base64"), "{error}");
}

#[test]
fn bytes_and_texts_are_one_argument() {
    let octets = json!({"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}});
    assert_eq!(
        sent(&octets, &json!({"body": "data:application/zip;base64,UEs="})),
        ("application/zip".to_owned(), "PK".to_owned())
    );
    assert_eq!(
        sent(&octets, &json!({"body": "plain"})),
        ("application/octet-stream".to_owned(), "plain".to_owned())
    );
    let image = json!({"image/*": {}});
    assert_eq!(
        sent(&image, &json!({"body": "data:image/gif;base64,R0lG"})),
        ("image/gif".to_owned(), "GIF".to_owned())
    );
    let png = json!({"image/png": {"schema": {"type": "string", "format": "binary"}}});
    assert_eq!(sent(&png, &json!({"body": "data:image/gif;base64,R0lG"})).0, "image/png");
    let text = json!({"text/plain": {"schema": {"type": "string", "maxLength": 5}}});
    assert_eq!(sent(&text, &json!({"body": "a b\n"})), ("text/plain".to_owned(), "a b\n".to_owned()));
    assert!(
        prepare(&tool(&text), &json!({"body": "too long"})).unwrap_err().contains("at most 5 characters")
    );
    let xml = json!({"application/xml": {"schema": {"type": "object", "description": "A pet.",
        "properties": {"id": {}, "name": {}}}}});
    assert_eq!(
        asked(&xml)["body"],
        json!({"type": "string", "description": "A pet.\nXML text with: id, name"})
    );
    assert_eq!(sent(&xml, &json!({"body": "<p/>"})), ("application/xml".to_owned(), "<p/>".to_owned()));
}

#[test]
fn patches_keep_their_nulls_and_their_lists() {
    let merge = json!({"application/merge-patch+json": {"schema": {"type": "object", "properties": {
        "name": {"type": "string"}, "size": {"type": "integer"}}}}});
    assert_eq!(asked(&merge)["name"], json!({"type": ["string", "null"]}));
    assert_eq!(
        sent(&merge, &json!({"name": null, "size": 3})),
        ("application/merge-patch+json".to_owned(), "{\"name\":null,\"size\":3}".to_owned())
    );
    let patch =
        json!({"application/json-patch+json": {"schema": {"type": "array", "items": {"type": "object"}}}});
    let operations = json!([{"op": "remove", "path": "/a"}]);
    assert_eq!(
        sent(&patch, &json!({ "body": operations })),
        ("application/json-patch+json".to_owned(), operations.to_string())
    );
}

#[test]
fn the_kind_that_suits_a_model_is_sent() {
    let object = json!({"schema": {"type": "object", "properties": {"a": {"type": "string"}}}});
    let with_file =
        json!({"schema": {"type": "object", "properties": {"a": {"type": "string", "format": "binary"}}}});
    let chosen = |content: Value| sent(&content, &json!({"a": "x"})).0;
    let form = "application/x-www-form-urlencoded";
    assert_eq!(
        chosen(json!({"text/xml": object, form: object, "application/json": object})),
        "application/json"
    );
    assert_eq!(chosen(json!({"multipart/form-data": object, form: object})), form);
    assert!(
        chosen(json!({form: with_file, "multipart/form-data": with_file}))
            .starts_with("multipart/form-data;")
    );
    assert_eq!(chosen(json!({"*/*": object})), "application/json");
    assert_eq!(
        chosen(json!({"application/vnd.a+json": object, "application/xml": object})),
        "application/vnd.a+json"
    );
}
