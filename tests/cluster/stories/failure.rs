//! Releases that do not make it, and Rollouts that stand in nobody's way.

use serde_json::{Value, json};

use crate::support::json::{condition, holds, list, merged, number, text};
use crate::support::ladder::{emptied, rises_by_steps, sequence};
use crate::support::proxy::Call;
use crate::support::shop::{gated, named, rollout, route, routed, sourced};
use crate::support::story::{SHOP, Story, attempt_is};

const IMAGE: &str = "/spec/template/spec/containers/0/image";

#[tokio::test]
async fn pods_that_never_become_ready_are_rolled_back_at_the_deadline() {
    let story = Story::begin("bad", 120).await;
    story.offer("1.0.0").await;
    story.cluster.add(route()).await;
    story.cluster.add(sourced(routed(&story, "1.0.0", gated()))).await;
    let controller = story.controller().await;
    story.completed(1).await;
    story.hasten(5).await;
    let routes = story.watch("HTTPRoute").await;
    let sets = story.watch("ReplicaSet").await;

    story.push("1.1.0-bad.1").await;
    let failed = story.failed(2, "DeadlineExceeded").await;

    assert_eq!(sequence(&routes), [(100, 0)], "no traffic without ready pods");
    assert_eq!(condition(&failed, "Stalled"), "True");
    assert_eq!(text(&failed, "/status/history/0/outcome"), "DeadlineExceeded");
    let back = |r: &Value| text(r, IMAGE) == story.image("1.0.0");
    story.until("the image is put back", back).await;
    let revision = text(&failed, "/status/attempt/revision").to_owned();
    sets.until_all(story.end, "the bad pods are gone", |seen| emptied(seen, &revision)).await;
    assert_eq!(controller.forbidden(), [""; 0]);
}

#[tokio::test]
async fn a_good_release_after_a_bad_one_is_taken() {
    let story = Story::begin("mended", 90).await;
    story.offer("1.0.0").await;
    let steps = json!([{"setWeight": 50}, {"setWeight": 100}]);
    story.cluster.add(sourced(rollout(&story, "1.0.0", steps))).await;
    let _controller = story.controller().await;
    story.completed(1).await;
    story.hasten(2).await;
    story.push("1.1.0-bad.1").await;
    story.failed(2, "DeadlineExceeded").await;
    story.cluster.merge("Rollout", SHOP, json!({"spec": {"progressDeadlineSeconds": 60}})).await;

    story.push("1.1.0").await;

    let done = story.completed(3).await;
    assert_eq!(text(&done, "/status/stable/release/version"), "1.1.0");
}

#[tokio::test]
async fn a_release_mid_way_supersedes_the_attempt() {
    let story = Story::begin("super", 120).await;
    story.offer("1.0.0").await;
    story.cluster.add(route()).await;
    story.cluster.add(sourced(routed(&story, "1.0.0", gated()))).await;
    let _controller = story.controller().await;
    story.completed(1).await;
    let routes = story.watch("HTTPRoute").await;
    story.push("1.1.0").await;
    story.paused(2, 1).await;

    story.push("1.2.0").await;
    story.paused(3, 1).await;
    story.command("stairlock.dev/promote", "true").await;
    let done = story.completed(3).await;

    assert_eq!(text(&done, "/status/stable/release/version"), "1.2.0");
    let outcomes = list(&done, "/status/history").iter().map(|entry| text(entry, "/outcome"));
    assert_eq!(outcomes.collect::<Vec<_>>(), ["Completed", "Superseded", "Completed"]);
    let sequence = sequence(&routes);
    rises_by_steps(&sequence, &[20, 50, 100]);
    assert!(sequence.contains(&(50, 50)), "{sequence:?}");
}

#[tokio::test]
async fn a_change_back_to_the_stable_template_ends_the_attempt_at_once() {
    let story = Story::begin("revert", 90).await;
    story.cluster.add(route()).await;
    story.cluster.add(routed(&story, "1.0.0", gated())).await;
    let _controller = story.controller().await;
    story.completed(1).await;
    let routes = story.watch("HTTPRoute").await;
    story.set_image(&story.image("1.1.0")).await;
    story.paused(2, 1).await;

    story.set_image(&story.image("1.0.0")).await;
    let reverted = |r: &Value| {
        attempt_is(r, 2)
            && text(r, "/status/attempt/stage") == "Ended"
            && text(r, "/status/attempt/cause") == "Reverted"
            && text(r, "/status/phase") == "Completed"
            && condition(r, "Completed") == "True"
    };
    let back = story.until("attempt 2 is Reverted", reverted).await;

    assert_eq!(sequence(&routes), [(100, 0), (80, 20), (100, 0)]);
    assert_eq!(text(&back, "/status/stable/release/version"), "1.0.0");
    assert_eq!(back.pointer("/status/quarantine"), None);
}

#[tokio::test]
async fn a_paused_rollout_stands_still_and_abort_still_works() {
    let story = Story::begin("frozen", 90).await;
    story.cluster.add(route()).await;
    story.cluster.add(routed(&story, "1.0.0", gated())).await;
    let _controller = story.controller().await;
    story.completed(1).await;
    story.set_image(&story.image("1.1.0")).await;
    story.paused(2, 1).await;
    let routes = story.watch("HTTPRoute").await;

    story.cluster.merge("Rollout", SHOP, json!({"spec": {"paused": true}})).await;
    story.held("Suspended").await;
    story.clock("clock").await;
    let still = story.cluster.get("Rollout", SHOP).await;
    assert_eq!(number(&still, "/status/attempt/step"), 1);
    assert_eq!(sequence(&routes), [(80, 20)]);

    story.command("stairlock.dev/abort", "true").await;
    story.failed(2, "Aborted").await;
    assert_eq!(sequence(&routes), [(80, 20), (100, 0)]);
}

#[tokio::test]
async fn a_paused_rollout_starts_nothing_until_it_goes_on() {
    let story = Story::begin("still", 90).await;
    let steps = json!([{"setWeight": 50}, {"setWeight": 100}]);
    story.cluster.add(rollout(&story, "1.0.0", steps)).await;
    let controller = story.controller().await;
    story.completed(1).await;
    story.cluster.merge("Rollout", SHOP, json!({"spec": {"paused": true}})).await;
    story.set_image(&story.image("1.1.0")).await;
    story.held("Suspended").await;
    let mark = controller.proxy.mark();
    story.clock("clock").await;
    let calls = controller.proxy.calls();
    let made = calls.iter().skip(mark).filter(|call| call.mutates());
    let made = made.filter(|call| call.path.contains("/replicasets"));
    let of_shop = made.filter(|call| call.body["metadata"]["name"] != Value::Null);
    let of_shop = of_shop.filter(|call| call.body.to_string().contains("\"shop"));
    assert_eq!(of_shop.count(), 0, "a frozen Rollout makes no ReplicaSet");

    story.cluster.merge("Rollout", SHOP, json!({"spec": {"paused": false}})).await;
    let done = story.completed(2).await;
    assert_eq!(text(&done, "/status/stable/release/version"), "1.1.0");
}

#[tokio::test]
async fn a_rollout_that_cannot_be_used_does_not_delay_another() {
    let story = Story::begin("malformed", 60).await;
    let steps = json!([{"setWeight": 50}, {"setWeight": 100}]);
    let wrong = json!({"spec": {"semver": "not a range"}});
    let broken = merged(named("broken", "registry.example/broken:1", steps.clone()), &wrong);
    story.cluster.add(broken).await;
    let controller = story.controller().await;
    let stalled = |r: &Value| condition(r, "Stalled") == "True";
    let stalled = story.until_of("broken", "stalled", stalled).await;
    let ready = list(&stalled, "/status/conditions").iter();
    let ready = ready.into_iter().find(|c| text(c, "/type") == "Ready").unwrap();
    assert_eq!(text(ready, "/reason"), "InvalidSpec");
    assert!(text(ready, "/message").contains("spec.semver"), "{ready}");

    story.cluster.add(rollout(&story, "1.0.0", steps)).await;
    story.completed(1).await;
    story.set_image(&story.image("1.1.0")).await;
    story.completed(2).await;
    let calls = controller.proxy.calls();
    let writes = calls.iter().filter(|call| call.mutates());
    let outside = writes.filter(|call| call.path.contains("/rollouts/broken"));
    assert!(outside.count() <= 1, "one status, and nothing again");
}

#[tokio::test]
async fn an_object_that_cannot_be_read_does_not_stop_the_watch() {
    let story = Story::begin("unreadable", 60).await;
    let steps = json!([{"setWeight": 50}, {"setWeight": 100}]);
    let odd = named("odd", "registry.example/odd:1", steps.clone());
    story.cluster.add(merged(odd, &json!({"spec": {"versionHistoryLimit": 77}}))).await;
    let controller = story.controller().await;
    // The API server keeps such things out; an object stored before the schema knew better is one.
    controller.proxy.garble("\"versionHistoryLimit\":77", "\"versionHistoryLimit\":[]");
    controller.kill();
    let mark = controller.proxy.mark();
    controller.restart();
    story.cluster.add(rollout(&story, "1.0.0", steps)).await;
    story.completed(1).await;
    story.set_image(&story.image("1.1.0")).await;
    story.completed(2).await;
    let writes = controller.proxy.writes(mark);
    let about_it = writes.iter().find(|call| call.path.contains("/rollouts/odd"));
    assert_eq!(about_it.map(Call::line), None, "what is not read is not written");
}

#[tokio::test]
async fn a_status_that_makes_no_sense_is_found_again() {
    let story = Story::begin("nonsense", 60).await;
    let steps = json!([{"setWeight": 50}, {"setWeight": 100}]);
    story.cluster.add(rollout(&story, "1.0.0", steps)).await;
    let _controller = story.controller().await;
    story.completed(1).await;
    let before = story.until("all is told", |r| r.pointer("/status/outbox").is_none()).await;
    let odd = json!({"status": {"stable": null, "history": null, "attempt": {"number": 1,
        "revision": "zzz", "trigger": "Odd", "stage": "Odd", "startedAt": "never",
        "enteredAt": "never"}}});
    story.cluster.merge_status("Rollout", SHOP, odd).await;
    story.until("it is nonsense", |r| text(r, "/status/attempt/stage") == "Odd").await;

    let revision = text(&before, "/status/attempt/revision");
    let found = |r: &Value| text(r, "/status/attempt/revision") == revision;
    let found = story.until("the attempt is found again", found).await;
    assert_eq!(text(&found, "/status/attempt/stage"), "Completed");
    assert_eq!(text(&found, "/status/stable/revision"), revision);
    assert_eq!(story.cluster.all("ReplicaSet").await.len(), 1);
}

#[tokio::test]
async fn a_template_that_the_server_refuses_is_held_with_its_words() {
    let story = Story::begin("template", 60).await;
    let steps = json!([{"setWeight": 50}, {"setWeight": 100}]);
    story.cluster.add(rollout(&story, "1.0.0", steps)).await;
    let _controller = story.controller().await;
    story.completed(1).await;
    let wrong = json!([{"name": "app", "image": story.image("1.1.0"),
        "resources": {"limits": {"memory": "much"}}}]);
    let change = json!({"spec": {"template": {"spec": {"containers": wrong}}}});
    story.cluster.merge("Rollout", SHOP, change).await;

    let message = story.held("InvalidTemplate").await;

    assert!(message.contains("quantit"), "{message}");
    let after = story.cluster.get("Rollout", SHOP).await;
    assert!(attempt_is(&after, 1), "no attempt starts: {}", after["status"]);
    assert!(holds(&after).contains(&"InvalidTemplate"));
    story.set_image(&story.image("1.1.0")).await;
    story.completed(2).await;
}
