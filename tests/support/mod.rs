//! What the tests of the supervisor share: a real one in a folder of its own, waits with a bound, a view of
//! `/proc`, a small MCP client. Nothing here asserts a promise.

pub mod facts;
pub mod mcp;
pub mod proc;
pub mod supervisor;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

/// The program under test: `MCP_INIT` (as `make test` says), else the one cargo has just built.
pub fn init_program() -> PathBuf {
    env::var_os("MCP_INIT").map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_mcp-init")), PathBuf::from)
}

/// The runner: `MCP_RUNNER`, else the neighbour of the supervisor.
pub fn runner_program() -> Option<PathBuf> {
    let path =
        env::var_os("MCP_RUNNER").map_or_else(|| init_program().with_file_name("mcp-runner"), PathBuf::from);
    path.exists().then_some(path)
}

/// Says why a test does nothing here.
pub fn skip(reason: &str) {
    eprintln!("skipped: {reason}");
}

/// How to become PID 1 here: as root, or as the root of an own user namespace.
pub fn pid_namespace() -> Option<Vec<&'static str>> {
    let plain = vec!["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"];
    let user =
        vec!["unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child", "--mount-proc"];
    let works = |words: &Vec<&str>| {
        let status = std::process::Command::new(words[0]).args(&words[1..]).arg("true").status();
        status.is_ok_and(|status| status.success())
    };
    let found = [plain, user].into_iter().find(works);
    if found.is_none() {
        skip("no PID namespace can be made here");
    }
    found
}

/// Where `program` is, looked up as a shell does.
pub fn which(program: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?).map(|folder| folder.join(program)).find(|path| path.is_file())
}

/// Makes a program of a file. A process of its own writes it: had this one it open for that, so would have whatever
/// another test starts at this moment, and until that has become another program nobody could execute it.
pub fn install(from: &Path, program: &Path) {
    let status = std::process::Command::new("install").args(["-m", "755"]).arg(from).arg(program).status();
    assert!(status.unwrap().success(), "{}", program.display());
}

/// Makes a program of a text.
pub fn install_script(text: &str, program: &Path) {
    let source = program.with_extension("text");
    fs::write(&source, text).unwrap();
    install(&source, program);
    fs::remove_file(source).unwrap();
}

/// The small document of `etc/`.
pub fn pets_document() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("etc/openapi/pets.json")
}

/// A folder of its own, removed at the end.
pub struct Scratch(PathBuf);

impl Scratch {
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = env::temp_dir().join(format!("mcp-init-test-{}-{number}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        // Some tests are other users as well, who must find what is theirs whatever the umask of whoever runs the tests.
        nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o022));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if thread::panicking() && env::var_os("MCP_INIT_KEEP").is_some() {
            eprintln!("kept: {}", self.0.display());
            return;
        }
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Looks every few milliseconds until `look` finds something; `None` once `bound` has passed.
pub fn poll<T>(bound: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + bound;
    loop {
        if let Some(found) = look() {
            return Some(found);
        }
        if Instant::now() > end {
            return None;
        }
        thread::sleep(Duration::from_millis(5));
    }
}

pub const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// A TCP port that nobody listens on, below those the kernel gives to clients: a client that calls a server
/// which is down must not find itself at that port.
pub fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let number = std::process::id() * 61 + NEXT.fetch_add(1, Ordering::Relaxed);
        let port = u16::try_from(10_000 + number % 20_000).unwrap();
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
