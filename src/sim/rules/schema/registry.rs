//! Registry: the schemas of all resources that are served, made when first asked for.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use serde_json::{Value, json};

use crate::api::definition;
use crate::sim::resource::{RESOURCES, Resource};
use crate::sim::rules::laws;
use crate::sim::rules::schema::builtin::{self, Types};
use crate::sim::rules::schema::openapi;
use crate::sim::rules::schema::shape::{Form, Schema};

/// The definitions of the foreign custom kinds, without their texts and CEL rules: Gateway API
/// v1.6, Flux v2.
const DEFINITIONS: &str = include_str!("crds.json");

/// What the objects of a resource look like.
#[derive(Debug)]
pub struct Known {
    /// The schema of a whole object.
    pub schema: Arc<Schema>,
    /// Whether the API server has a type of its own for it, and no definition.
    pub builtin: bool,
    /// What an object is before anybody has written anything: nothing of it is anybody's.
    pub empty: Value,
    /// What is said where a rule of the definition is broken.
    pub laws: Vec<String>,
}

/// Returns what the objects of a resource look like.
pub fn known(resource: &Resource) -> &'static Known {
    static ALL: OnceLock<BTreeMap<&'static str, Known>> = OnceLock::new();
    static NONE: OnceLock<Known> = OnceLock::new();
    let all = ALL.get_or_init(make_all);
    let none = || Known {
        schema: Arc::new(Schema::of(Form::Any)),
        builtin: false,
        empty: json!({}),
        laws: Vec::new(),
    };
    all.get(resource.plural).unwrap_or_else(|| NONE.get_or_init(none))
}

fn make_all() -> BTreeMap<&'static str, Known> {
    let mut types = Types::read();
    let metadata = types.schema("ObjectMeta");
    let foreign: Value = serde_json::from_str(DEFINITIONS).unwrap_or_default();
    let own = definition::all().unwrap_or_default();
    let of_kind = |kind: &str| {
        let own = own.iter().find(|own| own.pointer("/spec/names/kind") == Some(&json!(kind)));
        own.and_then(|own| own.pointer("/spec/versions/0/schema/openAPIV3Schema"))
    };
    let make = |resource: &'static Resource| {
        let document = foreign.get(resource.plural);
        let document = document.or_else(|| of_kind(resource.kind));
        let known = match document {
            Some(document) => {
                let schema = Arc::new(openapi::whole(document, &metadata));
                let laws = laws::texts(document);
                Known { schema, builtin: false, empty: json!({}), laws }
            }
            None => {
                let schema = types.schema(resource.kind);
                let mut empty = json!({});
                builtin::normalise(&schema, &mut empty);
                Known { schema, builtin: true, empty, laws: Vec::new() }
            }
        };
        (resource.plural, known)
    };
    RESOURCES.iter().map(make).collect()
}
