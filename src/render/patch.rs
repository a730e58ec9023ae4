//! Patch: JSON patches (RFC 6902) that fail where the object is not what was decided on.

#[cfg(feature = "planted")]
use crate::planted::{Bug, active};
use json_patch::jsonptr::PointerBuf;
use json_patch::{
    AddOperation, Patch, PatchOperation, RemoveOperation, ReplaceOperation, TestOperation,
};
use serde::Serialize;
use serde_json::Value;

/// An operation of a patch that ends with a large value.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Operation<'a, T> {
    /// One before it.
    Small(PatchOperation),
    /// Sets a member of an object whether or not it is there; the value is written out as it is,
    /// with no tree made of it before.
    Add {
        /// `add`.
        op: &'static str,
        /// Where, as a JSON pointer.
        path: &'static str,
        /// What.
        value: &'a T,
    },
}

/// A patch in the making. The tokens of a path are escaped here.
#[derive(Debug, Clone, Default)]
pub struct Edit(Vec<PatchOperation>);

impl Edit {
    /// Begins a patch of the object at this resourceVersion: at another one the API server
    /// answers 409.
    pub fn at(resource_version: &str) -> Self {
        #[cfg(feature = "planted")]
        if active(Bug::VersionNotDemanded) {
            return Self::default();
        }
        Self::default().replace(&["metadata", "resourceVersion"], resource_version)
    }

    /// Demands that this stands there; `null` means nothing.
    #[must_use]
    pub fn test(mut self, path: &[&str], value: impl Into<Value>) -> Self {
        let path = PointerBuf::from_tokens(path.iter().copied());
        self.0.push(PatchOperation::Test(TestOperation { path, value: value.into() }));
        self
    }

    /// Sets a member of an object whether or not it is there, or adds to a list (`-`: its end).
    #[must_use]
    pub fn add(mut self, path: &[&str], value: impl Into<Value>) -> Self {
        let path = PointerBuf::from_tokens(path.iter().copied());
        self.0.push(PatchOperation::Add(AddOperation { path, value: value.into() }));
        self
    }

    /// Sets what is there already.
    #[must_use]
    pub fn replace(mut self, path: &[&str], value: impl Into<Value>) -> Self {
        let path = PointerBuf::from_tokens(path.iter().copied());
        self.0.push(PatchOperation::Replace(ReplaceOperation { path, value: value.into() }));
        self
    }

    /// Removes what is there.
    #[must_use]
    pub fn remove(mut self, path: &[&str]) -> Self {
        let path = PointerBuf::from_tokens(path.iter().copied());
        self.0.push(PatchOperation::Remove(RemoveOperation { path }));
        self
    }

    /// Ends the patch by setting a large value.
    pub fn large<'a, T>(self, path: &'static str, value: &'a T) -> Vec<Operation<'a, T>> {
        let last = Operation::Add { op: "add", path, value };
        self.0.into_iter().map(Operation::Small).chain([last]).collect()
    }

    /// Ends the patch.
    pub fn done(self) -> Patch {
        Patch(self.0)
    }
}
