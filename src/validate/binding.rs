//! Binding: reads which fields of Flux objects are bound to a Rollout, who has them and how far
//! their values have come. It never tells what they are to hold.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::api::foreign::{Condition, Kustomization, KustomizationStatus, OciRepository};
use crate::api::keys;
use crate::api::kind::{Key, Kind};
use crate::api::rollout::Rollout;
use crate::model::binding::{Applied, Binding, Field, TargetKind, Trouble};
use crate::model::moment::Timestamp;
use crate::model::snapshot::Identity;
#[cfg(feature = "planted")]
use crate::planted::{Bug, active};
use crate::validate::excerpt::excerpt;
use crate::validate::owner::{self, Object};
use crate::validate::ready::{Stated, unready};
use crate::validate::rival::age;
use crate::validate::seen::Seen;

/// Longest variable: the name of an annotation may have 63 characters.
const VARIABLE_MAX: usize = 47;
/// Longest name of a namespace.
const LABEL_MAX: usize = 63;
/// Longest name of an object.
const NAME_MAX: usize = 253;

/// What an annotation binds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The variable, empty for a tag.
    pub variable: String,
    /// The Rollout.
    pub rollout: Key,
    /// Whether it is spelled as kuberik does.
    pub alias: bool,
}

/// Tells what the annotations of a Kustomization bind. One that names no Rollout binds nothing.
pub fn variables(meta: &ObjectMeta) -> Vec<Claim> {
    claims(meta, variable)
}

/// Tells what the annotations of an OCIRepository bind.
pub fn tags(meta: &ObjectMeta) -> Vec<Claim> {
    claims(meta, tag)
}

/// The annotations of an object of Flux that bind a field by `reads`, and whose values can name no
/// Rollout: key and value, and whether it is spelled as kuberik does.
pub fn nameless<'a>(meta: &'a ObjectMeta, reads: Reads) -> Vec<(&'a str, &'a str, bool)> {
    let annotations = meta.annotations.iter().flatten();
    let nameless = |(key, value): (&'a String, &'a String)| {
        let (_, alias) = reads(key)?;
        named(value, meta).is_none().then_some((key.as_str(), value.as_str(), alias))
    };
    annotations.filter_map(nameless).collect()
}

/// Tells what the annotations of an object of Flux bind by `reads`. One that names no Rollout binds
/// nothing.
pub fn claims(meta: &ObjectMeta, reads: Reads) -> Vec<Claim> {
    let annotations = meta.annotations.iter().flatten();
    let claim = |(key, value): (&String, &String)| {
        let (variable, alias) = reads(key)?;
        Some(Claim { variable, rollout: named(value, meta)?, alias })
    };
    annotations.filter_map(claim).collect()
}

/// Reads the key of an annotation that binds a field: the variable, and whether it is spelled as
/// kuberik does.
pub type Reads = fn(&str) -> Option<(String, bool)>;

/// How the annotations of a kind are read: the tag of an OCIRepository, else variables.
pub fn reads(kind: Kind) -> Reads {
    if kind == Kind::OciRepository { tag } else { variable }
}

/// Reads the key of an annotation that binds a variable of a Kustomization.
fn variable(key: &str) -> Option<(String, bool)> {
    let own = key.strip_prefix(keys::BIND_VARIABLE);
    let rest = own.or_else(|| key.strip_prefix(keys::BIND_VARIABLE_KUBERIK))?;
    Some((rest.strip_suffix(".from")?.to_owned(), own.is_none()))
}

/// Reads the key of an annotation that binds the tag of an OCIRepository.
fn tag(key: &str) -> Option<(String, bool)> {
    let alias = key == keys::BIND_TAG_KUBERIK;
    (alias || key == keys::BIND_TAG).then(|| (String::new(), alias))
}

/// Reads `[<namespace>/]<rollout>`: a label and a subdomain by RFC 1123, as the API server takes
/// them for names.
pub fn named(value: &str, meta: &ObjectMeta) -> Option<Key> {
    let own = meta.namespace.as_deref().unwrap_or_default();
    let (namespace, name) = value.split_once('/').unwrap_or((own, value));
    let plain = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let label = |text: &str| {
        let ends = [text.as_bytes().first(), text.as_bytes().last()];
        let inner = text.bytes().all(|b| plain(&b) || b == b'-');
        inner && ends.into_iter().all(|end| end.is_some_and(plain))
    };
    let legal = label(namespace) && namespace.len() <= LABEL_MAX;
    let legal = legal && name.len() <= NAME_MAX && name.split('.').all(label);
    legal.then(|| Key::new(namespace, name))
}

/// Reads the fields that are bound to the Rollout, in the order of delivery.
pub fn all(seen: &Seen, rollout: &Identity, workload: bool) -> Vec<Binding> {
    let own = Key::new(rollout.namespace.as_str(), rollout.name.as_str());
    let scene = Scene { seen, own, workload };
    let bound = &seen.bound;
    let tags = bound.repositories.iter().flat_map(|object| {
        let claims = scene.mine(tags(&object.metadata));
        claims.into_iter().map(|claim| scene.tag(object, claim)).collect::<Vec<_>>()
    });
    let variables = bound.kustomizations.iter().flat_map(|object| {
        let claims = scene.mine(variables(&object.metadata));
        claims.into_iter().map(|claim| scene.variable(object, claim)).collect::<Vec<_>>()
    });
    let mut all: Vec<Binding> = tags.chain(variables).collect();
    #[cfg(feature = "planted")]
    if active(Bug::FirstBindingOnly) {
        all.dedup_by(|one, other| one.uid == other.uid);
    }
    all.sort_by(|one, other| one.field.cmp(&other.field));
    all
}

/// A claim on a field, with what else the same object names for it.
struct Mine {
    claim: Claim,
    /// Another Rollout.
    other: Option<Claim>,
    /// A Rollout of kuberik that lives.
    kuberik: Option<Key>,
}

struct Scene<'a> {
    seen: &'a Seen,
    own: Key,
    workload: bool,
}

/// What is known of a bound field besides its value.
struct Hands {
    ours: bool,
    yields: bool,
    rival: Option<String>,
    setter: Option<String>,
}

impl Scene<'_> {
    /// The claims that name the Rollout, each field once: our own spelling goes first.
    fn mine(&self, claims: Vec<Claim>) -> Vec<Mine> {
        let mut fields: BTreeMap<String, Mine> = BTreeMap::new();
        let lives =
            |claim: &&Claim| claim.alias && self.seen.bound.kuberik.contains(&claim.rollout);
        let living: Vec<Claim> = claims.iter().filter(lives).cloned().collect();
        let (mine, others): (Vec<Claim>, Vec<Claim>) =
            claims.into_iter().partition(|claim| claim.rollout == self.own);
        for claim in mine {
            let other = others.iter().find(|other| other.variable == claim.variable).cloned();
            let kuberik = living.iter().find(|other| other.variable == claim.variable);
            let kuberik = kuberik.map(|claim| claim.rollout.clone());
            match fields.get(&claim.variable) {
                Some(known) if !known.claim.alias => {}
                Some(_) | None => {
                    fields.insert(claim.variable.clone(), Mine { claim, other, kuberik });
                }
            }
        }
        fields.into_values().collect()
    }

    fn variable(&self, object: &Kustomization, mine: Mine) -> Binding {
        let variable = mine.claim.variable.clone();
        let substitute = object.spec.post_build.as_ref().and_then(|p| p.substitute.as_ref());
        let value = substitute.and_then(|all| all.get(&variable)).cloned();
        let field = field(TargetKind::Kustomization, &object.metadata, variable.clone());
        let hash = self.hash();
        let manager = format!("{}-{hash}-{variable}", keys::FIELD_MANAGER);
        let path = ["f:spec", "f:postBuild", "f:substitute", &format!("f:{variable}")];
        let pointer = format!("/spec/postBuild/substitute/{variable}");
        let known = Object {
            group: keys::FLUX_KUSTOMIZE_GROUP,
            version: "v1",
            kind: "Kustomization",
            meta: &object.metadata,
        };
        let hands = self.hands((&known, &pointer), &path, (&manager, &mine));
        let feeds = self.applies(object);
        let trouble = illegal(&variable).map(|why| Trouble::Invalid {
            object: field.to_string(),
            why: format!("variable {:?} {why}", excerpt(&variable)),
        });
        let suspended = object.spec.suspend;
        let applied = progress(object, feeds && !self.workload);
        let trouble = trouble.or_else(|| self.trouble(&object.metadata, &field, &mine, suspended));
        self.binding(&object.metadata, (field, manager, value), hands, (feeds, trouble, applied))
    }

    fn tag(&self, object: &OciRepository, mine: Mine) -> Binding {
        let reference = object.spec.reference.clone().unwrap_or_default();
        let field = field(TargetKind::OciRepository, &object.metadata, String::new());
        let manager = format!("{}-{}", keys::FIELD_MANAGER, self.hash());
        let known = Object {
            group: keys::FLUX_SOURCE_GROUP,
            version: "v1",
            kind: "OCIRepository",
            meta: &object.metadata,
        };
        let path = ["f:spec", "f:ref", "f:tag"];
        let hands = self.hands((&known, "/spec/ref/tag"), &path, (&manager, &mine));
        let appliers: Vec<&Kustomization> = self.appliers(object).collect();
        let feeds = appliers.iter().any(|applier| self.applies(applier));
        let set = |value: &Option<String>| value.as_deref().is_some_and(|v| !v.is_empty());
        let outranked = [("digest", &reference.digest), ("semver", &reference.semver)];
        let outranked = outranked.into_iter().find(|(_, value)| set(value));
        let precedence = outranked.map(|(by, _)| Trouble::Precedence { field: field.clone(), by });
        let applied = self.fetched(object, reference.tag.as_deref(), &appliers);
        let trouble = self.trouble(&object.metadata, &field, &mine, object.spec.suspend);
        let trouble = trouble.or(precedence);
        let value = reference.tag;
        self.binding(&object.metadata, (field, manager, value), hands, (feeds, trouble, applied))
    }

    fn binding(
        &self,
        meta: &ObjectMeta,
        (field, manager, value): (Field, String, Option<String>),
        hands: Hands,
        (feeds, trouble, applied): (bool, Option<Trouble>, Applied),
    ) -> Binding {
        let annotation = |key: &str| meta.annotations.as_ref().and_then(|all| all.get(key));
        let timing = match annotation(keys::DELIVER).map(String::as_str) {
            None | Some("Start") => Ok(false),
            Some("Promoted") => Ok(true),
            Some(other) => Err(Trouble::Invalid {
                object: field.to_string(),
                why: format!(
                    "annotation {} is {:?}; write Start or Promoted",
                    keys::DELIVER,
                    excerpt(other)
                ),
            }),
        };
        let Hands { ours, yields, rival, setter } = hands;
        Binding {
            field,
            uid: meta.uid.clone().unwrap_or_default(),
            resource_version: meta.resource_version.clone().unwrap_or_default(),
            value,
            manager,
            ours,
            yields,
            rival,
            setter,
            feeds,
            promoted: timing.clone().unwrap_or_default(),
            trouble: trouble.or(timing.err()),
            applied,
            requested: annotation(keys::FLUX_REQUEST).cloned().unwrap_or_default(),
        }
    }

    /// The Rollout as field managers tell it apart.
    fn hash(&self) -> String {
        hash(&self.own)
    }

    /// What keeps a field from being written, whatever its value.
    fn trouble(
        &self,
        meta: &ObjectMeta,
        field: &Field,
        mine: &Mine,
        suspended: bool,
    ) -> Option<Trouble> {
        let object = format!("{} {}/{}", field.kind.as_str(), field.namespace, field.name);
        let namespace = meta.namespace.as_deref().unwrap_or_default();
        if namespace != self.own.namespace && !self.seen.bound.shared.contains(namespace) {
            return Some(Trouble::Denied { object });
        }
        if let Some(living) = &mine.kuberik {
            let holder = format!("the Rollout {} of {}", living.name, keys::KUBERIK_GROUP);
            return Some(Trouble::Duplicate { field: field.clone(), holder });
        }
        let other = mine.other.as_ref().and_then(|other| self.older(&other.rollout));
        if let Some(other) = other {
            let holder = format!("the older Rollout {}", other.name);
            return Some(Trouble::Duplicate { field: field.clone(), holder });
        }
        suspended.then_some(Trouble::Suspended { object })
    }

    /// Tells whether another Rollout lets the field go: it is known to be gone, or came later.
    fn yields(&self, other: &Key) -> bool {
        let lives = self.seen.bound.rivals.iter().any(|rival| Key::of(&rival.metadata) == *other);
        if lives { self.older(other).is_none() } else { self.seen.bound.gone.contains(other) }
    }

    /// The other Rollout, if there is one of that name and it came first.
    fn older(&self, other: &Key) -> Option<Key> {
        let is = |rollout: &&Rollout| {
            Key::of(&rollout.metadata) == *other && rollout.metadata.deletion_timestamp.is_none()
        };
        let rivals = self.seen.bound.rivals.iter().map(AsRef::as_ref);
        let rival = rivals.into_iter().find(is)?;
        (age(rival) < age(&self.seen.rollout)).then(|| other.clone())
    }

    /// Tells whether a field manager is that of another Rollout which does not have the field any
    /// more: the object does not name it, or it is gone, or younger.
    fn former(&self, manager: &str, own: &str, mine: &Mine) -> bool {
        let ours = self.hash();
        let Some((before, after)) = own.split_once(&ours) else { return false };
        let known = manager.strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
        let hex = |known: &&str| {
            known.len() == ours.len() && known.bytes().all(|b| b.is_ascii_hexdigit())
        };
        let Some(known) = known.filter(hex) else { return false };
        let Some(other) = mine.other.as_ref().map(|other| &other.rollout) else { return true };
        hash(other) != known || self.yields(other)
    }

    /// Who has a field.
    fn hands(
        &self,
        (object, pointer): (&Object, &str),
        path: &[&str],
        (manager, mine): (&str, &Mine),
    ) -> Hands {
        let managers = owner::managers(object.meta, |fields| holds(fields, path));
        let ours = managers.iter().any(|known| known == manager);
        let others: Vec<&String> = managers.iter().filter(|known| *known != manager).collect();
        let kept = owner::of_field(object, pointer, &self.seen.kustomizations);
        let flux = |name: &str| name == keys::FLUX_MANAGER && kept.is_none() && applied(object);
        let kuberik = |name: &str| {
            let lives = self.seen.bound.kuberik.contains(&self.own);
            name == keys::KUBERIK_MANAGER && !lives
        };
        let former = |name: &str| self.former(name, manager, mine);
        let yielding =
            |name: &str| owner::person(name) || flux(name) || kuberik(name) || former(name);
        let rival = others.iter().find(|name| !yielding(name)).map(|name| (*name).clone());
        let setter = others.iter().find(|name| !former(name)).map(|name| (*name).clone());
        let setter = setter.filter(|_| rival.is_none());
        Hands { ours, yields: !others.is_empty() && rival.is_none(), rival, setter }
    }

    /// Tells whether a Kustomization applies the Rollout itself.
    fn applies(&self, object: &Kustomization) -> bool {
        let Key { namespace, name } = &self.own;
        let id = format!("{namespace}_{name}_{}_Rollout", keys::GROUP);
        let entries = object.status.iter().filter_map(|status| status.inventory.as_ref());
        let listed = entries.flat_map(|inventory| &inventory.entries).any(|entry| entry.id == id);
        let labels = self.seen.rollout.metadata.labels.as_ref();
        let label = |key: &str| labels.and_then(|labels| labels.get(key)).map(String::as_str);
        let meta = &object.metadata;
        listed
            || label(keys::FLUX_NAME).is_some_and(|name| meta.name.as_deref() == Some(name))
                && label(keys::FLUX_NAMESPACE) == meta.namespace.as_deref()
    }

    /// The Kustomizations that apply what an OCIRepository fetches.
    fn appliers<'a>(
        &'a self,
        object: &'a OciRepository,
    ) -> impl Iterator<Item = &'a Kustomization> {
        let meta = &object.metadata;
        let applies = move |applier: &&Kustomization| {
            applier.spec.source_ref.as_ref().is_some_and(|source| {
                let own = applier.metadata.namespace.as_ref();
                source.kind == "OCIRepository"
                    && Some(&source.name) == meta.name.as_ref()
                    && source.namespace.as_ref().or(own) == meta.namespace.as_ref()
            })
        };
        self.seen.bound.appliers.iter().map(AsRef::as_ref).filter(applies)
    }

    /// How far a tag has come: fetched, and applied by all that apply it.
    fn fetched(
        &self,
        object: &OciRepository,
        tag: Option<&str>,
        appliers: &[&Kustomization],
    ) -> Applied {
        let Some(status) = &object.status else { return pending("it has no status yet") };
        let conditions = status.conditions.as_deref().unwrap_or_default();
        if let Some(why) =
            unready(&stated(conditions, status.observed_generation, &object.metadata))
        {
            return Applied::Pending(why);
        }
        let revision = status.artifact.as_ref().map(|artifact| artifact.revision.as_str());
        let fetched = revision.and_then(|revision| revision.split_once('@'));
        if fetched.map(|(fetched, _)| fetched) != tag {
            return pending("the tag is not fetched yet");
        }
        let revision = revision.unwrap_or_default();
        let of = |applier: &&Kustomization| {
            let feeds = self.applies(applier) && !self.workload;
            match progress(applier, feeds) {
                Applied::Done if !feeds => {
                    let last = applier.status.as_ref();
                    let last = last.and_then(|status| status.last_applied_revision.as_deref());
                    if last == Some(revision) {
                        return Applied::Done;
                    }
                    Applied::Pending(format!("Kustomization {} applies it", applier.name_any()))
                }
                Applied::Failed { why, since } => {
                    let tried = applier.status.as_ref();
                    let tried = tried.and_then(|s| s.last_attempted_revision.as_deref());
                    if tried == Some(revision) {
                        return Applied::Failed { why, since };
                    }
                    Applied::Pending(format!("Kustomization {} applies it", applier.name_any()))
                }
                other @ (Applied::Done | Applied::Pending(_)) => other,
            }
        };
        let all: Vec<Applied> = appliers.iter().map(of).collect();
        let failed = all.iter().find(|one| matches!(one, Applied::Failed { .. }));
        let waits = all.iter().find(|one| matches!(one, Applied::Pending(_)));
        failed.or(waits).cloned().unwrap_or(Applied::Done)
    }
}

/// A Rollout as field managers tell it apart.
fn hash(rollout: &Key) -> String {
    let text = format!("{}/{}", rollout.namespace, rollout.name);
    crate::model::template::hex(&Sha256::digest(text.as_bytes()), 10)
}

fn field(kind: TargetKind, meta: &ObjectMeta, variable: String) -> Field {
    let namespace = meta.namespace.clone().unwrap_or_default();
    Field { kind, namespace, name: meta.name.clone().unwrap_or_default(), variable }
}

/// Tells whether a Kustomization applies the object.
fn applied(object: &Object) -> bool {
    object.meta.labels.as_ref().is_some_and(|labels| labels.contains_key(keys::FLUX_NAME))
}

/// Why a variable is none.
///
/// Source: the grammar of Flux, `^[_[:alpha:]][_[:alpha:][:digit:]]*$`.
fn illegal(variable: &str) -> Option<String> {
    let first = |b: u8| b == b'_' || b.is_ascii_alphabetic();
    let next = |b: u8| first(b) || b.is_ascii_digit();
    let mut bytes = variable.bytes();
    if !bytes.next().is_some_and(first) || !bytes.all(next) {
        return Some("has to be letters, digits and _, and to begin with no digit".to_owned());
    }
    (variable.len() > VARIABLE_MAX).then(|| format!("may have at most {VARIABLE_MAX} characters"))
}

/// Tells whether a set of fields holds one. Both fields are in maps whose keys are owned one by
/// one: who has such a map without keys (`substitute: {}` in Git) has none of them.
///
/// Source: Kubernetes `FieldsV1` (structured-merge-diff).
fn holds(fields: &Value, path: &[&str]) -> bool {
    path.iter().try_fold(fields, |node, part| node.get(part)).is_some()
}

fn pending(why: &str) -> Applied {
    Applied::Pending(why.to_owned())
}

/// What a Flux object says of itself.
fn stated<'a>(conditions: &'a [Condition], observed: Option<i64>, meta: &ObjectMeta) -> Stated<'a> {
    Stated { conditions: Some(conditions), observed, generation: meta.generation }
}

/// How far a Kustomization has come at its present generation. Flux advances observedGeneration
/// only with success, so a failure is told by its condition. `inside`: whether it applies this very
/// Rollout and waits for it, so that it counts as applied once that is all it waits for.
fn progress(object: &Kustomization, inside: bool) -> Applied {
    let default = KustomizationStatus::default();
    let status = object.status.as_ref().unwrap_or(&default);
    let conditions = status.conditions.as_deref().unwrap_or_default();
    let now = present(object);
    if let Some(failed) = now.filter(|ready| ready.status == "False" && fails(&ready.reason)) {
        let since = failed.last_transition_time.as_ref().and_then(Value::as_str);
        let since = since.and_then(Timestamp::parse);
        return Applied::Failed { why: excerpt(&failed.message), since };
    }
    if inside && now.is_some_and(waits_for_objects) {
        return Applied::Done;
    }
    #[cfg(feature = "planted")]
    if active(Bug::DeliveryNotObserved) {
        return Applied::Done;
    }
    match unready(&stated(conditions, status.observed_generation, &object.metadata)) {
        None => Applied::Done,
        Some(why) => Applied::Pending(why),
    }
}

/// What a Kustomization says of its present generation.
pub fn present(object: &Kustomization) -> Option<&Condition> {
    let mut all = object.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let ready = all.find(|condition| condition.kind == "Ready");
    ready.filter(|ready| ready.observed_generation == object.metadata.generation)
}

/// Tells whether a Kustomization has applied everything and waits for that to be healthy.
pub fn waits_for_objects(ready: &Condition) -> bool {
    ready.status == "Unknown" && ready.message.to_ascii_lowercase().contains("health check")
}

/// The reasons by which Flux says that it cannot apply what it was given.
pub fn fails(reason: &str) -> bool {
    ["BuildFailed", "ReconciliationFailed", "HealthCheckFailed", "PruneFailed"].contains(&reason)
}

#[cfg(test)]
mod tests;
