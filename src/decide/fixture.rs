//! Snapshots for the tables of this folder: a Rollout at rest, and what can happen to it.

use std::collections::BTreeMap;

use serde_json::json;

use crate::decide::act;
use crate::decide::act::Next;
use crate::model::binding::{Applied, Binding, Field, TargetKind};
use crate::model::command::Commands;
use crate::model::image::Image;
use crate::model::moment::{Duration, Timestamp};
use crate::model::moves::Write;
use crate::model::release::{About, Release, ReleaseRef};
use crate::model::snapshot::{
    Acceptance, Experiment, Identity, LiveRoute, LiveService, Offer, ReplicaSet, Route, Rule,
    Service, Snapshot,
};
use crate::model::spec::{
    DRAIN_DELAY, Ladder, OnFailure, Pause, RouteKind, RouteName, Spec, Step, Strategy,
};
use crate::model::status::{Attempt, Side, Stage, Status, Trigger};
use crate::model::template::{Revision, Template};
use crate::model::version::Version;
use crate::model::weight::{Quantity, Weight};

pub fn at(minutes: u64) -> Timestamp {
    Timestamp::from_millis(0) + Duration::from_secs(60 * minutes)
}

pub fn template(image: &str) -> Template {
    let mut app = json!({"name": "app", "ports": [{"containerPort": 80}]});
    if !image.is_empty() {
        app["image"] = json!(image);
    }
    Template::new(json!({"metadata": {"labels": {"app": "shop"}}, "spec": {"containers": [app]}}))
}

pub fn release(tag: &str) -> Release {
    let image = Image::parse(&format!("shop:{tag}")).unwrap();
    Release {
        version: Version::from_tag(image.tag.as_deref().unwrap()).unwrap(),
        image,
        about: About::default(),
    }
}

pub fn delivered(image: &str) -> ReleaseRef {
    ReleaseRef::of(&Image::parse(image).unwrap())
}

/// A variable that Stairlock writes, with this value.
pub fn bound(value: Option<&str>) -> Binding {
    Binding {
        field: Field {
            kind: TargetKind::Kustomization,
            namespace: "flux-system".to_owned(),
            name: "apps".to_owned(),
            variable: "TAG".to_owned(),
        },
        uid: "u".to_owned(),
        resource_version: "7".to_owned(),
        value: value.map(str::to_owned),
        manager: "stairlock-0123456789-TAG".to_owned(),
        ours: value.is_some(),
        yields: false,
        rival: None,
        setter: None,
        feeds: false,
        promoted: false,
        trouble: None,
        applied: Applied::Done,
        requested: String::new(),
    }
}

/// Four pods of `shop:1.0.0` carry all traffic; steps: 50 %, 5 min; 75 %, by hand; 100 %.
pub fn at_rest() -> Snapshot {
    let stable = template("shop:1.0.0");
    let revision = stable.id.revision("shop", 0);
    let service = |name: &str| Service {
        name: name.to_owned(),
        live: Some(LiveService {
            uid: name.to_owned(),
            resource_version: "1".to_owned(),
            ours: true,
            ports: vec![80],
            selects: Some(revision.clone()),
            mismatch: None,
            owner: None,
            ready: BTreeMap::from([(revision.clone(), 4)]),
            strangers: 0,
        }),
    };
    Snapshot {
        rollout: Identity {
            group: "stairlock.dev",
            namespace: "prod".to_owned(),
            name: "shop".to_owned(),
            uid: "uid".to_owned(),
            resource_version: "7".to_owned(),
            generation: 3,
            deleting: None,
            finalizer: true,
        },
        spec: spec(),
        instead: None,
        former: Vec::new(),
        coming: Vec::new(),
        template: stable.clone(),
        template_refused: None,
        status: status(&revision),
        watched_since: Timestamp::from_millis(0),
        commands: Commands::default(),
        replica_sets: vec![replica_set(&stable, 4, 4)],
        pods: None,
        offer: Offer::NoSource,
        manifests: BTreeMap::new(),
        unread: None,
        gates: Vec::new(),
        bindings: Vec::new(),
        checks: None,
        stable_service: Some(service("stable")),
        canary_service: Some(service("canary")),
        routes: vec![Route {
            name: http("shop"),
            there: true,
            live: Ok(route((100, 0))),
            remnant: None,
        }],
        renamed: None,
        unmatched: None,
        denied: None,
        duplicate: None,
        sent: Default::default(),
        refused: None,
    }
}

fn spec() -> Spec {
    let step = |weight, pause| Step { weight: Weight::new(weight).unwrap(), scale: None, pause };
    Spec {
        replicas: 4,
        selector: BTreeMap::from([("app".to_owned(), "shop".to_owned())]),
        min_ready_secs: 0,
        deadline: Duration::from_secs(600),
        revisions_max: 10,
        history_max: 10,
        paused: false,
        source: None,
        registry: None,
        wanted_version: None,
        range: None,
        require_digest: false,
        release_interval: None,
        container: None,
        workload: true,
        bake_time: None,
        deploy_timeout: None,
        on_failure: OnFailure::Rollback,
        ready_when_completed: false,
        ladder: Ladder {
            strategy: Strategy::Canary,
            stable_service: Some("stable".to_owned()),
            canary_service: Some("canary".to_owned()),
            port: 80,
            surge: Quantity::Percent(25),
            unavailable: Quantity::Count(0),
            steps: vec![
                step(50, Pause::For(Duration::from_secs(300))),
                step(75, Pause::UntilPromoted),
                step(100, Pause::None),
            ],
            routes: vec![http("shop")],
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

fn status(revision: &Revision) -> Status {
    let attempt = Attempt {
        number: 1,
        release: delivered("shop:1.0.0"),
        revision: revision.clone(),
        trigger: Trigger::Template,
        delivered: true,
        started_at: at(0),
        stage: Stage::Completed { at: at(0) },
        weight: Weight::FULL,
        highest: Weight::FULL,
        routing: None,
        unpaused: false,
        concludes: false,
        previous: None,
        bake: None,
        kept: false,
        unblocked: false,
        intent: None,
    };
    let release = delivered("shop:1.0.0");
    let stable = Side { revision: revision.clone(), release, replicas: 4, ready: 4 };
    Status { attempt: Some(attempt), stable: Some(stable), ..Status::default() }
}

pub fn route((stable, canary): (u32, u32)) -> LiveRoute {
    LiveRoute {
        name: http("shop"),
        uid: "route".to_owned(),
        resource_version: "1".to_owned(),
        rules: vec![Rule {
            index: 0,
            stable: (0, stable),
            canary: (1, canary),
            explicit: true,
            sum: 100,
        }],
        experiment: Experiment::default(),
        acceptance: Acceptance::Accepted,
        owner: None,
        strays: Vec::new(),
    }
}

pub fn replica_set(template: &Template, desired: u32, available: u32) -> ReplicaSet {
    let revision = template.id.revision("shop", 0);
    ReplicaSet {
        name: revision.replica_set("shop"),
        uid: revision.to_string(),
        resource_version: "1".to_owned(),
        owned: true,
        revision,
        template: template.id,
        images: template.images(),
        attempt: 1,
        quarantined: None,
        created_at: at(0),
        desired,
        min_ready_secs: 0,
        replicas: desired,
        ready: available,
        available,
        settled: true,
    }
}

/// `shop:1.1.0` stands on a step since minute 0, in force since `paused_at`; its pods are
/// available and the route has the weights of the step.
pub fn climbing(number: u32, paused_at: Option<Timestamp>) -> Snapshot {
    let mut seen = at_rest();
    let next = template("shop:1.1.0");
    let revision = next.id.revision("shop", 0);
    let weight = seen.spec.ladder.step(number).unwrap().weight;
    let pods = weight.share(4);
    seen.replica_sets.push(ReplicaSet { attempt: 2, ..replica_set(&next, pods, pods) });
    seen.template = next;
    let service = seen.canary_service.as_mut().unwrap().live.as_mut().unwrap();
    service.selects = Some(revision.clone());
    service.ready = BTreeMap::from([(revision.clone(), pods)]);
    let split = (weight.rest().percent(), weight.percent());
    seen.routes[0].live = Ok(route(split));
    seen.status.attempt = Some(Attempt {
        number: 2,
        release: delivered("shop:1.1.0"),
        revision,
        trigger: Trigger::Release,
        delivered: true,
        started_at: at(0),
        stage: Stage::Step { number, entered_at: at(0), paused_at },
        weight,
        highest: weight,
        routing: Some(seen.spec.ladder.routing()),
        unpaused: false,
        concludes: false,
        previous: None,
        bake: None,
        kept: false,
        unblocked: false,
        intent: None,
    });
    seen
}

/// What a step needs next, in words.
pub fn shown(step: act::Step) -> String {
    match step {
        Ok(()) => "in force".to_owned(),
        Err(Next::Hold(hold)) => hold.code().to_owned(),
        Err(Next::Write(writes)) => match writes.as_slice() {
            [Write::Resize { replicas, .. }] => format!("{replicas} pods"),
            [Write::Select { target, .. }] => format!("turn {}", target.name),
            [Write::SetWeights { edits, .. }] => format!("weigh {}", edits[1].weight),
            [Write::SetRules { out, into, .. }] => format!("-{} +{}", out.len(), into.len()),
            [Write::CreateRoute { .. }] => "make the route".to_owned(),
            other => panic!("{other:?}"),
        },
    }
}

/// An HTTPRoute by name.
pub fn http(name: &str) -> RouteName {
    RouteName::new(RouteKind::Http, name)
}
