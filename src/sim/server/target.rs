//! Target: reads what a request is about from its path and query. It looks nothing up.

use std::collections::BTreeMap;

use crate::sim::resource::{RESOURCES, Resource};

/// What a path names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A document that is about no object: `version`, `apis`, `api`, `healthz`.
    Document(String),
    /// What a version of a group serves; the group is empty for the core.
    Group {
        /// The group.
        group: String,
        /// The version; absent: the versions of the group.
        version: Option<String>,
    },
    /// All objects of a resource, of one namespace or of all.
    All {
        /// The resource.
        resource: &'static Resource,
        /// The namespace.
        namespace: Option<String>,
    },
    /// One object, or a part of it.
    One {
        /// The resource.
        resource: &'static Resource,
        /// The namespace.
        namespace: String,
        /// The name.
        name: String,
        /// `status`, `scale`.
        subresource: Option<String>,
    },
}

impl Target {
    /// Reads a path. `None` where nothing is served.
    pub fn read(path: &str) -> Option<Self> {
        let decoded = path.trim_matches('/').split('/').map(decode).collect::<Vec<_>>();
        let parts: Vec<&str> = decoded.iter().map(String::as_str).collect();
        let (group, version, rest) = match parts.as_slice() {
            ["api", version, rest @ ..] => ("", *version, rest),
            ["apis", group] => {
                return Some(Self::Group { group: (*group).to_owned(), version: None });
            }
            ["apis", group, version, rest @ ..] => (*group, *version, rest),
            [document] => return Some(Self::Document((*document).to_owned())),
            _ => return None,
        };
        let resource = |plural: &str| {
            let mut all = RESOURCES.iter();
            all.find(|known| (known.group, known.version, known.plural) == (group, version, plural))
        };
        let one = |plural: &str, namespace: &str, name: &str, subresource: Option<&str>| {
            Some(Self::One {
                resource: resource(plural)?,
                namespace: namespace.to_owned(),
                name: name.to_owned(),
                subresource: subresource.map(str::to_owned),
            })
        };
        // What has no namespace is named without one.
        let whole = |plural: &str| resource(plural).is_some_and(|known| !known.namespaced());
        match rest {
            [plural, name] if whole(plural) => one(plural, "", name, None),
            [plural, name, part] if whole(plural) => one(plural, "", name, Some(*part)),
            [] => Some(Self::Group { group: group.to_owned(), version: Some(version.to_owned()) }),
            [plural] => resource(plural).map(|resource| Self::All { resource, namespace: None }),
            ["namespaces", namespace, plural] => resource(plural)
                .map(|resource| Self::All { resource, namespace: Some((*namespace).to_owned()) }),
            ["namespaces", namespace, plural, name] => one(plural, namespace, name, None),
            ["namespaces", namespace, plural, name, part] => {
                one(plural, namespace, name, Some(*part))
            }
            _ => None,
        }
    }
}

/// The parameters of a query.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query(BTreeMap<String, String>);

impl Query {
    /// Reads the part of a URL after the question mark.
    pub fn read(text: &str) -> Self {
        let pairs = text.split('&').filter(|pair| !pair.is_empty());
        let pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        Self(pairs.map(|(key, value)| (decode(key), decode(value))).collect())
    }

    /// Returns a parameter; empty if it is absent.
    pub fn text(&self, key: &str) -> &str {
        self.0.get(key).map_or("", String::as_str)
    }

    /// Tells whether a parameter is there, even if it is empty.
    pub fn has(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    /// Tells whether a parameter is true, as Go reads it.
    pub fn is_true(&self, key: &str) -> bool {
        ["1", "t", "T", "true", "TRUE", "True"].contains(&self.text(key))
    }
}

/// Decodes `%20` and `+`.
fn decode(text: &str) -> String {
    if !text.contains(['%', '+']) {
        return text.to_owned();
    }
    let hex = |digit: Option<&u8>| digit.and_then(|digit| char::from(*digit).to_digit(16));
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let code = match (hex(bytes.get(at + 1)), hex(bytes.get(at + 2))) {
            (Some(high), Some(low)) if *byte == b'%' => u8::try_from(high * 16 + low).ok(),
            _ => None,
        };
        match (code, byte) {
            (Some(code), _) => {
                out.push(code);
                at += 2;
            }
            (None, b'+') => out.push(b' '),
            (None, byte) => out.push(*byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}
