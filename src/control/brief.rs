//! What people are shown of a service: few of the fields of its report, and none that says nothing. Whoever wants all
//! of them asks for the report itself.

use serde::Serialize;

/// A service in brief. The fields are those of `wire::ServiceReport`, by name and meaning.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(
    clippy::missing_docs_in_private_items,
    reason = "see wire::ServiceReport; whether it is looked at differs"
)]
pub(crate) struct Brief<'a> {
    pub(crate) server_id: &'a str,
    pub(crate) status: &'a str,
    pub(crate) restart_count: u64,
    pub(crate) health_status: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pid: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) start_ticks: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) uptime: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) last_error: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) memory_usage: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) memory_pressure: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cpu_usage: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) last_health_check: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) waits_for: Option<Box<str>>,
    #[serde(skip_serializing_if = "is_not")]
    pub(crate) completed: bool,
    #[serde(skip_serializing_if = "is_none")]
    pub(crate) recovery_attempts: u64,
    #[serde(skip_serializing_if = "is_not")]
    pub(crate) needs_intervention: bool,
    #[serde(skip_serializing_if = "is_not")]
    pub(crate) enabled: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) endpoint: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) over_threshold: Vec<Box<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) retry_in: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) request_count: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error_count: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) average_response_time: Option<f64>,
    #[serde(skip_serializing_if = "is_none")]
    pub(crate) dropped_lines: u64,
    #[serde(skip_serializing_if = "is_none")]
    pub(crate) ignored_messages: u64,
}

/// Whether it is not so.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's form")]
const fn is_not(flag: &bool) -> bool {
    !*flag
}

/// Whether there are none.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's form")]
const fn is_none(count: &u64) -> bool {
    *count == 0
}
