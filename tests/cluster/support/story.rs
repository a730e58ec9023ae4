//! One story: its namespace, its deadline, its controllers, and waits that read like sentences.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::backstage;
use super::cluster::Cluster;
use super::controller::Controller;
use super::history::History;
use super::install;
use super::json::{condition, hold_message, holds, merged, name, number, text};
use super::judge::judge;
use super::rig::{rig, succeeded};
use super::watch::{Change, Seen, Watch};

/// The Rollout of a story, where it has one only.
pub const SHOP: &str = "shop";

/// Asks for a source to be read at once.
pub const REQUESTED_AT: &str = "reconcile.fluxcd.io/requestedAt";

/// The label that tells of which story an object is, where a controller looks at all namespaces.
const TOLD_BY: &str = "test.stairlock.dev/story";

static COUNT: AtomicUsize = AtomicUsize::new(0);

/// A story in a namespace of its own.
pub struct Story {
    pub cluster: Cluster,
    /// When it is over at the latest.
    pub end: Instant,
    /// Every state of every Rollout of the namespace.
    pub rollouts: Watch,
    history: Arc<History>,
    /// Histories of other stories that this one's objects refer to.
    beside: Vec<Arc<History>>,
}

impl Story {
    /// Makes the namespace; the story has to end within a time.
    pub async fn begin(title: &str, secs: u64) -> Self {
        install::token().await;
        let end = Instant::now() + Duration::from_secs(secs);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        // Of one length, since words about it are cut to one length too.
        let namespace = format!("{title}-{}-{count:04}", std::process::id());
        let cluster = Cluster::create(rig().client().await, &namespace).await;
        let history = History::open(&namespace).await;
        let rollouts = Watch::open(&cluster, "Rollout").await;
        Self { cluster, end, rollouts, history, beside: Vec::new() }
    }

    /// Lets objects of another story be referred to: what happens there is judged with this one.
    pub fn beside(&mut self, other: &Self) {
        self.beside.push(Arc::clone(&other.history));
    }

    /// The namespace.
    pub fn namespace(&self) -> &str {
        &self.cluster.namespace
    }

    /// Starts a controller of this namespace.
    pub async fn controller(&self) -> Controller {
        self.controller_with(&[]).await
    }

    /// Starts a controller of this namespace with more flags; none of them elects a leader.
    pub async fn controller_with(&self, flags: &[&str]) -> Controller {
        let mut all = vec!["--leader-election=false".to_owned(), self.watched()];
        all.extend(flags.iter().map(|flag| (*flag).to_owned()));
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        Controller::start(&format!("{}-{count}", self.namespace()), &all).await
    }

    /// Starts a controller of all namespaces, kept to the objects with the label of this story.
    pub async fn controller_of_all(&self, flags: &[&str]) -> Controller {
        let mut all = vec!["--leader-election=false".to_owned()];
        all.push(format!("--watch-label-selector={TOLD_BY}={}", self.namespace()));
        all.extend(flags.iter().map(|flag| (*flag).to_owned()));
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        Controller::start(&format!("{}-{count}", self.namespace()), &all).await
    }

    /// An object with the label of this story.
    pub fn labelled(&self, object: Value) -> Value {
        merged(object, &json!({"metadata": {"labels": {TOLD_BY: self.namespace()}}}))
    }

    /// The flag that keeps a controller to this namespace.
    pub fn watched(&self) -> String {
        format!("--watch-namespaces={}", self.namespace())
    }

    /// Runs kubectl as admin in the namespace; it has to succeed.
    pub async fn kubectl(&self, args: &[&str]) -> String {
        let all = [&["-n", self.namespace()], args].concat();
        succeeded(&format!("kubectl {}", args.join(" ")), rig().kubectl(&all).await)
    }

    /// Opens a watch of a kind.
    pub async fn watch(&self, kind: &str) -> Watch {
        Watch::open(&self.cluster, kind).await
    }

    /// The image of the shop at a tag.
    pub fn image(&self, tag: &str) -> String {
        format!("{}:{tag}", self.repository())
    }

    /// The repository of the shop.
    pub fn repository(&self) -> String {
        self.repository_of(SHOP)
    }

    /// The repository of a name.
    pub fn repository_of(&self, of: &str) -> String {
        format!("{}/{}/{of}", rig().registry(), self.namespace())
    }

    /// Pushes an image of a name, which has nothing in it.
    pub async fn push_of(&self, of: &str, tag: &str) {
        let layer = rig().folder("stories").join(format!("{}.tar", self.namespace()));
        std::fs::write(&layer, [0; 1024]).unwrap(); // an empty archive
        let image = format!("{}:{tag}", self.repository_of(of));
        rig().crane("append", &["-f", layer.to_str().unwrap(), "-t", &image]).await;
    }

    /// Pushes an image of the shop, which has nothing in it, and has its source see it.
    pub async fn push(&self, tag: &str) {
        self.push_of(SHOP, tag).await;
        if self.cluster.find("ImageRepository", SHOP).await.is_some() {
            // As `flux reconcile` does: of many repositories each is read seldom.
            let asked = json!({"metadata": {"annotations": {REQUESTED_AT: tag}}});
            self.cluster.merge("ImageRepository", SHOP, asked).await;
        }
    }

    /// Asks for a command by annotation, as a person does with kubectl.
    pub async fn command(&self, annotation: &str, value: &str) {
        let change = json!({"metadata": {"annotations": {annotation: value}}});
        self.cluster.merge("Rollout", SHOP, change).await;
    }

    /// Sets the image of the shop's container by hand.
    pub async fn set_image(&self, image: &str) {
        let containers = json!([{"name": "app", "image": image,
            "ports": [{"containerPort": 8080}]}]);
        let change = json!({"spec": {"template": {"spec": {"containers": containers}}}});
        self.cluster.merge("Rollout", SHOP, change).await;
    }

    /// Gives an attempt this long to become ready: for what comes, since the first release of a
    /// story has all the time that a loaded machine takes.
    pub async fn hasten(&self, secs: u32) {
        let change = json!({"spec": {"progressDeadlineSeconds": secs}});
        self.cluster.merge("Rollout", SHOP, change).await;
        let known = |r: &Value| number(r, "/spec/progressDeadlineSeconds") == i64::from(secs);
        self.until("it is hasty and at rest", |r| known(r) && completed(r)).await;
    }

    /// Waits for a state of the shop.
    pub async fn until(&self, what: &str, test: impl Fn(&Value) -> bool) -> Value {
        self.until_of(SHOP, what, test).await
    }

    /// Waits for a state of a Rollout.
    pub async fn until_of(&self, of: &str, what: &str, test: impl Fn(&Value) -> bool) -> Value {
        let matches = |seen: &Seen| {
            seen.change != Change::Deleted && name(&seen.object) == of && test(&seen.object)
        };
        let what = format!("{}: {of}: {what}", self.namespace());
        self.rollouts.until(self.end, &what, matches).await
    }

    /// Waits until an attempt of the shop has ended well.
    pub async fn completed(&self, attempt: i64) -> Value {
        self.completed_of(SHOP, attempt).await
    }

    /// Waits until an attempt of a Rollout has ended well.
    pub async fn completed_of(&self, of: &str, attempt: i64) -> Value {
        let test = |rollout: &Value| attempt_is(rollout, attempt) && completed(rollout);
        self.until_of(of, &format!("attempt {attempt} is Completed"), test).await
    }

    /// Waits until an attempt stands at the pause of a step.
    pub async fn paused(&self, attempt: i64, step: i64) -> Value {
        let what = format!("attempt {attempt} is Paused at step {step}");
        let test = |rollout: &Value| {
            attempt_is(rollout, attempt)
                && number(rollout, "/status/attempt/step") == step
                && text(rollout, "/status/phase") == "Paused"
        };
        self.until(&what, test).await
    }

    /// Puts the strategy of another Rollout in the place of the shop's, as a person does.
    pub async fn change_strategy(&self, to: &Value) {
        let strategy = &to["spec"]["strategy"];
        let patch = json!([{"op": "replace", "path": "/spec/strategy", "value": strategy}]);
        self.kubectl(&["patch", "slr", SHOP, "--type=json", "-p", &patch.to_string()]).await;
    }

    /// Waits until the new side of an attempt stands and is looked at.
    pub async fn previewed(&self, attempt: i64) -> Value {
        let looked_at = |r: &Value| text(r, "/status/phase") == "Preview" && attempt_is(r, attempt);
        self.until(&format!("attempt {attempt} is looked at"), looked_at).await
    }

    /// Waits until the experiment of an attempt runs.
    pub async fn experimenting(&self, attempt: i64) -> Value {
        let runs =
            |r: &Value| text(r, "/status/phase") == "Experimenting" && attempt_is(r, attempt);
        self.until(&format!("the experiment of attempt {attempt} runs"), runs).await
    }

    /// Waits until an attempt has failed and everything is back.
    pub async fn failed(&self, attempt: i64, cause: &str) -> Value {
        let what = format!("attempt {attempt} is Failed: {cause}");
        let test = |rollout: &Value| {
            attempt_is(rollout, attempt)
                && text(rollout, "/status/phase") == "Failed"
                && text(rollout, "/status/attempt/cause") == cause
                && text(rollout, "/status/attempt/stage") == "Ended"
        };
        self.until(&what, test).await
    }

    /// Waits until the shop is held by a reason; returns what it says about it.
    pub async fn held(&self, code: &str) -> String {
        let held = self.until(&format!("held by {code}"), |r| holds(r).contains(&code)).await;
        hold_message(&held, code).to_owned()
    }

    /// The ReplicaSets of the shop.
    pub async fn replica_sets(&self) -> Vec<Value> {
        let mut sets = self.cluster.all("ReplicaSet").await;
        sets.retain(|set| text(set, "/metadata/labels/stairlock.dev~1rollout") == SHOP);
        sets
    }

    /// Waits until no side drains.
    pub async fn drained(&self) -> Value {
        self.until("nothing drains", |r| r.pointer("/status/draining").is_none()).await
    }
}

/// A story that went well is judged: whatever it is about, no invariant is broken in it.
impl Drop for Story {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let (history, beside) = (Arc::clone(&self.history), std::mem::take(&mut self.beside));
        let verdict = backstage::block(async move { judge(&history, &beside).await });
        match verdict {
            Some(broken) if broken.is_empty() => {}
            Some(broken) => panic!("{}: {broken}", self.namespace()),
            None => panic!("{}: its history cannot be judged", self.namespace()),
        }
    }
}

/// Whether a Rollout is at an attempt.
pub fn attempt_is(rollout: &Value, attempt: i64) -> bool {
    number(rollout, "/status/attempt/number") == attempt
}

/// Whether the present template carries all traffic.
pub fn completed(rollout: &Value) -> bool {
    text(rollout, "/status/phase") == "Completed"
        && condition(rollout, "Completed") == "True"
        && number(rollout, "/status/observedGeneration") == number(rollout, "/metadata/generation")
}
