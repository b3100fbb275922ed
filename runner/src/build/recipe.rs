//! What a catalogue is made from. No secret is in it: it is written to disk, hashed.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::client::Options;
use crate::config::{Proxy, RunnerConfig, UpstreamConfig};
use crate::hash;
use crate::openapi::{DocumentError, Fetcher, Place, is_url};
use crate::tools::{CompileOptions, Filter, supplied};

/// Everything that decides what a catalogue holds.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Recipe {
    /// The document: itself, or where it is.
    pub(crate) document: Value,
    /// Where a relative path in it starts.
    pub(crate) folder: PathBuf,
    /// Changes to the document.
    pub(crate) overlay: Option<Value>,
    /// Where relative paths in it start.
    pub(crate) overlay_folder: PathBuf,
    /// Where calls go.
    pub(crate) base_url: Option<String>,
    /// Parameters the configuration gives.
    pub(crate) supplied: Vec<(Place, String)>,
    /// Which operations become tools.
    pub(crate) filter: Filter,
    /// Where copies of documents, and catalogues, are kept.
    pub(crate) kept_in: Option<PathBuf>,
    /// Whether a URL that has not changed is not to be compiled again.
    pub(crate) unless_same: bool,
    /// How a URL is reached.
    #[serde(default)]
    pub(crate) reach: Reach,
}

/// How a document behind a URL is reached: as the upstream is, most often it is behind the same walls.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Reach {
    /// See [`UpstreamConfig`].
    ca: Option<PathBuf>,
    /// Likewise.
    identity: Option<(PathBuf, PathBuf)>,
    /// Likewise.
    proxy: Proxy,
}

impl Reach {
    /// As the upstream is reached.
    fn new(upstream: &UpstreamConfig) -> Self {
        let UpstreamConfig { ca, identity, proxy, .. } = upstream;
        Self { ca: ca.clone(), identity: identity.clone(), proxy: proxy.clone() }
    }

    /// What fetches it.
    pub(super) fn fetcher(&self) -> Fetcher {
        let Self { ca, identity, proxy } = self.clone();
        Fetcher::new(Options { ca, identity, proxy, ..Options::default() })
    }
}

impl Recipe {
    /// From the configuration.
    pub(crate) fn new(config: &RunnerConfig) -> Self {
        let document = &config.document;
        Self {
            document: document.source.clone(),
            folder: absolute(&document.origin.0),
            overlay: document.overlay.clone(),
            overlay_folder: absolute(&document.overlay_origin.0),
            base_url: config.base_url.clone(),
            supplied: supplied(config.auth.all(), &config.custom_headers),
            filter: document.filter.clone(),
            kept_in: super::kept_in(document.cache_dir.clone()),
            unless_same: false,
            reach: Reach::new(&config.upstream),
        }
    }

    /// What it says of a catalogue, before there is a document.
    pub(crate) fn check(&self) -> Result<CompileOptions, DocumentError> {
        let base_url = self.base_url.as_deref();
        CompileOptions::new(&self.document, base_url, self.supplied.clone(), self.filter.clone())
    }

    /// Whether the document is behind a URL.
    pub(crate) fn is_url(&self) -> bool {
        self.document.as_str().is_some_and(is_url)
    }

    /// A text that is the same for equal recipes and runners, and for no others. A hash: a URL may hold a token.
    pub(super) fn identity(&self) -> String {
        // How it is reached makes no other document of it.
        let same = Self { unless_same: false, reach: Reach::default(), ..self.clone() };
        let text = serde_json::to_vec(&same).unwrap_or_default();
        // Twice, from both ends: one of 64 bits alone could be made to collide.
        let backwards: Vec<u8> = text.iter().rev().copied().collect();
        format!("{} {:016x}{:016x}", env!("CARGO_PKG_VERSION"), hash::of(&text), hash::of(&backwards))
    }
}

/// A folder by its whole path: two that are both called `.` are not the same.
fn absolute(folder: &Path) -> PathBuf {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned())
}
