//! Figures of one meaning, and the two texts they are told in: `OpenMetrics`, and what Prometheus' textfile collector
//! reads, which knows fewer kinds. What is counted is not known here.

use std::fmt::Write;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

/// What kind of figure a family is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    /// It goes up and down.
    Gauge,
    /// It goes up.
    Counter,
    /// It does not change.
    Info,
    /// One of several is 1.
    Stateset,
}

/// A figure.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(untagged)]
pub(super) enum Value {
    /// Whole.
    Whole(u64),
    /// Not.
    Real(f64),
}

/// A figure and whose it is.
#[derive(Debug, Serialize)]
pub(super) struct Sample<'a> {
    /// Labels.
    #[serde(serialize_with = "as_map")]
    pub(super) labels: Vec<(&'static str, &'a str)>,
    /// The figure.
    pub(super) value: Value,
}

/// Figures of one meaning.
#[derive(Debug, Serialize)]
pub(super) struct Family<'a> {
    /// Its name, without `mcp_init_` before and the unit after it.
    pub(super) name: String,
    /// Its kind.
    #[serde(rename = "type")]
    pub(super) kind: Kind,
    /// Its unit, if it has one.
    pub(super) unit: &'static str,
    /// What it means.
    pub(super) help: &'static str,
    /// The figures.
    pub(super) samples: Vec<Sample<'a>>,
}

/// A way to write them down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// `OpenMetrics` 1.0.
    OpenMetrics,
    /// Prometheus' text format, 0.0.4.
    Prometheus,
}

impl Format {
    /// What a kind is called, what its family's name ends with, and what its samples' names end with beyond that.
    const fn words(self, kind: Kind) -> (&'static str, &'static str, &'static str) {
        match (self, kind) {
            (_, Kind::Gauge) | (Self::Prometheus, Kind::Stateset) => ("gauge", "", ""),
            (Self::OpenMetrics, Kind::Counter) => ("counter", "", "_total"),
            (Self::Prometheus, Kind::Counter) => ("counter", "_total", ""),
            (Self::OpenMetrics, Kind::Info) => ("info", "", "_info"),
            (Self::Prometheus, Kind::Info) => ("gauge", "_info", ""),
            (Self::OpenMetrics, Kind::Stateset) => ("stateset", "", ""),
        }
    }
}

/// A family; its whole name has its unit at the end.
pub(super) fn family<'a>(
    name: &str,
    kind: Kind,
    unit: &'static str,
    help: &'static str,
    samples: Vec<Sample<'a>>,
) -> Family<'a> {
    let end = if unit.is_empty() { String::new() } else { format!("_{unit}") };
    Family { name: format!("mcp_init_{name}{end}"), kind, unit, help, samples }
}

/// The text.
pub(super) fn render(families: &[Family<'_>], format: Format) -> String {
    let mut text = String::with_capacity(4096);
    for family in families {
        let Family { name, kind, unit, help, samples } = family;
        let (kind, family_end, sample_end) = format.words(*kind);
        let name = format!("{name}{family_end}");
        let _ = writeln!(text, "# HELP {name} {help}");
        let _ = writeln!(text, "# TYPE {name} {kind}");
        if !unit.is_empty() && format == Format::OpenMetrics {
            let _ = writeln!(text, "# UNIT {name} {unit}");
        }
        for sample in samples {
            let _ = write!(text, "{name}{sample_end}");
            for (number, (label, value)) in sample.labels.iter().enumerate() {
                let _ = write!(text, "{}{label}=\"{}\"", if number == 0 { "{" } else { "," }, escaped(value));
            }
            text.push_str(if sample.labels.is_empty() { " " } else { "} " });
            let _ = match sample.value {
                Value::Whole(value) => writeln!(text, "{value}"),
                Value::Real(value) => writeln!(text, "{value}"),
            };
        }
    }
    if format == Format::OpenMetrics {
        text.push_str("# EOF\n");
    }
    text
}

/// A label's value.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// Labels as a JSON object.
fn as_map<S: Serializer>(labels: &[(&'static str, &str)], serializer: S) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(labels.len()))?;
    for (label, value) in labels {
        map.serialize_entry(label, value)?;
    }
    map.end()
}
