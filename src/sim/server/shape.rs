//! Shape: how objects are shown, as the request's `Accept` asks. It chooses no objects.

use hyper::body::Bytes;

use crate::sim::cluster::feed::Stored;
use crate::sim::resource::Resource;

/// How objects are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// As they are.
    Whole,
    /// Only their metadata.
    Metadata,
}

/// Tells whether one of the forms of an `Accept` header is served.
pub fn served(accept: &str) -> bool {
    const KNOWN: &[&str] = &["*/*", "application/*", "application/json", "application/yaml"];
    let form = |form: &str| form.split(';').next().unwrap_or_default().trim().to_owned();
    accept.is_empty() || accept.split(',').any(|one| KNOWN.contains(&form(one).as_str()))
}

impl Shape {
    /// Reads an `Accept` header; the first of its forms that is served.
    pub fn read(accept: &str) -> Self {
        for form in accept.split(',') {
            let wants = |text: &str| form.contains(text);
            if wants("as=PartialObjectMetadata") && wants("g=meta.k8s.io") {
                return Self::Metadata;
            }
            if !wants("as=") {
                return Self::Whole;
            }
        }
        Self::Whole
    }

    /// Tells whether objects are shown as they are.
    pub fn whole(self) -> bool {
        self == Self::Whole
    }

    /// Returns an object as JSON.
    pub fn object(self, _resource: &Resource, stored: &Stored) -> Bytes {
        match self {
            Self::Whole => stored.text(),
            Self::Metadata => {
                let mut text = b"{\"kind\":\"PartialObjectMetadata\",\
                    \"apiVersion\":\"meta.k8s.io/v1\",\"metadata\":"
                    .to_vec();
                text.extend(stored.metadata_text());
                text.push(b'}');
                text.into()
            }
        }
    }

    /// Returns an object as an item of a list: a built-in kind does not say there what it is.
    pub fn item(self, resource: &Resource, stored: &Stored) -> Bytes {
        if self != Self::Whole || resource.custom() {
            return self.object(resource, stored);
        }
        stored.untyped_text()
    }

    /// Returns the apiVersion and kind of what is shown, if they are not the objects' own.
    pub fn type_meta(self, _resource: &Resource) -> Option<(String, &'static str)> {
        match self {
            Self::Whole => None,
            Self::Metadata => Some(("meta.k8s.io/v1".to_owned(), "PartialObjectMetadata")),
        }
    }

    /// Returns the apiVersion and kind of a list.
    pub fn list_meta(self, resource: &Resource) -> (String, String) {
        match self {
            Self::Whole => (resource.api_version(), format!("{}List", resource.kind)),
            Self::Metadata => ("meta.k8s.io/v1".to_owned(), "PartialObjectMetadataList".to_owned()),
        }
    }
}
