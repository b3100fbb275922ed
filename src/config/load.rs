//! The whole configuration, or one file of it: which files there are, and what they must not say twice.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::document::{Document, reason};
use super::environment::Environment;
use super::error::{ConfigError, Problems};
use super::item::Item;
use super::keys;
use super::listen::Taken;
use super::order;
use super::plan::{Plan, Program, Service, Settings};
use super::said::Said;
use super::service::{self, Written};
use super::settings::{self, SettingsSaid};
use super::trust;
use super::zone;

/// The folder of the services.
const SERVICES: &str = "services.d";

/// Most services.
const SERVICES_MAX: usize = 4096;

/// A change of one file that is not made yet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Edit<'a> {
    /// The file: absolute.
    pub(crate) path: &'a Path,
    /// What it would say; `None` while it would be gone.
    pub(crate) text: Option<&'a str>,
}

/// Reads the configuration in `dir`: all of it, so that every problem is told at once.
pub(crate) fn load(dir: &Path, environment: &Environment) -> Result<Plan, Vec<ConfigError>> {
    load_edited(dir, environment, None)
}

/// The same as if `edit` had been made.
pub(crate) fn load_edited(
    dir: &Path,
    environment: &Environment,
    edit: Option<Edit<'_>>,
) -> Result<Plan, Vec<ConfigError>> {
    let mut problems = Problems::default();
    let mut said = Said::default();
    let dir = environment.current_dir.join(dir);
    let settings = read_settings(&dir, Document::read, &mut said, environment, &mut problems);
    for folder in [dir.clone(), dir.join(SERVICES)] {
        distrust(&folder, environment, &mut problems);
    }
    let mut written = Vec::new();
    let mut files = service_files(&dir.join(SERVICES), &mut problems);
    if let Some(Edit { path, text }) = edit {
        files.retain(|file| file != path);
        files.extend(text.map(|_| path.to_owned()));
    }
    for file in &files {
        let text = edit.filter(|edit| edit.path == *file).and_then(|edit| edit.text);
        let document = match text {
            Some(text) => Document::parse(file, text.into(), &mut problems),
            None => Document::read(file, &mut problems),
        };
        let read = |document| service::read_document(document, &said, environment, &mut problems);
        written.extend(document.and_then(read));
    }
    tell_of_doubles(&written, &mut problems);
    // A name that is not there may be that of a service which could not be read.
    if written.len() == files.len() {
        order::tell(&written, &mut problems);
    }
    let mut services: Vec<_> = written.into_iter().map(|written| written.service).collect();
    services.sort_by(|one, other| one.id.cmp(&other.id));
    let mut settings = settings;
    let schedule = settings.schedule.take().unwrap_or_default();
    let is_timed = !schedule.is_empty() || services.iter().any(|service| !service.schedule.is_empty());
    let zone = is_timed.then(|| Box::new(zone::local(environment)));
    let settings = settings.complete(environment);
    let serves = services.iter().any(|service| matches!(service.program, Program::Server(_)));
    if environment.root
        && serves
        && let Some(problem) = trust::changeable(std::iter::once(&*settings.runner))
    {
        problems.push(ConfigError::whole(&dir.join(settings::FILE), &problem));
    }
    if environment.root {
        for problem in settings.hooks.iter().filter_map(|hook| hook.distrust(environment)) {
            problems.push(ConfigError::whole(&dir.join(settings::FILE), &problem));
        }
    }
    problems.or(Plan { settings, services, schedule, zone })
}

/// Tells of a folder in which somebody else could put files that root then obeys.
fn distrust(folder: &Path, environment: &Environment, problems: &mut Problems) {
    if environment.root
        && let Ok(about) = fs::metadata(folder)
        && let Err(error) = trust::check(folder, &about)
    {
        problems.push(ConfigError::whole(folder, &format!("cannot trust it: {}", reason(&error))));
    }
}

/// Reads one service as it would be read if `text` stood at `path`.
pub(crate) fn read_service(
    dir: &Path,
    environment: &Environment,
    path: &Path,
    text: &str,
) -> Result<Service, Vec<ConfigError>> {
    let mut problems = Problems::default();
    let mut said = Said::default();
    read_settings(&environment.current_dir.join(dir), Document::read, &mut said, environment, &mut problems);
    let document = Document::parse(path, text.into(), &mut problems);
    let read = |document| service::read_document(document, &said, environment, &mut problems);
    let written = document.and_then(read);
    // Whoever got no service was told why.
    let service = written.map(|written| written.service).ok_or(());
    match (problems.or(()), service) {
        (Ok(()), Ok(service)) => Ok(service),
        (Ok(()), Err(())) => Err(Vec::new()),
        (Err(problems), _) => Err(problems),
    }
}

/// The folder of the services of the configuration in `dir`.
pub(crate) fn services_folder(dir: &Path, environment: &Environment) -> PathBuf {
    environment.current_dir.join(dir).join(SERVICES)
}

/// The file of every service, by its id. Files that cannot be read are no services.
pub(crate) fn files_of(dir: &Path, environment: &Environment) -> Vec<(Box<str>, PathBuf)> {
    let files = service_files(&services_folder(dir, environment), &mut Problems::default());
    let id = |file: &PathBuf| {
        let mut unheard = Problems::default();
        let mut document = Document::read(file, &mut unheard)?;
        document.settle(environment, &mut unheard);
        let root = document.root();
        let said = root.get("serverId").and_then(|item| item.node.text().map(Box::from));
        said.or_else(|| Some(file.file_stem()?.to_string_lossy().into()))
    };
    files.into_iter().filter_map(|file| Some((id(&file)?, file))).collect()
}

/// Reads the settings alone, for those who want to know where things are.
pub(crate) fn settings(dir: &Path, environment: &Environment) -> Result<Settings, Vec<ConfigError>> {
    let mut problems = Problems::default();
    let dir = environment.current_dir.join(dir);
    let settings = read_settings(&dir, Document::look, &mut Said::default(), environment, &mut problems);
    problems.or(settings.complete(environment))
}

/// What the environment and `mcp-init.json`, if there is one, say of the settings and of all services.
fn read_settings(
    dir: &Path,
    read: fn(&Path, &mut Problems) -> Option<Document>,
    said: &mut Said,
    environment: &Environment,
    problems: &mut Problems,
) -> SettingsSaid {
    let mut settings = SettingsSaid::default();
    settings::read_environment(&mut settings, said, environment, problems);
    let file = dir.join(settings::FILE);
    let missing = fs::symlink_metadata(&file).is_err_and(|error| error.kind() == ErrorKind::NotFound);
    if !missing && let Some(document) = read(&file, problems) {
        settings::read_document(&mut settings, said, document, environment, problems);
    }
    said.runtime_dir = Some(settings.runtime_dir(environment));
    settings
}

/// Reads one file by itself: the settings if it is named or reads like them, else a service.
pub(crate) fn check_file(path: &Path, environment: &Environment) -> Result<(), Vec<ConfigError>> {
    let mut problems = Problems::default();
    let path = environment.current_dir.join(path);
    if let Some(document) = Document::read(&path, &mut problems) {
        if is_settings(&document.root()) {
            let mut settings = SettingsSaid::default();
            settings::read_document(
                &mut settings,
                &mut Said::default(),
                document,
                environment,
                &mut problems,
            );
        } else {
            service::read_document(document, &Said::default(), environment, &mut problems);
        }
    }
    problems.or(())
}

/// Whether a file is one of settings.
fn is_settings(root: &Item<'_>) -> bool {
    let named = root.page.path.file_name().is_some_and(|name| name == settings::FILE);
    let schema = root.get("$schema").and_then(|item| item.node.text());
    let schema = schema.is_some_and(|text| text.ends_with(settings::SCHEMA));
    let mut keys = settings::KEYS
        .iter()
        .chain(&settings::LATER)
        .filter(|key| **key != "$schema" && !keys::KEYS.contains(key));
    named || schema || keys.any(|key| root.get(key).is_some())
}

/// The files of the services, in the order of their names: `*.json`, but not the hidden ones, which editors
/// and volume mounts leave there.
fn service_files(folder: &Path, problems: &mut Problems) -> Vec<PathBuf> {
    let names = fs::read_dir(folder).and_then(|entries| {
        let name = |entry: io::Result<fs::DirEntry>| entry.map(|entry| entry.file_name());
        entries.map(name).collect::<io::Result<Vec<_>>>()
    });
    let mut names = match names {
        Ok(names) => names,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let problem = "there is no such folder: make it, and put one JSON file in it for each service";
            problems.push(ConfigError::whole(folder, problem));
            return Vec::new();
        }
        Err(error) => {
            problems.push(ConfigError::whole(folder, &format!("cannot read it: {}", reason(&error))));
            return Vec::new();
        }
    };
    names.retain(|name| {
        let name = Path::new(name);
        name.extension().is_some_and(|ending| ending == "json") && !name.to_string_lossy().starts_with('.')
    });
    if names.len() > SERVICES_MAX {
        problems.push(ConfigError::whole(folder, &format!("has more than {SERVICES_MAX} services in it")));
        return Vec::new();
    }
    names.sort();
    names.into_iter().map(|name| folder.join(name)).collect()
}

/// Tells of ids that two services have, and of addresses that two services would listen on at once.
fn tell_of_doubles(written: &[Written], problems: &mut Problems) {
    let mut ids = BTreeMap::new();
    let mut addresses = BTreeMap::new();
    for Written { service, id_at, taken, .. } in written {
        let file = id_at.file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if let Some(other) = ids.insert(&service.id, file.clone()) {
            let problem = format!("\"{}\" is the id of the service in {other} already", service.id);
            problems.push(id_at.clone().error("serverId", &problem));
        }
        // A server that is not enabled may be the other's stand-in.
        for Taken { address, field, at } in taken.iter().filter(|_| service.enabled) {
            if let Some(other) = addresses.insert(address, file.clone()) {
                let problem = format!("{address} is the address of the service in {other} already");
                problems.push(at.clone().error(field, &problem));
            }
        }
    }
}
