//! Bound: which Rollout a Flux object takes releases of, as its annotations say. It never tells
//! what is written there.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::api::keys;
use crate::model::snapshot::Identity;

/// What follows the variable in the key of a binding.
const FROM: &str = ".from";

/// Tells whether an annotation makes an object a target of a Rollout.
pub fn targets(meta: &ObjectMeta, rollout: &Identity) -> bool {
    let own = meta.namespace.as_deref().unwrap_or_default();
    let mut all = meta.annotations.iter().flatten();
    all.any(|(key, value)| {
        let (namespace, name) = value.split_once('/').unwrap_or((own, value));
        binds(key) && namespace == rollout.namespace && name == rollout.name
    })
}

fn binds(key: &str) -> bool {
    let variable = [keys::BIND_SUBSTITUTE, keys::BIND_SUBSTITUTE_KUBERIK]
        .into_iter()
        .any(|prefix| key.strip_prefix(prefix).is_some_and(|rest| rest.ends_with(FROM)));
    variable || [keys::BIND_ROLLOUT, keys::BIND_ROLLOUT_KUBERIK].contains(&key)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::validate::{fixture, rollout};

    #[test]
    fn an_annotation_names_the_rollout() {
        let own = rollout::identity(&fixture::rollout(json!({})));
        for (key, value, want) in [
            ("stairlock.dev/rollout", "shop", true),
            ("stairlock.dev/rollout", "prod/shop", true),
            ("stairlock.dev/rollout", "flux-system/shop", false),
            ("stairlock.dev/rollout", "cart", false),
            ("rollout.kuberik.com/rollout", "shop", true),
            ("stairlock.dev/substitute.VERSION.from", "shop", true),
            ("rollout.kuberik.com/substitute.VERSION.from", "prod/shop", true),
            ("stairlock.dev/substitute.VERSION", "shop", false),
            ("stairlock.dev/deliver", "shop", false),
        ] {
            let meta: ObjectMeta = serde_json::from_value(
                json!({"namespace": "prod", "name": "apps", "annotations": {key: value}}),
            )
            .unwrap();
            assert_eq!(targets(&meta, &own), want, "{key}: {value}");
        }
    }
}
