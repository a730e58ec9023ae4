//! Verdict: how a story ended for the release that is asked about, and the code for that.

use clap::ValueEnum;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::api::status::{Attempt, Entry, Release, RolloutStatus, Waiting};
use crate::cli::exit::Exit;
use crate::cli::facts;

/// How a story ended for a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// It carries all traffic.
    Completed,
    /// It failed or was taken back; stable carries all traffic again.
    RolledBack,
    /// A person has to act.
    WaitsForPerson,
    /// Something holds it that ends by itself.
    Blocked,
    /// The story was over while it was under way.
    Unfinished,
    /// Another release or template took over.
    Superseded,
    /// The Rollout is gone.
    Gone,
}

/// What a story is to end with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "camelCase")]
pub enum Wanted {
    /// The release carries all traffic.
    Completed,
    /// It failed or was taken back.
    RolledBack,
}

/// How a story ended, in full.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// In a word.
    pub outcome: Outcome,
    /// In a sentence.
    pub message: String,
    /// The number of the attempt, if there was one.
    pub attempt: Option<i64>,
}

impl Outcome {
    /// Tells the word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::RolledBack => "rolledBack",
            Self::WaitsForPerson => "waitsForPerson",
            Self::Blocked => "blocked",
            Self::Unfinished => "unfinished",
            Self::Superseded => "superseded",
            Self::Gone => "gone",
        }
    }

    /// Tells the code where nothing else is asked for.
    fn exit(self) -> Exit {
        match self {
            Self::Completed => Exit::Reached,
            Self::RolledBack => Exit::Failed,
            Self::WaitsForPerson => Exit::Human,
            Self::Blocked => Exit::Blocked,
            Self::Unfinished => Exit::Timeout,
            Self::Superseded => Exit::Superseded,
            Self::Gone => Exit::Trouble,
        }
    }
}

impl Verdict {
    /// Tells the code. Where a way back is asserted and the release completes, it is trouble.
    pub fn exit(&self, wanted: Option<Wanted>) -> Exit {
        match (wanted, self.outcome) {
            (Some(Wanted::RolledBack), Outcome::RolledBack) => Exit::Reached,
            (Some(Wanted::RolledBack), Outcome::Completed) => Exit::Trouble,
            (Some(Wanted::Completed | Wanted::RolledBack) | None, outcome) => outcome.exit(),
        }
    }
}

/// Tells how a story ended from the Rollout as it was at the end. `version` is the release that is
/// asked about; without it, whatever was tried last.
pub fn verdict(rollout: Option<&Value>, version: Option<&str>) -> Verdict {
    let Some(rollout) = rollout else {
        let message = "the Rollout is gone".to_owned();
        return Verdict { outcome: Outcome::Gone, message, attempt: None };
    };
    let status = facts::status(Some(rollout));
    let asked = |found: &Release| version.is_none_or(|one| same(one, facts::called(found)));
    let present = status.attempt.as_ref().filter(|one| asked(&one.release));
    let past = status.history.iter().find(|entry| asked(&entry.release));
    match (present, past) {
        (Some(attempt), past) => of_attempt(&status, attempt, past, version.is_some()),
        (None, Some(entry)) => of_entry(entry),
        (None, None) => {
            let what = version.map_or("nothing".to_owned(), |version| format!("{version} never"));
            held(&status, None, &format!("{what} began"))
        }
    }
}

/// A tag may carry a v that its version does not.
fn same(version: &str, found: &str) -> bool {
    version.trim_start_matches('v') == found.trim_start_matches('v')
}

fn of_attempt(
    status: &RolloutStatus,
    attempt: &Attempt,
    past: Option<&Entry>,
    named: bool,
) -> Verdict {
    let ended = past.filter(|entry| entry.number == attempt.number);
    match (attempt.stage.as_str(), ended) {
        // What was offered afterwards and is not taken is the last thing that was tried.
        (Attempt::COMPLETED, _) if !named && !holds(status).is_empty() => {
            held(status, Some(attempt), "a later release is not taken")
        }
        (Attempt::COMPLETED | Attempt::ENDED, Some(entry)) => of_entry(entry),
        (Attempt::COMPLETED, None) => {
            let message = format!("attempt {} completed", attempt.number);
            Verdict { outcome: Outcome::Completed, message, attempt: Some(attempt.number) }
        }
        _ => held(status, Some(attempt), &format!("attempt {} is under way", attempt.number)),
    }
}

fn of_entry(entry: &Entry) -> Verdict {
    let Entry { number, outcome, weight, release, .. } = entry;
    let (of, how) = match outcome.as_str() {
        Entry::COMPLETED => (Outcome::Completed, "completed".to_owned()),
        "Superseded" => (Outcome::Superseded, format!("ended at weight {weight}: Superseded")),
        cause => (Outcome::RolledBack, format!("ended at weight {weight}: {cause}")),
    };
    let version = match facts::called(release) {
        "" => String::new(),
        version => format!(" ({version})"),
    };
    let message = format!("attempt {number}{version} {how}");
    Verdict { outcome: of, message, attempt: Some(*number) }
}

/// Draining behind a completed attempt holds nothing that people wait for.
fn holds(status: &RolloutStatus) -> Vec<&Waiting> {
    status.waiting_for.iter().filter(|hold| hold.kind != "Draining").collect()
}

fn held(status: &RolloutStatus, attempt: Option<&Attempt>, otherwise: &str) -> Verdict {
    let holds = holds(status);
    let person = holds.iter().find(|hold| !hold.automatic);
    let (outcome, message) = match (person, holds.first()) {
        (Some(hold), _) => (Outcome::WaitsForPerson, format!("{}: {}", hold.kind, hold.message)),
        (None, Some(hold)) => (Outcome::Blocked, format!("{}: {}", hold.kind, hold.message)),
        (None, None) => (Outcome::Unfinished, otherwise.to_owned()),
    };
    let stalled = status.conditions.iter().find(|one| one.kind == "Stalled");
    let stalled = stalled.filter(|one| one.status == "True" && holds.is_empty());
    let attempt = attempt.map(|attempt| attempt.number);
    match stalled {
        Some(one) => {
            let message = format!("{}: {}", one.reason, one.message);
            Verdict { outcome: Outcome::WaitsForPerson, message, attempt }
        }
        None => Verdict { outcome, message, attempt },
    }
}

#[cfg(test)]
mod tests;
