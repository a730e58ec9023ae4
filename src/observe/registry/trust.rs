//! Trust: which certificates a registry may show, and which we show. It never accepts all.

use std::sync::Arc;

use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use rustls::client::WantsClientCert;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, ConfigBuilder, RootCertStore, crypto};

use crate::observe::registry::fault::Fault;

/// Which certificates are trusted and shown, as PEM.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Trust {
    /// Who may sign the registry's certificate; none: those that the system trusts.
    pub ca: Option<Vec<u8>>,
    /// Our certificate and its key.
    pub own: Option<(Vec<u8>, Vec<u8>)>,
}

impl std::fmt::Debug for Trust {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Trust")
    }
}

/// Makes what opens connections.
///
/// # Errors
/// [`Fault::Unreachable`] if a certificate cannot be read, or the system trusts nobody.
pub fn connector(trust: &Trust) -> Result<HttpsConnector<HttpConnector>, Fault> {
    let config = config(trust)?;
    Ok(HttpsConnectorBuilder::new().with_tls_config(config).https_or_http().enable_http1().build())
}

/// Makes what opens connections by what opens those below it.
///
/// # Errors
/// As [`connector`].
pub fn above<C>(trust: &Trust, below: C) -> Result<HttpsConnector<C>, Fault> {
    let config = config(trust)?;
    let builder = HttpsConnectorBuilder::new().with_tls_config(config).https_or_http();
    Ok(builder.enable_http1().wrap_connector(below))
}

fn config(trust: &Trust) -> Result<ClientConfig, Fault> {
    let rooted = rooted(trust)?;
    Ok(match &trust.own {
        Some((cert, key)) => {
            let certs: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(cert).collect();
            let certs = certs.map_err(|_| unusable("tls.crt"))?;
            let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| unusable("tls.key"))?;
            rooted
                .with_client_auth_cert(certs, key)
                .map_err(|_| unusable("tls.crt with tls.key"))?
        }
        None => rooted.with_no_client_auth(),
    })
}

fn rooted(trust: &Trust) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, Fault> {
    let provider = Arc::new(crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider);
    let builder = builder.with_safe_default_protocol_versions();
    let builder = builder.map_err(|_| Fault::Unreachable("no version of TLS".to_owned()))?;
    let Some(ca) = &trust.ca else {
        let none = |_| Fault::Unreachable("the system trusts no certificate".to_owned());
        return builder.with_native_roots().map_err(none);
    };
    let mut roots = RootCertStore::empty();
    for cert in CertificateDer::pem_slice_iter(ca) {
        let cert = cert.map_err(|_| unusable("ca.crt"))?;
        roots.add(cert).map_err(|_| unusable("ca.crt"))?;
    }
    if roots.is_empty() {
        return Err(unusable("ca.crt"));
    }
    Ok(builder.with_root_certificates(roots))
}

fn unusable(what: &str) -> Fault {
    Fault::Unreachable(format!("{what} of the Secret cannot be used"))
}
