//! Has the history of a story judged by the invariants that the simulator is judged by.
//!
//! On a real cluster it is known when a change was heard of, not when it was made, so the times
//! that the judge gets are bounded: a change was made before any later one was heard of, and one of
//! a controller before its answer came. One of somebody else is taken as made [`ARRIVAL_MAX`]
//! earlier than that, where the order allows it: what lasts from such a change to a write of a
//! controller is never found too short for the time that the change was on its way.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::sync::Arc;

use stairlock::model::moment::{Duration, Timestamp};
use stairlock::sim::history::{Change, Writer};
use stairlock::sim::judge::bindings::Reach;
use stairlock::sim::judge::{Judge, Note, Violation};

use super::history::History;
use super::proxy::ledger::{self, Word};

/// How long a change of somebody else may take until it is heard of.
const ARRIVAL_MAX: Duration = Duration::from_secs(1);
/// Changes that are shown before one that breaks something.
const SHOWN_MAX: usize = 12;

/// Judges a story that is over; tells what was broken in it.
pub async fn judge(own: &History, beside: &[Arc<History>]) -> String {
    let mut all = Vec::new();
    for history in beside.iter().map(Arc::as_ref).chain([own]) {
        match history.complete().await {
            Ok(changes) => all.extend(changes),
            Err(why) => return why,
        }
    }
    let words = ledger::words(&format!("{}-", own.namespace));
    all.sort_by_key(|change| change.revision);
    all.dedup_by_key(|change| change.revision);
    let all = ours(all, &format!("{}-", own.namespace));
    let all = in_time(all);
    let judge = told(own, &all, &words);
    let broken = judge.violations().iter();
    broken.fold(String::new(), |text, violation| text + &shown(violation, &all))
}

/// Of the Leases only those that a controller of the story competes for; a write through another
/// proxy is somebody else's.
fn ours(changes: Vec<Change>, prefix: &str) -> Vec<Change> {
    let mine = |writer: &Writer| match writer {
        Writer::Controller { identity, .. } => identity.starts_with(prefix),
        Writer::Other(_) => false,
    };
    let leases = |change: &Change| change.place.resource == "leases";
    let elects = changes.iter().any(|change| leases(change) && mine(&change.writer));
    let changes = changes.into_iter().filter(|change| elects || !leases(change));
    let named = |mut change: Change| {
        if !mine(&change.writer) && matches!(change.writer, Writer::Controller { .. }) {
            change.writer = Writer::Other("somebody".into());
        }
        change
    };
    changes.map(named).collect()
}

/// The changes with times that keep their order.
fn in_time(mut changes: Vec<Change>) -> Vec<Change> {
    let mut last = Timestamp::from_millis(i64::MAX);
    for change in changes.iter_mut().rev() {
        last = last.min(change.at);
        change.at = last;
    }
    let mut last = Timestamp::from_millis(0);
    for change in &mut changes {
        if let Writer::Other(_) = change.writer {
            let millis = change.at.millis() - i64::try_from(ARRIVAL_MAX.millis()).unwrap();
            change.at = last.max(Timestamp::from_millis(millis));
        }
        last = change.at;
    }
    changes
}

/// Tells a judge everything in its order.
fn told(own: &History, all: &[Change], words: &[(Arc<str>, Timestamp, Word)]) -> Judge {
    let mut judge = Judge::new();
    let abroad = |word: &Word| matches!(word, Word::Begun { abroad: true, .. });
    let whole = words.iter().any(|(_, _, word)| matches!(word, Word::Begun { whole: true, .. }));
    judge.note(Note::Reach(Reach {
        namespaces: (!whole).then(|| BTreeSet::from([own.namespace.clone()])),
        foreign_sources: words.iter().any(|(_, _, word)| abroad(word)),
    }));
    // Where nothing was disturbed, all has to happen in time from the beginning on.
    let calm = words.iter().all(|(_, _, word)| matches!(word, Word::Begun { .. }));
    let notes = words.iter().filter_map(|(identity, at, word)| match word {
        Word::Begun { .. } => calm.then_some((*at, Note::Calm { at: *at })),
        Word::Crashed => Some((*at, Note::Crashed { identity: Arc::clone(identity), at: *at })),
        Word::Failed(place) => Some((*at, Note::Failed { place: place.clone(), at: *at })),
        Word::Told | Word::Disturbed => None,
    });
    let mut notes = notes.peekable();
    for change in all {
        while let Some((_, note)) = notes.next_if(|(at, _)| *at <= change.at) {
            judge.note(note);
        }
        judge.see(change);
    }
    notes.for_each(|(_, note)| judge.note(note));
    judge.end(ledger::now());
    judge
}

/// What is broken, with the changes that led to it.
fn shown(violation: &Violation, all: &[Change]) -> String {
    let Violation { invariant, revision, at, message } = violation;
    let mut text = format!("\n{invariant} at revision {revision}, {at}: {message}");
    let until = all.partition_point(|change| change.revision <= *revision);
    for change in &all[until.saturating_sub(SHOWN_MAX)..until] {
        let Change { revision, at, place, .. } = change;
        let writer = match &change.writer {
            Writer::Controller { identity, .. } => format!("controller {identity}"),
            Writer::Other(name) => name.to_string(),
        };
        let what = match (&change.before, &change.after) {
            (None, _) => "created",
            (_, None) => "deleted",
            (Some(_), Some(_)) => "changed",
        };
        let (resource, name) = (place.resource, &place.name);
        let _ = write!(text, "\n  {revision} {at} {resource}/{name} {what} by {writer}");
    }
    text
}
