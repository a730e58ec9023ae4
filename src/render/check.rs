//! Check: sets a HealthCheck back. It never says that one is healthy.

use json_patch::Patch;
use serde_json::json;

use crate::model::moment::Timestamp;
use crate::model::moves::Target;
use crate::render::patch::Edit;

/// Sets a HealthCheck to Pending: what it said was of another release.
pub fn reset(target: &Target, at: Timestamp) -> Patch {
    let message = "a new release is on its way";
    let status = json!({"status": "Pending", "lastChangeTime": at.to_string(), "message": message});
    Edit::at(&target.resource_version).add(&["status"], status).done()
}
