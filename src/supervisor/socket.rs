//! The control socket: made at the start, and again when somebody removed it. Who may use it is decided in `control`.

use std::io;
use std::os::unix::net::UnixListener;
use std::path::Path;

use mio::Interest;

use crate::sys::own;

use super::{LISTENER, Supervisor};

impl Supervisor {
    /// Makes the control socket anew: somebody removed it.
    pub(super) fn renew_socket(&mut self) {
        let path = self.settings.runtime_dir.join("control.sock");
        let renewed =
            bind(&path, self.settings.control.is_open()).and_then(|listener| self.clients.listen(listener));
        let renewed = renewed.and_then(|()| self.register(self.clients.fd(), LISTENER, Interest::READABLE));
        if let Err(error) = renewed {
            ::log::error!("cannot listen on {}: {}", path.display(), own::reason(&error));
        }
    }
}

/// Listens on a path that is ours: for us and root only, or, when `open`, for whoever the kernel says they are.
pub(super) fn bind(path: &Path, open: bool) -> io::Result<UnixListener> {
    if let Err(error) = std::fs::remove_file(path)
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(error);
    }
    let mask = if open { 0o111 } else { 0o177 };
    let before = nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(mask));
    let listener = UnixListener::bind(path);
    nix::sys::stat::umask(before);
    listener
}
