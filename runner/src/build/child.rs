//! A large document in a process of its own: it reads the recipe from its stdin, keeps the catalogue or writes it to
//! its stdout, and ends, and all the memory a document takes ends with it. It gets no other secret than a URL.

use std::io::{Read, Write};
use std::process::Stdio;

use nix::fcntl::{FcntlArg, fcntl};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::Command;

use super::recipe::Recipe;
use super::{Product, produce};
use crate::openapi::DocumentError;

/// The argument that makes a child of a runner.
pub(crate) const ARGUMENT: &str = "--compile-catalogue";

/// What the pipe from a child holds: as much as anybody may ask for.
const PIPE_BYTES: i32 = 1 << 20;

/// The first line of what a child writes.
#[derive(Debug, Serialize, Deserialize)]
enum Outcome {
    /// The catalogue is the same as before.
    Same,
    /// It is where it is kept; its hash.
    Kept(u64),
    /// It follows; its hash.
    Text(u64),
    /// It cannot be made.
    Failed(String),
}

/// Has a child make a catalogue. `None`: no child can be had, and it must be made here.
pub(super) async fn run(recipe: &Recipe) -> Option<Result<Product, DocumentError>> {
    let mut child = Command::new("/proc/self/exe")
        .arg(ARGUMENT)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .kill_on_drop(true)
        .spawn()
        .ok()?;
    let (mut input, output) = (child.stdin.take()?, child.stdout.take()?);
    // A smaller one works as well, with a wait of both for each other at every 64 KiB.
    fcntl(&output, FcntlArg::F_SETPIPE_SZ(PIPE_BYTES)).ok();
    let text = serde_json::to_vec(recipe).ok()?;
    let wrote = async move { input.write_all(&text).await };
    let mut output = BufReader::new(output);
    let mut line = Vec::new();
    let (sent, read) = tokio::join!(wrote, output.read_until(b'\n', &mut line));
    let outcome = serde_json::from_slice::<Outcome>(&line).ok();
    let mut written = Vec::new();
    let read = match (&outcome, read) {
        (Some(Outcome::Text(_)), Ok(_)) => output.read_to_end(&mut written).await,
        (_, read) => read,
    };
    let done = match outcome {
        Some(Outcome::Failed(line)) => Err(DocumentError::new(line)),
        Some(Outcome::Same) => Ok(Product::Same),
        Some(Outcome::Kept(hash)) => Ok(Product::Kept(hash)),
        outcome => {
            let reason = match (outcome, sent.and(read), child.wait().await) {
                (Some(Outcome::Text(hash)), Ok(_), Ok(status)) if status.success() => {
                    return Some(Ok(Product::Text(written, hash)));
                }
                (_, _, Ok(status)) => format!("its process ended with {status}"),
                (_, _, Err(error)) => error.to_string(),
            };
            return Some(Err(DocumentError::new(format!("cannot compile the document: {reason}"))));
        }
    };
    // All is said. Its end takes a while, in which its memory goes back to the system: nobody waits for that.
    tokio::spawn(async move { drop(child.wait().await) });
    Some(done)
}

/// The child's own work.
pub(crate) async fn serve() -> std::io::Result<()> {
    let mut text = Vec::new();
    std::io::stdin().read_to_end(&mut text)?;
    let recipe: Recipe = serde_json::from_slice(&text)?;
    let (outcome, catalogue) = match produce(&recipe, true).await {
        Ok(Product::Same) => (Outcome::Same, Vec::new()),
        Ok(Product::Kept(hash)) => (Outcome::Kept(hash), Vec::new()),
        Ok(Product::Text(catalogue, hash)) => (Outcome::Text(hash), catalogue),
        Err(error) => (Outcome::Failed(error.to_string()), Vec::new()),
    };
    let mut output = std::io::stdout().lock();
    serde_json::to_writer(&mut output, &outcome)?;
    output.write_all(b"\n")?;
    output.write_all(&catalogue)?;
    output.flush()
}
