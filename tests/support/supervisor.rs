//! A real supervisor in a folder of its own: written, started, asked through its own command line, and ended
//! with all that it started.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::{Scratch, init_program, pets_document, poll, proc, runner_program, seconds};

/// A bound says what a quiet machine never needs. A busy one has so many times that: no wait is to end for its sake.
const PATIENCE: u32 = 6;

/// A configuration before it is started.
pub struct Setup {
    scratch: Scratch,
    settings: Value,
    environment: Vec<(String, String)>,
    wrapper: Vec<String>,
    forks: bool,
    stdout: Option<Stdio>,
    stderr: Option<Stdio>,
}

impl Setup {
    /// An empty one: all its files under a folder of its own, no service.
    pub fn new() -> Self {
        let scratch = Scratch::new();
        fs::create_dir(scratch.path().join("services.d")).unwrap();
        let settings = json!({
            "runtimeDir": "run", "stateDir": "state", "logDir": "log", "shutdownTimeout": "5s",
            "runner": runner_program().unwrap_or_else(|| PathBuf::from("/nonexistent/mcp-runner")),
        });
        Self {
            scratch,
            settings,
            environment: Vec::new(),
            wrapper: Vec::new(),
            forks: false,
            stdout: None,
            stderr: None,
        }
    }

    pub fn setting(mut self, key: &str, value: Value) -> Self {
        self.settings[key] = value;
        self
    }

    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Runs it as the child of `words` (`unshare --fork …`).
    pub fn wrapper(mut self, words: &[&str]) -> Self {
        self.forks = true;
        self.replaced_by(words)
    }

    /// Runs it by `words` (`env …`), which then become it.
    pub fn replaced_by(mut self, words: &[&str]) -> Self {
        self.wrapper = words.iter().map(|word| (*word).to_owned()).collect();
        self
    }

    pub fn stdout(mut self, stdout: Stdio) -> Self {
        self.stdout = Some(stdout);
        self
    }

    pub fn stderr(mut self, stderr: Stdio) -> Self {
        self.stderr = Some(stderr);
        self
    }

    /// A service as its file says it.
    pub fn service(self, id: &str, config: &Value) -> Self {
        write_service(self.path(), id, config);
        self
    }

    /// A service that is a shell script, with more keys in `rest`.
    pub fn shell(self, id: &str, script: &str, rest: &Value) -> Self {
        let config = merged(json!({ "command": ["/bin/sh", "-c", script] }), rest);
        self.service(id, &config)
    }

    /// An MCP server made of the small document, answered by the mock.
    pub fn server(self, id: &str, port: u16, rest: &Value) -> Self {
        let config = merged(
            json!({ "mcpConfig": { "port": port, "openApiData": pets_document(), "baseUrl": "mock" } }),
            rest,
        );
        self.service(id, &config)
    }

    pub fn path(&self) -> &Path {
        self.scratch.path()
    }

    /// Lets another user, as whom the supervisor then runs, own it all; nothing if we are not root.
    pub fn give_to(&self, user: u32) {
        if !nix::unistd::geteuid().is_root() {
            return;
        }
        let services = self.path().join("services.d");
        let files = fs::read_dir(&services).unwrap().map(|entry| entry.unwrap().path());
        for path in files.chain([services.clone(), self.path().to_owned()]) {
            std::os::unix::fs::chown(path, Some(user), Some(user)).unwrap();
        }
    }

    fn write_settings(&self) {
        fs::write(self.path().join("mcp-init.json"), self.settings.to_string()).unwrap();
    }

    fn command(&self) -> Command {
        let program = init_program();
        let mut words: Vec<String> = self.wrapper.clone();
        words.push(program.to_str().unwrap().to_owned());
        words.extend(["-c".to_owned(), self.path().to_str().unwrap().to_owned(), "run".to_owned()]);
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).envs(self.environment.iter().cloned()).stdin(Stdio::null());
        command
    }

    /// Starts it and returns at once.
    pub fn spawn(mut self) -> Supervisor {
        self.write_settings();
        let mut command = self.command();
        let said = File::create(self.path().join("stderr")).unwrap();
        command.stderr(self.stderr.take().unwrap_or_else(|| said.into()));
        let printed = File::create(self.path().join("stdout")).unwrap();
        command.stdout(self.stdout.take().unwrap_or_else(|| printed.into()));
        let child = command.spawn().unwrap();
        Supervisor { scratch: self.scratch, wrapped: self.forks, child, end: None }
    }

    /// Starts it and waits until it answers.
    pub fn start(self) -> Supervisor {
        let mut supervisor = self.spawn();
        supervisor.wait_until("it answers", seconds(10), |it| {
            it.cli(&["status"]).status.code() != Some(4) && it.try_status().is_some()
        });
        supervisor
    }
}

/// `base` with the keys of `rest` on top; objects are merged.
pub fn merged(mut base: Value, rest: &Value) -> Value {
    if let (Some(into), Some(from)) = (base.as_object_mut(), rest.as_object()) {
        for (key, value) in from {
            let slot = into.entry(key.clone()).or_insert(Value::Null);
            *slot = if slot.is_object() { merged(slot.take(), value) } else { value.clone() };
        }
    }
    base
}

fn write_service(folder: &Path, id: &str, config: &Value) {
    fs::write(folder.join(format!("services.d/{id}.json")), config.to_string()).unwrap();
}

/// One that runs, or ran.
pub struct Supervisor {
    scratch: Scratch,
    wrapped: bool,
    child: Child,
    end: Option<ExitStatus>,
}

impl Supervisor {
    pub fn path(&self) -> &Path {
        self.scratch.path()
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    /// Its pid as seen from here; of a wrapped one, that of the wrapper's child.
    pub fn pid(&self) -> i32 {
        let outer = i32::try_from(self.child.id()).unwrap();
        if !self.wrapped {
            return outer;
        }
        let inner = poll(seconds(30), || proc::children(outer).first().map(|child| child.pid));
        inner.expect("the wrapper has a child")
    }

    /// Pid of the scribe, as seen from here; for a moment, while it becomes one, it has no command line.
    pub fn scribe(&self) -> i32 {
        let look = || {
            let mut children = proc::children(self.pid()).into_iter();
            children.find(|child| proc::command_line(child.pid).contains("scribe"))
        };
        poll(seconds(30), look).expect("there is a scribe").pid
    }

    pub fn add(&self, id: &str, config: &Value) {
        write_service(self.path(), id, config);
    }

    pub fn remove(&self, id: &str) {
        fs::remove_file(self.file(&format!("services.d/{id}.json"))).unwrap();
    }

    /// A verb of its command line, run to its end.
    pub fn cli(&self, words: &[&str]) -> Output {
        self.command(words).output().unwrap()
    }

    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(init_program());
        command.arg("-c").arg(self.path()).args(words).stdin(Stdio::null());
        command
    }

    /// A verb that must succeed; what it printed.
    pub fn ok(&self, words: &[&str]) -> String {
        let output = self.cli(words);
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{words:?}: {}\n{out}{err}\n{}", output.status, self.story());
        out.into_owned()
    }

    pub fn try_status(&self) -> Option<Value> {
        serde_json::from_slice(&self.cli(&["status", "--json"]).stdout).ok()
    }

    /// `status --json`.
    pub fn status(&self) -> Value {
        self.try_status().unwrap_or_else(|| panic!("no status\n{}", self.story()))
    }

    /// One service of `status --json`; null while there is none.
    pub fn service(&self, id: &str) -> Value {
        let status = self.try_status().unwrap_or_default();
        let services = status["services"].as_array().cloned().unwrap_or_default();
        services.into_iter().find(|service| service["serverId"] == id).unwrap_or_default()
    }

    /// The pid of a service's process.
    pub fn pid_of(&self, id: &str) -> Option<i32> {
        self.service(id)["pid"].as_i64().map(|pid| i32::try_from(pid).unwrap())
    }

    /// `process.json` of a service.
    pub fn record(&self, id: &str) -> Value {
        let text = fs::read(self.file(&format!("state/services/{id}/process.json"))).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    /// `events.jsonl`, whole lines.
    pub fn events(&self) -> Vec<Value> {
        lines_of(&self.file("state/events.jsonl"))
    }

    /// Events of one kind about one service.
    pub fn events_of(&self, id: &str, kind: &str) -> Vec<Value> {
        let mut events = self.events();
        events.retain(|event| event["serverId"] == id && event["event"] == kind);
        events
    }

    /// Waits for a state word.
    pub fn wait_for(&mut self, id: &str, status: &str, bound: Duration) -> Value {
        self.wait_until(&format!("{id} is {status}"), bound, |it| it.service(id)["status"] == status);
        self.service(id)
    }

    /// Looks until `is_so`; tells the whole story when `bound` passes first.
    pub fn wait_until(&mut self, what: &str, bound: Duration, mut is_so: impl FnMut(&Self) -> bool) {
        let bound = bound * PATIENCE;
        let found = poll(bound, || is_so(self).then_some(()));
        assert!(found.is_some(), "not within {bound:?}: {what}\n{}", self.story());
    }

    pub fn signal(&self, signal: Signal) {
        proc::signal(self.pid(), signal);
    }

    /// Waits for its end.
    pub fn ended(&mut self, bound: Duration) -> ExitStatus {
        let bound = bound * PATIENCE;
        let end = poll(bound, || self.child.try_wait().unwrap());
        self.end = end;
        end.unwrap_or_else(|| panic!("it has not ended within {bound:?}\n{}", self.story()))
    }

    /// Starts it again in the same folder, once it has ended.
    pub fn again(&mut self) {
        let said = File::options().append(true).open(self.file("stderr")).unwrap();
        let mut command = self.command(&["run"]);
        self.child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(said).spawn().unwrap();
        self.end = None;
        self.wait_until("it answers again", seconds(10), |it| it.try_status().is_some());
    }

    /// Everything a reader of a failed test wants to know.
    pub fn story(&self) -> String {
        let cut = |text: String| {
            let lines: Vec<&str> = text.lines().collect();
            lines[lines.len().saturating_sub(40)..].join("\n")
        };
        let file =
            |name: &str| cut(fs::read_to_string(self.file(name)).unwrap_or_else(|error| error.to_string()));
        let status = self.cli(&["status", "--json"]);
        let mut text = format!(
            "-- status --json ({})\n{}{}\n",
            status.status,
            String::from_utf8_lossy(&status.stdout),
            String::from_utf8_lossy(&status.stderr)
        );
        for name in ["state/events.jsonl", "log/mcp-init.log", "stdout", "stderr"] {
            text += &format!("-- {name}\n{}\n", file(name));
        }
        for entry in fs::read_dir(self.file("log")).into_iter().flatten().flatten() {
            let name = entry.file_name().into_string().unwrap();
            let shown: String = file(&format!("log/{name}/current")).chars().take(2000).collect();
            text += &format!("-- log of {name}\n{shown}\n");
        }
        text + "-- processes\n" + &proc::tree(i32::try_from(self.child.id()).unwrap())
    }
}

/// Ends it, and everything below it.
impl Drop for Supervisor {
    fn drop(&mut self) {
        let pid = i32::try_from(self.child.id()).unwrap();
        if self.end.is_none() && self.child.try_wait().ok().flatten().is_none() {
            // Stopped first: it must start nothing while its tree is read.
            let inner = proc::children(pid).into_iter().map(|child| child.pid);
            for stopped in inner.chain([pid]) {
                proc::signal(stopped, Signal::SIGSTOP);
            }
            let all = proc::descendants(pid);
            for process in all.iter().rev() {
                proc::signal(process.pid, Signal::SIGKILL);
            }
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}

/// The JSON lines of a file; what is not JSON fails the test. The last line may still be being written: it counts
/// once it has an end.
pub fn lines_of(path: &Path) -> Vec<Value> {
    let text = fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let read = |line: &str| {
        serde_json::from_str(line).unwrap_or_else(|error| panic!("{}: {error}: {line}", path.display()))
    };
    whole.lines().map(read).collect()
}
