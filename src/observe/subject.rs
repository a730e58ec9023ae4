//! Subject: what is asked about, once however many Rollouts follow it. It asks nobody.

use std::fmt;
use std::net::Ipv4Addr;

use serde_json::Value;

use crate::api::foreign::ImagePolicy;
use crate::api::kind::Key;
use crate::api::rollout::Rollout;
use crate::model::image::Image;
use crate::model::moment::Duration;
use crate::validate::{manifest, registry};

/// Pull secrets of a template that are looked at: each costs a request whenever a registry is
/// asked.
const SECRETS_MAX: usize = 8;

/// What is asked about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// The repository of an ImageRepository.
    Repository(Key),
    /// A repository that Rollouts name themselves.
    Registry(Named),
}

/// A repository, and how it is reached: two Rollouts that say the same follow the same.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Named {
    /// Registry host and path.
    pub image: String,
    /// Whether it is asked without TLS.
    pub insecure: bool,
    /// The Secrets that may have a login, in the order in which they are looked at.
    pub secrets: Vec<Key>,
    /// The Secret with certificates.
    pub cert: Option<Key>,
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Repository(key) => write!(f, "ImageRepository {key}"),
            Self::Registry(named) => f.write_str(&named.image),
        }
    }
}

/// The registry that a Rollout follows by itself, and how often it wants it to be asked.
pub fn followed(rollout: &Rollout) -> Option<(Subject, Duration)> {
    let registry = registry::read(&rollout.spec).ok().flatten()?;
    let own = rollout.metadata.namespace.as_deref().unwrap_or_default();
    let secret = |name: &String| Key::new(own, name.as_str());
    let named = Named {
        secrets: registry.secret.iter().map(secret).collect(),
        cert: registry.cert.as_ref().map(secret),
        insecure: registry.insecure,
        image: registry.image,
    };
    Some((Subject::Registry(named), registry.interval))
}

/// The repository in which the images of a Rollout's releases are, where the source shows none of
/// their digests and no ImageRepository tells how it is reached: the one that it follows itself,
/// or, if digests are required, the one whose versions an OCIRepository or a Kustomization tells,
/// with the logins of its pods.
pub fn of_images(rollout: &Rollout) -> Option<(Subject, Image)> {
    let repository = manifest::repository(rollout)?;
    if let Some((followed, _)) = followed(rollout) {
        return Some((followed, repository));
    }
    if !rollout.spec.require_digest {
        return None;
    }
    let own = rollout.metadata.namespace.as_deref().unwrap_or_default();
    let pulls = rollout.spec.template.pointer("/spec/imagePullSecrets").and_then(Value::as_array);
    let name = |secret: &Value| Some(Key::new(own, secret.get("name")?.as_str()?));
    let secrets = pulls.into_iter().flatten().filter_map(name).take(SECRETS_MAX).collect();
    let image = repository.repository.clone();
    let named = Named { insecure: loopback(&image), image, secrets, cert: None };
    Some((Subject::Registry(named), repository))
}

/// Tells whether a repository is on the own machine: then it is asked without TLS where no field
/// says how.
///
/// Source: docs.docker.com, dockerd, "Insecure registries".
fn loopback(repository: &str) -> bool {
    let host = repository.split(['/', ':']).next().unwrap_or_default();
    host == "localhost" || host.parse::<Ipv4Addr>().is_ok_and(|host| host.is_loopback())
}

/// The repository behind an ImagePolicy.
pub fn behind(policy: &ImagePolicy) -> Option<Key> {
    let own = policy.metadata.namespace.as_deref().unwrap_or_default();
    let reference = policy.spec.get("imageRepositoryRef")?;
    let text = |key: &str| reference.get(key).and_then(Value::as_str);
    let there = text("namespace").filter(|there| !there.is_empty()).unwrap_or(own);
    text("name").map(|name| Key::new(there, name))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shop(spec: Value) -> Rollout {
        let metadata = json!({"name": "shop", "namespace": "prod"});
        serde_json::from_value(json!({"metadata": metadata, "spec": spec})).unwrap()
    }

    #[test]
    fn images_are_looked_for_where_only_versions_are_told() {
        let told = |patch: Value| {
            let (subject, _) = of_images(&shop(patch))?;
            let Subject::Registry(Named { image, insecure, secrets, .. }) = subject else {
                return None;
            };
            let secrets: Vec<_> = secrets.iter().map(ToString::to_string).collect();
            Some(format!("{image} {insecure} {}", secrets.join(",")))
        };
        let source = |kind: &str, image: &str| {
            let pulls = json!([{"name": "a"}, {}, {"name": "b"}]);
            let template = json!({"spec": {"imagePullSecrets": pulls}});
            json!({"sourceRef": {"kind": kind, "name": "shop", "image": image},
                "requireDigest": true, "template": template})
        };
        let registry = json!({"image": "registry.example/shop", "interval": "1m"});
        for (case, patch, want) in [
            ("no source", json!({"requireDigest": true}), None),
            ("an ImagePolicy", source("ImagePolicy", "registry.example/shop"), None),
            (
                "an OCIRepository",
                source("OCIRepository", "registry.example/shop"),
                Some("registry.example/shop false prod/a,prod/b"),
            ),
            (
                "on the own machine",
                source("Kustomization", "127.0.0.1:5000/shop"),
                Some("127.0.0.1:5000/shop true prod/a,prod/b"),
            ),
            ("followed", json!({"registry": registry}), Some("registry.example/shop false ")),
        ] {
            assert_eq!(told(patch).as_deref(), want, "{case}");
        }
        let mut quiet = source("OCIRepository", "registry.example/shop");
        quiet["requireDigest"] = Value::Bool(false);
        assert_eq!(told(quiet), None, "no digest is asked for");
    }
}
