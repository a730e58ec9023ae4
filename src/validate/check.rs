//! Check: reads what the selected HealthChecks say. What cannot be read is Pending.

use std::collections::BTreeMap;
use std::sync::Arc;

use kube::ResourceExt;

use crate::api::check::{HealthCheck, HealthState};
use crate::api::foreign::{Kustomization, Namespace};
use crate::api::keys;
use crate::api::kind::Key;
use crate::api::rollout::Rollout;
use crate::model::health::{Check, Health, MESSAGE_MAX};
use crate::model::inspection::AppliedAt;
use crate::model::moment::Timestamp;
use crate::model::moves::Target;
use crate::validate::binding;
use crate::validate::seen::NamedCheck;
use crate::validate::selector::selects;

/// Tells which of these HealthChecks a Rollout selects; `None` where it selects none at all.
/// `namespaces` are asked only where the Rollout selects namespaces.
pub fn selected(
    rollout: &Rollout,
    checks: impl IntoIterator<Item = Arc<HealthCheck>>,
    namespaces: &[Arc<Namespace>],
) -> Option<Vec<Arc<HealthCheck>>> {
    let wanted = rollout.spec.health_check_selector.as_ref()?;
    let known: BTreeMap<String, &Arc<Namespace>> =
        namespaces.iter().map(|namespace| (namespace.name_any(), namespace)).collect();
    let reached = |check: &Arc<HealthCheck>| match &wanted.namespace_selector {
        None => check.metadata.namespace == rollout.metadata.namespace,
        Some(selector) => {
            let namespace = check.metadata.namespace.as_ref().and_then(|name| known.get(name));
            namespace.is_some_and(|one| selects(selector, one.metadata.labels.as_ref()))
        }
    };
    let stands = |check: &Arc<HealthCheck>| check.metadata.deletion_timestamp.is_none();
    let chosen = |check: &Arc<HealthCheck>| {
        stands(check) && reached(check) && selects(&wanted.selector, check.metadata.labels.as_ref())
    };
    Some(checks.into_iter().filter(chosen).collect())
}

/// Tells whether the status of a HealthCheck is ours to write.
pub fn is_ours(check: &HealthCheck) -> bool {
    check.spec.class.as_deref() == Some(keys::CLASS_KUSTOMIZATION)
}

/// Names the Kustomization that a HealthCheck of our class looks at.
pub fn kustomization(check: &HealthCheck) -> Option<Key> {
    if !is_ours(check) {
        return None;
    }
    let Some(named) = &check.spec.kustomization_ref else {
        let named = check.annotations().get(keys::CHECKED_KUBERIK)?;
        return binding::named(named, &check.metadata);
    };
    let own = check.metadata.namespace.as_ref();
    Some(Key::new(named.namespace.as_ref().or(own)?, &named.name))
}

/// Tells how a Kustomization stands.
pub fn applied_at(kustomization: &Kustomization) -> AppliedAt {
    let status = kustomization.status.as_ref();
    let revision = status.and_then(|status| status.last_applied_revision.clone());
    AppliedAt {
        generation: kustomization.metadata.generation.unwrap_or(0),
        revision: revision.unwrap_or_default(),
    }
}

/// Tells how the Kustomization stood that a HealthCheck found healthy.
pub fn healthy_at(check: &HealthCheck) -> Option<AppliedAt> {
    let stood = check.status.as_ref()?.kustomization.as_ref()?;
    Some(AppliedAt { generation: stood.generation, revision: stood.revision.clone() })
}

/// Reads the HealthChecks of a Rollout, each with the Kustomization that it names.
pub fn all(checks: Option<&[NamedCheck]>) -> Option<Vec<Check>> {
    Some(checks?.iter().map(of).collect())
}

/// Reads what a HealthCheck says of its Kustomization as it stands: what was found of another
/// revision is not known of this one. Of one in a namespace that the Rollout may not look into
/// nothing is known.
fn of(NamedCheck { check, kustomization, reached, looked }: &NamedCheck) -> Check {
    let mut read = Check { looked: *looked || !is_ours(check), ..read(check) };
    if !reached {
        let message = format!(
            "the namespace is another than the Rollout's; start the controller with \
             --allow-cross-namespace-refs={} or leave it out of spec.healthCheckSelector",
            read.namespace
        );
        let health = Health::Pending;
        return Check { health, message, changed_at: None, error_at: None, reached: false, ..read };
    }
    let stands = kustomization.as_deref().map(applied_at);
    if is_ours(check) && read.health == Health::Healthy && stands != healthy_at(check) {
        read.health = Health::Pending;
        read.message = "what Flux applied last has not been looked at yet".to_owned();
    }
    read
}

/// Reads a HealthCheck.
pub fn read(check: &HealthCheck) -> Check {
    let status = check.status.clone().unwrap_or_default();
    let time = |text: Option<String>| text.as_deref().and_then(Timestamp::parse);
    let message = status.message.unwrap_or_default();
    Check {
        namespace: check.namespace().unwrap_or_default(),
        name: check.name_any(),
        health: match status.status {
            Some(HealthState::Healthy) => Health::Healthy,
            Some(HealthState::Unhealthy) => Health::Unhealthy,
            Some(HealthState::Pending) | None => Health::Pending,
        },
        message: message.chars().filter(|c| !c.is_control()).take(MESSAGE_MAX).collect(),
        changed_at: time(status.last_change_time),
        error_at: time(status.last_error_time),
        target: Target {
            name: check.name_any(),
            uid: check.uid().unwrap_or_default(),
            resource_version: check.resource_version().unwrap_or_default(),
        },
        reached: true,
        looked: true,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::validate::fixture::{object, rollout};

    fn check(namespace: &str, name: &str, status: Value) -> Arc<HealthCheck> {
        object(json!({
            "apiVersion": "stairlock.dev/v1alpha1", "kind": "HealthCheck",
            "metadata": {"namespace": namespace, "name": name, "labels": {"app": name}},
            "spec": {}, "status": status,
        }))
    }

    #[test]
    fn a_rollout_selects_checks_by_labels_and_namespaces() {
        let all = || {
            ["prod/shop", "prod/till", "dev/shop"].map(|text| {
                let (namespace, name) = text.split_once('/').unwrap();
                check(namespace, name, json!({}))
            })
        };
        let namespaces = ["prod", "dev"]
            .map(|name| object(json!({"metadata": {"name": name, "labels": {"is": name}}})));
        let shop = json!({"matchLabels": {"app": "shop"}});
        let dev = json!({"matchLabels": {"is": "dev"}});
        for (case, selector, want) in [
            ("without a selector none is asked", Value::Null, None),
            ("of its own namespace", json!({"selector": shop}), Some("prod/shop")),
            (
                "an empty one selects all of it",
                json!({"selector": {}}),
                Some("prod/shop prod/till"),
            ),
            (
                "of namespaces with labels",
                json!({"selector": {}, "namespaceSelector": dev}),
                Some("dev/shop"),
            ),
            (
                "of all namespaces",
                json!({"selector": shop, "namespaceSelector": {}}),
                Some("prod/shop dev/shop"),
            ),
        ] {
            let rollout = rollout(json!({"spec": {"healthCheckSelector": selector}}));
            let names = selected(&rollout, all(), &namespaces).map(|all| {
                let full = |check: &Arc<HealthCheck>| {
                    format!("{}/{}", check.namespace().unwrap(), check.name_any())
                };
                all.iter().map(full).collect::<Vec<_>>().join(" ")
            });
            assert_eq!(names.as_deref(), want, "{case}");
        }
    }

    #[test]
    fn what_is_not_said_is_pending() {
        let said = |status: Value| read(&check("prod", "shop", status));
        assert_eq!(said(Value::Null).health, Health::Pending);
        let bad = said(json!({"status": "Unhealthy", "message": "5xx\u{7}",
            "lastErrorTime": "2026-01-02T03:04:05Z", "lastChangeTime": "soon"}));
        assert_eq!((bad.health, bad.message.as_str()), (Health::Unhealthy, "5xx"));
        assert_eq!((bad.error_at.is_some(), bad.changed_at), (true, None));
    }
}
