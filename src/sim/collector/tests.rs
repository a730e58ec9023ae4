use serde_json::json;

use super::*;
use crate::runtime::clock::Clock;

fn start() -> (Cluster, Actor) {
    let clock = Clock::starting_at(jiff::Timestamp::from_second(1_700_000_000).unwrap());
    (Cluster::new(clock), Actor::other("test"))
}

fn place(name: &str) -> Place {
    Place::new("configmaps", "prod", name)
}

/// Creates an object that these own.
fn create(cluster: &Cluster, name: &str, owners: &[&str], blocks: bool) {
    let owner = |owner: &&str| {
        let found = cluster.read(&place(owner)).unwrap();
        json!({"apiVersion": "v1", "kind": "ConfigMap", "name": owner,
            "uid": found["metadata"]["uid"], "blockOwnerDeletion": blocks})
    };
    let owners: Vec<Value> = owners.iter().map(owner).collect();
    let object = json!({"metadata": {"ownerReferences": owners}});
    cluster.create(&Actor::other("test"), &place(name), object).unwrap();
}

fn names(cluster: &Cluster) -> Vec<String> {
    cluster.list("configmaps", None).into_iter().map(|(place, _)| place.name).collect()
}

#[tokio::test(start_paused = true)]
async fn dependents_go_after_their_owner_one_generation_at_a_time() {
    let (cluster, actor) = start();
    create(&cluster, "a", &[], false);
    create(&cluster, "b", &["a"], false);
    create(&cluster, "c", &["b"], false);
    assert_eq!(collect(&cluster), 0);
    cluster.delete(&actor, &place("a")).unwrap();
    assert_eq!(collect(&cluster), 1);
    assert_eq!(names(&cluster), ["c"]);
    assert!(cluster.has_garbage());
    assert_eq!(collect(&cluster), 1);
    assert!(names(&cluster).is_empty() && !cluster.has_garbage());
}

#[tokio::test(start_paused = true)]
async fn who_has_another_owner_stays_and_forgets_the_one() {
    let (cluster, actor) = start();
    create(&cluster, "a", &[], false);
    create(&cluster, "b", &[], false);
    create(&cluster, "c", &["a", "b"], false);
    cluster.delete(&actor, &place("a")).unwrap();
    assert_eq!(collect(&cluster), 1);
    let left = cluster.read(&place("c")).unwrap();
    assert_eq!(left["metadata"]["ownerReferences"].as_array().unwrap().len(), 1);
    assert_eq!(left["metadata"]["ownerReferences"][0]["name"], "b");
}

#[tokio::test(start_paused = true)]
async fn an_owner_of_another_uid_is_no_owner() {
    let (cluster, actor) = start();
    create(&cluster, "a", &[], false);
    let owner = json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "a", "uid": "other"});
    let object = json!({"metadata": {"ownerReferences": [owner]}});
    cluster.create(&actor, &place("b"), object).unwrap();
    assert_eq!(collect(&cluster), 1);
    assert_eq!(names(&cluster), ["a"]);
}

#[tokio::test(start_paused = true)]
async fn in_the_foreground_dependents_go_first() {
    let (cluster, actor) = start();
    create(&cluster, "a", &[], true);
    create(&cluster, "b", &["a"], true);
    let going = |_: &Value| {
        Ok::<_, Refusal>(Going { grace: None, finalizers: Some(vec![json!(FOREGROUND)]) })
    };
    cluster.remove(&actor, &place("a"), Run::Real, going).unwrap();
    assert_eq!(names(&cluster), ["a", "b"]);
    collect(&cluster);
    assert_eq!(names(&cluster), ["a"]);
    collect(&cluster);
    assert!(names(&cluster).is_empty());
}

#[tokio::test(start_paused = true)]
async fn orphans_stay_and_have_no_owner() {
    let (cluster, actor) = start();
    create(&cluster, "a", &[], false);
    create(&cluster, "b", &["a"], false);
    let going =
        |_: &Value| Ok::<_, Refusal>(Going { grace: None, finalizers: Some(vec![json!(ORPHAN)]) });
    cluster.remove(&actor, &place("a"), Run::Real, going).unwrap();
    collect(&cluster);
    collect(&cluster);
    assert_eq!(names(&cluster), ["b"]);
    assert!(cluster.read(&place("b")).unwrap()["metadata"].get("ownerReferences").is_none());
}
