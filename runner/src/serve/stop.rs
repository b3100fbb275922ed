//! The wish to stop, as every part of the server can wait for it. What a stop consists of is theirs to know.

use std::io;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Becomes true once, on the first SIGTERM, SIGINT or SIGHUP.
#[derive(Debug, Clone)]
pub(crate) struct Stop(watch::Receiver<bool>);

impl Stop {
    /// Listens for the signals from now on, instead of dying of them.
    pub(crate) fn on_signals() -> io::Result<Self> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut hang_up = signal(SignalKind::hangup())?;
        let (sender, receiver) = watch::channel(false);
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
                _ = hang_up.recv() => {}
            }
            sender.send_replace(true);
        });
        Ok(Self(receiver))
    }

    /// Returns when a stop is wanted, at once if it already is.
    pub(crate) async fn requested(&mut self) {
        // An error means that the sender is gone, which it only is with the runtime.
        drop(self.0.wait_for(|&wanted| wanted).await);
    }
}
