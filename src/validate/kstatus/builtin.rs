//! Builtin: how objects of Kubernetes' own kinds stand that say it by numbers. It never looks at
//! the conditions that all kinds may have.

use serde_json::Value;

use crate::model::moment::{Duration, Timestamp};
use crate::model::standing::{Standing, Told};
use crate::validate::kstatus::fields::{
    Fault, Stated, current, failed, generation, number, observed_generation, on_its_way, text,
};

/// How long a pod may wait for a node before that is a failure, as kstatus has it.
const SCHEDULE_WINDOW: Duration = Duration::from_millis(15_000);

/// How a kind stands.
type Rule = fn(&Value, &[Stated<'_>]) -> Result<Told, Fault>;

/// Finds the rule of a kind.
pub fn rule(group: &str, kind: &str) -> Option<Rule> {
    Some(match (group, kind) {
        ("apps" | "extensions", "Deployment") => deployment,
        ("apps" | "extensions", "DaemonSet") => daemon_set,
        ("apps" | "extensions", "ReplicaSet") => replica_set,
        ("apps", "StatefulSet") => stateful_set,
        ("", "Pod") => pod,
        ("", "Service") => service,
        ("", "PersistentVolumeClaim") => claim,
        ("", "ConfigMap" | "Secret") | ("batch", "CronJob") | ("policy", "PodDisruptionBudget") => {
            always
        }
        ("batch", "Job") => job,
        ("apiextensions.k8s.io", "CustomResourceDefinition") => definition,
        (_, _) => return None,
    })
}

/// The first of these that holds tells what an object lacks.
fn lacks<const N: usize>(rows: [(bool, &str); N]) -> Told {
    let first = rows.into_iter().find(|(holds, _)| *holds);
    first.map_or_else(current, |(_, why)| on_its_way(why))
}

fn always(_: &Value, _: &[Stated<'_>]) -> Result<Told, Fault> {
    Ok(current())
}

fn deployment(object: &Value, conditions: &[Stated<'_>]) -> Result<Told, Fault> {
    let never = i64::from(i32::MAX);
    let timeless = number(object, "/spec/progressDeadlineSeconds", never) == never;
    let (mut progressed, mut available) = (timeless, false);
    for condition in conditions {
        match (condition.kind, condition.status, condition.reason) {
            ("Progressing", _, "ProgressDeadlineExceeded") => {
                return Ok(failed("it did not get on within its progressDeadlineSeconds"));
            }
            ("Progressing", "True", "NewReplicaSetAvailable") => progressed = true,
            ("Available", "True", _) => available = true,
            (_, _, _) => {}
        }
    }
    let wanted = number(object, "/spec/replicas", 1);
    let has = |field: &str| number(object, &format!("/status/{field}"), 0);
    Ok(lacks([
        (has("replicas") < wanted, "pods are missing"),
        (has("updatedReplicas") < wanted, "pods of its template are missing"),
        (wanted < has("replicas"), "old pods are still there"),
        (has("availableReplicas") < has("updatedReplicas"), "pods are not available yet"),
        (has("readyReplicas") < wanted, "pods are not ready yet"),
        (!progressed, "its new ReplicaSet is not available yet"),
        (!available, "it is not available"),
    ]))
}

fn stateful_set(object: &Value, _: &[Stated<'_>]) -> Result<Told, Fault> {
    if text(object, "/spec/updateStrategy/type", "") == "OnDelete" {
        return Ok(current());
    }
    let wanted = number(object, "/spec/replicas", 1);
    let has = |field: &str| number(object, &format!("/status/{field}"), 0);
    let partition = number(object, "/spec/updateStrategy/rollingUpdate/partition", -1);
    let counted = lacks([
        (has("replicas") < wanted, "pods are missing"),
        (has("readyReplicas") < wanted, "pods are not ready yet"),
        (wanted < has("replicas"), "old pods are still there"),
    ]);
    if counted.standing != Standing::Current {
        return Ok(counted);
    }
    if partition != -1 {
        let updated = wanted.saturating_sub(partition);
        return Ok(lacks([(has("updatedReplicas") < updated, "pods are not updated yet")]));
    }
    let revision = |field: &str| text(object, field, "");
    let moves = revision("/status/currentRevision") != revision("/status/updateRevision");
    Ok(lacks([
        (has("currentReplicas") < wanted, "pods are not updated yet"),
        (moves, "its new revision is not the present one yet"),
    ]))
}

fn daemon_set(object: &Value, _: &[Stated<'_>]) -> Result<Told, Fault> {
    let seen = generation(object)?.is_some() && observed_generation(object)?.is_some();
    let wanted = number(object, "/status/desiredNumberScheduled", -1);
    let has = |field: &str| number(object, &format!("/status/{field}"), 0);
    Ok(lacks([
        (!seen, "its controller has not looked at it yet"),
        (wanted == -1, "its controller has not counted its nodes yet"),
        (has("currentNumberScheduled") < wanted, "pods are missing"),
        (has("updatedNumberScheduled") < wanted, "pods of its template are missing"),
        (has("numberAvailable") < wanted, "pods are not available yet"),
        (has("numberReady") < wanted, "pods are not ready yet"),
    ]))
}

fn replica_set(object: &Value, conditions: &[Stated<'_>]) -> Result<Told, Fault> {
    let fails = |one: &Stated<'_>| (one.kind, one.status) == ("ReplicaFailure", "True");
    let wanted = number(object, "/spec/replicas", 1);
    let has = |field: &str| number(object, &format!("/status/{field}"), 0);
    Ok(lacks([
        (conditions.iter().any(fails), "its pods cannot be made"),
        (has("fullyLabeledReplicas") < wanted, "pods are missing"),
        (has("availableReplicas") < wanted, "pods are not available yet"),
        (has("readyReplicas") < wanted, "pods are not ready yet"),
        (wanted < has("replicas"), "old pods are still there"),
    ]))
}

fn pod(object: &Value, conditions: &[Stated<'_>]) -> Result<Told, Fault> {
    let has = |kind, status| conditions.iter().find(|one| (one.kind, one.status) == (kind, status));
    Ok(match text(object, "/status/phase", "") {
        "Succeeded" | "Failed" => current(),
        "Running" if has("Ready", "True").is_some() => current(),
        "Running" if crashes(object)? => failed("a container crashes again and again"),
        "Running" => on_its_way("it is not ready"),
        "Pending" => match has("PodScheduled", "False") {
            Some(told) if told.reason == "Unschedulable" => {
                let made = Timestamp::parse(text(object, "/metadata/creationTimestamp", ""));
                let patient_until = made.map(|made| made + SCHEDULE_WINDOW);
                Told { patient_until, ..failed("it fits on no node") }
            }
            Some(_) | None => on_its_way("it is pending"),
        },
        "" => on_its_way("it has no phase yet"),
        _ => return Err(Fault("status.phase")),
    })
}

/// Tells whether a container of a pod crashes again and again.
fn crashes(pod: &Value) -> Result<bool, Fault> {
    let all = match pod.pointer("/status/containerStatuses") {
        None => return Ok(false),
        Some(all) => all.as_array().ok_or(Fault("status.containerStatuses"))?,
    };
    let backs_off = |one: &&Value| {
        one.get("name").is_some() && text(one, "/state/waiting/reason", "") == "CrashLoopBackOff"
    };
    Ok(all.iter().any(|one| backs_off(&one)))
}

fn service(object: &Value, _: &[Stated<'_>]) -> Result<Told, Fault> {
    let balanced = text(object, "/spec/type", "ClusterIP") == "LoadBalancer";
    let bare = text(object, "/spec/clusterIP", "").is_empty();
    Ok(lacks([(balanced && bare, "it has no address yet")]))
}

fn claim(object: &Value, _: &[Stated<'_>]) -> Result<Told, Fault> {
    Ok(lacks([(text(object, "/status/phase", "") != "Bound", "it is not bound")]))
}

fn job(object: &Value, conditions: &[Stated<'_>]) -> Result<Told, Fault> {
    for condition in conditions {
        match (condition.kind, condition.status) {
            ("Complete", "True") => return Ok(current()),
            ("Failed", "True") => return Ok(failed("it failed")),
            (_, _) => {}
        }
    }
    Ok(lacks([(text(object, "/status/startTime", "").is_empty(), "it has not begun")]))
}

fn definition(_: &Value, conditions: &[Stated<'_>]) -> Result<Told, Fault> {
    for condition in conditions {
        match (condition.kind, condition.status, condition.reason) {
            ("NamesAccepted", "False", _) => return Ok(failed("its names are taken")),
            ("Established", "False", reason) if reason != "Installing" => {
                return Ok(failed("it is not established"));
            }
            ("Established", "True", _) => return Ok(current()),
            (_, _, _) => {}
        }
    }
    Ok(on_its_way("it is not established yet"))
}
