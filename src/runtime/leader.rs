//! Holds the Lease, or waits for it, and tells everyone which. Never decides by itself: what to
//! do next is [`lease::next`]'s answer.
//!
//! Verbs on `leases.coordination.k8s.io`: `get`, `update` (replace with the resourceVersion
//! seen, so a rival's write makes ours fail) and `create`; no `list`, `watch` or `patch`.

use std::future::Future;
use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use kube::api::PostParams;
use kube::{Api, Client};
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::{info, warn};

#[cfg(feature = "planted")]
use crate::planted::{Bug, active};
use crate::runtime::clock::Clock;
use crate::runtime::lease::{self, Action, Observed, Role, Sight};
use crate::runtime::settings::Settings;
use crate::runtime::telemetry::Chain;

/// One call about the Lease: short, so that a hung one leaves time for another before the renew
/// deadline.
const LEASE_CALL_TIMEOUT: Duration = Duration::from_secs(3);
/// The pause after somebody else was faster: long enough not to spin, short enough to renew.
const CONFLICT_PAUSE: Duration = Duration::from_millis(200);
/// How long before others may take the Lease our last write has to be over: for the time that
/// the cut of a call takes and for clocks that do not run equally fast.
const WRITE_MARGIN: Duration = Duration::from_secs(1);

/// Whether this process leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It acts.
    Leading,
    /// It keeps its stores ready and writes nothing.
    Following,
}

/// Tells whether this process leads; cheap to clone.
#[derive(Clone, Debug)]
pub struct Leadership {
    /// Absent when there is no election: then we always lead.
    role: Option<watch::Receiver<Role>>,
    clock: Clock,
}

impl Leadership {
    /// Returns the leadership of a process that runs without election.
    pub fn always(clock: Clock) -> Self {
        Self { role: None, clock }
    }

    /// Tells whether a write may leave at this moment: we lead, and the last successful renewal
    /// was begun less than 10 s ago. Says no by itself when the elector hangs or is gone.
    pub fn may_write(&self) -> bool {
        match self.renewed() {
            None => self.role.is_none(),
            Some(renewed) => self.clock.monotonic() < renewed + lease::RENEW_DEADLINE,
        }
    }

    /// Returns when a write that leaves at this moment has to be over, because others may take
    /// the Lease soon after. `Ok(None)`: never, there is no election.
    ///
    /// # Errors
    /// [`NotLeading`] if no write may leave.
    pub fn write_until(&self) -> Result<Option<Instant>, NotLeading> {
        if !self.may_write() {
            return Err(NotLeading);
        }
        Ok(self.renewed().map(|renewed| renewed + lease::LEASE_DURATION - WRITE_MARGIN))
    }

    /// Returns what was last decided. A leader that has just lost touch with the server still
    /// stands as one for a moment: before a write ask [`Self::may_write`].
    pub fn standing(&self) -> Standing {
        match (&self.role, self.renewed()) {
            (Some(_), None) => Standing::Following,
            (None, _) | (_, Some(_)) => Standing::Leading,
        }
    }

    /// Waits until the standing is another than when this handle was made or last waited.
    /// Without election, or once the elector is gone, it waits for ever.
    pub async fn changed(&mut self) -> Standing {
        if let Some(role) = &mut self.role
            && role.changed().await.is_ok()
        {
            return self.standing();
        }
        std::future::pending().await
    }

    /// A leadership that a test decides.
    #[cfg(test)]
    pub(crate) fn set_by_hand(clock: Clock) -> (watch::Sender<Role>, Self) {
        let (sender, receiver) = watch::channel(Role::Following);
        (sender, Self { role: Some(receiver), clock })
    }

    fn renewed(&self) -> Option<Instant> {
        match *self.role.as_ref()?.borrow() {
            Role::Following => None,
            Role::Leading { renewed } => Some(renewed),
        }
    }
}

/// A write was refused because this process does not lead, or may have lost the Lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this process does not hold the lease")]
pub struct NotLeading;

/// Competes for the Lease and keeps it.
#[derive(Debug)]
pub struct Elector {
    api: Api<Lease>,
    name: String,
    identity: String,
    clock: Clock,
    role: watch::Sender<Role>,
    observed: Option<Observed>,
    /// Whether `observed` is still worth acting on.
    fresh: bool,
    retry_at: Option<Instant>,
}

/// The Lease that is competed for, and by whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seat {
    /// The namespace of the Lease.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Who competes.
    pub identity: String,
}

impl From<&Settings> for Seat {
    fn from(settings: &Settings) -> Self {
        Self {
            namespace: settings.lease_namespace.clone(),
            name: settings.lease_name.clone(),
            identity: settings.identity.clone(),
        }
    }
}

/// Prepares an election: `client` must not be fenced by the leadership that it decides.
pub fn elect(client: Client, seat: Seat, clock: Clock) -> (Elector, Leadership) {
    let (sender, receiver) = watch::channel(Role::Following);
    let elector = Elector {
        api: Api::namespaced(client, &seat.namespace),
        name: seat.name,
        identity: seat.identity,
        clock: clock.clone(),
        role: sender,
        observed: None,
        fresh: false,
        retry_at: None,
    };
    (elector, Leadership { role: Some(receiver), clock })
}

impl Elector {
    /// Competes and renews until `release` is done, then gives the Lease back.
    ///
    /// `release` must be done only when no write is under way: whoever waits for the Lease acts
    /// as soon as it is free.
    pub async fn run(mut self, release: impl Future<Output = ()>) {
        tokio::pin!(release);
        loop {
            tokio::select! {
                biased;
                () = &mut release => break,
                () = self.turn() => {}
            }
        }
        self.give_back().await;
    }

    async fn turn(&mut self) {
        let now = self.clock.monotonic();
        match lease::next(&self.sight(), &self.identity, self.role(), self.retry_at, now) {
            Action::Look => self.look().await,
            Action::Acquire | Action::Renew => self.claim(now).await,
            Action::StepDown => self.become_following(),
            Action::Wait { until } => {
                tokio::time::sleep_until(until).await;
                self.fresh &= self.role() != Role::Following;
            }
        }
    }

    async fn look(&mut self) {
        let started = self.clock.monotonic();
        match self.bounded(started, self.api.get_opt(&self.name)).await {
            Ok(lease) => self.note(lease),
            Err(error) => self.pause_after(&error, "cannot read the lease", started),
        }
    }

    async fn claim(&mut self, started: Instant) {
        let seen = self.observed.as_ref().and_then(Observed::lease);
        let lease = lease::claimed(seen, &self.name, &self.identity, self.clock.now());
        let params = PostParams::default();
        let written = if seen.is_some() {
            self.bounded(started, self.api.replace(&self.name, &params, &lease)).await
        } else {
            self.bounded(started, self.api.create(&params, &lease)).await
        };
        match written {
            Ok(lease) => {
                self.note(Some(lease));
                self.become_leading(started);
            }
            Err(error) => self.pause_after(&error, "cannot write the lease", started),
        }
    }

    /// Runs a call until its deadline, which for a leader is never after the renew deadline.
    async fn bounded<T>(
        &self,
        started: Instant,
        call: impl Future<Output = kube::Result<T>>,
    ) -> Result<T, Failure> {
        let mut deadline = started + LEASE_CALL_TIMEOUT;
        if let Role::Leading { renewed } = self.role() {
            deadline = deadline.min(renewed + lease::RENEW_DEADLINE);
        }
        match tokio::time::timeout_at(deadline, call).await {
            Ok(reply) => reply.map_err(Failure::Call),
            Err(_) => Err(Failure::TimedOut),
        }
    }

    fn note(&mut self, lease: Option<Lease>) {
        let now = self.clock.monotonic();
        let before = self.observed.take();
        self.observed = Some(Observed::note(before.as_ref(), lease, &self.identity, now));
        #[cfg(feature = "planted")]
        if active(Bug::LeaseByWallClock) {
            let wall = self.clock.machine();
            self.observed = self.observed.take().map(|seen| seen.by_wall(now, wall));
        }
        self.fresh = true;
        self.retry_at = None;
    }

    /// After a failure nothing is known: even a write that failed may have been taken.
    fn pause_after(&mut self, failure: &Failure, what: &str, started: Instant) {
        self.fresh = false;
        let known = self.observed.as_ref().is_some_and(|seen| seen.lease().is_some());
        if failure.code() == Some(409) || (known && failure.code() == Some(404)) {
            self.retry_at = Some(self.clock.monotonic() + CONFLICT_PAUSE);
            return;
        }
        self.retry_at = Some(started + lease::RETRY_EVERY);
        warn!(lease = self.name, error = %Chain(failure), "{what}");
    }

    fn sight(&self) -> Sight {
        let known = self.observed.as_ref().filter(|_| self.fresh);
        known.map_or(Sight::Unknown, Observed::sight)
    }

    fn role(&self) -> Role {
        *self.role.borrow()
    }

    fn become_leading(&mut self, renewed: Instant) {
        let changed = self.set_role(Role::Leading { renewed });
        if changed {
            info!(lease = self.name, identity = self.identity, "leading");
        }
    }

    /// Steps down, and competes again only after a pause: everyone who waits for a change has
    /// then seen it, and whoever took the Lease meanwhile has shown itself.
    fn become_following(&mut self) {
        let changed = self.set_role(Role::Following);
        self.fresh = false;
        self.retry_at = Some(self.clock.monotonic() + lease::RETRY_EVERY);
        if changed {
            let seen = self.observed.as_ref().and_then(Observed::lease);
            let holder = seen.and_then(lease::holder);
            warn!(lease = self.name, identity = self.identity, holder, "following");
        }
    }

    /// Sets the role and wakes those who wait only if leading became following or the reverse.
    fn set_role(&self, new: Role) -> bool {
        self.role.send_if_modified(|role| {
            let changed = (*role == Role::Following) != (new == Role::Following);
            *role = new;
            changed
        })
    }

    /// Gives the Lease back if it is ours. Reads it first, since a renewal may have been cut.
    async fn give_back(&mut self) {
        if self.role() == Role::Following {
            return;
        }
        self.set_role(Role::Following);
        let started = self.clock.monotonic();
        let name = self.name.clone();
        let release = async {
            let Some(seen) = self.api.get_opt(&name).await? else { return Ok(()) };
            if lease::holder(&seen) != Some(self.identity.as_str()) {
                return Ok(());
            }
            let lease = lease::released(&seen, self.clock.now());
            self.api.replace(&name, &PostParams::default(), &lease).await.map(|_| ())
        };
        match self.bounded(started, release).await {
            Ok(()) => info!(lease = name, identity = self.identity, "gave the lease back"),
            Err(failure) => {
                let error = Chain(&failure);
                warn!(lease = name, %error, "cannot give the lease back; it expires by itself");
            }
        }
    }
}

/// Why a call about the Lease failed.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("no reply in time")]
    TimedOut,
    #[error("the call failed")]
    Call(#[source] kube::Error),
}

impl Failure {
    /// Returns the server's answer, if it gave one.
    fn code(&self) -> Option<u16> {
        match self {
            Self::Call(kube::Error::Api(status)) => Some(status.code),
            Self::Call(_) | Self::TimedOut => None,
        }
    }
}

#[cfg(test)]
mod tests;
