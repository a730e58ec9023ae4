//! Own: whether a route is the Rollout's own, and what of it is not as the spec asks. It never
//! weighs rules.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::{Value, json};

use crate::model::moves::FieldEdit;
use crate::model::snapshot::Identity;
use crate::model::spec::{Ladder, NewRoute, RouteKind, Routing};
use crate::validate::seen::Seen;

/// Tells whether a Rollout is the controller of an object.
pub fn made_for(meta: &ObjectMeta, rollout: &Identity) -> bool {
    let mut owners = meta.owner_references.iter().flatten();
    owners.any(|owner| owner.uid == rollout.uid && owner.controller == Some(true))
}

/// The fields of a route that are not as its Rollout asks.
pub fn strays(spec: &Value, asked: &NewRoute) -> Vec<FieldEdit> {
    let list = |items: Vec<Value>| Some(Value::Array(items)).filter(|all| *all != json!([]));
    let hostnames = asked.hostnames.iter().map(|name| json!(name)).collect();
    let wanted = [("parentRefs", list(asked.parents.clone())), ("hostnames", list(hostnames))];
    let edits = wanted.map(|(field, to)| FieldEdit { field, from: spec.get(field).cloned(), to });
    let stray = |edit: &FieldEdit| edit.from.clone().filter(|all| *all != json!([])) != edit.to;
    edits.into_iter().filter(stray).collect()
}

/// The rules of the route that a Rollout made, with other Services and another port in each rule
/// that holds both of those that are in use; none where they are there already.
pub fn renamed(
    seen: &Seen,
    rollout: &Identity,
    (used, named): (&Ladder, &Routing),
) -> Option<FieldEdit> {
    let route = used.routes.first()?;
    let here =
        |meta: &ObjectMeta| meta.name.as_ref() == Some(&route.name) && made_for(meta, rollout);
    let spec = match route.kind {
        RouteKind::Http => &seen.routes.iter().find(|route| here(&route.metadata))?.spec,
        RouteKind::Grpc => &seen.grpc_routes.iter().find(|route| here(&route.metadata))?.spec.0,
    };
    let from = spec.get("rules")?;
    let rules = from.as_array()?.iter();
    let (stable, canary) = (&used.stable_service, &used.canary_service);
    // Two that change places stand there already: weights move the traffic.
    let turned = (stable, canary) == (&named.canary, &named.stable);
    let pairs = if turned {
        [(stable, stable), (canary, canary)]
    } else {
        [(stable, &named.stable), (canary, &named.canary)]
    };
    let to: Vec<Value> = rules.map(|rule| rule_with(rule, pairs, (named.port, rollout))).collect();
    let to = Value::Array(to);
    (to != *from).then(|| FieldEdit { field: "rules", from: Some(from.clone()), to: Some(to) })
}

type Renamed<'a> = [(&'a Option<String>, &'a Option<String>); 2];

/// A rule that leads to the new Services in place of the old ones, where it holds both.
fn rule_with(rule: &Value, pairs: Renamed<'_>, (port, rollout): (u16, &Identity)) -> Value {
    let (old, mut found) = (rule, 0);
    let mut rule = rule.clone();
    let backends = rule.get_mut("backendRefs").and_then(Value::as_array_mut);
    for backend in backends.into_iter().flatten() {
        let is = |old: &String| leads_to(backend, &rollout.namespace, old);
        let pair = pairs.iter().find(|(old, _)| old.as_ref().is_some_and(is));
        if let (Some((_, Some(new))), Some(fields)) = (pair, backend.as_object_mut()) {
            fields.insert("name".to_owned(), json!(new));
            fields.insert("port".to_owned(), json!(port));
            found += 1;
        }
    }
    if found < 2 { old.clone() } else { rule }
}

/// Tells whether a backendRef is a Service of a namespace.
pub fn leads_to(backend: &Value, namespace: &str, service: &str) -> bool {
    let text = |key: &str| backend.get(key).and_then(Value::as_str);
    text("name") == Some(service)
        && text("kind").unwrap_or("Service") == "Service"
        && text("group").unwrap_or_default().is_empty()
        && text("namespace").unwrap_or(namespace) == namespace
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::hold::Hold;
    use crate::model::snapshot::{Known, LiveRoute};
    use crate::validate::{fixture, validate};

    /// Reads the route of a Rollout that makes it, where it stands with this patch.
    fn read(own: &Value, route: &Value) -> Result<LiveRoute, Hold> {
        let api = json!({"httpRoute": null, "createRoute": own});
        let canary = json!({"trafficRouting": {"gatewayAPI": api}});
        let rollout = fixture::rollout(json!({"spec": {"strategy": {"canary": canary}}}));
        let backend =
            |name: &str, weight: u32| json!({"name": name, "port": 8080, "weight": weight});
        let rule = json!({"backendRefs": [backend("shop-stable", 100), backend("shop-canary", 0)]});
        let owner = json!({"apiVersion": "stairlock.dev/v1alpha1", "kind": "Rollout",
            "name": "shop", "uid": "u1", "controller": true});
        let base = json!({
            "metadata": {"name": "shop", "namespace": "prod", "uid": "h1",
                "resourceVersion": "5", "ownerReferences": [owner],
                "labels": fixture::flux_labels()},
            "spec": {"parentRefs": [gateway("gw")], "rules": [rule]},
        });
        let mut seen = fixture::seen(rollout);
        seen.routes = vec![fixture::object(fixture::merged(&base, route))];
        match validate(&seen) {
            Known::Valid(mut snapshot) => snapshot.routes.remove(0).live,
            Known::Invalid { problem, .. } => panic!("{problem:?}"),
        }
    }

    fn gateway(name: &str) -> Value {
        json!({"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": name})
    }

    #[test]
    fn a_route_is_kept_to_what_the_spec_asks() {
        let bare = json!({"parentRefs": [{"name": "gw"}]});
        let named = json!({"parentRefs": [{"name": "gw"}], "hostnames": ["a.example"]});
        let hosts = |names: Value| json!({"spec": {"hostnames": names}});
        let edge = json!({"spec": {"parentRefs": [gateway("edge")]}});
        let (old, new) = (json!([gateway("edge")]), json!([gateway("gw")]));
        for (case, own, route, want) in [
            ("as it was made", &bare, json!({}), None),
            ("an empty list is none", &bare, hosts(json!([])), None),
            ("with its host name", &named, hosts(json!(["a.example"])), None),
            (
                "a host name is missing",
                &named,
                json!({}),
                Some(("hostnames", None, Some(json!(["a.example"])))),
            ),
            (
                "one too many",
                &bare,
                hosts(json!(["b.example"])),
                Some(("hostnames", Some(json!(["b.example"])), None)),
            ),
            ("another Gateway", &bare, edge, Some(("parentRefs", Some(old), Some(new)))),
        ] {
            let live = read(own, &route).unwrap();
            assert_eq!(live.owner, None, "{case}: it is nobody else's");
            let want: Vec<_> =
                want.into_iter().map(|(field, from, to)| FieldEdit { field, from, to }).collect();
            assert_eq!(live.strays, want, "{case}");
        }
    }

    #[test]
    fn rules_follow_the_services_that_the_spec_names() {
        let own = json!({"parentRefs": [{"name": "gw"}]});
        let backend = |name: &str, port: u16| json!({"name": name, "port": port, "weight": 7});
        let pair = |stable: &str, canary: &str, port| {
            let both = [backend(stable, port), backend(canary, port)];
            json!({"backendRefs": both})
        };
        let alone = json!({"backendRefs": [backend("shop-stable", 8080)]});
        let route = |rule: Value, uid: &str| {
            json!({"metadata": {"name": "shop", "namespace": "prod", "ownerReferences": [
                {"apiVersion": "stairlock.dev/v1alpha1", "kind": "Rollout", "name": "shop",
                    "uid": uid, "controller": true}]},
                "spec": {"rules": [alone, rule]}})
        };
        let api = json!({"httpRoute": null, "createRoute": own});
        let canary = json!({"trafficRouting": {"gatewayAPI": api}});
        let rollout = fixture::rollout(json!({"spec": {"strategy": {"canary": canary}}}));
        let used = crate::validate::rollout::spec(&rollout).unwrap().ladder;
        let told = |uid: &str, rule: Value, (stable, canary, port): (&str, &str, u16)| {
            let (stable, canary) = (Some(stable.to_owned()), Some(canary.to_owned()));
            let named = Routing { stable, canary, port, ..used.routing() };
            let mut seen = fixture::seen(rollout.clone());
            seen.routes = vec![fixture::object(route(rule, uid))];
            let identity = crate::validate::rollout::identity(&seen.rollout);
            renamed(&seen, &identity, (&used, &named)).map(|edit| edit.to.unwrap())
        };
        let old = || pair("shop-stable", "shop-canary", 8080);
        let new = ("a", "b", 9090);
        assert_eq!(told("u1", old(), new), Some(json!([alone, pair("a", "b", 9090)])));
        assert_eq!(told("u0", old(), new), None, "a route of somebody else");
        assert_eq!(told("u1", pair("a", "b", 9090), new), None, "it follows already");
        assert_eq!(told("u1", alone.clone(), new), None, "no rule holds both");
        let turned = ("shop-canary", "shop-stable", 8080);
        assert_eq!(told("u1", old(), turned), None, "they change places by weights");
        let half = ("shop-canary", "b", 8080);
        assert_eq!(told("u1", old(), half), Some(json!([alone, pair("shop-canary", "b", 8080)])));
    }

    #[test]
    fn a_route_of_others_is_in_the_way() {
        let own = json!({"parentRefs": [{"name": "gw"}]});
        let owners = |owner: Value| json!({"metadata": {"ownerReferences": owner}});
        let other = json!([{"apiVersion": "stairlock.dev/v1alpha1", "kind": "Rollout",
            "name": "shop", "uid": "u0", "controller": true}]);
        let part = json!([{"apiVersion": "stairlock.dev/v1alpha1", "kind": "Rollout",
            "name": "shop", "uid": "u1"}]);
        for owner in [json!(null), other, part] {
            let hold = read(&own, &owners(owner)).unwrap_err();
            assert_eq!((hold.code(), hold.object()), ("RouteTaken", "shop"));
        }
    }
}
