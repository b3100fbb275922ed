//! The command as a process: how it is started, and how it is ended with all that it started. What it says is
//! not read here, but for its stderr, which is passed on.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mcp_init::channel::{FD_VARIABLE, NODE_FD_VARIABLE};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout};
use tokio::task::JoinHandle;

use super::{tree, warden};

/// How long a server has to end after its stdin was closed.
const STDIN_GRACE: Duration = Duration::from_secs(2);

/// How long the warden has to end everything.
const WARDEN_GRACE: Duration = Duration::from_secs(5);

/// How long the last words of a dead server may take to pass.
const WORDS_MAX: Duration = Duration::from_millis(500);

/// Longest line of stderr that is passed on in one piece.
const STDERR_LINE_MAX: usize = 8 * 1024;

/// What the command must not inherit: it is between the runner and whoever started it.
const OURS: [&str; 6] =
    [FD_VARIABLE, NODE_FD_VARIABLE, "NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"];

/// A command to run.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Command {
    /// The program and its arguments. No shell reads them.
    pub(crate) words: Vec<String>,
    /// Variables beside the inherited ones.
    pub(crate) env: BTreeMap<String, String>,
    /// Its working directory; the runner's unless said.
    pub(crate) cwd: Option<PathBuf>,
}

/// A command that runs, and its tree.
#[derive(Debug)]
pub(super) struct Process {
    /// The warden.
    child: Child,
    /// Its id, which is also the session of the tree.
    pid: i32,
    /// The last line of stderr.
    last_words: Arc<Mutex<String>>,
    /// Passes stderr on.
    relay: JoinHandle<()>,
}

impl Process {
    /// Starts it.
    pub(super) fn start(command: &Command) -> io::Result<(Self, ChildStdin, ChildStdout)> {
        let mut warden = tokio::process::Command::new("/proc/self/exe");
        warden.arg0("mcp-runner").arg(warden::FLAG).arg(std::process::id().to_string()).args(&command.words);
        for name in OURS {
            warden.env_remove(name);
        }
        warden.envs(&command.env);
        if let Some(cwd) = &command.cwd {
            warden.current_dir(cwd);
        }
        warden.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = warden.spawn()?;
        let (Some(stdin), Some(stdout), Some(stderr)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        let pid = child.id().and_then(|pid| i32::try_from(pid).ok()).ok_or(io::ErrorKind::NotFound)?;
        let last_words = Arc::default();
        let relay = tokio::spawn(pass_on(stderr, Arc::clone(&last_words)));
        Ok((Self { child, pid, last_words, relay }, stdin, stdout))
    }

    /// Returns when it has ended; then nothing of its tree is left.
    pub(super) async fn ended(&mut self) -> io::Result<ExitStatus> {
        let has_id = self.child.id().is_some();
        let status = self.child.wait().await;
        // A warden that was killed itself could not see to it. Only now is its id sure to be no other's.
        if has_id && status.as_ref().is_ok_and(|status| status.signal().is_some()) {
            while tree::kill_session(self.pid) {
                tokio::task::yield_now().await;
            }
        }
        status
    }

    /// Ends it in the order of the specification, its stdin being closed already: wait, SIGTERM, SIGKILL.
    pub(super) async fn end(&mut self) -> io::Result<ExitStatus> {
        if let Ok(status) = tokio::time::timeout(STDIN_GRACE, self.ended()).await {
            return status;
        }
        if self.child.id().is_some() {
            // It may be ending at this moment.
            _ = kill(Pid::from_raw(self.pid), Signal::SIGTERM);
        }
        if let Ok(status) = tokio::time::timeout(WARDEN_GRACE, self.ended()).await {
            return status;
        }
        drop(self.child.start_kill());
        self.ended().await
    }

    /// How it ended, for people; with its last words if it never was of use.
    pub(super) async fn reason(&mut self, status: io::Result<ExitStatus>, was_up: bool) -> String {
        drop(tokio::time::timeout(WORDS_MAX, &mut self.relay).await);
        let how = match status.map(|status| status.code()) {
            Ok(Some(code @ 129..=192)) => format!("signal {}", code - 128),
            Ok(Some(code)) => format!("exit code {code}"),
            Ok(None) => "killed".to_owned(),
            Err(error) => error.to_string(),
        };
        match self.last_words.lock().as_deref() {
            Ok(words) if !words.is_empty() && !was_up => format!("it ended ({how}): {words}"),
            Ok(_) | Err(_) => format!("it ended ({how})"),
        }
    }
}

/// Copies a server's stderr to ours, line by line, and remembers the last one. Where ours is not read, only the
/// server waits.
async fn pass_on(stderr: ChildStderr, last_words: Arc<Mutex<String>>) {
    let mut reader = BufReader::with_capacity(1024, stderr);
    let mut line = Vec::new();
    while let Ok(bytes) = reader.fill_buf().await {
        let end = bytes.iter().position(|&byte| byte == b'\n').map(|end| end + 1);
        let taken = end.unwrap_or(bytes.len()).min(STDERR_LINE_MAX.saturating_sub(line.len()).max(1));
        line.extend(bytes.iter().take(taken));
        reader.consume(taken);
        if line.is_empty() {
            return;
        }
        if taken == 0 || line.ends_with(b"\n") || line.len() >= STDERR_LINE_MAX {
            if !line.ends_with(b"\n") {
                line.push(b'\n');
            }
            let mut ours = tokio::io::stderr();
            if ours.write_all(&line).await.is_ok() {
                drop(ours.flush().await);
            }
            let words = String::from_utf8_lossy(&line).trim().chars().take(300).collect::<String>();
            if let (Ok(mut last), false) = (last_words.lock(), words.is_empty()) {
                *last = words;
            }
            line.clear();
        }
    }
}
