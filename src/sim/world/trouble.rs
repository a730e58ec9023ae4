//! Trouble: what in a story cannot be done.

use crate::sim::cluster::refusal::Refusal;

/// Why something in a story cannot happen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// The object of an edit or a deletion is no object.
    #[error(
        "{object:?} is not plural/name of a kind that is simulated; write for example {example:?}"
    )]
    Kind {
        /// What was written.
        object: String,
        /// What could have been written.
        example: &'static str,
    },
    /// The object of an edit or a deletion is not there.
    #[error("there is no {object} in namespace {namespace} at that time")]
    Missing {
        /// What was written.
        object: String,
        /// Where it was looked for.
        namespace: String,
    },
    /// There is none of the kind that the event is about.
    #[error("there is no {kind}{named}; {remedy}")]
    None {
        /// The kind.
        kind: &'static str,
        /// Its name, with the word before it, or nothing.
        named: String,
        /// What helps.
        remedy: &'static str,
    },
    /// There are several of the kind that the event is about.
    #[error("there are several {kind}s: {names}; {remedy}")]
    Several {
        /// The kind.
        kind: &'static str,
        /// Their names.
        names: String,
        /// What helps.
        remedy: &'static str,
    },
    /// A number that is none of those that can be.
    #[error("{what} is {value}, but has to be within 0 to 100")]
    Percent {
        /// What it is.
        what: &'static str,
        /// What was written.
        value: String,
    },
    /// The API server does not take it.
    #[error("the API server refuses it: {0}")]
    Refused(Refusal),
}
