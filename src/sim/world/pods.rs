//! Pods: the kubelets. Pods become ready, or not, as the story says of their version; it never
//! makes a pod.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::model::moment::{Duration, Timestamp};
use crate::sim::history::{Change, Place};
use crate::sim::rules::settle::Part;
use crate::sim::story::Fate;
use crate::sim::world::fields;
use crate::sim::world::ground::{self, Ground, REPEAT_MIN};
use crate::sim::world::timers::Task;

/// From when to when after its creation a pod becomes ready of which the story says nothing, in
/// milliseconds.
const READY_MILLIS: (u64, u64) = (200, 2000);

/// How long a pod takes to stop, in milliseconds.
const STOP_MILLIS: (u64, u64) = (100, 1000);

/// The kubelets.
#[derive(Debug, Default)]
pub struct Pods {
    pods: BTreeMap<Place, Pod>,
    /// What becomes of pods, by version.
    fates: BTreeMap<String, Fate>,
    /// The one of each version that is stuck where all others become ready.
    stuck: BTreeMap<String, Place>,
    /// Addresses given so far.
    addresses: u32,
}

#[derive(Debug)]
struct Pod {
    versions: Vec<String>,
    born: Timestamp,
    state: State,
    turn: Option<Turn>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Its containers do not run yet.
    Waiting,
    /// They run, and it is not ready.
    Running,
    /// It is ready.
    Ready,
    /// It was ready and is not again.
    Crashed,
    /// It is being deleted.
    Stopping,
}

/// What happens to a pod next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    Start,
    Ready,
    Unready,
    Crash,
    Stop,
}

impl Pods {
    /// Hears of a change.
    pub fn hear(&mut self, ground: &mut Ground, change: &Change) {
        if change.place.resource != "pods" {
            return;
        }
        let place = &change.place;
        let Some(object) = &change.after else {
            self.forget(ground, place);
            return;
        };
        if let Some(pod) = self.pods.get_mut(place) {
            if fields::deleting(object) && pod.state != State::Stopping {
                pod.state = State::Stopping;
                let length = ground.between(STOP_MILLIS.0, STOP_MILLIS.1);
                self.set(ground, place, Turn::Stop, ground.now() + length);
                self.unstick(place);
            }
            return;
        }
        let born = change.at;
        let versions = fields::versions(object);
        let pod = Pod { versions, born, state: State::Waiting, turn: None };
        self.pods.insert(place.clone(), pod);
        let start = ground.now() + ground.between(0, READY_MILLIS.0);
        self.set(ground, place, Turn::Start, start);
    }

    fn forget(&mut self, ground: &mut Ground, place: &Place) {
        self.pods.remove(place);
        self.unstick(place);
        ground.timers.cancel(&Task::Pod(place.clone()));
    }

    fn unstick(&mut self, place: &Place) {
        self.stuck.retain(|_, stuck| stuck != place);
    }

    fn set(&mut self, ground: &mut Ground, place: &Place, turn: Turn, at: Timestamp) {
        if let Some(pod) = self.pods.get_mut(place) {
            pod.turn = Some(turn);
            ground.timers.set(Task::Pod(place.clone()), at);
        }
    }

    /// Changes what becomes of the pods of a version, those that run included.
    pub fn decree(&mut self, ground: &mut Ground, version: &str, fate: Fate) {
        let version = fields::version(version);
        self.fates.insert(version.to_owned(), fate);
        self.stuck.remove(version);
        let of_version = |pod: &Pod| pod.versions.iter().any(|tag| tag == version);
        let all = self.pods.iter().filter(|(_, pod)| of_version(pod));
        let all: Vec<Place> = all.map(|(place, _)| place.clone()).collect();
        for place in all {
            let Some(pod) = self.pods.get_mut(&place) else { continue };
            match pod.state {
                State::Waiting | State::Stopping => continue,
                State::Running | State::Ready => {}
                State::Crashed => pod.state = State::Running,
            }
            pod.turn = None;
            ground.timers.cancel(&Task::Pod(place.clone()));
            let now = ground.now();
            self.plan(ground, &place, now);
        }
    }

    /// Plans the next turn of a pod that runs. `since`: from when the time to become ready counts.
    fn plan(&mut self, ground: &mut Ground, place: &Place, since: Timestamp) {
        let Some(pod) = self.pods.get(place) else { return };
        let (state, fate) = (pod.state, self.fate(place));
        let now = ground.now();
        let (least, most) = READY_MILLIS;
        let next = match (fate, state) {
            (_, State::Waiting | State::Stopping | State::Crashed)
            | (Lot::Well { .. }, State::Ready)
            | (Lot::Ill, State::Running) => None,
            (Lot::Well { after: Some(after) }, State::Running) => {
                Some((Turn::Ready, since + after))
            }
            (Lot::Well { after: None } | Lot::Brief { .. }, State::Running) => {
                Some((Turn::Ready, since + ground.between(least, most)))
            }
            (Lot::Ill, State::Ready) => Some((Turn::Unready, now + ground.between(0, least))),
            (Lot::Brief { length }, State::Ready) => Some((Turn::Crash, now + length)),
            (Lot::Changing { every }, State::Ready) => Some((Turn::Unready, now + every)),
            (Lot::Changing { every }, State::Running) => Some((Turn::Ready, now + every)),
        };
        if let Some((turn, at)) = next {
            self.set(ground, place, turn, at.max(now));
        }
    }

    /// What becomes of one pod.
    fn fate(&mut self, place: &Place) -> Lot {
        let versions = self.pods.get(place).map_or(&[][..], |pod| &pod.versions);
        let decided = versions.iter().find_map(|tag| Some((tag, *self.fates.get(tag)?)));
        let Some((version, fate)) = decided else { return Lot::Well { after: None } };
        match fate {
            Fate::Ready { after } => Lot::Well { after: Some(after.0) },
            Fate::Stuck => Lot::Ill,
            Fate::Flapping { every } => Lot::Changing { every: every.0.max(REPEAT_MIN) },
            Fate::Crashing { after } => Lot::Brief { length: after.0 },
            Fate::OneStuck => {
                let stuck = self.stuck.entry(version.clone()).or_insert_with(|| place.clone());
                if stuck == place { Lot::Ill } else { Lot::Well { after: None } }
            }
        }
    }

    /// Takes the next turn of a pod.
    pub fn act(&mut self, ground: &mut Ground, place: &Place) {
        let Some(pod) = self.pods.get_mut(place) else { return };
        let Some(turn) = pod.turn.take() else { return };
        let since = match turn {
            Turn::Start => pod.born,
            Turn::Ready | Turn::Unready | Turn::Crash | Turn::Stop => ground.now(),
        };
        match turn {
            Turn::Start => {
                pod.state = State::Running;
                self.addresses += 1;
                start(ground, place, self.addresses);
            }
            Turn::Ready => {
                pod.state = State::Ready;
                write(ground, place, true);
            }
            Turn::Unready => {
                pod.state = State::Running;
                write(ground, place, false);
            }
            Turn::Crash => {
                pod.state = State::Crashed;
                write(ground, place, false);
            }
            Turn::Stop => return stop(ground, place),
        }
        self.plan(ground, place, since);
    }
}

/// What becomes of one pod.
#[derive(Debug, Clone, Copy)]
enum Lot {
    /// It becomes ready and stays so.
    Well { after: Option<Duration> },
    /// It is not ready.
    Ill,
    /// It becomes ready, and unready for good.
    Brief { length: Duration },
    /// It becomes ready and unready in turns.
    Changing { every: Duration },
}

fn start(ground: &Ground, place: &Place, address: u32) {
    let [_, _, high, low] = address.to_be_bytes();
    let at = fields::seconds(ground.now());
    let status = json!({
        "phase": "Running",
        "podIP": format!("10.244.{high}.{low}"),
        "startTime": at,
        "conditions": [ready(false, &at)],
    });
    store(ground, place, |object| {
        if let Value::Object(fields) = object {
            fields.insert("status".to_owned(), status);
        }
    });
}

fn ready(is: bool, at: &str) -> Value {
    let status = if is { "True" } else { "False" };
    json!({"type": "Ready", "status": status, "lastTransitionTime": at})
}

fn write(ground: &Ground, place: &Place, is: bool) {
    let at = fields::seconds(ground.now());
    store(ground, place, |object| {
        if let Some(conditions) = object.pointer_mut("/status/conditions") {
            *conditions = json!([ready(is, &at)]);
        }
    });
}

fn store(ground: &Ground, place: &Place, edit: impl FnOnce(&mut Value)) {
    // A pod that is gone is heard of soon.
    let _ = ground.cluster.update(&ground::kubelet(), place, Part::Status, |object| {
        edit(object);
        Ok(())
    });
}

fn stop(ground: &Ground, place: &Place) {
    // Gone already is as good.
    let _ = ground.cluster.update(&ground::kubelet(), place, Part::Main, |object| {
        if let Some(Value::Object(metadata)) = object.get_mut("metadata") {
            metadata.remove("finalizers");
        }
        Ok(())
    });
}
