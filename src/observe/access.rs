//! Access: which namespaces may use an ImageRepository of another one, as its `accessFrom` says. It
//! reads labels of namespaces, nothing else.
//!
//! Verbs: `list` on namespaces, one by its name.
//!
//! Source: HasAccessToRef of github.com/fluxcd/pkg/runtime/acl.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::Namespace;
use kube::Client;
use kube::api::{Api, ListParams};
use serde::Deserialize;

use crate::api::kind::Key;

/// Who may use an object of another namespace.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AccessFrom {
    namespace_selectors: Vec<Selector>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Selector {
    match_labels: BTreeMap<String, String>,
}

/// Tells which of the namespaces may not use an ImageRepository, each with the reason.
pub async fn denied(
    client: &Client,
    repository: &Key,
    access: Option<&AccessFrom>,
    namespaces: &BTreeSet<String>,
) -> BTreeMap<String, String> {
    let mut denied = BTreeMap::new();
    for namespace in namespaces.iter().filter(|namespace| **namespace != repository.namespace) {
        let why = match access {
            None => Some("has no accessFrom, so that no other namespace may use it".to_owned()),
            Some(access) => refusal(client, access, namespace).await,
        };
        if let Some(why) = why {
            let why =
                format!("ImageRepository {repository} {why}; the ImagePolicy is in {namespace}");
            denied.insert(namespace.clone(), why);
        }
    }
    denied
}

/// Why a namespace is not among those that are selected.
async fn refusal(client: &Client, access: &AccessFrom, namespace: &str) -> Option<String> {
    let api: Api<Namespace> = Api::all(client.clone());
    let one = ListParams::default().fields(&format!("metadata.name={namespace}"));
    let Ok(found) = api.list(&one).await else {
        return Some("has an accessFrom, and the controller may not list namespaces".to_owned());
    };
    let labels = found.items.into_iter().next().and_then(|found| found.metadata.labels);
    let labels = labels.unwrap_or_default();
    let carried = |(key, value): (&String, &String)| labels.get(key) == Some(value);
    let selects = |selector: &Selector| selector.match_labels.iter().all(carried);
    let selected = access.namespace_selectors.iter().any(selects);
    (!selected).then(|| "has an accessFrom that does not select that namespace".to_owned())
}
