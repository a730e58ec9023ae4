//! Subject: what is asked about, once however many Rollouts follow it. It asks nobody.

use std::fmt;

use crate::api::kind::Key;
use crate::api::rollout::Rollout;
use crate::model::moment::Duration;
use crate::validate::registry;

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
    /// The Secret with the login.
    pub secret: Option<Key>,
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
        secret: registry.secret.as_ref().map(secret),
        cert: registry.cert.as_ref().map(secret),
        insecure: registry.insecure,
        image: registry.image,
    };
    Some((Subject::Registry(named), registry.interval))
}
