use super::*;
use crate::decide::fixture::{at, at_rest, climbing};
use crate::model::status::{Cause, Draining, Quarantined, Trigger, Waiting};
use crate::model::weight::Quantity;

const SINCE: u64 = 10;

/// Old pods are of minute 0, young ones of minute 11: `o` and `y`, unready `O` and `Y`, ending `-`.
fn pods(rs: &ReplicaSet, kinds: &str) -> Vec<Pod> {
    let pod = |(index, kind): (usize, char)| Pod {
        name: format!("{}-{index}", rs.name),
        uid: format!("{}-{index}", rs.name),
        owner: rs.uid.clone(),
        created_at: if "oO-".contains(kind) { at(0) } else { at(SINCE + 1) },
        ending: kind == '-',
        ready_since: "oy-".contains(kind).then(|| at(SINCE + 1)),
    };
    kinds.chars().enumerate().map(pod).collect()
}

/// A Rollout at rest whose four pods are being replaced.
fn restarting(kinds: &str) -> Snapshot {
    let mut seen = at_rest();
    seen.status.restart = Some(Restart { since: at(SINCE), number: 1 });
    with(&mut seen, 0, kinds);
    seen
}

fn with(seen: &mut Snapshot, index: usize, kinds: &str) {
    let found = pods(&seen.replica_sets[index], kinds);
    let rs = &mut seen.replica_sets[index];
    rs.available = u32::try_from(kinds.chars().filter(|k| "oy".contains(*k)).count()).unwrap();
    match &mut seen.pods {
        Some(Ok(all)) => all.extend(found),
        other => *other = Some(Ok(found)),
    }
}

fn shown(act: &Act) -> String {
    match act {
        Act::Apply(writes) => match writes.as_slice() {
            [Write::Evict { pod, .. }] => {
                format!("evict {}", pod.rsplit('-').next().unwrap())
            }
            other => panic!("{other:?}"),
        },
        Act::Commit(status) => match status.restart {
            None => "done".to_owned(),
            Some(restart) => format!("restart {}", restart.number),
        },
        Act::Wait(waits) => {
            let codes: Vec<_> = waits.holds.iter().map(|(hold, _)| hold.code()).collect();
            codes.join(" ")
        }
    }
}

#[test]
fn the_only_pod_of_a_side_gets_another_one_first() {
    let asked = |kinds: &str, replicas: u32, change: fn(&mut Snapshot)| {
        let mut seen = restarting(kinds);
        change(&mut seen);
        spared(&seen, &seen.replica_sets[0], replicas)
    };
    let same: fn(&mut Snapshot) = |_| {};
    for (case, kinds, replicas, change, want) in [
        ("it stands from before", "o", 1, same, 2),
        ("beside its replacement", "oy", 1, same, 2),
        ("it goes", "-y", 1, same, 1),
        ("it is gone", "y", 1, same, 1),
        ("it has others", "oo", 2, same, 2),
        ("none is wanted", "o", 0, same, 0),
        ("no restart is under way", "o", 1, |s| s.status.restart = None, 1),
        ("its pods are not known", "o", 1, |s| s.pods = None, 1),
        ("all pods share the traffic", "o", 1, |s| s.spec.ladder.routes.clear(), 1),
        (
            "it drains",
            "o",
            1,
            |s| {
                let revision = s.replica_sets[0].revision.clone();
                s.status.draining = vec![Draining { revision, since: None }];
            },
            1,
        ),
    ] {
        assert_eq!(asked(kinds, replicas, change), want, "{case}");
    }
}

fn turn(seen: &Snapshot) -> String {
    shown(&beside(seen, Act::Wait(Waits::default()), at(20)))
}

#[test]
fn pods_are_replaced_one_after_another() {
    for (kinds, want) in [
        ("oooo", "evict 0"),
        ("-ooo", "Restarting"),
        ("-oooY", "Restarting"),
        ("-oooy", "evict 1"),
        ("yooo", "evict 1"),
        ("oOoo", "evict 1"), //                     it is missed already
        ("yYoo", "Restarting"),
        ("YOoo", "Restarting"), //                  one at a time, even of those
        ("yyyY", "Restarting"),
        ("yyy-", "Restarting"),
        ("yyyy", "done"),
        ("oooooo", "Restarting"), //                the ReplicaSet takes two away itself
    ] {
        assert_eq!(turn(&restarting(kinds)), want, "{kinds}");
    }
    let mut two = restarting("yYoo");
    two.spec.ladder.unavailable = Quantity::Percent(50);
    assert_eq!(turn(&two), "evict 2", "as many as may be missing");
    let mut none = restarting("");
    none.replica_sets[0].desired = 0;
    assert_eq!(turn(&none), "done", "no pod, none to be replaced");
    let before = beside(&restarting("oooo"), Act::Wait(Waits::default()), at(SINCE - 1));
    assert_eq!(shown(&before), "Restarting", "not before its second is over");
}

#[test]
fn what_the_replica_set_says_has_to_agree() {
    let mut seen = restarting("yooo");
    seen.replica_sets[0].settled = false;
    assert_eq!(turn(&seen), "Restarting");
    let mut seen = restarting("yooo");
    seen.replica_sets[0].available = 3;
    assert_eq!(turn(&seen), "Restarting", "it does not count one of them yet");
    let mut seen = restarting("yooo");
    seen.replica_sets[0].min_ready_secs = 600;
    assert_eq!(turn(&seen), "Restarting", "not ready for long enough");
    let waits = beside(&seen, Act::Wait(Waits::default()), at(20));
    let Act::Wait(waits) = waits else { panic!("{waits:?}") };
    assert_eq!(waits.until, Some(at(20) + LOOK_AFTER), "looked at again before it is ripe");
}

#[test]
fn only_sides_that_serve_are_touched() {
    let revision = |seen: &Snapshot| seen.replica_sets[1].revision.clone();
    let paused = || {
        let mut seen = climbing(2, Some(at(1)));
        seen.status.restart = Some(Restart { since: at(SINCE), number: 1 });
        with(&mut seen, 0, "yyyy");
        with(&mut seen, 1, "ooo");
        seen
    };
    assert_eq!(turn(&paused()), "evict 0", "the canary side too");
    let mut drains = paused();
    drains.status.draining.push(Draining { revision: revision(&drains), since: None });
    assert_eq!(turn(&drains), "done");
    let mut failed = paused();
    let entry = Quarantined {
        revision: revision(&failed),
        release: Default::default(),
        trigger: Trigger::Template,
        attempt: 1,
        since: at(0),
    };
    failed.status.quarantine.push(entry);
    assert_eq!(turn(&failed), "done");
    let mut back = paused();
    let attempt = back.status.attempt.as_mut().unwrap();
    let cause = Cause::Superseded;
    attempt.stage = Stage::RollingBack { entered_at: at(1), cause };
    assert_eq!(turn(&back), "done");
    let mut strange = paused();
    strange.replica_sets[1].owned = false;
    assert_eq!(turn(&strange), "done");
}

#[test]
fn a_restart_does_not_use_up_the_time_of_a_step() {
    let mut seen = climbing(2, Some(at(1)));
    seen.status.restart = Some(Restart { since: at(SINCE), number: 1 });
    with(&mut seen, 0, "oooo");
    with(&mut seen, 1, "yyy");
    let pods = Hold::PodsNotReady { replica_set: "a".into(), available: 1, needed: 2 };
    let act = |seen: &Snapshot, hold: &Hold| shown(&beside(seen, Act::hold(hold.clone()), at(20)));
    assert_eq!(act(&seen, &pods), "PodsNotReady Restarting");
    assert_eq!(act(&seen, &Hold::AwaitingPromotion), "evict 0");
    let waiting = Waiting {
        kind: "PodsNotReady".into(),
        name: "a".into(),
        since: at(0),
        until: None,
        automatic: true,
        message: String::new(),
        command: None,
    };
    seen.status.waiting = vec![waiting];
    let held = act(&seen, &Hold::AwaitingPromotion);
    assert_eq!(held, "AwaitingPromotion Restarting", "what was waited for is shown to be over");
    let mut rest = restarting("oooo");
    rest.status.waiting = seen.status.waiting;
    assert_eq!(act(&rest, &pods), "evict 0", "at rest nothing runs out");
    let writes = Act::Apply(Vec::new());
    assert_eq!(beside(&rest, writes.clone(), at(20)), writes, "the ladder comes first");
}

#[test]
fn who_may_not_read_or_evict_says_so() {
    let mut seen = restarting("oooo");
    seen.refused = Some(("Pod prod/other".into(), "no".into()));
    assert_eq!(turn(&seen), "evict 0", "another pod was refused");
    let Some(Ok(pods)) = &seen.pods else { panic!() };
    seen.refused = Some((format!("Pod prod/{}", pods[0].name), "no".into()));
    assert_eq!(turn(&seen), "Restarting Refused");
    seen.pods = Some(Err("no".into()));
    assert_eq!(turn(&seen), "Restarting Refused");
    seen.pods = None;
    assert_eq!(turn(&seen), "Restarting", "they are asked for in the next turn");
}

#[test]
fn a_restart_begins_with_the_next_second_and_again_with_another_command() {
    let mut seen = restarting("oooo");
    let now = Timestamp::from_millis(1500);
    let begun = begin(&seen, now);
    let since = Timestamp::from_millis(2000);
    assert_eq!(begun.restart, Some(Restart { since, number: 2 }));
    assert_eq!(begun.outbox[0].reason, "RestartStarted");
    seen.status.restart = None;
    assert_eq!(begin(&seen, now).restart.map(|restart| restart.number), Some(1));
}

#[test]
fn no_other_pod_is_ever_evicted() {
    let seen = restarting("oooy");
    let evict = |index: usize| {
        let Some(Ok(pods)) = &seen.pods else { panic!() };
        let (pod, uid) = (pods[index].name.clone(), pods[index].uid.clone());
        crate::decide::invariant::broken(&seen, &[Write::Evict { pod, uid }])
    };
    assert_eq!(evict(0), None);
    assert!(evict(3).is_some());
}

#[test]
fn a_restart_is_taken_once_and_takes_nothing_from_another_command() {
    use crate::decide::command;
    use crate::model::command::{Asked, Command, Token, Value as Named};
    let mut seen = climbing(2, Some(at(1)));
    for command in [Command::Promote, Command::Restart] {
        let key = format!("x/{}", command.as_str());
        seen.commands.asked.push(Asked { command, key, value: Named::Present });
    }
    let take = |key: &str, command, step| {
        let accept = Some(Token { command, attempt: 2, step });
        Some(Act::Apply(vec![Write::TakeCommands { remove: vec![key.to_owned()], accept }]))
    };
    assert_eq!(command::take(&seen, at(2)), take("x/promote", Command::Promote, 2));
    seen.commands.asked.remove(0);
    assert_eq!(command::take(&seen, at(2)), take("x/restart", Command::Restart, 1));
    seen.commands.asked.clear();

    for number in [1, 2] {
        let token = Token { command: Command::Restart, attempt: 2, step: number };
        seen.commands.accepted = Some(("x/accepted".to_owned(), Some(token)));
        let Some(Act::Commit(status)) = command::obey(&seen, at(2)) else { panic!("{number}") };
        assert_eq!(status.restart.map(|restart| restart.number), Some(number));
        seen.status = *status;
        let again = command::obey(&seen, at(2));
        assert!(matches!(again, Some(Act::Apply(_))), "{number}: {again:?}");
    }
}
