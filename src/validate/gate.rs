//! Gate: reads what gates ask for. What cannot be read lets nothing through.

use std::sync::Arc;

use kube::ResourceExt;

use crate::api::gate::{DependsOn, RolloutGate};
use crate::api::keys;
use crate::api::rollout::Rollout;
use crate::model::gate::{Asks, Gate};
use crate::model::moment::{Duration, Timestamp};
use crate::model::snapshot::Identity;
use crate::validate::artifact;
use crate::validate::excerpt::excerpt;
use crate::validate::seen::{Found, Source};
use crate::validate::selector::selects;
use crate::validate::status;

/// The condition by which an OCIRepository tells that its signature was verified.
const SOURCE_VERIFIED: &str = "SourceVerified";

/// Tells whether a gate is for a Rollout.
pub fn is_for(gate: &RolloutGate, rollout: &Rollout) -> bool {
    let name = rollout.metadata.name.as_deref();
    let named = gate.spec.rollout_ref.as_ref().is_some_and(|one| Some(one.name.as_str()) == name);
    let labels = rollout.metadata.labels.as_ref();
    let selected = gate.spec.rollout_selector.as_ref().is_some_and(|all| selects(all, labels));
    gate.metadata.namespace == rollout.metadata.namespace && (named || selected)
}

/// Reads the gates of a Rollout. One that is being deleted asks for nothing any more.
pub fn of_rollout(
    gates: &[(Arc<RolloutGate>, Option<Found<Rollout>>)],
    rollout: &Identity,
    source: &Source,
) -> Vec<Gate> {
    let stands = |(gate, _): &&(Arc<RolloutGate>, _)| gate.metadata.deletion_timestamp.is_none();
    let read = |(gate, other): &(Arc<RolloutGate>, Option<Found<Rollout>>)| Gate {
        name: gate.name_any(),
        asks: asks(gate, other.as_ref(), rollout, source),
    };
    gates.iter().filter(stands).map(read).collect()
}

fn asks(
    gate: &RolloutGate,
    other: Option<&Found<Rollout>>,
    waits: &Identity,
    source: &Source,
) -> Asks {
    let spec = &gate.spec;
    let passing = spec.passing.is_some() || spec.allowed_versions.is_some();
    if spec.verified.is_some() {
        return match (passing, &spec.approval, &spec.depends_on) {
            (false, None, None) => Asks::Signature { verified: verified(source) },
            (_, _, _) => Asks::Unusable("it asks for more than one thing".to_owned()),
        };
    }
    match (passing, &spec.approval, &spec.depends_on) {
        (_, None, None) => Asks::Passing {
            passing: spec.passing.unwrap_or(true),
            allowed: spec.allowed_versions.as_ref().map(|all| all.iter().cloned().collect()),
            turns_at: turns_at(gate),
        },
        (false, Some(_), None) => Asks::Approval { approved: annotation(gate, keys::APPROVE) },
        (false, None, Some(depends)) => depends_on(gate, depends, other, waits),
        (_, _, _) => Asks::Unusable("it asks for more than one thing".to_owned()),
    }
}

/// When the schedule of a gate turns it.
pub fn turns_at(gate: &RolloutGate) -> Option<Timestamp> {
    let key = keys::turns_at(gate.spec.passing.unwrap_or(true));
    Timestamp::parse(&annotation(gate, key)?)
}

/// The tag of the revision whose signature Flux verified. It stores no artifact that it could not
/// verify, so that the condition speaks of the artifact that is there.
fn verified(source: &Source) -> Result<String, String> {
    let repository = match source {
        Source::Artifact(Found::Is(repository)) => repository,
        Source::Artifact(Found::NotAsked | Found::Denied | Found::KindMissing | Found::Missing) => {
            return Err("there is no source whose signature could be verified".to_owned());
        }
        Source::Policy(_) | Source::Kustomization(_) | Source::None => {
            return Err("only the signature of an OCIRepository is verified, and the source is \
                none: name one in spec.sourceRef of the Rollout"
                .to_owned());
        }
    };
    let name = format!("OCIRepository {}", repository.name_any());
    let status = repository.status.as_ref();
    let conditions = status.and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    let condition = conditions.iter().find(|one| one.kind == SOURCE_VERIFIED).ok_or_else(|| {
        format!(
            "{name} verifies no signature: it has no condition {SOURCE_VERIFIED}, write its \
            spec.verify"
        )
    })?;
    if condition.status != "True" {
        let why = excerpt(&condition.message);
        return Err(format!("Flux could not verify the signature of {name}: {why}"));
    }
    if condition.observed_generation != repository.metadata.generation {
        return Err(format!("Flux has not verified {name} at its present generation yet"));
    }
    let artifact = status.and_then(|status| status.artifact.as_ref());
    artifact.and_then(artifact::tag).ok_or_else(|| format!("{name} has fetched no tag yet"))
}

fn annotation(gate: &RolloutGate, key: &str) -> Option<String> {
    let text = gate.annotations().get(key)?.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

fn depends_on(
    gate: &RolloutGate,
    depends: &DependsOn,
    other: Option<&Found<Rollout>>,
    waits: &Identity,
) -> Asks {
    let lasting = match depends.lasting.as_deref().map(Duration::parse) {
        None => Duration::ZERO,
        Some(Ok(lasting)) => lasting,
        Some(Err(fault)) => return Asks::Unusable(format!("dependsOn.for: {fault}")),
    };
    let own = gate.namespace().unwrap_or_default();
    let namespace = depends.rollout.namespace.clone().unwrap_or(own);
    let rollout = format!("{namespace}/{}", depends.rollout.name);
    if namespace == waits.namespace && depends.rollout.name == waits.name {
        return Asks::Unusable(format!(
            "dependsOn.rollout: {rollout} cannot wait for itself; name another Rollout, or have \
             rolloutRef or rolloutSelector leave this one out"
        ));
    }
    let runs = match other {
        Some(Found::Is(other)) => status::parse(other.status.as_ref())
            .ran()
            .ok_or_else(|| format!("{rollout} has brought nothing to a good end yet")),
        Some(Found::Denied) => Err(format!(
            "{rollout} is in another namespace; start the controller with \
             --allow-cross-namespace-refs={namespace} or choose one of this namespace"
        )),
        None | Some(Found::NotAsked | Found::KindMissing | Found::Missing) => {
            Err(format!("{rollout} does not exist, or its namespace is not watched"))
        }
    };
    Asks::Other { rollout, lasting, runs }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::validate::fixture::{merged, object, rollout};
    use crate::validate::rollout::identity;

    /// What a gate asks of the Rollout prod/shop.
    fn asks_of(spec: &Value, other: Option<Found<Rollout>>, source: &Source) -> Asks {
        let base = json!({
            "apiVersion": "stairlock.dev/v1alpha1", "kind": "RolloutGate",
            "metadata": {"namespace": "prod", "name": "signed"},
            "spec": {"rolloutRef": {"name": "shop"}},
        });
        let gate = object(merged(&base, &json!({"spec": spec})));
        of_rollout(&[(gate, other)], &identity(&rollout(json!({}))), source).remove(0).asks
    }

    fn asked(source: &Source) -> Result<String, String> {
        match asks_of(&json!({"verified": true}), None, source) {
            Asks::Signature { verified } => verified,
            other @ (Asks::Passing { .. }
            | Asks::Approval { .. }
            | Asks::Other { .. }
            | Asks::Unusable(_)) => panic!("{other:?}"),
        }
    }

    fn artifact(patch: Value) -> Source {
        let base = json!({
            "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "OCIRepository",
            "metadata": {"namespace": "prod", "name": "apps", "generation": 2}, "spec": {},
            "status": {
                "artifact": {"revision": "1.2.0@sha256:aa"},
                "conditions": [{"type": "SourceVerified", "status": "True",
                    "observedGeneration": 2, "message": "verified signature"}],
            },
        });
        Source::Artifact(Found::Is(object(merged(&base, &patch))))
    }

    #[test]
    fn a_signature_is_that_of_the_revision_that_flux_fetched() {
        let failed = json!([{"type": "SourceVerified", "status": "False",
            "observedGeneration": 2, "message": "no matching signatures"}]);
        let none = json!({"status": {"conditions": []}});
        let bare = json!({"status": {"artifact": {"revision": "sha256:aa",
            "metadata": {"org.opencontainers.image.version": "1.3.0"}}}});
        for (case, source, want) in [
            ("verified", artifact(json!({})), "1.2.0"),
            ("the version is in an annotation", artifact(bare), "1.3.0"),
            (
                "refused",
                artifact(json!({"status": {"conditions": failed}})),
                "could not verify the signature of OCIRepository apps: no matching signatures",
            ),
            ("nobody asks for one", artifact(none), "write its spec.verify"),
            (
                "of the generation before",
                artifact(json!({"metadata": {"generation": 3}})),
                "has not verified OCIRepository apps at its present generation",
            ),
            ("nothing fetched", artifact(json!({"status": {"artifact": null}})), "no tag yet"),
            ("no such source", Source::Artifact(Found::Missing), "no source whose signature"),
            ("an ImagePolicy", Source::Policy(Found::Missing), "only the signature of an OCIRepo"),
            ("no source", Source::None, "only the signature of an OCIRepository"),
        ] {
            let told = asked(&source).unwrap_or_else(|why| why);
            assert!(told.contains(want), "{case}: {told}");
        }
    }

    #[test]
    fn a_gate_asks_for_one_thing() {
        let asks = asks_of(&json!({"verified": true, "passing": true}), None, &Source::None);
        assert!(matches!(asks, Asks::Unusable(_)), "{asks:?}");
    }

    #[test]
    fn a_rollout_waits_for_another_one_and_never_for_itself() {
        let there = || Some(Found::Is(rollout(json!({}))));
        let itself = "dependsOn.rollout: prod/shop cannot wait for itself; name another Rollout";
        let nothing = "has brought nothing to a good end yet";
        for (case, named, other, want) in [
            ("itself", json!({"name": "shop"}), there(), itself),
            ("with its namespace", json!({"name": "shop", "namespace": "prod"}), there(), itself),
            ("its name elsewhere", json!({"name": "shop", "namespace": "qa"}), there(), nothing),
            ("another one", json!({"name": "till"}), there(), nothing),
            ("none", json!({"name": "till"}), Some(Found::Missing), "prod/till does not exist"),
            (
                "one out of reach",
                json!({"name": "shop", "namespace": "qa"}),
                Some(Found::Denied),
                "--allow-cross-namespace-refs=qa",
            ),
        ] {
            let told =
                match asks_of(&json!({"dependsOn": {"rollout": named}}), other, &Source::None) {
                    Asks::Unusable(why) | Asks::Other { runs: Err(why), .. } => why,
                    asks @ (Asks::Passing { .. }
                    | Asks::Approval { .. }
                    | Asks::Other { .. }
                    | Asks::Signature { .. }) => panic!("{case}: {asks:?}"),
                };
            assert!(told.contains(want), "{case}: {told}");
        }
    }
}
