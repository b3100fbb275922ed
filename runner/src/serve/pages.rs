//! A document's own words in the protocol library's form: resources, page by page, and what every client is told at
//! once. No transport here, and no HTTP.

use rmcp::ErrorData;
use rmcp::model::{
    ListResourcesResult, PaginatedRequestParams, ReadResourceResult, Resource, ResourceContents,
};
use serde_json::json;

use crate::tools::{ABOUT, Catalogue, Mode, Page};

/// Resources of one answer; a cursor leads to the next ones.
const LISTED_MAX: usize = 100;

/// What they are written in.
const MARKDOWN: &str = "text/markdown";

/// Some of the resources: those from where the cursor says.
pub(super) fn list(
    catalogue: &Catalogue,
    asked: Option<PaginatedRequestParams>,
) -> Result<ListResourcesResult, ErrorData> {
    let start = match asked.and_then(|asked| asked.cursor) {
        None => 0,
        Some(cursor) => {
            let start = cursor.parse().ok().filter(|start| *start < catalogue.pages().len());
            start.ok_or_else(|| ErrorData::invalid_params("there is no such cursor", None))?
        }
    };
    let mut listed = Vec::new();
    for page in catalogue.pages().skip(start).take(LISTED_MAX) {
        listed.push(resource(page.map_err(|error| broken(&error))?));
    }
    let next = start + listed.len();
    let mut result = ListResourcesResult::with_all_items(listed);
    result.next_cursor = (next < catalogue.pages().len()).then(|| next.to_string());
    Ok(result)
}

/// One resource.
pub(super) fn read(catalogue: &Catalogue, uri: &str) -> Result<ReadResourceResult, ErrorData> {
    match catalogue.read_page(uri).map_err(|error| broken(&error))? {
        Some(text) => {
            let contents = ResourceContents::text(text, uri).with_mime_type(MARKDOWN);
            Ok(ReadResourceResult::new(vec![contents]))
        }
        None => Err(none(uri)),
    }
}

/// There is no such resource. The library picks the code that each era has for this.
pub(super) fn none(uri: &str) -> ErrorData {
    ErrorData::resource_not_found("no such resource", Some(json!({"uri": uri})))
}

/// What every client is told of the API, and how to find its way where it is large.
pub(super) fn instructions(catalogue: &Catalogue, mode: Mode, has_resources: bool) -> Option<String> {
    let mut paragraphs = Vec::new();
    if !catalogue.instructions.is_empty() {
        paragraphs.push(catalogue.instructions.to_string());
    }
    if mode.searches(catalogue) {
        let api = if catalogue.title.is_empty() { "This API" } else { &catalogue.title };
        let tags = if catalogue.tags.is_empty() {
            String::new()
        } else {
            format!(" Their tags: {}.", catalogue.tags)
        };
        let count = catalogue.len();
        paragraphs.push(format!("{api} has {count} operations: search_operations finds them.{tags}"));
    }
    if has_resources {
        paragraphs.push(format!("The resource {ABOUT} says more."));
    }
    (!paragraphs.is_empty()).then(|| paragraphs.join("\n\n"))
}

/// A page as it is listed.
fn resource(page: Page) -> Resource {
    let name = page.tag.as_deref().unwrap_or("about").to_owned();
    let listed = Resource::new(page.uri, name).with_title(page.title).with_mime_type(MARKDOWN);
    if page.description.is_empty() { listed } else { listed.with_description(page.description) }
}

/// The catalogue cannot be read.
fn broken(error: &std::io::Error) -> ErrorData {
    ErrorData::internal_error(format!("cannot read the document's pages: {error}"), None)
}
