//! Registry: asks a registry for the tags of a repository and for what is behind them, with limits
//! on everything that it sends.
//! It never sends a password to another host than the registry, and never keeps one.
//!
//! Source: OCI distribution specification 1.1, "Listing tags"; docs.docker.com, "Token
//! authentication specification".

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::header::{
    ACCEPT, AUTHORIZATION, ETAG, IF_NONE_MATCH, LINK, RETRY_AFTER, USER_AGENT, WWW_AUTHENTICATE,
};
use http::{HeaderMap, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::Connect;
use hyper_util::rt::TokioExecutor;
use serde::Deserialize;

use crate::observe::registry::challenge::Challenge;
use crate::observe::registry::fault::Fault;
use crate::observe::registry::manifest::Parsed;
use crate::observe::registry::page::{Page, Pages};
use crate::observe::registry::proxy::Proxy;
use crate::observe::registry::trust::{Trust, above, connector};
use crate::validate::seen::Manifest;

pub mod challenge;
pub mod fault;
pub mod manifest;
pub mod page;
pub mod proxy;
pub mod redirect;
pub mod trust;

/// How long one call may take, answer included.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest that a registry may have us wait before another try.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(30);
/// Tries of one call: a registry that asks for patience gets it twice.
const TRIES_MAX: u32 = 3;
/// The longest answer: 1,000 tags of 128 characters are an eighth of it, a manifest is shorter.
const BODY_MAX: usize = 1 << 20;
/// What a list of tags and a token are sent as.
const JSON: &str = "application/json";
/// What a blob is sent as.
const ANY: &str = "*/*";
/// "Not modified", where nobody asked whether it was.
const UNCHANGED: Fault = Fault::Failing(304);
/// Tags of a page.
const PAGE_SIZE: usize = 1000;
/// Tags that are kept of a repository: what has more is not ordered by versions of releases.
pub const TAGS_MAX: usize = 50_000;
/// Pages that are asked for.
const PAGES_MAX: usize = 200;

/// A repository, and how it is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The host, with its port.
    pub host: String,
    /// The path.
    pub path: String,
    /// Whether it is reached without TLS.
    pub insecure: bool,
}

impl Place {
    /// Takes a repository apart; `nginx` is `docker.io/library/nginx`.
    pub fn of(repository: &str, insecure: bool) -> Self {
        let host = |part: &str| part.contains(['.', ':']) || part == "localhost";
        let (host, path) = match repository.split_once('/') {
            Some((first, rest)) if host(first) => (first, rest.to_owned()),
            Some(_) => ("docker.io", repository.to_owned()),
            None => ("docker.io", format!("library/{repository}")),
        };
        Self { host: host.to_owned(), path, insecure }
    }

    /// The host that serves it: Docker Hub has another one than its name says.
    fn server(&self) -> &str {
        match self.host.as_str() {
            "docker.io" | "index.docker.io" => "registry-1.docker.io",
            host => host,
        }
    }

    fn scheme(&self) -> &'static str {
        if self.insecure { "http" } else { "https" }
    }
}

/// Who we are.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// The user.
    pub user: String,
    /// The password.
    pub password: String,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Login")
    }
}

/// The tags of a repository.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tags {
    /// Each once.
    pub tags: BTreeSet<String>,
    /// Whether there are more than are kept.
    pub truncated: bool,
}

#[derive(Deserialize)]
struct Told {
    #[serde(default)]
    name: String,
    #[serde(default)]
    tags: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Granted {
    #[serde(default)]
    token: String,
    #[serde(default)]
    access_token: String,
}

/// Who we are to a registry, whom we trust there, and the way to it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Means {
    /// Who we are; none: nobody.
    pub login: Option<Login>,
    /// Which certificates are trusted and shown.
    pub trust: Trust,
    /// The proxy to go through.
    pub proxy: Option<Proxy>,
}

/// Lists the tags of a repository. Where the registry says that a part is as it was in `last`, that
/// one is taken; what it can say so of the next time comes back beside the tags.
///
/// # Errors
/// A [`Fault`] that says what the registry did.
pub async fn list_tags(place: &Place, means: &Means, last: &Pages) -> Result<(Tags, Pages), Fault> {
    let direct = connector(&means.trust)?;
    let builder = Client::builder(TokioExecutor::new());
    match &means.proxy {
        None => {
            let client = builder.build(direct);
            pages(Visit::new(client, place, means), last).await
        }
        Some(proxy) => {
            let client = builder.build(above(&means.trust, proxy.tunnel(direct)?)?);
            pages(Visit::new(client, place, means), last).await
        }
    }
}

/// Reads page after page.
async fn pages<C>(mut visit: Visit<'_, C>, last: &Pages) -> Result<(Tags, Pages), Fault>
where
    C: Connect + Clone + Send + Sync + 'static,
{
    let (mut found, mut kept) = (Tags::default(), BTreeMap::new());
    let mut next = Some(first(visit.place));
    for _ in 0..PAGES_MAX {
        let Some(path) = next else { return Ok((found, kept.into())) };
        let page = visit.page(&path, last).await?;
        let before = found.tags.len();
        for tag in &page.tags {
            if TAGS_MAX <= found.tags.len() {
                found.truncated = true;
                return Ok((found, kept.into()));
            }
            found.tags.insert(tag.clone());
        }
        // The end, or a circle: nothing new comes.
        next = page.next.clone().filter(|_| before < found.tags.len());
        if page.etag.is_some() {
            kept.insert(visit.address(&path), page);
        }
    }
    found.truncated = next.is_some();
    Ok((found, kept.into()))
}

/// The first page.
fn first(place: &Place) -> String {
    format!("/v2/{}/tags/list?n={PAGE_SIZE}", place.path)
}

/// Reads a page.
fn page(headers: &HeaderMap, body: &[u8], place: &Place) -> Result<Page, Fault> {
    let told: Told =
        serde_json::from_slice(body).map_err(|_| Fault::Malformed("no list of tags"))?;
    if told.name != place.path {
        return Err(Fault::Malformed("a list of another repository"));
    }
    let tags = told.tags.unwrap_or_default();
    // Some registries cut their pages and name no next one.
    let cut = tags.last().filter(|_| tags.len() == PAGE_SIZE);
    let after = cut.map(|tag| format!("{}&last={tag}", first(place)));
    let next = linked(headers, place)?.or(after);
    let etag = headers.get(ETAG).and_then(|etag| etag.to_str().ok());
    Ok(Page { etag: etag.map(str::to_owned), tags, next })
}

/// Reads the manifests of tags. Of one that is known only the digest is asked for, as long as it
/// is still the same. Where the registry itself fails, nothing more is asked.
///
/// # Errors
/// A [`Fault`] for each tag, that says what the registry did.
pub async fn read_manifests(
    place: &Place,
    means: &Means,
    tags: &Wanted,
) -> BTreeMap<String, Result<Manifest, Fault>> {
    let builder = Client::builder(TokioExecutor::new());
    let direct = connector(&means.trust);
    let Some(proxy) = &means.proxy else {
        let client = direct.map(|direct| builder.build(direct));
        return manifests(client.map(|client| Visit::new(client, place, means)), tags).await;
    };
    let through = direct.and_then(|direct| above(&means.trust, proxy.tunnel(direct)?));
    let client = through.map(|through| builder.build(through));
    manifests(client.map(|client| Visit::new(client, place, means)), tags).await
}

/// Tags, each with what is known of its manifest.
pub type Wanted = BTreeMap<String, Option<Manifest>>;

async fn manifests<C>(
    mut visit: Result<Visit<'_, C>, Fault>,
    tags: &Wanted,
) -> BTreeMap<String, Result<Manifest, Fault>>
where
    C: Connect + Clone + Send + Sync + 'static,
{
    let mut found = BTreeMap::new();
    for (tag, known) in tags {
        let read = match &mut visit {
            Ok(visit) => visit.manifest(tag, known.as_ref()).await,
            Err(fault) => Err(fault.clone()),
        };
        if let Err(fault) = &read
            && fault.of_registry()
        {
            visit = Err(fault.clone());
        }
        found.insert(tag.clone(), read);
    }
    found
}

/// The next page, as the header Link names it: of this registry only.
fn linked(headers: &HeaderMap, place: &Place) -> Result<Option<String>, Fault> {
    let Some(link) = headers.get(LINK).and_then(|link| link.to_str().ok()) else { return Ok(None) };
    let target = link.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
    let Some((target, rest)) = target.filter(|(_, rest)| rest.contains("next")) else {
        return Ok(None);
    };
    let _ = rest;
    let uri: Uri = target.parse().map_err(|_| Fault::Malformed("no next page"))?;
    if uri.authority().is_some_and(|host| host.as_str() != place.server()) {
        return Err(Fault::Malformed("a next page on another host"));
    }
    let path = uri.path_and_query().map(ToString::to_string);
    match path.filter(|path| path.starts_with("/v2/")) {
        Some(path) => Ok(Some(path)),
        None => Err(Fault::Malformed("a next page of something else")),
    }
}

/// What is asked for.
struct Wish<'a> {
    method: Method,
    url: &'a str,
    accept: &'a str,
    /// The validator of what is known already.
    etag: Option<&'a str>,
    /// Whether it may be kept elsewhere.
    blob: bool,
}

impl<'a> Wish<'a> {
    fn get(url: &'a str, accept: &'a str) -> Self {
        Self { method: Method::GET, url, accept, etag: None, blob: false }
    }
}

/// One listing: the connection, and what lets us in.
struct Visit<'a, C> {
    client: Client<C, Empty<Bytes>>,
    place: &'a Place,
    login: Option<&'a Login>,
    /// The value of the header Authorization.
    pass: Option<String>,
    /// Whether configurations cannot be read: then no other is asked for.
    blind: bool,
}

impl<'a, C> Visit<'a, C> {
    fn new(client: Client<C, Empty<Bytes>>, place: &'a Place, means: &'a Means) -> Self {
        Self { client, place, login: means.login.as_ref(), pass: None, blind: false }
    }
}

impl<C> Visit<'_, C>
where
    C: Connect + Clone + Send + Sync + 'static,
{
    /// The address of a path.
    fn address(&self, path: &str) -> String {
        format!("{}://{}{path}", self.place.scheme(), self.place.server())
    }

    /// Gets a page, or takes the last one where the registry says that it is the same.
    async fn page(&mut self, path: &str, last: &Pages) -> Result<Page, Fault> {
        let url = self.address(path);
        let known = last.get(&url);
        let etag = known.and_then(|page| page.etag.as_deref());
        let wish = Wish { etag, ..Wish::get(&url, JSON) };
        match (self.ask(&wish).await?, known) {
            (Some((headers, body)), _) => page(&headers, &body, self.place),
            (None, Some(same)) => Ok(same.clone()),
            (None, None) => Err(UNCHANGED),
        }
    }

    async fn manifest(&mut self, tag: &str, known: Option<&Manifest>) -> Result<Manifest, Fault> {
        let path = format!("/v2/{}/manifests", self.place.path);
        let missing = |fault| if fault == Fault::Missing { Fault::Untagged } else { fault };
        let tagged = format!("{path}/{tag}");
        if let Some(known) = known.filter(|known| !known.unread) {
            let asked = self.of_manifest(Method::HEAD, &tagged).await;
            let (headers, _) = asked.map_err(missing)?;
            if manifest::told(&headers)?.as_ref() == Some(&known.digest) {
                return Ok(known.clone());
            }
        }
        let (headers, body) = self.of_manifest(Method::GET, &tagged).await.map_err(missing)?;
        let Parsed { manifest, child, config } = manifest::read(&headers, &body)?;
        let Some(child) = child else { return Ok(self.labelled(manifest, config).await) };
        match self.of_manifest(Method::GET, &format!("{path}/{child}")).await {
            Ok((headers, body)) => {
                let Parsed { manifest: one, config, .. } = manifest::read(&headers, &body)?;
                if one.digest != child {
                    return Err(Fault::DigestMismatch);
                }
                let one = self.labelled(one, config).await;
                Ok(Manifest { digest: manifest.digest, ..one })
            }
            // A copy of some platforms only.
            Err(Fault::Missing) => Ok(manifest),
            Err(fault) => Err(fault),
        }
    }

    /// A manifest, with the labels of its image where it has no annotations. What keeps them from
    /// being read keeps nothing else from being known.
    async fn labelled(&mut self, manifest: Manifest, config: Option<String>) -> Manifest {
        let Some(config) = config else { return manifest };
        if self.blind {
            return Manifest { unread: true, ..manifest };
        }
        match self.labels(&config).await {
            Ok(annotations) => Manifest { annotations, ..manifest },
            Err(fault) => {
                self.blind = fault.of_registry();
                Manifest { unread: self.blind || fault == Fault::DigestMismatch, ..manifest }
            }
        }
    }

    async fn labels(&mut self, config: &str) -> Result<BTreeMap<String, String>, Fault> {
        let url = self.address(&format!("/v2/{}/blobs/{config}", self.place.path));
        let wish = Wish { blob: true, ..Wish::get(&url, ANY) };
        let (_, body) = self.ask(&wish).await?.ok_or(UNCHANGED)?;
        manifest::labels(config, &body)
    }

    async fn of_manifest(
        &mut self,
        method: Method,
        path: &str,
    ) -> Result<(HeaderMap, Bytes), Fault> {
        let (url, accept) = (self.address(path), manifest::accept());
        let wish = Wish { method, ..Wish::get(&url, &accept) };
        self.ask(&wish).await?.ok_or(UNCHANGED)
    }

    /// Gets a document; nothing where it is the one that the etag names.
    async fn ask(&mut self, wish: &Wish<'_>) -> Result<Option<(HeaderMap, Bytes)>, Fault> {
        let (mut asked, mut tries) = (false, 0);
        loop {
            tries += 1;
            let pass = self.pass.clone();
            let (status, headers, body) = self.call(wish, pass.as_deref()).await?;
            match status {
                StatusCode::OK => return Ok(Some((headers, body))),
                StatusCode::NOT_MODIFIED if wish.etag.is_some() => return Ok(None),
                status if wish.blob && status.is_redirection() => {
                    // Nobody there is told who we are.
                    let url = redirect::elsewhere(wish.url, &headers)?;
                    return match self.call(&Wish::get(&url, ANY), None).await? {
                        (StatusCode::OK, headers, body) => Ok(Some((headers, body))),
                        (other, ..) => Err(Fault::Failing(other.as_u16())),
                    };
                }
                StatusCode::UNAUTHORIZED if !asked => {
                    asked = true;
                    self.pass = Some(self.enter(&headers).await?);
                }
                StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                    return Err(Fault::Unauthorized(status.as_u16()));
                }
                StatusCode::NOT_FOUND => return Err(Fault::Missing),
                StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
                    if tries < TRIES_MAX =>
                {
                    tokio::time::sleep(patience(&headers)).await;
                }
                other => return Err(Fault::Failing(other.as_u16())),
            }
        }
    }

    /// Gets what lets us in, as the registry asks for it.
    async fn enter(&self, headers: &HeaderMap) -> Result<String, Fault> {
        let asked = headers.get(WWW_AUTHENTICATE).and_then(|value| value.to_str().ok());
        match Challenge::read(asked.unwrap_or_default()) {
            Some(Challenge::Basic) => basic(self.login).ok_or(Fault::Unauthorized(401)),
            Some(Challenge::Bearer { realm, service, scope }) => {
                let scope = if scope.is_empty() {
                    format!("repository:{}:pull", self.place.path)
                } else {
                    scope
                };
                self.token(&realm, &service, &scope).await
            }
            None => Err(Fault::Unauthorized(401)),
        }
    }

    async fn token(&self, realm: &str, service: &str, scope: &str) -> Result<String, Fault> {
        let uri: Uri = realm.parse().map_err(|_| Fault::Malformed("no place for tokens"))?;
        let host = uri.authority().map(|host| host.as_str()).unwrap_or_default();
        let plain = uri.scheme_str() == Some("http") && self.place.insecure;
        if !challenge::is_own(self.place.server(), host)
            || (uri.scheme_str() != Some("https") && !plain)
        {
            return Err(Fault::ForeignRealm(realm.chars().take(100).collect()));
        }
        let join = if realm.contains('?') { '&' } else { '?' };
        let (service, scope) = (challenge::escaped(service), challenge::escaped(scope));
        let url = format!("{realm}{join}service={service}&scope={scope}");
        let pass = basic(self.login);
        let wish = Wish::get(&url, JSON);
        let (status, _, body) = self.call(&wish, pass.as_deref()).await?;
        if status != StatusCode::OK {
            return Err(Fault::Unauthorized(status.as_u16()));
        }
        let granted: Granted =
            serde_json::from_slice(&body).map_err(|_| Fault::Malformed("no token"))?;
        let Granted { token, access_token } = granted;
        let token = Some(token).filter(|token| !token.is_empty()).unwrap_or(access_token);
        Ok(format!("Bearer {token}"))
    }

    /// What is not there of the registry, or of where it sends us: that place is its own word.
    fn unreached(&self, what: &str, url: &str) -> Fault {
        let authority = url.parse::<Uri>().ok().and_then(|uri| uri.into_parts().authority);
        let own = authority.is_some_and(|there| there.as_str() == self.place.server());
        // A password before the host is for nobody to read.
        let host = self.place.host.rsplit('@').next().unwrap_or_default();
        let sent = if own { "" } else { "a place named by " };
        Fault::Unreachable(format!("{what} {sent}{host}"))
    }

    async fn call(
        &self,
        wish: &Wish<'_>,
        pass: Option<&str>,
    ) -> Result<(StatusCode, HeaderMap, Bytes), Fault> {
        let request = Request::builder().method(wish.method.clone()).uri(wish.url);
        let mut request = request.header(USER_AGENT, "stairlock").header(ACCEPT, wish.accept);
        if let Some(pass) = pass {
            request = request.header(AUTHORIZATION, pass);
        }
        if let Some(etag) = wish.etag {
            request = request.header(IF_NONE_MATCH, etag);
        }
        let request = request.body(Empty::new()).map_err(|_| Fault::Malformed("no address"))?;
        let whole = async {
            let answer = self.client.request(request).await;
            // The error's own text may hold the address, with what somebody wrote into it.
            let answer = answer.map_err(|_| self.unreached("no connection to", wish.url))?;
            let (head, body) = answer.into_parts();
            let body = Limited::new(body, BODY_MAX).collect().await;
            let body = body.map_err(|_| Fault::Malformed("it is cut or too long"))?;
            Ok((head.status, head.headers, body.to_bytes()))
        };
        match tokio::time::timeout(CALL_TIMEOUT, whole).await {
            Ok(answer) => answer,
            Err(_) => Err(self.unreached("no answer within 10 s from", wish.url)),
        }
    }
}

/// How long a registry asks us to wait, within our limit; a date is taken as the limit.
fn patience(headers: &HeaderMap) -> Duration {
    let asked = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    match asked.map(str::parse) {
        Some(Ok(seconds)) => Duration::from_secs(seconds).min(RETRY_AFTER_MAX),
        Some(Err(_)) => RETRY_AFTER_MAX,
        None => Duration::from_secs(1),
    }
}

fn basic(login: Option<&Login>) -> Option<String> {
    let Login { user, password } = login?;
    Some(format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}"))))
}

#[cfg(test)]
mod tests;
