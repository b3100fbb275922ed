//! `${NAME}` and `${file:PATH}` in a string. The values never reach a message.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::Path;

use super::document::{read_regular, reason, resolve};

/// Largest file of one value.
const VALUE_BYTES_MAX: u64 = 64 * 1024;

/// Largest string after substitution.
const TEXT_BYTES_MAX: usize = 1024 * 1024;

/// The string with every `${…}` replaced and `$${` as a plain `${`; `None` if there is nothing to replace.
/// Relative paths start at `folder`.
pub fn substitute(
    text: &str,
    folder: &Path,
    variables: &BTreeMap<OsString, OsString>,
) -> Result<Option<String>, String> {
    let mut whole = String::new();
    let mut rest = text;
    let mut changed = false;
    while let Some((before, after)) = rest.split_once("${") {
        changed = true;
        if let Some(plain) = before.strip_suffix('$') {
            whole.push_str(plain);
            whole.push_str("${");
            rest = after;
            continue;
        }
        let Some((name, tail)) = after.split_once('}') else {
            return Err("has a \"${\" without \"}\"; a plain one is written \"$${\"".into());
        };
        whole.push_str(before);
        whole.push_str(&value(name, folder, variables)?);
        rest = tail;
        if whole.len() > TEXT_BYTES_MAX {
            return Err(format!("is longer than {TEXT_BYTES_MAX} bytes once its variables are filled in"));
        }
    }
    whole.push_str(rest);
    Ok(changed.then_some(whole))
}

/// Whether a string is nothing but one reference, so that showing it shows no secret.
pub(super) fn is_reference(text: &str) -> bool {
    let inner = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
    inner.is_some_and(|name| !name.contains('}'))
}

/// What `${name}` stands for.
fn value(name: &str, folder: &Path, variables: &BTreeMap<OsString, OsString>) -> Result<String, String> {
    if let Some(path) = name.strip_prefix("file:") {
        return file(path, folder);
    }
    let mut letters = name.bytes();
    let starts_well = letters.next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    if !starts_well || !letters.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        return Err("has a \"${\" that is followed by neither NAME} nor file:PATH}".into());
    }
    let Some(value) = variables.get(OsStr::new(name)) else {
        return Err(format!("the environment variable {name} is not set"));
    };
    value.to_str().map(str::to_owned).ok_or_else(|| format!("the environment variable {name} is not UTF-8"))
}

/// What is in a file, without its last line end.
fn file(path: &str, folder: &Path) -> Result<String, String> {
    if path.is_empty() {
        return Err("has a \"${file:}\" without a path".into());
    }
    let bytes = read_regular(&resolve(folder, path), VALUE_BYTES_MAX)
        .map_err(|error| format!("cannot read the file \"{path}\": {}", reason(&error)))?;
    let mut text = String::from_utf8(bytes).map_err(|_| format!("the file \"{path}\" is not UTF-8"))?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_filled_in_and_escapes_are_kept() {
        let folder = std::env::temp_dir();
        let variables =
            [("A", "1"), ("B_2", "${A}"), ("EMPTY", "")].map(|(name, value)| (name.into(), value.into()));
        let variables = variables.into();
        let filled = |text| substitute(text, &folder, &variables);
        for (text, whole) in [
            ("${A}", "1"),
            ("a${A}b${A}c", "a1b1c"),
            ("${B_2}", "${A}"),
            ("${EMPTY}", ""),
            ("$${A}", "${A}"),
            ("$$${A}", "$${A}"),
            ("$${${A}", "${1"),
        ] {
            assert_eq!(filled(text), Ok(Some(whole.to_owned())), "{text}");
        }
        for text in ["", "plain", "$A", "$$", "{A}", "a$ {A}"] {
            assert_eq!(filled(text), Ok(None), "{text}");
        }
        for text in ["${", "${A", "${}", "${1A}", "${A-b}", "${file:}", "${file:no/such/file}", "${UNSET}"] {
            assert!(filled(text).is_err(), "{text}");
        }
        assert_eq!(filled("${UNSET}").unwrap_err(), "the environment variable UNSET is not set");
    }

    #[test]
    fn only_a_whole_reference_may_be_shown() {
        assert!(is_reference("${A}") && is_reference("${file:/run/secrets/a}"));
        assert!(!is_reference("Bearer ${A}") && !is_reference("${A}x${B}") && !is_reference("$${A}"));
    }
}
