//! Proxy: the way to a registry through an HTTP proxy, by CONNECT. It asks nobody.
//!
//! Source: RFC 9110, 9.3.6 (CONNECT).

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::{HeaderValue, Uri};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::Tunnel;

use crate::observe::registry::fault::Fault;

/// A proxy, and who we are to it.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    /// Its address: scheme, host and port.
    pub address: String,
    /// The user, empty where it wants none.
    pub user: String,
    /// The password.
    pub password: String,
}

impl std::fmt::Debug for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Proxy")
    }
}

impl Proxy {
    /// Makes what opens connections through it; `inner` opens those to it.
    ///
    /// # Errors
    /// [`Fault::Unreachable`] if its address or its login cannot be used.
    pub fn tunnel(
        &self,
        inner: HttpsConnector<HttpConnector>,
    ) -> Result<Tunnel<HttpsConnector<HttpConnector>>, Fault> {
        let unusable = |what: &str| {
            Fault::Unreachable(format!("{what} of the Secret of the proxy cannot be used"))
        };
        let uri: Uri = self.address.parse().map_err(|_| unusable("address"))?;
        let known = matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some();
        // A login belongs into the Secret's own keys: in an address it would be part of the host.
        if !known || self.address.contains('@') {
            return Err(unusable("address"));
        }
        let tunnel = Tunnel::new(uri, inner);
        if self.user.is_empty() {
            return Ok(tunnel);
        }
        let login = BASE64_STANDARD.encode(format!("{}:{}", self.user, self.password));
        let login = HeaderValue::from_str(&format!("Basic {login}"));
        Ok(tunnel.with_auth(login.map_err(|_| unusable("username"))?))
    }
}
