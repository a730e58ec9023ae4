//! Services: those that the Rollout makes, and the one selector key of those that it uses.

use std::collections::BTreeMap;

use json_patch::Patch;
use serde_json::{Value, json};

use crate::api::keys;
use crate::model::moves::Target;
use crate::model::template::Revision;
#[cfg(feature = "planted")]
use crate::planted::{Bug, active};
use crate::render::owner::Owner;
use crate::render::patch::Edit;

/// What a new Service is made of.
#[derive(Debug, Clone, Copy)]
pub struct Birth<'a> {
    /// Its name.
    pub name: &'a str,
    /// The revision that it selects.
    pub revision: &'a Revision,
    /// The labels that select the Rollout's pods.
    pub selector: &'a BTreeMap<String, String>,
    /// Its port.
    pub port: u16,
    /// The port of the pods.
    pub target_port: u16,
}

/// Makes the body of a new Service.
pub fn create(owner: &Owner, birth: &Birth<'_>) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": birth.name,
            "namespace": owner.namespace,
            "labels": {keys::LABEL_ROLLOUT: owner.name},
            "ownerReferences": [owner.reference()],
        },
        "spec": {
            "selector": Owner::selector(birth.selector, birth.revision),
            "ports": [{"name": "http", "port": birth.port, "targetPort": birth.target_port}],
        },
    })
}

/// Gives a Service a further port; those that it has stay, since they may be in use.
pub fn add_port(target: &Target, port: u16, target_port: u16) -> Patch {
    let added = json!({"name": format!("port-{port}"), "port": port, "targetPort": target_port});
    Edit::at(&target.resource_version).add(&["spec", "ports", "-"], added).done()
}

/// Moves a Service from one revision to another; to none removes our key of its selector.
pub fn select(target: &Target, from: Option<&Revision>, to: Option<&Revision>) -> Patch {
    let path = ["spec", "selector", keys::LABEL_REVISION];
    let edit = Edit::at(&target.resource_version);
    #[cfg(feature = "planted")]
    if let Some(to) = to.filter(|_| active(Bug::SelectorReplaced)) {
        return edit.add(&["spec", "selector"], json!({keys::LABEL_REVISION: to.as_str()})).done();
    }
    let edit = match from {
        Some(from) => edit.test(&path, from.as_str()),
        None => edit,
    };
    match (from, to) {
        (_, Some(to)) => edit.add(&path, to.as_str()).done(),
        (Some(_), None) => edit.remove(&path).done(),
        (None, None) => edit.done(),
    }
}

#[cfg(test)]
mod tests;
