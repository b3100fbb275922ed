//! `envFile`: assignments as a POSIX shell reads them, without a shell. What a shell would work out or run is
//! refused; no value is ever repeated in a message.

use std::collections::BTreeMap;
use std::path::Path;

use super::document::{Page, read_regular, reason};
use super::error::Problems;
use super::item::Item;

/// Largest file, in bytes.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Most files of one service.
const FILES_MAX: usize = 64;

/// Names and values.
pub(super) type Variables = BTreeMap<Box<str>, Box<str>>;

/// What is wrong, and at which byte.
type Fault = (usize, String);

/// Reads the files that `envFile` names, one after the other: what a later one says stands.
pub(super) fn read(into: &mut Variables, item: &Item<'_>, problems: &mut Problems) {
    let files = if item.is_list() { item.items(problems, FILES_MAX) } else { None };
    match files {
        Some(files) => files.iter().for_each(|file| read_one(into, file, problems)),
        None if item.is_list() => {}
        None => read_one(into, item, problems),
    }
}

/// Reads one file.
fn read_one(into: &mut Variables, item: &Item<'_>, problems: &mut Problems) {
    let Some(path) = item.path(problems) else { return };
    let bytes = match read_regular(&path, FILE_BYTES_MAX) {
        Ok(bytes) => bytes,
        Err(error) => return item.wrong(problems, &format!("cannot read it: {}", reason(&error))),
    };
    let (text, torn) = match String::from_utf8(bytes) {
        Ok(text) => (text, None),
        Err(error) => {
            let at = error.utf8_error().valid_up_to();
            (String::from_utf8_lossy(error.as_bytes()).into_owned(), Some(at))
        }
    };
    let fault = match torn {
        Some(at) => Some((at, "is not UTF-8".to_owned())),
        None => assignments(&text, into).err(),
    };
    if let Some((at, problem)) = fault {
        problems.push(page(&path, text).error(at, "", &problem));
    }
}

/// The file, for the places of its problems.
fn page(path: &Path, text: String) -> Page {
    Page { path: path.to_path_buf(), folder: path.parent().unwrap_or(path).to_path_buf(), text }
}

/// Takes in the assignments of a text.
fn assignments(text: &str, into: &mut Variables) -> Result<(), Fault> {
    let mut reader = Reader { text, at: 0 };
    loop {
        reader.skip_blanks(true);
        match reader.peek() {
            None => return Ok(()),
            Some('#') => reader.skip_line(),
            Some(_) => reader.command(into)?,
        }
    }
}

/// A text, read to some byte of it.
#[derive(Debug)]
struct Reader<'a> {
    /// All of it.
    text: &'a str,
    /// How far it is read.
    at: usize,
}

impl<'a> Reader<'a> {
    /// What is not read yet.
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// The next letter.
    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    /// The same, taken.
    fn next(&mut self) -> Option<char> {
        let letter = self.peek()?;
        self.at = self.at.saturating_add(letter.len_utf8());
        Some(letter)
    }

    /// Skips blanks and the ends of lines that are continued; `lines`: those of others, too.
    fn skip_blanks(&mut self, lines: bool) {
        loop {
            let rest = self.rest();
            let count = if rest.starts_with("\\\n") {
                2
            } else if rest.starts_with([' ', '\t']) || (lines && rest.starts_with('\n')) {
                1
            } else {
                return;
            };
            self.at = self.at.saturating_add(count);
        }
    }

    /// Skips what is left of a line.
    fn skip_line(&mut self) {
        let rest = self.rest();
        self.at = self.at.saturating_add(rest.find('\n').unwrap_or(rest.len()));
    }

    /// Assignments up to the end of the line or a semicolon, with or without `export` before them.
    fn command(&mut self, into: &mut Variables) -> Result<(), Fault> {
        let mut exports = false;
        let mut count = 0_usize;
        loop {
            self.skip_blanks(false);
            let begins = self.at;
            match self.peek() {
                None | Some('\n' | '#' | ';') if exports && count == 0 => {
                    return Err((begins, "has nothing to export: export NAME=VALUE".to_owned()));
                }
                None | Some('\n' | '#') => return Ok(()),
                Some(';') if count > 0 => {
                    self.next();
                    return Ok(());
                }
                Some(_) => {}
            }
            let name = self.name();
            if name == "export" && !exports && count == 0 && matches!(self.peek(), Some(' ' | '\t')) {
                exports = true;
                continue;
            }
            let ends = matches!(self.peek(), None | Some(' ' | '\t' | '\n' | ';'));
            if name.is_empty() || (self.peek() != Some('=') && !(exports && ends)) {
                return Err((begins, self.no_assignment(name)));
            }
            if self.peek() == Some('=') {
                self.next();
                let value = self.value()?;
                into.insert(name.into(), value.into());
            }
            count = count.saturating_add(1);
        }
    }

    /// What is said of a word that is no assignment.
    fn no_assignment(&self, name: &str) -> String {
        let blank = !name.is_empty() && self.rest().trim_start_matches([' ', '\t']).starts_with('=');
        if blank {
            return "has a blank before its \"=\": an assignment is NAME=VALUE".to_owned();
        }
        if self.peek() == Some('\r') {
            return "has a carriage return: the lines of this file must end as on Unix".to_owned();
        }
        "is no assignment: NAME=VALUE or export NAME=VALUE".to_owned()
    }

    /// A name, if one is there.
    fn name(&mut self) -> &'a str {
        let rest = self.rest();
        let is_first = |letter: char| letter.is_ascii_alphabetic() || letter == '_';
        let ends = rest.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
        let name = rest.get(..ends.unwrap_or(rest.len())).unwrap_or_default();
        if !name.starts_with(is_first) {
            return "";
        }
        self.at = self.at.saturating_add(name.len());
        name
    }

    /// A value: plain, quoted and escaped parts, one behind the other.
    fn value(&mut self) -> Result<String, Fault> {
        let mut value = String::new();
        let mut may_be_home = true;
        loop {
            let at = self.at;
            let Some(letter) = self.peek() else { return Ok(value) };
            if matches!(letter, ' ' | '\t' | '\n' | ';') {
                return Ok(value);
            }
            self.next();
            match letter {
                '\'' => self.single(at, &mut value)?,
                '"' => self.double(at, &mut value)?,
                '\\' => match self.next() {
                    Some('\n') => continue,
                    Some('\0') => return Err((at, NUL.to_owned())),
                    Some(letter) => value.push(letter),
                    None => return Err((at, "ends with a backslash".to_owned())),
                },
                '~' if may_be_home => return Err((at, worked_out(letter))),
                '$' | '`' => return Err((at, worked_out(letter))),
                '&' | '|' | '<' | '>' | '(' | ')' => {
                    let problem = format!("has a {letter} that a shell would act on: put it in quotes");
                    return Err((at, problem));
                }
                '\r' => return Err((at, self.at_return())),
                '\0' => return Err((at, NUL.to_owned())),
                _ => value.push(letter),
            }
            may_be_home = letter == ':';
        }
    }

    /// What is said of a carriage return outside of quotes.
    fn at_return(&self) -> String {
        let ends = matches!(self.peek(), None | Some('\n'));
        let what = if ends { "the lines of this file must end as on Unix" } else { "put it in quotes" };
        format!("has a carriage return: {what}")
    }

    /// The rest of a part in single quotes: everything as it is.
    fn single(&mut self, from: usize, value: &mut String) -> Result<(), Fault> {
        let Some((part, _)) = self.rest().split_once('\'') else {
            return Err((from, "has a ' that is not closed".to_owned()));
        };
        if let Some(nul) = part.find('\0') {
            return Err((self.at.saturating_add(nul), NUL.to_owned()));
        }
        value.push_str(part);
        self.at = self.at.saturating_add(part.len()).saturating_add(1);
        Ok(())
    }

    /// The rest of a part in double quotes, where a backslash takes the meaning from a few letters only.
    fn double(&mut self, from: usize, value: &mut String) -> Result<(), Fault> {
        loop {
            let at = self.at;
            let Some(letter) = self.next() else {
                return Err((from, "has a \" that is not closed".to_owned()));
            };
            match letter {
                '"' => return Ok(()),
                '$' | '`' => return Err((at, worked_out(letter))),
                '\0' => return Err((at, NUL.to_owned())),
                '\\' => match self.peek() {
                    Some('\n') => drop(self.next()),
                    Some(escaped @ ('$' | '`' | '"' | '\\')) => {
                        self.next();
                        value.push(escaped);
                    }
                    Some(_) | None => value.push('\\'),
                },
                _ => value.push(letter),
            }
        }
    }
}

/// What no variable can hold.
const NUL: &str = "has a NUL in it";

/// What is said of a letter that stands for something else to a shell.
fn worked_out(letter: char) -> String {
    format!("has a {letter} for which a shell would put something else: put it in single quotes")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;
    use std::sync::atomic::{AtomicU32, Ordering};

    /// What a text assigns.
    fn read_text(text: &str) -> Result<Variables, Fault> {
        let mut variables = Variables::new();
        assignments(text, &mut variables).map(|()| variables)
    }

    /// What `/bin/sh` makes of the same text: every variable that it has afterwards and did not have before.
    fn sourced(text: &str) -> Option<Variables> {
        // Tests that run side by side must not read each other's.
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("mcp-init-env-{}-{number}", std::process::id()));
        std::fs::write(&path, text).unwrap();
        let run = Command::new("/usr/bin/env")
            .args(["-i", "/bin/sh", "-c", "set -ea; . \"$1\"; exec /usr/bin/env -0", "sh"])
            .arg(&path)
            .current_dir("/")
            .output()
            .unwrap();
        std::fs::remove_file(path).unwrap();
        if !run.status.success() {
            return None;
        }
        let text = String::from_utf8(run.stdout).unwrap();
        let own = ["PWD", "OLDPWD", "_", "SHLVL"];
        let pairs = text.split_terminator('\0').filter_map(|pair| pair.split_once('='));
        Some(
            pairs
                .filter(|(name, _)| !own.contains(name))
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
        )
    }

    #[test]
    fn assignments_are_read_as_a_shell_reads_them() {
        let text = "# a comment\n\nexport A=\"one two\" # and another\nB='$x `y` \"'\nC=a\\ b\\\\\\$\n\
            D=\"a \\\"b\\\" \\$ \\` \\\\ \\n é\"\nE=a'b'\"c\"d#e\nF=\nexport G=1 H='2\n3' I\n  J=1; K=2 L=3 ;M=x\\\ny\n\
            N=\"x\\\ny\"\nO=a=b:c~d\nP=*\nQ=\"\"''\n\\\nR=1\nA=again\nexport \\\n S=5\nT=[a]{b,c}!%^,@+-/.\n";
        let read = read_text(text).unwrap();
        assert_eq!(Some(&read), sourced(text).as_ref());
        assert_eq!(&*read["D"], "a \"b\" $ ` \\ \\n é");
        assert_eq!(&*read["H"], "2\n3");
        assert_eq!(read.len(), 19, "{read:?}");
    }

    #[test]
    fn whatever_is_accepted_means_the_same_to_a_shell() {
        const PARTS: [&str; 24] = [
            "A", "B1", "_c", "=", "=", "=", "'", "\"", "\\", "\n", "\n", " ", " ", ";", "#", "export ", "x",
            "é", "~", ":", "$", "\t", "1", "-",
        ];
        let mut seed = 7_u64;
        let mut accepted = 0;
        for _ in 0..40_000 {
            let mut text = String::from("A=");
            for _ in 0..9 {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                text.push_str(PARTS[usize::try_from(seed >> 33).unwrap() % PARTS.len()]);
            }
            let Ok(read) = read_text(&text) else { continue };
            if read.is_empty() {
                continue;
            }
            accepted += 1;
            if accepted <= 400 {
                assert_eq!(Some(&read), sourced(&text).as_ref(), "{text:?}");
            }
        }
        assert!(accepted > 400, "only {accepted} were accepted");
    }

    #[test]
    fn what_a_shell_would_work_out_or_run_is_refused_at_its_place() {
        for (text, at, words) in [
            ("A=$B", 2, "single quotes"),
            ("A=\"`id`\"", 3, "single quotes"),
            ("A=~/x", 2, "single quotes"),
            ("A=x:~", 4, "single quotes"),
            ("A=1 ls", 4, "no assignment"),
            ("ls", 0, "no assignment"),
            ("A = 1", 0, "blank before"),
            ("1A=1", 0, "no assignment"),
            ("A=(1)", 2, "act on"),
            ("A=1 && B=2", 4, "no assignment"),
            ("A=1&", 3, "act on"),
            ("A='x", 2, "not closed"),
            ("A=\"x", 2, "not closed"),
            ("A=x\\", 3, "backslash"),
            ("A=1\r\nB=2\r\n", 3, "end as on Unix"),
            ("; A=1", 0, "no assignment"),
            ("A=1;;", 4, "no assignment"),
            ("A=1\n  B", 6, "no assignment"),
            ("A+=1", 0, "no assignment"),
            ("export ", 7, "nothing to export"),
            ("A='\0'", 3, "NUL"),
        ] {
            let (place, problem) = read_text(text).unwrap_err();
            assert!(place == at && problem.contains(words), "{text:?}: {place}: {problem}");
        }
    }
}
