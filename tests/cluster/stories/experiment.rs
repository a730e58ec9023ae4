//! An experiment: rules that send some requests to the new side, and leave no trace.

use serde_json::{Value, json};

use crate::support::json::{holds, list, merged, number, text};
use crate::support::ladder::{emptied, replica_set, sequence};
use crate::support::shop::{CANARY, STABLE, experiment, rollout, route, sized};
use crate::support::story::{SHOP, Story, attempt_is};

/// The rules of the route of the shop.
async fn rules(story: &Story) -> Value {
    story.cluster.get("HTTPRoute", SHOP).await["spec"]["rules"].clone()
}

/// A shop of three pods with an experiment for a header.
fn shop(story: &Story, over: &Value) -> Value {
    experiment(sized(rollout(story, "1.0.0", json!([])), 3), over)
}

/// A route of several rules, of which the first and the last hold both Services.
fn many_rules() -> Value {
    let pair = route()["spec"]["rules"][0]["backendRefs"].clone();
    let header = json!({"name": "x-cart", "value": "1"});
    let set = json!({"set": [{"name": "x-from", "value": "shop"}]});
    let rules = json!([
        {"matches": [{"path": {"value": "/cart"}, "headers": [header]}, {"method": "POST"}],
            "filters": [{"type": "RequestHeaderModifier", "requestHeaderModifier": set}],
            "timeouts": {"request": "5s"}, "backendRefs": pair},
        {"matches": [{"path": {"value": "/files"}}],
            "backendRefs": [{"name": STABLE, "port": 8080}]},
        {"backendRefs": pair},
    ]);
    merged(route(), &json!({"spec": {"rules": rules}}))
}

#[tokio::test]
async fn an_experiment_adds_rules_and_the_winner_takes_all_traffic() {
    let story = Story::begin("experiment", 120).await;
    story.cluster.add(many_rules()).await;
    story.cluster.add(shop(&story, &json!({}))).await;
    let controller = story.controller().await;
    let first = story.completed(1).await;
    let before = rules(&story).await;
    let routes = story.watch("HTTPRoute").await;
    let sets = story.watch("ReplicaSet").await;

    story.set_image(&story.image("1.1.0")).await;
    let running = story.experimenting(2).await;
    assert_eq!(holds(&running), ["AwaitingConclusion"]);
    let revision = text(&running, "/status/attempt/revision").to_owned();
    let header = json!({"type": "Exact", "name": "x-group", "value": "b"});
    let meanwhile = rules(&story).await;
    let all = list(&meanwhile, "").to_vec();
    assert_eq!(all.len(), 5);
    assert_eq!(json!([all[1], all[2], all[4]]), before, "what a person wrote stays");
    for (place, of) in [(0, 1), (3, 4)] {
        let (rule, own) = (&all[place], &all[of]);
        assert_eq!((&rule["filters"], &rule["timeouts"]), (&own["filters"], &own["timeouts"]));
        let backend = json!({"group": "", "kind": "Service", "name": CANARY, "port": 8080,
            "weight": 1});
        assert_eq!(rule["backendRefs"], json!([backend]));
        for (test, own) in list(rule, "/matches").iter().zip(list(own, "/matches")) {
            let asked = [list(own, "/headers"), std::slice::from_ref(&header)].concat();
            assert_eq!(test["headers"], json!(asked));
            assert_eq!(test["path"], own["path"]);
        }
    }
    assert_eq!(number(replica_set(&sets.present(), &revision), "/spec/replicas"), 3);

    story.command("stairlock.dev/conclude-experiment", "B").await;
    let done = story.completed(2).await;
    assert_eq!(rules(&story).await, before, "no trace is left");
    assert_eq!(sequence(&routes), [(100, 0), (0, 100), (100, 0)]);
    assert_eq!(text(&done, "/status/stable/revision"), revision);
    let old = text(&first, "/status/stable/revision").to_owned();
    sets.until_all(story.end, "the old side goes", |seen| emptied(seen, &old)).await;
    assert_eq!(controller.forbidden(), [""; 0]);
}

#[tokio::test]
async fn an_experiment_that_is_not_won_leaves_no_trace() {
    let story = Story::begin("lost", 120).await;
    story.cluster.add(route()).await;
    let cookie = json!({"header": null, "cookie": {"name": "group", "value": "b"}});
    story.cluster.add(shop(&story, &json!({"variantBMatch": cookie, "maxDuration": "3s"}))).await;
    let controller = story.controller().await;
    story.completed(1).await;
    let before = rules(&story).await;
    let routes = story.watch("HTTPRoute").await;

    // By its time.
    story.set_image(&story.image("1.1.0")).await;
    let running = story.experimenting(2).await;
    assert_eq!(holds(&running), ["Experimenting"]);
    let rule = text(&rules(&story).await, "/0/matches/0/headers/0/value").to_owned();
    assert_eq!(rule, r"^(.*;\s*)?group=b(;.*)?$");
    let ended = story.until("the time is over", |r| text(r, "/status/phase") == "Concluded").await;
    assert_eq!(text(&ended, "/status/history/0/outcome"), "Concluded");
    assert_eq!(rules(&story).await, before);

    // A newer release in the middle of it, and its abort.
    let longer = json!({"spec": {"strategy": {"abTesting": {"maxDuration": "1h"}}}});
    story.cluster.merge("Rollout", SHOP, longer).await;
    story.set_image(&story.image("1.2.0")).await;
    story.experimenting(3).await;
    story.set_image(&story.image("1.3.0")).await;
    story.experimenting(4).await;
    story.command("stairlock.dev/abort", "true").await;
    story.failed(4, "Aborted").await;
    assert_eq!(rules(&story).await, before);

    // Its deletion.
    story.set_image(&story.image("1.4.0")).await;
    story.experimenting(5).await;
    story.cluster.remove("Rollout", SHOP).await;
    let gone =
        |seen: &crate::support::watch::Seen| seen.change == crate::support::watch::Change::Deleted;
    story.rollouts.until(story.end, "the Rollout is gone", gone).await;
    assert_eq!(rules(&story).await, before);
    assert_eq!(sequence(&routes), [(100, 0)], "weights never moved");
    assert_eq!(controller.forbidden(), [""; 0]);
}

#[tokio::test]
async fn data_decide_no_sooner_than_they_may() {
    let story = Story::begin("data", 120).await;
    story.cluster.add(route()).await;
    let analysis = json!({"minDuration": "8s", "minSampleSize": 100});
    let asked = json!({"maxDuration": "1h", "analysis": analysis});
    story.cluster.add(shop(&story, &asked)).await;
    let controller = story.controller().await;
    story.completed(1).await;
    let before = rules(&story).await;

    // Asked too early: held, and obeyed by whoever leads then.
    story.set_image(&story.image("1.1.0")).await;
    story.experimenting(2).await;
    story.command("stairlock.dev/conclude-experiment", "true").await;
    let held = story.until("it is held", |r| holds(r) == ["Concluding"]).await;
    assert_eq!(held["status"]["attempt"]["concludes"], true);
    let ended = story.until("the time is over", |r| text(r, "/status/phase") == "Concluded").await;
    assert_eq!(text(&ended, "/status/history/0/outcome"), "Concluded");
    assert_eq!(rules(&story).await, before);

    // A person's word is not held.
    story.set_image(&story.image("1.2.0")).await;
    story.experimenting(3).await;
    story.command("stairlock.dev/conclude-experiment", "true").await;
    story.until("it is held", |r| holds(r) == ["Concluding"]).await;
    story.command("stairlock.dev/conclude-experiment", "B").await;
    story.completed(3).await;
    assert_eq!(rules(&story).await, before);
    assert_eq!(controller.forbidden(), [""; 0]);
}

#[tokio::test]
async fn a_route_without_room_keeps_an_experiment_from_starting() {
    let story = Story::begin("noroom", 120).await;
    let mut full = route();
    let other = json!({"backendRefs": [{"name": STABLE, "port": 8080}]});
    let rules = full["spec"]["rules"].as_array_mut().unwrap();
    rules.extend(std::iter::repeat_n(other, 15));
    story.cluster.add(full).await;
    story.cluster.add(shop(&story, &json!({}))).await;
    let _controller = story.controller().await;
    let message = story.held("RouteAmbiguous").await;
    assert!(message.contains("has 17 rules with those that the experiment adds"), "{message}");

    let fewer = route()["spec"]["rules"].clone();
    story.cluster.merge("HTTPRoute", SHOP, json!({"spec": {"rules": fewer}})).await;
    story.completed(1).await;
    story.set_image(&story.image("1.1.0")).await;
    story.experimenting(2).await;
    story.command("kulta.io/conclude-experiment", "maybe").await;
    let rejected =
        |r: &Value| text(r, "/status/rejectedCommands/0/value") == "maybe" && attempt_is(r, 2);
    story.until("the value is answered", rejected).await;
}
