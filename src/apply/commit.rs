//! Commit: stores a status, by compare-and-swap on the Rollout's resourceVersion.

use kube::Client;

use crate::api::rollout::Rollout;
use crate::apply::error::Error;
use crate::apply::send::{self, Part};
use crate::apply::writes;
use crate::model::status::Status;
use crate::render;

/// Stores a status in place of the one that was seen; tells the Rollout as it is then.
///
/// # Errors
/// [`Error::Conflict`] if the Rollout is not what was seen, else as the answer says.
pub async fn commit(
    client: &Client,
    rollout: &Rollout,
    status: &Status,
) -> Result<Box<Rollout>, Error> {
    let status = render::status::status(status);
    let patch = render::rollout::status(rollout, &status);
    let stale = rollout.metadata.resource_version.as_deref().unwrap_or_default();
    send::patched(client, &writes::own(rollout), &patch, stale, Part::Status).await
}
