//! Replies that come compressed: undone within the bound of a reply, whoever asked for it. No socket here.

use std::io::{self, Read};

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use http::header::{self, HeaderMap};

use super::ClientError;

/// The body as it was meant, and its headers without what was said of the other. A few bytes may stand for very
/// many, so the bound is that of what comes out.
pub(super) fn undone(headers: &mut HeaderMap, body: Bytes, bytes_max: usize) -> Result<Bytes, ClientError> {
    let said = headers.get(header::CONTENT_ENCODING).and_then(|value| value.to_str().ok());
    let said = said.unwrap_or_default().trim().to_ascii_lowercase();
    if body.is_empty() || matches!(said.as_str(), "" | "identity") {
        return Ok(body);
    }
    if !matches!(said.as_str(), "gzip" | "x-gzip") {
        return Err(ClientError::Failed(format!("the reply is encoded as {said:?}, which nobody asked for")));
    }
    let plain = gunzip(&body, bytes_max).map_err(|error| match error.kind() {
        io::ErrorKind::FileTooLarge => ClientError::Large(bytes_max),
        _ => ClientError::Failed(format!("the reply is no gzip, as it says: {error}")),
    })?;
    headers.remove(header::CONTENT_ENCODING);
    headers.remove(header::CONTENT_LENGTH);
    Ok(plain.into())
}

/// What was compressed.
fn gunzip(body: &[u8], bytes_max: usize) -> io::Result<Vec<u8>> {
    let mut plain = Vec::new();
    let limit = u64::try_from(bytes_max).unwrap_or(u64::MAX).saturating_add(1);
    MultiGzDecoder::new(body).take(limit).read_to_end(&mut plain)?;
    if plain.len() > bytes_max { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(plain) }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    /// A body under an encoding, undone to at most 1,000 bytes.
    fn reply(encoding: &'static str, body: &[u8]) -> Result<Bytes, String> {
        let mut headers = HeaderMap::from_iter([(header::CONTENT_ENCODING, encoding.parse().unwrap())]);
        let body = undone(&mut headers, Bytes::copy_from_slice(body), 1_000);
        assert!(
            body.is_err() || body.as_ref().unwrap().is_empty() || !headers.contains_key("content-encoding")
        );
        body.map_err(|error| error.to_string())
    }

    #[test]
    fn what_was_compressed_is_read_within_its_bound() {
        let pressed = |plain: &[u8]| {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
            encoder.write_all(plain).unwrap();
            encoder.finish().unwrap()
        };
        let pets = pressed(b"{\"id\":7}");
        assert_eq!(reply("GZIP", &pets).unwrap(), "{\"id\":7}");
        assert_eq!(reply("x-gzip", &[pets.clone(), pets.clone()].concat()).unwrap(), "{\"id\":7}{\"id\":7}");
        assert_eq!(reply("gzip", b"").unwrap(), "");
        // A million bytes in a thousand.
        assert_eq!(
            reply("gzip", &pressed(&vec![0; 1 << 20])).unwrap_err(),
            ClientError::Large(1_000).to_string()
        );
        assert!(reply("gzip", b"{}").unwrap_err().starts_with("the reply is no gzip"));
        assert!(reply("gzip", pets.get(..12).unwrap()).is_err());
        assert_eq!(reply("br", b"x").unwrap_err(), "the reply is encoded as \"br\", which nobody asked for");
    }
}
