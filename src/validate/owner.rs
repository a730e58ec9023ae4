//! Owner: tells whether a Flux Kustomization would put a field back. It never tells what to do.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt;
use regex::RegexBuilder;
use serde_json::Value;

use crate::api::foreign::{IgnoreRule, IgnoreTarget, Kustomization};
use crate::api::keys;

/// The most memory that one compiled expression of a target may take: they come from users.
const PATTERN_BYTES_MAX: usize = 1 << 20;

/// An object as a Kustomization sees it.
pub struct Object<'a> {
    /// Its API group.
    pub group: &'a str,
    /// Its API version.
    pub version: &'a str,
    /// Its kind.
    pub kind: &'a str,
    /// Its names, labels and annotations.
    pub meta: &'a ObjectMeta,
}

/// Tells which Kustomization would put a field back, as `Kustomization <namespace>/<name>`.
///
/// `path` is a JSON pointer. None would where no Kustomization applies the object, where an
/// annotation tells it to leave the live object alone, or where its ignore rules cover the field.
pub fn of_field(object: &Object, path: &str, known: &[Arc<Kustomization>]) -> Option<String> {
    let (namespace, name) = applied_by(object.meta)?;
    let skipped = |texts: &BTreeMap<String, String>| {
        let mode = texts.get(keys::FLUX_SSA).map(|mode| mode.to_ascii_lowercase());
        mode.is_some_and(|mode| mode == "ifnotpresent" || mode == "ignore")
    };
    let left = [object.meta.annotations.as_ref(), object.meta.labels.as_ref()];
    if left.into_iter().flatten().any(skipped) || ignores(object, path, known) {
        return None;
    }
    Some(format!("Kustomization {namespace}/{name}"))
}

/// The field managers whose sets of fields hold what is asked for, but for those of parts of the
/// object; each once, by name.
pub fn managers(meta: &ObjectMeta, holds: impl Fn(&Value) -> bool) -> Vec<String> {
    let entries = meta.managed_fields.iter().flatten();
    let whole = entries.filter(|entry| entry.subresource.as_deref().unwrap_or("").is_empty());
    let managers: BTreeSet<String> = whole
        .filter(|entry| entry.fields_v1.as_ref().is_some_and(|fields| holds(&fields.0)))
        .filter_map(|entry| entry.manager.clone())
        .collect();
    managers.into_iter().collect()
}

/// Tells whether a field manager is a person's, or ours in a person's name.
pub fn person(manager: &str) -> bool {
    manager.starts_with("kubectl") || [keys::CLI_MANAGER, keys::FIELD_MANAGER].contains(&manager)
}

/// Tells whether the Kustomization that applies the object is told to ignore a field.
pub fn ignores(object: &Object, path: &str, known: &[Arc<Kustomization>]) -> bool {
    let Some((namespace, name)) = applied_by(object.meta) else { return false };
    let applies = |kustomization: &&Arc<Kustomization>| {
        kustomization.namespace().as_deref() == Some(namespace) && kustomization.name_any() == name
    };
    let rules = known.iter().find(applies).and_then(|known| known.spec.ignore.as_ref());
    rules.into_iter().flatten().any(|rule| covers(rule, path) && aims(rule, object))
}

/// The Kustomization that applies an object: namespace and name.
fn applied_by(meta: &ObjectMeta) -> Option<(&str, &str)> {
    let labels = meta.labels.as_ref()?;
    Some((labels.get(keys::FLUX_NAMESPACE)?, labels.get(keys::FLUX_NAME)?))
}

/// Tells whether a rule's path is the field or holds it.
fn covers(rule: &IgnoreRule, path: &str) -> bool {
    rule.paths.iter().any(|held| {
        let below = path.strip_prefix(held.as_str());
        !held.is_empty() && below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    })
}

fn aims(rule: &IgnoreRule, object: &Object) -> bool {
    let Some(target) = &rule.target else { return true };
    let IgnoreTarget { group, version, kind, namespace, name, .. } = target;
    let own_namespace = object.meta.namespace.as_deref().unwrap_or_default();
    let own_name = object.meta.name.as_deref().unwrap_or_default();
    [
        (group, object.group),
        (version, object.version),
        (kind, object.kind),
        (namespace, own_namespace),
        (name, own_name),
    ]
    .into_iter()
    .all(|(pattern, text)| matches(pattern.as_deref().unwrap_or_default(), text))
        && selects(target.label_selector.as_deref(), object.meta.labels.as_ref())
        && selects(target.annotation_selector.as_deref(), object.meta.annotations.as_ref())
}

/// Tells whether an anchored expression matches; an empty one matches everything, one that cannot
/// be compiled nothing.
fn matches(pattern: &str, text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if pattern.is_empty() || pattern.chars().all(plain) {
        return pattern.is_empty() || pattern == text;
    }
    let anchored = format!("^(?:{pattern})$");
    let compiled = RegexBuilder::new(&anchored).size_limit(PATTERN_BYTES_MAX).build();
    compiled.is_ok_and(|pattern| pattern.is_match(text))
}

/// Tells whether a selector of the form `a=b,c==d` selects. Other forms are taken to select
/// nothing, so that a field counts as owned where that is not sure.
fn selects(selector: Option<&str>, texts: Option<&BTreeMap<String, String>>) -> bool {
    let Some(selector) = selector.filter(|selector| !selector.trim().is_empty()) else {
        return true;
    };
    selector.split(',').all(|term| {
        let Some((key, value)) = term.split_once('=') else { return false };
        let value = value.strip_prefix('=').unwrap_or(value).trim();
        let found = texts.and_then(|texts| texts.get(key.trim()));
        found.is_some_and(|found| found == value)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::validate::fixture;

    fn owner(meta: Value, ignore: Value) -> Option<String> {
        let base = json!({"name": "shop", "namespace": "prod", "labels": fixture::flux_labels()});
        let meta: ObjectMeta = serde_json::from_value(fixture::merged(&base, &meta)).unwrap();
        let object = Object { group: "", version: "v1", kind: "Service", meta: &meta };
        of_field(&object, "/spec/selector", &[fixture::kustomization(ignore)])
    }

    #[test]
    fn flux_puts_a_field_back_unless_told_otherwise() {
        let ssa = |mode: &str| json!({"annotations": {"kustomize.toolkit.fluxcd.io/ssa": mode}});
        let other = json!({"labels": {"kustomize.toolkit.fluxcd.io/name": "other"}});
        let rule = |path: &str| json!([{"paths": [path]}]);
        for (case, meta, ignore, back) in [
            ("labels of a Kustomization", json!({}), json!([]), true),
            ("no labels", json!({"labels": null}), json!([]), false),
            (
                "only one of the labels",
                json!({"labels":
                {"kustomize.toolkit.fluxcd.io/namespace": null}}),
                json!([]),
                false,
            ),
            ("IfNotPresent", ssa("IfNotPresent"), json!([]), false),
            ("Ignore, in any case", ssa("ignore"), json!([]), false),
            ("Merge puts back", ssa("Merge"), json!([]), true),
            ("the path is ignored", json!({}), rule("/spec/selector"), false),
            ("all of spec is ignored", json!({}), rule("/spec"), false),
            ("a part of the field is not the field", json!({}), rule("/spec/selector/app"), true),
            ("a like beginning is not the field", json!({}), rule("/spec/sel"), true),
            ("an empty path is none", json!({}), rule(""), true),
            ("a rule of another Kustomization", other, rule("/spec/selector"), true),
        ] {
            assert_eq!(owner(meta, ignore).is_some(), back, "{case}");
        }
        let named = owner(json!({}), json!([]));
        assert_eq!(named.as_deref(), Some("Kustomization flux-system/apps"));
    }

    #[test]
    fn a_rule_is_about_the_objects_of_its_target() {
        let labels = json!({"labels": {"app": "shop", "tier": "web"}});
        for (case, target, hit) in [
            ("no target: all objects", Value::Null, true),
            ("an empty target: all objects", json!({}), true),
            ("its kind", json!({"kind": "Service"}), true),
            ("another kind", json!({"kind": "Rollout"}), false),
            ("a part of a kind is not the kind", json!({"kind": "Serv"}), false),
            ("an expression", json!({"name": "sh.*", "namespace": "prod|dev"}), true),
            ("an expression is anchored", json!({"name": "h.p"}), false),
            ("alternatives are anchored as a whole", json!({"name": "sho|op"}), false),
            ("another group", json!({"group": "apps"}), false),
            ("its version", json!({"version": "v1"}), true),
            ("a broken expression", json!({"name": "("}), false),
            ("an expression that is too large", json!({"name": "(a{1000}){1000}"}), false),
            ("its labels", json!({"labelSelector": "app=shop, tier==web"}), true),
            ("other labels", json!({"labelSelector": "app=cart"}), false),
            ("a form that is not read", json!({"labelSelector": "app in (shop)"}), false),
            ("an inequality is not read", json!({"labelSelector": "app!=cart"}), false),
            ("annotations that it has not", json!({"annotationSelector": "a=b"}), false),
        ] {
            let ignore = json!([{"paths": ["/spec/selector"], "target": target}]);
            assert_eq!(owner(labels.clone(), ignore).is_none(), hit, "{case}");
        }
    }
}
