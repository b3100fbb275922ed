//! From a source (inline, path, URL) to a document that is known to be `OpenAPI` 3.0 or 3.1.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, header};
use http_body_util::Full;
use serde_json::Value;

use super::{Base, DocumentError, is_url};
use crate::client::{Client, Limits, USER_AGENT};
use crate::config::Origin;

/// Largest document: the largest public one known has 47 MB.
const BYTES_MAX: usize = 64 << 20;
/// Longest wait for a document behind a URL.
const FETCH_MAX: Duration = Duration::from_secs(30);

/// Reads a document: an object is taken as it is, a string is an `http(s)` URL or a path from `origin`.
pub(crate) async fn load(source: &Value, origin: &Origin) -> Result<Value, DocumentError> {
    let (name, bytes) = match source {
        Value::Object(_) => {
            check_version(source, "the inline document")?;
            return Ok(source.clone());
        }
        Value::String(url) if is_url(url) => (public(url).to_owned(), fetch(url).await?),
        Value::String(path) => {
            let path = origin.0.join(path);
            let name = path.display().to_string();
            (name.clone(), Bytes::from(read(&path).map_err(|reason| cannot_read(&name, &reason))?))
        }
        _ => {
            return Err(DocumentError::new("cannot use openApiData: it is neither an object nor a string"));
        }
    };
    let document = parse(&name, &bytes)?;
    check_version(&document, &name)?;
    Ok(document)
}

/// One line for a document that could not be read.
fn cannot_read(name: &str, reason: &dyn std::fmt::Display) -> DocumentError {
    DocumentError::new(format!("cannot read document {name}: {reason}"))
}

/// Reads a file, never more than the bound (a fifo or a device has no length to check).
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    let length = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
    let mut bytes = Vec::with_capacity(length.min(BYTES_MAX).saturating_add(1));
    let limit = u64::try_from(BYTES_MAX).unwrap_or(u64::MAX).saturating_add(1);
    file.take(limit).read_to_end(&mut bytes)?;
    if bytes.len() > BYTES_MAX {
        return Err(io::Error::other(format!("it is larger than {} MiB", BYTES_MAX >> 20)));
    }
    Ok(bytes)
}

/// What may be said of a URL: its query may carry a token.
fn public(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or_default()
}

/// Reads a URL. The pool it needs is gone afterwards.
async fn fetch(url: &str) -> Result<Bytes, DocumentError> {
    let name = public(url);
    Base::parse(name).map_err(|reason| DocumentError::new(format!("cannot read document: {reason}")))?;
    let request = Request::get(url.split('#').next().unwrap_or_default())
        .header(header::ACCEPT, "application/json, */*;q=0.5")
        .header(header::USER_AGENT, USER_AGENT)
        .body(Full::default())
        .map_err(|reason| cannot_read(name, &reason))?;
    let limits = Limits { time_max: FETCH_MAX, body_bytes_max: BYTES_MAX };
    let reply = Client::default().send(request, limits).await.map_err(|reason| cannot_read(name, &reason))?;
    if reply.status.is_redirection() {
        let target = reply.headers.get(header::LOCATION).and_then(|value| value.to_str().ok());
        let reason = format!("it has moved to {}", target.unwrap_or("an unnamed place"));
        return Err(cannot_read(name, &reason));
    }
    if !reply.status.is_success() {
        return Err(cannot_read(name, &format!("the server answered {}", reply.status)));
    }
    Ok(reply.body)
}

/// Parses JSON; an error says the line and column.
fn parse(name: &str, bytes: &[u8]) -> Result<Value, DocumentError> {
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    serde_json::from_slice(text).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        let whole = error.to_string();
        let reason = whole.strip_suffix(&format!(" at line {line} column {column}")).unwrap_or(&whole);
        let first = text.iter().find(|byte| !byte.is_ascii_whitespace());
        let hint = match first {
            Some(b'{' | b'[') => "",
            Some(b'<') => " (it looks like HTML)",
            Some(_) => " (it does not look like JSON; YAML is not read)",
            None => " (it is empty)",
        };
        let message = format!("cannot parse document {name}: line {line}, column {column}: {reason}{hint}");
        DocumentError::new(message)
    })
}

/// Refuses what is not `OpenAPI` 3.0 or 3.1, and says what it is.
fn check_version(document: &Value, name: &str) -> Result<(), DocumentError> {
    let found = match (document.get("openapi"), document.get("swagger")) {
        (Some(Value::String(version)), _) if version.starts_with("3.0") || version.starts_with("3.1") => {
            return Ok(());
        }
        (Some(version), _) => format!("openapi {}", plain(version)),
        (None, Some(version)) => format!("swagger {}", plain(version)),
        (None, None) => "neither \"openapi\" nor \"swagger\"".to_owned(),
    };
    let message = format!("cannot use document {name}: not an OpenAPI 3.0 or 3.1 document (found {found})");
    Err(DocumentError::new(message))
}

/// A version as a person wrote it, short.
fn plain(version: &Value) -> String {
    let text = version.as_str().map_or_else(|| version.to_string(), str::to_owned);
    super::bounded(&text, 20)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn bad_json_says_where() {
        let text = |bytes: &[u8]| parse("api.json", bytes).unwrap_err().to_string();
        assert_eq!(
            text(b"{\n  \"openapi\": \"3.0.0\",\n  oops\n}"),
            "cannot parse document api.json: line 3, column 3: key must be a string"
        );
        assert!(text(b"openapi: 3.0.0").contains("YAML is not read"));
        assert!(text(b"<html>").contains("HTML"));
        assert!(text(b"").contains("empty"));
        assert!(parse("x", b"\xef\xbb\xbf{}").is_ok());
    }

    #[test]
    fn versions_are_told_apart() {
        let text = |document: Value| check_version(&document, "x").map_err(|e| e.to_string());
        assert_eq!(text(json!({"openapi": "3.0.3"})), Ok(()));
        assert_eq!(text(json!({"openapi": "3.1.0"})), Ok(()));
        let swagger = text(json!({"swagger": "2.0"})).unwrap_err();
        assert!(swagger.contains("not an OpenAPI 3.0 or 3.1 document (found swagger 2.0)"));
        assert!(text(json!({"openapi": 3})).unwrap_err().contains("found openapi 3"));
        assert!(text(json!([])).unwrap_err().contains("neither"));
    }

    /// A URL with a query, behind which one request gets this reply.
    async fn serve(reply: &'static str) -> Value {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/api.json?token=secret", listener.local_addr().unwrap());
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 1024];
            let length = stream.read(&mut request).await.unwrap();
            assert!(request[..length].starts_with(b"GET /api.json?token=secret HTTP/1.1"));
            stream.write_all(reply.as_bytes()).await.unwrap();
        });
        json!(url)
    }

    #[tokio::test]
    async fn documents_are_read_from_urls() {
        let origin = Origin("/nowhere".into());
        let good = serve("HTTP/1.1 200 OK\r\ncontent-length: 19\r\n\r\n{\"openapi\":\"3.1.0\"}").await;
        assert_eq!(load(&good, &origin).await, Ok(json!({"openapi": "3.1.0"})));
        let told = [
            ("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n", "the server answered 404 Not Found"),
            ("HTTP/1.1 301 Gone\r\nlocation: http://b/c\r\n\r\n", "it has moved to http://b/c"),
            ("HTTP/1.1 200 OK\r\ncontent-length: 17\r\n\r\n{\"swagger\":\"2.0\"}", "found swagger 2.0"),
        ];
        for (reply, reason) in told {
            let error = load(&serve(reply).await, &origin).await.unwrap_err().to_string();
            assert!(error.contains(reason) && !error.contains("secret"), "{error}");
        }
    }

    #[tokio::test]
    async fn sources_that_cannot_be_read_say_why() {
        let origin = Origin("/nowhere".into());
        let text = async |source: Value| load(&source, &origin).await.unwrap_err().to_string();
        let missing = text(json!("api.json")).await;
        assert!(missing.starts_with("cannot read document /nowhere/api.json: No such file"), "{missing}");
        assert!(text(json!(7)).await.contains("neither an object nor a string"));
        let refused = text(json!("http://127.0.0.1:1/api.json?token=secret")).await;
        assert!(refused.contains("refused") && !refused.contains("secret"), "{refused}");
    }
}
