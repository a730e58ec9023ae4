//! Routing: reads which routes a strategy names, selects or has made. It never looks at a route.

use serde_json::{Value, json};

use crate::api::keys;
use crate::api::kind::Kind;
use crate::api::routing as wire;
use crate::model::problem::Problem;
use crate::model::spec::{Labelled, NewRoute, RouteKind, RouteName};

/// The routes that are named, those that labels select, and what the named one is made with.
pub type Routes = (Vec<RouteName>, Vec<Labelled>, Option<NewRoute>);

/// Most entries, as in the CRD.
const ENTRIES_MAX: usize = 10;
/// Most Gateways of a route, as in the CRD.
const PARENTS_MAX: usize = 8;
/// Most host names of a route, as in the CRD.
const HOSTNAMES_MAX: usize = 16;

/// Reads the routes of a strategy of a Rollout, none where it has no routing.
///
/// # Errors
/// A [`Problem`] with the path of the field.
pub fn of(
    strategy: &str,
    rollout: &str,
    routing: Option<&wire::TrafficRouting>,
) -> Result<Routes, Problem> {
    let Some(wire::TrafficRouting { gateway_api: api }) = routing else {
        return Ok(Routes::default());
    };
    let field = format!("{strategy}.trafficRouting.gatewayAPI");
    if api.ways() != 1 {
        let why = "names its routes in no way or in two; write httpRoute, grpcRoute, routes or \
            createRoute";
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
    let own = api.create_route.as_ref();
    let create = own.map(|own| new_route(&format!("{field}.createRoute"), own)).transpose()?;
    Ok((named(api, rollout), labelled, create))
}

/// Reads what a route is made with.
fn new_route(field: &str, asked: &wire::CreateRoute) -> Result<NewRoute, Problem> {
    let (all, hosts) = (&asked.parent_refs, asked.hostnames.len());
    if !(1..=PARENTS_MAX).contains(&all.len()) {
        let why = format!("holds {} entries, has to hold 1 to {PARENTS_MAX}", all.len());
        return Err(Problem::new(format!("{field}.parentRefs"), why));
    }
    if hosts > HOSTNAMES_MAX {
        let why = format!("holds {hosts} entries, has to hold 0 to {HOSTNAMES_MAX}");
        return Err(Problem::new(format!("{field}.hostnames"), why));
    }
    let mut parents = Vec::with_capacity(all.len());
    for (at, parent) in all.iter().enumerate() {
        let field = format!("{field}.parentRefs[{at}]");
        let gateway = |other: &wire::ParentRef| (other.name.clone(), other.namespace.clone());
        let section = parent.section_name.as_ref();
        let mut before = all.iter().take(at).filter(|other| gateway(other) == gateway(parent));
        let same = |other: &wire::ParentRef| {
            other.section_name.is_none()
                || section.is_none_or(|s| other.section_name.iter().any(|o| o == s))
        };
        if before.any(same) {
            let why = "names a Gateway again; give each entry of it another sectionName";
            return Err(Problem::new(field, why));
        }
        parents.push(reference(&field, parent)?);
    }
    Ok(NewRoute { parents, hostnames: asked.hostnames.clone() })
}

/// A Gateway as a route names it, with what the API server would add.
fn reference(field: &str, parent: &wire::ParentRef) -> Result<Value, Problem> {
    let wire::ParentRef { name, namespace, section_name, port } = parent;
    let mut all = json!({"group": keys::GATEWAY_GROUP, "kind": "Gateway", "name": name});
    let port = port.map(|port| {
        let known = u16::try_from(port).ok().filter(|port| *port > 0);
        let why = || format!("is {port}, has to be 1 to {}", u16::MAX);
        known.ok_or_else(|| Problem::new(format!("{field}.port"), why()))
    });
    let given = [
        ("namespace", namespace.as_ref().map(|name| json!(name))),
        ("sectionName", section_name.as_ref().map(|name| json!(name))),
        ("port", port.transpose()?.map(|port| json!(port))),
    ];
    if let Some(all) = all.as_object_mut() {
        let given = given.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?)));
        all.extend(given);
    }
    Ok(all)
}

/// The routes that a Rollout of this name names, in their order, each once.
pub fn named(api: &wire::GatewayApi, rollout: &str) -> Vec<RouteName> {
    let name = |(kind, name): (Kind, &str)| RouteName::new(kind_of(kind), name);
    let mut routes: Vec<RouteName> = api.named(rollout).map(name).collect();
    routes.sort();
    routes.dedup();
    routes
}

/// The kind of routes that a kind of objects is.
pub fn kind_of(kind: Kind) -> RouteKind {
    if kind == Kind::GrpcRoute { RouteKind::Grpc } else { RouteKind::Http }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(own: Value) -> Result<Routes, Problem> {
        let routing = json!({"gatewayAPI": {"createRoute": own}});
        of("s", "shop", Some(&serde_json::from_value(routing).unwrap()))
    }

    #[test]
    fn a_route_to_be_made_is_named_like_its_rollout() {
        let own = json!({"kind": "GRPCRoute", "hostnames": ["a.example"],
            "parentRefs": [{"name": "gw", "namespace": "infra", "sectionName": "web",
                "port": 80}]});
        let (named, labelled, create) = read(own).unwrap();
        assert_eq!((named, labelled), (vec![RouteName::new(RouteKind::Grpc, "shop")], Vec::new()));
        let gateway = json!({"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "gw",
            "namespace": "infra", "sectionName": "web", "port": 80});
        let want = NewRoute { parents: vec![gateway], hostnames: vec!["a.example".to_owned()] };
        assert_eq!(create, Some(want));
        let (named, _, _) = read(json!({"parentRefs": [{"name": "gw"}]})).unwrap();
        assert_eq!(named, [RouteName::new(RouteKind::Http, "shop")]);
    }

    #[test]
    fn a_route_that_cannot_be_made_is_a_problem() {
        let parents = |count: usize| vec![json!({"name": "gw"}); count];
        let named = |name: &str| json!({"name": "gw", "sectionName": name});
        let hosts = vec!["a.example"; 17];
        let own = "s.trafficRouting.gatewayAPI.createRoute";
        for (case, given, want) in [
            ("no Gateway", json!({"parentRefs": []}), ".parentRefs"),
            ("nine", json!({"parentRefs": parents(9)}), ".parentRefs"),
            ("one twice", json!({"parentRefs": parents(2)}), ".parentRefs[1]"),
            (
                "all of it and a part",
                json!({"parentRefs": [{"name": "gw"}, named("a")]}),
                ".parentRefs[1]",
            ),
            ("a part twice", json!({"parentRefs": [named("a"), named("a")]}), ".parentRefs[1]"),
            ("port 0", json!({"parentRefs": [{"name": "gw", "port": 0}]}), ".parentRefs[0].port"),
            ("17 names", json!({"parentRefs": parents(1), "hostnames": hosts}), ".hostnames"),
        ] {
            assert_eq!(read(given).unwrap_err().field, format!("{own}{want}"), "{case}");
        }
        assert!(read(json!({"parentRefs": [named("a"), named("b")]})).is_ok());
    }
}
