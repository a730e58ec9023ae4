//! Finalize: what is put back when a Rollout is deleted, and when that has to be guarded.

use crate::decide::act::{Act, Next, Step};
use crate::decide::experiment;
use crate::decide::order;
use crate::decide::{routes, side, weights};
use crate::model::moment::{Duration, Timestamp};
use crate::model::moves::{Move, Write};
use crate::model::snapshot::{Acceptance, Identity, LiveRoute, Service, Snapshot};
use crate::model::weight::Weight;
#[cfg(feature = "planted")]
use crate::planted::{Bug, active};

/// How long a deletion waits for gateways and endpoints: people expect it to end.
const PATIENCE: Duration = Duration::from_secs(10);

/// Tells whether the Rollout changes objects that outlive it.
fn needed(seen: &Snapshot) -> bool {
    let theirs = |service: &Option<Service>| {
        service.as_ref().and_then(|s| s.live.as_ref()).is_some_and(|live| !live.ours)
    };
    let routed = seen.spec.ladder.routed();
    routed || theirs(&seen.stable_service) || theirs(&seen.canary_service)
}

/// Puts the finalizer on before the first write to an object that outlives the Rollout, and takes
/// it off when there is none.
pub fn guard(seen: &Snapshot) -> Option<Act> {
    let needed = needed(seen) && seen.status.attempt.is_some();
    let clean = !needed && seen.rollout.finalizer;
    let missing = needed && !seen.rollout.finalizer;
    (clean || missing).then(|| Act::Apply(vec![Write::Finalizer { present: needed }]))
}

/// The next move of a deletion: the route first, then Services, then the finalizer.
pub fn next(seen: &Snapshot, now: Timestamp) -> Move {
    if !seen.rollout.finalizer {
        return Move::Wait { hold: None, until: None };
    }
    #[cfg(feature = "planted")]
    if active(Bug::FinalizerNeedsRoute)
        && seen.spec.ladder.routed()
        && routes::readable(seen).is_empty()
    {
        return Move::Wait { hold: None, until: None };
    }
    #[cfg(feature = "planted")]
    if active(Bug::FinalizerDroppedFirst) {
        return Move::Apply(vec![Write::Finalizer { present: false }]);
    }
    let end = seen.rollout.deleting.map_or(now, |since| since + PATIENCE);
    if seen.denied.is_some() && now < end {
        return Move::Wait { hold: seen.denied.clone(), until: Some(end) };
    }
    // A write that is refused for so long does not keep the Rollout, nor its namespace.
    let refused = seen.refused.is_some() && end <= now;
    match if now < end { whole(seen) } else { Ok(()) } {
        Err(Next::Write(writes)) => return Move::Apply(writes),
        Err(Next::Hold(_)) => return Move::Wait { hold: None, until: Some(end) },
        Ok(()) => {}
    }
    let back = Some(weights(seen)).filter(|back| !back.is_empty()).unwrap_or_else(|| rules(seen));
    if !back.is_empty() && !refused {
        return Move::Apply(back);
    }
    let pending = routes::readable(seen).into_iter().any(|route| {
        side::in_place(route, Weight::NONE) && route.acceptance == Acceptance::Pending
    });
    #[cfg(feature = "planted")]
    if pending && active(Bug::FinalizerWaitsForGateway) {
        return Move::Wait { hold: None, until: None };
    }
    if pending && now < end {
        return Move::Wait { hold: None, until: Some(end) };
    }
    let services = [&seen.stable_service, &seen.canary_service];
    let released: Vec<_> = services.into_iter().flatten().filter_map(released).collect();
    if !released.is_empty() && !refused {
        return Move::Apply(released);
    }
    Move::Apply(vec![Write::Finalizer { present: false }])
}

/// A Rollout whose spec cannot be used is let go as it is: which objects to restore is not known.
pub fn let_go(rollout: &Identity) -> Move {
    if rollout.finalizer {
        return Move::Apply(vec![Write::Finalizer { present: false }]);
    }
    Move::Wait { hold: None, until: None }
}

/// A stable side that had only the pods that its weight needed gets all before all traffic. Who
/// deletes without the pods keeps them so.
fn whole(seen: &Snapshot) -> Step {
    let split = seen.spec.ladder.dynamic_stable && !split(seen).is_empty();
    let Some(stable) = seen.status.stable.as_ref().filter(|_| split) else { return Ok(()) };
    let (stable, size) = (&stable.revision, seen.spec.replicas);
    order::resized(seen, stable, size)?;
    order::endpoints(seen, seen.stable_service.as_ref(), stable, size)
}

/// Tells whether nobody else puts a route back.
fn free(route: &&LiveRoute) -> bool {
    route.owner.is_none()
}

/// The routes that still split the traffic, and that nobody else puts back.
fn split(seen: &Snapshot) -> Vec<&LiveRoute> {
    let mut all = routes::readable(seen);
    all.retain(|route| free(route) && !side::in_place(route, Weight::NONE));
    all
}

/// All traffic back to the stable backend, if a ready pod is behind it.
fn weights(seen: &Snapshot) -> Vec<Write> {
    let ready = side::ready_of_any(seen.stable_service.as_ref());
    if ready == 0 && seen.spec.replicas > 0 {
        return Vec::new();
    }
    let split = split(seen).into_iter();
    split.map(|route| weights::set_weights(seen, route, Weight::NONE)).collect()
}

/// The rules of an experiment go, whatever state the sides are in: the Service that they lead to is
/// about to go.
fn rules(seen: &Snapshot) -> Vec<Write> {
    let all = routes::ruled(seen).into_iter().filter(free);
    all.filter(|route| !experiment::is_off(&[route])).map(experiment::removal).collect()
}

/// A Service that is not ours selects the Rollout's pods of any revision again.
fn released(service: &Service) -> Option<Write> {
    let live = service.live.as_ref().filter(|live| !live.ours && live.owner.is_none())?;
    live.selects.as_ref()?;
    Some(Write::Select {
        target: side::service_target(service, live),
        from: live.selects.clone(),
        to: None,
    })
}
