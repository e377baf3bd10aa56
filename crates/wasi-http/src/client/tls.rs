//! Trusted root certificates, and the configuration of TLS.

use crate::{Error, Result};
use std::sync::Arc;
use tokio_rustls::rustls;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// The root certificates that a client trusts.
pub(super) enum Roots {
    /// Mozilla's.
    Webpki,
    /// The system's.
    System,
    /// The host's own.
    Own(Vec<CertificateDer<'static>>),
    /// What is in this configuration.
    Config(Arc<ClientConfig>),
}

impl Roots {
    /// Makes the configuration of TLS.
    ///
    /// # Errors
    ///
    /// If there are no roots.
    pub fn config(&self, use_http2: bool) -> Result<Arc<ClientConfig>> {
        let mut store = RootCertStore::empty();
        match self {
            Roots::Config(config) => return Ok(config.clone()),
            Roots::Webpki => store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
            Roots::System => {
                // Some that cannot be read are no reason to refuse the others.
                let certificates = rustls_native_certs::load_native_certs().certs;
                store.add_parsable_certificates(certificates);
            }
            Roots::Own(certificates) => {
                store.add_parsable_certificates(certificates.iter().cloned());
            }
        }
        if store.is_empty() {
            let text = "the host has no root certificates that could be read";
            return Err(Error::InternalError(Some(text.to_string())));
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| Error::InternalError(Some(error.to_string())))?;
        let mut config = builder.with_root_certificates(store).with_no_client_auth();
        config.alpn_protocols = match use_http2 {
            true => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
            false => vec![b"http/1.1".to_vec()],
        };
        Ok(Arc::new(config))
    }
}
