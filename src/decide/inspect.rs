//! Inspect: what a HealthCheck of class `kustomization` says of what it looks at. It never takes
//! what it does not know for healthy.

use crate::model::health::{Health, MESSAGE_MAX};
use crate::model::inspection::{Entry, Inspection, Sight, Statement, Subject, Turn};
use crate::model::moment::Timestamp;
use crate::model::standing::Standing;

/// What was found.
struct Finding {
    health: Health,
    message: String,
    failed_at: Option<Timestamp>,
    /// When time alone makes it another.
    until: Option<Timestamp>,
}

/// Tells what a check does next. `fresh`: whether its objects were asked for in this turn.
pub fn next(seen: &Inspection, fresh: bool, now: Timestamp) -> Turn {
    let mut found = find(&seen.subject, now);
    found.message = found.message.chars().take(MESSAGE_MAX).collect(); // as it is read again
    let known = &seen.known;
    let healthy_at = match (&seen.subject, found.health) {
        (Subject::Applied { at, .. }, Health::Healthy) => Some(at.clone()),
        (Subject::Applied { .. } | Subject::Nothing(_), _) => None,
    };
    let same = known.health == found.health;
    let error_at = match found.health {
        // Where nothing tells when it failed, it did so when it was first seen to.
        Health::Unhealthy if same => found.failed_at.or(known.error_at).or(Some(now)),
        Health::Unhealthy => found.failed_at.or(Some(now)),
        Health::Healthy | Health::Pending => known.error_at,
    };
    let news = !same || healthy_at != seen.healthy_at;
    if news && found.health == Health::Healthy && !fresh {
        return Turn::Confirm;
    }
    let rest =
        known.changed_at.is_none() || known.message != found.message || known.error_at != error_at;
    if !news && !rest {
        return Turn::Wait(found.until);
    }
    let changed_at = known.changed_at.filter(|_| same).unwrap_or(now);
    let Finding { health, message, .. } = found;
    Turn::Report(Statement { health, message, changed_at, error_at, healthy_at })
}

/// What is to be said: a failure before all else, then what is not known or not there yet.
fn find(subject: &Subject, now: Timestamp) -> Finding {
    let all = match subject {
        Subject::Nothing(why) => return pending(why.clone(), None),
        Subject::Applied { all, .. } => all,
    };
    let until = all.iter().filter_map(|entry| patience(entry, now)).min();
    let mut failed = all.iter().filter_map(|entry| match &entry.sight {
        Sight::Told(told) if told.standing(now) == Standing::Failed => Some((entry, told)),
        Sight::Told(_) | Sight::Absent { .. } | Sight::Unread(_) => None,
    });
    if let Some((entry, told)) = failed.next() {
        let later = failed.filter_map(|(_, told)| told.failed_at);
        return Finding {
            health: Health::Unhealthy,
            message: format!("{}: {}", entry.name, told.message),
            failed_at: later.chain(told.failed_at).max(),
            until,
        };
    }
    let mut lacking = all.iter().filter_map(|entry| Some((entry, lacks(entry, now)?)));
    match lacking.next() {
        Some((entry, why)) => pending(format!("{}: {why}", entry.name), until),
        None => Finding {
            health: Health::Healthy,
            message: "all that the Kustomization applies is as it is to be".to_owned(),
            failed_at: None,
            until,
        },
    }
}

fn pending(message: String, until: Option<Timestamp>) -> Finding {
    Finding { health: Health::Pending, message, failed_at: None, until }
}

fn patience(entry: &Entry, now: Timestamp) -> Option<Timestamp> {
    match &entry.sight {
        Sight::Told(told) => told.patient_until.filter(|until| now < *until),
        Sight::Absent { .. } | Sight::Unread(_) => None,
    }
}

/// Why an object is not healthy.
fn lacks(entry: &Entry, now: Timestamp) -> Option<String> {
    match &entry.sight {
        Sight::Told(told) => match told.standing(now) {
            Standing::Current => None,
            Standing::InProgress
            | Standing::Failed
            | Standing::Terminating
            | Standing::NotFound
            | Standing::Unknown => Some(told.message.clone()),
        },
        Sight::Absent { goes: true } => None,
        Sight::Absent { goes: false } => Some("it is not there".to_owned()),
        Sight::Unread(why) => Some(why.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::fixture::at;
    use crate::model::health::Check;
    use crate::model::inspection::AppliedAt;
    use crate::model::moves::Target;
    use crate::model::standing::Told;

    fn applied(revision: &str) -> AppliedAt {
        AppliedAt { generation: 3, revision: revision.to_owned() }
    }

    fn check(health: Health, message: &str, error: Option<Timestamp>) -> Check {
        Check {
            namespace: "prod".to_owned(),
            name: "shop".to_owned(),
            health,
            message: message.to_owned(),
            changed_at: Some(at(1)),
            error_at: error,
            reached: true,
            looked: true,
            target: Target {
                name: "shop".to_owned(),
                uid: "c".to_owned(),
                resource_version: "4".to_owned(),
            },
        }
    }

    fn seen(sights: Vec<Sight>) -> Inspection {
        let entry = |(index, sight)| Entry { name: format!("Widget prod/{index}"), sight };
        let all = sights.into_iter().enumerate().map(entry).collect();
        let subject = Subject::Applied { at: applied("2"), all };
        Inspection { known: check(Health::Pending, "", None), healthy_at: None, subject }
    }

    fn told(standing: Standing) -> Sight {
        Sight::Told(Told::new(standing, "no"))
    }

    fn failed(minute: Option<u64>) -> Sight {
        Sight::Told(Told { failed_at: minute.map(at), ..Told::new(Standing::Failed, "no") })
    }

    #[test]
    fn the_worst_of_all_objects_is_what_a_check_says() {
        let fine = || told(Standing::Current);
        let unread = || Sight::Unread("forbidden".to_owned());
        for (case, sights, health, message) in [
            ("all are fine", vec![fine(), fine()], Health::Healthy, "all that"),
            (
                "one is on its way",
                vec![fine(), told(Standing::InProgress)],
                Health::Pending,
                "1: no",
            ),
            ("one goes", vec![told(Standing::Terminating), fine()], Health::Pending, "0: no"),
            ("one says nonsense", vec![told(Standing::Unknown)], Health::Pending, "0: no"),
            ("one cannot be read", vec![fine(), unread()], Health::Pending, "1: forbidden"),
            (
                "one is gone",
                vec![fine(), Sight::Absent { goes: false }],
                Health::Pending,
                "1: it is not there",
            ),
            ("a Job is done and gone", vec![Sight::Absent { goes: true }], Health::Healthy, ""),
            (
                "a failure comes before all else",
                vec![unread(), told(Standing::InProgress), failed(None)],
                Health::Unhealthy,
                "2: no",
            ),
        ] {
            let Turn::Report(said) = next(&seen(sights), true, at(9)) else { panic!("{case}") };
            assert_eq!(said.health, health, "{case}");
            assert!(said.message.contains(message), "{case}: {}", said.message);
        }
        let mut nothing = seen(Vec::new());
        nothing.subject = Subject::Nothing("it names none".to_owned());
        let Turn::Report(said) = next(&nothing, false, at(9)) else { panic!() };
        assert_eq!((said.health, said.message.as_str()), (Health::Pending, "it names none"));
    }

    #[test]
    fn healthy_is_said_only_of_what_was_asked_for_and_of_one_revision() {
        let mut seen = seen(vec![told(Standing::Current)]);
        assert_eq!(next(&seen, false, at(9)), Turn::Confirm, "watches alone are not believed");
        let Turn::Report(said) = next(&seen, true, at(9)) else { panic!() };
        assert_eq!((said.changed_at, &said.healthy_at), (at(9), &Some(applied("2"))));
        seen.known = check(Health::Healthy, &said.message, None);
        seen.healthy_at = Some(applied("2"));
        assert_eq!(next(&seen, false, at(9)), Turn::Wait(None), "nothing is new");
        seen.healthy_at = Some(applied("1"));
        assert_eq!(next(&seen, false, at(9)), Turn::Confirm, "of another revision it says nothing");
        let Turn::Report(said) = next(&seen, true, at(9)) else { panic!() };
        assert_eq!(said.changed_at, at(1), "it was healthy before, too");
    }

    #[test]
    fn an_error_is_as_old_as_the_object_says() {
        for (case, before, sights, want) in [
            ("it says when", (Health::Pending, None), vec![failed(Some(4))], Some(at(4))),
            (
                "the newest one",
                (Health::Pending, None),
                vec![failed(Some(4)), failed(Some(6))],
                Some(at(6)),
            ),
            ("it does not say", (Health::Pending, None), vec![failed(None)], Some(at(9))),
            (
                "nor did it before",
                (Health::Unhealthy, Some(at(5))),
                vec![failed(None)],
                Some(at(5)),
            ),
            (
                "well again",
                (Health::Unhealthy, Some(at(5))),
                vec![told(Standing::Current)],
                Some(at(5)),
            ),
        ] {
            let (health, error) = before;
            let mut seen = seen(sights);
            seen.known = check(health, "", error);
            let Turn::Report(said) = next(&seen, true, at(9)) else { panic!("{case}") };
            assert_eq!(said.error_at, want, "{case}");
        }
    }

    #[test]
    fn a_pod_may_look_for_a_node_for_a_while() {
        let waits = Told { patient_until: Some(at(5)), ..Told::new(Standing::Failed, "no node") };
        let mut seen = seen(vec![Sight::Told(waits)]);
        let Turn::Report(said) = next(&seen, false, at(4)) else { panic!() };
        assert_eq!(said.health, Health::Pending);
        seen.known = check(Health::Pending, &said.message, None);
        assert_eq!(next(&seen, false, at(4)), Turn::Wait(Some(at(5))));
        let Turn::Report(said) = next(&seen, false, at(5)) else { panic!() };
        assert_eq!(said.health, Health::Unhealthy, "over at its end");
    }
}
