//! Pod: reads the pods of a Rollout, where they were asked for. It leaves out those of others.

use kube::ResourceExt;

use crate::api::foreign;
use crate::model::moment::Timestamp;
use crate::model::snapshot::Pod;
use crate::validate::replica_set::controller;

/// Reads the pods that something controls and that did not end, sorted by name, or why they could
/// not be read.
pub fn known(
    found: Option<&Result<Vec<foreign::Pod>, String>>,
) -> Option<Result<Vec<Pod>, String>> {
    let read = |pods: &Vec<foreign::Pod>| {
        let mut pods: Vec<Pod> = pods.iter().filter_map(read).collect();
        pods.sort_by(|a, b| a.name.cmp(&b.name));
        pods
    };
    found.map(|found| found.as_ref().map(read).map_err(Clone::clone))
}

fn read(pod: &foreign::Pod) -> Option<Pod> {
    // A pod that ended, such as one that its node evicted, stays as a record: its ReplicaSet does
    // not count it and has replaced it.
    if ["Succeeded", "Failed"].contains(&pod.status.phase.as_str()) {
        return None;
    }
    let meta = &pod.metadata;
    let mut conditions = pod.status.conditions.iter().flatten();
    let ready = conditions.find(|c| c.kind == "Ready").filter(|c| c.status == "True");
    let since = |ready: &foreign::PodCondition| {
        let since = ready.last_transition_time.as_ref();
        Timestamp::from_millis(since.map_or(0, |time| time.0.as_millisecond()))
    };
    Some(Pod {
        name: pod.name_any(),
        uid: pod.uid()?,
        owner: controller(meta)?.to_owned(),
        created_at: Timestamp::from_millis(meta.creation_timestamp.as_ref()?.0.as_millisecond()),
        ending: meta.deletion_timestamp.is_some(),
        ready_since: ready.map(since),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pod(patch: Value) -> foreign::Pod {
        let mut pod = json!({
            "metadata": {
                "name": "shop-a-1", "uid": "p1", "creationTimestamp": "1970-01-01T00:00:05Z",
                "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet",
                    "name": "shop-a", "uid": "r1", "controller": true}],
            },
            "status": {"conditions": [
                {"type": "PodScheduled", "status": "True"},
                {"type": "Ready", "status": "True", "lastTransitionTime": "1970-01-01T00:00:07Z"},
            ]},
        });
        json_patch::merge(&mut pod, &patch);
        serde_json::from_value(pod).unwrap()
    }

    #[test]
    fn a_pod_tells_its_age_and_how_it_does() {
        let whole = Pod {
            name: "shop-a-1".into(),
            uid: "p1".into(),
            owner: "r1".into(),
            created_at: Timestamp::from_millis(5000),
            ending: false,
            ready_since: Some(Timestamp::from_millis(7000)),
        };
        let unready = Pod { ready_since: None, ..whole.clone() };
        for (case, patch, want) in [
            ("ready", json!({}), Some(whole.clone())),
            (
                "not ready",
                json!({"status": {"conditions": [{"type": "Ready", "status": "False"}]}}),
                Some(unready.clone()),
            ),
            ("without a status", json!({"status": null}), Some(unready)),
            (
                "being deleted",
                json!({"metadata": {"deletionTimestamp": "1970-01-01T00:00:09Z"}}),
                Some(Pod { ending: true, ..whole }),
            ),
            ("that ended for good", json!({"status": {"phase": "Failed"}}), None),
            ("that has done its work", json!({"status": {"phase": "Succeeded"}}), None),
            ("nobody's", json!({"metadata": {"ownerReferences": null}}), None),
        ] {
            let found = Ok(vec![pod(patch)]);
            assert_eq!(known(Some(&found)), Some(Ok(want.into_iter().collect())), "{case}");
        }
        let refused = Err("no".to_owned());
        assert_eq!(known(Some(&refused)), Some(Err("no".to_owned())));
        assert_eq!(known(None), None);
    }
}
