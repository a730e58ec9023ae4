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
    /// Routes of the Gateway API. Range: httpRoute, grpcRoute, routes or createRoute. Example:
    /// `{httpRoute: shop}` or `{grpcRoute: shop}`.
    #[serde(rename = "gatewayAPI")]
    pub gateway_api: GatewayApi,
}

/// Routes of the Gateway API: HTTPRoutes, GRPCRoutes or both.
#[derive(Serialize, Deserialize, KubeSchema, Debug, Clone, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new(
        "(has(self.httpRoute) ? 1 : 0) + (has(self.grpcRoute) ? 1 : 0) \
         + (has(self.routes) ? 1 : 0) + (has(self.createRoute) ? 1 : 0) == 1"
    ).message(
        "gatewayAPI names its routes in one way: write httpRoute, grpcRoute, routes or createRoute")
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
    /// A route that does not exist yet, in place of httpRoute: it is made with the name of the
    /// Rollout and one rule that holds both Services, and goes with the Rollout. Default: none.
    /// Range: one route. Example: `{parentRefs: [{name: gateway}], hostnames: [shop.example]}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub create_route: Option<CreateRoute>,
}

/// A route that is made for the Rollout.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct CreateRoute {
    /// The kind. Default: HTTPRoute. Range: HTTPRoute, GRPCRoute. Example: GRPCRoute.
    #[serde(default)]
    pub kind: EntryKind,
    /// The Gateways that it belongs to. A change is brought into the route. Range: 1 to 8 entries;
    /// of one Gateway only with different sectionNames. Example: `[{name: gateway}]`.
    #[schemars(length(min = 1, max = 8))]
    pub parent_refs: Vec<ParentRef>,
    /// The host names that it is for. A change is brought into the route. Default: none; then those
    /// of the Gateways. Range: 0 to 16 host names, the first label may be `*`. Example:
    /// `[shop.example]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "hostnames_schema")]
    pub hostnames: Vec<String>,
}

/// A Gateway.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct ParentRef {
    /// Its name. Range: 1 to 253 characters. Example: `gateway`.
    #[schemars(length(min = 1, max = 253), regex(pattern = "^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"))]
    pub name: String,
    /// Its namespace. Default: that of the Rollout. Range: 1 to 63 characters. Example: `infra`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub namespace: Option<String>,
    /// One listener of it, by name. Default: all. Range: 1 to 253 characters. Example: `https`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = "^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"))]
    pub section_name: Option<String>,
    /// Its listeners of one port. Default: all. Range: 1 to 65535. Example: 443.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65_535))]
    pub port: Option<i32>,
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
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum EntryKind {
    /// For HTTP.
    #[default]
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
        let one = [self.http_route.is_some(), self.grpc_route.is_some()];
        let ways = one.into_iter().chain([self.routes.is_some(), self.create_route.is_some()]);
        ways.filter(|told| *told).count()
    }

    /// Tells the kind and the name of each route that a Rollout of this name names.
    pub fn named<'a>(&'a self, rollout: &'a str) -> impl Iterator<Item = (Kind, &'a str)> {
        let http = self.http_route.iter().map(|name| (Kind::HttpRoute, name.as_str()));
        let grpc = self.grpc_route.iter().map(|name| (Kind::GrpcRoute, name.as_str()));
        let entries = self.routes.iter().flatten();
        let named = entries.filter_map(|entry| Some((entry.kind.kind(), entry.name.as_deref()?)));
        let own = self.create_route.iter().map(move |own| (own.kind.kind(), rollout));
        http.chain(grpc).chain(named).chain(own)
    }

    /// Tells the kind and the labels of those that are selected.
    pub fn labelled(&self) -> impl Iterator<Item = (Kind, &BTreeMap<String, String>)> {
        let entries = self.routes.iter().flatten();
        entries.filter_map(|entry| Some((entry.kind.kind(), entry.match_labels.as_ref()?)))
    }
}

fn hostnames_schema(_: &mut SchemaGenerator) -> Schema {
    let schema = json!({
        "type": "array",
        "maxItems": 16,
        "items": {
            "type": "string",
            "minLength": 1,
            "maxLength": 253,
            "pattern": r"^(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$",
        },
    });
    Schema::try_from(schema).unwrap_or_default()
}

/// The schema of labels by which objects are selected: 1 to 32 of them.
pub fn labels_schema(_: &mut SchemaGenerator) -> Schema {
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
