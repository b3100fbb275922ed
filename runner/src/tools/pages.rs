//! What a document says to whoever reads it: one page of the API, one of each tag that has tools, and the few words
//! that every client gets at once. Written when the document is compiled; the operations of a tag are looked up.

use std::collections::HashMap;
use std::fmt::Write;
use std::io;

use serde::{Deserialize, Serialize};

use super::encode::encoded;
use super::{Catalogue, Entry, counted};
use crate::openapi::{Node, bounded};

/// The page of the API.
pub(crate) const ABOUT: &str = "openapi://about";
/// What the page of a tag begins with; its name follows, encoded.
const TAGS: &str = "openapi://tags/";
/// Characters of the API's own description.
const DESCRIPTION_MAX: usize = 60_000;
/// Characters of a tag's.
const TAG_MAX: usize = 20_000;
/// Characters of a line in a list.
const LINE_MAX: usize = 160;
/// Characters of what every client is told of the API.
const WORDS_MAX: usize = 800;
/// Bytes of the tags' names in that.
const NAMES_MAX: usize = 400;
/// Pages of one document.
const PAGES_MAX: usize = 2_000;

/// A page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Page {
    /// What clients ask for it by.
    pub(crate) uri: Box<str>,
    /// The tag; none for the page of the API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tag: Option<Box<str>>,
    /// For people.
    pub(crate) title: Box<str>,
    /// One line.
    pub(crate) description: Box<str>,
    /// Markdown.
    pub(crate) text: Box<str>,
}

/// How many tools each tag has, in the order in which they were met.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Places in `counts`.
    places: HashMap<Box<str>, usize>,
    /// Tags and their counts.
    counts: Vec<(Box<str>, usize)>,
}

impl Tally {
    /// One more tool of a tag.
    pub(super) fn add(&mut self, tag: &str) {
        let known = self.places.get(tag).and_then(|place| self.counts.get_mut(*place));
        if let Some((_, count)) = known {
            *count += 1;
            return;
        }
        self.places.insert(tag.into(), self.counts.len());
        self.counts.push((tag.into(), 1));
    }

    /// Those that the document declares in its order, then the others.
    fn sorted(mut self, declared: &[&str]) -> Vec<(Box<str>, usize)> {
        let places: HashMap<&str, usize> =
            declared.iter().enumerate().map(|(at, name)| (*name, at)).collect();
        self.counts.sort_by_key(|(name, _)| places.get(&**name).copied().unwrap_or(usize::MAX));
        self.counts
    }
}

/// A document's text under a keyword, without space around it.
fn said<'a>(value: Node<'a>, keyword: &str) -> Option<&'a str> {
    value.get(keyword)?.as_str().map(str::trim).filter(|text| !text.is_empty())
}

/// The first line of a text, short, without the marks of a heading.
fn first_line(text: &str) -> String {
    let line = text.lines().map(|line| line.trim_start_matches('#').trim()).find(|line| !line.is_empty());
    bounded(line.unwrap_or_default(), LINE_MAX)
}

/// Where more is written: `externalDocs`.
fn elsewhere(value: Node<'_>) -> Option<String> {
    let docs = value.get("externalDocs")?;
    let url = said(docs, "url")?;
    Some(said(docs, "description").map_or_else(|| format!("More: {url}"), |words| format!("{words}: {url}")))
}

/// The pages of a document with these tools.
pub(super) fn pages(document: Node<'_>, tally: Tally) -> Vec<Page> {
    let declared: Vec<Node<'_>> =
        document.get("tags").and_then(Node::as_array).into_iter().flatten().collect();
    let names: Vec<&str> = declared.iter().filter_map(|tag| said(*tag, "name")).collect();
    let counts = tally.sorted(&names);
    let tag = |name: &str| declared.iter().find(|tag| said(**tag, "name") == Some(name)).copied();
    let mut pages = vec![about(document, &counts, tag)];
    for (name, count) in counts.iter().take(PAGES_MAX - 1) {
        pages.push(of_tag(name, *count, tag(name)));
    }
    pages
}

/// The page of the API.
fn about<'a>(
    document: Node<'a>,
    counts: &[(Box<str>, usize)],
    tag: impl Fn(&str) -> Option<Node<'a>>,
) -> Page {
    let info = |keyword: &str| said(document.get("info")?, keyword);
    let title = info("title").unwrap_or("API");
    let mut text = format!("# {title}\n");
    let mut paragraph = |words: &str| text.extend(["\n", words, "\n"]);
    // YAML makes a number of it.
    let version = document.get("info").and_then(|info| info.get("version"));
    let number = version.filter(|version| version.is_number()).map(|version| version.value().to_string());
    if let Some(version) = info("version").or(number.as_deref()) {
        paragraph(&format!("Version {version}"));
    }
    info("summary").into_iter().for_each(&mut paragraph);
    if let Some(description) = info("description") {
        paragraph(&bounded(description, DESCRIPTION_MAX));
    }
    elsewhere(document).as_deref().into_iter().for_each(&mut paragraph);
    let terms = info("termsOfService").map(|url| format!("Terms of service: {url}"));
    let of = |keyword: &str, parts: &[&str]| {
        let value = document.get("info")?.get(keyword)?;
        let words: Vec<&str> = parts.iter().filter_map(|part| said(value, part)).collect();
        (!words.is_empty()).then(|| words.join(", "))
    };
    let contact = of("contact", &["name", "email", "url"]).map(|words| format!("Contact: {words}"));
    let license = of("license", &["name", "url"]).map(|words| format!("Licence: {words}"));
    terms.iter().chain(&contact).chain(&license).for_each(|words| paragraph(words));
    if !counts.is_empty() {
        text.push_str("\n## Tags\n\n");
        for (name, count) in counts {
            let tag = tag(name);
            let words =
                tag.and_then(|tag| said(tag, "summary").or_else(|| said(tag, "description"))).map(first_line);
            let words = words.map(|words| format!(": {words}")).unwrap_or_default();
            // Writing to a string cannot fail.
            let _ = writeln!(text, "- {name} ({}){words}", counted(*count, "operation"));
        }
    }
    let description = info("summary").or_else(|| info("description")).map(first_line).unwrap_or_default();
    Page {
        uri: ABOUT.into(),
        tag: None,
        title: bounded(title, LINE_MAX).into(),
        description: description.into(),
        text: text.into(),
    }
}

/// The page of a tag, without its operations.
fn of_tag(name: &str, count: usize, tag: Option<Node<'_>>) -> Page {
    let says = |keyword: &str| said(tag?, keyword);
    let title = says("summary").unwrap_or(name);
    let mut text = format!("# {title}\n");
    let words = says("description").map(|words| bounded(words, TAG_MAX));
    for words in words.into_iter().chain(tag.and_then(elsewhere)) {
        text.extend(["\n", &words, "\n"]);
    }
    let line = says("description").map(first_line).map(|line| format!(": {line}")).unwrap_or_default();
    Page {
        uri: format!("{TAGS}{}", encoded(name)).into(),
        tag: Some(name.into()),
        title: bounded(title, LINE_MAX).into(),
        description: format!("{}{line}", counted(count, "operation")).into(),
        text: text.into(),
    }
}

/// What every client is told of the API, unless its author says it better (`x-mcp-instructions`) or says nothing.
pub(super) fn instructions(document: Node<'_>, pages: &[Page]) -> (String, String) {
    let info = |keyword: &str| said(document.get("info")?, keyword);
    let own = document.get("x-mcp-instructions").and_then(Node::as_str);
    let words = own.or_else(|| info("description")).or_else(|| info("summary"));
    let words = words.map(|words| bounded(words, WORDS_MAX)).unwrap_or_default();
    let mut tags = String::new();
    for tag in pages.iter().filter_map(|page| page.tag.as_deref()) {
        let comma = if tags.is_empty() { "" } else { ", " };
        // A name that is cut in two names nothing.
        if tags.len() + tag.len() > NAMES_MAX {
            tags.extend([comma, "…"]);
            break;
        }
        tags.extend([comma, tag]);
    }
    (words, tags)
}

impl Catalogue {
    /// The text of a page; of a tag's with its operations. `None`: there is no such page.
    pub(crate) fn read_page(&self, uri: &str) -> io::Result<Option<String>> {
        let is_it = |page: &io::Result<Page>| page.as_ref().map_or(true, |page| *page.uri == *uri);
        let Some(page) = self.pages().find(is_it).transpose()? else {
            return Ok(None);
        };
        let mut text = page.text.into_string();
        let Some(tag) = page.tag else {
            return Ok(Some(text));
        };
        text.push_str("\n## Operations\n\n");
        for entry in self.entries() {
            let Entry { tool, about } = entry?;
            if about.tags.contains(&tag) {
                let words = first_line(tool.title.as_deref().unwrap_or(&tool.description));
                // Writing to a string cannot fail.
                let _ = writeln!(text, "- {} ({}): {words}", tool.name, about.operation);
            }
        }
        Ok(Some(text))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::tests::{catalogue, options};
    use super::*;

    /// The catalogue of a small document with these words.
    fn made(more: &Value) -> Catalogue {
        let mut document = json!({
            "openapi": "3.1.0",
            "info": {"title": "Pets", "version": "2", "summary": "All about pets", "description": "# Pets\n\nSend a key.",
                "contact": {"name": "Ann", "email": "ann@a.example"}, "license": {"name": "MIT"}},
            "externalDocs": {"url": "https://a.example/docs"},
            "tags": [{"name": "b/c", "description": "Both.\n\nAnd more."}, {"name": "unused"}, {"name": "a"}],
            "paths": {"/a": {"get": {"operationId": "x", "tags": ["a", "new"], "summary": "Gets it"},
                "put": {"operationId": "y", "tags": ["b/c", "a"], "description": "Puts it\nsomewhere"}}}});
        document.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        catalogue(document, &options(&Value::Null, Some("mock"))).unwrap().0
    }

    #[test]
    fn the_api_and_each_tag_with_tools_have_a_page() {
        let catalogue = made(&json!({}));
        let pages: Vec<Page> = catalogue.pages().map(Result::unwrap).collect();
        let uris: Vec<_> = pages.iter().map(|page| &*page.uri).collect();
        assert_eq!(uris, [ABOUT, "openapi://tags/b%2Fc", "openapi://tags/a", "openapi://tags/new"]);
        assert_eq!((&*pages[0].title, &*pages[0].description), ("Pets", "All about pets"));
        assert_eq!((&*pages[1].title, &*pages[1].description), ("b/c", "1 operation: Both."));
        assert_eq!(
            catalogue.read_page(ABOUT).unwrap().unwrap(),
            "# Pets\n\nVersion 2\n\nAll about pets\n\n# Pets\n\nSend a key.\n\nMore: https://a.example/docs\n\nContact: Ann, \
             ann@a.example\n\nLicence: MIT\n\n## Tags\n\n- b/c (1 operation): Both.\n- a (2 operations)\n- new (1 operation)\n"
        );
        assert_eq!(
            catalogue.read_page("openapi://tags/a").unwrap().unwrap(),
            "# a\n\n## Operations\n\n- x (GET /a): Gets it\n- y (PUT /a): Puts it\n"
        );
        for none in ["openapi://tags/unused", "openapi://about/", "openapi://tags/b/c", ""] {
            assert_eq!(catalogue.read_page(none).unwrap(), None, "{none}");
        }
    }

    #[test]
    fn an_author_may_say_better_what_every_client_is_told() {
        let words = |more: Value| made(&more).instructions.to_string();
        assert_eq!(words(json!({})), "# Pets\n\nSend a key.");
        assert_eq!(words(json!({"x-mcp-instructions": "Ask first."})), "Ask first.");
        assert_eq!(words(json!({"x-mcp-instructions": ""})), "");
        assert_eq!(words(json!({"info": {"description": "x".repeat(5_000)}})).chars().count(), WORDS_MAX + 1);
        assert_eq!(words(json!({"info": null})), "");
        assert_eq!(&*made(&json!({})).tags, "b/c, a, new");
        let names: Vec<String> = (0..99).map(|number| format!("a tag {number}")).collect();
        let tags = made(&json!({"paths": {"/a": {"get": {"tags": names}}}})).tags;
        assert!(tags.starts_with("a tag 0, a tag 1, ") && tags.ends_with(", a tag 40, …"), "{tags}");
    }
}
