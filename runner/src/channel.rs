//! The runner's end of the channel: it says that it started, or why not, and answers what the supervisor
//! asks. The messages themselves are `mcp_init::channel`'s. End of file here is not a reason to stop.

use std::fs::File;
use std::io::Write;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixStream;
use std::time::{SystemTime, UNIX_EPOCH};

use mcp_init::channel::{FD_VARIABLE, FromService, LINE_BYTES_MAX, NODE_FD_VARIABLE, ToService};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

use crate::vitals::Vitals;

/// Longest reason sent, so that a line stays far below its limit.
const REASON_CHARS_MAX: usize = 1000;

/// The connection to whoever started this process, where there is one.
#[derive(Debug, Default)]
pub(crate) struct Channel(Option<UnixStream>);

impl Channel {
    /// Takes over the descriptor the environment names. Called once, before anything else is opened.
    pub(crate) fn inherit() -> Self {
        let named = [FD_VARIABLE, NODE_FD_VARIABLE].into_iter().filter_map(|name| std::env::var(name).ok());
        Self(named.filter_map(|text| text.parse().ok()).find_map(adopt))
    }

    /// Says one thing, without waiting: a supervisor that does not read must not keep a server from serving.
    pub(crate) fn tell(&mut self, message: &FromService) {
        let Some(stream) = &mut self.0 else {
            return;
        };
        // Nobody is left to tell when this fails, and the next message may fare better.
        drop(line(message).map(|line| stream.write_all(&line)));
    }

    /// Says why the server could not start.
    pub(crate) fn tell_error(&mut self, server_id: &str, error: &str) {
        self.tell(&FromService::ServerError { server_id: server_id.into(), error: cut(error) });
    }

    /// Answers until the other side hangs up.
    pub(crate) async fn answer(self, server_id: Box<str>, vitals: std::sync::Arc<Vitals>) {
        let Some(Ok(mut stream)) = self.0.map(tokio::net::UnixStream::from_std) else {
            return;
        };
        let (read, mut write) = stream.split();
        let mut lines = Lines { reader: BufReader::new(read), line: Vec::new() };
        while let Some(asked) = lines.next().await {
            let answer = match asked {
                ToService::HealthCheck { .. } => {
                    let trouble = vitals.trouble();
                    FromService::HealthCheckResponse {
                        server_id: server_id.clone(),
                        healthy: trouble.is_none(),
                        timestamp: milliseconds_since_epoch().into(),
                        reason: trouble.map(|reason| cut(&reason)),
                    }
                }
                ToService::CollectMetrics { .. } => {
                    FromService::ProcessMetrics { server_id: server_id.clone(), metrics: vitals.measure() }
                }
            };
            let Some(line) = line(&answer) else {
                continue;
            };
            if write.write_all(&line).await.is_err() {
                return;
            }
        }
    }
}

/// Makes our end of a channel ours: it does not block.
fn adopt(fd: RawFd) -> Option<UnixStream> {
    let stream = UnixStream::from(take(fd)?);
    stream.set_nonblocking(true).ok()?;
    Some(stream)
}

/// Takes over a socket that whoever started this process named by its number; it is not passed on to any program.
#[expect(unsafe_code, reason = "a descriptor passed by number has no safe way in")]
pub(crate) fn take(fd: RawFd) -> Option<OwnedFd> {
    if fd <= 2 {
        return None;
    }
    // SAFETY: it is only copied, which fails for a number that is not open, and not kept.
    let copied = unsafe { BorrowedFd::borrow_raw(fd) }.try_clone_to_owned();
    // The copy is close-on-exec; the inherited one, which need not be, is closed below.
    let copy = File::from(copied.ok()?);
    if !copy.metadata().ok()?.file_type().is_socket() {
        return None;
    }
    // SAFETY: it is open, as was just seen, and whoever set the variable gave it to this process, which opens
    // nothing at a number that it was given: there is no other owner.
    drop(unsafe { OwnedFd::from_raw_fd(fd) });
    Some(copy.into())
}

/// A reason of a length that may be sent.
fn cut(reason: &str) -> Box<str> {
    reason.chars().take(REASON_CHARS_MAX).collect::<String>().into()
}

/// A message as it crosses the wire.
fn line(message: &FromService) -> Option<Vec<u8>> {
    let mut line = serde_json::to_vec(message).ok()?;
    line.push(b'\n');
    Some(line)
}

/// Milliseconds since the epoch.
fn milliseconds_since_epoch() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Messages from lines of bounded length.
struct Lines<R> {
    /// Where they come from.
    reader: BufReader<R>,
    /// The line so far; longer than allowed means that it is being skipped.
    line: Vec<u8>,
}

impl<R: tokio::io::AsyncRead + Unpin> Lines<R> {
    /// The next message that makes sense; what makes none is ignored. `None` at the end.
    async fn next(&mut self) -> Option<ToService> {
        loop {
            let bytes = self.reader.fill_buf().await.ok().filter(|bytes| !bytes.is_empty())?;
            let end = bytes.iter().position(|&byte| byte == b'\n');
            let taken = end.map_or(bytes.len(), |end| end + 1);
            if self.line.len() <= LINE_BYTES_MAX {
                self.line.extend(bytes.iter().take(taken));
            }
            self.reader.consume(taken);
            if end.is_some() {
                let fits = self.line.len() <= LINE_BYTES_MAX;
                let message = serde_json::from_slice(&self.line).ok().filter(|_| fits);
                self.line.clear();
                if message.is_some() {
                    return message;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "current_thread")]
    async fn garbage_is_skipped_and_long_lines_cost_no_memory() {
        let mut text = b"\n{}\nnonsense\n{\"type\":\"later\",\"serverId\":\"x\"}\n".to_vec();
        text.extend(std::iter::repeat_n(b'x', LINE_BYTES_MAX * 4));
        text.extend(b"\n{\"type\":\"health-check\",\"serverId\":\"x\"}\n{\"type\":\"health");
        let mut lines = Lines { reader: BufReader::new(text.as_slice()), line: Vec::new() };
        assert_eq!(lines.next().await, Some(ToService::HealthCheck { server_id: "x".into() }));
        assert!(lines.line.capacity() < LINE_BYTES_MAX * 3);
        assert_eq!(lines.next().await, None);
    }
}
