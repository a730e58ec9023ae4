//! Gate: whether a release may start now. It looks at gates only, and never at the release's worth.
//!
//! The first delivery of a Rollout passes all gates by, as in kuberik; so do edits of the template:
//! whoever may write the template may do so at any time.

use crate::decide::health;
use crate::model::binding::Binding;
use crate::model::gate::{Asks, Gate, GateState};
use crate::model::hold::Hold;
use crate::model::moment::Timestamp;
use crate::model::release::ReleaseRef;
use crate::model::snapshot::Snapshot;
use crate::model::status::{Attempt, Status, Trigger};
use crate::model::version::Version;
#[cfg(feature = "planted")]
use crate::planted::{Bug, active};

/// The most gates that status shows: more would not be read by a person.
const SHOWN_MAX: usize = 32;
/// The most versions that status shows of a gate.
const VERSIONS_MAX: usize = 16;

/// Tells whether a release may start now, or the first gate that it waits for.
///
/// # Errors
/// The hold.
pub fn allows(seen: &Snapshot, release: &ReleaseRef, now: Timestamp) -> Result<(), Hold> {
    let attempt = seen.status.attempt.as_ref();
    let begun = |attempt: &Attempt| attempt.stage.open() && attempt.release.same(release);
    // Where the status is lost, what we delivered still tells that it is not the first.
    let other = |binding: &Binding| binding.ours && binding.value.as_deref() != Some(&release.tag);
    let first = attempt.is_none() && !seen.bindings.iter().any(other);
    if first || attempt.is_some_and(begun) {
        return Ok(()); // The first delivery, or one that is on its way.
    }
    let bypass = seen.status.bypass.as_ref();
    #[cfg(feature = "planted")]
    if active(Bug::GatesUnasked) {
        return Ok(());
    }
    if !bypass.is_some_and(|bypass| names(&bypass.version, release)) {
        seen.gates.iter().try_for_each(|gate| passes(gate, release, now))?;
        rested(seen, now)?;
    }
    health::allows(seen)
}

/// One attempt for each `spec.releaseUpdateInterval`.
fn rested(seen: &Snapshot, now: Timestamp) -> Result<(), Hold> {
    let Some(interval) = seen.spec.release_interval else { return Ok(()) };
    let status = &seen.status;
    let by_itself = |trigger: Trigger| trigger != Trigger::Template;
    let present = status.attempt.iter().map(|attempt| (attempt.trigger, attempt.started_at));
    let before = status.history.iter().map(|entry| (entry.trigger, entry.started_at));
    let starts = present.chain(before).filter(|(trigger, _)| by_itself(*trigger));
    let Some(last) = starts.map(|(_, at)| at).max() else { return Ok(()) };
    let until = last + interval;
    if until <= now { Ok(()) } else { Err(Hold::ReleaseInterval { until }) }
}

/// Tells whether a gate lets a release through.
fn passes(gate: &Gate, release: &ReleaseRef, now: Timestamp) -> Result<(), Hold> {
    let closed = |why: String, until| Err(Hold::GateClosed { gate: gate.name.clone(), why, until });
    match &gate.asks {
        Asks::Passing { passing: false, turns_at, .. } => {
            closed("it lets nothing through".to_owned(), turns_at.filter(|at| now < *at))
        }
        // Late is not open: what its schedule says counts, whether or not it was written yet.
        Asks::Passing { turns_at: Some(at), .. } if *at <= now => {
            closed("its schedule is about to close it".to_owned(), None)
        }
        Asks::Passing { allowed: Some(allowed), .. }
            if !allowed.iter().any(|version| names(version, release)) =>
        {
            closed(format!("it allows {}, not {}", listed(allowed.iter()), said(release)), None)
        }
        Asks::Passing { .. } => Ok(()),
        Asks::Approval { approved } => {
            if approved.as_ref().is_some_and(|version| names(version, release)) {
                return Ok(());
            }
            Err(Hold::NotApproved { gate: gate.name.clone(), version: said(release) })
        }
        Asks::Other { rollout, lasting, runs } => match runs {
            Ok(ran) if same(&ran.release, release) => {
                let until = ran.since + *lasting;
                if until <= now {
                    return Ok(());
                }
                closed(format!("{rollout} has to run it for {lasting}"), Some(until))
            }
            Ok(ran) => closed(
                format!("{rollout} runs {}, not {}", said(&ran.release), said(release)),
                None,
            ),
            Err(why) => closed(why.clone(), None),
        },
        Asks::Signature { verified } => match verified {
            Ok(tag) if *tag == release.tag => Ok(()),
            Ok(tag) => closed(
                format!("Flux verified the signature of {tag}, not of {}", said(release)),
                None,
            ),
            Err(why) => closed(why.clone(), None),
        },
        Asks::Unusable(why) => closed(why.clone(), None),
    }
}

/// Tells whether a text is the tag or the version of a release.
pub fn names(text: &str, release: &ReleaseRef) -> bool {
    let version = || Version::from_tag(text).is_ok_and(|v| v.to_string() == release.version);
    !text.is_empty() && (text == release.tag || (!release.version.is_empty() && version()))
}

/// Tells whether two Rollouts speak of one release: the same version, and not two digests.
fn same(one: &ReleaseRef, other: &ReleaseRef) -> bool {
    let digests = [&one.digest, &other.digest];
    let known = digests.iter().all(|digest| !digest.is_empty());
    let version = !one.version.is_empty() && one.version == other.version;
    let tag = !one.tag.is_empty() && one.tag == other.tag;
    (version || tag) && (!known || one.digest == other.digest)
}

/// A release in one word.
fn said(release: &ReleaseRef) -> String {
    let words = [&release.version, &release.tag, &release.image];
    words.into_iter().find(|word| !word.is_empty()).cloned().unwrap_or_default()
}

fn listed<'a>(versions: impl ExactSizeIterator<Item = &'a String>) -> String {
    match versions.len() {
        0 => "no version".to_owned(),
        _ => versions.take(VERSIONS_MAX).cloned().collect::<Vec<_>>().join(", "),
    }
}

/// How the gates stand.
pub fn states(seen: &Snapshot, now: Timestamp) -> Vec<GateState> {
    seen.gates.iter().take(SHOWN_MAX).map(|gate| state(seen, gate, now)).collect()
}

fn state(seen: &Snapshot, gate: &Gate, now: Timestamp) -> GateState {
    let offered = seen.offer.newest_first().next();
    let offered = offered.map(|release| ReleaseRef::of(&release.image));
    let (passing, allowed) = match &gate.asks {
        Asks::Passing { passing, allowed, turns_at } => {
            let over = turns_at.is_some_and(|at| at <= now);
            let few = |all: &std::collections::BTreeSet<String>| {
                all.iter().take(VERSIONS_MAX).cloned().collect()
            };
            (*passing && !over, allowed.as_ref().map(few))
        }
        Asks::Approval { approved } => (true, Some(approved.iter().cloned().collect())),
        Asks::Other { lasting, runs, .. } => {
            let there = runs.as_ref().ok().filter(|ran| ran.since + *lasting <= now);
            (true, Some(there.map(|ran| said(&ran.release)).into_iter().collect()))
        }
        Asks::Signature { verified } => (true, Some(verified.iter().cloned().collect())),
        Asks::Unusable(_) => (false, None),
    };
    let bypass = seen.status.bypass.as_ref();
    let bypassed = bypass.is_some_and(|b| offered.as_ref().is_some_and(|o| names(&b.version, o)));
    let hold = offered.as_ref().and_then(|offered| passes(gate, offered, now).err());
    let message = match hold {
        Some(hold) => hold.message(),
        None => String::new(),
    };
    GateState { name: gate.name.clone(), passing, allowed, message, bypassed }
}

/// An attempt at the version begins: it was for this one.
pub fn used(status: &mut Status, release: &ReleaseRef) {
    if status.bypass.as_ref().is_some_and(|bypass| names(&bypass.version, release)) {
        status.bypass = None;
    }
}

#[cfg(test)]
mod tests;
