//! Flux: the one field of a Flux object that a Rollout delivers to, and nothing beside it.

use json_patch::Patch;
use serde_json::{Value, json};

use crate::api::keys;
use crate::api::kind::Reference;
use crate::model::binding::{Field, TargetKind};
use crate::model::moment::Timestamp;
use crate::model::moves::Target;
#[cfg(feature = "planted")]
use crate::planted::{Bug, active};
use crate::render::patch::Edit;

/// Makes the body of a server-side apply of one field. With uid and resourceVersion it is for the
/// object as it was seen, and for no other.
pub fn field(reference: &Reference, field: &Field, target: &Target, value: &str) -> Value {
    let spec = match field.kind {
        TargetKind::Kustomization => {
            json!({"postBuild": {"substitute": {field.variable.as_str(): value}}})
        }
        TargetKind::OciRepository => json!({"ref": {"tag": value}}),
    };
    let metadata = json!({
        "namespace": field.namespace,
        "name": field.name,
        "uid": target.uid,
        "resourceVersion": target.resource_version,
    });
    #[cfg(feature = "planted")]
    let metadata = if active(Bug::DeliveryUnguarded) {
        json!({"namespace": field.namespace, "name": field.name})
    } else {
        metadata
    };
    let resource = reference.kind.resource();
    json!({
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": metadata,
        "spec": spec,
    })
}

/// Asks Flux to look at an object.
pub fn request(target: &Target, at: Timestamp) -> Patch {
    let path = ["metadata", "annotations", keys::FLUX_REQUEST];
    Edit::at(&target.resource_version).add(&path, at.to_string()).done()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::kind::Kind;

    #[test]
    fn only_its_own_field_is_named() {
        let target = Target { name: "apps".into(), uid: "u".into(), resource_version: "7".into() };
        let body = |kind: Kind, target_kind, variable: &str| {
            let reference = Reference::new(kind, "flux-system", "apps");
            let (namespace, name) = ("flux-system".to_owned(), "apps".to_owned());
            let bound = Field { kind: target_kind, namespace, name, variable: variable.into() };
            field(&reference, &bound, &target, "1.2.3")
        };
        let metadata = json!({"namespace": "flux-system", "name": "apps", "uid": "u",
            "resourceVersion": "7"});
        assert_eq!(
            body(Kind::Kustomization, TargetKind::Kustomization, "SHOP_TAG"),
            json!({"apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
                "metadata": metadata,
                "spec": {"postBuild": {"substitute": {"SHOP_TAG": "1.2.3"}}}})
        );
        assert_eq!(
            body(Kind::OciRepository, TargetKind::OciRepository, ""),
            json!({"apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "OCIRepository",
                "metadata": metadata, "spec": {"ref": {"tag": "1.2.3"}}})
        );
    }
}
