//! Flux: image-reflector-controller, source-controller and kustomize-controller. ImagePolicies and
//! OCIRepositories show what the story releases, Kustomizations say that they are applied; it never
//! asks a registry or reads Git.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::api::keys;
use crate::model::template::hex;
use crate::sim::history::{Change, Place};
use crate::sim::resource::Resource;
use crate::sim::rules::settle::Part;
use crate::sim::world::fields;
use crate::sim::world::ground::{self, Ground};
use crate::sim::world::timers::Task;
use crate::sim::world::trouble::Trouble;

/// The controllers.
#[derive(Debug)]
pub struct Flux {
    policies: BTreeMap<Place, Arc<Value>>,
    artifacts: BTreeMap<Place, Arc<Value>>,
    kustomizations: BTreeMap<Place, Arc<Value>>,
    rollouts: BTreeMap<Place, Arc<Value>>,
    /// Repositories of images by the ImagePolicy that chooses among their tags.
    repositories: BTreeMap<Place, String>,
    /// The revisions that OCIRepositories found and could not verify.
    refused: BTreeMap<Place, String>,
    /// Whether the registry answers.
    ready: bool,
}

impl Default for Flux {
    fn default() -> Self {
        Self {
            policies: BTreeMap::new(),
            artifacts: BTreeMap::new(),
            kustomizations: BTreeMap::new(),
            rollouts: BTreeMap::new(),
            repositories: BTreeMap::new(),
            refused: BTreeMap::new(),
            ready: true,
        }
    }
}

/// What a source shows.
#[derive(Debug, Clone, Copy)]
pub struct Release<'a> {
    /// The name of the source; absent: the only one.
    pub source: Option<&'a str>,
    /// The tag.
    pub version: &'a str,
    /// Which push of the tag.
    pub build: u32,
}

impl Flux {
    /// Notes the repository of the images of an ImagePolicy.
    pub fn repository(&mut self, policy: Place, repository: String) {
        self.repositories.insert(policy, repository);
    }

    /// Hears of a change.
    pub fn hear(&mut self, ground: &mut Ground, change: &Change) {
        let known = match change.place.resource {
            "imagepolicies" => &mut self.policies,
            "kustomizations" => &mut self.kustomizations,
            "ocirepositories" => &mut self.artifacts,
            "rollouts" => &mut self.rollouts,
            _ => return,
        };
        let Some(object) = &change.after else {
            known.remove(&change.place);
            return;
        };
        known.insert(change.place.clone(), Arc::clone(object));
        if change.place.resource == "ocirepositories" {
            let revision = ["status", "artifact", "revision"];
            let before = change.before.as_ref().map(|before| fields::text(before, &revision));
            if before != Some(fields::text(object, &revision)) {
                self.appliers(&change.place).into_iter().for_each(|p| ground.soon(Task::Flux(p)));
            }
        }
        let observed = fields::at(object, &["status", "observedGeneration"]);
        let generation = fields::at(object, &["metadata", "generation"]);
        let behind = observed != generation || requested(object) != handled(object);
        if change.place.resource != "rollouts" && behind {
            ground.soon(Task::Flux(change.place.clone()));
        }
    }

    /// Has a source show a version at once: an ImagePolicy where there is one, else an
    /// OCIRepository by its tag, else a Kustomization by what it applied.
    ///
    /// # Errors
    /// [`Trouble::None`] or [`Trouble::Several`] where it is not clear which source.
    pub fn release(&mut self, ground: &mut Ground, release: Release) -> Result<(), Trouble> {
        let (place, object) = self.source_named(ground, release.source)?;
        let revision = format!("{}@{}", release.version, digest(release.version, release.build));
        let status = match place.resource {
            "ocirepositories" => self.copied((&place, &object), Some(&revision), ground),
            "kustomizations" => applied(&object, (Some(&revision), false), ground),
            _ => {
                let latest = self.latest(&place, &object, release);
                self.status(&object, Some(&latest), ground)
            }
        };
        store(ground, &place, &status)
    }

    /// The reference that a policy shows of a release.
    fn latest(&self, place: &Place, policy: &Value, release: Release) -> Value {
        let mut latest = Map::new();
        latest.insert("name".to_owned(), json!(self.repository_of(place, policy)));
        latest.insert("tag".to_owned(), json!(release.version));
        if fields::text(policy, &["spec", "digestReflectionPolicy"]) != "Never" {
            latest.insert("digest".to_owned(), json!(digest(release.version, release.build)));
        }
        Value::Object(latest)
    }

    /// Says whether the registry answers; sources keep what they showed.
    ///
    /// # Errors
    /// [`Trouble::None`] where there is no source.
    pub fn source(&mut self, ground: &mut Ground, ready: bool) -> Result<(), Trouble> {
        self.ready = ready;
        let policies = ground.cluster.list("imagepolicies", None);
        let artifacts = ground.cluster.list("ocirepositories", None);
        if policies.is_empty() && artifacts.is_empty() {
            return Err(no_source(None));
        }
        for (place, policy) in policies {
            let status = self.status(&policy, None, ground);
            store(ground, &place, &status)?;
        }
        for (place, artifact) in artifacts {
            let status = self.copied((&place, &artifact), None, ground);
            store(ground, &place, &status)?;
        }
        Ok(())
    }

    /// The source of a name, of the first kind that has it.
    fn source_named(
        &self,
        ground: &Ground,
        name: Option<&str>,
    ) -> Result<(Place, Arc<Value>), Trouble> {
        let of = |resource| {
            let mut all = ground.cluster.list(resource, None);
            all.retain(|(place, _)| name.is_none_or(|name| place.name == name));
            all
        };
        let kinds = ["imagepolicies", "ocirepositories", "kustomizations"];
        let mut all = kinds.map(of).into_iter().find(|all| !all.is_empty()).unwrap_or_default();
        if all.len() > 1 && name.is_some() {
            all.retain(|(place, _)| place.namespace == ground.namespace);
        }
        if all.len() > 1 {
            let names: Vec<&str> = all.iter().map(|(place, _)| place.name.as_str()).collect();
            let remedy = "give the event a name";
            return Err(Trouble::Several { kind: "ImagePolicy", names: names.join(", "), remedy });
        }
        all.pop().ok_or_else(|| no_source(name))
    }

    /// Where the tags of a policy come from: what it showed before, what is known of its
    /// ImageRepository, the image in the template of a Rollout that follows it.
    fn repository_of(&self, place: &Place, policy: &Value) -> String {
        let shown = fields::text(policy, &["status", "latestRef", "name"]);
        if !shown.is_empty() {
            return shown.to_owned();
        }
        if let Some(repository) = self.repositories.get(place) {
            return repository.clone();
        }
        let mut followers = self
            .rollouts
            .iter()
            .filter(|(rollout, object)| source(object, &rollout.namespace).as_ref() == Some(place));
        let Some((rollout, object)) = followers.next() else {
            return format!("registry.example/{}", place.name);
        };
        let image = image(object);
        image.unwrap_or_else(|| format!("registry.example/{}", rollout.name))
    }

    /// The status of an OCIRepository of which the registry says `revision`, or nothing new. A tag
    /// that is asked for is what it copies; one that it cannot verify it does not.
    fn copied(
        &mut self,
        (place, object): (&Place, &Value),
        revision: Option<&str>,
        ground: &Ground,
    ) -> Value {
        let old = fields::text(object, &["status", "artifact", "revision"]);
        let tag = fields::text(object, &["spec", "ref", "tag"]);
        let asked = Some(format!("{tag}@{}", digest(tag, 0)))
            .filter(|_| !tag.is_empty() && old.split('@').next() != Some(tag));
        let found = asked.or_else(|| revision.map(str::to_owned));
        let kept = Some(old.to_owned()).filter(|old| !old.is_empty());
        let found = found.or(self.refused.remove(place)).or_else(|| kept.clone());
        let verifies = fields::at(object, &["spec", "verify"]).is_some();
        let refused = found.clone().filter(|found| verifies && unsigned(found));
        if let Some(refused) = &refused {
            self.refused.insert(place.clone(), refused.clone());
        }
        let signature = found.as_ref().filter(|_| verifies).map(|found| verified(found));
        let revision = if refused.is_some() { kept } else { found };
        let said = match &signature {
            _ if !self.ready => ("False", "OCIArtifactPullFailed", "the registry does not answer"),
            Some(said) if refused.is_some() => (said.0, said.1, said.2.as_str()),
            _ if revision.is_some() => ("True", "Succeeded", "stored artifact"),
            _ => ("False", "OCIArtifactPullFailed", "no tag was found"),
        };
        let generation = fields::at(object, &["metadata", "generation"]);
        // Flux does not say that it looked at a generation at which it fails to verify.
        let observed = fields::at(object, &["status", "observedGeneration"]);
        let observed = if refused.is_some() { observed } else { generation };
        let mut conditions = vec![condition(object, ("Ready", said), ground)];
        if let Some((status, reason, message)) = &signature {
            let said = (*status, *reason, message.as_str());
            conditions.push(condition(object, ("SourceVerified", said), ground));
        }
        let mut fields = Map::new();
        fields.insert("observedGeneration".to_owned(), json!(observed));
        fields.insert("conditions".to_owned(), json!(conditions));
        fields.insert("lastHandledReconcileAt".to_owned(), json!(requested(object)));
        if let Some(revision) = revision {
            let digest = digest(&revision, 0);
            let artifact = json!({"revision": revision, "digest": digest, "path": "artifact",
                "url": "http://source/artifact", "lastUpdateTime": fields::seconds(ground.now())});
            fields.insert("artifact".to_owned(), artifact);
        }
        Value::Object(fields)
    }

    /// The status of a policy of which the registry says `latest`, or nothing new.
    fn status(&self, policy: &Value, latest: Option<&Value>, ground: &Ground) -> Value {
        let latest = latest.or_else(|| fields::at(policy, &["status", "latestRef"]));
        let (status, reason, message) = match latest {
            _ if !self.ready => ("False", "ReadOperationFailed", "the registry does not answer"),
            Some(_) => ("True", "Succeeded", "Latest image tag resolved"),
            None => ("False", "DependencyNotReady", "no tags were found"),
        };
        let ready = condition(policy, ("Ready", (status, reason, message)), ground);
        let mut fields = Map::new();
        if let Some(latest) = latest {
            fields.insert("latestRef".to_owned(), latest.clone());
        }
        let generation = fields::at(policy, &["metadata", "generation"]).cloned();
        fields.insert("observedGeneration".to_owned(), generation.unwrap_or_default());
        fields.insert("conditions".to_owned(), json!([ready]));
        Value::Object(fields)
    }

    /// The Kustomizations that apply what an OCIRepository copies.
    fn appliers(&self, source: &Place) -> Vec<Place> {
        let applies = |place: &&Place| {
            self.kustomizations.get(place).is_some_and(|object| copies(place, object) == *source)
        };
        self.kustomizations.keys().filter(applies).cloned().collect()
    }

    /// The revision that a Kustomization applies, where its source is an OCIRepository.
    fn fetched(&self, place: &Place, kustomization: &Value) -> Option<&str> {
        let source = self.artifacts.get(&copies(place, kustomization))?;
        let revision = fields::text(source, &["status", "artifact", "revision"]);
        Some(revision).filter(|revision| !revision.is_empty())
    }

    /// Looks at an object whose spec is new.
    pub fn act(&mut self, ground: &mut Ground, place: &Place) {
        let status = if let Some(policy) = self.policies.get(place) {
            self.status(policy, None, ground)
        } else if let Some(kustomization) = self.kustomizations.get(place) {
            if fields::at(kustomization, &["spec", "suspend"]) == Some(&json!(true)) {
                return;
            }
            let fetched = self.fetched(place, kustomization);
            let bad = breaks(kustomization) || fetched.is_some_and(bad);
            applied(kustomization, (fetched, bad), ground)
        } else if let Some(artifact) = self.artifacts.get(place).cloned() {
            self.copied((place, &artifact), None, ground)
        } else {
            return;
        };
        // An object that is gone is heard of soon.
        let _ = store(ground, place, &status);
    }
}

/// The OCIRepository that a Kustomization applies, if its source is one.
fn copies(place: &Place, kustomization: &Value) -> Place {
    let source = |key: &str| fields::text(kustomization, &["spec", "sourceRef", key]).to_owned();
    let there = Some(source("namespace")).filter(|there| !there.is_empty());
    let name = if source("kind") == "OCIRepository" { source("name") } else { String::new() };
    Place::new("ocirepositories", there.unwrap_or(place.namespace.clone()), name)
}

/// When somebody asked that an object be looked at.
fn requested(object: &Value) -> &str {
    fields::text(object, &["metadata", "annotations", keys::FLUX_REQUEST])
}

/// Which of these requests was answered last.
fn handled(object: &Value) -> &str {
    fields::text(object, &["status", "lastHandledReconcileAt"])
}

/// Whether what a tag or a variable tells cannot be applied.
fn bad(text: &str) -> bool {
    text.contains("-bad")
}

/// Whether nobody signed a revision.
fn unsigned(revision: &str) -> bool {
    revision.contains("-unsigned")
}

/// What is said of the signature of a revision: status, reason, message.
fn verified(revision: &str) -> (&'static str, &'static str, String) {
    if unsigned(revision) {
        let why = "failed to verify the signature: no matching signatures were found for";
        return ("False", "VerificationError", format!("{why} {revision}"));
    }
    ("True", "Succeeded", format!("verified signature of revision {revision}"))
}

/// Whether a variable of a Kustomization breaks what it applies.
fn breaks(kustomization: &Value) -> bool {
    let variables = fields::at(kustomization, &["spec", "postBuild", "substitute"]);
    let mut values = variables.and_then(Value::as_object).into_iter().flat_map(|all| all.values());
    values.any(|value| value.as_str().is_some_and(bad))
}

/// The object whose releases a Rollout follows.
pub fn source(rollout: &Value, namespace: &str) -> Option<Place> {
    let source = fields::at(rollout, &["spec", "sourceRef"])?;
    let name = source.get("name").and_then(Value::as_str)?;
    let there = source.get("namespace").and_then(Value::as_str).unwrap_or(namespace);
    let kind = source.get("kind").and_then(Value::as_str)?;
    let resource = Resource::of_kind(kind)?.plural;
    Some(Place::new(resource, there, name))
}

/// The repository of the image that takes the releases of a Rollout.
fn image(rollout: &Value) -> Option<String> {
    let containers = fields::items(rollout, &["spec", "template", "spec", "containers"]);
    let wanted = fields::text(rollout, &["spec", "container"]);
    let takes =
        |container: &&Value| wanted.is_empty() || fields::text(container, &["name"]) == wanted;
    containers.iter().filter(takes).find_map(fields::image).map(|image| image.repository)
}

fn digest(version: &str, build: u32) -> String {
    let hash = Sha256::digest(format!("{version} {build}").as_bytes());
    format!("sha256:{}", hex(&hash, 64))
}

/// The status of a Kustomization that applied a revision, or the one that it had, or could not;
/// what it applies is what the story says.
fn applied(kustomization: &Value, tried: (Option<&str>, bool), ground: &Ground) -> Value {
    let mut status = ended(kustomization, tried, ground);
    let inventory = fields::at(kustomization, &["status", "inventory"]);
    if let (Value::Object(fields), Some(inventory)) = (&mut status, inventory) {
        fields.insert("inventory".to_owned(), inventory.clone());
    }
    status
}

fn ended(kustomization: &Value, (revision, bad): (Option<&str>, bool), ground: &Ground) -> Value {
    let old = fields::text(kustomization, &["status", "lastAppliedRevision"]);
    let revision = match revision.unwrap_or(old) {
        "" => format!("main@sha1:{}", hex(&Sha256::digest(fields::uid(kustomization)), 40)),
        old => old.to_owned(),
    };
    if bad {
        // Flux does not say that it looked at a generation that it cannot apply.
        let said = ("False", "ReconciliationFailed", "the manifests are refused");
        let observed = fields::at(kustomization, &["status", "observedGeneration"]);
        return json!({
            "observedGeneration": observed.cloned().unwrap_or(json!(-1)),
            "lastAppliedRevision": old,
            "lastAttemptedRevision": revision,
            "lastHandledReconcileAt": requested(kustomization),
            "conditions": [condition(kustomization, ("Ready", said), ground)],
        });
    }
    let message = format!("Applied revision: {revision}");
    let ready =
        condition(kustomization, ("Ready", ("True", "ReconciliationSucceeded", &message)), ground);
    json!({
        "observedGeneration": fields::at(kustomization, &["metadata", "generation"]),
        "lastAppliedRevision": revision,
        "lastAttemptedRevision": revision,
        "lastHandledReconcileAt": requested(kustomization),
        "conditions": [ready],
    })
}

fn condition(
    object: &Value,
    (kind, (status, reason, message)): (&str, (&str, &str, &str)),
    ground: &Ground,
) -> Value {
    let old = fields::condition(object, &["status", "conditions"], kind);
    // Who is asked says in between that it goes on.
    let asked = requested(object) != handled(object);
    let old = old.filter(|old| fields::text(old, &["status"]) == status && !asked);
    let since = old.map(|old| fields::text(old, &["lastTransitionTime"]).to_owned());
    json!({
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message,
        "observedGeneration": fields::at(object, &["metadata", "generation"]),
        "lastTransitionTime": since.unwrap_or_else(|| fields::seconds(ground.now())),
    })
}

fn store(ground: &Ground, place: &Place, status: &Value) -> Result<(), Trouble> {
    let stored = ground.cluster.update(&ground::flux(), place, Part::Status, |object| {
        if let Value::Object(fields) = object {
            fields.insert("status".to_owned(), status.clone());
        }
        Ok(())
    });
    stored.map(|_| ()).map_err(Trouble::Refused)
}

fn no_source(name: Option<&str>) -> Trouble {
    let named = name.map(|name| format!(" {name}")).unwrap_or_default();
    let remedy = "give the Rollout a sourceRef, or edit the image in its template";
    Trouble::None { kind: "ImagePolicy", named, remedy }
}
