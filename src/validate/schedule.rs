//! Schedule: reads a schedule, the Rollouts that it is for and the gates that it made. It never
//! decides.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kube::ResourceExt;
use kube::api::ObjectMeta;
use sha2::{Digest, Sha256};

use crate::api::foreign::Namespace;
use crate::api::gate::{RolloutGate, RolloutGateSpec};
use crate::api::rollout::Rollout;
use crate::api::schedule::{
    ClusterRolloutSchedule, DayOfWeek, RolloutSchedule, ScheduleAction, ScheduleRule,
    ScheduleStatus,
};
use crate::api::selector::LabelSelector;
use crate::model::moment::Timestamp;
use crate::model::moves::Target;
use crate::model::problem::Problem;
use crate::model::schedule::{self as model, Action, ManagedGate, Rule, Schedule, Times, Watched};
use crate::model::template::hex;
use crate::model::zone::{Day, Weekday, Zone};
use crate::validate::gate::turns_at;
use crate::validate::selector::selects;
use crate::validate::status::condition;

/// Digits by which the gates of two schedules of one name are told apart.
const MARK_LENGTH: usize = 8;

/// A schedule of either kind.
#[derive(Debug, Clone)]
pub enum Either {
    /// Of one namespace.
    One(Arc<RolloutSchedule>),
    /// Of many.
    Many(Arc<ClusterRolloutSchedule>),
}

/// What is read of a schedule, whichever kind it is.
struct Parts<'a> {
    meta: &'a ObjectMeta,
    kind: &'static str,
    rollouts: &'a LabelSelector,
    namespaces: Option<&'a LabelSelector>,
    rules: &'a [ScheduleRule],
    timezone: Option<&'a str>,
    action: ScheduleAction,
    status: Option<&'a ScheduleStatus>,
}

impl Either {
    /// Tells its metadata.
    pub fn meta(&self) -> &ObjectMeta {
        self.parts().meta
    }

    /// Tells the name of its kind.
    pub fn kind(&self) -> &'static str {
        self.parts().kind
    }

    fn parts(&self) -> Parts<'_> {
        match self {
            Self::One(one) => Parts {
                meta: &one.metadata,
                kind: "RolloutSchedule",
                rollouts: &one.spec.rollout_selector,
                namespaces: None,
                rules: &one.spec.rules,
                timezone: one.spec.timezone.as_deref(),
                action: one.spec.action,
                status: one.status.as_ref(),
            },
            Self::Many(many) => Parts {
                meta: &many.metadata,
                kind: "ClusterRolloutSchedule",
                rollouts: &many.spec.rollout_selector,
                namespaces: many.spec.namespace_selector.as_ref(),
                rules: &many.spec.rules,
                timezone: many.spec.timezone.as_deref(),
                action: many.spec.action,
                status: many.status.as_ref(),
            },
        }
    }
}

/// The raw objects of one turn of a schedule.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The schedule.
    pub schedule: Either,
    /// The Rollouts that it may be for.
    pub rollouts: Vec<Arc<Rollout>>,
    /// The namespaces, where it asks for their labels.
    pub namespaces: Vec<Arc<Namespace>>,
    /// The gates that name it as their owner, and those that stand where its own are to be.
    pub gates: Vec<Arc<RolloutGate>>,
    /// What the API server said where it would not take a write to a gate, by namespace and name.
    pub refused: BTreeMap<(String, String), String>,
}

/// Tells how the names of the gates of a schedule begin.
pub fn mark(schedule: &Either) -> String {
    let Parts { meta, kind, .. } = schedule.parts();
    let namespace = meta.namespace.as_deref().unwrap_or_default();
    let name = meta.name.as_deref().unwrap_or_default();
    let digest = Sha256::digest(format!("{kind}/{namespace}/{name}").as_bytes());
    format!("{name}-{}", hex(&digest, MARK_LENGTH))
}

/// Makes of what was read what a turn may rely on.
pub fn watched(seen: &Seen) -> Watched {
    let parts = seen.schedule.parts();
    let uid = parts.meta.uid.as_deref().unwrap_or_default();
    let ours = |gate: &&Arc<RolloutGate>| {
        let mut owners = gate.metadata.owner_references.iter().flatten();
        owners.any(|owner| owner.uid == uid && owner.controller == Some(true))
    };
    let (own, others): (Vec<_>, Vec<_>) = seen.gates.iter().partition(ours);
    let name = |gate: &&Arc<RolloutGate>| (gate.namespace().unwrap_or_default(), gate.name_any());
    Watched {
        namespace: parts.meta.namespace.clone().unwrap_or_default(),
        name: parts.meta.name.clone().unwrap_or_default(),
        mark: mark(&seen.schedule),
        generation: parts.meta.generation.unwrap_or(0),
        schedule: read(&parts),
        rollouts: rollouts(seen, &parts),
        gates: own.into_iter().map(|gate| managed(gate)).collect(),
        others: others.iter().map(name).collect(),
        refused: seen.refused.clone(),
        status: parts.status.map(status).unwrap_or_else(|| model::ScheduleStatus {
            observed_generation: -1,
            ..Default::default()
        }),
    }
}

/// The Rollouts that a schedule is for.
fn rollouts(seen: &Seen, parts: &Parts<'_>) -> BTreeSet<(String, String)> {
    let known: BTreeMap<String, &Arc<Namespace>> =
        seen.namespaces.iter().map(|namespace| (namespace.name_any(), namespace)).collect();
    let reached = |rollout: &&Arc<Rollout>| match (parts.meta.namespace.as_ref(), parts.namespaces)
    {
        (Some(own), _) => rollout.metadata.namespace.as_ref() == Some(own),
        (None, None) => true,
        (None, Some(selector)) => {
            let namespace = rollout.metadata.namespace.as_ref().and_then(|name| known.get(name));
            namespace.is_some_and(|one| selects(selector, one.metadata.labels.as_ref()))
        }
    };
    let stays = |rollout: &&Arc<Rollout>| rollout.metadata.deletion_timestamp.is_none();
    let selected =
        |rollout: &&Arc<Rollout>| selects(parts.rollouts, rollout.metadata.labels.as_ref());
    let all = seen.rollouts.iter().filter(stays).filter(selected).filter(reached);
    all.map(|rollout| (rollout.namespace().unwrap_or_default(), rollout.name_any())).collect()
}

fn managed(gate: &RolloutGate) -> ManagedGate {
    ManagedGate {
        namespace: gate.namespace().unwrap_or_default(),
        target: Target {
            name: gate.name_any(),
            uid: gate.uid().unwrap_or_default(),
            resource_version: gate.resource_version().unwrap_or_default(),
        },
        rollout: gate.spec.rollout_ref.as_ref().map(|one| one.name.clone()).unwrap_or_default(),
        passing: gate.spec.passing.unwrap_or(true),
        turns_at: turns_at(gate),
        plain: plain(&gate.spec),
        ending: gate.metadata.deletion_timestamp.is_some(),
    }
}

/// Tells whether a gate asks for nothing but to be open or closed.
fn plain(spec: &RolloutGateSpec) -> bool {
    let RolloutGateSpec {
        rollout_ref: _,
        rollout_selector,
        passing: _,
        allowed_versions,
        approval,
        depends_on,
        verified,
    } = spec;
    let asks = allowed_versions.is_some() || approval.is_some() || depends_on.is_some();
    !asks && verified.is_none() && rollout_selector.is_none()
}

fn read(parts: &Parts<'_>) -> Result<Schedule, Problem> {
    let name = parts.timezone.unwrap_or("UTC");
    let zone = Zone::named(name).ok_or_else(|| {
        let why = format!("{name:?} is no time zone of the IANA database, such as Europe/Berlin");
        Problem::new("spec.timezone", why)
    })?;
    let action = match parts.action {
        ScheduleAction::Allow => Action::Allow,
        ScheduleAction::Deny => Action::Deny,
    };
    let rules = parts.rules.iter().enumerate().map(|(at, wire)| rule(at, wire));
    Ok(Schedule { zone, action, rules: rules.collect::<Result<_, _>>()? })
}

fn rule(at: usize, wire: &ScheduleRule) -> Result<Rule, Problem> {
    let field = |name: &str| format!("spec.rules[{at}].{name}");
    let times = wire.time_range.as_ref().map(|range| {
        let read = |name: &str, text: &str| {
            let why = || format!("{text:?} is no time of day, such as 09:00");
            minute(text).ok_or_else(|| Problem::new(field(&format!("timeRange.{name}")), why()))
        };
        Ok(Times { start: read("start", &range.start)?, end: read("end", &range.end)? })
    });
    let dates = wire.date_range.as_ref().map(|range| {
        let read = |name: &str, text: &str| {
            let why = || format!("{text:?} is no day of the calendar, such as 2026-12-24");
            Day::parse(text).ok_or_else(|| Problem::new(field(&format!("dateRange.{name}")), why()))
        };
        Ok((read("start", &range.start)?, read("end", &range.end)?))
    });
    let weekdays = wire.days_of_week.iter().flatten().map(|day| weekday(*day)).collect();
    let name = wire.name.clone().unwrap_or_else(|| format!("rules[{at}]"));
    Ok(Rule { name, times: times.transpose()?, weekdays, dates: dates.transpose()? })
}

/// Reads `HH:MM`.
fn minute(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let two = |text: &str| {
        let digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<u16>().ok().filter(|_| digits)
    };
    let (hour, minute) = (two(hour)?, two(minute)?);
    (hour < 24 && minute < 60).then_some(hour * 60 + minute)
}

fn weekday(day: DayOfWeek) -> Weekday {
    match day {
        DayOfWeek::Monday => Weekday::Monday,
        DayOfWeek::Tuesday => Weekday::Tuesday,
        DayOfWeek::Wednesday => Weekday::Wednesday,
        DayOfWeek::Thursday => Weekday::Thursday,
        DayOfWeek::Friday => Weekday::Friday,
        DayOfWeek::Saturday => Weekday::Saturday,
        DayOfWeek::Sunday => Weekday::Sunday,
    }
}

fn status(stored: &ScheduleStatus) -> model::ScheduleStatus {
    model::ScheduleStatus {
        observed_generation: stored.observed_generation,
        active: stored.active,
        rules: stored.active_rules.clone(),
        next: stored.next_transition.as_deref().and_then(Timestamp::parse),
        gates: stored.managed_gates.clone(),
        rollouts: stored.matching_rollouts.clone(),
        conditions: stored.conditions.iter().filter_map(condition).collect(),
    }
}

#[cfg(test)]
mod tests;
