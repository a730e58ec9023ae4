//! Scale: the number of replicas of an object as an object of its own.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::sim::cluster::feed::Stored;
use crate::sim::cluster::write::{Claim, Draft};
use crate::sim::resource::Resource;
use crate::sim::rules::problem::Problem;
use crate::sim::rules::schema::shape::ANY;
use crate::sim::rules::{meta, validate};
use crate::sim::server::body;
use crate::sim::server::failure::{Failure, MODIFIED};
use crate::sim::server::patch::Patch;
use crate::sim::server::write::Write;

/// What is asked of the number of replicas.
#[derive(Debug)]
pub enum Wish {
    /// That it be this.
    Replace(Value),
    /// That it be changed.
    Patch(Patch),
}

/// Shows an object as its number of replicas.
pub fn show(resource: &Resource, object: &Value) -> Value {
    let number =
        |pointer: &str| object.pointer(pointer).and_then(Value::as_i64).unwrap_or_default();
    let mut metadata = json!({});
    for key in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
        let value = object.get("metadata").and_then(|meta| meta.get(key)).cloned();
        meta::put(&mut metadata, key, value);
    }
    let mut spec = json!({});
    let replicas = Some(number("/spec/replicas")).filter(|replicas| *replicas != 0);
    meta::put(&mut spec, "replicas", replicas.map(Value::from));
    let mut status = json!({"replicas": number("/status/replicas")});
    let selector = match resource.kind {
        "ReplicaSet" => selector(object),
        _ => object.pointer("/status/selector").and_then(Value::as_str).map(str::to_owned),
    };
    let selector = selector.filter(|selector| !selector.is_empty());
    meta::put(&mut status, "selector", selector.map(Value::from));
    json!({"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": metadata, "spec": spec,
        "status": status})
}

fn selector(object: &Value) -> Option<String> {
    let labels = object.pointer("/spec/selector/matchLabels")?.as_object()?;
    let term = |(key, value): (&String, &Value)| format!("{key}={}", value.as_str().unwrap_or(""));
    Some(labels.iter().map(term).collect::<Vec<_>>().join(","))
}

/// Changes the number of replicas; returns the object.
///
/// # Errors
/// [`Failure`] 400, 404, 409, 422.
pub fn set(write: &Write, wish: Wish) -> Result<Arc<Stored>, Failure> {
    let Write { cluster, actor, resource, place, part, run, .. } = *write;
    let outcome = cluster.edit(actor, place, part, run, |before| {
        let live = show(resource, &before.value);
        let wanted = match wish {
            Wish::Replace(wanted) => wanted,
            Wish::Patch(patch) => {
                let mut wanted = live.clone();
                patch.apply(&ANY, &mut wanted)?;
                wanted
            }
        };
        let text =
            |object: &Value, key: &str| meta::text(object, key).unwrap_or_default().to_owned();
        let version = text(&wanted, "resourceVersion");
        if !version.is_empty() && version != text(&live, "resourceVersion") {
            return Err(Failure::conflict(resource, resource.plural, &place.name, MODIFIED));
        }
        let replicas = match wanted.pointer("/spec/replicas") {
            None | Some(Value::Null) => 0,
            Some(Value::Number(number)) => number.as_i64().unwrap_or_default(),
            Some(other) => {
                return Err(Failure::bad(format!(
                    "Scale in version \"v1\" cannot be handled as a Scale: json: cannot unmarshal \
                     {} into Go struct field ScaleSpec.spec.replicas of type int32",
                    body::go_kind(other)
                )));
            }
        };
        if replicas < 0 && !resource.custom() {
            let field = "spec.replicas";
            let detail = "must be greater than or equal to 0";
            let problem = Problem::invalid(field, &json!(replicas), detail);
            return Err(Failure::invalid("autoscaling", "Scale", &place.name, &[problem]));
        }
        let mut object = (*before.value).clone();
        if let Some(spec) = object.get_mut("spec") {
            meta::put(spec, "replicas", Some(json!(replicas)));
        }
        if object == *before.value {
            return Ok(Draft::change(object));
        }
        let problems = validate::update(resource, part, &before.value, &object);
        if !problems.is_empty() {
            return Err(Failure::invalid(resource.group, resource.kind, &place.name, &problems));
        }
        let managers = before.managers.clone();
        let managers = managers.scaled(&actor.manager, &resource.api_version(), replicas != 0);
        Ok(Draft { object, claim: Claim::Told(managers) })
    })?;
    Ok(Arc::clone(outcome.stored()))
}
