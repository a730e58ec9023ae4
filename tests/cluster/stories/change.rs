//! A change of strategy on a living Rollout: back by what it began with, then anew.

use serde_json::json;

use crate::support::json::{merged, text};
use crate::support::ladder::{sequence, weights};
use crate::support::shop::{CANARY, STABLE, rollout, route, routed, sized, two_sides};
use crate::support::story::{SHOP, Story};

const SELECTOR: &str = "/spec/selector";
const REVISION: &str = "/spec/selector/stairlock.dev~1revision";

#[tokio::test]
async fn a_canary_half_way_becomes_blue_green_and_then_a_rolling_update() {
    let story = Story::begin("changes", 120).await;
    let steps = json!([{"setWeight": 50, "pause": {}}, {"setWeight": 100}]);
    let canary = sized(routed(&story, "1.0.0", steps), 4);
    story.cluster.add(route()).await;
    story.cluster.add(canary.clone()).await;
    let controller = story.controller().await;
    story.completed(1).await;
    let routes = story.watch("HTTPRoute").await;
    story.set_image(&story.image("1.1.0")).await;
    story.paused(2, 1).await;

    let routing = json!({"gatewayAPI": {"httpRoute": SHOP}});
    let over = json!({"trafficRouting": routing, "scaleDownDelaySeconds": 1,
        "autoPromotionEnabled": false});
    story.change_strategy(&two_sides(canary.clone(), &over)).await;
    let looked_at = story.previewed(3).await;
    assert_eq!(text(&looked_at, "/status/history/0/outcome"), "StrategyChanged");
    assert_eq!(text(&looked_at, "/status/attempt/routing/strategy"), "blueGreen");
    assert_eq!(sequence(&routes), [(100, 0), (50, 50), (100, 0)], "back before it is looked at");
    story.command("stairlock.dev/promote", "true").await;
    story.completed(3).await;
    story.drained().await;
    let all = [(100, 0), (50, 50), (100, 0), (0, 100), (100, 0)];
    assert_eq!(sequence(&routes), all);

    let simple = json!({"spec": {"strategy": {"canary": null, "simple": {}}}});
    story.change_strategy(&merged(rollout(&story, "1.0.0", json!([])), &simple)).await;
    story.set_image(&story.image("1.2.0")).await;
    story.completed(4).await;
    for name in [STABLE, CANARY] {
        let service = story.cluster.get("Service", name).await;
        assert_eq!(service.pointer(REVISION), None, "{name} serves whatever comes");
        assert_eq!(text(&service, &format!("{SELECTOR}/app")), SHOP, "{name}");
    }
    assert_eq!(sequence(&routes), all, "the route is the user's");
    assert_eq!(controller.forbidden(), [""; 0]);
}

#[tokio::test]
async fn another_route_half_way_takes_over_once_the_old_one_is_as_it_was() {
    let story = Story::begin("rerouted", 120).await;
    let steps = json!([{"setWeight": 50, "pause": {}}, {"setWeight": 100}]);
    let first = routed(&story, "1.0.0", steps);
    let other = json!({"metadata": {"name": "other"}});
    story.cluster.add(route()).await;
    story.cluster.add(merged(route(), &other)).await;
    story.cluster.add(first.clone()).await;
    let controller = story.controller().await;
    story.completed(1).await;
    let routes = story.watch("HTTPRoute").await;
    story.set_image(&story.image("1.1.0")).await;
    story.paused(2, 1).await;

    let routing = json!({"trafficRouting": {"gatewayAPI": {"httpRoute": "other"}},
        "scaleDownDelaySeconds": 1});
    let over = json!({"spec": {"strategy": {"canary": routing}}});
    story.change_strategy(&merged(first, &over)).await;
    let paused = story.paused(3, 1).await;
    assert_eq!(text(&paused, "/status/attempt/routing/httpRoute"), "other");
    let shares = |name: &str| {
        let all = routes.present();
        let found = all.iter().find(|route| text(route, "/metadata/name") == name);
        weights(found.unwrap())
    };
    assert_eq!((shares(SHOP), shares("other")), ((100, 0), (50, 50)));
    story.command("stairlock.dev/promote", "true").await;
    story.completed(3).await;
    assert_eq!((shares(SHOP), shares("other")), ((100, 0), (100, 0)));
    assert_eq!(controller.forbidden(), [""; 0]);
}
