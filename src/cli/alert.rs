//! An alert as a line for people: time, level, service, what it is about, in words. Its JSON is the supervisor's.

use serde_json::Value;

use super::output::{Output, Style};
use super::table::one_line;

/// Prints an alert. What is none is shown as it is.
pub(super) fn render(line: &[u8], out: &mut Output) {
    let Ok(alert) = serde_json::from_slice::<Value>(line) else {
        out.line(&one_line(&String::from_utf8_lossy(line)));
        return;
    };
    let word = |name: &str| one_line(alert.get(name).and_then(Value::as_str).unwrap_or("-"));
    let level = word("level");
    out.styled(Style::Dim, &word("time"));
    out.text("  ");
    out.styled(style(&level), &format!("{level:<8}"));
    out.text("  ");
    let service =
        alert.get("serverId").and_then(Value::as_str).map_or_else(|| "mcp-init".to_owned(), one_line);
    out.styled(Style::Bold, &service);
    out.text(&format!("  {}: {}", word("kind"), word("text")));
    match alert.get("suppressed").and_then(Value::as_u64) {
        Some(1) => out.text(" (and once more before)"),
        Some(count) if count > 0 => out.text(&format!(" (and {count} times before)")),
        Some(_) | None => {}
    }
    out.text("\n");
}

/// How a level looks.
fn style(level: &str) -> Style {
    match level {
        "WARNING" => Style::Yellow,
        "ERROR" | "CRITICAL" => Style::Red,
        _ => Style::Plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alert_is_a_line() {
        let mut out = Output::plain();
        let line = br#"{"time":"t","level":"WARNING","kind":"memory","serverId":"pets","text":"is \u001b over","suppressed":12}"#;
        render(line, &mut out);
        render(
            br#"{"time":"t","level":"INFO","kind":"recovered","text":"the disk takes files again"}"#,
            &mut out,
        );
        render(b"garbage\x1b", &mut out);
        assert_eq!(
            out.gathered(),
            "t  WARNING   pets  memory: is \\u{1b} over (and 12 times before)\n\
             t  INFO      mcp-init  recovered: the disk takes files again\ngarbage\\u{1b}\n"
        );
    }
}
