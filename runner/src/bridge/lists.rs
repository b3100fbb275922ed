//! Lists a server gave, kept until it says that they changed. Who asks is not known here.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use serde_json::value::RawValue;
use tokio::time::Instant;

use super::era::Hello;
use super::message::{Answer, text};

/// How long a list is good for when its server does not say that it tells of changes.
const SILENT_AGE_MAX: Duration = Duration::from_secs(5);

/// Most pages that are kept.
const PAGES_MAX: usize = 64;

/// The lists there are, and the capability that each belongs to.
const LISTS: [(&str, &str); 4] = [
    ("tools/list", "tools"),
    ("prompts/list", "prompts"),
    ("resources/list", "resources"),
    ("resources/templates/list", "resources"),
];

/// The lists of one server.
#[derive(Debug, Default)]
pub(super) struct Lists(Mutex<Kept>);

/// What is kept.
#[derive(Debug, Default)]
struct Kept {
    /// The pages, by method and cursor, and when they are of no use any more.
    pages: HashMap<(&'static str, String), (Answer, Option<Instant>)>,
    /// How often anything was forgotten: an answer on its way meanwhile is old already.
    forgotten: u64,
}

impl Lists {
    /// The list, if it is kept.
    pub(super) fn get(&self, method: &str, params: Option<&RawValue>) -> Option<Answer> {
        let (method, _) = LISTS.into_iter().find(|(name, _)| *name == method)?;
        let kept = self.0.lock().ok()?;
        let (answer, until) = kept.pages.get(&(method, text(params, "cursor").unwrap_or_default()))?;
        until.is_none_or(|until| Instant::now() < until).then(|| answer.clone())
    }

    /// What is to be given to [`Self::keep`] with the answer.
    pub(super) fn edition(&self) -> u64 {
        self.0.lock().map_or(0, |kept| kept.forgotten)
    }

    /// Keeps an answer, if it is a list and nothing changed since it was asked for.
    pub(super) fn keep(
        &self,
        edition: u64,
        hello: &Hello,
        method: &str,
        params: Option<&RawValue>,
        answer: &Answer,
    ) {
        let (Some((method, what)), Answer::Result(_)) =
            (LISTS.into_iter().find(|(name, _)| *name == method), answer)
        else {
            return;
        };
        let until = (!hello.tells_of_changes(what)).then(|| Instant::now() + SILENT_AGE_MAX);
        if let Ok(mut kept) = self.0.lock()
            && kept.forgotten == edition
        {
            if kept.pages.len() >= PAGES_MAX {
                kept.pages.clear();
            }
            kept.pages.insert((method, text(params, "cursor").unwrap_or_default()), (answer.clone(), until));
        }
    }

    /// Forgets the lists that a notification of this name is about; those of all names when there is none.
    pub(super) fn forget(&self, notification: Option<&str>) {
        let what = notification.and_then(|name| name.split('/').nth(1));
        let gone = |method: &str| {
            what.is_none_or(|what| LISTS.iter().any(|(name, of)| *name == method && *of == what))
        };
        if let Ok(mut kept) = self.0.lock() {
            kept.forgotten += 1;
            kept.pages.retain(|(method, _), _| !gone(method));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::message::raw;
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_list_is_kept_until_it_changes_or_is_too_old() {
        let capabilities = json!({"tools": {"listChanged": true}, "prompts": {}});
        let hello =
            Hello::initialized(&raw(&json!({"protocolVersion": "x", "capabilities": capabilities}))).unwrap();
        let lists = Lists::default();
        let page = raw(&json!({"cursor": "2"}));
        let edition = lists.edition();
        for (method, params) in
            [("tools/list", None), ("tools/list", Some(&*page)), ("prompts/list", None), ("tools/call", None)]
        {
            lists.keep(edition, &hello, method, params, &Answer::empty());
        }
        lists.keep(edition, &hello, "resources/list", None, &Answer::failure(1, "x"));
        let has = |method| lists.get(method, None).is_some();
        assert!(has("tools/list") && lists.get("tools/list", Some(&page)).is_some() && has("prompts/list"));
        assert!(!has("tools/call") && !has("resources/list"));
        tokio::time::advance(SILENT_AGE_MAX).await;
        assert!(has("tools/list") && !has("prompts/list"));
        lists.forget(Some("notifications/tools/list_changed"));
        assert!(!has("tools/list") && lists.get("tools/list", Some(&page)).is_none());
        lists.keep(edition, &hello, "tools/list", None, &Answer::empty());
        assert!(!has("tools/list"), "it was asked for before it changed");
    }
}
