//! Source: reads what the source of a Rollout offers. Whether the template takes it is decided
//! later.

use kube::Resource;

use crate::api::foreign::ImagePolicy;
use crate::api::kind::Key;
use crate::model::hold::Hold;
use crate::model::image::{Image, parse_digest, parse_tag};
use crate::model::release::{About, Release};
use crate::model::snapshot::{Identity, Offer, Releases};
use crate::model::spec::{SourceRef, Spec};
use crate::model::status::Status;
use crate::model::template::Template;
use crate::model::version::Version;
#[cfg(feature = "planted")]
use crate::planted::{Bug, active};
use crate::validate::artifact;
use crate::validate::binding::{tags, variables};
use crate::validate::excerpt::excerpt;
use crate::validate::manifest::Manifests;
use crate::validate::ready::{Stated, not_ready, unready};
use crate::validate::seen::{Found, Reading, Seen, Source};
use crate::validate::{listed, listing, manifest};

/// Reads what the source of a Rollout offers. `manifests`: what is known of its images.
pub fn offer(
    seen: &Seen,
    (spec, manifests): (&Spec, &Manifests),
    rollout: &Identity,
    (template, status): (&Template, &Status),
) -> Offer {
    let learned = |list: Releases| list.each(|release| manifest::learn(release, manifests, spec));
    if let Some(registry) = &spec.registry {
        let known = seen.reading.as_ref();
        let list = listed::releases(registry, known, (spec, template, status)).map(learned);
        return list.map_or_else(Offer::Nothing, Offer::Releases);
    }
    let Some(source) = &spec.source else { return Offer::NoSource };
    let with = (spec, template);
    let releases = match &seen.source {
        Source::None => Err(not_ready(source, "it was not read yet")),
        Source::Policy(found) => is(found, source).and_then(|policy| {
            let (latest, known) = (release(policy, source)?, seen.reading.as_ref());
            let chooses = (policy, spec.range.as_ref());
            Ok(listing::releases(chooses, latest, known, (template, status)))
        }),
        Source::Artifact(found) => foreign(found, source, rollout)
            .and_then(|object| artifact::of_repository(object, source, with))
            .map(Releases::one),
        Source::Kustomization(found) => foreign(found, source, rollout)
            .and_then(|object| artifact::of_kustomization(object, source, with))
            .map(Releases::one),
    };
    let releases = releases.and_then(|list| in_range(list, spec)).map(learned);
    releases.map_or_else(Offer::Nothing, Offer::Releases)
}

/// Tells why less is known of the registry than could be.
pub fn unread(seen: &Seen) -> Option<(&'static str, String)> {
    match &seen.reading {
        Some(Reading::Unread { reason, why }) => Some((reason, excerpt(why))),
        Some(Reading::Tags { truncated: true, .. }) => Some((
            "TagListTruncated",
            "the repository has more tags than are read: only what the source shows is known"
                .to_owned(),
        )),
        Some(Reading::Tags { truncated: false, .. }) | None => manifest::unread(seen),
    }
}

fn is<'a, K>(found: &'a Found<K>, source: &SourceRef) -> Result<&'a K, Hold> {
    let name = || source.to_string();
    match found {
        Found::NotAsked => Err(not_ready(source, "it was not read yet")),
        Found::Denied => Err(Hold::AccessDenied { source: name() }),
        Found::KindMissing => Err(Hold::KindMissing { kind: source.kind.as_str() }),
        Found::Missing => Err(Hold::SourceMissing { source: name() }),
        Found::Is(object) => Ok(object),
    }
}

/// An object that others may bind: one that takes the releases of this Rollout would follow itself.
fn foreign<'a, K: Resource>(
    found: &'a Found<K>,
    source: &SourceRef,
    rollout: &Identity,
) -> Result<&'a K, Hold> {
    let object = is(found, source)?;
    let claims = variables(object.meta()).into_iter().chain(tags(object.meta()));
    let own = |key: &Key| key.namespace == rollout.namespace && key.name == rollout.name;
    if claims.map(|claim| claim.rollout).any(|key| own(&key)) {
        return Err(Hold::SelfReference { source: source.to_string() });
    }
    Ok(object)
}

fn in_range(releases: Releases, spec: &Spec) -> Result<Releases, Hold> {
    let Some(range) = &spec.range else { return Ok(releases) };
    let newest = releases.newest_first().next().map(|release| release.version.to_string());
    let outside =
        Hold::OutOfRange { version: newest.unwrap_or_default(), range: range.to_string() };
    releases.only(|release| range.allows(&release.version)).ok_or(outside)
}

/// The latest reference, only while the policy is Ready at its generation: Flux keeps it when the
/// policy fails.
fn release(policy: &ImagePolicy, source: &SourceRef) -> Result<Release, Hold> {
    let unusable = |why: String| Hold::UnusableRelease { source: source.to_string(), why };
    let status = policy.status.as_ref().ok_or_else(|| not_ready(source, "it has no status yet"))?;
    let why = unready(&Stated {
        conditions: status.conditions.as_deref(),
        observed: status.observed_generation,
        generation: policy.metadata.generation,
    });
    #[cfg(feature = "planted")]
    let why = why.filter(|_| !active(Bug::SourceNotReadyTaken));
    if let Some(why) = why {
        return Err(not_ready(source, &why));
    }
    let latest = status.latest_ref.clone().unwrap_or_default();
    if latest.name.is_empty() || latest.tag.is_empty() {
        return Err(Hold::NoRelease);
    }
    let mut image = Image::parse(&latest.name).map_err(|fault| unusable(fault.to_string()))?;
    if image.tag.is_some() || image.digest.is_some() {
        return Err(unusable(format!("{:?} is not a repository", excerpt(&latest.name))));
    }
    image.tag = Some(parse_tag(&latest.tag).map_err(|fault| unusable(fault.to_string()))?);
    let digest = latest.digest.filter(|digest| !digest.is_empty());
    let digest = digest.map(|digest| parse_digest(&digest)).transpose();
    image.digest = digest.map_err(|fault| unusable(fault.to_string()))?;
    let version = Version::from_tag(&latest.tag).map_err(|fault| unusable(fault.to_string()))?;
    Ok(Release { version, image, about: About::default() })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};

    use super::*;
    use crate::validate::{fixture, rollout, template};

    const SOURCE: &str = "ImagePolicy flux-system/shop";

    fn spec() -> Spec {
        let source = json!({"kind": "ImagePolicy", "name": "shop", "namespace": "flux-system"});
        let patch = json!({"spec": {"sourceRef": source, "semver": ">=1.2.0 <3.0.0"}});
        rollout::spec(&fixture::rollout(patch)).unwrap()
    }

    fn policy(status: Value) -> Source {
        let base = json!({
            "metadata": {"name": "shop", "namespace": "flux-system", "generation": 2},
            "spec": {},
            "status": {
                "observedGeneration": 2,
                "latestRef": {"name": "registry.example/shop", "tag": "v1.2.3"},
                "conditions": [{"type": "Ready", "status": "True", "message": "fine"}],
            },
        });
        Source::Policy(Found::Is(fixture::object(fixture::merged(
            &base,
            &json!({"status": status}),
        ))))
    }

    fn offered(source: &Source, spec: &Spec) -> Offer {
        let shop = fixture::rollout(json!({}));
        let template = template::with_owners(&shop, &[]);
        let seen = Seen { source: source.clone(), ..fixture::seen(Arc::clone(&shop)) };
        let status = Status::default();
        let with = (spec, &manifest::all(&seen));
        offer(&seen, with, &rollout::identity(&shop), (&template, &status))
    }

    fn said(offer: &Offer) -> String {
        match offer {
            Offer::NoSource => "no source".to_owned(),
            Offer::Nothing(hold) => format!("{}: {}", hold.code(), hold.message()),
            Offer::Releases(releases) => {
                let one = |r: &Release| format!("{} {}", r.version, r.image);
                releases.newest_first().map(one).collect::<Vec<_>>().join(", ")
            }
        }
    }

    #[test]
    fn a_policy_offers_its_latest_reference() {
        let latest = |patch: Value| policy(json!({"latestRef": patch}));
        let ready = |status: &str, message: &str| {
            policy(json!({"conditions": [{"type": "Ready", "status": status, "message": message}]}))
        };
        let edited = |status: &str| {
            policy(json!({"observedGeneration": 1, "conditions": [{"type": "Ready",
                "status": status, "message": "no such host", "observedGeneration": 2}]}))
        };
        let digest = format!("sha256:{}", "a".repeat(64));
        let whole = format!("1.2.3 registry.example/shop:v1.2.3@{digest}");
        for (case, found, want) in [
            ("a tag", policy(json!({})), "1.2.3 registry.example/shop:v1.2.3"),
            ("a digest is pinned", latest(json!({"digest": digest})), &whole),
            ("an empty digest is none", latest(json!({"digest": ""})), "1.2.3 registry.example"),
            ("a malformed digest", latest(json!({"digest": "md5:1"})), "UnusableRelease: "),
            ("a short digest", latest(json!({"digest": "sha256:aa"})), "UnusableRelease: "),
            ("a tag that is no version", latest(json!({"tag": "latest"})), "UnusableRelease: "),
            ("a tag that no registry has", latest(json!({"tag": "1.2.3+a b"})), "UnusableRelease"),
            ("a repository with a tag", latest(json!({"name": "a:1"})), "UnusableRelease: "),
            ("no repository", latest(json!({"name": "a b"})), "UnusableRelease: "),
            ("no reference", policy(json!({"latestRef": null})), "NoRelease: "),
            ("no tag", latest(json!({"tag": ""})), "NoRelease: "),
            ("no repository name", latest(json!({"name": ""})), "NoRelease: "),
            ("out of the range", latest(json!({"tag": "3.0.0"})), "OutOfRange: version 3.0.0"),
            ("a prerelease", latest(json!({"tag": "1.3.0-rc.1"})), "OutOfRange: "),
            (
                "not Ready",
                ready("False", "no such\nhost"),
                "SourceNotReady: ImagePolicy flux-system/shop is not ready: no such host",
            ),
            (
                "not known",
                ready("Unknown", ""),
                "SourceNotReady: ImagePolicy flux-system/shop is \
                not ready: Ready is Unknown",
            ),
            ("no condition", policy(json!({"conditions": null})), "SourceNotReady: "),
            ("an older generation", policy(json!({"observedGeneration": 1})), "SourceNotReady: "),
            (
                "fails since an edit",
                edited("False"),
                "SourceNotReady: ImagePolicy flux-system/shop is not ready: no such host",
            ),
            (
                "is edited",
                edited("True"),
                "SourceNotReady: ImagePolicy flux-system/shop is not ready: its controller has",
            ),
            ("Flux's default", policy(json!({"observedGeneration": -1})), "SourceNotReady: "),
        ] {
            let got = said(&offered(&found, &spec()));
            assert!(got.starts_with(want), "{case}: {got}");
        }
    }

    #[test]
    fn a_source_that_cannot_be_read_is_a_hold() {
        let source = SOURCE.to_owned();
        for (found, want) in [
            (Found::Missing, Hold::SourceMissing { source: source.clone() }),
            (Found::Denied, Hold::AccessDenied { source }),
            (Found::KindMissing, Hold::KindMissing { kind: "ImagePolicy" }),
        ] {
            assert_eq!(offered(&Source::Policy(found), &spec()), Offer::Nothing(want));
        }
        let without = rollout::spec(&fixture::rollout(json!({}))).unwrap();
        assert_eq!(offered(&policy(json!({})), &without), Offer::NoSource);
        let long = "x".repeat(5000);
        let status = json!({"conditions": [{"type": "Ready", "status": "False", "message": long}]});
        assert!(said(&offered(&policy(status), &spec())).len() < 300);
    }
}
