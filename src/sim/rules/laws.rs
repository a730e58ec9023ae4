//! Laws: the CEL rules of the definition of the Rollout, in Rust. Of other kinds none are carried
//! out.
//!
//! A law is known by what is said when it is broken: the text is read from the definition, so that
//! a rule that has no law here is found.

use serde_json::{Map, Value};

use crate::sim::rules::problem::Problem;

/// One rule: the beginning of what is said, where it stands, and whether it is broken there.
struct Law {
    said: &'static str,
    place: Place,
    broken: fn(&Value, Option<&Value>) -> bool,
}

/// Where a rule stands.
#[derive(Clone, Copy)]
enum Place {
    /// At one field, as a pointer.
    At(&'static str),
    /// At each step of the strategy.
    Steps,
    /// At the scale of each step.
    Scales,
    /// At the length of the pause of each step.
    Pauses,
    /// At each entry of the routes of a strategy.
    Routes,
    /// At each expression of the labels of HealthChecks and of their namespaces.
    Expressions,
}

const BAKE: &str = "/spec/bakeTime";
const TIMEOUT: &str = "/spec/deployTimeout";
const SOURCE: &str = "/spec/sourceRef";
const STRATEGY: &str = "/spec/strategy";
const CANARY: &str = "/spec/strategy/canary";
const BLUE_GREEN: &str = "/spec/strategy/blueGreen";
const AB_TESTING: &str = "/spec/strategy/abTesting";
const VARIANT: &str = "/spec/strategy/abTesting/variantBMatch";
const LONGEST: &str = "/spec/strategy/abTesting/maxDuration";
const SHORTEST: &str = "/spec/strategy/abTesting/analysis/minDuration";
const CANARY_ROUTE: &str = "/spec/strategy/canary/trafficRouting/gatewayAPI";
const BLUE_GREEN_ROUTE: &str = "/spec/strategy/blueGreen/trafficRouting/gatewayAPI";
const AB_TESTING_ROUTE: &str = "/spec/strategy/abTesting/trafficRouting/gatewayAPI";
const SIMPLE: &str = "/spec/strategy/simple";

const INTERVAL: &str = "/spec/releaseUpdateInterval";
const REGISTRY: &str = "/spec/registry";
const REGISTRY_IMAGE: &str = "/spec/registry/image";
const ASKED: &str = "/spec/registry/interval";
const PRERELEASES: &str = "/spec/prereleases";

const LAWS: &[Law] = &[
    Law { said: "metadata.name may have", place: Place::At(""), broken: long_name },
    Law { said: "spec.template, spec.selector and", place: Place::At("/spec"), broken: apart },
    Law { said: "a Rollout without spec.template", place: Place::At("/spec"), broken: idle },
    Law { said: "bakeTime has to be longer", place: Place::At(BAKE), broken: zero },
    Law { said: "bakeTime repeats a unit", place: Place::At(BAKE), broken: repeats },
    Law { said: "bakeTime is longer", place: Place::At(BAKE), broken: endless },
    Law { said: "deployTimeout has to be", place: Place::At(TIMEOUT), broken: zero },
    Law { said: "deployTimeout repeats a unit", place: Place::At(TIMEOUT), broken: repeats },
    Law { said: "deployTimeout is longer", place: Place::At(TIMEOUT), broken: endless },
    Law { said: "spec.selector.matchLabels has", place: Place::At("/spec"), broken: unmatched },
    Law { said: "spec.template.metadata.labels has", place: Place::At("/spec"), broken: ours },
    Law { said: "a container and an init", place: Place::At("/spec"), broken: same_containers },
    Law { said: "spec.wantedVersion needs", place: Place::At("/spec"), broken: sourceless },
    Law {
        said: "spec.sourceRef and spec.registry",
        place: Place::At("/spec"),
        broken: two_sources,
    },
    Law { said: "spec.prereleases counts for", place: Place::At("/spec"), broken: unlisted },
    Law { said: "spec.prereleases.allow needs", place: Place::At(PRERELEASES), broken: unused },
    Law { said: "spec.registry.certSecretRef is", place: Place::At(REGISTRY), broken: plain },
    Law { said: "spec.registry.image has a tag", place: Place::At(REGISTRY_IMAGE), broken: tagged },
    Law { said: "interval has to be longer", place: Place::At(ASKED), broken: zero },
    Law { said: "interval repeats a unit", place: Place::At(ASKED), broken: repeats },
    Law { said: "interval is longer", place: Place::At(ASKED), broken: endless },
    Law { said: "interval is shorter", place: Place::At(ASKED), broken: hasty },
    Law { said: "spec.requireDigest writes", place: Place::At("/spec"), broken: digestless },
    Law { said: "spec.sourceRef.substitute names", place: Place::At(SOURCE), broken: no_variables },
    Law { said: "spec.sourceRef.image is", place: Place::At(SOURCE), broken: own_image },
    Law { said: "spec.selector is immutable", place: Place::At("/spec/selector"), broken: changed },
    Law { said: "trafficRouting needs both", place: Place::At(CANARY), broken: no_services },
    Law {
        said: "stableService and canaryService go",
        place: Place::At(CANARY),
        broken: one_service,
    },
    Law { said: "stableService and canaryService have", place: Place::At(CANARY), broken: alike },
    Law { said: "maxSurge and maxUnavailable", place: Place::At(CANARY), broken: no_room },
    Law { said: "maxSurge and maxUnavailable", place: Place::At(SIMPLE), broken: no_room },
    Law { said: "scaleDownDelaySeconds and", place: Place::At(CANARY), broken: unrouted_delay },
    Law { said: "a Rollout has exactly one", place: Place::At(STRATEGY), broken: not_one },
    Law {
        said: "activeService and previewService have",
        place: Place::At(BLUE_GREEN),
        broken: same_sides,
    },
    Law { said: "autoPromotionSeconds needs", place: Place::At(BLUE_GREEN), broken: by_itself },
    Law {
        said: "variantAService and variantBService have",
        place: Place::At(AB_TESTING),
        broken: same_variants,
    },
    Law { said: "gatewayAPI names its", place: Place::At(CANARY_ROUTE), broken: not_one_way },
    Law { said: "gatewayAPI names its", place: Place::At(BLUE_GREEN_ROUTE), broken: not_one_way },
    Law { said: "gatewayAPI names its", place: Place::At(AB_TESTING_ROUTE), broken: not_one_way },
    Law { said: "an entry of routes needs", place: Place::Routes, broken: not_one_entry },
    Law { said: "variantBMatch needs", place: Place::At(VARIANT), broken: not_one_match },
    Law { said: "maxDuration has to be longer", place: Place::At(LONGEST), broken: zero },
    Law { said: "maxDuration repeats a unit", place: Place::At(LONGEST), broken: repeats },
    Law { said: "maxDuration is longer", place: Place::At(LONGEST), broken: endless },
    Law { said: "minDuration has to be longer", place: Place::At(SHORTEST), broken: zero },
    Law { said: "minDuration repeats a unit", place: Place::At(SHORTEST), broken: repeats },
    Law { said: "minDuration is longer", place: Place::At(SHORTEST), broken: endless },
    Law { said: "In and NotIn need", place: Place::Expressions, broken: unfit },
    Law { said: "releaseUpdateInterval has to be", place: Place::At(INTERVAL), broken: zero },
    Law { said: "releaseUpdateInterval repeats", place: Place::At(INTERVAL), broken: repeats },
    Law { said: "releaseUpdateInterval is longer", place: Place::At(INTERVAL), broken: endless },
    Law { said: "analysis.minDuration has", place: Place::At(AB_TESTING), broken: not_shorter },
    Law { said: "setWeight may not fall", place: Place::At(CANARY), broken: falling },
    Law { said: "dynamicStableScale needs", place: Place::At(CANARY), broken: unrouted_rest },
    Law { said: "setCanaryScale needs", place: Place::At(CANARY), broken: unrouted_scale },
    Law { said: "setCanaryScale takes", place: Place::Scales, broken: not_one_scale },
    Law { said: "a step with a weight", place: Place::Steps, broken: without_pods },
    Law { said: "a step needs", place: Place::Steps, broken: empty_step },
    Law { said: "has to be longer than 0", place: Place::Pauses, broken: zero },
    Law { said: "repeats a unit", place: Place::Pauses, broken: repeats },
    Law { said: "is longer than 8760h", place: Place::Pauses, broken: endless },
];

/// The longest pause, in milliseconds: a year.
const PAUSE_MAX: u64 = 8760 * 3_600_000;

/// Tells which laws a Rollout breaks that takes the place of another, or is new. `texts` are what
/// is said where one is broken.
pub fn check(texts: &[String], before: Option<&Value>, after: &Value) -> Vec<Problem> {
    let mut all = Vec::new();
    for law in LAWS {
        let Some(text) = texts.iter().find(|text| text.starts_with(law.said)) else { continue };
        for (pointer, field) in places(law.place, after) {
            let Some(value) = after.pointer(&pointer) else { continue };
            let old = before.and_then(|before| before.pointer(&pointer));
            if (law.broken)(value, old) {
                let message = format!("Invalid value: {text}");
                all.push(Problem { field, reason: "FieldValueInvalid", message });
            }
        }
    }
    all
}

/// Returns the texts that no law speaks of.
pub fn unspoken(texts: &[String]) -> Vec<&String> {
    let spoken = |text: &&String| !LAWS.iter().any(|law| text.starts_with(law.said));
    texts.iter().filter(spoken).collect()
}

/// Reads what is said where a rule of a definition is broken.
pub fn texts(document: &Value) -> Vec<String> {
    let mut all = Vec::new();
    collect(document, &mut all);
    all
}

fn collect(document: &Value, all: &mut Vec<String>) {
    let rules = document.get("x-kubernetes-validations").and_then(Value::as_array);
    for rule in rules.into_iter().flatten() {
        all.extend(rule.get("message").and_then(Value::as_str).map(str::to_owned));
    }
    match document {
        Value::Object(fields) => fields.values().for_each(|value| collect(value, all)),
        Value::Array(items) => items.iter().for_each(|value| collect(value, all)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The places of a rule in an object: as pointers, and as messages name them.
fn places(place: Place, object: &Value) -> Vec<(String, String)> {
    let rest = match place {
        Place::At(pointer) => {
            let field = pointer.trim_start_matches('/').replace('/', ".");
            let field = if field.is_empty() { "<nil>".to_owned() } else { field };
            return vec![(pointer.to_owned(), field)];
        }
        Place::Steps => ("", ""),
        Place::Scales => ("/setCanaryScale", ".setCanaryScale"),
        Place::Pauses => ("/pause/duration", ".pause.duration"),
        Place::Routes => return entries(object),
        Place::Expressions => return expressions(object),
    };
    let steps = object.pointer(&format!("{CANARY}/steps")).and_then(Value::as_array);
    let count = steps.map_or(0, Vec::len);
    let place = |at| {
        let field = format!("spec.strategy.canary.steps[{at}]{}", rest.1);
        (format!("{CANARY}/steps/{at}{}", rest.0), field)
    };
    (0..count).map(place).collect()
}

/// Each entry of the routes of a strategy: its pointer and its field.
fn entries(object: &Value) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for api in [CANARY_ROUTE, BLUE_GREEN_ROUTE, AB_TESTING_ROUTE] {
        let entries = object.pointer(&format!("{api}/routes")).and_then(Value::as_array);
        let field = api.trim_start_matches('/').replace('/', ".");
        all.extend(
            (0..entries.map_or(0, Vec::len))
                .map(|at| (format!("{api}/routes/{at}"), format!("{field}.routes[{at}]"))),
        );
    }
    all
}

/// Each expression of a label selector: its pointer and its field.
fn expressions(object: &Value) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for part in ["selector", "namespaceSelector"] {
        let pointer = format!("/spec/healthCheckSelector/{part}/matchExpressions");
        let field = format!("spec.healthCheckSelector.{part}.matchExpressions");
        let list = object.pointer(&pointer).and_then(Value::as_array);
        let count = list.map_or(0, Vec::len);
        all.extend((0..count).map(|at| (format!("{pointer}/{at}"), format!("{field}[{at}]"))));
    }
    all
}

/// A demand with values that it does not take, or without those that it needs.
fn unfit(demand: &Value, _: Option<&Value>) -> bool {
    let needs = demand.get("operator").and_then(Value::as_str);
    let needs = needs.is_some_and(|word| ["In", "NotIn"].contains(&word));
    let some = demand.get("values").and_then(Value::as_array).is_some_and(|all| !all.is_empty());
    needs != some
}

fn long_name(object: &Value, _: Option<&Value>) -> bool {
    let name = object.pointer("/metadata/name").and_then(Value::as_str);
    name.is_some_and(|name| 52 < name.chars().count())
}

fn labels<'a>(spec: &'a Value, pointer: &str) -> Option<&'a Map<String, Value>> {
    spec.pointer(pointer).and_then(Value::as_object)
}

/// Template, selector and strategy are written together, or none of them.
fn apart(spec: &Value, _: Option<&Value>) -> bool {
    let there = ["template", "selector", "strategy"].map(|key| spec.get(key).is_some());
    there.contains(&true) && there.contains(&false)
}

fn idle(spec: &Value, _: Option<&Value>) -> bool {
    spec.get("template").is_none() && !sourced(spec)
}

fn sourced(spec: &Value) -> bool {
    spec.get("sourceRef").is_some() || spec.get("registry").is_some()
}

fn two_sources(spec: &Value, _: Option<&Value>) -> bool {
    spec.get("sourceRef").is_some() && spec.get("registry").is_some()
}

fn unlisted(spec: &Value, _: Option<&Value>) -> bool {
    spec.get("prereleases").is_some() && spec.get("registry").is_none()
}

fn unused(prereleases: &Value, _: Option<&Value>) -> bool {
    prereleases.get("allow").is_some() && prereleases.get("enabled") != Some(&Value::Bool(true))
}

fn plain(registry: &Value, _: Option<&Value>) -> bool {
    registry.get("certSecretRef").is_some() && registry.get("insecure") == Some(&Value::Bool(true))
}

fn tagged(image: &Value, _: Option<&Value>) -> bool {
    let last = image.as_str().unwrap_or_default().rsplit('/').next();
    last.is_some_and(|last| last.contains(':'))
}

fn hasty(interval: &Value, _: Option<&Value>) -> bool {
    millis(interval) < 30_000
}

fn unmatched(spec: &Value, _: Option<&Value>) -> bool {
    if spec.get("template").is_none() {
        return false;
    }
    let carried = labels(spec, "/template/metadata/labels");
    let wanted = labels(spec, "/selector/matchLabels");
    let missing = |(key, value): (&String, &Value)| {
        carried.is_none_or(|carried| carried.get(key) != Some(value))
    };
    carried.is_none() || wanted.is_some_and(|wanted| wanted.iter().any(missing))
}

fn sourceless(spec: &Value, _: Option<&Value>) -> bool {
    spec.get("wantedVersion").is_some() && !sourced(spec)
}

fn digestless(spec: &Value, _: Option<&Value>) -> bool {
    let source = ["sourceRef", "registry"].iter().any(|field| spec.get(field).is_some());
    let told = spec.get("template").is_some() && source;
    spec.get("requireDigest") == Some(&Value::from(true)) && !told
}

fn no_variables(source: &Value, _: Option<&Value>) -> bool {
    source.get("substitute").is_some() && source.get("kind") != Some(&Value::from("Kustomization"))
}

fn own_image(source: &Value, _: Option<&Value>) -> bool {
    source.get("image").is_some() && source.get("kind") == Some(&Value::from("ImagePolicy"))
}

fn ours(spec: &Value, _: Option<&Value>) -> bool {
    let prefix = format!("{}/", crate::api::keys::GROUP);
    let carried = labels(spec, "/template/metadata/labels");
    carried.is_some_and(|carried| carried.keys().any(|key| key.starts_with(&prefix)))
}

fn same_containers(spec: &Value, _: Option<&Value>) -> bool {
    let list = |key: &str| spec.pointer(&format!("/template/spec/{key}")).and_then(Value::as_array);
    let names = |key: &str| list(key).into_iter().flatten().filter_map(|one| one.get("name"));
    names("initContainers").any(|name| names("containers").any(|other| other == name))
}

fn changed(selector: &Value, before: Option<&Value>) -> bool {
    before.is_some_and(|before| before != selector)
}

fn no_services(canary: &Value, _: Option<&Value>) -> bool {
    let has = |key: &str| canary.get(key).is_some();
    has("trafficRouting") && !(has("stableService") && has("canaryService"))
}

fn unrouted_delay(canary: &Value, _: Option<&Value>) -> bool {
    let has = |key: &str| canary.get(key).is_some();
    !has("trafficRouting") && (has("scaleDownDelaySeconds") || has("abortScaleDownDelaySeconds"))
}

fn one_service(canary: &Value, _: Option<&Value>) -> bool {
    canary.get("stableService").is_some() != canary.get("canaryService").is_some()
}

fn alike(canary: &Value, _: Option<&Value>) -> bool {
    let (stable, other) = (canary.get("stableService"), canary.get("canaryService"));
    stable.is_some() && stable == other
}

fn no_room(canary: &Value, _: Option<&Value>) -> bool {
    let none = |key: &str| match canary.get(key) {
        Some(Value::String(text)) => {
            text.strip_suffix('%').is_some_and(|digits| digits.bytes().all(|byte| byte == b'0'))
        }
        Some(value) => value.as_i64() == Some(0),
        None => false,
    };
    none("maxSurge") && none("maxUnavailable")
}

fn not_one(strategy: &Value, _: Option<&Value>) -> bool {
    let all = ["canary", "blueGreen", "abTesting", "simple"];
    all.iter().filter(|key| strategy.get(key).is_some()).count() != 1
}

fn same_sides(chosen: &Value, _: Option<&Value>) -> bool {
    chosen.get("activeService") == chosen.get("previewService")
}

fn same_variants(chosen: &Value, _: Option<&Value>) -> bool {
    chosen.get("variantAService") == chosen.get("variantBService")
}

fn not_shorter(chosen: &Value, _: Option<&Value>) -> bool {
    let length = |pointer: &str| chosen.pointer(pointer).map(millis);
    let both = length("/analysis/minDuration").zip(length("/maxDuration"));
    both.is_some_and(|(least, most)| most <= least)
}

fn not_one_match(chosen: &Value, _: Option<&Value>) -> bool {
    chosen.get("header").is_some() == chosen.get("cookie").is_some()
}

fn not_one_entry(entry: &Value, _: Option<&Value>) -> bool {
    entry.get("name").is_some() == entry.get("matchLabels").is_some()
}

fn not_one_way(chosen: &Value, _: Option<&Value>) -> bool {
    let ways = ["httpRoute", "grpcRoute", "routes", "createRoute"];
    ways.into_iter().filter(|way| chosen.get(way).is_some()).count() != 1
}

fn by_itself(chosen: &Value, _: Option<&Value>) -> bool {
    let enabled = chosen.get("autoPromotionEnabled") != Some(&Value::Bool(false));
    !enabled && chosen.get("autoPromotionSeconds").is_some()
}

fn falling(canary: &Value, _: Option<&Value>) -> bool {
    let steps = canary.get("steps").and_then(Value::as_array).into_iter().flatten();
    let weights = steps.filter_map(|step| step.get("setWeight").and_then(Value::as_i64));
    !weights.is_sorted()
}

fn empty_step(step: &Value, _: Option<&Value>) -> bool {
    ["setWeight", "setCanaryScale", "pause"].iter().all(|key| step.get(key).is_none())
}

fn unrouted_rest(canary: &Value, _: Option<&Value>) -> bool {
    let dynamic = canary.get("dynamicStableScale") == Some(&Value::Bool(true));
    dynamic && canary.get("trafficRouting").is_none()
}

fn unrouted_scale(canary: &Value, _: Option<&Value>) -> bool {
    let mut steps = canary.get("steps").and_then(Value::as_array).into_iter().flatten();
    canary.get("trafficRouting").is_none() && steps.any(|step| step.get("setCanaryScale").is_some())
}

fn not_one_scale(scale: &Value, _: Option<&Value>) -> bool {
    let keys = ["weight", "replicas", "matchTrafficWeight"];
    let given = keys.iter().filter(|key| scale.get(key).is_some()).count();
    given != 1 || scale.get("matchTrafficWeight") == Some(&Value::Bool(false))
}

fn without_pods(step: &Value, _: Option<&Value>) -> bool {
    let number = |pointer: &str| step.pointer(pointer).and_then(Value::as_i64);
    let scales = [number("/setCanaryScale/weight"), number("/setCanaryScale/replicas")];
    number("/setWeight").is_some_and(|weight| weight > 0) && scales.contains(&Some(0))
}

fn zero(pause: &Value, _: Option<&Value>) -> bool {
    let text = pause.as_str().unwrap_or_default();
    !text.bytes().any(|byte| (b'1'..=b'9').contains(&byte))
}

fn repeats(pause: &Value, _: Option<&Value>) -> bool {
    let units: Vec<String> = parts(pause).into_iter().map(|(_, unit)| unit).collect();
    units.iter().enumerate().any(|(at, unit)| units.iter().take(at).any(|known| known == unit))
}

fn endless(pause: &Value, _: Option<&Value>) -> bool {
    PAUSE_MAX < millis(pause)
}

/// A length of time in milliseconds.
fn millis(pause: &Value) -> u64 {
    let millis = |(count, unit): (u64, String)| {
        let each = match unit.as_str() {
            "h" => 3_600_000,
            "m" => 60_000,
            "s" => 1000,
            _ => 1,
        };
        count.saturating_mul(each)
    };
    parts(pause).into_iter().map(millis).fold(0, u64::saturating_add)
}

/// The numbers of a length of time and their units.
fn parts(pause: &Value) -> Vec<(u64, String)> {
    let mut all: Vec<(u64, String)> = Vec::new();
    let mut digits = false;
    for c in pause.as_str().unwrap_or_default().chars() {
        match (c.to_digit(10), digits, all.last_mut()) {
            (Some(digit), true, Some((count, _))) => *count = *count * 10 + u64::from(digit),
            (Some(digit), _, _) => all.push((u64::from(digit), String::new())),
            (None, _, Some((_, unit))) => unit.push(c),
            (None, _, None) => {}
        }
        digits = c.is_ascii_digit();
    }
    all
}

#[cfg(test)]
mod tests;
