//! Own: whether a route is the Rollout's own, and what of it is not as the spec asks. It never
//! looks at rules.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::{Value, json};

use crate::model::moves::FieldEdit;
use crate::model::snapshot::Identity;
use crate::model::spec::NewRoute;

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
