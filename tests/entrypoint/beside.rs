//! How both are run: the same words, in a folder of their own, ended by the test. No promise is asserted here.

use std::fmt::Debug;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Output, Stdio};

use crate::support::{Scratch, init_program, poll, proc, seconds, skip, which};

/// One of the two; both are called `tini`.
pub struct Init {
    path: PathBuf,
    folder: Scratch,
    pub is_ours: bool,
}

/// Ours, under tini's name.
pub fn ours() -> Init {
    let folder = Scratch::new();
    let path = folder.path().join("tini");
    std::os::unix::fs::symlink(init_program(), &path).unwrap();
    Init { path, folder, is_ours: true }
}

/// Debian's.
pub fn tini() -> Option<Init> {
    let found = which("tini").map(|path| Init { path, folder: Scratch::new(), is_ours: false });
    if found.is_none() {
        skip("no tini to compare with");
    }
    found
}

/// Makes the same observation of both; what was seen.
pub fn same<T: PartialEq + Debug>(look: impl Fn(&Init) -> T) -> T {
    let seen = look(&ours());
    if let Some(tini) = tini() {
        assert_eq!(seen, look(&tini), "left: mcp-init, right: tini");
    }
    seen
}

impl Init {
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn path(&self) -> &str {
        self.path.to_str().unwrap()
    }

    /// `words` with its path in the place of `%`. Whoever runs the tests may ignore a signal, as nohup does, and as
    /// a shell does for what runs in its background: here all have their defaults.
    pub fn command(&self, words: &[&str]) -> Command {
        let words = words.iter().map(|word| if *word == "%" { self.path() } else { word });
        let mut command = Command::new("env");
        command.arg("--default-signal").args(words).current_dir(self.folder()).stdin(Stdio::null());
        for name in ["TINI_SUBREAPER", "TINI_VERBOSITY", "TINI_KILL_PROCESS_GROUP", "MCP_INIT_GRACE"] {
            command.env_remove(name);
        }
        command
    }

    /// Its end, and what it said.
    pub fn output(&self, words: &[&str]) -> Output {
        self.command(words).output().unwrap()
    }

    /// Its exit code.
    pub fn code(&self, words: &[&str]) -> i32 {
        let output = self.output(words);
        output.status.code().unwrap_or_else(|| panic!("{words:?}: {output:?}"))
    }

    /// Starts it with pipes, and waits for the program's first line.
    pub fn start(&self, words: &[&str]) -> Running {
        self.begin(self.command(words))
    }

    pub fn begin(&self, mut command: Command) -> Running {
        let said = fs::File::create(self.folder().join("stderr")).unwrap();
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(said).spawn().unwrap();
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().unwrap());
        let mut running =
            Running { child, input, output, said: self.folder().join("stderr"), first: String::new() };
        running.first = running.line();
        running
    }
}

/// One that runs.
pub struct Running {
    child: Child,
    /// The program's input: dropped, it ends.
    pub input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    said: PathBuf,
    /// What the program said first.
    pub first: String,
}

impl Running {
    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).unwrap()
    }

    /// The program's pid: its only child.
    pub fn program(&self) -> i32 {
        let children = proc::children(self.pid());
        assert_eq!(children.len(), 1, "{}", proc::tree(self.pid()));
        children[0].pid
    }

    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// What the program says until it ends.
    pub fn rest(&mut self) -> String {
        let mut rest = String::new();
        self.output.read_to_string(&mut rest).unwrap();
        rest
    }

    /// Any signal by its number.
    pub fn signal(&self, number: i32) {
        let status = Command::new("/bin/kill").args([format!("-{number}"), self.pid().to_string()]).status();
        assert!(status.unwrap().success(), "signal {number}");
    }

    pub fn said(&self) -> String {
        fs::read_to_string(&self.said).unwrap()
    }

    pub fn ended(&mut self) -> ExitStatus {
        let end = poll(seconds(30), || self.child.try_wait().unwrap());
        end.unwrap_or_else(|| panic!("it has not ended: {}\n{}", self.said(), proc::tree(self.pid())))
    }

    /// Its exit code, or its signal below zero.
    pub fn end(&mut self) -> i32 {
        let end = self.ended();
        end.code().or_else(|| end.signal().map(|number| -number)).unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.child.try_wait().ok().flatten().is_none() {
            for process in proc::descendants(self.pid()) {
                proc::signal(process.pid, nix::sys::signal::Signal::SIGKILL);
            }
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}
