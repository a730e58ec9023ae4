//! Errors: what became of a write that was not taken, by what has to happen next.

use kube::core::response::StatusCause;

use crate::api::kind::Reference;

/// The longest answer of a server that is kept, in characters.
const ANSWER_MAX: usize = 200;

/// What an API server says, with the code of a fault of its own, of an object that is too large for
/// etcd: etcd itself, and the client of etcd before it asks.
const TOO_LARGE: [&str; 2] = ["request is too large", "trying to send message larger than max"];

/// A write was not taken, or nobody knows.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The object is not what it was when the write was decided on.
    #[error("{target} was changed by someone else")]
    Conflict {
        /// The object.
        target: Reference,
        /// The resourceVersion that was stale, or 0.
        stale: u64,
    },
    /// The name of a new object is taken by another one.
    #[error("{target} exists and is not what was to be created")]
    Taken {
        /// The object.
        target: Reference,
        /// The resourceVersion of what stands there.
        version: u64,
    },
    /// The API server will not take it: validation, admission, quota, permission.
    #[error("{target} was refused: {why}")]
    Refused {
        /// The object.
        target: Reference,
        /// The answer, cut to 200 printable characters.
        why: String,
    },
    /// There is no usable answer: the write may have been taken.
    #[error("no usable answer to the write of {target}")]
    Unanswered {
        /// The object.
        target: Reference,
        /// What is known.
        source: Box<kube::Error>,
    },
}

impl Error {
    /// Tells what a failed call means. `stale`: the resourceVersion that the write demanded.
    pub fn of(target: &Reference, stale: u64, error: kube::Error) -> Self {
        let target = target.clone();
        let kube::Error::Api(status) = &error else {
            return Self::Unanswered { target, source: Box::new(error) };
        };
        // A patch whose test fails is answered by 422 without causes. An object that is not there
        // is a change too.
        let causes = status.details.as_ref().map_or(0, |details| details.causes.len());
        let owned = |cause: &StatusCause| cause.reason == "FieldManagerConflict";
        let owned = status.details.iter().flat_map(|details| &details.causes).any(owned);
        match status.code {
            // Another manager has the field: to ask again changes nothing.
            409 if owned => Self::Refused { target, why: printable(&status.message) },
            404 | 409 if 0 < stale => Self::Conflict { target, stale },
            422 if 0 < stale && causes == 0 => Self::Conflict { target, stale },
            409 if status.reason != "AlreadyExists" => Self::Conflict { target, stale },
            400..=428 => Self::Refused { target, why: printable(&status.message) },
            500 if TOO_LARGE.iter().any(|said| status.message.contains(said)) => {
                Self::Refused { target, why: printable(&status.message) }
            }
            _ => Self::Unanswered { target, source: Box::new(error) },
        }
    }

    /// Tells what a failed eviction means: a PodDisruptionBudget that allows no pod to go now
    /// answers as a server does that is asked too often, but says who it is.
    pub fn of_eviction(target: &Reference, error: kube::Error) -> Self {
        let kube::Error::Api(status) = &error else { return Self::of(target, 0, error) };
        let causes = status.details.iter().flat_map(|details| &details.causes);
        let budget = causes.into_iter().find(|cause| cause.reason == "DisruptionBudget");
        let why = match (status.code, budget) {
            (429, Some(budget)) => format!("{} {}", status.message, budget.message),
            // Of two budgets none is asked: a person has to take one away.
            (500, _) if status.message.contains("PodDisruptionBudget") => status.message.clone(),
            _ => return Self::of(target, 0, error),
        };
        Self::Refused { target: target.clone(), why: printable(why.trim()) }
    }

    /// Tells which object it is about.
    pub fn target(&self) -> &Reference {
        match self {
            Self::Conflict { target, .. }
            | Self::Taken { target, .. }
            | Self::Refused { target, .. }
            | Self::Unanswered { target, .. } => target,
        }
    }
}

/// Keeps what is printable of an answer, cut.
pub fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(ANSWER_MAX).collect()
}

#[cfg(test)]
mod tests {
    use kube::core::response::{Status, StatusCause, StatusDetails};

    use super::*;
    use crate::api::kind::Kind;

    fn answer(code: u16, reason: &str, causes: usize) -> kube::Error {
        let cause =
            StatusCause { reason: String::new(), message: String::new(), field: "f".into() };
        let details = StatusDetails {
            name: String::new(),
            group: String::new(),
            kind: String::new(),
            uid: String::new(),
            causes: vec![cause; causes],
            retry_after_seconds: 0,
        };
        let status = Status::failure("a\u{1b}b", reason).with_code(code).with_details(details);
        kube::Error::Api(Box::new(status))
    }

    #[test]
    fn an_eviction_is_refused_by_a_budget_alone() {
        let budget = |code: u16, reason: &str, message: &str| {
            let kube::Error::Api(mut status) = answer(code, "TooManyRequests", 1) else {
                unreachable!()
            };
            status.message = message.to_owned();
            for cause in status.details.iter_mut().flat_map(|details| &mut details.causes) {
                cause.reason = reason.to_owned();
                cause.message = "The disruption budget shop needs 2 healthy pods".to_owned();
            }
            kube::Error::Api(status)
        };
        let words = "Cannot evict. The disruption budget shop needs 2 healthy pods";
        for (case, error, want) in [
            ("its budget", budget(429, "DisruptionBudget", "Cannot evict."), Some(words)),
            ("too many calls", budget(429, "", "slow down"), None),
            ("two budgets", budget(500, "", "more than one PodDisruptionBudget"), Some("more")),
            ("the server failed", budget(500, "", "no"), None),
        ] {
            let target = Reference::new(Kind::Pod, "prod", "shop-1");
            let got = match Error::of_eviction(&target, error) {
                Error::Refused { why, .. } => Some(why),
                Error::Unanswered { .. } => None,
                other @ (Error::Conflict { .. } | Error::Taken { .. }) => panic!("{case}: {other}"),
            };
            let fits = got.as_deref().zip(want).is_some_and(|(got, want)| got.starts_with(want));
            assert_eq!(fits, want.is_some(), "{case}: {got:?}");
        }
    }

    #[test]
    fn an_object_that_is_too_large_is_refused() {
        for (case, code, message, want) in [
            ("etcd", 500, "etcdserver: request is too large", true),
            ("its client", 500, "trying to send message larger than max (3 vs. 2)", true),
            ("the body", 413, "Request entity too large: limit is 3145728", true),
            ("another fault", 500, "etcdserver: request timed out", false),
            ("busy", 503, "request is too large", false),
        ] {
            let status = Status::failure(message, "").with_code(code);
            let target = Reference::new(Kind::Rollout, "prod", "shop");
            let error = Error::of(&target, 7, kube::Error::Api(Box::new(status)));
            assert_eq!(matches!(error, Error::Refused { .. }), want, "{case}");
        }
    }

    #[test]
    fn an_answer_tells_what_has_to_happen_next() {
        for (case, stale, error, want) in [
            ("stale", 7, answer(409, "Conflict", 0), "conflict"),
            ("deleted", 7, answer(404, "NotFound", 0), "conflict"),
            ("a test of the patch failed", 7, answer(422, "", 0), "conflict"),
            ("validation", 7, answer(422, "Invalid", 1), "refused"),
            ("permission or quota", 7, answer(403, "Forbidden", 0), "refused"),
            ("admission", 7, answer(400, "", 0), "refused"),
            ("a new name is taken", 0, answer(409, "AlreadyExists", 0), "refused"),
            ("the namespace is going", 0, answer(404, "NotFound", 0), "refused"),
            ("a new object is not valid", 0, answer(422, "Invalid", 0), "refused"),
            ("too many calls", 7, answer(429, "", 0), "unanswered"),
            ("the server failed", 7, answer(500, "", 0), "unanswered"),
        ] {
            let target = Reference::new(Kind::Service, "prod", "shop");
            let got = match Error::of(&target, stale, error) {
                Error::Conflict { .. } => "conflict",
                Error::Taken { .. } => "taken",
                Error::Refused { why, .. } => {
                    assert_eq!(why, "ab");
                    "refused"
                }
                Error::Unanswered { .. } => "unanswered",
            };
            assert_eq!(got, want, "{case}");
        }
    }
}
