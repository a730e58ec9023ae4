//! Gates: carries out the writes of a schedule. It has no branch on time.

use kube::Client;
use kube::api::ObjectMeta;

use crate::api::kind::{Kind, Reference};
use crate::apply::error::Error;
use crate::apply::send::{self, Part, Run, Written};
use crate::model::schedule::{GateWrite, ScheduleStatus};
use crate::render::gate::{self, Maker, NewGate};

/// Tells a schedule as far as writes name it.
pub fn maker(kind: &'static str, meta: &ObjectMeta) -> Maker {
    Maker {
        kind,
        namespace: meta.namespace.clone().unwrap_or_default(),
        name: meta.name.clone().unwrap_or_default(),
        uid: meta.uid.clone().unwrap_or_default(),
        resource_version: meta.resource_version.clone().unwrap_or_default(),
    }
}

/// Names the gate that a write is about.
pub fn target(write: &GateWrite) -> Reference {
    let (namespace, name) = match write {
        GateWrite::Create { namespace, name, .. } => (namespace, name),
        GateWrite::Set { namespace, target, .. } | GateWrite::Delete { namespace, target } => {
            (namespace, &target.name)
        }
    };
    Reference::new(Kind::RolloutGate, namespace.as_str(), name)
}

/// Carries out one write.
///
/// # Errors
/// [`Error`] as the answer says; [`Error::Taken`] where a gate of that name is there.
pub async fn write(client: &Client, maker: &Maker, write: &GateWrite) -> Result<Written, Error> {
    let reference = target(write);
    match write {
        GateWrite::Create { namespace, name, rollout, passing, turns_at } => {
            let (passing, turns_at) = (*passing, *turns_at);
            let body = gate::create(maker, NewGate { namespace, name, rollout, passing, turns_at });
            let created = send::create(client, &reference, body, Run::Real).await;
            created.map_err(|error| already(&reference, error))
        }
        GateWrite::Set { target, rollout, passing, turns_at, .. } => {
            let patch = gate::set(target, rollout, *passing, *turns_at);
            send::patch(client, &reference, patch, &target.resource_version, Part::Main).await
        }
        GateWrite::Delete { target, .. } => send::delete(client, &reference, target).await,
    }
}

/// What a failed create means. Where a gate of the name is there, the answer to our first try may
/// have been lost: it is asked for, and the next turn sees whose it is.
fn already(reference: &Reference, error: kube::Error) -> Error {
    let there = matches!(&error, kube::Error::Api(status) if status.reason == "AlreadyExists");
    match there {
        true => Error::Unanswered { target: reference.clone(), source: Box::new(error) },
        false => Error::of(reference, 0, error),
    }
}

/// Stores what was seen of a schedule.
///
/// # Errors
/// [`Error`] as the answer says.
pub async fn report(
    client: &Client,
    schedule: &Reference,
    maker: &Maker,
    shown: &ScheduleStatus,
) -> Result<Written, Error> {
    let patch = gate::report(maker, shown);
    send::patch(client, schedule, patch, &maker.resource_version, Part::Status).await
}
