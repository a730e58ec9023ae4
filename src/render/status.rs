//! Status: writes what is to be stored. `validate::status` reads it back to the same.

use crate::api::status as wire;
use crate::model::command::Intent;
use crate::model::gate::{Bypass, GateState};
use crate::model::moment::Timestamp;
use crate::model::notice::Notice;
use crate::model::release::{About, Card, Listed, ReleaseRef};
use crate::model::spec::{HeaderMatch, RouteKind, RouteName, Routing};
use crate::model::status::{
    Attempt, Bake, Condition, Counts, Delivered, Draining, Entry, FailedCheck, Pin, Quarantined,
    Rejected, Restart, Revert, Side, Skipped, Stage, Status, Trigger, Waiting,
};

/// Writes a status as it is stored.
pub fn status(status: &Status) -> wire::RolloutStatus {
    let Status {
        observed_generation,
        phase,
        attempt: present,
        stable,
        canary,
        draining: drains,
        history,
        quarantine,
        targets,
        intent: intended,
        pin: pinned,
        available: known,
        candidates,
        gated,
        card: Card { artifact_type, source, title, description },
        skipped: left_out,
        restart: restarts,
        frozen_since,
        outbox,
        rejected: answered,
        gates,
        bypass: passes_by,
        waiting: holds,
        conditions,
        counts,
        selector,
    } = status;
    let Counts { replicas, ready, available, updated } = counts;
    wire::RolloutStatus {
        observed_generation: *observed_generation,
        phase: Some(phase.as_str().to_owned()),
        attempt: present.as_ref().map(attempt),
        stable: stable.as_ref().map(side),
        canary: canary.as_ref().map(side),
        draining: drains.iter().map(draining).collect(),
        history: history.iter().map(entry).collect(),
        quarantine: quarantine.iter().map(quarantined).collect(),
        targets: targets.iter().map(target).collect(),
        intent: intended.as_ref().map(intent),
        pin: pinned.as_ref().map(pin),
        available_releases: known.iter().map(listed).collect(),
        release_candidates: candidates.iter().map(listed).collect(),
        gated_release_candidates: gated.iter().map(listed).collect(),
        artifact_type: artifact_type.clone(),
        source: source.clone(),
        title: title.clone(),
        description: description.clone(),
        skipped_tags: skipped(left_out),
        restart: restarts.as_ref().map(restart),
        frozen_since: time(*frozen_since),
        outbox: outbox.iter().map(notice).collect(),
        rejected_commands: answered.iter().map(rejected).collect(),
        gates: gates.iter().map(gate).collect(),
        bypass: passes_by.as_ref().map(bypass),
        waiting_for: holds.iter().map(waiting).collect(),
        conditions: conditions.iter().map(condition).collect(),
        replicas: count(*replicas),
        ready_replicas: count(*ready),
        available_replicas: count(*available),
        updated_replicas: count(*updated),
        selector: Some(selector.clone()).filter(|selector| !selector.is_empty()),
    }
}

fn attempt(attempt: &Attempt) -> wire::Attempt {
    let Attempt {
        number,
        release: delivers,
        revision,
        trigger: by,
        delivered,
        started_at,
        stage,
        weight,
        highest,
        routing,
        unpaused,
        concludes,
        previous,
        bake: baked,
        kept,
        unblocked,
        intent: asked,
    } = attempt;
    let (name, step, cause, paused_at) = match stage {
        Stage::Baking { .. } => (wire::Attempt::BAKING, 0, None, None),
        Stage::First { .. } => (wire::Attempt::FIRST, 0, None, None),
        Stage::Step { number, paused_at, entered_at: _ } => {
            (wire::Attempt::STEP, *number, None, *paused_at)
        }
        Stage::Promoting { .. } => (wire::Attempt::PROMOTING, 0, None, None),
        Stage::RollingBack { cause, .. } => (wire::Attempt::ROLLING_BACK, 0, Some(cause), None),
        Stage::Completed { .. } => (wire::Attempt::COMPLETED, 0, None, None),
        Stage::Ended { cause, .. } => (wire::Attempt::ENDED, 0, Some(cause), None),
    };
    wire::Attempt {
        number: i64::from(*number),
        release: release(delivers),
        revision: revision.to_string(),
        trigger: trigger(*by),
        delivered: *delivered,
        stage: name.to_owned(),
        step: i64::from(step),
        weight: i64::from(weight.percent()),
        highest_weight: i64::from(highest.percent()),
        unpaused: *unpaused,
        concludes: *concludes,
        routing: routing.as_ref().map(used),
        cause: cause.map(|cause| cause.as_str().to_owned()),
        bake_start_time: time(stage.bakes_since()),
        previous: previous.as_ref().map(side),
        bake: baked.as_ref().map(bake),
        kept: *kept,
        unblocked: *unblocked,
        intent: asked.as_ref().map(intent),
        started_at: started_at.to_string(),
        entered_at: stage.entered_at().to_string(),
        paused_at: time(paused_at),
    }
}

fn used(routing: &Routing) -> wire::Routing {
    let header = |header: &HeaderMatch| wire::HeaderMatch {
        kind: header.kind.as_str().to_owned(),
        name: header.name.clone(),
        value: header.value.clone(),
    };
    wire::Routing {
        strategy: routing.strategy.as_str().to_owned(),
        http_route: named(routing, RouteKind::Http),
        grpc_route: named(routing, RouteKind::Grpc),
        routes: several(routing),
        stable_service: routing.stable.clone(),
        canary_service: routing.canary.clone(),
        port: i32::from(routing.port),
        variant_match: routing.experiment.as_ref().map(header),
    }
}

fn side(side: &Side) -> wire::Side {
    let Side { revision, release: delivers, replicas, ready } = side;
    wire::Side {
        revision: revision.to_string(),
        release: release(delivers),
        replicas: count(*replicas),
        ready_replicas: count(*ready),
    }
}

fn draining(draining: &Draining) -> wire::Draining {
    let Draining { revision, since } = draining;
    wire::Draining { revision: revision.to_string(), since: time(*since) }
}

fn entry(entry: &Entry) -> wire::Entry {
    let Entry {
        number,
        release: delivered,
        revision,
        trigger: by,
        started_at,
        ended_at,
        cause,
        weight,
        bake: baked,
        intent: asked,
    } = entry;
    let baked = baked.as_ref();
    wire::Entry {
        number: i64::from(*number),
        release: release(delivered),
        revision: revision.to_string(),
        trigger: trigger(*by),
        outcome: cause.map_or(wire::Entry::COMPLETED, |cause| cause.as_str()).to_owned(),
        weight: i64::from(weight.percent()),
        started_at: started_at.to_string(),
        ended_at: ended_at.to_string(),
        triggered_by: Some(triggered_by(asked.as_ref())),
        message: asked.as_ref().map(|asked| asked.message.clone()).unwrap_or_default(),
        bake_status: baked.map(|bake| bake.result.as_str().to_owned()),
        bake_status_message: baked.map(|bake| bake.message.clone()),
        bake_start_time: baked.and_then(|bake| time(bake.started_at)),
        bake_end_time: baked.map(|bake| bake.ended_at.to_string()),
        failed_health_checks: baked.map(failed_checks).unwrap_or_default(),
    }
}

fn intent(intent: &Intent) -> wire::Intent {
    let Intent { user, message } = intent.clone();
    wire::Intent { user, message }
}

/// A person, where people chose it; else Stairlock by itself.
fn triggered_by(intent: Option<&Intent>) -> wire::TriggeredBy {
    let user = intent.map(|intent| intent.user.as_str()).filter(|user| !user.is_empty());
    let (kind, name) = match user {
        Some(user) => (wire::TriggeredBy::USER, user),
        None => (wire::TriggeredBy::SYSTEM, "stairlock"),
    };
    wire::TriggeredBy { kind: kind.to_owned(), name: name.to_owned() }
}

fn bake(bake: &Bake) -> wire::Bake {
    let Bake { result, started_at, ended_at, message, failed: _ } = bake;
    wire::Bake {
        status: result.as_str().to_owned(),
        message: message.clone(),
        start_time: time(*started_at),
        end_time: ended_at.to_string(),
        failed_health_checks: failed_checks(bake),
    }
}

fn failed_checks(bake: &Bake) -> Vec<wire::FailedHealthCheck> {
    let check = |check: &FailedCheck| {
        let FailedCheck { namespace, name, message } = check.clone();
        wire::FailedHealthCheck { name, namespace, message }
    };
    bake.failed.iter().map(check).collect()
}

fn target(delivered: &Delivered) -> wire::Target {
    let Delivered { field, value, since, reverts, bound } = delivered;
    let revert = |revert: &Revert| {
        let Revert { manager, value, times } = revert.clone();
        wire::Revert { manager, value, times: count(times) }
    };
    wire::Target {
        kind: field.kind.as_str().to_owned(),
        namespace: field.namespace.clone(),
        name: field.name.clone(),
        variable: field.variable.clone(),
        value: value.clone(),
        since: since.to_string(),
        reverted_by: reverts.iter().map(revert).collect(),
        unbound: !bound,
    }
}

fn quarantined(quarantined: &Quarantined) -> wire::Quarantined {
    let Quarantined { revision, release: delivered, trigger: by, attempt, since } = quarantined;
    wire::Quarantined {
        revision: revision.to_string(),
        release: release(delivered),
        trigger: trigger(*by),
        attempt: i64::from(*attempt),
        since: since.to_string(),
    }
}

fn pin(pin: &Pin) -> wire::Pin {
    let Pin { image, until_newer_than, since, forced } = pin;
    wire::Pin {
        image: image.clone(),
        until_newer_than: until_newer_than.clone(),
        since: since.to_string(),
        forced: *forced,
    }
}

fn listed(listed: &Listed) -> wire::Listed {
    let Listed { tag, digest, version, about: About { revision, created } } = listed;
    wire::Listed {
        tag: tag.clone(),
        digest: digest.clone(),
        version: version.clone(),
        revision: revision.clone(),
        created: created.clone(),
    }
}

fn skipped(skipped: &Skipped) -> Option<wire::SkippedTags> {
    let Skipped { count, some } = skipped;
    (*count > 0).then(|| wire::SkippedTags { count: i64::from(*count), tags: some.clone() })
}

fn restart(restart: &Restart) -> wire::Restart {
    let Restart { since, number } = restart;
    wire::Restart { since: since.to_string(), number: i64::from(*number) }
}

fn notice(notice: &Notice) -> wire::Notice {
    let Notice { id, warning, reason, message, at } = notice;
    let kind = if *warning { wire::Notice::WARNING } else { wire::Notice::NORMAL };
    wire::Notice {
        id: id.clone(),
        kind: kind.to_owned(),
        reason: reason.clone(),
        message: message.clone(),
        at: at.to_string(),
    }
}

fn rejected(rejected: &Rejected) -> wire::Rejected {
    let Rejected { key, value } = rejected;
    wire::Rejected { annotation: key.clone(), value: value.clone() }
}

fn gate(gate: &GateState) -> wire::Gate {
    let GateState { name, passing, allowed, message, bypassed } = gate;
    wire::Gate {
        name: name.clone(),
        passing: *passing,
        allowed_versions: allowed.clone(),
        message: message.clone(),
        bypassed: *bypassed,
    }
}

fn bypass(bypass: &Bypass) -> wire::Bypass {
    let Bypass { version, since } = bypass;
    wire::Bypass { version: version.clone(), since: since.to_string() }
}

fn waiting(waiting: &Waiting) -> wire::Waiting {
    let Waiting { kind, name, since, until, automatic, message, command } = waiting;
    wire::Waiting {
        kind: kind.clone(),
        name: name.clone(),
        since: since.to_string(),
        until: time(*until),
        automatic: *automatic,
        message: message.clone(),
        command: command.clone(),
    }
}

/// Writes a condition as it is stored.
pub fn condition(condition: &Condition) -> wire::Condition {
    let Condition { kind, status, reason, message, since, observed_generation } = condition;
    wire::Condition {
        kind: kind.clone(),
        status: status.clone(),
        reason: reason.clone(),
        message: message.clone(),
        last_transition_time: since.to_string(),
        observed_generation: *observed_generation,
    }
}

fn release(release: &ReleaseRef) -> wire::Release {
    let ReleaseRef { version, tag, digest, image, about: About { revision, created } } = release;
    wire::Release {
        version: version.clone(),
        tag: tag.clone(),
        digest: digest.clone(),
        image: image.clone(),
        revision: revision.clone(),
        created: created.clone(),
    }
}

fn trigger(trigger: Trigger) -> String {
    let word = match trigger {
        Trigger::Release => wire::Attempt::BY_RELEASE,
        Trigger::Template => wire::Attempt::BY_TEMPLATE,
    };
    word.to_owned()
}

fn time(time: Option<Timestamp>) -> Option<String> {
    time.map(|time| time.to_string())
}

fn count(count: u32) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

/// The name of the only route, where it is of this kind.
fn named(routing: &Routing, kind: RouteKind) -> Option<String> {
    let [only] = routing.routes.as_slice() else { return None };
    (only.kind == kind).then(|| only.name.clone())
}

/// The routes, where they are more than one.
fn several(routing: &Routing) -> Vec<wire::UsedRoute> {
    let [_, _, ..] = routing.routes.as_slice() else { return Vec::new() };
    let used = |route: &RouteName| wire::UsedRoute {
        kind: route.kind.as_str().to_owned(),
        name: route.name.clone(),
    };
    routing.routes.iter().map(used).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::binding::{Field, TargetKind};
    use crate::model::moment::Timestamp;
    use crate::model::spec::{MatchKind, Strategy};
    use crate::model::status::{BakeResult, Cause, Phase};
    use crate::model::template::Revision;
    use crate::model::weight::Weight;
    use crate::validate::status::parse;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(1_767_323_045_000 + millis)
    }

    fn delivered() -> ReleaseRef {
        ReleaseRef {
            version: "1.2.3".into(),
            tag: "v1.2.3".into(),
            digest: format!("sha256:{}", "a".repeat(64)),
            image: "registry.example/shop:v1.2.3".into(),
            about: About { revision: "5f6c0a9".into(), created: "2026-01-02T03:04:05Z".into() },
        }
    }

    fn card() -> Card {
        let [artifact_type, source, title, description] =
            ["application/x", "https://git.example/shop", "Shop", "sells"].map(str::to_owned);
        Card { artifact_type, source, title, description }
    }

    fn routing() -> Routing {
        let name = str::to_owned;
        let route = RouteName::new(RouteKind::Grpc, "shop");
        let (stable, canary) = (Some(name("stable")), Some(name("canary")));
        let kind = MatchKind::RegularExpression;
        let header = HeaderMatch { name: name("Cookie"), value: name("^a=b$"), kind };
        let strategy = Strategy::AbTesting;
        let routes = vec![route];
        Routing { strategy, routes, stable, canary, port: 80, experiment: Some(header) }
    }

    fn bake(result: BakeResult) -> Bake {
        let (namespace, name) = ("prod".to_owned(), "shop".to_owned());
        let failed = vec![FailedCheck { namespace, name, message: "m".into() }];
        let started_at = Some(at(3));
        Bake { result, started_at, ended_at: at(4), message: "m".into(), failed }
    }

    fn asked() -> Intent {
        Intent { user: "jo".into(), message: "as agreed".into() }
    }

    fn target(bound: bool) -> Delivered {
        let kind = TargetKind::Kustomization;
        let (namespace, name) = ("flux-system".to_owned(), "apps".to_owned());
        let field = Field { kind, namespace, name, variable: "SHOP_TAG".into() };
        let revert = |manager: &str| {
            let (manager, value) = (manager.into(), "1.2.3".into());
            Revert { manager, value, times: 1 }
        };
        let reverts = ["", "kubectl-edit"].map(revert).to_vec();
        Delivered { field, value: "1.2.3".into(), since: at(5), reverts, bound }
    }

    fn entry(cause: Option<Cause>, by: Trigger) -> Entry {
        Entry {
            number: 6,
            release: ReleaseRef::default(),
            revision: Revision::parse("5f6c0a91be").unwrap(),
            trigger: by,
            started_at: at(0),
            ended_at: at(1),
            cause,
            weight: Weight::new(50).unwrap(),
            bake: Some(bake(BakeResult::Succeeded)),
            intent: Some(asked()),
        }
    }

    fn full(stage: Stage, by: Trigger) -> Status {
        let revision = Revision::parse("5f6c0a91be").unwrap();
        let weight = Weight::new(50).unwrap();
        let delivers = delivered();
        let side =
            |ready| Side { revision: revision.clone(), release: delivered(), replicas: 5, ready };
        let attempt = Attempt {
            number: 7,
            release: delivers.clone(),
            revision: revision.clone(),
            trigger: by,
            delivered: by == Trigger::Release,
            started_at: at(0),
            stage,
            weight,
            highest: weight,
            routing: Some(routing()),
            unpaused: true,
            concludes: true,
            previous: Some(side(5)),
            bake: Some(bake(BakeResult::Failed)),
            kept: true,
            unblocked: true,
            intent: Some(asked()),
        };
        Status {
            observed_generation: 3,
            phase: Phase::Paused,
            attempt: Some(attempt),
            stable: Some(side(5)),
            canary: Some(side(0)),
            draining: [None, Some(at(7))]
                .map(|since| Draining { revision: revision.clone(), since })
                .to_vec(),
            history: [None, Some(Cause::Aborted), Some(Cause::Superseded)]
                .map(|cause| entry(cause, by))
                .into(),
            quarantine: vec![blamed(&revision, by)],
            targets: [true, false].map(target).to_vec(),
            intent: Some(asked()),
            pin: Some(Pin {
                image: "shop:1".into(),
                until_newer_than: "1.2.3".into(),
                since: at(9),
                forced: true,
            }),
            available: [known()].into(),
            candidates: vec![known()],
            gated: vec![known()],
            card: card(),
            skipped: Skipped { count: 2, some: vec!["latest".into(), "main".into()] },
            restart: Some(Restart { since: at(13), number: 2 }),
            frozen_since: Some(at(10)),
            outbox: [true, false].map(said).to_vec(),
            rejected: ["kulta.io/promote", "stairlock.dev/retry"]
                .map(|key| Rejected { key: key.into(), value: "yes".into() })
                .to_vec(),
            gates: gates(),
            bypass: Some(Bypass { version: "1.2.3".into(), since: at(14) }),
            waiting: [None, Some(at(11))].map(held).to_vec(),
            conditions: [ready()].into(),
            counts: Counts { replicas: 4, ready: 3, available: 2, updated: 1 },
            selector: "app=shop".into(),
        }
    }

    fn blamed(revision: &Revision, trigger: Trigger) -> Quarantined {
        let (revision, release) = (revision.clone(), delivered());
        Quarantined { revision, release, trigger, attempt: 6, since: at(8) }
    }

    fn gates() -> Vec<GateState> {
        [None, Some(vec!["1.2.3".to_owned()])].map(gated).to_vec()
    }

    fn gated(allowed: Option<Vec<String>>) -> GateState {
        let (passing, bypassed) = (allowed.is_some(), allowed.is_none());
        let message = if passing { String::new() } else { "m".to_owned() };
        GateState { name: "freeze".into(), passing, allowed, message, bypassed }
    }

    fn known() -> Listed {
        Listed {
            tag: "v1.2.3".into(),
            digest: Some("sha256:1".into()),
            version: "1.2.3".into(),
            about: About { revision: "5f6c0a9".into(), created: "2026-01-02T03:04:05Z".into() },
        }
    }

    fn ready() -> Condition {
        Condition {
            kind: "Ready".into(),
            status: "True".into(),
            reason: "Admitted".into(),
            message: "m".into(),
            since: at(12),
            observed_generation: 3,
        }
    }

    fn said(warning: bool) -> Notice {
        Notice { id: "i".into(), warning, reason: "R".into(), message: "m".into(), at: at(1) }
    }

    fn held(until: Option<Timestamp>) -> Waiting {
        Waiting {
            kind: "Paused".into(),
            name: "shop".into(),
            since: at(0),
            until,
            automatic: true,
            message: "m".into(),
            command: until.map(|_| "kubectl stairlock promote shop".into()),
        }
    }

    #[test]
    fn what_is_written_is_read_back_to_the_same() {
        let stages = [
            Stage::First { entered_at: at(1) },
            Stage::Step { number: 2, entered_at: at(1), paused_at: None },
            Stage::Step { number: 2, entered_at: at(1), paused_at: Some(at(678)) },
            Stage::Promoting { entered_at: at(1) },
            Stage::Baking { entered_at: at(1), since: None },
            Stage::Baking { entered_at: at(1), since: Some(at(2)) },
            Stage::RollingBack { entered_at: at(1), cause: Cause::DeadlineExceeded },
            Stage::Completed { at: at(1) },
            Stage::Ended { at: at(1), cause: Cause::Reverted },
        ];
        for stage in stages {
            for by in [Trigger::Release, Trigger::Template] {
                let model = full(stage.clone(), by);
                let stored = serde_json::to_value(status(&model)).unwrap();
                let wire = serde_json::from_value(stored).unwrap();
                assert_eq!(parse(Some(&wire)), model, "{stage:?}");
            }
        }
        for phase in Phase::ALL {
            let empty = Status { phase, observed_generation: -1, ..Status::default() };
            assert_eq!(parse(Some(&status(&empty))), empty);
        }
    }

    #[test]
    fn a_count_that_does_not_fit_is_the_greatest() {
        let counts = Counts { replicas: u32::MAX, ..Counts::default() };
        let wire = status(&Status { counts, ..Status::default() });
        assert_eq!(wire.replicas, i32::MAX);
    }
}
