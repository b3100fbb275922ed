//! A large catalogue as three tools.

use serde_json::{Value, json};

use super::tests::{catalogue, options};
use super::{Answer, Arguments, Catalogue, Mode, Search, listing};

/// A catalogue of some operations, among many others.
fn large() -> Catalogue {
    let mut paths = json!({
        "/pets": {"get": {"operationId": "listPets", "summary": "List all pets", "tags": ["pets"]},
            "post": {"operationId": "addPet", "description": "Adds one pet.", "tags": ["pets"]}},
        "/pets/{id}/photo": {"put": {"operationId": "setPhoto", "summary": "Replace the photo of a pet"}}});
    for number in 0..60 {
        paths[format!("/thing{number}")] = json!({"get": {"operationId": format!("thing{number}")}});
    }
    let document = json!({"openapi": "3.1.0", "info": {"title": "Pet Store"}, "paths": paths});
    catalogue(document, &options(&Value::Null, Some("mock"))).unwrap().0
}

/// What one of the three tools answers.
fn ask(name: &str, arguments: &Value) -> Search {
    Search::take(&large(), name, arguments.as_object().unwrap()).unwrap()
}

/// The words of that answer.
fn words(name: &str, arguments: &Value) -> String {
    match ask(name, arguments) {
        Search::Answer(answer) => answer.words(),
        Search::Call(index, _) => panic!("called {index}"),
    }
}

#[test]
fn few_tools_are_listed_and_many_are_searched() {
    let large = large();
    let names = |mode| -> Vec<_> {
        listing(&large, mode).unwrap().into_iter().map(|tool| tool.name.into_string()).collect()
    };
    assert_eq!(names(Mode::Auto), ["search_operations", "describe_operation", "call_operation"]);
    assert_eq!(names(Mode::Search), names(Mode::Auto));
    assert_eq!(names(Mode::All).len(), 63);
    let few = json!({"openapi": "3.1.0", "paths": {"/a": {"get": {}}}});
    let (few, _) = catalogue(few, &options(&Value::Null, Some("mock"))).unwrap();
    assert!(!Mode::Auto.searches(&few));
    let about = listing(&large, Mode::Auto).unwrap().remove(0);
    assert!(about.description.contains("operations of Pet Store, which has 63"), "{}", about.description);
}

#[test]
fn the_best_comes_first() {
    let found = words("search_operations", &json!({"query": "pet photos"}));
    assert!(found.starts_with("setPhoto: PUT /pets/{id}/photo — Replace the photo of a pet\n"), "{found}");
    let found = words("search_operations", &json!({"query": "list"}));
    assert_eq!(found.lines().next(), Some("listPets: GET /pets — List all pets"));
    let tagged = words("search_operations", &json!({"tag": "Pets"}));
    assert_eq!(tagged.lines().count(), 2, "{tagged}");
    let first = words("search_operations", &json!({"limit": 3}));
    assert!(first.ends_with("\n3 of 63; more words or a larger limit show others."), "{first}");
    assert!(words("search_operations", &json!({"query": "zebra"})).contains("No operation has the words"));
}

#[test]
fn what_is_found_can_be_described_and_called() {
    let described = words("describe_operation", &json!({"name": "setPhoto"}));
    assert!(
        described.starts_with("setPhoto: PUT /pets/{id}/photo\nIt may change or delete data.\n"),
        "{described}"
    );
    assert!(described.contains("JSON Schema of its arguments:\n{\"type\":\"object\""));
    assert!(words("describe_operation", &json!({})).contains("argument \"name\" is missing"));
    assert!(words("call_operation", &json!({"name": "nope"})).contains("there is no such operation"));
    let called =
        |arguments: Value| ask("call_operation", &json!({"name": "setPhoto", "arguments": arguments}));
    let wanted = Arguments::from_iter([("id".to_owned(), json!("7"))]);
    assert_eq!(called(json!({"id": "7"})), Search::Call(2, wanted.clone()));
    assert_eq!(called(json!("{\"id\": \"7\"}")), Search::Call(2, wanted));
    assert_eq!(called(Value::Null), Search::Call(2, Arguments::new()));
    assert_eq!(called(json!([])), Search::Answer(Answer::error("argument \"arguments\" must be an object")));
    assert_eq!(Search::take(&large(), "listPets", &Arguments::new()), None);
}
