//! Switch: the order of writes where the active Service alone carries the traffic: it selects one
//! of two whole sides.
//!
//! It turns only to a side that is whole, and no pods go from behind it.

use crate::decide::act::{Next, Step};
use crate::decide::order::{self, available, create_service, created, endpoints, resized, select};
use crate::decide::side;
use crate::model::hold::Hold;
use crate::model::snapshot::{Service, Snapshot};
use crate::model::spec::Step as Rung;
use crate::model::template::Revision;
use crate::model::weight::Weight;
#[cfg(feature = "planted")]
use crate::planted::{Bug, active};

/// A rung: the new side has the pods of the step, and at full weight the traffic.
pub fn ladder(seen: &Snapshot, new: &Revision, rung: &Rung) -> Step {
    let Some(stable) = seen.status.stable.as_ref().map(|side| &side.revision) else {
        return Err(Next::Hold(Hold::NoHealthyBackend));
    };
    let (size, service) = (seen.spec.replicas, seen.stable_service.as_ref());
    let preview = seen.canary_service.as_ref();
    create_service(seen, service, stable)?;
    create_service(seen, preview, new)?;
    resized(seen, stable, size)?;
    let pods = side::pods(seen, new, rung);
    created(seen, new, pods)?;
    if rung.weight == Weight::NONE {
        back(seen, service, stable)?;
    }
    // Pods behind the active Service stay, whatever the step says.
    let serving = side::selected(service) == Some(new);
    let pods = if serving { size } else { pods };
    resized(seen, new, pods)?;
    select(seen, preview, new)?;
    #[cfg(feature = "planted")]
    if rung.weight != Weight::NONE && active(Bug::SwitchBeforeWhole) {
        return select(seen, service, new);
    }
    available(seen, new, pods)?;
    endpoints(seen, preview, new, pods)?;
    if rung.weight == Weight::NONE {
        return Ok(());
    }
    select(seen, service, new)?;
    endpoints(seen, service, new, size)
}

/// All traffic on stable: at rest, and on the way back.
pub fn stable(seen: &Snapshot, stable: &Revision) -> Step {
    let (size, service) = (seen.spec.replicas, seen.stable_service.as_ref());
    order::whole(seen, stable)?;
    back(seen, service, stable)?;
    order::leave_dead_side(seen, stable)?;
    endpoints(seen, service, stable, 1)?;
    available(seen, stable, size)
}

/// The first revision: its pods, then the Services.
pub fn first(seen: &Snapshot, revision: &Revision) -> Step {
    let (size, service) = (seen.spec.replicas, seen.stable_service.as_ref());
    order::whole(seen, revision)?;
    available(seen, revision, size)?;
    select(seen, service, revision)?;
    select(seen, seen.canary_service.as_ref(), revision)?;
    endpoints(seen, service, revision, size)
}

/// The active Service selects stable again, once that is whole, or at least more of it is there
/// than of the side that it leaves.
fn back(seen: &Snapshot, service: Option<&Service>, stable: &Revision) -> Step {
    let Some(from) = side::selected(service).filter(|from| *from != stable) else {
        return select(seen, service, stable);
    };
    let count = |revision| {
        side::replica_set(seen, revision)
            .map_or(0, |rs| if rs.settled { rs.available } else { rs.desired })
    };
    let there = side::replica_set(seen, stable).map_or(0, |rs| rs.available);
    if there < seen.spec.replicas.max(1) && there <= count(from) && seen.spec.replicas > 0 {
        return Err(Next::Hold(Hold::NoHealthyBackend));
    }
    select(seen, service, stable)
}

#[cfg(test)]
mod tests;
