//! Where a document is: nowhere, a file, a URL; and where a relative reference in it leads. Opens nothing.

use std::path::{Component, Path, PathBuf};

use super::is_url;

/// Where a document is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Location {
    /// It was given as it is: nothing is beside it.
    Nowhere,
    /// A file, its path without `.` and `..`.
    File(PathBuf),
    /// An `http(s)` URL, without a fragment.
    Url(String),
}

impl Location {
    /// What a person wrote, seen from a folder.
    pub(super) fn written(text: &str, folder: &Path) -> Self {
        if is_url(text) {
            return Self::Url(text.split('#').next().unwrap_or_default().to_owned());
        }
        Self::File(plain(&folder.join(text)))
    }

    /// What may be said of it: the query of a URL may carry a token.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Nowhere => "the inline document".to_owned(),
            Self::File(path) => path.display().to_string(),
            Self::Url(url) => url.split('?').next().unwrap_or_default().to_owned(),
        }
    }

    /// Where a reference without its fragment leads. An error says why it is not followed: a document may
    /// name files beside it, and URLs of its own site, and nothing else.
    pub(super) fn join(&self, reference: &str) -> Result<Self, &'static str> {
        match self {
            Self::Nowhere => Err("an inline document has nothing beside it"),
            Self::File(_) if is_url(reference) => Err("a file cannot refer to a URL"),
            Self::File(path) => {
                let text =
                    String::from_utf8_lossy(&super::percent_decoded(reference.as_bytes())).into_owned();
                let folder = path.parent().unwrap_or_else(|| Path::new(""));
                Ok(Self::File(plain(&folder.join(text))))
            }
            Self::Url(from) => {
                let to = if is_url(reference) { reference.to_owned() } else { joined(from, reference) };
                if site(&to) == site(from) { Ok(Self::Url(to)) } else { Err("it points to another site") }
            }
        }
    }
}

/// A path without `.` and `..`, so that one file has one name.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if matches!(plain.components().next_back(), Some(Component::Normal(_))) => {
                plain.pop();
            }
            part => plain.push(part),
        }
    }
    plain
}

/// Scheme and authority.
fn site(url: &str) -> &str {
    let behind = url.find("://").map_or(0, |at| at + 3);
    let length = url.get(behind..).unwrap_or_default().find(['/', '?']).map_or(url.len(), |at| behind + at);
    url.get(..length).unwrap_or_default()
}

/// A relative URL, seen from another.
fn joined(from: &str, relative: &str) -> String {
    let site = site(from);
    if let Some(rest) = relative.strip_prefix("//") {
        return format!("{}://{rest}", from.split("://").next().unwrap_or_default());
    }
    let (path, query) =
        relative.split_once('?').map_or((relative, None), |(path, query)| (path, Some(query)));
    let base = from.get(site.len()..).unwrap_or_default().split('?').next().unwrap_or_default();
    let folder =
        if path.starts_with('/') { "" } else { base.rsplit_once('/').map_or("", |(folder, _)| folder) };
    let mut kept: Vec<&str> = Vec::new();
    for part in folder.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => drop(kept.pop()),
            name => kept.push(name),
        }
    }
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    format!("{site}/{}{query}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_lead_to_neighbours_only() {
        let file = Location::written("../api/a.yaml", Path::new("/x/y"));
        assert_eq!(file, Location::File("/x/api/a.yaml".into()));
        assert_eq!(file.join("s/b%20c.json"), Ok(Location::File("/x/api/s/b c.json".into())));
        assert_eq!(file.join("./../b.json"), Ok(Location::File("/x/b.json".into())));
        assert!(file.join("https://a.example/b").is_err());
        assert!(Location::Nowhere.join("b.json").is_err());
        let url = Location::written("https://a.example:8443/x/y.json?t=1#z", Path::new(""));
        let at = |reference: &str| url.join(reference).map(|found| found.name());
        assert_eq!(at("z.json"), Ok("https://a.example:8443/x/z.json".to_owned()));
        assert_eq!(at("../z.json"), Ok("https://a.example:8443/z.json".to_owned()));
        assert_eq!(at("/z.json"), Ok("https://a.example:8443/z.json".to_owned()));
        assert_eq!(at("https://a.example:8443/q?s=1"), Ok("https://a.example:8443/q".to_owned()));
        for other in
            ["https://b.example/z", "//b.example/z", "http://a.example:8443/z", "https://a.example/z"]
        {
            assert!(at(other).is_err(), "{other}");
        }
        assert_eq!(url.name(), "https://a.example:8443/x/y.json");
    }
}
