//! Leases: their numbers.

use serde_json::{Value, json};

use crate::sim::rules::kinds::parts::{not_negative, number};
use crate::sim::rules::problem::Problem;

/// Tells what is wrong with a Lease.
pub fn check(object: &Value) -> Vec<Problem> {
    let Some(spec) = object.get("spec") else { return Vec::new() };
    let seconds = number(spec, "leaseDurationSeconds");
    let mut all = Vec::new();
    if spec.get("leaseDurationSeconds").is_some() && seconds < 1 {
        let field = "spec.leaseDurationSeconds";
        all.push(Problem::invalid(field, &json!(seconds), "must be greater than 0"));
    }
    all.extend(not_negative(spec, "leaseTransitions", "spec.leaseTransitions"));
    all
}
