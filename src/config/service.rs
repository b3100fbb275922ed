//! One file of `services.d`: what it runs, and the rest of it over the defaults.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::alerts;
use super::document::{Document, reason};
use super::environment::Environment;
use super::error::{Place, Problems};
use super::health;
use super::item::Item;
use super::json::Kind;
use super::keys::{self, Seen};
use super::limits;
use super::listen::{self, Taken};
use super::order;
use super::plan::{Program, Server, Service};
use super::said::Said;
use super::sandbox;
use super::server::{self, Address, McpConfig};
use super::shown::shown;
use super::trust;
use super::update;

/// The keys of a service that are no defaults.
pub(super) const KEYS: [&str; 12] = [
    "$schema",
    "serverId",
    "serverName",
    "type",
    "dependsOn",
    "listen",
    "mcpConfig",
    "configFile",
    "command",
    "scriptPath",
    "args",
    "update",
];

/// Keys of which a service has exactly one.
const PROGRAMS: [&str; 4] = ["mcpConfig", "configFile", "command", "scriptPath"];

/// Where programs are looked for when nobody says where.
pub(crate) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Most arguments of a program.
const ARGUMENTS_MAX: usize = 1024;

/// Longest `serverName`, in characters.
const NAME_CHARS_MAX: usize = 256;

/// A service and what must be unlike that of every other.
#[derive(Debug)]
pub(super) struct Written {
    /// The service.
    pub(super) service: Service,
    /// Where its id is written.
    pub(super) id_at: Place,
    /// What it waits for, and where that is written.
    pub(super) needs: order::Needs,
    /// Where it listens.
    pub(super) taken: Vec<Taken>,
}

/// A server with the same.
type Served = (Server, Option<(Address, Place)>);

/// Reads a service; `None` if anything is wrong with it, which is told.
pub(super) fn read_document(
    mut document: Document,
    defaults: &Said,
    environment: &Environment,
    problems: &mut Problems,
) -> Option<Written> {
    let before = problems.count();
    let shown = shown(document.node());
    document.settle(environment, problems);
    let root = document.root();
    let mut said = defaults.clone();
    read_keys(&mut said, &root, problems);
    let id_item = root.get("serverId");
    let id = id(&root, id_item.as_ref(), problems);
    said.name = root.get("serverName").and_then(|item| name(&item, problems));
    said.course.read_kind(&root, problems);
    let needs = root.get("dependsOn").map(|item| order::read(&item, problems)).unwrap_or_default();
    said.depends_on = needs.iter().map(|(need, _)| need.clone()).collect();
    let (program, address) = program(&root, &id, &mut said, environment, problems)?;
    if said.chroot.is_some() && matches!(program, Program::Server(_)) {
        let item = root.get("chroot").or_else(|| root.get("mcpConfig"));
        let problem = "cannot be for a server: its runner and its configuration are outside";
        problems.push(root.page.error(item.map_or(root.node.at, |item| item.key_at), "chroot", problem));
    }
    sandbox::agree(&said, &root, problems);
    health::settle(&mut said, &root, &program, problems);
    alerts::agree(&mut said, &root, &program, problems);
    let taken = listen::settle(&mut said, &root, &id, address, problems);
    let id_at = root.page.place(id_item.map_or(root.node.at, |item| item.node.at));
    let mut service = said.complete(&id, program, &root.page.folder, shown);
    if let Some(item) = root.get("update") {
        service.update = update::read(&item, problems);
        if let Some(update) = &mut service.update {
            update.files = update::files(&root);
            if environment.root {
                update::distrust(update, &item, environment, problems);
            }
        }
    }
    if environment.root {
        distrust(&service, &root, environment, problems);
    }
    (problems.count() == before).then_some(Written { service, id_at, needs, taken })
}

/// Tells of a program that would run as root and that somebody else could change.
fn distrust(service: &Service, root: &Item<'_>, environment: &Environment, problems: &mut Problems) {
    let Program::Command(words) = &service.program else { return };
    if service.identity.uid().is_some_and(|uid| uid != 0) || service.chroot.is_some() {
        return;
    }
    let Some(item) = root.get("scriptPath").or_else(|| root.get("command")) else { return };
    let said = service.env.get("PATH").map(|path| OsStr::new(&**path));
    let path = said.or_else(|| environment.get("PATH")).unwrap_or_else(|| OsStr::new(PATH));
    let script = root.get("scriptPath").and_then(|item| item.path(problems));
    let programs = words.first().map(|word| candidates(word, path)).unwrap_or_default();
    for candidates in [programs, script.into_iter().collect()] {
        if let Some(problem) = trust::changeable(candidates.iter().map(PathBuf::as_path)) {
            item.wrong(problems, &problem);
        }
    }
}

/// Where a program may be, in order.
pub(super) fn candidates(program: &str, path: &OsStr) -> Vec<PathBuf> {
    if program.contains('/') {
        return vec![PathBuf::from(program)];
    }
    std::env::split_paths(path).map(|folder| folder.join(program)).collect()
}

/// Reads all keys but those of [`KEYS`].
fn read_keys(said: &mut Said, root: &Item<'_>, problems: &mut Problems) {
    let mut seen = Seen::default();
    let mut health = false;
    for item in root.members(problems) {
        health |= item.key.starts_with("healthCheck");
        if item.key == "$schema" {
            item.text(problems);
        } else if !KEYS.contains(&item.key) && !keys::read(said, &item, &mut seen, problems) {
            unknown(&item, problems);
        }
    }
    // Whoever says how often means that it is.
    if health && said.health_checked.is_none() {
        said.health_checked = Some(true);
    }
}

/// Tells of a key that a service does not have.
fn unknown(item: &Item<'_>, problems: &mut Problems) {
    let objects: [(&str, &[&str]); 7] = [
        ("mcpConfig", &server::KEYS),
        ("restartPolicy", &keys::RESTART_POLICY),
        ("healthCheck", &health::HEALTH_CHECK),
        ("stop", &keys::STOP),
        ("limits", &limits::LIMITS),
        ("log", &keys::LOG),
        ("sandbox", &sandbox::KEYS),
    ];
    let home =
        objects.iter().find(|(_, names)| names.contains(&item.key) && !keys::LATER.contains(&item.key));
    if let Some((object, _)) = home {
        let problem = item.error(item.key_at, "is not a key that is known here");
        return problems.push(problem.or(Some(&format!("{object}.{}", item.key))));
    }
    let names: Vec<_> = KEYS.into_iter().chain(keys::KEYS).collect();
    item.unknown(problems, &names, &keys::LATER);
}

/// The service's id: said, or the stem of its file's name.
fn id(root: &Item<'_>, item: Option<&Item<'_>>, problems: &mut Problems) -> String {
    let wanted = "1 to 64 of A-Z a-z 0-9 . _ - without a dot in front";
    if let Some(item) = item {
        return item.matching(problems, wanted, is_id).unwrap_or_default().to_owned();
    }
    let stem = root.page.path.file_stem().unwrap_or_default().to_string_lossy();
    if is_id(&stem) {
        return stem.into_owned();
    }
    let problem = format!("is missing, and the file's own name is no id: {wanted}");
    problems.push(root.page.error(root.node.at, "serverId", &problem));
    String::new()
}

/// Whether a text is an id. The supervisor's own log lies beside the folders of the services.
pub(super) fn is_id(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=64).contains(&text.len())
        && text.bytes().all(plain)
        && !text.starts_with('.')
        && !text.starts_with("mcp-init.log")
}

/// `serverName`
fn name(item: &Item<'_>, problems: &mut Problems) -> Option<Box<str>> {
    item.line(problems, 1..=NAME_CHARS_MAX).map(Into::into)
}

/// What the service runs, and where that listens.
fn program(
    root: &Item<'_>,
    id: &str,
    said: &mut Said,
    environment: &Environment,
    problems: &mut Problems,
) -> Option<(Program, Option<(Address, Place)>)> {
    let items: Vec<_> = PROGRAMS.iter().filter_map(|key| root.get(key)).collect();
    let (first, others) = items.split_first().or_else(|| {
        if matches!(root.node.kind, Kind::Object(_)) {
            root.wrong(problems, &format!("has nothing to run: one of {}", PROGRAMS.join(", ")));
        }
        None
    })?;
    for other in others {
        other.wrong_key(problems, &format!("contradicts {}: a service runs one thing", first.field));
    }
    let args = root.get("args");
    let takes_args = first.key == "scriptPath" || matches!(first.node.kind, Kind::Text { .. } | Kind::Void);
    if let Some(args) = args.as_ref().filter(|_| !takes_args || first.key == "configFile") {
        args.wrong_key(problems, "goes with scriptPath, or with a command that is one string");
    }
    match first.key {
        "mcpConfig" => {
            let config = McpConfig::read(first, problems);
            served(config, first, id, said, environment, problems)
                .map(|(server, at)| (Program::Server(server), at))
        }
        "configFile" => {
            config_file(first, id, said, environment, problems).map(|(s, at)| (Program::Server(s), at))
        }
        "command" => Some((Program::Command(command(first, args.as_ref(), problems)?), None)),
        _ => Some((Program::Command(script(first, args.as_ref(), problems)?), None)),
    }
}

/// A server and where it listens.
fn served<'a>(
    mut config: McpConfig<'a>,
    item: &Item<'a>,
    id: &str,
    said: &Said,
    environment: &Environment,
    problems: &mut Problems,
) -> Option<Served> {
    config.settle(item, &said.runtime_dir(environment), id, problems);
    let port_at = item.get("port").map_or(item.node.at, |port| port.node.at);
    let address = config.address().map(|address| (address, item.page.place(port_at)));
    Some((config.server(id, said.name.as_deref())?, address))
}

/// `configFile`: an `mcpConfig` in a file of its own, or a runner's whole config file.
fn config_file(
    item: &Item<'_>,
    id: &str,
    said: &mut Said,
    environment: &Environment,
    problems: &mut Problems,
) -> Option<Served> {
    let mut document = Document::read(&item.path(problems)?, problems)?;
    document.settle(environment, problems);
    let root = document.root();
    let Some(config) = root.get("mcpConfig") else {
        let config = McpConfig::read(&root, problems);
        return served(config, &root, id, said, environment, problems);
    };
    for item in root.members(problems) {
        match item.key {
            "mcpConfig" => {}
            "$schema" => drop(item.text(problems)),
            "serverId" => {
                let wanted = format!("\"{id}\", as the service that names this file");
                item.matching(problems, &wanted, |text| text == id);
            }
            "serverName" => said.name = said.name.take().or_else(|| name(&item, problems)),
            _ => item.unknown(problems, &["$schema", "serverId", "serverName", "mcpConfig"], &[]),
        }
    }
    served(McpConfig::read(&config, problems), &config, id, said, environment, problems)
}

/// `command` with `args`, or a `command` that is all of it.
pub(super) fn command(
    item: &Item<'_>,
    args: Option<&Item<'_>>,
    problems: &mut Problems,
) -> Option<Vec<Box<str>>> {
    if !matches!(item.node.kind, Kind::List(_)) {
        let mut words = vec![program_name(item, problems)?];
        words.extend(arguments(args, problems)?);
        return Some(words);
    }
    let items = item.items(problems, ARGUMENTS_MAX)?;
    let Some((first, rest)) = items.split_first() else {
        item.wrong(problems, "is empty: its first value is the program");
        return None;
    };
    let mut words = vec![program_name(first, problems)?];
    for item in rest {
        words.push(item.argument(problems)?.into());
    }
    Some(words)
}

/// A program: a path if it has a slash, else a name for `PATH`.
fn program_name(item: &Item<'_>, problems: &mut Problems) -> Option<Box<str>> {
    let good = |text: &str| !text.is_empty() && !text.contains('\0');
    let text = item.matching(problems, "a program: a path, or a name", good)?;
    if text.contains('/') {
        return absolute(item, problems);
    }
    if text.contains(' ') {
        item.wrong(problems, "is more than a program: give it and its arguments as a list of strings");
        return None;
    }
    Some(text.into())
}

/// `args`
fn arguments(item: Option<&Item<'_>>, problems: &mut Problems) -> Option<Vec<Box<str>>> {
    let Some(item) = item else { return Some(Vec::new()) };
    let items = item.items(problems, ARGUMENTS_MAX)?;
    items.iter().map(|item| item.argument(problems).map(Into::into)).collect()
}

/// `scriptPath`: run as it is if it may be, else by the interpreter that its name tells.
fn script(item: &Item<'_>, args: Option<&Item<'_>>, problems: &mut Problems) -> Option<Vec<Box<str>>> {
    let args = arguments(args, problems);
    let script = absolute(item, problems)?;
    let about = match fs::metadata(&*script) {
        Ok(about) if about.is_file() => about,
        Ok(_) => {
            item.wrong(problems, "cannot run it: it is not a regular file");
            return None;
        }
        Err(error) => {
            item.wrong(problems, &format!("cannot run it: {}", reason(&error)));
            return None;
        }
    };
    let mut words = Vec::new();
    if about.permissions().mode() & 0o111 == 0 {
        let ending = Path::new(&*script).extension().and_then(|ending| ending.to_str());
        let interpreter = match ending {
            Some("js" | "mjs" | "cjs") => "node",
            Some("py") => "python3",
            Some("sh") => "sh",
            _ => {
                item.wrong(
                    problems,
                    "cannot run it: it is not executable, nor is it .js, .mjs, .cjs, .py or .sh",
                );
                return None;
            }
        };
        words.push(interpreter.into());
    }
    words.push(script);
    words.extend(args?);
    Some(words)
}

/// A path as text, made absolute.
fn absolute(item: &Item<'_>, problems: &mut Problems) -> Option<Box<str>> {
    let path = item.path(problems)?;
    let text = path.to_str();
    if text.is_none() {
        item.wrong(problems, "leads through a folder whose name is not UTF-8");
    }
    text.map(Into::into)
}
