//! A clock without sleeping: another Rollout that the same controller brings up.
//!
//! When it is Completed the controller has taken many turns, and what it did not do meanwhile it
//! does not do.

use serde_json::json;

use super::proxy::Call;
use super::shop::named;
use super::story::Story;

impl Story {
    /// Creates a Rollout and waits until it is Completed.
    pub async fn clock(&self, name: &str) {
        let steps = json!([{"setWeight": 100}]);
        let image = format!("registry.example/{name}:1.0.0");
        self.cluster.add(named(name, &image, steps)).await;
        self.completed_of(name, 1).await;
    }
}

/// Whether a request is about the clock of that name, or re-opens a watch.
pub fn ticks(call: &Call, name: &str) -> bool {
    call.watches() || call.path.contains(name) || call.body.to_string().contains(name)
}
