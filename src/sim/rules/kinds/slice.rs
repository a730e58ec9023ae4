//! EndpointSlices: addresses and ports.

use std::net::IpAddr;

use serde_json::{Value, json};

use crate::sim::rules::kinds::parts::{default, items, items_mut, put, text};
use crate::sim::rules::problem::Problem;

/// Gives an EndpointSlice what nobody gave.
pub fn fill(object: &mut Value) {
    for port in items_mut(object, "ports") {
        default(port, "name", json!(""));
        default(port, "protocol", json!("TCP"));
    }
}

/// Stores an EndpointSlice: a list that is empty is none.
pub fn begin(object: &mut Value) {
    for key in ["endpoints", "ports"] {
        if items(object, key).is_empty() {
            put(object, key, Value::Null);
        }
    }
}

/// Tells what is wrong with an EndpointSlice.
pub fn check(object: &Value) -> Vec<Problem> {
    let kinds = ["FQDN", "IPv4", "IPv6"];
    let kind = text(object, "addressType");
    let mut all = Vec::new();
    if kind.is_empty() {
        return vec![Problem::required("addressType", "")];
    }
    if !kinds.contains(&kind) {
        all.push(Problem::unsupported("addressType", &json!(kind), &kinds));
    }
    for (at, endpoint) in items(object, "endpoints").iter().enumerate() {
        let field = format!("endpoints[{at}].addresses");
        let addresses = items(endpoint, "addresses");
        if addresses.is_empty() {
            all.push(Problem::required(field.as_str(), "must contain at least 1 address"));
        }
        for (at, address) in addresses.iter().enumerate() {
            let ip = address.as_str().unwrap_or_default().parse::<IpAddr>();
            if kind != "FQDN" && ip.is_err() {
                let detail = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
                all.push(Problem::invalid(format!("{field}[{at}]"), address, detail));
            }
        }
    }
    all
}

/// Tells what is wrong with a change of an EndpointSlice.
pub fn check_change(before: &Value, after: &Value) -> Vec<Problem> {
    let (old, new) = (before.get("addressType"), after.get("addressType"));
    let mut all = Vec::new();
    if old != new {
        let new = new.cloned().unwrap_or_default();
        all.push(Problem::invalid("addressType", &new, "field is immutable"));
    }
    all.extend(check(after));
    all
}
