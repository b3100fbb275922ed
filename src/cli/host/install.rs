//! `install`: the files and links that make the supervisor a service of this host, or of an image of one. Nothing
//! is started.

use serde_json::json;

use super::super::arguments::Invocation;
use super::super::failure::{Failure, OK};
use super::super::options::Flag;
use super::super::output::Output;
use super::super::places::Places;
use super::init::{self, Init};
use super::made::{Before, Found, What, below};
use super::site::Site;

/// `install`.
pub(in super::super) fn answer(
    invocation: &Invocation,
    places: &Places,
    out: &mut Output,
) -> Result<u8, Failure> {
    let site = Site::of(invocation, places)?;
    let init = init::choose(invocation, &site)?;
    if invocation.has(Flag::Print) {
        print(init, &site, out);
        return Ok(OK);
    }
    site.allow("install", &places.environment)?;
    drop(site.places(places).settings()?);
    let done = put(init, &site, invocation.has(Flag::Force))?;
    let shown: Vec<_> = done.all.iter().map(|(path, _)| path.clone()).collect();
    if invocation.json() {
        out.json(
            &json!({ "init": init.name(), "name": site.name, "files": shown, "changed": done.has_changed() }),
        )?;
        return Ok(OK);
    }
    for (path, found) in &done.all {
        out.line(&format!("{path}: {}", if *found == Found::Same { "unchanged" } else { "made" }));
    }
    if site.is_live() {
        out.line(&format!(
            "{} starts it with the host; to start it now: {}",
            init.name(),
            init.start(&site).typed()
        ));
    }
    if let Some(note) = init.note(&site) {
        out.line(&note);
    }
    Ok(OK)
}

/// Shows what the files would say; where there are several, each below its path.
fn print(init: &dyn Init, site: &Site, out: &mut Output) {
    let made = init.made(site);
    let files: Vec<_> = made
        .iter()
        .filter_map(|one| match &one.what {
            What::File(text, _) => Some((&one.path, text)),
            What::Link(_) => None,
        })
        .collect();
    for (path, text) in &files {
        if files.len() > 1 {
            out.line(&format!("==> {} <==", path.display()));
        }
        out.text(text);
    }
}

/// What was put in place.
#[derive(Debug, Default)]
pub(super) struct Done {
    /// Every path, and what was there before.
    pub(super) all: Vec<(String, Found)>,
    /// For taking it back, in the order in which it was done.
    pub(super) before: Vec<Before>,
}

impl Done {
    /// Whether anything is other than before.
    pub(super) fn has_changed(&self) -> bool {
        self.all.iter().any(|(_, found)| *found != Found::Same)
    }

    /// Takes it back.
    pub(super) fn take_back(self, init: &dyn Init, site: &Site) -> Result<(), Failure> {
        let was_there = self.before.iter().any(Before::was_there);
        for before in self.before.into_iter().rev() {
            before.put_back()?;
        }
        if site.is_live() {
            let calls = if was_there { init.learn(site) } else { init.forget(site) };
            calls.iter().try_for_each(super::call::Call::run)?;
        }
        remove_folders(init, site);
        Ok(())
    }
}

/// Puts everything in place, or nothing.
pub(super) fn put(init: &dyn Init, site: &Site, force: bool) -> Result<Done, Failure> {
    let made = init.made(site);
    let found = made.iter().map(|one| one.allow("install", &site.root, force));
    let found = found.collect::<Result<Vec<_>, _>>()?;
    let mut done = Done::default();
    let mut result = Ok(());
    for (one, found) in made.iter().zip(found) {
        done.all.push((below(&site.root, &one.path).display().to_string(), found));
        if found != Found::Same && result.is_ok() {
            result = one.make(&site.root).map(|before| done.before.push(before));
        }
    }
    if site.is_live() && done.has_changed() && result.is_ok() {
        result = init.learn(site).iter().try_for_each(super::call::Call::run);
    }
    match result {
        Ok(()) => Ok(done),
        Err(failure) => {
            // The first failure is the one to tell.
            drop(done.take_back(init, site));
            Err(failure)
        }
    }
}

/// Removes the folders that were made for it.
pub(super) fn remove_folders(init: &dyn Init, site: &Site) {
    for (folder, whole) in init.folders(site) {
        let folder = below(&site.root, &folder);
        // One that somebody else still uses stays.
        drop(if whole { std::fs::remove_dir_all(folder) } else { std::fs::remove_dir(folder) });
    }
}
