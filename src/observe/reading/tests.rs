use serde_json::json;

use super::*;
use crate::observe::subject::Named;

fn policy(name: &str, tag: &str) -> ImagePolicy {
    serde_json::from_value(json!({
        "apiVersion": "image.toolkit.fluxcd.io/v1", "kind": "ImagePolicy",
        "metadata": {"name": name, "namespace": "flux", "generation": 1},
        "spec": {"imageRepositoryRef": {"name": "shop"}},
        "status": {"latestRef": {"name": "a/shop", "tag": tag}},
    }))
    .unwrap()
}

fn look(readings: &Readings, policy: &ImagePolicy, now: Instant) -> Option<Reading> {
    let rollout = Key::new("prod", policy.metadata.name.as_deref().unwrap());
    readings.look(&rollout, Some(policy), |from, to| from == to, now)
}

fn taken(readings: &Readings, now: Instant) -> Option<Subject> {
    readings.take(now).map(|ask| ask.subject)
}

/// Notes what came of what is asked now.
fn finish(readings: &Readings, subject: &Subject, fetched: Fetched, now: Instant) -> News {
    let asking = |entry: &Entry| entry.asking.as_ref().map(|asking| asking.number);
    let number = readings.lock().entries.get(subject).and_then(asking).unwrap_or(0);
    readings.finish((subject, number), fetched, now)
}

fn tags(tag: &str) -> Fetched {
    let tags = Arc::new(BTreeSet::from([tag.to_owned()]));
    Fetched { reading: Some(Reading::Tags { tags, truncated: false }), ..Fetched::default() }
}

#[tokio::test(start_paused = true)]
async fn a_repository_is_asked_about_once_for_each_thing_that_is_shown() {
    let readings = Readings::default();
    let key = Subject::Repository(Key::new("flux", "shop"));
    let now = Instant::now();
    assert_eq!(look(&readings, &policy("one", "1.0.0"), now), None);
    assert_eq!(look(&readings, &policy("two", "1.0.0"), now), None);
    assert_eq!(taken(&readings, now), Some(key.clone()));
    assert_eq!(taken(&readings, now), None, "one listing for both");
    let woken = finish(&readings, &key, tags("1.0.0"), now);
    assert_eq!(woken.policies.len(), 2, "{woken:?}");
    assert!(look(&readings, &policy("one", "1.0.0"), now).is_some());
    assert_eq!((taken(&readings, now), readings.next()), (None, None), "nothing is new");

    look(&readings, &policy("one", "1.1.0"), now);
    assert_eq!(taken(&readings, now), Some(key.clone()));
    look(&readings, &policy("one", "1.2.0"), now);
    assert_eq!(taken(&readings, now), None, "not twice at a time");
    assert_eq!(finish(&readings, &key, tags("1.0.0"), now), News::default(), "no news");
    assert_eq!(taken(&readings, now), Some(key.clone()), "but once more after it");
}

#[tokio::test(start_paused = true)]
async fn what_failed_is_asked_about_again_ever_more_rarely() {
    let readings = Readings::default();
    let key = Subject::Repository(Key::new("flux", "shop"));
    let mut now = Instant::now();
    look(&readings, &policy("one", "1.0.0"), now);
    let mut pauses = Vec::new();
    for _ in 0..11 {
        assert_eq!(taken(&readings, now), Some(key.clone()));
        finish(&readings, &key, Fetched { again: true, ..Fetched::default() }, now);
        let next = readings.next().unwrap();
        pauses.push((next - now).as_secs());
        now = next;
    }
    assert_eq!(pauses, [2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600]);
}

#[test]
fn a_policy_that_no_rollout_looks_at_is_forgotten_with_its_repository() {
    let readings = Readings::default();
    let now = Instant::now();
    let (one, two) = (policy("one", "1.0.0"), policy("two", "1.0.0"));
    let (a, b) = (Key::new("prod", "a"), Key::new("prod", "b"));
    let look = |rollout, policy| readings.look(rollout, policy, |_, _| true, now);
    let known = || {
        let known = readings.lock();
        let policies = known.entries.values().map(|entry| entry.shown.len()).sum::<usize>();
        (known.entries.len(), policies, known.line.len(), known.looks.len())
    };
    look(&a, Some(&one));
    look(&b, Some(&one));
    assert_eq!(known(), (1, 1, 1, 2));
    look(&a, None);
    assert_eq!(known(), (1, 1, 1, 1), "another one looks at it");
    look(&b, Some(&two));
    assert_eq!(known(), (1, 1, 1, 1), "another policy of the same repository");
    let mut elsewhere = policy("two", "1.0.0");
    elsewhere.spec = json!({"imageRepositoryRef": {"name": "till"}});
    look(&b, Some(&elsewhere));
    assert_eq!(known(), (1, 1, 1, 1), "another repository of the same policy");
    readings.leave(&b);
    assert_eq!(known(), (0, 0, 0, 0), "the Rollout is gone");
    look(&a, Some(&one));
    let asked = readings.take(now).unwrap();
    look(&a, None);
    assert_eq!(known(), (0, 0, 0, 0), "the policy is gone while its repository is asked about");
    let news = readings.finish((&asked.subject, asked.number), tags("1.0.0"), now);
    assert_eq!((news, known()), (News::default(), (0, 0, 0, 0)), "nobody is told");
}

#[test]
fn a_repository_of_another_namespace_is_asked_about_where_the_policy_may_name_it() {
    let readings = Readings::default();
    let (now, shop) = (Instant::now(), Key::new("prod", "shop"));
    let mut other = policy("one", "1.0.0");
    other.spec = json!({"imageRepositoryRef": {"name": "shop", "namespace": "team"}});
    let told = readings.look(&shop, Some(&other), |from, to| from == to, now);
    let Some(Reading::Unread { reason, why }) = told else { panic!("{told:?}") };
    assert_eq!(reason, "AccessDenied");
    assert!(why.contains("--allow-cross-namespace-refs=team"), "{why}");
    assert_eq!(readings.take(now).map(|ask| ask.subject), None, "nobody is asked");

    assert_eq!(readings.look(&shop, Some(&other), |_, _| true, now), None);
    let ask = readings.take(now).unwrap();
    assert_eq!(ask.subject, Subject::Repository(Key::new("team", "shop")));
    assert_eq!(ask.namespaces, BTreeSet::from(["flux".to_owned()]));
    let denied = BTreeMap::from([("flux".to_owned(), "no".to_owned())]);
    finish(&readings, &ask.subject, Fetched { denied, ..tags("1.0.0") }, now);
    let told = readings.look(&shop, Some(&other), |_, _| true, now);
    assert_eq!(told, Some(Reading::Unread { reason: "AccessDenied", why: "no".to_owned() }));
    other.spec = serde_json::Value::Null;
    assert_eq!(readings.look(&shop, Some(&other), |_, _| true, now), None);
}

/// A repository that a Rollout follows itself.
fn image(name: &str) -> Subject {
    let (secrets, cert) = (Vec::new(), None);
    Subject::Registry(Named { image: name.to_owned(), insecure: false, secrets, cert })
}

#[tokio::test(start_paused = true)]
async fn what_rollouts_follow_is_asked_about_once_for_all_and_again_and_again() {
    let readings = Readings::default();
    let now = Instant::now();
    let (a, b) = (Key::new("prod", "a"), Key::new("prod", "b"));
    let minutes = |minutes: u64| Some((image("shop"), moment::Duration::from_secs(60 * minutes)));
    assert_eq!(readings.follow(&a, minutes(10), now), None);
    assert_eq!(readings.follow(&b, minutes(5), now), None);
    assert_eq!(readings.take(now).map(|ask| ask.subject), Some(image("shop")));
    assert_eq!(readings.take(now).map(|ask| ask.subject), None, "one listing for both");
    let news = finish(&readings, &image("shop"), tags("1.0.0"), now);
    assert_eq!(news.rollouts, BTreeSet::from([a.clone(), b.clone()]));
    let secs = |at: Instant| (at - now).as_secs();
    let next = readings.next().map(secs).unwrap();
    assert!((300..=330).contains(&next), "the shortest interval, and up to a tenth: {next}");

    assert!(readings.follow(&b, minutes(5), now).is_some());
    assert_eq!(readings.next().map(secs), Some(next), "a turn changes nothing");
    readings.leave(&b);
    let due = readings.next().unwrap();
    assert!(readings.take(due).is_some());
    let news = finish(&readings, &image("shop"), tags("1.0.0"), due);
    assert_eq!(news, News::default(), "the same is no news");
    let next = readings.next().map(|at| (at - due).as_secs()).unwrap();
    assert!((600..=660).contains(&next), "only the other is left: {next}");

    readings.follow(&a, Some((image("other"), moment::Duration::from_secs(60))), due);
    let ask = readings.take(due).unwrap();
    assert_eq!(ask.subject, image("other"), "asked at once, and the former one not any more");
    readings.rest();
    assert_eq!(finish(&readings, &ask.subject, tags("1.0.0"), due), News::default());
    assert_eq!(readings.next(), None, "another process asks now");
}

#[tokio::test(start_paused = true)]
async fn a_registry_that_fails_is_asked_again_sooner_than_its_interval() {
    let readings = Readings::default();
    let now = Instant::now();
    let wanted = Some((image("shop"), moment::Duration::from_secs(3600)));
    readings.follow(&Key::new("prod", "a"), wanted, now);
    readings.take(now).unwrap();
    let why = "it fails".to_owned();
    let reading = Some(Reading::Unread { reason: "RegistryFault", why });
    let failed = Fetched { reading, again: true, ..Fetched::default() };
    assert_eq!(finish(&readings, &image("shop"), failed, now).rollouts.len(), 1);
    assert_eq!(readings.next(), Some(now + PAUSE_MIN));
    readings.take(now + PAUSE_MIN).unwrap();
    finish(&readings, &image("shop"), tags("1.0.0"), now + PAUSE_MIN);
    assert!(readings.next().is_some_and(|at| now + Duration::from_secs(3600) < at));
}

#[tokio::test(start_paused = true)]
async fn a_manifest_is_read_once_until_the_source_shows_something_new() {
    let (readings, now) = (Readings::default(), Instant::now());
    let key = Subject::Repository(Key::new("flux", "shop"));
    let want = |rollout: &str, tags: &[&str]| {
        readings.want(&Key::new("prod", rollout), wants(key.clone(), tags), now)
    };
    let known = |found: &[(&str, Option<bool>)]| {
        let one = |(tag, failed): &(&str, Option<bool>)| {
            let error = |passing| Unresolved { reason: "R", why: String::new(), passing };
            ((*tag).to_owned(), failed.map_or(Ok(Manifest::default()), |p| Err(error(p))))
        };
        Fetched { manifests: found.iter().map(one).collect(), ..tags("1.0.0") }
    };
    assert!(want("a", &["1.0.0"]).is_empty(), "nobody looked at the policy yet");
    look(&readings, &policy("one", "1.1.0"), now);
    want("a", &["1.1.0", "1.0.0"]);
    want("b", &["1.1.0", "0.9.0"]);
    let all = "list 0.9.0 1.0.0 1.1.0";
    assert_eq!(asked(&readings, now).as_deref(), Some(all), "one visit for both");
    let found = known(&[("1.1.0", None), ("1.0.0", Some(false)), ("0.9.0", Some(true))]);
    let news = finish(&readings, &key, Fetched { again: true, ..found }, now);
    assert_eq!(news.policies.len(), 1);
    assert_eq!(want("a", &["1.1.0", "1.0.0"]).len(), 3);
    assert_eq!(asked(&readings, now), None, "what failed waits");
    let later = readings.next().unwrap();
    assert_eq!(later, now + PAUSE_MIN);
    assert_eq!(asked(&readings, later).as_deref(), Some("0.9.0"), "that alone");
    finish(&readings, &key, known(&[("0.9.0", None)]), now);
    assert_eq!((asked(&readings, later), readings.next()), (None, None), "at rest");

    want("a", &["1.1.0", "1.2.0"]);
    assert_eq!(asked(&readings, now).as_deref(), Some("1.2.0"), "what is new");
    finish(&readings, &key, known(&[]), now);
    assert!(want("a", &["1.1.0"])["1.2.0"].is_err(), "an answer that lacks it is none");
    readings.leave(&Key::new("prod", "b"));
    look(&readings, &policy("one", "1.3.0"), now);
    assert_eq!(asked(&readings, now).as_deref(), Some("list 1.1.0*"), "looked at");
    let failed = Fetched { again: true, ..known(&[("1.1.0", Some(true))]) };
    finish(&readings, &key, failed, now);
    let kept = want("a", &["1.1.0"]);
    assert!(kept.len() == 1 && kept["1.1.0"].is_ok(), "what is known stays: {kept:?}");
    assert_eq!(asked(&readings, later).as_deref(), Some("1.1.0*"), "until it answers");
}

fn wants(subject: Subject, tags: &[&str]) -> Option<Wanted> {
    let tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
    Some(Wanted { subject, namespace: "flux".to_owned(), tags, shows: String::new() })
}

#[tokio::test(start_paused = true)]
async fn the_images_of_a_version_are_asked_about_without_a_listing() {
    let (readings, now) = (Readings::default(), Instant::now());
    let (a, b) = (Key::new("prod", "a"), Key::new("prod", "b"));
    assert!(readings.want(&a, wants(image("shop"), &["1.0.0"]), now).is_empty());
    assert_eq!(asked(&readings, now).as_deref(), Some("1.0.0"));
    let found = [("1.0.0".to_owned(), Ok(Manifest::default()))].into();
    let found = Fetched { manifests: found, ..Fetched::default() };
    let news = finish(&readings, &image("shop"), found.clone(), now);
    assert_eq!(news.rollouts, BTreeSet::from([a.clone()]));
    assert_eq!(readings.want(&a, wants(image("shop"), &["1.0.0"]), now).len(), 1);
    assert_eq!(readings.next(), None, "nobody asked for the tags");

    let minute = Some((image("shop"), moment::Duration::from_secs(60)));
    readings.follow(&b, minute, now);
    assert_eq!(
        asked(&readings, now).as_deref(),
        Some("list 1.0.0*"),
        "and as often as it is listed"
    );
    let manifests = found.manifests.clone();
    finish(&readings, &image("shop"), Fetched { manifests, ..tags("1.0.0") }, now);
    readings.want(&b, wants(image("shop"), &["1.1.0"]), now);
    assert_eq!(asked(&readings, now).as_deref(), Some("1.1.0"), "between two listings");
    finish(&readings, &image("shop"), Fetched::default(), now);
    let due = readings.next().unwrap();
    assert!(now + Duration::from_secs(60) <= due, "{:?}", due - now);
    let all = asked(&readings, due);
    assert_eq!(all.as_deref(), Some("list 1.0.0* 1.1.0"), "a tag may have been pushed again");
    finish(&readings, &image("shop"), tags("1.0.0"), due);

    readings.want(&a, wants(image("other"), &["1.0.0"]), due);
    assert_eq!(asked(&readings, due).as_deref(), Some("1.0.0"));
    let missing = Unresolved { reason: "R", why: String::new(), passing: false };
    let manifests = [("1.0.0".to_owned(), Err(missing))].into();
    let none = Fetched { manifests, ..Fetched::default() };
    finish(&readings, &image("other"), none, due);
    let later = readings.next().unwrap();
    assert_eq!(later, due + PAUSE_MIN, "an image may come after its version");
    assert_eq!(asked(&readings, later).as_deref(), Some("1.0.0"));
    readings.want(&a, None, due);
    assert_eq!(finish(&readings, &image("other"), found, due), News::default(), "nobody wants it");
    readings.leave(&b);
    assert_eq!(readings.next(), None, "all are forgotten");
}

#[tokio::test(start_paused = true)]
async fn what_was_known_before_another_process_asked_is_not_told() {
    let (readings, now) = (Readings::default(), Instant::now());
    let key = Subject::Repository(Key::new("flux", "shop"));
    let a = Key::new("prod", "a");
    let shop = policy("one", "1.0.0");
    let digest = |digest: &str| {
        let manifest = Manifest { digest: digest.to_owned(), ..Manifest::default() };
        Fetched { manifests: [("1.0.0".to_owned(), Ok(manifest))].into(), ..tags("1.0.0") }
    };
    look(&readings, &shop, now);
    readings.want(&a, wants(key.clone(), &["1.0.0"]), now);
    let old = readings.take(now).unwrap();
    readings.rest();
    assert_eq!(look(&readings, &shop, now), None);
    assert!(readings.want(&a, wants(key.clone(), &["1.0.0"]), now).is_empty());
    let new = readings.take(now).unwrap();
    let late = readings.finish((&key, old.number), digest("old"), now);
    assert_eq!(late, News::default(), "it was asked before");
    assert!(look(&readings, &shop, now).is_none());
    readings.finish((&key, new.number), digest("new"), now);
    let told = readings.want(&a, wants(key, &["1.0.0"]), now);
    assert_eq!(told["1.0.0"].as_ref().unwrap().digest, "new");
}

#[tokio::test(start_paused = true)]
async fn a_manifest_that_cannot_be_read_puts_no_listing_off() {
    let (readings, now) = (Readings::default(), Instant::now());
    let a = Key::new("prod", "a");
    readings.follow(&a, Some((image("shop"), moment::Duration::from_secs(60))), now);
    readings.want(&a, wants(image("shop"), &["1.0.0"]), now);
    let mut at = now;
    let mut listed = 0;
    for _ in 0..30 {
        let ask = readings.take(at).unwrap();
        listed += usize::from(ask.list);
        let failed = Unresolved { reason: "R", why: String::new(), passing: true };
        let manifests = [("1.0.0".to_owned(), Err(failed))].into();
        finish(&readings, &image("shop"), Fetched { manifests, again: true, ..tags("1.0.0") }, at);
        at = readings.next().unwrap();
    }
    let minutes = (at - now).as_secs() / 60;
    assert!(20 < minutes && listed as u64 + 4 > minutes, "{listed} in {minutes} min");
}

#[tokio::test(start_paused = true)]
async fn images_are_looked_at_again_when_their_source_shows_something_else() {
    let (readings, now) = (Readings::default(), Instant::now());
    let a = Key::new("prod", "a");
    let shows = |text: &str| {
        let wanted = wants(image("shop"), &["1.0.0"]).unwrap();
        readings.want(&a, Some(Wanted { shows: text.to_owned(), ..wanted }), now)
    };
    shows("one");
    assert_eq!(asked(&readings, now).as_deref(), Some("1.0.0"));
    let manifests = [("1.0.0".to_owned(), Ok(Manifest::default()))].into();
    finish(&readings, &image("shop"), Fetched { manifests, ..Fetched::default() }, now);
    shows("one");
    assert_eq!(asked(&readings, now), None);
    shows("two");
    assert_eq!(asked(&readings, now).as_deref(), Some("1.0.0*"));
}

#[tokio::test(start_paused = true)]
async fn a_namespace_that_nobody_let_in_yet_is_told_nothing() {
    let (readings, now) = (Readings::default(), Instant::now());
    let key = Subject::Repository(Key::new("flux", "shop"));
    look(&readings, &policy("one", "1.0.0"), now);
    let wanted = |namespace: &str| {
        let wanted = wants(key.clone(), &["1.0.0"]).unwrap();
        let wanted = Wanted { namespace: namespace.to_owned(), ..wanted };
        readings.want(&Key::new(namespace, "a"), Some(wanted), now)
    };
    wanted("flux");
    assert!(readings.take(now).is_some());
    let manifests = [("1.0.0".to_owned(), Ok(Manifest::default()))].into();
    finish(&readings, &key, Fetched { manifests, ..tags("1.0.0") }, now);
    assert_eq!(wanted("flux").len(), 1);
    assert!(wanted("other").is_empty(), "its policy was not looked at");
}

/// What is asked for: whether the tags are listed, and the tags, with a star where their manifest
/// is known.
fn asked(readings: &Readings, now: Instant) -> Option<String> {
    let Ask { list, tags, .. } = readings.take(now)?;
    let star = |known: &Option<Manifest>| if known.is_some() { "*" } else { "" };
    let tags = tags.iter().map(|(tag, known)| format!("{tag}{}", star(known)));
    let words: Vec<String> = list.then(|| "list".to_owned()).into_iter().chain(tags).collect();
    Some(words.join(" "))
}

#[test]
fn a_request_for_a_reconciliation_is_something_new() {
    let (readings, now) = (Readings::default(), Instant::now());
    let mut asked = policy("one", "1.0.0");
    look(&readings, &asked, now);
    let ask = readings.take(now).unwrap();
    finish(&readings, &ask.subject, tags("1.0.0"), now);
    asked.status.as_mut().unwrap().last_handled_reconcile_at = Some("today".to_owned());
    look(&readings, &asked, now);
    assert!(readings.take(now).is_some());
}
