//! Reader: finds the registry behind an ImageRepository as Flux would, and lists it. Secrets are
//! read when they are used, and never kept.
//!
//! Verbs: `get` on imagerepositories; `get` on the Secrets and ServiceAccounts that an
//! ImageRepository names, which a Role of the tenant has to grant.

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
use crate::observe::reading::{Ask, Fetch, Fetched};
use crate::observe::registry::fault::Fault;
use crate::observe::registry::trust::Trust;
use crate::observe::registry::{Login, Place, Tags, list_tags, read_manifests};
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
    secret_ref: Option<Named>,
    cert_secret_ref: Option<Named>,
    proxy_secret_ref: Option<Named>,
    service_account_name: Option<String>,
    exclusion_list: Option<Vec<String>>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Named {
    name: String,
}

/// How a registry is reached.
struct Way {
    place: Place,
    login: Option<Login>,
    trust: Trust,
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
    fn unsupported(what: &str) -> Self {
        let why = format!("the ImageRepository has {what}, which is not supported here");
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
    let key = &ask.key;
    let none = |unread: &Unread| -> Manifests {
        ask.tags.keys().map(|tag| (tag.clone(), Err(unread.clone().into()))).collect()
    };
    let failed = |unread: Unread| {
        let (manifests, Unread { reason, why, passing }) = (none(&unread), unread);
        Fetched { reading: Some(Reading::Unread { reason, why }), manifests, again: passing }
    };
    let repository = match repository(client, key).await {
        Ok(Some(repository)) => repository,
        Ok(None) => {
            let why = format!("ImageRepository {key} does not exist");
            let manifests = none(&Unread { reason: "SourceMissing", why, passing: false });
            return Fetched { manifests, ..Fetched::default() };
        }
        Err(unread) => return failed(unread),
    };
    let way = match reach(client, key, &repository).await {
        Ok(way) => way,
        Err(unread) => return failed(unread),
    };
    let mut fetched = Fetched::default();
    if ask.list {
        let (reading, again) = listed(list(&way, &repository).await);
        (fetched.reading, fetched.again) = (Some(reading), again);
    }
    let read = read_manifests(&way.place, way.login.as_ref(), &way.trust, &ask.tags).await;
    let told = |fault| Unresolved::from(Unread::from(fault));
    let read = read.into_iter().map(|(tag, manifest)| (tag, manifest.map_err(told)));
    fetched.manifests = read.collect();
    let passing = |unresolved: &Unresolved| unresolved.passing;
    fetched.again |=
        fetched.manifests.values().any(|read| read.as_ref().err().is_some_and(passing));
    fetched
}

/// What is known of the tags, and whether to ask again.
fn listed(listed: Result<Tags, Unread>) -> (Reading, bool) {
    match listed {
        Ok(Tags { tags, truncated }) => (Reading::Tags { tags: Arc::new(tags), truncated }, false),
        Err(Unread { reason, why, passing }) => (Reading::Unread { reason, why }, passing),
    }
}

/// Finds out how a repository is reached.
async fn reach(client: &Client, key: &Key, repository: &Repository) -> Result<Way, Unread> {
    if let Some(provider) = repository.provider.as_deref().filter(|name| *name != "generic") {
        return Err(Unread::unsupported(&format!("provider {provider}")));
    }
    if repository.proxy_secret_ref.is_some() {
        return Err(Unread::unsupported("proxySecretRef"));
    }
    let place = Place::of(&repository.image, repository.insecure);
    let login = login(client, key, repository, &place.host).await?;
    let trust = match &repository.cert_secret_ref {
        Some(named) => trust(&secret(client, key, &named.name).await?),
        None => Trust::default(),
    };
    Ok(Way { place, login, trust })
}

async fn list(way: &Way, repository: &Repository) -> Result<Tags, Unread> {
    let Way { place, login, trust } = way;
    let mut found = list_tags(place, login.as_ref(), trust).await?;
    let default = [EXCLUDED.to_owned()];
    let patterns = repository.exclusion_list.as_deref().unwrap_or(&default);
    // Flux refuses an ImageRepository whose patterns it cannot read.
    if let Ok(excluded) = RegexSet::new(patterns) {
        found.tags.retain(|tag| !excluded.is_match(tag));
    }
    Ok(found)
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
            Ok(None) => {}
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
