//! A large document in a process of its own: it reads the recipe from its stdin, writes the catalogue to its
//! stdout and ends, and all the memory a document takes ends with it. It gets no other secret than a URL.

use std::io::{Read, Write};
use std::process::Stdio;

use nix::fcntl::{FcntlArg, fcntl};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;

use super::recipe::Recipe;
use super::write;
use crate::openapi::DocumentError;

/// The argument that makes a child of a runner.
pub(crate) const ARGUMENT: &str = "--compile-catalogue";

/// What the pipe from a child holds: as much as anybody may ask for.
const PIPE_BYTES: i32 = 1 << 20;

/// The first line of what a child writes; the catalogue follows when it is `Catalogue`.
#[derive(Debug, Serialize, Deserialize)]
enum Outcome {
    /// Here it comes.
    Catalogue,
    /// It is the same as before.
    Same,
    /// It cannot be made.
    Failed(String),
}

/// Has a child make a catalogue. The outer `None`: no child can be had, and it must be made here.
pub(super) async fn run(recipe: &Recipe) -> Option<Result<Option<Vec<u8>>, DocumentError>> {
    let mut child = Command::new("/proc/self/exe")
        .arg(ARGUMENT)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .kill_on_drop(true)
        .spawn()
        .ok()?;
    let (mut input, mut output) = (child.stdin.take()?, child.stdout.take()?);
    // A smaller one works as well, with a wait of both for each other at every 64 KiB.
    fcntl(&output, FcntlArg::F_SETPIPE_SZ(PIPE_BYTES)).ok();
    let text = serde_json::to_vec(recipe).ok()?;
    let wrote = async move { input.write_all(&text).await };
    let mut written = Vec::new();
    let (sent, read) = tokio::join!(wrote, output.read_to_end(&mut written));
    let status = child.wait().await;
    let failed =
        |reason: String| Some(Err(DocumentError::new(format!("cannot compile the document: {reason}"))));
    let outcome = written.iter().position(|byte| *byte == b'\n').and_then(|end| {
        let line = written.get(..end)?;
        Some((serde_json::from_slice::<Outcome>(line).ok()?, end + 1))
    });
    match (outcome, sent.and(read), status) {
        (Some((Outcome::Failed(line), _)), ..) => Some(Err(DocumentError::new(line))),
        (Some((Outcome::Same, _)), _, Ok(status)) if status.success() => Some(Ok(None)),
        (Some((Outcome::Catalogue, start)), Ok(_), Ok(status)) if status.success() => {
            written.drain(..start);
            Some(Ok(Some(written)))
        }
        (_, _, Ok(status)) => failed(format!("its process ended with {status}")),
        (_, _, Err(error)) => failed(error.to_string()),
    }
}

/// The child's own work.
pub(crate) async fn serve() -> std::io::Result<()> {
    let mut text = Vec::new();
    std::io::stdin().read_to_end(&mut text)?;
    let recipe: Recipe = serde_json::from_slice(&text)?;
    let (outcome, catalogue) = match write(&recipe, true).await {
        Ok(Some(catalogue)) => (Outcome::Catalogue, catalogue),
        Ok(None) => (Outcome::Same, [Vec::new(), Vec::new()]),
        Err(error) => (Outcome::Failed(error.to_string()), [Vec::new(), Vec::new()]),
    };
    let mut output = std::io::stdout().lock();
    serde_json::to_writer(&mut output, &outcome)?;
    output.write_all(b"\n")?;
    for lines in catalogue {
        output.write_all(&lines)?;
    }
    output.flush()
}
