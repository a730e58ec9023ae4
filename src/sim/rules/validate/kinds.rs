//! Kinds: what the API server refuses of single built-in kinds, as far as it matters here.

use serde_json::{Value, json};

use crate::sim::resource::Resource;
use crate::sim::rules::cause::Cause;
use crate::sim::rules::names;

const IMMUTABLE: &str = "field is immutable";

/// Checks an object by itself.
pub fn check(resource: &Resource, object: &Value) -> Vec<Cause> {
    match resource.kind {
        "ReplicaSet" => replica_set(object),
        "Pod" => containers(object.get("spec").unwrap_or(&Value::Null), "spec"),
        "Service" => service(object),
        "Lease" => lease(object),
        "EndpointSlice" => slice(object),
        "Event" => event(object),
        "ConfigMap" => config_map(object),
        _ => Vec::new(),
    }
}

/// Checks an object by itself and against the one whose place it takes.
pub fn check_update(resource: &Resource, before: &Value, object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let fixed = |pointer: &str, field: &str| {
        let value = |object: &Value| object.pointer(pointer).cloned().unwrap_or_default();
        let (was, is) = (value(before), value(object));
        (was != is).then(|| Cause::invalid(field, &is, IMMUTABLE))
    };
    match resource.kind {
        "ReplicaSet" => {
            let selector = fixed("/spec/selector", "spec.selector");
            causes.extend(replica_set(object));
            causes.extend(selector);
        }
        "EndpointSlice" => {
            let address_type = fixed("/addressType", "addressType");
            causes.extend(slice(object));
            causes.extend(address_type);
        }
        "Service" => causes.extend(service_update(before, object)),
        "Event" => {
            causes.extend(event(object));
            for (pointer, field) in [
                ("/regarding", "involvedObject"),
                ("/reason", "reason"),
                ("/note", "message"),
                ("/type", "type"),
                ("/action", "action"),
                ("/related", "related"),
                ("/reportingController", "reportingController"),
                ("/reportingInstance", "reportingInstance"),
            ] {
                causes.extend(fixed(pointer, field));
            }
        }
        _ => causes.extend(check(resource, object)),
    }
    causes
}

fn number(object: &Value, pointer: &str) -> Option<i64> {
    object.pointer(pointer).and_then(Value::as_i64)
}

fn negative(object: &Value, pointer: &str, field: &str) -> Option<Cause> {
    let value = number(object, pointer).filter(|value| *value < 0)?;
    Some(Cause::invalid(field, &json!(value), "must be greater than or equal to 0"))
}

fn replica_set(object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    causes.extend(negative(object, "/spec/replicas", "spec.replicas"));
    causes.extend(negative(object, "/spec/minReadySeconds", "spec.minReadySeconds"));
    let selector = object.pointer("/spec/selector").filter(|selector| !selector.is_null());
    let none = Value::Null;
    let labels = object.pointer("/spec/template/metadata/labels").unwrap_or(&none);
    match selector {
        None => causes.push(Cause::required("spec.selector", "")),
        Some(selector) => {
            let wanted = selector.get("matchLabels").and_then(Value::as_object);
            let empty = wanted.is_none_or(serde_json::Map::is_empty);
            if empty && selector.get("matchExpressions").is_none() {
                let detail = "empty selector is invalid for deployment";
                causes.push(Cause::invalid("spec.selector", selector, detail));
            }
            let mut wanted = wanted.into_iter().flatten();
            if !wanted.all(|(key, value)| labels.get(key) == Some(value)) {
                let detail = "`selector` does not match template `labels`";
                causes.push(Cause::invalid("spec.template.metadata.labels", labels, detail));
            }
        }
    }
    let spec = object.pointer("/spec/template/spec").unwrap_or(&none);
    causes.extend(containers(spec, "spec.template.spec"));
    let policy = spec.get("restartPolicy").filter(|policy| *policy != "Always");
    causes.extend(policy.map(|policy| {
        let field = "spec.template.spec.restartPolicy";
        Cause::unsupported(field, policy, &[json!("Always")])
    }));
    causes
}

fn containers(spec: &Value, path: &str) -> Vec<Cause> {
    let mut causes = Vec::new();
    let all = spec.get("containers").and_then(Value::as_array);
    if all.is_none_or(Vec::is_empty) {
        causes.push(Cause::required(format!("{path}.containers"), ""));
    }
    let mut known: Vec<&str> = Vec::new();
    for (index, container) in all.into_iter().flatten().enumerate() {
        let at = |field: &str| format!("{path}.containers[{index}].{field}");
        let text = |key: &str| container.get(key).and_then(Value::as_str).unwrap_or_default();
        let name = text("name");
        if name.is_empty() {
            causes.push(Cause::required(at("name"), ""));
        } else if known.contains(&name) {
            causes.push(Cause::duplicate(at("name"), &json!(name)));
        } else {
            let said = names::label(name);
            let cause = |said: &String| Cause::invalid(at("name"), &json!(name), said);
            causes.extend(said.iter().map(cause));
            known.push(name);
        }
        if text("image").is_empty() {
            causes.push(Cause::required(at("image"), ""));
        }
    }
    causes
}

fn service(object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let ports = object.pointer("/spec/ports").and_then(Value::as_array);
    let kind = object.pointer("/spec/type").and_then(Value::as_str).unwrap_or_default();
    let address = object.pointer("/spec/clusterIP").and_then(Value::as_str);
    if ports.is_none_or(Vec::is_empty) && kind != "ExternalName" && address != Some("None") {
        causes.push(Cause::required("spec.ports", ""));
    }
    let several = ports.is_some_and(|ports| ports.len() > 1);
    let mut known: Vec<&str> = Vec::new();
    for (index, port) in ports.into_iter().flatten().enumerate() {
        let at = |field: &str| format!("spec.ports[{index}].{field}");
        let name = port.get("name").and_then(Value::as_str).unwrap_or_default();
        if name.is_empty() {
            causes.extend(several.then(|| Cause::required(at("name"), "")));
        } else {
            let said = names::label(name);
            let cause = |said: &String| Cause::invalid(at("name"), &json!(name), said);
            causes.extend(said.iter().map(cause));
            if known.contains(&name) {
                causes.push(Cause::duplicate(at("name"), &json!(name)));
            }
            known.push(name);
        }
        for field in ["port", "targetPort"] {
            let value = port.get(field).and_then(Value::as_i64);
            if let Some(value) = value.filter(|value| !(1..=65535).contains(value)) {
                let detail = "must be between 1 and 65535, inclusive";
                causes.push(Cause::invalid(at(field), &json!(value), detail));
            }
        }
        let protocol = port.get("protocol").cloned().unwrap_or_default();
        let supported = [json!("SCTP"), json!("TCP"), json!("UDP")];
        if !supported.contains(&protocol) {
            causes.push(Cause::unsupported(at("protocol"), &protocol, &supported));
        }
    }
    let supported = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"].map(Value::from);
    if !supported.contains(&json!(kind)) {
        causes.push(Cause::unsupported("spec.type", &json!(kind), &supported));
    }
    for (key, value) in object.pointer("/spec/selector").and_then(Value::as_object).into_iter().flatten()
    {
        let said = |said: &String| Cause::invalid("spec.selector", &json!(key), said);
        causes.extend(names::key(key).iter().map(said));
        let said = |said: &String| Cause::invalid("spec.selector", value, said);
        causes.extend(names::value(value.as_str().unwrap_or_default()).iter().map(said));
    }
    causes
}

fn service_update(before: &Value, object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let address = |object: &Value| object.pointer("/spec/clusterIP").cloned().unwrap_or_default();
    let (was, is) = (address(before), address(object));
    if was != is && was != "" && !was.is_null() {
        let value = json!([is]);
        causes.push(Cause::invalid("spec.clusterIPs[0]", &value, "may not change once set"));
    }
    causes.extend(service(object));
    causes
}

fn lease(object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let seconds = number(object, "/spec/leaseDurationSeconds");
    if let Some(seconds) = seconds.filter(|seconds| *seconds <= 0) {
        let field = "spec.leaseDurationSeconds";
        causes.push(Cause::invalid(field, &json!(seconds), "must be greater than 0"));
    }
    causes.extend(negative(object, "/spec/leaseTransitions", "spec.leaseTransitions"));
    causes
}

fn slice(object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let supported = [json!("FQDN"), json!("IPv4"), json!("IPv6")];
    let kind = object.get("addressType").cloned().unwrap_or_default();
    if kind.is_null() || kind == "" {
        causes.push(Cause::required("addressType", ""));
    } else if !supported.contains(&kind) {
        causes.push(Cause::unsupported("addressType", &kind, &supported));
    }
    let all = object.get("endpoints").and_then(Value::as_array).into_iter().flatten();
    for (index, endpoint) in all.enumerate() {
        let addresses = endpoint.get("addresses").and_then(Value::as_array);
        if addresses.is_none_or(Vec::is_empty) {
            let field = format!("endpoints[{index}].addresses");
            causes.push(Cause::required(field, "must contain at least 1 address"));
        }
    }
    causes
}

fn event(object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let namespace = text("/metadata/namespace");
    let about = text("/regarding/namespace");
    let loose = about.is_empty() && !["default", "kube-system"].contains(&namespace);
    if loose || (!about.is_empty() && about != namespace && !text("/eventTime").is_empty()) {
        let field = "involvedObject.namespace";
        causes.push(Cause::invalid(field, &json!(about), "does not match event.namespace"));
    }
    if text("/reportingController").is_empty() {
        causes.push(Cause::required("reportingController", ""));
    }
    for (pointer, field, most) in
        [("/reportingInstance", "reportingInstance", 128), ("/action", "action", 128), ("/reason", "reason", 128)]
    {
        let value = text(pointer);
        if value.is_empty() {
            causes.push(Cause::required(field, ""));
        } else if value.len() > most {
            let detail = format!("can have at most {most} characters");
            causes.push(Cause::invalid(field, &json!(""), &detail));
        }
    }
    if text("/note").len() > 1024 {
        causes.push(Cause::invalid("message", &json!(""), "can have at most 1024 characters"));
    }
    if text("/eventTime").is_empty() {
        causes.push(Cause::required("eventTime", ""));
    }
    let kind = text("/type");
    if !["Normal", "Warning"].contains(&kind) {
        let detail = format!("has invalid value: {kind}");
        causes.push(Cause::invalid("type", &json!(""), &detail));
    }
    causes
}

fn config_map(object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    for bag in ["data", "binaryData"] {
        for key in object.get(bag).and_then(Value::as_object).into_iter().flat_map(|all| all.keys()) {
            let fits = |c: char| c.is_ascii_alphanumeric() || ['-', '_', '.'].contains(&c);
            if key.is_empty() || !key.chars().all(fits) {
                let detail = "a valid config key must consist of alphanumeric characters, '-', '_' \
                    or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for \
                    validation is '[-._a-zA-Z0-9]+')";
                causes.push(Cause::invalid(format!("{bag}[{key}]"), &json!(key), detail));
            }
        }
    }
    causes
}
