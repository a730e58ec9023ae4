//! Real Flux: artifacts in the rig's registry, and the objects by which source-controller and
//! kustomize-controller read and apply them.
//!
//! Both see objects with a label only; every other object of Flux is left to the story.

use serde_json::{Value, json};

use super::json::{condition, merged, name, number, text};
use super::rig::{rig, succeeded};
use super::story::{REQUESTED_AT, SHOP, Story};
use super::watch::{Change, Seen};

/// The Kustomization of a story, and what it reads.
pub const APPS: &str = "apps";
/// The variable of [`bound`].
pub const VARIABLE: &str = "SHOP_VERSION";
/// How manifests name it.
const REFERENCE: &str = "${SHOP_VERSION:=0.0.0}";

/// How the parts of the rig are told which objects are theirs.
fn real() -> Value {
    json!({"test.stairlock.dev/flux": "real"})
}

/// An OCIRepository that reads the artifacts of that name; `reference` says which.
pub fn oci_repository(story: &Story, name: &str, reference: Value) -> Value {
    json!({
        "apiVersion": "source.toolkit.fluxcd.io/v1",
        "kind": "OCIRepository",
        "metadata": {"name": name, "labels": real()},
        "spec": {
            "interval": "10m",
            "url": format!("oci://{}", story.repository_of(name)),
            "insecure": true,
            "ref": reference,
        },
    })
}

/// A Kustomization that applies what the OCIRepository of the same name read, and waits for it.
pub fn applied(story: &Story, name: &str) -> Value {
    json!({
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
        "kind": "Kustomization",
        "metadata": {"name": name, "labels": real()},
        "spec": {
            "interval": "10m",
            "retryInterval": "2s",
            "timeout": "60s",
            "path": "./",
            "prune": true,
            "wait": true,
            "targetNamespace": story.namespace(),
            "sourceRef": {"kind": "OCIRepository", "name": name},
            // Without any variable Flux would leave `${NAME:=default}` as it stands.
            "postBuild": {"substitute": {"CLUSTER": "rig"}},
        },
    })
}

/// A ConfigMap of one key.
pub fn config_map(name: &str, key: &str, value: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name},
        "data": {key: value}})
}

/// A Rollout that delivers only, and bakes for a second.
pub fn delivering(name: &str) -> Value {
    json!({
        "apiVersion": "stairlock.dev/v1alpha1",
        "kind": "Rollout",
        "metadata": {"name": name},
        "spec": {"sourceRef": {"kind": "ImagePolicy", "name": name}, "bakeTime": "1s"},
    })
}

/// A Kustomization whose variable follows the shop.
pub fn bound(object: Value) -> Value {
    bound_to(object, SHOP)
}

/// A Kustomization of which a variable follows a Rollout.
pub fn bound_to(object: Value, rollout: &str) -> Value {
    let key = format!("stairlock.dev/substitute.{}.from", variable_of(rollout));
    merged(object, &json!({"metadata": {"annotations": {key: rollout}}}))
}

/// The variable that follows a Rollout.
pub fn variable_of(rollout: &str) -> String {
    format!("{}_VERSION", rollout.to_uppercase())
}

/// Manifests that show which version is applied. No object may have a name in capitals, so a
/// version in capitals cannot be applied.
pub fn shown() -> Vec<Value> {
    let versions = config_map("versions", "shop", REFERENCE);
    vec![versions, config_map(&format!("shop-{REFERENCE}"), "any", "thing")]
}

/// Whether Flux is done with the present generation of an object, and well.
pub fn ready(object: &Value) -> bool {
    condition(object, "Ready") == "True" && current(object)
}

/// Whether a status is of the present generation.
pub fn current(object: &Value) -> bool {
    number(object, "/status/observedGeneration") == number(object, "/metadata/generation")
}

impl Story {
    /// Pushes manifests as `flux push artifact` does, under a tag.
    pub async fn publish(&self, name: &str, tag: &str, manifests: &[Value]) {
        let work = rig().folder(&format!("stories/{}-{name}-{tag}", self.namespace()));
        let folder = work.join("manifests");
        std::fs::create_dir_all(&folder).unwrap();
        for (at, manifest) in manifests.iter().enumerate() {
            let file = folder.join(format!("{at:02}.yaml")); // all JSON is YAML
            std::fs::write(file, manifest.to_string()).unwrap();
        }
        let layer = work.join("layer.tar");
        let mut tar = tokio::process::Command::new("tar");
        tar.args(["--sort=name", "--owner=0", "--group=0", "--mtime=@0", "-C"]).arg(&folder);
        succeeded("tar", tar.arg("-cf").arg(&layer).arg(".").output().await.unwrap());
        // A tag is never seen without its annotations: they are laid on elsewhere.
        let repository = self.repository_of(name);
        let (draft, image) = (format!("{repository}-draft:{tag}"), format!("{repository}:{tag}"));
        let layer = layer.to_str().unwrap();
        rig().crane("append", &["--oci-empty-base", "-t", &draft, "-f", layer]).await;
        let revision = format!("org.opencontainers.image.revision={tag}");
        let source = "org.opencontainers.image.source=https://git.example/apps";
        rig().crane("mutate", &[&draft, "-t", &image, "-a", &revision, "-a", source]).await;
        if self.cluster.find("OCIRepository", name).await.is_some() {
            self.reconcile("OCIRepository", name, tag).await;
        }
    }

    /// Asks Flux for a reconciliation now; each asks with another token.
    pub async fn reconcile(&self, kind: &str, name: &str, token: &str) {
        let asked = json!({"metadata": {"annotations": {REQUESTED_AT: token}}});
        self.cluster.merge(kind, name, asked).await;
    }

    /// Waits for a state of an object of any kind, from now on.
    pub async fn becomes(
        &self,
        kind: &str,
        of: &str,
        what: &str,
        test: impl Fn(&Value) -> bool,
    ) -> Value {
        let watch = self.watch(kind).await;
        let matches = |seen: &Seen| {
            seen.change != Change::Deleted && name(&seen.object) == of && test(&seen.object)
        };
        let what = format!("{}: {kind} {of}: {what}", self.namespace());
        watch.until(self.end, &what, matches).await
    }

    /// Waits until a Kustomization has applied an artifact of a tag, and all of it is ready.
    pub async fn applied(&self, of: &str, tag: &str) -> Value {
        let start = format!("{tag}@sha256:");
        let test =
            |k: &Value| ready(k) && text(k, "/status/lastAppliedRevision").starts_with(&start);
        self.becomes("Kustomization", of, &format!("{tag} is applied"), test).await
    }

    /// Gives variables of a Kustomization values, as a manager of its own; it has no others then.
    pub async fn substitute(&self, manager: &str, of: &str, variables: Value) {
        let object = json!({
            "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
            "kind": "Kustomization",
            "metadata": {"name": of},
            "spec": {"postBuild": {"substitute": variables}},
        });
        self.cluster.apply(manager, object).await;
    }
}
