//! JSON text into values that know where they are written. It knows no file and no key but one.

use std::borrow::Cow;
use std::ops::Range;

/// Deepest nesting; the runner's own reader stops at 127.
const DEPTH_MAX: usize = 120;

/// The keys whose objects are checked but not kept: whole documents, many times larger as values.
const OPAQUE_KEYS: [&str; 2] = ["openApiData", "overlay"];

/// A value and where it begins.
#[derive(Debug)]
pub(super) struct Node {
    /// Offset of its first byte.
    pub(super) at: usize,
    /// What it is.
    pub(super) kind: Kind,
}

impl Node {
    /// The characters of a string.
    pub(super) fn text(&self) -> Option<&str> {
        if let Kind::Text { text, .. } = &self.kind { Some(text) } else { None }
    }
}

/// A value.
#[derive(Debug)]
pub(super) enum Kind {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// As it is written.
    Number(Box<str>),
    /// A string.
    Text {
        /// Its characters.
        text: Box<str>,
        /// Whether some of them came from a variable or a file, and are nobody else's business.
        substituted: bool,
    },
    /// `[…]`
    List(Vec<Node>),
    /// `{…}`
    Object(Vec<Member>),
    /// `{…}` that is only checked: where its text is.
    Opaque(Range<usize>),
    /// A string whose substitution failed; that is told already.
    Void,
}

/// A key and its value.
#[derive(Debug)]
pub(super) struct Member {
    /// Offset of the key.
    pub(super) at: usize,
    /// The key.
    pub(super) key: Box<str>,
    /// Its value.
    pub(super) value: Node,
}

/// Why a text is not JSON.
#[derive(Debug)]
pub(super) struct Fault {
    /// Offset of what is wrong.
    pub(super) at: usize,
    /// The field that was being read; empty at the outermost level.
    pub(super) field: String,
    /// What is wrong.
    pub(super) problem: &'static str,
}

/// The name of the field `key` in the field `parent`.
pub(super) fn join(parent: &str, key: &str) -> String {
    let dot = if parent.is_empty() || key.is_empty() || key.starts_with('[') { "" } else { "." };
    format!("{parent}{dot}{key}")
}

/// Reads a whole text.
pub(super) fn parse(text: &str) -> Result<Node, Fault> {
    // Some editors begin a file with a byte order mark.
    let start = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
    let mut reader = Reader { text, at: start, keep: true, is_opaque: false };
    reader.blanks();
    let node = reader.value(0)?;
    reader.blanks();
    match reader.peek() {
        None => Ok(node),
        Some(_) => Err(reader.fault("there is more after the end of the value")),
    }
}

/// A text and how far it is read.
struct Reader<'a> {
    /// All of it.
    text: &'a str,
    /// Offset of the next byte.
    at: usize,
    /// Whether lists and objects are kept, or only checked.
    keep: bool,
    /// Whether the objects of the list that comes are only checked.
    is_opaque: bool,
}

impl<'a> Reader<'a> {
    /// The next byte.
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Takes the next byte if it is `byte`.
    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at = self.at.saturating_add(usize::from(found));
        found
    }

    /// Takes bytes while `wanted`, and returns them.
    fn run(&mut self, wanted: impl Fn(u8) -> bool) -> &'a str {
        let start = self.at;
        while self.peek().is_some_and(&wanted) {
            self.at = self.at.saturating_add(1);
        }
        self.text.get(start..self.at).unwrap_or_default()
    }

    /// Takes white space.
    fn blanks(&mut self) {
        self.run(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n'));
    }

    /// A fault at the next byte.
    fn fault(&self, problem: &'static str) -> Fault {
        let problem = match self.peek() {
            None if self.text.trim().is_empty() => "the file is empty",
            None => "the file ends in the middle of a value",
            Some(b'/' | b'#') => "JSON has no comments",
            Some(_) => problem,
        };
        Fault { at: self.at, field: String::new(), problem }
    }

    /// A value; the next byte is its first.
    fn value(&mut self, depth: usize) -> Result<Node, Fault> {
        let at = self.at;
        if depth > DEPTH_MAX {
            return Err(self.fault("is nested too deep"));
        }
        let kind = match self.peek() {
            Some(b'{') => self.object(depth)?,
            Some(b'[') => self.list(depth)?,
            Some(b'"') => Kind::Text { text: self.string()?.into(), substituted: false },
            Some(b'-' | b'0'..=b'9') => Kind::Number(self.number()?.into()),
            Some(b'a'..=b'z') => self.word()?,
            Some(b'\'') => return Err(self.fault("strings are written in double quotes")),
            _ => return Err(self.fault("a value is missing")),
        };
        Ok(Node { at, kind })
    }

    /// `null`, `true` or `false`.
    fn word(&mut self) -> Result<Kind, Fault> {
        let start = self.fault("is not a value: strings are written in double quotes");
        match self.run(|byte| byte.is_ascii_alphanumeric()) {
            "null" => Ok(Kind::Null),
            "true" => Ok(Kind::Bool(true)),
            "false" => Ok(Kind::Bool(false)),
            _ => Err(start),
        }
    }

    /// A number, as it is written.
    fn number(&mut self) -> Result<&'a str, Fault> {
        let (start, fault) = (self.at, self.fault("is not a number"));
        self.take(b'-');
        let whole = self.run(|byte| byte.is_ascii_digit());
        let mut good = whole == "0" || (!whole.is_empty() && !whole.starts_with('0'));
        if self.take(b'.') {
            good &= !self.run(|byte| byte.is_ascii_digit()).is_empty();
        }
        if self.take(b'e') || self.take(b'E') {
            let _signed = self.take(b'+') || self.take(b'-');
            good &= !self.run(|byte| byte.is_ascii_digit()).is_empty();
        }
        if good { Ok(self.text.get(start..self.at).unwrap_or_default()) } else { Err(fault) }
    }

    /// `[…]`
    fn list(&mut self, depth: usize) -> Result<Kind, Fault> {
        let mut items = Vec::new();
        self.take(b'[');
        self.blanks();
        let mut count: usize = 0;
        let mut more = !self.take(b']');
        let (kept, is_opaque) = (self.keep, std::mem::take(&mut self.is_opaque));
        while more {
            self.keep &= !is_opaque || self.peek() != Some(b'{');
            let value =
                self.value(depth.saturating_add(1)).map_err(|fault| fault.under(&format!("[{count}]")))?;
            self.keep = kept;
            if self.keep {
                items.push(value);
            }
            count = count.saturating_add(1);
            more = self.goes_on(b']', "a comma or ] is missing")?;
        }
        Ok(Kind::List(items))
    }

    /// `{…}`
    fn object(&mut self, depth: usize) -> Result<Kind, Fault> {
        let start = self.at;
        let mut members = Vec::new();
        self.take(b'{');
        self.blanks();
        let mut more = !self.take(b'}');
        while more {
            let at = self.at;
            if self.peek() != Some(b'"') {
                return Err(self.fault("a key in double quotes is missing"));
            }
            let key = self.string()?;
            let value = self.member(&key, depth).map_err(|fault| fault.under(&key))?;
            if self.keep {
                members.push(Member { at, key: key.into(), value });
            }
            more = self.goes_on(b'}', "a comma or } is missing")?;
        }
        if self.keep { Ok(Kind::Object(members)) } else { Ok(Kind::Opaque(start..self.at)) }
    }

    /// What follows the key of a member.
    fn member(&mut self, key: &str, depth: usize) -> Result<Node, Fault> {
        self.blanks();
        if !self.take(b':') {
            return Err(self.fault("a colon is missing"));
        }
        self.blanks();
        let kept = self.keep;
        let is_opaque = OPAQUE_KEYS.contains(&key);
        self.keep &= !is_opaque || self.peek() != Some(b'{');
        // There may be several in a list.
        self.is_opaque = is_opaque && self.peek() == Some(b'[');
        let value = self.value(depth.saturating_add(1));
        self.keep = kept;
        value
    }

    /// After a value in brackets: whether there is another.
    fn goes_on(&mut self, close: u8, missing: &'static str) -> Result<bool, Fault> {
        self.blanks();
        if self.take(close) {
            return Ok(false);
        }
        let comma = self.fault("the comma before this is one too many");
        if !self.take(b',') {
            return Err(self.fault(missing));
        }
        self.blanks();
        if self.peek() == Some(close) { Err(comma.here(self.at)) } else { Ok(true) }
    }

    /// A string; the next byte is its quote.
    fn string(&mut self) -> Result<Cow<'a, str>, Fault> {
        self.take(b'"');
        let mut text = Cow::Borrowed(self.run(|byte| byte >= b' ' && byte != b'"' && byte != b'\\'));
        while !self.take(b'"') {
            if !self.take(b'\\') {
                return Err(self.fault("a string is not closed on its line"));
            }
            let text = text.to_mut();
            text.push(self.escaped()?);
            text.push_str(self.run(|byte| byte >= b' ' && byte != b'"' && byte != b'\\'));
        }
        Ok(text)
    }

    /// The character that an escape stands for; the backslash is taken.
    fn escaped(&mut self) -> Result<char, Fault> {
        let fault = self.fault("is not an escape that JSON knows");
        let plain = match self.peek() {
            Some(byte @ (b'"' | b'\\' | b'/')) => char::from(byte),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.code_point().ok_or(fault),
            _ => return Err(fault),
        };
        self.at = self.at.saturating_add(1);
        Ok(plain)
    }

    /// What `uXXXX`, or a pair of them, stands for.
    fn code_point(&mut self) -> Option<char> {
        let first = self.unit()?;
        if !(0xd800..0xdc00).contains(&first) {
            return char::from_u32(first.into());
        }
        let second = if self.take(b'\\') { self.unit()? } else { return None };
        char::decode_utf16([first, second]).next()?.ok()
    }

    /// The number in `uXXXX`.
    fn unit(&mut self) -> Option<u16> {
        if !self.take(b'u') {
            return None;
        }
        let end = self.at.saturating_add(4);
        let digits = self.text.get(self.at..end)?;
        self.at = end;
        // `from_str_radix` alone would take a sign.
        if digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            u16::from_str_radix(digits, 16).ok()
        } else {
            None
        }
    }
}

impl Fault {
    /// The same fault, seen from the value that holds the one it is in.
    fn under(self, key: &str) -> Self {
        Self { field: join(key, &self.field), ..self }
    }

    /// The same fault at another place, unless the text ends there.
    fn here(self, at: usize) -> Self {
        Self { at, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The fault of a text that is not JSON.
    fn fault(text: &str) -> (usize, String, &'static str) {
        let fault = parse(text).unwrap_err();
        (fault.at, fault.field, fault.problem)
    }

    #[test]
    fn faults_are_named_where_they_are() {
        let missing = "a value is missing";
        assert_eq!(fault(r#"{"a": {"b": [1, ]}}"#).1, "a.b");
        assert_eq!(fault(r#"{"a": [1, {"b": ?}]}"#), (16, "a[1].b".into(), missing));
        assert_eq!(fault(r#"{"a": 1,}"#), (8, String::new(), "the comma before this is one too many"));
        assert_eq!(fault("{\"a\": 1 // no\n}"), (8, String::new(), "JSON has no comments"));
        assert_eq!(fault("{\"a\": \"x\ny\"}").2, "a string is not closed on its line");
        assert_eq!(fault("{'a': 1}").2, "a key in double quotes is missing");
        assert_eq!(fault("{} {}").2, "there is more after the end of the value");
        assert_eq!(fault("[").2, "the file ends in the middle of a value");
        assert_eq!(fault(" \n").2, "the file is empty");
        assert_eq!(fault(&"[".repeat(100_000)).2, "is nested too deep");
    }

    #[test]
    fn it_reads_what_serde_json_reads_and_nothing_else() {
        let texts = r#"0 -0 -1.5e+3 01 1. .5 - 1e +1 1e5 1E-5 "\u00e9\ud83d\ude00" "\ud83d" "\ude00" "\u+123" "\x" "\n"
            [] [1[2] [1,[2,{"k":[null,true,false]}]] {"a":1"b":2} nul nulls True NaN {"":""} " { [ {"a" {"a": ,"#;
        for text in texts.split_whitespace().chain([" [ ] ", "\t\r\n 1 \n", "\u{b}1", "\"\u{7f}\"", "\"\t\""])
        {
            let theirs = serde_json::from_str::<serde_json::Value>(text).is_ok();
            assert_eq!(parse(text).is_ok(), theirs, "{text}");
        }
    }

    #[test]
    fn a_document_is_checked_but_not_kept() {
        let text = r#"{"openApiData": {"paths": {"/a": [1, {}]}}, "x": [{}]}"#;
        let Kind::Object(members) = parse(text).unwrap().kind else { panic!("no object") };
        let Kind::Opaque(range) = &members[0].value.kind else { panic!("kept") };
        assert_eq!(text.get(range.clone()), Some(r#"{"paths": {"/a": [1, {}]}}"#));
        assert!(matches!(&members[1].value.kind, Kind::List(items) if items.len() == 1));
        let text = r#"{"overlay": [{"a": [{}]}, "b", {}], "x": [{}]}"#;
        let Kind::Object(members) = parse(text).unwrap().kind else { panic!("no object") };
        let Kind::List(items) = &members[0].value.kind else { panic!("no list") };
        assert!(matches!([&items[0].kind, &items[1].kind], [Kind::Opaque(_), Kind::Text { .. }]));
        assert!(
            matches!(&members[1].value.kind, Kind::List(items) if matches!(items[0].kind, Kind::Object(_)))
        );
        assert_eq!(fault(r#"{"openApiData": {"paths": {"/a": [1,, {}]}}}"#).1, "openApiData.paths./a[1]");
    }
}
