//! Files among arguments: text as it is, anything else as a data URI (RFC 2397). Reads no file of this host.

use crate::base64;
use crate::openapi::percent_decoded;

/// What a model is told of an argument that is a file.
pub(super) const HINT: &str =
    "File content: text as it is, or a data URI (data:image/png;name=a.png;base64,…) for anything else.";

/// A file an argument stands for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct FileContent {
    /// Its bytes.
    pub(super) bytes: Vec<u8>,
    /// Its media type, where the argument says one.
    pub(super) media_type: Option<String>,
    /// Its name, where the argument says one.
    pub(super) name: Option<String>,
}

/// Reads an argument. An error says what is wrong with it.
pub(super) fn read(text: &str) -> Result<FileContent, String> {
    let Some(rest) = text.get(..5).filter(|start| start.eq_ignore_ascii_case("data:")).and(text.get(5..))
    else {
        return Ok(FileContent { bytes: text.as_bytes().to_vec(), media_type: None, name: None });
    };
    let (head, data) = rest.split_once(',').ok_or("is a data URI without a comma before its data")?;
    let mut parts = head.split(';').map(str::trim);
    let media_type = parts.next().unwrap_or_default();
    if !media_type.is_empty() && !is_media_type(media_type) {
        return Err(format!("is a data URI of {media_type:?}, which is no media type"));
    }
    let (mut name, mut is_base64) = (None, false);
    for part in parts {
        match part.split_once('=') {
            Some(("name" | "filename", value)) => {
                let decoded = percent_decoded(value.trim_matches('"').as_bytes());
                name = Some(String::from_utf8_lossy(&decoded).into_owned());
            }
            None if part.eq_ignore_ascii_case("base64") => is_base64 = true,
            _ => {}
        }
    }
    let bytes = percent_decoded(data.as_bytes());
    let bytes = if is_base64 { base64::decoded(&bytes).ok_or("holds no valid base64")? } else { bytes };
    let media_type = (!media_type.is_empty()).then(|| media_type.to_ascii_lowercase());
    Ok(FileContent { bytes, media_type, name })
}

/// Whether a text can stand behind `Content-Type` without saying anything more.
pub(super) fn is_media_type(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte);
    text.split_once('/').is_some_and(|(kind, rest)| {
        !kind.is_empty() && !rest.is_empty() && kind.bytes().chain(rest.bytes()).all(allowed)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What an argument stands for: media type, name, bytes.
    fn content(text: &str) -> (Option<String>, Option<String>, Vec<u8>) {
        let file = read(text).unwrap();
        (file.media_type, file.name, file.bytes)
    }

    #[test]
    fn text_is_itself_and_data_uris_are_decoded() {
        assert_eq!(content("a,b\n1,2"), (None, None, b"a,b\n1,2".to_vec()));
        assert_eq!(content("data"), (None, None, b"data".to_vec()));
        assert_eq!(
            content("data:image/PNG;name=a%20b.png;base64,iVBO\nRw=="),
            (Some("image/png".to_owned()), Some("a b.png".to_owned()), b"\x89PNG".to_vec())
        );
        assert_eq!(content("DATA:,a%20b"), (None, None, b"a b".to_vec()));
        assert_eq!(
            content("data:text/plain;charset=utf-8;base64,-_8"),
            (Some("text/plain".to_owned()), None, vec![0xfb, 0xff])
        );
    }

    #[test]
    fn broken_data_uris_are_refused() {
        for bad in
            ["data:image/png;base64", "data:image/png;base64,!!", "data:a\r\nb/c,x", "data:;base64,AAAAA"]
        {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
