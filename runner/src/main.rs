//! `mcp-runner`: one process that turns one `OpenAPI` document into one MCP server. It works with no
//! supervisor at all. Here the parts are put together, in the order in which a start can fail.

mod base64;
mod bridge;
mod build;
mod channel;
mod client;
mod config;
mod failure;
mod flags;
mod hash;
mod inspect;
mod memory;
mod nearest;
mod openapi;
mod serve;
mod tools;
mod upstream;
mod vitals;

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use mcp_init::channel::FromService;

use bridge::Bridge;
use build::{Made, Recipe};
use channel::Channel;
use config::{Listen, RunnerConfig, Transport};
use failure::Failure;
use flags::Asked;
use serve::{Address, Answers, Door, Handler, Listener, Stop};
use tools::Shelf;
use upstream::{Settings, Upstream};
use vitals::Vitals;

/// The way in, and the one place that says how it ended.
fn main() -> ExitCode {
    let arguments: Vec<String> =
        std::env::args_os().skip(1).map(|argument| argument.to_string_lossy().into_owned()).collect();
    if let [first, rest @ ..] = arguments.as_slice()
        && first == bridge::WARDEN_FLAG
    {
        return bridge::run_warden(rest);
    }
    if arguments.first().is_some_and(|first| first == build::CHILD_ARGUMENT) {
        return compile();
    }
    mcp_init::memory::settle();
    let mut channel = Channel::inherit();
    let mut server_id = Box::default();
    let Err(failure) = run(arguments, &mut channel, &mut server_id) else {
        return ExitCode::SUCCESS;
    };
    say(&failure.to_string());
    channel.tell_error(&server_id, &failure.to_string());
    ExitCode::from(failure.code())
}

/// Reads what was asked for and does it. `server_id` is filled in as soon as it is known, for what may fail
/// after.
fn run(arguments: Vec<String>, channel: &mut Channel, server_id: &mut Box<str>) -> Result<(), Failure> {
    let flags = match flags::parse(arguments)? {
        Asked::Help => return print(&flags::help()),
        Asked::Version => return print(concat!("mcp-runner ", env!("CARGO_PKG_VERSION"), "\n")),
        Asked::Inspect(flags, as_json) => {
            let config = config::read(flags)?;
            return print(&runtime()?.block_on(inspect::inspect(&config, as_json))?);
        }
        Asked::Serve(flags) => flags,
    };
    if let Some(id) = flags.top.get("serverId").and_then(serde_json::Value::as_str) {
        *server_id = id.into();
    }
    let config = config::read(flags)?;
    server_id.clone_from(&config.server_id);
    let runtime = runtime()?;
    let served = runtime.block_on(serve(config, channel));
    // Nothing that still waits (for a terminal, for a name) may hold up the end.
    runtime.shutdown_background();
    served
}

/// One thread does all the work. The few others that names and terminals may need are small and short-lived.
fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(4)
        .thread_stack_size(256 * 1024)
        .thread_keep_alive(Duration::from_secs(1))
        .build()
        .map_err(|error| Failure::start(format!("cannot start: {error}")))
}

/// What a runner has a child do: one catalogue. All that it says goes to its parent, by stdout.
fn compile() -> ExitCode {
    mcp_init::memory::take_much();
    let made = runtime().map(|runtime| runtime.block_on(build::serve_child()));
    if matches!(made, Ok(Ok(()))) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// From the document, or the bridged server, to the end of the last request.
async fn serve(mut config: RunnerConfig, channel: &mut Channel) -> Result<(), Failure> {
    let mut stop = Stop::on_signals().map_err(|error| Failure::start(format!("cannot start: {error}")))?;
    let vitals = Arc::new(Vitals::new());
    if let Some(bridged) = config.bridge.take() {
        let program = bridged.command.words.first().cloned().unwrap_or_default();
        let bridge = tokio::select! {
            bridge = Bridge::start(bridged, Arc::clone(&vitals)) => bridge,
            // What was begun ends with this process.
            () = stop.requested() => return Ok(()),
        };
        let bridge = bridge.map_err(|reason| Failure::start(format!("cannot bridge {program}: {reason}")))?;
        let served = Box::pin(offer(bridge.clone(), &program, config, channel, stop, vitals)).await;
        bridge.end().await;
        return served;
    }
    let handler = tokio::select! {
        handler = build(&mut config, Arc::clone(&vitals)) => handler?,
        () = stop.requested() => return Ok(()),
    };
    let what = tools::counted(handler.tools(), "tool");
    Box::pin(offer(handler, &what, config, channel, stop, vitals)).await
}

/// Offers it to clients, until a stop is wanted.
async fn offer(
    answers: impl Answers,
    what: &str,
    config: RunnerConfig,
    channel: &mut Channel,
    stop: Stop,
    vitals: Arc<Vitals>,
) -> Result<(), Failure> {
    let way = Way::open(&config)?;
    let url = way.url();
    channel.tell(&FromService::ServerStarted {
        server_id: config.server_id.clone(),
        port: way.port(),
        transport: Some(config.transport.name().into()),
        endpoint: url.as_deref().map(Into::into),
    });
    say(&format!("serving {what} at {}", url.as_deref().unwrap_or("stdin and stdout")));
    tokio::spawn(std::mem::take(channel).answer(config.server_id, Arc::clone(&vitals)));
    match way {
        Way::Door(door) => {
            door.serve(answers, vitals, stop).await;
            Ok(())
        }
        Way::Socket(listener) => {
            serve::serve_socket(listener, answers, vitals, stop).await;
            Ok(())
        }
        Way::Stdio => serve::serve_stdio(answers, stop)
            .await
            .map_err(|error| Failure::start(format!("cannot use stdin and stdout: {error}"))),
    }
}

/// Makes tools of the document, which is gone when this returns, and watches it from then on.
async fn build(config: &mut RunnerConfig, vitals: Arc<Vitals>) -> Result<Handler, Failure> {
    let recipe = Recipe::new(config);
    // The cheap checks come first: a large document takes a while.
    recipe.check().map_err(Failure::start)?;
    let upstream = Upstream::new(Settings {
        auth: std::mem::take(&mut config.auth),
        custom_headers: std::mem::take(&mut config.custom_headers),
        forward_headers: std::mem::take(&mut config.forward_headers),
        reach: std::mem::take(&mut config.upstream),
        is_chosen: recipe.base_url.is_some(),
        logs_headers: config.debug_headers,
    });
    let upstream = upstream.map_err(Failure::start)?;
    let Made::New(catalogue, head, fingerprint) = build::make(&recipe).await.map_err(Failure::start)? else {
        return Err(Failure::start("cannot make the catalogue: nothing was read"));
    };
    mcp_init::memory::give_back();
    // And once more when it serves: what only the start needed.
    memory::give_back_soon(|| {});
    head.notes.iter().for_each(|note| say(note));
    head.skipped.iter().for_each(|operation| say(&format!("skipped {operation}")));
    let shelf = Shelf::new(*catalogue);
    let watched =
        build::watch(recipe, head.files, fingerprint, config.document.reload_interval, shelf.clone(), say);
    tokio::spawn(watched);
    let name = if config.server_id.is_empty() { env!("CARGO_PKG_NAME") } else { &config.server_id };
    let look = (config.document.mode, config.document.resources);
    Ok(Handler::new(name, config.server_name.as_deref(), shelf, look, upstream, vitals))
}

/// How clients come.
enum Way {
    /// Over HTTP.
    Door(Door),
    /// To a socket, on which they speak as others do on stdin and stdout.
    Socket(Listener),
    /// There is one, at stdin and stdout.
    Stdio,
}

impl Way {
    /// Takes the configured address; from then on the kernel accepts.
    fn open(config: &RunnerConfig) -> Result<Self, Failure> {
        let is_stdio = config.transport == Transport::Stdio;
        if is_stdio && matches!(config.listen, Listen::Tcp(_)) {
            return Ok(Self::Stdio);
        }
        let mode = if is_stdio { serve::PRIVATE_MODE } else { serve::SOCKET_MODE };
        let (listener, place) = match (serve::inherited_listener(&config.listen), &config.listen) {
            (Some(listener), _) => (Ok(listener), String::new()),
            (None, Listen::Tcp(address)) => (Listener::tcp(*address), address.to_string()),
            (None, Listen::Unix(path)) => (Listener::unix(path, mode), path.display().to_string()),
        };
        let listener =
            listener.map_err(|error| Failure::start(format!("cannot listen on {place}: {error}")))?;
        if is_stdio {
            return Ok(Self::Socket(listener));
        }
        let door = Door::new(listener, config.transport, &config.endpoint, &config.clients);
        door.map(Self::Door).map_err(Failure::start)
    }

    /// Where clients find it, unless it is its own stdin.
    fn url(&self) -> Option<String> {
        match self {
            Self::Door(door) => Some(door.url()),
            Self::Socket(listener) => match listener.address() {
                Address::Unix(path) => Some(format!("stdio:{}", path.display())),
                Address::Tcp(_) => None,
            },
            Self::Stdio => None,
        }
    }

    /// The TCP port, where there is one.
    fn port(&self) -> Option<u16> {
        match self {
            Self::Door(door) => door.port(),
            Self::Socket(_) | Self::Stdio => None,
        }
    }
}

/// One line for whoever reads stderr. Nobody may be there, which is no reason to end.
fn say(text: &str) {
    let line = format!("mcp-runner: {}\n", text.replace(['\n', '\r'], " "));
    drop(std::io::stderr().write_all(line.as_bytes()));
}

/// What `--help` and `--version` print: the only thing but protocol that stdout ever sees.
fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = std::io::stdout();
    let written = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
    written.map_err(|error| Failure::start(format!("cannot write: {error}")))
}
