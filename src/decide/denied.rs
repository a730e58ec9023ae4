//! Denied: what a turn does where a kind may not be listed, and where a write was refused.

use super::*;
use crate::decide::fixture::{at, bound, climbing};
use crate::model::moment::Duration;
use crate::model::status::{Cause, Stage};

#[test]
fn nothing_moves_while_a_kind_may_not_be_listed() {
    let said = Hold::KindForbidden { kind: "HTTPRoute", why: "forbidden".to_owned() };
    let mut seen = climbing(1, Some(at(0)));
    seen.denied = Some(said.clone());
    let Move::Report(shown) = decide(&Known::Valid(Box::new(seen.clone())), at(60)) else {
        panic!()
    };
    assert_eq!(shown.waiting[0].kind, "KindForbidden");
    assert!(shown.waiting[0].message.contains("the verbs list and watch on it"));
    assert!(shown.conditions.iter().any(|c| c.kind == "Stalled" && c.reason == "KindForbidden"));
    assert_eq!(
        shown.attempt.as_ref().map(|a| &a.stage),
        seen.status.attempt.as_ref().map(|a| &a.stage)
    );
    seen.rollout.deleting = Some(at(60));
    let next = |secs| {
        let now = at(60) + Duration::from_secs(secs);
        match decide(&Known::Valid(Box::new(Snapshot { routes: Vec::new(), ..seen.clone() })), now)
        {
            Move::Apply(writes) => format!("{:?}", writes[0]),
            Move::Wait { hold, .. } => hold.map(|hold| hold.code().to_owned()).unwrap_or_default(),
            other @ (Move::Commit(_) | Move::Report(_) | Move::Announce(_)) => {
                format!("{other:?}")
            }
        }
    };
    assert_eq!(next(9), "KindForbidden");
    assert_eq!(next(10), "Finalizer { present: false }", "it does not wait for ever");
}

#[test]
fn a_refused_delivery_keeps_no_traffic_where_it_is() {
    let mut seen = climbing(1, Some(at(0)));
    seen.bindings.push(bound(Some("1.1.0")));
    let attempt = seen.status.attempt.as_mut().unwrap();
    attempt.stage = Stage::RollingBack { entered_at: at(1), cause: Cause::Aborted };
    let first = |seen: &Snapshot| match act(seen, at(2)) {
        Act::Apply(writes) => format!("{:?}", writes[0]).chars().take(11).collect(),
        Act::Commit(_) => "commit".to_owned(),
        Act::Wait(_) => "wait".to_owned(),
    };
    assert_eq!(first(&seen), "Deliver { f");
    seen.refused = Some(("Kustomization flux-system/apps".to_owned(), "frozen".to_owned()));
    assert_eq!(first(&seen), "SetWeights ");
}
