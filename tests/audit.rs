//! What the whole run of the cluster stories asked of the API server, read from its audit log.
//!
//! Runs after them (`tests/scripts/test.sh`), since only then it is known what was never used.

#[cfg(test)]
mod audit {
    use std::collections::BTreeSet;
    use std::path::{Path, PathBuf};
    use std::process::Command;

    use serde_json::Value;

    const ABSENT: &str = "no rig: `make test` runs this after the cluster stories";
    const ACCOUNT: &str = "stairlock";
    const NAMESPACE: &str = "stairlock-system";

    /// Granted and never a request: the admission plugin OwnerReferencesPermissionEnforcement asks
    /// for the first, where it is on, when a child gets an owner reference; config/command-policy
    /// for the second, when a command is accepted.
    const FOR_ADMISSION: &[&str] =
        &["update stairlock.dev/rollouts/finalizers", "accept stairlock.dev/rollouts"];

    /// Granted for what HealthChecks look at: which kinds those are is up to who has them.
    const FOR_INSPECTION: &[&str] = &[
        "/persistentvolumeclaims",
        "apps/daemonsets",
        "apps/deployments",
        "apps/statefulsets",
        "batch/cronjobs",
        "batch/jobs",
        "networking.k8s.io/ingresses",
        "networking.k8s.io/networkpolicies",
        "policy/poddisruptionbudgets",
    ];

    /// Refused as it should be: a tenant's Role grants it, and one story has none.
    const FOR_A_TENANT: &[&str] = &[
        "get /limitranges",
        "get /secrets",
        "get /serviceaccounts",
        "list /limitranges",
        "watch /limitranges",
    ];

    /// The rig's variables, as `tests/rig/rig.sh run` sets them.
    fn var(name: &str) -> String {
        std::env::var(name).expect(ABSENT)
    }

    /// The audit log, with the parts that were rotated away.
    fn logs() -> Vec<PathBuf> {
        let log = PathBuf::from(var("AUDIT_LOG"));
        let stem = log.file_stem().unwrap().to_string_lossy().into_owned();
        let entries = std::fs::read_dir(log.parent().unwrap()).unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        let ours = |path: &PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            name.starts_with(&stem) && name.ends_with(".log")
        };
        paths.filter(ours).collect()
    }

    /// Every request of the shipped ServiceAccount, whoever speaks in its name.
    fn requests() -> Vec<Value> {
        let user = format!("system:serviceaccount:{NAMESPACE}:{ACCOUNT}");
        let mut requests = Vec::new();
        for log in logs() {
            let text = std::fs::read_to_string(log).unwrap();
            let ours = text.lines().filter(|line| line.contains(&user));
            let parsed = ours.filter_map(|line| serde_json::from_str::<Value>(line).ok());
            requests.extend(parsed.filter(|event| event["user"]["username"] == *user));
        }
        assert!(!requests.is_empty(), "the stories did not run on this rig");
        requests
    }

    fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
        value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
    }

    /// One permission as text: verb, group, resource, subresource.
    fn permission(verb: &str, group: &str, resource: &str) -> String {
        format!("{verb} {group}/{resource}")
    }

    /// What a request made use of, `None` where it was for no resource.
    fn used(event: &Value) -> Option<String> {
        let object = event.get("objectRef")?;
        let resource = match text(object, "/subresource") {
            "" => text(object, "/resource").to_owned(),
            subresource => format!("{}/{subresource}", text(object, "/resource")),
        };
        Some(permission(text(event, "/verb"), text(object, "/apiGroup"), &resource))
    }

    /// Asks for objects as admin.
    fn objects(kind: &str) -> Vec<Value> {
        let kubectl = Path::new(&var("BIN")).join("kubectl");
        let output = Command::new(kubectl).args(["get", kind, "-A", "-o", "json"]).output();
        let output = output.unwrap();
        assert!(output.status.success(), "{output:?}");
        let list: Value = serde_json::from_slice(&output.stdout).unwrap();
        list["items"].as_array().unwrap().clone()
    }

    /// Every permission that the Roles bound to the ServiceAccount grant.
    fn granted() -> BTreeSet<String> {
        let mut granted = BTreeSet::new();
        for (bindings, cluster) in [("clusterrolebindings", true), ("rolebindings", false)] {
            for binding in objects(bindings) {
                let subjects = binding["subjects"].as_array().cloned().unwrap_or_default();
                let ours = |subject: &Value| {
                    text(subject, "/kind") == "ServiceAccount"
                        && text(subject, "/name") == ACCOUNT
                        && text(subject, "/namespace") == NAMESPACE
                };
                // What a tenant's Role grants beside is that tenant's.
                let place = cluster || text(&binding, "/metadata/namespace") == NAMESPACE;
                if place && subjects.iter().any(ours) {
                    granted.extend(rules(&binding, cluster));
                }
            }
        }
        assert!(!granted.is_empty(), "no Role is bound to {NAMESPACE}/{ACCOUNT}");
        granted
    }

    /// The permissions of the role that a binding names.
    fn rules(binding: &Value, cluster: bool) -> Vec<String> {
        let kind = text(binding, "/roleRef/kind");
        let roles = objects(if kind == "ClusterRole" { "clusterroles" } else { "roles" });
        let namespace = text(binding, "/metadata/namespace");
        let named = |role: &&Value| {
            let near = cluster || kind == "ClusterRole";
            text(role, "/metadata/name") == text(binding, "/roleRef/name")
                && (near || text(role, "/metadata/namespace") == namespace)
        };
        let role = roles.iter().find(named).expect("the role of the binding");
        let words = |rule: &Value, key: &str| {
            let words = rule[key].as_array().cloned().unwrap_or_default();
            words.iter().map(|word| word.as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        let mut all = Vec::new();
        for rule in role["rules"].as_array().unwrap() {
            for verb in words(rule, "verbs") {
                for group in words(rule, "apiGroups") {
                    let resources = words(rule, "resources").into_iter();
                    all.extend(resources.map(|name| permission(&verb, &group, &name)));
                }
            }
        }
        all
    }

    #[test]
    fn nothing_was_forbidden() {
        let refused: BTreeSet<String> = requests()
            .iter()
            .filter(|event| event.pointer("/responseStatus/code") == Some(&Value::from(403)))
            .map(|event| (used(event).unwrap_or_default(), event))
            .filter(|(used, _)| !FOR_A_TENANT.contains(&used.as_str()))
            .map(|(used, event)| {
                format!("{used}: {} {}", text(event, "/requestURI"), event["responseStatus"])
            })
            .collect();
        assert!(refused.is_empty(), "{refused:#?}");
    }

    #[test]
    fn every_granted_verb_was_used() {
        // A test that borrows the account is not the program.
        let programs = |event: &&Value| text(event, "/userAgent").starts_with("stairlock/");
        let used: BTreeSet<String> = requests().iter().filter(programs).filter_map(used).collect();
        let exempt = FOR_ADMISSION.iter();
        let mut exempt: BTreeSet<String> = exempt.map(|text| text.to_string()).collect();
        for verb in ["get", "list", "watch"] {
            exempt.extend(FOR_INSPECTION.iter().map(|kind| format!("{verb} {kind}")));
        }
        let idle: Vec<String> = granted().difference(&used).cloned().collect();
        let idle: Vec<String> = idle.into_iter().filter(|verb| !exempt.contains(verb)).collect();
        assert!(idle.is_empty(), "granted and never used: {idle:#?}\nused: {used:#?}");
    }

    #[test]
    fn no_permission_is_a_wildcard_or_reads_secrets() {
        for permission in granted() {
            assert!(!permission.contains('*'), "{permission}");
            assert!(!permission.contains("secrets"), "{permission}");
        }
    }
}
