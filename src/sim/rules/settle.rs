//! Settle: what of an object a write may set and what stays, whatever the write says.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde_json::{Value, json};

use crate::sim::resource::{RESOURCES, Resource};
use crate::sim::rules::fields::Fields;
use crate::sim::rules::meta;
use crate::sim::rules::schema::builtin::normalise;
use crate::sim::rules::schema::registry::known;
use crate::sim::rules::{definition, kinds};

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

/// The same for what is to be written to a part of an object. Of a custom object nothing but the
/// status counts there: all else is put back.
pub fn shape_part(resource: &Resource, part: Part, object: &mut Value) {
    let known = known(resource);
    match (known.schema.field("status"), object.get_mut("status")) {
        (Some(schema), Some(status @ Value::Object(_)))
            if part == Part::Status && !known.builtin =>
        {
            definition::prune(schema, status);
            definition::fill(schema, status);
        }
        (_, _) => shape(resource, object),
    }
}

/// Reads an object as the server does: what its kind has not goes, defaults come.
pub fn shape(resource: &Resource, object: &mut Value) {
    let known = known(resource);
    if known.builtin {
        kinds::fill(resource.plural, object);
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
    // A custom object that says it is of another kind is refused later.
    if known.builtin || object.get("kind").is_none() {
        meta::put(object, "kind", Some(json!(resource.kind)));
    }
}

/// Takes from a new object what only later writes may set.
pub fn unstarted(resource: &Resource, object: &mut Value) {
    for key in ["deletionTimestamp", "deletionGracePeriodSeconds", "selfLink"] {
        meta::set(object, key, None);
    }
    if resource.status {
        meta::put(object, "status", None);
    }
}

/// Gives a new object what the server alone gives; `number` is another one for each object. A
/// status that it has stays.
pub fn begin(resource: &Resource, object: &mut Value, number: u64) {
    let status = object.get("status").cloned();
    kinds::begin(resource.plural, object, number);
    let known = known(resource);
    let given = status.filter(|status| !status.is_null());
    if given.is_some() {
        meta::put(object, "status", given);
    }
    if known.builtin {
        normalise(&known.schema, object);
    } else {
        definition::fill(&known.schema, object);
    }
}

/// Puts back what a write to a part of an object may not change, and gives what the server alone
/// gives; `number` is another one for each write.
pub fn update(resource: &Resource, part: Part, before: &Value, object: &mut Value, number: u64) {
    match part {
        Part::Main | Part::Scale if resource.status => {
            meta::keep(object, before, "status");
        }
        Part::Main | Part::Scale => {}
        Part::Status if known(resource).builtin => {
            meta::keep(object, before, "spec");
        }
        Part::Status => return keep_but_status(before, object),
    }
    if part == Part::Main {
        kinds::go_on(resource.plural, before, object, number);
    }
    let kept = |key: &str| meta::get(before, key).cloned();
    for key in ["creationTimestamp", "generation", "resourceVersion"] {
        if meta::get(before, key) != meta::get(object, key) {
            meta::set(object, key, kept(key));
        }
    }
    for key in ["deletionTimestamp", "deletionGracePeriodSeconds"] {
        if let Some(value) = kept(key) {
            meta::set(object, key, Some(value));
        }
    }
    for key in ["uid", "namespace"] {
        if meta::text(object, key).is_none_or(str::is_empty) {
            meta::set(object, key, kept(key));
        }
    }
}

/// Puts back all but the status. What is as before is not copied.
fn keep_but_status(before: &Value, object: &mut Value) {
    let (Some(old), Some(new)) = (before.as_object(), object.as_object_mut()) else { return };
    new.retain(|key, _| key == "status" || old.contains_key(key));
    for key in old.keys().filter(|key| *key != "status") {
        meta::keep(object, before, key);
    }
}

/// Tells whether a change counts as one of what is wanted.
pub fn counts(resource: &Resource, before: &Value, after: &Value) -> bool {
    let labels = |object: &Value| meta::get(object, "labels").cloned();
    // Labels of an EndpointSlice are a part of what it says.
    let labelled = resource.kind == "EndpointSlice" && labels(before) != labels(after);
    resource.generation && (labelled || !meta::alike(before, after))
}

/// Returns what a write to a part cannot change, and so does not own.
pub fn reset(resource: &Resource, part: Part) -> &'static Fields {
    static NONE: OnceLock<Fields> = OnceLock::new();
    static ALL: OnceLock<BTreeMap<(&str, &str), Fields>> = OnceLock::new();
    let all = ALL.get_or_init(|| {
        let parts = [Part::Main, Part::Status, Part::Scale];
        let of = |one: &'static Resource| {
            parts.map(|part| ((one.plural, part.name()), unwritten(one, part)))
        };
        RESOURCES.iter().flat_map(of).collect()
    });
    let none = || NONE.get_or_init(Fields::default);
    all.get(&(resource.plural, part.name())).unwrap_or_else(none)
}

fn unwritten(resource: &Resource, part: Part) -> Fields {
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
