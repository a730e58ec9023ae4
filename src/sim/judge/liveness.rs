//! Liveness: what has to happen in time once faults and foreign edits have ended (L1, L2, L3, L4,
//! L9), and how often something may (L10).
//!
//! Before [`Liveness::calm`] only L10 is judged: any delay may be a fault's.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::moment::{Duration, Timestamp};
use crate::sim::judge::facts::rollout::{Pause, Rollout};
use crate::sim::judge::facts::route::Route;
use crate::sim::judge::facts::source::{Image, version};
use crate::sim::judge::facts::status::{Attempt, KEPT, Stage};
use crate::sim::judge::found::Found;
use crate::sim::judge::scene::{Case, Name, SOURCES, Scene};

/// After the calm somebody has to lead, and to try again what a fault made it put off for at most
/// 30 s.
const SETTLING: Duration = Duration::from_secs(35);
/// The longest pause before a failed turn is tried again.
const BACKOFF_MAX: Duration = Duration::from_secs(300);
/// How long a command may stand untaken (L3, with a lost event).
const COMMAND_TIME: Duration = Duration::from_secs(60);
/// How long a deletion may take: 10 s for gateways that do not answer, and a drain.
const DELETION_TIME: Duration = Duration::from_secs(40);
/// How long a newer release may wait for its attempt.
const RELEASE_TIME: Duration = Duration::from_secs(5);
/// How long after the last foreign change everything has to be in its place.
const REST_TIME: Duration = Duration::from_secs(40);
/// How long something may be overdue: a turn fails, a cache is late.
const GRACE: Duration = Duration::from_secs(30);
/// Writes of controllers within a minute that no foreign change asked for: a whole release has 30.
const RUN_MAX: u32 = 40;
/// Writes of controllers within a minute, whatever happens.
const RATE_MAX: u32 = 600;
const MINUTE: Duration = Duration::from_secs(60);

/// Holds that end in a failure once the progress deadline is over.
const UNHEALTHY: [&str; 6] = [
    "PodsNotReady",
    "EndpointsNotReady",
    "RouteNotAccepted",
    "RouteRefused",
    "Refused",
    "Draining",
];
/// Holds that end at a time.
const TIMED: [&str; 3] = ["Paused", "Experimenting", "Concluding"];
/// Holds of an attempt that a newer release ends.
const PASSING: [&str; 10] = [
    "Paused",
    "AwaitingPromotion",
    "Experimenting",
    "Concluding",
    "AwaitingConclusion",
    "PodsNotReady",
    "EndpointsNotReady",
    "RouteNotAccepted",
    "RouteRefused",
    "Draining",
];

/// What is waited for.
#[derive(Debug, Default)]
pub struct Liveness {
    calm: Option<Timestamp>,
    rollouts: BTreeMap<Name, Known>,
    spaces: BTreeMap<String, Space>,
    told: BTreeSet<(Name, &'static str)>,
}

/// What is waited for about one Rollout, by the true clock.
#[derive(Debug)]
struct Known {
    /// Commands by annotation, each since when it stands.
    asked: BTreeMap<String, Timestamp>,
    deleting: Option<Timestamp>,
    /// A newer release that nothing keeps from being taken.
    ripe: Option<(String, Timestamp)>,
    /// Where the attempt stands, and since when.
    stage: (String, Timestamp),
}

/// The writes in one namespace.
#[derive(Debug)]
struct Space {
    foreign: Timestamp,
    /// Writes of controllers since a foreign change or for a minute, and when the first was.
    run: (u32, Timestamp),
    /// Writes of controllers in this minute, and when it began.
    rate: (u32, Timestamp),
}

impl Liveness {
    /// Notes that faults and foreign edits ended.
    pub fn calm(&mut self, at: Timestamp) {
        self.calm = Some(at);
    }

    fn settled(&self) -> Option<Timestamp> {
        self.calm.map(|calm| calm + SETTLING)
    }

    /// Looks at a change, before it is kept.
    pub fn see(&mut self, case: &Case<'_>, found: &mut Found) {
        self.due(case.scene, case.change.at, found);
        self.counts(case, found);
    }

    /// Notes what is waited for, after a change is kept.
    pub fn note(&mut self, scene: &Scene, resource: &str, name: &Name, at: Timestamp) {
        match resource {
            "rollouts" => match scene.rollout(name) {
                Some(rollout) => {
                    let known = self.rollouts.entry(name.clone()).or_insert_with(|| Known::new(at));
                    known.note(scene, rollout, at);
                }
                None => drop(self.rollouts.remove(name)),
            },
            resource if SOURCES.contains(&resource) => {
                for (name, known) in &mut self.rollouts {
                    if let Some(rollout) = scene.rollout(name) {
                        known.ripens(scene, rollout, at);
                    }
                }
            }
            _ => {}
        }
    }

    /// Looks at what was pushed to a registry.
    pub fn pushed(&mut self, scene: &Scene, at: Timestamp) {
        for (name, known) in &mut self.rollouts {
            if let Some(rollout) = scene.rollout(name) {
                known.ripens(scene, rollout, at);
            }
        }
    }

    /// Names what did not happen in time.
    fn due(&mut self, scene: &Scene, at: Timestamp, found: &mut Found) {
        let Some(settled) = self.settled().filter(|settled| *settled < at) else { return };
        let over = |since: Timestamp, time: Duration| since.max(settled) + time < at;
        for (name, known) in &self.rollouts {
            let Some(rollout) = scene.rollout(name) else { continue };
            let mut late = Vec::new();
            let usable = rollout.usable() && !rollout.deleting;
            if let Some((key, _)) = known.asked.iter().find(|(_, s)| over(**s, COMMAND_TIME)) {
                late.extend(
                    usable.then(|| ("L3", format!("{key} stands for more than {COMMAND_TIME}"))),
                );
            }
            if known.deleting.is_some_and(|since| over(since, DELETION_TIME)) && rollout.finalizer {
                late.push(("L4", format!("is still there {DELETION_TIME} after its deletion")));
            }
            let time = release_time(rollout);
            if let Some((tag, _)) = known.ripe.as_ref().filter(|(_, s)| over(*s, time)) {
                late.push(("L9", format!("{tag} is offered for more than {time}")));
            }
            let foreign = self.spaces.get(&name.0).map_or(settled, |space| space.foreign);
            let since = foreign.max(settled).max(known.stage.1);
            late.extend(overdue(rollout, since, at).filter(|_| usable).map(|why| ("L2", why)));
            for (invariant, message) in late {
                if self.told.insert((name.clone(), invariant)) {
                    found.push(invariant, format!("{}: {message}", name.1));
                }
            }
        }
    }

    /// L10: no controller writes on and on; L1: at rest none writes at all.
    fn counts(&mut self, case: &Case<'_>, found: &mut Found) {
        if ["leases", "events"].contains(&case.change.place.resource) && case.controller().is_none()
            || case.change.place.resource == "leases"
        {
            return;
        }
        let (at, settled) = (case.change.at, self.settled());
        let begun = || Space { foreign: at, run: (0, at), rate: (0, at) };
        let space = self.spaces.entry(case.namespace().to_owned()).or_insert_with(begun);
        if case.controller().is_none() {
            *space = Space { foreign: at, run: (0, at), ..*space };
            return;
        }
        let count = |(count, since): (u32, Timestamp)| {
            if since + MINUTE < at || count == 0 { (1, at) } else { (count + 1, since) }
        };
        space.run = count(space.run);
        space.rate = count(space.rate);
        let (run, rate) = (space.run.0, space.rate.0);
        found.unless(run != RUN_MAX + 1 && rate != RATE_MAX + 1, "L10", || {
            format!("{run} writes without a foreign change, {rate} in a minute")
        });
        let quiet = space.foreign + MINUTE < at
            && settled.is_some_and(|settled| settled + BACKOFF_MAX < at);
        let rests = |known: &Known| known.stage.0.is_empty() && known.stage.1 + MINUTE < at;
        let here = self.rollouts.iter().filter(|((space, _), _)| space == case.namespace());
        let mut here = here.peekable();
        let rest = quiet && here.peek().is_some() && here.all(|(_, known)| rests(known));
        found.unless(!rest, "L1", || {
            format!("{} {} is written at rest", case.change.place.resource, case.name())
        });
    }

    /// Judges how the story ended.
    pub fn end(&mut self, scene: &Scene, at: Timestamp, found: &mut Found) {
        self.due(scene, at, found);
        let Some(settled) = self.settled() else { return };
        for (name, known) in &self.rollouts {
            let Some(rollout) = scene.rollout(name).filter(|rollout| rollout.usable()) else {
                continue;
            };
            let foreign = self.spaces.get(&name.0).map_or(settled, |space| space.foreign);
            let rested = foreign.max(settled).max(known.stage.1) + REST_TIME < at;
            if rested && !rollout.deleting {
                named_is_there(scene, name, rollout, found);
            }
            match rollout.open() {
                Some(attempt) => {
                    ends(rollout, attempt, (known.stage.1.max(settled), at), found);
                    if rested {
                        falls(scene, name, rollout, found);
                    }
                }
                None if rested && !rollout.deleting => {
                    named_is_used(name, rollout, found);
                    rests(scene, name, rollout, found);
                }
                None => {}
            }
        }
    }
}

impl Known {
    fn new(at: Timestamp) -> Self {
        Self {
            asked: BTreeMap::new(),
            deleting: None,
            ripe: None,
            stage: ("unknown".to_owned(), at),
        }
    }

    fn note(&mut self, scene: &Scene, rollout: &Rollout, at: Timestamp) {
        let named = |value: &str| {
            let number = |text: &str| text.parse::<u32>().is_ok();
            ["true", "A", "B"].contains(&value)
                || value.split_once('/').is_some_and(|(a, s)| number(a) && number(s))
        };
        let asked = rollout.asked.iter().filter(|(_, _, value)| named(value));
        let asked = asked.map(|(key, _, value)| format!("{key}={value}"));
        let accepted = rollout.accepted.iter().map(|token| format!("accepted {token}"));
        let all: Vec<String> = asked.chain(accepted).collect();
        self.asked.retain(|key, _| all.contains(key));
        for key in all {
            self.asked.entry(key).or_insert(at);
        }
        if rollout.deleting && self.deleting.is_none() {
            self.deleting = Some(at);
        }
        let stage = stage(rollout);
        if stage != self.stage.0 {
            self.stage = (stage, at);
        }
        self.ripens(scene, rollout, at);
    }

    fn ripens(&mut self, scene: &Scene, rollout: &Rollout, at: Timestamp) {
        let ripe = ripe(scene, rollout);
        let known = self.ripe.as_ref().map(|(tag, _)| tag);
        if known != ripe.as_ref() {
            self.ripe = ripe.map(|tag| (tag, at));
        }
    }
}

/// Where a Rollout stands, in one word; empty at rest.
fn stage(rollout: &Rollout) -> String {
    let status = &rollout.status;
    match &status.attempt {
        Some(attempt) if attempt.open() => {
            let (number, step) = attempt.place();
            format!("{number} {} {step} {}", attempt.stage, attempt.paused_at.is_some())
        }
        Some(_) if !status.draining.is_empty() || !status.outbox.is_empty() => "settles".to_owned(),
        // What it waits for ends by itself: then it moves though nobody has changed anything.
        Some(_) if status.waiting_for.iter().any(|waiting| waiting.automatic) => "waits".to_owned(),
        Some(_) => String::new(),
        None => "unknown".to_owned(),
    }
}

/// How soon a newer release has to be taken: one of a registry once that is asked again, at the
/// latest after the longest pause for a failure.
fn release_time(rollout: &Rollout) -> Duration {
    let registry = rollout.spec.registry.as_ref();
    let asked = registry.map_or(0, |registry| registry.interval.millis() * 11 / 10 + 600_000);
    Duration::from_millis(RELEASE_TIME.millis() + asked)
}

/// The tag of a newer release that nothing keeps from superseding the attempt in progress.
fn ripe(scene: &Scene, rollout: &Rollout) -> Option<String> {
    let spec = &rollout.spec;
    let offer = scene.offered(spec)?;
    let attempt = rollout.status.attempt.as_ref()?;
    let takes = match attempt.stage() {
        Stage::Step | Stage::Completed | Stage::Ended => !attempt.kept,
        Stage::First | Stage::Promoting | Stage::Baking | Stage::RollingBack | Stage::Unknown => {
            false
        }
    };
    let known = |kind: &str| PASSING.contains(&kind);
    let held = rollout.status.waiting_for.iter().any(|waiting| !known(&waiting.kind));
    let still = rollout.deleting || spec.paused || spec.replicas == 0 || !rollout.usable();
    let known = attempt.open()
        && attempt.release.tag == offer.tag
        && ["", attempt.release.digest()].contains(&offer.digest.as_str());
    if held || still || !takes || known || rollout.status.pin.is_some() || spec.wanted.is_some() {
        return None;
    }
    let offered = version(&offer.tag)?;
    let same = spec.images.values().flatten().map(|image| Image::of(image));
    let ours = |image: &Image| ["", image.repository].contains(&offer.repository.as_str());
    let mut same = same.filter(ours).peekable();
    same.peek()?;
    let newer = same.all(|image| {
        let pushed = image.tag == offer.tag
            && ![image.digest, &offer.digest].contains(&"")
            && image.digest != offer.digest;
        pushed || image.version().is_none_or(|v| offered.cmp_precedence(&v).is_gt())
    });
    let failed = rollout.status.quarantine.iter().any(|f| f.release.tag == offer.tag);
    (newer && !failed).then(|| format!("{}@{}", offer.tag, offer.digest))
}

/// L2: what ends by itself ends in time, even if nothing else happens: a pause, or a step that does
/// not come into force.
fn overdue(rollout: &Rollout, since: Timestamp, at: Timestamp) -> Option<String> {
    let frozen = rollout.spec.paused || rollout.status.frozen_since.is_some();
    let attempt = rollout.open().filter(|attempt| attempt.delivered && !frozen)?;
    let first = rollout.status.waiting_for.first().filter(|_| rollout.spec.replicas > 0)?;
    let step = attempt.stage() == Stage::Step;
    let climbs = step || [Stage::First, Stage::Promoting, Stage::Baking].contains(&attempt.stage());
    let pause = match rollout.spec.step(attempt.step).pause {
        Pause::For(length) if step && !attempt.unpaused && first.kind == "Paused" => Some(length),
        Pause::UntilConcluded(most) if step && first.kind == "Experimenting" => most,
        Pause::UntilConcluded(_) if step && first.kind == "Concluding" => Some(rollout.spec.least),
        Pause::For(_) | Pause::None | Pause::UntilPromoted | Pause::UntilConcluded(_) => None,
    };
    let unhealthy = climbs && UNHEALTHY.contains(&first.kind.as_str());
    let limit = pause.or_else(|| unhealthy.then_some(rollout.spec.deadline))?;
    let since = Timestamp::parse(&first.since).map_or(since, |held| held.max(since));
    (since + limit + GRACE < at)
        .then(|| format!("{} is {} for more than {limit}", attempt.place().0, first.kind))
}

/// L2: an attempt in progress waits for something that is not over.
fn ends(
    rollout: &Rollout,
    attempt: &Attempt,
    (since, at): (Timestamp, Timestamp),
    found: &mut Found,
) {
    let name = &rollout.name;
    let waiting = &rollout.status.waiting_for;
    if rollout.deleting || at <= since + GRACE {
        return;
    }
    found.unless(!waiting.is_empty(), "L2", || {
        format!("{name}: attempt {} stands and waits for nothing", attempt.number)
    });
    let over = |text: &str, time: Duration| {
        Timestamp::parse(text).is_some_and(|from| from.max(since) + time + GRACE < at)
    };
    let late =
        waiting.iter().find(|w| w.until.as_ref().is_some_and(|until| over(until, Duration::ZERO)));
    found.unless(late.is_none(), "L2", || format!("{name} still waits: {late:?}"));
    let timeless = waiting.iter().any(|w| TIMED.contains(&w.kind.as_str()) && w.until.is_none());
    found.unless(!timeless, "L2", || format!("{name} is paused, and nothing tells until when"));
    let moving = match attempt.stage() {
        Stage::First | Stage::Step | Stage::Promoting | Stage::Baking => {
            attempt.delivered && !rollout.spec.paused && rollout.spec.replicas > 0
        }
        Stage::RollingBack | Stage::Completed | Stage::Ended | Stage::Unknown => false,
    };
    let first = waiting.first().filter(|waiting| UNHEALTHY.contains(&waiting.kind.as_str()));
    let stuck = first.filter(|w| moving && over(&w.since, rollout.spec.deadline));
    found.unless(stuck.is_none(), "L2", || {
        format!("{name}: attempt {} outlives its deadline: {stuck:?}", attempt.number)
    });
}

/// L2: on the way back a route that a GitOps tool owns keeps its weights, and no other one does.
fn falls(scene: &Scene, name: &Name, rollout: &Rollout, found: &mut Found) {
    let back = rollout.open().is_some_and(|attempt| attempt.stage() == Stage::RollingBack);
    let waiting = rollout.status.waiting_for.first();
    let routing = rollout.routing().filter(|_| back);
    let Some(routing) = routing.filter(|_| waiting.is_some_and(|w| w.kind == "RouteOwned")) else {
        return;
    };
    for (route_name, route) in scene.routes_of(&name.0, &routing) {
        let Some(route) = route.filter(|route| !route.applied) else { continue };
        let pairs = route.pairs(&routing.stable_service, &routing.canary_service);
        let home = route.accepted_since.is_none() || pairs.values().all(|pair| pair.canary == 0);
        found.unless(home, "L2", || {
            format!("{route_name}: {pairs:?} while another route keeps the attempt")
        });
    }
}

/// L1: at rest all pods, Services and weights are stable's, and everything is told.
fn rests(scene: &Scene, name: &Name, rollout: &Rollout, found: &mut Found) {
    let status = &rollout.status;
    found.unless(!status.phase.is_empty(), "L1", || format!("nobody takes care of {}", name.1));
    let Some(stable) = status.stable.as_ref().map(|side| &side.revision) else { return };
    if status.attempt.is_none() || status.waits() {
        return;
    }
    found.unless(status.outbox.is_empty(), "L1", || format!("{}: notices stay unsent", name.1));
    if !rollout.spec.workload {
        return;
    }
    let routing = rollout.routing();
    let named = |object: &String| (name.0.clone(), object.clone());
    let routes = routing.as_ref().map(|routing| scene.routes_of(&name.0, routing));
    let routes = routes.unwrap_or_default();
    let accepts = |route: &Option<&Route>| route.is_some_and(|r| r.accepted_since.is_some());
    let taken = routes.iter().all(|(_, route)| accepts(route));
    let mut sets = scene.sets_now(&name.0, &rollout.uid);
    let whole = rollout.spec.replicas == 0 || sets.any(|(_, set)| set.revision == *stable);
    found.unless(whole, "L1", || format!("{}: stable has no ReplicaSet at rest", name.1));
    for (set, facts) in scene.sets_now(&name.0, &rollout.uid) {
        let wanted = if facts.revision == *stable { rollout.spec.replicas } else { 0 };
        let kept = facts.revision != *stable && rollout.stays(&facts.revision).is_none();
        let wanted = if kept { facts.desired } else { wanted };
        found.unless(facts.desired == wanted || !taken, "L1", || {
            format!("{set} is to have {wanted} pods at rest and is asked for {}", facts.desired)
        });
    }
    let old = scene.sets_now(&name.0, &rollout.uid).filter(|(_, set)| {
        let attempt = status.attempt.as_ref().map(|attempt| &attempt.revision);
        set.there() == 0 && set.revision != *stable && attempt != Some(&set.revision)
    });
    // The present template's may be one of them.
    let (old, kept) = (old.count(), rollout.spec.revisions_max.saturating_add(1));
    found.unless(old <= kept, "L1", || format!("{}: {old} old ReplicaSets are kept", name.1));
    for (routing, (route_name, route)) in
        routing.iter().flat_map(|r| routes.iter().map(move |x| (r, x)))
    {
        let Some(route) = route else { continue };
        let pairs = route.pairs(&routing.stable_service, &routing.canary_service);
        let home = pairs.values().all(|pair| pair.canary == 0 && pair.stable > 0);
        found.unless(home, "L1", || format!("{route_name}: {pairs:?} at rest"));
        let own = rollout.spec.create.as_ref().filter(|_| !rollout.spec.paused);
        found.unless(own.is_none_or(|own| *own == route.told), "L1", || {
            format!("{route_name}: {:?} at rest, not as the Rollout asks", route.told)
        });
        let left = route.experiments(routing);
        found.unless(left == 0, "S6", || {
            format!("{route_name}: {left} rules of an experiment are left at rest")
        });
    }
    if let Some(service) = rollout.spec.stable_service.as_ref()
        && let Some(live) = scene.service(&named(service))
    {
        found.unless(live.selects.as_ref() == Some(stable), "L1", || {
            format!("{service} selects {:?} at rest, not {stable}", live.selects)
        });
    }
}

/// L1: what the spec names to split the traffic is in use, or something is waited for.
fn named_is_used(name: &Name, rollout: &Rollout, found: &mut Found) {
    let still = rollout.spec.paused || rollout.status.waits();
    found.unless(still || !rollout.renamed(), "L1", || {
        format!("{}: {:?} is named and not used", name.1, rollout.named)
    });
}

/// L1: the Services and the route that a Rollout names are there, or it says what it waits for; so
/// what was deleted is noticed.
fn named_is_there(scene: &Scene, name: &Name, rollout: &Rollout, found: &mut Found) {
    let mut waits = rollout.status.waiting_for.iter();
    let passing = |kind: &str| kind == KEPT || PASSING.contains(&kind);
    if rollout.status.attempt.is_none() || !waits.all(|w| passing(&w.kind)) {
        return;
    }
    let named = |object: &String| (name.0.clone(), object.clone());
    let services = [&rollout.spec.stable_service, &rollout.spec.canary_service];
    let mut services = services.into_iter().flatten();
    let service = services.find(|service| scene.service(&named(service)).is_none()).cloned();
    // What labels selected once may go without a word.
    let spec = rollout.spec.routing();
    let selects = spec.as_ref().is_some_and(|routing| !routing.selects.is_empty());
    let routing = if selects { spec } else { rollout.routing() };
    let mut routes = routing.iter().flat_map(|routing| routing.names());
    let route = routes.find(|route| scene.route(&named(route)).is_none());
    let gone = service.or(route);
    found.unless(gone.is_none(), "L1", || {
        format!("{}: {} is not there and not waited for", name.1, gone.unwrap_or_default())
    });
}

#[cfg(test)]
mod tests;
