//! Denied: what a turn does where a kind may not be listed.

use super::*;
use crate::decide::fixture::{at, climbing};
use crate::model::moment::Duration;

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
