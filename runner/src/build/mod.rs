//! From a recipe to a catalogue: here, or in a short-lived child where the document is large; kept on disk for
//! the next runner of the same document; made again when the document changes. Serves nothing.

mod child;
mod kept;
mod recipe;
mod watch;

use std::thread::available_parallelism;

use serde_json::Value;

use crate::hash;
use crate::openapi::{self, DocumentError, Source, is_url};
use crate::tools::{self, Catalogue, Head};

pub(crate) use child::{ARGUMENT as CHILD_ARGUMENT, serve as serve_child};
pub(crate) use kept::folder as kept_in;
pub(crate) use recipe::Recipe;
pub(crate) use watch::watch;

/// Largest file that is read here: a larger one leaves holes in the heap that no allocator gives back.
const HERE_BYTES_MAX: u64 = 256 << 10;

/// Smallest catalogue that is kept on disk: a smaller one is made as fast as it is opened.
const KEPT_BYTES_MIN: usize = 64 << 10;

/// Most threads of a child: who has a machine of many processors has other things for them to do.
const THREADS_MAX: usize = 4;

/// What a recipe came to.
#[derive(Debug)]
pub(crate) enum Made {
    /// A catalogue, what is to be said of it, and a hash of it.
    New(Box<Catalogue>, Box<Head>, u64),
    /// The same as before; only where that was asked for.
    Same,
}

/// Makes a catalogue, in the cheapest way that leaves no trace in memory.
pub(crate) async fn make(recipe: &Recipe) -> Result<Made, DocumentError> {
    let kept = recipe.kept_in.as_deref().and_then(|folder| kept::Kept::new(folder, recipe));
    // A URL must be asked first; and whoever asks for what is new has the old one already.
    if !recipe.is_url()
        && !recipe.unless_same
        && let Some((catalogue, head)) = kept.as_ref().and_then(kept::Kept::open)
    {
        return Ok(Made::New(Box::new(catalogue), Box::new(head), 0));
    }
    let text = if is_large(recipe) { child::run(recipe).await } else { None };
    let text = match text {
        Some(text) => text?,
        None => write(recipe, false).await?.map(|lines| lines.concat()),
    };
    let Some(text) = text else {
        return Ok(Made::Same);
    };
    let fingerprint = hash::quick(&text);
    let file = kept.filter(|_| text.len() >= KEPT_BYTES_MIN).and_then(|kept| kept.put(&text));
    let opened = match file {
        Some(file) => Catalogue::in_file(file),
        None => Catalogue::in_memory(&text),
    };
    let cannot = |error| DocumentError::new(format!("cannot read the catalogue: {error}"));
    let (catalogue, head) = opened.map_err(cannot)?;
    Ok(Made::New(Box::new(catalogue), Box::new(head), fingerprint))
}

/// Whether a document is worth a process of its own.
fn is_large(recipe: &Recipe) -> bool {
    match &recipe.document {
        Value::String(text) if text == "-" => false,
        Value::String(text) if is_url(text) => true,
        Value::String(path) => {
            let size = std::fs::metadata(recipe.folder.join(path)).map(|state| state.len());
            size.is_ok_and(|size| size > HERE_BYTES_MAX)
        }
        _ => false,
    }
}

/// Writes a catalogue in this process, which ends right after if it is a child. `None`: it is the same as before,
/// where that was asked for.
async fn write(recipe: &Recipe, is_child: bool) -> Result<Option<[Vec<u8>; 2]>, DocumentError> {
    let options = recipe.check()?;
    let source = Source {
        document: &recipe.document,
        folder: &recipe.folder,
        overlay: recipe.overlay.as_ref(),
        overlay_folder: &recipe.overlay_folder,
    };
    let loaded = openapi::load(source, recipe.kept_in.clone(), recipe.reach.fetcher()).await?;
    if recipe.unless_same && loaded.is_same {
        return Ok(None);
    }
    // More threads would leave more memory behind, were it not that of a child.
    let threads =
        if is_child { available_parallelism().map_or(1, |all| all.get().min(THREADS_MAX)) } else { 1 };
    let draft = tools::compile(&loaded.document, &options, threads);
    drop(loaded.document);
    let mut draft = draft?;
    draft.head.notes = loaded.notes;
    draft.head.files = loaded.files;
    draft.head.made_from = recipe.identity();
    Ok(Some(draft.finish()))
}
