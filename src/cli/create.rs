//! `create`: a service's file from what is typed. What is right is the configuration's own concern, and putting
//! the file in its place is that of `configure`.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::arguments::Invocation;
use super::configure;
use super::failure::{FAILED, Failure};
use super::options::Flag;
use super::output::Output;
use super::places::Places;

/// The port that is tried first.
const FIRST_PORT: u16 = 3001;
/// The port that is tried last.
const LAST_PORT: u16 = 3999;

/// `create [NAME] --openapi FILE`, `create NAME -- COMMAND…`, `create NAME --bridge -- COMMAND…`.
pub(super) fn answer(invocation: &Invocation, places: &Places, out: &mut Output) -> Result<u8, Failure> {
    let (name, service) = match invocation.value(Flag::OpenApi) {
        Some(document) => served(&document.to_string_lossy(), invocation, places)?,
        None => commanded(invocation, places)?,
    };
    let text = serde_json::to_string_pretty(&service)
        .map_err(|error| Failure::new(FAILED, format!("cannot create {name}: {error}")))?;
    configure::put(invocation, places, &name, &format!("{text}\n"), None)?;
    configure::tell(invocation, places, &name, out)
}

/// A server made of a document.
fn served(document: &str, invocation: &Invocation, places: &Places) -> Result<(Box<str>, Value), Failure> {
    let names = invocation.names()?;
    if names.len() > 1 || invocation.has(Flag::Bridge) {
        let text = "cannot create: a server is made of a document or of a command, not of both";
        return Err(Failure::usage(text));
    }
    let is_url = document.contains("://");
    let stem = || Path::new(document).file_stem().map(|stem| stem.to_string_lossy().into());
    let name = names.into_iter().next().or_else(|| stem().filter(|_| !is_url));
    let name: Box<str> = name.ok_or_else(|| Failure::usage("cannot create: say what it shall be called"))?;
    let place = if is_url {
        document.to_owned()
    } else {
        places.environment.current_dir.join(document).to_string_lossy().into_owned()
    };
    let mut config = listening(invocation)?;
    config.insert("openApiData".to_owned(), place.into());
    if let Some(url) = text(invocation, Flag::BaseUrl) {
        config.insert("baseUrl".to_owned(), url.into());
    }
    let service = json!({ "serverId": name, "mcpConfig": config });
    Ok((name, service))
}

/// A command, or a server made of one.
fn commanded(invocation: &Invocation, places: &Places) -> Result<(Box<str>, Value), Failure> {
    let mut words = invocation.names()?.into_iter();
    let (Some(name), command) = (words.next(), words.collect::<Vec<_>>()) else {
        return Err(Failure::usage("cannot create: say --openapi FILE, or NAME -- COMMAND..."));
    };
    if command.is_empty() {
        let text = format!("cannot create {name}: say --openapi FILE, or {name} -- COMMAND...");
        return Err(Failure::usage(text));
    }
    let service = if invocation.has(Flag::Bridge) {
        let mut config = listening(invocation)?;
        config.insert("command".to_owned(), json!(command));
        json!({ "serverId": name, "mcpConfig": config })
    } else {
        let useless = [Flag::Port, Flag::Transport, Flag::Host, Flag::BaseUrl];
        if useless.into_iter().any(|flag| invocation.has(flag)) {
            let text =
                format!("cannot create {name}: a command that is no --bridge has no port or transport");
            return Err(Failure::usage(text));
        }
        json!({ "serverId": name, "command": command, "workingDirectory": places.environment.current_dir })
    };
    Ok((name, service))
}

/// Where a server listens.
fn listening(invocation: &Invocation) -> Result<Map<String, Value>, Failure> {
    let mut config = Map::new();
    let transport = text(invocation, Flag::Transport).unwrap_or_else(|| "streamable".to_owned());
    if transport == "stdio" {
        if invocation.has(Flag::Port) || invocation.has(Flag::Host) {
            let text = "cannot create a server of stdio with --port or --host: clients come through attach";
            return Err(Failure::usage(text));
        }
        config.insert("transport".to_owned(), transport.into());
        return Ok(config);
    }
    config.insert("transport".to_owned(), transport.into());
    let host = text(invocation, Flag::Host);
    let port = match text(invocation, Flag::Port) {
        Some(typed) => typed.parse::<u16>().ok().filter(|port| *port > 0).ok_or_else(|| {
            Failure::usage(format!("cannot read --port \"{typed}\": not a number from 1 to 65535"))
        })?,
        None => free_port(host.as_deref().unwrap_or("127.0.0.1"), &BTreeSet::new())?,
    };
    config.insert("port".to_owned(), port.into());
    if let Some(host) = host {
        config.insert("host".to_owned(), host.into());
    }
    Ok(config)
}

/// The first port that nobody listens on and that is not `taken`.
pub(super) fn free_port(host: &str, taken: &BTreeSet<u16>) -> Result<u16, Failure> {
    let free = |port: &u16| !taken.contains(port) && TcpListener::bind((host, *port)).is_ok();
    (FIRST_PORT..=LAST_PORT).find(free).ok_or_else(|| {
        Failure::new(FAILED, format!("cannot find a port on {host} that nobody has: say --port N"))
    })
}

/// The value of an option as text.
fn text(invocation: &Invocation, flag: Flag) -> Option<String> {
    invocation.value(flag).map(|value| value.to_string_lossy().into_owned())
}
