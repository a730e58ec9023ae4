//! Registry: asks a registry for the tags of a repository, with limits on everything that it sends.
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
use http::{HeaderMap, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::Connect;
use hyper_util::rt::TokioExecutor;
use serde::Deserialize;

use crate::observe::registry::challenge::Challenge;
use crate::observe::registry::fault::Fault;
use crate::observe::registry::page::{Page, Pages};
use crate::observe::registry::proxy::Proxy;
use crate::observe::registry::trust::{Trust, above, connector};

pub mod challenge;
pub mod fault;
pub mod page;
pub mod proxy;
pub mod trust;

/// How long one call may take, answer included.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest that a registry may have us wait before another try.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(30);
/// Tries of one call: a registry that asks for patience gets it twice.
const TRIES_MAX: u32 = 3;
/// The longest answer: 1,000 tags of 128 characters are an eighth of it.
const BODY_MAX: usize = 1 << 20;
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
    let (login, direct) = (means.login.as_ref(), connector(&means.trust)?);
    let builder = Client::builder(TokioExecutor::new());
    match &means.proxy {
        None => {
            let client = builder.build(direct);
            pages(Visit { client, place, login, pass: None }, last).await
        }
        Some(proxy) => {
            let client = builder.build(above(&means.trust, proxy.tunnel(direct)?)?);
            pages(Visit { client, place, login, pass: None }, last).await
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

/// One listing: the connection, and what lets us in.
struct Visit<'a, C> {
    client: Client<C, Empty<Bytes>>,
    place: &'a Place,
    login: Option<&'a Login>,
    /// The value of the header Authorization.
    pass: Option<String>,
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
        match (self.get(&url, etag).await?, known) {
            (Some((headers, body)), _) => page(&headers, &body, self.place),
            (None, Some(same)) => Ok(same.clone()),
            (None, None) => Err(Fault::Failing(StatusCode::NOT_MODIFIED.as_u16())),
        }
    }

    /// Gets a document; nothing where it is the one that the etag names.
    async fn get(
        &mut self,
        url: &str,
        etag: Option<&str>,
    ) -> Result<Option<(HeaderMap, Bytes)>, Fault> {
        let (mut asked, mut tries) = (false, 0);
        loop {
            tries += 1;
            let pass = self.pass.clone();
            let (status, headers, body) = self.call(url, pass.as_deref(), etag).await?;
            match status {
                StatusCode::OK => return Ok(Some((headers, body))),
                StatusCode::NOT_MODIFIED if etag.is_some() => return Ok(None),
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
        let (status, _, body) = self.call(&url, pass.as_deref(), None).await?;
        if status != StatusCode::OK {
            return Err(Fault::Unauthorized(status.as_u16()));
        }
        let granted: Granted =
            serde_json::from_slice(&body).map_err(|_| Fault::Malformed("no token"))?;
        let Granted { token, access_token } = granted;
        let token = Some(token).filter(|token| !token.is_empty()).unwrap_or(access_token);
        Ok(format!("Bearer {token}"))
    }

    async fn call(
        &self,
        url: &str,
        pass: Option<&str>,
        etag: Option<&str>,
    ) -> Result<(StatusCode, HeaderMap, Bytes), Fault> {
        let mut request =
            Request::get(url).header(USER_AGENT, "stairlock").header(ACCEPT, "application/json");
        if let Some(pass) = pass {
            request = request.header(AUTHORIZATION, pass);
        }
        if let Some(etag) = etag {
            request = request.header(IF_NONE_MATCH, etag);
        }
        let request = request.body(Empty::new()).map_err(|_| Fault::Malformed("no address"))?;
        let whole = async {
            let answer = self.client.request(request).await;
            // The error's own text may hold the address, with what somebody wrote into it.
            let answer = answer.map_err(|_| Fault::Unreachable("no connection".to_owned()))?;
            let (head, body) = answer.into_parts();
            let body = Limited::new(body, BODY_MAX).collect().await;
            let body = body.map_err(|_| Fault::Malformed("it is cut or too long"))?;
            Ok((head.status, head.headers, body.to_bytes()))
        };
        match tokio::time::timeout(CALL_TIMEOUT, whole).await {
            Ok(answer) => answer,
            Err(_) => Err(Fault::Unreachable("no answer within 10 s".to_owned())),
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
