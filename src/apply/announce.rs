//! Announce: tells people of stored transitions, as Events. A notice that is sent twice is one.

use std::time::Duration;

use kube::Client;

use crate::api::kind::{Kind, Reference};
use crate::apply::error::Error;
use crate::apply::send::{self, Run};
use crate::model::notice::Notice;
use crate::render::event;

/// How long all notices of one turn may take together: nobody waits for them.
const ANNOUNCE_TIMEOUT: Duration = Duration::from_secs(2);

/// What became of the notices of one turn.
#[derive(Debug)]
pub enum Announced {
    /// All are sent.
    All,
    /// One was not taken; those after it were not tried.
    Failed(Error),
    /// The time was over.
    Late,
}

/// Sends notices about an object and its uid in order and adds the ids of those that are sent to
/// `sent`. `instance` names this process.
pub async fn announce(
    client: &Client,
    (object, uid): (&Reference, &str),
    notices: &[Notice],
    instance: &str,
    sent: &mut Vec<String>,
) -> Announced {
    let all = async {
        for notice in notices {
            let name = event::name(object, notice);
            let target = Reference::new(Kind::Event, object.key.namespace.as_str(), name);
            let body = event::create((object, uid), notice, instance);
            match send::create(client, &target, body, Run::Real).await {
                Ok(_) => {}
                Err(kube::Error::Api(status)) if status.reason == "AlreadyExists" => {}
                Err(error) => return Err(Error::of(&target, 0, error)),
            }
            sent.push(notice.id.clone());
        }
        Ok(())
    };
    match tokio::time::timeout(ANNOUNCE_TIMEOUT, all).await {
        Ok(Ok(())) => Announced::All,
        Ok(Err(error)) => Announced::Failed(error),
        Err(_) => Announced::Late,
    }
}
