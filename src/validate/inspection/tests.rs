use serde_json::{Value, json};

use super::*;
use crate::model::health::Health;
use crate::validate::fixture::{merged, object};
use crate::validate::seen::NamedCheck;

fn check(spec: Value) -> Arc<HealthCheck> {
    object(json!({
        "apiVersion": "stairlock.dev/v1alpha1", "kind": "HealthCheck",
        "metadata": {"namespace": "prod", "name": "shop"}, "spec": spec,
    }))
}

fn kustomization(patch: Value) -> Arc<Kustomization> {
    let base = json!({
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
        "metadata": {"namespace": "prod", "name": "apps", "generation": 2},
        "spec": {},
        "status": {
            "observedGeneration": 2, "lastAppliedRevision": "main@sha1:1",
            "lastAttemptedRevision": "main@sha1:1",
            "inventory": {"entries": [{"id": "prod_shop_apps_Deployment", "v": "v1"}]},
            "conditions": [{"type": "Ready", "status": "True", "reason": "ReconciliationSucceeded",
                "observedGeneration": 2, "lastTransitionTime": "2026-01-02T03:04:05Z"}],
        },
    });
    object(merged(&base, &patch))
}

fn seen(kustomization: Found<Kustomization>) -> Seen {
    let spec = json!({"class": "kustomization", "kustomizationRef": {"name": "apps"}});
    Seen { check: check(spec), kustomization, objects: Vec::new(), gated: BTreeSet::new() }
}

fn first(seen: &Seen) -> Told {
    let Subject::Applied { all, .. } = of(seen).subject else { panic!("nothing is looked at") };
    match &all[0].sight {
        Sight::Told(told) => told.clone(),
        other @ (Sight::Absent { .. } | Sight::Unread(_)) => panic!("{other:?}"),
    }
}

/// A Kustomization of which this is said, at its generation or, with `old`, at the one before.
fn says(status: &str, reason: &str, more: Value) -> Seen {
    let ready = json!({"type": "Ready", "status": status, "reason": reason, "message": "words",
        "observedGeneration": 2, "lastTransitionTime": "2026-01-02T03:04:05Z"});
    let reconciling = json!({"type": "Reconciling", "status": "True", "reason": "Progressing"});
    let said = kustomization(json!({"status": {"conditions": [reconciling, ready]}}));
    let said = merged(&serde_json::to_value(said.as_ref()).unwrap(), &more);
    seen(Found::Is(object(said)))
}

#[test]
fn a_kustomization_says_what_kstatus_does_not_see() {
    let none = || json!({});
    let other = json!({"status": {"lastAttemptedRevision": "main@sha1:2"}});
    let unseen = json!({"metadata": {"generation": 3}});
    let failing = json!({"status": {"observedGeneration": 1}});
    for (case, seen, want) in [
        ("it stands", seen(Found::Is(kustomization(json!({})))), Standing::Current),
        (
            "it applies what it had applied",
            says("Unknown", "Progressing", none()),
            Standing::Current,
        ),
        ("it applies something new", says("Unknown", "Progressing", other), Standing::InProgress),
        (
            "nobody has looked at it",
            says("True", "ReconciliationSucceeded", unseen.clone()),
            Standing::InProgress,
        ),
        ("it cannot be applied", says("False", "BuildFailed", failing), Standing::Failed),
        (
            "a failure of the generation before",
            says("False", "BuildFailed", unseen),
            Standing::InProgress,
        ),
        ("it waits for another", says("False", "DependencyNotReady", none()), Standing::InProgress),
    ] {
        assert_eq!(first(&seen).standing, want, "{case}");
    }
    let failed = first(&says("False", "ReconciliationFailed", none()));
    assert_eq!(failed.failed_at, Timestamp::parse("2026-01-02T03:04:05Z"));
    assert_eq!(failed.message, "words");
}

#[test]
fn a_kustomization_that_waits_for_the_rollout_of_the_check_is_not_waited_for() {
    let other = || json!({"status": {"lastAttemptedRevision": "main@sha1:2"}});
    let applies = |message: &str| {
        let ready = json!({"type": "Ready", "status": "Unknown", "reason": "Progressing",
            "message": message, "observedGeneration": 2});
        merged(&other(), &json!({"status": {"conditions": [ready]}}))
    };
    for (case, (reason, status, more), want) in [
        ("it applies", ("Progressing", "Unknown", other()), Standing::InProgress),
        (
            "all is applied",
            ("Progressing", "Unknown", applies("Running health checks for main with 5m")),
            Standing::Current,
        ),
        ("it waited too long", ("HealthCheckFailed", "False", other()), Standing::Current),
        ("it cannot", ("BuildFailed", "False", other()), Standing::Failed),
    ] {
        let mut seen = says(status, reason, more);
        seen.gated = [Key::new("prod", "shop")].into();
        assert_eq!(first(&seen).standing, want, "{case}");
    }
    let mut again = says("Unknown", "Progressing", other());
    again.gated = [Key::new("prod", "shop")].into();
    let known = json!({"status": "Healthy", "kustomization": {
        "generation": 2, "revision": "main@sha1:1"}});
    let check = serde_json::to_value(again.check.as_ref()).unwrap();
    again.check = object(merged(&check, &json!({"status": known})));
    assert_eq!(first(&again).standing, Standing::Current, "it tries what was found healthy");
}

#[test]
fn what_cannot_be_looked_at_is_told() {
    let mut nameless = seen(Found::NotAsked);
    nameless.check = check(json!({"class": "kustomization"}));
    let empty = kustomization(json!({"status": {"inventory": {"entries": []}}}));
    let entry = json!({"id": "prod_shop_apps_Deployment", "v": "v1"});
    let many = vec![entry; ENTRIES_MAX + 1];
    let many = kustomization(json!({"status": {"inventory": {"entries": many}}}));
    for (seen, want) in [
        (nameless, "it names no Kustomization: write spec.kustomizationRef"),
        (seen(Found::Missing), "Kustomization prod/apps does not exist"),
        (seen(Found::KindMissing), "is not installed"),
        (seen(Found::Denied), "--allow-cross-namespace-refs=prod"),
        (seen(Found::Is(empty)), "has applied nothing yet"),
        (seen(Found::Is(many)), "applies 1001 objects, at most 1000"),
    ] {
        let Subject::Nothing(why) = of(&seen).subject else { panic!("{want}") };
        assert!(why.contains(want), "{why}");
    }
}

#[test]
fn an_inventory_names_what_is_looked_at() {
    let names = [
        "prod_shop_apps_Deployment",
        "_widgets.example.com_apiextensions.k8s.io_CustomResourceDefinition",
        "prod_settings__ConfigMap",
        "prod_key__Secret",
        "prod_shop__ServiceAccount",
        "_system__node_rbac.authorization.k8s.io_ClusterRole",
        "prod_shop__Service",
        "nonsense",
    ];
    let entries: Vec<Value> = names.iter().map(|id| json!({"id": id, "v": "v1"})).collect();
    let kustomization = kustomization(json!({"status": {"inventory": {"entries": entries}}}));
    let ids: Vec<String> = ids(&kustomization)
        .iter()
        .map(|id| format!("{} {} {}", id.sort.api_version(), id.sort.kind, id.key))
        .collect();
    assert_eq!(
        ids,
        [
            "apps/v1 Deployment prod/shop",
            "apiextensions.k8s.io/v1 CustomResourceDefinition /widgets.example.com",
            "v1 Service prod/shop",
        ]
    );
    let Subject::Applied { all, .. } = of(&seen(Found::Is(kustomization))).subject else {
        panic!()
    };
    assert_eq!(all[1].name, "nonsense", "what has no name is not taken for healthy");
}

#[test]
fn what_was_found_of_another_revision_is_not_known_of_this_one() {
    let healthy = |generation: i64, revision: &str| {
        let check = json!({
            "apiVersion": "stairlock.dev/v1alpha1", "kind": "HealthCheck",
            "metadata": {"namespace": "prod", "name": "shop"},
            "spec": {"class": "kustomization", "kustomizationRef": {"name": "apps"}},
            "status": {"status": "Healthy", "lastChangeTime": "2026-01-02T03:04:05Z",
                "kustomization": {"generation": generation, "revision": revision}},
        });
        let kustomization = Some(kustomization(json!({})));
        let named = NamedCheck { check: object(check), kustomization, reached: true, looked: true };
        check::all(Some(&[named])).unwrap()[0].health
    };
    assert_eq!(healthy(2, "main@sha1:1"), Health::Healthy);
    assert_eq!(healthy(1, "main@sha1:1"), Health::Pending, "another generation");
    assert_eq!(healthy(2, "main@sha1:0"), Health::Pending, "another revision");
    let external = json!({
        "apiVersion": "stairlock.dev/v1alpha1", "kind": "HealthCheck",
        "metadata": {"namespace": "prod", "name": "shop"}, "spec": {"class": "datadog"},
        "status": {"status": "Healthy", "lastChangeTime": "2026-01-02T03:04:05Z"},
    });
    let mut named =
        NamedCheck { check: object(external), kustomization: None, reached: true, looked: true };
    let read = check::all(Some(&[named.clone()])).unwrap();
    assert_eq!(read[0].health, Health::Healthy, "others are believed");
    named.reached = false;
    let read = check::all(Some(&[named])).unwrap();
    assert_eq!((read[0].health, read[0].reached), (Health::Pending, false));
    assert!(read[0].message.contains("--allow-cross-namespace-refs=prod"), "{}", read[0].message);
}
