//! What `mcp-runner inspect` says of a document, and that it needs nothing but the document.

use std::io::Write;
use std::process::{Output, Stdio};

use serde_json::{Value, json};

use crate::support::{pets, program};

/// Inspects what stdin holds.
fn inspect(document: &Value, flags: &[&str]) -> Output {
    let mut child = program().args(["inspect", "-"]).args(flags).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(document.to_string().as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn what_a_document_gives_and_what_it_does_not() {
    let mut document = pets();
    document["paths"]["/bad"] = json!({"get": {"parameters": [{"$ref": "#/nowhere"}]}});
    document["paths"]["/old"] = json!({"get": {"deprecated": true}});
    let rules = r#"--tools={"exclude": [{"deprecated": true}]}"#;
    let output = inspect(&document, &[rules]);
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8(output.stdout).unwrap();
    for line in [
        "listPets   GET /pets             62 B        -",
        "3 tools of Pets, a list of ",
        "1 operation left out as asked",
        "skipped GET /bad: cannot resolve $ref \"#/nowhere\": ",
    ] {
        assert!(text.lines().any(|found| found.starts_with(line)), "{line:?} is not in\n{text}");
    }
    let output = inspect(&document, &[rules, "--json"]);
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&said["tools"][1]["operation"], &said["leftOut"]), (&json!("POST /pets"), &json!(1)));
    assert_eq!(said["skipped"][0]["operation"], "GET /bad");
}

#[test]
fn a_document_that_does_not_say_where_calls_go_is_looked_at_all_the_same() {
    let mut document = pets();
    document["servers"] = json!([{"url": "/v1"}]);
    let output = inspect(&document, &[]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(
        text.contains("3 tools of Pets")
            && text.contains("note: cannot tell from the document where calls go"),
        "{text}"
    );
}
