//! Pods, and the pods of templates: defaults, and what their containers need.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::sim::rules::kinds::parts::{default, items, items_mut, number, put, text};
use crate::sim::rules::metadata::invalid;
use crate::sim::rules::names;
use crate::sim::rules::problem::Problem;

/// Gives a pod what nobody gave.
pub fn fill_pod(object: &mut Value) {
    if let Some(spec) = object.get_mut("spec") {
        default(spec, "enableServiceLinks", json!(true));
        fill(Some(spec));
    }
    let Some(status) = object.get_mut("status") else { return };
    // One address is the other's first.
    let ip = text(status, "podIP");
    let first = items(status, "podIPs").first().map(|first| text(first, "ip"));
    if !ip.is_empty() && first != Some(ip) {
        let all = json!([{"ip": ip}]);
        put(status, "podIPs", all);
    }
}

/// Gives the spec of a pod, or of a template, what nobody gave.
pub fn fill(spec: Option<&mut Value>) {
    let Some(spec) = spec else { return };
    for (key, value) in [
        ("restartPolicy", json!("Always")),
        ("dnsPolicy", json!("ClusterFirst")),
        ("schedulerName", json!("default-scheduler")),
        ("securityContext", json!({})),
        ("terminationGracePeriodSeconds", json!(30)),
    ] {
        default(spec, key, value);
    }
    for list in ["containers", "initContainers"] {
        items_mut(spec, list).iter_mut().for_each(fill_container);
    }
}

fn fill_container(container: &mut Value) {
    let image = text(container, "image");
    let tag = image.rsplit('/').next().and_then(|last| last.split_once(':'));
    let latest = !image.contains('@') && tag.is_none_or(|(_, tag)| tag == "latest");
    let pull = if latest { "Always" } else { "IfNotPresent" };
    for (key, value) in [
        ("imagePullPolicy", json!(pull)),
        ("terminationMessagePath", json!("/dev/termination-log")),
        ("terminationMessagePolicy", json!("File")),
        ("resources", json!({})),
    ] {
        default(container, key, value);
    }
    for port in items_mut(container, "ports") {
        default(port, "protocol", json!("TCP"));
    }
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        let Some(probe) = container.get_mut(probe).filter(|probe| probe.is_object()) else {
            continue;
        };
        for (key, value) in [
            ("timeoutSeconds", 1),
            ("periodSeconds", 10),
            ("successThreshold", 1),
            ("failureThreshold", 3),
        ] {
            default(probe, key, json!(value));
        }
        if let Some(get) = probe.get_mut("httpGet") {
            default(get, "path", json!("/"));
            default(get, "scheme", json!("HTTP"));
        }
    }
}

/// Gives a new pod what the server alone gives.
pub fn begin(object: &mut Value) {
    put(object, "status", json!({"phase": "Pending", "qosClass": "BestEffort"}));
    let Some(spec) = object.get_mut("spec") else { return };
    let tolerate = |key: &str| {
        json!({"key": format!("node.kubernetes.io/{key}"), "operator": "Exists",
            "effect": "NoExecute", "tolerationSeconds": 300})
    };
    for (key, value) in [
        ("preemptionPolicy", json!("PreemptLowerPriority")),
        ("priority", json!(0)),
        ("serviceAccountName", json!("default")),
        ("serviceAccount", json!("default")),
        ("tolerations", json!([tolerate("not-ready"), tolerate("unreachable")])),
    ] {
        default(spec, key, value);
    }
}

/// Tells what is wrong with a pod.
pub fn check(object: &Value) -> Vec<Problem> {
    check_spec(object.get("spec").unwrap_or(&Value::Null), "spec")
}

/// Tells what is wrong with the spec of a pod, which stands in a field.
pub fn check_spec(spec: &Value, field: &str) -> Vec<Problem> {
    let mut all = Vec::new();
    if items(spec, "containers").is_empty() {
        all.push(Problem::required(format!("{field}.containers"), ""));
    }
    let mut seen = BTreeSet::new();
    for list in ["containers", "initContainers"] {
        for (at, container) in items(spec, list).iter().enumerate() {
            let field = format!("{field}.{list}[{at}]");
            all.extend(check_container(container, &field, &mut seen));
        }
    }
    let policies = ["Always", "OnFailure", "Never"];
    let policy = text(spec, "restartPolicy");
    if !policies.contains(&policy) {
        let field = format!("{field}.restartPolicy");
        all.push(Problem::unsupported(field, &json!(policy), &policies));
    }
    all
}

fn check_container(container: &Value, field: &str, seen: &mut BTreeSet<String>) -> Vec<Problem> {
    let name = text(container, "name");
    let mut all = Vec::new();
    let named = format!("{field}.name");
    if name.is_empty() {
        all.push(Problem::required(named, ""));
    } else {
        let complaints = names::label(name);
        let fine = complaints.is_empty();
        all.extend(invalid(&named, name, complaints));
        if fine && !seen.insert(name.to_owned()) {
            all.push(Problem::duplicate(named, &json!(name)));
        }
    }
    if text(container, "image").is_empty() {
        all.push(Problem::required(format!("{field}.image"), ""));
    }
    for (at, port) in items(container, "ports").iter().enumerate() {
        let value = number(port, "containerPort");
        let field = format!("{field}.ports[{at}].containerPort");
        if port.get("containerPort").is_none_or(|port| *port == json!(0)) {
            all.push(Problem::required(field, ""));
        } else if !(1..=65535).contains(&value) {
            let detail = "must be between 1 and 65535, inclusive";
            all.push(Problem::invalid(field, &json!(value), detail));
        }
    }
    all
}
