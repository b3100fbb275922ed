//! An event as a line for people: time, event, service, facts. Its JSON is the supervisor's.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;

use super::output::{Output, Style};
use super::table::one_line;

/// Names that a fact does not need to be told by, in the order they are shown.
const LEADING: [&str; 3] = ["time", "event", "serverId"];

/// Prints an event. What is none is shown as it is.
pub(super) fn render(line: &[u8], out: &mut Output) {
    let Ok(facts) = serde_json::from_slice::<Facts>(line) else {
        out.line(&one_line(&String::from_utf8_lossy(line)));
        return;
    };
    let value = |name: &str| facts.0.iter().find(|(key, _)| key == name).map(|(_, value)| in_words(value));
    let [time, event, service] = LEADING.map(value);
    out.styled(Style::Dim, &time.unwrap_or_else(|| "-".to_owned()));
    let event = event.unwrap_or_else(|| "-".to_owned());
    out.text("  ");
    out.styled(style(&event), &event);
    if let Some(service) = service {
        out.text("  ");
        out.styled(Style::Bold, &service);
    }
    let others = facts.0.iter().filter(|(key, value)| !LEADING.contains(&&**key) && !value.is_null());
    for (number, (key, value)) in others.enumerate() {
        out.text(if number == 0 { "  " } else { " " });
        out.text(&format!("{}={}", one_line(key), in_words(value)));
    }
    out.text("\n");
}

/// A fact. Words with spaces are quoted, so that each fact can be told from the next.
fn in_words(value: &Value) -> String {
    let word = value.as_str().filter(|text| !text.is_empty() && !text.contains([' ', '"', '=']));
    word.map_or_else(|| one_line(&value.to_string()), one_line)
}

/// How an event looks.
fn style(event: &str) -> Style {
    let ends = |end: &str| event.ends_with(end);
    if ends("error") || ends("failed") {
        Style::Red
    } else if ends("started") {
        Style::Green
    } else {
        Style::Plain
    }
}

/// The members of a JSON object, in their order.
struct Facts(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Facts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        /// Collects them.
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Facts;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an event")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Facts, A::Error> {
                let mut facts = Vec::new();
                while let Some(fact) = map.next_entry()? {
                    facts.push(fact);
                }
                Ok(Facts(facts))
            }
        }

        deserializer.deserialize_map(Members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_keep_their_order() {
        let mut out = Output::plain();
        let line = br#"{"event":"process.stopped","time":"2026-01-01T00:00:00Z","serverId":"pets","signal":"SIGKILL",
            "code":null,"reason":"was \u001b killed","lived":5,"at":{"a":1}}"#;
        render(line, &mut out);
        render(b"garbage\x1b", &mut out);
        render(b"{}", &mut out);
        assert_eq!(
            out.gathered(),
            "2026-01-01T00:00:00Z  process.stopped  pets  signal=SIGKILL reason=\"was \\u001b killed\" lived=5 \
             at={\"a\":1}\ngarbage\\u{1b}\n-  -\n"
        );
    }
}
