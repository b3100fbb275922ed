//! `subscriptions/listen` of 2026-07-28: one request whose answers are all the notifications that were asked
//! for. The server behind may be of either era.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_json::value::RawValue;

use super::Bridge;
use super::client::{Client, Manner, marked};
use super::era::Era;
use super::message::{Answer, INVALID_PARAMS, Message, fields, raw};
use super::outbox::Outbox;

/// What a client wants to hear of, and then what it will.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Filter {
    /// See its name.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    tools_list_changed: bool,
    /// See its name.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    prompts_list_changed: bool,
    /// See its name.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    resources_list_changed: bool,
    /// Resources by their URIs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    resource_subscriptions: Vec<String>,
}

/// Most resources of one subscription.
const URIS_MAX: usize = 256;

/// Begins to listen: the first message is in the outbox then.
pub(super) async fn listen(
    bridge: &Bridge,
    id: &RawValue,
    params: Option<&RawValue>,
    outbox: &Arc<Outbox>,
) -> Result<Arc<Client>, Answer> {
    let said = params.and_then(|params| fields(params)?.remove("notifications"));
    let filter = said.and_then(|said| serde_json::from_str::<Filter>(said.get()).ok());
    let Some(mut filter) = filter.filter(|filter| filter.resource_subscriptions.len() <= URIS_MAX) else {
        return Err(Answer::failure(INVALID_PARAMS, "notifications must say what to listen to"));
    };
    let room = &bridge.0.common;
    let hello = room.hello().await?;
    let names = [
        (&mut filter.tools_list_changed, "tools", "notifications/tools/list_changed"),
        (&mut filter.prompts_list_changed, "prompts", "notifications/prompts/list_changed"),
        (&mut filter.resources_list_changed, "resources", "notifications/resources/list_changed"),
    ];
    let mut heard = Vec::new();
    for (wanted, what, name) in names {
        *wanted &= hello.tells_of_changes(what);
        heard.extend(wanted.then_some(name));
    }
    heard.push("notifications/resources/updated");
    let manner = Manner::Listener { id: id.to_owned(), names: heard };
    let client = Client::new(Arc::clone(room), Arc::clone(outbox), manner, None);
    let mut accepted = Vec::new();
    for uri in filter.resource_subscriptions {
        let params = raw(&json!({"uri": uri}));
        // A server of the new era was not asked for it when it was greeted, and cannot be now.
        let can = hello.era == Era::Handshake;
        let done =
            can && client.subscribe("resources/subscribe", Some(&params), outbox).await.code().is_none();
        accepted.extend(done.then_some(uri));
    }
    filter.resource_subscriptions = accepted;
    let params = marked(Some(&raw(&json!({"notifications": filter}))), id);
    outbox.push(Message::notification("notifications/subscriptions/acknowledged", Some(&params)).to_bytes());
    Ok(client)
}
