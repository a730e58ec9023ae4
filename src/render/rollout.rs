//! The Rollout itself: status, images of its template, commands, finalizer.

use json_patch::Patch;
use serde_json::json;

use crate::api::keys;
use crate::api::rollout::Rollout;
use crate::model::command::Token;
use crate::model::moves::ImageEdit;
#[cfg(feature = "planted")]
use crate::planted::{Bug, active};
use crate::render::patch::{Edit, Operation};

/// Stores a whole status. It is the only lock: at another resourceVersion nothing is stored.
pub fn status<'a, T>(rollout: &Rollout, status: &'a T) -> Vec<Operation<'a, T>> {
    #[cfg(feature = "planted")]
    if active(Bug::StatusWithoutVersion) {
        return Edit::default().large("/status", status);
    }
    at(rollout).large("/status", status)
}

/// Sets images; the containers have to stand where they stood, by name.
pub fn set_images(rollout: &Rollout, edits: &[ImageEdit]) -> Patch {
    let all = edits.iter().fold(at(rollout), |patch, edit| {
        let list = if edit.init { "initContainers" } else { "containers" };
        let index = edit.index.to_string();
        let path = |field| ["spec", "template", "spec", list, index.as_str(), field];
        patch.test(&path("name"), edit.container.as_str()).add(&path("image"), edit.image.as_str())
    });
    all.done()
}

/// Removes command annotations and stores the accepted token in their place.
pub fn take_commands(rollout: &Rollout, remove: &[String], accept: Option<Token>) -> Patch {
    let annotations = rollout.metadata.annotations.as_ref();
    let there = |key: &&String| annotations.is_some_and(|all| all.contains_key(key.as_str()));
    let removed = remove
        .iter()
        .filter(there)
        .fold(at(rollout), |patch, key| patch.remove(&["metadata", "annotations", key.as_str()]));
    #[cfg(feature = "planted")]
    let accept = accept.filter(|_| !active(Bug::TokenNotStored));
    let Some(token) = accept else { return removed.done() };
    let removed = match annotations {
        Some(_) => removed,
        None => removed.add(&["metadata", "annotations"], json!({})),
    };
    removed.add(&["metadata", "annotations", keys::ACCEPTED], token.to_string()).done()
}

/// Adds or removes our finalizer; `None` where it is as it has to be.
pub fn finalizer(rollout: &Rollout, present: bool) -> Option<Patch> {
    let list = rollout.metadata.finalizers.as_ref();
    let place = list.and_then(|list| list.iter().position(|name| name == keys::FINALIZER));
    match (present, place, list) {
        (true, None, None) => {
            let path = ["metadata", "finalizers"];
            Some(at(rollout).add(&path, json!([keys::FINALIZER])).done())
        }
        (true, None, Some(_)) => {
            let path = ["metadata", "finalizers", "-"];
            Some(at(rollout).add(&path, keys::FINALIZER).done())
        }
        (false, Some(index), _) => {
            let index = index.to_string();
            let path = ["metadata", "finalizers", index.as_str()];
            Some(at(rollout).test(&path, keys::FINALIZER).remove(&path).done())
        }
        (true, Some(_), _) | (false, None, _) => None,
    }
}

fn at(rollout: &Rollout) -> Edit {
    Edit::at(rollout.metadata.resource_version.as_deref().unwrap_or_default())
}

#[cfg(test)]
mod tests;
