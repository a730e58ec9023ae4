//! Bypass: the command by which one version passes gates by. It is bound to that version, and never
//! outlives an attempt at it.

use crate::decide::act::Act;
use crate::decide::gate::names;
use crate::decide::{notice, pick};
use crate::model::gate::Bypass;
use crate::model::moment::Timestamp;
use crate::model::moves::Write;
use crate::model::release::{Listed, ReleaseRef};
use crate::model::snapshot::{Offer, Snapshot};

/// Turns the annotation into what is stored, and removes it; one for a version that is no candidate
/// is dropped with a notice.
pub fn take(seen: &Snapshot, now: Timestamp) -> Option<Act> {
    let Some((key, version)) = seen.commands.bypass.first() else { return expired(seen, now) };
    if matches!(seen.offer, Offer::Nothing(_)) {
        return None; // The source may offer it in a moment.
    }
    let mut status = seen.status.clone();
    if waits(seen, version, now) {
        let known = status.bypass.as_ref().is_some_and(|bypass| bypass.version == *version);
        status.bypass = Some(Bypass { version: version.clone(), since: now });
        if !known {
            return Some(Act::Commit(Box::new(status)));
        }
    } else if notice::no_candidate(seen, &mut status, (key, version), now) {
        return Some(Act::Commit(Box::new(status)));
    }
    let remove = seen.commands.bypass.iter().map(|(key, _)| key.clone()).collect();
    Some(Act::Apply(vec![Write::TakeCommands { remove, accept: None }]))
}

/// Tells whether a version is a candidate.
fn waits(seen: &Snapshot, version: &str, now: Timestamp) -> bool {
    let is = |listed: &Listed| {
        let (tag, number) = (listed.tag.clone(), listed.version.clone());
        names(version, &ReleaseRef { tag, version: number, ..ReleaseRef::default() })
    };
    pick::candidates(seen, now).0.iter().any(is)
}

/// What passes gates by does so as long as it is a candidate.
fn expired(seen: &Snapshot, now: Timestamp) -> Option<Act> {
    let bypass = seen.status.bypass.as_ref()?;
    let known = matches!(seen.offer, Offer::Releases(_));
    if !known || waits(seen, &bypass.version, now) {
        return None;
    }
    let mut status = seen.status.clone();
    status.bypass = None;
    Some(Act::Commit(Box::new(status)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::fixture::{at, at_rest, release};
    use crate::model::hold::Hold;
    use crate::model::snapshot::Releases;
    use crate::model::status::Status;

    fn asked(version: &str, offered: &str) -> Snapshot {
        let mut seen = at_rest();
        seen.offer = Offer::Releases(Releases::one(release(offered)));
        seen.commands.bypass = vec![("bypass".to_owned(), version.to_owned())];
        seen
    }

    fn taken(act: Option<Act>) -> String {
        match act {
            Some(Act::Apply(writes)) => match writes.as_slice() {
                [Write::TakeCommands { remove, accept: None }] => remove.join(" "),
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
    }

    fn stored(act: Option<Act>) -> Status {
        match act {
            Some(Act::Commit(status)) => *status,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn it_is_taken_for_a_candidate_only() {
        let mut seen = asked("v1.1.0", "1.1.0");
        seen.status = stored(take(&seen, at(1)));
        assert_eq!(seen.status.bypass.as_ref().unwrap().version, "v1.1.0");
        assert_eq!(taken(take(&seen, at(1))), "bypass", "stored first, then removed");
        seen.commands.bypass.clear();
        assert_eq!(take(&seen, at(1)), None);
        seen.offer = Offer::Releases(Releases::one(release("1.2.0")));
        assert_eq!(stored(take(&seen, at(1))).bypass, None, "what is no candidate ends it");

        let mut seen = asked("1.0.0", "1.1.0");
        seen.status = stored(take(&seen, at(1)));
        assert_eq!(seen.status.bypass, None);
        assert_eq!(seen.status.outbox[0].reason, "CommandDropped");
        assert_eq!(taken(take(&seen, at(1))), "bypass", "told once, then removed");
        let mut seen = asked("1.1.0", "1.1.0");
        seen.offer = Offer::Nothing(Hold::NoRelease);
        assert_eq!(take(&seen, at(1)), None, "a source that is not ready may be in a moment");
    }
}
