//! Simulated: the API server of `stairlock::sim`, in virtual time. Each sequence has a cluster of
//! its own.

use std::time::Duration;

use kube::Client;
use kube::client::ClientBuilder;
use serde_json::{Value, json};
use stairlock::runtime::clock::Clock;
use stairlock::sim::cluster::{Actor, Cluster};
use stairlock::sim::collector;
use stairlock::sim::history::Place;
use stairlock::sim::resource::RESOURCES;
use stairlock::sim::server::ApiServer;

use super::normal;
use super::play::{self, Lever};
use super::table::Sequence;

const NAMESPACE: &str = "simulated-namespace";

impl Lever for Cluster {
    async fn compact(&self) {
        RESOURCES.iter().for_each(|resource| self.forget(resource.plural));
    }

    async fn catch_up(&self, _path: &str) {} // It has no cache.
}

/// Plays a sequence. Its answers in the normal form.
pub fn play(sequence: &Sequence) -> Vec<Value> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().start_paused(true).build().unwrap().block_on(async {
        let (cluster, client) = open().await;
        if sequence.marks.contains("@controllers") {
            tokio::spawn(collect_garbage(cluster.clone()));
        }
        let answers = play::play(&client, &cluster, NAMESPACE, sequence).await;
        normal::answers(sequence, NAMESPACE, &answers)
    })
}

/// The only controller that the sequences need.
async fn collect_garbage(cluster: Cluster) {
    loop {
        tokio::time::sleep(Duration::from_millis(50)).await;
        collector::collect(&cluster);
    }
}

/// A cluster that has a past, so that there are versions that are too old.
async fn open() -> (Cluster, Client) {
    let clock = Clock::starting_at(jiff::Timestamp::from_second(1_700_000_000).unwrap());
    let cluster = Cluster::new(clock);
    let actor = Actor::other("table");
    for number in 0..100 {
        let place = Place::new("configmaps", "kube-system", format!("past-{number}"));
        cluster.create(&actor, &place, json!({})).unwrap();
    }
    cluster.compact().await;
    cluster.set_namespace("no-such-namespace", false);
    let server = ApiServer::new(cluster.clone(), actor);
    (cluster, ClientBuilder::new(server, "default").build())
}
