//! `dependsOn`: what a service waits for, and whether all these orders together can be kept.

use super::error::{ConfigError, Place, Problems, nearest};
use super::item::{Choice, Item};
use super::plan::{Condition, Dependency, Kind};
use super::service::Written;

/// Most services that one waits for.
const NEEDS_MAX: usize = 256;

/// Keys of one of them that is an object.
pub(super) const KEYS: [&str; 2] = ["service", "condition"];

/// Values of `condition`.
const CONDITION: Choice<Condition> = Choice {
    known: &[
        ("started", Condition::Started),
        ("ready", Condition::Ready),
        ("completed", Condition::Completed),
    ],
    later: &[],
};

/// What a service waits for, and where that is written.
pub(super) type Needs = Vec<(Dependency, At)>;

/// Where a need is written.
#[derive(Debug, Clone)]
pub(super) struct At {
    /// The place.
    place: Place,
    /// The field.
    field: String,
}

/// `dependsOn`: names, or objects with a name and a condition.
pub(super) fn read(item: &Item<'_>, problems: &mut Problems) -> Needs {
    let mut needs = Needs::new();
    for item in item.items(problems, NEEDS_MAX).unwrap_or_default() {
        let Some((service, condition)) = read_one(&item, problems) else { continue };
        if needs.iter().any(|(other, _)| *other.service == service) {
            item.wrong(problems, &format!("names \"{service}\" twice"));
            continue;
        }
        let at = At { place: item.page.place(item.node.at), field: item.field.clone() };
        needs.push((Dependency { service: service.into(), condition }, at));
    }
    needs
}

/// One of them.
fn read_one(item: &Item<'_>, problems: &mut Problems) -> Option<(String, Condition)> {
    if item.node.text().is_some() {
        return Some((item.line(problems, 1..=64)?.to_owned(), Condition::Ready));
    }
    let (mut service, mut condition) = (None, Condition::Ready);
    for item in item.members(problems) {
        match item.key {
            "service" => service = item.line(problems, 1..=64).map(str::to_owned),
            "condition" => condition = item.choice(problems, &CONDITION)?,
            _ => item.unknown(problems, &KEYS, &[]),
        }
    }
    if item.get("service").is_none() {
        item.wrong(problems, "names no service: a name, or {\"service\": …, \"condition\": …}");
    }
    Some((service?, condition))
}

/// Tells of names that no service has, of ends that never come, and of circles.
pub(super) fn tell(written: &[Written], problems: &mut Problems) {
    let mut errors = circles(written);
    let find = |name: &str| written.iter().position(|one| *one.service.id == *name);
    for one in written {
        for (need, at) in &one.needs {
            let error = |problem: &str| at.place.clone().error(&at.field, problem);
            match find(&need.service).and_then(|index| written.get(index)) {
                None => {
                    let meant = nearest(&need.service, written.iter().map(|one| &*one.service.id));
                    let problem = format!("there is no service \"{}\"", need.service);
                    errors.push(error(&problem).or(meant));
                }
                Some(other)
                    if need.condition == Condition::Completed && other.service.kind == Kind::Daemon =>
                {
                    let problem = format!("\"{}\" is a daemon, which never completes", need.service);
                    errors.push(error(&problem));
                }
                Some(_) => {}
            }
        }
    }
    errors.sort_by(|one, other| one.file.cmp(&other.file));
    for error in errors {
        problems.push(error);
    }
}

/// How far the search for circles is with a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    /// Not there yet.
    New,
    /// On the path to where it is now.
    Open,
    /// Behind it.
    Done,
}

/// A problem for each circle, at the need that closes it.
fn circles(written: &[Written]) -> Vec<ConfigError> {
    let mut marks = vec![Mark::New; written.len()];
    let mut found = Vec::new();
    for start in 0..written.len() {
        // The path: a service each, and how many of its needs were followed.
        let mut path = vec![(start, 0_usize)];
        if marks.get(start) != Some(&Mark::New) {
            continue;
        }
        while let Some((index, followed)) = path.last_mut() {
            let index = *index;
            set(&mut marks, index, Mark::Open);
            let need = written.get(index).and_then(|one| one.needs.get(*followed));
            *followed = followed.saturating_add(1);
            let Some((need, at)) = need else {
                set(&mut marks, index, Mark::Done);
                path.pop();
                continue;
            };
            let Some(next) = written.iter().position(|one| one.service.id == need.service) else { continue };
            match marks.get(next) {
                Some(Mark::New) => path.push((next, 0)),
                Some(Mark::Open) => {
                    let from = path.iter().skip_while(|(index, _)| *index != next).map(|(index, _)| *index);
                    let names = from.chain([next]).filter_map(|index| Some(&*written.get(index)?.service.id));
                    let problem = format!("waits for itself: {}", names.collect::<Vec<_>>().join(" → "));
                    found.push(at.place.clone().error(&at.field, &problem));
                }
                Some(Mark::Done) | None => {}
            }
        }
    }
    found
}

/// Changes a mark.
fn set(marks: &mut [Mark], index: usize, mark: Mark) {
    if let Some(place) = marks.get_mut(index) {
        *place = mark;
    }
}
