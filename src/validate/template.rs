//! Template: takes the pod template apart and tells who owns its images.

use std::sync::Arc;

use serde_json::Value;

use crate::api::foreign::Kustomization;
use crate::api::keys;
use crate::api::rollout::Rollout;
use crate::model::template::{Template, TemplateId};
use crate::validate::owner::{self, Object};

/// Takes the template of a Rollout apart, with the foreign owners of each image.
pub fn with_owners(rollout: &Rollout, kustomizations: &[Arc<Kustomization>]) -> Template {
    let value = &rollout.spec.template;
    let id = rollout.spec.template_id.get_or_init(|| TemplateId::of(value).bytes());
    let mut template = Template::known(TemplateId::from_bytes(*id), value.clone());
    let object = Object {
        group: keys::GROUP,
        version: keys::VERSION,
        kind: "Rollout",
        meta: &rollout.metadata,
    };
    for container in &mut template.containers {
        let list = if container.init { "initContainers" } else { "containers" };
        let path = format!("/spec/template/spec/{list}/{}/image", container.index);
        container.foreign_owners = managers(rollout, list, &container.name);
        container.released = owner::ignores(&object, &path, kustomizations);
    }
    template
}

/// The field managers that own the image of a container, besides ours and those of people.
fn managers(rollout: &Rollout, list: &str, container: &str) -> Vec<String> {
    let mut all = owner::managers(&rollout.metadata, |fields| owns(fields, list, container));
    all.retain(|manager| !owner::person(manager));
    all
}

/// Tells whether a set of fields holds the image of a container. A field without parts stands for
/// all that is below it.
///
/// Source: Kubernetes `FieldsV1` (structured-merge-diff).
fn owns(fields: &Value, list: &str, container: &str) -> bool {
    let list = format!("f:{list}");
    let mut node = fields;
    for part in ["f:spec", "f:template", "f:spec", &list, "k:", "f:image"] {
        let Some(parts) = node.as_object() else { return false };
        let below = match part {
            "k:" => parts.iter().find(|(key, _)| names(key, container)).map(|(_, below)| below),
            _ => parts.get(part),
        };
        match below {
            None => return false,
            Some(below) if below.as_object().is_none_or(|parts| parts.is_empty()) => return true,
            Some(below) => node = below,
        }
    }
    true
}

/// Tells whether a key of a list, as `k:{"name":"app"}`, names a container.
fn names(key: &str, container: &str) -> bool {
    let item = key.strip_prefix("k:").and_then(|item| serde_json::from_str::<Value>(item).ok());
    item.is_some_and(|item| item.get("name").and_then(Value::as_str) == Some(container))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::validate::fixture;

    fn entry(manager: &str, fields: Value) -> Value {
        json!([{"manager": manager, "operation": "Apply", "fieldsType": "FieldsV1",
            "fieldsV1": fields}])
    }

    fn below(containers: Value) -> Value {
        json!({"f:spec": {"f:template": {"f:spec": {"f:containers": containers}}}})
    }

    fn image(name: &str) -> Value {
        below(json!({format!(r#"k:{{"name":"{name}"}}"#): {".": {}, "f:name": {}, "f:image": {}}}))
    }

    #[test]
    fn an_image_is_foreign_when_another_manager_owns_it() {
        let init = json!({"f:spec": {"f:template": {"f:spec": {"f:initContainers": {
            "k:{\"name\":\"app\"}": {"f:image": {}}}}}}});
        let name = below(json!({"k:{\"name\":\"app\"}": {".": {}, "f:name": {}}}));
        let mut scale = entry("kustomize-controller", image("app"));
        scale[0]["subresource"] = json!("scale");
        let flux = "kustomize-controller";
        for (case, entries, foreign) in [
            ("nobody owns it", json!([]), false),
            ("Flux owns it", entry(flux, image("app")), true),
            ("Flux owns the item but not its image", entry(flux, name), false),
            ("Flux owns the image of another container", entry(flux, image("web")), false),
            ("Flux owns the init container of that name", entry(flux, init), false),
            ("Flux owns the whole list", entry(flux, below(json!({}))), true),
            (
                "Flux owns the whole template",
                entry(flux, json!({"f:spec": {"f:template": {}}})),
                true,
            ),
            ("Flux owns only the spec's key", entry(flux, json!({"f:spec": {".": {}}})), false),
            ("we own it", entry("stairlock", image("app")), false),
            ("our plugin owns it", entry("stairlock-cli", image("app")), false),
            ("a person owns it", entry("kubectl-client-side-apply", image("app")), false),
            ("Argo CD owns it", entry("argocd-controller", image("app")), true),
            ("a subresource is no owner", scale, false),
            ("garbage is no owner", entry(flux, json!("x")), false),
        ] {
            let rollout = fixture::rollout(json!({"metadata": {"managedFields": entries}}));
            let template = with_owners(&rollout, &[]);
            assert_eq!(!template.containers[0].foreign_owners.is_empty(), foreign, "{case}");
        }
    }

    #[test]
    fn an_image_is_released_by_an_ignore_rule_on_its_path() {
        let image = "/spec/template/spec/containers/0/image";
        for (case, path, labels, released) in [
            ("the path itself", image, fixture::flux_labels(), true),
            ("a path above it", "/spec/template", fixture::flux_labels(), true),
            (
                "another container",
                "/spec/template/spec/containers/1/image",
                fixture::flux_labels(),
                false,
            ),
            ("no Kustomization applies it", image, json!({}), false),
        ] {
            let rollout = fixture::rollout(json!({"metadata": {"labels": labels}}));
            let known = [fixture::kustomization(json!([{"paths": [path]}]))];
            let template = with_owners(&rollout, &known);
            assert_eq!(template.containers[0].released, released, "{case}");
        }
    }
}
