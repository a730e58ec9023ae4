//! Template: pod templates, their identity and their images. It never fills in server defaults.
//!
//! A revision is recognised by comparing templates. What is compared is the template as people
//! wrote it, kept on each ReplicaSet in an annotation, after [`normal`]: so neither defaults that a
//! newer API server adds nor another way to hash makes an unchanged template look new.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;
use sha2::{Digest, Sha256};

/// What a template is, whatever the order of its keys: SHA-256 of its normal form.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TemplateId([u8; 32]);

impl TemplateId {
    /// Tells the identity of a template.
    pub fn of(template: &Value) -> Self {
        Self(Sha256::digest(normal(template).to_string().as_bytes()).into())
    }

    /// Makes an identity of its bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Tells its bytes.
    pub const fn bytes(self) -> [u8; 32] {
        self.0
    }

    /// Tells the name of the revision that a template becomes in a Rollout: two Rollouts of one
    /// template do not share it, since Services select by it. `salt` avoids a name that is taken.
    pub fn revision(self, rollout: &str, salt: u32) -> Revision {
        let mut hash = Sha256::new_with_prefix(self.0);
        hash.update(rollout.as_bytes());
        if salt > 0 {
            hash.update(salt.to_be_bytes());
        }
        Revision(hex(&hash.finalize(), Revision::LENGTH))
    }
}

impl fmt::Debug for TemplateId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0, 10))
    }
}

/// The first `length` hex digits of some bytes.
pub fn hex(bytes: &[u8], length: usize) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0');
    bytes.iter().flat_map(|b| [digit(b >> 4), digit(b & 15)]).take(length).collect()
}

/// The name of one pod template: [`Revision::LENGTH`] hex digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(String);

impl Revision {
    /// Hex digits in a name.
    pub const LENGTH: usize = 10;

    /// Reads a name, `None` if it is not of the form that Stairlock gives.
    pub fn parse(text: &str) -> Option<Self> {
        let hex = text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        (hex && text.len() == Self::LENGTH).then(|| Self(text.to_owned()))
    }

    /// Tells the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The longest beginning of a generated name that the API server keeps: 63 less five random
    /// characters.
    ///
    /// Source: Kubernetes apiserver, `storage/names.MaxGeneratedNameLength`.
    const GENERATED_MAX: usize = 58;

    /// Tells what the names of its pods begin with.
    pub fn pod_base(&self, rollout: &str) -> String {
        let mut base = self.replica_set(rollout);
        base.push('-');
        if let Some((end, _)) = base.char_indices().nth(Self::GENERATED_MAX) {
            base.truncate(end);
        }
        base
    }

    /// Tells the name of its ReplicaSet.
    pub fn replica_set(&self, rollout: &str) -> String {
        format!("{rollout}-{}", self.0)
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Brings a template to the form that is compared: keys sorted, nulls and empty collections left
/// out, whole numbers written as such. The order of lists counts.
pub fn normal(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let sorted: BTreeMap<&String, Value> = fields
                .iter()
                .map(|(key, value)| (key, normal(value)))
                .filter(|(key, value)| !vacant(value) || key.as_str() == "emptyDir")
                .collect();
            Value::Object(sorted.into_iter().map(|(key, value)| (key.clone(), value)).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(normal).collect()),
        Value::Number(number) => match number.as_f64() {
            Some(float) if number.is_f64() && float.fract() == 0.0 && float.abs() < 1e15 => {
                Value::from(float as i64)
            }
            Some(_) | None => value.clone(),
        },
        Value::Null | Value::Bool(_) | Value::String(_) => value.clone(),
    }
}

fn vacant(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(fields) => fields.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// Where a container stands in a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// Its name, unique among all containers of a pod.
    pub name: String,
    /// Whether it stands in `initContainers`.
    pub init: bool,
    /// Its place in its list.
    pub index: usize,
    /// Its image as written, `None` where it has none.
    pub image: Option<String>,
    /// The field managers that own its image, as far as they are neither Stairlock's own nor a
    /// person's (kubectl).
    pub foreign_owners: Vec<String>,
    /// Whether the GitOps tool that owns the image is told to leave the field alone.
    pub released: bool,
}

/// A pod template as it stands on a Rollout.
#[derive(Debug, Clone, PartialEq)]
pub struct Template {
    /// The template as written.
    pub value: Value,
    /// What it is.
    pub id: TemplateId,
    /// Its containers and init containers, in order.
    pub containers: Vec<Container>,
    /// The ports that its containers declare.
    pub ports: Vec<u16>,
}

impl Template {
    /// Takes a template apart. Ownership of images is filled in by who knows it.
    pub fn new(value: Value) -> Self {
        Self::known(TemplateId::of(&value), value)
    }

    /// Takes a template apart whose identity is known.
    pub fn known(id: TemplateId, value: Value) -> Self {
        let spec = value.get("spec");
        let mut containers = Vec::new();
        for (init, key) in [(true, "initContainers"), (false, "containers")] {
            let list = spec.and_then(|spec| spec.get(key)).and_then(Value::as_array);
            for (index, item) in list.into_iter().flatten().enumerate() {
                let text = |key| item.get(key).and_then(Value::as_str).map(str::to_owned);
                containers.push(Container {
                    name: text("name").unwrap_or_default(),
                    init,
                    index,
                    image: text("image").filter(|image| !image.is_empty()),
                    foreign_owners: Vec::new(),
                    released: false,
                });
            }
        }
        let ports = ports(spec);
        Self { id, value, containers, ports }
    }

    /// Tells which image each container has, as far as it has one.
    pub fn images(&self) -> BTreeMap<String, String> {
        let named = |c: &Container| Some((c.name.clone(), c.image.clone()?));
        self.containers.iter().filter_map(named).collect()
    }

    /// Makes the template that it would be with these images in the containers so named.
    pub fn with_images(&self, images: &BTreeMap<String, String>) -> Self {
        let mut value = self.value.clone();
        for container in &self.containers {
            let list = if container.init { "initContainers" } else { "containers" };
            let place = value
                .get_mut("spec")
                .and_then(|spec| spec.get_mut(list))
                .and_then(|list| list.get_mut(container.index))
                .and_then(Value::as_object_mut);
            if let (Some(fields), Some(image)) = (place, images.get(&container.name)) {
                fields.insert("image".to_owned(), Value::from(image.as_str()));
            }
        }
        Self::new(value)
    }
}

fn ports(spec: Option<&Value>) -> Vec<u16> {
    let list = spec.and_then(|spec| spec.get("containers")).and_then(Value::as_array);
    list.into_iter()
        .flatten()
        .filter_map(|container| container.get("ports").and_then(Value::as_array))
        .flatten()
        .filter_map(|port| port.get("containerPort").and_then(Value::as_u64))
        .filter_map(|port| u16::try_from(port).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn templates_are_the_same_where_they_make_the_same_pods() {
        let base = json!({"metadata": {"labels": {"app": "shop"}}, "spec": {"containers": [
            {"name": "app", "image": "shop:1", "env": [{"name": "A", "value": "1"}]}]}});
        let with = |path: &str, value: Value| {
            let mut other = base.clone();
            let (parent, key) = path.rsplit_once('/').unwrap();
            match other.pointer_mut(parent).unwrap() {
                Value::Object(fields) => drop(fields.insert(key.to_owned(), value)),
                Value::Array(items) => items.push(value),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                    panic!("{path}")
                }
            }
            other
        };
        for (case, other, same) in [
            ("itself", base.clone(), true),
            ("a null is no field", with("/metadata/creationTimestamp", Value::Null), true),
            ("an empty list is no field", with("/spec/volumes", json!([])), true),
            ("an empty map is no field", with("/spec/nodeSelector", json!({})), true),
            ("emptyDir: {} is a volume", with("/spec/v", json!({"emptyDir": {}})), false),
            ("another image", with("/spec/containers/0/image", json!("shop:2")), false),
            ("a digest more", with("/spec/containers/0/image", json!("shop:1@sha256:a")), false),
            ("an image less", with("/spec/containers/0/image", Value::Null), false),
            ("another value", with("/spec/containers/0/env/0/value", json!("2")), false),
            ("an env less", with("/spec/containers/0/env", json!([])), false),
            ("a container more", with("/spec/containers/-", json!({"name": "b"})), false),
            ("a label more", with("/metadata/labels/tier", json!("web")), false),
            ("an annotation more", with("/metadata/annotations", json!({"a": "b"})), false),
            ("a default spelled out", with("/spec/restartPolicy", json!("Always")), false),
            ("zero is a value", with("/spec/terminationGracePeriodSeconds", json!(0)), false),
            ("false is a value", with("/spec/hostNetwork", json!(false)), false),
        ] {
            assert_eq!(TemplateId::of(&base) == TemplateId::of(&other), same, "{case}");
        }
        let (whole, float) = (json!({"a": 30}), json!({"a": 30.0}));
        assert_eq!(TemplateId::of(&whole), TemplateId::of(&float));
        let ordered: Value = serde_json::from_str(r#"{"a": 1, "b": 2}"#).unwrap();
        let turned: Value = serde_json::from_str(r#"{"b": 2, "a": 1}"#).unwrap();
        assert_eq!(TemplateId::of(&ordered), TemplateId::of(&turned));
    }

    /// A stored revision must be found again by a later program: this name may never change.
    #[test]
    fn the_name_of_a_revision_is_stable() {
        let template = json!({"spec": {"containers": [{"name": "app", "image": "shop:1"}]}});
        let revision = TemplateId::of(&template).revision("shop", 0);
        assert_eq!(revision.as_str(), "fcc7cb993a");
        assert_ne!(TemplateId::of(&template).revision("shop", 1), revision);
        assert_ne!(TemplateId::of(&template).revision("till", 0), revision);
        assert_eq!(Revision::parse(revision.as_str()), Some(revision));
        assert_eq!(Revision::parse("FCC7CB993A"), None);
    }

    #[test]
    fn images_are_set_where_the_container_is() {
        let template = Template::new(json!({"spec": {
            "initContainers": [{"name": "init", "image": "shop:1"}],
            "containers": [{"name": "side"}, {"name": "app", "ports": [{"containerPort": 80}]}]}}));
        let images = BTreeMap::from([("app".to_owned(), "shop:2".to_owned())]);
        let other = template.with_images(&images);
        assert_eq!(other.value["spec"]["containers"][1]["image"], "shop:2");
        assert_eq!(other.value["spec"]["containers"][0].get("image"), None);
        assert_eq!(other.images().len(), 2);
        assert_eq!(other.ports, [80]);
    }
}
