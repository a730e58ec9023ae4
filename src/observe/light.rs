//! Light: reads Rollouts and objects of Flux without those parts of their `managedFields` that
//! nobody asks for, which are half of their text. It drops nothing else that is read.

use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{FieldsV1, ManagedFieldsEntry};
use kube::core::Object;
use serde::de::{DeserializeOwned, DeserializeSeed, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::api::foreign::Lean;
use crate::api::rollout::{Rollout, RolloutSpec};
use crate::api::status::RolloutStatus;

#[derive(Deserialize)]
struct Light {
    metadata: Lean<Vec<Holder>>,
    spec: RolloutSpec,
    #[serde(default)]
    status: Option<RolloutStatus>,
}

/// Reads a Rollout, with who manages its template.
///
/// # Errors
/// What cannot be read, as if all of it were read.
pub fn rollout(text: &str) -> serde_json::Result<Rollout> {
    let Ok(Light { metadata, spec, status }) = serde_json::from_str(text) else {
        return serde_json::from_str(text);
    };
    let (mut metadata, holders) = metadata.split();
    metadata.managed_fields = holders.map(entries);
    Ok(Rollout { metadata, spec, status })
}

/// An object of Flux, with `M` of `managedFields`.
#[derive(Deserialize)]
struct Flux<M, P, U> {
    metadata: Lean<M>,
    spec: P,
    status: Option<U>,
}

/// Who manages some of these fields, or a whole that holds them.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Holder {
    manager: Option<String>,
    subresource: Option<String>,
    #[serde(rename = "fieldsV1")]
    fields: Option<Asked>,
}

/// A set of fields without those that nobody asks for; none where it holds others only.
struct Asked(Option<Value>);

/// The names in whole sets under which those fields lie that somebody asks for: the template of a
/// Rollout, and what may be bound.
const ASKED: [&[&str]; 2] = [&["f:spec"], &["f:template", "f:postBuild", "f:ref"]];

impl<'de> Deserialize<'de> for Asked {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Narrow(&ASKED).deserialize(deserializer).map(Self)
    }
}

/// What is kept of `managedFields`.
fn entries(holders: Vec<Holder>) -> Vec<ManagedFieldsEntry> {
    let entry = |holder: Holder| {
        Some(ManagedFieldsEntry {
            manager: holder.manager,
            subresource: holder.subresource,
            fields_v1: Some(FieldsV1(holder.fields?.0?)),
            ..ManagedFieldsEntry::default()
        })
    };
    holders.into_iter().filter_map(entry).collect()
}

/// Reads of a set of fields those of these names, level by level, and nothing of the rest.
struct Narrow<'a>(&'a [&'a [&'a str]]);

impl<'de> DeserializeSeed<'de> for Narrow<'_> {
    type Value = Option<Value>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        match self.0 {
            [] => Value::deserialize(deserializer).map(Some),
            [_, ..] => deserializer.deserialize_map(self),
        }
    }
}

impl<'de> Visitor<'de> for Narrow<'_> {
    type Value = Option<Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a set of fields")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let Some((names, below)) = self.0.split_first() else { return Ok(None) };
        let (mut kept, mut others) = (Map::new(), false);
        while let Some(name) = map.next_key::<String>()? {
            if names.contains(&name.as_str()) {
                let value = map.next_value_seed(Narrow(below))?;
                others |= value.is_none();
                kept.extend(value.map(|value| (name, value)));
            } else {
                map.next_value::<IgnoredAny>()?;
                others = true;
            }
        }
        // An empty set is that of a manager who has the whole.
        Ok((!kept.is_empty() || !others).then_some(Value::Object(kept)))
    }
}

/// Reads a Kustomization or an OCIRepository, with who manages the fields that may be bound.
///
/// # Errors
/// What cannot be read, as if all of it were read.
pub fn bindable<P, U>(text: &str) -> serde_json::Result<Object<P, U>>
where
    P: DeserializeOwned + Clone,
    U: DeserializeOwned + Clone + Default,
{
    read(text, |holders| Some(entries(holders)))
}

/// Reads an object of Flux whose managers nobody asks for.
///
/// # Errors
/// What cannot be read, as if all of it were read.
pub fn unmanaged<P, U>(text: &str) -> serde_json::Result<Object<P, U>>
where
    P: DeserializeOwned + Clone,
    U: DeserializeOwned + Clone + Default,
{
    read(text, |_: IgnoredAny| None)
}

fn read<M, P, U>(
    text: &str,
    kept: impl FnOnce(M) -> Option<Vec<ManagedFieldsEntry>>,
) -> serde_json::Result<Object<P, U>>
where
    M: DeserializeOwned,
    P: DeserializeOwned + Clone,
    U: DeserializeOwned + Clone + Default,
{
    let Ok(Flux { metadata, spec, status }) = serde_json::from_str(text) else {
        return serde_json::from_str(text);
    };
    let (mut metadata, managed) = metadata.split();
    metadata.managed_fields = managed.and_then(kept);
    Ok(Object { types: None, metadata, spec, status })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::foreign::{ImagePolicy, Kustomization};
    use crate::observe::refs::Watched;

    #[test]
    fn what_is_said_of_the_template_is_kept() {
        let entry = |manager: &str, fields: Value| {
            json!({"manager": manager, "operation": "Update", "time": "2026-01-02T03:04:05Z",
                "apiVersion": "stairlock.dev/v1alpha1", "fieldsType": "FieldsV1",
                "fieldsV1": fields})
        };
        let template = json!({"f:spec": {"f:template": {".": {}, "f:spec": {}}}});
        let mut more = template.clone();
        more["f:spec"]["f:replicas"] = json!({});
        let with = |entries: Value| {
            let object = json!({
                "apiVersion": "stairlock.dev/v1alpha1", "kind": "Rollout",
                "metadata": {"name": "shop", "namespace": "prod", "uid": "u", "generation": 3,
                    "labels": {"a": "b"}, "resourceVersion": "7", "managedFields": entries},
                "spec": {"selector": {"matchLabels": {"app": "shop"}}, "strategy": {},
                    "template": {"spec": {"containers": [{"name": "app"}]}}},
                "status": {"observedGeneration": 3},
            });
            let text = object.to_string();
            (rollout(&text).unwrap(), serde_json::from_str::<Rollout>(&text).unwrap())
        };
        let status = entry("stairlock", json!({"f:status": {"f:phase": {}}}));
        let (mut light, mut whole) = with(json!([entry("kubectl", more), status]));
        let kept = light.metadata.managed_fields.take().unwrap();
        assert_eq!(kept.len(), 1);
        assert_eq!(kept[0].manager.as_deref(), Some("kubectl"));
        assert_eq!(kept[0].fields_v1.as_ref().unwrap().0, template);
        whole.metadata.managed_fields = None;
        assert_eq!(light, whole, "all else is the same");
        let garbage = entry("m", json!({"f:spec": 7}));
        let (light, whole) = with(json!([garbage]));
        assert_eq!(light, whole, "what is no set of fields spoils nothing");
        let error = |text| rollout(text).unwrap_err().to_string();
        assert!(error(r#"{"metadata": {}, "spec": 7}"#).contains("invalid type"));
    }

    #[test]
    fn of_an_object_of_flux_is_kept_who_has_a_field_that_may_be_bound() {
        let both = json!({"f:spec": {"f:postBuild": {"f:substitute": {"f:TAG": {}}},
            "f:ref": {"f:tag": {}}, "f:path": {}}, "f:metadata": {"f:labels": {}}});
        let kept = json!({"f:spec": {"f:postBuild": {"f:substitute": {"f:TAG": {}}},
            "f:ref": {"f:tag": {}}}});
        for (fields, kept) in [
            (both.clone(), Some(kept)),
            (json!({"f:spec": {"f:postBuild": {}}}), Some(json!({"f:spec": {"f:postBuild": {}}}))),
            (json!({"f:spec": {}}), Some(json!({"f:spec": {}}))),
            (json!({"f:spec": {}, "f:metadata": {}}), Some(json!({"f:spec": {}}))),
            (json!({}), Some(json!({}))),
            (json!({"f:spec": {"f:path": {}}}), None),
            (json!({"f:status": {"f:conditions": {}}}), None),
        ] {
            let text = json!({
                "apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
                "metadata": {"name": "apps", "namespace": "prod", "resourceVersion": "7",
                    "annotations": {"stairlock.dev/substitute.TAG.from": "shop"},
                    "managedFields": [{"manager": "m", "operation": "Apply", "subresource": "s",
                        "time": "2026-01-02T03:04:05Z", "fieldsV1": fields}]},
                "spec": {"suspend": true}, "status": {"observedGeneration": 3},
            })
            .to_string();
            let mut light = Kustomization::read(&text).unwrap();
            let entries = light.metadata.managed_fields.clone().unwrap();
            let sets: Vec<&Value> =
                entries.iter().flat_map(|e| &e.fields_v1).map(|f| &f.0).collect();
            assert_eq!(sets, kept.iter().collect::<Vec<_>>(), "{text}");
            let mut whole: Kustomization = serde_json::from_str(&text).unwrap();
            light.trim();
            whole.trim();
            let known = |object: &Kustomization| {
                let all = object.metadata.managed_fields.iter().flatten();
                all.map(|e| (e.manager.clone(), e.subresource.clone())).collect::<Vec<_>>()
            };
            assert_eq!(known(&light), known(&whole), "{text}");
            light.types = whole.types.clone();
            light.metadata.managed_fields = None;
            whole.metadata.managed_fields = None;
            assert_eq!(json!(light), json!(whole), "all else is the same");
        }
    }

    #[test]
    fn what_cannot_be_read_of_an_object_of_flux_is_told_as_ever() {
        let text = |meta: &str, spec: &str| format!(r#"{{"metadata":{meta},"spec":{spec}}}"#);
        let odd = r#"{"name":"apps","managedFields":[{"manager":"m","fieldsV1":{"f:spec":7}}]}"#;
        let read = Kustomization::read(&text(odd, "{}")).unwrap();
        assert_eq!(read.metadata.managed_fields.unwrap().len(), 1, "what is no set spoils nothing");
        let error = Kustomization::read(&text("{}", "7")).unwrap_err().to_string();
        assert!(error.contains("invalid type"), "{error}");
        let policy = ImagePolicy::read(&text(odd, r#"{"policy":{}}"#)).unwrap();
        assert_eq!((policy.metadata.managed_fields, policy.spec), (None, json!({"policy": {}})));
    }
}
