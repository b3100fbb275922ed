//! A document's own words: what every client is told at once, and what it may read.

use std::fs;

use serde_json::{Value, json};

use crate::support::{Client, Runner, pets, program, until};

/// The small document with words, as it is written to a file.
fn worded() -> Value {
    let mut document = pets();
    document["info"]["description"] = json!("Pets are sold here.");
    document["tags"] = json!([{"name": "Pets & more", "description": "All that lives."}]);
    document["paths"]["/pets"]["get"]["tags"] = json!(["Pets & more"]);
    document
}

/// A server of it.
fn serve(flags: &[&str]) -> (Runner, Client) {
    let runner = Runner::spawn(program().arg(format!("--openapi-data={}", worded())).args(flags));
    let client = runner.client();
    (runner, client)
}

/// What an answer says of itself, whichever era it is of: the whole message.
fn initialized(client: &Client) -> Value {
    let params = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}});
    client.legacy("initialize", &params).result()
}

#[test]
fn every_client_is_told_what_the_api_is() {
    let (_runner, client) = serve(&[]);
    let told = initialized(&client);
    assert_eq!(
        (&told["instructions"], &told["serverInfo"]["title"]),
        (&json!("Pets are sold here."), &json!("Pets"))
    );
    assert_eq!(client.modern("server/discover", &json!({})).result()["instructions"], "Pets are sold here.");
    // Nothing is promised that nobody asked for.
    assert!(told["capabilities"]["resources"].is_null());
    assert_eq!(client.legacy("resources/list", &json!({})).result()["resources"], json!([]));
    let (_runner, client) = serve(&["--tools={\"mode\": \"search\"}", "--server-name=Shop", "--resources"]);
    let told = initialized(&client);
    assert_eq!(told["serverInfo"]["title"], "Shop");
    assert_eq!(
        told["instructions"],
        "Pets are sold here.\n\nPets has 3 operations: search_operations finds them. Their tags: Pets & more.\n\n\
         The resource openapi://about says more."
    );
}

#[test]
fn what_a_document_says_can_be_read_in_both_eras() {
    let (_runner, client) = serve(&["--resources"]);
    assert_eq!(initialized(&client)["capabilities"]["resources"], json!({"listChanged": true}));
    let tag = "openapi://tags/Pets%20%26%20more";
    let ask = |method: &str, params: &Value| {
        let (old, new) = (client.legacy(method, params).result(), client.modern(method, params).result());
        assert_eq!(new["resultType"], "complete");
        (old, new)
    };
    let (old, new) = ask("resources/list", &json!({}));
    assert_eq!(old["resources"], new["resources"]);
    assert_eq!(
        old["resources"],
        json!([
            {"uri": "openapi://about", "name": "about", "title": "Pets", "description": "Pets are sold here.",
             "mimeType": "text/markdown"},
            {"uri": tag, "name": "Pets & more", "title": "Pets & more", "description": "1 operation: All that lives.",
             "mimeType": "text/markdown"}])
    );
    let (old, new) = ask("resources/read", &json!({"uri": tag}));
    assert_eq!(old["contents"], new["contents"]);
    assert_eq!(
        old["contents"],
        json!([{"uri": tag, "mimeType": "text/markdown",
            "text": "# Pets & more\n\nAll that lives.\n\n## Operations\n\n- listPets (GET /pets): All pets\n"}])
    );
    let none = json!({"uri": "openapi://tags/none"});
    assert_eq!(client.legacy("resources/read", &none).reply().body["error"]["code"], -32002);
    assert_eq!(client.modern("resources/read", &none).reply().body["error"]["code"], -32602);
    let lost = client.legacy("resources/list", &json!({"cursor": "9"})).reply();
    assert_eq!(lost.body["error"]["code"], -32602);
}

#[test]
fn many_tags_come_page_by_page() {
    let mut document = pets();
    let tags: Vec<String> = (0..250).map(|number| format!("tag {number}")).collect();
    document["paths"]["/pets"]["get"]["tags"] = json!(tags);
    let runner = Runner::spawn(program().arg(format!("--openapi-data={document}")).arg("--resources"));
    let client = runner.client();
    let (mut cursor, mut sizes, mut names) = (Value::Null, Vec::new(), Vec::new());
    loop {
        let params = if cursor.is_null() { json!({}) } else { json!({"cursor": cursor}) };
        let listed = client.modern("resources/list", &params).result();
        let resources = listed["resources"].as_array().unwrap();
        sizes.push(resources.len());
        names.extend(resources.iter().map(|resource| resource["name"].as_str().unwrap().to_owned()));
        cursor = listed["nextCursor"].clone();
        if cursor.is_null() {
            break;
        }
    }
    assert_eq!(sizes, [100, 100, 51]);
    assert_eq!(names.get(1..), Some(&tags[..]));
}

#[test]
fn a_changed_document_has_other_pages() {
    let path = std::env::temp_dir().join(format!("mcp-runner-pages-{}.json", std::process::id()));
    fs::write(&path, worded().to_string()).unwrap();
    let file = path.to_str().unwrap();
    let runner =
        Runner::spawn(program().args(["--openapi-data", file, "--resources", "--reload-interval=50ms"]));
    let client = runner.client();
    let mut changed = worded();
    changed["info"]["description"] = json!("Pets were sold here.");
    fs::write(&path, changed.to_string()).unwrap();
    until(|| {
        initialized(&client)["instructions"]
            == "Pets were sold here.\n\nThe resource openapi://about says more."
    });
    let text = client.legacy("resources/read", &json!({"uri": "openapi://about"})).result();
    assert!(text["contents"][0]["text"].as_str().unwrap().contains("were sold"), "{text}");
    fs::remove_file(path).unwrap();
}
