//! Send: the only way by which a write leaves. Verbs: create (an eviction too), patch
//! and delete, nothing else.

use json_patch::Patch as JsonPatch;
use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams, PostParams, Preconditions};
use kube::core::Request;
use kube::core::request::Error as RequestError;
use kube::{Client, Resource};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tracing::debug;

use crate::api::keys;
use crate::api::kind::{Reference, version_number};
use crate::apply::error::Error;
use crate::model::moves::Target;

/// What a write has left behind, to be waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The object.
    pub target: Reference,
    /// What is to be seen of it.
    pub effect: Effect,
}

impl Written {
    /// What a write left behind that answered with this resourceVersion of the object.
    pub fn at(target: &Reference, version: Option<&str>) -> Self {
        Self { target: target.clone(), effect: Effect::Version(version_number(version)) }
    }
}

/// What is to be seen of a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// The object at this resourceVersion or a newer one.
    Version(u64),
    /// That this object is gone.
    Gone {
        /// Its uid.
        uid: String,
    },
}

/// Whether a create is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Run {
    /// It is.
    Real,
    /// The API server checks it and stores nothing.
    Dry,
}

/// The part of an object that a patch is sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// All but the status.
    Main,
    /// The status.
    Status,
}

/// Creates an object.
///
/// # Errors
/// The client's; what it means is for the caller to say, who knows what may stand there.
pub async fn create(
    client: &Client,
    target: &Reference,
    body: Value,
    run: Run,
) -> Result<Written, kube::Error> {
    let params = PostParams {
        dry_run: run == Run::Dry,
        field_manager: Some(keys::FIELD_MANAGER.to_owned()),
    };
    let body = serde_json::to_vec(&body).map_err(kube::Error::SerdeError)?;
    debug!(object = %target, dry = run == Run::Dry, "create");
    let request = request(target).create(&params, body).map_err(kube::Error::BuildRequest)?;
    let reply = client.request(request).await?;
    Ok(written(target, &reply))
}

/// Patches an object; the patch replaces its resourceVersion.
///
/// # Errors
/// [`Error`] as the answer says; `stale` is the resourceVersion that the patch demands.
pub async fn patch(
    client: &Client,
    target: &Reference,
    patch: JsonPatch,
    stale: &str,
    part: Part,
) -> Result<Written, Error> {
    let reply = patched(client, target, &patch, stale, part).await?;
    Ok(written(target, &reply))
}

/// Patches an object as [`patch`] does, and reads what it is then. `patch` is written out as the
/// operations of a JSON patch.
///
/// # Errors
/// [`Error`] as the answer says.
pub async fn patched<K: DeserializeOwned>(
    client: &Client,
    target: &Reference,
    patch: &impl Serialize,
    stale: &str,
    part: Part,
) -> Result<K, Error> {
    let params = PatchParams {
        field_manager: Some(keys::FIELD_MANAGER.to_owned()),
        ..PatchParams::default()
    };
    // The client takes operations as trees only, and a status is a large one.
    let none: Patch<()> = Patch::Json(JsonPatch::default());
    debug!(object = %target, part = ?part, "patch");
    let (all, name) = (request(target), &target.key.name);
    let request = match part {
        Part::Main => all.patch(name, &params, &none),
        Part::Status => all.patch_subresource("status", name, &params, &none),
    };
    let request = request.and_then(|request| {
        let body = serde_json::to_vec(patch).map_err(RequestError::SerializeBody)?;
        Ok(request.map(|_| body))
    });
    answer(client, target, request, stale).await
}

/// Applies fields of an object that exists (server-side apply); `body` names its uid and
/// resourceVersion, so that it is not made anew.
///
/// # Errors
/// [`Error`] as the answer says; `stale` is the resourceVersion that the body demands.
pub async fn apply(
    client: &Client,
    target: &Reference,
    body: &Value,
    claim: Claim<'_>,
    stale: &str,
) -> Result<Written, Error> {
    let params = PatchParams {
        field_manager: Some(claim.manager.to_owned()),
        force: claim.force,
        ..PatchParams::default()
    };
    debug!(object = %target, manager = claim.manager, "apply");
    let request = request(target).patch(&target.key.name, &params, &Patch::Apply(body));
    let reply = answer(client, target, request, stale).await?;
    Ok(written(target, &reply))
}

/// Sends a change of an object that exists, which demands the resourceVersion `stale` of it.
async fn answer<K: DeserializeOwned>(
    client: &Client,
    target: &Reference,
    request: Result<http::Request<Vec<u8>>, RequestError>,
    stale: &str,
) -> Result<K, Error> {
    let reply = match request {
        Ok(request) => client.request(request).await,
        Err(error) => Err(kube::Error::BuildRequest(error)),
    };
    reply.map_err(|error| Error::of(target, version_number(Some(stale)), error))
}

/// In whose name fields are applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim<'a> {
    /// The field manager.
    pub manager: &'a str,
    /// Whether they are taken from whoever has them.
    pub force: bool,
}

/// Deletes an object as it was seen; what it owns goes after it.
///
/// # Errors
/// [`Error`] as the answer says. An object that is gone already is no error.
pub async fn delete(client: &Client, target: &Reference, seen: &Target) -> Result<Written, Error> {
    let params = DeleteParams {
        preconditions: Some(Preconditions {
            uid: Some(seen.uid.clone()),
            resource_version: Some(seen.resource_version.clone()),
        }),
        ..DeleteParams::background()
    };
    debug!(object = %target, "delete");
    let gone = Written { target: target.clone(), effect: Effect::Gone { uid: seen.uid.clone() } };
    match api(client, target).delete(&target.key.name, &params).await {
        Ok(_) => Ok(gone),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(gone),
        Err(error) => Err(Error::of(target, version_number(Some(&seen.resource_version)), error)),
    }
}

/// Has a pod evicted: deleted, if its PodDisruptionBudget allows that now.
///
/// # Errors
/// [`Error`] as the answer says. A pod that is gone already, or another one of its name, is none.
pub async fn evict(
    client: &Client,
    target: &Reference,
    uid: &str,
    body: Value,
) -> Result<Written, Error> {
    let params = PostParams { dry_run: false, field_manager: None };
    let body = serde_json::to_vec(&body).map_err(kube::Error::SerdeError);
    let name = &target.key.name;
    let request = body.and_then(|body| {
        let request = request(target).create_subresource("eviction", name, &params, body);
        request.map_err(kube::Error::BuildRequest)
    });
    debug!(object = %target, "evict");
    let reply = match request {
        Ok(request) => client.request::<Value>(request).await,
        Err(error) => Err(error),
    };
    let gone = Written { target: target.clone(), effect: Effect::Gone { uid: uid.to_owned() } };
    match reply {
        Ok(_) => Ok(gone),
        Err(kube::Error::Api(status)) if [404, 409].contains(&status.code) => Ok(gone),
        Err(error) => Err(Error::of_eviction(target, error)),
    }
}

/// What is read of the object that a write answers with: the watch brings the rest.
#[derive(Debug, Deserialize)]
struct Reply {
    metadata: Stored,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stored {
    #[serde(default)]
    resource_version: Option<String>,
}

/// Begins a request about the objects of a kind in a namespace.
fn request(target: &Reference) -> Request {
    let resource = target.kind.resource();
    let namespace = Some(target.key.namespace.as_str()).filter(|name| !name.is_empty());
    Request::new(DynamicObject::url_path(&resource, namespace))
}

/// Gives access to the objects of a kind in a namespace.
pub fn api(client: &Client, target: &Reference) -> Api<DynamicObject> {
    Api::namespaced_with(client.clone(), &target.key.namespace, &target.kind.resource())
}

fn written(target: &Reference, reply: &Reply) -> Written {
    Written::at(target, reply.metadata.resource_version.as_deref())
}
