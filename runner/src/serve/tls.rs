//! TLS towards clients: our certificate, and whose clients we take. Not how we call upstreams.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig, crypto};

use super::listener::Stream;
use crate::client::certificates;
use crate::config::ClientTls;

/// How long a client may take to shake hands.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);

/// Makes connections private.
#[derive(Clone)]
pub(super) struct Tls(TlsAcceptor);

impl Tls {
    /// Reads the certificate, its key, and the authority of the clients where there is one. An error names
    /// the file.
    pub(super) fn new(config: &ClientTls) -> Result<Self, String> {
        let provider = Arc::new(crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| format!("cannot use TLS: {error}"))?;
        let builder = match &config.ca {
            None => builder.with_no_client_auth(),
            Some(path) => {
                let cannot =
                    |reason: String| format!("cannot use clients.tls.ca {}: {reason}", path.display());
                let mut roots = RootCertStore::empty();
                for certificate in certificates(path).map_err(cannot)? {
                    roots.add(certificate).map_err(|error| cannot(error.to_string()))?;
                }
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
                builder.with_client_cert_verifier(verifier.map_err(|error| cannot(error.to_string()))?)
            }
        };
        let cannot = |path: &std::path::Path, reason: String| {
            format!("cannot use TLS with {}: {reason}", path.display())
        };
        let chain =
            certificates(&config.certificate).map_err(|reason| cannot(&config.certificate, reason))?;
        let key = PrivateKeyDer::from_pem_file(&config.key)
            .map_err(|error| cannot(&config.key, format!("no private key in PEM: {error}")))?;
        let mut server = builder
            .with_single_cert(chain, key)
            .map_err(|error| cannot(&config.certificate, error.to_string()))?;
        server.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self(TlsAcceptor::from(Arc::new(server))))
    }

    /// Shakes hands.
    pub(super) async fn accept(&self, stream: Box<dyn Stream>) -> io::Result<Box<dyn Stream>> {
        let stream = tokio::time::timeout(HANDSHAKE_MAX, self.0.accept(stream)).await??;
        Ok(Box::new(stream))
    }
}
