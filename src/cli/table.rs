//! The table of services. It knows how things look and nothing of where they come from.

use super::output::{Output, Style};
use super::report::Service;
use super::units;

/// What is between two columns.
const GAP: &str = "  ";

/// A column: its head, and whether figures are lined up at their end.
struct Column {
    /// Its head.
    head: &'static str,
    /// Right-aligned.
    right: bool,
}

/// All columns but the last, whose width is nobody's concern.
const COLUMNS: [Column; 8] = [
    Column { head: "SERVICE", right: false },
    Column { head: "STATE", right: false },
    Column { head: "PID", right: true },
    Column { head: "UPTIME", right: true },
    Column { head: "RESTARTS", right: true },
    Column { head: "HEALTH", right: false },
    Column { head: "CPU", right: true },
    Column { head: "MEMORY", right: true },
];

/// The last column.
const LAST: &str = "ENDPOINT";

/// Prints the services, a line each, and below each that is not well why.
pub(super) fn render(services: &[Service], out: &mut Output) {
    if services.is_empty() {
        out.line("no services");
        return;
    }
    let rows: Vec<[String; 8]> = services.iter().map(cells).collect();
    let mut widths = COLUMNS.map(|column| column.head.len());
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let endpoints = services.iter().any(|service| service.endpoint.is_some());
    let heads = COLUMNS.map(|column| column.head.to_owned());
    line(out, &heads, &widths, [Style::Dim; 8], endpoints.then_some(LAST));
    for (service, row) in services.iter().zip(&rows) {
        let mut styles = [Style::Plain; 8];
        let [_, state, .., health, _, _] = &mut styles;
        *state = state_style(&service.status);
        *health = health_style(&service.health_status);
        line(out, row, &widths, styles, service.endpoint.as_deref());
        if let Some(why) = why(service) {
            out.text("    ");
            out.styled(Style::Red, &why);
            out.text("\n");
        }
    }
}

/// Prints a line of cells. Nothing follows the last one that is not empty.
fn line(out: &mut Output, cells: &[String; 8], widths: &[usize; 8], styles: [Style; 8], last: Option<&str>) {
    let columns = COLUMNS.iter().zip(cells).zip(widths.iter().zip(styles));
    let count = cells.len();
    for (number, ((column, cell), (width, style))) in columns.enumerate() {
        let pad = width.saturating_sub(cell.chars().count());
        let ends = number.saturating_add(1) == count && last.is_none();
        if column.right {
            spaces(out, pad);
        }
        out.styled(style, cell);
        if !ends {
            if !column.right {
                spaces(out, pad);
            }
            out.text(GAP);
        }
    }
    if let Some(last) = last {
        out.styled(if last == LAST { Style::Dim } else { Style::Plain }, last);
    }
    out.text("\n");
}

/// Prints this many spaces.
fn spaces(out: &mut Output, count: usize) {
    for _ in 0..count {
        out.text(" ");
    }
}

/// A service's cells.
fn cells(service: &Service) -> [String; 8] {
    let none = || "-".to_owned();
    // What was last known of a process says nothing once it is gone.
    let there = !matches!(&*service.status, "stopped" | "listening" | "backoff" | "error");
    [
        service.server_id.to_string(),
        service.status.to_string(),
        service.pid.map_or_else(none, |pid| pid.to_string()),
        service.uptime.map_or_else(none, units::duration),
        service.restart_count.to_string(),
        if there && &*service.health_status != "none" { service.health_status.to_string() } else { none() },
        service.cpu_usage.filter(|_| there).map_or_else(none, |percent| format!("{percent:.1}%")),
        service.memory_usage.filter(|_| there).map_or_else(none, units::size),
    ]
}

/// Why a service is not well, when it is not.
fn why(service: &Service) -> Option<String> {
    if let Some(other) = service.waits_for.as_ref().filter(|_| &*service.status == "starting") {
        return Some(format!("waits for {other}"));
    }
    let failed = matches!(&*service.status, "backoff" | "error");
    if !failed && !service.is_unhealthy() {
        return None;
    }
    let again = service.retry_in.map(|millis| format!("next attempt in {}", units::duration(millis)));
    match (service.last_error.as_deref(), again) {
        (Some(error), Some(again)) => Some(format!("{}; {again}", one_line(error))),
        (Some(error), None) => Some(one_line(error)),
        (None, again) => again,
    }
}

/// Text that cannot break out of its line, or play with the terminal.
pub(super) fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for letter in text.chars() {
        if letter.is_control() { line.extend(letter.escape_default()) } else { line.push(letter) }
    }
    line
}

/// How a state looks.
pub(super) fn state_style(state: &str) -> Style {
    match state {
        "running" | "listening" => Style::Green,
        "error" => Style::Red,
        "stopped" => Style::Dim,
        _ => Style::Yellow,
    }
}

/// How health looks.
fn health_style(health: &str) -> Style {
    match health {
        "healthy" => Style::Green,
        "unhealthy" => Style::Red,
        _ => Style::Dim,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(json: &str) -> Service {
        let base = r#"{"serverId":"a","status":"stopped","restartCount":0,"healthStatus":"none","enabled":true,"processConfig":{}}"#;
        let mut value: serde_json::Value = serde_json::from_str(base).unwrap();
        let more: serde_json::Value = serde_json::from_str(json).unwrap();
        for (key, part) in more.as_object().unwrap() {
            value[key] = part.clone();
        }
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn the_table_is_as_it_always_was() {
        let services = [
            service(
                r#"{"serverId":"github","status":"running","pid":40312,"uptime":93784000,"healthStatus":"healthy",
                "cpuUsage":0.34,"memoryUsage":9646899,"endpoint":"http://127.0.0.1:3002/mcp"}"#,
            ),
            service(
                r#"{"serverId":"pets","status":"backoff","restartCount":12,"healthStatus":"unknown",
                "lastError":"exited with code 1\u001b[2J","retryIn":3100,"cpuUsage":1,"memoryUsage":4096}"#,
            ),
            service(r#"{"serverId":"ticker","status":"stopped"}"#),
        ];
        let mut out = Output::plain();
        render(&services, &mut out);
        assert_eq!(
            out.gathered(),
            "\
SERVICE  STATE      PID  UPTIME  RESTARTS  HEALTH    CPU  MEMORY  ENDPOINT
github   running  40312   1d 2h         0  healthy  0.3%  9.2 MB  http://127.0.0.1:3002/mcp
pets     backoff      -       -        12  -           -       -
    exited with code 1\\u{1b}[2J; next attempt in 3.1s
ticker   stopped      -       -         0  -           -       -
"
        );
    }

    #[test]
    fn without_an_endpoint_there_is_no_such_column() {
        let mut out = Output::plain();
        render(&[service("{}")], &mut out);
        assert!(out.gathered().starts_with("SERVICE  STATE    PID  UPTIME  RESTARTS  HEALTH  CPU  MEMORY\n"));
        let mut out = Output::plain();
        render(&[], &mut out);
        assert_eq!(out.gathered(), "no services\n");
    }
}
