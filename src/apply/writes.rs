//! Writes: one function for each. The order is the caller's; the first that fails ends it.

use kube::Client;
use kube::api::DynamicObject;
use serde_json::Value;

use crate::api::keys;
use crate::api::kind::{Kind, Reference, version_number};
use crate::api::rollout::Rollout;
use crate::apply::error::{Error, printable};
use crate::apply::send::{self, Claim, Effect, Part, Run, Written};
use crate::model::binding::{Field, TargetKind};
use crate::model::moves::{Target, Write};
use crate::model::spec::RouteKind;
use crate::model::template::TemplateId;
use crate::render::owner::Owner;
use crate::render::{check, eviction, flux, replica_set, rollout as own_patch, route, service};

/// Names the object that a write is about, so that it can be looked at again when its answer is
/// lost.
pub fn target(rollout: &Rollout, write: &Write) -> Reference {
    let owner = Owner::of(rollout);
    let named = |kind, name: &str| Reference::new(kind, owner.namespace.as_str(), name);
    match write {
        Write::CreateReplicaSet { revision, .. } => {
            named(Kind::ReplicaSet, &revision.replica_set(&owner.name))
        }
        Write::Resize { target, .. }
        | Write::DeleteReplicaSet(target)
        | Write::AdoptReplicaSet(target) => named(Kind::ReplicaSet, &target.name),
        Write::Evict { pod, .. } => named(Kind::Pod, pod),
        Write::CreateService { name, .. } => named(Kind::Service, name),
        Write::AddPort { target, .. } | Write::Select { target, .. } => {
            named(Kind::Service, &target.name)
        }
        Write::CreateRoute { kind, .. } => named(splits(*kind), &owner.name),
        Write::SetWeights { kind, target, .. }
        | Write::SetRules { kind, target, .. }
        | Write::SetRoute { kind, target, .. } => named(splits(*kind), &target.name),
        Write::ResetCheck { namespace, target, .. } => {
            Reference::new(Kind::HealthCheck, namespace.as_str(), &target.name)
        }
        Write::Deliver { field, .. } | Write::Request { field, .. } => {
            Reference::new(bound(field.kind), field.namespace.as_str(), field.name.as_str())
        }
        Write::SetImages(_) | Write::TakeCommands { .. } | Write::Finalizer { .. } => own(rollout),
    }
}

/// The kind of objects that bind a field.
fn bound(kind: TargetKind) -> Kind {
    match kind {
        TargetKind::Kustomization => Kind::Kustomization,
        TargetKind::OciRepository => Kind::OciRepository,
    }
}

/// The kind of objects of a kind of routes.
fn splits(kind: RouteKind) -> Kind {
    match kind {
        RouteKind::Http => Kind::HttpRoute,
        RouteKind::Grpc => Kind::GrpcRoute,
    }
}

/// Names a Rollout.
pub fn own(rollout: &Rollout) -> Reference {
    let owner = Owner::of(rollout);
    Reference::new(Kind::Rollout, owner.namespace, owner.name)
}

/// Asks the API server whether it would take the ReplicaSet of a Rollout's present template.
/// Returns its answer if it would not.
///
/// # Errors
/// [`Error::Unanswered`] if there is no answer.
pub async fn dry_run(client: &Client, rollout: &Rollout) -> Result<Option<String>, Error> {
    let owner = Owner::of(rollout);
    let template = &rollout.spec.template;
    if let Some(why) = replica_set::too_large(template) {
        return Ok(Some(why));
    }
    let revision = TemplateId::of(template).revision(&owner.name, 0);
    let birth = replica_set::Birth {
        revision: &revision,
        attempt: 0,
        replicas: 0,
        min_ready_secs: 0,
        selector: &rollout.spec.selector.match_labels,
        template,
    };
    let name = revision.replica_set(&owner.name);
    let target = Reference::new(Kind::ReplicaSet, owner.namespace.as_str(), name);
    match send::create(client, &target, replica_set::create(&owner, &birth), Run::Dry).await {
        Ok(_) => Ok(None),
        Err(kube::Error::Api(status)) => match status.code {
            400 | 413 | 422 => Ok(Some(printable(&status.message))),
            // The name is taken, or it is no matter of the template: quota, permission. The
            // create itself tells.
            403 | 404 | 409 => Ok(None),
            _ => Err(Error::of(&target, 0, kube::Error::Api(status))),
        },
        Err(error) => Err(Error::of(&target, 0, error)),
    }
}

/// Carries out a write. `None`: there was nothing to write.
///
/// # Errors
/// [`Error`] as the answer says.
pub async fn apply(
    client: &Client,
    rollout: &Rollout,
    write: &Write,
) -> Result<Option<Written>, Error> {
    let owner = Owner::of(rollout);
    let reference = target(rollout, write);
    match write {
        Write::CreateReplicaSet { .. } => {
            create_replica_set(client, reference, &owner, write).await
        }
        Write::Resize { target, replicas, min_ready_secs, quarantine, attempt } => {
            let marks = replica_set::Marks { quarantine: *quarantine, attempt: *attempt };
            let patch = replica_set::resize(target, *replicas, *min_ready_secs, marks);
            patched(client, reference, patch, target).await
        }
        Write::DeleteReplicaSet(target) => send::delete(client, &reference, target).await.map(Some),
        Write::AdoptReplicaSet(target) => {
            patched(client, reference, replica_set::adopt(&owner, target), target).await
        }
        Write::Evict { pod, uid } => {
            let body = eviction::of(&owner.namespace, pod, uid);
            send::evict(client, &reference, uid, body).await.map(Some)
        }
        Write::CreateService { name, revision, selector, port, target_port } => {
            let (port, target_port) = (*port, *target_port);
            let birth = service::Birth { name, revision, selector, port, target_port };
            create_once(client, reference, service::create(&owner, &birth)).await
        }
        Write::AddPort { target, port, target_port } => {
            patched(client, reference, service::add_port(target, *port, *target_port), target).await
        }
        Write::Select { target, from, to } => {
            let patch = service::select(target, from.as_ref(), to.as_ref());
            patched(client, reference, patch, target).await
        }
        Write::SetWeights { target, edits, .. } => {
            let patch = route::set_weights(target, edits);
            patched(client, reference, patch, target).await
        }
        Write::CreateRoute { kind, asked, services, port } => {
            let body = route::create(&owner, *kind, asked, (services, *port));
            create_once(client, reference, body).await
        }
        Write::SetRoute { target, edits, .. } => {
            patched(client, reference, route::set_fields(target, edits), target).await
        }
        Write::SetRules { target, out, into, .. } => {
            patched(client, reference, route::set_rules(target, out, into), target).await
        }
        Write::Deliver { field, target, manager, value, force } => {
            let claim = Claim { manager, force: *force };
            deliver(client, &reference, (field, target, value), claim).await
        }
        Write::ResetCheck { target, at, .. } => {
            let (patch, stale) = (check::reset(target, *at), &target.resource_version);
            send::patch(client, &reference, patch, stale, Part::Status).await.map(Some)
        }
        Write::Request { target, at, .. } => {
            patched(client, reference, flux::request(target, *at), target).await
        }
        Write::SetImages(_) | Write::TakeCommands { .. } | Write::Finalizer { .. } => {
            on_itself(client, rollout, write).await
        }
    }
}

async fn deliver(
    client: &Client,
    reference: &Reference,
    (field, target, value): (&Field, &Target, &str),
    claim: Claim<'_>,
) -> Result<Option<Written>, Error> {
    let body = flux::field(reference, field, target, value);
    send::apply(client, reference, &body, claim, &target.resource_version).await.map(Some)
}

/// Carries out a write to the Rollout itself.
async fn on_itself(
    client: &Client,
    rollout: &Rollout,
    write: &Write,
) -> Result<Option<Written>, Error> {
    let patch = match write {
        Write::SetImages(edits) => Some(own_patch::set_images(rollout, edits)),
        Write::TakeCommands { remove, accept } => {
            Some(own_patch::take_commands(rollout, remove, *accept))
        }
        Write::Finalizer { present } => own_patch::finalizer(rollout, *present),
        Write::CreateReplicaSet { .. }
        | Write::Resize { .. }
        | Write::DeleteReplicaSet(_)
        | Write::AdoptReplicaSet(_)
        | Write::Evict { .. }
        | Write::Deliver { .. }
        | Write::ResetCheck { .. }
        | Write::Request { .. }
        | Write::CreateService { .. }
        | Write::AddPort { .. }
        | Write::Select { .. }
        | Write::SetWeights { .. }
        | Write::SetRules { .. }
        | Write::CreateRoute { .. }
        | Write::SetRoute { .. } => None,
    };
    let Some(patch) = patch else { return Ok(None) };
    let meta = &rollout.metadata;
    let stale = meta.resource_version.as_deref().unwrap_or_default();
    let mut written = send::patch(client, &own(rollout), patch, stale, Part::Main).await?;
    let last = meta.finalizers.iter().flatten().all(|finalizer| finalizer == keys::FINALIZER);
    let lets_go = matches!(write, Write::Finalizer { present: false });
    if lets_go && last && meta.deletion_timestamp.is_some() {
        // With its last finalizer it is gone: there is no version to be seen.
        written.effect = Effect::Gone { uid: meta.uid.clone().unwrap_or_default() };
    }
    Ok(Some(written))
}

async fn patched(
    client: &Client,
    reference: Reference,
    patch: json_patch::Patch,
    seen: &Target,
) -> Result<Option<Written>, Error> {
    send::patch(client, &reference, patch, &seen.resource_version, Part::Main).await.map(Some)
}

/// Creates a ReplicaSet. One that stands there already is as good if it is ours and of the same
/// template: then the answer to our first try was lost.
async fn create_replica_set(
    client: &Client,
    target: Reference,
    owner: &Owner,
    write: &Write,
) -> Result<Option<Written>, Error> {
    let Write::CreateReplicaSet {
        revision,
        attempt,
        replicas,
        min_ready_secs: seconds,
        selector,
        template,
    } = write
    else {
        return Ok(None);
    };
    let birth = replica_set::Birth {
        revision,
        attempt: *attempt,
        replicas: *replicas,
        min_ready_secs: *seconds,
        selector,
        template,
    };
    let error =
        match send::create(client, &target, replica_set::create(owner, &birth), Run::Real).await {
            Ok(written) => return Ok(Some(written)),
            Err(error) => error,
        };
    let Some(there) = standing(client, &target, &error).await? else {
        return Err(Error::of(&target, 0, error));
    };
    let version = version_number(there.metadata.resource_version.as_deref());
    if same(&there, owner, birth.template) {
        return Ok(Some(Written { target, effect: Effect::Version(version) }));
    }
    Err(Error::Taken { target, version })
}

/// Creates a Service or a route. One that stands there already was not seen: it has to be.
async fn create_once(
    client: &Client,
    target: Reference,
    body: Value,
) -> Result<Option<Written>, Error> {
    let error = match send::create(client, &target, body, Run::Real).await {
        Ok(written) => return Ok(Some(written)),
        Err(error) => error,
    };
    let Some(there) = standing(client, &target, &error).await? else {
        return Err(Error::of(&target, 0, error));
    };
    let version = version_number(there.metadata.resource_version.as_deref());
    Err(Error::Taken { target, version })
}

/// Reads what stands in the way of a create, if that is what the answer says.
async fn standing(
    client: &Client,
    target: &Reference,
    error: &kube::Error,
) -> Result<Option<DynamicObject>, Error> {
    let kube::Error::Api(status) = error else { return Ok(None) };
    if status.reason != "AlreadyExists" {
        return Ok(None);
    }
    let there = send::api(client, target).get_opt(&target.key.name).await;
    there.map_err(|error| Error::of(target, 0, error))
}

fn same(there: &DynamicObject, owner: &Owner, template: &Value) -> bool {
    let owners = there.metadata.owner_references.iter().flatten();
    let ours = owners.into_iter().any(|o| o.uid == owner.uid && o.controller == Some(true));
    let annotations = there.metadata.annotations.as_ref();
    let written = annotations.and_then(|all| all.get(keys::ANNOTATION_TEMPLATE));
    let written = written.and_then(|text| serde_json::from_str::<Value>(text).ok());
    ours && written.is_some_and(|written| TemplateId::of(&written) == TemplateId::of(template))
}

#[cfg(test)]
mod tests;
