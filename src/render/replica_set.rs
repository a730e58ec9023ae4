//! ReplicaSets: one for each revision. The template stands in them twice: as pods need it, and as
//! it was written on the Rollout, to be recognised by.

use std::collections::BTreeMap;

use json_patch::Patch;
use serde_json::{Map, Value, json};

use crate::api::keys;
use crate::model::moves::Target;
use crate::model::template::Revision;
use crate::render::owner::Owner;
use crate::render::patch::Edit;

/// The longest template, in bytes of JSON: the API server takes 256 KiB of annotations, and the
/// others need some room.
const TEMPLATE_MAX: usize = 255 * 1024;

/// What a new ReplicaSet is made of.
#[derive(Debug, Clone, Copy)]
pub struct Birth<'a> {
    /// The revision.
    pub revision: &'a Revision,
    /// The attempt that asks for it.
    pub attempt: u32,
    /// Pods to begin with.
    pub replicas: u32,
    /// Seconds that a pod must be ready to count.
    pub min_ready_secs: u32,
    /// The labels that select the Rollout's pods.
    pub selector: &'a BTreeMap<String, String>,
    /// The template as written on the Rollout.
    pub template: &'a Value,
}

/// Tells why no ReplicaSet can hold a template as it was written, if none can.
pub fn too_large(template: &Value) -> Option<String> {
    let bytes = template.to_string().len();
    (TEMPLATE_MAX < bytes).then(|| {
        format!(
            "its ReplicaSet would be too large: spec.template takes {bytes} bytes as JSON, of at \
             most {TEMPLATE_MAX}"
        )
    })
}

/// Makes the body of a new ReplicaSet.
pub fn create(owner: &Owner, birth: &Birth<'_>) -> Value {
    let labels = labels(owner, birth);
    json!({
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": birth.revision.replica_set(&owner.name),
            "namespace": owner.namespace,
            "labels": labels,
            "annotations": {
                keys::ANNOTATION_TEMPLATE: birth.template.to_string(),
                keys::ANNOTATION_ATTEMPT: birth.attempt.to_string(),
            },
            "ownerReferences": [owner.reference()],
        },
        "spec": {
            "replicas": birth.replicas,
            "minReadySeconds": birth.min_ready_secs,
            "selector": {"matchLabels": Owner::selector(birth.selector, birth.revision)},
            "template": template(birth.template, &labels),
        },
    })
}

/// What is noted on a ReplicaSet besides its size.
#[derive(Debug, Clone, Copy, Default)]
pub struct Marks {
    /// The attempt in which its revision failed, 0 to take that back.
    pub quarantine: Option<u32>,
    /// The attempt that uses it.
    pub attempt: Option<u32>,
}

/// Sets the number of pods and what makes them count; notes what became of the revision.
pub fn resize(target: &Target, replicas: u32, min_ready_secs: u32, marks: Marks) -> Patch {
    let mut edit = Edit::at(&target.resource_version)
        .add(&["spec", "replicas"], replicas)
        .add(&["spec", "minReadySeconds"], min_ready_secs);
    let notes = [
        (keys::ANNOTATION_QUARANTINED, marks.quarantine),
        (keys::ANNOTATION_ATTEMPT, marks.attempt),
    ];
    for (key, attempt) in notes {
        if let Some(attempt) = attempt {
            edit = edit.add(&["metadata", "annotations", key], attempt.to_string());
        }
    }
    edit.done()
}

/// Makes the Rollout the owner of a ReplicaSet that has none.
pub fn adopt(owner: &Owner, target: &Target) -> Patch {
    let path = ["metadata", "ownerReferences"];
    Edit::at(&target.resource_version)
        .test(&path, Value::Null)
        .add(&path, json!([owner.reference()]))
        .done()
}

/// The labels of the template and ours.
fn labels(owner: &Owner, birth: &Birth<'_>) -> Value {
    let written = birth.template.pointer("/metadata/labels").and_then(Value::as_object);
    let mut labels = written.cloned().unwrap_or_default();
    labels.insert(keys::LABEL_ROLLOUT.to_owned(), Value::from(owner.name.as_str()));
    labels.insert(keys::LABEL_REVISION.to_owned(), Value::from(birth.revision.as_str()));
    Value::Object(labels)
}

/// The template as written, with all labels.
fn template(written: &Value, labels: &Value) -> Value {
    let mut template = written.as_object().cloned().unwrap_or_default();
    let metadata = template.remove("metadata");
    let mut metadata = match metadata {
        Some(Value::Object(fields)) => fields,
        Some(_) | None => Map::new(),
    };
    metadata.insert("labels".to_owned(), labels.clone());
    template.insert("metadata".to_owned(), Value::Object(metadata));
    Value::Object(template)
}

#[cfg(test)]
mod tests;
