//! Counts what the controller does, and shows where every Rollout stands, as OpenMetrics text.
//!
//! Cardinality is bounded: label values are closed enums or literals of the program, except
//! namespace, Rollout and revision, of which a Rollout has at most two series, gone with it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// Upper bounds of reconcile durations in seconds: KULTA's, and finer ones, for turns that make
/// no call at all.
const DURATION_BUCKETS: [f64; 11] = [0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// How a reconcile ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReconcileResult {
    /// It made a move.
    Moved,
    /// It had nothing to do but wait.
    Waited,
    /// It failed and will be tried again.
    Failed,
}

/// How a write to the API server ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteResult {
    /// The server took it.
    Done,
    /// Somebody else was faster (409, or a test of the patch failed).
    Conflict,
    /// The server refused it for another reason.
    Refused,
    /// No reply: it may have been taken.
    Unknown,
    /// It never left, since this process does not lead.
    Fenced,
}

impl ReconcileResult {
    fn label(self) -> &'static str {
        match self {
            Self::Moved => "moved",
            Self::Waited => "waited",
            Self::Failed => "failed",
        }
    }
}

impl WriteResult {
    fn label(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Conflict => "conflict",
            Self::Refused => "refused",
            Self::Unknown => "unknown",
            Self::Fenced => "fenced",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfResult {
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfKind {
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfWrite {
    kind: &'static str,
    result: &'static str,
}

/// Where one Rollout stands, as the gauges show it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stand {
    /// Its phase.
    pub phase: &'static str,
    /// The codes of what it waits for.
    pub holds: Vec<&'static str>,
    /// The hash of the stable revision.
    pub stable: Option<String>,
    /// The hash of the canary revision.
    pub canary: Option<String>,
}

/// All counters and gauges; cheap to clone.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Arc<Registry>,
    stands: Stands,
    reconciles: Family<OfResult, Counter>,
    durations: Histogram,
    moves: Family<OfKind, Counter>,
    writes: Family<OfWrite, Counter>,
    watch_restarts: Family<OfKind, Counter>,
    malformed: Family<OfKind, Gauge>,
    leader: Gauge,
    queued: Gauge,
    due: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Creates all metrics, at zero.
    pub fn new() -> Self {
        let mut metrics = Self {
            registry: Arc::default(),
            stands: Stands::default(),
            reconciles: Family::default(),
            durations: Histogram::new(DURATION_BUCKETS),
            moves: Family::default(),
            writes: Family::default(),
            watch_restarts: Family::default(),
            malformed: Family::default(),
            leader: Gauge::default(),
            queued: Gauge::default(),
            due: Gauge::default(),
        };
        metrics.registry = Arc::new(metrics.register());
        metrics
    }

    fn register(&self) -> Registry {
        let mut all = Registry::with_prefix("stairlock");
        all.register("reconciles", "Reconciles by how they ended", self.reconciles.clone());
        let help = "Time that a reconcile took";
        let durations = self.durations.clone();
        all.register_with_unit("reconcile_duration", help, Unit::Seconds, durations);
        all.register("moves", "Moves made, by kind", self.moves.clone());
        all.register("api_writes", "Writes to the API server", self.writes.clone());
        let help = "Watches that were opened again after an error, by kind";
        all.register("watch_restarts", help, self.watch_restarts.clone());
        let help = "Objects that cannot be read and are left out, by kind";
        all.register("malformed_objects", help, self.malformed.clone());
        all.register("leader", "1 while this process leads", self.leader.clone());
        all.register("queued", "Rollouts waiting to be reconciled", self.queued.clone());
        let help = "For how long reconciles have been due with none done";
        all.register_with_unit("due", help, Unit::Seconds, self.due.clone());
        all.register_collector(Box::new(self.stands.clone()));
        all
    }

    /// Counts a reconcile and the time it took.
    pub fn reconciled(&self, result: ReconcileResult, took: Duration) {
        self.reconciles.get_or_create(&OfResult { result: result.label() }).inc();
        self.durations.observe(took.as_secs_f64());
    }

    /// Counts a move of a kind, e.g. `Commit`.
    pub fn moved(&self, kind: &'static str) {
        self.moves.get_or_create(&OfKind { kind }).inc();
    }

    /// Counts a write to an object of a kind, e.g. `ReplicaSet`.
    pub fn wrote(&self, kind: &'static str, result: WriteResult) {
        self.writes.get_or_create(&OfWrite { kind, result: result.label() }).inc();
    }

    /// Counts a watch of a kind that was opened again after an error.
    pub fn watch_restarted(&self, kind: &'static str) {
        self.watch_restarts.get_or_create(&OfKind { kind }).inc();
    }

    /// Sets how many objects of a kind cannot be read.
    pub fn set_malformed(&self, kind: &'static str, count: usize) {
        self.malformed.get_or_create(&OfKind { kind }).set(whole(count));
    }

    /// Sets whether this process leads.
    pub fn set_leader(&self, leading: bool) {
        self.leader.set(i64::from(leading));
    }

    /// Sets how many Rollouts wait to be reconciled.
    pub fn set_queued(&self, count: usize) {
        self.queued.set(whole(count));
    }

    /// Sets for how long reconciles have been due with none done.
    pub fn set_due(&self, due: Duration) {
        self.due.set(i64::try_from(due.as_secs()).unwrap_or(i64::MAX));
    }

    /// Shows where a Rollout stands, in place of what was shown before.
    pub fn show(&self, namespace: &str, rollout: &str, stand: Stand) {
        let key = (namespace.to_owned(), rollout.to_owned());
        self.stands.lock().insert(key, stand);
    }

    /// Shows a Rollout no more: it was deleted.
    pub fn forget(&self, namespace: &str, rollout: &str) {
        self.stands.lock().remove(&(namespace.to_owned(), rollout.to_owned()));
    }

    /// Shows no Rollout any more: this process does not lead, and its leader shows them.
    pub fn forget_all(&self) {
        self.stands.lock().clear();
    }

    /// Returns all metrics as OpenMetrics text.
    ///
    /// # Errors
    /// Formatting's own, which writing to memory does not cause.
    pub fn encode(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

/// Where all Rollouts stand. The gauges are counted at each scrape, so they cannot drift.
#[derive(Clone, Debug, Default)]
struct Stands(Arc<Mutex<BTreeMap<(String, String), Stand>>>);

impl Stands {
    /// A panic while the lock is held leaves a map that is still whole: go on with it.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<(String, String), Stand>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Collector for Stands {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), std::fmt::Error> {
        let stands = self.lock();
        let phases = stands.values().map(|stand| stand.phase);
        let phases = counts(phases).map(|(phase, count)| ([("phase", phase)], count));
        gauge(&mut encoder, "rollouts", "Rollouts by phase", phases)?;

        let codes = stands.values().flat_map(|stand| stand.holds.iter().copied());
        let codes = counts(codes).map(|(code, count)| ([("code", code)], count));
        gauge(&mut encoder, "holds", "What Rollouts wait for, by code", codes)?;

        let help = "1 for each revision of a Rollout, to join with the labels of its pods";
        let revisions = stands.iter().flat_map(|((namespace, rollout), stand)| {
            let of = move |revision, side| {
                [
                    ("namespace", namespace.as_str()),
                    ("rollout", rollout.as_str()),
                    ("revision", revision),
                    ("side", side),
                ]
            };
            let stable = stand.stable.as_deref().map(|hash| (of(hash, "stable"), 1));
            let canary = stand.canary.as_deref().map(|hash| (of(hash, "canary"), 1));
            stable.into_iter().chain(canary)
        });
        gauge(&mut encoder, "revision_info", help, revisions)
    }
}

fn counts(words: impl Iterator<Item = &'static str>) -> impl Iterator<Item = (&'static str, i64)> {
    let mut counts: BTreeMap<&'static str, i64> = BTreeMap::new();
    for word in words {
        let count = counts.entry(word).or_default();
        *count = count.saturating_add(1);
    }
    counts.into_iter()
}

fn gauge<L: EncodeLabelSet>(
    encoder: &mut DescriptorEncoder,
    name: &str,
    help: &str,
    series: impl Iterator<Item = (L, i64)>,
) -> Result<(), std::fmt::Error> {
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (labels, value) in series {
        family.encode_family(&labels)?.encode_gauge(&value)?;
    }
    Ok(())
}

fn whole(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(metrics: &Metrics) -> Vec<String> {
        let text = metrics.encode().unwrap();
        assert!(text.ends_with("# EOF\n"));
        text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
    }

    #[track_caller]
    fn has(metrics: &Metrics, line: &str) {
        let lines = lines(metrics);
        assert!(lines.iter().any(|have| have == line), "{line} is not in {lines:#?}");
    }

    #[test]
    fn what_happens_is_counted_under_the_documented_names() {
        let metrics = Metrics::new();
        metrics.reconciled(ReconcileResult::Moved, Duration::from_millis(30));
        metrics.moved("Commit");
        metrics.wrote("ReplicaSet", WriteResult::Conflict);
        metrics.watch_restarted("ImagePolicy");
        metrics.set_malformed("Rollout", 2);
        metrics.set_leader(true);
        metrics.set_queued(3);
        metrics.set_due(Duration::from_secs(9));
        for line in [
            "stairlock_reconciles_total{result=\"moved\"} 1",
            "stairlock_reconcile_duration_seconds_count 1",
            "stairlock_reconcile_duration_seconds_bucket{le=\"0.05\"} 1",
            "stairlock_moves_total{kind=\"Commit\"} 1",
            "stairlock_api_writes_total{kind=\"ReplicaSet\",result=\"conflict\"} 1",
            "stairlock_watch_restarts_total{kind=\"ImagePolicy\"} 1",
            "stairlock_malformed_objects{kind=\"Rollout\"} 2",
            "stairlock_leader 1",
            "stairlock_queued 3",
            "stairlock_due_seconds 9",
        ] {
            has(&metrics, line);
        }
    }

    #[test]
    fn rollouts_are_shown_where_they_stand_and_gone_when_deleted() {
        let metrics = Metrics::new();
        let stand = |phase, holds: &[&'static str], canary: Option<&str>| Stand {
            phase,
            holds: holds.to_vec(),
            stable: Some("aaa".to_owned()),
            canary: canary.map(str::to_owned),
        };
        metrics.show("prod", "shop", stand("Progressing", &["PodsNotReady"], Some("bbb")));
        metrics.show("prod", "till", stand("Progressing", &["Paused", "ImageOwned"], None));
        metrics.show("prod", "till", stand("Paused", &["Paused"], None));
        let info = |rollout, revision, side| {
            format!(
                "stairlock_revision_info{{namespace=\"prod\",rollout=\"{rollout}\",\
                 revision=\"{revision}\",side=\"{side}\"}} 1"
            )
        };
        has(&metrics, "stairlock_rollouts{phase=\"Progressing\"} 1");
        has(&metrics, "stairlock_rollouts{phase=\"Paused\"} 1");
        has(&metrics, "stairlock_holds{code=\"PodsNotReady\"} 1");
        has(&metrics, "stairlock_holds{code=\"Paused\"} 1");
        has(&metrics, &info("shop", "aaa", "stable"));
        has(&metrics, &info("shop", "bbb", "canary"));

        metrics.forget("prod", "shop");
        let left = lines(&metrics);
        assert!(!left.iter().any(|line| line.contains("shop") || line.contains("PodsNotReady")));
        has(&metrics, &info("till", "aaa", "stable"));
        metrics.forget_all();
        assert!(!lines(&metrics).iter().any(|line| line.contains("till")));
    }
}
