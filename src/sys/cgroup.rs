//! Control groups (v2): the part of the hierarchy that is ours, and a group for each service in it. What a service
//! is limited to is not known here.
//!
//! What is done after the start waits for nobody: the kernel makes, fills, reads and removes a group of this size
//! in memory. Processes are never moved then; they are made where they belong.

use std::ffi::CString;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::life::policy::Pid;

use super::{own, signal};

/// Our own group, below the one we were started in: a group with limits for its children holds no process itself.
const SUPERVISOR: &str = "supervisor";
/// Beside it, the one that holds those of the services.
const SERVICES: &str = "services";
/// What is limited by groups.
const CONTROLLERS: [&str; 3] = ["memory", "cpu", "pids"];

/// The part of the hierarchy that is ours.
#[derive(Debug)]
pub(crate) struct Hierarchy {
    /// Where the groups of the services are.
    services: PathBuf,
    /// What can be limited there.
    controllers: Vec<&'static str>,
}

/// What a group is limited to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// Bytes.
    pub(crate) memory: Option<u64>,
    /// Percent of one processor.
    pub(crate) cpu: Option<u32>,
    /// Processes and threads.
    pub(crate) pids: Option<u32>,
}

/// The group of a service.
#[derive(Debug)]
pub(crate) struct Group {
    /// Its folder.
    path: PathBuf,
    /// The same, for the kernel to make a process in it.
    folder: OwnedFd,
    /// The file a process writes its number to, for kernels that cannot.
    pub(crate) procs: CString,
    /// What it is limited to, as far as the kernel took it.
    pub(crate) bounds: Bounds,
}

/// Makes the part of the hierarchy ours that whoever started us gave us; `None` where that is none. Only at the
/// start: it moves us, for which the kernel may wait.
///
/// It is ours when nobody else is in it: that of a container or of a unit of another init has us alone in it, that
/// of a person's session has not. The root of all groups is the init's.
pub(crate) fn claim() -> Option<Hierarchy> {
    let place = own_place()?;
    let top = match place.parent() {
        // An earlier life of ours was here already.
        Some(above) if place.ends_with(SUPERVISOR) && above.join(SERVICES).is_dir() => above.to_owned(),
        _ => place.clone(),
    };
    let services = top.join(SERVICES);
    if top == place && !is_root(&place) {
        let alone = members(&place).is_ok_and(|all| all.iter().all(|pid| pid.0 == own_pid()));
        let leaf = top.join(SUPERVISOR);
        if !alone || make(&leaf).and_then(|_| write(&leaf, "cgroup.procs", "0")).is_err() {
            return None;
        }
    } else if is_root(&place) && !own::is_init() {
        return None;
    }
    make(&services).ok()?;
    for group in fs::read_dir(&services).ok()?.flatten().filter(|entry| entry.path().is_dir()) {
        clear(&group.path());
    }
    let is_on = |name: &&'static str| {
        let on = format!("+{name}");
        write(&top, "cgroup.subtree_control", &on)
            .and_then(|()| write(&services, "cgroup.subtree_control", &on))
            .is_ok()
    };
    Some(Hierarchy { controllers: CONTROLLERS.into_iter().filter(is_on).collect(), services })
}

impl Hierarchy {
    /// Makes a group. A limit that the kernel does not take is not among its bounds.
    ///
    /// # Errors
    /// There can be no such group.
    pub(crate) fn group(&self, name: &str, wanted: Bounds) -> io::Result<Group> {
        let path = self.services.join(name);
        // What an earlier process of the service left there is gone, or it could not be started again.
        if make(&path)? == Made::Found {
            clear(&path);
            make(&path)?;
        }
        let folder = File::open(&path)?.into();
        let procs = CString::new(path.join("cgroup.procs").as_os_str().as_bytes())?;
        let bounds = self.limit(&path, wanted);
        Ok(Group { path, folder, procs, bounds })
    }

    /// Sets the limits of a group.
    fn limit(&self, path: &Path, wanted: Bounds) -> Bounds {
        let set = |controller: &str, file: &str, text: String| {
            self.controllers.contains(&controller) && write(path, file, &text).is_ok()
        };
        let memory = wanted.memory.filter(|bytes| set("memory", "memory.max", bytes.to_string()));
        if memory.is_some() {
            // Whoever is over it goes as a whole: half a service is none.
            let _known = set("memory", "memory.oom.group", "1".to_owned());
        }
        let cpu = wanted.cpu.filter(|percent| set("cpu", "cpu.max", quota(*percent)));
        let pids = wanted.pids.filter(|count| set("pids", "pids.max", count.to_string()));
        Bounds { memory, cpu, pids }
    }
}

impl Group {
    /// For the kernel to make a process in it.
    pub(crate) fn folder(&self) -> BorrowedFd<'_> {
        self.folder.as_fd()
    }

    /// Whether it limits nothing.
    pub(crate) fn is_unlimited(&self) -> bool {
        self.bounds == Bounds::default()
    }

    /// Whether any process is in it.
    pub(crate) fn is_populated(&self) -> bool {
        value(&self.path, "cgroup.events", "populated").is_some_and(|count| count > 0)
    }

    /// Processes that the kernel has killed in it for want of memory.
    pub(crate) fn oom_kills(&self) -> u64 {
        value(&self.path, "memory.events", "oom_kill").unwrap_or(0)
    }

    /// Bytes it has in memory.
    pub(crate) fn memory(&self) -> Option<u64> {
        read(&self.path, "memory.current").ok()?.trim().parse().ok()
    }

    /// Bytes that no file holds, and microseconds of processor time it has used; none where it is not told both.
    pub(crate) fn usage(&self) -> Option<(u64, u64)> {
        let memory = |key| value(&self.path, "memory.stat", key);
        let swap = read(&self.path, "memory.swap.current").ok().and_then(|text| text.trim().parse().ok());
        let memory = memory("anon ")?.saturating_add(memory("shmem ")?).saturating_add(swap.unwrap_or(0));
        Some((memory, value(&self.path, "cpu.stat", "usage_usec ")?))
    }

    /// Share of the last ten seconds, in percent, in which some of it waited for memory.
    pub(crate) fn memory_pressure(&self) -> Option<f64> {
        let text = read(&self.path, "memory.pressure").ok()?;
        let some = text.lines().find_map(|line| line.strip_prefix("some "))?;
        some.split(' ').find_map(|field| field.strip_prefix("avg10=")?.parse().ok())
    }

    /// Kills all that is in it.
    pub(crate) fn kill(&self) {
        if write(&self.path, "cgroup.kill", "1").is_err() {
            self.signal(libc::SIGKILL);
        }
    }

    /// Signals all that is in it. Who is in it is asked once more when each is held: a number that was free in
    /// between may be anybody's.
    pub(crate) fn signal(&self, number: i32) {
        let held: Vec<_> = members(&self.path)
            .unwrap_or_default()
            .into_iter()
            .filter_map(|pid| Some((pid, signal::hold(pid).ok()?)))
            .collect();
        let still = members(&self.path).unwrap_or_default();
        for (pid, pidfd) in held.iter().filter(|(pid, _)| still.contains(pid)) {
            // Whoever has ended meanwhile needs no signal.
            drop(signal::to_process(*pid, Some(pidfd.as_fd()), number));
        }
    }
}

/// Nobody is in it any more, or nothing can be done about it.
impl Drop for Group {
    fn drop(&mut self) {
        remove(&self.path);
    }
}

/// Processes that the kernel kills for want of memory in the group that we are in.
#[derive(Debug)]
pub(crate) struct OwnKills {
    /// The group, if it counts them.
    place: Option<PathBuf>,
    /// So many were counted when somebody last asked.
    seen: u64,
}

impl OwnKills {
    /// Counts from now on. Which group it is does not change while we run.
    pub(crate) fn begin() -> Self {
        let counted = own_place().and_then(|place| Some((Self::count(&place)?, place)));
        let (seen, place) = counted.map_or((0, None), |(seen, place)| (seen, Some(place)));
        Self { place, seen }
    }

    /// Whether there are more than when this was last asked.
    pub(crate) fn are_more(&mut self) -> bool {
        let count = self.place.as_deref().and_then(Self::count).unwrap_or(self.seen);
        std::mem::replace(&mut self.seen, count) < count
    }

    /// How many there are.
    fn count(place: &Path) -> Option<u64> {
        value(place, "memory.events", "oom_kill")
    }
}

/// Whether a folder had to be made.
#[derive(Debug, PartialEq, Eq)]
enum Made {
    /// It was there.
    Found,
    /// It was not.
    New,
}

/// Makes a group, if it is not there.
fn make(path: &Path) -> io::Result<Made> {
    match fs::create_dir(path) {
        Ok(()) => Ok(Made::New),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(Made::Found),
        Err(error) => Err(error),
    }
}

/// Empties a group that an earlier life left, and removes it.
fn clear(path: &Path) {
    // What cannot be killed keeps its group.
    drop(write(path, "cgroup.kill", "1"));
    remove(path);
}

/// Removes a group and those that its processes made below it.
fn remove(path: &Path) {
    let below = fs::read_dir(path).into_iter().flatten().flatten();
    for entry in below.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        remove(&entry.path());
    }
    drop(fs::remove_dir(path));
}

/// Writes to a file of a group.
fn write(group: &Path, file: &str, text: &str) -> io::Result<()> {
    fs::write(group.join(file), text)
}

/// Reads a file of a group.
fn read(group: &Path, file: &str) -> io::Result<String> {
    fs::read_to_string(group.join(file))
}

/// The number behind a key in a file of a group.
fn value(group: &Path, file: &str, key: &str) -> Option<u64> {
    let text = read(group, file).ok()?;
    text.lines().find_map(|line| line.strip_prefix(key)?.trim().parse().ok())
}

/// Who is in a group; those we cannot see are 0.
fn members(group: &Path) -> io::Result<Vec<Pid>> {
    let text = read(group, "cgroup.procs")?;
    Ok(text.lines().filter_map(|line| line.parse().ok().map(Pid)).collect())
}

/// Our own number.
fn own_pid() -> i32 {
    nix::unistd::getpid().as_raw()
}

/// Whether a group is the root of all, which no other init can have given us.
fn is_root(group: &Path) -> bool {
    !group.join("cgroup.type").exists()
}

/// Microseconds in each tenth of a second.
fn quota(percent: u32) -> String {
    format!("{} 100000", u64::from(percent).saturating_mul(1000))
}

/// The folder of the group that we are in.
fn own_place() -> Option<PathBuf> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    place(&groups, &mounts)
}

/// The same, from what the kernel says.
fn place(groups: &str, mounts: &str) -> Option<PathBuf> {
    let group = Path::new(groups.lines().find_map(|line| line.strip_prefix("0::"))?);
    mounts.lines().find_map(|line| {
        let (front, back) = line.split_once(" - ")?;
        let mut fields = front.split(' ');
        let (root, point) = (fields.nth(3)?, fields.next()?);
        (back.split(' ').next() == Some("cgroup2")).then_some(())?;
        Some(Path::new(point).join(group.strip_prefix(root).ok()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_group_is_where_the_mount_shows_it() {
        let mounts = "24 1 0:22 / /proc rw,relatime shared:5 - proc proc rw\n\
                      30 24 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n";
        let unit = place("12:memory:/x\n0::/system.slice/a.service\n", mounts);
        assert_eq!(unit.as_deref(), Some(Path::new("/sys/fs/cgroup/system.slice/a.service")));
        assert_eq!(place("0::/\n", mounts).as_deref(), Some(Path::new("/sys/fs/cgroup/")));
        let part = "30 24 0:26 /docker/1 /sys/fs/cgroup ro - cgroup2 cgroup2 rw\n";
        assert_eq!(place("0::/docker/1/a\n", part).as_deref(), Some(Path::new("/sys/fs/cgroup/a")));
        assert_eq!(place("0::/elsewhere\n", part), None);
        assert_eq!(place("1:name=systemd:/\n", mounts), None);
    }

    #[test]
    fn percent_is_of_one_processor() {
        assert_eq!(quota(20), "20000 100000");
        assert_eq!(quota(250), "250000 100000");
    }
}
