//! Status: reads what is stored. Garbage in it never fails a turn: what cannot be read counts as
//! lost, and the ReplicaSets tell the rest.

use crate::api::status as wire;
use crate::model::binding::{Field, TargetKind};
use crate::model::command::Intent;
use crate::model::gate::{Bypass, GateState};
use crate::model::moment::Timestamp;
use crate::model::notice::Notice;
use crate::model::release::{About, Card, Listed, ReleaseRef};
use crate::model::spec::{HeaderMatch, MatchKind, RouteKind, RouteName, Routing, Strategy};
use crate::model::status::{
    Attempt, Bake, BakeResult, Cause, Condition, Counts, Delivered, Draining, Entry, FailedCheck,
    Phase, Pin, Quarantined, Rejected, Restart, Revert, Side, Skipped, Stage, Status, Trigger,
    Waiting,
};
use crate::model::template::Revision;
use crate::model::weight::Weight;

/// The generation that a Rollout without a status was last looked at.
const NEVER: i64 = -1;

/// Reads a stored status.
///
/// An attempt or side that is there and cannot be read makes all of it lost, apart from
/// `observedGeneration`: acting on half of it could send traffic to the wrong side. Entries of
/// lists that cannot be read are left out.
pub fn parse(stored: Option<&wire::RolloutStatus>) -> Status {
    let lost = |observed_generation| Status { observed_generation, ..Status::default() };
    let Some(stored) = stored else { return lost(NEVER) };
    known(stored).unwrap_or_else(|| lost(stored.observed_generation))
}

fn known(stored: &wire::RolloutStatus) -> Option<Status> {
    let word = stored.phase.as_deref();
    let phase = Phase::ALL.into_iter().find(|phase| Some(phase.as_str()) == word);
    Some(Status {
        observed_generation: stored.observed_generation,
        phase: phase.unwrap_or_default(),
        attempt: readable(stored.attempt.as_ref(), attempt)?,
        stable: readable(stored.stable.as_ref(), side)?,
        canary: readable(stored.canary.as_ref(), side)?,
        draining: stored.draining.iter().filter_map(draining).collect(),
        history: stored.history.iter().filter_map(entry).collect(),
        quarantine: stored.quarantine.iter().filter_map(quarantined).collect(),
        targets: stored.targets.iter().filter_map(target).collect(),
        intent: stored.intent.as_ref().map(intent),
        pin: stored.pin.as_ref().and_then(pin),
        available: stored.available_releases.iter().map(listed).collect(),
        candidates: stored.release_candidates.iter().map(listed).collect(),
        gated: stored.gated_release_candidates.iter().map(listed).collect(),
        card: Card {
            artifact_type: stored.artifact_type.clone(),
            source: stored.source.clone(),
            title: stored.title.clone(),
            description: stored.description.clone(),
        },
        skipped: stored.skipped_tags.as_ref().map(skipped).unwrap_or_default(),
        restart: stored.restart.as_ref().and_then(restart),
        frozen_since: stored.frozen_since.as_deref().and_then(Timestamp::parse),
        outbox: stored.outbox.iter().filter_map(notice).collect(),
        rejected: stored.rejected_commands.iter().map(rejected).collect(),
        gates: stored.gates.iter().map(gate).collect(),
        bypass: stored.bypass.as_ref().and_then(bypass),
        waiting: stored.waiting_for.iter().filter_map(waiting).collect(),
        conditions: stored.conditions.iter().filter_map(condition).collect(),
        counts: Counts {
            replicas: count(stored.replicas),
            ready: count(stored.ready_replicas),
            available: count(stored.available_replicas),
            updated: count(stored.updated_replicas),
        },
        selector: stored.selector.clone().unwrap_or_default(),
    })
}

/// `None` only where something is there and cannot be read.
fn readable<W: ?Sized, M>(stored: Option<&W>, read: impl Fn(&W) -> Option<M>) -> Option<Option<M>> {
    match stored {
        Some(stored) => read(stored).map(Some),
        None => Some(None),
    }
}

fn rejected(stored: &wire::Rejected) -> Rejected {
    Rejected { key: stored.annotation.clone(), value: stored.value.clone() }
}

fn gate(stored: &wire::Gate) -> GateState {
    GateState {
        name: stored.name.clone(),
        passing: stored.passing,
        allowed: stored.allowed_versions.clone(),
        message: stored.message.clone(),
        bypassed: stored.bypassed,
    }
}

fn bypass(stored: &wire::Bypass) -> Option<Bypass> {
    Some(Bypass { version: stored.version.clone(), since: Timestamp::parse(&stored.since)? })
}

fn attempt(stored: &wire::Attempt) -> Option<Attempt> {
    Some(Attempt {
        number: number(stored.number).filter(|number| *number > 0)?,
        release: release(&stored.release),
        revision: Revision::parse(&stored.revision)?,
        trigger: trigger(&stored.trigger)?,
        delivered: stored.delivered,
        started_at: Timestamp::parse(&stored.started_at)?,
        stage: stage(stored)?,
        weight: weight(stored.weight)?,
        highest: weight(stored.highest_weight.max(stored.weight))?,
        unpaused: stored.unpaused,
        concludes: stored.concludes,
        routing: readable(stored.routing.as_ref(), routing)?,
        previous: readable(stored.previous.as_ref(), side)?,
        bake: stored.bake.as_ref().and_then(bake),
        kept: stored.kept,
        unblocked: stored.unblocked,
        intent: stored.intent.as_ref().map(intent),
    })
}

fn intent(stored: &wire::Intent) -> Intent {
    Intent { user: stored.user.clone(), message: stored.message.clone() }
}

/// Who asked for an ended attempt, and why; by itself nobody did.
fn asked(stored: &wire::Entry) -> Option<Intent> {
    let by = stored.triggered_by.as_ref().filter(|by| by.kind == wire::TriggeredBy::USER);
    let user = by.map(|by| by.name.clone()).unwrap_or_default();
    let intent = Intent { user, message: stored.message.clone() };
    (intent != Intent::default()).then_some(intent)
}

fn bake(stored: &wire::Bake) -> Option<Bake> {
    Some(Bake {
        result: BakeResult::parse(&stored.status)?,
        started_at: stored.start_time.as_deref().and_then(Timestamp::parse),
        ended_at: Timestamp::parse(&stored.end_time)?,
        message: stored.message.clone(),
        failed: failed(&stored.failed_health_checks),
    })
}

fn failed(stored: &[wire::FailedHealthCheck]) -> Vec<FailedCheck> {
    let check = |check: &wire::FailedHealthCheck| FailedCheck {
        namespace: check.namespace.clone(),
        name: check.name.clone(),
        message: check.message.clone(),
    };
    stored.iter().map(check).collect()
}

fn target(stored: &wire::Target) -> Option<Delivered> {
    let revert = |stored: &wire::Revert| Revert {
        manager: stored.manager.clone(),
        value: stored.value.clone(),
        times: count(stored.times),
    };
    Some(Delivered {
        field: Field {
            kind: TargetKind::parse(&stored.kind)?,
            namespace: stored.namespace.clone(),
            name: stored.name.clone(),
            variable: stored.variable.clone(),
        },
        value: stored.value.clone(),
        since: Timestamp::parse(&stored.since)?,
        reverts: stored.reverted_by.iter().map(revert).collect(),
        bound: !stored.unbound,
    })
}

fn routing(stored: &wire::Routing) -> Option<Routing> {
    let header = |stored: &wire::HeaderMatch| {
        let (name, value) = (stored.name.clone(), stored.value.clone());
        Some(HeaderMatch { name, value, kind: MatchKind::parse(&stored.kind)? })
    };
    let route = |(kind, name): (&str, &String)| {
        Some(RouteName { kind: RouteKind::parse(kind)?, name: name.clone() })
    };
    let routes: Vec<RouteName> = stored.all().map(route).collect::<Option<_>>()?;
    Some(Routing {
        strategy: Strategy::parse(&stored.strategy)?,
        routes,
        stable: stored.stable_service.clone(),
        canary: stored.canary_service.clone(),
        port: u16::try_from(stored.port).ok()?,
        experiment: readable(stored.variant_match.as_ref(), header)?,
    })
}

fn stage(stored: &wire::Attempt) -> Option<Stage> {
    let entered_at = Timestamp::parse(&stored.entered_at)?;
    let cause = || Cause::parse(stored.cause.as_deref()?);
    match stored.stage.as_str() {
        wire::Attempt::FIRST => Some(Stage::First { entered_at }),
        wire::Attempt::STEP => Some(Stage::Step {
            number: number(stored.step).filter(|step| *step > 0)?,
            entered_at,
            paused_at: readable(stored.paused_at.as_deref(), Timestamp::parse)?,
        }),
        wire::Attempt::PROMOTING => Some(Stage::Promoting { entered_at }),
        wire::Attempt::BAKING => {
            let since = readable(stored.bake_start_time.as_deref(), Timestamp::parse)?;
            Some(Stage::Baking { entered_at, since })
        }
        wire::Attempt::ROLLING_BACK => Some(Stage::RollingBack { entered_at, cause: cause()? }),
        wire::Attempt::COMPLETED => Some(Stage::Completed { at: entered_at }),
        wire::Attempt::ENDED => Some(Stage::Ended { at: entered_at, cause: cause()? }),
        _ => None,
    }
}

fn side(stored: &wire::Side) -> Option<Side> {
    Some(Side {
        revision: Revision::parse(&stored.revision)?,
        release: release(&stored.release),
        replicas: count(stored.replicas),
        ready: count(stored.ready_replicas),
    })
}

/// A time that cannot be read makes the draining begin again, which is the longer wait.
fn draining(stored: &wire::Draining) -> Option<Draining> {
    let since = stored.since.as_deref().and_then(Timestamp::parse);
    Some(Draining { revision: Revision::parse(&stored.revision)?, since })
}

fn entry(stored: &wire::Entry) -> Option<Entry> {
    let cause = match stored.outcome.as_str() {
        wire::Entry::COMPLETED => None,
        outcome => Some(Cause::parse(outcome)?),
    };
    Some(Entry {
        number: number(stored.number)?,
        release: release(&stored.release),
        revision: Revision::parse(&stored.revision)?,
        trigger: trigger(&stored.trigger)?,
        started_at: Timestamp::parse(&stored.started_at)?,
        ended_at: Timestamp::parse(&stored.ended_at)?,
        cause,
        weight: weight(stored.weight)?,
        bake: baked(stored),
        intent: asked(stored),
    })
}

fn baked(stored: &wire::Entry) -> Option<Bake> {
    Some(Bake {
        result: BakeResult::parse(stored.bake_status.as_deref()?)?,
        started_at: stored.bake_start_time.as_deref().and_then(Timestamp::parse),
        ended_at: stored.bake_end_time.as_deref().and_then(Timestamp::parse)?,
        message: stored.bake_status_message.clone().unwrap_or_default(),
        failed: failed(&stored.failed_health_checks),
    })
}

fn quarantined(stored: &wire::Quarantined) -> Option<Quarantined> {
    Some(Quarantined {
        revision: Revision::parse(&stored.revision)?,
        release: release(&stored.release),
        trigger: trigger(&stored.trigger)?,
        attempt: number(stored.attempt)?,
        since: Timestamp::parse(&stored.since)?,
    })
}

fn restart(stored: &wire::Restart) -> Option<Restart> {
    let number = number(stored.number).filter(|number| *number > 0)?;
    Some(Restart { since: Timestamp::parse(&stored.since)?, number })
}

fn pin(stored: &wire::Pin) -> Option<Pin> {
    Some(Pin {
        image: stored.image.clone(),
        until_newer_than: stored.until_newer_than.clone(),
        since: Timestamp::parse(&stored.since)?,
        forced: stored.forced,
    })
}

fn listed(stored: &wire::Listed) -> Listed {
    Listed {
        tag: stored.tag.clone(),
        digest: stored.digest.clone(),
        version: stored.version.clone(),
        about: About { revision: stored.revision.clone(), created: stored.created.clone() },
    }
}

fn skipped(stored: &wire::SkippedTags) -> Skipped {
    Skipped { count: u32::try_from(stored.count).unwrap_or(0), some: stored.tags.clone() }
}

fn notice(stored: &wire::Notice) -> Option<Notice> {
    Some(Notice {
        id: stored.id.clone(),
        warning: stored.kind == wire::Notice::WARNING,
        reason: stored.reason.clone(),
        message: stored.message.clone(),
        at: Timestamp::parse(&stored.at)?,
    })
}

fn waiting(stored: &wire::Waiting) -> Option<Waiting> {
    Some(Waiting {
        kind: stored.kind.clone(),
        name: stored.name.clone(),
        since: Timestamp::parse(&stored.since)?,
        until: stored.until.as_deref().and_then(Timestamp::parse),
        automatic: stored.automatic,
        message: stored.message.clone(),
        command: stored.command.clone(),
    })
}

/// Reads a stored condition.
pub fn condition(stored: &wire::Condition) -> Option<Condition> {
    Some(Condition {
        kind: stored.kind.clone(),
        status: stored.status.clone(),
        reason: stored.reason.clone(),
        message: stored.message.clone(),
        since: Timestamp::parse(&stored.last_transition_time)?,
        observed_generation: stored.observed_generation,
    })
}

fn trigger(stored: &str) -> Option<Trigger> {
    match stored {
        wire::Attempt::BY_RELEASE => Some(Trigger::Release),
        wire::Attempt::BY_TEMPLATE => Some(Trigger::Template),
        _ => None,
    }
}

fn release(stored: &wire::Release) -> ReleaseRef {
    ReleaseRef {
        version: stored.version.clone(),
        tag: stored.tag.clone(),
        digest: stored.digest.clone(),
        image: stored.image.clone(),
        about: About { revision: stored.revision.clone(), created: stored.created.clone() },
    }
}

fn number(stored: i64) -> Option<u32> {
    u32::try_from(stored).ok()
}

fn weight(stored: i64) -> Option<Weight> {
    Weight::new(number(stored)?)
}

fn count(stored: i32) -> u32 {
    u32::try_from(stored).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::validate::fixture;

    const AT: &str = "2026-01-02T03:04:05Z";

    fn attempt(patch: &Value) -> Value {
        let base = json!({"number": 7, "revision": fixture::REVISIONS[0], "trigger": "Release",
            "stage": "Step", "step": 2, "weight": 50, "startedAt": AT, "enteredAt": AT});
        fixture::merged(&base, patch)
    }

    fn read(status: Value) -> Status {
        parse(Some(&serde_json::from_value(status).unwrap()))
    }

    #[test]
    fn an_attempt_that_cannot_be_read_is_a_lost_status() {
        for (case, patch, kept) in [
            ("as stored", json!({}), true),
            ("a stage of an older version", json!({"stage": "Climbing"}), false),
            ("a step below the ladder", json!({"step": 0}), false),
            ("a negative number", json!({"number": -7}), false),
            ("a number of 64 bits", json!({"number": 1_u64 << 40}), false),
            ("attempt 0", json!({"number": 0}), false),
            ("a weight over 100", json!({"weight": 101}), false),
            ("another form of revision", json!({"revision": "v1"}), false),
            ("an unknown trigger", json!({"trigger": "Moon"}), false),
            ("no time", json!({"enteredAt": "soon"}), false),
            ("no time of a pause", json!({"pausedAt": "soon"}), false),
            ("a roll-back without a cause", json!({"stage": "RollingBack"}), false),
            ("a roll-back of an unknown cause", json!({"stage": "Ended", "cause": "Moon"}), false),
        ] {
            let status = read(json!({"observedGeneration": 3, "attempt": attempt(&patch),
                "phase": "Paused"}));
            assert_eq!(status.attempt.is_some(), kept, "{case}");
            assert_eq!(status.observed_generation, 3, "{case}");
            let lost = Status { observed_generation: 3, ..Status::default() };
            assert_eq!(status == lost, !kept, "{case}");
        }
    }

    #[test]
    fn garbage_beside_the_attempt_is_left_out() {
        let entry = |patch: Value| {
            let base = json!({"number": 6, "revision": fixture::REVISIONS[0], "trigger": "Template",
                "outcome": "Aborted", "weight": 20, "startedAt": AT, "endedAt": AT});
            fixture::merged(&base, &patch)
        };
        let status = read(json!({
            "observedGeneration": 3,
            "phase": "Dreaming",
            "attempt": attempt(&json!({})),
            "history": [entry(json!({"outcome": "Moon"})), entry(json!({})),
                entry(json!({"weight": -1})), entry(json!({"endedAt": ""}))],
            "draining": [{"revision": "x"}, {"revision": fixture::REVISIONS[0], "since": "x"}],
            "quarantine": [{"revision": "x", "trigger": "Release", "attempt": 1, "since": AT}],
            "pin": {"image": "a:1", "since": "x"},
            "frozenSince": "x",
            "rejected": {"annotation": "the one of an older version", "value": "yes"},
            "conditions": [{"type": "Ready", "status": "True", "reason": "R", "message": "m",
                "lastTransitionTime": "x", "observedGeneration": 3}],
            "replicas": -5,
        }));
        assert_eq!(status.phase, Phase::Initializing);
        assert_eq!(
            status.history.iter().map(|entry| entry.cause).collect::<Vec<_>>(),
            [Some(Cause::Aborted)]
        );
        let revision = Revision::parse(fixture::REVISIONS[0]).unwrap();
        assert_eq!(status.draining, [Draining { revision, since: None }]);
        let rest = (status.quarantine, status.pin, status.frozen_since, status.conditions);
        assert_eq!(rest, (vec![], None, None, vec![].into()));
        assert_eq!(status.counts.replicas, 0);
        let side = json!({"stable": {"revision": "?"}, "attempt": attempt(&json!({}))});
        assert_eq!(read(side).attempt, None, "a side that cannot be read: all is lost");
        assert_eq!(parse(None).observed_generation, NEVER);
    }
}
