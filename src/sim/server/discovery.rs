//! Discovery: the documents that tell what is served. They hold no objects.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::sim::cluster::Cluster;
use crate::sim::resource::{RESOURCES, Resource};
use crate::sim::server::failure::Failure;

/// The version that the server says it is.
const MINOR: &str = "36";

/// Returns the document at a path of one part: `version`, `api`, `apis`, `readyz`.
///
/// # Errors
/// [`Failure`] 404.
pub fn document(cluster: &Cluster, name: &str) -> Result<Value, Failure> {
    match name {
        "version" => Ok(json!({"major": "1", "minor": MINOR,
            "gitVersion": format!("v1.{MINOR}.0"), "platform": "linux/amd64"})),
        "api" => Ok(json!({"kind": "APIVersions", "versions": ["v1"]})),
        "apis" => {
            let groups: BTreeMap<&str, Value> = served(cluster)
                .filter(|resource| !resource.group.is_empty())
                .map(|resource| (resource.group, group_value(resource)))
                .collect();
            let groups: Vec<Value> = groups.into_values().collect();
            Ok(json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}))
        }
        "healthz" | "readyz" | "livez" => Ok(json!("ok")),
        _ => Err(Failure::no_such_path()),
    }
}

fn served(cluster: &Cluster) -> impl Iterator<Item = &'static Resource> {
    RESOURCES.iter().filter(|resource| cluster.installed(resource.plural))
}

fn group_value(resource: &Resource) -> Value {
    let version = json!({"groupVersion": resource.api_version(), "version": resource.version});
    json!({"name": resource.group, "versions": [version], "preferredVersion": version})
}

/// Returns what a version of a group serves, or the versions of a group.
///
/// # Errors
/// [`Failure`] 404 if there is nothing.
pub fn group(cluster: &Cluster, group: &str, version: Option<&str>) -> Result<Value, Failure> {
    let of_group: Vec<_> = served(cluster).filter(|resource| resource.group == group).collect();
    let Some(version) = version else {
        let first = of_group.first().filter(|resource| !resource.group.is_empty());
        let mut value = first.map(|first| group_value(first)).ok_or_else(Failure::no_such_path)?;
        for (key, text) in [("kind", "APIGroup"), ("apiVersion", "v1")] {
            crate::sim::rules::meta::put(&mut value, key, Some(json!(text)));
        }
        return Ok(value);
    };
    let all: Vec<_> = of_group.iter().filter(|resource| resource.version == version).collect();
    let Some(first) = all.first() else { return Err(Failure::no_such_path()) };
    let mut entries = Vec::new();
    for resource in &all {
        entries.push(json!({"name": resource.plural, "singularName": resource.kind.to_lowercase(),
            "namespaced": true, "kind": resource.kind,
            "verbs": ["create", "delete", "get", "list", "patch", "update", "watch"]}));
        if resource.status {
            entries.push(json!({"name": format!("{}/status", resource.plural),
                "singularName": "", "namespaced": true, "kind": resource.kind,
                "verbs": ["get", "patch", "update"]}));
        }
    }
    Ok(json!({"kind": "APIResourceList", "apiVersion": "v1",
        "groupVersion": first.api_version(), "resources": entries}))
}
