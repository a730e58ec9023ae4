//! Rollout: reads identity and spec. The API server refuses nearly all that is refused here; an
//! older CRD, or an object that is stored already, may let it through.

use std::collections::{BTreeMap, BTreeSet};

use kube::ResourceExt;
use serde_json::Value;

use crate::api::keys;
use crate::api::rollout::{OnFailure, ReadyWhen, Rollout, RolloutSpec, SourceKind as Wire};
use crate::model::image::Image;
use crate::model::moment::{Duration, Timestamp};
use crate::model::problem::Problem;
use crate::model::range::Range;
use crate::model::snapshot::Identity;
use crate::model::spec::{self, SourceKind, SourceRef, Spec};
use crate::validate::registry;
use crate::validate::strategy::{self, bounded};

/// Longest name: a label value of 63 characters, less a dash and the ten digits of a revision.
const NAME_MAX: usize = 52;
/// Most pods of a side, as in the CRD.
const REPLICAS_MAX: u32 = 100_000;
/// Most labels of a selector, as in the CRD.
const LABELS_MAX: usize = 32;

/// Reads what tells a Rollout from others.
pub fn identity(rollout: &Rollout) -> Identity {
    let meta = &rollout.metadata;
    let deleting = meta.deletion_timestamp.as_ref();
    Identity {
        group: keys::GROUP,
        namespace: rollout.namespace().unwrap_or_default(),
        name: rollout.name_any(),
        uid: rollout.uid().unwrap_or_default(),
        resource_version: rollout.resource_version().unwrap_or_default(),
        generation: meta.generation.unwrap_or(0),
        deleting: deleting.map(|time| Timestamp::from_millis(time.0.as_millisecond())),
        finalizer: rollout.finalizers().iter().any(|name| name == keys::FINALIZER),
    }
}

/// Reads what a Rollout asks for.
///
/// # Errors
/// The first [`Problem`], with the path of its field.
pub fn spec(rollout: &Rollout) -> Result<Spec, Problem> {
    if rollout.name_any().len() > NAME_MAX {
        let why = format!("may have at most {NAME_MAX} characters");
        return Err(Problem::new("metadata.name", why));
    }
    let wire = &rollout.spec;
    let selector = wire.selector.match_labels.clone();
    let workload = workload(rollout)?;
    if workload {
        template(&wire.template)?;
        labels(&wire.template, &selector)?;
    }
    let deadline =
        bounded("spec.progressDeadlineSeconds", wire.progress_deadline_seconds, 1, 86_400)?;
    let revisions = bounded("spec.revisionHistoryLimit", wire.revision_history_limit, 0, 100)?;
    let history = bounded("spec.versionHistoryLimit", wire.version_history_limit, 1, 100)?;
    Ok(Spec {
        replicas: if workload {
            bounded("spec.replicas", wire.replicas, 0, REPLICAS_MAX)?
        } else {
            1 // Whatever it says: there are no pods.
        },
        selector,
        min_ready_secs: bounded("spec.minReadySeconds", wire.min_ready_seconds, 0, 3600)?,
        deadline: Duration::from_secs(u64::from(deadline)),
        revisions_max: usize::try_from(revisions).unwrap_or(usize::MAX),
        history_max: usize::try_from(history).unwrap_or(usize::MAX),
        paused: wire.paused,
        source: source(rollout)?,
        registry: registry::read(wire)?,
        wanted_version: wanted(wire)?,
        require_digest: digests(wire)?,
        range: range(wire.semver.as_deref())?,
        release_interval: interval(wire.release_update_interval.as_deref())?,
        container: container(wire.container.as_deref())?,
        workload,
        bake_time: span("spec.bakeTime", wire.bake_time.as_deref())?,
        deploy_timeout: span("spec.deployTimeout", wire.deploy_timeout.as_deref())?,
        on_failure: match wire.on_failure {
            OnFailure::Rollback => spec::OnFailure::Rollback,
            OnFailure::Hold => spec::OnFailure::Hold,
        },
        ready_when_completed: wire.ready_when == ReadyWhen::Completed,
        ladder: if workload {
            strategy::ladder(&wire.strategy, rollout.metadata.name.as_deref().unwrap_or_default())?
        } else {
            strategy::nothing()
        },
    })
}

/// Tells whether it has pods of its own: template, selector and strategy come together.
fn workload(rollout: &Rollout) -> Result<bool, Problem> {
    let wire = &rollout.spec;
    let parts = [
        ("spec.template", !wire.template.is_null()),
        ("spec.selector", !wire.selector.match_labels.is_empty()),
        ("spec.strategy", !wire.strategy.is_none()),
    ];
    let there = parts.iter().filter(|(_, there)| *there).count();
    match parts.iter().find(|(_, there)| !there) {
        _ if there == 0 && wire.source_ref.is_none() && wire.registry.is_none() => {
            let why = "is missing, and so are spec.registry and spec.template; write one of them";
            Err(Problem::new("spec.sourceRef", why))
        }
        Some((field, _)) if there > 0 => {
            let why = "is missing; template, selector and strategy are written together or not";
            Err(Problem::new(*field, why))
        }
        _ => Ok(there > 0),
    }
}

fn span(field: &str, text: Option<&str>) -> Result<Option<Duration>, Problem> {
    let length = |text| strategy::length(field.to_owned(), text, "for none");
    text.map(length).transpose()
}

fn source(rollout: &Rollout) -> Result<Option<SourceRef>, Problem> {
    let Some(source) = &rollout.spec.source_ref else { return Ok(None) };
    let own = rollout.namespace().unwrap_or_default();
    let namespace = source.namespace.clone().unwrap_or(own);
    for (field, text) in [("namespace", &namespace), ("name", &source.name)] {
        if text.is_empty() {
            return Err(Problem::new(format!("spec.sourceRef.{field}"), "is empty"));
        }
    }
    if source.substitute.is_some() && source.kind != Wire::Kustomization {
        let why = "names a variable of a Kustomization; remove it, or set kind to Kustomization";
        return Err(Problem::new("spec.sourceRef.substitute", why));
    }
    if source.image.is_some() && source.kind == Wire::ImagePolicy {
        let why = "is for sources that tell no image; remove it, the ImagePolicy tells its own";
        return Err(Problem::new("spec.sourceRef.image", why));
    }
    if let Some(image) = &source.image {
        let plain = Image::parse(image).is_ok_and(|i| i.tag.is_none() && i.digest.is_none());
        if !plain {
            let why = "is no repository (registry and path, without tag and digest)";
            return Err(Problem::new("spec.sourceRef.image", why));
        }
    }
    let kind = match source.kind {
        Wire::ImagePolicy => SourceKind::ImagePolicy,
        Wire::OCIRepository => SourceKind::OciRepository,
        Wire::Kustomization => SourceKind::Kustomization,
    };
    let (substitute, image) = (source.substitute.clone(), source.image.clone());
    Ok(Some(SourceRef { kind, namespace, name: source.name.clone(), substitute, image }))
}

fn wanted(wire: &RolloutSpec) -> Result<Option<String>, Problem> {
    let fault = |why: &str| Err(Problem::new("spec.wantedVersion", why));
    match &wire.wanted_version {
        Some(_) if wire.source_ref.is_none() && wire.registry.is_none() => {
            fault("needs a source: set spec.sourceRef or spec.registry")
        }
        Some(version) if version.is_empty() => fault("is empty; name a version or leave it out"),
        wanted => Ok(wanted.clone()),
    }
}

fn digests(wire: &RolloutSpec) -> Result<bool, Problem> {
    let told = wire.source_ref.is_some() || wire.registry.is_some();
    if wire.require_digest && (wire.template.is_null() || !told) {
        let why = "writes the digest of a release into spec.template; set spec.template, and \
                   spec.sourceRef or spec.registry, or remove it";
        return Err(Problem::new("spec.requireDigest", why));
    }
    Ok(wire.require_digest)
}

fn range(text: Option<&str>) -> Result<Option<Range>, Problem> {
    let range = text.map(Range::parse).transpose();
    range.map_err(|fault| Problem::new("spec.semver", fault))
}

fn interval(text: Option<&str>) -> Result<Option<Duration>, Problem> {
    let field = "spec.releaseUpdateInterval";
    let interval = text.map(Duration::parse).transpose();
    let interval = interval.map_err(|fault| Problem::new(field, fault))?;
    if interval == Some(Duration::ZERO) {
        return Err(Problem::new(field, "has to be longer than 0; leave it out for none"));
    }
    Ok(interval)
}

fn container(name: Option<&str>) -> Result<Option<String>, Problem> {
    match name {
        Some("") => {
            Err(Problem::new("spec.container", "is empty; name a container or leave it out"))
        }
        Some(name) => Ok(Some(name.to_owned())),
        None => Ok(None),
    }
}

/// The template has containers, each with a name of its own.
fn template(template: &Value) -> Result<(), Problem> {
    let field = |list| format!("spec.template.spec.{list}");
    let pod = template.get("spec");
    let mut names = BTreeSet::new();
    for list in ["containers", "initContainers"] {
        let items = pod.and_then(|pod| pod.get(list)).and_then(Value::as_array);
        for (index, item) in items.into_iter().flatten().enumerate() {
            let name = item.get("name").and_then(Value::as_str).unwrap_or_default();
            if name.is_empty() || !names.insert(name) {
                let why =
                    if name.is_empty() { "is missing" } else { "is the name of two containers" };
                return Err(Problem::new(format!("{}[{index}].name", field(list)), why));
            }
        }
        if list == "containers" && items.is_none_or(|items| items.is_empty()) {
            return Err(Problem::new(field(list), "has to hold at least one container"));
        }
    }
    Ok(())
}

/// The pods carry the labels that select them, and none of ours.
fn labels(template: &Value, selector: &BTreeMap<String, String>) -> Result<(), Problem> {
    let field = "spec.selector.matchLabels";
    if selector.is_empty() || selector.len() > LABELS_MAX {
        return Err(Problem::new(field, format!("has to hold 1 to {LABELS_MAX} labels")));
    }
    let labels = template.get("metadata").and_then(|meta| meta.get("labels"));
    let labels = labels.and_then(Value::as_object);
    let ours = |key: &&String| key.strip_prefix(keys::GROUP).is_some_and(|k| k.starts_with('/'));
    if let Some(key) = labels.and_then(|labels| labels.keys().find(ours)) {
        let why = format!("{key} is set by Stairlock; remove it");
        return Err(Problem::new("spec.template.metadata.labels", why));
    }
    let carried = |key: &str| labels.and_then(|labels| labels.get(key)).and_then(Value::as_str);
    match selector.iter().find(|(key, value)| carried(key) != Some(value.as_str())) {
        Some((key, value)) => Err(Problem::new(
            field,
            format!(
                "the pods do not carry {key}: {value}; add it to spec.template.metadata.labels"
            ),
        )),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::validate::fixture;

    fn fault(patch: Value) -> Problem {
        let rollout = fixture::rollout(patch.clone());
        let spec = spec(&rollout);
        spec.err().unwrap_or_else(|| panic!("{patch} is legal"))
    }

    #[test]
    fn a_problem_names_its_field_and_what_is_allowed() {
        let spec = |patch: Value| json!({"spec": patch});
        let pod = |patch: Value| json!({"spec": {"template": {"spec": patch}}});
        let app = json!({"name": "app"});
        let labels = "spec.selector.matchLabels";
        let own = json!({"template": {"metadata": {"labels": {"stairlock.dev/rollout": "x"}}}});
        for (patch, field, why) in [
            (json!({"metadata": {"name": "s".repeat(53)}}), "metadata.name", "at most 52"),
            (spec(json!({"replicas": -1})), "spec.replicas", "is -1, has to be 0 to 100000"),
            (spec(json!({"minReadySeconds": 4000})), "spec.minReadySeconds", "0 to 3600"),
            (spec(json!({"progressDeadlineSeconds": 0})), "spec.progressDeadlineSeconds", "1 to"),
            (spec(json!({"revisionHistoryLimit": 101})), "spec.revisionHistoryLimit", "0 to 100"),
            (spec(json!({"versionHistoryLimit": 0})), "spec.versionHistoryLimit", "1 to 100"),
            (spec(json!({"semver": ">="})), "spec.semver", "allowed: "),
            (spec(json!({"container": ""})), "spec.container", "is empty"),
            (
                spec(json!({"sourceRef": {"kind": "ImagePolicy", "name": ""}})),
                "spec.sourceRef.name",
                "is empty",
            ),
            (spec(json!({"selector": null})), "spec.selector", "written together"),
            (spec(json!({"template": null})), "spec.template", "written together"),
            (
                spec(json!({"template": null, "selector": null, "strategy": null})),
                "spec.sourceRef",
                "is missing, and so are spec.registry and spec.template",
            ),
            (spec(json!({"bakeTime": "5"})), "spec.bakeTime", "unit"),
            (spec(json!({"bakeTime": "0s"})), "spec.bakeTime", "longer than 0"),
            (spec(json!({"deployTimeout": "5M"})), "spec.deployTimeout", "unit"),
            (
                spec(json!({"sourceRef": {"kind": "OCIRepository", "name": "a", "image": "a:1"}})),
                "spec.sourceRef.image",
                "is no repository",
            ),
            (
                spec(json!({"selector": {"matchLabels": {"app": "cart"}}})),
                labels,
                "the pods do not carry app: cart; add it to spec.template.metadata.labels",
            ),
            (spec(json!({"template": {"metadata": null}})), labels, "do not carry app: shop"),
            (
                spec(own),
                "spec.template.metadata.labels",
                "stairlock.dev/rollout is set by Stairlock",
            ),
            (pod(json!({"containers": []})), "spec.template.spec.containers", "at least one"),
            (spec(json!({"template": 5})), "spec.template.spec.containers", "at least one"),
            (pod(json!({"containers": [{}]})), "spec.template.spec.containers[0].name", "missing"),
            (
                pod(json!({"containers": [app, app]})),
                "spec.template.spec.containers[1].name",
                "two containers",
            ),
            (
                pod(json!({"initContainers": [app]})),
                "spec.template.spec.initContainers[0].name",
                "two containers",
            ),
        ] {
            let problem = fault(patch);
            assert_eq!(problem.field, field);
            assert!(problem.why.contains(why), "{problem}");
        }
    }

    #[test]
    fn a_legal_spec_is_taken_over() {
        let patch = json!({"spec": {
            "sourceRef": {"kind": "ImagePolicy", "name": "shop"}, "container": "app",
            "semver": "^1", "paused": true, "minReadySeconds": 7}});
        let spec = spec(&fixture::rollout(patch)).unwrap();
        let source = SourceRef {
            kind: SourceKind::ImagePolicy,
            namespace: "prod".into(),
            name: "shop".into(),
            substitute: None,
            image: None,
        };
        assert_eq!(spec.source, Some(source), "the namespace defaults to the Rollout's");
        assert_eq!((spec.replicas, spec.min_ready_secs, spec.paused), (5, 7, true));
        assert_eq!((spec.revisions_max, spec.history_max), (10, 10));
        assert_eq!(spec.deadline, Duration::from_secs(600));
        assert_eq!(spec.range.map(|range| range.to_string()).as_deref(), Some("^1"));
        assert_eq!(spec.container.as_deref(), Some("app"));
    }
}
