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
    let product = if is_large(recipe) { child::run(recipe).await } else { None };
    let product = match product {
        Some(product) => product?,
        None => produce(recipe, false).await?,
    };
    let (opened, fingerprint) = match product {
        Product::Same => return Ok(Made::Same),
        Product::Kept(fingerprint) => (kept.map_or_else(nowhere, |kept| kept.read()), fingerprint),
        Product::Text(text, fingerprint) => (Catalogue::in_memory(&text), fingerprint),
    };
    let cannot = |error| DocumentError::new(format!("cannot read the catalogue: {error}"));
    let (catalogue, head) = opened.map_err(cannot)?;
    Ok(Made::New(Box::new(catalogue), Box::new(head), fingerprint))
}

/// What was kept is not there.
fn nowhere() -> std::io::Result<(Catalogue, Head)> {
    Err(std::io::ErrorKind::NotFound.into())
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

/// A catalogue that was made in this process or in a child; with it a hash of it.
#[derive(Debug)]
enum Product {
    /// It is the same as before, where that was asked for.
    Same,
    /// It is where such a one is kept.
    Kept(u64),
    /// Here it is, whole.
    Text(Vec<u8>, u64),
}

/// Makes a catalogue in this process, and keeps it where that can be.
async fn produce(recipe: &Recipe, is_child: bool) -> Result<Product, DocumentError> {
    let Some(text) = write(recipe, is_child).await? else {
        return Ok(Product::Same);
    };
    let fingerprint = text.iter().fold(0, |print: u64, lines| print.rotate_left(1) ^ hash::quick(lines));
    let is_large = text.iter().map(Vec::len).sum::<usize>() >= KEPT_BYTES_MIN;
    let folder = recipe.kept_in.as_deref().filter(|_| is_large);
    let kept = folder.and_then(|folder| kept::Kept::new(folder, recipe));
    let is_kept = kept.is_some_and(|kept| kept.put(&text));
    Ok(if is_kept { Product::Kept(fingerprint) } else { Product::Text(text.concat(), fingerprint) })
}

/// Writes a catalogue in this process, which ends right after if it is a child. `None`: it is the same as before,
/// where that was asked for.
async fn write(recipe: &Recipe, is_child: bool) -> Result<Option<Vec<Vec<u8>>>, DocumentError> {
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
    if is_child {
        // The kernel frees all at once, when nobody waits for it any more.
        Box::leak(Box::new(loaded.document));
    }
    let mut draft = draft?;
    draft.head.notes = loaded.notes;
    draft.head.files = loaded.files;
    draft.head.made_from = recipe.identity();
    Ok(Some(draft.finish()))
}
