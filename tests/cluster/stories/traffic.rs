//! Real pods behind a real data plane: what is measured is what was asked for, and nothing fails.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http_body_util::{BodyExt, Empty};
use hyper::Request;
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::support::json::{merged, text};
use crate::support::rig::{rig, succeeded};
use crate::support::shop::{experiment, rollout, routed, two_sides};
use crate::support::story::{SHOP, Story, attempt_is};

/// Answers that a share is measured over; 4 standard deviations of 20% are then 4 points.
const SAMPLE: usize = 1600;
/// How far a measured share may be from the weight, in points.
const POINTS_MAX: i64 = 5;

/// Answers by version, `failed` for those that are none.
type Shares = BTreeMap<String, usize>;

/// The route as clients of the data plane see it.
#[derive(Clone)]
struct Front {
    client: Client<hyper_util::client::legacy::connect::HttpConnector, Empty<Bytes>>,
    host: String,
    cookie: Option<String>,
}

impl Front {
    fn new(host: &str) -> Self {
        let client = Client::builder(TokioExecutor::new()).build_http();
        Self { client, host: host.to_owned(), cookie: None }
    }

    /// Asks once: the version that answers, else `failed` and why.
    async fn ask(&self) -> String {
        let request = Request::get(rig().var("GATEWAY_URL")).header("host", &self.host);
        let request = match &self.cookie {
            Some(cookie) => request.header("cookie", cookie),
            None => request,
        };
        let request = request.body(Empty::<Bytes>::new()).unwrap();
        let response = match self.client.request(request).await {
            Ok(response) => response,
            Err(error) => return format!("failed: {error}"),
        };
        let status = response.status();
        if !status.is_success() {
            return format!("failed: {status}");
        }
        let version = response.headers().get("x-version").cloned();
        let read = response.into_body().collect().await;
        match (version, read) {
            (Some(version), Ok(_)) => version.to_str().unwrap().to_owned(),
            (version, read) => format!("failed: {version:?} {}", read.is_ok()),
        }
    }

    /// Waits until the data plane follows: a version answers twenty times in a row.
    async fn until_only(&self, story: &Story, version: &str) {
        let mut row = 0;
        while row < 20 {
            assert!(tokio::time::Instant::now() < story.end, "{version} never answers alone");
            row = if self.ask().await == version { row + 1 } else { 0 };
        }
    }

    /// Asks a hundred times: one version answers.
    async fn always_sees(&self, version: &str) {
        for _ in 0..100 {
            assert_eq!(self.ask().await, version, "with {:?}", self.cookie);
        }
    }

    /// Asks many times.
    async fn sample(&self) -> Shares {
        let mut shares = Shares::new();
        for _ in 0..SAMPLE {
            *shares.entry(self.ask().await).or_default() += 1;
        }
        shares
    }
}

/// The share of a version in percent.
fn percent(shares: &Shares, version: &str) -> i64 {
    let hits = shares.get(version).copied().unwrap_or(0);
    i64::try_from(hits * 100 / SAMPLE).unwrap()
}

/// A Rollout whose pods run on the real node.
fn real(rollout: Value) -> Value {
    let image = text(&rollout, "/spec/template/spec/containers/0/image").to_owned();
    let pod = json!({
        "nodeSelector": {"type": "real"},
        "tolerations": [{"key": "stairlock.dev/real", "operator": "Exists"}],
        "terminationGracePeriodSeconds": 10,
        "containers": [{"name": "app", "image": image,
            "ports": [{"containerPort": 8080}],
            "env": [{"name": "DRAIN", "value": "2s"}],
            "readinessProbe": {"httpGet": {"path": "/readyz", "port": 8080},
                "periodSeconds": 1}}],
    });
    merged(rollout, &json!({"spec": {"template": {"spec": pod}}}))
}

/// Pushes the program that answers with its version.
async fn push_program(story: &Story, tag: &str) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/rig/image.sh");
    let output = Command::new(script).arg(story.image(tag)).output().await.unwrap();
    succeeded("image.sh", output);
}

#[tokio::test]
async fn measured_traffic_follows_the_weights_and_no_answer_fails() {
    if !rig().real_traffic() {
        println!("no real node or data plane here: weights are seen on the route only");
        return;
    }
    let story = Story::begin("traffic", 240).await;
    let (route, host) = story.real_route();
    for tag in ["1.0.0", "1.1.0"] {
        push_program(&story, tag).await;
    }
    story.cluster.add(route).await;
    let steps = json!([{"setWeight": 20, "pause": {}}, {"setWeight": 50, "pause": {}},
        {"setWeight": 100}]);
    story.cluster.add(real(routed(&story, "1.0.0", steps))).await;
    let _controller = story.controller().await;
    story.completed(1).await;
    let front = answering(&story, &host).await;
    let over = Arc::new(AtomicBool::new(false));
    let visitor = tokio::spawn(visit(front.clone(), Arc::clone(&over)));
    release(&story, "1.1.0").await;
    for (step, weight) in [(1, 20), (2, 50)] {
        story.paused(2, step).await;
        let shares = front.sample().await;
        let share = percent(&shares, "1.1.0");
        println!("weight {weight}: {shares:?}");
        assert!((share - weight).abs() <= POINTS_MAX, "{share}% at weight {weight}: {shares:?}");
        story.command("stairlock.dev/promote", "true").await;
    }
    story.completed(2).await;
    story.drained().await;
    over.store(true, Ordering::Relaxed);

    none_failed(&visitor.await.unwrap());
    assert_eq!(percent(&front.sample().await, "1.1.0"), 100);
}

/// The switch, an abort and a second switch, each under traffic.
#[tokio::test]
async fn no_answer_fails_while_two_sides_switch() {
    if !rig().real_traffic() {
        println!("no real node or data plane here: the switch is seen on the route only");
        return;
    }
    let story = Story::begin("switch", 240).await;
    let (route, host) = story.real_route();
    for tag in ["1.0.0", "1.1.0", "1.2.0"] {
        push_program(&story, tag).await;
    }
    story.cluster.add(route).await;
    let over = json!({"autoPromotionEnabled": false,
        "trafficRouting": {"gatewayAPI": {"httpRoute": SHOP}}});
    story.cluster.add(real(two_sides(rollout(&story, "1.0.0", json!([])), &over))).await;
    let _controller = story.controller().await;
    story.completed(1).await;
    let front = answering(&story, &host).await;

    let over = Arc::new(AtomicBool::new(false));
    let visitor = tokio::spawn(visit(front.clone(), Arc::clone(&over)));
    for (attempt, tag, command, then) in
        [(2, "1.1.0", "promote", "1.1.0"), (3, "1.2.0", "abort", "1.1.0")]
    {
        release(&story, tag).await;
        story.previewed(attempt).await;
        let meanwhile = front.sample().await;
        assert_eq!(meanwhile.get(tag), None, "{meanwhile:?}");
        story.command(&format!("stairlock.dev/{command}"), "true").await;
        match command {
            "promote" => story.completed(attempt).await,
            _ => story.failed(attempt, "Aborted").await,
        };
        let after = front.sample().await;
        assert_eq!(percent(&after, then), 100, "{after:?} after {command}");
    }
    over.store(true, Ordering::Relaxed);
    none_failed(&visitor.await.unwrap());
}

/// An experiment that is won, one that is superseded and one that is not won, each under traffic
/// with the cookie and without.
#[tokio::test]
async fn users_with_the_cookie_see_variant_b_and_no_answer_fails() {
    if !rig().real_traffic() {
        println!("no real node or data plane here: the rules are seen on the route only");
        return;
    }
    let story = Story::begin("variants", 240).await;
    let (route, host) = story.real_route();
    for tag in ["1.0.0", "1.1.0", "1.2.0", "1.3.0"] {
        push_program(&story, tag).await;
    }
    story.cluster.add(route).await;
    let cookie = json!({"variantBMatch": {"header": null,
        "cookie": {"name": "group", "value": "b.1"}}});
    story.cluster.add(real(experiment(rollout(&story, "1.0.0", json!([])), &cookie))).await;
    let _controller = story.controller().await;
    story.completed(1).await;
    let all = answering(&story, &host).await;
    let with = |cookie: &str| Front { cookie: Some(cookie.to_owned()), ..all.clone() };
    let (group, near) = (with("a=1; group=b.1; z=2"), with("xgroup=b.1; group=bx1"));

    let over = Arc::new(AtomicBool::new(false));
    let visitors = [&all, &group].map(|f| tokio::spawn(visit(f.clone(), Arc::clone(&over))));
    for (attempt, tag, winner, then) in
        [(2, "1.1.0", Some("B"), "1.1.0"), (3, "1.2.0", None, ""), (4, "1.3.0", Some("A"), "1.1.0")]
    {
        release(&story, tag).await;
        story.experimenting(attempt).await;
        group.until_only(&story, tag).await;
        let before = if attempt == 2 { "1.0.0" } else { "1.1.0" };
        for (front, sees) in [(&group, tag), (&all, before), (&near, before)] {
            front.always_sees(sees).await;
        }
        let Some(winner) = winner else { continue };
        story.command("stairlock.dev/conclude-experiment", winner).await;
        let ended = |r: &Value| text(r, "/status/attempt/stage").ends_with("ed");
        story.until("it is over", |r| attempt_is(r, attempt) && ended(r)).await;
        story.drained().await;
        for front in [&all, &group] {
            front.always_sees(then).await;
        }
    }
    over.store(true, Ordering::Relaxed);
    for visitor in visitors {
        none_failed(&visitor.await.unwrap());
    }
}

/// Waits until the data plane answers.
async fn answering(story: &Story, host: &str) -> Front {
    let front = Front::new(host);
    while front.ask().await != "1.0.0" {
        assert!(tokio::time::Instant::now() < story.end, "the data plane never answers");
    }
    front
}

/// Sets the image as a person does.
async fn release(story: &Story, tag: &str) {
    let image = json!([{"op": "replace", "path": "/spec/template/spec/containers/0/image",
        "value": story.image(tag)}]);
    story.kubectl(&["patch", "slr", SHOP, "--type=json", "-p", &image.to_string()]).await;
}

fn none_failed(visits: &Shares) {
    let failed: Vec<_> = visits.iter().filter(|(who, _)| who.starts_with("failed")).collect();
    assert!(failed.is_empty(), "{failed:?} of {visits:?}");
}

/// Asks without a break until it is told to stop.
async fn visit(front: Front, over: Arc<AtomicBool>) -> Shares {
    let mut shares = Shares::new();
    while !over.load(Ordering::Relaxed) {
        *shares.entry(front.ask().await).or_default() += 1;
    }
    shares
}
