//! Eviction: asks that a pod be deleted, as far as its PodDisruptionBudget allows. It names the pod
//! by uid, so that another one of its name stays.

use serde_json::{Value, json};

/// Makes the body of an eviction.
pub fn of(namespace: &str, pod: &str, uid: &str) -> Value {
    json!({
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": pod, "namespace": namespace},
        "deleteOptions": {"preconditions": {"uid": uid}},
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_eviction_names_one_pod() {
        let body = of("prod", "shop-a-1", "p1");
        assert_eq!(body["deleteOptions"]["preconditions"]["uid"], "p1");
        assert_eq!(
            (&body["metadata"]["name"], &body["kind"]),
            (&"shop-a-1".into(), &"Eviction".into())
        );
    }
}
