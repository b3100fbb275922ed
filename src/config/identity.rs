//! Who a service runs as: `user`, `group`, `groups`. Names become numbers here; nobody is changed into anybody.

use serde::{Deserialize, Serialize};

use super::accounts::{self, NUMBER_MAX};
use super::error::Problems;
use super::item::Item;
use super::seldom::Part;

/// Most supplementary groups.
const GROUPS_MAX: usize = 256;

/// What a user or group must be.
const USER: &str = "a user: its number, or its name in /etc/passwd";

/// See [`USER`].
const GROUP: &str = "a group: its number, or its name in /etc/group";

/// Who a service runs as; what is not said stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    /// The user.
    pub(crate) user: Option<User>,
    /// The group, if it is not the user's own.
    pub(crate) group: Option<u32>,
    /// Supplementary groups, if they are not those that the user is in.
    pub(crate) groups: Option<Vec<u32>>,
}

/// A user, with what its variables say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct User {
    /// `USER` and `LOGNAME`: its name, or its number if it has none.
    pub(crate) name: Box<str>,
    /// Its number.
    pub(crate) uid: u32,
    /// Its own group; for one that no file knows, the group of the same number.
    pub(crate) gid: u32,
    /// The groups it is in.
    pub(crate) groups: Vec<u32>,
    /// `HOME`
    pub(crate) home: Box<str>,
    /// `SHELL`
    pub(crate) shell: Box<str>,
}

impl Part for Identity {
    const UNSAID: &'static Self = &Self { user: None, group: None, groups: None };
}

impl Identity {
    /// The user's number.
    pub(crate) fn uid(&self) -> Option<u32> {
        self.user.as_ref().map(|user| user.uid)
    }

    /// The group's number.
    pub(crate) fn gid(&self) -> Option<u32> {
        self.group.or(self.user.as_ref().map(|user| user.gid))
    }

    /// Supplementary groups.
    pub(crate) fn supplementary(&self) -> Option<&[u32]> {
        self.groups.as_deref().or(self.user.as_ref().map(|user| &*user.groups))
    }

    /// What the user's own variables say: a service's `env` has the last word.
    pub(crate) fn variables(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.user.iter().flat_map(|user| {
            [("HOME", &*user.home), ("USER", &user.name), ("LOGNAME", &user.name), ("SHELL", &user.shell)]
        })
    }
}

/// `user`
pub(super) fn user(item: &Item<'_>, problems: &mut Problems) -> Option<User> {
    let known = match number_or_name(item, problems, USER)? {
        Ok(number) => accounts::user_of(number).ok_or(number),
        Err(name) => Ok(accounts::user(name).or_else(|| {
            item.wrong(problems, "is no user that /etc/passwd knows");
            None
        })?),
    };
    Some(match known {
        Ok(user) => User {
            groups: accounts::groups_of(&user.name),
            home: if user.home.is_empty() { "/".into() } else { user.home },
            shell: if user.shell.is_empty() { "/bin/sh".into() } else { user.shell },
            name: user.name,
            uid: user.uid,
            gid: user.gid,
        },
        Err(number) => User {
            name: number.to_string().into(),
            uid: number,
            gid: number,
            groups: Vec::new(),
            home: "/".into(),
            shell: "/bin/sh".into(),
        },
    })
}

/// `group`, and each of `groups`
pub(super) fn group(item: &Item<'_>, problems: &mut Problems) -> Option<u32> {
    match number_or_name(item, problems, GROUP)? {
        Ok(number) => Some(number),
        Err(name) => accounts::group(name).or_else(|| {
            item.wrong(problems, "is no group that /etc/group knows");
            None
        }),
    }
}

/// `groups`
pub(super) fn groups(item: &Item<'_>, problems: &mut Problems) -> Option<Vec<u32>> {
    let items = item.items(problems, GROUPS_MAX)?;
    items.iter().map(|item| group(item, problems)).collect()
}

/// A number, also one in a string, or else a name.
fn number_or_name<'a>(
    item: &Item<'a>,
    problems: &mut Problems,
    wanted: &str,
) -> Option<Result<u32, &'a str>> {
    let Some(text) = item.node.text() else {
        return item.whole(problems, 0..=NUMBER_MAX, wanted).and_then(|it| u32::try_from(it).ok()).map(Ok);
    };
    if let Some(number) = number(text) {
        return Some(Ok(number));
    }
    item.matching(problems, wanted, accounts::is_name).map(Err)
}

/// A number in a string.
pub(super) fn number(text: &str) -> Option<u32> {
    let plain = (1..=10).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|number| plain && u64::from(*number) <= NUMBER_MAX)
}
