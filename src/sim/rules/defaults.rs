//! Defaults: what the API server puts into built-in kinds where nothing is said. It checks
//! nothing.
//!
//! Source: `SetDefaults_…` of Kubernetes v1.36, as far as the kinds here have them.

use serde_json::{Value, json};

use crate::sim::resource::Resource;

/// Puts defaults into an object.
pub fn fill(resource: &Resource, object: &mut Value) {
    match resource.kind {
        "Pod" => {
            if let Some(spec) = object.get_mut("spec") {
                pod(spec);
                put(spec, "enableServiceLinks", json!(true));
                equal_requests(spec);
            }
        }
        "ReplicaSet" => replica_set(object),
        "Service" => service(object),
        "EndpointSlice" => ports(object, "ports", Some("")),
        _ => {}
    }
}

fn put(value: &mut Value, key: &str, default: Value) {
    if let Value::Object(fields) = value {
        let known = fields.entry(key).or_insert(Value::Null);
        if known.is_null() {
            *known = default;
        }
    }
}

/// Puts a default where a field is missing, null or an empty text.
fn put_text(value: &mut Value, key: &str, default: &str) {
    if value.get(key).is_none_or(|known| known.is_null() || known == "") {
        if let Value::Object(fields) = value {
            fields.insert(key.to_owned(), json!(default));
        }
    }
}

fn each<'a>(value: &'a mut Value, key: &str) -> impl Iterator<Item = &'a mut Value> {
    value.get_mut(key).and_then(Value::as_array_mut).into_iter().flatten()
}

fn replica_set(object: &mut Value) {
    let Some(spec) = object.get_mut("spec") else { return };
    put(spec, "replicas", json!(1));
    if let Some(pod_spec) = spec.pointer_mut("/template/spec") {
        pod(pod_spec);
    }
}

fn pod(spec: &mut Value) {
    put_text(spec, "dnsPolicy", "ClusterFirst");
    put_text(spec, "restartPolicy", "Always");
    put_text(spec, "schedulerName", "default-scheduler");
    put(spec, "securityContext", json!({}));
    put(spec, "terminationGracePeriodSeconds", json!(30));
    for list in ["containers", "initContainers"] {
        each(spec, list).for_each(container);
    }
    each(spec, "volumes").for_each(volume);
}

fn container(container: &mut Value) {
    let image = container.get("image").and_then(Value::as_str).unwrap_or_default();
    let name = image.rsplit('/').next().unwrap_or_default();
    let tag = name.split('@').next().and_then(|name| name.split_once(':')).map(|(_, tag)| tag);
    let fixed = image.contains('@') || tag.is_some_and(|tag| tag != "latest");
    put_text(container, "imagePullPolicy", if fixed { "IfNotPresent" } else { "Always" });
    put_text(container, "terminationMessagePath", "/dev/termination-log");
    put_text(container, "terminationMessagePolicy", "File");
    ports(container, "ports", None);
    for name in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(found) = container.get_mut(name).filter(|found| found.is_object()) {
            probe(found);
        }
    }
    for handler in ["postStart", "preStop"] {
        if let Some(get) = container.pointer_mut(&format!("/lifecycle/{handler}/httpGet")) {
            put_text(get, "path", "/");
            put_text(get, "scheme", "HTTP");
        }
    }
    for variable in each(container, "env") {
        if let Some(reference) = variable.pointer_mut("/valueFrom/fieldRef") {
            put_text(reference, "apiVersion", "v1");
        }
    }
}

/// What is limited is requested, unless something else is said.
fn requests(container: &mut Value) {
    let limits = container.pointer("/resources/limits").and_then(Value::as_object).cloned();
    let Some(limits) = limits.filter(|limits| !limits.is_empty()) else { return };
    let Some(resources) = container.get_mut("resources") else { return };
    put(resources, "requests", json!({}));
    let Some(requests) = resources.get_mut("requests") else { return };
    limits.into_iter().for_each(|(key, value)| put(requests, &key, value));
}

/// Requests are filled for pods themselves, not for templates of pods.
fn equal_requests(spec: &mut Value) {
    for list in ["containers", "initContainers"] {
        each(spec, list).for_each(requests);
    }
}

fn probe(probe: &mut Value) {
    for (key, default) in
        [("timeoutSeconds", 1), ("periodSeconds", 10), ("successThreshold", 1), ("failureThreshold", 3)]
    {
        if probe.get(key).is_none_or(|known| known.is_null() || known == 0) {
            if let Value::Object(fields) = probe {
                fields.insert(key.to_owned(), json!(default));
            }
        }
    }
    if let Some(get) = probe.get_mut("httpGet") {
        put_text(get, "path", "/");
        put_text(get, "scheme", "HTTP");
    }
    if let Some(grpc) = probe.get_mut("grpc") {
        put(grpc, "service", json!(""));
    }
}

fn volume(volume: &mut Value) {
    let Value::Object(fields) = volume else { return };
    if fields.keys().all(|key| key == "name") {
        fields.insert("emptyDir".to_owned(), json!({}));
    }
    for kind in ["configMap", "secret", "downwardAPI", "projected"] {
        if let Some(source) = fields.get_mut(kind) {
            put(source, "defaultMode", json!(420));
        }
    }
    if let Some(path) = fields.get_mut("hostPath") {
        put(path, "type", json!(""));
    }
}

/// Ports are of TCP; in an EndpointSlice they have a name, if an empty one.
fn ports(object: &mut Value, key: &str, name: Option<&str>) {
    for port in each(object, key) {
        put_text(port, "protocol", "TCP");
        if let Some(name) = name {
            put(port, "name", json!(name));
        }
    }
}

fn service(object: &mut Value) {
    let Some(spec) = object.get_mut("spec") else { return };
    put_text(spec, "sessionAffinity", "None");
    put_text(spec, "type", "ClusterIP");
    for port in each(spec, "ports") {
        put_text(port, "protocol", "TCP");
        let target = port.get("targetPort");
        if target.is_none_or(|target| target.is_null() || target == 0 || target == "") {
            let number = port.get("port").cloned().unwrap_or_default();
            if let Value::Object(fields) = port {
                fields.insert("targetPort".to_owned(), number);
            }
        }
    }
    if spec.get("sessionAffinity").is_some_and(|affinity| affinity == "ClientIP") {
        put(spec, "sessionAffinityConfig", json!({"clientIP": {"timeoutSeconds": 10800}}));
    }
    let kind = spec.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
    if ["NodePort", "LoadBalancer"].contains(&kind.as_str()) {
        put_text(spec, "externalTrafficPolicy", "Cluster");
    }
    if kind == "LoadBalancer" {
        put(spec, "allocateLoadBalancerNodePorts", json!(true));
    }
    if ["ClusterIP", "NodePort", "LoadBalancer"].contains(&kind.as_str()) {
        put(spec, "internalTrafficPolicy", json!("Cluster"));
    }
}

/// Gives a Service its address, the `number`-th of the range; one that wants none is left as it is.
pub fn address(object: &mut Value, number: u64) {
    let Some(spec) = object.get_mut("spec") else { return };
    if spec.get("type").is_some_and(|kind| kind == "ExternalName") {
        return;
    }
    let given = spec.get("clusterIP").and_then(Value::as_str).unwrap_or_default().to_owned();
    let address = match given.as_str() {
        "" => format!("10.96.{}.{}", number / 250 % 250, number % 250 + 1),
        given => given.to_owned(),
    };
    put_text(spec, "clusterIP", &address);
    put(spec, "clusterIPs", json!([address]));
    put(spec, "ipFamilies", json!(["IPv4"]));
    put(spec, "ipFamilyPolicy", json!("SingleStack"));
}
