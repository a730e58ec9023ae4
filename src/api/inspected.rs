//! Inspected: an object of any kind, as far as it is looked at. No logic.

use std::borrow::Cow;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use kube::core::{ApiResource, DynamicResourceScope};
use serde::de::Error;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::api::foreign::lean;

/// A kind of object in one version.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sort {
    /// Its API group, empty for that of Pods.
    pub group: String,
    /// Its version.
    pub version: String,
    /// Its name.
    pub kind: String,
}

impl Sort {
    /// Tells group and version, as a path of the API server has them.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            return self.version.clone();
        }
        format!("{}/{}", self.group, self.version)
    }
}

/// An object of any kind, as far as it tells how it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Inspected {
    /// Name, labels and versions.
    pub metadata: ObjectMeta,
    /// All that it says; once it is stored, only what is read of it.
    pub whole: Value,
}

impl<'de> Deserialize<'de> for Inspected {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Named {
            #[serde(deserialize_with = "lean")]
            metadata: ObjectMeta,
        }
        let whole = Value::deserialize(deserializer)?;
        let named = Named::deserialize(&whole).map_err(D::Error::custom)?;
        Ok(Self { metadata: named.metadata, whole })
    }
}

impl Resource for Inspected {
    type DynamicType = ApiResource;
    type Scope = DynamicResourceScope;

    fn kind(known: &ApiResource) -> Cow<'_, str> {
        known.kind.as_str().into()
    }

    fn group(known: &ApiResource) -> Cow<'_, str> {
        known.group.as_str().into()
    }

    fn version(known: &ApiResource) -> Cow<'_, str> {
        known.version.as_str().into()
    }

    fn plural(known: &ApiResource) -> Cow<'_, str> {
        known.plural.as_str().into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}
