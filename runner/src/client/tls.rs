//! TLS towards upstreams: whom we trust and who we are. Not how clients reach us.

use std::path::Path;
use std::sync::Arc;

use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};

use super::Options;

/// Reads what the options name. An error names the file.
pub(super) fn connector(options: &Options) -> Result<TlsConnector, String> {
    let provider = Arc::new(crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("cannot use TLS: {error}"))?
        .with_root_certificates(match &options.ca {
            Some(path) => written(path)?,
            None => system(),
        });
    let mut config = match &options.identity {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let cannot =
                |path: &Path, reason: String| format!("cannot use {} for TLS: {reason}", path.display());
            let chain = certificates(certificate).map_err(|reason| cannot(certificate, reason))?;
            let secret = PrivateKeyDer::from_pem_file(key)
                .map_err(|error| cannot(key, format!("no private key in PEM: {error}")))?;
            builder
                .with_client_auth_cert(chain, secret)
                .map_err(|error| cannot(certificate, error.to_string()))?
        }
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}

/// The certificates of a PEM file, at least one.
pub(crate) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    match CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>) {
        Ok(all) if all.is_empty() => Err("it holds no certificate in PEM".to_owned()),
        Ok(all) => Ok(all),
        Err(error) => Err(error.to_string()),
    }
}

/// The authorities of a file, and no others.
fn written(path: &Path) -> Result<RootCertStore, String> {
    let cannot = |reason: String| format!("cannot use {} for TLS: {reason}", path.display());
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path).map_err(cannot)? {
        roots.add(certificate).map_err(|error| cannot(error.to_string()))?;
    }
    Ok(roots)
}

/// The system's authorities, so that a local one works; a system without any (an empty container) gets
/// Mozilla's.
fn system() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    roots
}
