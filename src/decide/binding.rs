//! Binding: what the bound fields of Flux objects are to hold, and what keeps them from it.

use std::collections::BTreeSet;

use crate::decide::act::Act;
use crate::model::binding::{Applied, Binding, Trouble};
use crate::model::hold::Hold;
use crate::model::moment::{Duration, Timestamp};
use crate::model::moves::{Target, Write};
use crate::model::release::ReleaseRef;
use crate::model::snapshot::{Identity, Snapshot};
use crate::model::status::{Attempt, Delivered, Revert, Stage, Status, Trigger};
#[cfg(feature = "planted")]
use crate::planted::{Bug, active};

/// Targets that are remembered: more than any Rollout has, small in status.
const TARGETS_MAX: usize = 64;
/// The revert by one manager after which a value is not put back any more: the first may be an
/// accident.
const REVERTS_MAX: u32 = 2;
/// Managers whose reverts of a field are remembered: more than share one, small in status.
const REVERTERS_MAX: usize = 8;

/// The release that a bound field is to tell of, `None` where it is nobody's yet.
fn release<'a>(status: &'a Status, binding: &Binding) -> Option<&'a ReleaseRef> {
    let attempt = status.attempt.as_ref()?;
    let stable = status.stable.as_ref().map(|side| &side.release);
    let new = Some(&attempt.release);
    let by_template = attempt.trigger == Trigger::Template;
    match &attempt.stage {
        // The template came through it: it says so already.
        Stage::First { .. }
        | Stage::Step { .. }
        | Stage::Promoting { .. }
        | Stage::Baking { .. }
            if binding.feeds && by_template =>
        {
            None
        }
        Stage::First { .. } | Stage::Step { .. } | Stage::Promoting { .. }
            if binding.promoted && !binding.feeds =>
        {
            stable
        }
        Stage::First { .. } | Stage::Step { .. } | Stage::Promoting { .. } => new,
        Stage::Baking { .. } => new,
        Stage::Ended { .. } if attempt.kept => new,
        Stage::RollingBack { .. } | Stage::Completed { .. } | Stage::Ended { .. }
            if binding.feeds && by_template && !binding.ours =>
        {
            None
        }
        Stage::RollingBack { .. } | Stage::Completed { .. } | Stage::Ended { .. } => stable,
    }
}

/// What a bound field is to hold; `None`: it stays as it is.
fn wanted<'a>(status: &'a Status, binding: &Binding) -> Option<&'a str> {
    release(status, binding).map(|release| release.tag.as_str()).filter(|tag| !tag.is_empty())
}

/// Tells whether a field of the Rollout holds a value. Where another Rollout has it, the value is
/// that one's, and an equal one proves nothing.
fn holds(binding: &Binding, value: &str) -> bool {
    let others = matches!(binding.trouble, Some(Trouble::Duplicate { .. }));
    !others && binding.value.as_deref() == Some(value)
}

/// What is remembered of a field.
fn known<'a>(status: &'a Status, binding: &Binding) -> Option<&'a Delivered> {
    status.targets.iter().find(|known| known.field == binding.field && known.bound)
}

/// The manager that took a value away so often that it is not put back any more.
fn worn(known: &Delivered) -> Option<&Revert> {
    known.reverts.iter().find(|revert| REVERTS_MAX <= revert.times)
}

/// Who set the present value, empty where nobody has the field; `None`: nobody took anything away.
fn reverter(binding: &Binding) -> Option<&str> {
    match (binding.ours, binding.yields) {
        // What is ours is another release of our own, not yet remembered.
        (true, _) => None,
        (false, true) => binding.setter.as_deref(),
        (false, false) => Some(""),
    }
}

/// What keeps a field from being written.
fn trouble(status: &Status, binding: &Binding) -> Option<Trouble> {
    let field = || binding.field.clone();
    let known = known(status, binding);
    let taken = match &binding.rival {
        Some(manager) if known.is_some() => {
            Some(Trouble::Conflict { field: field(), manager: manager.clone() })
        }
        Some(manager) => Some(Trouble::Owned { field: field(), manager: manager.clone() }),
        None => known.and_then(worn).map(|revert| match revert.manager.as_str() {
            "" => Trouble::Conflict { field: field(), manager: "another manager".to_owned() },
            manager => Trouble::Insisted { field: field(), manager: manager.to_owned() },
        }),
    };
    #[cfg(feature = "planted")]
    let taken = taken.filter(|_| !active(Bug::BindingForced));
    binding.trouble.clone().or(taken)
}

/// Tells whether a frozen Rollout leaves a field as it is: all but what failed, which goes back.
fn frozen(seen: &Snapshot, binding: &Binding) -> bool {
    let goes_back = |attempt: &Attempt| match attempt.stage {
        Stage::RollingBack { .. } | Stage::Ended { .. } => {
            !attempt.kept && holds(binding, &attempt.release.tag)
        }
        Stage::First { .. }
        | Stage::Step { .. }
        | Stage::Promoting { .. }
        | Stage::Baking { .. }
        | Stage::Completed { .. } => false,
    };
    seen.spec.paused && !seen.status.attempt.as_ref().is_some_and(goes_back)
}

/// Writes what was delivered into the bound fields that do not hold it; a frozen Rollout writes
/// only what goes back.
pub fn deliver(seen: &Snapshot, now: Timestamp) -> Option<Act> {
    let status = &seen.status;
    let due: Vec<(&Binding, &str)> = seen
        .bindings
        .iter()
        .filter(|binding| !frozen(seen, binding))
        .filter_map(|binding| Some((binding, wanted(status, binding)?)))
        .filter(|(binding, value)| !holds(binding, value))
        .filter(|(binding, _)| trouble(status, binding).is_none())
        .collect();
    let reverted = due.iter().find_map(|(binding, value)| {
        let there = known(status, binding).is_some_and(|known| known.value == *value);
        Some((*binding, reverter(binding).filter(|_| there)?))
    });
    if let Some((binding, manager)) = reverted {
        return Some(counted(seen, binding, manager, now));
    }
    // A write names the object as it was seen: a second field of it comes with the next turn.
    let mut objects = BTreeSet::new();
    let once = due.into_iter().filter(|(binding, _)| objects.insert(&binding.uid));
    let writes: Vec<Write> = once.map(|(binding, value)| write(binding, value)).collect();
    let writes = if writes.is_empty() { requests(seen) } else { writes };
    (!writes.is_empty()).then_some(Act::Apply(writes))
}

/// Flux is asked, once in an attempt, to look at what it has not applied although the value was
/// there before: without another generation it would only at its next interval.
fn requests(seen: &Snapshot) -> Vec<Write> {
    let status = &seen.status;
    let Some(attempt) = &status.attempt else { return Vec::new() };
    if seen.spec.paused || !matches!(attempt.stage, Stage::Baking { since: None, .. }) {
        return Vec::new();
    }
    let due = |binding: &&Binding| {
        let stands = wanted(status, binding).is_some_and(|value| holds(binding, value));
        let old = before(status, binding, attempt.started_at);
        let behind = binding.applied != Applied::Done && binding.trouble.is_none();
        // A later request is as good: two Rollouts of one object do not outbid each other.
        let asked = Timestamp::parse(&binding.requested);
        let asked = asked.is_some_and(|at| attempt.started_at <= at);
        stands && old && behind && !asked
    };
    let request = |binding: &Binding| {
        let field = binding.field.clone();
        Write::Request { field, target: target(binding), at: attempt.started_at }
    };
    let mut objects = BTreeSet::new();
    let once = seen.bindings.iter().filter(due).filter(|binding| objects.insert(&binding.uid));
    once.map(request).collect()
}

/// A value that was there is gone: that is counted before it is put back, and only once, since what
/// is remembered is empty until it is there again.
fn counted(seen: &Snapshot, binding: &Binding, manager: &str, now: Timestamp) -> Act {
    let mut status = seen.status.clone();
    let mut all = status.targets.iter_mut();
    if let Some(known) = all.find(|known| known.field == binding.field && known.bound) {
        let value = std::mem::take(&mut known.value);
        known.since = now;
        let before = known.reverts.iter().position(|revert| revert.manager == manager);
        let before = before.map(|index| known.reverts.remove(index).times);
        if known.reverts.len() == REVERTERS_MAX {
            known.reverts.remove(0);
        }
        let times = before.unwrap_or_default().saturating_add(1);
        known.reverts.push(Revert { manager: manager.to_owned(), value, times });
    }
    Act::Commit(Box::new(status))
}

/// The reverts that still count of a field that holds its value. Those of another value do not once
/// the release that took its place has ended well.
fn counting(status: &Status, old: &Delivered, value: &str) -> Vec<Revert> {
    if worn(old).is_some() {
        return Vec::new(); // None was put back since: somebody else did that.
    }
    let stage = status.attempt.as_ref().map(|attempt| &attempt.stage);
    let stayed = matches!(stage, Some(Stage::Completed { .. }));
    let counts = |revert: &&Revert| !stayed || revert.value == value;
    old.reverts.iter().filter(counts).cloned().collect()
}

fn write(binding: &Binding, value: &str) -> Write {
    Write::Deliver {
        field: binding.field.clone(),
        target: target(binding),
        manager: binding.manager.clone(),
        value: value.to_owned(),
        force: binding.yields,
    }
}

fn target(binding: &Binding) -> Target {
    Target {
        name: binding.field.name.clone(),
        uid: binding.uid.clone(),
        resource_version: binding.resource_version.clone(),
    }
}

/// What keeps a release from being delivered, before an attempt at it begins: better now than
/// half-way up the ladder. What brings the template is not written where an edit of it begins one.
pub fn blocked(seen: &Snapshot, release: &ReleaseRef, trigger: Trigger) -> Option<Hold> {
    let written = |binding: &&Binding| !(binding.feeds && trigger == Trigger::Template);
    let differs = |binding: &&Binding| !holds(binding, &release.tag);
    let mut others = seen.bindings.iter().filter(written).filter(differs);
    others.find_map(|binding| trouble(&seen.status, binding)).map(Hold::Binding)
}

/// The bound fields that do not hold what they should and cannot be written.
pub fn troubles(seen: &Snapshot) -> Vec<Hold> {
    let status = &seen.status;
    let stuck = |binding: &Binding| {
        let value = wanted(status, binding)?;
        let trouble = trouble(status, binding).filter(|_| !holds(binding, value))?;
        Some(Hold::Binding(trouble))
    };
    seen.bindings.iter().filter_map(stuck).collect()
}

/// Tells whether the template of the Rollout arrives through what is bound.
pub fn feeds(seen: &Snapshot) -> bool {
    seen.bindings.iter().any(|binding| binding.feeds)
}

/// Tells whether anything is bound that a template does not prove.
pub fn others(seen: &Snapshot) -> bool {
    seen.bindings.iter().any(|binding| !(binding.feeds && seen.spec.workload))
}

/// What Flux still has to do until the release of the attempt is delivered.
pub fn awaited(seen: &Snapshot) -> Option<Hold> {
    let status = &seen.status;
    let waits = |binding: &Binding| {
        let object = binding.field.to_string();
        let Some(value) = wanted(status, binding) else {
            let why = "the image of the release has no tag".to_owned();
            return (!binding.feeds).then_some(Hold::AwaitingDelivery { object, why });
        };
        if !holds(binding, value) {
            let why = || format!("{value} is not written yet");
            let trouble = trouble(status, binding).map(Hold::Binding);
            return Some(trouble.unwrap_or_else(|| Hold::AwaitingDelivery { object, why: why() }));
        }
        if binding.feeds && seen.spec.workload {
            return None; // The template is the proof.
        }
        if let Some(trouble @ Trouble::Suspended { .. }) = &binding.trouble {
            return Some(Hold::Binding(trouble.clone()));
        }
        match &binding.applied {
            Applied::Done => None,
            Applied::Pending(why) | Applied::Failed { why, .. } => {
                Some(Hold::AwaitingDelivery { object, why: why.clone() })
            }
        }
    };
    seen.bindings.iter().find_map(waits).or_else(|| unbound(seen))
}

/// Nobody tells any more whether a release without pods arrived: a field of the attempt is not
/// bound any more, or none ever was.
fn unbound(seen: &Snapshot) -> Option<Hold> {
    if seen.spec.workload {
        return None;
    }
    let mut targets = seen.status.targets.iter();
    let gone = targets.find(|known| !binds(seen, known));
    let Identity { group, namespace, name, .. } = &seen.rollout;
    let (object, what) = match gone {
        Some(known) => (known.field.to_string(), "is not bound any more; bind it again"),
        None if seen.bindings.is_empty() => {
            let what = "has no bound Flux object that would deliver the release; annotate one";
            (format!("Rollout {namespace}/{name}"), what)
        }
        None => return None,
    };
    let key = format!("{group}/mark-successful");
    let why = format!("it {what}, or take the release for a success by {key}=true on the Rollout");
    Some(Hold::AwaitingDelivery { object, why })
}

/// Tells whether a field that is remembered is bound.
pub fn binds(seen: &Snapshot, known: &Delivered) -> bool {
    seen.bindings.iter().any(|binding| binding.field == known.field)
}

/// What Flux still has to do until the release of the attempt is in the template.
pub fn feeding(seen: &Snapshot) -> Option<Hold> {
    let status = &seen.status;
    let waits = |binding: &Binding| {
        let value = wanted(status, binding)?;
        let stuck = trouble(status, binding).filter(|trouble| {
            !holds(binding, value) || matches!(trouble, Trouble::Suspended { .. })
        });
        let why = match &binding.applied {
            _ if !holds(binding, value) => format!("{value} is not written yet"),
            Applied::Done => "it is applied, but the template has not the release yet".to_owned(),
            Applied::Pending(why) | Applied::Failed { why, .. } => why.clone(),
        };
        let object = binding.field.to_string();
        let hold = stuck.map(Hold::Binding);
        Some(hold.unwrap_or(Hold::AwaitingDelivery { object, why }))
    };
    seen.bindings.iter().filter(|binding| binding.feeds).find_map(waits)
}

/// What Flux says of a release of the attempt that it cannot apply.
pub fn refused(seen: &Snapshot) -> Option<String> {
    seen.bindings.iter().find_map(|binding| failed(&seen.status, binding))
}

/// What Flux says where it cannot bring the release of the attempt into the template.
pub fn unfed(seen: &Snapshot) -> Option<String> {
    let mut feeding = seen.bindings.iter().filter(|binding| binding.feeds);
    feeding.find_map(|binding| failed(&seen.status, binding))
}

fn failed(status: &Status, binding: &Binding) -> Option<String> {
    let value = wanted(status, binding)?;
    match &binding.applied {
        Applied::Failed { why, since } if holds(binding, value) => {
            let fresh = fresh(status, binding, *since);
            fresh.then(|| format!("{}: {why}", binding.field))
        }
        Applied::Failed { .. } | Applied::Done | Applied::Pending(_) => None,
    }
}

/// Tells whether a field held its value before a time, or was found to hold it just then.
fn before(status: &Status, binding: &Binding, at: Timestamp) -> bool {
    let value = binding.value.as_deref();
    known(status, binding)
        .is_some_and(|known| Some(known.value.as_str()) == value && known.since <= at)
}

/// Tells whether a failure is one of this attempt. Of a value that was there before, as where it is
/// tried again, Flux still says what it said then.
fn fresh(status: &Status, binding: &Binding, since: Option<Timestamp>) -> bool {
    let Some(attempt) = &status.attempt else { return false };
    let old = before(status, binding, attempt.started_at);
    // It is told in whole seconds.
    let again = since.is_some_and(|since| attempt.started_at < since + Duration::from_secs(1));
    !old || again
}

/// A remembered field that does not hold what it should, with what it holds instead. One that was
/// delivered and is gone is remembered until that is counted, unless another manager keeps it.
fn instead(status: &Status, (binding, old): (&Binding, &Delivered), now: Timestamp) -> Delivered {
    let uncounted = wanted(status, binding).is_none_or(|value| old.value == value);
    let kept = matches!(trouble(status, binding), Some(Trouble::Conflict { .. }));
    let value = binding.value.clone().unwrap_or_default();
    if (uncounted && !kept) || old.value == value {
        return old.clone();
    }
    Delivered { value, since: now, ..old.clone() }
}

/// The fields as they are remembered: as what they hold, and those that do not bind any more until
/// another attempt begins.
pub fn remembered(seen: &Snapshot, status: &Status, now: Timestamp) -> Vec<Delivered> {
    let left = status.targets.iter().filter(|known| !binds(seen, known));
    let left = left.map(|known| Delivered { bound: false, ..known.clone() });
    let here = seen.bindings.iter().filter_map(|binding| {
        let old = known(status, binding);
        let Some(value) = wanted(status, binding).filter(|value| holds(binding, value)) else {
            return old.map(|old| instead(status, (binding, old), now));
        };
        let same = old.filter(|old| old.value == value);
        Some(Delivered {
            field: binding.field.clone(),
            value: value.to_owned(),
            since: same.map_or(now, |old| old.since),
            reverts: old.map(|old| counting(status, old, value)).unwrap_or_default(),
            bound: true,
        })
    });
    let mut all: Vec<Delivered> = here.chain(left).collect();
    all.truncate(TARGETS_MAX);
    all
}

#[cfg(test)]
mod tests;
