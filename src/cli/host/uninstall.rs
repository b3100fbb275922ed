//! `uninstall`: ends the service and removes what `install` made of it, and what the supervisor left at run time.
//! State and logs only when that is asked for; the configuration never.

use serde_json::json;

use super::super::arguments::Invocation;
use super::super::failure::{FAILED, Failure, OK};
use super::super::options::Flag;
use super::super::output::Output;
use super::super::places::Places;
use super::call::Call;
use super::init::{self, Init};
use super::install::remove_folders;
use super::made::{Found, Made, What, below};
use super::purge;
use super::site::Site;

/// `uninstall`.
pub(in super::super) fn answer(
    invocation: &Invocation,
    places: &Places,
    out: &mut Output,
) -> Result<u8, Failure> {
    let site = Site::of(invocation, places)?;
    site.allow("uninstall", &places.environment)?;
    let force = invocation.has(Flag::Force);
    let mut removed = Vec::new();
    let wanted: Vec<&dyn Init> = match invocation.value(Flag::Init) {
        Some(_) => vec![init::choose(invocation, &site)?],
        None => init::all().filter(|init| !site.user || init.has_users()).collect(),
    };
    for init in wanted {
        let made = there(init, &site, force, invocation.has(Flag::Init))?;
        if !made.is_empty() {
            removed.extend(remove(init, &site, &made)?);
        }
    }
    if removed.is_empty() && !invocation.has(Flag::Purge) {
        return Err(Failure::new(FAILED, format!("cannot uninstall {}: it is not installed", site.name)));
    }
    removed.extend(purge::cache(&site));
    let settings = site.places(places).settings();
    if let Ok(settings) = &settings {
        removed.extend(purge::runtime(settings, &site));
    }
    let kept = match (invocation.has(Flag::Purge), settings) {
        (true, settings) => {
            removed.extend(purge::state(&settings?, &site)?);
            None
        }
        (false, settings) => settings.ok().map(|settings| (settings.state_dir, settings.log_dir)),
    };
    if invocation.json() {
        out.json(&json!({ "name": site.name, "removed": removed }))?;
        return Ok(OK);
    }
    for path in &removed {
        out.line(&format!("{path}: removed"));
    }
    if let Some((state, log)) = kept {
        let (config, state, log) = (&site.config, state.display(), log.display());
        out.line(&format!(
            "the configuration in {config}, the state in {state} and the logs in {log} are kept"
        ));
    }
    Ok(OK)
}

/// What of an init's is there. Unless forced, all of it must be as it was made; and where nothing says that it was
/// made for this init, it is another's, unless it is the one that is named.
fn there(init: &dyn Init, site: &Site, force: bool, is_named: bool) -> Result<Vec<Made>, Failure> {
    let mut all = Vec::new();
    for one in init.made(site) {
        let path = below(&site.root, &one.path);
        let found = one.found(&site.root).map_err(|error| Failure::reading(path.display(), &error))?;
        all.push((one, found));
    }
    let ours = [Found::Same, Found::Older, Found::Changed];
    let is_ours = all.iter().any(|(one, found)| matches!(one.what, What::File(..)) && ours.contains(found));
    all.retain(|(_, found)| *found != Found::Nothing && (is_ours || (force && is_named)));
    for (one, _) in &all {
        one.allow("uninstall", &site.root, force)?;
    }
    Ok(all.into_iter().map(|(one, _)| one).collect())
}

/// Ends the service and removes it; the paths.
fn remove(init: &dyn Init, site: &Site, made: &[Made]) -> Result<Vec<String>, Failure> {
    if site.is_live() && init.is_here(&site.root) {
        // What cannot be told to end, because nobody has it running, is removed all the same.
        let stopped = init.stop(site).run();
        if init.status(site).succeeds() {
            stopped?;
        }
    }
    let mut removed = Vec::new();
    // Links first: nobody starts it again.
    for one in made.iter().rev() {
        drop(one.remove(&site.root)?);
        removed.push(below(&site.root, &one.path).display().to_string());
    }
    if site.is_live() && init.is_here(&site.root) {
        // An init that has no such service any more needs not be told.
        init.forget(site).iter().for_each(|call: &Call| drop(call.run()));
    }
    remove_folders(init, site);
    Ok(removed)
}
