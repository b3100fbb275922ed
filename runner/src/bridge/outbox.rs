//! What waits to be sent to one client, with a bound: who does not read loses notifications, and nobody else
//! waits for them.

use std::collections::VecDeque;
use std::sync::Mutex;

use bytes::Bytes;
use tokio::sync::Notify;

/// Most messages that wait.
const MESSAGES_MAX: usize = 256;

/// Most bytes that wait, beyond the first message.
const BYTES_MAX: usize = 4 * 1024 * 1024;

/// Messages for one client, or for one of its requests.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    /// What waits.
    waiting: Mutex<Waiting>,
    /// There is something new to see.
    changed: Notify,
}

/// What waits.
#[derive(Debug, Default)]
struct Waiting {
    /// The messages.
    messages: VecDeque<Bytes>,
    /// Their bytes.
    bytes: usize,
    /// Nothing more is to come.
    closed: bool,
}

impl Outbox {
    /// Adds a message; `false` if there is no room or nobody to read it any more.
    pub(super) fn push(&self, message: Bytes) -> bool {
        let Ok(mut waiting) = self.waiting.lock() else {
            return false;
        };
        let full = waiting.messages.len() >= MESSAGES_MAX
            || (!waiting.messages.is_empty() && waiting.bytes + message.len() > BYTES_MAX);
        if waiting.closed || full {
            return false;
        }
        waiting.bytes += message.len();
        waiting.messages.push_back(message);
        drop(waiting);
        self.changed.notify_one();
        true
    }

    /// The next message, if one is there.
    pub(super) fn take(&self) -> Option<Bytes> {
        let mut waiting = self.waiting.lock().ok()?;
        let message = waiting.messages.pop_front()?;
        waiting.bytes = waiting.bytes.saturating_sub(message.len());
        Some(message)
    }

    /// The next message, once there is one; `None` when there will be none.
    pub(super) async fn next(&self) -> Option<Bytes> {
        loop {
            if let Some(message) = self.take() {
                return Some(message);
            }
            if self.waiting.lock().is_ok_and(|waiting| waiting.closed) {
                // Whoever else waits is to see it as well.
                self.changed.notify_one();
                return None;
            }
            self.changed.notified().await;
        }
    }

    /// Nothing more is to come.
    pub(super) fn close(&self) {
        if let Ok(mut waiting) = self.waiting.lock() {
            waiting.closed = true;
        }
        self.changed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "current_thread")]
    async fn what_is_put_in_comes_out_in_order_and_then_it_ends() {
        let outbox = Outbox::default();
        assert!(outbox.push("a".into()) && outbox.push("b".into()));
        outbox.close();
        assert!(!outbox.push("c".into()));
        assert_eq!(outbox.next().await.unwrap(), "a");
        assert_eq!(outbox.next().await.unwrap(), "b");
        assert_eq!(outbox.next().await, None);
        assert_eq!(outbox.next().await, None);
    }

    #[test]
    fn both_bounds_hold_and_one_large_message_always_fits() {
        let outbox = Outbox::default();
        assert!(outbox.push(vec![0; BYTES_MAX * 2].into()));
        assert!(!outbox.push("x".into()));
        assert!(outbox.take().is_some());
        assert!((0..MESSAGES_MAX).all(|_| outbox.push("x".into())));
        assert!(!outbox.push("x".into()));
    }
}
