//! The configuration as a whole, from files to a plan or to lines of problems.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use super::plan::{Address, LogLevel, Plan, Program, Readiness, Restart, Service};
use super::{ConfigError, Environment, load};

/// A folder of configuration that goes away by itself.
struct Folder(PathBuf);

impl Folder {
    /// With these files in it.
    fn new(files: &[(&str, &str)]) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name =
            format!("mcp-init-config-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let folder = Self(fs::canonicalize(std::env::temp_dir()).unwrap().join(name));
        fs::create_dir_all(folder.0.join("services.d")).unwrap();
        for (name, text) in files {
            fs::write(folder.0.join(name), text).unwrap();
        }
        folder
    }

    /// The plan that is in it.
    fn plan(&self, environment: &Environment) -> Plan {
        load(&self.0, environment).unwrap_or_else(|errors| panic!("{errors:#?}"))
    }

    /// What is wrong with it, each line without the folder.
    fn problems(&self, environment: &Environment) -> Vec<String> {
        let here = format!("{}/", self.0.display());
        load(&self.0, environment)
            .unwrap_err()
            .iter()
            .map(|error| error.to_string().replace(&here, ""))
            .collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

/// A user's environment with these variables.
fn environment(variables: &[(&str, &str)]) -> Environment {
    let variables = [("HOME", "/home/me")].iter().chain(variables);
    Environment {
        variables: variables.map(|(name, value)| (name.into(), value.into())).collect(),
        root: false,
        exe: None,
        current_dir: env!("CARGO_MANIFEST_DIR").into(),
    }
}

/// The one service of a configuration with this file.
fn service_of(text: &str) -> Service {
    Folder::new(&[("services.d/a.json", text)]).plan(&environment(&[])).services.remove(0)
}

/// The problems of a configuration with this one service.
fn problems_of(text: &str) -> Vec<String> {
    Folder::new(&[("services.d/a.json", text)]).problems(&environment(&[]))
}

#[test]
fn a_program_has_the_built_in_values() {
    let service = service_of(r#"{ "command": ["sleep", "5"] }"#);
    assert_eq!(service.id.as_ref(), "a");
    assert_eq!(service.program, Program::Command(vec!["sleep".into(), "5".into()]));
    assert!(service.enabled && !service.channel && service.health_check.is_none());
    assert_eq!((service.readiness, service.restart), (Readiness::Started, Restart::Always));
    assert_eq!(service.ready_timeout, Duration::from_secs(30));
    let policy = service.restart_policy;
    assert_eq!((policy.max_retries, policy.retry_delay), (Some(5), Duration::from_secs(1)));
    assert_eq!(
        (policy.max_retry_delay, policy.reset_after),
        (Duration::from_secs(30), Duration::from_mins(1))
    );
    assert_eq!((service.stop.signal, service.stop.timeout), (libc::SIGTERM, Duration::from_secs(5)));
    assert_eq!((service.log.max_size, service.log.max_files, service.log.max_total), (10 << 20, 5, 50 << 20));
    assert_eq!(service.shown.as_ref(), r#"{"command":["sleep","5"]}"#);
    assert!(service.working_directory.is_absolute() && service.working_directory.ends_with("services.d"));
}

#[test]
fn a_server_has_a_channel_and_its_runners_file() {
    let folder = Folder::new(&[
        ("pets.json", "{}"),
        (
            "services.d/pets.json",
            r#"{ "serverName": "Pets", "mcpConfig": { "port": 3001, "openApiData": "../pets.json",
                "authConfig": { "type": "bearer", "token": "${TOKEN}" } } }"#,
        ),
    ]);
    let service = folder.plan(&environment(&[("TOKEN", "s3cret")])).services.remove(0);
    assert!(service.channel && service.readiness == Readiness::Channel && service.health_check.is_some());
    assert!(!service.shown.contains("s3cret") && service.shown.contains("${TOKEN}"));
    let Program::Server(server) = service.program else { panic!("no server") };
    assert_eq!(&*server.endpoint, "http://127.0.0.1:3001/mcp");
    let config: Value = serde_json::from_str(&server.config).unwrap();
    let wanted = json!({ "serverId": "pets", "serverName": "Pets", "mcpConfig": {
        "transport": "streamable", "port": 3001, "host": "127.0.0.1", "endpoint": "/mcp",
        "openApiData": folder.0.join("pets.json"), "authConfig": { "type": "bearer", "token": "s3cret" },
        "debugHeaders": false } });
    assert_eq!(config, wanted);
}

#[test]
fn a_server_of_stdio_has_a_socket_of_its_own() {
    let folder = Folder::new(&[
        ("mcp-init.json", r#"{ "runtimeDir": "run" }"#),
        (
            "services.d/a.json",
            r#"{ "mcpConfig": { "transport": "stdio", "openApiData": {},
                "overlay": [{ "overlay": "1.0.0", "info": {}, "actions": ["${x}"] }] } }"#,
        ),
    ]);
    let service = folder.plan(&environment(&[])).services.remove(0);
    let Program::Server(server) = service.program else { panic!("no server") };
    let socket = folder.0.join("run/a.sock");
    assert_eq!(&*server.endpoint, format!("stdio:{}", socket.display()));
    assert_eq!(server.listen.unwrap().address, Address::Path { path: socket.clone(), mode: 0o600 });
    let config: Value = serde_json::from_str(&server.config).unwrap();
    let overlay = json!([{ "overlay": "1.0.0", "info": {}, "actions": ["${x}"] }]);
    assert_eq!(
        config["mcpConfig"],
        json!({ "transport": "stdio", "socket": socket, "openApiData": {}, "overlay": overlay,
            "debugHeaders": false })
    );
}

#[test]
fn a_server_on_a_socket_is_told_what_values_hold_and_not_what_they_look_like() {
    let folder = Folder::new(&[(
        "services.d/a.json",
        r#"{ "mcpConfig": { "transport": "websocket", "socket": "run/a.sock", "openApiData": {},
            "authConfig": { "t": { "type": "bearer", "token": "${TOKEN}" } }, "upstream": { "timeout": "1m" } } }"#,
    )]);
    let service = folder.plan(&environment(&[("TOKEN", "a${B}")])).services.remove(0);
    let Program::Server(server) = service.program else { panic!("no server") };
    let socket = folder.0.join("services.d/run/a.sock").display().to_string();
    assert_eq!(&*server.endpoint, format!("ws://unix:{socket}:/mcp"));
    let config: Value = serde_json::from_str(&server.config).unwrap();
    assert_eq!(
        config["mcpConfig"],
        json!({ "transport": "websocket", "socket": socket, "endpoint": "/mcp", "openApiData": {},
            "authConfig": { "t": { "type": "bearer", "token": "a$${B}" } }, "upstream": { "timeout": 60000 },
            "debugHeaders": false })
    );
}

#[test]
fn a_document_may_be_inline_and_a_server_in_a_file_of_its_own() {
    let folder = Folder::new(&[
        ("b.json", r#"{ "serverName": "B", "mcpConfig": { "port": 2, "openApiData": "mcp-init.json" } }"#),
        ("mcp-init.json", "{}"),
        (
            "services.d/a.json",
            r#"{ "mcpConfig": { "port": 1, "host": "::1", "openApiData": { "a": ["${B"] } } }"#,
        ),
        ("services.d/b.json", r#"{ "configFile": "../b.json" }"#),
    ]);
    let services = folder.plan(&environment(&[])).services;
    let servers: Vec<_> = services
        .iter()
        .map(|service| match &service.program {
            Program::Server(server) => (&*server.endpoint, server.config.parse::<Value>().unwrap()),
            Program::Command(_) => panic!("no server"),
        })
        .collect();
    assert_eq!(servers[0].0, "http://[::1]:1/mcp");
    assert_eq!(servers[0].1["mcpConfig"]["openApiData"], json!({ "a": ["${B"] }));
    assert_eq!(
        services[0].shown.as_ref(),
        r#"{"mcpConfig":{"port":1,"host":"::1","openApiData":"(inline)"}}"#
    );
    assert_eq!(servers[1].0, "http://127.0.0.1:2/mcp");
    assert_eq!(servers[1].1["mcpConfig"]["openApiData"], json!(folder.0.join("mcp-init.json")));
    assert_eq!(services[1].name.as_deref(), Some("B"));
}

#[test]
fn the_service_beats_the_defaults_which_beat_the_environment() {
    let folder = Folder::new(&[
        (
            "mcp-init.json",
            r#"{ "runtimeDir": "../run", "logLevel": "debug", "defaults": { "maxRetries": 2, "env": { "A": "1", "B": "1" },
                "restartPolicy": { "jitter": 0 }, "log": { "maxSize": "1M" }, "cwd": ".." } }"#,
        ),
        (
            "services.d/a.json",
            r#"{ "command": "a", "restartPolicy": { "maxRetries": "unlimited" }, "env": { "B": "2" } }"#,
        ),
        ("services.d/b.json", r#"{ "command": "b", "healthCheckInterval": 7000 }"#),
    ]);
    let plan = folder.plan(&environment(&[
        ("PROCESS_MAX_RETRIES", "9"),
        ("PROCESS_RESTART_DELAY", "250"),
        ("PROCESS_TIMEOUT", "1m"),
        ("HEALTH_CHECK_INTERVAL", "1000"),
        ("MCP_SERVER_TIMEOUT", "1500"),
        ("PROCESS_WORKING_DIR", "/srv"),
        ("PROCESS_LOG_LEVEL", "error"),
        ("PROCESS_CONFIG_DIR", "/cfg"),
        ("MCP_SERVER_SCRIPT_PATH", "/opt/runner"),
        ("MCP_INIT_LOG_DIR", "/logs"),
    ]));
    let [a, b] = &plan.services[..] else { panic!("two services") };
    assert_eq!((a.restart_policy.max_retries, b.restart_policy.max_retries), (None, Some(2)));
    assert_eq!(
        (a.restart_policy.retry_delay, a.ready_timeout),
        (Duration::from_millis(250), Duration::from_mins(1))
    );
    assert_eq!(a.env.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>(), ["A=1", "B=2"]);
    assert_eq!((a.log.max_size, a.log.max_total), (1 << 20, 5 << 20));
    assert_eq!(a.working_directory, folder.0.parent().unwrap());
    let health = b.health_check.unwrap();
    assert!(b.channel && a.health_check.is_none());
    assert_eq!((health.interval, health.timeout), (Duration::from_secs(7), Duration::from_millis(1500)));
    let settings = plan.settings;
    assert_eq!(settings.runtime_dir, folder.0.parent().unwrap().join("run"));
    assert_eq!(settings.state_dir, Path::new("/home/me/.local/state/mcp-init"));
    assert_eq!(settings.log_dir, Path::new("/logs"));
    assert_eq!(settings.runner_config_dir, Path::new("/cfg"));
    assert_eq!((settings.runner.as_path(), settings.log_level), (Path::new("/opt/runner"), LogLevel::Debug));
}

#[test]
fn every_problem_of_every_file_is_told_with_its_place() {
    let folder = Folder::new(&[
        ("mcp-init.json", "{\n  \"logLevel\": \"wran\",\n  \"alertCommands\": {}\n}"),
        (
            "services.d/a.json",
            "{\n  \"command\": \"a\",\n  \"restrat\": 1,\n  \"port\": 1,\n  \"restart\": \"allways\"\n}",
        ),
        ("services.d/b.json", "{ \"serverId\": \"b\", }"),
        (
            "services.d/c.json",
            "{ \"command\": \"c\", \"env\": { \"é\": 1, \"A\": 1 }, \"command\": \"d\", \"cwd\": \"${NO}\" }",
        ),
        ("services.d/.hidden.json", "?"),
        ("services.d/notes.txt", "?"),
    ]);
    let wanted = [
        "environment:1:1: PROCESS_TIMEOUT: must be a duration: milliseconds, or like \"30s\" or \"1m30s\" (at most 99d), not what it is set to",
        "mcp-init.json:2:15: logLevel: must be \"error\" or \"warn\" or \"info\" or \"debug\", not \"wran\" (did you mean \"warn\"?)",
        "mcp-init.json:3:20: alertCommands: must be a list, not an object",
        "services.d/a.json:3:3: restrat: is not a key that is known here (did you mean \"restart\"?)",
        "services.d/a.json:4:3: port: is not a key that is known here (did you mean \"mcpConfig.port\"?)",
        "services.d/a.json:5:14: restart: must be \"always\" or \"on-failure\" or \"never\", not \"allways\" (did you mean \"always\"?)",
        "services.d/b.json:1:20: (file): the comma before this is one too many",
        "services.d/c.json:1:28: env.é: is not the name of a variable",
        "services.d/c.json:1:41: env.A: must be a string, not 1",
        "services.d/c.json:1:46: command: is written twice",
        "services.d/c.json:1:69: cwd: the environment variable NO is not set",
    ];
    let got = folder.problems(&environment(&[("PROCESS_TIMEOUT", "s3cret")]));
    assert_eq!(got, wanted);
}

#[test]
fn what_two_services_cannot_share_is_told() {
    let server = |id: &str, host: &str, more: &str| {
        format!(
            r#"{{ "serverId": "{id}", "mcpConfig": {{ "openApiData": {{}}, "host": "{host}", "port": 3001 }}{more} }}"#
        )
    };
    let folder = Folder::new(&[
        ("services.d/a.json", &server("x", "127.0.0.1", "")),
        ("services.d/b.json", &server("x", "localhost", "")),
        ("services.d/c.json", &server("c", "::1", "")),
        ("services.d/d.json", &server("d", "127.0.0.1", r#", "enabled": false"#)),
    ]);
    let wanted = [
        "services.d/b.json:1:15: serverId: \"x\" is the id of the service in a.json already",
        "services.d/b.json:1:83: mcpConfig.port: 127.0.0.1:3001 is the address of the service in a.json already",
    ];
    assert_eq!(folder.problems(&environment(&[])), wanted);
}

#[test]
fn what_is_not_there_is_told_in_words() {
    let folder = Folder::new(&[]);
    assert!(folder.plan(&environment(&[])).services.is_empty());
    fs::remove_dir(folder.0.join("services.d")).unwrap();
    let wanted = "services.d:1:1: (file): there is no such folder: make it, and put one JSON file in it for each service";
    assert_eq!(folder.problems(&environment(&[])), [wanted]);
    for (text, problem) in [
        (r#"{ "scriptPath": "no.sh" }"#, "1:17: scriptPath: cannot run it: No such file or directory"),
        (r#"{ "scriptPath": "." }"#, "1:17: scriptPath: cannot run it: it is not a regular file"),
        (
            r#"{ "scriptPath": "a.json" }"#,
            "1:17: scriptPath: cannot run it: it is not executable, nor is it .js, .mjs, .cjs, .py or .sh",
        ),
        (
            r#"{ "mcpConfig": { "port": 1, "openApiData": "no.json" } }"#,
            "1:44: mcpConfig.openApiData: cannot read the document: No such file or directory",
        ),
        (
            r#"{ "mcpConfig": { "transport": "stdio", "port": 1, "openApiData": {} } }"#,
            "1:40: mcpConfig.port: does not go with \"stdio\": clients come through mcp-init attach",
        ),
        (
            r#"{ "serverId": "control", "mcpConfig": { "transport": "stdio", "openApiData": {} } }"#,
            "1:54: mcpConfig.transport: control.sock is a socket of the supervisor's own: say socket",
        ),
        (
            r#"{ "mcpConfig": { "transport": "stdio", "openApiData": {} }, "healthCheck": { "type": "mcp" } }"#,
            "1:76: healthCheck: has no port, and \"stdio\" has none either: its channel says how it is",
        ),
        (
            r#"{ "command": ["a", "${file:/no/such}"] }"#,
            "1:20: command[1]: cannot read the file \"/no/such\": No such file or directory",
        ),
    ] {
        assert_eq!(problems_of(text), [format!("services.d/a.json:{problem}")]);
    }
}

#[test]
fn a_substituted_value_is_used_and_never_repeated() {
    let text = r#"{ "command": "a", "maxRetries": "${N}", "restart": "${R}", "enabled": "${E}", "timeout": "${N}" }"#;
    let folder = Folder::new(&[("services.d/a.json", text)]);
    let service = folder.plan(&environment(&[("N", "7"), ("R", "never"), ("E", "false")])).services.remove(0);
    assert_eq!(
        (service.restart_policy.max_retries, service.restart, service.enabled),
        (Some(7), Restart::Never, false)
    );
    assert_eq!(service.ready_timeout, Duration::from_millis(7));
    let problems = folder.problems(&environment(&[("N", "s3cret"), ("R", "s3cret"), ("E", "s3cret")]));
    assert_eq!(problems.len(), 4);
    assert!(problems.iter().all(|line| !line.contains("s3cret")), "{problems:?}");
}

#[test]
fn scripts_run_by_themselves_or_by_their_interpreter() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new(&[("a.js", ""), ("b.py", ""), ("c", "")]);
    fs::set_permissions(folder.0.join("c"), fs::Permissions::from_mode(0o755)).unwrap();
    for (script, interpreter) in [("a.js", Some("node")), ("b.py", Some("python3")), ("c", None)] {
        fs::write(
            folder.0.join("services.d/a.json"),
            format!(r#"{{ "scriptPath": "../{script}", "args": ["1"] }}"#),
        )
        .unwrap();
        let path = folder.0.join(script).to_str().unwrap().to_owned();
        let words: Vec<Box<str>> = interpreter.into_iter().chain([&*path, "1"]).map(Into::into).collect();
        assert_eq!(folder.plan(&environment(&[])).services.remove(0).program, Program::Command(words));
    }
}

#[test]
fn a_plan_crosses_a_pipe_unchanged() {
    let folder = Folder::new(&[
        (
            "services.d/a.json",
            r#"{ "command": "a", "stop": { "signal": 37 }, "restartPolicy": { "jitter": 0.3 } }"#,
        ),
        ("services.d/b.json", r#"{ "mcpConfig": { "port": 1, "openApiData": {} } }"#),
    ]);
    let plan = folder.plan(&environment(&[]));
    let text = serde_json::to_string(&plan).unwrap();
    assert_eq!(serde_json::from_str::<Plan>(&text).unwrap(), plan);
    let error = load(Path::new("/no/such"), &environment(&[])).unwrap_err().remove(0);
    let text = serde_json::to_string(&error).unwrap();
    assert_eq!(serde_json::from_str::<ConfigError>(&text).unwrap(), error);
}

#[test]
fn the_examples_are_a_configuration() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("etc");
    let plan = load(&folder, &environment(&[])).unwrap_or_else(|errors| panic!("{errors:#?}"));
    let ids: Vec<_> = plan.services.iter().map(|service| &*service.id).collect();
    assert_eq!(ids, ["clock", "gitea", "pets"]);
    assert_eq!(plan.settings.runtime_dir, folder.parent().unwrap().join(".run/run"));
}
