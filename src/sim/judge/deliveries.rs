//! Deliveries: what is written into bound fields of Flux objects (S8, S15, S22), when a release
//! counts as delivered and healthy (S13), and how long it bakes (S19).

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use serde_json::Value;

use crate::api::keys;
use crate::model::moment::{Duration, Timestamp};
use crate::sim::judge::drain::CLOCKS_OFF;
use crate::sim::judge::facts::rollout::Rollout;
use crate::sim::judge::facts::status::Stage;
use crate::sim::judge::found::Found;
use crate::sim::judge::read::{at, list, text};
use crate::sim::judge::scene::{Case, Fresh, Name, Scene, Seen};

/// States of an object that are kept: more than a watch is ever behind.
const STATES_MAX: usize = 64;

/// The kinds that bind fields.
pub const BOUND: [&str; 2] = ["kustomizations", "ocirepositories"];

/// What is known of Flux objects, and since when releases bake.
#[derive(Debug, Default)]
pub struct Deliveries {
    /// By kind and name: the last states, the newest at the end.
    objects: BTreeMap<(&'static str, Name), VecDeque<Arc<Value>>>,
    /// By Rollout: attempt, since when its bake runs by the true clock, and who said so.
    bakes: BTreeMap<Name, (i64, Timestamp, Option<String>)>,
}

/// A field that an annotation binds: the Rollout's name and the path of the field.
fn claims(resource: &str, object: &Value) -> Vec<(Name, Vec<String>)> {
    let own = text(object, &["metadata", "namespace"]);
    let annotations = at(object, &["metadata", "annotations"]).and_then(Value::as_object);
    let path = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let claim = |(key, value): (&String, &Value)| {
        let value = value.as_str()?;
        let (namespace, name) = value.split_once('/').unwrap_or((own, value));
        let field = match resource {
            "ocirepositories"
                if [keys::BIND_TAG, keys::BIND_TAG_KUBERIK].contains(&key.as_str()) =>
            {
                path(&["spec", "ref", "tag"])
            }
            "kustomizations" => {
                let prefixes = [keys::BIND_VARIABLE, keys::BIND_VARIABLE_KUBERIK];
                let rest = prefixes.into_iter().find_map(|prefix| key.strip_prefix(prefix))?;
                let variable = rest.strip_suffix(".from")?;
                path(&["spec", "postBuild", "substitute", variable])
            }
            _ => return None,
        };
        Some(((namespace.to_owned(), name.to_owned()), field))
    };
    annotations.into_iter().flatten().filter_map(claim).collect()
}

/// An object without the fields that are bound, for which others answer.
pub fn unbound(resource: &str, object: &Value) -> Value {
    let mut object = object.clone();
    for (_, path) in claims(resource, &object) {
        let Some((last, parents)) = path.split_last() else { continue };
        let mut depth = parents.len();
        take(&mut object, parents, last);
        // A whole that is left empty was made for the field.
        while depth > 1 {
            let (parent, above) = (parents.get(depth - 1), parents.get(..depth - 1));
            let (Some(parent), Some(above)) = (parent, above) else { break };
            let pointer = above.iter().map(|word| format!("/{word}")).collect::<String>();
            let Some(whole) = object.pointer_mut(&pointer).and_then(Value::as_object_mut) else {
                break;
            };
            if whole.get(parent).and_then(Value::as_object).is_none_or(|rest| !rest.is_empty()) {
                break;
            }
            whole.remove(parent);
            depth -= 1;
        }
    }
    object
}

fn take(object: &mut Value, parents: &[String], last: &str) {
    let pointer = parents.iter().map(|word| format!("/{word}")).collect::<String>();
    if let Some(whole) = object.pointer_mut(&pointer).and_then(Value::as_object_mut) {
        whole.remove(last);
    }
}

fn value<'a>(object: &'a Value, path: &[String]) -> Option<&'a str> {
    path.iter().try_fold(object, |value, key| value.get(key))?.as_str()
}

impl Deliveries {
    /// Looks at a change.
    pub fn see(&mut self, case: &Case<'_>, found: &mut Found) {
        let resource = case.change.place.resource;
        let name = (case.namespace().to_owned(), case.name().to_owned());
        if let Some(resource) = BOUND.into_iter().find(|bound| *bound == resource) {
            if case.controller().is_some() {
                written(case, found);
            }
            let states = self.objects.entry((resource, name)).or_default();
            match &case.change.after {
                Some(object) => states.push_back(Arc::clone(object)),
                None => states.clear(),
            }
            if states.len() > STATES_MAX {
                states.pop_front();
            }
            return;
        }
        if !matches!(case.fresh, Fresh::Rollout(_)) {
            return;
        }
        let Some((was, is)) = case.own().filter(|(was, is)| was.status != is.status) else {
            return;
        };
        self.bakes(case, (&name, was, is), found);
    }

    fn bakes(
        &mut self,
        case: &Case<'_>,
        (name, was, is): (&Name, &Rollout, &Rollout),
        found: &mut Found,
    ) {
        let (Some(old), Some(new)) = (was.open(), &is.status.attempt) else { return };
        if new.number != old.number || old.stage() != Stage::Baking {
            return;
        }
        let begins = old.bake_start_time.is_none() && new.bake_start_time.is_some();
        let ends = new.stage() == Stage::Completed;
        let at = case.change.at;
        if begins {
            let by = case.controller().map(str::to_owned);
            // By a clock that is ahead nobody knows when it was said.
            let said = new.bake_start_time.as_deref().and_then(Timestamp::parse);
            let since = said.filter(|said| *said <= at).unwrap_or(at);
            self.bakes.insert(name.clone(), (new.number, since, by));
        }
        let marked = format!("mark-successful {}/0", new.number);
        if ends && was.accepted.as_ref() == Some(&marked) {
            return; // A person takes it for a success: that needs neither proof nor time.
        }
        if (begins || ends) && old.bake_start_time.is_none() {
            let late = self.unapplied(name, &new.release.tag);
            found.unless(late.is_none(), "S13", || {
                format!("{}: attempt {} counts as delivered: {late:?}", is.name, new.number)
            });
        }
        let Some(length) = is.spec.bake.filter(|_| ends) else { return };
        let known = self.bakes.get(name).filter(|(number, ..)| *number == new.number);
        let Some((_, began, by)) = known else { return };
        let off = if by.as_deref() == case.controller() { Duration::ZERO } else { CLOCKS_OFF };
        let edited = was.spec.bake != is.spec.bake;
        let stood = at.since(*began);
        let enough = length.millis() <= stood.millis().saturating_add(off.millis());
        found.unless(enough || edited, "S19", || {
            format!("{}: attempt {} baked for {stood}, not {length}", is.name, new.number)
        });
    }

    /// L1: at rest every bound field holds what runs.
    pub fn end(&self, scene: &Scene, found: &mut Found) {
        for ((resource, name), states) in &self.objects {
            let Some(object) = states.back() else { continue };
            for (rollout, path) in claims(resource, object) {
                let Some(is) = scene.rollout(&rollout) else { continue };
                let Some(attempt) = &is.status.attempt else { continue };
                let still = is.spec.paused || is.deleting || attempt.open() || !is.usable();
                if still || is.status.waits() {
                    continue;
                }
                let stable = is.status.stable.as_ref().map(|side| side.release.tag.as_str());
                let runs = if attempt.kept { Some(attempt.release.tag.as_str()) } else { stable };
                let there = value(object, &path);
                found.unless(runs.is_none() || runs == there, "L1", || {
                    format!("{resource} {} {}: {there:?}, not {runs:?}", name.1, path.join("."))
                });
            }
        }
    }

    /// An object that binds a field to the Rollout and never had the tag applied, as far as is
    /// known.
    fn unapplied(&self, rollout: &Name, tag: &str) -> Option<String> {
        let late = |((resource, name), states): (&(&'static str, Name), &VecDeque<Arc<Value>>)| {
            let here = |object: &Arc<Value>| {
                let all = claims(resource, object).into_iter();
                all.filter(|(of, _)| of == rollout).map(|(_, path)| path).collect::<Vec<_>>()
            };
            let last = states.back()?;
            let paths = here(last);
            let whole = states.len() < STATES_MAX;
            let done = |path: &Vec<String>| {
                states.iter().any(|state| value(state, path) == Some(tag) && is_applied(state, tag))
            };
            let paths = paths.into_iter().filter(|path| whole && !done(path));
            let missing = paths.map(|path| path.join(".")).next()?;
            Some(format!("{resource} {}/{} {missing} is not applied with {tag}", name.0, name.1))
        };
        self.objects.iter().find_map(late)
    }
}

/// Whether Flux says that it applied an object as it is.
fn is_applied(object: &Value, tag: &str) -> bool {
    let generation = at(object, &["metadata", "generation"]);
    let observed = at(object, &["status", "observedGeneration"]);
    let ready = list(object, &["status", "conditions"]).iter().any(|condition| {
        text(condition, &["type"]) == "Ready" && text(condition, &["status"]) == "True"
    });
    let revision = text(object, &["status", "artifact", "revision"]);
    let fetched = revision.is_empty() || revision.split('@').next() == Some(tag);
    generation == observed && ready && fetched
}

/// S8, S15, S22: a bound field gets a release of the Rollout that it is bound to, and nothing
/// while that is frozen, but for the way back from what failed.
fn written(case: &Case<'_>, found: &mut Found) {
    let (Some(before), Some(after)) = (&case.change.before, &case.change.after) else { return };
    let resource = case.change.place.resource;
    let mut fields: BTreeMap<Vec<String>, Vec<Seen<'_>>> = BTreeMap::new();
    for (rollout, path) in claims(resource, after) {
        fields.entry(path).or_default().extend(case.named(&rollout));
    }
    for (path, bound) in fields {
        let (old, new) = (value(before, &path), value(after, &path));
        if old == new {
            continue;
        }
        let place = format!("{resource} {} {}", case.name(), path.join("."));
        found.unless(new.is_some(), "S8", || format!("{place} is taken away"));
        let Some(new) = new.filter(|_| !bound.is_empty()) else { continue };
        // Of several that are bound to a field one has it.
        let fits = |seen: &&Seen<'_>| seen.states().any(|state| tells(state, new));
        let fit = bound.iter().any(|seen| fits(&seen));
        found.unless(fit, "S15", || format!("{place} gets {new:?}, which is nobody's"));
        let frozen = |seen: &Seen<'_>| {
            seen.states().all(|state| state.spec.paused && !goes_back(state, old, new))
        };
        let frozen = bound.iter().filter(|seen| !fit || fits(seen)).all(frozen);
        found.unless(!frozen, "S22", || format!("{place} gets {new:?} while spec.paused"));
    }
}

/// Tells whether a tag is that of a release that the Rollout delivers.
fn tells(rollout: &Rollout, tag: &str) -> bool {
    let attempt = rollout.status.attempt.as_ref().map(|attempt| attempt.release.tag.as_str());
    let stable = rollout.status.stable.as_ref().map(|side| side.release.tag.as_str());
    [attempt, stable].contains(&Some(tag))
}

/// Tells whether a write takes what failed back.
fn goes_back(rollout: &Rollout, old: Option<&str>, new: &str) -> bool {
    let Some(attempt) = &rollout.status.attempt else { return false };
    let stable = rollout.status.stable.as_ref().map(|side| side.release.tag.as_str());
    let failed = old == Some(attempt.release.tag.as_str());
    let ways = [Stage::RollingBack, Stage::Ended];
    ways.contains(&attempt.stage()) && failed && stable == Some(new)
}

#[cfg(test)]
mod tests;
