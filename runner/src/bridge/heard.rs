//! What a bridged server says by itself, and who hears of it. Answers go to whoever asked; how, is the link's.

use std::sync::Arc;

use serde_json::json;
use serde_json::value::RawValue;

use super::client::{Client, LEVELS};
use super::lines::{Line, id_of};
use super::link::Link;
use super::message::{Answer, Kind, METHOD_NOT_FOUND, Message, UNAVAILABLE, raw, text};
use super::room::Room;

/// How much of what makes no sense is shown.
const SHOWN_CHARS: usize = 200;

impl Room {
    /// A line of the server's stdout.
    pub(super) fn heard(&self, link: &Arc<Link>, said: Line) {
        let said = match said {
            Line::Whole(said) => said,
            Line::TooLong(head, tail) => {
                crate::say("the bridged server wrote a line that is too long");
                if let Some(id) = id_of(&head, &tail) {
                    let answer = Answer::failure(UNAVAILABLE, "the server's answer is larger than 16 MiB");
                    link.answered(&raw(&id), answer);
                }
                return;
            }
        };
        let text = said.trim_ascii();
        if text.starts_with(b"[")
            && let Ok(batch) = serde_json::from_slice::<Vec<&RawValue>>(text)
        {
            for one in batch {
                self.heard_message(link, one.get().as_bytes());
            }
        } else if !text.is_empty() {
            self.heard_message(link, text);
        }
    }

    /// One message.
    fn heard_message(&self, link: &Arc<Link>, text: &[u8]) {
        let message = Message::parse(text).unwrap_or_default();
        match message.kind() {
            // Nobody waits for it any more: that is no fault.
            Kind::Answer(id, answer) => drop(link.answered(id, answer)),
            Kind::Notification(method) => self.heard_notification(link, method, message.params),
            Kind::Request(id, method) => self.heard_request(link, id, method, message.params),
            Kind::Nonsense => {
                let shown: String = String::from_utf8_lossy(text).chars().take(SHOWN_CHARS).collect();
                crate::say(&format!("the bridged server wrote no message: {}", shown.escape_debug()));
            }
        }
    }

    /// A notification.
    fn heard_notification(&self, link: &Link, method: &str, params: Option<&RawValue>) {
        match method {
            "notifications/progress" => drop(params.and_then(|params| link.progressed(params))),
            "notifications/cancelled" => {
                if let Some(client) = self.only_client() {
                    client.withdraw(params);
                }
            }
            "notifications/subscriptions/acknowledged" => {}
            _ => {
                if method.ends_with("/list_changed") {
                    self.lists.forget(Some(method));
                }
                self.present().iter().for_each(|client| client.hears(method, params));
            }
        }
    }

    /// A request: the client's to answer where there is one of its own.
    fn heard_request(&self, link: &Arc<Link>, id: &RawValue, method: &str, params: Option<&RawValue>) {
        let refusal = if method == "ping" {
            Answer::empty()
        } else if !self.is_private {
            let why = format!("cannot ask the client for {method}: several clients share this server");
            Answer::failure(METHOD_NOT_FOUND, &why)
        } else if self.only_client().is_some_and(|client| client.is_asked(link, id, method, params)) {
            return;
        } else {
            Answer::failure(UNAVAILABLE, "the client cannot be reached")
        };
        link.tell(&Message::answer(id, &refusal));
    }

    /// The clients that are there.
    pub(super) fn present(&self) -> Vec<Arc<Client>> {
        let Ok(mut clients) = self.clients.lock() else {
            return Vec::new();
        };
        clients.retain(|client| client.strong_count() > 0);
        clients.iter().filter_map(std::sync::Weak::upgrade).collect()
    }

    /// The client of a room of its own.
    fn only_client(&self) -> Option<Arc<Client>> {
        self.present().pop().filter(|_| self.is_private)
    }

    /// What a new life must be asked for again: subscriptions, and how much is logged.
    pub(super) fn wishes(&self) -> Vec<(&'static str, Box<RawValue>)> {
        let present = self.present();
        let mut uris: Vec<String> = present.iter().flat_map(|client| client.uris()).collect();
        uris.sort_unstable();
        uris.dedup();
        let subscribe = |uri| ("resources/subscribe", raw(&json!({"uri": uri})));
        let level = self.level().map(|level| ("logging/setLevel", raw(&json!({"level": level}))));
        uris.into_iter().map(subscribe).chain(level).collect()
    }

    /// The lowest level of log messages that any client asked for.
    pub(super) fn level(&self) -> Option<&'static str> {
        let lowest = self.present().iter().filter_map(|client| client.level()).min()?;
        LEVELS.get(lowest).copied()
    }

    /// Whether any client wants to hear of this resource.
    pub(super) fn is_subscribed(&self, uri: &str) -> bool {
        self.present().iter().any(|client| client.has_uri(uri))
    }

    /// A client that wanted to hear of these is gone.
    pub(super) fn left(&self, uris: &[String]) {
        for uri in uris.iter().filter(|uri| !self.is_subscribed(uri)) {
            self.ask_idly("resources/unsubscribe", &raw(&json!({"uri": uri})));
        }
    }
}

/// The resource that parameters are about.
pub(super) fn uri_of(params: Option<&RawValue>) -> Option<String> {
    text(params, "uri")
}
