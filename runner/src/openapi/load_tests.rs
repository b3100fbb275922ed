//! Documents from every source, and what is said when one cannot be had.

use std::collections::VecDeque;
use std::fs;
use std::sync::{Arc, Mutex};

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::client::Options;

/// A folder of one test.
struct Folder(PathBuf);

impl Folder {
    /// An empty one.
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("mcp-runner-{name}-{}", std::process::id()));
        drop(fs::remove_dir_all(&path));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// Writes a file.
    fn write(&self, name: &str, text: &str) {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

/// Loads a document without an overlay.
async fn plainly(document: Value, folder: &Path, kept_in: Option<PathBuf>) -> Result<Loaded, String> {
    let source = Source { document: &document, folder, overlay: None, overlay_folder: folder };
    load(source, kept_in, Fetcher::new(Options::default())).await.map_err(|error| error.to_string())
}

/// A URL with a query; each connection gets the next reply, and the requests come back.
async fn serve(replies: &[&str]) -> (Value, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/api.json?token=secret", listener.local_addr().unwrap());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let (mut replies, seen): (VecDeque<String>, _) =
        (replies.iter().map(|reply| (*reply).to_owned()).collect(), Arc::clone(&asked));
    tokio::spawn(async move {
        while let Some(reply) = replies.pop_front() {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 2048];
            let length = stream.read(&mut request).await.unwrap();
            seen.lock().unwrap().push(String::from_utf8_lossy(&request[..length]).into_owned());
            stream.write_all(reply.as_bytes()).await.unwrap();
        }
    });
    (json!(url), asked)
}

/// A reply of HTTP.
fn reply(head: &str, body: &str) -> String {
    format!("HTTP/1.1 {head}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

#[tokio::test]
async fn documents_are_read_from_urls() {
    let nowhere = Path::new("/nowhere");
    let (good, asked) = serve(&[&reply("200 OK", "{\"openapi\":\"3.1.0\"}")]).await;
    assert_eq!(
        plainly(good, nowhere, None).await.unwrap().document.root().value(),
        json!({"openapi": "3.1.0"})
    );
    assert!(asked.lock().unwrap()[0].starts_with("GET /api.json?token=secret HTTP/1.1"));
    let told = [
        (reply("404 Not Found", ""), "the server answered 404 Not Found"),
        (
            reply("301 Gone\r\nlocation: http://[::1]:1/c", ""),
            "it has moved to http://[::1]:1/c: the upstream leads",
        ),
        (reply("200 OK", "{\"swagger\":\"1.2\"}"), "found swagger 1.2"),
    ];
    for (reply, reason) in told {
        let error = plainly(serve(&[&reply]).await.0, nowhere, None).await.unwrap_err();
        assert!(error.contains(reason) && !error.contains("secret"), "{error}");
    }
}

#[tokio::test]
async fn copies_of_urls_are_kept_and_asked_about() {
    let folder = Folder::new("copies");
    let kept = || Some(folder.0.clone());
    let first = reply(
        "200 OK\r\netag: \"v1\"\r\nlast-modified: Mon, 01 Jan 2024 00:00:00 GMT",
        "openapi: 3.1.0\na: 1",
    );
    let (url, asked) = serve(&[
        &first,
        &reply("304 Not Modified", ""),
        &reply("503 Down", ""),
        &reply("200 OK", "<html>sorry</html>"),
        &reply("404 Not Found", ""),
    ])
    .await;
    let good = json!({"openapi": "3.1.0", "a": 1});
    assert_eq!(plainly(url.clone(), Path::new(""), kept()).await.unwrap().document.root().value(), good);
    let unchanged = plainly(url.clone(), Path::new(""), kept()).await.unwrap();
    assert_eq!((unchanged.document.root().value(), unchanged.notes), (good.clone(), vec![]));
    let conditional = asked.lock().unwrap()[1].to_ascii_lowercase();
    assert!(conditional.contains("if-none-match: \"v1\""), "{conditional}");
    assert!(conditional.contains("if-modified-since: mon, 01 jan 2024 00:00:00 gmt"), "{conditional}");
    for reason in ["503", "HTML"] {
        let down = plainly(url.clone(), Path::new(""), kept()).await.unwrap();
        assert_eq!(down.document.root().value(), good);
        assert!(down.notes[0].contains(reason), "{:?}", down.notes);
        assert!(down.notes[0].ends_with("the last copy of it is used") && !down.notes[0].contains("secret"));
    }
    let gone = plainly(url.clone(), Path::new(""), kept()).await.unwrap_err();
    assert!(gone.contains("404"), "{gone}");
    // Nobody listens any more.
    let refused = plainly(url, Path::new(""), kept()).await.unwrap();
    assert_eq!(refused.document.root().value(), good);
}

#[tokio::test]
async fn sources_that_cannot_be_read_say_why() {
    let text = async |source: Value| plainly(source, Path::new("/nowhere"), None).await.unwrap_err();
    let missing = text(json!("api.json")).await;
    assert_eq!(missing, "cannot read document /nowhere/api.json: No such file or directory");
    assert!(text(json!(7)).await.contains("neither an object nor a string"));
    let refused = text(json!("http://127.0.0.1:1/api.json?token=secret")).await;
    assert!(refused.contains("refused") && !refused.contains("secret"), "{refused}");
}

#[tokio::test]
async fn files_are_brought_together() {
    let folder = Folder::new("bundle");
    folder.write(
        "api.yaml",
        "
openapi: 3.1.0
paths:
  /pets: {$ref: 'paths/pets.yaml'}
  /gone: {$ref: 'gone.yaml#/x'}
  /away: {$ref: '../../etc/passwd'}
components: {schemas: {Id: {type: integer}}}
",
    );
    folder.write(
        "paths/pets.yaml",
        "
get: {responses: {200: {content: {application/json: {schema: {$ref: '../schemas/pet.json#/Pet'}}}}}}
",
    );
    folder.write(
        "schemas/pet.json",
        r##"{"Pet": {"properties": {"id": {"$ref": "../api.yaml#/components/schemas/Id"},
        "friend": {"$ref": "#/Pet"}}}}"##,
    );
    let loaded = plainly(json!("api.yaml"), &folder.0, None).await.unwrap();
    let document = loaded.document.root().value();
    assert_eq!(document["paths"]["/pets"], json!({"$ref": "#/x-mcp-files/pets"}));
    let schema = "/x-mcp-files/pets/get/responses/200/content/application~1json/schema";
    assert_eq!(document.pointer(schema), Some(&json!({"$ref": "#/x-mcp-files/pet/Pet"})));
    assert_eq!(
        document["x-mcp-files"]["pet"]["Pet"]["properties"],
        json!({"id": {"$ref": "#/components/schemas/Id"}, "friend": {"$ref": "#/x-mcp-files/pet/Pet"}})
    );
    assert_eq!(document["paths"]["/gone"], json!({"$ref": "gone.yaml#/x"}));
    assert_eq!(loaded.notes.len(), 2, "{:?}", loaded.notes);
    assert!(loaded.notes.iter().any(|note| note.contains("is outside the document's folder")));
    assert!(loaded.notes.iter().any(|note| note.contains("gone.yaml: No such file")));
    assert_eq!(loaded.files.len(), 4);
}

#[tokio::test]
async fn overlays_and_translation_come_in_order() {
    let folder = Folder::new("overlay");
    folder.write("api.yaml", "swagger: '2.0'\npaths: {/a: {get: {}, put: {}}}\n");
    folder.write("o/overlay.yaml", "overlay: 1.0.0\nactions: [{target: '$.paths.*.put', remove: true}]\n");
    let inline = json!({"overlay": "1.0.0", "actions": [{"target": "$.paths['/a'].get",
        "update": {"parameters": [{"in": "query", "name": "q", "type": "integer"}]}}]});
    let overlays = json!(["overlay.yaml", inline]);
    let (document, beside) = (json!("api.yaml"), folder.0.join("o"));
    let source =
        Source { document: &document, folder: &folder.0, overlay: Some(&overlays), overlay_folder: &beside };
    let loaded = load(source, None, Fetcher::new(Options::default())).await.unwrap();
    assert_eq!(loaded.notes, [""; 0]);
    let item = &loaded.document.root().value()["paths"]["/a"];
    assert_eq!(item["get"]["parameters"][0]["schema"], json!({"type": "integer"}));
    assert!(item.get("put").is_none());
}

#[tokio::test]
async fn documents_that_moved_are_followed() {
    let folder = Path::new("");
    let (url, asked) = serve(&[
        &reply("302 Found\r\nlocation: /v2/api.json", ""),
        &reply("308 Permanent Redirect\r\nlocation: api.yaml?token=other", ""),
        &reply("200 OK", r#"{"openapi":"3.1.0"}"#),
    ])
    .await;
    assert_eq!(
        plainly(url, folder, None).await.unwrap().document.root().value(),
        json!({"openapi": "3.1.0"})
    );
    let asked: Vec<String> =
        asked.lock().unwrap().iter().map(|head| head.lines().next().unwrap().to_owned()).collect();
    assert_eq!(
        asked,
        [
            "GET /api.json?token=secret HTTP/1.1",
            "GET /v2/api.json HTTP/1.1",
            "GET /v2/api.yaml?token=other HTTP/1.1"
        ]
    );
    // To whom nobody chose only where everybody can go, and no further than a few steps.
    let (url, _) = serve(&[&reply("302 Found\r\nlocation: http://localhost:1/api.json?token=x", "")]).await;
    let said = plainly(url, folder, None).await.unwrap_err();
    assert!(
        said.ends_with(
            "it has moved to http://localhost:1/api.json: the upstream leads to an address that is not public"
        ),
        "{said}"
    );
    let again = reply("302 Found\r\nlocation: /api.json", "");
    let (url, _) = serve(&[again.as_str(); 6]).await;
    assert!(plainly(url, folder, None).await.unwrap_err().ends_with("it sends us on and on"));
}
