//! Selector: labels that select objects, as in the rest of Kubernetes. No logic.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::routing::labels_schema;

/// Labels that select objects. An empty one selects all.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
pub struct LabelSelector {
    /// Labels with the value that an object has to have, all of them. Default: none. Range: at most
    /// 32 labels. Example: `{app: shop}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "labels_schema")]
    pub match_labels: BTreeMap<String, String>,
    /// Further demands on labels, all of which have to be met. Default: none. Range: at most 16.
    /// Example: `[{key: tier, operator: In, values: [web, api]}]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub match_expressions: Vec<Expression>,
}

/// A demand on one label.
#[derive(Serialize, Deserialize, KubeSchema, Debug, Clone, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new(
    "self.operator in ['In', 'NotIn'] ? has(self.values) && size(self.values) > 0 \
     : !has(self.values) || size(self.values) == 0"
).message("In and NotIn need values, Exists and DoesNotExist have none: add or remove values"))]
pub struct Expression {
    /// The key of the label. Range: 1 to 317 characters. Example: `tier`.
    #[schemars(length(min = 1, max = 317))]
    pub key: String,
    /// What is demanded. Range: In, NotIn, Exists, DoesNotExist. Example: In.
    pub operator: Operator,
    /// The values for In and NotIn. Default: none. Range: at most 32. Example: `[web, api]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(max = 63)))]
    pub values: Vec<String>,
}

/// What is demanded of a label.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// It has one of the values.
    In,
    /// It is not there, or has another value.
    NotIn,
    /// It is there.
    Exists,
    /// It is not there.
    DoesNotExist,
}
