//! Which fields annotations bind, who has them, and how far their values have come.

use serde_json::{Value, json};

use super::*;
use crate::validate::{fixture, rollout};

/// The Kustomization `prod/apps`, changed by a patch.
fn kustomization(patch: Value) -> Value {
    let base = json!({
        "metadata": {
            "namespace": "prod", "name": "apps", "uid": "k", "resourceVersion": "9",
            "generation": 3,
            "annotations": {"stairlock.dev/substitute.TAG.from": "shop"},
        },
        "spec": {"postBuild": {"substitute": {"TAG": "1.2.3"}}},
        "status": {
            "observedGeneration": 3,
            "conditions": [{"type": "Ready", "status": "True", "observedGeneration": 3}],
        },
    });
    fixture::merged(&base, &patch)
}

fn repository(patch: Value) -> Value {
    let base = json!({
        "metadata": {
            "namespace": "prod", "name": "manifests", "uid": "o", "resourceVersion": "9",
            "generation": 2, "annotations": {"stairlock.dev/rollout": "shop"},
        },
        "spec": {"ref": {"tag": "1.2.3"}},
        "status": {
            "observedGeneration": 2, "artifact": {"revision": "1.2.3@sha256:aa"},
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    });
    fixture::merged(&base, &patch)
}

fn read(change: impl Fn(&mut Seen)) -> Vec<Binding> {
    let mut seen = fixture::seen(fixture::rollout(json!({})));
    change(&mut seen);
    let identity = rollout::identity(&seen.rollout);
    all(&seen, &identity, true)
}

fn one(patch: Value) -> Binding {
    let object = kustomization(patch);
    let mut all = read(|seen| seen.bound.kustomizations = vec![fixture::object(object.clone())]);
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

#[test]
fn an_annotation_binds_one_field() {
    let keys = |patch: Value| {
        let meta = json!({"namespace": "prod", "name": "apps", "annotations": patch});
        let meta: ObjectMeta = serde_json::from_value(meta).unwrap();
        let told = |claim: &Claim| format!("{} {}", claim.variable, claim.rollout);
        variables(&meta).iter().chain(&tags(&meta)).map(told).collect::<Vec<_>>().join(", ")
    };
    for (case, key, value, want) in [
        ("a variable", "stairlock.dev/substitute.TAG.from", "shop", "TAG prod/shop"),
        ("of another namespace", "stairlock.dev/substitute.TAG.from", "a/b", "TAG a/b"),
        ("kuberik's", "rollout.kuberik.com/substitute.TAG.from", "shop", "TAG prod/shop"),
        ("with a dot", "stairlock.dev/substitute.a.b.from", "shop", "a.b prod/shop"),
        ("empty", "stairlock.dev/substitute..from", "shop", " prod/shop"),
        ("without its end", "stairlock.dev/substitute.TAG", "shop", ""),
        ("no name", "stairlock.dev/substitute.TAG.from", "", ""),
        ("no legal name", "stairlock.dev/substitute.TAG.from", "my shop", ""),
        ("a tag", "stairlock.dev/rollout", "shop", " prod/shop"),
        ("another annotation", "stairlock.dev/deliver", "shop", ""),
    ] {
        assert_eq!(keys(json!({key: value})), want, "{case}");
    }
}

#[test]
fn every_variable_of_a_rollout_is_bound_once() {
    let annotations = json!({"metadata": {"annotations": {
        "rollout.kuberik.com/substitute.TAG.from": "shop",
        "stairlock.dev/substitute.ZONE.from": "prod/shop",
        "stairlock.dev/substitute.OTHER.from": "cart",
    }}});
    let object = kustomization(annotations);
    let artifact = repository(json!({}));
    let all = read(|seen| {
        seen.bound.kustomizations = vec![fixture::object(object.clone())];
        seen.bound.repositories = vec![fixture::object(artifact.clone())];
    });
    let told: Vec<String> = all.iter().map(|b| format!("{} by {}", b.field, b.manager)).collect();
    let hash = told[0].rsplit(' ').next().unwrap();
    assert_eq!(hash.len(), "stairlock-".len() + 10, "ten digits of the Rollout's name");
    assert_eq!(
        told,
        [
            format!("OCIRepository prod/manifests by {hash}"),
            format!("Kustomization prod/apps TAG by {hash}-TAG"),
            format!("Kustomization prod/apps ZONE by {hash}-ZONE"),
        ]
    );
}

#[test]
fn trouble_is_told_with_its_object() {
    let annotated = |key: &str, value: &str| json!({"metadata": {"annotations": {key: value}}});
    let gone = json!({"stairlock.dev/substitute.TAG.from": null,
        "stairlock.dev/substitute.1TAG.from": "shop"});
    for (case, patch, want) in [
        ("fine", json!({}), None),
        (
            "a variable that is none",
            json!({"metadata": {"annotations": gone}}),
            Some("InvalidBinding"),
        ),
        (
            "a timing that is none",
            annotated("stairlock.dev/deliver", "later"),
            Some("InvalidBinding"),
        ),
        ("promoted", annotated("stairlock.dev/deliver", "Promoted"), None),
        ("suspended", json!({"spec": {"suspend": true}}), Some("TargetSuspended")),
        (
            "in another namespace",
            json!({"metadata": {"namespace": "flux-system",
                "annotations": {"stairlock.dev/substitute.TAG.from": "prod/shop"}}}),
            Some("AccessDenied"),
        ),
    ] {
        let binding = one(patch);
        assert_eq!(binding.trouble.as_ref().map(Trouble::code), want, "{case}");
    }
    assert!(one(annotated("stairlock.dev/deliver", "Promoted")).promoted);
    for (case, patch, want) in [
        ("fine", json!({}), None),
        ("a range", json!({"spec": {"ref": {"semver": ">=1"}}}), Some("RefPrecedence")),
        ("a digest", json!({"spec": {"ref": {"digest": "sha256:a"}}}), Some("RefPrecedence")),
        ("an empty range", json!({"spec": {"ref": {"semver": ""}}}), None),
    ] {
        let object = repository(patch);
        let all = read(|seen| seen.bound.repositories = vec![fixture::object(object.clone())]);
        assert_eq!(all[0].trouble.as_ref().map(Trouble::code), want, "{case}");
    }
}

#[test]
fn of_two_that_are_bound_to_one_field_the_older_has_it() {
    let both = json!({"metadata": {"annotations": {
        "rollout.kuberik.com/substitute.TAG.from": "cart"}}});
    for (case, created, want) in [
        ("the other is older", "2026-01-01T00:00:00Z", Some("DuplicateBinding")),
        ("the other is younger", "2026-01-03T00:00:00Z", None),
    ] {
        let object = kustomization(both.clone());
        let all = read(|seen| {
            seen.bound.kustomizations = vec![fixture::object(object.clone())];
            seen.bound.rivals = vec![fixture::rollout(
                json!({"metadata": {"name": "cart", "uid": "u2", "creationTimestamp": created}}),
            )];
        });
        assert_eq!(all[0].trouble.as_ref().map(Trouble::code), want, "{case}");
    }
    let alias = json!({"metadata": {"annotations": {
        "stairlock.dev/substitute.TAG.from": null,
        "rollout.kuberik.com/substitute.TAG.from": "shop"}}});
    let duplicate = Some("DuplicateBinding");
    for (case, annotations, living, want) in [
        ("kuberik's lives", &alias, "shop", duplicate),
        ("it does not", &alias, "till", None),
        ("kuberik's of another name lives", &both, "cart", duplicate),
        ("one that is named nowhere", &both, "till", None),
    ] {
        let object = kustomization(annotations.clone());
        let all = read(|seen| {
            seen.bound.kustomizations = vec![fixture::object(object.clone())];
            seen.bound.kuberik = [Key::new("prod", living)].into();
        });
        assert_eq!(all[0].trouble.as_ref().map(Trouble::code), want, "{case}");
    }
}

#[test]
fn who_has_a_field_is_read_of_its_managers() {
    let entry = |manager: &str| {
        let fields = json!({"f:spec": {"f:postBuild": {"f:substitute": {"f:TAG": {}}}}});
        json!({"manager": manager, "operation": "Apply", "fieldsType": "FieldsV1",
            "fieldsV1": fields})
    };
    let own = one(json!({})).manager;
    let cart = format!("stairlock-{}-TAG", hash(&Key::new("prod", "cart")));
    let (flux, kuberik) = ("kustomize-controller", "rollout-controller");
    for (case, managers, told, want) in [
        ("nobody", vec![], false, (false, false, None, None)),
        ("the Rollout", vec![own.as_str()], false, (true, false, None, None)),
        ("a person", vec!["kubectl-edit"], false, (false, true, None, Some("kubectl-edit"))),
        ("kuberik before", vec![kuberik], false, (false, true, None, Some(kuberik))),
        ("another one", vec!["rival"], false, (false, false, Some("rival"), None)),
        ("Flux", vec![flux], false, (false, false, Some(flux), None)),
        ("Flux, which is told to leave it", vec![flux], true, (false, true, None, Some(flux))),
        (
            "another one beside a person",
            vec!["kubectl", "rival"],
            false,
            (false, false, Some("rival"), None),
        ),
        ("another Rollout before", vec![cart.as_str()], false, (false, true, None, None)),
        ("and a person", vec!["kubectl", &cart], false, (false, true, None, Some("kubectl"))),
    ] {
        let entries: Vec<Value> = managers.into_iter().map(entry).collect();
        let mut patch = json!({"metadata": {"managedFields": entries}});
        if told {
            patch["metadata"]["labels"] = fixture::flux_labels();
            patch["metadata"]["annotations"] =
                json!({"kustomize.toolkit.fluxcd.io/ssa": "IfNotPresent"});
        }
        let binding = one(patch);
        let (rival, setter) = (binding.rival.as_deref(), binding.setter.as_deref());
        let got = (binding.ours, binding.yields, rival, setter);
        assert_eq!(got, want, "{case}");
    }
}

#[test]
fn a_rollout_takes_over_what_another_one_has_no_more() {
    let before = |rollout: &str| format!("stairlock-{}-TAG", hash(&Key::new("prod", rollout)));
    let cart = before("cart");
    let elsewhere = "stairlock-controller-TAG".to_owned();
    let (older, younger) = (Some("2026-01-01T00:00:00Z"), Some("2026-01-03T00:00:00Z"));
    for (case, manager, named, lives, known, want) in [
        ("it is not named any more", &cart, "", None, true, true),
        ("another one is named in its place", &cart, "till", older, true, true),
        ("it is gone", &cart, "cart", None, true, true),
        ("who knows whether it is gone", &cart, "cart", None, false, false),
        ("it is younger", &cart, "cart", younger, true, true),
        ("it is older", &cart, "cart", older, true, false),
        ("no Rollout is called so", &elsewhere, "", None, true, false),
    ] {
        let fields = json!({"f:spec": {"f:postBuild": {"f:substitute": {"f:TAG": {}}}}});
        let entry = json!({"manager": manager, "operation": "Apply", "fieldsType": "FieldsV1",
            "fieldsV1": fields});
        let also = json!({"rollout.kuberik.com/substitute.TAG.from": named});
        let object = kustomization(json!({"metadata": {"managedFields": [entry],
            "annotations": if named.is_empty() { json!({}) } else { also }}}));
        let all = read(|seen| {
            seen.bound.kustomizations = vec![fixture::object(object.clone())];
            let other = |created: &str| {
                json!({"metadata": {"name": named, "uid": "u2",
                "creationTimestamp": created}})
            };
            seen.bound.rivals = lives.iter().map(|at| fixture::rollout(other(at))).collect();
            if known && lives.is_none() {
                seen.bound.gone = [Key::new("prod", named)].into();
            }
        });
        assert_eq!((all[0].yields, all[0].rival.is_none()), (want, want), "{case}");
    }
}

#[test]
fn a_map_without_keys_is_not_the_variable() {
    let empty = json!({"f:spec": {"f:postBuild": {"f:substitute": {}}}});
    let entry = json!({"manager": "kustomize-controller", "operation": "Apply",
        "fieldsType": "FieldsV1", "fieldsV1": empty});
    let binding = one(json!({"metadata": {"managedFields": [entry]}}));
    assert_eq!((binding.ours, binding.yields, binding.rival), (false, false, None));
}

#[test]
fn a_kustomization_has_applied_what_it_says_of_its_generation() {
    let ready = |status: &str, reason: &str, generation: i64| {
        json!({"status": {"conditions": [{"type": "Ready", "status": status, "reason": reason,
            "message": "words", "observedGeneration": generation}]}})
    };
    let stale = json!({"status": {"observedGeneration": 2}});
    for (case, patch, want) in [
        ("it is Ready", json!({}), "done"),
        ("of an older generation", stale.clone(), "pending"),
        ("it goes on", ready("Unknown", "Progressing", 3), "pending"),
        ("it waits for another", ready("False", "DependencyNotReady", 3), "pending"),
        ("its source is not there", ready("False", "ArtifactFailed", 3), "pending"),
        ("it cannot be built", ready("False", "BuildFailed", 3), "failed"),
        ("it is refused", ready("False", "ReconciliationFailed", 3), "failed"),
        ("it is not healthy", ready("False", "HealthCheckFailed", 3), "failed"),
        ("an older one was refused", ready("False", "ReconciliationFailed", 2), "pending"),
        ("it has no status", json!({"status": null}), "pending"),
    ] {
        let word = match one(patch).applied {
            Applied::Done => "done",
            Applied::Pending(_) => "pending",
            Applied::Failed { .. } => "failed",
        };
        assert_eq!(word, want, "{case}");
    }
}

#[test]
fn a_tag_is_applied_once_it_is_fetched_and_all_have_applied_it() {
    let applier = |revision: &str, reason: &str| {
        kustomization(json!({
            "metadata": {"annotations": null},
            "spec": {"sourceRef": {"kind": "OCIRepository", "name": "manifests"}},
            "status": {"lastAppliedRevision": revision, "lastAttemptedRevision": "1.2.3@sha256:aa",
                "conditions": [{"type": "Ready", "reason": reason, "observedGeneration": 3,
                    "status": if reason.is_empty() { "True" } else { "False" }}]},
        }))
    };
    let old = json!({"status": {"artifact": {"revision": "1.2.2@sha256:bb"}}});
    for (case, patch, appliers, want) in [
        ("fetched, and nobody applies it", json!({}), vec![], "done"),
        ("not fetched", old, vec![], "pending"),
        ("applied", json!({}), vec![applier("1.2.3@sha256:aa", "")], "done"),
        ("an older one is applied", json!({}), vec![applier("1.2.2@sha256:bb", "")], "pending"),
        (
            "one of two cannot",
            json!({}),
            vec![
                applier("1.2.3@sha256:aa", ""),
                applier("1.2.2@sha256:bb", "ReconciliationFailed"),
            ],
            "failed",
        ),
    ] {
        let object = repository(patch);
        let all = read(|seen| {
            seen.bound.repositories = vec![fixture::object(object.clone())];
            seen.bound.appliers = appliers.iter().cloned().map(fixture::object).collect();
        });
        let word = match all[0].applied {
            Applied::Done => "done",
            Applied::Pending(_) => "pending",
            Applied::Failed { .. } => "failed",
        };
        assert_eq!(word, want, "{case}");
    }
}
