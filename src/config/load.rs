//! The whole configuration, or one file of it: which files there are, and what they must not say twice.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::document::{Document, reason};
use super::environment::Environment;
use super::error::{ConfigError, Problems};
use super::item::Item;
use super::plan::{Plan, Program, Settings};
use super::said::Said;
use super::service::{self, Written};
use super::settings::{self, SettingsSaid};
use super::trust;

/// The folder of the services.
const SERVICES: &str = "services.d";

/// Most services.
const SERVICES_MAX: usize = 4096;

/// Reads the configuration in `dir`: all of it, so that every problem is told at once.
pub(crate) fn load(dir: &Path, environment: &Environment) -> Result<Plan, Vec<ConfigError>> {
    let mut problems = Problems::default();
    let mut said = Said::default();
    let dir = environment.current_dir.join(dir);
    let settings = read_settings(&dir, &mut said, environment, &mut problems);
    for folder in [dir.clone(), dir.join(SERVICES)] {
        distrust(&folder, environment, &mut problems);
    }
    let mut written = Vec::new();
    for file in service_files(&dir.join(SERVICES), &mut problems) {
        written.extend(service::read(&file, &said, environment, &mut problems));
    }
    tell_of_doubles(&written, &mut problems);
    let mut services: Vec<_> = written.into_iter().map(|written| written.service).collect();
    services.sort_by(|one, other| one.id.cmp(&other.id));
    let settings = settings.complete(environment);
    let serves = services.iter().any(|service| matches!(service.program, Program::Server(_)));
    if environment.root
        && serves
        && let Some(problem) = trust::changeable(std::iter::once(&*settings.runner))
    {
        problems.push(ConfigError::whole(&dir.join(settings::FILE), &problem));
    }
    problems.or(Plan { settings, services })
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

/// Reads the settings alone, for those who want to know where things are.
pub(crate) fn settings(dir: &Path, environment: &Environment) -> Result<Settings, Vec<ConfigError>> {
    let mut problems = Problems::default();
    let dir = environment.current_dir.join(dir);
    let settings = read_settings(&dir, &mut Said::default(), environment, &mut problems);
    problems.or(settings.complete(environment))
}

/// What the environment and `mcp-init.json`, if there is one, say of the settings and of all services.
fn read_settings(
    dir: &Path,
    said: &mut Said,
    environment: &Environment,
    problems: &mut Problems,
) -> SettingsSaid {
    let mut settings = SettingsSaid::default();
    settings::read_environment(&mut settings, said, environment, problems);
    let file = dir.join(settings::FILE);
    let missing = fs::symlink_metadata(&file).is_err_and(|error| error.kind() == ErrorKind::NotFound);
    if !missing && let Some(document) = Document::read(&file, problems) {
        settings::read_document(&mut settings, said, document, environment, problems);
    }
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
    let mut keys = settings::KEYS.iter().chain(&settings::LATER).filter(|key| **key != "$schema");
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

/// Tells of ids that two services have, and of addresses that two servers would listen on at once.
fn tell_of_doubles(written: &[Written], problems: &mut Problems) {
    let mut ids = BTreeMap::new();
    let mut addresses = BTreeMap::new();
    for Written { service, id_at, address } in written {
        let file = id_at.file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if let Some(other) = ids.insert(&service.id, file.clone()) {
            let problem = format!("\"{}\" is the id of the service in {other} already", service.id);
            problems.push(id_at.clone().error("serverId", &problem));
        }
        // A server that is not enabled may be the other's stand-in.
        let Some((address, at)) = address.as_ref().filter(|_| service.enabled) else { continue };
        if let Some(other) = addresses.insert(address, file) {
            let problem = format!("{address} is the address of the server in {other} already");
            problems.push(at.clone().error("mcpConfig.port", &problem));
        }
    }
}
