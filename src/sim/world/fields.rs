//! Fields: reads of objects what more than one part of the world asks. It never writes.

use serde_json::{Map, Value};

use crate::model::image::Image;
use crate::model::moment::Timestamp;

/// Tells what stands at a path.
pub fn at<'a>(object: &'a Value, path: &[&str]) -> Option<&'a Value> {
    path.iter().try_fold(object, |value, key| value.get(key))
}

/// Tells the text at a path, empty if there is none.
pub fn text<'a>(object: &'a Value, path: &[&str]) -> &'a str {
    at(object, path).and_then(Value::as_str).unwrap_or_default()
}

/// Tells the number at a path.
pub fn number(object: &Value, path: &[&str]) -> Option<i64> {
    at(object, path).and_then(Value::as_i64)
}

/// Tells the items at a path.
pub fn items<'a>(object: &'a Value, path: &[&str]) -> &'a [Value] {
    at(object, path).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Tells the entries of a map of texts.
pub fn pairs(map: Option<&Value>) -> impl Iterator<Item = (&str, &str)> {
    let entries = map.and_then(Value::as_object).into_iter().flat_map(Map::iter);
    entries.filter_map(|(key, value)| value.as_str().map(|value| (key.as_str(), value)))
}

/// What a Rollout names, whichever its strategy; empty where it names nothing.
#[derive(Debug, Clone)]
pub struct Named<'a> {
    /// Its Services, the stable or active one first.
    pub services: [&'a str; 2],
    /// Its routes by name, each after the plural of its kind.
    pub routes: Vec<(&'static str, &'a str)>,
    /// Whether it makes its route itself.
    pub creates: bool,
    /// The labels of further routes, each after the plural of their kind.
    pub selects: Vec<(&'static str, &'a Value)>,
    /// The port of the Services.
    pub port: i64,
    /// Whether the first Service alone carries the traffic where there is no route.
    pub switch: bool,
}

/// Tells what a Rollout names.
pub fn named(rollout: &Value) -> Named<'_> {
    let strategy = |key| at(rollout, &["spec", "strategy", key]);
    let switch = strategy("blueGreen").is_some();
    let (chosen, services) = match (strategy("blueGreen"), strategy("abTesting")) {
        (Some(chosen), _) => (chosen, ["activeService", "previewService"]),
        (None, Some(chosen)) => (chosen, ["variantAService", "variantBService"]),
        (None, None) => {
            (strategy("canary").unwrap_or(&Value::Null), ["stableService", "canaryService"])
        }
    };
    Named {
        services: services.map(|key| text(chosen, &[key])),
        routes: routes(chosen, text(rollout, &["metadata", "name"])),
        creates: created(chosen).is_some(),
        selects: selects(chosen),
        port: number(chosen, &["port"]).unwrap_or(80),
        switch,
    }
}

/// The route that a strategy has made.
fn created(chosen: &Value) -> Option<&Value> {
    at(chosen, &["trafficRouting", "gatewayAPI", "createRoute"])
}

/// The routes that the strategy of a Rollout names.
fn routes<'a>(chosen: &'a Value, rollout: &'a str) -> Vec<(&'static str, &'a str)> {
    let api = at(chosen, &["trafficRouting", "gatewayAPI"]).unwrap_or(&Value::Null);
    let one = [("httproutes", "httpRoute"), ("grpcroutes", "grpcRoute")];
    let one = one.into_iter().map(|(kind, field)| (kind, text(api, &[field])));
    let several =
        items(api, &["routes"]).iter().map(|entry| (plural(entry), text(entry, &["name"])));
    let own = created(chosen).map(|own| (plural(own), rollout));
    one.chain(several).chain(own).filter(|(_, name)| !name.is_empty()).collect()
}

/// The labels by which a strategy selects routes.
fn selects(chosen: &Value) -> Vec<(&'static str, &Value)> {
    let entries = items(chosen, &["trafficRouting", "gatewayAPI", "routes"]).iter();
    entries.filter_map(|entry| Some((plural(entry), at(entry, &["matchLabels"])?))).collect()
}

fn plural(entry: &Value) -> &'static str {
    if text(entry, &["kind"]) == "GRPCRoute" { "grpcroutes" } else { "httproutes" }
}

/// Tells whether an object carries labels.
pub fn carries(object: &Value, asked: &Value) -> bool {
    let own = labels(object);
    pairs(Some(asked))
        .all(|(key, value)| own.and_then(|own| own.get(key)).and_then(Value::as_str) == Some(value))
}

/// The plurals of the kinds of routes.
pub const ROUTES: [&str; 2] = ["grpcroutes", "httproutes"];

/// Tells the labels.
pub fn labels(object: &Value) -> Option<&Value> {
    at(object, &["metadata", "labels"])
}

/// Tells the uid.
pub fn uid(object: &Value) -> &str {
    text(object, &["metadata", "uid"])
}

/// Tells whether an object is being deleted.
pub fn deleting(object: &Value) -> bool {
    at(object, &["metadata", "deletionTimestamp"]).is_some()
}

/// Tells the condition of a type among the conditions at a path.
pub fn condition<'a>(object: &'a Value, path: &[&str], kind: &str) -> Option<&'a Value> {
    items(object, path).iter().find(|condition| text(condition, &["type"]) == kind)
}

/// Tells since when a pod is Ready: `None` if it is not.
pub fn ready_since(pod: &Value) -> Option<Timestamp> {
    let ready = condition(pod, &["status", "conditions"], "Ready")?;
    (text(ready, &["status"]) == "True").then_some(())?;
    Timestamp::parse(text(ready, &["lastTransitionTime"]))
}

/// Tells whether a pod is Ready.
pub fn ready(pod: &Value) -> bool {
    let ready = condition(pod, &["status", "conditions"], "Ready");
    ready.is_some_and(|ready| text(ready, &["status"]) == "True")
}

/// Tells the uid of the controller of an object.
pub fn controller(object: &Value) -> Option<&str> {
    let owners = items(object, &["metadata", "ownerReferences"]);
    let controls = |owner: &&Value| at(owner, &["controller"]) == Some(&Value::Bool(true));
    owners.iter().find(controls).map(|owner| text(owner, &["uid"]))
}

/// Tells the versions of a pod: the tags of its images, as [`version`] writes them.
pub fn versions(pod: &Value) -> Vec<String> {
    let containers = items(pod, &["spec", "containers"]);
    let images = containers.iter().filter_map(image);
    images.filter_map(|image| image.tag).map(|tag| version(&tag).to_owned()).collect()
}

/// Tells the image of a container.
pub fn image(container: &Value) -> Option<Image> {
    Image::parse(text(container, &["image"])).ok()
}

/// A tag without the `v` before it: `v1.2.3` and `1.2.3` are one version.
pub fn version(tag: &str) -> &str {
    tag.strip_prefix('v').unwrap_or(tag)
}

/// A time as Kubernetes writes it: whole seconds.
pub fn seconds(at: Timestamp) -> String {
    Timestamp::from_millis(at.millis().div_euclid(1000).saturating_mul(1000)).to_string()
}

/// Tells whether a PodDisruptionBudget is about a pod.
pub fn budgeted(budget: &Value, pod: &Value) -> bool {
    let labels = at(budget, &["spec", "selector", "matchLabels"]);
    let own =
        |key: &str| self::labels(pod).and_then(|labels| labels.get(key)).and_then(Value::as_str);
    labels.is_some() && pairs(labels).all(|(key, value)| own(key) == Some(value))
}
