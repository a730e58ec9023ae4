//! Guard: reads the objects of lists and watches, so that one that cannot be read spoils no other.
//!
//! Of our own: kube's reads every object into a tree, copies the tree, and reads the object out of
//! the copy. That costs four times as much, and most of what a quiet controller does is reading.

use std::borrow::Cow;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use serde::de::Error;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::observe::refs::Watched;

/// An object, or what is known of one that cannot be read.
#[derive(Debug, Clone)]
pub struct Guard<K>(pub Result<K, Malformed>);

/// What is known of an object that cannot be read.
#[derive(Debug, Clone, PartialEq)]
pub struct Malformed {
    /// Its names and versions.
    pub metadata: ObjectMeta,
    /// Why it cannot be read.
    pub error: String,
}

impl<'de, K: Watched> Deserialize<'de> for Guard<K> {
    /// Fails only where not even the metadata can be read.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Named {
            metadata: ObjectMeta,
        }
        let text = Box::<RawValue>::deserialize(deserializer)?;
        Ok(Self(match K::read(text.get()) {
            Ok(object) => Ok(object),
            Err(fault) => {
                let named: Named = serde_json::from_str(text.get()).map_err(D::Error::custom)?;
                Err(Malformed { metadata: named.metadata, error: fault.to_string() })
            }
        }))
    }
}

impl<K: Resource> Resource for Guard<K> {
    type DynamicType = K::DynamicType;
    type Scope = K::Scope;

    fn kind(known: &Self::DynamicType) -> Cow<'_, str> {
        K::kind(known)
    }

    fn group(known: &Self::DynamicType) -> Cow<'_, str> {
        K::group(known)
    }

    fn version(known: &Self::DynamicType) -> Cow<'_, str> {
        K::version(known)
    }

    fn plural(known: &Self::DynamicType) -> Cow<'_, str> {
        K::plural(known)
    }

    fn meta(&self) -> &ObjectMeta {
        match &self.0 {
            Ok(object) => object.meta(),
            Err(malformed) => &malformed.metadata,
        }
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        match &mut self.0 {
            Ok(object) => object.meta_mut(),
            Err(malformed) => &mut malformed.metadata,
        }
    }
}

#[cfg(test)]
mod tests {
    use kube::core::{ObjectList, WatchEvent};
    use serde_json::json;

    use super::*;
    use crate::api::foreign::Service;

    #[test]
    fn an_object_that_cannot_be_read_spoils_no_other() {
        let service = |name: &str, port: serde_json::Value| {
            json!({"metadata": {"name": name, "resourceVersion": "7"},
                "spec": {"ports": [{"port": port}]}})
        };
        let list = json!({"apiVersion": "v1", "kind": "ServiceList", "metadata": {},
            "items": [service("a", json!(80)), service("b", json!("http")), service("c", json!(1))],
        });
        let list: ObjectList<Guard<Service>> = serde_json::from_str(&list.to_string()).unwrap();
        let read: Vec<_> = list.items.iter().map(|guard| guard.0.is_ok()).collect();
        assert_eq!(read, [true, false, true]);
        let names: Vec<_> = list.items.iter().map(|guard| guard.meta().name.as_deref()).collect();
        assert_eq!(names, [Some("a"), Some("b"), Some("c")]);
        let fault = list.items[1].0.as_ref().unwrap_err();
        assert!(fault.error.contains("invalid type: string \"http\""), "{}", fault.error);
    }

    #[test]
    fn an_event_tells_of_an_object_whether_it_can_be_read_or_not() {
        let deep = format!("{}{}", "[".repeat(500), "]".repeat(500));
        for (spec, good) in [("{}", true), ("7", false), (&deep, false)] {
            let event = format!(
                r#"{{"type":"MODIFIED","object":{{"metadata":{{"name":"a"}},"spec":{spec}}}}}"#
            );
            let event: WatchEvent<Guard<Service>> = serde_json::from_str(&event).unwrap();
            let WatchEvent::Modified(guard) = event else { panic!("{event:?}") };
            assert_eq!(guard.meta().name.as_deref(), Some("a"));
            assert_eq!(guard.0.is_ok(), good, "{spec}");
        }
        let nameless = r#"{"type":"MODIFIED","object":{"metadata":7}}"#;
        assert!(serde_json::from_str::<WatchEvent<Guard<Service>>>(nameless).is_err());
    }
}
