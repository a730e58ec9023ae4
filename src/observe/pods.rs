//! Pods: the pods of one Rollout, asked for while a restart is under way. No watch holds them: at
//! rest nobody reads them, and they are by far the largest part of a cluster.
//!
//! Verb: `list`, by the label of the Rollout.

use kube::Client;
use kube::api::{Api, ListParams};

use crate::api::foreign::Pod;
use crate::api::keys;
use crate::api::kind::Key;

/// Pods in a page of a list: what is held twice while it is decoded.
const PAGE_SIZE: u32 = 250;
/// The longest refusal that is kept, in characters.
const ANSWER_MAX: usize = 200;

/// Asks for the pods of a Rollout as they are now. The inner error is the API server's word that
/// they may not be read.
///
/// # Errors
/// The client's, if there is no answer.
pub async fn of_rollout(
    client: &Client,
    rollout: &Key,
) -> Result<Result<Vec<Pod>, String>, kube::Error> {
    let api: Api<Pod> = Api::namespaced(client.clone(), &rollout.namespace);
    let label = format!("{}={}", keys::LABEL_ROLLOUT, rollout.name);
    let mut params = ListParams::default().labels(&label).limit(PAGE_SIZE);
    let mut pods = Vec::new();
    loop {
        let page = match api.list(&params).await {
            Ok(page) => page,
            Err(kube::Error::Api(status)) if status.code == 403 => {
                let said = status.message.chars().filter(|c| !c.is_control());
                return Ok(Err(said.take(ANSWER_MAX).collect()));
            }
            Err(error) => return Err(error),
        };
        pods.extend(page.items);
        match page.metadata.continue_.filter(|next| !next.is_empty()) {
            Some(next) => params = params.continue_token(&next),
            None => return Ok(Ok(pods)),
        }
    }
}
