//! Check: sets a HealthCheck back, or stores what was found. It never judges.

use json_patch::Patch;
use serde_json::json;

use crate::api::check::{AppliedState, HealthCheckStatus, HealthState};
use crate::model::health::Health;
use crate::model::inspection::Statement;
use crate::model::moment::Timestamp;
use crate::model::moves::Target;
use crate::render::patch::Edit;

/// Sets a HealthCheck to Pending: what it said was of another release.
pub fn reset(target: &Target, at: Timestamp) -> Patch {
    let message = "a new release is on its way";
    let status = json!({"status": "Pending", "lastChangeTime": at.to_string(), "message": message});
    Edit::at(&target.resource_version).add(&["status"], status).done()
}

/// Stores what a HealthCheck says.
pub fn report(target: &Target, said: &Statement) -> Patch {
    let Statement { health, message, changed_at, error_at, healthy_at } = said;
    let state = match health {
        Health::Healthy => HealthState::Healthy,
        Health::Unhealthy => HealthState::Unhealthy,
        Health::Pending => HealthState::Pending,
    };
    let status = HealthCheckStatus {
        status: Some(state),
        last_error_time: error_at.map(|at| at.to_string()),
        message: Some(message.clone()),
        last_change_time: Some(changed_at.to_string()),
        kustomization: healthy_at
            .as_ref()
            .map(|at| AppliedState { generation: at.generation, revision: at.revision.clone() }),
    };
    Edit::at(&target.resource_version).add(&["status"], json!(status)).done()
}
