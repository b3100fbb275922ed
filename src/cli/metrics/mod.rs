//! `metrics`: the report as text for Prometheus and its like, printed or written to a file. What is counted is the
//! supervisor's concern.

mod family;
mod figures;

use std::fs;
use std::path::Path;

use super::arguments::Invocation;
use super::failure::{FAILED, Failure, NO_PERMISSION, OK};
use super::options::Flag;
use super::output::Output;
use super::places::Places;
use super::process::Kernel;
use super::report;
use super::status::ANSWER_TIME;
use crate::control::client::Client;
use crate::control::wire::Order;
use crate::scribe::replace_now;
use crate::sys::own::reason;

use family::{Family, Format, render};

/// What the textfile collector's files end with.
const OF_COLLECTOR: &str = "prom";

/// `metrics`.
pub(super) fn answer(invocation: &Invocation, places: &Places, out: &mut Output) -> Result<u8, Failure> {
    let file = invocation.value(Flag::Output).map(|said| places.environment.current_dir.join(said));
    let format = format(invocation, file.as_deref())?;
    let settings = places.settings()?;
    let mut client = Client::connect(&places.socket()?)?;
    let id = client.ask(Order::Status { services: Vec::new(), brief: true }, Some(ANSWER_TIME))?;
    let kernel = Kernel::below(&client);
    let mut report = report::hear(&mut client, id)?;
    report.end.done()?;
    kernel.fill_in_all(&mut report.services);
    for service in &mut report.services {
        service.log_bytes = size(&settings.log_dir.join(&*service.server_id));
    }
    let mut families = report.supervisor.as_ref().map(figures::of_supervisor).unwrap_or_default();
    families.extend(figures::of_services(&report.services));
    match file {
        Some(file) => write(&file, &families, format)?,
        None if invocation.json() => out.json(&families)?,
        None => out.text(&render(&families, format)),
    }
    Ok(OK)
}

/// `--format NAME`; a file for the textfile collector is one that it can read.
fn format(invocation: &Invocation, file: Option<&Path>) -> Result<Format, Failure> {
    if invocation.json() && file.is_some() {
        return Err(Failure::usage("cannot use --json and --output at once"));
    }
    let is_of_collector = file.and_then(Path::extension).is_some_and(|ending| ending == OF_COLLECTOR);
    match invocation.value(Flag::Format) {
        None if is_of_collector => Ok(Format::Prometheus),
        None => Ok(Format::OpenMetrics),
        Some(said) if said == "openmetrics" => Ok(Format::OpenMetrics),
        Some(said) if said == "prometheus" => Ok(Format::Prometheus),
        Some(said) => {
            let said = said.display();
            Err(Failure::usage(format!("cannot read --format \"{said}\": openmetrics or prometheus")))
        }
    }
}

/// Writes a file by renaming it into its place: whoever reads it finds the old one or the new one. Its folder is
/// somebody else's, and is not made: nobody would look into one that is misspelt.
fn write(file: &Path, families: &[Family<'_>], format: Format) -> Result<(), Failure> {
    let folder = file.parent().unwrap_or_else(|| Path::new("/"));
    let written =
        fs::read_dir(folder).and_then(|_| replace_now(file, render(families, format).as_bytes(), None));
    written.map_err(|error| {
        let code = if error.kind() == std::io::ErrorKind::PermissionDenied { NO_PERMISSION } else { FAILED };
        Failure::new(code, format!("cannot write {}: {}", file.display(), reason(&error)))
    })
}

/// The bytes of all files in a folder, if it is there.
fn size(folder: &Path) -> Option<u64> {
    let sizes = fs::read_dir(folder).ok()?.flatten().filter_map(|entry| Some(entry.metadata().ok()?.len()));
    Some(sizes.fold(0, u64::saturating_add))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::report::Service;
    use crate::control::wire::SupervisorReport;

    #[test]
    fn the_text_is_as_it_always_was() {
        let supervisor =
            SupervisorReport { pid: 1, version: "0.1.0".into(), uptime: 1500, ..Default::default() };
        let json = r#"{"serverId":"pets","status":"running","restartCount":2,"enabled":true,"healthStatus":"healthy",
            "processConfig":{},"memoryUsage":4096,"cpuUsage":50,"uptime":1000}"#;
        let services = [serde_json::from_str::<Service>(json).unwrap()];
        let mut families = figures::of_supervisor(&supervisor);
        families.extend(figures::of_services(&services));
        let text = render(&families, Format::OpenMetrics);
        for part in [
            "# HELP mcp_init_supervisor The supervisor.\n# TYPE mcp_init_supervisor info\n\
             mcp_init_supervisor_info{version=\"0.1.0\"} 1\n",
            "# TYPE mcp_init_uptime_seconds gauge\n# UNIT mcp_init_uptime_seconds seconds\n",
            "\nmcp_init_uptime_seconds 1.5\n",
            "\nmcp_init_service_state{service=\"pets\",mcp_init_service_state=\"running\"} 1\n",
            "\nmcp_init_service_restarts_total{service=\"pets\"} 2\n",
            "\nmcp_init_service_cpu_ratio{service=\"pets\"} 0.5\n",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
        assert!(text.ends_with("\n# EOF\n"));
        let text = render(&families, Format::Prometheus);
        for part in [
            "# TYPE mcp_init_supervisor_info gauge\nmcp_init_supervisor_info{version=\"0.1.0\"} 1\n",
            "# TYPE mcp_init_service_restarts_total counter\nmcp_init_service_restarts_total{service=\"pets\"} 2\n",
            "# TYPE mcp_init_service_state gauge\n",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
        assert!(!text.contains("# UNIT") && !text.contains("# EOF"), "{text}");
    }
}
