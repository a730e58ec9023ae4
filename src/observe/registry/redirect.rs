//! Redirect: where else a registry keeps a blob. It makes no call.
//!
//! Registries send whoever asks for a blob to a store of their cloud. Whoever runs a registry could
//! so have us ask anybody: only what has a name of the open net and speaks TLS is asked.

use http::header::LOCATION;
use http::uri::Authority;
use http::{HeaderMap, Uri};

use crate::observe::registry::fault::Fault;

/// Where no store of a cloud is: in the cluster, and on the own machine and net.
const INNER: [&str; 6] = ["localhost", "local", "internal", "svc", "lan", "localdomain"];
/// What is said of every other place.
const REFUSED: Fault = Fault::Malformed("a blob at a place that is not asked");

/// The address at which a blob is that was asked for at another.
///
/// # Errors
/// [`Fault::Malformed`] where none is named, or one that is not asked.
pub fn elsewhere(asked: &str, headers: &HeaderMap) -> Result<String, Fault> {
    let asked: Uri = asked.parse().map_err(|_| REFUSED)?;
    let named = headers.get(LOCATION).and_then(|named| named.to_str().ok()).ok_or(REFUSED)?;
    let named: Uri = named.parse().map_err(|_| REFUSED)?;
    let path = named.path_and_query().map(ToString::to_string).ok_or(REFUSED)?;
    let below = path.starts_with("/v2/");
    let own = asked.scheme_str().zip(asked.authority()).ok_or(REFUSED)?;
    let (scheme, host) = match named.scheme_str().zip(named.authority()) {
        None if below => own,
        Some(place) if place == own && below => own,
        Some((scheme, host)) if scheme == "https" && is_open(host) => (scheme, host),
        Some(_) | None => return Err(REFUSED),
    };
    Ok(format!("{scheme}://{host}{path}"))
}

/// Whether a host is a name of the open net: no address, and no name that only some know.
fn is_open(host: &Authority) -> bool {
    let name = host.host().trim_end_matches('.');
    let Some((_, last)) = name.rsplit_once('.').filter(|_| !host.as_str().contains('@')) else {
        return false;
    };
    // No such name ends in a number; addresses do, however they are written.
    last.starts_with(|c: char| c.is_ascii_alphabetic())
        && !INNER.iter().any(|inner| last.eq_ignore_ascii_case(inner))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_blob_is_asked_for_at_the_registry_or_in_the_open_net() {
        let asked = "http://registry.example:5000/v2/a/blobs/sha256:b";
        for (named, want) in [
            (
                "/v2/b/blobs/sha256:b?x=1",
                Some("http://registry.example:5000/v2/b/blobs/sha256:b?x=1"),
            ),
            ("http://registry.example:5000/v2/c", Some("http://registry.example:5000/v2/c")),
            ("http://registry.example:5000/c", None),
            ("https://store.example/c?sign=d%2F", Some("https://store.example/c?sign=d%2F")),
            ("https://store.example:8443/c", Some("https://store.example:8443/c")),
            ("/metadata", None),
            ("//store.example/c", None),
            ("http://store.example/c", None),
            ("http://registry.example:5001/c", None),
            ("https://me@store.example/c", None),
            ("https://169.254.169.254/c", None),
            ("https://0x7f.1/c", None),
            ("https://1.0x7f/c", None),
            ("https://2130706433/c", None),
            ("https://[::1]/c", None),
            ("https://kubernetes/c", None),
            ("https://kubernetes.default.svc/c", None),
            ("https://kubernetes.default.svc.cluster.LOCAL./c", None),
            ("https://metadata.google.internal/c", None),
            ("ftp://store.example/c", None),
            ("", None),
        ] {
            let headers = HeaderMap::from_iter([(LOCATION, HeaderValue::from_static(named))]);
            let got = elsewhere(asked, &headers);
            assert_eq!(got.ok().as_deref(), want, "{named}");
        }
        assert_eq!(elsewhere(asked, &HeaderMap::new()), Err(REFUSED));
    }
}
