//! Registry: reads the repository that a Rollout follows by itself. The API server refuses nearly
//! all that is refused here; an older CRD may let it through.

use crate::api::registry::{Prereleases as Wire, SecretRef};
use crate::api::rollout::RolloutSpec;
use crate::model::image::Image;
use crate::model::moment::Duration;
use crate::model::problem::Problem;
use crate::model::registry::{Prereleases, Registry};

/// The shortest time between two listings of a repository, as in the CRD: registries count them.
const INTERVAL_MIN: Duration = Duration::from_secs(30);

/// Reads `spec.registry` with `spec.prereleases`.
///
/// # Errors
/// The first [`Problem`], with the path of its field.
pub fn read(wire: &RolloutSpec) -> Result<Option<Registry>, Problem> {
    let fault = |field: &str, why: &str| Err(Problem::new(format!("spec.{field}"), why));
    let Some(registry) = &wire.registry else {
        return match &wire.prereleases {
            None => Ok(None),
            Some(_) => fault("prereleases", "counts for spec.registry only; remove it"),
        };
    };
    if wire.source_ref.is_some() {
        return fault(
            "registry",
            "offers releases, and so does spec.sourceRef; remove one of them",
        );
    }
    let plain = Image::parse(&registry.image).is_ok_and(|i| i.tag.is_none() && i.digest.is_none());
    if !plain {
        let why = "is no repository (registry and path, without tag and digest)";
        return fault("registry.image", why);
    }
    if registry.insecure && registry.cert_secret_ref.is_some() {
        let why = "is for TLS, which spec.registry.insecure turns off; remove one of them";
        return fault("registry.certSecretRef", why);
    }
    let interval = Duration::parse(&registry.interval);
    let interval =
        interval.map_err(|fault| Problem::new("spec.registry.interval", fault.to_string()))?;
    if interval < INTERVAL_MIN {
        let why = format!("is {}, has to be 30s to 8760h", registry.interval);
        return fault("registry.interval", &why);
    }
    let name = |secret: &SecretRef| secret.name.clone();
    Ok(Some(Registry {
        image: registry.image.clone(),
        interval,
        secret: registry.secret_ref.as_ref().map(name),
        cert: registry.cert_secret_ref.as_ref().map(name),
        insecure: registry.insecure,
        prereleases: prereleases(wire.prereleases.as_ref())?,
    }))
}

fn prereleases(wire: Option<&Wire>) -> Result<Prereleases, Problem> {
    match wire {
        Some(Wire { enabled: false, allow: Some(_) }) => {
            let why = "needs spec.prereleases.enabled: true; set it, or remove allow";
            Err(Problem::new("spec.prereleases.allow", why))
        }
        Some(Wire { enabled: true, allow: Some(allow) }) => {
            Ok(Prereleases::Of(allow.iter().cloned().collect()))
        }
        Some(Wire { enabled: true, allow: None }) => Ok(Prereleases::All),
        Some(Wire { enabled: false, allow: None }) | None => Ok(Prereleases::Ranged),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::validate::fixture;

    fn told(patch: Value) -> String {
        match read(&fixture::rollout(json!({"spec": patch})).spec) {
            Ok(None) => "none".to_owned(),
            Ok(Some(found)) => {
                format!("{} {} {:?}", found.image, found.interval, found.prereleases)
            }
            Err(problem) => problem.to_string(),
        }
    }

    #[test]
    fn a_registry_is_read_or_refused_by_its_field() {
        let base = json!({"image": "registry.example/shop"});
        let with = |patch: Value| json!({"registry": fixture::merged(&base, &patch)});
        let some = |patch: Value| json!({"registry": base, "prereleases": patch});
        let policy = json!({"kind": "ImagePolicy", "name": "shop"});
        for (case, patch, want) in [
            ("none", json!({}), "none"),
            ("the default", with(json!({})), "registry.example/shop 5m Ranged"),
            ("seldom", with(json!({"interval": "1h30m"})), "registry.example/shop 1h30m Ranged"),
            ("all prereleases", some(json!({"enabled": true})), "registry.example/shop 5m All"),
            (
                "some",
                some(json!({"enabled": true, "allow": ["rc"]})),
                "registry.example/shop 5m Of",
            ),
            ("none by word", some(json!({"enabled": false})), "registry.example/shop 5m Ranged"),
            ("ignored", some(json!({"allow": ["rc"]})), "spec.prereleases.allow: needs"),
            ("of nothing", json!({"prereleases": {"enabled": true}}), "spec.prereleases: counts"),
            (
                "beside an object",
                json!({"registry": base, "sourceRef": policy}),
                "spec.registry: offers releases, and so does spec.sourceRef",
            ),
            ("a tag", with(json!({"image": "a/b:1"})), "spec.registry.image: is no repository"),
            ("no image", with(json!({"image": "a b"})), "spec.registry.image: is no repository"),
            ("too often", with(json!({"interval": "29s"})), "spec.registry.interval: is 29s, has"),
            ("no time", with(json!({"interval": "5"})), "spec.registry.interval: "),
            (
                "certificates without TLS",
                with(json!({"insecure": true, "certSecretRef": {"name": "ca"}})),
                "spec.registry.certSecretRef: is for TLS",
            ),
        ] {
            let got = told(patch);
            assert!(got.starts_with(want), "{case}: {got}");
        }
    }
}
