use std::time::Duration;

use futures::StreamExt;
use futures::TryStreamExt;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams, Preconditions};
use kube::client::ClientBuilder;
use kube::runtime::watcher;
use kube::{Client, ResourceExt};

use serde_json::{Value, json};

use super::*;
use crate::runtime::clock::Clock;
use crate::runtime::fence::Fence;
use crate::sim::history::Place;
use crate::sim::rules::settle::Part;

fn start() -> (Cluster, Client) {
    let clock = Clock::starting_at(jiff::Timestamp::from_second(1_700_000_000).unwrap());
    let cluster = Cluster::new(clock.clone());
    let server = ApiServer::new(cluster.clone(), Actor::other("test"));
    let client = ClientBuilder::new(server, "default").with_layer(&Fence::deadlines(clock)).build();
    (cluster, client)
}

fn config_map(name: &str, label: &str) -> ConfigMap {
    let value = json!({"metadata": {"name": name, "labels": {"app": label}}, "data": {"a": "1"}});
    serde_json::from_value(value).unwrap()
}

fn code<T: std::fmt::Debug>(result: Result<T, kube::Error>) -> (u16, String) {
    match result {
        Err(kube::Error::Api(status)) => (status.code, status.reason.clone()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn an_ordinary_client_reads_and_writes() {
    let (_, client) = start();
    let api: Api<ConfigMap> = Api::namespaced(client, "prod");
    let post = PostParams::default();
    let first = api.create(&post, &config_map("one", "shop")).await.unwrap();
    assert_eq!(code(api.create(&post, &config_map("one", "x")).await).1, "AlreadyExists");
    api.create(&post, &config_map("two", "cart")).await.unwrap();
    assert_eq!(api.list(&ListParams::default()).await.unwrap().items.len(), 2);
    let shop = api.list(&ListParams::default().labels("app=shop")).await.unwrap();
    assert_eq!(shop.items.len(), 1);
    let merge = Patch::Merge(json!({"data": {"b": "2"}}));
    let params = PatchParams::default();
    let second = api.patch("one", &params, &merge).await.unwrap();
    let same = api.patch("one", &params, &merge).await.unwrap();
    assert_eq!(same.resource_version(), second.resource_version());
    assert_eq!(code(api.replace("one", &post, &first).await), (409, "Conflict".to_owned()));
    let stale: json_patch::Patch = serde_json::from_value(json!([
        {"op": "replace", "path": "/metadata/resourceVersion",
            "value": first.resource_version()}, {"op": "remove", "path": "/data"}]))
    .unwrap();
    let patched = api.patch("one", &params, &Patch::<()>::Json(stale)).await;
    assert_eq!(code(patched), (409, "Conflict".to_owned()));
    let other: json_patch::Patch =
        serde_json::from_value(json!([{"op": "test", "path": "/data/a", "value": "0"}])).unwrap();
    let patched = api.patch("one", &params, &Patch::<()>::Json(other)).await;
    assert_eq!(code(patched), (422, "Invalid".to_owned()));
    let wrong = DeleteParams {
        preconditions: Some(Preconditions { uid: Some("x".into()), resource_version: None }),
        ..DeleteParams::background()
    };
    assert_eq!(code(api.delete("one", &wrong).await).0, 409);
    assert!(api.delete("one", &DeleteParams::default()).await.unwrap().is_right());
    assert_eq!(code(api.get("one").await), (404, "NotFound".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn an_ordinary_watcher_hears_all_changes() {
    for streams in [true, false] {
        let (cluster, client) = start();
        let api: Api<ConfigMap> = Api::all(client);
        let actor = Actor::other("person");
        let place = |name: &str| Place::new("configmaps", "prod", name);
        let object = |app: &str| json!({"metadata": {"labels": {"app": app}}});
        cluster.create(&actor, &place("one"), object("shop")).unwrap();
        let mut config = watcher::Config::default().labels("app=shop").timeout(50);
        if streams {
            config = config.streaming_lists();
        }
        let mut events = watcher(api, config).boxed();
        let mut heard = Vec::new();
        let mut told = async |heard: &mut Vec<String>, count: usize| {
            for _ in 0..count {
                heard.push(match events.try_next().await.unwrap().unwrap() {
                    watcher::Event::Init => "init".to_owned(),
                    watcher::Event::InitApply(one) => format!("initial {}", one.name_any()),
                    watcher::Event::InitDone => "done".to_owned(),
                    watcher::Event::Apply(one) => format!("apply {}", one.name_any()),
                    watcher::Event::Delete(one) => format!("delete {}", one.name_any()),
                });
            }
        };
        told(&mut heard, 3).await;
        cluster.create(&actor, &place("two"), object("cart")).unwrap();
        let relabel = |app: &'static str| {
            move |object: &mut Value| {
                object["metadata"]["labels"]["app"] = json!(app);
                Ok(())
            }
        };
        cluster.update(&actor, &place("two"), Part::Main, relabel("shop")).unwrap();
        told(&mut heard, 1).await;
        tokio::time::sleep(Duration::from_secs(500)).await;
        cluster.update(&actor, &place("two"), Part::Main, relabel("cart")).unwrap();
        cluster.delete(&actor, &place("one")).unwrap();
        told(&mut heard, 2).await;
        let want = ["init", "initial one", "done", "apply two", "delete two", "delete one"];
        assert_eq!(heard, want, "streams: {streams}");
    }
}
