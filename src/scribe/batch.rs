//! State files written together, so that many share one wait for the disk. It keeps nothing for later.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs::{self, File, Metadata, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use super::append::append;
use super::wire::OWNER_BYTES;
use crate::sys::halves;
use crate::sys::scribe_io::is_in_memory;

/// Files that are open at the same time.
const OPEN_MAX: usize = 128;
/// From this many files of one disk on, the whole disk is synced once instead of each file.
const TOGETHER_MIN: usize = 4;
/// So many files are worth a second thread: the kernel takes its time to make and to rename each.
const SHARED_MIN: usize = 16;
/// Mode of a file that everybody may read.
const PUBLIC: u32 = 0o644;
/// Mode of a file that only its owner may read.
const PRIVATE: u32 = 0o600;

/// What is to become of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Task {
    /// It has this content, also after a power cut.
    Replace(Box<[u8]>),
    /// It has this content and only its owner may read it, whom the first [`OWNER_BYTES`] bytes name.
    Secret(Box<[u8]>),
    /// It has these lines more.
    Append(Vec<u8>),
    /// It is not there.
    Remove,
}

/// One file and what is to become of it.
#[derive(Debug)]
pub(super) struct Job {
    /// The file.
    pub(super) path: PathBuf,
    /// What is to become of it.
    pub(super) task: Task,
    /// Who wants to know.
    pub(super) tickets: Vec<u32>,
}

/// Does all jobs; the answer to each is an errno, 0 for success.
pub(super) fn perform(jobs: Vec<Job>) -> Vec<(Job, i32)> {
    let mut results = Vec::with_capacity(jobs.len());
    let mut jobs = jobs.into_iter().peekable();
    while jobs.peek().is_some() {
        let some: Vec<Job> = jobs.by_ref().take(OPEN_MAX).collect();
        results.extend(perform_some(some));
    }
    results
}

/// Gives one file a new content, whole or not at all, also after a power cut; its mode and owner stay, or are
/// those of `like`. For whoever is no supervisor and may wait.
pub(crate) fn replace_now(path: &Path, body: &[u8], like: Option<&Metadata>) -> io::Result<()> {
    let mut folders = BTreeSet::new();
    let old = fs::metadata(path).ok();
    let like = old.as_ref().or(like);
    let file = write_beside(path, body, PRIVATE, &mut folders)?;
    let mode = like.map_or(PUBLIC, |like| like.mode() & 0o777);
    let owned = match &old {
        // Only root may give a file away.
        Some(old) if nix::unistd::geteuid().is_root() => fchown(&file, Some(old.uid()), Some(old.gid())),
        Some(_) | None => Ok(()),
    };
    let settled = owned.and_then(|()| file.set_permissions(Permissions::from_mode(mode)));
    let synced = settled.and_then(|()| file.sync_all()).and_then(|()| finish(path, &mut folders));
    if synced.is_err() {
        drop(fs::remove_file(temporary(path)));
    }
    synced?;
    folders.iter().try_for_each(|folder| File::open(folder)?.sync_all())
}

/// Does jobs that wait for no disk: all but replacements on one.
pub(super) fn perform_at_once(jobs: Vec<Job>) -> Vec<(Job, i32)> {
    let mut results: Vec<(Job, i32)> = jobs.into_iter().map(|job| (job, 0)).collect();
    halves::each(&mut results, SHARED_MIN, |(job, errno)| *errno = number(at_once(job).err()));
    results
}

/// Does a job that waits for no disk.
fn at_once(job: &Job) -> io::Result<()> {
    match &job.task {
        Task::Replace(body) => replace(&job.path, body, PUBLIC, None),
        Task::Secret(body) => replace_secret(&job.path, body),
        Task::Append(lines) => append(&job.path, lines),
        Task::Remove => remove(&job.path),
    }
}

/// Does as many jobs as may have files open together.
fn perform_some(jobs: Vec<Job>) -> Vec<(Job, i32)> {
    let mut folders = BTreeSet::new();
    let written: Vec<(Job, io::Result<Option<File>>)> = jobs
        .into_iter()
        .map(|job| {
            let result = begin(&job, &mut folders);
            (job, result)
        })
        .collect();
    let unsynced = sync(written.iter().filter_map(|(_, result)| result.as_ref().ok()?.as_ref()));
    let mut results: Vec<(Job, i32)> = written
        .into_iter()
        .map(|(job, result)| {
            let result = match (result, unsynced) {
                (Ok(Some(_)), Some(errno)) => Err(io::Error::from_raw_os_error(errno)),
                (Ok(Some(_)), None) => finish(&job.path, &mut folders),
                (other, _) => other.map(drop),
            };
            if result.is_err() && matches!(job.task, Task::Replace(_)) {
                drop(fs::remove_file(temporary(&job.path)));
            }
            let errno = number(result.err());
            (job, errno)
        })
        .collect();
    let folders: Vec<File> = folders.iter().filter_map(|folder| File::open(folder).ok()).collect();
    if let Some(errno) = sync(folders.iter()) {
        for (job, result) in &mut results {
            if *result == 0 && matches!(job.task, Task::Replace(_)) {
                *result = errno;
            }
        }
    }
    results
}

/// Does what needs no disk to be waited for; a file that does comes back open, to be synced and renamed.
fn begin(job: &Job, folders: &mut BTreeSet<PathBuf>) -> io::Result<Option<File>> {
    match &job.task {
        Task::Replace(body) => write_beside(&job.path, body, PUBLIC, folders).map(Some),
        Task::Secret(body) => replace_secret(&job.path, body).map(|()| None),
        Task::Append(lines) => append(&job.path, lines).map(|()| None),
        Task::Remove => remove(&job.path).map(|()| None),
    }
}

/// Gives a file a new content, whole or not at all; a power cut may undo it.
fn replace(path: &Path, body: &[u8], mode: u32, owner: Option<u32>) -> io::Result<()> {
    let written = write_beside(path, body, mode, &mut BTreeSet::new());
    let written = written.and_then(|file| owner.map_or(Ok(()), |_| fchown(&file, owner, None)));
    let result = written.and_then(|()| fs::rename(temporary(path), path));
    if result.is_err() {
        drop(fs::remove_file(temporary(path)));
    }
    result
}

/// The same for a file that only its owner may read.
fn replace_secret(path: &Path, body: &[u8]) -> io::Result<()> {
    let (owner, body) = body.split_first_chunk::<OWNER_BYTES>().ok_or(io::ErrorKind::InvalidData)?;
    let owner = u32::from_le_bytes(*owner);
    replace(path, body, PRIVATE, (owner != u32::MAX).then_some(owner))
}

/// Removes a file; one that is not there is no error.
fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// The number of an error, 0 for none.
fn number(error: Option<io::Error>) -> i32 {
    error.map_or(0, |error| error.raw_os_error().unwrap_or(libc::EIO))
}

/// Gives a synced file its name.
fn finish(path: &Path, folders: &mut BTreeSet<PathBuf>) -> io::Result<()> {
    fs::rename(temporary(path), path)?;
    folders.extend(path.parent().map(Path::to_owned));
    Ok(())
}

/// Writes a new file beside `path`; makes its folder if it is missing.
fn write_beside(path: &Path, body: &[u8], mode: u32, folders: &mut BTreeSet<PathBuf>) -> io::Result<File> {
    let temporary = temporary(path);
    let mut options = OpenOptions::new();
    // Never into a file that was there before: it may be readable by others, or a link.
    options.write(true).create_new(true).mode(mode);
    let mut file = match options.open(&temporary) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let folder = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
            make_folder(folder, if mode == PRIVATE { 0o711 } else { 0o755 }, folders)?;
            options.open(&temporary)?
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            fs::remove_file(&temporary)?;
            options.open(&temporary)?
        }
        other => other?,
    };
    let written = file.write_all(body);
    if written.is_err() {
        drop(fs::remove_file(&temporary));
    }
    written.map(|()| file)
}

/// Makes a folder, and 0755 those above it; `changed` gets the folders that have new entries.
fn make_folder(folder: &Path, mode: u32, changed: &mut BTreeSet<PathBuf>) -> io::Result<()> {
    let above = folder.parent().ok_or(io::ErrorKind::NotFound)?;
    let builder = || {
        let mut builder = fs::DirBuilder::new();
        builder.mode(mode);
        builder
    };
    let result = match builder().create(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            make_folder(above, 0o755, changed)?;
            builder().create(folder)
        }
        other => other,
    };
    match result {
        // Perhaps by another thread, just now.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        other => other?,
    }
    changed.insert(above.to_owned());
    Ok(())
}

/// `.name.tmp` in the same folder.
fn temporary(path: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".tmp");
    path.with_file_name(name)
}

/// Makes the content of files or folders safe from a power cut; an errno if that failed. Those in memory need
/// nothing.
fn sync<'a>(files: impl Iterator<Item = &'a File>) -> Option<i32> {
    let mut disks: BTreeMap<u64, Vec<&File>> = BTreeMap::new();
    for file in files {
        let disk = file.metadata().map_or(0, |data| data.dev());
        disks.entry(disk).or_default().push(file);
    }
    let mut failed = None;
    for files in disks.values() {
        let Some(first) = files.first().filter(|first| !is_in_memory(first)) else { continue };
        let result = if files.len() >= TOGETHER_MIN {
            nix::unistd::syncfs(first).map_err(io::Error::from)
        } else {
            files.iter().try_for_each(|file| file.sync_all())
        };
        failed = failed.or(result.err().map(|error| error.raw_os_error().unwrap_or(libc::EIO)));
    }
    failed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scribe::tests::Folder;

    /// A job nobody waits for.
    fn job(path: PathBuf, task: Task) -> Job {
        Job { path, task, tickets: Vec::new() }
    }

    /// The mode of a file or folder.
    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    /// Names in a folder.
    fn names(path: &Path) -> Vec<OsString> {
        fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name()).collect()
    }

    #[test]
    fn files_appear_whole_with_their_folders_and_nothing_beside_them() {
        for folder in [Folder::new(), Folder::on("/dev/shm")] {
            let jobs = (0..300)
                .map(|n| {
                    job(folder.path(&format!("s/{n}/process.json")), Task::Replace(vec![b'x'; n].into()))
                })
                .collect();
            assert!(perform(jobs).iter().all(|(_, errno)| *errno == 0));
            for n in 0..300 {
                assert_eq!(fs::read(folder.path(&format!("s/{n}/process.json"))).unwrap().len(), n);
                assert_eq!(names(&folder.path(&format!("s/{n}"))), ["process.json"]);
            }
        }
    }

    #[test]
    fn a_secret_is_for_its_owner_only_whatever_was_there() {
        let folder = Folder::new();
        let path = folder.path("run/configs/a.json");
        let secret = || vec![job(path.clone(), Task::Secret(b"\xff\xff\xff\xffsecret"[..].into()))];
        assert_eq!(perform(secret()).first().unwrap().1, 0);
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o711));
        fs::write(temporary(&path), "left by a crash").unwrap();
        fs::set_permissions(temporary(&path), Permissions::from_mode(0o666)).unwrap();
        assert_eq!(perform(secret()).first().unwrap().1, 0);
        assert_eq!(mode(&path), 0o600);
        let gone = || vec![job(path.clone(), Task::Remove)];
        assert_eq!(perform(gone()).first().unwrap().1, 0);
        assert_eq!(perform(gone()).first().unwrap().1, 0, "missing is fine");
        assert!(!path.exists());
    }

    #[test]
    fn what_fails_costs_itself_only_and_leaves_nothing() {
        let folder = Folder::new();
        fs::write(folder.path("file"), "in the way").unwrap();
        fs::create_dir(folder.path("folder")).unwrap();
        let results = perform(vec![
            job(folder.path("file/below.json"), Task::Replace(b"1"[..].into())),
            job(folder.path("folder"), Task::Replace(b"2"[..].into())),
            job(folder.path("good.json"), Task::Replace(b"3"[..].into())),
        ]);
        let errors: Vec<i32> = results.iter().map(|(_, errno)| *errno).collect();
        assert_eq!(errors, [libc::ENOTDIR, libc::EISDIR, 0]);
        assert_eq!(fs::read(folder.path("good.json")).unwrap(), b"3");
        assert!(names(folder.as_ref()).iter().all(|name| !name.to_string_lossy().ends_with(".tmp")));
    }
}
