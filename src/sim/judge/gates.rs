//! Gates: no release starts by itself through a gate that is closed for it (S24).

use std::collections::BTreeMap;

use serde_json::Value;

use crate::sim::judge::facts::rollout::Rollout;
use crate::sim::judge::facts::source::version;
use crate::sim::judge::facts::status::{Attempt, Release};
use crate::sim::judge::found::Found;
use crate::sim::judge::past::Past;
use crate::sim::judge::read::{at, list, text};
use crate::sim::judge::scene::{Case, Name};
use crate::sim::rules::selector::labels::Term;

const RESOURCE: &str = "rolloutgates";

/// The gates that are there, and were a short while ago.
#[derive(Debug, Default)]
pub struct Gates {
    all: BTreeMap<Name, Past<Gate>>,
    /// Up to which revision states were forgotten.
    forgotten: u64,
}

/// What a gate asks for, as far as its writer alone opens it.
#[derive(Debug)]
struct Gate {
    rollout: Option<String>,
    selector: Option<Value>,
    passing: bool,
    allowed: Option<Vec<String>>,
}

impl Gate {
    /// Reads a gate; one that is being deleted asks for nothing.
    fn read(object: &Value) -> Option<Self> {
        if at(object, &["metadata", "deletionTimestamp"]).is_some() {
            return None;
        }
        let versions = at(object, &["spec", "allowedVersions"]).map(|_| {
            let all = list(object, &["spec", "allowedVersions"]).iter();
            all.filter_map(Value::as_str).map(str::to_owned).collect()
        });
        Some(Self {
            rollout: at(object, &["spec", "rolloutRef", "name"])
                .and_then(Value::as_str)
                .map(str::to_owned),
            selector: at(object, &["spec", "rolloutSelector"]).cloned(),
            passing: at(object, &["spec", "passing"]) != Some(&Value::Bool(false)),
            allowed: versions,
        })
    }

    /// Whether it is for a Rollout and lets this release not through.
    fn shut(&self, rollout: &Value, release: &Release) -> bool {
        let named = self.rollout.as_deref() == Some(text(rollout, &["metadata", "name"]));
        let labels = at(rollout, &["metadata", "labels"]).unwrap_or(&Value::Null);
        let selected = self.selector.as_ref().is_some_and(|selector| selects(selector, labels));
        let allowed = self.allowed.as_ref();
        let barred = allowed.is_some_and(|all| !all.iter().any(|one| names(one, release)));
        (named || selected) && (!self.passing || barred)
    }
}

/// Whether a label selector selects what carries these labels.
fn selects(selector: &Value, labels: &Value) -> bool {
    let label = |key: &str| labels.get(key).and_then(Value::as_str);
    let equal = at(selector, &["matchLabels"]).and_then(Value::as_object);
    let mut equal = equal.into_iter().flatten();
    let term = |one: &Value| {
        let key = text(one, &["key"]).to_owned();
        let values = list(one, &["values"]).iter().filter_map(Value::as_str);
        let values = values.map(str::to_owned).collect();
        match text(one, &["operator"]) {
            "In" => Term::In(key, values),
            "NotIn" => Term::NotIn(key, values),
            "DoesNotExist" => Term::Absent(key),
            _ => Term::Exists(key),
        }
    };
    equal.all(|(key, value)| label(key) == value.as_str())
        && list(selector, &["matchExpressions"]).iter().all(|one| term(one).holds(label))
}

/// Whether a text is the tag or the version of a release.
fn names(text: &str, release: &Release) -> bool {
    let same = |one: &str, other: &str| match (version(one), version(other)) {
        (Some(one), Some(other)) => one == other,
        (_, _) => false,
    };
    text == release.tag || same(text, &release.tag)
}

impl Gates {
    /// Looks at a change.
    pub fn see(&mut self, case: &Case<'_>, found: &mut Found) {
        let change = case.change;
        let name = (case.namespace().to_owned(), case.name().to_owned());
        if change.place.resource == RESOURCE {
            let gate = change.after.as_deref().and_then(Gate::read);
            let past = self.all.entry(name).or_insert_with(Past::new);
            self.forgotten = self.forgotten.max(past.push(change.revision, change.at, gate));
            return;
        }
        let Some((was, is)) = case.own() else { return };
        let (Some(attempt), Some(rollout)) = (started(was, is), change.after.as_deref()) else {
            return;
        };
        if bypassed(change.before.as_deref(), &attempt.release)
            || case.window.told(RESOURCE).is_some_and(|told| told < self.forgotten)
        {
            return;
        }
        let from = (name.0.clone(), String::new());
        let here = self.all.range(from..).take_while(|((namespace, _), _)| *namespace == name.0);
        for ((_, gate), past) in here {
            let mut states = past.within(case.window, RESOURCE);
            let shut =
                states.all(|state| state.is_some_and(|gate| gate.shut(rollout, &attempt.release)));
            found.unless(!shut, "S24", || {
                let tag = &attempt.release.tag;
                format!("{}: {tag} starts although gate {gate} is closed for it", is.name)
            });
        }
    }
}

/// The attempt that a write begins with a release that the controller chose by itself. The first
/// delivery passes all gates by.
fn started<'a>(was: &Rollout, is: &'a Rollout) -> Option<&'a Attempt> {
    let old = was.status.attempt.as_ref()?;
    let new = is.status.attempt.as_ref()?;
    let begins = new.number != old.number && new.release != old.release;
    let chosen = new.intent.is_some() || is.chosen(&new.release.tag);
    (begins && new.trigger == "Release" && !chosen).then_some(new)
}

/// Whether a person had a release pass all gates by.
fn bypassed(rollout: Option<&Value>, release: &Release) -> bool {
    let version = rollout.map(|rollout| text(rollout, &["status", "bypass", "version"]));
    version.is_some_and(|version| names(version, release))
}

#[cfg(test)]
mod tests;
