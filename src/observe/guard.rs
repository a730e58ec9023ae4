//! Guard: reads the objects of lists and watches, so that one that cannot be read spoils no other.
//!
//! Of our own: kube's reads every object into a tree, copies the tree, and reads the object out of
//! the copy. That costs four times as much, and most of what a quiet controller does is reading.

use std::borrow::Cow;
use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use serde::de::{Error, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::observe::refs::Watched;

/// An object of a list or a watch.
#[derive(Debug, Clone)]
pub enum Guard<K> {
    /// It was read, or cannot be.
    Read(Result<K, Malformed>),
    /// It is not read yet: it may be what is known already.
    Unread {
        /// Its names and versions.
        metadata: Box<ObjectMeta>,
        /// All of it.
        text: Box<RawValue>,
    },
}

/// What is known of an object that cannot be read.
#[derive(Debug, Clone, PartialEq)]
pub struct Malformed {
    /// Its names and versions.
    pub metadata: Box<ObjectMeta>,
    /// Why it cannot be read.
    pub error: String,
}

impl<'de, K: Watched> Deserialize<'de> for Guard<K> {
    /// Fails only where not even the metadata can be read.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Box::<RawValue>::deserialize(deserializer)?;
        if K::ANSWERED
            && let Some(mark) = mark(text.get())
        {
            let Mark { name, namespace, resource_version, uid } = mark;
            let metadata =
                ObjectMeta { name, namespace, resource_version, uid, ..ObjectMeta::default() };
            return Ok(Self::Unread { metadata: Box::new(metadata), text });
        }
        read(&text).map(Self::Read).map_err(D::Error::custom)
    }
}

impl<K: Watched> Guard<K> {
    /// Reads the object, if it was not read yet.
    ///
    /// # Errors
    /// [`Malformed`] if it cannot be read.
    pub fn open(self) -> Result<K, Malformed> {
        match self {
            Self::Read(read) => read,
            Self::Unread { metadata, text } => {
                let lost =
                    |error: serde_json::Error| Malformed { metadata, error: error.to_string() };
                read(&text).unwrap_or_else(|error| Err(lost(error)))
            }
        }
    }
}

/// What tells which version of which object it is.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Mark {
    name: Option<String>,
    namespace: Option<String>,
    resource_version: Option<String>,
    uid: Option<String>,
}

/// Reads which version of which object it is, and nothing that stands after its metadata.
fn mark(text: &str) -> Option<Mark> {
    struct Until<'a>(&'a mut Option<Mark>);

    impl<'de> Visitor<'de> for Until<'_> {
        type Value = ();

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object with metadata")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
            while let Some(key) = map.next_key::<&str>()? {
                if key == "metadata" {
                    *self.0 = Some(map.next_value()?);
                    break;
                }
                map.next_value::<IgnoredAny>()?;
            }
            Ok(())
        }
    }

    let mut mark = None;
    // An error up to there leaves no mark; what comes after was looked through as a whole before.
    let _ = serde_json::Deserializer::from_str(text).deserialize_map(Until(&mut mark));
    mark
}

/// Reads an object. Fails only where not even the metadata can be read.
fn read<K: Watched>(text: &RawValue) -> serde_json::Result<Result<K, Malformed>> {
    #[derive(Deserialize)]
    struct Named {
        metadata: Box<ObjectMeta>,
    }
    Ok(match K::read(text.get()) {
        Ok(object) => Ok(object),
        Err(fault) => {
            let named: Named = serde_json::from_str(text.get())?;
            Err(Malformed { metadata: named.metadata, error: fault.to_string() })
        }
    })
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
        match self {
            Self::Read(Ok(object)) => object.meta(),
            Self::Read(Err(malformed)) => &malformed.metadata,
            Self::Unread { metadata, .. } => metadata,
        }
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        match self {
            Self::Read(Ok(object)) => object.meta_mut(),
            Self::Read(Err(malformed)) => &mut malformed.metadata,
            Self::Unread { metadata, .. } => metadata,
        }
    }
}

#[cfg(test)]
mod tests {
    use kube::core::{ObjectList, WatchEvent};
    use serde_json::json;

    use super::*;
    use crate::api::foreign::Service;
    use crate::api::rollout::Rollout;

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
        let names: Vec<_> = list.items.iter().map(|guard| guard.meta().name.as_deref()).collect();
        assert_eq!(names, [Some("a"), Some("b"), Some("c")]);
        let read: Vec<_> = list.items.into_iter().map(Guard::open).collect();
        assert_eq!(read.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, true]);
        let fault = read[1].as_ref().unwrap_err();
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
            assert_eq!(guard.open().is_ok(), good, "{spec}");
        }
        let nameless = r#"{"type":"MODIFIED","object":{"metadata":7}}"#;
        assert!(serde_json::from_str::<WatchEvent<Guard<Service>>>(nameless).is_err());
    }

    #[test]
    fn a_mark_is_read_wherever_the_metadata_stand() {
        let meta = r#""metadata":{"name":"shop","uid":"u"}"#;
        for (case, text, want) in [
            ("first", format!("{{{meta}}}"), Some("shop")),
            ("after others", format!(r#"{{"kind":"x","status":{{{meta}}},{meta}}}"#), Some("shop")),
            ("what follows is not read", format!(r#"{{{meta},"spec":7}}"#), Some("shop")),
            ("none", r#"{"spec":{"metadata":{"name":"x"}}}"#.to_owned(), None),
            ("no metadata", r#"{"metadata":7}"#.to_owned(), None),
            ("a key with an escape", format!(r#"{{"k\u0069nd":"x",{meta}}}"#), None),
            ("no object", "[]".to_owned(), None),
        ] {
            let mark = mark(&text);
            assert_eq!(mark.and_then(|mark| mark.name).as_deref(), want, "{case}: {text}");
        }
    }

    #[test]
    fn what_a_write_was_answered_with_is_not_read_again() {
        let event = |meta: &str, spec: &str| {
            let text = format!(
                r#"{{"type":"MODIFIED","object":{{"metadata":{{{meta}}},"spec":{spec}}}}}"#
            );
            let event: WatchEvent<Guard<Rollout>> = serde_json::from_str(&text).unwrap();
            let WatchEvent::Modified(guard) = event else { panic!("{event:?}") };
            guard
        };
        let meta =
            r#""name":"shop","namespace":"prod","resourceVersion":"7","uid":"u","labels":{}"#;
        let guard = event(meta, "7");
        let known = guard.meta();
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let marks = [&known.name, &known.namespace, &known.resource_version, &known.uid].map(text);
        assert_eq!(marks, ["shop", "prod", "7", "u"]);
        assert!(matches!(guard, Guard::Unread { .. }));
        let malformed = guard.open().unwrap_err();
        assert!(malformed.metadata.labels.is_some(), "then all of its metadata is told");
        assert!(malformed.error.contains("invalid type"), "{}", malformed.error);
        let odd = event(r#""name":"shop","generation":"x""#, "{}").open().unwrap_err();
        assert_eq!(odd.metadata.name.as_deref(), Some("shop"), "or what there is of it");
    }
}
