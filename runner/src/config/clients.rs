//! `clients`: who may use the server, and how they are told apart from everybody else.

use std::fmt;
use std::path::PathBuf;

use super::keys::Keys;
use crate::failure::Failure;

/// Shortest token: a shorter one can be guessed.
const TOKEN_CHARS_MIN: usize = 16;

/// Who may be a client.
#[derive(Default, PartialEq, Eq)]
pub(crate) struct Clients {
    /// What they must show (`Authorization: Bearer …`).
    pub(crate) token: Option<String>,
    /// How connections are made private.
    pub(crate) tls: Option<ClientTls>,
    /// Names under which they know this server; its own addresses unless said.
    pub(crate) hosts: Vec<String>,
    /// Web pages that may call it, like `https://app.example`.
    pub(crate) origins: Vec<String>,
    /// Whether clients of the revisions that have sessions get one, and with it a stream of notifications.
    pub(crate) sessions: bool,
}

/// Says nothing of the token.
impl fmt::Debug for Clients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { token, tls, hosts, origins, sessions } = self;
        let token = token.as_ref().map(|_| "***");
        let mut all = f.debug_struct("Clients");
        all.field("token", &token).field("tls", tls).field("hosts", hosts);
        all.field("origins", origins).field("sessions", sessions).finish()
    }
}

/// Files in PEM.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ClientTls {
    /// The server's certificate and what leads to its authority.
    pub(crate) certificate: PathBuf,
    /// Its key.
    pub(crate) key: PathBuf,
    /// Authorities of the clients' certificates; given, a client must have one.
    pub(crate) ca: Option<PathBuf>,
}

impl Clients {
    /// `clients`.
    pub(super) fn read(mcp: &mut Keys<'_>) -> Result<Self, Failure> {
        let Some(mut keys) = mcp.object("clients", "mcpConfig.clients.")? else {
            return Ok(Self::default());
        };
        let token = keys.text("token")?;
        let good = |token: &String| {
            token.len() >= TOKEN_CHARS_MIN && token.bytes().all(|byte| byte.is_ascii_graphic())
        };
        if !token.iter().all(good) {
            return Err(keys.wrong("token", "must be 16 or more letters, digits and signs, without spaces"));
        }
        let tls = match keys.object("tls", "mcpConfig.clients.tls.")? {
            None => None,
            Some(mut files) => {
                let (certificate, key) = (files.path("certificate")?, files.path("key")?);
                let ca = files.path("ca")?;
                files.finish()?;
                match (certificate, key) {
                    (Some(certificate), Some(key)) => Some(ClientTls { certificate, key, ca }),
                    _ => return Err(keys.wrong("tls", "needs a certificate and its key, files in PEM")),
                }
            }
        };
        let (hosts, origins) = (keys.texts("hosts")?, keys.texts("origins")?);
        if !origins.iter().all(|origin| is_origin(origin)) {
            return Err(keys.wrong("origins", "must be a list like [\"https://app.example\"], without paths"));
        }
        let sessions = keys.boolean("sessions")?;
        keys.finish()?;
        Ok(Self { token, tls, hosts, origins, sessions })
    }
}

/// Whether a text is a page's origin: scheme, host, perhaps a port, and no more.
fn is_origin(text: &str) -> bool {
    let host = text.split_once("://").map(|(_, host)| host).unwrap_or_default();
    !host.is_empty() && !host.contains(['/', '*', ' ', '@'])
}
