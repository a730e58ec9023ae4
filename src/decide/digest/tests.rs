use super::*;
use crate::decide::decide;
use crate::decide::fixture::{at, at_rest, delivered, release, template};
use crate::decide::pick::{Pick, find, pick};
use crate::model::moves::Move;
use crate::model::release::About;
use crate::model::snapshot::{Known, Releases};

const OLD: &str = "sha256:1111111111111111111111111111111111111111111111111111111111111111";
const NEW: &str = "sha256:2222222222222222222222222222222222222222222222222222222222222222";

/// At rest on this image, taken with this digest; the registry knows that of the tag 1.0.0.
fn resting(image: &str, taken: &str, known: Option<&str>, required: bool) -> Snapshot {
    let mut seen = at_rest();
    seen.template = template(image);
    seen.replica_sets[0].template = seen.template.id;
    seen.spec.require_digest = required;
    let mut release = delivered(image);
    release.digest = taken.to_owned();
    seen.status.stable.as_mut().unwrap().release = release.clone();
    seen.status.attempt.as_mut().unwrap().release = release;
    let about = About { revision: "5f6c0a9".into(), created: String::new() };
    let manifest = |digest: &str| Manifest { digest: digest.into(), about, card: Card::default() };
    seen.manifests.extend(known.map(|digest| ("1.0.0".to_owned(), Ok(manifest(digest)))));
    seen.offer = Offer::Releases(Releases::one(offered(known.filter(|_| required))));
    seen
}

fn offered(digest: Option<&str>) -> Release {
    let mut offered = release("1.0.0");
    offered.image.digest = digest.map(str::to_owned);
    offered
}

#[test]
fn a_tag_that_was_pushed_again_is_told() {
    for (case, taken, known, want) in [
        ("the same", OLD, Some(OLD), false),
        ("another one", OLD, Some(NEW), true),
        ("the registry was not read", OLD, None, false),
        ("nobody knew the first one", "", Some(NEW), false),
    ] {
        let seen = resting("shop:1.0.0", taken, known, false);
        assert_eq!(moved(&seen, &seen.status).is_some(), want, "{case}");
        assert_eq!(told(pick(&seen, at(0))), "nothing", "{case}: what runs stays");
    }
    let mut other = resting("shop:1.0.0", OLD, Some(NEW), false);
    other.offer = Offer::Releases(Releases::one(release("2.0.0")));
    assert!(moved(&other, &other.status).is_some(), "whatever else is offered");
    other.status.stable.as_mut().unwrap().release = delivered("other:1.0.0");
    other.status.stable.as_mut().unwrap().release.digest = OLD.to_owned();
    assert_eq!(moved(&other, &other.status), None, "of another repository");
}

#[test]
fn the_condition_and_the_notice_of_a_moved_tag_are_stored_once() {
    let seen = resting("shop:1.0.0", OLD, Some(NEW), false);
    let Move::Report(shown) = decide(&Known::Valid(Box::new(seen.clone())), at(1)) else {
        panic!()
    };
    let condition = shown.conditions.iter().find(|c| c.kind == "TagMoved").unwrap();
    assert_eq!((condition.status.as_str(), condition.reason.as_str()), ("True", "Repushed"));
    assert!(condition.message.contains("spec.requireDigest"), "{}", condition.message);
    let notices: Vec<_> = shown.outbox.iter().filter(|n| n.reason == "TagMoved").collect();
    assert_eq!((notices.len(), notices[0].warning), (1, true));
    let mut after = Snapshot { status: *shown, ..seen };
    after.sent = after.status.outbox.iter().map(|notice| notice.id.clone()).collect();
    after.status.outbox.clear();
    let next = decide(&Known::Valid(Box::new(after)), at(2));
    assert!(matches!(next, Move::Wait { .. }), "{next:?}");
}

fn told(pick: Pick) -> String {
    match pick {
        Pick::Nothing => "nothing".to_owned(),
        Pick::Hold(hold) => format!("{}: {}", hold.code(), hold.message()),
        Pick::Release(release) => release.image.to_string(),
    }
}

#[test]
fn a_required_digest_is_written_and_a_tag_pushed_again_is_a_new_release() {
    let (old, new) = (format!("shop:1.0.0@{OLD}"), format!("shop:1.0.0@{NEW}"));
    for (case, image, known, want) in [
        ("it is pinned already", &old, Some(OLD), "nothing"),
        ("it is not pinned yet", &"shop:1.0.0".to_owned(), Some(OLD), old.as_str()),
        ("pushed again", &old, Some(NEW), &new),
        ("what is pinned stays while nothing is known", &old, None, "nothing"),
        ("nothing is known", &"shop:1.0.0".to_owned(), None, "nothing"),
    ] {
        let taken = if image.contains('@') { OLD } else { "" };
        assert_eq!(told(pick(&resting(image, taken, known, true), at(0))), want, "{case}");
    }
    let mut owned = resting("shop:1.0.0", OLD, Some(OLD), true);
    owned.template.containers[0].foreign_owners = vec!["kustomize-controller".into()];
    assert_eq!(told(pick(&owned, at(0))), "nothing", "what Git owns is not ours to pin");
}

#[test]
fn without_its_required_digest_nothing_is_taken() {
    let mut seen = resting(&format!("shop:1.0.0@{OLD}"), OLD, Some(OLD), true);
    let offers = vec![release("1.1.0"), offered(Some(OLD))];
    seen.offer = Offer::Releases(Releases::newest(release("1.2.0"), offers));
    let hold = told(pick(&seen, at(0)));
    assert!(hold.starts_with("DigestUnknown: the digest of shop:1.2.0"), "{hold}");
    assert!(hold.ends_with("the registry has not told it yet"), "{hold}");
    seen.unread = Some(("Forbidden", "may not get Secret".to_owned()));
    assert!(told(pick(&seen, at(0))).ends_with("may not get Secret"));
    seen.manifests.insert("1.2.0".to_owned(), Err("the registry has no such tag".to_owned()));
    assert!(told(pick(&seen, at(0))).ends_with("no such tag"));

    seen.spec.wanted_version = Some("1.1.0".to_owned());
    assert!(told(pick(&seen, at(0))).starts_with("DigestUnknown"), "a person's choice neither");
    seen.spec.require_digest = false;
    assert_eq!(told(pick(&seen, at(0))), "shop:1.1.0");
}

#[test]
fn what_a_person_chose_gets_its_digest_once_that_is_known() {
    let mut seen = resting(&format!("shop:2.0.0@{OLD}"), OLD, None, true);
    seen.offer = Offer::Releases(Releases::one(release("2.0.0")));
    seen.status.available = [Listed::of(&release("1.5.0"))].into();
    let wanted = |seen: &Snapshot| {
        let mut seen = seen.clone();
        seen.spec.wanted_version = Some("1.5.0".to_owned());
        told(pick(&seen, at(0)))
    };
    let forced = |seen: &Snapshot| {
        let mut seen = seen.clone();
        seen.status.pin = Some(crate::decide::pick::force(&seen, &release("1.5.0"), at(0)));
        told(pick(&seen, at(0)))
    };
    for told in [wanted(&seen), forced(&seen)] {
        assert!(told.starts_with("DigestUnknown"), "{told}");
    }
    let digest = NEW.to_owned();
    let manifest = Manifest { digest, about: About::default(), card: Card::default() };
    seen.manifests.insert("1.5.0".to_owned(), Ok(manifest));
    let want = format!("shop:1.5.0@{NEW}");
    assert_eq!((wanted(&seen), forced(&seen)), (want.clone(), want));
    let mut runs = seen.clone();
    runs.template = template(&format!("shop:1.5.0@{OLD}"));
    let chosen = forced(&runs);
    assert!(!chosen.contains(NEW), "pushed again it is no choice of anybody: {chosen}");
    seen.spec.require_digest = false;
    assert_eq!(wanted(&seen), "shop:1.5.0", "only where it is required");
}

#[test]
fn the_digest_of_a_known_release_goes_into_the_template_only_where_digests_do() {
    let mut seen = resting("shop:1.0.0", "", None, false);
    seen.offer = Offer::Releases(Releases::one(release("2.0.0")));
    let known = Listed { digest: Some(OLD.to_owned()), ..Listed::of(&release("1.5.0")) };
    seen.status.available = [known].into();
    let image = |seen: &Snapshot| find(seen, "1.5.0").unwrap().image.to_string();
    assert_eq!(image(&seen), "shop:1.5.0");
    seen.spec.require_digest = true;
    assert_eq!(image(&seen), format!("shop:1.5.0@{OLD}"));
    seen.spec.require_digest = false;
    let Offer::Releases(releases) = &mut seen.offer else { panic!() };
    *releases = releases.clone().each(|release| release.image.digest = Some(NEW.to_owned()));
    assert_eq!(image(&seen), format!("shop:1.5.0@{OLD}"), "the policy shows digests");
}

#[test]
fn what_is_known_of_images_is_noted_and_kept() {
    let mut seen = resting("shop:1.0.0", "", Some(OLD), false);
    let mut status = seen.status.clone();
    learn(&seen, &mut status);
    let stable = status.stable.clone().unwrap().release;
    assert_eq!((stable.digest.as_str(), stable.about.revision.as_str()), (OLD, "5f6c0a9"));
    assert_eq!(stable.image, "shop:1.0.0", "what stands in the template is not touched");
    let one = listed(&seen, &offered(None));
    assert_eq!(one.digest.as_deref(), Some(OLD));

    seen.status.available = [Listed { about: stable.about, ..one.clone() }].into();
    (seen.status.card.title, seen.status.skipped.count) = ("Shop".to_owned(), 3);
    seen.manifests.clear();
    assert_eq!(
        listed(&seen, &offered(None)),
        seen.status.available[0],
        "a restart forgets nothing"
    );
    assert_eq!(listed(&seen, &offered(Some(NEW))).digest.as_deref(), Some(NEW), "unless it moved");
    assert_eq!((card(&seen).title.as_str(), skipped(&seen).count), ("Shop", 3));
    seen.offer = Offer::NoSource;
    assert_eq!((card(&seen), skipped(&seen)), (Card::default(), Skipped::default()));
}
