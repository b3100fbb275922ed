//! From a source (inline, stdin, path, URL) to one document in the form of `OpenAPI` 3: its files brought
//! together, its overlays applied, Swagger 2.0 translated.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::bundle::bundle;
use super::document::Written;
use super::parse::{check_version, parse};
use super::place::Location;
use super::read::{BYTES_MAX, Fetcher, Reader, stream};
use super::{Document, DocumentError, Stamp, overlay, swagger};

/// A document, and what is worth knowing of how it was read.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// The document, in the form of `OpenAPI` 3.
    pub(crate) document: Document,
    /// What went otherwise than it should, and did not stop it.
    pub(crate) notes: Vec<String>,
    /// The files it was read from, as they were then.
    pub(crate) files: Vec<Stamp>,
    /// Whether all of it is what the kept copies say: nothing changed since they were made.
    pub(crate) is_same: bool,
}

/// What is to be read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Source<'a> {
    /// An object is a document, a string the path or URL of one, `-` stdin.
    pub(crate) document: &'a Value,
    /// Where a relative path in it starts.
    pub(crate) folder: &'a Path,
    /// One overlay or several, each like a document.
    pub(crate) overlay: Option<&'a Value>,
    /// Where their relative paths start.
    pub(crate) overlay_folder: &'a Path,
}

/// Reads a document. Copies of what URLs give are kept in a folder, if there is one.
pub(crate) async fn load(
    source: Source<'_>,
    kept_in: Option<PathBuf>,
    fetcher: Fetcher,
) -> Result<Loaded, DocumentError> {
    let mut reader = Reader::new(kept_in, fetcher);
    let is_changed = source.overlay.is_some();
    let (at, written) = read(source.document, source.folder, is_changed, &mut reader).await?;
    let mut notes = Vec::new();
    let document = match written {
        Written::Done(document) => document,
        Written::Raw(mut whole) => {
            complete(&mut whole, &at, source, &mut reader, &mut notes).await?;
            Document::new(&at.name(), &whole)?
        }
    };
    let is_same = reader.is_same();
    reader.keep();
    notes.append(&mut reader.notes);
    Ok(Loaded { document, notes, files: reader.files, is_same })
}

/// Makes one document of version 3 of what was read: its overlays applied, its files brought together, translated.
async fn complete(
    whole: &mut Value,
    at: &Location,
    source: Source<'_>,
    reader: &mut Reader,
    notes: &mut Vec<String>,
) -> Result<(), DocumentError> {
    let overlays = match source.overlay {
        None => &[][..],
        Some(Value::Array(list)) => list,
        Some(one) => std::slice::from_ref(one),
    };
    for written in overlays {
        let (place, overlay) = one(written, source.overlay_folder, true, reader).await?;
        if let Written::Raw(overlay) = overlay {
            overlay::apply(whole, &overlay, &place.name(), notes)?;
        }
    }
    if !overlays.is_empty() {
        check_version(whole, &at.name())?;
    }
    bundle(whole, at, reader, notes).await;
    if swagger::is_swagger(whole) && whole.get("openapi").is_none() {
        *whole = swagger::translate(whole.take());
    }
    Ok(())
}

/// The document itself, known to be `OpenAPI`. A URL that has come to give something else is as good as down.
async fn read(
    written: &Value,
    folder: &Path,
    is_changed: bool,
    reader: &mut Reader,
) -> Result<(Location, Written), DocumentError> {
    let checked = async |reader: &mut Reader| {
        let (at, document) = one(written, folder, is_changed, reader).await?;
        check_version(&document.versions(), &at.name())?;
        Ok::<_, DocumentError>((at, document))
    };
    let error = match checked(reader).await {
        Ok(read) => return Ok(read),
        Err(error) => error,
    };
    let (Some(bytes), Some(url)) = (reader.forget(), written.as_str()) else {
        return Err(error);
    };
    let at = Location::written(url, folder);
    let copy = Written::parse(&at.name(), bytes.into(), is_changed)?;
    reader.notes.push(format!("{error}; the last copy of it is used"));
    Ok((at, copy))
}

/// What stdin holds, to its end.
pub(crate) fn from_stdin() -> Result<Value, DocumentError> {
    let cannot = |error| DocumentError::new(format!("cannot read document from stdin: {error}"));
    let bytes = stream(std::io::stdin().lock(), 0, BYTES_MAX).map_err(cannot)?;
    parse("from stdin", &bytes)
}

/// One document or overlay, as it was given, and where it is.
async fn one(
    written: &Value,
    folder: &Path,
    is_changed: bool,
    reader: &mut Reader,
) -> Result<(Location, Written), DocumentError> {
    let nowhere = |value: Value| Ok((Location::Nowhere, Written::Raw(value)));
    let at = match written {
        Value::Object(_) => return nowhere(written.clone()),
        Value::String(text) if text == "-" => return nowhere(from_stdin()?),
        Value::String(text) if text.trim_start().starts_with('{') || text.contains('\n') => {
            return nowhere(parse("given inline", text.as_bytes())?);
        }
        Value::String(text) => Location::written(text, folder),
        _ => return Err(DocumentError::new("cannot read a document: it is neither an object nor a string")),
    };
    let name = at.name();
    let bytes = reader.read(&at).await;
    let bytes =
        bytes.map_err(|reason| DocumentError::new(format!("cannot read document {name}: {reason}")))?;
    let document = Written::parse(&name, bytes.into(), is_changed)?;
    Ok((at, document))
}

#[cfg(test)]
#[path = "load_tests.rs"]
mod tests;
