//! The files of `tests/schema`, read by the program, as they are and torn to pieces.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::document::Document;
use super::error::Problems;
use super::said::Said;
use super::settings::{self, SettingsSaid};
use super::{
    Environment, alerts, check_file, cleanup, control, health, hooks, keys, limits, listen, sandbox,
    schedule, server, service, tools, update,
};

/// The files of one folder of `tests/schema`.
fn corpus(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/schema").join(folder);
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn files_are_accepted_and_refused_as_their_folder_says() {
    for path in corpus("accept") {
        assert_eq!(check_file(&path, &Environment::default()), Ok(()), "{}", path.display());
    }
    for path in corpus("refuse") {
        let errors = check_file(&path, &Environment::default()).expect_err(&path.to_string_lossy());
        for error in errors {
            let line = error.to_string();
            assert!(line.starts_with(&format!("{}:", path.display())) && !line.contains('\n'), "{line}");
        }
    }
}

#[test]
fn the_schema_knows_the_keys_that_the_program_knows() {
    let read = |name: &str| -> Value {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("etc").join(name);
        serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
    };
    let (service, settings) = (read("service.schema.json"), read("mcp-init.schema.json"));
    let in_schema = |schema: &Value| -> BTreeSet<String> {
        schema["properties"].as_object().unwrap().keys().cloned().collect()
    };
    let in_program = |keys: &[&str]| keys.iter().map(ToString::to_string).collect::<BTreeSet<_>>();
    let common = &service["$defs"]["common"];
    for (schema, keys) in [
        (&service, &service::KEYS[..]),
        (&settings, &settings::KEYS),
        (common, &keys::KEYS),
        (&service["$defs"]["mcpConfig"], &server::KEYS),
        (&service["$defs"]["mcpConfig"]["properties"]["tools"], &tools::TOOLS),
        (&service["$defs"]["toolRule"], &tools::RULE),
        (&common["properties"]["restartPolicy"], &keys::RESTART_POLICY),
        (&common["properties"]["stop"], &keys::STOP),
        (&common["properties"]["healthCheck"], &health::HEALTH_CHECK),
        (&common["properties"]["log"], &keys::LOG),
        (&service["$defs"]["sandbox"], &sandbox::KEYS),
        (&common["properties"]["limits"], &limits::LIMITS),
        (&common["properties"]["limits"]["properties"]["scheduling"], &limits::SCHEDULING),
        (&common["properties"]["limits"]["properties"]["capabilities"], &limits::CAPABILITY_SETS),
        (&settings["properties"]["control"], &control::CONTROL),
        (&settings["properties"]["cleanup"], &cleanup::KEYS),
        (&settings["properties"]["alertCommands"]["items"], &hooks::ALERT),
        (&settings["properties"]["eventCommands"]["items"], &hooks::EVENT),
        (&common["properties"]["alerts"], &alerts::ALERTS),
        (&common["properties"]["recovery"], &alerts::RECOVERY),
        (&service["$defs"]["schedule"]["items"], &schedule::KEYS),
        (&service["properties"]["update"], &update::KEYS),
        (&service["properties"]["listen"]["items"], &listen::KEYS),
    ] {
        assert_eq!(in_schema(schema), in_program(keys));
    }
}

/// Reads bytes as a service and as settings, from no disk.
fn read_bytes(bytes: &[u8]) {
    let mut problems = Problems::default();
    let path = Path::new("/no/such/folder/a.json");
    let world = Environment::default();
    if let Some(document) = Document::parse(path, bytes.to_vec(), &mut problems) {
        service::read_document(document, &Said::default(), &world, &mut problems);
    }
    if let Some(document) = Document::parse(path, bytes.to_vec(), &mut problems) {
        let mut settings = SettingsSaid::default();
        settings::read_document(&mut settings, &mut Said::default(), document, &world, &mut problems);
    }
    for error in problems.or(()).err().unwrap_or_default() {
        assert!(!error.to_string().contains('\n'));
    }
}

#[test]
fn no_bytes_make_it_panic() {
    let seeds: Vec<_> = ["accept", "refuse"]
        .iter()
        .flat_map(|folder| corpus(folder))
        .map(|path| fs::read(path).unwrap())
        .filter(|bytes| bytes.len() < 2000)
        .collect();
    let mut state: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut random = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state >> 33).unwrap() % below.max(1)
    };
    let scraps: [&[u8]; 12] = [
        b"\"",
        b"\\",
        b"{",
        b"}",
        b"[",
        b"${",
        b"\xff",
        b"\\ud800",
        b"1e999",
        b"\n",
        b"null",
        "é".as_bytes(),
    ];
    for _ in 0..20_000 {
        let mut bytes = seeds[random(seeds.len())].clone();
        for _ in 0..=random(4) {
            let at = random(bytes.len());
            match random(4) {
                0 => bytes[at] = u8::try_from(random(256)).unwrap(),
                1 => bytes.truncate(at),
                2 => drop(bytes.splice(at..at, scraps[random(scraps.len())].iter().copied())),
                _ => {
                    let other = &seeds[random(seeds.len())];
                    let from = random(other.len());
                    bytes.splice(at..at, other[from..(from + random(40)).min(other.len())].iter().copied());
                }
            }
            if bytes.is_empty() {
                break;
            }
        }
        read_bytes(&bytes);
    }
}
