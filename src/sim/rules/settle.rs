//! Settle: what of an object a write may set and what stays, whatever the write says.

use serde_json::{Value, json};

use crate::sim::resource::Resource;
use crate::sim::rules::fields::Fields;
use crate::sim::rules::meta;
use crate::sim::rules::schema::builtin::normalise;
use crate::sim::rules::schema::registry::known;
use crate::sim::rules::{defaults, definition};

/// The part of an object that a write is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// All but the status.
    Main,
    /// The status.
    Status,
    /// The number of replicas.
    Scale,
}

impl Part {
    /// Returns the part as a path names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Main => "",
            Self::Status => "status",
            Self::Scale => "scale",
        }
    }
}

/// Reads an object as the server does: what its kind has not goes, defaults come.
pub fn shape(resource: &Resource, object: &mut Value) {
    let known = known(resource);
    if known.builtin {
        defaults::fill(resource, object);
        normalise(&known.schema, object);
    } else {
        definition::prune(&known.schema, object);
        definition::fill(&known.schema, object);
        // Metadata is read into a type of its own.
        if let Some(schema) = known.schema.field("metadata")
            && let Some(metadata) = object.get_mut("metadata")
        {
            normalise(schema, metadata);
        }
    }
    meta::put(object, "apiVersion", Some(json!(resource.api_version())));
    meta::put(object, "kind", Some(json!(resource.kind)));
}

/// Takes from a new object what only later writes may set.
pub fn unstarted(resource: &Resource, object: &mut Value) {
    for key in ["deletionTimestamp", "deletionGracePeriodSeconds", "selfLink"] {
        meta::set(object, key, None);
    }
    if resource.status {
        meta::put(object, "status", None);
        if resource.kind == "Pod" {
            meta::put(object, "status", Some(json!({"phase": "Pending", "qosClass": quality(object)})));
        }
    }
    let known = known(resource);
    if known.builtin {
        normalise(&known.schema, object);
    } else {
        definition::fill(&known.schema, object);
    }
}

fn quality(object: &Value) -> &'static str {
    let all = object.pointer("/spec/containers").and_then(Value::as_array);
    let mut some = false;
    let mut full = true;
    for container in all.into_iter().flatten() {
        let part = |name: &str| {
            container.pointer(&format!("/resources/{name}")).and_then(Value::as_object)
        };
        let (limits, requests) = (part("limits"), part("requests"));
        some |= requests.or(limits).is_some_and(|all| !all.is_empty());
        let both = |key: &str| {
            let limit = limits.and_then(|limits| limits.get(key));
            limit.is_some() && limit == requests.and_then(|requests| requests.get(key))
        };
        full &= both("cpu") && both("memory");
    }
    match (some, full) {
        (false, _) => "BestEffort",
        (true, true) => "Guaranteed",
        (true, false) => "Burstable",
    }
}

/// Puts back what a write to a part of an object may not change.
pub fn update(resource: &Resource, part: Part, before: &Value, object: &mut Value) {
    match part {
        Part::Main | Part::Scale if resource.status => {
            meta::put(object, "status", before.get("status").cloned());
        }
        Part::Main | Part::Scale => {}
        Part::Status if known(resource).builtin => {
            meta::put(object, "spec", before.get("spec").cloned());
        }
        Part::Status => {
            let status = object.get_mut("status").map(Value::take);
            object.clone_from(before);
            meta::put(object, "status", status);
            return;
        }
    }
    let kept = |key: &str| before.get("metadata").and_then(|meta| meta.get(key)).cloned();
    for key in [
        "creationTimestamp",
        "generation",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "resourceVersion",
    ] {
        meta::set(object, key, kept(key));
    }
    if meta::text(object, "uid").is_none_or(str::is_empty) {
        meta::set(object, "uid", kept("uid"));
    }
}

/// Tells whether a change counts as one of what is wanted.
pub fn counts(resource: &Resource, before: &Value, after: &Value) -> bool {
    let labels = |object: &Value| object.pointer("/metadata/labels").cloned();
    // Labels of an EndpointSlice are a part of what it says.
    let labelled = resource.kind == "EndpointSlice" && labels(before) != labels(after);
    resource.generation && (labelled || !meta::alike(before, after))
}

/// Returns what a write to a part cannot change, and so does not own.
pub fn reset(resource: &Resource, part: Part) -> Fields {
    let mut set = Fields::default();
    match part {
        Part::Main if resource.status => set.add(Fields::path(&["status"])),
        Part::Main => {}
        Part::Status => {
            set.add(Fields::path(&["spec"]));
            if !known(resource).builtin {
                set.add(Fields::path(&["metadata"]));
            }
            if resource.kind == "Pod" {
                set.add(Fields::path(&["metadata", "deletionTimestamp"]));
                set.add(Fields::path(&["metadata", "ownerReferences"]));
            }
        }
        Part::Scale => {}
    }
    set
}
