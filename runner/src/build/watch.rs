//! A document that changes while it is served: files are looked at, URLs are asked. A new catalogue takes the old
//! one's place whole; one that cannot be made leaves the old one where it is.

use std::time::Duration;

use super::recipe::Recipe;
use super::{Made, make};
use crate::openapi::Stamp;
use crate::tools::{self, Shelf};

/// How often files are looked at: one system call each.
const FILES_EVERY: Duration = Duration::from_secs(2);
/// How often a URL is asked.
const URL_EVERY: Duration = Duration::from_mins(5);

/// Watches for as long as the server lives. `say` tells a person what happened.
pub(crate) async fn watch(
    mut recipe: Recipe,
    mut files: Vec<Stamp>,
    mut fingerprint: u64,
    every: Option<Duration>,
    shelf: Shelf,
    say: impl Fn(&str),
) {
    let is_url = recipe.is_url();
    if every == Some(Duration::ZERO) || (files.is_empty() && !is_url) {
        return;
    }
    recipe.unless_same = is_url;
    let every = every.unwrap_or(if is_url { URL_EVERY } else { FILES_EVERY });
    let mut told = String::new();
    loop {
        tokio::time::sleep(every).await;
        let now: Vec<Stamp> = files.iter().map(|file| Stamp::of(&file.path)).collect();
        if !is_url && now == files {
            continue;
        }
        match make(&recipe).await {
            Ok(Made::Same) => told.clear(),
            Ok(Made::New(_, head, same)) if same == fingerprint => {
                files.clone_from(&head.files);
                told.clear();
            }
            Ok(Made::New(catalogue, head, new)) => {
                fingerprint = new;
                say(&format!("serving {} of the changed document", tools::counted(catalogue.len(), "tool")));
                for note in
                    head.notes.iter().cloned().chain(head.skipped.iter().map(|op| format!("skipped {op}")))
                {
                    say(&note);
                }
                files.clone_from(&head.files);
                shelf.put(*catalogue);
                told.clear();
                mcp_init::memory::give_back();
            }
            Err(error) => {
                // Said once for each state of things, not every time it is looked at.
                let line = format!("{error}; the tools stay as they are");
                if line != told {
                    say(&line);
                    told = line;
                }
                files = now;
            }
        }
    }
}
