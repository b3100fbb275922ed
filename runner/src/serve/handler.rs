//! The tools as the protocol library wants to see them. No transport here, and no HTTP.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, Request, Response};
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, GetPromptRequestParams,
    GetPromptResponse, Implementation, JsonObject, ListResourcesResult, ListToolsResult,
    PaginatedRequestParams, ProgressNotificationParam, ReadResourceRequestParams, ReadResourceResponse,
    ResourceContents, ServerCapabilities, ServerConfig, SubscriptionFilter, Tool, ToolAnnotations,
};
use rmcp::service::{NotificationContext, RequestContext, SubscriptionContext};
use rmcp::{ErrorData, RoleServer, ServerHandler};
use tokio::sync::watch;
use tokio::time::Instant;

use super::short::{self, Era};
use super::{Answers, Body, Timed, pages};
use crate::memory;
use crate::tools::{self, Answer, Arguments, Block, Catalogue, Mode, Search, Shelf, listing};
use crate::upstream::Upstream;
use crate::vitals::Vitals;

/// From this many tools on, a list leaves behind memory that is worth giving back.
const TOOLS_LARGE: usize = 100;
/// How often a client that asked for it is told that a call still waits.
const PROGRESS_EVERY: Duration = Duration::from_secs(3);

/// One server's tools. A clone is a reference: the library makes one for each request.
#[derive(Debug, Clone)]
pub(crate) struct Handler {
    /// What all requests share.
    shared: Arc<Shared>,
    /// Dropped with the conversation, which is how what listens in it knows.
    alive: watch::Sender<()>,
}

/// What all requests share.
#[derive(Debug)]
struct Shared {
    /// Name and title, for clients.
    implementation: Implementation,
    /// The tools.
    shelf: Shelf,
    /// How they are listed.
    mode: Mode,
    /// Whether the document's own words are resources.
    has_resources: bool,
    /// Where calls go.
    upstream: Upstream,
    /// Where calls are counted.
    vitals: Arc<Vitals>,
}

impl Answers for Handler {
    fn converse(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), alive: watch::Sender::new(()) }
    }

    async fn answer(
        &self,
        mut request: Request<Timed>,
        has_sessions: bool,
    ) -> Result<Response<Body>, Request<Timed>> {
        let Some(era) = short::era(&request).filter(|_| !has_sessions) else {
            return Err(request);
        };
        let body = request.body_mut().in_one().await;
        let Some(call) = body.and_then(|body| short::read(&body, era)) else {
            return Err(request);
        };
        let is_modern = era == Era::Modern;
        if is_modern && !(short::agrees(request.headers(), &call) && self.is_bare(&call.name)) {
            return Err(request);
        }
        let began = Instant::now();
        let result = self.call(&call.name, call.arguments, Some(request.headers()), is_modern).await;
        self.count(began, &result);
        Ok(short::answer(call.id, era, result))
    }
}

impl Handler {
    /// A handler for these tools.
    pub(crate) fn new(
        name: &str,
        title: Option<&str>,
        shelf: Shelf,
        (mode, has_resources): (Mode, bool),
        upstream: Upstream,
        vitals: Arc<Vitals>,
    ) -> Self {
        let mut implementation = Implementation::new(name, env!("CARGO_PKG_VERSION"));
        implementation.title = title.map(str::to_owned);
        let shared = Arc::new(Shared { implementation, shelf, mode, has_resources, upstream, vitals });
        Self { shared, alive: watch::Sender::new(()) }
    }

    /// How many tools there are.
    pub(crate) fn tools(&self) -> usize {
        self.shared.shelf.current().len()
    }

    /// Makes the call. `client` is what its request said of itself, where it came over HTTP; `any_json` whether
    /// structured content may be anything, as it may since 2026-07-28.
    async fn call(
        &self,
        name: &str,
        arguments: Arguments,
        client: Option<&HeaderMap>,
        any_json: bool,
    ) -> Result<CallToolResult, ErrorData> {
        let catalogue = self.shared.shelf.current();
        match self.target(&catalogue, name, arguments)? {
            Search::Answer(answer) => Ok(result(answer, false)),
            Search::Call(index, arguments) => {
                let answer = self.shared.upstream.call(&catalogue, index, arguments, client).await;
                Ok(result(answer, any_json))
            }
        }
    }

    /// Whether a name is an operation's, and none of its arguments is to be told by a header too.
    fn is_bare(&self, name: &str) -> bool {
        let catalogue = self.shared.shelf.current();
        catalogue.find(name).is_some_and(|index| !catalogue.has_headers(index))
    }

    /// Counts a call that is answered.
    fn count(&self, began: Instant, result: &Result<CallToolResult, ErrorData>) {
        let failed = result.as_ref().map_or(true, |result| result.is_error == Some(true));
        self.shared.vitals.count(began.elapsed(), failed);
        self.rest_soon();
    }

    /// Gives memory back once there is nothing to do.
    fn rest_soon(&self) {
        let tools = self.shared.shelf.clone();
        memory::give_back_soon(move || tools.current().rest());
    }

    /// What a call's name stands for.
    fn target(&self, catalogue: &Catalogue, name: &str, arguments: Arguments) -> Result<Search, ErrorData> {
        if self.shared.mode.searches(catalogue)
            && let Some(search) = Search::take(catalogue, name, &arguments)
        {
            return Ok(search);
        }
        let unknown = || ErrorData::invalid_params(format!("unknown tool: {name}"), None);
        catalogue.find(name).map(|index| Search::Call(index, arguments)).ok_or_else(unknown)
    }
}

/// Tells a client that asked for it that its call still waits. Never ends by itself.
async fn tell_progress(context: &RequestContext<RoleServer>) {
    let Some(token) = context.meta.get_progress_token() else {
        return std::future::pending().await;
    };
    let mut waited = Duration::ZERO;
    loop {
        tokio::time::sleep(PROGRESS_EVERY).await;
        waited += PROGRESS_EVERY;
        let told = ProgressNotificationParam::new(token.clone(), waited.as_secs_f64())
            .with_message(format!("waiting for the API, {} s so far", waited.as_secs()));
        // A client that cannot be told will see the answer all the same.
        drop(context.peer.notify_progress(told).await);
    }
}

impl ServerHandler for Handler {
    fn get_info(&self) -> ServerConfig {
        // The library answers `prompts/list` with an empty list, and what is answered must be declared. It
        // does so for resources too, but there a declaration makes some clients spend a model's context on
        // tools to browse them, so it is made only where there are some.
        let capabilities =
            ServerCapabilities::builder().enable_tools().enable_tool_list_changed().enable_prompts();
        let (shared, catalogue) = (&self.shared, self.shared.shelf.current());
        let capabilities = if shared.has_resources {
            capabilities.enable_resources().enable_resources_list_changed().build()
        } else {
            capabilities.build()
        };
        let mut implementation = shared.implementation.clone();
        if implementation.title.is_none() && !catalogue.title.is_empty() {
            implementation.title = Some(catalogue.title.to_string());
        }
        let config = ServerConfig::new(capabilities).with_server_info(implementation);
        match pages::instructions(&catalogue, shared.mode, shared.has_resources) {
            Some(words) => config.with_instructions(words),
            None => config,
        }
    }

    async fn on_initialized(&self, context: NotificationContext<RoleServer>) {
        // Until 2026-07-28 a client is told over its connection, if that stays.
        let (mut news, mut alive) = (self.shared.shelf.changes(), self.alive.subscribe());
        let has_resources = self.shared.has_resources;
        tokio::spawn(async move {
            loop {
                let changed = tokio::select! {
                    changed = news.changed() => changed.is_ok(),
                    // Nothing is ever sent there.
                    _ = alive.changed() => false,
                };
                if !changed
                    || context.peer.notify_tool_list_changed().await.is_err()
                    || (has_resources && context.peer.notify_resource_list_changed().await.is_err())
                {
                    return;
                }
            }
        });
    }

    fn accepted_subscription_filter(&self, requested: &SubscriptionFilter) -> Option<SubscriptionFilter> {
        let mut accepted = SubscriptionFilter::default();
        accepted.tools_list_changed = requested.tools_list_changed;
        accepted.resources_list_changed =
            requested.resources_list_changed.filter(|_| self.shared.has_resources);
        Some(accepted)
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        let mut news = self.shared.shelf.changes();
        loop {
            tokio::select! {
                () = context.cancelled() => return Ok(()),
                changed = news.changed() => {
                    let (sink, accepted) = (context.sink(), context.accepted());
                    let tools = accepted.tools_list_changed == Some(true);
                    let resources = accepted.resources_list_changed == Some(true);
                    if changed.is_err()
                        || (tools && sink.notify_tool_list_changed().await.is_err())
                        || (resources && sink.notify_resource_list_changed().await.is_err())
                    {
                        return Ok(());
                    }
                }
            }
        }
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let began = Instant::now();
        let catalogue = self.shared.shelf.current();
        let cannot = |error| ErrorData::internal_error(format!("cannot read the tools: {error}"), None);
        // Parsed for this answer only: kept, the schemas of a large document would weigh ten times their text.
        let listed: Vec<Tool> =
            listing(&catalogue, self.shared.mode).map_err(cannot)?.into_iter().map(listed).collect();
        if listed.len() >= TOOLS_LARGE {
            self.rest_soon();
        }
        self.shared.vitals.count(began.elapsed(), false);
        Ok(ListToolsResult::with_all_items(listed))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let began = Instant::now();
        let client = context.extensions.get::<http::request::Parts>().map(|parts| &parts.headers);
        let any_json = context.protocol_version().is_some_and(|version| !version.has_initialize());
        let arguments = request.arguments.unwrap_or_default();
        // Apart: the library moves what it waits for from place to place.
        let call = Box::pin(self.call(&request.name, arguments, client, any_json));
        // If the client goes away first, the upstream's connection is closed with it.
        let result = tokio::select! {
            result = call => result,
            () = context.ct.cancelled() => Err(ErrorData::internal_error("cancelled", None)),
            () = tell_progress(&context) => Err(ErrorData::internal_error("cancelled", None)),
        };
        self.count(began, &result);
        result.map(CallToolResponse::from)
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        Err(ErrorData::invalid_params(format!("unknown prompt: {}", request.name), None))
    }

    async fn list_resources(
        &self,
        request: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        if !self.shared.has_resources {
            return Ok(ListResourcesResult::default());
        }
        pages::list(&self.shared.shelf.current(), request)
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        if !self.shared.has_resources {
            return Err(pages::none(&request.uri));
        }
        pages::read(&self.shared.shelf.current(), &request.uri).map(ReadResourceResponse::from)
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        let catalogue = self.shared.shelf.current();
        let tool = match catalogue.find(name) {
            Some(index) => catalogue.entry(index).ok()?.tool,
            None if self.shared.mode.searches(&catalogue) => {
                listing(&catalogue, self.shared.mode).ok()?.into_iter().find(|tool| *tool.name == *name)?
            }
            None => return None,
        };
        Some(listed(tool))
    }
}

/// A tool in the library's form.
fn listed(tool: tools::Tool) -> Tool {
    let schema: JsonObject = serde_json::from_str(tool.input_schema.get()).unwrap_or_default();
    let hints = tool.annotations;
    let mut listed = Tool::new(tool.name.into_string(), tool.description.into_string(), schema);
    listed.title = tool.title.map(Into::into);
    let output = tool.output_schema.and_then(|schema| serde_json::from_str::<JsonObject>(schema.get()).ok());
    listed.output_schema = output.map(Arc::new);
    listed.annotations = Some(
        ToolAnnotations::new()
            .read_only(hints.read_only)
            .destructive(hints.destructive)
            .idempotent(hints.idempotent)
            .open_world(hints.open_world),
    );
    listed
}

/// A piece of an answer in the library's form.
fn block(block: Block) -> ContentBlock {
    match block {
        Block::Text(text) => ContentBlock::text(text),
        Block::Image(media_type, data) => ContentBlock::image(data, media_type),
        Block::Audio(media_type, data) => ContentBlock::audio(data, media_type),
        Block::Blob(uri, media_type, data) => {
            ContentBlock::resource(ResourceContents::blob(data, uri).with_mime_type(media_type))
        }
    }
}

/// An answer in the library's form, and as this revision of the protocol allows it.
fn result(answer: Answer, any_json: bool) -> CallToolResult {
    let content: Vec<ContentBlock> = answer.blocks.into_iter().map(block).collect();
    if answer.is_error {
        return CallToolResult::error(content);
    }
    // Before 2026-07-28 structured content is an object or absent.
    let mut result = CallToolResult::success(content);
    result.structured_content = answer.structured.filter(|value| any_json || value.is_object());
    result
}
