//! Strategy: reads the ladder. Weights, pauses and numbers of pods are parsed here, once.

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::api::strategy as wire;
use crate::model::moment::Duration;
use crate::model::problem::Problem;
use crate::model::spec::{Analysis, DRAIN_DELAY, Ladder, Pause, Scale, Step, Strategy};
use crate::model::weight::{Quantity, Weight};
use crate::validate::{routing, variant};

/// Most steps of a ladder, as in the CRD.
const STEPS_MAX: usize = 50;
/// Most pods that a plain number may name, as in the CRD.
const PODS_MAX: u32 = 100_000;
/// The port of Services that a strategy does not have.
const PORT: u16 = 80;
/// The longest time that a second side is looked at, as in the CRD.
const YEAR_SECS: u32 = 31_536_000;
/// The longest time that an old side stays, as in the CRD.
const DAY_SECS: u32 = 86_400;
/// Most revisions of a rollback window, as in the CRD.
const REVISIONS_MAX: u32 = 100;
/// Most samples that an experiment may ask for, as in the CRD.
const SAMPLES_MAX: u32 = 1_000_000_000;
/// Pods beyond the wanted replicas, and pods that may lack of them.
type Room = (Quantity, Quantity);

const STRATEGY: &str = "spec.strategy";
const CANARY: &str = Strategy::Canary.field();
const BLUE_GREEN: &str = Strategy::BlueGreen.field();
const AB_TESTING: &str = Strategy::AbTesting.field();
const SIMPLE: &str = Strategy::Simple.field();

/// Reads the strategy of a Rollout of this name, of which there has to be one.
///
/// # Errors
/// The first [`Problem`], with the path of its field.
pub fn ladder(strategy: &wire::Strategy, rollout: &str) -> Result<Ladder, Problem> {
    let wire::Strategy { canary: ladder, blue_green, ab_testing, simple: rolling } = strategy;
    match (ladder, blue_green, ab_testing, rolling) {
        (Some(chosen), None, None, None) => canary(chosen, rollout),
        (None, Some(chosen), None, None) => two_sides(chosen, rollout),
        (None, None, Some(chosen), None) => experiment(chosen, rollout),
        (None, None, None, Some(chosen)) => simple(chosen),
        (None, None, None, None) => {
            Err(Problem::new(STRATEGY, "is empty; write canary, blueGreen, abTesting or simple"))
        }
        (_, _, _, _) => {
            Err(Problem::new(STRATEGY, "holds more than one strategy; leave one of them"))
        }
    }
}

/// What stands for the ladder of a Rollout that has no pods.
pub fn nothing() -> Ladder {
    let all = Step { weight: Weight::FULL, scale: None, pause: Pause::None };
    plain(Strategy::Simple, (Quantity::Percent(100), Quantity::Count(0)), vec![all])
}

/// An experiment is a step without weight, in which its rules send requests to the whole new side,
/// and one to all traffic.
fn experiment(chosen: &wire::AbTesting, rollout: &str) -> Result<Ladder, Problem> {
    let field = |name: &str| format!("{AB_TESTING}.{name}");
    let port = port(field("port"), chosen.port)?;
    if chosen.variant_a_service == chosen.variant_b_service {
        let why = "is the variantAService; name another Service";
        return Err(Problem::new(field("variantBService"), why));
    }
    let most = chosen.max_duration.as_deref();
    let most = most.map(|text| {
        length(field("maxDuration"), text, "to wait for the command conclude-experiment")
    });
    let most = most.transpose()?;
    let pause = Pause::UntilConcluded(most);
    let analysis = chosen.analysis.as_ref().map(|asked| analysis(asked, most)).transpose()?;
    let scale = Some(Scale::Full);
    let services = [&chosen.variant_a_service, &chosen.variant_b_service];
    Ok(Ladder {
        port,
        analysis,
        experiment: Some(variant::of(&field("variantBMatch"), &chosen.variant_b_match)?),
        ..whole_sides(Strategy::AbTesting, services, Step { weight: Weight::NONE, scale, pause })
    }
    .through(routing::of(AB_TESTING, rollout, Some(&chosen.traffic_routing))?))
}

/// What the data of an experiment have to be before they decide. `most`: how long it lasts.
fn analysis(asked: &wire::AbAnalysis, most: Option<Duration>) -> Result<Analysis, Problem> {
    let field = |name: &str| format!("{AB_TESTING}.analysis.{name}");
    let least = asked.min_duration.as_deref();
    let least = least.map(|text| length(field("minDuration"), text, "for none")).transpose()?;
    if let Some((least, most)) = least.zip(most).filter(|(least, most)| most <= least) {
        let why = format!(
            "is {least} and has to be shorter than {AB_TESTING}.maxDuration, which is {most}; \
             make it shorter, or maxDuration longer"
        );
        return Err(Problem::new(field("minDuration"), why));
    }
    let samples = bounded(field("minSampleSize"), asked.min_sample_size, 1, SAMPLES_MAX)?;
    Ok(Analysis { least, samples })
}

/// Two whole sides behind two Services: a step on which the new one has no weight, and one to all
/// traffic.
fn whole_sides(strategy: Strategy, [old, new]: [&String; 2], beside: Step) -> Ladder {
    let all = Step { weight: Weight::FULL, scale: Some(Scale::Full), pause: Pause::None };
    Ladder {
        stable_service: Some(old.clone()),
        canary_service: Some(new.clone()),
        ..plain(strategy, (Quantity::Percent(100), Quantity::Count(0)), vec![beside, all])
    }
}

/// A ladder that names no object and has nothing but its steps.
fn plain(strategy: Strategy, (surge, unavailable): Room, steps: Vec<Step>) -> Ladder {
    Ladder {
        strategy,
        stable_service: None,
        canary_service: None,
        port: PORT,
        surge,
        unavailable,
        steps,
        routes: Vec::new(),
        labelled: Vec::new(),
        create: None,
        drain: DRAIN_DELAY,
        abort_drain: Some(DRAIN_DELAY),
        dynamic_stable: false,
        rollback_window: 0,
        experiment: None,
        analysis: None,
    }
}

/// A blue-green release is a step without traffic, which is looked at, and one to all of it.
fn two_sides(chosen: &wire::BlueGreen, rollout: &str) -> Result<Ladder, Problem> {
    let field = |name: &str| format!("{BLUE_GREEN}.{name}");
    let port = port(field("port"), chosen.port)?;
    if chosen.active_service == chosen.preview_service {
        let why = "is the activeService; name another Service";
        return Err(Problem::new(field("previewService"), why));
    }
    let scale = match chosen.preview_replica_count {
        None => Scale::Full,
        Some(count) => Scale::Count(bounded(field("previewReplicaCount"), count, 1, PODS_MAX)?),
    };
    let pause = match (chosen.auto_promotion_enabled, chosen.auto_promotion_seconds) {
        (true, None) => Pause::None,
        (true, Some(seconds)) => {
            let seconds = bounded(field("autoPromotionSeconds"), seconds, 1, YEAR_SECS)?;
            Pause::For(Duration::from_secs(u64::from(seconds)))
        }
        (false, None) => Pause::UntilPromoted,
        (false, Some(_)) => {
            let why = "needs autoPromotionEnabled: true; set it, or leave the seconds out";
            return Err(Problem::new(field("autoPromotionSeconds"), why));
        }
    };
    let routing = chosen.traffic_routing.as_ref();
    let drain = secs(field("scaleDownDelaySeconds"), chosen.scale_down_delay_seconds)?;
    let services = [&chosen.active_service, &chosen.preview_service];
    let look = Step { weight: Weight::NONE, scale: Some(scale), pause };
    Ok(Ladder {
        port,
        drain,
        abort_drain: Some(drain),
        ..whole_sides(Strategy::BlueGreen, services, look)
    }
    .through(routing::of(BLUE_GREEN, rollout, routing)?))
}

/// A rolling update is one step to all pods, by their number.
fn simple(simple: &wire::Simple) -> Result<Ladder, Problem> {
    let room = room(SIMPLE, &simple.max_surge, &simple.max_unavailable)?;
    let all = Step { weight: Weight::FULL, scale: None, pause: Pause::None };
    Ok(plain(Strategy::Simple, room, vec![all]))
}

fn canary(canary: &wire::Canary, rollout: &str) -> Result<Ladder, Problem> {
    let port = port(format!("{CANARY}.port"), canary.port)?;
    let room = room(CANARY, &canary.max_surge, &canary.max_unavailable)?;
    services(canary)?;
    let routing = canary.traffic_routing.as_ref();
    let (drain, abort_drain) = delays(canary)?;
    let steps = steps(&canary.steps, routing.is_some())?;
    Ok(Ladder {
        stable_service: canary.stable_service.clone(),
        canary_service: canary.canary_service.clone(),
        port,
        drain,
        abort_drain,
        dynamic_stable: dynamic(canary)?,
        rollback_window: window(canary)?,
        ..plain(Strategy::Canary, room, steps)
    }
    .through(routing::of(CANARY, rollout, routing)?))
}

fn dynamic(canary: &wire::Canary) -> Result<bool, Problem> {
    let dynamic = canary.dynamic_stable_scale.unwrap_or(false);
    if dynamic && canary.traffic_routing.is_none() {
        let field = format!("{CANARY}.dynamicStableScale");
        return Err(Problem::new(field, "needs trafficRouting; leave it out"));
    }
    Ok(dynamic)
}

fn window(canary: &wire::Canary) -> Result<usize, Problem> {
    let Some(window) = &canary.rollback_window else { return Ok(0) };
    let field = format!("{CANARY}.rollbackWindow.revisions");
    let revisions = bounded(field, window.revisions, 1, REVISIONS_MAX)?;
    Ok(usize::try_from(revisions).unwrap_or(usize::MAX))
}

/// Reads how long pods stay that lost their traffic, and those of a canary that failed.
fn delays(canary: &wire::Canary) -> Result<(Duration, Option<Duration>), Problem> {
    let delay = |field: &str, given: Option<i32>| {
        let Some(given) = given else { return Ok(None) };
        let field = format!("{CANARY}.{field}");
        if canary.traffic_routing.is_none() {
            return Err(Problem::new(field, "needs trafficRouting; leave it out"));
        }
        secs(field, given).map(Some)
    };
    let drain = delay("scaleDownDelaySeconds", canary.scale_down_delay_seconds)?;
    let drain = drain.unwrap_or(DRAIN_DELAY);
    match delay("abortScaleDownDelaySeconds", canary.abort_scale_down_delay_seconds)? {
        None => Ok((drain, Some(drain))),
        Some(Duration::ZERO) => Ok((drain, None)),
        Some(given) => Ok((drain, Some(given))),
    }
}

/// Reads the port of the Services.
fn port(field: String, given: i32) -> Result<u16, Problem> {
    bounded(field, given, 1, u32::from(u16::MAX)).map(|port| port.try_into().unwrap_or(u16::MAX))
}

/// Reads a number of seconds, a day at most.
fn secs(field: String, given: i32) -> Result<Duration, Problem> {
    bounded(field, given, 0, DAY_SECS).map(|secs| Duration::from_secs(u64::from(secs)))
}

/// Reads a whole number that has to lie in `least..=most`.
///
/// # Errors
/// A [`Problem`] of the field that says what was given and what is allowed.
pub fn bounded(
    field: impl Into<String>,
    number: i32,
    least: u32,
    most: u32,
) -> Result<u32, Problem> {
    let inside = u32::try_from(number).ok().filter(|n| (least..=most).contains(n));
    inside.ok_or_else(|| Problem::new(field, format!("is {number}, has to be {least} to {most}")))
}

fn services(canary: &wire::Canary) -> Result<(), Problem> {
    let problem = |field: &str, why: &str| Err(Problem::new(format!("{CANARY}.{field}"), why));
    match (&canary.stable_service, &canary.canary_service) {
        (Some(stable), Some(other)) if stable == other => {
            problem("canaryService", "is the stableService; name another Service")
        }
        (Some(_), None) => problem("canaryService", "is missing beside stableService"),
        (None, Some(_)) => problem("stableService", "is missing beside canaryService"),
        (None, None) if canary.traffic_routing.is_some() => problem(
            "trafficRouting",
            "needs stableService and canaryService; name the two Services",
        ),
        (None, None) | (Some(_), Some(_)) => Ok(()),
    }
}

/// Reads how many pods there may be beyond the replicas, and how many may lack of them.
fn room(strategy: &str, surge: &IntOrString, unavailable: &IntOrString) -> Result<Room, Problem> {
    let field = format!("{strategy}.maxSurge");
    let surge = quantity(field.clone(), surge)?;
    let unavailable = quantity(format!("{strategy}.maxUnavailable"), unavailable)?;
    if [surge, unavailable].iter().all(|part| part.up(PODS_MAX) == 0) {
        let why = "and maxUnavailable cannot both be 0; raise one of them";
        return Err(Problem::new(field, why));
    }
    Ok((surge, unavailable))
}

fn quantity(field: String, quantity: &IntOrString) -> Result<Quantity, Problem> {
    match quantity {
        IntOrString::Int(number) => bounded(field, *number, 0, PODS_MAX).map(Quantity::Count),
        IntOrString::String(text) => {
            let digits = text.strip_suffix('%').filter(|digits| {
                !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit())
            });
            let percent = digits.and_then(|digits| digits.parse::<u32>().ok());
            let shown: String = text.chars().take(40).collect();
            percent.filter(|percent| *percent <= 100).map(Quantity::Percent).ok_or_else(|| {
                Problem::new(field, format!("is {shown:?}, has to be a number or 0% to 100%"))
            })
        }
    }
}

/// Reads the steps. One without a weight keeps that of the step before, 0 for the first; so does
/// one without a scale.
fn steps(steps: &[wire::Step], routed: bool) -> Result<Vec<Step>, Problem> {
    if steps.is_empty() || steps.len() > STEPS_MAX {
        let why = format!("holds {} steps, has to hold 1 to {STEPS_MAX}", steps.len());
        return Err(Problem::new(format!("{CANARY}.steps"), why));
    }
    let mut ladder = Vec::with_capacity(steps.len());
    let (mut before, mut pods) = (Weight::NONE, None);
    for (index, step) in steps.iter().enumerate() {
        let field = format!("{CANARY}.steps[{index}]");
        let wire::Step { set_weight, set_canary_scale: set_scale, pause: stays } = step;
        if set_weight.is_none() && set_scale.is_none() && stays.is_none() {
            return Err(Problem::new(field, "needs setWeight, setCanaryScale or pause"));
        }
        let weight = weight(&field, *set_weight, before)?;
        let scale = set_scale.as_ref().map_or(Ok(pods), |set| scale(&field, set, routed))?;
        let none = matches!(scale, Some(Scale::Count(0) | Scale::Share(Weight::NONE)));
        if none && weight > Weight::NONE {
            let why = format!(
                "has weight {weight} and a setCanaryScale of 0; raise it, or set \
                 matchTrafficWeight: true"
            );
            return Err(Problem::new(field, why));
        }
        let pause = pause(&field, stays.as_ref())?;
        ladder.push(Step { weight, scale, pause });
        (before, pods) = (weight, scale);
    }
    Ok(ladder)
}

fn weight(step: &str, set: Option<i32>, before: Weight) -> Result<Weight, Problem> {
    let Some(set) = set else { return Ok(before) };
    let field = format!("{step}.setWeight");
    let percent = bounded(field.clone(), set, 0, 100)?;
    match Weight::new(percent) {
        Some(weight) if weight >= before => Ok(weight),
        Some(_) | None => {
            let why = format!("is {set}, less than {before} before it; sort the steps");
            Err(Problem::new(field, why))
        }
    }
}

/// Reads how many pods the canary has; `None`: as many as its weight needs.
fn scale(step: &str, set: &wire::CanaryScale, routed: bool) -> Result<Option<Scale>, Problem> {
    let field = format!("{step}.setCanaryScale");
    if !routed {
        return Err(Problem::new(field, "needs trafficRouting; leave it out"));
    }
    match (set.weight, set.replicas, set.match_traffic_weight) {
        (Some(percent), None, None) => {
            let percent = bounded(format!("{field}.weight"), percent, 0, 100)?;
            Ok(Some(Scale::Share(Weight::new(percent).unwrap_or(Weight::FULL))))
        }
        (None, Some(count), None) => {
            bounded(format!("{field}.replicas"), count, 0, PODS_MAX).map(Scale::Count).map(Some)
        }
        (None, None, Some(true)) => Ok(None),
        (Some(_) | None, Some(_) | None, Some(_) | None) => {
            Err(Problem::new(field, "takes one of weight, replicas and matchTrafficWeight: true"))
        }
    }
}

fn pause(step: &str, pause: Option<&wire::Pause>) -> Result<Pause, Problem> {
    let Some(pause) = pause else { return Ok(Pause::None) };
    let Some(text) = &pause.duration else { return Ok(Pause::UntilPromoted) };
    length(format!("{step}.pause.duration"), text, "to wait for the command promote")
        .map(Pause::For)
}

/// Reads a length of time; without one a command is waited for.
/// Reads a length of time that is not 0. `without`: what it means to leave it out.
///
/// # Errors
/// The [`Problem`] of the field.
pub fn length(field: String, text: &str, without: &str) -> Result<Duration, Problem> {
    match Duration::parse(text) {
        Ok(Duration::ZERO) => {
            let why = format!("has to be longer than 0; leave it out {without}");
            Err(Problem::new(field, why))
        }
        Ok(duration) => Ok(duration),
        Err(fault) => Err(Problem::new(field, fault)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::model::spec::{RouteKind, RouteName};
    use crate::validate::fixture;

    fn read(patch: Value) -> Result<Ladder, Problem> {
        let rollout = fixture::rollout(json!({"spec": {"strategy": {"canary": patch}}}));
        ladder(&rollout.spec.strategy, "shop")
    }

    fn only(strategy: Value) -> Result<Ladder, Problem> {
        ladder(&serde_json::from_value(strategy).unwrap(), "shop")
    }

    #[test]
    fn a_rollout_has_one_strategy() {
        let canary = json!({"steps": [{"setWeight": 20}]});
        for (case, strategy, why) in [
            ("none", json!({}), "is empty; write canary, blueGreen, abTesting or simple"),
            ("both", json!({"canary": canary, "simple": {}}), "holds more than one"),
        ] {
            let problem = only(strategy).unwrap_err();
            assert_eq!(problem.field, "spec.strategy", "{case}");
            assert!(problem.why.contains(why), "{case}: {problem}");
        }
        assert_eq!(only(json!({"canary": canary})).unwrap().last(), 2);
    }

    #[test]
    fn a_blue_green_release_is_looked_at_and_then_takes_all_traffic() {
        let with = |patch: Value| {
            let chosen = json!({"activeService": "shop", "previewService": "preview",
                "trafficRouting": {"gatewayAPI": {"httpRoute": "shop"}}});
            only(json!({"blueGreen": fixture::merged(&chosen, &patch)}))
        };
        let step = |percent, scale, pause| {
            let weight = Weight::new(percent).unwrap();
            Step { weight, scale: Some(scale), pause }
        };
        let minute = Duration::from_secs(60);
        for (case, patch, scale, pause) in [
            ("by itself", json!({}), Scale::Full, Pause::None),
            ("after a time", json!({"autoPromotionSeconds": 60}), Scale::Full, Pause::For(minute)),
            (
                "by a person, with few pods",
                json!({"autoPromotionEnabled": false, "previewReplicaCount": 2}),
                Scale::Count(2),
                Pause::UntilPromoted,
            ),
        ] {
            let ladder = with(patch).unwrap();
            let steps = [step(0, scale, pause), step(100, Scale::Full, Pause::None)];
            assert_eq!(ladder.steps, steps, "{case}");
            assert_eq!((ladder.last(), ladder.drain), (2, DRAIN_DELAY), "{case}");
        }
        let pods = |count, replicas| step(0, Scale::Count(count), Pause::None).pods(replicas);
        assert_eq!((pods(2, 5), pods(9, 5), pods(2, 0)), (2, 5, 0));
        for (patch, field) in [
            (json!({"previewService": "shop"}), "previewService"),
            (json!({"port": 0}), "port"),
            (json!({"previewReplicaCount": 0}), "previewReplicaCount"),
            (json!({"autoPromotionSeconds": 0}), "autoPromotionSeconds"),
            (
                json!({"autoPromotionEnabled": false, "autoPromotionSeconds": 5}),
                "autoPromotionSeconds",
            ),
            (json!({"scaleDownDelaySeconds": 86_401}), "scaleDownDelaySeconds"),
        ] {
            let problem = with(patch).unwrap_err();
            assert_eq!(problem.field, format!("{BLUE_GREEN}.{field}"));
        }
    }

    #[test]
    fn an_experiment_is_a_step_without_weight_and_one_to_all_traffic() {
        let with = |patch: Value| {
            let chosen = json!({"variantAService": "shop", "variantBService": "shop-b",
                "variantBMatch": {"header": {"name": "x-group", "value": "b"}},
                "trafficRouting": {"gatewayAPI": {"httpRoute": "shop"}}});
            only(json!({"abTesting": fixture::merged(&chosen, &patch)}))
        };
        let hour = Duration::from_secs(3600);
        for (patch, most) in [(json!({}), None), (json!({"maxDuration": "1h"}), Some(hour))] {
            let ladder = with(patch).unwrap();
            let pauses: Vec<_> =
                ladder.steps.iter().map(|s| (s.weight.percent(), s.pause)).collect();
            assert_eq!(pauses, [(0, Pause::UntilConcluded(most)), (100, Pause::None)]);
            assert!(ladder.steps.iter().all(|step| step.scale == Some(Scale::Full)));
            let routing = ladder.routing();
            assert_eq!(routing.experiment, ladder.experiment);
            assert_eq!(routing.routes, [RouteName::new(RouteKind::Http, "shop")]);
            assert_eq!(routing.canary.as_deref(), Some("shop-b"));
        }
        for (patch, field) in [
            (json!({"variantBService": "shop"}), "variantBService"),
            (json!({"port": 0}), "port"),
            (json!({"maxDuration": "0s"}), "maxDuration"),
            (json!({"maxDuration": "7d"}), "maxDuration"),
            (json!({"analysis": {"minDuration": "0s"}}), "analysis.minDuration"),
            (json!({"analysis": {"minDuration": "1d"}}), "analysis.minDuration"),
            (json!({"analysis": {"minSampleSize": 0}}), "analysis.minSampleSize"),
            (
                json!({"maxDuration": "1h", "analysis": {"minDuration": "60m"}}),
                "analysis.minDuration",
            ),
            (json!({"variantBMatch": {"header": null}}), "variantBMatch"),
        ] {
            assert_eq!(with(patch).unwrap_err().field, format!("{AB_TESTING}.{field}"));
        }
    }

    #[test]
    fn data_decide_an_experiment_once_they_may() {
        let with = |patch: Value| {
            let chosen = json!({"variantAService": "shop", "variantBService": "shop-b",
                "variantBMatch": {"header": {"name": "x-group", "value": "b"}},
                "trafficRouting": {"gatewayAPI": {"httpRoute": "shop"}}});
            only(json!({"abTesting": fixture::merged(&chosen, &patch)})).map(|l| l.analysis)
        };
        let minutes = |count: u64| Some(Duration::from_secs(60 * count));
        let read = |least, samples| Ok(Some(Analysis { least, samples }));
        assert_eq!(with(json!({})), Ok(None));
        assert_eq!(with(json!({"analysis": {}})), read(None, 30));
        let asked = json!({"minDuration": "59m", "minSampleSize": 7});
        let both = json!({"maxDuration": "1h", "analysis": asked});
        assert_eq!(with(both), read(minutes(59), 7));
        let longer = json!({"maxDuration": "1h", "analysis": {"minDuration": "2h"}});
        let problem = with(longer).unwrap_err().to_string();
        for part in ["minDuration: is 2h", "abTesting.maxDuration, which is 1h", "make it shorter"]
        {
            assert!(problem.contains(part), "{problem}");
        }
    }

    #[test]
    fn a_rolling_update_is_one_step_to_all_pods() {
        let ladder = only(json!({"simple": {"maxUnavailable": 1}})).unwrap();
        assert_eq!(ladder.steps, [Step { weight: Weight::FULL, scale: None, pause: Pause::None }]);
        assert_eq!((ladder.surge, ladder.unavailable), (Quantity::Percent(25), Quantity::Count(1)));
        assert_eq!((ladder.last(), ladder.routing().routes), (1, vec![]));
        for (simple, field) in [
            (json!({"maxSurge": 0}), "maxSurge"),
            (json!({"maxSurge": "101%"}), "maxSurge"),
            (json!({"maxUnavailable": -1}), "maxUnavailable"),
        ] {
            let problem = only(json!({"simple": simple})).unwrap_err();
            assert_eq!(problem.field, format!("{SIMPLE}.{field}"));
        }
    }

    #[test]
    fn a_step_keeps_the_weight_before_it_and_pauses_as_told() {
        let step =
            |percent, pause| Step { weight: Weight::new(percent).unwrap(), scale: None, pause };
        for (case, steps, want) in [
            (
                "a weight alone does not pause",
                json!([{"setWeight": 20}]),
                vec![step(20, Pause::None)],
            ),
            (
                "a first pause stands at 0",
                json!([{"pause": {}}]),
                vec![step(0, Pause::UntilPromoted)],
            ),
            (
                "a pause keeps the weight",
                json!([{"setWeight": 20}, {"pause": {"duration": "90s"}}]),
                vec![step(20, Pause::None), step(20, Pause::For(Duration::from_secs(90)))],
            ),
            (
                "`pause:` without a value waits",
                json!([{"setWeight": 20, "pause": null}]),
                vec![step(20, Pause::UntilPromoted)],
            ),
            (
                "equal weights are no fall",
                json!([{"setWeight": 20}, {"setWeight": 20}]),
                vec![step(20, Pause::None), step(20, Pause::None)],
            ),
        ] {
            assert_eq!(read(json!({"steps": steps})).unwrap().steps, want, "{case}");
        }
    }

    #[test]
    fn a_scale_holds_until_another_one() {
        let scales = |steps: Value| -> Vec<Option<Scale>> {
            let ladder = read(json!({"steps": steps})).unwrap();
            ladder.steps.iter().map(|step| step.scale).collect()
        };
        let steps = json!([
            {"setCanaryScale": {"replicas": 0}}, {"setCanaryScale": {"weight": 25}},
            {"setWeight": 5}, {"pause": {}}, {"setWeight": 9, "setCanaryScale": {"replicas": 3}},
            {"setCanaryScale": {"matchTrafficWeight": true}}, {"setWeight": 50}]);
        let share = Some(Scale::Share(Weight::new(25).unwrap()));
        let (none, three) = (Some(Scale::Count(0)), Some(Scale::Count(3)));
        assert_eq!(scales(steps), [none, share, share, share, three, None, None]);
        for (case, percent, scale, want) in [
            ("a share is rounded up", 0, share, 3),
            ("a number is a number", 5, three, 3),
            ("never fewer than the weight needs", 50, three, 5),
            ("never more than a full side", 0, Some(Scale::Count(99)), 10),
        ] {
            let weight = Weight::new(percent).unwrap();
            assert_eq!(Step { weight, scale, pause: Pause::None }.pods(10), want, "{case}");
        }
    }

    #[test]
    fn a_scale_that_cannot_be_is_a_problem() {
        let why = "takes one of weight, replicas and matchTrafficWeight";
        for (steps, field, why) in [
            (json!([{"setCanaryScale": {}}]), "steps[0].setCanaryScale", why),
            (json!([{"setCanaryScale": {"matchTrafficWeight": false}}]), "steps[0]", why),
            (json!([{"setCanaryScale": {"replicas": 1, "weight": 2}}]), "steps[0]", why),
            (json!([{"setCanaryScale": {"weight": 101}}]), "steps[0]", "is 101"),
            (json!([{"setCanaryScale": {"replicas": -1}}]), "steps[0]", "is -1"),
            (
                json!([{"setCanaryScale": {"replicas": 0}}, {"setWeight": 5}]),
                "steps[1]",
                "has weight 5 and a setCanaryScale of 0",
            ),
        ] {
            let problem = read(json!({"steps": steps})).unwrap_err();
            assert!(problem.field.starts_with(&format!("{CANARY}.{field}")), "{problem}");
            assert!(problem.why.contains(why), "{problem}");
        }
        let steps = json!([{"setWeight": 5, "setCanaryScale": {"replicas": 2}}]);
        let problem = read(json!({"steps": steps, "trafficRouting": null})).unwrap_err();
        assert!(problem.why.contains("needs trafficRouting"), "{problem}");
    }

    #[test]
    fn pods_stay_as_long_as_told_behind_a_route() {
        let secs = Duration::from_secs;
        for (case, patch, want) in [
            ("by default", json!({}), (DRAIN_DELAY, Some(DRAIN_DELAY))),
            ("one for both", json!({"scaleDownDelaySeconds": 5}), (secs(5), Some(secs(5)))),
            ("at once", json!({"scaleDownDelaySeconds": 0}), (secs(0), Some(secs(0)))),
            (
                "what failed longer",
                json!({"abortScaleDownDelaySeconds": 600}),
                (DRAIN_DELAY, Some(secs(600))),
            ),
            ("what failed is kept", json!({"abortScaleDownDelaySeconds": 0}), (DRAIN_DELAY, None)),
        ] {
            let ladder = read(patch).unwrap();
            assert_eq!((ladder.drain, ladder.abort_drain), want, "{case}");
        }
    }

    #[test]
    fn quantities_are_numbers_or_percentages() {
        let canary = read(json!({})).unwrap();
        assert_eq!((canary.surge, canary.unavailable), (Quantity::Percent(25), Quantity::Count(0)));
        let canary = read(json!({"maxSurge": 3, "maxUnavailable": "100%"})).unwrap();
        assert_eq!(
            (canary.surge, canary.unavailable),
            (Quantity::Count(3), Quantity::Percent(100))
        );
        let window = |patch| read(patch).unwrap().rollback_window;
        assert_eq!(window(json!({"rollbackWindow": {"revisions": 3}})), 3);
        assert_eq!(window(json!({})), 0);
        assert_eq!(
            (canary.port, canary.routes[0].to_string()),
            (8080, "HTTPRoute shop".to_owned())
        );
    }

    #[test]
    fn a_problem_names_its_field() {
        let steps = |steps: Value| json!({"steps": steps});
        let pause = |text: &str| steps(json!([{"setWeight": 1, "pause": {"duration": text}}]));
        let many: Vec<Value> = (0..51).map(|_| json!({"setWeight": 1})).collect();
        let duration = "steps[0].pause.duration";
        for (patch, field, why) in [
            (steps(json!([])), "steps", "holds 0 steps, has to hold 1 to 50"),
            (steps(json!(many)), "steps", "holds 51 steps"),
            (steps(json!([{"setWeight": 1}, {}])), "steps[1]", "needs setWeight, setCanary"),
            (
                steps(json!([{"setWeight": 101}])),
                "steps[0].setWeight",
                "is 101, has to be 0 to 100",
            ),
            (steps(json!([{"setWeight": -1}])), "steps[0].setWeight", "is -1"),
            (
                steps(json!([{"setWeight": 9}, {"pause": {}}, {"setWeight": 8}])),
                "steps[2].setWeight",
                "is 8, less than 9 before it; sort the steps",
            ),
            (pause("0s"), duration, "longer than 0"),
            (pause("5м"), duration, "unknown unit at byte 1"),
            (pause(""), duration, "is empty"),
            (pause("9999h"), duration, "longer than the longest"),
            (json!({"port": 0}), "port", "is 0, has to be 1 to 65535"),
            (json!({"port": 65536}), "port", "is 65536"),
            (json!({"maxSurge": -1}), "maxSurge", "is -1, has to be 0 to 100000"),
            (json!({"maxSurge": "150%"}), "maxSurge", "\"150%\", has to be a number or 0% to 100%"),
            (json!({"maxSurge": "25 %"}), "maxSurge", "\"25 %\""),
            (json!({"maxUnavailable": "%"}), "maxUnavailable", "\"%\""),
            (json!({"maxUnavailable": "5"}), "maxUnavailable", "\"5\""),
            (json!({"maxSurge": 0, "maxUnavailable": "00%"}), "maxSurge", "cannot both be 0"),
            (json!({"scaleDownDelaySeconds": 86_401}), "scaleDownDelaySeconds", "is 86401"),
            (json!({"abortScaleDownDelaySeconds": -1}), "abortScaleDownDelaySeconds", "is -1"),
            (
                json!({"scaleDownDelaySeconds": 9, "trafficRouting": null}),
                "scaleDownDelaySeconds",
                "needs trafficRouting",
            ),
            (
                json!({"dynamicStableScale": true, "trafficRouting": null}),
                "dynamicStableScale",
                "needs trafficRouting",
            ),
            (json!({"rollbackWindow": {"revisions": 0}}), "rollbackWindow.revisions", "is 0"),
            (json!({"canaryService": null}), "canaryService", "is missing beside stableService"),
            (json!({"stableService": null}), "stableService", "is missing beside canaryService"),
            (json!({"stableService": "a", "canaryService": "a"}), "canaryService", "name another"),
            (
                json!({"stableService": null, "canaryService": null}),
                "trafficRouting",
                "name the two Services",
            ),
        ] {
            let problem = read(patch).unwrap_err();
            assert_eq!(problem.field, format!("{CANARY}.{field}"));
            assert!(problem.why.contains(why), "{problem}");
        }
    }
}
