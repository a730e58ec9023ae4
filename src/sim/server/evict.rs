//! Evict: deletes a pod as far as its PodDisruptionBudget allows. It knows no replacement.
//!
//! Source: Kubernetes 1.36, `pkg/registry/core/pod/storage/eviction.go`.

use hyper::body::Bytes;
use serde_json::{Value, json};

use crate::sim::cluster::Actor;
use crate::sim::history::Place;
use crate::sim::rules::meta;
use crate::sim::rules::settle::Part;
use crate::sim::server::failure::Failure;
use crate::sim::server::write::Write;
use crate::sim::world::fields;

/// What a budget answers that has no room.
const FULL: &str = "Cannot evict pod as it would violate the pod's disruption budget.";

/// Evicts the pod of a write; returns the answer.
///
/// # Errors
/// [`Failure`] 400, 404, 409, 429, 500.
pub fn evict(write: &Write, body: &Bytes) -> Result<Value, Failure> {
    let Write { cluster, resource, place, .. } = *write;
    let eviction: Value = serde_json::from_slice(body)
        .map_err(|_| Failure::bad("the body of the request is no Eviction"))?;
    if meta::text(&eviction, "name").is_some_and(|name| name != place.name) {
        return Err(Failure::bad("name in URL does not match name in Eviction object"));
    }
    let pod = cluster.read(place).ok_or_else(|| Failure::absent(resource, &place.name))?;
    let running = fields::text(&pod, &["status", "phase"]) == "Running";
    if running && !fields::deleting(&pod) {
        let budgets = cluster.list("poddisruptionbudgets", Some(&place.namespace));
        let mut own = budgets.iter().filter(|(_, budget)| fields::budgeted(budget, &pod));
        match (own.next(), own.next()) {
            (None, _) => {}
            (Some((budget, object)), None) => take(write, &pod, (budget, object))?,
            (Some(_), Some(_)) => {
                let why = "This pod has more than one PodDisruptionBudget, which the eviction \
                    subresource does not support.";
                return Err(Failure::new(500, "InternalError", why));
            }
        }
    }
    let options = eviction.get("deleteOptions").cloned().unwrap_or_else(|| json!({}));
    write.delete(&options)?;
    Ok(json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
        "code": 201}))
}

/// Takes one of the disruptions that a budget allows. One that is not ready costs none while enough
/// others are.
fn take(write: &Write, pod: &Value, (budget, object): (&Place, &Value)) -> Result<(), Failure> {
    let number = |key: &str| fields::number(object, &["status", key]).unwrap_or_default();
    let generation = fields::number(object, &["metadata", "generation"]).unwrap_or_default();
    let name = &budget.name;
    if number("observedGeneration") < generation {
        let why = format!("The disruption budget {name} is still being processed by the server.");
        return Err(full(&why));
    }
    let (healthy, needed) = (number("currentHealthy"), number("desiredHealthy"));
    if !fields::ready(pod) && 0 < needed && needed <= healthy {
        return Ok(());
    }
    if number("disruptionsAllowed") <= 0 {
        let why = format!(
            "The disruption budget {name} needs {needed} healthy pods and has {healthy} currently"
        );
        return Err(full(&why));
    }
    let server = Actor::other("kube-apiserver");
    let left = number("disruptionsAllowed") - 1;
    let taken = write.cluster.update(&server, budget, Part::Status, |object| {
        if let Some(status) = object.get_mut("status") {
            meta::put(status, "disruptionsAllowed", Some(json!(left)));
        }
        Ok(())
    });
    taken.map(|_| ()).map_err(Failure::from)
}

fn full(why: &str) -> Failure {
    let mut failure = Failure::new(429, "TooManyRequests", FULL);
    let cause = json!({"reason": "DisruptionBudget", "message": why});
    let details = failure.details.get_or_insert_default();
    details.insert("causes".to_owned(), json!([cause]));
    failure
}
