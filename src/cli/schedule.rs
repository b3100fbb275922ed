//! `schedule`: what runs next, when, and how the last run ended. When an expression comes is known in `life`.

use serde::Deserialize;
use serde_json::{Value, json};

use super::arguments::Invocation;
use super::failure::{FAILED, Failure, OK};
use super::options::Flag;
use super::output::{Output, Style};
use super::places::Places;
use super::status::ANSWER_TIME;
use super::units;
use crate::config::zone;
use crate::control::client::{Client, ClientError};
use crate::control::schedule::{ClockReport, EntryReport, LastRun, ScheduleReport};
use crate::control::wire::Order;
use crate::life::calendar::{DAY, Date};
use crate::life::cron::Cron;
use crate::life::zone::Zone;

/// Times shown of an expression when nobody says how many.
const TIMES: usize = 5;

/// Most times.
const TIMES_MAX: usize = 1_000_000;

/// A line of the answer.
#[derive(Debug, Deserialize)]
struct Line {
    /// The clock.
    supervisor: Option<ClockReport>,
    /// A schedule.
    service: Option<ScheduleReport>,
    /// It is done.
    done: Option<Box<str>>,
    /// It is not.
    error: Option<Box<str>>,
    /// The exit code that says the same.
    exit: Option<u8>,
}

/// An entry, and whose it is.
type Entry = (Option<Box<str>>, EntryReport);

/// `schedule [SERVICE…] [-n N]`, `schedule --cron EXPRESSION [--from TIME] [-n N]`.
pub(super) fn answer(invocation: &Invocation, places: &Places, out: &mut Output) -> Result<u8, Failure> {
    let count = count(invocation)?;
    if let Some(text) = invocation.value(Flag::Cron) {
        let text = text.to_string_lossy();
        let cron = Cron::parse(&text)
            .map_err(|problem| Failure::usage(format!("cannot read --cron \"{text}\": it {problem}")))?;
        let zone = zone::local(&places.environment);
        return try_out(&cron, &zone, from(invocation)?, count.unwrap_or(TIMES), invocation.json(), out);
    }
    if invocation.has(Flag::From) {
        return Err(Failure::usage("cannot read --from: it goes with --cron"));
    }
    let (clock, mut entries) = ask(invocation, places)?;
    entries.sort_by_key(|(_, entry)| entry.next.unwrap_or(i64::MAX));
    match count {
        Some(count) => runs(&clock, &entries, count, invocation.json(), out)?,
        None if invocation.json() => {
            let entries: Vec<_> = entries.iter().map(|entry| shown(entry, &clock)).collect();
            out.json(&json!({ "schedule": entries }))?;
        }
        None => table(&clock, &entries, out),
    }
    Ok(OK)
}

/// `-n N`.
fn count(invocation: &Invocation) -> Result<Option<usize>, Failure> {
    let Some(typed) = invocation.value(Flag::Lines) else { return Ok(None) };
    let count = typed.to_str().and_then(|text| text.parse().ok()).filter(|count| *count <= TIMES_MAX);
    count.map(Some).ok_or_else(|| {
        Failure::usage(format!("cannot read --lines \"{}\": not a number up to {TIMES_MAX}", typed.display()))
    })
}

/// `--from TIME`, in seconds since 1970; now without.
fn from(invocation: &Invocation) -> Result<i64, Failure> {
    let typed = invocation.value(Flag::From);
    let micros = match typed {
        None => Some(units::wall()),
        Some(typed) => typed.to_str().and_then(|text| units::read_time(text.as_bytes())),
    };
    micros.and_then(|micros| i64::try_from(micros / 1_000_000).ok()).ok_or_else(|| {
        let typed = typed.unwrap_or_default().display();
        Failure::usage(format!("cannot read --from \"{typed}\": not a time such as 2026-05-01T12:00:00Z"))
    })
}

/// Prints when an expression would come.
fn try_out(
    cron: &Cron,
    zone: &Zone,
    from: i64,
    count: usize,
    as_json: bool,
    out: &mut Output,
) -> Result<u8, Failure> {
    let mut at = from;
    for _ in 0..count {
        let Some(next) = cron.next(at, zone) else { break };
        at = next;
        if as_json {
            out.json(&json!({ "time": universal(at), "local": local(at, zone) }))?;
        } else {
            out.line(&local(at, zone));
        }
        out.flush_much()?;
    }
    Ok(OK)
}

/// Asks the supervisor.
fn ask(invocation: &Invocation, places: &Places) -> Result<(ClockReport, Vec<Entry>), Failure> {
    let mut client = Client::connect(&places.socket()?)?;
    client.ask(Order::Schedule { services: invocation.names()? }, Some(ANSWER_TIME))?;
    let (mut clock, mut entries) = (ClockReport::default(), Vec::new());
    loop {
        let line: Line = serde_json::from_slice(client.line()?)
            .map_err(|error| ClientError::Garbage(error.to_string()))?;
        clock = line.supervisor.unwrap_or(clock);
        if let Some(ScheduleReport { server_id, schedule }) = line.service {
            entries.extend(schedule.into_iter().map(|entry| (server_id.clone(), entry)));
        }
        if let Some(error) = line.error {
            return Err(Failure::new(line.exit.unwrap_or(FAILED), &*error));
        }
        if line.done.is_some() {
            return Ok((clock, entries));
        }
    }
}

/// An entry, for programs.
fn shown((server_id, entry): &Entry, clock: &ClockReport) -> Value {
    let last = entry.last.as_ref().map(|last| {
        json!({
            "planned": universal(last.planned), "started": last.started, "ended": last.ended, "ok": last.ok,
            "outcome": last.outcome,
        })
    });
    json!({
        "serverId": server_id, "cron": entry.cron, "run": entry.run, "running": entry.running,
        "next": entry.next.map(universal), "nextLocal": entry.next.map(|at| local(at, &clock.zone)),
        "last": last,
    })
}

/// Prints the next runs of all entries together.
fn runs(
    clock: &ClockReport,
    entries: &[Entry],
    count: usize,
    as_json: bool,
    out: &mut Output,
) -> Result<(), Failure> {
    let cron = |entry: &EntryReport| Cron::parse(&entry.cron).ok();
    let mut next: Vec<_> = entries.iter().filter_map(|it| Some((it.1.next?, cron(&it.1)?, it))).collect();
    for _ in 0..count {
        let Some((at, cron, (server_id, entry))) = next.iter_mut().min_by_key(|(at, ..)| *at) else { break };
        let (time, whose) = (*at, server_id.as_deref());
        *at = cron.next(time, &clock.zone).unwrap_or(i64::MAX);
        if time == i64::MAX {
            break;
        }
        if as_json {
            out.json(&json!({ "time": universal(time), "local": local(time, &clock.zone), "serverId": whose, "run": entry.run }))?;
        } else {
            out.line(&format!("{}  {}  {}", local(time, &clock.zone), whose.unwrap_or("-"), entry.run));
        }
        out.flush_much()?;
    }
    Ok(())
}

/// Prints a table.
fn table(clock: &ClockReport, entries: &[Entry], out: &mut Output) {
    if entries.is_empty() {
        return out.line("nothing is scheduled");
    }
    let head = ["NEXT", "IN", "SERVICE", "RUN", "CRON", "LAST"].map(str::to_owned);
    let row = |(server_id, entry): &Entry| {
        let left = |at: i64| u64::try_from(at.saturating_sub(clock.now)).unwrap_or(0).saturating_mul(1000);
        [
            entry.next.map_or_else(|| "never".to_owned(), |at| local(at, &clock.zone)),
            entry.next.map_or_else(|| "-".to_owned(), |at| units::duration(left(at))),
            server_id.as_deref().unwrap_or("-").to_owned(),
            entry.run.to_string(),
            entry.cron.to_string(),
            last(entry, &clock.zone),
        ]
    };
    let rows: Vec<[String; 6]> = entries.iter().map(row).collect();
    let mut widths = head.each_ref().map(String::len);
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    for (number, row) in std::iter::once(&head).chain(&rows).enumerate() {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        let text = cells.collect::<Vec<_>>().join("  ");
        out.styled(if number == 0 { Style::Dim } else { Style::Plain }, text.trim_end());
        out.text("\n");
    }
}

/// How the last run ended.
fn last(entry: &EntryReport, zone: &Zone) -> String {
    let Some(LastRun { planned, started, ok, outcome, .. }) = &entry.last else { return "-".to_owned() };
    let at = local(*planned, zone);
    let what = match (entry.running, started, ok) {
        (true, ..) => "running since",
        (false, None, _) => "left out at",
        (false, Some(_), Some(true)) => "done at",
        (false, Some(_), Some(false)) => "FAILED at",
        // The supervisor that started it did not see its end.
        (false, Some(_), None) => "cut off at",
    };
    match outcome {
        Some(outcome) => format!("{what} {at}: {outcome}"),
        None => format!("{what} {at}"),
    }
}

/// A time as RFC 3339 in UTC.
fn universal(at: i64) -> String {
    format!("{}Z", digits(at, 'T'))
}

/// A time as the clock on the wall shows it, and how far that is ahead.
fn local(at: i64, zone: &Zone) -> String {
    let ahead = zone.span(at).ahead;
    let (sign, minutes) = (if ahead < 0 { '-' } else { '+' }, ahead.unsigned_abs() / 60);
    format!("{} {sign}{:02}:{:02}", digits(at.saturating_add(ahead), ' '), minutes / 60, minutes % 60)
}

/// A date and a time of day.
fn digits(at: i64, between: char) -> String {
    let Date { year, month, day } = Date::of(at.div_euclid(DAY));
    let second = at.rem_euclid(DAY);
    let (hour, minute) = (second / 3600, second / 60 % 60);
    format!("{year:04}-{month:02}-{day:02}{between}{hour:02}:{minute:02}:{:02}", second % 60)
}
