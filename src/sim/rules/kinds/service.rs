//! Services: addresses, ports and types.

use serde_json::{Value, json};

use crate::sim::rules::kinds::parts::{default, items, items_mut, number, put, text};
use crate::sim::rules::metadata;
use crate::sim::rules::problem::Problem;

/// The types of Services.
const TYPES: &[&str] = &["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
/// What a port number may be.
const PORT_RANGE: &str = "must be between 1 and 65535, inclusive";
/// The first port of a node that Services are given, and how many there are.
const NODE_PORTS: (u64, u64) = (30000, 2768);

/// Gives a Service what nobody gave.
pub fn fill(object: &mut Value) {
    default(object, "spec", json!({}));
    let Some(spec) = object.get_mut("spec") else { return };
    default(spec, "sessionAffinity", json!("None"));
    default(spec, "type", json!("ClusterIP"));
    let kind = text(spec, "type").to_owned();
    for port in items_mut(spec, "ports") {
        default(port, "protocol", json!("TCP"));
        let number = port.get("port").cloned().unwrap_or(json!(0));
        if port.get("targetPort").is_none_or(|target| *target == json!(0) || *target == json!("")) {
            put(port, "targetPort", number);
        }
    }
    if ["NodePort", "LoadBalancer"].contains(&kind.as_str()) {
        default(spec, "externalTrafficPolicy", json!("Cluster"));
    }
    if kind == "LoadBalancer" {
        default(spec, "allocateLoadBalancerNodePorts", json!(true));
    }
    if kind != "ExternalName" {
        default(spec, "internalTrafficPolicy", json!("Cluster"));
    }
}

/// Gives a new Service its address.
pub fn begin(object: &mut Value, number: u64) {
    put(object, "status", json!({"loadBalancer": {}}));
    if let Some(spec) = object.get_mut("spec") {
        allot(spec, number);
    }
}

/// Keeps the address of a Service, unless another one is asked for.
pub fn go_on(before: &Value, after: &mut Value, number: u64) {
    let (Some(old), Some(spec)) = (before.get("spec"), after.get_mut("spec")) else { return };
    for key in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
        if let Some(value) = old.get(key) {
            default(spec, key, value.clone());
        }
    }
    // One address is the other's first.
    let (old_ip, new_ip) = (text(old, "clusterIP"), text(spec, "clusterIP").to_owned());
    if old_ip != new_ip && old.get("clusterIPs") == spec.get("clusterIPs") {
        put(spec, "clusterIPs", json!([new_ip]));
    }
    allot(spec, number);
}

fn allot(spec: &mut Value, number: u64) {
    let kind = text(spec, "type").to_owned();
    if kind == "ExternalName" {
        return;
    }
    let headless = text(spec, "clusterIP") == "None";
    if text(spec, "clusterIP").is_empty() {
        let (third, fourth) = (number / 250 % 250, number % 250 + 1);
        put(spec, "clusterIP", json!(format!("10.96.{third}.{fourth}")));
    }
    let address = spec.get("clusterIP").cloned().unwrap_or_default();
    default(spec, "clusterIPs", json!([address]));
    // Without a selector nobody but its owner knows where a headless Service leads.
    let open = headless && spec.get("selector").is_none();
    let (families, policy) = if open {
        (json!(["IPv4", "IPv6"]), "RequireDualStack")
    } else {
        (json!(["IPv4"]), "SingleStack")
    };
    default(spec, "ipFamilies", families);
    default(spec, "ipFamilyPolicy", json!(policy));
    if ["NodePort", "LoadBalancer"].contains(&kind.as_str()) {
        let (first, count) = NODE_PORTS;
        for (at, port) in (0..).zip(items_mut(spec, "ports")) {
            default(port, "nodePort", json!(first + (number * 16 + at) % count));
        }
    }
}

/// Tells what is wrong with a Service.
pub fn check(object: &Value) -> Vec<Problem> {
    let none = Value::Null;
    let spec = object.get("spec").unwrap_or(&none);
    let kind = text(spec, "type");
    let ports = items(spec, "ports");
    let mut all = Vec::new();
    if ports.is_empty() && text(spec, "clusterIP") != "None" && kind != "ExternalName" {
        all.push(Problem::required("spec.ports", ""));
    }
    for (at, port) in ports.iter().enumerate() {
        all.extend(check_port(port, &format!("spec.ports[{at}]"), 1 < ports.len()));
    }
    all.extend(metadata::labels("spec.selector", spec.get("selector")));
    if !TYPES.contains(&kind) {
        all.push(Problem::unsupported("spec.type", &json!(kind), TYPES));
    }
    all
}

fn check_port(port: &Value, field: &str, named: bool) -> Vec<Problem> {
    let mut all = Vec::new();
    if named && text(port, "name").is_empty() {
        all.push(Problem::required(format!("{field}.name"), ""));
    }
    let value = number(port, "port");
    if !(1..=65535).contains(&value) {
        all.push(Problem::invalid(format!("{field}.port"), &json!(value), PORT_RANGE));
    }
    let target = port.get("targetPort").and_then(Value::as_i64);
    if let Some(target) = target.filter(|target| !(1..=65535).contains(target)) {
        all.push(Problem::invalid(format!("{field}.targetPort"), &json!(target), PORT_RANGE));
    }
    all
}

/// Tells what is wrong with a change of a Service.
pub fn check_change(before: &Value, after: &Value) -> Vec<Problem> {
    let pointer = "/spec/clusterIPs";
    let (old, new) = (before.pointer(pointer), after.pointer(pointer));
    let mut all = Vec::new();
    if old.is_some() && old != new {
        let new = new.cloned().unwrap_or_default();
        all.push(Problem::invalid("spec.clusterIPs[0]", &new, "may not change once set"));
    }
    all.extend(check(after));
    all
}
