//! `import`: what a client's own file says of its servers becomes services, each behind a port of its own. What is
//! right is the configuration's own concern, and putting files in their places is that of `configure`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::arguments::Invocation;
use super::check;
use super::configure;
use super::create::free_port;
use super::failure::{CONFIGURATION, FAILED, Failure, OK};
use super::output::{Output, say};
use super::places::Places;
use crate::config;

/// Where clients have their servers: most of them, VS Code, Zed.
const KEYS: [&str; 3] = ["mcpServers", "servers", "context_servers"];
/// Longest id.
const ID_CHARS_MAX: usize = 64;
/// What VS Code writes before the name of a variable of the environment.
const OF_ENVIRONMENT: &str = "${env:";

/// A service that is to be.
struct Imported {
    /// Its id.
    id: String,
    /// Its file.
    text: String,
}

/// `import FILE`.
pub(super) fn answer(invocation: &Invocation, places: &Places, out: &mut Output) -> Result<u8, Failure> {
    let [file] = invocation.operands.as_slice() else {
        return Err(Failure::usage("cannot import: name one file of a client, such as .mcp.json"));
    };
    let path = places.environment.current_dir.join(file);
    let shown = file.to_string_lossy();
    let text = fs::read_to_string(&path).map_err(|error| Failure::reading(&shown, &error))?;
    let like = fs::metadata(&path).map_err(|error| Failure::reading(&shown, &error))?;
    let value: Value = serde_json::from_str(&text)
        .map_err(|error| Failure::new(CONFIGURATION, format!("cannot import {shown}: {error}")))?;
    let servers = KEYS.iter().find_map(|key| value.get(key)?.as_object());
    let servers = servers.ok_or_else(|| {
        Failure::new(CONFIGURATION, format!("cannot import {shown}: it has no \"mcpServers\""))
    })?;
    let folder = path.parent().unwrap_or(&path);
    let (services, passed_over) = read(servers, folder, taken_ports(places))?;
    for (name, why) in &passed_over {
        say(&format!("mcp-init: {name} is passed over: {why}\n"));
    }
    // All are checked before any is written.
    for service in &services {
        let target =
            config::services_folder(&places.config, &places.environment).join(format!("{}.json", service.id));
        config::read_service(&places.config, &places.environment, &target, &service.text).map_err(
            |problems| {
                say(&check::lines(&problems));
                let text = format!(
                    "cannot import {shown}: {} would have a problem; nothing has changed",
                    service.id
                );
                Failure::new(CONFIGURATION, text)
            },
        )?;
    }
    for service in &services {
        // What the client's file hides from others stays hidden: there are secrets in it.
        configure::put(invocation, places, &service.id, &service.text, Some(&like))?;
    }
    for service in &services {
        let _code = configure::tell(invocation, places, &service.id, out)?;
    }
    if services.is_empty() {
        return Err(Failure::new(
            FAILED,
            format!("cannot import {shown}: it has no server that is a command"),
        ));
    }
    Ok(OK)
}

/// What is passed over, and why.
type PassedOver = Vec<(String, String)>;

/// The services of a client's servers, and those that are none.
fn read(
    servers: &Map<String, Value>,
    folder: &Path,
    mut taken: BTreeSet<u16>,
) -> Result<(Vec<Imported>, PassedOver), Failure> {
    let mut services: Vec<Imported> = Vec::new();
    let mut passed_over = Vec::new();
    for (name, server) in servers {
        let Some(command) = server.get("command").and_then(Value::as_str) else {
            let url = server.get("url").and_then(Value::as_str);
            let why = url
                .map_or_else(|| "it has no command".to_owned(), |url| format!("it runs elsewhere, at {url}"));
            passed_over.push((name.clone(), why));
            continue;
        };
        let id = id(name);
        if services.iter().any(|other| other.id == id) {
            passed_over.push((name.clone(), format!("{id} is the id of another one")));
            continue;
        }
        let port = free_port("127.0.0.1", &taken)?;
        taken.insert(port);
        let service = service(&id, name, command, server, folder, port);
        let text = serde_json::to_string_pretty(&service)
            .map_err(|error| Failure::new(FAILED, format!("cannot import {name}: {error}")))?;
        services.push(Imported { id, text: format!("{text}\n") });
    }
    Ok((services, passed_over))
}

/// A server behind a bridge.
fn service(id: &str, name: &str, command: &str, server: &Value, folder: &Path, port: u16) -> Value {
    let words = server.get("args").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let command: Vec<String> = std::iter::once(command).chain(words).map(variables).collect();
    let mut config = json!({ "transport": "streamable", "port": port, "command": command });
    let members = server.get("env").and_then(Value::as_object).into_iter().flatten();
    let env: Map<String, Value> = members
        .map(|(name, value)| {
            // Some write a number or a truth value.
            let text = value.as_str().map_or_else(|| value.to_string(), variables);
            (name.clone(), text.into())
        })
        .collect();
    if let Some(config) = config.as_object_mut() {
        if !env.is_empty() {
            config.insert("env".to_owned(), env.into());
        }
        if let Some(cwd) = server.get("cwd").and_then(Value::as_str) {
            config.insert("cwd".to_owned(), folder.join(variables(cwd)).to_string_lossy().into());
        }
    }
    let mut service = json!({ "serverId": id, "serverName": name, "mcpConfig": config });
    let is_off = server.get("disabled") == Some(&Value::Bool(true))
        || server.get("enabled") == Some(&Value::Bool(false));
    if let Some(service) = service.as_object_mut().filter(|_| is_off) {
        service.insert("enabled".to_owned(), false.into());
    }
    service
}

/// Variables as the configuration writes them.
fn variables(text: &str) -> String {
    text.replace(OF_ENVIRONMENT, "${")
}

/// An id from a name.
fn id(name: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
    let id: String = name.chars().map(|letter| if plain(letter) { letter } else { '-' }).collect();
    let id = id.trim_matches(['.', '-']);
    let id: String = id.chars().take(ID_CHARS_MAX).collect();
    if id.is_empty() { "server".to_owned() } else { id }
}

/// Ports that the configuration has given away.
fn taken_ports(places: &Places) -> BTreeSet<u16> {
    let port = |file: &Path| {
        let value: Value = serde_json::from_str(&fs::read_to_string(file).ok()?).ok()?;
        u16::try_from(value.get("mcpConfig")?.get("port")?.as_u64()?).ok()
    };
    let files = config::files_of(&places.config, &places.environment);
    files.iter().filter_map(|(_, file)| port(file)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_clients_way_to_write_a_server_is_read() {
        let servers = json!({
            "git hub": { "command": "npx", "args": ["-y", "x"], "env": { "TOKEN": "${env:TOKEN}", "N": 5 } },
            "docs": { "type": "http", "url": "https://docs.example/mcp" },
            "off": { "command": "x", "cwd": "sub", "disabled": true },
        });
        let (services, passed_over) =
            read(servers.as_object().unwrap(), Path::new("/home/me"), BTreeSet::new()).unwrap();
        let read: Vec<Value> =
            services.iter().map(|service| serde_json::from_str(&service.text).unwrap()).collect();
        assert_eq!(read[0]["serverId"], "git-hub");
        assert_eq!(read[0]["mcpConfig"]["command"], json!(["npx", "-y", "x"]));
        assert_eq!(read[0]["mcpConfig"]["env"], json!({ "N": "5", "TOKEN": "${TOKEN}" }));
        assert_eq!(
            (&read[1]["enabled"], &read[1]["mcpConfig"]["cwd"]),
            (&json!(false), &json!("/home/me/sub"))
        );
        assert_ne!(read[0]["mcpConfig"]["port"], read[1]["mcpConfig"]["port"]);
        assert_eq!(
            passed_over,
            [("docs".to_owned(), "it runs elsewhere, at https://docs.example/mcp".to_owned())]
        );
    }

    #[test]
    fn any_name_becomes_an_id() {
        assert_eq!(id("@upstash/context7"), "upstash-context7");
        assert_eq!((id("é"), id("...")), ("server".to_owned(), "server".to_owned()));
        assert_eq!(id(&"x".repeat(100)).len(), 64);
    }
}
