//! `multipart/*` bodies (RFC 7578): parts with names, types and files. Knows no document.

use std::fmt::Write;

use super::file::{FileContent, is_media_type};
use crate::hash;

/// What stands between parts, without its number.
const BOUNDARY: &str = "mcp-runner-";

/// Parts, as they are added.
#[derive(Debug, Default)]
pub(super) struct Parts {
    /// Heads and contents.
    parts: Vec<(String, Vec<u8>)>,
}

impl Parts {
    /// Adds a text.
    pub(super) fn text(&mut self, name: &str, media_type: Option<&str>, text: &str) {
        let mut head = format!("Content-Disposition: form-data; name=\"{}\"", quoted(name));
        if let Some(media_type) = media_type {
            typed(&mut head, media_type);
        }
        self.parts.push((head, text.as_bytes().to_vec()));
    }

    /// Adds a file. What the document says of its type counts, where it leaves no choice.
    pub(super) fn file(&mut self, name: &str, media_type: Option<&str>, file: FileContent) {
        let said = media_type.and_then(|kinds| kinds.split(',').next()).map(str::trim);
        let listed = |kind: &String| media_type.is_some_and(|kinds| kinds.contains(kind.as_str()));
        let said = said.filter(|kind| !kind.contains('*'));
        let own = file.media_type.filter(|kind| said.is_none() || listed(kind));
        let media_type = own.or_else(|| said.map(str::to_owned));
        let media_type = media_type.unwrap_or_else(|| "application/octet-stream".to_owned());
        // Many servers take a part without a file's name for a plain field.
        let file_name = file.name.unwrap_or_else(|| format!("{name}{}", ending(&media_type)));
        let mut head = format!(
            "Content-Disposition: form-data; name=\"{}\"; filename=\"{}\"",
            quoted(name),
            quoted(&file_name)
        );
        typed(&mut head, &media_type);
        self.parts.push((head, file.bytes));
    }

    /// The body, and its `Content-Type` with the boundary.
    pub(super) fn finish(self, media_type: &str) -> (String, Vec<u8>) {
        let mut number = self.parts.iter().fold(0, |number, (_, content)| hash::more(number, content));
        let mut boundary = format!("{BOUNDARY}{number:016x}");
        while self.parts.iter().any(|(_, content)| contains(content, boundary.as_bytes())) {
            number = hash::more(number, b"again");
            boundary = format!("{BOUNDARY}{number:016x}");
        }
        let mut body = Vec::new();
        for (head, content) in &self.parts {
            for piece in ["--", &boundary, "\r\n", head, "\r\n\r\n"] {
                body.extend_from_slice(piece.as_bytes());
            }
            body.extend_from_slice(content);
            body.extend_from_slice(b"\r\n");
        }
        for piece in ["--", &boundary, "--\r\n"] {
            body.extend_from_slice(piece.as_bytes());
        }
        let essence = media_type.split(';').next().unwrap_or_default().trim();
        let essence = if essence.contains('*') { "multipart/form-data" } else { essence };
        (format!("{essence}; boundary={boundary}"), body)
    }
}

/// Adds a type to a head, if it is one.
fn typed(head: &mut String, media_type: &str) {
    if is_media_type(media_type.split(';').next().unwrap_or_default().trim())
        && !media_type.contains(['\r', '\n'])
    {
        // Writing to a string cannot fail.
        let _ = write!(head, "\r\nContent-Type: {media_type}");
    }
}

/// A name within quotes, as browsers write it.
fn quoted(name: &str) -> String {
    name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A")
}

/// The end of a file's name, for the types that servers look at the name for.
fn ending(media_type: &str) -> &'static str {
    match media_type {
        "application/json" => ".json",
        "application/pdf" => ".pdf",
        "application/xml" | "text/xml" => ".xml",
        "application/zip" => ".zip",
        "image/gif" => ".gif",
        "image/jpeg" => ".jpg",
        "image/png" => ".png",
        "image/webp" => ".webp",
        "text/csv" => ".csv",
        "text/html" => ".html",
        "text/plain" => ".txt",
        _ => "",
    }
}

/// Whether some bytes are among others.
fn contains(content: &[u8], wanted: &[u8]) -> bool {
    content.windows(wanted.len()).any(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines of a body, its boundary written as `B`.
    fn lines(parts: Parts) -> (String, Vec<String>) {
        let (media_type, body) = parts.finish("multipart/form-data");
        let boundary = media_type.split_once("boundary=").unwrap().1.to_owned();
        let text = String::from_utf8_lossy(&body).replace(&boundary, "B");
        (media_type.replace(&boundary, "B"), text.split("\r\n").map(str::to_owned).collect())
    }

    #[test]
    fn parts_have_heads_and_an_end() {
        let mut parts = Parts::default();
        parts.text("a", None, "1");
        parts.text("o", Some("application/json"), "{}");
        let file = FileContent { bytes: b"P".to_vec(), media_type: Some("image/png".to_owned()), name: None };
        parts.file("f", None, file);
        let (media_type, lines) = lines(parts);
        assert_eq!(media_type, "multipart/form-data; boundary=B");
        assert_eq!(
            lines,
            [
                "--B",
                "Content-Disposition: form-data; name=\"a\"",
                "",
                "1",
                "--B",
                "Content-Disposition: form-data; name=\"o\"",
                "Content-Type: application/json",
                "",
                "{}",
                "--B",
                "Content-Disposition: form-data; name=\"f\"; filename=\"f.png\"",
                "Content-Type: image/png",
                "",
                "P",
                "--B--",
                "",
            ]
        );
    }

    #[test]
    fn nothing_in_a_part_can_end_it() {
        let mut parts = Parts::default();
        let name = "x\"\r\nContent-Type: evil".to_owned();
        let file = FileContent { bytes: Vec::new(), media_type: None, name: Some(name) };
        parts.file("a\r\nb", Some("text/plain\r\nX: y"), file);
        let (_, lines) = lines(parts);
        assert_eq!(
            lines[1],
            "Content-Disposition: form-data; name=\"a%0D%0Ab\"; filename=\"x%22%0D%0AContent-Type: evil\""
        );
        assert_eq!(lines[2], "");
        let first = Parts { parts: vec![(String::new(), b"x".to_vec())] }.finish("multipart/form-data").0;
        let boundary = first.split_once("boundary=").unwrap().1.to_owned();
        let content = [b"x".as_slice(), boundary.as_bytes()].concat();
        let body = Parts { parts: vec![(String::new(), content)] }.finish("multipart/form-data");
        assert_eq!(String::from_utf8_lossy(&body.1).matches(body.0.split_once('=').unwrap().1).count(), 2);
    }

    #[test]
    fn the_documents_type_counts_where_it_leaves_no_choice() {
        let kind = |said: Option<&str>, own: Option<&str>| {
            let mut parts = Parts::default();
            let media_type = own.map(str::to_owned);
            parts.file("f", said, FileContent { bytes: Vec::new(), media_type, name: None });
            lines(parts).1[2].clone()
        };
        assert_eq!(kind(Some("image/png, image/gif"), Some("image/gif")), "Content-Type: image/gif");
        assert_eq!(kind(Some("image/png"), Some("image/gif")), "Content-Type: image/png");
        assert_eq!(kind(Some("image/*"), Some("image/gif")), "Content-Type: image/gif");
        assert_eq!(kind(None, None), "Content-Type: application/octet-stream");
    }
}
