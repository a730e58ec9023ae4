use std::sync::LazyLock;

use super::*;
use crate::runtime::clock::Clock;

/// The zero of every table.
static START: LazyLock<Instant> = LazyLock::new(|| Clock::system().monotonic());

fn at(seconds: f64) -> Instant {
    *START + Duration::from_secs_f64(seconds)
}

fn held(holder: &str, expires: f64) -> Sight {
    Sight::Held { holder: holder.to_owned(), expires: at(expires) }
}

fn wait(until: f64) -> Action {
    Action::Wait { until: at(until) }
}

#[test]
fn a_follower_takes_the_lease_only_when_it_is_free() {
    let absent = |free_at| Sight::Absent { free_at: at(free_at) };
    for (case, sight, retry, now, want) in [
        ("looks first", Sight::Unknown, None, 1.0, Action::Look),
        ("looks after a failure", Sight::Unknown, Some(2.0), 1.0, wait(2.0)),
        ("looks at the retry's end", Sight::Unknown, Some(2.0), 2.0, Action::Look),
        ("no lease", absent(1.0), None, 1.0, Action::Acquire),
        ("vanished while held", absent(9.0), None, 8.0, wait(9.0)),
        ("vanished long ago", absent(9.0), None, 9.0, Action::Acquire),
        ("nobody holds it", Sight::Free, None, 1.0, Action::Acquire),
        ("our own from before a restart", held("me", 15.0), None, 1.0, Action::Acquire),
        ("held: looks again soon", held("you", 15.0), None, 1.0, wait(3.0)),
        ("held: wakes at its end", held("you", 15.0), None, 14.0, wait(15.0)),
        ("held until just before its end", held("you", 15.0), None, 14.999, wait(15.0)),
        ("over at its end", held("you", 15.0), None, 15.0, Action::Acquire),
        ("a failed acquire waits", held("you", 15.0), Some(17.0), 15.0, wait(17.0)),
    ] {
        let action = next(&sight, "me", Role::Following, retry.map(at), at(now));
        assert_eq!(action, want, "{case}");
    }
}

#[test]
fn a_leader_renews_in_time_or_steps_down() {
    for (case, sight, retry, now, want) in [
        ("fresh", held("me", 15.0), None, 0.0, wait(5.0)),
        ("not yet due", held("me", 15.0), None, 4.999, wait(5.0)),
        ("due", held("me", 15.0), None, 5.0, Action::Renew),
        ("failed: tries again after the pause", held("me", 15.0), Some(7.0), 6.0, wait(7.0)),
        ("failed: pause over", held("me", 15.0), Some(7.0), 7.0, Action::Renew),
        ("a pause never outlasts the deadline", held("me", 15.0), Some(11.0), 9.5, wait(10.0)),
        ("last moment", held("me", 15.0), None, 9.999, Action::Renew),
        ("deadline is over at its end", held("me", 15.0), None, 10.0, Action::StepDown),
        ("deadline beats a look", Sight::Unknown, None, 10.0, Action::StepDown),
        ("overtaken: looks", Sight::Unknown, None, 1.0, Action::Look),
        ("overtaken: looks after the pause", Sight::Unknown, Some(2.0), 1.0, wait(2.0)),
        ("another holds it", held("you", 15.0), None, 1.0, Action::StepDown),
        ("another holds it, during a pause", held("you", 15.0), Some(9.0), 1.0, Action::StepDown),
        ("emptied by hand", Sight::Free, None, 1.0, Action::StepDown),
        ("deleted", Sight::Absent { free_at: at(1.0) }, None, 1.0, Action::StepDown),
    ] {
        let role = Role::Leading { renewed: at(0.0) };
        let action = next(&sight, "me", role, retry.map(at), at(now));
        assert_eq!(action, want, "{case}");
    }
}

fn lease(holder: &str, transitions: i32, seconds: Option<i32>) -> Lease {
    let spec = LeaseSpec {
        holder_identity: Some(holder.to_owned()),
        lease_transitions: Some(transitions),
        lease_duration_seconds: seconds,
        ..LeaseSpec::default()
    };
    Lease { spec: Some(spec), ..claimed(None, "l", holder, Timestamp::UNIX_EPOCH) }
}

#[test]
fn a_lease_expires_by_our_own_clock_since_its_last_observed_change() {
    let you = lease("you", 1, Some(15));
    let first = Observed::note(None, Some(you.clone()), "me", at(0.0));
    assert_eq!(first.sight(), held("you", 15.0));

    let mut labelled = you.clone();
    labelled.metadata.resource_version = Some("2".to_owned());
    let again = Observed::note(Some(&first), Some(labelled), "me", at(2.0));
    assert_eq!(again.sight(), held("you", 15.0), "an equal spec prolongs nothing");

    let renewed = lease("you", 2, Some(15));
    let later = Observed::note(Some(&again), Some(renewed), "me", at(4.0));
    assert_eq!(later.sight(), held("you", 19.0), "a changed spec does");
}

#[test]
fn the_duration_claimed_counts_unless_it_is_shorter_than_ours() {
    for (seconds, want) in [(None, 15.0), (Some(0), 15.0), (Some(-9), 15.0), (Some(60), 60.0)] {
        let observed = Observed::note(None, Some(lease("you", 1, seconds)), "me", at(0.0));
        assert_eq!(observed.sight(), held("you", want), "{seconds:?}");
    }
}

#[test]
fn a_vanished_lease_counts_until_its_holder_must_have_noticed() {
    let absent = |free_at| Sight::Absent { free_at: at(free_at) };
    let gone = |holder: &str| {
        let before = Observed::note(None, Some(lease(holder, 1, None)), "me", at(0.0));
        Observed::note(Some(&before), None, "me", at(3.0))
    };
    assert_eq!(gone("you").sight(), absent(15.0));
    assert_eq!(gone("me").sight(), absent(3.0), "ours: nobody to wait for");
    assert_eq!(gone("").sight(), absent(3.0), "nobody's");
    assert_eq!(Observed::note(None, None, "me", at(3.0)).sight(), absent(3.0), "never seen");
    let still = Observed::note(Some(&gone("you")), None, "me", at(5.0));
    assert_eq!(still.sight(), absent(15.0), "looking again changes nothing");
}

#[test]
fn transitions_count_holders_not_renewals() {
    let wall = Timestamp::new(1_700_000_000, 0).unwrap();
    let spec = |lease: Lease| lease.spec.unwrap();

    let created = spec(claimed(None, "l", "me", wall));
    assert_eq!(created.lease_transitions, Some(0));
    assert_eq!(created.acquire_time, Some(MicroTime(wall)));
    assert_eq!(created.lease_duration_seconds, Some(15));

    let renewed = spec(claimed(Some(&lease("me", 4, None)), "l", "me", wall));
    assert_eq!(renewed.lease_transitions, Some(4));
    assert_eq!(renewed.acquire_time, None, "untouched");
    assert_eq!(renewed.renew_time, Some(MicroTime(wall)));

    let taken = spec(claimed(Some(&lease("you", 4, None)), "l", "me", wall));
    assert_eq!(taken.lease_transitions, Some(5));
    assert_eq!(taken.holder_identity.as_deref(), Some("me"));

    let given = released(&lease("me", 4, None), wall);
    assert_eq!(holder(&given), None);
    assert_eq!(given.spec.unwrap().lease_transitions, Some(4));
}
