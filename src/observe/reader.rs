//! Reader: lists a registry, found behind an ImageRepository as Flux would, or named by a Rollout.
//! Secrets are read when they are used, and never kept.
//!
//! Verbs: `get` on imagerepositories; `get` on the Secrets and ServiceAccounts that an
//! ImageRepository or a Rollout names, which a Role of the tenant has to grant.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use futures::FutureExt;
use k8s_openapi::api::core::v1::{Secret, ServiceAccount};
use kube::api::{Api, ApiResource, DynamicObject};
use kube::core::gvk::GroupVersionKind;
use kube::{Client, Resource};
use regex::RegexSet;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::api::keys;
use crate::api::kind::Key;
use crate::observe::access::{AccessFrom, denied};
use crate::observe::reading::{Ask, Fetch, Fetched};
use crate::observe::registry::fault::Fault;
use crate::observe::registry::page::Pages;
use crate::observe::registry::proxy::Proxy;
use crate::observe::registry::trust::Trust;
use crate::observe::registry::{Login, Means, Place, Tags, list_tags, read_manifests};
use crate::observe::subject::{Named, Subject};
use crate::validate::seen::{Manifests, Reading, Unresolved};

/// The versions of ImageRepository that can be read, best first.
const VERSIONS: [&str; 3] = ["v1", "v1beta2", "v1beta1"];
/// The tags that Flux leaves out where nothing else is said: signatures.
const EXCLUDED: &str = r"^.*\.sig$";

/// What is read of an ImageRepository.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Repository {
    image: String,
    provider: Option<String>,
    insecure: bool,
    secret_ref: Option<Other>,
    cert_secret_ref: Option<Other>,
    proxy_secret_ref: Option<Other>,
    service_account_name: Option<String>,
    exclusion_list: Option<Vec<String>>,
    access_from: Option<AccessFrom>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Other {
    name: String,
}

/// How a registry is reached.
struct Way {
    place: Place,
    means: Means,
    /// Tags that are left out.
    excluded: RegexSet,
}

/// Why a repository cannot be listed.
#[derive(Clone)]
struct Unread {
    reason: &'static str,
    why: String,
    /// Whether it may go away by itself.
    passing: bool,
}

impl Unread {
    fn unsupported(field: &str, given: &str, allowed: &str) -> Self {
        let given: String = given.chars().take(40).collect();
        let why = format!(
            "spec.{field} of the ImageRepository is {given:?}, which is not supported here; \
             allowed: {allowed}"
        );
        Self { reason: "Unsupported", why, passing: false }
    }
}

impl From<Fault> for Unread {
    fn from(fault: Fault) -> Self {
        let reason = match fault {
            Fault::DigestMismatch => "DigestMismatch",
            Fault::Unreachable(_)
            | Fault::Unauthorized(_)
            | Fault::Missing
            | Fault::Untagged
            | Fault::Failing(_)
            | Fault::ForeignRealm(_)
            | Fault::Malformed(_) => "RegistryFault",
        };
        // A tag that was removed comes back by a push only.
        Self { reason, why: fault.to_string(), passing: fault != Fault::Untagged }
    }
}

impl From<Unread> for Unresolved {
    fn from(Unread { reason, why, passing }: Unread) -> Self {
        Self { reason, why, passing }
    }
}

/// Makes what lists registries.
pub fn reader(client: Client) -> Fetch {
    Arc::new(move |ask| {
        let client = client.clone();
        async move { read(&client, &ask).await }.boxed()
    })
}

async fn read(client: &Client, ask: &Ask) -> Fetched {
    match &ask.subject {
        Subject::Registry(named) => match reach_named(client, named).await {
            Ok(way) => fetch(&way, ask).await,
            Err(unread) => failed(ask, unread),
        },
        Subject::Repository(key) => match repository(client, key).await {
            Ok(Some(repository)) => read_repository(client, (key, &repository), ask).await,
            Ok(None) => {
                let why = format!("ImageRepository {key} does not exist");
                let unread = Unread { reason: "SourceMissing", why, passing: false };
                Fetched { manifests: none(ask, &unread), ..Fetched::default() }
            }
            Err(unread) => failed(ask, unread),
        },
    }
}

/// Asks the registry of an ImageRepository, and who may know what it says.
async fn read_repository(
    client: &Client,
    (key, repository): (&Key, &Repository),
    ask: &Ask,
) -> Fetched {
    let fetched = match reach(client, key, repository).await {
        Ok(way) => fetch(&way, ask).await,
        Err(unread) => failed(ask, unread),
    };
    if !ask.list {
        return fetched;
    }
    let denied = denied(client, key, repository.access_from.as_ref(), &ask.namespaces).await;
    Fetched { again: fetched.again || !denied.is_empty(), denied, ..fetched }
}

/// No manifest is known, for one reason.
fn none(ask: &Ask, unread: &Unread) -> Manifests {
    ask.tags.keys().map(|tag| (tag.clone(), Err(unread.clone().into()))).collect()
}

/// Nothing is known.
fn failed(ask: &Ask, unread: Unread) -> Fetched {
    let manifests = none(ask, &unread);
    let Unread { reason, why, passing } = unread;
    let reading = Some(Reading::Unread { reason, why });
    Fetched { reading, manifests, again: passing, ..Fetched::default() }
}

/// Asks a registry.
async fn fetch(way: &Way, ask: &Ask) -> Fetched {
    let mut fetched =
        if ask.list { listed(list(way, &ask.last).await) } else { Fetched::default() };
    let read = read_manifests(&way.place, &way.means, &ask.tags).await;
    let told = |fault| {
        // Another answer takes another push.
        let lasting = matches!(fault, Fault::Malformed(_));
        let unread = Unread::from(fault);
        Unresolved::from(Unread { passing: unread.passing && !lasting, ..unread })
    };
    let read = read.into_iter().map(|(tag, manifest)| (tag, manifest.map_err(told)));
    fetched.manifests = read.collect();
    let passing = |unresolved: &Unresolved| unresolved.passing;
    let mut unknown = fetched.manifests.values().filter_map(|read| read.as_ref().err());
    fetched.again |= unknown.any(passing);
    fetched
}

/// What came of listing.
fn listed(listed: Result<(Tags, Pages), Unread>) -> Fetched {
    match listed {
        Ok((Tags { tags, truncated }, pages)) => Fetched {
            reading: Some(Reading::Tags { tags: Arc::new(tags), truncated }),
            pages,
            ..Fetched::default()
        },
        Err(Unread { reason, why, passing }) => Fetched {
            reading: Some(Reading::Unread { reason, why }),
            again: passing,
            ..Fetched::default()
        },
    }
}

/// Finds out how a repository that Rollouts name is reached.
async fn reach_named(client: &Client, named: &Named) -> Result<Way, Unread> {
    let place = Place::of(&named.image, named.insecure);
    let login = login_of(client, &named.secrets, &place.host).await?;
    let trust = match &named.cert {
        Some(key) => trust(&secret(client, key, &key.name).await?),
        None => Trust::default(),
    };
    let means = Means { login, trust, proxy: None };
    Ok(Way { place, means, excluded: RegexSet::empty() })
}

/// The first login for a host. A Secret that cannot be read counts only where no other has one, as
/// for the kubelet.
async fn login_of(client: &Client, secrets: &[Key], host: &str) -> Result<Option<Login>, Unread> {
    let mut unread = None;
    for key in secrets {
        match secret(client, key, &key.name).await {
            Ok(data) => {
                if let Some(login) = docker_login(&data, host) {
                    return Ok(Some(login));
                }
            }
            Err(why) => unread = unread.or(Some(why)),
        }
    }
    unread.map_or(Ok(None), Err)
}

/// Finds out how the repository of an ImageRepository is reached.
async fn reach(client: &Client, key: &Key, repository: &Repository) -> Result<Way, Unread> {
    if let Some(provider) = repository.provider.as_deref().filter(|name| *name != "generic") {
        return Err(Unread::unsupported("provider", provider, "generic"));
    }
    let place = Place::of(&repository.image, repository.insecure);
    let login = login(client, key, repository, &place.host).await?;
    let trust = match &repository.cert_secret_ref {
        Some(named) => trust(&secret(client, key, &named.name).await?),
        None => Trust::default(),
    };
    let proxy = match &repository.proxy_secret_ref {
        Some(named) => Some(proxy(&secret(client, key, &named.name).await?)),
        None => None,
    };
    let default = [EXCLUDED.to_owned()];
    let patterns = repository.exclusion_list.as_deref().unwrap_or(&default);
    // Flux refuses an ImageRepository whose patterns it cannot read.
    let excluded = RegexSet::new(patterns).unwrap_or_else(|_| RegexSet::empty());
    Ok(Way { place, means: Means { login, trust, proxy }, excluded })
}

async fn list(way: &Way, last: &Pages) -> Result<(Tags, Pages), Unread> {
    let (mut found, pages) = list_tags(&way.place, &way.means, last).await?;
    found.tags.retain(|tag| !way.excluded.is_match(tag));
    Ok((found, pages))
}

/// The ImageRepository, `None` where there is none.
async fn repository(client: &Client, key: &Key) -> Result<Option<Repository>, Unread> {
    for version in VERSIONS {
        let gvk = GroupVersionKind::gvk(keys::FLUX_IMAGE_GROUP, version, "ImageRepository");
        let resource = ApiResource::from_gvk_with_plural(&gvk, "imagerepositories");
        let api: Api<DynamicObject> =
            Api::namespaced_with(client.clone(), &key.namespace, &resource);
        match api.get_opt(&key.name).await {
            Ok(Some(object)) => {
                let spec = object.data.get("spec").cloned().unwrap_or_default();
                return Ok(serde_json::from_value(spec).ok());
            }
            Ok(None) => return Ok(None),
            // A server without this version says so in other words.
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            Err(error) => return Err(refused(&error, "ImageRepository", key)),
        }
    }
    Ok(None)
}

async fn login(
    client: &Client,
    key: &Key,
    repository: &Repository,
    host: &str,
) -> Result<Option<Login>, Unread> {
    if let Some(named) = &repository.secret_ref {
        return Ok(docker_login(&secret(client, key, &named.name).await?, host));
    }
    let Some(account) = &repository.service_account_name else { return Ok(None) };
    let account: ServiceAccount = get(client, key, account, "ServiceAccount").await?;
    for named in account.image_pull_secrets.into_iter().flatten() {
        let found = docker_login(&secret(client, key, &named.name).await?, host);
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

/// What a Secret holds.
type Filled = BTreeMap<String, Vec<u8>>;

async fn secret(client: &Client, key: &Key, name: &str) -> Result<Filled, Unread> {
    let secret: Secret = get(client, key, name, "Secret").await?;
    let data = secret.data.into_iter().flatten();
    Ok(data.map(|(key, value)| (key, value.0)).collect())
}

async fn get<K>(client: &Client, key: &Key, name: &str, kind: &str) -> Result<K, Unread>
where
    K: Resource<Scope = k8s_openapi::NamespaceResourceScope> + Clone,
    K: DeserializeOwned + std::fmt::Debug,
    K::DynamicType: Default,
{
    let api: Api<K> = Api::namespaced(client.clone(), &key.namespace);
    let there = Key::new(key.namespace.as_str(), name);
    match api.get_opt(name).await {
        Ok(Some(object)) => Ok(object),
        Ok(None) => {
            let why = format!("{kind} {there} does not exist");
            Err(Unread { reason: "SecretMissing", why, passing: true })
        }
        Err(error) => Err(refused(&error, kind, &there)),
    }
}

fn refused(error: &kube::Error, kind: &str, key: &Key) -> Unread {
    if matches!(error, kube::Error::Api(status) if status.code == 403) {
        let why = format!(
            "the controller may not get {kind} {key}; grant its service account get on it by a \
             Role"
        );
        return Unread { reason: "Forbidden", why, passing: true };
    }
    // What else went wrong is the API server's: no text of it is passed on.
    let why = format!("{kind} {key} could not be read");
    Unread { reason: "Unreachable", why, passing: true }
}

fn trust(data: &Filled) -> Trust {
    let own = data.get("tls.crt").cloned().zip(data.get("tls.key").cloned());
    Trust { ca: data.get("ca.crt").cloned(), own }
}

/// The proxy that a Secret names.
///
/// Source: fluxcd.io, ImageRepository, "Proxy secret reference".
fn proxy(data: &Filled) -> Proxy {
    let text = |key: &str| data.get(key).map(|value| String::from_utf8_lossy(value).trim().into());
    Proxy {
        address: text("address").unwrap_or_default(),
        user: text("username").unwrap_or_default(),
        password: text("password").unwrap_or_default(),
    }
}

#[derive(Deserialize)]
struct DockerConfig {
    #[serde(default)]
    auths: BTreeMap<String, DockerAuth>,
}

#[derive(Deserialize)]
struct DockerAuth {
    #[serde(default)]
    username: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    auth: String,
}

/// The login for a host in a Secret of type `kubernetes.io/dockerconfigjson`.
fn docker_login(data: &Filled, host: &str) -> Option<Login> {
    let config: DockerConfig = serde_json::from_slice(data.get(".dockerconfigjson")?).ok()?;
    let auth = config.auths.into_iter().find(|(name, _)| host_of(name) == alias(host))?.1;
    if !auth.username.is_empty() {
        return Some(Login { user: auth.username, password: auth.password });
    }
    let text = String::from_utf8(BASE64_STANDARD.decode(auth.auth).ok()?).ok()?;
    let (user, password) = text.split_once(':')?;
    Some(Login { user: user.to_owned(), password: password.to_owned() })
}

/// The host of an entry, which may be an address with a scheme and a path.
fn host_of(name: &str) -> &str {
    let bare = name.strip_prefix("https://").or_else(|| name.strip_prefix("http://"));
    alias(bare.unwrap_or(name).split('/').next().unwrap_or_default())
}

fn alias(host: &str) -> &str {
    match host {
        "index.docker.io" | "registry-1.docker.io" => "docker.io",
        host => host,
    }
}

#[cfg(test)]
mod tests;
