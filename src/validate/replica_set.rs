//! ReplicaSet: reads those of one Rollout. It leaves out what it cannot be sure to be one.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt;
use serde_json::Value;

use crate::api::foreign::{self, MadeOf};
use crate::api::keys;
use crate::model::moment::Timestamp;
use crate::model::snapshot::{Identity, ReplicaSet};
use crate::model::template::{Revision, Template, TemplateId};
#[cfg(feature = "planted")]
use crate::planted::{Bug, active};

/// Reads the ReplicaSets that the Rollout controls, and those that carry its label and that
/// nothing controls. Sorted by name.
pub fn of_rollout(
    rollout: &Identity,
    template: &Template,
    found: &[Arc<foreign::ReplicaSet>],
) -> Vec<ReplicaSet> {
    let mut sets: Vec<_> = found.iter().filter_map(|set| read(rollout, template, set)).collect();
    sets.sort_by(|a, b| a.name.cmp(&b.name));
    sets
}

fn read(rollout: &Identity, present: &Template, set: &foreign::ReplicaSet) -> Option<ReplicaSet> {
    let labelled = set.labels().get(keys::LABEL_ROLLOUT) == Some(&rollout.name);
    let owned = match controller(&set.metadata) {
        Some(uid) if uid == rollout.uid => true,
        None if labelled => false,
        #[cfg(feature = "planted")]
        Some(_) if labelled && active(Bug::OwnerUnchecked) => true,
        Some(_) | None => return None,
    };
    let revision = revision(rollout, set)?;
    let annotations = set.annotations();
    let (template, images) = match made_of(set) {
        Some(made) => (TemplateId::from_bytes(made.template), made.images.clone()),
        // Someone took the annotation off: the name still tells the present template.
        None if present.id.revision(&rollout.name, 0) == revision => (present.id, present.images()),
        None => (TemplateId::of(&Value::from(revision.as_str())), BTreeMap::new()),
    };
    let number = |key| annotations.get(key).and_then(|text: &String| text.parse::<u32>().ok());
    let created = set.metadata.creation_timestamp.as_ref();
    let settled = set.status.observed_generation == set.metadata.generation;
    let available = set.status.available_replicas.map_or(0, count);
    Some(ReplicaSet {
        name: set.name_any(),
        uid: set.uid().unwrap_or_default(),
        resource_version: set.resource_version().unwrap_or_default(),
        owned,
        revision,
        template,
        images,
        attempt: number(keys::ANNOTATION_ATTEMPT).unwrap_or(0),
        quarantined: number(keys::ANNOTATION_QUARANTINED),
        created_at: Timestamp::from_millis(created.map_or(0, |time| time.0.as_millisecond())),
        desired: set.spec.replicas.map_or(1, count),
        min_ready_secs: set.spec.min_ready_seconds.map_or(0, count),
        replicas: count(set.status.replicas),
        ready: set.status.ready_replicas.map_or(0, count),
        available: if settled { available } else { 0 },
        settled,
    })
}

/// The revision, by the label or, where someone took that off, by the name.
fn revision(rollout: &Identity, set: &foreign::ReplicaSet) -> Option<Revision> {
    let label = set.labels().get(keys::LABEL_REVISION).and_then(|text| Revision::parse(text));
    label.or_else(|| {
        let name = set.metadata.name.as_deref()?.strip_prefix(&rollout.name)?;
        Revision::parse(name.strip_prefix('-')?)
    })
}

/// Tells what a ReplicaSet was made of, `None` where its annotation cannot be read.
pub fn made_of(set: &foreign::ReplicaSet) -> Option<&MadeOf> {
    let read = || {
        let written = set.annotations().get(keys::ANNOTATION_TEMPLATE)?;
        let template = Template::new(serde_json::from_str(written).ok()?);
        Some(MadeOf { template: template.id.bytes(), images: template.images() })
    };
    set.made_of.get_or_init(read).as_ref()
}

/// The uid of the object that controls this one.
pub fn controller(meta: &ObjectMeta) -> Option<&str> {
    let owners = meta.owner_references.iter().flatten();
    owners.into_iter().find(|owner| owner.controller == Some(true)).map(|owner| owner.uid.as_str())
}

fn count(number: i32) -> u32 {
    u32::try_from(number).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::validate::{fixture, rollout};

    fn of(patch: Value) -> Option<ReplicaSet> {
        let found = fixture::object(fixture::replica_set("aaaaaaaaaa", patch));
        let rollout = fixture::rollout(json!({}));
        let template = Template::new(rollout.spec.template.clone());
        of_rollout(&rollout::identity(&rollout), &template, &[found]).into_iter().next()
    }

    #[test]
    fn a_replica_set_is_ours_or_up_for_adoption_or_left_out() {
        let owner = |uid: &str, controller| {
            json!([{"apiVersion": "v1", "kind": "K", "name": "n", "uid": uid,
                "controller": controller}])
        };
        let meta = |key: &str, value: Value| json!({"metadata": {key: value}});
        let label = |key: &str, value: Value| meta("labels", json!({key: value}));
        let note = |value: Value| meta("annotations", json!({"stairlock.dev/template": value}));
        for (case, patch, owned) in [
            ("controlled by us", json!({}), Some(true)),
            ("ours, without our label", label("stairlock.dev/rollout", Value::Null), Some(true)),
            ("no owner", meta("ownerReferences", Value::Null), Some(false)),
            (
                "an owner that does not control",
                meta("ownerReferences", owner("u2", false)),
                Some(false),
            ),
            ("another controller", meta("ownerReferences", owner("u2", true)), None),
            (
                "no owner, another Rollout's label",
                json!({"metadata": {"ownerReferences": null,
                "labels": {"stairlock.dev/rollout": "other"}}}),
                None,
            ),
            ("a revision by name alone", label("stairlock.dev/revision", Value::Null), Some(true)),
            ("another form", label("stairlock.dev/revision", json!("x1")), Some(true)),
            ("no name of ours", json!({"metadata": {"name": "x", "labels": null}}), None),
            ("no template", note(Value::Null), Some(true)),
            ("an unreadable template", note(json!("{")), Some(true)),
        ] {
            assert_eq!(of(patch).map(|set| set.owned), owned, "{case}");
        }
    }

    #[test]
    fn pods_count_as_available_only_when_the_status_is_of_the_generation() {
        let set = of(json!({})).unwrap();
        let pods = [set.desired, set.replicas, set.ready, set.available, set.min_ready_secs];
        assert_eq!((pods, set.settled, set.attempt), ([3, 3, 2, 1, 5], true, 4));
        assert_eq!(set.images.get("app").map(String::as_str), Some("a:1"));
        let stale = of(json!({"metadata": {"generation": 3}})).unwrap();
        assert_eq!((stale.ready, stale.available, stale.settled), (2, 0, false));
        let odd = json!({"spec": {"replicas": -4}, "status": {"replicas": -1},
            "metadata": {"annotations": {"stairlock.dev/attempt": "-1",
                "stairlock.dev/quarantined": "6"}}});
        let odd = of(odd).unwrap();
        assert_eq!((odd.desired, odd.replicas, odd.attempt, odd.quarantined), (0, 0, 0, Some(6)));
    }
}
