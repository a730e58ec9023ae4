//! Manifest: reads the files of `-f`: which objects there are, and whether the Rollout among them
//! is one that the API server and the controller would take. It never asks a cluster.

use std::collections::BTreeSet;
use std::io::Read;
use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::{fs, io};

use serde_json::{Value, json};

use crate::api::definition;
use crate::api::keys;
use crate::api::rollout::Rollout;
use crate::model::moment::Timestamp;
use crate::model::snapshot::Known;
use crate::model::spec::Spec;
use crate::sim::resource::RESOURCES;
use crate::sim::schema;
use crate::sim::yaml::{self, At, Content, Fault, Faults, Node};
use crate::validate::seen::{self, Bound, Seen};
use crate::validate::validate;

/// Most bytes of a file: what an API server takes in one object, many times over.
const BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Where an object without a namespace is, as kubectl has it.
const NAMESPACE: &str = "default";
/// A kind that is not served, but tells where the tags of an ImagePolicy come from.
const REPOSITORY: &str = "ImageRepository";
/// What the API server sets itself; files that come out of a cluster carry it.
const SET_BY_SERVER: [&str; 6] =
    ["creationTimestamp", "generation", "managedFields", "resourceVersion", "selfLink", "uid"];

static SPEC: LazyLock<Value> = LazyLock::new(|| {
    let crd = definition::rollout().unwrap_or_default();
    let spec = "/spec/versions/0/schema/openAPIV3Schema/properties/spec";
    crd.pointer(spec).cloned().unwrap_or_default()
});

/// What stands in files.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifests {
    /// The objects that a simulated cluster knows, each with a namespace.
    pub objects: Vec<Value>,
    /// The Rollout among them.
    pub rollout: Chosen,
    /// Objects that were left out, for a person.
    pub skipped: Vec<String>,
}

/// The Rollout of the files.
#[derive(Debug, Clone, PartialEq)]
pub struct Chosen {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The object.
    pub object: Value,
    /// What it asks for.
    pub spec: Spec,
}

/// One value of a file that is to be an object.
#[derive(Debug)]
pub struct Source {
    /// The file.
    pub file: String,
    /// The value.
    pub node: Node,
}

/// Reads the text of a file; `-` is standard input.
///
/// # Errors
/// [`Faults`] with what the system says.
pub fn text(path: &Path) -> Result<(String, String), Faults> {
    let name = path.display().to_string();
    let fault =
        |error: io::Error| Faults::one(&name, At::default(), format!("unreadable: {error}"));
    let mut text = String::new();
    let limit = BYTES_MAX + 1;
    let read = if name == "-" {
        io::stdin().lock().take(limit).read_to_string(&mut text)
    } else {
        fs::File::open(path).and_then(|file| file.take(limit).read_to_string(&mut text))
    };
    let count = read.map_err(fault)?;
    if BYTES_MAX < u64::try_from(count).unwrap_or(u64::MAX) {
        let what = format!("found a longer file, expected at most {BYTES_MAX} bytes");
        return Err(Faults::one(&name, At::default(), what));
    }
    Ok((name, text))
}

/// Splits a text into the values that are to be objects; a List is each of its items.
///
/// # Errors
/// [`Faults`] where it is no YAML.
pub fn sources(file: &str, text: &str) -> Result<Vec<Source>, Faults> {
    let mut found = Vec::new();
    for node in yaml::documents(file, text)? {
        let items = match node.field("items").map(|field| &field.value.content) {
            Some(Content::List(items)) if node.text("kind") == Some("List") => items.clone(),
            _ => vec![node],
        };
        found.extend(items.into_iter().map(|node| Source { file: file.to_owned(), node }));
    }
    Ok(found)
}

/// Makes objects of values. One of them has to be a Rollout.
///
/// # Errors
/// [`Faults`] of all of them.
pub fn read(sources: &[Source]) -> Result<Manifests, Faults> {
    let (mut objects, mut skipped, mut faults) = (Vec::new(), Vec::new(), Vec::new());
    let mut rollouts: Vec<(&Source, Chosen)> = Vec::new();
    for source in sources {
        match object(source) {
            Err(found) => faults.extend(found),
            Ok(Taken::Other(object)) => objects.push(object),
            Ok(Taken::Skipped(what)) => skipped.push(what),
            Ok(Taken::Rollout(rollout)) => {
                objects.push(rollout.object.clone());
                rollouts.push((source, *rollout));
            }
        }
    }
    let first = sources.first().map_or("no file", |source| source.file.as_str());
    let file = if sources.len() < 2 { first } else { "the files" };
    let mut rollouts = rollouts.into_iter();
    let rollout = rollouts.next();
    if let (Some((there, one)), Some((source, other))) = (&rollout, rollouts.next()) {
        let what = format!(
            "found a second Rollout {}, expected one: {} is in {}:{}",
            other.name, one.name, there.file, there.node.at.line
        );
        faults.push(Fault { file: source.file.clone(), at: source.node.at, what });
    }
    if let Some(faults) = Faults::from_all(faults) {
        return Err(faults);
    }
    match rollout {
        Some((_, rollout)) => Ok(Manifests { objects, rollout, skipped }),
        None => {
            let what = format!("found no Rollout of {}, expected one", keys::GROUP);
            Err(Faults::one(file, At::default(), what))
        }
    }
}

enum Taken {
    Rollout(Box<Chosen>),
    Other(Value),
    Skipped(String),
}

/// Makes an object of a value.
fn object(source: &Source) -> Result<Taken, Vec<Fault>> {
    let Source { file, node } = source;
    let fault = |at: At, what: String| vec![Fault { file: file.clone(), at, what }];
    if node.field("story").is_some() {
        let what = "found a story, expected a manifest: give it to --scenario".to_owned();
        return Err(fault(node.at, what));
    }
    let named = |key: &str| {
        let what = || format!("found no {key}, expected a Kubernetes manifest");
        node.text(key).ok_or_else(|| fault(node.at, what()))
    };
    let (version, kind) = (named("apiVersion")?, named("kind")?);
    let (group, version) = version.split_once('/').unwrap_or(("", version));
    let meta = node.field("metadata").map(|field| &field.value);
    let name = meta.and_then(|meta| meta.text("name")).unwrap_or_default();
    let at = |key: &str| node.field(key).map_or(node.at, |field| field.value.at);
    if kind == "Rollout" && (group, version) != (keys::GROUP, keys::VERSION) {
        let what = format!(
            "apiVersion: found a Rollout of {group}/{version}, expected {}/{}",
            keys::GROUP,
            keys::VERSION
        );
        return Err(fault(at("apiVersion"), what));
    }
    let known = RESOURCES.iter().find(|known| known.kind == kind && known.group == group);
    let repository = kind == REPOSITORY && group == keys::FLUX_IMAGE_GROUP;
    if known.is_none() && !repository {
        let line = node.at.line;
        let what = format!("{kind} {name} ({file}:{line}) is no part of the simulation");
        return Ok(Taken::Skipped(what));
    }
    if name.is_empty() {
        let what = format!("found {kind} without metadata.name, expected one");
        return Err(fault(at("metadata"), what));
    }
    let mut object = node.value();
    let served = known.map(|known| format!("{}/{}", known.group, known.version));
    tidy(&mut object, kind, served.as_deref());
    if kind != "Rollout" {
        return Ok(Taken::Other(object));
    }
    let chosen = rollout(node, object).map_err(|found| {
        let fault = |(at, what)| Fault { file: file.clone(), at, what };
        found.into_iter().map(fault).collect::<Vec<_>>()
    })?;
    Ok(Taken::Rollout(Box::new(chosen)))
}

/// Takes away what the API server would not take over when the object is created, and writes the
/// version that is served.
fn tidy(object: &mut Value, kind: &str, served: Option<&str>) {
    let Value::Object(fields) = object else { return };
    if let Some(version) = served {
        fields.insert("apiVersion".to_owned(), json!(version.trim_start_matches('/')));
    }
    if kind == "Rollout" {
        fields.remove("status");
    }
    if let Some(Value::Object(meta)) = fields.get_mut("metadata") {
        meta.retain(|key, _| !SET_BY_SERVER.contains(&key.as_str()));
        meta.entry("namespace").or_insert_with(|| json!(NAMESPACE));
    }
}

/// Reads the Rollout as the API server and the controller would: first its shape, then what the
/// controller says of it, which knows better words, then the bounds of the CRD.
fn rollout(node: &Node, object: Value) -> Result<Chosen, Vec<(At, String)>> {
    let mut misfits = Vec::new();
    let envelope = json!({"properties": {
        "apiVersion": {}, "kind": {}, "metadata": {}, "spec": {}, "status": {},
    }, "required": ["spec"]});
    misfits.extend(schema::check(node, &envelope, ""));
    if let Some(spec) = node.field("spec") {
        misfits.extend(schema::check(&spec.value, &SPEC, "spec"));
    }
    let (shapes, bounds): (Vec<_>, Vec<_>) = misfits.into_iter().partition(|one| one.shape);
    let told = |all: Vec<schema::Misfit>| all.into_iter().map(|one| (one.at, one.what)).collect();
    if !shapes.is_empty() {
        return Err(told(shapes));
    }
    let read: Rollout = match serde_json::from_value(object.clone()) {
        Ok(read) => read,
        // A number that no type holds is out of bounds too, and there its place is known.
        Err(_) if !bounds.is_empty() => return Err(told(bounds)),
        Err(error) => return Err(vec![(node.at, format!("found no Rollout: {error}"))]),
    };
    match validate(&alone(read)) {
        Known::Invalid { problem, .. } => {
            Err(vec![(node.locate(&problem.field), problem.to_string())])
        }
        Known::Valid(_) if !bounds.is_empty() => Err(told(bounds)),
        Known::Valid(known) => Ok(Chosen {
            namespace: known.rollout.namespace.clone(),
            name: known.rollout.name.clone(),
            object,
            spec: known.spec,
        }),
    }
}

/// A Rollout of whose surroundings nothing is known.
fn alone(rollout: Rollout) -> Seen {
    Seen {
        rollout: Arc::new(rollout),
        replica_sets: Vec::new(),
        pods: None,
        source: seen::Source::None,
        reading: None,
        manifests: Arc::default(),
        gates: Vec::new(),
        checks: None,
        services: Vec::new(),
        slices: Vec::new(),
        routes: Vec::new(),
        grpc_routes: Vec::new(),
        absent: BTreeSet::new(),
        denied: None,
        bound: Bound::default(),
        kustomizations: Vec::new(),
        rivals: Vec::new(),
        watched_since: Timestamp::from_millis(0),
        template_refused: None,
        sent: BTreeSet::new(),
        refused: None,
    }
}

#[cfg(test)]
mod tests;
