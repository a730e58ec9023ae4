//! Write: create, replace, patch, apply and delete, as requests ask for them.

use std::sync::Arc;

use hyper::body::Bytes;
use serde_json::{Value, json};

use crate::sim::cluster::feed::{Stored, json_text};
use crate::sim::cluster::garbage::{FOREGROUND, ORPHAN};
use crate::sim::cluster::write::{Claim, Draft, Going, Outcome, Run};
use crate::sim::cluster::{Actor, Cluster};
use crate::sim::history::Place;
use crate::sim::resource::Resource;
use crate::sim::rules::managed::{Conflict, Managers, Writing};
use crate::sim::rules::problem::Problem;
use crate::sim::rules::schema::registry::known;
use crate::sim::rules::settle::Part;
use crate::sim::rules::{kinds, meta, settle, validate};
use crate::sim::server::failure::{Failure, MODIFIED};
use crate::sim::server::patch::Patch;
use crate::sim::server::{body, options, typed};

/// How long a pod is given that is deleted without a word about that, in seconds.
const GRACE: u64 = 30;

/// A write to one object.
#[derive(Debug)]
pub struct Write<'a> {
    /// The cluster.
    pub cluster: &'a Cluster,
    /// Who writes.
    pub actor: &'a Actor,
    /// The resource.
    pub resource: &'static Resource,
    /// The object.
    pub place: &'a Place,
    /// The part.
    pub part: Part,
    /// Whether it is stored.
    pub run: Run,
    /// What becomes of fields that are not known.
    pub unknown: Unknown,
}

/// What becomes of fields that are not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unknown {
    /// They are dropped.
    Dropped,
    /// They are dropped, and the answer warns of it.
    Warned,
    /// The write is refused.
    Refused,
}

/// What was written, and whether that is new.
#[derive(Debug)]
pub struct Written {
    /// The object.
    pub stored: Arc<Stored>,
    /// Whether it was created.
    pub created: bool,
    /// What the answer warns of.
    pub warnings: Vec<String>,
}

impl Written {
    /// An object that was there.
    pub fn there(stored: Arc<Stored>) -> Self {
        Self { stored, created: false, warnings: Vec::new() }
    }
}

impl Write<'_> {
    /// Creates the object.
    ///
    /// # Errors
    /// [`Failure`] 409, 422, 500.
    pub fn create(&self, mut object: Value) -> Result<Written, Failure> {
        if meta::text(&object, "resourceVersion").is_some_and(|text| !text.is_empty()) {
            let message = "resourceVersion should not be set on objects to be created";
            return Err(Failure::new(500, "", message));
        }
        settle::shape(self.resource, &mut object);
        let claim = told(&object).map_or(Claim::Change, Claim::ChangeFrom);
        self.start(object, claim)
    }

    fn start(&self, mut object: Value, claim: Claim) -> Result<Written, Failure> {
        let Self { cluster, actor, resource, place, run, .. } = *self;
        meta::set(&mut object, "managedFields", None);
        meta::set(&mut object, "name", Some(json!(place.name)));
        let namespace = Some(json!(place.namespace)).filter(|_| resource.namespaced());
        meta::set(&mut object, "namespace", namespace);
        if !cluster.has_namespace(&place.namespace) {
            return Err(Failure::no_namespace(&place.namespace));
        }
        settle::unstarted(resource, &mut object);
        let problems = validate::create(resource, &object);
        if !problems.is_empty() {
            return Err(self.invalid(&object, &problems));
        }
        let warnings = kinds::warnings(resource.plural, &object);
        let stored = cluster.add(actor, place, Draft { object, claim }, run)?;
        Ok(Written { stored, created: true, warnings })
    }

    fn invalid(&self, object: &Value, problems: &[Problem]) -> Failure {
        // The server names the kind that the object says it is.
        let kind = object.get("kind").and_then(Value::as_str).unwrap_or(self.resource.kind);
        // To the server an event is one of the core group.
        let group = if kind == "Event" { "" } else { self.resource.group };
        Failure::invalid(group, kind, &self.place.name, problems)
    }

    /// Replaces the object.
    ///
    /// # Errors
    /// [`Failure`] 400, 404, 409, 422.
    pub fn replace(&self, mut object: Value) -> Result<Written, Failure> {
        self.check_names(&object)?;
        let missing = self.cluster.stored(self.place).is_none();
        let creates = ["services", "leases", "events"].contains(&self.resource.plural);
        if missing && creates && self.part == Part::Main {
            if let Some(uid) = meta::text(&object, "uid").filter(|uid| !uid.is_empty()) {
                return Err(self.other(uid, ""));
            }
            meta::set(&mut object, "resourceVersion", None);
            return self.create(object);
        }
        settle::shape(self.resource, &mut object);
        let base = told(&object);
        self.edit(|before| {
            let uid = meta::text(&object, "uid").unwrap_or_default();
            let own = meta::text(&before.value, "uid").unwrap_or_default();
            if !uid.is_empty() && uid != own {
                return Err(self.other(uid, own));
            }
            Ok((object, base.map_or(Claim::Change, Claim::ChangeFrom)))
        })
    }

    /// The object is another one than the write means.
    fn other(&self, uid: &str, own: &str) -> Failure {
        let Self { resource, place, .. } = self;
        let key = format!("{}/{}/{}", resource.registry(), place.namespace, place.name);
        let why = format!(
            "StorageError: invalid object, Code: 4, Key: {key}, ResourceVersion: 0, \
             AdditionalErrorMsg: Precondition failed: UID in precondition: {uid}, UID in object \
             meta: {own}"
        );
        Failure::conflict(resource, resource.plural, &place.name, &why)
    }

    /// Changes the object by a patch.
    ///
    /// # Errors
    /// [`Failure`] 400, 404, 409, 422.
    pub fn patch(&self, patch: Patch, bytes: &Bytes) -> Result<Written, Failure> {
        // Only a patch that speaks of them has to see who manages what.
        let speaks = bytes.windows(13).any(|window| window == b"managedFields");
        let mut warnings = Vec::new();
        let mut written = self.edit(|before| {
            let mut object = if speaks { before.whole() } else { (*before.value).clone() };
            patch.apply(&known(self.resource).schema, &mut object)?;
            let refused = |why: &str| {
                let problem = Problem::invalid("patch", &json!(object.to_string()), why);
                Failure::invalid("", "", "", &[problem])
            };
            if let Some(why) = body::misfit(self.resource, &object) {
                return Err(refused(&why));
            }
            if self.unknown != Unknown::Dropped {
                warnings = body::strange(self.resource, &object, None);
            }
            if self.unknown == Unknown::Refused && !warnings.is_empty() {
                return Err(refused(&format!("strict decoding error: {}", warnings.join(", "))));
            }
            self.check_names(&object)?;
            settle::shape_part(self.resource, self.part, &mut object);
            let base = if speaks { told(&object) } else { None };
            Ok((object, base.map_or(Claim::Change, Claim::ChangeFrom)))
        })?;
        written.warnings.extend(warnings);
        Ok(written)
    }

    /// Applies an object to the one that is there, or creates it.
    ///
    /// # Errors
    /// [`Failure`] 400, 404, 409, 422.
    pub fn apply(&self, applied: Value, force: bool) -> Result<Written, Failure> {
        let resource = self.resource;
        typed::check_kind(resource, &applied)?;
        if applied.pointer("/metadata/managedFields").is_some_and(|fields| !fields.is_null()) {
            return Err(Failure::bad("metadata.managedFields must be nil"));
        }
        typed::check(resource, &applied)?;
        let known = known(resource);
        let time = self.cluster.seconds();
        let writing = Writing {
            manager: &self.actor.manager,
            api_version: &resource.api_version(),
            subresource: self.part.name(),
            time: &time,
            reset: settle::reset(resource, self.part),
        };
        let merged = |managers: Managers, live: &Value| {
            let applied = managers.apply(&known.schema, &writing, live, &applied, force);
            applied.map_err(|conflicts| conflict(&conflicts))
        };
        if self.cluster.stored(self.place).is_none() {
            if self.part != Part::Main {
                return Err(Failure::absent(resource, &self.place.name));
            }
            let made = merged(Managers::default(), &known.empty)?;
            let mut object = made.object;
            if let Some(uid) = meta::text(&object, "uid").filter(|uid| !uid.is_empty()) {
                let why = format!(
                    "uid mismatch: the provided object specified uid {uid}, and no existing object \
                     was found"
                );
                let (plural, name) = (resource.plural, &self.place.name);
                return Err(Failure::conflict(resource, plural, name, &why));
            }
            self.check_names(&object)?;
            settle::shape(resource, &mut object);
            return self.start(object, Claim::Told(made.managers));
        }
        self.edit(|before| {
            let managers = before.managers.clone();
            let managers =
                managers.before_apply(&known.schema, &writing, &known.empty, &before.value);
            let made = merged(managers, &before.value)?;
            let mut object = made.object;
            self.check_names(&object)?;
            settle::shape(resource, &mut object);
            Ok((object, Claim::Told(made.managers)))
        })
    }

    /// Stores what `make` makes of the object, if that comes from its last version.
    fn edit(
        &self,
        make: impl FnOnce(&Stored) -> Result<(Value, Claim), Failure>,
    ) -> Result<Written, Failure> {
        let Self { cluster, actor, resource, place, part, run, .. } = *self;
        let number = cluster.revision();
        let outcome = cluster.edit(actor, place, part, run, |before| {
            let (mut object, claim) = make(before)?;
            let version = meta::text(&object, "resourceVersion").unwrap_or_default();
            let own = meta::text(&before.value, "resourceVersion").unwrap_or_default();
            let lax = known(resource).builtin && resource.plural != "leases";
            if version.is_empty() && !lax {
                let problem = Problem::invalid(
                    "metadata.resourceVersion",
                    &json!(0),
                    "must be specified for an update",
                );
                let (group, plural) = (resource.group, resource.plural);
                return Err(Failure::invalid(group, plural, &place.name, &[problem]));
            }
            if !version.is_empty() && version != own {
                let plural = resource.plural;
                return Err(Failure::conflict(resource, plural, &place.name, MODIFIED));
            }
            settle::update(resource, part, &before.value, &mut object, number);
            meta::set(&mut object, "managedFields", None);
            if object != *before.value {
                let problems = validate::update(resource, part, &before.value, &object);
                if !problems.is_empty() {
                    return Err(self.invalid(&object, &problems));
                }
            }
            Ok(Draft { object, claim })
        })?;
        Ok(Written::there(Arc::clone(outcome.stored())))
    }

    /// Checks that an object is the one of the path.
    fn check_names(&self, object: &Value) -> Result<(), Failure> {
        let text = |key: &str| meta::text(object, key).unwrap_or_default();
        let namespace = text("namespace");
        if !namespace.is_empty() && namespace != self.place.namespace {
            return Err(Failure::other_namespace());
        }
        let name = text("name");
        if name.is_empty() {
            return Err(Failure::bad(format!(
                "the name of the object ({} based on URL) was undeterminable: name must be \
                 provided",
                self.place.name
            )));
        }
        if name != self.place.name {
            return Err(Failure::bad(format!(
                "the name of the object ({name}) does not match the name on the URL ({})",
                self.place.name
            )));
        }
        Ok(())
    }

    /// Deletes the object; returns what is left of it, or the last version if nothing is.
    ///
    /// # Errors
    /// [`Failure`] 404, 409, 422.
    pub fn delete(&self, options: &Value) -> Result<Outcome, Failure> {
        let Self { cluster, actor, resource, place, run, .. } = *self;
        let policy = policy(options)?;
        cluster.remove(actor, place, run, |before| {
            let wanted = |key: &str| options.get("preconditions")?.get(key)?.as_str();
            let is = |key: &str| meta::text(before, key).unwrap_or_default();
            for (key, title, then) in [
                ("uid", "UID", "deleted and then recreated"),
                ("resourceVersion", "ResourceVersion", "modified"),
            ] {
                let own = is(key);
                if let Some(wanted) = wanted(key).filter(|wanted| *wanted != own) {
                    let why = format!(
                        "the {title} in the precondition ({wanted}) does not match the {title} in \
                         record ({own}). The object might have been {then}"
                    );
                    return Err(Failure::conflict(resource, resource.kind, &place.name, &why));
                }
            }
            let grace = options.get("gracePeriodSeconds").and_then(Value::as_u64);
            Ok(Going { grace: graceful(resource, before, grace), finalizers: left(before, policy) })
        })
    }
}

/// What is to become of dependents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Policy {
    Unsaid,
    Background,
    Foreground,
    Orphan,
}

fn policy(options: &Value) -> Result<Policy, Failure> {
    let said = options.get("propagationPolicy").filter(|policy| !policy.is_null());
    if let Some(orphan) = options.get("orphanDependents").and_then(Value::as_bool) {
        if let Some(said) = said {
            let detail = "orphanDependents and deletionPropagation cannot be both set";
            let problem = Problem::invalid("propagationPolicy", said, detail);
            options::refuse("DeleteOptions", vec![problem])?;
        }
        return Ok(if orphan { Policy::Orphan } else { Policy::Background });
    }
    match options.get("propagationPolicy").and_then(Value::as_str) {
        None => Ok(Policy::Unsaid),
        Some("Background") => Ok(Policy::Background),
        Some("Foreground") => Ok(Policy::Foreground),
        Some("Orphan") => Ok(Policy::Orphan),
        Some(other) => {
            let known = ["Foreground", "Background", "Orphan", "nil"];
            let problem = Problem::unsupported("propagationPolicy", &json!(other), &known);
            options::refuse("DeleteOptions", vec![problem]).map(|()| Policy::Unsaid)
        }
    }
}

/// The finalizers of an object that goes, if the policy changes them.
fn left(before: &Value, policy: Policy) -> Option<Vec<Value>> {
    if meta::has(before, "deletionTimestamp") && policy == Policy::Unsaid {
        return None;
    }
    let all = before.pointer("/metadata/finalizers").and_then(Value::as_array);
    let all = all.cloned().unwrap_or_default();
    let wanted = match policy {
        Policy::Unsaid => return None,
        Policy::Background => None,
        Policy::Foreground => Some(json!(FOREGROUND)),
        Policy::Orphan => Some(json!(ORPHAN)),
    };
    let ours = |finalizer: &Value| *finalizer == FOREGROUND || *finalizer == ORPHAN;
    let mut left: Vec<Value> = all.iter().filter(|one| !ours(one)).cloned().collect();
    left.extend(wanted);
    (left != all).then_some(left)
}

/// How many seconds an object is given. Only pods may have any, and only those that run get some.
fn graceful(resource: &Resource, before: &Value, wanted: Option<u64>) -> Option<u64> {
    if resource.kind != "Pod" {
        return None;
    }
    // What has been given can only be cut short.
    if let Some(given) = meta::grace(before) {
        return Some(wanted.map_or(given, |wanted| wanted.min(given)));
    }
    let text = |pointer: &str| before.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let over = ["Succeeded", "Failed"].contains(&text("/status/phase"));
    if text("/spec/nodeName").is_empty() || over {
        return Some(0);
    }
    let own = before.pointer("/spec/terminationGracePeriodSeconds").and_then(Value::as_u64);
    wanted.or(own).or(Some(GRACE))
}

/// The entries that an object brings with it, if it brings any.
fn told(object: &Value) -> Option<Managers> {
    let entries = object.pointer("/metadata/managedFields")?;
    let all = entries.as_array()?;
    let reset = all.is_empty() || (all.len() == 1 && all.first() == Some(&json!({})));
    if reset {
        return Some(Managers::default());
    }
    Managers::from_json(entries).filter(|managers| !managers.is_empty())
}

fn conflict(conflicts: &[Conflict]) -> Failure {
    let pairs = conflicts.iter().flat_map(|one| one.paths.iter().map(|path| (&one.manager, path)));
    let pairs: Vec<(&String, &String)> = pairs.collect();
    let message = match pairs.as_slice() {
        [(manager, path)] => {
            format!("Apply failed with 1 conflict: conflict with {manager}: {path}")
        }
        all => {
            let lines = conflicts.iter().flat_map(|one| {
                let head = format!("conflicts with {}:", one.manager);
                std::iter::once(head).chain(one.paths.iter().map(|path| format!("- {path}")))
            });
            let lines: Vec<String> = lines.collect();
            format!("Apply failed with {} conflicts: {}", all.len(), lines.join("\n"))
        }
    };
    let problems: Vec<Value> = pairs
        .iter()
        .map(|(manager, path)| {
            json!({"reason": "FieldManagerConflict", "field": path,
                "message": format!("conflict with {manager}")})
        })
        .collect();
    let mut failure = Failure::new(409, "Conflict", message);
    failure.details = json!({"causes": problems}).as_object().cloned();
    failure
}

/// The answer to a delete: the object while something holds it, a `Status` when it is gone. Of
/// some kinds the object is shown even then.
pub fn deleted(resource: &Resource, outcome: &Outcome) -> Bytes {
    let stored = match outcome {
        Outcome::Kept(stored) => return stored.text(),
        Outcome::Gone(stored) if ["pods", "services"].contains(&resource.plural) => {
            return stored.text();
        }
        Outcome::Gone(stored) => stored,
    };
    let text = |key| meta::text(&stored.value, key).unwrap_or_default();
    let mut details = json!({"name": text("name"), "kind": resource.plural, "uid": text("uid")});
    if !resource.group.is_empty() {
        meta::put(&mut details, "group", Some(json!(resource.group)));
    }
    json_text(&json!({"kind": "Status", "apiVersion": "v1", "metadata": {},
        "status": "Success", "details": details}))
}
