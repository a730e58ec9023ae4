//! What kuberik installs, as far as it matters: that its Rollouts can be there.

use serde_json::{Value, json};

use super::flux::VARIABLE;
use super::json::merged;
use super::rig::{rig, succeeded};
use super::story::{SHOP, Story};

/// A Kustomization whose variable follows the shop, as kuberik spells it.
pub fn bound_as_kuberik(object: Value) -> Value {
    let key = format!("rollout.kuberik.com/substitute.{VARIABLE}.from");
    merged(object, &json!({"metadata": {"annotations": {key: SHOP}}}))
}

/// Has the definition of kuberik's Rollouts there. It stays: other stories may use it.
pub async fn installed() {
    let crd = json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "rollouts.kuberik.com"},
        "spec": {
            "group": "kuberik.com",
            "scope": "Namespaced",
            "names": {"kind": "Rollout", "plural": "rollouts", "singular": "rollout"},
            "versions": [{"name": "v1alpha1", "served": true, "storage": true, "schema": {
                "openAPIV3Schema": {"type": "object",
                    "x-kubernetes-preserve-unknown-fields": true}}}],
        },
    });
    let apply = ["apply", "--server-side", "-f", "-"];
    succeeded("kuberik's CRD", rig().kubectl_with(&apply, &crd.to_string()).await);
    let wait = ["wait", "--for=condition=Established", "--timeout=20s"];
    let crd = ["crd/rollouts.kuberik.com"];
    succeeded("kuberik's CRD", rig().kubectl(&[&wait[..], &crd].concat()).await);
}

impl Story {
    /// Has a Rollout of kuberik live, of the shop's name.
    pub async fn kuberik(&self) {
        installed().await;
        let theirs = json!({"apiVersion": "kuberik.com/v1alpha1", "kind": "Rollout",
            "metadata": {"name": SHOP, "namespace": self.namespace()}, "spec": {}});
        let create = ["create", "-f", "-"];
        succeeded("kuberik's Rollout", rig().kubectl_with(&create, &theirs.to_string()).await);
    }

    /// Ends that Rollout's life.
    pub async fn kuberik_goes(&self) {
        self.kubectl(&["delete", "rollouts.kuberik.com", SHOP]).await;
    }
}
