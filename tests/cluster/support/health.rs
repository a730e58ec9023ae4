//! HealthChecks, and those who write what they say: Stairlock never does.

use serde_json::{Value, json};
use stairlock::model::moment::Timestamp;
use tokio::task::JoinSet;

use super::cluster::Cluster;
use super::json::{merged, text, version};
use super::proxy::ledger;
use super::story::{SHOP, Story};
use super::watch::{Seen, Watch};

/// The HealthCheck of the shop.
pub const CHECK: &str = "errors";

/// That HealthCheck, of which nothing is known yet.
pub fn health_check() -> Value {
    json!({"apiVersion": "stairlock.dev/v1alpha1", "kind": "HealthCheck",
        "metadata": {"name": CHECK, "labels": {"app": SHOP}}, "spec": {"class": "outside"}})
}

/// The same Rollout, which waits for the HealthChecks with its label.
pub fn checked(rollout: Value) -> Value {
    let selector = json!({"selector": {"matchLabels": {"app": SHOP}}});
    merged(rollout, &json!({"spec": {"healthCheckSelector": selector}}))
}

/// Writes what is found, at the present time; never before what was written last.
async fn write(cluster: &Cluster, check: &Value, state: &str) {
    let last = Timestamp::parse(text(check, "/status/lastChangeTime"));
    let at = ledger::now().max(last.unwrap_or_else(ledger::now)).to_string();
    let mut status = json!({"status": state, "lastChangeTime": at, "message": "as measured"});
    if state == "Unhealthy" {
        status["lastErrorTime"] = json!(at);
    }
    cluster.merge_status("HealthCheck", CHECK, json!({"status": status})).await;
}

/// Whether a check waits to be told of anew.
fn asked(check: &Value) -> bool {
    text(check, "/status/status") == "Pending"
}

impl Story {
    /// Waits until the check is to be told of anew, then tells of it.
    pub async fn found_anew(&self, state: &str) {
        let check = self.becomes("HealthCheck", CHECK, "it begins anew", asked).await;
        write(&self.cluster, &check, state).await;
    }

    /// Tells of the check, whoever asks.
    pub async fn found(&self, state: &str) {
        let check = self.cluster.get("HealthCheck", CHECK).await;
        write(&self.cluster, &check, state).await;
    }

    /// Has somebody tell that all is well, each time that the check begins anew.
    pub async fn all_is_well(&self) -> JoinSet<()> {
        let (cluster, end) = (self.cluster.clone(), self.end);
        let checks = Watch::open(&cluster, "HealthCheck").await;
        let mut tellers = JoinSet::new();
        tellers.spawn(async move {
            let mut last = 0;
            loop {
                let anew = |seen: &Seen| last < version(&seen.object) && asked(&seen.object);
                let check = checks.until(end, "the check begins anew", anew).await;
                last = version(&check);
                write(&cluster, &check, "Healthy").await;
            }
        });
        tellers
    }
}
