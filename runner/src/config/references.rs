//! `${NAME}` and `${file:PATH}` in the configuration's strings. What the supervisor writes has none left.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::failure::Failure;
use crate::flags::{self, Flags};

/// Where values come from.
struct Source<'a> {
    /// The environment.
    variables: &'a BTreeMap<OsString, OsString>,
    /// Where relative paths start.
    folder: &'a Path,
    /// What is said in front of a mistake.
    origin: &'a str,
}

/// Fills in all strings of the file and of the flags, but none in an inline document: it is not ours.
pub(super) fn fill(
    mut top: Map<String, Value>,
    mut flags: Flags,
) -> Result<(Map<String, Value>, Flags), Failure> {
    let variables = std::env::vars_os().collect();
    if let Some(file) = &flags.file {
        let folder = settled(file.parent().unwrap_or(Path::new("")));
        let source = Source { variables: &variables, folder: &folder, origin: &file.display().to_string() };
        source.members("", &mut top)?;
    }
    let folder = settled(Path::new(""));
    let source = Source { variables: &variables, folder: &folder, origin: "the command line" };
    source.members("", &mut flags.top)?;
    source.members("mcpConfig", &mut flags.mcp)?;
    Ok((top, flags))
}

impl Source<'_> {
    /// Fills in an object.
    fn members(&self, path: &str, members: &mut Map<String, Value>) -> Result<(), Failure> {
        for (key, value) in members {
            let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            self.value(&path, value)?;
        }
        Ok(())
    }

    /// Fills in a value.
    fn value(&self, path: &str, value: &mut Value) -> Result<(), Failure> {
        match value {
            Value::String(text) => {
                if let Some(filled) =
                    mcp_init::substitute(text, self.folder, self.variables).map_err(|reason| {
                        let name = path.strip_prefix("mcpConfig.").and_then(flags::name_of);
                        let field = if self.origin.starts_with("the ") { name.unwrap_or(path) } else { path };
                        Failure::Usage(format!("cannot read {}: {field} {reason}", self.origin))
                    })?
                {
                    *text = filled;
                }
                Ok(())
            }
            Value::Array(items) => {
                let fill = |(index, item): (usize, &mut Value)| self.value(&format!("{path}[{index}]"), item);
                items.iter_mut().enumerate().try_for_each(fill)
            }
            Value::Object(_) if is_document(path) => Ok(()),
            Value::Object(members) => self.members(path, members),
            Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
        }
    }
}

/// Whether an object there is a document or an overlay.
fn is_document(path: &str) -> bool {
    let overlay = path.strip_prefix("mcpConfig.overlay");
    path == "mcpConfig.openApiData" || overlay.is_some_and(|rest| rest.is_empty() || rest.starts_with('['))
}

/// A folder as it is found without any link, or as it is written if it is not found.
fn settled(folder: &Path) -> PathBuf {
    let written = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    std::fs::canonicalize(written).unwrap_or_else(|_| written.to_path_buf())
}
