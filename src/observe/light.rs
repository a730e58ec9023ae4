//! Light: reads a Rollout without those parts of its `managedFields` that nobody asks for, which
//! are half of its text. It drops nothing else.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{FieldsV1, ManagedFieldsEntry};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::foreign::Lean;
use crate::api::rollout::{Rollout, RolloutSpec};
use crate::api::status::RolloutStatus;

#[derive(Deserialize)]
struct Light {
    metadata: Lean<Vec<Entry>>,
    spec: RolloutSpec,
    #[serde(default)]
    status: Option<RolloutStatus>,
}

/// Who manages the template.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    manager: Option<String>,
    subresource: Option<String>,
    #[serde(rename = "fieldsV1")]
    fields: Option<Fields>,
}

#[derive(Deserialize)]
struct Fields {
    #[serde(rename = "f:spec")]
    spec: Option<Spec>,
}

#[derive(Deserialize)]
struct Spec {
    #[serde(rename = "f:template")]
    template: Option<Value>,
}

/// Reads a Rollout.
///
/// # Errors
/// What cannot be read, as if all of it were read.
pub fn rollout(text: &str) -> serde_json::Result<Rollout> {
    let Ok(Light { metadata, spec, status }) = serde_json::from_str(text) else {
        return serde_json::from_str(text);
    };
    let (mut metadata, entries) = metadata.split();
    let entry = |entry: Entry| {
        let template = entry.fields?.spec?.template?;
        Some(ManagedFieldsEntry {
            manager: entry.manager,
            subresource: entry.subresource,
            fields_v1: Some(FieldsV1(json!({"f:spec": {"f:template": template}}))),
            ..ManagedFieldsEntry::default()
        })
    };
    metadata.managed_fields = entries.map(|all| all.into_iter().filter_map(entry).collect());
    Ok(Rollout { metadata, spec, status })
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
