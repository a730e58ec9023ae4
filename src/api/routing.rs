//! The routes by which traffic is split: named, or selected by their labels.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::api::kind::Kind;

/// What splits the traffic.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct TrafficRouting {
    /// Routes of the Gateway API. Range: httpRoute, grpcRoute or routes. Example: `{httpRoute:
    /// shop}` or `{grpcRoute: shop}`.
    #[serde(rename = "gatewayAPI")]
    pub gateway_api: GatewayApi,
}

/// Routes of the Gateway API: HTTPRoutes, GRPCRoutes or both.
#[derive(Serialize, Deserialize, KubeSchema, Debug, Clone, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new(
        "(has(self.httpRoute) ? 1 : 0) + (has(self.grpcRoute) ? 1 : 0) \
         + (has(self.routes) ? 1 : 0) == 1"
    ).message("gatewayAPI names its routes in one way: write httpRoute, grpcRoute or routes")
)]
pub struct GatewayApi {
    /// The name of an HTTPRoute in the Rollout's namespace. In each rule that holds both Services
    /// the weights of these two backends are set and nothing else; with abTesting a rule stands
    /// before each while the experiment runs. Default: none. Range: 1 to 253 characters. Example:
    /// `shop`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = "^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"))]
    pub http_route: Option<String>,
    /// The name of a GRPCRoute in the Rollout's namespace, in place of httpRoute: its weights are
    /// set in the same way. Default: none. Range: 1 to 253 characters. Example: `shop`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = "^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"))]
    pub grpc_route: Option<String>,
    /// Several routes, by name or by label, in place of httpRoute. A weight is in force once every
    /// one of them has it and is accepted. Default: none. Range: 1 to 10 entries; one that is named
    /// twice counts once. Example: `[{kind: HTTPRoute, name: shop}, {kind: GRPCRoute, name:
    /// shop}]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 10))]
    pub routes: Option<Vec<RouteEntry>>,
}

/// One route by name, or all those that carry some labels.
#[derive(Serialize, Deserialize, KubeSchema, Debug, Clone, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.name) != has(self.matchLabels)").message(
    "an entry of routes needs either name or matchLabels: write one of them"))]
pub struct RouteEntry {
    /// The kind. Range: HTTPRoute, GRPCRoute. Example: HTTPRoute.
    pub kind: EntryKind,
    /// The name of a route in the Rollout's namespace. Default: none. Range: 1 to 253 characters.
    /// Example: `shop`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = "^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"))]
    pub name: Option<String>,
    /// The labels of routes in the Rollout's namespace: each that carries all of them and holds
    /// both Services in one rule. There has to be one; a route that comes later joins in, and one
    /// that an attempt began with stays until its end. Default: none. Range: 1 to 32 labels.
    /// Example: `{app: shop}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "labels_schema")]
    pub match_labels: Option<BTreeMap<String, String>>,
}

/// The kind of a route.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// For HTTP.
    #[serde(rename = "HTTPRoute")]
    Http,
    /// For gRPC.
    #[serde(rename = "GRPCRoute")]
    Grpc,
}

impl EntryKind {
    /// Tells the kind of its objects.
    pub fn kind(self) -> Kind {
        match self {
            Self::Http => Kind::HttpRoute,
            Self::Grpc => Kind::GrpcRoute,
        }
    }
}

impl GatewayApi {
    /// Tells in how many ways the routes are told: one, where it can be used.
    pub fn ways(&self) -> usize {
        let ways = [self.http_route.is_some(), self.grpc_route.is_some(), self.routes.is_some()];
        ways.into_iter().filter(|told| *told).count()
    }

    /// Tells the kind and the name of each route that is named.
    pub fn named(&self) -> impl Iterator<Item = (Kind, &String)> {
        let http = self.http_route.iter().map(|name| (Kind::HttpRoute, name));
        let grpc = self.grpc_route.iter().map(|name| (Kind::GrpcRoute, name));
        let entries = self.routes.iter().flatten();
        let named = entries.filter_map(|entry| Some((entry.kind.kind(), entry.name.as_ref()?)));
        http.chain(grpc).chain(named)
    }

    /// Tells the kind and the labels of those that are selected.
    pub fn labelled(&self) -> impl Iterator<Item = (Kind, &BTreeMap<String, String>)> {
        let entries = self.routes.iter().flatten();
        entries.filter_map(|entry| Some((entry.kind.kind(), entry.match_labels.as_ref()?)))
    }
}

fn labels_schema(_: &mut SchemaGenerator) -> Schema {
    let schema = json!({
        "type": "object",
        "minProperties": 1,
        "maxProperties": 32,
        "additionalProperties": {
            "type": "string",
            "maxLength": 63,
            "pattern": "^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$",
        },
    });
    Schema::try_from(schema).unwrap_or_default()
}
