//! A small world for stories: what Kubernetes and a gateway would do with the moves of a turn.

use std::collections::BTreeMap;

use serde_json::json;
use stairlock::decide::decide;
use stairlock::model::command::{Asked, Command, Commands, Token, Value};
use stairlock::model::image::Image;
use stairlock::model::moment::{Duration, Timestamp};
use stairlock::model::moves::{Move, WeightEdit, Write};
use stairlock::model::range::Range;
use stairlock::model::release::{About, Release};
use stairlock::model::snapshot::{
    Acceptance, Experiment, Identity, Known, LiveRoute, LiveService, Offer, Releases, ReplicaSet,
    Route, Rule, Service, Snapshot,
};
use stairlock::model::spec::{
    DRAIN_DELAY, Ladder, OnFailure, Pause, RouteKind, RouteName, Routing, SourceKind, SourceRef,
    Spec, Step, Strategy,
};
use stairlock::model::status::{Stage, Status};
use stairlock::model::template::{Revision, Template};
use stairlock::model::version::Version;
use stairlock::model::weight::{Quantity, Weight};

const TURNS_MAX: usize = 200;

/// The world of one story.
pub struct World {
    seen: Snapshot,
    now: Timestamp,
    bad: Vec<String>,
    silent: bool,
    locked: bool,
    wake: Option<Timestamp>,
    version: u64,
}

impl Default for World {
    fn default() -> Self {
        let seen = Snapshot {
            rollout: Identity {
                group: "stairlock.dev",
                namespace: "prod".into(),
                name: "shop".into(),
                uid: "uid".into(),
                resource_version: "1".into(),
                generation: 1,
                deleting: None,
                finalizer: false,
            },
            instead: None,
            former: Vec::new(),
            coming: Vec::new(),
            spec: spec(),
            template: template("shop:1.0.0", "a"),
            template_refused: None,
            status: Status { observed_generation: -1, ..Status::default() },
            watched_since: Timestamp::from_millis(0),
            commands: Commands::default(),
            replica_sets: Vec::new(),
            pods: None,
            offer: Offer::NoSource,
            manifests: BTreeMap::new(),
            unread: None,
            gates: Vec::new(),
            bindings: Vec::new(),
            checks: None,
            stable_service: None,
            canary_service: None,
            routes: Vec::new(),
            renamed: None,
            unmatched: None,
            denied: None,
            duplicate: None,
            sent: Default::default(),
            refused: None,
        };
        let now = Timestamp::from_millis(0);
        Self { seen, now, bad: Vec::new(), silent: false, locked: false, wake: None, version: 1 }
    }
}

fn spec() -> Spec {
    Spec {
        replicas: 1,
        selector: BTreeMap::from([("app".into(), "shop".into())]),
        min_ready_secs: 0,
        deadline: Duration::from_secs(600),
        revisions_max: 10,
        history_max: 10,
        paused: false,
        source: None,
        registry: None,
        require_digest: false,
        wanted_version: None,
        range: None,
        release_interval: None,
        container: None,
        workload: true,
        bake_time: None,
        deploy_timeout: None,
        on_failure: OnFailure::Rollback,
        ready_when_completed: false,
        ladder: Ladder {
            strategy: Strategy::Canary,
            stable_service: None,
            canary_service: None,
            port: 80,
            surge: Quantity::Percent(25),
            unavailable: Quantity::Count(0),
            steps: Vec::new(),
            routes: Vec::new(),
            labelled: Vec::new(),
            create: None,
            drain: DRAIN_DELAY,
            experiment: None,
            analysis: None,
            abort_drain: Some(DRAIN_DELAY),
            dynamic_stable: false,
            rollback_window: 0,
        },
    }
}

fn template(image: &str, env: &str) -> Template {
    let mut container = json!({"name": "app", "ports": [{"containerPort": 80}],
        "env": [{"name": "MODE", "value": env}]});
    if !image.is_empty() {
        container["image"] = json!(image);
    }
    Template::new(json!({"metadata": {"labels": {"app": "shop"}},
        "spec": {"containers": [container]}}))
}

impl World {
    /// One event of the story and what follows from it.
    pub fn happens(&mut self, event: &str) -> Vec<String> {
        let (word, rest) = event.split_once(' ').unwrap_or((event, ""));
        match word {
            "rollout" => {
                self.rollout(rest);
                return Vec::new();
            }
            "at" => return self.until(Duration::parse(rest).expect("a time")),
            "image" => self.edit(template(rest, &self.env())),
            "env" => self.edit(template(&self.image(), rest)),
            "offer" => self.offer(rest),
            "annotate" => self.annotate(rest),
            "pods" => self.pods(rest),
            "gateway" => self.gateway(rest),
            "status" => self.seen.status = Status { observed_generation: -1, ..Status::default() },
            "git-owns-image" => {
                for container in &mut self.seen.template.containers {
                    container.foreign_owners = vec!["kustomize-controller".into()];
                }
            }
            "sum" => self.live_route().rules[0].sum = rest.parse().unwrap(),
            "no-routing" => {
                let ladder = &self.seen.spec.ladder;
                self.seen.instead = Some(Routing { routes: Vec::new(), ..ladder.routing() });
            }
            "mismatch" => {
                let live = self.service(rest).live.as_mut().unwrap();
                live.mismatch = Some("it selects other pods".into());
                live.selects = None;
            }
            "route-locked" => self.locked = rest == "true",
            "duplicate" => self.seen.duplicate = Some(("HTTPRoute shop".into(), "older".into())),
            "delete-rs" => {
                let of = |rs: &ReplicaSet| rs.images.values().any(|known| known == rest);
                self.seen.replica_sets.retain(|rs| !of(rs));
                self.settle();
            }
            "turned" => {
                let (service, image) = rest.split_once(' ').unwrap();
                let of = |rs: &&ReplicaSet| rs.images.values().any(|known| known == image);
                let revision = self.seen.replica_sets.iter().find(of).unwrap().revision.clone();
                self.service(service).live.as_mut().unwrap().selects = Some(revision);
                self.settle();
            }
            "weighed" => self.live_route().rules[0].canary.1 = rest.parse().unwrap(),
            "git-owns-route" => {
                self.live_route().owner = Some("Kustomization prod/shop".into());
            }
            "refused" => self.seen.template_refused = Some(rest.into()),
            "paused" => self.bump(|spec| spec.paused = rest == "true"),
            "replicas" => self.bump(|spec| spec.replicas = rest.parse().unwrap()),
            "orphaned" => self.seen.replica_sets.iter_mut().for_each(|rs| rs.owned = false),
            "delete" => self.seen.rollout.deleting = Some(self.now),
            other => panic!("no such event: {other}"),
        }
        self.turns()
    }

    fn live_route(&mut self) -> &mut LiveRoute {
        self.seen.routes[0].live.as_mut().unwrap()
    }

    fn bump(&mut self, change: impl FnOnce(&mut Spec)) {
        change(&mut self.seen.spec);
        self.seen.rollout.generation += 1;
    }

    fn env(&self) -> String {
        let value = &self.seen.template.value["spec"]["containers"][0]["env"][0]["value"];
        value.as_str().unwrap_or_default().to_owned()
    }

    fn image(&self) -> String {
        self.seen.template.containers[0].image.clone().unwrap_or_default()
    }

    fn edit(&mut self, template: Template) {
        self.seen.template = template;
        self.seen.template_refused = None;
        self.seen.rollout.generation += 1;
    }

    fn rollout(&mut self, text: &str) {
        for part in text.split(' ') {
            let (key, value) = part.split_once('=').unwrap_or((part, ""));
            let spec = &mut self.seen.spec;
            match key {
                "replicas" => spec.replicas = value.parse().unwrap(),
                "deadline" => spec.deadline = Duration::parse(value).unwrap(),
                "surge" => spec.ladder.surge = Quantity::Count(value.parse().unwrap()),
                "unavailable" => spec.ladder.unavailable = Quantity::Count(value.parse().unwrap()),
                "steps" => spec.ladder.steps = value.split(',').map(step).collect(),
                "source" => {
                    spec.source = Some(SourceRef {
                        kind: SourceKind::ImagePolicy,
                        namespace: "flux".into(),
                        name: "shop".into(),
                        substitute: None,
                        image: None,
                    });
                    spec.range = Some(Range::parse(">=1.0.0").unwrap());
                    let why = "nothing scanned".into();
                    let source = "ImagePolicy flux/shop".into();
                    let hold = stairlock::model::hold::Hold::SourceNotReady { source, why };
                    self.seen.offer = Offer::Nothing(hold);
                }
                "route" => self.route(),
                "services" => {
                    self.route();
                    self.seen.routes.clear();
                    self.seen.spec.ladder.routes.clear();
                }
                "window" => spec.ladder.rollback_window = value.parse().unwrap(),
                "dynamic" => spec.ladder.dynamic_stable = true,
                "drain" => spec.ladder.drain = Duration::parse(value).unwrap(),
                "abort-drain" => spec.ladder.abort_drain = Duration::parse(value).ok(),
                "image" => self.seen.template = template(value, "a"),
                other => panic!("no such setting: {other}"),
            }
        }
    }

    fn route(&mut self) {
        let canary = &mut self.seen.spec.ladder;
        canary.stable_service = Some("stable".into());
        canary.canary_service = Some("canary".into());
        canary.routes = vec![RouteName::new(RouteKind::Http, "shop")];
        self.seen.stable_service = Some(Service { name: "stable".into(), live: None });
        self.seen.canary_service = Some(Service { name: "canary".into(), live: None });
        let rule = Rule { index: 1, stable: (0, 1), canary: (1, 1), explicit: false, sum: 100 };
        let live = LiveRoute {
            name: RouteName::new(RouteKind::Http, "shop"),
            uid: "r".into(),
            resource_version: "1".into(),
            rules: vec![rule],
            experiment: Experiment::default(),
            acceptance: Acceptance::Accepted,
            owner: None,
            strays: Vec::new(),
        };
        self.seen.routes =
            vec![Route { name: live.name.clone(), there: true, live: Ok(live), remnant: None }];
    }

    fn offer(&mut self, text: &str) {
        let image = Image::parse(&format!("shop:{text}")).unwrap();
        let version = Version::from_tag(image.tag.as_deref().unwrap()).unwrap();
        self.seen.offer =
            Offer::Releases(Releases::one(Release { version, image, about: About::default() }));
    }

    fn annotate(&mut self, text: &str) {
        let (key, value) = text.split_once('=').unwrap();
        let command = Command::ALL.into_iter().find(|c| c.as_str() == key).unwrap();
        let key = format!("stairlock.dev/{key}");
        self.seen.commands.asked.push(Asked { command, key, value: Value::parse(value) });
    }

    fn pods(&mut self, text: &str) {
        match text.split_once(' ') {
            Some(("bad", image)) => self.bad.push(image.to_owned()),
            Some(("good", image)) => self.bad.retain(|bad| bad != image),
            _ => panic!("pods bad|good IMAGE"),
        }
        self.settle();
    }

    fn gateway(&mut self, text: &str) {
        self.silent = text == "silent";
        if let [Route { live: Ok(live), .. }] = self.seen.routes.as_mut_slice() {
            live.acceptance = match text {
                "refuses" => Acceptance::Refused("NoMatchingParent".into()),
                "silent" => Acceptance::Pending,
                _ => Acceptance::Accepted,
            };
        }
    }

    fn until(&mut self, length: Duration) -> Vec<String> {
        let end = Timestamp::from_millis(0) + length;
        let mut told = Vec::new();
        while let Some(wake) = self.wake.filter(|wake| *wake <= end) {
            self.now = self.now.max(wake);
            told.extend(self.turns());
        }
        self.now = end;
        told.extend(self.turns());
        told
    }

    /// Turns until one waits.
    fn turns(&mut self) -> Vec<String> {
        let mut told = Vec::new();
        for _ in 0..TURNS_MAX {
            self.version += 1;
            self.seen.rollout.resource_version = self.version.to_string();
            let next = decide(&Known::Valid(Box::new(self.seen.clone())), self.now);
            match next {
                Move::Apply(writes) if self.locked && weighs(&writes) => {
                    let why = "denied".to_owned();
                    self.seen.refused = Some(("HTTPRoute shop".to_owned(), why));
                    self.wake = Some(self.now + Duration::from_secs(4));
                    told.push("refused: weights".to_owned());
                    return told;
                }
                Move::Wait { hold, until } => {
                    self.wake = until;
                    if !told.is_empty() {
                        told.push(waits(hold.map(|hold| hold.message()), until));
                    }
                    return told;
                }
                next @ (Move::Commit(_) | Move::Apply(_) | Move::Report(_) | Move::Announce(_)) => {
                    self.carry_out(next, &mut told)
                }
            }
        }
        panic!("no end after {TURNS_MAX} turns: {:#?}", told.last());
    }

    /// What the spec names splits the traffic, once the status says that it is in use.
    fn come_to_what_is_named(&mut self) {
        let used = self.seen.status.attempt.as_ref().and_then(|attempt| attempt.routing.clone());
        let Some(named) = self.seen.instead.clone().filter(|named| used.as_ref() == Some(named))
        else {
            return;
        };
        self.seen.instead = None;
        if named.routes.is_empty() {
            self.seen.routes.clear();
        }
        self.seen.spec.ladder = self.seen.spec.ladder.clone().with(named);
    }

    fn carry_out(&mut self, next: Move, told: &mut Vec<String>) {
        let at = Timestamp::from_millis(0);
        let at = self.now.since(at);
        match next {
            Move::Commit(status) => {
                told.push(format!("t+{at} commit {}", shown(&status)));
                self.seen.status = *status;
                self.come_to_what_is_named();
            }
            Move::Report(status) => {
                told.push(format!("t+{at} report {}", shown(&status)));
                self.seen.status = *status;
            }
            Move::Announce(notices) => {
                for notice in notices {
                    told.push(format!("t+{at} notice {}: {}", notice.reason, notice.message));
                    self.seen.sent.insert(notice.id);
                }
            }
            Move::Apply(writes) => {
                for write in writes {
                    told.push(format!("t+{at} apply {}", self.write(write)));
                }
                self.settle();
            }
            Move::Wait { .. } => {}
        }
    }

    fn write(&mut self, write: Write) -> String {
        match write {
            Write::CreateReplicaSet { revision, attempt, replicas, template, .. } => {
                self.create_replica_set(revision, attempt, replicas, template)
            }
            Write::Resize { target, replicas, quarantine, attempt, .. } => {
                let rs = self.seen.replica_sets.iter_mut().find(|rs| rs.name == target.name);
                let rs = rs.expect("a known ReplicaSet");
                let text = format!("resize {} from {} to {replicas}", rs.name, rs.desired);
                rs.desired = replicas;
                rs.quarantined = quarantine.or(rs.quarantined);
                rs.attempt = attempt.unwrap_or(rs.attempt);
                match quarantine {
                    Some(attempt) => format!("{text}, mark failed in {attempt}"),
                    None => text,
                }
            }
            Write::DeleteReplicaSet(target) => {
                self.seen.replica_sets.retain(|rs| rs.name != target.name);
                format!("delete {}", target.name)
            }
            Write::AdoptReplicaSet(target) => {
                self.seen.replica_sets.iter_mut().for_each(|rs| rs.owned = true);
                format!("adopt {}", target.name)
            }
            Write::CreateService { name, revision, port, target_port, .. } => {
                self.create_service(&name, revision, (port, target_port))
            }
            Write::AddPort { target, port, target_port } => {
                self.service(&target.name).live.as_mut().unwrap().ports.push(port);
                format!("add port {port}->{target_port} to Service {}", target.name)
            }
            Write::Select { target, to, .. } => {
                let to_text = to.as_ref().map_or("all".to_owned(), ToString::to_string);
                self.service(&target.name).live.as_mut().unwrap().selects = to;
                format!("select {to_text} by Service {}", target.name)
            }
            Write::SetWeights { edits, .. } => self.set_weights(&edits),
            Write::Deliver { .. } | Write::Request { .. } => unreachable!("no story has a binding"),
            Write::ResetCheck { .. } => unreachable!("no story has a HealthCheck"),
            Write::Evict { .. } => unreachable!("no story has a restart"),
            Write::SetRules { .. } => unreachable!("no story has an experiment"),
            Write::CreateRoute { .. } | Write::SetRoute { .. } => {
                unreachable!("no story has a route of its own")
            }
            Write::SetImages(edits) => {
                let images: BTreeMap<_, _> =
                    edits.into_iter().map(|e| (e.container, e.image)).collect();
                self.edit(self.seen.template.with_images(&images));
                format!("image {}", self.image())
            }
            Write::TakeCommands { remove, accept } => {
                self.seen.commands.asked.retain(|asked| !remove.contains(&asked.key));
                self.seen.commands.accepted =
                    accept.map(|token| ("stairlock.dev/accepted".to_owned(), Some(token)));
                let token = accept.map_or("none".to_owned(), |token: Token| token.to_string());
                format!("take {} accept {token}", remove.join(", "))
            }
            Write::Finalizer { present } => {
                self.seen.rollout.finalizer = present;
                format!("finalizer {present}")
            }
        }
    }

    fn create_replica_set(
        &mut self,
        revision: Revision,
        attempt: u32,
        replicas: u32,
        template: serde_json::Value,
    ) -> String {
        let name = revision.replica_set("shop");
        let template = Template::new(template);
        let text = format!("create {name} of {} with {replicas} pods", self.image());
        self.seen.replica_sets.push(ReplicaSet {
            uid: name.clone(),
            name,
            resource_version: "1".into(),
            owned: true,
            revision,
            template: template.id,
            images: template.images(),
            attempt,
            quarantined: None,
            created_at: self.now,
            desired: replicas,
            min_ready_secs: 0,
            replicas: 0,
            ready: 0,
            available: 0,
            settled: true,
        });
        text
    }

    fn create_service(
        &mut self,
        name: &str,
        revision: Revision,
        (port, target_port): (u16, u16),
    ) -> String {
        let text = format!("create Service {name} {port}->{target_port} of {revision}");
        let live = LiveService {
            uid: name.to_owned(),
            resource_version: "1".into(),
            ours: true,
            ports: vec![port],
            selects: Some(revision),
            mismatch: None,
            owner: None,
            ready: BTreeMap::new(),
            strangers: 0,
        };
        self.service(name).live = Some(live);
        text
    }

    fn set_weights(&mut self, edits: &[WeightEdit]) -> String {
        let weights: Vec<_> = edits.iter().map(|e| format!("{} {}", e.service, e.weight)).collect();
        let silent = self.silent;
        if let [Route { live: Ok(live), .. }] = self.seen.routes.as_mut_slice() {
            let rule = &mut live.rules[0];
            rule.explicit = true;
            rule.stable.1 = edits[0].weight;
            rule.canary.1 = edits[1].weight;
            if silent {
                live.acceptance = Acceptance::Pending;
            }
        }
        format!("weigh {}", weights.join(", "))
    }

    fn service(&mut self, name: &str) -> &mut Service {
        let services = [&mut self.seen.stable_service, &mut self.seen.canary_service];
        services.into_iter().flatten().find(|service| service.name == name).unwrap()
    }

    /// Pods and endpoints follow: ready at once, unless their image is a bad one.
    fn settle(&mut self) {
        for rs in &mut self.seen.replica_sets {
            let bad = rs.images.values().any(|image| self.bad.contains(image));
            rs.replicas = rs.desired;
            rs.ready = if bad { 0 } else { rs.desired };
            rs.available = rs.ready;
        }
        let ready: BTreeMap<_, _> =
            self.seen.replica_sets.iter().map(|rs| (rs.revision.clone(), rs.ready)).collect();
        for service in [&mut self.seen.stable_service, &mut self.seen.canary_service] {
            let Some(live) = service.as_mut().and_then(|s| s.live.as_mut()) else { continue };
            live.ready = ready
                .iter()
                .filter(|(revision, _)| live.selects.as_ref().is_none_or(|s| s == *revision))
                .map(|(revision, count)| (revision.clone(), *count))
                .collect();
        }
    }
}

fn weighs(writes: &[Write]) -> bool {
    writes.iter().any(|write| matches!(write, Write::SetWeights { .. }))
}

fn step(text: &str) -> Step {
    let (weight, pause) = text.split_once(':').unwrap_or((text, ""));
    let pause = match pause {
        "" => Pause::None,
        "manual" => Pause::UntilPromoted,
        time => Pause::For(Duration::parse(time).unwrap()),
    };
    Step { weight: Weight::new(weight.parse().unwrap()).unwrap(), scale: None, pause }
}

fn waits(hold: Option<String>, until: Option<Timestamp>) -> String {
    let until = until.map(|until| until.since(Timestamp::from_millis(0)).to_string());
    match (hold, until) {
        (Some(hold), Some(until)) => format!("wait until t+{until}: {hold}"),
        (Some(hold), None) => format!("wait: {hold}"),
        (None, Some(until)) => format!("wait until t+{until}"),
        (None, None) => "wait".to_owned(),
    }
}

fn shown(status: &Status) -> String {
    let mut parts = vec![status.phase.as_str().to_owned()];
    if let Some(attempt) = &status.attempt {
        let stage = match &attempt.stage {
            Stage::First { .. } => "first".to_owned(),
            Stage::Step { number, paused_at: None, .. } => format!("step {number}"),
            Stage::Step { number, .. } => format!("step {number} in force"),
            Stage::Promoting { .. } => "promoting".to_owned(),
            Stage::Baking { .. } => "baking".to_owned(),
            Stage::RollingBack { cause, .. } => format!("rolling back {}", cause.as_str()),
            Stage::Completed { .. } => "completed".to_owned(),
            Stage::Ended { cause, .. } => format!("ended {}", cause.as_str()),
        };
        parts.push(format!("attempt {} {stage} weight {}", attempt.number, attempt.weight));
    }
    let counts = status.counts;
    parts.push(format!("pods {}/{}", counts.ready, counts.replicas));
    let waits: Vec<_> = status.waiting.iter().map(|w| w.kind.as_str()).collect();
    if !waits.is_empty() {
        parts.push(format!("waits {}", waits.join("+")));
    }
    let conditions: Vec<_> =
        status.conditions.iter().filter(|c| c.status == "True").map(|c| c.kind.as_str()).collect();
    parts.push(format!("true: {}", conditions.join(" ")));
    if status.pin.is_some() {
        parts.push("pinned".to_owned());
    }
    parts.join(", ")
}
