//! `openApiData` and what belongs to it: changes to the document, which of its operations become tools, how often
//! it is looked at. The document itself is read elsewhere.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::Origin;
use super::keys::Keys;
use crate::failure::Failure;
use crate::tools::{Filter, Mode, Rule};

/// What is made into tools.
#[derive(Debug)]
pub(crate) struct DocumentConfig {
    /// An object (inline), or a string: a path, an `http(s)` URL, `-` for stdin.
    pub(crate) source: Value,
    /// Where a relative path in it starts.
    pub(crate) origin: Origin,
    /// Changes to it: an object, a path or a URL, or a list of these.
    pub(crate) overlay: Option<Value>,
    /// Where a relative path in `overlay` starts.
    pub(crate) overlay_origin: Origin,
    /// Which operations become tools.
    pub(crate) filter: Filter,
    /// How they are listed.
    pub(crate) mode: Mode,
    /// Whether its own words are resources.
    pub(crate) resources: bool,
    /// How often it is looked at for changes; zero is never.
    pub(crate) reload_interval: Option<Duration>,
    /// Where copies of it, and catalogues, are kept.
    pub(crate) cache_dir: Option<PathBuf>,
}

/// `tools`, as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Tools {
    /// How they are listed.
    mode: Mode,
    /// Where there are any, an operation needs one of these.
    include: Vec<Rule>,
    /// An operation with one of these is left out.
    exclude: Vec<Rule>,
}

impl DocumentConfig {
    /// Reads its keys. That there is no document is said later: a key that is missing has often only been
    /// mistyped.
    pub(super) fn read(mcp: &mut Keys<'_>) -> Result<Self, Failure> {
        let tools = tools(mcp)?;
        Ok(Self {
            source: mcp.take("openApiData").unwrap_or_default(),
            origin: mcp.origin("openApiData"),
            overlay: overlay(mcp)?,
            overlay_origin: mcp.origin("overlay"),
            filter: Filter { include: tools.include, exclude: tools.exclude },
            mode: tools.mode,
            resources: mcp.boolean("resources")?,
            reload_interval: reload_interval(mcp)?,
            cache_dir: mcp.path("cacheDir")?,
        })
    }

    /// Refuses what is no document.
    pub(super) fn check(&self, mcp: &Keys<'_>, uses_stdin: bool) -> Result<(), Failure> {
        match &self.source {
            Value::String(text) if text == "-" && uses_stdin => {
                Err(mcp.wrong("openApiData", "cannot be stdin where clients speak over stdin"))
            }
            Value::Object(_) | Value::String(_) => Ok(()),
            Value::Null => Err(mcp.wrong(
                "openApiData",
                "is missing: it names the OpenAPI document; or command, the server to bridge",
            )),
            _ => Err(mcp.wrong("openApiData", "must be a path, a URL or an object")),
        }
    }
}

/// `overlay`.
fn overlay(mcp: &mut Keys<'_>) -> Result<Option<Value>, Failure> {
    let is_one = |value: &Value| value.is_object() || value.is_string();
    match mcp.take("overlay") {
        Some(Value::Array(list)) if list.iter().all(is_one) => Ok(Some(Value::Array(list))),
        Some(value) if !is_one(&value) => {
            Err(mcp.wrong("overlay", "must be a path, a URL, an object or a list of these"))
        }
        value => Ok(value),
    }
}

/// `tools`.
fn tools(mcp: &mut Keys<'_>) -> Result<Tools, Failure> {
    let value = mcp.take("tools").unwrap_or_else(|| Map::new().into());
    serde_json::from_value(value).map_err(|error| {
        let reason = format!(
            "has mode (auto, all or search), include and exclude (lists of rules with tag, path, method, \
             operationId, deprecated): {error}"
        );
        mcp.wrong("tools", &reason)
    })
}

/// `reloadInterval`; 0 is never.
fn reload_interval(mcp: &mut Keys<'_>) -> Result<Option<Duration>, Failure> {
    if mcp.has("reloadInterval", &Value::from(0)) || mcp.has("reloadInterval", &Value::from("0")) {
        mcp.take("reloadInterval");
        return Ok(Some(Duration::ZERO));
    }
    mcp.time("reloadInterval")
}
