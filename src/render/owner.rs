//! Owner: how an object tells which Rollout it belongs to.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::api::keys;
use crate::api::rollout::Rollout;
use crate::model::template::Revision;

/// The Rollout that writes, as far as bodies name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
}

impl Owner {
    /// Takes the names from a Rollout as the API server stores it.
    pub fn of(rollout: &Rollout) -> Self {
        let meta = &rollout.metadata;
        Self {
            namespace: meta.namespace.clone().unwrap_or_default(),
            name: meta.name.clone().unwrap_or_default(),
            uid: meta.uid.clone().unwrap_or_default(),
        }
    }

    /// Makes the entry of `ownerReferences`. It blocks a foreground deletion of the Rollout until
    /// the object is gone.
    pub fn reference(&self) -> Value {
        json!({
            "apiVersion": format!("{}/{}", keys::GROUP, keys::VERSION),
            "kind": "Rollout",
            "name": self.name,
            "uid": self.uid,
            "controller": true,
            "blockOwnerDeletion": true,
        })
    }

    /// Makes the labels that select the pods of one revision.
    pub fn selector(selector: &BTreeMap<String, String>, revision: &Revision) -> Value {
        let mut labels = selector.clone();
        labels.insert(keys::LABEL_REVISION.to_owned(), revision.to_string());
        json!(labels)
    }
}
