//! Facts: the few fields of stored objects that a story is told by. It never judges them.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::api::keys;
use crate::api::status::{Release, RolloutStatus};
use crate::model::moment::Duration;
use crate::sim::history::Change;

/// Reads the status of a Rollout; an empty one where there is none.
pub fn status(rollout: Option<&Value>) -> RolloutStatus {
    let status = rollout.and_then(|rollout| rollout.get("status"));
    status.and_then(|status| serde_json::from_value(status.clone()).ok()).unwrap_or_default()
}

/// Tells what a release is called: its version, or its tag where that is none.
pub fn called(release: &Release) -> &str {
    if release.version.is_empty() { &release.tag } else { &release.version }
}

/// Reads a text at a JSON pointer; empty where there is none.
pub fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// Reads a number at a JSON pointer; 0 where there is none.
pub fn number(object: &Value, pointer: &str) -> u32 {
    let number = object.pointer(pointer).and_then(Value::as_u64).unwrap_or_default();
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// Tells whether an object is being deleted.
pub fn deleting(object: &Value) -> bool {
    object.pointer("/metadata/deletionTimestamp").is_some()
}

/// Tells the revision that a label of an object names.
pub fn revision(object: &Value) -> &str {
    let labels = object.pointer("/metadata/labels");
    let label = labels.and_then(|labels| labels.get(keys::LABEL_REVISION));
    label.and_then(Value::as_str).unwrap_or_default()
}

/// Tells the revision that a Service selects.
pub fn selected(service: &Value) -> &str {
    let selector = service.pointer("/spec/selector");
    let label = selector.and_then(|selector| selector.get(keys::LABEL_REVISION));
    label.and_then(Value::as_str).unwrap_or_default()
}

/// Tells the weights of an HTTPRoute by backend, each rule once where several say the same.
pub fn weights(route: &Value) -> Vec<BTreeMap<String, u32>> {
    let rules = route.pointer("/spec/rules").and_then(Value::as_array);
    let mut all = Vec::new();
    for rule in rules.into_iter().flatten() {
        let backends = rule.get("backendRefs").and_then(Value::as_array);
        let weight = |backend: &Value| {
            // The Gateway API: a backend without a weight has 1.
            let weight = backend.pointer("/weight").map_or(1, |_| number(backend, "/weight"));
            (text(backend, "/name").to_owned(), weight)
        };
        let weights: BTreeMap<_, _> = backends.into_iter().flatten().map(weight).collect();
        if !all.contains(&weights) {
            all.push(weights);
        }
    }
    all
}

/// Tells the images of a Rollout's template by container, without digests.
pub fn images(rollout: &Value) -> BTreeMap<String, String> {
    let mut images = BTreeMap::new();
    for list in ["initContainers", "containers"] {
        let items = rollout.pointer("/spec/template/spec").and_then(|spec| spec.get(list));
        for item in items.and_then(Value::as_array).into_iter().flatten() {
            let image = text(item, "/image");
            let short = image.split_once('@').map_or(image, |(short, _)| short);
            images.insert(text(item, "/name").to_owned(), short.to_owned());
        }
    }
    images
}

/// Tells the fields of a Flux object that releases are delivered to, with their values.
pub fn deliverable(object: &Value) -> BTreeMap<String, String> {
    let variables = object.pointer("/spec/postBuild/substitute").and_then(Value::as_object);
    let variables = variables.into_iter().flatten();
    let tag = object.pointer("/spec/ref/tag").map(|tag| ("spec.ref.tag".to_owned(), tag));
    let all = variables.map(|(name, value)| (name.clone(), value)).chain(tag);
    all.filter_map(|(name, value)| Some((name, value.as_str()?.to_owned()))).collect()
}

/// Tells whether an annotation binds a field of a Flux object to a Rollout.
pub fn binds(object: &Value) -> bool {
    let annotations = object.pointer("/metadata/annotations").and_then(Value::as_object);
    let prefixes = [keys::BIND_VARIABLE, keys::BIND_VARIABLE_KUBERIK];
    let tags = [keys::BIND_TAG, keys::BIND_TAG_KUBERIK];
    annotations.into_iter().flatten().any(|(key, _)| {
        tags.contains(&key.as_str()) || prefixes.iter().any(|prefix| key.starts_with(prefix))
    })
}

/// Tells the status of the condition Ready and its message.
pub fn ready(object: &Value) -> (&str, &str) {
    let conditions = object.pointer("/status/conditions").and_then(Value::as_array);
    let mut all = conditions.into_iter().flatten();
    let ready = all.find(|condition| text(condition, "/type") == "Ready");
    ready.map_or(("", ""), |ready| (text(ready, "/status"), text(ready, "/message")))
}

/// Tells the object before and after a change.
pub fn sides(change: &Change) -> (Option<&Value>, Option<&Value>) {
    (change.before.as_deref(), change.after.as_deref())
}

/// Prints a time of a story, as `t+1m3.25s`.
pub fn offset(length: Duration) -> String {
    let millis = length.millis();
    let (whole, rest) = (millis / 60_000, millis % 60_000);
    let long = Duration::from_secs(whole * 60);
    let begin = if whole == 0 { String::new() } else { long.to_string() };
    if rest == 0 && whole != 0 {
        return format!("t+{begin}");
    }
    let part = match rest % 1000 {
        0 => String::new(),
        part => format!(".{}", format!("{part:03}").trim_end_matches('0')),
    };
    format!("t+{begin}{}{part}s", rest / 1000)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn times_are_short() {
        for (millis, want) in [
            (0, "t+0s"),
            (250, "t+0.25s"),
            (63_200, "t+1m3.2s"),
            (60_000, "t+1m"),
            (3_600_000, "t+1h"),
            (3_661_001, "t+1h1m1.001s"),
            (90_000_000, "t+25h"),
        ] {
            assert_eq!(offset(Duration::from_millis(millis)), want);
        }
    }

    #[test]
    fn rules_with_the_same_weights_are_told_once() {
        let rule =
            |weight: u32| json!({"backendRefs": [{"name": "a", "weight": weight}, {"name": "b"}]});
        let route = json!({"spec": {"rules": [rule(9), rule(9), rule(0)]}});
        let weights = |weight| BTreeMap::from([("a".to_owned(), weight), ("b".to_owned(), 1)]);
        assert_eq!(super::weights(&route), [weights(9), weights(0)]);
    }
}
