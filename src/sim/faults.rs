//! Faults: what disturbs the calls and watches of controllers, and when. It only knows; the wire
//! carries out.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use crate::model::moment::{Duration, Timestamp};
use crate::sim::story::{Event, Side, Story};

/// What becomes of one write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Disturbance {
    /// Whoever sent it ends.
    Crash(Side),
    /// It is carried out, and the connection closes.
    LoseReply,
    /// It is answered so; 504 comes after it was carried out.
    Answer {
        /// The HTTP status.
        code: u16,
        /// The header `Retry-After`.
        retry_after: Option<String>,
    },
}

/// What becomes of what a watch tells.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Treatment {
    /// It comes this much later.
    pub late: Option<Duration>,
    /// It comes twice.
    pub twice: bool,
    /// It never comes, nor anything after it on this connection.
    pub lost: bool,
}

/// A stretch of time, its end excluded.
#[derive(Debug, Clone, Copy)]
struct Stretch {
    from: Timestamp,
    to: Timestamp,
}

impl Stretch {
    fn holds(&self, at: Timestamp) -> bool {
        self.from <= at && at < self.to
    }
}

/// What disturbs a resource's watches.
#[derive(Debug, Clone)]
struct Window {
    resource: String,
    stretch: Stretch,
    treatment: Treatment,
}

/// All faults of a story; clones are the same.
#[derive(Debug, Clone)]
pub struct Faults {
    plan: Arc<Plan>,
    count: Arc<Mutex<Count>>,
    bell: Arc<Notify>,
}

#[derive(Debug, Default)]
struct Plan {
    writes: BTreeMap<u32, Disturbance>,
    windows: Vec<Window>,
    expiries: Vec<(String, Timestamp)>,
    outages: Vec<Stretch>,
    pauses: Vec<(u32, Stretch)>,
}

#[derive(Debug, Default)]
struct Count {
    writes: u32,
    crashed: Vec<u32>,
    /// When the last disturbed write was.
    disturbed: Option<Timestamp>,
}

impl Faults {
    /// Reads the faults of a story that begins at a time.
    pub fn new(story: &Story, start: Timestamp) -> Self {
        let mut plan = Plan::default();
        for event in &story.events {
            plan.add(event, start);
        }
        Self { plan: Arc::new(plan), count: Arc::default(), bell: Arc::new(Notify::new()) }
    }

    /// Rings when a controller ended at a write.
    pub fn bell(&self) -> &Notify {
        &self.bell
    }

    /// Counts a write and tells what becomes of it.
    pub fn write(&self, now: Timestamp) -> Option<Disturbance> {
        let mut count = self.count.lock().unwrap_or_else(PoisonError::into_inner);
        count.writes = count.writes.saturating_add(1);
        let disturbance = self.plan.writes.get(&count.writes).cloned();
        if disturbance.is_some() {
            count.disturbed = Some(now);
        }
        disturbance
    }

    /// Tells how many writes were counted.
    pub fn writes(&self) -> u32 {
        self.count.lock().unwrap_or_else(PoisonError::into_inner).writes
    }

    /// Tells when the last disturbed write was.
    pub fn disturbed(&self) -> Option<Timestamp> {
        self.count.lock().unwrap_or_else(PoisonError::into_inner).disturbed
    }

    /// Notes that a controller ended at a write.
    pub fn crash(&self, controller: u32) {
        self.count.lock().unwrap_or_else(PoisonError::into_inner).crashed.push(controller);
        self.bell.notify_one();
    }

    /// Takes the controllers that ended since the last look.
    pub fn crashed(&self) -> Vec<u32> {
        let mut count = self.count.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut count.crashed)
    }

    /// Tells whether the API server answers nobody.
    pub fn outage(&self, at: Timestamp) -> bool {
        self.plan.outages.iter().any(|stretch| stretch.holds(at))
    }

    /// Tells until when a controller does not run, if it does not.
    pub fn paused(&self, controller: u32, at: Timestamp) -> Option<Timestamp> {
        let pauses = self.plan.pauses.iter();
        let now = pauses.filter(|(who, stretch)| *who == controller && stretch.holds(at));
        now.map(|(_, stretch)| stretch.to).max()
    }

    /// Tells what becomes of what a watch of a resource is told.
    pub fn watch(&self, resource: &str, at: Timestamp) -> Treatment {
        let windows = self.plan.windows.iter();
        let now = windows.filter(|window| window.resource == resource && window.stretch.holds(at));
        now.fold(Treatment::default(), |all, window| Treatment {
            late: all.late.max(window.treatment.late),
            twice: all.twice || window.treatment.twice,
            lost: all.lost || window.treatment.lost,
        })
    }

    /// Tells when the watches of a resource that began at a time end with 410, if they do.
    pub fn expiry(&self, resource: &str, began: Timestamp) -> Option<Timestamp> {
        let all = self.plan.expiries.iter().filter(|(name, at)| name == resource && began < *at);
        all.map(|(_, at)| *at).min()
    }
}

impl Plan {
    fn add(&mut self, event: &Event, start: Timestamp) {
        let stretch = |at: Timestamp, length: Duration| Stretch { from: at, to: at + length };
        match event {
            Event::Crash { write, side, .. } => self.write(*write, Disturbance::Crash(*side)),
            Event::LoseReply { write } => self.write(*write, Disturbance::LoseReply),
            Event::Answer { write, code, retry_after } => {
                let retry_after = retry_after.clone();
                self.write(*write, Disturbance::Answer { code: *code, retry_after });
            }
            Event::Delay { at, resource, length, by } => {
                let treatment = Treatment { late: Some(by.0), ..Treatment::default() };
                self.window(resource, stretch(start + at.0, length.0), treatment);
            }
            Event::Drop { at, resource, length } => {
                let treatment = Treatment { lost: true, ..Treatment::default() };
                self.window(resource, stretch(start + at.0, length.0), treatment);
            }
            Event::Duplicate { at, resource, length } => {
                let treatment = Treatment { twice: true, ..Treatment::default() };
                self.window(resource, stretch(start + at.0, length.0), treatment);
            }
            Event::Expire { at, resource } => {
                self.expiries.push((resource.clone(), start + at.0));
            }
            Event::Outage { at, length } => self.outages.push(stretch(start + at.0, length.0)),
            Event::Pause { at, controller, length } => {
                self.pauses.push((*controller, stretch(start + at.0, length.0)));
            }
            Event::Release { .. }
            | Event::Source { .. }
            | Event::Edit { .. }
            | Event::Annotate { .. }
            | Event::Delete { .. }
            | Event::Pods { .. }
            | Event::Gateway { .. }
            | Event::Errors { .. }
            | Event::Prometheus { .. }
            | Event::Restart { .. }
            | Event::Clock { .. }
            | Event::Drift { .. } => {}
        }
    }

    fn write(&mut self, write: u32, disturbance: Disturbance) {
        self.writes.insert(write, disturbance);
    }

    fn window(&mut self, resource: &str, stretch: Stretch, treatment: Treatment) {
        self.windows.push(Window { resource: resource.to_owned(), stretch, treatment });
    }
}
