//! Regular expressions of documents: those that mean the same to every client. JavaScript (with its `u` flag) and
//! Python refuse different ones, and a client that cannot compile one refuses the whole tool. Compiles nothing.

use std::iter::Peekable;
use std::str::Chars;

/// Characters that a backslash makes plain.
const SYNTAX: &str = "^$\\.*+?()[]{}|/";
/// Letters that stand for several characters behind a backslash.
const CLASSES: &str = "dDwWsS";
/// Letters that stand for one.
const CONTROLS: &str = "tnrfv";

/// Whether every client reads a pattern, and reads it alike. In doubt it is not said: the upstream has the last word.
pub(super) fn is_portable(pattern: &str) -> bool {
    let mut reader = Reader { rest: pattern.chars().peekable(), open: 0 };
    reader.read().is_some() && reader.open == 0
}

/// What stands in a set.
enum Member {
    /// One character.
    One(char),
    /// Several, as `\d`.
    Many,
}

/// A pattern being read. `None` is the end of it: something that not everybody reads.
struct Reader<'a> {
    /// What is not read yet.
    rest: Peekable<Chars<'a>>,
    /// Groups that are open.
    open: usize,
}

impl Reader<'_> {
    /// All of it.
    fn read(&mut self) -> Option<()> {
        // Whether there is something that a count could be about.
        let mut countable = false;
        while let Some(next) = self.rest.next() {
            countable = match next {
                '\\' => self.escape(false)?,
                '[' => self.set()?,
                '(' => self.group()?,
                ')' => {
                    self.open = self.open.checked_sub(1)?;
                    true
                }
                '*' | '+' | '?' if countable => self.end_of_count(),
                '{' if countable => self.count()?,
                '*' | '+' | '?' | '{' | '}' | ']' => return None,
                '^' | '$' | '|' => false,
                _ => true,
            };
        }
        Some(())
    }

    /// Behind a backslash; whether a count may follow.
    fn escape(&mut self, in_set: bool) -> Option<bool> {
        match self.rest.next()? {
            'b' | 'B' if !in_set => Some(false),
            '-' if in_set => Some(true),
            'x' => self.digits(2),
            'u' => self.digits(4),
            next => {
                (SYNTAX.contains(next) || CLASSES.contains(next) || CONTROLS.contains(next)).then_some(true)
            }
        }
    }

    /// So many digits of a number in hexadecimal.
    fn digits(&mut self, count: usize) -> Option<bool> {
        for _ in 0..count {
            self.rest.next_if(char::is_ascii_hexdigit)?;
        }
        Some(true)
    }

    /// Behind the opening of a group; nothing that a count could be about.
    fn group(&mut self) -> Option<bool> {
        self.open += 1;
        if self.rest.next_if_eq(&'?').is_some() && !matches!(self.rest.next()?, ':' | '=' | '!') {
            return None;
        }
        Some(false)
    }

    /// A set, behind its bracket. One that is empty means nothing, everything, or is no set at all.
    fn set(&mut self) -> Option<bool> {
        self.rest.next_if_eq(&'^');
        let mut is_empty = true;
        loop {
            let Some(one) = self.member()? else {
                return (!is_empty).then_some(true);
            };
            is_empty = false;
            if self.rest.next_if_eq(&'-').is_none() {
                continue;
            }
            // A dash at the end is itself.
            if self.rest.peek() == Some(&']') {
                continue;
            }
            match (one, self.member()??) {
                (Member::One(from), Member::One(to)) if from <= to => {}
                _ => return None,
            }
        }
    }

    /// One member of a set; the inner `None` is its end.
    #[expect(
        clippy::option_option,
        reason = "the outer one is the end of the pattern, the inner one that of the set"
    )]
    fn member(&mut self) -> Option<Option<Member>> {
        match self.rest.next()? {
            ']' => Some(None),
            // Some read a set within a set.
            '[' => None,
            '\\' => {
                let next = *self.rest.peek()?;
                self.escape(true)?;
                // What a number stands for is not worked out: no range begins or ends with one.
                let is_one = SYNTAX.contains(next) || next == '-';
                Some(Some(if is_one { Member::One(next) } else { Member::Many }))
            }
            one => Some(Some(Member::One(one))),
        }
    }

    /// Behind `{`: `2}`, `2,}` or `2,3}`.
    fn count(&mut self) -> Option<bool> {
        let least = self.number()?;
        if self.rest.next_if_eq(&',').is_some() && self.rest.peek() != Some(&'}') && self.number()? < least {
            return None;
        }
        self.rest.next_if_eq(&'}')?;
        Some(self.end_of_count())
    }

    /// A number in decimal.
    fn number(&mut self) -> Option<u32> {
        let mut digits = String::new();
        while let Some(digit) = self.rest.next_if(char::is_ascii_digit) {
            digits.push(digit);
        }
        digits.parse().ok()
    }

    /// A question mark behind a count makes it take as little as it can; nothing else may follow.
    fn end_of_count(&mut self) -> bool {
        self.rest.next_if_eq(&'?');
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_all_read_alike_stays() {
        for pattern in [
            "",
            "^a+$",
            "^[A-Z]{2}$",
            "[\\w.-]+@[^@\\s]+",
            "^\\d{4}-\\d{2}(?:-\\d{2})?$",
            "^(?!x)(a|b)*?$",
            "a{2,}b{2,3}?",
            "[\\^\\]-]",
            "^https?:\\/\\/",
            "\\u00e9\\x41",
            "ä|漢",
            "[a\\-z]",
            "[.*+?(){}|/]",
            "^$|x",
            "(?=a)b",
        ] {
            assert!(is_portable(pattern), "{pattern}");
        }
    }

    #[test]
    fn what_some_refuse_goes() {
        for pattern in [
            "\\p{L}",
            "[\\w-.]",
            "[a-\\d]",
            "[z-a]",
            "\\-",
            "\\_",
            "\\@",
            "(?i)a",
            "(?<n>a)",
            "(?P<n>a)",
            "(?<=a)b",
            "a**",
            "a*+",
            "*a",
            "(*a)",
            "a{,2}",
            "a{3,2}",
            "x{",
            "x}",
            "x]",
            "[]",
            "[^]",
            "[]a]",
            "[[:alpha:]]",
            "(a",
            "a)",
            "[a",
            "a\\",
            "\\1",
            "\\A",
            "\\z",
            "\\Z",
            "\\h",
            "\\u{1F600}",
            "\\xZ1",
            "\\cA",
            "^*",
            "\\b+",
            "(?>a)",
            "(?#a)",
            "a{99999999999}",
        ] {
            assert!(!is_portable(pattern), "{pattern}");
        }
    }
}
