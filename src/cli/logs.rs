//! `logs`, `events` and `alerts`: lines that were written, and lines to come. Where they are found is the trail's concern.

use std::fs;
use std::io;
use std::os::fd::AsFd;

use nix::poll::{PollFd, PollFlags, poll};
use serde_json::json;

use super::alert;
use super::arguments::Invocation;
use super::event;
use super::failure::{Failure, OK};
use super::options::Flag;
use super::output::Output;
use super::places::Places;
use super::status::unknown;
use super::trail::{Trail, Wanted, time_of};
use super::units;
use crate::config;

/// Lines that are shown when nobody says how many.
const LINES: usize = 100;

/// Between two looks at a file that grows.
const LOOK_MS: u8 = 150;

/// `logs SERVICE [-f] [-n N] [--since T]`.
pub(super) fn output(invocation: &Invocation, places: &Places, out: &mut Output) -> Result<u8, Failure> {
    let name = invocation.only_name()?;
    let since = since(invocation)?;
    let last = lines(invocation)?.or(since.is_none().then_some(LINES));
    let settings = places.settings()?;
    let logs = settings.log_dir;
    let folder = logs.join(&*name);
    // One that has said nothing yet has no folder; one that is configured no more may still have one.
    if name.contains('/') || name.starts_with('.') || !folder.is_dir() {
        let configured = config::files_of(&places.config, &places.environment);
        if configured.iter().all(|(id, _)| *id != name) {
            let written = fs::read_dir(&logs).into_iter().flatten().flatten();
            let written = written.filter(|entry| entry.path().is_dir());
            let written: Vec<String> =
                written.filter_map(|entry| entry.file_name().into_string().ok()).collect();
            let known = configured.iter().map(|(id, _)| &**id).chain(written.iter().map(String::as_str));
            return Err(unknown("read the output of", &name, known));
        }
    }
    let trail = Trail::of_log(&folder);
    let object = format!("the output of \"{name}\"");
    let as_json = invocation.json();
    follow(invocation, &trail, Wanted { last, since }, &object, out, &mut |line, out| {
        if as_json {
            let time = time_of(line).is_some();
            let (time, text) = split_time(line, time);
            out.json(&json!({ "serverId": name, "time": time, "text": text }))
        } else {
            out.raw(line);
            out.text("\n");
            Ok(())
        }
    })
}

/// `events [-f] [-n N]`.
pub(super) fn events(invocation: &Invocation, places: &Places, out: &mut Output) -> Result<u8, Failure> {
    journal("events.jsonl", "the events", event::render, invocation, places, out)
}

/// `alerts [-f] [-n N]`.
pub(super) fn alerts(invocation: &Invocation, places: &Places, out: &mut Output) -> Result<u8, Failure> {
    journal("alerts.jsonl", "the alerts", alert::render, invocation, places, out)
}

/// The same for a file of JSON lines.
fn journal(
    file: &str,
    object: &str,
    render: fn(&[u8], &mut Output),
    invocation: &Invocation,
    places: &Places,
    out: &mut Output,
) -> Result<u8, Failure> {
    let last = Some(lines(invocation)?.unwrap_or(LINES));
    let trail = Trail::of_journal(places.settings()?.state_dir.join(file));
    let as_json = invocation.json();
    follow(invocation, &trail, Wanted { last, since: None }, object, out, &mut |line, out| {
        if as_json {
            out.raw(line);
            out.text("\n");
        } else {
            render(line, out);
        }
        Ok(())
    })
}

/// What is done with a line.
type Show<'a> = dyn FnMut(&[u8], &mut Output) -> Result<(), Failure> + 'a;

/// Shows the wanted lines, and with `-f` those to come until somebody interrupts or nobody reads any more.
fn follow(
    invocation: &Invocation,
    trail: &Trail,
    wanted: Wanted,
    object: &str,
    out: &mut Output,
    show: &mut Show<'_>,
) -> Result<u8, Failure> {
    let failed = |error: io::Error| {
        error.downcast::<Failure>().unwrap_or_else(|error| Failure::reading(object, &error))
    };
    let mut follower = trail.read(wanted, &mut printing(show, out)).map_err(failed)?;
    out.flush()?;
    while invocation.has(Flag::Follow) && somebody_reads()? {
        follower.go_on(&mut printing(show, out)).map_err(failed)?;
        out.flush()?;
    }
    Ok(OK)
}

/// Shows lines, and carries a failure to do so past those who only know of files.
fn printing<'a>(show: &'a mut Show<'_>, out: &'a mut Output) -> impl FnMut(&[u8]) -> io::Result<()> + 'a {
    move |line| show(line, out).and_then(|()| out.flush_much()).map_err(io::Error::other)
}

/// Waits a little; `false` once nobody reads what is printed.
fn somebody_reads() -> Result<bool, Failure> {
    let stdout = io::stdout();
    let mut fds = [PollFd::new(stdout.as_fd(), PollFlags::empty())];
    match poll(&mut fds, LOOK_MS) {
        Ok(_) | Err(nix::errno::Errno::EINTR) => {}
        Err(errno) => return Err(Failure::reading("standard output", &errno.into())),
    }
    let [fd] = fds;
    Ok(!fd.any().unwrap_or(false))
}

/// A line's time, if it has one, and the rest of it.
fn split_time(line: &[u8], has_time: bool) -> (Option<String>, String) {
    let text = String::from_utf8_lossy(line);
    match text.split_once(' ').filter(|_| has_time) {
        Some((time, rest)) => (Some(time.to_owned()), rest.to_owned()),
        None => (None, text.into_owned()),
    }
}

/// `-n N`.
fn lines(invocation: &Invocation) -> Result<Option<usize>, Failure> {
    let Some(typed) = invocation.value(Flag::Lines) else { return Ok(None) };
    match typed.to_str().and_then(|text| text.parse().ok()) {
        Some(count) => Ok(Some(count)),
        None => {
            Err(Failure::usage(format!("cannot read --lines \"{}\": not a number of lines", typed.display())))
        }
    }
}

/// `--since T`: a time, or how long ago.
fn since(invocation: &Invocation) -> Result<Option<u64>, Failure> {
    let Some(typed) = invocation.value(Flag::Since) else { return Ok(None) };
    let text = typed.to_str().unwrap_or_default();
    let ago = config::duration(text).and_then(|ago| u64::try_from(ago.as_micros()).ok());
    match ago.map(|ago| units::wall().saturating_sub(ago)).or_else(|| units::read_time(text.as_bytes())) {
        Some(since) => Ok(Some(since)),
        None => Err(Failure::usage(format!(
            "cannot read --since \"{}\": neither a time such as 2026-05-01T12:00:00Z nor one such as 10m",
            typed.display()
        ))),
    }
}
