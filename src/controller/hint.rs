//! Hint: tells people of an object what no status can hold, by one Event.

use tracing::warn;

use crate::api::kind::Reference;
use crate::apply::announce::{Announced, announce};
use crate::apply::error::Error as WriteError;
use crate::controller::context::Context;
use crate::controller::error::{Error, outcome};
use crate::model::notice::Notice;
use crate::runtime::metrics::WriteResult;

/// Sends a notice about an object and its uid. One that the API server refuses is not to be sent
/// again: it is no more than a hint.
///
/// # Errors
/// [`Error::Notice`], [`Error::NoticeLate`].
pub async fn tell(
    ctx: &Context,
    (object, uid): (&Reference, &str),
    notice: &Notice,
) -> Result<(), Error> {
    let (one, mut sent) = (std::slice::from_ref(notice), Vec::new());
    let announced = announce(&ctx.client, (object, uid), one, &ctx.identity, &mut sent).await;
    let (counted, result) = match announced {
        Announced::All => (WriteResult::Done, Ok(())),
        Announced::Failed(error @ WriteError::Refused { .. }) => {
            let (reason, message) = (notice.reason.as_str(), notice.message.as_str());
            warn!(%object, reason, message, "no Event may say so");
            (outcome(&error), Ok(()))
        }
        Announced::Failed(error) => (outcome(&error), Err(Error::Notice(error))),
        Announced::Late => (WriteResult::Unknown, Err(Error::NoticeLate)),
    };
    ctx.metrics.wrote("Event", counted);
    result
}
