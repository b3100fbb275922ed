//! Users and groups by name, from the flat files `/etc/passwd` and `/etc/group` and nowhere else: any other source
//! would bring a library, and waits, into the supervisor. Read when the configuration is.

use std::fs;
use std::path::Path;

/// Where users are.
const PASSWD: &str = "/etc/passwd";

/// Where groups are.
const GROUP: &str = "/etc/group";

/// The largest number of a user or group; the one above it means none.
pub(super) const NUMBER_MAX: u64 = 0xffff_fffe;

/// A line of `/etc/passwd`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct User {
    /// Its name.
    pub(super) name: Box<str>,
    /// Its number.
    pub(super) uid: u32,
    /// Its own group.
    pub(super) gid: u32,
    /// Its home folder.
    pub(super) home: Box<str>,
    /// Its shell.
    pub(super) shell: Box<str>,
}

/// Whether a text can be the name of a user or group.
pub(super) fn is_name(text: &str) -> bool {
    let text = text.strip_suffix('$').unwrap_or(text);
    let mut letters = text.bytes();
    (1..=32).contains(&text.len())
        && letters.next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_')
        && letters.all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
}

/// The user of this name.
pub(super) fn user(name: &str) -> Option<User> {
    users(&text(PASSWD)).find(|user| &*user.name == name)
}

/// The first user of this number.
pub(super) fn user_of(uid: u32) -> Option<User> {
    users(&text(PASSWD)).find(|user| user.uid == uid)
}

/// The number of the group of this name.
pub(super) fn group(name: &str) -> Option<u32> {
    groups(&text(GROUP)).find(|group| group.0 == name).map(|group| group.1)
}

/// The groups that name this user as a member.
pub(super) fn groups_of(name: &str) -> Vec<u32> {
    let member =
        |(_, gid, members): (&str, u32, &str)| members.split(',').any(|one| one == name).then_some(gid);
    groups(&text(GROUP)).filter_map(member).collect()
}

/// The text of a file; a container may have none.
fn text(path: &str) -> String {
    fs::read(Path::new(path)).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

/// The lines of `/etc/passwd` that are whole.
fn users(text: &str) -> impl Iterator<Item = User> + '_ {
    text.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let mut next = || fields.next();
        let (name, _, uid, gid) = (next()?, next()?, next()?.parse().ok()?, next()?.parse().ok()?);
        let (_, home, shell) = (next()?, next()?, next()?);
        Some(User { name: name.into(), uid, gid, home: home.into(), shell: shell.into() })
    })
}

/// Names, numbers and members in `/etc/group`.
fn groups(text: &str) -> impl Iterator<Item = (&str, u32, &str)> {
    text.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let mut next = || fields.next();
        let (name, _, gid, members) = (next()?, next()?, next()?.parse().ok()?, next()?);
        Some((name, gid, members))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_line_costs_itself_only() {
        let text =
            "root:x:0:0:root:/root:/bin/sh\n\ntorn:x:7\nx:x:y:0::/:/x\nmcp:x:999:998::/srv:/bin/false\n";
        let all: Vec<_> = users(text).map(|user| (user.name, user.uid, user.gid)).collect();
        assert_eq!(all, [("root".into(), 0, 0), ("mcp".into(), 999, 998)]);
        let text = "root:x:0:\nbad\nmcp:x:998:alice,bob\n+:::\n";
        assert_eq!(groups(text).collect::<Vec<_>>(), [("root", 0, ""), ("mcp", 998, "alice,bob")]);
    }

    #[test]
    fn names_are_those_of_the_files() {
        for name in ["root", "_apt", "www-data", "Debian-exim", "a.b", "host$"] {
            assert!(is_name(name), "{name}");
        }
        for name in ["", "0day", "-x", "a:b", "a b", "a\nb", "$", &"x".repeat(33)] {
            assert!(!is_name(name), "{name}");
        }
        assert_eq!(user("root").map(|user| user.uid), Some(0));
        assert_eq!(user("no-such-user-here"), None);
    }
}
