//! The frames between the supervisor and its scribe, both directions. Bytes only: no socket, no disk.
//!
//! A frame is `[kind u8][0][path length u16 LE][ticket u32 LE][body length u32 LE]`, then the path, then the
//! body. A descriptor travels (`SCM_RIGHTS`) with the first byte of the one frame that needs it, `Watch`.

/// Bytes before the path.
pub(crate) const HEADER_BYTES: usize = 12;

/// What a frame asks for. `path` and `body` are the frame's own; a `ticket` other than 0 is answered by `Done`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    /// Write `body` to `path`: temporary file, fsync, rename, fsync of the folder. Mode 0644.
    Replace = 1,
    /// The same for a file that holds secrets and lives in the runtime folder: mode 0600, no fsync. `body` begins
    /// with the number of its owner, u32 LE; `u32::MAX` is whoever we are.
    ReplaceSecret = 2,
    /// Append `body`, whole lines, to `path`; past [`APPEND_BYTES_MAX`] the file becomes `path.1`.
    Append = 3,
    /// Remove the file `path`.
    Remove = 4,
    /// Read a service's output from the descriptor that comes with this frame into the folder `path`;
    /// `ticket` is the service's number, `body` its log rules (JSON of `config::plan::Log`). A second `Watch`
    /// of a number replaces the first.
    Watch = 5,
    /// Write what is left of the output of service `ticket`, then close its descriptor.
    Unwatch = 6,
    /// Read the output of service `ticket` until there is no more just now, then answer `Done`, with the end of
    /// what was written since the last `Drain` behind the errno.
    Drain = 7,
    /// A line of the supervisor's own log: to the file `path` and to stderr, if that takes it at once.
    Say = 8,
    /// Write everything that is left, answer `Done` and exit 0.
    Finish = 9,
    /// Answer to a ticket; `body` is an errno as u32 LE, 0 for success.
    Done = 10,
    /// The disk takes nothing (`body`: errno and the path's text) or takes it again (errno 0).
    Degraded = 11,
    /// Lines of service `ticket` that could not be written were dropped; `body` is their number, u64 LE.
    Dropped = 12,
}

/// Bytes of the owner before the content of a secret.
pub(crate) const OWNER_BYTES: usize = 4;

/// Largest event or health file before it is rotated to `.1`.
pub(crate) const APPEND_BYTES_MAX: u64 = 1024 * 1024;

impl Kind {
    /// The kind of a first byte.
    pub(crate) const fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            1 => Self::Replace,
            2 => Self::ReplaceSecret,
            3 => Self::Append,
            4 => Self::Remove,
            5 => Self::Watch,
            6 => Self::Unwatch,
            7 => Self::Drain,
            8 => Self::Say,
            9 => Self::Finish,
            10 => Self::Done,
            11 => Self::Degraded,
            12 => Self::Dropped,
            _ => return None,
        })
    }

    /// Its first byte.
    #[expect(clippy::as_conversions, reason = "the discriminant of a repr(u8) enum")]
    const fn byte(self) -> u8 {
        self as u8
    }
}

/// One frame, borrowed from the buffer it was read into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Frame<'a> {
    /// What is asked.
    pub(crate) kind: Kind,
    /// See [`Kind`].
    pub(crate) ticket: u32,
    /// Absolute path, raw bytes.
    pub(crate) path: &'a [u8],
    /// See [`Kind`].
    pub(crate) body: &'a [u8],
}

/// What the front of a buffer holds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Decoded<'a> {
    /// A whole frame, and how many bytes it took.
    Frame(Frame<'a>, usize),
    /// Not all of one yet.
    Partial,
    /// Nothing that this program writes.
    Garbage,
}

/// Appends a frame to `out`; `false` (and nothing written) when a length does not fit its field.
#[must_use]
pub(crate) fn encode(out: &mut Vec<u8>, frame: Frame<'_>) -> bool {
    let (Ok(path), Ok(body)) = (u16::try_from(frame.path.len()), u32::try_from(frame.body.len())) else {
        return false;
    };
    out.extend_from_slice(&[frame.kind.byte(), 0]);
    out.extend_from_slice(&path.to_le_bytes());
    out.extend_from_slice(&frame.ticket.to_le_bytes());
    out.extend_from_slice(&body.to_le_bytes());
    out.extend_from_slice(frame.path);
    out.extend_from_slice(frame.body);
    true
}

/// Reads the frame at the front of `bytes`.
pub(crate) fn decode(bytes: &[u8]) -> Decoded<'_> {
    let Some((header, rest)) = bytes.split_first_chunk::<HEADER_BYTES>() else {
        return Decoded::Partial;
    };
    let [kind, _, p0, p1, t0, t1, t2, t3, b0, b1, b2, b3] = *header;
    let Some(kind) = Kind::from_byte(kind) else {
        return Decoded::Garbage;
    };
    let path_bytes = usize::from(u16::from_le_bytes([p0, p1]));
    let Ok(body_bytes) = usize::try_from(u32::from_le_bytes([b0, b1, b2, b3])) else {
        return Decoded::Garbage;
    };
    let Some((path, rest)) = rest.split_at_checked(path_bytes) else {
        return Decoded::Partial;
    };
    let Some((body, _)) = rest.split_at_checked(body_bytes) else {
        return Decoded::Partial;
    };
    let ticket = u32::from_le_bytes([t0, t1, t2, t3]);
    let taken = HEADER_BYTES.saturating_add(path_bytes).saturating_add(body_bytes);
    Decoded::Frame(Frame { kind, ticket, path, body }, taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_comes_back_as_it_went_and_not_before_it_is_whole() {
        let frame = Frame { kind: Kind::Append, ticket: 7, path: b"/a/b", body: b"line\n" };
        let mut bytes = Vec::new();
        assert!(encode(&mut bytes, frame));
        for cut in 0..bytes.len() {
            assert_eq!(decode(&bytes[..cut]), Decoded::Partial, "cut at {cut}");
        }
        bytes.push(99);
        assert_eq!(decode(&bytes), Decoded::Frame(frame, bytes.len() - 1));
        assert_eq!(decode(&[200; 40]), Decoded::Garbage);
    }
}
