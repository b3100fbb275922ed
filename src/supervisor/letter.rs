//! What a letter of `sd_notify` says: lines of `NAME=VALUE`, of which those that are not known mean nothing.
//! Nothing follows from them here.

use std::time::Duration;

/// Longest name of a kept descriptor.
const NAME_BYTES_MAX: usize = 255;
/// What one is called that nobody named.
const NAME: &str = "stored";

/// One thing that a service says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Word {
    /// `READY=1`
    Ready,
    /// `RELOADING=1`
    Reloading,
    /// `STOPPING=1`
    Stopping,
    /// `STATUS=…`
    Status(String),
    /// `ERRNO=…`
    Errno(i32),
    /// `MAINPID=…`
    MainPid(i32),
    /// `WATCHDOG=1`
    Fed,
    /// `WATCHDOG=trigger`
    Starved,
    /// `WATCHDOG_USEC=…`
    FedEvery(Duration),
    /// `EXTEND_TIMEOUT_USEC=…`
    Extend(Duration),
    /// `RESTART_RESET=1`
    Forget,
}

/// What is to become of the descriptors that came with a letter, or came with one before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Keep {
    /// They are closed.
    Nothing,
    /// They are kept.
    These {
        /// What they are called.
        name: Box<str>,
        /// Whether each goes when its other side does.
        polled: bool,
    },
    /// What is kept under this name is closed.
    NotThis(Box<str>),
}

/// A letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    /// What it says, in the order in which that makes sense.
    pub(super) words: Vec<Word>,
    /// What becomes of descriptors.
    pub(super) keep: Keep,
}

/// Reads a letter. One with a NUL in it says nothing, and neither does a line that is no `NAME=VALUE`.
pub(super) fn read(bytes: &[u8]) -> Message {
    let mut message = Message { words: Vec::new(), keep: Keep::Nothing };
    // A C program may have counted the end of its string.
    let bytes = bytes.strip_suffix(b"\0").unwrap_or(bytes);
    let Some(text) = std::str::from_utf8(bytes).ok().filter(|text| !text.contains('\0')) else {
        return message;
    };
    let said: Vec<(&str, &str)> = text.lines().filter_map(|line| line.split_once('=')).collect();
    let last = |name: &str| said.iter().rev().find(|(known, _)| *known == name).map(|(_, value)| *value);
    // So that whoever processes the barrier knows that all before it is done, it does nothing itself.
    if last("BARRIER") == Some("1") {
        return message;
    }
    let micros = |name: &str| last(name).and_then(|text| text.parse().ok()).map(Duration::from_micros);
    let number = |name: &str| last(name).and_then(|text| text.parse::<i32>().ok());
    let is = |name: &str| last(name) == Some("1");
    // More time before it is up, who it is before it is ready, and how it is after that.
    message.words.extend(micros("EXTEND_TIMEOUT_USEC").map(Word::Extend));
    message.words.extend(number("MAINPID").map(Word::MainPid));
    message.words.extend(last("STATUS").map(|text| Word::Status(text.to_owned())));
    message.words.extend(number("ERRNO").map(Word::Errno));
    for (name, word) in [
        ("RELOADING", Word::Reloading),
        ("READY", Word::Ready),
        ("STOPPING", Word::Stopping),
        ("RESTART_RESET", Word::Forget),
    ] {
        message.words.extend(is(name).then_some(word));
    }
    message.words.extend(micros("WATCHDOG_USEC").filter(|every| !every.is_zero()).map(Word::FedEvery));
    match last("WATCHDOG") {
        Some("1") => message.words.push(Word::Fed),
        Some("trigger") => message.words.push(Word::Starved),
        Some(_) | None => {}
    }
    let name: Box<str> = last("FDNAME").filter(|name| is_name(name)).unwrap_or(NAME).into();
    if is("FDSTOREREMOVE") {
        message.keep = Keep::NotThis(name);
    } else if is("FDSTORE") {
        message.keep = Keep::These { name, polled: last("FDPOLL") != Some("0") };
    }
    message
}

/// Whether a text can be the name of a descriptor: it stands between colons later.
fn is_name(text: &str) -> bool {
    let good = |byte: u8| byte.is_ascii_graphic() && byte != b':';
    (1..=NAME_BYTES_MAX).contains(&text.len()) && text.bytes().all(good)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_lines_are_understood_and_others_mean_nothing() {
        let message =
            read(b"READY=1\nX_MINE=5\nSTATUS=Up and running\xc3\xa9\nMAINPID=42\nnonsense\n\n=\nWATCHDOG=1");
        assert_eq!(
            message.words,
            [Word::MainPid(42), Word::Status("Up and runningé".to_owned()), Word::Ready, Word::Fed]
        );
        assert_eq!(
            read(b"EXTEND_TIMEOUT_USEC=1500\nREADY=1").words,
            [Word::Extend(Duration::from_micros(1500)), Word::Ready]
        );
        assert_eq!(read(b"RELOADING=1\nMONOTONIC_USEC=5\0").words, [Word::Reloading]);
        assert_eq!(
            read(b"STOPPING=1\nERRNO=2\nRESTART_RESET=1").words,
            [Word::Errno(2), Word::Stopping, Word::Forget]
        );
        assert_eq!(
            read(b"WATCHDOG=trigger\nWATCHDOG_USEC=7").words,
            [Word::FedEvery(Duration::from_micros(7)), Word::Starved]
        );
        for nothing in
            [&b"READY=0"[..], b"READY=", b"READY", b"READY=1\0x", b"MAINPID=x", b"\xff=1", b"", b"WATCHDOG=0"]
        {
            assert!(read(nothing).words.is_empty(), "{nothing:?}");
        }
    }

    #[test]
    fn descriptors_are_kept_by_name() {
        let kept = |name: &str, polled| Keep::These { name: name.into(), polled };
        assert_eq!(read(b"FDSTORE=1").keep, kept("stored", true));
        assert_eq!(read(b"FDSTORE=1\nFDNAME=a.b\nFDPOLL=0").keep, kept("a.b", false));
        assert_eq!(read(b"FDSTORE=1\nFDNAME=a:b").keep, kept("stored", true));
        assert_eq!(read(b"FDSTOREREMOVE=1\nFDNAME=a").keep, Keep::NotThis("a".into()));
        assert_eq!(read(b"FDNAME=a").keep, Keep::Nothing);
        assert_eq!(read(b"BARRIER=1\nFDSTORE=1").keep, Keep::Nothing);
    }

    #[test]
    fn no_bytes_make_it_panic() {
        const PIECES: [&[u8]; 16] = [
            b"READY",
            b"=",
            b"1",
            b"\n",
            b"FDSTORE=1\n",
            b"WATCHDOG_USEC=",
            b"99999999999999999999",
            b"\0",
            b"\xff",
            b"MAINPID=-1\n",
            b"STATUS=",
            b"\r\n",
            b"FDNAME=\n",
            b"EXTEND_TIMEOUT_USEC=18446744073709551615\n",
            b"BARRIER=",
            b"ERRNO=",
        ];
        let mut seed = 1_u64;
        for _ in 0..50_000 {
            let mut bytes = Vec::new();
            for _ in 0..12 {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let roll = usize::try_from(seed >> 33).unwrap();
                if roll % 7 == 0 {
                    bytes.push(u8::try_from(roll >> 8 & 0xff).unwrap());
                } else {
                    bytes.extend_from_slice(PIECES[roll % PIECES.len()]);
                }
            }
            let message = read(&bytes);
            assert!(message.words.len() < 12);
        }
    }
}
