//! One document of many files: what other files hold is put under `x-mcp-files`, and every reference to it
//! leads there. What cannot be read costs those who refer to it, and nobody else.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::parse::parse;
use super::place::Location;
use super::read::Reader;

/// Where other files are put.
const FILES: &str = "x-mcp-files";
/// Files of one document.
const FILES_MAX: usize = 1_000;

/// Brings in every file that a document refers to, and those that they refer to. Notes say what could not be
/// brought in.
pub(super) async fn bundle(
    document: &mut Value,
    at: &Location,
    reader: &mut Reader,
    notes: &mut Vec<String>,
) {
    let folder = match at {
        Location::File(path) => path.parent().map(Path::to_owned),
        Location::Nowhere | Location::Url(_) => None,
    };
    let mut bundle = Bundle { folder, ..Bundle::default() };
    bundle.names.insert(at.clone(), String::new());
    let mut open = bundle.wanted(document, at, notes);
    while let Some(location) = open.pop() {
        if bundle.files.len() >= FILES_MAX {
            notes.push(format!("cannot read {}: the document has too many files", location.name()));
            break;
        }
        let name = location.name();
        let read = reader.read(&location).await.map_err(|reason| format!("cannot read {name}: {reason}"));
        let file = read.and_then(|bytes| parse(&name, &bytes).map_err(|error| error.to_string()));
        match file {
            Ok(file) => {
                bundle.name(&location);
                open.extend(bundle.wanted(&file, &location, notes));
                bundle.files.push((location, file));
            }
            Err(reason) => notes.push(reason),
        }
    }
    if bundle.files.is_empty() {
        return;
    }
    bundle.rewrite(document, at);
    let mut files = Map::new();
    for (location, mut file) in std::mem::take(&mut bundle.files) {
        bundle.rewrite(&mut file, &location);
        files.insert(bundle.names.get(&location).cloned().unwrap_or_default(), file);
    }
    if let Some(top) = document.as_object_mut() {
        top.insert(FILES.to_owned(), Value::Object(files));
    }
}

/// The files as they come in.
#[derive(Default)]
struct Bundle {
    /// Where a file must be to be read: a document that somebody else wrote names no other files of this host.
    folder: Option<PathBuf>,
    /// Those read.
    files: Vec<(Location, Value)>,
    /// What each is called under `x-mcp-files`; empty for the document itself.
    names: BTreeMap<Location, String>,
    /// Those asked for.
    asked: BTreeSet<Location>,
}

impl Bundle {
    /// The files a value refers to that nobody asked for before.
    fn wanted(&mut self, value: &Value, at: &Location, notes: &mut Vec<String>) -> Vec<Location> {
        let mut references = BTreeSet::new();
        collect(value, &mut references);
        let mut wanted = Vec::new();
        for reference in references {
            match at.join(reference) {
                Ok(location) if self.names.contains_key(&location) => {}
                Ok(location) if self.is_outside(&location) => {
                    notes.push(format!("cannot follow {reference:?}: it is outside the document's folder"));
                }
                Ok(location) => {
                    if self.asked.insert(location.clone()) {
                        wanted.push(location);
                    }
                }
                Err(reason) => notes.push(format!("cannot follow {reference:?}: {reason}")),
            }
        }
        wanted
    }

    /// Whether a file is not in the document's folder or below.
    fn is_outside(&self, location: &Location) -> bool {
        match (&self.folder, location) {
            (Some(folder), Location::File(path)) => !path.starts_with(folder),
            _ => false,
        }
    }

    /// Gives a file its name: the end of its own, which schemas are called by later.
    fn name(&mut self, location: &Location) {
        let whole = location.name();
        let last = whole.rsplit('/').next().unwrap_or_default();
        let stem = last.split('.').next().unwrap_or_default();
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        let stem: String = stem.chars().map(|c| if allowed(c) { c } else { '_' }).collect();
        let stem = if stem.is_empty() { "file".to_owned() } else { stem };
        let is_taken = |name: &String| self.names.values().any(|other| other == name);
        let mut name = stem.clone();
        let mut number = 2_u32;
        while is_taken(&name) {
            name = format!("{stem}_{number}");
            number += 1;
        }
        self.names.insert(location.clone(), name);
    }

    /// Makes every reference of a file one within the whole.
    fn rewrite(&self, value: &mut Value, at: &Location) {
        match value {
            Value::Array(list) => list.iter_mut().for_each(|value| self.rewrite(value, at)),
            Value::Object(map) => {
                for (key, value) in map.iter_mut() {
                    match value {
                        Value::String(reference) if key == "$ref" => {
                            if let Some(inside) = self.inside(reference, at) {
                                *reference = inside;
                            }
                        }
                        value => self.rewrite(value, at),
                    }
                }
            }
            _ => {}
        }
    }

    /// A reference as it is within the whole; `None` where it stays as it is.
    fn inside(&self, reference: &str, at: &Location) -> Option<String> {
        let (file, fragment) = reference.split_once('#').unwrap_or((reference, ""));
        let location = if file.is_empty() { at.clone() } else { at.join(file).ok()? };
        let name = self.names.get(&location)?;
        if !fragment.is_empty() && !fragment.starts_with('/') {
            return None;
        }
        Some(if name.is_empty() { format!("#{fragment}") } else { format!("#/{FILES}/{name}{fragment}") })
    }
}

/// The files, as written, that a value's references name.
fn collect<'a>(value: &'a Value, references: &mut BTreeSet<&'a str>) {
    match value {
        Value::Array(list) => list.iter().for_each(|value| collect(value, references)),
        Value::Object(map) => {
            for (key, value) in map {
                match value {
                    Value::String(reference) if key == "$ref" => {
                        let file = reference.split('#').next().unwrap_or_default();
                        if !file.is_empty() {
                            references.insert(file);
                        }
                    }
                    value => collect(value, references),
                }
            }
        }
        _ => {}
    }
}
