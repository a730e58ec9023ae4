//! Health: HealthChecks begin anew with each attempt, so that nothing that was said of the release
//! before counts for this one. It never says that one is healthy.

use crate::decide::act::Act;
use crate::model::health::{Check, Health};
use crate::model::hold::Hold;
use crate::model::moment::Timestamp;
use crate::model::moves::Write;
use crate::model::snapshot::Snapshot;

/// Sets the checks back that last spoke before the attempt in progress began.
pub fn reset(seen: &Snapshot, now: Timestamp) -> Option<Act> {
    let attempt = seen.status.attempt.as_ref().filter(|attempt| attempt.stage.open())?;
    let before = |check: &Check| check.changed_at.is_none_or(|at| at < attempt.started_at);
    let old = |check: &&Check| check.reached && before(check);
    let reset = |check: &Check| Write::ResetCheck {
        namespace: check.namespace.clone(),
        target: check.target.clone(),
        at: now.max(attempt.started_at),
    };
    let writes: Vec<Write> = seen.checks.iter().flatten().filter(old).map(reset).collect();
    (!writes.is_empty()).then_some(Act::Apply(writes))
}

/// Keeps a release from starting by itself while a selected check finds an error.
///
/// # Errors
/// The hold.
pub fn allows(seen: &Snapshot) -> Result<(), Hold> {
    let denied = seen.checks.iter().flatten().find(|check| !check.reached);
    if let Some(Check { namespace, name, .. }) = denied {
        return Err(Hold::AccessDenied { source: format!("HealthCheck {namespace}/{name}") });
    }
    let bad = seen.checks.iter().flatten().find(|check| check.health == Health::Unhealthy);
    let Some(Check { namespace, name, message, .. }) = bad else { return Ok(()) };
    Err(Hold::UnhealthyCheck { check: format!("{namespace}/{name}"), why: message.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::fixture::{at, at_rest, climbing};
    use crate::model::moves::Target;

    fn check(health: Health, changed_at: Option<Timestamp>) -> Check {
        Check {
            namespace: "prod".to_owned(),
            name: "shop".to_owned(),
            health,
            message: "5xx".to_owned(),
            changed_at,
            error_at: None,
            target: Target {
                name: "shop".to_owned(),
                uid: "c".to_owned(),
                resource_version: "4".to_owned(),
            },
            reached: true,
            looked: true,
        }
    }

    #[test]
    fn a_check_begins_anew_with_each_attempt() {
        for (case, health, minute, want) in [
            ("one that never spoke", Health::Pending, None, true),
            ("one that spoke before", Health::Healthy, Some(4), true),
            ("one that speaks as it begins", Health::Healthy, Some(5), false),
            ("one that spoke since", Health::Unhealthy, Some(6), false),
        ] {
            let mut seen = climbing(1, None);
            seen.status.attempt.as_mut().unwrap().started_at = at(5);
            seen.checks = Some(vec![check(health, minute.map(at))]);
            assert_eq!(reset(&seen, at(7)).is_some(), want, "{case}");
        }
        let mut seen = at_rest();
        seen.checks = Some(vec![check(Health::Healthy, None)]);
        assert_eq!(reset(&seen, at(7)), None, "nothing is in progress");
    }

    #[test]
    fn an_unhealthy_check_keeps_releases_from_starting() {
        for (health, fine) in
            [(Health::Healthy, true), (Health::Pending, true), (Health::Unhealthy, false)]
        {
            let mut seen = at_rest();
            seen.checks = Some(vec![check(health, None)]);
            assert_eq!(allows(&seen).is_ok(), fine, "{health:?}");
        }
        let mut seen = climbing(1, None);
        seen.status.attempt.as_mut().unwrap().started_at = at(5);
        seen.checks = Some(vec![Check { reached: false, ..check(Health::Pending, None) }]);
        let hold = allows(&seen).unwrap_err();
        assert_eq!(hold.code(), "AccessDenied", "one that nobody may look at");
        assert_eq!(reset(&seen, at(7)), None, "nor write to");
    }
}
