use std::sync::atomic::{AtomicU32, Ordering};

use http::{Request, Response};
use kube::client::Body;
use serde_json::json;

use super::*;
use crate::api::foreign::HttpRoute;
use crate::observe::stores::Reach;

/// Lists are denied so often, then there is one route; a watch tells nothing.
fn server(denials: u32, asked: &Arc<AtomicU32>) -> Client {
    let asked = Arc::clone(asked);
    Client::new(
        tower::service_fn(move |request: Request<Body>| {
            let asked = Arc::clone(&asked);
            async move {
                if request.uri().query().is_some_and(|query| query.contains("watch=true")) {
                    std::future::pending::<()>().await;
                }
                let denied = asked.fetch_add(1, Ordering::Relaxed) < denials;
                let (code, body) = if denied {
                    let message = "httproutes is forbidden: User \"x\" cannot list resource";
                    (
                        403,
                        json!({"kind": "Status", "status": "Failure", "code": 403,
                        "reason": "Forbidden", "message": message}),
                    )
                } else {
                    let meta = json!({"name": "shop", "namespace": "prod", "uid": "1",
                        "resourceVersion": "7"});
                    (
                        200,
                        json!({"kind": "HTTPRouteList", "metadata": {"resourceVersion": "9"},
                        "items": [{"metadata": meta, "spec": {}}]}),
                    )
                };
                Response::builder().status(code).body(Body::from(body.to_string().into_bytes()))
            }
        }),
        "default",
    )
}

#[tokio::test(start_paused = true)]
async fn a_kind_that_may_not_be_listed_is_told_and_asked_for_again() {
    let stores = Arc::new(Stores::new(Reach::default()));
    let told = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&told);
    let watches = Watches {
        client: server(3, &Arc::default()),
        config: watcher::Config::default(),
        selector: None,
        stores: Arc::clone(&stores),
        tell: Arc::new(move |sighting| {
            if matches!(sighting, Sighting::Denied) {
                count.fetch_add(1, Ordering::Relaxed);
            }
        }),
    };
    let resource = Kind::HttpRoute.resource();
    let api: Api<Guard<HttpRoute>> = Api::all_with(watches.client.clone(), &resource);
    let one = watches.one(api, watches.config.clone(), &None, &stores.routes);
    let look = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let said = stores.routes.denied("prod").unwrap();
        assert!(said.contains("httproutes is forbidden"), "{said}");
        assert!(!stores.routes.listed("prod"));
        tokio::time::sleep(Duration::from_secs(30)).await;
        assert_eq!(stores.routes.denied("prod"), None);
        assert!(stores.routes.listed("prod"));
        assert!(stores.routes.get(&Key::new("prod", "shop")).is_some());
        assert_eq!(told.load(Ordering::Relaxed), 1, "it is told once");
    };
    tokio::select! {
        biased;
        () = one => panic!("the watch ended"),
        () = look => {}
    }
}

#[tokio::test(start_paused = true)]
async fn a_kind_that_may_not_be_listed_is_asked_for_ever_more_rarely() {
    let asked = Arc::new(AtomicU32::new(0));
    let watches = Watches {
        client: server(u32::MAX, &asked),
        config: watcher::Config::default(),
        selector: None,
        stores: Arc::new(Stores::new(Reach::default())),
        tell: Arc::new(|_| {}),
    };
    let resource = Kind::HttpRoute.resource();
    let api: Api<Guard<HttpRoute>> = Api::all_with(watches.client.clone(), &resource);
    let one = watches.one(api, watches.config.clone(), &None, &watches.stores.routes);
    tokio::select! {
        biased;
        () = one => panic!("the watch ended"),
        () = tokio::time::sleep(Duration::from_secs(120)) => {}
    }
    let asked = asked.load(Ordering::Relaxed);
    assert!((8..=15).contains(&asked), "{asked} requests in two minutes");
}
