//! Discovery: the documents that tell what is served. They hold no objects.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::sim::cluster::Cluster;
use crate::sim::resource::{RESOURCES, Resource};
use crate::sim::rules::meta;
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
        let mut value = first.map(|first| group_value(first)).ok_or_else(Failure::no_such_page)?;
        for (key, text) in [("kind", "APIGroup"), ("apiVersion", "v1")] {
            meta::put(&mut value, key, Some(json!(text)));
        }
        return Ok(value);
    };
    let all: Vec<_> = of_group.iter().filter(|resource| resource.version == version).collect();
    let Some(first) = all.first() else { return Err(Failure::no_such_page()) };
    let entries: Vec<Value> = all.iter().flat_map(|resource| entries(resource)).collect();
    let mut list = json!({"kind": "APIResourceList", "groupVersion": first.api_version(),
        "resources": entries});
    // That of the core is older than this field.
    meta::put(&mut list, "apiVersion", (!group.is_empty()).then(|| json!("v1")));
    Ok(list)
}

/// What clients are told of a kind (its plural): short names, categories, and a mark of the
/// version in which it is stored.
fn names(plural: &str) -> (&[&str], &[&str], &str) {
    match plural {
        "configmaps" => (&["cm"], &[], "qFsyl6wFWjQ="),
        "pods" => (&["po"], &["all"], "xPOwRZ+Yhw8="),
        "services" => (&["svc"], &["all"], "0/CO1lhkEBI="),
        "replicasets" => (&["rs"], &["all"], "P1RzHs8/mWQ="),
        "leases" => (&[], &[], "gqkMMb/YqFM="),
        "endpointslices" => (&[], &[], "qgS0xkrxYAI="),
        "poddisruptionbudgets" => (&["pdb"], &[], "CyFyfvwiyRE="),
        "events" => (&["ev"], &[], "r2yiGXH7wu8="),
        "grpcroutes" => (&[], &["gateway-api"], "bkxdI4yJ1yQ="),
        "httproutes" => (&[], &["gateway-api"], "s9TOoTqdPlk="),
        "imagepolicies" => {
            (&["imgpol", "imagepol"], &["all", "fluxcd", "fluxcd-images"], "uwF8vvAU/Jc=")
        }
        "kustomizations" => (&["ks"], &["all", "fluxcd", "fluxcd-appliers"], "GozwzC4McTQ="),
        "healthchecks" => (&[], &["stairlock"], "xnx2bn2R33U="),
        "clusterrolloutschedules" => (&[], &["stairlock"], "YA5RRWa6sI4="),
        "rolloutgates" => (&[], &["stairlock"], "Vsb/gSrjfZ8="),
        "rolloutschedules" => (&[], &["stairlock"], "Z4uEAZkQX+A="),
        "ocirepositories" => (&["ocirepo"], &[], "GGgn4oy0Eik="),
        "rollouts" => (&["slr"], &["stairlock"], "Guw1I+QJ9bQ="),
        _ => (&[], &[], ""),
    }
}

/// A resource and its parts.
fn entries(resource: &Resource) -> Vec<Value> {
    let plural = resource.plural;
    let (short, categories, mark) = names(plural);
    let verbs = if resource.custom() {
        ["delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"]
    } else {
        ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]
    };
    let namespaced = resource.namespaced();
    let mut whole = json!({"name": plural, "singularName": resource.kind.to_lowercase(),
        "namespaced": namespaced, "kind": resource.kind, "verbs": verbs,
        "storageVersionHash": mark});
    for (key, list) in [("shortNames", short), ("categories", categories)] {
        meta::put(&mut whole, key, (!list.is_empty()).then(|| json!(list)));
    }
    let part = |part: &str, kind: &str| {
        json!({"name": format!("{plural}/{part}"), "singularName": "",
            "namespaced": namespaced, "kind": kind, "verbs": ["get", "patch", "update"]})
    };
    let mut all = vec![whole];
    all.extend(resource.status.then(|| part("status", resource.kind)));
    all.extend(resource.scale().then(|| {
        let mut scale = part("scale", "Scale");
        meta::put(&mut scale, "group", Some(json!("autoscaling")));
        meta::put(&mut scale, "version", Some(json!("v1")));
        scale
    }));
    all
}
