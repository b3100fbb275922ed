//! Documents in, requests out: what a call becomes, and what is refused before it becomes anything.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    Arguments, Catalogue, CompileOptions, Filter, Prepared, Skipped, Tool, compile as compiled, supplied,
};
use crate::config::{AuthConfig, KeyPlace};

/// A catalogue of a document.
pub(crate) fn catalogue(
    document: Value,
    options: &CompileOptions,
) -> Result<(Catalogue, Vec<Skipped>), String> {
    let text = compiled(&document.into(), options, 2).map_err(|error| error.to_string())?.finish().concat();
    let (catalogue, head) = Catalogue::in_memory(&text).unwrap();
    Ok((catalogue, head.skipped))
}

/// What a configuration says that says nothing but a base.
pub(crate) fn options(source: &Value, base_url: Option<&str>) -> CompileOptions {
    CompileOptions::new(source, base_url, Vec::new(), Filter::default()).unwrap()
}

/// A catalogue of a 3.0 document with these paths, whose server is `https://api.example/v1`.
fn compile(paths: &Value) -> (Catalogue, Vec<Skipped>) {
    let document =
        json!({"openapi": "3.0.3", "servers": [{"url": "https://api.example/v1/"}], "paths": paths});
    catalogue(document, &options(&Value::Null, None)).unwrap()
}

/// The tools of a catalogue.
fn tools(catalogue: &Catalogue) -> Vec<Tool> {
    catalogue.entries().map(|entry| entry.unwrap().tool).collect()
}

/// A catalogue of one operation.
pub(super) fn one(method: &str, path: &str, operation: &Value) -> Catalogue {
    let (catalogue, skipped) = compile(&json!({ path: { method: operation } }));
    assert_eq!(skipped, []);
    catalogue
}

/// The input schema of a catalogue's first tool.
pub(super) fn schema(catalogue: &Catalogue) -> Value {
    serde_json::from_str(tools(catalogue)[0].input_schema.get()).unwrap()
}

/// A call of the first tool.
pub(super) fn prepare<'a>(catalogue: &'a Catalogue, arguments: &Value) -> Result<Prepared<'a>, String> {
    let arguments: Arguments = arguments.as_object().unwrap().clone();
    catalogue.prepare(0, arguments)
}

/// The target of a good call of the first tool.
fn target(catalogue: &Catalogue, arguments: &Value) -> String {
    prepare(catalogue, arguments).unwrap().target
}

/// The body of a good call of the first tool.
fn body(catalogue: &Catalogue, arguments: &Value) -> Option<Value> {
    let (_, body) = prepare(catalogue, arguments).unwrap().body?;
    Some(serde_json::from_slice(&body).unwrap())
}

/// A parameter object of a string.
fn parameter(place: &str, name: &str) -> Value {
    json!({"in": place, "name": name, "schema": {"type": "string"}})
}

/// A JSON request body object.
fn json_body(schema: &Value, required: bool) -> Value {
    json!({"required": required, "content": {"application/json": {"schema": schema}}})
}

#[test]
fn one_bad_operation_costs_itself_only() {
    let (catalogue, skipped) = compile(&json!({
        "/a": {"get": {"operationId": "a"}, "post": {"parameters": [{"$ref": "#/nowhere"}]}},
        "/b": {"put": {"parameters": [{"in": "path", "$ref": "#/components/nowhere"}]}},
        "/c": {"$ref": "other.json"},
        "/d{": {"get": {}},
        "/e": {"get": {"operationId": "e", "summary": "Reads e", "description": "Slowly.", "deprecated": true}},
    }));
    let tools = tools(&catalogue);
    let names: Vec<&str> = tools.iter().map(|tool| &*tool.name).collect();
    assert_eq!(names, ["a", "e"]);
    assert_eq!(&*tools[0].description, "GET /a");
    assert_eq!(&*tools[1].description, "Deprecated. Reads e\n\nSlowly.");
    assert_eq!(tools[1].title.as_deref(), Some("Reads e"));
    let skipped: Vec<String> = skipped.iter().map(ToString::to_string).collect();
    assert_eq!(
        skipped,
        [
            "POST /a: cannot resolve $ref \"#/nowhere\": nothing is there",
            "PUT /b: cannot resolve $ref \"#/components/nowhere\": nothing is there",
            "/c: cannot resolve $ref \"other.json\": it points outside the document",
            "GET /d{: its path has a \"{\" without its \"}\"",
        ]
    );
}

#[test]
fn methods_tell_what_a_tool_may_do() {
    let (catalogue, _) =
        compile(&json!({"/a": {"get": {}, "post": {}, "put": {}, "delete": {}, "patch": {}}}));
    let tools = tools(&catalogue);
    let told = tools.iter().map(|tool| {
        let hints = tool.annotations;
        (&*tool.name, hints.read_only, hints.destructive, hints.idempotent)
    });
    let told: Vec<_> = told.collect();
    assert_eq!(
        told,
        [
            ("get_a", true, false, true),
            ("post_a", false, true, false),
            ("put_a", false, true, true),
            ("patch_a", false, true, false),
            ("delete_a", false, true, true),
        ]
    );
}

#[test]
fn path_parameters_stay_one_piece() {
    let catalogue = one("get", "/files/{path}/at/{ref}", &json!({"parameters": [parameter("path", "path")]}));
    let at = |path: &str| target(&catalogue, &json!({"path": path, "ref": "main"}));
    assert_eq!(at("a/b c"), "/files/a%2Fb%20c/at/main");
    assert_eq!(at("100%"), "/files/100%25/at/main");
    assert_eq!(at("?x=1#y"), "/files/%3Fx%3D1%23y/at/main");
    assert_eq!(at("http://evil.example"), "/files/http%3A%2F%2Fevil.example/at/main");
    // What one argument brings in is never taken for the place of another.
    assert_eq!(at("{ref}"), "/files/%7Bref%7D/at/main");
    for bad in ["..", ".", "%2e%2e", "%252E%252e", "a/../b", "a\\..\\b", "%2e%2e%2fadmin"] {
        let error = prepare(&catalogue, &json!({"path": bad, "ref": "main"})).unwrap_err();
        assert!(error.contains("argument \"path\""), "{bad}: {error}");
    }
    let error = prepare(&catalogue, &json!({"path": "", "ref": "main"})).unwrap_err();
    assert!(error.contains("is empty"), "{error}");
    let error = prepare(&catalogue, &json!({"ref": "main"})).unwrap_err();
    assert!(error.contains("argument \"path\" is required but missing"), "{error}");
}

#[test]
fn neighbours_cannot_climb_together() {
    let catalogue = one("get", "/{a}{b}/x", &json!({}));
    assert_eq!(target(&catalogue, &json!({"a": "1", "b": "2"})), "/12/x");
    assert!(prepare(&catalogue, &json!({"a": "%2", "b": "e"})).unwrap_err().contains("leads out"));
    let catalogue = one("get", "/.{a}/x", &json!({}));
    assert!(prepare(&catalogue, &json!({"a": ";"})).unwrap_err().contains("leads out"));
}

#[test]
fn paths_are_taken_as_the_document_writes_them() {
    let at = |path: &str| target(&one("get", path, &json!({})), &json!({}));
    assert_eq!(at("/a:b/c"), "/a:b/c");
    assert_eq!(at("a"), "/a");
    assert_eq!(at("/a b?x=1 2"), "/a%20b?x=1%202");
    assert_eq!(at("/a#Action=Run"), "/a");
    let catalogue = one("get", "/{id}:run", &json!({}));
    assert_eq!(target(&catalogue, &json!({"id": "x"})), "/x:run");
}

#[test]
fn queries_headers_and_cookies_go_where_they_belong() {
    let catalogue = one(
        "get",
        "/a?fixed=1",
        &json!({"parameters": [
            {"in": "query", "name": "tag", "schema": {"type": "array", "items": {"type": "string"}}},
            {"in": "query", "name": "n", "schema": {"type": "integer"}},
            {"in": "query", "name": "filter", "style": "deepObject", "schema": {"type": "object"}},
            {"in": "query", "name": "q", "content": {"application/json": {"schema": {"type": "object"}}}},
            {"in": "header", "name": "X-Ids", "schema": {"type": "array", "items": {"type": "integer"}}},
            parameter("cookie", "s"),
            {"in": "cookie", "name": "raw", "style": "cookie", "schema": {"type": ["array", "string"], "items": {}}},
        ]}),
    );
    let arguments = json!({"tag": ["x", "y z"], "n": "7", "filter": {"a": 1}, "q": {"b": [2]}, "X-Ids": [1, 2],
        "s": "a;b", "raw": ["a%20b", 1]});
    let prepared = prepare(&catalogue, &arguments).unwrap();
    assert_eq!(prepared.target, "/a?fixed=1&tag=x&tag=y%20z&n=7&filter%5Ba%5D=1&q=%7B%22b%22%3A%5B2%5D%7D");
    let headers: Vec<_> = prepared.headers.iter().map(|(n, v)| (n.as_str(), v.to_str().unwrap())).collect();
    assert_eq!(headers, [("x-ids", "1,2"), ("cookie", "s=a%3Bb; raw=a%20b; raw=1")]);
    assert!(prepared.body.is_none());
    let error = prepare(&catalogue, &json!({"raw": "a; session=b"})).unwrap_err();
    assert_eq!(error, "cannot call get_a_fixed_1: argument \"raw\" has a \";\", which would end the cookie");
}

#[test]
fn headers_cannot_be_smuggled_or_overridden() {
    let names = ["X-Ok", "Host", "content-length", "Authorization", "Transfer-Encoding", "bad name"];
    let parameters: Vec<Value> = names.iter().map(|name| parameter("header", name)).collect();
    let catalogue = one("get", "/a", &json!({ "parameters": parameters }));
    let offered: Vec<String> =
        schema(&catalogue)["properties"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(offered, ["X-Ok"]);
    for bad in ["a\r\nHost: evil", "a\nb", "a\u{0}b"] {
        let error = prepare(&catalogue, &json!({"X-Ok": bad})).unwrap_err();
        assert_eq!(error, "cannot call get_a: argument \"X-Ok\" holds what no header may");
    }
    let error = prepare(&catalogue, &json!({"Host": "evil"})).unwrap_err();
    assert!(error.contains("is unknown"), "{error}");
}

#[test]
fn one_name_in_three_places_is_three_arguments() {
    let operation = json!({
        "parameters": [parameter("query", "id"), parameter("path", "id")],
        "requestBody": json_body(&json!({"type": "object", "properties": {"id": {"type": "integer"}}}), true)
    });
    let catalogue = one("put", "/a/{id}", &operation);
    assert_eq!(schema(&catalogue)["required"], json!(["id", "body"]));
    let arguments = json!({"id": "p", "id_query": "q", "body": {"id": 3}});
    assert_eq!(target(&catalogue, &arguments), "/a/p?id=q");
    assert_eq!(body(&catalogue, &arguments), Some(json!({"id": 3})));
}

#[test]
fn members_of_a_plain_body_stand_beside_the_parameters() {
    let object = json!({"type": "object", "required": ["name", "id"], "properties": {
        "id": {"type": "integer", "readOnly": true},
        "name": {"type": "string"},
        "parent[0]": {"type": "string", "nullable": true},
        "size": {"type": "integer"}}});
    let catalogue = one("post", "/a", &json!({"requestBody": json_body(&object, true)}));
    let schema = schema(&catalogue);
    assert_eq!(schema["required"], json!(["name"]));
    let offered: Vec<&String> = schema["properties"].as_object().unwrap().keys().collect();
    assert_eq!(offered, ["name", "parent_0", "size"]);
    // A null that the schema knows is a value; any other is left out.
    let arguments = json!({"name": "x", "parent_0": null, "size": null});
    assert_eq!(body(&catalogue, &arguments), Some(json!({"name": "x", "parent[0]": null})));
}

#[test]
fn bodies_that_are_more_than_members_stay_whole() {
    let open = json!({"type": "object", "properties": {"a": {}}, "additionalProperties": {"type": "string"}});
    let either = json!({"oneOf": [{"type": "string"}, {"type": "object"}]});
    let sometimes = json!({"type": "object", "required": ["a"], "properties": {"a": {"type": "string"}}});
    for (object, required) in [(&open, true), (&either, true), (&sometimes, false)] {
        let catalogue = one("post", "/a", &json!({"requestBody": json_body(object, required)}));
        let schema = schema(&catalogue);
        let offered: Vec<&String> = schema["properties"].as_object().unwrap().keys().collect();
        assert_eq!(offered, ["body"], "{object}");
        assert_eq!(schema.get("required").is_some(), required, "{object}");
        assert_eq!(body(&catalogue, &json!({"body": {"a": "b"}})), Some(json!({"a": "b"})));
    }
}

#[test]
fn bodies_that_may_be_left_out_are() {
    let object = json!({"type": "object", "properties": {"a": {"type": "string"}}});
    let optional = one("post", "/a", &json!({"requestBody": json_body(&object, false)}));
    assert_eq!(body(&optional, &json!({})), None);
    let required = one("post", "/a", &json!({"requestBody": json_body(&object, true)}));
    assert_eq!(body(&required, &json!({})), Some(json!({})));
    assert_eq!(prepare(&required, &json!({})).unwrap().body.unwrap().0, "application/json");
}

#[test]
fn what_the_configuration_gives_is_no_argument() {
    let document = json!({"openapi": "3.1.0", "paths": {"/a": {"get": {"parameters": [
        {"in": "query", "name": "key", "required": true}, parameter("header", "X-Team"), parameter("query", "q")]}}}});
    let auth = AuthConfig::ApiKey { place: KeyPlace::Query, name: "key".into(), value: "secret".into() };
    let headers = BTreeMap::from([("x-team".to_owned(), "blue".to_owned())]);
    let supplied = supplied(Some(&auth), &headers);
    let options = CompileOptions::new(&Value::Null, Some("http://h/b"), supplied, Filter::default()).unwrap();
    let (catalogue, _) = catalogue(document, &options).unwrap();
    assert_eq!(schema(&catalogue)["properties"], json!({"q": {"type": "string"}}));
    assert_eq!(prepare(&catalogue, &json!({})).unwrap().base.unwrap().to_string(), "http://h/b");
}

#[test]
fn a_document_may_say_where_it_is() {
    let document = json!({"openapi": "3.2.0", "$self": "https://a.example/v1/api.json", "servers": [{"url": "../x"}],
        "paths": {"/a": {"get": {}}}});
    let (catalogue, _) = catalogue(document, &options(&Value::Null, None)).unwrap();
    assert_eq!(
        catalogue.prepare(0, Arguments::new()).unwrap().base.unwrap().to_string(),
        "https://a.example/x"
    );
}

#[test]
fn a_document_without_a_place_asks_for_one() {
    let compile = |document: Value, source: Value| {
        let (catalogue, _) = catalogue(document, &options(&source, None))?;
        Ok::<_, String>(prepare(&catalogue, &json!({})).unwrap().base.unwrap().to_string())
    };
    let relative = json!({"openapi": "3.0.0", "servers": [{"url": "/v3"}], "paths": {"/a": {"get": {}}}});
    assert_eq!(
        compile(relative.clone(), json!("api.json")).unwrap_err(),
        "cannot tell from the document where calls go: its server URL \"/v3\" is relative and it was not read \
         from a URL; set baseUrl"
    );
    let from = json!("https://example.com/docs/api.json");
    assert_eq!(compile(relative, from).unwrap(), "https://example.com/v3");
    let bad =
        CompileOptions::new(&Value::Null, Some("localhost:80"), Vec::new(), Filter::default()).unwrap_err();
    assert!(bad.to_string().starts_with("cannot use baseUrl: "), "{bad}");
}

#[test]
fn operations_may_have_servers_of_their_own() {
    let (catalogue, skipped) = compile(&json!({
        "/a": {"get": {"servers": [{"url": "https://upload.example"}]}},
        "/b": {"get": {}},
        "/c": {"get": {"servers": [{"url": "relative"}]}},
    }));
    let base = |index| catalogue.prepare(index, Arguments::new()).unwrap().base.unwrap().to_string();
    assert_eq!((base(0).as_str(), base(1).as_str()), ("https://upload.example", "https://api.example/v1"));
    assert_eq!(skipped.len(), 1);
}

#[test]
fn mock_answers_come_from_the_document() {
    let document = json!({"openapi": "3.0.0", "paths": {"/a": {"get": {"responses": {"200": {"content":
        {"application/json": {"schema": {"type": "object", "properties": {"id": {"type": "integer"}}}}}}}}}}});
    let (catalogue, _) = catalogue(document, &options(&Value::Null, Some("mock"))).unwrap();
    let prepared = prepare(&catalogue, &json!({})).unwrap();
    assert!(prepared.base.is_none());
    assert_eq!(prepared.tool.mock().unwrap().body.as_deref(), Some(r#"{"id":1}"#));
}

#[test]
fn operations_may_be_left_out() {
    let document = json!({"openapi": "3.1.0", "paths": {
        "/a": {"get": {"operationId": "a", "tags": ["x"]}, "put": {"operationId": "b", "tags": ["x"], "deprecated": true},
            "post": {"operationId": "c", "x-mcp-hidden": true}},
        "/d": {"x-mcp-hidden": true, "get": {"operationId": "d"}}, "/e": {"get": {"operationId": "e"}}}});
    let names = |include: Value, exclude: Value| {
        let filter = serde_json::from_value(json!({"include": include, "exclude": exclude})).unwrap();
        let options = CompileOptions::new(&Value::Null, Some("mock"), Vec::new(), filter).unwrap();
        let (catalogue, _) = catalogue(document.clone(), &options).unwrap();
        tools(&catalogue).into_iter().map(|tool| tool.name.into_string()).collect::<Vec<_>>()
    };
    assert_eq!(names(json!([]), json!([])), ["a", "b", "e"]);
    assert_eq!(names(json!([{"tag": "x"}]), json!([{"deprecated": true}])), ["a"]);
    assert_eq!(names(json!([{"path": "/e"}, {"method": "PUT"}]), json!([])), ["b", "e"]);
}

#[test]
fn a_documents_author_may_say_it_better() {
    let (catalogue, _) =
        compile(&json!({"/a": {"post": {"operationId": "x", "summary": "s", "description": "d",
        "x-mcp-name": "find it", "x-mcp-title": "Find", "x-mcp-description": "Finds.",
        "x-mcp-annotations": {"readOnlyHint": true, "openWorldHint": false}}}}));
    let tool = tools(&catalogue).remove(0);
    assert_eq!((&*tool.name, tool.title.as_deref(), &*tool.description), ("find_it", Some("Find"), "Finds."));
    let hints = tool.annotations;
    assert_eq!(
        (hints.read_only, hints.destructive, hints.idempotent, hints.open_world),
        (true, false, false, false)
    );
}

#[test]
fn queries_of_every_kind_are_parameters() {
    let catalogue = one(
        "get",
        "/a/{path*}?fixed=1&kind={kind}",
        &json!({"parameters": [
        parameter("query", "kind"), parameter("path", "path"),
        {"in": "querystring", "name": "rest", "content": {"application/x-www-form-urlencoded": {"schema":
            {"type": "object"}}}}]}),
    );
    let arguments = json!({"kind": "a&b", "path": "x", "rest": {"p": "q r", "l": [1, 2]}});
    assert_eq!(target(&catalogue, &arguments), "/a/x?fixed=1&kind=a%26b&p=q%20r&l=1&l=2");
    let (catalogue, _) = compile(&json!({"/s": {"query": {"operationId": "s"},
        "additionalOperations": {"LINK": {"operationId": "l"}, "CONNECT": {"operationId": "c"}}}}));
    let methods = (0..2).map(|index| catalogue.prepare(index, Arguments::new()).unwrap().method.to_string());
    assert_eq!(methods.collect::<Vec<_>>(), ["QUERY", "LINK"]);
    assert!(tools(&catalogue)[0].annotations.read_only);
}

#[test]
fn tools_that_are_called_are_kept_while_they_are() {
    let paths: serde_json::Map<String, Value> =
        (0..10).map(|index| (format!("/{index}"), json!({"get": {}}))).collect();
    let (catalogue, _) = compile(&Value::Object(paths));
    let tool = |index: usize| catalogue.prepare(index, Arguments::new()).unwrap().tool;
    let first = tool(0);
    assert!(std::sync::Arc::ptr_eq(&first, &tool(0)));
    assert_eq!((catalogue.find(&tools(&catalogue)[0].name), catalogue.find("nope")), (Some(0), None));
    (1..10).for_each(|index| drop(tool(index)));
    assert_eq!(catalogue.warm.indexes(), (2..10).collect::<Vec<_>>());
    catalogue.rest();
    assert!(catalogue.warm.indexes().is_empty());
    // One that is large is read each time.
    let large = json!({"/a": {"get": {"description": "x".repeat(40_000), "parameters": [
        {"in": "query", "name": "q", "schema": {"type": "string", "enum": vec!["y".repeat(100); 500]}}]}}});
    let (catalogue, _) = compile(&large);
    drop(catalogue.prepare(0, Arguments::new()).unwrap());
    assert!(catalogue.warm.indexes().is_empty());
}
