//! The strategies: how a new revision gets its traffic.

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::KubeSchema;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::json;

use crate::api::routing::{GatewayApi, TrafficRouting};

/// The rule that pods can move at all, and what is said where they cannot.
const SOME_ROOM: &str = "!((type(self.maxSurge) == int ? self.maxSurge == 0 \
    : self.maxSurge.matches('^0+%$')) \
    && (type(self.maxUnavailable) == int ? self.maxUnavailable == 0 \
    : self.maxUnavailable.matches('^0+%$')))";
const NO_ROOM: &str = "maxSurge and maxUnavailable cannot both be 0: raise one of them";

/// A length of time: not 0.
pub const SOME_TIME: &str = "self.matches('[1-9]')";
/// A length of time: each unit at most once.
pub const EACH_UNIT_ONCE: &str =
    "!self.matches('h.*h|[0-9]s.*[0-9]s|ms.*ms|[0-9]m([0-9].*)?[0-9]m([0-9]|$)')";
/// A length of time: a year at most.
pub const A_YEAR_AT_MOST: &str = "duration(self) <= duration('8760h')";

/// How a new revision gets its traffic: by one of these.
#[derive(Serialize, Deserialize, KubeSchema, Debug, Clone, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new(
        "(has(self.canary) ? 1 : 0) + (has(self.blueGreen) ? 1 : 0) \
         + (has(self.abTesting) ? 1 : 0) + (has(self.simple) ? 1 : 0) == 1"
    ).message("a Rollout has exactly one strategy: write canary, blueGreen, abTesting or simple")
)]
pub struct Strategy {
    /// A ladder of weights, each with an optional pause. Default: none. Range: 1 to 50 steps.
    /// Example: `{steps: [{setWeight: 20, pause: {duration: 5m}}, {setWeight: 50, pause: {}}]}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<Canary>,
    /// A whole second side that is looked at first, and then takes all traffic at once. Default:
    /// none. Range: two Services. Example: `{activeService: shop, previewService:
    /// shop-preview, trafficRouting: {gatewayAPI: {httpRoute: shop}}}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blue_green: Option<BlueGreen>,
    /// An experiment: a whole second side serves the requests that carry a header or a cookie,
    /// until it wins or goes. Default: none. Range: two Services, a match and a route. Example:
    /// `{variantAService: shop, variantBService: shop-b, variantBMatch: {cookie: {name: group,
    /// value: b}}, trafficRouting: {gatewayAPI: {httpRoute: shop}}}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ab_testing: Option<AbTesting>,
    /// A rolling update: new pods take the place of old ones as they become available. Default:
    /// none. Range: maxSurge and maxUnavailable. Example: `{maxSurge: 1}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub simple: Option<Simple>,
}

impl Strategy {
    /// Tells whether none is named.
    pub fn is_none(&self) -> bool {
        let Self { canary, blue_green, ab_testing, simple } = self;
        canary.is_none() && blue_green.is_none() && ab_testing.is_none() && simple.is_none()
    }

    /// Tells the Services that it names.
    pub fn services(&self) -> impl Iterator<Item = &String> {
        let canary = self.canary.iter().flat_map(|c| [&c.stable_service, &c.canary_service]);
        let blue_green =
            self.blue_green.iter().flat_map(|b| [&b.active_service, &b.preview_service]);
        let ab = self.ab_testing.iter().flat_map(|a| [&a.variant_a_service, &a.variant_b_service]);
        canary.flatten().chain(blue_green).chain(ab)
    }

    /// Tells through which routes it splits the traffic, if through any.
    pub fn gateway(&self) -> Option<&GatewayApi> {
        let canary = self.canary.as_ref().and_then(|canary| canary.traffic_routing.as_ref());
        let blue_green = self.blue_green.as_ref().and_then(|b| b.traffic_routing.as_ref());
        let ab = self.ab_testing.as_ref().map(|chosen| &chosen.traffic_routing);
        canary.or(blue_green).or(ab).map(|routing| &routing.gateway_api)
    }
}

/// A whole second side that is looked at first, and then takes all traffic at once.
#[derive(Serialize, Deserialize, KubeSchema, Debug, Clone, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.activeService != self.previewService").message(
        "activeService and previewService have to be two Services: name another one"),
    validation = Rule::new("self.autoPromotionEnabled || !has(self.autoPromotionSeconds)").message(
        "autoPromotionSeconds needs autoPromotionEnabled: set it to true, or leave the seconds out")
)]
pub struct BlueGreen {
    /// The Service that carries the traffic; created where it does not exist. Range: 1 to 63
    /// characters. Example: `shop`.
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z]([-a-z0-9]*[a-z0-9])?$"))]
    pub active_service: String,
    /// The Service of the side that is looked at; created where it does not exist. It selects the
    /// active side while there is no other. Range: 1 to 63 characters. Example: `shop-preview`.
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z]([-a-z0-9]*[a-z0-9])?$"))]
    pub preview_service: String,
    /// The port of both Services and of the route's backends. Default: 80. Range: 1 to 65535.
    /// Example: 8080.
    #[serde(default = "http")]
    #[schemars(range(min = 1, max = 65_535))]
    pub port: i32,
    /// How many pods the new side has while it is looked at; before the switch it gets all of
    /// them. Default: spec.replicas. Range: 1 to 100000; more than spec.replicas are not made.
    /// Example: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000))]
    pub preview_replica_count: Option<i32>,
    /// Whether the new side takes the traffic by itself once its pods are available. Default:
    /// true. Range: true or false; false waits for the command promote. Example: false.
    #[serde(default = "yes")]
    pub auto_promotion_enabled: bool,
    /// How many seconds the new side is looked at before it takes the traffic by itself, from when
    /// its pods are available. Default: none, at once. Range: 1 to 31536000. Example: 600.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 31_536_000))]
    pub auto_promotion_seconds: Option<i32>,
    /// How many seconds the old side stays after it lost its traffic. Default: 30. Range: 0 to
    /// 86400. Example: 300.
    #[serde(default = "thirty")]
    #[schemars(range(min = 0, max = 86_400))]
    pub scale_down_delay_seconds: i32,
    /// What switches the traffic. Default: none; then activeService turns from one side to the
    /// other. Range: one or several routes. Example: `{gatewayAPI: {httpRoute: shop}}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traffic_routing: Option<TrafficRouting>,
}

/// A whole second side that serves the requests that carry a header or a cookie.
#[derive(Serialize, Deserialize, KubeSchema, Debug, Clone, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.variantAService != self.variantBService").message(
        "variantAService and variantBService have to be two Services: name another one"),
    validation = Rule::new(
        "!has(self.maxDuration) || !has(self.analysis) || !has(self.analysis.minDuration) \
         || duration(self.analysis.minDuration) < duration(self.maxDuration)"
    ).message("analysis.minDuration has to be shorter than maxDuration: make it shorter, or \
        maxDuration longer")
)]
pub struct AbTesting {
    /// The Service of variant A, which is stable and carries all other traffic; created where it
    /// does not exist. Range: 1 to 63 characters. Example: `shop`.
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z]([-a-z0-9]*[a-z0-9])?$"))]
    pub variant_a_service: String,
    /// The Service of variant B, which is new; created where it does not exist. It selects variant
    /// A while there is no experiment. Range: 1 to 63 characters. Example: `shop-b`.
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z]([-a-z0-9]*[a-z0-9])?$"))]
    pub variant_b_service: String,
    /// The port of both Services and of the route's backends. Default: 80. Range: 1 to 65535.
    /// Example: 8080.
    #[serde(default = "http")]
    #[schemars(range(min = 1, max = 65_535))]
    pub port: i32,
    /// Which requests variant B serves. Range: a header or a cookie. Example: `{header: {name:
    /// x-group, value: b}}`.
    pub variant_b_match: VariantMatch,
    /// How long the experiment lasts at most, from when variant B is reached. Then variant B goes,
    /// as with the command conclude-experiment and the value A. Default: until that command. Range:
    /// 1ms to 8760h, in h, m, s and ms. Example: `168h`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 28), regex(pattern = "^([0-9]{1,5}(h|m|s|ms)){1,4}$"))]
    #[x_kube(
        validation = Rule::new(SOME_TIME).message(
            "maxDuration has to be longer than 0: write a time such as 168h, or leave it out to \
             wait for the command conclude-experiment"),
        validation = Rule::new(EACH_UNIT_ONCE).message(
            "maxDuration repeats a unit: write each of h, m, s and ms once, such as 1h30m"),
        validation = Rule::new(A_YEAR_AT_MOST).message(
            "maxDuration is longer than 8760h: write a shorter time, or leave it out to wait for \
             the command conclude-experiment")
    )]
    pub max_duration: Option<String>,
    /// What the data of the experiment have to be before they decide. Default: none, so that they
    /// may decide at once. Range: a shortest time and a number of samples. Example:
    /// `{minDuration: 24h, minSampleSize: 1000}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub analysis: Option<AbAnalysis>,
    /// The routes to which the rules of the experiment are added. Range: one or several. Example:
    /// `{gatewayAPI: {httpRoute: shop}}`.
    pub traffic_routing: TrafficRouting,
}

/// What the data of an experiment have to be before they decide.
#[derive(Serialize, Deserialize, KubeSchema, Debug, Clone, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct AbAnalysis {
    /// How long the experiment lasts at least before its data decide, from when variant B is
    /// reached: the command conclude-experiment with the value true is held until then. A and B,
    /// promote and abort are not. Default: none. Range: 1ms to 8760h, in h, m, s and ms, and
    /// shorter than maxDuration. Example: `24h`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 28), regex(pattern = "^([0-9]{1,5}(h|m|s|ms)){1,4}$"))]
    #[x_kube(
        validation = Rule::new(SOME_TIME).message(
            "minDuration has to be longer than 0: write a time such as 24h, or leave it out"),
        validation = Rule::new(EACH_UNIT_ONCE).message(
            "minDuration repeats a unit: write each of h, m, s and ms once, such as 1h30m"),
        validation = Rule::new(A_YEAR_AT_MOST).message(
            "minDuration is longer than 8760h: write a shorter time, or leave it out")
    )]
    pub min_duration: Option<String>,
    /// How many samples of each variant the data need to name a winner; with fewer they decide for
    /// variant A. None are measured yet, which the event ExperimentConcluded tells. Default: 30.
    /// Range: 1 to 1000000000. Example: 1000.
    #[serde(default = "thirty")]
    #[schemars(range(min = 1, max = 1_000_000_000))]
    pub min_sample_size: i32,
}

/// Which requests variant B serves.
#[derive(Serialize, Deserialize, KubeSchema, Debug, Clone, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.header) != has(self.cookie)").message(
    "variantBMatch needs either header or cookie: write one of them"))]
pub struct VariantMatch {
    /// Those with a header. Default: none. Range: one header. Example: `{name: x-group, value: b}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<Header>,
    /// Those with a cookie. Default: none. Range: one cookie. Example: `{name: group, value: b}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cookie: Option<Cookie>,
}

/// A header of a request.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Header {
    /// Its name, in which upper and lower case are one. Range: 1 to 256 characters. Example:
    /// `x-group`.
    #[schemars(length(min = 1, max = 256), regex(pattern = r"^[A-Za-z0-9!#$%&'*+\-.^_\x60|~]+$"))]
    pub name: String,
    /// Its value. Range: 1 to 4096 characters. Example: `b`.
    #[schemars(length(min = 1, max = 4096), regex(pattern = r"^[^\x00-\x1F\x7F]+$"))]
    pub value: String,
    /// How the value is compared; a regular expression in the syntax of RE2 has to match all of it.
    /// Default: Exact. Range: Exact, RegularExpression. Example: RegularExpression.
    #[serde(rename = "type", default)]
    pub kind: MatchType,
}

/// How a header is compared.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MatchType {
    /// The value is that one.
    #[default]
    Exact,
    /// The value matches a regular expression.
    RegularExpression,
}

/// A cookie of a request.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Cookie {
    /// Its name. Range: 1 to 256 characters. Example: `group`.
    #[schemars(length(min = 1, max = 256), regex(pattern = r"^[A-Za-z0-9!#$%&'*+\-.^_\x60|~]+$"))]
    pub name: String,
    /// Its value, taken as it is: no pattern. Range: 1 to 1024 characters. Example: `b`.
    #[schemars(length(min = 1, max = 1024), regex(pattern = r"^[!#-+\x2D-:<-\[\]-~]+$"))]
    pub value: String,
}

/// A rolling update.
#[derive(Serialize, Deserialize, KubeSchema, Debug, Clone, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new(SOME_ROOM).message(NO_ROOM))]
pub struct Simple {
    /// How many pods there may be beyond the replicas, a number or a percentage rounded up.
    /// Default: 25%. Range: 0 to 100000 or 0% to 100%. Example: 1.
    #[serde(default = "quarter")]
    #[schemars(schema_with = "quantity_schema")]
    pub max_surge: IntOrString,
    /// How many pods may lack of the replicas, a number or a percentage rounded down. Default: 0.
    /// Range: 0 to 100000 or 0% to 100%. Example: 10%.
    #[serde(default = "zero")]
    #[schemars(schema_with = "quantity_schema")]
    pub max_unavailable: IntOrString,
}

/// A ladder of weights.
#[derive(Serialize, Deserialize, KubeSchema, Debug, Clone, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new(
        "!has(self.trafficRouting) || (has(self.stableService) && has(self.canaryService))"
    ).message("trafficRouting needs both stableService and canaryService: name the two Services"),
    validation = Rule::new("has(self.stableService) == has(self.canaryService)").message(
        "stableService and canaryService go together: name both or neither"),
    validation = Rule::new(
        "!has(self.stableService) || !has(self.canaryService) \
         || self.stableService != self.canaryService"
    ).message("stableService and canaryService have to be two Services: name another one"),
    validation = Rule::new(SOME_ROOM).message(NO_ROOM),
    validation = Rule::new(
        "has(self.trafficRouting) || !(has(self.scaleDownDelaySeconds) \
         || has(self.abortScaleDownDelaySeconds))"
    ).message("scaleDownDelaySeconds and abortScaleDownDelaySeconds need trafficRouting, without \
        it no pods stay: leave them out"),
    validation = Rule::new(
        "has(self.trafficRouting) || !has(self.dynamicStableScale) || !self.dynamicStableScale"
    ).message(
        "dynamicStableScale needs trafficRouting, without it stable has its share already: leave \
         it out"),
    validation = Rule::new(
        "has(self.trafficRouting) || !self.steps.exists(s, has(s.setCanaryScale))"
    ).message("setCanaryScale needs trafficRouting, without it the pods are the weight: leave it \
        out"),
    validation = Rule::new(
        "self.steps.filter(s, has(s.setWeight)).map(s, s.setWeight).isSorted()"
    ).message("setWeight may not fall from one step to a later one: sort the steps")
)]
pub struct Canary {
    /// The Service that carries the stable side; created where it does not exist. Needed with
    /// trafficRouting. Default: none. Range: 1 to 63 characters. Example: `shop-stable`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z]([-a-z0-9]*[a-z0-9])?$"))]
    pub stable_service: Option<String>,
    /// The Service that carries the canary; created where it does not exist. Needed with
    /// trafficRouting. Default: none. Range: 1 to 63 characters. Example: `shop-canary`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z]([-a-z0-9]*[a-z0-9])?$"))]
    pub canary_service: Option<String>,
    /// The port of both Services and of the route's backends. Default: 80. Range: 1 to 65535.
    /// Example: 8080.
    #[serde(default = "http")]
    #[schemars(range(min = 1, max = 65_535))]
    pub port: i32,
    /// How many pods there may be beyond the replicas, a number or a percentage rounded up. It
    /// binds only where no trafficRouting is set. Default: 25%. Range: 0 to 100000 or 0% to 100%.
    /// Example: 1.
    #[serde(default = "quarter")]
    #[schemars(schema_with = "quantity_schema")]
    pub max_surge: IntOrString,
    /// How many pods may lack of the replicas, a number or a percentage rounded down. It binds
    /// only where no trafficRouting is set. Default: 0. Range: 0 to 100000 or 0% to 100%.
    /// Example: 10%.
    #[serde(default = "zero")]
    #[schemars(schema_with = "quantity_schema")]
    pub max_unavailable: IntOrString,
    /// The steps, taken in order. After the last one all traffic goes to the new revision.
    /// Range: 1 to 50 steps. Example: `[{setWeight: 20, pause: {duration: 5m}}, {setWeight: 100}]`.
    #[schemars(length(min = 1, max = 50))]
    pub steps: Vec<Step>,
    /// How many seconds the old side stays after it lost its traffic. It needs trafficRouting.
    /// Default: 30. Range: 0 to 86400. Example: 300.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 86_400))]
    pub scale_down_delay_seconds: Option<i32>,
    /// How many seconds the canary's pods stay after it lost its traffic because it failed or was
    /// aborted. It needs trafficRouting. Default: scaleDownDelaySeconds. Range: 0 to 86400; 0 keeps
    /// them until the next attempt. Example: 600.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 86_400))]
    pub abort_scale_down_delay_seconds: Option<i32>,
    /// Whether stable has only the pods that its weight needs, so that both sides together have
    /// little more than spec.replicas. It needs trafficRouting. On the way back stable gets its
    /// pods again before its traffic. Default: false. Range: true or false. Example: true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dynamic_stable_scale: Option<bool>,
    /// Which revisions come back without the steps. Default: none. Range: a number of revisions.
    /// Example: `{revisions: 3}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback_window: Option<RollbackWindow>,
    /// What splits the traffic. Default: none; then it is split by the numbers of pods.
    /// Range: one or several routes. Example: `{gatewayAPI: {httpRoute: shop}}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traffic_routing: Option<TrafficRouting>,
}

/// Which revisions come back without the steps.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct RollbackWindow {
    /// How many revisions that carried all traffic before the present one. A release or template
    /// that is one of them gets all traffic at once, as with the command promote-full. Range: 1 to
    /// 100; no more than revisionHistoryLimit and versionHistoryLimit keep. Example: 3.
    #[schemars(range(min = 1, max = 100))]
    pub revisions: i32,
}

/// One step of the ladder: first the pods and the weight, then the pause.
#[derive(Serialize, Deserialize, KubeSchema, Debug, Clone, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new(
        "has(self.setWeight) || has(self.setCanaryScale) || has(self.pause)"
    ).message("a step needs setWeight, setCanaryScale or pause: add one of them"),
    validation = Rule::new(
        "!has(self.setWeight) || self.setWeight == 0 || !has(self.setCanaryScale) \
         || ((!has(self.setCanaryScale.replicas) || self.setCanaryScale.replicas > 0) \
         && (!has(self.setCanaryScale.weight) || self.setCanaryScale.weight > 0))"
    ).message("a step with a weight needs canary pods: raise its setCanaryScale above 0")
)]
pub struct Step {
    /// The share of traffic for the new revision, in percent. Default: the weight of the step
    /// before, 0 for the first. Range: 0 to 100. Example: 20.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100))]
    pub set_weight: Option<i32>,
    /// How many pods the canary has from this step on, where that is more than the weight needs.
    /// It needs trafficRouting. Default: that of the step before, as many as the weight needs for
    /// the first. Range: one of weight, replicas and matchTrafficWeight. Example: `{replicas: 3}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set_canary_scale: Option<CanaryScale>,
    /// How long to stay once the weight is in force. Default: not at all. Range: a duration, or
    /// `{}` or null for until promoted. Example: `{duration: 5m}`.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub pause: Option<Pause>,
}

/// How many pods the canary has.
#[derive(Serialize, Deserialize, KubeSchema, Debug, Clone, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new(
    "(has(self.weight) ? 1 : 0) + (has(self.replicas) ? 1 : 0) \
     + (has(self.matchTrafficWeight) && self.matchTrafficWeight ? 1 : 0) == 1 \
     && (!has(self.matchTrafficWeight) || self.matchTrafficWeight)"
).message("setCanaryScale takes one of weight, replicas and matchTrafficWeight: true, write one"))]
pub struct CanaryScale {
    /// A share of spec.replicas, in percent, rounded up. Default: none. Range: 0 to 100. Example:
    /// 25.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100))]
    pub weight: Option<i32>,
    /// A number of pods. Default: none. Range: 0 to 100000; more than spec.replicas are not made.
    /// Example: 3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100_000))]
    pub replicas: Option<i32>,
    /// As many pods as the weight needs again. Default: none. Range: true. Example: true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub match_traffic_weight: Option<bool>,
}

/// How long a step stays.
#[derive(Serialize, Deserialize, KubeSchema, Debug, Clone, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Pause {
    /// The time. Default: until the command promote. Range: 1ms to 8760h, in h, m, s and ms.
    /// Example: `1h30m`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 28), regex(pattern = "^([0-9]{1,5}(h|m|s|ms)){1,4}$"))]
    #[x_kube(
        validation = Rule::new(SOME_TIME).message(
            "has to be longer than 0: write a time such as 5m, or leave duration out to wait for \
             the command promote"),
        validation = Rule::new(EACH_UNIT_ONCE).message(
            "repeats a unit: write each of h, m, s and ms once, such as 1h30m"),
        validation = Rule::new(A_YEAR_AT_MOST).message(
            "is longer than 8760h: write a shorter time, or leave duration out to wait for the \
             command promote")
    )]
    pub duration: Option<String>,
}

/// Reads `pause:` without a value as `pause: {}`: a pause that was asked for is never skipped.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Pause>, D::Error> {
    let pause = Option::deserialize(deserializer)?;
    Ok(Some(pause.unwrap_or(Pause { duration: None })))
}

fn yes() -> bool {
    true
}

fn thirty() -> i32 {
    30
}

fn http() -> i32 {
    80
}

fn quarter() -> IntOrString {
    IntOrString::String("25%".to_owned())
}

fn zero() -> IntOrString {
    IntOrString::Int(0)
}

fn quantity_schema(_: &mut SchemaGenerator) -> Schema {
    let schema = json!({
        "x-kubernetes-int-or-string": true,
        "anyOf": [{"type": "integer"}, {"type": "string"}],
        "minimum": 0,
        "maximum": 100_000,
        "maxLength": 4,
        "pattern": "^(100|[0-9]{1,2})%$",
    });
    Schema::try_from(schema).unwrap_or_default()
}
