//! The socket on which services speak `sd_notify`, and ours to whoever started us: one datagram at a time, with
//! its sender as the kernel knows it. What a letter says is not understood here.

use std::ffi::c_void;
use std::io;
use std::mem::{MaybeUninit, size_of};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::socket::sockopt::PassCred;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockType, UnixAddr, bind, sendto, setsockopt, socket,
};

use super::sockets::{self, Place};
use crate::life::policy::Pid;

/// Longest letter; of a longer one nothing is believed.
pub(crate) const LETTER_BYTES_MAX: usize = 4096;
/// Room for what travels beside a letter: its sender, and as many descriptors as the kernel lets through.
const CONTROL_WORDS: usize = 256;

/// Bytes of the number of a descriptor.
const FD_BYTES: usize = size_of::<RawFd>();

/// One datagram.
#[derive(Debug)]
pub(crate) struct Letter {
    /// Who sent it; not known of a sender in another PID namespace.
    pub(crate) sender: Option<Pid>,
    /// What it says; empty if it was too long.
    pub(crate) bytes: Vec<u8>,
    /// What came with it.
    pub(crate) fds: Vec<OwnedFd>,
}

/// Opens the socket: at the path, or, where that cannot be had, under the abstract name.
pub(crate) fn open(path: &Path, name: &str) -> io::Result<(OwnedFd, String)> {
    let named = || sockets::open(Place::Abstract(name), true).map(|socket| (socket, format!("@{name}")));
    // Whoever may send is found out by who it is, so any service may open it.
    let at_path = || sockets::open(Place::Path(path, 0o666), true);
    let (socket, address) = match path.to_str() {
        Some(text) => at_path().map(|socket| (socket, text.to_owned())).or_else(|_| named()),
        None => named(),
    }?;
    setsockopt(&socket, PassCred, &true)?;
    fcntl(&socket, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    Ok((socket, address))
}

/// Takes the next letter, without waiting.
///
/// # Errors
/// `WouldBlock` when there is none.
pub(crate) fn take(socket: BorrowedFd<'_>) -> io::Result<Letter> {
    let mut bytes = vec![0; LETTER_BYTES_MAX];
    // Of words, as its parts are aligned like them.
    let mut control = [MaybeUninit::<u64>::uninit(); CONTROL_WORDS];
    let mut slice = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    // SAFETY: a header of all zeros is an empty one.
    let mut header: libc::msghdr = unsafe { MaybeUninit::zeroed().assume_init() };
    header.msg_iov = &raw mut slice;
    header.msg_iovlen = 1;
    header.msg_control = control.as_mut_ptr().cast::<c_void>();
    header.msg_controllen = fitting(size_of_val(&control));
    let flags = libc::MSG_DONTWAIT | libc::MSG_CMSG_CLOEXEC;
    let count = loop {
        // SAFETY: the header points to room that lives until the end of this function.
        match Errno::result(unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut header, flags) }) {
            Err(Errno::EINTR) => {}
            other => break usize::try_from(other?).unwrap_or(0),
        }
    };
    let (sender, fds) = beside(&header);
    bytes.truncate(if header.msg_flags & libc::MSG_TRUNC == 0 { count } else { 0 });
    Ok(Letter { sender, bytes, fds })
}

/// A length in the type that it has elsewhere: the C libraries do not agree on these.
fn fitting<A, B: TryFrom<A> + Default>(length: A) -> B {
    B::try_from(length).unwrap_or_default()
}

/// What travelled beside a letter. Every descriptor is taken, also when others were cut off: it is open already.
fn beside(header: &libc::msghdr) -> (Option<Pid>, Vec<OwnedFd>) {
    let (mut sender, mut fds) = (None, Vec::new());
    // SAFETY: the header was filled by the kernel and its room is alive.
    let mut part = unsafe { libc::CMSG_FIRSTHDR(header) };
    while !part.is_null() {
        // SAFETY: not null, so it is within the room, and the kernel wrote it.
        let about = unsafe { *part };
        // SAFETY: the same.
        let data = unsafe { libc::CMSG_DATA(part) };
        if about.cmsg_level == libc::SOL_SOCKET && about.cmsg_type == libc::SCM_CREDENTIALS {
            // SAFETY: this is what a part of this type holds; it need not be aligned.
            let who = unsafe { data.cast::<libc::ucred>().read_unaligned() };
            sender = (who.pid > 0).then_some(Pid(who.pid));
        } else if about.cmsg_level == libc::SOL_SOCKET && about.cmsg_type == libc::SCM_RIGHTS {
            // SAFETY: a number as text; nothing is touched.
            let head = unsafe { libc::CMSG_LEN(0) };
            let bytes = fitting::<_, usize>(about.cmsg_len).saturating_sub(fitting(head));
            let count = bytes.checked_div(FD_BYTES).unwrap_or(0);
            for index in 0..count {
                // SAFETY: within the part, by its own length.
                let place = unsafe { data.add(index.saturating_mul(FD_BYTES)) };
                // SAFETY: the same; bytes need no alignment.
                let raw = unsafe { place.cast::<[u8; FD_BYTES]>().read() };
                // SAFETY: the kernel has just made this descriptor for us, and nobody else knows it.
                fds.push(unsafe { OwnedFd::from_raw_fd(RawFd::from_ne_bytes(raw)) });
            }
        }
        // SAFETY: the part is one of this header's.
        part = unsafe { libc::CMSG_NXTHDR(header, part) };
    }
    (sender, fds)
}

/// A socket to send letters from, to whoever started us.
pub(crate) fn sender() -> io::Result<OwnedFd> {
    let socket = socket(AddressFamily::Unix, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
    // An unnamed one is given a name of the kernel's: some receivers want to see one.
    let _named = bind(socket.as_raw_fd(), &UnixAddr::new_unnamed());
    Ok(socket)
}

/// Sends a letter, without waiting; `address` is a path, or a name behind `@`.
pub(crate) fn send(socket: impl AsFd, address: &str, text: &str) -> io::Result<()> {
    let to = match address.strip_prefix('@') {
        Some(name) => UnixAddr::new_abstract(name.as_bytes())?,
        None => UnixAddr::new(address)?,
    };
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
    sendto(socket.as_fd().as_raw_fd(), text.as_bytes(), &to, flags)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::{IoSlice, Write};

    use nix::sys::socket::{ControlMessage, sendmsg};

    use super::*;

    #[test]
    fn a_letter_comes_with_its_sender_and_what_lay_in_it() {
        let path = std::env::temp_dir().join(format!("mcp-init-test-l-{}", std::process::id()));
        let (socket, address) = open(&path, "unused").unwrap();
        assert_eq!(take(socket.as_fd()).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        let sender = sender().unwrap();
        send(&sender, &address, "READY=1").unwrap();
        let letter = take(socket.as_fd()).unwrap();
        assert_eq!((letter.bytes.as_slice(), letter.fds.len()), (&b"READY=1"[..], 0));
        assert_eq!(letter.sender, Some(Pid(i32::try_from(std::process::id()).unwrap())));

        let (_reader, mut writer) = io::pipe().unwrap();
        let many = [writer.as_raw_fd(); 253];
        let to = UnixAddr::new(&path).unwrap();
        let parts = [ControlMessage::ScmRights(&many)];
        let none = MsgFlags::empty();
        sendmsg(sender.as_raw_fd(), &[IoSlice::new(b"FDSTORE=1")], &parts, none, Some(&to)).unwrap();
        let letter = take(socket.as_fd()).unwrap();
        assert_eq!(letter.fds.len(), 253);
        assert!(letter.fds.iter().all(|fd| sockets::is_same(fd, &writer)));
        writer.write_all(b"x").unwrap();

        send(&sender, &address, &"x".repeat(LETTER_BYTES_MAX * 2)).unwrap();
        assert!(take(socket.as_fd()).unwrap().bytes.is_empty());
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn a_path_that_cannot_be_had_becomes_a_name() {
        let name = format!("mcp-init-test-n-{}", std::process::id());
        let (socket, address) = open(Path::new("/no/such/folder/notify.sock"), &name).unwrap();
        assert_eq!(address, format!("@{name}"));
        send(sender().unwrap(), &address, "STATUS=ä").unwrap();
        assert_eq!(take(socket.as_fd()).unwrap().bytes, "STATUS=ä".as_bytes());
    }
}
