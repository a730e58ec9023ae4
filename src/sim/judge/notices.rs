//! Notices: each stored transition is told once, and nothing is told that is not stored (S17).

use std::collections::{BTreeMap, VecDeque};

use serde_json::Value;

use crate::sim::judge::facts::rollout::{Pause, Rollout};
use crate::sim::judge::facts::status::{Attempt, Notice, Stage};
use crate::sim::judge::found::Found;
use crate::sim::judge::read::text;
use crate::sim::judge::scene::{Case, Fresh};

/// Ids of one Rollout that are remembered: an outbox holds 20.
const IDS_MAX: usize = 200;
/// The outbox drops its oldest notice beyond so many (`OUTBOX_MAX` of the controller).
const OUTBOX_MAX: usize = 20;
/// So many failed tries may end in a notice that is never sent (docs/spec/rollout.md 15).
const TRIES_MAX: u32 = 5;

/// What was to be told and what was told.
#[derive(Debug, Default)]
pub struct Notices {
    /// By the uid of the Rollout.
    known: BTreeMap<String, Known>,
}

#[derive(Debug, Default)]
struct Known {
    stored: VecDeque<String>,
    /// The sentences of these.
    sentences: BTreeMap<String, String>,
    sent: VecDeque<String>,
    /// What Events say, with their names.
    said: VecDeque<(String, String)>,
    /// Tries that failed since an Event was last created.
    failed: u32,
}

impl Notices {
    /// Looks at a change.
    pub fn see(&mut self, case: &Case<'_>, found: &mut Found) {
        if let Some((was, is)) = case.own().filter(|(was, is)| was.status != is.status) {
            self.dropped(was, is, found);
            told(case, was, is, found);
        }
        if let Fresh::Rollout(Some(is)) = case.fresh {
            let known = self.known.entry(is.uid.clone()).or_default();
            for Notice { id, message, .. } in &is.status.outbox {
                remember(&mut known.stored, id);
                let before = known.sentences.entry(id.clone()).or_insert_with(|| message.clone());
                found.unless(before == message, "S17", || {
                    format!("notice {id} tells of two things: {before:?} and {message:?}")
                });
            }
            let Known { stored, sentences, .. } = known;
            if sentences.len() > stored.len() {
                sentences.retain(|id, _| stored.contains(id));
            }
        }
        let created = case.change.before.is_none().then_some(case.change.after.as_deref());
        if let Some(Some(event)) = created.filter(|_| case.change.place.resource == "events") {
            self.event(case, event, found);
        }
    }

    /// Hears that an Event could not be created: after some tries a notice may be given up.
    pub fn failed(&mut self) {
        for known in self.known.values_mut() {
            known.failed = known.failed.saturating_add(1);
        }
    }

    /// A controller began anew: it counts its tries from there.
    pub fn forget_tries(&mut self) {
        for known in self.known.values_mut() {
            known.failed = 0;
        }
    }

    /// An Event follows its stored notice, and is the only one of it.
    fn event(&mut self, case: &Case<'_>, event: &Value, found: &mut Found) {
        let Some(known) = self.known.get_mut(text(event, &["regarding", "uid"])) else { return };
        let name = case.name();
        let id = name.rsplit('.').next().unwrap_or_default();
        // That a status is refused can be in none.
        let refused = text(event, &["reason"]) == "StatusRefused";
        let id_known = refused || known.stored.iter().any(|stored| stored == id);
        found.unless(id_known || case.controller().is_none(), "S17", || {
            format!("Event {name} tells of what is not stored")
        });
        let said = format!("{}: {}", text(event, &["reason"]), text(event, &["note"]));
        // What names its attempt is said once; a hold may come again in another attempt.
        let once = text(event, &["note"]).starts_with("attempt ");
        let twice = known.said.iter().find(|(old, other)| once && *old == said && other != name);
        found.unless(twice.is_none(), "S17", || format!("Event {name} repeats {twice:?}"));
        known.failed = 0;
        remember(&mut known.sent, id);
        known.said.push_back((said, name.to_owned()));
        if known.said.len() > IDS_MAX {
            known.said.pop_front();
        }
    }

    /// A notice leaves the outbox once it is sent.
    fn dropped(&mut self, was: &Rollout, is: &Rollout, found: &mut Found) {
        let known = self.known.entry(is.uid.clone()).or_default();
        let kept = |id: &String| is.status.outbox.iter().any(|notice| notice.id == *id);
        let full = is.status.outbox.len() >= OUTBOX_MAX;
        for Notice { id, reason, .. } in &was.status.outbox {
            let fine = kept(id) || known.sent.contains(id) || full || known.failed >= TRIES_MAX;
            found.unless(fine, "S17", || {
                format!("{}: notice {id} ({reason}) is dropped and was never sent", is.name)
            });
        }
    }
}

/// Each transition of an attempt brings its notice.
fn told(case: &Case<'_>, was: &Rollout, is: &Rollout, found: &mut Found) {
    let Some(new) = &is.status.attempt else { return };
    let mut wanted = Vec::new();
    match &was.status.attempt {
        None => {
            // With ReplicaSets it is a status that was lost: nothing began.
            if case.sets_of(&is.uid).is_empty() {
                wanted.push("AttemptStarted");
            }
        }
        Some(old) if old.number != new.number => wanted.push("AttemptStarted"),
        Some(old) => wanted.extend(of_stage(was, is, old, new)),
    }
    for reason in wanted {
        let there = is.status.outbox.iter().any(|notice| notice.reason == reason);
        found.unless(there, "S17", || {
            format!("{}: attempt {} changes and no {reason} is told", is.name, new.number)
        });
    }
}

fn of_stage(was: &Rollout, is: &Rollout, old: &Attempt, new: &Attempt) -> Option<&'static str> {
    let steps = (old.stage(), new.stage());
    if steps == (Stage::Step, Stage::Step) && new.step > old.step {
        return (new.step < was.spec.last()).then_some("StepEntered");
    }
    if steps == (Stage::Step, Stage::Step) && old.paused_at.is_none() && new.paused_at.is_some() {
        return match was.spec.step(new.step).pause {
            Pause::UntilPromoted => Some("AwaitingPromotion"),
            Pause::UntilConcluded(_) => Some("ExperimentStarted"),
            Pause::None | Pause::For(_) => None,
        };
    }
    if !old.open() || new.open() {
        return None;
    }
    match new.stage() {
        Stage::Completed => Some("AttemptCompleted"),
        Stage::Ended if new.failed() => Some("AttemptFailed"),
        Stage::Ended if new.lost() => Some("ExperimentConcluded"),
        Stage::Ended => is.status.stable.is_some().then_some("AttemptReverted"),
        Stage::First
        | Stage::Step
        | Stage::Promoting
        | Stage::Baking
        | Stage::RollingBack
        | Stage::Unknown => None,
    }
}

fn remember(ids: &mut VecDeque<String>, id: &str) {
    if ids.iter().any(|known| known == id) {
        return;
    }
    ids.push_back(id.to_owned());
    if ids.len() > IDS_MAX {
        ids.pop_front();
    }
}

#[cfg(test)]
mod tests;
