//! What several routes get: together on the way up, each by itself on the way down.

use super::*;
use crate::decide::act::Act;
use crate::decide::fixture::{at, climbing, http, route, shown};
use crate::decide::{attempt, drain, order, stage, way};
use crate::model::snapshot::{Acceptance, Route};
use crate::model::spec::Labelled;
use crate::model::spec::RouteKind;
use crate::model::status::{Cause, Stage};

/// In which state a second route is.
#[derive(Debug, Clone, Copy)]
enum Is {
    Fine(u32),
    Pending(u32),
    Refused(u32),
    Owned(u32),
    Unreadable,
    Gone,
}

fn other(is: Is) -> Route {
    let name = http("other");
    let live = |canary| LiveRoute { name: name.clone(), ..route((100 - canary, canary)) };
    let hold = Hold::RouteAmbiguous { route: name.clone(), why: "why".into() };
    let missing = Hold::BackendNotFound { what: "other".into() };
    let acceptance = |canary, acceptance| LiveRoute { acceptance, ..live(canary) };
    let found = match is {
        Is::Fine(canary) => Ok(live(canary)),
        Is::Pending(canary) => Ok(acceptance(canary, Acceptance::Pending)),
        Is::Refused(canary) => Ok(acceptance(canary, Acceptance::Refused("no".into()))),
        Is::Owned(canary) => Ok(LiveRoute { owner: Some("K".into()), ..live(canary) }),
        Is::Unreadable => Err(hold),
        Is::Gone => Err(missing),
    };
    Route { name: name.clone(), there: !matches!(is, Is::Gone), live: found, remnant: None }
}

/// On the step of weight 50, with a second route.
fn two(canary: u32, is: Is) -> Snapshot {
    let mut seen = climbing(1, None);
    seen.routes[0].live = Ok(route((100 - canary, canary)));
    seen.routes.push(other(is));
    seen.spec.ladder.routes = vec![http("other"), http("shop")];
    let routing = seen.spec.ladder.routing();
    seen.status.attempt.as_mut().unwrap().routing = Some(routing);
    seen
}

/// What comes next: of writes of weights, the route and the weight of each.
fn next(step: Step) -> String {
    let Err(Next::Write(writes)) = &step else { return shown(step) };
    let told = writes.iter().map(|write| {
        let Write::SetWeights { target, edits, .. } = write else { panic!("{write:?}") };
        format!("{} {}", target.name, edits[1].weight)
    });
    told.collect::<Vec<_>>().join(", ")
}

fn climbed(seen: &Snapshot) -> String {
    let revision = seen.status.attempt.as_ref().unwrap().revision.clone();
    next(order::ladder(seen, &revision, &seen.spec.ladder.step(1).unwrap()))
}

fn back(seen: &Snapshot) -> String {
    let stable = seen.status.stable.as_ref().unwrap().revision.clone();
    next(order::stable(seen, &stable))
}

#[test]
fn a_weight_rises_on_all_routes_or_on_none() {
    use Is::{Fine, Gone, Owned, Pending, Refused, Unreadable};
    for (case, canary, is, want) in [
        ("on both at once", 0, Fine(0), "shop 50, other 50"),
        ("the one that is left follows", 50, Fine(0), "other 50"),
        ("and then it is in force", 50, Fine(50), "in force"),
        ("not before both are accepted", 50, Pending(50), "RouteNotAccepted"),
        ("not beside one that waits", 0, Pending(50), "RouteNotAccepted"),
        ("not beside one that is refused", 0, Refused(0), "RouteRefused"),
        ("not beside one that is put back", 0, Owned(0), "RouteOwned"),
        ("not beside one that is put back where it is now", 0, Owned(50), "RouteOwned"),
        ("not beside one that cannot be read", 0, Unreadable, "RouteAmbiguous"),
        ("not beside one that is gone", 0, Gone, "BackendNotFound"),
    ] {
        assert_eq!(climbed(&two(canary, is)), want, "{case}");
    }
}

#[test]
fn a_weight_falls_on_each_route_that_can_be_written() {
    use Is::{Fine, Gone, Owned, Pending, Refused, Unreadable};
    for (case, canary, is, want) in [
        ("on both at once", 75, Fine(75), "shop 50, other 50"),
        ("whatever the other waits for", 75, Pending(50), "shop 50"),
        ("though it rises on the other", 75, Refused(0), "shop 50"),
        ("though the other is put back", 75, Owned(75), "shop 50"),
        ("though the other cannot be read", 75, Unreadable, "shop 50"),
        ("though the other is gone", 75, Gone, "shop 50"),
    ] {
        assert_eq!(climbed(&two(canary, is)), want, "{case}");
    }
    for (case, canary, is, want) in [
        ("back on both at once", 50, Pending(50), "shop 0, other 0"),
        ("back though the other is put back", 50, Owned(50), "shop 0"),
        ("and then it is waited for", 0, Owned(50), "RouteOwned"),
        ("back though the other cannot be read", 50, Unreadable, "shop 0"),
        ("and then it is waited for", 0, Unreadable, "RouteAmbiguous"),
        ("back though the other is gone", 50, Gone, "shop 0"),
        ("one that is gone has no traffic", 0, Gone, "in force"),
        ("one that is refused is waited for", 0, Refused(0), "RouteRefused"),
    ] {
        assert_eq!(back(&two(canary, is)), want, "{case}");
    }
}

#[test]
fn pods_go_once_no_route_that_is_known_has_traffic_for_them() {
    use Is::{Fine, Gone, Owned, Pending, Unreadable};
    for (case, canary, is, want, drains) in [
        ("none on either", 0, Fine(0), Some(false), true),
        ("some on the other", 0, Fine(10), Some(true), false),
        ("some on one that is put back", 0, Owned(10), Some(true), false),
        ("not accepted yet", 0, Pending(0), Some(false), false),
        ("one that cannot be read", 0, Unreadable, None, false),
        ("some here, whatever is there", 10, Unreadable, Some(true), false),
        ("one that is gone has none", 0, Gone, Some(false), true),
    ] {
        let mut seen = two(canary, is);
        let attempt = seen.status.attempt.as_mut().unwrap();
        let revision = attempt.revision.clone();
        attempt.stage = Stage::Ended { at: at(1), cause: Cause::Aborted };
        assert_eq!(way::carries(&seen, &revision), want, "{case}");
        let begins = matches!(drain::next(&seen, at(2)), Ok(Act::Commit(_)));
        assert_eq!(begins, drains, "{case}");
    }
}

#[test]
fn what_labels_select_joins_an_attempt_before_it_is_written_to() {
    let labels = [("app".to_owned(), "shop".to_owned())].into();
    let mut seen = climbing(1, None);
    seen.spec.ladder.routes.clear();
    seen.spec.ladder.labelled = vec![Labelled { kind: RouteKind::Http, labels }];
    assert_eq!(attempt::join(&seen), None, "it is the one that it began with");
    assert!(matches!(stage::advance(&seen, at(2)), Act::Commit(_)), "the step is in force");

    seen.routes.push(other(Is::Fine(0)));
    let Some(Act::Commit(status)) = attempt::join(&seen) else { panic!("it does not join") };
    let routing = |seen: &Snapshot| seen.status.attempt.as_ref()?.routing.clone();
    seen.status = *status;
    assert_eq!(routing(&seen).unwrap().routes, [http("other"), http("shop")]);
    assert_eq!((attempt::join(&seen), climbed(&seen)), (None, "other 50".to_owned()));

    seen.routes.remove(0);
    assert_eq!(attempt::join(&seen), None, "one that is gone is no news");
    let uses = |seen: &Snapshot| seen.spec.ladder.splits_by(&routing(seen).unwrap());
    assert!(uses(&seen));
    seen.spec.ladder.routes = vec![http("third")];
    assert!(!uses(&seen), "a name that it did not begin with");
}

#[test]
fn what_an_older_rollout_took_is_left() {
    let mut seen = climbing(1, Some(at(0)));
    seen.duplicate = Some(("HTTPRoute shop".to_owned(), "older".to_owned()));
    let stable = seen.status.stable.clone().unwrap().revision;
    assert_eq!(shown(order::stable(&seen, &stable)), "DuplicateBinding");
    let attempt = seen.status.attempt.as_mut().unwrap();
    attempt.stage = Stage::RollingBack { entered_at: at(1), cause: Cause::Aborted };
    assert_eq!(shown(order::stable(&seen, &stable)), "weigh 0");
    let mut gone = seen.clone();
    let live = gone.canary_service.as_mut().unwrap().live.as_mut().unwrap();
    live.selects = Revision::parse("0123456789");
    assert_eq!(shown(order::stable(&gone, &stable)), "DuplicateBinding", "it has been turned");
    seen.status.attempt.as_mut().unwrap().routing = None;
    assert_eq!(shown(order::stable(&seen, &stable)), "DuplicateBinding", "it had nothing");
}
