//! Which releases are wanted, and when one goes into the template.

use super::*;
use crate::decide::act::Waits;
use crate::decide::fixture::{at, at_rest, climbing, delivered, release, template};
use crate::decide::stage;
use crate::model::snapshot::{Offer, Releases};
use crate::model::status::{Pin, Quarantined};

type Change = fn(&mut Snapshot);

fn told(wanted: Wanted) -> String {
    match wanted {
        Wanted::Nothing => "nothing".to_owned(),
        Wanted::Hold(hold) => hold.code().to_owned(),
        Wanted::Images { images, .. } => images.into_values().collect::<Vec<_>>().join(" "),
    }
}

#[test]
fn a_release_is_wanted_only_where_the_template_should_have_it() {
    let none: Change = |_| {};
    for (case, present, offered, change, want) in [
        ("a newer version is taken", "shop:1.0.0", "1.1.0", none, "shop:1.1.0"),
        ("the same version is there already", "shop:1.0.0", "1.0.0", none, "nothing"),
        ("an older version is never taken", "shop:1.2.0", "1.1.0", none, "OlderRelease"),
        ("order is precedence, not text", "shop:1.9.0", "1.10.0", none, "shop:1.10.0"),
        ("a tag that is no version gives way", "shop:latest", "1.0.0", none, "shop:1.0.0"),
        ("an image that is absent is filled", "", "1.0.0", none, "shop:1.0.0"),
        ("another repository is refused", "other:1.0.0", "1.1.0", none, "ImageMismatch"),
        ("two tags of one version stay", "shop:v1.0.0", "1.0.0", none, "AmbiguousRelease"),
        (
            "the spelling of the repository stays",
            "docker.io/library/shop:1.0.0",
            "1.1.0",
            none,
            "docker.io/library/shop:1.1.0",
        ),
        (
            "a named container has to exist",
            "shop:1.0.0",
            "1.1.0",
            |s| {
                s.spec.container = Some("web".into());
            },
            "ContainerUnknown",
        ),
        (
            "a GitOps owner keeps its image",
            "shop:1.0.0",
            "1.1.0",
            |s| {
                s.template.containers[0].foreign_owners = vec!["kustomize-controller".into()];
            },
            "ImageOwned",
        ),
        (
            "an owner that ignores the field does not",
            "shop:1.0.0",
            "1.1.0",
            |s| {
                s.template.containers[0].foreign_owners = vec!["kustomize-controller".into()];
                s.template.containers[0].released = true;
            },
            "shop:1.1.0",
        ),
    ] {
        let mut seen = at_rest();
        seen.template = template(present);
        seen.offer = Offer::Releases(Releases::one(release(offered)));
        change(&mut seen);
        assert_eq!(told(wanted(&seen, at(0))), want, "{case}");
    }
}

#[test]
fn a_digest_counts_where_both_sides_name_one() {
    let digest = "@sha256:1111111111111111111111111111111111111111111111111111111111111111";
    let other = "@sha256:2222222222222222222222222222222222222222222222222222222222222222";
    for (case, present, offered, want) in [
        ("a digest is pinned when given", "shop:1.0.0", ("1.1.0", digest), ("1.1.0", digest)),
        ("a tag pushed again is new", "D1.0.0", ("1.0.0", other), ("1.0.0", other)),
        ("a tag without digest is kept", "shop:1.0.0", ("1.0.0", digest), ("nothing", "")),
        ("a digest not told is kept", "D1.0.0", ("1.0.0", ""), ("nothing", "")),
    ] {
        let mut seen = at_rest();
        let text = present.strip_prefix('D').map(|tag| format!("shop:{tag}{digest}"));
        seen.template = template(&text.unwrap_or(present.to_owned()));
        seen.offer =
            Offer::Releases(Releases::one(release(&format!("{}{}", offered.0, offered.1))));
        let want = match want {
            ("nothing", _) => "nothing".to_owned(),
            (tag, digest) => format!("shop:{tag}{digest}"),
        };
        assert_eq!(told(wanted(&seen, at(0))), want, "{case}");
    }
}

#[test]
fn pins_and_failures_hold_a_release_until_another_one() {
    let pin = |until: &str| {
        Some(Pin {
            image: "shop:1.0.0".into(),
            until_newer_than: until.into(),
            since: at(0),
            forced: false,
        })
    };
    let failed = |tag: &str, trigger| Quarantined {
        revision: template("shop:9.9.9").id.revision("shop", 0),
        release: delivered(&format!("shop:{tag}")),
        trigger,
        attempt: 5,
        since: at(0),
    };
    for (case, pinned, quarantine, want) in [
        ("a hand-set image holds what it knew", pin("1.1.0"), None, "ManualImage"),
        ("a newer release ends it", pin("1.0.9"), None, "shop:1.1.0"),
        ("what failed is not tried again", None, Some(failed("1.1.0", Trigger::Release)), "Q"),
        ("another release is", None, Some(failed("1.0.5", Trigger::Release)), "shop:1.1.0"),
        ("an edit does not blame it", None, Some(failed("1.1.0", Trigger::Template)), "shop:1.1.0"),
    ] {
        let mut seen = at_rest();
        seen.offer = Offer::Releases(Releases::one(release("1.1.0")));
        seen.status.pin = pinned;
        seen.status.quarantine.extend(quarantine);
        let want = if want == "Q" { "Quarantined" } else { want };
        assert_eq!(told(wanted(&seen, at(0))), want, "{case}");
    }
}

#[test]
fn a_release_is_delivered_unless_the_rollout_is_frozen() {
    let undelivered = || {
        let mut seen = climbing(1, None);
        seen.template = template("shop:1.0.0");
        seen.offer = Offer::Releases(Releases::one(release("1.1.0")));
        seen.status.attempt.as_mut().unwrap().delivered = false;
        seen
    };
    for (case, paused, delivers, holds) in
        [("moving", false, true, None), ("frozen", true, false, Some("Suspended"))]
    {
        let mut seen = undelivered();
        seen.spec.paused = paused;
        assert_eq!(deliver(&seen, at(0)).is_some(), delivers, "{case}");
        let first = match stage::advance(&seen, at(0)) {
            Act::Wait(Waits { holds, .. }) => holds.first().map(|(hold, _)| hold.code()),
            Act::Commit(_) | Act::Apply(_) => None,
        };
        assert!(holds.is_none() || first == holds, "{case}: {first:?}");
    }
}
