//! Routing: reads which routes a strategy names or selects. It never looks at a route.

use crate::api::kind::Kind;
use crate::api::routing as wire;
use crate::model::problem::Problem;
use crate::model::spec::{Labelled, RouteKind, RouteName};

/// The routes that are named, and those that labels select.
pub type Routes = (Vec<RouteName>, Vec<Labelled>);

/// Most entries, as in the CRD.
const ENTRIES_MAX: usize = 10;

/// Reads the routes of a strategy, none where it has no routing.
///
/// # Errors
/// A [`Problem`] with the path of the field.
pub fn of(strategy: &str, routing: Option<&wire::TrafficRouting>) -> Result<Routes, Problem> {
    let Some(wire::TrafficRouting { gateway_api: api }) = routing else {
        return Ok(Routes::default());
    };
    let field = format!("{strategy}.trafficRouting.gatewayAPI");
    if api.ways() != 1 {
        let why = "names its routes in no way or in two; write httpRoute, grpcRoute or routes";
        return Err(Problem::new(field, why));
    }
    let entries = api.routes.as_deref().unwrap_or_default();
    let count = entries.len();
    if api.routes.is_some() && !(1..=ENTRIES_MAX).contains(&count) {
        let why = format!("holds {count} entries, has to hold 1 to {ENTRIES_MAX}");
        return Err(Problem::new(format!("{field}.routes"), why));
    }
    for (at, entry) in entries.iter().enumerate() {
        let labels = entry.match_labels.as_ref();
        if entry.name.is_some() == labels.is_some() || labels.is_some_and(|all| all.is_empty()) {
            let why = "needs either name or matchLabels; write one of them";
            return Err(Problem::new(format!("{field}.routes[{at}]"), why));
        }
    }
    let mut labelled: Vec<Labelled> = api
        .labelled()
        .map(|(kind, labels)| Labelled { kind: kind_of(kind), labels: labels.clone() })
        .collect();
    labelled.sort();
    labelled.dedup();
    Ok((named(api), labelled))
}

/// The routes that are named, in their order, each once.
pub fn named(api: &wire::GatewayApi) -> Vec<RouteName> {
    let name = |(kind, name): (Kind, &String)| RouteName::new(kind_of(kind), name.clone());
    let mut routes: Vec<RouteName> = api.named().map(name).collect();
    routes.sort();
    routes.dedup();
    routes
}

/// The kind of routes that a kind of objects is.
pub fn kind_of(kind: Kind) -> RouteKind {
    if kind == Kind::GrpcRoute { RouteKind::Grpc } else { RouteKind::Http }
}
