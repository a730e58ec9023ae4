use serde_json::{Value, json};

use super::*;
use crate::decide::fixture::{at, at_rest, bound, delivered, release, template};
use crate::model::gate::{Asks, Gate, GateState, Ran};
use crate::model::moment::Duration;
use crate::model::release::Manifest;
use crate::model::template::Template;
use crate::model::weight::Weight;

/// At rest on 1.1.0, with these tags offered: all that there are, or those that a source shows.
fn offered(tags: &[&str], whole: bool) -> Snapshot {
    let mut seen = at_rest();
    seen.template = template("shop:1.1.0");
    seen.offer = all(tags, whole);
    seen
}

fn all(tags: &[&str], whole: bool) -> Offer {
    let mut list: Vec<_> = tags.iter().map(|tag| release(tag)).collect();
    list.sort_by(|a, b| b.version.precedence(&a.version));
    let first = list.remove(0);
    let mut releases = Releases::newest(first, list);
    releases.whole = whole;
    Offer::Releases(releases)
}

fn told(pick: &Pick) -> String {
    match pick {
        Pick::Nothing => "nothing".to_owned(),
        Pick::Hold(hold) => hold.code().to_owned(),
        Pick::Release(release) => release.image.to_string(),
    }
}

fn failure(tag: &str) -> Quarantined {
    Quarantined {
        revision: template("shop:9.9.9").id.revision("shop", 0),
        release: delivered(&format!("shop:{tag}")),
        trigger: Trigger::Release,
        attempt: 5,
        since: at(0),
    }
}

#[test]
fn the_newest_that_nothing_refuses_is_taken_whatever_the_order() {
    let none: fn(&mut Snapshot) = |_| {};
    for (case, tags, change, want) in [
        ("the newest", &["1.1.0", "1.10.0", "1.9.0"][..], none, "shop:1.10.0"),
        ("what runs is the newest", &["1.0.0", "1.1.0"], none, "nothing"),
        ("none is newer", &["1.0.0", "0.9.0"], none, "OlderRelease"),
        (
            "past what failed",
            &["1.3.0", "1.2.0", "1.1.0"],
            |seen| seen.status.quarantine.push(failure("1.3.0")),
            "shop:1.2.0",
        ),
        (
            "all newer ones failed",
            &["1.2.0", "1.1.0", "1.0.0"],
            |seen| seen.status.quarantine.push(failure("1.2.0")),
            "Quarantined",
        ),
        (
            "past a pin",
            &["1.3.0", "1.2.0", "1.1.0"],
            |seen| {
                let (image, until_newer_than) = ("shop:1.1.0".into(), "1.2.0".into());
                seen.status.pin =
                    Some(Pin { image, until_newer_than, since: at(0), forced: false });
            },
            "shop:1.3.0",
        ),
    ] {
        let mut seen = offered(tags, true);
        change(&mut seen);
        assert_eq!(told(&pick(&seen, at(0))), want, "{case}");
    }
}

#[test]
fn of_what_was_known_before_nothing_starts() {
    for (case, stale, tags, want) in [
        ("told anew", false, &["1.2.0", "1.1.0"][..], "shop:1.2.0"),
        ("not told anew", true, &["1.2.0", "1.1.0"], "SourceNotReady"),
        ("and nothing is newer", true, &["1.1.0", "1.0.0"], "nothing"),
        ("two tags of what runs", false, &["1.1.0", "v1.1.0"], "nothing"),
        ("the other one first", false, &["v1.1.0", "1.1.0", "1.0.0"], "nothing"),
        ("two tags of a newer one", false, &["1.2.0", "v1.2.0", "1.1.0"], "shop:1.2.0"),
    ] {
        let mut seen = offered(tags, true);
        let why = "its tags were not listed yet".to_owned();
        let hold = Hold::SourceNotReady { source: "registry shop".to_owned(), why };
        if let Offer::Releases(releases) = &mut seen.offer {
            releases.stale = stale.then(|| Box::new(hold));
        }
        assert_eq!(told(&pick(&seen, at(0))), want, "{case}");
        assert_eq!(available(&seen).len(), tags.len(), "{case}");
    }
}

#[test]
fn a_process_that_begins_anew_takes_nothing_back_from_a_source_that_shows_less() {
    let runs = |seen: &mut Snapshot| seen.template = template("shop:1.2.0");
    let only = |seen: &mut Snapshot| {
        seen.spec.workload = false;
        seen.status.stable.as_mut().unwrap().release = delivered("shop:1.2.0");
    };
    let bakes = |seen: &mut Snapshot| {
        seen.spec.workload = false;
        let attempt = seen.status.attempt.as_mut().unwrap();
        attempt.release = delivered("shop:1.2.0");
        attempt.stage = Stage::Baking { entered_at: at(0), since: None };
    };
    let lost = |seen: &mut Snapshot| {
        seen.spec.workload = false;
        seen.status = Default::default();
        seen.bindings = vec![bound(Some("1.2.0"))];
    };
    let away = |seen: &mut Snapshot| {
        let why = "Ready is Unknown".to_owned();
        seen.offer =
            Offer::Nothing(Hold::SourceNotReady { source: "ImagePolicy shop".into(), why });
    };
    type Patch = fn(&mut Snapshot);
    let cases: [(&str, Patch, &str); 5] = [
        ("the template has a newer one", runs, "OlderRelease"),
        ("a newer one was delivered", only, "OlderRelease"),
        ("a newer one bakes", bakes, "OlderRelease"),
        ("the status is lost, the bound field tells", lost, "OlderRelease"),
        ("the source is not Ready at its generation", away, "SourceNotReady"),
    ];
    for (case, change, want) in cases {
        let mut seen = offered(&["1.1.0"], false);
        seen.status.available = [Listed::of(&release("1.2.0"))].into();
        change(&mut seen);
        assert_eq!(told(&pick(&seen, at(0))), want, "{case}");
    }
}

#[test]
fn of_two_tags_of_one_version_the_one_that_was_taken_stays() {
    let only = |seen: &mut Snapshot, tag: &str| {
        seen.spec.workload = false;
        seen.status.stable.as_mut().unwrap().release = delivered(&format!("shop:{tag}"));
    };
    let pending = |seen: &mut Snapshot, tag: &str| {
        let attempt = seen.status.attempt.as_mut().unwrap();
        attempt.release = delivered(&format!("shop:{tag}"));
        (attempt.trigger, attempt.delivered) = (Trigger::Release, false);
        attempt.stage = Stage::Step { number: 1, entered_at: at(0), paused_at: None };
    };
    type Change<'a> = &'a dyn Fn(&mut Snapshot, &str);
    let runs: Change<'_> = &|seen, tag| seen.template = template(&format!("shop:{tag}"));
    let cases: [(&str, &[&str], Change<'_>, &str, &str); 9] = [
        ("the source shows the other one", &["1.2.0"], runs, "v1.2.0", "AmbiguousRelease"),
        ("and back", &["v1.2.0"], runs, "1.2.0", "AmbiguousRelease"),
        ("it lists both", &["1.2.0", "v1.2.0"], runs, "v1.2.0", "nothing"),
        ("what is only delivered", &["1.2.0"], &only, "v1.2.0", "AmbiguousRelease"),
        ("and back", &["v1.2.0"], &only, "1.2.0", "AmbiguousRelease"),
        ("with both listed", &["1.2.0", "v1.2.0"], &only, "v1.2.0", "nothing"),
        ("it is on its way", &["1.2.0"], &pending, "v1.2.0", "nothing"),
        ("and back", &["v1.2.0"], &pending, "1.2.0", "nothing"),
        ("a newer one is another version", &["1.3.0"], &pending, "1.2.0", "shop:1.3.0"),
    ];
    for (case, tags, change, tag, want) in cases {
        let mut seen = offered(tags, true);
        change(&mut seen, tag);
        assert_eq!(told(&pick(&seen, at(0))), want, "{case}: {tag}");
    }
}

#[test]
fn of_containers_with_different_versions_the_newest_is_the_one_that_runs() {
    for (case, tags, offered, want) in [
        ("a newer one goes into all", ["1.1.0", "1.2.0"], "1.3.0", "shop:1.3.0"),
        ("what only one has, too", ["1.1.0", "1.2.0"], "1.2.0", "shop:1.2.0"),
        ("whichever comes first", ["1.2.0", "1.1.0"], "1.2.0", "shop:1.2.0"),
        ("beside what is no version", ["latest", "1.2.0"], "1.2.0", "shop:1.2.0"),
        ("between them it would be older", ["1.0.0", "1.2.0"], "1.1.0", "OlderRelease"),
        ("what the older one has, too", ["1.1.0", "1.2.0"], "1.1.0", "OlderRelease"),
        ("another tag of the newest", ["1.1.0", "v1.2.0"], "1.2.0", "AmbiguousRelease"),
    ] {
        let mut seen = all_of(&tags, offered);
        assert_eq!(told(&pick(&seen, at(0))), want, "{case}");
        seen.offer = all(&[offered, "1.0.0"], true);
        assert_eq!(told(&pick(&seen, at(0))), want, "{case}, of a list");
    }
}

/// The containers run these tags, and one is offered.
fn all_of(tags: &[&str], tag: &str) -> Snapshot {
    let mut seen = offered(&[tag], false);
    let images = tags.iter().map(|tag| format!("shop:{tag}")).enumerate();
    let named = |(number, image)| json!({"name": format!("c{number}"), "image": image});
    let containers: Vec<Value> = images.map(named).collect();
    seen.template = Template::new(json!({"spec": {"containers": containers}}));
    seen
}

#[test]
fn a_person_who_names_one_of_two_tags_gets_that_one() {
    for (case, wanted, tags, known, runs, want) in [
        ("the first", "1.2.0", &["1.2.0", "v1.2.0"][..], "", "1.1.0", "shop:1.2.0"),
        ("the second", "v1.2.0", &["1.2.0", "v1.2.0"], "", "1.1.0", "shop:v1.2.0"),
        ("though it is not shown at present", "1.2.0", &["v1.2.0"], "1.2.0", "1.1.0", "shop:1.2.0"),
        ("it runs, and is not shown", "1.2.0", &["v1.2.0"], "", "1.2.0", "nothing"),
        (
            "no tag is spelled so: what runs",
            "01.2.0",
            &["1.2.0", "v1.2.0"],
            "",
            "v1.2.0",
            "nothing",
        ),
        ("else the first", "01.2.0", &["v1.2.0", "1.2.0"], "", "1.1.0", "shop:v1.2.0"),
    ] {
        let mut seen = offered(tags, false);
        seen.template = template(&format!("shop:{runs}"));
        seen.status.stable.as_mut().unwrap().release = delivered(&format!("shop:{runs}"));
        seen.spec.wanted_version = Some(wanted.to_owned());
        let known = (!known.is_empty()).then(|| Listed::of(&release(known)));
        seen.status.available = known.into_iter().collect();
        assert_eq!(told(&pick(&seen, at(0))), want, "{case}");
    }
}

#[test]
fn what_ends_by_itself_is_waited_for_behind_a_newer_one_that_does_not() {
    let mut seen = offered(&["2.0.0", "1.2.0", "1.1.0"], true);
    let runs = Ok(Ran { release: delivered("shop:1.2.0"), since: at(10) });
    let (rollout, lasting) = ("staging/shop".to_owned(), Duration::from_secs(3600));
    let asks = Asks::Other { rollout, lasting, runs };
    seen.gates = vec![Gate { name: "staging".to_owned(), asks }];
    let Pick::Hold(hold) = pick(&seen, at(20)) else { panic!() };
    assert_eq!(hold.until(), Some(at(70)), "2.0.0 does not run there, 1.2.0 for an hour at 70");
    assert_eq!(told(&pick(&seen, at(70))), "shop:1.2.0");
}

#[test]
fn the_wanted_version_goes_before_all_and_may_be_older() {
    let none: fn(&mut Snapshot) = |_| {};
    for (case, wanted, tags, change, want) in [
        ("an older one", "1.0.0", &["1.2.0", "1.1.0", "1.0.0"][..], none, "shop:1.0.0"),
        ("by its tag", "v1.0.0", &["1.2.0", "v1.0.0"], none, "shop:v1.0.0"),
        ("with or without v", "1.0.0", &["1.2.0", "v1.0.0"], none, "shop:v1.0.0"),
        ("it runs", "1.1.0", &["1.2.0", "1.1.0"], none, "nothing"),
        ("it is not known", "7.7.7", &["1.2.0"], none, "VersionNotFound"),
        (
            "it was shown before",
            "1.0.5",
            &["1.2.0"],
            |seen| seen.status.available.push(Listed::of(&release("1.0.5"))),
            "shop:1.0.5",
        ),
        (
            "it ran before, and the source is away",
            "1.0.0",
            &["1.2.0"],
            |seen| {
                seen.offer = Offer::Nothing(Hold::NoRelease);
                seen.status.available.push(Listed::of(&release("1.0.0")));
            },
            "shop:1.0.0",
        ),
        (
            "not known, and the source is away",
            "7.7.7",
            &["1.2.0"],
            |seen| seen.offer = Offer::Nothing(Hold::NoRelease),
            "NoRelease",
        ),
        (
            "it failed",
            "1.2.0",
            &["1.2.0"],
            |seen| seen.status.quarantine.push(failure("1.2.0")),
            "Quarantined",
        ),
        (
            "a pin does not keep it",
            "1.0.0",
            &["1.2.0", "1.0.0"],
            |seen| seen.status.pin = Some(force(seen, &release("1.1.0"), at(0))),
            "shop:1.0.0",
        ),
        (
            "what Git owns is not written",
            "1.0.0",
            &["1.0.0"],
            |seen| seen.template.containers[0].foreign_owners = vec!["helm".into()],
            "ImageOwned",
        ),
    ] {
        let mut seen = offered(tags, false);
        seen.spec.wanted_version = Some(wanted.to_owned());
        change(&mut seen);
        assert_eq!(told(&pick(&seen, at(0))), want, "{case}");
    }
}

#[test]
fn the_newest_that_all_gates_allow_is_taken() {
    let gate = |name: &str, versions: &[&str]| Gate {
        name: name.to_owned(),
        asks: Asks::Passing {
            passing: true,
            allowed: Some(versions.iter().map(|text| (*text).to_owned()).collect()),
            turns_at: None,
        },
    };
    let mut seen = offered(&["1.2.0", "1.3.0", "1.4.0"], true);
    seen.gates = vec![gate("a", &["1.2.0", "1.3.0", "1.4.0"]), gate("b", &["1.3.0", "1.2.0"])];
    assert_eq!(told(&pick(&seen, at(0))), "shop:1.3.0");
    let tags = |all: Vec<Listed>| all.into_iter().map(|one| one.tag).collect::<Vec<_>>();
    let (newer, open) = candidates(&seen, at(0));
    assert_eq!((tags(newer).len(), tags(open).join(" ")), (3, "1.3.0 1.2.0".to_owned()));
    seen.gates.push(gate("c", &[]));
    assert_eq!(told(&pick(&seen, at(0))), "GateClosed", "none is left");
    seen.spec.wanted_version = Some("1.4.0".to_owned());
    assert_eq!(told(&pick(&seen, at(0))), "shop:1.4.0", "a person's choice asks no gate");
}

#[test]
fn a_forced_version_is_taken_once_and_stays_until_a_newer_one() {
    let mut seen = offered(&["1.2.0", "1.0.0"], true);
    let pin = force(&seen, &find(&seen, "1.0.0").unwrap(), at(7));
    assert_eq!((pin.image.as_str(), pin.until_newer_than.as_str()), ("shop:1.0.0", "1.2.0"));
    seen.status.pin = Some(pin);
    assert_eq!(told(&pick(&seen, at(0))), "shop:1.0.0");
    assert!(chose(seen.status.pin.as_ref().unwrap(), &delivered("shop:1.0.0")));

    let mut runs = seen.clone();
    runs.template = template("shop:1.0.0");
    assert_eq!(told(&pick(&runs, at(0))), "ManualImage", "what was known is not taken");
    runs.offer = all(&["1.3.0"], true);
    assert_eq!(told(&pick(&runs, at(0))), "shop:1.3.0", "a newer one is");

    seen.status.quarantine.push(failure("1.0.0"));
    assert_eq!(
        told(&pick(&seen, at(0))),
        "ManualImage",
        "it failed: nothing else is taken by itself"
    );
}

#[test]
fn a_rollback_delivers_the_digest_that_the_entry_has() {
    let digest = |byte: &str| format!("sha256:{}", byte.repeat(32));
    let (recorded, other) = (digest("aa"), digest("bb"));
    for (case, taken, tells, required, want) in [
        ("no digest was known", "", None, false, "shop:1.0.0".to_owned()),
        ("the tag tells nothing now", &recorded, None, false, format!("shop:1.0.0@{recorded}")),
        ("it was pushed again", &recorded, Some(&other), false, format!("shop:1.0.0@{recorded}")),
        ("the tag is still that image", &recorded, Some(&recorded), false, "shop:1.0.0".into()),
        ("digests are required", &recorded, Some(&other), true, format!("shop:1.0.0@{recorded}")),
        ("always", &recorded, Some(&recorded), true, format!("shop:1.0.0@{recorded}")),
    ] {
        let mut seen = offered(&["1.2.0", "1.1.0"], true);
        seen.spec.require_digest = required;
        let release = ReleaseRef { digest: taken.to_owned(), ..delivered("shop:1.0.0") };
        seen.status.history = [Entry {
            number: 4,
            release,
            revision: template("shop:1.0.0").id.revision("shop", 0),
            trigger: Trigger::Release,
            started_at: at(0),
            ended_at: at(1),
            cause: None,
            weight: Weight::FULL,
            bake: None,
            intent: None,
        }]
        .into();
        let tells = tells.map(|digest: &String| {
            let digest = digest.clone();
            ("1.0.0".to_owned(), Ok(Manifest { digest, ..Manifest::default() }))
        });
        seen.manifests = tells.into_iter().collect();
        for number in ["4", "true"] {
            let chosen = former(&seen, number).unwrap();
            assert_eq!(chosen.image.to_string(), want, "{case}, {number}");
            seen.status.pin = Some(force(&seen, &chosen, at(2)));
            assert_eq!(told(&pick(&seen, at(3))), want, "{case}: and that is taken");
        }
    }
}

#[test]
fn a_list_that_lost_what_runs_moves_nothing_by_itself() {
    let mut seen = offered(&["1.2.0", "1.0.0"], true);
    seen.status.available = [Listed::of(&release("1.1.0"))].into();
    let Offer::Releases(releases) = &mut seen.offer else { panic!("no releases") };
    releases.suspect = Some("1.1.0".to_owned());
    assert_eq!(told(&pick(&seen, at(0))), "SourceSuspect");
    assert_eq!(candidates(&seen, at(0)), (vec![], vec![]));
    assert_eq!(available(&seen), seen.status.available, "it is not forgotten that it was there");
    seen.spec.wanted_version = Some("1.2.0".to_owned());
    assert_eq!(told(&pick(&seen, at(0))), "shop:1.2.0", "a person may");
}

/// A gate that lets these versions through.
fn allowing(versions: &[&str]) -> GateState {
    let allowed = Some(versions.iter().map(ToString::to_string).collect());
    let (name, message) = ("freeze".to_owned(), String::new());
    GateState { name, passing: true, allowed, message, bypassed: false }
}

#[test]
fn status_lists_what_is_known_and_what_may_come() {
    let tags = |list: &[Listed]| {
        let tags: Vec<_> = list.iter().map(|listed| listed.tag.clone()).collect();
        tags.join(" ")
    };
    let mut seen = offered(&["1.3.0", "1.0.0", "1.2.0", "1.1.0"], true);
    seen.status.quarantine.push(failure("1.3.0"));
    seen.status.available.push(Listed::of(&release("0.1.0")));
    assert_eq!(tags(&available(&seen)), "1.0.0 1.1.0 1.2.0 1.3.0", "what is gone is not listed");
    let (newer, open) = candidates(&seen, at(0));
    assert_eq!((tags(&newer).as_str(), tags(&open).as_str()), ("1.2.0", "1.2.0"));

    seen.template.containers[0].foreign_owners = vec!["helm".into()];
    let (newer, open) = candidates(&seen, at(0));
    assert_eq!((tags(&newer).as_str(), tags(&open).as_str()), ("1.2.0", ""));

    let mut shown = offered(&["1.2.0"], false);
    shown.status.available = ["1.0.0", "1.10.0", "1.2.0"].map(|t| Listed::of(&release(t))).into();
    assert_eq!(tags(&available(&shown)), "1.0.0 1.2.0 1.10.0", "by version, each once");
    shown.status.available =
        (0..40).map(|minor| Listed::of(&release(&format!("1.{minor}.0")))).collect();
    let kept = available(&shown);
    assert_eq!(kept.len(), AVAILABLE_MAX + 1);
    assert_eq!([&kept[0].tag, &kept[1].tag], ["1.0.0", "1.20.0"], "the oldest go, not what ran");
    shown.spec.wanted_version = Some("1.3.0".into());
    shown.status.gates = vec![allowing(&["v1.0.0", "1.7.0", "1.39.0"])];
    let kept = available(&shown);
    let want = "1.0.0 1.3.0 1.7.0 1.20.0";
    assert_eq!(tags(&kept[..4]), want, "nor what a person or a gate names, each once");
    shown.offer = Offer::NoSource;
    assert_eq!(tags(&available(&shown)), "");
    assert_eq!(candidates(&shown, at(0)), (vec![], vec![]));
}
