//! The verbs that change the configuration: `add`, `remove`, `enable`, `disable`. Every change is checked as a
//! whole before a file is touched; the supervisor is told last.

use std::fs::{self, Metadata};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde_json::json;

use super::arguments::Invocation;
use super::check;
use super::failure::{CONFIGURATION, FAILED, Failure, OK};
use super::options::Flag;
use super::orders;
use super::output::{Output, say};
use super::places::Places;
use super::status::unknown;
use crate::config::plan::Service;
use crate::config::{self, ConfigError, Edit, edit};
use crate::control::client::{Client, ClientError};
use crate::scribe::{replace_now, time};

/// Largest file that is added: as large as the configuration allows one to be.
const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// `add FILE`.
pub(super) fn add(invocation: &Invocation, places: &Places, out: &mut Output) -> Result<u8, Failure> {
    let [file] = invocation.operands.as_slice() else {
        return Err(Failure::usage("cannot add: name one file, or - for standard input"));
    };
    let shown = file.to_string_lossy().into_owned();
    let failed = |error: &io::Error| Failure::reading(&shown, error);
    let (text, source, like) = if file == "-" {
        let mut text = String::new();
        io::stdin().take(FILE_BYTES_MAX).read_to_string(&mut text).map_err(|error| failed(&error))?;
        (text, places.environment.current_dir.join("-"), None)
    } else {
        let path = places.environment.current_dir.join(file);
        let like = fs::metadata(&path).map_err(|error| failed(&error))?;
        if !like.is_file() || like.len() > FILE_BYTES_MAX {
            return Err(Failure::new(
                FAILED,
                format!("cannot add {shown}: it is not a file of up to 16 MiB"),
            ));
        }
        (fs::read_to_string(&path).map_err(|error| failed(&error))?, path, Some(like))
    };
    let read = |path: &Path| config::read_service(&places.config, &places.environment, path, &text);
    let service = read(&source).map_err(|problems| refused("add", &shown, &problems))?;
    let folder = config::services_folder(&places.config, &places.environment);
    let target = folder.join(format!("{}.json", service.id));
    // What is right where it is and means something else where it shall be has a path that is relative.
    let moved = read(&target)
        .ok()
        .map(|moved| Service { working_directory: followed(&service, &source, &moved, &target), ..moved });
    if moved.is_none_or(|moved| moved != service) {
        let from = source.parent().unwrap_or(&source).display();
        let text = format!("cannot add {shown}: a path in it is relative to {from}; write it absolute");
        return Err(Failure::new(CONFIGURATION, text));
    }
    put(invocation, places, &service.id, &text, like.as_ref())?;
    tell(invocation, places, &service.id, out)
}

/// Puts a new service's file in its place.
pub(super) fn put(
    invocation: &Invocation,
    places: &Places,
    id: &str,
    text: &str,
    like: Option<&Metadata>,
) -> Result<(), Failure> {
    let verb = invocation.verb.name;
    let known = config::files_of(&places.config, &places.environment).into_iter();
    let known = known.filter(|(other, _)| **other == *id).map(|(_, file)| file).next();
    let own = config::services_folder(&places.config, &places.environment).join(format!("{id}.json"));
    if let Some(file) = known.as_ref().filter(|_| !invocation.has(Flag::Replace)) {
        let text =
            format!("cannot {verb} {id}: {} is there already; --replace takes its place", file.display());
        return Err(Failure::new(FAILED, text));
    }
    write(verb, id, places, &known.unwrap_or(own), text, like)
}

/// `remove SERVICE…`.
pub(super) fn remove(invocation: &Invocation, places: &Places, out: &mut Output) -> Result<u8, Failure> {
    let settings = places.settings()?;
    for (id, file) in files("remove", invocation, places)? {
        check("remove", &id, places, Edit { path: &file, text: None })?;
        let backup = settings.state_dir.join("backups").join(format!("{id}-{}.json", stamp()));
        set_aside(&file, &backup).map_err(|error| failure("remove", &id, &error))?;
        match Client::connect(&places.socket()?) {
            Ok(mut client) => {
                orders::stop_one(&id, invocation, &mut client)?;
                orders::read_again(invocation, &mut Client::connect(&places.socket()?)?)?;
            }
            Err(error) if is_absent(&error) => {}
            Err(error) => return Err(error.into()),
        }
        if invocation.json() {
            out.json(&json!({ "removed": id, "backup": backup }))?;
        } else {
            out.line(&format!("{id}: removed; its file is now {}", backup.display()));
        }
    }
    Ok(OK)
}

/// `enable SERVICE…`, `disable SERVICE…`.
pub(super) fn enable(
    enabled: bool,
    invocation: &Invocation,
    places: &Places,
    out: &mut Output,
) -> Result<u8, Failure> {
    let verb = invocation.verb.name;
    let files = files(verb, invocation, places)?;
    for (id, file) in &files {
        let text = fs::read_to_string(file).map_err(|error| Failure::reading(file.display(), &error))?;
        let changed = edit::with_enabled(&text, enabled);
        let Some(changed) = changed else {
            let problems = config::check_file(file, &places.environment).err().unwrap_or_default();
            return Err(refused(verb, id, &problems));
        };
        write(verb, id, places, file, &changed, None)?;
    }
    for (id, _) in &files {
        tell(invocation, places, id, out)?;
    }
    Ok(OK)
}

/// The files of the services that are named.
fn files(verb: &str, invocation: &Invocation, places: &Places) -> Result<Vec<(Box<str>, PathBuf)>, Failure> {
    let names = invocation.names()?;
    if names.is_empty() {
        return Err(Failure::usage(format!("cannot {verb} nothing: name a service")));
    }
    let known = config::files_of(&places.config, &places.environment);
    let file = |name: Box<str>| {
        let found = known.iter().find(|(id, _)| *id == name).cloned();
        found.ok_or_else(|| unknown(verb, &name, known.iter().map(|(id, _)| &**id)))
    };
    names.into_iter().map(file).collect()
}

/// Writes a file, if the whole configuration is valid with it.
fn write(
    verb: &str,
    id: &str,
    places: &Places,
    file: &Path,
    text: &str,
    like: Option<&Metadata>,
) -> Result<(), Failure> {
    let folder = config::services_folder(&places.config, &places.environment);
    fs::create_dir_all(&folder).map_err(|error| failure(verb, id, &error))?;
    check(verb, id, places, Edit { path: file, text: Some(text) })?;
    replace_now(file, text.as_bytes(), like).map_err(|error| {
        let Failure { code, text } = failure(verb, id, &error);
        Failure::new(code, format!("{text} ({})", file.display()))
    })
}

/// Whether the whole configuration is valid with an edit.
fn check(verb: &str, id: &str, places: &Places, edit: Edit<'_>) -> Result<(), Failure> {
    match config::load_edited(&places.config, &places.environment, Some(edit)) {
        Ok(_plan) => Ok(()),
        Err(problems) => Err(refused(verb, id, &problems)),
    }
}

/// What `check` would say, and what that means.
fn refused(verb: &str, what: &str, problems: &[ConfigError]) -> Failure {
    say(&check::lines(problems));
    let text = format!("cannot {verb} {what}: the configuration would have a problem; nothing has changed");
    Failure::new(CONFIGURATION, text)
}

/// A file could not be changed.
fn failure(verb: &str, id: &str, error: &io::Error) -> Failure {
    let Failure { code, .. } = Failure::reading("", error);
    Failure::new(code, format!("cannot {verb} {id}: {}", crate::sys::own::reason(error)))
}

/// The working directory that counts when a file is moved: a default follows the file, which is no difference.
fn followed(service: &Service, source: &Path, moved: &Service, target: &Path) -> PathBuf {
    let is_default = |service: &Service, file: &Path| {
        let folder = file.parent().and_then(|folder| fs::canonicalize(folder).ok());
        folder.is_none_or(|folder| folder == service.working_directory)
    };
    if is_default(service, source) && is_default(moved, target) {
        service.working_directory.clone()
    } else {
        moved.working_directory.clone()
    }
}

/// The time, as names of files have it.
fn stamp() -> String {
    String::from_utf8_lossy(&time::compact(time::now())).into_owned()
}

/// Moves a file to the backups.
fn set_aside(file: &Path, backup: &Path) -> io::Result<()> {
    let body = fs::read(file)?;
    let like = fs::metadata(file)?;
    replace_now(backup, &body, Some(&like))?;
    fs::remove_file(file)
}

/// Whether nobody supervises.
fn is_absent(error: &ClientError) -> bool {
    matches!(error, ClientError::Connect { source, .. }
        if matches!(source.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused))
}

/// Tells the supervisor, if there is one, and says how the service is then.
pub(super) fn tell(
    invocation: &Invocation,
    places: &Places,
    id: &str,
    out: &mut Output,
) -> Result<u8, Failure> {
    match Client::connect(&places.socket()?) {
        Ok(mut client) => orders::read_again(invocation, &mut client)?,
        Err(error) if is_absent(&error) => {
            if invocation.json() {
                out.json(&json!({ "written": id, "supervisor": null }))?;
            } else {
                out.line(&format!("{id}: written; no supervisor runs"));
            }
            return Ok(OK);
        }
        Err(error) => return Err(error.into()),
    }
    orders::settle_one(id, invocation, places, out)
}
