//! Gates: what keeps a release from starting, and who lets it.

use serde_json::{Value, json};
use stairlock::model::moment::Timestamp;

use crate::support::json::{hold_message, holds, list, merged, name, text};
use crate::support::shop::{named, quick, rollout, sourced, sources_of};
use crate::support::story::{SHOP, Story, attempt_is, completed};
use crate::support::watch::{Change, Seen, Watch, present};

fn held(rollout: &Value, code: &str) -> bool {
    holds(rollout).contains(&code)
}

#[tokio::test]
async fn a_schedule_closes_a_gate_and_takes_it_along() {
    let story = Story::begin("schedule", 90).await;
    story.offer("1.0.0").await;
    story.cluster.add(sourced(rollout(&story, "1.0.0", quick()))).await;
    let controller = story.controller().await;
    story.completed(1).await;

    let gates = story.watch("RolloutGate").await;
    story.cluster.add(always("RolloutSchedule", "freeze", &json!({}))).await;
    let gate = gates.until(story.end, "the gate is made", |_| true).await;
    assert_eq!(gate["spec"], json!({"rolloutRef": {"name": SHOP}, "passing": false}));
    story.push("1.1.0").await;
    let waits = story.until("the gate is closed", |r| held(r, "GateClosed")).await;
    assert!(hold_message(&waits, "GateClosed").contains("lets nothing through"));

    story.cluster.remove("RolloutSchedule", "freeze").await;
    let done = story.completed(2).await;
    assert_eq!(list(&done, "/status/gates").len(), 0, "the garbage collector took the gate");
    assert_eq!(controller.forbidden(), [""; 0]);
}

/// A schedule of any time; `over` says more of it.
fn always(kind: &str, name: &str, over: &Value) -> Value {
    let schedule = json!({"apiVersion": "stairlock.dev/v1alpha1", "kind": kind,
        "metadata": {"name": name}, "spec": {"rolloutSelector": {}, "rules": [
            {"name": "always", "timeRange": {"start": "00:00", "end": "00:00"}}]}});
    merged(schedule, over)
}

/// The last state of a gate that has not been deleted.
async fn gate(story: &Story, gates: &Watch, what: &str, test: impl Fn(&Value) -> bool) -> Value {
    let stands = |seen: &Seen| seen.change != Change::Deleted && test(&seen.object);
    gates.until(story.end, what, stands).await
}

/// Waits until the gate is gone.
async fn taken_away(story: &Story, gates: &Watch) {
    let gone = |seen: &Seen| seen.change == Change::Deleted;
    gates.until(story.end, "the gate is taken away", gone).await;
}

fn shut(gate: &Value) -> bool {
    gate["spec"]["passing"] == json!(false)
}

#[tokio::test]
async fn the_gate_of_a_schedule_follows_its_edits() {
    let story = Story::begin("edits", 120).await;
    story.offer("1.0.0").await;
    let shop = sourced(rollout(&story, "1.0.0", quick()));
    story.cluster.add(merged(shop, &json!({"metadata": {"labels": {"tier": "web"}}}))).await;
    let web = json!({"spec": {"rolloutSelector": {"matchLabels": {"tier": "web"}}}});
    story.cluster.add(always("RolloutSchedule", "office", &web)).await;
    let gates = story.watch("RolloutGate").await;
    let controller = story.controller().await;
    story.completed(1).await;
    let made = gate(&story, &gates, "the gate is made", shut).await;

    // Who opens it by hand, with nothing to come yet, finds it shut again.
    let by_hand = json!({"spec": {"passing": true}});
    story.cluster.merge("RolloutGate", name(&made), by_hand).await;
    gate(&story, &gates, "somebody opens it", |gate| !shut(gate)).await;
    gate(&story, &gates, "it is shut again", shut).await;

    // What cannot be read changes nothing, and says so.
    story.push("1.1.0").await;
    story.until("the gate is closed", |r| held(r, "GateClosed")).await;
    let edit = async |spec: Value| {
        story.cluster.merge("RolloutSchedule", "office", json!({"spec": spec})).await;
    };
    edit(json!({"timezone": "Mars/Olympus"})).await;
    let invalid = |s: &Value| text(s, "/status/conditions/0/reason") == "InvalidSpec";
    story.becomes("RolloutSchedule", "office", "its zone is not known", invalid).await;
    assert!(shut(&story.cluster.get("RolloutGate", name(&made)).await));

    edit(json!({"timezone": "Europe/Berlin", "action": "Allow"})).await;
    gate(&story, &gates, "it is opened", |gate| !shut(gate)).await;
    story.completed(2).await;

    // A Rollout that it is for no more has no gate of it.
    edit(json!({"action": "Deny"})).await;
    gate(&story, &gates, "it is shut", shut).await;
    let batch = json!({"metadata": {"labels": {"tier": "batch"}}});
    story.cluster.merge("Rollout", SHOP, batch).await;
    taken_away(&story, &gates).await;
    story.push("1.2.0").await;
    story.completed(3).await;
    assert_eq!(controller.forbidden(), [""; 0]);
}

#[tokio::test]
async fn a_schedule_of_the_cluster_is_for_the_namespaces_that_it_selects() {
    let mut story = Story::begin("fleet", 120).await;
    let other = Story::begin("fleet", 120).await;
    story.beside(&other);
    let stage = |stage: &'static str| ["label", "namespace", story.namespace(), stage];
    story.kubectl(&stage("stage=prod")).await;
    story.offer("1.0.0").await;
    let shop = story.labelled(sourced(rollout(&story, "1.0.0", quick())));
    story.cluster.add(shop).await;
    other.cluster.add(story.labelled(rollout(&other, "1.0.0", quick()))).await;
    let prod = json!({"spec": {"namespaceSelector": {"matchLabels": {"stage": "prod"}}}});
    let freeze = story.labelled(always("ClusterRolloutSchedule", story.namespace(), &prod));
    story.cluster.add(freeze).await;
    let gates = story.watch("RolloutGate").await;
    let controller = story.controller_of_all(&[]).await;
    story.completed(1).await;
    other.completed(1).await;
    let made = gate(&story, &gates, "the gate is made", shut).await;

    let (kind, freeze) = ("ClusterRolloutSchedule", story.namespace());
    let told = |s: &Value| list(s, "/status/managedGates").len() == 1;
    let told = story.becomes(kind, freeze, "it tells of its gate", told).await;
    let place = |name: &str| json!([format!("{}/{name}", story.namespace())]);
    assert_eq!(told["status"]["managedGates"], place(name(&made)));
    assert_eq!(told["status"]["matchingRollouts"], place(SHOP));
    assert_eq!(other.cluster.all("RolloutGate").await.len(), 0);
    story.push("1.1.0").await;
    story.until("the gate is closed", |r| held(r, "GateClosed")).await;

    story.cluster.merge(kind, freeze, json!({"spec": {"action": "Allow"}})).await;
    gate(&story, &gates, "it is opened", |gate| !shut(gate)).await;
    story.completed(2).await;
    story.kubectl(&[&stage("stage=test")[..], &["--overwrite"]].concat()).await;
    taken_away(&story, &gates).await;
    story.cluster.remove(kind, freeze).await;
    assert_eq!(controller.forbidden(), [""; 0]);
}

#[tokio::test]
async fn a_release_waits_until_another_environment_has_run_it() {
    let staging = Story::begin("staging", 120).await;
    let mut prod = Story::begin("prod", 120).await;
    prod.beside(&staging);
    staging.offer("1.0.0").await;
    let gated = json!([{"setWeight": 50, "pause": {}}, {"setWeight": 100}]);
    let first = prod.labelled(sourced(rollout(&staging, "1.0.0", gated)));
    staging.cluster.add(first).await;
    let source = json!({"spec": {"sourceRef": {"namespace": staging.namespace()}}});
    let second = merged(sourced(rollout(&staging, "1.0.0", quick())), &source);
    prod.cluster.add(prod.labelled(second)).await;
    let after = json!({"rollout": {"name": SHOP, "namespace": staging.namespace()}, "for": "1s"});
    prod.cluster
        .add(json!({"apiVersion": "stairlock.dev/v1alpha1", "kind": "RolloutGate",
            "metadata": {"name": "after-staging"},
            "spec": {"rolloutRef": {"name": SHOP}, "dependsOn": after}}))
        .await;
    let shared = format!("--allow-cross-namespace-refs={}", staging.namespace());
    let controller = prod.controller_of_all(&[&shared]).await;
    staging.completed(1).await;
    prod.completed(1).await;

    staging.push("1.1.0").await;
    staging.paused(2, 1).await;
    let message = prod.held("GateClosed").await;
    assert!(message.contains("runs 1.0.0, not 1.1.0"), "{message}");
    staging.command("stairlock.dev/promote", "true").await;
    staging.completed(2).await;
    let done = prod.completed(2).await;
    assert_eq!(text(&done, "/status/history/0/release/tag"), "1.1.0");
    assert_eq!(controller.forbidden(), [""; 0]);
}

#[tokio::test]
async fn a_version_waits_for_the_approval_of_a_person() {
    let story = Story::begin("approval", 90).await;
    story.offer("1.0.0").await;
    story.cluster.add(sourced(rollout(&story, "1.0.0", quick()))).await;
    story
        .cluster
        .add(json!({"apiVersion": "stairlock.dev/v1alpha1", "kind": "RolloutGate",
            "metadata": {"name": "person"},
            "spec": {"rolloutRef": {"name": SHOP}, "approval": {}}}))
        .await;
    let _controller = story.controller().await;
    story.completed(1).await;
    story.push("1.1.0").await;
    let waits = story.until("it waits for a person", |r| held(r, "NotApproved")).await;
    let command = text(&waits, "/status/waitingFor/0/command");
    let words: Vec<&str> = command.split_whitespace().skip(3).collect();
    story.kubectl(&words).await;
    story.completed(2).await;

    story.push("1.2.0").await;
    story.until("another version waits anew", |r| held(r, "NotApproved")).await;
    story.command("stairlock.dev/bypass-gates", "1.2.0").await;
    story.completed(3).await;
}

/// A gate of the shop; `asks` says of what.
fn gate_of_shop(name: &str, asks: &Value) -> Value {
    let gate = json!({"apiVersion": "stairlock.dev/v1alpha1", "kind": "RolloutGate",
        "metadata": {"name": name}, "spec": {"rolloutRef": {"name": SHOP}}});
    merged(gate, &json!({"spec": asks}))
}

/// The tags that status lists in a field.
fn tags<'a>(rollout: &'a Value, field: &str) -> Vec<&'a str> {
    list(rollout, &format!("/status/{field}")).iter().map(|one| text(one, "/tag")).collect()
}

#[tokio::test]
async fn of_the_versions_that_all_gates_allow_the_newest_is_taken() {
    let story = Story::begin("versions", 150).await;
    story.offer("1.0.0").await;
    story.cluster.add(sourced(rollout(&story, "1.0.0", quick()))).await;
    let allows = |versions: &[&str]| json!({"allowedVersions": versions});
    story.cluster.add(gate_of_shop("audited", &allows(&["v1.1.0", "1.3.0"]))).await;
    story.cluster.add(gate_of_shop("tested", &allows(&["1.0.0"]))).await;
    let controller = story.controller().await;
    story.completed(1).await;

    for tag in ["1.1.0", "1.2.0", "1.3.0"] {
        story.push(tag).await;
    }
    let newer = |r: &Value| tags(r, "releaseCandidates") == ["1.3.0", "1.2.0", "1.1.0"];
    let waits = |r: &Value| newer(r) && held(r, "GateClosed");
    let waits = story.until("all three wait", waits).await;
    let message = hold_message(&waits, "GateClosed");
    assert_eq!(message, "RolloutGate tested: it allows 1.0.0, not 1.3.0");
    assert_eq!(tags(&waits, "gatedReleaseCandidates"), [""; 0]);

    // One gate allows 1.2.0 and the other 1.3.0; both allow no newer one than 1.1.0.
    let widen = async |gate: &str, versions: &[&str]| {
        story.cluster.merge("RolloutGate", gate, json!({"spec": allows(versions)})).await;
    };
    widen("tested", &["1.0.0", "1.1.0", "1.2.0"]).await;
    let done = story.completed(2).await;
    assert_eq!(text(&done, "/status/stable/release/tag"), "1.1.0");
    let waits = story.until("the others wait", |r| held(r, "GateClosed")).await;
    assert_eq!(tags(&waits, "releaseCandidates"), ["1.3.0", "1.2.0"]);
    let allowed = list(&waits, "/status/gates").iter().map(|gate| &gate["allowedVersions"]);
    let both = [json!(["1.3.0", "v1.1.0"]), json!(["1.0.0", "1.1.0", "1.2.0"])];
    assert!(allowed.eq(&both), "{waits}");

    widen("audited", &["1.1.0", "1.2.0", "1.3.0"]).await;
    let done = story.completed(3).await;
    assert_eq!(text(&done, "/status/stable/release/tag"), "1.2.0");
    story.cluster.remove("RolloutGate", "tested").await;
    let done = story.completed(4).await;
    assert_eq!(text(&done, "/status/stable/release/tag"), "1.3.0");
    assert_eq!(controller.forbidden(), [""; 0]);
}

/// Adds a Rollout of that name with a source of its own and a label.
async fn tiered(story: &Story, of: &str, tier: &str) {
    story.push_of(of, "1.0.0").await;
    for object in sources_of(story, of) {
        story.cluster.add(object).await;
    }
    let image = format!("{}:1.0.0", story.repository_of(of));
    let over = json!({"metadata": {"labels": {"tier": tier}},
        "spec": {"sourceRef": {"kind": "ImagePolicy", "name": of}}});
    story.cluster.add(merged(named(of, &image, quick()), &over)).await;
}

/// Pushes a tag for each of these Rollouts, and has their sources see it.
async fn release_all(story: &Story, names: &[&str], tag: &str) {
    for of in names {
        story.push_of(of, tag).await;
        story.reconcile("ImageRepository", of, tag).await;
    }
}

/// Waits until all of these Rollouts are in a state at the same time.
async fn until_all(story: &Story, names: &[&str], what: &str, test: impl Fn(&Value) -> bool) {
    let all = |seen: &[Seen]| {
        let present = present(seen);
        names.iter().all(|of| present.iter().any(|one| name(one) == *of && test(one)))
    };
    let what = format!("{}: {names:?}: {what}", story.namespace());
    story.rollouts.until_all(story.end, &what, all).await;
}

fn at_rest_in(attempt: i64) -> impl Fn(&Value) -> bool {
    move |rollout| attempt_is(rollout, attempt) && completed(rollout)
}

#[tokio::test]
async fn a_freeze_holds_all_rollouts_that_it_selects_until_it_is_gone() {
    let story = Story::begin("freeze", 180).await;
    let (web, all) = (["cart", SHOP], ["batch", "cart", SHOP]);
    tiered(&story, "batch", "jobs").await;
    for of in web {
        tiered(&story, of, "web").await;
    }
    let gates = story.watch("RolloutGate").await;
    let controller = story.controller().await;
    until_all(&story, &all, "1.0.0 runs", at_rest_in(1)).await;
    let selects = json!({"matchLabels": {"tier": "web"}});
    let freeze =
        always("RolloutSchedule", "freeze", &json!({"spec": {"rolloutSelector": selects}}));
    let freeze = story.cluster.add(freeze).await;
    let frozen = |s: &Value| list(s, "/status/managedGates").len() == 2;
    let told = story.becomes("RolloutSchedule", "freeze", "its gates are there", frozen).await;
    assert_eq!(told["status"]["matchingRollouts"], json!(web));
    for gate in gates.present() {
        let owner = &gate["metadata"]["ownerReferences"][0];
        assert_eq!(owner["uid"], freeze["metadata"]["uid"], "{gate}");
        assert_eq!(text(&gate, "/metadata/labels/stairlock.dev~1schedule-name"), "freeze");
    }

    release_all(&story, &all, "1.1.0").await;
    until_all(&story, &web, "the freeze holds 1.1.0", |r| held(r, "GateClosed")).await;
    until_all(&story, &["batch"], "1.1.0 runs", at_rest_in(2)).await;
    story.cluster.remove("RolloutSchedule", "freeze").await;
    until_all(&story, &all, "1.1.0 runs", at_rest_in(2)).await;
    let none = |seen: &[Seen]| present(seen).is_empty();
    gates.until_all(story.end, "the gates are taken away", none).await;

    // One gate by itself freezes as many.
    let gate = gate_of_shop(
        "incident",
        &json!({"rolloutRef": null, "rolloutSelector": selects,
        "passing": false}),
    );
    story.cluster.add(gate).await;
    release_all(&story, &all, "1.2.0").await;
    until_all(&story, &web, "the gate holds 1.2.0", |r| held(r, "GateClosed")).await;
    until_all(&story, &["batch"], "1.2.0 runs", at_rest_in(3)).await;
    story.cluster.merge("RolloutGate", "incident", json!({"spec": {"passing": true}})).await;
    until_all(&story, &all, "1.2.0 runs", at_rest_in(3)).await;
    assert_eq!(controller.forbidden(), [""; 0]);
}

#[tokio::test]
async fn a_freeze_of_the_cluster_holds_rollouts_of_several_namespaces() {
    let mut story = Story::begin("winter", 150).await;
    let other = Story::begin("winter", 150).await;
    story.beside(&other);
    let both = [&story, &other];
    let prod = json!({"season": story.namespace()});
    for one in both {
        one.offer("1.0.0").await;
        one.cluster.add(story.labelled(sourced(rollout(one, "1.0.0", quick())))).await;
        let labels = json!({"metadata": {"labels": prod}});
        one.cluster.merge("Namespace", one.namespace(), labels).await;
    }
    let controller = story.controller_of_all(&[]).await;
    for one in both {
        one.completed(1).await;
    }
    let (kind, freeze) = ("ClusterRolloutSchedule", story.namespace());
    let selects = json!({"spec": {"namespaceSelector": {"matchLabels": prod}}});
    story.cluster.add(story.labelled(always(kind, freeze, &selects))).await;
    let frozen = |s: &Value| list(s, "/status/managedGates").len() == 2;
    story.becomes(kind, freeze, "its gates are there", frozen).await;
    for one in both {
        one.push("1.1.0").await;
        one.held("GateClosed").await;
    }

    story.cluster.remove(kind, freeze).await;
    for one in both {
        let done = one.completed(2).await;
        assert_eq!(list(&done, "/status/gates").len(), 0, "the garbage collector took the gate");
    }
    assert_eq!(controller.forbidden(), [""; 0]);
}

fn time(rollout: &Value, pointer: &str) -> Timestamp {
    Timestamp::parse(text(rollout, pointer)).unwrap()
}

#[tokio::test]
async fn of_releases_that_come_together_one_is_taken_for_each_interval() {
    let story = Story::begin("interval", 180).await;
    story.offer("1.0.0").await;
    let apart = |time: &str| json!({"spec": {"releaseUpdateInterval": time}});
    let shop = sourced(rollout(&story, "1.0.0", quick()));
    story.cluster.add(merged(shop, &apart("30s"))).await;
    let controller = story.controller().await;
    story.completed(1).await;
    let waits = async |tag: &str| {
        let waits = |r: &Value| {
            tags(r, "releaseCandidates").contains(&tag) && holds(r) == ["ReleaseInterval"]
        };
        story.until(&format!("{tag} waits"), waits).await
    };

    story.push("1.1.0").await;
    story.until("1.1.0 is taken", |r| attempt_is(r, 2)).await;
    story.push("1.2.0").await;
    let waiting = waits("1.2.0").await;
    let hold = &waiting["status"]["waitingFor"][0];
    assert_eq!(hold["automatic"], json!(true), "{hold}");
    let until = time(hold, "/until");
    let done = story.completed(3).await;
    assert_eq!(until.since(time(&done, "/status/history/1/startedAt")).millis(), 30_000);
    assert!(until <= time(&done, "/status/history/0/startedAt"), "{done}");

    // What a person asks for waits for no time.
    story.cluster.merge("Rollout", SHOP, apart("1h")).await;
    story.push("1.3.0").await;
    waits("1.3.0").await;
    story.command("stairlock.dev/force-deploy", "1.3.0").await;
    story.completed(4).await;
    story.push("1.4.0").await;
    waits("1.4.0").await;
    story.command("stairlock.dev/bypass-gates", "1.4.0").await;
    let done = story.completed(5).await;
    assert_eq!(text(&done, "/status/stable/release/tag"), "1.4.0");

    // Nor does a pin, whether it goes forwards or back.
    story.push("1.5.0").await;
    waits("1.5.0").await;
    for (attempt, tag) in [(6, "1.5.0"), (7, "1.2.0")] {
        story.cluster.merge("Rollout", SHOP, json!({"spec": {"wantedVersion": tag}})).await;
        let done = story.completed(attempt).await;
        assert_eq!(text(&done, "/status/stable/release/tag"), tag);
    }
    assert_eq!(controller.forbidden(), [""; 0]);
}

#[tokio::test]
async fn another_environment_is_looked_at_only_where_that_is_allowed() {
    let staging = Story::begin("unseen", 150).await;
    let mut prod = Story::begin("guard", 150).await;
    prod.beside(&staging);
    for one in [&staging, &prod] {
        one.offer("1.0.0").await;
        one.cluster.add(prod.labelled(sourced(rollout(one, "1.0.0", quick())))).await;
    }
    let other = json!({"name": SHOP, "namespace": staging.namespace()});
    let after = json!({"dependsOn": {"rollout": other}});
    prod.cluster.add(gate_of_shop("after-staging", &after)).await;
    let blind = prod.controller_of_all(&[]).await;
    for one in [&staging, &prod] {
        one.completed(1).await;
        one.push("1.1.0").await;
    }
    staging.completed(2).await;
    let flag = format!("--allow-cross-namespace-refs={}", staging.namespace());
    let message = prod.held("GateClosed").await;
    assert!(message.contains("is in another namespace"), "{message}");
    assert!(message.contains(&flag), "{message}");
    blind.kill();

    let controller = prod.controller_of_all(&[&flag]).await;
    let done = prod.completed(2).await;
    assert_eq!(text(&done, "/status/stable/release/tag"), "1.1.0");
    assert_eq!(list(&done, "/status/gates/0/allowedVersions"), [json!("1.1.0")]);
    assert_eq!(controller.forbidden(), [""; 0]);
}
