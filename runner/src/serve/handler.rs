//! The tools as the protocol library wants to see them. No transport here, and no HTTP.

use std::sync::Arc;

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, GetPromptRequestParams,
    GetPromptResponse, Implementation, JsonObject, ListToolsResult, PaginatedRequestParams, ProtocolVersion,
    ReadResourceRequestParams, ReadResourceResponse, ServerCapabilities, ServerConfig, Tool, ToolAnnotations,
};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer, ServerHandler};
use serde_json::json;
use tokio::time::Instant;

use super::Answers;
use crate::memory;
use crate::tools::{self, Answer, SharedCatalogue};
use crate::upstream::Upstream;
use crate::vitals::Vitals;

/// From this many tools on, a list leaves behind memory that is worth giving back.
const TOOLS_LARGE: usize = 100;

/// One server's tools. A clone is a reference: the library makes one for each request.
#[derive(Debug, Clone)]
pub(crate) struct Handler(Arc<Shared>);

/// What all requests share.
#[derive(Debug)]
struct Shared {
    /// Name and title, for clients.
    implementation: Implementation,
    /// The tools.
    catalogue: SharedCatalogue,
    /// Where calls go.
    upstream: Upstream,
    /// Where calls are counted.
    vitals: Arc<Vitals>,
}

impl Handler {
    /// A handler for these tools.
    pub(crate) fn new(
        name: &str,
        title: Option<&str>,
        catalogue: SharedCatalogue,
        upstream: Upstream,
        vitals: Arc<Vitals>,
    ) -> Self {
        let mut implementation = Implementation::new(name, env!("CARGO_PKG_VERSION"));
        implementation.title = title.map(str::to_owned);
        Self(Arc::new(Shared { implementation, catalogue, upstream, vitals }))
    }

    /// How many tools there are.
    pub(crate) fn tools(&self) -> usize {
        self.0.catalogue.tools.len()
    }

    /// Makes the call, unless the client goes away first: then the upstream's connection is closed with it.
    async fn call(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResult, ErrorData> {
        let Some(index) = self.0.catalogue.tools.iter().position(|tool| *tool.name == *request.name) else {
            return Err(ErrorData::invalid_params(format!("unknown tool: {}", request.name), None));
        };
        let arguments = request.arguments.unwrap_or_default();
        // What the request said of itself, where it came over HTTP.
        let client = context.extensions.get::<http::request::Parts>().map(|parts| &parts.headers);
        let answer = tokio::select! {
            answer = self.0.upstream.call(&self.0.catalogue, index, arguments, client) => answer,
            () = context.ct.cancelled() => return Err(ErrorData::internal_error("cancelled", None)),
        };
        Ok(result(answer, context.protocol_version().as_ref()))
    }
}

impl Answers for Handler {}

impl ServerHandler for Handler {
    fn get_info(&self) -> ServerConfig {
        // The library answers `prompts/list` with an empty list, and what is answered must be declared. It
        // does so for resources too, but there a declaration makes some clients spend a model's context on
        // tools to browse them, so nothing is promised.
        let capabilities = ServerCapabilities::builder().enable_tools().enable_prompts().build();
        ServerConfig::new(capabilities).with_server_info(self.0.implementation.clone())
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let began = Instant::now();
        // Parsed for this answer only: kept, the schemas of a large document would weigh ten times their text.
        let listed = self.0.catalogue.tools.iter().map(listed).collect();
        if self.tools() >= TOOLS_LARGE {
            memory::give_back_soon();
        }
        self.0.vitals.count(began.elapsed(), false);
        Ok(ListToolsResult::with_all_items(listed))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let began = Instant::now();
        let result = self.call(request, context).await;
        let failed = result.as_ref().map_or(true, |result| result.is_error == Some(true));
        self.0.vitals.count(began.elapsed(), failed);
        result.map(CallToolResponse::from)
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        Err(ErrorData::invalid_params(format!("unknown prompt: {}", request.name), None))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        // The library picks the code that each era has for this.
        Err(ErrorData::resource_not_found("no such resource", Some(json!({"uri": request.uri}))))
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        self.0.catalogue.tools.iter().find(|tool| *tool.name == *name).map(listed)
    }
}

/// A tool in the library's form.
fn listed(tool: &tools::Tool) -> Tool {
    let schema: JsonObject = serde_json::from_str(tool.input_schema.get()).unwrap_or_default();
    let hints = tool.annotations;
    let mut listed = Tool::new(tool.name.to_string(), tool.description.to_string(), schema);
    listed.title = tool.title.as_deref().map(str::to_owned);
    listed.annotations = Some(
        ToolAnnotations::new()
            .read_only(hints.read_only)
            .destructive(hints.destructive)
            .idempotent(hints.idempotent)
            // An API is a world of its own to the model, and others change it.
            .open_world(true),
    );
    listed
}

/// An answer in the library's form, and as this revision of the protocol allows it.
fn result(answer: Answer, version: Option<&ProtocolVersion>) -> CallToolResult {
    let content = vec![ContentBlock::text(answer.text)];
    if answer.is_error {
        return CallToolResult::error(content);
    }
    // Before 2026-07-28 structured content is an object or absent.
    let any_json = version.is_some_and(|version| !version.has_initialize());
    let mut result = CallToolResult::success(content);
    result.structured_content = answer.structured.filter(|value| any_json || value.is_object());
    result
}
