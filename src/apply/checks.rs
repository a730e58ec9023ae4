//! Checks: stores what a HealthCheck says. It never judges.

use kube::Client;

use crate::api::kind::{Kind, Reference};
use crate::apply::error::Error;
use crate::apply::send::{self, Part, Written};
use crate::model::health::Check;
use crate::model::inspection::Statement;
use crate::render::check;

/// Names a HealthCheck.
pub fn target(check: &Check) -> Reference {
    Reference::new(Kind::HealthCheck, check.namespace.as_str(), &check.name)
}

/// Stores what a HealthCheck says.
///
/// # Errors
/// [`Error`] as the answer says.
pub async fn report(client: &Client, known: &Check, said: &Statement) -> Result<Written, Error> {
    let patch = check::report(&known.target, said);
    let stale = &known.target.resource_version;
    send::patch(client, &target(known), patch, stale, Part::Status).await
}
