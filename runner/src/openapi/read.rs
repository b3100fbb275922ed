//! Bytes of a document from a file or a URL, bounded. What a URL gave before is kept on disk: it is asked whether
//! it changed, and stands in for it while it cannot be reached. Parses nothing.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderName};
use http::{Method, Request, StatusCode, Uri};
use http_body_util::Full;
use serde::{Deserialize, Serialize};

use super::place::Location;
use super::server::Base;
use super::stamp::Stamp;
use crate::client::{Client, FOLLOWED_MAX, Guard, Limits, Options, Reply, USER_AGENT, onward};
use crate::config::Redirects;
use crate::failure::words;
use crate::hash;

/// Largest document, its other files among it: the largest public one known has 47 MB.
pub(super) const BYTES_MAX: usize = 64 << 20;
/// Shortest file that is worth two threads.
const HALVES_BYTES_MIN: usize = 1 << 20;
/// Longest wait for a document behind a URL.
const FETCH_MAX: Duration = Duration::from_secs(30);

/// What fetches URLs.
#[derive(Debug)]
pub(crate) struct Fetcher {
    /// Those that the operator chose.
    client: Client,
    /// Those that a server sends us on to.
    stranger: Client,
}

impl Fetcher {
    /// Reaches what was chosen in this way. Who was not chosen is not told who we are, and is out in the public.
    pub(crate) fn new(options: Options) -> Self {
        let (ca, proxy, guard) = (options.ca.clone(), options.proxy.clone(), Guard::Public);
        let stranger = Client::new(Options { ca, proxy, guard, ..Options::default() });
        Self { client: Client::new(options), stranger }
    }
}

/// Reads what one document is made of.
#[derive(Debug)]
pub(super) struct Reader {
    /// For URLs.
    fetcher: Fetcher,
    /// Where copies are kept, if anywhere.
    kept_in: Option<PathBuf>,
    /// Bytes that may still be read.
    left: usize,
    /// Files read so far, as they were just before.
    pub(super) files: Vec<Stamp>,
    /// Replies that become copies once the whole document is found to be good.
    fresh: Vec<(Kept, Bytes)>,
    /// What went otherwise than it should, in words.
    pub(super) notes: Vec<String>,
}

/// What is known of a copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Kept {
    /// Its URL, with its query.
    url: String,
    /// What its server called this state.
    etag: Option<String>,
    /// When it changed last, as its server says it.
    modified: Option<String>,
}

impl Reader {
    /// With a folder for copies, or without; and with what fetches URLs.
    pub(super) fn new(kept_in: Option<PathBuf>, fetcher: Fetcher) -> Self {
        let (files, fresh, notes) = (Vec::new(), Vec::new(), Vec::new());
        Self { fetcher, kept_in, left: BYTES_MAX, files, fresh, notes }
    }

    /// Reads one file or URL.
    pub(super) async fn read(&mut self, location: &Location) -> Result<Bytes, String> {
        let bytes = match location {
            Location::Nowhere => return Err("it is nowhere".to_owned()),
            Location::File(path) => {
                self.files.push(Stamp::of(path));
                Bytes::from(file(path, self.left).map_err(|error| words(&error.to_string()).to_owned())?)
            }
            Location::Url(url) => self.url(url).await?,
        };
        self.left = self.left.checked_sub(bytes.len()).ok_or_else(too_large)?;
        Ok(bytes)
    }

    /// Reads a URL, or its copy where that is as good or all there is.
    async fn url(&mut self, url: &str) -> Result<Bytes, String> {
        let copy = self.copy(url);
        let known = copy.as_ref().map(|(kept, _)| kept);
        let reason = match self.fetch(url, known).await {
            Ok(reply) if reply.status == StatusCode::NOT_MODIFIED => match copy {
                Some((_, bytes)) => return Ok(bytes),
                None => return Err("the server answered 304 to no condition".to_owned()),
            },
            Ok(reply) if reply.status.is_success() => {
                let said = |name: HeaderName| Some(reply.headers.get(name)?.to_str().ok()?.to_owned());
                let (etag, modified) = (said(header::ETAG), said(header::LAST_MODIFIED));
                self.fresh.push((Kept { url: url.to_owned(), etag, modified }, reply.body.clone()));
                return Ok(reply.body);
            }
            Ok(reply) => {
                let reason = refused(&reply);
                // Who says that there is nothing, or that we may not see it, is not down.
                let is_down = reply.status.is_server_error() || reply.status == StatusCode::TOO_MANY_REQUESTS;
                if !is_down {
                    return Err(reason);
                }
                reason
            }
            Err(reason) => reason,
        };
        let Some((_, bytes)) = copy else {
            return Err(reason);
        };
        let name = Location::Url(url.to_owned()).name();
        self.notes.push(format!("cannot read document {name}: {reason}; the last copy of it is used"));
        Ok(bytes)
    }

    /// Asks a URL, with what is known of it as the condition, and goes where it is sent on to: a server that the
    /// operator did not choose must be out in the public. What was private stays private.
    async fn fetch(&self, url: &str, known: Option<&Kept>) -> Result<Reply, String> {
        let first = Base::parse(url.split('?').next().unwrap_or_default())?;
        let mut uri: Uri = url.parse().map_err(|_| "it is not a URL".to_owned())?;
        for _ in 0..=FOLLOWED_MAX {
            let is_first = uri.host() == Some(first.authority.host());
            let client = if is_first { &self.fetcher.client } else { &self.fetcher.stranger };
            let limits = Limits { time_max: FETCH_MAX, body_bytes_max: self.left };
            let reply = client.send(question(&uri, known)?, limits).await.map_err(|error| {
                if is_first { error.to_string() } else { format!("it has moved to {}: {error}", named(&uri)) }
            })?;
            match onward(&Method::GET, &uri, reply.status, &reply.headers, Redirects::Any) {
                Some(next) => uri = next.uri,
                None => return Ok(reply),
            }
        }
        Err("it sends us on and on".to_owned())
    }

    /// The copy of a URL, if there is one.
    fn copy(&self, url: &str) -> Option<(Kept, Bytes)> {
        let (about, body) = names(self.kept_in.as_deref()?, url);
        let kept: Kept = serde_json::from_slice(&file(&about, 64 << 10).ok()?).ok()?;
        if kept.url != url {
            return None;
        }
        Some((kept, file(&body, self.left).ok()?.into()))
    }

    /// Whether everything came from copies, and no file was read.
    pub(super) fn is_same(&self) -> bool {
        self.files.is_empty() && self.fresh.is_empty() && self.left < BYTES_MAX
    }

    /// Keeps what was fetched: it is good. That it cannot be kept harms nobody today.
    pub(super) fn keep(&mut self) {
        let fresh = std::mem::take(&mut self.fresh);
        let Some(folder) = &self.kept_in else {
            return;
        };
        for (kept, bytes) in fresh {
            let (about, body) = names(folder, &kept.url);
            // The body first: what says how old it is must never be newer than it.
            let written = fs::remove_file(&about).or_else(|error| match error.kind() {
                io::ErrorKind::NotFound => Ok(()),
                _ => Err(error),
            });
            let written = written.and_then(|()| put(&body, &[bytes]));
            let about_text = serde_json::to_vec(&kept).unwrap_or_default();
            if let Err(error) = written.and_then(|()| put(&about, &[about_text])) {
                let name = Location::Url(kept.url).name();
                self.notes.push(format!("cannot keep a copy of {name}: {}", words(&error.to_string())));
            }
        }
    }

    /// Gives up what was fetched and turned out to be no document; the copies there may be used instead.
    pub(super) fn forget(&mut self) -> Option<Bytes> {
        let fresh = std::mem::take(&mut self.fresh);
        let (kept, _) = fresh.first()?;
        self.copy(&kept.url).map(|(_, bytes)| bytes)
    }
}

/// What a server is asked.
fn question(uri: &Uri, known: Option<&Kept>) -> Result<Request<Full<Bytes>>, String> {
    let mut request = Request::get(uri.clone())
        .header(header::ACCEPT, "application/json, application/yaml;q=0.9, */*;q=0.5")
        .header(header::ACCEPT_ENCODING, "gzip")
        .header(header::USER_AGENT, USER_AGENT);
    let conditions = known
        .map(|known| [(header::IF_NONE_MATCH, &known.etag), (header::IF_MODIFIED_SINCE, &known.modified)]);
    for (name, value) in conditions.into_iter().flatten() {
        if let Some(value) = value {
            request = request.header(name, value);
        }
    }
    request.body(Full::default()).map_err(|error| error.to_string())
}

/// What may be said of a URL: its query may carry a token.
fn named(uri: &Uri) -> String {
    Location::Url(uri.to_string()).name()
}

/// Where a copy is: what is known of it, and its bytes.
fn names(folder: &Path, url: &str) -> (PathBuf, PathBuf) {
    let stem = format!("document-{:016x}", hash::of(url.as_bytes()));
    (folder.join(format!("{stem}.json")), folder.join(stem))
}

/// Writes a file whole or not at all.
pub(crate) fn put(path: &Path, parts: &[impl AsRef<[u8]>]) -> io::Result<()> {
    let beside = path.with_extension(format!("{}.new", std::process::id()));
    let write = |mut file: File| parts.iter().try_for_each(|part| file.write_all(part.as_ref()));
    let written = File::create(&beside).and_then(write).and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        drop(fs::remove_file(&beside));
    }
    written
}

/// Reads a file, never more than a bound (a fifo or a device has no length to check).
fn file(path: &Path, bytes_max: usize) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    let length = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
    if (HALVES_BYTES_MIN..=bytes_max).contains(&length)
        && let Ok(bytes) = in_halves(&file, length)
    {
        return Ok(bytes);
    }
    stream(file, length, bytes_max)
}

/// Reads a long file by two threads. An error where it is not as long as it was, or cannot be read so.
fn in_halves(file: &File, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    let (first, second) = bytes.split_at_mut(length / 2);
    let place = |at: usize| u64::try_from(at).map_err(io::Error::other);
    let (middle, end) = (place(first.len())?, place(length)?);
    thread::scope(|scope| {
        let read = move || file.read_exact_at(second, middle);
        let second = thread::Builder::new().spawn_scoped(scope, read)?;
        file.read_exact_at(first, 0)?;
        second.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })?;
    match file.read_at(&mut [0], end)? {
        0 => Ok(bytes),
        _ => Err(io::ErrorKind::FileTooLarge.into()),
    }
}

/// Reads to the end, never more than a bound.
pub(super) fn stream(from: impl Read, length: usize, bytes_max: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(length.min(bytes_max).saturating_add(1));
    let limit = u64::try_from(bytes_max).unwrap_or(u64::MAX).saturating_add(1);
    from.take(limit).read_to_end(&mut bytes)?;
    if bytes.len() > bytes_max { Err(io::Error::other(too_large())) } else { Ok(bytes) }
}

/// What is said of a document over the bound.
fn too_large() -> String {
    format!("it is larger than {} MiB", BYTES_MAX >> 20)
}

/// Why a reply is no document.
fn refused(reply: &Reply) -> String {
    if reply.status.is_redirection() {
        let target = reply.headers.get(header::LOCATION).and_then(|value| value.to_str().ok());
        return format!("it has moved to {}", target.unwrap_or("an unnamed place"));
    }
    format!("the server answered {}", reply.status)
}
