//! Who may lead, as a function of the Lease seen and of monotonic time. Pure: no clock, no
//! client. The wall times in the Lease are written for people and never compared.

use std::time::Duration;

#[cfg(feature = "planted")]
use crate::planted::{Bug, active};
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use tokio::time::Instant;

/// How long others wait after the last change of the Lease before they take it (as client-go).
pub const LEASE_DURATION: Duration = Duration::from_secs(15);
/// How long after the start of its last renewal a leader still counts as one (as client-go).
pub const RENEW_DEADLINE: Duration = Duration::from_secs(10);
/// How often a leader renews: two failures in a row still leave time for a third try.
pub const RENEW_EVERY: Duration = Duration::from_secs(5);
/// How often a follower looks, and a failed call is tried again (as client-go).
pub const RETRY_EVERY: Duration = Duration::from_secs(2);

/// What is known of the Lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sight {
    /// Nothing, or what was known may have been overtaken.
    Unknown,
    /// There is none; one that was held until it vanished counts until `free_at`.
    Absent {
        /// When the holder that was last seen cannot be acting any more.
        free_at: Instant,
    },
    /// It is there and nobody holds it.
    Free,
    /// Somebody holds it.
    Held {
        /// The holder.
        holder: String,
        /// When it is over unless it changes before.
        expires: Instant,
    },
}

/// What this process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It may not write.
    Following,
    /// It may write until [`RENEW_DEADLINE`] after `renewed`.
    Leading {
        /// When the last successful renewal was begun.
        renewed: Instant,
    },
}

/// What to do next about the Lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Read it.
    Look,
    /// Write our name into it.
    Acquire,
    /// Write a new time into it.
    Renew,
    /// Do nothing before `until`.
    Wait {
        /// When to ask again.
        until: Instant,
    },
    /// Stop writing at once.
    StepDown,
}

/// Tells what to do next.
///
/// `retry_at`: no call is made before it. A time is over at its end: at `expires` the Lease is
/// free, at the renew deadline leadership is lost.
pub fn next(
    sight: &Sight,
    identity: &str,
    role: Role,
    retry_at: Option<Instant>,
    now: Instant,
) -> Action {
    match role {
        Role::Leading { renewed } => lead(sight, identity, renewed, retry_at, now),
        Role::Following => follow(sight, identity, retry_at, now),
    }
}

fn lead(
    sight: &Sight,
    identity: &str,
    renewed: Instant,
    retry_at: Option<Instant>,
    now: Instant,
) -> Action {
    let deadline = renewed + RENEW_DEADLINE;
    if deadline <= now {
        return Action::StepDown;
    }
    let (due, action) = match sight {
        Sight::Unknown => (now, Action::Look),
        Sight::Held { holder, .. } if holder == identity => (renewed + RENEW_EVERY, Action::Renew),
        Sight::Held { .. } | Sight::Free | Sight::Absent { .. } => return Action::StepDown,
    };
    let due = retry_at.map_or(due, |retry| retry.max(due));
    if due <= now { action } else { Action::Wait { until: due.min(deadline) } }
}

fn follow(sight: &Sight, identity: &str, retry_at: Option<Instant>, now: Instant) -> Action {
    if let Some(until) = retry_at.filter(|retry| now < *retry) {
        return Action::Wait { until };
    }
    let free_at = match sight {
        Sight::Unknown => return Action::Look,
        Sight::Free => now,
        Sight::Held { holder, .. } if holder == identity => now,
        #[cfg(feature = "planted")]
        Sight::Held { .. } if active(Bug::HolderUnchecked) => now,
        Sight::Held { expires, .. } => *expires,
        Sight::Absent { free_at } => *free_at,
    };
    if free_at <= now {
        return Action::Acquire;
    }
    Action::Wait { until: free_at.min(now + RETRY_EVERY) }
}

/// The Lease as last seen, and until when what it says counts.
#[derive(Clone, Debug, PartialEq)]
pub struct Observed {
    lease: Option<Lease>,
    expires: Instant,
}

impl Observed {
    /// Notes what was read at `now`. Time counts from the last change of the Lease's spec, so a
    /// rival's clock does not matter and a change of labels prolongs nothing.
    pub fn note(before: Option<&Self>, lease: Option<Lease>, identity: &str, now: Instant) -> Self {
        let expires = match (&lease, before) {
            (Some(new), Some(Self { lease: Some(old), expires })) if new.spec == old.spec => {
                *expires
            }
            (Some(new), _) => now + duration(new),
            // It vanished while held by another, who learns that only at its next renewal.
            (None, Some(before)) if before.is_held_by_another(identity) => before.expires,
            (None, _) => now,
        };
        Self { lease, expires }
    }

    /// Counts from the wall time in the Lease instead.
    #[cfg(feature = "planted")]
    #[must_use]
    pub fn by_wall(mut self, now: Instant, wall: Timestamp) -> Self {
        let spec = self.lease.as_ref().and_then(|lease| lease.spec.as_ref());
        if let Some(renewed) = spec.and_then(|spec| spec.renew_time.as_ref()) {
            let old = wall.duration_since(renewed.0).unsigned_abs();
            self.expires = now + LEASE_DURATION.saturating_sub(old);
        }
        self
    }

    /// Returns what [`next`] wants to know.
    pub fn sight(&self) -> Sight {
        match (&self.lease, self.lease.as_ref().and_then(holder)) {
            (None, _) => Sight::Absent { free_at: self.expires },
            (Some(_), None) => Sight::Free,
            (Some(_), Some(holder)) => {
                Sight::Held { holder: holder.to_owned(), expires: self.expires }
            }
        }
    }

    /// Returns the Lease that was seen, if there was one.
    pub fn lease(&self) -> Option<&Lease> {
        self.lease.as_ref()
    }

    fn is_held_by_another(&self, identity: &str) -> bool {
        match &self.lease {
            None => true, // It is absent already: keep waiting for who held it before.
            Some(lease) => holder(lease).is_some_and(|holder| holder != identity),
        }
    }
}

/// Returns who holds the Lease; an empty name is nobody.
pub fn holder(lease: &Lease) -> Option<&str> {
    let holder = lease.spec.as_ref()?.holder_identity.as_deref()?;
    (!holder.is_empty()).then_some(holder)
}

/// Returns the duration that the holder claims, never less than ours: a shorter one would let a
/// rival in while a holder of our kind still writes.
fn duration(lease: &Lease) -> Duration {
    let seconds = lease.spec.as_ref().and_then(|spec| spec.lease_duration_seconds);
    let claimed = seconds.and_then(|seconds| u64::try_from(seconds).ok()).unwrap_or(0);
    #[cfg(feature = "planted")]
    if active(Bug::LeaseTooShort) {
        return RENEW_EVERY + Duration::from_secs(1);
    }
    Duration::from_secs(claimed).max(LEASE_DURATION)
}

/// Returns the Lease with us as its holder; `seen` keeps its resourceVersion, so that the write
/// fails if anybody was faster.
pub fn claimed(seen: Option<&Lease>, name: &str, identity: &str, wall: Timestamp) -> Lease {
    let mut lease = seen.cloned().unwrap_or_else(|| Lease {
        metadata: ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() },
        spec: None,
    });
    lease.metadata.managed_fields = None;
    let ours = holder(&lease) == Some(identity);
    let spec = lease.spec.get_or_insert_with(LeaseSpec::default);
    if !ours {
        let next = seen.map_or(0, |_| spec.lease_transitions.unwrap_or(0).saturating_add(1));
        spec.lease_transitions = Some(next);
        spec.acquire_time = Some(MicroTime(wall));
    }
    spec.holder_identity = Some(identity.to_owned());
    spec.lease_duration_seconds = i32::try_from(LEASE_DURATION.as_secs()).ok();
    spec.renew_time = Some(MicroTime(wall));
    lease
}

/// Returns the Lease with nobody as its holder.
pub fn released(seen: &Lease, wall: Timestamp) -> Lease {
    let mut lease = seen.clone();
    lease.metadata.managed_fields = None;
    let spec = lease.spec.get_or_insert_with(LeaseSpec::default);
    spec.holder_identity = Some(String::new());
    spec.renew_time = Some(MicroTime(wall));
    lease
}

#[cfg(test)]
mod tests;
