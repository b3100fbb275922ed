//! Paths of documents, taken apart: what is written as it is, and where parameters go.

use super::encode::{Keeps, percent};
use super::route::Piece;

/// A path of the document.
#[derive(Debug)]
pub(super) struct Template<'a> {
    /// Its pieces; parameters are indexes of `names`.
    pub(super) pieces: Vec<Piece>,
    /// Names of its parameters, each once.
    pub(super) names: Vec<&'a str>,
    /// What is written behind a `?`, without the pairs below.
    pub(super) query: String,
    /// Pairs behind the `?` whose value is a parameter: the key and the parameter's name.
    pub(super) in_query: Vec<(&'a str, &'a str)>,
}

impl<'a> Template<'a> {
    /// Takes a path apart. What is behind a `#` is never sent: documents use it to tell operations apart.
    pub(super) fn parse(path: &'a str) -> Result<Self, String> {
        let path = path.split('#').next().unwrap_or_default();
        let (path, query) = match path.split_once('?') {
            // `{?a,b}` is how RFC 6570 says that there is a query.
            Some((before, _)) if before.ends_with('{') => (before.trim_end_matches('{'), ""),
            Some((path, query)) => (path, query),
            None => (path, ""),
        };
        let (pieces, names, query_text, in_query) = (Vec::new(), Vec::new(), String::new(), Vec::new());
        let mut template = Self { pieces, names, query: query_text, in_query };
        template.read_query(query)?;
        template.read_path(path)?;
        Ok(template)
    }

    /// What is behind the `?`.
    fn read_query(&mut self, query: &'a str) -> Result<(), String> {
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=') {
                Some((key, value))
                    if value.starts_with('{') && value.ends_with('}') && !key.contains('{') =>
                {
                    self.in_query.push((key, value.trim_start_matches('{').trim_end_matches('}')));
                }
                _ if pair.contains('{') => {
                    return Err("its path has a parameter behind a \"?\" that is no value".to_owned());
                }
                _ => {
                    if !self.query.is_empty() {
                        self.query.push('&');
                    }
                    percent(&mut self.query, pair, Keeps::Query);
                }
            }
        }
        Ok(())
    }

    /// What is before the `?`.
    fn read_path(&mut self, path: &'a str) -> Result<(), String> {
        let mut text = String::new();
        if !path.starts_with('/') {
            text.push('/');
        }
        let mut rest = path;
        while let Some((before, after)) = rest.split_once('{') {
            let Some((name, behind)) = after.split_once('}') else {
                return Err("its path has a \"{\" without its \"}\"".to_owned());
            };
            percent(&mut text, before, Keeps::Path);
            if !text.is_empty() {
                self.pieces.push(Piece::Text(std::mem::take(&mut text).into()));
            }
            // `{+path}` and `{path*}` of RFC 6570 name the parameter `path`.
            let name = name.trim().trim_start_matches(['+', '/']).trim_end_matches('*');
            let known = self.names.iter().position(|other| *other == name);
            self.pieces.push(Piece::Parameter(known.unwrap_or(self.names.len())));
            if known.is_none() {
                self.names.push(name);
            }
            rest = behind;
        }
        percent(&mut text, rest, Keeps::Path);
        if !text.is_empty() {
            self.pieces.push(Piece::Text(text.into()));
        }
        Ok(())
    }
}
