use serde_json::{Value, json};

use crate::sim::history::{Change, Place};
use crate::sim::story::Fate;
use crate::sim::world::fields;
use crate::sim::world::tests::scene::*;

#[tokio::test(start_paused = true)]
async fn a_replica_set_becomes_ready_and_its_service_shows_its_pods() {
    let mut scene = Scene::new(1);
    scene.put(&set("shop-1.0.0"), replica_set("1.0.0", 3));
    scene.put(&service("shop"), selecting("1.0.0"));
    scene.pass(5000).await;
    let whole = json!({"replicas": 3, "fullyLabeledReplicas": 3, "readyReplicas": 3,
        "availableReplicas": 3, "observedGeneration": 1});
    assert_eq!(scene.read(&set("shop-1.0.0"))["status"], whole);
    assert_eq!(scene.slice("shop"), Some((3, 3, 0)));
    let (_, slice) = scene.cluster.list("endpointslices", None).remove(0);
    assert_eq!(slice["ports"], json!([{"name": "http", "port": 8080, "protocol": "TCP"}]));
    let (pod, object) = scene.cluster.list("pods", None).remove(0);
    assert_eq!(slice["endpoints"][0]["targetRef"]["name"], json!(pod.name));
    assert_eq!(object["metadata"]["ownerReferences"][0]["name"], json!("shop-1.0.0"));
    let before = scene.cluster.revision();
    scene.pass(3_600_000).await;
    assert_eq!(scene.cluster.revision(), before, "nothing is written at rest");

    scene.patch(&set("shop-1.0.0"), json!({"spec": {"replicas": 1}}));
    scene.pass(5000).await;
    let one = json!({"replicas": 1, "fullyLabeledReplicas": 1, "readyReplicas": 1,
        "availableReplicas": 1, "observedGeneration": 2});
    assert_eq!(scene.read(&set("shop-1.0.0"))["status"], one);
    assert_eq!(scene.slice("shop"), Some((1, 1, 0)));
    assert_eq!(scene.cluster.list("pods", None).len(), 1);

    scene.patch(&set("shop-1.0.0"), json!({"spec": {"replicas": 0}}));
    scene.pass(5000).await;
    let none = json!({"replicas": 0, "observedGeneration": 3});
    assert_eq!(scene.read(&set("shop-1.0.0"))["status"], none);
    assert_eq!(scene.slice("shop"), Some((0, 0, 0)));
}

#[tokio::test(start_paused = true)]
async fn pods_are_available_when_they_are_ready_for_long_enough() {
    let mut scene = Scene::new(2);
    let mut object = replica_set("1.0.0", 2);
    object["spec"]["minReadySeconds"] = json!(10);
    scene.put(&set("shop-1.0.0"), object);
    scene.pass(9000).await;
    let status = |scene: &Scene, key: &str| scene.read(&set("shop-1.0.0"))["status"][key].clone();
    assert_eq!(status(&scene, "readyReplicas"), json!(2));
    assert_eq!(status(&scene, "availableReplicas"), Value::Null);
    scene.pass(5000).await;
    assert_eq!(status(&scene, "availableReplicas"), json!(2));
}

#[tokio::test(start_paused = true)]
async fn pods_that_are_not_ready_go_first() {
    for seed in 0..20 {
        let mut scene = Scene::new(seed);
        scene.happens(fate(Fate::OneStuck)).unwrap();
        scene.put(&set("shop-1.0.0"), replica_set("1.0.0", 3));
        scene.pass(5000).await;
        assert_eq!(scene.pods("1.0.0"), (3, 2));
        scene.patch(&set("shop-1.0.0"), json!({"spec": {"replicas": 2}}));
        scene.pass(350).await;
        assert_eq!(scene.pods("1.0.0"), (2, 2), "seed {seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_deleted_pod_ends_and_another_takes_its_place() {
    let mut scene = Scene::new(3);
    scene.put(&set("shop-1.0.0"), replica_set("1.0.0", 2));
    scene.put(&service("shop"), selecting("1.0.0"));
    scene.pass(5000).await;
    let (pod, _) = scene.cluster.list("pods", None).remove(0);
    scene.happens(json!({"delete": {"at": "1s", "object": format!("pods/{}", pod.name)}})).unwrap();
    assert!(fields::deleting(&scene.read(&pod)));
    let mut seen = Vec::new();
    for _ in 0..300 {
        scene.pass(10).await;
        seen.extend(scene.slice("shop"));
    }
    seen.dedup();
    assert!(seen.contains(&(1, 2, 1)), "serves and ends for a moment: {seen:?}");
    assert_eq!(scene.read(&pod), Value::Null);
    assert_eq!((scene.pods("1.0.0"), scene.slice("shop")), ((2, 2), Some((2, 2, 0))));
}

#[tokio::test(start_paused = true)]
async fn pods_fare_as_the_story_says() {
    let crashing = Fate::Crashing { after: span(10_000) };
    let flapping = Fate::Flapping { every: span(10_000) };
    for (case, fates, checks) in [
        ("by chance", vec![], vec![(2400, 3), (60_000, 3)]),
        ("late", vec![Fate::Ready { after: span(9000) }], vec![(8900, 0), (9100, 3)]),
        ("never", vec![Fate::Stuck], vec![(2400, 0), (60_000, 0)]),
        ("all but one", vec![Fate::OneStuck], vec![(2400, 2), (60_000, 2)]),
        ("for a while", vec![crashing], vec![(2400, 3), (9000, 3), (13_000, 0), (60_000, 0)]),
    ] {
        let mut scene = Scene::new(4);
        for fate_ in fates {
            scene.happens(fate(fate_)).unwrap();
        }
        scene.put(&set("shop-1.0.0"), replica_set("1.0.0", 3));
        scene.pass(300).await;
        let mut now = 300;
        for (at, want) in checks {
            scene.pass(at - now).await;
            now = at;
            assert_eq!(scene.pods("1.0.0"), (3, want), "{case} at {at} ms");
        }
    }
    let mut scene = Scene::new(5);
    scene.happens(fate(flapping)).unwrap();
    scene.put(&set("shop-1.0.0"), replica_set("1.0.0", 1));
    let mut ready = Vec::new();
    for _ in 0..60 {
        scene.pass(1000).await;
        ready.push(scene.pods("1.0.0").1);
    }
    ready.dedup();
    assert!((5..=7).contains(&ready.len()), "{ready:?}");
}

#[tokio::test(start_paused = true)]
async fn another_fate_is_that_of_running_pods_too() {
    let mut scene = Scene::new(6);
    scene.put(&set("shop-1.0.0"), replica_set("1.0.0", 3));
    scene.pass(5000).await;
    for (fate_, millis, want) in [
        (Fate::OneStuck, 1000, 2),
        (Fate::Ready { after: span(2000) }, 1900, 2),
        (Fate::Ready { after: span(1000) }, 1100, 3),
        (Fate::Crashing { after: span(1000) }, 1100, 0),
        (Fate::Ready { after: span(0) }, 100, 3),
        (Fate::Flapping { every: span(1000) }, 1100, 0),
        (Fate::Stuck, 5000, 0),
    ] {
        scene.happens(fate(fate_)).unwrap();
        scene.pass(millis).await;
        assert_eq!(scene.pods("1.0.0"), (3, want), "{fate_:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_slice_follows_the_selector_of_its_service() {
    let mut scene = Scene::new(7);
    scene.put(&set("shop-1.0.0"), replica_set("1.0.0", 3));
    scene.put(&set("shop-1.1.0"), replica_set("1.1.0", 1));
    scene.put(&service("shop"), selecting("1.0.0"));
    scene.pass(5000).await;
    assert_eq!(scene.slice("shop"), Some((3, 3, 0)));
    scene.patch(&service("shop"), json!({"spec": {"selector": {"version": "1.1.0"}}}));
    scene.hear();
    assert_eq!(scene.slice("shop"), Some((3, 3, 0)), "late");
    scene.pass(301).await;
    assert_eq!(scene.slice("shop"), Some((1, 1, 0)));
    scene.patch(&set("shop-1.1.0"), json!({"spec": {"replicas": 2}}));
    scene.pass(5000).await;
    assert_eq!(scene.slice("shop"), Some((2, 2, 0)));
    let (slice, _) = scene.cluster.list("endpointslices", None).remove(0);
    scene
        .happens(
            json!({"delete": {"at": "9s", "object": format!("endpointslices/{}", slice.name)}}),
        )
        .unwrap();
    scene.pass(301).await;
    assert_eq!(scene.slice("shop"), Some((2, 2, 0)), "a deleted slice is made again");
}

/// Every change, as one text.
async fn history(seed: u64) -> String {
    let mut scene = Scene::new(seed);
    scene.put(&set("shop-1.0.0"), replica_set("1.0.0", 5));
    scene.put(&service("shop"), selecting("1.0.0"));
    scene.happens(fate(Fate::Flapping { every: span(3000) })).unwrap();
    scene.pass(20_000).await;
    scene.patch(&set("shop-1.0.0"), json!({"spec": {"replicas": 2}}));
    scene.pass(20_000).await;
    let changes = scene.cluster.changes(0);
    assert!(changes.len() > 30);
    let line = |change: &std::sync::Arc<Change>| format!("{change:?}\n");
    changes.iter().map(line).collect()
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_gives_the_same_history() {
    let first = history(11).await;
    assert!(first == history(11).await);
    assert!(first != history(12).await);
}

#[tokio::test(start_paused = true)]
async fn what_is_owned_goes_with_its_owner() {
    let mut scene = Scene::new(4);
    let (office, gate) = (place("rolloutschedules", "office"), place("rolloutgates", "gate"));
    let object = |kind: &str, name: &str, owners: Value| {
        json!({"apiVersion": "stairlock.dev/v1alpha1", "kind": kind, "spec": {},
            "metadata": {"name": name, "namespace": "prod", "ownerReferences": owners}})
    };
    scene.put(&office, object("RolloutSchedule", "office", json!([])));
    let uid = scene.read(&office)["metadata"]["uid"].clone();
    let owner = json!({"apiVersion": "stairlock.dev/v1alpha1", "kind": "RolloutSchedule",
        "name": "office", "uid": uid});
    scene.put(&gate, object("RolloutGate", "gate", json!([owner])));
    scene.pass(1000).await;
    assert!(scene.cluster.read(&gate).is_some());
    let delete = json!({"delete": {"at": "1s", "object": "rolloutschedules/office"}});
    scene.happens(delete).unwrap();
    scene.pass(1000).await;
    assert_eq!(scene.cluster.read(&gate), None);
}

fn place(resource: &'static str, name: &str) -> Place {
    Place::new(resource, "prod", name)
}
