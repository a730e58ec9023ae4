use super::*;
use crate::decide::fixture::{at, bound, climbing, release};
use crate::model::status::Revert;

/// What changes in the status of an attempt that was last written at minute 0.
type Change = fn(&mut Status);

fn awaited(status: &mut Status) {
    status.waiting.push(Waiting {
        kind: Hold::AWAITING_DELIVERY.to_owned(),
        name: "Kustomization flux-system/apps TAG".to_owned(),
        since: at(0),
        until: None,
        automatic: true,
        message: "Reconciliation in progress".to_owned(),
        command: None,
    });
}

fn digested(status: &mut Status) {
    let digest = "sha256:0".to_owned();
    let attempt = status.attempt.as_mut().unwrap();
    attempt.release.digest = digest.clone();
    status.stable.as_mut().unwrap().release.digest = digest.clone();
    let listed = Listed { digest: Some(digest), ..Listed::of(&release("1.1.0")) };
    status.available = [listed.clone()].into();
    status.candidates = vec![listed];
}

fn delivered(reverts: &[Revert]) -> Delivered {
    let field = bound(None).field;
    let (value, reverts) = ("1.1.0".to_owned(), reverts.to_vec());
    Delivered { field, value, since: at(0), reverts, bound: true }
}

fn reverted(status: &mut Status) {
    let (manager, value) = ("kubectl-edit".to_owned(), "1.1.0".to_owned());
    status.targets = vec![delivered(&[Revert { manager, value, times: 1 }])];
}

#[test]
fn how_soon_what_is_new_is_written() {
    let by_flux = Due::At(at(0) + DELIVERY_EVERY);
    let table: &[(&str, Change, Due)] = &[
        ("nothing", |_| {}, Due::Never),
        ("a number", |status| status.counts.ready += 1, Due::At(at(0) + REPORT_EVERY)),
        ("how Flux comes along", awaited, by_flux),
        ("what a registry tells of the release", digested, by_flux),
        (
            "both",
            |status| {
                awaited(status);
                digested(status);
            },
            by_flux,
        ),
        (
            "what waits for a person",
            |status| {
                awaited(status);
                status.waiting[0].automatic = false;
            },
            Due::Now,
        ),
        ("what is delivered", |status| status.targets = vec![delivered(&[])], by_flux),
        ("what is put back", reverted, Due::Now),
        ("another phase", |status| status.phase = Phase::Preview, Due::Now),
    ];
    for (what, change, expected) in table {
        let seen = climbing(1, None);
        let mut shown = seen.status.clone();
        change(&mut shown);

        assert_eq!(due(&seen, &shown, at(0)), *expected, "{what}");
    }
}
