//! Memory: what is kept of one Rollout between turns and stands in no object. Losing it costs
//! calls, never correctness.

use std::collections::{BTreeMap, BTreeSet};

use tokio::time::Instant;

use crate::api::kind::Reference;
use crate::api::rollout::Rollout;
use crate::controller::error::Failures;
use crate::model::moment::Timestamp;
use crate::model::template::TemplateId;
use crate::observe::barrier::{Barrier, Expect};

/// What is kept of one Rollout between turns.
#[derive(Debug, Default)]
pub struct Memory {
    /// Which Rollout of the name this is about.
    uid: String,
    /// What has to be seen before the next turn.
    pub barrier: Barrier,
    /// Errors since the last success.
    pub failures: Failures,
    /// The last write that the API server refused.
    refusal: Option<Refusal>,
    /// Refusals since the last write that was taken.
    pub refusals: u32,
    /// Ids of notices that are sent, as far as the outbox still holds them; of a Rollout that is
    /// not there, as far as there is something to tell.
    pub sent: BTreeSet<String>,
    /// Since when it is known that there is no such Rollout, though something names it.
    pub missed_since: Option<Instant>,
    /// Failed tries to send the first notice of the outbox, and when the next one is due.
    pub notice: (u32, Option<Instant>),
    /// The id of the notice by which people were told that the status is refused.
    pub unstored: Option<String>,
    /// The template that was last checked.
    template: Option<Checked>,
    /// The objects of writes that are under way.
    flight: Vec<Reference>,
    /// Whether the API server itself said where the Rollout stands, since this process leads: what
    /// its watch told may be from long before another one led.
    confirmed: bool,
    /// Whether what splits its traffic was asked for since this process leads.
    surveyed: bool,
    /// Since when this process, as the one that leads, looks at the Rollout.
    watched_since: Option<Timestamp>,
    /// Whether a turn has looked at the Rollout since this process leads.
    #[cfg(feature = "planted")]
    pub looked: bool,
}

/// A write that the API server refused.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// The object.
    pub target: Reference,
    /// The answer.
    pub why: String,
    /// The object's resourceVersion at that time.
    pub version: Option<u64>,
    /// When it is tried again though nothing changed.
    pub until: Instant,
    generation: Option<i64>,
    annotations: Option<BTreeMap<String, String>>,
}

/// A template and what the API server says about it.
#[derive(Debug, Clone)]
struct Checked {
    generation: Option<i64>,
    id: TemplateId,
    refused: Option<String>,
    /// When a refusal is asked about again: quotas and service accounts come and go.
    until: Option<Instant>,
}

/// What is known about the present template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The API server's answer, `None` if it takes it.
    Known(Option<String>),
    /// It was not asked.
    Unknown(TemplateId),
}

impl Memory {
    /// Forgets everything about another Rollout of the name, and notices that are out of the
    /// outbox.
    pub fn meet(&mut self, rollout: &Rollout) {
        let uid = rollout.metadata.uid.clone().unwrap_or_default();
        if self.uid != uid {
            *self = Self { uid, ..Self::default() };
        }
        self.missed_since = None;
        let outbox = rollout.status.as_ref().map(|status| status.outbox.as_slice());
        let outbox = outbox.unwrap_or_default();
        self.sent.retain(|id| outbox.iter().any(|notice| notice.id == *id));
    }

    /// Keeps only what has to be seen: another process acts now, and what this one wrote stays
    /// newer than what its stores may still show when it leads again.
    pub fn step_down(&mut self) {
        let (uid, barrier) = (std::mem::take(&mut self.uid), std::mem::take(&mut self.barrier));
        *self = Self { uid, barrier, ..Self::default() };
    }

    /// Remembers a refused write.
    pub fn refuse(
        &mut self,
        rollout: &Rollout,
        target: Reference,
        why: String,
        version: Option<u64>,
        until: Instant,
    ) {
        self.refusal = Some(Refusal {
            target,
            why,
            version,
            until,
            generation: rollout.metadata.generation,
            annotations: rollout.metadata.annotations.clone(),
        });
    }

    /// Tells the refused write, as long as neither people nor the object changed anything and its
    /// time is not over. Our own writes of status do not count.
    pub fn refusal(
        &mut self,
        rollout: &Rollout,
        version: impl Fn(&Reference) -> Option<u64>,
        now: Instant,
    ) -> Option<Refusal> {
        let meta = &rollout.metadata;
        let stands = |refusal: &Refusal| {
            now < refusal.until
                && refusal.generation == meta.generation
                && refusal.annotations == meta.annotations
                && refusal.version == version(&refusal.target)
        };
        self.refusal = self.refusal.take().filter(stands);
        self.refusal.clone()
    }

    /// Tells what is known about the present template.
    pub fn template(&mut self, rollout: &Rollout, now: Instant) -> Verdict {
        let generation = rollout.metadata.generation;
        let fresh = |checked: &Checked| checked.until.is_none_or(|until| now < until);
        self.template = self.template.take().filter(fresh);
        if let Some(checked) = &self.template
            && checked.generation.is_some()
            && checked.generation == generation
        {
            return Verdict::Known(checked.refused.clone());
        }
        let id = TemplateId::of(&rollout.spec.template);
        match &mut self.template {
            Some(checked) if checked.id == id => {
                checked.generation = generation;
                Verdict::Known(checked.refused.clone())
            }
            Some(_) | None => Verdict::Unknown(id),
        }
    }

    /// Remembers what the API server says about a template.
    pub fn checked(
        &mut self,
        rollout: &Rollout,
        id: TemplateId,
        refused: Option<String>,
        until: Instant,
    ) {
        let until = refused.is_some().then_some(until);
        let generation = rollout.metadata.generation;
        self.template = Some(Checked { generation, id, refused, until });
    }

    /// Tells when something remembered is over.
    pub fn due(&self) -> Option<Instant> {
        let refusal = self.refusal.as_ref().map(|refusal| refusal.until);
        let template = self.template.as_ref().and_then(|checked| checked.until);
        [refusal, template, self.barrier.due()].into_iter().flatten().min()
    }

    /// Notes that the API server said where the Rollout stands; tells whether it had before.
    pub fn confirm(&mut self) -> bool {
        std::mem::replace(&mut self.confirmed, true)
    }

    /// Notes that a turn looks at the Rollout; tells when the first one did since this process
    /// leads.
    pub fn watched(&mut self, now: Timestamp) -> Timestamp {
        *self.watched_since.get_or_insert(now)
    }

    /// Notes that what splits its traffic is asked for; tells whether it had been before.
    pub fn survey(&mut self) -> bool {
        std::mem::replace(&mut self.surveyed, true)
    }

    /// Notes that a status is stored: refusals of it are over.
    pub fn stored(&mut self) {
        if self.unstored.take().is_some() {
            self.refusals = 0;
        }
    }

    /// Notes that a write is about to leave.
    pub fn depart(&mut self, target: Reference) {
        self.flight.push(target);
    }

    /// Notes that the answers to all writes are there.
    pub fn land(&mut self) {
        self.flight.clear();
    }

    /// Has every object asked for whose write was cut: nobody knows whether it was taken.
    pub fn crash(&mut self, now: Instant) {
        for target in std::mem::take(&mut self.flight) {
            self.barrier.expect(target, Expect::Asked, now);
        }
    }
}

#[cfg(test)]
mod tests;
