//! What is installed once for the whole run: the CRDs, and the shipped ServiceAccount with its
//! Roles. Every controller of every story is that ServiceAccount.

use tokio::sync::OnceCell;

use super::rig::{rig, succeeded};

/// The namespace of the shipped ServiceAccount and Lease.
pub const NAMESPACE: &str = "stairlock-system";
/// The shipped ServiceAccount.
const ACCOUNT: &str = "stairlock";

static TOKEN: OnceCell<String> = OnceCell::const_new();

/// A token of the shipped ServiceAccount; the first caller installs it.
pub async fn token() -> &'static str {
    TOKEN.get_or_init(install).await
}

async fn install() -> String {
    let root = env!("CARGO_MANIFEST_DIR");
    let rig = rig();
    let namespace =
        format!(r#"{{"apiVersion":"v1","kind":"Namespace","metadata":{{"name":"{NAMESPACE}"}}}}"#);
    let apply = ["apply", "--server-side", "--force-conflicts"];
    let made = rig.kubectl_with(&[&apply[..], &["-f", "-"]].concat(), &namespace).await;
    succeeded("making the namespace", made);
    for folder in ["crd", "rbac"] {
        let path = format!("{root}/config/{folder}");
        let applied = rig.kubectl(&[&apply[..], &["-k", &path]].concat()).await;
        succeeded(&format!("applying config/{folder}"), applied);
    }
    let wait = ["wait", "--for=condition=Established", "--timeout=20s", "crd", "--all"];
    succeeded("waiting for the CRDs", rig.kubectl(&wait).await);
    // Kubernetes gathers what an aggregated role grants.
    let role = "clusterrole/stairlock-inspection";
    let wait = ["wait", "--for=jsonpath={.rules[0].verbs[0]}=get", "--timeout=20s", role];
    succeeded("waiting for the role of inspections", rig.kubectl(&wait).await);
    let create = ["-n", NAMESPACE, "create", "token", ACCOUNT, "--duration=2h"];
    succeeded("asking for a token", rig.kubectl(&create).await).trim().to_owned()
}
